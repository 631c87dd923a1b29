"""Cells of a delivered raster as they pass, some full rows at a time: read, made into what the store holds, and looked at on the way."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import numpy as np
import rasterio
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window

from layers.errors import LayerRejected
from layers.ingest.cog import STRIP_ROWS
from layers.ingest.frames import COLLAR, FrameCut
from layers.ingest.raster_headers import RasterFacts, RasterOptions
from layers.model import Bounds

MOST_BYTES_AT_ONCE = 384 * 2**20
"""Of rows that are read together, so that a block which is higher than a strip is unpacked once."""
MOST_RANKED = 1 << 22
"""Heights, evenly spread, that percentiles are taken from."""

LOWEST_HEIGHT, HIGHEST_HEIGHT = -500.0, 9000.0
"""Metres: what lies beyond, in more than `SUSPICIOUS_SHARE` of the cells, is no height but an undeclared nodata."""
USUAL_NODATA = (-32768.0, -32767.0, -9999.0, -99999.0)
SUSPICIOUS_SHARE = 0.005
HEIGHT_BINS = np.arange(-12_000.0, 9_500.5, 0.5)

LOWEST_VALUE, HIGHEST_VALUE = -32_768, 65_535
"""Of 16 bits, signed or not."""

Strip = tuple[np.ndarray, np.ndarray | None]
"""Values (row, column, ...) and where they are valid (row, column), 0 or 255; None where all are."""


@contextmanager
def read_faults(name: str) -> Iterator[None]:
    try:
        yield
    except RasterioError as error:
        raise LayerRejected(name, "a part of it can't be read: it is truncated or damaged", "deliver it again") from error


def _rows_of(source: rasterio.DatasetReader, facts: RasterFacts, bands: Sequence[int]) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """(first row, values (row, column, band), validity) of each strip; rows that share blocks are read together."""
    masks = any(MaskFlags.all_valid not in flags for flags in source.mask_flag_enums)
    row_bytes = facts.width * len(bands) * np.dtype(facts.dtype).itemsize
    together = -(-max(rows for rows, _ in source.block_shapes) // STRIP_ROWS) * STRIP_ROWS
    if together * row_bytes > MOST_BYTES_AT_ONCE:
        together = STRIP_ROWS
    for top in range(0, facts.height, together):
        window = Window(0, top, facts.width, min(together, facts.height - top))
        values = np.empty((window.height, facts.width, len(bands)), facts.dtype)
        with read_faults(facts.name):
            source.read(bands, out=np.moveaxis(values, -1, 0), window=window)
            valid = source.dataset_mask(window=window) if masks else None
        for row in range(0, window.height, STRIP_ROWS):
            yield top + row, values[row:row + STRIP_ROWS], None if valid is None else valid[row:row + STRIP_ROWS]


class Tally:
    """What is learnt of the cells while they pass: the box of valid ones, how many are hidden, whether a frame of zeros runs around."""

    def __init__(self, facts: RasterFacts, cut: FrameCut | None):
        self.facts, self.cut = facts, cut
        self.hidden = self.beyond = self.edge = self.zero_edge = 0
        self.rows, self.columns = np.zeros(facts.height, bool), np.zeros(facts.width, bool)

    def add(self, top: int, values: np.ndarray, valid: np.ndarray | None) -> np.ndarray | None:
        """What of a strip stays visible, by its own validity and by the frame of its sheet."""
        rows = len(values)
        self._look_at_edges(top, values)
        if valid is not None:
            if found := valid.size - cv2.countNonZero(valid):
                self.hidden += found
            else:
                valid = None
        if self.cut is not None:
            within = self.cut.within(top, rows)
            shown = within if valid is None else cv2.bitwise_and(within, valid)
            self.beyond += (valid.size - found if valid is not None else within.size) - cv2.countNonZero(shown)
            valid = shown
        if valid is None:
            self.rows[top:top + rows] = True
            self.columns[:] = True
        else:
            self.rows[top:top + rows] = cv2.reduce(valid, 1, cv2.REDUCE_MAX).ravel() > 0
            self.columns |= cv2.reduce(valid, 0, cv2.REDUCE_MAX).ravel() > 0
        return valid

    def _look_at_edges(self, top: int, values: np.ndarray) -> None:
        edges = [values[:, 0], values[:, -1]]
        edges += [values[0]] if top == 0 else []
        edges += [values[-1]] if top + len(values) == self.facts.height else []
        for edge in edges:
            self.edge += len(edge)
            self.zero_edge += int(np.count_nonzero(~edge.reshape(len(edge), -1).any(axis=1)))

    def box(self) -> Bounds:
        """Of the valid cells, in the CRS of the file."""
        if not self.rows.any():
            raise LayerRejected(self.facts.name, "not one of its cells is valid", "see that its nodata and alpha are right")
        rows, columns = np.flatnonzero(self.rows), np.flatnonzero(self.columns)
        x, y = self.facts.resolution
        west, north = self.facts.bounds.left, self.facts.bounds.top
        return Bounds(west + x * float(columns[0]), north - y * float(rows[-1] + 1), west + x * float(columns[-1] + 1),
                      north - y * float(rows[0]))

    def sentences(self) -> list[str]:
        told = [f"{self.hidden} of {self.facts.width * self.facts.height} cells hold no data"] if self.hidden else []
        if self.beyond:
            told.append(f"{self.beyond} cells beyond the frame of sheet `{self.facts.number}` were hidden, but for a collar of {COLLAR} cells")
        if self.facts.nodata is not None and not self.hidden and self.zero_edge > self.edge / 2:
            told.append(f"warning: the declared nodata {self.facts.nodata:g} never occurs, but a frame of 0 does: "
                        "take the file in again with `--nodata 0` if the frame should be hidden")
        return told


# DOM

class Picture:
    """Colours as they pass. Hidden ones become 0, but those of a margin stay beneath the mask where JPEG would smear an edge of black."""

    def __init__(self, source: rasterio.DatasetReader, facts: RasterFacts, options: RasterOptions, *, keeps_margins: bool):
        self.facts, self.options, self.keeps_margins = facts, options, keeps_margins
        self.colours = _palette(source) if facts.interpretation[0] == "palette" else None
        self.stretch = _stretch_table(options.stretch) if facts.needs_stretch else None

    def strips(self, source: rasterio.DatasetReader, tally: Tally) -> Iterator[Strip]:
        for top, values, valid in _rows_of(source, self.facts, [1, 2, 3] if self.facts.band_count > 1 else [1]):
            picture, valid = self._coloured(values, None if valid is None else _plain_mask(valid))
            if valid is not None:
                picture = cv2.bitwise_and(picture, picture, mask=valid)
            shown = tally.add(top, picture, valid)
            if shown is not None and not self.keeps_margins:
                picture = cv2.bitwise_and(picture, picture, mask=shown)
            yield picture, shown

    def _coloured(self, values: np.ndarray, valid: np.ndarray | None) -> Strip:
        """Red, green and blue, and what the file's alpha, mask and nodata leave of them."""
        if self.options.nodata is not None:
            meant = (values != self.options.nodata).any(axis=2)
            valid = _and(valid, meant)
        if self.colours is not None:
            expanded = self.colours[values[..., 0]]
            return np.ascontiguousarray(expanded[..., :3]), _and(valid, expanded[..., 3] > 0)
        if self.stretch is not None:
            values = self.stretch[values.astype(np.int32) - LOWEST_VALUE]
        return cv2.merge([values[..., 0]] * 3) if values.shape[2] == 1 else values, valid

    def told(self) -> list[str]:
        facts, options, told = self.facts, self.options, []
        if facts.interpretation[0] == "palette":
            told.append("the palette was expanded to red, green and blue")
        elif facts.band_count == 1:
            told.append("the grey band was written as red, green and blue")
        if facts.needs_stretch:
            told.append(f"16-bit values were stretched linearly: {options.stretch[0]:g} became 0, {options.stretch[1]:g} became 255")
        if facts.band_count == 4:
            told.append("the alpha band became the mask" if facts.interpretation[3] == "alpha" else "the fourth band (not alpha) was dropped")
        if facts.nodata is not None:
            told.append(f"cells of nodata {facts.nodata:g} in every band were hidden")
        if options.nodata is not None:
            told.append(f"cells of {options.nodata:g} in every band were hidden, as declared with --nodata")
        return told

    def check(self) -> None:
        """A picture may hold anything."""

    def found(self) -> list[str]:
        return []


def _plain_mask(valid: np.ndarray) -> np.ndarray:
    """0 or 255; what an alpha hides by more than half is hidden."""
    return cv2.threshold(valid, 127, 255, cv2.THRESH_BINARY)[1]


def _and(valid: np.ndarray | None, more: np.ndarray) -> np.ndarray:
    mask = more.astype(np.uint8) * np.uint8(255)
    return mask if valid is None else cv2.bitwise_and(valid, mask)


def _palette(source: rasterio.DatasetReader) -> np.ndarray:
    """Red, green, blue and alpha of each index; an index without a colour is hidden."""
    table = np.zeros((256 if source.dtypes[0] == "uint8" else 65536, 4), np.uint8)
    for index, colour in source.colormap(1).items():
        table[index] = colour
    return table


def _stretch_table(stretch: tuple[float, float]) -> np.ndarray:
    low, high = stretch
    every = np.arange(LOWEST_VALUE, HIGHEST_VALUE + 1, dtype=np.float32)
    return np.clip(np.rint((every - low) * (255.0 / (high - low))), 0, 255).astype(np.uint8)


# DEM

class Heights:
    """Heights as they pass, in metres: their range, and what among them is too odd to be one."""

    def __init__(self, source: rasterio.DatasetReader, facts: RasterFacts, options: RasterOptions):
        self.facts, self.options = facts, options
        self.scale, self.offset = source.scales[0], source.offsets[0]
        self.lowest, self.highest = np.inf, -np.inf
        self.bins = np.zeros(len(HEIGHT_BINS) - 1, np.int64)
        self.odd = 0
        self.usual = dict.fromkeys(USUAL_NODATA, 0)
        self.step = max(1, facts.width * facts.height // MOST_RANKED)

    def strips(self, source: rasterio.DatasetReader, tally: Tally) -> Iterator[Strip]:
        is_plain = (self.scale, self.offset) == (1, 0)
        for top, values, mask in _rows_of(source, self.facts, [1]):
            raw = values[..., 0]
            valid = None if mask is None else _and(None, mask > 0)
            if np.issubdtype(raw.dtype, np.floating) and not np.isfinite(raw.sum(dtype=np.float64)):
                valid = _and(valid, np.isfinite(raw))
            if self.options.nodata is not None:
                valid = _and(valid, raw != raw.dtype.type(self.options.nodata))
            metres = (raw if is_plain else raw * np.float64(self.scale) + self.offset).astype(np.float32, copy=False)
            self.add(metres.ravel() if valid is None else metres[valid > 0])
            yield metres, tally.add(top, raw, valid)

    def add(self, heights: np.ndarray) -> None:
        if not heights.size:
            return
        low, high = float(heights.min()), float(heights.max())
        self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
        some = np.clip(heights[::self.step], HEIGHT_BINS[0], HEIGHT_BINS[-1])
        index = ((some - HEIGHT_BINS[0]) * 2).astype(np.int64)
        self.bins += np.bincount(np.minimum(index, len(self.bins) - 1), minlength=len(self.bins))
        if low < LOWEST_HEIGHT or high > HIGHEST_HEIGHT:
            self.odd += int(np.count_nonzero((heights < LOWEST_HEIGHT) | (heights > HIGHEST_HEIGHT)))
            for value in self.usual:
                self.usual[value] += int(np.count_nonzero(heights == np.float32(value)))

    def check(self) -> None:
        cells = self.facts.width * self.facts.height
        if self.options.unusual_heights and not any(count > SUSPICIOUS_SHARE * cells for count in self.usual.values()):
            return
        if self.odd > SUSPICIOUS_SHARE * cells:
            likely = self._likely_nodata()
            raise LayerRejected(
                self.facts.name,
                f"{self.odd} of {cells} cells are no heights ({self.lowest:g} to {self.highest:g} m), "
                "and the file declares no nodata for them",
                f"say `--nodata {likely:g}`, or `--unusual-heights` if they are meant",
            )

    def told(self) -> list[str]:
        is_plain = (self.scale, self.offset) == (1, 0)
        told = [] if is_plain else [f"heights are {self.scale:g} x the stored value + {self.offset:g}"]
        if self.options.nodata is not None:
            told.append(f"{self.options.nodata:g} counts as nodata, as declared with --nodata")
        return told

    def found(self) -> list[str]:
        odd = [f"warning: {self.odd} cells lie outside {LOWEST_HEIGHT:g}..{HIGHEST_HEIGHT:g} m"] if self.odd else []
        return [f"heights from {self.lowest:g} to {self.highest:g} m", *odd]

    def range(self) -> tuple[float, float]:
        """The 2nd and 98th percentile, in metres."""
        total = self.bins.cumsum()
        low, high = (float(HEIGHT_BINS[np.searchsorted(total, share * total[-1])]) for share in (0.02, 0.98))
        return max(low, self.lowest), max(min(high + 0.5, self.highest), max(low, self.lowest))

    def _likely_nodata(self) -> float:
        value, number = max(self.usual.items(), key=lambda pair: pair[1])
        if number:
            return value
        return self.lowest if self.lowest < LOWEST_HEIGHT else self.highest
