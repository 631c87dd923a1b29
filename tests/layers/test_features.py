"""Single features of an edition, found by a place."""

import json
from dataclasses import replace

import geopandas
import numpy as np
import pandas
import pyogrio
import pytest
import shapely
from county import CRS, EAST, NORTH, SOUTH, WEST, edition_of, write_county
from shapely.geometry import LineString, Point, box

from layers import crs as crs_room
from layers.features import features_near, interval


@pytest.fixture(scope="module")
def county(tmp_path_factory, config_folder):
    return write_county(tmp_path_factory.mktemp("county"), config_folder)


def near(county, a, b, tolerance=5.0, limit=50, **more):
    x, y = WEST + a * (EAST - WEST), SOUTH + b * (NORTH - SOUTH)
    return features_near(county.folder, county.edition, x, y, CRS, tolerance, limit, **more)


def written(folder, config, frame, name="sites"):
    pyogrio.write_dataframe(frame, folder / "one.gpkg", layer=name)
    return edition_of(folder / "one.gpkg", config)


def test_a_lake_is_found_from_its_middle_with_its_name_and_true_shape(county):
    (lake,) = near(county, 0.2, 0.6, 0.0)
    assert (lake.feature_class, lake.attributes) == ("HYDA", {"GB": 2301013, "NAME": "青石湖"})
    lon, lat = crs_room.transformer(CRS, "CRS:84").transform(WEST + 0.2 * (EAST - WEST), SOUTH + 0.6 * (NORTH - SOUTH))
    assert lake.geometry.contains(Point(lon, lat))
    stored = geopandas.read_file(county.folder / "county.gpkg", layer="HYDA").set_index("NAME").loc["青石湖"].geometry
    back = crs_room.transform_geometry(lake.geometry, "CRS:84", CRS)
    assert back.symmetric_difference(stored).area < 1e-3 * stored.area


def test_the_same_feature_is_found_in_every_served_crs(county):
    x, y = WEST + 0.2 * (EAST - WEST), SOUTH + 0.6 * (NORTH - SOUTH)
    for asked in crs_room.SERVED:
        there = crs_room.transformer(CRS, asked).transform(x, y)
        tolerance = 1e-5 if crs_room.is_geographic(asked) else 1.0
        assert [f.attributes["NAME"] for f in features_near(county.folder, county.edition, *there, asked, tolerance, 9)] == ["青石湖"], asked


def test_points_come_before_lines_and_lines_before_areas_always_alike(county):
    found = near(county, 0.6, 0.57, 60.0)
    kinds = [{"P": 0, "L": 1, "A": 2}[f.feature_class[-1]] for f in found]
    assert kinds == sorted(kinds) and {0, 1, 2} <= set(kinds)
    assert [(f.feature_class, f.geometry.wkb) for f in found] == [(f.feature_class, f.geometry.wkb) for f in near(county, 0.6, 0.57, 60.0)]
    assert [f.geometry.wkb for f in near(county, 0.6, 0.57, 60.0, limit=3)] == [f.geometry.wkb for f in found[:3]]


def test_the_tolerance_is_a_radius_around_the_place(tmp_path, config_folder):
    edition = written(tmp_path, config_folder, geopandas.GeoDataFrame({"n": [1]}, geometry=[Point(WEST, SOUTH)], crs=CRS))
    assert features_near(tmp_path, edition, WEST + 9.9, SOUTH, CRS, 10.0, 5)
    assert not features_near(tmp_path, edition, WEST + 8, SOUTH + 8, CRS, 10.0, 5), "the corner of the box is not near"


def test_a_hole_is_not_the_area(tmp_path, config_folder):
    ring = box(WEST, SOUTH, WEST + 300, SOUTH + 300).difference(box(WEST + 100, SOUTH + 100, WEST + 200, SOUTH + 200))
    edition = written(tmp_path, config_folder, geopandas.GeoDataFrame({"n": [1]}, geometry=[ring], crs=CRS))
    assert not features_near(tmp_path, edition, WEST + 150, SOUTH + 150, CRS, 10.0, 5)
    (found,) = features_near(tmp_path, edition, WEST + 50, SOUTH + 50, CRS, 0.0, 5)
    assert len(found.geometry.interiors) == 1


def test_survey_control_points_are_told_only_where_named(county):
    assert "CPTP" not in {f.feature_class for f in near(county, 0.125, 0.925, 50.0)}
    assert [f.attributes["GRADE"] for f in near(county, 0.125, 0.925, 50.0, classes={"CPTP"})] == ["二等"]


def test_attributes_are_plain_json_values(tmp_path, config_folder):
    frame = geopandas.GeoDataFrame(
        {
            "whole": pandas.array([7, None], dtype="Int64"), "part": [1.5, np.nan], "name": ["石塘", None], "open": [True, False],
            "built": pandas.to_datetime(["2009-05-01", "2010-05-01"]).date, "seen": pandas.to_datetime(["2011-03-04T05:06:07", None]),
        },
        geometry=[Point(WEST, SOUTH), Point(WEST + 1, SOUTH)], crs=CRS,
    )
    edition = written(tmp_path, config_folder, frame)
    full, empty = (f.attributes for f in features_near(tmp_path, edition, WEST, SOUTH, CRS, 3.0, 5))
    assert json.loads(json.dumps(full, allow_nan=False)) == full
    assert (full["whole"], full["part"], full["name"], bool(full["open"])) == (7, 1.5, "石塘", True)
    assert isinstance(full["whole"], int)
    assert full["built"].startswith("2009-05-01") and full["seen"].startswith("2011-03-04T05:06:07")
    assert [empty[name] for name in ("whole", "part", "name", "seen")] == [None] * 4


def test_only_fields_of_the_catalogue_are_read_in_their_order(county):
    classes = tuple(replace(c, fields=("NAME",)) if c.name == "HYDA" else c for c in county.edition.classes)
    (lake,) = features_near(county.folder, replace(county.edition, classes=classes), WEST + 0.2 * 8000, SOUTH + 0.6 * 6000, CRS, 0.0, 5)
    assert list(lake.attributes) == ["NAME"]


def test_heights_of_the_vertices_are_kept(tmp_path, config_folder):
    line = LineString([(WEST, SOUTH, 3.0), (WEST + 5000, SOUTH, 13.0)])
    edition = written(tmp_path, config_folder, geopandas.GeoDataFrame({"n": [1]}, geometry=[line], crs=CRS))
    (found,) = features_near(tmp_path, edition, WEST + 100, SOUTH, CRS, 5.0, 5)
    heights = shapely.get_coordinates(found.geometry, include_z=True)[:, 2]
    assert heights[0] == 3.0 and heights[-1] == 13.0 and (np.diff(heights) > 0).all()


def test_a_long_edge_is_bent_as_the_ground_bends_it(tmp_path, config_folder):
    edge = LineString([(118.0, 33.0), (121.0, 33.0)])
    edition = written(tmp_path, config_folder, geopandas.GeoDataFrame({"n": [1]}, geometry=[edge], crs="EPSG:4490"))
    x, y = crs_room.transformer("CRS:84", "EPSG:4549").transform(119.5, 33.0)
    (found,) = features_near(tmp_path, edition, x, y, "EPSG:4549", 50.0, 5)
    there = crs_room.transform_geometry(found.geometry, "CRS:84", "EPSG:4549")
    assert there.distance(Point(x, y)) < 0.5


def test_nothing_near_is_no_feature(county):
    assert near(county, 3.0, 3.0) == []
    assert features_near(county.folder, replace(county.edition, vectors=None, classes=()), WEST, SOUTH, CRS, 5.0, 5) == []


@pytest.mark.parametrize(
    ("heights", "expected"), [([10, 12.5, 15, 20, 22.5], 2.5), ([5], None), ([], None), (["100", "105", "110", "x"], 5.0)],
)
def test_the_contour_interval_is_the_commonest_step(tmp_path, heights, expected):
    rows = heights or [None]
    frame = geopandas.GeoDataFrame({"ELEV": rows}, geometry=[LineString([(0, 0), (1, 1)])] * len(rows), crs=CRS)
    if not heights:
        frame["ELEV"] = frame["ELEV"].astype(float)
    pyogrio.write_dataframe(frame, tmp_path / "c.gpkg", layer="TERL")
    assert interval(tmp_path / "c.gpkg", "TERL", "ELEV") == expected
