"""Open rasters of the store, a few a thread, and the pixels in their windows."""

import threading
import warnings
from collections import OrderedDict

import cv2
import numpy as np
import rasterio
from rasterio.env import set_gdal_config
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader
from rasterio.windows import Window

NODATA = -9999.0
"""Of elevation models in the store."""

HANDLES_PER_THREAD = 48
"""A picture of 1600 x 1200 pixels touches some fifteen sheets of one resolution; eight threads stay far below 1024 open files."""

LISTING, NONE, USUAL = "GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR", "FALSE"
"""Files of the store have no companions: unless told so, GDAL reads the list of all files of a folder to open one of thousands."""

warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)     # where the store's files lie is known from the catalogue


class Handles(threading.local):
    """Open datasets of this thread, the least recently used closed first: GDAL's handles are not for sharing."""

    def __init__(self) -> None:
        with rasterio.Env():                            # GDAL knows its drivers from here on
            self._open: OrderedDict[tuple[str, int | None], DatasetReader] = OrderedDict()

    def open(self, path: str, overview: int | None = None) -> DatasetReader:
        """The file, or one of its overviews, as plain rows and columns: to understand a CRS takes GDAL longer than all else.

        Raises
        ------
        rasterio.errors.RasterioIOError
            There is no such file, or no such overview.
        """
        key = path, overview
        dataset = self._open.get(key)
        if dataset is None:
            dataset = self._open[key] = _opened(path, {} if overview is None else {"overview_level": overview})
            if len(self._open) > HANDLES_PER_THREAD:
                self._open.popitem(last=False)[1].close()
        else:
            self._open.move_to_end(key)
        return dataset


handles = Handles()


def _opened(path: str, options: dict[str, int]) -> DatasetReader:
    """What `rasterio.open` does within an `Env` of its own, which takes twice as long as GDAL does."""
    set_gdal_config(LISTING, NONE)
    try:
        return DatasetReader(path, driver="GTiff", sharing=False, GEOREF_SOURCES="NONE", **options)
    finally:
        set_gdal_config(LISTING, USUAL)


def read_pixels(dataset: DatasetReader, window: Window, *, is_elevation: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """(row, col[, band]) values, and 255 where they are data; None for the latter where all are."""
    if is_elevation:
        heights = dataset.read(1, window=window)
        gaps = (heights == NODATA) | ~np.isfinite(heights)
        return heights, np.where(gaps, 0, 255).astype(np.uint8) if gaps.any() else None
    bands = dataset.read(window=window)
    valid = dataset.read_masks(1, window=window)
    return cv2.merge(list(bands)), None if valid.min() == 255 else valid
