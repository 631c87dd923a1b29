"""Features in GeoPackages, read as plain rows of SQLite: the way through GDAL costs several times as much a feature.

Of the GeoPackage standard (OGC 12-128r18) this needs the header of its geometries, which is skipped, and its R-tree, which answers boxes.
"""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import shapely

from layers.errors import FeaturesUnavailable
from layers.features.store import FeatureBatch, FeatureQuery, FieldType, as_json
from layers.model import Bounds, Edition, FeatureClass, Source

FILES_KEPT = 64
"""Open files that nobody reads just now. They are lent, not kept by thread: a server has many more threads than it lets work at once."""

SEARCHES_KEPT = 32
"""Boxes of which the keys are remembered, for whoever turns pages."""

IN_ONE_GO = 20_000
"""Features that are read at once by whoever turns no pages: then the R-tree is asked within the same question."""

ENVELOPES = (0, 32, 48, 48, 64)
"""Bytes of the box that the header of a geometry may hold, by its kind (12-128r18, 2.1.3)."""

FLAG_EXTENDED = 0x20
"""A geometry that is not well-known binary."""

STARTS = tuple(
    2**31 if flags & FLAG_EXTENDED or (flags >> 1) & 7 >= len(ENVELOPES) else 8 + ENVELOPES[(flags >> 1) & 7] for flags in range(256)
)
"""By the flags of a header, where the well-known binary begins; beyond the end where there is none."""


@dataclass(frozen=True, slots=True)
class _Table:
    """How a table is spelt in its file; names are quoted for SQL."""

    name: str
    key: str
    geometry: str
    index: str | None                   # the R-tree
    types: dict[str, FieldType]


@dataclass(slots=True)
class _File:
    connection: sqlite3.Connection
    signature: tuple
    tables: dict[str, _Table] = field(default_factory=dict)


class GeoPackageStore:
    """Features of editions in the GeoPackages of a store.

    Parameters
    ----------
    root : Path
        Folder of the editions' folders.
    """

    def __init__(self, root: Path):
        self.root = Path(root)
        self._idle: OrderedDict[Path, list[_File]] = OrderedDict()
        self._searches: OrderedDict[tuple, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def batches(self, edition: Edition, query: FeatureQuery, size: int = 1000) -> Iterator[FeatureBatch]:
        condition = None
        if query.where is not None:
            condition = query.where.where(query.table.name, query.table.fields)
            if condition is None:
                return
        if edition.vectors is None:
            return
        try:
            with self._file(edition) as file:
                yield from self._batches(edition, file, query, condition, size)
        except sqlite3.Error as error:
            raise _unreadable() from error

    def fields(self, edition: Edition, table: FeatureClass) -> dict[str, FieldType]:
        if edition.vectors is None:
            return {}
        try:
            with self._file(edition) as file:
                types = self._table(file, table).types
        except sqlite3.Error as error:
            raise _unreadable() from error
        return {name: types.get(name, FieldType.TEXT) for name in table.fields}

    def text_fields(self, edition: Edition, table: FeatureClass) -> frozenset[str]:
        return frozenset(name for name, kind in self.fields(edition, table).items() if kind.is_text)

    # -- reading

    def _batches(self, edition: Edition, file: _File, query: FeatureQuery, condition: str | None, size: int) -> Iterator[FeatureBatch]:
        table = self._table(file, query.table)
        select = f"SELECT {', '.join([table.key, table.geometry, *map(_quoted, query.fields)])} FROM {table.name} WHERE {condition or 1}"
        if query.key is not None:
            after = query.after is None or query.key > query.after
            rows = file.connection.execute(f"{select} AND {table.key} = ?", (query.key,)).fetchall() if after else []
            yield from _batch(rows, query, table)
            return
        after = -(2**63) if query.after is None else query.after
        if size >= IN_ONE_GO and query.box is not None and table.index is not None and not _holds(query.box, query.table.bounds):
            near = f"{table.key} IN (SELECT id FROM {table.index} WHERE minx <= ? AND maxx >= ? AND miny <= ? AND maxy >= ?)"
            box = query.box.right, query.box.left, query.box.top, query.box.bottom
            cursor = file.connection.execute(f"{select} AND {near} AND {table.key} > ? ORDER BY {table.key}", (*box, after))
            while rows := cursor.fetchmany(size):
                yield from _batch(rows, query, table)
            return
        keys = self._keys(edition, file, table, query)
        if keys is not None:
            start = 0 if query.after is None else int(np.searchsorted(keys, query.after, "right"))
            listed = f"{select} AND {table.key} IN (SELECT value FROM json_each(?)) ORDER BY {table.key}"
            for first in range(start, len(keys), size):
                some = (str(keys[first : first + size].tolist()),)
                yield from _batch(file.connection.execute(listed, some).fetchall(), query, table)
            return
        while rows := file.connection.execute(f"{select} AND {table.key} > ? ORDER BY {table.key} LIMIT ?", (after, size)).fetchall():
            after = rows[-1][0]
            yield from _batch(rows, query, table)

    def _keys(self, edition: Edition, file: _File, table: _Table, query: FeatureQuery) -> np.ndarray | None:
        """Keys of the features whose box touches that of the query, ascending; None where all are to be looked at anyhow."""
        if query.box is None or table.index is None or _holds(query.box, query.table.bounds):
            return None
        if edition.source is Source.LIVE:           # what changed since is known to each connection alone
            return _search(file, table, query.box)
        version = file.connection.execute("PRAGMA data_version").fetchone()[0]
        name = (edition.folder, edition.vectors, edition.generation, file.signature, version, query.table.name, tuple(query.box))
        with self._lock:
            if name in self._searches:
                self._searches.move_to_end(name)
                return self._searches[name]
        keys = _search(file, table, query.box)
        with self._lock:
            self._searches[name] = keys
            while len(self._searches) > SEARCHES_KEPT:
                self._searches.popitem(last=False)
        return keys

    # -- files

    @contextmanager
    def _file(self, edition: Edition) -> Iterator[_File]:
        """A connection to an edition's file for one reader, opened anew where another file has taken its place."""
        path = self.root / edition.folder / edition.vectors
        try:
            found = path.stat()
        except OSError as error:
            raise _unreadable() from error
        file = self._lent(path, (found.st_ino, found.st_dev))
        try:
            yield file
        except sqlite3.Error:
            file.connection.close()
            raise
        except BaseException:                               # who reads no further, or fails for reasons of his own
            self._given_back(path, file)
            raise
        else:
            self._given_back(path, file)

    def _lent(self, path: Path, signature: tuple) -> _File:
        with self._lock:
            idle = self._idle.get(path, [])
            outdated = [file for file in idle if file.signature != signature]
            idle[:] = [file for file in idle if file.signature == signature]
            file = idle.pop() if idle else None
        for one in outdated:
            one.connection.close()
        if file is not None:
            return file
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0, check_same_thread=False)
        connection.execute("PRAGMA mmap_size = 268435456")
        return _File(connection, signature)

    def _given_back(self, path: Path, file: _File) -> None:
        """The file used last is the first to be lent again; of too many, those of the edition that was asked longest ago are closed."""
        with self._lock:
            self._idle.setdefault(path, []).append(file)
            self._idle.move_to_end(path)
            closing = []
            while sum(map(len, self._idle.values())) > FILES_KEPT:
                oldest, files = next(iter(self._idle.items()))
                if files:
                    closing.append(files.pop(0))
                if not files:
                    del self._idle[oldest]
        for one in closing:
            one.connection.close()

    @staticmethod
    def _table(file: _File, wanted: FeatureClass) -> _Table:
        if wanted.name not in file.tables:
            file.tables[wanted.name] = _described(file.connection, wanted.name)
        return file.tables[wanted.name]


def _search(file: _File, table: _Table, box: Bounds) -> np.ndarray:
    found = file.connection.execute(
        f"SELECT id FROM {table.index} WHERE minx <= ? AND maxx >= ? AND miny <= ? AND maxy >= ?", (box.right, box.left, box.top, box.bottom),
    ).fetchall()
    return np.sort(np.fromiter((row[0] for row in found), np.int64, len(found)))


def _unreadable() -> FeaturesUnavailable:
    return FeaturesUnavailable("the features can't be read now: try again later")


def _described(connection: sqlite3.Connection, name: str) -> _Table:
    columns = connection.execute(f"PRAGMA table_info({_quoted(name)})").fetchall()
    geometry = connection.execute("SELECT column_name FROM gpkg_geometry_columns WHERE lower(table_name) = lower(?)", (name,)).fetchone()
    key = next((column for _, column, _, _, _, is_key in columns if is_key), None)
    if geometry is None or key is None:
        raise _unreadable()
    index = f"rtree_{name}_{geometry[0]}"
    has_index = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND lower(name) = lower(?)", (index,)).fetchone()
    return _Table(
        name=_quoted(name), key=_quoted(key), geometry=_quoted(geometry[0]), index=_quoted(index) if has_index else None,
        types={column: _type_of(declared) for _, column, declared, _, _, is_key in columns if column not in (key, geometry[0])},
    )


def _type_of(declared: str) -> FieldType:
    """By the words of the standard (table 1), and what else SQLite takes for them."""
    word = declared.upper().split("(")[0].strip()
    if word == "BOOLEAN":
        return FieldType.BOOLEAN
    if word == "DATE":
        return FieldType.DATE
    if word in ("DATETIME", "TIMESTAMP"):
        return FieldType.DATE_TIME
    if word.endswith("INT") or word == "INTEGER":
        return FieldType.INTEGER
    return FieldType.NUMBER if word in ("DOUBLE", "FLOAT", "REAL", "NUMERIC", "DECIMAL") else FieldType.TEXT


def _batch(rows: Sequence[tuple], query: FeatureQuery, table: _Table) -> Iterator[FeatureBatch]:
    """One batch, or none where nothing of it counts."""
    if not rows:
        return
    keys, blobs, *columns = zip(*rows, strict=True)
    shapes = shapely.from_wkb(_wkbs(blobs), on_invalid="ignore")
    fit = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    if query.box is not None:
        fit &= touching(shapes, query.box)
    found = {name: _values(values, table.types.get(name)) for name, values in zip(query.fields, columns, strict=True)}
    keys = np.array(keys, np.int64)
    if not fit.all():
        keys, shapes = keys[fit], shapes[fit]
        found = {name: [value for value, is_fit in zip(values, fit, strict=True) if is_fit] for name, values in found.items()}
    if len(keys):
        yield FeatureBatch(keys=keys, shapes=shapes, columns=found)


PLAIN = {int, str, type(None)}


def _values(values: Sequence, kind: FieldType | None) -> list:
    """As JSON has them."""
    if kind is FieldType.BOOLEAN:
        return [bool(value) if value in (0, 1) else as_json(value) for value in values]
    return list(values) if PLAIN.issuperset(map(type, values)) else [as_json(value) for value in values]


def _wkbs(blobs: Sequence[bytes | None]) -> list[bytes | None]:
    """The well-known binary within geometries of a GeoPackage; what is none is left for the reader of it to find out."""
    try:
        return [blob and blob[STARTS[blob[3]]:] for blob in blobs]
    except (IndexError, TypeError):                         # a geometry of three bytes, or one that is none
        return [blob[STARTS[blob[3]]:] if isinstance(blob, bytes) and len(blob) > 8 else None for blob in blobs]


def touching(shapes: np.ndarray, box: Bounds) -> np.ndarray:
    """The R-tree keeps boxes in single precision, a little too large: this is the exact answer."""
    left, bottom, right, top = shapely.bounds(shapes).T
    return (left <= box.right) & (right >= box.left) & (bottom <= box.top) & (top >= box.bottom)


def _holds(outer: Bounds, inner: Bounds) -> bool:
    return outer.left <= inner.left and outer.bottom <= inner.bottom and outer.right >= inner.right and outer.top >= inner.top


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
