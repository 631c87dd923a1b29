"""The mask is a point-in-polygon test of every pixel centre, computed faster."""

import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_bounds

from layers.model import Bounds, View
from tiles.clip import Footprint, Rings


def view(width=64, height=48, bounds=Bounds(0.0, 0.0, 64.0, 48.0)):
    return View(crs="EPSG:4549", bounds=bounds, width=width, height=height)


def point_by_point(geometry, looked):
    step_x, step_y = looked.resolution
    x = looked.bounds.left + (np.arange(looked.width) + 0.5) * step_x
    y = looked.bounds.top - (np.arange(looked.height) + 0.5) * step_y
    return shapely.contains_xy(geometry, *np.meshgrid(x, y))


def star(seed, points, radius=40.0, centre=(30.0, 25.0)):
    """A ragged ring of `points` vertices around `centre`."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, points))
    reach = rng.uniform(0.2, 1.0, points) * radius
    return shapely.Polygon(np.c_[centre[0] + reach * np.cos(angles), centre[1] + reach * np.sin(angles)])


@pytest.mark.parametrize("seed", range(12))
def test_the_mask_is_the_same_as_asking_every_pixel_centre(seed):
    area = shapely.make_valid(star(seed, 40))
    assert (Rings(area).mask(view()) == point_by_point(area, view())).all()


def test_an_island_in_a_hole_in_an_island_is_visible_and_the_hole_is_not():
    outer = shapely.box(2, 2, 60, 46).difference(shapely.box(10, 10, 50, 40))
    area = shapely.union_all([outer, shapely.box(20, 15, 40, 35).difference(shapely.box(25, 20, 35, 30))])
    mask = Rings(area).mask(view())
    assert (mask == point_by_point(area, view())).all()
    assert [mask[47 - y, x] for x, y in ((5, 5), (12, 12), (22, 17), (30, 25))] == [True, False, True, False]


def test_fifty_thousand_vertices_are_masked_exactly():
    area = shapely.make_valid(star(7, 50_000, radius=5000.0, centre=(0.0, 0.0)))
    looked = view(256, 256, Bounds(-2000.0, -2000.0, 3000.0, 3000.0))
    assert (Rings(area).mask(looked) == point_by_point(area, looked)).all()


def test_the_mask_agrees_with_gdal_where_no_centre_lies_on_the_border():
    area = shapely.make_valid(star(3, 60))
    looked = view(200, 150)
    gdal = rasterio.features.geometry_mask(
        [area], (looked.height, looked.width), from_bounds(*looked.bounds, looked.width, looked.height), invert=True,
    )
    assert (Rings(area).mask(looked) == gdal).all()


def test_a_border_exactly_through_pixel_centres_gives_each_centre_to_one_side_only():
    left, right = shapely.box(0, 0, 20.5, 48), shapely.box(20.5, 0, 64, 48)
    both = Rings(left).mask(view()).astype(int) + Rings(right).mask(view())
    assert (both == 1).all()


def test_an_area_of_less_than_a_pixel_shows_nothing_unless_it_holds_a_centre():
    assert not Rings(shapely.box(10.1, 10.1, 10.4, 10.4)).mask(view()).any()
    assert Rings(shapely.box(10.4, 10.4, 10.6, 10.6)).mask(view()).sum() == 1


def test_an_area_beyond_the_view_shows_nothing():
    for box in (shapely.box(-20, 0, -10, 48), shapely.box(70, 0, 90, 48), shapely.box(0, 60, 64, 90), shapely.box(0, -20, 64, -10)):
        assert not Rings(box).mask(view()).any()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-10, 74), st.integers(-10, 58)), min_size=3, max_size=9), st.floats(0.3, 3.0))
def test_whole_number_corners_and_odd_resolutions_never_disagree_with_a_point_test_off_the_border(corners, step):
    area = shapely.make_valid(shapely.Polygon(corners))
    looked = view(40, 30, Bounds(-3.0, -3.0, -3.0 + 40 * step, -3.0 + 30 * step))
    area = shapely.union_all([part for part in shapely.get_parts(area) if part.geom_type in ("Polygon", "MultiPolygon")])
    mask, truth = Rings(area).mask(looked), point_by_point(area, looked)
    rows, cols = np.nonzero(mask != truth)
    x = looked.bounds.left + (cols + 0.5) * step
    y = looked.bounds.top - (rows + 0.5) * step
    assert (shapely.distance(shapely.boundary(area), shapely.points(x, y)) < 1e-9).all()


# The strict rule

def whole(geometry, looked, half_x, half_y):
    """One covering test a pixel: its rectangle, a hair smaller, lies within the area."""
    step_x, step_y = looked.resolution
    x, y = np.meshgrid(
        looked.bounds.left + (np.arange(looked.width) + 0.5) * step_x, looked.bounds.top - (np.arange(looked.height) + 0.5) * step_y,
    )
    half_x, half_y = half_x * (1 - 2e-6), half_y * (1 - 2e-6)
    return shapely.covers(geometry, shapely.box(x - half_x, y - half_y, x + half_x, y + half_y))


def strictly(geometry, looked, half_x, half_y):
    rings = Rings(geometry)
    return rings.mask(looked) & ~rings.touched(looked, half_x, half_y)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("half", [(0.5, 0.5), (1.7, 0.9), (6.0, 6.0)])
def test_a_pixel_is_strictly_inside_when_its_whole_rectangle_is(seed, half):
    area = shapely.make_valid(star(seed, 30))
    assert (strictly(area, view(), *half) == whole(area, view(), *half)).all()


def test_islands_holes_and_level_edges_hold_for_rectangles_too():
    area = shapely.union_all([shapely.box(2, 2, 60, 46).difference(shapely.box(10.2, 10.2, 50.7, 40.7)), shapely.box(20, 15, 40, 35)])
    for half in (0.5, 1.0, 3.25):
        seen = strictly(area, view(), half, half)
        assert (seen == whole(area, view(), half, half)).all() and seen.any()


def test_an_area_that_ends_on_the_edges_of_pixels_loses_none_of_them():
    seen = strictly(shapely.box(10, 10, 20, 30), view(), 0.5, 0.5)
    assert seen.sum() == 200
    assert strictly(shapely.box(10.01, 10, 20, 30), view(), 0.5, 0.5).sum() == 180


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-10, 74), st.integers(-10, 58)), min_size=3, max_size=9), st.floats(0.3, 3.0), st.floats(0.5, 4.0))
def test_any_polygon_shows_the_rectangles_that_it_covers(corners, step, size):
    area = shapely.make_valid(shapely.Polygon(corners))
    looked = view(40, 30, Bounds(-3.0, -3.0, -3.0 + 40 * step, -3.0 + 30 * step))
    area = shapely.union_all([part for part in shapely.get_parts(area) if part.geom_type in ("Polygon", "MultiPolygon")])
    seen, truth = strictly(area, looked, size * step, size * step), whole(area, looked, size * step, size * step)
    rows, cols = np.nonzero(seen != truth)
    x, y = looked.bounds.left + (cols + 0.5) * step, looked.bounds.top - (rows + 0.5) * step
    half = size * step
    inner = shapely.box(*(v for v in (x - half, y - half, x + half, y + half)))
    assert (np.abs(shapely.distance(shapely.boundary(area), shapely.boundary(inner))) < 1e-5 * max(half, 1)).all()


def test_a_footprint_holds_the_pixel_and_every_source_pixel_that_may_be_mixed_into_it():
    looked = view(64, 48)                                             # pixels of 1 m
    assert Footprint().half_sides(looked) == (0.5, 0.5)
    assert Footprint(source=5.0, reach=3.0).half_sides(looked) == (15.0, 15.0)
    assert Footprint(source=0.2, reach=2.0).half_sides(looked) == (2.5, 2.5)      # read from a level of 1.25 m at most
    degrees = View(crs="EPSG:4490", bounds=Bounds(118.0, 59.0, 118.01, 60.0), width=10, height=1000)
    assert Footprint(source=1000.0, reach=1.0).half_sides(degrees)[0] == pytest.approx(1000 / (111_319.5 * 0.5), rel=1e-3)
