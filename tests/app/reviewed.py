"""What a review is made from, with half a year of made-up traffic; and how to read a pack that was printed."""

import json
import re
from dataclasses import dataclass, field
from datetime import date, datetime
from html.parser import HTMLParser
from pathlib import Path

import sqlalchemy

from geoserver_app.clock import SHANGHAI
from geoserver_app.contributions import ContributionBook, metadata
from geoserver_app.decision_log import HEADER, DecisionLog
from geoserver_app.review.archive import Archive
from geoserver_app.settings import ROOT
from tests.app.made_traffic import Traffic

FIRST, LAST = date(2026, 4, 1), date(2026, 9, 30)
MADE = datetime(2026, 10, 8, 10, tzinfo=SHANGHAI)
WATER = "AG-2011-003"


@dataclass
class Reviewed:
    traffic: Traffic
    book: ContributionBook

    @property
    def folder(self) -> Path:
        return self.traffic.folder

    @property
    def archive(self) -> Archive:
        return Archive(
            decisions=self.folder, config=ROOT / "config", register=self.traffic.register, catalogue=self.traffic.catalogue, book=self.book, at=MADE,
        )

    def records(self) -> list[dict]:
        """Every record on disk, parsed by nobody else."""
        lines = [line for path in sorted(self.folder.rglob("*.jsonl")) for line in path.read_text("utf-8").splitlines()]
        return [record for record in map(json.loads, lines) if record["event"] != HEADER]


def reviewed(folder: Path) -> Reviewed:
    """With the sample agreements, and the book of contributions in memory; nothing has happened yet."""
    traffic = Traffic(folder / "decisions")
    database = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool, connect_args={"check_same_thread": False})
    metadata.create_all(database)
    return Reviewed(traffic, ContributionBook(database, traffic.register, DecisionLog(traffic.folder), lambda: traffic.now))


def layers_of(record: dict) -> list[dict]:
    """Of a record of maps or of one tile."""
    return record.get("layers") or ([record] if "layer" in record else [])


def days_of(record: dict) -> date:
    return datetime.fromisoformat(record["at"]).astimezone(SHANGHAI).date()


# A printed pack

@dataclass
class Printed:
    """A block of a page: `kind` is table, dl, figure, p, h2, h3 or pre; `rows` of a table with its headings first, pairs of a dl."""

    kind: str
    text: str = ""
    rows: list[list[str]] = field(default_factory=list)


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.blocks: list[Printed] = []
        self._open: list[str] = []

    def handle_starttag(self, tag, attributes):
        self._open.append(tag)
        if tag in ("table", "dl", "figure", "p", "h2", "h3", "pre") and not {"figure", "table"} & set(self._open[:-1]):
            self.blocks.append(Printed(tag))
        if tag == "tr" or tag == "dt":
            self.blocks[-1].rows.append([])
        if tag in ("td", "th", "dt", "dd"):
            self.blocks[-1].rows[-1].append("")

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if not self.blocks or {"summary", "style", "title"} & set(self._open):
            return
        block = self.blocks[-1]
        if block.kind in ("table", "dl"):
            if {"td", "th", "dt", "dd"} & set(self._open):
                block.rows[-1][-1] += data
        elif block.kind in self._open:
            block.text += data


def printed(page: str) -> list[Printed]:
    reader = _Page()
    reader.feed(re.sub(r"<(col|meta|hr)[^>]*>", "", page))
    return [block for block in reader.blocks if block.text.strip() or block.rows]
