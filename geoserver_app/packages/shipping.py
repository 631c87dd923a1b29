"""A file of a package on its way out: every piece of it is decided, counted and recorded anew, and between pieces nothing is trusted for longer than
the gate trusts it. What may not be let out any more is taken back there and then, and its files are deleted."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from geoserver_app.api.faults import ApiFault, NothingThere
from geoserver_app.charging import Tally, touches
from geoserver_app.downloads import PATIENCE, BrokenOff
from geoserver_app.gate import Drawn, OverQuota, Refused, Standing
from geoserver_app.identity import Caller, counts
from geoserver_app.metering.ledger import MeteringUnavailable
from geoserver_app.packages.items import (
    Grounds,
    Item,
    Narrower,
    asked_of,
    check_further,
    check_numbers,
    files_folder,
    permit_of,
    still_shows,
    terms_of,
)
from geoserver_app.packages.jobs import NoSuchPackage, Package, PackageBook, PackageFile, PackageState, package_folder
from geoserver_app.packages.reserving import give_back
from geoserver_app.packages.worker import Changed, TakenBack, decided, note_end, remove_files
from geoserver_app.wiring import Services
from tiles.area import ServedArea
from tiles.permits import Permit

PIECE = 4 << 20
"""Bytes that are decided, counted and recorded at once."""

CHUNK = 64 << 10
"""Bytes that are handed to the server at once: what may still leave after a revocation is seen."""

RETRY = {"Retry-After": "5"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece(Tally):
    """`shown` pixels of an item are in the piece, spread evenly over `ground` square degrees."""

    shown: int
    ground: float

    def pixels(self, area: ServedArea | None) -> int:
        share = 1.0 if area is None or area.is_world or not self.ground else min(area.geometry.area / self.ground, 1.0)
        return math.ceil(self.shown * share)                # small pieces are not free


def found(book: PackageBook, package_id: str, name: str, agency: str, at: datetime) -> tuple[Package, PackageFile]:
    """A file that is there to be fetched. Raises NothingThere, also for another agency's, and ApiFault where it is not there now."""
    try:
        package = book.get(package_id, agency)
    except NoSuchPackage:
        raise NothingThere(package_id) from None
    if package.state is PackageState.TAKEN_BACK:
        raise ApiFault("package-taken-back", 403)
    if package.state.is_open:
        raise ApiFault("package-not-ready", 409, {"state": package.state.value}, headers=RETRY)
    if package.state is not PackageState.READY or package.expires <= at:
        raise ApiFault("package-gone", 410, {"state": package.state.value})
    file = package.file(name)
    if file is None:
        raise NothingThere(f"{package_id}/{name}")
    return package, file


def take_back(services: Services, book: PackageBook, package: Package) -> None:
    """Nobody fetches any more of it."""
    if book.end(package.package_id, PackageState.TAKEN_BACK, among=[PackageState.READY], fault="package-taken-back"):
        note_end(services, package, PackageState.TAKEN_BACK, "package-taken-back")
        give_back(services.meter, book.get(package.package_id), services.gate.clock())
    remove_files(services, package)


@dataclass(slots=True)
class Shipment:
    """The bytes from `first` to `last` (inclusive) of a file; `begin` decides and reads the first of them before any answer is begun."""

    services: Services
    book: PackageBook
    caller: Caller
    package: Package
    file: PackageFile
    first: int
    last: int
    is_known: Callable[[], bool] = lambda: True          # whether a person who fetches is still signed in and a member
    _source: BinaryIO = field(init=False, default=None)
    _items: list[tuple[Item, ServedArea]] = field(init=False, default_factory=list)
    _standing: Standing | None = field(init=False, default=None)
    _holds: datetime | None = field(init=False, default=None)
    _ready: bytes = field(init=False, default=b"")
    _headers: list = field(init=False, default_factory=list)

    @property
    def length(self) -> int:
        return self.last - self.first + 1

    def begin(self, *, sends_body: bool) -> list:
        """Headers that tell what remains of quotas. Raises Refused, OverQuota, ApiFault, NotTrusted, DecisionLogUnavailable, MeteringUnavailable."""
        settings = self.services.settings
        try:
            grounds, items = Grounds(package_folder(settings, self.package.folder)), [Item.of(one) for one in self.package.items]
            self._items = [(item, grounds.ground(number, item)) for number, item in enumerate(items)]
            self._source = (files_folder(settings, self.package) / self.file.name).open("rb")
        except FileNotFoundError:
            raise ApiFault("package-gone", 410, {"state": self.package.state.value}) from None
        try:
            self._ready = self._piece(self.first, sends_body=sends_body)
            if sends_body and not self.package.shipped and not self.book.note_shipped(self.package.package_id):
                raise self._gone()
        except BaseException:
            self._source.close()
            raise
        return self._headers

    def chunks(self) -> Iterator[bytes]:
        """How it ended is recorded. Raises BrokenOff where it may not go on."""
        sent, outcome = 0, "broken-off"
        try:
            while self._ready:
                for at in range(0, len(self._ready), CHUNK):
                    self._check()
                    chunk = self._ready[at:at + CHUNK]
                    yield chunk
                    sent += len(chunk)
                self._ready = self._patiently(self.first + sent) if sent < self.length else b""
            outcome = "whole"
        except (Refused, MeteringUnavailable, ApiFault) as error:
            outcome = "taken-back" if isinstance(error, (Refused, ApiFault)) and not isinstance(error, OverQuota) else outcome
            raise BrokenOff(f"the download ends here: {error}") from error
        finally:
            self._source.close()
            self.services.log.write({
                "event": "download.ended", "agency": self.caller.agency.agency_id, "key": self.caller.key_id or None, "operation": "Download",
                "package": self.package.package_id, "file": self.file.name, "first": self.first, "outcome": outcome, "bytes": sent,
            })

    def close(self) -> None:
        """Also where no byte was ever asked for."""
        if self._source is not None:
            self._source.close()

    def _gone(self) -> ApiFault:
        return ApiFault("package-gone", 410, {"state": self.book.get(self.package.package_id).state.value})

    # -- deciding

    def _piece(self, start: int, *, sends_body: bool = True) -> bytes:
        """The next bytes, once every layer in the package was decided anew, and counted."""
        self._check_asker()
        if start > self.first and self.book.get(self.package.package_id).state is not PackageState.READY:
            raise self._gone()
        size = min(PIECE, self.last + 1 - start) if sends_body else 0
        self._source.seek(start)
        data = self._source.read(size)
        gate, billed = self.services.gate, set()
        try:
            for number, (item, ground) in enumerate(self._items):
                accounts: set[str] = set()

                def drawn(permits: list[Permit], number: int = number, item: Item = item, accounts: set[str] = accounts) -> Drawn:
                    self._compare(permits[0], number)
                    asked = asked_of(item, self._items[number][1])
                    check_numbers(gate, self.caller, asked, permits[0])
                    check_further(gate, self.caller, item, asked, permits[0])
                    shown = -(-item.pixels * len(data) // max(self.file.size, 1))
                    tally = Piece(view=item.view, shown=shown, ground=permits[0].area.geometry.area) if permits[0].bookings else None
                    accounts.clear()
                    accounts.update(one.account.agreement_id for one in permits[0].bookings if touches(one.area, item.view))
                    is_counted_yet = number and accounts <= billed          # bytes are counted once on each agreement, whichever of its layers comes first
                    return Drawn(body=b"" if is_counted_yet else data, content_type=self.file.media_type, tallies=(tally,))

                served = gate.serve(self.caller, [asked_of(item, ground)], drawn, sends_body=sends_body, without=frozenset(item.spent))
                self._headers += served.headers
                billed.update(accounts)
        except OverQuota:
            raise
        except (Refused, Narrower) as error:
            self._refused(error)
        self._remember()
        return data

    def _patiently(self, start: int) -> bytes:
        """A piece; where the rate of an agreement is used up it waits a while."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self._piece(start)
            except OverQuota as error:
                if time.monotonic() + error.opens > deadline:
                    raise
                time.sleep(max(error.opens, 0.05))
                self._check()

    def _check(self) -> None:
        """Between pieces: is what was decided still so? Raises Refused, ApiFault, NotTrusted."""
        gate = self.services.gate
        if gate.standing() is self._standing and (self._holds is None or gate.clock() < self._holds):
            return
        self._check_asker()
        try:
            for number, (item, ground) in enumerate(self._items):
                self._compare(permit_of(gate, self.caller, item, ground), number)
        except (Refused, Narrower) as error:
            self._refused(error)
        self._remember()

    def _check_asker(self) -> None:
        """Raises ApiFault where the agency, or the key or person that fetches, counts no more."""
        register, at = self.services.gate.standing().register, self.services.gate.clock()
        agency, key_id = register.agencies.get(self.caller.agency.agency_id), self.caller.key_id
        has_key = not key_id or any(key.key_id == key_id and counts(key, at) for key in register.keys.values())
        if agency is None or not agency.is_active or not has_key or not self.is_known():
            raise ApiFault("key-unknown", 401)

    def _remember(self) -> None:
        """Until when what was just decided holds."""
        gate = self.services.gate
        standing, at = gate.standing(), gate.clock()
        rulings = [gate.decide(standing, self.caller, asked_of(item, ground), at, frozenset(item.spent)) for item, ground in self._items]
        ends = [one.decision.holds_until for one in rulings if one.decision.holds_until]
        self._standing, self._holds = standing, min(ends, default=None)

    def _compare(self, permit: Permit, number: int) -> None:
        item = self._items[number][0]
        if permit.edition.edition_id != item.edition_id:
            raise Narrower
        if (terms_of(permit), permit.edition.generation) != (item.terms, item.generation):
            folder = package_folder(self.services.settings, self.package.folder)
            if not still_shows(permit, Grounds(folder).shown(number, item)):
                raise Narrower

    def _refused(self, error: Exception) -> None:
        """Is it the package that may not be let out, or is it this caller who may not have it?"""
        try:
            for number in range(len(self._items)):
                decided(self.services, self.package, number)
        except TakenBack:
            take_back(self.services, self.book, self.package)
            raise ApiFault("package-taken-back", 403) from error
        except Changed:
            pass
        if isinstance(error, Narrower):
            raise ApiFault("package-narrower", 403) from error
        raise error
