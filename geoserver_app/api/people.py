"""`/people`: accounts, which administrators see to."""

from typing import Annotated

from pydantic import Field

from agreements.life.lifecycle import Role
from agreements.model import BUREAU
from geoserver_app.api.operation import Answer, Visit, operation
from geoserver_app.api.reading import AgencyId, Page, PageQuery, Sent, paged
from geoserver_app.api.session import Password, PersonTold, RoleName, Tokens, TokenTold
from geoserver_app.people.accounts import Person

ADMINISTRATORS = frozenset({Role.ADMINISTRATOR})
READERS = ADMINISTRATORS | {Role.AUDITOR}

Name = Annotated[str, Field(min_length=1, max_length=200)]
Roles = Annotated[frozenset[RoleName], Field(min_length=1)]


class NewPerson(Sent):
    """`password` holds until the person has chosen another, which is the first thing asked of him."""

    login: Annotated[str, Field(min_length=2, max_length=63)]
    name: Name
    roles: Roles
    agency: AgencyId = BUREAU
    password: Password


class PersonChange(Sent):
    name: Name | None = None
    roles: Roles | None = None
    is_active: bool | None = None


class NewPassword(Sent):
    password: Password


@operation("people.list", "GET /people", "人员列表", "Everybody with an account", roles=READERS, query=PageQuery, answer=Page[PersonTold])
def list_people(visit: Visit, query: PageQuery) -> dict:
    return paged([PersonTold.of(one) for one in visit.services.accounts.people()], query, lambda one: one.login)


@operation("people.add", "POST /people", "新增人员", "Add a person", roles=ADMINISTRATORS, body=NewPerson, answer=PersonTold, status=201)
def add_person(visit: Visit, body: NewPerson) -> Answer:
    person = Person(login=body.login, name=body.name, roles=frozenset(map(Role, body.roles)), agency=body.agency, must_change=True)
    added = visit.services.accounts.add(person, body.password.get_secret_value())
    return Answer(content=PersonTold.of(added), object_id=added.login)


@operation("people.get", "GET /people/{login}", "一位人员", "One person", roles=READERS, answer=PersonTold)
def get_person(visit: Visit, login: str) -> PersonTold:
    return PersonTold.of(visit.services.accounts.person(login))


@operation(
    "people.change", "PATCH /people/{login}", "修改姓名、角色，停用或启用", "Change name or roles, close or reopen", roles=ADMINISTRATORS,
    body=PersonChange, answer=PersonTold, refusals=(409,),
)
def change_person(visit: Visit, login: str, body: PersonChange) -> PersonTold:
    roles = None if body.roles is None else map(Role, body.roles)
    return PersonTold.of(visit.services.accounts.change(login, name=body.name, roles=roles, is_active=body.is_active))


@operation(
    "people.password", "PUT /people/{login}/password", "重设密码（会话与令牌随即失效）", "Set another password: sessions and tokens end",
    roles=ADMINISTRATORS, body=NewPassword, status=204,
)
def set_password(visit: Visit, login: str, body: NewPassword) -> None:
    visit.services.accounts.set_password(login, body.password.get_secret_value(), must_change=True)


@operation("people.tokens", "GET /people/{login}/tokens", "一位人员的令牌", "The tokens of a person", roles=READERS, answer=Tokens)
def list_tokens(visit: Visit, login: str) -> dict:
    visit.services.accounts.person(login)
    return {"items": [TokenTold.of(one) for one in visit.services.accounts.tokens(login)]}


@operation("people.tokens.revoke", "DELETE /people/{login}/tokens/{token_id}", "撤销一位人员的令牌", "Revoke a person's token", roles=ADMINISTRATORS, status=204)
def revoke_token(visit: Visit, login: str, token_id: str) -> None:
    visit.services.accounts.revoke_token(login, token_id)
