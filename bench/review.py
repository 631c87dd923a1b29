"""How long a review takes over a million records: the columns made once, then a pack, the group's pack, the indicators, and each set as PDF.

Records are those of made-up traffic under the 22 sample agreements, decided by the gate; a few thousand are written again and again at moments
of their own over half a year, in segments as a worker writes them.
"""

import argparse
import json
import resource
import tempfile
import time
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

import harness  # noqa: F401  (puts the project before this folder)
import sqlalchemy
from harness import CannotMeasure, main, say, table

from geoserver_app.clock import SHANGHAI
from geoserver_app.contributions import ContributionBook, metadata
from geoserver_app.decision_log import HEADER, DecisionLog, as_members
from geoserver_app.papers import pdf
from geoserver_app.review.archive import Archive
from geoserver_app.review.figures import figures
from geoserver_app.review.indicators import indicators_paper
from geoserver_app.review.pack import agreement_pack, group_pack
from geoserver_app.review.questions import Scope
from geoserver_app.settings import ROOT
from tests.app.made_traffic import SINCE, UNTIL, Traffic

BAR = 30.0
"""Seconds for a pack over a million records."""

AGREEMENT = "AG-2011-001"


def measure(chosen: argparse.Namespace) -> dict[str, float]:
    records = 100_000 if chosen.quick else 1_000_000
    taken: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        archive = _archive(Path(folder), records, taken)
        first, last = SINCE.date(), UNTIL.date() - timedelta(days=1)
        with _timed(taken, "columns of the days, once"), figures(archive.decisions, Scope(first=first, last=last)) as found:
            counted = found["totals"].row["requests"]
        if counted != records:
            raise CannotMeasure(f"{records} records were written and {counted} are counted")
        with _timed(taken, "record opened again"), figures(archive.decisions, Scope(first=first, last=last)):
            pass
        papers = {}
        with _timed(taken, "pack of an agreement"):
            papers["pack"] = agreement_pack(archive, AGREEMENT, first, last)
        with _timed(taken, "pack of the group"):
            papers["group"] = group_pack(archive, first, last)
        with _timed(taken, "yearly indicators"):
            papers["indicators"] = indicators_paper(archive, 2026)
        for name, paper in papers.items():
            with _timed(taken, f"PDF: {name}"):
                pdf.render(paper)
    say(f"{records} records of {(UNTIL - SINCE).days} days, {len(archive.register.list())} agreements")
    table(["what", "s"], taken.items())
    say(f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    bar = BAR * records / 1_000_000 if chosen.quick else BAR
    return {f"review_{name}_bar": bar / taken[what] for name, what in (
        ("pack", "pack of an agreement"), ("group", "pack of the group"), ("indicators", "yearly indicators"),
    )}


def _archive(folder: Path, records: int, taken: dict[str, float]) -> Archive:
    sample = Traffic(folder / "sample")
    sample.write(5_000)
    lines = [line for path in sorted((folder / "sample").rglob("*.jsonl")) for line in path.read_text("utf-8").splitlines()]
    events = [event for event in map(json.loads, lines) if event["event"] != HEADER]
    members = [as_members({name: value for name, value in event.items() if name not in ("id", "at", "seal")}) for event in events]
    log, step = DecisionLog(folder / "decisions"), (UNTIL - SINCE).total_seconds() / records
    with _timed(taken, "records written"):
        for number in range(records):
            log.write_members(members[number * 7919 % len(members)], SINCE.timestamp() + (number + 0.5) * step)
    database = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool)
    metadata.create_all(database)
    book = ContributionBook(database, sample.register, DecisionLog(folder / "acts"))
    at = datetime.combine(date(2026, 10, 8), datetime.min.time(), SHANGHAI)
    return Archive(decisions=folder / "decisions", config=ROOT / "config", register=sample.register, catalogue=sample.catalogue, book=book, at=at)


@contextmanager
def _timed(taken: dict[str, float], what: str):
    began = time.perf_counter()
    yield
    taken[what] = time.perf_counter() - began


if __name__ == "__main__":
    main(measure, __doc__)
