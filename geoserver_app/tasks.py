"""What waits to be done in this instance: the life of agreements, contributions that are late, and whatever else adds itself to `SOURCES`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from agreements.errors import DocumentInvalid, Fault
from agreements.life.tasks import Desk, Task, in_order, open_tasks
from agreements.life.workdays import WorkCalendar, read_calendar
from agreements.model import Agreement
from agreements.register import AgreementRegister
from geoserver_app.asking import RequestBook, request_tasks
from geoserver_app.boundaries import boundary_tasks
from geoserver_app.contributions import ContributionBook, contribution_tasks
from geoserver_app.corrections.book import CorrectionBook, Wanted
from geoserver_app.corrections.tickets import tasks_of as correction_tasks
from geoserver_app.giving.book import SubmissionBook
from geoserver_app.giving.submissions import OPEN
from geoserver_app.giving.tasks import submission_tasks
from layers.catalogue import Catalogue
from layers.model import CatalogueSnapshot, LayerName

HOLIDAYS = "holidays.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What tasks are read from."""

    register: AgreementRegister
    catalogue: Catalogue
    book: ContributionBook
    config: Path


def waiting(office: Office, at: datetime) -> tuple[Task, ...]:
    """Everything that waits, the most pressing first."""
    return in_order(task for source in SOURCES for task in source(office, at))


def calendar(config: Path) -> WorkCalendar:
    """Working days by config/holidays.csv; without that table every weekday is one. Raises DocumentInvalid with every bad row."""
    path = config / HOLIDAYS
    return read_calendar(table_text(path), HOLIDAYS) if path.exists() else WorkCalendar()


def table_text(path: Path) -> str:
    """Raises DocumentInvalid where it is not UTF-8."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        fault = Fault(None, "table", f"byte {error.start + 1} is not UTF-8 text: save it as `CSV UTF-8`")
        raise DocumentInvalid(path.name, (fault,)) from error


def of_agreements(office: Office, at: datetime) -> Iterable[Task]:
    known = office.catalogue.snapshot()
    desk = Desk(at=at, calendar=calendar(office.config), is_published=lambda agreement: is_published(agreement, known))
    return open_tasks(office.register.cases(), desk)


def is_published(agreement: Agreement, known: CatalogueSnapshot) -> bool:
    """Whether every layer that it names is in the catalogue, and something of every product."""
    products = {layer.product.value for layer in known.layers.values() if layer.owner == agreement.grantor}
    return all(
        grant.products <= products and all(known.find(LayerName.parse(name)) is not None for name in grant.layers) for grant in agreement.grants
    )


def of_contributions(office: Office, at: datetime) -> Iterable[Task]:
    """What was handed in as a file is checked and decided as a submission: it is one task, not two."""
    submitted = {(one.agreement_id, one.dataset, one.due) for one in SubmissionBook(office.book.database, lambda: at).list(states=OPEN)}
    for entries in office.book.ledgers(office.book.agreements(), at).values():
        yield from (task for task in contribution_tasks(entries, at) if task.kind != "contribution-check" or _period(task) not in submitted)


def _period(task: Task) -> tuple[str, str, date]:
    return task.agreement_id, task.detail["dataset"], date.fromisoformat(task.detail["due"])


def of_boundaries(office: Office, at: datetime) -> Iterable[Task]:
    return boundary_tasks(office.catalogue, office.register, at)


def of_requests(office: Office, at: datetime) -> Iterable[Task]:
    return request_tasks(RequestBook(office.book.database, lambda: at).list(), calendar(office.config))


def of_submissions(office: Office, at: datetime) -> Iterable[Task]:
    return submission_tasks(SubmissionBook(office.book.database, lambda: at).list())


def of_corrections(office: Office, at: datetime) -> Iterable[Task]:
    working = calendar(office.config)
    return correction_tasks(CorrectionBook(office.book.database, office.register, lambda: at, working).list(Wanted(is_open=True)), working)


Source = Callable[[Office, datetime], Iterable[Task]]

SOURCES: tuple[Source, ...] = (of_agreements, of_contributions, of_boundaries, of_corrections, of_requests, of_submissions)
