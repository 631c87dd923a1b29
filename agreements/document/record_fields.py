"""How the record of an agreement is read: parties, what is given back, limits of use, security, coordination, review. One row a field."""

from agreements.document import marked, words
from agreements.document.marked import Node
from agreements.document.reading import Field, Reading, built, day, duration, fields, join, listed, mapping_lines, text, whole, word, yes_or_no
from agreements.record import (
    Attachment,
    Channel,
    Contact,
    Contractor,
    Contribution,
    Coordination,
    OnOverdue,
    Party,
    Record,
    Renewal,
    RenewalMode,
    Review,
    Role,
    Security,
    UnitScope,
    UseLimits,
)

CONTACT = {"name": Field(text, is_required=True), "duty": Field(text), "phone": Field(text), "email": Field(words.email)}

PARTY = {
    "agency": Field(words.agency, is_required=True),
    "role": Field(word(Role, "a role", {"提供方": "provider", "使用方": "user", "管理方": "manager"})),
    "legal_name": Field(text),
    "legal_person": Field(text),
    "contacts": Field(listed(built(Contact, CONTACT))),
    "signed": Field(day),
}


def _party(reading: Reading, node: Node, path: str) -> dict | None:
    said = fields(reading, node, path, PARTY)
    return said if whole(said, PARTY) else None


PARTIES = {
    "grantor": Field(words.agency, is_required=True),
    "grantee": Field(words.agency, is_required=True),
    "details": Field(listed(_party)),
}


def parties(reading: Reading, node: Node, path: str) -> dict | None:
    """`grantor`, `grantee`, and `details` as a tuple of Party: the grantor provides and the grantee uses unless a role is said."""
    said = fields(reading, node, path, PARTIES)
    if said is None:
        return None
    if said.get("grantor") == said.get("grantee") is not None:
        reading.fault(node.lines["grantee"], f"{path}.grantee", "is the grantor itself: an agency needs no agreement on its own layers")
    roles = {said.get("grantor"): Role.PROVIDER, said.get("grantee"): Role.USER}
    found: dict[str, Party] = {}
    details = said.pop("details", ())
    for place, one, detail in zip(*_places(node, path, details), details, strict=True) if details else ():
        agency = detail["agency"]
        if agency in found:
            reading.fault(one.lines["agency"], f"{place}.agency", f"`{agency}` is described twice: keep one")
        elif "role" not in detail and agency not in roles:
            reading.fault(one.line, f"{place}.role", "missing: say provider, user or manager, since it is neither grantor nor grantee")
        else:
            found[agency] = Party(**{"role": roles.get(agency, Role.MANAGER), **detail})
    return {**said, "details": tuple(found.values())}


def _places(node: marked.Mapping, path: str, details: tuple) -> tuple[tuple[str, ...], tuple[marked.Mapping, ...]]:
    places, nodes = zip(*mapping_lines(node.entries["details"], join(path, "details"), details), strict=True)
    return places, nodes


RENEWAL = {
    "mode": Field(word(RenewalMode, "a way to renew", {"自动": "auto", "评审": "review", "不续": "none"})),
    "period": Field(duration),
    "notice_days": Field(words.days),
}

CONTRIBUTION = {
    "dataset": Field(text, is_required=True),
    "cadence": Field(duration),
    "first_due": Field(day),
    "grace_days": Field(words.days),
    "channel": Field(word(Channel, "a channel", {"接口": "api", "上传": "upload", "离线": "offline", "镜像": "mirror"})),
    "format": Field(text),
    "spec": Field(text),
    "geometry": Field(text),
    "join_key": Field(text),
    "no_change_statement": Field(yes_or_no),
    "on_overdue": Field(word(OnOverdue, "what can follow when it is late")),
    "free": Field(yes_or_no),
    "note": Field(text),
}

CONTRACTOR = {"name": Field(text, is_required=True), "undertaking": Field(text), "destroy_by": Field(day)}

USE = {
    "purposes": Field(listed(words.purpose)),
    "unit_scope": Field(word(UnitScope, "a scope of units", {"本单位": "unit", "指名": "named"})),
    "sub_units": Field(listed(text)),
    "third_party": Field(yes_or_no),
    "contractors": Field(listed(built(Contractor, CONTRACTOR))),
    "internet": Field(yes_or_no),
    "onward": Field(text),
    "derived": Field(text),
    "conversion_report": Field(yes_or_no),
    "device_serials": Field(listed(text)),
}


def use(reading: Reading, node: Node, path: str) -> UseLimits | None:
    said = fields(reading, node, path, USE)
    if said is None:
        return None
    if said.get("sub_units") and said.get("unit_scope") is not UnitScope.NAMED:
        reading.fault(node.lines["sub_units"], f"{path}.sub_units", "units are named, but `unit_scope` is the unit itself: write `unit_scope: named`")
        return None
    if said.get("contractors") and not said.get("third_party"):
        reading.fault(node.lines["contractors"], f"{path}.contractors", "contractors are named, but no third party may use it: write `third_party: true`")
        return None
    return UseLimits(**said)


SECURITY = {
    "classification": Field(words.classification),
    "network": Field(text),
    "undertaking": Field(text),
    "incident_contact": Field(text),
    "destruction_certificate": Field(yes_or_no),
}

COORDINATION = {
    "group": Field(text),
    "leads": Field(listed(text)),
    "members": Field(listed(text)),
    "meeting": Field(duration),
    "dispute": Field(listed(text)),
}

REVIEW = {"month": Field(words.month), "indicators": Field(listed(words.indicator))}

ATTACHMENT = {"name": Field(text, is_required=True), "sha256": Field(words.sha256, is_required=True)}

RECORD = {
    "principle": Field(text),
    "delivery": Field(listed(text)),
    "renewal": Field(built(Renewal, RENEWAL)),
    "contributions": Field(listed(built(Contribution, CONTRIBUTION), may_be_empty=True)),
    "use": Field(use),
    "security": Field(built(Security, SECURITY)),
    "coordination": Field(built(Coordination, COORDINATION)),
    "review": Field(built(Review, REVIEW)),
    "fees": Field(listed(text)),
    "liability": Field(text),
    "breach": Field(text),
    "attachments": Field(listed(built(Attachment, ATTACHMENT))),
}
"""Fields of the agreement that no decision depends on: each is the field of that name of `Record`."""


def record_of(said: dict, parties: tuple[Party, ...]) -> Record:
    """The record, of what RECORD has read."""
    return Record(parties=parties, **{name: said[name] for name in RECORD if name in said})
