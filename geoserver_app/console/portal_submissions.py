"""Handing data in on the portal: a file for a period that is owed, how far its check is, what was found, what was decided; handed in again, or withdrawn."""

from datetime import date
from typing import Annotated

import flask
from pydantic import Field

from geoserver_app.api.contributions import ContributionQuery
from geoserver_app.api.reading import Sent
from geoserver_app.api.submissions import SubmissionInFull, SubmissionQuery
from geoserver_app.clock import SHANGHAI
from geoserver_app.console.contribution_pages import TO_COME
from geoserver_app.console.frame import asked, tried
from geoserver_app.console.portal import PortalFrame, page
from geoserver_app.console.submission_words import said, wording
from geoserver_app.giving.submissions import WITHDRAWABLE, SubmissionState
from geoserver_app.overlays.asking import ORIGINS, VECTORS
from geoserver_app.settings import CLASSIFICATIONS
from layers.crs import SERVED

MOST_LISTED = 60
ORIGIN_WORDS = {
    "survey": ("测绘", "surveyed"), "gnss": ("卫星定位", "GNSS"), "digitised-on-platform": ("在本平台上采集", "digitised on this platform"),
    "internet-map": ("互联网地图（GCJ-02）", "an internet map (GCJ-02)"),
}
CLASSIFICATION_WORDS = {
    "public": ("公开", "public"), "internal": ("内部", "internal"), "secret": ("秘密", "secret"), "confidential": ("机密", "confidential"),
    "top-secret": ("绝密", "top secret"),
}


class Choice(Sent):
    """What is to be handed in: of an agreement, for a period, or in the place of what was returned."""

    agreement: Annotated[str | None, Field(max_length=100)] = None
    dataset: Annotated[str | None, Field(max_length=200)] = None
    due: date | None = None
    replaces: Annotated[str | None, Field(max_length=40)] = None


@page("portal.submissions", "/submissions")
def submissions(frame: PortalFrame) -> flask.Response:
    choice, settings = asked(Choice), frame.visit.services.settings
    owed = [one for one in frame.ask("contributions.list", query=ContributionQuery(open=False))["items"] if one.agency == frame.agency]
    rows = frame.ask("submissions.list", query=SubmissionQuery())["items"]
    replaced = next((one for one in rows if one.submission == choice.replaces and one.state is SubmissionState.RETURNED), None)
    kept = CLASSIFICATIONS[: CLASSIFICATIONS.index(settings.ceiling) + 1]
    return frame.shown(
        "submissions.html", rows=rows[:MOST_LISTED], found=len(rows), periods=[one for one in owed if one.standing in TO_COME], choice=choice, replaced=replaced,
        suffixes=",".join(VECTORS), systems=SERVED, most=settings.overlay_megabytes, today=frame.at.astimezone(SHANGHAI).date(),
        origins={name: said(ORIGIN_WORDS, frame.language).get(name, name) for name in ORIGINS},
        classifications={name: said(CLASSIFICATION_WORDS, frame.language)[name] for name in kept}, **wording(frame.language),
    )


@page("portal.submission", "/submissions/<submission>", takes_forms=True)
def submission(frame: PortalFrame, submission: str) -> flask.Response:
    answer, problem = tried(frame, {"withdraw": lambda: _withdraw(frame, submission)})
    if answer:
        return answer
    one: SubmissionInFull = frame.ask("submissions.get", submission=submission)
    return frame.shown("submission.html", problem=problem, one=one, may_withdraw=one.state in WITHDRAWABLE, **wording(frame.language))


def _withdraw(frame: PortalFrame, submission: str) -> flask.Response:
    frame.act("submissions.withdraw", {"submission": submission})
    return frame.on("submissions", "submission-withdrawn")
