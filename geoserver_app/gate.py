"""The one gate: who asks + what is asked -> permits, or Refused; and the decision record, written before either leaves.

The gate holds a `Standing`: the register and the catalogue as they are now, looked at again every `recheck_seconds`. Where it can't look for
`trust_seconds` it answers nothing (design R1, R6). What it decides is `agreements.decide`; what it adds is the catalogue, the clock, the
record, and the memory of areas already compiled.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import shapely
from shapely.geometry.base import BaseGeometry

from agreements.decision import NO_AGREEMENT, decide, union_of
from agreements.errors import RegisterUnavailable
from agreements.model import (
    GRANTABLE,
    METRES_AT_ONE,
    UNTOLD_ATTRIBUTE,
    Agreement,
    Area,
    Decision,
    Effect,
    Grant,
    Operation,
    OverlayRequest,
    Piece,
    RegisterSnapshot,
)
from agreements.register import AgreementRegister
from agreements.terms import would_allow
from geoserver_app import charging
from geoserver_app.charging import METERED, ONE_REQUEST, SOME_FEATURES, SOME_PICTURE, GroundAreas, Tally, Turn
from geoserver_app.clock import now
from geoserver_app.decision_log import DecisionLog
from geoserver_app.identity import Caller, Presented, identify
from geoserver_app.metering.book import Account, Bill
from geoserver_app.metering.exports import polygons_of
from geoserver_app.metering.headers import Headers
from geoserver_app.metering.meter import Meter, Reservation
from layers.catalogue import Catalogue
from layers.crs import scale_denominator
from layers.errors import CatalogueUnavailable, RowsInvalid
from layers.model import (
    ENCODINGS,
    MEASURED,
    STYLES,
    SURVEYED_AT,
    VECTOR_TILE,
    Bounds,
    CatalogueSnapshot,
    Classification,
    Edition,
    Layer,
    LayerName,
    Source,
    View,
    picture_styles,
)
from layers.rows import parse_rows
from tiles.area import ServedArea
from tiles.dlg_styles import UNLABELLED
from tiles.permits import Booking, Permit, PermitPiece, PictureMark, parts_of

AREAS_KEPT = 512
COMMON_KEPT = 64
"""Of what is asked and granted of the ground of single orders: whoever orders much takes no area of an agreement out of memory."""



class NotTrusted(Exception):
    """The register or the catalogue can't be looked at: 503, never 200."""


class Refused(Exception):
    """Something of what was asked may not be seen, so nothing is answered: 403.

    `denials` pairs the name as it was asked with the decision; an unknown layer and an unshared one can't be told apart in it.
    """

    def __init__(self, denials: Sequence[tuple[LayerName, Decision]], record_id: str):
        super().__init__("; ".join(f"{name}: {', '.join(r.code for r in decision.reasons)}" for name, decision in denials))
        self.denials, self.record_id = tuple(denials), record_id


class OverQuota(Refused):
    """What was asked may be seen, but not now: the quotas of all agreements that would let it out are used up. 429.

    `opens` is when it may be asked again, in seconds from now; `headers` say what remains; `policies` name the limits that did not hold.
    """

    def __init__(
        self, denials: Sequence[tuple[LayerName, Decision]], record_id: str, *, opens: float, headers: Headers, policies: Sequence[str],
    ):
        super().__init__(denials, record_id)
        self.opens, self.headers, self.policies = opens, headers, tuple(policies)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One layer and what is wanted of it. `view` carries extent and scale where the operation has them, `point` (CRS84) the place of which
    something is told, `points` those of several. `is_in_full`: there is no view, and what is told is as fine as the edition itself.

    To ask for a picture in a style that shows values is to ask for the values: the operation is GetCoverage, whichever way it is asked. A tile
    of vectors is no picture but the features themselves: GetFeature.
    """

    layer: LayerName
    operation: Operation
    view: View | None = None
    point: tuple[float, float] | None = None
    style: str | None = None
    format: str | None = None
    crs: str | None = None
    attributes: frozenset[str] = frozenset()
    is_counted: bool = True              # whether anything of it leaves: not of a layer that is merely shown beside the one that is queried
    points: tuple[tuple[float, float], ...] = ()
    is_in_full: bool = False
    within: ServedArea | None = None     # nothing but this ground is asked: the permit reaches no farther, and no more is counted

    def __post_init__(self):
        if self.operation in PICTURES and self.style in MEASURED:
            object.__setattr__(self, "operation", Operation.GET_COVERAGE)
        if self.operation in PICTURES and self.format == VECTOR_TILE:
            object.__setattr__(self, "operation", Operation.GET_FEATURE)

    @property
    def is_anywhere(self) -> bool:
        """Whether no place is named: features wherever they are granted."""
        return self.is_in_full and self.view is None and self.point is None and not self.points


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was decided for one layer: the edition and style that the names asked for stand for, the decision, the very question that it
    answers (None where there is no such layer), and whose quotas it counts against, with the pieces that do."""

    edition: Edition | None
    style: str | None
    decision: Decision
    request: OverlayRequest | None = None
    accounts: tuple[tuple[Account, tuple[Piece, ...]], ...] = ()

    @property
    def is_denied(self) -> bool:
        return self.decision.effect is Effect.DENY


PICTURES = frozenset({Operation.GET_MAP, Operation.GET_TILE})
"""Operations that draw the data themselves: a style that writes names on them names those attributes (design R7)."""

TOLD = frozenset({Operation.GET_FEATURE_INFO, Operation.GET_FEATURE})
"""Operations whose answers are things, not pixels."""

DRAWN = frozenset({Operation.GET_MAP, Operation.GET_TILE, Operation.GET_LEGEND_GRAPHIC})
"""Operations with a style; a request that names none gets the first of the product's styles that is granted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visible:
    """A layer as one agency's grants describe it: what capabilities, TileJSON and the catalogue are built from.

    `finest` and `coarsest` are ground scale denominators over all grants, None where open; `styles`, `formats`, `crs` None where all are
    granted. `extent` is CRS84: the granted part of the layer, never empty.
    """

    layer: Layer
    edition: Edition
    permit: Permit
    extent: BaseGeometry
    operations: frozenset[Operation]
    styles: frozenset[str] | None
    formats: frozenset[str] | None
    crs: frozenset[str] | None
    finest: float | None
    coarsest: float | None
    is_latest: bool = True               # of the editions the caller may see: the one that the bare name stands for
    is_only: bool = True                 # of them

    @property
    def bounds(self) -> Bounds:
        """west, south, east, north in degrees."""
        return Bounds(*self.extent.bounds)


@dataclass(slots=True)
class Standing:
    """The register and the catalogue at one pair of epochs, with what was worked out from them."""

    register: RegisterSnapshot
    catalogue: CatalogueSnapshot
    looked: float                                          # monotonic seconds of the last look that found nothing changed
    visible: dict[tuple, tuple[float, tuple[Visible, ...]]] = field(default_factory=dict)
    tile_rules: dict = field(default_factory=dict)         # of geoserver_app.lane, gone with the standing

    @property
    def epochs(self) -> tuple[int, int]:
        return self.register.epoch, self.catalogue.epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """An answer that is ready to leave. `tallies` say what it holds of each layer asked, None of one of which nothing leaves."""

    body: bytes
    content_type: str
    tallies: tuple[Tally | None, ...]


@dataclass(frozen=True, slots=True)
class Served:
    """An answer that may leave: decided, counted and recorded. `headers` tell what remains of the quotas it was counted on."""

    drawn: Drawn
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """A download that may begin. `ground` (CRS84) is what it is counted on; `reservation` None where no quota counts exports; `pieces` are of the
    decision that let it begin; `spent` names the agreements that let out no more exports: none of its pictures is theirs."""

    permit: Permit
    pieces: tuple[Piece, ...]
    ground: BaseGeometry
    reservation: Reservation | None
    record_id: str
    spent: frozenset[str] = frozenset()


class Gate:
    """Decides, records, and hands out permits."""

    def __init__(
        self, register: AgreementRegister, catalogue: Catalogue, log: DecisionLog, *,
        base_url: str, names_written: Callable[[Edition, str], frozenset[str]], recheck: float = 0.5, trust: float = 2.0, skew: float = 2.0,
        clock: Callable[[], datetime] = now, trusted_proxies: frozenset[str] = frozenset(), meter: Meter | None = None,
    ):
        self.register, self.catalogue, self.log, self.base_url = register, catalogue, log, base_url
        self.names_written, self.recheck, self.trust, self.skew = names_written, recheck, trust, timedelta(seconds=skew)
        self._machine_clock, self._behind, self.clock = clock, timedelta(0), self._time
        self.trusted_proxies = trusted_proxies
        self._standing: Standing | None = None
        self._looking = threading.Lock()
        self._areas = _Areas()
        self.meter, self.grounds = meter, GroundAreas(self._areas.extent)

    # -- the state of things

    def standing(self) -> Standing:
        """The register and catalogue as of at most `recheck` seconds ago. Raises NotTrusted."""
        standing = self._standing
        if standing is not None and time.monotonic() - standing.looked < self.recheck:
            return standing
        with self._looking:
            return self._look()

    def _look(self) -> Standing:
        standing, moment = self._standing, time.monotonic()
        if standing is not None and moment - standing.looked < self.recheck:
            return standing                                # another thread looked while we waited
        try:
            self._set_clock()
            if standing is None or standing.epochs != (self.register.epoch(), self.catalogue.epoch()):
                standing = Standing(self.register.snapshot(), self.catalogue.snapshot(), moment)
        except (RegisterUnavailable, CatalogueUnavailable) as error:
            if standing is None or moment - standing.looked >= self.trust:
                raise NotTrusted("the register of agreements can't be read") from error
            return standing
        standing.looked = moment
        self._standing = standing
        return standing

    def _set_clock(self) -> None:
        """Go by the clock of the store, which is one for all workers, where it has one. Raises NotTrusted where the two are far apart.

        It was read at some moment of the look: the latest that it can be now is taken, so that what ends never ends late.
        """
        before, there, after = self._machine_clock(), self.register.now(), self._machine_clock()
        if there is None:
            return
        if there - after > self.skew or before - there > self.skew:
            raise NotTrusted(f"the clocks of this machine and of the database are {abs((there - before).total_seconds()):.1f} s apart")
        self._behind = there - before

    def _time(self) -> datetime:
        return self._machine_clock() + self._behind

    def identify(self, presented: Presented, address: str = "") -> Caller:
        """The caller behind a key, asking from a network address. Raises Unidentified, NotTrusted."""
        return identify(presented, self.standing().register, self.clock(), self.base_url, address)

    # -- decisions

    def permits(self, caller: Caller, asked: Sequence[Asked], *, without: frozenset[str] = frozenset()) -> list[Permit]:
        """One permit for each layer asked, in order; all of them or none. For answers that let no data out: `serve` counts those that do.
        `without` names agreements that are out of it.

        Raises
        ------
        Refused
            Where any layer is unknown, unshared, or outside what a whole grant allows.
        NotTrusted, DecisionLogUnavailable
            Nothing may be served now.
        """
        standing, at = self.standing(), self.clock()
        rulings = [self.decide(standing, caller, one, at, without) for one in asked]
        record_id = self.log.write(_event(standing, caller, asked, rulings), at.timestamp())
        denials = [(one.layer, ruling.decision) for one, ruling in zip(asked, rulings, strict=True) if ruling.is_denied]
        if denials:
            raise Refused(denials, record_id)
        return [self.permit(caller, ruling, one.within) for one, ruling in zip(asked, rulings, strict=True)]

    def serve(
        self, caller: Caller, asked: Sequence[Asked], draw: Callable[[list[Permit]], Drawn], *, sends_body: bool = True,
        without: frozenset[str] = frozenset(),
    ) -> Served:
        """What `draw` makes of the permits for all layers asked, counted on every quota that it touches, and recorded.

        Requests and rate are counted before anything is drawn, the rest once it is known and before it leaves. Where the quota of an agreement
        does not hold, the decision is taken again without that agreement: others may let out the same, or a part of it. `without` names
        agreements that are out of it from the start.

        Raises
        ------
        Refused
            As `permits`.
        OverQuota
            Nothing is left that any agreement still lets out.
        NotTrusted, DecisionLogUnavailable, MeteringUnavailable
            Nothing may be served now.
        """
        turn = Turn(self.meter)
        while True:
            standing, at = self.standing(), self.clock()
            rulings = [self.left(standing, caller, one, self.decide(standing, caller, one, at, turn.exhausted | without), turn) for one in asked]
            denials = [(one.layer, ruling.decision) for one, ruling in zip(asked, rulings, strict=True) if ruling.is_denied]
            if denials:
                raise refusal(denials, self.log.write(_event(standing, caller, asked, rulings), at.timestamp()), turn, at)
            for ruling in rulings:
                turn.note(ruling.decision)
            permits = [self.permit(caller, ruling, one.within) for one, ruling in zip(asked, rulings, strict=True)]
            if not turn.admit(_least(asked, permits), at):
                continue
            try:
                drawn = draw(permits)
            except Exception:
                self.log.write(_event(standing, caller, asked, rulings), at.timestamp())
                raise
            bills, charged = charging.bills(self.grounds, permits, drawn.tallies, len(drawn.body)) if sends_body else ([], None)
            if not turn.settle(bills, at):
                continue
            self.log.write(_event(standing, caller, asked, rulings, charged), at.timestamp())
            return Served(drawn, turn.headers)

    def left(self, standing: Standing, caller: Caller, asked: Asked, ruling: Ruling, turn: Turn) -> Ruling:
        """The ruling, or a denial where the agreements that are not exhausted grant nothing of the place that is asked: not a picture of nothing."""
        if not turn.exhausted or ruling.is_denied or not asked.is_counted or not charging.is_spent(ruling.decision):
            return ruling
        if asked.is_anywhere:
            return ruling
        there = self._there(standing, caller, ruling, charging.extent_of(asked.view, asked.point, asked.points))
        return there if there.is_denied else ruling

    @staticmethod
    def _there(standing: Standing, caller: Caller, ruling: Ruling, extent: BaseGeometry) -> Ruling:
        """The same question of one place (CRS84) alone, which is recorded with it, so that it can be asked again."""
        request = replace(ruling.request, extent=shapely.from_wkt(as_text(extent)))
        return _ruling(ruling.edition, ruling.style, request, standing.register.agreements.get(caller.agency.agency_id, ()))

    def reserve(self, caller: Caller, asked: Asked, ground: BaseGeometry) -> Reserved:
        """A download of `ground` (CRS84), counted on the exports of every agreement that lets any of it out, and recorded.

        This lets it begin; each of its pictures is decided and counted anew by `serve`. What is granted of the ground is counted, no more.

        Raises
        ------
        Refused, OverQuota, NotTrusted, DecisionLogUnavailable, MeteringUnavailable
            As `serve`. OverQuota where exports under every agreement would come to more ground than it allows.
        """
        turn = Turn(self.meter)
        while True:
            standing, at = self.standing(), self.clock()
            ruling = self.decide(standing, caller, asked, at, turn.exhausted)
            permit, granted = None, None
            if not ruling.is_denied:
                permit = self.permit(caller, ruling, asked.within)
                granted = polygons_of(ground if permit.area is None else permit.area.cut(ground))
                if granted.is_empty:
                    ruling = self._there(standing, caller, ruling, ground)
            turn.note(ruling.decision)
            if ruling.is_denied:
                raise refusal([(asked.layer, ruling.decision)], self.log.write(_event(standing, caller, [asked], [ruling]), at.timestamp()), turn, at)
            reservation = turn.reserve([booking.account for booking in permit.bookings], granted, at)
            if reservation is turn.SPENT:
                continue
            record_id = self.log.write(_event(standing, caller, [asked], [ruling]), at.timestamp())
            return Reserved(
                permit=permit, pieces=ruling.decision.pieces, ground=granted, reservation=reservation, record_id=record_id, spent=turn.exhausted,
            )

    def decide(self, standing: Standing, caller: Caller, asked: Asked, at: datetime, exhausted: frozenset[str] = frozenset()) -> Ruling:
        """The decision for one layer over all that is granted of it: whether the view lies inside is for the clip to say. `exhausted` names
        the agreements whose quota is spent."""
        layer = standing.catalogue.layers.get(asked.layer.layer)
        if layer and asked.layer.edition is None and len(layer.editions) > 1:
            return self._decide_bare(standing, caller, asked, layer, at, exhausted)
        edition = layer and layer.edition(asked.layer.edition)
        if edition is None:
            return Ruling(None, None, UNKNOWN)
        agreements = standing.register.agreements.get(caller.agency.agency_id, ())
        request = OverlayRequest(
            agency=caller.agency.agency_id, layer=layer.name, edition=edition.name, owner=layer.owner, operation=asked.operation, at=at,
            scale_denominator=scale_denominator(asked.view) if asked.view else _own_scale(edition) if asked.is_in_full else None,
            format=asked.format, crs=asked.crs or (asked.view.crs if asked.view else None), attributes=asked.attributes,
            style=None if asked.style in ENCODINGS else asked.style,        # how numbers are spelt is no style of a picture
            product=layer.product.value, is_latest=edition is layer.editions[0], classification=int(layer.classification),
            networks=caller.networks, purpose=caller.purpose, app=caller.app, exhausted=exhausted,
        )
        is_picture = asked.operation in PICTURES or (asked.operation is Operation.DOWNLOAD and _is_drawn_vectors(layer, asked))
        if asked.operation not in DRAWN and not is_picture:
            return _ruling(edition, asked.style, request, agreements)
        first_denied = None
        for style in picture_styles(layer.product) if asked.style is None else (asked.style,):
            named = request.attributes | (self.names_written(edition, style) if is_picture else self._names_in_legend(edition))
            ruling = _ruling(edition, style, replace(request, style=style, attributes=named), agreements)
            if not ruling.is_denied:
                return ruling
            if (edition.symbols is not None or edition.source is Source.REMOTE) and named != request.attributes:        # what its owner draws by is not told in a refusal either
                untold = replace(request, style=style, attributes=request.attributes | {UNTOLD_ATTRIBUTE})
                ruling = _ruling(edition, style, untold, agreements)
            first_denied = first_denied or ruling
        return first_denied

    def _names_in_legend(self, edition: Edition) -> frozenset[str]:
        """A legend spells the classes of an overlay, labelled or not; nothing of a line map's names."""
        return self.names_written(edition, UNLABELLED) if edition.symbols is not None or edition.source is Source.REMOTE else frozenset()

    def _decide_bare(self, standing: Standing, caller: Caller, asked: Asked, layer: Layer, at: datetime, exhausted: frozenset[str]) -> Ruling:
        """The decision for the bare name of a layer with several editions.

        It stands for the newest edition of which the caller may see anything, else for the newest there is: so an edition that is not shared
        changes nothing for whom it is not shared with, not even by its arrival. The decision holds until any edition's could change.
        """
        names = [LayerName(layer.name, edition.name) for edition in layer.editions]
        described = [self.decide(standing, caller, Asked(layer=name, operation=Operation.DESCRIBE_LAYER), at) for name in names]
        latest = next((name for name, ruling in zip(names, described, strict=True) if not ruling.is_denied), names[0])
        ruling = self.decide(standing, caller, replace(asked, layer=latest), at, exhausted)
        ends = [one.decision.holds_until for one in (ruling, *described) if one.decision.holds_until]
        return replace(ruling, decision=replace(ruling.decision, holds_until=min(ends, default=None)))

    def permit(self, caller: Caller, ruling: Ruling, within: ServedArea | None = None) -> Permit:
        """What a renderer needs of a decision that is no denial. Raises NotTrusted where the register holds a row filter that can't be read."""
        permit = self._permit(caller, ruling)
        return permit if within is None else self._on_ground(permit, within)

    def _on_ground(self, permit: Permit, ground: ServedArea) -> Permit:
        """The same of the ground alone."""
        common = self._areas.common
        return replace(
            permit, area=common(permit.area, ground), parts=tuple(replace(part, area=common(part.area, ground)) for part in permit.parts),
            bookings=tuple(replace(one, area=common(one.area, ground)) for one in permit.bookings),
        )

    def _permit(self, caller: Caller, ruling: Ruling) -> Permit:
        edition, decision = ruling.edition, ruling.decision
        area = self._areas.served(decision.area)
        pieces = tuple(self._permit_piece(piece) for piece in decision.pieces) or (PermitPiece(area=None, attributes=None),)
        return Permit(
            edition=edition, area=area, style=ruling.style, pieces=pieces,
            parts=parts_of(
                edition, area, pieces, is_strict=ruling.request.classification >= Classification.SECRET, unite=self._areas.united,
            ),
            mark=f"{caller.agency.agency_id}:{decision.area.digest if decision.area else 'own'}", credits=decision.credits,
            bookings=tuple(self._booking(account, pieces, decision) for account, pieces in ruling.accounts),
        )

    def _booking(self, account: Account, pieces: tuple[Piece, ...], decision: Decision) -> Booking:
        area = decision.area if len(pieces) == len(decision.pieces) else union_of([piece.area for piece in pieces])
        return Booking(account=account, area=self._areas.served(area))

    def _permit_piece(self, piece: Piece) -> PermitPiece:
        mark = piece.mark and PictureMark(text=piece.mark.text, opacity=piece.mark.opacity, place=piece.mark.place)
        try:
            if piece.rows is not None:
                parse_rows(piece.rows)
        except RowsInvalid as error:
            raise NotTrusted("an agreement in the register holds a row filter that can't be read") from error
        return PermitPiece(
            area=self._areas.served(piece.area), attributes=piece.attributes, rows=piece.rows, degrade=piece.degrade, mark=mark,
        )

    def visible(self, caller: Caller, *, record: Operation | str | None = Operation.DESCRIBE_LAYER) -> tuple[Visible, ...]:
        """Every edition that some grant in force lets the caller see some of, built from the grants; recorded as one decision."""
        standing, at = self.standing(), self.clock()
        until, found = standing.visible.get(caller.terms, (0.0, ()))
        if at.timestamp() >= until:
            until, found = self._look_over(standing, caller, at)
            standing.visible[caller.terms] = until, found
        if record:
            self.log.write({
                "event": "overlay.listed", "agency": caller.agency.agency_id, "key": caller.key_id, "operation": str(record),
                "epoch": standing.register.epoch, **asker_event(caller), "listed": len(found),
            }, at.timestamp())
        return found

    def open_for(
        self, caller: Caller, operation: Operation, *, record: Operation | str | None = None,
    ) -> tuple[Visible, ...]:
        """Of what is visible, all of which something may be had by `operation`: with the extent, the formats, the CRS and the scales of the
        grants that allow that, and of no others. Which edition a bare name stands for is what it is for every operation."""
        visible, standing, at = self.visible(caller, record=record), self.standing(), self.clock()
        until, found = standing.visible.get((caller.terms, operation), (0.0, ()))
        if at.timestamp() >= until:
            until, found = self._narrowed(standing, caller, visible, operation, at)
            standing.visible[caller.terms, operation] = until, found
        return found

    def _narrowed(
        self, standing: Standing, caller: Caller, visible: tuple[Visible, ...], operation: Operation, at: datetime,
    ) -> tuple[float, tuple[Visible, ...]]:
        found, until = [], standing.visible.get(caller.terms, (0.0, ()))[0]
        for one in visible:
            asked = Asked(layer=LayerName(one.layer.name, one.edition.name), operation=operation)
            ruling = self.decide(standing, caller, asked, at)
            if ruling.decision.holds_until:
                until = min(until, ruling.decision.holds_until.timestamp())
            if not ruling.is_denied and (entry := self._entry(standing, caller, one.layer, ruling, at)):
                found.append(replace(entry, is_latest=one.is_latest, is_only=one.is_only))
        return until, tuple(found)

    def _look_over(self, standing: Standing, caller: Caller, at: datetime) -> tuple[float, tuple[Visible, ...]]:
        found, until = [], float("inf")
        for layer in standing.catalogue.layers.values():
            entries = []
            for edition in layer.editions:
                asked = Asked(layer=LayerName(layer.name, edition.name), operation=Operation.DESCRIBE_LAYER)
                ruling = self.decide(standing, caller, asked, at)
                if ruling.decision.holds_until:
                    until = min(until, ruling.decision.holds_until.timestamp())
                if not ruling.is_denied and (entry := self._entry(standing, caller, layer, ruling, at)):
                    entries.append(entry)
            found += [replace(entry, is_latest=entry is entries[0], is_only=len(entries) == 1) for entry in entries]
        return until, tuple(found)

    def _entry(self, standing: Standing, caller: Caller, layer: Layer, ruling: Ruling, at: datetime) -> Visible | None:
        edition, permit = ruling.edition, self.permit(caller, ruling)
        extent = self._areas.told_extent(permit.area, edition)
        if extent.is_empty:
            return None
        operations = frozenset(op for op in (*GRANTABLE, Operation.GET_LEGEND_GRAPHIC) if _is_open(ruling, operation=op))
        chains = [piece.grants for piece in ruling.decision.pieces]
        windows = [_window(chain) for chain in chains]
        return Visible(
            layer=layer, edition=edition, permit=permit, extent=extent, operations=operations,
            styles=self._styles(layer, ruling, operations), formats=_all_of(chains, "formats"), crs=_all_of(chains, "crs"),
            finest=_open(min, [finest for finest, _ in windows]), coarsest=_open(max, [coarsest for _, coarsest in windows]),
        )

    def _styles(self, layer: Layer, ruling: Ruling, operations: frozenset[Operation]) -> frozenset[str] | None:
        """Those in which the caller may have a picture; None where he may have it in all, or may have no picture."""
        drawing = PICTURES & operations
        granted = frozenset(
            style for style in STYLES[layer.product]
            if any(
                _is_open(ruling, operation=op, style=style, attributes=self.names_written(ruling.edition, style))
                for op in ({Operation.GET_COVERAGE} & operations if style in MEASURED else drawing)
            )
        )
        return None if not drawing or len(granted) == len(STYLES[layer.product]) else granted

    def record_refusal(self, operation: str, code: str) -> str:
        """The record of a request that named no agency we know."""
        return self.log.write({"event": "overlay.unidentified", "operation": operation, "code": code})


class _Areas:
    """Areas compiled for serving, by digest: they outlive a change of an agreement that left them as they were."""

    def __init__(self):
        self._served: OrderedDict[str, ServedArea] = OrderedDict()
        self._common: OrderedDict[str, ServedArea] = OrderedDict()
        self._extents: OrderedDict[tuple, BaseGeometry] = OrderedDict()
        self._lock = threading.Lock()

    def served(self, area: Area | None) -> ServedArea | None:
        if area is None:
            return None
        return self._kept(self._served, area.digest, lambda: ServedArea(area.geometry, area.digest))

    def united(self, areas: Sequence[ServedArea]) -> ServedArea:
        """One area of all, under a digest of theirs."""
        by_digest = {area.digest: area for area in areas}
        world = next((area for area in areas if area.is_world), None)
        if world or len(by_digest) == 1:
            return world or areas[0]
        digest = hashlib.sha256("\n".join(["united", *sorted(by_digest)]).encode()).hexdigest()
        return self._kept(self._served, digest, lambda: ServedArea(shapely.union_all([one.geometry for one in by_digest.values()]), digest))

    def common(self, area: ServedArea | None, ground: ServedArea) -> ServedArea:
        """What lies in both: an area of nothing where that is nowhere."""
        if area is None or area.is_world or ground.is_world or area.digest == ground.digest:
            return ground if area is None or area.is_world else area
        digest = hashlib.sha256(f"common\n{area.digest}\n{ground.digest}".encode()).hexdigest()
        return self._kept(
            self._common, digest, lambda: ServedArea(polygons_of(shapely.intersection(area.geometry, ground.geometry)), digest), most=COMMON_KEPT,
        )

    def extent(self, area: ServedArea | None, edition: Edition) -> BaseGeometry:
        """CRS84: the granted part of an edition."""
        if area is None:
            return edition.extent
        return self._kept(self._extents, (area.digest, edition.edition_id, edition.generation), lambda: area.cut(edition.extent))

    def told_extent(self, area: ServedArea | None, edition: Edition) -> BaseGeometry:
        """CRS84: where an edition is said to be. Of vectors it is the granted ground itself: the box of all features, cut to it, would tell how far
        those reach that lie outside."""
        if area is None or area.is_world or edition.product.is_raster:
            return self.extent(area, edition)
        return area.geometry

    def _kept(self, memory: OrderedDict, key, make: Callable, most: int = AREAS_KEPT):
        with self._lock:
            if key in memory:
                memory.move_to_end(key)
                return memory[key]
        value = make()
        with self._lock:
            value = memory.setdefault(key, value)
            while len(memory) > most:
                memory.popitem(last=False)
        return value


UNKNOWN = Decision(effect=Effect.DENY, area=None, pieces=(), reasons=(NO_AGREEMENT,))
"""For a layer that does not exist: what an agency without any agreement on an existing one is told."""


def _all_of(chains: Sequence[tuple[Grant, ...]], term: str) -> frozenset[str] | None:
    """What any of the pieces grants; of a piece under other agreements, what all of them grant. None is all there is."""
    values = [_common([getattr(grant, term) for grant in chain]) for chain in chains]
    return None if None in values or not values else frozenset().union(*values)


def _is_drawn_vectors(layer: Layer, asked: Asked) -> bool:
    """Whether files of pictures of vectors are asked: they show names and classes as any picture does."""
    return not layer.product.is_raster and (asked.format or "").startswith("image/")


def _common(sets: Sequence[frozenset[str] | None]) -> frozenset[str] | None:
    named = [one for one in sets if one is not None]
    return frozenset.intersection(*named) if named else None


def _own_scale(edition: Edition) -> float | None:
    """Denominator at which everything of an edition is shown: that of its pixels, or the one at which its lines were surveyed."""
    return SURVEYED_AT.get(edition.product) if edition.resolution is None else edition.resolution / METRES_AT_ONE


def _window(chain: tuple[Grant, ...]) -> tuple[float | None, float | None]:
    """Ground scale denominators that a grant and those above it allow: finest, coarsest; None is open."""
    finest = [v for g in chain for v in (g.scale.finest, _as_scale(g.resolution.finest)) if v is not None]
    coarsest = [v for g in chain for v in (g.scale.coarsest, _as_scale(g.resolution.coarsest)) if v is not None]
    return max(finest, default=None), min(coarsest, default=None)


def _as_scale(resolution: float | None) -> float | None:
    return None if resolution is None else resolution / METRES_AT_ONE


def _open(choose: Callable, values: Sequence[float | None]) -> float | None:
    return None if None in values or not values else choose(values)


def refusal(denials: Sequence[tuple[LayerName, Decision]], record_id: str, turn: Turn, at: datetime) -> Refused:
    """Of what is denied from the start, or because quotas that would let it out are used up."""
    if not turn.exhausted:
        return Refused(denials, record_id)
    told = [(name, replace(decision, reasons=turn.in_words(decision.reasons))) for name, decision in denials]
    return OverQuota(told, record_id, opens=turn.opens_in(at), headers=turn.headers, policies=turn.policies)


def _ruling(edition: Edition, style: str | None, request: OverlayRequest, agreements: Sequence[Agreement]) -> Ruling:
    decision = decide(request, agreements)
    accounts = charging.accounts_of(decision, request, agreements) if request.operation in METERED else ()
    return Ruling(edition, style, decision, request, accounts)


def _is_open(ruling: Ruling, **others) -> bool:
    """Whether who may have the layer described to him may do that with it as well; its owner may do anything."""
    pieces = ruling.decision.pieces
    return not pieces or any(would_allow(piece, asked) for asked in [replace(ruling.request, **others)] for piece in pieces)


def _least(asked: Sequence[Asked], permits: Sequence[Permit]) -> list[Bill]:
    """One request on each account that the answer has anything to do with, and what must be left for it."""
    bills: dict[str, Bill] = {}
    for one, permit in zip(asked, permits, strict=True):
        if not one.is_counted or one.operation not in METERED:
            continue
        least = SOME_FEATURES if one.operation in TOLD or one.points else SOME_PICTURE
        for booking in permit.bookings:
            account = booking.account
            if account.agreement_id not in bills and (one.is_anywhere or charging.touches(booking.area, one.view, one.point, one.points)):
                bills[account.agreement_id] = Bill(account, ONE_REQUEST, at_least=least, token=True)
    return list(bills.values())


def _event(
    standing: Standing, caller: Caller, asked: Sequence[Asked], rulings: Sequence[Ruling], charged: Sequence[dict | None] | None = None,
) -> dict:
    view = next((one.view for one in asked if one.view), None)
    event = {
        "event": "overlay.decided", "agency": caller.agency.agency_id, "key": caller.key_id,
        "operation": str(asked[0].operation) if asked else "none", "epoch": standing.register.epoch,
        **asker_event(caller),
        "layers": [layer_event(one, ruling) for one, ruling in zip(asked, rulings, strict=True)],
    }
    for layer, counted in zip(event["layers"], charged or (), strict=charged is not None):
        if counted:
            layer["charged"] = counted
    if view:
        event |= {"crs": view.crs, "bounds": [round(v, 7) for v in view.bounds], "size": [view.width, view.height]}
    return event


def asker_event(caller: Caller) -> dict:
    """What a decision depends on of who asks, where there is any of it: never the address itself."""
    found = {"app": caller.app, "purpose": caller.purpose, "networks": sorted(caller.networks)}
    return {name: value for name, value in found.items() if value}


def as_text(extent: BaseGeometry) -> str:
    """Well-known text to a tenth of a millimetre."""
    return shapely.to_wkt(extent, rounding_precision=9)


def layer_event(asked: Asked, ruling: Ruling) -> dict:
    """One layer of a decision: all that it takes to decide again years later, and what was decided. Nothing is written of what has no value.

    An agency may have its own rows: of a layer that no agreement names to it they hold what they hold of one that does not exist.
    """
    edition, decision, request, style = ruling.edition, ruling.decision, ruling.request, ruling.style
    if all(reason.code == NO_AGREEMENT.code for reason in decision.reasons):
        edition, request, style = None, None, None
    event = {
        "layer": asked.layer.layer, "edition": edition.name if edition else asked.layer.edition, "generation": edition and edition.generation,
        "operation": str(asked.operation), "style": style, "format": asked.format,
    }
    if request is not None:
        event |= {
            "owner": request.owner, "product": request.product, "is_latest": request.is_latest, "classification": request.classification,
            "crs": request.crs, "scale_denominator": request.scale_denominator, "attributes": sorted(request.attributes) or None,
            "exhausted": sorted(request.exhausted) or None, "extent": request.extent and as_text(request.extent),
        }
    event |= {
        "effect": str(decision.effect), "area": decision.area and decision.area.digest[:16],
        "reasons": [[r.agreement_id, r.version, r.clause, r.code] for r in decision.reasons],
    }
    return {name: value for name, value in event.items() if value is not None}
