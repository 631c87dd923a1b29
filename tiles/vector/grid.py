"""From shapes in the CRS of an edition to whole numbers on the grid of one tile.

Everything here looks at one feature at a time: a vertex goes to the nearest point of the grid, repeated points and points on the straight line
between their neighbours go, and so does what has no extent left. Nothing is dropped because there is much of it around. So what is told of a
feature depends on nothing but itself and the tile; and since the parts of a feature, and where its rings begin, are put into one order, on nothing
of itself that lies elsewhere.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import shapely
from numpy.polynomial import chebyshev

from layers.crs import EARTH_RADIUS, finest_unit, is_geographic, reach, transform_bounds, transformer
from layers.errors import OutsideAreaOfUse
from layers.model import Bounds
from tiles.grids import TileMatrixSet
from tiles.vector.encoder import EXTENT, LINE, POINT, POLYGON, Drawing, run_of

BUFFER = 64
"""Units around the tile in which lines and areas go on, so that their edges meet those of the next tile: half the width of a line at 512 pixels."""

EXACT = 1 / 64
"""Units by which a projection that is worked out for the tile as a whole may differ from that of each point."""

DEGREE = 6
GEOMETRIES = {"point": POINT, "line": LINE, "area": POLYGON}
DIMENSIONS = {POINT: 0, LINE: 1, POLYGON: 2}
MOST_TIDYINGS = 8


@dataclass(frozen=True)
class TileGrid:
    """The grid of one tile: `extent` units to a side, x to the right, y down from the top left corner."""

    tms: TileMatrixSet
    z: int
    row: int
    col: int
    extent: int = EXTENT
    buffer: int = BUFFER
    _boxes: dict[str, Bounds | None] = field(default_factory=dict, compare=False, repr=False)
    _fits: dict[str, tuple[np.ndarray, np.ndarray] | None] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def bounds(self) -> Bounds:
        """Of the tile, in units of the set's CRS."""
        return self.tms.bounds(self.z, self.row, self.col)

    @property
    def unit(self) -> float:
        """Units of the CRS in one of the grid."""
        return self.bounds.width / self.extent

    @cached_property
    def around(self) -> Bounds:
        """The tile with its buffer, in units of the set's CRS."""
        left, bottom, right, top = self.bounds
        by = self.buffer * self.unit
        return Bounds(left - by, bottom - by, right + by, top + by)

    def box_in(self, crs: str) -> Bounds | None:
        """The box of the tile with its buffer in another CRS; None where that can't express any of it."""
        if crs == self.tms.crs:
            return self.around
        if crs not in self._boxes:
            self._boxes[crs] = self._box_in(crs)
        return self._boxes[crs]

    def _box_in(self, crs: str) -> Bounds | None:
        try:
            world = transform_bounds(self._expressible, self.tms.crs, "CRS:84")
            within = world.intersection(reach(crs))
            if within.width <= 0 or within.height <= 0:
                return None
            box = transform_bounds(self._expressible if within == world else within, self.tms.crs if within == world else "CRS:84", crs)
        except OutsideAreaOfUse:
            return None
        spare = 1e-4 * max(box.width, box.height)                # what is densified at 65 points a side may bulge by this much
        return Bounds(box.left - spare, box.bottom - spare, box.right + spare, box.top + spare)

    @property
    def _expressible(self) -> Bounds:
        return self.around.intersection(Bounds(-180.0, -90.0, 180.0, 90.0)) if is_geographic(self.tms.crs) else self.around

    def placed(self, shapes: np.ndarray, geometry: int, crs: str) -> tuple[np.ndarray, Drawing]:
        """Which of `shapes` (n,) show something on the tile, ascending, and how.

        Parameters
        ----------
        shapes : ndarray of shapely geometries
            In `crs`, x before y. Parts of another dimension than that of `geometry` are left out.
        geometry : int
            POINT, LINE or POLYGON.
        crs : str
            One of the served names, or that of the edition.

        Raises
        ------
        OutsideAreaOfUse
            The tile's CRS can't express a vertex.
        """
        box = self.box_in(crs)
        if box is None or not len(shapes):
            return _nothing(geometry)
        parts, owners = _parts(shapes, geometry)
        if geometry == POINT:
            return self._points(parts, owners, crs)
        parts, owners = self._near(parts, owners, geometry, box, crs)
        if not len(parts):
            return _nothing(geometry)
        parts = shapely.set_coordinates(parts, self._project(shapely.get_coordinates(parts), crs, box))
        low, high = -self.buffer, self.extent + self.buffer
        parts, owners = _clipped(parts, owners, geometry, Bounds(low, low, high, high))
        return _lines(parts, owners) if geometry == LINE else _areas(parts, owners)

    def _points(self, parts: np.ndarray, owners: np.ndarray, crs: str) -> tuple[np.ndarray, Drawing]:
        """Each point belongs to one tile alone: clients draw its symbol beyond the edge by themselves."""
        at = self._exact(shapely.get_coordinates(parts), crs)
        here = ((at >= 0) & (at < self.extent)).all(axis=1)
        points, owners = np.rint(at[here]).astype(np.int64), owners[here]
        repeats = np.zeros(len(points), dtype=bool)
        repeats[1:] = (owners[1:] == owners[:-1]) & (points[1:] == points[:-1]).all(axis=1)
        points, owners = points[~repeats], owners[~repeats]
        kept, counts = np.unique(owners, return_counts=True)
        return kept, Drawing(geometry=POINT, points=points, path_sizes=counts, paths_of=np.ones(len(kept), dtype=np.int64))

    def _near(self, parts: np.ndarray, owners: np.ndarray, geometry: int, box: Bounds, crs: str) -> tuple[np.ndarray, np.ndarray]:
        """Cut to the surroundings of the tile, and long edges divided where the other CRS would bend them by a quarter of a unit."""
        parts, owners = _clipped(parts, owners, geometry, box)
        if crs != self.tms.crs and len(parts):
            longest = math.sqrt(2 * EARTH_RADIUS * self.unit * finest_unit(self.bounds, self.tms.crs)) / finest_unit(box, crs)
            long = shapely.length(parts) > longest
            if long.any():
                parts = parts.copy()
                parts[long] = shapely.segmentize(parts[long], longest)
        return parts, owners

    # -- projection

    def _exact(self, points: np.ndarray, crs: str) -> np.ndarray:
        if crs != self.tms.crs:
            points = np.column_stack(transformer(crs, self.tms.crs).transform(points[:, 0], points[:, 1]))
            if not np.isfinite(points).all():
                raise OutsideAreaOfUse(f"some of the data can't be expressed in {self.tms.crs}")
        return np.column_stack([(points[:, 0] - self.bounds.left) / self.unit, (self.bounds.top - points[:, 1]) / self.unit])

    def _project(self, points: np.ndarray, crs: str, box: Bounds) -> np.ndarray:
        """`_exact` of points within `box`, by a polynomial of two variables where that is exact enough: a twentieth of the work."""
        if crs == self.tms.crs or len(points) < WORTH_FITTING:
            return self._exact(points, crs)
        if crs not in self._fits:
            self._fits[crs] = self._fitted(crs, box)
        fitted = self._fits[crs]
        if fitted is None:
            return self._exact(points, crs)
        x, y = _scaled(points, box)
        return np.column_stack([_horner(coefficients, x, y) for coefficients in fitted])

    def _fitted(self, crs: str, box: Bounds) -> tuple[np.ndarray, np.ndarray] | None:
        """Coefficients of both coordinates in powers of x and y from -1 to 1, held against places between the nodes; None where they stray."""
        nodes = chebyshev.chebpts1(DEGREE + 1)
        between = np.linspace(-1, 1, 2 * DEGREE + 1)
        try:
            at_nodes, at_between = (self._exact(_unscaled(*(one.ravel() for one in np.meshgrid(side, side)), box), crs) for side in (nodes, between))
        except OutsideAreaOfUse:
            return None
        solve = np.linalg.inv(np.polynomial.polynomial.polyvander(nodes, DEGREE))
        fitted = tuple(
            solve @ at_nodes[:, axis].reshape(DEGREE + 1, DEGREE + 1).T @ solve.T for axis in (0, 1)
        )                                                                        # coefficients[i, j] of x^i y^j
        x, y = (one.ravel() for one in np.meshgrid(between, between))
        strays = max(np.abs(_horner(coefficients, x, y) - at_between[:, axis]).max() for axis, coefficients in enumerate(fitted))
        return fitted if strays <= EXACT else None


WORTH_FITTING = 400


def _scaled(points: np.ndarray, box: Bounds) -> tuple[np.ndarray, np.ndarray]:
    return (2 * points[:, 0] - box.left - box.right) / box.width, (2 * points[:, 1] - box.bottom - box.top) / box.height


def _unscaled(x: np.ndarray, y: np.ndarray, box: Bounds) -> np.ndarray:
    return np.column_stack([(x * box.width + box.left + box.right) / 2, (y * box.height + box.bottom + box.top) / 2])


def _horner(coefficients: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Terms too small to move anything by a thousandth of a unit are left out."""
    found = np.zeros_like(x)
    for row in coefficients[::-1]:
        found *= x
        inner = None
        for value in row[::-1]:
            if inner is not None:
                inner *= y
                inner += value
            elif abs(value) > 1e-3:
                inner = np.full_like(y, value)
        if inner is not None:
            found += inner
    return found


# Shapes

def _nothing(geometry: int) -> tuple[np.ndarray, Drawing]:
    empty = np.empty(0, dtype=np.int64)
    return empty, Drawing(geometry=geometry, points=np.empty((0, 2), dtype=np.int64), path_sizes=empty, paths_of=empty)


def _parts(shapes: np.ndarray, geometry: int) -> tuple[np.ndarray, np.ndarray]:
    """Single points, lines or polygons, in two dimensions, and whose they are."""
    parts, owners = shapes, np.arange(len(shapes))
    while (shapely.get_type_id(parts) > 3).any():                 # simple ones are spared the copy
        parts, inner = shapely.get_parts(parts, return_index=True)
        owners = owners[inner]
    fit = (shapely.get_dimensions(parts) == DIMENSIONS[geometry]) & ~shapely.is_empty(parts)
    if not fit.all():
        parts, owners = parts[fit], owners[fit]
    return (shapely.force_2d(parts) if shapely.has_z(parts).any() else parts), owners


def _clipped(parts: np.ndarray, owners: np.ndarray, geometry: int, box: Bounds) -> tuple[np.ndarray, np.ndarray]:
    """What of the parts lies within the box."""
    left, bottom, right, top = shapely.bounds(parts).T
    outside = (right < box.left) | (left > box.right) | (top < box.bottom) | (bottom > box.top)
    crossing = ~outside & ((left < box.left) | (right > box.right) | (bottom < box.bottom) | (top > box.top))
    if not crossing.any():
        return (parts[~outside], owners[~outside]) if outside.any() else (parts, owners)
    parts = parts.copy()
    parts[crossing] = _cut_to(parts[crossing], box)
    parts, owners = parts[~outside], owners[~outside]
    found, inner = _parts(parts, geometry)
    return found, owners[inner]


def _cut_to(shapes: np.ndarray, box: Bounds) -> np.ndarray:
    try:
        return shapely.clip_by_rect(shapes, *box)
    except shapely.errors.GEOSException:                          # a ring that crosses itself, say
        return shapely.intersection(shapely.make_valid(shapes), shapely.box(*box))


def _lines(parts: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, Drawing]:
    x, y, path = _rounded(parts)
    keep = np.ones(len(x), dtype=bool)
    keep[1:] = (path[1:] != path[:-1]) | (x[1:] != x[:-1]) | (y[1:] != y[:-1])
    x, y, path = x[keep], y[keep], path[keep]
    if len(x) > 2:
        dx, dy, same = np.diff(x), np.diff(y), path[1:] == path[:-1]
        onward = dx[:-1] * dx[1:] + dy[:-1] * dy[1:] > 0
        keep = np.ones(len(x), dtype=bool)
        keep[1:-1] = ~(same[:-1] & same[1:] & onward & (dx[:-1] * dy[1:] == dy[:-1] * dx[1:]))
        x, y, path = x[keep], y[keep], path[keep]
    sizes = np.bincount(path, minlength=len(parts))
    long = sizes > 1
    kept = long[path]
    x, y, sizes, owners = x[kept], y[kept], sizes[long], owners[long]
    starts = np.cumsum(sizes) - sizes
    key = _key(x, y)
    order = np.lexsort((sizes, key[starts + 1], key[starts], owners)) if len(starts) else starts
    counted, counts = np.unique(owners, return_counts=True)
    return counted, Drawing(geometry=LINE, points=_gathered(x, y, starts, sizes, order), path_sizes=sizes[order], paths_of=counts)


def _areas(parts: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, Drawing]:
    rings, polygon = shapely.get_rings(parts, return_index=True)
    x, y, ring = _rounded(rings)
    keep = np.zeros(len(x), dtype=bool)
    keep[:-1] = ring[1:] == ring[:-1]                               # the last point of each is the first
    x, y, ring, areas = _tidied(x[keep], y[keep], ring[keep], len(rings))
    is_shell = np.ones(len(rings), dtype=bool)
    is_shell[1:] = polygon[1:] != polygon[:-1]
    shell_of = np.flatnonzero(is_shell)[np.cumsum(is_shell) - 1]
    kept_rings = (areas != 0) & (areas[shell_of] != 0)
    turned = (areas > 0) != is_shell                                # shells have a positive area where y grows downward, holes a negative one
    sizes = np.bincount(ring, minlength=len(rings))
    if not kept_rings.all():
        within = kept_rings[ring]
        x, y, ring = x[within], y[within], ring[within]
        sizes = np.where(kept_rings, sizes, 0)
    starts = np.cumsum(sizes) - sizes
    along = np.arange(len(x)) - starts[ring]
    places = np.where(turned[ring], starts[ring] + sizes[ring] - 1 - along, starts[ring] + along)
    x, y = x[places], y[places]
    x, y, first = _from_the_lowest(x, y, ring, starts, sizes)
    order = np.lexsort((np.arange(len(rings)), first, ~is_shell, polygon, first[shell_of], owners[polygon]))
    order = order[kept_rings[order]]
    kept, counts = np.unique(owners[polygon[kept_rings]], return_counts=True)
    return kept, Drawing(geometry=POLYGON, points=_gathered(x, y, starts, sizes, order), path_sizes=sizes[order], paths_of=counts)


def _from_the_lowest(
    x: np.ndarray, y: np.ndarray, ring: np.ndarray, starts: np.ndarray, sizes: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rings that begin at their lowest point, and the key of that: where a ring was begun may hang on a part of it that is not told."""
    lowest = np.zeros(len(sizes), dtype=np.int64)
    if not len(x):
        return x, y, lowest
    key, full = _key(x, y), sizes > 0
    lowest[full] = np.minimum.reduceat(key, starts[full])
    candidates = np.flatnonzero(key == lowest[ring])
    after = np.where(candidates + 1 < (starts + sizes)[ring[candidates]], candidates + 1, starts[ring[candidates]])
    candidates = candidates[np.lexsort((key[after], ring[candidates]))]
    _, chosen = np.unique(ring[candidates], return_index=True)
    shift = np.zeros(len(sizes), dtype=np.int64)
    shift[full] = candidates[chosen] - starts[full]
    along = np.arange(len(x)) - starts[ring] + shift[ring]
    places = starts[ring] + np.where(along >= sizes[ring], along - sizes[ring], along)
    return x[places], y[places], lowest


def _key(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """One number that orders points by x, then y."""
    return (x.astype(np.int64) << 32) + y


def _gathered(x: np.ndarray, y: np.ndarray, starts: np.ndarray, sizes: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The points of the paths in another order of these."""
    places = run_of(starts[order], sizes[order])
    return np.column_stack([x[places], y[places]])


def _rounded(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x and y on the grid, and the part that each point belongs to. Products of differences fit into 32 bits."""
    places, owner = shapely.get_coordinates(parts, return_index=True)
    whole = np.rint(places).astype(np.int32)
    return np.ascontiguousarray(whole[:, 0]), np.ascontiguousarray(whole[:, 1]), owner


def _tidied(x: np.ndarray, y: np.ndarray, ring: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rings without repeats, points on straight lines and spikes, and twice the area of each; one without area may have no points left."""
    for _ in range(MOST_TIDYINGS):
        starts, ends = _ends(ring, count)
        before_x, before_y = _before(x, starts, ends), _before(y, starts, ends)
        keep = (x != before_x) | (y != before_y)
        if not keep.all():
            x, y, ring = x[keep], y[keep], ring[keep]
            starts, ends = _ends(ring, count)
            before_x, before_y = _before(x, starts, ends), _before(y, starts, ends)
        dx, dy = x - before_x, y - before_y
        keep = dx * _after(dy, starts, ends) != dy * _after(dx, starts, ends)
        if keep.all():
            break
        x, y, ring = x[keep], y[keep], ring[keep]
    starts, ends = _ends(ring, count)
    twice = x * _after(y, starts, ends) - _after(x, starts, ends) * y
    # whole numbers below 2^53: exact as doubles
    return x, y, ring, np.bincount(ring, weights=twice, minlength=count)


def _ends(ring: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the first and the last point of each ring is that has any."""
    sizes = np.bincount(ring, minlength=count)
    ends = np.cumsum(sizes)
    full = sizes > 0
    return (ends - sizes)[full], ends[full] - 1


def _before(values: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Of each point that of the point before it, around its ring."""
    found = np.empty_like(values)
    found[1:] = values[:-1]
    found[starts] = values[ends]
    return found


def _after(values: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    found = np.empty_like(values)
    found[:-1] = values[1:]
    found[ends] = values[starts]
    return found
