"""The life of an agreement by the API: who writes, checks, approves, signs, puts in force; and what the agency sees of it when."""

import json

import numpy as np
import pytest
from api_office import SQUARE, TO_APPROVAL, TO_FORCE, Office
from ruamel.yaml import YAML

from agreements.document import read_document, write_document
from agreements.document.odrl import FORM
from geoserver_app.registering import CatalogueGazetteer

TILE = "/tiles/dom/WebMercatorQuad/14/13596/6645.png"


@pytest.fixture
def office(house) -> Office:
    return Office(house)


@pytest.fixture
def manager(office):
    return office.visitor("data_manager")


def path_of(places: dict) -> str:
    return f"/agreements/{places['agreement']}/versions/{places['version']}"


def seen_by(office, login: str, places: dict) -> dict:
    """Status of every way to look at a version."""
    visitor = office.visitor(login)
    ways = {
        "get": f"/agreements/{places['agreement']}", "version": path_of(places), "document": f"{path_of(places)}/document",
        "history": f"/agreements/{places['agreement']}/history",
    }
    told = {way: visitor.ask(f"GET {path}").status_code for way, path in ways.items()}
    return told | {"listed": places["agreement"] in [one["agreement"] for one in visitor.ask("GET /agreements").json["items"]]}


HIDDEN = {"get": 404, "version": 404, "document": 404, "history": 404, "listed": False}
SHOWN = {"get": 200, "version": 200, "document": 200, "history": 200, "listed": True}


# Life

def test_an_agreement_goes_from_draft_to_force_by_the_hands_of_several(office, manager):
    house = office.house
    house.raster("dom", np.full((3, 400, 400), 90, dtype=np.uint8), 379_000, 3_542_000, 10.0)
    sent = office.document()
    sent["grants"][0]["operations"], sent["grants"][0]["area"] = ["GetTile"], "everywhere"
    answer = manager.ask("POST /agreements", json=sent)
    assert answer.status_code == 201 and answer.json["missing_layers"] == []
    places = {"agreement": sent["agreement"], "version": "1"}
    told = manager.ask(f"GET {path_of(places)}").json
    assert (told["state"], told["moves"], told["versions"]) == ("draft", ["edit", "submit", "withdraw"], [1])
    for (login, action), state in zip(
        (*TO_APPROVAL, *TO_FORCE), ("submitted", "submitted", "approved", "approved", "signed", "active"), strict=True,
    ):
        house.look_again()
        assert house.get(TILE, "water").status_code == 403
        moved = office.visitor(login).ask(f"POST {path_of(places)}/moves", json=office.move(places, action))
        assert (moved.status_code, moved.json["state"]) == (200, state)
    house.look_again()
    assert house.get(TILE, "water").status_code == 200
    history = manager.ask(f"GET /agreements/{places['agreement']}/history").json["items"]
    assert [(one["actor"], one["action"]) for one in history] == [
        ("data_manager", "draft"), *((login, action.partition(" ")[0]) for login, action in (*TO_APPROVAL, *TO_FORCE)),
    ]


def test_who_wrote_an_agreement_does_not_approve_it(office):
    office.person("both", "administrator", "approver", "data_manager")
    visitor = office.visitor("both")
    sent = office.document()
    visitor.ask("POST /agreements", json=sent)
    places = office.moved({"agreement": sent["agreement"], "version": "1"}, ("both", "submit"), ("data_manager", "conformity-check"))
    answer = visitor.ask(f"POST {path_of(places)}/moves", json={"action": "approve"}, headers={"Accept-Language": "zh"})
    assert answer.status_code == 409 and answer.json["errors"][0]["code"] == "same-person" and "须由另一人执行" in answer.json["detail"]


def test_a_move_that_is_not_the_asker_s_is_403_and_one_that_is_not_now_is_409(office):
    places = office.moved(office.drafted(), ("data_manager", "submit"), ("approver", "conformity-check"))
    for login, action, status in (
        ("data_manager", "approve", 403), ("auditor", "approve", 403), ("approver", "submit", 409), ("administrator", "activate", 409),
        ("administrator", "archive", 409),
    ):
        assert office.visitor(login).ask(f"POST {path_of(places)}/moves", json={"action": action}).status_code == status, (login, action)


def test_a_member_signs_for_his_own_agency_with_the_hash_of_the_paper(office):
    places = office.approved()
    member = office.visitor("member")
    for change, code in (({"party": "bureau"}, "not-a-party"), ({"document": "0" * 64}, "other-document"), ({"date": "2099-01-01"}, "signature-date")):
        body = office.move(places, "sign water")
        body["signature"] |= change
        answer = member.ask(f"POST {path_of(places)}/moves", json=body)
        assert answer.status_code == 409 and answer.json["errors"][0]["code"] == code
    assert member.ask(f"POST {path_of(places)}/moves", json=office.move(places, "sign water")).status_code == 200
    assert office.visitor("stranger").ask(f"POST {path_of(places)}/moves", json=office.move(places, "sign police")).status_code == 404


def test_a_suspension_and_a_resumption_hold_and_are_in_the_history(office):
    house = office.house
    house.raster("dom", np.full((3, 400, 400), 90, dtype=np.uint8), 379_000, 3_542_000, 10.0)
    places = office.active()
    administrator = office.visitor("administrator")
    stop = {"reason": "汛期核查", "layers": ["dom"], "until": "2099-01-01T00:00:00+08:00", "area": {"geojson": SQUARE}}
    told = administrator.ask(f"POST /agreements/{places['agreement']}/suspensions", json=stop)
    assert told.status_code == 201 and told.json["layers"] == ["dom"]
    assert administrator.ask(f"GET /agreements/{places['agreement']}").json["suspensions"][0]["reason"] == "汛期核查"
    assert administrator.ask(f"POST /agreements/{places['agreement']}/resumption", json={}).json == {"ended": 1}
    assert [one["action"] for one in administrator.ask(f"GET /agreements/{places['agreement']}/history").json["items"]][-2:] == ["suspend", "resume"]


@pytest.mark.parametrize("sent, pointer", [
    ({"layers": ["dmo"]}, "#/layers"), ({"layers": ["NOT A NAME"]}, "#/layers"), ({"layers": []}, "#/layers"), ({"until": "2020-01-01T00:00:00+08:00"}, "#/until"),
    ({"area": {"divisions": ["999999"]}}, "#/area/divisions/0"), ({"area": {"nonsense": 1}}, "#/area/nonsense"), ({"reason": ""}, "#/reason"),
])
def test_a_suspension_that_would_stop_nothing_is_refused(office, sent, pointer):
    places = office.active()
    answer = office.visitor("administrator").ask(f"POST /agreements/{places['agreement']}/suspensions", json={"reason": "x"} | sent)
    assert answer.status_code == 422 and [one["pointer"] for one in answer.json["errors"]] == [pointer], answer.text


# What an agency sees

def test_an_agency_sees_an_agreement_from_its_approval_on_and_another_agency_never(office):
    places = office.drafted()
    assert seen_by(office, "auditor", places) == SHOWN
    for login, action in (*TO_APPROVAL, *TO_FORCE):
        is_shown = action not in ("submit", "conformity-check", "approve")
        assert seen_by(office, "member", places) == (SHOWN if is_shown else HIDDEN)
        assert seen_by(office, "stranger", places) == HIDDEN
        office.moved(places, (login, action))
    assert seen_by(office, "member", places) == SHOWN and seen_by(office, "stranger", places) == HIDDEN


def test_an_amendment_that_is_written_is_not_yet_the_agency_s_to_see(office):
    places = office.active()
    office.drafted(agreement=places["agreement"], version=2)
    member = office.visitor("member")
    assert member.ask(f"GET /agreements/{places['agreement']}").json["versions"] == [1]
    assert member.ask(f"GET /agreements/{places['agreement']}/versions/2").status_code == 404
    assert office.visitor("auditor").ask(f"GET /agreements/{places['agreement']}").json["versions"] == [1, 2]


def test_an_agency_is_told_what_was_done_but_not_by_whom_nor_what_the_bureau_thought_before(office):
    places = office.moved(
        office.drafted(), ("data_manager", "submit"), ("approver", "request-changes"), *TO_APPROVAL, *TO_FORCE,
    )
    told = office.visitor("member").ask(f"GET /agreements/{places['agreement']}/history").json["items"]
    assert [(one["action"], one["actor"]) for one in told] == [("approve", None), ("sign", None), ("sign", "member"), ("activate", None)]


def test_lists_are_narrowed_by_agency_and_state(office):
    office.drafted()
    office.active()
    auditor = office.visitor("auditor")
    for query, count in (("", 2), ("?state=draft", 1), ("?state=active&agency=water", 1), ("?agency=police", 0), ("?state=expired", 0), ("?limit=1", 1)):
        assert len(auditor.ask(f"GET /agreements{query}").json["items"]) == count, query


# Documents

def test_a_document_is_taken_as_yaml_or_json_and_given_back_in_every_form(office, manager):
    sent = office.document()
    text = f"# the bureau's own words\n{json.dumps(sent, ensure_ascii=False)}\n"
    assert manager.ask("POST /agreements", data=text.encode(), content_type="application/yaml").status_code == 201
    path = f"/agreements/{sent['agreement']}/versions/1/document"
    assert manager.ask(f"GET {path}").text == text
    gazetteer = CatalogueGazetteer(office.house.services.catalogue)
    meant = read_document(text, "sent", gazetteer)
    as_yaml = manager.ask(f"GET {path}?form=yaml")
    assert as_yaml.text == write_document(meant) and as_yaml.content_type == "application/yaml; charset=utf-8"
    assert YAML(typ="safe").load(as_yaml.text)["agreement"] == sent["agreement"]
    as_json = manager.ask(f"GET {path}?form=json")
    assert read_document(as_json.text, "json", gazetteer) == meant
    odrl = manager.ask(f"GET {path}?form=odrl")
    assert odrl.json["geoshare:canonicalForm"] == FORM and odrl.content_type == "application/ld+json; charset=utf-8"
    assert odrl.json["geoshare:canonicalDigest"] == f"sha256:{as_json.headers['ETag'].strip(chr(34))}"


def test_every_fault_of_a_document_is_told_with_its_line_and_place(office, manager):
    text = "agreement: AG-1\nversion: one\ntitle: t\nparties: {grantor: bureau, grantee: water}\nterm: {from: 2026-01-01}\ncontact: c\ngrants:\n  - clause: '1'\n    layer: [dom]\n"
    for request in ("POST /agreements", "POST /agreement-checks"):
        answer = manager.ask(request, data=text, content_type="application/yaml")
        assert answer.status_code == 422
        faults = {one["pointer"]: one["line"] for one in answer.json["errors"]}
        assert faults["#/version"] == 2 and faults["#/grants/0/layer"] == 9 and len(faults) >= 3
    assert manager.ask("GET /agreements").json["items"] == []


def test_a_check_registers_nothing_and_tells_layers_that_are_not_there(office, manager):
    answer = manager.ask("POST /agreement-checks", json=office.document())
    assert answer.status_code == 200 and answer.json["missing_layers"] == ["dom"] and manager.ask("GET /agreements").json["items"] == []


def test_a_party_that_is_not_registered_is_told_at_its_place(office, manager):
    answer = manager.ask("POST /agreements", json=office.document(parties={"grantor": "bureau", "grantee": "absent"}))
    assert answer.status_code == 422 and answer.json["errors"][0]["pointer"] == "#/parties/grantee"


def test_a_draft_is_changed_by_who_has_seen_its_present_text(office, manager):
    places = office.drafted()
    seen = manager.ask(f"GET {path_of(places)}").headers["ETag"]
    text = office.document(agreement=places["agreement"], title="另一个标题")
    assert manager.ask(f"PUT {path_of(places)}/document", json=text).status_code == 428
    assert manager.ask(f"PUT {path_of(places)}/document", json=text, headers={"If-Match": '"' + "0" * 64 + '"'}).status_code == 412
    changed = manager.ask(f"PUT {path_of(places)}/document", json=text, headers={"If-Match": seen})
    assert changed.status_code == 200 and changed.headers["ETag"] != seen
    assert manager.ask(f"PUT {path_of(places)}/document", json=text | {"title": "later"}, headers={"If-Match": seen}).json["title"] == "changed meanwhile"
    assert manager.ask(f"GET {path_of(places)}").json["title"] == "另一个标题"
    other = manager.ask(f"PUT {path_of(places)}/document", json=office.document(), headers={"If-Match": changed.headers["ETag"]})
    assert other.status_code == 409 and other.json["errors"][0]["code"] == "other-agreement"


def test_only_a_draft_is_changed_and_a_version_is_registered_once(office, manager):
    places = office.approved()
    etag = manager.ask(f"GET {path_of(places)}").headers["ETag"]
    text = office.document(agreement=places["agreement"])
    assert manager.ask(f"PUT {path_of(places)}/document", json=text, headers={"If-Match": etag}).status_code == 409
    assert manager.ask("POST /agreements", json=text).status_code == 409
    assert manager.ask("POST /agreements", json=text | {"version": 2}).json["errors"][0]["code"] == "draft-open"


def test_the_bureau_s_own_number_may_hold_a_slash_and_chinese(office, manager):
    places = office.drafted(agreement="苏测共〔2026〕1/2号")
    assert manager.ask("GET /agreements/苏测共〔2026〕1/2号").json["agreement"] == places["agreement"]
    assert manager.ask("GET /agreements/苏测共〔2026〕1%2F2号/versions/1").status_code == 200
    assert manager.ask("GET /agreements/苏测共〔2026〕1/2号/history").json["items"][0]["action"] == "draft"


def test_the_schema_of_documents_is_given(office):
    assert office.visitor("member").ask("GET /agreement-schema").json["$schema"].startswith("https://json-schema.org/")


# What changes

def test_an_amendment_is_told_by_what_it_gives_and_takes_away(office):
    house = office.house
    house.raster("dom", np.full((3, 400, 400), 90, dtype=np.uint8), 379_000, 3_542_000, 10.0)
    west, east = (clause_over(left) for left in (118.72, 118.74))
    places = office.active(grants=[west])
    office.drafted(agreement=places["agreement"], version=2, grants=[east | {"operations": ["GetMap", "GetTile"]}])
    told = office.visitor("approver").ask(f"GET /agreements/{places['agreement']}/difference?lang=zh&shapes=true").json
    assert (told["before"], told["after"], told["is_nothing"]) == (1, 2, False)
    assert told["gained_km2"] > 0 and told["gained_km2"] == pytest.approx(told["lost_km2"], rel=0.2) and told["unchanged_km2"] > 0
    assert {line["turn"] for line in told["lines"]} >= {"gained", "lost"} and any("\u4e00" <= c <= "\u9fff" for c in told["lines"][0]["sentence"])
    (layer,) = told["layers"]
    assert layer["layers"][0].startswith("dom") and "GetTile" in layer["operations"] and layer["sheets_touched"]
    assert told["gained"]["type"] in ("Polygon", "MultiPolygon")
    picture = office.visitor("approver").ask(f"GET /agreements/{places['agreement']}/difference?form=svg")
    assert picture.content_type == "image/svg+xml" and picture.text.startswith("<svg") and "<script" not in picture.text
    member = office.visitor("member")
    assert member.ask(f"GET /agreements/{places['agreement']}/difference?after=2").status_code == 404, "an amendment that is being written"
    assert member.ask(f"GET /agreements/{places['agreement']}/difference").json["before"] is None


def clause_over(left: float) -> dict:
    ring = [[left, 31.95], [left + 0.02, 31.95], [left + 0.02, 31.97], [left, 31.97], [left, 31.95]]
    wide = [[118.725, 31.975], [118.75, 31.975], [118.75, 31.98], [118.725, 31.98], [118.725, 31.975]]
    area = [{"geojson": {"type": "Polygon", "coordinates": [one]}} for one in (ring, wide)]
    return {"clause": "3.1", "layers": ["dom"], "operations": ["GetMap"], "area": area}


def test_a_document_is_compared_with_the_agreement_as_it_is_before_anything_is_registered(office):
    places = office.active()
    same = office.document(agreement=places["agreement"], version=2)
    approver = office.visitor("approver")
    told = approver.ask("POST /agreement-differences", json=same).json
    assert (told["before"], told["after"], told["layers"]) == (1, 2, [])
    more = same | {"grants": [*same["grants"], {"clause": "3.2", "layers": ["dem"], "operations": ["GetMap"], "area": {"geojson": SQUARE}}]}
    told = approver.ask("POST /agreement-differences", json=more).json
    assert [one["layers"] for one in told["layers"]] == [["dem"]] and told["gained_km2"] > 0
    assert approver.ask(f"GET /agreements/{places['agreement']}").json["versions"] == [1]
    fresh = approver.ask("POST /agreement-differences", json=office.document()).json
    assert fresh["before"] is None and fresh["gained_km2"] > 0
