"""What the register holds at one moment, folded from its events: agencies, keys, versions and their states, suspensions. Pure.

The same fold gives the register of now and the register of any moment since: `as_of` stops it earlier.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from agreements.life.history import FIRST_SEAL, Event, Subject
from agreements.life.lifecycle import COUNTING, Action
from agreements.model import Agency, Agreement, Key, RegisterSnapshot, State, Suspension

BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
"""When a version without a beginning began to replace the one before it: ever since."""


# What is stored of each subject

@dataclass(frozen=True, slots=True, kw_only=True)
class HeldKey:
    key: Key
    issued: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldVersion:
    """`agreement` with its state, and without the suspensions that were added since: those are held beside."""

    agreement: Agreement
    registered: datetime
    document: str | None = None                  # its text; None where it was not read


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldSuspension:
    suspension_id: int
    agreement_id: str
    suspension: Suspension                       # `until` as it was said
    lifted: datetime | None = None

    @property
    def standing(self) -> Suspension:
        ends = [moment for moment in (self.suspension.until, self.lifted) if moment is not None]
        return self.suspension if self.lifted is None else replace(self.suspension, until=min(ends))


Held = Agency | HeldKey | HeldVersion | HeldSuspension


def subject_of(held: Held) -> Subject:
    match held:
        case Agency():
            return Subject("agency", held.agency_id)
        case HeldKey():
            return Subject("key", held.key.key_id)
        case HeldVersion():
            return Subject.agreement(held.agreement.agreement_id, held.agreement.version)
        case HeldSuspension():
            return Subject("suspension", str(held.suspension_id))


# The fold

@dataclass(slots=True)
class Books:
    """All that the events up to `last` have left behind, by subject."""

    last: Event | None = None
    held: dict[Subject, Held] = field(default_factory=dict)
    digests: dict[Subject, str] = field(default_factory=dict)        # of each as it is stored
    hashes: dict[Subject, str] = field(default_factory=dict)         # of the documents of versions
    begun: set[Subject] = field(default_factory=set)                 # versions that are, or once were, in force

    @property
    def number(self) -> int:
        return self.last.number if self.last else 0

    @property
    def seal(self) -> str:
        return self.last.seal if self.last else FIRST_SEAL

    @property
    def epoch(self) -> int:
        return self.last.epoch if self.last else 0

    def copy(self) -> "Books":
        return Books(
            last=self.last, held=dict(self.held), digests=dict(self.digests), hashes=dict(self.hashes), begun=set(self.begun),
        )

    def apply(self, event: Event, held: Held | None) -> None:
        """`held` is what the event left behind of its subject; None for a note, which left it as it was."""
        self.last = event
        if held is None:
            return
        self.held[event.about], self.digests[event.about] = held, event.digest
        if event.document_hash is not None:
            self.hashes[event.about] = event.document_hash
        if is_beginning(event):
            self.begun.add(event.about)

    def of_kind(self, kind: type) -> Iterator:
        return (one for one in self.held.values() if isinstance(one, kind))

    def versions(self, agreement_id: str) -> list[int]:
        """In order."""
        return sorted(one.agreement.version for one in self.of_kind(HeldVersion) if one.agreement.agreement_id == agreement_id)

    def list(self) -> tuple[Agreement, ...]:
        """Every version as it counts, by id and version."""
        stopping: dict[str, list[Suspension]] = {}
        for one in sorted(self.of_kind(HeldSuspension), key=lambda held: held.suspension_id):
            stopping.setdefault(one.agreement_id, []).append(one.standing)
        return standing(
            (held.agreement for held in self.of_kind(HeldVersion)), {name: tuple(stops) for name, stops in stopping.items()}, self.begun,
        )

    def snapshot(self) -> RegisterSnapshot:
        """Without what is still being prepared or was given up before it began: no agency is told of it."""
        counting = (one for one in self.list() if Subject.agreement(one.agreement_id, one.version) in self.begun)
        return snapshot_of(self.epoch, self.of_kind(Agency), (one.key for one in self.of_kind(HeldKey)), counting)


def is_beginning(event: Event) -> bool:
    """Whether the version is in force, or was before it came here."""
    return event.state in COUNTING and (event.state is not State.ARCHIVED or event.action == Action.IMPORT)


def held_then(event: Event, now: Held) -> Held:
    """What `event` left behind, told from what is held of its subject now: only states, ends and what is said of agencies ever change."""
    match now:
        case Agency():
            return Agency(**event.detail)
        case HeldKey():
            return now if event.action == REVOKED else replace(now, key=replace(now.key, revoked=None))
        case HeldSuspension():
            return now if event.action == Action.RESUME else replace(now, lifted=None)
        case HeldVersion():
            return replace(now, agreement=replace(now.agreement, state=event.state))


ADDED, ISSUED, REVOKED = "add-agency", "issue-key", "revoke-key"
"""What is done to agencies and keys."""


def books_as_of(events: Iterable[Event], now: Books, is_past: Callable[[Event], bool]) -> Books:
    """The books after the last event that `is_past`. (A draft holds the text that it has now: only texts in force decide.)"""
    books = Books()
    for event in events:
        if not is_past(event):
            break
        books.apply(event, held_then(event, now.held[event.about]) if event.digest else None)
    return books


# What counts

def standing(
    agreements: Iterable[Agreement], suspensions: Mapping[str, tuple[Suspension, ...]], begun: Set[Subject],
) -> tuple[Agreement, ...]:
    """Versions as they count: each with the suspensions of its agreement, and replaced from the moment at which a newer one begins.

    By id and version. Only versions that have `begun` replace others: not drafts, and not what was given up before it was in force.
    """
    by_id: dict[str, list[Agreement]] = {}
    for agreement in sorted(agreements, key=lambda a: (a.agreement_id, a.version)):
        by_id.setdefault(agreement.agreement_id, []).append(agreement)
    return tuple(
        _standing_version(agreement, versions[position + 1:], suspensions.get(agreement.agreement_id, ()), begun)
        for versions in by_id.values() for position, agreement in enumerate(versions)
    )


def _standing_version(
    agreement: Agreement, newer: list[Agreement], suspensions: tuple[Suspension, ...], begun: Set[Subject],
) -> Agreement:
    starts = [one.term.start or BEGINNING for one in newer if Subject.agreement(one.agreement_id, one.version) in begun]
    if not starts and not suspensions:
        return agreement
    return replace(agreement, suspensions=(*agreement.suspensions, *suspensions), replaced=min(starts) if starts else None)


def snapshot_of(epoch: int, agencies: Iterable[Agency], keys: Iterable[Key], standing_versions: Iterable[Agreement]) -> RegisterSnapshot:
    """What decides: of each grantee its agreements, and all that the grantors of those hold who pass on what others grant."""
    held = _held(standing_versions)
    deciding = {grantee: _with_those_above(grantee, held) for grantee in held}
    return RegisterSnapshot(
        epoch=epoch, agencies={agency.agency_id: agency for agency in agencies}, keys={key.digest: key for key in keys}, agreements=deciding,
        networks={
            grantee: frozenset(block for agreement in agreements for grant in agreement.grants for block in grant.networks or ())
            for grantee, agreements in deciding.items()
        },
    )


def _held(standing_versions: Iterable[Agreement]) -> dict[str, list[Agreement]]:
    """By grantee, without the versions that were replaced before they ever began."""
    held: dict[str, list[Agreement]] = {}
    for agreement in standing_versions:
        if agreement.replaced is None or (agreement.term.start is not None and agreement.term.start < agreement.replaced):
            held.setdefault(agreement.grantee, []).append(agreement)
    return held


def _with_those_above(grantee: str, held: Mapping[str, list[Agreement]]) -> tuple[Agreement, ...]:
    found, waiting, seen = [], [grantee], {grantee}
    while waiting:
        for agreement in held.get(waiting.pop(), ()):
            found.append(agreement)
            if agreement.parent is not None and agreement.grantor not in seen:
                seen.add(agreement.grantor)
                waiting.append(agreement.grantor)
    return tuple(found)
