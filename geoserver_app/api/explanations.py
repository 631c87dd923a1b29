"""`/explanations`: why something is permitted, clipped or denied, now and in the past, by agreement and clause.

The bureau may ask about anybody. A member asks about his own agency, and is told what a refusal would tell: a layer that is not shared with it
and one that does not exist get one answer.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from agreements.errors import AgencyNotDefined
from agreements.model import Effect, Operation, Reason
from agreements.terms import sentence as reason_sentence
from geoserver_app.api.faults import FieldFault, InConflict, InputFaulty, NothingThere
from geoserver_app.api.operation import EVERYBODY, Visit, operation
from geoserver_app.api.reading import AgencyId, Moment, Sent, Told
from geoserver_app.audit.sealing import RecordAltered, RecordNotFound
from geoserver_app.errors import NOT_SHARED, SILENT, contact
from geoserver_app.explaining import QuestionInvalid, explain, explain_record
from geoserver_app.messages import sentence
from layers.errors import CrsNotServed, LayerNotDefined
from layers.model import LayerName

OperationName = Literal["GetMap", "GetFeatureInfo", "GetTile", "GetFeature", "GetCoverage", "GetLegendGraphic", "Download", "DescribeLayer"]
EffectName = Literal["permit", "clip", "deny"]


class Question(Sent):
    """A request that could be made. `at` of the past is asked by the register as it was then."""

    agency: Annotated[AgencyId | None, Field(description="Who would ask; a member's own agency.")] = None
    layer: Annotated[str, Field(min_length=1, max_length=200, examples=["dom"])]
    operation: OperationName = "GetMap"
    bounds: Annotated[str | None, Field(max_length=200, description="west,south,east,north in degrees; without it, the whole layer.")] = None
    scale: Annotated[float | None, Field(gt=0, description="Scale denominator.")] = None
    style: Annotated[str | None, Field(max_length=100)] = None
    format: Annotated[str | None, Field(max_length=100, description="Media type.")] = None
    crs: Annotated[str | None, Field(max_length=50)] = None
    attributes: Annotated[str, Field(max_length=2000, description="Names, separated by commas.")] = ""
    app: Annotated[str, Field(max_length=100)] = ""
    purpose: Annotated[str, Field(max_length=100)] = ""
    address: Annotated[str, Field(max_length=50, description="Network address it would be asked from.")] = ""
    at: Moment | None = None


class ReasonTold(Told):
    code: str
    agreement: str | None
    version: int | None
    clause: str | None
    sentence: str


class ExplanationTold(Told):
    effect: EffectName
    agency: str
    layer: str
    operation: OperationName
    at: Moment
    reasons: list[ReasonTold]
    holds_until: Moment | None


class LayerExplained(Told):
    """What was decided of one layer, and what the register of that moment decides when it is asked again."""

    layer: str
    recorded: EffectName
    effect: EffectName
    agrees: bool
    reasons: list[ReasonTold]


class RecordExplained(Told):
    """`layers` is empty where nothing was decided: a list was given, an act was recorded, nobody was known."""

    record: str
    at: Moment
    event: str
    agency: str | None
    operation: str | None
    agrees: bool
    layers: list[LayerExplained]


@operation(
    "explanations.now", "GET /explanations", "解释一个请求会得到什么、依据哪一条款", "Why a request is permitted, clipped or denied", roles=EVERYBODY,
    query=Question, answer=ExplanationTold,
)
def explain_now(visit: Visit, query: Question) -> ExplanationTold:
    agency = visit.own_agency(query.agency)
    if agency is None:
        raise InputFaulty(FieldFault(parameter="agency", code="field-missing"))
    if visit.person.is_member and query.agency not in (None, agency):
        raise NothingThere(query.agency)
    _check_layer(query.layer)
    try:
        told = explain(
            visit.services.catalogue, visit.services.register, agency=agency, layer=query.layer, operation=Operation(query.operation),
            bounds=query.bounds, scale=query.scale, style=query.style, media_type=query.format, crs=query.crs,
            attributes=frozenset(filter(None, query.attributes.split(","))), app=query.app, purpose=query.purpose, address=query.address,
            at=query.at, language=visit.language, names_written=visit.services.engine.names_written,
        )
    except LayerNotDefined:
        if not visit.person.is_member:
            raise InputFaulty(FieldFault(parameter="layer", code="layer-unknown", detail={"layer": query.layer})) from None
        return _nothing_shared(visit, query, agency)
    except AgencyNotDefined:
        raise InputFaulty(FieldFault(parameter="agency", code="agency-unknown", detail={"agency": agency})) from None
    except CrsNotServed as error:
        raise InputFaulty(FieldFault(parameter="crs", code="field-wrong", detail={"reason": error.crs[:50]})) from None
    except QuestionInvalid:
        raise InputFaulty(FieldFault(parameter="bounds", code="field-not-bounds")) from None
    reasons, request = _reasons(visit, told.decision.reasons, query.layer), told.request
    if visit.person.is_member and told.effect is Effect.DENY and not _speaking(told.decision.reasons):
        return _nothing_shared(visit, query, agency)
    return ExplanationTold(
        effect=told.effect.value, agency=agency, layer=query.layer if visit.person.is_member else f"{request.layer}@{request.edition}",
        operation=query.operation, at=request.at, reasons=reasons, holds_until=told.decision.holds_until,
    )


@operation(
    "explanations.record", "GET /explanations/{record}", "按当时的登记重新判定一条记录", "Take the decision of a record again, by the register as it was",
    roles=EVERYBODY, answer=RecordExplained,
)
def explain_past(visit: Visit, record: str) -> RecordExplained:
    try:
        told = explain_record(visit.services.settings.decisions, visit.services.register, record, visit.language)
    except RecordNotFound:
        raise NothingThere(record) from None
    except RecordAltered as error:
        if visit.person.is_member:
            raise NothingThere(record) from None
        raise InConflict(str(error)) from None
    if visit.person.is_member and told.record.get("agency") != visit.person.agency:
        raise NothingThere(record)
    return RecordExplained(
        record=told.record["id"], at=told.record["at"], event=told.record["event"], agency=told.record.get("agency"),
        operation=told.record.get("operation"), agrees=told.agrees,
        layers=[
            LayerExplained(
                layer=shown_layer(visit, one.layer, one.decision.effect is Effect.DENY and not _speaking(one.decision.reasons)), recorded=one.effect,
                effect=one.decision.effect.value, agrees=not one.differences, reasons=_reasons(visit, one.decision.reasons, one.layer.partition("@")[0]),
            ) for one in told.layers
        ],
    )


def shown_layer(visit: Visit, layer: str, is_hidden: bool) -> str:
    """A member is not told which edition a name stands for that is not shared with him."""
    return layer.partition("@")[0] if visit.person.is_member and is_hidden else layer


def _check_layer(layer: str) -> None:
    try:
        LayerName.parse(layer)
    except ValueError:
        raise InputFaulty(FieldFault(parameter="layer", code="layer-name", detail={"value": layer[:80]})) from None


def _speaking(reasons: Iterable[Reason]) -> list[Reason]:
    """Those that a refusal tells: the others would tell a layer that exists from one that does not."""
    return [reason for reason in reasons if reason.agreement_id and reason.code not in SILENT]


GRANTING = frozenset({"granted", "own-layer"})


def _reasons(visit: Visit, reasons: Iterable[Reason], layer: str) -> list[ReasonTold]:
    if visit.person.is_member:
        reasons = [reason for reason in reasons if reason.code in GRANTING or (reason.agreement_id and reason.code not in SILENT)]
        if not reasons:
            return [_not_shared(visit, layer)]
    return [
        ReasonTold(
            code=reason.code, agreement=reason.agreement_id, version=reason.version, clause=reason.clause, sentence=reason_sentence(reason, visit.language),
        ) for reason in reasons
    ]


def _not_shared(visit: Visit, layer: str) -> ReasonTold:
    told = sentence("not-shared", {"layer": layer, "contact": contact(visit.language)}, visit.language)
    return ReasonTold(code=NOT_SHARED, agreement=None, version=None, clause=None, sentence=told)


def _nothing_shared(visit: Visit, query: Question, agency: str) -> ExplanationTold:
    return ExplanationTold(
        effect="deny", agency=agency, layer=query.layer, operation=query.operation, at=query.at or visit.at, reasons=[_not_shared(visit, query.layer)],
        holds_until=None,
    )
