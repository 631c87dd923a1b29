"""Files of packages on their way out: in ranges as RFC 9110 has them, each decided anew, ended where the grant is taken back; and for people at the
portal as for programs."""

import subprocess
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import shapely
from api_office import Office
from ordering import events, fetch, folder_of, made, make, path_of, told
from werkzeug.serving import make_server

from agreements.model import Operation, Term
from geoserver_app.clock import now
from geoserver_app.packages import shipping
from geoserver_app.packages.jobs import PackageState
from layers.crs import transform_geometry

LEFT, TOP, STEP, COLS, ROWS = 384_000.0, 3_548_000.0, 5.0, 500, 500
DOWNLOAD = frozenset({Operation.DOWNLOAD})
NAME = "dom-2011.tif"
ALL = {"bounds": [LEFT, TOP - ROWS * STEP, LEFT + COLS * STEP, TOP], "crs": "EPSG:4549"}


def on_earth(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    return transform_geometry(shapely.segmentize(shapely.box(LEFT + west, TOP - south, LEFT + east, TOP - north), 100), "EPSG:4549", "CRS:84")


@pytest.fixture(scope="module")
def people(lasting_house) -> Office:
    return Office(lasting_house)


@pytest.fixture(scope="module")
def office(people):
    house = people.house
    noise = np.random.default_rng(3).integers(1, 255, (3, ROWS, COLS), dtype=np.uint8)
    house.raster("dom", noise, LEFT, TOP, STEP, lossless=True)
    house.grant("water", "dom", operations=DOWNLOAD)
    return house


@pytest.fixture(scope="module")
def package(office):
    return made(office, "water", layers=["dom"], area=ALL)


@pytest.fixture(scope="module")
def whole(office, package) -> bytes:
    return fetch(office, "water", package, NAME)


def sharer(office, name: str, **terms):
    """An agency with an agreement of its own, and a package under it."""
    office.agency(name)
    agreement = office.grant(name, "dom", operations=DOWNLOAD, **terms)
    return agreement, made(office, name, layers=["dom"], area=ALL)


# Ranges

@pytest.mark.parametrize(("asked", "first", "last"), [
    ("bytes=0-0", 0, 0), ("bytes=100-199", 100, 199), ("bytes=-500", -500, None), ("bytes=1000-", 1000, None), ("BYTES = 5 - 9", 5, 9), ("bytes=7-99999999999", 7, None),
    ("bytes=-99999999999", 0, None), ("bytes=,3-4,", 3, 4),
])
def test_a_range_is_answered_with_these_bytes(office, package, whole, asked, first, last):
    answer = office.get(path_of(package, NAME), "water", Range=asked)
    first = first % len(whole)
    last = len(whole) - 1 if last is None else last
    assert answer.status_code == 206 and answer.data == whole[first:last + 1]
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(whole)}" and answer.headers["Content-Length"] == str(last + 1 - first)


@pytest.mark.parametrize("asked", ("items=0-5", "bytes=", "bytes=-", "bytes=9-3", "bytes=a-b", "bytes 0-5", "bytes=0-5;x"))
def test_what_is_no_range_asks_for_the_whole(office, package, whole, asked):
    answer = office.get(path_of(package, NAME), "water", Range=asked)
    assert answer.status_code == 200 and answer.data == whole and answer.headers["Accept-Ranges"] == "bytes"


def test_a_range_beyond_the_end_and_several_at_once_are_told(office, package, whole):
    for asked in (f"bytes={len(whole)}-", "bytes=-0", "bytes=0-1,5-6"):
        answer = office.get(path_of(package, NAME), "water", Range=asked)
        assert answer.status_code == 416 and answer.headers["Content-Range"] == f"bytes */{len(whole)}" and str(len(whole)) in answer.json["detail"]


def test_a_part_is_sent_of_the_same_file_alone(office, package, whole):
    tag, day = (office.client().head(path_of(package, NAME), headers={"X-API-Key": office.keys["water"]}).headers[name] for name in ("ETag", "Last-Modified"))
    for condition, status in ((tag, 206), (day, 206), (f"W/{tag}", 200), ('"other"', 200), ("Thu, 01 Jan 1970 00:00:00 GMT", 200), ("rubbish", 200)):
        answer = office.get(path_of(package, NAME), "water", Range="bytes=10-19", **{"If-Range": condition})
        assert answer.status_code == status and answer.data == (whole[10:20] if status == 206 else whole), condition


def test_head_tells_the_size_and_sends_nothing(office, package, whole):
    answer = office.client().head(path_of(package, NAME), headers={"X-API-Key": office.keys["water"]})
    assert answer.status_code == 200 and answer.data == b"" and int(answer.headers["Content-Length"]) == len(whole)
    assert answer.headers["Content-Disposition"].startswith("attachment") and "no-store" in answer.headers["Cache-Control"]


def test_pieces_are_put_together_to_the_whole(office, package, whole, monkeypatch):
    monkeypatch.setattr(shipping, "PIECE", 200_000)
    before = len(events(office, "overlay.decided"))
    assert fetch(office, "water", package, NAME) == whole
    assert len(events(office, "overlay.decided")) - before == -(-len(whole) // 200_000)


@pytest.mark.client
def test_curl_goes_on_with_a_download_that_broke_off(office, package, whole, tmp_path):
    server = make_server("127.0.0.1", 0, office.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        place = tmp_path / NAME
        place.write_bytes(whole[:123_456])
        address = f"http://127.0.0.1:{server.port}{path_of(package, NAME)}"
        command = ["curl", "-s", "-f", "-C", "-", "-H", f"X-API-Key: {office.keys['water']}", "-o", str(place), address]
        try:
            assert subprocess.run(command, timeout=30).returncode == 0
        except FileNotFoundError:
            pytest.skip("curl is not installed here")
        assert place.read_bytes() == whole
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# Decided anew

def test_what_is_suspended_is_refused_at_the_next_range_and_its_files_are_gone(office):
    agreement, package = sharer(office, "builders")
    path, folder = path_of(package, NAME), folder_of(office, package)
    assert office.get(path, "builders", Range="bytes=0-99").status_code == 206
    office.services.register.suspend(agreement.agreement_id, "found to be wrong")
    office.look_again()
    answer = office.get(path, "builders", Range="bytes=100-199")
    assert answer.status_code == 403 and answer.json["type"].endswith("package-taken-back")
    assert told(office, "builders", package)["state"] == PackageState.TAKEN_BACK and not folder.exists()
    assert office.get(path, "builders").status_code == 403 and events(office, "package.ended")[-1]["outcome"] == "taken-back"


@pytest.mark.parametrize(("name", "terms"), [
    ("narrowed", {"area": on_earth(0, 2_000, 2_000, 0)}), ("degraded", {"degrade": 50.0}), ("elsewhere", {"purposes": frozenset({"internal-planning"})}),
])
def test_what_is_granted_less_than_when_it_was_made_is_taken_back(office, name, terms):
    agreement, package = sharer(office, name)
    less = office.clause("dom", operations=DOWNLOAD, **terms)
    office.services.register.register(replace(agreement, version=2, grants=(less,)), "")
    office.look_again()
    assert office.client().head(path_of(package, NAME), headers={"X-API-Key": office.keys[name]}).status_code == 403
    assert told(office, name, package)["state"] == "taken-back"


def test_what_is_granted_wider_or_replaced_by_the_same_is_fetched_on(office):
    agreement, package = sharer(office, "wider", area=on_earth(0, 2_000, 2_000, 0))
    for version, area in ((2, on_earth(0, 2_000, 2_000, 0)), (3, on_earth(-100, 2_400, 2_400, -100))):
        clause = office.clause("dom", operations=DOWNLOAD, area=area)
        office.services.register.register(replace(agreement, version=version, grants=(clause,)), "")
        office.look_again()
        assert office.get(path_of(package, NAME), "wider").status_code == 200


def test_who_asks_from_where_nothing_is_granted_is_refused_and_the_package_stays(office):
    office.agency("networked")
    office.grant("networked", "dom", operations=DOWNLOAD, networks=frozenset({"10.0.0.0/8"}))
    headers = {"X-API-Key": office.keys["networked"]}
    inside, outside = {"REMOTE_ADDR": "10.1.2.3"}, {"REMOTE_ADDR": "192.0.2.1"}
    answer = office.client().post("/api/v1/packages", json={"layers": ["dom"], "area": ALL}, headers=headers, environ_base=inside)
    assert answer.status_code == 201
    make(office)
    package = told(office, "networked", answer.json)
    path = path_of(package, NAME)
    refused = office.client().get(path, headers=headers, environ_base=outside)
    assert refused.status_code == 403 and refused.json["reasons"][0]["code"] == "network-not-granted"
    assert office.client().get(path, headers=headers, environ_base=inside).status_code == 200


def test_an_edition_that_is_withdrawn_takes_its_packages_along(office):
    office.raster("short-lived", np.full((3, 60, 60), 9, np.uint8), LEFT, TOP, STEP, lossless=True)
    office.agency("late")
    office.grant("late", "short-lived", operations=DOWNLOAD)
    package = made(office, "late", layers=["short-lived"], area=ALL)
    office.services.catalogue.withdraw("short-lived")
    office.look_again()
    assert office.get(path_of(package, "short-lived-2011.tif"), "late").status_code == 403


def running(office, agency: str, package: dict):
    answer = office.client().get(path_of(package, NAME), headers={"X-API-Key": office.keys[agency]}, buffered=False)
    parts = answer.iter_encoded()
    return parts, len(next(parts))


def test_a_running_download_ends_within_two_seconds_of_a_revocation(office):
    agreement, package = sharer(office, "impatient")
    parts, sent = running(office, "impatient", package)
    office.services.register.suspend(agreement.agreement_id, "found to be wrong")
    began = time.monotonic()
    with pytest.raises(Exception, match="the download ends here"):
        for part in parts:
            sent += len(part)
            time.sleep(0.05)
    assert time.monotonic() - began < 2 and sent < package["files"][0]["bytes"]
    assert events(office, "download.ended")[-1]["outcome"] == "taken-back" and told(office, "impatient", package)["state"] == "taken-back"


def test_a_running_download_ends_with_the_term_and_with_its_key(office, monkeypatch):
    agreement, package = sharer(office, "passing")
    ends = now().replace(year=now().year + 1)
    office.services.register.register(replace(agreement, version=2, term=Term(start=agreement.term.start, end=ends)), "")
    office.look_again()
    parts, _ = running(office, "passing", package)
    with monkeypatch.context() as patch:
        patch.setattr(office.services.gate, "clock", lambda: ends)
        with pytest.raises(Exception, match="the download ends here"):
            list(parts)
    _, package = sharer(office, "keyed")
    parts, _ = running(office, "keyed", package)
    (key,) = (one for one in office.services.register.snapshot().keys.values() if one.agency_id == "keyed")
    office.services.register.revoke_key(key.key_id)
    office.look_again()
    with pytest.raises(Exception, match="the download ends here"):
        list(parts)


# People

def test_a_member_orders_watches_and_fetches_in_a_browser_and_nobody_of_another_agency_does(office, people):
    member, stranger, staff = (people.visitor(one) for one in ("member", "stranger", "administrator"))
    answer = member.ask("POST /packages", json={"layers": ["dom"], "area": ALL, "format": "png"})
    assert answer.status_code == 201, answer.text
    package = answer.json["package"]
    assert member.ask("POST /packages", csrf="", json={"layers": ["dom"], "area": ALL}).status_code == 403
    make(office)
    assert [one["package"] for one in member.ask("GET /packages?limit=1").json["items"]] == [package]
    assert member.client.get(f"/packages/{package}/package.zip").status_code == 200
    assert office.client().get(f"/packages/{package}/package.zip", headers=people.token("member")).status_code == 200
    assert stranger.client.get(f"/packages/{package}/package.zip").status_code == 404 and stranger.ask(f"GET /packages/{package}").status_code == 404
    assert staff.client.get(f"/packages/{package}/package.zip").status_code == 403 and staff.ask("GET /packages").status_code == 403
    assert member.ask(f"DELETE /packages/{package}").json["state"] == "cancelled"
    assert {one["actor"] for one in people.acts() if one["operation"].startswith("packages.") and one["outcome"] == "done" and one["actor"]} == {"member"}


def test_the_page_of_packages_orders_shows_fetches_and_calls_off(office, people):
    member, stranger = people.visitor("member"), people.visitor("stranger")
    page = member.client.get("/portal/packages?lang=en")
    assert page.status_code == 200 and "dom" in page.text and 'data-draw' in page.text
    drawn = shapely.to_geojson(on_earth(100, 2_000, 2_000, 100))
    form = {"csrf": member.csrf, "do": "order", "layer": "dom", "format": "cog", "crs": "EPSG:4490", "drawn": drawn}
    wrong = member.client.post("/portal/packages?lang=en", data=form | {"resolution": "fine", "drawn": "", "sheets": "XX"})
    assert wrong.status_code == 422 and "resolution" in wrong.text
    assert member.client.post("/portal/packages", data=form | {"csrf": "forged"}).status_code == 403
    assert member.client.post("/portal/packages", data=form).status_code == 303
    make(office)
    page = member.client.get("/portal/packages?lang=en&done=ordered").text
    package = member.ask("GET /packages").json["items"][0]
    assert package["state"] == "ready" and f"/packages/{package['package']}/dom-2011.tif" in page and "made in the background" in page
    assert package["package"] not in stranger.client.get("/portal/packages").text
    cancel = {"csrf": stranger.csrf, "do": "cancel", "package": package["package"]}
    assert stranger.client.post("/portal/packages", data=cancel).status_code == 404
    assert member.client.post("/portal/packages", data=cancel | {"csrf": member.csrf}).status_code == 303
    assert member.ask(f"GET /packages/{package['package']}").json["state"] == "cancelled"
