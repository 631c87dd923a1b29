"""Numbers of an edition, cut as its pictures are."""

import numpy as np
import pytest
import shapely
from synthetic_sheets import edition_of, write_sheet

from layers.crs import densify, transform_bounds, transform_geometry
from layers.model import Bounds, ProductType, View
from layers.mosaic.cells import influence
from tiles.area import ServedArea
from tiles.compose import composed, shown
from tiles.coverage import cut_values
from tiles.engine import Engine
from tiles.errors import PermitMissing, RenderFailed
from tiles.permits import Permit, PermitPiece, PictureMark, parts_of
from tiles.sources import picture_of
from tiles.variants import Variant

LEFT, TOP, STEP, SIDE = 384_000.0, 3_552_000.0, 5.0, 240
SHEET = Bounds(LEFT, TOP - SIDE * STEP, LEFT + SIDE * STEP, TOP)
MIDDLE = LEFT + SIDE * STEP / 2
EXTREME = 8000.0
CRS = ("EPSG:4549", "EPSG:4490", "EPSG:4326", "CRS:84", "EPSG:3857")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def engine(store, config_folder, tmp_path_factory):
    return Engine(store, tmp_path_factory.mktemp("cache"), config_folder)


@pytest.fixture(scope="module")
def heights():
    """Rising to the east and to the south, with a fraction that no byte holds."""
    rows, cols = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    return 100 + cols * np.float32(0.25) + rows * np.float32(0.125)


@pytest.fixture(scope="module")
def dem(store, heights):
    return edition_of(store / "dem", [write_sheet(store / "dem", "one", heights[None], left=LEFT, top=TOP, resolution=STEP)], ProductType.DEM)


@pytest.fixture(scope="module")
def walled(store, heights):
    """As `dem` in its west half; absurdly high in its east."""
    pixels = heights.copy()
    pixels[:, SIDE // 2:] = EXTREME
    sheet = write_sheet(store / "walled", "one", pixels[None], left=LEFT, top=TOP, resolution=STEP)
    return edition_of(store / "walled", [sheet], ProductType.DEM, edition_id=2)


@pytest.fixture(scope="module")
def colours():
    rows, cols = np.mgrid[0:SIDE, 0:SIDE]
    return np.stack([rows, cols, (rows + cols) // 2]).astype(np.uint8)


@pytest.fixture(scope="module")
def dom(store, colours):
    sheet = write_sheet(store / "dom", "one", colours, left=LEFT, top=TOP, resolution=STEP)
    return edition_of(store / "dom", [sheet], ProductType.DOM, edition_id=3, lossless=True)


def ground(left: float, right: float) -> ServedArea:
    """All of the sheet's height between two eastings of EPSG:4549."""
    box = shapely.box(left, SHEET.bottom - 500, right, SHEET.top + 500)
    return ServedArea(transform_geometry(densify(box, "EPSG:4549"), "EPSG:4549", "CRS:84"), f"{left}-{right}")


WEST = ground(LEFT - 500, MIDDLE)


def unite(areas):
    return ServedArea(shapely.union_all([one.geometry for one in areas]), "+".join(sorted(one.digest for one in areas)))


def permit(edition, *pieces: PermitPiece, is_strict: bool = False) -> Permit:
    area = unite([piece.area for piece in pieces])
    parts = parts_of(edition, area, pieces, is_strict=is_strict, unite=unite)
    return Permit(edition=edition, area=area, pieces=pieces, mark="m", parts=parts)


def piece(area: ServedArea = WEST, **terms) -> PermitPiece:
    return PermitPiece(area=area, attributes=None, **terms)


def everything(edition) -> Permit:
    return Permit(edition=edition, area=None, pieces=(), mark="m")


def on_the_grid(first_row=10, first_col=20, rows=100, cols=150) -> View:
    left, top = LEFT + first_col * STEP, TOP - first_row * STEP
    return View(crs="EPSG:4549", bounds=Bounds(left, top - rows * STEP, left + cols * STEP, top), width=cols, height=rows)


def around_sheet(crs: str, width: int = 180) -> View:
    bounds = SHEET if crs == "EPSG:4549" else transform_bounds(SHEET, "EPSG:4549", crs)
    return View(crs=crs, bounds=bounds, width=width, height=width)


def test_pixels_of_the_sheets_come_as_they_are(engine, dem, dom, heights, colours):
    view = on_the_grid()
    cut = cut_values(engine, everything(dem), view)
    assert cut.values.dtype == np.float32 and (cut.values[0] == heights[10:110, 20:170]).all() and cut.valid.all()
    assert (cut_values(engine, everything(dom), view).values == colours[:, 10:110, 20:170]).all()
    assert (cut.bounds, cut.crs) == (view.bounds, view.crs)


@pytest.mark.parametrize("crs", CRS)
@pytest.mark.parametrize("is_strict", [False, True])
def test_numbers_are_there_where_pictures_are_and_nowhere_else(engine, dem, crs, is_strict):
    granted, view = permit(dem, piece(), is_strict=is_strict), around_sheet(crs)
    cut = cut_values(engine, granted, view)
    whole = engine.values(dem, view, granted)
    visible = granted.parts[0].visible(view)
    assert (cut.valid == (whole.valid & visible)).all() and cut.valid.any() and not cut.valid.all()
    assert (cut.values[0][~cut.valid] == 0).all()
    assert (cut.values[0][cut.valid] == whole.values[0][cut.valid]).all()


@pytest.mark.parametrize("crs", CRS)
@pytest.mark.parametrize("resampling", ["bilinear", "nearest"])
@pytest.mark.parametrize("width", [37, 180, 500])
def test_pixels_outside_have_no_influence_within_where_the_strict_rule_holds(engine, dem, walled, crs, resampling, width):
    view = around_sheet(crs, width)
    plain, beside_a_wall = (cut_values(engine, permit(one, piece(), is_strict=True), view, resampling=resampling) for one in (dem, walled))
    assert plain.valid.any()
    assert (plain.valid == beside_a_wall.valid).all()
    assert (plain.values == beside_a_wall.values).all()


def test_cells_of_a_degraded_part_hold_nothing_from_outside_either(engine, dem, walled):
    for view in (around_sheet("EPSG:3857"), around_sheet("EPSG:4549", 400)):
        plain, beside_a_wall = (cut_values(engine, permit(one, piece(degrade=20.0), is_strict=True), view) for one in (dem, walled))
        assert plain.valid.any() and (plain.values == beside_a_wall.values).all()


def test_without_the_strict_rule_the_centre_of_a_pixel_decides(engine, walled):
    cut = cut_values(engine, permit(walled, piece()), on_the_grid(0, 0, SIDE, SIDE))
    assert cut.valid[:, :SIDE // 2].all() and not cut.valid[:, SIDE // 2:].any()
    assert cut.values.max() < EXTREME


@pytest.mark.parametrize("resampling", ["bilinear", "nearest"])
def test_a_degraded_part_tells_means_of_its_cells_and_nothing_finer(engine, dem, heights, resampling):
    cells = View(crs="EPSG:4549", bounds=Bounds(LEFT, TOP - 800, LEFT + 600, TOP), width=30, height=40)
    cut = cut_values(engine, permit(dem, piece(ground(LEFT - 500, SHEET.right + 500), degrade=20.0)), cells, resampling=resampling)
    even = (slice(6, None), slice(6, None))                                   # an even slope stays what it is, but for the edge of the data
    assert np.allclose(cut.values[0][even], heights[:160, :120].reshape(40, 4, 30, 4).mean(axis=(1, 3))[even], atol=0.002)
    assert influence(dem, 20.0)[0] == 20.0


def test_the_finer_part_lies_over_the_coarser(engine, dem, heights):
    granted = permit(dem, piece(ground(LEFT - 500, SHEET.right + 500), degrade=20.0), piece())
    cut = cut_values(engine, granted, on_the_grid(0, 0, SIDE, SIDE))
    assert cut.valid.all()
    assert (cut.values[0][:, :SIDE // 2] == heights[:, :SIDE // 2]).all()
    east = cut.values[0][:, SIDE // 2:]
    assert (east != heights[:, SIDE // 2:]).any() and np.abs(east - heights[:, SIDE // 2:])[8:-8, 8:-8].max() < 0.5


def test_marks_are_written_on_pictures_as_on_maps_and_never_on_heights(engine, dem, dom, colours):
    mark, view = PictureMark(text="水利厅", opacity=0.6, place="tiled"), on_the_grid(0, 0, SIDE, SIDE)
    plain, bearing = (cut_values(engine, permit(dom, piece(mark=one)), view) for one in (None, mark))
    changed = (plain.values != bearing.values).any(axis=0)
    assert changed.any() and not changed[~plain.valid].any() and (bearing.valid == plain.valid).all()
    granted = permit(dom, piece(mark=mark))
    on_a_map = composed(shown(granted.parts, view), view, lambda _: picture_of(engine.values(dom, view, granted), view))
    assert (np.asarray(on_a_map)[..., :3] == np.moveaxis(bearing.values, 0, 2)).all()
    heights = [cut_values(engine, permit(dem, piece(mark=one)), view).values for one in (None, mark)]
    assert (heights[0] == heights[1]).all()


def test_picked_values_are_values_of_the_sheets(engine, dem, heights):
    view = View(crs="EPSG:4549", bounds=Bounds(LEFT + 1.3, TOP - 601.3, LEFT + 601.3, TOP - 1.3), width=173, height=173)
    picked, mixed = (cut_values(engine, everything(dem), view, resampling=how).values for how in ("nearest", "bilinear"))
    assert np.isin(picked, heights).all() and not np.isin(mixed, heights).all()


@pytest.mark.parametrize("bounds", [
    Bounds(-3e9, -3e9, 3e9, 3e9), Bounds(384_000, 3_500_000, 9e9, 3_552_000), Bounds(9e9, 9e9, 9.1e9, 9.1e9), Bounds(384_000, -4e7, 384_600, 3_552_000),
])
def test_a_view_beyond_what_its_reference_system_means_holds_what_lies_within(engine, dem, bounds):
    view = View(crs="EPSG:4549", bounds=bounds, width=4001, height=4003)
    cut = cut_values(engine, everything(dem), view)
    assert cut is None or (cut.valid.shape == (4003, 4001) and cut.values.shape == (1, 4003, 4001))


def test_a_pixel_far_larger_than_all_there_is_costs_no_more_than_all_there_is(engine, dem, heights):
    """Padded to whole squares of so many source pixels, this one would take 40 GB."""
    left, bottom, _, top = transform_bounds(SHEET, "EPSG:4549", "EPSG:4490")
    cut = cut_values(engine, everything(dem), View(crs="EPSG:4490", bounds=Bounds(left - 2.5, bottom - 2.5, left + 2.51, top + 2.5), width=1, height=1))
    assert cut is None or heights.min() <= cut.values[0, 0, 0] <= heights.max()


def test_nothing_to_be_had_is_none(engine, dem):
    beyond = View(crs="EPSG:4549", bounds=Bounds(LEFT + 50_000, TOP, LEFT + 51_000, TOP + 1000), width=10, height=10)
    assert cut_values(engine, everything(dem), beyond) is None
    assert cut_values(engine, permit(dem, piece(ground(LEFT - 500, LEFT - 100))), on_the_grid()) is None


def test_a_variant_that_the_permit_does_not_hold_is_a_fault_of_ours(engine, dem):
    with pytest.raises(PermitMissing):
        engine.values(dem, on_the_grid(), permit(dem, piece()), Variant(degrade=20.0))


def test_data_that_are_gone_are_told_of_without_their_path(store, config_folder, tmp_path, heights):
    edition = edition_of(store / "gone", [write_sheet(store / "gone", "one", heights[None], left=LEFT, top=TOP, resolution=STEP)], ProductType.DEM)
    (store / "gone" / edition.mosaics[0].index).unlink()
    with pytest.raises(RenderFailed) as told:
        cut_values(Engine(store, tmp_path, config_folder), everything(edition), on_the_grid())
    assert "gone" not in str(told.value) and "gpkg" not in str(told.value)
