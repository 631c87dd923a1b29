"""What may be told of a place: heights, pixel values, and features cut to what is granted - then worded as GeoJSON, HTML, text or GML.

A feature is told piece by piece: its geometry is what lies in a piece of the grant, its attributes are those that this piece tells, and
only pieces that hold the very place that was asked count. A place outside the area gets the answer of a place where nothing is.

GeoJSON answer: a FeatureCollection in CRS84; each feature has `layer`, for line maps `feature_class`, and `properties`: `height` in metres
for elevation, `red` `green` `blue` (or `band_n`) for imagery, the granted attributes for features. Its `id` numbers it within this answer.
Where agreements want a line shown beside their data, the collection has `credits`.
"""

import html
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import shapely
from shapely.geometry.base import BaseGeometry

from geoserver_app.messages import sentence
from geoserver_app.ows_documents import document
from layers.crs import densify, is_geographic, transform_geometry, transform_shapes
from layers.errors import OutsideAreaOfUse
from layers.features import FeatureStore
from layers.model import Edition, ProductType, View
from layers.mosaic.reader import MosaicReader
from tiles.permits import Permit
from tiles.requests import GetFeatureInfo
from tiles.vector.conditions import Spatial, told_where

TOLERANCE_PIXELS = 4
TOLERANCE_METRES = 2000.0               # at most: a picture of one pixel must not ask for a county
DIGITS = 7                              # of a degree: a centimetre
METRES_PER_DEGREE = 111_320.0
READ_AT_ONCE = 64
TOP_FIRST = {"point": 0, "line": 1, "area": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to tell. `geometry` CRS84, already cut."""

    layer: str
    feature_class: str
    geometry: BaseGeometry
    properties: dict[str, str | int | float | bool | None]
    credits: tuple[str, ...] = ()           # lines that the agreements want shown beside it


# -- looking

def find(
    request: GetFeatureInfo, layer: str, permit: Permit, *, store: FeatureStore, reader_of: Callable[[Edition, float | None], MosaicReader],
) -> list[Finding]:
    """What the permit lets be told of the point of `request`; nothing for a point outside its area.

    Parameters
    ----------
    store : FeatureStore
        Where the features of editions are kept.
    reader_of : Callable
        The reader of an edition of rasters, or of its cells of so many metres (`Engine.reader`).
    """
    place = _place(request.view, request.point)
    if place is None or not (permit.area is None or permit.area.has_point(place.x, place.y)):
        return []
    edition = permit.edition
    if edition.product.is_raster:
        found = _sampled(reader_of, layer, request, permit, place)
    else:
        found = _features(store, layer, request, permit, place)
    return [replace(one, credits=permit.credits) for one in found]


def place_of(request: GetFeatureInfo) -> tuple[float, float] | None:
    """Longitude and latitude of the point that was asked; None where it is nowhere on earth."""
    place = _place(request.view, request.point)
    return None if place is None else (place.x, place.y)


def _place(view: View, point: tuple[float, float]) -> shapely.Point | None:
    """CRS84; None where the point is nowhere on earth."""
    try:
        return transform_geometry(shapely.Point(*point), view.crs, "CRS:84")
    except OutsideAreaOfUse:
        return None


def _sampled(
    reader_of: Callable[[Edition, float | None], MosaicReader], layer: str, request: GetFeatureInfo, permit: Permit, place: shapely.Point,
) -> list[Finding]:
    """The value of the finest that is granted at the place: what a map shows on top there."""
    part = next((one for one in reversed(permit.parts) if one.holds(place.x, place.y)), None)
    values = reader_of(permit.edition, part.variant.degrade).sample(*request.point, request.view.crs) if part else None
    if values is None:
        return []
    return [Finding(layer=layer, feature_class="", geometry=place, properties=_named(permit.edition.product, values))]


def _named(product: ProductType, values: Sequence[float]) -> dict[str, float | int]:
    if product is ProductType.DEM:
        return {"height": round(float(values[0]), 3)}
    names = ("red", "green", "blue") if len(values) == 3 else tuple(f"band_{i}" for i in range(1, len(values) + 1))
    return {name: int(value) if float(value).is_integer() else float(value) for name, value in zip(names, values, strict=True)}


def _features(store: FeatureStore, layer: str, request: GetFeatureInfo, permit: Permit, place: shapely.Point) -> list[Finding]:
    """Points before lines before areas, then by name of the table and key; those of which some attribute is told before those of which none is.
    Only pieces of the grant that hold the very place speak."""
    view, edition = request.view, permit.edition
    here = replace(permit, pieces=tuple(piece for piece in permit.pieces if piece.area is None or piece.area.has_point(place.x, place.y)))
    near = Spatial("intersects", shapely.Point(*request.point).buffer(_tolerance(view)), view.crs)
    telling, silent = [], []
    for table in sorted(edition.classes, key=lambda table: (TOP_FIRST[table.geometry], table.name)):
        for some in told_where(here, store, table, near, size=READ_AT_ONCE):
            shapes = transform_shapes(densify(some.shapes, edition.crs), edition.crs, "CRS:84")
            for position, shape in enumerate(shapes):
                one = Finding(layer=layer, feature_class=table.name, geometry=shape, properties=some.properties(position))
                (telling if one.properties else silent).append(one)
            if len(telling) >= request.feature_count:
                return telling[:request.feature_count]
            if len(silent) >= request.feature_count and not some.columns:
                break                                       # of this table nothing else will be told either
    return [*telling, *silent][:request.feature_count]


def _tolerance(view: View) -> float:
    """Units of the view's CRS around the place that was asked."""
    most = TOLERANCE_METRES / METRES_PER_DEGREE if is_geographic(view.crs) else TOLERANCE_METRES
    return min(TOLERANCE_PIXELS * max(view.resolution), most)


# -- telling

def render(findings: Sequence[Finding], request: GetFeatureInfo, language: str) -> tuple[str, str]:
    """The text of the answer and its content type."""
    tell, content_type = FORMS[request.media_type]
    return tell(findings, language), f"{content_type}; charset=utf-8"


def as_geojson(findings: Sequence[Finding], language: str) -> str:
    features = [
        {
            "type": "Feature", "id": f"{one.layer}.{number}", "layer": one.layer,
            **({"feature_class": one.feature_class} if one.feature_class else {}),
            "geometry": json.loads(shapely.to_geojson(_rounded(one.geometry))), "properties": one.properties,
        }
        for number, one in enumerate(findings, 1)
    ]
    credits = _credits(findings)
    return json.dumps({"type": "FeatureCollection", **({"credits": credits} if credits else {}), "features": features}, ensure_ascii=False)


def as_text(findings: Sequence[Finding], language: str) -> str:
    if not findings:
        return sentence("nothing-here", {}, language) + "\n"
    lines: list[str] = []
    for one in findings:
        lines.append(_heading(one))
        lines += [f"  {_label(name, language)} = {_plain(value)}" for name, value in one.properties.items()]
    return "\n".join([*lines, *_credits(findings)]) + "\n"


def as_html(findings: Sequence[Finding], language: str) -> str:
    rows = [
        (_heading(one), [(_label(name, language), _plain(value)) for name, value in one.properties.items()]) for one in findings
    ]
    return document("feature_info.html", rows=rows, credits=_credits(findings), language=language, nothing=sentence("nothing-here", {}, language))


def as_gml(findings: Sequence[Finding], language: str) -> str:
    """GML 2 (OGC 02-069): `EPSG:4326` there is longitude, latitude."""
    members = [
        {
            "element": _element(f"{one.layer}_{one.feature_class}" if one.feature_class else one.layer), "fid": f"{one.layer}.{number}",
            "geometry": _gml(_rounded(one.geometry)),
            "properties": [(_element(name), _plain(value)) for name, value in one.properties.items() if value is not None],
        }
        for number, one in enumerate(findings, 1)
    ]
    return document("feature_info.gml.xml", members=members, credits=_credits(findings))


FORMS: dict[str, tuple[Callable[[Sequence[Finding], str], str], str]] = {
    "application/json": (as_geojson, "application/json"),
    "application/geo+json": (as_geojson, "application/geo+json"),
    "text/html": (as_html, "text/html"),
    "text/plain": (as_text, "text/plain"),
    "application/vnd.ogc.gml": (as_gml, "application/vnd.ogc.gml"),
}


def _credits(findings: Sequence[Finding]) -> list[str]:
    return list(dict.fromkeys(credit for one in findings for credit in one.credits))


def _heading(one: Finding) -> str:
    return f"{one.layer} / {one.feature_class}" if one.feature_class else one.layer


def _label(name: str, language: str) -> str:
    return sentence("height", {}, language) if name == "height" else name


def _plain(value: object) -> str:
    if value is None:
        return ""
    return " ".join(str(value).split()) if isinstance(value, str) else str(value)


def _rounded(geometry: BaseGeometry) -> BaseGeometry:
    return shapely.transform(geometry, lambda points: points.round(DIGITS), include_z=bool(shapely.has_z(geometry)))


NOT_IN_NAMES = re.compile(r"[^\w.-]")


def _element(name: str) -> str:
    """An XML name as near to `name` as can be.

    >>> _element("2011 NAME"), _element("名称"), _element("dlg@2011_HYDL")
    ('_2011_NAME', '名称', 'dlg_2011_HYDL')
    """
    name = NOT_IN_NAMES.sub("_", name)
    return name if name[:1].isalpha() or name[:1] == "_" else f"_{name}"


def _gml(geometry: BaseGeometry, attributes: str = ' srsName="EPSG:4326"') -> str:
    def element(name: str, content: str) -> str:
        return f"<gml:{name}{attributes}>{content}</gml:{name}>"

    match geometry.geom_type:
        case "Point":
            return element("Point", _coordinates(geometry))
        case "LineString" | "LinearRing":
            return element(geometry.geom_type, _coordinates(geometry))
        case "Polygon":
            rings = f"<gml:outerBoundaryIs>{_gml(geometry.exterior, '')}</gml:outerBoundaryIs>"
            rings += "".join(f"<gml:innerBoundaryIs>{_gml(ring, '')}</gml:innerBoundaryIs>" for ring in geometry.interiors)
            return element("Polygon", rings)
    kind, member = {
        "MultiPoint": ("MultiPoint", "pointMember"), "MultiLineString": ("MultiLineString", "lineStringMember"),
        "MultiPolygon": ("MultiPolygon", "polygonMember"),
    }.get(geometry.geom_type, ("MultiGeometry", "geometryMember"))
    return element(kind, "".join(f"<gml:{member}>{_gml(part, '')}</gml:{member}>" for part in geometry.geoms))


def _coordinates(geometry: BaseGeometry) -> str:
    points = (",".join(html.escape(f"{v:.{DIGITS}f}") for v in point if math.isfinite(v)) for point in geometry.coords)
    return f"<gml:coordinates>{' '.join(points)}</gml:coordinates>"
