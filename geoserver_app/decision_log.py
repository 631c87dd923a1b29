"""The decision record: one line a request, on disk before any byte leaves, each line sealed by the one before it.

A worker appends to a segment of its own (`<folder>/<day>/<start>-<process>.jsonl`), so workers never wait for one another. A line is JSON;
its `seal` is SHA-256 over the seal of the line before and the line itself without its seal. Altering, dropping or reordering a line breaks
every seal after it. What a chain can't show by itself - a tail cut off, a segment gone or slipped in - is shown by anchors: where the segment
stood, kept in another place by a thread that no request waits for. Days are those of Asia/Shanghai. Never a key, never a raw client address.
"""

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import socket
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Protocol

FIRST_SEAL = "0" * 64
HEADER = "segment.begun"
ROOTS = "roots"
"""Folder beside the days: what was sealed of each (`geoserver_app.audit.roots`)."""

SECONDS_A_DAY = 86_400
SHANGHAI_SECONDS = 8 * 3600
SHANGHAI = timezone(timedelta(seconds=SHANGHAI_SECONDS))
"""Without summer time since 1991, so that midnight is arithmetic."""

LATE_SECONDS = 20.0
"""After midnight, when the segment of the day before is closed though its worker has nothing to write. What was decided before midnight and
is written later stands in the segment of the new day: a segment never goes back, and a day can be sealed."""

LEAST_FREE = 16 << 20
ANCHOR_SECONDS = 2.0

log = logging.getLogger(__name__)


class DecisionLogUnavailable(Exception):
    """The record can't be written: nothing may be served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a segment stands: its last whole line and that line's seal. Nothing is ever added to one that is closed."""

    segment: str
    line: int
    seal: str
    is_closed: bool = False


class Anchors(Protocol):
    """Where heads are kept, out of reach of who can write the segments."""

    def anchor(self, heads: Sequence[Head]) -> None:
        """Keeps the newest head of each segment. May raise anything: it is tried again."""


class DecisionLog:
    """Append-only, hash-chained. `write` returns only when the operating system holds the line, so it survives the death of this process."""

    def __init__(self, folder: Path, anchors: Anchors | None = None, *, instance: str = "", anchor_seconds: float = ANCHOR_SECONDS):
        self.folder, self.instance, self.anchor_seconds = folder, instance, anchor_seconds
        self._anchors, self._descriptor = anchors, None
        self._forget()
        _logs.add(self)

    def _forget(self) -> None:
        """As a process begins: nothing is written yet. In one that was forked off, the segment goes on being written by the other."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._lock, self._anchor_turn, self._wake = threading.Lock(), threading.Lock(), threading.Event()
        self._descriptor: int | None = None
        self._ends, self._floor = 0.0, 0.0                          # POSIX seconds: end of the segment's day; before it no other begins
        self._opened, self._lasts = 0.0, 0.0                        # monotonic seconds: when the segment began, and for how long it is
        self._segment, self._seal, self._number = "", FIRST_SEAL, 0
        self._is_whole = True                                       # whether the file is known to end with the line that we know of
        self._before: Head | None = None                            # end of the segment that this process wrote last
        self._ended: list[Head] = []                                # ends of segments, not anchored yet
        self._anchored, self._failing, self._has_keeper = 0, None, False

    def write(self, event: dict, at: float | None = None) -> str:
        """Append `event`; returns its record id, which leads back to the line.

        Parameters
        ----------
        event : dict
            What happened; `event` names it, `agency` whose record it is (None: nobody's).
        at : float, optional
            POSIX seconds of the moment it was decided; now, unless given.

        Raises
        ------
        DecisionLogUnavailable
            Disk full, folder gone, no right to write: the caller answers 503.
        """
        return self.write_members(as_members(event), at)

    def write_members(self, members: str, at: float | None = None) -> str:
        """`write` for an event that is JSON text already, as `as_members` makes it: the records of tiles differ in their place alone.

        Raises
        ------
        DecisionLogUnavailable
            As `write`.
        """
        try:
            with self._lock:
                moment = time.time() if at is None else at
                if moment >= self._ends:
                    self._begin(moment)
                return self._append(members, moment)
        except OSError as error:
            raise DecisionLogUnavailable(f"the decision record can't be written: {error.strerror}") from error

    def check(self) -> None:
        """Raises DecisionLogUnavailable where a record could not be written now; writes nothing."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            is_full = shutil.disk_usage(self.folder).free < LEAST_FREE
        except OSError as error:
            raise DecisionLogUnavailable(f"the decision record can't be written: {error.strerror}") from error
        if is_full or not os.access(self.folder, os.W_OK):
            raise DecisionLogUnavailable("the decision record can't be written: the disk is full or the folder is not ours")

    # -- lines

    def _append(self, members: str, moment: float) -> str:
        record_id = f"{self._segment}-{self._number + 1}"
        body = f'{{"id":"{record_id}","at":"{_timestamp(moment)}",{members}'
        seal = hashlib.sha256(f"{self._seal}{body}}}".encode()).hexdigest()
        line = f'{body},"seal":"{seal}"}}\n'.encode()
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            if error.errno not in FULL:
                self._ends, self._is_whole = 0.0, False              # what the file holds now is not known: the next write begins another
            raise
        if written != len(line):
            self._ends = 0.0                            # a torn line ends this segment
            raise DecisionLogUnavailable("the decision record could not be written whole: the disk may be full")
        self._seal, self._number = seal, self._number + 1
        return record_id

    def _begin(self, moment: float) -> None:
        """A new segment with its header: who writes it, and what was known of the days and the segment before."""
        self._end()
        self._ends = 0.0
        moment = max(moment, self._floor)
        before = self._before
        header = {
            "event": HEADER, "agency": None, "process": os.getpid(), "host": socket.gethostname(), "instance": self.instance,
            "root": last_root(self.folder), "after": before and [before.segment, before.line, before.seal, before.is_closed],
        }
        self._descriptor = self._create(moment)
        self._seal, self._number, self._anchored, self._is_whole = FIRST_SEAL, 0, 0, True
        try:
            self._append(as_members(header), moment)
        except (OSError, DecisionLogUnavailable):
            self._number = 0
            os.unlink(segment_path(self.folder, self._segment))      # or a full disk would fill with beginnings
            raise
        self._floor = moment - (moment + SHANGHAI_SECONDS) % SECONDS_A_DAY
        self._ends = self._floor + SECONDS_A_DAY
        self._opened, self._lasts = time.monotonic(), self._ends - moment
        self._keep_anchored()

    def _end(self) -> None:
        """Closes the segment this process was writing, if any."""
        if self._descriptor is not None and self._number:
            self._before = Head(segment=self._segment, line=self._number, seal=self._seal, is_closed=self._is_whole)
            self._ended.append(self._before)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _create(self, moment: float) -> int:
        for later in range(100):                        # two that begin in one microsecond
            begun = datetime.fromtimestamp(moment + later * 1e-6, SHANGHAI)
            self._segment = f"{begun:%Y%m%dT%H%M%S%f}-{os.getpid()}"
            path = segment_path(self.folder, self._segment)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o640)
            except FileExistsError:
                continue
        raise FileExistsError(errno.EEXIST, "a segment of that name exists")

    # -- anchors

    def anchor(self) -> None:
        """Anchors whatever was written since the last time, once the disk itself holds it. Never raises; `anchors_late` tells of failure."""
        with self._anchor_turn:
            self._anchor()

    def _anchor(self) -> None:
        with self._lock:
            if self._anchors is None:
                return
            if self._ends and time.monotonic() - self._opened > self._lasts + LATE_SECONDS:
                self._end()
                self._floor, self._ends = self._ends, 0.0
            heads = list(self._ended)
            number, descriptor = self._number, None
            if self._descriptor is not None and number > self._anchored:
                heads.append(Head(segment=self._segment, line=number, seal=self._seal))
                descriptor = os.dup(self._descriptor)
        if not heads:
            return
        try:
            if descriptor is not None:
                os.fdatasync(descriptor)                # after a power failure no anchor may know of lines that the disk does not
            self._anchors.anchor(heads)
        except Exception as error:                      # whatever it is, serving goes on and it is tried again
            if self._failing is None:
                self._failing = time.monotonic()
                log.warning("the decision record can't be anchored (%s): it is tried again every %g s", type(error).__name__, self.anchor_seconds)
            return
        finally:
            if descriptor is not None:
                os.close(descriptor)
        self._failing = None
        with self._lock:
            self._ended = [one for one in self._ended if one not in heads]
            if heads[-1].segment == self._segment:
                self._anchored = max(self._anchored, number)

    @property
    def anchors_late(self) -> float:
        """Seconds for which anchoring has failed; 0 while it succeeds."""
        return 0.0 if self._failing is None else time.monotonic() - self._failing

    def close(self) -> None:
        """Ends the segment and anchors its end; a later write begins another."""
        with self._lock:
            self._end()
            self._ends = 0.0
        self.anchor()

    @staticmethod
    def _close_last(one: "weakref.ref[DecisionLog]") -> None:
        """When the process ends as it should: nothing can be cut off unseen from what it wrote last."""
        if (decision_log := one()) is not None:
            decision_log.close()

    def _keep_anchored(self) -> None:
        if self._anchors is None:
            return
        self._wake.set()
        if not self._has_keeper:
            self._has_keeper = True
            Finalize(self, DecisionLog._close_last, args=(weakref.ref(self),), exitpriority=0)      # a worker of the server runs no atexit
            threading.Thread(target=_anchor_forever, args=(weakref.ref(self), self._wake), name="anchors", daemon=True).start()


FULL = (errno.ENOSPC, errno.EDQUOT)
"""Nothing was written: the segment goes on where it stands when there is room again."""

_logs: "weakref.WeakSet[DecisionLog]" = weakref.WeakSet()


def _forked() -> None:
    for one in list(_logs):
        one._forget()


os.register_at_fork(after_in_child=_forked)


def _anchor_forever(one: "weakref.ref[DecisionLog]", wake: threading.Event) -> None:
    """Until the log is forgotten."""
    while (decision_log := one()) is not None:
        decision_log.anchor()
        pause = decision_log.anchor_seconds
        del decision_log
        wake.wait(pause)
        wake.clear()


# -- text

def as_members(event: dict) -> str:
    """The members of a JSON object, without its braces: `event` and `agency` first, so that a line tells whose it is without being parsed.

    Nothing in it can break a line or steer a terminal, wherever it came from.

    >>> as_members({"layer": "dom\\r\\n\\x9b", "agency": "water", "event": "overlay.decided"})
    '"event":"overlay.decided","agency":"water","layer":"dom\\\\r\\\\n\\\\u009b"'
    """
    ordered = {"event": event.get("event", ""), "agency": event.get("agency"), **event}
    try:
        text = json.dumps(ordered, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:                                  # JSON knows no infinity: whoever reads the record would stumble
        text = json.dumps(_finite(ordered), ensure_ascii=False, separators=(",", ":"))
    return STEERING.sub(_escaped, text)[1:-1]


STEERING = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Control characters, line separators, changes of direction and halves of characters that JSON lets through as they are."""


def _escaped(found: re.Match) -> str:
    return f"\\u{ord(found[0]):04x}"


def _finite(value):
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, (list, tuple)) else value


def _timestamp(moment: float) -> str:
    """ISO 8601 in Asia/Shanghai, to the microsecond.

    >>> _timestamp(1795564799.9999996), _timestamp(1795564799.25)
    ('2026-11-25T08:00:00.000000+08:00', '2026-11-25T07:59:59.250000+08:00')
    """
    whole = int(moment)
    micro = int((moment - whole) * 1_000_000 + 0.5)
    if micro == 1_000_000:
        whole, micro = whole + 1, 0
    return f"{_seconds(whole)}.{micro:06}+08:00"


@lru_cache(maxsize=4)
def _seconds(whole: int) -> str:
    return datetime.fromtimestamp(whole, SHANGHAI).strftime("%Y-%m-%dT%H:%M:%S")


# -- segments

SEGMENT = re.compile(r"(\d{4})(\d{2})(\d{2})T\d{12}-\d+")


def day_of(segment: str) -> date:
    """The day a segment belongs to. Raises ValueError where that is no name of a segment."""
    if not (found := SEGMENT.fullmatch(segment)):
        raise ValueError(f"`{segment[:80]}` is no segment of the decision record")
    return date(*map(int, found.groups()))


def segment_path(folder: Path, segment: str) -> Path:
    return folder / day_of(segment).isoformat() / f"{segment}.jsonl"


def last_root(folder: Path) -> list[str] | None:
    """Day and digest of the newest sealed day that lies beside the segments; None where there is none, or it can't be read."""
    try:
        newest = max((name for name in os.listdir(folder / ROOTS) if ROOT_FILE.fullmatch(name)), default=None)
        return newest and [newest[:10], json.loads((folder / ROOTS / newest).read_text("utf-8"))["digest"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


ROOT_FILE = re.compile(r"\d{4}-\d{2}-\d{2}\.json")


def read_segment(path: Path) -> Iterator[dict]:
    """The events of one segment after its header, verified.

    Raises
    ------
    ValueError
        At the first line whose seal does not follow from the lines before it, naming it.
    """
    seal = FIRST_SEAL
    with path.open(encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            body, _, tail = line.rstrip("\n").rpartition(',"seal":"')
            seal = hashlib.sha256(f"{seal}{body}}}".encode()).hexdigest()
            if tail != f'{seal}"}}':
                raise ValueError(f"{path.name}, line {number}: the seal does not fit: this line, or one before it, was altered, dropped or moved")
            event = json.loads(line)
            if event["event"] != HEADER:
                yield event
