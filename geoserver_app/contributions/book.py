"""The book of contributions: what came from the agencies, what was checked, what was told to whom. Over the register, in the same database.

Every act has its decision record, written before the act is kept. Nothing in here changes what anybody may see: a late contribution is told to
people, and a smaller quota is at most proposed to the coordination group.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import SQLAlchemyError

from agreements.errors import AgreementsError, RegisterUnavailable
from agreements.life.history import Event, Subject
from agreements.life.ledger import (
    LONGEST_STATEMENT,
    STAGES,
    Audience,
    Check,
    Delivery,
    Entry,
    Happening,
    Notice,
    Standing,
    ledger,
    notices_owed,
    periods,
)
from agreements.life.lifecycle import Action, Role
from agreements.life.tasks import OFFICE, Task
from agreements.model import BUREAU, Agreement
from agreements.record import Contact, Contribution, OnOverdue
from agreements.register import AgreementRegister
from agreements.register.standing import is_beginning
from geoserver_app.clock import SHANGHAI, end_of_day, now
from geoserver_app.database import from_database, utc, writing
from geoserver_app.decision_log import DecisionLog
from geoserver_app.messages import CHINESE, ENGLISH, sentence

metadata = sa.MetaData()

deliveries_table = sa.Table(
    "contribution_deliveries", metadata,
    sa.Column("delivery_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("agreement_id", sa.String(100), nullable=False, index=True),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("since", sa.Date, nullable=False),
    sa.Column("due", sa.Date, nullable=False),
    sa.Column("received", sa.DateTime(timezone=True), nullable=False),
    sa.Column("handed_over_by", sa.Text, nullable=False),
    sa.Column("statement", sa.Text, nullable=False),
    sa.Column("edition", sa.Text, nullable=False),
    sa.Column("features", sa.BigInteger),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("quality", sa.String(10), nullable=False),
    sa.Column("findings", sa.Text, nullable=False),
    sa.Column("checked", sa.DateTime(timezone=True)),
    sa.Column("checked_by", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

happenings_table = sa.Table(
    "contribution_happenings", metadata,
    sa.Column("agreement_id", sa.String(100), primary_key=True),
    sa.Column("dataset", sa.String(200), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("note", sa.Text, nullable=False),
)

notices_table = sa.Table(
    "contribution_notices", metadata,
    sa.Column("agreement_id", sa.String(100), primary_key=True),
    sa.Column("dataset", sa.String(200), primary_key=True),
    sa.Column("due", sa.Date, primary_key=True),
    sa.Column("stage", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("given", sa.DateTime(timezone=True), nullable=False),
    sa.Column("grantee", sa.String(63), nullable=False, index=True),
    sa.Column("audience", sa.String(10), nullable=False),
    sa.Column("standing", sa.String(10), nullable=False),
    sa.Column("last_day", sa.Date, nullable=False),
    sa.Column("findings", sa.Text, nullable=False),
    sa.Column("contacts", sa.JSON, nullable=False),
    sa.Column("coordination_group", sa.Text, nullable=False),
    sa.Column("proposal", sa.String(20), nullable=False),
    sa.Column("is_overtaken", sa.Boolean, nullable=False),
    sa.Column("taken", sa.DateTime(timezone=True)),
)
"""`taken`: when a mailer took it, or when it was sent. A row is never changed but for that."""

LONGEST_DATASET = 200


class ContributionInvalid(AgreementsError):
    """What was said of a contribution can't be meant. `code` and `detail` name one of the sentences of `geoserver_app.messages`."""

    def __init__(self, code: str, **detail: str):
        super().__init__(sentence(code, detail, ENGLISH))
        self.code, self.detail = code, detail

    def told(self, language: str) -> str:
        return sentence(self.code, self.detail, language)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenNotice:
    """A notice as it was given, for good. `number` orders stages: days after the due day, or after the last day of grace."""

    agreement_id: str
    dataset: str
    due: date
    stage: int
    given: datetime
    grantee: str
    audience: Audience
    standing: Standing
    last_day: date
    findings: str
    contacts: tuple[Contact, ...]
    group: str
    proposal: OnOverdue | None
    is_overtaken: bool = False
    taken: datetime | None = None

    def told(self, language: str) -> str:
        """In one sentence."""
        detail = {
            "agreement": self.agreement_id, "dataset": self.dataset, "due": self.due.isoformat(), "last_day": self.last_day.isoformat(),
            "findings": self.findings or "-", "days": str(self.stage),
        }
        return sentence(self._code, detail, language)

    @property
    def _code(self) -> str:
        if self.audience is Audience.GROUP:
            return "notice-proposal" if self.proposal is OnOverdue.REDUCE_QUOTA else "notice-escalated"
        if self.standing is Standing.RETURNED:
            return "notice-returned"
        return "notice-late" if self.standing is Standing.OVERDUE else ("notice-due" if self.stage >= 0 else "notice-ahead")

    def as_json(self) -> dict:
        """For a mailer."""
        return {
            "id": f"{self.agreement_id}/{self.dataset}/{self.due.isoformat()}/{self.stage:+d}", "agreement": self.agreement_id,
            "dataset": self.dataset, "due": self.due.isoformat(), "stage": self.stage, "audience": self.audience.value, "agency": self.grantee,
            "standing": self.standing.value, "given": self.given.isoformat(), "group": self.group,
            "proposal": self.proposal.value if self.proposal else None,
            "to": [{"name": one.name, "duty": one.duty, "phone": one.phone, "email": one.email} for one in self.contacts],
            "text": {"zh": self.told("zh"), "en": self.told("en")},
        }


class ContributionBook:
    """What was handed over under every agreement, and who was told. Raises RegisterUnavailable where the database can't be read or written."""

    def __init__(self, database: sa.Engine, register: AgreementRegister, log: DecisionLog, clock: Callable[[], datetime] = now):
        self._database, self._register, self._log, self._clock = database, register, log, clock

    @property
    def database(self) -> sa.Engine:
        """For what else is kept beside it."""
        return self._database

    # -- reading

    def ledger(self, agreement_id: str, at: datetime | None = None) -> tuple[Entry, ...]:
        """Period by period. Raises AgreementNotDefined."""
        return self.ledgers({agreement_id: self.versions(agreement_id)}, at).get(agreement_id, ())

    def ledgers(self, held: dict[str, tuple[Agreement, ...]], at: datetime | None = None) -> dict[str, tuple[Entry, ...]]:
        """The ledgers of some agreements, given with all their versions."""
        at = at or self._clock()
        with self._reading() as connection:
            deliveries, happenings = _deliveries(connection), _happenings(connection)
        return self._ledgers(held, deliveries, happenings, at)

    def _ledgers(self, held: dict, deliveries: dict, happenings: dict, at: datetime) -> dict[str, tuple[Entry, ...]]:
        begun = first_days(self._register.history())
        return {
            agreement_id: ledger(versions, deliveries.get(agreement_id, ()), happenings.get(agreement_id, ()), at, begins=begun[agreement_id])
            for agreement_id, versions in held.items() if versions
        }

    def agreements(self, party: str | None = None) -> dict[str, tuple[Agreement, ...]]:
        """Versions that are or were in force, by agreement; with `party`, of those alone to which it is one."""
        held: dict[str, list[Agreement]] = {}
        for agreement in owing(self._register.list(), self._register.history()):
            held.setdefault(agreement.agreement_id, []).append(agreement)
        return {
            agreement_id: tuple(versions) for agreement_id, versions in held.items()
            if party is None or any(party in (one.grantor, one.grantee) for one in versions)
        }

    def versions(self, agreement_id: str) -> tuple[Agreement, ...]:
        """Those that are or were in force. Raises AgreementNotDefined."""
        events = self._register.history(agreement_id)
        return owing((one for one in self._register.list() if one.agreement_id == agreement_id), events)

    def delivery(self, delivery_id: str) -> Delivery:
        """Raises ContributionInvalid."""
        with self._reading() as connection:
            return _delivery(connection, delivery_id)

    def notices(self, agreement_id: str | None = None, *, untaken: bool = False) -> tuple[GivenNotice, ...]:
        """Notices that were given, by when; those that were overtaken are left out where only the untaken are wanted."""
        table = notices_table
        query = sa.select(table).order_by(table.c.given, table.c.agreement_id, table.c.dataset, table.c.due, table.c.stage)
        if agreement_id is not None:
            query = query.where(table.c.agreement_id == agreement_id)
        if untaken:
            query = query.where(table.c.taken.is_(None) & ~table.c.is_overtaken)
        with self._reading() as connection:
            return tuple(_given(row) for row in connection.execute(query))

    # -- what comes in

    def receive(
        self, agreement_id: str, dataset: str, *, by: str, due: date | None = None, since: date | None = None, happened: date | None = None,
        edition: str = "", features: int | None = None, sha256: str = "", file_name: str = "", actor: str = "",
        connection: sa.Connection | None = None,
    ) -> Delivery:
        """Enter a delivery of data for a period: the oldest open one unless `due` names another; `since` where it answers for several.

        For a contribution by event `happened` is the day of the event, which is noted where it was not yet. With a `connection` it is part of the
        transaction of whoever has it.

        Raises
        ------
        AgreementNotDefined, ContributionInvalid
            There is no such agreement, dataset or period.
        """
        delivered = {"edition": edition, "features": features, "sha256": sha256, "file_name": file_name}
        return self._enter(agreement_id, dataset, due, since, happened, by, actor, {**delivered, "statement": ""}, connection)

    def state_no_change(
        self, agreement_id: str, dataset: str, *, statement: str, by: str, due: date | None = None, since: date | None = None, actor: str = "",
    ) -> Delivery:
        """Enter the agency's statement that nothing has changed, for one period or for all from `since` to `due`. Raises as `receive`."""
        if not statement.strip():
            raise ContributionInvalid("contribution-statement-empty")
        empty = {"edition": "", "features": None, "sha256": "", "file_name": ""}
        return self._enter(agreement_id, dataset, due, since, None, by, actor, {**empty, "statement": statement.strip()})

    def happen(self, agreement_id: str, dataset: str, day: date, note: str = "", actor: str = "") -> Happening:
        """Note an event after which a contribution is due. Noting it again changes nothing. Raises AgreementNotDefined, ContributionInvalid."""
        contribution = contribution_owed(self.versions(agreement_id), agreement_id, dataset)
        if contribution.cadence:
            raise ContributionInvalid("contribution-has-cadence", dataset=dataset, cadence=contribution.cadence)
        happening = Happening(agreement_id=agreement_id, dataset=dataset, day=day, note=note)
        with self._writing() as connection:
            self._note(connection, happening, actor)
        return happening

    def check(
        self, delivery_id: str, result: Check, findings: str = "", by: str = "", *, features: int | None = None, connection: sa.Connection | None = None,
    ) -> Delivery:
        """Tell how far the quality check of a delivery is, and of how many `features` it turned out to be. One that has passed or was returned stays so.
        With a `connection` it is part of the transaction of whoever has it.

        Raises
        ------
        ContributionInvalid
            There is no such delivery, its check is over, or it is returned without findings.
        """
        if result is Check.RETURNED and not findings.strip():
            raise ContributionInvalid("contribution-findings-missing")
        if result is Check.WAITING:
            raise ContributionInvalid("contribution-check-back")
        columns = deliveries_table.c
        with self._writing(connection) as connection:
            found = _delivery(connection, delivery_id)
            still = (columns.delivery_id == int(delivery_id)) & columns.quality.in_([Check.WAITING.value, Check.PENDING.value])
            values = {"quality": result.value, "findings": findings.strip(), "checked": utc(self._clock()), "checked_by": by}
            values |= {} if features is None else {"features": features}
            if not connection.execute(sa.update(deliveries_table).where(still).values(values)).rowcount:
                raise ContributionInvalid("contribution-check-over", delivery=str(delivery_id), result=found.check.value)
            checked = _delivery(connection, delivery_id)
            self._record("contribution.checked", found.agreement_id, by, dataset=found.dataset, due=found.due, delivery=delivery_id, result=result.value)
            return checked

    # -- who is told

    def give_notices(self, at: datetime | None = None) -> tuple[GivenNotice, ...]:
        """Give every notice that is owed, once; returns those to be sent. However many do this at once, each notice is given by one of them."""
        at, held = at or self._clock(), self.agreements()
        with self._writing() as connection:
            given, begun = _notice_names(connection), first_days(self._register.history())
            ledgers = self._ledgers(held, _deliveries(connection), _happenings(connection), at)
            owed: list[GivenNotice] = []
            for agreement_id, entries in ledgers.items():
                by_version = {one.version: one for one in held[agreement_id]}
                owed += [
                    _as_given(notice, at)
                    for notice in notices_owed(entries, by_version, given, at, begun[agreement_id])
                ]
            fresh = [notice for notice in owed if self._give(connection, notice)]
        return tuple(notice for notice in fresh if not notice.is_overtaken)

    def take(self, notices: Iterable[GivenNotice]) -> tuple[GivenNotice, ...]:
        """Mark notices as taken by a mailer; returns those that nobody had taken before."""
        table, moment = notices_table, self._clock()
        with self._writing() as connection:
            return tuple(
                notice for notice in notices
                if connection.execute(sa.update(table).where(_is(notice) & table.c.taken.is_(None)).values(taken=utc(moment))).rowcount
            )

    def give_back(self, notices: Iterable[GivenNotice]) -> None:
        """Notices that were taken and could not be sent: somebody else may take them."""
        with self._writing() as connection:
            for notice in notices:
                connection.execute(sa.update(notices_table).where(_is(notice)).values(taken=None))

    # -- within

    def _enter(
        self, agreement_id: str, dataset: str, due: date | None, since: date | None, happened: date | None, by: str, actor: str, values: dict,
        connection: sa.Connection | None = None,
    ) -> Delivery:
        versions, moment = self.versions(agreement_id), self._clock()
        contribution = contribution_owed(versions, agreement_id, dataset)
        if values["statement"] and not contribution.no_change_statement:
            raise ContributionInvalid("contribution-no-statement", dataset=dataset)
        with self._writing(connection) as connection:
            if happened is not None:
                if contribution.cadence:
                    raise ContributionInvalid("contribution-has-cadence", dataset=dataset, cadence=contribution.cadence)
                self._note(connection, Happening(agreement_id=agreement_id, dataset=dataset, day=happened), actor)
            begins = first_days(self._register.history())[agreement_id]
            first, last = _span(connection, versions, agreement_id, dataset, due, since, happened, moment, begins)
            number = connection.execute(sa.insert(deliveries_table).values(
                agreement_id=agreement_id, dataset=dataset, since=first, due=last, received=utc(moment), handed_over_by=by,
                quality=Check.WAITING.value, findings="", checked=None, checked_by="", **values,
            )).inserted_primary_key[0]
            entered = _delivery(connection, str(number))
            self._record(
                "contribution.no-change" if values["statement"] else "contribution.received", agreement_id, actor or by,
                dataset=dataset, since=first, due=last, delivery=str(number), sha256=values["sha256"], features=values["features"],
            )
            return entered

    def _note(self, connection: sa.Connection, happening: Happening, actor: str) -> None:
        values = {"agreement_id": happening.agreement_id, "dataset": happening.dataset, "day": happening.day, "note": happening.note}
        if _is_new(connection, happenings_table, values):
            self._record("contribution.happened", happening.agreement_id, actor, dataset=happening.dataset, day=happening.day)

    def _give(self, connection: sa.Connection, notice: GivenNotice) -> bool:
        values = {
            "agreement_id": notice.agreement_id, "dataset": notice.dataset, "due": notice.due, "stage": notice.stage, "given": utc(notice.given),
            "grantee": notice.grantee, "audience": notice.audience.value, "standing": notice.standing.value, "last_day": notice.last_day,
            "findings": notice.findings, "coordination_group": notice.group, "proposal": notice.proposal.value if notice.proposal else "",
            "contacts": [[one.name, one.duty, one.phone, one.email] for one in notice.contacts], "is_overtaken": notice.is_overtaken, "taken": None,
        }
        if not _is_new(connection, notices_table, values):
            return False
        self._record(
            "contribution.notice", notice.agreement_id, "", dataset=notice.dataset, due=notice.due, stage=notice.stage,
            audience=notice.audience.value, standing=notice.standing.value, proposal=notice.proposal.value if notice.proposal else None,
            is_overtaken=notice.is_overtaken,
        )
        return True

    def _record(self, event: str, agreement_id: str, actor: str, **fields) -> None:
        """The record of an act, with the agency that owes it; no names of contacts."""
        grantee = next(one.grantee for one in self.versions(agreement_id))
        told = {name: value.isoformat() if isinstance(value, date) else value for name, value in fields.items() if value not in (None, "")}
        self._log.write({"event": event, "agency": grantee, "agreement": agreement_id, **({"actor": actor} if actor else {}), **told})

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        try:
            with self._database.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise _unavailable("read", error) from error

    @contextmanager
    def _writing(self, joined: sa.Connection | None = None) -> Iterator[sa.Connection]:
        """A transaction of its own, or that which is `joined`."""
        if joined is not None:
            yield joined
            return
        try:
            with writing(self._database) as connection:
                yield connection
        except SQLAlchemyError as error:
            raise _unavailable("written", error) from error


def _unavailable(what: str, error: Exception) -> RegisterUnavailable:
    return RegisterUnavailable(f"the book of contributions can't be {what} ({type(error).__name__}): see that its database is there and migrated")


# What is owed by whom

def owing(versions: Iterable[Agreement], events: Iterable[Event]) -> tuple[Agreement, ...]:
    """The versions that are or were in force. One that was terminated owes nothing that falls due later, as if another had replaced it."""
    events = list(events)
    begun = {event.about for event in events if is_beginning(event)}
    ended = {event.about: event.at for event in events if event.action == Action.TERMINATE}
    found = [(one, Subject.agreement(one.agreement_id, one.version)) for one in versions]
    return tuple(
        replace(one, replaced=min(one.replaced or ended[name], ended[name])) if name in ended else one for one, name in found if name in begun
    )


def first_days(events: Iterable[Event]) -> dict[str, date]:
    """The day on which each agreement came into force here."""
    days: dict[str, date] = {}
    for event in events:
        if is_beginning(event):
            days.setdefault(event.agreement_id, event.at.astimezone(SHANGHAI).date())
    return days


# What waits to be done

TELL_AHEAD = 7
"""Days before its due day from which a contribution is a task."""


def contribution_tasks(entries: Iterable[Entry], at: datetime) -> tuple[Task, ...]:
    """Of ledgers: for the agency to deliver, for the bureau to check, and, 30 days after, for the coordination group to decide on a smaller quota."""
    today, found = at.astimezone(SHANGHAI).date(), []
    for entry in entries:
        period, due = entry.period, end_of_day(entry.period.last_day)
        if entry.standing in (Standing.RECEIVED, Standing.IN_CHECK):
            found.append(_task("contribution-check", entry, None, OFFICE))
        elif entry.is_open and today >= period.due - timedelta(days=TELL_AHEAD):
            found.append(_task("contribution-due", entry, due, OFFICE, frozenset({period.grantee}) - {BUREAU}))
        is_proposed = period.contribution.on_overdue is OnOverdue.REDUCE_QUOTA
        if entry.overdue_since and is_proposed and today >= period.last_day + timedelta(days=STAGES[-1].days):
            found.append(_task("contribution-quota", entry, None, OFFICE | {Role.APPROVER}))
    return tuple(found)


def _task(kind: str, entry: Entry, due: datetime | None, roles: frozenset[Role], agencies: frozenset[str] = frozenset()) -> Task:
    period = entry.period
    detail = {"agreement": period.agreement_id, "dataset": period.dataset, "due": period.due.isoformat()}
    return Task(
        kind=kind, agreement_id=period.agreement_id, version=period.version, due=due, roles=roles, agencies=agencies,
        zh=sentence(f"task-{kind}", detail, CHINESE), en=sentence(f"task-{kind}", detail, ENGLISH), detail=detail,
    )


# What is said of a period

def contribution_owed(versions: Iterable[Agreement], agreement_id: str, dataset: str) -> Contribution:
    """A contribution as the newest version says it that is or was in force. Raises ContributionInvalid."""
    found = {one.dataset: one for version in versions for one in version.record.contributions}
    if dataset not in found:
        known = ", ".join(f"`{name}`" for name in found) or "-"
        raise ContributionInvalid("contribution-not-owed", agreement=agreement_id, dataset=dataset[:80], datasets=known)
    return found[dataset]


def _span(
    connection: sa.Connection, versions: Iterable[Agreement], agreement_id: str, dataset: str, due: date | None, since: date | None,
    happened: date | None, at: datetime, begins: date,
) -> tuple[date, date]:
    """Due days of the first and the last period that a delivery is for."""
    deliveries, happenings = _deliveries(connection, agreement_id).get(agreement_id, ()), _happenings(connection).get(agreement_id, ())
    if due is not None:
        known = {one.due: one for one in periods(versions, happenings, due) if one.dataset == dataset}
    else:
        entries = [one for one in ledger(versions, deliveries, happenings, at, begins=begins) if one.period.dataset == dataset]
        known = {one.period.due: one.period for one in entries}
        due = next((one.period.due for one in entries if (one.period.happened == happened if happened else one.is_open)), None)
        if due is None:
            raise ContributionInvalid("contribution-nothing-open", dataset=dataset)
    first = since or due
    for day in (first, due):
        if day not in known:
            told = ", ".join(str(one) for one in sorted(known)[-4:]) or "-"
            raise ContributionInvalid("contribution-no-period", dataset=dataset, day=day.isoformat(), days=told)
    if not 0 <= (due - first).days <= LONGEST_STATEMENT:
        raise ContributionInvalid("contribution-span", since=first.isoformat(), due=due.isoformat())
    return first, due


def _as_given(notice: Notice, at: datetime) -> GivenNotice:
    period = notice.entry.period
    return GivenNotice(
        agreement_id=period.agreement_id, dataset=period.dataset, due=period.due, stage=notice.stage.days, given=at, grantee=period.grantee,
        audience=notice.stage.audience, standing=notice.entry.standing, last_day=period.last_day, findings=notice.entry.findings,
        contacts=notice.contacts, group=notice.group, proposal=notice.proposal, is_overtaken=notice.is_overtaken,
    )


def file_facts(path: Path) -> dict:
    """What the book keeps of a delivered file: name, checksum and, of vectors, how many features. Raises LayerRejected.

    The checksum of a Shapefile is over all its parts.
    """
    from layers.info import VectorInfo, file_info  # here, since it brings the whole of rasterio

    info = file_info(path)
    features = sum(table.count for table in info.tables) if isinstance(info, VectorInfo) else None
    return {"file_name": path.name, "sha256": info.checksum, "features": features}


# Rows

def _is_new(connection: sa.Connection, table: sa.Table, values: dict) -> bool:
    """Inserts a row unless there is one of its name, also one that somebody else is just inserting; whether it did. (What came back tells it: not
    every driver counts rows.)"""
    insert = (postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert)(table)
    return connection.execute(insert.values(values).on_conflict_do_nothing().returning(table.c.agreement_id)).first() is not None


def _is(notice: GivenNotice) -> sa.ColumnElement[bool]:
    columns = notices_table.c
    return sa.and_(
        columns.agreement_id == notice.agreement_id, columns.dataset == notice.dataset, columns.due == notice.due, columns.stage == notice.stage,
    )


def _delivery(connection: sa.Connection, delivery_id: str) -> Delivery:
    row = None
    if delivery_id.isdigit() and len(delivery_id) < 19:
        row = connection.execute(sa.select(deliveries_table).where(deliveries_table.c.delivery_id == int(delivery_id))).first()
    if row is None:
        raise ContributionInvalid("contribution-no-delivery", delivery=delivery_id[:40])
    return _delivery_of(row)


def _deliveries(connection: sa.Connection, agreement_id: str | None = None) -> dict[str, list[Delivery]]:
    query = sa.select(deliveries_table).order_by(deliveries_table.c.delivery_id)
    if agreement_id is not None:
        query = query.where(deliveries_table.c.agreement_id == agreement_id)
    found: dict[str, list[Delivery]] = {}
    for row in connection.execute(query):
        found.setdefault(row.agreement_id, []).append(_delivery_of(row))
    return found


def _delivery_of(row: sa.Row) -> Delivery:
    return Delivery(
        delivery_id=str(row.delivery_id), agreement_id=row.agreement_id, dataset=row.dataset, due=row.due, since=row.since,
        received=from_database(row.received), by=row.handed_over_by, statement=row.statement, edition=row.edition, features=row.features,
        sha256=row.sha256, file_name=row.file_name, check=Check(row.quality), findings=row.findings, checked=from_database(row.checked),
        checked_by=row.checked_by,
    )


def _happenings(connection: sa.Connection) -> dict[str, list[Happening]]:
    found: dict[str, list[Happening]] = {}
    for row in connection.execute(sa.select(happenings_table)).mappings():
        found.setdefault(row["agreement_id"], []).append(Happening(**row))
    return found


def _notice_names(connection: sa.Connection) -> set[tuple[str, str, date, int]]:
    columns = notices_table.c
    return {tuple(row) for row in connection.execute(sa.select(columns.agreement_id, columns.dataset, columns.due, columns.stage))}


def _given(row: sa.Row) -> GivenNotice:
    return GivenNotice(
        agreement_id=row.agreement_id, dataset=row.dataset, due=row.due, stage=row.stage, given=from_database(row.given), grantee=row.grantee,
        audience=Audience(row.audience), standing=Standing(row.standing), last_day=row.last_day, findings=row.findings,
        contacts=tuple(Contact(name=name, duty=duty, phone=phone, email=email) for name, duty, phone, email in row.contacts),
        group=row.coordination_group, proposal=OnOverdue(row.proposal) if row.proposal else None, is_overtaken=row.is_overtaken,
        taken=from_database(row.taken),
    )

