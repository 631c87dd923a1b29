"""`/live`: an agency's tables of what moves - made, listed, written in batches and deleted, by its programs (with its key) or its members."""

import sqlite3
from collections.abc import Collection
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from agreements.life.lifecycle import Role
from geoserver_app.api.faults import ApiFault, FieldFault, InConflict, InputFaulty, NothingThere
from geoserver_app.api.operation import Answer, Visit, operation
from geoserver_app.api.reading import Sent, Told
from geoserver_app.ingesting import classified
from geoserver_app.live.batches import MOST_ROWS, rows_of
from geoserver_app.live.tables import EDITION, LiveLayer, drop, make, path_of, plan_of
from geoserver_app.messages import sentence
from geoserver_app.overlays.asking import is_reserved
from layers.crs import parse_crs, world_bounds
from layers.errors import CrsNotServed
from layers.features.store import FieldType
from layers.live import LiveField, LivePlan, write
from layers.live.table import FIELD_NAME, MOST_FIELDS, RESERVED
from layers.live.writing import NoPlaceYet
from layers.model import NAME, Bounds, Edition, FeatureClass, Layer, Source
from tiles import symbols

MEMBERS = frozenset({Role.MEMBER})

LARGEST_BATCH = 4 << 20
"""Bytes: five thousand rows of some eight hundred."""

LONGEST_EXPIRY = 366 * 86_400

Kind = Literal["string", "integer", "number", "boolean", "date-time"]


class LiveFieldSent(Sent):
    name: Annotated[str, Field(max_length=63, examples=["status"])]
    type: Kind = "string"


class LiveSent(Sent):
    """`expiry_seconds` 0: things stay until they are deleted. `bounds` (left, bottom, right, top in `crs`): no place outside is taken."""

    name: Annotated[str, Field(max_length=63, examples=["police-cars"], description="Begins with the id of the agency and `-`.")]
    title_zh: Annotated[str, Field(min_length=1, max_length=200)]
    title_en: Annotated[str, Field(min_length=1, max_length=200)]
    abstract: Annotated[str, Field(max_length=2000)] = ""
    attribution: Annotated[str, Field(max_length=300)] = ""
    table: Annotated[str, Field(pattern=r"^[A-Za-z][0-9A-Za-z_]{0,62}$")] = "objects"
    fields: Annotated[list[LiveFieldSent], Field(max_length=MOST_FIELDS)]
    expiry_seconds: Annotated[int, Field(ge=0, le=LONGEST_EXPIRY)] = 0
    crs: Annotated[str, Field(max_length=100)] = "EPSG:4490"
    bounds: Annotated[list[float] | None, Field(min_length=4, max_length=4)] = None
    classification: Literal["public", "internal", "secret"] = "internal"
    symbols: Annotated[dict[str, Any] | None, Field(description="Rules of drawing, as in docs/overlays.md.")] = None


class LiveFieldTold(Told):
    name: str
    type: str


class LiveTold(Told):
    name: str
    table: str
    fields: list[LiveFieldTold]
    expiry_seconds: int
    crs: str
    bounds: list[float]
    events: str


class LiveListTold(Told):
    items: list[LiveTold]


class BatchSent(Sent):
    """Rows are objects of `id`, a place (`lon` and `lat`, or `x` and `y` in `crs`), `moment` (now, where it is left out) and `properties`; of an object that
    is known a place or properties that are not named stay as they are. All of a batch is taken, or nothing."""

    objects: Annotated[list[Any], Field(max_length=MOST_ROWS)] = []
    delete: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=MOST_ROWS)] = []
    crs: Annotated[str, Field(max_length=100)] = "CRS:84"


class WrittenTold(Told):
    """`ignored` rows say nothing newer than what is known: a batch that is sent again changes nothing."""

    changed: int
    ignored: int
    deleted: int


@operation("live.list", "GET /live", "本单位的动态图层", "The agency's live layers", roles=MEMBERS, by_key=True, answer=LiveListTold)
def list_live(visit: Visit) -> dict:
    agency = agency_of(visit)
    found = [
        told(visit, layer, edition) for layer in visit.services.catalogue.snapshot().layers.values() if layer.owner == agency
        for edition in layer.editions if edition.source is Source.LIVE
    ]
    return {"items": sorted(found, key=lambda one: one["name"])}


@operation("live.make", "POST /live", "建立动态图层", "Make a live layer", roles=MEMBERS, by_key=True, body=LiveSent, answer=LiveTold, status=201, largest=256 << 10, refusals=(409,))
def make_live(visit: Visit, body: LiveSent) -> Answer:
    services, agency = visit.services, agency_of(visit)
    plan = _plan(body, agency, classified(services.settings.ceiling), services.gate.standing().register.agencies)
    layer = LiveLayer(
        name=body.name, owner=agency, title_zh=body.title_zh, title_en=body.title_en, abstract=body.abstract, attribution=body.attribution,
        classification=classified(body.classification), symbols=_symbols(body, plan),
    )
    try:
        edition = make(services.catalogue, services.settings.store, layer, plan)
    except FileExistsError:
        raise InConflict(sentence("live-there", {"layer": body.name}, visit.language), "live-there") from None
    return Answer(content=told(visit, None, edition), object_id=body.name)


@operation(
    "live.write", "PATCH /live/{layer}", "写入一批（插入、更新、删除）", "Write a batch: insert, update, delete", roles=MEMBERS, by_key=True, body=BatchSent,
    answer=WrittenTold, largest=LARGEST_BATCH,
)
def write_live(visit: Visit, layer: str, body: BatchSent) -> Answer:
    edition, store = own(visit, layer), visit.services.settings.store
    plan = plan_of(store, edition)
    try:
        crs = parse_crs(body.crs)
    except CrsNotServed:
        raise InputFaulty(FieldFault(pointer="/crs", code="crs-not-served", detail={"value": body.crs[:40], "choices": "/api/v1/layers"})) from None
    rows = rows_of(body.objects, plan, crs, visit.at)
    try:
        written = write(path_of(store, edition), plan, rows, body.delete, now=visit.at)
    except NoPlaceYet as error:
        raise InputFaulty(FieldFault(pointer=f"/objects/{error.position}", code="live-place-missing")) from None
    except sqlite3.OperationalError:
        raise ApiFault("not-trusted", 503, headers={"Retry-After": "3"}) from None
    counts = {"changed": written.changed, "ignored": written.ignored, "deleted": written.deleted}
    return Answer(content=counts, noted=counts)


@operation("live.drop", "DELETE /live/{layer}", "删除动态图层及其全部内容", "Delete a live layer and all in it", roles=MEMBERS, by_key=True, status=204)
def drop_live(visit: Visit, layer: str) -> Answer:
    own(visit, layer)
    drop(visit.services.catalogue, visit.services.settings.store, layer)
    return Answer()


def agency_of(visit: Visit) -> str:
    return visit.caller.agency.agency_id if visit.caller else visit.person.agency


def own(visit: Visit, name: str) -> Edition:
    """The agency's own live layer. One of another agency and one that is not there are answered alike."""
    layer = visit.services.catalogue.snapshot().layers.get(name)
    edition = layer and layer.edition(EDITION)
    if edition is None or edition.source is not Source.LIVE or layer.owner != agency_of(visit):
        raise NothingThere(name)
    return edition


def told(visit: Visit, layer: Layer | None, edition: Edition) -> dict:
    plan = plan_of(visit.services.settings.store, edition)
    return {
        "name": edition.layer, "table": plan.table, "fields": [{"name": one.name, "type": one.kind.value} for one in plan.fields],
        "expiry_seconds": plan.expiry, "crs": plan.crs, "bounds": list(plan.bounds),
        "events": f"{visit.services.settings.public_base_url}/live/{edition.layer}/events",
    }


def _plan(body: LiveSent, agency: str, ceiling: int, agencies: Collection[str]) -> LivePlan:
    faults, seen = [], set()
    prefix = f"{agency}-"
    if not body.name.startswith(prefix) or not NAME.fullmatch(body.name) or body.name == prefix:
        faults.append(FieldFault(pointer="/name", code="live-name", detail={"prefix": prefix}))
    elif is_reserved(agency, body.name, agencies):
        faults.append(FieldFault(pointer="/name", code="overlay-name-reserved", detail={"name": body.name}))
    for position, one in enumerate(body.fields):
        place = f"/fields/{position}/name"
        if not FIELD_NAME.fullmatch(one.name) or one.name.lower() in RESERVED:
            faults.append(FieldFault(pointer=place, code="live-field-name", detail={"name": one.name}))
        elif one.name.lower() in seen:
            faults.append(FieldFault(pointer=place, code="live-field-twice", detail={"name": one.name}))
        seen.add(one.name.lower())
    if classified(body.classification) > ceiling:
        faults.append(FieldFault(pointer="/classification", code="field-choice", detail={"choices": "public, internal"}))
    try:
        crs = parse_crs(body.crs)
    except CrsNotServed:
        crs = None
        faults.append(FieldFault(pointer="/crs", code="crs-not-served", detail={"value": body.crs[:40], "choices": "/api/v1/layers"}))
    bounds = crs and _bounds(body.bounds, crs)
    if crs and bounds is None:
        faults.append(FieldFault(pointer="/bounds", code="live-bounds", detail={"crs": crs}))
    if faults:
        raise InputFaulty(*faults)
    fields = tuple(LiveField(name=one.name, kind=FieldType(one.type)) for one in body.fields)
    return LivePlan(table=body.table, fields=fields, crs=crs, bounds=bounds, expiry=body.expiry_seconds)


def _bounds(sent: list[float] | None, crs: str) -> Bounds | None:
    world = world_bounds(crs)
    if sent is None:
        return world
    bounds = Bounds(*sent)
    fits = bounds.left < bounds.right and bounds.bottom < bounds.top and bounds.intersection(world) == bounds
    return bounds if fits else None


def _symbols(body: LiveSent, plan: LivePlan) -> str | None:
    if body.symbols is None:
        return None
    table = FeatureClass(name=plan.table, kind="", title_zh="", title_en="", geometry="point", fields=plan.names, count=0, bounds=plan.bounds)
    try:
        rules = symbols.read(orjson.dumps(body.symbols).decode())
        symbols.check(rules, [table])
    except symbols.SymbolsInvalid as error:
        raise InputFaulty(*(FieldFault(pointer=f"/symbols{place}", code=code, detail=detail) for place, code, detail in error.faults)) from None
    return rules.text()
