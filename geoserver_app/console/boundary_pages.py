"""Boundaries that were issued anew: what each agreement that names the division would gain and lose; amended, or kept as it is."""

from dataclasses import dataclass

import flask
from markupsafe import Markup

from geoserver_app.api.boundaries import BoundaryTold, KeepSent
from geoserver_app.api.differences import Form
from geoserver_app.api.operation import STAFF
from geoserver_app.console.frame import Frame, field, page, sent, tried
from geoserver_app.console.register_pages import agency_names


@dataclass(frozen=True, slots=True)
class Waiting:
    told: BoundaryTold
    picture: Markup


@page("console.boundaries", "/boundaries", roles=STAFF, takes_forms=True)
def boundaries(frame: Frame) -> flask.Response:
    answer, problem = tried(frame, {"keep": lambda: _keep(frame)})
    return answer or frame.shown("boundaries.html", problem=problem, waiting=[_waiting(frame, one) for one in _all(frame)], names=agency_names(frame))


def _all(frame: Frame) -> list[BoundaryTold]:
    return frame.ask("boundaries.list")["items"]


def _waiting(frame: Frame, told: BoundaryTold) -> Waiting:
    return Waiting(told, Markup(frame.ask("boundaries.get", agreement=told.agreement, code=told.code, query=Form(form="svg"))))


def _keep(frame: Frame) -> flask.Response:
    frame.act("boundaries.keep", {"agreement": field("agreement"), "code": field("code")}, body=sent(KeepSent, comment=field("comment")))
    return frame.on("boundaries", "boundary-kept")
