"""`/login` and `/logout`, plain forms without a script; and what every page of the console begins with: `current_person` and `page`."""

import functools
import re
from collections.abc import Callable
from urllib.parse import quote

import flask

from agreements.life.lifecycle import Role
from geoserver_app.api.door import as_fault
from geoserver_app.api.faults import NotAllowed, NothingThere
from geoserver_app.errors import contact, told
from geoserver_app.messages import CHINESE, language_of
from geoserver_app.people.accounts import AccountInvalid, Person, SignedIn, SignInRefused
from geoserver_app.people.guessing import TooManyGuesses
from geoserver_app.people.sessions import (
    FORM_FIELD,
    SESSION,
    VISITOR,
    address,
    check_form,
    check_origin,
    keep,
    session_token,
    signed_in_by_cookie,
    visitor_token,
)
from geoserver_app.routes import governed
from geoserver_app.wiring import services

bp = flask.Blueprint("session", __name__)

FIRST_PAGE, MEMBERS_PAGE = "/", "/portal"
OWN_PAGE = re.compile(r"/(?![/\\])[\w\-./~%]*(\?[\w\-./~%=&,:]*)?")
"""An address of ours to go on to: nothing that a browser would take for another host."""


# -- for pages

def signed_in() -> SignedIn | None:
    """Who is signed in by the cookie of the current request, looked up once. Raises AccountsUnavailable."""
    if "signed_in" not in flask.g:
        flask.g.signed_in = signed_in_by_cookie()
    return flask.g.signed_in


def current_person() -> Person | None:
    found = signed_in()
    return found.person if found else None


def page(operation: str, roles: frozenset[Role]) -> Callable:
    """Marks a view as a page of the console for people of `roles`: others are sent to /login, or refused.

    A form that is posted to it is checked for its token. `operation` names it in the record, which is written before anything is shown; the view
    is called with the SignedIn before its places.
    """

    def mark(view: Callable) -> Callable:
        @functools.wraps(view)
        def entered(**places):
            found, about = signed_in(), "/".join(map(str, places.values()))[:200] or None
            if found is None or found.person.must_change:
                _record(operation, found, "refused", about)
                onward = quote(flask.request.full_path.rstrip("?"), safe="/")
                return flask.redirect(f"/password?next={onward}" if found else f"/login?next={onward}", 303)
            try:
                if not found.person.roles & roles:
                    raise NotAllowed("role-missing", {"roles": ", ".join(sorted(roles))})
                if flask.request.method == "POST":
                    check_origin()
                    check_form(found.csrf, flask.request.form.get(FORM_FIELD, ""))
                response = as_page(flask.make_response(view(found, **places)))
            except Exception as error:
                _record(operation, found, "refused" if isinstance(error, NotAllowed | NothingThere) else "failed", about)
                raise
            done = "shown" if flask.request.method in ("GET", "HEAD") else "asked"
            _record(operation, found, done if response.status_code < 400 else "invalid", about)
            return response

        return governed(operation)(entered)

    return mark


def as_page(response: flask.Response) -> flask.Response:
    """Forms of ours must say where they come from; addresses of these pages hold no key."""
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Vary"] = "Cookie, Accept-Language"
    return response


def _record(operation: str, found: SignedIn | None, outcome: str, about: str | None = None) -> None:
    services().log.write({
        "event": "admin.acted", "operation": operation, "agency": found.person.agency if found else None,
        "actor": found.person.login if found else None, "proof": found.proof_id if found else None, "object": about, "outcome": outcome,
    })


# -- signing in and out

@bp.get("/login")
@governed("session.page")
def login_page():
    _record("session.page", signed_in(), "shown")
    return _form("login.html", visitor_token())


@bp.post("/login")
@governed("session.open")
def login():
    form, visitor = flask.request.form, visitor_token()
    try:
        check_origin()
        check_form(visitor[1], form.get(FORM_FIELD, ""))
        services().log.check()
        token, found = services().accounts.sign_in(form.get("login", ""), form.get("password", ""), address())
    except (SignInRefused, TooManyGuesses, NotAllowed) as error:
        _record("session.open", None, "refused")
        return _form("login.html", visitor, error)
    if before := session_token():
        services().accounts.end_session(before)
    _record("session.open", found, "done", found.person.login)
    onward = _onward()
    if onward == FIRST_PAGE and found.person.is_member:
        onward = MEMBERS_PAGE
    return _go_on(f"/password?next={quote(onward, safe='/')}" if found.person.must_change else onward, token)


@bp.get("/password")
@governed("session.page")
def password_page():
    found = signed_in()
    _record("session.page", found, "shown" if found else "refused")
    return _form("password.html", ("", found.csrf)) if found else _go_on("/login?next=/password")


@bp.post("/password")
@governed("session.password")
def password():
    found, form = signed_in(), flask.request.form
    if found is None:
        _record("session.password", None, "refused")
        return _go_on("/login?next=/password")
    try:
        check_origin()
        check_form(found.csrf, form.get(FORM_FIELD, ""))
        services().log.check()
        services().accounts.check_password(found.person.login, form.get("current", ""), address())
        services().accounts.set_password(found.person.login, form.get("new", ""))
    except (SignInRefused, TooManyGuesses, NotAllowed, AccountInvalid) as error:
        _record("session.password", found, "refused", found.person.login)
        return _form("password.html", ("", found.csrf), error)
    _record("session.password", found, "done", found.person.login)
    return _go_on(_onward(), services().accounts.open_session(found.person.login)[0])


@bp.post("/logout")
@governed("session.close")
def logout():
    found = signed_in()
    try:
        check_origin()                              # also without a cookie, since the answer makes the browser forget it
        if found is not None:
            check_form(found.csrf, flask.request.form.get(FORM_FIELD, ""))
            services().accounts.end_session(session_token())
    except NotAllowed:
        _record("session.close", found, "refused")
        raise
    _record("session.close", found, "done")
    return _go_on("/login", "" if found else None)


def _go_on(place: str, session: str | None = None) -> flask.Response:
    """To a page of ours, with a new session, or ("") without one."""
    response = flask.redirect(place, 303)
    if session is not None:
        keep(response, SESSION, session)
        keep(response, VISITOR, "")
    return as_page(response)


def _onward() -> str:
    place = flask.request.values.get("next", "")
    return place if OWN_PAGE.fullmatch(place) else FIRST_PAGE


def _form(template: str, visitor: tuple[str, str], error: Exception | None = None) -> flask.Response:
    """A form, with what was wrong with the one before. `visitor` pairs the visitor's cookie ("": none is needed) with the form's token."""
    tongue = language_of(flask.request.environ)
    words = told(as_fault(error, None, tongue), tongue, contact(tongue)) if error else None
    page = flask.render_template(
        template, language=tongue, say=lambda chinese, english: chinese if tongue == CHINESE else english, csrf=visitor[1],
        onward=_onward(), error=words and (words.errors[0]["detail"] if words.errors else words.detail), person=current_person(),
        login=flask.request.form.get("login", "")[:63],
    )
    response = flask.make_response(page, words.status if words else 200)
    if words:
        response.headers.update({name: value for name, value in words.headers.items() if name == "Retry-After"})
    if visitor[0]:
        keep(response, VISITOR, visitor[0])
    response.headers["Content-Language"] = tongue
    return as_page(response)
