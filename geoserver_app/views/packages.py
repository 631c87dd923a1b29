"""`/packages/{package}/{file}`: files of a package, in ranges (RFC 9110, 14), each of which is decided anew."""

import re
from datetime import datetime
from urllib.parse import quote

import flask
from werkzeug.http import http_date, parse_date

from geoserver_app.api.door import agency_by_key, signed_in_person, visit_of
from geoserver_app.api.faults import ApiFault, NotAllowed
from geoserver_app.api.packages import MEMBERS, asking, book_of
from geoserver_app.identity import Unidentified
from geoserver_app.messages import language_of
from geoserver_app.packages.jobs import PackageFile
from geoserver_app.packages.shipping import Shipment, found
from geoserver_app.routes import governed
from geoserver_app.wiring import services

bp = flask.Blueprint("packages", __name__)

RANGE = re.compile(r"\s*bytes\s*=\s*(.*)", re.IGNORECASE)
ONE_RANGE = re.compile(r"(\d{0,19})\s*-\s*(\d{0,19})")


@bp.get("/packages/<package>/<path:name>")
@governed("Download")
def fetch(package: str, name: str):
    """For the agency that ordered it, by its key or by a member who is signed in."""
    visit = _visit()
    caller = asking(visit)
    held, file = found(book_of(visit), package, name, caller.agency.agency_id, visit.at)
    first, last, is_part = wanted(file, flask.request.headers.get("Range"), flask.request.headers.get("If-Range"), held.ended)
    is_read = flask.request.method != "HEAD"
    shipment = Shipment(services(), book_of(visit), caller, held, file, first, last, (lambda: True) if visit.caller else _is_still_a_member)
    headers = shipment.begin(sends_body=is_read)
    if not is_read:
        shipment.close()
    body = flask.stream_with_context(shipment.chunks()) if is_read else b""
    response = flask.Response(body, status=206 if is_part else 200, content_type=file.media_type, headers=headers)
    response.headers["Content-Length"] = str(shipment.length)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["ETag"] = entity_tag(file)
    response.headers["Last-Modified"] = http_date(held.ended)
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file.name)}"
    if is_part:
        response.headers["Content-Range"] = f"bytes {first}-{last}/{file.size}"
    response.call_on_close(shipment.close)
    return response


def _visit():
    """Raises Unidentified, TooManyGuesses, NotAllowed."""
    language = language_of(flask.request.environ)
    caller = agency_by_key("Download")
    if caller is not None:
        return visit_of(None, language, caller=caller)
    person = signed_in_person()
    if person is None:
        services().gate.record_refusal("Download", "key-missing")
        raise Unidentified("key-missing")
    if person.person.must_change or not person.person.roles & MEMBERS:
        services().gate.record_refusal("Download", "role-missing")
        raise NotAllowed("role-missing", {"roles": ", ".join(sorted(MEMBERS))})
    return visit_of(person, language)


def _is_still_a_member() -> bool:
    """Who is signed in may be signed out, or lose the role, while a file is sent."""
    person = signed_in_person()
    return person is not None and bool(person.person.roles & MEMBERS)


def entity_tag(file: PackageFile) -> str:
    """Strong: files of a package never change."""
    return f'"{file.sha256[:32]}"'


def wanted(file: PackageFile, header: str | None, if_range: str | None, made: datetime) -> tuple[int, int, bool]:
    """First and last byte that are asked for, and whether that is a part: what can't be read as ranges, or is of another state of the file, asks for
    the whole (RFC 9110, 13.1.5 and 14.2).

    Raises
    ------
    ApiFault
        416: nothing of the file lies in the range, or several ranges were asked for at once.
    """
    whole = 0, max(file.size - 1, 0), False
    match = RANGE.fullmatch(header or "")
    if not match or not _is_unchanged(file, if_range, made):
        return whole
    ranges = [ONE_RANGE.fullmatch(one.strip()) for one in match[1].split(",") if one.strip()]
    if not ranges or any(one is None or not (one[1] or one[2]) for one in ranges):
        return whole
    if len(ranges) > 1:
        raise _not_satisfiable(file, "package-one-range")
    first, last = ranges[0].groups()
    if first and last and int(last) < int(first):
        return whole
    if first:
        begin, end = int(first), min(int(last), file.size - 1) if last else file.size - 1
    else:
        begin, end = max(file.size - int(last), 0), file.size - 1 if int(last) else -1
    if begin > end:
        raise _not_satisfiable(file, "package-range")
    return begin, end, True


def _is_unchanged(file: PackageFile, if_range: str | None, made: datetime) -> bool:
    if if_range is None:
        return True
    if if_range.strip().startswith(('"', "W/")):
        return if_range.strip() == entity_tag(file)
    return parse_date(if_range) == made.replace(microsecond=0)


def _not_satisfiable(file: PackageFile, slug: str) -> ApiFault:
    return ApiFault(slug, 416, {"size": str(file.size)}, headers={"Content-Range": f"bytes */{file.size}"})
