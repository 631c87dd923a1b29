"""An area as it is served: one geometry, compiled once for each CRS and tile matrix set in which it is asked for.

Built from CRS84 and densified before every transformation, so that a straight edge of an agreement (along a parallel, say) becomes the curve
that it is in the serving CRS: transforming vertices alone is wrong by up to a kilometre for edges of three degrees.
"""

import threading
from typing import Literal

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from layers import crs as crs_room
from layers.crs import finest_unit
from layers.model import Bounds, View
from tiles.clip import HAIR, Footprint, Rings
from tiles.grids import TileMatrixSet

TileClass = Literal["inside", "edge", "outside"]

LONGEST_EDGE = 0.01
"""Degrees: the sagitta of such an edge in Gauss-Krueger is about 1 cm at 33 N."""

MOST_NODES = 200_000
"""Tiles remembered for one area and tile matrix set before the memory is begun anew: some 20 MB."""


WORLD = shapely.box(-180.0, -90.0, 180.0, 90.0)


class ServedArea:
    """Where a layer may be seen.

    Parameters
    ----------
    geometry : BaseGeometry
        Polygons in CRS84 (lon lat degrees), valid, not empty.
    digest : str
        Names the geometry: two areas with one digest are the same.
    """

    def __init__(self, geometry: BaseGeometry, digest: str):
        self.is_world = geometry.equals(WORLD)
        self.geometry = geometry if self.is_world else shapely.segmentize(geometry, LONGEST_EDGE)
        self.digest = digest
        self._compiled: dict[str, _CompiledArea] = {}
        self._quadtrees: dict[str | tuple[str, Footprint], _Quadtree] = {}
        self._lock = threading.Lock()
        if not self.is_world:
            shapely.prepare(self.geometry)

    @property
    def bounds(self) -> Bounds:
        """west, south, east, north in degrees."""
        return Bounds(*self.geometry.bounds)

    def geometry_in(self, crs: str) -> BaseGeometry:
        """The area in `crs`, x before y; empty where none of it lies within what `crs` can express."""
        return self._in(crs).geometry

    def mask(self, view: View, footprint: Footprint | None = None) -> np.ndarray | bool:
        """True or False where all pixels are alike, else (row, col) of bool: True where the pixel's centre is inside or, with a footprint,
        all of that."""
        if self.is_world:
            return True
        compiled = self._in(view.crs)
        box = shapely.box(*view.bounds)
        with self._lock:
            if not shapely.intersects(compiled.geometry, box):
                return False
            if shapely.covers(compiled.geometry, box if footprint is None else _around(view, footprint)):
                return True
        visible = compiled.rings.mask(view)
        if footprint is not None:
            visible &= ~compiled.rings.touched(view, *footprint.half_sides(view))
        return visible

    def classify(self, tms: TileMatrixSet, z: int, row: int, col: int, footprint: Footprint | None = None) -> TileClass:
        """Whether a tile lies wholly inside, wholly outside, or on the edge: a dictionary look-up for tiles seen before or within such a one."""
        if self.is_world:
            return "inside"
        key = tms.id if footprint is None else (tms.id, footprint)
        tree = self._quadtrees.get(key)
        if tree is None:
            tree = self._quadtrees.setdefault(key, _Quadtree(self._in(tms.crs).geometry, tms, self._lock, footprint))
        return tree.classify(z, row, col)

    def has_point(self, lon: float, lat: float) -> bool:
        with self._lock:
            return bool(shapely.contains_xy(self.geometry, lon, lat))

    def has_around(self, lon: float, lat: float, metres: float) -> bool:
        """Whether everything within `metres` of the place, east, north, west and south, lies inside."""
        across = metres / finest_unit(Bounds(lon, lat, lon, lat), "CRS:84")
        along = metres / finest_unit(Bounds(lon, 0.0, lon, 0.0), "CRS:84")
        with self._lock:
            return bool(shapely.covers(self.geometry, shapely.box(lon - across, lat - along, lon + across, lat + along)))

    def has_all(self, geometry: BaseGeometry) -> bool:
        """Whether all of `geometry` (CRS84) lies inside."""
        with self._lock:
            return self.is_world or bool(shapely.covers(self.geometry, geometry))

    def has_box(self, crs: str, bounds: Bounds) -> bool:
        """Whether all of the box, x before y in `crs`, lies inside."""
        if self.is_world:
            return True
        compiled = self._in(crs)
        with self._lock:
            return bool(shapely.covers(compiled.geometry, shapely.box(*bounds)))

    def cut(self, geometry: BaseGeometry) -> BaseGeometry:
        """The part of `geometry` (CRS84) inside the area: truly cut, holes and Z kept; empty where there is none."""
        return geometry if self.is_world else shapely.intersection(geometry, self.geometry)

    def cut_each(self, geometries: np.ndarray) -> np.ndarray:
        """`cut` of many small geometries (CRS84): those that lie wholly inside or outside cost next to nothing, whatever the area's size."""
        if self.is_world:
            return geometries
        with self._lock:
            touching, covered = shapely.intersects(self.geometry, geometries), shapely.covers(self.geometry, geometries)
        found = np.where(covered, geometries, np.array(shapely.Polygon(), dtype=object))
        for position in np.flatnonzero(touching & ~covered):
            within = shapely.clip_by_rect(self.geometry, *geometries[position].bounds)
            found[position] = shapely.intersection(geometries[position], within if within.is_valid else self.geometry)
        return found

    def _in(self, crs: str) -> "_CompiledArea":
        compiled = self._compiled.get(crs)
        if compiled is None:
            compiled = self._compiled.setdefault(crs, _CompiledArea(self.geometry, crs))
        return compiled


class _CompiledArea:
    """The area in one CRS, as geometry for questions and as edges for masks."""

    def __init__(self, geometry: BaseGeometry, crs: str):
        reach = shapely.box(*crs_room.reach(crs))
        if not shapely.covers(reach, geometry):
            geometry = shapely.segmentize(shapely.intersection(geometry, reach), LONGEST_EDGE)
        self.geometry = crs_room.transform_geometry(geometry, "CRS:84", crs)
        if not np.isfinite(shapely.get_coordinates(self.geometry)).all():
            raise ValueError(f"the area has no finite coordinates in {crs}")
        self.rings = Rings(self.geometry)
        shapely.prepare(self.geometry)


class _Quadtree:
    """inside / edge / outside for every tile asked for, remembered at the highest tile of which it is true.

    `lock` is the area's own: GEOS builds the indexes of a prepared geometry when they are first used, and two threads that do so at once,
    one for a tile and one for a mask, end the process.
    """

    def __init__(self, geometry: BaseGeometry, tms: TileMatrixSet, lock: threading.Lock, footprint: Footprint | None = None):
        self.geometry, self.tms, self.lock, self.footprint = geometry, tms, lock, footprint
        self.nodes: dict[tuple[int, int, int], TileClass] = {}

    def classify(self, z: int, row: int, col: int) -> TileClass:
        nodes = self.nodes                  # a wider tile's footprints hold those of the tiles within: what is true of it is true of them
        for up in range(z + 1):
            known = nodes.get((z - up, row >> up, col >> up))
            if known is not None:
                if known != "edge" or up == 0:
                    return known
                return self._descend(z, row, col, z - up + 1)
        return self._descend(z, row, col, 0)

    def _descend(self, z: int, row: int, col: int, start: int) -> TileClass:
        """Classify the ancestors from level `start` down until one is uniform, remembering each."""
        for level in range(start, z + 1):
            up = z - level
            node = (level, row >> up, col >> up)
            answer = self._ask(*node)
            if len(self.nodes) >= MOST_NODES:
                self.nodes = {}
            self.nodes[node] = answer
            if answer != "edge":
                return answer
        return "edge"

    def _ask(self, z: int, row: int, col: int) -> TileClass:
        view = self.tms.view(z, row, col)
        box = shapely.box(*view.bounds)
        with self.lock:
            if not shapely.intersects(self.geometry, box):
                return "outside"
            return "inside" if shapely.covers(self.geometry, box if self.footprint is None else _around(view, self.footprint)) else "edge"


def _around(view: View, footprint: Footprint) -> BaseGeometry:
    """The footprints of all pixels of a view together."""
    (half_x, half_y), (step_x, step_y), bounds = footprint.half_sides(view), view.resolution, view.bounds
    more_x, more_y = ((half - step / 2) * (1 - HAIR) for half, step in ((half_x, step_x), (half_y, step_y)))
    return shapely.box(bounds.left - more_x, bounds.bottom - more_y, bounds.right + more_x, bounds.top + more_y)
