"""What a tile costs from 4,100 sheets, beside the same ground delivered as a dozen.

    .venv/bin/python bench/mosaic.py [--quick] [--json]

Both editions hold the same ground at the same resolution: one as frames at 1:10,000, one as twelve large sheets. Views of 256 px at the
resolution of each level of Web Mercator, at places that no round asks for twice; both editions are asked for the same places, in turns.

Sheets are as real ones of 1 m are from zoom 13 down: about 300 pixels where a real one has an overview of 365. Times are those of the
processor: everything sits in the page cache, and what else runs here does not count. GDAL keeps 16 MB of decoded blocks: a province of real
size does not fit into memory, this one would.
"""

import argparse
import os
import random
import time
from statistics import median

os.environ["GDAL_CACHEMAX"] = "16"

import harness  # noqa: E402
from harness import say  # noqa: E402
from sheets import edition_of, large_frames, small_frames, write_all  # noqa: E402

from layers import crs as crs_room  # noqa: E402
from layers.model import Bounds, Edition, View  # noqa: E402
from layers.mosaic.reader import MosaicReader  # noqa: E402
from tiles.engine import Engine  # noqa: E402
from tiles.grids import TILE_MATRIX_SETS  # noqa: E402
from tiles.mapproxy_config import META_SIZE  # noqa: E402
from tiles.permits import Permit  # noqa: E402

TMS = TILE_MATRIX_SETS["WebMercatorQuad"]
ZOOMS = range(6, 18)
SHEETS = 4100
RESOLUTION = 19.0
"""Metres."""

ROUNDS, QUICK_ROUNDS = 40, 12


def views(edition: Edition, z: int, count: int, chance: random.Random) -> list[View]:
    """Tiles at random places whose middle lies well within the edition, no two alike."""
    west, south, east, north = edition.extent.bounds
    bounds = crs_room.transform_bounds(Bounds(west + 0.3, south + 0.3, east - 0.3, north - 0.3), "CRS:84", TMS.crs)
    half = TMS.resolutions[z] * 128
    places = [(chance.uniform(bounds.left, bounds.right), chance.uniform(bounds.bottom, bounds.top)) for _ in range(count)]
    return [View(crs=TMS.crs, bounds=Bounds(x - half, y - half, x + half, y + half), width=256, height=256) for x, y in places]


class Places:
    """Tiles whose meta tiles are not alike, as far as a level has so many."""

    def __init__(self, edition: Edition, z: int, count: int, chance: random.Random):
        west, south, east, north = edition.extent.bounds
        bounds = crs_room.transform_bounds(Bounds(west, south, east, north), "CRS:84", TMS.crs)
        top, bottom, left, right = TMS.limits(z, bounds)
        metas = [(row, col) for row in range(top // META_SIZE, bottom // META_SIZE + 1) for col in range(left // META_SIZE, right // META_SIZE + 1)]
        chance.shuffle(metas)
        self.tiles = [
            (min(max(row * META_SIZE, top), bottom), min(max(col * META_SIZE, left), right)) for row, col in (metas[n % len(metas)] for n in range(count))
        ]


def measure(chosen: argparse.Namespace) -> dict[str, float]:
    say(harness.machine())
    rounds = QUICK_ROUNDS if chosen.quick else ROUNDS
    with harness.Yard() as yard:
        store, editions = yard.folder / "store", {}
        for number, (name, frames) in enumerate((("few", large_frames(SHEETS)), ("many", small_frames(SHEETS))), 1):
            began = time.perf_counter()
            written = write_all(store / name, frames, RESOLUTION)
            there = time.perf_counter()
            editions[name] = edition_of(store / name, written, number)
            say(f"{len(frames)} sheets written in {there - began:.1f} s, table and copy in {time.perf_counter() - there:.1f} s")
        readers = {name: MosaicReader(store / name, edition) for name, edition in editions.items()}
        engine = Engine(store, yard.folder / "cache", harness.ROOT / "config")

        def tile(name: str, z: int, place: tuple[int, int]) -> None:
            engine.forget(editions[name].edition_id)
            engine.tile(editions[name], "default", TMS.id, z, *place, Permit(edition=editions[name], area=None, pieces=(), mark="bench"))

        chance = random.Random(SHEETS)
        say("a tile as it is served, uncached: one of the 16 that are drawn, encoded and stored together")
        served = _compared(lambda z, count: Places(editions["many"], z, count, chance).tiles, tile, editions, rounds, META_SIZE**2)
        say("a view of 256 px by itself, unencoded, at places that no meta tile was drawn for: the dearest way to look at a sheet")
        alone = _compared(lambda z, count: views(editions["many"], z, count, chance), lambda name, _z, view: readers[name].read(view), editions, 2 * rounds, 1)
        say(f"{len(list(harness.Path('/proc/self/fd').iterdir()))} files open at the end")
    each = {f"cost_4100_vs_12_inverse_z{z}": served[z] for z in ZOOMS}
    return each | {"cost_4100_vs_12_inverse": min(served.values()), "view_4100_vs_12_inverse": min(alone.values())}


def _compared(places, draw, editions: dict[str, Edition], rounds: int, share: int) -> dict[int, float]:
    """Per zoom, median time from few sheets over median time from many; `share` tiles are drawn at once."""
    rows, ratios = [], {}
    for z in ZOOMS:
        taken: dict[str, list[float]] = {name: [] for name in editions}
        for number, place in enumerate(places(z, rounds + 2)):
            for name in (sorted(editions) if number % 2 else sorted(editions, reverse=True)):
                began = time.process_time()
                draw(name, z, place)
                if number >= 2:
                    taken[name].append((time.process_time() - began) / share)
        few, many = (1000 * median(taken[name]) for name in ("few", "many"))
        ratios[z] = few / many
        rows.append([f"z{z}", few, many, ratios[z]])
    harness.table(["", "12 sheets, ms", f"{SHEETS:,} sheets, ms", "ratio"], rows)
    return ratios


if __name__ == "__main__":
    harness.main(measure, __doc__)
