"""Every store of features answers alike: as a list of features would that is looked through one by one."""

import random
from dataclasses import replace

import geopandas
import numpy as np
import pandas
import pyogrio
import pytest
import shapely
import sqlalchemy as sa
from county import edition_of, write_county
from listed_features import ListedStore

from layers.errors import FeaturesUnavailable
from layers.features import FeatureQuery, FieldType, GeoPackageStore, PostgisStore
from layers.model import Bounds, Source
from layers.rows import all_of, any_of, parse_rows

CRS, WEST, SOUTH = "EPSG:4549", 384_000.0, 3_548_000.0


def places(seed: int = 1, count: int = 300) -> geopandas.GeoDataFrame:
    rng = random.Random(seed)
    shapes = []
    for number in range(count):
        x, y = WEST + rng.uniform(0, 1000), SOUTH + rng.uniform(0, 1000)
        shapes.append(shapely.LineString([(x, y, 1.0 + number), (x + rng.uniform(1, 80), y + rng.uniform(-40, 40), 2.0)]))
    return geopandas.GeoDataFrame({
        "NAME": [rng.choice(("长江路", "Abc", "abc", "a%b", "a_b", "", None)) for _ in range(count)],
        "GB": pandas.array([rng.choice((1, 2, 30, None)) for _ in range(count)], dtype="Int64"),
        "WIDTH": [rng.choice((1.5, 2.0, -3.25, np.nan)) for _ in range(count)], "OPEN": [rng.random() < 0.5 for _ in range(count)],
        "BUILT": pandas.to_datetime([rng.choice(("2009-05-01", "2011-01-02")) for _ in range(count)]).date,
    }, geometry=shapes, crs=CRS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    pyogrio.write_dataframe(places(), folder / "v.gpkg", layer="LRDL", layer_options={"FID": "ogc_fid"})
    return folder


@pytest.fixture(scope="module")
def edition(folder, config_folder):
    return replace(edition_of(folder / "v.gpkg", config_folder), folder="")


def postgis(url: str, folder, edition) -> PostgisStore:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            if not connection.exec_driver_sql("SELECT count(*) FROM pg_available_extensions WHERE name = 'postgis'").scalar():
                pytest.skip("PostGIS is not installed for this PostgreSQL")
    finally:
        engine.dispose()
    store = PostgisStore(url, GeoPackageStore(folder))
    assert store.load(edition) == []
    return store


@pytest.fixture(scope="module", params=("geopackage", "postgis"))
def store(request, folder, edition):
    """The one in PostGIS has a database of its own: other tests empty theirs."""
    if request.param == "geopackage":
        yield GeoPackageStore(folder)
        return
    server = sa.make_url(request.getfixturevalue("postgresql_server"))
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS features_alike")
        connection.exec_driver_sql("CREATE DATABASE features_alike")
    engine.dispose()
    found = postgis(server.set(database="features_alike").render_as_string(hide_password=False), folder, edition)
    yield found
    found.engine.dispose()


@pytest.fixture(scope="module")
def listed(folder, edition):
    """The same features in a list, read by GDAL."""
    frame = pyogrio.read_dataframe(folder / "v.gpkg", fid_as_index=True, datetime_as_string=True)
    rows = []
    for key, row in frame.iterrows():
        values = {
            "NAME": None if pandas.isna(row.NAME) else row.NAME, "GB": None if pandas.isna(row.GB) else int(row.GB),
            "WIDTH": None if pandas.isna(row.WIDTH) else float(row.WIDTH), "OPEN": bool(row.OPEN), "BUILT": str(row.BUILT)[:10],
        }
        rows.append((int(key), row.geometry, values))
    return ListedStore({"LRDL": rows})


def told(store, edition, size=1000, **asked):
    table = edition.classes[0]
    asked.setdefault("fields", table.fields)
    return [
        (int(key), shape.wkb, tuple(values))
        for batch in store.batches(edition, FeatureQuery(table=table, **asked), size)
        for key, shape, *values in zip(batch.keys, batch.shapes, *batch.columns.values(), strict=True)
    ]


FILTERS = (
    "GB = 1", "GB <> 1", "GB >= 2 AND NOT NAME = 'abc'", "NAME IS NULL", "NOT (NAME IS NULL OR GB = 2)", "NAME LIKE 'a%'", r"NAME LIKE 'a\%b'", "NAME LIKE 'a_b'",
    r"NAME LIKE 'a\_b'", "NAME < 'a'", "NAME >= '中'", "NAME = 'ABC'", "WIDTH BETWEEN -4 AND 1.5", "WIDTH <> 2", "GB IN (1, 30)", "OPEN = TRUE", "OPEN <> 1",
    "BUILT > '2010-01-01'", "GB = '1'", "NAME = 1", "NOT GB = '1'", "LRDL.GB = 2", "HYDL.GB = 2", "NOPE IS NULL OR GB = 1", "NAME = '''; DROP TABLE x; --'",
)


@pytest.mark.parametrize("text", FILTERS)
def test_a_row_filter_is_answered_alike(store, listed, edition, text):
    rows = parse_rows(text)
    assert told(store, edition, where=rows) == told(listed, edition, where=rows)


def test_filters_are_joined(store, listed, edition):
    one, other = parse_rows("GB = 1"), parse_rows("NAME LIKE '%b%'")
    for rows in (all_of([one, other]), any_of([one, other])):
        assert told(store, edition, where=rows) == told(listed, edition, where=rows) != []


@pytest.mark.parametrize("seed", range(12))
def test_boxes_pages_and_sizes_are_answered_alike(store, listed, edition, seed):
    rng = random.Random(seed)
    x, y = WEST + rng.uniform(-100, 900), SOUTH + rng.uniform(-100, 900)
    box = Bounds(x, y, x + rng.choice((0, 50, 400, 3000)), y + rng.choice((0, 50, 400, 3000)))
    asked = {"box": box, "after": rng.choice((None, 0, 100, 299, 5000)), "where": rng.choice((None, parse_rows("GB = 1")))}
    assert told(store, edition, size=rng.choice((1, 7, 1000, 50_000)), **asked) == told(listed, edition, **asked)


def test_one_may_be_asked_alone(store, listed, edition):
    for key in (1, 17, 300, 301, -5):
        assert told(store, edition, key=key) == told(listed, edition, key=key)
    assert told(store, edition, key=17, after=17) == []


def test_only_the_fields_that_are_wanted_come_in_their_order(store, edition):
    assert [values for *_, values in told(store, edition, key=1, fields=())] == [()]
    (batch,) = store.batches(edition, FeatureQuery(table=edition.classes[0], fields=("GB", "NAME"), key=1))
    assert list(batch.columns) == ["GB", "NAME"]


def test_types_are_told(store, edition):
    assert store.fields(edition, edition.classes[0]) == {
        "NAME": FieldType.TEXT, "GB": FieldType.INTEGER, "WIDTH": FieldType.NUMBER, "OPEN": FieldType.BOOLEAN, "BUILT": FieldType.TEXT,
    }
    assert store.text_fields(edition, edition.classes[0]) == {"NAME", "BUILT"}


def test_heights_are_kept(store, edition):
    (batch,) = store.batches(edition, FeatureQuery(table=edition.classes[0], key=5))
    assert shapely.get_coordinates(batch.shapes, include_z=True)[:, 2].tolist() == [5.0, 2.0]


def test_a_page_is_read_without_the_rest(store, edition):
    first = next(store.batches(edition, FeatureQuery(table=edition.classes[0]), 5))
    assert first.keys.tolist() == [1, 2, 3, 4, 5]


def test_a_file_that_is_gone_is_no_empty_layer(edition, tmp_path):
    with pytest.raises(FeaturesUnavailable):
        list(GeoPackageStore(tmp_path).batches(edition, FeatureQuery(table=edition.classes[0])))


def test_many_readers_at_once_read_the_same(edition, folder):
    from concurrent.futures import ThreadPoolExecutor
    store = GeoPackageStore(folder)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: told(store, edition, size=number % 9 + 1), range(24)))
    assert all(answer == answers[0] for answer in answers) and len(answers[0]) == 300


def test_a_copy_is_only_of_the_file_that_it_was_made_of(postgresql_url, folder, edition, config_folder, tmp_path):
    store = postgis(postgresql_url, folder, edition)
    try:
        pyogrio.write_dataframe(places(2, 20), tmp_path / "v.gpkg", layer="LRDL")
        other = replace(edition_of(tmp_path / "v.gpkg", config_folder), folder="")
        beside = PostgisStore(postgresql_url, GeoPackageStore(tmp_path))
        assert len(told(beside, other)) == 20, "of the same number, but another file: read from that"
        newer = replace(edition, generation=2)
        assert store.load(newer) == [] and len(told(store, newer)) == 300
        with store.engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM feature_tables").scalar() == 1, "the copy of the older generation is gone"
        beside.engine.dispose()
    finally:
        store.engine.dispose()


def test_what_does_not_fit_a_column_stays_in_its_file(postgresql_url, config_folder, tmp_path):
    import sqlite3
    pyogrio.write_dataframe(places(3, 5), tmp_path / "v.gpkg", layer="LRDL")
    with sqlite3.connect(tmp_path / "v.gpkg") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'LRDL'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("UPDATE LRDL SET GB = 'many' WHERE fid = 2")
    connection.close()
    edition = replace(edition_of(tmp_path / "v.gpkg", config_folder), folder="")
    postgis_store = PostgisStore(postgresql_url, GeoPackageStore(tmp_path))
    try:
        with postgis_store.engine.connect() as connection:
            if not connection.exec_driver_sql("SELECT count(*) FROM pg_available_extensions WHERE name = 'postgis'").scalar():
                pytest.skip("PostGIS is not installed for this PostgreSQL")
        assert postgis_store.load(edition) == ["LRDL"]
        assert told(postgis_store, edition, key=2)[0][2][1] == "many"
    finally:
        postgis_store.engine.dispose()


def test_live_tables_are_read_where_they_live(postgresql_url, folder, edition):
    store = PostgisStore(postgresql_url, GeoPackageStore(folder))
    assert len(told(store, replace(edition, source=Source.LIVE))) == 300
    store.engine.dispose()


def test_the_whole_county_is_the_same_in_both(postgresql_url, config_folder, tmp_path):
    county = write_county(tmp_path, config_folder)
    files = GeoPackageStore(county.folder)
    store = postgis(postgresql_url, county.folder, county.edition)
    try:
        for table in county.edition.classes:
            query = FeatureQuery(table=table, fields=table.fields)
            ours, theirs = ([(batch.keys.tolist(), shapely.to_wkb(batch.shapes).tolist(), batch.columns) for batch in one.batches(county.edition, query)]
                            for one in (files, store))
            assert ours == theirs, table.name
    finally:
        store.engine.dispose()
