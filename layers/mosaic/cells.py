"""Rasters as an agreement may have them degraded: shown from a fixed grid of coarser cells, and from nothing else.

The cells of a mosaic are squares of its CRS, aligned to that CRS's origin; each holds the mean of the source within it. Coarser views are
shown from grids of cells twice, four times ... as wide, aligned alike. Where the grid lies does not depend on what is asked, nor on which
sheets there are, so that many requests, each shifted by a part of a pixel, tell no more than one.

Heights are told of a smooth surface through the cells (`smooth_surface`), which holds next to nothing above the frequency that they can express: at
the centre of the cell where one height is asked, at the very place of a pixel where a picture is. Colours are made of the heights at the centres, or of
imagery's means, and moved into place by Lanczos' kernel of eight cells.
"""

import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from rasterio.windows import Window

from layers import crs as crs_room
from layers.model import Bounds, Edition, Mosaic, Patch, ProductType, View
from layers.mosaic.reader import COARSEST_ALLOWED, MosaicReader, OpenMosaic, Paint, placed
from layers.mosaic.smooth_surface import REACH_OF_CENTRE, REACH_OF_COEFFICIENT, REACH_OF_PLACE, at_centres, at_places, coefficients
from layers.mosaic.warp import PixelMap, Positions, resample

KERNEL = 4
"""Cells to each side whose colours are mixed into a pixel."""

MARGIN = KERNEL + 1
"""Cells read around a window: those, and one more for slopes."""

REACH_OF_HEIGHT = REACH_OF_CENTRE + REACH_OF_COEFFICIENT
"""Cells to each side of its own that the height of a cell is made of."""

PARTS_OF_A_CELL = 2
"""A cell is made of pixels of a level at most half as wide, where there are such."""

PARTS_OF_EXACT = 4
"""... of the finest grid where it holds heights, which are told as numbers, or classes, of pixels at most a quarter as wide."""

STRIP_PIXELS = 1 << 20
"""Source pixels held at once."""

STEP_OF_LATITUDE = 5.0
"""Degrees: the latitude at which a cell of a geographic CRS is measured is rounded to these, so that one more sheet does not move the grid."""


class CellReader(MosaicReader):
    """Reads one edition through cells of `degrade` metres. A mosaic whose own pixels are as coarse is read as it is."""

    def __init__(self, folder: Path, edition: Edition, degrade: float):
        super().__init__(folder, edition)
        self._mosaics = tuple(self._through_cells(mosaic, degrade) for mosaic in self._mosaics)

    @staticmethod
    def _through_cells(mosaic: OpenMosaic, degrade: float) -> "OpenMosaic | _CellMosaic":
        cell = cell_size(mosaic.mosaic, degrade)
        return _CellMosaic(mosaic, cell) if cell > mosaic.mosaic.resolution else mosaic


def cell_size(mosaic: Mosaic, degrade: float) -> float:
    """Side of a cell in units of the mosaic's CRS: `degrade` metres on the ground along a parallel where the mosaic lies farthest from the
    equator, and more elsewhere, never less."""
    if mosaic.crs != "EPSG:3857" and not crs_room.is_geographic(mosaic.crs):
        return degrade / crs_room.finest_unit(mosaic.bounds, mosaic.crs)
    _, south, _, north = crs_room.transform_bounds(mosaic.bounds, mosaic.crs, "CRS:84")
    latitude = min(STEP_OF_LATITUDE * math.ceil(max(abs(south), abs(north)) / STEP_OF_LATITUDE), 85.0)
    return degrade / crs_room.finest_unit(crs_room.transform_bounds(Bounds(0.0, latitude, 0.0, latitude), "CRS:84", mosaic.crs), mosaic.crs)


def influence(edition: Edition, degrade: float | None) -> tuple[float, float]:
    """Side of the pixels that the edition is shown from (metres), and how many of them from the centre of a delivered pixel something may lie
    that is mixed into it, whichever way the grids are turned; (0, 0) of vectors.

    Counted to each side: half the pixel that holds the centre, the kernel, and one where sheets of different grids meet in an overview; of heights one
    more for slopes and, where they are of cells, those that a cell's height is made of.
    """
    if not edition.product.is_raster:
        return 0.0, 0.0
    source, is_of_cells = edition.resolution or 0.0, _is_of_cells(edition, degrade)
    if edition.nearest:
        pixels = 1.0
    else:
        pixels = 0.5 + (KERNEL if is_of_cells else 1) + 1
        if edition.product is ProductType.DEM:
            pixels += 1 + (REACH_OF_HEIGHT if is_of_cells else 0)
    return max(source, degrade or 0.0), math.sqrt(2) * pixels


def reach_of_told(edition: Edition, degrade: float | None) -> float:
    """Metres to each side of a place within which lies whatever its value, told by `sample`, is made of; 0 of vectors."""
    if not edition.product.is_raster:
        return 0.0
    cells = 1 + (REACH_OF_HEIGHT if edition.product is ProductType.DEM and not edition.nearest and _is_of_cells(edition, degrade) else 0)
    return math.sqrt(2) * cells * max(edition.resolution or 0.0, degrade or 0.0)


def _is_of_cells(edition: Edition, degrade: float | None) -> bool:
    return degrade is not None and degrade > (edition.resolution or 0.0)


class _CellMosaic:
    """A mosaic seen through its cells."""

    def __init__(self, mosaic: OpenMosaic, cell: float):
        self._source, self.mosaic, self._cell = mosaic, mosaic.mosaic, cell
        self._is_smooth = mosaic.is_elevation and not mosaic.nearest
        bounds = self.mosaic.bounds
        self._coarsest = max(0, math.ceil(math.log2(max(bounds.width, bounds.height) / cell)))
        block = cell * 2**self._coarsest
        self._left, self._top = math.floor(bounds.left / block) * block, math.ceil(bounds.top / block) * block

    def read(self, view: View, paint: Paint | None, _nearest: bool = False) -> Patch | None:
        """Cells are mixed whatever is asked, unless the edition's own pixels may not be: the steps of picked ones hold frequencies that cells can't."""
        part = self._source.part(view)
        if part is None:
            return None
        pixel_map = PixelMap(view, part, self._to_cells(view.crs))
        doublings = min(max(0, math.floor(math.log2(COARSEST_ALLOWED * pixel_map.step))), self._coarsest)
        positions = pixel_map.positions(2.0**doublings)
        is_surface = self._is_smooth and paint is None
        window = self._window(positions, doublings, REACH_OF_PLACE if is_surface else MARGIN)
        if window is None:
            return None
        values, valid = self._coefficients(doublings, window) if is_surface else self._told(doublings, window)
        if not valid.any():
            return None
        places = positions.places(window.col_off, window.row_off)
        if is_surface:
            _, kept = resample(valid, valid, *places, nearest=True)
            return placed(view, part, at_places(values, valid, *places), kept)
        if paint is not None:
            values = self._painted(values, valid, doublings, window, paint)
        return placed(view, part, *_interpolated(values, valid, places, nearest=self._source.nearest))

    def sample(self, x: float, y: float, crs: str) -> tuple[float, ...] | None:
        """The value of the finest cell that holds the point; None where the source has none there."""
        cols, rows = self._to_cells(crs)(np.array([x]), np.array([y]))
        if not (np.isfinite(cols).all() and np.isfinite(rows).all()):
            return None
        window = self._within(Window(math.floor(cols[0]), math.floor(rows[0]), 1, 1), 0)
        if window is None:
            return None
        values, valid = self._told(0, window)
        return tuple(float(value) for value in np.atleast_1d(values[0, 0])) if valid.all() else None

    # Where cells lie

    def _to_cells(self, crs: str) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """x, y of `crs` to column and row of the finest cells, counted from a corner that is one of the coarsest cells too."""
        to_pixels, mosaic = self._source.to_source(crs), self.mosaic
        pixels = mosaic.resolution / self._cell
        first_col, first_row = (mosaic.bounds.left - self._left) / self._cell, (self._top - mosaic.bounds.top) / self._cell

        def col_and_row(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            cols, rows = to_pixels(x, y)
            return cols * pixels + first_col, rows * pixels + first_row

        return col_and_row

    def _window(self, positions: Positions, doublings: int, margin: int) -> Window | None:
        left, top, right, bottom = positions.extent
        first_col, first_row = math.floor(left), math.floor(top)
        return self._within(_grown(Window(first_col, first_row, math.floor(right) + 1 - first_col, math.floor(bottom) + 1 - first_row), margin), doublings)

    def _within(self, window: Window, doublings: int) -> Window | None:
        """The cells of `window` that the mosaic's box touches; None where there are none."""
        size, bounds = self._cell * 2**doublings, self.mosaic.bounds
        first_col, first_row = math.floor((bounds.left - self._left) / size), math.floor((self._top - bounds.top) / size)
        last_col, last_row = math.ceil((bounds.right - self._left) / size), math.ceil((self._top - bounds.bottom) / size)
        first_col, first_row = max(first_col, window.col_off), max(first_row, window.row_off)
        last_col, last_row = min(last_col, window.col_off + window.width), min(last_row, window.row_off + window.height)
        if first_col >= last_col or first_row >= last_row:
            return None
        return Window(first_col, first_row, last_col - first_col, last_row - first_row)

    # What they hold

    def _told(self, doublings: int, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """What is told of each cell of a window, and 255 where it has something."""
        if not self._is_smooth:
            return self._cells(doublings, window)
        grown = self._within(_grown(window, REACH_OF_CENTRE), doublings)
        values, valid = self._coefficients(doublings, grown)
        part = _part(window, grown)
        return at_centres(values, valid)[part], valid[part]

    def _coefficients(self, doublings: int, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Those of the smooth surface, and 255 where a cell has data."""
        grown = self._within(_grown(window, REACH_OF_COEFFICIENT), doublings)
        means, valid = self._cells(doublings, grown)
        part = _part(window, grown)
        return coefficients(means, valid)[part], valid[part]

    def _cells(self, doublings: int, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Means of the source in the cells of a window, and 255 where a cell has one: where at least half of it is covered with data."""
        size, mosaic = self._cell * 2**doublings, self.mosaic
        is_exact = not doublings and (self._source.is_elevation or self._source.nearest)
        widest = size / (PARTS_OF_EXACT if is_exact else PARTS_OF_A_CELL) / mosaic.resolution
        level = [one for one in self._source.levels if one.factor <= widest or one is self._source.levels[0]][-1]
        pixel = mosaic.resolution * level.factor
        cols = (self._left + (window.col_off + np.arange(window.width + 1)) * size - mosaic.bounds.left) / pixel
        rows = (mosaic.bounds.top - self._top + (window.row_off + np.arange(window.height + 1)) * size) / pixel
        first_col, last_col = max(0, math.floor(cols[0])), min(level.width, math.ceil(cols[-1]))
        strip = max(1, int(STRIP_PIXELS / max(1, last_col - first_col) / (size / pixel)))
        found = []
        for start in range(0, window.height, strip):
            edges = rows[start : start + strip + 1]
            first_row, last_row = max(0, math.floor(edges[0])), min(level.height, math.ceil(edges[-1]))
            if first_col >= last_col or first_row >= last_row:
                found.append(None)
                continue
            values, valid = self._source.pixels(level, Window(first_col, first_row, last_col - first_col, last_row - first_row))
            found.append(self._averaged(values, valid, edges - first_row, cols - first_col))
        shape = next((values.shape[2:], values.dtype) for values, _ in found if values is not None) if any(found) else ((), np.float32)
        return _stacked(found, window, strip, *shape)

    def _averaged(self, values: np.ndarray, valid: np.ndarray | None, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._source.nearest:
            return _picked(values, valid, rows, cols)
        return _means(values, valid, rows, cols)

    def _painted(self, heights: np.ndarray, valid: np.ndarray, doublings: int, window: Window, paint: Paint) -> np.ndarray:
        size = self._cell * 2**doublings
        left, top = self._left + window.col_off * size, self._top - window.row_off * size
        rows, cols = heights.shape
        bounds = Bounds(left, top - rows * size, left + cols * size, top)
        colours = paint(Patch(values=heights[None], valid=valid > 0, bounds=bounds, crs=self.mosaic.crs))
        return np.ascontiguousarray(np.moveaxis(colours.values, 0, 2))


def _grown(window: Window, by: int) -> Window:
    return Window(window.col_off - by, window.row_off - by, window.width + 2 * by, window.height + 2 * by)


def _part(window: Window, whole: Window) -> tuple[slice, slice]:
    """Where `window` lies in the window `whole`."""
    row, col = window.row_off - whole.row_off, window.col_off - whole.col_off
    return slice(row, row + window.height), slice(col, col + window.width)


def _stacked(
    found: list[tuple[np.ndarray, np.ndarray] | None], window: Window, strip: int, bands: tuple[int, ...], dtype: np.dtype,
) -> tuple[np.ndarray, np.ndarray]:
    """The strips one below the other, nothing where the source has none."""
    values = np.zeros((window.height, window.width, *bands), dtype)
    valid = np.zeros((window.height, window.width), np.uint8)
    for number, one in enumerate(found):
        if one is not None:
            rows = slice(number * strip, number * strip + one[1].shape[0])
            values[rows], valid[rows] = one
    return values, valid


def _means(values: np.ndarray, valid: np.ndarray | None, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over the rectangles between neighbouring edges, each source pixel counting by its share; edges are pixels of `values`, of which there
    need not be any. Rounded to 1/1024, so that a cell is the same to the last bit in whichever window it lies."""
    weight = np.outer(*(np.diff(np.clip(edges, 0, count)) for edges, count in zip((rows, cols), values.shape[:2], strict=True)))
    known = values
    if valid is not None:
        known = cv2.copyTo(values, valid)                                     # zero where there are no data
        weight = _summed((valid > 0).astype(np.uint8), rows, cols)
    mean = _summed(known, rows, cols) / np.maximum(weight if values.ndim == 2 else weight[..., None], 1e-6)
    mean = np.rint(mean * 1024) / 1024
    kept = np.where(weight >= 0.499 * (rows[1] - rows[0]) * (cols[1] - cols[0]), 255, 0).astype(np.uint8)
    mean[kept == 0] = 0
    return (np.rint(mean) if values.dtype == np.uint8 else mean).astype(values.dtype), kept


def _summed(values: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Sums over the rectangles. The sum over all that lies above and to the left of a place is linear in the place within each pixel."""
    total = cv2.integral(values, sdepth=cv2.CV_64F)
    for axis, edges in enumerate((rows, cols)):
        places = np.clip(edges, 0, values.shape[axis])
        before = np.floor(places).astype(np.intp)
        share = (places - before).reshape([-1 if place == axis else 1 for place in range(total.ndim)])
        after = np.minimum(before + 1, values.shape[axis])
        total = np.take(total, before, axis=axis) * (1 - share) + np.take(total, after, axis=axis) * share
        total = np.diff(total, axis=axis)
    return total


def _picked(values: np.ndarray, valid: np.ndarray | None, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pixel in the middle of each rectangle: classes have no mean."""
    at_row, at_col = (np.floor((edges[:-1] + edges[1:]) / 2).astype(np.intp) for edges in (rows, cols))
    inside = np.outer((at_row >= 0) & (at_row < values.shape[0]), (at_col >= 0) & (at_col < values.shape[1]))
    place = np.ix_(np.clip(at_row, 0, values.shape[0] - 1), np.clip(at_col, 0, values.shape[1] - 1))
    kept = np.where(inside & (True if valid is None else valid[place] > 0), 255, 0).astype(np.uint8)
    picked = values[place]
    picked[kept == 0] = 0
    return picked, kept


def _interpolated(
    values: np.ndarray, valid: np.ndarray, places: tuple[np.ndarray, np.ndarray], *, nearest: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Values and validity at places of a window; a place is valid when the cell that holds it is."""
    if nearest:
        return resample(values, valid, *places, nearest=True)
    _, kept = resample(valid, valid, *places, nearest=True)
    map_x, map_y = (at - 0.5 for at in places)
    filled = values if valid.min() == 255 else _spread(values, valid)
    return cv2.remap(filled, *(at.astype(np.float32) for at in (map_x, map_y)), cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE), kept


def _spread(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Cells without data, as far as the kernel reaches, filled with the mean of their neighbours, so that no fringe of nothing shows."""
    known, share = values.astype(np.float32), (valid > 0).astype(np.float32)
    known[share == 0] = 0
    for _ in range(KERNEL):
        around = cv2.blur(share, (3, 3), borderType=cv2.BORDER_CONSTANT)
        total = cv2.blur(known, (3, 3), borderType=cv2.BORDER_CONSTANT)
        fresh = (share == 0) & (around > 1e-6)
        known[fresh] = (total / np.maximum(around if values.ndim == 2 else around[..., None], np.float32(1e-6)))[fresh]
        share[fresh] = 1
    return np.rint(known).astype(np.uint8) if values.dtype == np.uint8 else known
