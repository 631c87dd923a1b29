"""Map sheet numbers of GB/T 13989-2012: exact arithmetic in arc-seconds, from 1:1,000,000 to 1:500, northern hemisphere; any spelling is read.

A number is the sheet of 1:1,000,000 (row letter from the equator, two-digit column from 180 W), then the letter of the scale, then row
counted from the north and column from the west. A sheet holds its west and south edges, not the others: floats would lose a boundary
such as 1'52.5", so everything inside is Fraction. Every scale cuts the one before it whole, so that each sheet has one parent at any
coarser scale. The numbering before 1992 is layers/sheets/old_numbers.py.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import floor

import shapely
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from layers.crs import LONGEST_EDGE_DEGREES
from layers.errors import SheetNumberInvalid
from layers.model import Bounds
from layers.sheets import old_numbers as old_sheets

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

_LETTERS = tuple(SCALES)

_LOOKS_NEW = re.compile(r"[A-V]\d{2}[B-I]\d{6}|[A-V]\d{2}[JK]\d{8}", re.ASCII)
_NUMBER = re.compile(r"([A-V])(\d{2})(?:([B-I])(\d{3})(\d{3})|([JK])(\d{4})(\d{4}))?")
_IN_A_NAME = re.compile(r"[A-V]\d{2}(?:[JK]\d{8}|[B-I]\d{6})(?!\d)")
_OLD_IN_A_NAME = re.compile(
    r"(?<![A-Z0-9])[A-N]-(?:4[3-9]|5[0-3])-\d{1,3}(?!\d)(?:-\(\d{1,2}\)(?:-[A-D](?![A-Z]))?|-[A-D](?![A-Z])(?:-[1-4](?!\d))?|(?=DOM|DEM|DLG|DRG|[._]|$))")
_BEGINS_A_NAME = re.compile(r"^[A-N](?:4[3-9]|5[0-3])(?=DOM|DEM|DLG|DRG|[._-]|$)")


def any_number(text: str) -> str:
    """The number as the standard writes it, from any spelling of the new one or of one before 1992.

    Raises
    ------
    SheetNumberInvalid
        It is none, its row or column is not within the 1:1,000,000 sheet, it can be read in two ways, or it is one of 1:200,000: the
        message names the four sheets of 1:100,000 that fill it.

    >>> any_number("i50 g 095077"), any_number("Ｉ５０Ｇ０９５０７７"), any_number("I-50-142-（53）"), any_number("i5014253")
    ('I50G095077', 'I50G095077', 'I50G095077', 'I50G095077')
    """
    meant = numbers_meant(text)
    if len(meant) > 1:
        raise SheetNumberInvalid(
            f"`{text[:40]}` is a sheet of 1:200,000, which GB/T 13989 no longer numbers: its ground is that of {', '.join(meant)} (1:100,000)")
    return meant[0]


def numbers_meant(text: str) -> tuple[str, ...]:
    """Numbers of the sheets that `text` names: one, or the four of 1:100,000 that fill an old sheet of 1:200,000.

    Raises
    ------
    SheetNumberInvalid

    >>> numbers_meant("I-50-(35)")
    ('I50D011009', 'I50D011010', 'I50D012009', 'I50D012010')
    """
    if _is_number(text):                                     # as the standard writes it, which is nearly always
        return (text,)
    spelled = old_sheets.spelled(text[:old_sheets.LONGEST + 1])
    if "--" in spelled or spelled != spelled.strip("-"):
        raise _invalid(text)
    joined, hyphen, ninth = spelled.rpartition("-")
    if hyphen and _NUMBER.fullmatch(whole := _plain(joined)) and scale_of(whole).letter == "H" and len(ninth) == 1:
        return (_number_of(old_sheets.ninth(_cell(whole), ninth)),)
    if _LOOKS_NEW.fullmatch(plain := _plain(spelled)):
        _parts(plain, text)
        return (plain,)
    cell = old_sheets.read(text)
    if cell.divisions == old_sheets.TWO_HUNDRED_THOUSAND:
        return tuple(_number_of(cell.part(2, quarter)) for quarter in (1, 2, 3, 4))
    return (_number_of(cell),)


def old_number(number: str) -> str | None:
    """How the sheet was numbered before 1992; None at 1:2,000 and larger scales.

    Raises
    ------
    SheetNumberInvalid

    >>> old_number("I50G095077"), old_number("H51G017010"), old_number("J50I090055")
    ('I-50-142-(53)', 'H-51-26-(2)', None)
    """
    return old_sheets.write(_cell(number))


def old_two_hundred_thousand(number: str) -> str | None:
    """The old sheet of 1:200,000 in which a sheet lies; None where it is larger than that.

    >>> old_two_hundred_thousand("I50G095077"), old_two_hundred_thousand("I50B001001")
    ('I-50-(35)', None)
    """
    cell = _cell(number)
    side = cell.divisions // 6
    if cell.divisions % 6 or not side:
        return None
    return old_sheets.write(cell.around(side)[0])


DIRECTIONS = {
    "north-west": (-1, 1), "north": (0, 1), "north-east": (1, 1), "west": (-1, 0),
    "east": (1, 0), "south-west": (-1, -1), "south": (0, -1), "south-east": (1, -1),
}
"""Steps to the east and to the north."""


def neighbours(number: str) -> dict[str, str]:
    """The eight sheets around one, by direction, across the edges of 1:1,000,000 sheets and across 180 degrees; none beyond the equator
    or 88 degrees north.

    Raises
    ------
    SheetNumberInvalid

    >>> neighbours("I50G096096")["east"], neighbours("I50G096096")["south-east"], neighbours("I60")["east"], "south" in neighbours("A50")
    ('I51G096001', 'H51G001001', 'I01', False)
    """
    scale = scale_of(number)
    west, south, _, _ = _edges(number)
    around = {}
    for direction, (east, north) in DIRECTIONS.items():
        lon, lat = (west + east * scale.width) / DEGREE, (south + north * scale.height) / DEGREE
        if 0 <= lat < 4 * len(ROW_LETTERS):
            around[direction] = encode((lon + 180) % 360 - 180, lat, scale.letter)
    return around


def parent(number: str, scale_letter: str | None = None) -> str | None:
    """The sheet of a coarser scale (the next one unless said) that holds a sheet; None above 1:1,000,000, or at a scale that is not coarser.

    Raises
    ------
    SheetNumberInvalid

    >>> parent("I50G095077"), parent("I50G095077", "E"), parent("I50G095077", "D"), parent("I50")
    ('I50F048039', 'I50E024020', 'I50D012010', None)
    """
    scale = scale_of(number)
    if scale_letter is None:
        if scale.letter == "A":
            return None
        scale_letter = _LETTERS[_LETTERS.index(scale.letter) - 1]
    wanted = _scale(scale_letter)
    if wanted.divisions >= scale.divisions:
        return None
    cell = _cell(number)
    return _number_of(cell.around(scale.divisions // wanted.divisions)[0])


def children(number: str, scale_letter: str | None = None, most: int = 10_000) -> list[str]:
    """The sheets of a finer scale (the next one unless said) that fill a sheet, along rows from the north-west; none at a scale that is not finer.

    Raises
    ------
    SheetNumberInvalid
        Also where they are more than `most`.

    >>> children("I50E024020", "G")[:2], len(children("I50E024020", "G")), children("I50F048039")
    (['I50G093077', 'I50G093078'], 16, ['I50G095077', 'I50G095078', 'I50G096077', 'I50G096078'])
    """
    scale = scale_of(number)
    if scale_letter is None:
        if scale.letter == _LETTERS[-1]:
            return []
        scale_letter = _LETTERS[_LETTERS.index(scale.letter) + 1]
    wanted = _scale(scale_letter)
    side = wanted.divisions // scale.divisions
    if side <= 1:
        return []
    if side * side > most:
        raise SheetNumberInvalid(f"`{number[:40]}` is filled by {side * side:,} sheets of 1:{wanted.denominator:,}: take a coarser scale")
    cell = _cell(number)
    return [_number_of(cell.part(side, position)) for position in range(1, side * side + 1)]


def ancestors(number: str) -> Iterator[str]:
    """The sheets of every coarser scale that hold a sheet, the smallest first. Raises SheetNumberInvalid."""
    above = parent(number)
    while above is not None:
        yield above
        above = parent(above)


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
    scale = _scale(scale_letter)
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
    """The sheet's frame in CRS84, its edges no longer than 0.01 degree: along parallels and meridians in any projection.

    Any spelling is read; an old sheet of 1:200,000 is the frame around its four of 1:100,000. Raises SheetNumberInvalid.
    """
    boxes = [shapely.box(*sheet_bounds(each)) for each in numbers_meant(number)]
    return shapely.segmentize(shapely.box(*shapely.total_bounds(boxes)), LONGEST_EDGE_DEGREES)


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
    return _parts(any_number(number), number)[2]


def scale_named(text: str) -> SheetScale:
    """The scale that a letter or a denominator names: `G`, `10000`, `1:10,000`, `1:1万`. Raises SheetNumberInvalid."""
    plain = re.sub(r"[\s,_]", "", unicodedata.normalize("NFKC", text)).upper().removeprefix("1:").removeprefix("1/")
    if plain.endswith("万") and plain[:-1].isascii() and re.fullmatch(r"\d{1,3}(\.\d)?", plain[:-1]):
        plain = str(round(float(plain[:-1]) * 10_000))
    return next((scale for scale in SCALES.values() if str(scale.denominator) == plain), None) or _scale(plain)


def ordinal(number: str) -> int:
    """A number below 2^39, another one for every sheet of any scale.

    >>> ordinal("I50G095077") == ordinal("I-50-142-(53)"), ordinal("I50G077095") == ordinal("I50G095077")
    (True, False)
    """
    letter, million_column, scale, row, column = _parts(any_number(number), number)
    found = 0
    for part, bits in ((ROW_LETTERS.index(letter), 5), (million_column, 6), ("".join(SCALES).index(scale.letter), 4), (row - 1, 12), (column - 1, 12)):
        found = found << bits | part
    return found


def find_number(file_name: str) -> str | None:
    """The sheet number that a file name holds, or None.

    A number of 1:1,000,000 (three characters) counts only where the name begins with it and it lies over China: too many
    names hold such a group. An old number counts from 1:100,000 on, with its hyphens, over China.

    >>> find_number("I50G095077DOM_2011.tif"), find_number("dom_i50g095077.TIF"), find_number("ortho_3320D_2010.tif")
    ('I50G095077', 'I50G095077', None)
    >>> find_number("I-50-142-(53)DOM.tif"), find_number("h-51-26-d-3_2004.img"), find_number("e-50-12-map.tif")
    ('I50G095077', 'H51F012007', None)
    """
    name = unicodedata.normalize("NFKC", file_name).upper()
    for pattern in (_IN_A_NAME, _BEGINS_A_NAME):
        for match in pattern.finditer(name):
            if _is_number(match[0]):
                return match[0]
    old = _OLD_IN_A_NAME.search(name)
    try:
        return any_number(old[0]) if old else None
    except SheetNumberInvalid:
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
        raise _invalid(as_given)
    letter, million_column = match[1], int(match[2])
    scale = SCALES[match[3] or match[6] or "A"]
    row, column = int(match[4] or match[7] or 1), int(match[5] or match[8] or 1)
    if not (1 <= million_column <= 60 and 1 <= row <= scale.divisions and 1 <= column <= scale.divisions):
        raise SheetNumberInvalid(
            f"`{as_given[:40]}` is not a sheet number of GB/T 13989: at 1:{scale.denominator:,} rows and columns run from 1 to "
            f"{scale.divisions}, and columns of 1:1,000,000 from 1 to 60"
        )
    return letter, million_column, scale, row, column


def _invalid(text: str) -> SheetNumberInvalid:
    return SheetNumberInvalid(f"`{text[:40]}` is not a sheet number of GB/T 13989: write one like I50G095077, or an old one like I-50-142-(53)")


def _scale(letter: str) -> SheetScale:
    scale = SCALES.get(letter.upper())
    if scale is None:
        raise SheetNumberInvalid(f"scale `{letter[:10]}` is not one of {', '.join(SCALES)}: G is 1:10,000")
    return scale


def _plain(text: str) -> str:
    return old_sheets.latin(text).replace("-", "")


def _cell(number: str) -> old_sheets.Cell:
    letter, million_column, scale, row, column = _parts(any_number(number), number)
    return old_sheets.Cell(letter, million_column, scale.divisions, row - 1, column - 1)


def _number_of(cell: old_sheets.Cell) -> str:
    scale = next(each for each in SCALES.values() if each.divisions == cell.divisions)
    million = f"{cell.letter}{cell.million_column:02d}"
    return million if scale.letter == "A" else f"{million}{scale.letter}{cell.row + 1:0{scale.digits}d}{cell.column + 1:0{scale.digits}d}"


def _edges(number: str) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    letter, million_column, scale, row, column = _parts(any_number(number), number)
    west = (million_column - 31) * MILLION_WIDTH + (column - 1) * scale.width
    south = ROW_LETTERS.index(letter) * MILLION_HEIGHT + (scale.divisions - row) * scale.height
    return Fraction(west), Fraction(south), west + scale.width, south + scale.height


def _seconds(degrees: float | Fraction) -> Fraction:
    return (degrees if isinstance(degrees, Fraction) else Fraction(repr(float(degrees)))) * DEGREE
