"""What the clock does to packages: files whose time is over go, and folders that no package has."""

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta

from geoserver_app.metering.meter import Meter
from geoserver_app.packages.jobs import FOLDER, PackageBook, PackageState, package_folder
from geoserver_app.packages.reserving import give_back
from geoserver_app.settings import Settings

STRAY = timedelta(hours=1)
"""Age of a folder without a package before it is taken for one that was left: an order makes the folder first."""


def expire(settings: Settings, book: PackageBook, meter: Meter, at: datetime) -> Iterator[str]:
    """A sentence for each package that is over at moment `at`, and for the folders that were left."""
    for package in book.list(state=PackageState.READY):
        if package.expires <= at and book.end(package.package_id, PackageState.EXPIRED, among=[PackageState.READY]):
            give_back(meter, book.get(package.package_id), at)
            shutil.rmtree(package_folder(settings, package.folder), ignore_errors=True)
            yield f"{package.package_id} of {package.agency} expired: its files are deleted"
    if left := _sweep(settings, book, at):
        yield f"{left} folder{'s' if left != 1 else ''} that no package has deleted"


def _sweep(settings: Settings, book: PackageBook, at: datetime) -> int:
    """A worker may die between the end of a package and the deleting of its files."""
    root, left = settings.data / FOLDER, 0
    kept = {one.folder for one in book.list() if one.state.is_open or one.state is PackageState.READY}
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.name not in kept and folder.stat().st_mtime < (at - STRAY).timestamp():
            shutil.rmtree(folder, ignore_errors=True)
            left += 1
    return left
