"""Contributions, notices and reviews as somebody types them at the shell."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from geoserver_app.cli import main
from geoserver_app.decision_log import HEADER
from tests.app.reciprocity import open_office
from tests.app.reviewed import printed


class Shell:
    def __init__(self, folder: Path):
        self.folder, self.environment = folder, {"GEOSHARE_DATA": str(folder / "var"), "COLUMNS": "300"}

    def types(self, *words: str) -> Result:
        result = CliRunner().invoke(main, list(words), env=self.environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    def done(self, *words: str) -> str:
        result = self.types(*words)
        assert result.exit_code == 0, result.output
        return result.stdout

    def rows(self, *words: str) -> list[dict]:
        return json.loads(self.done(*words, "--json"))

    def events(self) -> list[dict]:
        lines = [line for path in (self.folder / "var" / "decisions").rglob("*.jsonl") for line in path.read_text("utf-8").splitlines()]
        return [event for event in map(json.loads, lines) if event["event"] != HEADER]


@pytest.fixture
def shell(tmp_path) -> Shell:
    office = open_office(tmp_path)
    office.database.dispose()
    return Shell(tmp_path)


def test_a_delivery_is_entered_checked_and_seen_in_the_ledger(shell, tmp_path):
    file = tmp_path / "dikes.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [118, 32]}},
    ]}))
    told = shell.done("contribution", "receive", "AG-W", "dikes", "--by", "信息中心", "--file", str(file), "--due", "2026-03-31", "--edition", "2026-1")
    number = told.split()[1].rstrip(":")
    shell.done("contribution", "check", number, "returned", "--findings", "no vertical datum", "--by", "dora")
    row = next(one for one in shell.rows("contribution", "due", "--agreement", "AG-W") if one["due"] == "2026-03-31")
    assert (row["standing"], row["findings"], row["delivery"]) == ("returned", "no vertical datum", number)
    received = next(event for event in shell.events() if event["event"] == "contribution.received")
    assert received["actor"] == "operator" and received["features"] == 1 and len(received["sha256"]) == 64


def test_a_statement_for_a_year_and_an_event_are_entered(shell):
    shell.done("contribution", "state-no-change", "AG-W", "dikes", "--by", "water", "--statement", "无变化", "--since", "2026-03-31", "--due", "2026-12-31")
    shell.done("contribution", "happen", "AG-W", "boundaries", "--day", "2026-05-01", "--note", "新设街道")
    standings = {(row["dataset"], row["due"]): row["standing"] for row in shell.rows("contribution", "list", "--agency", "water")}
    assert standings["dikes", "2026-06-30"] == "no-change" and ("boundaries", "2026-05-11") in standings
    assert {row["agreement"] for row in shell.rows("contribution", "list", "--agency", "transport")} == {"AG-T"}


@pytest.mark.parametrize("words, told", [
    (("contribution", "receive", "AG-W", "roads", "--by", "x"), "asks for no contribution `roads`"),
    (("contribution", "receive", "AG-X", "roads", "--by", "x"), "AG-X"),
    (("contribution", "check", "77", "passed"), "no delivery `77`"),
    (("contribution", "check", "1", "returned"), "say what is wrong"),
    (("contribution", "list", "--agreement", "AG-X"), "AG-X"),
    (("notices", "--mail"), "no mail server is set"),
    (("review", "pack", "AG-X", "--from", "2026-04-01", "--to", "2026-04-30", "--out", "pack.html"), "AG-X"),
    (("review", "pack", "AG-W", "--from", "2026-04-30", "--to", "2026-04-01", "--out", "pack.html"), "first day comes first"),
    (("review", "indicators", "--year", "2199"), "has not begun"),
])
def test_what_can_t_be_meant_is_told_in_a_sentence_with_exit_code_3(shell, words, told):
    result = shell.types(*words)
    assert result.exit_code == 3 and told in result.stderr


def test_notices_are_told_as_json_and_taken_once(shell):
    told = json.loads(shell.done("notices", "--take", "--json"))
    assert told and all(notice["text"]["zh"] and notice["to"][0]["email"] for notice in told)
    assert json.loads(shell.done("notices", "--take", "--json")) == []
    everything = json.loads(shell.done("notices", "--all", "--json"))
    assert len(everything) > len(told), "those that were overtaken as well"
    assert "AG-W" in shell.done("notices", "--all")


def test_a_mail_server_that_is_not_there_ends_with_exit_code_1_and_no_password_is_told(shell):
    shell.environment |= {"GEOSHARE_SMTP_URL": "smtp://clerk:s3cret-word@127.0.0.1:9", "GEOSHARE_SMTP_SENDER": "a@bureau.test"}
    result = shell.types("notices", "--mail")
    assert result.exit_code == 1 and "127.0.0.1:9" in result.stderr and "s3cret" not in result.output


def test_papers_are_written_as_the_name_of_the_file_says_and_put_in_the_record(shell, tmp_path):
    page, paper = tmp_path / "pack.html", tmp_path / "group.pdf"
    shell.done("review", "pack", "AG-W", "--from", "2026-04-01", "--to", "2026-06-30", "--out", str(page))
    shell.done("review", "group", "--from", "2026-04-01", "--to", "2026-06-30", "--out", str(paper), "--language", "en")
    assert "共建共享协议评审材料" in page.read_text("utf-8") and paper.read_bytes().startswith(b"%PDF")
    assert {(event["operation"], event["object"]) for event in shell.events() if event["operation"].startswith("review.")} == {
        ("review.pack", "AG-W"), ("review.group", "2026-04-01/2026-06-30"),
    }


def test_a_printed_question_is_answered_at_the_shell_as_it_stands(shell, tmp_path):
    page = tmp_path / "pack.html"
    shell.done("review", "pack", "AG-W", "--from", "2026-04-01", "--to", "2026-06-30", "--out", str(page))
    questions = [block.text for block in printed(page.read_text("utf-8")) if block.kind == "pre"]
    assert json.loads(shell.done("audit", "sql", questions[0], "--json"))[0]["requests"] == 0
    for question in questions[1:6]:
        shell.done("audit", "sql", question)


def test_indicators_are_told_for_every_agreement_and_written_as_a_paper(shell, tmp_path):
    rows = shell.rows("review", "indicators", "--year", "2026")
    assert {row["agreement"] for row in rows} == {"AG-W", "AG-T"} and all(row["requests"] == 0 for row in rows)
    assert [row["agreement"] for row in shell.rows("review", "indicators", "--year", "2026", "--agreement", "AG-W")] == ["AG-W"]
    shell.done("review", "indicators", "--year", "2026", "--out", str(tmp_path / "2026.html"))
    assert "绩效评价" in (tmp_path / "2026.html").read_text("utf-8")
