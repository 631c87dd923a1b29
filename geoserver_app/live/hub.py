"""What changed in live tables, read once for all viewers of a worker, and told once for all of them who may see the same.

A hub has no thread and no subscribers: whoever looks first reads what is new, and the others of that moment find it. What is told under one permit of one
window of changes is kept for a moment, so that a hundred viewers of one agency cost one cut and one text.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import shapely

from geoserver_app.features.ids import FeatureIds
from geoserver_app.live.tables import path_of, plan_of
from layers.crs import transformer
from layers.live.journal import Rows, Window, changes_since, read_only, snapshot, stamp_of
from layers.live.writing import JOURNAL_SECONDS
from layers.model import Bounds, Edition
from tiles.permits import Permit
from tiles.vector.granted import Told, told

WINDOWS_KEPT, TOLD_KEPT = 16, 64
DIGITS = 7
"""Of a degree: a centimetre."""

FEATURES_AT_ONCE = 1000
"""Of one event: a browser parses an event whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What one permit lets be told of a window, or of everything: events as bytes without their id, the places (CRS84) that are told, `until`
    the stamp up to which it reaches, and `last` that of the last change that is told: a viewer is given no other."""

    events: tuple[bytes, ...]
    places: tuple[tuple[float, float], ...]
    gone: int
    until: int
    last: int

    @property
    def is_empty(self) -> bool:
        return not self.events


def shows(permit: Permit) -> tuple:
    """Names what a permit lets be told: permits alike in it are told alike."""
    return permit.mark, permit.pieces, permit.area and permit.area.digest


class Hub:
    """The changes of one edition of one live layer."""

    def __init__(self, store: Path, edition: Edition, ids: FeatureIds):
        self.edition, self.table, self.ids = edition, edition.classes[0], ids
        self.plan = plan_of(store, edition)
        self._connection = read_only(path_of(store, edition))
        self._windows: OrderedDict[tuple[int, int], Window] = OrderedDict()
        self._told: OrderedDict[tuple, Telling] = OrderedDict()
        self._reading, self._telling = threading.Lock(), threading.Lock()

    def stamp(self) -> int:
        """Of the last change. Raises FeaturesUnavailable."""
        with self._reading:
            return stamp_of(self._connection)

    def since(self, stamp: int, permit: Permit, box: Bounds | None) -> Telling:
        """What changed after `stamp`, as the permit tells it; `box` (CRS of the edition) is all that the viewer looks at.

        Raises
        ------
        JournalTooShort, FeaturesUnavailable
        """
        with self._reading:
            until = stamp_of(self._connection)
            if until <= stamp:
                return Telling(events=(), places=(), gone=0, until=stamp, last=stamp)
            window = self._windows.get((stamp, until))
            if window is None:
                window = changes_since(self._connection, self.plan, stamp)
                _keep(self._windows, (stamp, window.until), window, WINDOWS_KEPT)
        return self._kept(("since", stamp, window.until, shows(permit), box), lambda: self._tell(window, permit, box))

    def everything(self, permit: Permit, box: Bounds | None) -> Telling:
        """All that is there now, as the permit tells it. Raises FeaturesUnavailable."""
        stamp = self.stamp()

        def read() -> Telling:
            with self._reading:
                at, rows, stamps = snapshot(self._connection, self.plan)
            ids, features, places = self._features(rows, permit, box)
            # of what is told nothing is in the journal: then any moment that the journal still holds does
            last = max((stamps[key] for key in ids.values() if key in stamps), default=int((time.time() - JOURNAL_SECONDS / 2) * 1e6))
            events = [event("reset", {})]
            events += [event("changed", {"features": some, "gone": []}) for some in _some(list(features.values()))]
            return Telling(events=tuple(events), places=places, gone=0, until=at, last=last)

        return self._kept(("everything", stamp, shows(permit), box), read)

    def _kept(self, name: tuple, make) -> Telling:
        with self._telling:                 # one works, those who want the same wait for it
            found = self._told.get(name)
            if found is None:
                found = make()
                _keep(self._told, name, found, TOLD_KEPT)
            return found

    def _tell(self, window: Window, permit: Permit, box: Bounds | None) -> Telling:
        """What is told of a thing now, and is not what was told of it before; gone is what was told before and is not told now, whether it left the ground,
        the rows or the world."""
        now, features, places = self._features(window.after, permit, box)
        before, earlier, _ = self._features(window.before, permit, box)
        fresh = [name for name in now if features[name] != earlier.get(name)]
        gone = [name for name in before if name not in features]
        places = tuple(place for name, place in zip(now, places, strict=True) if features[name] != earlier.get(name))
        events = [event("changed", {"features": some, "gone": []}) for some in _some([features[name] for name in fresh])]
        if gone:
            first = {"features": [], "gone": gone}
            if len(fresh) <= FEATURES_AT_ONCE:
                first, events = {"features": [features[name] for name in fresh], "gone": gone}, []
            events.append(event("changed", first))
        stamps = {one.key: one.stamp for one in window.changes}
        last = max((stamps[key] for key in [*(now[name] for name in fresh), *(before[name] for name in gone)]), default=window.since)
        return Telling(events=tuple(events), places=places, gone=len(gone), until=window.until, last=last)

    def _features(self, rows: Rows, permit: Permit, box: Bounds | None) -> tuple[dict[str, int], dict[str, orjson.Fragment], tuple]:
        """Names in order with their keys, GeoJSON by name, places: of all that is told."""
        names, found, places = {}, {}, []
        for batch in told(permit, rows, self.table, box=box):
            some = self.ids.of(self.edition.layer, self.table.name, batch.keys, batch.parts)
            x, y = self._on_earth(batch)
            names |= zip(some, batch.keys.tolist(), strict=True)
            places += list(zip(x, y, strict=True))
            columns = list(batch.columns)
            for name, lon, lat, *values in zip(some, x, y, *batch.columns.values(), strict=True):
                found[name] = _Text(orjson.dumps({
                    "type": "Feature", "id": name, "geometry": {"type": "Point", "coordinates": [lon, lat]},
                    "properties": dict(zip(columns, values, strict=True)),
                }))
        return names, found, tuple(places)

    def _on_earth(self, batch: Told) -> tuple[list[float], list[float]]:
        x, y = shapely.get_x(batch.shapes), shapely.get_y(batch.shapes)
        if self.edition.crs not in ("EPSG:4490", "CRS:84"):
            x, y = transformer(self.edition.crs, "CRS:84").transform(x, y)
        return np.round(x, DIGITS).tolist(), np.round(y, DIGITS).tolist()


class _Text(bytes):
    """JSON text that is ready: equal where the text is."""


def event(name: str, data: object) -> bytes:
    """One event without its id (HTML, 9.2.6)."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data, default=lambda text: orjson.Fragment(bytes(text))) + b"\n"


def _some(features: Sequence) -> list[list]:
    return [list(features[start : start + FEATURES_AT_ONCE]) for start in range(0, len(features), FEATURES_AT_ONCE)]


def _keep(memory: OrderedDict, key: tuple, value: object, most: int) -> None:
    memory[key] = value
    while len(memory) > most:
        memory.popitem(last=False)


class Hubs:
    """One for each edition that is watched. Safe to share by threads."""

    MOST = 64

    def __init__(self, store: Path, ids: FeatureIds):
        self._store, self._ids = store, ids
        self._hubs: OrderedDict[tuple[int, int], Hub] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, edition: Edition) -> Hub:
        """Raises FeaturesUnavailable."""
        key = edition.edition_id, edition.generation
        with self._lock:
            if key not in self._hubs:
                self._hubs[key] = Hub(self._store, edition, self._ids)
                while len(self._hubs) > self.MOST:
                    self._hubs.popitem(last=False)
            self._hubs.move_to_end(key)
            return self._hubs[key]
