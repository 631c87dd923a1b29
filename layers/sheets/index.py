"""The sheet index of a raster layer: a polygon for each sheet of each edition, and one for each sheet that is missing. Pure.

    STATUS      current      of the newest edition
                older        the newest edition lacks it: the newest there is
                superseded   a newer edition holds the same sheet
                hole         no edition holds it, though it lies among the others (or within the ground that is to be covered)

A sheet with a number is drawn by its frame, another by its footprint. Everything is CRS84 (lon lat degrees).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas
import shapely
from shapely.geometry.base import BaseGeometry

from layers.crs import ground_resolution
from layers.model import Edition, Sheet, View
from layers.periods import period_of
from layers.sheets.holes import closed, filled, missing_on, usual_scale
from layers.sheets.numbers import old_number, scale_of, sheet_frame

CURRENT, OLDER, SUPERSEDED, HOLE = "current", "older", "superseded", "hole"

MOST_HOLES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """One polygon of the index. `edition` is "" for a hole; `superseded_by` names the newest edition with the same sheet."""

    number: str | None
    ground: BaseGeometry
    status: str
    edition: str = ""
    superseded_by: str = ""
    sheet: Sheet | None = None
    currency: str = ""


def index_of(editions: Sequence[tuple[Edition, Sequence[Sheet]]], within: BaseGeometry | None = None) -> list[IndexEntry]:
    """Superseded ones first, holes last: what counts lies on top.

    Parameters
    ----------
    editions : sequence of (Edition, its sheets)
        The newest first.
    within : BaseGeometry, optional
        The ground (CRS84) that is to be covered, instead of what lies among the sheets.
    """
    entries = [*_sheets(editions), *_holes([sheet for _, sheets in editions for sheet in sheets], within)]
    order = (SUPERSEDED, OLDER, CURRENT, HOLE)
    return sorted(entries, key=lambda one: (order.index(one.status), one.number or "", one.edition))


def as_frame(entries: Sequence[IndexEntry], within: str = "") -> geopandas.GeoDataFrame:
    """The table as it is published; `within` is written into it, so that the index can be made again as it was."""
    rows = [_row(one) | {"WITHIN": within} for one in entries]
    return geopandas.GeoDataFrame(rows, geometry=[one.ground for one in entries], crs="EPSG:4490")


def _sheets(editions: Sequence[tuple[Edition, Sequence[Sheet]]]) -> list[IndexEntry]:
    newest: dict[str, str] = {}
    entries = []
    for rank, (edition, sheets) in enumerate(editions):
        for sheet in sheets:
            newer = newest.get(sheet.number, "") if sheet.number else _hidden_by(sheet, editions[:rank])
            entries.append(IndexEntry(
                number=sheet.number, ground=sheet_frame(sheet.number) if sheet.number else sheet.footprint, edition=edition.name, sheet=sheet,
                status=SUPERSEDED if newer else OLDER if rank else CURRENT, superseded_by=newer, currency=_currency(sheet, edition),
            ))
        for sheet in sheets:
            if sheet.number:
                newest.setdefault(sheet.number, edition.name)
    return entries


def _hidden_by(sheet: Sheet, newer: Sequence[tuple[Edition, Sequence[Sheet]]]) -> str:
    """The newest edition that covers more than half of a sheet without a number; "" where none does."""
    for edition, _ in newer:
        if shapely.intersection(edition.extent, sheet.footprint).area > sheet.footprint.area / 2:
            return edition.name
    return ""


def _currency(sheet: Sheet, edition: Edition) -> str:
    """The sheet's own day, else the last one of the edition; "" where nothing is said."""
    period = period_of(edition)
    return sheet.currency.isoformat() if sheet.currency else period.last.isoformat() if period else ""


def _holes(sheets: Sequence[Sheet], within: BaseGeometry | None) -> list[IndexEntry]:
    """Frames without a sheet, of the scale of most sheets, that lie for the better part among the others or within the ground."""
    held = {sheet.number for sheet in sheets if sheet.number}
    if not held:
        return []
    scale = usual_scale(held)
    ground = within if within is not None else filled(closed([sheet_frame(number) for number in held if scale_of(number).letter == scale]))
    missing = missing_on(ground, held, share=0.0 if within is not None else 0.5, most=MOST_HOLES)
    return [IndexEntry(number=number, ground=sheet_frame(number), status=HOLE) for number in missing]


def _row(one: IndexEntry) -> dict:
    sheet = one.sheet
    return {
        "NAME": one.number or (sheet.source_name.rsplit(".", 1)[0] if sheet else ""), "NUMBER": one.number or "",
        "OLD_NUMBER": (old_number(one.number) or "") if one.number else "", "SCALE": scale_of(one.number).denominator if one.number else 0,
        "STATUS": one.status, "EDITION": one.edition, "SUPERSEDED_BY": one.superseded_by, "CURRENCY": one.currency,
        "TAKEN_IN": sheet.taken_in.isoformat(timespec="seconds") if sheet and sheet.taken_in else "",
        "RESOLUTION_M": round(_resolution(sheet), 4) if sheet else 0.0, "CRS": sheet.crs if sheet else "", "CHECKSUM": sheet.checksum if sheet else "",
    }


def _resolution(sheet: Sheet) -> float:
    """Metres on the ground."""
    return ground_resolution(View(crs=sheet.crs, bounds=sheet.bounds, width=sheet.width, height=sheet.height))
