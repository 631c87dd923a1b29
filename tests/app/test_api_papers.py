"""Areas, contributions, tasks, usage and papers by the API."""

from datetime import timedelta

import pytest
import shapely
from api_office import TO_APPROVAL, Office

from geoserver_app.clock import now
from layers.catalogue import Division

TODAY = now().date()
SOON = (TODAY + timedelta(days=7)).isoformat()

OWED = [{"dataset": "水系变化", "cadence": "P3M", "first_due": SOON, "no_change_statement": True}, {"dataset": "界线变更"}]
"""What an agreement owes from the day on which it is put in force."""


@pytest.fixture
def office(house) -> Office:
    house.services.catalogue.put_divisions([
        Division(vintage=vintage, code="320104", name="秦淮区", level="county", geometry=shapely.box(118.7, 32, east, 32.1))
        for vintage, east in (("2023", 118.8), ("2024", 118.9))
    ])
    return Office(house)


@pytest.fixture
def owing(office) -> str:
    return office.active(contributions=OWED)["agreement"]


# Areas

def test_the_words_of_an_area_are_told_as_ground_with_the_vintage_they_stand_on(office):
    told = office.visitor("approver").ask("POST /areas", json={"area": {"divisions": ["320104"]}}).json
    assert told["words"] == {"divisions": [{"code": "320104", "vintage": "2024"}]} or "2024" in str(told["words"])
    assert 200 < told["km2"] < 220 and told["bounds"] == pytest.approx([118.7, 32, 118.9, 32.1], abs=1e-6)
    assert shapely.geometry.shape(told["geometry"]).is_valid


@pytest.mark.parametrize("area, pointer", [
    ({"divisions": ["320104", "999999"]}, "#/area/divisions/1"), ({"sheets": ["nonsense"]}, "#/area/sheets/0"), ({}, "#/area"), ([], "#/area"),
    ([{"divisions": ["320104"]}, {"geojson": {"type": "Point", "coordinates": [1, 2]}}], "#/area/1/geojson"),
])
def test_words_that_stand_for_no_ground_are_told_at_their_place(office, area, pointer):
    answer = office.visitor("approver").ask("POST /areas", json={"area": area})
    assert answer.status_code == 422 and [one["pointer"] for one in answer.json["errors"]] == [pointer], answer.text


def test_divisions_are_found_by_code_and_name_at_a_vintage(office):
    visitor = office.visitor("data_manager")
    for query, count in (("", 1), ("?text=3201", 1), ("?text=秦淮", 1), ("?text=9", 0), ("?vintage=2023", 1), ("?vintage=1999", 0)):
        assert len(visitor.ask(f"GET /divisions{query}").json["items"]) == count
    told = visitor.ask("GET /divisions/320104?vintage=2023").json
    assert (told["vintage"], told["vintages"], told["geometry"]["type"]) == ("2023", ["2023", "2024"], "Polygon")
    assert visitor.ask("GET /divisions/320104?vintage=1999").status_code == visitor.ask("GET /divisions/999999").status_code == 404


# What is given back

def test_a_member_delivers_and_the_bureau_checks(office, owing):
    member, manager = office.visitor("member"), office.visitor("data_manager")
    first = member.ask(f"GET /agreements/{owing}/contributions").json["items"][0]
    assert (first["dataset"], first["due"], first["agency"]) == ("水系变化", SOON, "water")
    delivery = member.ask(f"POST /agreements/{owing}/deliveries", json={"dataset": "水系变化", "edition": "3", "features": 12, "sha256": "a" * 64})
    assert delivery.status_code == 201 and delivery.json["due"] == SOON and delivery.json["by"] == "Member"
    path = f"/deliveries/{delivery.json['delivery_id']}"
    assert manager.ask(f"POST {path}/checks", json={"result": "returned"}).status_code == 409
    returned = manager.ask(f"POST {path}/checks", json={"result": "returned", "findings": "坐标系不符"})
    assert returned.json["check"] == "returned" and returned.json["checked_by"] == "data_manager"
    assert member.ask(f"GET {path}").json["findings"] == "坐标系不符"
    assert manager.ask(f"POST {path}/checks", json={"result": "passed"}).status_code == 409, "one that was returned stays so"


def test_a_statement_that_nothing_has_changed_is_an_answer(office, owing):
    sent = {"dataset": "水系变化", "statement": "2025 年第四季度无变化"}
    answer = office.visitor("member").ask(f"POST /agreements/{owing}/statements", json=sent)
    assert answer.status_code == 201 and answer.json["statement"] == sent["statement"]


def test_an_event_makes_a_contribution_due(office, owing):
    manager = office.visitor("data_manager")
    assert manager.ask(f"POST /agreements/{owing}/happenings", json={"dataset": "界线变更", "day": TODAY.isoformat(), "note": "撤县设区"}).status_code == 204
    assert "界线变更" in {one["dataset"] for one in manager.ask(f"GET /agreements/{owing}/contributions").json["items"]}
    wrong = manager.ask(f"POST /agreements/{owing}/happenings", json={"dataset": "水系变化", "day": TODAY.isoformat()}, headers={"Accept-Language": "zh"})
    assert wrong.status_code == 409 and wrong.json["errors"][0]["code"] == "contribution-has-cadence"


def test_ledgers_and_notices_are_the_agency_s_own(office, owing):
    office.house.services.book.give_notices()
    for login, is_shown in (("member", True), ("stranger", False), ("auditor", True)):
        visitor = office.visitor(login)
        assert bool(visitor.ask("GET /contributions").json["items"]) == is_shown
        assert bool(visitor.ask("GET /contributions?open=true&agency=water").json["items"]) == is_shown
        assert bool(visitor.ask("GET /notices").json["items"]) == is_shown


# Tasks and usage

def test_tasks_are_told_to_whom_they_wait_for(office):
    places = office.moved(office.drafted(), ("data_manager", "submit"))
    approver = office.visitor("approver").ask("GET /tasks?mine=true&lang=zh").json["items"]
    assert [(one["kind"], one["agreement"]) for one in approver] == [("conformity-check", places["agreement"])] and approver[0]["due"]
    assert office.visitor("member").ask("GET /tasks").json["items"] == []
    office.moved(places, *TO_APPROVAL[1:])
    (waiting,) = office.visitor("member").ask("GET /tasks").json["items"]
    assert (waiting["kind"], waiting["agencies"]) == ("sign", ["water"]) or "water" in waiting["agencies"]
    assert office.visitor("stranger").ask("GET /tasks?agency=water").json["items"] == []
    assert len(office.visitor("auditor").ask(f"GET /tasks?agreement={places['agreement']}").json["items"]) >= 1


def test_an_agency_sees_what_is_left_of_its_quota(office):
    house = office.house
    clause = house.clause("dom")
    agreement = house.agree("water", clause)
    assert office.visitor("member").ask(f"GET /agreements/{agreement.agreement_id}/usage").json["items"] == []
    places = office.active(quota={"requests": {"day": 1000}})
    told = office.visitor("member").ask(f"GET /agreements/{places['agreement']}/usage").json
    (limit,) = [one for one in told["items"] if one["measure"] == "requests"]
    assert (limit["limit"], limit["used"], limit["remaining"], limit["window"]) == (1000, 0, 1000, "day")
    assert limit["resets_at"] > now().isoformat()


# Papers

def test_the_text_that_is_signed_bears_the_hash_that_the_version_tells(office):
    places = office.approved()
    member = office.visitor("member")
    digest = member.ask(f"GET /agreements/{places['agreement']}").json["document_hash"]
    page = member.ask(f"GET /agreements/{places['agreement']}/versions/1/text")
    assert page.content_type == "text/html; charset=utf-8" and digest in page.text and "共享协议" in page.text
    assert "script-src 'self'" in page.headers["Content-Security-Policy"] and "<script" not in page.text
    printed = member.ask(f"GET /agreements/{places['agreement']}/versions/1/text?form=pdf")
    assert printed.content_type == "application/pdf" and printed.data.startswith(b"%PDF-")
    assert f"{places['agreement']}-1.pdf" in printed.headers["Content-Disposition"]


def test_a_review_is_for_the_parties_and_the_group_s_for_the_bureau(office, owing):
    query = f"first={TODAY - timedelta(days=30)}&last={TODAY}"
    pack = office.visitor("member").ask(f"GET /agreements/{owing}/review?{query}&lang=zh")
    assert pack.status_code == 200 and owing in pack.text
    assert office.visitor("auditor").ask(f"GET /reviews/group?{query}&form=pdf").data.startswith(b"%PDF-")
    assert office.visitor("auditor").ask(f"GET /reviews/indicators?year={TODAY.year}").status_code == 200


@pytest.mark.parametrize("path, parameter", [
    ("/reviews/group?first=2026-02-01&last=2026-01-01", "first"), ("/reviews/group?first=2000-01-01&last=2026-01-01", "first"),
    ("/reviews/indicators?year=2199", "year"), ("/reviews/group?first=today&last=2026-01-01", "first"),
])
def test_a_period_that_can_t_be_reviewed_is_told(office, path, parameter):
    answer = office.visitor("auditor").ask(f"GET {path}", headers={"Accept-Language": "zh"})
    assert answer.status_code == 422 and answer.json["errors"][0]["parameter"] == parameter


def test_a_name_with_a_slash_makes_no_other_file(office):
    places = office.active(agreement="苏测共〔2026〕1/2号")
    answer = office.visitor("auditor").ask(f"GET /agreements/{places['agreement']}/versions/1/text?form=pdf")
    assert "/" not in answer.headers["Content-Disposition"].partition("filename*=")[2]
