"""The sheets of an edition as one raster: a GDAL tile index per CRS, one low-resolution copy of everything, and the way to read them.

Sheets stay as they are and in their own CRS. A view reads, from each mosaic it touches, one window of the level whose pixels are about as
large as its own, and moves it into place (`layers.warp`); where sheets of several CRS meet, later mosaics fill what earlier ones leave.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import geopandas
import numpy as np
import pyogrio
import rasterio
import rasterio.shutil
import shapely
from rasterio.io import DatasetReader, DatasetWriter
from rasterio.transform import Affine
from rasterio.windows import Window

from layers import crs as crs_room
from layers.errors import OutsideAreaOfUse
from layers.model import Bounds, Edition, Mosaic, Patch, ProductType, Sheet, View
from layers.warp import LARGEST_SIDE, Part, PixelMap, Positions, mix, resample, shrunk

NODATA = -9999.0
"""Of elevation models in the store."""

COARSEST_ALLOWED = 1.25
"""A level serves a view when its pixels are at most this much wider than the view's."""

SMALL_SIDE = 2048
"""Pixels: a mosaic no larger than this needs no low-resolution copy."""

LARGEST_OVERVIEW_FACTOR = 32

MOST_PIXELS = 64 << 20
"""Of one window; a view that would need more reads a coarser level."""

MOST_EXACT_PIXELS = 16 << 20
"""Of one window of an edition sampled by nearest neighbour: up to this its native pixels are read, so that what is delivered is true."""

MARGIN = 2
"""Pixels read around a window: one for mixing colours, one more for slopes."""

HANDLES_PER_THREAD = 24

Paint = Callable[[Patch], Patch]
"""Heights to colours on the same grid: a Patch of float32 (1, row, col) to one of uint8 (3, row, col)."""


# Reading

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


class _Level(NamedTuple):
    """One resolution of a mosaic: a file, and which of its overviews (None: the file's own pixels)."""

    factor: float               # native pixels per pixel
    path: str
    overview: int | None
    width: int
    height: int


class OpenMosaic:
    """A mosaic ready to be read."""

    def __init__(self, folder: Path, mosaic: Mosaic, edition: Edition):
        self.mosaic = mosaic
        self._index = str(folder / mosaic.index)
        self._overview = str(folder / mosaic.overview) if mosaic.overview else None
        self.is_elevation = edition.product is ProductType.DEM
        self.nearest = edition.nearest
        self._bounds_in = lru_cache(maxsize=32)(self._transformed_bounds)

    @cached_property
    def levels(self) -> tuple[_Level, ...]:
        """Finest first."""
        files = [(self._index, None)] + [(self._index, i) for i in range(len(self.mosaic.factors))]
        if self._overview:
            with rasterio.open(self._overview, sharing=False) as copy:
                deeper = len(copy.overviews(1))
            files += [(self._overview, None)] + [(self._overview, i) for i in range(deeper)]
        levels = []
        for path, overview in files:
            dataset = _handles.open(path, overview)
            levels.append(_Level(dataset.transform.a / self.mosaic.resolution, path, overview, dataset.width, dataset.height))
        return tuple(levels)

    def read(self, view: View, paint: Paint | None, nearest: bool = False) -> Patch | None:
        part = self.part(view)
        if part is None:
            return None
        pixel_map = PixelMap(view, part, self.to_source(view.crs))
        level, positions = self._level_for(pixel_map)
        shrink = self._shrink(pixel_map.step / level.factor)
        window = _window(positions, level, shrink)
        return self._moved(view, part, positions, level, window, shrink, paint, nearest) if window else None

    def sample(self, x: float, y: float, crs: str) -> tuple[float, ...] | None:
        cols, rows = self.to_source(crs)(np.array([x]), np.array([y]))
        if not (np.isfinite(cols).all() and np.isfinite(rows).all()):
            return None
        level, col, row = self.levels[0], int(np.floor(cols[0])), int(np.floor(rows[0]))
        if not (0 <= col < level.width and 0 <= row < level.height):
            return None
        values, valid = self.pixels(level, Window(col, row, 1, 1))
        if valid is not None and not valid.all():
            return None
        return tuple(float(value) for value in np.atleast_1d(values[0, 0]))

    def part(self, view: View) -> Part | None:
        """The pixels of `view` that this mosaic may touch, by its box."""
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
        """The mosaic's box in `crs`, as far as `crs` can express it; None where it can't express any of it."""
        if crs == self.mosaic.crs:
            return self.mosaic.bounds
        try:
            on_earth = crs_room.transform_bounds(self.mosaic.bounds, self.mosaic.crs, "CRS:84")
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

    def _level_for(self, pixel_map: PixelMap) -> tuple[_Level, Positions]:
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
        self, view: View, part: Part, positions: Positions, level: _Level, window: Window, shrink: int, paint: Paint | None,
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

    def pixels(self, level: _Level, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        return _read_pixels(_handles.open(level.path, level.overview), window, self.is_elevation)

    def _painted(
        self, heights: np.ndarray, valid: np.ndarray | None, level: _Level, window: Window, shrink: int, paint: Paint
    ) -> np.ndarray:
        span = level.factor * self.mosaic.resolution * shrink
        left = self.mosaic.bounds.left + window.col_off * span / shrink
        top = self.mosaic.bounds.top - window.row_off * span / shrink
        rows, cols = heights.shape
        known = np.ones(heights.shape, bool) if valid is None else valid > 0
        bounds = Bounds(left, top - rows * span, left + cols * span, top)
        colours = paint(Patch(values=heights[None], valid=known, bounds=bounds, crs=self.mosaic.crs))
        return np.ascontiguousarray(np.moveaxis(colours.values, 0, 2))


def _read_pixels(dataset: DatasetReader, window: Window, is_elevation: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """(row, col[, band]) values, and 255 where they are data; None for the latter where all are."""
    if is_elevation:
        heights = dataset.read(1, window=window)
        gaps = (heights == NODATA) | ~np.isfinite(heights)
        return heights, np.where(gaps, 0, 255).astype(np.uint8) if gaps.any() else None
    bands = dataset.read(window=window)
    valid = dataset.read_masks(1, window=window)
    return cv2.merge(list(bands)), None if valid.min() == 255 else valid


def _window(positions: Positions, level: _Level, unit: int = 1) -> Window | None:
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


# Building

def build_mosaics(
    folder: Path, sheets: Sequence[Sheet], product: ProductType, *, nearest: bool, lossless: bool, generation: int
) -> tuple[Mosaic, ...]:
    """Make the sheets of an edition readable: per CRS one tile index and, where the mosaic is large, one low-resolution copy.

    Parameters
    ----------
    folder : Path
        The edition's folder; the files' names hold `generation`, so that nothing that is being read changes.
    sheets : Sequence[Sheet]
        Where two overlap, the one with the higher `sheet_id` (then the later one) lies on top.
    product : ProductType
        DOM or DEM.
    nearest, lossless : bool
        As of the edition: how overviews are sampled, and whether JPEG may touch them.

    Returns
    -------
    tuple[Mosaic, ...]
        In the order in which the first sheet of each CRS comes: that is also who lies on top where mosaics overlap.

    Raises
    ------
    rasterio.errors.RasterioError
        A sheet can't be read.
    """
    by_crs: dict[str, list[Sheet]] = {}
    for sheet in sheets:
        by_crs.setdefault(sheet.crs, []).append(sheet)
    kind = _Kind(is_elevation=product is ProductType.DEM, nearest=nearest, lossless=lossless)
    return tuple(
        _build_mosaic(folder, sorted(group, key=lambda sheet: sheet.sheet_id), kind, f"mosaic-{generation}-{number}")
        for number, group in enumerate(by_crs.values())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What the pixels are and how they may be treated."""

    is_elevation: bool
    nearest: bool
    lossless: bool

    @property
    def creation(self) -> dict[str, object]:
        """Options of the COG driver for the low-resolution copy."""
        resampling = "nearest" if self.nearest else "average"
        common = {"driver": "COG", "blocksize": COPY_BLOCK, "overview_resampling": resampling, "bigtiff": "IF_SAFER"}
        if self.is_elevation:
            return common | {"compress": "DEFLATE", "predictor": "FLOATING_POINT"}
        if self.lossless or self.nearest:
            return common | {"compress": "DEFLATE", "predictor": "STANDARD"}
        return common | {"compress": "JPEG", "quality": 90}


COPY_BLOCK = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """The pixels of a mosaic. Rows and columns are padded so that every level divides them evenly."""

    crs: str
    bounds: Bounds              # of the data
    resolution: float
    width: int
    height: int
    factors: tuple[int, ...]
    overview_factor: int

    @property
    def padded(self) -> Bounds:
        left, top = self.bounds.left, self.bounds.top
        return Bounds(left, top - self.height * self.resolution, left + self.width * self.resolution, top)


def _build_mosaic(folder: Path, sheets: list[Sheet], kind: _Kind, name: str) -> Mosaic:
    grid = _grid_of(folder, sheets)
    index = f"{name}.gti.gpkg"
    _write_index(folder, index, sheets, grid, kind)
    overview = None
    if max(grid.width, grid.height) > SMALL_SIDE:
        overview = f"{name}-overview.tif"
        _write_overview(folder / index, folder / overview, grid, kind)
    return Mosaic(
        crs=grid.crs, bounds=grid.bounds, resolution=grid.resolution, index=index, factors=grid.factors,
        overview=overview, overview_factor=grid.overview_factor,
    )


def _grid_of(folder: Path, sheets: list[Sheet]) -> _Grid:
    resolution = min(min(sheet.resolution) for sheet in sheets)
    bounds = sheets[0].bounds
    for sheet in sheets[1:]:
        bounds = bounds.union(sheet.bounds)
    smallest = min(sheets, key=lambda sheet: max(sheet.width, sheet.height))
    with rasterio.open(folder / smallest.path, sharing=False) as source:
        factors = tuple(factor for factor in source.overviews(1) if factor < LARGEST_OVERVIEW_FACTOR) or (2,)
    width, height = (max(1, int(np.ceil(span / resolution - 1e-3))) for span in (bounds.width, bounds.height))
    overview_factor = 2 * factors[-1]
    unit = factors[-1]
    if max(width, height) > SMALL_SIDE:
        deeper = max(0, int(np.ceil(np.log2(max(width, height) / overview_factor / COPY_BLOCK))))
        unit = overview_factor << deeper
    width, height = (-(-side // unit) * unit for side in (width, height))
    return _Grid(
        crs=sheets[0].crs, bounds=bounds, resolution=resolution, width=width, height=height,
        factors=factors, overview_factor=overview_factor,
    )


def _write_index(folder: Path, index: str, sheets: list[Sheet], grid: _Grid, kind: _Kind) -> None:
    """A tile index that says all there is to know, so that opening it never opens a sheet (GDAL, GTI driver: layer metadata items)."""
    frame = geopandas.GeoDataFrame(
        {"location": [sheet.path for sheet in sheets], "priority": range(len(sheets))},
        geometry=[_index_box(sheet.bounds, grid.resolution) for sheet in sheets], crs=crs_room.to_pyproj(grid.crs),
    )
    left, bottom, right, top = grid.padded
    facts = {
        "LOCATION_FIELD": "location", "SORT_FIELD": "priority", "SORT_FIELD_ASC": "YES", "SRS": grid.crs,
        "RESX": repr(grid.resolution), "RESY": repr(grid.resolution),
        "MINX": repr(left), "MINY": repr(bottom), "MAXX": repr(right), "MAXY": repr(top), "BLOCKXSIZE": "256", "BLOCKYSIZE": "256",
    }
    if kind.is_elevation:
        facts |= {"BAND_COUNT": "1", "DATA_TYPE": "Float32", "NODATA": repr(NODATA)}
    else:
        facts |= {"BAND_COUNT": "3", "DATA_TYPE": "Byte", "COLOR_INTERPRETATION": "Red,Green,Blue", "MASK_BAND": "YES"}
    if not kind.nearest:
        facts["RESAMPLING"] = "bilinear"        # overviews of neighbouring sheets rarely share a grid: without it they meet half a pixel off
    facts |= {f"OVERVIEW_{number}_FACTOR": str(factor) for number, factor in enumerate(grid.factors, 1)}
    unfinished = folder / f"unfinished-{index}"
    unfinished.unlink(missing_ok=True)
    pyogrio.write_dataframe(frame, unfinished, layer="sheets", driver="GPKG", layer_metadata=facts)
    os.replace(unfinished, folder / index)


def _index_box(bounds: Bounds, resolution: float) -> shapely.Polygon:
    """The box by which a sheet is found: a hair smaller than the sheet.

    GDAL 3.10 reads nothing at all where a window's edge runs exactly along the edge of a neighbouring sheet: finding the neighbour, whose
    share of the window is empty, it gives up on the window. A window of whole pixels never fits into the hair.
    """
    hair = resolution / 16
    return shapely.box(bounds.left + hair, bounds.bottom + hair, bounds.right - hair, bounds.top - hair)


def _write_overview(index: Path, target: Path, grid: _Grid, kind: _Kind) -> None:
    """Everything at `grid.overview_factor`: halved from the coarsest level of the sheets, block by block, never all in memory."""
    draft, unfinished = (target.with_name(f"unfinished-{stage}-{target.name}") for stage in ("draft", "copy"))
    left, _, _, top = grid.padded
    span = grid.resolution * grid.overview_factor
    profile = {
        "driver": "GTiff", "width": grid.width // grid.overview_factor, "height": grid.height // grid.overview_factor,
        "count": 1 if kind.is_elevation else 3, "dtype": "float32" if kind.is_elevation else "uint8", "crs": crs_room.to_pyproj(grid.crs),
        "transform": Affine(span, 0, left, 0, -span, top), "tiled": True, "blockxsize": COPY_BLOCK, "blockysize": COPY_BLOCK,
        "compress": "LZW", "bigtiff": "IF_SAFER", "nodata": NODATA if kind.is_elevation else None,
    }
    try:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            coarsest = rasterio.open(index, overview_level=len(grid.factors) - 1, sharing=False)
            with coarsest as source, rasterio.open(draft, "w", **profile) as copy:
                for _, window in copy.block_windows(1):
                    _write_block(source, copy, window, kind)
            rasterio.shutil.copy(draft, unfinished, **kind.creation)
        os.replace(unfinished, target)
    finally:
        draft.unlink(missing_ok=True)
        unfinished.unlink(missing_ok=True)


def _write_block(source: DatasetReader, copy: DatasetWriter, window: Window, kind: _Kind) -> None:
    twice = Window(2 * window.col_off, 2 * window.row_off, 2 * window.width, 2 * window.height)
    values, valid = _read_pixels(source, twice, kind.is_elevation)
    if kind.nearest:
        values, valid = np.ascontiguousarray(values[::2, ::2]), None if valid is None else np.ascontiguousarray(valid[::2, ::2])
    else:
        values, valid = shrunk(values, valid, 2)
    if kind.is_elevation:
        copy.write(values if valid is None else np.where(valid > 0, values, np.float32(NODATA)), 1, window=window)
    else:
        copy.write(np.moveaxis(values, 2, 0), window=window)
        copy.write_mask(valid if valid is not None else np.full(values.shape[:2], 255, np.uint8), window=window)


# Handles

class _Handles(threading.local):
    """Open datasets of this thread, the least recently used closed first: GDAL's handles are not for sharing."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[str, int | None], DatasetReader] = OrderedDict()

    def open(self, path: str, overview: int | None) -> DatasetReader:
        key = path, overview
        dataset = self._open.get(key)
        if dataset is None:
            options = {} if overview is None else {"overview_level": overview}
            dataset = self._open[key] = rasterio.open(path, sharing=False, **options)
            if len(self._open) > HANDLES_PER_THREAD:
                self._open.popitem(last=False)[1].close()
        else:
            self._open.move_to_end(key)
        return dataset


_handles = _Handles()
