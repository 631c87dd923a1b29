"""What is asked of features over OGC API - Features: items by box, condition and page. Closed grammars; nothing raises but RequestInvalid.

    /features/collections/dlg.HYDL/items?bbox=118,32,119,33&limit=100&filter=GRADE<=2 AND S_INTERSECTS(geometry,POLYGON((...)))
    /features/collections/dlg@2011.HYDL/items?NAME=长江&crs=http://www.opengis.net/def/crs/EPSG/0/4549&properties=NAME,GB

A parameter that is none of the standard's names an attribute, which must then have that value. Axis order ends here: boxes and shapes come in
the order of their CRS and leave x before y.

Source: OGC 17-069r4 (part 1), OGC 18-058r1 (part 2), OGC 19-079r2 (part 3), OGC 21-065r2 (CQL2).
"""

import json
import math
import re
from dataclasses import dataclass
from datetime import datetime

import cql2
import shapely

from layers.crs import SERVED, is_north_first, parse_crs
from layers.errors import CrsNotServed, RowsInvalid
from layers.model import LayerName
from layers.rows import DEEPEST, RowFilter, Value, filter_of, tree_of
from tiles.errors import RequestInvalid, RequestTooLarge
from tiles.requests.ogc import WHOLE, Limits, Pairs, decimal, fault
from tiles.vector.conditions import PREDICATES, TURNED, All, Any, Condition, Not, Rows, Spatial, attributes_of

TABLE = re.compile(r"[0-9A-Za-z_\u3400-\u9fff-]{1,60}")
GEOJSON, HTML, JSON = "application/geo+json", "text/html", "application/json"
FORMATS = {"json": GEOJSON, "geojson": GEOJSON, GEOJSON: GEOJSON, JSON: GEOJSON, "html": HTML, HTML: HTML}
DEFAULT_LIMIT, MOST_ITEMS = 100, 10_000
MOST_VERTICES = 10_000
LIMITS = Limits()
LONGEST_FILTER = 8_000
GEOMETRY = frozenset({"geometry", "geom"})
"""Names by which a condition speaks of the shape; no attribute is called so."""

OWN = frozenset({
    "bbox", "bbox-crs", "crs", "datetime", "limit", "after", "filter", "filter-lang", "filter-crs", "properties", "f", "lang", "key", "tk",
})
NOT_TAKEN = frozenset({"sortby", "offset", "startindex", "resulttype", "skipgeometry", "group", "callback"})
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2}))?")


@dataclass(frozen=True, slots=True)
class FeatureTypeName:
    """A table of an edition: `dlg.HYDL`, `dlg@2011.HYDL`. `table` is "" where the name is that of the layer alone, fit where it has one table.

    >>> FeatureTypeName.parse("dlg@2011.HYDL"), str(FeatureTypeName.parse("stations"))
    (FeatureTypeName(layer=LayerName(layer='dlg', edition='2011'), table='HYDL'), 'stations')
    """

    layer: LayerName
    table: str

    @classmethod
    def parse(cls, text: str) -> "FeatureTypeName":
        """Raises ValueError: the grammar keeps paths and markup out of everything behind it."""
        layer, dot, table = text.rpartition(".")
        if not dot:
            layer, table = text, ""
        elif not TABLE.fullmatch(table):
            raise ValueError("not the name of a table")
        return cls(LayerName.parse(layer), table)

    def __str__(self) -> str:
        return f"{self.layer}.{self.table}" if self.table else str(self.layer)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedItems:
    """`condition` is all that items must meet. `after` is the name of the last one seen. `properties` None is all."""

    name: FeatureTypeName
    condition: Condition | None
    crs: str
    limit: int
    after: str | None
    properties: tuple[str, ...] | None
    media_type: str
    attributes: frozenset[str]          # every attribute that is named, anywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedItem:
    name: FeatureTypeName
    crs: str
    properties: tuple[str, ...] | None
    media_type: str
    attributes: frozenset[str]


def collection_name(text: str) -> FeatureTypeName:
    try:
        return FeatureTypeName.parse(text)
    except ValueError:
        raise fault("InvalidParameterValue", "collectionId", "collection-name", value=text) from None


def parse_format(pairs: Pairs, accept: str, limits: Limits = LIMITS) -> str:
    """GeoJSON (or JSON) or HTML: what `f` says, else what a browser prefers.

    >>> parse_format([], "text/html,application/xhtml+xml,*/*;q=0.8"), parse_format([("f", "json")], "text/html"), parse_format([], "*/*")
    ('text/html', 'application/geo+json', 'application/geo+json')
    """
    asked = _Asked(pairs, limits).text("f")
    if asked:
        if asked.lower() not in FORMATS:
            raise fault("InvalidParameterValue", "f", "not-one-of", name="f", value=asked, choices="json, html")
        return FORMATS[asked.lower()]
    named = [part.split(";")[0].strip() for part in accept[:500].split(",")]
    return next((FORMATS[one] for one in named if one in FORMATS), GEOJSON)


def parse_items(name: str, pairs: Pairs, accept: str = "", limits: Limits = LIMITS) -> AskedItems:
    collection, asked = collection_name(name), _Asked(pairs, limits)
    conditions: list[Condition] = []
    if box := asked.text("bbox"):
        conditions.append(_box(box, _crs(asked.text("bbox-crs") or "CRS84", "bbox-crs")))
    elif asked.text("bbox-crs"):
        raise fault("MissingParameterValue", "bbox", "missing", name="bbox", mend="`bbox-crs` says in which system it is")
    conditions += [Rows(equals(attribute, value)) for attribute, value in asked.others]
    if text := asked.text("filter"):
        conditions.append(parse_filter(text, asked.text("filter-lang") or "cql2-text", _crs(asked.text("filter-crs") or "CRS84", "filter-crs")))
    if moment := asked.text("datetime"):
        _check_datetime(moment)
    conditions = [one for each in conditions for one in (each.of if isinstance(each, All) else (each,))]
    condition = None if not conditions else conditions[0] if len(conditions) == 1 else All(tuple(conditions))
    properties = _properties(asked)
    return AskedItems(
        name=collection, condition=condition, crs=_crs(asked.text("crs") or "CRS84", "crs"), limit=_limit(asked.text("limit")),
        after=asked.text("after") or None, properties=properties, media_type=parse_format(pairs, accept, limits),
        attributes=_named(condition, properties),
    )


def parse_item(name: str, pairs: Pairs, accept: str = "", limits: Limits = LIMITS) -> AskedItem:
    collection, asked = collection_name(name), _Asked(pairs, limits)
    for other, _ in asked.others:
        raise fault("InvalidParameterValue", other, "no-parameter", value=other)
    properties = _properties(asked)
    return AskedItem(
        name=collection, crs=_crs(asked.text("crs") or "CRS84", "crs"), properties=properties, media_type=parse_format(pairs, accept, limits),
        attributes=_named(None, properties),
    )


def check_plain(pairs: Pairs, limits: Limits = LIMITS) -> None:
    """Raises RequestInvalid for a parameter that means nothing where no features are asked."""
    for other, _ in _Asked(pairs, limits).others:
        raise fault("InvalidParameterValue", other, "no-parameter", value=other)


class _Asked:
    """Parameters by name, each once. Names are told apart by case: those that are none of ours are attributes."""

    def __init__(self, pairs: Pairs, limits: Limits):
        self._own: dict[str, str] = {}
        others: dict[str, str] = {}
        for name, value in pairs:
            if name.lower() in NOT_TAKEN:
                raise fault("InvalidParameterValue", name.lower(), "not-sorted", value=name)
            known = self._own if name in OWN else others
            if name in known:
                raise fault("InvalidParameterValue", name if name in OWN else "", "repeated", name=name if name in OWN else "property", count=2)
            if len(value) > (LONGEST_FILTER if name == "filter" else limits.max_value):
                raise fault("InvalidParameterValue", name if name in OWN else "", "too-long", RequestTooLarge, name=name if name in OWN else "property",
                            count=len(value), most=limits.max_value)
            known[name] = value.strip(" ")
        self.others = tuple(others.items())

    def text(self, name: str) -> str:
        return self._own.get(name, "")


# -- values

def _crs(text: str, name: str) -> str:
    try:
        return parse_crs(text.removeprefix("[").removesuffix("]"))          # a safe CURIE, [EPSG:4549]
    except CrsNotServed:
        raise fault("InvalidCRS", name, "crs-not-served", value=text, choices=", ".join(SERVED)) from None


def _limit(text: str) -> int:
    if not text:
        return DEFAULT_LIMIT
    if not WHOLE.fullmatch(text) or int(text) < 1:
        raise fault("InvalidParameterValue", "limit", "not-a-whole-number", name="limit", value=text, least=1, most=MOST_ITEMS)
    return min(int(text), MOST_ITEMS)


def _box(text: str, crs: str) -> Spatial:
    """Four numbers, or six of which the heights say nothing; west east of east spans the antimeridian."""
    texts, order = text.split(","), "y_min,x_min,y_max,x_max" if is_north_first(crs) else "x_min,y_min,x_max,y_max"
    if len(texts) not in (4, 6):
        raise fault("InvalidParameterValue", "bbox", "bbox-not-four", count=len(texts), order=order)
    numbers = [decimal("bbox", one.strip(" ")) for one in texts]
    if len(numbers) == 6:
        numbers = [*numbers[:2], *numbers[3:5]]
    if is_north_first(crs):
        numbers = [numbers[1], numbers[0], numbers[3], numbers[2]]
    left, bottom, right, top = numbers
    if bottom > top or (left > right and crs not in ("CRS:84", "EPSG:4326", "EPSG:4490")):
        raise fault("InvalidParameterValue", "bbox", "bbox-order", crs=crs, order=order)
    if left > right:
        return Spatial("intersects", shapely.MultiPolygon([shapely.box(left, bottom, 180, top), shapely.box(-180, bottom, right, top)]), crs)
    return Spatial("intersects", _rectangle(left, bottom, right, top), crs)


def _rectangle(left: float, bottom: float, right: float, top: float) -> shapely.Geometry:
    """A box, as a line or a place where it has no breadth."""
    if left < right and bottom < top:
        return shapely.box(left, bottom, right, top)
    return shapely.LineString([(left, bottom), (right, top)]) if left < right or bottom < top else shapely.Point(left, bottom)


def _properties(asked: _Asked) -> tuple[str, ...] | None:
    text = asked.text("properties")
    return tuple(dict.fromkeys(name.strip(" ") for name in text.split(",") if name.strip(" "))) if text else None


def _named(condition: Condition | None, properties: tuple[str, ...] | None) -> frozenset[str]:
    return attributes_of(condition) | frozenset(properties or ())


def _check_datetime(text: str) -> None:
    """An instant or an interval (RFC 3339); features of these layers have no time of their own, so all of them match."""
    ends = text.split("/")
    if len(ends) > 2 or not any(end not in ("", "..") for end in ends) or not all(end in ("", "..") or _is_moment(end) for end in ends):
        raise fault("InvalidParameterValue", "datetime", "datetime", value=text)


def _is_moment(text: str) -> bool:
    try:
        return bool(MOMENT.fullmatch(text)) and datetime.fromisoformat(text) is not None
    except ValueError:
        return False


# -- conditions

def equals(name: str, value: str) -> RowFilter:
    """An attribute that must have a value: as a number where it looks like one, or as a text."""
    trees: list[object] = [{"op": "=", "args": [{"property": name}, value]}]
    try:
        if math.isfinite(number := float(value)) and abs(number) < 2**53:
            trees.append({"op": "=", "args": [{"property": name}, number]})
    except ValueError:
        pass
    return filter_of(trees[0] if len(trees) == 1 else {"op": "or", "args": trees})


def name_of(value: Value) -> str:
    """A name or a code as `equals` takes it, whatever type its field has.

    >>> name_of("G104"), name_of(104), name_of(99900001.0)
    ('G104', '104', '99900001')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def parse_filter(text: str, language: str, crs: str) -> Condition:
    """A condition in CQL2; shapes in it are in `crs`. Raises RequestInvalid."""
    try:
        if language == "cql2-text":
            tree = tree_of(text, LONGEST_FILTER, DEEPEST)
        elif language == "cql2-json":
            tree = _json_tree(text)
        else:
            raise fault("InvalidParameterValue", "filter-lang", "not-one-of", name="filter-lang", value=language, choices="cql2-text, cql2-json")
        return _Reading(text, crs).condition(tree)
    except RowsInvalid as error:
        raise _invalid(error.fault, error.mend) from None


def _invalid(what: str, mend: str) -> RequestInvalid:
    return fault("InvalidParameterValue", "filter", "filter", what=what, mend=mend)


def _json_tree(text: str) -> object:
    depth = most = 0
    for character in text:
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(character, 0)
        most = max(most, depth)
    if most > 4 * DEEPEST:
        raise _invalid(f"its brackets are nested {most} deep", "write it flatter")
    try:
        json.loads(text, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))
        return cql2.parse_json(text).to_json()
    except (ValueError, RecursionError, cql2.ParseError):
        raise _invalid("it is not CQL2 JSON", 'write conditions such as {"op": "=", "args": [{"property": "GB"}, 230101]}') from None


@dataclass(frozen=True, slots=True)
class _Reading:
    """CQL2 as JSON -> our conditions. What speaks of attributes alone is read as a row filter, in one piece."""

    text: str
    crs: str

    def condition(self, tree: object, depth: int = 0) -> Condition:
        if depth > 2 * DEEPEST:
            raise _invalid("its conditions are nested too deep", "write it flatter")
        if not isinstance(tree, dict) or not isinstance(tree.get("op"), str) or not isinstance(tree.get("args"), list):
            raise _invalid("a field or a value stands where a condition should", "compare it with something")
        operator, arguments = tree["op"], tree["args"]
        if operator.startswith("s_"):
            return self._spatial(operator.removeprefix("s_"), arguments)
        if operator == "and" and arguments:                 # each for itself: the store can be asked some of them
            return All(tuple(self.condition(one, depth + 1) for one in arguments))
        if not _is_spatial(tree):
            return Rows(self._rows(tree))
        if operator == "or" and arguments:
            return Any(tuple(self.condition(one, depth + 1) for one in arguments))
        if operator == "not" and len(arguments) == 1:
            return Not(self.condition(arguments[0], depth + 1))
        raise _invalid("a shape stands where a value should", "ask of shapes by S_INTERSECTS and its like")

    def _rows(self, tree: object) -> RowFilter:
        try:
            return filter_of(_with_plain_dates(tree), self.text)
        except (IndexError, TypeError, ValueError, KeyError):
            raise _invalid("a condition lacks a part", "see the examples of CQL2") from None

    def _spatial(self, name: str, arguments: list) -> Spatial:
        if name not in PREDICATES or len(arguments) != 2:
            raise _invalid(f"`s_{name[:20]}` is not among what may be asked", f"use {', '.join(f'S_{one.upper()}' for one in PREDICATES)} with two shapes")
        first, second = arguments
        if _is_geometry(second) and not _is_geometry(first):
            first, second, name = second, first, TURNED.get(name, name)
        if not _is_geometry(first) or _is_geometry(second):
            raise _invalid(f"S_{name.upper()} must compare `geometry` with one shape", "write it such as S_INTERSECTS(geometry, POINT(118.8 32.0))")
        return Spatial(name, self._shape(second), self.crs)

    def _shape(self, tree: object) -> shapely.Geometry:
        try:
            if isinstance(tree, dict) and "bbox" in tree:
                numbers = [float(one) for one in tree["bbox"]]
                numbers = [*numbers[:2], *numbers[3:5]] if len(numbers) == 6 else numbers
                shape = _rectangle(*numbers)
            else:
                shape = shapely.force_2d(shapely.from_geojson(json.dumps(tree)))
        except (ValueError, TypeError, shapely.errors.GEOSException):
            raise _invalid("a shape in it can't be read", "give WKT or GeoJSON, or BBOX(...)") from None
        if shape is None or shape.is_empty or shapely.get_num_coordinates(shape) > MOST_VERTICES or not math.isfinite(shape.length + shape.area):
            raise _invalid(f"a shape in it is empty, or has more than {MOST_VERTICES} vertices", "give a simpler one")
        if is_north_first(self.crs):
            shape = shapely.transform(shape, lambda points: points[:, ::-1])
        if not shape.is_valid or shape.geom_type == "GeometryCollection":
            raise _invalid("a shape in it crosses itself, or is a collection", "give a simple one")
        return shape


def _is_geometry(tree: object) -> bool:
    return isinstance(tree, dict) and tree.get("property") in GEOMETRY


def _is_spatial(tree: object) -> bool:
    if isinstance(tree, dict):
        return str(tree.get("op", "")).startswith("s_") or any(_is_spatial(one) for one in tree.get("args") or ())
    return isinstance(tree, list) and any(_is_spatial(one) for one in tree)


def _with_plain_dates(tree: object) -> object:
    """Dates as the text in which they are kept."""
    if isinstance(tree, dict):
        for name in ("date", "timestamp"):
            if isinstance(tree.get(name), str) and len(tree) == 1:
                return tree[name]
        return {name: _with_plain_dates(value) for name, value in tree.items()}
    return [_with_plain_dates(one) for one in tree] if isinstance(tree, list) else tree
