"""Sheet numbers of GB/T 13989-2012, exactly."""

import csv
from fractions import Fraction

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers import crs
from layers.errors import SheetNumberInvalid
from layers.sheets import numbers as sheets

TEXTBOOK = ["J50", "J50B001001", "J50C001001", "J50D002002", "J50E004003", "J50F008005", "J50G015010", "J50H030019", "J50I090055",
            "J50J01800109", "J50K03600217"]


@pytest.mark.parametrize("letter, number", list(zip("ABCDEFGHIJK", TEXTBOOK, strict=True)))
def test_the_textbook_point_is_a_corner_at_every_scale(letter, number):
    lon, lat = Fraction(114 * 3600 + 33 * 60 + 45, 3600), Fraction(39 * 3600 + 22 * 60 + 30, 3600)
    assert sheets.encode(lon, lat, letter) == number
    assert sheets.scale_of(number).letter == letter


@pytest.mark.parametrize("lon, lat, number", [
    (118.7781, 32.0436, "I50G095077"), (120.5853, 31.2989, "H51G017010"), (117.2857, 34.2044, "I50G044053"),
    (121.6574, 31.8081, "H51G005027"), (118.7781, 32.0436, "I50E024020"), (118.7781, 32.0436, "I50D012010"),
])
def test_cities_of_jiangsu_lie_on_their_sheets(lon, lat, number):
    assert sheets.encode(lon, lat, sheets.scale_of(number).letter) == number


def test_four_sheets_meet_at_120_east_32_north():
    step = Fraction(1, 3600)
    around = [sheets.encode(120 + dx, 32 + dy, "G") for dy in (Fraction(0), -step) for dx in (-step, Fraction(0))]
    assert around == ["I50G096096", "I51G096001", "H50G001096", "H51G001001"]


@given(st.integers(0, 60 * 2304 - 1), st.integers(0, 22 * 2304 - 1), st.sampled_from("ABCDEFGHIJK"))
def test_a_sheet_holds_its_south_west_corner_and_not_its_others(column, row, letter):
    scale = sheets.SCALES[letter]
    west, south = Fraction(column, 2304) * 6 - 180, Fraction(row, 2304) * 4
    number = sheets.encode(west, south, letter)
    left, bottom, right, top = (edge / 3600 for edge in sheets._edges(number))
    assert left <= west < right and bottom <= south < top
    assert sheets.encode(left, bottom, letter) == number
    assert right - left == scale.width / 3600 and top - bottom == scale.height / 3600
    if right < 180:
        assert sheets.encode(right, bottom, letter) != number
    if top < 88:
        assert sheets.encode(left, top, letter) != number


@pytest.mark.parametrize("text", ["i50g095077", " I50 G 095077 ", "I50-G-095077", "Ｉ５０Ｇ０９５０７７", "I50G 095 077"])
def test_any_spelling_of_a_number_is_one_number(text):
    assert sheets.any_number(text) == "I50G095077"


@pytest.mark.parametrize("text", ["", "W50", "I61", "I00", "I50G097001", "I50G000001", "I50G001097", "I50G95077", "I50J095077",
                                  "I50L001001", "I50G٠٩٥٠٧٧x", "I50G0950777"])
def test_what_is_no_number_is_told_so(text):
    with pytest.raises(SheetNumberInvalid):
        sheets.any_number(text)


@pytest.mark.parametrize("lon, lat, letter", [(118, -1, "G"), (180, 30, "G"), (118, 88, "G"), (118, 30, "L")])
def test_no_sheet_is_numbered_beyond_the_standard(lon, lat, letter):
    with pytest.raises(SheetNumberInvalid):
        sheets.encode(lon, lat, letter)


@pytest.mark.parametrize("name, number", [
    ("I50G095077DOM.tif", "I50G095077"), ("I50G095077.dem", "I50G095077"), ("DOM_I50G095077_2011.tif", "I50G095077"),
    ("i50g095077dlg.gpkg", "I50G095077"), ("J50J01800109.tif", "J50J01800109"), ("H50.tif", "H50"),
    ("ortho_3320D_2010_315_rgba.tif", None), ("provo_dem_30m_26912.tif", None), ("I50G095997.tif", None), ("N20.tif", None),
    ("s50_mosaic.tif", None), ("DOMI50G095077.tif", "I50G095077"), ("e50_map.tif", "E50"),
    ("scene_e50.tif", None), ("I50G0950771.tif", None),
])
def test_a_file_name_gives_its_number_or_none(name, number):
    assert sheets.find_number(name) == number


def test_a_frame_in_gauss_kruger_is_the_trapezoid_of_the_standard():
    frame = crs.transform_geometry(sheets.sheet_frame("I50G095077"), "CRS:84", "EPSG:4549")
    corners = [(381932.89, 3547156.08), (387836.63, 3547089.45), (387887.48, 3551710.21), (381986.42, 3551776.90)]
    vertices = list(frame.exterior.coords)
    for corner in corners:
        assert min(abs(x - corner[0]) + abs(y - corner[1]) for x, y in vertices) < 0.02
    assert len(vertices) > 20


@pytest.mark.real_data
def test_the_sheet_vectors_hold(shared_data):
    letters = {scale.denominator: scale.letter for scale in sheets.SCALES.values()}
    with (shared_data / "crs" / "gbt13989_sheet_test_vectors.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 160
    for row in rows:
        assert sheets.encode(float(row["lon_deg"]), float(row["lat_deg"]), letters[int(row["scale_denominator"])]) == row["sheet_number"]
        edges = [float(row[f"{side}_deg"]) for side in ("west", "south", "east", "north")]
        assert list(sheets.sheet_bounds(row["sheet_number"])) == pytest.approx(edges, abs=1e-12)


@pytest.mark.parametrize("letter", "EGI")
def test_the_sheets_that_ground_touches_are_those_whose_frames_share_some_of_it(letter):
    ground = shapely.Point(118.78, 32.04).buffer(0.07)
    found = sheets.sheets_touching(ground, letter)
    assert len(found) == len(set(found)) and shapely.union_all([sheets.sheet_frame(number) for number in found]).covers(ground)
    assert all(shapely.intersection(sheets.sheet_frame(number), ground).area > 0 for number in found)


def test_a_sheet_touches_itself_alone():
    frame = sheets.sheet_frame("I50G095077")
    assert sheets.sheets_touching(frame) == ["I50G095077"]
    assert sheets.sheets_touching(shapely.Polygon()) == []


def test_too_many_sheets_are_not_listed():
    with pytest.raises(SheetNumberInvalid, match="coarser scale"):
        sheets.sheets_touching(shapely.box(110, 30, 122, 36), "K")


def test_neighbours_are_the_eight_sheets_around_also_across_the_largest_sheets():
    around = sheets.neighbours("I50G096096")
    assert around == {
        "north-west": "I50G095095", "north": "I50G095096", "north-east": "I51G095001", "west": "I50G096095", "east": "I51G096001",
        "south-west": "H50G001095", "south": "H50G001096", "south-east": "H51G001001",
    }
    frame = sheets.sheet_frame("I50G096096")
    assert all(shapely.touches(frame, sheets.sheet_frame(number)) for number in around.values())


def test_neighbours_go_round_the_globe_and_end_at_the_equator_and_at_88_degrees():
    assert sheets.neighbours("I60G001096")["east"] == "I01G001001" and sheets.neighbours("I01G001001")["west"] == "I60G001096"
    assert set(sheets.neighbours("A50G096001")) == {"north-west", "north", "north-east", "west", "east"}
    assert set(sheets.neighbours("V50G001001")) == {"west", "east", "south-west", "south", "south-east"}


@given(st.integers(0, 60 * 2304 - 1), st.integers(0, 22 * 2304 - 1), st.sampled_from("ABCDEFGHIJK"), st.sampled_from("ABCDEFGHIJK"))
def test_a_parent_is_the_coarser_sheet_at_the_same_point(column, row, letter, coarser):
    west, south = Fraction(column, 2304) * 6 - 180, Fraction(row, 2304) * 4
    number = sheets.encode(west, south, letter)
    expected = sheets.encode(west, south, coarser) if sheets.SCALES[coarser].divisions < sheets.SCALES[letter].divisions else None
    assert sheets.parent(number, coarser) == expected
    assert list(sheets.ancestors(number)) == [sheets.encode(west, south, each) for each in reversed("ABCDEFGHIJK"[:"ABCDEFGHIJK".index(letter)])]


@pytest.mark.parametrize("number, letter, count", [("I50", "E", 576), ("I50E024020", "G", 16), ("I50G095077", None, 4), ("I50H190153", None, 9), ("I50G095077", "E", 0)])
def test_children_fill_their_parent(number, letter, count):
    held = sheets.children(number, letter)
    assert len(set(held)) == count
    if held:
        ground = shapely.union_all([sheets.sheet_frame(each) for each in held])
        assert ground.symmetric_difference(sheets.sheet_frame(number)).area < 1e-9
        assert {sheets.parent(each, sheets.scale_of(number).letter) for each in held} == {number}
    assert sheets.children("I50K00010001") == []


def test_too_many_children_are_not_listed():
    with pytest.raises(SheetNumberInvalid, match="coarser scale"):
        sheets.children("I50", "K")


@pytest.mark.parametrize("text", ["G", "g", "10000", "1:10,000", "1:1万", "１：１００００"])
def test_a_scale_is_named_by_its_letter_or_its_denominator(text):
    assert sheets.scale_named(text).denominator == 10_000
