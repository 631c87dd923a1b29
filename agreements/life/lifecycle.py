"""The life of an agreement: who may move it from which state to which, and who else must have done what before. Pure.

`MOVES` is the whole rule; docs/admin.md prints it. What is not in it is refused. The clock ends an agreement exactly and by itself: that
an agreement is expired or suspended is told by `state_at`, and the moves `expire` and `suspend` only put it into the history.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from agreements.errors import MoveRefused
from agreements.life.history import Event
from agreements.model import BUREAU, Agreement, State

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Role(StrEnum):
    ADMINISTRATOR = "administrator"
    APPROVER = "approver"
    AUDITOR = "auditor"
    DATA_MANAGER = "data_manager"
    MEMBER = "member"                        # of an agency
    OPERATOR = "operator"                    # whoever has the shell of the machine
    SYSTEM = "system"                        # the clock


class Action(StrEnum):
    DRAFT = "draft"
    AMEND = "amend"
    EDIT = "edit"
    SUBMIT = "submit"
    CHECK = "conformity-check"
    REQUEST_CHANGES = "request-changes"
    APPROVE = "approve"
    REFUSE = "refuse"
    SIGN = "sign"
    ACTIVATE = "activate"
    ACTIVATE_EMERGENCY = "activate-emergency"
    RATIFY = "ratify"
    SUSPEND = "suspend"
    RESUME = "resume"
    EXPIRE = "expire"
    TERMINATE = "terminate"
    ARCHIVE = "archive"
    WITHDRAW = "withdraw"
    CERTIFY = "certify-destruction"          # a certificate of destruction came in
    KEEP_BOUNDARY = "boundary-kept"          # a division was bounded anew, and the old boundary stays: `KEPT` says which
    IMPORT = "import"                        # in force already when it came here
    PARENT_CHANGED = "parent-changed"        # a note: the agreement above it was amended, suspended, resumed or ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A person, by login, with the roles of now; an agency's member acts for that agency alone."""

    login: str
    roles: frozenset[Role] = frozenset()
    agency: str = BUREAU


OPERATOR = Actor(login="(operator)", roles=frozenset({Role.OPERATOR}))
SYSTEM = Actor(login="(system)", roles=frozenset({Role.SYSTEM}))

IN_PREPARATION = frozenset({State.DRAFT, State.SUBMITTED, State.APPROVED, State.SIGNED})
COUNTING = frozenset({State.ACTIVE, State.SUSPENDED, State.EXPIRED, State.TERMINATED, State.ARCHIVED})
"""A version in one of these stands in the place of the versions before it, if it was ever in force."""

ENDING = frozenset({Action.EXPIRE, Action.TERMINATE})
"""No move of a version in whose place a newer one stands."""

WRITING = frozenset({Action.DRAFT, Action.AMEND, Action.EDIT, Action.SUBMIT})

IN_HOUSE = WRITING | {Action.CHECK, Action.REQUEST_CHANGES, Action.REFUSE, Action.WITHDRAW}
"""What the bureau does before it has made up its mind: no agency is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """`action` leads from any of `sources` to `target` (None: the state stays), done by one of `roles`.

    `another_than` lists earlier actions on the same version whose doers may not do this one as well: the two-person rule.
    """

    action: Action
    sources: frozenset[State]
    target: State | None
    roles: frozenset[Role]
    another_than: frozenset[Action] = frozenset()
    needs_comment: bool = False


def _move(action: Action, sources, target: State | None, roles, **others) -> Move:
    return Move(action=action, sources=frozenset(sources), target=target, roles=frozenset(roles), **others)


OFFICE = (Role.ADMINISTRATOR, Role.DATA_MANAGER)

MOVES: dict[Action, Move] = {move.action: move for move in (
    _move(Action.EDIT, [State.DRAFT], None, OFFICE),
    _move(Action.SUBMIT, [State.DRAFT], State.SUBMITTED, OFFICE),
    _move(Action.CHECK, [State.SUBMITTED], None, (*OFFICE, Role.APPROVER), another_than=WRITING),
    _move(Action.REQUEST_CHANGES, [State.SUBMITTED, State.APPROVED], State.DRAFT, (*OFFICE, Role.APPROVER), needs_comment=True),
    _move(Action.APPROVE, [State.SUBMITTED], State.APPROVED, [Role.APPROVER], another_than=WRITING),
    _move(Action.REFUSE, [State.SUBMITTED], State.ARCHIVED, [Role.APPROVER], another_than=WRITING, needs_comment=True),
    _move(Action.SIGN, [State.APPROVED], State.SIGNED, [Role.ADMINISTRATOR, Role.MEMBER]),
    _move(Action.ACTIVATE, [State.SIGNED], State.ACTIVE, [Role.ADMINISTRATOR], another_than=frozenset({Action.APPROVE})),
    _move(Action.ACTIVATE_EMERGENCY, IN_PREPARATION, State.ACTIVE, [Role.ADMINISTRATOR], needs_comment=True),
    _move(
        Action.RATIFY, [State.ACTIVE, State.SUSPENDED, State.EXPIRED, State.TERMINATED], None, [Role.APPROVER],
        another_than=WRITING | {Action.ACTIVATE_EMERGENCY},
    ),
    _move(Action.SUSPEND, COUNTING, None, [Role.ADMINISTRATOR, Role.APPROVER, Role.OPERATOR], needs_comment=True),
    _move(Action.RESUME, COUNTING, None, [Role.ADMINISTRATOR, Role.OPERATOR]),
    _move(Action.EXPIRE, [State.EXPIRED], State.EXPIRED, [Role.SYSTEM]),
    _move(Action.TERMINATE, [State.ACTIVE, State.SUSPENDED], State.TERMINATED, [Role.ADMINISTRATOR], needs_comment=True),
    _move(Action.ARCHIVE, [State.EXPIRED, State.TERMINATED], State.ARCHIVED, OFFICE),
    _move(Action.CERTIFY, COUNTING, None, OFFICE, needs_comment=True),
    _move(Action.KEEP_BOUNDARY, [State.ACTIVE, State.SUSPENDED], None, [Role.ADMINISTRATOR], needs_comment=True),
    _move(Action.WITHDRAW, IN_PREPARATION, State.ARCHIVED, OFFICE, needs_comment=True),
    _move(Action.AMEND, COUNTING, None, (*OFFICE, Role.SYSTEM)),              # the clock drafts renewals; people submit them
)}
"""Every move of a version that is registered. `draft` begins an agreement, by one of OFFICE; `amend` begins its next version."""


KEPT = ("division", "vintage", "instead_of")
"""In the detail of `boundary-kept`: code, the vintage that is kept, and the one it is kept instead of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Working days."""

    conformity: int = 2                      # after submission
    answer_published: int = 5                # after submission, where all that is granted is published already
    answer: int = 10
    ratify: int = 5                          # after an emergency activation
    destruction: int = 10                    # after the end, where the agreement owes a certificate of it


EMERGENCY = timedelta(hours=72)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One version of an agreement with what was done to it, at a moment: all that a move depends on but for who moves."""

    agreement: Agreement
    history: Sequence[Event]                 # of this version, in order
    at: datetime
    emergency: timedelta = EMERGENCY         # an agreement activated by one person ends within
    is_successor: bool = False               # whether an earlier version is, or was, in force

    @property
    def state(self) -> State:
        return state_at(self.agreement, self.at)

    def doers(self, *actions: Action) -> frozenset[str]:
        return frozenset(event.actor for event in self.history if event.action in actions)

    def last(self, *actions: Action) -> Event | None:
        return next((event for event in reversed(self.history) if event.action in actions), None)


def state_at(agreement: Agreement, at: datetime) -> State:
    """The state as the clock and the suspensions make it: an agreement that is active in the books may be over, or wholly suspended."""
    if agreement.state not in (State.ACTIVE, State.SUSPENDED):
        return agreement.state
    if agreement.term.end is not None and at >= agreement.term.end:
        return State.EXPIRED
    stopped = any(
        one.layers is None and one.area is None and one.since <= at and (one.until is None or at < one.until) for one in agreement.suspensions
    )
    return State.SUSPENDED if stopped else agreement.state


def is_unratified(history: Sequence[Event]) -> bool:
    """Whether one person put it in force, and nobody else has said yet that it was right."""
    done = {event.action for event in history}
    return Action.ACTIVATE_EMERGENCY in done and Action.RATIFY not in done


def signatures(history: Sequence[Event]) -> dict[str, Event]:
    """By party: who signed since the version was last approved."""
    signed: dict[str, Event] = {}
    for event in history:
        if event.action == Action.APPROVE:
            signed = {}
        elif event.action == Action.SIGN:
            signed[event.detail["party"]] = event
    return signed


# Asking and answering

def allowed_moves(case: Case, actor: Actor) -> tuple[Move, ...]:
    """What `actor` may do now, for the buttons of a page. A comment, a signature or a reason may still be asked."""
    return tuple(move for move in MOVES.values() if _refusal(move, case, actor) is None)


def check_move(case: Case, action: Action, actor: Actor, comment: str = "", detail: Mapping | None = None) -> State:
    """The state in which `action` leaves the version.

    Raises
    ------
    MoveRefused
        The first rule that forbids it, in Chinese and English.
    """
    move = MOVES.get(action)
    if move is None:
        raise MoveRefused("not-from-here", action=action, state=case.state.value)
    refusal = _refusal(move, case, actor)
    if refusal is None and move.needs_comment and not comment.strip():
        refusal = MoveRefused("comment-missing", action=action)
    if refusal is None and action is Action.SIGN:
        refusal = _signature_refusal(case, actor, detail or {})
    if refusal is None and action is Action.KEEP_BOUNDARY and not all(isinstance((detail or {}).get(name), str) for name in KEPT):
        refusal = MoveRefused("boundary-not-named")
    if refusal is not None:
        raise refusal
    if action is Action.SIGN and len({*signatures(case.history), detail["party"]}) < 2:
        return case.agreement.state
    return move.target or case.agreement.state


def check_draft(actor: Actor, action: Action = Action.DRAFT) -> None:
    """Raises MoveRefused unless `actor` may begin an agreement, or with `amend` its next version."""
    roles = MOVES[Action.AMEND].roles if action is Action.AMEND else frozenset(OFFICE)
    if not actor.roles & roles:
        raise _role_refusal(action, roles)


def _refusal(move: Move, case: Case, actor: Actor) -> MoveRefused | None:
    if case.state not in move.sources:
        return MoveRefused("not-from-here", action=move.action, state=case.state.value)
    if move.action in ENDING and case.agreement.replaced is not None and case.at >= case.agreement.replaced:
        return MoveRefused("replaced", action=move.action, version=case.agreement.version)
    if not actor.roles & move.roles:
        return _role_refusal(move.action, move.roles)
    if actor.login in case.doers(*move.another_than):
        done = next(event.action for event in case.history if event.actor == actor.login and event.action in move.another_than)
        return MoveRefused("same-person", action=move.action, login=actor.login, done=done)
    condition = CONDITIONS.get(move.action)
    return condition(case, actor) if condition else None


def _role_refusal(action: Action, roles: frozenset[Role]) -> MoveRefused:
    return MoveRefused("role", action=action, roles=", ".join(sorted(roles)))


def _is_checked(case: Case, _actor: Actor) -> MoveRefused | None:
    last = case.last(Action.SUBMIT, Action.CHECK)
    return None if last is not None and last.action == Action.CHECK else MoveRefused("unchecked", action=Action.APPROVE)


def _is_party(case: Case, actor: Actor) -> MoveRefused | None:
    """A member signs for the agency he belongs to."""
    parties = {case.agreement.grantor, case.agreement.grantee} - signatures(case.history).keys()
    if Role.ADMINISTRATOR in actor.roles or actor.agency in parties:
        return None
    return MoveRefused("not-a-party", action=Action.SIGN, agency=actor.agency)


def _is_emergency(case: Case, _actor: Actor) -> MoveRefused | None:
    hours, end = case.emergency / timedelta(hours=1), case.agreement.term.end
    if not case.agreement.is_emergency:
        return MoveRefused("no-emergency", action=Action.ACTIVATE_EMERGENCY)
    if case.is_successor:
        return MoveRefused("emergency-amendment", action=Action.ACTIVATE_EMERGENCY)
    if end is None or end > case.at + case.emergency or end <= case.at:
        return MoveRefused("emergency-term", action=Action.ACTIVATE_EMERGENCY, hours=f"{hours:g}")
    return None


def _is_to_ratify(case: Case, _actor: Actor) -> MoveRefused | None:
    return None if is_unratified(case.history) else MoveRefused("nothing-to-ratify", action=Action.RATIFY)


def _is_noted(case: Case, _actor: Actor) -> MoveRefused | None:
    """That the term is over is put down once."""
    return MoveRefused("not-from-here", action=Action.EXPIRE, state=case.state.value) if case.agreement.state is State.EXPIRED else None


def certificates(history: Sequence[Event]) -> frozenset[str]:
    """Whose certificates of destruction came in: names of contractors, "" for the grantee itself."""
    return frozenset(event.detail.get("of", "") for event in history if event.action == Action.CERTIFY)


def _is_certified(case: Case, _actor: Actor) -> MoveRefused | None:
    owed = case.agreement.record.security.destruction_certificate and "" not in certificates(case.history)
    return MoveRefused("certificate-missing", action=Action.ARCHIVE) if owed else None


CONDITIONS = {
    Action.APPROVE: _is_checked, Action.SIGN: _is_party, Action.ACTIVATE_EMERGENCY: _is_emergency, Action.RATIFY: _is_to_ratify,
    Action.EXPIRE: _is_noted, Action.ARCHIVE: _is_certified,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One party's signature on the paper: `document` is the hash that the paper bears."""

    party: str
    signatory: str
    date: str                                # ISO 8601 day
    document: str
    duty: str = ""

    def as_detail(self) -> dict:
        return {name: getattr(self, name) for name in ("party", "signatory", "date", "document", "duty")}


def _signature_refusal(case: Case, actor: Actor, detail: Mapping) -> MoveRefused | None:
    missing = [name for name in ("party", "signatory", "date", "document") if not str(detail.get(name, "")).strip()]
    if missing:
        return MoveRefused("signature-missing", action=Action.SIGN, fields=", ".join(missing))
    party = detail["party"]
    if not _is_signing_day(str(detail["date"]), case.at):
        return MoveRefused("signature-date", action=Action.SIGN, date=detail["date"])
    if party not in (case.agreement.grantor, case.agreement.grantee):
        return MoveRefused("not-a-party", action=Action.SIGN, agency=party)
    if Role.ADMINISTRATOR not in actor.roles and party != actor.agency:
        return MoveRefused("not-a-party", action=Action.SIGN, agency=actor.agency)
    if party in signatures(case.history):
        return MoveRefused("signed-already", action=Action.SIGN, agency=party)
    current = next((event.document_hash for event in reversed(case.history) if event.document_hash), None)
    if detail["document"] != current:
        return MoveRefused("other-document", action=Action.SIGN, signed=detail["document"][:16], held=(current or "")[:16])
    return None


def _is_signing_day(text: str, at: datetime) -> bool:
    try:
        return date.fromisoformat(text) <= at.astimezone(SHANGHAI).date()
    except ValueError:
        return False
