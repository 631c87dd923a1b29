"""The agency's own rows of the decision record; and for every day that is sealed, its root, the rows and the proof that they are all."""

import csv
import io
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Annotated, Literal

import flask
from pydantic import Field

from geoserver_app.api.audit import MOST_DAYS, USUAL_DAYS, OwnQuery, RecordsQuery, RecordTold, records_of
from geoserver_app.api.faults import ApiFault
from geoserver_app.api.operation import Answer
from geoserver_app.api.reading import PageQuery, Sent
from geoserver_app.clock import SHANGHAI
from geoserver_app.console.frame import asked
from geoserver_app.console.portal import PortalFrame, page
from geoserver_app.review.words import CODES

LISTED, MOST_IN_A_FILE, ROOTS_LISTED = 50, 100_000, 31


class Choice(Sent):
    first: date | None = None
    last: date | None = None
    what: Literal["data", "all"] = "data"
    effect: Literal["permit", "clip", "deny"] | None = None
    layer: Annotated[str | None, Field(max_length=100)] = None
    after: Annotated[str, Field(max_length=200)] = ""


@page("portal.audit", "/audit")
def audit(frame: PortalFrame) -> flask.Response:
    problem, records, following, choice = None, [], None, Choice()
    today = frame.at.astimezone(SHANGHAI).date()
    try:
        choice = asked(Choice)
        found = frame.ask("audit.records", query=RecordsQuery(limit=LISTED, after=choice.after, **_wanted(choice)))
        records, following = found["items"], found["next"]
    except ApiFault as fault:
        problem = frame.problem(fault)
    roots = frame.ask("audit.roots", query=PageQuery(limit=500, after=(today - timedelta(days=ROOTS_LISTED + 1)).isoformat()))["items"]
    return frame.shown(
        "audit.html", problem=problem, choice=choice, records=records, next=following, roots=list(reversed(roots)), codes=CODES, agency=frame.agency,
        first=choice.first or today - timedelta(days=USUAL_DAYS - 1), last=choice.last or today, most_days=MOST_DAYS,
    )


def _wanted(choice: Choice) -> dict:
    """What was decided about data; or all that is recorded, looks at these pages among it."""
    return choice.model_dump(include={"first", "last", "effect", "layer"}) | {"event": "overlay.decided" if choice.what == "data" else None}


@page("portal.audit-csv", "/audit.csv")
def audit_csv(frame: PortalFrame) -> flask.Response:
    """What the page lists, all of it, as a table for a spreadsheet."""
    choice = asked(Choice, "first", "last", "what", "effect", "layer")
    records = records_of(frame.visit, RecordsQuery(**_wanted(choice)), MOST_IN_A_FILE)
    answer = flask.Response(as_csv(records), content_type="text/csv; charset=utf-8")
    answer.headers.set("Content-Disposition", "attachment", filename=f"{frame.agency}-records.csv")
    return answer


COLUMNS = ("record", "at", "event", "key", "operation", "layer", "edition", "style", "format", "effect", "agreement", "version", "clause", "code")


def as_csv(records: Iterable[RecordTold]) -> str:
    """A row for every layer of every record, with a byte-order mark, by which spreadsheets know UTF-8."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(COLUMNS)
    for one in records:
        head = [one.record, one.at.isoformat(), one.event, one.key, one.operation]
        for layer in one.layers:
            told = [layer.layer, layer.edition, layer.style, layer.format, layer.effect, layer.agreement, layer.version, layer.clause, layer.code]
            rows.writerow(map(cell, [*head[:4], layer.operation or one.operation, *told]))
        if not one.layers:
            rows.writerow(map(cell, [*head, *[""] * 8, one.code]))
    return "\ufeff" + out.getvalue()


def cell(value: object) -> str:
    """Text that a spreadsheet would run is made plain: some of it is what clients sent.

    >>> cell("=1+1"), cell("dom"), cell(None)
    ("'=1+1", 'dom', '')
    """
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in FORMULAS else text


FORMULAS = frozenset("=+-@＝＋－＠\t\r\n")
"""Spreadsheets take full-width signs for the others."""


@page("portal.audit-rows", "/audit/<day>.jsonl")
def audit_rows(frame: PortalFrame, day: str) -> flask.Response:
    return _file(frame.act("audit.own", {"day": day}, query=OwnQuery(agency=frame.agency, part="rows")))


@page("portal.audit-proof", "/audit/<day>.proof.json")
def audit_proof(frame: PortalFrame, day: str) -> flask.Response:
    return _file(frame.act("audit.own", {"day": day}, query=OwnQuery(agency=frame.agency, part="proof")))


def _file(answer: Answer) -> flask.Response:
    file = flask.Response(answer.content, content_type=f"{answer.media_type}; charset=utf-8")
    file.headers.set("Content-Disposition", "attachment", filename=answer.file_name)
    return file
