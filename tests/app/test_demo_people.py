"""People of the demo: one of each role, who can sign in with what was printed, once."""

import json
import stat

import pytest
from argon2 import PasswordHasher
from ruamel.yaml import YAML

from agreements.life.lifecycle import Role
from geoserver_app import demo_people
from geoserver_app.people.accounts import Accounts, SignInRefused
from geoserver_app.settings import ROOT


@pytest.fixture
def wanted(monkeypatch) -> list[dict]:
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)                   # the real one takes 64 MiB and long
    monkeypatch.setattr(demo_people, "Accounts", lambda engine, secret: Accounts(engine, secret, hasher=quick))
    return YAML(typ="safe").load((ROOT / "config" / "demo" / "demo.yaml").read_text("utf-8"))["people"]


def test_there_is_one_of_each_role_and_a_member_and_each_can_sign_in(house, wanted):
    house.agency("water")
    services = house.services
    passwords = demo_people.add_demo_people(services.settings, services.database, wanted)
    assert {Role(one["role"]) for one in wanted} == {Role.ADMINISTRATOR, Role.APPROVER, Role.AUDITOR, Role.DATA_MANAGER, Role.MEMBER}
    assert len(set(passwords.values())) == len(wanted) == len(passwords)
    for login, password in passwords.items():
        _, signed_in = services.accounts.sign_in(login, password, "127.0.0.1")
        assert not signed_in.person.must_change
    path = services.settings.data / demo_people.FILE
    assert json.loads(path.read_text("utf-8")) == passwords and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_they_are_added_once_and_nobody_s_password_is_ever_replaced(house, wanted):
    house.agency("water")
    services = house.services
    first = demo_people.add_demo_people(services.settings, services.database, wanted)
    services.accounts.set_password("admin", "quite another password")
    assert demo_people.add_demo_people(services.settings, services.database, wanted) == {}
    with pytest.raises(SignInRefused):
        services.accounts.sign_in("admin", first["admin"], "127.0.0.1")
