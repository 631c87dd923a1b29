"""What was done to the register, one event after another, each sealed over the one before it: the history of every agreement.

An event holds the digest of what it left behind (`digest`, of the row as it is stored), so that a row that somebody edited by hand is found. The
chain shows what was altered, dropped or moved; whoever can write the whole table anew can write a whole new chain, which is why its head
(`number` and `seal` of the last event) belongs into every daily root that the agencies keep.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from agreements.model import State
from agreements.plain import canonical, to_plain

FIRST_SEAL = "0" * 64


class Subject(NamedTuple):
    """What an event is about: "agency", "key", "agreement" (one version of it) or "suspension", and its name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @classmethod
    def agreement(cls, agreement_id: str, version: int) -> "Subject":
        return cls("agreement", f"{agreement_id} version {version}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change. Several of one transaction share an epoch."""

    number: int                                  # 1, 2, 3 ... without a gap
    epoch: int                                   # of the register, once this was done
    at: datetime                                 # never before the event before it
    kind: str                                    # of the subject
    subject: str                                 # its name
    action: str                                  # "submit", "approve" ...: lifecycle.Action, and what is done to agencies and keys
    actor: str                                   # login; "(system)" for the clock, "(operator)" for the shell of the machine
    agreement_id: str | None = None              # where it is about one
    version: int | None = None
    state: State | None = None                   # of that version, from now on
    comment: str = ""
    detail: Mapping = field(default_factory=dict)      # JSON values
    document_hash: str | None = None             # of the text of that version
    digest: str = ""                             # of the subject as it is stored from now on
    seal: str = ""

    @property
    def about(self) -> Subject:
        return Subject(self.kind, self.subject)


SEALED = frozenset({"seal"})


def sealed(previous: str, event: Event) -> Event:
    """`event` with its seal: SHA-256 over the seal before it and all that it says."""
    return replace(event, seal=_seal(previous, event))


def _seal(previous: str, event: Event) -> str:
    said = {name: value for name, value in to_plain(event, without=SEALED).items() if value is not None}
    return sha256(f"{previous}{canonical(said)}".encode()).hexdigest()


def broken_seals(events: Iterable[Event], number: int = 0, seal: str = FIRST_SEAL) -> Iterator[str]:
    """A sentence for each event that does not follow from the one before it, beginning after `number` with its `seal`."""
    for event in events:
        if event.number != number + 1:
            yield f"event {event.number} follows event {number}: one between was dropped, or they were moved"
        elif _seal(seal, event) != event.seal:
            yield f"event {event.number} ({event.action} {event.about}): its seal does not fit: it, or the one before it, was altered"
        number, seal = event.number, event.seal


EVENT_FIELDS = tuple(one.name for one in fields(Event))
