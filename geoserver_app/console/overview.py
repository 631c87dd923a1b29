"""The first page: what waits, how the agreements stand, what was asked and refused in the last seven days."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import flask
from markupsafe import Markup

from agreements.errors import MoveRefused
from agreements.life.lifecycle import Action, check_move, state_at
from agreements.life.tasks import Task
from agreements.life.workdays import WorkCalendar
from agreements.model import Agreement, State
from geoserver_app.api.agreements import visible
from geoserver_app.api.faults import NothingThere
from geoserver_app.api.tasks import is_for, tasks_of
from geoserver_app.audit.sql import connect
from geoserver_app.clock import SHANGHAI
from geoserver_app.console import charts
from geoserver_app.console.frame import Frame, address, page
from geoserver_app.console.wording import KINDS, worded
from geoserver_app.review.archive import ends_soon
from geoserver_app.review.words import CODES, STATES
from geoserver_app.tasks import calendar

WEEK = 7
MOST_TOLD = 30
"""Tasks that are listed at once."""


@page("console.overview", "", "/")
def overview(frame: Frame) -> flask.Response:
    versions, tasks = visible(frame.visit, frame.visit.services.register.list()), _tasks(frame)
    mine = [one for one in tasks if one.is_mine]
    return frame.shown(
        "overview.html", mine=mine, others=[one for one in tasks if not one.is_mine][:MOST_TOLD], states=_states(frame, versions),
        ending=[one for one in versions if _is_ending(one, frame.at)], unratified=[one for one in tasks if one.kind == "ratify"],
        late=[one for one in tasks if one.kind == "contribution-due" and one.is_overdue], week=_week(frame),
    )


# -- what waits

@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A task as it is shown. `working_days` are left until its last day, less than none where it is over; None where nothing presses."""

    kind: str
    title: str
    sentence: str
    agreement: str
    version: int | None
    last_day: str
    working_days: int | None
    is_overdue: bool
    is_assumed: bool                     # whether a year in it is not announced yet
    is_mine: bool
    hindrance: str = ""                  # why it is for another person than this one, though he has the role
    roles: tuple[str, ...] = ()
    agencies: tuple[str, ...] = ()
    address: str = ""


def _tasks(frame: Frame) -> list[Waiting]:
    """All that the person may see, the most pressing first."""
    visit = frame.visit
    agency, working = visit.own_agency(None), calendar(visit.services.settings.config)
    return [_waiting(frame, one, working) for one in tasks_of(visit) if agency is None or agency in one.agencies]


def _waiting(frame: Frame, task: Task, working: WorkCalendar) -> Waiting:
    is_mine = is_for(frame.visit, task)
    hindrance = _hindrance(frame, task) if is_mine else ""
    last = task.due and (task.due - timedelta(microseconds=1)).astimezone(SHANGHAI).date()
    return Waiting(
        kind=task.kind, title=worded(KINDS, task.kind, frame.language), sentence=task.told(frame.language), agreement=task.agreement_id,
        version=task.version, last_day=last.isoformat() if last else "",
        working_days=working.working_days_between(frame.at.astimezone(SHANGHAI).date(), last) if last else None, is_overdue=task.is_overdue(frame.at),
        is_assumed=bool(task.assumed), is_mine=is_mine and not hindrance, hindrance=hindrance, roles=tuple(sorted(task.roles)),
        agencies=tuple(sorted(task.agencies)), address=_address(task),
    )


def _address(task: Task) -> str:
    """Where it is done."""
    if task.kind.startswith("contribution"):
        return address("contributions", agreement=task.agreement_id)
    if task.kind in ("given-review", "given-approve"):
        return address("submission", submission=task.detail["submission"])
    if task.kind == "given-upload":
        return address("contributions", agreement=task.agreement_id)
    if task.kind == "request":
        return address("access_requests")
    if task.kind.startswith("boundary"):
        return address("boundaries")
    return address("agreement", agreement=task.agreement_id, version=task.version)


DOING = {"conformity-check": Action.CHECK, "answer": Action.APPROVE, "activate": Action.ACTIVATE, "ratify": Action.RATIFY}
"""The move by which a task is done, where another person than before must do it."""


def _hindrance(frame: Frame, task: Task) -> str:
    """What the two-person rule says to this person about a task that is for his role."""
    if task.kind in DOING and not frame.person.is_member:
        try:
            check_move(frame.visit.services.register.case(task.agreement_id, task.version), DOING[task.kind], frame.visit.actor, comment="-")
        except MoveRefused as refused:
            return refused.sentence(frame.language) if refused.code == "same-person" else ""
    return ""


# -- how they stand

def _states(frame: Frame, versions: list[Agreement]) -> list[tuple[str, str, int]]:
    """Each state there is, its name, and how many agreements have it in their newest version."""
    newest = {one.agreement_id: state_at(one, frame.at).value for one in versions}
    counts = Counter(newest.values())
    return [(state, worded(STATES, state, frame.language), counts[state]) for state in STATES if counts[state]]


def _is_ending(one: Agreement, at: datetime) -> bool:
    return state_at(one, at) in (State.ACTIVE, State.SUSPENDED) and (one.replaced is None or at < one.replaced) and ends_soon(one, at)


# -- the last seven days

@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    use: Markup
    refused: Markup
    asked: int
    denied: int
    codes: tuple[tuple[str, str, int], ...]      # code, in words, how often: the most frequent reasons of refusals


BY_DAY = """
    SELECT day, effect, count(*) FROM audit WHERE event = 'overlay.decided' AND effect IS NOT NULL AND (? IS NULL OR agency = ?) GROUP BY ALL
"""
BY_CODE = """
    SELECT coalesce(code, '') AS told, count(*) AS times FROM audit_layers WHERE effect = 'deny' AND (? IS NULL OR agency = ?)
    GROUP BY ALL ORDER BY times DESC, told LIMIT 5
"""


def _week(frame: Frame) -> Week:
    agency, today = frame.visit.own_agency(None), frame.at.astimezone(SHANGHAI).date()
    counts, codes = _counted(frame, agency, today)
    days = [today - timedelta(days=back) for back in reversed(range(WEEK))]
    labels = [f"{one:%m-%d}" for one in days]
    whole, part, refused = ([counts.get((one, effect), 0) for one in days] for effect in ("permit", "clip", "deny"))
    use = [(frame.say("全部", "whole"), charts.WHOLE, whole), (frame.say("裁切", "clipped"), charts.PART, part)]
    return Week(
        use=Markup(charts.week(labels, use, frame.say("每日提供", "served a day"))),
        refused=Markup(charts.week(labels, [(frame.say("拒绝", "refused"), charts.REFUSED, refused)], frame.say("每日拒绝", "refused a day"))),
        asked=sum(whole) + sum(part), denied=sum(refused),
        codes=tuple((code, worded(CODES, code, frame.language), times) for code, times in codes) if agency is None else (),
    )


KEPT_SECONDS = 60.0
_kept: dict[tuple, tuple[float, tuple[Mapping, list]]] = {}
"""What was counted a moment ago, by record folder, agency and day: the record is long, and this page is opened often."""


def _counted(frame: Frame, agency: str | None, today: date) -> tuple[Mapping[tuple[date, str], int], list[tuple[str, int]]]:
    folder, moment = frame.visit.services.settings.decisions, time.monotonic()
    name = (folder, agency, today)
    kept = _kept.get(name)
    if kept is None or moment - kept[0] > KEPT_SECONDS:
        with connect(folder, first=today - timedelta(days=WEEK - 1), last=today) as connection:
            counts = {(day, effect): times for day, effect, times in connection.execute(BY_DAY, [agency, agency]).fetchall()}
            codes = connection.execute(BY_CODE, [agency, agency]).fetchall()
        for old in [one for one in _kept if one[2] != today]:
            _kept.pop(old, None)
        kept = _kept[name] = (moment, (counts, codes))
    return kept[1]


@page("console.nothing", "/<path:place>", takes_forms=True)
def nothing(frame: Frame, place: str) -> flask.Response:
    """Whatever else is asked for: as a page that is not this person's to see."""
    raise NothingThere(place)
