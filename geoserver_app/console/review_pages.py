"""Papers for review meetings, and the yearly evaluation in a table, each figure with the SQL that gave it."""

from datetime import date, timedelta
from typing import Annotated

import flask
from pydantic import Field

from geoserver_app.api.agreements import visible
from geoserver_app.api.faults import ApiFault, FieldFault, InputFaulty
from geoserver_app.api.operation import STAFF
from geoserver_app.api.papers import archive_of
from geoserver_app.api.reading import Sent
from geoserver_app.clock import SHANGHAI
from geoserver_app.console.frame import Frame, asked, page
from geoserver_app.console.register_pages import agency_names
from geoserver_app.review.archive import ReviewInvalid
from geoserver_app.review.charts import number
from geoserver_app.review.indicators import Evaluation, days_of, evaluate


class Year(Sent):
    year: Annotated[int | None, Field(ge=2000, le=2199)] = None


@page("console.review", "/review", roles=STAFF)
def review(frame: Frame) -> flask.Response:
    today, problem, found, year = frame.at.astimezone(SHANGHAI).date(), None, None, None
    try:
        year = asked(Year).year
        found = _evaluated(frame, year) if year is not None else None
    except ApiFault as error:
        problem = frame.problem(error)
    first, last = _quarter_before(today)
    return frame.shown(
        "review.html", problem=problem, found=found, year=year, today=today, first=first, last=last, names=agency_names(frame), number=number,
        agreements=sorted({one.agreement_id: one.title for one in visible(frame.visit, frame.visit.services.register.list())}.items()),
        scores=sorted(found.scores, key=lambda row: (row["rank"], row["agreement"])) if found else [],
    )


def _evaluated(frame: Frame, year: int) -> Evaluation:
    """Raises InputFaulty."""
    try:
        return evaluate(archive_of(frame.visit), *days_of(year, frame.at))
    except ReviewInvalid as error:
        raise InputFaulty(FieldFault(parameter="year", code=error.code, detail=error.detail)) from None


def _quarter_before(today: date) -> tuple[date, date]:
    """First and last day of the last quarter that is over.

    >>> _quarter_before(date(2026, 2, 3)), _quarter_before(date(2026, 11, 25))
    ((datetime.date(2025, 10, 1), datetime.date(2025, 12, 31)), (datetime.date(2026, 7, 1), datetime.date(2026, 9, 30)))
    """
    last = date(today.year, 3 * ((today.month - 1) // 3) + 1, 1) - timedelta(days=1)
    return date(last.year, last.month - 2, 1), last
