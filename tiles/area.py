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
from layers.model import Bounds, View
from tiles.clip import Rings
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
        self._quadtrees: dict[str, _Quadtree] = {}
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

    def mask(self, view: View) -> np.ndarray | bool:
        """True or False where all pixels are alike, else (row, col) of bool: True where the pixel's centre is inside."""
        if self.is_world:
            return True
        compiled = self._in(view.crs)
        box = shapely.box(*view.bounds)
        with self._lock:
            if not shapely.intersects(compiled.geometry, box):
                return False
            if shapely.covers(compiled.geometry, box):
                return True
        return compiled.rings.mask(view)

    def classify(self, tms: TileMatrixSet, z: int, row: int, col: int) -> TileClass:
        """Whether a tile lies wholly inside, wholly outside, or on the edge: a dictionary look-up for tiles seen before or within such a one."""
        if self.is_world:
            return "inside"
        tree = self._quadtrees.get(tms.id)
        if tree is None:
            tree = self._quadtrees.setdefault(tms.id, _Quadtree(self._in(tms.crs).geometry, tms, self._lock))
        return tree.classify(z, row, col)

    def has_point(self, lon: float, lat: float) -> bool:
        with self._lock:
            return bool(shapely.contains_xy(self.geometry, lon, lat))

    def cut(self, geometry: BaseGeometry) -> BaseGeometry:
        """The part of `geometry` (CRS84) inside the area: truly cut, holes and Z kept; empty where there is none."""
        return geometry if self.is_world else shapely.intersection(geometry, self.geometry)

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

    def __init__(self, geometry: BaseGeometry, tms: TileMatrixSet, lock: threading.Lock):
        self.geometry, self.tms, self.lock = geometry, tms, lock
        self.nodes: dict[tuple[int, int, int], TileClass] = {}

    def classify(self, z: int, row: int, col: int) -> TileClass:
        nodes = self.nodes
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
        box = shapely.box(*self.tms.bounds(z, row, col))
        with self.lock:
            if not shapely.intersects(self.geometry, box):
                return "outside"
            return "inside" if shapely.covers(self.geometry, box) else "edge"
