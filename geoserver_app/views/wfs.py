"""WFS 2.0.0 at /wfs, and at /ows with SERVICE=WFS: features for who is granted GetFeature.

Reading order of an answer: who asks, what is asked, one permit that knows every attribute that was named, what `tiles.vector.conditions` lets be told,
GML or GeoJSON. A page begins where its `next` link says, by key; `startIndex` alone is counted from the beginning.
"""

from urllib.parse import urlencode
from xml.sax.saxutils import quoteattr

import flask
import numpy as np
import orjson

from agreements.model import Operation
from geoserver_app.charging import Tally
from geoserver_app.clock import now
from geoserver_app.features.collections import table_named
from geoserver_app.features.geojson import in_crs, places, spelt
from geoserver_app.features.paging import LARGEST_READ
from geoserver_app.gate import Asked, Drawn
from geoserver_app.identity import Caller
from geoserver_app.ows_documents import document
from geoserver_app.routes import governed
from geoserver_app.views.access import caller_of, language, limits, raw_query, served, service_entry
from geoserver_app.wfs.capabilities import FeatureType, feature_types, wfs_capabilities
from geoserver_app.wfs.gml import NAMESPACE, members, schema
from geoserver_app.wiring import services
from layers.model import FeatureClass
from tiles.permits import Permit
from tiles.requests import GetCapabilities, Pairs, pairs_of
from tiles.requests.features import GEOJSON
from tiles.requests.fes import NamedCrs, condition_of, urn
from tiles.requests.wfs import BY_ID, GML_TYPE, LONGEST_BODY, RID, DescribeFeatureType, GetFeature, StoredQueries, parse_wfs, parse_wfs_xml, xml_name
from tiles.requests.wfs_faults import invalid
from tiles.vector.conditions import told_where
from tiles.vector.granted import Told, told_fields

bp = flask.Blueprint("wfs", __name__)
XML = "text/xml; charset=utf-8"


@bp.get("/wfs")
@governed("GetCapabilities", "DescribeLayer", "GetFeature")
def wfs():
    return answer_wfs(caller_of("WFS"), pairs_of(raw_query()))


@bp.post("/wfs")
@governed("GetCapabilities", "DescribeLayer", "GetFeature")
def wfs_by_xml():
    caller = caller_of("WFS")
    return _answer(caller, parse_wfs_xml(flask.request.stream.read(LONGEST_BODY + 1), limits()))


def answer_wfs(caller: Caller, pairs: Pairs) -> flask.Response:
    own = [(name, value) for name, value in pairs if name not in ("key", "tk")]
    return _answer(caller, parse_wfs(own, limits()))


def _answer(caller: Caller, asked) -> flask.Response:
    match asked:
        case GetCapabilities():
            return flask.Response(wfs_capabilities(_open_types(caller), service_entry(caller), caller.address), content_type=XML)
        case DescribeFeatureType():
            return flask.Response(_described(caller, asked), content_type=f"{GML_TYPE}; charset=utf-8")
        case StoredQueries():
            services().gate.open_for(caller, Operation.GET_FEATURE, record=Operation.DESCRIBE_LAYER)
            text = document("stored_queries_wfs.xml", is_described=asked.is_described, query=BY_ID, namespace=NAMESPACE)
            return flask.Response(text, content_type=XML)
        case GetFeature():
            default = _default_crs(caller, asked)
            crs = asked.crs or _told_in(asked, default)
            answer = served(caller, [_question(asked, crs)], lambda permits: _features(caller, permits[0], asked, crs, default[0]))
            if asked.is_by_id and not answer.get_data():
                raise invalid("NotFound", "ID", "wfs-id", value=asked.asked.ids[0])
            return answer


# -- what there is

def _open_types(caller: Caller, *, is_recorded: bool = True) -> list[FeatureType]:
    recorded = {"record": Operation.DESCRIBE_LAYER} if is_recorded else {}
    return feature_types(services().gate.open_for(caller, Operation.GET_FEATURE, **recorded), language())


def _described(caller: Caller, asked: DescribeFeatureType) -> str:
    if not asked.types:
        found = [(one.name, one.visible.permit, one.table) for one in _open_types(caller)]
    else:
        permits = services().gate.permits(caller, [Asked(layer=one.layer, operation=Operation.GET_FEATURE, is_in_full=True) for one in asked.types])
        found = [(xml_name(name), permit, _table(permit, name)) for name, permit in zip(asked.types, permits, strict=True)]
    return schema([(name, table.geometry, _types(permit, table)) for name, permit, table in found])


def _types(permit: Permit, table: FeatureClass) -> dict:
    kinds = services().features.fields(permit.edition, table)
    return {name: kinds[name] for name in told_fields(permit, table)}


def _table(permit: Permit, name) -> FeatureClass:
    table = table_named(permit.edition, name)
    if table is None:
        raise invalid("InvalidParameterValue", "typeNames", "wfs-no-type", layer=name.layer)
    return table


# -- features

def _question(asked: GetFeature, crs: NamedCrs) -> Asked:
    """The CRS is always named, also where the asker left it out: grants that do not let it out in that one do not count."""
    table = asked.name.table
    named = frozenset(name if not table or name.startswith(f"{table}.") else f"{table}.{name}" for name in asked.attributes)
    return Asked(
        layer=asked.name.layer, operation=Operation.GET_FEATURE, format=asked.media_type, crs=crs.crs, is_in_full=True, attributes=named,
    )


def _features(caller: Caller, permit: Permit, asked: GetFeature, crs: NamedCrs, default: str) -> Drawn:
    table = _table(permit, asked.name)
    types = _types(permit, table)
    for name in sorted(asked.attributes):
        if name not in types and name.removeprefix(f"{table.name}.") not in types:
            raise invalid("InvalidParameterValue", "propertyName", "wfs-property", value=name, layer=xml_name(asked.name))
    condition = condition_of(asked.asked, types, default)
    fields = None if asked.properties is None else tuple(name if name in types else name.removeprefix(f"{table.name}.") for name in asked.properties)
    if asked.is_hits:
        count = len(_named(permit, table, asked)[0]) if asked.asked.ids else _counted(permit, table, condition)
        return _collection(asked, [], [], crs, permit, table, matched=str(count), links={})
    if asked.asked.ids:
        found, _ = _named(permit, table, asked, fields)
        is_last, matched = True, str(sum(map(len, found)))
    else:
        found, is_last = _page(permit, table, condition, asked, fields)
        is_exact = is_last and asked.after is None
        count = sum(map(len, found))
        matched = str(asked.start + count) if is_exact and (count or not asked.start) else "unknown"
    names = [name for some in found for name in _ids(permit, table, some)]
    links = _links(caller, asked, names, is_last)
    return _collection(asked, found, names, crs, permit, table, matched=matched, links=links)


def _default_crs(caller: Caller, asked: GetFeature) -> tuple[str, ...]:
    """Those in which the type is offered to the caller, the one by default first; of a type that is not, the same for everybody."""
    layer = asked.name.layer
    for one in _open_types(caller, is_recorded=False):
        known = one.visible
        if known.layer.name == layer.layer and (known.is_latest if layer.edition is None else known.edition.name == layer.edition):
            return one.crs
    return ("EPSG:4326",)


def _told_in(asked: GetFeature, offered: tuple[str, ...]) -> NamedCrs:
    """GeoJSON is in longitude and latitude where that is granted."""
    crs = next((one for one in ("CRS:84", "EPSG:4326") if one in offered), offered[0]) if asked.media_type == GEOJSON else offered[0]
    return NamedCrs(crs, urn(crs))


def _counted(permit: Permit, table: FeatureClass, condition) -> int:
    return sum(len(some) for some in told_where(permit, services().features, table, condition, fields=(), size=LARGEST_READ))


def _page(permit: Permit, table: FeatureClass, condition, asked: GetFeature, fields) -> tuple[list[Told], bool]:
    """Some of what is told, and whether nothing follows."""
    ids, after, skip = services().feature_ids, None, asked.start
    if asked.after is not None:
        after, skip = ids.key_of(permit.edition.layer, table.name, asked.after), 0
        if after is None:
            raise invalid("InvalidParameterValue", "AFTER", "wfs-after")
    found, room = [], asked.count
    start = None if after is None else after[0] - 1
    size = min(asked.start + asked.count + 2 if after is None else asked.count + 2, LARGEST_READ)
    for some in told_where(permit, services().features, table, condition, after=start, fields=fields, size=size):
        if after is not None:
            some = some.only((some.keys > after[0]) | (some.parts > after[1]))
        if skip:
            passed = min(skip, len(some))
            some, skip = some.only(np.arange(len(some)) >= passed), skip - passed
        if len(some) > room:
            return [*found, some.only(np.arange(len(some)) < room)] if room else found, False
        if len(some):
            found.append(some)
            room -= len(some)
    return found, True


def _named(permit: Permit, table: FeatureClass, asked: GetFeature, fields=None) -> tuple[list[Told], list[str]]:
    """The features that are named; those that are not told are left out, whether there are such or not."""
    found, names = [], []
    for text in asked.asked.ids:
        match = RID.fullmatch(text)
        known = services().feature_ids.key_of(permit.edition.layer, table.name, match[2]) if match else None
        for some in () if known is None else told_where(permit, services().features, table, None, key=known[0], fields=fields):
            if len(some := some.only(some.parts == known[1])):
                found.append(some)
                names.append(text)
    return found, names


def _ids(permit: Permit, table: FeatureClass, some: Told) -> list[str]:
    prefix = f"{permit.edition.layer}.{table.name}"
    return [f"{prefix}.{name}" for name in services().feature_ids.of(permit.edition.layer, table.name, some.keys, some.parts)]


def _links(caller: Caller, asked: GetFeature, names: list[str], is_last: bool) -> dict[str, str]:
    """`next` goes on by key; `previous` is counted."""
    if flask.request.method != "GET" or not asked.count:
        return {}
    query = {name: value for name, value in pairs_of(raw_query()) if name not in ("key", "tk") and name.upper() not in ("STARTINDEX", "AFTER", "COUNT", "MAXFEATURES")}
    query["COUNT"] = str(asked.count)
    address = caller.address("/wfs")
    address += "&" if "?" in address else "?"
    links = {}
    if asked.start:
        links["previous"] = address + urlencode(query | {"STARTINDEX": str(max(asked.start - asked.count, 0)), "COUNT": str(min(asked.count, asked.start))})
    if not is_last and names:
        links["next"] = address + urlencode(query | {"STARTINDEX": str(asked.start + len(names)), "AFTER": names[-1].rsplit(".", 1)[1]})
    return links


def _collection(asked: GetFeature, found: list[Told], names: list[str], crs: NamedCrs, permit: Permit, table: FeatureClass, *, matched: str, links: dict) -> Drawn:
    points = tuple(place for some in found for place in places(some.shapes, permit.edition.crs)) if permit.bookings else ()
    tallies = (Tally(points=points) if points else None,)
    if asked.is_by_id and not names:
        return Drawn(body=b"", content_type=XML, tallies=tallies)
    if asked.media_type == GEOJSON:
        return Drawn(body=_as_geojson(crs, found, names, permit, matched, links), content_type=GEOJSON, tallies=tallies)
    type_name = xml_name(asked.name)
    if "." not in type_name or not asked.name.table:
        type_name = f"{type_name}.{table.name}"
    written, start = [], 0
    for some in found:
        written += members(some, names[start : start + len(some)], type_name, permit.edition.crs, crs)
        start += len(some)
    if asked.is_by_id:
        content = written[0].removeprefix("<wfs:member>").removesuffix("</wfs:member>\n").replace(f"<gs:{type_name} ", f"<gs:{type_name} {SPACES} ", 1)
        return Drawn(body=f'<?xml version="1.0" encoding="UTF-8"?>\n{content}\n'.encode(), content_type=f"{GML_TYPE}; charset=utf-8", tallies=tallies)
    pages = "".join(f" {name}={quoteattr(href)}" for name, href in links.items())
    place = f'{NAMESPACE} {services().settings.public_base_url}/wfs?SERVICE=WFS&amp;VERSION=2.0.0&amp;REQUEST=DescribeFeatureType&amp;TYPENAMES=gs:{type_name}'
    head = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<wfs:FeatureCollection {SPACES} xmlns:wfs="http://www.opengis.net/wfs/2.0"'
        f' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://www.opengis.net/wfs/2.0'
        f' http://schemas.opengis.net/wfs/2.0/wfs.xsd {place}" timeStamp="{now().isoformat(timespec="seconds")}" numberMatched="{matched}"'
        f' numberReturned="{len(names)}"{pages}>\n'
    )
    return Drawn(body=(head + "".join(written) + "</wfs:FeatureCollection>\n").encode(), content_type=f"{GML_TYPE}; charset=utf-8", tallies=tallies)


SPACES = f'xmlns:gml="http://www.opengis.net/gml/3.2" xmlns:gs="{NAMESPACE}"'


def _as_geojson(crs: NamedCrs, found: list[Told], names: list[str], permit: Permit, matched: str, links: dict) -> bytes:
    """RFC 7946: longitude and latitude unless another CRS is asked, then x before y in that."""
    target, content, start = crs.crs, [], 0
    for some in found:
        shapes = spelt(in_crs(some.shapes, permit.edition.crs, target), "CRS:84")
        content += [
            {"type": "Feature", "id": name, "geometry": orjson.Fragment(shape), "properties": some.properties(position)}
            for position, (name, shape) in enumerate(zip(names[start : start + len(some)], shapes, strict=True))
        ]
        start += len(some)
    answer = {"type": "FeatureCollection", "features": content, "numberReturned": len(names), "numberMatched": int(matched) if matched.isdigit() else matched}
    if target not in ("CRS:84", "EPSG:4326"):
        answer["crs"] = {"type": "name", "properties": {"name": urn(target)}}
    answer["links"] = [{"rel": "prev" if name == "previous" else name, "href": href, "type": GEOJSON} for name, href in links.items()]
    return orjson.dumps(answer | ({"credits": list(permit.credits)} if permit.credits else {}))
