"""Filter Encoding 2.0 (OGC 09-026r2) -> conditions. A closed list of nodes; no entity is ever resolved.

What a literal is, a number or a text, the filter does not say: that hangs on the field. So a filter is read in two steps: its XML into a tree as
soon as it comes, and the tree into conditions once the types of the fields and the CRS that is meant by default are known. Axis order ends here.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import shapely
from lxml import etree

from layers.crs import SERVED, is_north_first, parse_crs
from layers.errors import CrsNotServed, RowsInvalid
from layers.features import FieldType
from layers.rows import DEEPEST, filter_of
from tiles.requests.features import MOST_VERTICES
from tiles.requests.wfs_faults import invalid
from tiles.vector.conditions import PREDICATES, All, Any, Condition, Not, Rows, Spatial

COMPARED = {
    "PropertyIsEqualTo": "=", "PropertyIsNotEqualTo": "<>", "PropertyIsLessThan": "<", "PropertyIsGreaterThan": ">",
    "PropertyIsLessThanOrEqualTo": "<=", "PropertyIsGreaterThanOrEqualTo": ">=",
}
MIRRORED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
SPATIAL = {name.capitalize(): name for name in PREDICATES}
MOST_IDS = 1000
ESCAPED = re.compile(r"_x([0-9A-F]{4,5})_")
EAST_FIRST = re.compile(r"EPSG:\d+|https?://www\.opengis\.net/gml/srs/epsg\.xml#\d+", re.IGNORECASE)
"""Forms of a CRS's name by which clients mean x before y, whatever the authority says: the two that are older than URNs."""


@dataclass(frozen=True, slots=True)
class NamedCrs:
    """A CRS as it was called: `is_swapped` where its coordinates come with north first."""

    crs: str
    name: str

    @property
    def is_swapped(self) -> bool:
        return is_north_first(self.crs) and not EAST_FIRST.fullmatch(self.name)


def named_crs(text: str, locator: str) -> NamedCrs:
    try:
        return NamedCrs(parse_crs(text), text)
    except CrsNotServed:
        raise invalid("InvalidParameterValue", locator, "crs-not-served", value=text, choices=", ".join(SERVED)) from None


def urn(crs: str) -> str:
    """As capabilities call it.

    >>> urn("EPSG:4549"), urn("CRS:84")
    ('urn:ogc:def:crs:EPSG::4549', 'urn:ogc:def:crs:OGC:1.3:CRS84')
    """
    return "urn:ogc:def:crs:OGC:1.3:CRS84" if crs == "CRS:84" else f"urn:ogc:def:crs:EPSG::{crs.removeprefix('EPSG:')}"


def xml_of(text: bytes | str) -> etree._Element:
    """The root of a document that has no type declaration. Raises RequestInvalid."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(text.encode() if isinstance(text, str) else text, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise invalid("OperationParsingFailed", "", "wfs-xml", mend="check that its elements are closed and its prefixes declared") from None
    if root.getroottree().docinfo.doctype:
        raise invalid("OperationParsingFailed", "", "wfs-xml", mend="leave out the document type declaration")
    return root


def local(element: etree._Element) -> str:
    return etree.QName(element).localname


def property_of(text: str) -> str:
    """The attribute that a value reference means.

    >>> property_of("gs:NAME"), property_of("gs:dlg.HYDL/gs:NAME"), property_of("_x0032_a")
    ('NAME', 'NAME', '2a')
    """
    last = text.strip().rsplit("/", 1)[-1]
    last = last.split(":", 1)[-1]
    return ESCAPED.sub(lambda found: chr(int(found[1], 16)), last)


# -- the tree

@dataclass(frozen=True, slots=True)
class Compared:
    """`operator` of `layers.rows` in CQL2's words; `literals` as they are written."""

    operator: str
    name: str
    literals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    predicate: str
    shape: shapely.Geometry         # axes as they were given
    crs: NamedCrs | None            # None: the default


@dataclass(frozen=True, slots=True)
class Logic:
    operator: str                   # And | Or | Not
    of: tuple["Node", ...]


Node = Compared | Placed | Logic


@dataclass(frozen=True, slots=True)
class Filter:
    """`node` None where only features are named, by `ids`."""

    node: Node | None = None
    ids: tuple[str, ...] = ()
    attributes: frozenset[str] = field(default_factory=frozenset)


def parse_filter(element: etree._Element) -> Filter:
    """A fes:Filter. Raises RequestInvalid."""
    children = list(element)
    if children and all(local(one) in ("ResourceId", "FeatureId", "GmlObjectId") for one in children):
        ids = tuple(dict.fromkeys(one.get("rid") or one.get("fid") or "" for one in children))
        if len(ids) > MOST_IDS or "" in ids:
            raise _cannot(f"it names no feature, or more than {MOST_IDS}", "give ResourceId with rid")
        return Filter(ids=ids)
    if len(children) != 1:
        raise _cannot("it must hold one condition", "join several by And")
    node = _node(children[0], 0)
    found = Filter(node=node, attributes=frozenset(_names(node)))
    condition_of(found, {}, "EPSG:4326")                            # what is wrong whatever the types are is told before anything is decided
    return found


def parse_filter_text(text: str) -> Filter:
    root = xml_of(text)
    if local(root) != "Filter":
        raise _cannot("it is no Filter", "write <Filter xmlns=\"http://www.opengis.net/fes/2.0\">...</Filter>")
    return parse_filter(root)


def _cannot(what: str, mend: str):
    return invalid("OperationProcessingFailed", "FILTER", "wfs-filter", what=what, mend=mend)


def _names(node: Node) -> set[str]:
    match node:
        case Logic(of=of):
            return set().union(*map(_names, of))
        case Compared(name=name):
            return {name}
    return set()


def _node(element: etree._Element, depth: int) -> Node:
    if depth > DEEPEST:
        raise _cannot("its conditions are nested too deep", "write it flatter")
    name, children = local(element), list(element)
    if name in ("And", "Or") and children:
        return Logic(name, tuple(_node(one, depth + 1) for one in children))
    if name == "Not" and len(children) == 1:
        return Logic(name, (_node(children[0], depth + 1),))
    if name in COMPARED and len(children) == 2:
        _check_case(element)
        (is_first, first), (is_second, second) = (_operand(one) for one in children)
        if is_first == is_second:
            raise _cannot(f"{name} must compare one attribute with one value", "give a ValueReference and a Literal")
        return Compared(COMPARED[name], first, (second,)) if is_first else Compared(MIRRORED[COMPARED[name]], second, (first,))
    if name == "PropertyIsLike" and len(children) == 2:
        return _like(element, children)
    if name in ("PropertyIsNull", "PropertyIsNil") and len(children) == 1:
        return Compared("isNull", _reference(children[0]))
    if name == "PropertyIsBetween" and len(children) == 3:
        low, high = (_literal(_inner(one)) for one in children[1:])
        return Compared("between", _reference(children[0]), (low, high))
    if name == "BBOX" and children:
        shape, crs = _geometry(children[-1])
        return Placed("intersects", shape, crs)
    if name in SPATIAL and len(children) == 2:
        shape, crs = _geometry(children[1])
        return Placed(SPATIAL[name], shape, crs)
    raise _cannot(f"`{name[:40]}` is not among what may be asked", f"use And, Or, Not, {', '.join(COMPARED)}, PropertyIsLike, PropertyIsNull, "
                  f"PropertyIsBetween, BBOX, {', '.join(SPATIAL)} or ResourceId")


def _inner(element: etree._Element) -> etree._Element:
    return element[0] if len(element) else element


def _operand(element: etree._Element) -> tuple[bool, str]:
    is_reference = local(element) in ("ValueReference", "PropertyName")
    return is_reference, _reference(element) if is_reference else _literal(element)


def _reference(element: etree._Element) -> str:
    if local(element) not in ("ValueReference", "PropertyName") or not (element.text or "").strip():
        raise _cannot("the name of an attribute is missing", "give it as ValueReference")
    return property_of(element.text)


def _literal(element: etree._Element) -> str:
    if local(element) != "Literal" or len(element):
        raise _cannot("a value is missing, or is a function", "give it as Literal")
    return element.text or ""


def _check_case(element: etree._Element) -> None:
    text = "".join(element.itertext())
    if element.get("matchCase", "true").lower() in ("false", "0") and any(local(one) == "Literal" and (one.text or "").lower() != (one.text or "").upper() for one in element):
        raise _cannot(f"letters are told apart by case, and `{text.strip()[:30]}` is to be compared without", "leave out matchCase")


def _like(element: etree._Element, children: list) -> Compared:
    _check_case(element)
    many, one, escape = element.get("wildCard") or "*", element.get("singleChar") or "?", element.get("escapeChar") or element.get("escape") or "\\"
    pattern, text, position = [], _literal(children[1]), 0
    while position < len(text):
        character = text[position]
        if character == escape and position + 1 < len(text):
            position += 1
            character = text[position]
            pattern.append(f"\\{character}" if character in "%_\\" else character)
        else:
            pattern.append("%" if character == many else "_" if character == one else f"\\{character}" if character in "%_\\" else character)
        position += 1
    return Compared("like", _reference(children[0]), ("".join(pattern),))


# -- shapes

def _geometry(element: etree._Element) -> tuple[shapely.Geometry, NamedCrs | None]:
    name = element.get("srsName")
    if local(element) not in SHAPES:
        raise _cannot(f"`{local(element)[:40]}` is no shape that is read here", f"give one of {', '.join(SHAPES)}")
    try:
        shape = SHAPES[local(element)](element)
        is_fit = not shape.is_empty and shapely.get_num_coordinates(shape) <= MOST_VERTICES and math.isfinite(shape.length + shape.area) and shape.is_valid
    except (ValueError, IndexError, OverflowError, shapely.errors.GEOSException):
        is_fit = False
    if not is_fit:
        raise _cannot(f"a shape in it is empty, crosses itself, can't be read, or has more than {MOST_VERTICES} vertices", "give a simpler one")
    return shape, named_crs(name, "srsName") if name else None


def _numbers(element: etree._Element) -> list[tuple[float, float]]:
    """Of pos, posList, or coordinates."""
    found: list[tuple[float, float]] = []
    for one in element:
        kind, text = local(one), one.text or ""
        if kind == "coordinates":
            found += [tuple(float(number) for number in pair.split(",")[:2]) for pair in text.split()]
        elif kind in ("pos", "posList", "lowerCorner", "upperCorner"):
            size = int(one.get("srsDimension") or element.get("srsDimension") or (len(text.split()) if kind != "posList" else 2))
            numbers = [float(number) for number in text.split()]
            if not 2 <= size <= 3 or len(numbers) % size:
                raise ValueError("not pairs")
            found += [(numbers[start], numbers[start + 1]) for start in range(0, len(numbers), size)]
    return found


def _envelope(element: etree._Element) -> shapely.Geometry:
    (left, bottom), (right, top) = _numbers(element)
    if left > right or bottom > top:
        raise ValueError("turned around")
    return shapely.box(left, bottom, right, top) if left < right and bottom < top else shapely.LineString([(left, bottom), (right, top)])


def _polygon(element: etree._Element) -> shapely.Geometry:
    rings = {"exterior": [], "interior": []}
    for one in element:
        kind = {"outerBoundaryIs": "exterior", "innerBoundaryIs": "interior"}.get(local(one), local(one))
        rings[kind].append(_numbers(one[0])) if kind in rings else None
    return shapely.Polygon(rings["exterior"][0], rings["interior"])


def _curve(element: etree._Element) -> shapely.Geometry:
    segments = [one for one in element.iter() if isinstance(one.tag, str) and local(one) == "LineStringSegment"]
    return shapely.LineString([point for one in segments for point in _numbers(one)])


def _surface(element: etree._Element) -> shapely.Geometry:
    patches = [_polygon(one) for one in element.iter() if isinstance(one.tag, str) and local(one) == "PolygonPatch"]
    return patches[0] if len(patches) == 1 else shapely.MultiPolygon(patches)


def _members(kind: type) -> object:
    def read(element: etree._Element) -> shapely.Geometry:
        return kind([SHAPES[local(inner)](inner) for member in element for inner in member])

    return read


SHAPES = {
    "Envelope": _envelope, "Point": lambda element: shapely.Point(_numbers(element)[0]), "LineString": lambda element: shapely.LineString(_numbers(element)),
    "Polygon": _polygon, "Curve": _curve, "Surface": _surface, "MultiPoint": _members(shapely.MultiPoint),
    "MultiLineString": _members(shapely.MultiLineString), "MultiCurve": _members(shapely.MultiLineString),
    "MultiPolygon": _members(shapely.MultiPolygon), "MultiSurface": _members(shapely.MultiPolygon),
}


# -- conditions

def condition_of(asked: Filter, types: Mapping[str, FieldType], default_crs: str) -> Condition | None:
    """`types` of the fields, those that are absent being text; `default_crs` of shapes that name none, in its authority's order."""
    return None if asked.node is None else _condition(asked.node, types, NamedCrs(default_crs, urn(default_crs)))


def _condition(node: Node, types: Mapping[str, FieldType], default: NamedCrs) -> Condition:
    match node:
        case Logic(operator="Not", of=(one,)):
            return Not(_condition(one, types, default))
        case Logic(operator=operator, of=of):
            return (All if operator == "And" else Any)(tuple(_condition(one, types, default) for one in of))
        case Placed(predicate=predicate, shape=shape, crs=crs):
            crs = crs or default
            return Spatial(predicate, shapely.transform(shape, lambda points: points[:, ::-1]) if crs.is_swapped else shape, crs.crs)
    return Rows(_rows(node, types.get(node.name, FieldType.TEXT)))


def _rows(node: Compared, kind: FieldType):
    literals = [_value(one, kind) for one in node.literals]
    arguments = [{"property": node.name}, *(node.literals if node.operator == "like" else literals)]
    try:
        return filter_of({"op": node.operator, "args": arguments})
    except RowsInvalid as error:
        raise _cannot(error.fault, error.mend) from None


def _value(text: str, kind: FieldType) -> str | float:
    """As the field has them; of a number that is none, a text, which no number equals."""
    if kind is FieldType.BOOLEAN and text.lower() in ("true", "false"):
        return 1.0 if text.lower() == "true" else 0.0
    if not kind.is_text:
        try:
            return float(text) if math.isfinite(float(text)) else text
        except ValueError:
            return text
    return text
