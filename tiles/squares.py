"""Squares of a CRS in which what is drawn over a map is placed once for all: they lie where tiles lie, and are as large.

A picture that depends on whole squares and a margin around them is the same whichever view it is seen in.
"""

import math
from dataclasses import dataclass

import numpy as np

from layers.model import Bounds, View
from tiles.grids import TILE_MATRIX_SETS

SQUARE = 256
"""Pixels: side of the squares in which labels stand; that of tiles."""

MARGIN = 24
"""Pixels read around a view: what smoothing, fading and the length of a loop may depend on."""

LARGEST_PIECE = 2048
"""Pixels to a side that are drawn at once, on squares of half that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A view widened to whole squares and a margin: `left`, `top` pixels before it; `squares` are corners of squares in its pixels."""

    view: View
    left: int
    top: int
    inner: View
    squares: tuple[tuple[int, int], ...]

    @classmethod
    def around(cls, view: View) -> "Frame":
        step_x, step_y = view.resolution
        origin_x, origin_y = origin(view.crs)
        before_x, cols, first_x = _squares_along((view.bounds.left - origin_x) / step_x, view.width)
        before_y, rows, first_y = _squares_along((origin_y - view.bounds.top) / step_y, view.height)
        width, height = cols * SQUARE + 2 * MARGIN + 1, rows * SQUARE + 2 * MARGIN + 1
        left, top = view.bounds.left - before_x * step_x, view.bounds.top + before_y * step_y
        wide = View(crs=view.crs, bounds=Bounds(left, top - height * step_y, left + width * step_x, top), width=width, height=height)
        corners = tuple((first_x + col * SQUARE, first_y + row * SQUARE) for row in range(rows) for col in range(cols))
        return cls(view=wide, left=before_x, top=before_y, inner=view, squares=corners)

    def cut(self, pixels: np.ndarray) -> np.ndarray:
        return pixels[self.top : self.top + self.inner.height, self.left : self.left + self.inner.width]


def _squares_along(start: float, count: int) -> tuple[int, int, int]:
    """Of pixels from `start` on, counted from the origin: how many to read before them, how many squares they touch, and where in what is read
    the first square begins."""
    first = math.floor((start + 0.01) / SQUARE)
    squares = math.ceil((start + count - 0.01) / SQUARE) - first
    lead = start - first * SQUARE                           # from the first square's edge to the view
    before = math.ceil(lead - 0.01) + MARGIN
    return before, squares, round(before - lead)


def origin(crs: str) -> tuple[float, float]:
    """Where tiles of the CRS begin; a corner of the CRS itself where it has none."""
    return next((tms.origin for tms in TILE_MATRIX_SETS.values() if tms.crs == crs), (0.0, 0.0))


def pieces(start: float, count: int) -> list[tuple[int, int]]:
    """Pixels of a view from and to, cut where squares end, near enough; `start` is where the view begins, in pixels from the origin."""
    edges = [edge for edge in range(math.ceil(-start % SQUARE), count, LARGEST_PIECE // 2) if edge]
    return list(zip([0, *edges], [*edges, count], strict=True))
