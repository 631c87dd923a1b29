"""`/overlays`: an agency's own data over the base maps - registered, watched, drawn by its rules, withdrawn. Its owner's alone, by key or by member."""

import json
from typing import Annotated, Any, Literal

from pydantic import Field

from agreements.life.lifecycle import Role
from geoserver_app.api.faults import FieldFault, InConflict, InputFaulty, NothingThere
from geoserver_app.api.operation import Answer, Visit, operation
from geoserver_app.api.packages import agency_of
from geoserver_app.api.reading import Moment, Sent, Told
from geoserver_app.clock import SHANGHAI
from geoserver_app.describe import secrecy
from geoserver_app.overlays.asking import ORIGINS, check_edition, layer_name, own_edition, own_overlays, stem_of, suffix_of
from geoserver_app.overlays.book import NoSuchUpload, Upload, UploadBook, UploadState
from geoserver_app.overlays.faults import Finding, OverlayInvalid
from geoserver_app.overlays.looking import legend_by, picture_by, values_of
from geoserver_app.overlays.publishing import as_rules, restyled, rules_of, withdrawn
from geoserver_app.overlays.thematic import MOST_CLASSES, RAMPS, USUAL_CLASSES, Method, rules
from geoserver_app.overlays.uploads import call_off
from geoserver_app.settings import CLASSIFICATIONS
from layers.errors import LayerNotDefined
from layers.model import Bounds, Edition, Layer
from tiles.encode import PNG
from tiles.symbols import LONGEST_RULES, SymbolsInvalid

MEMBERS = frozenset({Role.MEMBER})
MOST_OPEN = 5
"""Uploads of one agency that are not over."""

LARGEST_RULES = LONGEST_RULES + (64 << 10)

Name = Annotated[str, Field(max_length=63, examples=["stations"], description="The layer is called `<agency>-<name>`.")]
EditionName = Annotated[str, Field(max_length=31, pattern=r"^([0-9A-Za-z][0-9A-Za-z._-]*)?$", examples=["2026-07"])]


class ColumnsSent(Sent):
    """Of a table, where they are not called as usual: either `x` and `y`, or `code`."""

    x: Annotated[str | None, Field(max_length=60)] = None
    y: Annotated[str | None, Field(max_length=60)] = None
    code: Annotated[str | None, Field(max_length=60)] = None


class OverlaySent(Sent):
    """What is to be uploaded. `crs` is that of files that state none, and of the columns of a table; `coord_origin` where coordinates come from.

    Of a table by division codes: `vintage` of the boundaries (the newest unless given), and `value`, `method`, `classes` and `ramp` of the map.
    """

    file: Annotated[str, Field(min_length=1, max_length=200, examples=["stations.gpkg"], description="Its name: the suffix says what kind it is.")]
    name: Annotated[str, Field(min_length=1, max_length=63, examples=["stations"], description="The layer is called `<agency>-<name>`.")]
    edition: EditionName = ""
    title_zh: Annotated[str, Field(max_length=100)] = ""
    title_en: Annotated[str, Field(max_length=100)] = ""
    abstract: Annotated[str, Field(max_length=1000)] = ""
    attribution: Annotated[str, Field(max_length=200)] = ""
    classification: Literal[CLASSIFICATIONS] = "internal"
    crs: Annotated[str | None, Field(max_length=60, examples=["EPSG:4490"])] = None
    encoding: Annotated[str | None, Field(max_length=40)] = None
    coord_origin: Literal[ORIGINS] = "survey"
    columns: ColumnsSent | None = None
    vintage: Annotated[str | None, Field(max_length=31)] = None
    value: Annotated[str | None, Field(max_length=60)] = None
    method: Method = Method.NATURAL
    classes: Annotated[int, Field(ge=2, le=MOST_CLASSES)] = USUAL_CLASSES
    ramp: Literal[tuple(RAMPS)] = "blue"
    symbols: Annotated[dict[str, Any] | None, Field(description="Rules of drawing, as `PUT .../symbols` takes them.")] = None


class FindingTold(Told):
    code: str
    sentence: str


class UploadTold(Told):
    """`state`: waiting (for its file), queued, running, held, published, failed, cancelled. `put` is where the file goes, by PUT.

    `held`: the coordinates seem to be shifted by `offset_metres`; nothing is served until a person decides.
    """

    upload: str
    layer: str
    edition: str
    file: str
    state: UploadState
    step: str
    done: int
    total: int
    began: Moment
    ended: Moment | None
    findings: list[FindingTold]
    offset_metres: float | None
    put: str


class Uploads(Told):
    items: list[UploadTold]


class TableTold(Told):
    table: str
    geometry: Literal["point", "line", "area"]
    fields: list[str]
    features: int
    bounds: tuple[float, float, float, float]


class OverlayEditionTold(Told):
    edition: str
    generation: int
    source: Literal["stored", "live", "remote"]
    crs: str
    bounds: tuple[float, float, float, float]
    tables: list[TableTold]
    symbols: dict[str, Any]


class OverlayTold(Told):
    """`bounds` in longitude and latitude."""

    layer: str
    title_zh: str
    title_en: str
    abstract: str
    classification: str
    editions: list[OverlayEditionTold]


class Overlays(Told):
    items: list[OverlayTold]


class DecisionSent(Sent):
    publish: bool
    reason: Annotated[str, Field(min_length=1, max_length=1000, description="Why; it stays in the record.")]


class SymbolsSent(Sent):
    """`generation` is that of the edition as it was looked at; no rules: drawn as the house draws."""

    generation: Annotated[int, Field(ge=0)]
    symbols: dict[str, Any] | None


class PictureSent(Sent):
    """`symbols` as they would be. `bounds` in `crs`, x before y; all of the edition where they are left out."""

    symbols: dict[str, Any] | None = None
    bounds: tuple[float, float, float, float] | None = None
    crs: Annotated[str, Field(max_length=60)] = "EPSG:3857"
    width: Annotated[int, Field(ge=16, le=1600)] = 640
    height: Annotated[int, Field(ge=16, le=1200)] = 420
    labels: bool = True


class ClassesSent(Sent):
    table: Annotated[str, Field(max_length=100)]
    field: Annotated[str, Field(max_length=100)]
    method: Method = Method.NATURAL
    classes: Annotated[int, Field(ge=2, le=MOST_CLASSES)] = USUAL_CLASSES
    ramp: Literal[tuple(RAMPS)] = "blue"


class RulesTold(Told):
    symbols: dict[str, Any]


# -- registering

@operation("overlays.uploads", "GET /overlays/uploads", "本单位的专题图层登记", "The agency's registrations, the newest first", roles=MEMBERS, by_key=True, answer=Uploads)
def list_uploads(visit: Visit) -> dict:
    return {"items": [upload_told(visit, one) for one in book_of(visit).list(agency_of(visit))[:100]]}


@operation(
    "overlays.upload", "POST /overlays/uploads", "登记专题图层（随后上传文件）", "Register an overlay; its file is sent next", roles=MEMBERS, by_key=True,
    body=OverlaySent, answer=UploadTold, status=201, largest=LARGEST_RULES, refusals=(409,),
)
def upload(visit: Visit, body: OverlaySent) -> Answer:
    agency, services = agency_of(visit), visit.services
    book = book_of(visit)
    if book.open_count(agency) >= MOST_OPEN:
        raise _conflict(visit, Finding(code="overlay-many-open", detail={"most": str(MOST_OPEN)}))
    with telling("/name"):
        name = layer_name(agency, body.name, services.gate.standing().register.agencies)
        edition = body.edition or free_edition(visit, name)
    with telling("/edition"):
        check_edition(services.catalogue, name, edition)
    with telling("/file"):
        suffix = suffix_of(body.file)
    if CLASSIFICATIONS.index(body.classification) > CLASSIFICATIONS.index(services.settings.ceiling):
        raise _faulty("/classification", Finding(code="overlay-classification", detail={"ceiling": services.settings.ceiling}))
    wanted = body.model_dump(mode="json", exclude_none=True) | {
        "name": name, "edition": edition, "suffix": suffix, "stem": stem_of(body.file),
        "symbols": json.dumps(body.symbols, ensure_ascii=False) if body.symbols is not None else None,
    }
    asker = {"key": visit.caller.key_id if visit.caller else "", "login": visit.person.login if visit.signed_in else ""}
    made = book.add(agency, asker, wanted)
    return Answer(content=upload_told(visit, made), object_id=made.upload_id, noted={"overlay": f"{name}@{edition}"})


@operation(
    "overlays.uploads.get", "GET /overlays/uploads/{upload}", "一次登记的进度", "How far a registration is", roles=MEMBERS, by_key=True, answer=UploadTold,
)
def get_upload(visit: Visit, upload: str) -> UploadTold:
    return upload_told(visit, own_upload(visit, upload))


@operation(
    "overlays.uploads.cancel", "DELETE /overlays/uploads/{upload}", "取消一次登记并删除其文件", "Call a registration off, and delete its file", roles=MEMBERS,
    by_key=True, answer=UploadTold,
)
def cancel_upload(visit: Visit, upload: str) -> UploadTold:
    """One that is over stays what it is."""
    call_off(visit.services, book_of(visit), own_upload(visit, upload))
    return upload_told(visit, own_upload(visit, upload))


@operation(
    "overlays.uploads.decide", "POST /overlays/uploads/{upload}/decision", "对疑似偏移的数据作出决定", "Decide on data whose coordinates seem to be shifted",
    roles=MEMBERS, body=DecisionSent, answer=UploadTold, refusals=(409,),
)
def decide_upload(visit: Visit, upload: str, body: DecisionSent) -> Answer:
    """By a person, never by a key."""
    one, book = own_upload(visit, upload), book_of(visit)
    if one.state is not UploadState.HELD:
        raise _conflict(visit, Finding(code="shift-not-held"))
    if body.publish:
        decided = {"login": visit.person.login, "reason": body.reason}
        is_done = book.move(one.upload_id, UploadState.QUEUED, among=[UploadState.HELD], decided=decided, attempts=0)
    else:
        is_done = call_off(visit.services, book, one)
    if not is_done:
        raise _conflict(visit, Finding(code="shift-not-held"))
    noted = {"publish": body.publish, "reason": body.reason, "offset_metres": one.offset_metres}
    return Answer(content=upload_told(visit, own_upload(visit, upload)), noted=noted)


# -- what there is

@operation("overlays.list", "GET /overlays", "本单位的专题图层", "The agency's overlays", roles=MEMBERS, by_key=True, answer=Overlays)
def list_overlays(visit: Visit) -> dict:
    return {"items": [overlay_told(one) for one in own_overlays(visit.services.catalogue.snapshot(), agency_of(visit))]}


@operation("overlays.get", "GET /overlays/layers/{layer}", "一个专题图层", "An overlay", roles=MEMBERS, by_key=True, answer=OverlayTold)
def getoverlay_told(visit: Visit, layer: str) -> OverlayTold:
    return overlay_told(own(visit, layer)[0])


@operation(
    "overlays.withdraw", "DELETE /overlays/layers/{layer}/editions/{edition}", "撤下专题图层的一个版本并删除其数据", "Withdraw an edition, and delete its data",
    roles=MEMBERS, by_key=True, status=204, refusals=(409,),
)
def withdraw(visit: Visit, layer: str, edition: str) -> None:
    """It is out of every answer from here on, whoever it was shared with."""
    own(visit, layer, edition)
    try:
        withdrawn(visit.services, layer, edition)
    except LayerNotDefined:
        raise NothingThere(edition) from None
    except OverlayInvalid as error:
        raise _conflict(visit, error.finding) from None


# -- drawing

@operation(
    "overlays.symbols", "PUT /overlays/layers/{layer}/editions/{edition}/symbols", "更改专题图层的样式", "Draw an edition by other rules", roles=MEMBERS, by_key=True,
    body=SymbolsSent, answer=OverlayTold, largest=LARGEST_RULES, refusals=(409,),
)
def put_symbols(visit: Visit, layer: str, edition: str, body: SymbolsSent) -> OverlayTold:
    _, found = own(visit, layer, edition)
    text = checked_rules(body.symbols, found) if body.symbols is not None else None
    try:
        restyled(visit.services, layer, edition, text, generation=body.generation)
    except OverlayInvalid as error:
        raise _conflict(visit, error.finding) from None
    return overlay_told(own(visit, layer)[0])


@operation(
    "overlays.picture", "POST /overlays/layers/{layer}/editions/{edition}/picture", "按给定样式预览（不保存）", "A picture by rules that are not kept", roles=MEMBERS,
    by_key=True, body=PictureSent, media_types=(PNG,), largest=LARGEST_RULES,
)
def picture(visit: Visit, layer: str, edition: str, body: PictureSent) -> Answer:
    _, found = own(visit, layer, edition)
    text = checked_rules(body.symbols, found) if body.symbols is not None else None
    bounds = Bounds(*body.bounds) if body.bounds else None
    with telling("/bounds"):
        data = picture_by(visit.services, found, text, bounds=bounds, crs=body.crs, size=(body.width, body.height), labels=body.labels)
    return Answer(content=data, media_type=PNG)


@operation(
    "overlays.legend", "POST /overlays/layers/{layer}/editions/{edition}/legend", "按给定样式预览图例（不保存）", "A legend by rules that are not kept", roles=MEMBERS,
    by_key=True, body=PictureSent, media_types=(PNG,), largest=LARGEST_RULES,
)
def legend(visit: Visit, layer: str, edition: str, body: PictureSent) -> Answer:
    _, found = own(visit, layer, edition)
    text = checked_rules(body.symbols, found) if body.symbols is not None else None
    return Answer(content=legend_by(visit.services, found, text, visit.language), media_type=PNG)


@operation(
    "overlays.classes", "POST /overlays/layers/{layer}/editions/{edition}/classes", "按属性值计算分级样式（不保存）", "Rules that class an attribute's values; not kept",
    roles=MEMBERS, by_key=True, body=ClassesSent, answer=RulesTold,
)
def classes(visit: Visit, layer: str, edition: str, body: ClassesSent) -> dict:
    _, found = own(visit, layer, edition)
    with telling("/field"):
        values = values_of(visit.services, found, body.table, body.field)
        return {"symbols": rules(body.table, body.field, values, body.method, body.classes, body.ramp)}


# -- shared with the page

def book_of(visit: Visit) -> UploadBook:
    return UploadBook(visit.services.database, visit.services.gate.clock)


def own_upload(visit: Visit, upload_id: str) -> Upload:
    """Raises NothingThere, for another agency's as for one that is none."""
    try:
        return book_of(visit).get(upload_id, agency_of(visit))
    except NoSuchUpload:
        raise NothingThere(upload_id) from None


def own(visit: Visit, layer: str, edition: str | None = None) -> tuple[Layer, Edition]:
    """Raises NothingThere, for another agency's as for one that is none."""
    found = own_edition(visit.services.catalogue.snapshot(), agency_of(visit), layer, edition)
    if found is None:
        raise NothingThere(layer if edition is None else edition)
    return found


def free_edition(visit: Visit, name: str) -> str:
    """Today's, with a number where it is taken."""
    layer = visit.services.catalogue.snapshot().layers.get(name)
    today = visit.at.astimezone(SHANGHAI).date().isoformat()
    taken = {one.name for one in layer.editions} if layer else set()
    return next(one for one in (today, *(f"{today}.{number}" for number in range(2, 10_000))) if one not in taken)


def checked_rules(sent: dict[str, Any], edition: Edition) -> str:
    """Raises InputFaulty with every fault at its place."""
    try:
        return rules_of(json.dumps(sent, ensure_ascii=False), edition)
    except SymbolsInvalid as error:
        raise InputFaulty(*(FieldFault(pointer=f"/symbols{place}", code=code, detail=detail) for place, code, detail in error.faults)) from None


class telling:
    """Tells what is wrong as a fault of the field at `pointer`."""

    def __init__(self, pointer: str):
        self._pointer = pointer

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, _trace) -> None:
        if isinstance(error, OverlayInvalid):
            raise _faulty(self._pointer, error.finding) from None


def _faulty(pointer: str, finding: Finding) -> InputFaulty:
    return InputFaulty(FieldFault(pointer=pointer, code=finding.code, detail=finding.detail))


def _conflict(visit: Visit, finding: Finding) -> InConflict:
    return InConflict(finding.told(visit.language), finding.code)


def upload_told(visit: Visit, one: Upload) -> UploadTold:
    address = f"{visit.services.settings.public_base_url}/overlays/uploads/{one.upload_id}/file"
    return UploadTold(
        upload=one.upload_id, layer=one.wanted["name"], edition=one.wanted["edition"], file=one.wanted["file"], state=one.state, step=one.step.value,
        done=one.done, total=one.total, began=one.began, ended=one.ended,
        findings=[FindingTold(code=finding.code, sentence=finding.told(visit.language)) for finding in one.findings], offset_metres=one.offset_metres,
        put=address if one.state is UploadState.WAITING else "",
    )


def overlay_told(layer: Layer) -> OverlayTold:
    return OverlayTold(
        layer=layer.name, title_zh=layer.title_zh, title_en=layer.title_en, abstract=layer.abstract, classification=secrecy(layer),
        editions=[_edition(one) for one in layer.editions],
    )


def _edition(edition: Edition) -> OverlayEditionTold:
    return OverlayEditionTold(
        edition=edition.name, generation=edition.generation, source=edition.source.value, crs=edition.crs,
        bounds=tuple(round(value, 7) for value in edition.extent.bounds), symbols=as_rules(edition.symbols),
        tables=[
            TableTold(table=one.name, geometry=one.geometry, fields=list(one.fields), features=one.count, bounds=tuple(one.bounds)) for one in edition.classes
        ],
    )
