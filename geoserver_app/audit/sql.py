"""The decision record as two views for DuckDB: `audit`, one row a record, and `audit_layers`, one row a layer of a record.

`at` is a word of DuckDB's own: the column is written "at", with its quotes, or with its table, as in `audit.at`.

Days that are over are kept as Parquet beside the segments, under a name that holds the last seals of the day: derived, so that they may be
deleted at any time, and made again. The connection that is handed out reads those files and memory alone: no other file, no network, no change
of its settings.
"""

import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date
from hashlib import sha256
from pathlib import Path

import duckdb

from geoserver_app.audit.roots import MOST_BYTES, SEAL_BYTES, seal_of, segments_of
from geoserver_app.clock import now
from geoserver_app.decision_log import HEADER

COLUMNS_FOLDER = "columns"
FORM = 1
"""Of the Parquet files: another form of them has another name."""

LAYER = {
    "layer": "VARCHAR", "edition": "VARCHAR", "generation": "BIGINT", "operation": "VARCHAR", "style": "VARCHAR", "format": "VARCHAR", "owner": "VARCHAR",
    "product": "VARCHAR", "is_latest": "BOOLEAN", "classification": "INTEGER", "crs": "VARCHAR", "scale_denominator": "DOUBLE",
    "attributes": ["VARCHAR"], "exhausted": ["VARCHAR"], "charged": "JSON", "effect": "VARCHAR", "area": "VARCHAR", "reasons": [["VARCHAR"]],
}
RECORD = {
    "id": "VARCHAR", "at": "TIMESTAMPTZ", "event": "VARCHAR", "agency": "VARCHAR", "key": "VARCHAR", "operation": "VARCHAR", "epoch": "BIGINT",
    "app": "VARCHAR", "purpose": "VARCHAR", "networks": ["VARCHAR"], "crs": "VARCHAR", "bounds": ["DOUBLE"], "size": ["INTEGER"], "tms": "VARCHAR",
    "tile": ["INTEGER"], "code": "VARCHAR", "listed": "INTEGER", "actor": "VARCHAR", "object": "VARCHAR", "outcome": "VARCHAR",
    "agreement": "VARCHAR",
}
"""What gate, lane, the API and the shell write; what an event doesn't have is null. `tile` is zoom, row, column."""

ONLY_READING = "only a single SELECT is answered: nothing can be changed here"


class QueryInvalid(ValueError):
    """The SQL can't be answered; one sentence."""


def connect(
    folder: Path, *, first: date | None = None, last: date | None = None, fresh: bool = False, clock=now,
) -> duckdb.DuckDBPyConnection:
    """A connection to the record of the days from `first` to `last`, both included; of all there are, unless given.

    Parameters
    ----------
    fresh : bool
        Whether the Parquet files of days that are over are made anew, from the segments.
    """
    connection = opened()
    files, lines = [], []
    for day in recorded_days(folder):
        if (first is None or day >= first) and (last is None or day <= last):
            file = columns_of(folder, day, fresh=fresh) if day < clock().date() else None
            files += [file] if file else []
            lines += [] if file else [str(path) for path in segments_of(folder, day)]
    connection.execute(f"CREATE TABLE written AS SELECT * EXCLUDE (text) FROM ({typed(bool(lines))})", [lines] if lines else None)
    past = f"SELECT * FROM read_parquet([{', '.join(map(quoted, files))}]) UNION ALL BY NAME " if files else ""
    connection.execute(f"CREATE VIEW records AS {past} SELECT * FROM written")
    connection.execute(AUDIT)
    connection.execute(AUDIT_LAYERS)
    _lock(connection, files)
    return connection


def select(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], list[tuple]]:
    """Names of the columns and the rows of one SELECT. Raises QueryInvalid for anything else."""
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise QueryInvalid(ONLY_READING)
        found = connection.execute(statements[0])
        return [column[0] for column in found.description], found.fetchall()
    except duckdb.Error as error:
        raise QueryInvalid(f"the query can't be answered: {' '.join(str(error).split())[:300]}") from error


# -- days

def recorded_days(folder: Path) -> list[date]:
    found = []
    for path in folder.glob("????-??-??"):
        try:
            found.append(date.fromisoformat(path.name))
        except ValueError:
            continue
    return sorted(found)


def columns_of(folder: Path, day: date, *, fresh: bool = False) -> Path | None:
    """The Parquet file of a day that is over, made where it isn't there; None for a day without segments, or where none can be written."""
    segments = segments_of(folder, day)
    if not segments:
        return None
    path = folder / COLUMNS_FOLDER / f"{day.isoformat()}-{_key(segments)}.parquet"
    if path.exists() and not fresh:
        return path
    draft = path.with_suffix(f".{uuid.uuid4().hex[:8]}.new")
    try:
        path.parent.mkdir(exist_ok=True)
        with opened() as connection:
            rows = f"SELECT * EXCLUDE (text) FROM ({typed(True)})"
            connection.execute(f"COPY ({rows}) TO {quoted(draft)} (FORMAT parquet, COMPRESSION zstd)", [[str(one) for one in segments]])
        draft.replace(path)
    except (OSError, duckdb.IOException):                # an auditor may have no right to write: then it is read from the lines
        with suppress(OSError):
            draft.unlink()
        return None
    for older in path.parent.glob(f"{day.isoformat()}-*.parquet"):
        if older != path:
            older.unlink(missing_ok=True)
    return path


def _key(segments: Sequence[Path]) -> str:
    """A name for what the segments hold: their last seals are over all the rest."""
    said = [f"{FORM}"] + [f"{path.name} {path.stat().st_size} {_last_seal(path)}" for path in segments]
    return sha256("\n".join(said).encode()).hexdigest()[:16]


def _last_seal(path: Path) -> str:
    with path.open("rb") as segment:
        segment.seek(max(path.stat().st_size - 2 * SEAL_BYTES, 0))
        return seal_of(segment.read().rpartition(b"\n")[0].rpartition(b"\n")[2])


# -- SQL

def opened() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    connection.execute("SET TimeZone = 'Asia/Shanghai'")
    return connection


def _lock(connection: duckdb.DuckDBPyConnection, files: Iterable[Path]) -> None:
    """From here on nothing but these files, and no way back."""
    connection.execute(f"SET allowed_paths = [{', '.join(map(quoted, files))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def quoted(value) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def typed(has_files: bool, *, headers: bool = False) -> str:
    """A SELECT of records from segments, whose paths are its one parameter; of none at all without any. What can't be read as it should is null."""
    source = (
        f"SELECT json AS text FROM read_ndjson_objects(?, ignore_errors = true, maximum_object_size = {MOST_BYTES}) WHERE json IS NOT NULL"
        if has_files else "SELECT NULL::JSON AS text LIMIT 0"
    )
    scalars = ", ".join(f'held."{name}"' for name in RECORD)
    lone = ", ".join(f'"{name}" := held."{name}"' for name in LAYER)
    return f"""
        SELECT text::VARCHAR AS text, {scalars},
            CASE WHEN held.layers IS NOT NULL THEN held.layers WHEN held.layer IS NOT NULL THEN [struct_pack({lone})] ELSE [] END AS layers
        FROM (SELECT text, json_transform(text, {quoted(_structure({**LAYER, **RECORD, "layers": [LAYER]}))}) AS held FROM ({source}))
        {"" if headers else f"WHERE held.event IS DISTINCT FROM {quoted(HEADER)}"}
    """


def _structure(kind) -> str:
    match kind:
        case str():
            return f'"{kind}"'
        case list():
            return f"[{_structure(kind[0])}]"
    return "{" + ", ".join(f'"{name}": {_structure(one)}' for name, one in kind.items()) + "}"


EFFECTS = "list_transform(layers, lambda one: one.effect)"

AUDIT = f"""
    CREATE VIEW audit AS SELECT *, CAST("at" AS DATE) AS day,
        CASE WHEN list_contains({EFFECTS}, 'deny') THEN 'deny' WHEN list_contains({EFFECTS}, 'clip') THEN 'clip'
             WHEN len(layers) > 0 THEN 'permit' END AS effect
    FROM records
"""

AUDIT_LAYERS = f"""
    CREATE VIEW audit_layers AS SELECT id, "at", day, agency, key, app, purpose, coalesce(one.operation, operation) AS operation, position,
        {', '.join(f'one.{name}' for name in LAYER if name != 'operation')},
        one.reasons[1][1] AS agreement, try_cast(one.reasons[1][2] AS INTEGER) AS version, one.reasons[1][3] AS clause, one.reasons[1][4] AS code
    FROM (SELECT id, "at", day, agency, key, app, purpose, operation, unnest(layers) AS one, generate_subscripts(layers, 1) AS position FROM audit)
"""
"""`position` is the layer's in its record, from 1. The agreement, version, clause and code are those of the reason that is told first: what
granted, or what refused."""


# -- exports

EXPORTED = f"""
    SELECT r.* EXCLUDE (layers, crs, agreement), coalesce(l.crs, r.crs) AS crs,
        {', '.join(f'l.{name}' for name in LAYER if name not in ('operation', 'crs', 'effect'))}, l.effect AS layer_effect,
        coalesce(l.agreement, r.agreement) AS agreement, l.version, l.clause, l.code AS layer_code
    FROM audit r LEFT JOIN audit_layers l ON r.id = l.id ORDER BY r.at, r.id, l.position
"""
"""One row a record and layer; a record without layers is one row too."""


def export(
    folder: Path, path: Path, form: str, *, first: date, last: date, agency: str | None = None, clock=now,
) -> int:
    """Writes the records of the days from `first` to `last` to a file that isn't there yet; how many rows.

    `form` is `csv` (cells that a spreadsheet would take for a formula begin with an apostrophe), `parquet`, or `jsonl`: the very lines.

    Raises
    ------
    FileExistsError
        There is such a file.
    """
    if path.exists():
        raise FileExistsError(17, "there is such a file already", str(path))
    connection = opened()
    segments = [str(one) for day in recorded_days(folder) if first <= day <= last for one in segments_of(folder, day)]
    whose = "" if agency is None else f" WHERE agency = {quoted(agency)}"
    connection.execute("CREATE TABLE everything AS " + typed(bool(segments)), [segments] if segments else None)
    connection.execute("CREATE VIEW records AS SELECT * EXCLUDE (text) FROM everything" + whose)
    if form == "jsonl":
        return _export_lines(connection, path, whose)
    connection.execute(AUDIT)
    connection.execute(AUDIT_LAYERS)
    connection.execute(f"CREATE VIEW exported AS {EXPORTED}")
    cells = _cells(connection) if form == "csv" else "*"
    query = f"SELECT {cells} FROM exported"
    how = "FORMAT csv, HEADER true" if form == "csv" else "FORMAT parquet, COMPRESSION zstd"
    return connection.execute(f"COPY ({query}) TO {quoted(path)} ({how})").fetchone()[0]


def _export_lines(connection: duckdb.DuckDBPyConnection, path: Path, whose: str) -> int:
    count, found = 0, connection.execute("SELECT text FROM everything" + whose)
    with path.open("x", encoding="utf-8") as out:
        while rows := found.fetchmany(10_000):
            out.writelines(f"{row[0]}\n" for row in rows)
            count += len(rows)
    return count


def _cells(connection: duckdb.DuckDBPyConnection) -> str:
    """Text that a spreadsheet would run is made plain: some of it is what clients sent."""
    cells = []
    for name, kind, *_ in connection.execute("DESCRIBE exported").fetchall():
        if kind == "VARCHAR":
            cells.append(f"""CASE WHEN regexp_matches("{name}", '^[=+@＝＋＠－\\t\\r\\n-]') THEN '''' || "{name}" ELSE "{name}" END AS "{name}" """)
        else:
            cells.append(f'"{name}"')
    return ", ".join(cells)

