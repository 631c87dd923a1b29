"""People with an account: added, given other roles, closed and opened, given another password."""

import flask

from geoserver_app.api.operation import OPERATIONS
from geoserver_app.api.people import NewPassword, NewPerson, PersonChange
from geoserver_app.api.reading import PageQuery
from geoserver_app.api.session import PersonTold, TokenTold
from geoserver_app.console.frame import Frame, field, fields, page, sent, tried
from geoserver_app.console.register_pages import agency_names
from geoserver_app.people.accounts import BUREAU_ROLES, Role

READERS = OPERATIONS["people.list"].roles
EVERY_ROLE = (*sorted(BUREAU_ROLES), Role.MEMBER)


@page("console.people", "/people", roles=READERS, takes_forms=True)
def people(frame: Frame) -> flask.Response:
    answer, problem = tried(frame, {"add": lambda: _add(frame)})
    held: list[PersonTold] = frame.ask("people.list", query=PageQuery(limit=500))["items"]
    return answer or frame.shown("people.html", problem=problem, held=held, names=agency_names(frame), every_role=EVERY_ROLE)


@page("console.person", "/people/<login>", roles=READERS, takes_forms=True)
def person(frame: Frame, login: str) -> flask.Response:
    one: PersonTold = frame.ask("people.get", login=login)
    answer, problem = tried(frame, {
        "change": lambda: _change(frame, login), "password": lambda: _set_password(frame, login), "revoke": lambda: _revoke(frame, login),
    })
    tokens: list[TokenTold] = frame.ask("people.tokens", login=login)["items"]
    return answer or frame.shown(
        "person.html", problem=problem, one=one, tokens=tokens, names=agency_names(frame),
        every_role=(Role.MEMBER,) if Role.MEMBER in one.roles else sorted(BUREAU_ROLES),
    )


def _add(frame: Frame) -> flask.Response:
    body = sent(NewPerson, login=field("login"), name=field("name"), roles=fields("role"), agency=field("agency"), password=flask.request.form.get("password"))
    frame.act("people.add", body=body)
    return frame.on("person", "person-added", login=body.login)


def _change(frame: Frame, login: str) -> flask.Response:
    frame.act("people.change", {"login": login}, body=sent(PersonChange, name=field("name"), roles=fields("role"), is_active=bool(field("is_active"))))
    return frame.on("person", "kept", login=login)


def _set_password(frame: Frame, login: str) -> flask.Response:
    frame.act("people.password", {"login": login}, body=sent(NewPassword, password=flask.request.form.get("password")))
    return frame.on("person", "password-set", login=login)


def _revoke(frame: Frame, login: str) -> flask.Response:
    frame.act("people.tokens.revoke", {"login": login, "token_id": field("token_id")})
    return frame.on("person", "kept", login=login)
