"""`geoshare person` and bound keys as somebody at the machine types them."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from geoserver_app.cli import main
from geoserver_app.database import connect
from geoserver_app.decision_log import read_segment
from geoserver_app.people.accounts import Accounts
from geoserver_app.people.guessing import instance_secret
from geoserver_app.settings import Settings

PASSWORD = "correct horse battery"
TOMORROW = (date.today() + timedelta(days=1)).isoformat()


class Desk:
    def __init__(self, folder: Path):
        self.settings, self.printed = Settings.at(folder / "var"), ""

    def types(self, *words: str, input: str | None = None) -> Result:
        environment = {"GEOSHARE_DATA": str(self.settings.data), "COLUMNS": "200"}
        result = CliRunner().invoke(main, list(words), env=environment, input=input)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        self.printed += result.output
        return result

    def done(self, *words: str, input: str | None = None) -> str:
        result = self.types(*words, input=input)
        assert result.exit_code == 0, result.output
        return result.stdout

    @property
    def accounts(self) -> Accounts:
        return Accounts(connect(self.settings.database_url), instance_secret(self.settings.data / "instance-secret"))

    def acts(self) -> list[tuple]:
        events = [event for path in sorted(self.settings.decisions.rglob("*.jsonl")) for event in read_segment(path)]
        return [(one["operation"], one["object"], one["actor"]) for one in events if one["event"] == "admin.acted"]


@pytest.fixture
def desk(tmp_path) -> Desk:
    desk = Desk(tmp_path)
    desk.done("agency", "add", "water", "--name-zh", "水利厅", "--name-en", "Water department")
    desk.done("person", "add", "alice", "--role", "administrator", input=f"{PASSWORD}\n{PASSWORD}\n")
    return desk


def test_the_first_administrator_is_made_with_a_password_that_is_typed_and_not_shown(desk):
    assert desk.accounts.check_password("alice", PASSWORD, "127.0.0.1").login == "alice"
    assert PASSWORD not in desk.printed
    (alice,) = json.loads(desk.done("person", "list", "--json"))
    assert (alice["login"], alice["roles"], alice["must change password"]) == ("alice", "administrator", False)
    assert desk.acts() == [("agencies.put", "water", "operator"), ("people.add", "alice", "operator")]


def test_a_script_gives_the_password_on_standard_input(desk):
    desk.done("person", "add", "wang", "--role", "member", "--agency", "water", "--password-stdin", "--temporary", input=f"{PASSWORD}\n")
    assert desk.accounts.person("wang").must_change and desk.accounts.person("wang").agency == "water"


@pytest.mark.parametrize("words, told", [
    (("add", "bob", "--role", "auditor", "--password-stdin"), "12 to 256 characters"),
    (("add", "Bob", "--role", "auditor", "--password-stdin"), "`Bob` can't be a login"),
    (("add", "bob", "--role", "member", "--password-stdin"), "don't go with `bureau`"),
    (("add", "bob", "--role", "member", "--agency", "absent", "--password-stdin"), "agency `absent` is not registered"),
    (("disable", "alice"), "last administrator"), (("roles", "alice", "auditor"), "last administrator"),
    (("disable", "nobody"), "there is no person `nobody`"),
    (("token", "alice", "--role", "auditor", "--expires", TOMORROW), "a token has roles of its person: administrator"),
    (("token", "alice", "--role", "administrator", "--expires", "2099-01-01"), "at most 366 days"),
    (("token", "alice", "--role", "administrator", "--expires", "2020-01-01"), "is over already"),
])
def test_what_can_t_be_is_told_in_a_sentence(desk, words, told):
    result = desk.types("person", *words, input="short\n" if "characters" in told else f"{PASSWORD}\n")
    assert result.exit_code == 3 and told in result.output


def test_whoever_is_closed_is_out_and_can_be_let_in_again(desk):
    desk.done("person", "add", "bob", "--role", "auditor", "--password-stdin", input=f"{PASSWORD}\n")
    session, _ = desk.accounts.open_session("bob")
    desk.done("person", "disable", "bob")
    assert desk.accounts.session(session) is None
    desk.done("person", "enable", "bob")
    desk.done("person", "roles", "bob", "auditor", "approver")
    assert desk.accounts.person("bob").is_active and len(desk.accounts.person("bob").roles) == 2


def test_another_password_ends_sessions(desk):
    session, _ = desk.accounts.open_session("alice")
    desk.done("person", "password", "alice", "--password-stdin", input="staple under the moon\n")
    assert desk.accounts.session(session) is None and desk.accounts.check_password("alice", "staple under the moon", "127.0.0.1")


def test_a_token_is_printed_once_on_its_own(desk):
    secret = desk.done("person", "token", "alice", "--role", "administrator", "--expires", TOMORROW, "--label", "nightly").strip()
    assert secret.startswith("gsu_") and desk.accounts.by_token(secret).person.login == "alice"
    assert secret not in "".join(path.read_text() for path in desk.settings.decisions.rglob("*.jsonl"))


def test_a_key_is_issued_with_all_that_binds_it(desk):
    desk.done(
        "key", "issue", "water", "--app", "flood-map", "--purpose", "flood-control", "--network", "10.0.0.0/8", "--network", "2001:db8::/32",
        "--referer", "https://maps.example.gov", "--origin", "https://maps.example.gov",
    )
    (key,) = json.loads(desk.done("key", "list", "--json"))
    assert {name: key[name] for name in ("app", "purpose", "networks", "referers", "origins")} == {
        "app": "flood-map", "purpose": "flood-control", "networks": "10.0.0.0/8, 2001:db8::/32", "referers": "https://maps.example.gov",
        "origins": "https://maps.example.gov",
    }


@pytest.mark.parametrize("option, value, told", [
    ("--network", "10.0.0.1/8", "not a block of addresses"), ("--origin", "*", "not an origin"), ("--referer", "https://a.test/app", "not an origin"),
    ("--purpose", "world-peace", "is no purpose"),
])
def test_a_key_that_can_t_be_meant_is_not_issued(desk, option, value, told):
    result = desk.types("key", "issue", "water", option, value)
    assert result.exit_code == 3 and told in result.output
    assert json.loads(desk.done("key", "list", "--json")) == []
