"""The sheets of an edition as one agency may know of them: those that share ground with what is granted to it, cut to that ground.

What is told of a sheet is what tells one copy from another (number, currency, checksum, when it was taken in) and how it was made, never what
lies beyond: no file name, no size, no bounds of the file.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import shapely
from shapely.geometry.base import BaseGeometry

from geoserver_app.gate import Visible
from layers.crs import ground_resolution
from layers.model import Edition, Sheet, View
from layers.sheets import old_number
from layers.sheets.shelf import SheetShelf, polygons_within
from tiles.area import ServedArea
from tiles.permits import Permit

KEPT_MOST = 64
"""Pairs of area and edition whose sheets stay cut."""

FILE_NAME = re.compile(r"`[^`]*\.[A-Za-z0-9]{1,9}`")
TOLD = re.compile(
    r"taken from |read as |placed |coordinates |the eastings begin with zone |X0, Y0 were taken |the file states no CRS; |warning: X0 and Y0 |"
    r"heights are |the palette was |the grey band was |16-bit values were stretched |the alpha band |the fourth band |cells of \S+ in every band were hidden|"
    r"\S+ counts as nodata|written as "
)
"""How the sentences begin that say what was done with a file. All others stay with the bureau: those that count or measure what is in it, which may lie
beyond what is granted, and of heights is values, and notes that came with a delivery."""

MEASURED = re.compile(r", \d+ x \d+(?=, sha256 )|(?<=^16-bit values were stretched linearly):.*")


@dataclass(frozen=True, slots=True)
class GrantedSheet:
    """A sheet and the part of its footprint (CRS84) that is granted: polygons, never empty."""

    sheet: Sheet
    ground: BaseGeometry


class GrantedSheets:
    """Cut once for each area, edition and generation. May be shared by threads."""

    def __init__(self, shelf: SheetShelf):
        self.shelf, self._lock = shelf, threading.Lock()
        self._kept: OrderedDict[tuple, tuple[GrantedSheet, ...]] = OrderedDict()

    def of(self, edition: Edition, area: ServedArea | None) -> tuple[GrantedSheet, ...]:
        """In the order of their ids; `area` None is all of it. None of a layer that is no raster: where its features lie is for it to show."""
        if not edition.product.is_raster:
            return ()
        key = area and area.digest, edition.edition_id, edition.generation
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        shelved = self.shelf.of(edition)
        grounds = shelved.footprints if area is None else area.cut_each(shelved.footprints)
        found = tuple(
            GrantedSheet(sheet, ground) for sheet, ground in zip(shelved.sheets, map(polygons_within, grounds), strict=True) if not ground.is_empty
        )
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > KEPT_MOST:
                self._kept.popitem(last=False)
        return found


def told(one: GrantedSheet, permit: Permit) -> dict:
    """What an agency is told of a sheet, as JSON."""
    sheet, edition = one.sheet, permit.edition
    return {
        "number": sheet.number, "old_number": old_number(sheet.number) if sheet.number else None, "layer": edition.layer, "edition": edition.name,
        "currency": sheet.currency and sheet.currency.isoformat(), "taken_in": sheet.taken_in and sheet.taken_in.isoformat(timespec="seconds"),
        "resolution_m": _resolution(sheet, permit), "crs": sheet.crs, "checksum": sheet.checksum,
    }


def steps_told(sheet: Sheet) -> list[str]:
    """How a sheet was made, a sentence a step, without the names of files, and without anything of what the file holds."""
    stem = sheet.source_name.rsplit(".", 1)[0]
    return [
        MEASURED.sub("", FILE_NAME.sub("the delivered file", step)).replace(sheet.source_name, "the delivered file").replace(f"`{stem}`", "the delivered file")
        for step in sheet.lineage if TOLD.match(step)
    ]


def superseded(shared: Sequence[tuple[Edition, Sequence[GrantedSheet]]]) -> dict[tuple[int, int], str]:
    """(edition, sheet) -> name of the newest edition that holds the same sheet, of the editions that are shared (the newest first).

    A sheet without a number is superseded where newer ones hide more than half of its ground.
    """
    newest: dict[str, str] = {}
    found: dict[tuple[int, int], str] = {}
    above: list[GrantedSheet] = []
    for edition, sheets in shared:
        tree = shapely.STRtree([one.ground for one in above]) if above else None
        for one in sheets:
            if one.sheet.number in newest:
                found[edition.edition_id, one.sheet.sheet_id] = newest[one.sheet.number]
            elif one.sheet.number is None and tree is not None and _is_hidden(one, [above[position] for position in tree.query(one.ground)]):
                found[edition.edition_id, one.sheet.sheet_id] = shared[0][0].name
        newest |= {one.sheet.number: edition.name for one in sheets if one.sheet.number and one.sheet.number not in newest}
        above += sheets
    return found


def _is_hidden(one: GrantedSheet, above: Sequence[GrantedSheet]) -> bool:
    hidden = shapely.intersection(one.ground, shapely.union_all([other.ground for other in above]))
    return hidden.area > one.ground.area / 2


def shared_editions(visible: Sequence[Visible], layer: str) -> list[Visible]:
    """The raster editions of a layer that a caller may see, the newest first."""
    return [one for one in visible if one.layer.name == layer and one.layer.product.is_raster]


def _resolution(sheet: Sheet, permit: Permit) -> float:
    """Metres on the ground of what is granted of the sheet: never finer than the grant shows it."""
    own = ground_resolution(View(crs=sheet.crs, bounds=sheet.bounds, width=sheet.width, height=sheet.height))
    return round(max(own, min((part.variant.degrade or 0.0 for part in permit.parts), default=0.0)), 4)
