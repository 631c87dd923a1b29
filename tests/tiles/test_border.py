"""Near a border a line map is drawn from cut features: what lies beyond is in no pixel of it, not as a name, a width or a gap among names."""

from dataclasses import replace

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from county import CRS, EAST, NORTH, SOUTH, WEST, edition_of, make_other_beyond, write_county

from layers import crs as crs_room
from layers.model import Bounds, FeatureClass, View
from tiles import drawing_copy
from tiles.area import ServedArea
from tiles.border import REACH, Borders, meta_view
from tiles.clip import Footprint
from tiles.crossing import Crossing
from tiles.cut_line_map import CutLineMap
from tiles.dlg import BUFFER, LineMapRenderer, prepared
from tiles.drawing_copy_making import write
from tiles.engine import Engine
from tiles.grids import TILE_MATRIX_SETS
from tiles.permits import Permit, PermitPart, PermitPiece
from tiles.vector.ground import Ground

MIDDLE_X, MIDDLE_Y = (WEST + EAST) / 2, (SOUTH + NORTH) / 2
GRANT = shapely.Polygon([
    (MIDDLE_X - 2300, MIDDLE_Y - 1900), (MIDDLE_X + 1700, MIDDLE_Y - 2100), (MIDDLE_X + 2200, MIDDLE_Y + 600), (MIDDLE_X + 300, MIDDLE_Y + 1500),
    (MIDDLE_X - 1900, MIDDLE_Y + 1200),
])
"""In the county's CRS."""


@pytest.fixture(scope="module")
def area() -> ServedArea:
    return ServedArea(crs_room.transform_geometry(GRANT, CRS, "CRS:84"), "grant")


@pytest.fixture(scope="module")
def houses(tmp_path_factory, config_folder, area):
    """Engines of two houses: one with the county, one in which everything beyond the grant is other."""
    found = []
    for name in ("here", "there"):
        store, cache = tmp_path_factory.mktemp(f"{name}-store"), tmp_path_factory.mktemp(f"{name}-cache")
        (store / "county").mkdir()
        county = write_county(store / "county", config_folder)
        if name == "there":
            make_other_beyond(county.folder / county.edition.vectors, area.geometry_in(CRS))
        edition = replace(edition_of(store / "county" / "county.gpkg", config_folder), folder="county")
        write(store, edition, cache, config_folder)
        found.append((Engine(store, cache, config_folder), edition))
    return found


def permit_for(edition, area, *, is_strict: bool = False) -> tuple[Permit, PermitPart]:
    permit = Permit(edition=edition, area=area, pieces=(PermitPiece(area=area, attributes=None),), mark="test")
    part = PermitPart(area=area, footprint=Footprint() if is_strict else None)
    return permit, part


def view(x: float, y: float, resolution: float, size: int = 300, crs: str = CRS) -> View:
    half = resolution * size / 2
    bounds = Bounds(x - half, y - half, x + half, y + half)
    return View(crs=crs, bounds=bounds if crs == CRS else crs_room.transform_bounds(bounds, CRS, crs), width=size, height=size)


def test_two_houses_that_differ_beyond_the_border_draw_one_map_within(houses, area):
    """At all scales of sheets and counties, in three systems; with names. Somewhere the pictures of all differ, or the test would be none."""
    rng, differing, shown = np.random.default_rng(5), 0, 0
    for number in range(36):
        crs, resolution = (CRS, "EPSG:3857", "CRS:84")[number % 3], (1.4, 2.8, 5.0, 12.0, 30.0, 90.0)[number % 6]
        where = view(rng.uniform(WEST, EAST), rng.uniform(SOUTH, NORTH), resolution, crs=crs)
        mask, drawn, whole = area.mask(where), [], []
        for engine, edition in houses:
            permit, part = permit_for(edition, area)
            drawn.append(np.asarray(Borders(engine).map(edition, "topographic", where, part, permit)))
            whole.append(np.asarray(engine.map(edition, "topographic", where, permit)))
        if mask is False:
            continue
        assert (drawn[0][mask] == drawn[1][mask]).all(), where
        differing += (whole[0][mask] != whole[1][mask]).any()
        shown += drawn[0][mask].any()
    assert differing > 3 and shown > 20


def test_tiles_are_alike_in_both_houses_even_where_names_make_room_for_one_another(houses, area):
    tms, compared = TILE_MATRIX_SETS["WebMercatorQuad"], 0
    box = crs_room.transform_bounds(Bounds(*GRANT.bounds), CRS, tms.crs)
    borders = [Borders(engine) for engine, _ in houses]
    for z in (13, 15):
        first_row, last_row, first_col, last_col = tms.limits(z, box)
        for row in range(first_row, last_row + 1, 2):
            for col in range(first_col, last_col + 1, 2):
                mask, drawn = area.mask(tms.view(z, row, col)), []
                if mask is False:
                    continue
                for one, (_, edition) in zip(borders, houses, strict=True):
                    permit, part = permit_for(edition, area)
                    assert one.is_tile_near(edition, part, tms, z, row, col)
                    drawn.append(np.asarray(one.tile(edition, "topographic", tms, z, row, col, part, permit)))
                assert (drawn[0][mask] == drawn[1][mask]).all()
                compared += 1
    assert compared > 5


def test_a_name_from_beyond_the_border_is_not_seen_and_one_within_is(houses, area):
    """Within the grant there is no ink that the unlabelled picture lacks but near a name of something that is told."""
    engine, edition = houses[0]
    permit, part = permit_for(edition, area)
    names = [
        shapely.buffer(shape, 260.0) for table in edition.classes if {"NAME", "ELEV", "RN"} & set(table.fields)
        for shape in _cut_shapes(engine, edition, table, area)
    ]
    told = shapely.union_all(names)
    where = view(MIDDLE_X, MIDDLE_Y, 4.0, size=1200)
    lettered, bare = (np.asarray(Borders(engine).map(edition, style, where, part, permit)).astype(int) for style in ("topographic", "unlabelled"))
    ys, xs = np.nonzero(np.abs(lettered - bare).max(axis=2) > 60)
    assert len(ys) > 500
    x, y = where.bounds.left + (xs + 0.5) * 4.0, where.bounds.top - (ys + 0.5) * 4.0
    assert shapely.contains_xy(told, x, y).mean() > 0.99


def _cut_shapes(engine, edition, table, area):
    frame = pyogrio.read_dataframe(engine._registry._store / edition.folder / edition.vectors, layer=table.name)
    cut, states = Ground(area, None, CRS).cut(shapely.force_2d(frame.geometry.to_numpy()))
    written = [name for name in ("NAME", "ELEV", "RN") if name in frame]
    return cut[(states != 0) & frame[written].notna().any(axis=1).to_numpy()]


def test_far_from_the_border_pictures_come_from_what_is_drawn_for_all_but_not_of_classified_layers(houses, area):
    engine, edition = houses[0]
    borders = Borders(engine)
    permit, part = permit_for(edition, area)
    places = [view(MIDDLE_X + x, MIDDLE_Y + y, 0.5) for x in range(-1500, 1501, 100) for y in range(-1500, 301, 100)]
    far = [one for one in places if not borders.is_near(edition, part, one)]
    assert len(far) > 10, "where no shape is seen that reaches across the border"
    within = far[0]
    assert borders.is_near(edition, permit_for(edition, area, is_strict=True)[1], within)
    assert borders.map(edition, "topographic", within, part, permit).tobytes() == engine.map(edition, "topographic", within, permit).tobytes()
    edge = GRANT.bounds[2] - within.bounds.right
    shifted = replace(within, bounds=Bounds(within.bounds.left + edge, within.bounds.bottom, within.bounds.right + edge, within.bounds.top))
    assert borders.is_near(edition, part, shifted)
    assert not borders.is_near(edition, permit_for(edition, None)[1], shifted)
    everything = ServedArea(shapely.box(110, 25, 125, 40), "everything")
    assert not borders.is_near(edition, permit_for(edition, everything, is_strict=True)[1], within)


def test_a_picture_far_from_the_border_is_drawn_from_cut_features_where_it_shows_one_that_reaches_across(houses, area):
    """The two houses have one line, which goes on another way beyond: within, its dashes would fall elsewhere and fewer vertices be left of it."""
    engine, edition = houses[0]
    borders, (_, part) = Borders(engine), permit_for(edition, area)
    river = pyogrio.read_dataframe(engine._registry._store / edition.folder / edition.vectors, layer="HYDL").geometry.iloc[0]
    inner = river.intersection(GRANT.buffer(-400))
    assert not GRANT.covers(river) and not inner.is_empty
    x, y = inner.interpolate(0.5, normalized=True).coords[0]
    assert borders.is_near(edition, part, view(x, y, 0.5))
    assert borders.is_near(edition, part, view(x, y, 0.5, crs="EPSG:3857"))


def test_an_area_counts_by_its_outline_unless_names_are_written_into_it_and_noise_along_the_border_not_at_all(tmp_path):
    ground = shapely.box(0, 0, 1000, 1000)
    frame = geopandas.GeoDataFrame(geometry=[shapely.box(-5000, -5000, 5000, 600), shapely.box(-0.004, -0.004, 1000.004, 1000.004)], crs=CRS)
    frame.to_file(tmp_path / "areas.gpkg", layer="BOUA")
    table = FeatureClass(name="BOUA", kind="BOUA", title_zh="", title_en="", geometry="area", fields=(), count=2, bounds=Bounds(-5000, -5000, 5000, 1001))
    plain, written = (Crossing(tmp_path / "areas.gpkg", [(table, is_written)], ground, 0.01) for is_written in (False, True))
    assert [plain.reaches(Bounds(400, y, 410, y + 10)) for y in (300, 595, 800)] == [False, True, False]
    assert [written.reaches(Bounds(400, y, 410, y + 10)) for y in (300, 595, 800)] == [True, True, False]


def test_a_long_border_is_asked_in_pieces_and_nothing_is_missed(tmp_path):
    rng = np.random.default_rng(3)
    ground = shapely.Point(0, 0).buffer(5000, quad_segs=200).difference(shapely.Point(800, 0).buffer(900))
    starts = rng.uniform(-6000, 6000, (20_000, 2))
    lines = shapely.linestrings(np.stack([starts, starts + rng.normal(0, 60, (20_000, 2))], axis=1))
    geopandas.GeoDataFrame(geometry=lines, crs=CRS).to_file(tmp_path / "lines.gpkg", layer="LRDL")
    table = FeatureClass(name="LRDL", kind="LRDL", title_zh="", title_en="", geometry="line", fields=(), count=20_000, bounds=Bounds(*shapely.total_bounds(lines)))
    crossing = Crossing(tmp_path / "lines.gpkg", [(table, True)], ground, 0.01)
    across = shapely.intersects(ground, lines) & ~shapely.covers(shapely.buffer(ground, 0.01, quad_segs=1), lines)
    assert across.sum() > 50
    assert {one.wkb for one in crossing._tree.geometries} == {one.wkb for one in lines[across]}


@pytest.mark.parametrize("resolution", [1.4, 6.0, 20.0, 80.0])
def test_where_all_is_told_the_cut_map_is_the_map(houses, config_folder, resolution):
    """From the copy, to the last pixel; from the edition but for which of two that touch comes first."""
    engine, edition = houses[0]
    store, cache, styles = engine._registry._store, engine._cache, config_folder / "styles"
    everything = Ground(ServedArea(shapely.box(110, 25, 125, 40), "everything"), None, CRS)
    where = view(MIDDLE_X, MIDDLE_Y, resolution)
    for folder, most in ((cache, 0.0), (None, 0.002)):
        whole = LineMapRenderer(store / edition.folder, edition, styles, cache=folder).render(where)
        cut = CutLineMap(prepared(store / edition.folder, edition, styles, cache=folder)).render(where, everything)
        assert np.asarray(whole).any()
        assert (np.abs(np.asarray(whole).astype(int) - np.asarray(cut)).max(axis=2) > 4).mean() <= most


def test_shapes_near_the_border_are_made_coarser_after_they_are_cut(houses, area, config_folder):
    """Which vertices the copy leaves out hangs on the whole shape: of a line across the border it would tell how that goes on."""
    engine, edition = houses[0]
    copies = drawing_copy.find(engine._cache, edition, config_folder / "styles")
    assert len(copies["HYDL"].steps) > 2
    drawer = CutLineMap(prepared(engine._registry._store / edition.folder, edition, config_folder / "styles", cache=engine._cache))
    ground, copy = Ground(area, None, CRS), copies["HYDL"]
    everywhere = Bounds(WEST - 9e3, SOUTH - 9e3, EAST + 9e3, NORTH + 9e3)
    finest = drawer._from_copy(copy, copy.steps[0], everywhere, ground)
    coarse = drawer._from_copy(copy, copy.steps[2], everywhere, ground)
    assert shapely.get_num_coordinates(coarse.shapes).sum() < shapely.get_num_coordinates(finest.shapes).sum()
    assert shapely.covers(ground.geometry.buffer(0.02), coarse.shapes).all()
    border = ground.geometry.boundary
    ends = [shapely.Point(xy) for shape in finest.shapes for xy in (shape.coords[0], shape.coords[-1]) if shapely.get_type_id(shape) == 1]
    on_border = [point for point in ends if point.distance(border) < 0.01]
    assert on_border and all(shapely.distance(coarse.shapes, point).min() < 0.01 for point in on_border), "what crosses ends at the border itself"


def test_reach_and_meta_tiles_are_those_of_the_renderer_and_the_cache():
    assert REACH == BUFFER
    tms = TILE_MATRIX_SETS["WebMercatorQuad"]
    assert meta_view(tms, 5, 14, 26).bounds == tms.bounds(5, 12, 24).union(tms.bounds(5, 15, 27))
    assert (meta_view(tms, 1, 0, 1).width, meta_view(tms, 0, 0, 0).width) == (512, 256)
