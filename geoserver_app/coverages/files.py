"""Numbers as files that leave: GeoTIFF, or a picture of imagery. They hold values, what is no data, and their place; nothing of where they are from."""

from collections.abc import Sequence

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile
from rasterio.transform import from_bounds

from layers.crs import to_pyproj
from layers.model import Patch, ProductType, View
from layers.mosaic.reader import NODATA
from tiles.encode import encode
from tiles.requests.wcs import TIFF
from tiles.sources import picture_of

BLOCK = 256
"""Pixels: side of the tiles of a GeoTIFF that is at least so large."""

ZLEVEL = 3
"""A tenth larger than the best that DEFLATE can do, in a third of the time."""

BANDS = {ProductType.DEM: ("height",), ProductType.DOM: ("red", "green", "blue")}
COLOURS = {"red": ColorInterp.red, "green": ColorInterp.green, "blue": ColorInterp.blue}


def coverage_file(
    patch: Patch | None, view: View, product: ProductType, media_type: str, *, compression: str = "DEFLATE", bands: Sequence[str] = (),
) -> bytes:
    """`patch` of `view` as a file.

    Parameters
    ----------
    patch : Patch or None
        Already cut; None is nothing at all, which is a file of that size without data.
    media_type : str
        image/tiff, or image/png and image/jpeg of imagery: JPEG is white where there are no data.
    compression : str
        DEFLATE, LZW or NONE, of GeoTIFF.
    bands : Sequence[str]
        Names out of `BANDS`, in the order in which they are wanted; none for all. Of GeoTIFF alone.

    Heights that are no data are -9999, and the file says so; imagery has a mask.
    """
    if media_type != TIFF:
        return encode(picture_of(patch, view), media_type)
    names, is_height = BANDS[product], product is ProductType.DEM
    values, valid = _whole(patch, view, len(names), is_height)
    wanted = list(bands) or list(names)
    if is_height:
        values = np.where(valid, values, np.float32(NODATA))
    values = values[[names.index(name) for name in wanted]]
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as memory:
        with memory.open(**_profile(view, values, compression, is_height)) as out:
            out.write(values)
            if not is_height:
                out.colorinterp = _colours(wanted)
                if not valid.all():
                    out.write_mask(valid.astype(np.uint8) * np.uint8(255))
        return bytes(memory.getbuffer())


def _whole(patch: Patch | None, view: View, count: int, is_height: bool) -> tuple[np.ndarray, np.ndarray]:
    if patch is not None:
        return patch.values, patch.valid
    return np.zeros((count, view.height, view.width), np.float32 if is_height else np.uint8), np.zeros((view.height, view.width), bool)


def _profile(view: View, values: np.ndarray, compression: str, is_height: bool) -> dict:
    profile = {
        "driver": "GTiff", "width": view.width, "height": view.height, "count": len(values), "dtype": values.dtype, "crs": to_pyproj(view.crs),
        "transform": from_bounds(*view.bounds, view.width, view.height), "nodata": NODATA if is_height else None,
        "photometric": "RGB" if len(values) == 3 else "MINISBLACK", "interleave": "pixel",
    }
    if min(view.width, view.height) >= BLOCK:
        profile |= {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}
    if compression != "NONE":
        profile |= {"compress": compression, "predictor": 3 if is_height else 2, "zlevel": ZLEVEL}
    return profile


def _colours(bands: Sequence[str]) -> list[ColorInterp]:
    """Named only where together they are a picture: a single band of it is shown in greys."""
    return [COLOURS[band] for band in bands] if len(bands) == 3 else [ColorInterp.gray, *[ColorInterp.undefined] * (len(bands) - 1)]
