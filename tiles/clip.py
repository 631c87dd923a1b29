"""The exact mask: which pixels of a view lie inside an area.

The rule of centres: a pixel is visible when its centre lies inside the area (even-odd over all rings, so holes and islands in holes come out
right). It is computed by crossing every ring with the horizontal line through each row of pixel centres; nothing is simplified and nothing is
rounded before the comparison, so the mask equals a point-in-polygon test of every pixel centre.

The strict rule, of classified layers: a pixel is visible when its whole footprint lies inside, that is a rectangle around its centre that holds
the pixel itself and every source pixel that may be mixed into it. It is computed by marking the rectangles that any edge runs through.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from layers.crs import finest_unit
from layers.model import View
from layers.mosaic.reader import COARSEST_ALLOWED

HAIR = 1e-6
"""Share of a footprint that may stand out over the border: an area that ends on the very edge of pixels loses none of them to rounding."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a pixel speaks for, where the strict rule holds.

    `source` is the side of the source's pixels in metres on the ground, 0 of vectors; `reach` how many source pixels from a pixel's centre
    something may lie that is mixed into it, whichever way the two grids are turned.
    """

    source: float = 0.0
    reach: float = 0.0

    def half_sides(self, view: View) -> tuple[float, float]:
        """Half of the rectangle's width and height, in units of the view's CRS: at least half a pixel."""
        step_x, step_y = view.resolution
        if not self.source:
            return step_x / 2, step_y / 2
        read = max(self.source / finest_unit(view.bounds, view.crs), COARSEST_ALLOWED * max(step_x, step_y))
        return max(step_x / 2, self.reach * read), max(step_y / 2, self.reach * read)


class Rings:
    """The edges of polygons as arrays, ready to be crossed. `geometry` is polygonal, in the CRS of the views it will be asked for."""

    __slots__ = ("x0", "y0", "x1", "y1", "low", "high", "left", "level")

    def __init__(self, geometry: BaseGeometry):
        lines = [shapely.get_coordinates(ring) for ring in shapely.get_rings(shapely.get_parts(geometry))]
        starts = np.concatenate([line[:-1] for line in lines]) if lines else np.empty((0, 2))
        ends = np.concatenate([line[1:] for line in lines]) if lines else np.empty((0, 2))
        slanting = starts[:, 1] != ends[:, 1]                      # a level edge is never crossed by a level line
        self.x0, self.y0 = np.ascontiguousarray(starts[slanting].T)
        self.x1, self.y1 = np.ascontiguousarray(ends[slanting].T)
        self.low, self.high = np.minimum(self.y0, self.y1), np.maximum(self.y0, self.y1)
        self.left = np.minimum(self.x0, self.x1)
        self.level = np.column_stack([starts[~slanting], ends[~slanting]])

    def mask(self, view: View) -> np.ndarray:
        """(row, col) of bool: True where the centre of the pixel is inside. Row 0 is the top."""
        rows, xs = self._crossings(view)
        # a crossing changes the side of every centre to its right: the first such column takes the flip
        columns = np.ceil((xs - view.bounds.left) / view.resolution[0] - 0.5)
        kept = columns < view.width
        columns = np.maximum(columns[kept], 0).astype(np.intp)
        flips = np.bincount(rows[kept] * view.width + columns, minlength=view.height * view.width).reshape(view.height, view.width)
        return np.bitwise_xor.accumulate((flips & 1).astype(bool), axis=1)

    def _crossings(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        """Row and x of every crossing of an edge with a line through pixel centres, those to the right of the view left out.

        A vertex lies between two such lines, by a number that depends on its y alone; an edge crosses the lines between its two ends. So
        neighbouring edges agree about the vertex they share, and every line is crossed an even number of times, whatever is rounded.
        """
        bounds, step = view.bounds, view.resolution[1]
        near = np.flatnonzero((self.high > bounds.bottom) & (self.low < bounds.top) & (self.left < bounds.right))
        above = np.floor((bounds.top - self.high[near]) / step - 0.5)              # last row whose centre is not below the upper end
        below = np.floor((bounds.top - self.low[near]) / step - 0.5)               # last row whose centre is not below the lower end
        first = np.clip(above + 1, 0, view.height).astype(np.intp)
        counts = np.clip(below + 1, 0, view.height).astype(np.intp) - first
        which = np.repeat(np.arange(len(near)), counts)
        rows = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts) + first[which]
        edge = near[which]
        y = bounds.top - (rows + 0.5) * step
        share = (y - self.y0[edge]) / (self.y1[edge] - self.y0[edge])
        return rows, self.x0[edge] + share * (self.x1[edge] - self.x0[edge])

    def touched(self, view: View, half_x: float, half_y: float) -> np.ndarray:
        """(row, col) of bool: True where an edge runs through the rectangle of these half sides around the pixel's centre.

        Each edge is cut to the rows whose rectangles it enters; there, the rectangles it enters are a run of columns.
        """
        half_x, half_y = half_x * (1 - HAIR), half_y * (1 - HAIR)
        (left, bottom, right, top), (step_x, step_y) = view.bounds, view.resolution
        near = np.flatnonzero(
            (self.high > bottom - half_y) & (self.low < top + half_y) & (self.left < right + half_x)
            & (np.maximum(self.x0, self.x1) > left - half_x)
        )
        level = self.level
        x0, y0, x1, y1 = (np.concatenate([one[near], level[:, column]]) for column, one in enumerate((self.x0, self.y0, self.x1, self.y1)))
        low, high = np.minimum(y0, y1), np.maximum(y0, y1)
        first = np.clip(np.floor((top - high - half_y) / step_y - 0.5) + 1, 0, view.height).astype(np.intp)
        counts = np.maximum(np.clip(np.ceil((top - low + half_y) / step_y - 0.5), 0, view.height).astype(np.intp) - first, 0)
        edge = np.repeat(np.arange(len(counts)), counts)
        rows = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
        y = top - (rows + 0.5) * step_y
        rise = np.where(y1 == y0, 1.0, y1 - y0)[edge]
        ends = []
        for at in (np.maximum(low[edge], y - half_y), np.minimum(high[edge], y + half_y)):
            share = np.clip((at - y0[edge]) / rise, 0.0, 1.0)
            ends.append(x0[edge] + share * (x1[edge] - x0[edge]))
        is_level = (y1 == y0)[edge]
        ends[1] = np.where(is_level, x1[edge], ends[1])
        from_x, to_x = np.minimum(*ends), np.maximum(*ends)
        begin = np.clip(np.floor((from_x - half_x - left) / step_x - 0.5) + 1, 0, view.width).astype(np.intp)
        end = np.clip(np.ceil((to_x + half_x - left) / step_x - 0.5), 0, view.width).astype(np.intp)
        some = begin < end
        size, shape = view.height * (view.width + 1), (view.height, view.width + 1)
        at_row = rows[some] * (view.width + 1)
        runs = np.bincount(at_row + begin[some], minlength=size) - np.bincount(at_row + end[some], minlength=size)
        return np.cumsum(runs.reshape(shape), axis=1)[:, :-1] > 0
