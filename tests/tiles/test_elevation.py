"""Pictures of heights against slopes known beforehand, and against GDAL where it draws the same."""

import math
import shutil
import subprocess

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from layers.model import Bounds, Patch
from tiles.elevation import (
    PAINTED,
    Ramp,
    aspect_colours,
    aspect_degrees,
    ground_cell,
    light,
    light_all_round,
    painter,
    slope_degrees,
)

FLAT = math.sin(math.radians(45))


def patch_of(
    heights: np.ndarray, *, cell: float = 5.0, crs: str = "EPSG:4549", valid: np.ndarray | None = None, left=360000.0, top=3550000.0
) -> Patch:
    rows, cols = heights.shape
    known = np.ones(heights.shape, bool) if valid is None else valid
    bounds = Bounds(left, top - rows * cell, left + cols * cell, top)
    return Patch(values=heights.astype(np.float32)[None], valid=known, bounds=bounds, crs=crs)


def plane(rise_east: float, rise_north: float, side: int = 32, cell: float = 5.0) -> np.ndarray:
    """Heights that rise by so much a metre."""
    rows, cols = np.mgrid[0:side, 0:side]
    return 100 + cols * cell * rise_east - rows * cell * rise_north


@pytest.fixture(scope="module")
def ramp(config_folder) -> Ramp:
    return Ramp.load(config_folder / "relief.csv")


@pytest.mark.parametrize(("east", "north"), [(0.0, 0.0), (1.0, 0.0), (0.0, -0.3), (0.2, 0.2)])
def test_the_slope_of_a_plane_is_its_slope(east, north):
    inner = slope_degrees(patch_of(plane(east, north)))[1:-1, 1:-1]
    assert inner == pytest.approx(math.degrees(math.atan(math.hypot(east, north))), abs=0.02)


def test_a_slope_that_faces_the_light_is_brightest_and_one_that_turns_away_darkest():
    toward, away, level = (light(patch_of(plane(s, -s)))[5, 5] for s in (0.5, -0.5, 0.0))    # rising to the south-east faces north-west
    assert toward > level > away
    assert level == pytest.approx(FLAT, abs=1e-6)
    assert light(patch_of(plane(math.sqrt(0.5), -math.sqrt(0.5))))[5, 5] == pytest.approx(1.0, abs=1e-4)


def test_light_follows_the_textbook_formula_cell_by_cell():
    """Zenith, slope and aspect from Horn's differences (Burrough and McDonnell, Principles of GIS, 1998; as ArcGIS documents its Hillshade)."""
    heights = np.random.default_rng(7).normal(200, 20, (24, 24)).astype(np.float32)
    a, b, c = heights[:-2, :-2], heights[:-2, 1:-1], heights[:-2, 2:]
    d, f = heights[1:-1, :-2], heights[1:-1, 2:]
    g, h, i = heights[2:, :-2], heights[2:, 1:-1], heights[2:, 2:]
    across, down = ((c + 2 * f + i) - (a + 2 * d + g)) / 40, ((g + 2 * h + i) - (a + 2 * b + c)) / 40
    slope, aspect, zenith = np.arctan(np.hypot(across, down)), np.arctan2(down, -across), np.radians(90 - 45)
    azimuth = np.radians((360 - 315 + 90) % 360)
    expected = np.cos(zenith) * np.cos(slope) + np.sin(zenith) * np.sin(slope) * np.cos(azimuth - aspect)
    assert light(patch_of(heights))[1:-1, 1:-1] == pytest.approx(np.clip(expected, 0, 1), abs=1e-4)


def test_a_degree_of_longitude_shrinks_with_the_latitude():
    width, height = ground_cell(patch_of(np.zeros((10, 10)), cell=0.001, crs="EPSG:4490", left=118.0, top=32.0))
    assert height[0, 0] == pytest.approx(111.32, abs=0.01)
    assert width[0, 0] == pytest.approx(111.32 * math.cos(math.radians(31.9995)), abs=0.01)
    mercator, _ = ground_cell(patch_of(np.zeros((4, 4)), cell=10.0, crs="EPSG:3857", left=13_150_000, top=3_760_000))
    assert mercator[0, 0] == pytest.approx(8.5, abs=0.05)


@pytest.mark.parametrize("style", PAINTED)
def test_a_gap_in_the_heights_casts_no_cliff(style, ramp):
    heights, valid = np.full((20, 20), 50.0), np.ones((20, 20), bool)
    heights[5:10, 5:10], valid[5:10, 5:10] = -9999, False
    colours = painter(style, ramp)(patch_of(heights, valid=valid)).values
    assert colours.dtype == np.uint8
    assert len(np.unique(colours.reshape(3, -1)[:, valid.ravel()], axis=1).T) == 1


def test_slopes_with_a_gap_elsewhere_are_the_same(ramp):
    rng = np.random.default_rng(3)
    heights, valid = rng.normal(100, 10, (30, 30)), np.ones((30, 30), bool)
    valid[0, 0] = False
    assert slope_degrees(patch_of(heights, valid=valid))[3:, 3:] == pytest.approx(slope_degrees(patch_of(heights))[3:, 3:], abs=1e-4)


@pytest.mark.parametrize("height", [-150.0, -20.0, -3.3, 0.0, 1.0, 4.2, 33.0, 448.9, 625.0, 1500.0, 8000.0])
def test_relief_gives_each_height_the_colour_of_the_ramp(ramp, height):
    assert ramp.paint(np.full((1, 1), height, np.float32))[0, 0].astype(int) == pytest.approx(ramp.colour(height), abs=1.01)


def test_the_ramp_reaches_from_below_the_sea_to_the_highest_peak_of_the_province(ramp):
    assert ramp.heights[0] < 0
    assert 625 in ramp.heights


def test_level_ground_keeps_the_colour_of_the_legend_under_the_shade(ramp):
    flat = patch_of(np.full((8, 8), 30.0))
    assert np.abs(painter("shaded-relief", ramp)(flat).values.astype(int) - painter("relief", ramp)(flat).values).max() <= 1


def test_slope_is_white_where_level_and_darker_where_steeper(ramp):
    greys = [int(painter("slope", ramp)(patch_of(plane(rise, 0))).values[0, 5, 5]) for rise in (0.0, 0.3, 1.0, 3.0)]
    assert greys[0] == 255
    assert greys == sorted(greys, reverse=True)
    assert greys[-1] == 40


@pytest.mark.parametrize(("east", "north", "expected"), [(0, -1, 0), (-1, 0, 90), (0, 1, 180), (1, 0, 270), (-1, -1, 45), (1, -1, 315)])
def test_the_aspect_is_where_a_slope_looks_clockwise_from_north(east, north, expected):
    aspect, slope = aspect_degrees(patch_of(plane(0.2 * east, 0.2 * north)))
    assert aspect[5:-5, 5:-5] == pytest.approx(expected, abs=1e-3)
    assert slope[5:-5, 5:-5] == pytest.approx(math.degrees(math.atan(0.2 * math.hypot(east, north))), abs=1e-3)


def test_level_ground_is_pale_and_opposite_slopes_differ_in_colour():
    steep, level = np.full((1, 360), 30.0), np.zeros((1, 360))
    directions = np.arange(360.0)[None]
    colours = aspect_colours(directions, steep)[0].astype(int)
    assert np.abs(colours - np.roll(colours, 180, axis=0)).max(axis=1).min() > 45
    assert np.abs(np.diff(colours, axis=0, append=colours[:1])).max() <= 4, "no jump anywhere round the circle"
    assert len(np.unique(aspect_colours(directions, level)[0], axis=0)) == 1


def test_light_from_all_round_leaves_no_slope_in_the_dark_and_level_ground_as_it_was():
    dark, lit = (light_all_round(patch_of(plane(*rise)))[10, 10] for rise in ((-0.5, 0.5), (0.5, -0.5)))
    assert light(patch_of(plane(0.5, -0.5)))[10, 10] < dark or lit != dark
    assert light_all_round(patch_of(plane(0, 0)))[10, 10] == pytest.approx(FLAT, abs=1e-6)


@pytest.mark.skipif(shutil.which("gdaldem") is None, reason="gdaldem is not installed here")
@pytest.mark.parametrize(("mode", "ours", "options"), [
    ("slope", slope_degrees, ()), ("aspect", lambda patch: aspect_degrees(patch)[0], ()), ("hillshade", light, ()),
    ("hillshade", light_all_round, ("-multidirectional",)),
])
def test_gdaldem_says_the_same(tmp_path, mode, ours, options):
    """But for how level ground and rounding are told: slope and aspect in degrees, hillshade in 1 to 255."""
    rng = np.random.default_rng(7)
    rows, cols = np.mgrid[0:60, 0:60]
    heights = (200 + 60 * np.sin(cols / 9) + 40 * np.cos(rows / 7) + rng.normal(0, 1, (60, 60))).astype(np.float32)
    with rasterio.open(
        tmp_path / "dem.tif", "w", driver="GTiff", count=1, height=60, width=60, dtype="float32", crs="EPSG:4549", transform=from_origin(360_000, 3_550_000, 5, 5),
    ) as out:
        out.write(heights, 1)
    subprocess.run(["gdaldem", mode, *options, "-q", tmp_path / "dem.tif", tmp_path / "out.tif"], check=True, timeout=60)
    with rasterio.open(tmp_path / "out.tif") as found:
        theirs = found.read(1).astype(float)[2:-2, 2:-2]
    mine = ours(patch_of(heights))[2:-2, 2:-2].astype(float)
    if mode == "hillshade":
        assert np.abs(theirs - (1 + 254 * mine)).max() <= 1.5
    else:
        assert np.abs((theirs - mine + 180) % 360 - 180).max() < 0.01
