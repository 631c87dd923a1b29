"""A province of numbered sheets through its life: taken in, killed at ten random moments, one replaced, one edition withdrawn, seeded.

    .venv/bin/python bench/province.py [--quick] [--json] [--sheets N]

Makes N (4,100; --quick: 150) small sheets at 1:10,000 in three 3-degree zones, and drives `geoshare` as a data manager would. An instance that was
never disturbed is the measure: at the end counts of sheets, checksums of what was delivered and hashes of what is kept must agree, sheet by sheet.
Prints the times of each step. Ends with 1 where anything differs.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import harness
from harness import say
from sheets import small_frames, write_delivered

from geoserver_app.database import connect
from geoserver_app.settings import Settings
from layers.catalogue import SqlCatalogue
from layers.model import LayerName

GEOSHARE = Path(sys.executable).parent / "geoshare"
SHEETS, QUICK_SHEETS = 4100, 150
RESOLUTION = 46.0
"""Metres: about 128 px a sheet."""

KILLS = {"ingest": 5, "replace": 2, "seed": 3}
"""How often each step is killed."""

LEAST = 1.5
"""Seconds before a kill: sooner a command has hardly begun."""


class Instance:
    """A data folder of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environ = os.environ | {"GEOSHARE_DATA": str(folder)}
        self.settings = Settings.at(folder)

    def start(self, *words: str) -> subprocess.Popen:
        return subprocess.Popen(
            [GEOSHARE, *words], env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )

    def run(self, what: str, *words: str) -> float:
        began = time.perf_counter()
        running = self.start(*words)
        told, _ = running.communicate()
        if running.returncode:
            raise harness.CannotMeasure(f"{what}: {told[-1500:]}")
        seconds = time.perf_counter() - began
        say(f"{what:<58}{seconds:8.1f} s")
        return seconds

    def run_killed(self, what: str, took: float, kills: int, chance: random.Random, *words: str) -> int:
        """Begins the command again and again, killing it and its workers at a random moment each time; then lets it end. How often it was killed."""
        killed = 0
        for _ in range(kills):
            running = self.start(*words)
            try:
                running.communicate(timeout=chance.uniform(LEAST, max(2 * LEAST, took / 3)))
                break
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
                running.stdout.close()
                killed += 1
        self.run(f"{what}, after {killed} kills", *words)
        return killed

    def kept(self, name: str) -> dict[str, tuple[str, str]]:
        """Of each sheet of an edition by its number: the checksum of what was delivered, the hash of the file that is kept."""
        database = connect(self.settings.database_url)
        catalogue = SqlCatalogue(database)
        found = catalogue.snapshot().find(LayerName.parse(name))
        sheets = {} if found is None else {
            sheet.number: (sheet.checksum, hashlib.sha256((self.settings.store / found[1].folder / sheet.path).read_bytes()).hexdigest())
            for sheet in catalogue.sheets(found[1].edition_id)
        }
        database.dispose()
        return sheets

    def overview(self, name: str) -> dict[str, str]:
        """Hashes of the pixels of every level of the low-resolution copies."""
        import rasterio

        database = connect(self.settings.database_url)
        _, edition = SqlCatalogue(database).snapshot().find(LayerName.parse(name))
        database.dispose()
        hashes = {}
        for number, mosaic in enumerate(edition.mosaics):
            stem = Path(mosaic.overview).stem if mosaic.overview else "none"
            for path in sorted((self.settings.store / edition.folder).glob(f"{stem}*.tif")):
                with rasterio.open(path) as level:
                    hashes[f"{number} {mosaic.crs}{path.stem.removeprefix(stem)}"] = hashlib.sha256(level.read().tobytes() + level.read_masks(1).tobytes()).hexdigest()
        return hashes


def measure(chosen: argparse.Namespace) -> dict[str, float]:
    say(harness.machine())
    count = chosen.sheets or (QUICK_SHEETS if chosen.quick else SHEETS)
    chance, frames = random.Random(count), small_frames(count)
    with harness.Yard() as yard:
        delivered, replaced, older = (yard.folder / name for name in ("delivered", "replaced", "older"))
        began = time.perf_counter()
        for folder in (delivered, replaced, older):
            folder.mkdir()
        for frame in frames:
            write_delivered(delivered, frame, RESOLUTION)
        for frame in frames[:: max(1, count // 40)]:
            write_delivered(older, frame, RESOLUTION, year=2006, shade=-30)
        middle = frames[len(frames) // 2]
        write_delivered(replaced, middle, RESOLUTION, shade=40)
        say(f"{count} sheets made in {time.perf_counter() - began:.1f} s")
        calm, disturbed = Instance(yard.folder / "calm"), Instance(yard.folder / "disturbed")
        add = ("layer", "add", "--product", "DOM", "--name", "dom", "--edition")
        took = calm.run(f"{count} sheets taken in", *add, "2011", str(delivered))
        kills = disturbed.run_killed("the same", took, KILLS["ingest"], chance, *add, "2011", str(delivered))
        for one in (calm, disturbed):
            one.run("an older edition taken in", *add, "2006", str(older))
        before = calm.kept("dom@2011")
        one_sheet = calm.run("one sheet replaced", *add, "2011", str(replaced))
        kills += disturbed.run_killed("the same", one_sheet, KILLS["replace"], chance, *add, "2011", str(replaced))
        for one in (calm, disturbed):
            one.run("one edition withdrawn", "layer", "remove", "dom@2006", "--yes")
        seed = ("tiles", "seed", "dom@2011", "--zooms", "6-10", "--manifest")
        manifests = []
        for one in (calm, disturbed):
            manifests.append(one.folder / "seed.json")
            if one is calm:
                drawing = one.run("levels 6 to 10 seeded", *seed, str(manifests[-1]))
            else:
                kills += one.run_killed("the same", drawing, KILLS["seed"], chance, *seed, str(manifests[-1]))
            one.run("manifest verified", "tiles", "verify", str(manifests[-1]))
        _compare(calm, disturbed, before, middle.name, count, manifests)
        say(f"all agree after {kills} kills")
    return {"sheets_per_second": count / took, "ingest_over_one_update": took / one_sheet}


def _compare(calm: Instance, disturbed: Instance, before: dict, changed: str, count: int, manifests: list[Path]) -> None:
    there, here = calm.kept("dom@2011"), disturbed.kept("dom@2011")
    faults = []
    if not len(there) == len(here) == count:
        faults.append(f"{len(there)} and {len(here)} sheets instead of {count}")
    if there != here:
        faults.append(f"{sum(there.get(number) != kept for number, kept in here.items())} sheets differ between the instances")
    if {number for number in before if before[number] != there.get(number)} != {changed}:
        faults.append("another sheet than the replaced one changed, or none did")
    if calm.kept("dom@2006") or disturbed.kept("dom@2006"):
        faults.append("the withdrawn edition is still there")
    if calm.overview("dom@2011") != disturbed.overview("dom@2011"):
        faults.append("the low-resolution copies differ")
    levels = [[{key: level[key] for key in ("z", "expected", "present", "blank", "digest")} for level in json.loads(path.read_text())["levels"]] for path in manifests]
    if levels[0] != levels[1] or any(level["present"] != level["expected"] for level in levels[0]):
        faults.append("the manifests of tiles differ, or are not complete")
    if faults:
        raise harness.CannotMeasure("; ".join(faults))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--sheets", type=int, default=0, help="how many sheets")
    own, rest = parser.parse_known_args()
    sys.argv[1:] = rest

    def run(chosen: argparse.Namespace) -> dict[str, float]:
        chosen.sheets = own.sheets
        return measure(chosen)

    harness.main(run, __doc__)
