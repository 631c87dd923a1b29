"""The exact mask: which pixels of a view have their centre inside an area.

One rule, everywhere: a pixel is visible when its centre lies inside the area (even-odd over all rings, so holes and islands in holes come out
right). It is computed by crossing every ring with the horizontal line through each row of pixel centres; nothing is simplified and nothing is
rounded before the comparison, so the mask equals a point-in-polygon test of every pixel centre.
"""

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from layers.model import View


class Rings:
    """The edges of polygons as arrays, ready to be crossed. `geometry` is polygonal, in the CRS of the views it will be asked for."""

    __slots__ = ("x0", "y0", "x1", "y1", "low", "high", "left")

    def __init__(self, geometry: BaseGeometry):
        lines = [shapely.get_coordinates(ring) for ring in shapely.get_rings(shapely.get_parts(geometry))]
        starts = np.concatenate([line[:-1] for line in lines]) if lines else np.empty((0, 2))
        ends = np.concatenate([line[1:] for line in lines]) if lines else np.empty((0, 2))
        slanting = starts[:, 1] != ends[:, 1]                      # a level edge is never crossed by a level line
        self.x0, self.y0 = np.ascontiguousarray(starts[slanting].T)
        self.x1, self.y1 = np.ascontiguousarray(ends[slanting].T)
        self.low, self.high = np.minimum(self.y0, self.y1), np.maximum(self.y0, self.y1)
        self.left = np.minimum(self.x0, self.x1)

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
