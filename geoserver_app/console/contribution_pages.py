"""What agencies owe back under all agreements, period by period: what came, what is late, what was found when it was checked."""

from dataclasses import dataclass
from typing import Annotated, Literal

import flask
from pydantic import Field

from geoserver_app.api.agreements import versions_seen
from geoserver_app.api.contributions import CheckSent, ContributionQuery, DeliverySent, DeliveryTold, EntryTold, HappeningSent, StatementSent
from geoserver_app.api.reading import AgencyId, Sent
from geoserver_app.console.frame import Frame, asked, field, page, sent, tried
from geoserver_app.console.register_pages import agency_names
from geoserver_app.review.words import STANDINGS

MOST_LISTED = 100


class Choice(Sent):
    agency: AgencyId | None = None
    agreement: Annotated[str | None, Field(max_length=100)] = None
    show: Literal["open", "all"] = "open"
    skip: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A period, and what came for it."""

    entry: EntryTold
    deliveries: list[DeliveryTold]
    is_to_come: bool                     # whether something may be handed over for it
    is_givers: bool                      # whether this person may hand it over, or enter that it came


@page("console.contributions", "/contributions", takes_forms=True)
def contributions(frame: Frame) -> flask.Response:
    choice = asked(Choice)
    answer, problem = tried(frame, {
        "receive": lambda: _receive(frame, choice), "state": lambda: _state(frame, choice), "check": lambda: _check(frame, choice),
        "happen": lambda: _happen(frame, choice),
    })
    if answer:
        return answer
    entries = _entries(frame, choice)
    shown = entries[choice.skip:choice.skip + MOST_LISTED]
    return frame.shown(
        "contributions.html", problem=problem, choice=choice, found=len(entries), rows=[_row(frame, entry) for entry in shown], names=agency_names(frame),
        agencies=sorted({entry.agency for entry in entries}), standings=STANDINGS, counts=_counts(entries), by_event=_by_event(frame, choice),
        next_skip=choice.skip + MOST_LISTED if len(entries) > choice.skip + MOST_LISTED else None,
    )


def _entries(frame: Frame, choice: Choice) -> list[EntryTold]:
    """Late ones first, then by day."""
    if choice.agreement is not None:
        versions_seen(frame.visit, choice.agreement)
    found = frame.ask("contributions.list", query=ContributionQuery(agency=choice.agency, open=False))["items"]
    found = [one for one in found if choice.agreement in (None, one.agreement)]
    if choice.show == "open":
        found = [one for one in found if one.standing in TO_DO]
        return sorted(found, key=lambda one: (TO_DO.index(one.standing), one.due, one.agreement))
    return sorted(found, key=lambda one: (one.due, one.agreement, one.dataset), reverse=True)


TO_DO = ("returned", "overdue", "received", "in-check", "due", "awaited")
TO_COME = ("returned", "overdue", "due", "awaited")


def _counts(entries: list[EntryTold]) -> list[tuple[str, int]]:
    return [(standing, number) for standing in STANDINGS if (number := sum(one.standing == standing for one in entries))]


def _row(frame: Frame, entry: EntryTold) -> Row:
    may = frame.may("contributions.receive") and (not frame.person.is_member or entry.agency == frame.person.agency)
    deliveries = [frame.ask("deliveries.get", delivery=one) for one in entry.deliveries]
    return Row(entry, deliveries, entry.standing in TO_COME, may)


def _by_event(frame: Frame, choice: Choice) -> list[str]:
    """Datasets of the chosen agreement that are owed after an event."""
    if choice.agreement is None or not frame.may("contributions.happen"):
        return []
    return [one.dataset for one in versions_seen(frame.visit, choice.agreement)[-1].record.contributions if not one.cadence]


# -- what is done

def _back(frame: Frame, choice: Choice, done: str) -> flask.Response:
    return frame.on("contributions", done, **choice.model_dump(exclude_none=True, exclude_defaults=True))


def _receive(frame: Frame, choice: Choice) -> flask.Response:
    body = sent(
        DeliverySent, dataset=field("dataset"), by=field("by"), due=field("due"), happened=field("happened"), edition=field("edition"),
        features=field("features"), sha256=field("sha256").lower(), file_name=field("file_name"),
    )
    frame.act("contributions.receive", {"agreement": field("agreement")}, body=body)
    return _back(frame, choice, "received")


def _state(frame: Frame, choice: Choice) -> flask.Response:
    body = sent(StatementSent, dataset=field("dataset"), statement=field("statement"), by=field("by"), due=field("due"))
    frame.act("contributions.state", {"agreement": field("agreement")}, body=body)
    return _back(frame, choice, "received")


def _check(frame: Frame, choice: Choice) -> flask.Response:
    frame.act("deliveries.check", {"delivery": field("delivery")}, body=sent(CheckSent, result=field("result"), findings=field("findings")))
    return _back(frame, choice, "checked")


def _happen(frame: Frame, choice: Choice) -> flask.Response:
    frame.act("contributions.happen", {"agreement": field("agreement")}, body=sent(HappeningSent, dataset=field("dataset"), day=field("day"), note=field("note")))
    return _back(frame, choice, "noted")
