"""What a version of an agreement, or a document that is not registered yet, lets an agency see more and less than the version before it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from agreements.compare.difference import Difference, Ground, LayerDifference
from agreements.compare.difference_words import sentences
from agreements.model import Agreement
from geoserver_app.api.agreements import DOCUMENT, read_agreement, version_seen, versions_seen
from geoserver_app.api.areas import geojson
from geoserver_app.api.operation import EVERYBODY, JSON, LARGE, STAFF, Answer, Visit, operation
from geoserver_app.api.reading import Sent, Told
from geoserver_app.area_picture import picture
from geoserver_app.comparing import compare

Turn = Literal["gained", "lost", "changed"]


class Form(Sent):
    form: Annotated[Literal["json", "svg"], Field(description="In figures and sentences, or as a picture of the ground.")] = "json"
    shapes: Annotated[bool, Field(description="With the ground itself, as GeoJSON in CRS84.")] = False


class DifferenceQuery(Form):
    before: Annotated[int | None, Field(ge=1, description="Version; the one before `after` unless given.")] = None
    after: Annotated[int | None, Field(ge=1, description="Version; the newest unless given.")] = None


class LineTold(Told):
    turn: Turn
    sentence: str


class LayersTold(Told):
    """Some layers of which the same changes. `sheets_touched` is empty where there are too many to be listed."""

    layers: list[str]
    turn: Turn
    before_km2: float
    after_km2: float
    gained_km2: float
    lost_km2: float
    operations: list[str]
    sheets_gained: list[str]
    sheets_lost: list[str]
    sheets_touched: list[str]


class AmountTold(Told):
    name: str
    window: str
    resolution: float | None
    before: float | None
    after: float | None
    turn: Turn


class DifferenceTold(Told):
    """`before` is null where there is no version before. `texts` are fields that change nothing of what is seen."""

    agreement: str
    before: int | None
    after: int
    is_nothing: bool
    gained_km2: float
    lost_km2: float
    unchanged_km2: float
    lines: list[LineTold]
    layers: list[LayersTold]
    amounts: list[AmountTold]
    texts: list[str]
    gained: dict[str, Any] | None = None
    lost: dict[str, Any] | None = None


@operation(
    "agreements.difference", "GET /agreements/{agreement}/difference", "两个版本之间的差异（面积、图层、图幅、属性、操作）",
    "What a version changes: ground, layers, sheets, attributes, operations", roles=EVERYBODY, query=DifferenceQuery, answer=DifferenceTold,
    media_types=(JSON, "image/svg+xml"),
)
def get_difference(visit: Visit, agreement: str, query: DifferenceQuery) -> Answer:
    after, versions = version_seen(visit, agreement, None if query.after is None else str(query.after))
    if query.before is None:
        before = next((one for one in reversed(versions) if one.version < after.version), None)
    else:
        before, _ = version_seen(visit, agreement, str(query.before))
    return _answer(visit, before, after, query)


@operation(
    "agreements.compare", "POST /agreement-differences", "协议文本与现行版本的差异（不登记）", "What a document would change of the agreement as it is; registers nothing",
    roles=STAFF, body=DOCUMENT, query=Form, answer=DifferenceTold, media_types=(JSON, "image/svg+xml"), largest=LARGE,
)
def compare_document(visit: Visit, body: str, query: Form) -> Answer:
    after = read_agreement(visit, body)
    held = [one for one in visit.services.register.list() if one.agreement_id == after.agreement_id]
    before = versions_seen(visit, after.agreement_id)[-1] if held else None
    return _answer(visit, before, after, query)


def _answer(visit: Visit, before: Agreement | None, after: Agreement, query: Form) -> Answer:
    found = compare(visit.services.register, visit.services.catalogue, before, after)
    name = f"{after.agreement_id}/{after.version}"
    if query.form == "svg":
        return Answer(content=picture(found.gained, found.lost, found.unchanged, language=visit.language), media_type="image/svg+xml", object_id=name)
    return Answer(content=difference_told(before, after, found, visit.language, with_shapes=query.shapes), object_id=name)


def difference_told(before: Agreement | None, after: Agreement, found: Difference, language: str, *, with_shapes: bool = False) -> DifferenceTold:
    return DifferenceTold(
        agreement=after.agreement_id, before=before and before.version, after=after.version, is_nothing=found.is_nothing,
        gained_km2=_km2(found.gained), lost_km2=_km2(found.lost), unchanged_km2=_km2(found.unchanged),
        lines=[LineTold(turn=line.turn.value, sentence=line.text) for line in sentences(found, language)],
        layers=[_layers(one) for one in found.layers], texts=list(found.texts),
        amounts=[
            AmountTold(name=one.name, window=one.window, resolution=one.resolution, before=one.before, after=one.after, turn=one.turn.value)
            for one in found.amounts
        ],
        gained=geojson(found.gained.geometry) if with_shapes else None, lost=geojson(found.lost.geometry) if with_shapes else None,
    )


def _layers(one: LayerDifference) -> LayersTold:
    return LayersTold(
        layers=list(one.layers), turn=one.turn.value, before_km2=round(one.before_km2, 6), after_km2=round(one.after_km2, 6),
        gained_km2=_km2(one.gained), lost_km2=_km2(one.lost), operations=[each.operation.value for each in one.operations],
        sheets_gained=list(one.sheets_gained), sheets_lost=list(one.sheets_lost), sheets_touched=list(one.sheets_touched),
    )


def _km2(ground: Ground) -> float:
    return round(ground.km2, 6)
