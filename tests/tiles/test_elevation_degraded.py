"""What a degraded grant holds by the ways of numbers: heights, profiles and terrain tiles tell no more than its cells; and how far contours reach."""

import io
import math

import cv2
import numpy as np
import pytest
import shapely
from PIL import Image
from synthetic_sheets import edition_of, write_sheet

from layers.crs import densify, transform_geometry, transformer
from layers.model import ENCODINGS, Bounds, ProductType, View
from layers.mosaic.cells import CellReader, influence
from layers.mosaic.reader import MosaicReader
from tiles.area import ServedArea
from tiles.contours import ContourStyle, contour_picture
from tiles.engine import Engine
from tiles.grids import TILE_MATRIX_SETS
from tiles.permits import Permit, PermitPiece, parts_of
from tiles.terrain import ENCODERS
from tiles.variants import Variant

LEFT, TOP, STEP, SIDE, CELL = 384_013.0, 3_552_007.0, 5.0, 480, 20.0


def terrain() -> np.ndarray:
    """Heights whose amplitude falls with frequency as that of real ground does."""
    rng = np.random.default_rng(3)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None])
    frequency[0, 0] = np.inf
    ground = np.fft.ifft2(np.fft.fft2(rng.normal(size=(SIDE, SIDE))) * frequency**-1.8).real
    return (100 + 40 * ground / ground.std()).astype(np.float32)


def edition_in(folder, heights: np.ndarray, number: int = 31):
    sheet = write_sheet(folder, "dem", heights[None], left=LEFT, top=TOP, resolution=STEP)
    return edition_of(folder, [sheet], ProductType.DEM, edition_id=number)


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    heights = terrain()
    return store, edition_in(store / "dem", heights), heights


def above(picture: np.ndarray, spacing: float, limit: float) -> float:
    """Metres (rms) of what varies faster than `limit` (of the cells' sampling rate), along either axis."""
    window = np.hanning(picture.shape[0])[:, None] * np.hanning(picture.shape[1])
    energy = np.abs(np.fft.fft2((picture - picture.mean()) * window)) ** 2 / (window**2).sum() / picture.size
    frequency = np.maximum(*np.meshgrid(*(np.abs(np.fft.fftfreq(side)) for side in picture.shape[::-1]))) * CELL / spacing
    return math.sqrt(energy[frequency > limit].sum())


@pytest.mark.parametrize("style", ENCODINGS)
def test_a_terrain_tile_holds_nothing_above_the_agreed_frequency_but_its_quantum(ground, tmp_path, config_folder, style):
    """Four tiles of a level finer than the source, woven together, decoded, and compared with those of the master."""
    store, edition, _ = ground
    engine, tms, z = Engine(store, tmp_path, config_folder), TILE_MATRIX_SETS["WebMercatorQuad"], 16
    x, y = transformer("CRS:84", tms.crs).transform(edition.extent.centroid.x, edition.extent.centroid.y)
    row, _, col, _ = tms.limits(z, Bounds(x, y, x, y))
    spacing = tms.resolutions[z] * 0.848                                                      # metres on the ground at 32 N
    woven = {}
    for degrade in (None, CELL):
        permit = Permit(edition=edition, area=None, pieces=(PermitPiece(area=None, attributes=None, degrade=degrade),), mark="m")
        tiles = [
            [engine.tile(edition, style, tms.id, z, r, c, permit, Variant.of(edition, None, degrade)).data for c in (col, col + 1)] for r in (row - 1, row)
        ]
        woven[degrade] = np.vstack([np.hstack([ENCODERS[style].decode(np.array(Image.open(io.BytesIO(one)).convert("RGBA"))) for one in line]) for line in tiles])
    full, coarse = woven[None], woven[CELL]
    assert np.isfinite(coarse).all() and np.isfinite(full).all()
    quantum = {"terrain-rgb": 0.1, "terrarium": 1 / 256}[style] / math.sqrt(12)
    assert above(full, spacing, 0.5) > 0.7, "the source has much there"
    assert above(coarse, spacing, 0.5) < math.hypot(quantum, 0.006)


def test_a_hundred_heights_each_a_part_of_a_cell_further_tell_no_more_than_one(ground):
    """Heights and the samples of profiles are those of cells: woven together they are the cells again, and come no nearer to the source."""
    store, edition, heights = ground
    reader, count, cells = CellReader(store / "dem", edition, CELL), 10, 4
    left, top = math.ceil((LEFT + 200) / CELL) * CELL, math.floor((TOP - 200) / CELL) * CELL
    fine = CELL / count
    x, y = left + (np.arange(cells * count) + 0.5) * fine, top - (np.arange(cells * count) + 0.5) * fine
    woven = np.array([[reader.sample(east, north, "EPSG:4549")[0] for east in x] for north in y])
    single = np.kron(woven[5::count, 5::count], np.ones((count, count)))
    truth = heights[np.ix_(((TOP - y) / STEP).astype(int), ((x - LEFT) / STEP).astype(int))].astype(float)
    off_single, off_woven = (math.sqrt(((one - truth) ** 2).mean()) for one in (single, woven))
    assert 20 * math.log10(off_single / off_woven) < 1.0 and (single == woven).all()
    exact = MosaicReader(store / "dem", edition).sample(x[7], y[7], "EPSG:4549")[0]
    assert exact == pytest.approx(truth[7, 7]) and abs(woven[7, 7] - exact) > 1e-3


def test_a_hundred_terrain_tiles_shifted_by_parts_of_a_pixel_tell_no_more_than_one(ground):
    """As such tiles would be, were their grid to move: encoded views of the cells, woven into one fine picture."""
    store, edition, heights = ground
    reader, encoding = CellReader(store / "dem", edition, CELL), ENCODERS["terrarium"]
    count, side, fine = 10, 60, CELL / 10
    left, top = LEFT + 200, TOP - 200

    def told(east: float, north: float) -> np.ndarray:
        view = View(crs="EPSG:4549", bounds=Bounds(east, north - side * CELL, east + side * CELL, north), width=side, height=side)
        patch = reader.read(view)
        return encoding.decode(encoding.encode(patch.values[0], patch.valid))

    woven = np.zeros((side * count, side * count))
    for down in range(count):
        for across in range(count):
            woven[down::count, across::count] = told(left + across * fine, top - down * fine)
    x, y = left + CELL / 2 + np.arange(side * count) * fine, top - CELL / 2 - np.arange(side * count) * fine
    truth = heights[np.ix_(((TOP - y) / STEP).astype(int), ((x - LEFT) / STEP).astype(int))].astype(float)
    at = (np.arange(side * count) / count).astype(np.float32)
    single = cv2.remap(told(left, top).astype(np.float32), *np.meshgrid(at, at), cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    inner = slice(8 * count, -8 * count)
    off_single, off_woven = (np.sqrt(((one[inner, inner] - truth[inner, inner]) ** 2).mean()) for one in (single, woven))
    assert 20 * math.log10(off_single / off_woven) < 1.0


@pytest.mark.parametrize(("degrade", "step"), [(None, 4.0), (None, 11.0), (20.0, 4.0), (20.0, 17.0)])
def test_plain_contours_change_no_farther_from_a_spike_than_pictures_do(tmp_path, config_folder, degrade, step):
    """So the footprint of the strict rule holds for them: a hill of the source changes nothing beyond its reach, not even which lines are traced."""
    rows, cols = np.mgrid[0:300, 0:300]
    flat = (100 + cols * 0.11 + rows * 0.07).astype(np.float32)
    spiked = flat.copy()
    spiked[150, 150] += 700.0
    style, pictures = ContourStyle.load(config_folder / "contours.csv"), []
    for number, heights in enumerate((flat, spiked)):
        folder = tmp_path / str(number)
        edition = edition_in(folder, heights)
        reader = CellReader(folder, edition, degrade) if degrade else MosaicReader(folder, edition)
        size = min(330, int(1350 / step))
        where = View(crs="EPSG:4549", bounds=Bounds(LEFT + 53, TOP - 48 - size * step, LEFT + 53 + size * step, TOP - 48), width=size, height=size)
        pictures.append(np.array(contour_picture(reader, where, style, plain=True)).astype(int))
    changed = np.argwhere(np.abs(pictures[0] - pictures[1]).max(axis=2) > 0)
    assert len(changed) and pictures[0][..., 3].any()
    x, y = where.bounds.left + (changed[:, 1] + 0.5) * step, where.bounds.top - (changed[:, 0] + 0.5) * step
    away = np.maximum(np.abs(x - (LEFT + 150.5 * STEP)), np.abs(y - (TOP - 150.5 * STEP))) + STEP / 2
    source, pixels = influence(edition, degrade)
    assert away.max() < pixels * max(source, 1.25 * step)


def test_a_height_of_a_classified_layer_is_told_only_where_nothing_beyond_the_border_is_in_it(ground, tmp_path):
    store, edition, heights = ground
    beyond = heights.copy()
    beyond[:, SIDE // 2 :] += 900.0
    other = edition_in(tmp_path / "dem", beyond)
    border = LEFT + SIDE // 2 * STEP
    west = shapely.box(LEFT - 500, TOP - SIDE * STEP - 500, border, TOP + 500)
    area = ServedArea(transform_geometry(densify(west, "EPSG:4549"), "EPSG:4549", "CRS:84"), "west")
    (part,) = parts_of(edition, area, (PermitPiece(area=None, attributes=None, degrade=CELL),), is_strict=True)
    told = kept = 0
    for x, y in np.random.default_rng(2).uniform((border - 400, TOP - 1600), (border, TOP - 800), (200, 2)):
        one, same = (CellReader(folder / "dem", each, CELL).sample(x, y, "EPSG:4549") for folder, each in ((store, edition), (tmp_path, other)))
        if part.holds(*transformer("EPSG:4549", "CRS:84").transform(x, y)):
            assert one == same
            told += 1
        kept += one != same
    assert told > 50 and kept > 20, "some are told, and some would tell of what lies beyond"
