"""Ledgers in a folder of this machine: a folder an agreement, locked by `flock`, which the system takes off whoever dies.

The file of counters is mapped into every worker. It has room for two blocks and a number that says which of them counts: a block is written where
none counts, and then the number is changed by one store of eight bytes. So whoever dies leaves what was counted before or what is counted after.
What is in the map survives the death of the process, as with the decision record; a power failure may lose the last seconds. The folder must be on
a disk of this machine: `flock` and shared maps mean little across a network.
"""

import hashlib
import mmap
import os
import re
import threading
import time
import weakref
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from pathlib import Path

from geoserver_app.metering.counts import BLOCK, CHECK, Counts, CountsDamaged, check_of, first_block, verify
from geoserver_app.metering.ledger import MeteringUnavailable

COUNTS, INDEX, EXPORTS = "counts", "agreements", "exports"

PATIENCE = 5.0
"""Seconds to wait for a turn; counting takes microseconds."""

PAUSE = 0.00005
LOCK_NOW = LOCK_EX | LOCK_NB
LOOK_AGAIN = 1.0
"""Seconds after which the file is looked for again under its name."""

PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
SIZE = 8 + 2 * BLOCK
"""The number that says which block counts, then the two blocks."""


class FileLedger:
    """One agreement's, in its folder. May be shared by threads."""

    def __init__(self, ledgers: "FileLedgers", agreement_id: str):
        self._ledgers, self._agreement_id, self._folder = ledgers, agreement_id, ledgers.folder_of(agreement_id)
        self.begin()

    def begin(self) -> None:
        """Nothing is open: in a new process what the one before had open is not ours."""
        self._turn = threading.Lock()
        self._descriptor, self._looked = -1, 0.0
        self._map: mmap.mmap | None = None

    def __enter__(self) -> "FileLedger":
        if not self._turn.acquire(False) and not self._turn.acquire(timeout=PATIENCE):
            raise MeteringUnavailable(f"the counters of agreement `{self._agreement_id}` are busy")
        try:
            is_due = time.monotonic() - self._looked > LOOK_AGAIN
            if is_due:
                self._look()
            try:
                flock(self._descriptor, LOCK_NOW)
            except BlockingIOError:
                self._wait()
            if is_due:
                self._verify()
        except OSError as error:
            self._turn.release()
            raise self._unavailable(error) from error
        except BaseException:
            self._turn.release()
            raise
        return self

    def __exit__(self, *_) -> None:
        try:
            flock(self._descriptor, LOCK_UN)
        finally:
            self._turn.release()

    def read(self) -> Counts:
        which = self._which[0]
        copy = self._blocks[1 - which]
        copy[:] = self._blocks[which]
        return copy

    def write(self) -> None:
        which = 1 - self._which[0]
        self._blocks[which][CHECK] = check_of(self._bodies[which])
        self._which[0] = which

    def read_log(self, name: str, start: int, end: int) -> bytes:
        try:
            with open(self._folder / name, "rb", buffering=0) as file:
                data = os.pread(file.fileno(), end - start, start)
        except OSError as error:
            raise self._unavailable(error) from error
        if len(data) != end - start:
            raise MeteringUnavailable(f"the log `{name}` of agreement `{self._agreement_id}` is cut short: see `geoshare quota restart`")
        return data

    def length_of_log(self, name: str) -> int:
        try:
            return (self._folder / name).stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise self._unavailable(error) from error

    def write_log(self, name: str, start: int, data: bytes) -> None:
        try:
            descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT, 0o640)
            try:
                if os.pwrite(descriptor, data, start) != len(data):
                    raise MeteringUnavailable(f"the log `{name}` of agreement `{self._agreement_id}` could not be written whole: disk full?")
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._unavailable(error) from error

    def remove_log(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    # -- the file

    def _look(self) -> None:
        """Map the file of counters, or see that it is still the one that is mapped."""
        path = self._folder / COUNTS
        if self._map is not None:
            try:
                found = os.stat(path)
            except FileNotFoundError:
                raise self._ledgers.vanished(self._agreement_id) from None
            if os.path.samestat(found, os.fstat(self._descriptor)) and found.st_size == SIZE:
                return
            self._close()
        self._descriptor = self._ledgers.open(self._agreement_id)
        if os.fstat(self._descriptor).st_size != SIZE:
            raise self._damaged("of another size")
        self._map = mmap.mmap(self._descriptor, SIZE)
        whole = memoryview(self._map)
        self._which = whole[:8].cast("q")
        self._bodies = [whole[start:start + BLOCK - 8] for start in (8, 8 + BLOCK)]
        self._blocks = [whole[start:start + BLOCK].cast("q") for start in (8, 8 + BLOCK)]

    def _verify(self) -> None:
        """That the block that counts is as it was written; with the lock held, which is let go where it is not."""
        try:
            which = self._which[0]
            if which not in (0, 1):
                raise CountsDamaged("not as it was written")
            verify(self._blocks[which], self._bodies[which], self._agreement_id)
        except CountsDamaged as error:
            flock(self._descriptor, LOCK_UN)
            raise self._damaged(str(error)) from error
        self._looked = time.monotonic()

    def _close(self) -> None:
        for view in (self._which, *self._bodies, *self._blocks):
            view.release()
        self._map.close()
        os.close(self._descriptor)
        self._map, self._descriptor = None, -1

    def _damaged(self, why: str) -> MeteringUnavailable:
        return MeteringUnavailable(f"the counters of agreement `{self._agreement_id}` are damaged ({why}): see `geoshare quota restart`")

    def _wait(self) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            time.sleep(PAUSE)
            try:
                flock(self._descriptor, LOCK_NOW)
                return
            except BlockingIOError:
                continue
        raise MeteringUnavailable(f"the counters of agreement `{self._agreement_id}` are held by a process that does not go on")

    def _unavailable(self, error: OSError) -> MeteringUnavailable:
        return MeteringUnavailable(f"the counters of agreement `{self._agreement_id}` can't be read or written: {error.strerror}")


class FileLedgers:
    """Ledgers in `folder`. Its file `agreements` lists those that were ever begun: one that is listed and gone is told, not begun anew."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._ledgers: dict[str, FileLedger] = {}
        known = weakref.WeakMethod(self._begin)
        os.register_at_fork(after_in_child=lambda: (begin := known()) and begin())

    def of(self, agreement_id: str) -> FileLedger:
        ledger = self._ledgers.get(agreement_id)
        return ledger if ledger is not None else self._ledgers.setdefault(agreement_id, FileLedger(self, agreement_id))

    def _begin(self) -> None:
        for ledger in self._ledgers.values():
            ledger.begin()

    def folder_of(self, agreement_id: str) -> Path:
        """As much of the id as a file system likes, then enough of its digest to be sure."""
        return self.folder / f"{PLAIN.sub('_', agreement_id)[:60]}-{hashlib.sha256(agreement_id.encode()).hexdigest()[:12]}"

    def open(self, agreement_id: str) -> int:
        """A descriptor of the file of counters, which is made where the agreement never had one. Raises MeteringUnavailable, OSError."""
        folder = self.folder_of(agreement_id)
        folder.mkdir(parents=True, exist_ok=True)
        index = os.open(self.folder / INDEX, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
        try:
            flock(index, LOCK_EX)
            path, is_listed = folder / COUNTS, f"{folder.name}\n" in _text(index)
            if not path.exists():
                if is_listed:
                    raise self.vanished(agreement_id)
                _begin(path, agreement_id)
            if not is_listed:
                os.write(index, f"{folder.name}\n".encode())
            return os.open(path, os.O_RDWR)
        finally:
            os.close(index)

    def vanished(self, agreement_id: str) -> MeteringUnavailable:
        return MeteringUnavailable(f"the counters of agreement `{agreement_id}` are gone: bring back the backup, or see `geoshare quota restart`")

    def set_aside(self, agreement_id: str) -> None:
        folder = self.folder_of(agreement_id)
        aside = folder.with_name(f"{folder.name}.aside-{time.time_ns()}")
        try:
            aside.mkdir(parents=True)
            folder.mkdir(exist_ok=True)
            for path in list(folder.iterdir()):
                if path.name != EXPORTS and path.name != COUNTS:
                    os.replace(path, aside / path.name)
            if (folder / COUNTS).exists():
                os.link(folder / COUNTS, aside / COUNTS)
            _begin(folder / COUNTS, agreement_id)
        except OSError as error:
            raise MeteringUnavailable(f"the counters of agreement `{agreement_id}` can't be set aside: {error.strerror}") from error


def _begin(path: Path, agreement_id: str) -> None:
    """The first block, there as a whole or not at all."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        os.posix_fallocate(descriptor, 0, SIZE)
        os.pwrite(descriptor, first_block(agreement_id), 8)
    finally:
        os.close(descriptor)
    os.replace(unfinished, path)


def _text(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8", closefd=False) as file:
        file.seek(0)
        return file.read()
