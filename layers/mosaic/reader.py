"""The sheets of an edition as one raster: a table of sheets per CRS, one low-resolution copy of everything, and the way to read them.

Sheets stay as they are and in their own CRS. A view reads, from each mosaic it touches, one window of the level whose pixels are about as
large as its own, and moves it into place (`layers.mosaic.warp`); where sheets of several CRS meet, later mosaics fill what earlier ones leave.
Levels finer than the copy are laid out of the sheets (`layers.mosaic.sheet_table`), coarser ones are files (`layers.mosaic.overviews`): what a tile costs
does not depend on how many sheets there are.
"""

from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rasterio.windows import Window

from layers import crs as crs_room
from layers.errors import OutsideAreaOfUse
from layers.model import Bounds, Edition, Mosaic, Patch, ProductType, View
from layers.mosaic.handles import NODATA as NODATA
from layers.mosaic.handles import handles, read_pixels
from layers.mosaic.overviews import level_name, level_shapes
from layers.mosaic.sheet_table import SheetTable, read_table
from layers.mosaic.stacking import build_mosaics as build_mosaics
from layers.mosaic.warp import LARGEST_SIDE, Part, PixelMap, Positions, mix, resample, shrunk

COARSEST_ALLOWED = 1.25
"""A level serves a view when its pixels are at most this much wider than the view's."""

MOST_PIXELS = 64 << 20
"""Of one window; a view that would need more reads a coarser level."""

MOST_EXACT_PIXELS = 16 << 20
"""Of one window of an edition sampled by nearest neighbour: up to this its native pixels are read, so that what is delivered is true."""

MARGIN = 2
"""Pixels read around a window: one for mixing colours, one more for slopes."""

Paint = Callable[[Patch], Patch]
"""Heights to colours on the same grid: a Patch of float32 (1, row, col) to one of uint8 (3, row, col)."""


class MosaicReader:
    """Reads pixels of one edition. May be shared by threads: each has its own GDAL handles.

    Parameters
    ----------
    folder : Path
        The edition's folder in the store.
    edition : Edition
    """

    def __init__(self, folder: Path, edition: Edition):
        self.edition = edition
        self._mosaics = tuple(OpenMosaic(folder, mosaic, edition) for mosaic in edition.mosaics)

    def read(self, view: View, *, margin: int = 0, paint: Paint | None = None, nearest: bool = False) -> Patch | None:
        """The pixels of `view`, or None where the edition has none.

        Parameters
        ----------
        view : View
        margin : int
            Pixels to add on every side; the bounds of the answer say so.
        paint : Paint, optional
            Makes colours of heights in the sheets' own grid, before they are moved: slopes are those of the ground.
        nearest : bool
            Pixels are picked, not mixed, also where the edition's may be mixed.

        Raises
        ------
        rasterio.errors.RasterioError
            A sheet can't be read.
        """
        view = _widened(view, margin) if margin else view
        result: Patch | None = None
        for mosaic in self._mosaics:
            patch = mosaic.read(view, paint, nearest)
            if patch is not None:
                result = patch if result is None else _filled(result, patch)
                if result.valid.all():
                    break
        return result

    def sample(self, x: float, y: float, crs: str) -> tuple[float, ...] | None:
        """The values of the source pixel that holds the point (one a band), untouched by any resampling; None where there is none."""
        for mosaic in self._mosaics:
            values = mosaic.sample(x, y, crs)
            if values is not None:
                return values
        return None


def _widened(view: View, margin: int) -> View:
    step_x, step_y = view.resolution
    left, bottom, right, top = view.bounds
    bounds = Bounds(left - margin * step_x, bottom - margin * step_y, right + margin * step_x, top + margin * step_y)
    return View(crs=view.crs, bounds=bounds, width=view.width + 2 * margin, height=view.height + 2 * margin)


def _filled(upper: Patch, lower: Patch) -> Patch:
    """`upper`, and `lower` where it has nothing."""
    values = np.where(upper.valid, upper.values, lower.values)
    return Patch(values=values, valid=upper.valid | lower.valid, bounds=upper.bounds, crs=upper.crs)


class Level(NamedTuple):
    """One resolution of a mosaic: a file of the low-resolution copy, or None where it is laid out of the sheets."""

    factor: float               # native pixels per pixel
    path: str | None
    width: int
    height: int


class OpenMosaic:
    """A mosaic ready to be read."""

    def __init__(self, folder: Path, mosaic: Mosaic, edition: Edition):
        self.mosaic = mosaic
        self._folder = folder
        self.is_elevation = edition.product is ProductType.DEM
        self.nearest = edition.nearest
        self._bounds_in = lru_cache(maxsize=32)(self._transformed_bounds)

    @property
    def sheets(self) -> SheetTable:
        return read_table(str(self._folder / self.mosaic.index), self.is_elevation, self.nearest)

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """Finest first."""
        mosaic = self.mosaic
        cols, rows = (max(1, int(np.ceil(span / mosaic.resolution - 1e-3))) for span in (mosaic.bounds.width, mosaic.bounds.height))
        levels = [Level(float(factor), None, -(-cols // factor), -(-rows // factor)) for factor in (1, *mosaic.factors)]
        if mosaic.overview:
            finest = round(cols / mosaic.overview_factor), round(rows / mosaic.overview_factor)
            for number, (width, height) in enumerate(level_shapes(finest)):
                path = str(self._folder / level_name(mosaic.overview, number))
                levels.append(Level(float(mosaic.overview_factor * 2**number), path, width, height))
        return tuple(levels)

    def read(self, view: View, paint: Paint | None, nearest: bool = False) -> Patch | None:
        part = self.part(view)
        if part is None:
            return None
        pixel_map = PixelMap(view, part, self.to_source(view.crs))
        level, positions = self._level_for(pixel_map)
        shrink = min(self._shrink(pixel_map.step / level.factor), max(level.width, level.height))    # not more is there to be averaged
        window = _window(positions, level, shrink)
        return self._moved(view, part, positions, level, window, shrink, paint, nearest) if window else None

    def sample(self, x: float, y: float, crs: str) -> tuple[float, ...] | None:
        if crs != self.mosaic.crs:
            x, y = crs_room.transformer(crs, self.mosaic.crs).transform(x, y)
        return self.sheets.sample(x, y) if np.isfinite(x) and np.isfinite(y) else None

    def part(self, view: View) -> Part | None:
        """The pixels of `view` that this mosaic may touch, by the box of its sheets."""
        bounds = self._bounds_in(view.crs)
        if bounds is None or not bounds.intersects(view.bounds):
            return None
        step_x, step_y = view.resolution
        part = Part(
            first_row=max(0, int(np.floor((view.bounds.top - bounds.top) / step_y))),
            last_row=min(view.height, int(np.ceil((view.bounds.top - bounds.bottom) / step_y))),
            first_col=max(0, int(np.floor((bounds.left - view.bounds.left) / step_x))),
            last_col=min(view.width, int(np.ceil((bounds.right - view.bounds.left) / step_x))),
        )
        return part if min(part.shape) > 0 else None

    def _transformed_bounds(self, crs: str) -> Bounds | None:
        """The box of the sheets in `crs`, as far as `crs` can express it; None where it can't express any of it."""
        data = self.sheets.bounds
        if crs == self.mosaic.crs:
            return data
        try:
            on_earth = crs_room.transform_bounds(data, self.mosaic.crs, "CRS:84")
            reach = crs_room.reach(crs)
            return crs_room.transform_bounds(on_earth.intersection(reach), "CRS:84", crs) if on_earth.intersects(reach) else None
        except OutsideAreaOfUse:
            return None

    def to_source(self, crs: str) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        mosaic = self.mosaic
        transform = None if crs == mosaic.crs else crs_room.transformer(crs, mosaic.crs).transform

        def col_and_row(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            x, y = (x, y) if transform is None else transform(x, y)
            return (x - mosaic.bounds.left) / mosaic.resolution, (mosaic.bounds.top - y) / mosaic.resolution

        return col_and_row

    def _level_for(self, pixel_map: PixelMap) -> tuple[Level, Positions]:
        """The coarsest level that is fine enough, or a coarser one still where its window would be too large."""
        candidates = [level for level in self.levels if level.factor <= COARSEST_ALLOWED * pixel_map.step] or [self.levels[0]]
        first = self.levels.index(candidates[-1])
        if self.nearest and first > 0:
            positions = pixel_map.positions(self.levels[0].factor)
            if _pixel_count(_window(positions, self.levels[0])) <= MOST_EXACT_PIXELS:
                return self.levels[0], positions
        for level in self.levels[first:]:
            positions = pixel_map.positions(level.factor)
            window = _window(positions, level)
            if _pixel_count(window) <= MOST_PIXELS and (window is None or max(window.width, window.height) < LARGEST_SIDE):
                break
        return level, positions

    def _shrink(self, pixels: float) -> int:
        """Pixels of a level averaged to one, each way, where a pixel of the view spans `pixels`: 1 unless no level is coarse enough."""
        return 1 if self.nearest or pixels < 2 * COARSEST_ALLOWED else int(pixels)

    def _moved(
        self, view: View, part: Part, positions: Positions, level: Level, window: Window, shrink: int, paint: Paint | None,
        nearest: bool = False,
    ) -> Patch | None:
        values, valid = self.pixels(level, window)
        if valid is not None and not valid.any():
            return None
        if shrink > 1:
            values, valid = shrunk(values, valid, shrink)
        if paint is not None:
            values = self._painted(values, valid, level, window, shrink, paint)
        shift = positions.shift() if shrink == 1 else None
        if shift is not None:
            picked, kept = _cut_out(values, valid, shift[0] - window.col_off, shift[1] - window.row_off, part.shape)
        else:
            picked, kept = self._sampled(values, valid, positions, window, shrink, nearest or self.nearest)
        return placed(view, part, picked, kept)

    def _sampled(
        self, values: np.ndarray, valid: np.ndarray | None, positions: Positions, window: Window, shrink: int, nearest: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        offset = window.col_off, window.row_off
        if valid is None and not nearest and positions.lie_within(window.width, window.height, *offset):
            return mix(values, *positions.maps(*offset, shrink)), None
        return resample(values, valid, *positions.places(*offset, shrink), nearest=nearest)

    def pixels(self, level: Level, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        """(row, col[, band]) values of a window of a level, and 255 where they are data; None for the latter where all are."""
        if level.path is not None:
            return read_pixels(handles.open(level.path), window, is_elevation=self.is_elevation)
        size, bounds = level.factor * self.mosaic.resolution, self.mosaic.bounds
        left, top = bounds.left + window.col_off * size, bounds.top - window.row_off * size
        return self.sheets.pixels(left, top, size, int(window.height), int(window.width))

    def _painted(
        self, heights: np.ndarray, valid: np.ndarray | None, level: Level, window: Window, shrink: int, paint: Paint
    ) -> np.ndarray:
        span = level.factor * self.mosaic.resolution * shrink
        left = self.mosaic.bounds.left + window.col_off * span / shrink
        top = self.mosaic.bounds.top - window.row_off * span / shrink
        rows, cols = heights.shape
        known = np.ones(heights.shape, bool) if valid is None else valid > 0
        bounds = Bounds(left, top - rows * span, left + cols * span, top)
        colours = paint(Patch(values=heights[None], valid=known, bounds=bounds, crs=self.mosaic.crs))
        return np.ascontiguousarray(np.moveaxis(colours.values, 0, 2))


def _window(positions: Positions, level: Level, unit: int = 1) -> Window | None:
    """The pixels of `level` that are needed, with a margin, in whole squares of `unit` pixels; None where the level has none of them."""
    left, top, right, bottom = positions.extent
    first_col, first_row = (max(0, int(np.floor(near / unit)) - MARGIN) * unit for near in (left, top))
    last_col, last_row = (
        min(side, (int(np.floor(far / unit)) + 1 + MARGIN) * unit) for far, side in ((right, level.width), (bottom, level.height))
    )
    if first_col >= last_col or first_row >= last_row:
        return None
    return Window(first_col, first_row, last_col - first_col, last_row - first_row)


def _pixel_count(window: Window | None) -> int:
    return window.width * window.height if window else 0


def _cut_out(values: np.ndarray, valid: np.ndarray | None, col: int, row: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """`shape` pixels from (row, col) on, exactly as they are; beyond the array nothing."""
    rows, cols = shape
    kept = np.zeros(shape, np.uint8)
    picked = np.zeros(shape + values.shape[2:], values.dtype)
    from_row, from_col = max(row, 0), max(col, 0)
    to_row, to_col = min(row + rows, values.shape[0]), min(col + cols, values.shape[1])
    if from_row < to_row and from_col < to_col:
        target = slice(from_row - row, to_row - row), slice(from_col - col, to_col - col)
        source = slice(from_row, to_row), slice(from_col, to_col)
        picked[target] = values[source]
        kept[target] = 255 if valid is None else valid[source]
    return picked, kept


def placed(view: View, part: Part, picked: np.ndarray, kept: np.ndarray | None) -> Patch:
    """The part's pixels in their place in the view; nothing is left under pixels that aren't valid. `kept` None: all of them are."""
    valid = np.ones(part.shape, bool) if kept is None else kept > 0
    if kept is not None and not valid.all():
        picked[~valid] = 0
    if part.shape != (view.height, view.width):
        whole = np.zeros((view.height, view.width) + picked.shape[2:], picked.dtype)
        whole_valid = np.zeros((view.height, view.width), bool)
        place = slice(part.first_row, part.last_row), slice(part.first_col, part.last_col)
        whole[place], whole_valid[place] = picked, valid
        picked, valid = whole, whole_valid
    values = picked[None] if picked.ndim == 2 else np.moveaxis(picked, 2, 0)
    return Patch(values=values, valid=valid, bounds=view.bounds, crs=view.crs)
