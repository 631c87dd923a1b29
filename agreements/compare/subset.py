"""Whether an agreement passes on nothing but what the one above grants: proven, or told where it does not.

A service that enforces both (`agreements.decision`) shows no more than both allow, whatever is written here. But nobody should sign what can't
be kept: so a child is put in force when it grants, by itself, nothing that its parent does not grant, for every request there could be.

The proof asks one request of every kind that any grant of either tells apart (`agreements.compare.cells`): wherever a grant of the child takes it, grants
of the parent that take it too must cover its ground, several of them together if need be. Beside that the quota must be no larger, the
grantor the grantee of the parent, and the recipient one that the parent names or lets the grantor choose.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from enum import StrEnum

import shapely
from shapely.geometry.base import BaseGeometry

from agreements.areas import EVERYWHERE_DIGEST, SMALLEST_AREA
from agreements.compare.cells import DIMENSIONS, SOME_DAY, Box, Kind, LayerFacts, Rule, Span, cells, is_about, joined_spans, layers_named, signature
from agreements.compare.difference import labels
from agreements.model import Agreement, Area, Grant, OverlayRequest
from agreements.quota import Limit, Quota, Window
from agreements.record import UnitScope
from agreements.terms import (
    app_term,
    attributes_term,
    covers_layer,
    crs_term,
    format_term,
    is_owners,
    network_term,
    operation_term,
    purpose_term,
    resolution_term,
    scale_term,
    style_term,
    time_term,
    version_term,
)


class GapCode(StrEnum):
    """What a child grants that its parent does not. Those of terms are spelled as the reasons of a refusal."""

    NO_PARENT = "no-parent"
    NOT_ITS_GRANTEE = "not-its-grantee"
    RECIPIENT = "recipient-not-named"
    DESTRUCTION = "after-destruction"
    QUOTA = "quota"
    LAYER = "layer-not-granted"
    CEILING = "above-ceiling"
    TIME = "not-in-force"
    NETWORK = "network-not-granted"
    PURPOSE = "purpose-not-granted"
    APP = "app-not-granted"
    OPERATION = "operation-not-granted"
    SCALE = "outside-scale"
    RESOLUTION = "outside-resolution"
    FORMAT = "format-not-granted"
    CRS = "crs-not-granted"
    STYLE = "style-not-granted"
    ATTRIBUTE = "attribute-not-granted"
    ROWS = "rows-not-within"
    DEGRADE = "finer-than-granted"
    AREA = "outside-area"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One thing that a child grants and its parent does not, or that can't be shown to be within it.

    `geometry` (CRS84) and `km2` tell the ground it is about; None where it is about none, or where nobody measured. `values` are words, or
    Spans of moments and scale denominators.
    """

    code: GapCode
    clause: str | None = None                    # of the child
    layers: tuple[str, ...] = ()
    values: tuple[str | Span, ...] = ()
    detail: dict[str, str] = field(default_factory=dict, hash=False)
    geometry: BaseGeometry | None = field(default=None, compare=False)
    km2: float | None = None


def gaps(
    child: Agreement, parents: Sequence[Agreement], *, layers: Iterable[LayerFacts] = (), km2: Callable[[BaseGeometry], float] | None = None,
) -> tuple[Gap, ...]:
    """All that `child` grants beyond its parent; nothing is the proof that there is none.

    Parameters
    ----------
    parents : Sequence[Agreement]
        The agreement that `child.parent` names, in every version that will count while the child does; others are not looked at. In what state
        they are is for the caller to ask, and what is suspended for the time being is no gap.
    layers : Iterable[LayerFacts]
        Layers of the catalogue. Those of the grantor himself need no parent. A layer that is not among them is taken to be of any secrecy and of
        no product: what the parent grants by product does not cover what the child grants by name.
    km2 : callable, optional
        Square kilometres of polygons in CRS84.
    """
    above = [parent for parent in parents if parent.agreement_id == child.parent]
    if not above:
        return (Gap(code=GapCode.NO_PARENT, detail={"parent": child.parent or ""}),)
    if strangers := [parent for parent in above if parent.grantee != child.grantor]:
        detail = {"parent": child.parent, "grantee": strangers[0].grantee, "grantor": child.grantor}
        return (Gap(code=GapCode.NOT_ITS_GRANTEE, detail=detail),)
    return (*_of_parties(child, above), *_of_quota(child, above), *_of_grants(child, above, tuple(layers), km2))


# Parties

def _of_parties(child: Agreement, parents: Sequence[Agreement]) -> list[Gap]:
    """A licence is of one unit: whom it may be passed on to is named, as contractor or subordinate unit, by id or by legal name."""
    names = {child.grantee, *(party.legal_name for party in child.record.parties if party.agency == child.grantee and party.legal_name)}
    found = []
    for use in (parent.record.use for parent in parents):
        engaged = [one for one in use.contractors if one.name in names]
        units = use.sub_units if use.unit_scope is UnitScope.NAMED else ()
        if not engaged and not names.intersection(units) and not use.third_party:
            found.append(Gap(code=GapCode.RECIPIENT, detail={"parent": child.parent, "grantee": child.grantee}))
        for end in (_end_of(one.destroy_by) for one in engaged if one.destroy_by is not None):
            if child.term.end is None or child.term.end > end:
                found.append(Gap(code=GapCode.DESTRUCTION, values=(Span(end, child.term.end, has_high=False),), detail={"parent": child.parent}))
    return list(dict.fromkeys(found))


def _end_of(day) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), SOME_DAY.tzinfo)


# Quota

LONGER = {Window.DAY: (Window.DAY, Window.MONTH, Window.TERM), Window.MONTH: (Window.MONTH, Window.TERM), Window.TERM: (Window.TERM,)}
"""A limit of a longer window holds in each shorter one within it."""


def _of_quota(child: Agreement, parents: Sequence[Agreement]) -> list[Gap]:
    own, found = child.quota or Quota(), []
    for quota in (parent.quota or Quota() for parent in parents):
        found += [_too_much(limit.measure.value, limit.window.value, limit.most) for limit in quota.limits if not _keeps(own.limits, limit)]
        if quota.rate is not None:
            if own.rate is None or own.rate.per_second > quota.rate.per_second:
                found.append(_too_much("rate", "", quota.rate.per_second))
            if own.rate is None or own.rate.burst > quota.rate.burst:
                found.append(_too_much("burst", "", quota.rate.burst))
        if quota.export_km2 is not None and (own.export_km2 is None or own.export_km2 > quota.export_km2):
            found.append(_too_much("export_km2", "", quota.export_km2))
    return list(dict.fromkeys(found))


def _keeps(own: Sequence[Limit], limit: Limit) -> bool:
    """Whether one of the child's limits is at least as strict: ground at any resolution holds at a fine one."""
    return any(
        one.measure is limit.measure and one.window in LONGER[limit.window] and one.most <= limit.most
        and (one.resolution is None or (limit.resolution is not None and one.resolution >= limit.resolution)) for one in own
    )


def _too_much(name: str, window: str, most: float) -> Gap:
    return Gap(code=GapCode.QUOTA, values=(name,), detail={"window": window, "most": f"{most:,.10g}"})


# Grants

FIELDS: dict[GapCode, tuple[str, tuple[Callable, ...]]] = {
    GapCode.TIME: ("at", (version_term, time_term)), GapCode.OPERATION: ("operation", (operation_term,)),
    GapCode.SCALE: ("scale_denominator", (scale_term,)), GapCode.RESOLUTION: ("scale_denominator", (resolution_term,)),
    GapCode.PURPOSE: ("purpose", (purpose_term,)), GapCode.APP: ("app", (app_term,)), GapCode.NETWORK: ("networks", (network_term,)),
    GapCode.FORMAT: ("format", (format_term,)), GapCode.CRS: ("crs", (crs_term,)), GapCode.STYLE: ("style", (style_term,)),
    GapCode.ATTRIBUTE: ("attributes", (attributes_term,)),
}
"""The field of a request that each term looks at."""

_POSITIONS = {dimension.field: position for position, dimension in enumerate(DIMENSIONS)}


@dataclass(slots=True)
class _Found:
    """What was found of one clause under one code, over all kinds of requests and layers."""

    facts: list[LayerFacts] = field(default_factory=list)
    kinds: list[Kind] = field(default_factory=list)
    ground: list[BaseGeometry] = field(default_factory=list)


def _of_grants(
    child: Agreement, parents: Sequence[Agreement], known: tuple[LayerFacts, ...], km2: Callable[[BaseGeometry], float] | None,
) -> list[Gap]:
    every = layers_named((child, *parents), known, classifications=range(5))
    found: dict[tuple[str, GapCode], _Found] = {}
    for grant in child.grants:
        alike: dict[tuple, list[LayerFacts]] = {}
        for facts in every:
            if facts.owner != child.grantor:
                alike.setdefault(signature(facts, _rules(child, grant, parents, facts), ()), []).append(facts)
        for group in alike.values():
            for code, kinds, ground in _uncovered(_rules(child, grant, parents, group[0]), group[0]):
                one = found.setdefault((grant.clause, code), _Found())
                one.facts += group
                one.kinds += kinds
                one.ground.append(ground)
    return [_gap(clause, code, one, every, km2) for (clause, code), one in found.items()]


def _rules(child: Agreement, grant: Grant, parents: Sequence[Agreement], facts: LayerFacts) -> list[Rule]:
    """The child's grant, then those of the parent, as if each were made by the owner of the layer: what he may grant, and nothing else, decides."""
    top = [parent if parent.parent is None else replace(parent, parent=None, grantor=facts.owner) for parent in parents]
    own = replace(child, parent=None, grantor=facts.owner, replaced=None)
    return [Rule(own, grant), *(Rule(parent, one) for parent in top for one in parent.grants)]


def _uncovered(rules: Sequence[Rule], facts: LayerFacts) -> Iterable[tuple[GapCode, list[Kind], BaseGeometry]]:
    """Every kind of request for a layer that the first rule takes on ground where the others do not, and why not."""
    own = rules[0].grant
    asked = facts.asked_by("")
    left: dict[frozenset[int], BaseGeometry] = {}
    for cell in cells(rules, (), asked):
        if 0 not in cell.accepting:
            continue
        covering = frozenset(position for position in cell.accepting if position and _tells_no_more(own, rules[position].grant))
        if covering not in left:
            left[covering] = _less(own.area, [rules[position].grant.area for position in covering])
        if not left[covering].is_empty:
            for box in cell.boxes:
                yield from ((code, kinds, left[covering]) for code, kinds in _why(rules, asked, box, left[covering]))


def _less(area: Area, others: Sequence[Area]) -> BaseGeometry:
    by_digest = {other.digest: other.geometry for other in others}
    if area.digest in by_digest or EVERYWHERE_DIGEST in by_digest:
        return shapely.MultiPolygon()
    left = shapely.difference(area.geometry, shapely.union_all(list(by_digest.values()))) if by_digest else area.geometry
    return shapely.union_all([part for part in shapely.get_parts(left) if part.geom_type == "Polygon" and part.area > SMALLEST_AREA])


def _tells_no_more(own: Grant, other: Grant) -> bool:
    return _is_coarser(own, other) and are_rows_within(own.rows, other.rows)


def _is_coarser(own: Grant, other: Grant) -> bool:
    return other.degrade is None or (own.degrade is not None and own.degrade >= other.degrade)


Reasons = list[tuple[GapCode, list[Kind]]]
"""Codes, each with the kinds of requests that are refused for it."""


def _why(rules: Sequence[Rule], asked: OverlayRequest, box: Box, left: BaseGeometry) -> Reasons:
    """Why the grant of the parent that comes nearest does not cover a box: of those that share ground with what is left, the one with the fewest."""
    near = [rule for rule in rules[1:] if is_about(rule, asked)]
    if not near:
        is_known = any(covers_layer(*rule, asked) and is_owners(rule.agreement, asked) for rule in rules[1:])
        return [(GapCode.CEILING if is_known else GapCode.LAYER, [])]
    on_it = [rule for rule in near if shapely.intersection(rule.grant.area.geometry, left).area > SMALLEST_AREA]
    fewest = min((_unmet(rules[0].grant, rule, asked, box) for rule in on_it or near), key=lambda reasons: (len(reasons), [c for c, _ in reasons]))
    return fewest if on_it and fewest else [*fewest, (GapCode.AREA, [])]


def _unmet(own: Grant, rule: Rule, asked: OverlayRequest, box: Box) -> Reasons:
    found = [(code, kinds) for code in FIELDS if (kinds := _refused(code, rule, asked, box))]
    if not are_rows_within(own.rows, rule.grant.rows):
        found.append((GapCode.ROWS, []))
    return found if _is_coarser(own, rule.grant) else [*found, (GapCode.DEGRADE, [])]


def _refused(code: GapCode, rule: Rule, asked: OverlayRequest, box: Box) -> list[Kind]:
    """The kinds of a box that a grant refuses for one reason."""
    field_of_request, terms = FIELDS[code]
    return [
        kind for kind in box[_POSITIONS[field_of_request]]
        if any(term(*rule, replace(asked, **{field_of_request: kind.value})) is not None for term in terms)
    ]


def _gap(clause: str, code: GapCode, found: _Found, every: Sequence[LayerFacts], km2: Callable[[BaseGeometry], float] | None) -> Gap:
    ground = shapely.union_all(found.ground)
    return Gap(
        code=code, clause=clause, layers=labels(found.facts, every), values=_values(dict.fromkeys(found.kinds)), geometry=ground,
        km2=None if km2 is None else km2(ground),
    )


def _values(kinds: Iterable[Kind]) -> tuple[str | Span, ...]:
    kinds = sorted(kinds, key=_in_order)
    if kinds and isinstance(kinds[0].means, Span):
        return joined_spans(kind.means for kind in kinds)
    sets = [kind.means for kind in kinds if isinstance(kind.means, frozenset)]
    least = [one for one in sets if not any(other < one for other in sets)]
    return tuple("+".join(sorted(one)) for one in least) + tuple(str(kind.means) for kind in kinds if not isinstance(kind.means, frozenset))


def _in_order(kind: Kind) -> tuple:
    if isinstance(kind.means, Span):
        return (kind.means.low is not None, *([] if kind.means.low is None else [kind.means.low, not kind.means.has_low]))
    return (len(kind.means), *sorted(kind.means)) if isinstance(kind.means, frozenset) else (1, kind.means)


# Rows

def are_rows_within(rows: str | None, others: str | None) -> bool:
    """Whether every feature of the first filter is one of the second, by its text alone: it is the same, or the same AND something more.

    >>> are_rows_within("A = 1 AND B BETWEEN 1 AND 2", "B BETWEEN 1 AND 2"), are_rows_within("A = 1 OR B = 2", "A = 1")
    (True, False)
    """
    if others is None:
        return True
    return rows is not None and set(conjuncts(others)) <= set(conjuncts(rows))


def conjuncts(rows: str) -> list[str]:
    """The parts of a CQL2 text that must all hold, without the parentheses around them; one, where it is no conjunction.

    >>> conjuncts("(A = 1) and ((B = 2 OR C = 3) AND NOT D = 'x and y')")
    ['A = 1', 'B = 2 OR C = 3', "NOT D = 'x and y'"]
    """
    tokens = _without_parentheses(_TOKEN.findall(rows))
    parts, depth, between, alternatives = [[]], 0, 0, False
    for token in tokens:
        word = token.upper()
        depth += {"(": 1, ")": -1}.get(token, 0)
        between += word == "BETWEEN" and depth == 0
        alternatives |= word == "OR" and depth == 0
        if word == "AND" and depth == 0 and not between:
            parts.append([])
            continue
        between -= word == "AND" and depth == 0
        parts[-1].append(token)
    if alternatives or len(parts) == 1:
        return [" ".join(tokens)]
    return [one for part in parts for one in conjuncts(" ".join(part))]


_TOKEN = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|[()]|[^\s()'\"]+")


def _without_parentheses(tokens: list[str]) -> list[str]:
    while len(tokens) > 2 and tokens[0] == "(" and tokens[-1] == ")" and _is_one_pair(tokens):
        tokens = tokens[1:-1]
    return tokens


def _is_one_pair(tokens: list[str]) -> bool:
    """Whether the first parenthesis is closed by the last."""
    depth = 0
    for position, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth == 0:
            return position == len(tokens) - 1
    return False
