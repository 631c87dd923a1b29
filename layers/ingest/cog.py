"""Rows of pixels, from the top -> a cloud-optimised GeoTIFF: read once, encoded once, overviews made on the way.

Nothing is written that has to be read again but encoded blocks: each level keeps them in a nameless file of its own, and the finished file
is a header and those runs one after the other. So the store never sees uncompressed pixels, and a process that dies leaves nothing.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
from isal import isal_zlib

from layers.ingest import tiff
from layers.ingest.halving import halved, taps_of
from layers.ingest.sources import settle
from layers.ingest.tiff import ASCII, DOUBLE, LONG, RATIONAL, SHORT, UNDEFINED, Directory, Run, Value
from layers.model import Bounds

BLOCK = 256
STRIP_ROWS = 512
"""Rows of each strip but the last: two blocks, so that every level fills whole rows of blocks."""

DEFLATE_LEVEL = 2
COMPRESSIONS = {"NONE": 1, "JPEG": 7, "DEFLATE": 8, "WEBP": 50001}
BANDS_OF_PICTURES = {"JPEG": (1, 3), "WEBP": (3,)}
SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}

Encoder = Callable[[np.ndarray], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How pixels are kept.

    `compression` is DEFLATE (lossless), JPEG or WEBP (8 bits, 3 bands, JPEG also 1; `quality` 1..100), or NONE. `predictor` lets DEFLATE keep
    differences. `nearest` makes overviews of chosen pixels instead of means. Without `cog` there are no overviews.
    """

    compression: str = "DEFLATE"
    quality: int = 90
    predictor: bool = True
    nearest: bool = False
    cog: bool = True


def write_raster(
    target: Path, *, crs: str, bounds: Bounds, width: int, height: int, bands: int, dtype: str, nodata: float | None,
    strips: Iterable[tuple[np.ndarray, np.ndarray | None]], packing: Packing,
) -> None:
    """Writes `target`, which is whole or absent, whatever happens.

    Memory holds one strip of each level, whatever the height. An overview pixel is valid where any pixel below it is, and is the mean of
    the valid ones. The file says where it lies, its nodata and that pixels are areas, and nothing else.

    Parameters
    ----------
    bounds : Bounds
        Of the outer edges of the pixels, in units of `crs`, x before y.
    dtype : str
        uint8, int16, uint16, float32 or float64.
    nodata : float or None
        What becomes of pixels that are not valid; without it the file has a mask, and pixels beneath it are kept as they are given.
    strips : iterable of (values, valid)
        Consecutive runs of full rows from the top, `STRIP_ROWS` each but for the last: values (rows, columns) or (rows, columns, bands);
        valid (rows, columns) uint8, 0 or 255, or None where all are.

    Raises
    ------
    ValueError
        Strips of other shapes, or a packing that can't hold such pixels.
    """
    if bands not in BANDS_OF_PICTURES.get(packing.compression, (bands,)) or (packing.compression in BANDS_OF_PICTURES and dtype != "uint8"):
        raise ValueError(f"{packing.compression} can't hold {bands} bands of {dtype}")
    target.parent.mkdir(parents=True, exist_ok=True)
    levels = _levels(target.parent, width, height, np.dtype(dtype), bands, nodata, packing)
    part = target.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part.tif")
    try:
        for values, valid in strips:
            levels[0].add(values, valid)
        if levels[0].seen != height:
            raise ValueError(f"{levels[0].seen} rows were given of {height}")
        place = _place(crs, bounds, width, height)
        with part.open("wb") as file:
            file.write(tiff.header([level.blocks.run(place if level is levels[0] else {}) for level in levels], note=packing.cog))
            for level in reversed(levels):
                level.blocks.copy_to(file)
        settle(part, target)
    finally:
        for level in levels:
            level.blocks.close()
        part.unlink(missing_ok=True)


def _place(crs: str, bounds: Bounds, width: int, height: int) -> dict[int, Value]:
    across, along = (bounds.right - bounds.left) / width, (bounds.top - bounds.bottom) / height
    return {33550: (DOUBLE, (across, along, 0.0)), 33922: (DOUBLE, (0.0, 0.0, 0.0, bounds.left, bounds.top, 0.0)), **tiff.geo_tags(crs)}


# Levels

def _levels(
    folder: Path, width: int, height: int, dtype: np.dtype, bands: int, nodata: float | None, packing: Packing,
) -> list["_Level"]:
    """Finest first, each feeding the one behind it; the last fits into one block."""
    sizes = [(width, height)]
    while packing.cog and max(sizes[-1]) > BLOCK:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    levels = []
    for number, size in reversed(list(enumerate(sizes))):
        blocks = _Blocks(folder, size, dtype, bands, nodata, packing, is_overview=number > 0)
        levels.insert(0, _Level(size, blocks, levels[0] if levels else None, packing.nearest))
    return levels


class _Level:
    """Takes rows, hands them on as blocks and, halved, to the coarser level; keeps no more than a strip and the row above it."""

    def __init__(self, size: tuple[int, int], blocks: "_Blocks", coarser: "_Level | None", nearest: bool):
        self.width, self.height = size
        self.blocks, self.coarser, self.nearest = blocks, coarser, nearest
        self.seen = self.held_rows = 0
        self.held: list[tuple[np.ndarray, np.ndarray | None]] = []
        self.above: tuple[np.ndarray, np.ndarray | None] | None = None

    def add(self, values: np.ndarray, valid: np.ndarray | None) -> None:
        rows = len(values)
        self.seen, self.held_rows = self.seen + rows, self.held_rows + rows
        if values.shape[1] != self.width or self.held_rows > STRIP_ROWS or self.seen > self.height:
            raise ValueError(f"{rows} rows of {values.shape[1]} pixels after {self.seen - rows} of {self.height} x {self.width}")
        self.held.append((values, None if valid is None or valid.all() else valid))
        if self.held_rows == STRIP_ROWS or self.seen == self.height:
            self._hand_on(*_joined(self.held))
            self.held, self.held_rows = [], 0

    def _hand_on(self, values: np.ndarray, valid: np.ndarray | None) -> None:
        self.blocks.add(values, valid)
        if self.coarser is None:
            return
        first = self.seen - len(values)
        rows = taps_of(first // 2, self.coarser.height if self.seen == self.height else self.seen // 2, self.height, self.coarser.height)
        columns = taps_of(0, self.coarser.width, self.width, self.coarser.width)
        last = values[-1:], None if valid is None else valid[-1:]
        if self.above is not None and rows.near[0] < first:
            values, valid = _joined([self.above, (values, valid)])
            first -= 1
        self.coarser.add(*halved(values, valid, rows.moved(-first), columns, nearest=self.nearest))
        self.above = last


def _joined(runs: list[tuple[np.ndarray, np.ndarray | None]]) -> tuple[np.ndarray, np.ndarray | None]:
    if len(runs) == 1:
        return runs[0]
    values = np.concatenate([values for values, _ in runs])
    if all(valid is None for _, valid in runs):
        return values, None
    return values, np.concatenate([np.full(values.shape[:2], 255, np.uint8) if valid is None else valid for values, valid in runs])


# Blocks

class _Blocks:
    """The encoded blocks of one level."""

    def __init__(
        self, folder: Path, size: tuple[int, int], dtype: np.dtype, bands: int, nodata: float | None, packing: Packing, *, is_overview: bool,
    ):
        self.dtype, self.bands, self.nodata, self.packing = dtype, bands, nodata, packing
        self.file = tempfile.TemporaryFile(dir=folder)
        self.length = 0
        self.pixels = Directory(tags=_size_tags(size, is_overview=is_overview, is_mask=False))
        self.mask = Directory(tags=_size_tags(size, is_overview=is_overview, is_mask=True)) if nodata is None else None
        self.encode, self.tables = _encoder(packing, dtype), b""

    def add(self, values: np.ndarray, valid: np.ndarray | None) -> None:
        if self.nodata is not None and valid is not None:
            hidden = valid == 0
            values = np.where(hidden if values.ndim == 2 else hidden[..., None], self.dtype.type(self.nodata), values)
        for top in range(0, len(values), BLOCK):
            for left in range(0, values.shape[1], BLOCK):
                window = np.s_[top:top + BLOCK, left:left + BLOCK]
                self._put(self.pixels, self._encoded(_filled(values[window])))
                if self.mask:
                    self._put(self.mask, _mask_block(None if valid is None else _filled(valid[window])))

    def _encoded(self, block: np.ndarray) -> bytes:
        data = self.encode(block)
        if self.packing.compression == "JPEG":
            tables, data = _split_jpeg(data)
            if tables != (self.tables or tables):
                raise ValueError("blocks of JPEG were encoded with different tables")
            self.tables = tables
        return data

    def _put(self, directory: Directory, data: bytes) -> None:
        directory.starts.append(self.length + 4)
        directory.counts.append(len(data))
        framed = len(data).to_bytes(4, "little") + data + data[-4:]
        self.length += self.file.write(framed)

    def run(self, others: dict[int, Value]) -> Run:
        nodata = {42113: (ASCII, (*f"{self.nodata:.17g}".encode(), 0))} if self.nodata is not None else {}
        self.pixels.tags |= _pixel_tags(self.dtype, self.bands, self.packing, self.tables) | nodata | others
        return Run(directories=(self.pixels, self.mask) if self.mask else (self.pixels,), length=self.length)

    def copy_to(self, target) -> None:
        self.file.seek(0)
        shutil.copyfileobj(self.file, target, 1 << 22)

    def close(self) -> None:
        self.file.close()


def _filled(block: np.ndarray) -> np.ndarray:
    """To a whole block, by repeating the last row and column."""
    rows, columns = block.shape[:2]
    if (rows, columns) == (BLOCK, BLOCK):
        return block
    return np.pad(block, ((0, BLOCK - rows), (0, BLOCK - columns), *((0, 0),) * (block.ndim - 2)), mode="edge")


def _mask_block(valid: np.ndarray | None) -> bytes:
    if valid is None or valid.all():
        return _full_mask()
    return isal_zlib.compress(np.packbits(valid > 0, axis=1).tobytes(), DEFLATE_LEVEL)


@cache
def _full_mask() -> bytes:
    return isal_zlib.compress(b"\xff" * (BLOCK * BLOCK // 8), DEFLATE_LEVEL)


def _encoder(packing: Packing, dtype: np.dtype) -> Encoder:
    if packing.compression == "JPEG":
        return partial(_picture_file, suffix=".jpg", settings=(cv2.IMWRITE_JPEG_QUALITY, packing.quality))
    if packing.compression == "WEBP":
        return partial(_picture_file, suffix=".webp", settings=(cv2.IMWRITE_WEBP_QUALITY, packing.quality))
    if packing.compression == "NONE":
        return lambda block: np.ascontiguousarray(block, dtype.newbyteorder("<")).tobytes()
    predict = _predictor(packing, dtype)
    return lambda block: isal_zlib.compress(predict(np.ascontiguousarray(block, dtype.newbyteorder("<"))).tobytes(), DEFLATE_LEVEL)


def _picture_file(block: np.ndarray, *, suffix: str, settings: tuple[int, int]) -> bytes:
    if block.ndim == 3 and block.shape[2] == 3:
        block = cv2.cvtColor(block, cv2.COLOR_RGB2BGR)
    return cv2.imencode(suffix, np.ascontiguousarray(block), settings)[1].tobytes()


def _split_jpeg(data: bytes) -> tuple[bytes, bytes]:
    """The tables, which all blocks share, and the rest, both as streams of their own; application markers are dropped."""
    tables, at = [b"\xff\xd8"], 2
    rest = [b"\xff\xd8"]
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2:at + 4], "big")
        marker = data[at + 1]
        if marker in (0xDB, 0xC4):
            tables.append(data[at:end])
        elif not 0xE0 <= marker <= 0xEF and marker != 0xFE:
            rest.append(data[at:end])
        at = end
    return b"".join([*tables, b"\xff\xd9"]), b"".join([*rest, data[at:]])


def _predictor(packing: Packing, dtype: np.dtype) -> Callable[[np.ndarray], np.ndarray]:
    if not packing.predictor:
        return lambda block: block
    return _float_differences if dtype.kind == "f" else _differences


def _differences(block: np.ndarray) -> np.ndarray:
    differences = block.copy()
    differences[:, 1:] -= block[:, :-1]
    return differences


def _float_differences(block: np.ndarray) -> np.ndarray:
    """Bytes of a row sorted by significance, highest first, then differences of neighbours (of the same band).

    Source: Adobe Photoshop TIFF Technical Note 3.
    """
    rows, size = len(block), block.dtype.itemsize
    stride = 1 if block.ndim == 2 else block.shape[2]
    planes = block.astype(block.dtype.newbyteorder(">")).view(np.uint8).reshape(rows, -1, size).transpose(0, 2, 1).reshape(rows, -1)
    differences = planes.copy()
    differences[:, stride:] -= planes[:, :-stride]
    return differences


# Tags

def _size_tags(size: tuple[int, int], *, is_overview: bool, is_mask: bool) -> dict[int, Value]:
    tags = {
        254: (LONG, (is_overview + 4 * is_mask,)), 256: (LONG, (size[0],)), 257: (LONG, (size[1],)), 322: (SHORT, (BLOCK,)), 323: (SHORT, (BLOCK,)),
    }
    if is_mask:
        tags |= {258: (SHORT, (1,)), 259: (SHORT, (COMPRESSIONS["DEFLATE"],)), 262: (SHORT, (4,)), 277: (SHORT, (1,)), 284: (SHORT, (1,))}
    return tags


def _pixel_tags(dtype: np.dtype, bands: int, packing: Packing, tables: bytes) -> dict[int, Value]:
    is_rgb = bands >= 3 and dtype == np.uint8
    is_jpeg = packing.compression == "JPEG"
    tags = {
        258: (SHORT, (dtype.itemsize * 8,) * bands), 259: (SHORT, (COMPRESSIONS[packing.compression],)),
        262: (SHORT, ((6 if is_jpeg else 2) if is_rgb else 1,)), 277: (SHORT, (bands,)), 284: (SHORT, (1,)),
        339: (SHORT, (SAMPLE_FORMATS[dtype.kind],) * bands),
    }
    if bands > (others := 3 if is_rgb else 1):
        tags[338] = SHORT, (0,) * (bands - others)
    if packing.compression == "DEFLATE" and packing.predictor:
        tags[317] = SHORT, (3 if dtype.kind == "f" else 2,)
    if is_jpeg:
        tags[347] = UNDEFINED, tuple(tables)
        if is_rgb:
            tags |= {530: (SHORT, (2, 2)), 532: (RATIONAL, (0, 255, 128, 255, 128, 255))}
    return tags
