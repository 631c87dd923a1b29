"""Where what is counted is kept: one ledger an agreement, shared by all who count. A contract, so that several hosts can keep theirs elsewhere."""

from typing import Protocol

from geoserver_app.metering.counts import Counts


class MeteringUnavailable(Exception):
    """What was counted can't be read or written, or is damaged: nothing may be served on the agreement (design R1)."""


class Ledger(Protocol):
    """One agreement's. `with ledger:` keeps everybody else out, in whatever process, until the block is left or its process dies.

    It holds a row of numbers (counts.py), which changes as a whole or not at all, and logs that are appended to. A log counts as far as the numbers
    say: who dies between the two has counted nothing. Everything here raises MeteringUnavailable, and is asked within the `with` alone.
    """

    def __enter__(self) -> "Ledger": ...

    def __exit__(self, *_) -> None: ...

    def read(self) -> Counts:
        """A copy of the numbers, to be changed at will; at first those of `counts.first_block`. The one before is of no use any more."""

    def write(self) -> None:
        """Let the copy count that was read last."""

    def read_log(self, name: str, start: int, end: int) -> bytes:
        """Bytes of a log, all of them."""

    def length_of_log(self, name: str) -> int:
        """0 where there is none."""

    def write_log(self, name: str, start: int, data: bytes) -> None:
        """Over whatever stands after `start`."""

    def remove_log(self, name: str) -> None:
        """Where it exists."""


class Ledgers(Protocol):
    """Ledgers by agreement."""

    def of(self, agreement_id: str) -> Ledger:
        """The same one as long as this process lives."""

    def set_aside(self, agreement_id: str) -> None:
        """Keep what is there under another name and begin an empty ledger: the logs named `exports` stay. For a person alone to decide."""
