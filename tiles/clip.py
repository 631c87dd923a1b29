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
        lines = [shapely.get_coordinates(ring) for ring in shapely.get_rings(geometry)]
        starts = np.concatenate([line[:-1] for line in lines]) if lines else np.empty((0, 2))
        ends = np.concatenate([line[1:] for line in lines]) if lines else np.empty((0, 2))
        slanting = starts[:, 1] != ends[:, 1]                      # a level edge is never crossed by a level line
        self.x0, self.y0 = np.ascontiguousarray(starts[slanting].T)
        self.x1, self.y1 = np.ascontiguousarray(ends[slanting].T)
        self.low, self.high = np.minimum(self.y0, self.y1), np.maximum(self.y0, self.y1)
        self.left = np.minimum(self.x0, self.x1)

    def mask(self, view: View) -> np.ndarray:
        """(row, col) of bool: True where the centre of the pixel is inside. Row 0 is the top."""
        bounds, (step_x, step_y) = view.bounds, view.resolution
        near = np.flatnonzero((self.high > bounds.bottom) & (self.low < bounds.top) & (self.left < bounds.right))
        rows, xs = _crossings(self, near, bounds.top, step_y, view.height)
        # centres to the right of a crossing change sides: first column whose centre lies beyond it
        columns = np.ceil((xs - bounds.left) / step_x - 0.5)
        flips = np.zeros((view.height, view.width + 1), np.uint8)
        kept = columns <= view.width - 1
        columns = np.maximum(columns[kept], 0).astype(np.intp)
        np.bitwise_xor.at(flips, (rows[kept], columns), 1)
        return np.bitwise_xor.accumulate(flips[:, :-1], axis=1).astype(bool)


def _crossings(rings: Rings, near: np.ndarray, top: float, step_y: float, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and x of every crossing of an edge with a line through pixel centres. An edge owns its lower end, not its upper one."""
    low, high = rings.low[near], rings.high[near]
    first = np.clip(np.floor((top - high) / step_y - 0.5), 0, height - 1).astype(np.intp)
    last = np.clip(np.ceil((top - low) / step_y - 0.5), -1, height - 1).astype(np.intp)
    counts = np.maximum(last - first + 1, 0)
    which = np.repeat(np.arange(len(near)), counts)
    rows = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts) + first[which]
    y = top - (rows + 0.5) * step_y
    met = (y >= low[which]) & (y < high[which])
    which, rows, y = near[which[met]], rows[met], y[met]
    share = (y - rings.y0[which]) / (rings.y1[which] - rings.y0[which])
    return rows, rings.x0[which] + share * (rings.x1[which] - rings.x0[which])
