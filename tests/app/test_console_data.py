"""The pages of data: what they show to whom, in both languages; and an edition that goes only when it is meant."""

import re
import time
from datetime import date

import numpy as np
import pytest
from api_office import Office
from held_layers import block, hold, running

from layers.catalogue import JobState
from tests.app.test_api_layers import BESIDE, GRID, MIDDLE

PAGES = ("/data", "/data/ortho", "/data/ortho/2011", "/jobs")


@pytest.fixture(scope="module")
def office(lasting_house) -> Office:
    catalogue = lasting_house.services.catalogue
    lasting_house.raster("dom", np.full((3, 60, 80), 90, dtype=np.uint8), 379_000, 3_542_000, 10.0, classification="secret")
    numbers = [number for row in GRID for number in row]
    hold(catalogue, "ortho", "2006", dict.fromkeys(numbers, date(2006, 7, 1)))
    newer = {number: date(2010 + place % 2, 5, 1) for place, number in enumerate(numbers) if number not in (MIDDLE, BESIDE)}
    hold(catalogue, "ortho", "2011", newer)
    lasting_house.agency("forestry")
    lasting_house.grant("forestry", "ortho@2006", "dom")
    return Office(lasting_house)


def page(office: Office, path: str, login: str = "data_manager", language: str = "en"):
    return office.visitor(login).client.get(f"/console{path}", query_string={"lang": language} if "?" not in path else None)


def sheet_of(office: Office, number: str, edition: str = "2011") -> int:
    catalogue = office.house.services.catalogue
    held = catalogue.snapshot().layers["ortho"].edition(edition)
    return next(one.sheet_id for one in catalogue.sheets(held.edition_id) if one.number == number)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_there_in_both_languages(office, path):
    chinese, english = (page(office, path, language=language).text for language in ("zh", "en"))
    words = re.compile(r">[^<]*[\u4e00-\u9fff]")
    assert len(words.findall(chinese)) > len(words.findall(english)) and "Data" in english and "数据" in chinese
    shown = re.sub(r"正射影像|English|中文|[\w.-]+厅", "", english.partition("<main")[2])
    assert not re.search("[\u4e00-\u9fff]", shown), re.search(".{20}[\u4e00-\u9fff]+.{20}", shown)


def test_a_layer_is_shown_with_its_editions_side_by_side_coloured_by_currency_with_what_is_missing(office):
    text = page(office, "/data/ortho").text
    maps = re.findall(r'<svg class="sheets".*?</svg>', text, re.S)
    assert len(maps) == 3, "two editions, and both on one map"
    newer, older, both = maps
    assert newer.count("<a ") == 18 and older.count("<a ") == 20 and both.count("<a ") == 38
    fills = [set(re.findall(r'</title><path d="[^"]+" fill="(#\w+)"', one)) for one in maps]
    assert len(fills[0]) == 2 and len(fills[1]) == 1 and not fills[0] & fills[1], "2010 and 2011; 2006"
    assert 'class="hole"' in newer and 'class="hole"' not in older and "km² missing" in newer
    assert BESIDE in text and MIDDLE in text and "2 sheets missing" in text


def test_by_month_of_delivery_all_are_of_one_colour(office):
    text = office.visitor("auditor").client.get("/console/data/ortho/2011?by=taken_in&lang=en").text
    assert "2026-03 " in text and len(set(re.findall(r'</title><path d="[^"]+" fill="(#\w+)"', text))) == 1


@pytest.mark.parametrize("text", ["I50G095077", "I-50-142-(53)", "i50g095077"])
def test_a_sheet_is_looked_for_in_an_edition_by_its_old_number_too(office, text):
    found = office.visitor("auditor").client.get("/console/data/ortho/2011", query_string={"text": text, "lang": "en"}).text
    assert found.count('<a href="/console/data/ortho/2011/') == 2, "on the map and in the list"
    assert "I-50-142-(53)" in found and ">I50G095077<" in found


def test_a_sheet_that_an_edition_lacks_may_be_in_another(office):
    text = office.visitor("auditor").client.get("/console/data/ortho/2011", query_string={"text": MIDDLE, "lang": "en"}).text
    assert "No sheet is like that" in text and f'href="/console/data/ortho/2006?text={MIDDLE}&amp;lang=en"' in text


def test_a_sheet_has_its_lineage_checksum_neighbours_and_a_picture_for_who_works_with_it(office):
    number = sheet_of(office, GRID[1][1])
    text = page(office, f"/data/ortho/2011/{number}").text
    assert "taken as delivered" in text and 'class="is-warning"' in text and GRID[1][1].lower().zfill(64) in text
    assert f'<span title="not in this edition">{MIDDLE}</span>' in text and f'/console/data/ortho/2011/{sheet_of(office, GRID[2][2])}' in text
    assert f'/console/data/ortho/2006/{sheet_of(office, GRID[1][1], "2006")}' in text
    picture = f'<img src="/api/v1/data/layers/ortho/editions/2011/sheets/{number}/picture"'
    assert picture in text and picture not in page(office, f"/data/ortho/2011/{number}", "auditor").text


def test_a_province_is_a_page_that_is_quick_and_light_and_leads_on_by_sheets_of_a_coarser_scale(office):
    numbers = [number for row in block(64, 64, lon=118.0, lat=34.0) for number in row]
    hold(office.house.services.catalogue, "province", "2011", {number: date(2009 + place % 3, 1, 1) for place, number in enumerate(numbers)})
    client = office.visitor("data_manager").client
    client.get("/console/data/province/2011")
    began = time.process_time()
    text = client.get("/console/data/province/2011?lang=en").text
    assert time.process_time() - began < 4 and len(text) < 900_000
    ways = set(re.findall(r'href="/console/data/province/2011\?text=(I\d\dD\d{6})', text))
    assert len(ways) >= 48 and "4,096 sheets" in text and "More" in text
    part = client.get(f"/console/data/province/2011?lang=en&text={min(ways)}").text
    assert 1 <= len(re.findall(r'<svg class="sheets".*?</svg>', part, re.S)[0].split("<a ")) - 1 <= 64
    office.house.services.catalogue.withdraw("province")


# -- jobs

def test_a_running_job_shows_its_progress_and_looks_again_by_itself_until_it_is_over(office):
    catalogue = office.house.services.catalogue
    assert "console-data.js" not in page(office, "/jobs").text and "console-data.js" not in page(office, "/data").text
    with running(office.house, "ortho", "2026", 4100) as job:
        catalogue.report_job(job, 1234)
        for path in ("/jobs", "/data", f"/jobs/{job}"):
            text = page(office, path).text
            assert f'data-job="{job}" data-state="running"' in text and '<progress max="4100" value="1234"' in text and "1,234 / 4,100" in text
            assert '<script src="/static/console-data.js" defer></script>' in text and '<noscript><meta http-equiv="refresh"' in text
    catalogue.end_job(job, JobState.FAILED, ["I50G095077DOM.tif: states no CRS: name it with --crs"])
    text = page(office, f"/jobs/{job}").text
    assert "console-data.js" not in text and "states no CRS" in text and "nothing was published" in text and "report" not in text.partition("<main")[2]
    folder = office.house.services.settings.data / "reports" / str(job)
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<!doctype html><title>r</title>")
    assert f'href="/api/v1/data/jobs/{job}/report?lang=en"' in page(office, f"/jobs/{job}").text


# -- an edition goes

def withdraw(office: Office, path: str, login: str = "administrator", **fields):
    visitor = office.visitor(login)
    return visitor.client.post(f"/console{path}?lang=en", data={"csrf": visitor.csrf, "do": "withdraw", **fields})


def test_before_an_edition_goes_one_is_told_what_is_lost_with_it(office):
    text = page(office, "/data/ortho/2006/withdraw", "administrator").text
    assert "ortho@2006" in text and "names this very edition" in text and "AG-TEST-" in text and "forestry department" in text
    assert "gets edition 2006" in page(office, "/data/ortho/2011/withdraw", "administrator").text
    assert "only edition of the layer" in page(office, "/data/dom/2011/withdraw", "administrator").text
    assert "/withdraw" in page(office, "/data/dom/2011", "administrator").text and "/withdraw" not in page(office, "/data/dom/2011").text


def test_an_edition_goes_when_its_name_is_typed_and_not_before(office):
    catalogue = office.house.services.catalogue
    office.house.raster("mistake", np.full((3, 40, 40), 120, dtype=np.uint8), 379_000, 3_542_000, 10.0)
    path, generation = "/data/mistake/2011/withdraw", str(catalogue.snapshot().layers["mistake"].editions[0].generation)
    for typed in ("", "mistake", "mistake@2012", "MISTAKE@2011"):
        answer = withdraw(office, path, confirmed=typed, reason="because", generation=generation)
        assert answer.status_code == 422 and "type mistake@2011" in answer.text and ">because</textarea>" in answer.text
    assert withdraw(office, path, confirmed="mistake@2011", reason="", generation=generation).status_code == 422
    assert withdraw(office, path, confirmed="mistake@2011", reason="because", generation="77").status_code == 409
    for login, status in (("data_manager", 404), ("auditor", 404), ("member", 404), ("anonymous", 303)):
        assert withdraw(office, path, login, confirmed="mistake@2011", reason="because", generation=generation).status_code == status
    assert "mistake" in catalogue.snapshot().layers
    answer = withdraw(office, path, confirmed="mistake@2011", reason="because", generation=generation)
    assert answer.status_code == 303 and answer.headers["Location"].startswith("/console/data") and "done=edition-withdrawn" in answer.headers["Location"]
    assert "mistake" not in catalogue.snapshot().layers
    assert next(one for one in reversed(office.acts()) if one["operation"] == "data.editions.withdraw")["reason"] == "because"
    assert "withdrawn" in office.visitor("administrator").client.get(answer.headers["Location"]).text
    assert page(office, path, "administrator").status_code == 404


def test_an_agency_learns_nothing_of_what_is_held(office):
    client = office.visitor("member").client
    absent = client.get("/console/data/absent")
    for path in (*PAGES, "/data/dom/2011", f"/data/ortho/2011/{sheet_of(office, GRID[1][1])}", "/data/dom/2011/withdraw"):
        answer = client.get(f"/console{path}")
        assert (answer.status_code, answer.text, dict(answer.headers)) == (404, absent.text, dict(absent.headers))
    assert "/console/data" not in page(office, "", "member").text and "/console/data" in page(office, "").text
