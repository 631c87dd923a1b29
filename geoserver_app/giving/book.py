"""Submissions as rows. Every act is kept for good beside the state that it led to; one worker at a time has a claim on one, with a lease that it renews."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from agreements.errors import RegisterUnavailable
from geoserver_app.database import from_database, utc, writing
from geoserver_app.giving.submissions import OPEN, Act, Move, Submission, SubmissionState, tidy
from geoserver_app.giving.tables import acts_table, submissions_table
from geoserver_app.settings import Settings

LEASE = timedelta(seconds=60)
MOST_ATTEMPTS = 3
"""Workers that may die over one submission before it is given up."""

FORGOTTEN = timedelta(days=30)
"""After which an announcement counts as withdrawn whose file never came."""


class NoSuchSubmission(Exception):
    """None of that id, or another agency's."""


class ClaimLost(Exception):
    """It was withdrawn, or the lease ran out."""


class SubmissionBook:
    """Raises RegisterUnavailable where the database can't be read or written."""

    def __init__(self, database: sa.Engine, clock: Callable[[], datetime]):
        self.database, self.clock = database, clock

    # -- reading

    def get(self, submission_id: str, agency: str | None = None) -> Submission:
        """With `agency`, its own alone. Raises NoSuchSubmission."""
        with self._reading() as connection:
            row = connection.execute(_the(submission_id)).first()
        if row is None or agency not in (None, row.agency):
            raise NoSuchSubmission(submission_id)
        return _submission(row)

    def acts(self, submission_id: str) -> list[Act]:
        """What was done, the oldest first."""
        query = sa.select(acts_table).where(acts_table.c.submission_id == submission_id).order_by(acts_table.c.number)
        with self._reading() as connection:
            return [Act(at=from_database(row.at), act=row.act, actor=row.actor, text=row.text) for row in connection.execute(query)]

    def list(self, agency: str | None = None, states: Sequence[SubmissionState] = (), agreement: str | None = None) -> list[Submission]:
        """The newest first."""
        columns = submissions_table.c
        query = sa.select(submissions_table).order_by(columns.made.desc(), columns.submission_id)
        if agency is not None:
            query = query.where(columns.agency == agency)
        if agreement is not None:
            query = query.where(columns.agreement_id == agreement)
        if states:
            query = query.where(columns.state.in_([one.value for one in states]))
        with self._reading() as connection:
            return [_submission(row) for row in connection.execute(query)]

    def of_delivery(self, delivery_id: str) -> Submission | None:
        """That whose data a delivery of the ledger is."""
        if not delivery_id.isdigit() or len(delivery_id) > 18:
            return None
        with self._reading() as connection:
            row = connection.execute(sa.select(submissions_table).where(submissions_table.c.delivery_id == int(delivery_id))).first()
        return _submission(row) if row else None

    def open_count(self, agency: str) -> int:
        columns = submissions_table.c
        query = sa.select(sa.func.count()).where(columns.agency == agency, columns.state.in_([one.value for one in OPEN]))
        with self._reading() as connection:
            return connection.scalar(query)

    # -- acts

    def add(
        self, *, agreement_id: str, agency: str, dataset: str, due: date | None, happened: date | None, wanted: Mapping, file_name: str, made_by: str,
        replaces: str = "",
    ) -> Submission:
        made = Submission(
            submission_id=secrets.token_hex(16), agreement_id=agreement_id, agency=agency, dataset=dataset, due=due, happened=happened, wanted=wanted,
            state=SubmissionState.AWAITING, made=self.clock(), made_by=made_by, replaces=replaces, file_name=file_name,
        )
        with self.writing() as connection:
            connection.execute(submissions_table.insert().values(**_row(made)))
            self._note(connection, made.submission_id, "announced", made_by, "")
        return made

    def move(self, submission_id: str, move: Move, connection: sa.Connection | None = None) -> bool:
        """False where it is in no such state: then nothing is done. With a `connection` it is part of the transaction of whoever has it."""
        columns = submissions_table.c
        values = {"state": move.state.value, "claim": "", "lease": None, **move.values}
        if not move.state.is_open:
            values |= {"ended": utc(self.clock()), "step": ""}
        there = sa.and_(columns.submission_id == submission_id, columns.state.in_([one.value for one in move.among]))
        with self.writing(connection) as within:
            if not within.execute(submissions_table.update().where(there).values(**values)).rowcount:
                return False
            self._note(within, submission_id, move.act, move.actor, move.text)
        return True

    @staticmethod
    def set(connection: sa.Connection, submission_id: str, **values) -> None:
        """What became known with an act, in its transaction."""
        connection.execute(submissions_table.update().where(submissions_table.c.submission_id == submission_id).values(**values))

    # -- for workers

    def has_work(self) -> bool:
        with self._reading() as connection:
            return connection.execute(sa.select(submissions_table.c.submission_id).where(_is_free(self.clock())).limit(1)).first() is not None

    def take(self, worker: str) -> Submission | None:
        """The oldest that nobody works on, claimed for `worker`: to be checked, or to be published. None where there is none."""
        if not self.has_work():
            return None
        columns, moment = submissions_table.c, self.clock()
        query = sa.select(submissions_table).where(_is_free(moment)).order_by(columns.made, columns.submission_id).limit(1).with_for_update(skip_locked=True)
        with self.writing() as connection:
            row = connection.execute(query).first()
            if row is None:
                return None
            state = SubmissionState.PUBLISHING if row.state == SubmissionState.PUBLISHING.value else SubmissionState.CHECKING
            changes = {"state": state.value, "claim": worker, "lease": utc(moment + LEASE), "attempts": row.attempts + 1}
            connection.execute(submissions_table.update().where(columns.submission_id == row.submission_id).values(**changes))
            return _submission(connection.execute(_the(row.submission_id)).first())

    def report(self, submission: Submission, worker: str, step: str | None = None) -> None:
        """Go on with it. Raises ClaimLost."""
        values = {"lease": utc(self.clock() + LEASE)} | ({} if step is None else {"step": step})
        with self.writing() as connection:
            self.check_claim(connection, submission, worker, **values)

    @staticmethod
    def check_claim(connection: sa.Connection, submission: Submission, worker: str, **values) -> None:
        """Raises ClaimLost."""
        columns = submissions_table.c
        claimed = sa.and_(columns.submission_id == submission.submission_id, columns.claim == worker, columns.state == submission.state.value)
        if not connection.execute(submissions_table.update().where(claimed).values(**(values or {"claim": worker}))).rowcount:
            raise ClaimLost(submission.submission_id)

    def is_claimed(self, submission: Submission, worker: str) -> bool:
        now = self.get(submission.submission_id)
        return now.state is submission.state and now.claim == worker

    def hand_back(self, submission: Submission, worker: str) -> None:
        """For another worker: nothing is wrong with it. Raises ClaimLost."""
        state = SubmissionState.QUEUED if submission.state is SubmissionState.CHECKING else submission.state
        with self.writing() as connection:
            self.check_claim(connection, submission, worker, state=state.value, claim="", lease=None, attempts=max(0, submission.attempts - 1))

    # -- within

    def _note(self, connection: sa.Connection, submission_id: str, act: str, actor: str, text: str) -> None:
        connection.execute(acts_table.insert().values(submission_id=submission_id, at=utc(self.clock()), act=act, actor=actor, text=text))

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with _told(), self.database.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, joined: sa.Connection | None = None) -> Iterator[sa.Connection]:
        """A transaction of its own, or that which is `joined`."""
        if joined is not None:
            yield joined
            return
        with _told(), writing(self.database) as connection:
            yield connection


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise RegisterUnavailable("the submissions can't be read or written") from error


def _the(submission_id: str) -> sa.Select:
    return sa.select(submissions_table).where(submissions_table.c.submission_id == submission_id)


def _is_free(moment: datetime) -> sa.ColumnElement[bool]:
    columns = submissions_table.c
    is_left = sa.or_(columns.lease.is_(None), columns.lease < utc(moment))
    return sa.or_(columns.state == SubmissionState.QUEUED.value, sa.and_(columns.state.in_([SubmissionState.CHECKING.value, SubmissionState.PUBLISHING.value]), is_left))


def _row(one: Submission) -> dict:
    values = {name: getattr(one, name) for name in Submission.__slots__}
    return values | {
        "state": one.state.value, "made": utc(one.made), "received": utc(one.received), "ended": utc(one.ended), "wanted": dict(one.wanted), "lease": None,
    }


def _submission(row: sa.Row) -> Submission:
    values = {name: getattr(row, name) for name in Submission.__slots__}
    return Submission(**values | {
        "state": SubmissionState(row.state), "made": from_database(row.made), "received": from_database(row.received), "ended": from_database(row.ended),
    })


def withdraw_forgotten(settings: Settings, book: SubmissionBook, at: datetime) -> Iterator[str]:
    """A sentence for each that was announced and never sent."""
    for one in book.list(states=[SubmissionState.AWAITING]):
        move = Move(state=SubmissionState.WITHDRAWN, among=[SubmissionState.AWAITING], act="withdrawn", actor="(system)")
        if one.made < at - FORGOTTEN and book.move(one.submission_id, move):
            tidy(settings, one.submission_id, SubmissionState.WITHDRAWN)
            yield f"submission {one.submission_id} of {one.agency} was announced {FORGOTTEN.days} days ago and never sent: withdrawn"
