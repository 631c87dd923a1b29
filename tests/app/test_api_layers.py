"""What the API tells the bureau's own people of layers, editions, sheets and jobs, and how an edition is taken out of service."""

import io
from datetime import date

import numpy as np
import pytest
from api_office import Office
from held_layers import block, hold, running
from PIL import Image

from layers.catalogue import JobState

NEW, OLD = date(2011, 5, 1), date(2006, 7, 1)
GRID = block(4, 5)
MIDDLE, BESIDE = GRID[1][2], GRID[0][0]
"""Not in the newer edition: one with sheets all around it, one at the corner which the older edition has."""


@pytest.fixture(scope="module")
def office(lasting_house) -> Office:
    """`ortho` in two editions of 20 and 18 sheets, and `dom` of one sheet with pixels."""
    catalogue = lasting_house.services.catalogue
    lasting_house.raster("dom", np.full((3, 60, 80), 90, dtype=np.uint8), 379_000, 3_542_000, 10.0, classification="secret")
    numbers = [number for row in GRID for number in row]
    hold(catalogue, "ortho", "2006", dict.fromkeys(numbers, OLD))
    hold(catalogue, "ortho", "2011", {number: NEW for number in numbers if number not in (MIDDLE, BESIDE)})
    return Office(lasting_house)


def get(office: Office, path: str, login: str = "data_manager"):
    return office.visitor(login).ask(f"GET /data{path}")


def test_layers_come_with_their_editions_the_newest_first(office):
    told = {one["name"]: one for one in get(office, "/layers").json["items"]}
    assert list(told) == ["dom", "ortho"] and told["dom"]["classification"] == "secret" and told["dom"]["product"] == "DOM"
    newer, older = told["ortho"]["editions"]
    assert (newer["edition"], newer["is_latest"], newer["sheets"], older["edition"], older["is_latest"], older["sheets"]) == ("2011", True, 18, "2006", False, 20)
    assert newer["currency"] == ["2011-05-01", "2011-05-01"] and newer["published"] == "2026-03-05T08:30:00Z"
    assert told["dom"]["editions"][0]["size_bytes"] > 1000


def test_holes_are_ground_that_sheets_surround_or_another_edition_covers(office):
    newer, older = (get(office, f"/layers/ortho/editions/{name}").json for name in ("2011", "2006"))
    assert newer["missing_sheets"] == sorted((MIDDLE, BESIDE)) and older["missing_sheets"] == [] and older["holes_km2"] == 0
    assert newer["holes_km2"] == pytest.approx(older["km2"] / 10, rel=0.02)


@pytest.mark.parametrize(("text", "count"), [
    ("", 18), ("I50G095077", 1), ("i50 g 095077", 1), ("Ｉ５０Ｇ０９５０７７", 1), ("I-50-142-(53)", 1), ("I50D012010", 18), ("I50E024019", 3), ("I50A", 0), ("077DOM", 4),
    ("I50H189153", 1), ("I50", 18), ("I49", 0), ("nothing", 0), (MIDDLE, 0),
])
def test_a_sheet_is_found_by_any_spelling_of_its_number_and_by_its_file(office, text, count):
    """By the number of a coarser sheet all within it, by that of a finer one the one around it."""
    told = office.visitor("auditor").ask("GET /data/layers/ortho/editions/2011/sheets", query_string={"text": text}).json
    assert told["matched"] == len(told["items"]) == count, [one["number"] for one in told["items"]]


def test_a_list_of_sheets_is_read_in_pages(office):
    seen, after = [], ""
    while True:
        told = office.visitor("auditor").ask("GET /data/layers/ortho/editions/2006/sheets", query_string={"limit": 7, "after": after}).json
        seen += [one["number"] for one in told["items"]]
        after = told["next"]
        if after is None:
            break
    assert seen == sorted(number for row in GRID for number in row)


def test_a_sheet_tells_what_it_is_where_it_comes_from_and_what_lies_around_it(office):
    (found,) = office.visitor("auditor").ask("GET /data/layers/ortho/editions/2011/sheets", query_string={"text": GRID[1][1]}).json["items"]
    told = get(office, f"/layers/ortho/editions/2011/sheets/{found['sheet']}").json
    assert told["number"] == GRID[1][1] and told["old_number"].startswith("I-50-142-(") and told["checksum"].endswith(GRID[1][1].lower())
    assert told["lineage"][0] == "taken as delivered" and told["is_delivered_kept"] is False and told["footprint"]["type"] == "Polygon"
    around = {one["direction"]: one for one in told["neighbours"]}
    assert around["east"] == {"direction": "east", "number": MIDDLE, "sheet": None} and around["north-west"]["sheet"] is None
    assert around["south"]["number"] == GRID[2][1] and around["south"]["sheet"] is not None
    (other,) = told["in_other_editions"]
    assert (other["edition"], other["currency"]) == ("2006", "2006-07-01")


def test_a_picture_is_for_those_who_work_with_the_data(office):
    (sheet,) = get(office, "/layers/dom/editions/2011/sheets").json["items"]
    path = f"/layers/dom/editions/2011/sheets/{sheet['sheet']}/picture"
    answer = get(office, path)
    picture = np.array(Image.open(io.BytesIO(answer.data)).convert("RGB"))
    assert answer.content_type == "image/png" and picture.shape == (384, 512, 3)
    assert np.abs(picture[150:230, 200:300].astype(int) - 90).max() <= 3
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert [get(office, path, login).status_code for login in ("administrator", "auditor", "approver", "member")] == [200, 403, 403, 403]
    assert not any(office.house.services.settings.cache.rglob("*.png")), "the shared cache holds what agencies asked for"


@pytest.mark.parametrize("path", [
    "/layers/absent", "/layers/ortho/editions/1999", "/layers/absent/editions/2011/sheets", "/layers/ortho/editions/2011/sheets/999999",
    "/layers/ortho/editions/2011/sheets/x", "/layers/ortho/editions/2011/sheets/٣", "/layers/dom/editions/2011/sheets/99999999999999999999", "/jobs/99999", "/jobs/x",
    "/jobs/-1", "/jobs/99999/report",
])
def test_what_is_not_there_is_told_in_a_sentence(office, path):
    answer = get(office, path)
    assert answer.status_code == 404 and answer.json["title"] == "nothing there"


# -- jobs and their reports

@pytest.fixture
def job(office):
    """A job that runs, and its report."""
    with running(office.house, "ortho", "2026", 40) as number:
        office.house.services.catalogue.report_job(number, 12)
        folder = office.house.services.settings.data / "reports" / str(number)
        folder.mkdir(parents=True)
        (folder / "report.html").write_text("<!doctype html><title>r</title><script>steal()</script>", "utf-8")
        (folder / "report.json").write_text('{"sheets": [{"file": "a.tif"}]}', "utf-8")
        yield number


def test_a_job_tells_how_far_it_is_and_then_what_was_wrong(office, job):
    told = get(office, f"/jobs/{job}", "auditor").json
    assert (told["state"], told["done"], told["total"], told["ended"], told["report"]) == ("running", 12, 40, None, True)
    office.house.services.catalogue.report_job(job, 40)
    office.house.services.catalogue.end_job(job, JobState.FAILED, ["a.tif: states no CRS", "b.tif: is not whole"])
    told = get(office, f"/jobs/{job}").json
    assert (told["state"], told["done"], told["faults"], told["fault_sentences"]) == ("failed", 40, 2, ["a.tif: states no CRS", "b.tif: is not whole"])
    assert job in [one["job"] for one in get(office, "/jobs?layer=ortho&state=failed").json["items"]]
    assert get(office, "/jobs?layer=ortho&state=running").json["items"] == []
    assert get(office, "/jobs?state=lost").status_code == 422


def test_a_job_whose_process_has_died_does_not_run_whatever_is_noted_of_it(office):
    with running(office.house, "ortho", "2028", 9) as number:
        assert get(office, f"/jobs/{number}").json["state"] == "running"
        assert number in [one["job"] for one in get(office, "/jobs?state=running").json["items"]]
    assert get(office, f"/jobs/{number}").json["state"] == "interrupted"
    assert number in [one["job"] for one in get(office, "/jobs?state=interrupted").json["items"]] and get(office, "/jobs?state=running").json["items"] == []


def test_a_report_runs_nothing_loads_nothing_and_knows_nobody(office, job):
    answer = get(office, f"/jobs/{job}/report")
    policy = answer.headers["Content-Security-Policy"]
    assert answer.content_type == "text/html; charset=utf-8" and "steal()" in answer.text
    assert policy.startswith("sandbox;") and "default-src 'none'" in policy and "script-src" not in policy and "allow-" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "private, no-store"
    assert get(office, f"/jobs/{job}/report?form=json").json == {"sheets": [{"file": "a.tif"}]}
    assert [get(office, f"/jobs/{job}/report", login).status_code for login in ("member", "stranger", "anonymous")] == [403, 403, 401]
    key = office.house.keys["water"]
    assert office.visitor().ask(f"GET /data/jobs/{job}/report", headers={"X-API-Key": key}).status_code == 401


def test_what_was_found_when_files_were_taken_in_is_told_with_their_job(office):
    (job,) = [one for one in get(office, "/jobs?layer=dom").json["items"] if one["state"] == "published"]
    assert job["report"] is True
    told, shown = (get(office, f"/jobs/{job['job']}/report?form={form}", "auditor") for form in ("json", "html"))
    assert (told.json["layer"], told.json["edition"], len(told.json["sheets"])) == ("dom", "2011", 1)
    assert shown.text.startswith("<!doctype html>") and "dom.tif" in shown.text


@pytest.mark.parametrize("place", ["..", "../1", "%2e%2e", "1%2f..%2f..", "..%5c", "1/../../geoshare.sqlite", ".", "0x1", "1%00"])
def test_no_spelling_of_a_job_leads_out_of_the_reports(office, job, place):
    answer = get(office, f"/jobs/{place}/report")
    assert answer.status_code in (404, 405) and b"SQLite" not in answer.data and b"steal" not in answer.data


def test_a_link_out_of_the_reports_is_no_report(office, job):
    data = office.house.services.settings.data
    other = office.house.services.catalogue.begin_job("ortho", "2027", 1)
    office.house.services.catalogue.end_job(other, JobState.INTERRUPTED)
    assert get(office, f"/jobs/{other}/report").status_code == 404
    (data / "reports" / str(other)).symlink_to(data / "reports" / str(job))
    assert get(office, f"/jobs/{other}/report").status_code == 404 and get(office, f"/jobs/{other}").json["report"] is False


# -- withdrawal

WITHDRAW = "POST /data/layers/{}/editions/{}/withdrawal"


def test_an_edition_that_is_withdrawn_is_gone_from_catalogue_maps_and_store_and_the_record_says_why(office):
    house = office.house
    house.raster("flood", np.full((3, 40, 40), 120, dtype=np.uint8), 379_000, 3_542_000, 10.0)
    house.grant("water", "flood")
    where = "/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&LAYERS=flood&STYLES=&CRS=EPSG:4549&BBOX=3541600,379000,3542000,379400&WIDTH=32&HEIGHT=32&FORMAT=image/png"
    assert house.get(where, "water").status_code == 200
    edition, office_of = get(office, "/layers/flood/editions/2011").json, office.visitor("administrator")
    folder = house.services.settings.store / "flood"
    assert folder.exists()
    asked = office_of.ask(WITHDRAW.format("flood", "2011"), json={"generation": edition["generation"] + 1, "reason": "wrong datum"})
    assert (asked.status_code, asked.json["errors"][0]["code"]) == (409, "edition-changed") and folder.exists()
    done = office_of.ask(WITHDRAW.format("flood", "2011"), json={"generation": edition["generation"], "reason": "wrong datum"})
    assert done.status_code == 200 and done.json == {"layer": "flood", "edition": "2011", "sheets": 1}
    assert not folder.exists() and "flood" not in house.services.catalogue.snapshot().layers
    house.look_again()
    assert house.get(where, "water").status_code == 403
    act = office.acts()[-1]
    assert (act["operation"], act["actor"], act["object"], act["outcome"]) == ("data.editions.withdraw", "administrator", "flood@2011", "done")
    assert (act["reason"], act["sheets"], act["generation"]) == ("wrong datum", 1, edition["generation"])
    assert office_of.ask(WITHDRAW.format("flood", "2011"), json={"generation": 1, "reason": "again"}).status_code == 404


def test_what_is_withdrawn_is_withdrawn_though_something_of_it_can_t_be_deleted(office, monkeypatch):
    hold(office.house.services.catalogue, "stuck", "2011", {GRID[0][0]: NEW})

    def half_done(settings, name):
        office.house.services.catalogue.withdraw("stuck")
        raise OSError("device busy")

    monkeypatch.setattr("geoserver_app.api.layers.remove", half_done)
    answer = office.visitor("administrator").ask(WITHDRAW.format("stuck", "2011"), json={"generation": 1, "reason": "x"})
    assert answer.status_code == 200 and office.acts()[-1]["outcome"] == "done"


def test_nothing_is_withdrawn_while_files_are_added_to_it(office):
    import fcntl

    generation = get(office, "/layers/dom/editions/2011").json["generation"]
    with (office.house.services.settings.store / "dom" / "2011" / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = office.visitor("administrator").ask(WITHDRAW.format("dom", "2011"), json={"generation": generation, "reason": "x"})
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (409, "edition-busy")
    assert "dom" in office.house.services.catalogue.snapshot().layers


def test_a_withdrawal_needs_a_reason(office):
    answer = office.visitor("administrator").ask(WITHDRAW.format("dom", "2011"), json={"generation": 1, "reason": ""})
    assert answer.status_code == 422 and answer.json["errors"][0]["pointer"] == "#/reason"
