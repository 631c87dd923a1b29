"""A contributed dataset is checked and compared: every fault by the features that have it, in both languages, with its place."""

import json
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely

from agreements.record import Contribution
from geoserver_app.giving.checking import Checked, Terms, check
from geoserver_app.giving.codes import DivisionCodes
from geoserver_app.giving.comparing import compare
from geoserver_app.giving.contents import Contents, moved, read_clean
from geoserver_app.giving.declared import (
    Base,
    DeclarationsInvalid,
    DeclaredField,
    DeclaredTable,
    FieldKind,
    Meaning,
    Topology,
    declared_for,
    load_declared,
)
from geoserver_app.giving.findings import Severity, of_plain
from geoserver_app.giving.report import Head, read_report, write_report
from geoserver_app.messages import CHINESE

KEY = DeclaredField(name="code", required=True, unique=True, meaning=Meaning.KEY)
DAY = date(2014, 6, 30)
EAST, NORTH = 380_000, 3_540_000


def square(x: float, y: float, wide: float = 1000, high: float = 1000) -> shapely.Polygon:
    return shapely.box(EAST + x, NORTH + y, EAST + x + wide, NORTH + y + high)


def line(*points: tuple[float, float]) -> shapely.LineString:
    return shapely.LineString([(EAST + x, NORTH + y) for x, y in points])


@pytest.fixture
def given(tmp_path):
    """What was made of an upload: a clean GeoPackage of one table."""
    def make(shapes, crs="EPSG:4549", **columns) -> Contents:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.gpkg"
        columns = columns or {"code": [f"A{at}" for at in range(len(shapes))]}
        pyogrio.write_dataframe(geopandas.GeoDataFrame(columns, geometry=list(shapes), crs=crs), path, layer="districts", driver="GPKG")
        (found,) = read_clean(path)
        return found

    return make


@pytest.fixture(scope="module")
def terms(config_folder) -> Terms:
    return Terms(
        declared=DeclaredTable(layer="districts", fields=(KEY,)), currency=(None, DAY), received=date(2014, 7, 1), start=date(2014, 4, 1),
        due=date(2014, 6, 30), agreed=None, divisions=DivisionCodes.load(config_folder),
    )


def declaring(terms: Terms, *fields: DeclaredField, **others) -> Terms:
    return replace(terms, declared=DeclaredTable(**{"layer": "districts", "fields": (KEY, *fields), **others}))


def codes_of(checked: Checked) -> list[str]:
    for one in checked.findings:
        assert one.told("zh") != one.told("en") and one.plain()["zh"] == one.told(CHINESE)
    return [one.code for one in checked.findings]


def only(checked: Checked, code: str):
    (found,) = [one for one in checked.findings if one.code == code]
    return found


def test_a_delivery_as_it_should_be_has_no_finding(given, terms):
    checked = check([given([square(0, 0), square(1000, 0)])], terms)
    assert (codes_of(checked), checked.errors, checked.warnings, checked.features) == ([], 0, 0, 2)


# -- attributes

@pytest.mark.parametrize("field, values, code", [
    (DeclaredField(name="n", required=True), ["x", None], "given-empty"),
    (DeclaredField(name="n", required=True), ["x", "  "], "given-empty"),
    (DeclaredField(name="n", kind=FieldKind.INTEGER), [1.0, 1.5], "given-kind"),
    (DeclaredField(name="n", kind=FieldKind.NUMBER), ["1", "2"], "given-kind"),
    (DeclaredField(name="n", kind=FieldKind.TEXT), [1, 2], "given-kind"),
    (DeclaredField(name="n", kind=FieldKind.DATE), ["2014-01-01", "2014-02-30"], "given-kind"),
    (DeclaredField(name="n", at_most=2), ["ab", "abc"], "given-long"),
    (DeclaredField(name="n", codes=("一级", "二级")), ["一级", "三级"], "given-code-list"),
    (DeclaredField(name="n", unique=True), ["x", "x"], "given-repeated"),
    (DeclaredField(name="n", meaning=Meaning.ORGANISATION), ["000014349", "000014348"], "given-organisation"),
    (DeclaredField(name="n", meaning=Meaning.DIVISION), ["320509", "320584"], "given-division-over"),
    (DeclaredField(name="n", meaning=Meaning.DIVISION), ["320509", "320614"], "given-division-ahead"),
    (DeclaredField(name="n", meaning=Meaning.DIVISION), ["320509", "329999"], "given-division-unknown"),
    (DeclaredField(name="n", meaning=Meaning.DIVISION), ["320509", "3205"], "given-division-spelling"),
    (DeclaredField(name="n", kind=FieldKind.DATE, meaning=Meaning.AS_OF), ["2014-06-01", "2014-07-01"], "given-after-its-day"),
])
def test_what_is_wrong_with_a_value_is_told_with_the_feature_and_its_place(given, terms, field, values, code):
    contents = given([square(0, 0), square(1000, 0)], code=["A", "B"], n=values)
    checked = check([contents], declaring(terms, field))
    assert codes_of(checked) == [code] and checked.errors == 1
    (found,) = checked.findings
    assert found.keys[-1] in ("B", str(values[-1])) and len(found.shapes) == found.count
    assert 118 < found.shapes[0].bounds[0] < 119, "places are told in degrees"


def test_a_row_that_names_its_day_is_judged_by_the_codes_of_that_day(given, terms):
    when = DeclaredField(name="day", kind=FieldKind.DATE, meaning=Meaning.AS_OF)
    contents = given([square(0, 0), square(1000, 0)], code=["A", "B"], n=["320584", "320584"], day=["2012-01-01", "2014-06-01"])
    found = only(check([contents], declaring(terms, DeclaredField(name="n", meaning=Meaning.DIVISION), when)), "given-division-over")
    assert found.keys == ("B",) and "320509" in found.told("en") and "吴江市" in found.told("zh")


def test_codes_that_a_spreadsheet_made_numbers_of_are_read_as_codes(given, terms):
    contents = given([square(0, 0), square(1000, 0)], code=["A", "B"], n=[320509.0, 320104.0])
    field = DeclaredField(name="n", kind=FieldKind.NUMBER, meaning=Meaning.DIVISION)
    assert codes_of(check([contents], declaring(terms, field))) == []


def test_a_field_that_is_missing_is_told_and_one_more_only_noted(given, terms):
    contents = given([square(0, 0)], code=["A"], other=["x"])
    checked = check([contents], declaring(terms, DeclaredField(name="name", required=True), DeclaredField(name="note")))
    assert [(one.code, one.severity) for one in checked.findings] == [("given-field-missing", Severity.ERROR), ("given-fields-more", Severity.NOTE)]


def test_names_of_fields_may_be_cased_otherwise(given, terms):
    assert codes_of(check([given([square(0, 0)], CODE=["A"])], terms)) == []


def test_shapes_of_another_kind_are_told(given, terms):
    assert "given-geometry" in codes_of(check([given([square(0, 0)])], declaring(terms, geometry="line")))


def test_values_are_looked_up_in_the_layer_that_they_rest_on(given, terms):
    field = DeclaredField(name="n", base=Base(layer="dlg", table="BOUA", field="PAC"))
    contents = given([square(0, 0), square(1000, 0)], code=["A", "B"], n=["1", "2"])
    resting = replace(declaring(terms, field), base_values=lambda _field: {"1"})
    assert only(check([contents], resting), "given-not-in-base").keys == ("B",)
    absent = only(check([contents], declaring(terms, field)), "given-base-absent")
    assert absent.severity is Severity.WARNING


# -- shapes

COVERING = Topology(covers=True, tolerance=1.0)


def test_areas_that_overlap_are_told_by_pairs_and_slivers_within_the_tolerance_are_not(given, terms):
    covering = declaring(terms, topology=COVERING)
    assert codes_of(check([given([square(0, 0, 1000.5), square(1000, 0)])], covering)) == []
    found = only(check([given([square(0, 0, 1010), square(1000, 0)])], covering), "given-overlap")
    assert found.keys == ("A0 / A1",) and found.detail["area"] == "10,000.0"


def test_a_hole_among_areas_is_an_error_where_it_is_a_sliver_and_a_question_where_it_is_wide(given, terms):
    def ring(hole: float):
        inner = square(1000, 1000, hole, 1000)
        return [square(0, 0, 3000, 1000), square(0, 2000, 3000, 1000), square(0, 1000, 1000), shapely.box(inner.bounds[2], NORTH + 1000, EAST + 3000, NORTH + 2000)]

    covering = declaring(terms, topology=COVERING)
    assert codes_of(check([given(ring(3))], covering)) == ["given-gap"]
    assert codes_of(check([given(ring(500))], covering)) == ["given-hole"]
    assert codes_of(check([given(ring(0.0005))], covering)) == []


def test_ends_of_lines_that_nearly_meet_are_told_and_those_that_meet_or_end_freely_are_not(given, terms):
    network = declaring(terms, topology=Topology(network=True, tolerance=2.0))
    road = line((0, 0), (1000, 0))
    assert codes_of(check([given([road, line((500, 0), (500, 500))])], network)) == [], "an end on another line meets it"
    assert codes_of(check([given([road, line((1000, 0), (2000, 0))])], network)) == []
    assert codes_of(check([given([road, line((500, 3), (500, 500))])], network)) == []
    found = only(check([given([road, line((500, 1.5), (500, 500))])], network), "given-dangle")
    assert found.keys == ("A1",) and found.shapes[0].geom_type == "Point"


def test_the_same_shape_twice_is_told_from_whichever_corner_it_was_drawn(given, terms):
    corners = list(square(0, 0).exterior.coords)
    turned = shapely.Polygon([*corners[2:-1], *corners[:3]])
    assert only(check([given([square(0, 0), turned, square(5000, 0)])], terms), "given-same-shape").keys == ("A0", "A1")


def test_what_lies_beyond_the_agreed_ground_is_told_wholly_or_in_part(given, terms):
    contents = given([square(0, 0), square(1000, 0), square(9000, 0)])
    agreed = shapely.box(*contents.in_degrees[0].buffer(0.002).bounds)
    checked = check([contents], replace(terms, agreed=agreed))
    assert only(checked, "given-outside").keys == ("A2",) and only(checked, "given-partly-outside").keys == ("A1",)
    assert checked.errors == 1 and checked.warnings == 1


def test_data_in_degrees_are_measured_in_metres(given, terms):
    plane = given([square(0, 0, 1010), square(1000, 0)])
    degrees = given(plane.in_degrees, crs="EPSG:4490")
    found = only(check([degrees], declaring(terms, topology=COVERING)), "given-overlap")
    assert float(found.detail["area"].replace(",", "")) == pytest.approx(10_000, rel=0.002)


# -- currency

@pytest.mark.parametrize("until, code", [(date(2014, 3, 31), "given-old"), (date(2014, 7, 2), "given-currency-ahead")])
def test_data_that_are_not_of_the_period_are_told(given, terms, until, code):
    assert codes_of(check([given([square(0, 0)])], replace(terms, currency=(None, until)))) == [code]


def test_after_an_event_no_period_is_owed(given, terms):
    assert codes_of(check([given([square(0, 0)])], replace(terms, currency=(None, date(2010, 1, 1)), start=None, due=None))) == []


def test_rows_that_are_all_older_than_the_period_are_a_warning(given, terms):
    when = DeclaredField(name="day", kind=FieldKind.DATE, meaning=Meaning.AS_OF)
    checked = check([given([square(0, 0)], code=["A"], day=["2013-01-01"])], declaring(terms, when))
    assert [(one.code, one.severity) for one in checked.findings] == [("given-day-old", Severity.WARNING)]


# -- what it changes

def test_features_are_followed_by_their_key_and_every_change_is_counted(given):
    old = given([square(0, 0), square(1000, 0), square(2000, 0), square(3000, 0)], code=["A", "B", "C", "D"], name=["a", "b", "c", "d"])
    new = given([square(0, 0), square(1000, 0), square(2000, 0, 900), square(5000, 0)], code=["A", "B", "C", "E"], name=["a", "B!", "c", "e"])
    found = compare(new, old, "code")
    assert {name: (one.count, one.keys) for name, one in found.changes.items()} == {
        "added": (1, ("E",)), "removed": (1, ("D",)), "moved": (1, ("C",)), "retold": (1, ("B",)), "kept": (1, ()),
    }
    assert (found.matched_by, found.fields, found.changes["added"].km2, found.changes["moved"].km2) == ("code", {"name": 1}, 1.0, 0.9)


@pytest.mark.parametrize("key, codes", [(None, ["A", "B"]), ("code", ["A", "A"]), ("code", ["A", None]), ("absent", ["A", "B"])])
def test_without_a_key_that_names_each_once_features_are_known_by_their_shape(given, key, codes):
    old = given([square(0, 0), square(1000, 0)], code=["A", "B"])
    new = given([square(0, 0), square(2000, 0)], code=codes)
    found = compare(new, old, key)
    assert found.matched_by == "" and [found.changes[one].count for one in ("added", "removed", "moved")] == [1, 1, 0]


def test_the_first_delivery_adds_everything(given):
    found = compare(given([line((0, 0), (3000, 0)), line((0, 0), (0, 1000))]), None, "code")
    assert (found.changes["added"].count, found.changes["added"].km, found.fields_gained) == (2, 4.0, ())


def test_another_reference_system_is_no_change(given):
    old = given([square(0, 0), square(1000, 0)])
    new = given(old.in_degrees, crs="EPSG:4490", code=["A0", "A1"])
    assert compare(new, old, "code").changes["kept"].count == 2


def test_fields_that_come_and_go_are_told_and_an_empty_text_is_as_good_as_none(given):
    old = given([square(0, 0)], code=["A"], gone=["x"], note=[None])
    new = given([square(0, 0)], code=["A"], more=["y"], note=[""])
    found = compare(new, old, "code")
    assert (found.fields_gained, found.fields_lost, found.changes["kept"].count) == (("more",), ("gone",), 1)


# -- the report

HEAD = Head(
    submission="s1", agreement="AG-1", agency="police", dataset="<b>派出所</b>", layer="police-districts", edition="2014-2", file_name="a&b.gpkg", sha256="ab" * 32,
    currency="2014-06-30", written=datetime(2014, 7, 1),
)


def test_the_report_tells_people_and_machines_the_same_and_runs_nothing(given, terms, tmp_path):
    contents = given([square(0, 0, 1010), square(1000, 0)], code=["<script>", "<script>"])
    checked = check([contents], declaring(terms, topology=COVERING), ["`x`: 2 shapes were repaired", "written as GeoPackage"])
    folder = tmp_path / "report"
    write_report(checked, HEAD, folder)
    document, page = read_report(folder), (folder / "report.html").read_text("utf-8")
    assert document["counts"]["error"] == checked.errors == len([one for one in document["findings"] if one["severity"] == "error"])
    for told in document["findings"]:
        assert of_plain(told).told("zh") == told["zh"] and of_plain(told).told("en") == told["en"]
    assert "<script" not in page and "<b>派出所" not in page and "&lt;script&gt;" in page
    assert "src=" not in page and "href=" not in page
    for name in ("findings", "difference"):
        root = ET.parse(folder / f"{name}.svg").getroot()
        assert root.tag.endswith("svg") and len(list(root.iter())) > 6
    assert json.loads((folder / "report.json").read_text("utf-8")) == document
    assert read_report(tmp_path / "none") is None


def test_a_sliver_that_crosses_itself_in_another_plane_is_made_sound():
    crossed = shapely.Polygon([(EAST, NORTH), (EAST + 10, NORTH + 10), (EAST + 10, NORTH), (EAST, NORTH + 10)])
    (found,) = moved(np.array([crossed], dtype=object), "EPSG:4549", "CRS:84")
    assert not crossed.is_valid and found.is_valid and found.area > 0


def test_the_same_data_make_the_same_pictures(given, terms, tmp_path):
    contents = given([square(0, 0), square(1000, 0)])
    for name in ("one", "two"):
        write_report(check([contents], terms), HEAD, tmp_path / name)
    assert (tmp_path / "one" / "difference.svg").read_bytes() == (tmp_path / "two" / "difference.svg").read_bytes()


# -- what is declared

def test_the_table_of_the_house_can_be_read_and_every_dataset_in_it_is_one_of_the_samples(config_folder):
    samples = "".join(path.read_text("utf-8") for path in (config_folder / "agreements").glob("*.yaml"))
    for table in load_declared(config_folder):
        assert table.key and table.source and all(name in samples for name in table.datasets)


def test_of_a_dataset_that_is_not_declared_the_agreement_says_geometry_and_key(tmp_path):
    found = declared_for(tmp_path, Contribution(dataset="x", geometry="polygon", join_key="编码"))
    assert (found.layer, found.geometry, found.key) == ("", "area", "编码")
    assert declared_for(tmp_path, Contribution(dataset="x", geometry="table")).geometry is None


@pytest.mark.parametrize("text, told", [
    ("tables: 3", "a list"), ("- x", "a list"), ("a: [", "not YAML"),
    ("tables: [{layer: a, datasets: [x], title: {zh: x, en: x}, geometry: circle, fields: {}, source: s}]", "geometry one of"),
    ("tables: [{layer: a, datasets: [x], title: {zh: x, en: x}, geometry: area, fields: {f: {kind: text}}, source: s}]", "has no `kind`"),
    ("tables: [{layer: a, datasets: [x], title: {zh: x, en: x}, geometry: area, fields: {f: {type: blob}}, source: s}]", "blob"),
    ("tables: [{layer: a, datasets: [x], title: {zh: x, en: x}, geometry: area, fields: {f: {is: key}, g: {is: key}}, source: s}]", "more than one"),
    ("tables: [{layer: a}]", "missing"),
])
def test_every_fault_of_the_declarations_is_told(tmp_path, text, told):
    (tmp_path / "contributed.yaml").write_text(text, "utf-8")
    with pytest.raises(DeclarationsInvalid, match=told):
        load_declared(Path(tmp_path))
