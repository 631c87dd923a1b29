"""Agreement -> document: reading it gives an equal agreement, but for its state, which the register keeps."""

import io
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from ruamel.yaml import YAML

from agreements.areas import EVERYWHERE_DIGEST
from agreements.document.reading import SHANGHAI
from agreements.model import CLASSIFICATIONS, Agreement, Area, Grant, Mark, Suspension, Term
from agreements.quota import Limit, Measure, Quota
from agreements.record import Record


def write_document(agreement: Agreement) -> str:
    """YAML, with nothing in it that says the default."""
    yaml = YAML()
    yaml.width, yaml.allow_unicode = 120, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(document_of(agreement), stream)
    return stream.getvalue()


def document_of(agreement: Agreement) -> dict:
    """The document as plain values: what `agreement.schema.json` describes."""
    record = _record(agreement.record)
    parties = {"grantor": agreement.grantor, "grantee": agreement.grantee, **({"details": record.pop("parties")} if "parties" in record else {})}
    return _without_empty({
        "agreement": agreement.agreement_id, "version": agreement.version, "title": agreement.title, "parent": agreement.parent,
        "parties": parties, "term": _term(agreement.term), "emergency": agreement.is_emergency, "contact": agreement.contact,
        "purpose": agreement.purpose, "credit": agreement.credit, "basis": list(agreement.basis),
        "grants": [_grant(grant) for grant in agreement.grants], "quota": agreement.quota and _quota(agreement.quota),
        "mark": agreement.mark and _mark(agreement.mark), **record, "suspensions": [_suspension(one) for one in agreement.suspensions],
    })


def _grant(grant: Grant) -> dict:
    return _without_empty({
        "clause": grant.clause, "layers": sorted(grant.layers), "products": sorted(grant.products), "editions": _set(grant.editions),
        "operations": sorted(str(one) for one in grant.operations), "area": _area(grant.area), "scale": _window(grant.scale),
        "resolution": _window(grant.resolution), "degrade": _number(grant.degrade), "term": _term(grant.term),
        **{name: _set(getattr(grant, name)) for name in ("formats", "crs", "styles")}, "rows": grant.rows,
        **{name: _set(getattr(grant, name)) for name in ("networks", "purposes", "apps")},
        "ceiling": None if grant.ceiling is None else CLASSIFICATIONS[grant.ceiling],
        "attributes": "all" if grant.attributes is None else sorted(grant.attributes),
    })


def _set(values: frozenset[str] | None) -> list[str] | None:
    return None if values is None else sorted(values)


def _window(window) -> dict:
    return {name: _number(value) for name in ("finest", "coarsest") if (value := getattr(window, name)) is not None}


def _quota(quota: Quota) -> dict:
    by_measure: dict[str, dict] = {}
    for limit in quota.limits:
        if limit.measure is not Measure.GROUND:
            by_measure.setdefault(limit.measure.value, {})[limit.window.value] = _number(limit.most)
    return _without_empty({
        "rate": quota.rate and {"per_second": _number(quota.rate.per_second), "burst": quota.rate.burst}, **by_measure,
        "km2": [_ground(limit) for limit in quota.limits if limit.measure is Measure.GROUND], "export_km2": _number(quota.export_km2),
    })


def _ground(limit: Limit) -> dict:
    return _without_empty({"most": _number(limit.most), "window": limit.window.value, "resolution": _number(limit.resolution)})


def _mark(mark: Mark) -> dict:
    return {"text": mark.text, "opacity": _number(mark.opacity), "place": mark.place}


def _suspension(suspension: Suspension) -> dict:
    return _without_empty({
        "reason": suspension.reason, "since": _beginning(suspension.since), "until": suspension.until and _end(suspension.until),
        "layers": sorted(suspension.layers or ()), "area": suspension.area and _area(suspension.area),
    })


def _area(area: Area) -> dict | list:
    """The words it was named by; where it has none, its shape."""
    if area.words:
        return json.loads(area.words)
    return {"everywhere": True} if area.digest == EVERYWHERE_DIGEST else {"geojson": area.geometry.__geo_interface__}


def _record(record: Record) -> dict:
    said = _plain(record)
    if "security" in said and "classification" in said["security"]:
        said["security"]["classification"] = CLASSIFICATIONS[said["security"]["classification"]]
    return said


def _plain(value: object) -> object:
    """Values of the record as they stand in a document: a field that says its default is left out."""
    if is_dataclass(value):
        said = {one: getattr(value, one.name) for one in fields(value)}
        return {one.name: _plain(held) for one, held in said.items() if one.default is MISSING or held != one.default}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, StrEnum):
        return value.value
    return value.isoformat() if isinstance(value, date) else value


# Time and numbers

def _term(term: Term) -> dict:
    return {
        **({"from": _beginning(term.start)} if term.start else {}),
        **({"until": _end(term.end)} if term.end else {}),
    }


def _beginning(moment: datetime) -> str:
    local = moment.astimezone(SHANGHAI)
    return local.date().isoformat() if local.time() == time() else _moment(local)


def _end(moment: datetime) -> str:
    local = moment.astimezone(SHANGHAI)
    return (local.date() - timedelta(days=1)).isoformat() if local.time() == time() else _moment(local)


def _moment(local: datetime) -> str:
    return local.replace(tzinfo=None).isoformat()


def _number(value: float | None) -> float | int | None:
    return int(value) if value is not None and value == int(value) else value


def _without_empty(said: Mapping) -> dict:
    return {name: value for name, value in said.items() if value is not False and value not in ("", None, [], {}, ())}
