"""Map sheet numbers of GB/T 13989-2012: exact arithmetic in arc-seconds, from 1:1,000,000 to 1:500, northern hemisphere.

A number is the sheet of 1:1,000,000 (row letter from the equator, two-digit column from 180 W), then the letter of the scale, then row
counted from the north and column from the west. A sheet holds its west and south edges, not the others: floats would lose a boundary
such as 1'52.5", so everything inside is Fraction.
"""

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from math import floor

import shapely
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from layers.crs import LONGEST_EDGE_DEGREES
from layers.errors import SheetNumberInvalid
from layers.model import Bounds

DEGREE = 3600
MILLION_WIDTH, MILLION_HEIGHT = 6 * DEGREE, 4 * DEGREE
"""Arc-seconds of a 1:1,000,000 sheet."""

ROW_LETTERS = "ABCDEFGHIJKLMNOPQRSTUV"


@dataclass(frozen=True, slots=True)
class SheetScale:
    """One scale of the standard: its letter, how many rows and columns of it fill a 1:1,000,000 sheet, digits of a row."""

    letter: str
    denominator: int
    divisions: int
    digits: int

    @property
    def width(self) -> Fraction:
        """Arc-seconds of longitude."""
        return Fraction(MILLION_WIDTH, self.divisions)

    @property
    def height(self) -> Fraction:
        """Arc-seconds of latitude."""
        return Fraction(MILLION_HEIGHT, self.divisions)


SCALES = {
    scale.letter: scale
    for scale in (
        SheetScale("A", 1_000_000, 1, 0), SheetScale("B", 500_000, 2, 3), SheetScale("C", 250_000, 4, 3), SheetScale("D", 100_000, 12, 3),
        SheetScale("E", 50_000, 24, 3), SheetScale("F", 25_000, 48, 3), SheetScale("G", 10_000, 96, 3), SheetScale("H", 5_000, 192, 3),
        SheetScale("I", 2_000, 576, 3), SheetScale("J", 1_000, 1152, 4), SheetScale("K", 500, 2304, 4),
    )
}

_NUMBER = re.compile(r"([A-V])(\d{2})(?:([B-I])(\d{3})(\d{3})|([JK])(\d{4})(\d{4}))?")
_IN_A_NAME = re.compile(r"[A-V]\d{2}(?:[JK]\d{8}|[B-I]\d{6})(?!\d)")
_BEGINS_A_NAME = re.compile(r"^[A-N](?:4[3-9]|5[0-3])(?=DOM|DEM|DLG|DRG|[._-]|$)")


def normalise(text: str) -> str:
    """The number as the standard writes it, whatever its case, spaces, hyphens and full-width characters.

    Raises
    ------
    SheetNumberInvalid
        It is none, or its row or column is not within the 1:1,000,000 sheet.

    >>> normalise("i50 g 095077"), normalise("Ｉ５０Ｇ０９５０７７")
    ('I50G095077', 'I50G095077')
    """
    number = re.sub(r"[\s_-]", "", unicodedata.normalize("NFKC", text)).upper()
    _parts(number, text)
    return number


def encode(lon: float | Fraction, lat: float | Fraction, scale_letter: str) -> str:
    """Number of the sheet that holds a point; a point on an edge belongs to the sheet east and north of it.

    Parameters
    ----------
    lon, lat : float or Fraction
        Degrees, -180 <= lon < 180 and 0 <= lat < 88. A float counts as exactly the decimal it prints as.
    scale_letter : str
        A (1:1,000,000) to K (1:500).

    Raises
    ------
    SheetNumberInvalid
        No such scale, or the standard numbers no sheet there.

    >>> encode(118.7781, 32.0436, "G")
    'I50G095077'
    """
    scale = SCALES.get(scale_letter.upper())
    if scale is None:
        raise SheetNumberInvalid(f"scale `{scale_letter[:10]}` is not one of {', '.join(SCALES)}: G is 1:10,000")
    x, y = _seconds(lon), _seconds(lat)
    if not (-180 * DEGREE <= x < 180 * DEGREE and 0 <= y < len(ROW_LETTERS) * MILLION_HEIGHT):
        raise SheetNumberInvalid(f"no sheet is numbered at longitude {float(lon):g}, latitude {float(lat):g}: give 0 to 88 degrees north")
    million = f"{ROW_LETTERS[y // MILLION_HEIGHT]}{x // MILLION_WIDTH + 31:02d}"
    if scale.letter == "A":
        return million
    row = scale.divisions - floor((y % MILLION_HEIGHT) / scale.height)
    column = floor((x % MILLION_WIDTH) / scale.width) + 1
    return f"{million}{scale.letter}{row:0{scale.digits}d}{column:0{scale.digits}d}"


def sheet_bounds(number: str) -> Bounds:
    """West, south, east, north of a sheet in degrees (exact until the last division).

    Raises
    ------
    SheetNumberInvalid

    >>> sheet_bounds("I50G095077")
    Bounds(left=118.75, bottom=32.041666666666664, right=118.8125, top=32.083333333333336)
    """
    return Bounds(*(float(edge / DEGREE) for edge in _edges(number)))


def sheet_frame(number: str) -> Polygon:
    """The sheet's frame in CRS84, its edges no longer than 0.01 degree: along parallels and meridians in any projection."""
    return shapely.segmentize(shapely.box(*sheet_bounds(number)), LONGEST_EDGE_DEGREES)


def sheets_touching(geometry: BaseGeometry, scale_letter: str = "G", most: int = 100_000) -> list[str]:
    """Numbers of the sheets of one scale that share ground with polygons in CRS84, from north to south and west to east.

    Raises
    ------
    SheetNumberInvalid
        No such scale, ground where the standard numbers no sheet, or more than `most` sheets in its bounds.

    >>> sheets_touching(shapely.box(118.76, 32.05, 118.82, 32.06))
    ['I50G095077', 'I50G095078']
    """
    if geometry.is_empty:
        return []
    west, south, east, north = (_seconds(value) for value in geometry.bounds)
    scale = scale_of(encode(west / DEGREE, south / DEGREE, scale_letter))
    columns = range(floor(west / scale.width), floor(east / scale.width) + 1)
    rows = range(floor(south / scale.height), floor(north / scale.height) + 1)
    if len(columns) * len(rows) > most:
        raise SheetNumberInvalid(f"{len(columns) * len(rows):,} sheets of scale {scale.letter} lie within the bounds: take a coarser scale, or less ground")
    frames = [
        (column * scale.width / DEGREE, row * scale.height / DEGREE, (column + 1) * scale.width / DEGREE, (row + 1) * scale.height / DEGREE)
        for row in reversed(rows) for column in columns
    ]
    boxes = shapely.box(*([float(frame[side]) for frame in frames] for side in range(4)))
    shapely.prepare(geometry)
    touched = shapely.intersects(geometry, boxes) & ~shapely.touches(geometry, boxes)
    return [encode(frame[0], frame[1], scale.letter) for frame, is_touched in zip(frames, touched, strict=True) if is_touched]


def scale_of(number: str) -> SheetScale:
    """The scale that a number belongs to. Raises SheetNumberInvalid."""
    return _parts(normalise(number), number)[2]


def find_number(file_name: str) -> str | None:
    """The sheet number that a file name holds, or None.

    A number of 1:1,000,000 (three characters) counts only where the name begins with it and it lies over China: too many
    names hold such a group.

    >>> find_number("I50G095077DOM_2011.tif"), find_number("dom_i50g095077.TIF"), find_number("ortho_3320D_2010.tif")
    ('I50G095077', 'I50G095077', None)
    """
    name = unicodedata.normalize("NFKC", file_name).upper()
    for pattern in (_IN_A_NAME, _BEGINS_A_NAME):
        for match in pattern.finditer(name):
            if _is_number(match[0]):
                return match[0]
    return None


def _is_number(text: str) -> bool:
    try:
        _parts(text, text)
    except SheetNumberInvalid:
        return False
    return True


def _parts(number: str, as_given: str) -> tuple[str, int, SheetScale, int, int]:
    """Row letter and column of the 1:1,000,000 sheet, scale, row, column."""
    match = _NUMBER.fullmatch(number) if number.isascii() else None
    if match is None:
        raise SheetNumberInvalid(f"`{as_given[:40]}` is not a sheet number of GB/T 13989: write one like I50G095077")
    letter, million_column = match[1], int(match[2])
    scale = SCALES[match[3] or match[6] or "A"]
    row, column = int(match[4] or match[7] or 1), int(match[5] or match[8] or 1)
    if not (1 <= million_column <= 60 and 1 <= row <= scale.divisions and 1 <= column <= scale.divisions):
        raise SheetNumberInvalid(
            f"`{as_given[:40]}` is not a sheet number of GB/T 13989: at 1:{scale.denominator:,} rows and columns run from 1 to "
            f"{scale.divisions}, and columns of 1:1,000,000 from 1 to 60"
        )
    return letter, million_column, scale, row, column


def _edges(number: str) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    letter, million_column, scale, row, column = _parts(normalise(number), number)
    west = (million_column - 31) * MILLION_WIDTH + (column - 1) * scale.width
    south = ROW_LETTERS.index(letter) * MILLION_HEIGHT + (scale.divisions - row) * scale.height
    return Fraction(west), Fraction(south), west + scale.width, south + scale.height


def _seconds(degrees: float | Fraction) -> Fraction:
    return (degrees if isinstance(degrees, Fraction) else Fraction(repr(float(degrees)))) * DEGREE
