"""Agreement documents: YAML or JSON <-> Agreement, every fault told at once with its line and field.

docs/agreement-document.md shows the form. Tables say which fields a mapping has and how each is read: a new field is one row here, or in
`agreements.document.record_fields`, and one in agreement.schema.json.
"""

import json
from collections.abc import Sequence

from agreements.areas import PARTS, WORDS
from agreements.document import marked, words
from agreements.document.marked import Node, Scalar
from agreements.document.reading import (
    Field,
    Reader,
    Reading,
    Table,
    beginning,
    built,
    end,
    fields,
    join,
    line_of,
    listed,
    mapping_lines,
    meant,
    network,
    plain_value,
    scalar,
    set_of,
    text,
    whole,
    word,
    yes_or_no,
)
from agreements.document.record_fields import RECORD, parties, record_of
from agreements.document.writing import document_of, write_document
from agreements.errors import AreaInvalid, DocumentInvalid
from agreements.model import Agreement, Area, Gazetteer, Grant, Mark, ResolutionWindow, ScaleWindow, Suspension, Term
from agreements.quota import Limit, Measure, Quota, Rate, Window

__all__ = ("AGREEMENT", "GRANT", "SUSPENSION", "document_of", "read_document", "write_document")


def read_document(document: str, name: str, gazetteer: Gazetteer) -> Agreement:
    """The agreement that a document says.

    Parameters
    ----------
    document : str
        YAML or JSON, at most 4 MiB.
    name : str
        What the document is called in a message; no path.
    gazetteer : Gazetteer
        Turns divisions, sheets and drawn shapes into geometries, which stay as they are from now on; knows purposes and checks filters.

    Raises
    ------
    DocumentInvalid
        With every fault, in the order of lines.
    """
    reading = Reading(gazetteer)
    node = marked.parse(document, reading.fault)
    agreement = _agreement(reading, node) if node is not None else None
    if reading.faults:
        raise DocumentInvalid(name, tuple(sorted(reading.faults, key=lambda fault: fault.line or 0)))
    return agreement


# Time

TERM = {"from": Field(beginning), "until": Field(end)}


def _term(reading: Reading, node: Node, path: str) -> Term | None:
    said = fields(reading, node, path, TERM)
    if said is None:
        return None
    term = Term(start=said.get("from"), end=said.get("until"))
    if term.start and term.end and term.end <= term.start:
        reading.fault(node.lines["until"], f"{path}.until", "ends before it begins: check `from` and `until`")
        return None
    return term


def _whole_term(reading: Reading, node: Node, path: str) -> Term | None:
    term = _term(reading, node, path)
    if term is not None and "from" not in node.entries:
        reading.fault(node.line, f"{path}.from", "missing: add it")
    return term


# Area

def _area(reading: Reading, node: Node, path: str) -> Area | None:
    before = len(reading.faults)
    spec = _area_words(reading, node, path)
    if spec is None or len(reading.faults) > before:
        return None
    try:
        return reading.area(spec)
    except AreaInvalid as error:
        for field, message in error.faults:
            place = path + (field if field.startswith("[") or not field else f".{field}")
            reading.fault(line_of(node, field), place, message)
    return None


def _area_words(reading: Reading, node: Node, path: str) -> dict | list | None:
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
            reading.fault(node.lines[key], f"{path}.{key}", f"there is no such field{meant(key, WORDS)}")
        else:
            said = AREA.get(key, _plain)(reading, value, f"{path}.{key}")
            spec[key] = list(said) if isinstance(said, tuple) else said
    return spec


def _geojson(reading: Reading, node: Node, path: str) -> object:
    """GeoJSON as fields, or as JSON text: quicker for large shapes."""
    if not isinstance(node, Scalar):
        return plain_value(node)
    try:
        return json.loads(node.text)
    except (ValueError, RecursionError):
        reading.fault(node.line, path, "is not JSON: give GeoJSON as fields, or as JSON text after `geojson: |`")
        return None


def _plain(_reading: Reading, node: Node, _path: str) -> object:
    return plain_value(node)


AREA: dict[str, Reader] = {"divisions": listed(scalar), "sheets": listed(scalar), "geojson": _geojson, "crs": scalar, "vintage": scalar}
"""How the words of an area are read; those that are not here, as plain values. `agreements.areas` says what they mean."""


# Grants

SCALE = {"finest": Field(words.denominator), "coarsest": Field(words.denominator)}
RESOLUTION = {"finest": Field(words.metres), "coarsest": Field(words.metres)}


def _window_of(kind: type, table: Table, spoken: str) -> Reader:
    def read(reading: Reading, node: Node, path: str) -> object | None:
        said = fields(reading, node, path, table)
        if said is None:
            return None
        window = kind(**said)
        if window.finest and window.coarsest and window.finest > window.coarsest:
            finest, coarsest = spoken.format(window.finest), spoken.format(window.coarsest)
            reading.fault(node.line, path, f"{finest} is coarser than {coarsest}: exchange `finest` and `coarsest`")
            return None
        return window
    return read


GRANT = {
    "clause": Field(words.clause, is_required=True),
    "layers": Field(set_of(words.layer)),
    "products": Field(set_of(words.product)),
    "editions": Field(set_of(words.edition)),
    "operations": Field(set_of(words.operation), is_required=True),
    "area": Field(_area, is_required=True),
    "scale": Field(_window_of(ScaleWindow, SCALE, "1:{:.0f}")),
    "resolution": Field(_window_of(ResolutionWindow, RESOLUTION, "{:g} m")),
    "degrade": Field(words.metres),
    "term": Field(_term),
    "formats": Field(set_of(words.format_)),
    "crs": Field(set_of(words.crs)),
    "styles": Field(set_of(words.style)),
    "attributes": Field(words.attributes),
    "rows": Field(words.rows),
    "networks": Field(set_of(network)),
    "purposes": Field(set_of(words.purpose)),
    "apps": Field(set_of(words.app)),
    "ceiling": Field(words.classification),
}


def _grant(reading: Reading, node: Node, path: str) -> Grant | None:
    said = fields(reading, node, path, GRANT)
    if said is not None and not {"layers", "products"} & node.entries.keys():
        reading.fault(node.line, join(path, "layers"), "missing: name the layers, or `products` of the grantor")
        return None
    if not whole(said, GRANT):
        return None
    if "attributes" in said:
        said["attributes"] = said["attributes"].granted
    return Grant(**{"layers": frozenset(), **said})


# Quota and mark

RATE = {"per_second": Field(words.rate, is_required=True), "burst": Field(words.burst)}

COUNTS = {window.value: Field(words.amount) for window in Window}
BYTES = {window.value: Field(words.bytes_) for window in Window}

GROUND = {
    "most": Field(words.km2, is_required=True),
    "window": Field(word(Window, "a window: what is counted begins anew each day, each month, or never"), is_required=True),
    "resolution": Field(words.metres),
}


def _counts(measure: Measure, table: Table) -> Reader:
    def read(reading: Reading, node: Node, path: str) -> tuple[Limit, ...] | None:
        said = fields(reading, node, path, table)
        if said == {} and not node.entries:
            reading.fault(node.line, path, "limits nothing: give `day`, `month` or `term`")
        return None if said is None else tuple(
            Limit(measure=measure, window=window, most=float(said[window])) for window in Window if window in said
        )
    return read


def _ground(reading: Reading, node: Node, path: str) -> tuple[Limit, ...] | None:
    said = listed(_ground_limit)(reading, node, path)
    if said is None:
        return None
    found: dict[tuple, Limit] = {}
    for (place, one), limit in zip(mapping_lines(node, path, said), said, strict=True):
        name = (tuple(Window).index(limit.window), limit.resolution or float("inf"))
        if name in found:
            reading.fault(one.line, place, "limits the same ground in the same window as one before: keep one")
        found[name] = limit
    return tuple(found[name] for name in sorted(found))


def _ground_limit(reading: Reading, node: Node, path: str) -> Limit | None:
    said = fields(reading, node, path, GROUND)
    return Limit(measure=Measure.GROUND, **said) if whole(said, GROUND) else None


QUOTA = {
    "rate": Field(built(Rate, RATE)),
    **{one.value: Field(_counts(one, COUNTS)) for one in (Measure.REQUESTS, Measure.MEGAPIXELS, Measure.FEATURES)},
    Measure.BYTES.value: Field(_counts(Measure.BYTES, BYTES)),
    Measure.GROUND.value: Field(_ground),
    "export_km2": Field(words.km2),
}


def _quota(reading: Reading, node: Node, path: str) -> Quota | None:
    said = fields(reading, node, path, QUOTA)
    if said is None:
        return None
    if not node.entries:
        reading.fault(node.line, path, f"limits nothing: give {', '.join(QUOTA)}")
        return None
    limits = tuple(limit for measure in Measure for limit in said.get(measure.value, ()))
    return Quota(rate=said.get("rate"), limits=limits, export_km2=said.get("export_km2"))


PLACES = ("tiled", "corner")


def _place(reading: Reading, node: Node, path: str) -> str | None:
    said = scalar(reading, node, path)
    if said is not None and said not in PLACES:
        reading.fault(node.line, path, f"`{said[:60]}` is not a place{meant(said, PLACES)}")
        return None
    return said


def _mark_text(reading: Reading, node: Node, path: str) -> str | None:
    said = text(reading, node, path)
    if said is not None and len(said) > 100:
        reading.fault(node.line, path, "is longer than 100 characters: nobody reads that on a tile, so shorten it")
        return None
    return said


MARK = {"text": Field(_mark_text, is_required=True), "opacity": Field(words.opacity), "place": Field(_place)}


def _mark(reading: Reading, node: Node, path: str) -> Mark | None:
    """Fields, or the text alone."""
    if isinstance(node, Scalar):
        said = _mark_text(reading, node, path)
        return None if said is None else Mark(text=said)
    return built(Mark, MARK)(reading, node, path)


# Suspensions

SUSPENSION = {
    "reason": Field(text, is_required=True),
    "since": Field(beginning, is_required=True),
    "until": Field(end),
    "layers": Field(set_of(words.layer)),
    "area": Field(_area),
}


def _suspension(reading: Reading, node: Node, path: str) -> Suspension | None:
    said = fields(reading, node, path, SUSPENSION)
    if not whole(said, SUSPENSION):
        return None
    if said.get("until") and said["until"] <= said["since"]:
        reading.fault(node.lines["until"], f"{path}.until", "ends before it begins: check `since` and `until`")
        return None
    return Suspension(**said)


# The whole

AGREEMENT = {
    "agreement": Field(words.identifier, is_required=True),
    "version": Field(words.version, is_required=True),
    "title": Field(text, is_required=True),
    "parent": Field(words.identifier),
    "parties": Field(parties, is_required=True),
    "term": Field(_whole_term, is_required=True),
    "emergency": Field(yes_or_no),
    "contact": Field(text, is_required=True),
    "purpose": Field(text),
    "credit": Field(text),
    "basis": Field(listed(text)),
    "grants": Field(listed(_grant), is_required=True),
    "quota": Field(_quota),
    "mark": Field(_mark),
    **RECORD,
    "suspensions": Field(listed(_suspension, may_be_empty=True)),
}


def _agreement(reading: Reading, node: Node) -> Agreement | None:
    said = fields(reading, node, "", AGREEMENT)
    if said is None:
        return None
    if "grants" in said:
        _check_grants(reading, node, said["grants"], said.get("term") or Term())
    if said.get("parent") == said.get("agreement") is not None:
        reading.fault(node.lines["parent"], "parent", "is this agreement itself: name the one whose grants are passed on, or leave it out")
    if reading.faults:
        return None
    both = said["parties"]
    return Agreement(
        agreement_id=said["agreement"], version=said["version"], title=said["title"], parent=said.get("parent"), grantor=both["grantor"],
        grantee=both["grantee"], term=said["term"], is_emergency=said.get("emergency", False), contact=said["contact"],
        purpose=said.get("purpose", ""), credit=said.get("credit", ""), basis=said.get("basis", ()), grants=said["grants"],
        quota=said.get("quota"), mark=said.get("mark"), record=record_of(said, both["details"]), suspensions=said.get("suspensions", ()),
    )


def _check_grants(reading: Reading, node: marked.Mapping, grants: Sequence[Grant], term: Term) -> None:
    lines: dict[str, int] = {}
    for grant, (path, one) in zip(grants, mapping_lines(node.entries["grants"], "grants", grants), strict=True):
        if grant.clause in lines:
            message = f"`{grant.clause}` is also on line {lines[grant.clause]}: give each grant its own"
            reading.fault(one.lines["clause"], f"{path}.clause", message)
        lines.setdefault(grant.clause, one.lines["clause"])
        is_early = term.start and grant.term.start and grant.term.start < term.start
        is_late = term.end and grant.term.end and grant.term.end > term.end
        if is_early or is_late:
            reading.fault(one.lines["term"], f"{path}.term", "reaches beyond the term of the agreement: keep it within")
