"""Nobody learns of what another agency gives back: not that it is there, not how it stands, not from a refusal, a task, a list or the edition it becomes."""

import json

import pytest
from api_office import Office
from giving import AGREEMENT, DATASET, DUE, WANTED, Desk, as_geojson, owing

from agreements.model import BUREAU, Operation
from geoserver_app.giving.submissions import folder_of

UNKNOWN = "0" * 32
OPERATIONS = {
    "get": ("GET", "/api/v1/submissions/{id}", None),
    "withdraw": ("DELETE", "/api/v1/submissions/{id}", None),
    "report": ("GET", "/api/v1/submissions/{id}/report", None),
    "report as JSON": ("GET", "/api/v1/submissions/{id}/report?format=json", None),
    "findings": ("GET", "/api/v1/submissions/{id}/pictures/findings", None),
    "difference": ("GET", "/api/v1/submissions/{id}/pictures/difference", None),
    "file": ("PUT", "/submissions/{id}/file", b"{}"),
}


@pytest.fixture(scope="module")
def desk(lasting_house) -> Desk:
    """`water` has one of each kind; `police` has an agreement of its own under which it owes the same."""
    desk = Desk(Office(lasting_house))
    owing(lasting_house)
    owing(lasting_house, "police", "AG-POLICE")
    desk.waiting = desk.announce().json["submission"]
    desk.found = desk.checked(edition="found")
    desk.over = desk.accepted(edition="over")
    desk.back = desk.checked(edition="back", due=DUE.isoformat())
    desk.done("data_manager", desk.back, "return", reasons="not as agreed")
    return desk


def asked(desk: Desk, how: str, submission: str, agency: str | None, **headers):
    method, path, data = OPERATIONS[how]
    return desk.house.client().open(path.format(id=submission), method=method, data=data, headers=desk.key(agency) | headers)


def as_told(answer, submission: str) -> tuple:
    kept = {name: value for name, value in answer.headers.items() if name not in ("Date", "X-Request-Id", "Content-Length")}
    return answer.status_code, kept, answer.data.replace(submission.encode(), b"ID")


@pytest.mark.parametrize("how", OPERATIONS)
def test_another_agency_s_submission_is_answered_like_none(desk, how):
    unknown = as_told(asked(desk, how, UNKNOWN, "police"), UNKNOWN)
    assert unknown[0] == 404
    for submission in (desk.waiting, desk.found, desk.over, desk.back):
        assert as_told(asked(desk, how, submission, "police"), submission) == unknown
    assert desk.row(desk.waiting).state == "awaiting-file" and desk.row(desk.found).state == "checked"


@pytest.mark.parametrize("how", OPERATIONS)
def test_members_and_people_without_a_key_learn_as_little(desk, how):
    method, path, data = OPERATIONS[how]
    stranger = desk.office.visitor("stranger")
    headers = {"X-CSRF-Token": stranger.csrf}
    answers = [
        as_told(stranger.client.open(path.format(id=one), method=method, data=data, headers=headers), one) for one in (UNKNOWN, desk.found, desk.over)
    ]
    assert answers[0][0] == 404 and answers[0] == answers[1] == answers[2]
    nobody = [as_told(asked(desk, how, one, None), one) for one in (UNKNOWN, desk.found)]
    assert nobody[0][0] == 401 and nobody[0] == nobody[1]


@pytest.mark.parametrize("how", OPERATIONS)
def test_no_spelling_of_an_id_finds_a_file(desk, how):
    for trick in ("..", "%2e%2e%2f%2e%2e%2fgeoshare.sqlite", "%00", "a" * 300, "x'--"):
        assert asked(desk, how, trick, "water").status_code in (404, 405), trick


def test_lists_and_tasks_are_the_agency_s_own(desk):
    assert desk.house.get("/api/v1/submissions", "police").json["items"] == []
    for query in (f"?agency=water&agreement={AGREEMENT}", f"?agreement={AGREEMENT}", "?state=accepted"):
        assert desk.house.get(f"/api/v1/submissions{query}", "police").json["items"] == []
    assert len(desk.house.get("/api/v1/submissions?agency=police", "water").json["items"]) == 4
    stranger = desk.office.visitor("stranger")
    for path in ("/tasks", "/submissions", "/contributions"):
        text = stranger.ask(f"GET {path}").text
        assert "water" not in text and AGREEMENT not in text
        assert not any(one in text for one in (desk.waiting, desk.found, desk.over, desk.back))


def test_another_agency_s_agreement_is_answered_like_none(desk):
    def answer(agreement: str) -> tuple:
        sent = desk.house.client().post("/api/v1/submissions", json=WANTED | {"agreement": agreement}, headers=desk.key("police"))
        return sent.status_code, sent.data.replace(agreement.encode(), b"ID")

    assert answer(AGREEMENT) == answer("AG-NONE") and answer("AG-NONE")[0] == 404


def test_another_agency_s_names_are_answered_alike_whether_they_are_taken(desk):
    def answer(**changes) -> tuple:
        sent = desk.announce("police", agreement="AG-POLICE", **changes)
        text = sent.data
        for value in changes.values():
            text = text.replace(value.encode(), b"ID")
        return sent.status_code, text

    assert answer(replaces=desk.back) == answer(replaces=UNKNOWN) and answer(replaces=UNKNOWN)[0] == 422
    first, second = (desk.announce("police", agreement="AG-POLICE", layer=name, edition="x") for name in ("water-police-districts", "water-nothing"))
    assert [one.json["layer"] for one in (first, second)] == ["police-water-police-districts", "police-water-nothing"]
    for one in (first, second):
        desk.house.client().delete(f"/api/v1/submissions/{one.json['submission']}", headers=desk.key("police"))


def test_the_agency_is_told_what_was_done_not_by_whom(desk):
    for submission in (desk.over, desk.back):
        text = json.dumps(desk.told(submission))
        assert not any(login in text for login in ("data_manager", "approver", "administrator"))
    assert desk.told(desk.back)["reasons"] == "not as agreed"
    staff = desk.office.visitor("auditor").ask(f"GET /submissions/{desk.over}").json
    assert [one["actor"] for one in staff["acts"] if one["act"] == "reviewed"] == ["data_manager"]


def test_the_edition_is_nobody_s_but_by_an_agreement_that_its_giver_grants(desk):
    house, layer = desk.house, "water-police-districts"
    ways = (
        f"/features/collections/{layer}.districts/items", f"/tiles/{layer}/WebMercatorQuad/10/849/415.png", f"/tiles/{layer}.json", f"/styles/{layer}.json",
        f"/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&LAYERS={layer}&STYLES=&CRS=CRS:84&BBOX=118.7,32,118.8,32.1&WIDTH=64&HEIGHT=64&FORMAT=image/png",
        f"/lineage?layer={layer}&bbox=118.7,32,118.8,32.1",
    )
    for way in ways:
        for agency in ("police", BUREAU):
            answers = [house.get(way.replace(layer, name), agency) for name in (layer, "water-nothing-there-so")]
            assert answers[0].status_code == answers[1].status_code == 403
            told = [one.data.replace(name.encode(), b"L") for one, name in zip(answers, (layer, "water-nothing-there-so"), strict=True)]
            assert told[0] == told[1] or b"record" in told[0].lower()
    house.grant("police", layer, grantor="water", operations={Operation.GET_FEATURE}, attributes=frozenset({"districts.名称"}))
    found = house.get(ways[0], "police")
    assert found.status_code == 200 and found.json["numberReturned"] == 2
    assert all(set(one["properties"]) == {"名称"} for one in found.json["features"])
    assert house.get(ways[0], BUREAU).status_code == 403


def test_nothing_handed_in_stands_in_the_records_or_where_files_are_served_from(desk):
    told = json.dumps(desk.office.records(), ensure_ascii=False)
    assert "甲所" not in told and "320104A" not in told and DATASET in told
    settings = desk.house.services.settings
    folder = folder_of(settings, desk.found)
    assert not folder.is_relative_to(settings.store) and not folder.is_relative_to(settings.cache)
    for path in (f"/giving/{desk.found}/report/report.json", f"/submissions/{desk.found}", f"/submissions/{desk.found}/report.json", f"/static/../giving/{desk.found}"):
        assert desk.house.get(path, "water").status_code == 404
    assert desk.house.get(f"/submissions/{desk.found}/file", "water").status_code in (404, 405)


def test_a_report_runs_nothing_of_what_was_handed_in(desk):
    rows = json.loads(as_geojson())
    rows["features"][0]["properties"]["级别"] = "<script>alert(1)</script>"
    submission = desk.checked(json.dumps(rows).encode(), edition="hostile", due=DUE.isoformat())
    page = desk.house.get(f"/api/v1/submissions/{submission}/report", "water")
    assert "<script>alert" not in page.text and "&lt;script&gt;alert" in page.text
    assert "sandbox" in page.headers["Content-Security-Policy"] and "script-src" not in page.headers["Content-Security-Policy"]
