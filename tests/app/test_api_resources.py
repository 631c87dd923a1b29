"""People, agencies and keys by the API: what comes of what is sent, and what is wrong with it."""

from datetime import datetime

import numpy as np
import pytest
from api_office import Office

from geoserver_app.clock import SHANGHAI

OTHER = "staple under the moon"


@pytest.fixture
def office(house) -> Office:
    return Office(house)


@pytest.fixture
def administrator(office):
    return office.visitor("administrator")


# Lists

def test_a_list_is_read_to_its_end_in_pages_each_after_the_one_before(office, administrator):
    for number in range(5):
        office.person(f"p{number}", "auditor")
    logins, after = [], ""
    while after is not None:
        page = administrator.ask(f"GET /people?limit=3&after={after}").json
        assert len(page["items"]) <= 3
        logins += [one["login"] for one in page["items"]]
        after = page["next"]
    assert logins == [one.login for one in office.accounts.people()] and len(logins) == 11


def test_a_page_that_ends_the_list_has_no_next(administrator):
    assert administrator.ask("GET /people?limit=6").json["next"] is None
    assert administrator.ask("GET /people?limit=5").json["next"] is not None


@pytest.mark.parametrize("query, code", [
    ("limit=0", "field-small"), ("limit=501", "field-large"), ("limit=many", "field-not-whole"), ("limit=1&limit=2", "field-repeated"),
    ("lmit=1", "field-unknown"), ("after=" + "x" * 201, "field-long"), ("key=gsk_something", "field-unknown"),
])
def test_a_query_that_can_t_be_meant_is_told(administrator, query, code):
    answer = administrator.ask(f"GET /people?{query}")
    assert answer.status_code == 422 and [one["code"] for one in answer.json["errors"]] == [code]
    assert administrator.ask("GET /people?lang=zh&limit=0").json["errors"][0] == {"parameter": "limit", "code": "field-small", "detail": "太小：不小于 1"}


# People

def test_a_person_is_added_with_a_password_to_be_changed(office, administrator):
    answer = administrator.ask("POST /people", json={"login": "bob", "name": "Bob", "roles": ["auditor"], "password": OTHER})
    assert answer.status_code == 201 and answer.json == {
        "login": "bob", "name": "Bob", "agency": "bureau", "roles": ["auditor"], "is_active": True, "must_change": True, "created": answer.json["created"],
    }
    assert administrator.ask("GET /people/bob").json == answer.json


def test_every_fault_of_what_was_sent_is_told_at_once(administrator):
    sent = {"login": "b", "roles": ["king", "auditor"], "password": 5, "agency": "Water", "extra": {"a/b~c": 1}}
    answer = administrator.ask("POST /people", json=sent, headers={"Accept-Language": "zh"})
    assert answer.status_code == 422
    told = {one["pointer"]: (one["code"], one["detail"]) for one in answer.json["errors"]}
    assert {pointer: code for pointer, (code, _) in told.items()} == {
        "#/login": "field-short", "#/name": "field-missing", "#/roles/0": "field-choice", "#/password": "field-not-text", "#/agency": "field-spelling",
        "#/extra": "field-unknown",
    }
    assert told["#/roles/0"][1] == "须为 administrator, approver, auditor, data_manager, member 之一"
    assert answer.json["detail"] == "内容有 6 处错误：见 errors" and answer.headers["Content-Language"] == "zh"


@pytest.mark.parametrize("sent, pointer, code", [
    ({"login": "Bob"}, "#/login", "login-spelling"), ({"login": "auditor"}, "#/login", "login-taken"), ({"password": "short"}, "#/password", "password-length"),
    ({"roles": ["member"]}, "#/roles", "roles-mixed"), ({"agency": "absent", "roles": ["member"]}, "#/agency", "agency-unknown"),
])
def test_what_the_rules_forbid_is_told_at_its_field(administrator, sent, pointer, code):
    answer = administrator.ask("POST /people", json={"login": "bob", "name": "Bob", "roles": ["auditor"], "password": OTHER} | sent)
    assert answer.status_code == 422 and [(one["pointer"], one["code"]) for one in answer.json["errors"]] == [(pointer, code)]


def test_json_that_is_none_is_told(administrator):
    for data in (b"", b"{", b"[]", b"null", b'"x"', b'{"login": "a"' + b"[" * 5000):
        answer = administrator.ask("POST /people", data=data, content_type="application/json")
        assert answer.status_code == 422 and answer.json["errors"], data


def test_the_last_administrator_stays_whatever_is_asked(administrator):
    for change in ({"is_active": False}, {"roles": ["auditor"]}):
        answer = administrator.ask("PATCH /people/administrator", json=change)
        assert (answer.status_code, answer.json["title"]) == (409, "in conflict") and "last administrator" in answer.json["detail"]


def test_whoever_is_closed_is_out(office, administrator):
    auditor = office.visitor("auditor")
    assert administrator.ask("PATCH /people/auditor", json={"is_active": False}).json["is_active"] is False
    assert auditor.ask("GET /session").status_code == 401


# Agencies

def test_an_agency_is_registered_and_closed(office, administrator):
    assert administrator.ask("PUT /agencies/health", json={"name_zh": "卫生厅", "name_en": "Health"}).status_code == 200
    assert "health" in [one["agency"] for one in administrator.ask("GET /agencies").json["items"]]
    office.house.keys["health"] = administrator.ask("POST /keys", json={"agency": "health"}).json["secret"]
    office.house.look_again()
    assert office.house.get("/api/v1/layers", "health").status_code == 200
    administrator.ask("PUT /agencies/health", json={"name_zh": "卫生厅", "name_en": "Health", "is_active": False})
    office.house.look_again()
    assert office.house.get("/api/v1/layers", "health").status_code == 401


def test_an_agency_s_id_is_spelt_as_ids_are(administrator):
    answer = administrator.ask("PUT /agencies/Health%20Dept", json={"name_zh": "卫", "name_en": "Health"})
    assert answer.status_code == 422 and answer.json["errors"][0]["code"] == "agency-spelling"


def test_a_member_sees_his_agency_and_no_other_in_every_list(office):
    member = office.visitor("member")
    office.house.services.register.issue_key("police", "theirs")
    assert [one["agency"] for one in member.ask("GET /agencies").json["items"]] == ["water"]
    for query in ("", "?agency=police", "?agency=water"):
        assert {one["agency"] for one in member.ask(f"GET /keys{query}").json["items"]} == {"water"}


# Keys

def test_a_key_is_issued_with_all_that_binds_it_shown_once_and_never_again(office, administrator):
    sent = {
        "agency": "water", "label": "flood office", "app": "flood-map", "purpose": "flood-control", "networks": ["10.0.0.0/8", "2001:db8::/32"],
        "referers": ["https://maps.example.gov"], "origins": ["https://maps.example.gov"], "expires": "2099-01-01T00:00:00+08:00",
    }
    answer = administrator.ask("POST /keys", json=sent)
    assert answer.status_code == 201 and answer.json["secret"].startswith("gsk_")
    told = {name: value for name, value in answer.json.items() if name != "secret"}
    assert sent.items() <= (told | {"expires": sent["expires"]}).items() and datetime.fromisoformat(told["expires"]) == datetime(2099, 1, 1, tzinfo=SHANGHAI)
    assert administrator.ask(f"GET /keys/{told['key_id']}").json == told
    assert answer.json["secret"] not in administrator.ask("GET /keys").text


@pytest.mark.parametrize("field, value, pointer, code", [
    ("networks", ["10.0.0.1/8"], "#/networks/0", "field-not-network"), ("networks", ["anything"], "#/networks/0", "field-not-network"),
    ("networks", [], "#/networks", "field-short"), ("referers", ["https://maps.example.gov/app"], "#/referers/0", "field-not-origin"),
    ("referers", ["maps.example.gov"], "#/referers/0", "field-not-origin"), ("referers", ["*"], "#/referers/0", "field-not-origin"),
    ("origins", ["null"], "#/origins/0", "field-not-origin"), ("origins", ["*"], "#/origins/0", "field-not-origin"),
    ("origins", ["https://*.gov"], "#/origins/0", "field-not-origin"), ("purpose", "world-peace", "#/purpose", "field-choice"),
    ("expires", "2020-01-01T00:00:00+08:00", "#/expires", "field-past"), ("expires", "2099-01-01T00:00:00", "#/expires", "field-not-moment"),
    ("expires", "tomorrow", "#/expires", "field-not-moment"), ("agency", "absent", "#/agency", "agency-unknown"),
])
def test_a_key_that_can_t_be_meant_is_not_issued(office, administrator, field, value, pointer, code):
    before = len(office.house.services.register.snapshot().keys)
    answer = administrator.ask("POST /keys", json={"agency": "water"} | {field: value})
    assert answer.status_code == 422, answer.text
    assert [(one["pointer"], one["code"]) for one in answer.json["errors"]] == [(pointer, code)]
    assert len(office.house.services.register.snapshot().keys) == before


def test_a_key_from_the_api_counts_only_as_it_was_bound(office, administrator):
    house = office.house
    house.raster("dom", np.full((3, 64, 64), 90, dtype=np.uint8), 379_000, 3_542_000, 10.0)
    house.grant("water", "dom")
    secret = administrator.ask("POST /keys", json={"agency": "water", "networks": ["127.0.0.0/8"], "referers": ["https://maps.example.gov"]}).json["secret"]
    house.look_again()
    path = f"/tiles/dom.json?key={secret}"
    assert house.get(path, Referer="https://maps.example.gov/").status_code == 200
    assert house.get(path, Referer="https://evil.test/").status_code == 401
    assert house.client().get("/tiles/dom.json", headers={"X-API-Key": secret}).status_code == 200
    assert house.client().get("/tiles/dom.json", headers={"X-API-Key": secret}, environ_overrides={"REMOTE_ADDR": "10.0.0.1"}).status_code == 401


def test_a_member_revokes_a_key_of_his_agency_and_it_is_put_down_who_did(office):
    key, secret = office.house.services.register.issue_key("water", "old")
    member = office.visitor("member")
    assert member.ask(f"DELETE /keys/{key.key_id}").status_code == 204
    assert member.ask(f"GET /keys/{key.key_id}").json["revoked"]
    event = office.house.services.register.history()[-1]
    assert (event.subject, event.actor) == (key.key_id, "member")
