"""The packages that agencies ordered, as rows: what is wanted, how far it is, whose it is, until when it is kept.

One worker at a time has a claim on a package, with a lease that it renews while it works. A worker that dies leaves the lease to run out; then
another takes the package and goes on from what is finished. Whatever a worker reports is taken only while its claim holds: so a package that was
cancelled or taken back stays so.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from agreements.errors import RegisterUnavailable
from geoserver_app.database import from_database, utc, writing
from geoserver_app.settings import Settings

metadata = sa.MetaData()

packages_table = sa.Table(
    "packages", metadata,
    sa.Column("package_id", sa.String(40), primary_key=True),
    sa.Column("agency", sa.String(63), nullable=False, index=True),
    sa.Column("asker", sa.JSON, nullable=False),
    sa.Column("wanted", sa.JSON, nullable=False),
    sa.Column("items", sa.JSON, nullable=False),
    sa.Column("state", sa.String(20), nullable=False, index=True),
    sa.Column("done", sa.Integer, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("ordered", sa.DateTime(timezone=True), nullable=False),
    sa.Column("began", sa.DateTime(timezone=True)),
    sa.Column("ended", sa.DateTime(timezone=True)),
    sa.Column("expires", sa.DateTime(timezone=True)),
    sa.Column("claim", sa.String(100), nullable=False),
    sa.Column("lease", sa.DateTime(timezone=True)),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("folder", sa.String(64), nullable=False),
    sa.Column("files", sa.JSON, nullable=False),
    sa.Column("shipped", sa.Boolean, nullable=False),
    sa.Column("fault", sa.String(63), nullable=False),
)

LEASE = timedelta(seconds=30)

MOST_ATTEMPTS = 5
"""Workers that may die over one package before it is given up."""


class PackageState(StrEnum):
    """Of a package. Files are there only where it is ready."""

    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    TAKEN_BACK = "taken-back"

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to work on it."""
        return self in (PackageState.QUEUED, PackageState.RUNNING)


class NoSuchPackage(Exception):
    """None of that id, or another agency's."""


class ClaimLost(Exception):
    """The package is not this worker's any more: it was cancelled or taken back, or the lease ran out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFile:
    """A file that can be fetched. `sha256` in hex."""

    name: str
    size: int
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One order. `asker` says by whom it was ordered and on what terms of his (key, application, purpose, networks); `wanted` is the order as it was
    sent; `items` what was granted of it, layer by layer (`geoserver_app.packages.items`). `done` of `total` blocks are made."""

    package_id: str
    agency: str
    asker: Mapping
    wanted: Mapping
    items: Sequence[Mapping]
    state: PackageState
    done: int = 0
    total: int = 0
    ordered: datetime
    began: datetime | None = None
    ended: datetime | None = None
    expires: datetime | None = None
    claim: str = ""
    lease: datetime | None = None
    attempts: int = 0
    folder: str = ""
    files: tuple[PackageFile, ...] = ()
    shipped: bool = False
    fault: str = ""

    def file(self, name: str) -> PackageFile | None:
        return next((one for one in self.files if one.name == name), None)


def new_folder() -> str:
    """A name that nobody guesses."""
    return secrets.token_hex(24)


def package_folder(settings: Settings, name: str) -> Path:
    """Where the files of a package are, or were. Several hosts share the folder `data`."""
    return settings.data / FOLDER / name


FOLDER = "packages"


@dataclass(frozen=True, slots=True)
class PackageBook:
    """All packages. Raises RegisterUnavailable, from every method, where the database can't be read or written."""

    database: sa.Engine
    clock: Callable[[], datetime]
    lease: timedelta = field(default=LEASE)

    # -- for who orders

    def add(self, agency: str, *, asker: Mapping, wanted: Mapping, items: Sequence[Mapping], total: int, folder: str) -> Package:
        made = Package(
            package_id=secrets.token_hex(16), agency=agency, asker=asker, wanted=wanted, items=items, state=PackageState.QUEUED, total=total,
            ordered=self.clock(), folder=folder,
        )
        with self._connected(writing(self.database)) as connection:
            connection.execute(packages_table.insert().values(**_row(made)))
        return made

    def get(self, package_id: str, agency: str | None = None) -> Package:
        """With `agency`, its own alone. Raises NoSuchPackage."""
        with self._connected(self.database.connect()) as connection:
            row = connection.execute(sa.select(packages_table).where(packages_table.c.package_id == package_id)).first()
        if row is None or agency not in (None, row.agency):
            raise NoSuchPackage(package_id)
        return _package(row)

    def list(self, agency: str | None = None, *, state: PackageState | None = None) -> list[Package]:
        """The newest first."""
        columns = packages_table.c
        query = sa.select(packages_table).order_by(columns.ordered.desc(), columns.package_id)
        if agency is not None:
            query = query.where(columns.agency == agency)
        if state is not None:
            query = query.where(columns.state == state.value)
        with self._connected(self.database.connect()) as connection:
            return [_package(row) for row in connection.execute(query)]

    def waiting(self, agency: str) -> int:
        """How many of its packages are still to be made."""
        columns = packages_table.c
        query = sa.select(sa.func.count()).where(columns.agency == agency, columns.state.in_([one.value for one in PackageState if one.is_open]))
        with self._connected(self.database.connect()) as connection:
            return connection.scalar(query)

    def end(self, package_id: str, state: PackageState, *, among: Sequence[PackageState], fault: str = "") -> bool:
        """Put it into `state` where it is in one of `among`; False where it is not. No worker has a claim on it from then on."""
        changes = {"state": state.value, "fault": fault, "ended": utc(self.clock()), "claim": "", "lease": None}
        return self._change(package_id, changes, packages_table.c.state.in_([one.value for one in among]))

    def note_shipped(self, package_id: str) -> bool:
        """Some of it leaves: what was reserved for it stays counted. False where it is not ready any more, so that nothing may leave."""
        return self._change(package_id, {"shipped": True}, packages_table.c.state == PackageState.READY.value)

    # -- for workers

    def has_work(self) -> bool:
        """Whether there is one that nobody works on."""
        with self._connected(self.database.connect()) as connection:
            return connection.execute(sa.select(packages_table.c.package_id).where(_is_free(self.clock())).limit(1)).first() is not None

    def take(self, worker: str) -> Package | None:
        """The oldest that nobody works on, claimed for `worker`; None where there is none."""
        if not self.has_work():                                             # looking costs no turn among the writers of SQLite
            return None
        columns, moment = packages_table.c, self.clock()
        free = _is_free(moment)
        query = sa.select(packages_table).where(free).order_by(columns.ordered, columns.package_id).limit(1).with_for_update(skip_locked=True)
        with self._connected(writing(self.database)) as connection:
            row = connection.execute(query).first()
            if row is None:
                return None
            changes = {
                "state": PackageState.RUNNING.value, "claim": worker, "lease": utc(moment + self.lease), "attempts": row.attempts + 1,
                "began": row.began or utc(moment),
            }
            connection.execute(packages_table.update().where(columns.package_id == row.package_id).values(**changes))
            return _package(connection.execute(sa.select(packages_table).where(columns.package_id == row.package_id)).first())

    def renew(self, package: Package, worker: str, **progress: int) -> None:
        """Go on with it; `progress` may tell `done` and `total`. Raises ClaimLost."""
        self._report(package, worker, {"lease": utc(self.clock() + self.lease), **progress})

    def hand_back(self, package: Package, worker: str) -> None:
        """For another worker, or for later: this one was told to stop. Raises ClaimLost."""
        self._report(package, worker, {"state": PackageState.QUEUED.value, "claim": "", "lease": None, "attempts": max(package.attempts - 1, 0)})

    def leave(self, package: Package, worker: str) -> None:
        """As `hand_back`, but one attempt was made in vain. Raises ClaimLost."""
        self._report(package, worker, {"state": PackageState.QUEUED.value, "claim": "", "lease": None})

    def begin_anew(self, package: Package, worker: str, items: Sequence[Mapping]) -> None:
        """What it is made from, or what is granted of it, has changed: `items` are of now. Raises ClaimLost."""
        self._report(package, worker, {"items": list(items), "done": 0, "state": PackageState.QUEUED.value, "claim": "", "lease": None})

    def finish(self, package: Package, worker: str, files: Sequence[PackageFile], expires: datetime, items: Sequence[Mapping]) -> None:
        """`items` know now how many pixels they show. Raises ClaimLost."""
        self._report(package, worker, {
            "items": list(items), "done": package.total, "state": PackageState.READY.value, "files": [_plain(one) for one in files], "expires": utc(expires), "ended": utc(self.clock()),
            "claim": "", "lease": None,
        })

    def fail(self, package: Package, worker: str, fault: str, state: PackageState = PackageState.FAILED) -> None:
        """`fault` names a sentence. Raises ClaimLost."""
        self._report(package, worker, {"state": state.value, "fault": fault, "ended": utc(self.clock()), "claim": "", "lease": None})

    def _report(self, package: Package, worker: str, changes: Mapping) -> None:
        columns = packages_table.c
        if not self._change(package.package_id, changes, columns.state == PackageState.RUNNING.value, columns.claim == worker):
            raise ClaimLost(package.package_id)

    def _change(self, package_id: str, changes: Mapping, *where) -> bool:
        with self._connected(writing(self.database)) as connection:
            found = connection.execute(packages_table.update().where(packages_table.c.package_id == package_id, *where).values(**changes))
            return found.rowcount > 0

    @contextmanager
    def _connected(self, opened) -> Iterator[sa.Connection]:
        try:
            with opened as connection:
                yield connection
        except SQLAlchemyError as error:
            raise RegisterUnavailable("the packages can't be read or written") from error


def _is_free(moment: datetime) -> sa.ColumnElement[bool]:
    """Waiting, or claimed by a worker whose lease ran out."""
    columns = packages_table.c
    return (columns.state == PackageState.QUEUED.value) | ((columns.state == PackageState.RUNNING.value) & (columns.lease < utc(moment)))


MOMENTS = ("ordered", "began", "ended", "expires", "lease")


def _row(package: Package) -> dict:
    values = {name: getattr(package, name) for name in Package.__slots__}
    return values | {name: utc(values[name]) for name in MOMENTS} | {
        "state": package.state.value, "files": [_plain(one) for one in package.files], "items": list(package.items),
    }


def _plain(file: PackageFile) -> dict:
    return {name: getattr(file, name) for name in PackageFile.__slots__}


def _package(row: sa.Row) -> Package:
    held = dict(row._mapping)
    return Package(**held | {name: from_database(held[name]) for name in MOMENTS} | {
        "state": PackageState(held["state"]), "files": tuple(PackageFile(**one) for one in held["files"]), "items": tuple(held["items"]),
    })
