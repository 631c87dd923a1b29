"""Patrol cars of the demo: where each of them is at a moment.

A car drives its beat to and fro; where it is hangs on the clock alone, so it goes on where it was after the demo was stopped.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import shapely

from layers.crs import transform_geometry
from layers.live import LiveRow

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
