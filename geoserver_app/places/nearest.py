"""The features nearest to a place, by true distance on the ground, out of those that are told.

Looked for in boxes that grow about the place, so that where things lie dense few of them are read. A shape that is cut is as near as what is told of it:
how near it comes beyond the border is known to nobody here.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import shapely

from layers.crs import densify, reach, transform_bounds, transform_shapes
from layers.features import FeatureStore
from layers.geodesy import Place, azimuths, box_around, gone_from, seen_from
from layers.model import Bounds, FeatureClass
from tiles.permits import Permit
from tiles.vector.conditions import All, Condition, Spatial, told_where
from tiles.vector.granted import Told

FIRST, WIDER = 50.0, 4.0
"""Metres of the first look, and how many times as far each later one goes."""

HERE = shapely.Point(0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """n things told, nearest first: what is told of each, metres on the ellipsoid from the place to the nearest point of it, degrees clockwise from north
    in which that lies, and where it is (n, 2), CRS84. A place within an area is 0 metres from it."""

    told: tuple[Told, ...]
    metres: np.ndarray
    azimuths: np.ndarray
    points: np.ndarray


def nearest(
    permit: Permit, store: FeatureStore, table: FeatureClass, place: Place, *, count: int, within: float, condition: Condition | None = None,
    fields: Collection[str] | None = None,
) -> Near:
    """The `count` nearest things of a table within so many metres of a place (CRS84); of two at one distance, to the millimetre, the one that comes first
    in the order of keys. Raises FeaturesUnavailable, OutsideAreaOfUse (a shape of the condition)."""
    radius = min(FIRST, within)
    while True:
        found = _within(permit, store, table, place, radius, count, condition, fields)
        if len(found.metres) == count or radius >= within:
            return found
        radius = min(radius * WIDER, within)


def _within(
    permit: Permit, store: FeatureStore, table: FeatureClass, place: Place, radius: float, count: int, condition: Condition | None,
    fields: Collection[str] | None,
) -> Near:
    crs, best = permit.edition.crs, []
    box = _box(place, radius, crs)
    if box is not None:
        around = Spatial("intersects", shapely.box(*box), crs)
        conditions = [] if condition is None else list(condition.of) if isinstance(condition, All) else [condition]
        for some in told_where(permit, store, table, All((around, *conditions)), fields=fields):
            best = sorted([*best, *_measured(some, crs, place, radius, count)], key=_order)[:count]
    ends = np.array([one.end for one in best]).reshape(-1, 2)
    return Near(
        told=tuple(one.told for one in best), metres=np.array([one.metres for one in best]), azimuths=azimuths(ends), points=gone_from(place, ends),
    )


def _box(place: Place, radius: float, crs: str) -> Bounds | None:
    """In the CRS of the data; None where that can't express anything so near."""
    box = box_around(place, radius).intersection(reach(crs))
    return transform_bounds(box, "CRS:84", crs) if box.left < box.right and box.bottom < box.top else None


@dataclass(frozen=True, slots=True)
class _Measured:
    metres: float
    end: tuple[float, float]            # metres east and north of the place
    told: Told                          # this thing alone


def _order(one: _Measured) -> tuple[float, int, int]:
    return round(one.metres, 3), int(one.told.keys[0]), int(one.told.parts[0])


def _measured(some: Told, crs: str, place: Place, radius: float, count: int) -> list[_Measured]:
    """Those of one batch that lie within the radius: no more of them than are wanted of all."""
    shapes = some.shapes
    if (shapely.get_dimensions(shapes) > 0).any():
        shapes = densify(shapes, crs)
    plane = seen_from(place, transform_shapes(shapely.force_2d(shapes), crs, "CRS:84"))
    metres = shapely.distance(HERE, plane)
    order = np.lexsort((some.parts, some.keys, metres.round(3)))
    found = []
    for at in order[: min(count, int((metres <= radius).sum()))].tolist():
        end = shapely.get_point(shapely.shortest_line(HERE, plane[at]), 1)
        found.append(_Measured(float(metres[at]), (end.x, end.y), some.only(np.arange(len(some)) == at)))
    return found
