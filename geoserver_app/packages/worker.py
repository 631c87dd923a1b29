"""Makes packages, one after the other: `geoshare work`, and the process beside `geoshare serve`.

Everything that is finished lies under its own name, everything else under another, so that a worker that dies at any moment leaves what the next
one goes on from. Before each block the claim is renewed and the layer is decided anew.
"""

import logging
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import rasterio.errors
from sqlalchemy.exc import SQLAlchemyError

from agreements.errors import RegisterUnavailable
from geoserver_app.decision_log import DecisionLogUnavailable
from geoserver_app.gate import NotTrusted, Refused
from geoserver_app.identity import Caller, Carriage, Presented, counts
from geoserver_app.metering.ledger import MeteringUnavailable
from geoserver_app.packages import making
from geoserver_app.packages.delivered import Unsound
from geoserver_app.packages.items import Grounds, Item, Narrower, asked_of, files_folder, granted_by, permit_of, shown_by, still_shows, terms_of
from geoserver_app.packages.jobs import MOST_ATTEMPTS, ClaimLost, Package, PackageBook, PackageState, package_folder
from geoserver_app.packages.reserving import give_back
from geoserver_app.wiring import Services
from layers.errors import CatalogueUnavailable, LayersError
from tiles.errors import RenderFailed
from tiles.permits import Permit

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often a worker with nothing to do looks for an order."""

HEART_SECONDS = 8.0

LATER = (NotTrusted, RegisterUnavailable, CatalogueUnavailable, DecisionLogUnavailable, MeteringUnavailable, SQLAlchemyError)
"""Nothing is wrong with the package: it is tried again."""

PATIENCE = 3.0
"""Seconds until then."""


class TakenBack(Exception):
    """What it is made of may not be let out any more."""


class Changed(Exception):
    """What it is made of, or what is granted of it, is not what it was: it is begun anew."""


class Stopped(Exception):
    """The worker was told to stop."""


def caller_of(services: Services, package: Package) -> Caller:
    """For whom it is made, on the terms on which it was ordered. Raises TakenBack where the agency, or the key it was ordered with, counts no more."""
    gate, asker = services.gate, package.asker
    register, at = gate.standing().register, gate.clock()
    agency = register.agencies.get(package.agency)
    if agency is None or not agency.is_active:
        raise TakenBack(package.package_id)
    if asker["key"] and not any(key.key_id == asker["key"] and counts(key, at) for key in register.keys.values()):
        raise TakenBack(package.package_id)
    return Caller(
        agency=agency, key_id=asker["key"], presented=Presented(secret="", carriage=Carriage.HEADER), base_url=gate.base_url, app=asker["app"],
        purpose=asker["purpose"], networks=frozenset(asker["networks"]),
    )


def decided(services: Services, package: Package, number: int) -> tuple[Item, Permit]:
    """An item and the permit for it, as of now. Raises TakenBack, or Changed where the edition or the grant is another one that lets out as much."""
    item, grounds = Item.of(package.items[number]), Grounds(package_folder(services.settings, package.folder))
    caller = caller_of(services, package)
    try:
        permit = permit_of(services.gate, caller, item, grounds.ground(number, item))
    except (Refused, Narrower) as error:
        raise TakenBack(package.package_id) from error
    if permit.edition.edition_id != item.edition_id:
        raise TakenBack(package.package_id)
    if (terms_of(permit), permit.edition.generation) != (item.terms, item.generation):
        if not still_shows(permit, grounds.shown(number, item)):
            raise TakenBack(package.package_id)
        raise Changed(number)
    return item, permit


@dataclass(slots=True)
class Worker:
    """One at a time does what `run` does. `stop` may be set by anybody."""

    services: Services
    book: PackageBook
    name: str = field(default_factory=lambda: f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:12]}")
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, *, look: float = LOOK_SECONDS, is_needed: Callable[[], bool] = lambda: True) -> None:
        """Until told to stop, or until nobody needs it any more."""
        while not self.stop.is_set() and is_needed():
            try:
                found = self.work()
            except LATER as error:
                log.warning("packages wait: %s", error)
                found = False
            if not found:
                self.stop.wait(look)

    def work(self) -> bool:
        """Make one package, or as much of it as can be; False where there is none to be made."""
        package = self.book.take(self.name)
        if package is None:
            return False
        with suppress(ClaimLost), self._told(package):
            if package.attempts > MOST_ATTEMPTS:
                self.book.fail(package, self.name, "package-too-often")
                return True
            with self._heart(package):
                making.make(self, package)
        return True

    def step(self, package: Package, number: int, done: int) -> Permit:
        """Before each block: is it still ours to make, and may it be let out? Raises Stopped, ClaimLost, TakenBack, Changed."""
        if self.stop.is_set():
            raise Stopped
        self.book.renew(package, self.name, done=done)
        return decided(self.services, package, number)[1]

    def granted_by(self, package: Package, item: Item, number: int) -> tuple[dict, ...]:
        """Agreements, versions and clauses as they are now: a new version may grant the same."""
        gate, grounds = self.services.gate, Grounds(package_folder(self.services.settings, package.folder))
        asked = asked_of(item, grounds.ground(number, item))
        return granted_by(gate.decide(gate.standing(), caller_of(self.services, package), asked, gate.clock(), frozenset(item.spent)).decision.pieces)

    @contextmanager
    def _heart(self, package: Package) -> Iterator[None]:
        """Keeps the claim while a long step is made."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(min(HEART_SECONDS, self.book.lease.total_seconds() / 3)):
                with suppress(RegisterUnavailable, ClaimLost):
                    self.book.renew(package, self.name)

        heart = threading.Thread(target=beat, name="package-claim", daemon=True)
        heart.start()
        try:
            yield
        finally:
            over.set()
            heart.join()

    @contextmanager
    def _told(self, package: Package) -> Iterator[None]:
        """How it ended, where it did not end well."""
        try:
            yield
        except Stopped:
            self.book.hand_back(package, self.name)
        except ClaimLost:
            self._tidy(package)
            raise
        except TakenBack:
            self._end(package, PackageState.TAKEN_BACK, "package-taken-back")
        except Changed:
            self._anew(package)
        except LATER:
            self.book.hand_back(package, self.name)
            self.stop.wait(PATIENCE)
            raise
        except Unsound as error:
            log.error("package %s: %s", package.package_id, error)
            self._end(package, PackageState.FAILED, "package-unsound")
        except OSError as error:
            log.exception("package %s", package.package_id)
            self._end(package, PackageState.FAILED, "package-no-room" if error.errno in making.FULL else "package-failed")
        except (RenderFailed, rasterio.errors.RasterioError, LayersError) as error:
            self._read_in_vain(package, error)
        except Exception:
            log.exception("package %s", package.package_id)
            self._end(package, PackageState.FAILED, "package-failed")

    def _read_in_vain(self, package: Package, error: Exception) -> None:
        """A sheet can't be read: it may have been replaced this very moment, or many maps are being drawn."""
        log.warning("package %s: %s", package.package_id, error)
        try:
            for number in range(len(package.items)):
                decided(self.services, package, number)
        except TakenBack:
            self._end(package, PackageState.TAKEN_BACK, "package-taken-back")
        except Changed:
            self._anew(package)
        else:
            if package.attempts >= MOST_ATTEMPTS:
                self._end(package, PackageState.FAILED, "package-unreadable")
            else:
                time.sleep(min(PATIENCE, self.book.lease.total_seconds()))
                self.book.leave(package, self.name)

    def _anew(self, package: Package) -> None:
        """Under what is granted now; nothing is kept of what was made."""
        grounds, items = Grounds(package_folder(self.services.settings, package.folder)), []
        caller = caller_of(self.services, package)
        for number, plain in enumerate(package.items):
            item = Item.of(plain)
            ground = grounds.ground(number, item)
            permit = permit_of(self.services.gate, caller, item, ground)
            grounds.keep(number, terms_of(permit), ground.geometry, shown_by(permit))
            items.append(plain | {"terms": terms_of(permit), "generation": permit.edition.generation, "pixels": 0})
        self.book.begin_anew(package, self.name, items)
        shutil.rmtree(files_folder(self.services.settings, package), ignore_errors=True)

    def _end(self, package: Package, state: PackageState, fault: str) -> None:
        self.book.fail(package, self.name, fault, state)
        give_back(self.services.meter, package, self.services.gate.clock())
        note_end(self.services, package, state, fault)
        self._tidy(package)

    def _tidy(self, package: Package) -> None:
        """Nothing is left of a package that is over; of one that another worker has now, or has finished, nothing is touched."""
        state = self.book.get(package.package_id).state
        if not state.is_open and state is not PackageState.READY:
            remove_files(self.services, package)


def note_end(services: Services, package: Package, state: PackageState, fault: str = "") -> None:
    """In the record: how a package ended."""
    services.log.write({
        "event": "package.ended", "agency": package.agency, "key": package.asker["key"] or None, "operation": "Download",
        "package": package.package_id, "outcome": state.value, **({"code": fault} if fault else {}),
    })


def remove_files(services: Services, package: Package) -> None:
    shutil.rmtree(package_folder(services.settings, package.folder), ignore_errors=True)


def beside(parent: int) -> Callable[[], bool]:
    """Whether the process that started this one is still there."""
    return lambda: os.getppid() == parent

