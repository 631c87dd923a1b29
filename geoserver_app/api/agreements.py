"""`/agreements`: their documents, and their life from draft to archive. A member sees those of his agency, from their approval on.

Who may move what is `agreements.life.lifecycle`'s to say; the door only asks whether somebody is signed in.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from agreements.document import document_of, read_document, write_document
from agreements.document.odrl import odrl_agreement
from agreements.document.schema import agreement_schema
from agreements.errors import MoveRefused
from agreements.life.history import Event, Subject
from agreements.life.lifecycle import COUNTING, IN_HOUSE, MOVES, Action, Role, allowed_moves, state_at
from agreements.model import BUREAU, Agreement, State, Suspension
from agreements.register.standing import is_beginning
from geoserver_app.api.areas import AreaWords, read_area
from geoserver_app.api.faults import ApiFault, FieldFault, InputFaulty, NothingThere
from geoserver_app.api.operation import EVERYBODY, JSON, LARGE, STAFF, Answer, Text, Visit, operation
from geoserver_app.api.reading import AgencyId, Moment, Page, PageQuery, Sent, Told, paged
from geoserver_app.people.accounts import PEOPLES_ROLES
from geoserver_app.registering import CatalogueGazetteer, missing_layers
from layers.model import CatalogueSnapshot, LayerName

OFFICE = frozenset({Role.ADMINISTRATOR, Role.DATA_MANAGER})
DONE_BY_MOVES = frozenset(MOVES) - {Action.EDIT, Action.AMEND, Action.SUSPEND, Action.RESUME, Action.KEEP_BOUNDARY}
"""What else is done to a version has an operation of its own."""

MOVERS = frozenset().union(*(MOVES[action].roles for action in DONE_BY_MOVES)) & PEOPLES_ROLES
DOCUMENT = Text(media_types=("application/yaml", JSON))

StateName = Literal["draft", "submitted", "approved", "signed", "active", "suspended", "expired", "terminated", "archived"]
MoveName = Literal[
    "submit", "conformity-check", "request-changes", "approve", "refuse", "sign", "activate", "activate-emergency", "ratify", "expire", "terminate",
    "archive", "withdraw", "certify-destruction",
]
Layer = Annotated[str, Field(max_length=200, examples=["dom@2011"])]


# What is told

class AgreementTold(Told):
    """One version as it stands now."""

    agreement: str
    version: int
    title: str
    grantor: str
    grantee: str
    state: StateName
    start: Moment | None
    end: Moment | None
    replaced: Moment | None
    parent: str | None
    is_emergency: bool
    grants: int

    @classmethod
    def of(cls, one: Agreement, at: datetime) -> "AgreementTold":
        return cls(**_fields(one, at))


class SuspensionTold(Told):
    reason: str
    since: Moment
    until: Moment | None
    layers: list[str] | None
    area: str | None


class VersionTold(AgreementTold):
    """`document_hash` is what the signed paper bears; `moves` what the asker may do with it now, before a comment or a signature is asked."""

    contact: str
    document_hash: str
    suspensions: list[SuspensionTold]
    moves: list[str]
    versions: list[int]


class EventTold(Told):
    """Of the history. `actor` is told to the bureau alone."""

    number: int
    at: Moment
    version: int | None
    action: str
    state: StateName | None
    actor: str | None
    comment: str
    document_hash: str | None
    detail: dict[str, Any]


class Checked(Told):
    """A document without faults. `missing_layers` are granted but not there: they may come later, or be misspelt."""

    agreement: str
    version: int
    grantor: str
    grantee: str
    grants: int
    missing_layers: list[str]


class Moved(Told):
    event: EventTold
    state: StateName


# What is sent

class AgreementQuery(PageQuery):
    agency: Annotated[AgencyId | None, Field(description="Party of the agreement.")] = None
    state: StateName | None = None


class DocumentQuery(Sent):
    form: Annotated[Literal["text", "yaml", "json", "odrl"], Field(description="`text` is the document as it was given.")] = "text"


class SignatureSent(Sent):
    """One party's signature on the paper; `document` is the hash that the paper bears."""

    party: AgencyId
    signatory: Annotated[str, Field(min_length=1, max_length=200)]
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", examples=["2026-03-01"])]
    document: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    duty: Annotated[str, Field(max_length=200)] = ""


class MoveSent(Sent):
    action: MoveName
    comment: Annotated[str, Field(max_length=2000)] = ""
    signature: SignatureSent | None = None
    of: Annotated[str, Field(max_length=200, description="Of `certify-destruction`: the contractor whose certificate it is; the agency's own unless given.")] = ""


class SuspensionSent(Sent):
    """Without `layers` and `area`, all that the agreement grants."""

    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    layers: Annotated[frozenset[Layer], Field(min_length=1, max_length=1000)] | None = None
    until: Moment | None = None
    area: Annotated[AreaWords | None, Field(description="Words of an area, as in a document.")] = None


class ResumeSent(Sent):
    comment: Annotated[str, Field(max_length=2000)] = ""


class Resumed(Told):
    ended: int


# Reading

@operation(
    "agreements.list", "GET /agreements", "协议列表（各取最新版本）", "Every agreement, in its newest version", roles=EVERYBODY,
    query=AgreementQuery, answer=Page[AgreementTold],
)
def list_agreements(visit: Visit, query: AgreementQuery) -> dict:
    newest = {one.agreement_id: one for one in visible(visit, visit.services.register.list())}
    agency = visit.own_agency(query.agency)
    told = [AgreementTold.of(one, visit.at) for one in newest.values() if agency in (None, one.grantor, one.grantee)]
    return paged([one for one in told if query.state in (None, one.state)], query, lambda one: one.agreement)


@operation("agreements.get", "GET /agreements/{agreement}", "一份协议的最新版本", "The newest version of an agreement", roles=EVERYBODY, answer=VersionTold)
def get_agreement(visit: Visit, agreement: str) -> Answer:
    return _version_told(visit, agreement, None)


@operation(
    "agreements.versions.get", "GET /agreements/{agreement}/versions/{version}", "协议的一个版本", "One version of an agreement", roles=EVERYBODY,
    answer=VersionTold,
)
def get_version(visit: Visit, agreement: str, version: str) -> Answer:
    return _version_told(visit, agreement, version)


@operation(
    "agreements.document", "GET /agreements/{agreement}/versions/{version}/document", "协议文本（YAML、JSON 或 ODRL）",
    "The document of a version: as it was given, as YAML, JSON, or ODRL 2.2 in JSON-LD", roles=EVERYBODY, query=DocumentQuery,
    media_types=("application/yaml", JSON, "application/ld+json"),
)
def get_document(visit: Visit, agreement: str, version: str, query: DocumentQuery) -> Answer:
    seen, _ = version_seen(visit, agreement, version)
    one, digest = visit.services.register.registered(seen.agreement_id, seen.version), visit.services.register.document_hash(seen.agreement_id, seen.version)
    match query.form:
        case "json":
            return Answer(content=document_of(one), etag=digest)
        case "odrl":
            return Answer(content=odrl_agreement(one), media_type="application/ld+json", etag=digest)
        case "yaml":
            return Answer(content=write_document(one), media_type="application/yaml", etag=digest)
    return Answer(content=visit.services.register.document(one.agreement_id, one.version), media_type="application/yaml", etag=digest)


@operation(
    "agreements.history", "GET /agreements/{agreement}/history", "协议的历史", "All that was done with an agreement", roles=EVERYBODY,
    query=PageQuery, answer=Page[EventTold],
)
def get_history(visit: Visit, agreement: str, query: PageQuery) -> dict:
    seen = {one.version for one in versions_seen(visit, agreement)}
    events = [one for one in visit.services.register.history(agreement) if one.version in seen]
    if visit.person.is_member:
        events = [one for one in events if one.action not in IN_HOUSE]
    told = [_event(one, visit) for one in events]
    return paged(told, query, lambda one: f"{one.number:012}")


@operation(
    "agreements.schema", "GET /agreement-schema", "协议文本的 JSON Schema", "The JSON Schema of agreement documents", roles=EVERYBODY,
)
def get_schema(visit: Visit) -> Mapping:
    return agreement_schema()


# Writing

@operation(
    "agreements.check", "POST /agreement-checks", "检查协议文本（不登记）", "Check a document, and register nothing", roles=STAFF, body=DOCUMENT,
    answer=Checked, largest=LARGE,
)
def check_document(visit: Visit, body: str) -> Checked:
    return _checked(visit, read_agreement(visit, body), body)


@operation(
    "agreements.draft", "POST /agreements", "起草协议，或以下一版本起草修订", "Draft an agreement, or an amendment as the next version", roles=OFFICE, body=DOCUMENT,
    answer=Checked, status=201, largest=LARGE, refusals=(409,),
)
def draft_agreement(visit: Visit, body: str) -> Answer:
    one = read_agreement(visit, body)
    event = visit.services.register.add_draft(one, body, visit.actor)
    return Answer(content=_checked(visit, one, body), object_id=f"{one.agreement_id}/{one.version}", etag=event.document_hash)


@operation(
    "agreements.edit", "PUT /agreements/{agreement}/versions/{version}/document", "修改草案文本（须带 If-Match）", "Another text of a draft; takes If-Match",
    roles=OFFICE, body=DOCUMENT, answer=Checked, largest=LARGE, refusals=(409, 412, 428),
)
def edit_draft(visit: Visit, agreement: str, version: str, body: str) -> Answer:
    held, _ = version_seen(visit, agreement, version)
    if visit.if_match is None:
        raise ApiFault("changed-meanwhile", 428)
    one = read_agreement(visit, body)
    if (one.agreement_id, one.version) != (held.agreement_id, held.version):
        raise MoveRefused("other-agreement", said=f"{one.agreement_id} version {one.version}", held=f"{held.agreement_id} version {held.version}")
    event = visit.services.register.replace_draft(one, body, visit.actor, replacing=visit.if_match.strip('"'))
    return Answer(content=_checked(visit, one, body), etag=event.document_hash)


@operation(
    "agreements.move", "POST /agreements/{agreement}/versions/{version}/moves", "办理：提交、审核、审批、签署、生效、终止等",
    "Move a version on: submit, check, approve, sign, activate, terminate ...", roles=MOVERS, body=MoveSent, answer=Moved, refusals=(409,),
)
def move_version(visit: Visit, agreement: str, version: str, body: MoveSent) -> Moved:
    one, _ = version_seen(visit, agreement, version)
    detail = body.signature.model_dump() if body.signature else {"of": body.of} if body.action == Action.CERTIFY else None
    event = visit.services.register.move(one.agreement_id, one.version, body.action, visit.actor, comment=body.comment, detail=detail)
    return Moved(event=_event(event, visit), state=state_at(version_seen(visit, agreement, version)[0], visit.at).value)


@operation(
    "agreements.suspend", "POST /agreements/{agreement}/suspensions", "中止协议，或其中部分图层、区域（两秒内生效）",
    "Stop an agreement, or some of its layers or ground: everywhere within two seconds", roles=MOVES[Action.SUSPEND].roles & PEOPLES_ROLES, body=SuspensionSent, answer=SuspensionTold,
    status=201, refusals=(409,), largest=LARGE,
)
def suspend(visit: Visit, agreement: str, body: SuspensionSent) -> SuspensionTold:
    versions_seen(visit, agreement)
    _check_suspension(visit, body)
    suspension = visit.services.register.suspend(
        agreement, body.reason, layers=body.layers, until=body.until, area=body.area and read_area(visit, body.area, "/area"), actor=visit.actor,
    )
    return _suspension(suspension)


@operation(
    "agreements.resume", "POST /agreements/{agreement}/resumption", "恢复协议（文本自带的中止除外）", "End the suspensions of an agreement, but for those of its document",
    roles=MOVES[Action.RESUME].roles & PEOPLES_ROLES, body=ResumeSent, answer=Resumed, refusals=(409,),
)
def resume(visit: Visit, agreement: str, body: ResumeSent) -> Resumed:
    versions_seen(visit, agreement)
    return Resumed(ended=visit.services.register.resume(agreement, visit.actor, body.comment))


# What is seen

def visible(visit: Visit, versions: Iterable[Agreement]) -> list[Agreement]:
    """A member sees what his agency is a party of, once it is more than an intention: what was given up before it began he doesn't see."""
    if not visit.person.is_member:
        return list(versions)
    own = [one for one in versions if visit.person.agency in (one.grantor, one.grantee)]
    if not any(one.state is State.ARCHIVED for one in own):
        return [one for one in own if one.state in TOLD]
    begun = {event.about for event in visit.services.register.history() if is_beginning(event)}
    return [one for one in own if one.state in TOLD and (one.state is not State.ARCHIVED or Subject.agreement(one.agreement_id, one.version) in begun)]


TOLD = COUNTING | {State.APPROVED, State.SIGNED}


def versions_seen(visit: Visit, agreement_id: str, object_id: str | None = None) -> list[Agreement]:
    """Those that the asker may see, in order, never none. Raises NothingThere, of `object_id` where that is what was asked for."""
    found = visible(visit, (one for one in visit.services.register.list() if one.agreement_id == agreement_id))
    if not found:
        raise NothingThere(object_id or agreement_id)
    return found


def version_seen(visit: Visit, agreement_id: str, version: str | None) -> tuple[Agreement, list[Agreement]]:
    """The version asked for, the newest if none is, and all there are."""
    versions = versions_seen(visit, agreement_id)
    for one in reversed(versions):
        if version in (None, str(one.version)):
            return one, versions
    raise NothingThere(f"{agreement_id}/{version}")


def _version_told(visit: Visit, agreement_id: str, version: str | None) -> Answer:
    (one, versions), register = version_seen(visit, agreement_id, version), visit.services.register
    digest, moves = register.document_hash(agreement_id, one.version), allowed_moves(register.case(agreement_id, one.version), visit.actor)
    told = VersionTold(
        **_fields(one, visit.at), contact=one.contact, document_hash=digest, suspensions=[_suspension(stop) for stop in one.suspensions],
        moves=[move.action.value for move in moves], versions=[other.version for other in versions],
    )
    return Answer(content=told, etag=digest)


def _fields(one: Agreement, at: datetime) -> dict:
    return {
        "agreement": one.agreement_id, "version": one.version, "title": one.title, "grantor": one.grantor, "grantee": one.grantee,
        "state": state_at(one, at).value, "start": one.term.start, "end": one.term.end, "replaced": one.replaced, "parent": one.parent,
        "is_emergency": one.is_emergency, "grants": len(one.grants),
    }


def _suspension(one: Suspension) -> SuspensionTold:
    return SuspensionTold(
        reason=one.reason, since=one.since, until=one.until, layers=None if one.layers is None else sorted(one.layers), area=one.area and one.area.title,
    )


def _event(event: Event, visit: Visit) -> EventTold:
    return EventTold(
        number=event.number, at=event.at, version=event.version, action=event.action, state=event.state and event.state.value,
        actor=event.actor if not visit.person.is_member or event.actor == visit.person.login else None, comment=event.comment,
        document_hash=event.document_hash, detail=dict(event.detail),
    )


# What is read of what was sent

def read_agreement(visit: Visit, text: str) -> Agreement:
    """Raises DocumentInvalid, InputFaulty for a party that is not registered."""
    one = read_document(text, "document", CatalogueGazetteer(visit.services.catalogue))
    known = {agency.agency_id for agency in visit.services.register.agencies()} | {BUREAU}
    faults = [
        FieldFault(pointer=f"/parties/{party}", code="agency-unknown", detail={"agency": agency})
        for party, agency in (("grantor", one.grantor), ("grantee", one.grantee)) if agency not in known
    ]
    if faults:
        raise InputFaulty(*faults)
    return one


def _checked(visit: Visit, one: Agreement, text: str) -> Checked:
    missing = missing_layers(visit.services.catalogue, [(one, text)])
    return Checked(
        agreement=one.agreement_id, version=one.version, grantor=one.grantor, grantee=one.grantee, grants=len(one.grants),
        missing_layers=[name for _, name in missing],
    )


def _check_suspension(visit: Visit, body: SuspensionSent) -> None:
    """Raises InputFaulty: a misspelt layer would go on being served."""
    catalogue, faults = visit.services.catalogue.snapshot(), []
    for name in sorted(body.layers or ()):
        if not _is_layer(catalogue, name):
            faults.append(FieldFault(pointer="/layers", code="layer-unknown", detail={"layer": name}))
    if body.until is not None and body.until <= visit.at:
        faults.append(FieldFault(pointer="/until", code="field-past"))
    if faults:
        raise InputFaulty(*faults)


def _is_layer(catalogue: CatalogueSnapshot, name: str) -> bool:
    try:
        return catalogue.find(LayerName.parse(name)) is not None
    except ValueError:
        return False
