"""The pixels by which an edition is offered as a coverage, and those of one answer: which view a request for a subset of it means.

Where it can be, the grid is that of the sheets, or of the cells where an agreement grants coarser ones, so that a subset that is not scaled
holds values as they are. It begins and ends with what is granted, never with what there is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import shapely
from shapely.geometry.base import BaseGeometry

from layers.crs import densify, finest_unit, ground_resolution, reach, scale_denominator, transform_bounds, transform_geometry
from layers.errors import OutsideAreaOfUse
from layers.model import Bounds, Edition, Mosaic, View
from layers.mosaic.cells import cell_size

HAIR = 1e-6
"""Pixels by which a limit may miss the centre or the edge of a pixel and still mean it."""

ALIGNED = 0.01
"""Pixels by which what is granted may stand out over the last of them: an edge of a sheet, carried to degrees and back."""

ROUNDING = 1e-9
"""Share of a pixel's width that clients may lose when they write coordinates."""

PREFERRED = "EPSG:4490"
"""The CRS of a coverage whose sheets lie in one that is not served, or not granted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageGrid:
    """Square pixels of `step` units of `crs`; `left`, `top` is the outer corner of the first of them. Row 0 is the northernmost."""

    crs: str
    left: float
    top: float
    step: float
    width: int
    height: int

    @property
    def whole(self) -> View:
        return View(crs=self.crs, bounds=self.bounds, width=self.width, height=self.height)

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.left, self.top - self.height * self.step, self.left + self.width * self.step, self.top)

    def window(self, first_col: int, first_row: int, last_col: int, last_row: int) -> View:
        """The pixels from the first to the last, these with them; never finer than the step by a rounding."""
        left, top = self.left + first_col * self.step, self.top - first_row * self.step
        width, height = last_col - first_col + 1, last_row - first_row + 1
        view = View(crs=self.crs, bounds=Bounds(left, top - height * self.step, left + width * self.step, top), width=width, height=height)
        while min(view.resolution) < self.step:
            wider = math.nextafter(view.bounds.right, math.inf), math.nextafter(view.bounds.bottom, -math.inf)
            view = replace(view, bounds=Bounds(left, wider[1], wider[0], top))
        return view

    def trimmed(self, bounds: Bounds) -> View | None:
        """The pixels whose centres lie within `bounds` (units of `crs`), edges with it; that of the middle where there is none; None where `bounds`
        lies beside the grid."""
        within = bounds.intersection(self.bounds)
        if within.left > within.right or within.bottom > within.top:
            return None
        first_col, last_col = self._between((within.left - self.left) / self.step, (within.right - self.left) / self.step, self.width)
        first_row, last_row = self._between((self.top - within.top) / self.step, (self.top - within.bottom) / self.step, self.height)
        return self.window(first_col, first_row, last_col, last_row)

    @staticmethod
    def _between(start: float, end: float, count: int) -> tuple[int, int]:
        first, last = math.ceil(start - 0.5 - HAIR), math.floor(end - 0.5 + HAIR)
        if first > last:
            first = last = math.floor((start + end) / 2)
        return min(max(first, 0), count - 1), min(max(last, 0), count - 1)

    def in_crs(self, crs: str) -> "CoverageGrid":
        """Pixels as wide on the ground in another CRS, counted from its origin, over the same ground. Raises OutsideAreaOfUse."""
        if crs == self.crs:
            return self
        bounds = transform_bounds(self.bounds, self.crs, crs)
        return spanned(crs, bounds, ground_resolution(self.whole) / finest_unit(bounds, crs))


def spanned(crs: str, bounds: Bounds, step: float, origin: tuple[float, float] = (0.0, 0.0)) -> CoverageGrid:
    """The smallest grid around `bounds` whose pixels are counted from `origin`."""
    first_col, last_col = math.floor((bounds.left - origin[0]) / step + ALIGNED), math.ceil((bounds.right - origin[0]) / step - ALIGNED)
    first_row, last_row = math.floor((origin[1] - bounds.top) / step + ALIGNED), math.ceil((origin[1] - bounds.bottom) / step - ALIGNED)
    return CoverageGrid(
        crs=crs, left=origin[0] + first_col * step, top=origin[1] - first_row * step, step=step,
        width=max(1, last_col - first_col), height=max(1, last_row - first_row),
    )


def grid_of(
    edition: Edition, extent: BaseGeometry, boxes: Mapping[str, Bounds], *, cell: float | None = None, finest: float | None = None,
) -> CoverageGrid | None:
    """The grid by which an edition of rasters is offered.

    Parameters
    ----------
    edition : Edition
    extent : BaseGeometry
        What is granted of it, in CRS84.
    boxes : Mapping[str, Bounds]
        A box around that in every CRS in which it may be asked for, in units of that CRS.
    cell : float, optional
        Metres of the finest cells that are granted; None is the edition's own pixels.
    finest : float, optional
        n of the scale 1:n, on the ground and at 0.28 mm a pixel, beyond which nothing may be asked for.

    Returns
    -------
    CoverageGrid or None
        In the CRS of the sheets that lie on most of what is granted; None where it may be asked for in no CRS.
    """
    mosaic = _native(edition.mosaics, boxes)
    if mosaic is not None:
        crs, step, origin = mosaic.crs, mosaic.resolution, (mosaic.bounds.left, mosaic.bounds.top)
        if cell is not None and (side := cell_size(mosaic, cell)) > step:
            step, origin = side, (0.0, 0.0)
    elif boxes:
        crs = PREFERRED if PREFERRED in boxes else next(iter(boxes))
        step, origin = max(edition.resolution or 0.0, cell or 0.0) / finest_unit(boxes[crs], crs), (0.0, 0.0)
    else:
        return None
    box = _box_in(extent, crs)
    grid = spanned(crs, box, step, origin)
    return grid if finest is None else _no_finer(grid, box, finest, origin)


@lru_cache(maxsize=256)
def _box_in(extent: BaseGeometry, crs: str) -> Bounds:
    """The smallest box around the very shape: that of its box in degrees would bulge beyond it."""
    within = shapely.intersection(extent, shapely.box(*reach(crs)))
    return Bounds(*transform_geometry(densify(within, "CRS:84"), "CRS:84", crs).bounds)


def _no_finer(grid: CoverageGrid, box: Bounds, finest: float, origin: tuple[float, float]) -> CoverageGrid:
    """Pixels so many times as wide that none is finer than may be asked for, nor becomes so when a client rounds its coordinates."""
    fine = scale_denominator(grid.whole)
    if fine < finest * (1 - ROUNDING):
        grid = spanned(grid.crs, box, grid.step * math.ceil(finest / fine - ROUNDING), origin)
    while (fine := scale_denominator(grid.whole)) < finest * (1 + ROUNDING):
        grid = spanned(grid.crs, box, grid.step * finest / fine * (1 + 2 * ROUNDING), origin)
    return grid


def _native(mosaics: Sequence[Mosaic], boxes: Mapping[str, Bounds]) -> Mosaic | None:
    offered = [mosaic for mosaic in mosaics if mosaic.crs in boxes]
    return max(offered, key=lambda mosaic: _shared(mosaic.bounds, boxes[mosaic.crs]), default=None)


def _shared(one: Bounds, other: Bounds) -> float:
    both = one.intersection(other)
    return max(0.0, both.right - both.left) * max(0.0, both.top - both.bottom)


def moved(bounds: Bounds, source: str, target: str) -> Bounds | None:
    """`bounds` in another CRS; None where that can't express them."""
    try:
        return transform_bounds(bounds, source, target)
    except OutsideAreaOfUse:
        return None
