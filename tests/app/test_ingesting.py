"""Sheets that come, go and shrink: what was cached of the ground under them is drawn anew, the rest is kept."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from layers.model import Edition
from tiles.grids import TILE_MATRIX_SETS

TMS = TILE_MATRIX_SETS["jiangsu_gk120"]
LEVEL = 9                                   # 1 m a pixel, 256 m a tile
TOP = 3_550_000.0


def sheet(folder: Path, name: str, left: float, width: int) -> Path:
    """A DOM sheet of noise, 1 m a pixel, 512 m high; metres of EPSG:4549."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.tif"
    pixels = np.random.default_rng(width).integers(1, 255, (3, 512, width), dtype=np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", count=3, height=512, width=width, dtype="uint8", crs="EPSG:4549", transform=from_origin(left, TOP, 1, 1),
    ) as out:
        out.write(pixels)
    return path


def cached_tile(house, edition: Edition, x: float) -> Path:
    """A tile as it lies in the cache, over the middle of the sheets' height."""
    side = TMS.resolutions[LEVEL] * TMS.tile_size
    col, row = int((x - TMS.origin[0]) // side), int((TMS.origin[1] - (TOP - 256)) // side)
    path = Path(house.services.engine.tile_path(edition, "default", TMS.id, LEVEL, row, col))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"drawn before")
    return path


def test_a_sheet_that_is_replaced_by_a_smaller_one_expires_all_that_it_covered(house):
    delivered = house.folder / "delivered"
    edition = house.layer("dom", sheet(delivered, "a", 380_000, 1024), sheet(delivered, "b", 390_000, 512), product="DOM")
    kept_ground, lost_ground, other_sheet = (cached_tile(house, edition, x) for x in (380_256, 380_900, 390_300))
    changed = house.layer("dom", sheet(delivered, "a", 380_000, 512), product="DOM")
    assert changed.sheet_count == 2 and changed.generation > edition.generation
    assert not kept_ground.exists() and not lost_ground.exists()
    assert other_sheet.read_bytes() == b"drawn before"


def test_the_same_delivery_again_expires_nothing(house):
    path = sheet(house.folder / "delivered", "a", 380_000, 512)
    edition = house.layer("dom", path, product="DOM")
    tile = cached_tile(house, edition, 380_256)
    assert house.layer("dom", path, product="DOM").generation == edition.generation
    assert tile.read_bytes() == b"drawn before"


def test_a_death_between_publishing_and_expiring_is_made_good_by_the_next_ingest(house, monkeypatch):
    delivered = house.folder / "delivered"
    edition = house.layer("dom", sheet(delivered, "a", 380_000, 1024), product="DOM")
    tile = cached_tile(house, edition, 380_900)

    def killed(*_):
        raise SystemExit("killed")

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr("geoserver_app.ingesting.Engine.expire", killed)
        house.layer("dom", sheet(delivered, "a", 380_000, 512), product="DOM")
    assert tile.exists()
    house.layer("dom", delivered / "a.tif", product="DOM")
    assert not tile.exists()
    tile = cached_tile(house, edition, 380_256)
    house.layer("dom", delivered / "a.tif", product="DOM")
    assert tile.exists(), "once made good, it is good"


def test_files_of_generations_that_nobody_reads_are_pruned_with_the_next_change(house):
    """Those of the generation before may still be held open by a worker; older ones are gone."""
    delivered = house.folder / "delivered"
    generations = []
    for width in (512, 640, 768):
        generations.append(house.layer("dom", sheet(delivered, "a", 380_000, width), product="DOM").generation)
    folder = house.services.settings.store / "dom" / "2011"
    held = {int(path.name.split("-")[1]) for path in folder.glob("mosaic-*")}
    assert held <= set(generations[1:]) and generations[-1] in held
    assert len(list(folder.glob("sheets/*.tif"))) <= 2


def test_the_latest_edition_is_what_a_bare_name_means_and_the_older_one_stays(house):
    older = house.layer("dom", sheet(house.folder / "delivered", "a", 380_000, 512), product="DOM", edition="2009")
    newer = house.layer("dom", sheet(house.folder / "later", "a", 380_000, 640), product="DOM", edition="2020")
    layer = house.services.catalogue.snapshot().layers["dom"]
    assert [edition.name for edition in layer.editions] == ["2020", "2009"] and older.edition_id != newer.edition_id
    assert [len(house.services.catalogue.sheets(edition.edition_id)) for edition in layer.editions] == [1, 1]


def test_ctrl_c_ends_a_job_at_once_with_one_sentence_and_the_same_command_goes_on(house, tmp_path):
    """The whole terminal hears it: the command and its workers."""
    sheets = [str(sheet(tmp_path / "delivered", f"s{number}", 380_000 + 2000 * number, 1024 + number)) for number in range(8)]
    command = [Path(sys.executable).parent / "geoshare", "layer", "add", "--product", "DOM", "--edition", "2011", "--name", "dom", "--workers", "2", *sheets]
    environ = os.environ | {"GEOSHARE_DATA": str(tmp_path / "instance")}
    running = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while running.poll() is None and not list((tmp_path / "instance").glob("store/dom/2011/.lock")):
        time.sleep(0.02)
    time.sleep(0.4)                     # its workers are coming up
    os.killpg(running.pid, signal.SIGINT)
    _, told = running.communicate(timeout=30)
    assert running.returncode == 1 and "Traceback" not in told and "goes on where it was stopped" in told
    assert not list((tmp_path / "instance").glob("store/dom/2011/mosaic*"))
    again = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert again.stdout == "dom@2011: 8 sheets\n"
