"""Live layers: 5,000 moving points, 500 updates a second in batches, 100 viewers - how late an event comes, what it costs, and what it does to other
requests, which go on all the while.

    .venv/bin/python bench/live.py [--quick] [--json]

Half of the viewers are of an agency that is granted half of the ground, so that they are told cut. Latency is from just before a batch is sent to when a
viewer holds the event, one clock for both. The bars are our own: nothing comparable is at hand that would cut by a grant.
"""

import json
import multiprocessing
import random
import re
import selectors
import socket
import threading
import time
from argparse import Namespace
from statistics import median
from urllib.request import Request, urlopen

import numpy as np
import shapely
from harness import CannotMeasure, Connection, Server, Yard, get, machine, main, say, table
from instance import CRS, Ground, Instance

from layers.crs import transform_geometry

POINTS, UPDATES, BATCH, VIEWERS = 5_000, 500, 100, 100
ASKED_A_SECOND = 20
LATENCY_BAR, OTHERS_BAR = 2.0, 0.1
"""Seconds, 99th percentiles: of an event; what other requests may take longer while all that goes on."""

SENT = re.compile(rb'"sent":([0-9.]+)')
FIELDS = [{"name": "sent", "type": "number"}, {"name": "status"}]


def measure(chosen: Namespace) -> dict[str, float]:
    say(machine())
    with Yard() as yard:
        instance = Instance(yard)
        ground = Ground(yard.folder / "delivered", 1)
        instance.add_layer("dom", "DOM", ground.write_dom())
        earth = transform_geometry(shapely.box(*ground.bounds), CRS, "CRS:84")
        west, south, east, north = earth.bounds
        half = shapely.box(west, south, (west + east) / 2, north)
        instance.add_agency("mover")
        keys = {"mover": instance.register.issue_key("mover", label="bench")[1], "half": _viewing(instance, half)}
        server = instance.serve()
        _make(server, keys["mover"])
        mover = Mover(server.port, keys["mover"], (west, south, east, north))
        mover.fill()
        seconds = 10 if chosen.quick else 30
        path = instance_path(ground)
        alone = others(server, keys_of_bureau(instance), path, seconds / 2)
        ratios = {}
        rows = []
        for every in (1.0, 0.25):
            result = crowd(server, mover, keys, keys_of_bureau(instance), path, every, seconds)
            rows.append([f"every {every:g} s", *result["row"]])
            ratios[f"live_latency_bar_{every:g}s"] = LATENCY_BAR / result["p99"]
            ratios[f"live_others_bar_{every:g}s"] = OTHERS_BAR / max(result["others_p99"] - alone[1], 0.001)
    say(f"\nother requests with nothing else going on: p50 {alone[0] * 1000:.1f} ms, p99 {alone[1] * 1000:.1f} ms")
    table(
        ["viewers told", "events p50 s", "p99 s", "batches p50 ms", "p99 ms", "updates/s", "told/s", "MB/s", "cpu %", "others p50 ms", "p99 ms"], rows,
    )
    return ratios


def _viewing(instance: Instance, area) -> str:
    from agreements.areas import area_on_the_ground
    from agreements.model import Agency, Agreement, Grant, Operation, Term
    from geoserver_app.clock import now

    instance.register.add_agency(Agency(agency_id="half", name_zh="half", name_en="half"))
    grants = (Grant(clause="3.1", layers=frozenset({"mover-cars"}), operations=frozenset({Operation.GET_FEATURE}), area=area_on_the_ground(area, "half")),)
    instance.register.register(Agreement(
        agreement_id="AG-LIVE", version=1, title="bench", grantor="mover", grantee="half", term=Term(start=now()), grants=grants, contact="bench",
    ), "")
    return instance.register.issue_key("half", label="bench")[1]


def keys_of_bureau(instance: Instance) -> str:
    return instance.owner_key


def instance_path(ground: Ground) -> str:
    left, bottom, right, top = ground.bounds
    return (f"/ows?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetMap&LAYERS=dom&STYLES=&SRS={CRS}&FORMAT=image/jpeg&WIDTH=256&HEIGHT=256&BBOX="
            f"{left + 300},{bottom + 300},{left + 812},{bottom + 812}")


def _make(server: Server, key: str) -> None:
    body = {"name": "mover-cars", "title_zh": "x", "title_en": "x", "fields": FIELDS, "expiry_seconds": 3600}
    _call(server.port, "POST", "/api/v1/live", key, body)


def _call(port: int, method: str, path: str, key: str, body: dict) -> dict:
    request = Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"X-API-Key": key, "Content-Type": "application/json"}, method=method)
    with urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


class Mover:
    """5,000 points on their ways; a batch moves a hundred of them, each in its turn."""

    def __init__(self, port: int, key: str, ground: tuple[float, float, float, float]):
        self.port, self.key, self.ground = port, key, ground
        chance = random.Random(1)
        west, south, east, north = ground
        self.places = [[chance.uniform(west, east), chance.uniform(south, north)] for _ in range(POINTS)]
        self.ways = [[chance.uniform(-2e-4, 2e-4), chance.uniform(-2e-4, 2e-4)] for _ in range(POINTS)]
        self.turn, self.taken, self.rows = 0, [], 0

    def fill(self) -> None:
        self._send(range(POINTS))

    def batch(self) -> None:
        numbers = [(self.turn + one) % POINTS for one in range(BATCH)]
        self.turn = (self.turn + BATCH) % POINTS
        west, south, east, north = self.ground
        for number in numbers:
            place, way = self.places[number], self.ways[number]
            for axis, (low, high) in enumerate(((west, east), (south, north))):
                if not low < place[axis] + way[axis] < high:
                    way[axis] = -way[axis]
                place[axis] += way[axis]
        began = time.time()
        changed = self._send(numbers)
        self.rows += changed
        self.taken.append(time.time() - began)

    def _send(self, numbers) -> int:
        sent = time.time()
        objects = [
            {"id": f"c{number}", "lon": self.places[number][0], "lat": self.places[number][1], "properties": {"sent": sent, "status": "free"}}
            for number in numbers
        ]
        return _call(self.port, "PATCH", "/api/v1/live/mover-cars", self.key, {"objects": objects})["changed"]

    def run(self, stop: threading.Event) -> None:
        due = time.monotonic()
        while not stop.is_set():
            self.batch()
            due += BATCH / UPDATES
            stop.wait(max(due - time.monotonic(), 0))


def watch(port: int, keys: list[str], every: float, seconds: float, ready, go, found) -> None:
    """All viewers in one process of their own: reads what comes, and of every tenth how late it is."""
    selector, sockets = selectors.DefaultSelector(), []
    for number, key in enumerate(keys):
        link = socket.create_connection(("127.0.0.1", port))
        link.sendall(f"GET /live/mover-cars/events?every={every:g} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {key}\r\n\r\n".encode())
        link.setblocking(False)
        selector.register(link, selectors.EVENT_READ, number)
        sockets.append(link)
    bytes_read, told, late, started, heard = 0, 0, [], None, set()
    deadline = time.monotonic() + seconds + 40
    while time.monotonic() < deadline:
        for chosen, _ in selector.select(0.1):
            data = chosen.fileobj.recv(1 << 18)
            if not data:
                raise SystemExit("a stream ended")
            now = time.time()
            heard.add(chosen.data)
            if started is None:
                continue
            bytes_read += len(data)
            moments = SENT.findall(data) if chosen.data % 10 in (0, 1) else ()
            told += 5 * len(moments)
            late += [now - sent for moment in moments if (sent := float(moment)) >= started]
        if started is None and len(heard) == len(keys) and not ready.is_set():
            ready.set()
        if started is None and go.is_set():
            started = time.time()
            deadline = time.monotonic() + seconds
    found.put((bytes_read, told, late, len(heard)))


def crowd(server: Server, mover: Mover, keys: dict[str, str], owner: str, path: str, every: float, seconds: float) -> dict:
    context = multiprocessing.get_context("fork")
    ready, go, found = context.Event(), context.Event(), context.Queue()
    who = [keys["mover"] if number % 2 else keys["half"] for number in range(VIEWERS)]
    viewers = context.Process(target=watch, args=(server.port, who, every, seconds, ready, go, found))
    viewers.start()
    if not ready.wait(60):
        viewers.terminate()
        raise CannotMeasure("not all viewers were told anything within 60 s")
    stop = threading.Event()
    mover.taken, mover.rows = [], 0
    writer = threading.Thread(target=mover.run, args=(stop,))
    writer.start()
    time.sleep(2)
    go.set()
    mover.rows, cpu, began = 0, server.cpu_seconds(), time.monotonic()
    asked = others(server, owner, path, seconds - 1)
    spent, wall, rows = server.cpu_seconds() - cpu, time.monotonic() - began, mover.rows
    bytes_read, told, late, heard = found.get(timeout=60)
    stop.set()
    writer.join()
    viewers.join(10)
    if heard < VIEWERS or not late:
        raise CannotMeasure(f"only {heard} viewers were told anything")
    p50, p99 = np.percentile(late, [50, 99])
    return {"p99": p99, "others_p99": asked[1], "row": [
        p50, p99, 1000 * median(mover.taken), 1000 * float(np.percentile(mover.taken, 99)), rows / wall, told / seconds, bytes_read / seconds / 1e6,
        100 * spent / wall, 1000 * asked[0], 1000 * asked[1],
    ]}


def others(server: Server, key: str, path: str, seconds: float) -> tuple[float, float]:
    """Median and 99th percentile of a small map that is asked 20 times a second over two connections."""
    taken, request = [], get(f"{path}&key={key}")
    connection = Connection(server.port)
    deadline, due = time.monotonic() + seconds, time.monotonic()
    while time.monotonic() < deadline:
        began = time.monotonic()
        answer = connection.ask(request)
        if answer.status != 200:
            raise CannotMeasure(f"a map was answered with {answer.status}")
        taken.append(time.monotonic() - began)
        due += 1 / ASKED_A_SECOND
        time.sleep(max(due - time.monotonic(), 0))
    connection.close()
    return tuple(np.percentile(taken, [50, 99]).tolist())


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0])
