"""What an operation of the API is: a value that its function is declared with, and from which route, checks, record and OpenAPI document follow."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel

from agreements.life.lifecycle import Actor, Role
from geoserver_app.api.faults import NothingThere
from geoserver_app.identity import Caller
from geoserver_app.people.accounts import BUREAU_ROLES, PEOPLES_ROLES, Person, SignedIn
from geoserver_app.wiring import Services

JSON = "application/json"
SMALL, LARGE = 64 << 10, 16 << 20
"""Bytes of a body: a few fields; a document with shapes in it."""

ANYBODY = frozenset[Role]()
"""Roles of an operation that takes no signing in: who has no role may do that, and nothing else."""

EVERYBODY, STAFF = PEOPLES_ROLES, BUREAU_ROLES


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A body that is taken as it is, in one of these media types."""

    media_types: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Who asks, when and how: all that an operation knows beside what was sent."""

    services: Services
    signed_in: SignedIn | None
    language: str
    address: str                         # where it comes from; never stored as it is
    at: datetime
    session_token: str = ""
    if_match: str | None = None
    caller: Caller | None = None         # the agency, where it asks by a key: then nobody is signed in

    @property
    def person(self) -> Person:
        return self.signed_in.person

    @property
    def actor(self) -> Actor:
        """The person as the register knows him."""
        return Actor(login=self.person.login, roles=self.person.roles, agency=self.person.agency)

    def check_sees(self, agency_id: str, object_id: str) -> None:
        """Raises NothingThere where the object is of an agency that is not the member's own."""
        if self.person.is_member and agency_id != self.person.agency:
            raise NothingThere(object_id)

    def own_agency(self, asked: str | None) -> str | None:
        """To which agency a list is narrowed: a member's own, whatever was asked; None is all."""
        return self.person.agency if self.person.is_member else asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an operation answers where it is more than the plain content."""

    content: BaseModel | Mapping | list | str | bytes | Iterator[bytes] | None = None
    media_type: str = JSON
    object_id: str | None = None         # for the record, where it is not in the path
    etag: str | None = None
    session: str | None = None           # the token of a new session; "" ends the cookie
    file_name: str | None = None
    status: int | None = None
    policy: str | None = None            # the Content-Security-Policy of a page that holds what others wrote
    noted: Mapping[str, object] = field(default_factory=dict)      # further members of the record: nothing that is secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOperation:
    """One operation. `places` of the path are in braces: `/keys/{key_id}`."""

    name: str                            # "keys.issue": operationId, and the operation in the record
    method: str
    path: str                            # below /api/v1
    summary: tuple[str, str]             # Chinese, English
    roles: frozenset[Role]
    function: Callable
    body: type[BaseModel] | Text | None = None
    query: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    media_types: tuple[str, ...] = (JSON,)
    status: int = 200
    largest: int = SMALL
    by_session: bool = False             # not by a token: it must have been a person
    before_password: bool = False        # also for who must change his password first
    by_key: bool = False                 # also for an agency's own programs, by its key
    refusals: tuple[int, ...] = field(default=())      # statuses beside those that every operation has

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def changes(self) -> bool:
        return self.method != "GET"

    @property
    def tag(self) -> str:
        return self.name.partition(".")[0]


OPERATIONS: dict[str, ApiOperation] = {}
"""Every operation there is, by name."""


def operation(name: str, request: str, chinese: str, english: str, *, roles: frozenset[Role], **options) -> Callable:
    """Declares a function as an operation; `request` is "GET /keys/{key_id}".

    The function is called with the Visit, the places of the path by name, and `body` and `query` where it takes them.
    """
    method, path = request.split(" ")

    def declare(function: Callable) -> Callable:
        if name in OPERATIONS:
            raise ValueError(f"there are two operations `{name}`")
        OPERATIONS[name] = ApiOperation(
            name=name, method=method, path=path, summary=(chinese, english), roles=roles, function=function, **options,
        )
        return function

    return declare
