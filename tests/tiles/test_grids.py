"""Tile matrix sets against the published numbers of Tianditu and OGC."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.model import Bounds
from tiles.grids import TILE_MATRIX_SETS, TileMatrixSet

NANJING = (118.7781, 32.0436)

SETS = list(TILE_MATRIX_SETS.values())


def tile_of(tms: TileMatrixSet, z: int, x: float, y: float) -> tuple[int, int]:
    """row, col of the tile that holds a point."""
    row, last_row, col, last_col = tms.limits(z, Bounds(x, y, x, y))
    assert (row, col) == (last_row, last_col)
    return row, col


@pytest.mark.parametrize(("z", "col", "row"), [(10, 849, 164), (15, 27195, 5275), (17, 108781, 21101), (18, 217563, 42202)])
def test_nanjing_lies_in_the_tile_that_tianditu_gives_it(z, col, row):
    assert tile_of(TILE_MATRIX_SETS["tdt_c"], z, *NANJING) == (row, col)


@pytest.mark.parametrize(("z", "degrees", "denominator"), [
    (1, 0.703125, 279541132.01), (10, 0.001373291015625, 545978.77), (15, 4.29153442382813e-5, 17061.84), (18, 5.36441802978516e-6, 2132.73),
])
def test_levels_of_tdt_c_have_the_resolution_and_scale_of_tianditu(z, degrees, denominator):
    tms = TILE_MATRIX_SETS["tdt_c"]
    assert tms.resolutions[z] == pytest.approx(degrees, rel=1e-12)
    assert tms.scale_denominator(z) == pytest.approx(denominator, abs=0.01)


def test_level_one_of_tdt_c_is_two_tiles_wide_and_level_zero_is_not_served():
    tms = TILE_MATRIX_SETS["tdt_c"]
    assert tms.size(1) == (2, 1)
    assert not tms.holds(0, 0, 0)
    assert tms.holds(1, 0, 1)
    assert not tms.holds(1, 1, 0)
    assert tms.max_zoom == 18


def test_web_mercator_quad_is_the_ogc_one():
    tms = TILE_MATRIX_SETS["WebMercatorQuad"]
    assert tms.origin == pytest.approx((-20037508.3427892, 20037508.3427892))
    assert tms.scale_denominator(0) == pytest.approx(559082264.028717, rel=1e-9)
    assert tms.size(12) == (4096, 4096)


def test_the_provincial_grid_covers_jiangsu_and_counts_from_its_top_left():
    tms = TILE_MATRIX_SETS["jiangsu_gk120"]
    assert tms.size(0) == (5, 4)
    assert tms.resolutions[9] == 1.0
    assert tms.bounds(0, 0, 0) == Bounds(150000, 3900000 - 512 * 256, 150000 + 512 * 256, 3900000)
    row, col = tile_of(tms, 11, 159737, 3893976)
    assert tms.holds(11, row, col)


@pytest.mark.parametrize("tms", SETS, ids=lambda tms: tms.id)
@given(data=st.data())
def test_the_box_of_a_tile_touches_that_tile_alone(tms, data):
    z = data.draw(st.integers(tms.min_zoom, tms.max_zoom))
    cols, rows = tms.size(z)
    row, col = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, cols - 1))
    assert tms.limits(z, tms.bounds(z, row, col)) == (row, row, col, col)


@pytest.mark.parametrize("tms", SETS, ids=lambda tms: tms.id)
@given(data=st.data())
def test_a_tile_is_exactly_four_of_the_next_level(tms, data):
    z = data.draw(st.integers(0, tms.max_zoom - 1))
    cols, rows = tms.size(z)
    row, col = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, cols - 1))
    upper_left, lower_right = tms.bounds(z + 1, 2 * row, 2 * col), tms.bounds(z + 1, 2 * row + 1, 2 * col + 1)
    whole = tms.bounds(z, row, col)
    assert (upper_left.left, upper_left.top) == pytest.approx((whole.left, whole.top), rel=1e-15)
    assert (lower_right.right, lower_right.bottom) == pytest.approx((whole.right, whole.bottom), rel=1e-15)


def test_a_box_beyond_the_set_touches_no_tile():
    tms = TILE_MATRIX_SETS["jiangsu_gk120"]
    assert tms.limits(5, Bounds(0, 0, 1000, 1000)) is None
    assert tms.limits(5, Bounds(800000, 3500000, 801000, 3501000)) is None


def test_a_box_across_the_border_of_the_set_is_cut_to_it():
    tms = TILE_MATRIX_SETS["tdt_c"]
    assert tms.limits(2, Bounds(-400, -400, 400, 400)) == (0, 1, 0, 3)


def test_a_view_of_a_tile_has_the_resolution_of_its_level():
    tms = TILE_MATRIX_SETS["WebMercatorQuad"]
    view = tms.view(14, 6643, 13598)
    assert view.resolution == pytest.approx((tms.resolutions[14], tms.resolutions[14]))
    assert tms.level_of(view.resolution[0]) == 14
    assert tms.level_of(view.resolution[0] * 1.01) is None
    assert math.isclose(view.bounds.width, 256 * tms.resolutions[14])
