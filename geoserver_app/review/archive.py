"""What a review is made from, and what all of its papers share."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from agreements.life.history import Event
from agreements.life.ledger import Entry
from agreements.life.tasks import Task
from agreements.model import Agreement
from agreements.register import AgreementRegister
from geoserver_app.clock import SHANGHAI
from geoserver_app.contributions import ContributionBook
from geoserver_app.messages import CHINESE, ENGLISH, sentence
from geoserver_app.review.paper import Paper
from geoserver_app.review.questions import Scope
from geoserver_app.review.words import told
from layers.catalogue import Catalogue

LONGEST_PACK = 1100
"""Days: three years and a bit."""

SOON = 183
"""Days before its end in which an agreement ends soon."""


class ReviewInvalid(ValueError):
    """The review can't be made as asked. `code` and `detail` name one of the sentences of `geoserver_app.messages`."""

    def __init__(self, code: str, **detail: str):
        super().__init__(sentence(code, detail, ENGLISH))
        self.code, self.detail = code, detail

    def told(self, language: str) -> str:
        return sentence(self.code, self.detail, language)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """`decisions` is the folder of the decision record, `config` that of the indicators, `at` when the review is made: ledgers, states and `tasks`
    are as of now."""

    decisions: Path
    config: Path
    register: AgreementRegister
    catalogue: Catalogue
    book: ContributionBook
    at: datetime
    tasks: tuple[Task, ...] = ()


def check_period(first: date, last: date) -> None:
    if last < first:
        raise ReviewInvalid("review-period-none", first=first.isoformat(), last=last.isoformat())
    if (last - first).days > LONGEST_PACK:
        raise ReviewInvalid("review-period-long", days=str(LONGEST_PACK))


def names_of(archive: Archive, language: str) -> dict[str, str]:
    return {one.agency_id: one.name_zh if language == CHINESE else one.name_en for one in archive.register.agencies()}


def standing_now(archive: Archive) -> list[Agreement]:
    """The newest version of each agreement that is or was in force."""
    return [versions[-1] for versions in archive.book.agreements().values()]


def is_within(event: Event, scope: Scope) -> bool:
    return scope.first <= event.at.astimezone(SHANGHAI).date() <= scope.last


def is_of(entry: Entry, scope: Scope) -> bool:
    """Whether a period of a contribution is of the days reviewed: it was to come in them, something came in them, or it is still open."""
    came = any(scope.first <= one.received.astimezone(SHANGHAI).date() <= scope.last for one in entry.deliveries)
    return came or entry.is_open or scope.first <= entry.period.last_day <= scope.last


def end_day(agreement: Agreement) -> date:
    return (agreement.term.end - timedelta(microseconds=1)).astimezone(SHANGHAI).date()


def ends_soon(agreement: Agreement, at: datetime) -> bool:
    return agreement.term.end is not None and at < agreement.term.end <= at + timedelta(days=SOON)


def term_of(paper: Paper, agreement: Agreement) -> str:
    start = agreement.term.start.astimezone(SHANGHAI).date().isoformat() if agreement.term.start else paper.word("open-end")
    end = end_day(agreement).isoformat() if agreement.term.end else paper.word("open-end")
    return f"{start} — {end}"


def period_of(paper: Paper, scope: Scope) -> str:
    return paper.word("from-to", first=scope.first, last=scope.last, days=(scope.last - scope.first).days + 1)


def footer_of(paper: Paper, number_: str, scope: Scope, at: datetime) -> str:
    return "  ".join(part for part in (number_, f"{scope.first} – {scope.last}", f"{paper.word('made')} {told(at, 'made', paper.language)}") if part)
