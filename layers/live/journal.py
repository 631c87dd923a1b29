"""What changed in a live table since a moment: of each thing how it was then and how it is now, and nothing of what lies between."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson
import shapely

from layers.errors import FeaturesUnavailable
from layers.features.store import FeatureBatch, FeatureQuery, FieldType, as_json
from layers.live.table import GEOMETRY, KEY, LivePlan, open_table
from layers.model import Edition, FeatureClass
from layers.rows import Value

HEADER = 8
"""Bytes before the well-known binary of a point that `layers.live` wrote."""


class JournalTooShort(Exception):
    """What changed since then is not known any more: everything is to be told anew."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing, by its key: well-known binary and values as they were and as they are; None where it was not, or is not, there."""

    stamp: int
    key: int
    before: tuple[bytes, dict[str, Value]] | None
    after: tuple[bytes, dict[str, Value]] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Changes after `since`, up to `until`: one for each thing, in the order of keys."""

    since: int
    until: int
    changes: tuple[Change, ...]

    @property
    def before(self) -> "Rows":
        return Rows([(one.key, *one.before) for one in self.changes if one.before is not None])

    @property
    def after(self) -> "Rows":
        return Rows([(one.key, *one.after) for one in self.changes if one.after is not None])


@dataclass(slots=True)
class Rows:
    """Rows in memory, asked like a store of features: so that what is told of them is cut and masked by the very code that does it for all."""

    rows: Sequence[tuple[int, bytes, dict[str, Value]]]
    kinds: dict[str, FieldType] = field(default_factory=dict)

    def batches(self, edition: Edition, query: FeatureQuery, size: int = 1000) -> Iterator[FeatureBatch]:
        rows = self.rows
        if query.where is not None:
            rows = [row for row in rows if query.where.matches(query.table.name, row[2])]
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            shapes = shapely.from_wkb([row[1] for row in some])
            batch = FeatureBatch(
                keys=np.array([row[0] for row in some], np.int64), shapes=shapes,
                columns={name: [row[2].get(name) for row in some] for name in query.fields},
            )
            if query.box is not None:
                x, y = shapely.get_x(shapes), shapely.get_y(shapes)
                fit = (x >= query.box.left) & (x <= query.box.right) & (y >= query.box.bottom) & (y <= query.box.top)
                batch = FeatureBatch(
                    keys=batch.keys[fit], shapes=shapes[fit],
                    columns={name: [value for value, is_in in zip(values, fit, strict=True) if is_in] for name, values in batch.columns.items()},
                )
            if len(batch):
                yield batch

    def fields(self, edition: Edition, table: FeatureClass) -> dict[str, FieldType]:
        return {name: self.kinds.get(name, FieldType.TEXT) for name in table.fields}

    def text_fields(self, edition: Edition, table: FeatureClass) -> frozenset[str]:
        return frozenset(name for name, kind in self.fields(edition, table).items() if kind.is_text)


def changes_since(connection: sqlite3.Connection, plan: LivePlan, since: int) -> Window:
    """Read at one moment, by a connection of `open_table`.

    Raises
    ------
    JournalTooShort
        `since` lies before what the journal holds.
    FeaturesUnavailable
        The file can't be read now.
    """
    try:
        connection.execute("BEGIN")
        try:
            stamp, trimmed = connection.execute("SELECT stamp, trimmed FROM live_state").fetchone()
            if since < trimmed:
                raise JournalTooShort
            if since >= stamp:
                return Window(since=since, until=since, changes=())
            names = plan.names
            rows = connection.execute(
                f"SELECT j.stamp, j.key, j.before_geom, j.before_fields, t.{GEOMETRY}, {', '.join(f't.{_quoted(name)}' for name in names)} "
                f"FROM live_journal j LEFT JOIN {_quoted(plan.table)} t ON t.{KEY} = j.key WHERE j.stamp > ? ORDER BY j.key, j.stamp", (since,),
            ).fetchall()
        finally:
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise FeaturesUnavailable("the live table can't be read now: try again later") from error
    found: dict[int, Change] = {}
    for at, key, geometry, fields, now, *values in rows:
        first = found.get(key)
        before = first.before if first else geometry and (geometry[HEADER:], _typed(plan, orjson.loads(fields)))
        after = first.after if first else now and (now[HEADER:], _typed(plan, dict(zip(names, values, strict=True))))
        found[key] = Change(at, key, before or None, after or None)
    return Window(since=since, until=stamp, changes=tuple(found.values()))


def snapshot(connection: sqlite3.Connection, plan: LivePlan) -> tuple[int, Rows, dict[int, int]]:
    """The stamp of the last change, every row, and by key the stamp of the last change of each that the journal holds; read at one moment.
    Raises FeaturesUnavailable."""
    names = plan.names
    try:
        connection.execute("BEGIN")
        try:
            stamp = connection.execute("SELECT stamp FROM live_state").fetchone()[0]
            rows = connection.execute(
                f"SELECT {KEY}, {GEOMETRY}, {', '.join(map(_quoted, names))} FROM {_quoted(plan.table)} ORDER BY {KEY}",
            ).fetchall()
            stamps = dict(connection.execute("SELECT key, max(stamp) FROM live_journal GROUP BY key").fetchall())
        finally:
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise FeaturesUnavailable("the live table can't be read now: try again later") from error
    return stamp, Rows([(key, blob[HEADER:], _typed(plan, dict(zip(names, values, strict=True)))) for key, blob, *values in rows]), stamps


def stamp_of(connection: sqlite3.Connection) -> int:
    try:
        return connection.execute("SELECT stamp FROM live_state").fetchone()[0]
    except sqlite3.Error as error:
        raise FeaturesUnavailable("the live table can't be read now: try again later") from error


def read_only(path: Path) -> sqlite3.Connection:
    """A connection for the functions here; threads may take turns with it. Raises FeaturesUnavailable."""
    try:
        return open_table(path, is_read_only=True)
    except sqlite3.Error as error:
        raise FeaturesUnavailable("the live table can't be read now: try again later") from error


def _typed(plan: LivePlan, values: dict[str, Value]) -> dict[str, Value]:
    for one in plan.fields:
        if one.kind is FieldType.BOOLEAN and values.get(one.name) is not None:
            values[one.name] = bool(values[one.name])
    return {name: as_json(value) for name, value in values.items()}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
