"""The tile matrix sets that are served. Rows count from the top, columns from the left; level z is the same number in an address and in the cache.

A set is a plain value: where a tile lies follows from its origin and the resolution of its level, so nothing here depends on an engine.
"""

import math
from dataclasses import dataclass
from types import MappingProxyType

from layers.model import Bounds, View

STANDARD_PIXEL = 0.00028
"""Metres: the rendering pixel of OGC 07-057r7 (WMTS), 6.1."""

METRES_PER_DEGREE = math.pi * 6378137 / 180
"""Of the equator, as OGC 07-057r7 demands for scale denominators of geographic CRS."""

HAIR = 1e-9
"""Share of a tile by which a box may miss or cross an edge and still count as ending on it: rounding of doubles, not ground."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileMatrixSet:
    """Tiles of one CRS over levels that halve (OGC 17-083r4).

    `extent` is what the tiles of level 0 must cover, in units of `crs`, x before y; its top left corner is the origin of every level.
    `resolutions[z]` is in units of `crs` per pixel; levels below `min_zoom` exist for arithmetic but are not served.
    """

    id: str
    title: str
    crs: str
    extent: Bounds
    resolutions: tuple[float, ...]
    min_zoom: int = 0
    tile_size: int = 256

    @property
    def origin(self) -> tuple[float, float]:
        """x of the left edge and y of the top edge."""
        return self.extent.left, self.extent.top

    @property
    def max_zoom(self) -> int:
        return len(self.resolutions) - 1

    @property
    def zooms(self) -> range:
        """The levels that are served."""
        return range(self.min_zoom, self.max_zoom + 1)

    def size(self, z: int) -> tuple[int, int]:
        """Columns and rows of level `z`."""
        span = self.resolutions[z] * self.tile_size
        return math.ceil(self.extent.width / span - HAIR), math.ceil(self.extent.height / span - HAIR)

    def bounds(self, z: int, row: int, col: int) -> Bounds:
        """The tile's edges in units of `crs`.

        >>> TILE_MATRIX_SETS["tdt_c"].bounds(1, 0, 1)
        Bounds(left=0.0, bottom=-90.0, right=180.0, top=90.0)
        """
        left, top = self.origin
        span = self.resolutions[z] * self.tile_size
        return Bounds(left + col * span, top - (row + 1) * span, left + (col + 1) * span, top - row * span)

    def view(self, z: int, row: int, col: int) -> View:
        return View(crs=self.crs, bounds=self.bounds(z, row, col), width=self.tile_size, height=self.tile_size)

    def holds(self, z: int, row: int, col: int) -> bool:
        """Whether the tile exists and its level is served."""
        if not self.min_zoom <= z <= self.max_zoom:
            return False
        cols, rows = self.size(z)
        return 0 <= col < cols and 0 <= row < rows

    def limits(self, z: int, bounds: Bounds) -> tuple[int, int, int, int] | None:
        """min_row, max_row, min_col, max_col of the tiles that `bounds` (units of `crs`) touches; None where it touches none.

        A box that ends on the edge of a tile doesn't touch the next one.

        >>> grid = TILE_MATRIX_SETS["tdt_c"]
        >>> grid.limits(10, Bounds(118.7781, 32.0436, 118.7781, 32.0436))
        (164, 164, 849, 849)
        """
        left, top = self.origin
        span = self.resolutions[z] * self.tile_size
        cols, rows = self.size(z)
        first_col, last_col = _first_and_last((bounds.left - left) / span, (bounds.right - left) / span, cols)
        first_row, last_row = _first_and_last((top - bounds.top) / span, (top - bounds.bottom) / span, rows)
        if first_col > last_col or first_row > last_row:
            return None
        return first_row, last_row, first_col, last_col

    def identifier(self, z: int) -> str:
        """Name of the tile matrix of level `z`."""
        return str(z)

    def scale_denominator(self, z: int) -> float:
        """OGC scale denominator of level `z` (pixels of 0.28 mm; degrees as on the equator).

        >>> round(TILE_MATRIX_SETS["tdt_c"].scale_denominator(1), 2)
        279541132.01
        """
        metres_per_unit = METRES_PER_DEGREE if self.crs in GEOGRAPHIC else 1.0
        return self.resolutions[z] * metres_per_unit / STANDARD_PIXEL

    def level_of(self, resolution: float, tolerance: float = 1e-6) -> int | None:
        """The level with this resolution (units of `crs` per pixel, relative `tolerance`), or None."""
        return next((z for z in self.zooms if math.isclose(self.resolutions[z], resolution, rel_tol=tolerance)), None)


def _first_and_last(start: float, end: float, count: int) -> tuple[int, int]:
    """First and last of `count` cells of width 1 between `start` and `end`; first > last where there is none."""
    first = math.floor(start + HAIR)
    last = max(math.ceil(end - HAIR) - 1, first)
    return max(first, 0), min(last, count - 1)


def _halving(first: float, levels: int) -> tuple[float, ...]:
    return tuple(first / 2**z for z in range(levels))


GEOGRAPHIC = frozenset({"EPSG:4326", "CRS:84", "EPSG:4490"})

MERCATOR_EDGE = math.pi * 6378137

TILE_MATRIX_SETS = MappingProxyType({
    tms.id: tms for tms in (
        TileMatrixSet(
            id="WebMercatorQuad", title="Web Mercator (OGC WebMercatorQuad)", crs="EPSG:3857",
            extent=Bounds(-MERCATOR_EDGE, -MERCATOR_EDGE, MERCATOR_EDGE, MERCATOR_EDGE),
            resolutions=_halving(2 * MERCATOR_EDGE / 256, 21),
        ),
        TileMatrixSet(
            id="tdt_c", title="天地图 c (CGCS2000, Tianditu levels)", crs="EPSG:4490",
            extent=Bounds(-180.0, -90.0, 180.0, 90.0), resolutions=_halving(1.40625, 19), min_zoom=1,
        ),
        TileMatrixSet(
            id="jiangsu_gk120", title="江苏 CGCS2000 / 3-degree Gauss-Krueger CM 120E", crs="EPSG:4549",
            extent=Bounds(150000.0, 3380000.0, 700000.0, 3900000.0), resolutions=_halving(512.0, 12),
        ),
    )
})
"""By identifier. tdt_c: GB/T 35634-2017 levels 1..18, level 1 is 2 x 1 tiles; jiangsu_gk120: 512 m (z 0) to 0.25 m (z 11)."""
