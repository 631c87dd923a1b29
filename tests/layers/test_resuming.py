"""A job that is killed at any moment leaves nothing half-visible and loses nothing; on a cluster it does the same as here."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy

from layers.catalogue import SqlCatalogue, metadata
from layers.errors import ClusterUnavailable
from layers.ingest.job import AddLayer, add_layer
from layers.ingest.records import Checksums, mark_of
from layers.model import ProductType

ROOT = Path(__file__).resolve().parents[2]
SHEETS, KILLS = 8, 10

FOREMAN = """
import os, sys
from pathlib import Path
import sqlalchemy
from layers.catalogue import SqlCatalogue
from layers.ingest.job import AddLayer, add_layer
from layers.model import ProductType

for line in sys.stdin:                      # each line a job, in a process of its own that need not import all this again
    database, store, folder = line.rstrip("\\n").split("\\t")
    worker = os.fork()
    if not worker:
        catalogue = SqlCatalogue(sqlalchemy.create_engine(f"sqlite:///{database}"))
        request = AddLayer(product=ProductType.DOM, name="dom", edition="2011", paths=(Path(folder),))
        add_layer(catalogue, Path(store), request, workers=0)
        os._exit(0)
    print(worker, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]), flush=True)
"""


class Foreman:
    """Begins jobs, and tells how they ended."""

    def __init__(self, tmp_path):
        script = tmp_path / "foreman.py"
        script.write_text(FOREMAN)
        self.folder = tmp_path
        self.process = subprocess.Popen([sys.executable, str(script)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "PYTHONPATH": str(ROOT)})

    def begin(self, database, store):
        self.process.stdin.write(f"{self.folder / database}\t{self.folder / store}\t{self.folder / 'sheets'}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def ended(self):
        return int(self.process.stdout.readline())

    def go(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def foreman(tmp_path):
    one = Foreman(tmp_path)
    yield one
    one.go()


@pytest.fixture
def sheets(write_raster):
    random_pixels = np.random.default_rng(3)
    for number in range(SHEETS):
        values = random_pixels.integers(1, 255, (3, 120, 160)).astype(np.uint8)
        write_raster(f"s{number:02}.tif", values, left=382000.0 + 160 * number, cell=1.0, folder="sheets")


@pytest.fixture
def catalogue_at(tmp_path):
    engines = []

    def make(name):
        engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / name}")
        metadata.create_all(engine)
        engines.append(engine)
        return SqlCatalogue(engine)
    yield make
    for engine in engines:
        engine.dispose()


def hashes(store):
    """Of every file of the store that is served or handed out, by its name."""
    return {
        path.relative_to(store).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(store.rglob("*")) if path.is_file() and path.parent.name != "2011" and path.suffix != ".json"
    }


def test_a_job_killed_ten_times_ends_as_one_that_was_not(tmp_path, sheets, catalogue_at, foreman):
    catalogue_at("undisturbed.sqlite")
    began = time.monotonic()
    foreman.begin("undisturbed.sqlite", "undisturbed")
    assert foreman.ended() == 0
    whole_run = time.monotonic() - began

    catalogue, store, chance = catalogue_at("killed.sqlite"), tmp_path / "store", random.Random(11)
    finished: set[str] = set()
    for _ in range(KILLS):
        worker = foreman.begin("killed.sqlite", "store")
        moment = time.monotonic() + chance.uniform(0, whole_run / 4)
        while time.monotonic() < moment:
            assert is_whole_or_hidden(catalogue, store)
            time.sleep(0.002)
        with suppress(ProcessLookupError):          # it may be done already
            os.kill(worker, signal.SIGKILL)
        assert foreman.ended() in (0, -signal.SIGKILL)
        assert is_whole_or_hidden(catalogue, store)
        now = {path.name for path in store.rglob("*.json") if ".part" not in path.name}
        assert finished <= now, "a sheet that was finished is lost"
        finished = now

    foreman.begin("killed.sqlite", "store")
    assert foreman.ended() == 0
    (edition,) = catalogue.snapshot().layers["dom"].editions
    assert [sheet.source_name for sheet in catalogue.sheets(edition.edition_id)] == [f"s{number:02}.tif" for number in range(SHEETS)]
    assert hashes(store) == hashes(tmp_path / "undisturbed")
    assert not [path for path in store.rglob("*") if "part" in path.name]


def is_whole_or_hidden(catalogue, store):
    layers = catalogue.snapshot().layers
    if not layers:
        return True
    (edition,) = layers["dom"].editions
    taken = catalogue.sheets(edition.edition_id)
    return len(taken) == SHEETS and all((store / edition.folder / sheet.path).is_file() for sheet in taken)


def test_what_was_read_once_is_known_again_unless_it_changed(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"one")
    Checksums(tmp_path).add(mark_of(path), "ab" * 32)
    with (tmp_path / "checksums.txt").open("a") as file:
        file.write('["torn", 12')
    Checksums(tmp_path).add(("b.tif", 1, 2, 3), "cd" * 32)
    known = Checksums(tmp_path)
    assert known.of(mark_of(path)) == "ab" * 32 and known.of(("b.tif", 1, 2, 3)) == "cd" * 32
    path.write_bytes(b"two")
    assert known.of(mark_of(path)) is None


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_does_the_same_as_this_machine(tmp_path, sheets, catalogue_at):
    distributed = pytest.importorskip("distributed")
    request = AddLayer(product=ProductType.DOM, name="dom", edition="2011", paths=(tmp_path / "sheets" / "s00.tif", tmp_path / "sheets" / "s01.tif"))
    add_layer(catalogue_at("here.sqlite"), tmp_path / "here", request, workers=0)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None, silence_logs=50) as cluster:
        edition = add_layer(catalogue_at("there.sqlite"), tmp_path / "there", request, dask=cluster.scheduler_address)
    assert edition.sheet_count == 2 and hashes(tmp_path / "there") == hashes(tmp_path / "here")


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_does_not_answer_is_told(tmp_path, sheets, memory, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("layers.ingest.executors.CONNECT_SECONDS", 0.5)
    request = AddLayer(product=ProductType.DOM, name="dom", edition="2011", paths=(tmp_path / "sheets",))
    with pytest.raises(ClusterUnavailable, match="no Dask scheduler answers at `tcp://127.0.0.1:9`"):
        add_layer(memory, tmp_path / "store", request, dask="tcp://127.0.0.1:9")
