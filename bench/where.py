"""Where the time goes: one tile hit, one cut tile and one map, in process and in one thread, by stage, under Python's profiler.

    .venv/bin/python bench/where.py [--quick]

The profiler makes small Python calls look up to twice as dear as they are beside C; the first line of each table is measured without it.
"""

import cProfile
import os
import pstats
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

import numpy as np
import shapely

os.environ["GDAL_CACHEMAX"] = "16"                  # megabytes: a block of a sheet is decoded for every map that shows some of it

from harness import Yard, machine, main, say, table
from instance import CRS, Ground, Instance
from office import _environ as environ_of
from shapes import county

TILE_STAGES = {
    "parse the address": [("tiles/requests/ogc.py", "parse_tile_path"), ("geoserver_app/lane.py", "_parsed")],
    "key to agency": [("geoserver_app/identity.py", "presented_key"), ("geoserver_app/gate.py", "identify")],
    "compiled decision": [("geoserver_app/lane.py", "_rule")],
    "inside, edge or outside": [("tiles/area.py", "classify"), ("tiles/engine.py", "is_beyond")],
    "read the file": [("tiles/engine.py", "stored_tile")],
    "decode": [("tiles/encode.py", "decode")],
    "mask": [("tiles/compose.py", "shown"), ("tiles/compose.py", "cut_to")],
    "encode": [("tiles/encode.py", "encode")],
    "digest for the ETag": [("geoserver_app/lane.py", "of")],
    "record": [("geoserver_app/decision_log.py", "write"), ("geoserver_app/decision_log.py", "write_members")],
}
MAP_STAGES = {
    "parse": [("tiles/requests/ogc.py", "parse_wms")],
    "key to agency": [("geoserver_app/identity.py", "presented_key"), ("geoserver_app/gate.py", "identify")],
    "decision and record": [("geoserver_app/gate.py", "decide"), ("geoserver_app/gate.py", "permit"), ("geoserver_app/decision_log.py", "write")],
    "read and decode sheets": [("layers/mosaic/handles.py", "read_pixels"), ("layers/mosaic/handles.py", "_opened")],
    "where each pixel comes from": [("layers/mosaic/warp.py", "__init__"), ("layers/mosaic/warp.py", "places")],
    "remap": [("layers/mosaic/warp.py", "mix"), ("layers/mosaic/warp.py", "resample")],
    "clip": [("tiles/compose.py", "shown"), ("tiles/compose.py", "cut_to")],
    "find the level and the window": [("layers/mosaic/reader.py", "_level_for")],
    "encode": [("tiles/encode.py", "encode")],
}


def by_stage(work: Callable[[Sequence[dict]], None], fresh: Sequence[dict], profiled: Sequence[dict], stages: dict) -> list[list]:
    """Rows of (stage, microseconds a request, share): the wall time without the profiler first."""
    began = time.perf_counter()
    work(fresh)
    wall = 1e6 * (time.perf_counter() - began) / len(fresh)
    profiler = cProfile.Profile()
    profiler.enable()
    work(profiled)
    profiler.disable()
    stats = pstats.Stats(profiler)
    rows, known = [["all, without the profiler", wall, None]], 0.0
    total = stats.total_tt
    for stage, functions in stages.items():
        spent = max((_cumulative(stats, *function) for function in functions), default=0.0) if len(functions) == 1 else sum(
            _cumulative(stats, *function) for function in _outermost(stats, functions)
        )
        known += spent
        if spent:
            rows.append([f"  {stage}", 1e6 * spent / len(profiled), f"{100 * spent / total:.0f} %"])
    rows.append(["  the rest", 1e6 * (total - known) / len(profiled), f"{100 * (total - known) / total:.0f} %"])
    return rows


def _outermost(stats: pstats.Stats, functions: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the functions that no other of them calls: their times add up."""
    def calls(caller: tuple[str, str], called: tuple[str, str]) -> bool:
        return any(_is(key, *called) and any(_is(by, *caller) for by in value[4]) for key, value in stats.stats.items())

    return [one for one in functions if not any(calls(other, one) for other in functions if other != one)]


def _is(key: tuple[str, int, str], file: str, function: str) -> bool:
    return key[0].endswith(file) and key[2] == function


def _cumulative(stats: pstats.Stats, file: str, function: str) -> float:
    return sum(value[3] for key, value in stats.stats.items() if _is(key, file, function))


def measure(chosen: Namespace) -> dict[str, float]:
    say(machine())
    with Yard() as yard:
        for title, rows in tables(yard, 3 if chosen.quick else 4):
            say(f"\n{title}")
            table(["stage", "microseconds", "share"], rows)
    return {}


def tables(yard: Yard, side: int) -> list[tuple[str, list[list]]]:
    from geoserver_app import create_app
    from layers.crs import transform_geometry, transformer
    from layers.model import Bounds
    from tiles.grids import TILE_MATRIX_SETS

    ground, instance = Ground(yard.folder / "delivered", side), Instance(yard)
    instance.add_layer("dom", "DOM", ground.write_dom())
    border = transform_geometry(county(ground.centre, 0.27 * side * 2500, 5_000), CRS, "CRS:84")
    key = instance.add_agency("limited", border)
    app = create_app(instance.settings)
    grid, to_mercator = TILE_MATRIX_SETS["WebMercatorQuad"], transformer(CRS, "EPSG:3857")
    x, y = to_mercator.transform(*ground.centre)
    reach = 0.4 * side * 2500 * 1.18
    first_row, last_row, first_col, last_col = grid.limits(17, Bounds(x - reach, y - reach, x + reach, y + reach))
    area = next(iter(app.extensions["geoshare"].gate.visible(app.extensions["geoshare"].gate.identify(_presented(key))))).permit.area
    tiles = [(17, row, col) for row in range(first_row, last_row + 1) for col in range(first_col, last_col + 1)]
    inside, edge = ([tile for tile in tiles if area.classify(grid, *tile) == place] for place in ("inside", "edge"))

    def ask(environs: Sequence[dict]) -> None:
        statuses: list[str] = []
        for environ in environs:
            b"".join(app.wsgi_app(environ, lambda status, headers, error=None: statuses.append(status)))
        if set(statuses) != {"200 OK"}:
            raise RuntimeError(f"answered {set(statuses)}")

    def of_tiles(chosen: Sequence[tuple[int, int, int]], extension: str = "jpg") -> list[dict]:
        return [environ_of(f"/tiles/dom/{grid.id}/{z}/{col}/{row}.{extension}", key) for z, row, col in chosen]

    cells = iter(np.random.default_rng(3).permutation((side * 4 - 1) ** 2))
    everything = instance.add_agency("everything", transform_geometry(shapely.segmentize(shapely.box(*ground.bounds).buffer(500), 1000), CRS, "CRS:84"))
    app.extensions["geoshare"].gate._standing = None

    def of_maps(count: int) -> list[dict]:
        """Each somewhere else: no block of a sheet is decoded for two of them, but at their seams."""
        environs, half = [], 512 * 1.2 * 1.18 / 2
        for cell in (next(cells) for _ in range(count)):
            row, col = divmod(int(cell), side * 4 - 1)
            at_x, at_y = to_mercator.transform(ground.bounds[0] + 625 * (col + 1), ground.bounds[1] + 625 * (row + 1))
            query = {
                "SERVICE": "WMS", "VERSION": "1.3.0", "REQUEST": "GetMap", "LAYERS": "dom", "STYLES": "", "CRS": "EPSG:3857", "WIDTH": 512, "HEIGHT": 512,
                "BBOX": ",".join(f"{value:.3f}" for value in (at_x - half, at_y - half, at_x + half, at_y + half)), "FORMAT": "image/jpeg",
            }
            environs.append(environ_of("/ows", everything) | {"QUERY_STRING": urlencode(query)})
        return environs

    ask(of_tiles(tiles[: len(tiles)]))                                                   # draw and keep all of them
    ask(of_maps(10))
    half = len(edge) // 2
    return [
        ("inside tile, cached", by_stage(ask, of_tiles(inside * 20), of_tiles(inside * 20), TILE_STAGES)),
        ("edge tile, cut for the first time, PNG", by_stage(ask, of_tiles(edge[:half], "png"), of_tiles(edge[half:], "png"), TILE_STAGES)),
        ("map of 512 x 512, EPSG:4549 to EPSG:3857, JPEG", by_stage(ask, of_maps(50), of_maps(50), MAP_STAGES)),
    ]


def _presented(key: str):
    from geoserver_app.identity import Carriage, Presented

    return Presented(secret=key, carriage=Carriage.HEADER)


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0])
