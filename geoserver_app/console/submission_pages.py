"""What agencies handed in, on the console: the queue, and one submission with what was found, what it changes, and who decided what."""

from typing import Annotated, Literal

import flask
from pydantic import Field

from geoserver_app.api.operation import STAFF
from geoserver_app.api.reading import AgencyId, Sent
from geoserver_app.api.submissions import NoteSent, ReasonsSent, SubmissionInFull, SubmissionQuery
from geoserver_app.console.frame import Frame, asked, field, page, sent, tried
from geoserver_app.console.register_pages import agency_names
from geoserver_app.console.submission_words import wording
from geoserver_app.giving.submissions import SubmissionState

MOST_LISTED = 100
ORDER = (SubmissionState.CHECKED, SubmissionState.REVIEWED, SubmissionState.PUBLISHING, SubmissionState.CHECKING, SubmissionState.QUEUED, SubmissionState.AWAITING)


class Choice(Sent):
    agency: AgencyId | None = None
    agreement: Annotated[str | None, Field(max_length=100)] = None
    show: Literal["open", "all"] = "open"


@page("console.submissions", "/submissions", roles=STAFF)
def submissions(frame: Frame) -> flask.Response:
    choice = asked(Choice)
    found = frame.ask("submissions.list", query=SubmissionQuery(agency=choice.agency, agreement=choice.agreement))["items"]
    names = agency_names(frame)
    if choice.show == "open":
        found = sorted((one for one in found if one.state in ORDER), key=lambda one: (ORDER.index(one.state), one.made))
    return frame.shown("submissions.html", rows=found[:MOST_LISTED], found=len(found), choice=choice, names=names, **wording(frame.language))


@page("console.submission", "/submissions/<submission>", roles=STAFF, takes_forms=True)
def submission(frame: Frame, submission: str) -> flask.Response:
    answer, problem = tried(frame, {
        "review": lambda: _decide(frame, submission, "submissions.review", sent(NoteSent, note=field("note"))),
        "approve": lambda: _decide(frame, submission, "submissions.approve", sent(NoteSent, note=field("note"))),
        "return": lambda: _decide(frame, submission, "submissions.return", ReasonsSent(reasons=field("note"))),
    })
    if answer:
        return answer
    one: SubmissionInFull = frame.ask("submissions.get", submission=submission)
    return frame.shown(
        "submission.html", problem=problem, one=one, names=agency_names(frame), typed=field("note") if flask.request.method == "POST" else "",
        may_review=one.state is SubmissionState.CHECKED and frame.may("submissions.review"),
        may_approve=one.state is SubmissionState.REVIEWED and frame.may("submissions.approve"),
        may_return=one.state in (SubmissionState.CHECKED, SubmissionState.REVIEWED) and frame.may("submissions.return"), **wording(frame.language),
    )


def _decide(frame: Frame, submission: str, operation: str, body: NoteSent | ReasonsSent) -> flask.Response:
    frame.act(operation, {"submission": submission}, body=body)
    return frame.on("submission", "noted", submission=submission)
