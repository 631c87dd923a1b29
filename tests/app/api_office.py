"""The people of a house: one of each role, a member of each of two agencies, and how they ask the API."""

from dataclasses import dataclass
from datetime import timedelta

from argon2 import PasswordHasher
from houses import House

from agreements.lifecycle import Role
from geoserver_app.accounts import Person
from geoserver_app.decision_log import read_segment

PASSWORD = "correct horse battery"

ROLES = ("administrator", "approver", "auditor", "data_manager")
MEMBERS = {"member": "water", "stranger": "police"}
EVERYBODY = ("anonymous", *ROLES, *MEMBERS)
"""`member` is of the agency whose objects the tests ask for, `stranger` of another."""


@dataclass
class Visitor:
    """Somebody at a browser, signed in or not."""

    office: "Office"
    client: object
    csrf: str = ""

    def ask(self, request: str, *, csrf: str | None = None, headers: dict | None = None, **content):
        """`request` is "GET /people"; the token of the forms is sent unless another is given."""
        method, path = request.split(" ", 1)
        token = self.csrf if csrf is None else csrf
        return self.client.open(f"/api/v1{path}", method=method, headers=({"X-CSRF-Token": token} if token else {}) | (headers or {}), **content)


@dataclass
class Office:
    house: House

    def __post_init__(self):
        self.accounts = self.house.services.accounts
        self.accounts._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)      # the real one takes 64 MiB and long
        for agency in MEMBERS.values():
            self.house.agency(agency)
        for name in ROLES:
            self.person(name, name)
        for name, agency in MEMBERS.items():
            self.person(name, "member", agency=agency)

    def person(self, login: str, *roles: str, agency: str = "bureau", **others) -> Person:
        one = Person(login=login, name=login.title(), roles=frozenset(map(Role, roles)), agency=agency, **others)
        return self.accounts.add(one, PASSWORD)

    def visitor(self, login: str = "anonymous") -> Visitor:
        """Signed in with a session of his own, without the detour of the password."""
        visitor = Visitor(self, self.house.client())
        if login != "anonymous":
            token, signed_in = self.accounts.open_session(login)
            visitor.client.set_cookie("geoshare", token, domain="localhost")
            visitor.csrf = signed_in.csrf
        return visitor

    def token(self, login: str, *roles: str) -> dict[str, str]:
        """The header of a script that runs for somebody."""
        expires = self.accounts.clock() + timedelta(days=1)
        roles = [Role(one) for one in roles] or self.accounts.person(login).roles
        return {"Authorization": f"Bearer {self.accounts.issue_token(login, 'test', roles, expires)[1]}"}

    def records(self) -> list[dict]:
        """All that was recorded so far, as one would read it from the files."""
        folder = self.house.services.settings.decisions
        return [event for path in sorted(folder.rglob("*.jsonl")) for event in read_segment(path)]

    def acts(self) -> list[dict]:
        return [one for one in self.records() if one["event"] == "admin.acted"]
