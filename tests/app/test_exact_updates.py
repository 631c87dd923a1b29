"""A sheet is replaced: afterwards no tile shows an old pixel, and no tile elsewhere was made again."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from geoserver_app.ingesting import ingest
from layers.model import Edition
from layers.mosaic.reader import MosaicReader
from tiles.engine import Engine
from tiles.permits import Permit
from tiles.variants import MASTER, Variant

LEFT, TOP, STEP, SIDE = 380_000.0, 3_550_000.0, 30.0, 64      # EPSG:4549, metres; pixels a sheet
ACROSS, DOWN = 6, 5
LEVELS = {"WebMercatorQuad": range(6, 14), "jiangsu_gk120": range(0, 6)}
COARSE = {"WebMercatorQuad": range(9, 13), "jiangsu_gk120": range(3, 5)}
CHANGED = (2, 3)
"""Row and column of the sheet that is replaced."""


def deliver(folder: Path, row: int, col: int, product: str, *, seed: int, cols: int = SIDE, crs: str = "EPSG:4549") -> Path:
    """A sheet of grain (DOM) or of hills (DEM), different from seed to seed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"r{row}c{col}.tif"
    grain = np.random.default_rng(1000 * seed + 10 * row + col)
    y, x = np.mgrid[0:SIDE, 0:cols]
    if product == "DOM":
        pixels = np.clip(120 + 60 * np.sin(x / (5 + seed)) + grain.integers(-40, 40, (3, SIDE, cols)), 1, 254).astype(np.uint8)
    else:
        pixels = (100 + 40 * np.sin((x + col * SIDE) / (9 + 4 * seed)) + 30 * np.cos((y + row * SIDE) / 11))[None].astype(np.float32)
    with rasterio.open(
        path, "w", driver="GTiff", count=len(pixels), height=SIDE, width=cols, dtype=pixels.dtype, crs=crs,
        transform=from_origin(LEFT + col * SIDE * STEP, TOP - row * SIDE * STEP, STEP, STEP),
    ) as out:
        out.write(pixels)
    return path


class Province:
    """Thirty sheets, their tiles at every level of two sets in several styles and variants, and what becomes of them."""

    def __init__(self, house, product: str, *looks: tuple[str, Variant], levels=LEVELS):
        self.house, self.product, self.looks, self.levels = house, product, looks, levels
        self.delivered = house.folder / "delivered" / product
        self.edition = self.add(*(deliver(self.delivered, row, col, product, seed=0) for row in range(DOWN) for col in range(ACROSS)))

    def add(self, *paths: Path) -> Edition:
        self.edition = ingest(
            self.house.services.settings, product=self.product, edition="2011", name=self.product.lower(), paths=paths, workers=0)
        return self.edition

    def places(self) -> Iterator[tuple[str, int, int, int]]:
        """Set, level, row, column of every tile that may show something."""
        engine = self.house.services.engine
        for tms_id, zooms in self.levels.items():
            for z in zooms:
                limits = engine._coverage(self.edition, tms_id)[z]
                for row in range(limits[0], limits[1] + 1):
                    for col in range(limits[2], limits[3] + 1):
                        yield tms_id, z, row, col

    def draw_all(self, engine: Engine) -> dict[tuple, bytes]:
        """Every tile, drawn where the cache has none."""
        permit = _Anything()
        return {
            (style, variant.name, *place): engine.tile(self.edition, style, *place, permit, variant).data
            for style, variant in self.looks for place in self.places()
        }

    def files(self) -> dict[tuple, tuple[int, int]]:
        """Inode and time of the file of every tile that the cache has."""
        engine, found = self.house.services.engine, {}
        for style, variant in self.looks:
            for place in self.places():
                path = Path(engine.tile_path(self.edition, style, *place, variant))
                if path.exists():
                    found[style, variant.name, *place] = path.stat().st_ino, path.stat().st_mtime_ns
        return found

    def afresh(self) -> dict[tuple, bytes]:
        """Every tile as an engine draws it that has no cache."""
        settings = self.house.services.settings
        cache = self.house.folder / f"fresh-{self.edition.layer}-{self.edition.generation}"
        return self.draw_all(Engine(settings.store, cache, settings.config))


class _Anything(Permit):
    """Tests look at whole tiles."""

    def __init__(self):
        pass

    def covers(self, edition: Edition, variant: Variant = MASTER) -> bool:
        return True


@pytest.fixture
def dom(house) -> Province:
    return Province(house, "DOM", ("default", MASTER), ("default", Variant(degrade=60.0)))


@pytest.fixture
def asked(monkeypatch) -> list:
    """The views for which pixels of sheets or of the copy were read."""
    views, read = [], MosaicReader.read

    def noted(self, view, **options):
        views.append(view)
        return read(self, view, **options)

    monkeypatch.setattr(MosaicReader, "read", noted)
    return views


def distance(one: bytes, other: bytes) -> int:
    """The largest difference between two pictures, in any colour of any pixel."""
    pixels = [np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"), int) for data in (one, other)]
    return int(np.abs(pixels[0] - pixels[1]).max())


def look_at_change(province: Province, path: Path, *, rounding: int = 0) -> tuple[set[tuple], set[tuple]]:
    """The places whose tiles were drawn anew after `path` was delivered, and those whose pictures differ from before; no picture is an old one.

    `rounding` is by how much colours may be off: where the box of all sheets grows, places within a view are reckoned from another corner.
    """
    before, kept_before = province.draw_all(province.house.services.engine), province.files()
    province.add(path)
    left = {place: kept for place, kept in province.files().items() if place in kept_before}
    assert all(left[place] == kept_before[place] for place in left), "what is left is as it was"
    after, fresh = province.draw_all(province.house.services.engine), province.afresh()
    old = [place for place, data in after.items() if data != fresh[place] and not (rounding and distance(data, fresh[place]) <= rounding)]
    assert not old, f"{len(old)} tiles show old pixels, such as {old[:5]}"
    now = province.files()
    assert all(now[place] == kept_before[place] for place in left), "nor is it written again when its neighbours are drawn"
    return kept_before.keys() - left.keys(), {place for place, data in before.items() if after.get(place, data) != data}


def test_a_replaced_photograph_shows_at_every_level_and_nothing_else_is_drawn_again(dom, asked):
    dom.draw_all(dom.house.services.engine)
    asked.clear()
    gone, different = look_at_change(dom, deliver(dom.delivered, *CHANGED, "DOM", seed=1))
    assert different and different <= gone
    everything = set(dom.files())
    assert {place[3] for place in gone} == {z for zooms in LEVELS.values() for z in zooms}, "at every level"
    finest = {place for place in everything if place[2:4] == ("WebMercatorQuad", 13)}
    assert len(gone & finest) < 0.5 * len(finest), "of the finest level those under the sheet and its margin"
    asked.clear()
    dom.draw_all(dom.house.services.engine)
    assert not asked, "the source is not asked again for what is there"


def test_what_a_sheet_covered_before_it_shrank_shows_what_lies_there_now(dom):
    gone, different = look_at_change(dom, deliver(dom.delivered, *CHANGED, "DOM", seed=2, cols=SIDE // 2))
    assert different and different <= gone


def test_heights_change_as_shades_and_contours_do(house):
    province = Province(house, "DEM", ("hillshade", MASTER), ("contours", MASTER), levels=COARSE)
    gone, different = look_at_change(province, deliver(province.delivered, *CHANGED, "DEM", seed=1))
    assert different and different <= gone


def test_a_tile_that_was_being_drawn_when_the_sheet_changed_never_comes_to_the_cache(dom, monkeypatch):
    engine, edition = dom.house.services.engine, dom.edition
    place = next(one for one in dom.places() if one[:2] == ("jiangsu_gk120", 0))
    begun, go_on, read = threading.Event(), threading.Event(), MosaicReader.read

    def slow(self, view, **options):
        patch = read(self, view, **options)
        begun.set()
        assert go_on.wait(60)
        return patch

    monkeypatch.setattr(MosaicReader, "read", slow)
    drawing = threading.Thread(target=lambda: engine.tile(edition, "default", *place, _Anything()))
    drawing.start()
    assert begun.wait(60)
    monkeypatch.setattr(MosaicReader, "read", read)
    dom.add(deliver(dom.delivered, *CHANGED, "DOM", seed=3))
    go_on.set()
    drawing.join()
    assert not Path(engine.tile_path(edition, "default", *place)).exists()
    assert engine.tile(dom.edition, "default", *place, _Anything()).data == dom.afresh()["default", "", *place]


def test_a_new_sheet_beyond_the_others_shows_and_the_others_tiles_stay(dom):
    gone, _ = look_at_change(dom, deliver(dom.delivered, 1, ACROSS, "DOM", seed=4), rounding=12)
    assert gone


def test_only_the_part_of_the_copy_that_changed_is_made_again(dom, monkeypatch):
    from layers.mosaic import overviews

    made, lay_out = [], overviews.lay_out
    monkeypatch.setattr(overviews, "lay_out", lambda table, grid, unit: made.append(unit) or lay_out(table, grid, unit))
    folder = dom.house.services.settings.store / dom.edition.folder
    before = {path: path.read_bytes() for path in folder.glob("mosaic-*")}
    assert any("overview" in path.name for path in before)
    dom.add(deliver(dom.delivered, *CHANGED, "DOM", seed=5))
    assert 0 < len(set(made)) <= 2
    assert all(path.read_bytes() == data for path, data in before.items() if path.exists()), "who reads the earlier generation is not disturbed"
