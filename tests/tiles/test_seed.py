"""Seeding: what an area needs is there afterwards, once each, and a manifest proves it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from county import write_county
from synthetic_sheets import edition_of, footprint, write_sheet

from layers import crs as crs_room
from layers.features import GeoPackageStore
from layers.ingest.executors import ThisProcess
from layers.model import ProductType
from tiles.engine import Engine, _Renderer
from tiles.errors import SeedInvalid
from tiles.grids import TILE_MATRIX_SETS
from tiles.permits import PermitPiece
from tiles.seed import VECTORS, Ground, House, Manifest, SeedTask, is_blank, manifest_of, seed, status, verify
from tiles.vector.making import TileMaker
from tiles.vector.mvt import variant_of
from tiles.vector.shelf import TileShelf

LEFT, TOP, SIDE = 360_000.0, 3_550_000.0, 600


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("seeded")


@pytest.fixture(scope="module")
def dom(store):
    """Two sheets, a kilometre apart: some tiles between them show nothing."""
    rng = np.random.default_rng(4)
    sheets = [
        write_sheet(store / "dom", f"s{n}", rng.integers(1, 255, (3, SIDE, SIDE), np.uint8), left=LEFT + n * 1800, top=TOP, resolution=1.0, sheet_id=n)
        for n in range(2)
    ]
    return edition_of(store / "dom", sheets, ProductType.DOM, edition_id=31)


@pytest.fixture
def house(store, tmp_path, config_folder) -> House:
    return House(store=store, cache=tmp_path / "cache", config=config_folder)


@pytest.fixture
def drawn(monkeypatch) -> list:
    """The tiles for which something was drawn."""
    places, original = [], _Renderer.tile
    monkeypatch.setattr(_Renderer, "tile", lambda self, *place: places.append(place) or original(self, *place))
    return places


def task_of(edition, **more) -> SeedTask:
    return SeedTask(**{"edition": edition, "style": "default", "tms_id": "WebMercatorQuad", "zooms": (13, 14, 15, 16)} | more)


def test_a_seeded_area_has_every_tile_that_it_touches_and_each_meta_tile_was_drawn_once(house, dom, drawn):
    told = []
    manifest = seed(house, task_of(dom), ThisProcess(), lambda *step: told.append(step))
    assert manifest.is_complete and [level.z for level in manifest.levels] == [13, 14, 15, 16]
    assert len(drawn) == len({(place[1], place[2] // 4, place[3] // 4) for place in drawn}) == told[-1][0] == told[-1][1]
    tms = TILE_MATRIX_SETS["WebMercatorQuad"]
    shape = crs_room.transform_geometry(dom.extent, "CRS:84", tms.crs)
    row_1, row_2, col_1, col_2 = tms.limits(16, crs_room.Bounds(*shape.bounds))
    by_hand = sum(shape.intersects(shapely.box(*tms.bounds(16, row, col))) for row in range(row_1, row_2 + 1) for col in range(col_1, col_2 + 1))
    assert manifest.levels[-1].expected == by_hand


def test_a_job_that_was_stopped_goes_on_where_it_was_and_ends_alike(house, dom, drawn):
    class Stopping(ThisProcess):
        left = 2

        def submit(self, work, /, *args, **options):
            if not self.left:
                raise KeyboardInterrupt
            Stopping.left -= 1
            return super().submit(work, *args, **options)

    with pytest.raises(KeyboardInterrupt):
        seed(house, task_of(dom), Stopping())
    first = len(drawn)
    manifest = seed(house, task_of(dom), ThisProcess())
    assert 0 < first < len(drawn) and len(drawn) == len(set(drawn)) and manifest.is_complete
    before = len(drawn)
    assert seed(house, task_of(dom), ThisProcess()) == manifest and len(drawn) == before, "nothing is left to draw"


def test_only_what_the_area_touches_is_drawn(house, dom):
    western = footprint(dom.mosaics[0].bounds._replace(right=LEFT + 300), "EPSG:4549")
    part, whole = (sum(len(m) for m in Ground(task_of(dom, area=area)).meta_tiles(16)) for area in (western, None))
    assert 0 < part < whole
    with pytest.raises(SeedInvalid, match="nothing of this edition"):
        seed(house, task_of(dom, area=shapely.box(0, 0, 1, 1)), ThisProcess())
    with pytest.raises(SeedInvalid, match="no level 40"):
        task_of(dom, zooms=(40,))


def test_a_manifest_tells_what_is_missing_what_was_altered_and_that_it_is_stale(house, dom, tmp_path):
    manifest = seed(house, task_of(dom), ThisProcess())
    path = tmp_path / "manifest.json"
    path.write_text(manifest.written())
    again, engine = Manifest.read(path), Engine(house.store, house.cache, house.config)
    assert again == manifest and verify(engine, again, dom).is_good
    row, col = next(iter(Ground(task_of(dom)).meta_tiles(15)))[0]
    tile = Path(engine.tile_path(dom, "default", "WebMercatorQuad", 15, row, col))
    data = tile.read_bytes()
    tile.write_bytes(data[:-1] + b"\0")
    assert verify(engine, again, dom).altered == (15,)
    tile.unlink()
    finding = verify(engine, again, dom)
    assert (finding.missing_count, finding.missing) == (1, (f"WebMercatorQuad/15/{row}/{col}",)) and not finding.is_stale
    changed = dataclasses.replace(dom, generation=dom.generation + 1)
    assert verify(engine, again, changed).is_stale


def test_a_file_that_is_no_manifest_is_told_so(tmp_path):
    for text in ("", "{}", json.dumps({"form": 1}), "[]"):
        path = tmp_path / "m.json"
        path.write_text(text)
        with pytest.raises(SeedInvalid, match="no manifest"):
            Manifest.read(path)


def test_tiles_that_show_nothing_are_counted(house, dom):
    between = footprint(dom.mosaics[0].bounds, "EPSG:4549")
    task = task_of(dataclasses.replace(dom, extent=between), zooms=(16, 17))
    manifest = seed(house, task, ThisProcess())
    assert manifest.levels[1].blank > 0
    engine = Engine(house.store, house.cache, house.config)
    assert manifest_of(engine, task) == manifest
    kept = status(house.cache, dom.edition_id)
    assert {(one.style, one.tms, one.z) for one in kept} == {("default", "WebMercatorQuad", 16), ("default", "WebMercatorQuad", 17)}
    assert all(one.tiles and one.size for one in kept)
    assert not is_blank(engine.stored_tile(dom, "default", "WebMercatorQuad", 16, *next(iter(Ground(task_of(dom)).meta_tiles(16)))[0], _Any()).data)


class _Any:
    def covers(self, *_):
        return True


# Tiles of vectors

def shelf_of(engine: Engine) -> TileShelf:
    store = engine._registry._store
    return TileShelf(TileMaker(GeoPackageStore(store), store, engine._config, lambda _layer, _table, keys: np.asarray(keys, np.uint64)), engine._cache, engine.storing)


@pytest.fixture(scope="module")
def lines(store, config_folder):
    (store / "lines").mkdir()
    return dataclasses.replace(write_county(store / "lines", config_folder).edition, edition_id=61, folder="lines")


def test_tiles_of_vectors_are_seeded_for_what_grants_tell_and_go_on_where_they_were(house, lines, tmp_path, monkeypatch):
    house = dataclasses.replace(house, shelf=shelf_of)
    made, original = [], TileShelf.made
    monkeypatch.setattr(TileShelf, "made", lambda self, *what: made.append(what[2]) or original(self, *what))
    task = task_of(lines, style=VECTORS, zooms=(12, 14), attributes=("NAME",))
    manifest = seed(house, task, ThisProcess())
    assert manifest.is_complete and len(made) == sum(level.expected for level in manifest.levels) > 6
    again = seed(house, task, ThisProcess())
    assert again == manifest and len(made) == sum(level.expected for level in manifest.levels)
    engine = Engine(house.store, house.cache, house.config)
    shelf, shown = shelf_of(engine), variant_of(lines, PermitPiece(area=None, attributes=frozenset({"NAME"})))
    grid = made[0]
    assert shelf.stored(lines, shown, grid) == shelf.tile(lines, shown, grid) and len(made) == len({(one.z, one.row, one.col) for one in made})
    path = tmp_path / "vectors.json"
    path.write_text(manifest.written())
    read = Manifest.read(path)
    assert read == manifest and verify(engine, read, lines, shelf).is_good
    shelf.path(lines, shown, grid).unlink()
    finding = verify(engine, read, lines, shelf)
    assert (finding.missing_count, finding.missing) == (1, (f"WebMercatorQuad/{grid.z}/{grid.row}/{grid.col}",))
    assert seed(house, task_of(lines, style=VECTORS, zooms=(12,)), ThisProcess()).is_complete
    assert len(made) > sum(level.expected for level in manifest.levels), "what tells other attributes is another set of tiles"


def test_tiles_of_vectors_are_asked_of_what_has_features(dom, lines):
    with pytest.raises(SeedInvalid, match="no features"):
        task_of(dom, style=VECTORS)
    with pytest.raises(SeedInvalid, match="pictures are seeded whole"):
        task_of(lines, attributes=("NAME",))
    with pytest.raises(SeedInvalid, match="store of features"):
        manifest_of(Engine(Path("."), Path("."), Path("config")), task_of(lines, style=VECTORS))
