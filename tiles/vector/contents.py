"""What is in a tile at which scale, and which kind each feature is: from the very style files that pictures are drawn with.

A feature is in a tile where the picture would show it at any scale at which the tile is: a tile of 512 pixels serves from its own scale up to that of
the next level. `config/vector_tiles.csv` says otherwise for single kinds of a class. Everything rests on attributes that may be told: of what is
hidden neither the kind nor the level at which a feature appears lets anything be known.
"""

import csv
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from layers.features import NEVER_TOLD
from layers.model import Edition, FeatureClass
from layers.rows import Joined, Node, RowFilter, Value
from tiles.dlg_styles import ALL, NOTHING, Fields, Kind, Parameters, StyleBook, StyleFile, TableStyles
from tiles.grids import TileMatrixSet
from tiles.symbols import TableRules, read
from tiles.vector.filters import KIND, truth
from tiles.vector.patterns import Pattern

OTHER = "other"
"""Of no kind that the style of its class names."""

PIXELS = 512
"""To a side of the picture that a vector tile stands for."""

WITH_THE_FINEST = 10_000.0
"""Scale up to which features are in tiles that no picture ever shows."""

COMBINATIONS_KEPT = 20_000
EVERYTHING = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableContents:
    """One table as it is told in tiles. `to_scale`: scale denominator up to which each kind is in them."""

    table: FeatureClass
    fields: tuple[str, ...]
    kinds: tuple[str, ...]
    to_scale: Mapping[str, float]
    telling: "_Telling"

    @property
    def has_kinds(self) -> bool:
        return len(self.kinds) > 1

    @property
    def coarsest(self) -> float:
        return max(self.to_scale.values())

    def shown(self, scale: float) -> frozenset[str]:
        """Kinds that are in tiles of this scale (`scale_of`)."""
        return frozenset(kind for kind, to_scale in self.to_scale.items() if scale < to_scale)

    def condition(self, scale: float) -> RowFilter | None:
        """What every feature meets that is in tiles of this scale, for the store to ask; None where that is nothing, or can't be said so."""
        shown = self.shown(scale)
        return None if not self.has_kinds or len(shown) == len(self.kinds) else self.telling.condition(shown)

    def kinds_of(self, columns: Mapping[str, Sequence[Value]], count: int) -> list[str]:
        """The kind of each of so many features."""
        return self.telling.kinds_of(columns, count) if self.has_kinds else [self.kinds[0]] * count


def scale_of(tms: TileMatrixSet, z: int) -> float:
    """The finest scale at which a tile of level `z` is shown: what is drawn up to a smaller scale than this is in it."""
    return tms.scale_denominator(z) * tms.tile_size / PIXELS / 2


def contents_of(
    edition: Edition, told: Mapping[str, Iterable[str]], book: StyleBook, overrides: "Overrides", parameters: Mapping[str, Parameters] | None = None,
) -> dict[str, TableContents]:
    """The tables of an edition by name, in drawing order of their class; `told` names the attributes that may be told of each.

    Tables of secret kinds, and tables that `told` leaves out, are not there.
    """
    narrowed = as_told(edition, told)
    if edition.symbols is not None:
        rules = read(edition.symbols).tables
        return {table.name: _plain(table, rules.get(table.name, TableRules()).to_scale) for table in narrowed.classes}
    styles = {one.feature_class.name: one for one in book.fit(narrowed, parameters, kinds_in=KIND)}
    found = {}
    for table in sorted(narrowed.classes, key=lambda one: (book.classes.drawing_order(one.kind), one.name)):
        if table.name in styles:
            written = (parameters or {}).get(table.name, Parameters())
            found[table.name] = _contents(table, book.files.get(table.kind, book.overlay), book.fields(table), styles[table.name], written, overrides)
    return found


def as_told(edition: Edition, told: Mapping[str, Iterable[str]]) -> Edition:
    """The edition as if it had no more than may be told of it."""
    classes = tuple(
        replace(table, fields=tuple(name for name in table.fields if name in set(told[table.name])))
        for table in edition.classes if table.name in told and table.kind not in NEVER_TOLD
    )
    return replace(edition, classes=classes)


def _plain(table: FeatureClass, to_scale: float | None) -> TableContents:
    return TableContents(
        table=table, fields=table.fields, kinds=(OTHER,), to_scale={OTHER: to_scale or EVERYTHING}, telling=_Telling(table.name, (), ()),
    )


def _contents(
    table: FeatureClass, file: StyleFile, fields: Fields, styles: TableStyles, parameters: Parameters, overrides: "Overrides",
) -> TableContents:
    filters = file.filters(fields)
    kinds = tuple(name for name, text in filters.items() if text != NOTHING)
    drawn = {kind: max(_drawn_to(styles, kind), WITH_THE_FINEST) for kind in kinds}
    telling = _Telling(table.name, tuple(kind for kind in file.kinds if kind.ways and kind.name in kinds), _tests(file, fields, parameters))
    return TableContents(
        table=table, fields=table.fields, kinds=kinds, telling=telling,
        to_scale={kind: overrides.to_scale.get((table.kind, kind), to_scale) for kind, to_scale in drawn.items()},
    )


def _drawn_to(styles: TableStyles, kind: str) -> float:
    """Scale denominator up to which some rule may draw features of a kind; 0 where none does."""
    most = 0.0
    for style in styles.styles:
        for rule in style.element.iterfind("Rule"):
            if truth(rule.findtext("Filter") or ALL, kind) is not False:
                most = max(most, float(rule.findtext("MaxScaleDenominator") or EVERYTHING))
    return most


# Telling kinds

@dataclass(frozen=True, slots=True)
class _Test:
    """One way to tell a kind, for one table: any of the fields fits."""

    fields: tuple[str, ...]
    pattern: re.Pattern | None
    step: float | None
    code: str | None            # the field that must be empty for this to count

    def fits(self, values: Mapping[str, Value]) -> bool:
        if self.code is not None and _as_text(values[self.code]):
            return False
        return any(self._fits(values[name]) for name in self.fields)

    def nodes(self) -> list[Node | None]:
        """Conditions of a row filter, one of which is met by what fits; with None where that can't be said. What must be empty is left aside."""
        return [None if pattern is None else pattern.met(name) for name, pattern in self._patterns()]

    def opposites(self) -> list[Node | None]:
        """Conditions all of which are met by what does not fit."""
        return [None if pattern is None else pattern.unmet(name) for name, pattern in self._patterns()]

    def _patterns(self) -> list[tuple[str, Pattern | None]]:
        return [(name, None if self.pattern is None else Pattern.read(self.pattern.pattern)) for name in self.fields]

    def _fits(self, value: Value) -> bool:
        if self.step is not None:
            return isinstance(value, int | float) and value % self.step == 0
        return self.pattern.fullmatch(_as_text(value)) is not None


def _all(nodes: tuple[Node | None, ...]) -> Node | None:
    return None if None in nodes else Joined(True, nodes)


def _as_text(value: Value) -> str:
    """As Mapnik's `match` sees it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


Tests = tuple[tuple[_Test, ...] | bool, ...]


def _tests(file: StyleFile, fields: Fields, parameters: Parameters) -> Tests:
    """Of each kind that can occur: its ways, or True where all that is left is of it."""
    filters, found = file.filters(fields), []
    for kind in file.kinds:
        if kind.ways and filters[kind.name] != NOTHING:
            ways = [way for way in kind.ways if way.expression(fields) != NOTHING]
            found.append(True if any(way.expression(fields) == ALL for way in ways) else tuple(_test(way, fields, parameters) for way in ways))
    return tuple(found)


def _test(way, fields: Fields, parameters: Parameters) -> _Test:
    names = tuple(dict.fromkeys(name for wanted in way.fields if (name := fields.find(wanted))))
    step = way.step.replace("${index_step}", f"{parameters.index_step:g}")
    # a multiple of the interval counts only for features without a code: the interval is a fact of the edition, not of what is granted of it
    code = fields.find("GB") if way.is_fallback or step else None
    return _Test(names, None if step else re.compile(way.pattern), float(step) if step else None, code)


@dataclass(slots=True)
class _Telling:
    """Kinds by values, each combination of values looked at once."""

    table: str
    kinds: tuple[Kind, ...]
    tests: Tests
    _known: dict[tuple, str] = field(default_factory=dict)

    @property
    def needed(self) -> tuple[str, ...]:
        """Attributes that it looks at."""
        names = (name for ways in self.tests if ways is not True for way in ways for name in (*way.fields, *filter(None, [way.code])))
        return tuple(dict.fromkeys(names))

    def kinds_of(self, columns: Mapping[str, Sequence[Value]], count: int) -> list[str]:
        needed, known = self.needed, self._known
        if not needed:
            return [self._kind({})] * count
        found = []
        for values in zip(*(columns[name] for name in needed), strict=True):
            kind = known.get(values)
            if kind is None:
                if len(known) >= COMBINATIONS_KEPT:
                    known.clear()
                kind = known[values] = self._kind(dict(zip(needed, values, strict=True)))
            found.append(kind)
        return found

    def condition(self, shown: Collection[str]) -> RowFilter | None:
        """What features of these kinds meet; others may meet it too. None where that can't be said."""
        by_kind = {kind.name: ways for kind, ways in zip(self.kinds, self.tests, strict=True)}
        hidden = [ways for name, ways in by_kind.items() if name not in shown]
        met = [ways for name, ways in by_kind.items() if name in shown]
        if True in met or True in hidden:
            return None
        nodes = [node for ways in met for way in ways for node in way.nodes()]
        if OTHER in shown:                                        # ... or nothing that would make it one of the hidden kinds
            nodes.append(_all(tuple(node for ways in hidden for way in ways for node in way.opposites())))
        if None in nodes:
            return None
        fields = frozenset(name for ways in (*met, *hidden) for way in ways for name in way.fields)
        return RowFilter(f"{self.table}: {' '.join(sorted(shown))}", Joined(False, tuple(nodes)), fields) if nodes else None

    def _kind(self, values: Mapping[str, Value]) -> str:
        for kind, ways in zip(self.kinds, self.tests, strict=True):
            if ways is True or any(way.fits(values) for way in ways):
                return kind.name
        return OTHER


# The table of exceptions

@dataclass(frozen=True, slots=True)
class Overrides:
    """`config/vector_tiles.csv`: class and kind -> scale denominator up to which it is in tiles."""

    to_scale: Mapping[tuple[str, str], float]

    @classmethod
    def load(cls, path: Path) -> "Overrides":
        """Raises ValueError where a row does not read: which line, what is wrong, how to mend it."""
        found = {}
        with Path(path).open(encoding="utf-8-sig", newline="") as rows:
            for line, row in enumerate(csv.DictReader(rows), start=2):
                if not (row["to_scale"] or "").isdigit():
                    raise ValueError(f"{path.name} line {line}: to_scale `{row['to_scale']}` is not a whole number: give a scale denominator")
                found[row["class"], row["kind"]] = float(row["to_scale"])
        return cls(found)
