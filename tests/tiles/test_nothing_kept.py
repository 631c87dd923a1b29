"""What is live, or drawn elsewhere, is never kept: not one tile on the disk, and no map pasted of any."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from synthetic_sheets import edition_of, write_oracle

from layers.model import ProductType, Source, View
from tiles.engine import Engine
from tiles.errors import SeedInvalid
from tiles.grids import TILE_MATRIX_SETS
from tiles.permits import Permit
from tiles.seed import House, SeedTask, seed
from tiles.sources import EditionRegistry

TMS = TILE_MATRIX_SETS["WebMercatorQuad"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def stored(store):
    sheets = write_oracle(store / "oracle", left=360_000.0, top=3_550_000.0, resolution=1.0, across=1, down=1, side=300)
    return edition_of(store / "oracle", sheets, ProductType.DOM, nearest=True, lossless=True, edition_id=71)


def files_in(folder) -> list:
    return sorted(path for path in folder.rglob("*.*") if path.is_file() and path.suffix in (".png", ".jpeg", ".mixed"))


def a_tile(edition) -> tuple[int, int, int]:
    z = 16
    row, _, col, _ = TMS.limits(z, edition_box(edition))
    return z, row, col


def edition_box(edition):
    from layers.crs import transform_bounds
    from layers.model import Bounds
    return transform_bounds(Bounds(*edition.extent.bounds), "CRS:84", TMS.crs)


@pytest.mark.parametrize("source", [Source.LIVE, Source.REMOTE])
def test_tiles_of_what_may_not_be_kept_are_drawn_and_left_nowhere(store, stored, tmp_path, config_folder, source, monkeypatch):
    """What another service would draw is drawn here, to have something to compare: how it is asked is `test_remote_overlays`' matter."""
    real = EditionRegistry.drawing

    def drawing(self, edition_id, generation, style, *others):
        self._editions[edition_id, generation] = replace(self._editions[edition_id, generation], source=Source.STORED)
        return real(self, edition_id, generation, style, *others)

    monkeypatch.setattr(EditionRegistry, "drawing", drawing)
    engine, edition = Engine(store, tmp_path / "cache", config_folder), replace(stored, source=source)
    permit, place = Permit(edition=edition, area=None, pieces=(), mark="test"), a_tile(edition)
    first = engine.tile(edition, "default", TMS.id, *place, permit)
    assert first.data == engine.tile(stored, "default", TMS.id, *place, permit).data       # the same picture
    assert len(files_in(tmp_path / "cache")) > 0                                           # ... of which the stored one is kept
    other = Engine(store, tmp_path / "other", config_folder)
    other.tile(edition, "default", TMS.id, *place, permit)
    assert files_in(tmp_path / "other") == []
    assert other.stored_tile(edition, "default", TMS.id, *place, permit) is None


def test_a_map_of_what_may_not_be_kept_is_never_pasted_from_tiles(store, stored, tmp_path, config_folder):
    """Tiles lie in the cache of the very same edition and number: they are not looked at."""
    engine, edition = Engine(store, tmp_path / "cache", config_folder), replace(stored, source=Source.LIVE)
    z, row, col = a_tile(edition)
    permit = Permit(edition=edition, area=None, pieces=(), mark="test")
    path = engine.tile_path(edition, "default", TMS.id, z, row, col)
    engine.tile(stored, "default", TMS.id, z, row, col, permit)
    whole = engine.map(stored, "default", view := View(crs=TMS.crs, bounds=TMS.bounds(z, row, col), width=256, height=256), permit)
    with open(path, "wb") as file:
        file.write(b"\x89PNG not a picture")
    assert engine.map(edition, "default", view, permit).convert("RGBA").tobytes() == whole.convert("RGBA").tobytes()


def test_nothing_is_seeded_of_what_may_not_be_kept(store, stored, tmp_path, config_folder):
    house = House(store=store, cache=tmp_path, config=config_folder)
    task = SeedTask(edition=replace(stored, source=Source.LIVE), style="default", tms_id=TMS.id, zooms=(16,), area=None)
    with ThreadPoolExecutor(1) as pool, pytest.raises(SeedInvalid, match="ever kept"):
        seed(house, task, pool)
