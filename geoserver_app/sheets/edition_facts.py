"""What a data manager wants to know of an edition at a glance: its sheets, how much room it takes, since when it is served, where it has holes.

Worked out of the catalogue and the store, and kept as long as the edition stays at its generation: reading thousands of sheets takes a moment.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import flask
import shapely
from shapely.geometry.base import BaseGeometry

from geoserver_app.views.sheets import granted_sheets
from geoserver_app.wiring import services
from layers.errors import SheetNumberInvalid
from layers.model import Edition, Sheet
from layers.sheets import any_number, sheet_bounds
from layers.sheets.holes import closed, filled, large, missing_on
from layers.sheets.shelf import SheetShelf

KEPT_MOST = 24
"""Editions whose facts stay in memory; the sheets are those of the shelf."""

LEAST_OF_A_SHEET = 0.05
"""Ground without data that is smaller than this part of a sheet is no hole."""

MOST_MISSING = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EditionFacts:
    """`covered` and `holes` are CRS84; a hole is ground without a sheet which sheets lie all around. `size` is bytes in the store."""

    sheets: tuple[Sheet, ...]
    size: int
    published: datetime | None
    covered: BaseGeometry
    holes: BaseGeometry

    def sheet(self, sheet_id: int) -> Sheet | None:
        return next((one for one in self.sheets if one.sheet_id == sheet_id), None)


class FactsBook:
    """The facts of editions, worked out once for each generation. May be shared by threads."""

    def __init__(self, shelf: SheetShelf, store: Path):
        self._shelf, self._store, self._lock = shelf, store, threading.Lock()
        self._kept: OrderedDict[tuple[int, int], EditionFacts] = OrderedDict()

    def of(self, edition: Edition) -> EditionFacts:
        """Raises CatalogueUnavailable."""
        name = edition.edition_id, edition.generation
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        found = self._work_out(edition)
        with self._lock:
            self._kept[name] = found
            while len(self._kept) > KEPT_MOST:
                self._kept.popitem(last=False)
        return found

    def _work_out(self, edition: Edition) -> EditionFacts:
        sheets = self._shelf.of(edition).sheets
        covered = closed([sheet.footprint for sheet in sheets]) if sheets else edition.extent
        least = LEAST_OF_A_SHEET * _mean_area(sheets)
        return EditionFacts(
            sheets=sheets, size=_size_of(self._store / edition.folder), published=max((s.taken_in for s in sheets if s.taken_in), default=None),
            covered=covered, holes=large(shapely.difference(filled(covered), covered), least),
        )


def facts_book() -> FactsBook:
    """That of the application that answers the current request."""
    return flask.current_app.extensions.setdefault("edition-facts", FactsBook(granted_sheets().shelf, services().settings.store))


def currency_of(sheet: Sheet, edition: Edition) -> date | None:
    """The day on which the content was true: the sheet's own, else the last of the edition."""
    return sheet.currency or edition.currency[1] or edition.currency[0]


# -- ground

def missing_ground(facts: EditionFacts, others: Sequence[EditionFacts]) -> BaseGeometry:
    """Where an edition has nothing: its holes, and what other editions of the layer cover beside it. CRS84."""
    beside = shapely.difference(shapely.union_all([one.covered for one in others]), facts.covered) if others else shapely.Polygon()
    return large(shapely.union_all([facts.holes, beside]), LEAST_OF_A_SHEET * _mean_area(facts.sheets))


def missing_sheets(facts: EditionFacts, ground: BaseGeometry) -> list[str]:
    """Numbers of the sheets, of the scale that most of the edition's are of, whose frame lies for the better part on `ground`."""
    return missing_on(ground, [sheet.number for sheet in facts.sheets if sheet.number], most=MOST_MISSING)


def sheets_meant(sheets: Sequence[Sheet], text: str) -> list[Sheet]:
    """Those that `text` names: by a sheet number in any spelling, new or old, of any scale - the sheet, those within it, or the one around it -
    else by a part of a file name. All, where it is empty."""
    if not text.strip():
        return list(sheets)
    try:
        number = any_number(text)
    except SheetNumberInvalid:
        words = text.strip().casefold()
        return [sheet for sheet in sheets if words in sheet.source_name.casefold() or words in (sheet.number or "").casefold()]
    exact = [sheet for sheet in sheets if sheet.number == number]
    if exact:
        return exact
    frame = shapely.box(*sheet_bounds(number))
    shapely.prepare(frame)
    return [s for s in sheets if frame.contains(shapely.centroid(s.footprint)) or s.footprint.contains(frame.centroid)]


def _mean_area(sheets: Sequence[Sheet]) -> float:
    return sum(sheet.footprint.area for sheet in sheets) / len(sheets) if sheets else 0.0


def _size_of(folder: Path) -> int:
    """Bytes; what goes away while it is counted does not count."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total
