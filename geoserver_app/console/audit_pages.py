"""The decision record: searched, checked for what was altered, exported."""

from datetime import timedelta

import flask

from geoserver_app.api.audit import RecordsQuery, RecordTold, VerificationSent, Verified
from geoserver_app.api.faults import ApiFault
from geoserver_app.api.operation import OPERATIONS
from geoserver_app.api.reading import PageQuery
from geoserver_app.clock import SHANGHAI
from geoserver_app.console.frame import Frame, asked, field, page, sent, tried
from geoserver_app.console.register_pages import agency_names
from geoserver_app.review.words import CODES, EFFECTS

ROWS, DAYS_SHOWN, LOOKED_BACK = 50, 14, 31

REQUESTS, ALL = "overlay.decided", "all"
EVENTS = {REQUESTS: REQUESTS, "admin.acted": "admin.acted", "overlay.unidentified": "overlay.unidentified", ALL: None, "": REQUESTS}
"""What of the record is shown: requests for data, unless something else is asked for."""


@page("console.audit", "/audit", roles=OPERATIONS["audit.records"].roles, takes_forms=True)
def audit(frame: Frame) -> flask.Response:
    verified: list[Verified] = []
    answer, problem = tried(frame, {"verify": lambda: verified.append(_verify(frame))})
    query, records, trouble = None, {"items": [], "next": None}, None
    try:
        query = asked(RecordsQuery)
        query = query.model_copy(update={"event": EVENTS.get(flask.request.args.get("event", REQUESTS), query.event)})
        records = frame.ask("audit.records", query=query.model_copy(update={"limit": ROWS}))
    except ApiFault as error:
        trouble = frame.problem(error)
    today = frame.at.astimezone(SHANGHAI).date()
    return answer or frame.shown(
        "audit.html", problem=problem or trouble, query=query, records=records["items"], next_after=records["next"], verified=verified,
        names=agency_names(frame) if not frame.person.is_member else {}, codes=CODES, effects=EFFECTS, roots=_roots(frame), last=_last_check(frame),
        today=today, week=today - timedelta(days=6),
    )


def _verify(frame: Frame) -> Verified:
    return frame.act("audit.verify", body=sent(VerificationSent, day=field("day"))).content


def _roots(frame: Frame) -> list:
    """What was sealed of the last days, the newest first."""
    after = (frame.at.astimezone(SHANGHAI).date() - timedelta(days=DAYS_SHOWN + 1)).isoformat()
    return list(reversed(frame.ask("audit.roots", query=PageQuery(after=after))["items"]))


def _last_check(frame: Frame) -> RecordTold | None:
    """When somebody last had the record checked, in the last month."""
    if not frame.may("audit.verify"):
        return None
    today = frame.at.astimezone(SHANGHAI).date()
    query = RecordsQuery(first=today - timedelta(days=LOOKED_BACK - 1), last=today, operation="audit.verify", limit=1)
    return next(iter(frame.ask("audit.records", query=query)["items"]), None)
