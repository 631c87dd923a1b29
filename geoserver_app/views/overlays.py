"""Where the file of a registration goes: `PUT /overlays/uploads/{id}/file`, the bytes as they are, straight to the disk.

By an agency's key, or by a member: with his token, or from a page of ours with the token of its forms. What it is, is looked at later, in a program of
its own; nothing of it is served from here, ever.
"""

import flask

from agreements.life.lifecycle import Role
from geoserver_app.api.door import agency_by_key, as_fault, signed_in_person, visit_of
from geoserver_app.api.faults import InConflict, NotAllowed, NotSignedIn
from geoserver_app.api.operation import Visit
from geoserver_app.api.overlays import book_of, own_upload, upload_told
from geoserver_app.messages import language_of
from geoserver_app.overlays.book import Upload, UploadState, upload_folder, upload_path
from geoserver_app.overlays.faults import Finding
from geoserver_app.people.accounts import Proof
from geoserver_app.people.sessions import FORM_HEADER, check_form, check_origin
from geoserver_app.routes import governed
from geoserver_app.wiring import services

bp = flask.Blueprint("overlays", __name__)

BLOCK = 1 << 20
OPERATION = "overlays.file"


@bp.put("/overlays/uploads/<upload>/file")
@governed(OPERATION)
def put_file(upload: str) -> flask.Response:
    language = language_of(flask.request.environ)
    visit = None
    try:
        visit = _visit(language)
        services().log.check()
        received = _received(visit, own_upload(visit, upload))
    except Exception as error:
        fault = as_fault(error, upload, language)
        _record(visit, upload, "refused" if isinstance(fault, NotAllowed | NotSignedIn) else "invalid")
        raise fault from error
    _record(visit, upload, "done")
    return flask.Response(upload_told(visit, received).model_dump_json(), status=202, content_type="application/json; charset=utf-8")


def _visit(language: str) -> Visit:
    """Raises NotSignedIn, NotAllowed, Unidentified, TooManyGuesses."""
    caller = agency_by_key(OPERATION)
    if caller is not None:
        return visit_of(None, language, caller=caller)
    found = signed_in_person()
    if found is None:
        raise NotSignedIn
    if found.person.must_change:
        raise NotAllowed("password-must-change")
    if Role.MEMBER not in found.person.roles:
        raise NotAllowed("role-missing", {"roles": Role.MEMBER})
    if found.proof is not Proof.TOKEN:
        check_origin()
        check_form(found.csrf, flask.request.headers.get(FORM_HEADER, ""))
    return visit_of(found, language)


def _received(visit: Visit, upload: Upload) -> Upload:
    """Under another name until all of it is there. Raises InConflict."""
    if upload.state is not UploadState.WAITING:
        raise _conflict(visit, "overlay-not-waiting")
    settings, request = visit.services.settings, flask.request
    most = settings.overlay_megabytes * 2**20
    if (request.content_length or 0) > most:
        raise _conflict(visit, "overlay-too-large", most=settings.overlay_megabytes)
    request.max_content_length = most
    folder, path = upload_folder(settings, upload.upload_id), upload_path(settings, upload)
    folder.mkdir(parents=True, exist_ok=True)
    part, got = path.with_name("receiving.part"), 0
    with part.open("wb") as file:
        while block := request.stream.read(BLOCK):
            got += len(block)
            if got > most:
                break
            file.write(block)
    if got > most or got == 0 or (request.content_length is not None and got != request.content_length):
        part.unlink(missing_ok=True)
        if got > most:
            raise _conflict(visit, "overlay-too-large", most=settings.overlay_megabytes)
        raise _conflict(visit, "overlay-cut-short", got=got, wanted=request.content_length or 0)
    part.replace(path)
    if not book_of(visit).move(upload.upload_id, UploadState.QUEUED, among=[UploadState.WAITING]):
        raise _conflict(visit, "overlay-not-waiting")
    return own_upload(visit, upload.upload_id)


def _conflict(visit: Visit, code: str, **detail: object) -> InConflict:
    return InConflict(Finding(code=code, detail={name: str(value) for name, value in detail.items()}).told(visit.language), code)


def _record(visit: Visit | None, upload: str, outcome: str) -> None:
    person = visit.person if visit is not None and visit.signed_in else None
    agency = visit.caller.agency.agency_id if visit is not None and visit.caller else person.agency if person else None
    services().log.write({
        "event": "admin.acted", "operation": OPERATION, "agency": agency, "actor": person.login if person else None, "object": upload[:200], "outcome": outcome,
    })
