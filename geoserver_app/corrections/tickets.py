"""What a correction is, and which way it may go. Pure.

    reported -> taken -> answered | mended (in an edition) | refused (with reasons) -> closed
                              each of which the agency may open again: reopened -> taken ...
    reported | taken | reopened -> withdrawn, by the agency

The bureau takes up and answers; the agency that reported it, and no other, closes, opens again or withdraws. What nobody opens again is closed by itself.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from agreements.life.tasks import OFFICE, Task
from agreements.life.workdays import WorkCalendar
from geoserver_app.clock import SHANGHAI, end_of_day
from geoserver_app.messages import CHINESE, ENGLISH, sentence

TAKE_DAYS = 3
"""Working days within which a correction is taken up; within how many it is answered is a setting (`correction_days`)."""

SILENT_DAYS = 10
"""Working days after an outcome, after which silence is consent."""

LONGEST_TEXT = 2000


class Kind(StrEnum):
    MISSING = "missing"
    GONE = "gone"
    POSITION = "position"
    ATTRIBUTE = "attribute"
    NAME = "name"
    HEIGHT = "height"
    PICTURE = "picture"
    OTHER = "other"


class State(StrEnum):
    REPORTED = "reported"
    TAKEN = "taken"
    ANSWERED = "answered"
    MENDED = "mended"
    REFUSED = "refused"
    REOPENED = "reopened"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"

    @property
    def waits_for_bureau(self) -> bool:
        return self in WAITING

    @property
    def has_outcome(self) -> bool:
        return self in OUTCOMES

    @property
    def is_over(self) -> bool:
        return self in (State.CLOSED, State.WITHDRAWN)


WAITING = frozenset({State.REPORTED, State.TAKEN, State.REOPENED})
OUTCOMES = frozenset({State.ANSWERED, State.MENDED, State.REFUSED})

BY_BUREAU: Mapping[State, Collection[State]] = {
    State.REPORTED: (State.TAKEN,), State.REOPENED: (State.TAKEN,), State.TAKEN: (State.ANSWERED, State.MENDED, State.REFUSED),
}
BY_AGENCY: Mapping[State, Collection[State]] = {
    State.REPORTED: (State.WITHDRAWN,), State.TAKEN: (State.WITHDRAWN,), State.REOPENED: (State.WITHDRAWN,), State.CLOSED: (State.REOPENED,),
    **dict.fromkeys(OUTCOMES, (State.CLOSED, State.REOPENED)),
}
SAID = frozenset({State.ANSWERED, State.REFUSED, State.REOPENED})
"""States that are not reached without words."""


class CorrectionInvalid(Exception):
    """`code` and `detail` name a sentence of `geoserver_app.messages`."""

    def __init__(self, code: str, **detail: str):
        super().__init__(sentence(code, detail, ENGLISH))
        self.code, self.detail = code, detail

    def told(self, language: str) -> str:
        return sentence(self.code, self.detail, language)


class NoSuchCorrection(Exception):
    """None of that id, or another agency's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """An act in the life of a correction, kept for good."""

    at: datetime
    state: State
    actor: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A correction. `place` is GeoJSON geometry in CRS84; `feature` is `TABLE/name` as the agency was told it, or ""; `due` the last day on which it is to be
    answered; `picture` the digest of the map as its agency saw it, or ""."""

    correction_id: str
    agency: str
    made: datetime
    made_by: str
    layer: str
    edition: str
    feature: str
    kind: Kind
    place: Mapping
    text: str
    picture: str
    state: State
    due: date
    fixed_in: str = ""
    reasons: str = ""
    answered: datetime | None = None
    ended: datetime | None = None
    reminded: date | None = None

    def is_overdue(self, at: datetime) -> bool:
        return self.state.waits_for_bureau and at >= end_of_day(self.due)


def check_move(ticket: Ticket, to: State, text: str, *, is_bureau: bool) -> None:
    """Raises CorrectionInvalid where it can't go there, by that side, or not without words."""
    ways = BY_BUREAU if is_bureau else BY_AGENCY
    if to not in ways.get(ticket.state, ()):
        raise CorrectionInvalid("correction-move", state=ticket.state.value, to=to.value)
    if to in SAID and not text.strip():
        raise CorrectionInvalid("correction-reasons" if to is State.REFUSED else "correction-text")


def due_day(since: datetime, working: WorkCalendar, days: int) -> date:
    return working.due(since, days).day


def tasks_of(tickets: Collection[Ticket], working: WorkCalendar) -> list[Task]:
    """For the bureau until there is an outcome, then for the agency until it is content."""
    found = []
    for one in tickets:
        if one.state.is_over:
            continue
        told = {"ticket": one.correction_id, "agency": one.agency, "layer": one.layer}
        if one.state.has_outcome:
            code, last, whose = "task-correction-confirm", closing_day(one, working), {"agencies": frozenset({one.agency})}
        elif one.state is State.TAKEN:
            code, last, whose = "task-correction-answer", one.due, {"roles": OFFICE}
        else:
            code, whose = "task-correction-take", {"roles": OFFICE}
            last = one.due if one.state is State.REOPENED else min(one.due, due_day(one.made, working, TAKE_DAYS))
        first = one.made.astimezone(SHANGHAI).date()
        found.append(Task(
            kind="correction", agreement_id="", due=end_of_day(last), zh=sentence(code, told, CHINESE), en=sentence(code, told, ENGLISH),
            assumed=working.assumed_between(first, last), detail={"correction": one.correction_id}, **whose,
        ))
    return found


def closing_day(ticket: Ticket, working: WorkCalendar) -> date:
    """The last day on which the agency may still say something against its outcome, before that counts as accepted."""
    return due_day(ticket.answered or ticket.made, working, SILENT_DAYS)
