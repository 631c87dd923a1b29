"""Which ground was seen: an exact set of equal cells of 25 m2, kept small by holding whole squares of them as one.

The plane is the cylindrical equal-area projection of the WGS 84 ellipsoid with its true parallel at 30 degrees (that of NSIDC's EASE-Grid 2.0,
EPSG:6933), cut into cells of 5 m: column eastwards from 180 W, row northwards from the south pole. CGCS2000 is taken as WGS 84. Every cell is as
much ground as any other, so km2 are a count. 64 x 64 cells are a block (320 m), 64 x 64 blocks a page (20 km): what is wholly seen is one entry of
its parent, so that a set grows with the border of what was seen and not with its area.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

CELL = 5.0
"""Metres along both axes of the plane."""

CELL_KM2 = CELL * CELL / 1e6

SIDE = 64
"""Cells along a block, and blocks along a page."""

PAGE = SIDE * SIDE
"""Cells along a page."""

A, FLATTENING = 6378137.0, 1 / 298.257223563
E2 = FLATTENING * (2 - FLATTENING)
E = math.sqrt(E2)
TRUE_PARALLEL = math.radians(30.0)
K0 = math.cos(TRUE_PARALLEL) / math.sqrt(1 - E2 * math.sin(TRUE_PARALLEL) ** 2)


def _q(sin_latitude: np.ndarray) -> np.ndarray:
    """Snyder (1987), Map Projections: A Working Manual, equation 3-12."""
    e_sin = E * sin_latitude
    return (1 - E2) * (sin_latitude / (1 - e_sin**2) - np.log((1 - e_sin) / (1 + e_sin)) / (2 * E))


HALF_WIDTH = math.pi * A * K0
HALF_HEIGHT = float(A * _q(np.float64(1.0)) / (2 * K0))
COLUMNS, ROWS = math.ceil(2 * HALF_WIDTH / CELL), math.ceil(2 * HALF_HEIGHT / CELL)


def to_plane(points: np.ndarray) -> np.ndarray:
    """(n, 2) of longitude and latitude in degrees -> (n, 2) of columns and rows, with fractions (Snyder, equations 10-13 and 10-14).

    >>> to_plane(np.array([[120.0, 32.0]])).round(2).tolist()
    [[5789176.82, 2244098.08]]
    """
    longitude, latitude = np.radians(points[:, 0]), np.radians(points[:, 1])
    x, y = A * K0 * longitude, A * _q(np.sin(latitude)) / (2 * K0)
    return np.column_stack([(x + HALF_WIDTH) / CELL, (y + HALF_HEIGHT) / CELL])


# What a picture shows

Rectangle = tuple[int, int, int, int]
"""First column, first row, one past the last column, one past the last row: in cells, not empty."""

Block = tuple[int, int, int]
"""Column and row of a block, and a bit for each of its cells: bit 64 * row + column, rows northwards."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """A set of cells: rectangles and blocks of which no two overlap."""

    rectangles: tuple[Rectangle, ...] = ()
    blocks: tuple[Block, ...] = ()

    @property
    def cells(self) -> int:
        return sum((c1 - c0) * (r1 - r0) for c0, r0, c1, r1 in self.rectangles) + sum(bits.bit_count() for _, _, bits in self.blocks)

    def __bool__(self) -> bool:
        return bool(self.rectangles or self.blocks)


NOWHERE = Footprint()


def one_cell(column: float, row: float) -> Footprint:
    """The cell that holds a point of the plane."""
    c, r = min(max(int(column), 0), COLUMNS - 1), min(max(int(row), 0), ROWS - 1)
    return Footprint(rectangles=((c, r, c + 1, r + 1),))


def footprint_of(mask: np.ndarray, column: int, row: int, unit: int) -> Footprint:
    """The squares of `unit` x `unit` cells where `mask` (row northwards, column) is True.

    Parameters
    ----------
    column, row : int
        Of the first square, counted in squares.
    unit : int
        A power of 2.
    """
    a_block = max(SIDE // unit, 1)                                  # squares along a block, or 1 where a square holds whole blocks
    before, below = column % a_block, row % a_block
    height, width = mask.shape
    padded = np.zeros((-(-(height + below) // a_block) * a_block, -(-(width + before) // a_block) * a_block), bool)
    padded[below:below + height, before:before + width] = mask
    counts = padded.reshape(padded.shape[0] // a_block, a_block, padded.shape[1] // a_block, a_block).sum(axis=(1, 3), dtype=np.int32)
    first_column, first_row, span = (column - before) // a_block, (row - below) // a_block, a_block * unit
    whole = counts == a_block * a_block
    rectangles = tuple(
        ((first_column + c0) * span, (first_row + r0) * span, (first_column + c1) * span, (first_row + r1) * span)
        for c0, r0, c1, r1 in _rectangles(whole)
    )
    blocks = tuple(
        (first_column + c, first_row + r, _bits(padded[r * a_block:(r + 1) * a_block, c * a_block:(c + 1) * a_block], unit))
        for r, c in np.argwhere((counts > 0) & ~whole).tolist()
    )
    return Footprint(rectangles, blocks)


def _bits(squares: np.ndarray, unit: int) -> int:
    cells = np.repeat(np.repeat(squares, unit, axis=0), unit, axis=1) if unit > 1 else squares
    return int.from_bytes(np.packbits(cells.ravel(), bitorder="little").tobytes(), "little")


def _rectangles(mask: np.ndarray) -> Iterator[Rectangle]:
    """Runs of True along the rows, joined where rows that follow each other have the same run."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    starts, ends = np.argwhere(edges == 1).tolist(), np.argwhere(edges == -1).tolist()
    rows: list[set[tuple[int, int]]] = [set() for _ in range(mask.shape[0] + 1)]
    for (row, start), (_, end) in zip(starts, ends, strict=True):
        rows[row].add((start, end))
    begun: dict[tuple[int, int], int] = {}
    for row, runs in enumerate(rows):
        for start, end in [run for run in begun if run not in runs]:
            yield start, begun.pop((start, end)), end, row
        for run in runs:
            begun.setdefault(run, row)


# What was seen

ALL = (1 << PAGE) - 1
"""A block of which every cell, or a page of which every block, is seen."""

COLUMN_OF_ONES = [sum(1 << (SIDE * row) for row in range(rows)) for rows in range(SIDE + 1)]


class _Page:
    """64 x 64 blocks: which are wholly seen, and the cells of those that are seen in part, by 64 * row + column."""

    __slots__ = ("whole", "parts")

    def __init__(self) -> None:
        self.whole = 0
        self.parts: dict[int, int] = {}


WHOLE_PAGE = _Page()
WHOLE_PAGE.whole = ALL


class GroundSet:
    """Cells that were seen. Grows only; not for several threads at once."""

    def __init__(self) -> None:
        self.cells = 0
        self._pages: dict[tuple[int, int], _Page] = {}

    def missing(self, footprint: Footprint) -> int:
        """How many cells of `footprint` were not seen."""
        return sum(self._missing(self._pages.get(page), whole, parts) for page, whole, parts in _by_page(footprint))

    def add(self, footprint: Footprint) -> int:
        """See `footprint`; how many cells were not seen before."""
        before = self.cells
        for place, whole, parts in _by_page(footprint):
            page = self._pages.get(place)
            self.cells += self._missing(page, whole, parts)
            self._see(place, page, whole, parts)
        return self.cells - before

    def footprint(self) -> Footprint:
        """All that was seen."""
        rectangles, blocks = [], []
        for (px, py), page in self._pages.items():
            if page.whole == ALL:
                rectangles.append((px * PAGE, py * PAGE, (px + 1) * PAGE, (py + 1) * PAGE))
                continue
            left, bottom = px * SIDE, py * SIDE
            rectangles += [
                ((left + c0) * SIDE, (bottom + r0) * SIDE, (left + c1) * SIDE, (bottom + r1) * SIDE)
                for c0, r0, c1, r1 in _rectangles(_as_mask(page.whole))
            ]
            blocks += [(left + index % SIDE, bottom + index // SIDE, bits) for index, bits in page.parts.items()]
        return Footprint(tuple(rectangles), tuple(blocks))

    @staticmethod
    def _missing(page: _Page | None, whole: int, parts: list[tuple[int, int]]) -> int:
        if page is None:
            return whole.bit_count() * PAGE + sum(bits.bit_count() for _, bits in parts)
        count, seen, partly = 0, page.whole, page.parts
        if whole:
            fresh = whole & ~seen
            count = fresh.bit_count() * PAGE
            if fresh:
                count -= sum(bits.bit_count() for index, bits in partly.items() if fresh >> index & 1)
        for index, bits in parts:
            if not seen >> index & 1:
                count += (bits & ~partly.get(index, 0)).bit_count()
        return count

    def _see(self, place: tuple[int, int], page: _Page | None, whole: int, parts: list[tuple[int, int]]) -> None:
        if whole == ALL:
            self._pages[place] = WHOLE_PAGE
            return
        if page is None:
            page = self._pages[place] = _Page()
        if whole & ~page.whole:
            page.whole |= whole
            for index in [index for index in page.parts if whole >> index & 1]:
                del page.parts[index]
        for index, bits in parts:
            if page.whole >> index & 1:
                continue
            bits |= page.parts.get(index, 0)
            if bits == ALL:
                page.parts.pop(index, None)
                page.whole |= 1 << index
            else:
                page.parts[index] = bits
        if page.whole == ALL:
            self._pages[place] = WHOLE_PAGE


def _as_mask(whole: int) -> np.ndarray:
    return np.unpackbits(np.frombuffer(whole.to_bytes(PAGE // 8, "little"), np.uint8), bitorder="little").reshape(SIDE, SIDE).astype(bool)


def _by_page(footprint: Footprint) -> Iterator[tuple[tuple[int, int], int, list[tuple[int, int]]]]:
    """What of each page a footprint covers: a bit for each block that is whole, and the cells of the others. A page may come several times."""
    for c0, r0, c1, r1 in footprint.rectangles:
        for py in range(r0 // PAGE, (r1 - 1) // PAGE + 1):
            bottom, top = max(r0 - py * PAGE, 0), min(r1 - py * PAGE, PAGE)
            for px in range(c0 // PAGE, (c1 - 1) // PAGE + 1):
                left, right = max(c0 - px * PAGE, 0), min(c1 - px * PAGE, PAGE)
                yield (px, py), *_of_page(left, bottom, right, top)
    for bx, by, bits in footprint.blocks:
        yield (bx // SIDE, by // SIDE), 0, [(by % SIDE * SIDE + bx % SIDE, bits)]


def _of_page(left: int, bottom: int, right: int, top: int) -> tuple[int, list[tuple[int, int]]]:
    """A rectangle of cells within a page, as whole blocks and parts of blocks."""
    columns = range(left // SIDE, (right - 1) // SIDE + 1)
    crossed = range(-(-left // SIDE), right // SIDE)                # from side to side
    ends = [column for column in (columns[0], columns[-1]) if column not in crossed][:len(columns)]
    run = ((1 << len(crossed)) - 1) << crossed.start if crossed else 0
    whole, parts = 0, []
    for row in range(bottom // SIDE, (top - 1) // SIDE + 1):
        low, high = max(bottom - row * SIDE, 0), min(top - row * SIDE, SIDE)
        upright = COLUMN_OF_ONES[high - low] << (SIDE * low)
        if high - low == SIDE:
            whole |= run << (SIDE * row)
        for column in ends if high - low == SIDE else columns:
            west, east = max(left - column * SIDE, 0), min(right - column * SIDE, SIDE)
            parts.append((row * SIDE + column, (((1 << (east - west)) - 1) << west) * upright))
    return whole, parts


# On disk

RECTANGLE, BLOCK = struct.Struct("<B4i"), struct.Struct("<B2iH")
CHECK = struct.Struct("<I")
IS_RECTANGLE, IS_BLOCK = 0, 1


class RecordsDamaged(ValueError):
    """Bytes that are no records of ours, or not as they were written."""


def to_records(footprint: Footprint) -> bytes:
    """Each rectangle and each block for itself, with a CRC-32."""
    bodies = [RECTANGLE.pack(IS_RECTANGLE, *rectangle) for rectangle in footprint.rectangles]
    for bx, by, bits in footprint.blocks:
        packed = zlib.compress(bits.to_bytes(PAGE // 8, "little"), 1)
        bodies.append(BLOCK.pack(IS_BLOCK, bx, by, len(packed)) + packed)
    return b"".join(part for body in bodies for part in (body, CHECK.pack(zlib.crc32(body))))


def from_records(data: bytes) -> Iterator[Footprint]:
    """What was written, record by record. Raises RecordsDamaged."""
    position = 0
    try:
        while position < len(data):
            if data[position] == IS_RECTANGLE:
                end = position + RECTANGLE.size
                footprint = Footprint(rectangles=(RECTANGLE.unpack_from(data, position)[1:],))
            else:
                _, bx, by, length = BLOCK.unpack_from(data, position)
                start, end = position + BLOCK.size, position + BLOCK.size + length
                footprint = Footprint(blocks=((bx, by, int.from_bytes(zlib.decompress(data[start:end]), "little")),))
            if zlib.crc32(data[position:end]) != CHECK.unpack_from(data, end)[0]:
                raise RecordsDamaged("the record of ground that was seen is damaged")
            position = end + CHECK.size
            yield footprint
    except (struct.error, zlib.error) as error:
        raise RecordsDamaged("the record of ground that was seen is damaged") from error
