"""What an amendment changes: all that a request could see before and after, not what the texts say.

Two sets of agreements of one grantee are asked one request of every kind that any of their grants tells apart (`agreements.compare.cells`), through
`agreements.decision.decide`. Where the answers differ, there is a change; so ground that moves from one grant to another with the same terms
is none, and a window that is split in two is none. Geometry is CRS84; square kilometres come from a function, since the plane knows none.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from itertools import groupby

import shapely
from shapely.geometry.base import BaseGeometry

from agreements.areas import SMALLEST_AREA, sheets_named
from agreements.compare.cells import (
    DIMENSIONS,
    OTHER,
    Box,
    Cell,
    Kind,
    LayerFacts,
    Rule,
    Span,
    Stop,
    cells,
    is_about,
    joined_spans,
    layers_named,
    merged,
    rules_of,
    signature,
    stops_of,
)
from agreements.decision import decide
from agreements.model import Agreement, Area, Decision, Grant, Operation, OverlayRequest, Piece, State
from agreements.quota import Limit, Quota
from agreements.terms import attributes_term, network_term

NOWHERE = shapely.MultiPolygon()


class Turn(StrEnum):
    """Whether a change gives more, takes away, or only makes otherwise."""

    GAINED = "gained"
    LOST = "lost"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Ground:
    """Polygons in CRS84 and their square kilometres; empty where there is none."""

    geometry: BaseGeometry = NOWHERE
    km2: float = 0.0

    def __bool__(self) -> bool:
        return not self.geometry.is_empty


@dataclass(frozen=True, slots=True)
class Choice:
    """Some values of a field: those named, or all but those named."""

    values: frozenset = frozenset()
    is_all_but: bool = False

    def holds(self, value) -> bool:
        return (value in self.values) != self.is_all_but

    @property
    def is_any(self) -> bool:
        return self.is_all_but and not self.values


ANYTHING = Choice(is_all_but=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Ground that requests of some kinds, and no others, gain and lose. `networks` and `attributes` are sets of sets of names."""

    operations: frozenset[Operation]
    at: tuple[Span, ...]
    scales: tuple[Span, ...]
    purpose: Choice
    app: Choice
    networks: Choice
    format: Choice
    crs: Choice
    style: Choice
    attributes: Choice
    gained: Ground
    lost: Ground


WORDS_OF_REQUEST = ("purpose", "app", "networks", "format", "crs", "style", "attributes")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationGround:
    """The ground of which something can be seen by one operation, whatever else a request holds."""

    operation: Operation
    before_km2: float
    after_km2: float
    gained: Ground
    lost: Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueGround:
    """A value of one dimension, and the ground where it is possible after and was not before, or the other way round; ground that is new or
    lost altogether is not counted again. `value` is a word, or a Span of scale denominators or moments."""

    dimension: str                               # "operation", "at", "scale", "attribute", "format", "crs", "style", "network", "purpose", "app"
    value: str | Span
    turn: Turn
    ground: Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """What goes with the data on ground that is seen before and after: `rows`, `degrade` (metres) or `mark`, where it is not the same.

    None is without: all rows, as it is, unmarked.
    """

    name: str
    before: tuple[str, ...] | None
    after: tuple[str, ...] | None
    turn: Turn
    ground: Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerDifference:
    """What changes of some layers, the same for each. `facts` are the layers and editions it holds for."""

    layers: tuple[str, ...]                      # "dom" where it holds for every edition, else "dom@2011"; "DOM" for any layer of the product
    facts: tuple[LayerFacts, ...]
    before_km2: float
    after_km2: float
    gained: Ground                               # something can be seen after, nothing could before
    lost: Ground
    operations: tuple[OperationGround, ...]
    values: tuple[ValueGround, ...]
    obligations: tuple[Obligation, ...]
    sheets_gained: tuple[str, ...]               # map sheets that the agreements name
    sheets_lost: tuple[str, ...]
    sheets_touched: tuple[str, ...]              # all map sheets with ground that is gained or lost
    changes: tuple[Change, ...]                  # no two of them about the same request
    granted: tuple[Grant, ...]                   # before and after, of these layers

    def change_for(self, request: OverlayRequest) -> Change | None:
        """What changes for one request of one of these layers; it has a scale."""
        asked = replace(
            request, attributes=self._alike("attributes", request, attributes_term), networks=self._alike("networks", request, network_term),
        )
        return next((change for change in self.changes if _is_about(change, asked)), None)

    def _alike(self, name: str, request: OverlayRequest, term: Callable) -> frozenset:
        """The set of names by which a change speaks of those in `request`: every grant takes both or neither."""
        taken = [term(None, grant, request) is None for grant in self.granted]
        spoken_of = {value for change in self.changes for value in getattr(change, name).values}
        return next(
            (value for value in spoken_of if [term(None, grant, replace(request, **{name: value})) is None for grant in self.granted] == taken),
            getattr(request, name),
        )

    @property
    def turn(self) -> Turn:
        """Gained or lost as a whole, or changed."""
        if not self.before_km2 and self.gained:
            return Turn.GAINED
        return Turn.LOST if not self.after_km2 and self.lost else Turn.CHANGED


def _is_about(change: Change, request: OverlayRequest) -> bool:
    return (
        request.operation in change.operations and any(span.holds(request.at) for span in change.at)
        and any(span.holds(request.scale_denominator) for span in change.scales)
        and all(getattr(change, name).holds(getattr(request, name)) for name in WORDS_OF_REQUEST)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountChange:
    """A limit of quota or rate of one agreement; None is without limit."""

    agreement_id: str
    name: str                                    # "rate", "burst", "export_km2", or a measure of quota
    window: str                                  # "day", "month", "term"; "" for the others
    resolution: float | None                     # metres, of a limit of ground
    before: float | None
    after: float | None

    @property
    def turn(self) -> Turn:
        is_more = self.after is None or (self.before is not None and self.after > self.before)
        return Turn.GAINED if is_more else Turn.LOST


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All that changes. `unchanged` is ground of which something is seen before and after, of all layers together: for a picture."""

    layers: tuple[LayerDifference, ...] = ()
    amounts: tuple[AmountChange, ...] = ()
    agreements_gained: tuple[str, ...] = ()
    agreements_lost: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()                  # fields of the documents that no request depends on, and that are not the same
    gained: Ground = Ground()
    lost: Ground = Ground()
    unchanged: Ground = Ground()

    @property
    def is_nothing(self) -> bool:
        return not (self.layers or self.amounts or self.agreements_gained or self.agreements_lost or self.texts)


def amendment(old: Agreement | None, new: Agreement | None, above: Iterable[Agreement] = (), **others) -> Difference:
    """What a new version of an agreement changes from the day on which it begins, as if both were signed; None is no agreement.

    `above` are all the agreements that stand over it, before and after. Suspensions are those that `old` and `new` hold. `others` are what
    `difference` takes.
    """
    above = tuple(above)
    before, after = ((*([replace(one, state=State.ACTIVE, replaced=None)] if one else []), *above) for one in (old, new))
    return difference(before, after, grantee=(new or old).grantee, since=new and new.term.start, **others)


def difference(
    before: Iterable[Agreement], after: Iterable[Agreement], *, grantee: str, km2: Callable[[BaseGeometry], float],
    layers: Iterable[LayerFacts] = (), since: datetime | None = None, frame: Callable[[str], BaseGeometry] | None = None,
    touching: Callable[[BaseGeometry], Sequence[str]] | None = None,
) -> Difference:
    """All that `grantee` can see after and not before, and the other way round.

    Parameters
    ----------
    before, after : Iterable[Agreement]
        His agreements, and those above them. What is in force when is told by their terms, `replaced` and state.
    km2 : callable
        Square kilometres of polygons in CRS84.
    layers : Iterable[LayerFacts]
        The layers there are; what the agreements name beside them is thought of as well, and so are editions to come.
    since : datetime, optional
        Only what is asked from that moment on.
    frame, touching : callable, optional
        CRS84 frame of a map sheet by its number; numbers of the map sheets that share ground with a geometry.
    """
    before, after = tuple(before), tuple(after)
    comparison = _Comparison(before, after, grantee, km2, since, frame, touching)
    found = comparison.layers(layers_named([a for a in (*before, *after) if a.grantee == grantee], layers))
    old, new = (_newest(agreement for agreement in side if agreement.grantee == grantee) for side in (before, after))
    gained = comparison.ground(shapely.union_all([one.gained.geometry for one in found]))
    lost = comparison.ground(shapely.union_all([one.lost.geometry for one in found]))
    return Difference(
        layers=found, amounts=tuple(change for name in sorted(old.keys() & new.keys()) for change in amount_changes(old[name], new[name])),
        agreements_gained=tuple(sorted(new.keys() - old.keys())), agreements_lost=tuple(sorted(old.keys() - new.keys())),
        texts=tuple(sorted({text for name in old.keys() & new.keys() for text in _texts_changed(old[name], new[name])})),
        gained=gained, lost=lost, unchanged=comparison.unchanged(),
    )


def _newest(agreements: Iterable[Agreement]) -> dict[str, Agreement]:
    return {agreement.agreement_id: agreement for agreement in sorted(agreements, key=lambda one: one.version)}


# Layer by layer

Areas = frozenset[str]
"""Digests: the union of these areas. The areas themselves are kept once."""


@dataclass(slots=True)
class _Seen:
    """One cell of requests: what is shown before and after."""

    cell: Cell
    before: Decision
    after: Decision


class _Comparison:
    def __init__(
        self, before: tuple[Agreement, ...], after: tuple[Agreement, ...], grantee: str, km2: Callable[[BaseGeometry], float],
        since: datetime | None, frame: Callable[[str], BaseGeometry] | None, touching: Callable[[BaseGeometry], Sequence[str]] | None,
    ):
        self.before, self.after, self.grantee, self.km2, self.since, self.frame, self.touching = before, after, grantee, km2, since, frame, touching
        self.rules: tuple[Rule, ...] = rules_of((*before, *after))
        self.stops: tuple[Stop, ...] = stops_of((*before, *after))
        self._areas: dict[str, Area] = {}
        self._unions: dict[Areas, BaseGeometry] = {}
        self._differences: dict[tuple[Areas, Areas, int], Ground] = {}
        self._rests: dict[tuple[int, int], Ground] = {}
        self._stays: dict[tuple[Areas, Areas, int], BaseGeometry] = {}

    def layers(self, facts: Iterable[LayerFacts]) -> tuple[LayerDifference, ...]:
        """Of layers that are taken alike one, with the names of all."""
        alike: dict[tuple, list[LayerFacts]] = {}
        for one in facts:
            if one.owner != self.grantee:
                alike.setdefault(signature(one, self.rules, self.stops), []).append(one)
        everything = [one for group in alike.values() for one in group]
        found = []
        for group in alike.values():
            seen = self._cells(group[0])
            for extent, some in _by_extent(group):
                found.append(self._layer(tuple(some), extent, seen, everything))
        return tuple(sorted((one for one in found if one is not None), key=lambda one: one.layers))

    def _cells(self, facts: LayerFacts) -> list[_Seen]:
        asked = facts.asked_by(self.grantee)
        return [
            _Seen(cell, decide(cell.request, self.before), decide(cell.request, self.after))
            for cell in cells(self.rules, self.stops, asked, self.since)
        ]

    def _layer(
        self, facts: tuple[LayerFacts, ...], extent: BaseGeometry | None, seen: list[_Seen], everything: Sequence[LayerFacts],
    ) -> LayerDifference | None:
        changes = self._changes(seen, extent)
        obligations = self._obligations(seen, extent)
        before, after = self._all(seen, 0), self._all(seen, 1)
        self._stay(before, after, extent)
        if not changes and not obligations:
            return None
        gained, lost = self.less(after, before, extent), self.less(before, after, extent)
        values = () if not before or not after else self._values(seen, extent, (gained, lost))
        named = self._sheets(facts, gained, lost)
        return LayerDifference(
            layers=labels(facts, everything), facts=facts, before_km2=self.less(before, frozenset(), extent).km2,
            after_km2=self.less(after, frozenset(), extent).km2, gained=gained, lost=lost, operations=self._operations(seen, extent),
            values=values, obligations=obligations, sheets_gained=named[0], sheets_lost=named[1],
            sheets_touched=self._touched(gained, lost), changes=changes,
            granted=tuple(dict.fromkeys(rule.grant for rule in self.rules if is_about(rule, facts[0].asked_by(self.grantee)))),
        )

    # -- ground

    def areas(self, decision: Decision) -> Areas:
        """Of the pieces: equal ground has equal digests, however many grants it comes from."""
        for piece in decision.pieces:
            self._areas.setdefault(piece.area.digest, piece.area)
        return frozenset(piece.area.digest for piece in decision.pieces)

    def union(self, areas: Areas) -> BaseGeometry:
        if areas not in self._unions:
            self._unions[areas] = shapely.union_all([self._areas[digest].geometry for digest in sorted(areas)])
        return self._unions[areas]

    def less(self, areas: Areas, others: Areas, extent: BaseGeometry | None) -> Ground:
        """The ground of `areas` without that of `others`, within `extent`."""
        if areas <= others:
            return Ground()
        name = areas, others, id(extent)
        if name not in self._differences:
            left = self.union(areas - others)                 # what both hold can't be left
            left = shapely.difference(left, self.union(others)) if others else left
            self._differences[name] = self.ground(left if extent is None else shapely.intersection(left, extent))
        return self._differences[name]

    def ground(self, geometry: BaseGeometry) -> Ground:
        """Polygons alone, without slivers that come of arithmetic."""
        polygons = [part for part in shapely.get_parts(shapely.get_parts(geometry)) if part.geom_type == "Polygon" and part.area > SMALLEST_AREA]
        if not polygons:
            return Ground()
        whole = polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)
        return Ground(whole, self.km2(whole))

    def _stay(self, before: Areas, after: Areas, extent: BaseGeometry | None) -> None:
        if before and after and (before, after, id(extent)) not in self._stays:
            both = self.union(before) if before == after else shapely.intersection(self.union(before), self.union(after))
            self._stays[before, after, id(extent)] = both if extent is None else shapely.intersection(both, extent)

    def unchanged(self) -> Ground:
        return self.ground(shapely.union_all(list(self._stays.values())))

    def _all(self, seen: Iterable[_Seen], side: int) -> Areas:
        return frozenset().union(*(self.areas(one.after if side else one.before) for one in seen))

    # -- changes

    def _changes(self, seen: Sequence[_Seen], extent: BaseGeometry | None) -> tuple[Change, ...]:
        every = [frozenset(kind for one in seen for box in one.cell.boxes for kind in box[position]) for position in range(len(DIMENSIONS))]
        boxes: dict[tuple[bytes, bytes], list[Box]] = {}
        grounds: dict[tuple[bytes, bytes], tuple[Ground, Ground]] = {}
        for one in seen:
            before, after = self.areas(one.before), self.areas(one.after)
            gained, lost = self.less(after, before, extent), self.less(before, after, extent)
            if gained or lost:
                name = shapely.to_wkb(shapely.normalize(gained.geometry)), shapely.to_wkb(shapely.normalize(lost.geometry))
                boxes.setdefault(name, []).extend(one.cell.boxes)
                grounds[name] = gained, lost
        return tuple(_change(box, every, *grounds[name]) for name, some in boxes.items() for box in merged(some))

    def _operations(self, seen: Sequence[_Seen], extent: BaseGeometry | None) -> tuple[OperationGround, ...]:
        found = []
        for kind, some in _by_kind(seen, "operation"):
            before, after = self._all(some, 0), self._all(some, 1)
            found.append(OperationGround(
                operation=kind.value, before_km2=self.less(before, frozenset(), extent).km2, after_km2=self.less(after, frozenset(), extent).km2,
                gained=self.less(after, before, extent), lost=self.less(before, after, extent),
            ))
        return tuple(one for one in found if one.gained or one.lost)

    def _values(self, seen: Sequence[_Seen], extent: BaseGeometry | None, altogether: tuple[Ground, Ground]) -> tuple[ValueGround, ...]:
        """Value by value, what can be seen with it after and could not before, beyond the ground that is new altogether."""
        found = []
        for position, name in VALUES.items():
            by_kind = _by_kind(seen, position)
            if len(by_kind) < 2:
                continue
            for turn, beyond in zip((Turn.GAINED, Turn.LOST), altogether, strict=True):
                grounds = []
                for kind, some in by_kind:
                    sides = self._all(some, 0), self._all(some, 1)
                    more = self.less(*(sides if turn is Turn.LOST else reversed(sides)), extent)
                    grounds.append((kind, self._beyond(more, beyond)))
                found += _valued(name, turn, grounds)
        return tuple(found)

    def _beyond(self, ground: Ground, other: Ground) -> Ground:
        """`ground` without `other`: many values share both."""
        if not ground or not other:
            return ground
        name = id(ground), id(other)
        if name not in self._rests:
            self._rests[name] = Ground() if ground is other else self.ground(shapely.difference(ground.geometry, other.geometry))
        return self._rests[name]

    def _obligations(self, seen: Sequence[_Seen], extent: BaseGeometry | None) -> tuple[Obligation, ...]:
        grounds: dict[tuple, list[BaseGeometry]] = {}
        for pieces in {(one.before.pieces, one.after.pieces): None for one in seen if one.before.pieces and one.after.pieces}:
            for name, (key, effective) in OBLIGATIONS.items():
                if len({key(piece) for side in pieces for piece in side}) == 1:
                    continue                                    # the same everywhere, before and after
                for old, its in _parted(pieces[0], key):
                    for new, theirs in _parted(pieces[1], key):
                        one, other = effective(old), effective(new)
                        if one != other:
                            grounds.setdefault((name, one, other), []).append(shapely.intersection(its, theirs))
        found = []
        for (name, old, new), parts in grounds.items():
            common = shapely.union_all(parts)
            if ground := self.ground(common if extent is None else shapely.intersection(common, extent)):
                found.append(Obligation(name=name, before=old, after=new, turn=_turn_of(name, old, new), ground=ground))
        return tuple(sorted(found, key=lambda one: (one.name, one.before or (), one.after or ())))

    # -- sheets

    def _sheets(self, facts: Sequence[LayerFacts], gained: Ground, lost: Ground) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Map sheets that one side names for these layers and the other does not, where their ground is gained or lost."""
        if self.frame is None:
            return (), ()
        asked = [one.asked_by(self.grantee) for one in facts]
        before, after = (
            {number for rule in rules_of(side) if any(is_about(rule, one) for one in asked) for number in sheets_named(rule.grant.area)}
            for side in (self.before, self.after)
        )
        return self._framed(after - before, gained), self._framed(before - after, lost)

    def _framed(self, numbers: Iterable[str], ground: Ground) -> tuple[str, ...]:
        shapely.prepare(ground.geometry)
        return tuple(
            number for number in sorted(numbers) if ground.geometry.intersects(frame := self.frame(number)) and not ground.geometry.touches(frame)
        )

    def _touched(self, gained: Ground, lost: Ground) -> tuple[str, ...]:
        if self.touching is None:
            return ()
        return tuple(sorted({number for ground in (gained, lost) if ground for number in self.touching(ground.geometry)}))


def _by_extent(facts: Sequence[LayerFacts]) -> list[tuple[BaseGeometry | None, list[LayerFacts]]]:
    found: dict[bytes, tuple[BaseGeometry | None, list[LayerFacts]]] = {}
    for one in facts:
        found.setdefault(b"" if one.extent is None else shapely.to_wkb(one.extent), (one.extent, []))[1].append(one)
    return list(found.values())


def labels(facts: Iterable[LayerFacts], everything: Iterable[LayerFacts]) -> tuple[str, ...]:
    """Names of layers: without an edition where all editions of the layer are among them."""
    chosen, editions = set(facts), {}
    for one in everything:
        editions.setdefault((one.name, one.product if one.name == OTHER else ""), set()).add(one)
    found = []
    for (name, product), all_of_it in editions.items():
        if here := all_of_it & chosen:
            found += [product or name] if here == all_of_it else sorted({one.label for one in here})
    return tuple(sorted(found))


def _by_kind(seen: Sequence[_Seen], field_of_request: str) -> list[tuple[Kind, list[_Seen]]]:
    """The cells in which each kind of one dimension occurs, in the order of the kinds' values."""
    position = next(at for at, dimension in enumerate(DIMENSIONS) if dimension.field == field_of_request)
    found: dict[Kind, list[_Seen]] = {}
    for one in seen:
        for kind in dict.fromkeys(kind for box in one.cell.boxes for kind in box[position]):
            found.setdefault(kind, []).append(one)
    return sorted(found.items(), key=lambda pair: _sortable(pair[0].value))


def _sortable(value) -> object:
    return tuple(sorted(value)) if isinstance(value, frozenset) else value


VALUES = {
    "at": "at", "operation": "operation", "scale_denominator": "scale", "purpose": "purpose", "app": "app", "networks": "network", "format": "format",
    "crs": "crs", "style": "style", "attributes": "attribute",
}
"""Field of a request -> what one of its values is called."""


def _valued(name: str, turn: Turn, grounds: Sequence[tuple[Kind, Ground]]) -> list[ValueGround]:
    """Words by themselves; spans that lie side by side with the same ground as one. Of attributes, each by itself."""
    if not isinstance(grounds[0][0].means, Span):
        return [
            ValueGround(dimension=name, value=_word(kind), turn=turn, ground=ground)
            for kind, ground in grounds if ground and not (isinstance(kind.means, frozenset) and len(kind.means) != 1)
        ]
    found = []
    for _, some in groupby(grounds, key=lambda pair: shapely.to_wkb(shapely.normalize(pair[1].geometry))):
        some = list(some)
        if some[0][1]:
            found += [
                ValueGround(dimension=name, value=span, turn=turn, ground=some[0][1]) for span in joined_spans(kind.means for kind, _ in some)
            ]
    return found


def _word(kind: Kind) -> str:
    return next(iter(kind.means)) if isinstance(kind.means, frozenset) else str(kind.means)


def _change(box: Box, every: Sequence[frozenset[Kind]], gained: Ground, lost: Ground) -> Change:
    by_field = {dimension.field: (kinds, all_kinds) for dimension, kinds, all_kinds in zip(DIMENSIONS, box, every, strict=True)}
    spans = {
        name: joined_spans(sorted((kind.means for kind in by_field[name][0]), key=_span_order)) for name in ("at", "scale_denominator")
    }
    return Change(
        operations=frozenset(kind.value for kind in by_field["operation"][0]), at=spans["at"], scales=spans["scale_denominator"],
        **{name: _choice(*by_field[name], OTHERS.get(name, OTHER)) for name in WORDS_OF_REQUEST}, gained=gained, lost=lost,
    )


def _span_order(span: Span) -> tuple:
    return (span.low is not None, span.low, not span.has_low) if span.low is not None else (False,)


def _choice(kinds: Sequence[Kind], every: frozenset[Kind], other: str | frozenset) -> Choice:
    """`every` holds the kinds that any grant takes; one that takes `other`, which no grant names, takes all."""
    values, known = frozenset(kind.value for kind in kinds), frozenset(kind.value for kind in every)
    return Choice(known - values, is_all_but=True) if other in values else Choice(values)


OTHERS = {"networks": frozenset(), "attributes": frozenset({OTHER})}
"""By field of a request, the value that no grant names, where it is not the word for it."""


# What goes with the data

def _parted(pieces: Sequence[Piece], key: Callable[[Piece], object]) -> list[tuple[frozenset, BaseGeometry]]:
    """The ground of `pieces` by the keys of those that lie on it."""
    by_key: dict[object, list[BaseGeometry]] = {}
    for piece in pieces:
        by_key.setdefault(key(piece), []).append(piece.area.geometry)
    parts: list[tuple[frozenset, BaseGeometry]] = []
    for value, shapes in by_key.items():
        rest, further = shapely.union_all(shapes), []
        for keys, ground in parts:
            further += [(keys | {value}, shapely.intersection(ground, rest)), (keys, shapely.difference(ground, rest))]
            rest = shapely.difference(rest, ground)
        parts = [(keys, ground) for keys, ground in (*further, (frozenset({value}), rest)) if ground.area > SMALLEST_AREA]
    return parts


def _finest(values: frozenset) -> tuple[str, ...] | None:
    return None if None in values else (f"{min(values):g}",)


def _any_of(values: frozenset) -> tuple[str, ...] | None:
    """Where one grant asks for nothing, nothing is asked."""
    return None if None in values else tuple(sorted(values))


OBLIGATIONS: dict[str, tuple[Callable[[Piece], object], Callable[[frozenset], tuple[str, ...] | None]]] = {
    "rows": (lambda piece: piece.rows, _any_of),
    "degrade": (lambda piece: piece.degrade, _finest),
    "mark": (lambda piece: piece.mark and f"{piece.mark.text} ({piece.mark.place}, {piece.mark.opacity:g})", _any_of),
}


def _turn_of(name: str, before: tuple[str, ...] | None, after: tuple[str, ...] | None) -> Turn:
    if name == "mark":
        return Turn.CHANGED
    if before is None or after is None:
        return Turn.LOST if before is None else Turn.GAINED
    if name == "degrade":
        return Turn.GAINED if float(after[0]) < float(before[0]) else Turn.LOST
    if set(before) <= set(after):
        return Turn.GAINED
    return Turn.LOST if set(after) <= set(before) else Turn.CHANGED


# Amounts and texts

def amount_changes(old: Agreement, new: Agreement) -> list[AmountChange]:
    """What is not the same of the quota and rate of two versions of one agreement."""
    before, after = (_amounts(agreement.quota or Quota()) for agreement in (old, new))
    return [
        AmountChange(
            agreement_id=new.agreement_id, name=name[0], window=name[1], resolution=name[2], before=before.get(name), after=after.get(name),
        )
        for name in sorted(before.keys() | after.keys(), key=lambda one: (*one[:2], one[2] or 0)) if before.get(name) != after.get(name)
    ]


def _amounts(quota: Quota) -> Mapping[tuple[str, str, float | None], float]:
    found = {_limit_name(limit): limit.most for limit in sorted(quota.limits, key=lambda limit: -limit.most)}     # of two the smaller holds
    if quota.rate is not None:
        found |= {("rate", "", None): quota.rate.per_second, ("burst", "", None): quota.rate.burst}
    if quota.export_km2 is not None:
        found["export_km2", "", None] = quota.export_km2
    return found


def _limit_name(limit: Limit) -> tuple[str, str, float | None]:
    return limit.measure.value, limit.window.value, limit.resolution


ENFORCED = {"agreement_id", "version", "grantor", "grantee", "term", "grants", "state", "suspensions", "parent", "quota", "mark", "replaced", "record"}


def _texts_changed(old: Agreement, new: Agreement) -> list[str]:
    plain = [one.name for one in fields(Agreement) if one.name not in ENFORCED and getattr(old, one.name) != getattr(new, one.name)]
    return plain + [f"record.{one.name}" for one in fields(old.record) if getattr(old.record, one.name) != getattr(new.record, one.name)]
