"""The book of corrections: what was reported, every act on it, and the letters that tell of it, each written in the transaction of its act."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from agreements.errors import RegisterUnavailable
from agreements.life.workdays import WorkCalendar
from agreements.model import BUREAU
from agreements.record import Contact
from agreements.register import AgreementRegister
from geoserver_app.clock import SHANGHAI, end_of_day
from geoserver_app.corrections.tickets import (
    LONGEST_TEXT,
    SILENT_DAYS,
    CorrectionInvalid,
    Kind,
    Move,
    NoSuchCorrection,
    State,
    Ticket,
    check_move,
    closing_day,
    due_day,
)
from geoserver_app.database import from_database, utc, writing
from geoserver_app.giving.letters import contacts_of, write_letter
from geoserver_app.giving.tables import corrections_table, moves_table
from geoserver_app.messages import CHINESE, sentence

MOST_OPEN = 500
"""Corrections of one agency that are not over: beyond, somebody's program runs wild."""

LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Of ids: those that nobody takes for another when they are read out."""

SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which corrections; None is all. `bounds` are west, south, east, north in degrees."""

    agency: str | None = None
    layer: str | None = None
    state: State | None = None
    is_open: bool | None = None
    is_overdue: bool = False
    bounds: tuple[float, float, float, float] | None = None


class CorrectionBook:
    """Raises RegisterUnavailable where the database can't be read or written."""

    def __init__(self, database: sa.Engine, register: AgreementRegister, clock: Callable[[], datetime], working: WorkCalendar, answer_days: int = 10):
        self.database, self.register, self.clock, self.working, self.answer_days = database, register, clock, working, answer_days

    # -- reading

    def list(self, wanted: Wanted = Wanted()) -> list[Ticket]:
        """The newest first."""
        columns, query = corrections_table.c, sa.select(corrections_table)
        for column, value in ((columns.agency, wanted.agency), (columns.layer, wanted.layer), (columns.state, wanted.state and wanted.state.value)):
            if value is not None:
                query = query.where(column == value)
        if wanted.is_open is not None:
            over = columns.state.in_([one.value for one in State if one.is_over])
            query = query.where(~over if wanted.is_open else over)
        at = self.clock()
        with self._told(self.database.connect()) as connection:
            found = [_ticket(row) for row in connection.execute(query.order_by(columns.made.desc(), columns.correction_id))]
        return [
            one for one in found
            if (not wanted.is_overdue or one.is_overdue(at)) and (wanted.bounds is None or _touches(one.place, wanted.bounds))
        ]

    def get(self, correction_id: str, agency: str | None = None) -> Ticket:
        """With `agency`, none but its own. Raises NoSuchCorrection."""
        with self._told(self.database.connect()) as connection:
            return _found(connection, correction_id, agency)

    def moves(self, correction_id: str) -> Sequence[Move]:
        """Oldest first."""
        query = sa.select(moves_table).where(moves_table.c.correction_id == correction_id).order_by(moves_table.c.number)
        with self._told(self.database.connect()) as connection:
            return [Move(at=from_database(row.at), state=State(row.state), actor=row.actor, text=row.text) for row in connection.execute(query)]

    # -- acts

    def check_room(self, agency: str) -> None:
        """Raises CorrectionInvalid where the agency has as many open as may be."""
        held = len(self.list(Wanted(agency=agency, is_open=True)))
        if held >= MOST_OPEN:
            raise CorrectionInvalid("correction-waiting", count=str(held), most=str(MOST_OPEN))

    def report(
        self, *, agency: str, by: str, layer: str, edition: str, kind: Kind, place: Mapping, text: str, feature: str = "", picture: str = "",
    ) -> Ticket:
        at = self.clock()
        ticket = Ticket(
            correction_id=new_id(), agency=agency, made=at, made_by=by, layer=layer, edition=edition, feature=feature, kind=kind, place=place,
            text=text.strip()[:LONGEST_TEXT], picture=picture, state=State.REPORTED, due=due_day(at, self.working, self.answer_days),
        )
        with self._told(writing(self.database)) as connection:
            connection.execute(corrections_table.insert().values(**_row(ticket)))
            _note(connection, ticket.correction_id, at, State.REPORTED, by, ticket.text)
        return ticket

    def move(
        self, correction_id: str, to: State, *, by: str, text: str = "", fixed_in: str = "", agency: str | None = None,
        has_edition: Callable[[str, str], bool] = lambda layer, edition: True,
    ) -> Ticket:
        """Move it: by the bureau, or with `agency` by who reported it. `has_edition` says whether a layer has an edition.

        Raises
        ------
        NoSuchCorrection, CorrectionInvalid
            It is another's or none; it can't go there, or not without words, or not without the edition in which it is mended.
        """
        at, text = self.clock(), text.strip()[:LONGEST_TEXT]
        with self._told(writing(self.database)) as connection:
            ticket = _found(connection, correction_id, agency)
            check_move(ticket, to, text, is_bureau=agency is None)
            if to is State.MENDED and not has_edition(ticket.layer, fixed_in):
                raise CorrectionInvalid("correction-fixed-in", edition=fixed_in, layer=ticket.layer)
            moved = self._moved(ticket, to, at, text, fixed_in)
            connection.execute(corrections_table.update().where(corrections_table.c.correction_id == correction_id).values(**_row(moved)))
            _note(connection, correction_id, at, to, by, text)
            if agency is None:
                self._write(connection, moved, f"letter-correction-{to.value}", ticket.agency, at, text)
        return moved

    def _moved(self, ticket: Ticket, to: State, at: datetime, text: str, fixed_in: str) -> Ticket:
        if to in (State.ANSWERED, State.MENDED, State.REFUSED):
            return replace(ticket, state=to, answered=at, reasons=text, fixed_in=fixed_in if to is State.MENDED else "")
        if to is State.REOPENED:
            return replace(
                ticket, state=to, answered=None, ended=None, reasons="", fixed_in="", reminded=None, due=due_day(at, self.working, self.answer_days),
            )
        return replace(ticket, state=to, ended=at if to.is_over else None)

    # -- what the clock does

    def close_silent(self) -> Sequence[Ticket]:
        """Closes what has an outcome against which nothing was said for `SILENT_DAYS` working days."""
        at, closed = self.clock(), []
        for ticket in self.list(Wanted(is_open=True)):
            if not ticket.state.has_outcome or at < end_of_day(closing_day(ticket, self.working)):
                continue
            text = sentence("correction-silent", {"days": str(SILENT_DAYS)}, CHINESE)
            columns, over = corrections_table.c, replace(ticket, state=State.CLOSED, ended=at)
            still = (columns.correction_id == ticket.correction_id) & (columns.state == ticket.state.value)
            with self._told(writing(self.database)) as connection:
                if connection.execute(corrections_table.update().where(still).values(**_row(over))).rowcount:
                    _note(connection, ticket.correction_id, at, State.CLOSED, SYSTEM, text)
                    self._write(connection, over, "letter-correction-closed", ticket.agency, at, text)
                    closed.append(over)
        return closed

    def remind(self) -> Sequence[Ticket]:
        """A letter to the bureau for each that is late: on the first working day after the due day, and once a week then."""
        at, told = self.clock(), []
        today = at.astimezone(SHANGHAI).date()
        if not self.working.is_working_day(today):
            return told
        for ticket in self.list(Wanted(is_open=True, is_overdue=True)):
            if ticket.reminded is not None and (today - ticket.reminded).days < 7:
                continue
            columns = corrections_table.c
            still = (columns.correction_id == ticket.correction_id) & (columns.state == ticket.state.value) & columns.reminded.is_not_distinct_from(ticket.reminded)
            with self._told(writing(self.database)) as connection:
                if connection.execute(corrections_table.update().where(still).values(reminded=today)).rowcount:
                    self._write(connection, ticket, "letter-correction-late", BUREAU, at, "")
                    told.append(ticket)
        return told

    def _write(self, connection: sa.Connection, ticket: Ticket, code: str, agency: str, at: datetime, text: str) -> None:
        detail = {"ticket": ticket.correction_id, "layer": ticket.layer, "agency": ticket.agency, "due": ticket.due.isoformat(), "text": text or "-"}
        write_letter(connection, agency=agency, code=code, detail=detail, contacts=self._contacts(ticket.agency, agency), at=at)

    def _contacts(self, grantee: str, agency: str) -> tuple[Contact, ...]:
        """Whom `agency` named in the agreements with the one that reported."""
        return tuple({one: None for agreement in self.register.list() if agreement.grantee == grantee for one in contacts_of(agreement, agency)})

    @contextmanager
    def _told(self, opened) -> Iterator[sa.Connection]:
        try:
            with opened as connection:
                yield connection
        except SQLAlchemyError as error:
            raise RegisterUnavailable("the corrections can't be read or written") from error


def new_id() -> str:
    """As it is read out on the telephone.

    >>> len(new_id())
    9
    """
    drawn = "".join(secrets.choice(LETTERS) for _ in range(8))
    return f"{drawn[:4]}-{drawn[4:]}"


# -- figures

@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How a number of corrections stand. `in_time` of the `answered` ones were answered by their due day; `days` is the median of working days they took."""

    count: int
    open: int
    overdue: int
    answered: int
    in_time: int
    days: float | None
    by_state: Mapping[str, int]
    by_kind: Mapping[str, int]
    by_layer: Mapping[str, int]


def figures(tickets: list[Ticket], working: WorkCalendar, at: datetime) -> Figures:
    answered = [one for one in tickets if one.answered is not None]
    took = sorted(working.working_days_between(_day(one.made), _day(one.answered)) for one in answered)
    middle = len(took) // 2
    return Figures(
        count=len(tickets), open=sum(not one.state.is_over for one in tickets), overdue=sum(one.is_overdue(at) for one in tickets), answered=len(answered),
        in_time=sum(one.answered < end_of_day(one.due) for one in answered),
        days=None if not took else float(took[middle]) if len(took) % 2 else (took[middle - 1] + took[middle]) / 2,
        by_state=Counter(one.state.value for one in tickets), by_kind=Counter(one.kind.value for one in tickets),
        by_layer=Counter(one.layer for one in tickets),
    )


def _day(moment: datetime) -> date:
    return moment.astimezone(SHANGHAI).date()


# -- rows

def _found(connection: sa.Connection, correction_id: str, agency: str | None) -> Ticket:
    row = connection.execute(sa.select(corrections_table).where(corrections_table.c.correction_id == correction_id)).first()
    if row is None or (agency is not None and row.agency != agency):
        raise NoSuchCorrection(correction_id)
    return _ticket(row)


def _note(connection: sa.Connection, correction_id: str, at: datetime, state: State, actor: str, text: str) -> None:
    connection.execute(moves_table.insert().values(correction_id=correction_id, at=utc(at), state=state.value, actor=actor, text=text))


def _row(ticket: Ticket) -> dict:
    return {
        "correction_id": ticket.correction_id, "agency": ticket.agency, "made": utc(ticket.made), "made_by": ticket.made_by, "layer": ticket.layer,
        "edition": ticket.edition, "feature": ticket.feature, "kind": ticket.kind.value, "place": dict(ticket.place), "text": ticket.text,
        "picture": ticket.picture, "state": ticket.state.value, "due": ticket.due, "fixed_in": ticket.fixed_in, "reasons": ticket.reasons,
        "answered": utc(ticket.answered), "ended": utc(ticket.ended), "reminded": ticket.reminded,
    }


def _ticket(row: sa.Row) -> Ticket:
    held = dict(row._mapping)
    moments = {name: from_database(held[name]) for name in ("made", "answered", "ended")}
    return Ticket(**held | moments | {"kind": Kind(held["kind"]), "state": State(held["state"])})


def _touches(place: Mapping, bounds: tuple[float, float, float, float]) -> bool:
    west, south, east, north = bounds_of(place)
    return west <= bounds[2] and east >= bounds[0] and south <= bounds[3] and north >= bounds[1]


def bounds_of(place: Mapping) -> tuple[float, float, float, float]:
    """west, south, east, north of GeoJSON geometry."""
    points = list(_points(place["coordinates"]))
    return min(x for x, _ in points), min(y for _, y in points), max(x for x, _ in points), max(y for _, y in points)


def _points(coordinates) -> Iterator[tuple[float, float]]:
    if isinstance(coordinates[0], int | float):
        yield coordinates[0], coordinates[1]
        return
    for one in coordinates:
        yield from _points(one)
