"""`/keys`: credentials of agencies' programs. A member sees those of his agency and may revoke them; what a key is for is the bureau's to say."""

from typing import Annotated

from pydantic import Field

from agreements.errors import AgencyNotDefined
from agreements.life.lifecycle import Role
from agreements.model import Key
from geoserver_app.api.faults import FieldFault, InputFaulty, NothingThere
from geoserver_app.api.operation import EVERYBODY, Answer, Visit, operation
from geoserver_app.api.people import ADMINISTRATORS
from geoserver_app.api.reading import AgencyId, Moment, Network, Origin, Page, PageQuery, Sent, Told, paged
from geoserver_app.purposes import load_purposes

MOST = 50


class KeyTold(Told):
    """`networks` and `referers` are null where the key counts from anywhere."""

    key_id: str
    agency: str
    label: str
    app: str
    purpose: str
    networks: list[str] | None
    referers: list[str] | None
    origins: list[str]
    expires: Moment | None
    revoked: Moment | None

    @classmethod
    def of(cls, key: Key) -> "KeyTold":
        return cls(**key_fields(key))


class KeyIssued(KeyTold):
    """`secret` is told this once."""

    secret: str


class NewKey(Sent):
    """A key counts from `networks` alone; in an address, for pages of `referers` alone; and scripts of `origins` may read what it is answered."""

    agency: AgencyId
    label: Annotated[str, Field(max_length=200)] = ""
    app: Annotated[str, Field(max_length=100, description="The application it belongs to, as agreements name it.")] = ""
    purpose: Annotated[str, Field(max_length=100, description="A code of the list of purposes.")] = ""
    networks: Annotated[frozenset[Network], Field(min_length=1, max_length=MOST)] | None = None
    referers: Annotated[frozenset[Origin], Field(min_length=1, max_length=MOST)] | None = None
    origins: Annotated[frozenset[Origin], Field(max_length=MOST)] = frozenset()
    expires: Moment | None = None


class KeyQuery(PageQuery):
    agency: AgencyId | None = None


def key_fields(key: Key) -> dict:
    return {
        "key_id": key.key_id, "agency": key.agency_id, "label": key.label, "app": key.app, "purpose": key.purpose,
        "networks": None if key.networks is None else sorted(key.networks), "referers": None if key.referers is None else sorted(key.referers),
        "origins": sorted(key.origins), "expires": key.expires, "revoked": key.revoked,
    }


@operation("keys.list", "GET /keys", "密钥列表（不含密钥本身）", "Every key by its id, never the key itself", roles=EVERYBODY, query=KeyQuery, answer=Page[KeyTold])
def list_keys(visit: Visit, query: KeyQuery) -> dict:
    agency = visit.own_agency(query.agency)
    keys = [key for key in visit.services.register.snapshot().keys.values() if agency in (None, key.agency_id)]
    return paged(sorted((KeyTold.of(key) for key in keys), key=_id), query, _id)


@operation("keys.get", "GET /keys/{key_id}", "一个密钥", "One key", roles=EVERYBODY, answer=KeyTold)
def get_key(visit: Visit, key_id: str) -> KeyTold:
    return KeyTold.of(_key(visit, key_id))


@operation(
    "keys.issue", "POST /keys", "签发密钥（只显示一次）", "Issue a key; it is shown once", roles=ADMINISTRATORS, body=NewKey, answer=KeyIssued, status=201,
)
def issue_key(visit: Visit, body: NewKey) -> Answer:
    _check(visit, body)
    try:
        key, secret = visit.services.register.issue_key(
            body.agency, label=body.label, expires=body.expires, app=body.app, purpose=body.purpose, networks=body.networks,
            referers=body.referers, origins=body.origins, actor=visit.actor,
        )
    except AgencyNotDefined:
        raise InputFaulty(FieldFault(pointer="/agency", code="agency-unknown", detail={"agency": body.agency})) from None
    return Answer(content=KeyIssued(**key_fields(key), secret=secret), object_id=key.key_id)


@operation(
    "keys.revoke", "DELETE /keys/{key_id}", "撤销密钥（两秒内失效）", "Revoke a key: it stops counting within two seconds",
    roles=frozenset({Role.ADMINISTRATOR, Role.MEMBER}), status=204,
)
def revoke_key(visit: Visit, key_id: str) -> None:
    visit.services.register.revoke_key(_key(visit, key_id).key_id, visit.actor)


def _key(visit: Visit, key_id: str) -> Key:
    for key in visit.services.register.snapshot().keys.values():
        if key.key_id == key_id:
            visit.check_sees(key.agency_id, key_id)
            return key
    raise NothingThere(key_id)


def _id(key: KeyTold) -> str:
    return key.key_id


def _check(visit: Visit, body: NewKey) -> None:
    faults = []
    codes = load_purposes(visit.services.settings.config)
    if body.purpose and body.purpose not in codes:
        faults.append(FieldFault(pointer="/purpose", code="field-choice", detail={"choices": ", ".join(codes)}))
    if body.expires is not None and body.expires <= visit.at:
        faults.append(FieldFault(pointer="/expires", code="field-past"))
    if faults:
        raise InputFaulty(*faults)
