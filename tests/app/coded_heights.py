"""An elevation model whose heights tell row and column, and what PROJ alone says of places: the oracle of everything that is told in numbers."""

import io
from functools import lru_cache

import numpy as np
import pyproj
import shapely
from PIL import Image

from layers.model import View
from tiles.terrain import ENCODERS

LEFT, TOP, STEP, COLS, ROWS = 350_000.0, 3_690_000.0, 1000.0, 300, 190
"""EPSG:4549; one height a kilometre, a tenth of a metre apart."""

BORDER = 2e-7
"""Degrees: places so near the border may fall on either side."""


@lru_cache
def transformer(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def coded() -> np.ndarray:
    return (np.arange(ROWS * COLS, dtype=np.float32).reshape(1, ROWS, COLS) / 10).astype(np.float32)


def number_of(height: np.ndarray) -> np.ndarray:
    return np.rint(np.asarray(height, float) * 10).astype(np.int64)


def islands() -> shapely.Geometry:
    sea, lake = shapely.Point(119.8, 32.5).buffer(0.6), shapely.Point(119.8, 32.5).buffer(0.35)
    return shapely.union_all([sea.difference(lake), shapely.box(119.65, 32.4, 119.95, 32.6), shapely.box(120.8, 32.0, 120.9, 32.3)])


AREAS = {"box": shapely.box(119.6, 32.2, 120.1, 32.7), "islands": islands()}


class Places:
    """Which places lie in an area and upon which cell, by PROJ and a point-in-polygon test."""

    def __init__(self, area: shapely.Geometry):
        self.area = shapely.segmentize(area, 0.01)
        self.border = shapely.boundary(self.area)
        shapely.prepare([self.area, self.border])

    def inside(self, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        return shapely.contains_xy(self.area, lon, lat)

    def certain(self, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        return shapely.distance(self.border, shapely.points(lon, lat)) > BORDER

    def wrong(self, suspected: np.ndarray, lon: np.ndarray, lat: np.ndarray) -> bool:
        """Whether one of the suspected places does not lie upon the border itself."""
        return bool(self.certain(lon[suspected], lat[suspected]).any())

    def judge_tile(self, data: bytes, view: View, style: str, *, is_strict: bool = False) -> int:
        """How many pixels show a height; fails where one is shown that may not be, hidden that may be seen, or of another cell."""
        pixels = np.array(Image.open(io.BytesIO(data)).convert("RGBA"))
        x = view.bounds.left + (np.arange(view.width) + 0.5) * view.resolution[0]
        y = view.bounds.top - (np.arange(view.height) + 0.5) * view.resolution[1]
        xs, ys = np.meshgrid(x, y)
        lon, lat = transformer(view.crs, "OGC:CRS84").transform(xs, ys)
        east, north = transformer(view.crs, "EPSG:4549").transform(xs, ys)
        column, row = (east - LEFT) / STEP, (TOP - north) / STEP
        shown, inside = pixels[..., 3] > 0, self.inside(lon, lat)
        on_sheet = (column > 0.05) & (column < COLS - 0.05) & (row > 0.05) & (row < ROWS - 0.05)
        assert set(np.unique(pixels[..., 3])) <= {0, 255} and not pixels[~shown].any(), "numbers under nothing"
        assert not self.wrong(shown & ~inside, lon, lat), "a height from beyond the border"
        if not is_strict:
            assert not self.wrong(~shown & inside & on_sheet, lon, lat), "a height that is granted is missing"
        number = number_of(np.nan_to_num(ENCODERS[style].decode(pixels)))
        off_col, off_row = np.abs(number % COLS + 0.5 - column), np.abs(number // COLS + 0.5 - row)
        assert not (shown & ((off_col > 0.56) | (off_row > 0.56))).any(), "the height of another cell"
        if is_strict:
            assert shapely.covers(self.area, cells(np.unique(number[shown]))).all(), "a cell that reaches beyond the border"
        return int(shown.sum())


def cells(number: np.ndarray) -> np.ndarray:
    """The ground of cells in degrees, a little smaller than what can't be told."""
    side = np.linspace(-1, 1, 4)[:-1]
    across, down = np.concatenate([side, np.ones(3), -side, -np.ones(3)]), np.concatenate([-np.ones(3), side, np.ones(3), -side])
    half = STEP / 2 - 0.05
    x, y = LEFT + (number % COLS + 0.5) * STEP, TOP - (number // COLS + 0.5) * STEP
    lon, lat = transformer("EPSG:4549", "OGC:CRS84").transform(x[:, None] + across * half, y[:, None] + down * half)
    return shapely.polygons(np.dstack([lon, lat])) if len(number) else np.empty(0, object)


def cell_of(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Number of the cell that holds a place; -1 beyond the sheet."""
    east, north = transformer("OGC:CRS84", "EPSG:4549").transform(lon, lat)
    column, row = np.floor((east - LEFT) / STEP), np.floor((TOP - north) / STEP)
    on_sheet = (column >= 0) & (column < COLS) & (row >= 0) & (row < ROWS)
    return np.where(on_sheet, row * COLS + column, -1).astype(int)
