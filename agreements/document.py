"""Agreement documents: YAML <-> Agreement, every fault told at once with its line and field.

docs/agreement-document.md shows the form. Tables below say which fields a mapping has and how each is read: a new field is one row.
"""

import difflib
import io
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ruamel.yaml import YAML

from agreements import marked
from agreements.areas import EVERYWHERE_DIGEST, PARTS, WORDS, area_of
from agreements.errors import AreaInvalid, DocumentInvalid, Fault
from agreements.marked import Node, Scalar
from agreements.model import FOLLOWS_FROM, GRANTABLE, Agreement, Area, Gazetteer, Grant, Operation, ScaleWindow, Suspension, Term

SHANGHAI = ZoneInfo("Asia/Shanghai")

FORMATS = {
    "png": "image/png", "jpeg": "image/jpeg", "jpg": "image/jpeg", "webp": "image/webp",
    "json": "application/json", "geojson": "application/geo+json", "html": "text/html", "text": "text/plain",
    "gml": "application/vnd.ogc.gml",
}
"""Short names of media types: pictures, and answers to GetFeatureInfo."""

AGENCY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
LAYER = re.compile(r"[a-z][a-z0-9_-]{0,62}(@[0-9A-Za-z][0-9A-Za-z._-]{0,30})?")
STYLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,80}")
CRS = re.compile(r"(?:EPSG:)?(\d{4,6})|(?:OGC:|CRS:)(?:CRS)?84", re.IGNORECASE)
ATTRIBUTE = re.compile(r"[^\s.,;*]{1,63}(\.[^\s.,;*]{1,63})?")
IDENTIFIER = re.compile(r"\S(?:.{0,98}\S)?")
DAY = re.compile(r"(\d{4})(?:-|年)(\d{1,2})(?:-|月)(\d{1,2})日?")
MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)\s*(Z|[+-]\d{2}:\d{2})?")
LONGEST_TEXT = 4000
MOST_FAULTS = 200


def read_document(text: str, name: str, gazetteer: Gazetteer) -> Agreement:
    """The agreement that a document says.

    Parameters
    ----------
    text : str
        YAML, at most 4 MiB.
    name : str
        What the document is called in a message; no path.
    gazetteer : Gazetteer
        Turns divisions, sheets and drawn shapes into geometries, which stay as they are from now on.

    Raises
    ------
    DocumentInvalid
        With every fault, in the order of lines.
    """
    reading = _Reading(gazetteer)
    node = marked.parse(text, reading.fault)
    agreement = _agreement(reading, node) if node is not None else None
    if reading.faults:
        raise DocumentInvalid(name, tuple(sorted(reading.faults, key=lambda fault: fault.line or 0)))
    return agreement


class _Reading:
    """One pass over one document: collects faults, and remembers areas that are named twice."""

    def __init__(self, gazetteer: Gazetteer):
        self.gazetteer, self.faults = gazetteer, []
        self._areas: dict[str, Area | AreaInvalid] = {}

    def fault(self, line: int | None, field: str, message: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(line, field, message))

    def area(self, spec: dict | list) -> Area:
        words = json.dumps(spec, sort_keys=True)
        if words not in self._areas:
            try:
                self._areas[words] = area_of(spec, self.gazetteer)
            except AreaInvalid as error:
                self._areas[words] = error
        found = self._areas[words]
        if isinstance(found, AreaInvalid):
            raise found
        return found


# Mappings

Reader = Callable[[_Reading, Node, str], object]
"""Reads a node at a dotted field: the value, or None where it told a fault."""


@dataclass(frozen=True, slots=True)
class _Field:
    read: Reader
    is_required: bool = False


def _fields(reading: _Reading, node: Node, path: str, table: dict[str, _Field]) -> dict | None:
    """What a mapping says, by field; None where it is no mapping. A field with a fault, or absent, is not in the answer."""
    if not isinstance(node, marked.Mapping):
        reading.fault(node.line, path or "document", f"must be fields ({', '.join(table)}), each on its own line as `field: value`")
        return None
    for key in node.entries:
        if key not in table:
            reading.fault(node.lines[key], _join(path, key), f"there is no such field{_meant(key, table)}")
    values = {}
    for key, field in table.items():
        if key not in node.entries:
            if field.is_required:
                reading.fault(node.line, _join(path, key), "missing: add it")
        elif _is_empty(node.entries[key]):
            reading.fault(node.lines[key], _join(path, key), "is empty: fill it in" + ("" if field.is_required else ", or leave it out"))
        elif (value := field.read(reading, node.entries[key], _join(path, key))) is not None:
            values[key] = value
    return values


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _meant(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f": did you mean `{close[0]}`?" if close else f": use {', '.join(known)}"


def _is_empty(node: Node) -> bool:
    return isinstance(node, Scalar) and node.is_plain and node.text in ("", "~", "null")


def _listed(read: Reader, *, may_be_empty: bool = False) -> Reader:
    """Reads a list, or one value that stands for a list of one. None where any of it has a fault."""
    def read_list(reading: _Reading, node: Node, path: str) -> list | None:
        if not isinstance(node, marked.Sequence):
            value = read(reading, node, path)
            return None if value is None else [value]
        if not node.items and not may_be_empty:
            reading.fault(node.line, path, "the list is empty: name at least one")
            return None
        values = [read(reading, item, f"{path}[{position}]") for position, item in enumerate(node.items)]
        return None if None in values else values
    return read_list


def _set_of(read: Reader) -> Reader:
    def read_set(reading: _Reading, node: Node, path: str) -> frozenset | None:
        values = _listed(read)(reading, node, path)
        return None if values is None else frozenset(values)
    return read_set


# Single values

def _scalar(reading: _Reading, node: Node, path: str) -> str | None:
    """One line of text, full-width letters and digits made plain."""
    text = _text(reading, node, path)
    return None if text is None else unicodedata.normalize("NFKC", text)


def _text(reading: _Reading, node: Node, path: str) -> str | None:
    """Text for people: white space is one space, everything else as it stands."""
    if not isinstance(node, Scalar):
        reading.fault(node.line, path, "must be a single value, not a list or fields")
        return None
    text = " ".join(node.text.split())
    if not text or len(text) > LONGEST_TEXT:
        reading.fault(node.line, path, "is empty: fill it in" if not text else f"is longer than {LONGEST_TEXT} characters: shorten it")
        return None
    return text


def _matching(pattern: re.Pattern, message: str) -> Reader:
    def read(reading: _Reading, node: Node, path: str) -> str | None:
        text = _scalar(reading, node, path)
        if text is not None and not pattern.fullmatch(text):
            reading.fault(node.line, path, f"`{text[:60]}` {message}")
            return None
        return text
    return read


_agency = _matching(AGENCY, "is not the id of an agency: lower-case letters, digits, `-` and `_`, as in `geoshare agency list`")
_layer = _matching(LAYER, "is not the name of a layer: `dom`, or `dom@2011` for one edition")
_style = _matching(STYLE, "is not the name of a style: see those of the layer in its capabilities")
_clause = _matching(re.compile(r"\S{1,40}"), "is not a clause: give its number in the agreement, such as 3.1")
_attribute = _matching(ATTRIBUTE, "is not an attribute: `NAME`, or `HYDL.NAME` for one feature class; `attributes: all` for all")


def _identifier(reading: _Reading, node: Node, path: str) -> str | None:
    text = _text(reading, node, path)
    if text is not None and not IDENTIFIER.fullmatch(text):
        reading.fault(node.line, path, "is longer than 100 characters: give the number of the agreement alone")
        return None
    return text


def _version(reading: _Reading, node: Node, path: str) -> int | None:
    text = _scalar(reading, node, path)
    if text is not None and not re.fullmatch(r"[1-9]\d{0,5}", text):
        reading.fault(node.line, path, f"`{text[:60]}` is not a version: give 1, and one more for each amendment")
        return None
    return text and int(text)


def _operation(reading: _Reading, node: Node, path: str) -> Operation | None:
    text = _scalar(reading, node, path)
    if text is None or text in GRANTABLE:
        return text and Operation(text)
    names = sorted(GRANTABLE)
    if text in FOLLOWS_FROM:
        message = f"`{text}` is granted along with {' or '.join(sorted(FOLLOWS_FROM[Operation(text)]))}: leave it out"
    else:
        by_folded = {name.casefold(): name for name in names}
        message = f"`{text[:60]}` is not an operation{_meant(by_folded.get(text.casefold(), text), names)}"
    reading.fault(node.line, path, message)
    return None


def _format(reading: _Reading, node: Node, path: str) -> str | None:
    text = _scalar(reading, node, path)
    if text is None:
        return None
    folded = text.casefold()
    if folded in FORMATS or MEDIA_TYPE.fullmatch(folded):
        return FORMATS.get(folded, folded)
    reading.fault(node.line, path, f"`{text[:60]}` is not a format{_meant(folded, FORMATS)} or a media type such as image/png")
    return None


def _crs(reading: _Reading, node: Node, path: str) -> str | None:
    text = _scalar(reading, node, path)
    match = text and CRS.fullmatch(text)
    if match:
        return f"EPSG:{match.group(1)}" if match.group(1) else "CRS:84"
    if text is not None:
        reading.fault(node.line, path, f"`{text[:60]}` is not a CRS: give an EPSG code such as EPSG:4549, or CRS:84")
    return None


def _attributes(reading: _Reading, node: Node, path: str) -> dict | None:
    """`{"granted": frozenset | None}`: all is None in the model, and a fault here."""
    if isinstance(node, Scalar) and node.text in ("all", "none"):
        return {"granted": None if node.text == "all" else frozenset()}
    values = _listed(_attribute, may_be_empty=True)(reading, node, path)
    if values is not None and "all" in values:
        reading.fault(node.line, path, "`all` stands in a list: write `attributes: all`, or name each attribute")
        return None
    return None if values is None else {"granted": frozenset(values)}


def _denominator(reading: _Reading, node: Node, path: str) -> float | None:
    text = _scalar(reading, node, path)
    match = text and re.fullmatch(r"(?:1\s*:\s*)?(\d{1,3}(?:,\d{3})+|\d{1,12})(\.\d{1,6})?", text)
    value = float(match.group(1).replace(",", "") + (match.group(2) or "")) if match else 0.0
    if text is not None and value <= 0:
        reading.fault(node.line, path, f"`{text[:60]}` is not a scale: give its denominator, such as 10000 or 1:10,000")
    return value or None


# Time

def _beginning(reading: _Reading, node: Node, path: str) -> datetime | None:
    return _moment(reading, node, path, is_end=False)


def _end(reading: _Reading, node: Node, path: str) -> datetime | None:
    return _moment(reading, node, path, is_end=True)


def _moment(reading: _Reading, node: Node, path: str, *, is_end: bool) -> datetime | None:
    """A day stands for its first moment, or for the first after it; a moment without offset is of Asia/Shanghai."""
    text = _scalar(reading, node, path)
    try:
        if text and (day := DAY.fullmatch(text)):
            start = datetime.combine(_usual(date(*(int(part) for part in day.groups()))), time(), SHANGHAI)
            return start + timedelta(days=1) if is_end else start
        if text and (moment := MOMENT.fullmatch(text)):
            day, clock, offset = moment.groups()
            found = datetime.fromisoformat(f"{day}T{clock}{offset or ''}")
            _usual(found.date())
            return found.astimezone(SHANGHAI) if offset else found.replace(tzinfo=SHANGHAI)
    except ValueError:
        text = text or ""
    if text is not None:
        reading.fault(node.line, path, f"`{text[:60]}` is not a date: give a day such as 2026-12-31, or a moment such as 2026-12-31T18:00")
    return None


def _usual(day: date) -> date:
    if not 1949 <= day.year <= 2199:
        raise ValueError("no year of an agreement")
    return day


TERM = {"from": _Field(_beginning), "until": _Field(_end)}


def _term(reading: _Reading, node: Node, path: str) -> Term | None:
    said = _fields(reading, node, path, TERM)
    if said is None:
        return None
    term = Term(start=said.get("from"), end=said.get("until"))
    if term.start and term.end and term.end <= term.start:
        reading.fault(node.lines["until"], f"{path}.until", "ends before it begins: check `from` and `until`")
        return None
    return term


def _whole_term(reading: _Reading, node: Node, path: str) -> Term | None:
    term = _term(reading, node, path)
    if term is not None and "from" not in node.entries:
        reading.fault(node.line, f"{path}.from", "missing: add it")
    return term


# Parties, grants, suspensions

PARTIES = {"grantor": _Field(_agency, is_required=True), "grantee": _Field(_agency, is_required=True)}


def _parties(reading: _Reading, node: Node, path: str) -> dict | None:
    parties = _fields(reading, node, path, PARTIES)
    if parties and parties.get("grantor") == parties.get("grantee") is not None:
        reading.fault(node.lines["grantee"], f"{path}.grantee", "is the grantor itself: an agency needs no agreement on its own layers")
    return parties


SCALE = {"finest": _Field(_denominator), "coarsest": _Field(_denominator)}


def _scale(reading: _Reading, node: Node, path: str) -> ScaleWindow | None:
    said = _fields(reading, node, path, SCALE)
    if said is None:
        return None
    window = ScaleWindow(**said)
    if window.finest and window.coarsest and window.finest > window.coarsest:
        reading.fault(node.line, path, f"1:{window.finest:.0f} is coarser than 1:{window.coarsest:.0f}: exchange `finest` and `coarsest`")
        return None
    return window


def _area(reading: _Reading, node: Node, path: str) -> Area | None:
    before = len(reading.faults)
    spec = _area_words(reading, node, path)
    if spec is None or len(reading.faults) > before:
        return None
    try:
        return reading.area(spec)
    except AreaInvalid as error:
        for field, message in error.faults:
            place = path + (field if field.startswith("[") or not field else f".{field}")
            reading.fault(_line_of(node, field), place, message)
    return None


def _area_words(reading: _Reading, node: Node, path: str) -> dict | list | None:
    """The words as plain values for `areas.area_of`; unknown fields told here, where we know their lines."""
    if isinstance(node, marked.Sequence):
        return [_area_words(reading, item, f"{path}[{position}]") for position, item in enumerate(node.items)]
    if isinstance(node, Scalar) and node.text == "everywhere":
        return {"everywhere": True}
    if not isinstance(node, marked.Mapping):
        reading.fault(node.line, path, f"an area is fields: give {', '.join(PARTS)}")
        return None
    spec = {}
    for key, value in node.entries.items():
        if key not in WORDS:
            reading.fault(node.lines[key], f"{path}.{key}", f"there is no such field{_meant(key, WORDS)}")
        elif key == "geojson":
            spec[key] = _geojson(reading, value, f"{path}.{key}")
        elif key == "everywhere":
            spec[key] = _value(value)
        elif key == "crs":
            spec[key] = _scalar(reading, value, f"{path}.{key}")
        else:
            spec[key] = _listed(_scalar)(reading, value, f"{path}.{key}")
    return spec


def _geojson(reading: _Reading, node: Node, path: str) -> object:
    """GeoJSON as fields, or as JSON text: quicker for large shapes."""
    if not isinstance(node, Scalar):
        return _value(node)
    try:
        return json.loads(node.text)
    except (ValueError, RecursionError):
        reading.fault(node.line, path, "is not JSON: give GeoJSON as fields, or as JSON text after `geojson: |`")
        return None


def _line_of(node: Node, field: str) -> int:
    """The line of the place `field` ("[0].divisions[1]") within `node`, as near as it goes."""
    line = node.line
    for part in re.findall(r"[^.\[\]]+", field):
        if isinstance(node, marked.Mapping) and part in node.entries:
            line, node = node.lines[part], node.entries[part]
        elif isinstance(node, marked.Sequence) and part.isdigit() and int(part) < len(node.items):
            node = node.items[int(part)]
            line = node.line
        else:
            break
    return line


GRANT = {
    "clause": _Field(_clause, is_required=True),
    "layers": _Field(_set_of(_layer), is_required=True),
    "operations": _Field(_set_of(_operation), is_required=True),
    "area": _Field(_area, is_required=True),
    "scale": _Field(_scale),
    "term": _Field(_term),
    "formats": _Field(_set_of(_format)),
    "crs": _Field(_set_of(_crs)),
    "styles": _Field(_set_of(_style)),
    "attributes": _Field(_attributes),
}


def _grant(reading: _Reading, node: Node, path: str) -> Grant | None:
    said = _fields(reading, node, path, GRANT)
    if said is None or not all(name in said for name, field in GRANT.items() if field.is_required):
        return None
    if "attributes" in said:
        said["attributes"] = said["attributes"]["granted"]
    return Grant(**said)


SUSPENSION = {
    "reason": _Field(_text, is_required=True),
    "since": _Field(_beginning, is_required=True),
    "until": _Field(_end),
    "layers": _Field(_set_of(_layer)),
    "area": _Field(_area),
}


def _suspension(reading: _Reading, node: Node, path: str) -> Suspension | None:
    said = _fields(reading, node, path, SUSPENSION)
    if said is None or "reason" not in said or "since" not in said:
        return None
    if said.get("until") and said["until"] <= said["since"]:
        reading.fault(node.lines["until"], f"{path}.until", "ends before it begins: check `since` and `until`")
        return None
    return Suspension(**said)


def _record(reading: _Reading, node: Node, path: str) -> dict | None:
    """Free fields, kept as they are."""
    if not isinstance(node, marked.Mapping):
        reading.fault(node.line, path, "must be fields: `dataset: ...` and what else was agreed")
        return None
    return _value(node)


def _value(node: Node) -> object:
    """Plain values, by the core schema of YAML 1.2; dates stay text."""
    if isinstance(node, marked.Mapping):
        return {key: _value(value) for key, value in node.entries.items()}
    if isinstance(node, marked.Sequence):
        return [_value(item) for item in node.items]
    if not node.is_plain:
        return node.text
    if node.text in ("true", "false"):
        return node.text == "true"
    if node.text in ("", "~", "null"):
        return None
    if re.fullmatch(r"-?(0|[1-9]\d{0,99})", node.text):
        return int(node.text)
    return float(node.text) if re.fullmatch(r"[-+]?(\.\d+|\d+\.\d*)([eE][-+]?\d{1,3})?|-?\d+[eE][-+]?\d{1,3}", node.text) else node.text


# The whole

AGREEMENT = {
    "agreement": _Field(_identifier, is_required=True),
    "version": _Field(_version, is_required=True),
    "title": _Field(_text, is_required=True),
    "parties": _Field(_parties, is_required=True),
    "term": _Field(_whole_term, is_required=True),
    "contact": _Field(_text, is_required=True),
    "purpose": _Field(_text),
    "credit": _Field(_text),
    "basis": _Field(_listed(_text)),
    "grants": _Field(_listed(_grant), is_required=True),
    "contributions": _Field(_listed(_record, may_be_empty=True)),
    "suspensions": _Field(_listed(_suspension, may_be_empty=True)),
}


def _agreement(reading: _Reading, node: Node) -> Agreement | None:
    said = _fields(reading, node, "", AGREEMENT)
    if said is None:
        return None
    if "grants" in said:
        _check_grants(reading, node, said["grants"], said.get("term") or Term())
    if reading.faults:
        return None
    return Agreement(
        agreement_id=said["agreement"], version=said["version"], title=said["title"], grantor=said["parties"]["grantor"],
        grantee=said["parties"]["grantee"], term=said["term"], grants=tuple(said["grants"]), suspensions=tuple(said.get("suspensions", ())),
        contact=said["contact"], purpose=said.get("purpose", ""), credit=said.get("credit", ""), basis=tuple(said.get("basis", ())),
        contributions=tuple(said.get("contributions", ())),
    )


def _check_grants(reading: _Reading, node: marked.Mapping, grants: Sequence[Grant], term: Term) -> None:
    listed = node.entries["grants"]
    nodes = listed.items if isinstance(listed, marked.Sequence) else [listed]
    lines: dict[str, int] = {}
    for position, (grant, one) in enumerate(zip(grants, nodes, strict=True)):
        path = f"grants[{position}]"
        if grant.clause in lines:
            message = f"`{grant.clause}` is also on line {lines[grant.clause]}: give each grant its own"
            reading.fault(one.lines["clause"], f"{path}.clause", message)
        lines.setdefault(grant.clause, one.lines["clause"])
        is_early = term.start and grant.term.start and grant.term.start < term.start
        is_late = term.end and grant.term.end and grant.term.end > term.end
        if is_early or is_late:
            reading.fault(one.lines["term"], f"{path}.term", "reaches beyond the term of the agreement: keep it within")


# Writing

def write_document(agreement: Agreement) -> str:
    """The document of an agreement: reading it gives an equal agreement, but for its state, which the register keeps."""
    document = {
        "agreement": agreement.agreement_id, "version": agreement.version, "title": agreement.title,
        "parties": {"grantor": agreement.grantor, "grantee": agreement.grantee},
        "term": _write_term(agreement.term), "contact": agreement.contact, "purpose": agreement.purpose, "credit": agreement.credit,
        "basis": list(agreement.basis), "grants": [_write_grant(grant) for grant in agreement.grants],
        "contributions": list(agreement.contributions), "suspensions": [_write_suspension(one) for one in agreement.suspensions],
    }
    yaml = YAML()
    yaml.width, yaml.allow_unicode = 120, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(_without_empty(document), stream)
    return stream.getvalue()


def _write_grant(grant: Grant) -> dict:
    return _without_empty({
        "clause": grant.clause, "layers": sorted(grant.layers), "operations": sorted(str(one) for one in grant.operations),
        "area": _write_area(grant.area),
        "scale": {name: _plain_number(value) for name in ("finest", "coarsest") if (value := getattr(grant.scale, name)) is not None},
        "term": _write_term(grant.term),
        **{name: sorted(values) for name in ("formats", "crs", "styles") if (values := getattr(grant, name)) is not None},
        "attributes": "all" if grant.attributes is None else sorted(grant.attributes),
    })


def _write_suspension(suspension: Suspension) -> dict:
    return _without_empty({
        "reason": suspension.reason, "since": _write_beginning(suspension.since),
        "until": suspension.until and _write_end(suspension.until),
        "layers": sorted(suspension.layers or ()), "area": suspension.area and _write_area(suspension.area),
    })


def _write_area(area: Area) -> dict | list:
    """The words it was named by; where it has none, its shape."""
    if area.words:
        return json.loads(area.words)
    return {"everywhere": True} if area.digest == EVERYWHERE_DIGEST else {"geojson": area.geometry.__geo_interface__}


def _write_term(term: Term) -> dict:
    return {
        **({"from": _write_beginning(term.start)} if term.start else {}),
        **({"until": _write_end(term.end)} if term.end else {}),
    }


def _write_beginning(moment: datetime) -> str:
    local = moment.astimezone(SHANGHAI)
    return local.date().isoformat() if local.time() == time() else _write_moment(local)


def _write_end(moment: datetime) -> str:
    local = moment.astimezone(SHANGHAI)
    return (local.date() - timedelta(days=1)).isoformat() if local.time() == time() else _write_moment(local)


def _write_moment(local: datetime) -> str:
    return local.replace(tzinfo=None).isoformat()


def _plain_number(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _without_empty(fields: dict) -> dict:
    return {name: value for name, value in fields.items() if value not in ("", None, [], {}, ())}
