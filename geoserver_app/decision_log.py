"""The decision record: one line a request, on disk before any byte leaves, each line sealed by the one before it.

A worker appends to a segment of its own (`<folder>/<day>/<start>-<process>.jsonl`), so workers never wait for one another. A line is JSON;
its `seal` is SHA-256 over the seal of the line before and the line itself without its seal. Altering, dropping or reordering a line breaks
every seal after it. Never a key, never a raw client address.
"""

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

FIRST_SEAL = "0" * 64
SECONDS_A_DAY = 86_400
LEAST_FREE = 16 << 20


class DecisionLogUnavailable(Exception):
    """The record can't be written: nothing may be served."""


class DecisionLog:
    """Append-only, hash-chained. `write` returns only when the operating system holds the line, so it survives the death of this process."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._begun, self._ends = 0.0, 0.0                          # POSIX seconds: the day (UTC) of the segment
        self._process, self._seal, self._number = 0, FIRST_SEAL, 0

    def write(self, event: dict) -> str:
        """Append `event`; returns its record id, which leads back to the line.

        Raises
        ------
        DecisionLogUnavailable
            Disk full, folder gone, no right to write: the caller answers 503.
        """
        return self.write_members(as_members(event))

    def write_members(self, members: str) -> str:
        """`write` for an event that is JSON text already, as `as_members` makes it: the records of tiles differ in their place alone.

        Raises
        ------
        DecisionLogUnavailable
            As `write`.
        """
        now = time.time()
        try:
            with self._lock:
                if not self._begun <= now < self._ends or self._process != os.getpid():
                    self._begin(datetime.fromtimestamp(now, UTC))
                record_id = f"{self._segment}-{self._number + 1}"
                body = f'{{"id":"{record_id}","at":"{_timestamp(now)}",{members}'
                seal = hashlib.sha256(f"{self._seal}{body}}}".encode()).hexdigest()
                line = f'{body},"seal":"{seal}"}}\n'.encode()
                if os.write(self._descriptor, line) != len(line):
                    self._ends = 0.0                    # a torn line ends this segment; the next write begins another
                    raise DecisionLogUnavailable("the decision record could not be written whole: the disk may be full")
                self._seal, self._number = seal, self._number + 1
                return record_id
        except OSError as error:
            self._ends = 0.0
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

    def _begin(self, now: datetime) -> None:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        self._begun, self._ends, self._process = 0.0, 0.0, os.getpid()
        self._segment = f"{now.strftime('%Y%m%dT%H%M%S%f')}-{self._process}"
        folder = self.folder / now.strftime("%Y-%m-%d")
        folder.mkdir(parents=True, exist_ok=True)
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = os.open(folder / f"{self._segment}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o640)
        self._seal, self._number = FIRST_SEAL, 0
        self._begun, self._ends = midnight, midnight + SECONDS_A_DAY


def as_members(event: dict) -> str:
    """The members of a JSON object, without its braces."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))[1:-1]


def _timestamp(moment: float) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    whole = int(moment)
    return f"{_seconds(whole)}.{int((moment - whole) * 1000):03}+00:00"


@lru_cache(maxsize=4)
def _seconds(whole: int) -> str:
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def read_segment(path: Path) -> Iterator[dict]:
    """The events of one segment, verified.

    Raises
    ------
    ValueError
        At the first line whose seal does not follow from the lines before it, naming it.
    """
    seal = FIRST_SEAL
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            body, _, tail = line.rstrip("\n").rpartition(',"seal":"')
            seal = hashlib.sha256(f"{seal}{body}}}".encode()).hexdigest()
            if tail != f'{seal}"}}':
                raise ValueError(f"{path.name}, line {number}: the seal does not fit: this line, or one before it, was altered, dropped or moved")
            yield json.loads(line)
