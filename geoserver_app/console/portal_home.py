"""The first page of the portal: agreements, layers, what is left of the quota, what was asked, what is owed, what waits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import flask
from markupsafe import Markup

from agreements.life.lifecycle import state_at
from agreements.model import Agreement, State
from geoserver_app.api.agreements import visible
from geoserver_app.api.contributions import ContributionQuery, NoticeQuery, UsageTold
from geoserver_app.api.tasks import TaskQuery, TaskTold
from geoserver_app.clock import SHANGHAI
from geoserver_app.console.agreement_pages import BARS
from geoserver_app.console.portal import PortalFrame, address, page
from geoserver_app.console.portal_layers import OwnLayer, own_layers, picture_of
from geoserver_app.console.portal_use import use_of
from geoserver_app.console.wording import KINDS, worded
from geoserver_app.review.words import SPANS, STANDINGS
from geoserver_app.tasks import calendar

MOST_LISTED, MOST_NOTICES = 20, 8
SOON = 60
"""Days before its end from which an agreement is said to end soon."""


@page("portal.overview", "", "/")
def overview(frame: PortalFrame) -> flask.Response:
    newest = {one.agreement_id: one for one in visible(frame.visit, frame.visit.services.register.list())}
    agreements = [_held(frame, one) for one in newest.values()]
    return frame.shown(
        "overview.html", agreements=agreements, layers=[_shown(frame, one) for one in own_layers(frame)],
        quotas=[quota for one in newest.values() if (quota := _quota(frame, one))], use=use_of(frame), owed=_owed(frame),
        tasks=[_waiting(frame, one) for one in frame.ask("tasks.list", query=TaskQuery(mine=True))["items"]], notices=_notices(frame), standings=STANDINGS,
    )


# -- agreements

@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """`days_left` are until the last day, None where it has none; `is_given` where the agency is the one that grants."""

    one: Agreement
    state: State
    last_day: str
    days_left: int | None
    is_soon: bool
    is_given: bool


def _held(frame: PortalFrame, one: Agreement) -> Held:
    end, today = one.term.end, frame.at.astimezone(SHANGHAI).date()
    last = end and (end - timedelta(microseconds=1)).astimezone(SHANGHAI).date()
    state = state_at(one, frame.at)
    left = (last - today).days if last and state in (State.ACTIVE, State.SUSPENDED, State.SIGNED, State.APPROVED) else None
    return Held(
        one=one, state=state, last_day=last.isoformat() if last else "", days_left=left, is_soon=left is not None and left <= SOON,
        is_given=one.grantor == frame.agency,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    layer: OwnLayer
    picture: Markup


def _shown(frame: PortalFrame, layer: OwnLayer) -> Shown:
    return Shown(layer=layer, picture=picture_of(frame, layer))


# -- quota

@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    title: str
    window: str
    used: float
    limit: float
    remaining: float
    resets_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    agreement: str
    limits: Sequence[Limit]


def _quota(frame: PortalFrame, one: Agreement) -> Quota | None:
    """None where nothing limits it, or it is not in force for the agency."""
    if one.quota is None or one.grantee != frame.agency or state_at(one, frame.at) not in (State.ACTIVE, State.SUSPENDED):
        return None
    usage = frame.ask("usage.get", agreement=one.agreement_id)
    return Quota(agreement=one.agreement_id, limits=[_limit(frame, limit) for limit in usage.items])


def _limit(frame: PortalFrame, told: UsageTold) -> Limit:
    finer = "" if told.resolution is None else frame.say(f"，像元 {told.resolution:g} 米及更细", f", pixels of {told.resolution:g} m or finer")
    return Limit(
        title=worded(BARS, told.measure, frame.language) + finer, window=worded(SPANS, told.window, frame.language), used=told.used, limit=told.limit,
        remaining=told.remaining, resets_at=told.resets_at,
    )


# -- what is owed, and what waits

def _owed(frame: PortalFrame) -> list:
    """Periods that are open or soon will be, the first due first."""
    entries = frame.ask("contributions.list", query=ContributionQuery(open=True))["items"]
    return [one for one in entries if one.agency == frame.agency][:MOST_LISTED]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A task, as the console's `task` shows it."""

    title: str
    sentence: str
    last_day: str
    working_days: int | None
    is_overdue: bool
    is_assumed: bool
    address: str
    is_mine: bool = True
    hindrance: str = ""
    roles: tuple[str, ...] = ()
    agencies: tuple[str, ...] = ()


def _waiting(frame: PortalFrame, task: TaskTold) -> Waiting:
    last = task.due and (task.due - timedelta(microseconds=1)).astimezone(SHANGHAI).date()
    working, today = calendar(frame.visit.services.settings.config), frame.at.astimezone(SHANGHAI).date()
    is_owed, given = task.kind.startswith("contribution"), task.detail.get("submission")
    return Waiting(
        title=worded(KINDS, task.kind, frame.language), sentence=task.sentence, last_day=last.isoformat() if last else "",
        working_days=working.working_days_between(today, last) if last else None, is_overdue=task.is_overdue, is_assumed=bool(task.assumed),
        address=address("contributions") if is_owed else address("submission", submission=given) if given else address("agreement", agreement=task.agreement),
    )


def _notices(frame: PortalFrame) -> list[dict]:
    """The latest first."""
    found = frame.ask("notices.list", query=NoticeQuery())["items"]
    return sorted(found, key=lambda one: one["given"], reverse=True)[:MOST_NOTICES]
