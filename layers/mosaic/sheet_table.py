"""The sheets of a mosaic laid over one another: which of them a window touches, and its pixels at any factor.

The table is a GeoPackage, so that anybody can look at it; a process reads it once. A window of a few hundred pixels touches a few sheets,
however many there are: they are found by comparing boxes, opened as plain files, and laid down from the top until no gap is left.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import cv2
import geopandas
import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataSourceError
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from layers import crs as crs_room
from layers.model import Bounds, Sheet
from layers.mosaic.handles import NODATA, handles, read_pixels
from layers.mosaic.warp import ALIGNED, TIE, mix, resample, shrunk

LAYER = "sheets"
REACH = 2
"""Pixels of a sheet read around those that are mixed."""


@dataclass(frozen=True, eq=False)
class SheetTable:
    """The sheets of one mosaic, top first.

    `boxes` is (sheet, 4): left, bottom, right, top in units of the mosaic's CRS. `sizes` is (sheet, 2): columns, rows.
    """

    folder: str
    paths: tuple[str, ...]
    boxes: np.ndarray
    sizes: np.ndarray
    is_elevation: bool
    nearest: bool

    @cached_property
    def bounds(self) -> Bounds:
        """The box of all sheets, in units of the mosaic's CRS."""
        return Bounds(*self.boxes[:, :2].min(axis=0).tolist(), *self.boxes[:, 2:].max(axis=0).tolist())

    def over(self, box: Bounds) -> np.ndarray:
        """Numbers of the sheets that share ground with `box`, top first."""
        left, bottom, right, top = self.boxes.T
        return np.flatnonzero((left < box.right) & (right > box.left) & (bottom < box.top) & (top > box.bottom))

    def sample(self, x: float, y: float) -> tuple[float, ...] | None:
        """The values of the sheet's pixel that holds the point, of the topmost sheet that has data there."""
        left, bottom, right, top = self.boxes.T
        for number in np.flatnonzero((left <= x) & (x < right) & (bottom < y) & (y <= top)):
            box, (cols, rows) = self.boxes[number], self.sizes[number]
            col, row = int((x - box[0]) / (box[2] - box[0]) * cols), int((box[3] - y) / (box[3] - box[1]) * rows)
            window = Window(min(col, cols - 1), min(row, rows - 1), 1, 1)
            values, valid = read_pixels(handles.open(f"{self.folder}/{self.paths[number]}"), window, is_elevation=self.is_elevation)
            if valid is None:
                return tuple(float(value) for value in np.atleast_1d(values[0, 0]))
        return None

    def pixels(self, left: float, top: float, size: float, rows: int, cols: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Pixels of `size` units from the corner (left, top) on: (row, col[, band]), and 255 where there are data, None where all are.

        Raises
        ------
        rasterio.errors.RasterioError
            A sheet can't be read.
        """
        values = valid = None
        for number in self.over(Bounds(left, top - rows * size, left + cols * size, top)):
            piece = self._piece(number, left, top, size, rows, cols)
            if piece is None:
                continue
            place, picked, kept = piece
            if values is None:
                if kept is None and picked.shape[:2] == (rows, cols):
                    return picked, None
                values = np.full((rows, cols) + picked.shape[2:], NODATA if self.is_elevation else 0, picked.dtype)
                valid = np.zeros((rows, cols), np.uint8)
            _lay(picked, kept, values[place], valid[place])
            if valid.min() == 255:
                return values, None
        if values is None:
            return self._nothing(rows, cols), np.zeros((rows, cols), np.uint8)
        return values, valid

    def _nothing(self, rows: int, cols: int) -> np.ndarray:
        return np.full((rows, cols), NODATA, np.float32) if self.is_elevation else np.zeros((rows, cols, 3), np.uint8)

    def _piece(
        self, number: int, left: float, top: float, size: float, rows: int, cols: int,
    ) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray | None] | None:
        """Where in the window the sheet lies, its values there, and their validity."""
        box, (sheet_cols, sheet_rows) = self.boxes[number], self.sizes[number]
        dataset, factor = self._opened(number, size)
        pixel_x, pixel_y = (box[2] - box[0]) / sheet_cols * factor, (box[3] - box[1]) / sheet_rows * factor
        across = _Axis.of(left - box[0], size, pixel_x, cols, sheet_cols / factor, dataset.width)
        down = _Axis.of(box[3] - top, size, pixel_y, rows, sheet_rows / factor, dataset.height)
        if across is None or down is None:
            return None
        place = slice(down.first, down.last), slice(across.first, across.last)
        if across.is_aligned and down.is_aligned:
            window = Window(across.aligned_from, down.aligned_from, across.last - across.first, down.last - down.first)
            return place, *read_pixels(dataset, window, is_elevation=self.is_elevation)
        return place, *self._resampled(dataset, across, down)

    def _opened(self, number: int, size: float) -> tuple[DatasetReader, int]:
        """The sheet's coarsest overview that is as fine as pixels of `size` units, and its factor: they halve from one to the next."""
        box, path = self.boxes[number], f"{self.folder}/{self.paths[number]}"
        pixel = (box[2] - box[0]) / self.sizes[number][0]
        doublings = max(0, int(np.floor(np.log2(size / pixel * (1 + 1e-6)))))
        while doublings:
            try:
                return handles.open(path, doublings - 1), 2**doublings
            except RasterioIOError:
                doublings -= 1
        return handles.open(path), 1

    def _resampled(self, dataset: DatasetReader, across: "_Axis", down: "_Axis") -> tuple[np.ndarray, np.ndarray | None]:
        shrink = 1 if self.nearest else max(1, int(min(across.scale, down.scale)))
        first_col, last_col = across.window(shrink)
        first_row, last_row = down.window(shrink)
        window = Window(first_col, first_row, last_col - first_col, last_row - first_row)
        values, valid = read_pixels(dataset, window, is_elevation=self.is_elevation)
        if shrink > 1:
            values, valid = shrunk(values, valid, shrink)
        cols, rows = across.places(first_col, shrink), down.places(first_row, shrink)
        if valid is None and not self.nearest:
            inside = np.outer((rows >= 0) & (rows < values.shape[0]), (cols >= 0) & (cols < values.shape[1]))
            map_x, map_y = (np.ascontiguousarray(at, np.float32) for at in np.broadcast_arrays(cols[None] - 0.5, rows[:, None] - 0.5))
            return mix(values, map_x, map_y), None if inside.all() else np.where(inside, 255, 0).astype(np.uint8)
        return resample(values, valid, *np.meshgrid(cols, rows), nearest=self.nearest)


def _lay(picked: np.ndarray, kept: np.ndarray | None, values: np.ndarray, valid: np.ndarray) -> None:
    """`picked` into `values`, which is part of a larger picture, where it holds data and nothing lies there already."""
    free = cv2.bitwise_not(valid)
    if kept is not None:
        free = cv2.bitwise_and(free, kept)
    if free.min() == 255:
        values[...] = picked
    else:
        cv2.copyTo(picked, free, values)
    cv2.bitwise_or(valid, free, valid)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Along one axis: pixels first..last of a window lie on a sheet, `scale` pixels of which they span each; the window begins at `offset`."""

    first: int
    last: int
    scale: float
    offset: float
    limit: int

    @classmethod
    def of(cls, ahead: float, size: float, pixel: float, count: int, length: float, limit: int) -> "_Axis | None":
        """`ahead` units from the sheet's edge to the window's; `length` and `limit` pixels of the sheet: true, and as the file has them."""
        scale, offset = size / pixel, ahead / pixel
        first = max(0, int(np.floor(-offset / scale + TIE)))
        last = min(count, int(np.ceil((min(length, limit) - offset) / scale - TIE)))
        return cls(first, last, scale, offset, limit) if first < last else None

    @property
    def aligned_from(self) -> int:
        return self.first + round(self.offset)

    @property
    def is_aligned(self) -> bool:
        """Whether the window's pixels are the sheet's own."""
        if abs(self.scale - 1) * (self.last - self.first) > ALIGNED or abs(self.offset - round(self.offset)) > ALIGNED:
            return False
        return self.aligned_from >= 0 and self.aligned_from + self.last - self.first <= self.limit

    def window(self, unit: int) -> tuple[int, int]:
        """First and last of the sheet's pixels to read, in whole runs of `unit`."""
        first = int(np.floor(self.first * self.scale + self.offset)) - REACH * unit
        last = int(np.ceil(self.last * self.scale + self.offset)) + REACH * unit
        return max(0, first // unit * unit), min(self.limit, -(-last // unit) * unit)

    def places(self, start: int, unit: int) -> np.ndarray:
        return ((np.arange(self.first, self.last) + 0.5) * self.scale + self.offset - start) / unit


def write_table(target: Path, sheets: Sequence[Sheet], crs: str) -> None:
    """`sheets` from the lowest to the topmost."""
    frame = geopandas.GeoDataFrame(
        {
            "location": [sheet.path for sheet in sheets], "priority": range(len(sheets)), "number": [sheet.number for sheet in sheets],
            "columns": [sheet.width for sheet in sheets], "rows": [sheet.height for sheet in sheets],
        } | {edge: [getattr(sheet.bounds, edge) for sheet in sheets] for edge in Bounds._fields},
        geometry=[shapely.box(*sheet.bounds) for sheet in sheets], crs=crs_room.to_pyproj(crs),
    )
    unfinished = target.with_name(f"unfinished-{target.name}")
    unfinished.unlink(missing_ok=True)
    pyogrio.write_dataframe(frame, unfinished, layer=LAYER, driver="GPKG")
    os.replace(unfinished, target)


def read_table(path: str, is_elevation: bool, nearest: bool) -> SheetTable:
    """The table in `path`, kept from one call to the next. Paths in it are relative to its folder.

    Raises
    ------
    rasterio.errors.RasterioIOError
        There is none.
    """
    try:
        return _read(path, os.stat(path).st_mtime_ns, is_elevation, nearest)
    except (OSError, DataSourceError) as error:
        raise RasterioIOError(f"{path}: {error}") from error


@lru_cache(maxsize=64)
def _read(path: str, _changed: int, is_elevation: bool, nearest: bool) -> SheetTable:
    columns = ["location", "priority", "columns", "rows", *Bounds._fields]
    facts = pyogrio.read_dataframe(path, layer=LAYER, columns=columns, read_geometry=False).sort_values("priority", ascending=False)
    return SheetTable(
        folder=os.path.dirname(path), paths=tuple(facts["location"]), boxes=facts[list(Bounds._fields)].to_numpy(float),
        sizes=facts[["columns", "rows"]].to_numpy(int), is_elevation=is_elevation, nearest=nearest,
    )
