"""What is known of a file, or of a layer in the catalogue: as gdalinfo and ogrinfo would tell it, but for where it lies on this machine."""

from dataclasses import dataclass
from pathlib import Path

import pyogrio
import rasterio

from layers import crs as reference
from layers.catalogue import Catalogue
from layers.delivery import formats
from layers.delivery.geodatabases import readable
from layers.errors import CrsNotServed, LayerNotDefined
from layers.ingest.sources import checksum_of
from layers.ingest.vectors import driver_of, parts_of, read_faults
from layers.model import Bounds, Edition, Layer, LayerName, Sheet


@dataclass(frozen=True, slots=True, kw_only=True)
class BandInfo:
    dtype: str
    interpretation: str         # red, alpha, palette, gray ...
    nodata: float | None
    unit: str
    scale: float
    offset: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterInfo:
    """One raster file. `crs` is None where the file states none; `bounds` and `resolution` in its units."""

    name: str
    driver: str
    checksum: str
    crs: str | None
    width: int
    height: int
    bounds: Bounds
    resolution: tuple[float, float]
    is_rotated: bool
    bands: tuple[BandInfo, ...]
    compression: str
    block: tuple[int, int]      # rows, columns
    overviews: tuple[int, ...]
    has_mask: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TableInfo:
    """One table of a vector file."""

    name: str
    crs: str | None
    geometry: str
    count: int
    bounds: Bounds | None
    fields: tuple[tuple[str, str], ...]     # name, type


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorInfo:
    name: str
    driver: str
    checksum: str
    tables: tuple[TableInfo, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerInfo:
    """A layer of the catalogue at one edition, with its sheets."""

    layer: Layer
    edition: Edition
    sheets: tuple[Sheet, ...]


def layer_info(catalogue: Catalogue, name: LayerName) -> LayerInfo:
    """What the catalogue knows of `dom` or `dom@2011`. Raises LayerNotDefined."""
    found = catalogue.snapshot().find(name)
    if found is None:
        raise LayerNotDefined(str(name))
    layer, edition = found
    return LayerInfo(layer=layer, edition=edition, sheets=catalogue.sheets(edition.edition_id))


def file_info(path: Path) -> RasterInfo | VectorInfo:
    """What a file says of itself, whether or not it could become a layer.

    Raises
    ------
    LayerRejected
        It is none of the kinds that are taken in, or is damaged.
    """
    return raster_info(path) if formats.is_raster(path) or formats.is_tiff(path) else vector_info(path)


def raster_info(path: Path) -> RasterInfo:
    """What a raster says of itself. Raises LayerRejected."""
    with formats.opened(path, values=False) as source:
        return _raster_info(path, source)


def _raster_info(path: Path, source: rasterio.DatasetReader) -> RasterInfo:
    bands = zip(source.dtypes, source.colorinterp, source.nodatavals, source.units, source.scales, source.offsets, strict=True)
    return RasterInfo(
        name=path.name, driver=formats.kind_of(source), checksum=checksum_of([path]), crs=_name_of(source.crs.to_wkt() if source.crs else None),
        width=source.width, height=source.height, bounds=Bounds(*source.bounds), resolution=source.res,
        is_rotated=bool(source.transform.b or source.transform.d),
        bands=tuple(
            BandInfo(dtype=dtype, interpretation=colour.name, nodata=nodata, unit=unit or "", scale=scale, offset=offset)
            for dtype, colour, nodata, unit, scale, offset in bands
        ),
        compression=source.compression.value if source.compression else "none", block=source.block_shapes[0],
        overviews=tuple(source.overviews(1)), has_mask=any(flag.name != "all_valid" for flag in source.mask_flag_enums[0]),
    )


def vector_info(path: Path) -> VectorInfo:
    """What a file or geodatabase of a kind that is taken says of itself. Raises LayerRejected."""
    driver = driver_of(path)
    with readable(path) as source, read_faults(path.name):
        tables = tuple(_table_info(source, str(name)) for name, _ in pyogrio.list_layers(source))
    return VectorInfo(name=path.name, driver=driver, checksum=checksum_of(parts_of(path)), tables=tables)


def _table_info(path: Path, name: str) -> TableInfo:
    info = pyogrio.read_info(path, layer=name, force_feature_count=True, force_total_bounds=True)
    return TableInfo(
        name=name, crs=_name_of(info["crs"]), geometry=info["geometry_type"] or "none", count=int(info["features"]),
        bounds=Bounds(*map(float, info["total_bounds"])) if info["total_bounds"] is not None else None,
        fields=tuple((str(field), str(kind)) for field, kind in zip(info["fields"], info["ogr_types"], strict=True)),
    )


def _name_of(stated: str | None) -> str | None:
    """As short as the register has it; the file's own words where PROJ does not know them."""
    if stated is None:
        return None
    try:
        return reference.crs_name(stated)
    except CrsNotServed:
        return stated
