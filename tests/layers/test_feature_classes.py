"""Which class a delivered table is."""

import csv

import pytest

from layers.feature_classes import FeatureClassTable


@pytest.fixture(scope="module")
def table(config_folder) -> FeatureClassTable:
    return FeatureClassTable.load(config_folder / "dlg_classes.csv")


@pytest.mark.parametrize(
    ("name", "geometry", "kind"),
    [
        ("HYDL", "line", "HYDL"),
        ("hydl", "line", "HYDL"),
        ("I50G095077_HYDL", "line", "HYDL"),
        ("LRDL_2011", "line", "LRDL"),
        ("lrdl2011", "line", "LRDL"),
        ("HYDL", "area", "HYDA"),
        ("HYD", "area", "HYDA"),
        ("CPTP", "point", "CPTP"),
    ],
)
def test_a_class_code_is_found_with_prefix_suffix_and_any_case(table, name, geometry, kind):
    assert table.kind_of(name, geometry) == kind


@pytest.mark.parametrize(
    ("name", "geometry", "kind"),
    [
        ("rivers_main", "line", "HYDL"),
        ("lakes_all", "area", "HYDA"),
        ("gis_osm_roads_free_1", "line", "LRDL"),
        ("major_rivers", "line", "HYDL"),
        ("river_bridges", "line", "LFCL"),
        ("railroads_dlg100", "line", "LRRL"),
        ("contours_2500ft", "line", "TERL"),
        ("municipalities_2004", "area", "BOUA"),
        ("colorado-counties", "area", "BOUA"),
        ("city", "area", "BOUA"),
        ("city", "point", "AGNP"),
        ("protected_areas", "area", "BRGA"),
        ("bus_stops_uta", "point", "LFCP"),
        ("suzhou_buildings_osm", "area", "RESA"),
        ("res1_4m", "point", "RESP"),
        ("江苏省河流", "line", "HYDL"),
        ("省界", "line", "BOUL"),
    ],
)
def test_regular_words_of_real_deliveries_are_understood(table, name, geometry, kind):
    assert table.kind_of(name, geometry) == kind


@pytest.mark.parametrize("name", ["police_incidents", "restrictions", "", "I50G095077", "2011", "Autos"])
def test_a_name_that_says_nothing_is_no_class(table, name):
    assert table.kind_of(name, "point") == ""


def test_areas_are_drawn_before_lines_and_names_come_last(table):
    orders = {c.code: c.order for c in table}
    assert orders["VEGA"] < orders["TERL"] < orders["HYDA"] < orders["LRDL"] < orders["AGNP"]
    assert orders["HYDL"] < orders["HYDA"], "the middle line of a wide river is not seen on its water"
    assert table.drawing_order("") < min(orders.values())


def test_titles_are_given_in_both_languages(table):
    assert table.titles("HYDL") == ("水系（线）", "Watercourses")
    assert table.titles("") == ("", "")
    assert all(c.title_zh and c.title_en for c in table)


def test_survey_control_points_are_not_drawn_unless_asked(table):
    assert not table.is_drawn("CPTP")
    assert [c.code for c in table if not c.is_drawn] == ["CPTP"]


def test_every_row_says_what_stands_behind_it(config_folder):
    for name in ("dlg_classes.csv", "gb_codes.csv"):
        with (config_folder / name).open(encoding="utf-8", newline="") as rows:
            assert all(row["source"].strip() for row in csv.DictReader(rows)), name


def test_a_code_of_the_standard_is_six_digits_and_told_from_memory_or_practice(config_folder):
    with (config_folder / "gb_codes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(len(row["code"]) == 6 and row["code"].isdigit() for row in rows)
    assert {row["source"] for row in rows} == {"used in practice", "from memory, unverified"}
    assert len({row["code"] for row in rows}) == len(rows)


def test_a_wrong_geometry_in_the_table_is_told_with_its_line(tmp_path):
    path = tmp_path / "dlg_classes.csv"
    path.write_text("code,geometry,order,drawn,title_zh,title_en,aliases,source\nHYDL,lines,1,yes,a,b,,x\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2: geometry `lines`"):
        FeatureClassTable.load(path)
