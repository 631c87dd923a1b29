"""What one request may see, by all agreements of the agency that asks: a pure function of its arguments.

No agreement means deny. Whole grants are OR-ed, never their dimensions (design R2). A suspension beats any grant. Order never matters.
What is remembered between calls is geometry alone, under digests that name it.
"""

import hashlib
import re
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import shapely
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from agreements.areas import EVERYWHERE_DIGEST
from agreements.model import Agreement, Area, Decision, Effect, Grant, Mark, OverlayRequest, Piece, Reason, Suspension
from agreements.terms import Term, binding_terms, covers_layer, first_unmet_term, is_among, is_owners, is_whole, names_layer, reason_for

UNTOLD = ("layer-not-granted", "superseded")
"""Grants unmet for these are not spoken of: they are about other layers, or a newer version speaks in their place."""


def decide(request: OverlayRequest, agreements: Iterable[Agreement]) -> Decision:
    """What `request` may see.

    Parameters
    ----------
    request : OverlayRequest
        With `extent` None it asks what is granted of the layer; with an extent (CRS84) the effect says whether all, a part or nothing of
        it is. The area answered is all that is granted either way, so that what is compiled from it serves every extent.
    agreements : Iterable[Agreement]
        In any order: those of the agency that asks and, for an agreement that passes on what another grants, all that its grantor holds.
        Those of anybody else count for nothing.

    Returns
    -------
    Decision
        Never raises for a grant that can't be evaluated: it denies, and says so.
    """
    return _decide(request, agreements if type(agreements) in (tuple, list) else tuple(agreements), ())


def _decide(request: OverlayRequest, agreements: Sequence[Agreement], below: tuple[str, ...], only: str | None = None) -> Decision:
    """`below` holds the ids of the agreements that pass on what is decided here: none of them can be asked again.

    `only` names the one agreement whose grants are asked for; what is suspended counts whichever agreement says so.
    """
    if request.owner == request.agency:
        return OWNED
    about = _about(request, agreements)
    stops, suspending = _stops(request, about, request.owner)
    granted, reasons, holds_until = [], suspending, about.next_boundary(request.at)
    for agreement, clauses in about.held:
        if only is not None and agreement.agreement_id != only:
            continue
        agreement_stops = stops
        if agreement.grantor != request.owner and agreement.parent is not None:      # what is passed on can be stopped by who passes it on too
            own, told = _stops(request, about, agreement.grantor)
            agreement_stops, reasons = stops.and_also(own), [*reasons, *told]
        above = None
        for grant, terms, whole in clauses:
            code = first_unmet_term(agreement, grant, request, terms)
            if code in UNTOLD:
                continue
            ground = None
            if code is None:
                code, ground = _ground(grant, agreement_stops)
            if ground is None:
                reasons.append(_stopped(agreement, grant) if code == STOPPED else reason_for(agreement, grant, request, code))
                continue
            piece = whole if ground is grant.area else replace(whole, area=ground)
            if agreement.grantor == request.owner:
                granted.append(_Granted(agreement, grant, piece))
                continue
            above = above or _above(request, agreement, agreements, below)
            passed_on = [share for one in above.pieces if (share := _less_of_both(piece, one)) is not None]
            granted += [_Granted(agreement, grant, one) for one in passed_on]
            holds_until = _sooner(holds_until, above.holds_until)
            if not passed_on:
                reasons.append(reason_for(agreement, grant, request, "parent-not-granting"))
    if not granted:
        return _denied(reasons, holds_until)
    granted.sort(key=_Granted.order)
    return _permitted(request, granted, reasons, holds_until)


OWNED = Decision(
    effect=Effect.PERMIT, area=None, pieces=(), reasons=(Reason(agreement_id=None, version=None, clause=None, code="own-layer"),),
)

NO_AGREEMENT = Reason(agreement_id=None, version=None, clause=None, code="no-agreement")
"""All that is said of a layer that no agreement of the agency names: the same words as for a layer that does not exist."""

STOPPED = "suspended"


class _Granted(NamedTuple):
    agreement: Agreement
    grant: Grant
    piece: Piece

    @property
    def area(self) -> Area:
        return self.piece.area

    def order(self) -> tuple:
        return self.agreement.agreement_id, self.agreement.version, _clause_order(self.grant.clause), self.area.digest, self.piece.charged


def _piece(agreement: Agreement, grant: Grant) -> Piece:
    return Piece(
        area=grant.area, attributes=grant.attributes, agreement_id=agreement.agreement_id, version=agreement.version, clause=grant.clause,
        rows=grant.rows, degrade=grant.degrade, mark=agreement.mark, charged=(agreement.agreement_id,), grants=(grant,),
    )


def _sooner(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)


# Agreements under agreements

DEEPEST = 8
"""Agreements that pass on what the one above grants; nobody signs a ninth."""

NOTHING_ABOVE = Decision(effect=Effect.DENY, area=None, pieces=(), reasons=(NO_AGREEMENT,))
"""For an agreement that names none above it, or one that stands below it."""


def _above(request: OverlayRequest, agreement: Agreement, agreements: Sequence[Agreement], below: tuple[str, ...]) -> Decision:
    """What the agreement above shows its own grantee now: whatever it does not show, `agreement` does not pass on."""
    below = (*below, agreement.agreement_id)
    if agreement.parent is None or agreement.parent in below or len(below) > DEEPEST:
        return NOTHING_ABOVE
    return _decide(replace(request, agency=agreement.grantor, extent=None), agreements, below, agreement.parent)


def _less_of_both(piece: Piece, above: Piece) -> Piece | None:
    """Every term at its narrower; None where the two have no ground in common."""
    area = _both(piece.area, above.area)
    if area is None:
        return None
    return replace(
        piece, area=area, attributes=_common_attributes(piece.attributes, above.attributes), rows=_both_filters(piece.rows, above.rows),
        degrade=max((cell for cell in (piece.degrade, above.degrade) if cell is not None), default=None),
        mark=_both_marks(piece.mark, above.mark), charged=(*piece.charged, *above.charged),
        grants=(*piece.grants, *above.grants),
    )


def _common_attributes(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    """`NAME` holds for every class, `HYDL.NAME` for one: what both grant."""
    if one is None or other is None:
        return other if one is None else one
    return frozenset(name for name in one if is_among(name, other)) | frozenset(name for name in other if is_among(name, one))


def _both_filters(one: str | None, other: str | None) -> str | None:
    if one is None or other is None or one == other:
        return other if one is None else one
    return f"({one}) AND ({other})"


def _both_marks(one: Mark | None, other: Mark | None) -> Mark | None:
    if one is None or other is None or one == other:
        return one or other
    place = "tiled" if "tiled" in (one.place, other.place) else other.place
    return Mark(text=f"{other.text} · {one.text}", opacity=max(one.opacity, other.opacity), place=place)


def _permitted(request: OverlayRequest, granted: list[_Granted], reasons: list[Reason], holds_until: datetime | None) -> Decision:
    try:
        area = union_of([one.area for one in granted])
    except ShapelyError:
        return _denied([*reasons, *(reason_for(one.agreement, one.grant, request, "not-evaluable") for one in granted)], holds_until)
    if request.extent is None:
        effect, seen = (Effect.PERMIT if area.digest == EVERYWHERE_DIGEST else Effect.CLIP), granted
    else:
        if not _is_evaluable_extent(request.extent):
            return _denied([*reasons, EXTENT_NOT_EVALUABLE], holds_until)
        effect = _effect(area.geometry, request.extent)
        seen = [one for one in granted if _effect(one.area.geometry, request.extent) is not Effect.DENY]
        reasons += [reason_for(one.agreement, one.grant, request, "outside-area") for one in granted if one not in seen]
    if effect is Effect.DENY:
        return _denied(reasons, holds_until)
    reasons += [
        _granting(held.agreement_id, held.version, grant.clause, piece.area.title, held.contact) for held, grant, piece in seen
    ]
    return Decision(
        effect=effect, area=area, pieces=tuple(one.piece for one in granted), reasons=_told(reasons),
        credits=tuple(sorted({one.agreement.credit for one in seen if one.agreement.credit})), holds_until=holds_until,
    )


@lru_cache(maxsize=8192)
def _granting(agreement_id: str, version: int, clause: str, area: str, contact: str) -> Reason:
    return Reason(agreement_id=agreement_id, version=version, clause=clause, code="granted", detail={"area": area}, contact=contact)


def _denied(reasons: Sequence[Reason], holds_until: datetime | None) -> Decision:
    return Decision(effect=Effect.DENY, area=None, pieces=(), reasons=_told(reasons) or (NO_AGREEMENT,), holds_until=holds_until)


def _told(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """What granted first, then agreement by agreement; nothing twice."""
    by_order = {_reason_order(reason): reason for reason in reasons}
    return tuple(by_order[order] for order in sorted(by_order))


def _reason_order(reason: Reason) -> tuple:
    return (
        reason.code != "granted", reason.agreement_id or "", reason.version or 0, _clause_order(reason.clause or ""), reason.code,
        *sorted(reason.detail.values()),
    )


@lru_cache(maxsize=4096)
def _clause_order(clause: str) -> tuple:
    """Clause 3.10 comes after 3.2."""
    return tuple((int(part), "") if part.isdecimal() else (0, part) for part in re.findall(r"\d+|\D+", clause))


# Suspensions

@dataclass(frozen=True, slots=True)
class _Stops:
    """What is suspended of the layer that is asked: all of it, or some areas."""

    everywhere: bool
    areas: tuple[Area, ...]

    def and_also(self, other: "_Stops") -> "_Stops":
        return _Stops(self.everywhere or other.everywhere, (*self.areas, *other.areas))


def _stops(request: OverlayRequest, about: "_About", grantor: str) -> tuple[_Stops, list[Reason]]:
    """Suspensions of a grantor that are in force, whatever the state or term of the agreement that holds them, and the reasons they give.

    Who neither owns the layer nor passes it on can stop nothing.
    """
    everywhere, areas, reasons = False, [], []
    for agreement, suspension in about.stopping:
        if agreement.grantor != grantor or not is_owners(agreement, request) or not _is_suspended(agreement, suspension, request.at):
            continue
        reasons.append(_suspending(agreement, suspension))
        if suspension.area is None or not _is_evaluable(suspension.area):
            everywhere = True
        else:
            areas.append(suspension.area)
    return _Stops(everywhere, tuple(areas)), reasons


def _is_suspended(agreement: Agreement, suspension: Suspension, at: datetime) -> bool:
    return (
        suspension.since <= at and (suspension.until is None or at < suspension.until) and (agreement.replaced is None or at < agreement.replaced)
    )


def _stops_layer(agreement: Agreement, suspension: Suspension, request: OverlayRequest) -> bool:
    if suspension.layers is not None:
        return names_layer(suspension.layers, request)
    return any(covers_layer(agreement, grant, request) for grant in agreement.grants)


def _suspending(agreement: Agreement, suspension: Suspension) -> Reason:
    detail = {"why": suspension.reason, "until": suspension.until.isoformat(sep=" ", timespec="seconds") if suspension.until else ""}
    if suspension.area is not None:
        detail |= {"case": "part", "area": suspension.area.title}
    return Reason(
        agreement_id=agreement.agreement_id, version=agreement.version, clause=None, code=STOPPED, detail=detail, contact=agreement.contact,
    )


def _stopped(agreement: Agreement, grant: Grant) -> Reason:
    case = {"case": "agreement" if agreement.state == "suspended" else "grant"}
    return Reason(
        agreement_id=agreement.agreement_id, version=agreement.version, clause=grant.clause, code=STOPPED, detail=case,
        contact=agreement.contact,
    )


def _ground(grant: Grant, stops: _Stops) -> tuple[str | None, Area | None]:
    """The granted area less what is suspended, or the code of the reason why nothing is left."""
    if not _is_evaluable(grant.area) or not is_whole(grant.rows):
        return "not-evaluable", None
    if stops.everywhere:
        return STOPPED, None
    if not stops.areas:
        return None, grant.area
    left = _less(grant.area, stops.areas)
    if left is None:
        return "not-evaluable", None
    return (STOPPED, None) if left.geometry.is_empty else (None, left)


# What is about a layer

class _Clause(NamedTuple):
    grant: Grant
    terms: tuple[Term, ...]                        # that some request does not meet
    whole: Piece                                   # what it gives where nothing is suspended


class _Held(NamedTuple):
    agreement: Agreement
    clauses: tuple[_Clause, ...]                   # those that are about the layer


@dataclass(frozen=True, slots=True)
class _About:
    """Of an agency's agreements what is about one edition of a layer: worked out once for a register and a layer, whatever is asked of it."""

    held: tuple[_Held, ...]
    stopping: tuple[tuple[Agreement, Suspension], ...]
    boundaries: tuple[datetime, ...]               # when a grant or suspension of it begins or ends, in order

    def next_boundary(self, at: datetime) -> datetime | None:
        position = bisect_right(self.boundaries, at)
        return self.boundaries[position] if position < len(self.boundaries) else None


MOST_LAYERS = 8192
"""Of which it is remembered what is about them."""


def _about(request: OverlayRequest, agreements: Sequence[Agreement]) -> _About:
    """Remembered for a tuple, which can't change, as long as that very tuple is asked."""
    if type(agreements) is not tuple:
        return _looked_through(request, agreements)
    name = (id(agreements), request.agency, request.layer, request.edition, request.owner, request.product, request.is_latest)
    known = _layers.get(name)
    if known is None or known[0] is not agreements:
        if len(_layers) >= MOST_LAYERS:
            _layers.clear()
        known = _layers[name] = agreements, _looked_through(request, agreements)
    return known[1]


_layers: dict[tuple, tuple[Sequence[Agreement], _About]] = {}


MOST_CLAUSES = 65_536


def _clause(agreement: Agreement, grant: Grant) -> _Clause:
    """Remembered for the very grant: one grant is about many layers."""
    name = id(agreement), id(grant)
    known = _clauses.get(name)
    if known is None or known[0] is not agreement or known[1].grant is not grant:
        if len(_clauses) >= MOST_CLAUSES:
            _clauses.clear()
        known = _clauses[name] = agreement, _Clause(grant, binding_terms(grant), _piece(agreement, grant))
    return known[1]


_clauses: dict[tuple[int, int], tuple[Agreement, _Clause]] = {}


def _looked_through(request: OverlayRequest, agreements: Sequence[Agreement]) -> _About:
    held, stopping, boundaries = [], [], set()
    for agreement in agreements:
        if agreement.grantee != request.agency:
            continue
        grants = tuple(grant for grant in agreement.grants if covers_layer(agreement, grant, request))
        stops = [suspension for suspension in agreement.suspensions if _stops_layer(agreement, suspension, request)]
        if not grants and not stops:
            continue
        held.append(_Held(agreement, tuple(_clause(agreement, grant) for grant in grants)))
        stopping += ((agreement, suspension) for suspension in stops)
        boundaries.update((agreement.term.start, agreement.term.end, agreement.replaced))
        for grant in grants:
            boundaries.update((grant.term.start, grant.term.end))
        for suspension in stops:
            boundaries.update((suspension.since, suspension.until))
    return _About(tuple(held), tuple(stopping), tuple(sorted(moment for moment in boundaries if moment is not None)))


# Ground

EXTENT_NOT_EVALUABLE = Reason(agreement_id=None, version=None, clause=None, code="extent-not-evaluable")


def _is_evaluable_extent(extent: BaseGeometry) -> bool:
    return not extent.is_empty and extent.is_valid


def _effect(granted: BaseGeometry, extent: BaseGeometry) -> Effect:
    """Touching along an edge shows nothing; a point on the edge is inside."""
    shapely.prepare(granted)                       # once for a geometry: asked again it costs nothing
    if shapely.covers(granted, extent):
        return Effect.PERMIT
    return Effect.CLIP if shapely.intersects(granted, extent) and not shapely.touches(granted, extent) else Effect.DENY


def _is_evaluable(area: Area) -> bool:
    """Valid polygons; looked at once for each digest."""
    known = _soundness.get(area.digest)
    if known is None:
        if len(_soundness) >= MOST_DIGESTS:
            _soundness.clear()
        geometry = area.geometry
        known = _soundness[area.digest] = geometry.geom_type in ("Polygon", "MultiPolygon") and not geometry.is_empty and geometry.is_valid
    return known


_soundness: dict[str, bool] = {}
MOST_DIGESTS = 65_536


def union_of(areas: Sequence[Area]) -> Area:
    """One area of all, under a digest of their digests; a single area keeps its own."""
    by_digest = {area.digest: area for area in areas}
    if EVERYWHERE_DIGEST in by_digest:
        return by_digest[EVERYWHERE_DIGEST]
    if len(by_digest) == 1:
        return areas[0]
    digests = tuple(sorted(by_digest))
    name = _digest_of_union(digests)
    geometry = _geometries.kept(name, lambda: shapely.union_all([by_digest[digest].geometry for digest in digests]))
    return Area(geometry=geometry, digest=name, title=", ".join(dict.fromkeys(by_digest[digest].title for digest in digests)))


def _both(one: Area, other: Area) -> Area | None:
    """What two areas have in common; None where that is nothing, or can't be told."""
    if EVERYWHERE_DIGEST in (one.digest, other.digest) or one.digest == other.digest:
        return other if one.digest == EVERYWHERE_DIGEST else one
    digests = tuple(sorted((one.digest, other.digest)))
    try:
        geometry = _geometries.kept(_digest_of_common(digests), lambda: _polygons(shapely.intersection(one.geometry, other.geometry)))
    except ShapelyError:
        return None
    return None if geometry.is_empty else Area(geometry=geometry, digest=_digest_of_common(digests), title=one.title)


def _less(area: Area, stops: Sequence[Area]) -> Area | None:
    """`area` without `stops`; None where that can't be told."""
    by_digest = {stop.digest: stop.geometry for stop in stops}
    digests = tuple(sorted(by_digest))
    name = _digest_of_difference(area.digest, digests)
    try:
        geometry = _geometries.kept(name, lambda: _polygons(shapely.difference(area.geometry, shapely.union_all(list(by_digest.values())))))
    except ShapelyError:
        return None
    return Area(geometry=geometry, digest=name, title=area.title)


def _polygons(geometry: BaseGeometry) -> BaseGeometry:
    """Without the lines and points that a difference may leave."""
    return shapely.union_all([part for part in shapely.get_parts(geometry) if part.geom_type == "Polygon" and part.area > 0])


@lru_cache(maxsize=8192)
def _digest_of_union(digests: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


@lru_cache(maxsize=8192)
def _digest_of_common(digests: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(("common", *digests)).encode()).hexdigest()


@lru_cache(maxsize=8192)
def _digest_of_difference(digest: str, digests: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join((digest, "less", *digests)).encode()).hexdigest()


class _Geometries:
    """Geometries by the digests they are made of: the least used are forgotten when their vertices are more than `most`."""

    def __init__(self, most: int):
        self.most, self.vertices = most, 0
        self._kept: OrderedDict[str, BaseGeometry] = OrderedDict()
        self._lock = threading.Lock()

    def kept(self, digest: str, make: Callable[[], BaseGeometry]) -> BaseGeometry:
        with self._lock:
            if digest in self._kept:
                self._kept.move_to_end(digest)
                return self._kept[digest]
        made = make()
        with self._lock:
            if digest not in self._kept:
                self._kept[digest] = made
                self.vertices += _weight(made)
            while self.vertices > self.most and len(self._kept) > 1:
                self.vertices -= _weight(self._kept.popitem(last=False)[1])
            return made


def _weight(geometry: BaseGeometry) -> int:
    return 16 + int(shapely.get_num_coordinates(geometry))


MOST_VERTICES = 8_000_000
"""Of all geometries remembered in one process: 128 MB of coordinates."""

_geometries = _Geometries(MOST_VERTICES)
