"""Ground that the sheets of an edition leave uncovered, and ground that two of them cover."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
import shapely

from layers import crs as reference
from layers.model import Sheet
from layers.sheets import numbers as sheets

MOST_CELLS = 4_000_000
"""Of the grid around all sheets: the 1:500 sheets of a province would be more."""
SLIVER_PIXELS = 2.0
"""A gap narrower than this many pixels is one of arithmetic."""
OVERLAP_SHARE = 0.01
MOST_LISTED = 2000


def missing_sheets(numbers: Sequence[str]) -> list[tuple[str, shapely.Polygon]]:
    """Sheets of the grid between those that are there: shut in by them, or with neighbours on two opposite sides; with their frames.

    >>> [number for number, _ in missing_sheets(["I50G095077", "I50G095079"])]
    ['I50G095078']
    """
    found = []
    by_scale: dict[str, list[str]] = {}
    for number in set(numbers):
        by_scale.setdefault(sheets.scale_of(number).letter, []).append(number)
    for letter, alike in sorted(by_scale.items()):
        found += _missing_of_scale(letter, alike)
    return found[:MOST_LISTED]


def _missing_of_scale(letter: str, numbers: Sequence[str]) -> Iterator[tuple[str, shapely.Polygon]]:
    scale = sheets.scale_of(numbers[0])
    width, height = scale.width / 3600, scale.height / 3600
    cells = np.array([_cell(number, width, height) for number in numbers])
    low = cells.min(axis=0) - 1
    shape = tuple(cells.max(axis=0) - low + 2)
    if shape[0] * shape[1] > MOST_CELLS:
        return
    there = np.zeros(shape, bool)
    there[tuple((cells - low).T)] = True
    shut_in = ~there & ~_reached(there)
    between = np.zeros(shape, bool)
    between[1:-1, 1:-1] = (there[:-2, 1:-1] & there[2:, 1:-1]) | (there[1:-1, :-2] & there[1:-1, 2:])
    for column, row in np.argwhere((shut_in | between) & ~there):
        number = sheets.encode((column + low[0] + Fraction(1, 2)) * width, (row + low[1] + Fraction(1, 2)) * height, letter)
        yield number, sheets.sheet_frame(number)


def _cell(number: str, width: Fraction, height: Fraction) -> tuple[int, int]:
    """Column and row in the grid of the scale, from 0 E and the equator."""
    frame = sheets.sheet_bounds(number)
    return round((frame.left + frame.right) / 2 / float(width) - 0.5), round((frame.bottom + frame.top) / 2 / float(height) - 0.5)


def _reached(there: np.ndarray) -> np.ndarray:
    """Empty cells that can be walked to from outside."""
    reached = np.zeros_like(there)
    reached[0], reached[-1], reached[:, 0], reached[:, -1] = True, True, True, True
    count = 0
    while (now := int(reached.sum())) != count:
        count = now
        for axis in (0, 1):
            for step in (1, -1):                            # a whole sweep in one direction, so that few rounds are needed
                lines = reached if axis == 0 else reached.T
                free = ~there if axis == 0 else ~there.T
                order = range(1, len(lines)) if step == 1 else range(len(lines) - 2, -1, -1)
                for line in order:
                    lines[line] |= lines[line - step] & free[line]
    return reached


def gaps_between(parts: Sequence[Sheet], missing: Sequence[shapely.Polygon]) -> list[shapely.Polygon]:
    """Holes in the ground that sheets cover together, in CRS84, but for those of missing sheets and those narrower than two pixels."""
    if not parts:
        return []
    degrees = min(_pixel(sheet) for sheet in parts) * SLIVER_PIXELS / 2
    grown = shapely.union_all(shapely.buffer([sheet.footprint for sheet in parts], degrees, join_style="mitre"))
    rings = [ring for polygon in shapely.get_parts(grown) for ring in polygon.interiors]
    holes = [shapely.Polygon(ring).buffer(degrees, join_style="mitre") for ring in rings]
    if missing:
        known = shapely.union_all(missing).buffer(degrees)
        holes = [hole.difference(known) for hole in holes]
    return [hole for hole in holes if not hole.is_empty and hole.area > (4 * degrees) ** 2][:MOST_LISTED]


def _pixel(sheet: Sheet) -> float:
    """About the size of a pixel in degrees."""
    size = max(sheet.resolution)
    return size if reference.is_geographic(sheet.crs) else size / 111_320


def overlapping(parts: Sequence[Sheet]) -> list[tuple[str, str, float]]:
    """Pairs of sheets that share more than a hundredth of the smaller one, and how many km2, the largest first."""
    shapes = np.array([sheet.footprint for sheet in parts])
    if len(shapes) < 2:
        return []
    shapely.prepare(shapes)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a < b]
    if not pairs:
        return []
    one, other = (shapes[list(index)] for index in zip(*pairs, strict=True))
    shared = shapely.intersection(one, other)
    share = shapely.area(shared) / np.minimum(shapely.area(one), shapely.area(other))
    found = [(parts[a].source_name, parts[b].source_name, reference.geodesic_km2(shared[n])) for n, (a, b) in enumerate(pairs) if share[n] > OVERLAP_SHARE]
    return sorted(found, key=lambda pair: -pair[2])[:MOST_LISTED]
