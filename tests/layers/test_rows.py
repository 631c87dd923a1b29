"""Row filters: what may be said, and that a feature told and a feature drawn are chosen by one logic."""

import sqlite3

import pyogrio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.errors import RowsInvalid
from layers.features import FeatureQuery, GeoPackageStore
from layers.ingest.job import AddLayer, add_layer
from layers.model import ProductType
from layers.rows import DEEPEST_WRITTEN, LONGEST_WRITTEN, parse_rows, parse_written

ROAD = {"NAME": "长江路", "GRADE": 2, "WIDTH": 12.5, "CODE": "420100", "OPEN": True, "NOTE": None}


def matches(text: str, feature_class: str = "LRDL", **changes) -> bool:
    return parse_rows(text).matches(feature_class, ROAD | changes)


def in_sqlite(text: str, rows: list[dict], types: dict[str, str], feature_class: str = "LRDL") -> list[bool]:
    """Which of the rows SQLite finds, in a table whose columns are declared so."""
    database = sqlite3.connect(":memory:")
    columns = ", ".join(f'"{name}" {types.get(name, "TEXT")}' for name in rows[0])
    database.execute(f'CREATE TABLE t (fid INTEGER PRIMARY KEY, {columns})')
    marks = ", ".join("?" * len(rows[0]))
    database.executemany(f"INSERT INTO t VALUES (NULL, {marks})", [tuple(row[name] for name in rows[0]) for row in rows])
    condition = parse_rows(text).where(feature_class, tuple(rows[0]))
    found = {row[0] for row in database.execute(f"SELECT fid FROM t WHERE {condition}")} if condition else set()
    database.close()
    return [number in found for number in range(1, len(rows) + 1)]


# What it says

@pytest.mark.parametrize("text, shown", [
    ("GRADE <= 2", True), ("GRADE < 2", False), ("2 >= GRADE", True), ("3 < GRADE", False), ("GRADE <> 2", False),
    ("GRADE BETWEEN 1 AND 2", True), ("GRADE NOT BETWEEN 1 AND 2", False), ("GRADE IN (1, 2)", True), ("GRADE NOT IN (1, 2)", False),
    ("NAME = '长江路'", True), ("NAME LIKE '长%'", True), ("NAME LIKE '%江_'", True), ("NAME LIKE '江%'", False), ("NAME NOT LIKE '江%'", True),
    ("NOTE IS NULL", True), ("NAME IS NULL", False), ("NAME IS NOT NULL AND GRADE = 2", True),
    ("OPEN = TRUE", True), ("OPEN <> TRUE", False), ("OPEN = 1", True), ("WIDTH > 12.4 AND WIDTH < 1.26e1", True),
    ("NOT (GRADE = 1 OR GRADE = 2)", False), ("GRADE = 1 OR NAME LIKE '%路' AND WIDTH > 10", True),
])
def test_a_filter_shows_what_its_conditions_are_true_of(text, shown):
    assert matches(text) is shown


def test_what_is_unknown_is_not_shown_and_neither_is_its_opposite():
    for text in ("NOTE = 'x'", "NOTE <> 'x'", "NOT NOTE = 'x'", "NOTE LIKE '%'", "NOTE IN ('x')", "NOT NOTE IN ('x')", "NOTE > 1", "NOT NOTE > 1"):
        assert not matches(text), text
    assert matches("NOTE = 'x' OR GRADE = 2")
    assert not matches("NOTE = 'x' AND GRADE = 2")
    assert matches("NOT (NOTE = 'x' AND GRADE = 3)")


def test_a_number_and_a_text_are_never_equal_nor_different():
    for text in ("CODE = 420100", "CODE <> 420100", "CODE > 0", "GRADE = '2'", "GRADE <> '2'", "GRADE < '9'", "GRADE LIKE '2%'", "WIDTH IN ('12.5')"):
        assert not matches(text), text
    assert matches("CODE = '420100' AND CODE LIKE '42%' AND GRADE = 2")


def test_texts_are_compared_by_code_points_and_case_by_case():
    assert matches("NAME > 'Z'", NAME="a") and not matches("NAME = 'a'", NAME="A")
    assert matches("NAME LIKE 'a%'", NAME="abc") and not matches("NAME LIKE 'a%'", NAME="Abc")
    assert not matches("NAME = '长江路'", NAME="长江路 ")


def test_the_characters_of_a_pattern_mean_themselves_where_a_backslash_says_so():
    assert matches(r"NAME LIKE '100\%'", NAME="100%") and not matches(r"NAME LIKE '100\%'", NAME="100 m")
    assert matches(r"NAME LIKE 'a\_b'", NAME="a_b") and not matches(r"NAME LIKE 'a\_b'", NAME="axb")
    assert matches(r"NAME LIKE 'a\\b'", NAME="a\\b")
    for special in ("a*b", "a?b", "a[b", "a]b", "a.b", "a^b", "[x]"):
        assert matches(f"NAME LIKE '{special}'", NAME=special)
        assert in_sqlite(f"NAME LIKE '{special}'", [{"NAME": special}, {"NAME": "axb"}, {"NAME": "x"}], {}) == [True, False, False]


def test_a_name_with_its_class_is_asked_of_that_class_alone():
    rows = parse_rows("LRDL.GRADE = 2")
    assert rows.matches("LRDL", ROAD) and not rows.matches("HYDL", ROAD)
    assert rows.where("HYDL", tuple(ROAD)) is None
    both = parse_rows("LRDL.GRADE = 2 OR HYDL.NAME LIKE '长%'")
    assert both.matches("LRDL", ROAD) and both.matches("HYDL", ROAD) and not both.matches("BOUA", ROAD)
    assert both.attributes == {"LRDL.GRADE", "HYDL.NAME"}


def test_a_class_without_a_field_has_no_rows_of_what_is_asked_of_it():
    for text in ("DEPTH > 1", "DEPTH IS NULL", "DEPTH IS NOT NULL", "NOT DEPTH > 1", "DEPTH > 1 AND GRADE = 2", "depth > 1", "name = '长江路'"):
        assert not matches(text), text
        assert parse_rows(text).where("LRDL", tuple(ROAD)) is None
    assert matches("DEPTH > 1 OR GRADE = 2")


# What may not be said

@pytest.mark.parametrize("text, told", [
    ("GRADE ==", "not CQL2 text at character 8"), ("", "not CQL2 text"), ("GRADE", "condition should"), ("TRUE", "condition should"),
    ("S_INTERSECTS(geom, POINT(0 0))", "s_intersects"), ("CASEI(NAME) = CASEI('x')", "must compare one field"), ("GRADE + 1 = 2", "must compare one field"),
    ("GRADE = WIDTH", "must compare one field"), ("1 = 1", "must compare one field"), ("GRADE = NULL", "IS NULL"), ("NAME LIKE NOTE", "pattern in quotes"),
    ("DATE = DATE('2011-05-01')", "dates are text"), ("GRADE IN (1, WIDTH)", "neither a number nor a text"), ("GRADE BETWEEN 1 AND WIDTH", "neither a number nor a text"),
    ("GRADE = 12345678901234567", "15 digits"), ("GRADE = 1e400", "15 digits"), ("OPEN > TRUE", "no order"), ("GRADE = - -1", "signs"),
    (r"NAME LIKE 'a\b'", "ordinary character"), ("NAME LIKE 'a\\'", "ends in a backslash"), ("NAME LIKE '%a%b%c%d%e%f%g%h%i%'", "more than 8"),
    ("NAME = 'a\nb'", "control character"), ("GRADE = 1; DROP TABLE t", "not CQL2 text"), ("load_extension('x') = 1", "must compare one field"),
])
def test_what_may_not_be_said_is_refused_with_what_is_wrong(text, told):
    with pytest.raises(RowsInvalid, match="row filter") as refused:
        parse_rows(text)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_written_filter_is_short_and_flat_and_several_of_them_may_be_joined():
    longest = "GRADE IN (" + ", ".join(["1"] * 300) + ")"
    flat = "(" * DEEPEST_WRITTEN + "GRADE = 1" + ")" * DEEPEST_WRITTEN
    assert len(longest) <= LONGEST_WRITTEN
    joined = longest
    for one in [flat, longest] * 3:
        parse_written(one)
        joined = f"({joined}) AND ({one})"
    assert parse_rows(joined).matches("LRDL", ROAD | {"GRADE": 1})
    for text in (longest + " " * LONGEST_WRITTEN, f"({flat})"):
        with pytest.raises(RowsInvalid):
            parse_written(text)


@pytest.mark.parametrize("text", ["(" * 100_000 + "A = 1" + ")" * 100_000, "NOT " * 100_000 + "A = 1", "A IN " + "(" * 9000 + "1" + ")" * 9000, "A = " + "-" * 9000 + "1"])
def test_a_filter_that_would_end_the_parsers_stack_never_reaches_it(text):
    with pytest.raises(RowsInvalid):
        parse_rows(text)


@given(st.text(alphabet="ABab长 ()'\"%_\\=<>,.-+0123456789\nNOTANDORINLKEISU", max_size=60))
@settings(max_examples=400, deadline=None)
def test_any_text_is_a_filter_or_is_refused(text):
    try:
        parse_rows(text)
    except RowsInvalid as refused:
        assert "row filter" in str(refused)


# One logic

TYPES = {"GRADE": "INTEGER", "WIDTH": "REAL", "NAME": "TEXT", "CODE": "TEXT", "OPEN": "BOOLEAN"}
WORDS = st.sampled_from(["", "a", "A", "ab", "长", "长江", "10", "9", "1.0", "%", "_", "*", "[", "'", "\"", "\\", "é", "𠀀"])
NUMBERS = st.one_of(st.integers(-12, 12), st.sampled_from([0.1, -0.5, 1.0, 1e-300, 2.0**52]))
VALUES = {
    "GRADE": st.none() | st.integers(-12, 12), "WIDTH": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "NAME": st.none() | WORDS, "CODE": st.none() | st.sampled_from(["10", "9", "1.0", "x"]), "OPEN": st.none() | st.booleans(),
}


def written(value) -> str:
    return str(value) if isinstance(value, int | float) else "'" + value.replace("'", "''") + "'"


LITERALS = st.one_of(NUMBERS, WORDS).map(written)
FIELD_NAMES = st.sampled_from([*TYPES, "LRDL.GRADE", "HYDL.GRADE", "DEPTH"])
PATTERNS = st.lists(st.sampled_from(["a", "长", "%", "_", r"\%", r"\_", r"\\", "*", "[", "1"]), max_size=4).map("".join).map(written)
CONDITIONS = st.one_of(
    st.tuples(FIELD_NAMES, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), LITERALS).map(" ".join),
    st.tuples(FIELD_NAMES, st.sampled_from([" BETWEEN ", " NOT BETWEEN "]), LITERALS, st.just(" AND "), LITERALS).map("".join),
    st.tuples(FIELD_NAMES, st.sampled_from([" IN (", " NOT IN ("]), st.lists(LITERALS, min_size=1, max_size=3).map(", ".join), st.just(")")).map("".join),
    st.tuples(FIELD_NAMES, st.sampled_from([" LIKE ", " NOT LIKE "]), PATTERNS).map("".join),
    st.tuples(FIELD_NAMES, st.sampled_from([" IS NULL", " IS NOT NULL"])).map("".join),
)
FILTERS = st.recursive(CONDITIONS, lambda inner: st.one_of(
    inner.map(lambda one: f"NOT ({one})"), st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"),
), max_leaves=6)


@given(FILTERS, st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=8))
@settings(max_examples=1500, deadline=None)
def test_sqlite_draws_exactly_the_features_that_are_told(text, rows):
    told = [parse_rows(text).matches("LRDL", row) for row in rows]
    assert in_sqlite(text, rows, TYPES) == told


@given(st.lists(FILTERS, min_size=2, max_size=4), st.fixed_dictionaries(VALUES))
@settings(max_examples=200, deadline=None)
def test_filters_joined_as_agreements_join_them_show_what_all_of_them_show(texts, row):
    joined = " AND ".join(f"({text})" for text in texts)
    assert parse_rows(joined).matches("LRDL", row) == all(parse_rows(text).matches("LRDL", row) for text in texts)


def test_what_is_read_for_telling_equals_what_is_stored_for_drawing_in_every_type_of_field(tmp_path, catalogue, config_folder):
    """Dates, booleans, whole numbers with gaps and Chinese names, through the real way in."""
    (tmp_path / "in.geojson").write_text(
        '{"type": "FeatureCollection", "features": [' + ",".join(
            f'{{"type": "Feature", "geometry": {{"type": "Point", "coordinates": [119.{n}, 32.1]}}, "properties": {{"名称": {name}, "DAY": {day}, '
            f'"SEEN": {seen}, "RANK": {rank}, "OPEN": {is_open}, "CODE": {code}}}}}'
            for n, (name, day, seen, rank, is_open, code) in enumerate([
                ('"长江"', '"2011-05-01"', '"2011-05-01T08:09:10Z"', "1", "true", '"0042"'),
                ('"Yangtze"', '"2012-01-02"', '"2012-01-02T00:00:00.250Z"', "null", "false", '"42"'), ("null", "null", "null", "3", "null", "null"),
            ])
        ) + "]}", encoding="utf-8",
    )
    request = AddLayer(product=ProductType.OVERLAY, name="places", edition="1", paths=(tmp_path / "in.geojson",))
    edition = add_layer(catalogue, tmp_path / "store", request, workers=1, config=config_folder)
    folder, (table,) = tmp_path / "store" / edition.folder, edition.classes
    database = sqlite3.connect(folder / edition.vectors)
    (batch,) = GeoPackageStore(tmp_path / "store").batches(edition, FeatureQuery(table=table, fields=table.fields))
    told = [dict(zip(batch.columns, values, strict=True)) for values in zip(*batch.columns.values(), strict=True)]
    assert len(told) == 3
    for text in (
        "名称 = '长江'", "名称 LIKE '长%'", "名称 IS NULL", "DAY >= '2012'", "DAY < '2012'", "DAY = '2011-05-01'", "DAY LIKE '2011-05-01%'",
        "SEEN = '2011-05-01T08:09:10Z'", "SEEN < '2012-01-02T00:00:00.250Z'", "SEEN LIKE '%.250Z'", "RANK = 1", "RANK <> 1", "RANK IS NULL",
        "OPEN = TRUE", "OPEN = FALSE", "OPEN IS NULL", "CODE = '42'", "CODE LIKE '%42'", "CODE = 42",
    ):
        rows = parse_rows(text)
        condition = rows.where(table.name, table.fields)
        drawn = [one for (one,) in database.execute(f'SELECT "名称" FROM "{table.name}" WHERE {condition} ORDER BY rowid')]
        assert drawn == [one["名称"] for one in told if rows.matches(table.name, one)], text
    assert parse_rows("SEEN LIKE '2011%'").matches(table.name, told[0])
    assert pyogrio.read_info(folder / edition.vectors, layer=table.name)["features"] == 3
    database.close()
