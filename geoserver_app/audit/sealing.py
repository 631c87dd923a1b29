"""Sealing days that are over, checking all there is, and reading rows back: one agency's, or one record."""

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime, timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path

from geoserver_app.audit.roots import (
    FIRST_DIGEST,
    DayRoot,
    agency_of,
    lines_of,
    measure_day,
    root_path,
    seal_of,
    segments_of,
    write_beside,
)
from geoserver_app.audit.store import AuditStore
from geoserver_app.audit.verify import Finding, Kind, verify
from geoserver_app.clock import end_of_day
from geoserver_app.decision_log import FIRST_SEAL, HEADER, ROOTS, day_of, segment_path

SETTLED = timedelta(minutes=1)
"""After midnight: until the last decision of the day is surely written."""


class DayNotOver(ValueError):
    """A day is sealed when nothing is added to it any more."""


class RecordNotFound(LookupError):
    """There is no such record, or no longer; one sentence."""


class RecordAltered(Exception):
    """The line is there, but it is not what was written; one sentence."""


def seal_days(
    folder: Path, store: AuditStore, now: datetime, *, until: date | None = None, register: tuple[int, str] | None = None, processes: int = 2,
) -> list[DayRoot]:
    """Seals every day that is over and not sealed yet, in order; the new seals. Done again it does nothing.

    Parameters
    ----------
    until : date, optional
        The last day (Asia/Shanghai) to be sealed; yesterday, unless given.
    register
        Number and seal of the last event in the history of the register.

    Raises
    ------
    DayNotOver
        `until` is not over, or only just.
    ValueError
        A seal in the database was altered: the new ones would stand on sand.
    """
    until = until or _yesterday(now)
    if now < end_of_day(until) + SETTLED:
        raise DayNotOver(f"{until} is not over: a day is sealed from one minute after its end in Asia/Shanghai on")
    known = store.roots()
    for root in known:
        if not root_path(folder, root.day).exists():
            write_beside(folder, root)
    sealed, before = [], known[-1] if known else None
    for day in _days(folder, before, until):
        root = _seal(folder, store, day, before, register, processes)
        store.add_root(root)
        write_beside(folder, root)
        sealed.append(root)
        before = root
    return sealed


def check(
    folder: Path, store: AuditStore, *, days: Collection[date] | None = None, history: Mapping[int, str] | None = None, processes: int = 2,
) -> list[Finding]:
    """`verify` with all that the database knows, while the service runs.

    Parameters
    ----------
    history
        Seals of the events in the history of the register, by number: each day's seal names the last one of its time.
    """
    roots, findings = [], []
    for day, (document, retirement) in store.documents().items():
        try:
            roots.append(DayRoot.parse(document, retirement))
        except ValueError as error:
            findings.append(_root_finding(day, f"what the database holds {error}"))
    findings += verify(folder, store.anchors(), roots, days=days, processes=processes)
    for root in roots:
        if history is not None and root.register is not None and history.get(root.register[0]) != root.register[1]:
            findings.append(_root_finding(root.day, f"the history of the register is not what it was then: event {root.register[0]} is another one"))
    if any(one.kind is Kind.UNANCHORED for one in findings):
        anchored = {f"{segment}.jsonl" for segment in store.anchors()}             # some began after the anchors were read
        findings = [one for one in findings if one.kind is not Kind.UNANCHORED or one.place.rpartition("/")[2] not in anchored]
    return findings


def _root_finding(day: date, sentence: str) -> Finding:
    return Finding(kind=Kind.ROOT, place=f"{ROOTS}/{day.isoformat()}.json", line=None, sentence=sentence)


def unsealed_days(folder: Path, store: AuditStore) -> list[date]:
    """Days with records that are not sealed."""
    sealed = store.documents()
    return sorted(day for day in _recorded_days(folder) if day not in sealed)


def _yesterday(now: datetime) -> date:
    return (now - SETTLED).date() - timedelta(days=1)


def _days(folder: Path, before: DayRoot | None, until: date) -> Iterator[date]:
    day = before.day + timedelta(days=1) if before else min(_recorded_days(folder), default=None)
    while day is not None and day <= until:
        yield day
        day += timedelta(days=1)


def _recorded_days(folder: Path) -> Iterator[date]:
    for path in folder.glob("????-??-??"):
        try:
            yield date.fromisoformat(path.name)
        except ValueError:
            continue


def _seal(folder: Path, store: AuditStore, day: date, before: DayRoot | None, register: tuple[int, str] | None, processes: int) -> DayRoot:
    """What was found wrong is sealed with the day: it can't be denied later, and it stops no later day."""
    found = verify(folder, store.anchors(), (), days=[day], processes=processes)
    said = tuple(str(one) for one in found if one.kind not in (Kind.TORN, Kind.ROOT))
    agencies, segments = measure_day(folder, day)
    return DayRoot(
        day=day, previous=before.digest if before else FIRST_DIGEST, agencies=agencies, segments=segments, register=register, findings=said,
    )


# -- one agency's rows

def own_rows(folder: Path, day: date, agency: str) -> Iterator[bytes]:
    """The rows of one agency in the order in which they were sealed, with their line breaks."""
    for path in segments_of(folder, day):
        for line in lines_of(path):
            if line[-1:] == b"\n" and agency_of(line[:-1]) == agency:
                yield line


# -- one record

def read_record(folder: Path, record_id: str) -> dict:
    """The event of a record.

    Raises
    ------
    RecordNotFound
        That is no id of a record, or there is no such line.
    RecordAltered
        Its seal does not follow from the line before it.
    """
    segment, _, number = record_id.strip().rpartition("-")
    try:
        path, place = segment_path(folder, segment), int(number)
    except ValueError as error:
        raise RecordNotFound(f"`{record_id[:80]}` is no record: an id is the name of a segment and a line, as in {EXAMPLE}") from error
    if place < 2 or not path.exists():
        raise RecordNotFound(f"there is no record `{record_id[:80]}`" + ("" if place < 2 else f": the records of {day_of(segment)} are not here"))
    lines = list(islice(lines_of(path), place - 2, place))
    if len(lines) < 2 or lines[1][-1:] != b"\n":
        raise RecordNotFound(f"there is no record `{record_id[:80]}`: its segment is shorter")
    before, row = lines[0][:-1], lines[1][:-1]
    seal = seal_of(row)
    body = row[:-len(f',"seal":"{seal}"}}')]
    event = _parsed(row)
    if sha256((seal_of(before) or FIRST_SEAL).encode() + body + b"}").hexdigest() != seal or event.get("id") != record_id.strip():
        raise RecordAltered(
            f"record `{record_id[:80]}` is not what was written: its seal does not follow from the line before it; see `geoshare audit verify`"
        )
    if event.get("event") == HEADER:
        raise RecordNotFound(f"`{record_id[:80]}` is the header of a segment")
    return event


EXAMPLE = "20261125T144300123456-4711-12"


def _parsed(row: bytes) -> dict:
    try:
        event = json.loads(row)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
