"""`geoshare audit` as an administrator types it, and as an agency does that has nothing but two files."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from made_record import lines_of, write_rows

from geoserver_app.audit.store import AuditStore
from geoserver_app.cli import main
from geoserver_app.clock import now
from geoserver_app.database import connect, migrate
from geoserver_app.settings import Settings

LONG_AGO = (now() - timedelta(days=3)).replace(hour=9)
DAY = LONG_AGO.date().isoformat()
YESTERDAY = (now() - timedelta(days=1)).date().isoformat()


class Auditor:
    def __init__(self, folder: Path):
        self.folder, self.settings = folder, Settings.at(folder / "var")
        migrate(self.settings)
        self.store = AuditStore(connect(self.settings.database_url))

    def types(self, *words: str, **environment: str) -> Result:
        result = CliRunner().invoke(main, ["audit", *words], env={"GEOSHARE_DATA": str(self.settings.data), "COLUMNS": "200"} | environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    def done(self, *words: str, **environment: str) -> str:
        result = self.types(*words, **environment)
        assert result.exit_code == 0, result.output
        return result.stdout

    def rows(self, at: datetime = LONG_AGO, count: int = 9) -> Path:
        return write_rows(self.settings.decisions, count, at, self.store)


@pytest.fixture
def auditor(tmp_path):
    office = Auditor(tmp_path)
    yield office
    office.store.database.dispose()


def test_a_day_is_sealed_verified_and_shown(auditor):
    auditor.rows()
    told = auditor.done("seal").splitlines()
    assert len(told) == 3 and told[0].startswith(f"{DAY}  ") and told[0].endswith("10 rows under 3 agency roots")
    assert auditor.done("seal") == "" and auditor.types("verify", "--all").exit_code == 0
    shown = json.loads(auditor.done("roots", "--json"))
    assert [one["day"] for one in shown][0] == DAY and shown[0]["root"] in told[0]


def test_sealing_ends_with_the_day_that_is_named_and_refuses_today(auditor):
    auditor.rows()
    assert len(auditor.done("seal", "--day", DAY).splitlines()) == 1
    result = auditor.types("seal", "--day", now().date().isoformat())
    assert result.exit_code == 3 and "is not over" in result.output


def test_what_was_altered_is_printed_and_ends_with_1(auditor):
    segment = auditor.rows()
    segment.write_bytes(segment.read_bytes().replace(b'"tile":[14,3,3]', b'"tile":[14,3,4]'))
    for words in (("verify",), ("verify", "--day", DAY), ("verify", "--all")):
        result = auditor.types(*words)
        assert result.exit_code == 1 and f"{DAY}/{segment.name}, line 5: altered" in result.stdout
    assert json.loads(auditor.types("verify", "--json").stdout)[0] == {
        "kind": "altered", "place": f"{DAY}/{segment.name}", "line": 5, "tampering": True,
        "sentence": "its seal does not fit: it was altered, or line 4 was and was sealed anew",
    }
    result = auditor.types("seal")
    assert result.exit_code == 1 and "line 5: altered" in result.output
    assert auditor.types("verify").exit_code == 0, "sealed days are read again with --all or --day"


def test_an_agency_verifies_its_rows_without_a_database(auditor, tmp_path, monkeypatch):
    auditor.rows()
    root = auditor.done("seal", "--day", DAY).split()[1]
    rows, proof = tmp_path / "rows.jsonl", tmp_path / "rows.proof.json"
    assert root in auditor.done("own", "--agency", "water", "--day", DAY, "--out", str(rows))
    monkeypatch.setattr("sqlalchemy.create_engine", None)
    elsewhere = {"GEOSHARE_DATA": str(tmp_path / "nowhere"), "GEOSHARE_DATABASE_URL": "sqlite:////proc/nowhere"}
    assert "3 rows of water" in auditor.done("verify-own", str(rows), str(proof), "--root", root, **elsewhere)
    assert not (tmp_path / "nowhere").exists()
    whole = lines_of(rows)
    rows.write_bytes(b"".join(whole[:2]))
    result = auditor.types("verify-own", str(rows), str(proof), **elsewhere)
    assert result.exit_code == 1 and "2 rows where 3 were sealed" in result.stdout
    proof.write_text("{}")
    assert auditor.types("verify-own", str(rows), str(proof)).exit_code == 3


@pytest.mark.parametrize("words, told", [
    (("own", "--agency", "water", "--day", "2020-01-01", "--out", "x.jsonl"), "is not sealed"),
    (("own", "--agency", "land", "--day", DAY, "--out", "x.jsonl"), "`land` has no row"),
    (("sql", "DROP VIEW audit"), "only a single SELECT"),
    (("sql", "SELECT * FROM read_text('/etc/hostname')"), "can't be answered"),
    (("retire", "--before", DAY, "--to", "x.parquet"), "kept for ever"),
])
def test_what_can_t_be_done_is_told_in_a_sentence(auditor, words, told):
    auditor.rows()
    auditor.done("seal")
    result = auditor.types(*words)
    assert result.exit_code == 3 and told in result.output


def test_questions_are_answered_as_a_table_or_as_json(auditor):
    auditor.rows()
    auditor.rows(now(), 3)
    assert json.loads(auditor.done("sql", "SELECT agency, count(*) AS n FROM audit GROUP BY agency ORDER BY agency", "--json")) == [
        {"agency": "police", "n": 4}, {"agency": "water", "n": 4}, {"agency": None, "n": 4},
    ]
    assert json.loads(auditor.done("sql", "SELECT count(*) AS n FROM audit", "--from", DAY, "--to", DAY, "--fresh", "--json")) == [{"n": 9}]
    assert "9" in auditor.done("sql", "SELECT count(*) AS n FROM audit", "--to", YESTERDAY)


def test_records_are_exported_and_retired_and_the_chain_still_holds(auditor, tmp_path):
    auditor.rows()
    auditor.done("seal")
    assert "4 rows" not in (told := auditor.done("export", "--from", DAY, "--to", DAY, "--out", str(tmp_path / "a.csv"))) and "9 rows" in told
    assert auditor.types("export", "--from", DAY, "--to", DAY, "--out", str(tmp_path / "a.csv")).exit_code == 1
    before = (LONG_AGO + timedelta(days=1)).date().isoformat()
    path = tmp_path / "old.parquet"
    assert "10 rows of 1 day" in auditor.done("retire", "--before", before, "--to", str(path), GEOSHARE_AUDIT_KEEP_DAYS="1")
    result = auditor.types("verify", "--all")
    assert result.exit_code == 0 and "retired to `old.parquet`" in result.output
    assert "all is as it was sealed" in auditor.types("verify", "--file", str(path)).output
    assert "old.parquet" in auditor.types("own", "--agency", "water", "--day", DAY, "--out", str(tmp_path / "x.jsonl")).output
    acts = json.loads(auditor.done("sql", "SELECT operation, actor, object FROM audit WHERE event = 'admin.acted'", "--json"))
    assert acts == [{"operation": "audit.retire", "actor": "operator", "object": f"{DAY}..{DAY}"}]
    assert auditor.types("verify").exit_code == 0
