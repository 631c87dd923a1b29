"""A province of small sheets taken in overnight, killed at ten random moments; one sheet replaced, one withdrawn. Counts and hashes must agree.

    .venv/bin/python bench/overnight.py [--quick] [--json]

4,100 numbered sheets (--quick: 160) in three zones, delivered with their margins. One job runs undisturbed; another is killed with SIGKILL ten times
and begun again, while the catalogue is looked at all the time: it shows nothing, or everything. `overnight_agrees` is 1 if every file that both made is the same;
`job_vs_replacing_one` is the time of the whole job over the time of publishing one replaced sheet.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import harness
import numpy as np
import rasterio
import sqlalchemy
from harness import CannotMeasure, Yard, say, table
from rasterio.transform import from_origin
from sheets import Frame, small_frames

from layers import crs as reference
from layers.catalogue import SqlCatalogue, metadata
from layers.ingest import AddLayer, add_layer, withdraw_sheet
from layers.model import ProductType

SHEETS, KILLS = {True: 160, False: 4_100}, 10
CELL, MARGIN = 40.0, 100.0
"""Metres: of a pixel, and what is delivered around a frame."""

JOB = """
import os, sys
from pathlib import Path
import sqlalchemy
from layers.catalogue import SqlCatalogue
from layers.ingest import AddLayer, add_layer
from layers.model import ProductType

if __name__ == "__main__":
    database, store, folder = sys.argv[1:]
    request = AddLayer(product=ProductType.DOM, name="dom", edition="2011", paths=(Path(folder),))
    print("begun", flush=True)
    add_layer(SqlCatalogue(sqlalchemy.create_engine(f"sqlite:///{database}")), Path(store), request, workers=os.cpu_count())
"""


def measure(chosen: argparse.Namespace) -> dict[str, float]:
    say(harness.machine())
    count = SHEETS[chosen.quick]
    with Yard() as yard:
        frames = small_frames(count)
        with ProcessPoolExecutor() as pool:
            list(pool.map(partial(_deliver, yard.folder / "delivered", seed=1), frames, chunksize=16))
        with _catalogue(yard.folder / "calm.sqlite"), _job(yard.folder, "calm") as job:
            began = time.perf_counter()
            if job.wait():
                raise CannotMeasure("the undisturbed job failed")
            whole = time.perf_counter() - began
        with _catalogue(yard.folder / "killed.sqlite") as catalogue:
            kept = _killed_and_finished(yard.folder, catalogue, whole, count)
            calm, killed = (_hashes(yard.folder / name) for name in ("calm", "killed"))
            agrees = calm == killed and len(calm) == 2 * count
            replacing = _replace_one(yard.folder, catalogue, frames[count // 2], count)
            withdrawing = _withdraw_one(yard.folder, catalogue, frames[0], count)
    table(["", ""], [
        ["sheets", count], ["undisturbed, s", whole], ["finished after each kill", " ".join(map(str, kept))],
        ["files that agree", sum(calm[name] == killed.get(name) for name in calm)], ["one replaced, s", replacing], ["one withdrawn, s", withdrawing],
    ])
    if not agrees:
        raise CannotMeasure("the job that was killed made something else")
    return {"overnight_agrees": float(agrees), "job_vs_replacing_one": whole / replacing}


def _deliver(folder: Path, frame: Frame, *, seed: int) -> Path:
    box = reference.transform_bounds(frame.bounds, "CRS:84", frame.crs)
    left, top = (np.floor(box.left / CELL) * CELL - MARGIN, np.ceil(box.top / CELL) * CELL + MARGIN)
    width, height = int((box.right + MARGIN - left) / CELL) + 1, int((top - box.bottom + MARGIN) / CELL) + 1
    pixels = np.random.default_rng([seed, *frame.name.encode()]).integers(1, 255, (3, height, width)).astype(np.uint8)
    folder.mkdir(exist_ok=True)
    path = folder / f"{frame.name}.tif"
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8", "crs": frame.crs, "photometric": "RGB"}
    with rasterio.open(path, "w", transform=from_origin(left, top, CELL, CELL), **profile) as file:
        file.write(pixels)
    return path


@contextmanager
def _catalogue(path: Path) -> Iterator[SqlCatalogue]:
    database = sqlalchemy.create_engine(f"sqlite:///{path}")
    metadata.create_all(database)
    yield SqlCatalogue(database)
    database.dispose()


@contextmanager
def _job(folder: Path, name: str) -> Iterator[subprocess.Popen]:
    script = folder / "job.py"
    script.write_text(JOB)
    command = [sys.executable, script, folder / f"{name}.sqlite", folder / name, folder / "delivered"]
    with subprocess.Popen(command, cwd=harness.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(harness.ROOT)}) as job:
        job.stdout.readline()
        yield job
        job.kill()


def _killed_and_finished(folder: Path, catalogue: SqlCatalogue, whole: float, count: int) -> list[int]:
    """How many sheets were finished after each kill."""
    chance, kept = random.Random(5), []
    for _ in range(KILLS):
        with _job(folder, "killed") as job:
            moment = time.monotonic() + chance.uniform(0, 0.6 * whole)
            while time.monotonic() < moment and job.poll() is None:
                _look(catalogue, folder / "killed", count)
                time.sleep(0.02)
            job.send_signal(signal.SIGKILL)
            job.wait()
        _look(catalogue, folder / "killed", count)
        kept.append(len([path for path in (folder / "killed").rglob("sheets/*.json") if ".part" not in path.name]))
        if kept != sorted(kept):
            raise CannotMeasure("sheets that were finished are lost")
    with _job(folder, "killed") as job:
        if job.wait():
            raise CannotMeasure("the killed job could not be finished")
    return kept


def _look(catalogue: SqlCatalogue, store: Path, count: int) -> None:
    for layer in catalogue.snapshot().layers.values():
        taken = catalogue.sheets(layer.editions[0].edition_id)
        if len(taken) != count or not all((store / layer.editions[0].folder / sheet.path).is_file() for sheet in taken):
            raise CannotMeasure("a part of the job was visible")


def _hashes(store: Path) -> dict[str, str]:
    return {
        path.relative_to(store).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in store.rglob("*.tif") if path.parent.name == "sheets" or path.parent.parent.name == "delivered"
    }


def _replace_one(folder: Path, catalogue: SqlCatalogue, frame: Frame, count: int) -> float:
    path = _deliver(folder / "update", frame, seed=2)
    before = {sheet.path for sheet in catalogue.sheets(1)}
    began = time.perf_counter()
    request = AddLayer(product=ProductType.DOM, name="dom", edition="2011", paths=(path,))
    edition = add_layer(catalogue, folder / "killed", request, workers=1)
    took = time.perf_counter() - began
    after = {sheet.path for sheet in catalogue.sheets(edition.edition_id)}
    if edition.sheet_count != count or len(before - after) != 1:
        raise CannotMeasure("replacing one sheet changed others")
    return took


def _withdraw_one(folder: Path, catalogue: SqlCatalogue, frame: Frame, count: int) -> float:
    began = time.perf_counter()
    edition = withdraw_sheet(catalogue, folder / "killed", "dom", "2011", frame.name, workers=1)
    took = time.perf_counter() - began
    if edition.sheet_count != count - 1:
        raise CannotMeasure("withdrawing one sheet changed others")
    return took


if __name__ == "__main__":
    harness.main(measure, __doc__)
