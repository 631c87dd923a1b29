"""A smooth surface through coarse cells of heights: what a grant of coarser heights tells of the ground, at a cell's centre and between them.

The means of the cells still hold, folded back, a part of what is finer than the cells can express, and straight lines or Lanczos' kernel between
them mirror what lies just below the limit to just above it. So the means are weighed to coefficients, from which what alternates from cell to
cell is gone, and a quintic B-spline of these is the surface: smooth to the fourth derivative, with next to nothing above half a cycle a cell.
Cells without data count for nothing: what is left of the weights is made to add up to one again.

Sources: M. Unser, Splines: a perfect fit for signal and image processing, IEEE Signal Processing Magazine 16 (1999), eq. 3 (the B-spline of degree n).
"""

from functools import reduce
from math import comb, factorial

import numpy as np

DEGREE = 5

WEIGHTS = np.array([1, -12, 23, 72, 23, -12, 1]) / 96
"""Of a cell's mean and its neighbours' along one axis: (-1, 4, 10, 4, -1) / 16, which gives 0 of what alternates and all of what changes slowly, and
(-1, 8, -1) / 6, which gives back some of what the spline smooths away."""

REACH_OF_COEFFICIENT = len(WEIGHTS) // 2
"""Cells to each side of its own that a coefficient is made of."""

REACH_OF_PLACE = (DEGREE + 1) // 2
"""Cells to each side of the one that holds a place whose coefficients make the surface there."""

REACH_OF_CENTRE = DEGREE // 2
"""... and there, of the one in whose centre the place lies."""

PLACES_AT_ONCE = 1 << 18

DIGITS = 1024
"""Parts of a unit that heights are rounded to, so that one is the same to the last bit in whichever window it lies."""


def coefficients(means: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(row, col) of float64 from the means of cells, 0 where `valid` is 0. Those nearer to the edge of the window than `REACH_OF_COEFFICIENT` are made of
    what the window holds of their neighbours."""
    found, known = means.astype(np.float64), (valid > 0).astype(np.float64)
    for axis in (0, 1):
        weight = _along(known, WEIGHTS, axis)                   # at least a half where the cell itself is known
        found = _along(found * known, WEIGHTS, axis) / np.where(known > 0, weight, 1.0) * known
    return found


def at_centres(coefficients: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The surface at the centres of the cells: (row, col) of float32, 0 where `valid` is 0."""
    spline, total, weight = _spline(np.arange(-REACH_OF_CENTRE, REACH_OF_CENTRE + 1)), coefficients, (valid > 0).astype(np.float64)
    for axis in (0, 1):
        total, weight = _along(total, spline, axis), _along(weight, spline, axis)
    return np.where(valid > 0, rounded(total / np.maximum(weight, 1e-9)), 0).astype(np.float32)


def at_places(coefficients: np.ndarray, valid: np.ndarray, cols: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The surface at places of the window, the corner of the first cell being 0: float32 of their shape, for places whose cell is valid; anything elsewhere."""
    edge = REACH_OF_PLACE
    is_amid = min(cols.min(), rows.min()) >= edge and cols.max() <= valid.shape[1] - edge and rows.max() <= valid.shape[0] - edge
    coefficients, known = (np.pad(one, edge) for one in (coefficients, valid > 0))         # beyond the window there is nothing
    weight = None if is_amid and valid.min() > 0 else known.astype(np.float64)
    strip, found = max(1, PLACES_AT_ONCE // max(1, cols.shape[1])), np.empty(cols.shape, np.float32)
    for start in range(0, len(cols), strip):
        part = slice(start, start + strip)
        around = _around(cols[part] + (edge - 0.5), rows[part] + (edge - 0.5), coefficients.shape)
        surface = _mixed(coefficients, around)
        found[part] = rounded(surface if weight is None else surface / np.maximum(_mixed(weight, around), 1e-9))
    return found


def _around(x: np.ndarray, y: np.ndarray, shape: tuple[int, int]) -> tuple[list[tuple[np.ndarray, np.ndarray]], ...]:
    """Of places, the centre of the first cell being 0: the rows, and columns, of the cells around each, as what they add to an index, and what they weigh."""
    found = []
    for at, count, apart in ((y, shape[0], shape[1]), (x, shape[1], 1)):
        first = np.floor(at)
        share, cell = at - first, first.astype(np.intp)
        weights = (reduce(lambda value, factor: value * share + factor, piece[1:], piece[0]) for piece in PIECES)
        found.append([(np.clip(cell + step, 0, count - 1) * apart, weight) for step, weight in zip(STEPS, weights, strict=True)])
    return tuple(found)


def _mixed(cells: np.ndarray, around: tuple[list[tuple[np.ndarray, np.ndarray]], ...]) -> np.ndarray:
    flat, total = np.ascontiguousarray(cells).ravel(), 0.0
    for top, row_weight in around[0]:
        total = total + row_weight * sum(flat.take(top + left) * col_weight for left, col_weight in around[1])
    return total


def rounded(heights: np.ndarray) -> np.ndarray:
    return np.rint(heights * DIGITS) / DIGITS


def _along(values: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    """Weighted sums of neighbours along an axis; beyond the edge there is nothing."""
    reach = len(weights) // 2
    padded = np.pad(values, [(reach, reach) if one == axis else (0, 0) for one in (0, 1)])
    count = values.shape[axis]
    return sum(weight * np.take(padded, np.arange(number, number + count), axis=axis) for number, weight in enumerate(weights))


def _spline(away: np.ndarray) -> np.ndarray:
    """The centred B-spline of `DEGREE` at distances from its middle, in cells."""
    return sum(factor * np.maximum(away - knot, 0.0) ** DEGREE for knot, factor in _KNOTS)


def _pieces() -> np.ndarray:
    """(step, power): the weight of the cell at each of `STEPS`, as a polynomial of how far past a centre a place lies; the highest power first."""
    found = []
    for step in STEPS:
        active = [factor * np.poly1d([1.0, -step - knot]) ** DEGREE for knot, factor in _KNOTS if knot + step <= 0]
        found.append(sum(active, np.poly1d([0.0])).coeffs)
    return np.array([np.pad(piece, (DEGREE + 1 - len(piece), 0)) for piece in found])


_KNOTS = [(number - (DEGREE + 1) / 2, (-1) ** number * comb(DEGREE + 1, number) / factorial(DEGREE)) for number in range(DEGREE + 2)]
STEPS = range(1 - REACH_OF_PLACE, REACH_OF_PLACE + 1)
PIECES = _pieces()
