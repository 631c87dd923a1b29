"""What a delivered raster may be, and how it is opened: by the drivers named here, and no other."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from layers.errors import LayerRejected

DRIVER = "GTiff"
"""The only one that opens a delivered file: a VRT, say, could read any other file of this machine."""

SUFFIXES = (".tif", ".tiff")

GDAL_SETTINGS = {
    "GDAL_CACHEMAX": 64 * 2**20,                # bytes: a smaller number would be megabytes
    "GDAL_TIFF_INTERNAL_MASK": True,
    "GDAL_ERROR_ON_LIBJPEG_WARNING": True,      # else a truncated JPEG block reads as grey
    "GDAL_DISABLE_READDIR_ON_OPEN": "FALSE",    # .tfw and .aux.xml lie beside the file
    "GDAL_PAM_ENABLED": True,
}


@contextmanager
def opened(path: Path) -> Iterator[rasterio.DatasetReader]:
    with rasterio.Env(**GDAL_SETTINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)        # told in a sentence of ours
        try:
            source = rasterio.open(path, driver=DRIVER)
        except RasterioError as error:
            raise unreadable(path) from error
        with source:
            yield source


def unreadable(path: Path) -> LayerRejected:
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        return LayerRejected(path.name, "the file is empty", "deliver it again")
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return LayerRejected(path.name, "it begins like a TIFF but can't be opened: it is truncated or damaged", "deliver it again")
    if b"NSDTF-DEM" in head or b"CNSDTF" in head:
        return LayerRejected(path.name, "it is a text grid (NSDTF-DEM), which is not taken in yet", "convert it to GeoTIFF")
    if b"HeadBegin" in head:
        return LayerRejected(path.name, "it is a VCT file (GB/T 17798), which is not taken in", "export it as GeoPackage or Shapefile")
    return LayerRejected(path.name, "it is not a GeoTIFF", "give a GeoTIFF, for instance by `gdal_translate -of GTiff`")
