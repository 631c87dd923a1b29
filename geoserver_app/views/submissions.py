"""Where the file of a submission goes: `PUT /submissions/{id}/file`. With `X-Content-SHA256` it is compared before it is taken. Nothing is served from here."""

from functools import partial

import flask

from geoserver_app.api.door import as_fault
from geoserver_app.api.faults import NotAllowed, NothingThere, NotSignedIn
from geoserver_app.api.operation import Visit
from geoserver_app.api.submissions import book_of, conflict, seen, submission_told
from geoserver_app.giving.asking import SubmissionInvalid
from geoserver_app.giving.deciding import hand_in
from geoserver_app.giving.submissions import Submission, SubmissionState, file_of, folder_of
from geoserver_app.messages import language_of
from geoserver_app.routes import governed
from geoserver_app.views.receiving import CutShort, TooLarge, received, sender
from geoserver_app.wiring import services

bp = flask.Blueprint("submissions", __name__)

OPERATION = "submissions.file"
DIGEST_HEADER = "X-Content-SHA256"


@bp.put("/submissions/<submission>/file")
@governed(OPERATION)
def put_file(submission: str) -> flask.Response:
    language, visit = language_of(flask.request.environ), None
    try:
        visit = sender(OPERATION, language)
        services().log.check()
        try:
            one = _taken(visit, seen(visit, submission))
        except SubmissionInvalid as error:
            raise conflict(visit, error) from None
    except Exception as error:
        fault = as_fault(error, submission, language)
        _record(visit, submission, "refused" if isinstance(fault, NotAllowed | NotSignedIn | NothingThere) else "invalid")
        raise fault from error
    _record(visit, submission, "done")
    return flask.Response(submission_told(visit, one).model_dump_json(), status=202, content_type="application/json; charset=utf-8")


def _taken(visit: Visit, one: Submission) -> Submission:
    """Raises SubmissionInvalid, ContributionInvalid."""
    settings = visit.services.settings
    if one.state is not SubmissionState.AWAITING:
        raise SubmissionInvalid("submission-state", state=one.state)
    said, actor = flask.request.headers.get(DIGEST_HEADER, "").strip().lower(), visit.person.login if visit.signed_in else one.made_by
    try:
        with received(folder_of(settings, one.submission_id), settings.overlay_megabytes) as file:
            if said and said != file.sha256:
                raise SubmissionInvalid("submission-digest")
            place = partial(file.path.replace, file_of(settings, one))
            hand_in(visit.services, book_of(visit), one, size=file.size, sha256=file.sha256, actor=actor, place=place)
    except TooLarge:
        raise SubmissionInvalid("submission-too-large", most=settings.overlay_megabytes) from None
    except CutShort as error:
        raise SubmissionInvalid("submission-cut-short", got=error.got, wanted=error.wanted) from None
    return book_of(visit).get(one.submission_id)


def _record(visit: Visit | None, submission: str, outcome: str) -> None:
    person = visit.person if visit is not None and visit.signed_in else None
    agency = visit.caller.agency.agency_id if visit is not None and visit.caller else person.agency if person else None
    services().log.write({
        "event": "admin.acted", "operation": OPERATION, "agency": agency, "actor": person.login if person else None, "object": submission[:200], "outcome": outcome,
    })
