"""Calling a package off: nothing more is made of it, and nothing kept."""

import shutil
from datetime import datetime

from geoserver_app.metering.meter import Meter
from geoserver_app.packages.jobs import Package, PackageBook, PackageState, package_folder
from geoserver_app.packages.reserving import give_back
from geoserver_app.settings import Settings

OPEN = (PackageState.QUEUED, PackageState.RUNNING, PackageState.READY)


def call_off(settings: Settings, book: PackageBook, meter: Meter, package: Package, at: datetime) -> bool:
    """False where it is over already: then it stays what it is. A worker that is making it stops before its next block."""
    if not book.end(package.package_id, PackageState.CANCELLED, among=OPEN):
        return False
    give_back(meter, book.get(package.package_id), at)
    shutil.rmtree(package_folder(settings, package.folder), ignore_errors=True)
    return True
