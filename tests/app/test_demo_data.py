"""The model county: files as a production unit delivers them, plainly synthetic, the same every time."""

from itertools import pairwise

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from geoserver_app.model_county import plan, write_county
from geoserver_app.model_county.contours import contours
from geoserver_app.model_county.delivery import model_county, sheet_window
from geoserver_app.model_county.names import hill_names, plain, stream_names, village_names
from geoserver_app.model_county.orthophoto import Painting
from layers import crs
from layers.sheets import find_number, sheet_frame


@pytest.fixture(scope="module")
def county():
    return model_county()


@pytest.fixture(scope="module")
def painting(county):
    return Painting(county)


@pytest.fixture(scope="module")
def files(tmp_path_factory, county):
    return write_county(tmp_path_factory.mktemp("county"), columns=1, rows=1, county=county)


def table(files, name):
    return geopandas.read_file(files.dlg[0], layer=name)


def test_a_sheet_covers_its_frame_with_a_margin_and_is_called_by_its_number(files):
    (path,) = files.dom
    frame = crs.transform_geometry(sheet_frame(find_number(path.name)), "CRS:84", "EPSG:4549")
    with rasterio.open(path) as sheet:
        assert (sheet.count, sheet.dtypes[0], sheet.res, sheet.crs.to_epsg()) == (3, "uint8", (1.0, 1.0), 4549)
        assert shapely.box(*sheet.bounds).contains(frame.buffer(99))
        assert 5900 < sheet.width < 6400 and 4700 < sheet.height < 5100


def test_heights_are_five_metre_floats_without_holes(files):
    with rasterio.open(files.dem[0]) as sheet:
        heights = sheet.read(1)
        assert (sheet.dtypes[0], sheet.res, sheet.nodata) == ("float32", (5.0, 5.0), -9999)
    assert np.isfinite(heights).all() and 0 < heights.min() < 6 and heights.max() < 800


def test_every_file_says_that_it_is_synthetic(files):
    for path in (*files.dom, *files.dem):
        with rasterio.open(path) as sheet:
            assert "SYNTHETIC" in sheet.tags()["TIFFTAG_IMAGEDESCRIPTION"]
    for path in (*files.dlg, *files.water_gauges, files.divisions):
        assert "SYNTHETIC" in path.name


def test_a_second_run_keeps_what_is_there(files):
    before = {path: path.stat().st_mtime_ns for path in files.folder.iterdir()}
    assert write_county(files.folder, columns=1, rows=1) == files
    assert {path: path.stat().st_mtime_ns for path in files.folder.iterdir()} == before
    assert not list(files.folder.glob("part-*"))


def test_neighbouring_sheets_agree_to_the_pixel(painting):
    west, east = sheet_window("I50G094078"), sheet_window("I50G094079")
    shared = west.intersection(east)
    assert shared.width > 150
    strip = int(shared.left), int(shared.bottom) + 1200, int(shared.right), int(shared.bottom) + 1450
    from_west = painting.paint((strip[0] - 130, strip[1], strip[2], strip[3]))[:, 130:]
    from_east = painting.paint((strip[0], strip[1], strip[2] + 130, strip[3] + 70))[70:, :-130]
    assert np.array_equal(from_west, from_east)


def test_the_same_seed_makes_the_same_county(county):
    again = model_county()
    assert np.array_equal(again.terrain.heights, county.terrain.heights)
    assert {name: [(g.wkb, a) for g, a in rows] for name, rows in again.tables.items()} == {
        name: [(g.wkb, a) for g, a in rows] for name, rows in county.tables.items()
    }


def test_the_orthophoto_shows_water_where_the_line_map_has_it_and_woods_on_the_hills(county, painting):
    def colour(place, half=40):
        x, y = (int(v) for v in place)
        return painting.paint((x - half, y - half, x + half, y + half)).reshape(-1, 3).mean(axis=0)

    lake = colour(county.terrain.lake.representative_point().coords[0])
    wood = max((g for g, _ in county.tables["VEGA"]), key=lambda g: g.area).buffer(-200).representative_point()
    forest = colour(wood.coords[0])
    assert lake[2] > lake[0] + 15
    assert forest[1] > forest[0] and forest.mean() < 100


def test_streams_run_downhill(county):
    frame, heights = county.terrain.frame, county.terrain.heights
    ends = np.array([[line.coords[0], line.coords[-1]] for line, _ in county.terrain.streams if line.length > 1500])
    start, end = (frame.at(heights, ends[:, i, 0], ends[:, i, 1], 5) for i in (0, 1))
    assert len(ends) > 15
    assert (start >= end - 2).mean() > 0.9


def test_contours_lie_at_their_height(county):
    frame, heights = county.terrain.frame, county.terrain.heights
    rows = county.tables["TERL"]
    assert len(rows) > 100 and {a["ELEV"] % 5 for _, a in rows} == {0}
    assert all((a["GB"] == "710102") == (a["ELEV"] % 25 == 0) for _, a in rows)
    points = np.array([(*line.interpolate(0.5, normalized=True).coords[0], a["ELEV"]) for line, a in rows])
    off = np.abs(frame.at(heights, points[:, 0], points[:, 1], 5) - points[:, 2])
    assert np.median(off) < 1.5 and np.percentile(off, 95) < 6


def test_a_cone_has_round_contours():
    y, x = np.mgrid[0:101, 0:101]
    cone = (50 - np.hypot(x - 50, y - 50)).astype(np.float32)
    found = dict(contours(cone, 0, 100, 1, 10, lowest=10, simplify=0.05))
    assert sorted(found) == [10, 20, 30, 40]
    for level, line in found.items():
        assert line.is_ring
        assert shapely.Polygon(line).area == pytest.approx(np.pi * (50 - level) ** 2, rel=0.02)


def test_the_line_map_has_the_classes_of_a_dlg_and_hideable_attributes(files):
    tables = {name for name, _ in pyogrio.list_layers(files.dlg[0])}
    assert {"HYDA", "HYDL", "LRDL", "LRRL", "BOUA", "BOUL", "RESA", "RESP", "TERL", "TERP", "VEGA", "AGNP", "PIPL"} <= tables
    water = table(files, "HYDA")
    assert water.crs.to_epsg() == 4549
    assert water.loc[water.TYPE == "水库", "CAPACITY"].gt(0).all() and "青澜江" in set(water.NAME)
    assert table(files, "PIPL").VOLTAGE.tolist() == ["220kV"] * len(table(files, "PIPL"))
    roads = table(files, "LRDL")
    assert {"420101", "420201", "420301", "420400", "430501"} <= set(roads.GB)
    assert {"G397", "S391", "S392"} <= set(roads.RN.dropna())


def test_every_geometry_of_the_line_map_is_valid_and_within_the_county(county):
    for name, rows in county.tables.items():
        shapes = np.array([g for g, _ in rows])
        assert shapely.is_valid(shapes).all(), name
        assert shapely.covered_by(shapes, county.boundary.buffer(1)).all(), name


def test_towns_share_out_the_county_without_gap_or_overlap(files):
    divisions = geopandas.read_file(files.divisions)
    county, towns = divisions[divisions.LEVEL == "county"], divisions[divisions.LEVEL == "town"]
    assert len(towns) == len(plan.TOWNS) and towns.PAC.str.fullmatch(r"329901\d{3}").all()
    assert towns.area.sum() == pytest.approx(county.area.sum(), rel=1e-6)
    assert towns.union_all().symmetric_difference(county.geometry.iloc[0]).area < 100
    assert (towns.count_geometries() == 1).all()


def test_gauges_tell_the_datum_of_their_levels(files):
    gauges = geopandas.read_file(files.water_gauges[0], layer="gauges")
    assert gauges.crs.to_epsg() == 4490
    assert gauges.DTMNM.str.len().gt(0).all() and (gauges.WRZ <= gauges.GRZ).all()
    assert gauges.geometry.x.between(118.7, 119.05).all()


def test_names_come_once_and_with_their_pinyin(county):
    names = [a["NAME"] for _, a in county.tables["AGNP"]]
    assert len(names) == len(set(names)) > 100
    assert all(a["PINYIN"] and plain(a["PINYIN"]).isascii() for _, a in county.tables["AGNP"])
    for source in (village_names(), hill_names(), stream_names()):
        first = [next(source).zh for _ in range(60)]
        assert len(set(first)) == 60 and all(a != b for a, b in pairwise(first))
