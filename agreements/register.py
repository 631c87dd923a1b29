"""The register: agencies, keys, agreements in every version, suspensions. One contract, kept in memory or in a database.

Every change raises the epoch in its own transaction. Whatever goes wrong while reading is RegisterUnavailable: a register that can't be
trusted answers nothing (design R1). The ground of a grant is stored as it was compiled when the agreement was registered, so that a
boundary issued later changes no agreement; it is checked against its digest whenever it is read.
"""

import base64
import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import shapely
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from agreements.areas import to_wkb
from agreements.errors import AgencyNotDefined, AgreementNotDefined, AlreadyRegistered, KeyNotDefined, RegisterUnavailable
from agreements.model import (
    BUREAU,
    Agency,
    Agreement,
    Area,
    Grant,
    Key,
    Operation,
    RegisterSnapshot,
    ScaleWindow,
    State,
    Suspension,
    Term,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")

KEY_PREFIX = "gsk_"
KEY_BYTES = 20

AGENCY_ID = re.compile(r"[a-z][a-z0-9_-]{0,62}")

COUNTING = frozenset({State.ACTIVE, State.SUSPENDED, State.EXPIRED, State.TERMINATED, State.ARCHIVED})
"""A version in one of these has once been in force, and stands in the place of the versions before it."""


class AgreementRegister(Protocol):
    """Who shares what with whom. Readers raise RegisterUnavailable where the answer can't be trusted."""

    def epoch(self) -> int:
        """Grows with every change."""

    def snapshot(self) -> RegisterSnapshot:
        """Everything that decides, read at one moment."""

    def add_agency(self, agency: Agency) -> None:
        """Registers an agency, or changes its names or whether it is active. Raises ValueError for an id with other characters than
        lower-case letters, digits, `-` and `_`."""

    def agencies(self) -> tuple[Agency, ...]:
        """By id."""

    def issue_key(self, agency_id: str, label: str = "", expires: datetime | None = None) -> tuple[Key, str]:
        """A new key and the secret itself, which is kept nowhere. Raises AgencyNotDefined."""

    def revoke_key(self, key_id: str) -> None:
        """From now on the key counts for nothing; revoking it again changes nothing. Raises KeyNotDefined."""

    def register(self, agreement: Agreement, document_text: str) -> None:
        """Puts a version of an agreement in the register, for ever. The same document again changes nothing.

        Raises
        ------
        AlreadyRegistered
            That version holds another document, or a newer version is registered.
        AgencyNotDefined
            A party is not registered.
        """

    def suspend(
        self, agreement_id: str, reason: str, layers: frozenset[str] | None = None, until: datetime | None = None, area: Area | None = None,
    ) -> Suspension:
        """Stops layers, or all that the agreement grants, from now on. Raises AgreementNotDefined."""

    def resume(self, agreement_id: str) -> int:
        """Ends the suspensions of an agreement now; returns how many. Those that its document holds stay. Raises AgreementNotDefined."""

    def list(self) -> tuple[Agreement, ...]:
        """Every version of every agreement as it counts now: with its suspensions, and since when a newer one replaces it."""

    def document(self, agreement_id: str, version: int | None = None) -> str:
        """The text that was registered, of the newest version unless one is named. Raises AgreementNotDefined."""


def standing(agreements: Iterable[Agreement], suspensions: Mapping[str, tuple[Suspension, ...]]) -> tuple[Agreement, ...]:
    """Versions as they count: each with the suspensions of its agreement, and replaced from the moment at which a newer one begins.

    By id and version. Drafts count for nothing and replace nothing.
    """
    by_id: dict[str, list[Agreement]] = {}
    for agreement in sorted(agreements, key=lambda a: (a.agreement_id, a.version)):
        by_id.setdefault(agreement.agreement_id, []).append(agreement)
    return tuple(
        _standing_version(agreement, versions[position + 1:], suspensions.get(agreement.agreement_id, ()))
        for versions in by_id.values() for position, agreement in enumerate(versions)
    )


BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
"""When a version without a beginning began to replace the one before it: ever since."""


def _standing_version(agreement: Agreement, newer: list[Agreement], suspensions: tuple[Suspension, ...]) -> Agreement:
    starts = [one.term.start or BEGINNING for one in newer if one.state in COUNTING]
    if not starts and not suspensions:
        return agreement
    return replace(agreement, suspensions=(*agreement.suspensions, *suspensions), replaced=min(starts) if starts else None)


def snapshot_of(epoch: int, agencies: Iterable[Agency], keys: Iterable[Key], standing_versions: Iterable[Agreement]) -> RegisterSnapshot:
    """What decides: of each grantee its agreements, and all that the grantors of those hold who pass on what others grant."""
    held = _held(standing_versions)
    deciding = {grantee: _with_those_above(grantee, held) for grantee in held}
    return RegisterSnapshot(
        epoch=epoch, agencies={agency.agency_id: agency for agency in agencies}, keys={key.digest: key for key in keys}, agreements=deciding,
        networks={
            grantee: frozenset(block for agreement in agreements for grant in agreement.grants for block in grant.networks or ())
            for grantee, agreements in deciding.items()
        },
    )


def _held(standing_versions: Iterable[Agreement]) -> dict[str, list[Agreement]]:
    """By grantee, without the versions that were replaced before they ever began."""
    held: dict[str, list[Agreement]] = {}
    for agreement in standing_versions:
        if agreement.replaced is None or (agreement.term.start is not None and agreement.term.start < agreement.replaced):
            held.setdefault(agreement.grantee, []).append(agreement)
    return held


def _with_those_above(grantee: str, held: Mapping[str, list[Agreement]]) -> tuple[Agreement, ...]:
    found, waiting, seen = [], [grantee], {grantee}
    while waiting:
        for agreement in held.get(waiting.pop(), ()):
            found.append(agreement)
            if agreement.parent is not None and agreement.grantor not in seen:
                seen.add(agreement.grantor)
                waiting.append(agreement.grantor)
    return tuple(found)


def _new_key(agency_id: str, label: str, expires: datetime | None) -> tuple[Key, str]:
    secret = KEY_PREFIX + base64.b32encode(secrets.token_bytes(KEY_BYTES)).decode().lower()
    key_id = "k_" + secrets.token_hex(4)
    return Key(key_id=key_id, agency_id=agency_id, digest=hashlib.sha256(secret.encode()).hexdigest(), label=label, expires=expires), secret


def _check_agency_id(agency: Agency) -> None:
    if not AGENCY_ID.fullmatch(agency.agency_id):
        raise ValueError(f"`{agency.agency_id[:80]}` is not an id: lower-case letters, digits, `-` and `_`, beginning with a letter")


def _check_parties(agreement: Agreement, known: Callable[[str], bool]) -> None:
    for party in (agreement.grantor, agreement.grantee):
        if party != BUREAU and not known(party):
            raise AgencyNotDefined(party)


def _check_newer(agreement: Agreement, newest: int | None) -> None:
    if newest is not None and agreement.version < newest:
        raise AlreadyRegistered(
            f"agreement `{agreement.agreement_id}` is registered in version {newest}: "
            f"number an amendment {newest + 1}, not {agreement.version}"
        )


def _other_content(agreement: Agreement) -> AlreadyRegistered:
    return AlreadyRegistered(
        f"agreement `{agreement.agreement_id}` version {agreement.version} is registered with other content: "
        f"registered versions never change, so number the amendment {agreement.version + 1}"
    )


def _now() -> datetime:
    return datetime.now(SHANGHAI)


# In memory

@dataclass(frozen=True, slots=True)
class _Entry:
    agreement: Agreement
    document: str


class InMemoryRegister:
    """The register of one process: for tests, and for trying things out."""

    def __init__(self, clock: Callable[[], datetime] = _now):
        self._clock, self._lock, self._epoch = clock, threading.RLock(), 0
        self._agencies: dict[str, Agency] = {}
        self._keys: dict[str, Key] = {}
        self._entries: dict[tuple[str, int], _Entry] = {}
        self._suspensions: dict[str, tuple[Suspension, ...]] = {}

    def epoch(self) -> int:
        return self._epoch

    def snapshot(self) -> RegisterSnapshot:
        with self._lock:
            return snapshot_of(self._epoch, self._agencies.values(), self._keys.values(), self.list())

    def add_agency(self, agency: Agency) -> None:
        _check_agency_id(agency)
        with self._lock:
            self._agencies[agency.agency_id] = agency
            self._epoch += 1

    def agencies(self) -> tuple[Agency, ...]:
        with self._lock:
            return tuple(self._agencies[agency_id] for agency_id in sorted(self._agencies))

    def issue_key(self, agency_id: str, label: str = "", expires: datetime | None = None) -> tuple[Key, str]:
        with self._lock:
            if agency_id not in self._agencies:
                raise AgencyNotDefined(agency_id)
            key, secret = _new_key(agency_id, label, expires)
            self._keys[key.key_id] = key
            self._epoch += 1
            return key, secret

    def revoke_key(self, key_id: str) -> None:
        with self._lock:
            if key_id not in self._keys:
                raise KeyNotDefined(key_id)
            if self._keys[key_id].revoked is None:
                self._keys[key_id] = replace(self._keys[key_id], revoked=self._clock())
                self._epoch += 1

    def register(self, agreement: Agreement, document_text: str) -> None:
        with self._lock:
            _check_parties(agreement, self._agencies.__contains__)
            name = (agreement.agreement_id, agreement.version)
            if name in self._entries:
                if self._entries[name].document != document_text:
                    raise _other_content(agreement)
                return
            _check_newer(agreement, max((version for one, version in self._entries if one == agreement.agreement_id), default=None))
            self._entries[name] = _Entry(agreement, document_text)
            self._epoch += 1

    def suspend(
        self, agreement_id: str, reason: str, layers: frozenset[str] | None = None, until: datetime | None = None, area: Area | None = None,
    ) -> Suspension:
        with self._lock:
            self._check_known(agreement_id)
            suspension = Suspension(reason=reason, since=self._clock(), layers=layers or None, until=until, area=area)
            self._suspensions[agreement_id] = (*self._suspensions.get(agreement_id, ()), suspension)
            self._epoch += 1
            return suspension

    def resume(self, agreement_id: str) -> int:
        with self._lock:
            self._check_known(agreement_id)
            now, held = self._clock(), self._suspensions.get(agreement_id, ())
            ended = [one for one in held if one.until is None or one.until > now]
            if ended:
                self._suspensions[agreement_id] = tuple(replace(one, until=now) if one in ended else one for one in held)
                self._epoch += 1
            return len(ended)

    def list(self) -> tuple[Agreement, ...]:
        with self._lock:
            return standing((entry.agreement for entry in self._entries.values()), self._suspensions)

    def document(self, agreement_id: str, version: int | None = None) -> str:
        with self._lock:
            self._check_known(agreement_id)
            wanted = version or max(number for one, number in self._entries if one == agreement_id)
            if (agreement_id, wanted) not in self._entries:
                raise AgreementNotDefined(f"{agreement_id} version {wanted}")
            return self._entries[agreement_id, wanted].document

    def _check_known(self, agreement_id: str) -> None:
        if not any(one == agreement_id for one, _ in self._entries):
            raise AgreementNotDefined(agreement_id)


# In a database

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
    sa.Column("layers", sa.JSON),
    sa.Column("area", sa.JSON),
    sqlite_autoincrement=True,
)

epoch_table = sa.Table(
    "register_epoch", metadata,
    sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.Integer, nullable=False),
)


class SqlRegister:
    """The register in a database: SQLite (WAL) or PostgreSQL, behind an engine that somebody else made and migrated.

    What was read of a version is remembered, since versions never change: after a change only what is new is read and compiled.
    """

    def __init__(self, engine: sa.Engine, clock: Callable[[], datetime] = _now):
        self._engine, self._clock = engine, clock
        self._versions: dict[tuple[str, int, datetime], Agreement] = {}
        self._shapes: dict[str, shapely.Geometry] = {}

    def epoch(self) -> int:
        with self._reading() as connection:
            return _epoch(connection)

    def snapshot(self) -> RegisterSnapshot:
        with self._reading() as connection:
            epoch = _epoch(connection)
            agencies = [Agency(**row) for row in connection.execute(sa.select(agencies_table)).mappings()]
            return snapshot_of(epoch, agencies, list(_keys(connection)), self._standing(connection))

    def add_agency(self, agency: Agency) -> None:
        _check_agency_id(agency)
        values = {"name_zh": agency.name_zh, "name_en": agency.name_en, "is_active": agency.is_active}
        with self._writing() as connection:
            _lock_epoch(connection)
            known = agencies_table.c.agency_id == agency.agency_id
            if not connection.execute(sa.update(agencies_table).where(known).values(values)).rowcount:
                connection.execute(sa.insert(agencies_table).values(agency_id=agency.agency_id, **values))
            _raise_epoch(connection)

    def agencies(self) -> tuple[Agency, ...]:
        with self._reading() as connection:
            rows = connection.execute(sa.select(agencies_table).order_by(agencies_table.c.agency_id)).mappings()
            return tuple(Agency(**row) for row in rows)

    def issue_key(self, agency_id: str, label: str = "", expires: datetime | None = None) -> tuple[Key, str]:
        key, secret = _new_key(agency_id, label, expires)
        with self._writing() as connection:
            _lock_epoch(connection)
            if not _is_agency(connection, agency_id):
                raise AgencyNotDefined(agency_id)
            connection.execute(sa.insert(keys_table).values(
                key_id=key.key_id, agency_id=agency_id, digest=key.digest, label=label, issued=_utc(self._clock()), expires=_utc(expires),
            ))
            _raise_epoch(connection)
        return key, secret

    def revoke_key(self, key_id: str) -> None:
        table = keys_table
        with self._writing() as connection:
            _lock_epoch(connection)
            held = table.c.key_id == key_id
            if connection.execute(sa.select(table.c.key_id).where(held)).first() is None:
                raise KeyNotDefined(key_id)
            still = held & table.c.revoked.is_(None)
            if connection.execute(sa.update(table).where(still).values(revoked=_utc(self._clock()))).rowcount:
                _raise_epoch(connection)

    def register(self, agreement: Agreement, document_text: str) -> None:
        table = agreements_table
        with self._writing() as connection:
            _lock_epoch(connection)
            _check_parties(agreement, lambda agency_id: _is_agency(connection, agency_id))
            query = sa.select(table.c.version, table.c.document).where(table.c.agreement_id == agreement.agreement_id)
            documents = {row.version: row.document for row in connection.execute(query)}
            if agreement.version in documents:
                if documents[agreement.version] != document_text:
                    raise _other_content(agreement)
                return
            _check_newer(agreement, max(documents, default=None))
            _store_areas(connection, agreement)
            connection.execute(sa.insert(table).values(
                agreement_id=agreement.agreement_id, version=agreement.version, state=agreement.state.value, grantor=agreement.grantor,
                grantee=agreement.grantee, document=document_text, compiled=_compiled(agreement), registered=_utc(self._clock()),
            ))
            _raise_epoch(connection)

    def suspend(
        self, agreement_id: str, reason: str, layers: frozenset[str] | None = None, until: datetime | None = None, area: Area | None = None,
    ) -> Suspension:
        suspension = Suspension(reason=reason, since=self._clock(), layers=layers or None, until=until, area=area)
        with self._writing() as connection:
            _lock_epoch(connection)
            _check_agreement(connection, agreement_id)
            if area is not None:
                _store_area(connection, area)
            connection.execute(sa.insert(suspensions_table).values(
                agreement_id=agreement_id, reason=reason, since=_utc(suspension.since), until=_utc(until), lifted=None,
                layers=sorted(layers) if layers else sa.null(), area=sa.null() if area is None else _area_row(area),
            ))
            _raise_epoch(connection)
        return suspension

    def resume(self, agreement_id: str) -> int:
        columns, now = suspensions_table.c, _utc(self._clock())
        with self._writing() as connection:
            _lock_epoch(connection)
            _check_agreement(connection, agreement_id)
            is_open = columns.lifted.is_(None) & (columns.until.is_(None) | (columns.until > now))
            held = columns.agreement_id == agreement_id
            ended = connection.execute(sa.update(suspensions_table).where(held & is_open).values(lifted=now)).rowcount
            if ended:
                _raise_epoch(connection)
            return ended

    def list(self) -> tuple[Agreement, ...]:
        with self._reading() as connection:
            return self._standing(connection)

    def document(self, agreement_id: str, version: int | None = None) -> str:
        columns = agreements_table.c
        query = sa.select(columns.document).where(columns.agreement_id == agreement_id).order_by(columns.version.desc()).limit(1)
        if version is not None:
            query = query.where(columns.version == version)
        with self._reading() as connection:
            found = connection.scalar(query)
        if found is None:
            raise AgreementNotDefined(agreement_id if version is None else f"{agreement_id} version {version}")
        return found

    def _standing(self, connection: sa.Connection) -> tuple[Agreement, ...]:
        columns = agreements_table.c
        rows = connection.execute(sa.select(columns.agreement_id, columns.version, columns.registered, columns.state)).all()
        versions = {}
        for row in rows:
            name = (row.agreement_id, row.version, row.registered)
            known, state = self._versions.get(name) or self._read_version(connection, row), State(row.state)
            versions[name] = known if known.state is state else replace(known, state=state)
        self._versions = versions
        return standing(versions.values(), self._suspensions(connection))

    def _read_version(self, connection: sa.Connection, row: sa.Row) -> Agreement:
        columns = agreements_table.c
        one = (columns.agreement_id == row.agreement_id) & (columns.version == row.version)
        compiled = connection.execute(sa.select(columns.compiled).where(one)).scalar_one()
        return _decompiled(row.agreement_id, row.version, compiled, lambda area: self._area(connection, area))

    def _suspensions(self, connection: sa.Connection) -> dict[str, tuple[Suspension, ...]]:
        held: dict[str, list[Suspension]] = {}
        for row in connection.execute(sa.select(suspensions_table).order_by(suspensions_table.c.suspension_id)):
            ends = [_shanghai(moment) for moment in (row.until, row.lifted) if moment is not None]
            held.setdefault(row.agreement_id, []).append(Suspension(
                reason=row.reason, since=_shanghai(row.since), until=min(ends) if ends else None,
                layers=None if row.layers is None else frozenset(row.layers), area=row.area and self._area(connection, row.area),
            ))
        return {agreement_id: tuple(suspensions) for agreement_id, suspensions in held.items()}

    def _area(self, connection: sa.Connection, said: dict) -> Area:
        digest = said["digest"]
        if digest not in self._shapes:
            stored = connection.execute(sa.select(areas_table.c.geometry).where(areas_table.c.digest == digest)).scalar_one()
            if hashlib.sha256(stored).hexdigest() != digest:
                raise ValueError("a stored area is not what was registered")
            self._shapes[digest] = shapely.from_wkb(stored)
        return Area(geometry=self._shapes[digest], digest=digest, title=said["title"], words=said["words"])

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        """One transaction in which everything read is of one moment."""
        try:
            with self._engine.connect() as connection:
                if connection.dialect.name == "postgresql":
                    connection = connection.execution_options(isolation_level="REPEATABLE READ")
                with connection.begin():
                    _begin_sqlite(connection, "BEGIN")
                    yield connection
        except (SQLAlchemyError, shapely.errors.ShapelyError, KeyError, ValueError, TypeError) as error:
            raise RegisterUnavailable(
                f"the register can't be read ({type(error).__name__}): see that its database is there and migrated"
            ) from error

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


# Rows

def _begin_sqlite(connection: sa.Connection, statement: str) -> None:
    """Python's sqlite3 begins no transaction for a SELECT, and begins one for a write too late to wait for its turn."""
    if connection.dialect.name == "sqlite" and not connection.connection.dbapi_connection.in_transaction:
        connection.exec_driver_sql(statement)


def _epoch(connection: sa.Connection) -> int:
    return connection.scalar(sa.select(epoch_table.c.epoch)) or 0


def _lock_epoch(connection: sa.Connection) -> None:
    """Writers of a server database queue here; those of SQLite already do."""
    connection.execute(sa.select(epoch_table.c.epoch).with_for_update())


def _raise_epoch(connection: sa.Connection) -> None:
    if not connection.execute(sa.update(epoch_table).values(epoch=epoch_table.c.epoch + 1)).rowcount:
        connection.execute(sa.insert(epoch_table).values(only=1, epoch=1))


def _is_agency(connection: sa.Connection, agency_id: str) -> bool:
    return connection.execute(sa.select(agencies_table.c.agency_id).where(agencies_table.c.agency_id == agency_id)).first() is not None


def _check_agreement(connection: sa.Connection, agreement_id: str) -> None:
    query = sa.select(agreements_table.c.version).where(agreements_table.c.agreement_id == agreement_id).limit(1)
    if connection.execute(query).first() is None:
        raise AgreementNotDefined(agreement_id)


def _keys(connection: sa.Connection) -> Iterator[Key]:
    for row in connection.execute(sa.select(keys_table).order_by(keys_table.c.issued, keys_table.c.key_id)):
        yield Key(
            key_id=row.key_id, agency_id=row.agency_id, digest=row.digest, label=row.label, expires=_shanghai(row.expires),
            revoked=_shanghai(row.revoked),
        )


def _store_areas(connection: sa.Connection, agreement: Agreement) -> None:
    areas = [grant.area for grant in agreement.grants] + [one.area for one in agreement.suspensions if one.area is not None]
    for area in {area.digest: area for area in areas}.values():
        _store_area(connection, area)


def _store_area(connection: sa.Connection, area: Area) -> None:
    stored = to_wkb(area.geometry)
    if hashlib.sha256(stored).hexdigest() != area.digest:
        raise ValueError(f"the area `{area.title}` does not have the digest of its geometry: make it with agreements.areas")
    if connection.execute(sa.select(areas_table.c.digest).where(areas_table.c.digest == area.digest)).first() is None:
        connection.execute(sa.insert(areas_table).values(digest=area.digest, geometry=stored))


def _area_row(area: Area) -> dict:
    return {"digest": area.digest, "title": area.title, "words": area.words}


def _compiled(agreement: Agreement) -> dict:
    """A version as JSON, its areas by digest."""
    return {
        "title": agreement.title, "grantor": agreement.grantor, "grantee": agreement.grantee, "term": _term_row(agreement.term),
        "contact": agreement.contact, "purpose": agreement.purpose, "credit": agreement.credit, "basis": list(agreement.basis),
        "contributions": list(agreement.contributions), "grants": [_grant_row(grant) for grant in agreement.grants],
        "suspensions": [_suspension_row(one) for one in agreement.suspensions],
    }


def _grant_row(grant: Grant) -> dict:
    return {
        "clause": grant.clause, "layers": sorted(grant.layers), "operations": sorted(one.value for one in grant.operations),
        "area": _area_row(grant.area), "scale": [grant.scale.finest, grant.scale.coarsest], "term": _term_row(grant.term),
        **{name: None if (values := getattr(grant, name)) is None else sorted(values) for name in OPEN_TERMS},
    }


def _suspension_row(suspension: Suspension) -> dict:
    return {
        "reason": suspension.reason, "since": _moment_row(suspension.since), "until": _moment_row(suspension.until),
        "layers": None if suspension.layers is None else sorted(suspension.layers), "area": suspension.area and _area_row(suspension.area),
    }


OPEN_TERMS = ("formats", "crs", "styles", "attributes")
"""Sets in which None stands for all."""


def _decompiled(agreement_id: str, version: int, compiled: dict, area: Callable[[dict], Area]) -> Agreement:
    return Agreement(
        agreement_id=agreement_id, version=version, title=compiled["title"], grantor=compiled["grantor"], grantee=compiled["grantee"],
        term=_term_of(compiled["term"]), contact=compiled["contact"], purpose=compiled["purpose"], credit=compiled["credit"],
        basis=tuple(compiled["basis"]), contributions=tuple(compiled["contributions"]),
        grants=tuple(_grant_of(row, area) for row in compiled["grants"]),
        suspensions=tuple(_suspension_of(row, area) for row in compiled["suspensions"]),
    )


def _grant_of(row: dict, area: Callable[[dict], Area]) -> Grant:
    return Grant(
        clause=row["clause"], layers=frozenset(row["layers"]), operations=frozenset(Operation(one) for one in row["operations"]),
        area=area(row["area"]), scale=ScaleWindow(finest=row["scale"][0], coarsest=row["scale"][1]), term=_term_of(row["term"]),
        **{name: None if row[name] is None else frozenset(row[name]) for name in OPEN_TERMS},
    )


def _suspension_of(row: dict, area: Callable[[dict], Area]) -> Suspension:
    return Suspension(
        reason=row["reason"], since=_moment_of(row["since"]), until=_moment_of(row["until"]),
        layers=None if row["layers"] is None else frozenset(row["layers"]), area=row["area"] and area(row["area"]),
    )


def _term_row(term: Term) -> list:
    return [_moment_row(term.start), _moment_row(term.end)]


def _term_of(row: list) -> Term:
    return Term(start=_moment_of(row[0]), end=_moment_of(row[1]))


def _moment_row(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _moment_of(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(SHANGHAI)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def _shanghai(moment: datetime | None) -> datetime | None:
    """SQLite gives moments back without their zone, which is always UTC."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(SHANGHAI)
