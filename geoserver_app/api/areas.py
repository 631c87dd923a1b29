"""`/areas`, `/divisions`: what the words of an area mean on the ground, before an agreement is signed on them."""

import json
from typing import Annotated, Any

import shapely
from pydantic import Field
from shapely.geometry.base import BaseGeometry

from agreements.areas import area_of
from agreements.errors import AreaInvalid
from agreements.model import Area
from geoserver_app.api.faults import FieldFault, InputFaulty, NothingThere, document_pointer
from geoserver_app.api.operation import LARGE, STAFF, Visit, operation
from geoserver_app.api.reading import Page, PageQuery, Sent, Told, paged
from geoserver_app.registering import CatalogueGazetteer
from layers.crs import geodesic_km2
from layers.errors import DivisionNotDefined

AreaWords = dict[str, Any] | list[dict[str, Any]]
Vintage = Annotated[str | None, Field(max_length=31, description="Of the boundaries, such as 2024; the latest unless given.")]


class AreaSent(Sent):
    area: Annotated[AreaWords, Field(description="As in a document.", examples=[{"divisions": ["320104"]}])]


class AreaTold(Told):
    """`geometry` is GeoJSON in CRS84, lon lat; `words` hold the vintage of every division, as an agreement will keep them."""

    title: str
    digest: str
    km2: float
    bounds: list[float] | None
    words: Any
    geometry: dict[str, Any]


class DivisionQuery(PageQuery):
    vintage: Vintage = None
    text: Annotated[str, Field(max_length=100, description="In the code's beginning or the name.")] = ""


class VintageQuery(Sent):
    vintage: Vintage = None


class DivisionTold(Told):
    code: str
    name: str
    level: str
    vintage: str


class DivisionShown(DivisionTold):
    vintages: list[str]
    km2: float
    geometry: dict[str, Any]


@operation(
    "areas.compile", "POST /areas", "把范围的文字编译为图形和面积", "What the words of an area mean on the ground", roles=STAFF, body=AreaSent, answer=AreaTold,
    largest=LARGE,
)
def compile_area(visit: Visit, body: AreaSent) -> AreaTold:
    area = read_area(visit, body.area, "/area")
    bounds = None if area.geometry.is_empty else list(area.geometry.bounds)
    return AreaTold(
        title=area.title, digest=area.digest, km2=round(geodesic_km2(area.geometry), 6), bounds=bounds, words=json.loads(area.words or "null"),
        geometry=geojson(area.geometry),
    )


@operation("divisions.list", "GET /divisions", "行政区划列表", "Administrative divisions", roles=STAFF, query=DivisionQuery, answer=Page[DivisionTold])
def list_divisions(visit: Visit, query: DivisionQuery) -> dict:
    held = visit.services.catalogue.divisions(query.vintage)
    told = [DivisionTold(code=code, name=name, level=level, vintage=vintage) for code, name, level, vintage in held]
    return paged([one for one in told if one.code.startswith(query.text) or query.text in one.name], query, lambda one: one.code)


@operation(
    "divisions.get", "GET /divisions/{code}", "一个行政区划及其界线", "A division with its boundary", roles=STAFF, query=VintageQuery, answer=DivisionShown,
)
def get_division(visit: Visit, code: str, query: VintageQuery) -> DivisionShown:
    try:
        found = visit.services.catalogue.division(code, query.vintage)
    except DivisionNotDefined:
        raise NothingThere(code) from None
    return DivisionShown(
        code=found.code, name=found.name, level=found.level, vintage=found.vintage, vintages=list(visit.services.catalogue.vintages(code)),
        km2=round(geodesic_km2(found.geometry), 6), geometry=geojson(found.geometry),
    )


def read_area(visit: Visit, words: AreaWords, pointer: str) -> Area:
    """The area that the words stand for, as in a document. Raises InputFaulty."""
    try:
        return area_of(words, CatalogueGazetteer(visit.services.catalogue))
    except AreaInvalid as error:
        raise InputFaulty(*(FieldFault(pointer=f"{pointer}{document_pointer(place)}", text=message) for place, message in error.faults)) from None


def geojson(geometry: BaseGeometry) -> dict:
    return json.loads(shapely.to_geojson(geometry))
