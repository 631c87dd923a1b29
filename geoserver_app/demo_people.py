"""People to try the demo's console with: one of each role, and a member of an agency. Their passwords lie in clear beside the demo's data: never on
a real instance."""

import json
import os
import secrets
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from agreements.life.lifecycle import Role
from geoserver_app.people.accounts import Accounts, Person
from geoserver_app.people.guessing import instance_secret
from geoserver_app.settings import Settings

FILE = "demo-people.json"
GROUPS, LETTERS = 4, "abcdefghjkmnpqrstuvwxyz23456789"
"""A password is four groups of five characters that can't be mistaken for one another: 99 bits."""


def add_demo_people(settings: Settings, database: sa.Engine, wanted: Sequence[Mapping]) -> dict[str, str]:
    """Adds those of `wanted` who are not there yet; the passwords of those alone, by login."""
    accounts = Accounts(database, instance_secret(settings.data / "instance-secret"))
    known, kept, added = {person.login for person in accounts.people()}, _kept(settings), {}
    for one in wanted:
        if one["login"] in known:
            continue
        password = kept.setdefault(one["login"], _password())
        _keep(settings, kept)                              # before it counts: nobody is left with a password that nobody has
        accounts.add(Person(login=one["login"], name=one["name"], roles=frozenset({Role(one["role"])}), agency=one["agency"]), password)
        added[one["login"]] = password
    return added


def _password() -> str:
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(GROUPS))


def _kept(settings: Settings) -> dict[str, str]:
    path = settings.data / FILE
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def _keep(settings: Settings, passwords: Mapping[str, str]) -> None:
    path = settings.data / FILE
    descriptor = os.open(path.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        json.dump(passwords, out, ensure_ascii=False, indent=1)
    path.with_suffix(".new").replace(path)
