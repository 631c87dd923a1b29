"""Every error as an answer: one table from domain error to status, code and locator; one place that words it in the asker's protocol.

    RequestInvalid           400 its own code                  RequestTooLarge     413
    Unidentified             401 asks for the password         Refused             403 names layer, reason, agreement, clause, contact
    TooManyGuesses           429 with Retry-After              OverQuota           429 with Retry-After, names limit and moment as well
    ApiFault                 its own status, with every field that is at fault
    CrsNotServed             400 InvalidCRS                    OutsideAreaOfUse    400
    NotTrusted, CatalogueUnavailable, RegisterUnavailable, DecisionLogUnavailable, MeteringUnavailable, FeaturesUnavailable, RenderFailed   503 with Retry-After
    404 and 405 as they are                                    anything else       500 with a number that leads to the log

WMS is told by ServiceException of the version asked (or in the picture, or by a blank one), WMTS by ows:ExceptionReport, WCS by the one or the
other as its version has it, everybody else by RFC 9457. A layer that is unknown and one that is not shared get the same answer to the byte, but for the name that was asked. Nothing of a
stack, a path, a class or a query is ever told.
"""

import io
import json
import logging
import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import flask
import pylopdf_fonts_zh_cn
from PIL import Image, ImageDraw, ImageFont
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from agreements.errors import RegisterUnavailable
from agreements.model import Reason
from agreements.terms import sentence as reason_sentence
from geoserver_app.api.faults import ApiFault
from geoserver_app.charging import OVER_QUOTA
from geoserver_app.coverages.errors import wcs_exception
from geoserver_app.decision_log import DecisionLogUnavailable
from geoserver_app.gate import NotTrusted, OverQuota, Refused
from geoserver_app.identity import Unidentified
from geoserver_app.messages import language_of, sentence
from geoserver_app.metering.ledger import MeteringUnavailable
from geoserver_app.ows_documents import document
from geoserver_app.people.accounts import AccountsUnavailable
from geoserver_app.people.guessing import TooManyGuesses
from geoserver_app.wfs.errors import wfs_exception
from geoserver_app.wiring import services
from layers.errors import CatalogueUnavailable, CrsNotServed, DatumShiftRefused, FeaturesUnavailable, OutsideAreaOfUse, VerticalDatumRefused
from tiles.encode import encode
from tiles.errors import RenderFailed, RequestInvalid, RequestTooLarge
from tiles.requests import ExceptionForm, Exceptions, Limits, exception_form, pairs_of

log = logging.getLogger(__name__)

RETRY_SECONDS = 3
ASKS_A_PERSON = 'Basic realm="geoshare", charset="UTF-8"'
ASKS_A_PROGRAM = 'Bearer realm="geoshare"'
"""For a bad key in the address: Basic would make a browser ask for a password at every tile, and a right one would then be a second key."""

NOT_SHARED = "no-agreement"


# -- what is told

@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One error in one language, before it takes the form of a protocol.

    `code` is the OGC exception code ("" where WMS has none for it), `slug` the name by which scripts and docs/errors.md know it.
    """

    status: int
    slug: str
    detail: str
    code: str = ""
    locator: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    reasons: tuple[Mapping[str, str], ...] = ()
    errors: tuple[Mapping[str, object], ...] = ()        # what is wrong of what was sent: pointer and sentence (RFC 9457, 3)
    policies: tuple[str, ...] = ()                       # names of the limits of a quota that did not hold, as in RateLimit-Policy


UNAVAILABLE = (AccountsUnavailable, NotTrusted, RegisterUnavailable, CatalogueUnavailable, DecisionLogUnavailable, MeteringUnavailable)


def told(error: Exception, language: str, contact: str) -> Told:
    """The table: what is said of `error`. `contact` is the service's own, for those without an agreement."""
    match error:
        case OverQuota():
            return _told_over_quota(error, language, contact)
        case Refused():
            return _told_refusal(error, language, contact)
        case Unidentified():
            challenge = ASKS_A_PROGRAM if error.by_address else ASKS_A_PERSON
            return Told(status=401, slug=error.code, detail=sentence(error.code, {}, language), headers={"WWW-Authenticate": challenge})
        case TooManyGuesses():
            detail = sentence("too-many-guesses", {"seconds": str(error.seconds)}, language)
            return Told(status=429, slug="too-many-guesses", detail=detail, headers={"Retry-After": str(error.seconds)})
        case ApiFault():
            detail, errors = sentence(error.slug, error.detail, language), tuple(one.told(language) for one in error.errors)
            return Told(status=error.status, slug=error.slug, detail=detail, headers=error.headers, errors=errors)
        case RequestInvalid():
            status = 413 if isinstance(error, RequestTooLarge) else 400
            detail = sentence(error.fault, error.detail, language) if error.fault else error.message
            return Told(status=status, slug=error.fault or "request-invalid", detail=detail, code=error.code, locator=error.locator)
        case CrsNotServed():
            detail = sentence("crs-not-served", {"value": error.crs[:80], "choices": "/api/v1/layers"}, language)
            return Told(status=400, slug="crs-not-served", detail=detail, code="InvalidCRS", locator="CRS")
        case OutsideAreaOfUse():
            detail = sentence("outside-crs", {}, language)
            return Told(status=400, slug="outside-crs", detail=detail, code="InvalidParameterValue", locator="BBOX")
        case VerticalDatumRefused():
            detail = sentence(error.fault, error.detail, language) if error.fault else error.message
            return Told(status=400, slug=error.fault or "datum-refused", detail=detail, code="InvalidParameterValue", locator="datum")
        case DatumShiftRefused():
            return Told(status=400, slug="datum-refused", detail=sentence("datum-refused", {}, language), code="InvalidCRS", locator="CRS")
        case RenderFailed() | FeaturesUnavailable():
            return _told_later("render-failed", language)
        case _ if isinstance(error, UNAVAILABLE):
            return _told_later("not-trusted", language)
        case HTTPException():
            return _told_http(error, language)
        case _:
            return _told_unexpected(error, language)


def _told_later(code: str, language: str) -> Told:
    later = {"Retry-After": str(RETRY_SECONDS)}
    return Told(status=503, slug=code, detail=sentence(code, {}, language), code="NoApplicableCode", headers=later)


def _told_http(error: HTTPException, language: str) -> Told:
    match error:
        case NotFound():
            return Told(status=404, slug="no-route", detail=sentence("no-route", {}, language), code="NoApplicableCode")
        case MethodNotAllowed():
            allowed = ", ".join(sorted(error.valid_methods or ()))
            detail = sentence("no-method", {"allowed": allowed}, language)
            return Told(status=405, slug="no-method", detail=detail, code="OperationNotSupported", headers={"Allow": allowed})
        case RequestEntityTooLarge():
            return Told(status=413, slug="http", detail=sentence("http", {"name": error.name}, language), code="NoApplicableCode")
    return Told(status=error.code or 500, slug="http", detail=sentence("http", {"name": error.name}, language), code="NoApplicableCode")


def _told_unexpected(error: Exception, language: str) -> Told:
    incident = secrets.token_hex(6)
    log.error("unexpected failure %s", incident, exc_info=error)
    return Told(status=500, slug="unexpected", detail=sentence("unexpected", {"incident": incident}, language), code="NoApplicableCode")


SILENT = frozenset({"no-agreement", "layer-not-granted", "grantor-not-owner", "superseded", "granted", "own-layer"})
"""Reasons that would tell a layer that exists from one that doesn't, or that refuse nothing."""

MOST_REASONS = 6


def _told_refusal(error: Refused, language: str, contact: str) -> Told:
    """Names the reasons of each layer refused. A layer that no clause of the caller's speaks of is as good as undefined."""
    sentences, reasons = [], []
    for name, decision in error.denials:
        speaking = [reason for reason in decision.reasons if reason.agreement_id and reason.code not in SILENT]
        speaking = sorted(speaking, key=lambda reason: reason.code != OVER_QUOTA)[:MOST_REASONS]
        if not speaking:
            sentences.append(sentence("not-shared", {"layer": str(name), "contact": contact}, language))
            reasons.append({"layer": str(name), "code": NOT_SHARED})
            continue
        worded = "; ".join(dict.fromkeys(reason_sentence(reason, language) for reason in speaking))
        sentences.append(sentence("refused", {"layer": str(name), "reasons": worded}, language))
        reasons += [_machine_reason(str(name), reason) for reason in speaking]
    unknown = all(reason["code"] == NOT_SHARED for reason in reasons)
    return Told(
        status=403, slug=reasons[0]["code"] if reasons else NOT_SHARED, detail=" ".join(sentences),
        code="LayerNotDefined" if unknown else "AccessDenied", locator="LAYERS", reasons=tuple(reasons),
    )


def _told_over_quota(error: OverQuota, language: str, contact: str) -> Told:
    """As a refusal, with when to come back, and what is left of each limit."""
    headers = {"Retry-After": str(max(math.ceil(error.opens), 1))}
    for name, value in error.headers:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return replace(
        _told_refusal(error, language, contact), status=429, slug=OVER_QUOTA, code="OverQuota", headers=headers, policies=error.policies,
    )


def _machine_reason(layer: str, reason: Reason) -> dict[str, str]:
    told_of = {"layer": layer, "code": reason.code, "agreement": reason.agreement_id, "clause": reason.clause, "contact": reason.contact}
    return {name: value for name, value in told_of.items() if value}


# -- the forms it takes

def register_errors(app: flask.Flask) -> None:
    app.register_error_handler(Exception, answer)


def answer(error: Exception) -> flask.Response:
    """`error` in the protocol, version and language of the current request."""
    request = flask.request
    language = language_of(request.environ)
    words = told(error, language, contact(language))
    response = _rendered(words, language)
    response.status_code = words.status
    response.headers.update(words.headers)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Content-Language"] = language
    return response


def contact(language: str) -> str:
    """Whom to ask who has no agreement that names somebody."""
    settings = services().settings
    named = " ".join(one for one in (settings.contact_name, settings.contact_email) if one)
    return named or sentence("nobody-named", {}, language)


def _rendered(words: Told, language: str) -> flask.Response:
    match protocol_of(flask.request.path, flask.request.query_string.decode("latin-1")):
        case "WMS":
            return _service_exception(words)
        case "WMTS":
            locator = words.locator if words.locator != "LAYERS" else "Layer"
            text = document("exception_wmts.xml", told=replace(words, locator=locator), language=language)
            return flask.Response(text, content_type="text/xml; charset=utf-8")
        case "WCS":
            return wcs_exception(words, flask.request.query_string.decode("utf-8", "replace"), language)
        case "WFS":
            return wfs_exception(words, language)
    return _problem(words)


def protocol_of(path: str, query: str) -> str:
    """WMS, WMTS, WCS, WFS or problem: by the path alone but for /ows, which takes all four."""
    if path == "/wcs":
        return "WCS"
    if path == "/wfs":
        return "WFS"
    if path == "/wmts" or path.startswith("/wmts/"):
        return "WMTS"
    if path in ("/ows", "/wms"):
        return next((service for service in ("WMTS", "WCS", "WFS") if f"service={service}".lower() in query.lower()), "WMS")
    return "problem"


def _service_exception(words: Told) -> flask.Response:
    try:
        form = exception_form(pairs_of(flask.request.query_string.decode("utf-8", "replace")), _limits())
    except RequestInvalid:
        form = ExceptionForm()
    if form.exceptions is not Exceptions.XML and words.status != 401:          # nobody we know makes us paint
        return _picture(form, words.detail if form.exceptions is Exceptions.INIMAGE else "")
    if form.version == "1.1.1":
        return flask.Response(document("exception_wms_1_1_1.xml", told=words), content_type="application/vnd.ogc.se_xml; charset=utf-8")
    return flask.Response(document("exception_wms_1_3_0.xml", told=words), content_type="text/xml; charset=utf-8")


def _limits() -> Limits:
    settings = services().settings
    return Limits(max_pixels=settings.max_pixels, max_layers=settings.max_layers)


def _problem(words: Told) -> flask.Response:
    body = {"type": f"/docs/errors#{words.slug}", "title": words.slug.replace("-", " "), "status": words.status, "detail": words.detail}
    if words.code:
        body["code"] = words.code
    if words.locator:
        body["locator"] = words.locator
    if words.reasons:
        body["reasons"] = list(words.reasons)
    if words.errors:
        body["errors"] = list(words.errors)
    if words.policies:
        body["violated-policies"] = list(words.policies)
    return flask.Response(json.dumps(body, ensure_ascii=False), content_type="application/problem+json; charset=utf-8")


# -- told in the picture

TEXT_SIZE, MARGIN = 14, 8
INK = (176, 0, 32, 255)


def _picture(form: ExceptionForm, text: str) -> flask.Response:
    picture = Image.new("RGBA", (form.width, form.height))
    if text:
        _write(picture, text)
    data = encode(picture, form.media_type, transparent=form.transparent, background=form.background)
    return flask.Response(data, content_type=form.media_type)


def _write(picture: Image.Image, text: str) -> None:
    font, draw = _font(), ImageDraw.Draw(picture)
    y = MARGIN
    for line in _lines(text, picture.width - 2 * MARGIN, font):
        if y + TEXT_SIZE > picture.height:
            return
        draw.text((MARGIN, y), line, fill=INK, font=font)
        y += round(TEXT_SIZE * 1.4)


def _lines(text: str, width: int, font: ImageFont.FreeTypeFont) -> list[str]:
    """Broken wherever a line is full: before a word where there is one, between any two characters of Chinese."""
    lines, line = [], ""
    for piece in WORDS.findall(text):
        if line and font.getlength(line + piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
    return [*lines, line.rstrip()]


WORDS = re.compile(r"[\x21-\x7e]+\s*|.[：；，。、）]*\s*")
"""A word of Latin letters, or one character with the punctuation that must not begin a line."""


@lru_cache(maxsize=1)
def _font_data() -> bytes:
    return (Path(pylopdf_fonts_zh_cn.__file__).parent / "NotoSansSC-Regular.otf").read_bytes()


def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(io.BytesIO(_font_data()), TEXT_SIZE)
