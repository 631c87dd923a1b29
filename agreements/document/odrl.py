"""Agreement -> ODRL 2.2 in JSON-LD: for other platforms, and for the archive. Nothing of the agreement is lost.

Words of ODRL and its Common Vocabulary where they say what we mean; where they don't, words of our own profile, each explained in
docs/odrl-profile.md. A grant is one permission with all its terms as constraints, so the reading of ODRL is ours: a permission counts whole or
not at all. The context stands in the document itself: nobody has to fetch anything to read it.

Source: W3C, ODRL Information Model 2.2 and ODRL Vocabulary & Expression 2.2, Recommendations of 15 February 2018.
"""

from urllib.parse import quote

import shapely

from agreements.document.canonical import FORM, canonical_digest
from agreements.document.reading import SHANGHAI
from agreements.document.writing import document_of
from agreements.model import CLASSIFICATIONS, Agreement, Area, Grant, Operation, ResolutionWindow, ScaleWindow, Suspension, Term
from agreements.quota import Limit, Measure, Quota
from agreements.record import Party

PROFILE = "urn:geoshare:odrl"
ODRL = "http://www.w3.org/ns/odrl/2/"

ACTIONS = {
    Operation.GET_MAP: ("geoshare:GetMap", "odrl:display"),
    Operation.GET_TILE: ("geoshare:GetTile", "odrl:display"),
    Operation.GET_FEATURE_INFO: ("geoshare:GetFeatureInfo", "odrl:read"),
    Operation.GET_FEATURE: ("geoshare:GetFeature", "odrl:extract"),
    Operation.GET_COVERAGE: ("geoshare:GetCoverage", "odrl:extract"),
    Operation.DOWNLOAD: ("geoshare:Download", "odrl:reproduce"),
}
"""Our action, and the one of ODRL that it is a kind of."""

METRE, SQUARE_KILOMETRE = "http://qudt.org/vocab/unit/M", "http://qudt.org/vocab/unit/KiloM2"

MEASURES = {
    Measure.REQUESTS: ("count", None), Measure.MEGAPIXELS: ("geoshare:megapixels", None), Measure.FEATURES: ("geoshare:features", None),
    Measure.BYTES: ("geoshare:bytes", "http://qudt.org/vocab/unit/BYTE"), Measure.GROUND: ("geoshare:distinctGround", SQUARE_KILOMETRE),
}


def _terms(*names: str) -> dict[str, str]:
    return {name: f"odrl:{name}" for name in names}


def _links(*names: str) -> dict[str, dict]:
    return {name: {"@id": f"odrl:{name}", "@type": "@id"} for name in names}


def _words(*names: str) -> dict[str, dict]:
    return {name: {"@id": f"odrl:{name}", "@type": "@vocab"} for name in names}


CONTEXT = {
    "@version": 1.1,
    "odrl": ODRL, "geoshare": f"{PROFILE}:", "dct": "http://purl.org/dc/terms/", "geo": "http://www.opengis.net/ont/geosparql#",
    "vcard": "http://www.w3.org/2006/vcard/ns#", "xsd": "http://www.w3.org/2001/XMLSchema#",
    "uid": "@id", "type": "@type", "basis": {"@id": "dct:references", "@container": "@list"},
    **_terms(
        "Agreement", "Permission", "Prohibition", "Duty", "Party", "Asset", "AssetCollection", "Constraint", "Action",
        "permission", "prohibition", "obligation", "duty", "constraint", "refinement", "rightOperand",
        "display", "read", "reproduce", "use", "attribute", "watermark", "distribute", "inform", "delete",
        "dateTime", "spatial", "resolution", "fileFormat", "virtualLocation", "systemDevice", "purpose", "count", "timeInterval",
        "eq", "gteq", "lt", "lteq", "isAnyOf", "isPartOf", "prohibit",
    ),
    **_links("profile", "assigner", "assignee", "target", "source", "unit", "includedIn", "attributedParty"),
    **_words("action", "leftOperand", "operator", "conflict"),
}


def odrl_agreement(agreement: Agreement) -> dict:
    """The JSON-LD document, with its context and the canonical digest."""
    parties = {party.agency: party for party in agreement.record.parties}
    document = document_of(agreement)
    return {
        "@context": CONTEXT,
        "uid": agreement_iri(agreement.agreement_id, agreement.version),
        "type": "Agreement",
        "profile": PROFILE,
        "conflict": "prohibit",
        "dct:identifier": agreement.agreement_id,
        "dct:title": agreement.title,
        "dct:description": agreement.purpose,
        "basis": list(agreement.basis),
        "geoshare:version": agreement.version,
        "geoshare:canonicalForm": FORM,
        "geoshare:canonicalDigest": f"sha256:{canonical_digest(agreement)}",
        "geoshare:term": _moments(agreement.term),
        "geoshare:emergency": agreement.is_emergency,
        "geoshare:contact": agreement.contact,
        **({"geoshare:parent": {"@id": f"urn:geoshare:agreement:{quote(agreement.parent, safe='')}"}} if agreement.parent else {}),
        "assigner": _party(agreement.grantor, parties),
        "assignee": _party(agreement.grantee, parties),
        "permission": [_permission(agreement, grant) for grant in agreement.grants],
        "prohibition": [*_prohibitions(agreement), *(_suspension(agreement, one) for one in agreement.suspensions)],
        "obligation": _obligations(agreement),
        "geoshare:record": {"@type": "@json", "@value": {name: document[name] for name in RECORDED if name in document}},
    }


RECORDED = (
    "parties", "principle", "delivery", "renewal", "contributions", "use", "security", "coordination", "review", "fees", "liability", "breach",
    "attachments",
)
"""Fields of the document that go along as they are, beside the rules that follow from them."""


# Names

def agreement_iri(agreement_id: str, version: int) -> str:
    """
    >>> agreement_iri("AG-2011-001", 1)
    'urn:geoshare:agreement:AG-2011-001:1'
    """
    return f"urn:geoshare:agreement:{quote(agreement_id, safe='')}:{version}"


def agency_iri(agency: str) -> str:
    return f"urn:geoshare:agency:{agency}"


def _rule(agreement: Agreement, name: str) -> str:
    return f"{agreement_iri(agreement.agreement_id, agreement.version)}#{quote(name, safe='')}"


def _party(agency: str, parties: dict[str, Party]) -> dict:
    party = parties.get(agency)
    said = {"uid": agency_iri(agency), "type": "Party"}
    if party is not None and party.legal_name:
        said["vcard:organization-name"] = party.legal_name
    return said


# Permissions

def _permission(agreement: Agreement, grant: Grant) -> dict:
    return {
        "uid": _rule(agreement, grant.clause), "type": "Permission", "geoshare:clause": grant.clause, "assigner": agency_iri(agreement.grantor),
        "assignee": agency_iri(agreement.grantee), "target": _targets(agreement, grant.layers, grant.products),
        "action": [_action(one) for one in sorted(grant.operations)],
        "constraint": [*_constraints(agreement.term, grant), *_quota(agreement)],
        "duty": _duties(agreement),
    }


def _action(operation: Operation) -> dict:
    ours, theirs = ACTIONS[operation]
    return {"@id": ours, "includedIn": theirs}


def _targets(agreement: Agreement, layers: frozenset[str], products: frozenset[str]) -> list[dict]:
    """Layers by name, and for a product the collection of the grantor's layers of that kind."""
    return [
        *({"uid": f"urn:geoshare:layer:{name}", "type": "Asset", "dct:identifier": name} for name in sorted(layers)),
        *({
            "type": "AssetCollection", "source": f"{agency_iri(agreement.grantor)}:layers",
            "refinement": [_constraint("geoshare:product", "eq", product)],
        } for product in sorted(products)),
    ]


def _constraints(term: Term, grant: Grant) -> list[dict]:
    """All terms of the grant; its time lies within the agreement's own."""
    return [
        *_times(Term(start=grant.term.start or term.start, end=grant.term.end or term.end)),
        _area(grant.area),
        *_window("geoshare:scaleDenominator", grant.scale, None), *_window("resolution", grant.resolution, METRE),
        *_least("geoshare:cellSize", grant.degrade),
        *_any_of("fileFormat", grant.formats), *_any_of("geoshare:crs", grant.crs), *_any_of("geoshare:style", grant.styles),
        *_any_of("geoshare:attribute", grant.attributes), *_any_of("geoshare:edition", grant.editions),
        *([] if grant.rows is None else [_constraint("geoshare:rows", "eq", {"@value": grant.rows, "@type": "geoshare:CQL2Text"})]),
        *_any_of("virtualLocation", grant.networks), *_any_of("purpose", grant.purposes, "urn:geoshare:purpose:"),
        *_any_of("systemDevice", grant.apps, "urn:geoshare:app:"),
        *([] if grant.ceiling is None else [_constraint("geoshare:classification", "lteq", f"geoshare:{CLASSIFICATIONS[grant.ceiling]}", is_name=True)]),
    ]


def _constraint(left: str, operator: str, right: object, unit: str | None = None, *, is_name: bool = False, **others) -> dict:
    said = {
        "type": "Constraint", "leftOperand": left, "operator": operator,
        "rightOperand": {"@id": right} if is_name else right, **({"unit": unit} if unit else {}),
    }
    return {**said, **others}


def _moment(moment) -> dict:
    return {"@value": moment.astimezone(SHANGHAI).isoformat(), "@type": "xsd:dateTime"}


def _moments(term: Term) -> dict:
    return {
        **({"geoshare:from": _moment(term.start)} if term.start else {}),
        **({"geoshare:until": _moment(term.end)} if term.end else {}),
    }


def _times(term: Term) -> list[dict]:
    """`[start, end)`."""
    return [
        *([_constraint("dateTime", "gteq", _moment(term.start))] if term.start else []),
        *([_constraint("dateTime", "lt", _moment(term.end))] if term.end else []),
    ]


def _area(area: Area) -> dict:
    """By the digest of its geometry, with the geometry itself in CRS84."""
    return _constraint("spatial", "isPartOf", {
        "@id": f"urn:geoshare:area:sha256:{area.digest}", "type": "geo:Feature", "dct:title": area.title,
        "geoshare:words": area.words, "geo:hasGeometry": {
            "type": "geo:Geometry", "geo:asGeoJSON": {"@value": shapely.to_geojson(area.geometry), "@type": "geo:geoJSONLiteral"},
        },
    })


def _window(left: str, window: ScaleWindow | ResolutionWindow, unit: str | None) -> list[dict]:
    return [
        *([] if window.finest is None else [_constraint(left, "gteq", window.finest, unit)]),
        *([] if window.coarsest is None else [_constraint(left, "lteq", window.coarsest, unit)]),
    ]


def _least(left: str, metres: float | None) -> list[dict]:
    return [] if metres is None else [_constraint(left, "gteq", metres, METRE)]


def _any_of(left: str, values: frozenset[str] | None, prefix: str = "") -> list[dict]:
    """None is any, and no constraint; of nothing, nothing is granted."""
    if values is None:
        return []
    named = sorted(values)
    if not named:
        return [_constraint(left, "isAnyOf", [{"@id": "geoshare:nothing"}])]
    return [_constraint(left, "isAnyOf", [{"@id": f"{prefix}{one}"} if prefix else one for one in named])]


# Quota: one count for all permissions, so each bears the constraint of the same name

def _quota(agreement: Agreement) -> list[dict]:
    quota = agreement.quota or Quota()
    return [
        *([] if quota.rate is None else [_constraint(
            "geoshare:requestsPerSecond", "lteq", quota.rate.per_second, uid=_rule(agreement, "quota-rate"), **{"geoshare:burst": quota.rate.burst},
        )]),
        *(_limit(agreement, limit) for limit in quota.limits),
        *([] if quota.export_km2 is None else [_constraint(
            "geoshare:exportedGround", "lteq", quota.export_km2, SQUARE_KILOMETRE, uid=_rule(agreement, "quota-export"),
        )]),
    ]


def _limit(agreement: Agreement, limit: Limit) -> dict:
    left, unit = MEASURES[limit.measure]
    at = "" if limit.resolution is None else f"-{limit.resolution:g}"
    resolution = {} if limit.resolution is None else {"geoshare:atResolution": limit.resolution}
    name = _rule(agreement, f"quota-{limit.measure.value}-{limit.window.value}{at}")
    return _constraint(left, "lteq", limit.most, unit, uid=name, **{"geoshare:window": f"{limit.window.value}", **resolution})


# Duties, prohibitions, obligations

def _duties(agreement: Agreement) -> list[dict]:
    """What goes along with every use: the credit line of the grantor, and the mark, which the grantor's service writes itself."""
    duties = []
    if agreement.credit:
        duties.append({
            "type": "Duty", "action": "attribute", "attributedParty": agency_iri(agreement.grantor), "geoshare:creditLine": agreement.credit,
        })
    if agreement.mark is not None:
        mark = agreement.mark
        duties.append({
            "type": "Duty", "action": "watermark", "assignee": agency_iri(agreement.grantor), "geoshare:text": mark.text,
            "geoshare:opacity": mark.opacity, "geoshare:place": mark.place,
        })
    return duties


def _prohibitions(agreement: Agreement) -> list[dict]:
    use, rules = agreement.record.use, []
    if not use.third_party:
        rules.append(("onward", {"action": "distribute", **({"geoshare:note": use.onward} if use.onward else {})}))
    if not use.internet:
        rules.append(("internet", {"action": "geoshare:publishOnInternet"}))
    everything = sorted({name for grant in agreement.grants for name in grant.layers}), sorted({p for grant in agreement.grants for p in grant.products})
    return [{
        "uid": _rule(agreement, f"no-{name}"), "type": "Prohibition", "assigner": agency_iri(agreement.grantor),
        "assignee": agency_iri(agreement.grantee), "target": _targets(agreement, *map(frozenset, everything)), **rule,
    } for name, rule in rules]


def _suspension(agreement: Agreement, suspension: Suspension) -> dict:
    """Beats any permission: `conflict` is `prohibit`."""
    layers = suspension.layers
    products = frozenset() if layers is not None else frozenset(p for grant in agreement.grants for p in grant.products)
    if layers is None:
        layers = frozenset(name for grant in agreement.grants for name in grant.layers)
    return {
        "type": "Prohibition", "action": "use", "assigner": agency_iri(agreement.grantor), "assignee": agency_iri(agreement.grantee),
        "target": _targets(agreement, layers, products), "geoshare:reason": suspension.reason, "geoshare:ofAll": suspension.layers is None,
        "constraint": [*_times(Term(start=suspension.since, end=suspension.until)), *([] if suspension.area is None else [_area(suspension.area)])],
    }


def _obligations(agreement: Agreement) -> list[dict]:
    """What the grantee owes: contributions, word of conversions, the destruction of copies at the end."""
    record, owed = agreement.record, []
    for one in record.contributions:
        owed.append({
            "action": "geoshare:contribute", "geoshare:dataset": one.dataset,
            "constraint": [
                *([_constraint("timeInterval", "eq", {"@value": one.cadence, "@type": "xsd:duration"})] if one.cadence else []),
                *([_constraint("dateTime", "lteq", {"@value": one.first_due.isoformat(), "@type": "xsd:date"})] if one.first_due else []),
            ],
        })
    if record.use.conversion_report:
        owed.append({"action": "inform", "geoshare:note": "conversions of the data are reported to the provider"})
    if record.security.destruction_certificate:
        owed.append({"action": "delete", "geoshare:note": "copies are destroyed at the end of the term, and a certificate is given"})
    return [{"type": "Duty", "assigner": agency_iri(agreement.grantor), "assignee": agency_iri(agreement.grantee), **one} for one in owed]
