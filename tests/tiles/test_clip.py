"""The mask is a point-in-polygon test of every pixel centre, computed faster."""

import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_bounds

from layers.model import Bounds, View
from tiles.clip import Rings


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
