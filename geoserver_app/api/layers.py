"""`/data/layers`: for the bureau's own people, what is held - layers, editions, sheets, where sheets are missing - and an edition taken out of service.

`/api/v1/layers` tells agencies what is shared with them; nothing in here is for them, and nothing of what is theirs is in here.
"""

import logging
from datetime import date
from typing import Annotated, Any, Literal

import shapely
from pydantic import Field

from agreements.life.lifecycle import Role
from agreements.model import BUREAU
from geoserver_app.api.areas import geojson
from geoserver_app.api.faults import InConflict, NothingThere
from geoserver_app.api.operation import STAFF, Answer, Visit, operation
from geoserver_app.api.reading import Moment, PageQuery, Sent, Told
from geoserver_app.describe import secrecy
from geoserver_app.ingesting import remove
from geoserver_app.messages import sentence
from geoserver_app.sheets.edition_facts import EditionFacts, facts_book, missing_ground, missing_sheets, sheets_meant
from layers import crs
from layers.errors import CrsNotServed, IngestBusy, LayerNotDefined
from layers.model import Edition, Layer, LayerName, Sheet, View
from layers.sheets import neighbours, old_number
from tiles.encode import PNG, encode
from tiles.permits import Permit

log = logging.getLogger(__name__)

OFFICE = frozenset({Role.ADMINISTRATOR, Role.DATA_MANAGER})
"""Who may look at the pixels themselves: the others of the bureau see facts."""

ADMINISTRATORS = frozenset({Role.ADMINISTRATOR})

PICTURE_SIZE = 512
"""Pixels of the longer side."""

class EditionTold(Told):
    """`published` is when the newest of its sheets came in; `holes_km2` the ground without a sheet that its own sheets, or another edition, surround."""

    edition: str
    is_latest: bool
    currency: tuple[date | None, date | None]
    generation: int
    published: Moment | None
    sheets: int
    features: int
    km2: float
    crs: str
    resolution_m: float | None
    vertical_datum: str | None
    size_bytes: int
    holes_km2: float
    missing_sheets: list[str]


class HeldLayer(Told):
    name: str
    title_zh: str
    title_en: str
    product: Literal["DOM", "DEM", "DLG", "OVERLAY"]
    owner: str
    classification: str
    abstract: str
    synthetic: bool
    editions: list[EditionTold]


class HeldLayers(Told):
    items: list[HeldLayer]


class SheetQuery(PageQuery):
    """`text` is a sheet number in any spelling, new or old, of any scale; or a part of a file name."""

    text: Annotated[str, Field(max_length=100)] = ""


class SheetTold(Told):
    """`file` is the name under which it was delivered; `number` that of GB/T 13989, `old_number` the one before 1992."""

    sheet: int
    number: str | None
    old_number: str | None
    file: str
    currency: date | None
    taken_in: Moment | None
    checksum: str
    crs: str
    bounds: tuple[float, float, float, float]
    width: int
    height: int
    resolution: tuple[float, float]
    bands: int
    type: str
    nodata: float | None


class SheetPage(Told):
    items: list[SheetTold]
    next: str | None
    matched: int


class NeighbourTold(Told):
    """`sheet` is None where the edition has no sheet there."""

    direction: str
    number: str
    sheet: int | None


class OtherEdition(Told):
    edition: str
    sheet: int
    currency: date | None


class SheetShown(SheetTold):
    """`lineage` is what was done on the way in, a sentence a step. `bounds` are in `crs`, x before y; `footprint` is in longitude and latitude."""

    lineage: list[str]
    is_delivered_kept: bool
    footprint: dict[str, Any]
    neighbours: list[NeighbourTold]
    in_other_editions: list[OtherEdition]


class WithdrawalSent(Sent):
    """`generation` is that of the edition as it was looked at: what has changed meanwhile is not withdrawn unseen."""

    generation: int
    reason: Annotated[str, Field(min_length=1, max_length=2000, description="Why; it stays in the record.")]


class Withdrawn(Told):
    layer: str
    edition: str
    sheets: int


# -- layers and editions

@operation("data.layers", "GET /data/layers", "全部图层及其版本", "Every layer with its editions", roles=STAFF, answer=HeldLayers)
def list_layers(visit: Visit) -> dict:
    return {"items": [_layer(one) for _, one in sorted(visit.services.catalogue.snapshot().layers.items()) if one.owner == BUREAU]}


@operation("data.layers.get", "GET /data/layers/{layer}", "一个图层及其版本", "A layer with its editions", roles=STAFF, answer=HeldLayer)
def get_layer(visit: Visit, layer: str) -> HeldLayer:
    return _layer(held_layer(visit, layer))


@operation(
    "data.editions.get", "GET /data/layers/{layer}/editions/{edition}", "图层的一个版本", "An edition of a layer", roles=STAFF, answer=EditionTold,
)
def get_edition(visit: Visit, layer: str, edition: str) -> EditionTold:
    return _edition(*held_edition(visit, layer, edition))


@operation(
    "data.editions.withdraw", "POST /data/layers/{layer}/editions/{edition}/withdrawal", "撤下一个版本并删除其文件与瓦片",
    "Take an edition out of service, and delete what was made from it", roles=ADMINISTRATORS, body=WithdrawalSent, answer=Withdrawn, refusals=(409,),
)
def withdraw(visit: Visit, layer: str, edition: str, body: WithdrawalSent) -> Answer:
    """It is out of the catalogue, and so of every answer, before its files are deleted."""
    _, found = held_edition(visit, layer, edition)
    if found.generation != body.generation:
        raise _in_conflict(visit, "edition-changed", f"{layer}@{edition}")
    count = len(facts_book().of(found).sheets)
    try:
        remove(visit.services.settings, f"{layer}@{edition}")
    except LayerNotDefined:
        raise NothingThere(edition) from None
    except IngestBusy:
        raise _in_conflict(visit, "edition-busy", f"{layer}@{edition}") from None
    except Exception:
        if visit.services.catalogue.snapshot().find(LayerName(layer, edition)):
            raise
        log.exception("%s@%s is withdrawn, but not all that was made from it is deleted", layer, edition)
    return Answer(
        content=Withdrawn(layer=layer, edition=edition, sheets=count), object_id=f"{layer}@{edition}",
        noted={"reason": body.reason, "edition_id": found.edition_id, "generation": found.generation, "sheets": count},
    )


def _in_conflict(visit: Visit, code: str, edition: str) -> InConflict:
    return InConflict(sentence(code, {"edition": edition}, visit.language), code)


def held_layer(visit: Visit, name: str) -> Layer:
    """One of the bureau's own: what an agency keeps here is shown to nobody but by agreement, its administrators included. Raises NothingThere."""
    found = visit.services.catalogue.snapshot().layers.get(name)
    if found is None or found.owner != BUREAU:
        raise NothingThere(name)
    return found


def is_agencys(visit: Visit, name: str) -> bool:
    """Whether a layer of that name is, or would be, an agency's own."""
    found = visit.services.catalogue.snapshot().layers.get(name)
    if found is not None:
        return found.owner != BUREAU
    agencies = visit.services.gate.standing().register.agencies
    return any(name.startswith(f"{one}-") for one in agencies if one != BUREAU)


def held_edition(visit: Visit, layer: str, edition: str) -> tuple[Layer, Edition]:
    """Raises NothingThere."""
    held = held_layer(visit, layer)
    found = held.edition(edition)
    if found is None:
        raise NothingThere(edition)
    return held, found


def others_of(layer: Layer, edition: Edition) -> list[EditionFacts]:
    """The facts of the other editions of its layer."""
    return [facts_book().of(one) for one in layer.editions if one.edition_id != edition.edition_id]


def _layer(layer: Layer) -> HeldLayer:
    return HeldLayer(
        name=layer.name, title_zh=layer.title_zh, title_en=layer.title_en, product=layer.product.value, owner=layer.owner, classification=secrecy(layer),
        abstract=layer.abstract, synthetic=layer.synthetic, editions=[_edition(layer, one) for one in layer.editions],
    )


def _edition(layer: Layer, edition: Edition) -> EditionTold:
    facts = facts_book().of(edition)
    ground = missing_ground(facts, others_of(layer, edition)) if facts.sheets else shapely.Polygon()
    days = [sheet.currency for sheet in facts.sheets if sheet.currency]
    return EditionTold(
        edition=edition.name, is_latest=edition is layer.editions[0], generation=edition.generation, published=facts.published, sheets=len(facts.sheets),
        currency=edition.currency if any(edition.currency) or not days else (min(days), max(days)),
        features=sum(one.count for one in edition.classes), km2=round(crs.geodesic_km2(edition.extent), 3), crs=edition.crs,
        resolution_m=edition.resolution, vertical_datum=edition.vertical_datum, size_bytes=facts.size,
        holes_km2=round(crs.geodesic_km2(ground), 3), missing_sheets=missing_sheets(facts, ground),
    )


# -- sheets

@operation(
    "data.sheets", "GET /data/layers/{layer}/editions/{edition}/sheets", "一个版本的图幅（按新旧图号或文件名查找）",
    "The sheets of an edition, by a number in any spelling or by a file name", roles=STAFF, query=SheetQuery, answer=SheetPage,
)
def list_sheets(visit: Visit, layer: str, edition: str, query: SheetQuery) -> dict:
    _, found = held_edition(visit, layer, edition)
    meant = sorted(sheets_meant(facts_book().of(found).sheets, query.text), key=place_in_list)
    rest = [one for one in meant if place_in_list(one) > query.after]
    shown = rest[:query.limit]
    return {"items": [_sheet(one) for one in shown], "next": place_in_list(shown[-1]) if len(rest) > len(shown) else None, "matched": len(meant)}


@operation(
    "data.sheets.get", "GET /data/layers/{layer}/editions/{edition}/sheets/{sheet}", "一幅图的情况、由来与邻幅",
    "A sheet: facts, lineage, neighbours", roles=STAFF, answer=SheetShown,
)
def get_sheet(visit: Visit, layer: str, edition: str, sheet: str) -> SheetShown:
    held, found, one = held_sheet(visit, layer, edition, sheet)
    by_number = {other.number: other.sheet_id for other in facts_book().of(found).sheets if other.number}
    around = neighbours(one.number) if one.number else {}
    return SheetShown(
        **_sheet(one).model_dump(), lineage=list(one.lineage), is_delivered_kept=one.delivered is not None, footprint=geojson(one.footprint),
        neighbours=[NeighbourTold(direction=way, number=number, sheet=by_number.get(number)) for way, number in around.items()],
        in_other_editions=[
            OtherEdition(edition=other.name, sheet=same.sheet_id, currency=same.currency or other.currency[1])
            for other in held.editions if other.name != edition for same in facts_book().of(other).sheets if one.number and same.number == one.number
        ],
    )


@operation(
    "data.sheets.picture", "GET /data/layers/{layer}/editions/{edition}/sheets/{sheet}/picture", "一幅图的缩略图", "A small picture of a sheet",
    roles=OFFICE, media_types=(PNG,),
)
def get_picture(visit: Visit, layer: str, edition: str, sheet: str) -> Answer:
    """What is served on the ground of the sheet, drawn by the engine and never cached. Raises NothingThere, RenderFailed."""
    _, found, one = held_sheet(visit, layer, edition, sheet)
    engine = visit.services.engine
    whole = Permit(edition=found, area=None, pieces=(), mark="bureau")
    return Answer(content=encode(engine.map(found, engine.style(found, None), _view_of(one), whole), PNG), media_type=PNG)


def held_sheet(visit: Visit, layer: str, edition: str, sheet: str) -> tuple[Layer, Edition, Sheet]:
    """By its id. Raises NothingThere."""
    held, found = held_edition(visit, layer, edition)
    one = facts_book().of(found).sheet(int(sheet)) if sheet.isascii() and sheet.isdecimal() and len(sheet) <= 18 else None
    if one is None:
        raise NothingThere(sheet)
    return held, found, one


def place_in_list(sheet: Sheet) -> str:
    """Where it stands in a list: by number, those without one after them by file name."""
    return f"{sheet.number or '~'} {sheet.source_name} {sheet.sheet_id}"


def _view_of(sheet: Sheet) -> View:
    try:
        name, bounds = crs.parse_crs(sheet.crs), sheet.bounds
    except CrsNotServed:
        name, bounds = "CRS:84", type(sheet.bounds)(*sheet.footprint.bounds)
    per_pixel = max(bounds.width, bounds.height) / PICTURE_SIZE
    return View(crs=name, bounds=bounds, width=max(round(bounds.width / per_pixel), 1), height=max(round(bounds.height / per_pixel), 1))


def _sheet(sheet: Sheet) -> SheetTold:
    return SheetTold(
        sheet=sheet.sheet_id, number=sheet.number, old_number=old_number(sheet.number) if sheet.number else None, file=sheet.source_name,
        currency=sheet.currency, taken_in=sheet.taken_in, checksum=sheet.checksum, crs=sheet.crs, bounds=tuple(sheet.bounds), width=sheet.width,
        height=sheet.height, resolution=sheet.resolution, bands=sheet.band_count, type=sheet.dtype, nodata=sheet.nodata,
    )

