"""The register in a database: rows as the last event about each left them, and the chain of events.

A worker remembers what it has read: after a change it reads the events that are new, and the rows they are about. Each row is held against the
digest in its last event, and each area against its own, whenever they are read.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Lock
from zoneinfo import ZoneInfo

import shapely
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from agreements.areas import to_wkb
from agreements.compare.cells import LayerFacts
from agreements.errors import AlreadyRegistered, RegisterUnavailable
from agreements.life.history import EVENT_FIELDS, Event, Subject, broken_seals
from agreements.life.lifecycle import EMERGENCY
from agreements.model import Agency, Area, State
from agreements.plain import moment_of, moment_text
from agreements.register.rules import Change, RegisterRules, now
from agreements.register.standing import Books, Held, HeldKey, HeldSuspension, HeldVersion
from agreements.rows import areas_of, held_of, row_digest, row_of, subject_of_row

SHANGHAI = ZoneInfo("Asia/Shanghai")

metadata = sa.MetaData()

agencies_table = sa.Table(
    "agencies", metadata,
    sa.Column("agency_id", sa.String(63), primary_key=True),
    sa.Column("name_zh", sa.Text, nullable=False),
    sa.Column("name_en", sa.Text, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
)

keys_table = sa.Table(
    "agency_keys", metadata,
    sa.Column("key_id", sa.String(20), primary_key=True),
    sa.Column("agency_id", sa.String(63), sa.ForeignKey("agencies.agency_id", name="fk_agency_keys_agency"), nullable=False, index=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("issued", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires", sa.DateTime(timezone=True)),
    sa.Column("revoked", sa.DateTime(timezone=True)),
    sa.Column("app", sa.Text),
    sa.Column("purpose", sa.String(63)),
    sa.Column("networks", sa.JSON(none_as_null=True)),
    sa.Column("referers", sa.JSON(none_as_null=True)),
    sa.Column("origins", sa.JSON(none_as_null=True)),
)

areas_table = sa.Table(
    "agreement_areas", metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("geometry", sa.LargeBinary, nullable=False),
)

agreements_table = sa.Table(
    "agreements", metadata,
    sa.Column("agreement_id", sa.String(100), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("grantor", sa.String(63), nullable=False),
    sa.Column("grantee", sa.String(63), nullable=False, index=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("compiled", sa.JSON, nullable=False),
    sa.Column("registered", sa.DateTime(timezone=True), nullable=False),
)

suspensions_table = sa.Table(
    "suspensions", metadata,
    sa.Column("suspension_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("agreement_id", sa.String(100), nullable=False, index=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    sa.Column("until", sa.DateTime(timezone=True)),
    sa.Column("lifted", sa.DateTime(timezone=True)),
    sa.Column("layers", sa.JSON(none_as_null=True)),
    sa.Column("area", sa.JSON(none_as_null=True)),
    sqlite_autoincrement=True,
)

events_table = sa.Table(
    "register_events", metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("subject", sa.String(120), nullable=False),
    sa.Column("action", sa.String(30), nullable=False),
    sa.Column("actor", sa.String(100), nullable=False),
    sa.Column("agreement_id", sa.String(100), index=True),
    sa.Column("version", sa.Integer),
    sa.Column("state", sa.String(20)),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("document_hash", sa.String(64)),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("seal", sa.String(64), nullable=False),
)

epoch_table = sa.Table(
    "register_epoch", metadata,
    sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.Integer, nullable=False),
)

TABLES: dict[str, sa.Table] = {
    "agency": agencies_table, "key": keys_table, "agreement": agreements_table, "suspension": suspensions_table,
}
"""By the kind of subject that their rows are."""

KIND_OF = {Agency: "agency", HeldKey: "key", HeldVersion: "agreement", HeldSuspension: "suspension"}


class _Altered(ValueError):
    """The database is not as the history left it: one sentence."""


class SqlRegister(RegisterRules):
    """SQLite (WAL) or PostgreSQL, behind an engine that somebody else made and migrated.

    `layers` tells those of the catalogue when an agreement is held against the one above it. Without a `clock` of the caller's the register goes by that of the database server, or of this machine where there is no server.
    """

    def __init__(
        self, engine: sa.Engine, clock: Callable[[], datetime] | None = None, emergency: timedelta = EMERGENCY,
        layers: Callable[[], Iterable[LayerFacts]] = tuple,
    ):
        super().__init__(clock, emergency, layers)
        self._engine, self._lock = engine, Lock()
        self._read = Books()                                       # never altered: replaced by books that know more
        self._shapes: dict[str, shapely.Geometry] = {}

    def epoch(self) -> int:
        with self._reading() as connection:
            return _epoch(connection)

    def now(self) -> datetime | None:
        with self._reading() as connection:
            return _server_time(connection)

    def faults(self) -> tuple[str, ...]:
        with self._reading() as connection:
            events = _events(connection)
            last = {event.about: event for event in events if event.digest}
            rows = {subject_of_row(kind, row): row for kind in TABLES for row in _rows(connection, kind)}
            areas = connection.execute(sa.select(areas_table)).all()
            epoch = _epoch(connection)
        told = list(broken_seals(events))
        told += [f"{about}: its row is gone" for about in last if about not in rows]
        told += [fault for about, row in rows.items() if (fault := _row_fault(about, row, last[about].digest if about in last else None))]
        told += [f"area {one.digest[:16]}: its geometry was altered" for one in areas if _digest(one.geometry) != one.digest]
        if epoch != (events[-1].epoch if events else 0):
            told.append(f"the epoch is {epoch}, and the last event says {events[-1].epoch if events else 0}")
        return tuple(told)

    # -- transactions

    @contextmanager
    def _looking(self) -> Iterator[tuple[Books, "_Shelf"]]:
        with self._reading() as connection:
            yield self._caught_up(connection), _Shelf(connection, self._clock)

    @contextmanager
    def _changing(self) -> Iterator[Change]:
        with self._writing() as connection:
            connection.execute(sa.select(epoch_table.c.epoch).with_for_update())       # writers queue here; those of SQLite already do
            shelf = _Shelf(connection, self._clock)
            with _trusting():
                books, moment = self._caught_up(connection), shelf.now()
            change = Change(books, moment, shelf)
            yield change
            for held in change.changed.values():
                shelf.keep(held)
            if change.events:
                connection.execute(sa.insert(events_table), [_event_row(event) for event in change.events])
                _set_epoch(connection, change.books.epoch)

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        """One transaction in which everything read is of one moment."""
        with _trusting(), self._engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                _begin_sqlite(connection, "BEGIN")
                yield connection

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """One transaction; writers take turns."""
        try:
            with self._engine.begin() as connection:
                _begin_sqlite(connection, "BEGIN IMMEDIATE")
                yield connection
        except IntegrityError as error:
            raise AlreadyRegistered("somebody else has just registered the same: look at it, then try again") from error
        except SQLAlchemyError as error:
            raise RegisterUnavailable(
                f"the register can't be written ({type(error).__name__}): see that its database is there and migrated"
            ) from error

    # -- reading

    def _caught_up(self, connection: sa.Connection) -> Books:
        """The books after every event. What was read before is not read again."""
        with self._lock:
            known = self._read
        if known.number and connection.scalar(sa.select(events_table.c.seal).where(events_table.c.number == known.number)) != known.seal:
            raise _Altered("the history was written anew under a running service")
        events = _events(connection, after=known.number)
        fault = next(broken_seals(events, known.number, known.seal), None)
        if fault:
            raise _Altered(fault)
        if events:
            known = self._with(connection, known, events)
            with self._lock:
                if self._read.number < known.number:
                    self._read = known
        if (epoch := _epoch(connection)) != known.epoch:
            raise _Altered(f"the epoch is {epoch}, and the last event says {known.epoch}")
        return known

    def _with(self, connection: sa.Connection, books: Books, events: tuple[Event, ...]) -> Books:
        """`books` with new events. Of a subject with several only what the last one left behind is there, and is all that is needed."""
        last = {event.about: event for event in events if event.digest}
        held: dict[Subject, Held] = {}
        for about, row in _rows_of(connection, last, everything=books.last is None):
            if fault := _row_fault(about, row, last[about].digest if about in last else None):
                raise _Altered(fault)
            held[about] = held_of(about.kind, row, lambda said: self._area(connection, said))
        if gone := next((about for about in last if about not in held), None):
            raise _Altered(f"{gone}: its row is gone")
        books = books.copy()
        for event in events:
            books.apply(event, held[event.about] if event.digest else None)
        return books

    def _area(self, connection: sa.Connection, said: dict) -> Area:
        digest = said["digest"]
        if digest not in self._shapes:
            stored = connection.execute(sa.select(areas_table.c.geometry).where(areas_table.c.digest == digest)).scalar_one()
            if _digest(stored) != digest:
                raise _Altered(f"area {digest[:16]}: its geometry was altered")
            self._shapes[digest] = shapely.from_wkb(stored)
        return Area(geometry=self._shapes[digest], digest=digest, title=said["title"], words=said["words"])


class _Shelf:
    """The database as one transaction sees it."""

    def __init__(self, connection: sa.Connection, clock: Callable[[], datetime] | None):
        self._connection, self._clock = connection, clock

    def now(self) -> datetime:
        return self._clock() if self._clock else _server_time(self._connection) or now()

    def events(self, agreement_id: str | None = None) -> tuple[Event, ...]:
        return _events(self._connection, agreement_id=agreement_id)

    def text(self, agreement_id: str, version: int) -> str:
        columns = agreements_table.c
        one = (columns.agreement_id == agreement_id) & (columns.version == version)
        return self._connection.execute(sa.select(columns.document).where(one)).scalar_one()

    def digest(self, held: Held) -> str:
        return row_digest(self._row(held))

    def keep(self, held: Held) -> None:
        """Write the row, and the areas it names."""
        for area in {area.digest: area for area in areas_of(held)}.values():
            _store_area(self._connection, area)
        kind = KIND_OF[type(held)]
        values = _for_database(kind, self._row(held))
        same = _where(kind, values)
        if not self._connection.execute(sa.update(TABLES[kind]).where(same).values(values)).rowcount:
            self._connection.execute(sa.insert(TABLES[kind]).values(values))

    def _row(self, held: Held) -> dict:
        """What is stored of a version stays as it was written, but for its state."""
        row = row_of(held)
        if row.get("document", "") is not None:
            return row
        (stored,) = _rows(self._connection, "agreement", _where("agreement", row))
        return {**stored, "state": row["state"]}


# Rows

def _rows(connection: sa.Connection, kind: str, where=None) -> Iterator[dict]:
    query = sa.select(TABLES[kind])
    for row in connection.execute(query if where is None else query.where(where)).mappings():
        yield {name: moment_text(_aware(value)) if isinstance(value, datetime) else value for name, value in row.items()}


def _rows_of(connection: sa.Connection, subjects: Mapping[Subject, Event], everything: bool) -> Iterator[tuple[Subject, dict]]:
    """The rows of `subjects`, or every row there is: one that nothing in the history speaks of is seen only then."""
    if everything:
        for kind in TABLES:
            yield from ((subject_of_row(kind, row), row) for row in _rows(connection, kind))
        return
    for about, event in subjects.items():
        yield from ((about, row) for row in _rows(connection, about.kind, _where_subject(event)))


def _where_subject(event: Event):
    if event.kind == "agreement":
        return _where("agreement", {"agreement_id": event.agreement_id, "version": event.version})
    return next(iter(TABLES[event.kind].primary_key)) == (int(event.subject) if event.kind == "suspension" else event.subject)


def _where(kind: str, row: Mapping):
    return sa.and_(*(column == row[column.name] for column in TABLES[kind].primary_key))


def _row_fault(about: Subject, row: Mapping, digest: str | None) -> str | None:
    if digest is None:
        return f"{about}: nothing in the history speaks of its row"
    return None if row_digest(row) == digest else f"{about}: its row was altered"


def _for_database(kind: str, row: Mapping) -> dict:
    moments = {column.name for column in TABLES[kind].columns if isinstance(column.type, sa.DateTime)}
    return {name: _utc(moment_of(value)) if name in moments and value is not None else value for name, value in row.items()}


def _store_area(connection: sa.Connection, area: Area) -> None:
    stored = to_wkb(area.geometry)
    if _digest(stored) != area.digest:
        raise ValueError(f"the area `{area.title}` does not have the digest of its geometry: make it with agreements.areas")
    if connection.execute(sa.select(areas_table.c.digest).where(areas_table.c.digest == area.digest)).first() is None:
        connection.execute(sa.insert(areas_table).values(digest=area.digest, geometry=stored))


def _digest(stored: bytes) -> str:
    return hashlib.sha256(stored).hexdigest()


# Events

def _events(connection: sa.Connection, after: int = 0, agreement_id: str | None = None) -> tuple[Event, ...]:
    query = sa.select(events_table).where(events_table.c.number > after).order_by(events_table.c.number)
    if agreement_id is not None:
        query = query.where(events_table.c.agreement_id == agreement_id)
    return tuple(_event_of(row) for row in connection.execute(query).mappings())


def _event_of(row: Mapping) -> Event:
    said = {name: row[name] for name in EVENT_FIELDS}
    return Event(**{**said, "at": _aware(row["at"]).astimezone(SHANGHAI), "state": None if row["state"] is None else State(row["state"])})


def _event_row(event: Event) -> dict:
    said = {name: getattr(event, name) for name in EVENT_FIELDS}
    return {**said, "at": _utc(event.at), "state": None if event.state is None else event.state.value}


def _epoch(connection: sa.Connection) -> int:
    return connection.scalar(sa.select(epoch_table.c.epoch)) or 0


def _set_epoch(connection: sa.Connection, epoch: int) -> None:
    if not connection.execute(sa.update(epoch_table).values(epoch=epoch)).rowcount:
        connection.execute(sa.insert(epoch_table).values(only=1, epoch=epoch))


# Transactions

def _server_time(connection: sa.Connection) -> datetime | None:
    if connection.dialect.name == "sqlite":
        return None
    return connection.scalar(sa.select(sa.func.clock_timestamp())).astimezone(SHANGHAI)


@contextmanager
def _trusting() -> Iterator[None]:
    try:
        yield
    except _Altered as error:
        raise RegisterUnavailable(
            f"the register can't be read: {error}; see `geoshare agreement verify-history`, and put the database back from the last backup"
        ) from error
    except (SQLAlchemyError, shapely.errors.ShapelyError, KeyError, ValueError, TypeError) as error:
        raise RegisterUnavailable(
            f"the register can't be read ({type(error).__name__}): see that its database is there and migrated"
        ) from error


def _begin_sqlite(connection: sa.Connection, statement: str) -> None:
    """Python's sqlite3 begins no transaction for a SELECT, and begins one for a write too late to wait for its turn."""
    if connection.dialect.name == "sqlite" and not connection.connection.dbapi_connection.in_transaction:
        connection.exec_driver_sql(statement)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _aware(moment: datetime) -> datetime:
    """SQLite gives moments back without their zone, which is always UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
