"""Sheets by number, place or division, and what the standard says of each: the same for everybody.

What of a sheet exists here is not among it: that is for the grants to say.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from layers import crs as reference
from layers.catalogue import Catalogue
from layers.errors import DivisionNotDefined, LayersError, SheetNumberInvalid
from layers.model import Bounds
from layers.sheets import (
    SCALES,
    ancestors,
    children,
    encode,
    neighbours,
    old_number,
    old_two_hundred_thousand,
    scale_of,
    sheet_bounds,
    sheet_frame,
    sheets_touching,
)
from tiles.requests import fault
from tiles.requests.sheets import FindSheets

MOST_FOUND = 5_000
FINEST_BY_DIVISION = SCALES["G"]
"""A border would be told by sheets that are much finer."""


def found(asked: FindSheets, catalogue: Catalogue) -> Sequence[str]:
    """Numbers of the sheets that are asked for. Raises RequestInvalid."""
    if asked.numbers:
        return asked.numbers
    if asked.point:
        try:
            return (encode(*asked.point, asked.scale_letter),)
        except SheetNumberInvalid:
            raise fault("InvalidParameterValue", "LAT", "no-sheet-there") from None
    return _of_division(asked, catalogue)


def _of_division(asked: FindSheets, catalogue: Catalogue) -> Sequence[str]:
    if SCALES[asked.scale_letter].denominator < FINEST_BY_DIVISION.denominator:
        raise fault("InvalidParameterValue", "SCALE", "too-many-sheets", count=f"more than {MOST_FOUND}")
    try:
        division = catalogue.division(asked.division, asked.vintage)
        return sheets_touching(division.geometry, asked.scale_letter, MOST_FOUND)
    except DivisionNotDefined:
        raise fault("InvalidParameterValue", "DIVISION", "no-division", value=asked.division) from None
    except SheetNumberInvalid:
        raise fault("InvalidParameterValue", "SCALE", "too-many-sheets", count=f"more than {MOST_FOUND}") from None


@lru_cache(maxsize=4_000)
def facts(number: str) -> dict:
    """What GB/T 13989 says of a sheet: scale, bounds in degrees and in Gauss-Krueger, what it lies in, what lies in it, what is around it."""
    scale, bounds = scale_of(number), sheet_bounds(number)
    return {
        **brief(number), "old_1_200000": old_two_hundred_thousand(number), "gauss_kruger": _gauss_krueger(number, bounds, scale.denominator),
        "parents": {str(scale_of(above).denominator): above for above in ancestors(number)},
        "children": children(number), "neighbours": neighbours(number),
    }


def brief(number: str) -> dict:
    """Number, old number (null where there was none), denominator of the scale, west south east north in degrees of CGCS2000."""
    return {"number": number, "old_number": old_number(number), "scale_denominator": scale_of(number).denominator,
            "bounds": [round(edge, 9) for edge in sheet_bounds(number)]}


def _gauss_krueger(number: str, bounds: Bounds, denominator: int) -> dict | None:
    """Corners from the south-west round by the south-east, and bounds of the trapezoid, in metres, x (east) before y; None where China has no zone
    for it, or at 1:1,000,000, which is of another projection.

    1:10,000 and larger scales lie in zones of 3 degrees, smaller ones in zones of 6 (GB/T 13989).
    """
    crs = _zone((bounds.left + bounds.right) / 2, denominator)
    if crs is None:
        return None
    try:
        box = reference.transform_geometry(sheet_frame(number), "CRS:84", crs).bounds
        transform = reference.transformer("CRS:84", crs).transform
        corners = [transform(x, y) for x, y in _corners(bounds)]
    except LayersError:
        return None
    return {"crs": crs, "bounds": [round(edge, 3) for edge in box], "corners": [[round(value, 3) for value in corner] for corner in corners]}


def _zone(lon: float, denominator: int) -> str | None:
    """CGCS2000 / Gauss-Krueger by its central meridian, eastings without the number of the zone."""
    if denominator >= 1_000_000:
        return None
    if denominator > 10_000:
        meridian = int(lon // 6) * 6 + 3
        return f"EPSG:{4502 + (meridian - 75) // 6}" if 75 <= meridian <= 135 else None
    meridian = round(lon / 3) * 3
    return f"EPSG:{4534 + (meridian - 75) // 3}" if 75 <= meridian <= 135 else None


def _corners(bounds: Bounds) -> Iterable[tuple[float, float]]:
    return (bounds.left, bounds.bottom), (bounds.right, bounds.bottom), (bounds.right, bounds.top), (bounds.left, bounds.top)
