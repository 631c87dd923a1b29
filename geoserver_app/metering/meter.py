"""What the gate and the lane ask: whether a quota holds what is about to leave, counted in the same step.

All accounts of an answer are charged together or none is: their ledgers are locked in the order of their ids, every limit is looked at, then
everything is added. So no number of workers lets out more than a limit, and nothing leaves that was not counted.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from shapely.geometry.base import BaseGeometry

from agreements.model import Agreement
from geoserver_app.metering.book import Account, Bill, Book, Spent, Usage
from geoserver_app.metering.exports import Export, polygons_of
from geoserver_app.metering.headers import Headers, rate_limit
from geoserver_app.metering.ledger import Ledgers
from geoserver_app.metering.terms import terms_of
from geoserver_app.metering.windows import windows_at


class Charged(NamedTuple):
    """`spent` is empty where everything was counted, else nothing was. `headers` tell the caller what remains of his own agreements: of all that
    were counted on, else of those that are spent."""

    spent: Sequence[Spent]
    headers: Headers


FREE = Charged((), [])


@dataclass(frozen=True, slots=True)
class Reservation:
    """An export that is counted: `number` takes it back where nothing of it left."""

    number: uuid.UUID
    accounts: tuple[Account, ...]


class Meter:
    """Counts for one worker. May be shared by threads.

    Raises, from every method: MeteringUnavailable where an agreement's counters can't be read, written or believed.
    """

    def __init__(self, ledgers: Ledgers):
        self.ledgers = ledgers
        self._books: dict[str, Book] = {}

    def charge(self, bills: Sequence[Bill], now: float) -> Charged:
        """Count all bills at `now` (POSIX seconds), or none where one limit does not hold; no two of one account."""
        if not bills:
            return FREE
        books = [self._book(bill.account.agreement_id) for bill in bills]
        try:
            return _alone(books[0], bills[0], now) if len(bills) == 1 else _together(books, bills, now)
        except BaseException:
            for book in books:
                book.doubt()
            raise

    def remaining(self, accounts: Sequence[Account], at: datetime) -> Headers:
        """What answers tell that count nothing."""
        return self.charge([Bill(account) for account in accounts], at.timestamp()).headers

    def usage(self, agreement: Agreement, at: datetime) -> tuple[Usage, ...]:
        """How each limit of an agreement stands; nothing for one without a quota."""
        account = account_of(agreement)
        if account is None:
            return ()
        now = at.timestamp()
        windows, book = windows_at(now), self._book(agreement.agreement_id)
        with book.ledger:
            return tuple(book.usage(book.read(windows), account, now, windows))

    # -- exports

    def reserve_export(self, accounts: Sequence[Account], ground: BaseGeometry, at: datetime) -> Reservation | Spent:
        """Count an export of `ground` (CRS84) on all accounts, or on none: the limit of the first that does not hold it is the answer.

        Raises
        ------
        ValueError
            `ground` has no polygon: an export of nothing.
        """
        ground = polygons_of(ground)
        if ground.is_empty:
            raise ValueError("an export needs ground: its geometry holds no polygon")
        windows, export = windows_at(at.timestamp()), Export(number=uuid.uuid4(), at=at.timestamp(), ground=ground)
        accounts = tuple(sorted(accounts, key=lambda account: account.agreement_id))
        books = [self._book(account.agreement_id) for account in accounts]
        with _doubting(books), ExitStack() as locks:
            for book in books:
                locks.enter_context(book.ledger)
            read = [book.read(windows) for book in books]
            for account, book, counts in zip(accounts, books, read, strict=True):
                spent = book.plan_export(counts, account, ground)
                if spent is not None:
                    return spent
            for book, counts in zip(books, read, strict=True):
                book.record_export(counts, export)
        return Reservation(export.number, accounts)

    def release_export(self, reservation: Reservation, at: datetime) -> None:
        """Take back an export of which nothing left. Taking it back again changes nothing."""
        windows, back = windows_at(at.timestamp()), Export(number=reservation.number, at=at.timestamp(), ground=None)
        for account in reservation.accounts:
            book = self._book(account.agreement_id)
            with _doubting([book]), book.ledger:
                counts = book.read(windows)
                if book.has_exported(counts, reservation.number):
                    book.record_export(counts, back)

    # -- by hand

    def restart(self, agreement_id: str, at: datetime) -> None:
        """Begin the counts of an agreement anew: what was there is set aside, but its exports are counted again from their log."""
        self.ledgers.set_aside(agreement_id)
        book, windows = Book(agreement_id, self.ledgers.of(agreement_id)), windows_at(at.timestamp())
        with book.ledger:
            counts = book.read(windows)
            book.restore_exports(counts)
            book.ledger.write()

    # -- inside

    def _book(self, agreement_id: str) -> Book:
        book = self._books.get(agreement_id)
        if book is None:
            book = self._books.setdefault(agreement_id, Book(agreement_id, self.ledgers.of(agreement_id)))
        return book


def account_of(agreement: Agreement, *, is_own: bool = True) -> Account | None:
    """None for an agreement without a quota: nothing of it is counted."""
    if agreement.quota is None:
        return None
    start, end = agreement.term.start, agreement.term.end
    return Account(
        agreement_id=agreement.agreement_id, terms=terms_of(agreement.quota), is_own=is_own, starts=start and start.timestamp(),
        ends=end and end.timestamp(),
    )


def _alone(book: Book, bill: Bill, now: float) -> Charged:
    account, windows = bill.account, windows_at(now)
    with book.ledger:
        counts = book.read(windows)
        spent, steps = book.count(counts, bill, now, windows)
        if spent:
            counts = book.read(windows)
        else:
            book.settle(counts, account.terms, steps, windows)
        return Charged(spent, rate_limit(account, counts, now, windows) if account.is_own else [])


def _together(books: Sequence[Book], bills: Sequence[Bill], now: float) -> Charged:
    """Look at all, then count on all; with the locks of all held, which are taken in one order by everybody."""
    windows = windows_at(now)
    with ExitStack() as locks:
        spent, done = [], []
        for book, bill in sorted(zip(books, bills, strict=True), key=lambda pair: pair[0].agreement_id):
            locks.enter_context(book.ledger)
            counts = book.read(windows)
            against, steps = book.count(counts, bill, now, windows)
            spent += against
            done.append((book, bill, counts, steps))
        if spent:
            names = {one.account.agreement_id for one in spent}
            done = [(book, bill, book.read(windows), steps) for book, bill, _, steps in done if bill.account.agreement_id in names]
        else:
            for book, bill, counts, steps in done:
                book.settle(counts, bill.account.terms, steps, windows)
        return Charged(spent, [one for _, bill, counts, _ in done if bill.account.is_own for one in rate_limit(bill.account, counts, now, windows)])


@contextmanager
def _doubting(books: Sequence[Book]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for book in books:
            book.doubt()
        raise
