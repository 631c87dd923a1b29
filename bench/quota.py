"""What counting costs, and how well ground is measured: a charge in process and by eight processes at once, a cached tile through the lane with a
quota beside the same without, and the error of distinct ground over many sizes beside a HyperLogLog of the same cells.

    .venv/bin/python bench/quota.py [--quick] [--json]
"""

import fcntl
import gc
import os
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import shapely
from harness import CannotMeasure, machine, main, say, table
from office import AGENCY, Office, _environ

from agreements.quota import Limit, Measure, Quota, Rate, Window
from geoserver_app.metering.book import Account, Bill, Seen
from geoserver_app.metering.exports import square_metres
from geoserver_app.metering.files import FileLedgers
from geoserver_app.metering.footprints import GroundArea, footprint_of_view
from geoserver_app.metering.ground import CELL_KM2, Footprint, GroundSet, to_records
from geoserver_app.metering.meter import Meter
from geoserver_app.metering.terms import terms_of
from layers.crs import transform_bounds, transform_geometry
from layers.model import Bounds
from tiles.grids import TILE_MATRIX_SETS

CHARGE_BAR = 5.0                     # microseconds
ERROR_BAR = 0.01
PROCESSES, CHARGES = 8, 10_000

REQUESTS = Limit(measure=Measure.REQUESTS, window=Window.DAY, most=1e12)
GROUND = Limit(measure=Measure.GROUND, window=Window.MONTH, most=1e9)
QUOTAS = {
    "one limit": Quota(limits=(REQUESTS,)),
    "rate and four limits": Quota(rate=Rate(per_second=1e6, burst=10**9), limits=(
        REQUESTS, *(Limit(measure=measure, window=Window.MONTH, most=1e15) for measure in (Measure.MEGAPIXELS, Measure.BYTES, Measure.FEATURES)),
    )),
    "one limit and ground": Quota(limits=(REQUESTS, GROUND)),
}


def measure(chosen: Namespace) -> dict[str, float]:
    say(machine())
    return {**charges(3 if chosen.quick else 9), **crowd(), **lane(2 if chosen.quick else 6), **ground(chosen.quick), **exports()}


# -- a charge

def charges(rounds: int) -> dict[str, float]:
    """Microseconds of one charge, the median of rounds; what remains is worked out for the caller, or not."""
    say("\none charge, in one process (us of processor)")
    rows, ratios = [], {}
    with tempfile.TemporaryDirectory() as folder:
        meter, lock = Meter(FileLedgers(Path(folder))), os.open(Path(folder) / "lock", os.O_CREAT | os.O_RDWR)
        floor = median(_each(lambda: (fcntl.flock(lock, fcntl.LOCK_EX), fcntl.flock(lock, fcntl.LOCK_UN))) for _ in range(rounds))
        rows.append(["lock and unlock a file, nothing else", floor, None])
        now = time.time()
        for name, quota in QUOTAS.items():
            seen = (Seen("there", 1.0, lambda: Footprint(rectangles=((0, 0, 64, 64),))),)
            taken = []
            for is_own in (False, True):
                bill = Bill(Account(agreement_id=f"AG-{name}", terms=terms_of(quota), is_own=is_own), (1, 65_536, 0, 20_000), token=True, seen=seen)
                taken.append(median(_each(lambda bill=bill: meter.charge((bill,), now)) for _ in range(rounds)))
            rows.append([name, *taken])
            ratios[f"charge_{name.replace(' ', '_')}_bar"] = CHARGE_BAR / taken[0]
        os.close(lock)
    table(["", "counted", "counted and told"], rows)
    return ratios


def _each(work: Callable, times: int = 20_000) -> float:
    """Microseconds of processor: a busy neighbour is not the counter's fault."""
    gc.collect()
    gc.disable()
    try:
        began = time.thread_time()
        for _ in range(times):
            work()
        return 1e6 * (time.thread_time() - began) / times
    finally:
        gc.enable()


# -- eight processes

def crowd() -> dict[str, float]:
    """Eight processes on one agreement, whose limit is less than they ask: how many pass, and how long a charge takes then."""
    most = PROCESSES * CHARGES * 5 // 8
    context = get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        said = context.Queue()
        workers = [context.Process(target=_charge, args=(Path(folder), most, said)) for _ in range(PROCESSES)]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        passed = sum(said.get() for _ in workers)
        taken = time.perf_counter() - began
        for worker in workers:
            worker.join()
    say(f"\n{PROCESSES} processes, {CHARGES} charges each under a limit of {most}: {passed} passed, overshoot {100 * (passed / most - 1):.3f} %; "
        f"{1e6 * taken / PROCESSES / CHARGES:.1f} us a charge on {os.cpu_count()} cores")
    if passed < most:
        raise CannotMeasure(f"{most - passed} charges were refused that the limit held")
    return {"overshoot_bar": 0.001 / max(passed / most - 1, 1e-6)}


def _charge(folder: Path, most: int, said) -> None:
    meter = Meter(FileLedgers(folder))
    quota = Quota(limits=(replace(REQUESTS, most=most),))
    bill, now = Bill(Account(agreement_id="AG", terms=terms_of(quota)), (1, 0, 0, 0)), time.time()
    said.put(sum(not meter.charge((bill,), now).spent for _ in range(CHARGES)))


# -- a cached tile

def lane(rounds: int) -> dict[str, float]:
    """Microseconds of processor of inside tiles through the lane, with a quota and without in turns: the same tiles, the same agreement."""
    with tempfile.TemporaryDirectory() as folder:
        office = Office(Path(folder))
        tiles = _inside(office)
        environs = [_environ(f"/tiles/layer-000/WebMercatorQuad/{z}/{col}/{row}.jpg", office.key) for z, row, col in tiles]
        cases = {"without a quota": None, **QUOTAS}
        taken: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(rounds):
            for name, quota in cases.items():
                office.agreement = replace(office.agreement, quota=quota)
                office.change_the_agreement()
                _ask(office, environs)                        # decisions compiled, ground seen
                taken[name].append(min(_ask(office, environs) for _ in range(3)))
    free = median(taken["without a quota"])
    say(f"\na cached tile through the lane, {len(tiles)} of them (us of processor)")
    table(["", "each", "more"], [[name, median(times), median(times) - free] for name, times in taken.items()])
    return {
        f"lane_{name.replace(' ', '_')}": median(a / b for a, b in zip(taken["without a quota"], taken[name], strict=True)) for name in QUOTAS
    }


def _inside(office: Office) -> list[tuple[int, int, int]]:
    office.tile_hits(400)                                     # lays the tiles out
    grid = TILE_MATRIX_SETS["WebMercatorQuad"]
    folder = Path(office.services.engine.tile_path(office.edition, "default", grid.id, 17, 0, 0)).parents[2]
    found = [(int(path.parents[1].name), int(path.stem), int(path.parent.name)) for path in folder.rglob("*.*") if path.stem.isdecimal()]
    if not all(grid.holds(*tile) for tile in found) or not found:
        raise CannotMeasure(f"no tiles were laid out for {AGENCY}")
    return sorted(found)[:400]


def _ask(office: Office, environs: list[dict]) -> float:
    statuses: list[str] = []
    began = time.thread_time()
    for environ in environs:
        office.app.wsgi_app(environ, lambda status, _: statuses.append(status))
    taken = 1e6 * (time.thread_time() - began) / len(environs)
    if set(statuses) != {"200 OK"}:
        raise CannotMeasure(f"the lane answered {set(statuses)}")
    return taken


# -- ground

PROVINCE = Bounds(117.0, 31.0, 121.5, 34.5)
BLOCKS = {
    "WebMercatorQuad": ((18, 3), (18, 12), (18, 40), (17, 60), (16, 40), (14, 40), (12, 24), (10, 10), (8, 3)),
    "tdt_c": ((17, 20), (14, 20), (10, 8)),
    "jiangsu_gk120": ((11, 30), (9, 30), (6, 20), (3, 12), (1, 5)),
}
"""Of each set of tiles: zoom, and tiles along each side."""


def ground(is_quick: bool) -> dict[str, float]:
    """Blocks of tiles somewhere in a province, and scattered ones; the true ground by geometry on the ellipsoid."""
    say("\ndistinct ground, of blocks of tiles: a set of cells beside HyperLogLogs of the same cells")
    anywhere, chance, rows, errors, sketched = GroundArea(shapely.box(-180, -90, 180, 90)), np.random.default_rng(3), [], [], {12: [], 14: [], 16: []}
    for tms_id, z, count in [(tms_id, *block) for tms_id, blocks in BLOCKS.items() for block in blocks]:
        tms, found = TILE_MATRIX_SETS[tms_id], []
        for _ in range(2 if is_quick else 6):
            views, km2 = _block(tms, z, count, chance)
            seen, began = GroundSet(), time.perf_counter()
            for view in views:
                footprint = footprint_of_view(view, anywhere)
                if seen.missing(footprint):
                    seen.add(footprint)
            taken = 1e6 * (time.perf_counter() - began) / len(views)
            found.append((km2, seen.cells * CELL_KM2 / km2 - 1, taken, len(to_records(seen.footprint()))))
            if seen.cells < 4_000_000:
                for bits, sketches in sketched.items():
                    sketches.append(_hyperloglog(seen.footprint(), bits) / seen.cells - 1)
        km2, error, taken, size = (np.array(column) for column in zip(*found, strict=True))
        errors += list(np.abs(error))
        largest = f"{100 * np.abs(error).max():.3f} %"
        rows.append([f"{count} x {count} tiles of {tms_id} {z}", float(km2.mean()), largest, float(np.median(taken)), int(size.mean())])
    table(["", "km2", "largest error", "us a new tile", "bytes in all"], rows)
    table(["sketch", "mean error", "largest error", "bytes"], [
        ["set of cells", *_percent(errors), None],
        *([f"HyperLogLog, {1 << bits} registers", *_percent(found), 1 << bits] for bits, found in sketched.items()),
    ])
    return {"ground_error_bar": ERROR_BAR / float(np.max(errors))}


def _percent(errors: list[float]) -> tuple[str, str]:
    return f"{100 * np.mean(np.abs(errors)):.3f} %", f"{100 * np.max(np.abs(errors)):.3f} %"


def _block(tms, z: int, count: int, chance: np.random.Generator) -> tuple[list, float]:
    limits = tms.limits(z, transform_bounds(PROVINCE, "CRS:84", tms.crs))
    count = min(count, limits[1] - limits[0] + 1, limits[3] - limits[2] + 1)
    row = int(chance.integers(limits[0], limits[1] - count + 2))
    col = int(chance.integers(limits[2], limits[3] - count + 2))
    bounds = tms.bounds(z, row, col).union(tms.bounds(z, row + count - 1, col + count - 1))
    shape = transform_geometry(shapely.segmentize(shapely.box(*bounds), bounds.width / 200), tms.crs, "CRS:84")
    return [tms.view(z, r, c) for r in range(row, row + count) for c in range(col, col + count)], square_metres(shape) / 1e6


def _hyperloglog(footprint: Footprint, bits: int) -> float:
    """Flajolet and others (2007), of the numbers of the cells, with linear counting where few are set."""
    cells = np.concatenate([
        (np.arange(r0, r1, dtype=np.uint64)[:, None] * np.uint64(1 << 23) + np.arange(c0, c1, dtype=np.uint64)).ravel()
        for c0, r0, c1, r1 in footprint.rectangles
    ] + [_of_block(*block) for block in footprint.blocks])
    mixed = cells * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    registers = np.zeros(1 << bits, np.uint8)
    rest = mixed << np.uint64(bits)
    leading = np.where(rest == 0, 64 - bits, 63 - np.floor(np.log2(np.maximum(rest, 1).astype(np.float64))).astype(int)) + 1
    np.maximum.at(registers, (mixed >> np.uint64(64 - bits)).astype(np.intp), leading.astype(np.uint8))
    m = float(1 << bits)
    estimate = 0.7213 / (1 + 1.079 / m) * m * m / np.sum(2.0 ** -registers.astype(float))
    empty = int(np.count_nonzero(registers == 0))
    return m * np.log(m / empty) if estimate <= 2.5 * m and empty else estimate


def _of_block(column: int, row: int, bits: int) -> np.ndarray:
    cells = np.flatnonzero(np.unpackbits(np.frombuffer(bits.to_bytes(512, "little"), np.uint8), bitorder="little"))
    return (row * 64 + cells // 64).astype(np.uint64) * np.uint64(1 << 23) + (column * 64 + cells % 64).astype(np.uint64)


# -- exports

def exports() -> dict[str, float]:
    """Milliseconds to reserve an export beside so many that were made before."""
    from datetime import datetime

    from geoserver_app.clock import SHANGHAI

    account, at = Account(agreement_id="AG", terms=terms_of(Quota(export_km2=1e9))), datetime(2026, 11, 25, tzinfo=SHANGHAI)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        meter, number = Meter(FileLedgers(Path(folder))), 0
        for made in (10, 100, 400):
            taken = []
            while number < made:
                began = time.perf_counter()
                meter.reserve_export([account], shapely.Point(118 + number % 40 * 0.03, 31.5 + number // 40 * 0.03).buffer(0.02), at)
                taken.append(1000 * (time.perf_counter() - began))
                number += 1
            rows.append([f"beside {made}", float(np.median(taken[-10:]))])
    say("\nan export is reserved (ms)")
    table(["", "each"], rows)
    return {}


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0])
