"""The exports that a package is counted on, from its order until it is shipped; given back where nothing of it ever left."""

import uuid
from collections.abc import Mapping
from datetime import datetime

from geoserver_app.metering.book import Account
from geoserver_app.metering.meter import Meter, Reservation
from geoserver_app.metering.terms import Terms
from geoserver_app.packages.jobs import Package

NO_TERMS = Terms(0, 0, (), (), None)


def plain_reservation(reservation: Reservation | None) -> dict | None:
    return reservation and {"number": reservation.number.hex, "agreements": [account.agreement_id for account in reservation.accounts]}


def give_back(meter: Meter, package: Package, at: datetime) -> None:
    """Once and again: it is the same. Nothing where some of the package was shipped."""
    if not package.shipped:
        for item in package.items:
            release(meter, item.get("reservation"), at)


def release(meter: Meter, plain: Mapping | None, at: datetime) -> None:
    if plain:
        accounts = tuple(Account(agreement_id=one, terms=NO_TERMS) for one in plain["agreements"])
        meter.release_export(Reservation(uuid.UUID(hex=plain["number"]), accounts), at)
