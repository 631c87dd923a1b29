"""A feature is told piece by piece of what is granted, and nothing of it beyond."""

from dataclasses import dataclass
from pathlib import Path

import geopandas
import pytest
import shapely
from lxml import etree

from geoserver_app.feature_info import Finding, as_geojson, as_gml, as_html, as_text, find
from layers.crs import transform_geometry
from layers.features import GeoPackageStore
from layers.model import Bounds, Edition, FeatureClass, LayerName, ProductType, View
from tiles.area import ServedArea
from tiles.permits import Permit, PermitPiece
from tiles.requests import GetFeatureInfo

CRS = "EPSG:4549"
ROAD = shapely.LineString([(384000, 3547500), (385000, 3547500)])
LAKE = shapely.Polygon([(384000, 3547000), (385000, 3547000), (385000, 3547400), (384000, 3547400)],
                       [[(384400, 3547100), (384600, 3547100), (384600, 3547300), (384400, 3547300)]])
GATE = shapely.Point(384510, 3547700)


@dataclass(frozen=True)
class County:
    """A line map of one road, one lake with an island and one gate, in a store."""

    store: Path
    edition: Edition

    def look(self, by: Permit, x: float, y: float, count: int = 10) -> list[Finding]:
        """Click on a place of a map of 1 m pixels around it."""
        view = View(crs=CRS, bounds=Bounds(x - 50.5, y - 50.5, x + 50.5, y + 50.5), width=101, height=101)
        return self.click(by, view, 50, 50, count)

    def click(self, by: Permit, view: View, column: int, row: int, count: int) -> list[Finding]:
        request = GetFeatureInfo(
            version="1.3.0", layers=(LayerName("dlg"),), styles=(None,), query_layers=(LayerName("dlg"),), view=view, column=column,
            row=row,
            media_type="application/json", feature_count=count,
        )
        return find(request, "dlg", by, store=GeoPackageStore(self.store), reader_of=None)

    def permit(self, *pieces: tuple[ServedArea | None, frozenset | None]) -> Permit:
        areas = [one for one, _ in pieces]
        union = None if None in areas else ServedArea(shapely.union_all([one.geometry for one in areas]), "union")
        return Permit(edition=self.edition, area=union, pieces=tuple(PermitPiece(area=a, attributes=names) for a, names in pieces),
                      mark="m")


@pytest.fixture(scope="module")
def county(tmp_path_factory) -> County:
    folder = tmp_path_factory.mktemp("store") / "dlg"
    folder.mkdir()
    for name, geometry in (("LRDL", ROAD), ("HYDA", LAKE), ("RESP", GATE)):
        frame = geopandas.GeoDataFrame({"NAME": [name.lower()], "TYPE": ["t"], "AREA": [1.0], "NOTE": ["canary"]}, geometry=[geometry],
                                       crs=CRS)
        frame.to_file(folder / "v.gpkg", layer=name, driver="GPKG")
    classes = tuple(
        FeatureClass(name=name, kind=name, title_zh=name, title_en=name, geometry=kind, fields=("NAME", "TYPE", "AREA", "NOTE"), count=1,
                     bounds=Bounds(384000, 3547000, 385000, 3548000))
        for name, kind in (("LRDL", "line"), ("HYDA", "area"), ("RESP", "point"))
    )
    return County(folder.parent, Edition(
        edition_id=1, name="2011", layer="dlg", product=ProductType.DLG, currency=(None, None), generation=1, folder="dlg", crs=CRS,
        extent=shapely.box(118.7, 31.9, 118.9, 32.1), resolution=None, classes=classes, vectors="v.gpkg",
    ))


def area(left: float, right: float) -> ServedArea:
    """The strip of ground between two eastings."""
    strip = shapely.segmentize(shapely.box(left, 3546000, right, 3549000), 50)
    return ServedArea(transform_geometry(strip, CRS, "CRS:84"), f"{left}-{right}")


ALL = frozenset({"NAME", "TYPE", "AREA", "NOTE"})


def test_the_owner_is_told_everything(county):
    (road,) = county.look(county.permit((None, None)), 384200, 3547500)
    assert road.properties == {"NAME": "lrdl", "TYPE": "t", "AREA": 1.0, "NOTE": "canary"}
    assert road.geometry.equals_exact(transform_geometry(ROAD, CRS, "CRS:84"), 1e-6) or road.geometry.length > 0.01


def test_each_piece_tells_its_own_attributes_on_its_own_ground(county):
    pieces = county.permit((area(383000, 384300), frozenset({"NAME"})), (area(384300, 386000), frozenset({"TYPE"})))
    (west,) = county.look(pieces, 384100, 3547500)
    (east,) = county.look(pieces, 384900, 3547500)
    assert (west.properties, east.properties) == ({"NAME": "lrdl"}, {"TYPE": "t"})
    assert west.geometry.intersection(east.geometry).length < 1e-9
    whole = transform_geometry(shapely.segmentize(ROAD, 50), CRS, "CRS:84").length
    assert west.geometry.length == pytest.approx(0.3 * whole, rel=1e-3)
    assert east.geometry.length == pytest.approx(0.7 * whole, rel=1e-3)


def test_pieces_that_lie_over_one_another_tell_what_each_tells(county):
    same_ground = county.permit((area(383000, 386000), frozenset({"NAME"})), (area(383000, 386000), frozenset({"TYPE"})))
    (road,) = county.look(same_ground, 384100, 3547500)
    assert road.properties == {"NAME": "lrdl", "TYPE": "t"}
    unlike_ground = county.permit((area(383000, 384300), frozenset({"NAME"})), (area(383000, 386000), frozenset({"TYPE"})))
    (both,) = county.look(unlike_ground, 384100, 3547500)
    assert both.properties == {"NAME": "lrdl", "TYPE": "t"}
    (beyond,) = county.look(unlike_ground, 384600, 3547500)
    assert beyond.properties == {"TYPE": "t"}


def test_an_attribute_may_be_granted_for_one_class_alone(county):
    by = county.permit((area(383000, 386000), frozenset({"LRDL.NAME"})))
    (road,) = county.look(by, 384100, 3547500)
    (lake,) = county.look(by, 384100, 3547200)
    assert (road.properties, lake.properties) == ({"NAME": "lrdl"}, {})


def test_what_describes_the_whole_shape_is_not_told_of_a_part(county):
    (whole,) = county.look(county.permit((area(383000, 386000), ALL)), 384100, 3547200)
    (part,) = county.look(county.permit((area(383000, 384300), ALL)), 384100, 3547200)
    assert whole.properties["AREA"] == 1.0
    assert "AREA" not in part.properties and part.properties["NAME"] == "hyda"


def test_a_lake_keeps_its_island_when_it_is_cut(county):
    (part,) = county.look(county.permit((area(383000, 384500), ALL)), 384200, 3547200)
    ground = transform_geometry(part.geometry, "CRS:84", CRS)
    assert ground.area == pytest.approx(500 * 400 - 100 * 200, rel=1e-3)


def test_a_feature_just_outside_is_not_told_however_near_the_click(county):
    by = county.permit((area(383000, 384508.0), ALL))
    assert county.look(by, 384507.5, 3547700) == []           # the gate stands 2.5 m away, on the other side
    (gate,) = county.look(county.permit((area(383000, 386000), ALL)), 384507.5, 3547700)
    assert gate.feature_class == "RESP"


def test_a_click_outside_tells_nothing_even_of_what_reaches_inside(county):
    assert county.look(county.permit((area(383000, 384300), ALL)), 384302, 3547500) == []


def test_points_come_before_lines_before_areas_and_no_more_than_asked(county):
    view = View(crs=CRS, bounds=Bounds(384000, 3547000, 385000, 3548000), width=10, height=10)
    by = county.permit((None, None))
    told = [one.feature_class for one in county.click(by, view, 4, 4, 3)]
    assert told == ["RESP", "LRDL", "HYDA"]
    assert len(county.look(by, 384200, 3547500, count=1)) == 1


def test_what_tells_nothing_does_not_crowd_out_what_does(county):
    view = View(crs=CRS, bounds=Bounds(384000, 3547000, 385000, 3548000), width=10, height=10)
    by = county.permit((None, frozenset({"HYDA.NAME"})))
    assert [one.feature_class for one in county.click(by, view, 4, 4, 1)] == ["HYDA"]
    assert [one.feature_class for one in county.click(by, view, 4, 4, 3)] == ["HYDA", "RESP", "LRDL"]


def test_every_form_is_well_made_for_every_kind_of_shape(county):
    by = county.permit((area(383000, 384500), ALL))
    findings = county.look(by, 384200, 3547200) + county.look(by, 384200, 3547500)
    assert etree.fromstring(as_gml(findings, "zh").encode()) is not None
    assert "innerBoundaryIs" in as_gml(county.look(county.permit((None, ALL)), 384200, 3547200), "zh")
    assert "<table>" in as_html(findings, "zh") and "hyda" in as_text(findings, "zh")
    assert as_geojson([], "zh") == '{"type": "FeatureCollection", "features": []}'
