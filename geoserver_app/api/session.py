"""`/session`: signing in and out, one's own password and tokens."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from agreements.life.lifecycle import Role
from geoserver_app.api.faults import FieldFault, InputFaulty
from geoserver_app.api.operation import ANYBODY, EVERYBODY, Answer, Visit, operation
from geoserver_app.api.reading import Moment, Sent, Told
from geoserver_app.people.accounts import MOST_PASSWORD, AccountInvalid, Person, SignedIn, Token

RoleName = Literal["administrator", "approver", "auditor", "data_manager", "member"]
Password = Annotated[SecretStr, Field(min_length=1, max_length=MOST_PASSWORD)]


class Credentials(Sent):
    login: Annotated[str, Field(min_length=1, max_length=63)]
    password: Password


class PasswordChange(Sent):
    current: Password
    new: Password


class NewToken(Sent):
    label: Annotated[str, Field(min_length=1, max_length=200)]
    roles: Annotated[frozenset[RoleName], Field(min_length=1)]
    expires: Moment


class PersonTold(Told):
    login: str
    name: str
    agency: str
    roles: list[RoleName]
    is_active: bool
    must_change: bool
    created: Moment | None

    @classmethod
    def of(cls, person: Person) -> "PersonTold":
        return cls(
            login=person.login, name=person.name, agency=person.agency, roles=sorted(person.roles), is_active=person.is_active,
            must_change=person.must_change, created=person.created,
        )


class SessionTold(Told):
    """`csrf` goes into the header `X-CSRF-Token` of every change that is asked for with the cookie; it is empty for a token."""

    person: PersonTold
    proof: Literal["session", "token"]
    ends: Moment
    csrf: str

    @classmethod
    def of(cls, signed_in: SignedIn) -> "SessionTold":
        return cls(person=PersonTold.of(signed_in.person), proof=signed_in.proof.value, ends=signed_in.ends, csrf=signed_in.csrf)


class TokenTold(Told):
    token_id: str
    label: str
    roles: list[RoleName]
    issued: Moment
    expires: Moment
    revoked: Moment | None

    @classmethod
    def of(cls, token: Token) -> "TokenTold":
        return cls(**token_fields(token))


class TokenIssued(TokenTold):
    """`secret` is told this once."""

    secret: str


class Tokens(Told):
    items: list[TokenTold]


def token_fields(token: Token) -> dict:
    return {
        "token_id": token.token_id, "label": token.label, "roles": sorted(token.roles), "issued": token.issued, "expires": token.expires,
        "revoked": token.revoked,
    }


@operation(
    "session.open", "POST /session", "登录", "Sign in", roles=ANYBODY, body=Credentials, answer=SessionTold, status=201, refusals=(401, 429),
)
def sign_in(visit: Visit, body: Credentials) -> Answer:
    token, signed_in = visit.services.accounts.sign_in(body.login, body.password.get_secret_value(), visit.address)
    if visit.session_token:
        visit.services.accounts.end_session(visit.session_token)
    return Answer(content=SessionTold.of(signed_in), session=token, object_id=signed_in.person.login)


@operation("session.get", "GET /session", "当前登录人员", "Who is signed in", roles=EVERYBODY, answer=SessionTold, before_password=True)
def get_session(visit: Visit) -> SessionTold:
    return SessionTold.of(visit.signed_in)


@operation("session.close", "DELETE /session", "退出登录", "Sign out", roles=EVERYBODY, status=204, by_session=True, before_password=True)
def sign_out(visit: Visit) -> Answer:
    visit.services.accounts.end_session(visit.session_token)
    return Answer(session="")


@operation(
    "session.password", "PUT /session/password", "修改自己的密码（其他会话随即失效）", "Change one's own password: other sessions end",
    roles=EVERYBODY, body=PasswordChange, answer=SessionTold, by_session=True, before_password=True, refusals=(429,),
)
def change_password(visit: Visit, body: PasswordChange) -> Answer:
    accounts, login = visit.services.accounts, visit.person.login
    accounts.check_password(login, body.current.get_secret_value(), visit.address)
    try:
        accounts.set_password(login, body.new.get_secret_value())
    except AccountInvalid as error:
        raise InputFaulty(FieldFault(pointer="/new", code=error.code, detail=error.detail)) from None
    token, signed_in = accounts.open_session(login)
    return Answer(content=SessionTold.of(signed_in), session=token)


@operation("session.tokens", "GET /session/tokens", "自己的令牌", "One's own tokens", roles=EVERYBODY, answer=Tokens)
def list_tokens(visit: Visit) -> dict:
    return {"items": [TokenTold.of(one) for one in visit.services.accounts.tokens(visit.person.login)]}


@operation(
    "session.tokens.issue", "POST /session/tokens", "为脚本签发令牌（只显示一次）", "Issue a token for scripts; it is shown once",
    roles=EVERYBODY, body=NewToken, answer=TokenIssued, status=201, by_session=True,
)
def issue_token(visit: Visit, body: NewToken) -> Answer:
    roles = [Role(one) for one in body.roles]
    token, secret = visit.services.accounts.issue_token(visit.person.login, body.label, roles, body.expires)
    return Answer(content=TokenIssued(**token_fields(token), secret=secret), object_id=token.token_id)


@operation("session.tokens.revoke", "DELETE /session/tokens/{token_id}", "撤销自己的令牌", "Revoke one's own token", roles=EVERYBODY, status=204)
def revoke_token(visit: Visit, token_id: str) -> None:
    visit.services.accounts.revoke_token(visit.person.login, token_id)
