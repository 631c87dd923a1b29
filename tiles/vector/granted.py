"""The one cut for features: what a permit lets be told of a table, feature by feature.

Everything that tells features goes through `told`: OGC API, WFS, vector tiles, packages, GetFeatureInfo. Its rules:

- A feature is told where a piece of the grant covers it whose row filter it meets, and nothing of it is told elsewhere. Rows are asked of the whole
  feature, attributes and shapes are told by ground.
- A place under several pieces is told what any of them tells. Where pieces tell different attributes a feature is told in parts, each with its own.
- `permit.area` is a limit above all pieces: what is suspended, or not asked, is told by none.
- An attribute that describes the whole shape is not told of a part of it, and no question about it is answered there.
- What is asked - a box, a condition - is answered by what is told. A feature that reaches into the box only beyond the border does not meet it.
- The order is that of keys, then of parts, and hangs on nothing else.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import shapely

from layers.features import NEVER_TOLD, FeatureBatch, FeatureQuery, FeatureStore
from layers.model import Bounds, FeatureClass
from layers.rows import RowFilter, Value, all_of, any_of, parse_rows
from tiles.permits import Permit, PermitPiece
from tiles.vector.cells import Cell, Cells
from tiles.vector.ground import CUT, OUTSIDE

EXTENT_DERIVED = re.compile(
    r"((shape|geom|st|the_geom|geo)[_.]*)?(length|leng|len|area|perimeter|perim|circumfere?n?c?e?)(_?(m|m2|km|km2|ha|mu|\d+))?"
    r"|[xy]_?(min|max)|(min|max)_?[xy]|bbox|extent|envelope|centroid(_?[xy])?|cent_?[xy]"
    r"|(图形|图斑|椭球|投影|几何)?(长度|面积|周长)|全长|总长|总面积|tb?mj|mj|cd|zc",
    re.IGNORECASE,
)
"""Attributes that describe the whole shape, told of no shape that was cut (design R3): in English, in Chinese, and by Chinese initials."""

CELLS = Cells()
"""How ground was split, remembered for all requests: geometry alone, known by the areas that it is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Some of what may be told: n things, by key and part. A feature that is told whole, or in one part, has part 0."""

    keys: np.ndarray                    # (n,) int64
    parts: np.ndarray                   # (n,) 0, or 1.. where what is told differs within one feature
    shapes: np.ndarray                  # (n,) of geometries in the edition's CRS, cut; one of one part is simple; Z kept, M not
    is_cut: np.ndarray                  # (n,) bool
    columns: dict[str, list[Value]]     # in the order of the table; None where it is not told here
    untold: dict[str, np.ndarray] = field(default_factory=dict)     # (n,) True where the None says so; only of columns of which it may

    def __len__(self) -> int:
        return len(self.keys)

    def only(self, wanted: np.ndarray) -> "Told":
        """Those of which `wanted` (n,) is True."""
        if wanted.all():
            return self
        return replace(
            self, keys=self.keys[wanted], parts=self.parts[wanted], shapes=self.shapes[wanted], is_cut=self.is_cut[wanted],
            columns={name: [value for value, is_in in zip(values, wanted, strict=True) if is_in] for name, values in self.columns.items()},
            untold={name: places[wanted] for name, places in self.untold.items()},
        )

    def properties(self, position: int) -> dict[str, Value]:
        """What is told of one: the names of attributes that are not told here are left out."""
        return {
            name: values[position] for name, values in self.columns.items() if name not in self.untold or not self.untold[name][position]
        }


def told_fields(permit: Permit, table: FeatureClass) -> tuple[str, ...]:
    """The fields of a table that some piece tells, in its order: the schema."""
    if table.kind in NEVER_TOLD:
        return ()
    return tuple(name for name in table.fields if any(piece.tells(table.name, name) for piece in permit.pieces))


def told(
    permit: Permit, store: FeatureStore, table: FeatureClass, *, box: Bounds | None = None, where: RowFilter | None = None,
    after: int | None = None, key: int | None = None, fields: Collection[str] | None = None, size: int = 1000,
) -> Iterator[Told]:
    """All that the permit lets be told of a table, lazily.

    Parameters
    ----------
    box : Bounds, optional
        In the edition's CRS: what is told touches it.
    where : RowFilter, optional
        What is told meets it. Pieces that do not tell every attribute that it names count for nothing.
    after, key : int, optional
        Only features with a greater key; only this one.
    fields : collection of str, optional
        Attributes that are wanted, all that are told where absent.
    size : int
        Features read at once.

    Raises
    ------
    FeaturesUnavailable
        The store can't be read now.
    """
    if table.kind in NEVER_TOLD:
        return
    named = () if where is None else _named(where, table)
    pieces = [piece for piece in permit.pieces if all(piece.tells(table.name, name) for name in named)]
    if not pieces:
        return
    wanted = tuple(name for name in told_fields(permit, table) if fields is None or name in fields)
    plan = _Plan(permit, table, pieces, wanted, box, where if _asks_of_shapes(named) else None)
    if plan.box is NOWHERE:
        return
    rows = plan.rows()
    pushed = [one for one in (where if plan.afterwards is None else None, rows) if one is not None]
    query = FeatureQuery(
        table=table, box=plan.box, where=all_of(pushed) if pushed else None, fields=plan.read, after=after, key=key,
    )
    for batch in store.batches(permit.edition, query, size):
        found = plan.tell(batch)
        if len(found):
            yield found


NOWHERE = Bounds(0.0, 0.0, 0.0, 0.0)


def _named(where: RowFilter, table: FeatureClass) -> tuple[str, ...]:
    """The table's own fields that a condition names."""
    found = (where.named_in(table.name, table.fields, name) for name in sorted(where.attributes))
    return tuple(dict.fromkeys(name for name in found if name is not None))


def _asks_of_shapes(named: Collection[str]) -> bool:
    return any(EXTENT_DERIVED.fullmatch(name) for name in named)


class _Plan:
    """How the features of one table are told under one permit."""

    def __init__(
        self, permit: Permit, table: FeatureClass, pieces: Sequence[PermitPiece], wanted: tuple[str, ...], box: Bounds | None,
        afterwards: RowFilter | None,
    ):
        self.permit, self.table, self.pieces, self.wanted, self.asked, self.afterwards = permit, table, pieces, wanted, box, afterwards
        self.filters = tuple(dict.fromkeys(piece.rows for piece in pieces))           # CQL2 text, None for all rows
        self.parsed = tuple(None if text is None else parse_rows(text) for text in self.filters)
        asked = set() if afterwards is None else set(_named(afterwards, table))
        self.kept = tuple(name for name in table.fields if name in asked or name in wanted)
        rows = {name for one in self.parsed if one is not None and len(self.filters) > 1 for name in _named(one, table)}
        self.read = tuple(name for name in table.fields if name in rows or name in self.kept)
        self.tells = {piece: frozenset(name for name in self.kept if piece.tells(table.name, name)) for piece in set(pieces)}
        self.derived = frozenset(name for name in self.kept if EXTENT_DERIVED.fullmatch(name))
        self.box = self._box()

    def rows(self) -> RowFilter | None:
        """What every feature meets of which anything is told; None where that is no condition."""
        if None in self.filters:
            return None
        return any_of([one for one in self.parsed if one is not None])

    def _box(self) -> Bounds | None:
        """Where features are looked for, `NOWHERE` where nothing can be told."""
        bounds = _bounds_of(self._cells(tuple(True for _ in self.filters)))
        if bounds is None or self.asked is None:
            bounds = self.asked if bounds is None else bounds
        else:
            bounds = bounds.intersection(self.asked)
        return bounds if bounds is None or (bounds.left <= bounds.right and bounds.bottom <= bounds.top) else NOWHERE

    def _cells(self, met: tuple[bool, ...]) -> tuple[Cell, ...]:
        """Ground, for features that meet these of the row filters."""
        counting = {text for text, is_met in zip(self.filters, met, strict=True) if is_met}
        pieces = [(piece.area, self.tells[piece]) for piece in self.pieces if piece.rows in counting]
        return CELLS.of(self.permit.area, pieces, self.permit.edition.crs) if pieces else ()

    def tell(self, batch: FeatureBatch) -> Told:
        found = []
        for met, members in self._patterns(batch):
            found += self._of_pattern(batch, self._cells(met), members)
        return self._answered(self._in_order(batch, found))

    def _patterns(self, batch: FeatureBatch) -> Iterator[tuple[tuple[bool, ...], np.ndarray]]:
        """Which row filters are met, and the positions of the features that meet just these."""
        everyone = np.arange(len(batch))
        if len(self.filters) == 1:
            yield (True,), everyone                     # the store has asked it
            return
        answers = np.ones((len(batch), len(self.filters)), bool)
        for column, one in enumerate(self.parsed):
            if one is not None:
                names = _named(one, self.table)
                rows = zip(*(batch.columns[name] for name in names), strict=True) if names else (() for _ in everyone)
                answers[:, column] = [one.matches(self.table.name, dict(zip(names, row, strict=True))) for row in rows]
        patterns, which = np.unique(answers, axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns.tolist()):
            if any(pattern):
                yield tuple(pattern), np.flatnonzero(which.ravel() == number)

    def _of_pattern(self, batch: FeatureBatch, cells: Sequence[Cell], members: np.ndarray) -> list["_Piece"]:
        """What is told of some features, cell by cell."""
        shapes, found, before = batch.shapes[members], [], None
        for rank, cell in enumerate(cells):
            cut, states = cell.ground.cut(shapes)
            if before is not None:
                cut, states = _not_twice(cut, states, before)
            fit = states != OUTSIDE
            if len(cells) > 1:
                before = cut if before is None else _both(before, cut)
            if fit.any():
                found.append(_Piece(members[fit], np.full(int(fit.sum()), rank), cut[fit], states[fit] == CUT, cell.told))
        return found

    def _in_order(self, batch: FeatureBatch, pieces: Sequence["_Piece"]) -> Told:
        if not pieces:
            return Told(
                keys=batch.keys[:0], parts=np.zeros(0, np.int64), shapes=batch.shapes[:0], is_cut=np.zeros(0, bool),
                columns={name: [] for name in self.kept},
            )
        positions, ranks = np.concatenate([one.positions for one in pieces]), np.concatenate([one.ranks for one in pieces])
        which = np.repeat(np.arange(len(pieces)), [len(one.positions) for one in pieces])
        order = np.lexsort((ranks, positions))
        positions, ranks, which = positions[order], ranks[order], which[order]
        is_cut = np.concatenate([one.is_cut for one in pieces])[order]
        shapes = _plain(np.concatenate([one.shapes for one in pieces])[order])
        is_split = np.bincount(positions, minlength=len(batch))[positions] > 1
        is_told = {name: np.array([name in one.told for one in pieces])[which] & ~(is_cut & (name in self.derived)) for name in self.kept}
        return Told(
            keys=batch.keys[positions], parts=np.where(is_split, ranks + 1, 0), shapes=shapes, is_cut=is_cut,
            columns={name: self._column(batch.columns[name], positions, is_told[name]) for name in self.kept},
            untold={name: ~telling for name, telling in is_told.items() if not telling.all()},
        )

    @staticmethod
    def _column(values: list[Value], positions: np.ndarray, is_told: np.ndarray) -> list[Value]:
        if is_told.all():
            return values if len(positions) == len(values) and (np.diff(positions) == 1).all() else [values[at] for at in positions.tolist()]
        return [values[at] if is_in else None for at, is_in in zip(positions.tolist(), is_told.tolist(), strict=True)]

    def _answered(self, found: Told) -> Told:
        """Of what is told, what meets the question."""
        if self.asked is not None and len(found):
            found = found.only(_touches(found.shapes, self.asked))
        if self.afterwards is not None and len(found):
            names = _named(self.afterwards, self.table)
            rows = zip(*(found.columns[name] for name in names), strict=True)
            found = found.only(np.array(
                [self.afterwards.matches(self.table.name, dict(zip(names, row, strict=True))) for row in rows], bool,
            ))
        if len(self.kept) > len(self.wanted):
            found = replace(found, columns={name: found.columns[name] for name in self.wanted})
        return found


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is told in one cell: positions in the batch, and the rank of the cell among those of each feature."""

    positions: np.ndarray
    ranks: np.ndarray
    shapes: np.ndarray
    is_cut: np.ndarray
    told: frozenset[str]


def _bounds_of(cells: Sequence[Cell]) -> Bounds | None:
    """Of all of them together; None where they have no end."""
    bounds = [cell.ground.bounds for cell in cells]
    if None in bounds:
        return None
    return Bounds(
        min(one.left for one in bounds), min(one.bottom for one in bounds), max(one.right for one in bounds), max(one.top for one in bounds),
    ) if bounds else Bounds(np.inf, np.inf, -np.inf, -np.inf)


def _not_twice(cut: np.ndarray, states: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places on the border of two cells belong to the one that tells more, which came first."""
    cut, states = cut.copy(), states.copy()
    again = np.flatnonzero((states != OUTSIDE) & ~shapely.is_missing(before) & (shapely.get_dimensions(cut) == 0))
    for position in again.tolist():
        rest = shapely.difference(cut[position], before[position])
        if rest.is_empty:
            cut[position], states[position] = None, OUTSIDE
        elif not shapely.equals(rest, cut[position]):
            cut[position], states[position] = rest, CUT
    return cut, states


def _both(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Each of `some` with what `others` adds to it: of places alone, since of nothing else it is asked."""
    places = np.flatnonzero(~shapely.is_missing(others) & (shapely.get_dimensions(others) == 0))
    found = some.copy()
    found[places] = np.where(shapely.is_missing(some[places]), others[places], shapely.union(some[places], others[places]))
    return found


def _touches(shapes: np.ndarray, box: Bounds) -> np.ndarray:
    """Which shapes share a place with a box; most are answered by their own boxes."""
    left, bottom, right, top = shapely.bounds(shapes).T
    found = (left <= box.right) & (right >= box.left) & (bottom <= box.top) & (top >= box.bottom)
    within = (left >= box.left) & (right <= box.right) & (bottom >= box.bottom) & (top <= box.top)
    unsure = np.flatnonzero(found & ~within)
    if len(unsure):
        found[unsure] = shapely.intersects(_rectangle(box), shapes[unsure])
    return found


def _rectangle(box: Bounds) -> shapely.Geometry:
    """A box, which may be no broader than a line or a place."""
    if box.width and box.height:
        return shapely.box(*box)
    return shapely.LineString([(box.left, box.bottom), (box.right, box.top)]) if box.width or box.height else shapely.Point(box.left, box.bottom)


def _plain(shapes: np.ndarray) -> np.ndarray:
    """One part is told as one part: whether it is stored as several of one hangs on its neighbours in the table. And no measures (M), which
    count from where a line begins."""
    single = np.flatnonzero((shapely.get_type_id(shapes) > 3) & (shapely.get_num_geometries(shapes) == 1))
    measured = np.flatnonzero(shapely.has_m(shapes))
    if len(single) or len(measured):
        shapes = shapes.copy()
        shapes[single] = shapely.get_geometry(shapes[single], 0)
        for position in measured.tolist():
            shape = shapes[position]
            shapes[position] = shapely.from_wkb(shapely.to_wkb(shape, output_dimension=3)) if shapely.has_z(shape) else shapely.force_2d(shape)
    return shapes
