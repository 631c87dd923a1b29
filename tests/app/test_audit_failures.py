"""Where what is decided, or that it was decided, can't be trusted, nothing is shown; and whatever dies, no answer goes without its record."""

import http.client
import threading
import time
from urllib.parse import urlsplit

import numpy as np
import pytest
import sqlalchemy
from houses import House
from served import kill, start

from geoserver_app.audit.store import AuditStore
from geoserver_app.audit.verify import verify
from geoserver_app.decision_log import read_segment
from geoserver_app.wiring import wire

TILE = "/tiles/dom/WebMercatorQuad/14/13596/6654.png"
MAP = (
    "/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&LAYERS=dom&STYLES=&CRS=EPSG:4549&BBOX=3540000,380000,3541000,381000&WIDTH=64&HEIGHT=64&FORMAT=image/png"
)
WAYS = (TILE, TILE.replace("/tiles/dom/WebMercatorQuad/14/13596/6654", "/wmts/1.0.0/dom/default/WebMercatorQuad/14/6654/13596"), MAP, "/api/v1/layers")


@pytest.fixture
def county(house):
    house.raster("dom", np.random.default_rng(1).integers(0, 255, (3, 400, 400), dtype=np.uint8), 379_000, 3_542_000, 10.0)
    house.agency("water")
    house.grant("water", "dom")
    for way in WAYS:
        assert house.get(way, "water").status_code == 200
    return house


def assert_nothing_is_shown(house) -> None:
    for way in WAYS:
        answer = house.get(way, "water")
        assert answer.status_code == 503 and answer.headers["Retry-After"], way
        assert not answer.data.startswith((b"\x89PNG", b"\xff\xd8", b"RIFF")) and b'"dom"' not in answer.data, way


def damage(house, *statements: str) -> None:
    with house.services.database.begin() as connection:
        for statement in statements:
            connection.execute(sqlalchemy.text(statement))


@pytest.mark.parametrize("statements", [
    ("DROP TABLE agreements", "UPDATE register_epoch SET epoch = epoch + 1"),
    ("UPDATE agreements SET compiled = 'rubbish'", "UPDATE register_epoch SET epoch = epoch + 1"),
    ("UPDATE agreement_areas SET geometry = x'00'", "UPDATE register_epoch SET epoch = epoch + 1"),
    ("DELETE FROM agreement_areas", "UPDATE register_epoch SET epoch = epoch + 1"),
    ("UPDATE agreements SET compiled = replace(compiled, 'everywhere', 'anywhere')", "UPDATE register_epoch SET epoch = epoch + 1"),
], ids=("no table", "rubbish", "area altered", "area gone", "terms altered"))
def test_a_register_or_an_area_that_can_t_be_trusted_means_503_and_no_pixels(county, statements):
    """In a worker that begins, and in one that has served before and looks again."""
    damage(county, *statements)
    county.services.gate._standing.looked -= county.services.settings.trust_seconds + 1
    assert_nothing_is_shown(county)
    assert_nothing_is_shown(House(county.folder, wire(county.services.settings), county.keys))


def test_a_full_disk_means_503_and_no_pixels_and_serving_goes_on_when_there_is_room(county, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("geoserver_app.decision_log.os.write", full)
        assert_nothing_is_shown(county)
    for way in WAYS:
        assert county.get(way, "water").status_code == 200
    assert verify(county.services.settings.decisions, None, ()) == []


def test_the_first_record_of_a_worker_on_a_full_disk(county, monkeypatch):
    county.services.log.close()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("geoserver_app.decision_log.os.write", full)
    assert_nothing_is_shown(county)


def test_a_folder_that_is_gone_or_not_ours_means_503_and_no_pixels(county, monkeypatch, tmp_path):
    county.services.log.close()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(county.services.log, "folder", tmp_path / "file")
    assert_nothing_is_shown(county)
    assert county.get("/readyz").status_code == 503


def test_that_the_record_can_t_be_anchored_is_told_and_stops_nothing(county, monkeypatch):
    assert county.get("/readyz").json == {"status": "ready"}
    monkeypatch.setattr(county.services.log, "_failing", time.monotonic() - 60)
    answer = county.get("/readyz")
    assert answer.status_code == 200 and answer.json["anchors_late_seconds"] >= 60
    assert county.get(TILE, "water").status_code == 200


# -- kill -9

class Client(threading.Thread):
    """Asks for one thing again and again; counts the answers that came whole."""

    def __init__(self, base: str, key: str, path: str, until: threading.Event):
        super().__init__(daemon=True)
        self.place, self.key, self.path, self.until, self.whole = urlsplit(base), key, path, until, 0

    def run(self) -> None:
        connection = None
        while not self.until.is_set():
            try:
                connection = connection or http.client.HTTPConnection(self.place.hostname, self.place.port, timeout=10)
                connection.request("GET", self.path, headers={"X-API-Key": self.key})
                answer = connection.getresponse()
                body = answer.read()                     # raises where less came than was announced
                self.whole += answer.status == 200 and len(body) == int(answer.headers["Content-Length"])
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = None
        if connection:
            connection.close()


def test_kill_9_under_load_leaves_a_record_of_every_answer_and_a_chain_that_holds(county):
    decisions, known = county.services.settings.decisions, len(records(county.services.settings.decisions))
    whole = 0
    for answers in (20, 60, 1):
        base, server = start(county, workers=2)
        over = threading.Event()
        clients = [Client(base, county.keys["water"], way, over) for way in WAYS]
        for client in clients:
            client.start()
        until = time.monotonic() + 30
        while any(client.whole < answers for client in clients) and time.monotonic() < until:
            time.sleep(0.01)
        kill(server)
        over.set()
        for client in clients:
            client.join(30)
        assert all(client.whole >= answers for client in clients)
        whole += sum(client.whole for client in clients)
    served = [one for one in records(decisions)[known:] if one["agency"] == "water"]
    assert whole <= len(served)
    findings = verify(decisions, AuditStore(county.services.database).anchors(), ())
    assert not [one for one in findings if one.is_tampering]


def records(folder) -> list[dict]:
    """Every whole record, by segment in order of their beginning."""
    found = []
    for path in sorted(folder.rglob("*.jsonl")):
        try:
            for event in read_segment(path):
                found.append(event)
        except ValueError:
            lines = path.read_bytes().splitlines(keepends=True)
            assert not lines[-1].endswith(b"\n"), f"{path.name} is broken before its last line"
    return found
