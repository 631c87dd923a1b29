"""What is found in the tables of delivered vectors, told before anything is mended; and how lines meet at the edges of sheets."""

import json
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely

from layers import crs as reference
from layers.ingest import records
from layers.ingest.adding import AddLayer
from layers.ingest.edges import check_edge, edge_of, shared_edges
from layers.ingest.job import check_layer
from layers.ingest.records import Finished
from layers.ingest.table_findings import MOST_KEYS, KnownCodes, TableChecked, look_at
from layers.ingest.validation import State, validate
from layers.model import Bounds, ProductType
from layers.sheets import numbers as sheets

CRS = "EPSG:4490"
CODES = KnownCodes.load(Path(__file__).resolve().parents[2] / "config")
WEST, EAST, NORTH = "I50G095077", "I50G095078", "I50G094077"
LEFT, BOTTOM, RIGHT, TOP = sheets.sheet_bounds(WEST)


def line(*places):
    return shapely.LineString(places)


def table(shapes, keys=None, **fields):
    made = geopandas.GeoDataFrame(fields or {"NAME": [f"n{i}" for i in range(len(shapes))]}, geometry=list(shapes))
    made.index = range(1, len(made) + 1) if keys is None else keys
    return made


def found(features, name="HYDL", **options):
    return {one.code: one for one in look_at(name, features, CRS, **options).findings}


@pytest.fixture
def report_of(memory, store):
    def run(*paths, product="DLG"):
        reports = []
        check_layer(memory, store, AddLayer(product=ProductType(product), name="dlg", edition="2011", paths=paths),
                    lambda inspected: reports.append(validate(inspected, memory)), workers=0)
        return reports[0]
    return run


@pytest.fixture
def write(tmp_path):
    def run(name, features, layer="HYDL", crs=CRS, **options):
        pyogrio.write_dataframe(features.set_crs(CRS).to_crs(crs), tmp_path / name, layer=layer, **options)
        return tmp_path / name
    return run


# Tables

def test_a_good_table_has_nothing_to_tell():
    assert found(table([line((118.76, 32.05), (118.8, 32.06))], GB=["210101"]), number=WEST, codes=CODES) == {}


def test_an_invalid_area_is_told_with_its_id_where_and_why():
    bow = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    one = found(table([shapely.box(0, 0, 1, 1), bow], keys=[17, 42]))
    assert (one["invalid"].count, one["invalid"].keys, one["invalid"].places) == (1, (42,), ((1.0, 1.0, "Self-intersection"),))
    assert one["repaired"].keys == (42,) and not one["repaired"].is_warning and "lost" not in one


def test_an_area_without_area_is_lost_and_told_so():
    flat = shapely.Polygon([(0, 0), (1, 1), (2, 2), (0, 0)])
    one = found(table([flat, shapely.box(0, 0, 1, 1)]))
    assert one["invalid"].keys == (1,) and one["lost"].keys == (1,) and "repaired" not in one


def test_what_has_no_geometry_and_no_numbers_is_told():
    one = found(table([None, shapely.Point(), shapely.Point(np.inf, 1), shapely.Point(1, 1)]))
    assert one["empty"].keys == (1, 2) and one["no-numbers"].keys == (3,)


def test_a_feature_is_a_copy_where_ground_and_attributes_are_the_same_in_whatever_direction():
    there, back = line((0, 0), (1, 1)), line((1, 1), (0, 0))
    features = table([there, back, there, shapely.Point(1, 1)], NAME=["a", "a", "b", "a"], WIDTH=[1.0, 1.0, 1.0, 1.0], keys=[5, 6, 7, 8])
    one = found(features)["duplicate"]
    assert (one.count, one.keys) == (1, (6,)) and one.places[0][2] == "5"


def test_copies_with_empty_attributes_are_copies_and_different_heights_are_not():
    same = found(table([shapely.Point(1, 1), shapely.Point(1, 1)], NAME=[None, None], W=[np.nan, np.nan]))
    assert same["duplicate"].count == 1
    assert "duplicate" not in found(table([shapely.Point(1, 1, 5), shapely.Point(1, 1, 6)], NAME=["a", "a"]))


def test_features_beyond_the_frame_of_their_sheet_are_told_with_how_far():
    inside = line((LEFT, BOTTOM), (RIGHT, TOP))
    beyond = line((118.8, 32.05), (RIGHT + 0.001, 32.05))
    a_little = line((118.8, 32.05), (RIGHT + 0.000005, 32.05))
    one = found(table([inside, a_little, beyond]), number=WEST)["outside-frame"]
    assert one.keys == (3,) and one.values["sheet"] == WEST and one.values["metres"] == pytest.approx(111, abs=20)


def test_the_frame_is_that_of_the_meridians_in_any_projection():
    corners = table([shapely.Point(*place) for place in ((LEFT, BOTTOM), (RIGHT, TOP), (LEFT, TOP), (RIGHT, BOTTOM))])
    moved = corners.set_geometry(geopandas.GeoSeries([reference.transform_geometry(g, "CRS:84", "EPSG:4549") for g in corners.geometry], index=corners.index))
    assert look_at("HYDP", moved, "EPSG:4549", number=WEST).findings == ()
    wedge = table([reference.transform_geometry(shapely.Point(LEFT - 0.0001, BOTTOM), "CRS:84", "EPSG:4549")])
    assert look_at("HYDP", wedge, "EPSG:4549", number=WEST).findings[0].code == "outside-frame"


@pytest.mark.parametrize("text, code", [("锟斤拷锟斤拷", "undecodable"), ("南\ufffd市", "undecodable"), ("烫烫烫", "undecodable"), ("ÄÏ¾©ÊÐ¹ÄÂ¥Çø", "garbled"), ("é•¿æ±Ÿ", "garbled"), ("RamÃ­rez", "garbled")])
def test_texts_that_went_through_a_wrong_encoding_are_told_with_their_field(text, code):
    one = found(table([shapely.Point(0, 0), shapely.Point(1, 1)], NAME=["南京市", text]))[code]
    assert (one.count, one.keys, one.values["field"]) == (1, (2,), "NAME") and one.values["sample"] == text


@pytest.mark.parametrize("text", ["南京市鼓楼区", "Köln", "Ærø", "São João", "Đà Nẵng", "𠮷野家", "Île-de-France"])
def test_names_of_the_world_are_not_taken_for_garbled(text):
    assert found(table([shapely.Point(0, 0)], NAME=[text])) == {}


def test_codes_that_nobody_knows_or_that_belong_elsewhere_or_are_missing_are_told():
    shapes = [line((118.76, 32.05 + n / 1000), (118.8, 32.06)) for n in range(6)]
    one = found(table(shapes, GB=["210101", 210200, 999999.0, "420101", None, "210101000"]), codes=CODES)
    assert one["code-unknown"].keys == (3,) and one["code-unknown"].values["codes"] == "999999 (1)"
    assert one["code-elsewhere"].keys == (4,) and one["code-elsewhere"].values == {"field": "GB", "theme": "HYD", "codes": "420101 (1)"}
    assert one["code-missing"].keys == (5,)


def test_tables_without_codes_and_overlays_are_asked_for_none():
    assert found(table([line((0, 0), (1, 1))]), codes=CODES) == {}
    assert found(table([line((0, 0), (1, 1))], GB=["999999"])) == {}


def test_many_are_counted_and_the_first_are_named():
    one = found(table([None] * 500 + [shapely.Point(0, 0)]))["empty"]
    assert one.count == 500 and len(one.keys) == MOST_KEYS


def test_findings_come_back_from_a_record_as_they_were(tmp_path, a_sheet):
    bow = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    checked = look_at("HYDA", table([bow, bow], GB=["1", "1"]), CRS, codes=CODES, curved=(2,), has_measures=True)
    assert TableChecked.from_json(json.loads(json.dumps(checked.as_json()))) == checked
    sheet = a_sheet(path="sheets/a.gpkg")
    (tmp_path / "sheets").mkdir()
    (tmp_path / sheet.path).write_bytes(b"x")
    records.write_record(tmp_path, Finished(sheet=sheet, tables=(checked,)))
    assert records.read_record(tmp_path, sheet.path).tables == (checked,)


def test_a_hundred_thousand_features_are_looked_at_in_seconds():
    import time
    generator = np.random.default_rng(3)
    places = generator.uniform((LEFT, BOTTOM), (RIGHT, TOP), (100_000, 2))
    features = table(shapely.linestrings(np.stack([places, places + 1e-4], axis=1)), GB=["210101"] * 100_000, NAME=["河"] * 100_000)
    begin = time.process_time()
    look_at("HYDL", features, CRS, number=WEST, codes=CODES)
    assert time.process_time() - begin < 8


# In the report

def test_the_report_tells_each_table_with_the_delivered_ids(report_of, write):
    bow = shapely.Polygon([(118.76, 32.05), (118.77, 32.06), (118.77, 32.05), (118.76, 32.06)])
    path = write("a.gpkg", table([shapely.box(118.78, 32.05, 118.79, 32.06), bow, bow], NAME=["a", "b", "b"]), layer="HYDA")
    with_points = write("a.gpkg", table([shapely.Point(118.78, 32.05)]), layer="HYDP")
    (sheet,) = report_of(path).sheets
    assert with_points == path and sheet.state is State.WARNED and [one.table for one in sheet.tables] == ["HYDA", "HYDP"]
    codes = {one.code: one.keys for one in sheet.tables[0].findings}
    assert codes["invalid"] == codes["repaired"] == (2, 3)
    assert sheet.tables[1].findings == () and sheet.tables[1].features == 1


def test_a_table_that_only_keeps_its_heights_is_good(report_of, write):
    (sheet,) = report_of(write("a.gpkg", table([line((118.76, 32.05, 3), (118.8, 32.06, 4))]))).sheets
    assert sheet.state is State.GOOD and [one.code for one in sheet.tables[0].findings] == ["heights-kept"]


# Edges of sheets

@pytest.fixture
def sheet_of(write):
    def run(number, *lines, layer="LRDL", crs="EPSG:4549", suffix=".gpkg"):
        return write(f"{number}{suffix}", table(lines, NAME=[f"{number} {n}" for n in range(len(lines))]), layer=layer, crs=crs)
    return run


def at_the_edge(lat, offset=0.0, east=False):
    """A road from inside a sheet to its edge with the neighbour, `offset` degrees of latitude beside `lat`."""
    far = RIGHT + 0.02 if east else RIGHT - 0.02
    return line((far, lat), (RIGHT, lat + offset))


def test_lines_that_go_on_in_the_neighbour_are_well(report_of, sheet_of):
    lats = (32.05, 32.06, 32.07)
    report = report_of(sheet_of(WEST, *(at_the_edge(lat) for lat in lats)), sheet_of(EAST, *(at_the_edge(lat, east=True) for lat in lats)))
    (edge,) = report.edges
    assert (edge.table, edge.ends, edge.loose, edge.shown, edge.tolerance) == ("LRDL", 6, 0, (), 1.0)
    assert all(sheet.state is State.GOOD for sheet in report.sheets)


def test_a_line_without_a_partner_is_told_with_its_id_place_and_the_nearest(report_of, sheet_of):
    west = sheet_of(WEST, at_the_edge(32.05), at_the_edge(32.06), at_the_edge(32.07))
    east = sheet_of(EAST, at_the_edge(32.05, east=True), at_the_edge(32.06, offset=0.00004, east=True))
    report = report_of(west, east)
    (edge,) = report.edges
    assert (edge.ends, edge.loose) == (5, 3)
    apart = {(end.sheet[:10], end.key): end.nearest for end in edge.shown}
    assert apart[WEST, 2] == apart[EAST, 2] == pytest.approx(4.4, abs=0.2) and apart[WEST, 3] is None
    assert {(round(end.lon, 6), round(end.lat, 5)) for end in edge.shown if end.key == 3} == {(RIGHT, 32.07)}
    assert all(sheet.state is State.WARNED and [one.code for one in sheet.findings] == ["loose-ends"] for sheet in report.sheets)
    assert not report.is_clean


def test_a_neighbour_without_the_table_leaves_every_end_loose(report_of, sheet_of):
    report = report_of(sheet_of(WEST, at_the_edge(32.05)), sheet_of(EAST, at_the_edge(32.05, east=True), layer="HYDL"))
    assert [(edge.table, edge.ends, edge.loose) for edge in report.edges] == [("HYDL", 1, 1), ("LRDL", 1, 1)]


def test_lines_of_two_zones_meet_over_their_edge(report_of, sheet_of):
    report = report_of(sheet_of(WEST, at_the_edge(32.05), crs="EPSG:4548"), sheet_of(EAST, at_the_edge(32.05, east=True), crs="EPSG:4549"))
    assert [(edge.ends, edge.loose) for edge in report.edges] == [(2, 0)]


def test_a_new_sheet_is_held_against_its_neighbour_that_is_served(report_of, sheet_of, add):
    add("DLG", sheet_of(WEST, at_the_edge(32.05)), name="dlg")
    report = report_of(sheet_of(EAST, at_the_edge(32.06, east=True)))
    assert [(edge.ends, edge.loose) for edge in report.edges] == [(2, 2)]


def test_edges_above_count_and_rings_and_lines_that_end_inside_do_not(report_of, sheet_of):
    over = line((118.78, TOP - 0.01), (118.78, TOP))
    ring = line((118.76, TOP), (118.77, TOP), (118.77, TOP - 0.01), (118.76, TOP))
    below = sheet_of(WEST, over, ring, line((118.76, 32.05), (118.77, TOP - 0.0005)))
    report = report_of(below, sheet_of(NORTH, line((118.78, TOP), (118.78, TOP + 0.01))))
    assert [(edge.ends, edge.loose) for edge in report.edges] == [(2, 0)]


def test_frames_that_touch_in_a_corner_or_not_at_all_share_no_edge(a_sheet):
    assert edge_of(sheets.sheet_bounds(WEST), sheets.sheet_bounds("I50G094078")) is None
    west, corner, far = (a_sheet(number=number, path=number) for number in (WEST, "I50G094078", "I50G095090"))
    assert not list(shared_edges([west, corner, far], []))
    assert edge_of(Bounds(0, 0, 1, 1), Bounds(1, 0.5, 2, 3)).end == 1
    assert check_edge(west, Path("none"), corner, Path("none")) == []


# Real data

REAL = [
    ("swellendam/swellendam_cadastre_utm33s.gpkg", {"invalid", "repaired"}), ("swellendam/swellendam_osm_4326.gpkg", set()), ("utah/utah_saltlake_provo_26912.gpkg", set()),
]


@pytest.mark.real_data
@pytest.mark.parametrize("name, codes", REAL)
def test_real_data_are_looked_at(report_of, shared_data, name, codes):
    (sheet,) = report_of(shared_data / name, product="OVERLAY").sheets
    told = {one.code for each in sheet.tables for one in each.findings}
    assert codes <= told and sheet.state is not State.REFUSED
    assert all(len(one.keys) <= MOST_KEYS and one.count for each in sheet.tables for one in each.findings)
