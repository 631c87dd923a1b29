"""The finite set of requests that tell grants apart: one of every kind, for everything that a grant can say.

A grant looks at a request term by term, so what a request could hold in one field falls into a few kinds that every grant takes alike: the
stretches between the scales that are named, the attributes that are named and any other, the moments between the beginnings and ends. Requests
that the same grants take are one cell; a cell is boxes of kinds, one box for each way to say it. To know what agreements show, ask one request
of every cell; nothing that is not asked can be answered otherwise.
"""

import ipaddress
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shapely.geometry.base import BaseGeometry

from agreements.model import GRANTABLE, LATEST, METRES_AT_ONE, Agreement, Grant, Operation, OverlayRequest, Suspension
from agreements.terms import (
    app_term,
    attributes_term,
    ceiling_term,
    covers_layer,
    crs_term,
    format_term,
    is_owners,
    kind_term,
    names_layer,
    network_term,
    operation_term,
    purpose_term,
    resolution_term,
    scale_term,
    style_term,
    time_term,
    version_term,
)

OTHER = "*"
"""Any value that no grant names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFacts:
    """All that a decision depends on of a layer and edition; `OTHER` as edition stands for those to come, as name for layers to come."""

    name: str
    edition: str
    owner: str
    product: str = ""
    is_latest: bool = True
    classification: int = 0
    extent: BaseGeometry | None = field(default=None, compare=False)     # CRS84: where it has data; None is everywhere

    @property
    def label(self) -> str:
        """As a document would name it: `dom@2011`, `dom@latest` for the newest of those to come."""
        if self.name == OTHER:
            return self.product
        return f"{self.name}@{LATEST if self.edition == OTHER and self.is_latest else self.edition}"

    def asked_by(self, agency: str) -> OverlayRequest:
        """A request for it, as yet without anything that a term of a grant asks for."""
        return OverlayRequest(
            agency=agency, layer=self.name, edition=self.edition, owner=self.owner, operation=Operation.GET_MAP, at=SOME_DAY, product=self.product,
            is_latest=self.is_latest, classification=self.classification,
        )


SOME_DAY = datetime(2000, 1, 1, tzinfo=ZoneInfo("Asia/Shanghai"))


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers or moments from `low` to `high`; None is open, and each end belongs to it or not."""

    low: float | datetime | None
    high: float | datetime | None
    has_low: bool = True
    has_high: bool = True

    def holds(self, value) -> bool:
        is_above = self.low is None or value > self.low or (self.has_low and value == self.low)
        return is_above and (self.high is None or value < self.high or (self.has_high and value == self.high))

    def joined(self, later: "Span") -> "Span | None":
        """Both as one where `later` goes on where this ends, else None."""
        if self.high is None or self.high != later.low or not (self.has_high or later.has_low):
            return None
        return Span(self.low, later.high, self.has_low, later.has_high)


def joined_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Spans in their order, those that touch as one."""
    whole: list[Span] = []
    for span in spans:
        one = whole[-1].joined(span) if whole else None
        if one is None:
            whole.append(span)
        else:
            whole[-1] = one
    return tuple(whole)


class Kind(NamedTuple):
    """Values of one field that every grant takes alike: `value` is one of them, `means` says which (a Span, a word, a set of names)."""

    value: object
    means: object


Box = tuple[tuple[Kind, ...], ...]
"""For each dimension, in the order of DIMENSIONS, the kinds of a cell: every combination of them belongs to it."""


class Cell(NamedTuple):
    """Requests that the same grants take: `request` is one of them, `accepting` the positions of those grants, `stopping` of suspensions."""

    request: OverlayRequest
    accepting: frozenset[int]
    boxes: tuple[Box, ...]


class Rule(NamedTuple):
    agreement: Agreement
    grant: Grant


class Stop(NamedTuple):
    agreement: Agreement
    suspension: Suspension

    def is_in_force(self, at: datetime) -> bool:
        until, replaced = self.suspension.until, self.agreement.replaced
        return self.suspension.since <= at and (until is None or at < until) and (replaced is None or at < replaced)

    def names(self, request: OverlayRequest) -> bool:
        if self.suspension.layers is not None:
            return names_layer(self.suspension.layers, request)
        return any(covers_layer(self.agreement, grant, request) for grant in self.agreement.grants)


def rules_of(agreements: Iterable[Agreement]) -> tuple[Rule, ...]:
    return tuple(Rule(agreement, grant) for agreement in agreements for grant in agreement.grants)


def stops_of(agreements: Iterable[Agreement]) -> tuple[Stop, ...]:
    return tuple(Stop(agreement, suspension) for agreement in agreements for suspension in agreement.suspensions)


def is_about(rule: Rule, request: OverlayRequest) -> bool:
    """Whether a grant could count for the layer that is asked."""
    agreement, grant = rule
    if not covers_layer(agreement, grant, request) or not is_owners(agreement, request):
        return False
    return ceiling_term(agreement, grant, request) is None and kind_term(agreement, grant, request) is None


def signature(facts: LayerFacts, rules: Sequence[Rule], stops: Sequence[Stop]) -> tuple:
    """Layers with equal signatures are taken alike by every grant and suspension."""
    asked = facts.asked_by("")
    return (facts.owner, *(is_about(rule, asked) for rule in rules), *(stop.names(asked) for stop in stops))


# Cells

def cells(rules: Sequence[Rule], stops: Sequence[Stop], asked: OverlayRequest, since: datetime | None = None) -> list[Cell]:
    """Every kind of request, from the moment `since` on, for the layer of `asked` that at least one of `rules` takes; positions are those in `rules`."""
    about = [position for position, rule in enumerate(rules) if is_about(rule, asked)]
    near = [rules[position] for position in about]
    stopping = [stop for stop in stops if stop.names(asked)]
    grants = (1 << len(near)) - 1
    found: dict[int, list[Box]] = {(1 << (len(near) + len(stopping))) - 1: [()]}
    for dimension in DIMENSIONS:
        kinds = _by_mask(dimension, near, stopping, asked, since)
        found = {mask: merged(boxes) for mask, boxes in _narrowed(found, kinds, grants).items()}
    return [
        Cell(
            replace(asked, **{dimension.field: kinds[0].value for dimension, kinds in zip(DIMENSIONS, boxes[0], strict=True)}),
            frozenset(about[bit] for bit in range(len(near)) if mask >> bit & 1), tuple(boxes),
        )
        for mask, boxes in found.items()
    ]


def _by_mask(
    dimension: "Dimension", rules: Sequence[Rule], stops: Sequence[Stop], asked: OverlayRequest, since: datetime | None,
) -> dict[int, list[Kind]]:
    """The kinds of one dimension, those together that the same grants take: bit by bit the grants, then the suspensions that are in force."""
    always = ((1 << len(stops)) - 1) << len(rules)

    def mask(value: object) -> int:
        request = replace(asked, **{dimension.field: value})
        taken = sum(
            1 << bit for bit, (agreement, grant) in enumerate(rules) if all(term(agreement, grant, request) is None for term in dimension.terms)
        )
        if dimension.field != "at":
            return taken | always
        return taken | sum(1 << (len(rules) + bit) for bit, stop in enumerate(stops) if stop.is_in_force(value))

    kinds: dict[int, list[Kind]] = {}
    for kind in _after(dimension.kinds(rules, stops, mask), since) if dimension.field == "at" else dimension.kinds(rules, stops, mask):
        kinds.setdefault(mask(kind.value), []).append(kind)
    return kinds


def _narrowed(found: dict[int, list[Box]], kinds: dict[int, list[Kind]], grants: int) -> dict[int, list[Box]]:
    narrower: dict[int, list[Box]] = {}
    for mask, boxes in found.items():
        together: dict[int, list[Kind]] = {}
        for taken, some in kinds.items():
            if mask & taken & grants:
                together.setdefault(mask & taken, []).extend(some)
        for both, some in together.items():
            narrower.setdefault(both, []).extend((*box, tuple(some)) for box in boxes)
    return narrower


def merged(boxes: Sequence[Box]) -> list[Box]:
    """Fewer boxes with the same contents: those that differ in one dimension alone become one."""
    boxes = list(boxes)
    for position in range(len(boxes[0]) if boxes else 0):
        alike: dict[tuple, list[Kind]] = {}
        for box in boxes:
            alike.setdefault((box[:position], box[position + 1:]), []).extend(box[position])
        boxes = [(*before, tuple(dict.fromkeys(kinds)), *after) for (before, after), kinds in alike.items()]
    return boxes


# The kinds of each dimension

Kinds = Callable[[Sequence[Rule], Sequence[Stop], Callable[[object], int]], Iterable[Kind]]
"""From the grants and suspensions, and from who takes a value (bit by bit)."""


def _operations(_rules, _stops, _mask) -> Iterator[Kind]:
    return (Kind(operation, operation.value) for operation in sorted(GRANTABLE))


def _moments(rules: Sequence[Rule], stops: Sequence[Stop], _mask) -> Iterator[Kind]:
    named = {moment for agreement, grant in rules for term in (agreement.term, grant.term) for moment in (term.start, term.end)}
    named |= {moment for stop in stops for moment in (stop.suspension.since, stop.suspension.until)}
    named |= {held.agreement.replaced for held in (*rules, *stops)}
    moments = sorted(moment for moment in named if moment is not None)
    if not moments:
        yield Kind(SOME_DAY, Span(None, None))
        return
    yield Kind(moments[0] - timedelta(days=1), Span(None, moments[0], has_high=False))
    for start, end in pairwise([*moments, None]):
        yield Kind(start, Span(start, end, has_high=False))


def _after(kinds: Iterable[Kind], since: datetime | None) -> Iterator[Kind]:
    """What is left of stretches of time from a moment on."""
    for kind in kinds:
        if since is None or (kind.means.low is not None and kind.means.low >= since):
            yield kind
        elif kind.means.high is None or kind.means.high > since:
            yield Kind(since, replace(kind.means, low=since, has_low=True))


def _scales(rules: Sequence[Rule], _stops, _mask) -> Iterator[Kind]:
    """Denominators: each that a window names by itself, and what lies between."""
    edges = {edge for _, grant in rules for edge in (grant.scale.finest, grant.scale.coarsest)}
    edges |= {_least_scale(grant.resolution.finest) for _, grant in rules} | {_greatest_scale(grant.resolution.coarsest) for _, grant in rules}
    denominators = sorted(edge for edge in edges if edge)
    if not denominators:
        yield Kind(10_000.0, Span(None, None))
        return
    yield Kind(denominators[0] / 2, Span(None, denominators[0], has_high=False))
    for low, high in pairwise([*denominators, None]):
        yield Kind(low, Span(low, low))
        between = low * 2 if high is None else (low + high) / 2
        if high is None or low < between < high:
            yield Kind(between, Span(low, high, has_low=False, has_high=False))


def _least_scale(resolution: float | None) -> float | None:
    """The smallest denominator whose pixels are no finer than `resolution` metres."""
    if not resolution:
        return None
    scale = resolution / METRES_AT_ONE
    while scale * METRES_AT_ONE >= resolution:
        scale = math.nextafter(scale, 0)
    while scale * METRES_AT_ONE < resolution:
        scale = math.nextafter(scale, math.inf)
    return scale


def _greatest_scale(resolution: float | None) -> float | None:
    if not resolution:
        return None
    scale = resolution / METRES_AT_ONE
    while scale * METRES_AT_ONE <= resolution:
        scale = math.nextafter(scale, math.inf)
    while scale * METRES_AT_ONE > resolution:
        scale = math.nextafter(scale, 0)
    return scale


def _named(attribute: str) -> Kinds:
    """Every word that a grant names there, and any other."""
    def kinds(rules: Sequence[Rule], _stops, _mask) -> Iterator[Kind]:
        words = frozenset().union(*(getattr(grant, attribute) or () for _, grant in rules))
        return (Kind(word, word) for word in (*sorted(words), OTHER))
    return kinds


def _networks(rules: Sequence[Rule], _stops, _mask) -> Iterator[Kind]:
    """For every block that is named, the addresses in it and in none of those within it; and addresses in none."""
    named = frozenset().union(*(grant.networks or () for _, grant in rules))
    yield Kind(frozenset(), OTHER)
    for block in sorted(named):
        within = [other for other in named if other != block and _is_within(other, block)]
        if not _is_filled(block, within):
            yield Kind(frozenset(other for other in named if _is_within(block, other)), block)


@lru_cache(maxsize=4096)
def _network(block: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(block)
    except ValueError:
        return None                                  # no address is in it


def _is_within(block: str, other: str) -> bool:
    inner, outer = _network(block), _network(other)
    if inner is None or outer is None:
        return block == other
    return inner.version == outer.version and inner.subnet_of(outer)


def _is_filled(block: str, parts: Sequence[str]) -> bool:
    return list(ipaddress.collapse_addresses(_network(part) for part in parts)) == [_network(block)]


def _attributes(rules: Sequence[Rule], _stops, mask: Callable[[object], int]) -> Iterator[Kind]:
    """Requests that name no attribute, one, any other; and sets of them wherever a set is taken by fewer than each of its members."""
    names = sorted(frozenset().union(*(grant.attributes or () for _, grant in rules)))
    single = {frozenset({name}): mask(frozenset({name})) for name in (*names, OTHER)}
    known = {taken: one for one, taken in reversed(single.items())} | {mask(frozenset()): frozenset()}
    yield from (Kind(one, one) for one in (frozenset(), *single))
    waiting = list(known.items())
    while waiting:
        taken, together = waiting.pop(0)
        for one, by_one in single.items():
            both = taken & by_one
            if both not in known and both & ((1 << len(rules)) - 1):
                known[both] = together | one
                waiting.append((both, known[both]))
                yield Kind(known[both], known[both])


class Dimension(NamedTuple):
    field: str                                       # of OverlayRequest
    kinds: Kinds
    terms: tuple[Callable[[Agreement, Grant, OverlayRequest], str | None], ...]


DIMENSIONS = (
    Dimension("at", _moments, (version_term, time_term)),
    Dimension("operation", _operations, (operation_term,)),
    Dimension("scale_denominator", _scales, (scale_term, resolution_term)),
    Dimension("purpose", _named("purposes"), (purpose_term,)),
    Dimension("app", _named("apps"), (app_term,)),
    Dimension("networks", _networks, (network_term,)),
    Dimension("format", _named("formats"), (format_term,)),
    Dimension("crs", _named("crs"), (crs_term,)),
    Dimension("style", _named("styles"), (style_term,)),
    Dimension("attributes", _attributes, (attributes_term,)),
)
"""All that a grant asks of a request beside the layer; the quota, the state and the area of a grant are the same for every request."""


# Layers

def layers_named(
    agreements: Iterable[Agreement], known: Iterable[LayerFacts] = (), classifications: Sequence[int] = (0,),
) -> tuple[LayerFacts, ...]:
    """Facts of every layer that agreements could be about: those that are known, and what they name beside: editions and layers to come.

    A layer that is not known is taken to belong to the party at the top of the agreements that name it, to be of no product, and to be of each
    of `classifications`.
    """
    agreements, known = tuple(agreements), tuple(known)
    facts = list(known)
    by_name: dict[str, list[LayerFacts]] = {}
    for one in known:
        by_name.setdefault(one.name, []).append(one)
    for name in sorted({name.partition("@")[0] for rule in rules_of(agreements) for name in rule.grant.layers}):
        samples = by_name.get(name) or [
            LayerFacts(name=name, edition=OTHER, owner=owner, classification=classification)
            for owner in sorted({top_of(a, agreements) for a in _naming(name, agreements)}) for classification in classifications
        ]
        for sample in {(one.owner, one.classification): one for one in samples}.values():
            editions = _editions_named(name, agreements) - {one.edition for one in by_name.get(name, ())}
            facts += [replace(sample, edition=edition, is_latest=is_latest) for edition in (*sorted(editions), OTHER) for is_latest in (True, False)]
    for product, owner in sorted({(product, top_of(a, agreements)) for a, grant in rules_of(agreements) for product in grant.products}):
        facts += [
            LayerFacts(name=OTHER, edition=OTHER, owner=owner, product=product, is_latest=is_latest, classification=classification)
            for is_latest in (True, False) for classification in classifications
        ]
    return tuple(facts)


def _naming(name: str, agreements: Sequence[Agreement]) -> list[Agreement]:
    return [agreement for agreement, grant in rules_of(agreements) if any(one.partition("@")[0] == name for one in grant.layers)]


def _editions_named(name: str, agreements: Sequence[Agreement]) -> set[str]:
    editions = {one.partition("@")[2] for _, grant in rules_of(agreements) for one in grant.layers if one.partition("@")[0] == name}
    editions |= {edition for _, grant in rules_of(agreements) for edition in grant.editions or ()}
    return editions - {"", LATEST}


def top_of(agreement: Agreement, agreements: Sequence[Agreement]) -> str:
    """Who shares in the end what an agreement passes on: the grantor of the one above all of them."""
    seen = set()
    while agreement.parent is not None and agreement.agreement_id not in seen:
        seen.add(agreement.agreement_id)
        above = next((one for one in agreements if one.agreement_id == agreement.parent), None)
        if above is None:
            break
        agreement = above
    return agreement.grantor

