"""People: passwords, sessions, tokens, roles, and how guessing is slowed down."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy
from argon2 import PasswordHasher

from agreements.life.lifecycle import Role
from agreements.model import Agency
from agreements.register import SqlRegister
from geoserver_app.clock import SHANGHAI
from geoserver_app.database import connect, migrate
from geoserver_app.people.accounts import (
    LONGEST_TOKEN,
    AccountInvalid,
    Accounts,
    AccountsUnavailable,
    Person,
    PersonNotDefined,
    SignInRefused,
    TokenNotDefined,
)
from geoserver_app.people.guessing import (
    FREE_BY_ADDRESS,
    FREE_BY_LOGIN,
    MOST_BAD_KEYS,
    BadKeys,
    TooManyGuesses,
    delay_after,
    guesses_table,
    instance_secret,
    known_addresses_table,
)
from geoserver_app.settings import Settings

PASSWORD, OTHER = "correct horse battery", "staple under the moon"
HOME, ELSEWHERE = "203.0.113.9", "198.51.100.7"
NOW = datetime(2026, 11, 23, 9, tzinfo=SHANGHAI)


class Counting(PasswordHasher):
    """Argon2 at its cheapest, counting what it is asked."""

    def __init__(self, memory_cost: int = 8):
        super().__init__(time_cost=1, memory_cost=memory_cost, parallelism=1)
        self.verified = 0

    def verify(self, *arguments):
        self.verified += 1
        return super().verify(*arguments)


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def wait(self, **how_long) -> None:
        self.now += timedelta(**how_long)


@pytest.fixture(params=("sqlite", "postgresql"))
def engine(request, tmp_path):
    """A migrated database; the same in PostgreSQL, where it is installed."""
    settings = Settings.at(tmp_path / "var")
    if request.param == "postgresql":
        settings = settings.replaced(database_url=request.getfixturevalue("postgresql_url"))
    migrate(settings)
    engine = connect(settings.database_url)
    SqlRegister(engine).add_agency(Agency(agency_id="water", name_zh="水利厅", name_en="Water"))
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(engine, clock) -> Accounts:
    made = Accounts(engine, b"secret", clock, hasher=Counting())
    made.add(person("alice", Role.ADMINISTRATOR), PASSWORD)
    return made


def person(login: str, *roles: Role, agency: str = "bureau") -> Person:
    return Person(login=login, name=login.title(), roles=frozenset(roles), agency=agency)


def fails(accounts: Accounts, times: int, login: str = "alice", address: str = ELSEWHERE) -> None:
    for _ in range(times):
        with pytest.raises(SignInRefused):
            accounts.check_password(login, "wrong and wrong again", address)


# Accounts

def test_a_person_signs_in_with_login_and_password_however_the_login_is_typed(accounts):
    for login in ("alice", " Alice "):
        assert accounts.sign_in(login, PASSWORD, HOME)[1].person.login == "alice"


def test_a_password_is_one_in_whatever_unicode_form_it_is_typed(accounts):
    accounts.set_password("alice", "caf\u00e9 am Fluss links")
    assert accounts.check_password("alice", "cafe\u0301 am Fluss links", HOME)


@pytest.mark.parametrize("password, code", [
    ("short", "password-length"), ("x" * 257, "password-length"), ("alicealicealice", "password-login"), ("Alice-alice-12", "password-login"),
    ("aaaaaaaaaaaaaaab", "password-monotonous"),
])
def test_a_weak_password_is_refused_with_the_rule(accounts, password, code):
    with pytest.raises(AccountInvalid) as refused:
        accounts.set_password("alice", password)
    assert refused.value.code == code and password not in str(refused.value.detail)


@pytest.mark.parametrize("one, code", [
    (person("alice", Role.AUDITOR), "login-taken"),
    (person("Bob", Role.AUDITOR), "login-spelling"),
    (person("bob"), "roles-none"),
    (person("bob", Role.MEMBER), "roles-mixed"),
    (person("bob", Role.AUDITOR, agency="water"), "roles-mixed"),
    (person("bob", Role.AUDITOR, Role.MEMBER, agency="water"), "roles-mixed"),
    (person("bob", Role.OPERATOR), "roles-mixed"),
    (person("bob", Role.SYSTEM), "roles-mixed"),
    (person("bob", Role.MEMBER, agency="absent"), "agency-unknown"),
])
def test_an_account_that_does_not_fit_is_refused(accounts, one, code):
    with pytest.raises(AccountInvalid) as refused:
        accounts.add(one, PASSWORD)
    assert refused.value.code == code
    assert [one.login for one in accounts.people()] == ["alice"]


def test_a_member_belongs_to_his_agency_and_is_out_when_it_is_closed(accounts, engine):
    accounts.add(person("wang", Role.MEMBER, agency="water"), PASSWORD)
    token, _ = accounts.sign_in("wang", PASSWORD, HOME)
    secret = accounts.issue_token("wang", "", [Role.MEMBER], NOW + timedelta(days=1))[1]
    SqlRegister(engine).add_agency(Agency(agency_id="water", name_zh="水利厅", name_en="Water", is_active=False))
    assert accounts.session(token) is None and accounts.by_token(secret) is None
    with pytest.raises(SignInRefused):
        accounts.sign_in("wang", PASSWORD, HOME)


def test_the_last_administrator_stays(accounts):
    for change in ({"is_active": False}, {"roles": [Role.AUDITOR]}):
        with pytest.raises(AccountInvalid, match="last-administrator"):
            accounts.change("alice", **change)
    assert accounts.person("alice") == replace(person("alice", Role.ADMINISTRATOR), created=NOW)
    accounts.add(person("bob", Role.ADMINISTRATOR), PASSWORD)
    assert not accounts.change("alice", is_active=False).is_active


def test_an_unknown_login_can_t_be_changed(accounts):
    for attempt in (
        lambda: accounts.person("nobody"), lambda: accounts.change("nobody", name="x"), lambda: accounts.set_password("nobody", PASSWORD),
        lambda: accounts.open_session("nobody"), lambda: accounts.issue_token("nobody", "", [Role.AUDITOR], NOW + timedelta(days=1)),
    ):
        with pytest.raises(PersonNotDefined):
            attempt()


def test_a_password_is_kept_as_argon2id_and_hashed_anew_when_the_parameters_change(accounts, engine, clock):
    def kept() -> str:
        with engine.connect() as connection:
            return connection.scalar(sqlalchemy.text("SELECT password FROM people WHERE login = 'alice'"))

    assert kept().startswith("$argon2id$v=19$m=8,")
    stronger = Accounts(engine, b"secret", clock, hasher=Counting(memory_cost=16))
    assert stronger.sign_in("alice", PASSWORD, HOME)
    assert kept().startswith("$argon2id$v=19$m=16,")
    assert stronger.sign_in("alice", PASSWORD, HOME)


def test_passwords_are_hashed_by_default_with_the_memory_that_the_rfc_recommends(engine):
    hasher = Accounts(engine, b"secret")._hasher
    assert (hasher.type.name, hasher.memory_cost, hasher.time_cost, hasher.parallelism) == ("ID", 65536, 3, 4), "RFC 9106, second recommended option"


# Sessions

def test_a_session_lasts_while_it_is_used_and_no_longer_than_its_day(accounts, clock):
    token, _ = accounts.sign_in("alice", PASSWORD, HOME)
    for _ in range(23):
        clock.wait(minutes=29)
        assert accounts.session(token).person.login == "alice"
    clock.wait(minutes=29)                      # 11 h 36 min
    assert accounts.session(token)
    clock.wait(minutes=24)                      # 12 h
    assert accounts.session(token) is None


def test_a_session_that_is_not_used_ends_to_the_millisecond(accounts, clock):
    token, _ = accounts.sign_in("alice", PASSWORD, HOME)
    clock.wait(minutes=30, milliseconds=-1)
    assert accounts.session(token)
    clock.wait(minutes=30)
    assert accounts.session(token) is None


@pytest.mark.parametrize("ending", ("sign out", "password", "reset", "close", "role"))
def test_a_session_that_is_ended_is_ended_in_every_worker(accounts, engine, clock, ending):
    other_worker = Accounts(engine, b"secret", clock, hasher=Counting())
    accounts.add(person("bob", Role.ADMINISTRATOR, Role.APPROVER), PASSWORD)
    token, _ = accounts.sign_in("bob", PASSWORD, HOME)
    assert other_worker.session(token)
    match ending:
        case "sign out":
            accounts.end_session(token)
        case "password":
            accounts.set_password("bob", OTHER)
        case "reset":
            accounts.set_password("bob", OTHER, must_change=True)
        case "close":
            accounts.change("bob", is_active=False)
        case "role":
            accounts.change("bob", roles=[Role.APPROVER])
    assert other_worker.session(token) is None


def test_a_session_is_not_opened_on_a_password_that_is_changed_meanwhile(accounts, monkeypatch):
    recognised = accounts._recognised

    def slowly(*arguments):
        row = recognised(*arguments)
        accounts.set_password("alice", OTHER)
        return row

    monkeypatch.setattr(accounts, "_recognised", slowly)
    with pytest.raises(SignInRefused):
        accounts.sign_in("alice", PASSWORD, HOME)


def test_no_token_in_the_database_opens_anything(accounts, engine):
    token, signed_in = accounts.sign_in("alice", PASSWORD, HOME)
    secret = accounts.issue_token("alice", "", [Role.ADMINISTRATOR], NOW + timedelta(days=1))[1]
    kept = everything_in(engine)
    assert not any(one in kept for one in (token, secret, PASSWORD, signed_in.csrf))
    for digest in re.findall(r"[0-9a-f]{64}", kept):
        assert accounts.session(digest) is None and accounts.by_token(digest) is None


def test_each_session_has_a_token_and_a_form_token_of_its_own(accounts):
    made = [accounts.open_session("alice") for _ in range(20)]
    assert len({token for token, _ in made}) == len({signed_in.csrf for _, signed_in in made}) == 20
    for token, signed_in in made:
        assert len(token) == 43 and accounts.session(token).csrf == signed_in.csrf
        assert token not in repr(signed_in) and signed_in.csrf not in repr(signed_in)


# Tokens

def test_a_token_counts_until_it_ends_with_the_roles_that_its_person_still_has(accounts, clock):
    accounts.add(person("bob", Role.AUDITOR, Role.DATA_MANAGER), PASSWORD)
    token, secret = accounts.issue_token("bob", "nightly", [Role.AUDITOR, Role.DATA_MANAGER], NOW + timedelta(days=2))
    assert secret.startswith("gsu_") and accounts.by_token(secret).person.roles == {Role.AUDITOR, Role.DATA_MANAGER}
    accounts.change("bob", roles=[Role.AUDITOR, Role.APPROVER])
    assert accounts.by_token(secret).person.roles == {Role.AUDITOR}
    clock.wait(days=2, milliseconds=-1)
    assert accounts.by_token(secret)
    clock.wait(milliseconds=1)
    assert accounts.by_token(secret) is None
    assert accounts.tokens("bob") == (token,)


@pytest.mark.parametrize("ending", ("revoke", "reset", "close", "role"))
def test_a_token_ends_with_what_it_rests_on(accounts, ending):
    accounts.add(person("bob", Role.AUDITOR, Role.APPROVER), PASSWORD)
    token, secret = accounts.issue_token("bob", "", [Role.AUDITOR], NOW + timedelta(days=2))
    match ending:
        case "revoke":
            accounts.revoke_token("bob", token.token_id)
            accounts.revoke_token("bob", token.token_id)
        case "reset":
            accounts.set_password("bob", OTHER, must_change=True)
        case "close":
            accounts.change("bob", is_active=False)
        case "role":
            accounts.change("bob", roles=[Role.APPROVER])
    assert accounts.by_token(secret) is None


def test_a_token_is_no_wider_and_no_longer_than_its_person_may_have(accounts):
    for roles, expires, code in (
        ([Role.AUDITOR], NOW + timedelta(days=1), "token-roles"), ([], NOW + timedelta(days=1), "token-roles"),
        ([Role.ADMINISTRATOR], NOW, "token-expiry"), ([Role.ADMINISTRATOR], NOW + LONGEST_TOKEN + timedelta(milliseconds=1), "token-expiry"),
    ):
        with pytest.raises(AccountInvalid, match=code):
            accounts.issue_token("alice", "", roles, expires)


def test_nobody_revokes_another_s_token_by_its_id(accounts):
    accounts.add(person("bob", Role.AUDITOR), PASSWORD)
    token, secret = accounts.issue_token("alice", "", [Role.ADMINISTRATOR], NOW + timedelta(days=1))
    with pytest.raises(TokenNotDefined):
        accounts.revoke_token("bob", token.token_id)
    assert accounts.by_token(secret)


# Guessing

def test_an_unknown_login_costs_the_same_work_and_gets_the_same_answer(accounts):
    hasher = accounts._hasher
    answers = []
    for login in ("alice", "nobody"):
        before = hasher.verified
        with pytest.raises(SignInRefused) as refused:
            accounts.sign_in(login, "wrong and wrong again", HOME)
        answers.append((str(refused.value), refused.value.detail, hasher.verified - before))
    assert answers[0] == answers[1] and answers[0][2] == 1


def test_guesses_at_a_login_are_slowed_down_more_and_more_whether_it_exists_or_not(accounts, clock):
    for login in ("alice", "nobody"):
        fails(accounts, FREE_BY_LOGIN, login)
        waits = []
        for _ in range(12):
            with pytest.raises(TooManyGuesses) as locked:
                accounts.check_password(login, PASSWORD, ELSEWHERE)
            waits.append(locked.value.seconds)
            clock.wait(seconds=waits[-1], milliseconds=-1)
            with pytest.raises(TooManyGuesses):
                accounts.check_password(login, PASSWORD, ELSEWHERE)
            clock.wait(milliseconds=1)
            fails(accounts, 1, login, f"192.0.2.{len(waits)}")
        assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


def test_while_a_login_is_locked_no_password_is_looked_at(accounts):
    fails(accounts, FREE_BY_LOGIN)
    before = accounts._hasher.verified
    with pytest.raises(TooManyGuesses):
        accounts.check_password("alice", PASSWORD, HOME)
    assert accounts._hasher.verified == before


def test_the_right_password_ends_the_count_and_a_day_forgets_it(accounts, clock):
    fails(accounts, FREE_BY_LOGIN - 1)
    assert accounts.check_password("alice", PASSWORD, ELSEWHERE)
    fails(accounts, FREE_BY_LOGIN - 1)
    clock.wait(days=1, seconds=1)
    fails(accounts, FREE_BY_LOGIN - 1)


def test_who_guesses_elsewhere_does_not_keep_the_owner_out_at_home(accounts):
    accounts.check_password("alice", PASSWORD, HOME)
    fails(accounts, FREE_BY_LOGIN)
    with pytest.raises(TooManyGuesses):
        accounts.check_password("alice", PASSWORD, ELSEWHERE)
    assert accounts.check_password("alice", PASSWORD, HOME)
    fails(accounts, FREE_BY_LOGIN, address=HOME)
    with pytest.raises(TooManyGuesses):
        accounts.check_password("alice", PASSWORD, HOME)


def test_an_address_that_guesses_at_many_logins_is_slowed_down_and_an_account_of_its_own_does_not_help(accounts):
    accounts.add(person("mallory", Role.AUDITOR), PASSWORD)
    for number in range(FREE_BY_ADDRESS):
        assert accounts.check_password("mallory", PASSWORD, ELSEWHERE)
        fails(accounts, 1, f"login{number}")
    with pytest.raises(TooManyGuesses):
        accounts.check_password("mallory", PASSWORD, ELSEWHERE)
    assert accounts.check_password("alice", PASSWORD, HOME)


@pytest.mark.parametrize("address, same, other", [
    ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"), ("203.0.113.9", "::ffff:203.0.113.9", "203.0.113.10"),
])
def test_an_address_is_one_however_it_is_written_and_a_household_of_ipv6_is_one(accounts, address, same, other):
    for number in range(FREE_BY_ADDRESS):
        fails(accounts, 1, f"login{number}", address)
    with pytest.raises(TooManyGuesses):
        accounts.check_password("nobody", PASSWORD, same)
    fails(accounts, 1, "nobody", other)


def test_guesses_that_come_at_once_are_all_counted(accounts):
    """Counted before they are looked at: so many as are free, and no more, get to see whether they were right."""
    begun = 0
    with pytest.raises(TooManyGuesses):
        for _ in range(100):
            accounts.guesses.begin("alice", ELSEWHERE)
            begun += 1
    assert begun == FREE_BY_LOGIN


def test_many_workers_that_guess_at_the_same_moment_get_no_more_guesses_together(accounts):
    def begin(_):
        try:
            accounts.guesses.begin("alice", ELSEWHERE)
        except TooManyGuesses:
            return 0
        return 1

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(begin, range(60))) == FREE_BY_LOGIN


def test_what_is_kept_of_guesses_holds_no_address_and_no_login(accounts, engine):
    fails(accounts, 2, "nobody-knows-this-login")
    accounts.check_password("alice", PASSWORD, HOME)
    with engine.connect() as connection:
        kept = str([connection.execute(sqlalchemy.select(table)).all() for table in (guesses_table, known_addresses_table)])
    assert not any(word in kept for word in (HOME, ELSEWHERE, "nobody-knows", "alice"))


def test_the_delay_grows_and_has_an_end():
    delays = [delay_after(failures, 5) for failures in range(1000)]
    assert delays == sorted(delays) and delays[-1] == timedelta(minutes=15) and delays[4] == timedelta(0)


def test_a_database_that_is_gone_lets_nobody_in(accounts, engine):
    token, _ = accounts.sign_in("alice", PASSWORD, HOME)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE guesses"))
        connection.execute(sqlalchemy.text("DROP TABLE sessions"))
    for attempt in (lambda: accounts.sign_in("alice", PASSWORD, HOME), lambda: accounts.session(token)):
        with pytest.raises(AccountsUnavailable):
            attempt()


# Map keys

def test_bad_keys_are_counted_by_address_in_all_workers_together_for_a_minute(tmp_path, clock):
    one, other = (BadKeys(tmp_path / "bad-keys", b"secret", clock) for _ in range(2))
    for _ in range(MOST_BAD_KEYS // 2):
        assert one.note(HOME) == other.note(HOME) == 0
    clock.wait(seconds=20)
    assert one.note(HOME) == other.note(HOME) == 40
    assert one.note(ELSEWHERE) == 0
    clock.wait(seconds=40)
    assert one.note(HOME) == 0


def test_the_instance_s_secret_is_made_once_and_read_by_nobody_else(tmp_path):
    path = tmp_path / "var" / "instance-secret"
    secret = instance_secret(path)
    assert len(secret) == 32 and instance_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["instance-secret"]


def everything_in(engine) -> str:
    if engine.dialect.name == "sqlite":
        engine.dispose()
        return "".join(path.read_bytes().decode("latin-1") for path in Path(engine.url.database).parent.glob("geoshare.sqlite*"))
    with engine.connect() as connection:
        tables = sqlalchemy.inspect(engine).get_table_names()
        return str([connection.execute(sqlalchemy.text(f"SELECT * FROM {table}")).all() for table in tables])
