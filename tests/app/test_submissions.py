"""Data that are given back: checked, reviewed and approved by two people, and then an edition of the giver's with its provenance - or returned with reasons."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
from api_office import PASSWORD, Office
from click.testing import CliRunner
from giving import AGREEMENT, DATASET, DUE, MAIL, ROWS, TODAY, Desk, as_geojson, owing

from agreements.life.ledger import Check
from agreements.record import Contribution, Record
from geoserver_app.cli.submissions import submission as submission_commands
from geoserver_app.giving.book import withdraw_forgotten
from geoserver_app.giving.letters import letters, mail_letters
from geoserver_app.giving.submissions import folder_of, report_folder
from geoserver_app.giving.tasks import submission_tasks
from geoserver_app.mail_server import MailServer
from geoserver_app.overlays.faults import OverlayInvalid
from geoserver_app.overlays.reading import Unfit, read_vectors


@pytest.fixture
def at_hand(monkeypatch):
    """Files are opened in this process: quicker, for what the other program has no part in."""

    def read(source, folder, kind, caps, *, crs=None, encoding=None, is_wanted=None):
        try:
            return read_vectors(source, folder, {"crs": crs, "encoding": encoding, **{name: getattr(caps, name) for name in caps.__slots__}})
        except Unfit as error:
            raise OverlayInvalid(error.code, **error.detail) from None

    monkeypatch.setattr("geoserver_app.giving.inspecting.opened", read)


@pytest.fixture
def desk(house) -> Desk:
    desk = Desk(Office(house))
    owing(house)
    return desk


def layer(desk: Desk, name: str = "water-police-districts"):
    return desk.house.services.catalogue.snapshot().layers.get(name)


def entry(desk: Desk):
    return desk.house.services.book.ledger(AGREEMENT)[0]


def test_from_announcement_to_edition(desk):
    """The whole way, with the program that opens files."""
    answer = desk.announce()
    assert (answer.status_code, answer.json["state"], answer.json["layer"], answer.json["due"]) == (201, "awaiting-file", "water-police-districts", DUE.isoformat())
    submission, data = answer.json["submission"], as_geojson()
    answer = desk.put(submission, data)
    assert (answer.status_code, answer.json["state"], answer.json["bytes"]) == (202, "queued", len(data))
    assert entry(desk).standing == "received" and entry(desk).deliveries[0].edition == "water-police-districts@2026-Q1"
    desk.work()
    found = desk.told(submission)
    assert (found["state"], found["features"]) == ("checked", 2), found
    assert entry(desk).standing == "in-check" and layer(desk) is None
    desk.done("data_manager", submission, "review", note="as agreed")
    desk.done("approver", submission, "approval")
    assert layer(desk) is None
    desk.work()
    found, made = desk.told(submission), layer(desk)
    assert found["state"] == "accepted" and entry(desk).standing == "accepted"
    assert (made.owner, made.product.value, made.attribution, made.title_zh) == ("water", "OVERLAY", "水利厅", "派出所辖区")
    assert "只用于行政管理" in made.abstract and made.editions[0].currency[1] == TODAY
    (sheet,) = desk.house.services.catalogue.sheets(made.editions[0].edition_id)
    assert any(submission in step and found["sha256"] in step for step in sheet.lineage) and AGREEMENT not in "".join(sheet.lineage)
    assert [one["act"] for one in found["acts"]] == ["announced", "received", "checked", "reviewed", "approved", "accepted"]
    assert sorted(path.name for path in folder_of(desk.house.services.settings, submission).iterdir()) == ["report"]
    told = letters(desk.house.services.database, agency="water")
    assert [one.code for one in told] == ["letter-accepted", "letter-received"] and told[0].recipients == (MAIL,)
    assert any(one["event"] == "submission.accepted" and one["reviewer"] == "data_manager" and one["actor"] == "approver" for one in desk.office.records())


def test_the_edition_is_its_givers_and_nobody_elses(desk, at_hand):
    desk.accepted()
    path = "/features/collections/water-police-districts.districts/items"
    assert desk.house.get(path, "water").status_code == 200
    unknown = desk.house.get(path.replace("water-police-districts", "water-nothing-there"), "police")
    for agency in ("police", "bureau"):
        answer = desk.house.get(path, agency)
        assert answer.status_code == unknown.status_code == 403
    assert b"districts" not in desk.house.get("/api/v1/layers", "police").data


def test_two_people_decide_and_neither_is_the_giver(desk, at_hand):
    desk.office.person("both", "data_manager", "approver", "administrator")
    submission = desk.checked()
    assert desk.act("approver", submission, "approval").status_code == 409
    desk.done("both", submission, "review", note="see the report")
    answer = desk.act("both", submission, "approval")
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (409, "submission-same-person")
    assert desk.act("data_manager", submission, "approval").status_code == 403
    assert desk.act("auditor", submission, "review").status_code == 403
    assert desk.act("member", submission, "review").status_code == 403
    desk.done("approver", submission, "approval")
    assert desk.act("approver", submission, "approval").status_code == 409


def test_the_ledger_s_own_check_does_not_go_round_the_two_people(desk, at_hand):
    submission = desk.checked()
    delivery = desk.row(submission).delivery_id
    answer = desk.office.visitor("data_manager").ask(f"POST /deliveries/{delivery}/checks", json={"result": "passed"})
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (409, "submission-of-delivery")


BAD = [{**ROWS[0], "级别": "分局"}, {**ROWS[1], "机构代码": "320104A", "行政区划代码": "999999"}]


def test_errors_have_to_be_answered_for(desk, at_hand):
    submission = desk.checked(as_geojson(BAD))
    found = desk.told(submission)
    assert found["errors"] >= 2 and any("级别" in one["sentence"] for one in found["findings"])
    assert any("级别" in one["sentence"] for one in desk.told(submission, language="zh")["findings"])
    answer = desk.act("data_manager", submission, "review")
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (409, "submission-errors")
    desk.done("data_manager", submission, "review", note="taken all the same: mended next quarter")


def test_returned_with_reasons_and_handed_in_again(desk, at_hand):
    submission = desk.checked(as_geojson(BAD))
    assert desk.act("data_manager", submission, "return", reasons="  ").status_code == 422
    desk.done("data_manager", submission, "return", reasons="级别有误")
    found = desk.told(submission)
    assert (found["state"], found["reasons"]) == ("returned", "级别有误") and entry(desk).standing == "returned" and entry(desk).findings == "级别有误"
    assert report_folder(desk.house.services.settings, submission).joinpath("report.json").is_file()
    assert [one.kind for one in submission_tasks(desk.book.list())] == ["given-upload"]
    assert letters(desk.house.services.database)[0].code == "letter-returned"
    assert desk.announce(replaces="0" * 32).status_code == 422
    again = desk.checked(replaces=submission, edition="2026-Q1")
    assert desk.row(again).due == desk.row(submission).due
    assert [(one.kind, one.detail["submission"]) for one in submission_tasks(desk.book.list())] == [("given-review", again)]
    desk.done("data_manager", again, "review", note="ok")
    desk.done("data_manager", again, "return", reasons="rather not")
    assert desk.row(again).state == "returned"


def test_withdrawn_by_its_giver_nothing_of_it_is_kept(desk, at_hand):
    submission = desk.checked()
    folder = folder_of(desk.house.services.settings, submission)
    assert folder.is_dir()
    answer = desk.house.client().delete(f"/api/v1/submissions/{submission}", headers=desk.key("water"))
    assert (answer.status_code, answer.json["state"]) == (200, "withdrawn") and not folder.exists()
    assert entry(desk).deliveries[0].check is Check.RETURNED
    assert desk.house.client().delete(f"/api/v1/submissions/{submission}", headers=desk.key("water")).status_code == 409
    assert desk.act("data_manager", submission, "review").status_code == 409


def test_an_edition_after_another_is_compared_with_it(desk, at_hand):
    desk.accepted()
    moved = [ROWS[0], {**ROWS[1], "名称": "新名"}, {**ROWS[1], "机构代码": "320104C", "geometry": ROWS[1]["geometry"].buffer(0).envelope}]
    submission = desk.checked(as_geojson(moved), edition="2026-Q2")
    report = desk.house.get(f"/api/v1/submissions/{submission}/report?format=json", "water").json
    changes = {name: one["count"] for name, one in report["differences"][0]["changes"].items()}
    assert changes == {"added": 1, "removed": 0, "moved": 0, "retold": 1, "kept": 1}
    picture = desk.house.get(f"/api/v1/submissions/{submission}/pictures/difference", "water")
    assert picture.status_code == 200 and picture.content_type.startswith("image/svg+xml") and "新增" in picture.text
    page = desk.house.get(f"/api/v1/submissions/{submission}/report", "water")
    assert page.content_type.startswith("text/html") and "default-src 'none'" in page.headers["Content-Security-Policy"]


# Whatever dies

PROGRAM = Path(__file__).with_name("killed_givers.py")


def test_acceptance_is_whole_or_nothing_wherever_the_worker_is_killed(desk, at_hand):
    """An edition that is seen is accepted, entered as passed, and told; before that nothing of it is seen."""
    submission = desk.checked()
    desk.done("data_manager", submission, "review", note="as agreed")
    desk.done("approver", submission, "approval")
    folder = desk.house.services.settings.data
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), "before", "within", "after"], cwd=PROGRAM.parents[2], capture_output=True, text=True, timeout=120,
        env=os.environ | {"PYTHONPATH": str(PROGRAM.parents[2])},
    )
    before, within, after = map(json.loads, ran.stdout.splitlines())
    assert {one["signal"] for one in (before, within, after)} == {9}, ran.stderr[-2000:]
    for one in (before, within):
        assert (one["state"], one["editions"], one["standing"], one["letters"]) == ("publishing", [], "in-check", ["letter-received"]), one
    assert (after["state"], after["editions"], after["standing"]) == ("accepted", ["2026-Q1"], "accepted")
    assert after["letters"] == ["letter-accepted", "letter-received"]
    assert [act.act for act in desk.book.acts(submission)].count("accepted") == 1
    folder = folder_of(desk.house.services.settings, submission)
    assert (folder / "clean").is_dir()
    desk.worker().sweep()
    assert [path.name for path in folder.iterdir()] == ["report"] and not desk.worker().work()


def test_a_check_that_kills_its_workers_is_given_up(desk, monkeypatch):
    submission = desk.sent()
    monkeypatch.setattr("geoserver_app.giving.book.LEASE", timedelta(seconds=-1))
    monkeypatch.setattr("geoserver_app.giving.worker.inspected", lambda *_: 1 / 0)
    for _ in range(3):
        desk.worker().work()
        assert desk.row(submission).state == "checking"
    desk.worker().work()
    found = desk.told(submission)
    assert found["state"] == "returned" and "broke off" in found["reasons"]


def test_what_can_t_be_published_waits_for_its_approval_again(desk, at_hand):
    submission = desk.checked()
    desk.done("data_manager", submission, "review", note="as agreed")
    desk.done("approver", submission, "approval")
    path = desk.house.folder / "own.geojson"
    path.write_bytes(as_geojson())
    desk.house.layer("water-police-districts", path, product="OVERLAY", edition="2026-Q1", owner="water")
    desk.work()
    assert desk.row(submission).state == "reviewed" and desk.row(submission).approved_by == "" and entry(desk).standing == "in-check"
    staff = desk.office.visitor("approver").ask(f"GET /submissions/{submission}").json
    assert staff["acts"][-1]["act"] == "not-published" and "2026-Q1" in staff["acts"][-1]["text"]


# What goes wrong

REFUSED = {
    "the file's kind": ({"file": "districts.dwg"}, "submission-suffix"),
    "a day to come": ({"currency_to": "2099-01-01"}, "submission-currency"),
    "from after to": ({"currency_from": (TODAY + timedelta(days=1)).isoformat()}, "submission-currency"),
    "another's name": ({"layer": "police-districts", "edition": "x y"}, "submission-edition"),
    "too secret": ({"classification": "top-secret"}, "submission-classification"),
    "not returned": ({"replaces": "f" * 32}, "submission-other-dataset"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_t_be_announced_is_told_in_a_sentence(desk, case):
    changes, code = REFUSED[case]
    answer = desk.announce(**changes)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, code), answer.text


def test_only_what_is_owed_is_taken(desk):
    assert desk.announce(dataset="roads").json["errors"][0]["code"] == "contribution-not-owed"
    assert desk.announce(due="2026-04-01").json["errors"][0]["code"] == "contribution-no-period"
    assert desk.announce(happened="2026-04-01").json["errors"][0]["code"] == "contribution-has-cadence"
    assert desk.announce(layer="water-x").json["layer"] == "water-x"


def test_a_file_that_broke_off_or_is_another_is_not_taken(desk):
    submission = desk.announce().json["submission"]
    assert desk.put(submission, b"").json["errors"][0]["code"] == "submission-cut-short"
    answer = desk.put(submission, as_geojson(), **{"X-Content-SHA256": "0" * 64})
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (409, "submission-digest")
    folder = folder_of(desk.house.services.settings, submission)
    assert desk.row(submission).state == "awaiting-file" and not list(folder.iterdir()) and entry(desk).deliveries == ()
    assert desk.put(submission, as_geojson()).status_code == 202
    again = desk.put(submission, as_geojson(ROWS[:1]))
    assert again.status_code == 409 and len(list(folder.iterdir())) == 1
    assert len(entry(desk).deliveries) == 1


def test_a_file_that_can_t_be_read_is_returned_with_the_reason(desk, at_hand):
    submission = desk.sent(b"{ not json")
    desk.work()
    found = desk.told(submission)
    assert found["state"] == "returned" and entry(desk).standing == "returned"
    assert "can't be read" in found["reasons"] and "无法读取" in found["reasons"] and str(desk.house.folder) not in found["reasons"]


def test_so_many_may_wait_and_no_more(desk):
    for number in range(10):
        assert desk.announce(edition=f"e{number}").status_code == 201
    answer = desk.announce(edition="one-more")
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (409, "submission-waiting")


def test_what_was_announced_and_never_sent_is_withdrawn_after_a_month(desk):
    submission, at = desk.announce().json["submission"], desk.house.services.gate.clock()
    settings = desk.house.services.settings
    assert not list(withdraw_forgotten(settings, desk.book, at + timedelta(days=29)))
    (told,) = withdraw_forgotten(settings, desk.book, at + timedelta(days=31))
    assert submission in told and desk.row(submission).state == "withdrawn"


def test_an_event_is_answered_by_its_day(house):
    desk = Desk(Office(house))
    house.agree("water", house.clause("dom"), agreement_id=AGREEMENT, record=Record(contributions=(Contribution(dataset=DATASET, grace_days=10),)))
    assert desk.announce().json["errors"][0]["code"] == "contribution-nothing-open"
    submission = desk.sent(happened=TODAY.isoformat())
    assert desk.row(submission).due == TODAY + timedelta(days=10) and entry(desk).standing == "received"


def test_shapes_on_the_map_of_the_internet_are_told(desk, at_hand):
    found = desk.told(desk.checked(coord_origin="internet-map"))
    assert found["errors"] >= 1 and any("GCJ-02" in one["sentence"] for one in found["findings"])


# At the shell

@pytest.fixture
def types(desk):
    """What a person types, and what comes of it."""

    def run(*words: str, **options):
        return CliRunner().invoke(submission_commands, words, obj=desk.house.services.settings, **options)

    return run


def test_a_file_is_checked_at_the_shell_before_anybody_hands_it_in(desk, types, tmp_path):
    path, bad = tmp_path / "good.geojson", tmp_path / "bad.geojson"
    path.write_bytes(as_geojson())
    bad.write_bytes(as_geojson(BAD))
    good = types("check", AGREEMENT, DATASET, str(path), "--report", str(tmp_path / "report"))
    assert good.exit_code == 0 and "2 added" in good.output and (tmp_path / "report" / "report.html").is_file(), good.output
    found = types("check", AGREEMENT, DATASET, str(bad))
    assert found.exit_code == 3 and "error: " in found.output and "级别" in found.output
    assert desk.book.list() == [] and entry(desk).deliveries == () and layer(desk) is None


def test_people_decide_at_the_shell_by_their_roles_and_passwords(desk, types, at_hand):
    submission = desk.checked()
    assert submission in types("list", "--state", "checked").output
    told = json.loads(types("show", submission, "--json").output)
    assert {"what": "state", "value": "checked"} in told

    def decides(login: str, *words: str):
        return types(*words, "--as", login, "--password-stdin", input=f"{PASSWORD}\n")

    refused = decides("auditor", "review", submission)
    assert refused.exit_code != 0 and "may not do this" in str(refused.exception)
    assert decides("data_manager", "review", submission).output == f"{submission} reviewed\n"
    assert decides("approver", "approve", submission).output == f"{submission} publishing\n"
    desk.work()
    assert desk.row(submission).state == "accepted"
    assert "published as water-police-districts@2026-Q1" in types("letters").output


def test_letters_are_sent_once_to_whom_the_agency_named(desk, at_hand, monkeypatch):
    desk.accepted()
    sent, database = [], desk.house.services.database

    class Mail:
        def send_message(self, message):
            sent.append(message)

    monkeypatch.setattr("geoserver_app.giving.letters.connected", lambda server: nullcontext(Mail()))
    server, at = MailServer.parse("smtp://mail.test"), desk.house.services.gate.clock()
    assert (mail_letters(database, server, "office@bureau.test", "http://maps.test", at), mail_letters(database, server, "x@y.test", "", at)) == (2, 0)
    assert {one["To"] for one in sent} == {MAIL} and "正在检查" in sent[0].get_content() and "accepted" in sent[1].get_content()


def test_tasks_lead_to_where_they_are_done(desk, at_hand):
    submission = desk.checked()
    desk.done("data_manager", desk.checked(edition="other"), "review", note="ok")
    for login, kind in (("data_manager", "given-review"), ("approver", "given-approve")):
        visitor = desk.office.visitor(login)
        (task,) = [one for one in visitor.ask("GET /tasks?mine=true").json["items"] if one["kind"].startswith("given")]
        assert task["kind"] == kind
        assert f"/console/submissions/{task['detail']['submission']}" in visitor.client.get("/console").text
    assert not [one for one in desk.office.visitor("data_manager").ask("GET /tasks").json["items"] if one["kind"] == "contribution-check"]
    desk.done("data_manager", submission, "return", reasons="again")
    member = desk.office.visitor("member")
    assert [one["kind"] for one in member.ask("GET /tasks?mine=true").json["items"] if one["kind"].startswith("given")] == ["given-upload"]
    assert f"/portal/submissions/{submission}" in member.client.get("/portal").text
