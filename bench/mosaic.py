"""What a tile costs from 4,100 sheets, beside the same ground delivered as a dozen.

    .venv/bin/python bench/mosaic.py [--quick] [--json]

Both editions hold the same ground at the same resolution: one as frames at 1:10,000, one as twelve large sheets. Views of 256 px at the
resolution of each level of Web Mercator, at places that no round asks for twice; both editions are asked for the same places, in turns.
"""

import argparse
import random
import time
from statistics import median

import harness
from harness import say
from sheets import edition_of, large_frames, small_frames, write_all

from layers import crs as crs_room
from layers.model import Bounds, Edition, View
from layers.mosaic import MosaicReader
from tiles.engine import Engine
from tiles.grids import TILE_MATRIX_SETS
from tiles.permits import Permit

TMS = TILE_MATRIX_SETS["WebMercatorQuad"]
ZOOMS = range(6, 18)
SHEETS = 4100
RESOLUTION, QUICK_RESOLUTION = 23.0, 46.0
"""Metres: 256 and 128 px a sheet."""

ROUNDS, QUICK_ROUNDS = 60, 24


def views(edition: Edition, z: int, count: int, chance: random.Random) -> list[View]:
    """Tiles at random places whose middle lies well within the edition, no two alike."""
    west, south, east, north = edition.extent.bounds
    bounds = crs_room.transform_bounds(Bounds(west + 0.3, south + 0.3, east - 0.3, north - 0.3), "CRS:84", TMS.crs)
    half = TMS.resolutions[z] * 128
    places = [(chance.uniform(bounds.left, bounds.right), chance.uniform(bounds.bottom, bounds.top)) for _ in range(count)]
    return [View(crs=TMS.crs, bounds=Bounds(x - half, y - half, x + half, y + half), width=256, height=256) for x, y in places]


def measure(chosen: argparse.Namespace) -> dict[str, float]:
    say(harness.machine())
    resolution, rounds = (QUICK_RESOLUTION, QUICK_ROUNDS) if chosen.quick else (RESOLUTION, ROUNDS)
    with harness.Yard() as yard:
        store, editions = yard.folder / "store", {}
        for number, (name, frames) in enumerate((("few", large_frames(SHEETS)), ("many", small_frames(SHEETS))), 1):
            began = time.perf_counter()
            written = write_all(store / name, frames, resolution)
            there = time.perf_counter()
            editions[name] = edition_of(store / name, written, number)
            say(f"{len(frames)} sheets written in {there - began:.1f} s, index and overview in {time.perf_counter() - there:.1f} s")
        readers = {name: MosaicReader(store / name, edition) for name, edition in editions.items()}
        engine = Engine(store, yard.folder / "cache", harness.ROOT / "config")
        ways = {
            "reader": lambda name, view: readers[name].read(view),
            "engine": lambda name, view: engine.map(
                editions[name], "default", view, Permit(edition=editions[name], area=None, pieces=(), mark="bench")),
        }
        ratios = {way: _compared(draw, editions, rounds) for way, draw in ways.items()}
        opened = len(list(harness.Path("/proc/self/fd").iterdir()))
    say(f"{opened} files open at the end")
    inverse = {f"cost_4100_vs_12_inverse_z{z}": ratios["engine"][z] for z in ZOOMS}
    return inverse | {"cost_4100_vs_12_inverse": min(min(of.values()) for of in ratios.values())}


def _compared(draw, editions: dict[str, Edition], rounds: int) -> dict[int, float]:
    """Per zoom, median time from few sheets over median time from many."""
    chance, rows, ratios = random.Random(4100), [], {}
    for z in ZOOMS:
        taken: dict[str, list[float]] = {name: [] for name in editions}
        for number, view in enumerate(views(editions["many"], z, rounds + 3, chance)):
            for name in (sorted(editions) if number % 2 else sorted(editions, reverse=True)):
                began = time.perf_counter()
                draw(name, view)
                if number >= 3:
                    taken[name].append(time.perf_counter() - began)
        few, many = (1000 * median(taken[name]) for name in ("few", "many"))
        ratios[z] = few / many
        rows.append([f"z{z}", few, many, ratios[z]])
    harness.table(["", "12 sheets, ms", f"{SHEETS:,} sheets, ms", "ratio"], rows)
    return ratios


if __name__ == "__main__":
    harness.main(measure, __doc__)
