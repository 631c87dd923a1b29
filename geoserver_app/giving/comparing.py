"""A contributed table against the same table of the edition that is in force: what was added, removed, moved, or told otherwise.

Features are matched by their key where both tables have it and it names each once; else by their shapes, and then a change of shape is one feature
less and one more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely

from geoserver_app.giving.contents import Contents, moved
from geoserver_app.giving.schema_check import column_of
from layers import crs as reference

SAME_PLACE = 0.001
"""Metres: a vertex that moved less did not move."""

CHANGES = ("added", "removed", "moved", "retold", "kept")
"""`moved`: another shape; `retold`: other attributes at the same shape."""

MOST_SHAPES, MOST_KEYS = 4000, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Of one kind. `km` and `km2` are of the shapes as they are in the newer table, of what was removed as they were."""

    count: int
    km: float = 0.0
    km2: float = 0.0
    keys: tuple[str, ...] = ()
    shapes: tuple = ()                       # CRS84


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDifference:
    table: str
    matched_by: str                          # the field, or "" for shapes
    changes: Mapping[str, Change]            # by CHANGES
    fields: Mapping[str, int] = field(default_factory=dict)        # how many features tell another value, by field
    fields_gained: tuple[str, ...] = ()
    fields_lost: tuple[str, ...] = ()

    def plain(self) -> dict:
        return {
            "table": self.table, "matched_by": self.matched_by, "fields": dict(self.fields), "fields_gained": list(self.fields_gained),
            "fields_lost": list(self.fields_lost),
            "changes": {
                name: {"count": one.count, "km": one.km, "km2": one.km2, "keys": list(one.keys)} for name, one in self.changes.items()
            },
        }


def compare(new: Contents, old: Contents | None, key: str | None) -> TableDifference:
    """`old` is None where nothing of it is in force yet: then all is added."""
    old = old if old is not None else Contents(
        name=new.name, kind=new.kind, crs=new.crs, rows=np.zeros(0, np.int64), shapes=np.zeros(0, dtype=object), columns={},
    )
    new_names, old_names = _names(new, key), _names(old, key)
    by_key = bool(new_names and old_names) or (bool(key) and (not len(old) or not len(new)))
    if not by_key or new_names is None or old_names is None:
        new_names, old_names, by_key = _shape_names(new, new.crs), _shape_names(old, new.crs), False
    there = {name: at for at, name in enumerate(old_names)}
    pairs = [(at, there[name]) for at, name in enumerate(new_names) if name in there]
    mine, theirs = (np.array(side, dtype=int) for side in zip(*pairs, strict=True)) if pairs else (np.zeros(0, int), np.zeros(0, int))
    known = set(new_names)
    has_moved = ~_same_shapes(new.shapes[mine], old.shapes[theirs], new.crs, old.crs) if len(mine) else np.zeros(0, bool)
    common = [name for name in new.columns if column_of(old, name) is not None]
    fields, retold = _retold(new, old, common, mine, theirs)
    return TableDifference(
        table=new.name, matched_by=(key or "") if by_key else "", fields=fields,
        fields_gained=tuple(name for name in new.columns if len(old) and name not in common),
        fields_lost=tuple(name for name in old.columns if column_of(new, name) is None),
        changes={
            "added": _change(new, [at for at, name in enumerate(new_names) if name not in there], key),
            "removed": _change(old, [at for at, name in enumerate(old_names) if name not in known], key),
            "moved": _change(new, mine[has_moved], key),
            "retold": _change(new, mine[~has_moved & retold], key),
            "kept": _change(new, mine[~has_moved & ~retold], key, names=False),
        },
    )


def _names(contents: Contents, key: str | None) -> list[str] | None:
    """None where the key does not name each feature once."""
    column = column_of(contents, key) if key else None
    if column is None or any(value in (None, "") for value in column):
        return [] if key and not len(contents) else None
    names = [str(value) for value in column]
    return names if len(set(names)) == len(names) else None


def _shape_names(contents: Contents, crs: str) -> list[str]:
    """By the shape itself; where it is there several times, by which of them."""
    plain, seen, names = _plain(contents.shapes, contents.crs, crs), {}, []
    for one in plain:
        seen[one] = seen.get(one, -1) + 1
        names.append(f"{one.hex()}/{seen[one]}")
    return names


def _plain(shapes: np.ndarray, source: str, crs: str) -> np.ndarray:
    if not len(shapes):
        return shapes
    grid = 1e-8 if reference.is_geographic(crs) else SAME_PLACE
    return shapely.to_wkb(shapely.normalize(shapely.set_precision(moved(shapes, source, crs), grid, mode="pointwise")))


def _same_shapes(new: np.ndarray, old: np.ndarray, new_crs: str, old_crs: str) -> np.ndarray:
    return _plain(new, new_crs, new_crs) == _plain(old, old_crs, new_crs)


def _retold(new: Contents, old: Contents, common: Sequence[str], mine: np.ndarray, theirs: np.ndarray) -> tuple[dict[str, int], np.ndarray]:
    changed, fields = np.zeros(len(mine), bool), {}
    for name in common:
        left, right = new.columns[name], column_of(old, name)
        differs = np.array([not _same(left[at], right[there]) for at, there in zip(mine, theirs, strict=True)], bool)
        if differs.any():
            fields[name] = int(differs.sum())
        changed |= differs
    return fields, changed


def _same(one: object, other: object) -> bool:
    return one == other or (one in (None, "") and other in (None, ""))


def _change(contents: Contents, positions: Sequence[int], key: str | None, *, names: bool = True) -> Change:
    positions = np.asarray(positions, dtype=int)
    if not len(positions):
        return Change(count=0)
    shapes = contents.in_metres[positions]
    return Change(
        count=len(positions), km=round(float(shapely.length(shapes).sum()) / 1000, 3) if contents.kind == "line" else 0.0,
        km2=round(float(shapely.area(shapes).sum()) / 1e6, 4) if contents.kind == "area" else 0.0,
        keys=tuple(contents.names_of(positions[:MOST_KEYS], key)) if names else (), shapes=tuple(contents.in_degrees[positions[:MOST_SHAPES]]),
    )
