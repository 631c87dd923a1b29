"""Sheet numbers before 1992: read in any spelling, written, and turned into those of GB/T 13989-2012 and back."""

import csv
import random

import pytest
import shapely

from layers.errors import SheetNumberInvalid
from layers.sheets import numbers as sheets
from layers.sheets import old_numbers as old_sheets

KNOWN = [
    ("I-50-142-(53)", "I50G095077"), ("H-51-26-(2)", "H51G017010"), ("I-50-67-(29)", "I50G044053"), ("I-50-59-(12)", "I50G034084"),
    ("H-51-4-(35)", "H51G005027"), ("J-50-5-(24)", "J50G003040"), ("I-50", "I50"), ("I-50-D", "I50B002002"), ("I-50-[16]", "I50C004004"),
    ("I-50-142", "I50D012010"), ("I-50-142-D", "I50E024020"), ("I-50-142-D-3", "I50F048039"), ("I-50-142-(53)-c", "I50H190153"),
]


@pytest.mark.parametrize("old, new", KNOWN)
def test_an_old_number_and_the_new_one_are_one_sheet(old, new):
    assert sheets.any_number(old) == new and sheets.old_number(new) == old


def test_twenty_thousand_numbers_survive_both_ways():
    chance = random.Random(13989)
    for _ in range(20_000):
        scale = sheets.SCALES[chance.choice("ABCDEFGHIJK")]
        number = sheets.encode(chance.uniform(-180, 179.999), chance.uniform(0, 87.999), scale.letter)
        west, south, east, north = sheets.sheet_bounds(number)
        assert sheets.encode((west + east) / 2, (south + north) / 2, scale.letter) == number
        old = sheets.old_number(number)
        assert (old is None) is (scale.letter in "IJK")
        if old is not None:
            assert sheets.any_number(old) == number
            plain = old.translate(str.maketrans("", "", "()")).lower().replace("-", " ")
            assert sheets.any_number(plain) == number or scale.letter == "C"


@pytest.mark.parametrize("text", [
    "i-50-142-(53)", "I-50-142-53", "I50-142-(53)", "I 50 142 (53)", "I-50-142（53）", "Ｉ－５０－１４２－（５３）", "I-50-142-[53]", "I50142(53)",
    "I5014253", "I—50—142—53", "I_50_142_(53)", "i.50.142.(53)", "  I-50-142-( 53 )  ", "9-50-142-(53)", "І-50-142-(53)", "I-50-142-(53", "I-50-142 – (53)",
    "I50G095077", "i50 g 095 077", "Ι50G095077", "Ｉ５０Ｇ０９５０７７", "I-50-G-095-077",
])
def test_any_spelling_is_one_sheet(text):
    assert sheets.any_number(text) == "I50G095077"


@pytest.mark.parametrize("text, number", [
    ("I-50-142-丁", "I50E024020"), ("9-50-142-丁-3", "I50F048039"), ("I-50-乙", "I50B001002"), ("I50142D3", "I50F048039"), ("I-50-［16］", "I50C004004"),
    ("I-50-【16】", "I50C004004"), ("Н-51-4-(35)", "H51G005027"), ("I50-142", "I50D012010"), ("I50142", "I50D012010"), ("I-50-А", "I50B001001"),
    ("I50H190153-7", "I50I570457"), ("I-50-142-(53)-c-7", "I50I570457"), ("J-5-1", "J05D001001"),
])
def test_what_old_maps_and_keyboards_write_is_understood(text, number):
    assert sheets.any_number(text) == number


@pytest.mark.parametrize("text, told", [
    ("I-50-142-В", "write A, B, C or D"), ("I50524", "I-50-5-\\(24\\) and as I-50-52-\\(4\\)"), ("I-50-145", "not a sheet number"), ("I-50-[37]", "not"),
    ("I-50-142-(65)", "not"), ("I-50-142-E", "not"), ("I-50-142-D-5", "not"), ("W-50-1", "not"), ("I-61-1", "not"), ("23-50-1", "not"),
    ("I-50-142-(53)-c-7-1", "not"), ("I-50-../..", "not"), ("I-50-142-(53)\x00", "not"), ("I-50-" + "1" * 10_000, "not"), ("图", "not"), ("٩-٥٠", "not"),
    ("I50H190153-0", "not"), ("I50G095077/../x", "not"), ("../I50G095077", "not"),
])
def test_what_is_none_is_told_so_in_a_sentence(text, told):
    with pytest.raises(SheetNumberInvalid, match=told):
        sheets.any_number(text)


@pytest.mark.parametrize("text", ["I-50-(35)", "I-50-[35]", "I-50-XXXV", "i-50（35）"])
def test_a_sheet_of_1_200000_is_the_ground_of_four(text):
    four = ("I50D011009", "I50D011010", "I50D012009", "I50D012010")
    assert sheets.numbers_meant(text) == four
    with pytest.raises(SheetNumberInvalid, match="I50D011009, I50D011010, I50D012009, I50D012010"):
        sheets.any_number(text)
    ground = shapely.union_all([sheets.sheet_frame(number) for number in four])
    assert sheets.sheet_frame(text).symmetric_difference(ground).area < 1e-12
    assert all(sheets.old_two_hundred_thousand(number) == "I-50-(35)" for number in (*four, "I50G095077"))


def test_every_1_200000_sheet_is_named_by_the_four_it_holds():
    for position in range(1, 37):
        assert {sheets.old_two_hundred_thousand(number) for number in sheets.numbers_meant(f"H-51-({position})")} == {f"H-51-({position})"}


def test_a_step_down_and_back_up_is_the_same_cell():
    cell = old_sheets.Cell("I", 50, 12, 11, 9)
    assert [cell.part(8, position).around(8) for position in (1, 53, 64)] == [(cell, 1), (cell, 53), (cell, 64)]


@pytest.mark.parametrize("name, number", [
    ("I-50-142-(53).tif", "I50G095077"), ("i-50-142-(53)DOM_2004.img", "I50G095077"), ("DEM_H-51-26-(2).dem", "H51G017010"),
    ("I－50－142－（53）.tif", "I50G095077"), ("I-50-142-D.tif", "I50E024020"), ("I-50-142-D-3_2004.tif", "I50F048039"), ("I-50-142.tif", "I50D012010"),
    ("I-50-142-(53)-c.tif", "I50H190153"), ("a-50-12-map.tif", None), ("scan-50-12.tif", None), ("utm-h-50-120-90.tif", None), ("I-50-200.tif", None),
])
def test_a_file_may_bear_its_old_number(name, number):
    assert sheets.find_number(name) == number


@pytest.mark.real_data
def test_the_sheet_vectors_survive_the_old_numbering(shared_data):
    with (shared_data / "crs" / "gbt13989_sheet_test_vectors.csv").open(encoding="utf-8", newline="") as file:
        numbers = [row["sheet_number"] for row in csv.DictReader(file)]
    assert len(numbers) == 160 and all(sheets.any_number(sheets.old_number(number)) == number for number in numbers)
