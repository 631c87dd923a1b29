"""DOM and DEM: one delivered file, checked and rewritten as a cloud-optimised GeoTIFF.

What comes out is alike whatever came in: DOM has 3 bands of uint8 and a mask, DEM one band of float32 with nodata -9999; north is up; the
CRS stays the file's own. Nothing is guessed without a sentence in the lineage, and what can't be known is refused with the way to mend it.
Each is read once, some rows at a time, and written as it is read, so that memory is bounded whatever its size.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window

from layers import formats, sheets
from layers.cog import STRIP_ROWS, Packing, write_raster
from layers.errors import LayerRejected
from layers.frames import COLLAR, FrameCut, frame_cut
from layers.model import Bounds, ProductType, Sheet
from layers.sources import approved_crs, check_frame, check_place, footprint_of

DEM_NODATA = -9999.0
JPEG_QUALITY = 90
CACHE_BYTES = 192 * 2**20
"""Of blocks that GDAL has unpacked."""
MOST_BYTES_AT_ONCE = 192 * 2**20
"""Of rows that are read together, so that a block which is higher than a strip is unpacked once."""
MOST_RANKED = 1 << 22
"""Heights, evenly spread, that percentiles are taken from."""

LOWEST_HEIGHT, HIGHEST_HEIGHT = -500.0, 9000.0
"""Metres: what lies beyond, in more than `SUSPICIOUS_SHARE` of the cells, is no height but an undeclared nodata."""
USUAL_NODATA = (-32768.0, -32767.0, -9999.0, -99999.0)
SUSPICIOUS_SHARE = 0.005

SAMPLE_SIDE = 2048
LOWEST_VALUE, HIGHEST_VALUE = -32_768, 65_535
"""Of 16 bits, signed or not."""
HEIGHT_BINS = np.arange(-12_000.0, 9_500.5, 0.5)
STRETCH_SENTENCE = re.compile(r"16-bit values were stretched linearly: (\S+) became 0, (\S+) became 255")
FEET = ("ft", "feet", "foot", "us-ft", "us survey foot", "ftus")


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterOptions:
    """How the files of one job are taken in; with the file's checksum it names the result."""

    product: ProductType
    crs: str | None = None                          # for files that state none
    nodata: float | None = None                     # beside what the file declares
    stretch: tuple[float, float] | None = None      # 16-bit values that become 0 and 255
    lossless: bool = False
    nearest: bool = False
    unusual_heights: bool = False                   # sea floor and the like: heights outside -500..9000 m are meant
    registration: str = formats.NODE                # what X0, Y0 of a text grid names

    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterFacts:
    """What the header of an acceptable file says."""

    name: str
    number: str | None
    crs: str
    bounds: Bounds
    resolution: tuple[float, float]
    width: int
    height: int
    band_count: int
    dtype: str
    interpretation: tuple[str, ...]
    nodata: float | None
    crs_was_declared: bool
    remarks: tuple[str, ...] = ()       # how it was read and placed

    @property
    def needs_stretch(self) -> bool:
        return self.dtype in ("uint16", "int16") and self.interpretation[0] != "palette"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenSheet:
    """A finished sheet, not yet in the catalogue (its id is 0), with what only a DEM has: its 2nd and 98th percentile in metres."""

    sheet: Sheet
    heights: tuple[float, float] | None


# The header

def check_raster(path: Path, options: RasterOptions) -> RasterFacts:
    """What the header says, once it is known to be acceptable.

    Raises
    ------
    LayerRejected
        Not a GeoTIFF, truncated, no or refused CRS, rotated, wrong bands for the product, not where its sheet number says.
    """
    with formats.opened(path, registration=options.registration, values=False) as source:
        _check_grid(source, path.name)
        _check_bands(source, path.name, options.product)
        formats.check_zone(source, options.crs, path.name)
        name = approved_crs(source.crs.to_wkt() if source.crs else None, options.crs, path.name)
        facts = RasterFacts(
            name=path.name, number=sheets.find_number(path.name), crs=name, bounds=Bounds(*source.bounds), resolution=source.res,
            width=source.width, height=source.height, band_count=source.count, dtype=source.dtypes[0],
            interpretation=tuple(band.name for band in source.colorinterp), nodata=source.nodata, crs_was_declared=source.crs is None,
            remarks=formats.remarks(source),
        )
    check_place(facts.name, facts.bounds, facts.crs)
    if facts.number:
        check_frame(facts.name, facts.number, facts.bounds, facts.crs, fills=True)
    return facts


def _check_grid(source: rasterio.DatasetReader, name: str) -> None:
    grid = source.transform
    if grid.is_identity:
        if source.gcps[0]:
            raise LayerRejected(name, "it is placed by ground control points, not by a grid", "rectify it, for instance by `gdalwarp`")
        raise LayerRejected(name, "it has no georeferencing", "put its world file (.tfw) beside it, or deliver a GeoTIFF with a grid")
    if grid.b or grid.d:
        raise LayerRejected(name, "its grid is rotated", "make it north-up, for instance by `gdalwarp`")
    if grid.a <= 0 or grid.e >= 0:
        raise LayerRejected(name, "its first row is not the northernmost or its first column not the westernmost",
                            "make it north-up, for instance by `gdalwarp`")


def _check_bands(source: rasterio.DatasetReader, name: str, product: ProductType) -> None:
    count, dtype = source.count, source.dtypes[0] if source.count else ""
    if not count:
        raise LayerRejected(name, "it has no band", "deliver it again")
    if dtype.startswith("complex"):
        raise LayerRejected(name, f"its cells are complex numbers ({dtype})", "deliver real numbers")
    if product is ProductType.DEM:
        if count != 1:
            raise LayerRejected(name, f"a DEM has 1 band, this file has {count}",
                                "give `--product DOM` if it is imagery, or pick the band of heights")
        if source.colorinterp[0] == ColorInterp.palette:
            raise LayerRejected(name, "it is a picture with a palette, not a DEM", "give `--product DOM`")
        if (source.units[0] or "").lower() in FEET:
            raise LayerRejected(name, f"its heights are in `{source.units[0]}`", "convert them to metres")
        return
    if count not in (1, 3, 4):
        raise LayerRejected(name, f"a DOM has 1, 3 or 4 bands, this file has {count}",
                            "pick red, green and blue, for instance by `gdal_translate -b 1 -b 2 -b 3`")
    if dtype not in ("uint8", "uint16", "int16"):
        raise LayerRejected(name, f"a DOM has cells of 8 or 16 bits, this file has {dtype}",
                            "give `--product DEM` if it holds heights, or convert it to 8 bits")


# Stretch of 16-bit imagery

def sample_values(path: Path, facts: RasterFacts, options: RasterOptions) -> np.ndarray:
    """How often each 16-bit value, from -32,768 to 65,535, occurs in the valid cells of at most 2048 x 2048 evenly spread ones.

    Counts of the sheets of one job add up, so that all are stretched alike.
    """
    factor = max(facts.width, facts.height) / SAMPLE_SIDE
    shape = (max(1, round(facts.height / factor)), max(1, round(facts.width / factor))) if factor > 1 else (facts.height, facts.width)
    bands = [1, 2, 3] if facts.band_count > 1 else [1]
    with formats.opened(path, registration=options.registration) as source, _read_faults(path.name):
        values = source.read(bands, out_shape=(len(bands), *shape))
        valid = source.dataset_mask(out_shape=shape) > 0
    if options.nodata is not None:
        valid &= (values != options.nodata).any(axis=0)
    return np.bincount(values[:, valid].astype(np.int64).ravel() - LOWEST_VALUE, minlength=HIGHEST_VALUE - LOWEST_VALUE + 1)


def stretch_of(counts: np.ndarray) -> tuple[float, float]:
    """The 2nd and 98th percentile of what `sample_values` counted."""
    total = counts.cumsum()
    if not total[-1]:
        return 0.0, 255.0
    low, high = (int(np.searchsorted(total, share * total[-1])) + LOWEST_VALUE for share in (0.02, 0.98))
    return float(low), float(max(high, low + 1))


# Taking in

def take_in(path: Path, facts: RasterFacts, options: RasterOptions, checksum: str, target: Path, relative: str) -> TakenSheet:
    """Rewrites one checked file as `target`, which is whole or absent, in one look at it.

    What lies beyond the frame of a numbered sheet is hidden but for a collar of two pixels.

    Raises
    ------
    LayerRejected
        A block can't be read, there is no valid cell, or heights look like an undeclared nodata.
    """
    is_dem = options.product is ProductType.DEM
    cut = frame_cut(facts.number, facts.bounds, facts.width, facts.height, facts.crs) if facts.number else None
    tally = _Tally(facts, None if cut is None or cut.hides_nothing else cut)
    packing = packing_of(options)
    target.parent.mkdir(parents=True, exist_ok=True)
    with formats.opened(path, registration=options.registration, work=target.parent) as source, rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
        content = _Heights(source, facts, options) if is_dem else _Picture(source, facts, options, keeps_margins=packing.compression == "JPEG")
        write_raster(
            target, crs=facts.crs, bounds=facts.bounds, width=facts.width, height=facts.height, bands=1 if is_dem else 3,
            dtype="float32" if is_dem else "uint8", nodata=DEM_NODATA if is_dem else None, packing=packing,
            strips=_checked(content.strips(source, tally), tally, content),
        )
        remarks = formats.remarks(source)
    origin = f"taken from `{facts.name}`: {facts.band_count} x {facts.dtype}, {facts.width} x {facts.height}, sha256 {checksum}"
    stated = [f"the file states no CRS; {facts.crs} was declared"] if facts.crs_was_declared else []
    sheet = Sheet(
        sheet_id=0, number=facts.number, source_name=facts.name, path=relative, crs=facts.crs, bounds=facts.bounds,
        footprint=_footprint(tally.box(), facts), width=facts.width, height=facts.height, resolution=facts.resolution,
        band_count=1 if is_dem else 3, dtype="float32" if is_dem else "uint8", nodata=DEM_NODATA if is_dem else None, checksum=checksum,
        lineage=(origin, *remarks, *stated, *content.told(), *tally.sentences(), *content.found(), _written(packing)),
    )
    return TakenSheet(sheet=sheet, heights=content.range() if is_dem else None)


Strip = tuple[np.ndarray, np.ndarray | None]
"""Values (row, column, ...) and where they are valid (row, column), 0 or 255; None where all are."""


def _checked(strips: Iterator[Strip], tally: "_Tally", content: "_Picture | _Heights") -> Iterator[Strip]:
    """The same; a file that turns out to be none is refused before it is finished."""
    yield from strips
    tally.box()
    content.check()


def _footprint(box: Bounds, facts: RasterFacts):
    """In CRS84: the box of valid cells, within the sheet's frame where it has one."""
    whole = footprint_of(box, facts.crs)
    framed = whole.intersection(sheets.sheet_frame(facts.number)) if facts.number else whole
    return whole if framed.is_empty else framed


@contextmanager
def _read_faults(name: str) -> Iterator[None]:
    try:
        yield
    except RasterioError as error:
        raise LayerRejected(name, "a part of it can't be read: it is truncated or damaged", "deliver it again") from error


def _strips(source: rasterio.DatasetReader, facts: RasterFacts, bands: Sequence[int]) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """(first row, values (row, column, band), validity) of each strip; rows that share blocks are read together."""
    masks = any(MaskFlags.all_valid not in flags for flags in source.mask_flag_enums)
    row_bytes = facts.width * len(bands) * np.dtype(facts.dtype).itemsize
    together = -(-max(rows for rows, _ in source.block_shapes) // STRIP_ROWS) * STRIP_ROWS
    if together * row_bytes > MOST_BYTES_AT_ONCE:
        together = STRIP_ROWS
    for top in range(0, facts.height, together):
        window = Window(0, top, facts.width, min(together, facts.height - top))
        values = np.empty((window.height, facts.width, len(bands)), facts.dtype)
        with _read_faults(facts.name):
            source.read(bands, out=np.moveaxis(values, -1, 0), window=window)
            valid = source.dataset_mask(window=window) if masks else None
        for row in range(0, window.height, STRIP_ROWS):
            yield top + row, values[row:row + STRIP_ROWS], None if valid is None else valid[row:row + STRIP_ROWS]


class _Tally:
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

class _Picture:
    """Colours as they pass. Hidden ones become 0, but those of a margin stay beneath the mask where JPEG would smear an edge of black."""

    def __init__(self, source: rasterio.DatasetReader, facts: RasterFacts, options: RasterOptions, *, keeps_margins: bool):
        self.facts, self.options, self.keeps_margins = facts, options, keeps_margins
        self.colours = _palette(source) if facts.interpretation[0] == "palette" else None
        self.stretch = _stretch_table(options.stretch) if facts.needs_stretch else None

    def strips(self, source: rasterio.DatasetReader, tally: _Tally) -> Iterator[Strip]:
        for top, values, valid in _strips(source, self.facts, [1, 2, 3] if self.facts.band_count > 1 else [1]):
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

class _Heights:
    """Heights as they pass, in metres: their range, and what among them is too odd to be one."""

    def __init__(self, source: rasterio.DatasetReader, facts: RasterFacts, options: RasterOptions):
        self.facts, self.options = facts, options
        self.scale, self.offset = source.scales[0], source.offsets[0]
        self.lowest, self.highest = np.inf, -np.inf
        self.bins = np.zeros(len(HEIGHT_BINS) - 1, np.int64)
        self.odd = 0
        self.usual = dict.fromkeys(USUAL_NODATA, 0)
        self.step = max(1, facts.width * facts.height // MOST_RANKED)

    def strips(self, source: rasterio.DatasetReader, tally: _Tally) -> Iterator[Strip]:
        is_plain = (self.scale, self.offset) == (1, 0)
        for top, values, mask in _strips(source, self.facts, [1]):
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


# Writing

def packing_of(options: RasterOptions) -> Packing:
    is_lossless = options.product is ProductType.DEM or options.lossless or options.nearest
    return Packing(compression="DEFLATE" if is_lossless else "JPEG", quality=JPEG_QUALITY, nearest=options.nearest)


def _written(packing: Packing) -> str:
    detail = f" quality {packing.quality}" if packing.compression == "JPEG" else ", lossless"
    resampling = "nearest neighbour" if packing.nearest else "average"
    return f"written as cloud-optimised GeoTIFF ({packing.compression}{detail}), overviews by {resampling}"


def recorded_stretch(taken: Sequence[Sheet]) -> tuple[float, float] | None:
    """The stretch that earlier sheets of an edition were given, from their lineage: later ones must match them."""
    for sheet in taken:
        for sentence in sheet.lineage:
            match = STRETCH_SENTENCE.match(sentence)
            if match:
                return float(match[1]), float(match[2])
    return None
