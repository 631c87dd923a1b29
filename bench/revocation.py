"""How long what was taken back is still served: 8 workers under load, an agreement changed in the register, the last picture each client gets.

Every trial changes one thing (suspended, the agency switched off, an amendment that leaves the place out, one whose term is over) at a
known moment, and then puts it back. Clients keep asking inside tiles, edge tiles, maps and tiles with `If-None-Match` on kept connections;
what is counted is, for each client, how long after the change had been committed it began an exchange that still let something out: a 304, or a
picture other than the constant one of a place that is not granted.
"""

import threading
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import cycle

import numpy as np
import shapely
from harness import CannotMeasure, Connection, Server, Yard, get, machine, main, say, table
from instance import Ground, Instance

from geoserver_app.clock import now
from layers.crs import transform_bounds
from layers.model import Bounds
from tiles.grids import TILE_MATRIX_SETS

WORKERS = 8
CLIENTS_A_KIND = 6
RATE = 240.0
"""Requests a second of all clients together."""

BUDGET, NEVER_AFTER = 2.0, 5.0
"""Seconds (design R6): the 99th percentile, and the very last."""

AGENCY = "water"
ELSEWHERE = (112.0, 30.0)
"""lon, lat: a place outside every agreement."""


@dataclass(slots=True)
class Client:
    """One kept connection that asks the same list of requests, at its own share of the rate."""

    kind: str
    requests: list[bytes]
    blanks: frozenset[bytes]                                                      # what is answered of places that are not granted
    exchanges: list[tuple[float, float, int, bool]] = field(default_factory=list)    # begun, ended (monotonic seconds), status, let something out
    fault: Exception | None = None

    def run(self, port: int, pause: float, stop: threading.Event) -> None:
        try:
            connection, turns = Connection(port), cycle(self.requests)
            while not stop.is_set():
                begun = time.monotonic()
                answer = connection.ask(next(turns))
                lets_out = answer.status == 304 or (answer.status == 200 and answer.body not in self.blanks)
                self.exchanges.append((begun, time.monotonic(), answer.status, lets_out))
                stop.wait(max(0.0, begun + pause - time.monotonic()))
            connection.close()
        except (ConnectionError, TimeoutError) as error:
            self.fault = error


@dataclass(frozen=True, slots=True)
class Change:
    """Something taken back, and how it is put back."""

    name: str
    take: Callable[[], None]
    put_back: Callable[[], None]


def measure(chosen: Namespace) -> dict[str, float]:
    say(machine())
    with Yard() as yard:
        instance = Instance(yard)
        ground = Ground(yard.folder / "delivered", 1)
        instance.add_layer("dom", "DOM", ground.write_dom())
        office = Office(instance, ground)
        server = instance.serve(workers=WORKERS)
        blanks = blanks_of(server, office)
        clients = [Client(kind, requests, blanks) for kind, requests in requests_of(server, office).items() for _ in range(CLIENTS_A_KIND)]
        leaks = under_load(server, clients, office, rounds=2 if chosen.quick else 8)
    return report(leaks, clients)


class Office:
    """The agency, its agreement, and the five ways to take it back."""

    def __init__(self, instance: Instance, ground: Ground):
        self.register, self.ground = instance.register, ground
        self.area = shapely.box(*transform_bounds(Bounds(*ground.bounds), "EPSG:4549", "CRS:84")).buffer(-0.003)
        self.key = instance.add_agency(AGENCY, self.area)
        (self.agreement,) = (one for one in self.register.list() if one.grantee == AGENCY)
        (self.agency,) = (one for one in self.register.agencies() if one.agency_id == AGENCY)

    def changes(self) -> list[Change]:
        return [
            Change("suspended", lambda: self.register.suspend(self.agreement.agreement_id, reason="bench"),
                   lambda: self.register.resume(self.agreement.agreement_id)),
            Change("the agency switched off", lambda: self.register.add_agency(replace(self.agency, is_active=False)),
                   lambda: self.register.add_agency(self.agency)),
            Change("amended to elsewhere", lambda: self._amend(shapely.affinity.translate(self.area, 3, 0)), lambda: self._amend(self.area)),
            Change("its term is over", lambda: self._amend(self.area, until=now() - timedelta(seconds=1)), lambda: self._amend(self.area)),
        ]

    def _amend(self, area: shapely.Geometry, until: datetime | None = None) -> None:
        from agreements.areas import area_on_the_ground

        grant = replace(self.agreement.grants[0], area=area_on_the_ground(area, "bench"))
        term = replace(self.agreement.term, end=until)
        self.agreement = replace(self.agreement, version=self.agreement.version + 1, grants=(grant,), term=term)
        self.register.register(self.agreement, f"# version {self.agreement.version}\n")


def requests_of(server: Server, office: Office) -> dict[str, list[bytes]]:
    """Lists of requests that all let something out while the agreement stands."""
    grid, key = TILE_MATRIX_SETS["WebMercatorQuad"], {"X-API-Key": office.key}
    box = transform_bounds(Bounds(*office.area.bounds), "CRS:84", grid.crs)
    first_row, last_row, first_col, last_col = grid.limits(15, box)
    rows, cols = range(first_row, last_row + 1), range(first_col, last_col + 1)
    on_edge = [(15, row, col) for row in rows for col in cols if row in (first_row, last_row) or col in (first_col, last_col)]
    deep = grid.limits(17, box)
    inside = [(17, row, col) for row in range(deep[0] + 2, deep[1] - 1) for col in range(deep[2] + 2, deep[3] - 1)][:24]
    paths = {
        "inside tile": [f"/tiles/dom/{grid.id}/{z}/{col}/{row}.jpg" for z, row, col in inside],
        "edge tile": [f"/tiles/dom/{grid.id}/{z}/{col}/{row}.png" for z, row, col in on_edge],
        "map": [_map_of(office.area.bounds)],
    }
    requests = {kind: [get(path, key) for path in some] for kind, some in paths.items()}
    requests["304"] = [get(path, key | {"If-None-Match": _etag(server, path, key)}) for path in paths["inside tile"]]
    _check(server, requests)
    return requests


def blanks_of(server: Server, office: Office) -> frozenset[bytes]:
    """The constant answers, by asking of a place that nobody granted."""
    grid, (lon, lat) = TILE_MATRIX_SETS["WebMercatorQuad"], ELSEWHERE
    row, _, col, _ = grid.limits(15, transform_bounds(Bounds(lon, lat, lon + 1e-6, lat + 1e-6), "CRS:84", grid.crs))
    paths = [f"/tiles/dom/{grid.id}/15/{col}/{row}.{extension}" for extension in ("jpg", "png")]
    paths.append(_map_of((lon, lat, lon + 0.1, lat + 0.1)))
    connection = Connection(server.port)
    answers = [connection.ask(get(path, {"X-API-Key": office.key})) for path in paths]
    connection.close()
    if {answer.status for answer in answers} != {200}:
        raise CannotMeasure(f"a place that is not granted is answered {[answer.status for answer in answers]}, not by a constant picture")
    return frozenset(answer.body for answer in answers)


def _map_of(bounds: tuple[float, float, float, float]) -> str:
    box = ",".join(f"{v:.6f}" for v in bounds)
    return f"/ows?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetMap&LAYERS=dom&STYLES=&SRS=CRS:84&BBOX={box}&WIDTH=128&HEIGHT=128&FORMAT=image/jpeg"


def _etag(server: Server, path: str, key: dict[str, str]) -> str:
    from urllib.request import Request, urlopen

    with urlopen(Request(f"http://127.0.0.1:{server.port}{path}", headers=key), timeout=60) as answer:
        return answer.headers["ETag"]


def _check(server: Server, requests: dict[str, list[bytes]]) -> None:
    connection = Connection(server.port)
    for kind, some in requests.items():
        statuses = {connection.ask(request).status for request in some}
        if statuses != {304 if kind == "304" else 200}:
            raise CannotMeasure(f"{kind}: answered {statuses} before anything was taken back")
    connection.close()


def under_load(server: Server, clients: list[Client], office: Office, rounds: int) -> dict[str, list[float]]:
    """Seconds for which each client was still served after each change: one value a client and trial, by the change's name."""
    stop, threads = threading.Event(), []
    pause = len(clients) / RATE
    for client in clients:
        threads.append(threading.Thread(target=client.run, args=(server.port, pause, stop), daemon=True))
        threads[-1].start()
        time.sleep(pause / len(clients))
    leaks: dict[str, list[float]] = {}
    try:
        for _ in range(rounds):
            for change in office.changes():
                leaks.setdefault(change.name, []).extend(_trial(clients, change))
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    if faults := [client.fault for client in clients if client.fault]:
        raise CannotMeasure(f"{len(faults)} clients broke off: {faults[0]}; {server.tail()}")
    return leaks


def _trial(clients: list[Client], change: Change) -> list[float]:
    time.sleep(1.0)
    change.take()
    committed = time.monotonic()
    time.sleep(NEVER_AFTER + 1.0)
    over = time.monotonic()
    change.put_back()
    leaks = []
    for client in clients:
        after = [(begun, lets_out) for begun, _, _, lets_out in list(client.exchanges) if committed < begun < over]
        if all(lets_out for _, lets_out in after):
            raise CannotMeasure(f"{change.name}: a client ({client.kind}) was never refused")
        leaks.append(max((begun - committed for begun, lets_out in after if lets_out), default=0.0))
    _await_again(clients)
    return leaks


def _await_again(clients: list[Client]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if all(client.exchanges[-1][3] for client in clients):
            return
        time.sleep(0.1)
    raise CannotMeasure("what was put back is not served again")


def report(leaks: dict[str, list[float]], clients: list[Client]) -> dict[str, float]:
    everything = np.array([value for values in leaks.values() for value in values])
    seconds = max(ended for client in clients for _, ended, *_ in client.exchanges) - min(begun for client in clients for begun, *_ in client.exchanges)
    statuses = Counter(status for client in clients for _, _, status, _ in client.exchanges)
    say(f"{WORKERS} workers, {sum(statuses.values()) / seconds:.0f} requests/s over {seconds:.0f} s, statuses {dict(sorted(statuses.items()))}")
    table(["taken back: seconds still served", "clients", "p50", "p99", "most"], [
        [name, len(values), *np.percentile(values, (50, 99)), max(values)] for name, values in leaks.items()
    ] + [["all", len(everything), *np.percentile(everything, (50, 99)), everything.max()]])
    counts, edges = np.histogram(everything, bins=np.arange(0, max(0.5, everything.max()) + 0.1, 0.1))
    say("\n".join(f"  {low:4.1f}-{low + 0.1:4.1f} s  {'#' * int(np.ceil(60 * count / max(counts.max(), 1)))} {count}" for low, count in zip(edges, counts, strict=False)))
    if everything.max() > NEVER_AFTER:
        raise CannotMeasure(f"something was let out {everything.max():.1f} s after it was taken back")
    return {
        "revocation_p99_bar": BUDGET / max(float(np.percentile(everything, 99)), 1e-3), "revocation_last_bar": NEVER_AFTER / max(float(everything.max()), 1e-3),
        "load_bar": sum(statuses.values()) / seconds / 200,
    }


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0])
