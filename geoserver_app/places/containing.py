"""The areas in which a place lies: exactly, in the CRS of the data, with the shapes as they are told.

A place on the border that two areas share lies in both, and both are told, marked so. Between areas that share their vertices no place is lost: each side of
an edge is told by the sign of one and the same determinant.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import shapely

from layers.features import FeatureStore
from layers.model import FeatureClass
from tiles.permits import Permit
from tiles.vector.conditions import All, Condition, Spatial, told_where
from tiles.vector.granted import Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Containing:
    """Some areas in which the place lies, and of each whether the place is on its border, as far as it is told."""

    told: Told
    on_border: np.ndarray               # (n,) bool


def containing(
    permit: Permit, store: FeatureStore, table: FeatureClass, place: shapely.Point, *, condition: Condition | None = None, fields: Collection[str] | None = None,
) -> list[Containing]:
    """Areas of a table in which `place`, in the CRS of the data, lies; by key, each of them once: of parts that meet there the one that tells most.
    Raises FeaturesUnavailable, OutsideAreaOfUse (a shape of the condition)."""
    here = Spatial("intersects", place, permit.edition.crs)
    conditions = [] if condition is None else list(condition.of) if isinstance(condition, All) else [condition]
    found, seen = [], -1
    for some in told_where(permit, store, table, All((here, *conditions)), fields=fields):
        first = np.diff(some.keys, prepend=seen) != 0
        seen = int(some.keys[-1])
        some = some.only(first)
        if len(some):
            found.append(Containing(told=some, on_border=shapely.touches(some.shapes, place)))
    return found
