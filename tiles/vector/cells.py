"""Ground split by what is told on it: several pieces of a grant laid over one another.

A place under several pieces is told what any of them tells. Pieces that tell the same are united first; ground is split only where what is told
differs, so that two agreements over one county that share the same attributes cut nothing in two.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import shapely
from shapely.geometry.base import BaseGeometry

from tiles.area import ServedArea
from tiles.vector.ground import Ground

KEPT = 256

Told = frozenset[str]
"""Names of the attributes that are told."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Ground on which the same is told everywhere."""

    ground: Ground
    told: Told


class Cells:
    """Splits ground, and remembers how. Safe to share by threads."""

    def __init__(self):
        self._kept: OrderedDict[tuple, tuple[Cell, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, limit: ServedArea | None, pieces: Sequence[tuple[ServedArea | None, Told]], crs: str) -> tuple[Cell, ...]:
        """The ground of `pieces` within `limit`, by what is told on it: the most first, no two alike.

        Parameters
        ----------
        limit : ServedArea, optional
            All that is granted, less what is suspended: no piece counts beyond. None is no limit.
        pieces : sequence of (area, told)
            None is everywhere. Areas are remembered by who they are: the same object is the same ground.
        crs : str
            In which shapes will be cut.
        """
        limit = None if limit is None or limit.is_world else limit
        name = (limit, tuple(dict.fromkeys((None if area is None or area.is_world else area, told) for area, told in pieces)), crs)
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        cells = tuple(Cell(Ground(within, without, crs), told) for told, within, without in split(limit, name[1]))
        with self._lock:
            cells = self._kept.setdefault(name, cells)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return cells


def split(
    limit: ServedArea | None, pieces: Sequence[tuple[ServedArea | None, Told]],
) -> list[tuple[Told, ServedArea | None, ServedArea | None]]:
    """What is told, within which area (None: everywhere), and without which."""
    everywhere = frozenset().union(*(told for area, told in pieces if area is None)) if any(area is None for area, _ in pieces) else None
    grounds: dict[Told, list[ServedArea]] = {}
    for area, told in pieces:
        if area is not None:
            grounds.setdefault(told if everywhere is None else told | everywhere, []).append(area)
    if everywhere is not None and limit is not None:
        grounds.setdefault(everywhere, []).append(limit)
    elif everywhere is not None:
        grounds.pop(everywhere, None)               # it tells nothing that is not told anyhow
    limited = [(told, ground) for told, areas in grounds.items() if (ground := _limited(limit, _united(areas))) is not None]
    cells = limited if len(limited) < 2 else _overlaid(limited)
    found = [(told, area, None) for told, area in cells]
    if everywhere is not None and limit is None:
        found.append((everywhere, None, _united([area for _, area in cells]) if cells else None))
    return sorted(found, key=lambda cell: (-len(cell[0]), sorted(cell[0])))


def _united(areas: Sequence[ServedArea]) -> ServedArea:
    return areas[0] if len(areas) == 1 else _area(shapely.union_all([area.geometry for area in areas]))


def _limited(limit: ServedArea | None, area: ServedArea) -> ServedArea | None:
    """What of `area` lies within the limit; None where nothing does."""
    if limit is None or area is limit or area.digest == limit.digest and area.geometry.equals(limit.geometry):
        return area
    if area.geometry.covers(limit.geometry):
        return limit
    common = polygons_of(shapely.intersection(area.geometry, limit.geometry))
    return None if common.is_empty else _area(common)


def _overlaid(grounds: Sequence[tuple[Told, ServedArea]]) -> list[tuple[Told, ServedArea]]:
    """Grounds that tell different things, split so that none lies over another."""
    cells: dict[Told, list[BaseGeometry]] = {}
    for told, area in grounds:
        split_anew: dict[Told, list[BaseGeometry]] = {}
        rest = area.geometry
        for known, shapes in cells.items():
            for shape in shapes:
                both = polygons_of(shapely.intersection(shape, area.geometry))
                if both.is_empty:
                    split_anew.setdefault(known, []).append(shape)
                    continue
                split_anew.setdefault(known | told, []).append(both)
                left = polygons_of(shapely.difference(shape, area.geometry))
                if not left.is_empty:
                    split_anew.setdefault(known, []).append(left)
                rest = polygons_of(shapely.difference(rest, shape))
        if not rest.is_empty:
            split_anew.setdefault(told, []).append(rest)
        cells = {one: [shapely.union_all(shapes)] if len(shapes) > 1 else shapes for one, shapes in split_anew.items()}
    return [(told, _area(shape)) for told, (shape,) in cells.items()]


def polygons_of(shape: BaseGeometry) -> BaseGeometry:
    """What of a geometry has an area."""
    if shape.geom_type in ("Polygon", "MultiPolygon"):
        return shape
    parts = [part for part in shapely.get_parts(shapely.get_parts([shape])) if part.geom_type == "Polygon" and not part.is_empty]
    return shapely.MultiPolygon(parts) if len(parts) != 1 else parts[0]


def _area(shape: BaseGeometry) -> ServedArea:
    return ServedArea(shape, hashlib.sha256(b"cell\n" + shape.wkb).hexdigest())
