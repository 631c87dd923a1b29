"""The way into MapProxy: the same pixels for everybody, drawn once, stored where we say, gone when they are out of date."""

import dataclasses
import io
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import shapely
from county import write_county
from mapproxy.cache.tile import Tile
from mapproxy.config.spec import validate_options
from PIL import Image
from synthetic_sheets import NODATA, decode_place, edition_of, footprint, write_oracle, write_sheet

from layers import crs as crs_room
from layers.model import STYLES, Bounds, ProductType, View
from tiles.elevation import PAINTED
from tiles.engine import Engine
from tiles.errors import PermitMissing, RenderFailed, RequestInvalid
from tiles.grids import TILE_MATRIX_SETS
from tiles.mapproxy_config import configuration
from tiles.permits import Permit, PermitPiece
from tiles.variants import Variant

LEFT, TOP, SIDE = 360_000.0, 3_550_000.0, 700
SETS = list(TILE_MATRIX_SETS.values())


def permit_for(edition) -> Permit:
    return Permit(edition=edition, area=None, pieces=(), mark="test")


def photograph(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    """(3, row, col) of smooth colours."""
    y, x = np.mgrid[0:rows, 0:cols]
    return np.stack([120 + 60 * np.sin(x / 40 + seed), 120 + 60 * np.cos(y / 50), 90 + (x + y) % 64]).astype(np.uint8)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def dom(store):
    """Two photographs side by side, lossy."""
    sheets = [
        write_sheet(
            store / "dom", f"photo-{n}", photograph(SIDE, SIDE, n), left=LEFT + n * SIDE, top=TOP, resolution=1.0, jpeg=True, sheet_id=n)
        for n in range(2)
    ]
    return edition_of(store / "dom", sheets, ProductType.DOM, edition_id=11)


@pytest.fixture(scope="module")
def oracle(store):
    sheets = write_oracle(store / "oracle", left=LEFT, top=TOP, resolution=1.0, across=2, down=2, side=SIDE)
    return edition_of(store / "oracle", sheets, ProductType.DOM, nearest=True, lossless=True, edition_id=12)


@pytest.fixture(scope="module")
def dem(store):
    rows, cols = np.mgrid[0:300, 0:300]
    heights = (50 + 30 * np.sin(cols / 20) + 20 * np.cos(rows / 15)).astype(np.float32)
    heights[:40, :40] = NODATA
    sheet = write_sheet(store / "dem", "dem", heights[None], left=LEFT, top=TOP, resolution=5.0)
    return edition_of(store / "dem", [sheet], ProductType.DEM, edition_id=13)


@pytest.fixture
def engine(store, tmp_path, config_folder) -> Engine:
    return Engine(store, tmp_path / "cache", config_folder)


def middle_tile(edition, tms, z: int) -> tuple[int, int]:
    """row, col of the tile under the middle of the edition."""
    x, y = crs_room.transformer("CRS:84", tms.crs).transform(edition.extent.centroid.x, edition.extent.centroid.y)
    row, _, col, _ = tms.limits(z, Bounds(x, y, x, y))
    return row, col


def level_near(tms, metres: float) -> int:
    per_unit = 111_000 if tms.crs == "EPSG:4490" else 1.0
    return min(tms.zooms, key=lambda z: abs(tms.resolutions[z] * per_unit - metres))


def decode(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


# The configuration

def test_mapproxy_finds_no_fault_with_the_configuration(dom, dem, tmp_path):
    for edition in (dom, dem):
        conf = configuration(edition, STYLES[edition.product][0], cache=tmp_path, locks=tmp_path)
        assert validate_options(conf) == ([], True)
        assert conf["services"] == {}


def test_every_tile_has_the_same_level_row_column_and_bounds_in_mapproxy(engine, dom):
    renderer = engine._renderer(dom, "default")
    for tms in SETS:
        grid = renderer._managers[tms.id].grid
        assert grid.levels == len(tms.resolutions)
        for z in tms.zooms:
            assert tuple(grid.grid_sizes[z]) == tms.size(z)
            row, col = middle_tile(dom, tms, z)
            assert grid.tile_bbox((col, row, z)) == pytest.approx(tuple(tms.bounds(z, row, col)), abs=tms.resolutions[z] * 1e-3)


def test_mapproxy_stores_a_tile_where_the_engine_says(engine, dom, oracle):
    for edition in (dom, oracle):
        renderer = engine._renderer(edition, "default")
        for tms in SETS:
            path = engine.tile_path(edition, "default", tms.id, 9, 7, 5)
            assert renderer._managers[tms.id].cache.tile_location(Tile((5, 7, 9))) == path


# Tiles

@pytest.mark.parametrize("tms", SETS, ids=lambda tms: tms.id)
def test_a_tile_is_drawn_stored_and_then_read_from_the_file(engine, dom, tms):
    z = level_near(tms, 2.0)
    row, col = middle_tile(dom, tms, z)
    tile = engine.tile(dom, "default", tms.id, z, row, col, permit_for(dom))
    path = engine.tile_path(dom, "default", tms.id, z, row, col)
    assert Path(path).read_bytes() == tile.data
    assert engine.stored_tile(dom, "default", tms.id, z, row, col, permit_for(dom)) == tile
    assert decode(tile.data).size == (256, 256)


def test_a_photograph_is_jpeg_where_it_fills_the_tile_and_png_at_its_edge(engine, dom):
    tms, z = TILE_MATRIX_SETS["jiangsu_gk120"], 9
    row, _, first, last = tms.limits(z, Bounds(LEFT, TOP - SIDE, LEFT + 2 * SIDE, TOP))
    kinds = {}
    for tile_row in range(row, row + 3):
        for col in range(first, last + 1):
            tile = engine.tile(dom, "default", tms.id, z, tile_row, col, permit_for(dom))
            bounds = tms.bounds(z, tile_row, col)
            is_full = LEFT <= bounds.left and bounds.right <= LEFT + 2 * SIDE and TOP - SIDE <= bounds.bottom and bounds.top <= TOP
            kinds.setdefault(is_full, set()).add((tile.media_type, decode(tile.data).format, decode(tile.data).mode))
    assert kinds == {True: {("image/jpeg", "JPEG", "RGB")}, False: {("image/png", "PNG", "RGBA")}}


@pytest.mark.parametrize("tms", SETS, ids=lambda tms: tms.id)
def test_tiles_of_an_exact_raster_decode_to_the_place_they_show(engine, oracle, tms):
    z = level_near(tms, 1.0)
    row, col = middle_tile(oracle, tms, z)
    tile = engine.tile(oracle, "default", tms.id, z, row, col, permit_for(oracle))
    assert tile.media_type == "image/png"
    pixels = np.moveaxis(np.array(decode(tile.data).convert("RGBA")), 2, 0)
    view = tms.view(z, row, col)
    step = view.resolution[0]
    x, y = np.meshgrid(view.bounds.left + (np.arange(256) + 0.5) * step, view.bounds.top - (np.arange(256) + 0.5) * step)
    x, y = crs_room.transformer(tms.crs, "EPSG:4549").transform(x, y)
    inside = (x > LEFT) & (x < LEFT + 2 * SIDE) & (y < TOP) & (y > TOP - 2 * SIDE)
    rows, cols = decode_place(pixels[:3])
    assert (pixels[3] > 0).tolist() == inside.tolist()
    assert np.abs(cols + 0.5 - (x - LEFT))[inside].max() <= 0.51
    assert np.abs(rows + 0.5 - (TOP - y))[inside].max() <= 0.51


@pytest.mark.parametrize("style", PAINTED)
def test_every_style_of_heights_is_drawn_without_seams(engine, dem, style):
    tms = TILE_MATRIX_SETS["WebMercatorQuad"]
    z = level_near(tms, 5.0)
    row, col = middle_tile(dem, tms, z)
    tile = decode(engine.tile(dem, style, tms.id, z, row, col, permit_for(dem)).data).convert("RGBA")
    alone = engine._renderer(dem, style).map(tms.view(z, row, col)).convert("RGBA")
    assert np.abs(np.array(tile).astype(int) - np.array(alone).astype(int)).max() <= 1
    assert engine.reader(dem).read(tms.view(z, row, col)).valid.tolist() == (np.array(tile)[..., 3] > 0).tolist()
    assert np.array(tile)[..., :3].std() > 1


def test_a_tile_far_from_the_layer_is_empty_and_leaves_no_trace(engine, dom):
    tile = engine.tile(dom, "default", "WebMercatorQuad", 12, 5, 5, permit_for(dom))
    assert decode(tile.data).getextrema() == ((0, 0),) * 4
    assert not os.path.exists(engine.tile_path(dom, "default", "WebMercatorQuad", 12, 5, 5))
    assert engine.is_beyond(dom, "WebMercatorQuad", 12, 5, 5)
    for tms in SETS:
        assert not engine.is_beyond(dom, tms.id, 11, *middle_tile(dom, tms, 11))


def test_nothing_is_drawn_without_a_permit_for_that_edition(engine, dom, dem):
    tms = TILE_MATRIX_SETS["WebMercatorQuad"]
    view = tms.view(14, *middle_tile(dom, tms, 14))
    for permit in (None, permit_for(dem)):
        with pytest.raises(PermitMissing):
            engine.map(dom, "default", view, permit)
        with pytest.raises(PermitMissing):
            engine.tile(dom, "default", tms.id, 14, *middle_tile(dom, tms, 14), permit)
        with pytest.raises(PermitMissing):
            engine.stored_tile(dom, "default", tms.id, 14, *middle_tile(dom, tms, 14), permit)


def test_a_style_is_one_of_the_product_and_the_first_by_default(engine, dom, dem):
    assert engine.style(dem, None) == "hillshade"
    assert engine.style(dem, "slope") == "slope"
    assert engine.style(dom, "") == "default"
    with pytest.raises(RequestInvalid, match="no style `slope`"):
        engine.style(dom, "slope")


# Herds

def counted(engine: Engine, edition, style: str, seconds: float = 0.0) -> list[View]:
    """The views that MapProxy asks the source for from now on."""
    renderer = engine._renderer(edition, style)
    asked: list[View] = []
    draw = renderer._source._draw

    def slow(view: View, symbol_scale: float) -> Image.Image:
        asked.append(view)
        time.sleep(seconds)
        return draw(view, symbol_scale)

    for manager in renderer._managers.values():
        manager.sources[0]._draw = slow
    renderer._source._draw = slow
    return asked


def in_threads(work, count: int) -> list:
    results: list = []

    def run() -> None:
        try:
            results.append(work())
        except RenderFailed as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_herd_on_one_cold_tile_draws_it_once(engine, dom):
    asked = counted(engine, dom, "default", seconds=0.3)
    tms = TILE_MATRIX_SETS["tdt_c"]
    row, col = middle_tile(dom, tms, 16)
    tiles = in_threads(lambda: engine.tile(dom, "default", tms.id, 16, row, col, permit_for(dom)), 16)
    assert len(asked) == 1
    assert len(tiles) == 16
    assert len({tile.data for tile in tiles}) == 1


def test_who_waits_too_long_for_a_turn_is_asked_to_come_back(store, tmp_path, config_folder, dom):
    engine = Engine(store, tmp_path / "cache", config_folder, most_at_once=1, patience=0.1)
    counted(engine, dom, "default", seconds=0.8)
    tms = TILE_MATRIX_SETS["WebMercatorQuad"]
    levels = iter((15, 16, 17))
    answers = in_threads(lambda: engine.tile(dom, "default", tms.id, (z := next(levels)), *middle_tile(dom, tms, z), permit_for(dom)), 3)
    refused = [answer for answer in answers if isinstance(answer, RenderFailed)]
    assert len(refused) == 2
    assert "ask again" in str(refused[0])


def test_a_source_that_cannot_be_read_fails_and_nothing_is_stored(store, tmp_path, config_folder):
    folder = store / "broken"
    sheet = write_sheet(folder, "only", photograph(300, 300), left=LEFT, top=TOP, resolution=1.0)
    edition = edition_of(folder, [sheet], ProductType.DOM, edition_id=21)
    (folder / edition.mosaics[0].index).unlink()
    engine = Engine(store, tmp_path / "cache", config_folder)
    tms = TILE_MATRIX_SETS["WebMercatorQuad"]
    row, col = middle_tile(edition, tms, 16)
    with pytest.raises(RenderFailed, match="can't be read") as failure:
        engine.tile(edition, "default", tms.id, 16, row, col, permit_for(edition))
    assert str(folder) not in str(failure.value)
    with pytest.raises(RenderFailed):
        engine.map(edition, "default", tms.view(16, row, col), permit_for(edition))
    assert engine.stored_tile(edition, "default", tms.id, 16, row, col, permit_for(edition)) is None


# Maps

def test_a_map_on_the_pixels_of_stored_tiles_is_pasted_from_them(engine, oracle):
    tms, z = TILE_MATRIX_SETS["jiangsu_gk120"], 9
    row, col = middle_tile(oracle, tms, z)
    left, _, _, top = tms.bounds(z, row, col)
    view = View(crs=tms.crs, bounds=Bounds(left - 100, top - 250, left + 200, top + 50), width=300, height=300)
    drawn = engine.map(oracle, "default", view, permit_for(oracle))
    for tile_row in (row - 1, row):
        for tile_col in (col - 1, col):
            engine.tile(oracle, "default", tms.id, z, tile_row, tile_col, permit_for(oracle))
    asked = counted(engine, oracle, "default")
    assert (np.array(engine.map(oracle, "default", view, permit_for(oracle))) == np.array(drawn)).all()
    assert asked == []
    shifted = dataclasses.replace(view, bounds=Bounds(left - 100.4, top - 250, left + 199.6, top + 50))
    engine.map(oracle, "default", shifted, permit_for(oracle))
    assert len(asked) == 1


@pytest.mark.parametrize("crs", crs_room.SERVED)
def test_a_map_is_drawn_in_every_served_crs(engine, oracle, crs):
    box = crs_room.transform_bounds(Bounds(LEFT + 200, TOP - 1200, LEFT + 1200, TOP - 200), "EPSG:4549", crs)
    view = View(crs=crs, bounds=box, width=500, height=500)
    picture = engine.map(oracle, "default", view, permit_for(oracle))
    rows, cols = decode_place(np.moveaxis(np.array(picture), 2, 0)[:3, 250:251, 250:251])
    step_x, step_y = view.resolution
    x, y = crs_room.transformer(crs, "EPSG:4549").transform(box.left + 250.5 * step_x, box.top - 250.5 * step_y)
    assert picture.mode == "RGB"
    assert (rows[0, 0], cols[0, 0]) == (int(TOP - y + 1e-6), int(x - LEFT + 1e-6))


# Changes

def stored_files(engine: Engine, edition) -> set[Path]:
    return {path for path in (engine._cache / str(edition.edition_id)).rglob("*.*") if path.suffix in (".png", ".mixed")}


def test_a_changed_sheet_expires_its_tiles_at_every_level_and_leaves_the_others(engine, dom):
    tms = TILE_MATRIX_SETS["jiangsu_gk120"]
    for z in range(3, 11):
        limits = tms.limits(z, Bounds(LEFT, TOP - SIDE, LEFT + 2 * SIDE, TOP))
        for row in range(limits[0], limits[1] + 1):
            for col in range(limits[2], limits[3] + 1):
                engine.tile(dom, "default", tms.id, z, row, col, permit_for(dom))
    before = stored_files(engine, dom)
    changed = Bounds(LEFT + 1.5 * SIDE, TOP - SIDE, LEFT + 2 * SIDE, TOP)
    count = engine.expire(dom, footprint(changed, "EPSG:4549"))
    after = stored_files(engine, dom)
    assert count == len(before) - len(after) > 0
    for path in before:
        z, col, row = int(path.parts[-3]), int(path.parts[-2]), int(path.stem)
        bounds, margin = tms.bounds(z, row, col), 4 * tms.resolutions[z]
        touches = bounds.intersects(changed)
        near = shapely.dwithin(shapely.box(*bounds), shapely.box(*changed), margin + 1)
        assert path in after if not near else path not in after or not touches


def test_a_changed_sheet_expires_the_tiles_of_a_coarser_grid_as_far_as_its_cells_reach(engine, dem):
    """Of cells of 100 m, tiles of 1 m pixels hold a few: the change shows farther off than pixels would let it."""
    tms, z, cells = TILE_MATRIX_SETS["jiangsu_gk120"], 9, Variant(degrade=100.0)
    limits = tms.limits(z, Bounds(LEFT, TOP - 1500, LEFT + 1500, TOP))
    everywhere = [(row, col) for row in range(limits[0], limits[1] + 1) for col in range(limits[2], limits[3] + 1)]
    permit = Permit(edition=dem, area=None, pieces=(PermitPiece(area=None, attributes=None, degrade=100.0),), mark="test")
    for row, col in everywhere:
        engine.tile(dem, "hillshade", tms.id, z, row, col, permit, cells)
        engine.tile(dem, "hillshade", tms.id, z, row, col, permit_for(dem))
    changed = Bounds(LEFT + 100, TOP - 120, LEFT + 110, TOP - 110)
    engine.expire(dem, footprint(changed, "EPSG:4549"))
    for row, col in everywhere:
        off = shapely.distance(shapely.box(*tms.bounds(z, row, col)), shapely.box(*changed))
        kept = engine.stored_tile(dem, "hillshade", tms.id, z, row, col, permit, cells) is not None
        assert kept is bool(off > 1400) or abs(off - 1400) < 20
        if off > 10:
            assert engine.stored_tile(dem, "hillshade", tms.id, z, row, col, permit_for(dem)) is not None
    engine.forget(dem.edition_id)
    assert stored_files(engine, dem) == set()


def test_a_variant_is_drawn_for_who_may_see_it_alone_and_never_where_its_kind_has_none(engine, dem, lines):
    tms, cells = TILE_MATRIX_SETS["jiangsu_gk120"], Variant(degrade=100.0)
    view = tms.view(9, *middle_tile(dem, tms, 9))
    with pytest.raises(PermitMissing):
        engine.map(dem, "hillshade", view, permit_for(dem), variant=cells)
    only_cells = Permit(edition=dem, area=None, pieces=(PermitPiece(area=None, attributes=None, degrade=100.0),), mark="test")
    with pytest.raises(PermitMissing):
        engine.stored_tile(dem, "hillshade", tms.id, 9, 0, 0, only_cells)
    assert engine.map(dem, "hillshade", view, only_cells, variant=cells).size == (256, 256)
    for edition, terms in ((dem, {"rows": "A = 1"}), (lines, {"degrade": 100.0})):
        permit = Permit(edition=edition, area=None, pieces=(PermitPiece(area=None, attributes=None, **terms),), mark="test")
        with pytest.raises(ValueError, match="no such variant"):
            engine.map(edition, STYLES[edition.product][0], tms.view(9, *middle_tile(edition, tms, 9)), permit, variant=Variant(**terms))


def test_a_tile_drawn_before_a_change_is_not_stored_after_it(store, tmp_path, config_folder, dom):
    engine = Engine(store, tmp_path / "cache", config_folder)
    other_process = Engine(store, tmp_path / "cache", config_folder)
    counted(engine, dom, "default", seconds=0.5)
    tms = TILE_MATRIX_SETS["WebMercatorQuad"]
    row, col = middle_tile(dom, tms, 16)
    changed = dataclasses.replace(dom, generation=dom.generation + 1)
    thread = threading.Timer(0.2, lambda: other_process.expire(changed, dom.extent))
    thread.start()
    tile = engine.tile(dom, "default", tms.id, 16, row, col, permit_for(dom))
    thread.join()
    assert decode(tile.data).size == (256, 256)
    assert stored_files(engine, dom) == set()
    engine.tile(changed, "default", tms.id, 16, row, col, permit_for(changed))
    assert stored_files(engine, dom)


def test_a_replaced_sheet_shows_without_a_restart(tmp_path, config_folder):
    folder = tmp_path / "store" / "dom"
    old = write_sheet(folder, "old", np.full((3, 600, 600), 60, np.uint8), left=LEFT, top=TOP, resolution=1.0, sheet_id=1)
    edition = edition_of(folder, [old], ProductType.DOM, lossless=True, edition_id=31)
    engine = Engine(tmp_path / "store", tmp_path / "cache", config_folder)
    tms = TILE_MATRIX_SETS["WebMercatorQuad"]
    row, col = middle_tile(edition, tms, 17)
    before = decode(engine.tile(edition, "default", tms.id, 17, row, col, permit_for(edition)).data)
    new = write_sheet(folder, "new", np.full((3, 600, 600), 200, np.uint8), left=LEFT, top=TOP, resolution=1.0, sheet_id=2)
    edition = edition_of(folder, [new], ProductType.DOM, lossless=True, edition_id=31, generation=2)
    engine.expire(edition, shapely.union_all([old.footprint, new.footprint]))
    after = decode(engine.tile(edition, "default", tms.id, 17, row, col, permit_for(edition)).data)
    assert before.getpixel((128, 128))[0] == 60
    assert after.getpixel((128, 128))[0] == 200


def test_a_forgotten_edition_leaves_no_tiles(engine, dom):
    tms = TILE_MATRIX_SETS["WebMercatorQuad"]
    engine.tile(dom, "default", tms.id, 16, *middle_tile(dom, tms, 16), permit_for(dom))
    engine.forget(dom.edition_id)
    assert stored_files(engine, dom) == set()


# Line maps

@pytest.fixture(scope="module")
def lines(store, config_folder):
    """The county of the line map's own tests, in this store."""
    (store / "dlg").mkdir()
    return dataclasses.replace(write_county(store / "dlg", config_folder).edition, edition_id=41, folder="dlg")


def test_a_line_map_goes_through_the_same_door(engine, lines):
    tms, style = TILE_MATRIX_SETS["WebMercatorQuad"], STYLES[ProductType.DLG][0]
    z = level_near(tms, 5.0)
    row, col = middle_tile(lines, tms, z)
    tile = engine.tile(lines, style, tms.id, z, row, col, permit_for(lines))
    assert tile.media_type == "image/png"
    picture = np.array(decode(tile.data).convert("RGBA"))
    assert (picture[..., 3] > 0).any()
    whole = engine.map(lines, style, tms.view(z, row, col), permit_for(lines))
    assert whole.size == (256, 256)
    assert whole.mode == "RGBA" or not (picture[..., 3] == 0).any()


def test_a_change_of_a_line_map_expires_all_tiles_that_were_drawn_together(engine, lines):
    tms, style, z = TILE_MATRIX_SETS["WebMercatorQuad"], STYLES[ProductType.DLG][0], 16
    row, col = middle_tile(lines, tms, z)
    engine.tile(lines, style, tms.id, z, row, col, permit_for(lines))
    drawn_together = stored_files(engine, lines)
    assert len(drawn_together) == 16
    left, bottom, right, top = crs_room.transform_bounds(tms.bounds(z, row, col), tms.crs, "CRS:84")
    assert engine.expire(lines, shapely.Point((left + right) / 2, (bottom + top) / 2).buffer(1e-6)) == 16
    assert stored_files(engine, lines) == set()
