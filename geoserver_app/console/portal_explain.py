"""Why something can't be seen, or can: asked of now for a layer, a place and a scale, or of a record of the agency's own."""

from dataclasses import dataclass
from typing import Annotated, Literal

import flask
from pydantic import Field

from geoserver_app.api.agreements import visible
from geoserver_app.api.explanations import ExplanationTold, OperationName, Question, RecordExplained
from geoserver_app.api.faults import ApiFault, NothingThere
from geoserver_app.api.keys import KeyQuery, KeyTold
from geoserver_app.api.reading import Sent
from geoserver_app.console.clauses import OPERATIONS
from geoserver_app.console.frame import asked
from geoserver_app.console.portal import PortalFrame, page
from geoserver_app.console.portal_layers import own_layers
from geoserver_app.errors import Told, contact

NEAR = 0.0001
"""Degrees, some 10 m: a place is asked about as a box of twice that width around it."""


class Asking(Sent):
    layer: Annotated[str, Field(max_length=200)] = ""
    operation: OperationName = "GetMap"
    lon: Annotated[float | None, Field(ge=-179.99, le=179.99)] = None
    lat: Annotated[float | None, Field(ge=-89.99, le=89.99)] = None
    scale: Annotated[float | None, Field(gt=0)] = None
    attributes: Annotated[str, Field(max_length=500)] = ""
    key: Annotated[str | None, Field(max_length=100)] = None
    address: Annotated[str, Field(max_length=50)] = ""
    record: Annotated[str, Field(max_length=100)] = ""
    about: Literal["now", "record"] = "now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What was asked, explained; or what is wrong with the question. `is_unknown`: no record of the agency's has that number."""

    now: ExplanationTold | None = None
    past: RecordExplained | None = None
    problem: Told | None = None
    is_unknown: bool = False


@page("portal.explain", "/explain")
def explain(frame: PortalFrame) -> flask.Response:
    asking, keys = asked(Asking), _keys(frame)
    key = next((one for one in keys if asking.key in (None, one.key_id)), None)
    answered = _answered(frame, asking, key)
    contacts = {one.agreement_id: one.contact for one in visible(frame.visit, frame.visit.services.register.list())}
    return frame.shown(
        "explain.html", problem=answered.problem, asking=asking, answered=answered, layers=own_layers(frame), contacts=contacts, contact=contact(frame.language),
        operations=[(operation.value, frame.say(*words)) for operation, words in OPERATIONS.items()],
        keys=keys, key=key,
    )


def _keys(frame: PortalFrame) -> list[KeyTold]:
    """Those that count."""
    found = frame.ask("keys.list", query=KeyQuery(limit=500))["items"]
    return [one for one in found if one.revoked is None and (one.expires is None or frame.at < one.expires)]


def _answered(frame: PortalFrame, asking: Asking, key: KeyTold | None) -> Answered:
    try:
        if asking.record:
            return Answered(past=frame.ask("explanations.record", record=asking.record.strip()))
        return Answered(now=frame.ask("explanations.now", query=_question(asking, key))) if asking.layer else Answered()
    except NothingThere:
        return Answered(is_unknown=True)
    except ApiFault as fault:
        return Answered(problem=frame.problem(fault))


def _question(asking: Asking, key: KeyTold | None) -> Question:
    """As it would be asked with the key: agreements may hold for some applications and purposes alone."""
    bounds = None
    if asking.lon is not None and asking.lat is not None:
        bounds = f"{asking.lon - NEAR:.7f},{asking.lat - NEAR:.7f},{asking.lon + NEAR:.7f},{asking.lat + NEAR:.7f}"
    return Question(
        layer=asking.layer.strip(), operation=asking.operation, bounds=bounds, scale=asking.scale, attributes=asking.attributes.replace(" ", ""),
        purpose=key.purpose if key else "", app=key.app if key else "", address=asking.address,
    )
