"""An overlay's own rules: strictly read, and one source for the picture, the legend and the layers of MapLibre."""

import json
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
from county import edition_of
from shapely.geometry import LineString, Point, box

from layers.model import Bounds, ProductType, View
from tiles.dlg import LineMapRenderer
from tiles.dlg_styles import StyleBook
from tiles.legends import legend
from tiles.symbols import ICONS, SymbolsInvalid, check, maplibre_layers, names_told, read

GREEN, RED, GREY, BLUE = "#2B8A3E", "#E03131", "#868E96", "#1971C2"


def rules(**table) -> dict:
    return {"tables": {"things": table}}


def text_of(given: dict) -> str:
    return read(json.dumps(given, ensure_ascii=False)).text()


LEVELS = rules(
    symbol={"size": 20, "outline": "#000000", "width": 0},
    classes={"by": "level", "kind": "range", "entries": [
        {"from": None, "to": 3.5, "title": {"zh": "正常", "en": "normal"}, "symbol": {"colour": GREEN}},
        {"from": 3.5, "to": None, "title": "超警", "symbol": {"colour": RED}},
    ], "other": {"colour": GREY}},
)
KINDS = rules(
    symbol={"size": 20, "width": 0},
    classes={"by": "kind", "kind": "value", "entries": [
        {"value": "O'Brien", "symbol": {"colour": RED}}, {"value": "警 [x] {y} & <z>", "symbol": {"colour": GREEN}},
        {"value": 'say "so"', "symbol": {"colour": BLUE}},
    ], "other": None},
)


@pytest.fixture(scope="module")
def things(tmp_path_factory, config_folder):
    """Four points in a row, 100 m apart: a level each, and a kind."""
    folder = tmp_path_factory.mktemp("things")
    rows = [
        {"level": 1.0, "kind": "O'Brien", "code": 1, "geometry": Point(500_000, 3_500_000)},
        {"level": 3.5, "kind": "警 [x] {y} & <z>", "code": 2, "geometry": Point(500_100, 3_500_000)},
        {"level": None, "kind": 'say "so"', "code": 3, "geometry": Point(500_200, 3_500_000)},
        {"level": 99.0, "kind": "other", "code": 4, "geometry": Point(500_300, 3_500_000)},
    ]
    pyogrio.write_dataframe(geopandas.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4549"), folder / "overlay.gpkg", layer="things")
    return folder, edition_of(folder / "overlay.gpkg", config_folder, ProductType.OVERLAY)


def colours(folder: Path, edition, config: Path, given: dict, labels: bool = True) -> list[str | None]:
    """The colour at each of the four points; None where nothing is drawn."""
    renderer = LineMapRenderer(folder, replace(edition, symbols=text_of(given)), config / "styles", labels=labels)
    picture = np.asarray(renderer.render(View(crs="EPSG:4549", bounds=Bounds(499_950, 3_499_950, 500_350, 3_500_050), width=400, height=100)))
    found = [picture[50, x] for x in (50, 150, 250, 350)]
    return [f"#{r:02X}{g:02X}{b:02X}" if a == 255 else None for r, g, b, a in found]


def test_ranges_hold_their_lower_end_and_what_has_no_number_is_other(things, config_folder):
    assert colours(*things, config_folder, LEVELS) == [GREEN, RED, GREY, RED]


def test_values_are_compared_as_they_are_whatever_they_are_made_of(things, config_folder):
    assert colours(*things, config_folder, KINDS) == [RED, GREEN, BLUE, None]


def test_numbers_null_and_the_first_class_that_fits(things, config_folder):
    by_code = rules(symbol={"size": 20, "width": 0}, classes={"by": "code", "kind": "value", "entries": [
        {"value": 1, "symbol": {"colour": RED}}, {"value": 2.0, "symbol": {"colour": GREEN}}, {"value": 1, "symbol": {"colour": GREY}},
    ], "other": {"colour": BLUE}})
    assert colours(*things, config_folder, by_code) == [RED, GREEN, BLUE, BLUE]
    by_level = rules(symbol={"size": 20, "width": 0}, classes={"by": "level", "kind": "value", "entries": [
        {"value": None, "symbol": {"colour": RED}},
    ], "other": {"colour": BLUE}})
    assert colours(*things, config_folder, by_level) == [BLUE, BLUE, RED, BLUE]


@pytest.mark.parametrize("icon", ICONS)
def test_every_icon_of_the_closed_set_is_drawn_in_the_colour_asked(things, config_folder, icon):
    folder, edition = things
    symbols = text_of(rules(symbol={"size": 40, "width": 0, "icon": icon, "colour": RED}))
    renderer = LineMapRenderer(folder, replace(edition, symbols=symbols), config_folder / "styles")
    picture = np.asarray(renderer.render(View(crs="EPSG:4549", bounds=Bounds(499_950, 3_499_950, 500_050, 3_500_050), width=100, height=100)))
    assert (picture[..., :3][picture[..., 3] == 255] == (0xE0, 0x31, 0x31)).all(axis=1).sum() > 300


def test_lines_and_areas_are_drawn_by_the_same_rules(tmp_path, config_folder):
    rows = [{"n": 1, "geometry": box(500_000, 3_500_000, 500_100, 3_500_100)}, {"n": 9, "geometry": box(500_100, 3_500_000, 500_200, 3_500_100)}]
    pyogrio.write_dataframe(geopandas.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4549"), tmp_path / "overlay.gpkg", layer="areas")
    lines = [{"n": 1, "geometry": LineString([(500_000, 3_500_050), (500_200, 3_500_050)])}]
    pyogrio.write_dataframe(geopandas.GeoDataFrame(lines, geometry="geometry", crs="EPSG:4549"), tmp_path / "overlay.gpkg", layer="lines")
    edition = edition_of(tmp_path / "overlay.gpkg", config_folder, ProductType.OVERLAY)
    symbols = text_of({"tables": {
        "areas": {"symbol": {"opacity": 1}, "classes": {"by": "n", "kind": "range", "entries": [
            {"from": 0, "to": 5, "symbol": {"colour": GREEN}}, {"from": 5, "to": 10, "symbol": {"colour": RED}}]}},
        "lines": {"symbol": {"colour": BLUE, "width": 4, "dash": "solid"}},
    }})
    renderer = LineMapRenderer(tmp_path, replace(edition, symbols=symbols), config_folder / "styles")
    picture = np.asarray(renderer.render(View(crs="EPSG:4549", bounds=Bounds(500_000, 3_500_000, 500_200, 3_500_100), width=200, height=100)))
    assert [tuple(picture[row, col, :3]) for row, col in ((20, 50), (20, 150), (50, 50))] == [(0x2B, 0x8A, 0x3E), (0xE0, 0x31, 0x31), (0x19, 0x71, 0xC2)]


def test_the_legend_shows_each_class_in_its_colour_and_reads_nothing_of_the_data(things, config_folder):
    folder, edition = things
    picture = np.asarray(legend(replace(edition, symbols=text_of(LEVELS), vectors="gone.gpkg"), "default", config=config_folder, language="zh"))
    seen = {f"#{r:02X}{g:02X}{b:02X}" for r, g, b in np.unique(picture.reshape(-1, 3), axis=0)}
    assert {GREEN, RED, GREY} <= seen and BLUE not in seen


def test_what_a_picture_tells_is_named_also_without_labels(things):
    _, edition = things
    labelled = {"tables": {"things": {**LEVELS["tables"]["things"], "label": {"field": "kind"}}}}
    ruled = replace(edition, symbols=text_of(labelled))
    assert names_told(ruled, "default") == {"things.level", "things.kind"}
    assert names_told(ruled, "unlabelled") == {"things.level"}
    assert names_told(edition, "default") == frozenset()


def test_labels_are_left_out_of_the_style_without_names(things, config_folder):
    folder, edition = things
    ruled = replace(edition, symbols=text_of(rules(symbol={"size": 4}, label={"field": "kind", "size": 20})))
    view = View(crs="EPSG:4549", bounds=Bounds(499_950, 3_499_950, 500_350, 3_500_050), width=400, height=100)
    with_names, without = (
        (np.asarray(LineMapRenderer(folder, ruled, config_folder / "styles", labels=labels).render(view))[..., 3] > 0).sum() for labels in (True, False)
    )
    assert with_names > without + 200


def test_maplibre_has_the_classes_in_the_same_colours_under_the_same_conditions(things):
    _, edition = things
    layers = maplibre_layers(replace(edition, symbols=text_of(LEVELS)), "overlay")
    assert [(one["source-layer"], one["paint"]["circle-color"]) for one in layers] == [("things", GREEN), ("things", RED), ("things", GREY)]
    assert layers[0]["filter"] == ["all", ["==", ["typeof", ["get", "level"]], "number"], ["<", ["get", "level"], 3.5]]
    plain = maplibre_layers(edition, "overlay")
    assert [one["type"] for one in plain] == ["circle"] and "filter" not in plain[0]


def test_the_same_rules_give_the_same_text_and_read_back_the_same():
    assert text_of(json.loads(text_of(LEVELS))) == text_of(LEVELS)
    assert read(text_of(KINDS)).tables["things"].classes.other is None


FAULTY = {
    "not JSON": ("{", "", "symbols-not-json"),
    "a word that is no number": ('{"tables": {"things": {"symbol": {"size": NaN}}}}', "", "symbols-not-json"),
    "a file as an icon": (rules(symbol={"icon": "../../etc/passwd"}), "/tables/things/symbol/icon", "symbols-invalid"),
    "a colour that is none": (rules(symbol={"colour": "red\" onload"}), "/tables/things/symbol/colour", "symbols-invalid"),
    "an unknown member": (rules(symbol={"file": "/etc/passwd"}), "/tables/things/symbol/file", "symbols-invalid"),
    "an expression": (rules(classes={"by": "level", "kind": "sql", "entries": []}), "/tables/things/classes", "symbols-invalid"),
    "both kinds of quotes": (rules(classes={"by": "k", "kind": "value", "entries": [{"value": "'\""}]}), "/tables/things/classes/entries/0", "symbols-quotes"),
    "a backslash": (rules(classes={"by": "k", "kind": "value", "entries": [{"value": "a\\"}]}), "/tables/things/classes/entries/0/value", "symbols-invalid"),
    "a range of nothing": (
        rules(classes={"by": "k", "kind": "range", "entries": [{"from": 2, "to": 2}]}), "/tables/things/classes/entries/0", "symbols-range-empty"),
    "a size beyond all measure": (rules(symbol={"size": 5000}), "/tables/things/symbol/size", "symbols-invalid"),
    "too many classes": (
        rules(classes={"by": "k", "kind": "value", "entries": [{"value": n} for n in range(65)]}), "/tables/things/classes/entries", "symbols-invalid"),
    "nested beyond reading": ("[" * 60_000, "", "symbols-not-json"),
    "too long": (" " * 70_000, "", "symbols-too-long"),
}


@pytest.mark.parametrize("case", FAULTY)
def test_rules_that_say_anything_else_are_refused_with_the_place(case):
    given, place, code = FAULTY[case]
    with pytest.raises(SymbolsInvalid) as told:
        read(given if isinstance(given, str) else json.dumps(given))
    assert (place, code) in [fault[:2] for fault in told.value.faults]


def test_rules_speak_only_of_tables_and_attributes_that_are_there(things):
    _, edition = things
    for given, code in (
        (rules(classes={"by": "nothing", "kind": "value", "entries": [{"value": 1}]}), "symbols-no-field"),
        (rules(label={"field": "] or ["}), "symbols-no-field"), ({"tables": {"others": {}}}, "symbols-no-table"),
    ):
        with pytest.raises(SymbolsInvalid) as told:
            check(read(json.dumps(given)), edition.classes)
        assert [fault[1] for fault in told.value.faults] == [code]
    check(read(json.dumps(LEVELS)), edition.classes)


def test_an_overlay_without_rules_is_drawn_by_the_house(things, config_folder):
    _, edition = things
    (table,) = StyleBook.load(config_folder / "styles").fit(edition)
    assert table.styles and not table.kinds
