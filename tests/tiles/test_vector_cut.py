"""Tiles under a permit: what is outside or hidden changes no byte, cut and kept tiles agree, and the border is where it is to a centimetre."""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from county import edition_of
from read_tiles import EXTENT, read_tile

from layers.crs import transform_bounds, transform_geometry
from layers.features import GeoPackageStore
from layers.model import Bounds
from tiles.area import ServedArea
from tiles.grids import TILE_MATRIX_SETS
from tiles.permits import Permit, PermitPiece, parts_of
from tiles.vector.grid import BUFFER, TileGrid
from tiles.vector.making import TileMaker
from tiles.vector.mvt import Plan, variant_of
from tiles.vector.shelf import TileShelf

CONFIG = Path(__file__).resolve().parents[2] / "config"
CRS = "EPSG:4549"
LEFT, BOTTOM, SIDE = 384_000.0, 3_548_000.0, 4000.0
WHOLE = Bounds(LEFT, BOTTOM, LEFT + SIDE, BOTTOM + SIDE)
BORDER = [(2100.0, -200.0), (1900.0, 1500.0), (2300.0, 2600.0), (2000.0, 4200.0)]       # metres from the corner, from south to north
WEST = shapely.Polygon([(LEFT + x, BOTTOM + y) for x, y in [(-200, -200), *BORDER, (-200, 4200)]])


def area_of(shape: shapely.Geometry, digest: str) -> ServedArea:
    return ServedArea(transform_geometry(shapely.segmentize(shape, 50), CRS, "CRS:84"), digest)


AREA = area_of(WEST, "west")


@dataclass
class World:
    plan_of: object
    shelf: TileShelf
    edition: object


def write_world(folder: Path, change: str = "") -> World:
    """Roads, fields and places; `change` says what is another than in the first: `outside` the border, `hidden` attributes, or `rows` not told."""
    rng, other_rng = np.random.default_rng(4), np.random.default_rng(44)
    tables = {}
    for name, count in (("LRDL", 60), ("VEGA", 40), ("AGNP", 40)):
        middle = rng.uniform(100, SIDE - 100, (count, 2)) + [LEFT, BOTTOM]
        if name == "LRDL":
            steps = np.cumsum(np.abs(rng.normal(0, 120, (count, 12, 2))) * [1, 0.4], axis=1)       # none crosses itself
            shapes = shapely.linestrings(np.clip(middle[:, None] + steps, [LEFT, BOTTOM], [LEFT + SIDE, BOTTOM + SIDE]))
        else:
            shapes = shapely.points(middle) if name == "AGNP" else shapely.buffer(shapely.points(middle), rng.uniform(20, 300, count))
        codes, secrets = rng.choice([420101, 420201, 420301, 810500], count), rng.integers(0, 9, count)
        frame = {"GB": codes, "NAME": [f"名{i % 7}" for i in range(count)], "SECRET": secrets}
        if name == "VEGA":
            shapes = shapely.intersection(shapes, shapely.box(*WHOLE))
        if change == "outside":
            shapes, frame = _moved_outside(shapes, frame, name)
        if change == "hidden":
            frame["SECRET"], frame["LENGTH"] = other_rng.integers(10, 99, count), other_rng.random(count)
        if change == "rows":
            others = frame["GB"] != 420201
            shapes = np.where(others, shapely.transform(shapes, lambda p: p * [1, -1] + [0, 2 * BOTTOM + SIDE]), shapes)
            frame["NAME"] = [f"别{i}" if other else one for i, (one, other) in enumerate(zip(frame["NAME"], others, strict=True))]
        if "LENGTH" not in frame:
            frame["LENGTH"] = np.zeros(len(frame["GB"]))
        tables[name] = geopandas.GeoDataFrame(frame, geometry=shapes, crs=CRS)
    folder.mkdir(parents=True)
    path = folder / "lines.gpkg"
    for name, frame in tables.items():
        pyogrio.write_dataframe(frame, path, layer=name, append=path.exists(), promote_to_multi=name != "AGNP")
    edition = edition_of(path, CONFIG)
    store = GeoPackageStore(folder)
    maker = TileMaker(store, folder, CONFIG, lambda layer, table, keys: keys.astype(np.uint64) + np.uint64(2**40))
    shelf = TileShelf(maker, folder / "cache", lambda _: nullcontext(True))
    return World(partial(_plan, edition), shelf, edition)


def _plan(edition, *pieces, area=AREA) -> Plan:
    parts = parts_of(edition, area, pieces, unite=lambda areas: areas[0])
    return Plan.of(Permit(edition=edition, area=area, pieces=pieces, mark="", parts=parts))


def _moved_outside(shapes, frame, name):
    """What is within stays; beyond the border everything is another, and there is more of it."""
    rng, ground, near = np.random.default_rng(77), AREA.geometry_in(CRS), AREA.geometry_in(CRS).buffer(5)
    changed = np.array(shapes, dtype=object)
    for at, shape in enumerate(shapes):
        if not shapely.intersects(ground, shape):
            changed[at] = _elsewhere(rng, name)
        elif not shapely.covers(ground, shape):
            changed[at] = shapely.intersection(shape, near)
    more = [_elsewhere(rng, name) for _ in range(30)]
    return np.array([*changed, *more], dtype=object), {key: [*values, *list(values)[:30]] for key, values in frame.items()}


def _elsewhere(rng, name):
    """Something in the far east of the world."""
    x, y = LEFT + SIDE - 400 + rng.uniform(0, 300), BOTTOM + rng.uniform(100, SIDE - 200)
    return {"AGNP": shapely.Point(x, y), "LRDL": shapely.LineString([(x, y), (x + 90, y + 50)]), "VEGA": shapely.box(x, y, x + 80, y + 60)}[name]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds")
    return {name: write_world(folder / (name or "first"), name) for name in ("", "outside", "hidden", "rows")}


ALL = PermitPiece(area=AREA, attributes=None)
NAMES = PermitPiece(area=AREA, attributes=frozenset({"NAME", "LRDL.GB"}))
ROWS = PermitPiece(area=AREA, attributes=None, rows="GB = 420201")
EVERYWHERE = PermitPiece(area=None, attributes=None)


def places(count: int, seed: int):
    """Tiles of all sets and levels, most of them near the border."""
    rng = np.random.default_rng(seed)
    sets = list(TILE_MATRIX_SETS.values())
    for _ in range(count):
        tms = sets[rng.integers(len(sets))]
        z = int(rng.integers(2, 11)) if tms.id == "jiangsu_gk120" else int(rng.integers(8, 18))
        y = rng.uniform(0, SIDE)
        x = rng.uniform(0, SIDE) if rng.random() < 0.3 else np.interp(y, *zip(*[(b, a) for a, b in BORDER], strict=True)) + rng.normal(0, 60)
        point = Bounds(LEFT + x, BOTTOM + y, LEFT + x, BOTTOM + y)
        row, _, col, _ = tms.limits(z, transform_bounds(point, CRS, tms.crs))
        yield TileGrid(tms, z, row, col)


def grid_at(z: int, x: float, y: float) -> TileGrid:
    """The tile that holds a place, metres from the corner."""
    tms, point = TILE_MATRIX_SETS["WebMercatorQuad"], Bounds(LEFT + x, BOTTOM + y, LEFT + x, BOTTOM + y)
    row, _, col, _ = tms.limits(z, transform_bounds(point, CRS, tms.crs))
    return TileGrid(tms, z, row, col)


@pytest.mark.parametrize("change, piece", [("outside", ALL), ("outside", NAMES), ("hidden", NAMES), ("rows", ROWS)])
def test_what_is_outside_or_hidden_changes_no_byte(worlds, change, piece):
    mine, theirs = (worlds[name].plan_of(piece) for name in ("", change))
    seen = 0
    for grid in places(250, 8):
        one, other = mine.tile(worlds[""].shelf, grid), theirs.tile(worlds[change].shelf, grid)
        assert one == other, (grid.tms.id, grid.z, grid.row, grid.col)
        seen += bool(one)
    assert seen > 60


def test_a_tile_inside_is_the_one_that_would_be_cut(worlds):
    """What is kept for all and what is made for one permit hold the same, and a tile whose buffer is crossed counts as cut."""
    plan, shelf = worlds[""].plan_of(NAMES), worlds[""].shelf
    inside = edge = 0
    for grid in places(500, 3):
        place = plan.place(grid)
        if place.inside is not None:
            inside += 1
            assert place.inside == variant_of(worlds[""].edition, NAMES)
            assert read_all(shelf.made(worlds[""].edition, place.inside, grid)) == read_all(plan.cut(shelf, grid))
        elif place.key is not None:
            edge += 1
    assert inside > 20 and edge > 60


def read_all(tile: bytes) -> dict:
    """Features by layer and id: attributes, and points, those of lines and areas that cross the border far away aside from their order."""
    return {
        name: sorted(
            (one.id, tuple(sorted(one.properties.items())), tuple(sorted(map(tuple, np.concatenate(one.paths).tolist())))) for one in features
        )
        for name, features in read_tile(tile).items()
    }


@pytest.mark.parametrize("tms_id, z, centimetres", [("WebMercatorQuad", 20, 1.0), ("tdt_c", 18, 4.0), ("jiangsu_gk120", 11, 2.0)])
def test_the_border_is_where_it_is_to_the_grid(worlds, tms_id, z, centimetres):
    """Vertices that the cut made lie on the border of the area in the tile's own system; at the finest levels within a centimetre."""
    tms, plan, shelf = TILE_MATRIX_SETS[tms_id], worlds[""].plan_of(ALL), worlds[""].shelf
    border = shapely.boundary(AREA.geometry_in(tms.crs))
    roads = geopandas.read_file(shelf.maker._root / "lines.gpkg", layer="LRDL").geometry.values
    crossings = shapely.get_coordinates(shapely.intersection(roads, shapely.boundary(AREA.geometry_in(CRS))))[:6]
    assert len(crossings)
    for x, y in crossings:
        row, _, col, _ = tms.limits(z, transform_bounds(Bounds(x, y, x, y), CRS, tms.crs))
        grid = TileGrid(tms, z, row, col)
        points = np.concatenate([np.concatenate(one.paths) for one in read_tile(plan.cut(shelf, grid)).get("LRDL", [])])
        ends = points[((points > -BUFFER) & (points < EXTENT + BUFFER)).all(axis=1)]
        ground = shapely.points(grid.bounds.left + ends[:, 0] * grid.unit, grid.bounds.top - ends[:, 1] * grid.unit)
        away = shapely.distance(border, ground).min() * (111_000 if tms.crs == "EPSG:4490" else 1) * 100
        assert away <= centimetres
        outside = shapely.distance(AREA.geometry_in(tms.crs), ground).max() / grid.unit
        assert outside <= 0.75                               # half a unit along each axis


def test_pieces_that_tell_the_same_are_one_also_at_their_seam(worlds):
    half = shapely.box(LEFT, BOTTOM - 100, LEFT + 1000, BOTTOM + 4100)
    west, east = area_of(shapely.intersection(WEST, half), "w"), area_of(shapely.difference(WEST, half), "e")
    plan = worlds[""].plan_of(PermitPiece(area=west, attributes=None), PermitPiece(area=east, attributes=None))
    grid = grid_at(17, 1000, 2000)
    assert plan.place(grid).inside == variant_of(worlds[""].edition, ALL)


def test_a_piece_that_tells_more_hides_one_that_tells_less(worlds):
    plan = worlds[""].plan_of(ALL, NAMES, ROWS)
    found = {plan.place(grid).inside for grid in places(300, 5)}
    assert found <= {None, variant_of(worlds[""].edition, ALL)} and variant_of(worlds[""].edition, ALL) in found
    mixed = worlds[""].plan_of(NAMES, ROWS)                  # neither tells all that the other does
    assert {mixed.place(grid).inside for grid in places(300, 5)} == {None}


def test_without_a_permit_that_reaches_there_is_nothing(worlds):
    far = area_of(shapely.box(LEFT + 50_000, BOTTOM, LEFT + 51_000, BOTTOM + 900), "far")
    plan = worlds[""].plan_of(PermitPiece(area=far, attributes=None), area=far)
    assert {plan.tile(worlds[""].shelf, grid) for grid in places(20, 1)} == {b""}
    assert worlds[""].plan_of(area=AREA).tile(worlds[""].shelf, next(places(1, 1))) == b""


def test_what_is_kept_is_taken_from_the_cache(worlds):
    world = worlds[""]
    plan, grid = world.plan_of(EVERYWHERE, area=None), grid_at(13, 900, 900)
    shown = plan.place(grid).inside
    first = world.shelf.tile(world.edition, shown, grid)
    assert world.shelf.stored(world.edition, shown, grid) == first
    (path,) = [one for one in world.shelf._cache.rglob("*.mvt") if one.parent.parent.name == "13" and one.stem == str(grid.row)]
    assert path.read_bytes() == first and "GB" not in str(path)
