"""A decision record made for tests of the audit: as many rows as are wanted, on the days that are wanted."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from geoserver_app.clock import SHANGHAI
from geoserver_app.decision_log import DecisionLog, Head

MONDAY = datetime(2026, 11, 23, 9, tzinfo=SHANGHAI)
AGENCIES = ("water", "police", None)


@dataclass
class Kept:
    """Anchors of one test, as a database would keep them."""

    anchors: dict[str, Head] = field(default_factory=dict)

    def anchor(self, heads) -> None:
        self.anchors |= {head.segment: head for head in heads}


def tile_event(agency: str | None, number: int) -> dict:
    return {
        "event": "overlay.decided" if agency else "overlay.unidentified", "agency": agency, "key": "k_00000001" if agency else None, "epoch": 1,
        "layer": "dom", "edition": "2011", "operation": "GetTile", "format": "image/png", "effect": "permit" if number % 5 else "deny",
        "reasons": [["AG-1", 1, "3.1", "granted" if number % 5 else "outside-scale"]], "tms": "WebMercatorQuad", "tile": [14, number, number],
    }


def write_rows(folder: Path, count: int, at: datetime = MONDAY, kept: Kept | None = None, agencies=AGENCIES) -> Path:
    """One segment of a header and `count` rows, closed and anchored; its path."""
    log = DecisionLog(folder, kept, anchor_seconds=3600)
    ids = [log.write(tile_event(agencies[number % len(agencies)], number), at.timestamp() + number) for number in range(count)]
    log.close()
    segment = ids[0].rpartition("-")[0]
    return folder / at.date().isoformat() / f"{segment}.jsonl"


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)
