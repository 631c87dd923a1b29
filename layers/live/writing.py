"""Batches of rows into a live table: all of a batch or nothing, each thing once, nothing older over anything newer."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from layers.errors import LayersError
from layers.live.table import GEOMETRY, KEY, MOMENT, OBJECT_ID, LivePlan, as_blob, open_table
from layers.rows import Value

JOURNAL_SECONDS = 120
"""How long the journal knows what changed: who comes back later is told everything anew."""

GONE_SECONDS = 86_400
"""How long it is remembered that a thing is gone: an older message about it, come late, does not bring it back."""

TRIMMED_EVERY = 5_000_000
"""Microseconds between two looks at what the journal may forget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRow:
    """What is said of one thing. `place` is x, y in the CRS of the table, None where it stays; of `values` those that are named change, the others stay.

    `position` is where it stood in the batch.
    """

    object_id: str
    moment: datetime
    place: tuple[float, float] | None
    values: Mapping[str, Value] = field(default_factory=dict)
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How a batch ended: rows that changed something, rows that said nothing newer, things that are gone now."""

    changed: int
    ignored: int
    deleted: int
    stamp: int


class NoPlaceYet(LayersError):
    """A thing that is not there yet came without a place; `position` is that of its row."""

    def __init__(self, position: int):
        super().__init__(f"row {position} is of an object that is not there yet, and has no place: give `lon` and `lat`")
        self.position = position


def as_text(moment: datetime) -> str:
    """UTC to a millisecond, in a form whose order is that of time.

    >>> as_text(datetime.fromisoformat("2026-05-01T08:00:00+08:00"))
    '2026-05-01T00:00:00.000Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def write(
    path: Path, plan: LivePlan, rows: Sequence[LiveRow], deleted: Iterable[str] = (), *, now: datetime,
) -> Written:
    """One batch. Of rows of one thing the newest counts; one that is no newer than what is known is ignored, so that a batch may be sent twice.

    Raises
    ------
    NoPlaceYet
        Nothing of the batch is written.
    sqlite3.Error
        Likewise.
    """
    connection = open_table(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            written = _written(connection, plan, rows, set(deleted), now)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return written
    finally:
        connection.close()


def expire(path: Path, plan: LivePlan, *, now: datetime) -> int:
    """Takes out what was not heard of for too long; returns how many. Costs one look into an index where there is nothing."""
    if not plan.expiry:
        return 0
    oldest = as_text(now - timedelta(seconds=plan.expiry))
    reading = open_table(path, is_read_only=True)
    try:
        if reading.execute(f'SELECT 1 FROM "{plan.table}" WHERE {MOMENT} < ? LIMIT 1', (oldest,)).fetchone() is None:
            return 0
    finally:
        reading.close()
    return write(path, plan, (), now=now).deleted


def _written(connection, plan: LivePlan, rows: Sequence[LiveRow], deleted: set[str], now: datetime) -> Written:
    columns = (OBJECT_ID, MOMENT, *(one.name for one in plan.fields))
    quoted = [f'"{name}"' for name in columns]
    newest: dict[str, LiveRow] = {}
    for row in rows:
        before = newest.get(row.object_id)
        if before is None or row.moment >= before.moment:
            newest[row.object_id] = row
    wanted = orjson.dumps([*newest, *deleted]).decode()
    known = {
        found[2]: found for found in connection.execute(
            f'SELECT {KEY}, {GEOMETRY}, {", ".join(quoted)} FROM "{plan.table}" WHERE {OBJECT_ID} IN (SELECT value FROM json_each(?))', (wanted,),
        )
    }
    gone = {
        object_id: (key, moment) for object_id, key, moment in connection.execute(
            "SELECT object_id, key, moment FROM live_gone WHERE object_id IN (SELECT value FROM json_each(?))", (wanted,),
        )
    }
    stale = _expired(connection, plan, quoted, now)
    stamp, expiry_text = _stamp(connection, now), as_text(now - timedelta(seconds=plan.expiry)) if plan.expiry else ""
    srs_id = connection.execute("SELECT srs_id FROM gpkg_geometry_columns").fetchone()[0]
    put, boxes, journal, back = [], [], [], []
    for object_id, row in newest.items():
        moment, old = as_text(row.moment), known.get(object_id)
        last = old[3] if old else gone.get(object_id, (0, ""))[1]
        if moment <= last or moment < expiry_text or object_id in deleted:
            continue
        if old is None and row.place is None:
            raise NoPlaceYet(row.position)
        blob = old[1] if row.place is None else as_blob(*row.place, srs_id)
        values = dict(zip(columns, old[2:], strict=True)) if old else {}
        values |= row.values | {OBJECT_ID: object_id, MOMENT: moment}
        key = old[0] if old else gone[object_id][0] if object_id in gone else None
        if key is None:
            key = connection.execute(
                f'INSERT INTO "{plan.table}" ({GEOMETRY}, {OBJECT_ID}, {MOMENT}) VALUES (?, ?, ?)', (blob, object_id, moment),
            ).lastrowid
        elif old is None:
            back.append((object_id,))
        put.append((key, blob, *(values.get(name) for name in columns)))
        if row.place is not None:
            boxes.append((key, row.place[0], row.place[0], row.place[1], row.place[1]))
        journal.append((stamp, key, old and old[1], old and _fields(columns, old)))
    ending = [(found, as_text(now)) for name, found in known.items() if name in deleted]
    put_keys = {one[0] for one in put}
    ending += [(found, found[3]) for found in stale if found[0] not in put_keys and found[2] not in deleted]
    journal += [(stamp, found[0], found[1], _fields(columns, found)) for found, _ in ending]
    marks = ", ".join("?" * (len(columns) + 2))
    connection.executemany(f'INSERT OR REPLACE INTO "{plan.table}" ({KEY}, {GEOMETRY}, {", ".join(quoted)}) VALUES ({marks})', put)
    connection.executemany(f'INSERT OR REPLACE INTO "rtree_{plan.table}_{GEOMETRY}" VALUES (?, ?, ?, ?, ?)', boxes)
    connection.executemany("DELETE FROM live_gone WHERE object_id = ?", back)
    connection.executemany(f'DELETE FROM "{plan.table}" WHERE {KEY} = ?', [(found[0],) for found, _ in ending])
    connection.executemany(f'DELETE FROM "rtree_{plan.table}_{GEOMETRY}" WHERE id = ?', [(found[0],) for found, _ in ending])
    connection.executemany("INSERT OR REPLACE INTO live_gone VALUES (?, ?, ?, ?)", [(found[2], found[0], moment, stamp) for found, moment in ending])
    connection.executemany("INSERT OR REPLACE INTO live_journal VALUES (?, ?, ?, ?)", journal)
    if journal:
        connection.execute("UPDATE live_state SET stamp = ?", (stamp,))
        _trim(connection, stamp)
    return Written(changed=len(put), ignored=len(rows) - len(put), deleted=len(ending), stamp=stamp)


def _fields(columns: Sequence[str], found: Sequence) -> str:
    return orjson.dumps(dict(zip(columns, found[2:], strict=True))).decode()


def _expired(connection, plan: LivePlan, quoted: Sequence[str], now: datetime) -> list[tuple]:
    if not plan.expiry:
        return []
    return connection.execute(
        f'SELECT {KEY}, {GEOMETRY}, {", ".join(quoted)} FROM "{plan.table}" WHERE {MOMENT} < ?', (as_text(now - timedelta(seconds=plan.expiry)),),
    ).fetchall()


def _stamp(connection, now: datetime) -> int:
    """Later than every stamp before, whatever the clock says. A moment, not a number of changes: whoever reads it learns when, not how often."""
    last = connection.execute("SELECT stamp FROM live_state").fetchone()[0]
    return max(int(time.time() * 1e6), last + 1)


def _trim(connection, stamp: int) -> None:
    trimmed = connection.execute("SELECT trimmed FROM live_state").fetchone()[0]
    oldest = stamp - JOURNAL_SECONDS * 1_000_000
    if oldest - trimmed < TRIMMED_EVERY:
        return
    connection.execute("DELETE FROM live_journal WHERE stamp <= ?", (oldest,))
    connection.execute("DELETE FROM live_gone WHERE stamp <= ?", (stamp - GONE_SECONDS * 1_000_000,))
    connection.execute("UPDATE live_state SET trimmed = ?", (oldest,))
