"""What an agency says of a dataset before it sends it, checked against its agreement, its layers and the clock."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from agreements.life.ledger import Period, cadence_of
from agreements.record import Contribution
from geoserver_app.clock import SHANGHAI
from geoserver_app.contributions import ContributionBook, ContributionInvalid
from geoserver_app.contributions.book import contribution_owed
from geoserver_app.giving.declared import DeclaredTable
from geoserver_app.messages import ENGLISH, sentence
from geoserver_app.overlays.asking import SHORT, VECTORS, is_reserved, stem_of
from geoserver_app.settings import CLASSIFICATIONS, Settings
from layers.model import EDITION, CatalogueSnapshot, ProductType

LONGEST_LAYER = 63


class SubmissionInvalid(Exception):
    """It can't be handed in, or done, like this. `code` and `detail` name a sentence; `field` is what of the request is wrong, "" where it is none."""

    def __init__(self, code: str, field: str = "", /, **detail: object):
        self.code, self.field, self.detail = code, field, {name: str(value) for name, value in detail.items()}
        super().__init__(sentence(code, self.detail, ENGLISH))

    def told(self, language: str) -> str:
        return sentence(self.code, self.detail, language)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What a submission is for. `start` is the first day of the period, for an event the day of it."""

    agency: str
    contribution: Contribution
    due: date | None
    start: date | None


def owed(book: ContributionBook, agreement_id: str, dataset: str, due: date | None, happened: date | None, at: datetime) -> Owed:
    """The period that a delivery of now would be for: the oldest open one unless `due` names another.

    Raises
    ------
    AgreementNotDefined, ContributionInvalid
        There is no such agreement, dataset or period.
    """
    versions = book.versions(agreement_id)
    contribution = contribution_owed(versions, agreement_id, dataset)
    agency = versions[-1].grantee
    if happened is not None:
        if contribution.cadence:
            raise ContributionInvalid("contribution-has-cadence", dataset=dataset, cadence=contribution.cadence)
        return Owed(agency=agency, contribution=contribution, due=None, start=happened)
    entries = [one for one in book.ledger(agreement_id, at) if one.period.dataset == dataset]
    found = next((one for one in entries if (one.period.due == due if due is not None else one.is_open)), None)
    if found is None and due is not None:
        told = ", ".join(str(one.period.due) for one in entries[-4:]) or "-"
        raise ContributionInvalid("contribution-no-period", dataset=dataset, day=due.isoformat(), days=told)
    if found is None:
        raise ContributionInvalid("contribution-nothing-open", dataset=dataset)
    return Owed(agency=agency, contribution=contribution, due=found.period.due, start=start_of(found.period))


def start_of(period: Period) -> date:
    """The first day of what is owed: after the due day before it; of an event, its day.

    A quarter that is due on its last day begins the day after the last one of the quarter before.
    """
    if period.happened is not None:
        return period.happened
    return cadence_of(period.contribution.cadence).after(period.due, -1) + timedelta(days=1)




# What it will be called

def layer_for(agency: str, said: str, declared: DeclaredTable, agencies: Collection[str], snapshot: CatalogueSnapshot) -> str:
    """The layer: as the agency says, else as the dataset is declared; always with the agency's id before it.

    Raises
    ------
    SubmissionInvalid
        It is no name, falls into another agency's names, or is something else already.
    """
    short = said or declared.layer or "given"
    name = short if short.startswith(f"{agency}-") else f"{agency}-{short}"
    if not SHORT.fullmatch(name) or len(name) > LONGEST_LAYER or is_reserved(agency, name, agencies):
        raise SubmissionInvalid("submission-layer", "layer", layer=name[:80], example=f"{agency}-{declared.layer or 'given'}")
    known = snapshot.layers.get(name)
    if known is not None and (known.owner != agency or known.product is not ProductType.OVERLAY):
        raise SubmissionInvalid("submission-layer-taken", "layer", layer=name)
    return name


def edition_for(layer: str, said: str, day: date, snapshot: CatalogueSnapshot) -> str:
    """As the agency says, else the day up to which it is true, with a number where that is taken. Raises SubmissionInvalid."""
    known = snapshot.layers.get(layer)
    taken = {one.name for one in known.editions} if known else set()
    if not said:
        return next(name for name in (day.isoformat(), *(f"{day.isoformat()}.{number}" for number in range(2, 10_000))) if name not in taken)
    if not EDITION.fullmatch(said):
        raise SubmissionInvalid("submission-edition", "edition", edition=said[:40])
    if said in taken:
        raise SubmissionInvalid("submission-edition-there", "edition", layer=layer, edition=said)
    return said


def file_kind(name: str) -> tuple[str, str]:
    """Stem and suffix of a file, as it is kept. Raises SubmissionInvalid."""
    suffix = next((one for one in VECTORS if name.lower().endswith(one)), None)
    if suffix is None:
        told = name.replace("\\", "/").rpartition("/")[2]
        raise SubmissionInvalid("submission-suffix", "file", suffix=f".{told.rpartition('.')[2]}"[:20] if "." in told else "-", choices=", ".join(VECTORS))
    return stem_of(name), suffix


def check_currency(since: date | None, until: date, at: datetime) -> None:
    """Raises SubmissionInvalid."""
    if (since is not None and since > until) or until > at.astimezone(SHANGHAI).date():
        raise SubmissionInvalid("submission-currency", "currency_to")


def check_classification(settings: Settings, said: str, layer: str, snapshot: CatalogueSnapshot) -> None:
    """Raises SubmissionInvalid."""
    known = snapshot.layers.get(layer)
    rank = CLASSIFICATIONS.index(said)
    if rank > CLASSIFICATIONS.index(settings.ceiling) or (known is not None and rank < int(known.classification)):
        raise SubmissionInvalid("submission-classification", "classification", ceiling=settings.ceiling)
