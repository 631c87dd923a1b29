"""The decision record: what writing a record costs, how fast a day is sealed and verified, and how fast SQL has its columns.

    .venv/bin/python bench/audit.py [--quick] [--json]
    AUDIT_ROWS=10000000 .venv/bin/python bench/audit.py

Rows are those of tiles as the lane writes them, of 22 agencies, by two workers in one day. Reading is timed after writing, so that much of it
comes from memory where there is enough.
"""

import os
import resource
import tempfile
import time
from argparse import Namespace
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path

from harness import Yard, machine, main, say, table

WORKERS = 2
DAY = datetime.fromisoformat("2026-11-24T09:00:00+08:00")
BAR = 10_000_000 / 300
"""Rows a second that must be verified: ten million in five minutes."""


def rules() -> list[str]:
    """Members of the records of one tile row, an agency each."""
    from geoserver_app.decision_log import as_members

    return [as_members({
        "event": "overlay.decided", "agency": f"agency-{number}", "epoch": 412, "purpose": "flood-control", "networks": ["10.32.0.0/16"],
        "layer": "dom", "edition": "2011", "generation": 3, "operation": "GetTile", "style": "default", "format": "image/jpeg", "owner": "bureau",
        "product": "DOM", "is_latest": True, "classification": 1, "crs": "EPSG:3857", "scale_denominator": 2132.7295838497843, "effect": "clip",
        "area": "fc36c72c8f03732a", "reasons": [[f"AG-2026-{number:03}", 1, "3.1", "granted"]], "tms": "WebMercatorQuad",
    }) for number in range(22)]


def write(folder: Path, rows: int) -> float:
    """One worker's segment; seconds."""
    from geoserver_app.decision_log import DecisionLog

    log, members, start = DecisionLog(folder), rules(), DAY.timestamp()
    began = time.perf_counter()
    for number in range(rows):
        log.write_members(f'{members[number * 7 % 22]},"key":"k_7f3a1c20","tile":[17,{number >> 9},{number}]', start + number * 1e-3)
    return time.perf_counter() - began


def write_bare(folder: Path, rows: int) -> float:
    """The same bytes without seal, number or moment: what the operating system takes for itself."""
    line = f'{rules()[0]},"key":"k_7f3a1c20","tile":[17,1,1]{" " * 160}\n'.encode()
    descriptor = os.open(folder / "bare", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    began = time.perf_counter()
    for _ in range(rows):
        os.write(descriptor, line)
    seconds = time.perf_counter() - began
    os.close(descriptor)
    return seconds


def writing(rows: int, rounds: int) -> tuple[float, float]:
    """Microseconds a record: ours, and the bare write; the best of some rounds, in turn."""
    ours, bare = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="geoshare-bench-") as folder:
            ours.append(write(Path(folder), rows))
            bare.append(write_bare(Path(folder), rows))
    return 1e6 * min(ours) / rows, 1e6 * min(bare) / rows


def measure(chosen: Namespace) -> dict[str, float]:
    from geoserver_app.audit.roots import DayRoot, measure_day, write_beside
    from geoserver_app.audit.sql import columns_of, connect, select
    from geoserver_app.audit.verify import verify

    rows = int(os.environ.get("AUDIT_ROWS", 200_000 if chosen.quick else 2_000_000))
    say(machine())
    ours, bare = writing(20_000, 3 if chosen.quick else 7)
    say(f"a record is written in {ours:.2f} microseconds, the same bytes alone in {bare:.2f}")
    with Yard() as yard:
        folder = yard.folder / "decisions"
        with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
            list(pool.map(write, [folder] * WORKERS, [rows // WORKERS] * WORKERS))
        size = sum(path.stat().st_size for path in folder.rglob("*.jsonl"))
        say(f"{rows} rows, {size / 2**30:.2f} GB, {size / rows:.0f} bytes a row")
        chain, found = timed(lambda: verify(folder, {}, (), processes=WORKERS))
        sealing, (agencies, segments) = timed(lambda: measure_day(folder, DAY.date()))
        root = DayRoot(day=DAY.date(), previous="0" * 64, agencies=agencies, segments=segments)
        write_beside(folder, root)
        whole, faults = timed(lambda: verify(folder, {}, [root], processes=WORKERS))
        if faults or {one.kind.value for one in found} - {"unanchored"}:
            raise RuntimeError(f"the record does not verify: {[*faults, *found][:3]}")
        used = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
        columns, _ = timed(lambda: columns_of(folder, DAY.date(), fresh=True))
        with connect(folder) as connection:
            asking, _ = timed(lambda: select(connection, "SELECT agency, count(*) FROM audit_layers GROUP BY agency"))
    table(["what", "seconds", "rows a second"], [
        ["verify the chain, two processes", chain, rows / chain], ["work out the roots of the day", sealing, rows / sealing],
        ["verify chain and roots, two processes", whole, rows / whole], ["columns for SQL", columns, rows / columns], ["count by agency", asking, rows / asking],
    ])
    say(f"the largest process held {used:.0f} MB before SQL; ten million rows would be verified in {1e7 / (rows / whole):.0f} s")
    return {"write_vs_bare": bare / ours, "verify_bar": rows / whole / BAR, "roots_bar": rows / sealing / BAR}


def timed(work) -> tuple[float, object]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0])
