"""Positions as exact as PROJ's own, whatever the view; colours mixed from valid pixels only."""

import numpy as np
import pytest

from layers import crs as crs_room
from layers.model import Bounds, View
from layers.mosaic.warp import Part, PixelMap, resample, shrunk

LEFT, TOP = 360_000.0, 3_550_000.0


def to_grid(crs: str):
    transform = crs_room.transformer(crs, "EPSG:4549").transform

    def col_and_row(x, y):
        x, y = transform(x, y)
        return x - LEFT, TOP - y

    return col_and_row


@pytest.mark.parametrize(("crs", "bounds"), [
    ("EPSG:3857", Bounds(13_150_000, 3_760_000, 13_151_024, 3_761_024)),             # 1 km
    ("EPSG:3857", Bounds(12_950_000, 3_600_000, 13_560_000, 4_200_000)),             # the province
    ("EPSG:4490", Bounds(116.3, 30.7, 121.9, 35.1)),
    ("EPSG:4548", Bounds(500_000, 3_400_000, 900_000, 3_900_000)),
    ("EPSG:4326", Bounds(90.0, 5.0, 150.0, 60.0)),                                   # a quarter of Asia
])
def test_positions_agree_with_proj_for_views_of_every_size(crs, bounds):
    view = View(crs=crs, bounds=bounds, width=300, height=200)
    part = Part(20, 190, 10, 290)
    pixel_map = PixelMap(view, part, to_grid(crs))
    step_x, step_y = view.resolution
    x, y = np.meshgrid(bounds.left + (np.arange(10, 290) + 0.5) * step_x, bounds.top - (np.arange(20, 190) + 0.5) * step_y)
    cols, rows = to_grid(crs)(x, y)
    factor = max(pixel_map.step, 1.0)
    offset = float(cols.min() / factor), float(rows.min() / factor)
    there_cols, there_rows = pixel_map.positions(factor).places(*offset)
    assert np.abs(there_cols - (cols / factor - offset[0])).max() < 0.003
    assert np.abs(there_rows - (rows / factor - offset[1])).max() < 0.003


def test_a_part_of_one_pixel_has_a_position():
    view = View(crs="EPSG:4549", bounds=Bounds(LEFT + 10, TOP - 30, LEFT + 20, TOP - 20), width=10, height=10)
    positions = PixelMap(view, Part(3, 4, 5, 6), to_grid("EPSG:4549")).positions(1)
    assert positions.extent == pytest.approx((15.5, 23.5, 15.5, 23.5))
    assert positions.shift() == (15, 23)


def test_grids_that_differ_by_a_part_of_a_pixel_are_not_the_same():
    bounds = Bounds(LEFT + 10.3, TOP - 30, LEFT + 20.3, TOP - 20)
    view = View(crs="EPSG:4549", bounds=bounds, width=10, height=10)
    assert PixelMap(view, Part(0, 10, 0, 10), to_grid("EPSG:4549")).positions(1).shift() is None
    finer = View(crs="EPSG:4549", bounds=Bounds(LEFT, TOP - 10, LEFT + 10, TOP), width=20, height=20)
    assert PixelMap(finer, Part(0, 20, 0, 20), to_grid("EPSG:4549")).positions(1).shift() is None


def test_places_without_an_answer_are_outside_not_somewhere_else():
    def half_known(x, y):
        return np.where(x < 50, x, np.inf), y

    view = View(crs="EPSG:4549", bounds=Bounds(0, 0, 100, 100), width=100, height=100)
    places = PixelMap(view, Part(0, 100, 0, 100), half_known).positions(1).places(0, 0)
    values = np.full((100, 100), 9, np.uint8)
    _, kept = resample(values, None, *places, nearest=True)
    assert (kept[:, :50] == 255).all()
    assert (kept[:, 51:] == 0).all()


def test_colours_are_mixed_from_valid_pixels_only():
    values = np.full((4, 4, 3), 200, np.uint8)
    valid = np.full((4, 4), 255, np.uint8)
    values[:, 2:], valid[:, 2:] = 0, 0
    cols, rows = np.meshgrid([0.5, 1.5, 1.9, 2.1], [1.5, 2.5])
    picked, kept = resample(values, valid, cols, rows, nearest=False)
    assert (kept == [[255, 255, 255, 0]] * 2).all()
    assert (picked[kept > 0] == 200).all()


def test_an_average_ignores_what_is_not_valid():
    values = np.array([[10.0, 10.0, 4.0, -9999.0], [10.0, 10.0, 8.0, -9999.0]], np.float32)
    valid = np.array([[255, 255, 255, 0], [255, 255, 255, 0]], np.uint8)
    mean, kept = shrunk(values, valid, 2)
    assert mean == pytest.approx(np.array([[10.0, 6.0]]))
    assert (kept == 255).all()


def test_a_place_on_the_edge_of_two_pixels_belongs_to_the_right_and_lower_one():
    values = np.arange(16, dtype=np.uint8).reshape(4, 4)
    cols, rows = np.meshgrid([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0])
    picked, kept = resample(values, None, cols, rows, nearest=True)
    assert (picked == values).all()
    assert (kept == 255).all()
