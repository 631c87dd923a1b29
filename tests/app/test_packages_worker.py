"""Making packages: by one worker at a time, whichever dies; from what is granted at each block; and sheets as they were delivered."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import shapely
from databases import emptied, engine_for, postgresql
from ordering import archive, book_of, events, files_of, folder_of, made, make, order, told

from agreements.model import Operation
from geoserver_app.clock import now
from geoserver_app.packages import cut
from geoserver_app.packages.jobs import MOST_ATTEMPTS, ClaimLost, NoSuchPackage, PackageBook, PackageFile, PackageState, metadata
from geoserver_app.packages.worker import Worker
from layers.crs import transform_geometry

LEFT, TOP, STEP, COLS, ROWS = 384_000.0, 3_548_000.0, 5.0, 500, 400
DOWNLOAD = frozenset({Operation.DOWNLOAD})
EAST = LEFT + COLS * STEP


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 255, (3, ROWS, COLS), dtype=np.uint8)


def on_earth(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    return transform_geometry(shapely.segmentize(shapely.box(LEFT + west, TOP - south, LEFT + east, TOP - north), 100), "EPSG:4549", "CRS:84")


ALL = {"bounds": [LEFT - 50, TOP - ROWS * STEP - 50, EAST + COLS * STEP + 50, TOP + 50], "crs": "EPSG:4549"}
TALL = {"bounds": [LEFT + 100, TOP - 1_900, LEFT + 600, TOP - 100], "crs": "EPSG:4549"}
GRANTED = on_earth(-10, 2_010, 4_000, -10)
"""All of the western sheet, a part of the eastern one."""


WORLD_FILE = "\n".join(map(str, (STEP, 0.0, 0.0, -STEP, LEFT + STEP / 2, TOP - STEP / 2))) + "\n"


@pytest.fixture(scope="module")
def office(lasting_house):
    paths = []
    for name, left, seed in (("west", LEFT, 1), ("east", EAST, 2)):
        lasting_house.raster(f"draft-{name}", picture(seed), left, TOP, STEP, lossless=True)
        paths.append(lasting_house.folder / "delivered" / f"draft-{name}.tif")
    paths[0].with_suffix(".tfw").write_text(WORLD_FILE)
    paths[0].with_name("draft-west.tif.aux.xml").write_text("<PAMDataset><Metadata><MDI key='seen'>canary</MDI></Metadata></PAMDataset>")
    lasting_house.layer("dom", *paths, product="DOM", lossless=True)
    lasting_house.agency("water")
    lasting_house.grant("water", "dom", area=GRANTED, operations=DOWNLOAD)
    return lasting_house


def sums(package: dict) -> dict[str, str]:
    return {one["name"]: one["sha256"] for one in package["files"] if "manifest" not in one["name"]}


def test_a_worker_that_is_killed_at_any_step_is_followed_by_one_that_goes_on_with_what_it_left(office, monkeypatch):
    whole = made(office, "water", layers=["dom"], area=TALL, resolution=0.5, crs="EPSG:4549")
    package = order(office, "water", layers=["dom"], area=TALL, resolution=0.5, crs="EPSG:4549")
    assert package["total"] == 8
    command = [sys.executable, str(Path(__file__).with_name("killed_workers.py")), str(office.services.settings.data), "1", "4", "7", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    assert ended.stdout.split() == ["9"] * 4, ended.stderr
    assert told(office, "water", package)["state"] == "running"
    assert all("part" not in one["name"] for one in told(office, "water", package)["files"])
    drawn = []
    monkeypatch.setattr(cut, "cut_values", lambda *given, **more: drawn.append(given) or pytest.fail("made twice"))
    make(office)
    package = told(office, "water", package)
    assert package["state"] == "ready" and sums(package) == sums(whole) and not drawn
    assert sorted(one.name for one in files_of(office, package).iterdir()) == sorted(one["name"] for one in package["files"])
    assert book_of(office).get(package["package"]).attempts == 5


def test_one_that_kills_every_worker_is_given_up(office):
    package = order(office, "water", layers=["dom"], area=TALL)
    book = book_of(office, lease=timedelta(seconds=-1))                        # as if each had died at once
    assert [book.take(f"worker {number}").attempts for number in range(MOST_ATTEMPTS)] == [1, 2, 3, 4, 5]
    make(office)
    assert told(office, "water", package)["state"] == "failed" and "too often" in told(office, "water", package)["reason"]


def test_a_worker_that_is_told_to_stop_hands_its_package_back_and_one_that_is_called_off_stops(office, monkeypatch):
    package, step = order(office, "water", layers=["dom"], area=TALL, resolution=0.5, crs="EPSG:4549"), Worker.step
    worker = Worker(office.services, book_of(office))

    def stopping(self, *given):
        if given[2] == 2:
            self.stop.set()
        return step(self, *given)

    monkeypatch.setattr(Worker, "step", stopping)
    worker.work()
    assert told(office, "water", package)["state"] == "queued" and book_of(office).get(package["package"]).attempts == 0

    def called_off(self, *given):
        if given[2] == 3:
            office.client().delete(f"/api/v1/packages/{package['package']}", headers={"X-API-Key": office.keys["water"]})
        return step(self, *given)

    monkeypatch.setattr(Worker, "step", called_off)
    Worker(office.services, book_of(office)).work()
    assert told(office, "water", package)["state"] == "cancelled" and not folder_of(office, package).exists()


def test_what_is_suspended_while_it_is_made_is_taken_back_and_leaves_nothing(office, monkeypatch):
    office.agency("builders")
    agreement = office.grant("builders", "dom", operations=DOWNLOAD)
    package, step = order(office, "builders", layers=["dom"], area=TALL, resolution=0.5, crs="EPSG:4549"), Worker.step

    def suspended(self, *given):
        if given[2] == 3:
            office.services.register.suspend(agreement.agreement_id, "found to be wrong")
            office.look_again()
        return step(self, *given)

    monkeypatch.setattr(Worker, "step", suspended)
    Worker(office.services, book_of(office)).work()
    assert told(office, "builders", package)["state"] == "taken-back" and not folder_of(office, package).exists()
    assert events(office, "package.ended")[-1]["outcome"] == "taken-back"


def test_what_is_granted_anew_while_it_is_made_is_begun_anew_and_what_its_key_does_not_count_for_is_not_made(office, monkeypatch):
    office.agency("roads")
    agreement = office.grant("roads", "dom", area=on_earth(0, 2_000, 700, 0), operations=DOWNLOAD)
    package, step = order(office, "roads", layers=["dom"], area=TALL, resolution=0.5, crs="EPSG:4549"), Worker.step

    def widened(self, *given):
        if given[2] == 5 and agreement.version == 1:
            monkeypatch.setattr(Worker, "step", step)
            office.services.register.register(replace(agreement, version=2, grants=(office.clause("dom", area=on_earth(0, 2_000, 2_000, 0), operations=DOWNLOAD),)), "")
            office.look_again()
        return step(self, *given)

    monkeypatch.setattr(Worker, "step", widened)
    Worker(office.services, book_of(office)).work()
    assert told(office, "roads", package)["state"] == "queued" and told(office, "roads", package)["done"] == 0
    make(office)
    assert told(office, "roads", package)["state"] == "ready"
    package = order(office, "roads", layers=["dom"], area=TALL)
    (key,) = (one for one in office.services.register.snapshot().keys.values() if one.agency_id == "roads")
    office.services.register.revoke_key(key.key_id)
    office.look_again()
    make(office)
    assert book_of(office).get(package["package"]).state is PackageState.TAKEN_BACK


# Sheets as they were delivered

def test_a_sheet_wholly_granted_leaves_as_it_was_delivered_and_another_is_cut(office):
    package = made(office, "water", layers=["dom"], area=ALL, format="delivered")
    held = archive(office, "water", package)
    images = sorted(one for one in held.namelist() if one.endswith(".tif"))
    assert len(images) == 2
    delivered = (office.folder / "delivered" / "draft-west.tif").read_bytes()
    whole, clipped = sorted(images, key=lambda name: held.read(name) != delivered)
    assert held.read(whole) == delivered and "cut" in clipped
    assert held.read("draft-west.tfw").decode() == WORLD_FILE, "what says where it lies leaves with it"
    assert not any(one.endswith(".aux.xml") for one in held.namelist()) and not any(b"canary" in held.read(one) for one in held.namelist())
    shown = held.read(clipped)
    import rasterio.io

    with rasterio.io.MemoryFile(shown) as memory, memory.open() as raster:
        assert raster.transform.a == STEP and raster.bounds.left >= EAST - STEP and raster.bounds.right <= LEFT + 4_000 + 2 * STEP
        valid = raster.read_masks(1)
        expected = picture(2)[:, :valid.shape[0], :valid.shape[1]]
        assert (raster.read()[:, valid > 0] == expected[:, valid > 0]).all() and valid.any() and not raster.read()[:, valid == 0].any()


def test_a_sheet_that_is_not_what_was_delivered_does_not_leave(office):
    (edition,) = office.services.catalogue.snapshot().layers["dom"].editions
    sheet = next(one for one in office.services.catalogue.sheets(edition.edition_id) if "west" in one.source_name)
    path = office.services.settings.store / edition.folder / sheet.delivered
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    try:
        package = order(office, "water", layers=["dom"], area=ALL, format="delivered")
        make(office)
        assert told(office, "water", package)["state"] == "failed" and "not what was delivered" in told(office, "water", package)["reason"]
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("terms", ({"degrade": 50.0}, {"area": on_earth(-10, 2_010, 2_490, -10)}))
def test_no_sheet_leaves_whole_where_it_is_degraded_or_a_pixel_of_it_is_not_granted(office, terms):
    name = f"sheets-{len(terms.get('area', shapely.Point(0, 0)).wkt)}"
    office.agency(name)
    office.grant(name, "dom", operations=DOWNLOAD, **terms)
    held = archive(office, name, made(office, name, layers=["dom"], area=ALL, format="delivered"))  \
        if "area" not in terms else None
    if held is None:
        package = made(office, name, layers=["dom"], area=ALL, format="delivered")
        assert [one["name"] for one in package["files"] if one["name"].endswith("-cut.tif")] or archive(office, name, package)
        return
    delivered = {(office.folder / "delivered" / f"draft-{side}.tif").read_bytes() for side in ("west", "east")}
    assert all(one.endswith("-cut.tif") for one in held.namelist() if one.endswith(".tif")) and not {held.read(one) for one in held.namelist()} & delivered


# The rows

@pytest.fixture(params=("sqlite", "postgresql"))
def book(request, tmp_path):
    if request.param == "sqlite":
        engine = engine_for(f"sqlite:///{tmp_path / 'packages.sqlite'}")
        metadata.create_all(engine)
        yield PackageBook(engine, now)
        engine.dispose()
        return
    with postgresql() as url:
        emptied(url)
        engine = engine_for(url)
        metadata.create_all(engine)
        yield PackageBook(engine, now)
        engine.dispose()


def added(book: PackageBook, agency: str = "water"):
    asker = {"key": "", "login": "", "app": "", "purpose": "", "networks": []}
    return book.add(agency, asker=asker, wanted={}, items=[], total=3, folder="f")


def test_no_package_is_taken_by_two_workers_and_reports_count_while_the_claim_holds(book):
    ids = {added(book).package_id for _ in range(6)}
    taken, turn = [], threading.Barrier(4)

    def take(name: str) -> None:
        turn.wait()
        while (one := book.take(name)) is not None:
            taken.append(one.package_id)

    threads = [threading.Thread(target=take, args=(f"worker {number}",)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(taken) == sorted(ids) and not book.has_work()
    one = book.list()[0]
    with pytest.raises(ClaimLost):
        book.renew(one, "another")
    book.renew(one, one.claim, done=2)
    assert book.get(one.package_id).done == 2
    file = PackageFile(name="a.tif", size=1, sha256="0" * 64, media_type="image/tiff")
    book.finish(one, one.claim, [file], now() + timedelta(days=1), [])
    assert book.get(one.package_id).files == (file,) and book.get(one.package_id).state is PackageState.READY
    with pytest.raises(ClaimLost):
        book.fail(one, one.claim, "package-failed")


def test_a_lease_that_ran_out_lets_another_go_on_and_an_agency_sees_its_own(book):
    one = added(book)
    dead = PackageBook(book.database, now, lease=timedelta(seconds=-1)).take("dead")
    again = book.take("alive")
    assert again.package_id == one.package_id and again.attempts == 2 and again.began == dead.began
    with pytest.raises(ClaimLost):
        book.renew(dead, "dead", done=1)
    assert book.end(one.package_id, PackageState.CANCELLED, among=[PackageState.RUNNING]) and not book.end(one.package_id, PackageState.FAILED, among=[PackageState.RUNNING])
    with pytest.raises(NoSuchPackage):
        book.get(one.package_id, "police")
    assert [row.package_id for row in book.list("water")] == [one.package_id] and not book.list("police") and book.waiting("water") == 0


def test_a_worker_that_lost_its_claim_unawares_changes_nothing_of_what_another_made(office, monkeypatch):
    """It slept for longer than its lease lasts, while another was begun anew under a narrower grant and finished."""
    office.agency("sleepy")
    agreement = office.grant("sleepy", "dom", area=on_earth(0, 2_000, 2_000, 0), operations=DOWNLOAD)
    package, step = order(office, "sleepy", layers=["dom"], area=TALL), Worker.step
    asleep = Worker(office.services, book_of(office, lease=timedelta(seconds=-1)))

    def sleeping(self, *given):
        if self is asleep and given[2] == 1 and not office.__dict__.get("slept"):
            office.slept = True
            office.services.register.register(replace(agreement, version=2, grants=(office.clause("dom", area=on_earth(0, 2_400, 2_400, 0), operations=DOWNLOAD),)), "")
            office.look_again()
            make(office)
        return step(self, *given)

    monkeypatch.setattr(Worker, "step", sleeping)
    asleep.work()
    told_of = told(office, "sleepy", package)
    assert told_of["state"] == "ready" and sums(told_of) == sums(made(office, "sleepy", layers=["dom"], area=TALL))
    assert all((files_of(office, package) / one["name"]).exists() for one in told_of["files"])
