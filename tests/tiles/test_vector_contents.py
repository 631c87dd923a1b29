"""What vector tiles hold at which level, which kind a feature is, and the style that draws them: all of it what pictures are drawn by."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pyogrio
import pytest
from county import write_county
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.model import ProductType
from layers.rows import RowFilter
from tiles.dlg import width_factor
from tiles.dlg_styles import StyleBook
from tiles.grids import TILE_MATRIX_SETS
from tiles.maplibre import LAST_ZOOM, MAKERS, layers_of
from tiles.symbols import METRES_AT_ZOOM_0
from tiles.vector.contents import OTHER, Overrides, as_told, contents_of, scale_of
from tiles.vector.filters import KIND, as_expression, can_be_read, parse, truth
from tiles.vector.patterns import Pattern

ROOT = Path(__file__).resolve().parents[2]
BOOK = StyleBook.load(ROOT / "config" / "styles")
OVERRIDES = Overrides.load(ROOT / "config" / "vector_tiles.csv")
TMS = TILE_MATRIX_SETS["WebMercatorQuad"]
PATTERNS = sorted({
    way.pattern for file in (*BOOK.files.values(), BOOK.overlay) for kind in file.kinds for way in kind.ways if way.pattern
})


@pytest.fixture(scope="module")
def county(tmp_path_factory, config_folder):
    return write_county(tmp_path_factory.mktemp("county"), config_folder)


def everything(edition):
    return {table.name: table.fields for table in edition.classes}


def contents(edition, told=None):
    return contents_of(edition, told or everything(edition), BOOK, OVERRIDES)


def test_control_points_are_in_no_tile(county):
    assert "CPTP" in everything(county.edition) and "CPTP" not in contents(county.edition)


def test_a_tile_holds_what_a_picture_shows_at_any_scale_at_which_it_serves(county):
    """Rule by rule of the styles of pictures, but for what the table of exceptions says."""
    found = contents(county.edition)
    for styles in BOOK.fit(as_told(county.edition, everything(county.edition)), kinds_in=KIND):
        table = found[styles.feature_class.name]
        for rule in (rule for style in styles.styles for rule in style.element.iterfind("Rule")):
            to_scale = float(rule.findtext("MaxScaleDenominator") or "inf")
            for z in TMS.zooms:
                finest = METRES_AT_ZOOM_0 / 2 ** (z + 1)                        # just before the next level takes over
                for kind in table.kinds:
                    if finest < to_scale and truth(rule.findtext("Filter") or "true", kind) is not False:
                        assert kind in table.shown(scale_of(TMS, z)) or (table.table.kind, kind) in OVERRIDES.to_scale, (table.table.name, kind, z)


def test_the_finest_tiles_hold_everything(county):
    for table in contents(county.edition).values():
        assert table.shown(scale_of(TMS, 16)) == frozenset(table.kinds)


def test_levels_of_all_sets_with_the_same_scale_hold_the_same(county):
    table = contents(county.edition)["LRDL"]
    for z in range(5, 17):
        assert table.shown(scale_of(TMS, z)) == table.shown(scale_of(TILE_MATRIX_SETS["tdt_c"], z))


@pytest.mark.parametrize("values, kind", [
    ({"GB": 4209012}, "motorway"), ({"GB": 4201012, "NAME": "高速"}, "national"), ({"GB": 430503}, "street"), ({"GB": "420301"}, "county"),
    ({"GB": 999}, OTHER), ({"GB": None}, OTHER), ({"GB": 440100.0}, "track"),
])
def test_kinds_are_told_as_the_picture_tells_them(county, values, kind):
    table = contents(county.edition)["LRDL"]
    columns = {name: [values.get(name)] for name in table.fields}
    assert table.kinds_of(columns, 1) == [kind]


def test_of_hidden_attributes_nothing_shows_in_kinds_nor_in_levels(county):
    told = everything(county.edition) | {"LRDL": ("NAME",)}
    table = contents(county.edition, told)["LRDL"]
    assert table.kinds == (OTHER,) and not table.has_kinds and table.fields == ("NAME",)


def test_every_condition_is_met_by_all_that_a_tile_of_the_scale_shows(county):
    """The store is asked for no less than is shown; here, where codes decide, for no more either."""
    for table in contents(county.edition).values():
        columns = read(county, table.table.name)
        kinds = table.kinds_of(columns, len(columns[table.fields[0]]))
        for z in range(4, 17):
            shown, condition = table.shown(scale_of(TMS, z)), table.condition(scale_of(TMS, z))
            if condition is None:
                continue
            rows = zip(*columns.values(), strict=True)
            met = [condition.matches(table.table.name, dict(zip(columns, row, strict=True))) for row in rows]
            assert [kind in shown for kind in kinds] == met, (table.table.name, z)


def read(county, name: str) -> dict[str, list]:
    meta, _, _, columns = pyogrio.raw.read(county.folder / county.edition.vectors, layer=name, read_geometry=False)
    return {str(field): [None if value != value else value for value in column.tolist()] for field, column in zip(meta["fields"], columns, strict=True)}


@settings(max_examples=300, deadline=None)
@given(
    pattern=st.sampled_from(PATTERNS),
    value=st.one_of(st.none(), st.integers(0, 10**7), st.sampled_from(PATTERNS), st.text(max_size=6), st.sampled_from(["高速", "wood", "路", "4209012"])),
    trimmed=st.booleans(),
)
def test_patterns_are_the_same_as_conditions(pattern, value, trimmed):
    if trimmed and isinstance(value, str):
        value = re.sub(r"\|.*|[.*\[\]+-]", "", value)
    known = Pattern.read(pattern)
    if known is None:
        return
    fits = re.fullmatch(pattern, "" if value is None else str(value)) is not None
    for node, wanted in ((known.met("F"), fits), (known.unmet("F"), not fits)):
        assert RowFilter("", node, frozenset({"F"})).matches("X", {"F": value}) is wanted, (pattern, value)


def test_most_patterns_of_codes_can_be_asked_of_the_store():
    codes = [pattern for pattern in PATTERNS if re.fullmatch(r"[0-9\[\]|.*-]+", pattern)]
    assert codes and all(Pattern.read(pattern) is not None for pattern in codes)


def test_every_style_file_can_be_read_for_vector_tiles(county):
    """With all fields that any of them asks for: filters, widths and symbolizers."""
    asked = {field for file in BOOK.files.values() for kind in file.kinds for way in kind.ways for field in way.fields}
    every = sorted(asked | {"NAME", "GB", "ELEV", "RN"})
    for code in BOOK.files:
        known = next(one for one in BOOK.classes if one.code == code)
        table = replace(county.edition.classes[0], name=code, kind=code, geometry=known.geometry, fields=tuple(every))
        edition = replace(county.edition, classes=(table,))
        for rule in (rule for styles in BOOK.fit(edition, kinds_in=KIND) for style in styles.styles for rule in style.element.iterfind("Rule")):
            assert can_be_read(rule.findtext("Filter") or "true"), (code, rule.findtext("Filter"))
            assert {part.tag for part in rule if part.tag.endswith("Symbolizer")} <= set(MAKERS), code
        assert layers_of(edition, "dlg", BOOK) or code == "CPTP"


# The style of MapLibre

@pytest.fixture(scope="module")
def style(county):
    return layers_of(as_told(county.edition, everything(county.edition)), "dlg", BOOK)


def attributes_in(layer) -> set[str]:
    """Every attribute that a layer asks for."""
    def walk(node):
        if isinstance(node, list):
            if len(node) == 2 and node[0] == "get":
                yield node[1]
            for one in node:
                yield from walk(one)
        elif isinstance(node, dict):
            for one in node.values():
                yield from walk(one)
    return set(walk(layer))


def test_every_table_that_is_drawn_has_layers_and_ids_are_unique(county, style):
    assert {layer["source-layer"] for layer in style} == {styles.feature_class.name for styles in BOOK.fit(county.edition) if styles.styles}
    assert len({layer["id"] for layer in style}) == len(style)


def test_layers_ask_for_nothing_that_is_not_told(county):
    told = {table.name: tuple(field for field in table.fields if field == "NAME") for table in county.edition.classes}
    tables = contents(county.edition, told)
    for layer in layers_of(as_told(county.edition, told), "dlg", BOOK):
        allowed = {"NAME"} | ({KIND} if tables[layer["source-layer"]].has_kinds else set())
        assert attributes_in(layer) <= allowed


def test_widths_are_those_of_the_picture_at_every_whole_zoom(county, style):
    compared = 0
    for styles in BOOK.fit(as_told(county.edition, everything(county.edition)), kinds_in=KIND):
        for line in (line for one in styles.styles for line in one.element.iter("LineSymbolizer") if "@w" in line.get("stroke-width", "")):
            formula = line.get("stroke-width").replace("@w", "w")
            drawn = [
                layer["paint"]["line-width"] for layer in style
                if layer["source-layer"] == styles.feature_class.name and layer.get("paint", {}).get("line-color") == line.get("stroke")
            ]
            assert any(all(width == pytest.approx(worked_out(formula, zoom), abs=0.01) for zoom, width in stops_of(one)) for one in drawn), formula
            compared += 1
    assert compared > 10


def worked_out(formula: str, zoom: float) -> float:
    return eval(formula, {"__builtins__": {}, "min": min, "max": max, "w": width_factor(METRES_AT_ZOOM_0 / 2**zoom)})


def stops_of(width) -> list[tuple[float, float]]:
    """Zoom and width; a width that never changes is the same at the first zoom and at the last."""
    return list(zip(width[3::2], width[4::2], strict=True)) if isinstance(width, list) else [(LAST_ZOOM, width)]


def test_rules_of_a_scale_are_layers_of_a_zoom(style):
    for layer in style:
        assert 0 <= layer.get("minzoom", 0) < layer.get("maxzoom", 24) <= 24


def test_names_come_last_and_the_most_important_at_the_very_end(county, style):
    written = [at for at, layer in enumerate(style) if "text-field" in layer.get("layout", {})]
    assert written == list(range(written[0], len(style)))
    assert style[-1]["source-layer"] == "AGNP"
    assert not any("text-field" in one.get("layout", {}) for one in layers_of(county.edition, "dlg", BOOK, labels=False))


def test_maplibre_itself_finds_no_fault_with_the_style(style, tmp_path):
    validate = ROOT / "var" / "clients" / "node_modules" / ".bin" / "gl-style-validate"
    if not validate.exists() or shutil.which("node") is None:
        pytest.skip("MapLibre GL is not installed: make system does it where npm is")
    document = {
        "version": 8, "sources": {"dlg": {"type": "vector", "url": "http://maps.test/tiles/dlg/vector.json"}}, "layers": style,
        "glyphs": "http://maps.test/glyphs/{fontstack}/{range}.pbf", "sprite": "http://maps.test/sprites/line-map",
    }
    path = tmp_path / "style.json"
    path.write_text(json.dumps(document))
    found = subprocess.run([validate, path], capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0 and not found.stdout.strip(), found.stdout + found.stderr


def test_an_overlay_with_rules_is_drawn_by_them(county):
    rules = json.dumps({"tables": {"LRDL": {"symbol": {"colour": "#FF0000"}, "to_scale": 50_000}}})
    overlay = replace(county.edition, product=ProductType.OVERLAY, symbols=rules)
    table = contents(overlay)["LRDL"]
    assert table.kinds == (OTHER,) and table.to_scale == {OTHER: 50_000}
    assert any(layer["paint"].get("line-color") == "#FF0000" for layer in layers_of(overlay, "x", BOOK))


@pytest.mark.parametrize("text, expression", [
    ("true", True), ("[A] >= 5", [">=", ["to-number", ["get", "A"]], 5.0]), ("not ([_kind] = 'x')", ["!", ["==", ["get", "_kind"], "x"]]),
    ("[_kind] = 'x' and ([B] = '' or [C] != 'y')", [
        "all", ["==", ["get", "_kind"], "x"], ["any", ["==", ["to-string", ["get", "B"]], ""], ["!=", ["to-string", ["get", "C"]], "y"]],
    ]),
])
def test_filters_become_expressions(text, expression):
    assert as_expression(text) == expression


@pytest.mark.parametrize("text", ["[A].match('x')", "[A] = 'x' and", "([A] = 'x'", "[A] = 'x') ", "[A] % 5 = 0"])
def test_filters_that_say_more_are_refused(text):
    with pytest.raises(ValueError):
        parse(text)
