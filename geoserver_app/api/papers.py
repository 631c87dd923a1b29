"""Papers: the text that is signed, the packs of review meetings, the yearly evaluation; as a page (HTML), or to print (PDF)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from geoserver_app.agreement_text import registered_text
from geoserver_app.api.agreements import version_seen, versions_seen
from geoserver_app.api.faults import FieldFault, InputFaulty
from geoserver_app.api.operation import EVERYBODY, STAFF, Answer, Visit, operation
from geoserver_app.api.reading import Sent
from geoserver_app.api.tasks import tasks_of
from geoserver_app.papers import html, pdf
from geoserver_app.papers.blocks import Document
from geoserver_app.review.archive import Archive, ReviewInvalid
from geoserver_app.review.indicators import indicators_paper
from geoserver_app.review.pack import agreement_pack, group_pack

PAPERS = ("text/html", "application/pdf")

Form = Annotated[Literal["html", "pdf"], Field(description="A page, or to print.")]


class TextQuery(Sent):
    form: Form = "html"


class PackQuery(Sent):
    first: date
    last: Annotated[date, Field(description="Included.")]
    form: Form = "html"


class YearQuery(Sent):
    year: Annotated[int, Field(ge=2000, le=2199, description="Of this year, up to today.")]
    form: Form = "html"


@operation(
    "agreements.text", "GET /agreements/{agreement}/versions/{version}/text", "供双方签署的协议文本", "The Chinese text that the parties sign", roles=EVERYBODY,
    query=TextQuery, media_types=PAPERS,
)
def get_text(visit: Visit, agreement: str, version: str, query: TextQuery) -> Answer:
    one, _ = version_seen(visit, agreement, version)
    services = visit.services
    paper = registered_text(services.catalogue, services.register, services.settings.config, one.agreement_id, one.version)
    return _printed(paper, query.form, f"{one.agreement_id}-{one.version}")


@operation(
    "reviews.agreement", "GET /agreements/{agreement}/review", "一份协议的评议材料", "The papers of a review meeting on one agreement, for its parties", roles=EVERYBODY,
    query=PackQuery, media_types=PAPERS,
)
def get_pack(visit: Visit, agreement: str, query: PackQuery) -> Answer:
    versions_seen(visit, agreement)
    with _review_read():
        paper = agreement_pack(archive_of(visit), agreement, query.first, query.last, visit.language)
    return _printed(paper, query.form, f"review-{agreement}-{query.first}-{query.last}")


@operation(
    "reviews.group", "GET /reviews/group", "协调小组的评议材料", "The papers of the coordination group, over all agreements", roles=STAFF, query=PackQuery,
    media_types=PAPERS,
)
def get_group_pack(visit: Visit, query: PackQuery) -> Answer:
    with _review_read():
        paper = group_pack(archive_of(visit), query.first, query.last, visit.language)
    return _printed(paper, query.form, f"review-{query.first}-{query.last}")


@operation(
    "reviews.indicators", "GET /reviews/indicators", "年度考核指标", "The yearly evaluation of all parties", roles=STAFF, query=YearQuery, media_types=PAPERS,
)
def get_indicators(visit: Visit, query: YearQuery) -> Answer:
    with _review_read("year"):
        paper = indicators_paper(archive_of(visit), query.year, visit.language)
    return _printed(paper, query.form, f"indicators-{query.year}")


@contextmanager
def _review_read(parameter: str = "first") -> Iterator[None]:
    """What can't be made as it is asked is told at the parameter."""
    try:
        yield
    except ReviewInvalid as error:
        raise InputFaulty(FieldFault(parameter=parameter, code=error.code, detail=error.detail)) from None


def archive_of(visit: Visit) -> Archive:
    services = visit.services
    return Archive(
        decisions=services.settings.decisions, config=services.settings.config, register=services.register, catalogue=services.catalogue,
        book=services.book, at=visit.at, tasks=tasks_of(visit),
    )


def _printed(paper: Document, form: str, name: str) -> Answer:
    if form == "pdf":
        return Answer(content=pdf.render(paper), media_type="application/pdf", file_name=f"{name}.pdf")
    return Answer(content=html.render(paper), media_type="text/html")
