"""WFS 2.0.0, read-only, by KVP and by XML (OGC 09-025r2). Nothing raises but RequestInvalid.

A feature type is a table of an edition: `gs:dlg.HYDL`, or `gs:dlg.2011.HYDL`, since `@` may stand in no name of XML.
"""

import re
from dataclasses import dataclass

from lxml import etree

from layers.model import LayerName
from tiles.errors import RequestTooLarge
from tiles.requests.features import GEOJSON, MOST_ITEMS, TABLE, FeatureTypeName, _rectangle
from tiles.requests.fes import Filter, NamedCrs, Placed, local, named_crs, parse_filter, parse_filter_text, property_of, xml_of
from tiles.requests.ogc import GetCapabilities, Limits, Pairs, Parameters, decimal
from tiles.requests.wfs_faults import invalid

VERSION = "2.0.0"
GML = "application/gml+xml"
GML_TYPE = "application/gml+xml; version=3.2"
FORMATS = {
    "APPLICATION/GML+XML; VERSION=3.2": GML, "APPLICATION/GML+XML;VERSION=3.2": GML, "TEXT/XML; SUBTYPE=GML/3.2": GML, "TEXT/XML;SUBTYPE=GML/3.2": GML,
    "GML32": GML, "GML3": GML, "APPLICATION/GML+XML": GML, "TEXT/XML": GML,
    "APPLICATION/JSON": GEOJSON, "APPLICATION/GEO+JSON": GEOJSON, "JSON": GEOJSON, "GEOJSON": GEOJSON,
}
DEFAULT_COUNT = 1000
BY_ID = "urn:ogc:def:query:OGC-WFS::GetFeatureById"
BY_ID_NAMES = (BY_ID, "http://www.opengis.net/def/query/OGC-WFS/0/GetFeatureById")
LONGEST_BODY = 200_000
LONGEST_FILTER = 100_000
KNOWN = frozenset({
    "SERVICE", "VERSION", "REQUEST", "ACCEPTVERSIONS", "SECTIONS", "ACCEPTFORMATS", "TYPENAMES", "TYPENAME", "COUNT", "MAXFEATURES", "STARTINDEX",
    "RESULTTYPE", "OUTPUTFORMAT", "SRSNAME", "BBOX", "FILTER", "RESOURCEID", "FEATUREID", "PROPERTYNAME", "STOREDQUERY_ID", "STOREDQUERYID", "ID",
    "AFTER", "LANG", "SORTBY", "ALIASES", "RESOLVE", "RESOLVEDEPTH", "RESOLVETIMEOUT", "FILTER_LANGUAGE", "NAMESPACES", "CQL_FILTER", "VALUEREFERENCE",
    "STOREDQUERY_IDS", "LOCKID", "EXPIRY",
})
NOT_TAKEN = {
    "SORTBY": "features come in one order, that of their storage", "ALIASES": "types are not joined", "CQL_FILTER": "give FILTER in FES 2.0, or ask /features",
    "LOCKID": "this service changes nothing", "EXPIRY": "this service changes nothing",
}
OPERATIONS = ("GetCapabilities", "DescribeFeatureType", "GetFeature", "ListStoredQueries", "DescribeStoredQueries")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeFeatureType:
    """All types where none is named."""

    types: tuple[FeatureTypeName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetFeature:
    """`asked` is the filter. `crs` None: that of the type by default. `after` is the name of the last feature of the page before."""

    name: FeatureTypeName
    asked: Filter
    crs: NamedCrs | None
    count: int
    start: int
    after: str | None
    is_hits: bool
    properties: tuple[str, ...] | None
    media_type: str
    is_by_id: bool = False

    @property
    def attributes(self) -> frozenset[str]:
        return self.asked.attributes | frozenset(self.properties or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredQueries:
    is_described: bool


WfsRequest = GetCapabilities | DescribeFeatureType | GetFeature | StoredQueries


def parse_wfs(pairs: Pairs, limits: Limits) -> WfsRequest:
    """The request that `pairs` spell.

    >>> parse_wfs([("REQUEST", "GetFeature"), ("TYPENAMES", "gs:dlg.2011.HYDL"), ("COUNT", "5")], Limits()).name.layer
    LayerName(layer='dlg', edition='2011')
    """
    filters = [value for name, value in pairs if name.upper() == "FILTER" and value]
    if len(filters) > 1 or any(len(one) > LONGEST_FILTER for one in filters):
        raise invalid("InvalidParameterValue", "FILTER", "too-long", RequestTooLarge, name="FILTER", count=len(max(filters, key=len)), most=LONGEST_FILTER)
    parameters = Parameters([(name, value) for name, value in pairs if name.upper() != "FILTER"], KNOWN, limits)
    parameters.one_of("SERVICE", {"WFS": "WFS"}, "WFS")
    operation = parameters.required("REQUEST", f"give one of {', '.join(OPERATIONS)}").upper()
    if operation == "GETCAPABILITIES":
        accepted = [one.strip() for one in parameters.text("ACCEPTVERSIONS").split(",") if one.strip()]
        if accepted and not any(one.startswith("2.0") for one in accepted):
            raise invalid("VersionNegotiationFailed", "acceptVersions", "version", value=",".join(accepted), service="WFS", choices=VERSION)
        return GetCapabilities(service="WFS", version=VERSION)
    _check_version(parameters.text("VERSION"))
    if operation == "DESCRIBEFEATURETYPE":
        return DescribeFeatureType(types=_types(parameters))
    if operation in ("LISTSTOREDQUERIES", "DESCRIBESTOREDQUERIES"):
        return StoredQueries(is_described=operation.startswith("DESCRIBE"))
    if operation == "GETFEATURE":
        return _get_feature(parameters, filters[0] if filters else "")
    raise invalid("OperationNotSupported", "request", "not-one-of", name="REQUEST", value=parameters.text("REQUEST"), choices=", ".join(OPERATIONS))


def _check_version(text: str) -> None:
    if text and text not in ("2.0.0", "2.0.2", "2.0"):
        raise invalid("InvalidParameterValue", "version", "version", value=text, service="WFS", choices=VERSION)


def type_name(text: str, locator: str = "typeNames") -> FeatureTypeName:
    """`gs:dlg.HYDL`, `dlg.2011.HYDL`, `dlg@2011.HYDL`."""
    plain = property_of(text) if ":" in text else text.strip()
    layer, dot, rest = plain.partition(".")
    edition, second, table = rest.rpartition(".")
    try:
        if dot and second and "@" not in layer and TABLE.fullmatch(table):
            return FeatureTypeName(LayerName.parse(f"{layer}@{edition}"), table)
        return FeatureTypeName.parse(plain)
    except ValueError:
        raise invalid("InvalidParameterValue", locator, "wfs-type-name", value=text) from None


def xml_name(name: FeatureTypeName) -> str:
    """
    >>> xml_name(type_name("dlg@2011.HYDL"))
    'dlg.2011.HYDL'
    """
    return ".".join(one for one in (name.layer.layer, name.layer.edition, name.table) if one)


def _types(parameters: Parameters) -> tuple[FeatureTypeName, ...]:
    text = parameters.text("TYPENAMES") or parameters.text("TYPENAME")
    return tuple(type_name(one) for one in dict.fromkeys(text.replace("(", "").replace(")", ",").split(",")) if one.strip())


RID = re.compile(r"(.{1,200})\.([0-9a-f]{32})")


def _get_feature(parameters: Parameters, filter_text: str) -> GetFeature:
    for name, mend in NOT_TAKEN.items():
        if parameters.text(name):
            raise invalid("OptionNotSupported", name, "wfs-not-taken", name=name, mend=mend)
    stored = parameters.text("STOREDQUERY_ID") or parameters.text("STOREDQUERYID")
    if stored:
        return _by_id(stored, parameters.required("ID", "name the feature"), parameters)
    ids = tuple(one.strip() for one in (parameters.text("RESOURCEID") or parameters.text("FEATUREID")).split(",") if one.strip())
    box = parameters.text("BBOX")
    if sum(map(bool, (filter_text, box, ids))) > 1:
        raise invalid("InvalidParameterValue", "FILTER", "wfs-two-filters")
    asked = Filter(ids=ids) if ids else _box(box) if box else parse_filter_text(filter_text.strip("() ")) if filter_text else Filter()
    types = _types(parameters) or tuple(dict.fromkeys(_type_of_id(one) for one in asked.ids))
    if not types:
        parameters.required("TYPENAMES", "name one feature type of the capabilities")
    return _question(
        types, asked, srs=parameters.text("SRSNAME"), form=parameters.text("OUTPUTFORMAT"), result=parameters.text("RESULTTYPE"),
        count=parameters.whole("COUNT", 0, 999_999_999, default=-1) if parameters.text("COUNT") else
        parameters.whole("MAXFEATURES", 0, 999_999_999, default=DEFAULT_COUNT),
        start=parameters.whole("STARTINDEX", 0, 999_999_999, default=0), properties=parameters.text("PROPERTYNAME").strip("()").split(","),
        after=parameters.text("AFTER") or None,
    )


def _question(types, asked: Filter, *, srs: str, form: str, result: str, count: int, start: int, properties, after: str | None) -> GetFeature:
    if len(types) > 1:
        raise invalid("OperationProcessingFailed", "typeNames", "wfs-one-type")
    if result.lower() not in ("", "results", "hits"):
        raise invalid("InvalidParameterValue", "resultType", "not-one-of", name="RESULTTYPE", value=result, choices="results, hits")
    names = tuple(dict.fromkeys(name for one in properties if one.strip() and (name := property_of(one)) not in ("geometry", "*")))
    is_named = any(one.strip() for one in properties) and "*" not in [one.strip() for one in properties]
    return GetFeature(
        name=types[0], asked=asked, crs=named_crs(srs, "srsName") if srs else None, count=min(count, MOST_ITEMS), start=start, after=after,
        is_hits=result.lower() == "hits", properties=names if is_named else None, media_type=_format(form),
    )


def _format(text: str) -> str:
    if text and text.upper() not in FORMATS:
        raise invalid("InvalidParameterValue", "outputFormat", "not-one-of", name="OUTPUTFORMAT", value=text, choices=f"{GML_TYPE}, application/json")
    return FORMATS[text.upper()] if text else GML


def _by_id(stored: str, name: str, parameters: Parameters | None) -> GetFeature:
    if stored not in BY_ID_NAMES:
        raise invalid("InvalidParameterValue", "storedquery_id", "wfs-query", value=stored)
    return GetFeature(
        name=_type_of_id(name), asked=Filter(ids=(name,)), crs=None, count=1, start=0, after=None, is_hits=False, properties=None,
        media_type=_format(parameters.text("OUTPUTFORMAT") if parameters else ""), is_by_id=True,
    )


def _type_of_id(text: str) -> FeatureTypeName:
    found = RID.fullmatch(text)
    if not found:
        raise invalid("InvalidParameterValue", "resourceId", "wfs-id", value=text)
    return type_name(found[1], "resourceId")


def _box(text: str) -> Filter:
    """Four numbers in the order of their CRS, which may stand behind them."""
    texts = text.split(",")
    crs = None
    if len(texts) in (5, 7):
        crs = named_crs(texts.pop().strip(), "BBOX")
    if len(texts) not in (4, 6):
        raise invalid("InvalidParameterValue", "BBOX", "bbox-not-four", count=len(texts), order="lower corner, upper corner")
    numbers = [decimal("BBOX", one.strip(" ")) for one in texts]
    numbers = numbers if len(numbers) == 4 else [*numbers[:2], *numbers[3:5]]
    if numbers[0] > numbers[2] or numbers[1] > numbers[3]:
        raise invalid("InvalidParameterValue", "BBOX", "bbox-order", crs=crs.crs if crs else "", order="lower corner, upper corner")
    return Filter(node=Placed("intersects", _rectangle(*numbers), crs))


# -- XML

def parse_wfs_xml(body: bytes, limits: Limits) -> WfsRequest:
    """The request that an XML document spells."""
    if len(body) > LONGEST_BODY:
        raise invalid("InvalidParameterValue", "", "too-long", RequestTooLarge, name="body", count=len(body), most=LONGEST_BODY)
    root = xml_of(body)
    operation = local(root)
    if root.get("service", "WFS") != "WFS":
        raise invalid("InvalidParameterValue", "service", "not-one-of", name="service", value=root.get("service"), choices="WFS")
    if operation == "GetFeature":
        _check_version(root.get("version", ""))
        return _xml_feature(root)
    pairs = [("SERVICE", "WFS"), ("REQUEST", operation), ("VERSION", root.get("version", ""))]
    if operation == "GetCapabilities":
        accepted = ",".join(one.text or "" for one in root.iter() if isinstance(one.tag, str) and local(one) == "Version")
        pairs = [*pairs[:2], ("ACCEPTVERSIONS", accepted)]
    if operation == "DescribeFeatureType":
        pairs.append(("TYPENAMES", ",".join(one.text or "" for one in root if local(one) == "TypeName")))
    return parse_wfs(pairs, limits)


def _xml_feature(root: etree._Element) -> GetFeature:
    queries = [one for one in root if local(one) in ("Query", "StoredQuery")]
    if len(queries) != 1:
        raise invalid("OperationProcessingFailed", "Query", "wfs-one-type")
    (query,) = queries
    if local(query) == "StoredQuery":
        given = {one.get("name", "").upper(): (one.text or "").strip() for one in query if local(one) == "Parameter"}
        return _by_id(query.get("id", ""), given.get("ID", ""), None)
    parts: dict[str, list[etree._Element]] = {}
    for one in query:
        parts.setdefault(local(one), []).append(one)
    for name in parts.keys() - {"PropertyName", "Filter"}:
        raise invalid("OptionNotSupported", name, "wfs-not-taken", name=name, mend=NOT_TAKEN["SORTBY"] if name == "SortBy" else "leave it out")
    asked = parse_filter(parts["Filter"][0]) if "Filter" in parts else Filter()
    types = tuple(type_name(one) for one in (query.get("typeNames") or query.get("typeName") or "").split())
    if not types:
        raise invalid("MissingParameterValue", "typeNames", "missing", name="typeNames", mend="name one feature type of the capabilities")
    limits = Parameters([("COUNT", root.get("count", "")), ("STARTINDEX", root.get("startIndex", ""))], KNOWN, Limits())
    return _question(
        types, asked, srs=query.get("srsName", ""), form=root.get("outputFormat", ""), result=root.get("resultType", ""),
        count=limits.whole("COUNT", 0, 999_999_999, default=DEFAULT_COUNT), start=limits.whole("STARTINDEX", 0, 999_999_999, default=0),
        properties=[one.text or "" for one in parts.get("PropertyName", ())], after=None,
    )
