"""What may be changed in a register, and what each change leaves behind: the same rules wherever the register is kept.

Every change is one event or several, of one moment and one epoch. What stands in the books is held by a subclass: in memory or in a database.
"""

import base64
import hashlib
import ipaddress
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from agreements.compare.cells import LayerFacts
from agreements.compare.subset import gaps
from agreements.compare.subset_words import sentence
from agreements.document.canonical import canonical_digest
from agreements.errors import AgencyNotDefined, AgreementNotDefined, AlreadyRegistered, KeyNotDefined, MoveRefused, RegisterUnavailable
from agreements.life.history import Event, Subject, sealed
from agreements.life.lifecycle import (
    IN_PREPARATION,
    OPERATOR,
    Action,
    Actor,
    Case,
    check_draft,
    check_move,
    state_at,
)
from agreements.model import BUREAU, Agency, Agreement, Area, Key, RegisterSnapshot, State, Suspension
from agreements.reasons import CHINESE, ENGLISH
from agreements.register.standing import ADDED, ISSUED, REVOKED, Books, Held, HeldKey, HeldSuspension, HeldVersion, books_as_of, subject_of

SHANGHAI = ZoneInfo("Asia/Shanghai")

KEY_PREFIX = "gsk_"
KEY_BYTES = 20

AGENCY_ID = re.compile(r"[a-z][a-z0-9_-]{0,62}")
ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?|https?://\[[0-9A-Fa-f:.]+\](:\d{1,5})?")

SKEW = timedelta(seconds=2)
"""The clock of a machine may be so far behind that of the last change, and no farther: what it wrote would seem to be older."""

MOST_GAPS = 10
"""That a refusal tells."""

ENDING_ALL = frozenset({Action.ACTIVATE, Action.ACTIVATE_EMERGENCY, Action.EXPIRE, Action.TERMINATE})
"""Moves that agreements under this one feel."""

BY_OTHER_WAYS = {
    Action.DRAFT: "add_draft", Action.AMEND: "add_draft", Action.EDIT: "replace_draft", Action.SUSPEND: "suspend", Action.RESUME: "resume",
    Action.IMPORT: "register", Action.PARENT_CHANGED: "the agreement above",
}


def now() -> datetime:
    return datetime.now(SHANGHAI)


class Shelf(Protocol):
    """Where a register keeps things, as one transaction sees it."""

    def events(self, agreement_id: str | None = None) -> tuple[Event, ...]:
        """In order; of one agreement, or all."""

    def text(self, agreement_id: str, version: int) -> str:
        """Of a version that is there."""

    def digest(self, held: Held) -> str:
        """Of the row that `held` will be."""

    def now(self) -> datetime:
        """The moment of this transaction."""


class Change:
    """A change that is being made: the books as they become, and the events that are written with it."""

    def __init__(self, books: Books, now: datetime, shelf: "Shelf"):
        self.books, self.now, self.at, self.events, self.changed = books.copy(), now, _moment_after(books, now), [], {}
        self._epoch, self._shelf = books.epoch + 1, shelf

    def put(
        self, action: str, actor: Actor, held: Held | None = None, *, about: Subject | None = None, agreement_id: str | None = None,
        version: int | None = None, state: State | None = None, comment: str = "", detail: Mapping | None = None, document_hash: str | None = None,
    ) -> Event:
        """Put `held` in the books with its event; a note about a subject that stays as it is has none."""
        about = about or subject_of(held)
        event = sealed(self.books.seal, Event(
            number=self.books.number + 1, epoch=self._epoch, at=self.at, kind=about.kind, subject=about.name, action=str(action),
            actor=actor.login, agreement_id=agreement_id, version=version, state=state, comment=comment, detail=dict(detail or {}),
            document_hash=document_hash, digest="" if held is None else self._shelf.digest(held),
        ))
        self.books.apply(event, held)
        self.events.append(event)
        if held is not None:
            self.changed[about] = held
        return event

    def put_version(self, action: str, actor: Actor, held: HeldVersion, **said) -> Event:
        agreement = held.agreement
        said.setdefault("document_hash", self.books.hashes.get(subject_of(held)))
        return self.put(
            action, actor, held, agreement_id=agreement.agreement_id, version=agreement.version, state=agreement.state, **said,
        )

    def history(self, agreement_id: str, version: int) -> tuple[Event, ...]:
        return tuple(
            event for event in (*self._shelf.events(agreement_id), *self.events) if event.about == Subject.agreement(agreement_id, version)
        )

    def text(self, agreement_id: str, version: int) -> str:
        return self._shelf.text(agreement_id, version)

    def version(self, agreement_id: str, version: int) -> HeldVersion:
        held = self.books.held.get(Subject.agreement(agreement_id, version))
        if held is None:
            raise AgreementNotDefined(f"{agreement_id} version {version}")
        return held

    def standing(self, agreement_id: str) -> list[Agreement]:
        """Every version of one agreement, as it counts."""
        return [one for one in self.books.list() if one.agreement_id == agreement_id]

    def has_begun(self, agreement: Agreement) -> bool:
        return Subject.agreement(agreement.agreement_id, agreement.version) in self.books.begun


def _moment_after(books: Books, now: datetime) -> datetime:
    """Of a change: never before the last one. Raises RegisterUnavailable where the clock is farther behind than clocks may be."""
    last = books.last.at if books.last else now
    if last > now + SKEW:
        raise RegisterUnavailable(
            f"the clock of this machine is {(last - now).total_seconds():.0f} s behind the last change of the register: set it right"
        )
    return max(now, last)


class RegisterRules(ABC):
    """The contract of `agreements.register.books.AgreementRegister`, but for where things are kept."""

    def __init__(self, clock: Callable[[], datetime] | None, emergency: timedelta, layers: Callable[[], Iterable[LayerFacts]]):
        self._clock, self._emergency, self._layers = clock, emergency, layers

    # -- where things are kept

    @abstractmethod
    def _changing(self) -> AbstractContextManager[Change]:
        """One transaction: what was put is kept whole when it is left, or not at all."""

    @abstractmethod
    def _looking(self) -> AbstractContextManager[tuple[Books, Shelf]]:
        """Everything as it is at one moment. Raises RegisterUnavailable."""

    # -- reading

    def snapshot(self) -> RegisterSnapshot:
        return self._books().snapshot()

    def as_of(self, moment: datetime | None = None, *, epoch: int | None = None) -> RegisterSnapshot:
        if (moment is None) is (epoch is None):
            raise ValueError("say as of which moment, or as of which epoch")
        with self._looking() as (books, shelf):
            is_past = (lambda event: event.epoch <= epoch) if moment is None else (lambda event: event.at <= moment)
            return books_as_of(shelf.events(), books, is_past).snapshot()

    def agencies(self) -> tuple[Agency, ...]:
        return tuple(sorted(self._books().of_kind(Agency), key=lambda agency: agency.agency_id))

    def list(self) -> tuple[Agreement, ...]:
        return self._books().list()

    def registered(self, agreement_id: str, version: int | None = None) -> Agreement:
        books = self._books()
        return books.held[Subject.agreement(agreement_id, _known_version(books, agreement_id, version))].agreement

    def document(self, agreement_id: str, version: int | None = None) -> str:
        with self._looking() as (books, shelf):
            return shelf.text(agreement_id, _known_version(books, agreement_id, version))

    def document_hash(self, agreement_id: str, version: int | None = None) -> str:
        books = self._books()
        return books.hashes[Subject.agreement(agreement_id, _known_version(books, agreement_id, version))]

    def history(self, agreement_id: str | None = None) -> tuple[Event, ...]:
        with self._looking() as (books, shelf):
            if agreement_id is not None:
                _known_version(books, agreement_id, None)
            return shelf.events(agreement_id)

    def case(self, agreement_id: str, version: int | None = None) -> Case:
        with self._looking() as (books, shelf):
            change = Change(books, shelf.now(), shelf)
            return self._case(change, change.version(agreement_id, _known_version(books, agreement_id, version)))

    def cases(self) -> tuple[Case, ...]:
        with self._looking() as (books, shelf):
            done: dict[Subject, list[Event]] = {}
            for event in shelf.events():
                done.setdefault(event.about, []).append(event)
            versions, moment = books.list(), shelf.now()
        cases, in_force = [], set()
        for agreement in versions:
            about = Subject.agreement(agreement.agreement_id, agreement.version)
            cases.append(Case(
                agreement=agreement, history=tuple(done[about]), at=moment, emergency=self._emergency,
                is_successor=agreement.agreement_id in in_force,
            ))
            if about in books.begun:
                in_force.add(agreement.agreement_id)
        return tuple(cases)

    def _books(self) -> Books:
        with self._looking() as (books, _):
            return books

    # -- agencies and keys

    def add_agency(self, agency: Agency, actor: Actor = OPERATOR) -> None:
        if not AGENCY_ID.fullmatch(agency.agency_id):
            raise ValueError(f"`{agency.agency_id[:80]}` is not an id: lower-case letters, digits, `-` and `_`, beginning with a letter")
        with self._changing() as change:
            said = {"agency_id": agency.agency_id, "name_zh": agency.name_zh, "name_en": agency.name_en, "is_active": agency.is_active}
            change.put(ADDED, actor, agency, detail=said)

    def issue_key(
        self, agency_id: str, label: str = "", expires: datetime | None = None, *, app: str = "", purpose: str = "",
        networks: frozenset[str] | None = None, referers: frozenset[str] | None = None, origins: frozenset[str] = frozenset(),
        actor: Actor = OPERATOR,
    ) -> tuple[Key, str]:
        _check_networks(networks or ())
        _check_origins((*(referers or ()), *origins))
        secret = KEY_PREFIX + base64.b32encode(secrets.token_bytes(KEY_BYTES)).decode().lower()
        key = Key(
            key_id="k_" + secrets.token_hex(4), agency_id=agency_id, digest=hashlib.sha256(secret.encode()).hexdigest(), label=label,
            expires=expires, app=app, purpose=purpose, networks=networks, referers=referers, origins=origins,
        )
        with self._changing() as change:
            if Subject("agency", agency_id) not in change.books.held:
                raise AgencyNotDefined(agency_id)
            change.put(ISSUED, actor, HeldKey(key=key, issued=change.at), detail={"agency_id": agency_id})
        return key, secret

    def revoke_key(self, key_id: str, actor: Actor = OPERATOR) -> None:
        with self._changing() as change:
            held = change.books.held.get(Subject("key", key_id))
            if held is None:
                raise KeyNotDefined(key_id)
            if held.key.revoked is None:
                revoked = replace(held, key=replace(held.key, revoked=change.now))
                change.put(REVOKED, actor, revoked, detail={"agency_id": held.key.agency_id})

    # -- agreements

    def register(self, agreement: Agreement, document_text: str, actor: Actor = OPERATOR) -> None:
        with self._changing() as change:
            _check_parties(change, agreement)
            known = change.books.versions(agreement.agreement_id)
            if agreement.version in known:
                if change.text(agreement.agreement_id, agreement.version) != document_text:
                    raise _other_content(agreement)
                _check_not_in_preparation(change, agreement)
                return
            if known and agreement.version < known[-1]:
                raise AlreadyRegistered(
                    f"agreement `{agreement.agreement_id}` is registered in version {known[-1]}: "
                    f"number an amendment {known[-1] + 1}, not {agreement.version}"
                )
            _check_nothing_open(change, agreement)
            _check_same_parties(change, agreement)
            self._check_parent(change, agreement)
            self._add(change, Action.IMPORT, agreement, document_text, actor)
            _tell_children(change, agreement, Action.IMPORT, actor)

    def add_draft(self, agreement: Agreement, document_text: str, actor: Actor) -> Event:
        draft = replace(agreement, state=State.DRAFT)
        with self._changing() as change:
            known = change.books.versions(draft.agreement_id)
            check_draft(actor, Action.AMEND if known else Action.DRAFT)
            _check_parties(change, draft)
            if draft.version in known:
                raise _other_content(draft)
            if known and draft.version != known[-1] + 1:
                raise MoveRefused("version", newest=known[-1], next=known[-1] + 1, version=draft.version)
            _check_nothing_open(change, draft)
            _check_same_parties(change, draft)
            return self._add(change, Action.AMEND if known else Action.DRAFT, draft, document_text, actor)

    def _add(self, change: Change, action: Action, agreement: Agreement, document_text: str, actor: Actor) -> Event:
        held = HeldVersion(agreement=agreement, registered=change.at, document=document_text)
        return change.put_version(action, actor, held, document_hash=canonical_digest(agreement))

    def replace_draft(self, agreement: Agreement, document_text: str, actor: Actor, *, replacing: str) -> Event:
        draft = replace(agreement, state=State.DRAFT)
        with self._changing() as change:
            held = change.version(draft.agreement_id, draft.version)
            case = self._case(change, held)
            if case.state is not State.DRAFT:
                raise MoveRefused("not-a-draft", version=draft.version, state=case.state.value)
            check_move(case, Action.EDIT, actor)
            if change.books.hashes[subject_of(held)] != replacing:
                raise MoveRefused("edited-meanwhile")
            _check_parties(change, draft)
            _check_same_parties(change, draft)
            edited = replace(held, agreement=draft, document=document_text)
            return change.put_version(Action.EDIT, actor, edited, document_hash=canonical_digest(draft))

    def move(
        self, agreement_id: str, version: int, action: Action | str, actor: Actor, *, comment: str = "", detail: Mapping | None = None,
    ) -> Event:
        action = Action(action)
        if action in BY_OTHER_WAYS:
            raise ValueError(f"`{action}` is done by {BY_OTHER_WAYS[action]}")
        with self._changing() as change:
            held = change.version(agreement_id, version)
            state = check_move(self._case(change, held), action, actor, comment, detail)
            moved = replace(held, agreement=replace(held.agreement, state=state))
            if action in (Action.ACTIVATE, Action.ACTIVATE_EMERGENCY):
                self._check_parent(change, moved.agreement)
            event = change.put_version(action, actor, moved, comment=comment, detail=detail)
            if action in ENDING_ALL:
                _tell_children(change, moved.agreement, action, actor)
            return event

    def _case(self, change: Change, held: HeldVersion) -> Case:
        """As `cases` of one version, in the midst of a change."""
        agreement_id, version = held.agreement.agreement_id, held.agreement.version
        versions = change.standing(agreement_id)
        return Case(
            agreement=next(one for one in versions if one.version == version), history=change.history(agreement_id, version),
            at=change.at, emergency=self._emergency,
            is_successor=any(one.version < version and change.has_begun(one) for one in versions),
        )

    def _check_parent(self, change: Change, agreement: Agreement) -> None:
        """Raises MoveRefused unless the agreement above, where there is one, is in force, is the grantor's, and grants all that this one does."""
        if agreement.parent is None:
            return
        above = [
            one for one in change.standing(agreement.parent)
            if change.has_begun(one) and state_at(one, change.at) in (State.ACTIVE, State.SUSPENDED)
            and (one.replaced is None or change.at < one.replaced)
        ]
        if not above or agreement.parent == agreement.agreement_id:
            raise MoveRefused("parent-missing", parent=agreement.parent)
        for one in above:
            if one.grantee != agreement.grantor:
                raise MoveRefused("parent-other-party", parent=agreement.parent, grantee=one.grantee, grantor=agreement.grantor)
        if found := gaps(agreement, above, layers=self._layers()):
            told = {language: "; ".join(sentence(gap, language) for gap in found[:MOST_GAPS]) for language in (CHINESE, ENGLISH)}
            raise MoveRefused("not-a-subset", parent=agreement.parent, gaps=told)

    def suspend(
        self, agreement_id: str, reason: str, layers: frozenset[str] | None = None, until: datetime | None = None, area: Area | None = None,
        actor: Actor = OPERATOR,
    ) -> Suspension:
        with self._changing() as change:
            held = self._latest_in_force(change, agreement_id)
            check_move(self._case(change, held), Action.SUSPEND, actor, reason)
            suspension = Suspension(reason=reason, since=change.now, layers=layers or None, until=until, area=area)
            number = 1 + max((one.suspension_id for one in change.books.of_kind(HeldSuspension)), default=0)
            change.put(
                Action.SUSPEND, actor, HeldSuspension(suspension_id=number, agreement_id=agreement_id, suspension=suspension),
                agreement_id=agreement_id, version=held.agreement.version, comment=reason,
                detail={"layers": sorted(layers or ()), "until": until and until.isoformat(), "area": area and area.title},
            )
            _tell_children(change, held.agreement, Action.SUSPEND, actor)
            return suspension

    def resume(self, agreement_id: str, actor: Actor = OPERATOR, comment: str = "") -> int:
        with self._changing() as change:
            held, now = self._latest_in_force(change, agreement_id), change.now
            check_move(self._case(change, held), Action.RESUME, actor, comment)
            ended = [
                one for one in change.books.of_kind(HeldSuspension)
                if one.agreement_id == agreement_id and (one.standing.until is None or one.standing.until > now)
            ]
            for one in ended:
                change.put(
                    Action.RESUME, actor, replace(one, lifted=now), agreement_id=agreement_id, version=held.agreement.version, comment=comment,
                )
            if ended:
                _tell_children(change, held.agreement, Action.RESUME, actor)
            return len(ended)

    def _latest_in_force(self, change: Change, agreement_id: str) -> HeldVersion:
        """The newest version that is or was in force; the newest of all where none was."""
        known = change.books.versions(agreement_id)
        if not known:
            raise AgreementNotDefined(agreement_id)
        begun = [version for version in known if Subject.agreement(agreement_id, version) in change.books.begun]
        return change.version(agreement_id, (begun or known)[-1])


# Rules

def _known_version(books: Books, agreement_id: str, version: int | None) -> int:
    """The newest unless one is named. Raises AgreementNotDefined."""
    known = books.versions(agreement_id)
    if not known or version is not None and version not in known:
        raise AgreementNotDefined(agreement_id if version is None or not known else f"{agreement_id} version {version}")
    return known[-1] if version is None else version


def _check_parties(change: Change, agreement: Agreement) -> None:
    for party in (agreement.grantor, agreement.grantee):
        if party != BUREAU and Subject("agency", party) not in change.books.held:
            raise AgencyNotDefined(party)


def _check_same_parties(change: Change, agreement: Agreement) -> None:
    """The history, the ledger and the papers of an agreement are one, and in sight of all its parties."""
    for one in change.standing(agreement.agreement_id):
        if one.version < agreement.version and change.has_begun(one) and (one.grantor, one.grantee) != (agreement.grantor, agreement.grantee):
            raise MoveRefused("other-parties", version=one.version, grantor=one.grantor, grantee=one.grantee)


def _check_nothing_open(change: Change, agreement: Agreement) -> None:
    """One version at a time: of two that are being prepared, the later would be decided without the earlier."""
    for version in change.books.versions(agreement.agreement_id):
        held = change.version(agreement.agreement_id, version).agreement
        if held.state in IN_PREPARATION:
            raise MoveRefused("draft-open", version=version, state=held.state.value, newer=agreement.version)


def _check_not_in_preparation(change: Change, agreement: Agreement) -> None:
    """What is being prepared is put in force by two people, and not by giving its text in once more."""
    held = change.version(agreement.agreement_id, agreement.version).agreement
    if held.state in IN_PREPARATION and agreement.state not in IN_PREPARATION:
        raise MoveRefused("in-preparation", version=held.version, state=held.state.value)


def _tell_children(change: Change, above: Agreement, done: str, actor: Actor) -> None:
    """Agreements under this one shrink and grow with it by themselves: their history says when and why."""
    told, waiting = {above.agreement_id}, [above.agreement_id]
    while waiting:
        parent = waiting.pop()
        for child in [one for one in change.books.list() if one.parent == parent and change.has_begun(one) and one.replaced is None]:
            if child.agreement_id not in told:
                told.add(child.agreement_id)
                waiting.append(child.agreement_id)
                change.put(
                    Action.PARENT_CHANGED, actor, about=Subject.agreement(child.agreement_id, child.version), agreement_id=child.agreement_id,
                    version=child.version, state=child.state,
                    detail={"agreement": above.agreement_id, "version": above.version, "done": str(done)},
                )


def _other_content(agreement: Agreement) -> AlreadyRegistered:
    return AlreadyRegistered(
        f"agreement `{agreement.agreement_id}` version {agreement.version} is registered with other content: "
        f"registered versions never change, so number the amendment {agreement.version + 1}"
    )


def _check_networks(blocks) -> None:
    for block in blocks:
        try:
            ipaddress.ip_network(block)
        except ValueError:
            raise ValueError(f"`{block}` is not a block of addresses: give CIDR blocks such as 10.1.0.0/16") from None


def _check_origins(origins) -> None:
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise ValueError(f"`{origin}` is not an origin: give scheme and host alone, such as https://maps.example.gov")
