"""The blade: shapes cut to the ground of a grant, in the CRS of the data.

What is told must not depend on what lies beyond the border, not even in its last digit or in the order of its points. So a shape of several
parts is cut part by part: those that lie wholly within are left as they are, those beyond are dropped, and only those across the border go
through an intersection, whose pieces are then brought into one order. Heights of new vertices come from the very edge that was cut, never from
GEOS's elevation model, which takes the mean of heights all over the shape.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from layers.crs import finest_unit, is_geographic
from layers.model import Bounds
from tiles.area import ServedArea

HAIR = 0.01
"""Metres: what is thinner, or shorter, is no part of a shape but the noise of two lines that follow one border."""

BLOCKS_KEPT = 4096
SMALLEST_BLOCK = 64.0
"""Units of a projected CRS; of degrees, a hundred-thousandth of it."""

OUTSIDE, WHOLE, CUT = 0, 1, 2


class Ground:
    """Where something is told: within one area, or everywhere but in another.

    Parameters
    ----------
    within : ServedArea, optional
        None is everywhere.
    without : ServedArea, optional
        Nothing of it; only with `within` None.
    crs : str
        Of the shapes that are to be cut.
    """

    def __init__(self, within: ServedArea | None, without: ServedArea | None, crs: str):
        if within is not None and without is not None:
            raise ValueError("a ground is within one area or without another")
        area = within if within is not None else without
        self.is_everywhere = area is None
        self.is_within = within is not None
        self.hair = HAIR / (finest_unit(Bounds(0.0, 0.0, 0.0, 0.0), crs) if is_geographic(crs) else 1.0)
        self._unit = 1e-5 if is_geographic(crs) else 1.0
        if area is not None:
            self.geometry = _sound(area.geometry_in(crs))
            shapely.prepare(self.geometry)
        self._blocks: OrderedDict[tuple, BaseGeometry] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def bounds(self) -> Bounds | None:
        """A box that holds all of it; None where it has no end."""
        if not self.is_within:
            return None
        return Bounds(*self.geometry.bounds) if not self.geometry.is_empty else Bounds(math.inf, math.inf, -math.inf, -math.inf)

    def cut(self, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What of each shape lies on this ground, and whether it is none of it, all of it or a part.

        Parameters
        ----------
        shapes : np.ndarray
            (n,) geometries, none of them empty.

        Returns
        -------
        shapes, states : np.ndarray
            (n,) geometries, None where nothing is left; OUTSIDE, WHOLE or CUT. A part has the dimension of its whole, or it is none.
        """
        if self.is_everywhere:
            return shapes, np.full(len(shapes), WHOLE, np.int8)
        states = self._sorted(shapes)
        found = np.where(states == WHOLE, shapes, None)
        crossing = np.flatnonzero(states == CUT)
        if len(crossing):
            cut = self._cut_parts(shapes[crossing])
            found[crossing] = cut
            states[crossing[shapely.is_missing(cut)]] = OUTSIDE
        return found, states

    def _sorted(self, shapes: np.ndarray) -> np.ndarray:
        with self._lock:
            touching = shapely.intersects(self.geometry, shapes)
            states = np.full(len(shapes), OUTSIDE, np.int8)
            near = np.flatnonzero(touching)
            covered = shapely.covers(self.geometry, shapes[near])
        if self.is_within:
            states[near] = np.where(covered, WHOLE, CUT)
        else:
            states[~touching] = WHOLE
            states[near] = np.where(covered, OUTSIDE, CUT)
        return states

    # -- shapes across the border

    def _cut_parts(self, shapes: np.ndarray) -> np.ndarray:
        """Each shape taken apart, its parts sorted and cut, and what is left of it put together; None where nothing is."""
        parts, owner = exploded(shapes)
        states = self._sorted(parts)
        dimensions = shapely.get_dimensions(parts)
        states[(states == CUT) & (dimensions == 0)] = WHOLE if self.is_within else OUTSIDE      # a place on the border is within
        pieces, whose = [parts[states == WHOLE]], [owner[states == WHOLE]]
        crossing = np.flatnonzero(states == CUT)
        if len(crossing):
            cut, index = self._intersected(parts[crossing], dimensions[crossing])
            pieces.append(cut)
            whose.append(owner[crossing][index])
        pieces, whose = np.concatenate(pieces), np.concatenate(whose)
        found = np.full(len(shapes), None, dtype=object)
        order = np.argsort(whose, kind="stable")
        pieces, whose = pieces[order], whose[order]
        starts = np.flatnonzero(np.diff(whose, prepend=-1))
        for position, mine in zip(whose[starts].tolist(), np.split(pieces, starts[1:]) if len(starts) else (), strict=True):
            found[position] = assembled(mine)
        return found

    def _intersected(self, parts: np.ndarray, dimensions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pieces of simple lines and polygons, and the position of the part that each comes from."""
        act = shapely.intersection if self.is_within else shapely.difference
        blocks = self._blocks_around(parts)
        try:
            cut = act(parts, blocks)
        except shapely.errors.GEOSException:
            cut = np.array([self._cut_with_care(act, part, block) for part, block in zip(parts, blocks, strict=True)], dtype=object)
        lines = dimensions == 1
        if lines.any():
            cut[lines] = shapely.line_merge(cut[lines], directed=True)
        pieces, index = exploded(cut)
        fit = (shapely.get_dimensions(pieces) == dimensions[index]) & (_thickness(pieces) >= self.hair)
        pieces, index = pieces[fit], index[fit]
        areas = dimensions[index] == 2
        pieces[areas] = shapely.normalize(pieces[areas])
        for position in np.flatnonzero(shapely.has_z(pieces)).tolist():
            pieces[position] = with_own_heights(pieces[position], parts[index[position]])
        return pieces, index

    @staticmethod
    def _cut_with_care(act, part: BaseGeometry, block: BaseGeometry) -> BaseGeometry:
        """Of a shape that is not sound, the part that is; nothing where even that can't be cut."""
        try:
            return act(part if part.is_valid else shapely.make_valid(part), block if block.is_valid else shapely.make_valid(block))
        except shapely.errors.GEOSException:
            return shapely.Polygon()

    def _blocks_around(self, parts: np.ndarray) -> np.ndarray:
        """For each part, the ground near it. Blocks lie on fixed grids of powers of two, so that neighbours share them, and what is cut does not
        hang on how far a shape reaches outside."""
        bounds = shapely.bounds(parts)
        sizes = np.maximum(np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1]), SMALLEST_BLOCK * self._unit)
        levels = np.ceil(np.log2(sizes)).astype(int)
        steps = np.exp2(levels)
        cells = np.floor(bounds / steps[:, None]).astype(np.int64)
        blocks = np.empty(len(parts), dtype=object)
        for position, (level, (left, bottom, right, top)) in enumerate(zip(levels.tolist(), cells.tolist(), strict=True)):
            blocks[position] = self._block(level, left, bottom, right, top)
        return blocks

    def _block(self, level: int, left: int, bottom: int, right: int, top: int) -> BaseGeometry:
        name, step = (level, left, bottom, right, top), 2.0**level
        with self._lock:
            if name in self._blocks:
                self._blocks.move_to_end(name)
                return self._blocks[name]
        box = ((left - 0.5) * step, (bottom - 0.5) * step, (right + 1.5) * step, (top + 1.5) * step)
        block = shapely.clip_by_rect(self.geometry, *box)
        if not block.is_valid:
            block = shapely.intersection(self.geometry, shapely.box(*box))
        with self._lock:
            self._blocks[name] = block
            while len(self._blocks) > BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        return block


def _sound(geometry: BaseGeometry) -> BaseGeometry:
    """A copy of our own, since GEOS indexes it under our lock; valid, since on its way from degrees a border may cross itself by an atom."""
    if geometry.is_valid:
        return shapely.from_wkb(shapely.to_wkb(geometry))
    return shapely.make_valid(geometry, method="structure", keep_collapsed=False)


def exploded(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Simple geometries, none of them empty, and the position of the shape that each is a part of; collections in collections too."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    while (shapely.get_type_id(parts) > 3).any():
        parts, inner = shapely.get_parts(parts, return_index=True)
        owner = owner[inner]
    full = ~shapely.is_empty(parts)
    return parts[full], owner[full]


MULTI = (shapely.multipoints, shapely.multilinestrings, shapely.multipolygons)


def assembled(parts: Sequence[BaseGeometry]) -> BaseGeometry:
    """One shape of simple ones, in an order that hangs on them alone."""
    if len(parts) == 1:
        return parts[0]
    ordered = np.array(sorted(parts, key=lambda part: (part.bounds, part.wkb)), dtype=object)
    dimensions = np.unique(shapely.get_dimensions(ordered))
    return MULTI[dimensions[0]](ordered) if len(dimensions) == 1 else shapely.geometrycollections(ordered)


def _thickness(pieces: np.ndarray) -> np.ndarray:
    """Of polygons about how broad they are where they are thin, of lines how long; of places no limit."""
    dimensions, lengths = shapely.get_dimensions(pieces), shapely.length(pieces)
    with np.errstate(divide="ignore", invalid="ignore"):
        broad = 2 * shapely.area(pieces) / lengths
    return np.where(dimensions == 2, broad, np.where(dimensions == 1, lengths, math.inf))


# Heights

ON_THE_EDGE = 1e-6
"""Units of the CRS within which a vertex lies on an edge; of degrees a hundred-thousandth of it."""


def with_own_heights(piece: BaseGeometry, whole: BaseGeometry) -> BaseGeometry:
    """A cut piece whose vertices have the heights of the shape that it was cut from.

    A vertex of the shape keeps its own, one on an edge of it gets what lies between the ends of that edge; one of the border within a polygon
    gets what lies between its neighbours along the ring. Where a ring has none of the shape's edges left nothing is known of its height, and
    the piece is flat.
    """
    edges = np.concatenate([_edges(ring) for ring in _rings(whole)])
    rings = []
    for ring in _rings(piece):
        points = shapely.get_coordinates(ring)
        heights = _heights(points, edges)
        known = np.isfinite(heights)
        if not known.any():
            return shapely.force_2d(piece)
        if not known.all():
            along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
            period = along[-1] if piece.geom_type == "Polygon" and along[-1] > 0 else None
            heights[~known] = np.interp(along[~known], along[known], heights[known], period=period)
        rings.append(np.column_stack([points, heights]))
    return shapely.Polygon(rings[0], rings[1:]) if piece.geom_type == "Polygon" else shapely.LineString(rings[0])


def _rings(shape: BaseGeometry) -> Sequence[BaseGeometry]:
    return [shape.exterior, *shape.interiors] if shape.geom_type == "Polygon" else [shape]


def _edges(ring: BaseGeometry) -> np.ndarray:
    """(n, 6): x, y, z of both ends."""
    points = shapely.get_coordinates(ring, include_z=True)
    return np.hstack([points[:-1], points[1:]])


def _heights(points: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Of each point by the edge that it lies on; NaN where it lies on none."""
    own = {(x, y): z for x, y, z in np.concatenate([edges[:, :3], edges[-1:, 3:]]).tolist()}
    heights = np.array([own.get((x, y), math.nan) for x, y in points.tolist()])
    spare = ON_THE_EDGE * (1.0 if np.abs(edges[:, :2]).max() > 1000 else 1e-5)
    for position in np.flatnonzero(~np.isfinite(heights)).tolist():
        x, y = points[position]
        way = edges[:, 3:5] - edges[:, :2]
        length = np.maximum((way**2).sum(axis=1), 1e-300)
        share = np.clip(((x - edges[:, 0]) * way[:, 0] + (y - edges[:, 1]) * way[:, 1]) / length, 0.0, 1.0)
        off = np.hypot(edges[:, 0] + share * way[:, 0] - x, edges[:, 1] + share * way[:, 1] - y)
        nearest = int(off.argmin())
        if off[nearest] <= spare:
            heights[position] = edges[nearest, 2] + share[nearest] * (edges[nearest, 5] - edges[nearest, 2])
    return heights
