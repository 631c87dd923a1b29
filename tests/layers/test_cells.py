"""Degraded rasters: one fixed grid of cells, whatever is asked, and nothing finer than what they hold."""

import math

import cv2
import numpy as np
import pytest
from synthetic_sheets import NODATA, edition_of, write_sheet

from layers.crs import transformer
from layers.model import Bounds, ProductType, View
from layers.mosaic.cells import CellReader, cell_size, influence
from layers.mosaic.reader import MosaicReader
from tiles.elevation import Ramp, painter

LEFT, TOP, STEP, SIDE = 384_013.0, 3_552_007.0, 5.0, 480
"""A sheet whose corner lies on no cell's."""

CELL = 20.0


def terrain(side: int = SIDE, seed: int = 3, slope: float = 1.8) -> np.ndarray:
    """Heights whose amplitude falls with frequency as that of real ground does: (row, col) of metres."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None])
    frequency[0, 0] = np.inf
    ground = np.fft.ifft2(np.fft.fft2(rng.normal(size=(side, side))) * frequency**-slope).real
    return (100 + 40 * ground / ground.std()).astype(np.float32)


def noise(side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(5).normal(100.0, 20.0, (side, side)).astype(np.float32)


def heights_edition(folder, heights: np.ndarray, *, left=LEFT, top=TOP, step=STEP, crs="EPSG:4549"):
    sheet = write_sheet(folder, "dem", heights[None], left=left, top=top, resolution=step, crs=crs)
    return edition_of(folder, [sheet], ProductType.DEM)


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store") / "dem"
    heights = terrain()
    return folder, heights_edition(folder, heights), heights


def mean_by_hand(heights: np.ndarray, x: float, y: float, cell: float = CELL) -> float:
    """The mean over the cell that holds a place, pixel by pixel, each by the share of it within."""
    west, north = math.floor(x / cell) * cell, math.ceil(y / cell) * cell
    total = area = 0.0
    for row in range(max(0, int((TOP - north) / STEP) - 1), min(SIDE, int((TOP - north + cell) / STEP) + 2)):
        for col in range(max(0, int((west - LEFT) / STEP) - 1), min(SIDE, int((west + cell - LEFT) / STEP) + 2)):
            left, top = LEFT + col * STEP, TOP - row * STEP
            share = max(0.0, min(left + STEP, west + cell) - max(left, west)) * max(0.0, min(top, north) - max(top - STEP, north - cell))
            total, area = total + share * heights[row, col], area + share
    return total / area


def view_at(left: float, top: float, step: float, width: int, height: int | None = None, crs: str = "EPSG:4549") -> View:
    height = height or width
    return View(crs=crs, bounds=Bounds(left, top - height * step, left + width * step, top), width=width, height=height)


# What a cell holds

def told_by_hand(heights: np.ndarray, x: float, y: float) -> float:
    """The smooth surface in the middle of the cell that holds a place, from the means of eleven by eleven cells around it."""
    line = np.convolve(np.convolve([-1, 4, 10, 4, -1], [-1, 8, -1]) / 96, np.array([1, 26, 66, 26, 1]) / 120)
    means = [[mean_by_hand(heights, x + across * CELL, y - down * CELL) for across in range(-5, 6)] for down in range(-5, 6)]
    return float(line @ np.array(means) @ line)


def test_a_height_is_that_of_the_surface_in_the_middle_of_its_cell_wherever_in_the_cell_it_is_asked(ground):
    folder, edition, heights = ground
    reader = CellReader(folder, edition, CELL)
    rng = np.random.default_rng(1)
    for x, y in zip(rng.uniform(LEFT + 130, LEFT + 2200, 20), rng.uniform(TOP - 2200, TOP - 130, 20), strict=True):
        (height,) = reader.sample(x, y, "EPSG:4549")
        assert height == pytest.approx(told_by_hand(heights, x, y), abs=2e-3)
        corner = math.floor(x / CELL) * CELL + 0.01, math.floor(y / CELL) * CELL + 0.01
        assert reader.sample(*corner, "EPSG:4549") == (height,)
        lon, lat = transformer("EPSG:4549", "CRS:84").transform(x, y)
        assert reader.sample(lon, lat, "CRS:84") == (height,)


def test_an_even_slope_stays_what_it_is(tmp_path):
    rows, cols = np.mgrid[0:SIDE, 0:SIDE]
    edition = heights_edition(tmp_path / "slope", (100 + 0.3 * cols - 0.2 * rows).astype(np.float32))
    where = view_at(LEFT + 303, TOP - 298, 3.0, 300)
    degraded = CellReader(tmp_path / "slope", edition, CELL).read(where).values[0]
    x, y = 303 + (np.arange(300) + 0.5) * 3, 298 + (np.arange(300) + 0.5) * 3
    assert np.abs(degraded - (100 + 0.3 * (x / STEP - 0.5) - 0.2 * (y[:, None] / STEP - 0.5))).max() < 2e-3


def test_a_view_on_the_cells_shows_them_as_they_are_told(ground):
    folder, edition, _ = ground
    reader = CellReader(folder, edition, CELL)
    left, top = math.ceil(LEFT / CELL) * CELL + 200, math.floor(TOP / CELL) * CELL - 200
    patch = reader.read(view_at(left, top, CELL, 40))
    told = [[reader.sample(left + (col + 0.5) * CELL, top - (row + 0.5) * CELL, "EPSG:4549")[0] for col in range(40)] for row in range(0, 40, 7)]
    assert np.abs(patch.values[0][::7] - told).max() < 1e-3 and patch.valid.all()


@pytest.mark.parametrize("step", [0.7, 3.0, 5.0, 20.0, 33.0, 100.0, 400.0])
def test_wherever_a_window_is_cut_the_same_place_shows_the_same_value(ground, step):
    folder, edition, _ = ground
    reader = CellReader(folder, edition, CELL)
    size = min(120, int(2000 / step))
    large = reader.read(view_at(LEFT + 100, TOP - 100, step, size))
    rows, cols = size // 3, size // 4
    small = reader.read(view_at(LEFT + 100 + cols * step, TOP - 100 - rows * step, step, max(1, size // 2)))
    part = (slice(rows, rows + small.values.shape[1]), slice(cols, cols + small.values.shape[2]))
    assert np.abs(large.values[0][part] - small.values[0]).max() < 1e-3


def test_the_grid_stays_where_it_is_when_a_sheet_comes_to_it(tmp_path, ground):
    _, edition, heights = ground
    sheets = [
        write_sheet(tmp_path / "dem", f"dem-{n}", heights[None], left=left, top=top, resolution=STEP, sheet_id=n)
        for n, (left, top) in enumerate([(LEFT, TOP), (LEFT - 30 * STEP * SIDE, TOP + 7 * STEP * SIDE)])
    ]
    wider = edition_of(tmp_path / "dem", sheets, ProductType.DEM)
    before, after = CellReader(ground[0], edition, CELL), CellReader(tmp_path / "dem", wider, CELL)
    for x, y in ((LEFT + 400.0, TOP - 400.0), (LEFT + 1234.5, TOP - 1777.0)):
        assert before.sample(x, y, "EPSG:4549")[0] == pytest.approx(after.sample(x, y, "EPSG:4549")[0], abs=1e-3)


def test_cells_are_never_finer_than_agreed_on_the_ground_in_degrees_and_in_mercator_metres(tmp_path):
    lon, lat = 118.8, 32.4
    for crs, left, top, step in (("EPSG:4490", lon, lat, 0.00005), ("EPSG:3857", 13_224_755.0, 3_814_697.0, 6.0), ("EPSG:4549", LEFT, TOP, 5.0)):
        edition = heights_edition(tmp_path / crs[5:], terrain(64), left=left, top=top, step=step, crs=crs)
        cell = cell_size(edition.mosaics[0], 30.0)
        middle = left + 32 * step, top - 32 * step
        east, north = (middle[0] + cell, middle[1]), (middle[0], middle[1] + cell)
        to_ground = transformer(crs, "EPSG:4549").transform
        here = to_ground(*middle)
        for there in (to_ground(*east), to_ground(*north)):
            assert 29.9 < math.dist(here, there) < 38, crs


def test_a_grid_no_coarser_than_the_source_changes_nothing(ground):
    folder, edition, _ = ground
    where = view_at(LEFT + 101, TOP - 101, 4.0, 64)
    assert (CellReader(folder, edition, 5.0).read(where).values == MosaicReader(folder, edition).read(where).values).all()


def test_a_cell_with_data_in_half_of_it_counts_and_its_mean_is_of_those(tmp_path):
    heights = np.full((64, 64), 50.0, np.float32)
    heights[:, :30] = NODATA
    edition = heights_edition(tmp_path / "gaps", heights, left=384_000.0, top=3_552_000.0, step=5.0)
    reader = CellReader(tmp_path / "gaps", edition, 20.0)
    assert reader.sample(384_135.0, 3_551_990.0, "EPSG:4549") is None
    assert reader.sample(384_145.0, 3_551_990.0, "EPSG:4549") == (50.0,)          # half of the cell from 140 to 160
    assert reader.sample(383_990.0, 3_551_990.0, "EPSG:4549") is None
    patch = reader.read(view_at(384_000.0, 3_552_000.0, 5.0, 64))
    assert not patch.valid[:, :28].any() and patch.valid[:, 28:].all()
    assert np.abs(patch.values[0][patch.valid] - 50).max() < 1e-3, "no fringe of nothing"
    assert not patch.values[0][~patch.valid].any()


def test_imagery_is_averaged_and_classes_are_picked(tmp_path):
    rng = np.random.default_rng(2)
    photo = rng.integers(0, 256, (3, 1100, 1100), np.uint8)
    sheet = write_sheet(tmp_path / "dom", "photo", photo, left=384_000.0, top=3_552_000.0, resolution=1.0)
    reader = CellReader(tmp_path / "dom", edition_of(tmp_path / "dom", [sheet], ProductType.DOM, lossless=True), 4.0)
    for col, row in ((20, 20), (400, 804)):
        told = reader.sample(384_000.0 + col + 1, 3_552_000.0 - row - 1, "EPSG:4549")
        assert np.abs(np.array(told) - photo[:, row : row + 4, col : col + 4].mean(axis=(1, 2))).max() <= 1
    classes = rng.integers(0, 5, (3, 100, 100), np.uint8)
    sheet = write_sheet(tmp_path / "map", "map", classes, left=384_000.0, top=3_552_000.0, resolution=1.0, nearest=True)
    reader = CellReader(tmp_path / "map", edition_of(tmp_path / "map", [sheet], ProductType.DOM, nearest=True), 4.0)
    patch = reader.read(view_at(384_000.0, 3_552_000.0, 1.0, 100))
    assert set(np.unique(patch.values)) <= set(range(5))
    blocks = patch.values.reshape(3, 25, 4, 25, 4)
    assert (blocks == blocks[:, :, :1, :, :1]).all()


def test_what_is_beyond_the_data_is_nothing(ground):
    folder, edition, _ = ground
    reader = CellReader(folder, edition, CELL)
    assert reader.read(view_at(LEFT - 9000, TOP, 10.0, 50)) is None
    assert reader.sample(LEFT - 9000, TOP, "EPSG:4549") is None
    patch = reader.read(view_at(LEFT - 300, TOP + 300, 10.0, 60))
    assert not patch.valid[:29].any() and patch.valid[33:, 33:].all()


# No more than the cells hold

def share_above(picture: np.ndarray, spacing: float, limit: float) -> float:
    """Share of the energy, in decibels, at frequencies above `limit` (of the cells' sampling rate), along either axis."""
    window = np.hanning(picture.shape[0])[:, None] * np.hanning(picture.shape[1])
    energy = np.abs(np.fft.fft2((picture - picture.mean()) * window)) ** 2
    frequency = np.maximum(*np.meshgrid(*(np.abs(np.fft.fftfreq(side)) for side in picture.shape[::-1]))) * CELL / spacing
    return 10 * math.log10(energy[frequency > limit].sum() / energy.sum())


def above(picture: np.ndarray, limit: float) -> float:
    """Metres (rms) of what varies faster than `limit` (of the cells' sampling rate), along either axis."""
    window = np.hanning(picture.shape[0])[:, None] * np.hanning(picture.shape[1])
    energy = np.abs(np.fft.fft2((picture - picture.mean()) * window)) ** 2 / (window**2).sum() / picture.size
    return math.sqrt(energy.sum() * 10 ** (share_above(picture, STEP, limit) / 10))


def test_heights_of_real_ground_hold_no_detail_above_the_agreed_frequency(ground):
    """Of hills of 40 m (rms), less than half a centimetre, a sixth of what the rounding of Terrain-RGB makes; the source has seven decimetres there.
    It makes no difference whether the view lies on the cells' own lines."""
    folder, edition, _ = ground
    where = view_at(LEFT + 50, TOP - 50, STEP, 440)
    full, degraded = (reader.read(where).values[0].astype(float) for reader in (MosaicReader(folder, edition), CellReader(folder, edition, CELL)))
    assert above(full, 0.5) > 0.7
    for off in (0.0, 0.613):
        degraded = CellReader(folder, edition, CELL).read(view_at(LEFT + 50 + off, TOP - 50 - off, STEP * 0.997, 440)).values[0].astype(float)
        assert above(degraded, 0.5) < 0.005


@pytest.mark.parametrize("style", ["hillshade", "relief", "slope"])
def test_a_picture_of_real_ground_holds_no_more_above_the_agreed_frequency_than_its_own_rounding(ground, config_folder, style):
    folder, edition, _ = ground
    where, paint = view_at(LEFT + 50, TOP - 50, STEP, 440), painter(style, Ramp.load(config_folder / "relief.csv"))
    picture = CellReader(folder, edition, CELL).read(where, paint=paint).values[0].astype(float)
    rounding = 10 * math.log10(1 / 12 / picture.var())
    assert share_above(picture, STEP, 0.6) < rounding + 1.5


def test_even_of_pure_noise_next_to_nothing_is_left_above_the_agreed_frequency(tmp_path):
    edition = heights_edition(tmp_path / "noise", noise())
    where = view_at(LEFT + 50, TOP - 50, STEP, 440)
    full = MosaicReader(tmp_path / "noise", edition).read(where).values[0].astype(float)
    degraded = CellReader(tmp_path / "noise", edition, CELL).read(where).values[0].astype(float)
    linear = linear_between_cells(tmp_path / "noise", edition, where)
    assert share_above(full, STEP, 0.5) > -1.5
    assert share_above(degraded, STEP, 0.5) < -40
    assert share_above(degraded, STEP, 0.5) < share_above(linear, STEP, 0.5) - 8


def linear_between_cells(folder, edition, where: View) -> np.ndarray:
    left, top = math.floor((where.bounds.left - 60) / CELL) * CELL, math.ceil((where.bounds.top + 60) / CELL) * CELL
    cells = CellReader(folder, edition, CELL).read(view_at(left, top, CELL, 120)).values[0]
    x = (where.bounds.left + (np.arange(where.width) + 0.5) * STEP - left) / CELL - 0.5
    y = (top - where.bounds.top + (np.arange(where.height) + 0.5) * STEP) / CELL - 0.5
    map_x, map_y = (one.astype(np.float32) for one in np.meshgrid(x, y))
    return cv2.remap(cells, map_x, map_y, cv2.INTER_LINEAR).astype(float)


def test_a_hundred_requests_shifted_by_parts_of_a_pixel_tell_no_more_than_one(ground):
    """Pictures at the size of the cells, each shifted a little, woven into one fine picture, come no nearer to the source than one of them does."""
    folder, edition, heights = ground
    reader = CellReader(folder, edition, CELL)
    count, side, fine = 10, 90, CELL / 10
    left, top = LEFT + 200, TOP - 200
    woven = np.zeros((side * count, side * count))
    for down in range(count):
        for across in range(count):
            patch = reader.read(view_at(left + across * fine, top - down * fine, CELL, side))
            woven[down::count, across::count] = patch.values[0]
    single = reader.read(view_at(left, top, CELL, side)).values[0]
    # every sample of the woven picture is that of a pixel's centre, half a cell from its corner
    x, y = left + CELL / 2 + np.arange(side * count) * fine, top - CELL / 2 - np.arange(side * count) * fine
    columns, rows = ((x - LEFT) / STEP).astype(int), ((TOP - y) / STEP).astype(int)
    truth = heights[np.ix_(rows, columns)].astype(float)
    at = (np.arange(side * count) / count).astype(np.float32)
    spread = cv2.remap(single, *np.meshgrid(at, at), cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    inner = slice(8 * count, -8 * count)
    off_single, off_woven = (np.sqrt(((one[inner, inner] - truth[inner, inner]) ** 2).mean()) for one in (spread, woven))
    assert 20 * math.log10(off_single / off_woven) < 1.0
    straight = cv2.remap(heights, *np.meshgrid(((x - LEFT) / STEP - 0.5).astype(np.float32), ((TOP - y) / STEP - 0.5).astype(np.float32)), cv2.INTER_LINEAR)
    assert np.sqrt(((straight[inner, inner] - truth[inner, inner]) ** 2).mean()) < 0.7 * off_woven, "the source itself would be nearer: the measure is not blind"


# How far a pixel's colour reaches

def test_nothing_beyond_the_stated_reach_changes_a_pixel(tmp_path):
    """A spike in the source, seen from every side: who lies farther off than `influence` says does not change."""
    for degrade, step in ((None, 4.0), (None, 11.0), (None, 70.0), (20.0, 4.0), (20.0, 17.0), (20.0, 90.0)):
        flat, spiked = np.full((400, 400), 100.0, np.float32), np.full((400, 400), 100.0, np.float32)
        spiked[200, 200] = 5000.0
        pictures = []
        for name, heights in (("flat", flat), ("spiked", spiked)):
            folder = tmp_path / f"{name}-{degrade}-{step}"
            edition = heights_edition(folder, heights)
            reader = CellReader(folder, edition, degrade) if degrade else MosaicReader(folder, edition)
            where = view_at(LEFT + 103, TOP - 98, step, min(440, int(1800 / step)), crs="EPSG:4549")
            pictures.append(reader.read(where).values[0])
        source, pixels = influence(edition, degrade)
        changed = np.argwhere(np.abs(pictures[0] - pictures[1]) > 1e-3)
        assert len(changed)
        x, y = where.bounds.left + (changed[:, 1] + 0.5) * step, where.bounds.top - (changed[:, 0] + 0.5) * step
        away = np.maximum(np.abs(x - (LEFT + 200.5 * STEP)), np.abs(y - (TOP - 200.5 * STEP))) + STEP / 2
        assert away.max() < pixels * max(source, 1.25 * step), (degrade, step)
