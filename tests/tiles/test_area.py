"""An area compiled for serving: the same border in every CRS, as mask, as quadtree, as point and as cut geometry."""

import subprocess
import sys

import numpy as np
import pyproj
import pytest
import shapely

from layers.model import Bounds, View
from tiles.area import ServedArea
from tiles.grids import TILE_MATRIX_SETS

SERVING = ("EPSG:4326", "CRS:84", "EPSG:4490", "EPSG:3857", "EPSG:4549", "EPSG:4548")


def served(geometry, digest="test"):
    return ServedArea(geometry, digest)


def around(crs, west, south, east, north, size=400):
    to = pyproj.Transformer.from_crs("OGC:CRS84", "OGC:CRS84" if crs == "CRS:84" else crs, always_xy=True)
    return View(crs=crs, bounds=Bounds(*to.transform_bounds(west, south, east, north, densify_pts=51)), width=size, height=size)


def centres_in_degrees(view):
    x = view.bounds.left + (np.arange(view.width) + 0.5) * view.resolution[0]
    y = view.bounds.top - (np.arange(view.height) + 0.5) * view.resolution[1]
    xs, ys = np.meshgrid(x, y)
    to = pyproj.Transformer.from_crs("OGC:CRS84" if view.crs == "CRS:84" else view.crs, "OGC:CRS84", always_xy=True)
    return to.transform(xs, ys)


@pytest.mark.parametrize("crs", SERVING)
@pytest.mark.parametrize("width", (0.5, 1.5, 3.0))
def test_a_straight_parallel_stays_a_parallel_in_every_crs(crs, width):
    """The border of a lon/lat box, asked of every pixel centre by itself: at most a centimetre of disagreement, in no CRS a kilometre."""
    west, south, east, north = 120 - width / 2, 31.5, 120 + width / 2, 33.0
    view = around(crs, west - 0.1, south - 0.1, east + 0.1, north + 0.1)
    mask = served(shapely.box(west, south, east, north)).mask(view)
    lon, lat = centres_in_degrees(view)
    inside = (lon > west) & (lon < east) & (lat > south) & (lat < north)
    to_border = np.minimum.reduce([abs(lon - west), abs(lon - east), abs(lat - south), abs(lat - north)])
    assert (mask == inside)[to_border > 2e-7].all()
    assert mask.any() and not mask.all()


def test_a_view_wholly_inside_or_outside_is_told_without_a_mask():
    area = served(shapely.box(118, 31, 120, 33))
    assert area.mask(around("EPSG:4549", 118.8, 31.8, 119.0, 32.0)) is True
    assert area.mask(around("EPSG:3857", 121, 31, 121.2, 31.2)) is False


@pytest.mark.parametrize("tms_id", TILE_MATRIX_SETS)
def test_the_quadtree_says_of_every_tile_what_its_mask_shows(tms_id):
    tms = TILE_MATRIX_SETS[tms_id]
    hole = shapely.Point(118.9, 32.05).buffer(0.03)
    area = served(shapely.Point(118.85, 32.05).buffer(0.12).difference(hole))
    seen = set()
    for z in range(tms.max_zoom - 9, tms.max_zoom - 4):
        bounds = shapely.box(*area.geometry_in(tms.crs).bounds).buffer(tms.resolutions[z] * 256).bounds
        first_row, last_row, first_col, last_col = tms.limits(z, Bounds(*bounds))
        for row in range(first_row, min(last_row, first_row + 14) + 1):
            for col in range(first_col, min(last_col, first_col + 14) + 1):
                told, mask = area.classify(tms, z, row, col), area.mask(tms.view(z, row, col))
                seen.add(told)
                if told == "inside":
                    assert mask is True
                elif told == "outside":
                    assert mask is False
                else:
                    assert mask is not True and mask is not False
    assert seen == {"inside", "edge", "outside"}


def test_a_tile_within_an_inside_tile_is_answered_from_memory():
    tms = TILE_MATRIX_SETS["WebMercatorQuad"]
    area = served(shapely.box(100, 20, 130, 40))
    assert area.classify(tms, 10, 415, 849) == "inside"
    nodes = len(area._quadtrees[tms.id].nodes)
    assert all(area.classify(tms, 17, 415 * 128 + i, 849 * 128 + i) == "inside" for i in range(128))
    assert len(area._quadtrees[tms.id].nodes) == nodes


def test_the_whole_world_can_be_granted_and_hides_nothing_anywhere():
    world = served(shapely.box(-180, -90, 180, 90))
    assert world.mask(around("EPSG:4549", 118, 31, 121, 33)) is True
    assert world.classify(TILE_MATRIX_SETS["WebMercatorQuad"], 0, 0, 0) == "inside"
    road = shapely.LineString([(118.5, 31.5), (119.5, 31.5)])
    assert world.cut(road) is road


def test_half_the_world_is_cut_to_what_a_zone_can_express():
    east = served(shapely.box(0, -90, 180, 90))
    assert east.mask(around("EPSG:4549", 118, 31, 121, 33)) is True
    assert east.classify(TILE_MATRIX_SETS["WebMercatorQuad"], 0, 0, 0) == "edge"
    assert east.classify(TILE_MATRIX_SETS["WebMercatorQuad"], 12, 1660, 3400) == "inside"


def test_an_area_beyond_the_reach_of_a_zone_shows_nothing_there():
    brazil = served(shapely.box(-60, -20, -50, -10))
    assert brazil.mask(around("EPSG:4549", 118, 31, 121, 33)) is False
    assert brazil.classify(TILE_MATRIX_SETS["jiangsu_gk120"], 5, 3, 3) == "outside"


def test_a_feature_is_truly_cut_with_its_height_kept():
    area = served(shapely.box(118, 31, 119, 32))
    road = shapely.LineString([(118.5, 31.5, 7.0), (119.5, 31.5, 9.0)])
    part = area.cut(road)
    assert part.bounds[2] == pytest.approx(119.0)
    assert part.has_z
    assert area.has_point(118.5, 31.5) and not area.has_point(119.5, 31.5)


def test_threads_may_ask_a_fresh_area_for_masks_tiles_and_points_at_once():
    """GEOS builds a prepared geometry's index on first use; two threads in it at once would end the process, so it runs in one of its own."""
    run = subprocess.run([sys.executable, "-c", STRESS], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 and run.stdout.split() == ["done"], run.stderr[-2000:]


STRESS = """
import threading
import numpy as np
import shapely
from layers.model import Bounds, View
from tiles.area import ServedArea
from tiles.grids import TILE_MATRIX_SETS

tms = TILE_MATRIX_SETS["jiangsu_gk120"]
angles = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
for number in range(150):
    reach = 0.3 + 0.02 * np.sin(angles * 40 + number)
    area = ServedArea(shapely.Polygon(np.c_[119 + reach * np.cos(angles), 32 + reach * np.sin(angles)]), str(number))
    area.geometry_in(tms.crs)
    start = threading.Barrier(8)

    def ask(thread):
        start.wait()
        if thread % 2:
            area.classify(tms, 8, 703, 440 + thread)
        else:
            area.mask(View(crs=tms.crs, bounds=Bounds(400_000.0, 3_530_000.0 + thread, 404_000.0, 3_534_000.0), width=16, height=16))
        area.has_point(119.0, 32.0)

    threads = [threading.Thread(target=ask, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("done")
"""
