"""`/requests`: what an agency asks for beside what it has, and the bureau's answer. An answer shares nothing: an agreement does."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from agreements.life.lifecycle import Role
from geoserver_app.api.faults import FieldFault, InConflict, InputFaulty, NothingThere
from geoserver_app.api.operation import EVERYBODY, Answer, Visit, operation
from geoserver_app.api.reading import AgencyId, Moment, Sent, Told
from geoserver_app.asking import AccessRequest, RequestBook, RequestInvalid, due
from geoserver_app.clock import SHANGHAI
from geoserver_app.messages import sentence
from geoserver_app.purposes import load_purposes
from geoserver_app.tasks import calendar

ANSWERERS = frozenset({Role.ADMINISTRATOR, Role.DATA_MANAGER})

DIVISION = Annotated[str, Field(pattern=r"^\d{2,12}$")]


class RequestQuery(Sent):
    agency: AgencyId | None = None
    open: Annotated[bool, Field(description="Only what is not answered yet.")] = False


class RequestTold(Told):
    """`last_day` is the last on which it should be answered; `working_days` are left until then. Who answered is told to the bureau alone."""

    request: int
    agency: str
    asked: Moment
    asked_by: str
    layers: str
    divisions: list[str]
    purpose: str
    reason: str
    last_day: date
    working_days: int
    outcome: Literal["", "accepted", "refused"]
    answer: str
    agreement: str
    answered: Moment | None
    answered_by: str | None


class Requests(Told):
    items: list[RequestTold]


class RequestSent(Sent):
    """`layers` are in words or by name; `divisions` codes of the ground that is meant."""

    layers: Annotated[str, Field(min_length=1, max_length=1000)]
    divisions: Annotated[list[DIVISION], Field(max_length=100)] = []
    purpose: Annotated[str, Field(max_length=100, description="A code of the list of purposes.")] = ""
    reason: Annotated[str, Field(min_length=1, max_length=2000)]


class AnswerSent(Sent):
    """`agreement` is the number of the draft or agreement in which it goes on."""

    outcome: Literal["accepted", "refused"]
    answer: Annotated[str, Field(min_length=1, max_length=2000)]
    agreement: Annotated[str, Field(max_length=100)] = ""


@operation("requests.list", "GET /requests", "各单位的申请", "What agencies ask for beside what they have", roles=EVERYBODY, query=RequestQuery, answer=Requests)
def list_requests(visit: Visit, query: RequestQuery) -> dict:
    found = _book(visit).list(visit.own_agency(query.agency))
    return {"items": [_told(visit, one) for one in found if not query.open or not one.outcome]}


@operation(
    "requests.ask", "POST /requests", "提出申请", "Ask for more", roles=frozenset({Role.MEMBER}), body=RequestSent, answer=RequestTold, status=201,
)
def ask(visit: Visit, body: RequestSent) -> Answer:
    faults, codes = [], load_purposes(visit.services.settings.config)
    if body.purpose and body.purpose not in codes:
        faults.append(FieldFault(pointer="/purpose", code="field-choice", detail={"choices": ", ".join(codes)}))
    known = {code for code, *_ in visit.services.catalogue.divisions()}
    faults += [
        FieldFault(pointer=f"/divisions/{place}", code="division-unknown", detail={"division": code})
        for place, code in enumerate(body.divisions) if code not in known
    ]
    if faults:
        raise InputFaulty(*faults)
    made = _book(visit).ask(
        visit.person.agency, layers=body.layers, divisions=body.divisions, purpose=body.purpose, reason=body.reason, by=visit.person.login,
    )
    return Answer(content=_told(visit, made), object_id=str(made.request_id))


@operation(
    "requests.answer", "POST /requests/{request}/answers", "答复申请", "Answer a request", roles=ANSWERERS, body=AnswerSent, answer=RequestTold, refusals=(409,),
)
def answer(visit: Visit, request: str, body: AnswerSent) -> RequestTold:
    if not request.isdecimal() or len(request) > 12:
        raise NothingThere(request)
    try:
        answered = _book(visit).answer(int(request), body.outcome, body.answer, agreement_id=body.agreement, by=visit.person.login)
    except RequestInvalid as error:
        if error.code == "request-not-defined":
            raise NothingThere(request) from None
        raise InConflict(sentence(error.code, error.detail, visit.language), error.code) from None
    return _told(visit, answered)


def _book(visit: Visit) -> RequestBook:
    return RequestBook(visit.services.database, visit.services.gate.clock)


def _told(visit: Visit, one: AccessRequest) -> RequestTold:
    working = calendar(visit.services.settings.config)
    last = due(one, working).day
    return RequestTold(
        request=one.request_id, agency=one.agency, asked=one.asked, asked_by=one.asked_by, layers=one.layers, divisions=list(one.divisions),
        purpose=one.purpose, reason=one.reason, last_day=last, working_days=working.working_days_between(visit.at.astimezone(SHANGHAI).date(), last),
        outcome=one.outcome, answer=one.answer, agreement=one.agreement_id, answered=one.answered,
        answered_by=None if visit.person.is_member else one.answered_by,
    )
