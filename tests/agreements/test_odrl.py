"""Agreements as ODRL 2.2: valid by its information model, readable without a network, and nothing lost."""

import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from pyld import jsonld
from rich_agreement import RICH
from small_world import SHANGHAI, SmallGazetteer, agreement, grant
from test_agreement_document import any_agreements

from agreements.areas import digest_of
from agreements.document import read_document
from agreements.document.canonical import canonical_digest, canonical_form
from agreements.document.odrl import ACTIONS, CONTEXT, MEASURES, ODRL, PROFILE, RECORDED, odrl_agreement
from agreements.document.record_fields import RECORD
from agreements.model import CLASSIFICATIONS, GRANTABLE, Area, Grant, Mark, ResolutionWindow, ScaleWindow, Suspension, Term
from agreements.quota import Limit, Measure, Quota, Rate, Window
from agreements.record import UseLimits

PAGE = Path(__file__).parents[2] / "docs" / "odrl-profile.md"

OPERATORS = {f"{ODRL}{name}" for name in (
    "eq", "gt", "gteq", "lt", "lteq", "neq", "isA", "hasPart", "isPartOf", "isAllOf", "isAnyOf", "isNoneOf",
)}
"""Of the ODRL core vocabulary."""

OPERANDS = {f"{ODRL}{name}" for name in (
    "absolutePosition", "count", "dateTime", "delayPeriod", "elapsedTime", "event", "fileFormat", "industry", "language", "media", "meteredTime", "payAmount",
    "purpose", "recipient", "resolution", "spatial", "systemDevice", "timeInterval", "unitOfCount", "version", "virtualLocation",
)}
"""Left operands of the ODRL common vocabulary, those that could be of use here."""


def offline(url, _options):
    pytest.fail(f"`{url}` would be fetched")


def expanded(held):
    (one,) = jsonld.expand(odrl_agreement(held), {"documentLoader": offline})
    return one


def odrl(node, name):
    return node.get(f"{ODRL}{name}", [])


def own(node, name):
    return node.get(f"{PROFILE}:{name}", [])


# The information model

def test_an_agreement_is_one_policy_with_two_parties_and_rules():
    policy = expanded(RICH)
    assert policy["@type"] == [f"{ODRL}Agreement"]
    assert policy["@id"].startswith("urn:geoshare:agreement:")
    assert [one["@id"] for name in ("assigner", "assignee", "profile") for one in odrl(policy, name)] == [
        "urn:geoshare:agency:bureau", "urn:geoshare:agency:water", PROFILE,
    ]
    assert len(odrl(policy, "permission")) == 2
    assert own(policy, "canonicalDigest") == [{"@value": f"sha256:{canonical_digest(RICH)}"}]


def test_every_rule_has_an_action_and_every_permission_and_prohibition_a_target():
    policy = expanded(RICH)
    for kind in ("permission", "prohibition", "obligation"):
        for rule in odrl(policy, kind):
            assert odrl(rule, "action")
            assert kind == "obligation" or odrl(rule, "target")


def test_every_constraint_has_two_operands_and_an_operator_of_the_vocabulary():
    constraints = list(_constraints(expanded(RICH)))
    assert len(constraints) > 30
    for one in constraints:
        (left,), (operator,) = odrl(one, "leftOperand"), odrl(one, "operator")
        assert left["@id"] in OPERANDS or left["@id"].startswith(f"{PROFILE}:")
        assert operator["@id"] in OPERATORS
        assert odrl(one, "rightOperand")


def _constraints(node):
    if isinstance(node, list):
        for one in node:
            yield from _constraints(one)
    elif isinstance(node, dict) and node.get("@type") != "@json":
        if f"{ODRL}leftOperand" in node:
            yield node
        for value in node.values():
            yield from _constraints(value)


def test_no_word_is_lost_or_relative_when_it_is_expanded():
    """A key without a meaning in the context is dropped by readers of JSON-LD, in silence."""
    for node in _nodes(odrl_agreement(RICH)):
        for key in node:
            prefix, colon, _ = key.partition(":")
            assert key.startswith("@") or key in CONTEXT or (colon and prefix in CONTEXT), key
    for iri in re.findall(r'"@id": "([^"]*)"', json.dumps(expanded(RICH))):
        assert re.match(r"[a-z]+:", iri), iri


def _nodes(value):
    if isinstance(value, list):
        for one in value:
            yield from _nodes(one)
    elif isinstance(value, dict) and value.get("@type") != "@json":
        yield {key: one for key, one in value.items() if key != "@context"}
        for key, one in value.items():
            if key not in ("@context",):
                yield from _nodes(one)


def test_it_can_be_said_in_rdf():
    quads = jsonld.to_rdf(odrl_agreement(RICH), {"format": "application/n-quads", "documentLoader": offline})
    assert f"<{PROFILE}:canonicalDigest>" in quads and "_:b0" in quads


# Nothing lost: the agreement made anew from its rules has the same canonical form

@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(any_agreements)
def test_the_rules_say_all_that_the_agreement_says(held):
    policy = json.loads(json.dumps(odrl_agreement(held), ensure_ascii=False))
    assert canonical_form(agreement_of(policy)) == canonical_form(with_whole_terms(held))


def with_whole_terms(held):
    """A permission bears the term that holds for it: its own, and beyond that the agreement's."""
    return replace(held, grants=tuple(
        replace(one, term=Term(start=one.term.start or held.term.start, end=one.term.end or held.term.end)) for one in held.grants
    ))


def agreement_of(policy):
    record = policy["geoshare:record"]["@value"]
    shell = {
        "agreement": policy["dct:identifier"], "version": policy["geoshare:version"], "title": policy["dct:title"], "contact": policy["geoshare:contact"],
        "term": {"from": "2026-01-01"}, "grants": {"clause": "1", "layers": "dom", "operations": "GetMap", "area": "everywhere"}, **record,
    }
    held = read_document(json.dumps(shell), "shell", SmallGazetteer())
    first = policy["permission"][0]
    duties = {one["action"]: one for one in first["duty"]}
    mark = duties.get("watermark")
    return replace(
        held, grantor=agency_of(policy["assigner"]["uid"]), grantee=agency_of(policy["assignee"]["uid"]), purpose=policy["dct:description"],
        basis=tuple(policy["basis"]), is_emergency=policy["geoshare:emergency"], term=term_of(policy["geoshare:term"]),
        parent=unquote(policy["geoshare:parent"]["@id"].removeprefix("urn:geoshare:agreement:")) if "geoshare:parent" in policy else None,
        credit=duties["attribute"]["geoshare:creditLine"] if "attribute" in duties else "",
        mark=mark and Mark(text=mark["geoshare:text"], opacity=mark["geoshare:opacity"], place=mark["geoshare:place"]),
        quota=quota_of(first["constraint"]), grants=tuple(grant_of(one) for one in policy["permission"]),
        suspensions=tuple(suspension_of(one) for one in policy["prohibition"] if "geoshare:reason" in one),
    )


def agency_of(iri):
    return iri.removeprefix("urn:geoshare:agency:")


def term_of(said):
    return Term(**{name: moment_of(said[f"geoshare:{key}"]) for name, key in (("start", "from"), ("end", "until")) if f"geoshare:{key}" in said})


def moment_of(literal):
    assert literal["@type"] == "xsd:dateTime"
    return datetime.fromisoformat(literal["@value"]).astimezone(SHANGHAI)


def grant_of(permission):
    said = {(one["leftOperand"], one["operator"]): one["rightOperand"] for one in permission["constraint"]}

    def values(left, prefix=""):
        if (left, "isAnyOf") not in said:
            return None
        named = (one["@id"] if isinstance(one, dict) else one for one in said[left, "isAnyOf"])
        return frozenset(one.removeprefix(prefix) for one in named if one != "geoshare:nothing")

    ceiling = said.get(("geoshare:classification", "lteq"))
    return Grant(
        clause=permission["geoshare:clause"], operations=frozenset(operation_of(one) for one in permission["action"]),
        area=area_of_rule(said["spatial", "isPartOf"]), **targets_of(permission["target"]),
        term=Term(
            start=moment_of(said["dateTime", "gteq"]) if ("dateTime", "gteq") in said else None,
            end=moment_of(said["dateTime", "lt"]) if ("dateTime", "lt") in said else None,
        ),
        scale=ScaleWindow(finest=said.get(("geoshare:scaleDenominator", "gteq")), coarsest=said.get(("geoshare:scaleDenominator", "lteq"))),
        resolution=ResolutionWindow(finest=said.get(("resolution", "gteq")), coarsest=said.get(("resolution", "lteq"))),
        degrade=said.get(("geoshare:cellSize", "gteq")), formats=values("fileFormat"), crs=values("geoshare:crs"), styles=values("geoshare:style"),
        attributes=values("geoshare:attribute"), editions=values("geoshare:edition"), networks=values("virtualLocation"),
        purposes=values("purpose", "urn:geoshare:purpose:"), apps=values("systemDevice", "urn:geoshare:app:"),
        rows=said["geoshare:rows", "eq"]["@value"] if ("geoshare:rows", "eq") in said else None,
        ceiling=None if ceiling is None else CLASSIFICATIONS.index(ceiling["@id"].removeprefix("geoshare:")),
    )


def operation_of(action):
    (operation,) = (one for one, names in ACTIONS.items() if names == (action["@id"], action["includedIn"]))
    return operation


def targets_of(targets):
    return {
        "layers": frozenset(one["dct:identifier"] for one in targets if one["type"] == "Asset"),
        "products": frozenset(one["refinement"][0]["rightOperand"] for one in targets if one["type"] == "AssetCollection"),
    }


def area_of_rule(said):
    geometry = shapely.from_geojson(said["geo:hasGeometry"]["geo:asGeoJSON"]["@value"])
    assert said["@id"] == f"urn:geoshare:area:sha256:{digest_of(geometry)}"
    return Area(geometry=geometry, digest=digest_of(geometry), title=said["dct:title"], words=said["geoshare:words"])


def quota_of(constraints):
    measures = {left: measure for measure, (left, _) in MEASURES.items()}
    rate, export = None, None
    limits = []
    for one in constraints:
        if one["leftOperand"] == "geoshare:requestsPerSecond":
            rate = Rate(per_second=one["rightOperand"], burst=one["geoshare:burst"])
        elif one["leftOperand"] == "geoshare:exportedGround":
            export = one["rightOperand"]
        elif one["leftOperand"] in measures:
            limits.append(Limit(
                measure=measures[one["leftOperand"]], window=Window(one["geoshare:window"]), most=one["rightOperand"],
                resolution=one.get("geoshare:atResolution"),
            ))
    return Quota(rate=rate, limits=tuple(limits), export_km2=export) if rate or limits or export else None


def suspension_of(prohibition):
    said = {(one["leftOperand"], one["operator"]): one["rightOperand"] for one in prohibition["constraint"]}
    return Suspension(
        reason=prohibition["geoshare:reason"], since=moment_of(said["dateTime", "gteq"]),
        until=moment_of(said["dateTime", "lt"]) if ("dateTime", "lt") in said else None,
        layers=None if prohibition["geoshare:ofAll"] else targets_of(prohibition["target"])["layers"],
        area=area_of_rule(said["spatial", "isPartOf"]) if ("spatial", "isPartOf") in said else None,
    )


# Duties and prohibitions follow the limits of use

def test_what_may_not_be_passed_on_is_prohibited():
    kinds = {rule["action"] for rule in odrl_agreement(agreement(grant()))["prohibition"]}
    assert kinds == {"distribute", "geoshare:publishOnInternet"}
    assert not any("geoshare:reason" not in rule for rule in odrl_agreement(RICH)["prohibition"])     # it may be, there


def test_what_is_owed_is_an_obligation_of_the_grantee():
    owed = odrl_agreement(RICH)["obligation"]
    assert [(one["action"], one["assignee"]) for one in owed] == [
        ("geoshare:contribute", "urn:geoshare:agency:water"), ("delete", "urn:geoshare:agency:water"),
    ]


def test_every_operation_and_measure_has_its_word():
    assert set(ACTIONS) == GRANTABLE
    assert set(MEASURES) == set(Measure)
    assert set(RECORDED) == {*RECORD, "parties"}


def test_the_page_of_the_profile_explains_every_word_of_ours():
    words = set(re.findall(r"`geoshare:([\w-]+)`", PAGE.read_text("utf-8")))
    quota = Quota(rate=Rate(per_second=1.0), export_km2=1.0, limits=tuple(
        Limit(measure=one, window=Window.DAY, most=1.0, resolution=1.0) for one in Measure
    ))
    ours = odrl_agreement(replace(RICH, quota=quota, record=replace(RICH.record, use=UseLimits(onward="无")), grants=tuple(
        replace(RICH.grants[0], clause=f"{level}", operations=GRANTABLE, formats=frozenset(), ceiling=level) for level in range(len(CLASSIFICATIONS))
    )))
    text = json.dumps({key: value for key, value in ours.items() if key != "@context"})
    assert set(re.findall(r'"geoshare:([\w-]+)"', text)) == words
