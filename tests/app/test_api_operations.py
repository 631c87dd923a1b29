"""Every operation of the API by everybody: who may, who may not, who is told that there is nothing."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest
import shapely
from api_office import EVERYBODY, PASSWORD, SQUARE, Office

from agreements.life.lifecycle import Role
from agreements.model import Operation
from geoserver_app.api.operation import Text
from geoserver_app.api.resources import OPERATIONS
from geoserver_app.audit.sealing import seal_days
from geoserver_app.audit.store import AuditStore
from geoserver_app.clock import now
from geoserver_app.giving.book import SubmissionBook
from geoserver_app.giving.submissions import OPEN, Move, SubmissionState, report_folder
from geoserver_app.live.tables import drop
from geoserver_app.overlays.book import UploadBook, UploadState
from geoserver_app.overlays.fetching import Host
from geoserver_app.packages.jobs import PackageBook, PackageState
from layers.catalogue import Division


@dataclass(frozen=True)
class Case:
    """What `statuses` are answered to those of EVERYBODY, in that order, by an operation on what `arrange` prepared for it."""

    statuses: str
    arrange: Callable[[Office], dict] = lambda office: {}
    content: Callable[[dict], dict] = lambda places: {}
    query: str = ""

    def expected(self) -> dict[str, int]:
        return dict(zip(EVERYBODY, map(int, self.statuses.split()), strict=True))


def a_key(office: Office) -> dict:
    return {"key_id": office.house.services.register.issue_key("water", "theirs")[0].key_id}


def a_person(office: Office) -> dict:
    office.person(login := f"someone-{len(office.accounts.people())}", "auditor")
    return {"login": login}


def a_token(office: Office) -> dict:
    places = a_person(office)
    token, _ = office.accounts.issue_token(places["login"], "", [Role.AUDITOR], office.accounts.clock() + timedelta(days=1))
    return places | {"token_id": token.token_id}


def once(make: Callable[[Office], dict]) -> Callable[[Office], dict]:
    """For operations that leave what they are asked about as it is."""
    return lambda office: office.once(make)


active, approved, drafted = once(Office.active), once(Office.approved), once(Office.drafted)


def an_agreement(office: Office) -> dict:
    return {"agreement": active(office)["agreement"]}


def a_division(office: Office) -> dict:
    square = shapely.geometry.shape(SQUARE)
    office.house.services.catalogue.put_divisions([Division(vintage="2024", code="320104", name="秦淮区", level="county", geometry=square)])
    return {"code": "320104"}


def a_boundary(office: Office) -> dict:
    """Of a division that an agreement names, and that is bounded otherwise now."""
    code, square = f"3299{office.next():02}", shapely.geometry.shape(SQUARE)
    catalogue = office.house.services.catalogue
    catalogue.put_divisions([Division(vintage="2011", code=code, name="旧界", level="county", geometry=square)])
    places = office.active(grants=[{"clause": "3.1", "layers": ["dom"], "operations": ["GetMap"], "area": {"divisions": [code]}}])
    half = shapely.box(118.70, 32.00, 118.75, 32.10)
    catalogue.put_divisions([Division(vintage="2026", code=code, name="新界", level="county", geometry=half)])
    return {"agreement": places["agreement"], "code": code}


def a_record(office: Office) -> dict:
    """Of a map that water asked for and did not get."""
    office.house.look_again()
    assert office.house.get("/tiles/absent/WebMercatorQuad/14/13596/6645.png", "water").status_code == 403
    return {"record": next(one["id"] for one in reversed(office.records()) if one.get("agency") == "water" and one["event"] == "overlay.decided")}


def a_sealed_day(office: Office) -> dict:
    a_record(office)
    services, today = office.house.services, now().date()
    seal_days(services.settings.decisions, AuditStore(services.database), now() + timedelta(days=2), until=today)
    return {"day": today.isoformat()}


def a_delivery(office: Office) -> dict:
    places = office.active(contributions=[{"dataset": "水系变化", "cadence": "P3M", "first_due": "2026-01-15"}])
    answer = office.visitor("member").ask(f"POST /agreements/{places['agreement']}/deliveries", json={"dataset": "水系变化"})
    assert answer.status_code == 201, answer.text
    return {"delivery": answer.json["delivery_id"]}


GIVEN = {"dataset": "水系变化", "file": "water.geojson", "currency_to": "2026-01-10"}


def no_submission(office: Office) -> SubmissionBook:
    """With room for one more."""
    book = SubmissionBook(office.house.services.database, now)
    for one in book.list():
        book.move(one.submission_id, Move(state=SubmissionState.WITHDRAWN, among=OPEN, act="withdrawn", actor="test"))
    return book


def owing(office: Office) -> dict:
    no_submission(office)
    return {"agreement": office.active(contributions=[{"dataset": "水系变化", "cadence": "P3M", "first_due": "2026-01-15"}])["agreement"]}


def a_submission(office: Office) -> dict:
    places = once(owing)(office)
    no_submission(office)
    answer = office.visitor("member").ask("POST /submissions", json=GIVEN | places)
    assert answer.status_code == 201, answer.text
    return {"submission": answer.json["submission"]}


def a_checked_submission(office: Office) -> dict:
    places = a_submission(office)
    report = report_folder(office.house.services.settings, places["submission"])
    report.mkdir(parents=True)
    for name in ("report.html", "findings.svg"):
        (report / name).write_text("told")
    book = SubmissionBook(office.house.services.database, now)
    book.move(places["submission"], Move(state=SubmissionState.CHECKED, among=OPEN, act="checked", actor="test"))
    return places


def a_reviewed_submission(office: Office) -> dict:
    places = a_submission(office)
    values = {"reviewed_by": "administrator"}
    SubmissionBook(office.house.services.database, now).move(
        places["submission"], Move(state=SubmissionState.REVIEWED, among=OPEN, act="reviewed", actor="administrator", values=values),
    )
    return places


def a_request(office: Office) -> dict:
    return {"request": office.visitor("member").ask("POST /requests", json={"layers": "dem", "reason": "flood maps"}).json["request"]}


def room_for_a_package(office: Office) -> dict:
    """Both agencies may download, and have nothing waiting."""
    book, house = PackageBook(office.house.services.database, now), office.house
    if not any(one.agreement_id == "AG-FILES-water" for one in house.services.register.list()):
        for agency in ("water", "police"):
            house.agree(agency, house.clause("dom", operations={Operation.DOWNLOAD}), agreement_id=f"AG-FILES-{agency}")
    for one in book.list(state=PackageState.QUEUED):
        book.end(one.package_id, PackageState.CANCELLED, among=[PackageState.QUEUED])
    return {}


def a_package(office: Office) -> dict:
    room_for_a_package(office)
    answer = office.visitor("member").ask("POST /packages", json={"layers": ["dom"], "area": {"everywhere": True}})
    assert answer.status_code == 201, answer.text
    return {"package": answer.json["package"]}


LIVE = {"name": "water-boats", "title_zh": "船", "title_en": "Boats", "fields": []}


def no_ships(office: Office) -> dict:
    services = office.house.services
    if "water-ships" in services.catalogue.snapshot().layers:
        drop(services.catalogue, services.settings.store, "water-ships")
    return {}


def a_live_layer(office: Office) -> dict:
    if "water-boats" not in office.house.services.catalogue.snapshot().layers:
        answer = office.visitor("member").ask("POST /live", json=LIVE)
        assert answer.status_code == 201, answer.text
    return {"layer": "water-boats"}


def uploads_of(office: Office) -> UploadBook:
    """With room for one more: whoever tested before left some open."""
    book = UploadBook(office.house.services.database, office.house.services.gate.clock)
    for one in book.list():
        book.move(one.upload_id, UploadState.CANCELLED, among=[state for state in UploadState if state.is_open])
    return book


def room_for_an_upload(office: Office) -> dict:
    uploads_of(office)
    return {}


def an_upload(office: Office) -> dict:
    uploads_of(office)
    answer = office.visitor("member").ask("POST /overlays/uploads", json=UPLOAD)
    assert answer.status_code == 201, answer.text
    return {"upload": answer.json["upload"]}


def a_held_upload(office: Office) -> dict:
    """Of data that seem to be shifted."""
    places = an_upload(office)
    book = UploadBook(office.house.services.database, office.house.services.gate.clock)
    assert book.move(places["upload"], UploadState.HELD, among=[UploadState.WAITING])
    return places


def an_overlay(office: Office) -> dict:
    if "water-sites" not in office.house.services.catalogue.snapshot().layers:
        path = office.house.folder / "sites.geojson"
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [
            {"type": "Feature", "properties": {"DEPTH": depth}, "geometry": {"type": "Point", "coordinates": [118.8 + depth / 1000, 32.0]}} for depth in range(1, 9)
        ]}))
        office.house.layer("water-sites", path, product="OVERLAY", edition="1", owner="water")
    return {"layer": "water-sites", "edition": "1"}


UPLOAD = {"file": "new.geojson", "name": "new", "edition": "1"}
PLAIN = {"symbols": None, "bounds": None, "crs": "EPSG:4490", "width": 64, "height": 48}


def a_listed_host(office: Office) -> dict:
    office.house.services.door.hosts.put(Host(host="struck.test", port=443, is_inside=False))
    return {"host": "struck.test"}


def a_map(office: Office) -> dict:
    room_for_a_package(office)
    answer = office.visitor("member").ask("POST /maps", json={"title": "mine", "layers": [{"layer": "dom"}]})
    assert answer.status_code == 201, answer.text
    return {"map": answer.json["map"]}


def a_seen_map(office: Office) -> dict:
    """Of an overlay of his own, which he may see."""
    an_overlay(office)
    answer = office.visitor("member").ask("POST /maps", json={"title": "mine", "layers": [{"layer": "water-sites"}]})
    assert answer.status_code == 201, answer.text
    return {"map": answer.json["map"]}


def a_marked_layer(office: Office) -> dict:
    """Of which both agencies are granted maps."""
    if "marked" not in office.house.services.catalogue.snapshot().layers:
        office.house.raster("marked", np.full((3, 64, 64), 90, dtype=np.uint8), 379_000, 3_542_000, 10.0)
        for agency in ("water", "police"):
            office.house.agree(agency, office.house.clause("marked"), agreement_id=f"AG-MARKED-{agency}")
    return {}


def a_correction(office: Office) -> dict:
    a_marked_layer(office)
    answer = office.visitor("member").ask("POST /corrections", json=WRONG)
    assert answer.status_code == 201, answer.text
    return {"correction": answer.json["correction"]}


WRONG = {"layer": "marked", "kind": "missing", "place": {"type": "Point", "coordinates": [379_300, 3_541_700]}, "crs": "EPSG:4549", "text": "a new road"}


def a_sheet(office: Office) -> dict:
    catalogue = office.house.services.catalogue
    (sheet,) = catalogue.sheets(catalogue.snapshot().layers["dom"].editions[0].edition_id)
    return {"layer": "dom", "edition": "2011", "sheet": str(sheet.sheet_id)}


def a_job(office: Office) -> dict:
    """With its report."""
    services = office.house.services
    job = services.catalogue.jobs()[0].job_id
    folder = services.settings.data / "reports" / str(job)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text('{"sheets": []}')
    (folder / "report.html").write_text("<!doctype html><title>report</title>")
    return {"job": str(job)}


def sends(**body) -> Callable[[dict], dict]:
    return lambda places: {"json": body}


#                          anonymous administrator approver auditor data_manager member stranger
CASES = {
    "session.open":           Case("201 201 201 201 201 201 201", arrange=a_person, content=lambda places: {"json": places | {"password": PASSWORD}}),
    "session.get":            Case("401 200 200 200 200 200 200"),
    "session.close":          Case("401 204 204 204 204 204 204"),
    "session.password":       Case("401 422 422 422 422 422 422", content=sends(current=PASSWORD, new="short")),
    "session.tokens":         Case("401 200 200 200 200 200 200"),
    "session.tokens.issue":   Case("401 422 422 422 422 422 422", content=sends(label="x", roles=["member"], expires="2020-01-01T00:00:00+08:00")),
    "session.tokens.revoke":  Case("401 404 404 404 404 404 404", arrange=lambda office: {"token_id": a_token(office)["token_id"]}),
    "people.list":            Case("401 200 403 200 403 403 403"),
    "people.add":             Case("401 422 403 403 403 403 403", content=sends(login="x")),
    "people.get":             Case("401 200 403 200 403 403 403", arrange=a_person),
    "people.change":          Case("401 200 403 403 403 403 403", arrange=a_person, content=sends(name="Another")),
    "people.password":        Case("401 204 403 403 403 403 403", arrange=a_person, content=sends(password="another long password")),
    "people.tokens":          Case("401 200 403 200 403 403 403", arrange=a_person),
    "people.tokens.revoke":   Case("401 204 403 403 403 403 403", arrange=a_token),
    "agencies.list":          Case("401 200 200 200 200 200 200"),
    "agencies.get":           Case("401 200 200 200 200 200 404", arrange=lambda office: {"agency": "water"}),
    "agencies.put":           Case("401 200 403 403 403 403 403", arrange=lambda office: {"agency": "water"}, content=sends(name_zh="水利厅", name_en="Water")),
    "keys.list":              Case("401 200 200 200 200 200 200", query="agency=water"),
    "keys.get":               Case("401 200 200 200 200 200 404", arrange=a_key),
    "keys.issue":             Case("401 201 403 403 403 403 403", content=sends(agency="water", label="new")),
    "keys.revoke":            Case("401 204 403 403 403 204 404", arrange=a_key),
    "agreements.list":        Case("401 200 200 200 200 200 200", query="agency=water"),
    "agreements.get":         Case("401 200 200 200 200 200 404", arrange=an_agreement),
    "agreements.versions.get": Case("401 200 200 200 200 200 404", arrange=active),
    "agreements.document":    Case("401 200 200 200 200 200 404", arrange=active),
    "agreements.history":     Case("401 200 200 200 200 200 404", arrange=an_agreement),
    "agreements.schema":      Case("401 200 200 200 200 200 200"),
    "agreements.check":       Case("401 422 422 422 422 403 403", content=sends(agreement="x")),
    "agreements.draft":       Case("401 422 403 403 422 403 403", content=sends(agreement="x")),
    "agreements.edit":        Case("401 428 403 403 428 403 403", arrange=drafted, content=sends(agreement="x")),
    "agreements.move":        Case("401 409 409 403 409 409 404", arrange=approved, content=sends(action="submit")),
    "agreements.suspend":     Case("401 201 201 403 403 403 403", arrange=an_agreement, content=sends(reason="checked")),
    "agreements.resume":      Case("401 200 403 403 403 403 403", arrange=an_agreement, content=sends()),
    "agreements.text":        Case("401 200 200 200 200 200 404", arrange=active),
    "agreements.difference":  Case("401 200 200 200 200 200 404", arrange=an_agreement),
    "agreements.compare":     Case("401 422 422 422 422 403 403", content=sends(agreement="x")),
    "areas.compile":          Case("401 200 200 200 200 403 403", content=sends(area={"geojson": SQUARE})),
    "divisions.list":         Case("401 200 200 200 200 403 403"),
    "divisions.get":          Case("401 200 200 200 200 403 403", arrange=once(a_division)),
    "boundaries.list":        Case("401 200 200 200 200 403 403"),
    "boundaries.get":         Case("401 200 200 200 200 403 403", arrange=once(a_boundary)),
    "boundaries.keep":        Case("401 200 403 403 403 403 403", arrange=a_boundary, content=sends(comment="as it is")),
    "explanations.now":       Case("401 200 200 200 200 200 404", query="agency=water&layer=dom"),
    "explanations.record":    Case("401 200 200 200 200 200 404", arrange=once(a_record)),
    "audit.records":          Case("401 200 403 200 403 200 200"),
    "audit.roots":            Case("401 200 403 200 403 200 200"),
    "audit.own":              Case("401 200 403 200 403 200 404", arrange=once(a_sealed_day), query="agency=water"),
    "audit.verify":           Case("401 200 403 200 403 403 403", content=sends()),
    "audit.export":           Case("401 200 403 200 403 403 403", query="first=2026-01-01&last=2026-12-31"),
    "contributions.list":     Case("401 200 200 200 200 200 200"),
    "contributions.get":      Case("401 200 200 200 200 200 404", arrange=an_agreement),
    "contributions.receive":  Case("401 409 403 403 409 409 404", arrange=an_agreement, content=sends(dataset="absent")),
    "contributions.state":    Case("401 409 403 403 409 409 404", arrange=an_agreement, content=sends(dataset="absent", statement="nothing new")),
    "contributions.happen":   Case("401 409 403 403 409 403 403", arrange=an_agreement, content=sends(dataset="absent", day="2026-01-01")),
    "deliveries.get":         Case("401 200 200 200 200 200 404", arrange=once(a_delivery)),
    "deliveries.check":       Case("401 200 403 403 200 403 403", arrange=once(a_delivery), content=sends(result="pending")),
    "notices.list":           Case("401 200 200 200 200 200 200"),
    "data.layers":            Case("401 200 200 200 200 403 403"),
    "data.layers.get":        Case("401 200 200 200 200 403 403", arrange=lambda office: {"layer": "dom"}),
    "data.editions.get":      Case("401 200 200 200 200 403 403", arrange=lambda office: {"layer": "dom", "edition": "2011"}),
    "data.editions.withdraw": Case("401 409 403 403 403 403 403", arrange=lambda office: {"layer": "dom", "edition": "2011"}, content=sends(generation=0, reason="old")),
    "data.sheets":            Case("401 200 200 200 200 403 403", arrange=lambda office: {"layer": "dom", "edition": "2011"}, query="text=dom"),
    "data.sheets.get":        Case("401 200 200 200 200 403 403", arrange=once(a_sheet)),
    "data.sheets.picture":    Case("401 200 403 403 200 403 403", arrange=once(a_sheet)),
    "data.jobs":              Case("401 200 200 200 200 403 403", query="state=published"),
    "data.jobs.get":          Case("401 200 200 200 200 403 403", arrange=once(a_job)),
    "data.jobs.report":       Case("401 200 200 200 200 403 403", arrange=once(a_job), query="form=json"),
    "data.quarantine":        Case("401 200 200 200 200 403 403"),
    "packages.list":          Case("401 403 403 403 403 200 200"),
    "packages.order":         Case("401 403 403 403 403 201 201", arrange=room_for_a_package, content=sends(layers=["dom"], area={"everywhere": True})),
    "packages.get":           Case("401 403 403 403 403 200 404", arrange=a_package),
    "packages.cancel":        Case("401 403 403 403 403 200 404", arrange=a_package),
    "corrections.list":       Case("401 200 200 200 200 200 200"),
    "corrections.map":        Case("401 200 200 200 200 200 200"),
    "corrections.statistics": Case("401 200 200 200 200 200 200"),
    "corrections.canvas":     Case("401 403 403 403 403 200 200", arrange=a_marked_layer, query="layer=marked&bounds=379000,3541400,379600,3542000&crs=EPSG:4549&width=32&height=32"),
    "corrections.report":     Case("401 403 403 403 403 201 201", arrange=a_marked_layer, content=sends(**WRONG)),
    "corrections.get":        Case("401 200 200 200 200 200 404", arrange=a_correction),
    "corrections.picture":    Case("401 200 200 200 200 200 404", arrange=a_correction),
    "corrections.move":       Case("401 200 403 403 200 409 404", arrange=a_correction, content=sends(to="taken")),
    "maps.list":              Case("401 403 403 403 403 200 200"),
    "maps.save":              Case("401 403 403 403 403 201 201", arrange=room_for_a_package, content=sends(title="mine", layers=[{"layer": "dom"}])),
    "maps.get":               Case("401 403 403 403 403 200 404", arrange=a_map),
    "maps.change":            Case("401 403 403 403 403 200 404", arrange=a_map, content=sends(title="mine", layers=[{"layer": "dom"}])),
    "maps.delete":            Case("401 403 403 403 403 204 404", arrange=a_map),
    "maps.picture":           Case("401 403 403 403 403 200 404", arrange=a_seen_map, query="bounds=118.75,31.95,118.8,32&crs=CRS:84&width=32&height=32"),
    "overlays.remote":        Case("401 403 403 403 403 422 422", content=sends(kind="wms", url="https://unlisted.test/", layers=["x"], name="x")),
    "overlays.refresh":       Case("401 403 403 403 403 409 404", arrange=lambda office: {"layer": an_overlay(office)["layer"]}),
    "remote.hosts":           Case("401 200 403 403 403 403 403"),
    "remote.hosts.put":       Case("401 200 403 403 403 403 403", arrange=lambda office: {"host": "listed.test"}, content=sends(port=443)),
    "remote.hosts.remove":    Case("401 204 403 403 403 403 403", arrange=a_listed_host, query="port=443"),
    "overlays.uploads":       Case("401 403 403 403 403 200 200"),
    "overlays.upload":        Case("401 403 403 403 403 201 201", arrange=room_for_an_upload, content=sends(**UPLOAD)),
    "overlays.uploads.get":   Case("401 403 403 403 403 200 404", arrange=an_upload),
    "overlays.uploads.cancel": Case("401 403 403 403 403 200 404", arrange=an_upload),
    "overlays.uploads.decide": Case("401 403 403 403 403 200 404", arrange=a_held_upload, content=sends(publish=False, reason="shifted indeed")),
    "overlays.list":          Case("401 403 403 403 403 200 200"),
    "overlays.get":           Case("401 403 403 403 403 200 404", arrange=an_overlay),
    "overlays.withdraw":      Case("401 403 403 403 403 204 404", arrange=an_overlay),
    "overlays.symbols":       Case("401 403 403 403 403 409 404", arrange=an_overlay, content=sends(symbols=None, generation=0)),
    "overlays.picture":       Case("401 403 403 403 403 200 404", arrange=an_overlay, content=sends(**PLAIN)),
    "overlays.legend":        Case("401 403 403 403 403 200 404", arrange=an_overlay, content=sends(**PLAIN)),
    "overlays.classes":       Case("401 403 403 403 403 200 404", arrange=an_overlay, content=sends(table="sites", field="DEPTH")),
    "live.list":              Case("401 403 403 403 403 200 200"),
    "live.make":              Case("401 403 403 403 403 201 422", arrange=no_ships, content=sends(**LIVE | {"name": "water-ships"})),
    "live.write":             Case("401 403 403 403 403 200 404", arrange=a_live_layer, content=sends(objects=[{"id": "a", "lon": 118.8, "lat": 32}])),
    "live.drop":              Case("401 403 403 403 403 204 404", arrange=a_live_layer),
    "requests.list":          Case("401 200 200 200 200 200 200"),
    "requests.ask":           Case("401 403 403 403 403 201 201", content=sends(layers="dem", reason="flood maps")),
    "submissions.list":       Case("401 200 200 200 200 200 200"),
    "submissions.create":     Case("401 403 403 403 403 201 404", arrange=owing, content=lambda places: {"json": GIVEN | places}),
    "submissions.get":        Case("401 200 200 200 200 200 404", arrange=a_submission),
    "submissions.withdraw":   Case("401 403 403 403 403 200 404", arrange=a_submission),
    "submissions.report":     Case("401 200 200 200 200 200 404", arrange=a_checked_submission),
    "submissions.picture":    Case("401 200 200 200 200 200 404", arrange=lambda office: a_checked_submission(office) | {"picture": "findings"}),
    "submissions.review":     Case("401 200 403 403 200 403 403", arrange=a_checked_submission, content=sends(note="as agreed")),
    "submissions.approve":    Case("401 403 200 403 403 403 403", arrange=a_reviewed_submission, content=sends(note="")),
    "submissions.return":     Case("401 422 422 403 422 403 403", arrange=a_checked_submission, content=sends(reasons=" ")),
    "requests.answer":        Case("401 200 403 403 200 403 403", arrange=a_request, content=sends(outcome="refused", answer="not yet")),
    "tasks.list":             Case("401 200 200 200 200 200 200"),
    "usage.get":              Case("401 200 200 200 200 200 404", arrange=an_agreement),
    "reviews.agreement":      Case("401 200 200 200 200 200 404", arrange=an_agreement, query="first=2026-01-01&last=2026-01-31"),
    "reviews.group":          Case("401 200 200 200 200 403 403", query="first=2026-01-01&last=2026-01-31"),
    "reviews.indicators":     Case("401 200 200 200 200 403 403", query="year=2026"),
}


@pytest.fixture(scope="module")
def office(lasting_house) -> Office:
    lasting_house.raster("dom", np.full((3, 64, 64), 90, dtype=np.uint8), 379_000, 3_542_000, 10.0)
    return Office(lasting_house)


def ask(office: Office, name: str, visitor, *, headers=None, csrf=None, places=None, **content):
    case, operation = CASES[name], OPERATIONS[name]
    places = case.arrange(office) if places is None else places
    path = operation.path.format(**places) + (f"?{case.query}" if case.query else "")
    return visitor.ask(f"{operation.method} {path}", headers=headers, csrf=csrf, **(content or case.content(places)))


def test_the_table_has_every_operation_and_no_other():
    assert CASES.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("login", EVERYBODY)
@pytest.mark.parametrize("name", CASES)
def test_everybody_gets_what_the_table_says_and_leaves_a_record_of_it(office, name, login):
    places, before = CASES[name].arrange(office), len(office.acts())
    answer = ask(office, name, office.visitor(login), places=places)
    assert answer.status_code == CASES[name].expected()[login], answer.text
    (act,) = office.acts()[before:]
    assert (act["operation"], act["status"]) == (name, answer.status_code)
    assert act["actor"] == (None if login == "anonymous" or not OPERATIONS[name].roles else login)
    assert act["outcome"] == ("done" if answer.status_code < 300 else "refused" if answer.status_code in (401, 403, 404) else "invalid")
    if answer.status_code >= 400:
        assert answer.content_type == "application/problem+json; charset=utf-8" and answer.json["status"] == answer.status_code


@pytest.mark.parametrize("login", EVERYBODY[1:])
@pytest.mark.parametrize("name", [name for name in CASES if OPERATIONS[name].roles])
def test_a_token_opens_what_its_person_may_do_but_what_takes_a_person(office, name, login):
    expected = CASES[name].expected()[login]
    answer = ask(office, name, office.visitor(), headers=office.token(login))
    assert answer.status_code == (403 if OPERATIONS[name].by_session else expected), answer.text


@pytest.mark.parametrize("name", [name for name in CASES if OPERATIONS[name].body is not None and OPERATIONS[name].roles])
def test_nothing_of_a_body_is_read_before_the_role_is_known(office, name):
    """A body that can't be read, or too much of it, makes no difference to who may not send any."""
    for login in EVERYBODY:
        expected = CASES[name].expected()[login]
        if expected in (401, 403):
            for content in ({"data": b"\xff" * 100, "content_type": "text/plain"}, {"data": b"{" * (20 << 20), "content_type": "application/json"}):
                assert ask(office, name, office.visitor(login), **content).status_code == expected


@pytest.mark.parametrize("name", [name for name in CASES if OPERATIONS[name].body is not None])
def test_a_body_that_can_t_be_meant_is_told_as_it_is(office, name):
    login = next((login for login in ("administrator", *EVERYBODY) if CASES[name].expected()[login] not in (401, 403)), "anonymous")
    operation, visitor = OPERATIONS[name], office.visitor(login)
    media_type = operation.body.media_types[0] if isinstance(operation.body, Text) else "application/json"
    assert ask(office, name, visitor, data=b"x" * (operation.largest + 1), content_type=media_type).status_code == 413
    assert ask(office, name, visitor, data=b"a=b", content_type="application/x-www-form-urlencoded").status_code == 415
    faulty = ask(office, name, visitor, data=b"\xff\xfe", content_type=media_type)
    assert faulty.status_code == 422 and faulty.json["errors"]


@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if operation.changes and operation.roles])
@pytest.mark.parametrize("trick", ("no token", "another token", "a token of another session", "another origin", "null origin", "another site", "same site"))
def test_no_other_site_makes_a_browser_change_anything(office, name, trick):
    login = next(login for login in ("administrator", "member", "approver") if CASES[name].expected()[login] != 403)
    visitor = office.visitor(login)
    given = {
        "no token": {"csrf": ""}, "another token": {"csrf": "0" * 64}, "a token of another session": {"csrf": office.visitor(login).csrf},
        "another origin": {"headers": {"Origin": "https://evil.test"}}, "null origin": {"headers": {"Origin": "null"}},
        "another site": {"headers": {"Sec-Fetch-Site": "cross-site"}}, "same site": {"headers": {"Sec-Fetch-Site": "same-site"}},
    }[trick]
    answer = ask(office, name, visitor, **given)
    assert (answer.status_code, answer.json["title"]) == (403, "form forged")


@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if operation.changes and operation.roles])
def test_pages_of_ours_change_things(office, name):
    login = next(login for login in ("administrator", "member", "approver") if CASES[name].expected()[login] != 403)
    for headers in ({"Origin": "http://maps.test"}, {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}):
        assert ask(office, name, office.visitor(login), headers=headers).status_code == CASES[name].expected()[login]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.expected()["stranger"] == 404 and case.expected()["member"] != 404])
def test_what_is_another_agency_s_and_what_does_not_exist_are_answered_alike(office, name):
    places = CASES[name].arrange(office)
    absent = dict.fromkeys(places, "absent")
    theirs, none = (ask(office, name, office.visitor("stranger"), places=one) for one in (places, absent))
    assert (theirs.status_code, none.status_code) == (404, 404)
    told = theirs.text
    for value in places.values():
        told = told.replace(value, "absent")
    assert told == none.text
    lengths = {"Content-Length": ""}
    assert dict(theirs.headers) | lengths == dict(none.headers) | lengths


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_there_by_its_own_methods_alone(office, name):
    operation = OPERATIONS[name]
    places = dict.fromkeys(operation.places, "absent")
    path = operation.path.format(**places)
    others = {one.method for one in OPERATIONS.values() if re.sub(r"{\w+}", "absent", one.path) == path}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - others:
        assert office.visitor("administrator").ask(f"{method} {path}").status_code in ((404, 405) if "{agreement}" in operation.path else (405,)), \
            "`agreement/suspensions` may be the name of an agreement"


def test_a_key_of_an_agency_does_not_open_the_api(office):
    key = office.house.keys["water"]
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
        assert office.visitor().ask("GET /keys", headers=headers).status_code == 401
    for path in (f"/keys?key={key}", f"/keys?tk={key}"):
        assert office.visitor().ask(f"GET {path}").status_code == 401


def test_a_token_of_a_person_opens_no_map(office):
    headers = office.token("member")
    assert office.house.client().get("/api/v1/layers", headers=headers).status_code == 401
    assert office.house.client().get("/ows?SERVICE=WMS&REQUEST=GetCapabilities", headers=headers).status_code == 401


def test_no_secret_is_in_any_record(office):
    """Run after all of the above: whatever they sent and were given."""
    text = json.dumps(office.records(), ensure_ascii=False)
    assert PASSWORD not in text and not re.search(r"gsu_[a-z2-7]{8,}|gsk_[a-z2-7]{8,}", text)
    assert "another long password" not in text
