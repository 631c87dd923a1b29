"""What every governed view begins with: who asks, in which language, and how much may be asked."""

from collections.abc import Callable, Sequence

import flask

from geoserver_app.capabilities import LayerEntry, ServiceEntry, describe
from geoserver_app.gate import Asked, Drawn, Visible
from geoserver_app.identity import Caller, Unidentified, client_address, presented_key
from geoserver_app.messages import language_of, sentence
from geoserver_app.people.guessing import TooManyGuesses
from geoserver_app.wiring import services
from tiles.permits import Permit
from tiles.requests import Limits


def caller_of(operation: str) -> Caller:
    """Who asks for `operation`. A request by nobody we know is recorded, then refused.

    Raises
    ------
    Unidentified
        401.
    TooManyGuesses
        429: still no key that counts, after many from there.
    """
    gate, environ = services().gate, flask.request.environ
    address = client_address(environ, gate.trusted_proxies)
    try:
        caller = gate.identify(presented_key(environ), address)
    except Unidentified as error:
        gate.record_refusal(operation, error.code)
        if error.code == "key-unknown" and (seconds := services().bad_keys.note(address)):
            raise TooManyGuesses(seconds) from error
        raise
    flask.g.caller = caller                 # for the headers that let pages elsewhere read the answer
    return caller


def served(caller: Caller, asked: Sequence[Asked], draw: Callable[[list[Permit]], Drawn]) -> flask.Response:
    """The answer that `draw` makes of the permits, counted on the quotas that hold it, with what remains of them. Raises as `Gate.serve`."""
    answer = services().gate.serve(caller, asked, draw, sends_body=flask.request.method != "HEAD")
    return flask.Response(answer.drawn.body, content_type=answer.drawn.content_type, headers=answer.headers)


def language() -> str:
    return language_of(flask.request.environ)


def limits() -> Limits:
    settings = services().settings
    return Limits(max_pixels=settings.max_pixels, max_layers=settings.max_layers)


def raw_query() -> str:
    return flask.request.query_string.decode("utf-8", "replace")


def described(caller: Caller, visible: tuple[Visible, ...]) -> list[LayerEntry]:
    return describe(visible, language(), caller.address)


def service_entry(caller: Caller) -> ServiceEntry:
    settings, tongue, most = services().settings, language(), limits()
    title = sentence("service-title", {}, tongue)
    agency = caller.agency.name_zh if tongue == "zh" else caller.agency.name_en
    return ServiceEntry(
        title=title, abstract=sentence("service-abstract", {"agency": agency}, tongue),
        constraints=sentence("access-constraints", {}, tongue), contact_name=settings.contact_name or title,
        contact_email=settings.contact_email,
        language=tongue, max_width=most.max_side, max_height=most.max_side, max_layers=most.max_layers,
    )
