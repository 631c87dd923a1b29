"""Contours: where they run, that neighbouring tiles agree about them, and how they are named."""

import io

import numpy as np
import pytest
from PIL import Image
from synthetic_sheets import NODATA, edition_of, write_sheet

from layers import crs as crs_room
from layers.model import Bounds, ProductType, View
from tiles.contours import SQUARE, ContourStyle, contour_picture, contour_scale, sample_of
from tiles.engine import Engine
from tiles.grids import TILE_MATRIX_SETS
from tiles.permits import Permit, PermitPiece
from tiles.variants import Variant, drawn_style

LEFT, TOP, STEP, SIDE = 360_000.0, 3_550_000.0, 5.0, 700


def permit_for(edition, degrade=None) -> Permit:
    return Permit(edition=edition, area=None, pieces=(PermitPiece(area=None, attributes=None, degrade=degrade),), mark="test")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def hills(store):
    rows, cols = np.mgrid[0:SIDE, 0:SIDE]
    heights = (150 + 60 * np.sin(cols / 70) + 50 * np.cos(rows / 55)).astype(np.float32)
    heights[300:340, 300:340] = NODATA
    sheet = write_sheet(store / "hills", "dem", heights[None], left=LEFT, top=TOP, resolution=STEP)
    return edition_of(store / "hills", [sheet], ProductType.DEM, edition_id=21)


@pytest.fixture(scope="module")
def plane(store):
    """A metre of height a pixel of 5 m eastward, from 0.3 m on."""
    heights = np.broadcast_to(np.arange(SIDE) * 0.2 + 0.3, (SIDE, SIDE)).astype(np.float32)
    sheet = write_sheet(store / "plane", "dem", heights[None], left=LEFT, top=TOP, resolution=STEP)
    return edition_of(store / "plane", [sheet], ProductType.DEM, edition_id=22)


@pytest.fixture(scope="module")
def engine(store, tmp_path_factory, config_folder):
    return Engine(store, tmp_path_factory.mktemp("cache"), config_folder)


@pytest.fixture(scope="module")
def style(config_folder):
    return ContourStyle.load(config_folder / "contours.csv")


def opacity(picture: Image.Image) -> np.ndarray:
    pixels = np.array(picture)
    assert picture.mode == "RGBA" and not pixels[pixels[..., 3] == 0].any()
    return pixels[..., 3]


@pytest.mark.parametrize("plain", [True, False])
def test_lines_of_a_plane_run_where_it_has_those_heights(engine, plane, style, plain):
    """At 2.5 m a pixel the scale is 1:8,929: every 5 m a line, every 1 m a faint one, every 25 m a stronger one."""
    view = View(crs="EPSG:4549", bounds=Bounds(LEFT + 200, TOP - 900, LEFT + 1700, TOP - 650), width=600, height=100)
    alpha = opacity(contour_picture(engine.reader(plane), view, style, plain=plain))
    rows = alpha.astype(int)
    row = np.median(rows, axis=0)                                                     # a label hides a line in some rows only
    x = view.bounds.left + (np.arange(view.width) + 0.5) * 2.5
    heights = ((x - LEFT) / STEP - 0.5) * 0.2 + 0.3
    for step, least in ((25, 120), (5, 70), (1, 20)):
        for level in np.arange(np.ceil(heights[4] / step) * step, heights[-4], step):
            at = int(np.argmin(np.abs(heights - level)))
            assert row[at - 1 : at + 2].max() >= least, (step, level)
    between = np.abs(heights - np.rint(heights)) > 0.35                               # more than 3 pixels from any line
    assert row[between].max() <= 10


@pytest.mark.parametrize(("degrade", "z"), [(None, 15), (None, 17), (40.0, 15)])
@pytest.mark.parametrize("tms_id", ["WebMercatorQuad", "tdt_c"])
def test_a_tile_is_the_same_drawn_alone_and_with_its_neighbours(engine, hills, tms_id, degrade, z):
    """So lines meet at the edges of tiles, and labels neither break there nor stand twice."""
    tms = TILE_MATRIX_SETS[tms_id]
    x, y = crs_room.transformer("CRS:84", tms.crs).transform(hills.extent.centroid.x, hills.extent.centroid.y)
    row, _, col, _ = tms.limits(z, Bounds(x, y, x, y))
    variant = Variant.of(hills, None, degrade)
    tiles = {
        (r, c): np.array(Image.open(io.BytesIO(engine.tile(hills, "contours", tms_id, z, r, c, permit_for(hills, degrade), variant).data)).convert("RGBA"))
        for r in (row, row + 1) for c in (col, col + 1)
    }
    for (r, c), tile in tiles.items():
        alone = np.array(engine._renderer(hills, "contours", variant).map(tms.view(z, r, c)).convert("RGBA")).astype(int)
        differing = np.abs(alone - tile)[..., 3] > 40
        assert differing.mean() < 0.002
    left, right = tiles[row, col][:, -1, 3] > 128, tiles[row, col + 1][:, :3, 3].max(axis=1) > 40
    near = np.convolve(right, np.ones(7), mode="same") > 0
    assert not (left & ~near)[4:-4].any(), "a line that ends at the edge of a tile"


def test_no_label_touches_the_edge_of_a_tile_and_some_stand_there(engine, hills):
    tms = TILE_MATRIX_SETS["WebMercatorQuad"]
    x, y = crs_room.transformer("CRS:84", tms.crs).transform(hills.extent.centroid.x, hills.extent.centroid.y)
    row, _, col, _ = tms.limits(16, Bounds(x, y, x, y))
    lettered = 0
    for r in (row, row + 1):
        for c in (col, col + 1):
            tile = np.array(Image.open(io.BytesIO(engine.tile(hills, "contours", tms.id, 16, r, c, permit_for(hills)).data)).convert("RGBA"))
            halo = (tile[..., 3] > 0) & (tile[..., 2] > 150)
            lettered += halo.any()
            edge = np.ones(halo.shape, bool)
            edge[2:-2, 2:-2] = False
            assert not (halo & edge).any()
    assert lettered >= 2


def test_of_a_view_that_is_moved_by_whole_pixels_the_common_part_is_the_same(engine, hills, style):
    def drawn(east, south):
        left, top = LEFT + 1000 + 2.5 * east, TOP - 1000 - 2.5 * south
        view = View(crs="EPSG:4549", bounds=Bounds(left, top - 750, left + 1000, top), width=400, height=300)
        return np.array(contour_picture(engine.reader(hills), view, style)).astype(int)

    assert np.abs(drawn(0, 0)[61:, 37:] - drawn(37, 61)[:-61, :-37]).max() <= 2


def test_a_gap_has_no_lines_and_none_run_along_its_edge(engine, hills, style):
    view = View(crs="EPSG:4549", bounds=Bounds(LEFT + 1400, TOP - 1800, LEFT + 1800, TOP - 1400), width=160, height=160)
    patch = engine.reader(hills).read(view)
    alpha = opacity(contour_picture(engine.reader(hills), view, style))
    assert not alpha[~patch.valid].any() and alpha[patch.valid].any() and (~patch.valid).any()


def test_level_ground_has_none(engine, store, style):
    sheet = write_sheet(store / "flat", "dem", np.full((1, 100, 100), 3.37, np.float32), left=LEFT, top=TOP, resolution=STEP)
    edition = edition_of(store / "flat", [sheet], ProductType.DEM, edition_id=23)
    view = View(crs="EPSG:4549", bounds=Bounds(LEFT, TOP - 500, LEFT + 500, TOP), width=200, height=200)
    assert not opacity(contour_picture(engine.reader(edition), view, style)).any()


def test_lines_through_steep_ground_are_fewer_not_a_blot(engine, store, style):
    rows, cols = np.mgrid[0:200, 0:200]
    sheet = write_sheet(store / "cliff", "dem", (cols * 10.0).astype(np.float32)[None], left=LEFT, top=TOP, resolution=STEP)
    edition = edition_of(store / "cliff", [sheet], ProductType.DEM, edition_id=24)
    view = View(crs="EPSG:4549", bounds=Bounds(LEFT, TOP - 1000, LEFT + 1000, TOP), width=200, height=200)
    assert (opacity(contour_picture(engine.reader(edition), view, style)) > 128).mean() < 0.5


def test_all_tiles_of_a_level_have_one_interval():
    for tms in TILE_MATRIX_SETS.values():
        for z in list(tms.zooms)[6:12]:
            rows = tms.size(z)[1]
            assert len({round(contour_scale(tms.view(z, row, 0)), 3) for row in (rows // 4, rows // 3, rows // 2)}) == 1


def test_intervals_grow_with_the_scale(style):
    scales = [1000, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 5_000_000]
    found = [style.at(scale) for scale in scales]
    assert [one.basic for one in found] == sorted({one.basic for one in found})
    assert style.at(10_000).basic == 5 and style.at(10_000).supplementary == 1
    assert all((one.basic / one.supplementary).is_integer() for one in found)


@pytest.mark.parametrize("text", ["5000,1,0.5,x\n", "inf,1,0.5,x\n5000,1,0.5,x\n", ""])
def test_a_table_of_intervals_with_a_hole_is_refused(tmp_path, text):
    path = tmp_path / "contours.csv"
    path.write_text("coarsest_scale,interval,supplementary,source\n" + text)
    with pytest.raises(ValueError, match=r"contours\.csv"):
        ContourStyle.load(path)


def test_under_the_strict_rule_contours_are_drawn_of_what_is_near_alone():
    assert drawn_style("contours", is_strict=True) == "contour-lines" and drawn_style("contours", is_strict=False) == "contours"
    assert drawn_style("slope", is_strict=True) == "slope"


def test_the_three_kinds_of_lines_differ_in_the_legend():
    weights = [int(sample_of(kind, SQUARE, 20)[..., 3].sum()) for kind in ("supplementary", "basic", "index")]
    assert weights == sorted(set(weights))


def test_a_large_map_is_put_together_of_pieces_that_agree(engine, hills, style):
    left, top, step = LEFT + 300, TOP - 300, 1.25
    large = View(crs="EPSG:4549", bounds=Bounds(left, top - 400 * step, left + 2100 * step, top), width=2100, height=400)
    part = View(crs="EPSG:4549", bounds=Bounds(left + 900 * step, top - 400 * step, left + 1500 * step, top), width=600, height=400)
    whole, alone = (np.array(contour_picture(engine.reader(hills), view, style)).astype(int) for view in (large, part))
    assert (np.abs(whole[:, 900:1500] - alone).max(axis=2) > 8).mean() < 0.002 and alone[..., 3].any()
