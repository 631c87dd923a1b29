"""The one door of the API: who asks, may he, does he really, what does he ask; then the operation; then the record; then the answer.

Nothing of a body is read before it is known that the asker has the role. What is refused is recorded like what is done. A change whose record
can't be written is not begun.
"""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType

import flask
from pydantic import BaseModel
from werkzeug.exceptions import HTTPException

from agreements.errors import AgencyNotDefined, AgreementNotDefined, AlreadyRegistered, DocumentInvalid, KeyNotDefined, MoveRefused
from geoserver_app.api.faults import ApiFault, FieldFault, InConflict, InputFaulty, NotAllowed, NothingThere, NotSignedIn, document_pointer
from geoserver_app.api.operation import JSON, Answer, ApiOperation, Text, Visit
from geoserver_app.api.reading import read_body, read_query
from geoserver_app.api.resources import OPERATIONS
from geoserver_app.contributions import ContributionInvalid
from geoserver_app.errors import UNAVAILABLE
from geoserver_app.gate import OverQuota, Refused
from geoserver_app.identity import QUERY_NAMES, Caller, Unidentified, presented_key
from geoserver_app.messages import language_of, sentence
from geoserver_app.people.accounts import AccountInvalid, AccountsError, PersonNotDefined, Proof, SignedIn, SignInRefused, TokenNotDefined
from geoserver_app.people.guessing import TooManyGuesses
from geoserver_app.people.sessions import FORM_HEADER, SESSION, address, check_form, check_origin, keep, session_token, signed_in_by_cookie
from geoserver_app.routes import governed
from geoserver_app.views.access import caller_of
from geoserver_app.wiring import services

PREFIX = "/api/v1"


def blueprint() -> flask.Blueprint:
    """Every operation that is declared, each at its route."""
    bp = flask.Blueprint("api", __name__, url_prefix=PREFIX)
    for operation in OPERATIONS.values():
        rule = operation.path.replace("{agreement}", "<path:agreement>").replace("{", "<").replace("}", ">")   # the bureau's numbers may hold a slash
        bp.add_url_rule(rule, endpoint=operation.name.replace(".", "_"), view_func=_view(operation), methods=[operation.method])
    return bp


def _view(operation: ApiOperation) -> Callable:
    def view(**places: str) -> flask.Response:
        return _enter(operation, places)

    return governed(operation.name)(view)


def _enter(operation: ApiOperation, places: Mapping[str, str]) -> flask.Response:
    language, signed_in = language_of(flask.request.environ), None
    try:
        caller = agency_by_key(operation.name) if operation.by_key else None
        if caller is None:
            signed_in = _signed_in(operation)
            _check_allowed(operation, signed_in)
            _check_not_forged(operation, signed_in)
        if operation.changes:
            services().log.check()
        visit = visit_of(signed_in, language, if_match=flask.request.headers.get("If-Match"), caller=caller)
        answer = _as_answer(operation.function(visit, **places, **_sent(operation)))
    except Exception as error:
        fault = as_fault(error, _object(places), language)
        _record(operation, signed_in, _object(places), fault)
        raise fault from error
    _record(operation, signed_in, answer.object_id or _object(places), None, answer.status or operation.status, answer.noted)
    return _rendered(operation, answer)


def perform(name: str, visit: Visit, places: Mapping[str, str], **sent) -> Answer:
    """What a page of ours asks to be done for `visit`, whose form it has checked: allowed, done and recorded like what the API is asked.

    Raises what is refused, as the API tells it.
    """
    operation = OPERATIONS[name]
    try:
        _check_allowed(operation, visit.signed_in)
        services().log.check()
        answer = _as_answer(operation.function(visit, **places, **sent))
    except Exception as error:
        fault = as_fault(error, _object(places), visit.language)
        _record(operation, visit.signed_in, _object(places), fault)
        raise fault from error
    _record(operation, visit.signed_in, answer.object_id or _object(places), None, answer.status or operation.status, answer.noted)
    return answer


def visit_of(signed_in: SignedIn | None, language: str, *, if_match: str | None = None, caller: Caller | None = None) -> Visit:
    return Visit(
        services=services(), signed_in=signed_in, language=language, address=address(), at=services().gate.clock(), session_token=session_token(),
        if_match=if_match, caller=caller,
    )


def _as_answer(content) -> Answer:
    return content if isinstance(content, Answer) else Answer(content=content)


# -- who asks

TOKEN_PREFIX = "gsu_"
"""Of a person's token: it comes in the same header as a key may."""


def agency_by_key(operation: str) -> Caller | None:
    """The agency whose key the request presents; None where it presents none. Raises Unidentified, TooManyGuesses."""
    try:
        presented = presented_key(flask.request.environ)
    except Unidentified as error:
        if error.code == "key-missing":
            return None
        raise
    return None if presented.secret.startswith(TOKEN_PREFIX) else caller_of(operation)


def _signed_in(operation: ApiOperation) -> SignedIn | None:
    """By token or by cookie, never by a key of an agency. Raises NotSignedIn, TooManyGuesses, AccountsUnavailable."""
    if not operation.roles:
        return None
    found = signed_in_person()
    if found is None:
        raise NotSignedIn()
    return found


def signed_in_person() -> SignedIn | None:
    """By token or by cookie; None where it is nobody. Raises TooManyGuesses, AccountsUnavailable."""
    authorization = flask.request.headers.get("Authorization")
    if authorization is None:
        signed_in = signed_in_by_cookie()
    else:
        scheme, _, secret = authorization.partition(" ")
        signed_in = services().accounts.by_token(secret.strip()) if scheme.lower() == "bearer" else None
        if signed_in is None and (seconds := services().bad_keys.note(address())):
            raise TooManyGuesses(seconds)
    return signed_in


def _check_allowed(operation: ApiOperation, signed_in: SignedIn | None) -> None:
    if not operation.roles:
        return
    if signed_in.person.must_change and not operation.before_password:
        raise NotAllowed("password-must-change")
    if not signed_in.person.roles & operation.roles:
        raise NotAllowed("role-missing", {"roles": ", ".join(sorted(operation.roles))})
    if operation.by_session and signed_in.proof is not Proof.SESSION:
        raise NotAllowed("own-session-only")


def _check_not_forged(operation: ApiOperation, signed_in: SignedIn | None) -> None:
    """A browser sends the cookie by itself, whoever makes it ask; nobody but a page of ours knows the token of the session's forms."""
    if not operation.changes or (signed_in is not None and signed_in.proof is Proof.TOKEN):
        return
    check_origin()
    if operation.roles:
        check_form(signed_in.csrf, flask.request.headers.get(FORM_HEADER, ""))


# -- what is asked

def _sent(operation: ApiOperation) -> dict:
    """Raises InputFaulty, ApiFault (415), RequestEntityTooLarge."""
    sent, request = {}, flask.request
    pairs = [(name, value) for name, values in request.args.lists() for value in values if not (operation.by_key and name in QUERY_NAMES)]
    if operation.query is not None:
        sent["query"] = read_query(operation.query, pairs)
    elif unknown := [name for name, _ in pairs if name != "lang"]:
        raise InputFaulty(*(FieldFault(parameter=name[:100], code="field-unknown") for name in unknown))
    if operation.body is not None:
        request.max_content_length = operation.largest
        sent["body"] = _body(operation.body)
    return sent


def _body(kind: type[BaseModel] | Text) -> BaseModel | str:
    media_types = kind.media_types if isinstance(kind, Text) else (JSON,)
    if flask.request.mimetype not in media_types:
        raise ApiFault("body-media-type", 415, {"choices": ", ".join(media_types)})
    data = flask.request.get_data(cache=False)
    if not isinstance(kind, Text):
        return read_body(kind, data)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputFaulty(FieldFault(pointer="", code="field-not-utf8", detail={"position": str(error.start + 1)})) from None


# -- what went wrong

def as_fault(error: Exception, object_id: str | None, language: str) -> Exception:
    """What the rooms refuse, as the API tells it; anything else as it is."""
    match error:
        case AccountInvalid(field=""):
            return InConflict(sentence(error.code, error.detail, language))
        case AccountInvalid():
            return InputFaulty(FieldFault(pointer=f"/{error.field}", code=error.code, detail=error.detail))
        case SignInRefused():
            return NotSignedIn(error.code)
        case PersonNotDefined() | TokenNotDefined() | AgencyNotDefined() | AgreementNotDefined() | KeyNotDefined():
            return NothingThere(object_id or "")
        case AccountsError():
            return InConflict(sentence(error.code, error.detail, language))
        case DocumentInvalid():
            return InputFaulty(*(FieldFault(pointer=document_pointer(one.field), line=one.line, text=one.message) for one in error.faults))
        case MoveRefused(code="role"):
            return NotAllowed("role-missing", {"roles": error.detail["roles"]})
        case MoveRefused(code="edited-meanwhile"):
            return ApiFault("changed-meanwhile", 412)
        case MoveRefused():
            return InConflict(error.sentence(language), error.code)
        case ContributionInvalid(code="contribution-no-delivery"):
            return NothingThere(object_id or "")
        case ContributionInvalid():
            return InConflict(error.told(language), error.code)
        case AlreadyRegistered():
            return InConflict(str(error))
    return error


# -- the record

OUTCOMES = {401: "refused", 403: "refused", 404: "refused", 429: "refused"}


def _record(
    operation: ApiOperation, signed_in: SignedIn | None, object_id: str | None, fault: Exception | None, status: int = 500,
    noted: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Who did what to which object, and how it ended. Never what was sent, as there are passwords in it, but what the operation says itself."""
    if fault is None:
        outcome = "done"
    else:
        status = _status(fault)
        outcome = OUTCOMES.get(status, "invalid" if status < 500 else "failed")
    event = dict(noted) | {
        "event": "admin.acted", "operation": operation.name, "agency": signed_in.person.agency if signed_in else _agency_of_key(),
        "actor": signed_in.person.login if signed_in else None, "proof": signed_in.proof_id if signed_in else None,
        "object": object_id, "outcome": outcome, "status": status,
    }
    services().log.write(event | ({"code": fault.slug} if isinstance(fault, ApiFault) else {}))


def _agency_of_key() -> str | None:
    caller = flask.g.get("caller")
    return caller.agency.agency_id if caller else None


def _status(fault: Exception) -> int:
    match fault:
        case ApiFault():
            return fault.status
        case Unidentified():
            return 401
        case TooManyGuesses() | OverQuota():
            return 429
        case Refused():
            return 403
        case HTTPException():
            return fault.code or 500
        case _ if isinstance(fault, UNAVAILABLE):
            return 503
    return 500


def _object(places: Mapping[str, str]) -> str | None:
    return "/".join(places.values())[:200] or None


# -- the answer

def _rendered(operation: ApiOperation, answer: Answer) -> flask.Response:
    content = answer.content
    if isinstance(content, dict | list | tuple) and operation.answer is not None:
        content = operation.answer.model_validate(content)
    if isinstance(content, BaseModel):
        content = content.model_dump_json()
    elif isinstance(content, Mapping | list):
        content = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    response = flask.Response(content, status=answer.status or operation.status, content_type=_content_type(answer.media_type))
    if content is None:
        response.status_code = answer.status or 204
        del response.headers["Content-Type"]
    response.headers["Vary"] = "Authorization, Cookie, Accept-Language"
    if answer.etag is not None:
        response.set_etag(answer.etag)
    if answer.file_name is not None:
        response.headers.set("Content-Disposition", "attachment", filename=answer.file_name)
    if answer.policy is not None:
        response.headers["Content-Security-Policy"] = answer.policy
    if answer.session is not None:
        keep(response, SESSION, answer.session)
    return response


def _content_type(media_type: str) -> str:
    return media_type if media_type.startswith(("image/", "application/pdf", "application/vnd")) else f"{media_type}; charset=utf-8"
