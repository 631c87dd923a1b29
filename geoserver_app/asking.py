"""What agencies ask for beside what they have: kept until the bureau has answered, within the working days in which it answers anything.

An answer gives nothing: what is shared is what an agreement says. It names the draft that will say so, or why there will be none.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from agreements.errors import RegisterUnavailable
from agreements.life.lifecycle import Deadlines
from agreements.life.tasks import OFFICE, Task
from agreements.life.workdays import Due, WorkCalendar
from geoserver_app.database import from_database, utc, writing
from geoserver_app.messages import CHINESE, ENGLISH, sentence

metadata = sa.MetaData()

requests_table = sa.Table(
    "access_requests", metadata,
    sa.Column("request_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("agency", sa.String(63), nullable=False, index=True),
    sa.Column("asked", sa.DateTime(timezone=True), nullable=False),
    sa.Column("asked_by", sa.Text, nullable=False),
    sa.Column("layers", sa.Text, nullable=False),
    sa.Column("divisions", sa.JSON, nullable=False),
    sa.Column("purpose", sa.String(100), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("outcome", sa.String(10), nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("agreement_id", sa.String(100), nullable=False),
    sa.Column("answered", sa.DateTime(timezone=True)),
    sa.Column("answered_by", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)


class RequestInvalid(Exception):
    """`code` names a sentence of `geoserver_app.messages`."""

    def __init__(self, code: str, **detail: str):
        super().__init__(sentence(code, detail, ENGLISH))
        self.code, self.detail = code, detail


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRequest:
    """`layers` are in the agency's own words, `divisions` codes, `purpose` a code or "". `outcome` is "" until it is answered: then `accepted`, with
    the number of the agreement or draft in which it goes on where there is one, or `refused`."""

    request_id: int
    agency: str
    asked: datetime
    asked_by: str
    layers: str
    divisions: tuple[str, ...]
    purpose: str
    reason: str
    outcome: str = ""
    answer: str = ""
    agreement_id: str = ""
    answered: datetime | None = None
    answered_by: str = ""


class RequestBook:
    """Requests of agencies. Raises RegisterUnavailable where the database can't be read or written."""

    def __init__(self, database: sa.Engine, clock: Callable[[], datetime]):
        self._database, self._clock = database, clock

    def list(self, agency: str | None = None) -> list[AccessRequest]:
        """The newest first; with `agency`, its own alone."""
        wanted = sa.select(requests_table).order_by(requests_table.c.request_id.desc())
        if agency is not None:
            wanted = wanted.where(requests_table.c.agency == agency)
        with self._connected(self._database.connect()) as connection:
            return [_request(row) for row in connection.execute(wanted)]

    def get(self, request_id: int) -> AccessRequest:
        """Raises RequestInvalid."""
        with self._connected(self._database.connect()) as connection:
            return _found(connection, request_id)

    def ask(self, agency: str, *, layers: str, divisions: Sequence[str], purpose: str, reason: str, by: str) -> AccessRequest:
        moment = self._clock()
        values = {
            "agency": agency, "asked": utc(moment), "asked_by": by, "layers": layers, "divisions": list(divisions), "purpose": purpose, "reason": reason,
            "outcome": "", "answer": "", "agreement_id": "", "answered_by": "",
        }
        with self._connected(writing(self._database)) as connection:
            made = connection.execute(requests_table.insert().values(**values)).inserted_primary_key[0]
            return _found(connection, made)

    def answer(self, request_id: int, outcome: str, answer: str, *, agreement_id: str = "", by: str) -> AccessRequest:
        """Raises RequestInvalid where there is no such request, or where it is answered already."""
        moment = self._clock()
        with self._connected(writing(self._database)) as connection:
            held = _found(connection, request_id)
            if held.outcome:
                raise RequestInvalid("request-answered", request=str(request_id))
            connection.execute(
                requests_table.update().where(requests_table.c.request_id == request_id).values(
                    outcome=outcome, answer=answer, agreement_id=agreement_id, answered=utc(moment), answered_by=by,
                )
            )
        return replace(held, outcome=outcome, answer=answer, agreement_id=agreement_id, answered=moment, answered_by=by)

    @contextmanager
    def _connected(self, opened) -> Iterator[sa.Connection]:
        try:
            with opened as connection:
                yield connection
        except SQLAlchemyError as error:
            raise RegisterUnavailable("the requests can't be read or written") from error


def _found(connection: sa.Connection, request_id: int) -> AccessRequest:
    row = connection.execute(sa.select(requests_table).where(requests_table.c.request_id == request_id)).first()
    if row is None:
        raise RequestInvalid("request-not-defined", request=str(request_id))
    return _request(row)


def _request(row: sa.Row) -> AccessRequest:
    held = dict(row._mapping)
    return AccessRequest(**held | {
        "asked": from_database(held["asked"]), "answered": from_database(held["answered"]), "divisions": tuple(held["divisions"]),
    })


# -- until when

def due(request: AccessRequest, working: WorkCalendar) -> Due:
    """As an application that concerns what is not published yet."""
    return working.due(request.asked, Deadlines().answer)


def request_tasks(requests: Sequence[AccessRequest], working: WorkCalendar) -> Iterator[Task]:
    """For the bureau alone: the agency has asked, and waits."""
    for one in requests:
        if not one.outcome:
            until, told = due(one, working), {"request": str(one.request_id), "agency": one.agency, "layers": one.layers[:100]}
            yield Task(
                kind="request", agreement_id="", due=until.moment, roles=OFFICE, zh=sentence("task-request", told, CHINESE),
                en=sentence("task-request", told, ENGLISH), assumed=until.assumed, detail={"request": one.request_id},
            )
