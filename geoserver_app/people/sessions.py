"""The session cookie, and requests that another site makes a browser send (CSRF).

The cookie is HttpOnly and SameSite=Strict; over https it is Secure and bound to this host by its name. A change asked for with it carries
the session's form token too, and an `Origin` of ours where the browser tells one. Tokens in the Authorization header need neither: no
browser sends them by itself.
"""

import hashlib
import hmac
import secrets

import flask

from geoserver_app.api.faults import NotAllowed
from geoserver_app.identity import client_address, origin_of
from geoserver_app.people.accounts import SignedIn
from geoserver_app.settings import Settings
from geoserver_app.wiring import services

FORM_HEADER, FORM_FIELD = "X-CSRF-Token", "csrf"
SESSION, VISITOR = "geoshare", "geoshare-visitor"
"""Cookies: of who is signed in, and of who is about to, so that his form can't be sent by another site either."""


def is_secure(settings: Settings) -> bool:
    return settings.public_base_url.startswith("https://")


def cookie_name(name: str, settings: Settings) -> str:
    """With the prefix that makes browsers keep it to this very host, over https alone."""
    return f"__Host-{name}" if is_secure(settings) else name


def session_token() -> str:
    return flask.request.cookies.get(cookie_name(SESSION, services().settings), "")


def signed_in_by_cookie() -> SignedIn | None:
    """Raises AccountsUnavailable."""
    token = session_token()
    return services().accounts.session(token) if token else None


def keep(response: flask.Response, name: str, value: str) -> None:
    """Set one of our cookies until the browser is closed; forget it where `value` is empty."""
    settings = services().settings
    response.set_cookie(
        cookie_name(name, settings), value, max_age=None if value else 0, httponly=True, samesite="Strict", secure=is_secure(settings), path="/",
    )


def address() -> str:
    """Where the request comes from, as far as the proxies in front may be believed."""
    return client_address(flask.request.environ, services().gate.trusted_proxies)


# Forged requests

def check_origin() -> None:
    """Raises NotAllowed where the browser tells that a page of another site asks."""
    headers = flask.request.headers
    origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site", "same-origin")
    if site not in ("same-origin", "none") or (origin is not None and origin not in _our_origins()):
        raise forged()


def check_form(expected: str, given: str) -> None:
    """Raises NotAllowed unless `given` is the token of the form, or of the session."""
    if not expected or not hmac.compare_digest(expected.encode(), given.encode()):
        raise forged()


def forged() -> NotAllowed:
    return NotAllowed("form-forged", {"address": services().settings.public_base_url})


def _our_origins() -> set[str]:
    """Without https, also the host by which the request came: a test machine has several names, and cookies are kept by name."""
    settings = services().settings
    ours = {origin_of(settings.public_base_url)}
    return ours if is_secure(settings) else ours | {origin_of(flask.request.host_url)}


def visitor_token() -> tuple[str, str]:
    """The visitor's cookie, new if he has none, and the token that goes into his form: it follows from the cookie, one way."""
    visitor = flask.request.cookies.get(cookie_name(VISITOR, services().settings), "") or secrets.token_urlsafe(32)
    return visitor, hmac.new(visitor.encode(), b"form", hashlib.sha256).hexdigest()
