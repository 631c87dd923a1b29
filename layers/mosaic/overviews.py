"""The low-resolution copy of a mosaic: its levels, how they are made, and how a part of them is made again.

Each level is a file of its own, twice as coarse as the one before. The finest is laid out from the sheets, each further one from the level
before it, in units of 512 x 512 pixels that lie on one lattice for ever: a unit depends on the sheets under it alone. So a change makes
again only the units that its sheets touch, on a copy of the files, and the outcome is what making all of it afresh would give.
"""

import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import rasterio
from rasterio.io import DatasetReader, DatasetWriter
from rasterio.transform import Affine
from rasterio.windows import Window

from layers import crs as crs_room
from layers.model import Bounds
from layers.mosaic.handles import NODATA, read_pixels
from layers.mosaic.sheet_table import SheetTable, read_table
from layers.mosaic.warp import shrunk

UNIT = 512
"""Pixels to a side that are made at once; files keep them in four blocks."""

BLOCK = 256
COARSEST_SIDE = 64
"""Pixels of the last level, at most: a view of a continent has one to read."""

FRINGE = 17
"""Pixels around a gap that are given its neighbours' colours, so that JPEG carries no black into them: two of its blocks and one."""

ANY = 1e-6
"""Share of a pixel that must hold data for it to count: any. So neighbouring mosaics meet at every level."""

IN_FLIGHT = 32
"""Units that are waited for at once: memory, 1 MB each."""

Told = Callable[[int, int, str], None]
"""How many units are done, of how many, and of what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What the pixels are and how they may be treated."""

    is_elevation: bool
    nearest: bool
    lossless: bool

    @property
    def creation(self) -> dict[str, object]:
        if self.is_elevation:
            return {"count": 1, "dtype": "float32", "nodata": NODATA, "compress": "DEFLATE", "predictor": 3}
        if self.lossless or self.nearest:
            return {"count": 3, "dtype": "uint8", "compress": "DEFLATE", "predictor": 2}
        return {"count": 3, "dtype": "uint8", "compress": "JPEG", "photometric": "YCBCR", "jpeg_quality": 90}


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewGrid:
    """Where the pixels of the levels lie. `bounds` is the box of whole units; `pixel` the finest level's pixel in units of `crs`."""

    crs: str
    bounds: Bounds
    pixel: float

    @classmethod
    def around(cls, data: Bounds, crs: str, pixel: float, phase: tuple[float, float]) -> "OverviewGrid":
        """The units that hold `data`, and one more on every side: room for sheets to come. `phase` is a corner of any pixel."""
        side = UNIT * pixel
        left, bottom = (phase[axis] + (math.floor((data[axis] - phase[axis]) / side) - 1) * side for axis in (0, 1))
        right, top = (phase[axis] + (math.ceil((data[axis + 2] - phase[axis]) / side) + 1) * side for axis in (0, 1))
        return cls(crs=crs, bounds=Bounds(left, bottom, right, top), pixel=pixel)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the finest level."""
        return round(self.bounds.width / self.pixel), round(self.bounds.height / self.pixel)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Columns and rows of each level."""
        return level_shapes(self.size)

    def units(self, boxes: Iterable[Bounds]) -> set[tuple[int, int]]:
        """row, col of the units of the finest level that boxes (units of `crs`) touch, with what mixing may carry over their edges."""
        side, reach, found = UNIT * self.pixel, 2 * self.pixel, set()
        cols, rows = (count // UNIT for count in self.size)
        for box in boxes:
            first_col, last_col = ((edge - self.bounds.left) / side for edge in (box.left - reach, box.right + reach))
            first_row, last_row = ((self.bounds.top - edge) / side for edge in (box.top + reach, box.bottom - reach))
            found |= {
                (row, col) for row in range(max(0, math.floor(first_row)), min(rows, math.ceil(last_row)))
                for col in range(max(0, math.floor(first_col)), min(cols, math.ceil(last_col)))
            }
        return found

    def holds(self, box: Bounds) -> bool:
        bounds = self.bounds
        return bounds.left <= box.left and bounds.bottom <= box.bottom and box.right <= bounds.right and box.top <= bounds.top


def level_shapes(finest: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Columns and rows of each level.

    >>> level_shapes((1536, 512))
    ((1536, 512), (768, 256), (384, 128), (192, 64), (96, 32), (48, 16))
    """
    shapes = [finest]
    while max(shapes[-1]) > COARSEST_SIDE and all(side % 2 == 0 for side in shapes[-1]):
        shapes.append(tuple(side // 2 for side in shapes[-1]))
    return tuple(shapes)


def level_name(overview: str, level: int) -> str:
    """
    >>> level_name("mosaic-3-0-overview.tif", 0), level_name("mosaic-3-0-overview.tif", 2)
    ('mosaic-3-0-overview.tif', 'mosaic-3-0-overview-2.tif')
    """
    return overview if level == 0 else overview.replace(".tif", f"-{level}.tif")


def make_overview(
    index: Path, target: Path, grid: OverviewGrid, kind: Kind, *, previous: Path | None = None, changed: Iterable[Bounds] = (),
    executor: Executor | None = None, told: Told | None = None,
) -> int:
    """Writes all levels of `target`; how many units of the finest were made.

    Parameters
    ----------
    index : Path
        The mosaic's table of sheets.
    previous : Path, optional
        The overview of an earlier generation on the same grid: only what `changed` (boxes in units of the grid's CRS) touches is made again.
        It stays as it is, for who is reading it.
    executor : Executor, optional
        Lays out units side by side; they are written here.

    Raises
    ------
    rasterio.errors.RasterioError
        A sheet can't be read.
    """
    table = read_table(str(index), kind.is_elevation, kind.nearest)
    boxes = changed if previous else (Bounds(*box) for box in table.boxes)
    names = [target.with_name(level_name(target.name, level)) for level in range(len(grid.shapes))]
    drafts = [name.with_name(f"unfinished-{name.name}") for name in names]
    try:
        for level, draft in enumerate(drafts):
            if previous:
                shutil.copyfile(previous.with_name(level_name(previous.name, level)), draft)
            else:
                _create(draft, grid, level, kind)
        units = sorted(grid.units(boxes))
        _fill(drafts, table, grid, kind, units, executor, told)
        for draft, name in zip(drafts, names, strict=True):
            os.replace(draft, name)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
    return len(units)


def _create(path: Path, grid: OverviewGrid, level: int, kind: Kind) -> None:
    """A file of nothing: blocks that are never written take no room."""
    cols, rows = grid.shapes[level]
    pixel = grid.pixel * 2**level
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(
        path, "w", driver="GTiff", width=cols, height=rows, crs=crs_room.to_pyproj(grid.crs), tiled=True, blockxsize=BLOCK, blockysize=BLOCK,
        transform=Affine(pixel, 0, grid.bounds.left, 0, -pixel, grid.bounds.top), sparse_ok=True, bigtiff="IF_SAFER", **kind.creation,
    ) as empty:
        if not kind.is_elevation:
            empty.write_mask(np.zeros((1, 1), np.uint8), window=Window(0, 0, 1, 1))


def _fill(
    files: list[Path], table: SheetTable, grid: OverviewGrid, kind: Kind, units: list[tuple[int, int]], executor: Executor | None, told: Told | None,
) -> None:
    total = len(units)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), ExitStack() as opened:
        finest = opened.enter_context(rasterio.open(files[0], "r+"))
        for done, (unit, (values, valid)) in enumerate(_laid_out(table, grid, units, executor), 1):
            _write(finest, _window(unit, grid.shapes[0]), values, valid, kind)
            if told:
                told(done, total, f"overview of {grid.crs}")
    touched = set(units)
    for level in range(1, len(files)):
        touched = {(row // 2, col // 2) for row, col in touched}
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(files[level - 1]) as finer, rasterio.open(files[level], "r+") as coarser:
            for unit in sorted(touched):
                window = _window(unit, grid.shapes[level])
                _write(coarser, window, *_halved(finer, window, kind), kind)


def _laid_out(
    table: SheetTable, grid: OverviewGrid, units: list[tuple[int, int]], executor: Executor | None,
) -> Iterator[tuple[tuple[int, int], tuple[np.ndarray, np.ndarray | None]]]:
    if executor is None:
        for unit in units:
            yield unit, lay_out(table, grid, unit)
        return
    waiting: list[tuple[tuple[int, int], Future]] = []
    left = iter(units)
    while True:
        waiting += [(unit, executor.submit(lay_out, table, grid, unit)) for unit in islice(left, IN_FLIGHT - len(waiting))]
        if not waiting:
            return
        unit, future = waiting.pop(0)
        yield unit, future.result()


def lay_out(table: SheetTable, grid: OverviewGrid, unit: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None]:
    """The pixels of one unit of the finest level, from the sheets. Runs in a worker."""
    row, col = unit
    side = UNIT * grid.pixel
    return table.pixels(grid.bounds.left + col * side, grid.bounds.top - row * side, grid.pixel, UNIT, UNIT)


def _window(unit: tuple[int, int], shape: tuple[int, int]) -> Window:
    row, col = unit[0] * UNIT, unit[1] * UNIT
    return Window(col, row, min(UNIT, shape[0] - col), min(UNIT, shape[1] - row))


def _halved(finer: DatasetReader, window: Window, kind: Kind) -> tuple[np.ndarray, np.ndarray | None]:
    twice = Window(2 * window.col_off, 2 * window.row_off, 2 * window.width, 2 * window.height)
    values, valid = read_pixels(finer, twice, is_elevation=kind.is_elevation)
    if kind.nearest:
        return np.ascontiguousarray(values[::2, ::2]), None if valid is None else np.ascontiguousarray(valid[::2, ::2])
    return shrunk(values, valid, 2, least=ANY)


def _write(target: DatasetWriter, window: Window, values: np.ndarray, valid: np.ndarray | None, kind: Kind) -> None:
    if kind.is_elevation:
        target.write(values if valid is None else np.where(valid > 0, values, np.float32(NODATA)), 1, window=window)
        return
    if valid is not None:
        values = _spread(values, valid) if not (kind.lossless or kind.nearest) else np.where(valid[..., None] > 0, values, np.uint8(0))
    target.write(np.moveaxis(values, 2, 0), window=window)
    target.write_mask(valid if valid is not None else np.full(values.shape[:2], 255, np.uint8), window=window)


def _spread(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Gaps take the mean colour of the data near them, and none where there are none."""
    known = cv2.copyTo(values, valid)
    share = cv2.blur(valid, (FRINGE, FRINGE), borderType=cv2.BORDER_CONSTANT)
    total = cv2.blur(known, (FRINGE, FRINGE), borderType=cv2.BORDER_CONSTANT)
    mean = cv2.multiply(total.astype(np.float32), (255.0 / np.maximum(share, 1, dtype=np.float32))[..., None].repeat(3, axis=2))
    return cv2.copyTo(values, valid, np.clip(mean, 0, 255).astype(np.uint8))
