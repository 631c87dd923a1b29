"""What the agency owes back, period by period: handed in here, with the digest of its file, or said to be unchanged."""

from dataclasses import dataclass
from typing import Literal

import flask

from geoserver_app.api.contributions import ContributionQuery, DeliverySent, DeliveryTold, EntryTold, StatementSent
from geoserver_app.api.reading import Sent
from geoserver_app.console.contribution_pages import TO_COME, TO_DO
from geoserver_app.console.frame import asked, field, sent, tried
from geoserver_app.console.portal import PortalFrame, page
from geoserver_app.review.words import STANDINGS

MOST_LISTED = 60


class Choice(Sent):
    show: Literal["open", "all"] = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """`takes_statement`: whether the agreement takes a statement that nothing has changed."""

    entry: EntryTold
    deliveries: list[DeliveryTold]
    is_to_come: bool
    takes_statement: bool


@page("portal.contributions", "/contributions", takes_forms=True)
def contributions(frame: PortalFrame) -> flask.Response:
    choice = asked(Choice)
    answer, problem = tried(frame, {"receive": lambda: _receive(frame), "state": lambda: _state(frame)})
    if answer:
        return answer
    entries = _entries(frame, choice)
    return frame.shown(
        "contributions.html", problem=problem, choice=choice, found=len(entries), periods=[_period(frame, one) for one in entries[:MOST_LISTED]],
        standings=STANDINGS,
    )


def _entries(frame: PortalFrame, choice: Choice) -> list[EntryTold]:
    """What the agency itself owes: late and returned ones first, then by day."""
    found = frame.ask("contributions.list", query=ContributionQuery(open=False))["items"]
    own = [one for one in found if one.agency == frame.agency]
    if choice.show == "open":
        return sorted((one for one in own if one.standing in TO_DO), key=lambda one: (TO_DO.index(one.standing), one.due, one.dataset))
    return sorted(own, key=lambda one: (one.due, one.dataset), reverse=True)


def _period(frame: PortalFrame, entry: EntryTold) -> Period:
    deliveries = [frame.ask("deliveries.get", delivery=one) for one in entry.deliveries]
    return Period(entry=entry, deliveries=deliveries, is_to_come=entry.standing in TO_COME, takes_statement=_takes_statement(frame, entry))


def _takes_statement(frame: PortalFrame, entry: EntryTold) -> bool:
    versions = frame.visit.services.book.versions(entry.agreement)
    return any(one.dataset == entry.dataset and one.no_change_statement for one in versions[-1].record.contributions)


def _receive(frame: PortalFrame) -> flask.Response:
    body = sent(
        DeliverySent, dataset=field("dataset"), by=field("by"), due=field("due"), edition=field("edition"), features=field("features"),
        sha256=field("sha256").lower(), file_name=field("file_name"),
    )
    frame.act("contributions.receive", {"agreement": field("agreement")}, body=body)
    return frame.on("contributions", "received")


def _state(frame: PortalFrame) -> flask.Response:
    body = sent(StatementSent, dataset=field("dataset"), statement=field("statement"), by=field("by"), due=field("due"))
    frame.act("contributions.state", {"agreement": field("agreement")}, body=body)
    return frame.on("contributions", "received")
