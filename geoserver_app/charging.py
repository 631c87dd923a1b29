"""From a decision to a bill: on whose account every piece of ground is booked, and how much of an answer lies on it.

What counts is told to administrators in docs/admin.md, "Quotas": an answer that lets something out of what an agreement with a quota grants.
A place where nothing is granted, or where there are no data, is a constant answer, and counts nowhere.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import numpy as np
import shapely
from PIL import Image
from shapely.geometry.base import BaseGeometry

from agreements.model import Agreement, Decision, Operation, OverlayRequest, Piece, Reason, State
from geoserver_app.clock import SHANGHAI
from geoserver_app.metering.book import Account, Bill, Seen, Spent
from geoserver_app.metering.footprints import GroundArea, footprint_of_point, footprint_of_view
from geoserver_app.metering.ground import NOWHERE, Footprint
from geoserver_app.metering.headers import Headers
from geoserver_app.metering.ledger import MeteringUnavailable
from geoserver_app.metering.meter import Meter, Reservation, account_of
from geoserver_app.metering.terms import EXPORT, RATE, Amounts
from layers.crs import ground_resolution, transform_geometry
from layers.model import Edition, View
from tiles.area import ServedArea
from tiles.permits import Booking, Permit
from tiles.requests import expressible_bounds

METERED = frozenset({
    Operation.GET_MAP, Operation.GET_TILE, Operation.GET_FEATURE_INFO, Operation.GET_FEATURE, Operation.GET_COVERAGE, Operation.DOWNLOAD,
})
"""Operations that let data out."""

ONE_REQUEST: Amounts = (1, 0, 0, 0)
SOME_PICTURE: Amounts = (1, 1, 0, 1)
SOME_FEATURES: Amounts = (1, 0, 1, 1)
"""What must be left of a quota before an answer is made, however large it will be."""

AREAS_KEPT = 128


# Who is charged

def accounts_of(decision: Decision, request: OverlayRequest, agreements: Iterable[Agreement]) -> tuple[tuple[Account, tuple[Piece, ...]], ...]:
    """Every agreement with a quota that the decision is charged to, and the pieces that are."""
    limited = {agreement.agreement_id: agreement for agreement in agreements if agreement.quota is not None and _is_in_force(agreement, request.at)}
    if not limited:
        return ()
    pieces: dict[str, list[Piece]] = {}
    for piece in decision.pieces:
        for agreement_id in piece.charged:
            if agreement_id in limited:
                pieces.setdefault(agreement_id, []).append(piece)
    return tuple(
        (account_of(limited[agreement_id], is_own=limited[agreement_id].grantee == request.agency), tuple(charged))
        for agreement_id, charged in sorted(pieces.items())
    )


def _is_in_force(agreement: Agreement, at: datetime) -> bool:
    start, end, replaced = agreement.term.start, agreement.term.end, agreement.replaced
    return (
        agreement.state is State.ACTIVE and (replaced is None or at < replaced) and (start is None or start <= at) and (end is None or at < end)
    )


# What leaves

@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What is about to leave of one layer.

    `view` is the part of the picture that is drawn and `opaque` (row, col) where it shows something, None everywhere; a `point` (CRS84) is told in
    full; `features` is how many things are told. Of `points` (CRS84) each is told in full, and is a thing told.
    """

    view: View | None = None
    opaque: np.ndarray | None = None
    point: tuple[float, float] | None = None
    features: int = 0
    points: tuple[tuple[float, float], ...] = ()

    def things(self, area: ServedArea | None) -> int:
        """How many are told, of points those within `area`."""
        if not self.points or area is None:
            return self.features + len(self.points)
        return self.features + sum(area.has_point(*point) for point in self.points)

    def pixels(self, area: ServedArea | None) -> int:
        """Of those within `area`, the ones that show something."""
        if self.view is None:
            return 0
        within = True if area is None else area.mask(self.view)
        if within is True:
            return self.view.width * self.view.height if self.opaque is None else int(np.count_nonzero(self.opaque))
        if within is False:
            return 0
        return int(np.count_nonzero(within if self.opaque is None else within & self.opaque))


def opaque_part(picture: Image.Image) -> np.ndarray | None:
    """(row, col) of bool: where a picture shows something; None where all of it does."""
    if "A" not in picture.getbands():
        return None
    alpha = np.asarray(picture.getchannel("A"))
    return None if alpha.all() else alpha > 0


def touches(
    area: ServedArea | None, view: View | None, point: tuple[float, float] | None = None, points: Sequence[tuple[float, float]] = (),
) -> bool:
    """Whether a picture of `view`, or what is told of a point or of several (CRS84), has anything to do with an area."""
    if area is None or any(area.has_point(*one) for one in points):
        return True
    if point is not None:
        return area.has_point(*point)
    return view is not None and area.mask(replace(view, width=1, height=1)) is not False


def extent_of(view: View | None, point: tuple[float, float] | None, points: Sequence[tuple[float, float]] = ()) -> BaseGeometry:
    """CRS84: the point that is asked, or the points, or the ground of a view as far as its CRS means something."""
    if point is not None:
        return shapely.Point(point)
    if points:
        return shapely.MultiPoint(points)
    bounds = view.bounds.intersection(expressible_bounds(view.crs))
    if bounds.width <= 0 or bounds.height <= 0:
        return shapely.Polygon()
    ring = shapely.segmentize(shapely.box(*bounds), max(bounds.width, bounds.height) / 8)
    return transform_geometry(ring, view.crs, "CRS:84")


def is_spent(decision: Decision) -> bool:
    """Whether an agreement would have counted but for its quota, or for that of the one above it."""
    return any(reason.code in (OVER_QUOTA, PASSES_ON) for reason in decision.reasons)


def bills(
    grounds: "GroundAreas", permits: Sequence[Permit], tallies: Sequence[Tally | None], content: int,
) -> tuple[list[Bill], list[dict[str, dict[str, int]] | None]]:
    """What is to be counted of an answer of `content` bytes, beside the request itself: one bill an account, however many layers it has in it.

    A tally of None is of a layer of which nothing leaves. The second list says the same for the record, layer by layer and agreement by
    agreement: requests and bytes, which are the answer's, with the first layer that is counted.
    """
    found: dict[str, Bill] = {}
    told: list[dict[str, dict[str, int]] | None] = []
    for permit, tally in zip(permits, tallies, strict=True):
        layer = {}
        for booking in permit.bookings if tally is not None else ():
            if not touches(booking.area, tally.view, tally.point, tally.points):
                continue
            name, is_first = booking.account.agreement_id, booking.account.agreement_id not in found
            amounts = (0, tally.pixels(booking.area), tally.things(booking.area), content if is_first else 0)
            seen = tuple(_seen(grounds, booking, permit.edition, tally)) if booking.account.terms.ground else ()
            before = found.get(name) or Bill(booking.account)
            found[name] = before._replace(amounts=tuple(map(sum, zip(before.amounts, amounts, strict=True))), seen=(*before.seen, *seen))
            layer[name] = {what: count for what, count in zip(COUNTED, (int(is_first), *amounts[1:]), strict=True) if count}
        told.append(layer or None)
    return list(found.values()), told


COUNTED = ("requests", "pixels", "features", "bytes")


def _seen(grounds: "GroundAreas", booking: Booking, edition: Edition, tally: Tally) -> Iterable[Seen]:
    if tally.point is not None:
        yield grounds.told(tally.point)
    elif tally.points:
        yield from (grounds.told(point) for point in dict.fromkeys(tally.points) if booking.area is None or booking.area.has_point(*point))
    elif tally.view is not None:
        view = tally.view
        yield grounds.seen(booking, edition, (view.crs, view.bounds), ground_resolution(view), lambda: view)


class GroundAreas:
    """What is granted of an edition in the plane of the cells, by the digest of the area; and what was seen of it."""

    def __init__(self, extent_of: Callable[[ServedArea | None, Edition], BaseGeometry]):
        self._extent_of = extent_of
        self._areas: OrderedDict[tuple, GroundArea | None] = OrderedDict()
        self._lock = threading.Lock()

    def seen(self, booking: Booking, edition: Edition, place: Hashable, resolution: float, view: Callable[[], View]) -> Seen:
        """The ground that a picture shows at so many metres a pixel; `place` names the view."""
        return Seen((self._key(booking, edition), place), resolution, lambda: self._of_view(booking, edition, view()))

    def told(self, point: tuple[float, float]) -> Seen:
        """The ground of something that is told in full of a point (CRS84)."""
        return Seen(point, 0.0, partial(footprint_of_point, *point))

    def _of_view(self, booking: Booking, edition: Edition, view: View) -> Footprint:
        area = self._area(booking, edition)
        return NOWHERE if area is None else footprint_of_view(view, area)

    @staticmethod
    def _key(booking: Booking, edition: Edition) -> tuple:
        return booking.area.digest if booking.area is not None else None, edition.edition_id, edition.generation

    def _area(self, booking: Booking, edition: Edition) -> GroundArea | None:
        key = self._key(booking, edition)
        with self._lock:
            if key in self._areas:
                self._areas.move_to_end(key)
                return self._areas[key]
        extent = self._extent_of(booking.area, edition)
        area = None if extent.is_empty else GroundArea(extent)
        with self._lock:
            self._areas[key] = area
            while len(self._areas) > AREAS_KEPT:
                self._areas.popitem(last=False)
        return area


# One request among the quotas

class Turn:
    """One request on its way through the quotas: what was counted, what did not hold, and what the caller is told of it."""

    def __init__(self, meter: Meter | None):
        self._meter = meter
        self.exhausted: frozenset[str] = frozenset()
        self.headers: Headers = []          # what remains, of agreements that let nothing out too: it says why a part is missing
        self.admitted: set[str] = set()
        self._spent: list[Spent] = []
        self._of_the_spent: Headers = []
        self._tried: list[Decision] = []

    def note(self, decision: Decision) -> None:
        """Remember a decision that was tried: its pieces say which agreements pass on what others grant."""
        self._tried.append(decision)

    def admit(self, bills: Sequence[Bill], at: datetime) -> bool:
        """Count a request on each account, once in a turn; False where one has no room for it, and nothing was counted."""
        fresh = [bill for bill in bills if bill.account.agreement_id not in self.admitted]
        if not self._holds(fresh, at):
            return False
        self.admitted.update(bill.account.agreement_id for bill in fresh)
        return True

    def settle(self, bills: Sequence[Bill], at: datetime) -> bool:
        """Count what is about to leave; False where one account has no room for it, and nothing was counted."""
        return self._holds(bills, at)

    SPENT = object()

    def reserve(self, accounts: Sequence[Account], ground: BaseGeometry, at: datetime) -> Reservation | None | object:
        """A place for an export of `ground` on all accounts that count exports: None where none does, SPENT where one has no room for it."""
        accounts = [account for account in accounts if account.terms.export_km2 is not None]
        if not accounts:
            return None
        if self._meter is None:
            raise MeteringUnavailable("there is nothing to count quotas with")
        found = self._meter.reserve_export(accounts, ground, at)
        if isinstance(found, Reservation):
            return found
        self._spent.append(found)
        self.exhausted |= {found.account.agreement_id}
        return self.SPENT

    def _holds(self, bills: Sequence[Bill], at: datetime) -> bool:
        if not bills:
            return True
        if self._meter is None:
            raise MeteringUnavailable("there is nothing to count quotas with")
        spent, headers = self._meter.charge(bills, at.timestamp())
        self.headers = [*self._of_the_spent, *headers]
        if not spent:
            return True
        self._of_the_spent = self.headers
        self._spent += spent
        self.exhausted |= {one.account.agreement_id for one in spent}
        return False

    # -- what is told where a quota does not hold

    @property
    def policies(self) -> tuple[str, ...]:
        """Names of the limits that did not hold, of those that the caller is told."""
        return tuple(dict.fromkeys(one.name for one in self._spent if one.account.is_own))

    def opens_in(self, at: datetime) -> float:
        """Seconds until it may be asked again: when every limit of one of the agreements is open. A limit of the term opens by an amendment
        alone: then it is tomorrow."""
        now, by_account = at.timestamp(), {}
        for one in self._spent:
            opens, name = now + SECONDS_A_DAY if one.opens is None else one.opens, one.account.agreement_id
            by_account[name] = max(by_account.get(name, opens), opens)
        return min(by_account.values()) - now

    def in_words(self, reasons: Iterable[Reason]) -> tuple[Reason, ...]:
        """Reasons with what their sentences need: which limit it is, and when it opens. Who passes on what an agreement of a spent quota grants is
        told that much, and no more."""
        return tuple(self._in_words(reason) for reason in reasons)

    def _in_words(self, reason: Reason) -> Reason:
        if reason.code == PASSES_ON and self._is_under_spent(reason.agreement_id):
            return replace(reason, code=OVER_QUOTA, detail={"case": "above"})
        mine = [one for one in self._spent if one.account.agreement_id == reason.agreement_id]
        if reason.code != OVER_QUOTA or not mine:
            return reason
        return replace(reason, detail=_detail(max(mine, key=lambda one: float("inf") if one.opens is None else one.opens)))


    def _is_under_spent(self, agreement_id: str | None) -> bool:
        chains = (piece.charged for decision in self._tried for piece in decision.pieces)
        return any(chain[0] == agreement_id and self.exhausted.intersection(chain[1:]) for chain in chains if chain)


OVER_QUOTA, PASSES_ON = "over-quota", "parent-not-granting"
SECONDS_A_DAY = 86_400


def _detail(spent: Spent) -> dict[str, str]:
    if spent.measure == RATE:
        return {"case": "rate", "most": f"{spent.most:.6g}", "moment": _spoken(spent.opens)}
    if spent.measure == EXPORT:
        return {"case": "export", "most": _amount(spent.most)}
    detail = {"most": _amount(spent.most), "measure": spent.measure, "window": spent.window}
    return detail | ({"case": "term"} if spent.opens is None else {"case": "window", "moment": _spoken(spent.opens)})


def _amount(most: float) -> str:
    return f"{most:,.0f}" if most >= 1000 and float(most).is_integer() else f"{most:.10g}"


def _spoken(moment: float) -> str:
    return datetime.fromtimestamp(moment, SHANGHAI).isoformat(sep=" ", timespec="seconds")
