"""Whether the decision record is what was written: which line, which file was altered, dropped, put in or moved.

Three things hold it. Each line bears a seal over the line before it: found by reading, 32 MB at a time in several processes, since the seal
that a piece begins with stands in the line before it. Anchors and sealed days say how a segment went on: found by meeting their seals at
their lines. And each day's seal names the day before it. A file in which anything doesn't fit is then read again, slowly, to say what.
"""

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

from geoserver_app.audit.roots import (
    MOST_BYTES,
    SEAL_BYTES,
    SEALED_BY,
    DayRoot,
    chain_faults,
    lines_of,
    measure_day,
    read_beside,
    seal_of,
)
from geoserver_app.decision_log import FIRST_SEAL, HEADER, ROOTS, SEGMENT, Head, day_of

PIECE_BYTES = 32 << 20
ALONE_BYTES = 64 << 20
"""Less than this is read in this very process: starting others takes longer."""

MOST_FINDINGS = 100
"""Told of one segment: the rest is counted."""


class Kind(StrEnum):
    """What was found. The last two are no sign of tampering by themselves."""

    ALTERED = "altered"                          # a line says something else than was written
    DELETED = "deleted"                          # lines are gone
    INSERTED = "inserted"                        # a line, or a segment, that the service did not write there
    MOVED = "moved"                              # a line is not in its place
    TRUNCATED = "truncated"                      # the end of a segment is gone
    REWRITTEN = "rewritten"                      # seals fit one another, but not what was anchored
    MISSING = "missing"                          # a segment is gone
    ROOT = "root"                                # the seal of a day doesn't fit
    TORN = "torn"                                # a worker died, or the disk was full, while it wrote: nothing was served for it
    UNANCHORED = "unanchored"                    # nothing outside the folder knows of the segment: perhaps the database was away


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`line` counts from 1, the header; None is the file as a whole. `place` is relative to the folder of the record."""

    kind: Kind
    place: str
    line: int | None
    sentence: str

    @property
    def is_tampering(self) -> bool:
        return self.kind not in (Kind.TORN, Kind.UNANCHORED)

    @property
    def is_harmful(self) -> bool:
        """Whether somebody has to look: nothing was lost with a torn line."""
        return self.kind is not Kind.TORN

    def __str__(self) -> str:
        return f"{self.place}{f', line {self.line}' if self.line else ''}: {self.kind}: {self.sentence}"


def verify(
    folder: Path, anchors: Mapping[str, Head] | None, roots: Sequence[DayRoot], *, days: Iterable[date] | None = None, processes: int = 2,
) -> list[Finding]:
    """Everything that does not fit, day by day and file by file; nothing where all is well.

    Parameters
    ----------
    anchors
        By segment; None where there is no database to ask, so that nothing is said of what only it could tell. Read them before this is
        called: the service may go on writing meanwhile.
    roots
        The days sealed, in order, as the database holds them.
    days
        Only these; all there are, unless given. The chain of days is always looked at as a whole.
    """
    wanted = None if days is None else set(days)
    sealed = {root.day: root for root in roots}
    findings = [*_root_faults(folder, roots)]
    present = {path.stem: path for path in sorted(folder.glob("*/*.jsonl")) if _is_wanted(path.parent.name, wanted)}
    strangers = [path for stem, path in present.items() if not _is_in_place(path, stem)]
    findings += [_finding(folder, path, Kind.INSERTED, "is no segment of that day: the service gives no such name") for path in strangers]
    present = {stem: path for stem, path in present.items() if path not in strangers}
    headers = {stem: _header(path) for stem, path in present.items()}
    known = _Known(anchors, sealed, headers)
    findings += _missing(folder, present, known, wanted)
    findings += [fault for stem, path in present.items() for fault in _header_faults(folder, path, headers[stem], sealed)]
    sizes = {stem: path.stat().st_size for stem, path in present.items()}
    recomputed = [root.day for root in roots if (wanted is None or root.day in wanted) and any(day_of(stem) == root.day for stem in present)]
    with _executor(sum(sizes.values()), processes) as pool:
        measured = {day: pool.submit(measure_day, folder, day) for day in recomputed} if pool else {}
        for stem, path in present.items():
            findings += _segment_faults(folder, path, sizes[stem], known.heads(stem), pool)
            if anchors is not None and not known.heads(stem):
                findings.append(_finding(folder, path, Kind.UNANCHORED, (
                    "no anchor is known: it was put in, or its worker never reached the database; compare it with the server's own output"
                )))
        for day in recomputed:
            findings += _day_faults(sealed[day], *(measured[day].result() if pool else measure_day(folder, day)))
    return findings


def _is_wanted(name: str, wanted: set[date] | None) -> bool:
    try:
        day = date.fromisoformat(name)
    except ValueError:
        return wanted is None and name != ROOTS
    return wanted is None or day in wanted


def _is_in_place(path: Path, stem: str) -> bool:
    return bool(SEGMENT.fullmatch(stem)) and day_of(stem).isoformat() == path.parent.name


def _finding(folder: Path, path: Path, kind: Kind, sentence: str, line: int | None = None) -> Finding:
    return Finding(kind=kind, place=path.relative_to(folder).as_posix(), line=line, sentence=sentence)


def _executor(size: int, processes: int):
    """Processes of their own where there is much to read: they begin anew, since a fork would take our threads' locks along."""
    if size < ALONE_BYTES or processes < 2:
        return nullcontext()
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"))


# -- what is known from elsewhere

@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    segment: str
    root: tuple[str, str] | None
    after: Head | None


class _Known:
    """Where segments must have stood: by anchors, by the seals of days, by the header of the segment that followed."""

    def __init__(self, anchors: Mapping[str, Head] | None, sealed: Mapping[date, DayRoot], headers: Mapping[str, _Header | None]):
        self.retired = {day for day, root in sealed.items() if root.retired}
        self._heads: dict[str, list[Head]] = {}
        self.sealed = {one.segment for root in sealed.values() for one in root.segments}
        self.sealed_days = set(sealed)
        for head in (anchors or {}).values():
            self._add(head)
        for root in sealed.values():
            for one in root.segments:
                if one.lines:
                    self._add(Head(segment=one.segment, line=one.lines, seal=one.seal, is_closed=True))
        for header in headers.values():
            if header and header.after:
                self._add(header.after)

    def _add(self, head: Head) -> None:
        self._heads.setdefault(head.segment, []).append(head)

    def heads(self, segment: str) -> list[Head]:
        return self._heads.get(segment, [])

    def segments(self) -> Iterator[str]:
        return iter(sorted(self._heads))


def _missing(folder: Path, present: Mapping[str, Path], known: _Known, wanted: set[date] | None) -> Iterator[Finding]:
    for segment in known.segments():
        if segment in present or not SEGMENT.fullmatch(segment) or not _is_wanted(day_of(segment).isoformat(), wanted):
            continue
        if day_of(segment) not in known.retired:
            head = max(known.heads(segment), key=lambda one: one.line)
            place = f"{day_of(segment).isoformat()}/{segment}.jsonl"
            yield Finding(kind=Kind.MISSING, place=place, line=None, sentence=f"the whole segment is gone: it held {head.line} lines at least")
    for segment, path in present.items():
        if day_of(segment) in known.sealed_days and segment not in known.sealed:
            yield _finding(folder, path, Kind.INSERTED, "the seal of its day does not know it: it was put in after the day was sealed")


def _header(path: Path) -> _Header | None:
    """What the first line says, if it is a header at all."""
    with path.open("rb") as segment:
        line = segment.readline(MOST_BYTES)
    try:
        held = json.loads(line)
        if held["event"] != HEADER:
            return None
        after = held["after"] and _head(*held["after"])
        return _Header(segment=str(held["id"]).rpartition("-")[0], root=held["root"] and tuple(held["root"]), after=after)
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def _head(segment: str, line: int, seal: str, is_closed: bool) -> Head:
    return Head(segment=str(segment), line=int(line), seal=str(seal), is_closed=bool(is_closed))


def _header_faults(folder: Path, path: Path, header: _Header | None, sealed: Mapping[date, DayRoot]) -> Iterator[Finding]:
    if header is None:
        if path.stat().st_size:
            yield _finding(folder, path, Kind.ALTERED, "does not begin with a header: every segment has one", 1)
        return
    if header.segment != path.stem:
        yield _finding(folder, path, Kind.INSERTED, f"is the segment {header.segment}, under another name", 1)
    if header.root:
        root = next((one for day, one in sealed.items() if day.isoformat() == header.root[0]), None)
        if root is None or root.digest != header.root[1]:
            told = "is gone" if root is None else "is another one now"
            yield _finding(folder, path, Kind.ROOT, f"the seal of {header.root[0]} that was known when it began {told}", 1)


# -- days

def _root_faults(folder: Path, roots: Sequence[DayRoot]) -> Iterator[Finding]:
    beside = read_beside(folder)
    for root in roots:
        place = f"{ROOTS}/{root.day.isoformat()}.json"
        if (document := beside.pop(root.day, None)) is None:
            yield Finding(kind=Kind.ROOT, place=place, line=None, sentence="the file is gone: `geoshare audit seal` writes it again")
        elif document != root.document():
            yield Finding(kind=Kind.ROOT, place=place, line=None, sentence="the file is not what was sealed: it was altered")
    for day in beside:
        yield Finding(
            kind=Kind.ROOT, place=f"{ROOTS}/{day.isoformat()}.json", line=None, sentence="the database knows of no such seal: one of the two was altered",
        )
    for day, sentence in chain_faults(roots):
        yield Finding(kind=Kind.ROOT, place=f"{ROOTS}/{day.isoformat()}.json", line=None, sentence=sentence)


def _day_faults(root: DayRoot, agencies, segments) -> Iterator[Finding]:
    """The seal of a day beside what lies there: segments by name are compared elsewhere, so here it is the agencies' roots alone."""
    if agencies == root.agencies:
        return
    now, then = {one.agency: one for one in agencies}, {one.agency: one for one in root.agencies}
    for agency in sorted(now.keys() | then.keys()):
        if now.get(agency) != then.get(agency):
            rows = f"{now[agency].rows if agency in now else 0} rows now, {then[agency].rows if agency in then else 0} when it was sealed"
            yield Finding(
                kind=Kind.ROOT, place=root.day.isoformat(), line=None, sentence=f"the rows of `{agency}` do not have the root that was sealed: {rows}",
            )


# -- segments

@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """What reading one piece told: how many whole lines, the last seal, which of the seals looked for stood at which line of the piece."""

    lines: int
    is_broken: bool
    met: Mapping[str, int]
    torn: int


def _segment_faults(folder: Path, path: Path, size: int, heads: Sequence[Head], pool: Executor | None) -> Iterator[Finding]:
    wanted = frozenset(head.seal for head in heads)
    starts = range(0, max(size, 1), PIECE_BYTES)
    read = partial(_read_piece, path, size, wanted)
    pieces = pool.map(read, starts) if pool and len(starts) > 1 else map(read, starts)
    lines, is_broken, met, torn = 0, False, {}, 0
    for piece in pieces:
        met |= {seal: lines + line for seal, line in piece.met.items()}
        lines, is_broken, torn = lines + piece.lines, is_broken or piece.is_broken, piece.torn
    if is_broken:
        yield from _limited(folder, path, _diagnosed(path, size))
    for head in sorted(heads, key=lambda one: one.line):
        if (fault := _head_fault(head, lines, met.get(head.seal), is_broken)) is not None:
            yield _finding(folder, path, *fault)
    if torn and not _has_grown(path, size):
        yield _finding(folder, path, Kind.TORN, (
            f"{torn} bytes of a line that was never finished: its worker died or the disk was full, and nothing was served for it"
        ), lines + 1)


def _head_fault(head: Head, lines: int, line: int | None, is_broken: bool) -> tuple[Kind, str, int] | None:
    if line is None:
        if lines < head.line:
            return Kind.TRUNCATED, f"ends after {lines} lines, and there were {head.line} at least", lines
        if not is_broken:
            return Kind.REWRITTEN, "is not the line that was anchored: all lines up to it may have been written anew", head.line
        return None
    if head.is_closed and lines > line:
        return Kind.INSERTED, f"{lines - line} lines were added after the segment had ended", line + 1
    return None


def _has_grown(path: Path, size: int) -> bool:
    """Whether the service is just writing there: then what looked torn was half of a line."""
    if path.stat().st_size == size:
        time.sleep(0.05)
    return path.stat().st_size != size


def _read_piece(path: Path, size: int, wanted: frozenset[str], start: int) -> _Piece:
    """The lines that begin in `[start, start + PIECE_BYTES)` of the first `size` bytes."""
    with path.open("rb", buffering=1 << 20) as segment:
        seal = _seek(segment, start)
        position, end = segment.tell(), min(start + PIECE_BYTES, size)
        lines, torn, met, is_broken = 0, 0, {}, False
        looked_for = {one.encode() for one in wanted}
        digest, readline = sha256, segment.readline
        while position < end:
            line = readline(MOST_BYTES)
            position += len(line)
            if position > size or line[-1:] != b"\n":
                torn = len(line)
                break
            lines += 1
            written = line[-67:-3]
            if digest(seal + line[:-76] + b"}").hexdigest().encode() != written or line[-76:-67] != SEALED_BY or line[-3:-1] != b'"}':
                is_broken = True
            if written in looked_for:
                met[written.decode("ascii", "replace")] = lines
            seal = written
    return _Piece(lines=lines, is_broken=is_broken, met=met, torn=torn)


def _seek(segment, start: int) -> bytes:
    """Goes to the first line that begins at `start` or after it; the seal of the line before."""
    if start == 0:
        return FIRST_SEAL.encode()
    segment.seek(start - 1)
    segment.readline(MOST_BYTES)
    segment.seek(max(segment.tell() - 67, 0))
    return segment.read(67)[:64]


# -- what is wrong with a segment

@dataclass(slots=True)
class _Line:
    """One line: its place in the file, the number in its id, what is sealed, and the seal it bears (None: it bears none)."""

    place: int
    number: int | None
    body: bytes
    seal: bytes | None

    def follows(self, seal: bytes | None) -> bool:
        return self.seal is not None and seal is not None and sha256(seal + self.body + b"}").hexdigest().encode() == self.seal


NUMBER = re.compile(rb'\{"id":"([^"\\]*)-(\d{1,18})"')


def _lines(path: Path, size: int) -> Iterator[_Line]:
    position, place, stem = 0, 0, path.stem.encode()
    for line in lines_of(path):
        position, place = position + len(line), place + 1
        if position > size or line[-1:] != b"\n":
            return
        row = line[:-1]
        found = NUMBER.match(row)
        seal = seal_of(row).encode() or None
        yield _Line(place, int(found[2]) if found and found[1] == stem else None, row[:-SEAL_BYTES] if seal else row, seal)


@dataclass(slots=True)
class _Gaps:
    """Numbers of records that are missed so far: ranges, each with the place where that was noticed. `early` are records that stand before
    their turn, with their places: moved if they are missed later, else a second one of that number."""

    ranges: list[tuple[int, int, int]] = field(default_factory=list)
    early: dict[int, int] = field(default_factory=dict)

    def open(self, first: int, last: int, place: int) -> Iterator[tuple[Kind, str, int]]:
        self.ranges.append((first, last, place))
        for number in sorted(number for number in self.early if first <= number <= last):
            self.fill(number)
            yield _moved(number, self.early.pop(number))

    def fill(self, number: int) -> bool:
        """Whether the number was missed; it no longer is."""
        for at, (first, last, place) in enumerate(self.ranges):
            if first <= number <= last:
                self.ranges[at:at + 1] = [one for one in ((first, number - 1, place), (number + 1, last, place)) if one[0] <= one[1]]
                return True
        return False


def _diagnosed(path: Path, size: int) -> Iterator[tuple[Kind, str, int]]:
    """What was done to a segment whose seals don't fit, line by line."""
    gaps, seal, expected = _Gaps(), FIRST_SEAL.encode(), 1
    lines = _lines(path, size)
    line = next(lines, None)
    while line is not None:
        following = next(lines, None)
        if line.number == expected and line.follows(seal):
            seal, expected = line.seal, expected + 1
        else:
            number = _true_number(line, following, seal, expected)
            if number is None:
                if line.number is not None and gaps.fill(line.number):
                    yield _moved(line.number, line.place)
                elif line.number is not None and line.number > expected and line.number not in gaps.early and len(gaps.early) < MOST_FINDINGS:
                    gaps.early[line.number] = line.place
                else:
                    yield _inserted(line.number, line.place)
            else:
                if number > expected:
                    yield from gaps.open(expected, number - 1, line.place)
                if number == expected or line.number != number:
                    yield Kind.ALTERED, (
                        "its seal does not fit" + (f": it was altered, or line {line.place - 1} was and was sealed anew" if line.place > 1 else "")
                    ), line.place
                seal, expected = line.seal, number + 1
        line = following
    for number, place in gaps.early.items():
        yield _inserted(number, place)
    for first, last, place in gaps.ranges:
        told = f"record {first} is" if first == last else f"records {first} to {last} are"
        yield Kind.DELETED, f"{told} missing before it", place


def _moved(number: int, place: int) -> tuple[Kind, str, int]:
    return Kind.MOVED, f"is record {number}, out of its place", place


def _inserted(number: int | None, place: int) -> tuple[Kind, str, int]:
    told = "is no record of this segment" if number is None else f"is a second record {number}"
    return Kind.INSERTED, f"{told}: the service did not write it there", place


def _true_number(line: _Line, following: _Line | None, seal: bytes | None, expected: int) -> int | None:
    """The number that the record on `line` had when it was written; None where it does not belong there.

    The line after it tells: it bears a seal over this one's, or over that of the line before.
    """
    if following is not None and following.number is not None:
        if following.follows(line.seal):
            return following.number - 1 if following.number - 1 >= expected else None
        if following.number == expected and following.follows(seal):
            return None
    return line.number if line.number is not None and line.number >= expected else (expected if line.number is None and _is_next(following, expected) else None)


def _is_next(following: _Line | None, expected: int) -> bool:
    return following is None or following.number == expected + 1


def _limited(folder: Path, path: Path, faults: Iterable[tuple[Kind, str, int]]) -> Iterator[Finding]:
    count = 0
    for count, fault in enumerate(faults, 1):
        if count <= MOST_FINDINGS:
            yield _finding(folder, path, *fault)
    if count > MOST_FINDINGS:
        yield _finding(folder, path, Kind.ALTERED, f"{count - MOST_FINDINGS} more lines of this segment do not fit")


def processors() -> int:
    """How many processes may run at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
