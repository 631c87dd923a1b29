"""Patrol cars of the demo: where each of them is at a moment, and a thread that writes it into the live layer as an agency's program would.

A car drives its beat to and fro; where it is hangs on the clock alone, so it goes on where it was after the demo was stopped.
"""

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import shapely

from geoserver_app.clock import now
from geoserver_app.live.tables import EDITION, path_of, plan_of
from layers.catalogue import Catalogue
from layers.crs import transform_geometry
from layers.errors import CatalogueUnavailable, FeaturesUnavailable
from layers.live import LiveRow, write
from layers.model import LayerName

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
SPEEDS = (7.0, 13.0)
"""Metres a second, from the slowest to the fastest car."""

SPELL = 240
"""Seconds for which a car is at one thing."""

FREE, BUSY, RESCUE = "free", "busy", "rescue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """`line` is in the CRS of the layer that the car is written into, where a metre is a metre."""

    unit: str
    station: str
    line: shapely.LineString


def read_beats(path: Path, crs: str) -> list[Beat]:
    """Of the demo's own file, GeoJSON in degrees."""
    return [
        Beat(
            unit=one["properties"]["UNIT"], station=one["properties"]["STATION"],
            line=transform_geometry(shapely.from_geojson(json.dumps(one["geometry"])), "CRS:84", crs),
        ) for one in json.loads(path.read_text("utf-8"))["features"]
    ]


def cars_at(beats: Sequence[Beat], moment: datetime) -> list[LiveRow]:
    """Every car at that moment, with what it is doing."""
    seconds = moment.timestamp()
    return [
        LiveRow(
            object_id=beat.unit, moment=moment, place=_place(beat, seconds), position=number,
            values={"UNIT": beat.unit, "STATION": beat.station, "STATUS": _status(beat, seconds), "CREW": 2 + int(2 * _lot(beat.unit))},
        ) for number, beat in enumerate(beats)
    ]


def _place(beat: Beat, seconds: float) -> tuple[float, float]:
    slow, fast = SPEEDS
    way = (slow + (fast - slow) * _lot(beat.unit)) * seconds % (2 * beat.line.length)
    point = beat.line.interpolate(way if way <= beat.line.length else 2 * beat.line.length - way)
    return point.x, point.y


def _status(beat: Beat, seconds: float) -> str:
    lot = _lot(f"{beat.unit} {int((seconds + SPELL * _lot(beat.unit)) // SPELL)}")
    return FREE if lot < 0.6 else BUSY if lot < 0.82 else RESCUE


def _lot(text: str) -> float:
    """From 0 to 1, always the same for a text."""
    return int.from_bytes(sha256(text.encode()).digest()[:4]) / 2**32


class Patrols:
    """Writes the cars into a live layer, again and again, until it is told to stop."""

    def __init__(self, catalogue: Catalogue, store: Path, layer: str, beats: Path, clock: Callable[[], datetime] = now):
        self.catalogue, self.store, self.layer, self.beats, self.clock = catalogue, store, layer, beats, clock
        self._stop = threading.Event()

    def drive(self) -> int:
        """Once, all cars; returns how many moved. 0 where the layer is not there any more."""
        found = self.catalogue.snapshot().find(LayerName(self.layer, EDITION))
        if found is None:
            return 0
        plan = plan_of(self.store, found[1])
        moment = self.clock()
        return write(path_of(self.store, found[1]), plan, cars_at(read_beats(self.beats, plan.crs), moment), now=moment).changed

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._drive, name="patrol-cars", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        self._stop.set()

    def _drive(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            try:
                self.drive()
            except (OSError, sqlite3.Error, CatalogueUnavailable, FeaturesUnavailable) as error:      # the demo goes on without cars
                log.warning("patrol cars stand still: %s", error)
