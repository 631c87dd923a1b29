"""A picture whose colours tell row and column, shared by halves: whatever a client downloads says where it came from."""

import io

import numpy as np
import pyproj
import pytest
import shapely
from PIL import Image

from layers.crs import transform_geometry
from layers.model import Bounds

LEFT, TOP, STEP, COLS, ROWS = 384_000.0, 3_548_000.0, 5.0, 240, 200
MIDDLE = LEFT + COLS * STEP / 2
SHEET = Bounds(LEFT, TOP - ROWS * STEP, LEFT + COLS * STEP, TOP)
AROUND = Bounds(SHEET.left - 100, SHEET.bottom - 100, SHEET.right + 100, SHEET.top + 100)
WEST_HALF = shapely.segmentize(shapely.box(LEFT - 500, SHEET.bottom - 500, MIDDLE, TOP + 500), 50)


def coded() -> np.ndarray:
    number = np.arange(ROWS * COLS).reshape(ROWS, COLS)
    return np.stack([number >> 8, number & 255, np.full_like(number, 200)]).astype(np.uint8)


@pytest.fixture(scope="module")
def house(lasting_house):
    house = lasting_house
    house.raster("coded", coded(), LEFT, TOP, STEP, lossless=True, nearest=True, title_zh="坐标影像", title_en="Coded picture")
    house.raster("hidden", coded(), LEFT, TOP, STEP, lossless=True, nearest=True)
    house.agency("water")
    house.grant("water", "coded", area=transform_geometry(WEST_HALF, "EPSG:4549", "CRS:84"))
    return house


def judge(pixels: np.ndarray, crs: str, bounds: Bounds, within: float = 1.0) -> None:
    """Every pixel (row, col, RGBA) of a picture of `bounds` shows the place it stands on, and the granted half is there and no more.

    `within` counts pixels: those of the picture or those of the source, whichever are larger.
    """
    height, width, _ = pixels.shape
    step_x, step_y = (bounds.right - bounds.left) / width, (bounds.top - bounds.bottom) / height
    xs, ys = np.meshgrid(bounds.left + (np.arange(width) + 0.5) * step_x, bounds.top - (np.arange(height) + 0.5) * step_y)
    to_sheet = pyproj.Transformer.from_crs("OGC:CRS84" if crs == "CRS:84" else crs, "EPSG:4549", always_xy=True)
    east, north = to_sheet.transform(xs, ys)
    col, row = (east - LEFT) / STEP, (TOP - north) / STEP
    pixel = within * max(1.0, abs(col[0, -1] - col[0, 0]) / max(width - 1, 1), abs(row[-1, 0] - row[0, 0]) / max(height - 1, 1))
    visible = pixels[..., 3] > 0
    number = (pixels[..., 0].astype(int) << 8) + pixels[..., 1]
    off = np.maximum(abs(number % COLS + 0.5 - col), abs(number // COLS + 0.5 - row))
    assert visible.any()
    assert off[visible].max() <= pixel, off[visible].max() / pixel
    well_inside = (col > pixel) & (col < COLS / 2 - pixel) & (row > pixel) & (row < ROWS - pixel)
    well_outside = (col < -pixel) | (col > COLS / 2 + pixel) | (row < -pixel) | (row > ROWS + pixel)
    assert visible[well_inside].all()
    assert not visible[well_outside].any()


def rgba(picture: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(picture)).convert("RGBA"))
