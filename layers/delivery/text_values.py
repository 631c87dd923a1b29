"""The values of a text grid into a GeoTIFF, a block of the file at a time: memory is that of a block and of a strip of rows."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine
from rasterio.windows import Window

from layers.delivery.text_grids import ESRI, RASTER, TextGrid
from layers.errors import LayerRejected

BLOCK_BYTES = 4 << 20
STRIP_CELLS = 1_000_000
LONGEST_TOKEN = 64
NODATA = -99999.0
"""In what is written, for every kind of grid."""

SIGNS = bytes.maketrans(b"\x1a\0\t\r\n", b"     ")
"""Ctrl-Z ends what DOS wrote."""


def write_head(grid: TextGrid, target: Path, crs: str | None = None) -> None:
    """A GeoTIFF of the grid without its values: as much as a header says."""
    with rasterio.open(target, "w", **_profile(grid, crs), sparse_ok=True):
        pass


def write_values(path: Path, grid: TextGrid, target: Path, crs: str | None = None) -> None:
    """A GeoTIFF of the grid: float32 metres with nodata -99999, or uint8 with a mask for CNSDTF-RAS.

    Raises
    ------
    LayerRejected
        There are fewer or more values than rows and columns say, or one is no number.
    """
    at_once = max(1, STRIP_CELLS // grid.columns)
    row = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(target, "w", **_profile(grid, crs)) as written:
        for values in _strips(path, grid, at_once * grid.columns):
            values = values.reshape(-1, grid.columns)
            window = Window(0, row, grid.columns, len(values))
            if grid.kind == RASTER:
                _write_codes(written, path.name, values, window, grid.nodata)
            else:
                valid = np.isfinite(values) & (values != grid.nodata)
                heights = values / grid.zoom if grid.zoom != 1 else values
                written.write(np.where(valid, heights, NODATA).astype(np.float32), 1, window=window)
            row += len(values)


def _profile(grid: TextGrid, crs: str | None) -> dict:
    is_codes = grid.kind == RASTER
    return {
        "driver": "GTiff", "width": grid.columns, "height": grid.rows, "count": 1, "dtype": "uint8" if is_codes else "float32",
        "nodata": None if is_codes else NODATA, "crs": crs, "transform": Affine(grid.dx, 0, grid.left, 0, -grid.dy, grid.top),
        "bigtiff": "IF_SAFER",
    }


def _write_codes(written: rasterio.io.DatasetWriter, name: str, values: np.ndarray, window: Window, nodata: float) -> None:
    valid = values != nodata
    wrong = valid & ((values < 0) | (values > 255) | (values != np.floor(values)))
    if wrong.any():
        raise LayerRejected(name, f"a cell holds {values[wrong][0]:g}: a CNSDTF-RAS is taken in with whole numbers from 0 to 255", "convert it to 8 bits")
    written.write(np.where(valid, values, 0).astype(np.uint8), 1, window=window)
    written.write_mask(valid.astype(np.uint8) * 255, window=window)


def _strips(path: Path, grid: TextGrid, size: int) -> Iterator[np.ndarray]:
    """Values in whole rows, `size` at a time but for the last."""
    wanted = grid.rows * grid.columns
    kept, count, seen = [], 0, 0
    for values in _numbers(path, grid):
        seen += values.size
        if seen > wanted:
            raise _miscounted(path.name, grid, None)
        kept.append(values)
        count += values.size
        if count >= size:
            whole = np.concatenate(kept)
            for begin in range(0, count - size + 1, size):
                yield whole[begin:begin + size]
            rest = whole[count // size * size:]
            kept, count = [rest], rest.size
    if seen != wanted:
        raise _miscounted(path.name, grid, seen)
    if count:
        yield np.concatenate(kept)


def _miscounted(name: str, grid: TextGrid, seen: int | None) -> LayerRejected:
    wanted = grid.rows * grid.columns
    held = "more" if seen is None else f"{seen:,}"
    return LayerRejected(name, f"its head says {grid.rows:,} rows of {grid.columns:,} columns, which is {wanted:,} values, but it holds {held}",
                         "correct the head, or deliver it again")


def _numbers(path: Path, grid: TextGrid) -> Iterator[np.ndarray]:
    """All values of the file, block by block."""
    dtype = np.dtype(np.float64 if grid.kind == ESRI else np.int64)        # whole numbers are read ten times as fast
    with path.open("rb") as file:
        file.seek(grid.begins)
        tail, seen = b"", 0
        while block := file.read(BLOCK_BYTES):
            text = tail + block.translate(SIGNS)
            cut = text.rfind(b" ") + 1
            if not cut and len(text) > LONGEST_TOKEN:
                raise _no_number(path.name, text[:LONGEST_TOKEN], grid, seen)
            tail, text = text[cut:], text[:cut]
            values, dtype = _parsed(path.name, text, dtype, grid, seen)
            seen += values.size
            yield values
        yield _parsed(path.name, tail, dtype, grid, seen)[0]


def _parsed(name: str, text: bytes, dtype: np.dtype, grid: TextGrid, seen: int) -> tuple[np.ndarray, np.dtype]:
    if not text.strip():                                    # numpy would read -1
        return np.empty(0, dtype), dtype
    for kind in (dtype, np.dtype(np.float64)):
        try:
            return np.fromstring(text, dtype=kind, sep=" "), kind
        except ValueError:
            continue
    raise _first_fault(name, text, grid, seen)


def _first_fault(name: str, text: bytes, grid: TextGrid, seen: int) -> LayerRejected:
    for position, token in enumerate(text.split()):
        try:
            float(token)
        except ValueError:
            return _no_number(name, token, grid, seen + position)
    return _no_number(name, b"", grid, seen)


def _no_number(name: str, token: bytes, grid: TextGrid, position: int) -> LayerRejected:
    where = f"row {position // grid.columns + 1:,}, column {position % grid.columns + 1:,}"
    shown = token[:30].decode("ascii", errors="replace")
    mend = "separate values by spaces, and write decimals with points" if b"," in token else "deliver it again"
    return LayerRejected(name, f"`{shown}` in {where} is no number", mend)

