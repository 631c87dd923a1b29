"""Questions in SQL over the record answer what was written, and reach nothing else; exports and retired days hold every row."""

import csv
import json
from datetime import date, datetime, timedelta

import duckdb
import pytest
from made_record import MONDAY, lines_of, tile_event, write_rows

from geoserver_app.audit.retire import RetirementRefused, export_faults, retire, retired_days
from geoserver_app.audit.sealing import RecordNotFound, check, read_record, seal_days
from geoserver_app.audit.sql import COLUMNS_FOLDER, QueryInvalid, connect, export, select
from geoserver_app.audit.store import AuditStore
from geoserver_app.clock import SHANGHAI
from geoserver_app.database import connect as connect_database
from geoserver_app.database import migrate
from geoserver_app.decision_log import DecisionLog
from geoserver_app.settings import Settings

DAY = MONDAY.date()
FRIDAY = datetime(2026, 11, 27, 0, 5, tzinfo=SHANGHAI)

MAP_EVENT = {
    "event": "overlay.decided", "agency": "water", "key": "k_2", "operation": "GetMap", "epoch": 7, "app": "flood", "purpose": "flood-control",
    "networks": ["10.0.0.0/8"], "crs": "EPSG:4549", "bounds": [1.5, 2.0, 3.0, 4.0], "size": [256, 128],
    "layers": [
        {"layer": "dom", "edition": "2011", "operation": "GetMap", "owner": "bureau", "product": "DOM", "effect": "clip", "style": "=cmd|' /C calc'!A0",
         "attributes": ["NAME"], "scale_denominator": 10000.5, "reasons": [["AG-1", 2, "3.1", "granted"], ["AG-2", 1, "3.2", "outside-scale"]],
         "charged": {"AG-1": {"requests": 1, "megapixels": 0.03}}},
        {"layer": "dem", "edition": "2011", "operation": "GetMap", "effect": "permit", "reasons": [[None, None, None, "own-layer"]]},
    ],
}


def at_friday():
    return FRIDAY


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "decisions"


@pytest.fixture
def store(tmp_path):
    settings = Settings.at(tmp_path / "var")
    migrate(settings)
    database = connect_database(settings.database_url)
    yield AuditStore(database)
    database.dispose()


@pytest.fixture
def record(folder, store):
    """Ten tiles on Monday, a map, an administrator's act and a list on Tuesday, two tiles on Friday."""
    write_rows(folder, 10, MONDAY, store)
    log, at = DecisionLog(folder, store, anchor_seconds=3600), (MONDAY + timedelta(days=1)).timestamp()
    log.write(MAP_EVENT, at)
    log.write({"event": "admin.acted", "operation": "key.issue", "agency": None, "actor": "li", "object": "water/k_2", "outcome": "done"}, at)
    log.write({"event": "overlay.listed", "agency": "water", "key": "k_2", "operation": "DescribeLayer", "epoch": 7, "listed": 3}, at)
    log.close()
    write_rows(folder, 2, FRIDAY, store)
    return folder


@pytest.fixture
def asks(record):
    connection = connect(record, clock=at_friday)
    yield lambda sql: select(connection, sql)[1]
    connection.close()


def test_every_record_is_a_row_and_every_layer_of_one_too(asks):
    assert asks("SELECT count(*), count(DISTINCT id) FROM audit") == [(15, 15)]
    assert asks("SELECT count(*) FROM audit_layers") == [(12 + 2,)]
    assert asks("SELECT event, count(*) FROM audit GROUP BY event ORDER BY event") == [
        ("admin.acted", 1), ("overlay.decided", 10), ("overlay.listed", 1), ("overlay.unidentified", 3),
    ]


def test_a_map_is_told_layer_by_layer_with_the_reason_that_counts(asks):
    rows = asks("SELECT layer, effect, agreement, version, clause, code, crs, scale_denominator, attributes FROM audit_layers WHERE operation = 'GetMap'")
    assert rows == [
        ("dom", "clip", "AG-1", 2, "3.1", "granted", None, 10000.5, ["NAME"]), ("dem", "permit", None, None, None, "own-layer", None, None, None),
    ]
    assert asks("SELECT charged ->> '$.AG-1.megapixels' FROM audit_layers WHERE charged IS NOT NULL") == [("0.03",)]
    assert asks("SELECT effect, bounds, size, networks, app, purpose, epoch FROM audit WHERE operation = 'GetMap'") == [
        ("clip", [1.5, 2.0, 3.0, 4.0], [256, 128], ["10.0.0.0/8"], "flood", "flood-control", 7),
    ]


def test_a_tile_and_an_act_are_told_with_what_they_have(asks):
    assert asks('SELECT tms, tile, effect, day, audit.at FROM audit WHERE agency = \'water\' ORDER BY "at" LIMIT 1') == [
        ("WebMercatorQuad", [14, 0, 0], "deny", DAY, MONDAY),
    ]
    assert asks("SELECT actor, operation, object, outcome, effect FROM audit WHERE event = 'admin.acted'") == [
        ("li", "key.issue", "water/k_2", "done", None),
    ]


def test_days_are_those_of_shanghai(asks):
    assert asks("SELECT day, count(*) FROM audit GROUP BY day ORDER BY day") == [(DAY, 10), (date(2026, 11, 24), 3), (date(2026, 11, 27), 2)]


@pytest.mark.parametrize("sql", (
    "SELECT * FROM read_text('/etc/hostname')", "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM glob('/*')", "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM 'http://127.0.0.1/x.csv'", "COPY audit TO '/tmp/x.csv'", "ATTACH '/tmp/x.db'", "INSTALL httpfs", "LOAD httpfs",
    "SET enable_external_access = true", "DROP VIEW audit", "CREATE TABLE t AS SELECT 1", "SELECT 1; DROP VIEW audit", "PRAGMA database_list",
    "EXPORT DATABASE '/tmp/x'", "UPDATE written SET agency = 'x'", "SELECT nonsense FROM audit", "", "CALL pragma_version()",
))
def test_sql_reads_the_record_and_nothing_else(record, asks, sql):
    with pytest.raises(QueryInvalid) as told:
        asks(sql)
    assert "\n" not in str(told.value)
    assert asks("SELECT count(*) FROM audit") == [(15,)]


def test_the_connection_itself_writes_no_file_and_changes_no_setting(record):
    with connect(record, clock=at_friday) as connection:
        (columns,) = (record / COLUMNS_FOLDER).glob("2026-11-23-*.parquet")
        for sql in ("SET enable_external_access = true", "SET allowed_paths = ['/etc/passwd']", f"COPY audit TO '{record}/x.csv'", "INSTALL httpfs"):
            with pytest.raises(duckdb.Error):
                connection.execute(sql)
        before = columns.read_bytes()
        with pytest.raises(duckdb.Error):
            connection.execute(f"COPY audit TO '{columns}' (FORMAT parquet)")
        assert columns.read_bytes() == before


def test_days_can_be_chosen(record):
    with connect(record, first=date(2026, 11, 24), last=date(2026, 11, 26), clock=at_friday) as connection:
        assert select(connection, "SELECT count(*) FROM audit")[1] == [(3,)]
    with connect(record / "nothing", clock=at_friday) as connection:
        assert select(connection, "SELECT count(*) FROM audit_layers")[1] == [(0,)]


def test_columns_are_kept_of_days_that_are_over_and_made_anew_when_the_day_is_another(record):
    def counted(**how):
        with connect(record, clock=at_friday, **how) as connection:
            return select(connection, "SELECT count(*) FROM audit")[1][0][0]

    assert counted() == 15
    kept = {path.name: path.stat().st_mtime_ns for path in (record / COLUMNS_FOLDER).iterdir()}
    assert sorted(name[:10] for name in kept) == ["2026-11-23", "2026-11-24"]
    assert counted() == 15 and {path.name: path.stat().st_mtime_ns for path in (record / COLUMNS_FOLDER).iterdir()} == kept
    write_rows(record, 4, MONDAY + timedelta(hours=3))
    assert counted() == 19
    assert len(list((record / COLUMNS_FOLDER).iterdir())) == 2
    for path in (record / COLUMNS_FOLDER).iterdir():
        path.write_bytes(b"rubbish")
    assert counted(fresh=True) == 19 == counted()


def test_an_auditor_without_the_right_to_write_is_answered_all_the_same(record, monkeypatch):
    (record / COLUMNS_FOLDER).write_text("no folder")
    with connect(record, clock=at_friday) as connection:
        assert select(connection, "SELECT count(*) FROM audit")[1] == [(15,)]


def test_a_torn_line_hides_nothing(record):
    path = sorted(record.glob("2026-11-27/*.jsonl"))[0]
    path.write_bytes(path.read_bytes() + b'{"id":"2026')
    with connect(record, clock=at_friday) as connection:
        assert select(connection, "SELECT count(*) FROM audit")[1] == [(15,)]


# -- exports

def test_an_export_has_a_row_for_every_layer_of_every_record(record, tmp_path):
    days = {"first": DAY, "last": FRIDAY.date()}
    assert export(record, tmp_path / "a.csv", "csv", **days) == 16
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 16 and [row["layer"] for row in rows if row["operation"] == "GetMap"] == ["dom", "dem"]
    assert next(row for row in rows if row["layer"] == "dom" and row["operation"] == "GetMap")["style"] == "'=cmd|' /C calc'!A0"
    assert export(record, tmp_path / "a.parquet", "parquet", **days) == 16
    assert duckdb.sql(f"SELECT count(*), sum(version) FROM '{tmp_path}/a.parquet'").fetchall() == [(16, 14)]
    with pytest.raises(FileExistsError):
        export(record, tmp_path / "a.csv", "csv", **days)


def test_an_export_of_lines_has_the_very_lines_of_one_agency(record, tmp_path):
    count = export(record, tmp_path / "a.jsonl", "jsonl", first=DAY, last=DAY, agency="water")
    (segment,) = record.glob("2026-11-23/*.jsonl")
    assert lines_of(tmp_path / "a.jsonl") == [line for line in lines_of(segment) if b'"agency":"water"' in line] and count == 4
    assert export(record, tmp_path / "none.jsonl", "jsonl", first=DAY, last=DAY, agency="it's") == 0


# -- retirement

def test_retired_days_leave_a_file_that_holds_every_line_and_a_chain_that_still_holds(record, store, tmp_path):
    sealed = seal_days(record, store, FRIDAY)
    rows = {path.name: lines_of(path) for path in record.glob("2026-11-2[34]/*.jsonl")}
    connect(record, clock=at_friday).close()
    path = tmp_path / "old.parquet"
    done = retire(record, store, path, before=date(2026, 11, 25), keep_days=2, now=FRIDAY)
    assert (done.days, done.rows) == ((date(2026, 11, 23), date(2026, 11, 24)), 11 + 4)
    assert not list(record.glob("2026-11-2[34]")) and [one.name[:10] for one in (record / COLUMNS_FOLDER).iterdir()] == []
    texts = duckdb.sql(f"SELECT text FROM '{path}'").fetchall()
    assert sorted(text.encode() + b"\n" for text, in texts) == sorted(line for lines in rows.values() for line in lines)
    assert check(record, store) == []
    roots = store.roots()
    assert [root.digest for root in roots] == [root.digest for root in sealed]
    assert [bool(root.retired) for root in roots] == [True, True, False, False] and roots[0].retired.sha256 == done.sha256
    assert retired_days(path) == list(done.days) and list(export_faults(path, roots[:2])) == []
    assert json.loads((record / "roots" / "2026-11-23.retired").read_text())["file"] == "old.parquet"


def test_only_sealed_days_go_and_only_those_that_need_not_be_kept(record, store, tmp_path):
    path = tmp_path / "old.parquet"

    def refused(told, **changes):
        with pytest.raises(RetirementRefused, match=told):
            retire(record, store, path, **{"before": date(2026, 11, 25), "keep_days": 2, "now": FRIDAY} | changes)
        assert not path.exists() and len(list(record.glob("2026-11-2?/*.jsonl"))) == 3

    refused("kept for ever", keep_days=0)
    refused("keeps the records of 30 days", keep_days=30)
    refused("2026-11-23 is not sealed")
    seal_days(record, store, FRIDAY)
    refused("no records before 2026-11-20", before=date(2026, 11, 20))
    segment = sorted(record.glob("2026-11-24/*.jsonl"))[0]
    whole = segment.read_bytes()
    segment.write_bytes(whole.replace(b'"listed":3', b'"listed":4'))
    refused("the rows of 2026-11-24 do not have the root that was sealed")
    segment.write_bytes(whole)
    path.write_text("something else")
    with pytest.raises(FileExistsError):
        retire(record, store, path, before=date(2026, 11, 25), keep_days=2, now=FRIDAY)
    assert path.read_text() == "something else"


def test_a_retired_file_that_was_altered_is_found(record, store, tmp_path):
    seal_days(record, store, FRIDAY)
    path = tmp_path / "old.parquet"
    retire(record, store, path, before=date(2026, 11, 25), keep_days=2, now=FRIDAY)
    for name, change in {"altered": "replace(text, 'GetMap', 'GetTile')", "dropped": "text"}.items():
        where = "WHERE event IS DISTINCT FROM 'admin.acted'" if name == "dropped" else ""
        duckdb.sql(f"COPY (SELECT * REPLACE ({change} AS text) FROM '{path}' {where}) TO '{tmp_path}/{name}.parquet'")
        assert list(export_faults(tmp_path / f"{name}.parquet", store.roots()[:2])) == ["the rows of 2026-11-24 do not have the root that was sealed"]
    (tmp_path / "rubbish.parquet").write_text("rubbish")
    assert "no Parquet file" in next(export_faults(tmp_path / "rubbish.parquet", store.roots()[:1]))


# -- one record

def test_a_record_is_found_by_its_id(record):
    log = DecisionLog(record)
    record_id = log.write(tile_event("water", 3), MONDAY.timestamp())
    assert read_record(record, record_id)["tile"] == [14, 3, 3]
    for wrong in ("", "x", "../../etc/passwd-2", record_id + "0", record_id[:-1] + "1", "20260101T000000000000-1-2", record_id.replace("-2", "--2")):
        with pytest.raises(RecordNotFound):
            read_record(record, wrong)
