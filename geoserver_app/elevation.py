"""Heights as numbers: of places, along lines, and against a level of water - cut, degraded and counted like any picture.

A height is that of the source pixel, or of the cell of the granted grid, that holds the place: never one that was mixed for the occasion, so that the
same place has the same height in every answer. A place outside what is granted, one without data and one that is nowhere are told alike: null.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyproj
import shapely
from rasterio.errors import RasterioError

from geoserver_app.wiring import services
from layers.catalogue import Catalogue
from layers.crs import transform_geometry, transformer
from layers.errors import OutsideAreaOfUse, VerticalDatumRefused
from layers.heights import VerticalDatums, refused
from layers.model import Edition, ProductType, Sheet
from layers.mosaic.reader import MosaicReader
from tiles.engine import UNREADABLE
from tiles.errors import RenderFailed, RequestInvalid
from tiles.permits import Permit
from tiles.requests import GetMap
from tiles.water import WaterLevel

ELLIPSOID = pyproj.Geod(ellps="WGS84")

Point = tuple[float, float]
"""Longitude and latitude in degrees."""

ReaderOf = Callable[[Edition, float | None], MosaicReader]


@lru_cache(maxsize=4)
def datums_of(config: Path) -> VerticalDatums:
    return VerticalDatums.load(config / "vertical_datums.csv")


def datums() -> VerticalDatums:
    return datums_of(services().settings.config)


# -- one place after the other

@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The height of a place in metres of the edition's own datum; None where there is none to tell. `resolution` is the side in metres of the pixel or
    cell that it is of."""

    place: Point
    height: float | None = None
    resolution: float | None = None


def heights_at(permit: Permit, places: Sequence[Point], reader_of: ReaderOf) -> list[Told]:
    """What may be told of each place (CRS84, each on earth).

    Raises
    ------
    RenderFailed
        The data can't be read now.
    """
    try:
        return [_height(permit, place, reader_of) for place in places]
    except (RasterioError, OSError) as error:
        raise RenderFailed(UNREADABLE) from error


def _height(permit: Permit, place: Point, reader_of: ReaderOf) -> Told:
    if permit.area is not None and not permit.area.has_point(*place):
        return Told(place=place)
    part = next((one for one in reversed(permit.parts) if one.holds(*place)), None)
    values = reader_of(permit.edition, part.variant.degrade).sample(*place, "CRS:84") if part else None
    if values is None or not math.isfinite(values[0]):
        return Told(place=place)
    return Told(place=place, height=float(values[0]), resolution=part.variant.degrade or permit.edition.resolution)


def elevation_only(permit: Permit) -> None:
    """Raises RequestInvalid where the layer is no elevation model; asked after the gate, so it tells nothing of layers that are not shared."""
    if permit.edition.product is not ProductType.DEM:
        detail = {"layer": permit.edition.layer}
        message = "layer `{layer}` is no elevation model and has no heights: ask for one of elevation".format(**detail)
        raise RequestInvalid("InvalidParameterValue", "layer", message, fault="not-elevation", detail=detail)


# -- along a line

@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """`distance` is metres along the line on the ellipsoid."""

    distance: float
    place: Point


def sampled(line: Sequence[Point], count: int) -> list[Sample]:
    """`count` places along geodesics between the vertices (CRS84), evenly spaced, first and last among them."""
    lons, lats = np.array(line, float).T
    azimuths, _, lengths = ELLIPSOID.inv(lons[:-1], lats[:-1], lons[1:], lats[1:])
    reached = np.r_[0.0, np.cumsum(lengths)]
    distances = np.linspace(0.0, reached[-1], count)
    leg = np.clip(np.searchsorted(reached, distances, side="right") - 1, 0, len(lengths) - 1)
    x, y, _ = ELLIPSOID.fwd(lons[leg], lats[leg], np.asarray(azimuths)[leg], distances - reached[leg])
    return [Sample(distance=float(d), place=(float(lon), float(lat))) for d, lon, lat in zip(distances, x, y, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Of the heights along a line that are told, metres; None where there is none. Climb and descent are counted between neighbours that are both told."""

    lowest: float | None
    highest: float | None
    climb: float
    descent: float
    told: int


def summed_up(heights: Sequence[float | None]) -> Summary:
    known = [height for height in heights if height is not None]
    steps = [b - a for a, b in zip(heights, heights[1:], strict=False) if a is not None and b is not None]
    return Summary(
        lowest=min(known, default=None), highest=max(known, default=None), climb=sum(step for step in steps if step > 0),
        descent=-sum(step for step in steps if step < 0), told=len(known),
    )


def to_earth(points: Sequence[Point], crs: str) -> list[Point | None]:
    """x, y of `crs` to longitude and latitude; None of a place that is nowhere on earth."""
    if crs == "CRS:84":
        return [place if abs(place[0]) <= 180 and abs(place[1]) <= 90 else None for place in points]
    found = []
    for point in points:
        try:
            place = transform_geometry(shapely.Point(*point), crs, "CRS:84")
            found.append((place.x, place.y))
        except OutsideAreaOfUse:
            found.append(None)
    return found


# -- datums

@dataclass(frozen=True, slots=True, kw_only=True)
class InDatum:
    """In which datum heights are told, what is added to those of the edition, and how accurate that is; `code` None where nobody knows."""

    code: str | None
    shift: float = 0.0
    accuracy: float = 0.0


def datum_of(permit: Permit, wanted: str | None) -> InDatum:
    """Raises VerticalDatumRefused where nothing leads from the edition's datum to the one that is wanted."""
    own = permit.edition.vertical_datum
    if wanted is None:
        return InDatum(code=own)
    datums().find(wanted)
    if own is None:
        raise refused("datum-not-stated", layer=permit.edition.layer)
    shift, accuracy = datums().to(0.0, own, wanted)
    return InDatum(code=datums().find(wanted).code, shift=shift, accuracy=accuracy)


def water_over(permit: Permit, request: GetMap) -> WaterLevel:
    """The level that a map asks for, in the datum of the edition.

    Raises
    ------
    RequestInvalid
        The edition's datum is not known, or no constant leads there; told after the gate alone.
    """
    asked, edition = request.water, permit.edition
    bounds = request.view.bounds
    middle = transformer(request.view.crs, "CRS:84").transform((bounds.left + bounds.right) / 2, (bounds.bottom + bounds.top) / 2)
    try:
        datums().find(asked.datum)
        if edition.vertical_datum is None:
            raise refused("datum-not-stated", layer=edition.layer)
        level, _ = datums().to(asked.level, asked.datum, edition.vertical_datum, is_of_gauge=True, place=middle)
    except VerticalDatumRefused as error:
        raise RequestInvalid("InvalidParameterValue", "WATER_DATUM", str(error), fault=error.fault, detail=error.detail) from error
    return WaterLevel(level)


# -- of which sheet

class SheetPlaces:
    """The sheets of an edition by place."""

    def __init__(self, sheets: Sequence[Sheet]):
        self._sheets = sorted(sheets, key=lambda one: (one.currency or date.min, one.sheet_id), reverse=True)     # what lies on top first
        self._tree = shapely.STRtree([one.footprint for one in self._sheets])

    def at(self, place: Point) -> Sheet | None:
        """The one whose pixels are seen there: the most current, then the one that came last."""
        found = self._tree.query(shapely.Point(*place), predicate="intersects")
        return self._sheets[min(found)] if len(found) else None


EDITIONS_KEPT = 8
_places: OrderedDict[tuple, tuple[Catalogue, SheetPlaces]] = OrderedDict()
_placing = threading.Lock()


def sheets_of(catalogue: Catalogue, edition: Edition) -> SheetPlaces:
    """Kept for the editions last asked of. Raises CatalogueUnavailable."""
    key = id(catalogue), edition.edition_id, edition.generation
    with _placing:
        if key not in _places:
            _places[key] = catalogue, SheetPlaces(catalogue.sheets(edition.edition_id))
            if len(_places) > EDITIONS_KEPT:
                _places.popitem(last=False)
        _places.move_to_end(key)
        return _places[key][1]
