"""Contour lines of a grid, by marching squares; numpy and shapely only."""

from collections.abc import Iterator

import numpy as np
import shapely
from shapely.geometry import LineString

# Which cell edges a line joins for each pattern of corners above the level.
# Bits: 1 = top left, 2 = top right, 4 = bottom right, 8 = bottom left.
# Edges: 0 top, 1 right, 2 bottom, 3 left. Saddles are cut the same way every time.
JOINS = {
    1: [(3, 0)],
    2: [(0, 1)],
    3: [(3, 1)],
    4: [(1, 2)],
    5: [(3, 0), (1, 2)],
    6: [(0, 2)],
    7: [(3, 2)],
    8: [(2, 3)],
    9: [(2, 0)],
    10: [(0, 1), (2, 3)],
    11: [(2, 1)],
    12: [(1, 3)],
    13: [(1, 0)],
    14: [(0, 3)],
}


def contours(
    heights: np.ndarray, left: float, top: float, cell: float, interval: float, *, lowest: float, simplify: float = 1.5
) -> Iterator[tuple[float, LineString]]:
    """Level and line of each contour, from `lowest` up.

    Parameters
    ----------
    heights : array (row, col), metres
        Values at nodes; row 0 is north. `left`, `top` are the coordinates of the first node, `cell` the spacing.
    simplify : float
        Tolerance in metres; lines shorter than 20 times that are left out.
    """
    low = np.minimum(np.minimum(heights[:-1, :-1], heights[:-1, 1:]), np.minimum(heights[1:, :-1], heights[1:, 1:]))
    high = np.maximum(np.maximum(heights[:-1, :-1], heights[:-1, 1:]), np.maximum(heights[1:, :-1], heights[1:, 1:]))
    first = np.maximum(np.ceil((low - lowest) / interval), 0).astype(np.int32)
    last = np.floor((high - lowest) / interval).astype(np.int32)
    crossed = np.flatnonzero(last >= first)
    first, last, cols = first.ravel()[crossed], last.ravel()[crossed], low.shape[1]
    for step in range(int(last.max(initial=-1)) + 1):
        cells = crossed[(first <= step) & (last >= step)]
        level = lowest + step * interval + 1e-4
        segments = _segments(heights, cells // cols, cells % cols, level, left, top, cell)
        if len(segments):
            merged = shapely.line_merge(shapely.multilinestrings(shapely.linestrings(segments)))
            for line in shapely.get_parts(shapely.simplify(merged, simplify)):
                if line.length > 20 * simplify:
                    yield lowest + step * interval, line


def _segments(heights: np.ndarray, row: np.ndarray, col: np.ndarray, level: float, left: float, top: float, cell: float) -> np.ndarray:
    """(n, 2, 2) ends of the pieces of one contour."""
    a, b, c, d = heights[row, col], heights[row, col + 1], heights[row + 1, col + 1], heights[row + 1, col]
    pattern = (a > level) * 1 + (b > level) * 2 + (c > level) * 4 + (d > level) * 8

    def share(p, q):
        p, q = p.astype(float), q.astype(float)
        return np.clip((level - p) / np.where(q == p, 1, q - p), 0, 1)

    x, y = left + col * cell, top - row * cell
    edges = [
        (x + cell * share(a, b), y),
        (x + cell, y - cell * share(b, c)),
        (x + cell * share(d, c), y - cell),
        (x, y - cell * share(a, d)),
    ]
    pieces = []
    for value, joins in JOINS.items():
        here = pattern == value
        for start, end in joins if here.any() else ():
            ends = [np.stack(np.broadcast_arrays(*edges[e]), -1)[here] for e in (start, end)]
            pieces.append(np.stack(ends, 1))
    # Neighbouring cells compute a shared crossing from the same two nodes; rounding makes the two ends one point.
    return np.round(np.concatenate(pieces), 3) if pieces else np.empty((0, 2, 2))
