"""The people of a house: one of each role, a member of each of two agencies, and how they ask the API."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from argon2 import PasswordHasher
from houses import House

from agreements.life.lifecycle import Role
from geoserver_app.decision_log import read_segment
from geoserver_app.people.accounts import Person

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
        headers = ({"X-CSRF-Token": token} if token else {}) | (headers or {})
        return self.client.open(f"/api/v1{path}", method=method, headers=headers, buffered=True, **content)


@dataclass
class Office:
    house: House

    def __post_init__(self):
        self._made: dict = {}
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

    def next(self) -> int:
        """Another number each time."""
        self._number = getattr(self, "_number", 0) + 1
        return self._number

    def document(self, agreement: str = "", version: int = 1, **changes) -> dict:
        """An agreement of the bureau with water, as a document; a new id unless one is given."""
        self.numbered = getattr(self, "numbered", 0) + 1
        return {
            "agreement": agreement or f"AG-API-{self.numbered:03}", "version": version, "title": "共享协议",
            "parties": {"grantor": "bureau", "grantee": "water"}, "term": {"from": "2020-01-01"}, "contact": "data@bureau.test",
            "grants": [{"clause": "3.1", "layers": ["dom"], "operations": ["GetMap"], "area": {"geojson": SQUARE}}],
        } | changes

    def drafted(self, **changes) -> dict:
        """Places of a version that is a draft."""
        sent = self.document(**changes)
        answer = self.visitor("data_manager").ask("POST /agreements", json=sent)
        assert answer.status_code == 201, answer.text
        return {"agreement": sent["agreement"], "version": str(sent["version"])}

    def moved(self, places: dict, *moves: tuple[str, str]) -> dict:
        """The places of the version once each of (login, action) has moved it."""
        for login, action in moves:
            answer = self.visitor(login).ask(f"POST /agreements/{places['agreement']}/versions/{places['version']}/moves", json=self.move(places, action))
            assert answer.status_code == 200, answer.text
        return places

    def move(self, places: dict, action: str) -> dict:
        body = {"action": action.partition(" ")[0], "comment": "because"}
        if action.startswith("sign "):
            digest = self.house.services.register.document_hash(places["agreement"], int(places["version"]))
            body["signature"] = {"party": action.partition(" ")[2], "signatory": "Somebody", "date": "2026-03-01", "document": digest}
        return body

    def once(self, make: Callable[["Office"], dict]) -> dict:
        """What `make` makes, made the first time alone."""
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]

    def approved(self) -> dict:
        return self.moved(self.drafted(), *TO_APPROVAL)

    def active(self, **changes) -> dict:
        return self.moved(self.drafted(**changes), *TO_APPROVAL, *TO_FORCE)


SQUARE = {"type": "Polygon", "coordinates": [[[118.70, 32.00], [118.80, 32.00], [118.80, 32.10], [118.70, 32.10], [118.70, 32.00]]]}

TO_APPROVAL = (("data_manager", "submit"), ("approver", "conformity-check"), ("approver", "approve"))
TO_FORCE = (("administrator", "sign bureau"), ("member", "sign water"), ("administrator", "activate"))
