"""An agreement from its draft to the archive as people type it, and what the clock does in its round."""

import csv
import json
import shutil
import sqlite3
from datetime import date, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from test_cli import Office

from geoserver_app import housekeeping
from geoserver_app.clock import SHANGHAI, now
from geoserver_app.decision_log import read_segment
from geoserver_app.people import accounts

PASSWORD = "correct horse battery"
PEOPLE = {"dora": "data_manager", "carl": "administrator", "anna": "approver", "otis": "administrator"}


class Bureau(Office):
    """With people, each at the keyboard in turn."""

    def __init__(self, folder):
        super().__init__(folder)
        for login, role in PEOPLE.items():
            assert self.types("person", "add", login, "--role", role, "--password-stdin", input=f"{PASSWORD}\n").exit_code == 0
        self.done("agency", "add", "water", "--name-zh", "水利厅", "--name-en", "Water department")

    def does(self, login: str, *words: str, password: str = PASSWORD):
        return self.types("agreement", *words, "--as", login, "--password-stdin", input=f"{password}\n")

    def did(self, login: str, *words: str) -> str:
        result = self.does(login, *words)
        assert result.exit_code == 0, result.output
        return result.stdout

    def shown(self, agreement_id: str = "AG-1", *words: str) -> dict:
        return json.loads(self.done("agreement", "show", agreement_id, *words, "--json"))

    def puts_in_force(self, path: str, agreement_id: str = "AG-1") -> None:
        self.did("dora", "draft", path)
        for login, action in (("dora", "submit"), ("carl", "conform"), ("anna", "approve")):
            self.did(login, action, agreement_id)
        for party in ("bureau", "water"):
            self.signs(party, agreement_id)
        self.did("otis", "activate", agreement_id)

    def signs(self, party: str, agreement_id: str = "AG-1") -> str:
        paper = self.shown(agreement_id)["hash"]
        return self.did("otis", "sign", agreement_id, "--party", party, "--signatory", "张三", "--date", "2026-01-05", "--document", paper)


@pytest.fixture
def bureau(tmp_path, monkeypatch) -> Bureau:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)                 # the real one takes 64 MiB and long
    monkeypatch.setattr(accounts, "PasswordHasher", lambda: cheap)
    return Bureau(tmp_path)


def test_an_agreement_goes_from_its_draft_to_the_archive_by_the_hands_of_three(bureau):
    path = bureau.document("water", term={"from": "2020-01-01", "until": "2039-12-31"})
    assert "AG-1 version 1: draft by dora, now draft" in bureau.did("dora", "draft", path)
    assert bureau.shown()["waits"] == []
    bureau.did("dora", "submit", "AG-1")
    assert bureau.shown()["waits"][0].startswith("check that agreement `AG-1` (version 1) conforms")
    bureau.did("carl", "conform", "AG-1")
    assert "now approved" in bureau.did("anna", "approve", "AG-1", "--comment", "as discussed")
    assert "now approved" in bureau.signs("water") and "now signed" in bureau.signs("bureau")
    assert "now active" in bureau.did("otis", "activate", "AG-1")
    assert [row["state"] for row in bureau.rows("agreement", "list")] == ["active"]
    refused = bureau.does("otis", "archive", "AG-1")
    assert refused.exit_code == 3 and "`archive` is no move of an agreement that is active" in refused.output
    assert "now terminated" in bureau.did("otis", "terminate", "AG-1", "--reason", "breach")
    assert "now archived" in bureau.did("dora", "archive", "AG-1")
    history = bureau.rows("agreement", "history", "AG-1")
    assert [(row["action"], row["by"]) for row in history] == [
        ("draft", "dora"), ("submit", "dora"), ("conformity-check", "carl"), ("approve", "anna"), ("sign", "otis"), ("sign", "otis"),
        ("activate", "otis"), ("terminate", "otis"), ("archive", "dora"),
    ]
    assert history[3]["comment"] == "as discussed"
    assert "events, unbroken; the last is 10, sealed " in bureau.done("agreement", "verify-history")


def test_one_person_does_not_do_the_work_of_two(bureau):
    bureau.types("person", "roles", "dora", "data_manager", "approver", "administrator")
    bureau.did("dora", "draft", bureau.document("water"))
    bureau.did("dora", "submit", "AG-1")
    for action in ("conform", "approve"):
        refused = bureau.does("dora", action, "AG-1")
        assert refused.exit_code == 3 and "another person must do" in refused.output


def test_a_wrong_password_moves_nothing_and_is_not_printed(bureau):
    bureau.did("dora", "draft", bureau.document("water"))
    refused = bureau.does("dora", "submit", "AG-1", password="guess guess guess")
    assert refused.exit_code == 3 and "guess" not in refused.output.replace("guesses", "")
    assert bureau.shown()["state"] == "draft"
    assert PASSWORD not in bureau.printed


def test_what_is_done_at_the_keyboard_is_in_the_decision_record(bureau):
    bureau.did("dora", "draft", bureau.document("water"))
    bureau.types("agreement", "withdraw", "AG-1", "--reason", "no", "--as", "dora", "--password-stdin", input=f"{PASSWORD}\n")
    events = [event for path in (bureau.folder / "var" / "decisions").rglob("*.jsonl") for event in read_segment(path)]
    told = [(event["operation"], event["actor"], event["object"]) for event in events if event["event"] == "admin.acted"]
    assert ("agreements.draft", "dora", "AG-1/1") in told and ("agreements.withdraw", "dora", "AG-1/1") in told


def test_a_draft_can_be_edited_and_sent_back(bureau):
    bureau.did("dora", "draft", bureau.document("water"))
    seen = bureau.shown()["hash"]
    bureau.did("carl", "edit", bureau.document("water", title="another title"), "--replacing", seen)
    late = bureau.does("dora", "edit", bureau.document("water", title="a third"), "--replacing", seen)
    assert late.exit_code == 3 and "somebody else has changed the draft" in late.output
    bureau.did("dora", "submit", "AG-1")
    assert "now draft" in bureau.did("anna", "request-changes", "AG-1", "--reason", "clause 3")


def test_an_amendment_is_told_by_what_it_gives_and_takes(bureau):
    half = {"type": "Polygon", "coordinates": [[[118.70, 32.00], [118.75, 32.00], [118.75, 32.10], [118.70, 32.10], [118.70, 32.00]]]}
    bureau.puts_in_force(bureau.document("water"))
    clause = {"clause": "3.1", "layers": ["dem"], "operations": ["GetMap", "GetTile"], "area": {"geojson": half}, "scale": {"finest": 5000}}
    path = bureau.document("amended", version=2, grants=[clause])
    before = json.loads(bureau.done("agreement", "diff", "AG-1", "--document", path, "--json"))
    assert (before["from"], before["to"], before["gained_km2"]) == (1, 2, 0)
    assert any(line["turn"] == "gained" and "GetTile" in line["sentence"] for line in before["lines"])
    assert before["lost_km2"] == pytest.approx(52.5, rel=0.02)                                   # the other half of the square
    bureau.did("dora", "draft", path)
    assert json.loads(bureau.done("agreement", "diff", "AG-1", "--json")) == before
    told = bureau.types("agreement", "diff", "AG-1")
    assert {line[0] for line in told.stdout.splitlines()} == {"+", "-"} and "km2 lost" in told.stderr
    assert bureau.types("agreement", "diff", "AG-2", "--document", path).exit_code == 3


def test_an_emergency_is_put_in_force_by_one_and_ratified_by_another(bureau):
    end = (now() + timedelta(hours=20)).strftime("%Y-%m-%dT%H:%M")
    bureau.did("otis", "draft", bureau.document("water", emergency=True, term={"from": "2020-01-01", "until": end}))
    assert "now active" in bureau.did("otis", "activate", "AG-1", "--emergency", "--comment", "the dike")
    (task,) = bureau.rows("tasks", "--role", "approver")
    assert task["kind"] == "ratify" and "`otis` alone" in task["task"]
    bureau.did("anna", "ratify", "AG-1")
    assert bureau.rows("tasks") == []


def test_suspending_is_done_by_a_person_or_by_the_operator(bureau):
    bureau.puts_in_force(bureau.document("water"))
    assert bureau.does("dora", "suspend", "AG-1", "--reason", "flood").exit_code == 3
    bureau.did("anna", "suspend", "AG-1", "--reason", "flood")
    assert bureau.shown()["state"] == "suspended"
    bureau.done("agreement", "resume", "AG-1", "--comment", "over")
    assert bureau.shown()["state"] == "active"
    assert [row["by"] for row in bureau.rows("agreement", "history", "AG-1")[-2:]] == ["anna", "(operator)"]


def test_an_edit_by_hand_is_told_and_everything_else_ends_with_a_sentence(bureau):
    bureau.puts_in_force(bureau.document("water"))
    with sqlite3.connect(bureau.folder / "var" / "geoshare.sqlite") as database:
        database.execute("UPDATE agreements SET state = 'archived'")
    told = bureau.types("agreement", "verify-history")
    assert told.exit_code == 1 and "agreement AG-1 version 1: its row was altered" in told.stdout
    refused = bureau.types("agreement", "list")
    assert refused.exit_code == 1 and "see `geoshare agreement verify-history`" in refused.output


def test_what_passes_on_is_registered_after_what_it_stands_under_whatever_the_files_are_called(bureau):
    bureau.done("agency", "add", "contractor", "--name-zh", "承包单位", "--name-en", "Contractor")
    child = bureau.document("a-child", agreement="AG-1-A", parent="AG-1", parties={"grantor": "water", "grantee": "contractor"})
    parent = bureau.document("b-parent", use={"third_party": True})
    refused = bureau.types("agreement", "register", child)
    assert refused.exit_code == 3 and "the agreement above, `AG-1`, is not in force" in refused.output
    told = bureau.done("agreement", "register", child, parent).splitlines()
    assert [line.split()[0] for line in told] == ["AG-1", "AG-1-A"]


# The round

def test_a_round_notes_what_expired_drafts_renewals_and_finds_nothing_left_to_do(bureau):
    soon = date.today() + timedelta(days=20)
    bureau.puts_in_force(bureau.document("water", term={"from": "2020-01-01", "until": "2024-12-31"}))
    renewing = bureau.document(
        "renewing", agreement="AG-2", term={"from": "2020-01-01", "until": f"{soon}"}, renewal={"mode": "auto", "period": "P1Y", "notice_days": 30},
    )
    bureau.puts_in_force(renewing, "AG-2")
    first = bureau.done("tick")
    assert "ends: AG-1 version 1 expired" in first
    assert f"renewals: AG-2 version 2 drafted: from {soon + timedelta(days=1)} on" in first
    assert bureau.done("tick") == ""
    draft = bureau.shown("AG-2")
    assert (draft["version"], draft["state"]) == (2, "draft")
    assert [row["by"] for row in bureau.rows("agreement", "history", "AG-2")][-1] == "(system)"
    bureau.did("dora", "withdraw", "AG-2", "--reason", "not wanted")
    assert bureau.done("tick") == ""                                     # a draft that was withdrawn is not drafted again
    assert bureau.shown("AG-1")["state"] == "expired"


def test_a_renewal_by_itself_is_still_submitted_by_one_and_approved_by_another(bureau):
    soon = date.today() + timedelta(days=20)
    path = bureau.document("water", term={"from": "2020-01-01", "until": f"{soon}"}, renewal={"mode": "auto", "period": "P1Y", "notice_days": 30})
    bureau.puts_in_force(path)
    bureau.done("tick")
    for login, action in (("dora", "submit"), ("carl", "conform"), ("anna", "approve")):
        bureau.did(login, action, "AG-1")
    for party in ("bureau", "water"):
        bureau.signs(party)
    bureau.did("otis", "activate", "AG-1")
    first, second = bureau.rows("agreement", "list")
    assert first["until"] == second["from"] and first["state"] == "active" and second["state"] == "not yet begun"


def test_a_round_tells_what_failed_and_does_its_other_work(bureau, monkeypatch):
    def broken(_premises, _at):
        yield "half of it"
        raise housekeeping.Alarm("the other half failed")

    monkeypatch.setattr(housekeeping, "STEPS", (housekeeping.Step(name="broken", run=broken), *housekeeping.STEPS))
    bureau.puts_in_force(bureau.document("water", term={"from": "2020-01-01", "until": "2024-12-31"}))
    told = bureau.types("tick")
    assert told.exit_code == 1 and told.stderr.strip() == "broken: the other half failed"
    assert told.stdout.splitlines() == ["broken: half of it", "ends: AG-1 version 1 expired"]


def test_two_rounds_are_not_made_at_once(bureau):
    with housekeeping._alone(bureau.folder / "var" / housekeeping.LOCK):
        told = bureau.types("tick")
    assert told.exit_code == 0 and "another `geoshare tick` is under way" in told.stderr


def test_a_round_raises_the_alarm_where_the_register_was_edited_by_hand(bureau):
    bureau.puts_in_force(bureau.document("water"))
    with sqlite3.connect(bureau.folder / "var" / "geoshare.sqlite") as database:
        database.execute("UPDATE agencies SET is_active = 0")
    told = bureau.types("tick")
    assert told.exit_code == 1 and "history: the register was altered by hand: agency water: its row was altered" in told.stderr


# Working days

def test_the_holidays_of_a_new_year_are_imported_and_a_bad_table_is_told_by_line(bureau, config_folder, tmp_path):
    own = tmp_path / "config"
    shutil.copytree(config_folder, own)
    bureau.environment["GEOSHARE_CONFIG"] = str(own)
    result = bureau.types("workday", "due", "2027-09-30", "3")
    assert result.stdout.split() == ["2027-10-06"] and "assumed: the holidays of 2027 are not announced" in result.stderr
    table = tmp_path / "2027.csv"
    with table.open("w", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["date", "kind", "name_zh", "status", "source"])
        writer.writerows([f"2027-10-0{day}", "holiday", "国庆节", "announced", "a notice"] for day in range(1, 8))
        writer.writerow(["2027-10-09", "working", "国庆节调休", "announced", "a notice"])
    assert "2027: 8 days" in bureau.done("workday", "import", str(table))
    assert bureau.done("workday", "due", "2027-09-30", "3").split() == ["2027-10-11"]
    table.write_text("date,kind,name_zh,status,source\n2027-13-01,holiday,x,announced,y\n", "utf-8")
    refused = bureau.types("workday", "import", str(table))
    assert refused.exit_code == 3 and "line 2: date: `2027-13-01` is not a day" in refused.output
    assert bureau.done("workday", "due", "2026-09-30", "3").split() == ["2026-10-10"]


def test_moments_are_those_of_shanghai(bureau):
    bureau.puts_in_force(bureau.document("water"))
    moment = datetime.fromisoformat(bureau.rows("agreement", "history", "AG-1")[0]["at"])
    assert moment.utcoffset() == datetime.now(SHANGHAI).utcoffset()
