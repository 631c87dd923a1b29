"""Asking for more than an agency has, on the portal; and answering it, on the console."""

from collections.abc import Mapping

import flask

from geoserver_app.api.operation import STAFF
from geoserver_app.api.requests import AnswerSent, RequestQuery, RequestSent
from geoserver_app.console import frame as console_frame
from geoserver_app.console.frame import Frame, field, fields, sent, tried
from geoserver_app.console.portal import PortalFrame, page
from geoserver_app.console.register_pages import agency_names
from geoserver_app.purposes import load_purposes

MOST_CHOICES = 500
"""Of divisions that can be chosen, the largest first. Their names and codes are published standards (GB/T 2260, GB/T 10114)."""


@page("portal.requests", "/requests", takes_forms=True)
def requests(frame: PortalFrame) -> flask.Response:
    answer, problem = tried(frame, {"ask": lambda: _ask(frame)})
    if answer:
        return answer
    return frame.shown("requests.html", problem=problem, rows=frame.ask("requests.list", query=RequestQuery())["items"], **_words(frame))


def _ask(frame: PortalFrame) -> flask.Response:
    body = sent(RequestSent, layers=field("layers"), divisions=fields("division"), purpose=field("purpose"), reason=field("reason"))
    frame.act("requests.ask", body=body)
    return frame.on("requests", "asked")


def _words(frame: Frame) -> Mapping:
    divisions = {code: name for code, name, *_ in frame.visit.services.catalogue.divisions()}
    purposes = load_purposes(frame.visit.services.settings.config)
    return {
        "divisions": divisions, "choices": sorted(sorted(divisions.items(), key=lambda one: len(one[0]))[:MOST_CHOICES]),
        "purposes": {code: frame.say(one.zh, one.en) for code, one in purposes.items()},
    }


# -- the bureau's side

@console_frame.page("console.requests", "/requests", takes_forms=True, roles=STAFF)
def access_requests(frame: Frame) -> flask.Response:
    answer, problem = tried(frame, {"answer": lambda: _answer(frame)})
    if answer:
        return answer
    rows = frame.ask("requests.list", query=RequestQuery())["items"]
    return frame.shown("requests.html", problem=problem, rows=sorted(rows, key=lambda one: bool(one.outcome)), names=agency_names(frame), **_words(frame))


def _answer(frame: Frame) -> flask.Response:
    body = sent(AnswerSent, outcome=field("outcome"), answer=field("answer"), agreement=field("agreement"))
    frame.act("requests.answer", {"request": field("request")}, body=body)
    return frame.on("access_requests", "noted")
