"""Shapes on the grid of a tile: where they are, what of them is there, and that each is there for itself alone."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from read_tiles import read_tile

from layers.crs import transform_bounds, transform_geometry, transformer
from layers.model import Bounds
from tiles.grids import TILE_MATRIX_SETS
from tiles.vector import grid as room
from tiles.vector.encoder import EXTENT, LINE, POINT, POLYGON, TileLayer, encode_tile
from tiles.vector.grid import BUFFER, TileGrid

CRS = "EPSG:4549"
CENTRE = (388_000.0, 3_551_000.0)
LOW, HIGH = -BUFFER, EXTENT + BUFFER


def grid_at(z: int, tms_id: str = "WebMercatorQuad", place=CENTRE) -> TileGrid:
    tms = TILE_MATRIX_SETS[tms_id]
    row, _, col, _ = tms.limits(z, transform_bounds(Bounds(*place, *place), CRS, tms.crs))
    return TileGrid(tms, z, row, col)


def on_grid(grid: TileGrid, shape) -> shapely.Geometry:
    """Where the vertices of a shape really are, in units of the grid: point by point, not rounded."""
    moved = transform_geometry(shape, CRS, grid.tms.crs)
    return shapely.transform(moved, lambda p: np.column_stack([(p[:, 0] - grid.bounds.left) / grid.unit, (grid.bounds.top - p[:, 1]) / grid.unit]))


def drawn(grid: TileGrid, shapes, geometry: int, crs: str = CRS) -> dict[int, list[np.ndarray]]:
    """Paths by the position of the shape, through the encoder and back, which holds them to the specification."""
    kept, drawing = grid.placed(np.array(shapes, dtype=object), geometry, crs)
    if not len(kept):
        return {}
    tile = encode_tile([TileLayer(name="x", drawing=drawing, ids=kept.astype(np.uint64), columns={})])
    return {one.id: one.paths for one in read_tile(tile)["x"]}


def as_area(paths) -> shapely.Geometry:
    """Rings by even and odd."""
    found = shapely.Polygon()
    for path in paths:
        found = shapely.symmetric_difference(found, shapely.make_valid(shapely.Polygon(path)))
    return found


def around(grid: TileGrid, x: float, y: float) -> tuple[float, float]:
    """The place of the data's CRS that lies there on the grid."""
    return transformer(grid.tms.crs, CRS).transform(grid.bounds.left + x * grid.unit, grid.bounds.top - y * grid.unit)


@pytest.mark.parametrize("tms_id, z", [("WebMercatorQuad", 8), ("WebMercatorQuad", 14), ("WebMercatorQuad", 17), ("tdt_c", 13), ("jiangsu_gk120", 6)])
def test_vertices_lie_where_the_projection_puts_them(tms_id, z):
    grid = grid_at(z, tms_id)
    rng = np.random.default_rng(z)
    lines = [shapely.LineString([around(grid, *p) for p in rng.uniform(100, EXTENT - 100, (12, 2))]) for _ in range(80)]
    for position, (path,) in drawn(grid, lines, LINE).items():
        truth = shapely.get_coordinates(on_grid(grid, lines[position]))
        away = np.abs(path[:, None] - truth[None]).max(axis=2).min(axis=0)       # of each true vertex to the nearest one drawn
        assert away.max() <= 0.52 + room.EXACT


def test_what_lies_beyond_the_buffer_is_cut_off_and_what_lies_far_away_is_not_there():
    grid = grid_at(14)
    long = shapely.LineString([around(grid, -9000, 2000), around(grid, 9000, 2000)])
    far = shapely.LineString([around(grid, 9000, 9000), around(grid, 9500, 9000)])
    lake = shapely.Polygon([around(grid, *p) for p in ((-5000, -5000), (5000, -5000), (5000, 1000), (-5000, 1000))])
    (path,) = drawn(grid, [long, far], LINE)[0]
    assert path[:, 0].min() == LOW and path[:, 0].max() == HIGH and set(drawn(grid, [long, far], LINE)) == {0}
    (ring,) = drawn(grid, [lake], POLYGON)[0]
    assert ring.min() == LOW and ring[:, 0].max() == HIGH and abs(ring[:, 1].max() - 1000) <= 1


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_areas_cover_what_they_cover_and_nothing_else(data):
    grid = grid_at(15)
    point = st.tuples(st.integers(-1500, 5500), st.integers(-1500, 5500))
    corners = data.draw(st.lists(point, min_size=3, max_size=8, unique=True))
    shape = shapely.convex_hull(shapely.MultiPoint(corners))
    if shape.area < 100:
        return
    hole = shapely.Point(shape.centroid).buffer(data.draw(st.integers(5, 400)))
    shape = shape.difference(hole.intersection(shape.buffer(-5)))
    if shape.is_empty:
        return
    ours = shapely.transform(shape, lambda p: np.array([around(grid, x, y) for x, y in p]))
    truth = shapely.clip_by_rect(on_grid(grid, ours), LOW, LOW, HIGH, HIGH)
    found = as_area(drawn(grid, [ours], POLYGON).get(0, []))
    astray = shapely.symmetric_difference(found, shapely.make_valid(truth))
    assert astray.area <= 1.5 * truth.length + 4                # half a unit along the edge
    assert astray.buffer(-1.1).is_empty


def test_points_belong_to_one_tile_alone():
    grid = grid_at(15)
    right = TileGrid(grid.tms, grid.z, grid.row, grid.col + 1)
    places = [shapely.Point(around(grid, x, 100)) for x in (-3, 0.4, 2000, EXTENT - 0.4, EXTENT + 3)]
    here, there = drawn(grid, places, POINT), drawn(right, places, POINT)
    assert set(here) == {1, 2, 3} and set(there) == {4}


def test_repeats_straight_points_and_what_has_no_extent_go():
    grid = grid_at(12)
    at = [around(grid, *p) for p in ((10, 10), (10.2, 10.1), (20, 10), (30, 10), (30, 30), (30, 50))]
    tiny = shapely.box(*at[0], at[0][0] + 0.01, at[0][1] + 0.01)
    (path,) = drawn(grid, [shapely.LineString(at)], LINE)[0]
    assert path.tolist() == [[10, 10], [30, 10], [30, 50]]
    assert drawn(grid, [tiny], POLYGON) == {} and drawn(grid, [shapely.LineString(at[:2])], LINE) == {}


def test_a_ring_that_doubles_back_on_the_grid_loses_its_spike():
    grid = grid_at(14)
    corners = ((0, 0), (100, 0), (100, 100), (50, 100), (50, 300), (50.1, 100), (0, 100))
    (ring,) = drawn(grid, [shapely.Polygon([around(grid, *p) for p in corners])], POLYGON)[0]
    assert sorted(map(tuple, ring.tolist())) == [(0, 0), (0, 100), (100, 0), (100, 100)]


def test_a_hole_goes_with_its_shell_and_turns_the_other_way():
    grid = grid_at(14)
    shell, hole = ((0, 0), (0, 100), (100, 100), (100, 0)), ((20, 20), (20, 40), (40, 40), (40, 20))
    for turn in (1, -1):
        shape = shapely.Polygon([around(grid, *p) for p in shell[::turn]], [[around(grid, *p) for p in hole[::turn]]])
        paths = drawn(grid, [shape], POLYGON)[0]
        areas = [int((p[:, 0] * np.roll(p[:, 1], -1) - np.roll(p[:, 0], -1) * p[:, 1]).sum()) for p in paths]
        assert areas == [20_000, -800]


def test_what_is_around_a_feature_changes_nothing_of_it():
    grid = grid_at(13)
    rng = np.random.default_rng(1)
    shapes = [shapely.Point(around(grid, *rng.uniform(-300, 4400, 2))).buffer(rng.uniform(1, 400)) for _ in range(60)]
    shapes += [shapely.union_all(shapes[:3]), shapely.MultiPolygon([shapely.box(*around(grid, 10, 20), *around(grid, 20, 10))])]
    together = drawn(grid, shapes, POLYGON)
    for position in range(len(shapes)):
        alone = drawn(grid, [shapes[position]], POLYGON)
        assert [p.tolist() for p in alone.get(0, [])] == [p.tolist() for p in together.get(position, [])]


def test_heights_and_parts_of_other_dimensions_are_left_aside():
    grid = grid_at(14)
    a, b = around(grid, 10, 10), around(grid, 500, 700)
    mixed = shapely.GeometryCollection([shapely.Point(a), shapely.LineString([(*a, 5.0), (*b, 7.0)])])
    assert drawn(grid, [mixed], LINE)[0][0].tolist() == [[10, 10], [500, 700]]


def test_a_bow_tie_and_a_tile_that_the_data_can_not_reach_are_no_fault():
    grid = grid_at(14)
    bow = shapely.Polygon([around(grid, *p) for p in ((-500, -500), (500, 500), (500, -500), (-500, 500))])
    drawn(grid, [bow], POLYGON)
    nowhere = TileGrid(TILE_MATRIX_SETS["WebMercatorQuad"], 3, 1, 1)
    assert nowhere.box_in(CRS) is None or drawn(nowhere, [bow], POLYGON) == {}


def test_a_long_edge_bends_as_the_other_system_bends_it():
    grid = grid_at(8)
    left, right = (350_000.0, 3_450_000.0), (460_000.0, 3_640_000.0)
    (path,) = drawn(grid, [shapely.LineString([left, right])], LINE)[0]
    truth = on_grid(grid, shapely.segmentize(shapely.LineString([left, right]), 100))
    assert shapely.hausdorff_distance(shapely.clip_by_rect(truth, LOW, LOW, HIGH, HIGH), shapely.LineString(path)) < 1.2


def test_where_a_ring_begins_and_in_which_order_parts_come_changes_nothing():
    grid = grid_at(14)
    ring = [(0, 0), (300, -20), (400, 500), (100, 700), (-30, 300)]
    island, hole = [(1000, 1000), (1200, 1000), (1100, 1300)], [(50, 50), (150, 60), (90, 150)]

    def at(points):
        return [around(grid, *p) for p in points]

    answers = set()
    for turn in range(len(ring)):
        for parts in (1, -1):
            polygons = [shapely.Polygon(at(ring[turn:] + ring[:turn]), [at(hole[turn % 3:] + hole[:turn % 3])]), shapely.Polygon(at(island))]
            answers.add(str([path.tolist() for path in drawn(grid, [shapely.MultiPolygon(polygons[::parts])], POLYGON)[0]]))
    assert len(answers) == 1
    lines = [at([(0, 0), (100, 100)]), at([(500, 0), (600, 90)]), at([(0, 0), (90, 200)])]
    orders = {str([p.tolist() for p in drawn(grid, [shapely.MultiLineString([lines[i] for i in order])], LINE)[0]]) for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0))}
    assert len(orders) == 1


def test_a_lake_that_goes_on_elsewhere_in_another_way_is_the_same_here():
    """Its shore beyond the tile, and with it the point where its ring begins, are another."""
    grid = grid_at(15)
    here = [(4300, 1000), (2000, 800), (1500, 2000), (2500, 3000), (4300, 2800)]
    one = shapely.Polygon([around(grid, *p) for p in (*here, (9000, 2800), (9000, 1000))])
    other = shapely.Polygon([around(grid, *p) for p in ((7000, 2800), (6500, 2000), (8000, 1000), *here)])
    assert [p.tolist() for p in drawn(grid, [one], POLYGON)[0]] == [p.tolist() for p in drawn(grid, [other], POLYGON)[0]]
