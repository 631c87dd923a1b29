"""Which ground was seen: an exact set of cells, and how well the cells of a picture measure its ground."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from geoserver_app.metering.exports import square_metres
from geoserver_app.metering.footprints import GroundArea, footprint_of_point, footprint_of_view
from geoserver_app.metering.ground import (
    CELL,
    CELL_KM2,
    COLUMNS,
    PAGE,
    ROWS,
    Footprint,
    GroundSet,
    RecordsDamaged,
    footprint_of,
    from_records,
    to_plane,
    to_records,
)
from layers.crs import transform_bounds, transform_geometry, transformer
from layers.model import Bounds, View
from tiles.grids import TILE_MATRIX_SETS

COUNTY = Bounds(118.9, 31.6, 120.7, 33.2)
ANYWHERE = GroundArea(shapely.box(-180, -90, 180, 90))
CORNER = (PAGE * 3 - 350, PAGE * 5 - 350)
WIDTH = 700
"""A square of cells over the corner where four pages meet: what is seen there is compared with an array of bool."""


def geodesic_km2(shape: shapely.Geometry) -> float:
    return abs(Geod(ellps="WGS84").geometry_area_perimeter(shapely.segmentize(shape, 0.01))[0]) / 1e6


# -- the plane

def test_the_plane_is_that_of_the_ease_grid():
    points = np.array([[120.0, 32.0], [-179.9, -60.0], [0.0, 0.0], [118.7, 33.3], [75.0, 89.0]])
    x, y = transformer("CRS:84", "EPSG:6933").transform(points[:, 0], points[:, 1])
    left, bottom = transformer("CRS:84", "EPSG:6933").transform([-180.0, 0.0], [0.0, -90.0])
    assert to_plane(points) == pytest.approx(np.column_stack([(x - left[0]) / CELL, (y - bottom[1]) / CELL]), abs=1e-6)
    assert to_plane(np.array([[180.0, 90.0]])).tolist() == [[pytest.approx(COLUMNS, abs=1), pytest.approx(ROWS, abs=1)]]


@pytest.mark.parametrize("shape", (
    shapely.box(119, 32, 119.1, 32.1), shapely.box(73, 18, 135, 53), shapely.Point(120, 33).buffer(0.3), shapely.box(-80, -80, 80, 80),
))
def test_ground_in_the_plane_is_ground_on_the_ellipsoid(shape):
    assert square_metres(shape) / 1e6 == pytest.approx(geodesic_km2(shape), rel=1e-6)


# -- the set

@st.composite
def masks(draw):
    """A mask of squares, and where it lies: (mask, column, row, unit) within the square of cells."""
    unit = draw(st.sampled_from([1, 2, 4, 16, 64, 128]))
    most = WIDTH // 2 // unit
    height, width = draw(st.integers(1, max(most, 1))), draw(st.integers(1, max(most, 1)))
    chance = np.random.default_rng(draw(st.integers(0, 2**31)))
    mask = chance.random((height, width)) < draw(st.sampled_from([0.2, 0.8, 1.0]))
    column = -(-CORNER[0] // unit) + draw(st.integers(0, max((WIDTH - 128) // unit - width, 0)))
    row = -(-CORNER[1] // unit) + draw(st.integers(0, max((WIDTH - 128) // unit - height, 0)))
    return mask, column, row, unit


def as_cells(mask, column, row, unit) -> np.ndarray:
    cells = np.zeros((WIDTH, WIDTH), bool)
    fine = np.repeat(np.repeat(mask, unit, axis=0), unit, axis=1)
    bottom, left = row * unit - CORNER[1], column * unit - CORNER[0]
    cells[bottom:bottom + fine.shape[0], left:left + fine.shape[1]] = fine
    return cells


@settings(max_examples=60, deadline=None)
@given(st.lists(masks(), min_size=1, max_size=12))
def test_a_set_counts_every_cell_once_whatever_the_shapes(shapes):
    seen, expected = GroundSet(), np.zeros((WIDTH, WIDTH), bool)
    for shape in shapes:
        footprint, cells = footprint_of(*shape), as_cells(*shape)
        fresh = int((cells & ~expected).sum())
        assert footprint.cells == cells.sum()
        assert seen.missing(footprint) == fresh
        assert seen.add(footprint) == fresh
        assert seen.missing(footprint) == 0
        expected |= cells
        assert seen.cells == expected.sum()


@settings(max_examples=30, deadline=None)
@given(st.lists(masks(), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_order_never_matters_and_what_is_written_is_what_is_read(shapes, random):
    one, other, again = GroundSet(), GroundSet(), GroundSet()
    footprints = [footprint_of(*shape) for shape in shapes]
    for footprint in footprints:
        one.add(footprint)
    for footprint in random.sample(footprints, len(footprints)):
        other.add(footprint)
    for footprint in from_records(to_records(one.footprint())):
        again.add(footprint)
    assert one.cells == other.cells == again.cells
    assert again.missing(other.footprint()) == 0


def test_a_whole_province_is_a_few_entries():
    seen = GroundSet()
    seen.add(Footprint(rectangles=((5_700_000, 2_200_000, 5_800_000, 2_260_000),)))
    assert seen.cells == 100_000 * 60_000
    assert len(to_records(seen.footprint())) < 100_000


@pytest.mark.parametrize("harm", (
    lambda data: data[:-1], lambda data: data[:9] + b"\xff" + data[10:], lambda data: b"\x07" + data[1:], lambda data: data[3:],
))
def test_a_damaged_log_is_told(harm):
    data = to_records(Footprint(rectangles=((1, 2, 3, 4),), blocks=((7, 7, 0b1011),)))
    assert list(from_records(data))
    with pytest.raises(RecordsDamaged):
        list(from_records(harm(data)))


# -- pictures

def seen_of(views, area=ANYWHERE) -> float:
    """km2"""
    seen = GroundSet()
    for view in views:
        seen.add(footprint_of_view(view, area))
    return seen.cells * CELL_KM2


def tiles_over(tms, z, count):
    """`count` x `count` tiles somewhere over the county, and the ground of all of them."""
    limits = tms.limits(z, transform_bounds(COUNTY, "CRS:84", tms.crs))
    row, col = (limits[0] + limits[1]) // 2, (limits[2] + limits[3]) // 2
    bounds = tms.bounds(z, row, col).union(tms.bounds(z, row + count - 1, col + count - 1))
    ground = transform_geometry(shapely.segmentize(shapely.box(*bounds), bounds.width / 200), tms.crs, "CRS:84")
    return [tms.view(z, r, c) for r in range(row, row + count) for c in range(col, col + count)], geodesic_km2(ground)


@pytest.mark.parametrize("tms, z, count", [
    ("WebMercatorQuad", 18, 30), ("WebMercatorQuad", 17, 20), ("WebMercatorQuad", 15, 12), ("WebMercatorQuad", 12, 6), ("WebMercatorQuad", 9, 2),
    ("tdt_c", 17, 20), ("tdt_c", 14, 10), ("tdt_c", 9, 3), ("jiangsu_gk120", 11, 40), ("jiangsu_gk120", 9, 20), ("jiangsu_gk120", 5, 8),
    ("jiangsu_gk120", 2, 3),
])
def test_the_ground_of_tiles_is_counted_to_a_hundredth(tms, z, count):
    views, km2 = tiles_over(TILE_MATRIX_SETS[tms], z, count)
    assert seen_of(views) == pytest.approx(km2, rel=0.01)


def test_tiles_that_lie_far_apart_are_counted_to_a_hundredth_too():
    tms, chance = TILE_MATRIX_SETS["WebMercatorQuad"], np.random.default_rng(7)
    limits = tms.limits(17, transform_bounds(COUNTY, "CRS:84", tms.crs))
    places = {(int(chance.integers(limits[0], limits[1])), int(chance.integers(limits[2], limits[3]))) for _ in range(400)}
    km2 = sum(geodesic_km2(shapely.box(*transform_bounds(tms.bounds(17, *place), tms.crs, "CRS:84"))) for place in places)
    assert seen_of(tms.view(17, *place) for place in places) == pytest.approx(km2, rel=0.01)


def test_the_same_ground_through_another_grid_and_another_scale_is_hardly_more():
    mercator, km2 = tiles_over(TILE_MATRIX_SETS["WebMercatorQuad"], 16, 16)
    bounds = mercator[0].bounds.union(mercator[-1].bounds)
    finer = TILE_MATRIX_SETS["WebMercatorQuad"].limits(17, bounds)
    again = [TILE_MATRIX_SETS["WebMercatorQuad"].view(17, row, col) for row in range(finer[0], finer[1] + 1) for col in range(finer[2], finer[3] + 1)]
    map_of_all = View(crs="EPSG:3857", bounds=bounds, width=2048, height=2048)
    assert seen_of([*mercator, *again, map_of_all]) == pytest.approx(km2, rel=0.01)


@pytest.mark.parametrize("crs", ("EPSG:3857", "CRS:84", "EPSG:4549"))
@pytest.mark.parametrize("is_upright", (True, False))
def test_strips_thinner_than_a_cell_are_not_free(crs, is_upright):
    """Strips 9/10 of a cell wide that lie side by side with hardly a gap: centres of cells alone would see a part of them only."""
    whole = Bounds(384_000, 3_556_000, 384_000 + 2_000, 3_556_000 + 90) if is_upright else Bounds(384_000, 3_556_000, 384_000 + 90, 3_556_000 + 2_000)
    bounds = transform_bounds(whole, "EPSG:4549", crs)
    side = bounds.height if is_upright else bounds.width
    left, bottom, right, top = bounds
    views = [
        View(crs=crs, bounds=Bounds(left, bottom + k * side / 20, right, bottom + (k + 1) * side / 20), width=2000, height=4) if is_upright else
        View(crs=crs, bounds=Bounds(left + k * side / 20, bottom, left + (k + 1) * side / 20, top), width=4, height=2000)
        for k in range(20)
    ]
    km2 = geodesic_km2(transform_geometry(shapely.segmentize(shapely.box(*bounds), max(bounds.width, bounds.height) / 100), crs, "CRS:84"))
    assert seen_of(views) > 0.9 * km2
    assert seen_of(views[::2]) > 0.45 * km2


def test_ten_thousand_looks_through_a_keyhole_cost_the_ground_they_show():
    x, y = 384_000.0, 3_556_000.0
    views = [
        View(crs="EPSG:4549", bounds=Bounds(x + 2 * i, y + 2 * j, x + 2 * i + 2, y + 2 * j + 2), width=8, height=8)
        for i in range(100) for j in range(100)
    ]
    assert seen_of(views) > 0.95 * 0.2 * 0.2
    assert seen_of(views[:1]) == pytest.approx(CELL_KM2)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(118.9, 120.5), st.floats(31.7, 33.1), st.floats(-1.5, 3.0), st.floats(-0.7, 0.7),
    st.sampled_from(["EPSG:3857", "CRS:84", "EPSG:4490", "EPSG:4549", "EPSG:4548"]),
)
def test_a_picture_counts_something_and_never_much_more_than_it_shows(longitude, latitude, size, shape, crs):
    """Sides of 30 m to 1,000 km, from wide to tall."""
    x, y = transformer("CRS:84", crs).transform(longitude, latitude)
    metres = 1 if crs.startswith("EPSG:45") or crs == "EPSG:3857" else 1 / 111_000
    half_x, half_y = (min(1000 * 10**size * metres * 10**side / 2, 3e5 * metres) for side in (shape, -shape))
    view = View(crs=crs, bounds=Bounds(x - half_x, y - half_y, x + half_x, y + half_y), width=500, height=500)
    shown = transform_geometry(shapely.segmentize(shapely.box(*view.bounds), max(half_x, half_y) / 50), crs, "CRS:84")
    km2 = geodesic_km2(shown)
    counted = footprint_of_view(view, ANYWHERE).cells * CELL_KM2
    around = abs(shown.length) * 111.3                            # km
    a_square = max(CELL, 4 * 2 * max(half_x, half_y) / metres / 500) / 1000
    assert counted > 0
    assert abs(counted - km2) <= around * a_square + CELL_KM2


# -- areas

def test_a_picture_on_the_edge_counts_what_lies_inside():
    tms = TILE_MATRIX_SETS["WebMercatorQuad"]
    views, _ = tiles_over(tms, 16, 12)
    middle = transform_geometry(shapely.box(*views[0].bounds.union(views[-1].bounds)), tms.crs, "CRS:84").centroid
    lake = middle.buffer(0.02).difference(middle.buffer(0.008)).union(middle.buffer(0.003))
    assert seen_of(views, GroundArea(lake)) == pytest.approx(geodesic_km2(lake), rel=0.01)


@pytest.mark.parametrize("tms, z", (("WebMercatorQuad", 17), ("jiangsu_gk120", 9)))
def test_tiles_and_areas_agree_to_a_hundredth_in_every_grid(tms, z):
    grid = TILE_MATRIX_SETS[tms]
    county = shapely.Point(119.5, 32.4).buffer(0.03)
    limits = grid.limits(z, transform_bounds(Bounds(*county.bounds), "CRS:84", grid.crs))
    views = [grid.view(z, row, col) for row in range(limits[0] - 1, limits[1] + 2) for col in range(limits[2] - 1, limits[3] + 2)]
    assert seen_of(views, GroundArea(county)) == pytest.approx(geodesic_km2(county), rel=0.01)


def test_outside_counts_nothing_and_a_sliver_counts_a_cell():
    grid = TILE_MATRIX_SETS["WebMercatorQuad"]
    view = grid.view(17, *grid.limits(17, transform_bounds(Bounds(119.5, 32.4, 119.5, 32.4), "CRS:84", grid.crs))[::2])
    west, south, east, north = transform_bounds(view.bounds, view.crs, "CRS:84")
    assert not footprint_of_view(view, GroundArea(shapely.box(west - 1, south, west - 0.5, north)))
    sliver = GroundArea(shapely.box(west - 1, south, west + 1e-7, north))
    assert footprint_of_view(view, sliver).cells == 1


def test_the_ground_of_a_point_is_one_cell_and_the_same_for_its_neighbours():
    assert footprint_of_point(119.5, 32.4).cells == 1
    assert seen_points([(119.5 + k * 1e-7, 32.4) for k in range(20)]) <= 2
    assert seen_points([(119.5 + k * 1e-4, 32.4) for k in range(20)]) == 20


def seen_points(points) -> int:
    seen = GroundSet()
    for point in points:
        seen.add(footprint_of_point(*point))
    return seen.cells


def test_the_whole_world_in_one_picture_counts_as_the_world():
    """The picture of it; a set of all its squares, a million of them, is a minute's work and no more than that of a country."""
    view = View(crs="CRS:84", bounds=Bounds(-180, -90, 180, 90), width=2000, height=1000)
    assert footprint_of_view(view, ANYWHERE).cells * CELL_KM2 == pytest.approx(510_065_622, rel=0.01)
    beyond = View(crs="CRS:84", bounds=Bounds(-400, -200, 400, 200), width=100, height=50)
    assert math.isfinite(footprint_of_view(beyond, ANYWHERE).cells)
    country = View(crs="CRS:84", bounds=Bounds(100, 20, 115, 32), width=1500, height=1200)
    assert seen_of([country]) == footprint_of_view(country, ANYWHERE).cells * CELL_KM2 == pytest.approx(geodesic_km2(shapely.box(*country.bounds)), rel=0.01)
