"""What was decided, by the API: explained, listed, proved and exported; and what a member may not learn from any of it."""

import csv
import io
import json
from datetime import timedelta
from urllib.parse import quote

import numpy as np
import pytest
from api_office import Office

from geoserver_app.audit.roots import Proof, doubts
from geoserver_app.audit.sealing import seal_days
from geoserver_app.audit.store import AuditStore
from geoserver_app.clock import now

TILE = "/tiles/{layer}/WebMercatorQuad/14/13596/6645.png"


@pytest.fixture(scope="module")
def office(lasting_house) -> Office:
    """Two layers, of which water is granted one, in some of what it asks for."""
    house = lasting_house
    for name in ("dom", "secret"):
        house.raster(name, np.full((3, 400, 400), 90, dtype=np.uint8), 379_000, 3_542_000, 10.0)
    office = Office(house)
    house.grant("water", "dom")
    for layer, agency in (("dom", "water"), ("secret", "water"), ("absent", "water"), ("dom", "police")):
        house.get(TILE.format(layer=layer), agency)
    house.get("/api/v1/layers", "water")
    return office


def records(office, login="auditor", query="") -> list[dict]:
    answer = office.visitor(login).ask(f"GET /audit/records?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json["items"]


def record_of(office, layer: str) -> str:
    return records(office, query=f"layer={layer}&event=overlay.decided&agency=water")[0]["record"]


def before_the_agreement(office) -> str:
    """A moment at which water was registered and had no agreement yet."""
    return [event.at for event in office.house.services.register.history() if event.kind == "key"][-1].isoformat()


# Explanations

def test_an_explanation_names_agreement_version_and_clause(office):
    answer = office.visitor("auditor").ask("GET /explanations?agency=water&layer=dom&scale=10000&lang=zh").json
    assert (answer["effect"], answer["layer"], answer["agency"]) == ("permit", "dom@2011", "water")
    (reason,) = [one for one in answer["reasons"] if one["code"] == "granted"]
    assert (reason["agreement"], reason["version"], reason["clause"]) == ("AG-TEST-001", 1, "3.1") and "3.1" in reason["sentence"]


def test_a_question_of_the_past_is_asked_by_the_register_as_it_was(office):
    auditor, before = office.visitor("auditor"), quote(before_the_agreement(office))
    assert auditor.ask(f"GET /explanations?agency=water&layer=dom&at={before}").json["effect"] == "deny"
    long_ago = auditor.ask("GET /explanations?agency=water&layer=dom&at=2021-01-01T00:00:00%2B08:00")
    assert long_ago.status_code == 422 and long_ago.json["errors"][0]["code"] == "agency-unknown"


@pytest.mark.parametrize("query, parameter, code", [
    ("layer=dom", "agency", "field-missing"), ("layer=nothing&agency=water", "layer", "layer-unknown"), ("layer=dom&agency=absent", "agency", "agency-unknown"),
    ("layer=dom&agency=water&bounds=1,2", "bounds", "field-not-bounds"), ("layer=dom&agency=water&bounds=119,32,118,33", "bounds", "field-not-bounds"),
    ("layer=dom&agency=water&crs=EPSG:2154", "crs", "field-wrong"), ("layer=dom&agency=water&scale=0", "scale", "field-small"),
    ("layer=Not A Name&agency=water", "layer", "layer-name"), ("layer=dom&agency=water&operation=Steal", "operation", "field-choice"),
    ("layer=dom&agency=water&at=2021-01-01T00:00:00", "at", "field-not-moment"),
])
def test_a_question_that_can_t_be_read_is_told_at_its_parameter(office, query, parameter, code):
    answer = office.visitor("auditor").ask(f"GET /explanations?{query}")
    assert answer.status_code == 422 and [(one["parameter"], one["code"]) for one in answer.json["errors"]] == [(parameter, code)], answer.text


@pytest.mark.parametrize("operation", ("GetMap", "GetTile", "GetFeatureInfo", "GetCoverage", "GetLegendGraphic", "Download", "DescribeLayer"))
@pytest.mark.parametrize("more", ("", "&bounds=118.7,32.0,118.8,32.1&scale=5000", "&format=image/png&crs=EPSG:3857", "&at="))
def test_a_member_can_t_tell_a_layer_that_is_not_shared_from_one_that_is_not_there(office, operation, more):
    member = office.visitor("member")
    told = []
    for layer in ("secret", "absent"):
        at = quote(before_the_agreement(office)) if more.endswith("at=") else ""
        answer = member.ask(f"GET /explanations?layer={layer}&operation={operation}{more}{at}")
        told.append((answer.status_code, {k: v for k, v in answer.json.items() if k != "at"}))
    assert json.dumps(told[0]).replace("secret", "absent") == json.dumps(told[1])
    assert told[0][1]["effect"] == "deny" and [one["code"] for one in told[0][1]["reasons"]] == ["no-agreement"]


def test_a_member_asks_for_his_own_agency_alone_and_is_told_what_grants(office):
    member = office.visitor("member")
    assert member.ask("GET /explanations?layer=dom").json["reasons"][0]["code"] == "granted"
    assert member.ask("GET /explanations?layer=dom&agency=water").status_code == 200
    assert member.ask("GET /explanations?layer=dom&agency=police").status_code == 404


def test_a_record_is_explained_with_the_verdict_agreement_and_clause_of_then(office):
    told = office.visitor("auditor").ask(f"GET /explanations/{record_of(office, 'dom')}").json
    (layer,) = told["layers"]
    assert told["agrees"] and (layer["recorded"], layer["effect"], layer["layer"]) == ("permit", "permit", "dom@2011")
    assert (layer["reasons"][0]["agreement"], layer["reasons"][0]["clause"]) == ("AG-TEST-001", "3.1")


def test_of_a_record_too_a_member_learns_nothing_of_what_is_not_shared(office):
    told = []
    for layer in ("secret", "absent"):
        answer = office.visitor("member").ask(f"GET /explanations/{record_of(office, layer)}")
        told.append(json.dumps({name: value for name, value in answer.json.items() if name not in ("record", "at")}))
    assert told[0].replace("secret", "absent") == told[1]


@pytest.mark.parametrize("record", ("nonsense", "20200101T000000000000-1-2", "20200101T000000000000-1-0", "..%2F..%2Fetc-1"))
def test_a_record_that_is_not_there_is_told_as_such(office, record):
    for login in ("auditor", "member"):
        assert office.visitor(login).ask(f"GET /explanations/{record}").status_code == 404


# Records

def test_records_are_listed_newest_first_and_page_by_page_without_a_gap(office):
    whole = records(office, query="limit=500&agency=water")
    assert [one["at"] for one in whole] == sorted((one["at"] for one in whole), reverse=True) and len(whole) >= 4
    found, after, last = [], "", now().date()
    while after is not None:
        page = office.visitor("auditor").ask(f"GET /audit/records?limit=2&agency=water&last={last}&after={after}").json
        found += page["items"]
        after = page["next"]
    assert [one["record"] for one in found] == [one["record"] for one in whole]


def test_records_are_found_by_what_they_are_about(office):
    assert {one["agency"] for one in records(office, query="agency=police&event=overlay.decided")} == {"police"}
    assert {layer["layer"] for one in records(office, query="layer=dom") for layer in one["layers"]} == {"dom"}
    assert {layer["effect"] for one in records(office, query="effect=deny") for layer in one["layers"]} == {"deny"}
    assert records(office, query="event=admin.acted&operation=audit.records") and not records(office, query="operation=' OR TRUE --")
    assert records(office, query="first=2020-01-01&last=2020-01-31") == []


@pytest.mark.parametrize("query", ("first=2026-02-01&last=2026-01-01", "first=2026-01-01&last=2026-03-01"))
def test_days_that_are_no_span_are_told(office, query):
    answer = office.visitor("auditor").ask(f"GET /audit/records?{query}")
    assert answer.status_code == 422 and answer.json["errors"][0]["code"] == "field-days"


def test_a_member_sees_the_records_of_his_agency_as_they_were_told_then(office):
    whole = records(office, "member", "limit=500")
    assert {one["agency"] for one in whole} == {"water"}
    assert records(office, "member", "agency=police") == [] or {one["agency"] for one in records(office, "member", "agency=police")} == {"water"}
    by_layer = {layer["layer"]: layer for one in whole for layer in one["layers"]}
    assert by_layer["dom"]["edition"] == "2011" and by_layer["dom"]["agreement"] == "AG-TEST-001"
    assert by_layer["secret"] | {"layer": "absent"} == by_layer["absent"] and by_layer["absent"]["code"] == "no-agreement"
    bureau = {layer["layer"]: layer for one in records(office, query="limit=500&agency=water") for layer in one["layers"]}
    assert bureau["secret"] == by_layer["secret"]               # the record itself tells no more: an agency may have its own rows


def test_records_of_people_name_the_actor_to_the_bureau(office):
    office.visitor("administrator").ask("GET /keys")
    acts = records(office, query="event=admin.acted&operation=keys.list")
    assert (acts[0]["actor"], acts[0]["outcome"], acts[0]["layers"]) == ("administrator", "done", [])


# Proofs and exports

@pytest.fixture(scope="module")
def sealed_day(office) -> str:
    services, today = office.house.services, now().date()
    seal_days(services.settings.decisions, AuditStore(services.database), now() + timedelta(days=2), until=today)
    return today.isoformat()


def test_the_rows_of_an_agency_come_with_a_proof_that_they_are_all(office, sealed_day):
    auditor = office.visitor("auditor")
    rows = auditor.ask(f"GET /audit/days/{sealed_day}?agency=police")
    proof = auditor.ask(f"GET /audit/days/{sealed_day}?agency=police&part=proof")
    assert rows.content_type.startswith("application/x-ndjson") and f"police-{sealed_day}.jsonl" in rows.headers["Content-Disposition"]
    read = Proof.parse(proof.text)
    assert list(doubts(rows.data.rstrip(b"\n").split(b"\n"), read)) == []
    assert list(doubts(rows.data.replace(b"police", b"water").rstrip(b"\n").split(b"\n"), read))
    (told,) = [one for one in office.visitor("stranger").ask("GET /audit/roots").json["items"] if one["day"] == sealed_day]
    assert (told["digest"], told["agency_root"], told["agency_rows"]) == (read.day_root, read.root, read.rows)
    assert told["rows"] is None and told["findings"] is None, "how much the others ask is not his to know"


def test_a_day_that_is_not_sealed_has_no_proof(office, sealed_day):
    for path in ("2020-01-01?agency=water", "nonsense?agency=water", f"{sealed_day}?agency=absent"):
        assert office.visitor("auditor").ask(f"GET /audit/days/{path}").status_code == 404


def test_an_altered_record_is_found_and_named(house):
    office = Office(house)
    auditor = office.visitor("auditor")
    auditor.ask("GET /keys")
    house.services.log.anchor()
    assert auditor.ask("POST /audit/verifications", json={}).json["is_sound"]
    (path,) = house.services.settings.decisions.rglob("*.jsonl")
    path.write_text(path.read_text().replace('"operation":"keys.list"', '"operation":"keys.lisp"'))
    told = auditor.ask("POST /audit/verifications", json={"day": now().date().isoformat()}).json
    assert not told["is_sound"] and told["findings"][0]["kind"] == "altered" and told["findings"][0]["line"] == 2 and told["findings"][0]["is_tampering"]


@pytest.mark.parametrize("form", ("csv", "parquet", "jsonl"))
def test_records_are_exported_to_a_file_of_which_nothing_stays_behind(office, form, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    today = now().date()
    answer = office.visitor("auditor").ask(f"GET /audit/export?first={today}&last={today}&agency=police&form={form}")
    assert answer.status_code == 200 and f"audit-{today}-{today}.{form}" in answer.headers["Content-Disposition"]
    assert list(tmp_path.iterdir()) == []
    match form:
        case "csv":
            assert {row["agency"] for row in csv.DictReader(io.StringIO(answer.text))} == {"police"}
        case "jsonl":
            assert {json.loads(line)["agency"] for line in answer.text.splitlines()} == {"police"}
        case "parquet":
            assert answer.data[:4] == answer.data[-4:] == b"PAR1"


def test_asking_for_the_head_of_an_export_leaves_nothing_behind(office, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    today = now().date()
    answer = office.visitor("auditor").ask(f"HEAD /audit/export?first={today}&last={today}")
    assert (answer.status_code, answer.data, list(tmp_path.iterdir())) == (200, b"", [])
