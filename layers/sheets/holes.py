"""Ground without a sheet, and the numbers of the sheets that would fill it. Everything is CRS84 (lon lat degrees). Pure."""

import math
from collections.abc import Iterable, Sequence

import shapely
from shapely.geometry.base import BaseGeometry

from layers.errors import SheetNumberInvalid
from layers.sheets.numbers import SCALES, scale_of, sheet_bounds, sheets_touching

HAIRLINE = 0.02
"""Of the side of a sheet: gaps between neighbours that are narrower come from the bend of frames in projection, and are no holes."""


def closed(grounds: Sequence[BaseGeometry]) -> BaseGeometry:
    """Footprints or frames as one ground, without the hairlines between neighbours."""
    side = math.sqrt(sum(shapely.area(grounds)) / len(grounds))
    wider = shapely.buffer(shapely.union_all(grounds), HAIRLINE * side, join_style="mitre")
    return shapely.buffer(wider, -HAIRLINE * side, join_style="mitre")


def filled(ground: BaseGeometry) -> BaseGeometry:
    """The ground and all that it encloses."""
    return shapely.union_all([shapely.Polygon(part.exterior) for part in polygons(ground)])


def large(ground: BaseGeometry, least: float) -> BaseGeometry:
    """The parts of it that are larger than `least` square degrees."""
    return shapely.union_all([part for part in polygons(ground) if part.area > least])


def polygons(geometry: BaseGeometry) -> list[shapely.Polygon]:
    return [part for part in shapely.get_parts(shapely.get_parts(geometry)) if part.geom_type == "Polygon" and not part.is_empty]


def usual_scale(numbers: Iterable[str]) -> str:
    """The letter of the scale of which most of these sheets are."""
    letters = [scale_of(number).letter for number in numbers]
    return max(SCALES, key=letters.count)


def missing_on(ground: BaseGeometry, held: Iterable[str], *, share: float = 0.5, most: int = 20_000) -> list[str]:
    """Numbers of the sheets, of the scale that most of those held are of, that are not held and lie on `ground` by more than `share` of their frame.

    None where nothing is held or more than `most` sheets would touch the ground: that is no list for anybody.
    """
    held = frozenset(held)
    if not held or ground.is_empty:
        return []
    try:
        touched = [number for number in sheets_touching(ground, usual_scale(held), most) if number not in held]
    except SheetNumberInvalid:
        return []
    frames = {number: shapely.box(*sheet_bounds(number)) for number in touched}
    shapely.prepare(ground)
    return [number for number, frame in frames.items() if shapely.intersection(ground, frame).area > share * frame.area]
