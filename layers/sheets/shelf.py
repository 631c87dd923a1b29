"""The sheets of editions at hand: read once for each generation, findable by number and by ground."""

import threading
from collections import OrderedDict
from datetime import date
from functools import cached_property

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from layers.catalogue import Catalogue
from layers.model import Edition, Sheet

KEPT_MOST = 16
"""Editions; a province of 4,100 sheets takes some 10 MB."""


class ShelvedSheets:
    """The sheets of one edition, in the order of their ids. Footprints are CRS84."""

    def __init__(self, sheets: tuple[Sheet, ...]):
        self.sheets = sheets

    @cached_property
    def footprints(self) -> np.ndarray:
        return np.array([sheet.footprint for sheet in self.sheets], dtype=object)

    @cached_property
    def by_number(self) -> dict[str, Sheet]:
        """The latest of each number."""
        return {sheet.number: sheet for sheet in self.sheets if sheet.number}

    def near(self, bounds: tuple[float, float, float, float]) -> np.ndarray:
        """Positions of the sheets whose bounds touch these (west, south, east, north)."""
        return np.sort(self._tree.query(shapely.box(*bounds)))

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.footprints)


class SheetShelf:
    """Sheets by edition and generation. May be shared by threads."""

    def __init__(self, catalogue: Catalogue):
        self._catalogue, self._lock = catalogue, threading.Lock()
        self._kept: OrderedDict[tuple[int, int], ShelvedSheets] = OrderedDict()

    def of(self, edition: Edition) -> ShelvedSheets:
        """Raises CatalogueUnavailable."""
        key = edition.edition_id, edition.generation
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = ShelvedSheets(self._catalogue.sheets(edition.edition_id))
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > KEPT_MOST:
                self._kept.popitem(last=False)
        return found


def precedence(sheet: Sheet) -> tuple:
    """Which of two sheets that overlap lies on top: of the newer currency, then the later; the greatest is uppermost."""
    return sheet.currency or date.min, sheet.sheet_id


def polygons_within(geometry: BaseGeometry) -> BaseGeometry:
    """The polygons of a geometry that cover ground: what two shapes share along an edge is none."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    return shapely.union_all(parts[(shapely.get_type_id(parts) == 3) & (shapely.area(parts) > LEAST_GROUND)]) if len(parts) else shapely.Polygon()


LEAST_GROUND = 1e-13
"""Square degrees, some ten square centimetres: less is the noise of arithmetic."""
