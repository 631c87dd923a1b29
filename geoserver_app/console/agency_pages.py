"""Agencies, and the keys of their programs: issued with what holds them, shown once, revoked."""

import flask

from geoserver_app.api.agencies import AgencySent, AgencyTold
from geoserver_app.api.keys import KeyIssued, KeyQuery, KeyTold, NewKey
from geoserver_app.api.reading import PageQuery
from geoserver_app.console.frame import Frame, field, moment_sent, page, sent, tried
from geoserver_app.purposes import load_purposes


@page("console.agencies", "/agencies", takes_forms=True)
def agencies(frame: Frame) -> flask.Response:
    answer, problem = tried(frame, {"add": lambda: _put(frame, field("agency"))})
    held: list[AgencyTold] = frame.ask("agencies.list", query=PageQuery(limit=500))["items"]
    keys: list[KeyTold] = frame.ask("keys.list", query=KeyQuery(limit=500))["items"]
    counts = {one.agency: sum(key.agency == one.agency and key.revoked is None for key in keys) for one in held}
    return answer or frame.shown("agencies.html", problem=problem, held=held, counts=counts)


@page("console.agency", "/agencies/<agency>", takes_forms=True)
def agency(frame: Frame, agency: str) -> flask.Response:
    one: AgencyTold = frame.ask("agencies.get", agency=agency)
    issued: list[KeyIssued] = []
    answer, problem = tried(frame, {
        "put": lambda: _put(frame, agency), "issue": lambda: issued.append(_issue(frame, agency)), "revoke": lambda: _revoke(frame, agency),
    })
    keys: list[KeyTold] = frame.ask("keys.list", query=KeyQuery(agency=agency, limit=500))["items"]
    purposes = load_purposes(frame.visit.services.settings.config)
    return answer or frame.shown(
        "agency.html", problem=problem, one=one, keys=sorted(keys, key=lambda key: (key.revoked is not None, key.label, key.key_id)),
        issued=issued[0] if issued else None, purposes={code: frame.say(purpose.zh, purpose.en) for code, purpose in purposes.items()},
        base=frame.visit.services.settings.public_base_url,
    )


def _put(frame: Frame, agency_id: str) -> flask.Response:
    body = sent(AgencySent, name_zh=field("name_zh"), name_en=field("name_en"), is_active=bool(field("is_active")))
    frame.act("agencies.put", {"agency": agency_id}, body=body)
    return frame.on("agency", "kept", agency=agency_id)


def _issue(frame: Frame, agency_id: str) -> KeyIssued:
    body = sent(
        NewKey, agency=agency_id, label=field("label"), app=field("app"), purpose=field("purpose"), networks=_lines("networks"),
        referers=_lines("referers"), origins=_lines("origins"), expires=moment_sent(field("expires")),
    )
    return frame.act("keys.issue", body=body).content


def _revoke(frame: Frame, agency_id: str) -> flask.Response:
    frame.act("keys.revoke", {"key_id": field("key_id")})
    return frame.on("agency", "revoked", agency=agency_id)


def _lines(name: str) -> list[str]:
    return field(name).replace(",", " ").split()
