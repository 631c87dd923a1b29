"""The register: agencies, keys, agreements in every version, suspensions, and the history of it all. One contract, kept in memory or in a database.

Every change raises the epoch in its own transaction, and leaves an event in a chain of seals. Whatever goes wrong while reading, or is not as
the last event about it left it, is RegisterUnavailable: a register that can't be trusted answers nothing (design R1). The ground of a grant is
stored as it was compiled when the agreement was registered, so that a boundary issued later changes no agreement.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Protocol

from agreements.compare.cells import LayerFacts
from agreements.life.history import Event, Subject, broken_seals
from agreements.life.lifecycle import COUNTING, EMERGENCY, OPERATOR, Action, Actor, Case
from agreements.model import Agency, Agreement, Area, Key, RegisterSnapshot, Suspension
from agreements.register.rules import Change, RegisterRules, now
from agreements.register.sql import SqlRegister, agencies_table, agreements_table, keys_table, metadata
from agreements.register.standing import Books, Held, HeldVersion, subject_of
from agreements.rows import row_digest, row_of

__all__ = (
    "COUNTING", "AgreementRegister", "InMemoryRegister", "SqlRegister", "agencies_table", "agreements_table", "keys_table", "metadata",
    "rehearsal_of",
)


class AgreementRegister(Protocol):
    """Who shares what with whom. Readers raise RegisterUnavailable where the answer can't be trusted.

    `actor` is who does it: the moves of `agreements.life.lifecycle` are refused to whom they are not for; the rest is only put in the history.
    """

    def epoch(self) -> int:
        """Grows with every change."""

    def now(self) -> datetime | None:
        """The clock of the store, where it has one of its own: by it all workers can go. None: its clock is that of the machine."""

    def snapshot(self) -> RegisterSnapshot:
        """Everything that decides, read at one moment."""

    def as_of(self, moment: datetime | None = None, *, epoch: int | None = None) -> RegisterSnapshot:
        """What `snapshot` was at a moment, or at an epoch, which is exact also for what a worker decided just before it saw a change."""

    def add_agency(self, agency: Agency, actor: Actor = OPERATOR) -> None:
        """Registers an agency, or changes its names or whether it is active. Raises ValueError for an id with other characters than
        lower-case letters, digits, `-` and `_`."""

    def agencies(self) -> tuple[Agency, ...]:
        """By id."""

    def issue_key(
        self, agency_id: str, label: str = "", expires: datetime | None = None, *, app: str = "", purpose: str = "",
        networks: frozenset[str] | None = None, referers: frozenset[str] | None = None, origins: frozenset[str] = frozenset(),
        actor: Actor = OPERATOR,
    ) -> tuple[Key, str]:
        """A new key and the secret itself, which is kept nowhere. Raises AgencyNotDefined; ValueError for networks that are no CIDR blocks
        and for referers and origins that are no origins."""

    def revoke_key(self, key_id: str, actor: Actor = OPERATOR) -> None:
        """From now on the key counts for nothing; revoking it again changes nothing. Raises KeyNotDefined."""

    def register(self, agreement: Agreement, document_text: str, actor: Actor = OPERATOR) -> None:
        """Puts a version of an agreement that is in force already in the register, for ever. The same document again changes nothing.

        Raises
        ------
        AlreadyRegistered
            That version holds another document, or a newer version is registered.
        AgencyNotDefined
            A party is not registered.
        MoveRefused
            An earlier version is still being prepared, or is between other parties, or the agreement above does not grant all that this one passes on.
        """

    def add_draft(self, agreement: Agreement, document_text: str, actor: Actor) -> Event:
        """Begins an agreement, or with the next version an amendment, as a draft. Raises MoveRefused, AgencyNotDefined, AlreadyRegistered."""

    def replace_draft(self, agreement: Agreement, document_text: str, actor: Actor, *, replacing: str) -> Event:
        """Another text of a draft; `replacing` is the `document_hash` of the text that was seen. Raises MoveRefused, AgreementNotDefined."""

    def move(
        self, agreement_id: str, version: int, action: Action | str, actor: Actor, *, comment: str = "", detail: Mapping | None = None,
    ) -> Event:
        """Moves a version from state to state as `agreements.life.lifecycle.MOVES` allow; `detail` of `sign` is a `lifecycle.Signature`'s.

        Raises
        ------
        MoveRefused
            With the rule that forbids it.
        AgreementNotDefined
            There is no such version.
        """

    def case(self, agreement_id: str, version: int | None = None) -> Case:
        """What `lifecycle.allowed_moves` is asked with, of the newest version unless one is named. Raises AgreementNotDefined."""

    def cases(self) -> tuple[Case, ...]:
        """Of every version there is, by id and version: for whoever looks over all of them, as `agreements.life.tasks` does."""

    def history(self, agreement_id: str | None = None) -> tuple[Event, ...]:
        """Every event of one agreement, or of all, in order. Raises AgreementNotDefined."""

    def suspend(
        self, agreement_id: str, reason: str, layers: frozenset[str] | None = None, until: datetime | None = None, area: Area | None = None,
        actor: Actor = OPERATOR,
    ) -> Suspension:
        """Stops layers, or all that the agreement grants, from now on. Raises AgreementNotDefined, MoveRefused."""

    def resume(self, agreement_id: str, actor: Actor = OPERATOR, comment: str = "") -> int:
        """Ends the suspensions of an agreement now; returns how many. Those that its document holds stay. Raises as `suspend`."""

    def list(self) -> tuple[Agreement, ...]:
        """Every version of every agreement as it counts now: with its suspensions, and since when a newer one replaces it."""

    def registered(self, agreement_id: str, version: int | None = None) -> Agreement:
        """A version as it was registered, the newest unless one is named: without suspensions that were added since, and its state that of now.
        What is signed is made of it. Raises AgreementNotDefined."""

    def document(self, agreement_id: str, version: int | None = None) -> str:
        """The text that was registered, of the newest version unless one is named. Raises AgreementNotDefined."""

    def document_hash(self, agreement_id: str, version: int | None = None) -> str:
        """What the signed paper of a version bears, in hex. Raises AgreementNotDefined."""

    def faults(self) -> tuple[str, ...]:
        """A sentence for everything that is not as the history left it: none, where all is sound."""


class InMemoryRegister(RegisterRules):
    """The register of one process: for tests, and for trying things out."""

    def __init__(
        self, clock: Callable[[], datetime] = now, emergency: timedelta = EMERGENCY, layers: Callable[[], Iterable[LayerFacts]] = tuple,
    ):
        super().__init__(clock, emergency, layers)
        self._lock, self._held, self._kept = threading.RLock(), Books(), _Shelf(clock)

    def epoch(self) -> int:
        return self._held.epoch

    def now(self) -> datetime | None:
        return None

    def faults(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(broken_seals(self._kept.all))

    @contextmanager
    def _looking(self) -> Iterator[tuple[Books, "_Shelf"]]:
        with self._lock:
            yield self._held, self._kept

    @contextmanager
    def _changing(self) -> Iterator[Change]:
        with self._lock:
            change = Change(self._held, self._kept.now(), self._kept)
            yield change
            self._held = change.books
            self._kept.add(change)


def rehearsal_of(register: RegisterRules) -> InMemoryRegister:
    """A copy in which changes can be tried: none of them reaches the register itself. (Its history is left behind.)"""
    copy = InMemoryRegister(layers=register._layers)
    with register._looking() as (books, shelf):
        copy._held = books.copy()
        versions = [(about, held.agreement) for about, held in books.held.items() if isinstance(held, HeldVersion)]
        copy._kept.texts = {about: shelf.text(agreement.agreement_id, agreement.version) for about, agreement in versions}
    return copy


class _Shelf:
    def __init__(self, clock: Callable[[], datetime]):
        self.now, self.all = clock, []
        self.texts: dict[Subject, str] = {}

    def events(self, agreement_id: str | None = None) -> tuple[Event, ...]:
        return tuple(event for event in self.all if agreement_id in (None, event.agreement_id))

    def text(self, agreement_id: str, version: int) -> str:
        return self.texts[Subject.agreement(agreement_id, version)]

    def digest(self, held: Held) -> str:
        return row_digest(row_of(held))

    def add(self, change: Change) -> None:
        self.all += change.events
        self.texts |= {subject_of(held): held.document for held in change.changed.values() if isinstance(held, HeldVersion)}
