"""DOM and DEM: one delivered file, checked and rewritten as a cloud-optimised GeoTIFF.

What comes out is alike whatever came in: DOM has 3 bands of uint8 and a mask, DEM one band of float32 with nodata -9999; north is up; the
CRS stays the file's own. Nothing is guessed without a sentence in the lineage, and what can't be known is refused with the way to mend it.
Each is read once, some rows at a time, and written as it is read, so that memory is bounded whatever its size.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio

from layers.delivery import formats
from layers.ingest.cog import Packing, write_raster
from layers.ingest.frames import frame_cut
from layers.ingest.raster_content import HIGHEST_VALUE, LOWEST_VALUE, Heights, Picture, Strip, Tally, read_faults
from layers.ingest.raster_headers import RasterFacts, RasterOptions, check_raster
from layers.ingest.sources import footprint_of
from layers.model import Bounds, ProductType, Sheet
from layers.sheets import numbers as sheets

DEM_NODATA = -9999.0
JPEG_QUALITY = 90
CACHE_BYTES = 192 * 2**20
"""Of blocks that GDAL has unpacked."""

SAMPLE_SIDE = 2048
STRETCH_SENTENCE = re.compile(r"16-bit values were stretched linearly: (\S+) became 0, (\S+) became 255")


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenSheet:
    """A finished sheet, not yet in the catalogue (its id is 0), with what only a DEM has: its 2nd and 98th percentile in metres."""

    sheet: Sheet
    heights: tuple[float, float] | None


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
    tally = Tally(facts, None if cut is None or cut.hides_nothing else cut)
    packing = packing_of(options)
    target.parent.mkdir(parents=True, exist_ok=True)
    with formats.opened(path, registration=options.registration, work=target.parent) as source, rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
        content = Heights(source, facts, options) if is_dem else Picture(source, facts, options, keeps_margins=packing.compression == "JPEG")
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


def _checked(strips: Iterator[Strip], tally: "Tally", content: "Picture | Heights") -> Iterator[Strip]:
    """The same; a file that turns out to be none is refused before it is finished."""
    yield from strips
    tally.box()
    content.check()


def _footprint(box: Bounds, facts: RasterFacts):
    """In CRS84: the box of valid cells, within the sheet's frame where it has one."""
    whole = footprint_of(box, facts.crs)
    framed = whole.intersection(sheets.sheet_frame(facts.number)) if facts.number else whole
    return whole if framed.is_empty else framed


def packing_of(options: RasterOptions) -> Packing:
    is_lossless = options.product is ProductType.DEM or options.lossless or options.nearest
    return Packing(compression="DEFLATE" if is_lossless else "JPEG", quality=JPEG_QUALITY, nearest=options.nearest)


def _written(packing: Packing) -> str:
    detail = f" quality {packing.quality}" if packing.compression == "JPEG" else ", lossless"
    resampling = "nearest neighbour" if packing.nearest else "average"
    return f"written as cloud-optimised GeoTIFF ({packing.compression}{detail}), overviews by {resampling}"


# Stretch of 16-bit imagery

def sample_values(path: Path, facts: RasterFacts, options: RasterOptions) -> np.ndarray:
    """How often each 16-bit value, from -32,768 to 65,535, occurs in the valid cells of at most 2048 x 2048 evenly spread ones.

    Counts of the sheets of one job add up, so that all are stretched alike.
    """
    factor = max(facts.width, facts.height) / SAMPLE_SIDE
    shape = (max(1, round(facts.height / factor)), max(1, round(facts.width / factor))) if factor > 1 else (facts.height, facts.width)
    bands = [1, 2, 3] if facts.band_count > 1 else [1]
    with formats.opened(path, registration=options.registration) as source, read_faults(path.name):
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


def recorded_stretch(taken: Sequence[Sheet]) -> tuple[float, float] | None:
    """The stretch that earlier sheets of an edition were given, from their lineage: later ones must match them."""
    for sheet in taken:
        for sentence in sheet.lineage:
            match = STRETCH_SENTENCE.match(sentence)
            if match:
                return float(match[1]), float(match[2])
    return None


__all__ = ["RasterFacts", "RasterOptions", "TakenSheet", "check_raster", "recorded_stretch", "sample_values", "stretch_of", "take_in"]
