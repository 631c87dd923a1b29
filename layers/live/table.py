"""The file of a live table: a GeoPackage in write-ahead mode, so that many processes read what one writes, without waiting for it.

Map drawing, features and vector tiles read it as they read any GeoPackage (OGC 12-128r18). Its R-tree has no triggers, which would need the spatial
functions of GDAL in every connection: `layers.live.writing` keeps it, row by row, in the transaction of the row. Beside the table lie a journal of
what changed lately, and what is known of objects that are gone.
"""

import re
import sqlite3
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from layers.crs import to_pyproj
from layers.features.store import FieldType
from layers.model import Bounds

OBJECT_ID, MOMENT = "object_id", "moment"
"""Fields that every live table has: what its owner calls a thing, and when it was so."""

KEY, GEOMETRY = "ogc_fid", "geom"

FIELD_NAME = re.compile(r"[A-Za-z\u4e00-\u9fff][0-9A-Za-z_\u4e00-\u9fff]{0,62}")
TABLE_NAME = re.compile(r"[A-Za-z][0-9A-Za-z_]{0,62}")
MOST_FIELDS = 60
RESERVED = frozenset({OBJECT_ID, MOMENT, KEY, "fid", GEOMETRY, "rowid", "id", "lon", "lat", "x", "y"})

DECLARED = {
    FieldType.TEXT: "TEXT", FieldType.INTEGER: "INTEGER", FieldType.NUMBER: "DOUBLE", FieldType.BOOLEAN: "BOOLEAN", FieldType.DATE_TIME: "DATETIME",
}
"""Types that a field may have, and how a GeoPackage spells them."""

APPLICATION_ID, VERSION = 0x47504B47, 10300
BUSY_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveField:
    name: str
    kind: FieldType


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePlan:
    """What a live table is. `crs` is one of the served names; `bounds` are in it, x before y: no point lies outside. `expiry` is after how many seconds
    a thing that was not heard of is gone, 0 never. `fields` are those beside `object_id` and `moment`."""

    table: str
    fields: tuple[LiveField, ...]
    crs: str
    bounds: Bounds
    expiry: int

    @property
    def names(self) -> tuple[str, ...]:
        """All fields, in the order of the table."""
        return OBJECT_ID, MOMENT, *(one.name for one in self.fields)


def create_table(path: Path, plan: LivePlan) -> None:
    """Makes the file, with the table in it and nothing in the table. Raises FileExistsError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        raise FileExistsError(path.name)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("PRAGMA defer_foreign_keys = ON")
        for statement in STANDARD:
            connection.execute(statement)
        srs_id = _put_system(connection, plan.crs)
        _put_table(connection, plan, srs_id)
        for statement in BESIDE:
            connection.execute(statement)
        connection.execute("INSERT INTO live_state VALUES (1, ?, 0, 0)", (plan.expiry,))
        connection.execute("COMMIT")
    finally:
        connection.close()


def open_table(path: Path, *, is_read_only: bool = False) -> sqlite3.Connection:
    """A connection in which transactions are said by name. Whoever writes waits `BUSY_SECONDS` for another who does."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'ro' if is_read_only else 'rw'}", uri=True, timeout=BUSY_SECONDS, isolation_level=None,
        check_same_thread=False,
    )
    if not is_read_only:
        connection.execute("PRAGMA synchronous = NORMAL")       # a batch survives the process; a loss of power may take the last ones
    return connection


def describe_table(path: Path, table: str) -> LivePlan:
    """What a file holds, as it was made; `crs` by its number of EPSG."""
    connection = open_table(path, is_read_only=True)
    try:
        columns = connection.execute(f'PRAGMA table_info("{table}")').fetchall()
        row = connection.execute("SELECT min_x, min_y, max_x, max_y, srs_id FROM gpkg_contents WHERE table_name = ?", (table,)).fetchone()
        expiry = connection.execute("SELECT expiry FROM live_state").fetchone()[0]
    finally:
        connection.close()
    kinds = {declared: kind for kind, declared in DECLARED.items()}
    fields = tuple(
        LiveField(name=name, kind=kinds[declared]) for _, name, declared, *_ in columns if name not in (KEY, GEOMETRY, OBJECT_ID, MOMENT)
    )
    return LivePlan(table=table, fields=fields, crs="CRS:84" if row[4] == WGS84 else f"EPSG:{row[4]}", bounds=Bounds(*row[:4]), expiry=expiry)


def as_blob(x: float, y: float, srs_id: int) -> bytes:
    """A point as a GeoPackage keeps it: header without a box, then well-known binary, all little-endian."""
    return POINT.pack(b"GP", 0, 1, srs_id, 1, 1, x, y)


POINT = struct.Struct("<2sBBiBIdd")
WGS84 = 4326


# -- the standard's own tables

STANDARD: Sequence[str] = (
    """CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
       organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT)""",
    """CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE, description TEXT DEFAULT '',
       last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE,
       srs_id INTEGER REFERENCES gpkg_spatial_ref_sys(srs_id))""",
    """CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL UNIQUE REFERENCES gpkg_contents(table_name), column_name TEXT NOT NULL,
       geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL REFERENCES gpkg_spatial_ref_sys(srs_id), z TINYINT NOT NULL, m TINYINT NOT NULL,
       PRIMARY KEY (table_name, column_name))""",
    """CREATE TABLE gpkg_extensions (table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL, scope TEXT NOT NULL,
       UNIQUE (table_name, column_name, extension_name))""",
    "INSERT INTO gpkg_spatial_ref_sys VALUES ('Undefined Cartesian', -1, 'NONE', -1, 'undefined', NULL)",
    "INSERT INTO gpkg_spatial_ref_sys VALUES ('Undefined geographic', 0, 'NONE', 0, 'undefined', NULL)",
)

BESIDE: Sequence[str] = (
    "CREATE TABLE live_state (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), expiry INTEGER NOT NULL, stamp INTEGER NOT NULL, trimmed INTEGER NOT NULL)",
    "CREATE TABLE live_journal (stamp INTEGER NOT NULL, key INTEGER NOT NULL, before_geom BLOB, before_fields TEXT, PRIMARY KEY (stamp, key)) WITHOUT ROWID",
    "CREATE TABLE live_gone (object_id TEXT PRIMARY KEY, key INTEGER NOT NULL, moment TEXT NOT NULL, stamp INTEGER NOT NULL)",
)
"""`stamp` is that of the last change (microseconds of POSIX time, later than any before), `trimmed` that of the last one which the journal forgot."""


def _put_system(connection: sqlite3.Connection, crs: str) -> int:
    system = to_pyproj(crs)
    for code, found in ((WGS84, to_pyproj("EPSG:4326")), *(((int(crs.rpartition(":")[2]), system),) if crs.startswith("EPSG:") else ())):
        connection.execute(
            "INSERT OR IGNORE INTO gpkg_spatial_ref_sys VALUES (?, ?, 'EPSG', ?, ?, NULL)", (found.name, code, code, found.to_wkt("WKT1_GDAL")),
        )
    return int(crs.rpartition(":")[2]) if crs.startswith("EPSG:") else WGS84


def _put_table(connection: sqlite3.Connection, plan: LivePlan, srs_id: int) -> None:
    columns = "".join(f', "{one.name}" {DECLARED[one.kind]}' for one in plan.fields)
    connection.execute(
        f'CREATE TABLE "{plan.table}" ({KEY} INTEGER PRIMARY KEY AUTOINCREMENT, {GEOMETRY} BLOB NOT NULL, {OBJECT_ID} TEXT NOT NULL UNIQUE, '
        f"{MOMENT} DATETIME NOT NULL{columns})",
    )
    connection.execute(f'CREATE INDEX "{plan.table}_moment" ON "{plan.table}" ({MOMENT})')
    connection.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, min_x, min_y, max_x, max_y, srs_id) VALUES (?, 'features', ?, ?, ?, ?, ?, ?)",
        (plan.table, plan.table, *plan.bounds, srs_id),
    )
    connection.execute("INSERT INTO gpkg_geometry_columns VALUES (?, ?, 'POINT', ?, 0, 0)", (plan.table, GEOMETRY, srs_id))
    connection.execute(
        "INSERT INTO gpkg_extensions VALUES (?, ?, 'gpkg_rtree_index', 'http://www.geopackage.org/spec120/#extension_rtree', 'write-only')",
        (plan.table, GEOMETRY),
    )
    connection.execute(f'CREATE VIRTUAL TABLE "rtree_{plan.table}_{GEOMETRY}" USING rtree(id, minx, maxx, miny, maxy)')
