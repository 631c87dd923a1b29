"""Delivered sheets of 1:10,000 with their numbers, a few hundred pixels each, for tests."""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from geoserver_app.ingesting import ingest
from layers import crs
from layers.sheets import sheet_bounds

SQUARE = ("I50G095077", "I50G095078", "I50G096077", "I50G096078")
"""Four that make one sheet of 1:25,000, I50F048039; EPSG:4549."""


def deliver(folder: Path, number: str, colour: tuple[int, int, int] | float, *, step: float = 50.0, suffix: str = "", crs_name: str = "EPSG:4549") -> Path:
    """A GeoTIFF that covers the frame of a sheet with a margin of 100 m: one colour, or for a number one height."""
    left, bottom, right, top = crs.transform_bounds(sheet_bounds(number), "CRS:84", crs_name)
    left, top = (left - 100) // step * step, (top + 100) // step * step + step
    cols, rows = int((right + 100 - left) // step) + 1, int((top - bottom + 100) // step) + 1
    bands = np.array(colour, "uint8")[:, None, None] if isinstance(colour, tuple) else np.array([[[colour]]], "float32")
    pixels = np.broadcast_to(bands, (len(bands), rows, cols))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{number}{suffix}.tif"
    with rasterio.open(path, "w", driver="GTiff", count=len(pixels), height=rows, width=cols, dtype=pixels.dtype, crs=crs_name,
                       transform=from_origin(left, top, step, step), nodata=None if isinstance(colour, tuple) else -9999.0) as out:
        out.write(pixels)
    return path


def publish(house, name: str, *paths: Path, product: str, edition: str = "2011", **options):
    """As `house.layer`, in this process: quicker for a few small sheets."""
    published = ingest(house.services.settings, product=product, edition=edition, name=name, paths=paths, workers=0, **options)
    house.look_again()
    return published
