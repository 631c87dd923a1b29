"""Reading an edition: every delivered pixel comes from the place that PROJ says."""

import shutil
import threading

import numpy as np
import pyproj
import pytest
from synthetic_sheets import NODATA, decode_place, edition_of, write_oracle, write_sheet

from layers import crs as crs_room
from layers.model import Bounds, ProductType, View
from layers.mosaic.reader import MosaicReader

LEFT, TOP, SIDE = 360_000.0, 3_550_000.0, 700      # near Nanjing, EPSG:4549, 1 m


@pytest.fixture(scope="module")
def oracle(tmp_path_factory) -> MosaicReader:
    """3 x 2 sheets of 700 px whose colours encode row and column."""
    folder = tmp_path_factory.mktemp("oracle")
    sheets = write_oracle(folder, left=LEFT, top=TOP, resolution=1.0, across=3, down=2, side=SIDE)
    return MosaicReader(folder, edition_of(folder, sheets, ProductType.DOM, nearest=True, lossless=True))


def view_of(crs: str, bounds: Bounds, resolution: float, shift: float = 0.0) -> View:
    """Pixels of `resolution` (units of `crs`) over `bounds` of EPSG:4549."""
    left, bottom, right, top = crs_room.transform_bounds(bounds, "EPSG:4549", crs)
    left, top = left + shift * resolution, top + shift * resolution
    width, height = int((right - left) / resolution), int((top - bottom) / resolution)
    return View(crs=crs, bounds=Bounds(left, top - height * resolution, left + width * resolution, top), width=width, height=height)


def true_places(view: View) -> tuple[np.ndarray, np.ndarray]:
    """row, col (not whole numbers) of every pixel centre of `view`, by pyproj alone."""
    step_x, step_y = view.resolution
    x, y = np.meshgrid(view.bounds.left + (np.arange(view.width) + 0.5) * step_x, view.bounds.top - (np.arange(view.height) + 0.5) * step_y)
    if view.crs != "EPSG:4549":
        degrees = 4326 if view.crs == "EPSG:3857" else pyproj.CRS(view.crs).geodetic_crs
        to_degrees = pyproj.Transformer.from_crs(view.crs, degrees, always_xy=True)
        to_metres = pyproj.Transformer.from_crs(4490, 4549, always_xy=True)
        x, y = to_metres.transform(*to_degrees.transform(x, y))
    return TOP - y, x - LEFT


@pytest.mark.parametrize("shift", [0.0, 0.37])
@pytest.mark.parametrize(("crs", "resolution"), [
    ("EPSG:4326", 1.1e-5), ("EPSG:4490", 1.0728836e-5), ("EPSG:3857", 1.1943), ("EPSG:4549", 1.0),
    ("EPSG:4548", 1.0), ("EPSG:4549", 0.7), ("EPSG:3857", 0.5972),
])
def test_every_pixel_is_the_source_pixel_whose_footprint_holds_its_centre(oracle, crs, resolution, shift):
    view = view_of(crs, Bounds(LEFT - 30, TOP - 2 * SIDE - 30, LEFT + 3 * SIDE + 30, TOP + 30), resolution, shift)
    patch = oracle.read(view)
    rows, cols = true_places(view)
    inside = (rows >= 0) & (rows < 2 * SIDE) & (cols >= 0) & (cols < 3 * SIDE)
    got_rows, got_cols = decode_place(patch.values)
    near_edge = np.minimum.reduce([np.abs(rows), np.abs(rows - 2 * SIDE), np.abs(cols), np.abs(cols - 3 * SIDE)]) < 0.01
    assert (patch.valid == inside)[~near_edge].all()
    both = patch.valid & inside
    error = np.maximum(np.abs(got_rows + 0.5 - rows), np.abs(got_cols + 0.5 - cols))[both]
    same = (got_rows == np.floor(rows)) & (got_cols == np.floor(cols))
    assert both.sum() > 1_000_000
    assert error.max() <= 0.51
    assert same[both].mean() > 0.9995


def test_pixels_of_the_same_grid_come_through_untouched(oracle):
    view = View(crs="EPSG:4549", bounds=Bounds(LEFT + 600, TOP - 900, LEFT + 856, TOP - 644), width=256, height=256)
    patch = oracle.read(view)
    rows, cols = decode_place(patch.values)
    assert patch.valid.all()
    assert (rows == np.arange(644, 900)[:, None]).all()
    assert (cols == np.arange(600, 856)).all()


def test_nothing_is_left_under_pixels_without_data(oracle):
    view = View(crs="EPSG:4549", bounds=Bounds(LEFT - 50, TOP - 50, LEFT + 50, TOP + 50), width=100, height=100)
    patch = oracle.read(view)
    assert patch.valid.sum() == 2500
    assert (patch.values[:, ~patch.valid] == 0).all()


def test_a_view_beside_the_sheets_has_nothing(oracle):
    assert oracle.read(View(crs="EPSG:4549", bounds=Bounds(LEFT - 900, TOP, LEFT - 800, TOP + 100), width=100, height=100)) is None
    assert oracle.read(View(crs="EPSG:4326", bounds=Bounds(-60, -40, -50, -30), width=100, height=100)) is None


@pytest.mark.parametrize(("crs", "bounds"), [
    ("EPSG:4326", Bounds(-180, -90, 180, 90)), ("EPSG:3857", Bounds(-20037508, -20037508, 20037508, 20037508)),
    ("EPSG:4549", Bounds(-5e6, -1e6, 6e6, 9e6)), ("EPSG:4550", Bounds(-5e6, -1e6, 6e6, 9e6)),
])
def test_a_view_of_the_world_shows_the_sheets_in_their_place_and_nothing_else(oracle, crs, bounds):
    view = View(crs=crs, bounds=bounds, width=2000, height=2000)
    patch = oracle.read(view)
    if patch is not None:
        box = crs_room.transform_bounds(Bounds(LEFT, TOP - 2 * SIDE, LEFT + 3 * SIDE, TOP), "EPSG:4549", crs)
        rows, cols = np.nonzero(patch.valid)
        x, y = bounds.left + (cols + 0.5) * view.resolution[0], bounds.top - (rows + 0.5) * view.resolution[1]
        assert ((box.left <= x) & (x <= box.right) & (box.bottom <= y) & (y <= box.top)).all()


def test_a_margin_adds_pixels_on_every_side(oracle):
    view = View(crs="EPSG:4549", bounds=Bounds(LEFT + 100, TOP - 200, LEFT + 200, TOP - 100), width=100, height=100)
    patch = oracle.read(view, margin=3)
    assert patch.values.shape == (3, 106, 106)
    assert patch.bounds == Bounds(LEFT + 97, TOP - 203, LEFT + 203, TOP - 97)
    assert (patch.values[:, 3:-3, 3:-3] == oracle.read(view).values).all()


def test_a_point_is_answered_with_the_pixel_that_holds_it(oracle):
    x, y = crs_room.transformer("EPSG:4549", "EPSG:4326").transform(LEFT + 1234.6, TOP - 567.3)
    red, green, blue = oracle.sample(x, y, "EPSG:4326")
    assert decode_place(np.array([red, green, blue], np.uint8)) == (567, 1234)
    assert oracle.sample(LEFT - 1, TOP + 1, "EPSG:4549") is None


def test_threads_read_the_same_pixels_at_once(oracle):
    view = view_of("EPSG:3857", Bounds(LEFT, TOP - 1000, LEFT + 1000, TOP), 1.3)
    expected, seen = oracle.read(view).values.copy(), []
    threads = [threading.Thread(target=lambda: seen.extend(oracle.read(view).values for _ in range(5))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 30
    assert all((values == expected).all() for values in seen)


# Smooth images

def grey(value: int, rows: int = 512, cols: int = 512) -> np.ndarray:
    return np.full((3, rows, cols), value, np.uint8)


def test_no_dark_fringe_appears_at_the_edge_of_the_data(tmp_path):
    mask = np.ones((512, 512), bool)
    mask[200:300, 200:300] = False
    pixels = grey(200)
    pixels[:, ~mask] = 0
    sheet = write_sheet(tmp_path, "hole", pixels, left=LEFT, top=TOP, resolution=1.0, mask=mask)
    reader = MosaicReader(tmp_path, edition_of(tmp_path, [sheet], ProductType.DOM))
    for crs, resolution in (("EPSG:3857", 0.9), ("EPSG:4548", 0.7), ("EPSG:4490", 2.3e-5), ("EPSG:3857", 40.0)):
        patch = reader.read(view_of(crs, Bounds(LEFT - 20, TOP - 532, LEFT + 532, TOP + 20), resolution))
        assert patch.valid.any()
        assert not patch.valid.all()
        assert patch.values[:, patch.valid].min() >= 198


def test_where_sheets_overlap_the_newest_lies_on_top_and_its_holes_show_the_older(tmp_path):
    mask = np.ones((512, 512), bool)
    mask[100:200, 100:200] = False
    newer = write_sheet(tmp_path, "newer", grey(220), left=LEFT, top=TOP, resolution=1.0, mask=mask, sheet_id=8)
    older = write_sheet(tmp_path, "older", grey(90), left=LEFT, top=TOP, resolution=1.0, sheet_id=3)
    reader = MosaicReader(tmp_path, edition_of(tmp_path, [newer, older], ProductType.DOM))
    assert reader.sample(LEFT + 50, TOP - 50, "EPSG:4549") == (220, 220, 220)
    assert reader.sample(LEFT + 150, TOP - 150, "EPSG:4549") == (90, 90, 90)


def test_sheets_of_two_zones_meet_in_one_picture(tmp_path):
    """The eastern half lies in EPSG:4549 (CM 120), the western in EPSG:4548 (CM 117); both cover a common strip."""
    east = write_sheet(tmp_path, "east", grey(180), left=LEFT, top=TOP, resolution=1.0, sheet_id=2)
    x, y = crs_room.transformer("EPSG:4549", "EPSG:4548").transform(LEFT - 400, TOP)
    west = write_sheet(tmp_path, "west", grey(60), left=round(x), top=round(y), resolution=1.0, crs="EPSG:4548", sheet_id=1)
    edition = edition_of(tmp_path, [east, west], ProductType.DOM)
    assert [mosaic.crs for mosaic in edition.mosaics] == ["EPSG:4549", "EPSG:4548"]
    patch = MosaicReader(tmp_path, edition).read(view_of("EPSG:3857", Bounds(LEFT - 300, TOP - 400, LEFT + 400, TOP - 100), 1.2))
    assert patch.valid.all()
    assert set(np.unique(patch.values)) == {60, 180}


def test_an_elevation_is_never_mixed_with_nodata(tmp_path):
    heights = np.full((1, 300, 300), 100.0, np.float32)
    heights[0, 100:150, 100:150] = NODATA
    sheet = write_sheet(tmp_path, "dem", heights, left=LEFT, top=TOP, resolution=5.0)
    reader = MosaicReader(tmp_path, edition_of(tmp_path, [sheet], ProductType.DEM))
    patch = reader.read(view_of("EPSG:3857", Bounds(LEFT, TOP - 1500, LEFT + 1500, TOP), 7.0))
    assert patch.values.dtype == np.float32
    assert np.allclose(patch.values[0][patch.valid], 100.0, atol=1e-3)
    assert reader.sample(LEFT + 10, TOP - 10, "EPSG:4549") == (100.0,)
    assert reader.sample(LEFT + 600, TOP - 600, "EPSG:4549") is None


# Levels

def test_a_window_that_ends_where_a_sheet_ends_is_read_whole(wide):
    """Where a window's edge runs along the edge of a neighbouring sheet, that sheet has no share of it."""
    for resolution in (1.0, 2.0):
        for col in (510, 512, 514, 1024):
            for row in (510, 512, 514, 1024):
                bounds = Bounds(LEFT + col, TOP - row - 512, LEFT + col + 512, TOP - row)
                side = int(512 / resolution)
                patch = wide.read(View(crs="EPSG:4549", bounds=bounds, width=side, height=side))
                assert patch.valid.all()
                assert (patch.values[2] == 77).all()


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> MosaicReader:
    """5 x 5 sheets of 512 px, smooth: red grows to the east, green to the south; large enough for a low-resolution copy."""
    folder = tmp_path_factory.mktemp("wide")
    side, count, sheets = 512, 5, []
    for down in range(count):
        for across in range(count):
            rows, cols = np.mgrid[0:side, 0:side]
            red, green = (across * side + cols) // 11, (down * side + rows) // 11
            sheets.append(write_sheet(
                folder, f"wide-{down}-{across}", np.stack([red, green, np.full_like(red, 77)]).astype(np.uint8),
                left=LEFT + across * side, top=TOP - down * side, resolution=1.0, sheet_id=len(sheets),
            ))
    return MosaicReader(folder, edition_of(folder, sheets, ProductType.DOM, lossless=True))


def test_a_large_mosaic_has_a_low_resolution_copy_with_levels_that_divide_evenly(wide):
    mosaic = wide.edition.mosaics[0]
    assert mosaic.overview is not None
    factors = [level.factor for level in wide._mosaics[0].levels]
    assert factors == pytest.approx([2.0**n for n in range(len(factors))])
    assert len(factors) >= 4


@pytest.mark.parametrize("resolution", [1.0, 1.7, 3.0, 5.0, 9.0, 20.0, 64.0, 200.0])
def test_every_level_shows_the_same_ground_at_the_same_place(wide, resolution):
    view = view_of("EPSG:4548", Bounds(LEFT + 200, TOP - 2300, LEFT + 2300, TOP - 200), resolution)
    patch = wide.read(view)
    step_x, step_y = view.resolution
    x, y = np.meshgrid(view.bounds.left + (np.arange(view.width) + 0.5) * step_x, view.bounds.top - (np.arange(view.height) + 0.5) * step_y)
    x, y = crs_room.transformer("EPSG:4548", "EPSG:4549").transform(x, y)
    assert patch.valid.all()
    within = 1.5 if resolution < 100 else 0.5 * resolution / 11        # at the margin of the sheets the last average is of part of a pixel
    assert np.abs(patch.values[0] - (x - LEFT - 0.5) / 11 + 0.45).max() < within
    assert np.abs(patch.values[1] - (TOP - y - 0.5) / 11 + 0.45).max() < within


def test_a_view_of_the_whole_reads_no_more_than_a_small_level(wide):
    mosaic = wide._mosaics[0]
    read = []
    original = mosaic.pixels
    mosaic.pixels = lambda level, window: read.append(window.width * window.height) or original(level, window)
    wide.read(view_of("EPSG:3857", Bounds(LEFT, TOP - 2560, LEFT + 2560, TOP), 40.0))
    del mosaic.pixels
    assert sum(read) < 400 * 400


def test_an_index_names_its_sheets_relative_to_itself_so_the_store_can_move(wide, tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(wide._mosaics[0]._folder, folder)
    moved = MosaicReader(folder, wide.edition)
    view = view_of("EPSG:3857", Bounds(LEFT + 500, TOP - 900, LEFT + 900, TOP - 500), 1.0)
    assert (moved.read(view).values == wide.read(view).values).all()


def test_overviews_of_neighbouring_sheets_keep_their_place_to_a_fraction_of_a_pixel(tmp_path):
    """A plane of heights in two sheets whose overviews share no grid: each height stays where it is, but for the very column of the seam."""
    step, size = 5.0, 1024
    sheets = []
    for number, left in enumerate((400_000.0, 400_000.0 + step * (size - 37))):
        cols, rows = np.meshgrid(np.arange(size), np.arange(size))
        heights = ((left + (cols + 0.5) * step) * 0.01 - rows * 0.02).astype(np.float32)
        sheets.append(write_sheet(tmp_path, str(number), heights[None], left=left, top=3_550_000.0, resolution=step, sheet_id=number + 1))
    edition = edition_of(tmp_path, sheets, ProductType.DEM)
    view = View(crs="EPSG:4549", bounds=Bounds(403_000.0, 3_547_000.0, 407_800.0, 3_548_200.0), width=240, height=60)
    values = MosaicReader(tmp_path, edition).read(view).values[0]
    x, y = 403_000.0 + (np.arange(240) + 0.5) * 20.0, 3_548_200.0 - (np.arange(60) + 0.5) * 20.0
    error = np.abs(values - (x[None, :] * 0.01 - ((3_550_000.0 - y[:, None]) / step - 0.5) * 0.02)).max(axis=0)
    assert (error > 0.002).sum() <= 1 and error.max() < 0.75 * 20.0 * 0.01 + 0.001
