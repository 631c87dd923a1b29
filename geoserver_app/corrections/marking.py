"""What is marked on the map is held against what whoever marks it may see, and the map around it is drawn as he sees it: everything through the gate.

A correction can ask nothing that a map or a feature does not tell the same agency: its ground is that of the grants, a feature is there if it is told, and the
picture is a GetMap like any other, decided, cut, counted and recorded.
"""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import shapely
from PIL import Image, ImageDraw
from shapely.geometry.base import BaseGeometry

from agreements.model import BUREAU, Operation
from geoserver_app.charging import Tally
from geoserver_app.corrections.tickets import CorrectionInvalid
from geoserver_app.drawing import drawn, style_of
from geoserver_app.features.collections import table_named
from geoserver_app.gate import Asked, Drawn, Refused, Visible
from geoserver_app.identity import Caller
from geoserver_app.settings import Settings
from geoserver_app.wiring import Services
from layers import crs as reference
from layers.errors import CrsNotServed, OutsideAreaOfUse
from layers.model import Bounds, LayerName, View
from tiles.compose import lay_over
from tiles.encode import PNG, encode
from tiles.permits import Permit
from tiles.requests.features import FeatureTypeName
from tiles.vector.granted import told

MOST_DEGREES, MOST_VERTICES = 0.5, 1000
FIGURES = 8
"""Of degrees: a millimetre."""

SLACK = 1e-7
"""Degrees by which a place may stand over: a centimetre, as reference systems are turned into one another."""

SIDE = 512
LEAST_METRES = 600.0
MARGIN = 1.6
MARK, HALO = (200, 16, 46, 255), (255, 255, 255, 230)
WHITE = (255, 255, 255)


# What is sent

def read_place(plain: Mapping, crs: str) -> BaseGeometry:
    """A point, a line or an area in `crs`, x before y, as it lies in CRS84. Raises CorrectionInvalid, CrsNotServed."""
    crs = reference.parse_crs(crs)
    fault = CorrectionInvalid("correction-shape", crs=crs, vertices=str(MOST_VERTICES), most=str(MOST_DEGREES))
    if plain.get("type") not in ("Point", "LineString", "Polygon") or _count(plain.get("coordinates")) > 2 * MOST_VERTICES:
        raise fault
    try:
        shape = shapely.force_2d(shapely.geometry.shape(plain))
        if shape.is_empty or not shape.is_valid or not np.isfinite(shapely.get_coordinates(shape)).all():
            raise fault
        place = reference.transform_geometry(shape, crs, "CRS:84")
    except (OutsideAreaOfUse, shapely.errors.ShapelyError, ValueError, TypeError, IndexError, KeyError, AttributeError):
        raise fault from None
    west, south, east, north = place.bounds
    if east - west > MOST_DEGREES or north - south > MOST_DEGREES or not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise fault
    return place


def _count(coordinates, deep: int = 0) -> int:
    """How many numbers and lists there are in it; too many where it is nested as no shape is."""
    if not isinstance(coordinates, list | tuple):
        return 1
    if deep > 3 or len(coordinates) > 2 * MOST_VERTICES:
        return 10 * MOST_VERTICES
    return sum(_count(one, deep + 1) for one in coordinates)


def plain_of(place: BaseGeometry) -> dict:
    """GeoJSON geometry."""
    shape = shapely.transform(place, lambda points: np.round(points, FIGURES))
    return dict(shapely.geometry.mapping(shape))


# What may be marked

def seen(services: Services, caller: Caller, name: LayerName) -> Visible:
    """The edition that is meant, as the caller may see it.

    Raises
    ------
    Refused
        He sees nothing of it, or there is no such layer: recorded, and told alike.
    CorrectionInvalid
        It is an agency's own: what it keeps here is shown to nobody of the bureau, marked or not.
    """
    (permit,) = services.gate.permits(caller, [Asked(layer=name, operation=Operation.DESCRIBE_LAYER)])
    found = next((one for one in services.gate.visible(caller, record=None) if one.edition.edition_id == permit.edition.edition_id), None)
    if found is None:
        raise CorrectionInvalid("correction-outside")
    if found.layer.owner != BUREAU:
        raise CorrectionInvalid("correction-not-bureau", layer=str(name))
    return found


def check_place(visible: Visible, place: BaseGeometry) -> None:
    """Raises CorrectionInvalid for a place that does not lie in what is granted of the edition: what else there may be makes no difference."""
    if not shapely.covers(shapely.buffer(visible.extent, SLACK), place):
        raise CorrectionInvalid("correction-outside")


def check_feature(services: Services, caller: Caller, visible: Visible, text: str) -> None:
    """`text` is `TABLE/name`. Raises CorrectionInvalid, for a feature that is not told as for one that is none."""
    table_name, _, name = text.partition("/")
    layer = LayerName(visible.layer.name, visible.edition.name)
    try:
        (permit,) = services.gate.permits(caller, [Asked(layer=layer, operation=Operation.GET_FEATURE, is_in_full=True)])
    except Refused:
        raise CorrectionInvalid("correction-feature") from None
    table = table_named(permit.edition, FeatureTypeName(layer, table_name)) if table_name else None
    known = table and services.feature_ids.key_of(permit.edition.layer, table.name, name)
    if not known or not _is_told(services, permit, table, *known):
        raise CorrectionInvalid("correction-feature")


def _is_told(services: Services, permit: Permit, table, key: int, part: int) -> bool:
    return any(part == 0 or (some.parts == part).any() for some in told(permit, services.features, table, key=key, fields=()) if len(some))


# The map around it

def picture_of(services: Services, caller: Caller, visible: Visible, place: BaseGeometry) -> bytes:
    """PNG of the map as the caller sees it, with the place marked; b"" where he may not see one of it. Raises as `Gate.serve`, but for Refused."""
    name = LayerName(visible.layer.name, visible.edition.name)
    for crs in dict.fromkeys(("EPSG:3857", visible.edition.crs)):
        try:
            view = view_around(visible, place, crs)
            return map_of(services, caller, name, view, place).body
        except (Refused, OutsideAreaOfUse, CrsNotServed):
            continue
    return b""


def map_of(services: Services, caller: Caller, name: LayerName, view: View, place: BaseGeometry | None = None) -> Drawn:
    """One layer at one view as a GetMap of it. Raises as `Gate.serve`."""
    asked = Asked(layer=name, operation=Operation.GET_MAP, view=view, format=PNG)
    return services.gate.serve(caller, [asked], lambda permits: _drawn(permits[0], view, place)).drawn


def _drawn(permit: Permit, view: View, place: BaseGeometry | None) -> Drawn:
    tallies: list[Tally | None] = []
    picture = drawn(permit, style_of(permit, "layer"), view, tallies)
    whole = lay_over([] if picture is None else [picture], (view.width, view.height))
    if place is not None:
        _mark(whole, reference.transform_geometry(place, "CRS:84", view.crs), view)
    return Drawn(body=encode(whole, PNG, transparent=True, background=WHITE), content_type=PNG, tallies=tuple(tallies))


def view_around(visible: Visible, place: BaseGeometry, crs: str) -> View:
    """A square around it, as near as the grants let one look. Raises OutsideAreaOfUse."""
    there = reference.transform_geometry(place, "CRS:84", crs)
    left, bottom, right, top = there.bounds
    x, y = (left + right) / 2, (bottom + top) / 2
    metre = _metre(place, crs)
    scale_side = SIDE * 0.00028 * metre
    side = max(MARGIN * max(right - left, top - bottom), LEAST_METRES * metre)
    if visible.finest is not None:
        side = max(side, 1.01 * visible.finest * scale_side)
    if visible.coarsest is not None:
        side = min(side, 0.99 * visible.coarsest * scale_side)
    return View(crs=crs, bounds=Bounds(x - side / 2, y - side / 2, x + side / 2, y + side / 2), width=SIDE, height=SIDE)


def _metre(place: BaseGeometry, crs: str) -> float:
    """Units of `crs` that a metre of ground takes there."""
    latitude = math.radians(place.centroid.y)
    if crs == "EPSG:3857":
        return 1 / max(math.cos(latitude), 0.01)
    return 1 / 111_320 if crs in ("CRS:84", "EPSG:4326", "EPSG:4490") else 1.0


def _mark(picture: Image.Image, shape: BaseGeometry, view: View) -> None:
    def pixels(points) -> list[tuple[float, float]]:
        bounds = view.bounds
        return [((x - bounds.left) / bounds.width * view.width, (bounds.top - y) / bounds.height * view.height) for x, y in points]

    pen = ImageDraw.Draw(picture)
    if shape.geom_type == "Point":
        ((x, y),) = pixels(shape.coords)
        for radius, colour, width in ((13, HALO, 7), (12, MARK, 3)):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=width)
        return
    lines = [shape.coords] if shape.geom_type == "LineString" else [shape.exterior.coords, *(ring.coords for ring in shape.interiors)]
    for colour, width in ((HALO, 7), (MARK, 3)):
        for line in lines:
            pen.line(pixels(line), fill=colour, width=width, joint="curve")


# What is kept of it

def keep(settings: Settings, picture: bytes) -> str:
    """The digest under which it is kept; "" for none."""
    if not picture:
        return ""
    digest = hashlib.sha256(picture).hexdigest()
    path = picture_path(settings, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(picture)
    part.replace(path)
    return digest


def picture_path(settings: Settings, digest: str) -> Path:
    return settings.data / "corrections" / f"{digest}.png"
