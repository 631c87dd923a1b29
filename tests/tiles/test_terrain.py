"""Heights as colours: exact to the quantum, made of heights that were resampled, never of mixed colours; and ground below a level of water."""

import io

import numpy as np
import pytest
from PIL import Image
from synthetic_sheets import NODATA, edition_of, write_sheet

from layers import crs as crs_room
from layers.model import ENCODINGS, STYLES, Bounds, ProductType, View, picture_styles, tile_styles
from tiles.engine import Engine
from tiles.errors import RequestInvalid
from tiles.grids import TILE_MATRIX_SETS
from tiles.permits import Permit, PermitPiece, PictureMark, parts_of
from tiles.terrain import ENCODERS
from tiles.variants import Variant
from tiles.water import DEEPEST, WaterLevel, depth_colours, water_picture

LEFT, TOP, STEP, SIDE = 360_000.0, 3_550_000.0, 5.0, 300


def permit_for(edition, degrade=None) -> Permit:
    return Permit(edition=edition, area=None, pieces=(PermitPiece(area=None, attributes=None, degrade=degrade),), mark="test")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def dem(store):
    rows, cols = np.mgrid[0:SIDE, 0:SIDE]
    heights = (150 + 170 * np.sin(cols / 20) + 60 * np.cos(rows / 15)).astype(np.float32)
    heights[:40, :40] = NODATA
    sheet = write_sheet(store / "dem", "dem", heights[None], left=LEFT, top=TOP, resolution=STEP)
    return edition_of(store / "dem", [sheet], ProductType.DEM, edition_id=13)


@pytest.fixture
def engine(store, tmp_path, config_folder):
    return Engine(store, tmp_path / "cache", config_folder)


@pytest.mark.parametrize("style", ENCODINGS)
def test_what_is_encoded_comes_back_to_half_a_quantum(style):
    rng = np.random.default_rng(1)
    heights = np.r_[rng.uniform(-400, 9000, 2000), -10_000.0, 0.0, -0.04, 8848.86].astype(np.float32)[None]
    pixels = ENCODERS[style].encode(heights, np.ones(heights.shape, bool))
    assert np.abs(ENCODERS[style].decode(pixels) - heights).max() <= ENCODERS[style].accuracy + 1e-6
    assert (pixels[..., 3] == 255).all()


@pytest.mark.parametrize(("style", "height", "colour"), [
    ("terrain-rgb", 0.0, (1, 134, 160)), ("terrain-rgb", 1234.5, (1, 182, 217)), ("terrain-rgb", -10000.0, (0, 0, 0)),
    ("terrarium", 0.0, (128, 0, 0)), ("terrarium", 1234.5, (132, 210, 128)), ("terrarium", -1.5, (127, 254, 128)),
])
def test_colours_are_those_that_maps_in_browsers_expect(style, height, colour):
    assert tuple(ENCODERS[style].encode(np.array([[height]], np.float32), np.ones((1, 1), bool))[0, 0, :3]) == colour


@pytest.mark.parametrize("style", ENCODINGS)
def test_heights_beyond_what_can_be_told_and_gaps_do_not_wrap_round(style):
    heights = np.array([[-1e7, 1e9, 5.0]], np.float32)
    pixels = ENCODERS[style].encode(heights, np.array([[True, True, False]]))
    assert pixels[0, 0, :3].tolist() == [0, 0, 0] and pixels[0, 1, :3].tolist() == [255, 255, 255] and not pixels[0, 2].any()


@pytest.mark.parametrize("degrade", [None, 40.0])
@pytest.mark.parametrize("style", ENCODINGS)
@pytest.mark.parametrize("tms_id", ["WebMercatorQuad", "tdt_c"])
def test_a_tile_from_the_cache_is_the_heights_of_its_pixels_exact_to_the_quantum(engine, dem, tms_id, style, degrade):
    tms = TILE_MATRIX_SETS[tms_id]
    x, y = crs_room.transformer("CRS:84", tms.crs).transform(dem.extent.centroid.x, dem.extent.centroid.y)
    z = 15
    row, _, col, _ = tms.limits(z, Bounds(x, y, x, y))
    variant = Variant.of(dem, None, degrade)
    view = tms.view(z, row, col)
    for _ in ("drawn", "from the cache"):
        tile = engine.tile(dem, style, tms_id, z, row, col, permit_for(dem, degrade), variant)
        assert tile.media_type == "image/png"
        pixels = np.array(Image.open(io.BytesIO(tile.data)).convert("RGBA"))
        told = ENCODERS[style].decode(pixels)
        patch = engine.reader(dem, degrade).read(view)
        assert (np.isfinite(told) == patch.valid).all()
        assert np.abs(told - patch.values[0])[patch.valid].max() <= ENCODERS[style].accuracy + 0.02        # places differ by 1/500 pixel at most
        assert not pixels[~patch.valid].any()


def test_numbers_are_no_style_of_a_picture(engine, dem):
    assert not set(ENCODINGS) & set(STYLES[ProductType.DEM])
    assert set(picture_styles(ProductType.DEM)) == set(STYLES[ProductType.DEM]) - {"water-level"}
    assert "water-level" not in tile_styles(ProductType.DEM) and not set(ENCODINGS) & set(tile_styles(ProductType.DOM))
    with pytest.raises(RequestInvalid, match="has no style `water-level`"):
        engine.style(dem, "water-level")


def test_a_mark_over_pictures_is_left_out_of_numbers(dem):
    mark = PictureMark(text="water", opacity=0.5, place="tiled")
    permit = Permit(edition=dem, area=None, pieces=(PermitPiece(area=None, attributes=None, mark=mark),), mark="m")
    assert [part.mark for part in permit.without_marks().parts] == [None]
    assert permit.parts[0].mark == mark and permit.without_marks().covers(dem)
    plain = permit_for(dem)
    assert plain.without_marks() is plain and len(parts_of(dem, None, permit.pieces)) == 1


# Water

def test_ground_below_the_level_is_drawn_and_nothing_else(engine, dem):
    view = View(crs="EPSG:4549", bounds=Bounds(LEFT, TOP - SIDE * STEP, LEFT + SIDE * STEP, TOP), width=SIDE, height=SIDE)
    patch = engine.values(dem, view, permit_for(dem))
    pixels = np.array(water_picture(patch, view, WaterLevel(120.0)))
    assert ((pixels[..., 3] > 0) == (patch.valid & (patch.values[0] < 120.0))).all()
    assert not pixels[pixels[..., 3] == 0].any()
    assert not np.array(water_picture(None, view, WaterLevel(120.0))).any()


def test_deeper_water_is_darker():
    colours = depth_colours(np.linspace(0, DEEPEST + 3, 200)).astype(int).sum(axis=-1)
    assert (np.diff(colours) <= 0).all() and colours[0] - colours[-1] > 250
