"""The counters of one agreement as a worker keeps them: what is in its ledger, and in memory what follows from it.

Everything here is done with the ledger's lock held.
"""

import math
import uuid
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from shapely.geometry.base import BaseGeometry

from agreements.quota import Measure
from geoserver_app.metering import counts as c
from geoserver_app.metering.counts import Counts, CountsDamaged
from geoserver_app.metering.exports import Export, Exports, ExportsDamaged, square_metres, to_record
from geoserver_app.metering.files import EXPORTS
from geoserver_app.metering.ground import CELL_KM2, Footprint, GroundSet, RecordsDamaged, from_records, to_records
from geoserver_app.metering.ledger import Ledger, MeteringUnavailable
from geoserver_app.metering.terms import ADDED, EXPORT, MICRO, NOTHING, RATE, WINDOWS, Added, Amounts, Ground, Terms, micrometres
from geoserver_app.metering.windows import Windows

KEYS_KEPT = 50_000
"""Pictures remembered for a limit of ground as wholly counted."""

LOG_BYTES = 4 << 20
"""A longer log of ground is written anew where that makes it a quarter."""


HAIR = 1.0
"""Square metres by which an export may miss a limit: rounding of a ground that was drawn to be just as large."""


# What is asked, and what is answered

@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An agreement that is counted on. `ends` is the end of its term, POSIX seconds; `is_own` tells that the caller is its grantee, and so may
    be told what remains."""

    agreement_id: str
    terms: Terms
    is_own: bool = True
    starts: float | None = None
    ends: float | None = None


class Seen(NamedTuple):
    """Ground that a picture shows. `key` names it: what was counted once in a window costs nothing again."""

    key: Hashable
    resolution: float                    # metres a pixel; 0 for what is told in full
    footprint: Callable[[], Footprint]


class Bill(NamedTuple):
    """What is to be counted on one account, all of it or nothing.

    `amounts` are added; `at_least` is what must be left without being taken: before a map is drawn nobody knows how much it will be. With
    `token` the rate is asked too.
    """

    account: Account
    amounts: Amounts = NOTHING
    at_least: Amounts = NOTHING
    token: bool = False
    seen: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """A limit that does not hold what was asked. `opens` is when it might, POSIX seconds; None is never within the term."""

    account: Account
    name: str
    measure: str
    window: str = ""
    most: float = 0.0
    resolution: float | None = None
    opens: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How one limit stands. km2 for ground, megapixels, else whole numbers; `resets_at` POSIX seconds, None where it never begins anew."""

    name: str
    measure: str
    window: str
    limit: float
    used: float
    remaining: float
    resolution: float | None = None
    resets_at: float | None = None


# The book

@dataclass(slots=True)
class _Sight:
    """The ground of one limit, as far as it is read."""

    generation: int = 0
    length: int = 0
    ground: GroundSet = field(default_factory=GroundSet)
    keys: set = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Step:
    """What is to be added to the ground of one limit."""

    ground: Ground
    footprint: Footprint
    cells: int
    keys: tuple


NO_STEPS: tuple[_Step, ...] = ()


class Book:
    """One agreement's."""

    def __init__(self, agreement_id: str, ledger: Ledger):
        self.agreement_id, self.ledger = agreement_id, ledger
        self._sights: dict[tuple[int, int], _Sight] = {}
        self._exports, self._is_doubtful = Exports(), False

    def read(self, windows: Windows) -> Counts:
        """The counters, with the windows begun that have begun. Raises MeteringUnavailable."""
        counts = self.ledger.read()
        if self._is_doubtful:
            self._sights, self._exports, self._is_doubtful = {}, Exports(), False
        if windows.day != counts[c.OF_DAY]:
            c.roll(counts, windows)
        return counts

    def settle(self, counts: Counts, terms: Terms, steps: Sequence[_Step], windows: Windows) -> None:
        """Make true what `count` found to hold."""
        for step in steps:
            self._see(counts, terms, step, windows)
        self.ledger.write()

    def count(self, counts: Counts, bill: Bill, now: float, windows: Windows) -> tuple[list[Spent], Sequence[_Step]]:
        """Add the bill to `counts`, a copy that `settle` then makes true.

        Where a limit does not hold, those that don't are answered and `counts` is of no use any more. What the bill adds to the ground is
        answered as steps for `settle`, so that nothing is logged before all accounts of an answer are found to hold.
        """
        account, amounts, at_least, spent = bill.account, bill.amounts, bill.at_least, []
        terms = account.terms
        if bill.token and terms.interval and (wait := c.take_token(counts, terms, int(now * MICRO))):
            spent.append(Spent(account=account, name=RATE, measure=RATE, most=MICRO / terms.interval, opens=now + wait / MICRO))
        for one in terms.added:
            wanted = amounts[one.measure] or at_least[one.measure]
            if wanted and c.used(counts, one) + wanted > one.most:
                spent.append(_spent(account, one, windows))
        c.add(counts, amounts)
        if not (terms.ground and bill.seen):
            return spent, NO_STEPS
        steps = [step for ground in terms.ground if (step := self._step(counts, ground, bill.seen, windows)) is not None]
        spent += [
            _spent(account, step.ground, windows) for step in steps if self.used(counts, step.ground, windows) + step.cells > step.ground.most
        ]
        return spent, steps

    def doubt(self) -> None:
        """Read everything again next time: what was made may not have become true."""
        self._is_doubtful = True

    def usage(self, counts: Counts, account: Account, now: float, windows: Windows) -> list[Usage]:
        """How each limit of the account stands."""
        terms, found = account.terms, []
        if terms.interval:
            micro = int(now * MICRO)
            left = c.tokens(counts, terms, micro)
            found.append(Usage(
                name=RATE, measure=RATE, window="", limit=float(terms.burst), used=float(terms.burst - left), remaining=float(left),
                resets_at=now + c.until_full(counts, terms, micro) / MICRO,
            ))
        for one in (*terms.added, *terms.ground):
            used, most, scale = self.used(counts, one, windows), one.most, _scale(one)
            found.append(Usage(
                name=one.name, measure=str(one.limit.measure), window=str(one.limit.window), limit=one.limit.most, used=used * scale,
                remaining=max(most - used, 0) * scale, resolution=one.limit.resolution, resets_at=c.end_of(one.window, windows),
            ))
        if terms.export_km2 is not None:
            km2 = counts[c.EXPORT_M2] / MICRO
            found.append(Usage(
                name=EXPORT, measure=EXPORT, window="term", limit=terms.export_km2, used=km2, remaining=max(terms.export_km2 - km2, 0.0),
            ))
        return found

    def used(self, counts: Counts, one: Added | Ground, windows: Windows) -> int:
        """Requests, pixels, features, bytes or cells."""
        if isinstance(one, Added):
            return c.used(counts, one)
        place = c.ground_at(counts, one)
        return 0 if place is None or self._is_over(counts, place, one, windows) else counts[place + c.CELLS]

    # -- ground

    def _step(self, counts: Counts, ground: Ground, seen: Sequence[Seen], windows: Windows) -> _Step | None:
        """What `seen` adds to the ground of one limit; None where that is nothing."""
        applying = [one for one in seen if not ground.resolution or micrometres(one.resolution) <= ground.resolution]
        if not applying:
            return None
        sight = self._sight(counts, ground, windows)
        fresh = [one for one in applying if one.key not in sight.keys]
        if not fresh:
            return None
        footprint = fresh[0].footprint() if len(fresh) == 1 else _all_of([one.footprint() for one in fresh])
        return _Step(ground, footprint, sight.ground.missing(footprint), tuple(one.key for one in fresh))

    def _sight(self, counts: Counts, ground: Ground, windows: Windows) -> _Sight:
        """The ground of a limit in its present window, with all that others added to it."""
        name = (ground.window, ground.resolution)
        sight, place = self._sights.get(name), c.ground_at(counts, ground)
        if place is None or self._is_over(counts, place, ground, windows):
            generation = counts[place + c.GENERATION] + 1 if place is not None else 1
            length = 0
        else:
            generation, length = counts[place + c.GENERATION], counts[place + c.LENGTH]
        if sight is None or sight.generation != generation or sight.length > length:
            sight = self._sights[name] = _Sight(generation=generation)
        if sight.length < length:
            data = self.ledger.read_log(_log(ground, generation), sight.length, length)
            try:
                for footprint in from_records(data):
                    sight.ground.add(footprint)
            except RecordsDamaged as error:
                raise self._damaged(error) from error
            sight.length = length
        return sight

    @staticmethod
    def _is_over(counts: Counts, place: int, ground: Ground, windows: Windows) -> bool:
        """Whether what is counted is of a window that is over."""
        return counts[place + c.WINDOW_NUMBER] < c.number_of(ground.window, windows)

    def _see(self, counts: Counts, terms: Terms, step: _Step, windows: Windows) -> None:
        ground, sight = step.ground, self._sights[step.ground.window, step.ground.resolution]
        place = c.ground_at(counts, ground)
        if place is None:
            place = self._begin(counts, ground, terms)
        if self._is_over(counts, place, ground, windows):
            for generation in (counts[place + c.GENERATION], counts[place + c.GENERATION] - 1):
                self.ledger.remove_log(_log(ground, generation))
            counts[place + c.WINDOW_NUMBER] = c.number_of(ground.window, windows)
            counts[place + c.GENERATION], counts[place + c.LENGTH], counts[place + c.CELLS] = sight.generation, 0, 0
        if step.cells:
            records = to_records(step.footprint)
            self.ledger.write_log(_log(ground, sight.generation), sight.length, records)
            sight.ground.add(step.footprint)
            sight.length += len(records)
            if sight.length > LOG_BYTES:
                self._shorten(ground, sight)
        counts[place + c.GENERATION], counts[place + c.LENGTH], counts[place + c.CELLS] = sight.generation, sight.length, sight.ground.cells
        if len(sight.keys) >= KEYS_KEPT:
            sight.keys.clear()
        sight.keys.update(step.keys)

    def _begin(self, counts: Counts, ground: Ground, terms: Terms) -> int:
        try:
            return c.begin_ground(counts, ground, terms)
        except CountsDamaged as error:
            raise self._damaged(error) from error

    def _shorten(self, ground: Ground, sight: _Sight) -> None:
        """Write the log anew as what it comes to, as its next generation; the one before goes when the next is shortened."""
        records = to_records(sight.ground.footprint())
        if len(records) > sight.length // 4:
            return
        self.ledger.remove_log(_log(ground, sight.generation - 1))
        sight.generation += 1
        self.ledger.write_log(_log(ground, sight.generation), 0, records)
        sight.length = len(records)

    # -- exports

    def plan_export(self, counts: Counts, account: Account, ground: BaseGeometry) -> Spent | None:
        """The limit of exports, where the union of all of them with this one is more than may be."""
        union = square_metres(self._read_exports(counts).with_(ground))
        most = account.terms.export_km2
        if most is None or union <= most * MICRO + HAIR:
            return None
        return Spent(account=account, name=EXPORT, measure=EXPORT, window="term", most=most)

    def record_export(self, counts: Counts, export: Export) -> None:
        """Count an export, or the taking back of one."""
        exports, record = self._read_exports(counts), to_record(export)
        self.ledger.write_log(EXPORTS, exports.length, record)
        exports.add(export)
        exports.length += len(record)
        counts[c.EXPORT_LENGTH], counts[c.EXPORT_M2] = exports.length, math.ceil(square_metres(exports.union))
        self.ledger.write()

    def has_exported(self, counts: Counts, number: uuid.UUID) -> bool:
        return number in self._read_exports(counts).taken

    def restore_exports(self, counts: Counts) -> None:
        """Count all of the log again, whatever the counters say of it."""
        counts[c.EXPORT_LENGTH] = self.ledger.length_of_log(EXPORTS)
        counts[c.EXPORT_M2] = math.ceil(square_metres(self._read_exports(counts).union))

    def _read_exports(self, counts: Counts) -> Exports:
        length = counts[c.EXPORT_LENGTH]
        if self._exports.length > length:
            self._exports = Exports()
        if self._exports.length < length:
            data = self.ledger.read_log(EXPORTS, self._exports.length, length)
            try:
                self._exports.read(data)
            except ExportsDamaged as error:
                raise self._damaged(error) from error
        return self._exports

    def _damaged(self, error: ValueError) -> MeteringUnavailable:
        return MeteringUnavailable(f"the counters of agreement `{self.agreement_id}` are damaged ({error}): see `geoshare quota restart`")


def _log(ground: Ground, generation: int) -> str:
    return f"ground-{WINDOWS[ground.window]}-{ground.resolution}-{generation}"


def _all_of(footprints: Sequence[Footprint]) -> Footprint:
    """As one, in which no two parts overlap."""
    together = GroundSet()
    for footprint in footprints:
        together.add(footprint)
    return together.footprint()


def _scale(one: Added | Ground) -> float:
    """From what is counted to the unit of the limit."""
    if isinstance(one, Ground):
        return CELL_KM2
    return 1 / MICRO if ADDED[one.measure] is Measure.MEGAPIXELS else 1.0


def _spent(account: Account, one: Added | Ground, windows: Windows) -> Spent:
    limit = one.limit
    return Spent(
        account=account, name=one.name, measure=str(limit.measure), window=str(limit.window), most=limit.most, resolution=limit.resolution,
        opens=c.end_of(one.window, windows),
    )
