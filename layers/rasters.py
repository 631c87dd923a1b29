"""DOM and DEM: one delivered file, checked and rewritten as a cloud-optimised GeoTIFF.

What comes out is alike whatever came in: DOM has 3 bands of uint8 and a mask, DEM one band of float32 with nodata -9999; north is up; the
CRS stays the file's own. Nothing is guessed without a sentence in the lineage, and what can't be known is refused with the way to mend it.
Files are read window by window, so that memory is bounded whatever their size.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.windows import Window

from layers import formats, sheets
from layers.errors import LayerRejected
from layers.model import Bounds, ProductType, Sheet
from layers.sources import approved_crs, check_frame, check_place, footprint_of, settle

DEM_NODATA = -9999.0
JPEG_QUALITY = 90
BLOCK = 256
ROWS_AT_ONCE, COLUMNS_AT_ONCE = 512, 8192

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
    with formats.opened(path) as source:
        _check_grid(source, path.name)
        _check_bands(source, path.name, options.product)
        name = approved_crs(source.crs.to_wkt() if source.crs else None, options.crs, path.name)
        facts = RasterFacts(
            name=path.name, number=sheets.find_number(path.name), crs=name, bounds=Bounds(*source.bounds), resolution=source.res,
            width=source.width, height=source.height, band_count=source.count, dtype=source.dtypes[0],
            interpretation=tuple(band.name for band in source.colorinterp), nodata=source.nodata, crs_was_declared=source.crs is None,
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
    with formats.opened(path) as source, _read_faults(path.name):
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
    """Rewrites one checked file as `target`: under a temporary name first, so that `target` is whole or absent.

    Raises
    ------
    LayerRejected
        A block can't be read, there is no valid cell, or heights look like an undeclared nodata.
    """
    rough = target.with_suffix(f".{os.getpid()}.rough.tif")
    finished = target.with_suffix(f".{os.getpid()}.part.tif")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if options.product is ProductType.DEM:
            box, lineage, heights = _copy_heights(path, facts, options, rough)
        else:
            box, lineage, heights = *_copy_picture(path, facts, options, rough), None
        _write_cog(rough, finished, options)
        settle(finished, target)
    finally:
        rough.unlink(missing_ok=True)
        finished.unlink(missing_ok=True)
    is_dem = options.product is ProductType.DEM
    origin = f"taken from `{facts.name}`: {facts.band_count} x {facts.dtype}, {facts.width} x {facts.height}, sha256 {checksum}"
    stated = [f"the file states no CRS; {facts.crs} was declared"] if facts.crs_was_declared else []
    sheet = Sheet(
        sheet_id=0, number=facts.number, source_name=facts.name, path=relative, crs=facts.crs, bounds=facts.bounds,
        footprint=footprint_of(box, facts.crs), width=facts.width, height=facts.height, resolution=facts.resolution,
        band_count=1 if is_dem else 3, dtype="float32" if is_dem else "uint8", nodata=DEM_NODATA if is_dem else None, checksum=checksum,
        lineage=(origin, *stated, *lineage, _written(options)),
    )
    return TakenSheet(sheet=sheet, heights=heights)


@contextmanager
def _read_faults(name: str) -> Iterator[None]:
    try:
        yield
    except RasterioError as error:
        raise LayerRejected(name, "a part of it can't be read: it is truncated or damaged", "deliver it again") from error


def _windows(facts: RasterFacts) -> Iterator[Window]:
    for row in range(0, facts.height, ROWS_AT_ONCE):
        for column in range(0, facts.width, COLUMNS_AT_ONCE):
            yield Window(column, row, min(COLUMNS_AT_ONCE, facts.width - column), min(ROWS_AT_ONCE, facts.height - row))


def _rough_profile(source: rasterio.DatasetReader, facts: RasterFacts, **others) -> dict:
    return {
        "driver": "GTiff", "width": facts.width, "height": facts.height, "crs": rasterio.crs.CRS.from_user_input(facts.crs),
        "transform": source.transform, "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "NONE",
        "bigtiff": "IF_SAFER", "interleave": "pixel",
    } | others


class _Tally:
    """What is learnt of the cells while they pass: the box of valid ones, how many are hidden, whether a frame of zeros runs around."""

    def __init__(self, facts: RasterFacts):
        self.facts = facts
        self.hidden = self.cells = self.edge = self.zero_edge = 0
        self.rows, self.columns = np.zeros(facts.height, bool), np.zeros(facts.width, bool)

    def add(self, window: Window, valid: np.ndarray, zero: np.ndarray) -> None:
        row, column = window.row_off, window.col_off
        self.rows[row:row + window.height] |= valid.any(axis=1)
        self.columns[column:column + window.width] |= valid.any(axis=0)
        self.cells += valid.size
        self.hidden += valid.size - int(np.count_nonzero(valid))
        for touches, edge in (
            (row == 0, zero[0]), (row + window.height == self.facts.height, zero[-1]),
            (column == 0, zero[:, 0]), (column + window.width == self.facts.width, zero[:, -1]),
        ):
            if touches:
                self.edge += edge.size
                self.zero_edge += int(np.count_nonzero(edge))

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
        told = [f"{self.hidden} of {self.cells} cells hold no data"] if self.hidden else []
        if self.facts.nodata is not None and not self.hidden and self.zero_edge > self.edge / 2:
            told.append(f"warning: the declared nodata {self.facts.nodata:g} never occurs, but a frame of 0 does: "
                        "take the file in again with `--nodata 0` if the frame should be hidden")
        return told


# DOM

def _copy_picture(path: Path, facts: RasterFacts, options: RasterOptions, rough: Path) -> tuple[Bounds, list[str]]:
    tally = _Tally(facts)
    stretch = _stretch_table(options.stretch) if facts.needs_stretch else None
    with formats.opened(path) as source:
        colours = _palette(source) if facts.interpretation[0] == "palette" else None
        with rasterio.open(rough, "w", **_rough_profile(source, facts, count=3, dtype="uint8", photometric="RGB")) as target:
            for window in _windows(facts):
                values, valid = _read_picture(source, window, facts, options)
                if colours is not None:
                    expanded = colours[values[0]]
                    values, valid = np.moveaxis(expanded[..., :3], -1, 0), valid & (expanded[..., 3] > 0)
                elif stretch is not None:
                    values = stretch[values.astype(np.int32) - LOWEST_VALUE]
                picture = np.broadcast_to(values, (3, *valid.shape)) * valid
                tally.add(window, valid, ~picture.any(axis=0))
                target.write(picture.astype(np.uint8), window=window)
                target.write_mask(valid, window=window)
    return tally.box(), [*_picture_lineage(facts, options), *tally.sentences()]


def _read_picture(
    source: rasterio.DatasetReader, window: Window, facts: RasterFacts, options: RasterOptions,
) -> tuple[np.ndarray, np.ndarray]:
    """Values as they are in the file and, True where there is data, what its alpha, mask and nodata say."""
    with _read_faults(facts.name):
        values = source.read([1, 2, 3] if facts.band_count > 1 else [1], window=window)
        valid = source.dataset_mask(window=window) > 127
    if options.nodata is not None:
        valid &= (values != options.nodata).any(axis=0)
    return values, valid


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


def _picture_lineage(facts: RasterFacts, options: RasterOptions) -> list[str]:
    told = []
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


# DEM

def _copy_heights(path: Path, facts: RasterFacts, options: RasterOptions, rough: Path) -> tuple[Bounds, list[str], tuple[float, float]]:
    tally, heights = _Tally(facts), _Heights(facts, options)
    with formats.opened(path) as source:
        scale, offset = source.scales[0], source.offsets[0]
        with rasterio.open(rough, "w", **_rough_profile(source, facts, count=1, dtype="float32", nodata=DEM_NODATA)) as target:
            for window in _windows(facts):
                with _read_faults(facts.name):
                    raw = source.read(1, window=window)
                    valid = source.dataset_mask(window=window) > 0
                if np.issubdtype(raw.dtype, np.floating):
                    valid &= np.isfinite(raw)
                if options.nodata is not None:
                    valid &= raw != raw.dtype.type(options.nodata)
                metres = (raw * np.float64(scale) + offset if (scale, offset) != (1, 0) else raw).astype(np.float32)
                heights.add(metres[valid])
                tally.add(window, valid, raw == 0)
                target.write(np.where(valid, metres, np.float32(DEM_NODATA)), 1, window=window)
    box = tally.box()
    heights.check()
    told = [f"heights are {scale:g} x the stored value + {offset:g}"] if (scale, offset) != (1, 0) else []
    if options.nodata is not None:
        told.append(f"{options.nodata:g} counts as nodata, as declared with --nodata")
    return box, [*told, *tally.sentences(), *heights.sentences()], heights.range()


class _Heights:
    """Heights as they pass, in metres: their range, and what among them is too odd to be one."""

    def __init__(self, facts: RasterFacts, options: RasterOptions):
        self.facts, self.options = facts, options
        self.lowest, self.highest = np.inf, -np.inf
        self.bins = np.zeros(len(HEIGHT_BINS) - 1, np.int64)
        self.odd = 0
        self.usual = dict.fromkeys(USUAL_NODATA, 0)

    def add(self, heights: np.ndarray) -> None:
        if not heights.size:
            return
        low, high = float(heights.min()), float(heights.max())
        self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
        index = ((np.clip(heights, HEIGHT_BINS[0], HEIGHT_BINS[-1]) - HEIGHT_BINS[0]) * 2).astype(np.int64)
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

    def sentences(self) -> list[str]:
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

def _write_cog(rough: Path, finished: Path, options: RasterOptions) -> None:
    resampling = "NEAREST" if options.nearest else "AVERAGE"
    settings = {"BLOCKSIZE": BLOCK, "RESAMPLING": resampling, "OVERVIEW_RESAMPLING": resampling, "BIGTIFF": "IF_SAFER", "NUM_THREADS": 1}
    with rasterio.Env(**formats.GDAL_SETTINGS):
        rasterio.shutil.copy(rough, finished, driver="COG", **settings, **_compression(options))


def _compression(options: RasterOptions) -> dict:
    if options.product is ProductType.DEM:
        return {"COMPRESS": "DEFLATE", "PREDICTOR": "FLOATING_POINT"}
    if options.lossless or options.nearest:
        return {"COMPRESS": "DEFLATE", "PREDICTOR": "STANDARD"}
    return {"COMPRESS": "JPEG", "QUALITY": JPEG_QUALITY}


def _written(options: RasterOptions) -> str:
    packing = _compression(options)
    detail = f" quality {packing['QUALITY']}" if "QUALITY" in packing else ", lossless"
    resampling = "nearest neighbour" if options.nearest else "average"
    return f"written as cloud-optimised GeoTIFF ({packing['COMPRESS']}{detail}), overviews by {resampling}"


def recorded_stretch(taken: Sequence[Sheet]) -> tuple[float, float] | None:
    """The stretch that earlier sheets of an edition were given, from their lineage: later ones must match them."""
    for sheet in taken:
        for sentence in sheet.lineage:
            match = STRETCH_SENTENCE.match(sentence)
            if match:
                return float(match[1]), float(match[2])
    return None
