"""What moves in the demo: threads that write live layers while it is served, as an agency's own program would."""

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import shapely

from geoserver_app.clock import now
from geoserver_app.live.tables import EDITION, path_of, plan_of
from geoserver_app.model_county.gauges import levels
from geoserver_app.patrols import cars_at, read_beats
from layers.catalogue import Catalogue
from layers.crs import transform_geometry
from layers.errors import CatalogueUnavailable, FeaturesUnavailable
from layers.live import LiveRow, write
from layers.model import LayerName

log = logging.getLogger(__name__)

CARS, LEVELS = "police-cars", "water-levels"
CARS_EVERY, LEVELS_EVERY = 2.0, 10.0
"""Seconds."""

Rows = Callable[[str, datetime], Sequence[LiveRow]]
"""The CRS of a live table and a moment -> what is then in it."""


class Moving:
    """Writes what `rows` says into a live layer, again and again, until it is told to stop."""

    def __init__(self, catalogue: Catalogue, store: Path, layer: str, rows: Rows, every: float, clock: Callable[[], datetime] = now):
        self.catalogue, self.store, self.layer, self.rows, self.every, self.clock = catalogue, store, layer, rows, every, clock
        self._stop = threading.Event()

    def move(self) -> int:
        """Once, everything; returns how many things changed. 0 where the layer is not there any more."""
        found = self.catalogue.snapshot().find(LayerName(self.layer, EDITION))
        if found is None:
            return 0
        plan, moment = plan_of(self.store, found[1]), self.clock()
        return write(path_of(self.store, found[1]), plan, self.rows(plan.crs, moment), now=moment).changed

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._go_on, name=f"moving {self.layer}", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        self._stop.set()

    def _go_on(self) -> None:
        while True:
            try:
                self.move()
            except (OSError, ValueError, sqlite3.Error, CatalogueUnavailable, FeaturesUnavailable) as error:      # the demo goes on without it
                log.warning("%s stands still: %s", self.layer, error)
            if self._stop.wait(self.every):
                return


def cars(path: Path) -> Rows:
    """Of the demo's own file of beats."""
    return lambda crs, moment: cars_at(read_beats(path, crs), moment)


def water_levels(path: Path) -> Rows:
    """Of the demo's own file of gauges, GeoJSON in degrees."""
    def rows(crs: str, moment: datetime) -> list[LiveRow]:
        gauges = [
            (transform_geometry(shapely.from_geojson(json.dumps(one["geometry"])), "CRS:84", crs), one["properties"])
            for one in json.loads(path.read_text("utf-8"))["features"]
        ]
        return [
            LiveRow(object_id=one["id"], moment=moment, place=(one["x"], one["y"]), values=one["properties"], position=number)
            for number, one in enumerate(levels(gauges, moment))
        ]

    return rows
