"""What is asked of features beyond attributes: where they lie, and both together. Answered by what is told, never by what is stored.

A condition is a tree of row filters and of spatial predicates against shapes that the asker gave. What of it can be is handed down to the store;
the rest is asked of the shapes as they were cut, with the attributes as they are told.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from layers.crs import densify, transform_geometry
from layers.features import FeatureStore
from layers.model import Bounds, FeatureClass
from layers.rows import RowFilter, all_of
from tiles.permits import Permit
from tiles.vector.granted import Told, told

PREDICATES = {
    "intersects": shapely.intersects, "disjoint": shapely.disjoint, "within": shapely.within, "contains": shapely.contains,
    "touches": shapely.touches, "crosses": shapely.crosses, "overlaps": shapely.overlaps, "equals": shapely.equals,
}
"""By the names of simple features (OGC 06-103r4): the shape of a feature first, the shape that was given second."""

TURNED = {"within": "contains", "contains": "within"}
"""What they are with the shape that was given first; the others are what they are."""


@dataclass(frozen=True, slots=True)
class Spatial:
    """`predicate` is one of `PREDICATES`; `shape` what was given, in `crs`, x before y."""

    predicate: str
    shape: BaseGeometry
    crs: str


@dataclass(frozen=True, slots=True)
class Rows:
    rows: RowFilter


@dataclass(frozen=True, slots=True)
class All:
    of: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Any:
    of: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: "Condition"


Condition = Spatial | Rows | All | Any | Not


def attributes_of(condition: Condition | None) -> frozenset[str]:
    """Every attribute that a condition names, as it names it."""
    match condition:
        case Rows(rows=rows):
            return rows.attributes
        case All(of=of) | Any(of=of):
            return frozenset().union(*map(attributes_of, of))
        case Not(of=of):
            return attributes_of(of)
    return frozenset()


def told_where(
    permit: Permit, store: FeatureStore, table: FeatureClass, condition: Condition | None, *, after: int | None = None, key: int | None = None,
    fields: Collection[str] | None = None, size: int = 1000,
) -> Iterator[Told]:
    """As `told`, of what meets the condition.

    Raises
    ------
    OutsideAreaOfUse
        A shape that was given can't be expressed in the CRS of the data.
    """
    needed = [] if condition is None else list(condition.of) if isinstance(condition, All) else [condition]
    needed = [_placed(one, permit.edition.crs) for one in needed]
    rows = [one.rows for one in needed if isinstance(one, Rows)]
    rest = [one for one in needed if not isinstance(one, Rows)]
    box = _box([one for one in rest if isinstance(one, Spatial)])
    rest = [one for one in rest if not _is_box(one, box)]
    named = {
        name for one in rest for asked in attributes_of(one)
        if (name := RowFilter("", None, frozenset()).named_in(table.name, table.fields, asked)) is not None
    }
    read = None if fields is None else {*fields, *named}
    for some in told(
        permit, store, table, box=box, where=all_of(rows) if rows else None, after=after, key=key, fields=read, size=size,
    ):
        for one in rest:
            some = some.only(np.array([answer is True for answer in _answers(one, some, table.name)], bool))
        if len(some):
            extra = fields is not None and some.columns.keys() - set(fields)
            yield replace(some, columns={name: values for name, values in some.columns.items() if name in fields}) if extra else some


def _placed(condition: Condition, crs: str) -> Condition:
    """The same with every shape in the CRS of the data, prepared for many questions."""
    match condition:
        case Spatial(shape=shape):
            moved = shape if condition.crs == crs else transform_geometry(densify(shape, condition.crs), condition.crs, crs)
            shapely.prepare(moved)
            return replace(condition, shape=moved, crs=crs)
        case All(of=of) | Any(of=of):
            return replace(condition, of=tuple(_placed(one, crs) for one in of))
        case Not(of=of):
            return Not(_placed(of, crs))
    return condition


def _box(predicates: Sequence[Spatial]) -> Bounds | None:
    """Where all that meets these lies, at least in part."""
    box = None
    for one in predicates:
        if one.predicate != "disjoint":
            bounds = Bounds(*one.shape.bounds)
            box = bounds if box is None else box.intersection(bounds)
    return box


def _is_box(condition: Condition, box: Bounds | None) -> bool:
    """Whether to meet the condition is to touch the box, no more."""
    return (
        isinstance(condition, Spatial) and condition.predicate == "intersects" and box is not None and box.width > 0 and box.height > 0
        and condition.shape.geom_type == "Polygon" and condition.shape.equals(shapely.box(*box))
    )


def _answers(condition: Condition, some: Told, table: str) -> list[bool | None]:
    """For each thing told; None is unknown, and is met by nothing."""
    match condition:
        case Spatial(predicate=predicate, shape=shape):
            return PREDICATES[predicate](some.shapes, shape).tolist()
        case Rows(rows=rows):
            names = list(some.columns)
            values = zip(*some.columns.values(), strict=True) if names else (() for _ in range(len(some)))
            return [rows.answer(table, dict(zip(names, row, strict=True))) for row in values]
        case All(of=of):
            return [False if False in each else None if None in each else True for each in _each(of, some, table)]
        case Any(of=of):
            return [True if True in each else None if None in each else False for each in _each(of, some, table)]
        case Not(of=of):
            return [None if answer is None else not answer for answer in _answers(of, some, table)]
    raise TypeError(condition)


def _each(conditions: Sequence[Condition], some: Told, table: str) -> Iterator[tuple[bool | None, ...]]:
    return zip(*(_answers(one, some, table) for one in conditions), strict=True)
