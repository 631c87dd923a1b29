"""Which cells of the ground a picture shows.

A picture counts as the squares nearest to it: its edges are rounded to edges of squares, but never to nothing, so that a strip between two
rows of centres counts as a row, and a picture within one cell as that cell. Squares are cells of 5 m, or as many of them as come nearest to a
pixel: what is not told finer need not be counted finer. Of a picture on the edge of what is granted those squares count whose centre lies inside;
where it shows something of the area but no centre, one cell does.
"""

import math
import threading
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geoserver_app.metering.ground import CELL, COLUMNS, NOWHERE, ROWS, Footprint, footprint_of, one_cell, to_plane
from layers.crs import ground_resolution, is_geographic, transformer
from layers.model import Bounds, View
from tiles.clip import Rings

LONGEST_EDGE = 0.01
"""Degrees, before geometry goes to the plane: a straight edge then misses its curve by centimetres."""

LARGEST_SQUARE = 1 << 16
POINTS_PER_SIDE = 33


class GroundArea:
    """What is granted of an edition, in the plane of the cells. `geometry` is polygonal, in CRS84, not empty."""

    def __init__(self, geometry: BaseGeometry):
        self.geometry = shapely.transform(shapely.segmentize(geometry, LONGEST_EDGE), to_plane)
        self._lock = threading.Lock()                   # GEOS builds the indexes of a prepared geometry when they are first used
        shapely.prepare(self.geometry)

    @cached_property
    def rings(self) -> Rings:
        return Rings(self.geometry)

    def relation(self, shape: BaseGeometry) -> str:
        """inside, edge, outside."""
        with self._lock:
            if not shapely.intersects(self.geometry, shape):
                return "outside"
            return "inside" if shapely.covers(self.geometry, shape) else "edge"

    def some_point(self, shape: BaseGeometry) -> shapely.Point:
        """Of what it has in common with `shape`."""
        return shapely.point_on_surface(shapely.intersection(self.geometry, shape))


def footprint_of_view(view: View, area: GroundArea) -> Footprint:
    """The cells of `area` that a picture of `view` shows.

    Raises
    ------
    OutsideAreaOfUse
        A part of `view` lies where its CRS means nothing: it is no picture of ours.
    """
    placed = _upright(view) if is_geographic(view.crs) or view.crs == "EPSG:3857" else _slanting(view)
    relation = area.relation(placed.shape)
    if relation == "outside":
        return NOWHERE
    if relation == "inside" and placed.mask is None:
        return Footprint(rectangles=(placed.cells,))
    mask = np.ones((placed.rows, placed.columns), bool) if placed.mask is None else placed.mask
    if relation == "edge":
        left, bottom, right, top = placed.cells
        # the mask's first row is the northern one
        within = View(crs="", bounds=Bounds(float(left), float(bottom), float(right), float(top)), width=placed.columns, height=placed.rows)
        mask = mask & area.rings.mask(within)[::-1]
        if not mask.any():
            point = area.some_point(placed.shape)
            return one_cell(point.x, point.y)
    return footprint_of(mask, placed.column, placed.row, placed.unit)


def footprint_of_point(longitude: float, latitude: float) -> Footprint:
    ((column, row),) = to_plane(np.array([[longitude, latitude]])).tolist()
    return one_cell(column, row)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A view in the plane: its true shape, and the squares nearest to it; `mask` (row northwards, column) None where all of the window's are."""

    shape: BaseGeometry
    unit: int                   # cells along a square
    column: int                 # of the first square, in squares
    row: int
    columns: int
    rows: int
    mask: np.ndarray | None = None

    @property
    def cells(self) -> tuple[int, int, int, int]:
        unit = self.unit
        return self.column * unit, self.row * unit, (self.column + self.columns) * unit, (self.row + self.rows) * unit


def _unit(view: View) -> int:
    """Cells along a square: the power of 2 that comes nearest to a pixel."""
    cells = ground_resolution(view) / CELL
    return 1 if cells < 1 else min(1 << round(math.log2(cells)), LARGEST_SQUARE)


def _nearest(low: float, high: float, unit: int, most: int) -> tuple[int, int]:
    """First and one past the last of the squares whose edges are nearest: at least one, none beyond the plane."""
    first = min(max(round(low / unit), 0), (most - 1) // unit)
    return first, max(round(high / unit), first + 1)


def _upright(view: View) -> _Placed:
    """Of a CRS in which meridians and parallels are straight: a rectangle."""
    bounds, unit = view.bounds, _unit(view)
    x, y = transformer(view.crs, "CRS:84").transform([bounds.left, bounds.right], [bounds.bottom, bounds.top])
    corners = np.column_stack([np.clip(x, -180.0, 180.0), np.clip(y, -90.0, 90.0)])
    (left, bottom), (right, top) = to_plane(corners).tolist()
    first_column, last_column = _nearest(left, right, unit, COLUMNS)
    first_row, last_row = _nearest(bottom, top, unit, ROWS)
    return _Placed(
        shape=shapely.box(left, bottom, right, top), unit=unit, column=first_column, row=first_row, columns=last_column - first_column,
        rows=last_row - first_row,
    )


def _slanting(view: View) -> _Placed:
    """Of any other: line by line of squares across its longer side, so that a thin picture counts in every one of them."""
    unit = _unit(view)
    bottom, right, top, left = _sides(view)
    shape = shapely.Polygon(np.concatenate([bottom, right, top[::-1], left[::-1]]))
    if np.ptp(bottom[:, 0]) >= np.ptp(left[:, 1]):
        column, row, mask = _lines(left[:, 0].mean(), right[:, 0].mean(), bottom, top, unit, COLUMNS, ROWS)
        mask = mask.T
    else:
        row, column, mask = _lines(bottom[:, 1].mean(), top[:, 1].mean(), left[:, ::-1], right[:, ::-1], unit, ROWS, COLUMNS)
    return _Placed(shape=shape, unit=unit, column=column, row=row, columns=mask.shape[1], rows=mask.shape[0], mask=mask)


def _sides(view: View) -> list[np.ndarray]:
    """Bottom, right, top, left in the plane; from west to east, from south to north."""
    x0, y0, x1, y1 = view.bounds
    xs, ys = np.linspace(x0, x1, POINTS_PER_SIDE), np.linspace(y0, y1, POINTS_PER_SIDE)
    whole = np.concatenate([xs, np.full_like(ys, x1), xs, np.full_like(ys, x0)]), np.concatenate([np.full_like(xs, y0), ys, np.full_like(xs, y1), ys])
    return np.split(to_plane(np.column_stack(transformer(view.crs, "CRS:84").transform(*whole))), 4)


def _lines(start: float, end: float, low: np.ndarray, high: np.ndarray, unit: int, most: int, most_across: int) -> tuple[int, int, np.ndarray]:
    """Lines of squares from `start` to `end`, each from the curve `low` to the curve `high`: the first line, the first square across, and the
    mask (line, square)."""
    first, last = _nearest(start, end, unit, most)
    centres = (np.arange(first, last) + 0.5) * unit
    begins = np.clip(np.rint(np.interp(centres, low[:, 0], low[:, 1]) / unit).astype(int), 0, (most_across - 1) // unit)
    ends = np.maximum(np.rint(np.interp(centres, high[:, 0], high[:, 1]) / unit).astype(int), begins + 1)
    across = np.arange(begins.min(), ends.max())
    return first, int(across[0]), (across >= begins[:, None]) & (across < ends[:, None])
