"""One viewer's stream: decided anew before everything that is told, counted before it leaves, ended when nothing is granted any more.

The viewer gets a place in time, one of `every` seconds, and at each of its turns all that changed since the last one: who reads slowly skips what lay
between, and gets the newest. Nothing is queued for anybody.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson

from agreements.model import Operation
from geoserver_app.charging import Tally
from geoserver_app.decision_log import DecisionLogUnavailable
from geoserver_app.gate import Asked, Drawn, NotTrusted, OverQuota, Refused
from geoserver_app.identity import Caller, Unidentified
from geoserver_app.live.hub import Hubs, Telling, shows
from geoserver_app.metering.ledger import MeteringUnavailable
from geoserver_app.wiring import Services
from layers.crs import transform_bounds
from layers.errors import CatalogueUnavailable, FeaturesUnavailable
from layers.live import JournalTooShort
from layers.model import Bounds, LayerName, ProductType, Source
from tiles.errors import RequestInvalid
from tiles.permits import Permit

GEOJSON = "application/geo+json"
EVENT_STREAM = "text/event-stream"
LEAST, MOST, USUAL = 0.25, 60.0, 1.0
"""Seconds between two turns of a viewer."""

DECIDED_WITHIN = 1.5
"""Seconds after which it is decided anew where nothing is to be told: with the gate's own look, two."""

HEARTBEAT = 10.0
SLOT = 0.125
"""Turns lie on a grid of so many seconds, so that viewers who look at one moment share what is read and told."""

COME_BACK_MILLISECONDS = 3_000
REFUSING = (Refused, Unidentified)
UNAVAILABLE = (NotTrusted, CatalogueUnavailable, DecisionLogUnavailable, MeteringUnavailable, FeaturesUnavailable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a viewer asks. `box` is CRS84, None everywhere; `last` the id of the last event that it has."""

    layer: LayerName
    every: float = USUAL
    box: Bounds | None = None
    last: int | None = None


class Viewer:
    """One stream. `start` raises what any request would be answered; after it, `events` ends by itself where nothing may be told any more."""

    def __init__(self, services: Services, hubs: Hubs, caller: Caller, watched: Watched, again: Callable[[], Caller]):
        self.services, self.hubs, self.caller, self.watched, self.again = services, hubs, caller, watched, again
        self.asked = Asked(layer=watched.layer, operation=Operation.GET_FEATURE, format=GEOJSON, crs="CRS:84", is_in_full=True)
        self.since, self.shown = watched.last, None
        self.headers: list[tuple[str, str]] = []
        self._told_at = 0.0

    def start(self) -> bytes:
        """What the viewer sees first: what changed since the last event that it has, where that is still known, else everything."""
        told = None
        if self.since is not None:
            try:
                told = self._serve(lambda permit: self._hub(permit).since(self.since, permit, self._box(permit)))
            except JournalTooShort:
                told = None
        if told is None:
            told = self._everything()
        self._told_at = time.monotonic()
        return b"retry: %d\n\n" % COME_BACK_MILLISECONDS + self._ready(told)

    def events(self, first: bytes, is_ended: Callable[[], bool] = lambda: False) -> Iterator[bytes]:
        yield first
        due = self._after(time.time())
        while not is_ended():
            is_due = self._wait(due)
            try:
                if is_due:
                    due, some = self._after(due), self._turn()
                else:
                    self._permit()
                    some = b""
            except OverQuota as error:
                yield self._end(error.opens, "over-quota")
                return
            except REFUSING as error:
                yield self._end(None, "not-granted" if isinstance(error, Refused) else "key-unknown")
                return
            except UNAVAILABLE:
                yield self._end(COME_BACK_MILLISECONDS / 1000, "not-trusted")
                return
            if some:
                self._told_at = time.monotonic()
                yield some
            elif time.monotonic() - self._told_at >= HEARTBEAT:
                self._told_at = time.monotonic()
                yield b":\n\n"

    # -- turns

    def _after(self, turn: float) -> float:
        """The next turn of this viewer that is not over yet; a slow one loses turns, never the newest of what there is to tell."""
        return turn + max(1, math.ceil((time.time() - turn) / self.watched.every)) * self.watched.every

    @staticmethod
    def _wait(due: float) -> bool:
        """Until a turn, or for as long as may pass between two decisions; whether it is the turn."""
        pause = math.ceil(due / SLOT) * SLOT - time.time()
        time.sleep(min(max(pause, 0.0), DECIDED_WITHIN))
        return pause <= DECIDED_WITHIN

    def _turn(self) -> bytes:
        permit = self._permit()
        if shows(permit) != self.shown:                  # what is granted has changed: nothing that was told before holds
            return self._ready(self._everything())
        hub = self._hub(permit)
        try:
            ready = hub.since(self.since, permit, self._box(permit))
        except JournalTooShort:
            return self._ready(self._everything())
        if ready.is_empty:
            self.since = ready.until
            return b""
        since = self.since
        return self._ready(self._serve(lambda permit: self._hub(permit).since(since, permit, self._box(permit))))

    def _permit(self) -> Permit:
        """Decided anew, by who holds the key now. Nothing leaves by this, and nothing is recorded but a refusal."""
        gate = self.services.gate
        self.caller = self.again()
        ruling = gate.decide(gate.standing(), self.caller, self.asked, gate.clock())
        return gate.permits(self.caller, [self.asked])[0] if ruling.is_denied else gate.permit(self.caller, ruling)

    def _everything(self) -> Telling:
        told = self._serve(lambda permit: self._hub(permit).everything(permit, self._box(permit)))
        return told

    def _serve(self, tell: Callable[[Permit], Telling]) -> Telling:
        """Decided, counted and recorded; what is told by it may leave."""
        found: list[tuple[Permit, Telling]] = []

        def draw(permits: list[Permit]) -> Drawn:
            permit = permits[0]
            live_only(permit)
            telling = tell(permit)
            found[:] = [(permit, telling)]
            tally = Tally(points=telling.places) if telling.places else None
            return Drawn(body=b"".join(telling.events), content_type=EVENT_STREAM, tallies=(tally,))

        served = self.services.gate.serve(self.caller, [self.asked], draw)
        self.headers = list(served.headers)
        permit, telling = found[0]
        if self.shown is None or telling.events[:1] == (RESET,):
            self.shown = shows(permit)
        self.since = telling.until
        return telling

    def _hub(self, permit: Permit):
        return self.hubs.of(permit.edition)

    def _box(self, permit: Permit) -> Bounds | None:
        if self.watched.box is None:
            return None
        return self.watched.box if permit.edition.crs in ("CRS:84", "EPSG:4490") else transform_bounds(self.watched.box, "CRS:84", permit.edition.crs)

    # -- events

    def _ready(self, telling: Telling) -> bytes:
        """The events, the last of them with the id from which the viewer may go on: what came before it is not whole."""
        if telling.is_empty:
            return b""
        *others, last = telling.events
        return b"".join(one + b"\n" for one in others) + last + b"id: %d\n\n" % telling.last

    def _end(self, opens: float | None, code: str) -> bytes:
        """Says why, and when to come back. A browser asks again by itself, and is answered what anybody would be."""
        seconds = b"" if opens is None else b"retry: %d\n" % max(int(opens * 1000), 1000)
        return seconds + b"event: end\ndata: " + orjson.dumps({"code": code}) + b"\n\n"


RESET = b"event: reset\ndata: {}\n"


def live_only(permit: Permit) -> None:
    """Raises RequestInvalid where the layer is not live; asked after the gate, so it tells nothing of layers that are not shared."""
    edition = permit.edition
    if edition.product is not ProductType.OVERLAY or edition.source is not Source.LIVE:
        detail = {"layer": edition.layer}
        raise RequestInvalid("InvalidParameterValue", "layer", f"layer `{edition.layer}` is no live layer", fault="live-not-live", detail=detail)


