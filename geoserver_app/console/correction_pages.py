"""Corrections: marked by members of agencies on the portal, taken up and answered by the bureau on the console. Both see the same tickets in their own way."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import flask
from pydantic import Field

from agreements.model import BUREAU, Operation
from geoserver_app.api.corrections import CorrectionQuery, CorrectionTold, FigureQuery, MoveSent, ReportSent
from geoserver_app.api.faults import FieldFault, InputFaulty
from geoserver_app.api.operation import STAFF
from geoserver_app.api.packages import asking
from geoserver_app.api.reading import AgencyId, Sent
from geoserver_app.console import frame as console_frame
from geoserver_app.console.frame import Frame, asked, field, sent, tried
from geoserver_app.console.portal import PortalFrame, page
from geoserver_app.console.register_pages import agency_names
from geoserver_app.console.wording import worded
from geoserver_app.corrections.words import KINDS, STATES
from geoserver_app.gate import Visible
from geoserver_app.messages import sentence

SHOWN = 200
MOST_TEXT = 200


class Choice(Sent):
    """`late`: those alone that should be answered already."""

    show: Literal["open", "late", "all"] = "open"
    agency: AgencyId | None = None
    layer: Annotated[str, Field(max_length=63)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Markable:
    """A layer of the bureau that the agency sees; `extent` is west, south, east, north of what it is granted."""

    name: str
    title: str
    extent: tuple[float, ...]
    has_picture: bool


# -- the portal

@page("portal.corrections", "/corrections", takes_forms=True)
def corrections(frame: PortalFrame) -> flask.Response:
    answer, problem = tried(frame, {"report": lambda: _report(frame)})
    if answer:
        return answer
    choice = asked(Choice, "show")
    rows = _rows(frame, choice)
    return frame.shown(
        "corrections.html", problem=problem, layers=_markable(frame), rows=rows, choice=choice, shapes=shapes_of(rows),
        figures=frame.ask("corrections.statistics", query=FigureQuery()), **_words(frame),
    )


@page("portal.correction", "/corrections/<correction>", takes_forms=True)
def correction(frame: PortalFrame, correction: str) -> flask.Response:
    answer, problem = tried(frame, {"move": lambda: _move(frame, correction)})
    if answer:
        return answer
    one = frame.ask("corrections.get", correction=correction)
    return frame.shown("correction.html", problem=problem, one=one, shapes=shapes_of([one]), **_words(frame))


def _report(frame: PortalFrame) -> flask.Response:
    body = sent(
        ReportSent, layer=field("layer"), kind=field("kind"), place=_place(), text=flask.request.form.get("text", ""), feature=field("feature"),
    )
    made = frame.act("corrections.report", body=body)
    return frame.on("correction", "correction-reported", correction=made.object_id)


def _place() -> dict:
    """What was drawn, or typed as `lon, lat`. Raises InputFaulty."""
    try:
        if drawn := field("place"):
            plain = json.loads(drawn)
            if isinstance(plain, dict):
                return plain
        else:
            lon, lat = (float(part) for part in field("point").split(","))
            return {"type": "Point", "coordinates": [lon, lat]}
    except ValueError:
        pass
    raise InputFaulty(FieldFault(pointer="/place", code="correction-unmarked"))


def _markable(frame: PortalFrame) -> Sequence[Markable]:
    """By what somebody who is signed in may ask for; a key for an application of its own may be granted more."""
    seen = frame.visit.services.gate.visible(asking(frame.visit), record=None)
    return [_one(frame, one) for one in seen if one.layer.owner == BUREAU]


def _one(frame: PortalFrame, one: Visible) -> Markable:
    title = frame.say(one.layer.title_zh, one.layer.title_en) or one.layer.name
    return Markable(
        name=f"{one.layer.name}@{one.edition.name}", title=f"{title} {one.edition.name}", extent=tuple(round(value, 6) for value in one.bounds),
        has_picture=Operation.GET_MAP in one.operations,
    )


# -- the console

@console_frame.page("console.corrections", "/corrections", roles=STAFF)
def tickets(frame: Frame) -> flask.Response:
    choice = asked(Choice)
    rows = _rows(frame, choice)
    return frame.shown(
        "corrections.html", rows=rows, choice=choice, shapes=shapes_of(rows), names=agency_names(frame),
        figures=frame.ask("corrections.statistics", query=FigureQuery(agency=choice.agency)), **_words(frame),
    )


@console_frame.page("console.correction", "/corrections/<correction>", takes_forms=True, roles=STAFF)
def ticket(frame: Frame, correction: str) -> flask.Response:
    answer, problem = tried(frame, {"move": lambda: _move(frame, correction)})
    if answer:
        return answer
    one = frame.ask("corrections.get", correction=correction)
    known = frame.visit.services.catalogue.snapshot().layers.get(one.layer)
    return frame.shown(
        "correction.html", problem=problem, one=one, shapes=shapes_of([one]), names=agency_names(frame),
        editions=[edition.name for edition in known.editions] if known else [], **_words(frame),
    )


# -- both

def _rows(frame: Frame, choice: Choice) -> list[CorrectionTold]:
    query = CorrectionQuery(
        agency=choice.agency, layer=choice.layer or None, open=True if choice.show == "open" else None, overdue=choice.show == "late", limit=SHOWN,
    )
    found = frame.ask("corrections.list", query=query)["items"]
    return sorted(found, key=lambda one: (one.state.is_over, one.state.has_outcome, one.due if not one.state.is_over else one.made.date()))


def _move(frame: Frame, correction: str) -> flask.Response:
    body = sent(MoveSent, to=field("to"), text=field("text"), fixed_in=field("fixed_in") if field("to") == "mended" else "")
    frame.act("corrections.move", {"correction": correction}, body=body)
    return frame.on("correction" if isinstance(frame, PortalFrame) else "ticket", "correction-moved", correction=correction)


def shapes_of(rows: Sequence[CorrectionTold]) -> str:
    features = [
        {"type": "Feature", "id": one.correction, "geometry": one.place, "properties": {"kind": "piece", "name": one.correction}} for one in rows
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)


def _words(frame: Frame) -> Mapping:
    return {
        "kinds": {name: frame.say(*words) for name, words in KINDS.items()}, "state_of": lambda state: worded(STATES, state.value, frame.language),
        "shades": SHADES, "buttons": {name: frame.say(*words) for name, words in BUTTONS.items()}, "outside": sentence("correction-outside", {}, frame.language),
    }


SHADES = {
    "reported": "submitted", "reopened": "suspended", "taken": "approved", "answered": "active", "mended": "active", "refused": "terminated", "closed": "archived",
    "withdrawn": "draft",
}
BUTTONS = {
    "taken": ("受理", "Take it up"), "answered": ("答复", "Answer it"), "mended": ("已改正", "It is mended"), "refused": ("不予采纳", "Do not follow it"),
    "closed": ("确认办结", "Close it"), "reopened": ("重新提出", "Open it again"), "withdrawn": ("撤回", "Withdraw it"),
}
