"""What the header of a delivered raster says, and what can be said against it before its cells are read."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import rasterio
from rasterio.enums import ColorInterp

from layers.delivery import formats
from layers.errors import LayerRejected
from layers.ingest.sources import approved_crs, check_frame, check_place
from layers.model import Bounds, ProductType
from layers.sheets import numbers as sheets

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
