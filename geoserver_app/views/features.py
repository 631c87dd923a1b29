"""OGC API - Features at /features: parts 1 (core), 2 (reference systems) and 3 (conditions in CQL2), for who is granted GetFeature.

Every collection is a table of an edition; every item is what `tiles.vector.granted` lets be told of a feature. Counts, boxes, schemas and pages are
made of what is told. A name of an attribute that is hidden gets the answer of one that does not exist: 403 of the gate.
"""

from urllib.parse import urlencode

import flask
import orjson

from agreements.model import Operation
from geoserver_app.charging import Tally
from geoserver_app.features.api_document import api_document
from geoserver_app.features.collections import Collection, collection, collections, crs_uri, schema, table_named
from geoserver_app.features.geojson import features, in_crs, places, spelt
from geoserver_app.features.pages_for_people import HTML, Sheet, of_links, rendered, words
from geoserver_app.features.paging import Page, page
from geoserver_app.gate import Asked, Drawn
from geoserver_app.identity import Caller
from geoserver_app.routes import governed, public
from geoserver_app.views.access import caller_of, language, limits, raw_query, served
from geoserver_app.wiring import services
from layers.model import FeatureClass
from tiles.permits import Permit
from tiles.requests import fault, pairs_of
from tiles.requests.features import (
    GEOJSON,
    JSON,
    AskedItem,
    AskedItems,
    FeatureTypeName,
    check_plain,
    collection_name,
    parse_format,
    parse_item,
    parse_items,
)
from tiles.vector.conditions import told_where
from tiles.vector.granted import Told, told_fields

bp = flask.Blueprint("features", __name__)

SCHEMA = "application/schema+json"
AS_PAGE = {"f": "html"}
VARY = "Accept, Authorization, X-API-Key, Origin, Accept-Language"

CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core", "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
    *(f"http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/{name}" for name in ("core", "oas30", "html", "geojson")),
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
    *(f"http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/{name}" for name in ("queryables", "queryables-query-parameters", "filter", "features-filter")),
    *(
        f"http://www.opengis.net/spec/cql2/1.0/conf/{name}"
        for name in ("cql2-text", "cql2-json", "basic-cql2", "advanced-comparison-operators", "basic-spatial-functions", "basic-spatial-functions-plus",
                     "spatial-functions")
    ),
)


# -- what there is

@bp.get("/features")
@governed("DescribeLayer")
def landing():
    caller, tongue = caller_of("DescribeLayer"), language()
    check_plain(pairs_of(raw_query()), limits())
    services().gate.visible(caller)
    links = [
        _link(caller, "/features", "self", JSON), _link(caller, "/features", "alternate", "text/html", query=AS_PAGE),
        _link(caller, "/features/api", "service-desc", "application/vnd.oai.openapi+json;version=3.0", words("api", tongue)),
        _link(caller, "/features/conformance", "conformance", JSON, words("conformance", tongue)),
        _link(caller, "/features/collections", "data", JSON, words("collections", tongue)),
    ]
    content = {"title": words("title", tongue), "description": words("intro", tongue), "links": links}
    return _told(content, Sheet(title=content["title"], intro=content["description"], links=of_links(links[2:])))


@bp.get("/features/conformance")
@public("which parts of the standard are kept")
def conformance():
    return _told({"conformsTo": list(CONFORMANCE)}, Sheet(title=words("conformance", language()), head=["URI"], rows=[(None, [one]) for one in CONFORMANCE]))


@bp.get("/features/api")
@public("the description of the interface, which names no layer")
def api():
    body = orjson.dumps(api_document(services().settings.public_base_url, language()))
    return flask.Response(body, content_type="application/vnd.oai.openapi+json;version=3.0")


@bp.get("/features/collections")
@governed("DescribeLayer")
def list_collections():
    caller, tongue = caller_of("DescribeLayer"), language()
    check_plain(pairs_of(raw_query()), limits())
    found = collections(services().gate.open_for(caller, Operation.GET_FEATURE, record=Operation.DESCRIBE_LAYER), tongue)
    links = [_link(caller, "/features/collections", "self", JSON), _link(caller, "/features/collections", "alternate", "text/html", query=AS_PAGE)]
    content = {"links": links, "collections": [_described(caller, one) for one in found]}
    rows = [(_address(caller, f"/features/collections/{one.name}", AS_PAGE), [one.name, one.title]) for one in found]
    return _told(content, Sheet(title=words("collections", tongue), head=[words("name", tongue), words("heading", tongue)], rows=rows))


@bp.get("/features/collections/<name>")
@governed("GetFeature")
def one_collection(name: str):
    caller, tongue, asked = caller_of("GetFeature"), language(), collection_name(name)
    check_plain(pairs_of(raw_query()), limits())
    _, _, found = _open(caller, asked)
    content = _described(caller, found)
    west, south, east, north = found.bounds
    facts = [(words("name", tongue), found.name), (words("box", tongue), f"{west}, {south}, {east}, {north}"), ("CRS", " ".join(found.crs))]
    links = [one for one in content["links"] if one["rel"] != "alternate"]
    return _told(content, Sheet(title=found.title, intro=found.description, facts=facts, links=of_links(links), credits=found.credits))


@bp.get("/features/collections/<name>/queryables")
@governed("GetFeature")
def queryables(name: str):
    return _schema(name, is_queryables=True)


@bp.get("/features/collections/<name>/schema")
@governed("GetFeature")
def item_schema(name: str):
    return _schema(name, is_queryables=False)


def _schema(name: str, *, is_queryables: bool) -> flask.Response:
    caller, tongue, asked = caller_of("GetFeature"), language(), collection_name(name)
    check_plain(pairs_of(raw_query()), limits())
    permit, table, found = _open(caller, asked)
    last = "queryables" if is_queryables else "schema"
    address = f"{services().settings.public_base_url}/features/collections/{found.name}/{last}"
    content = schema(permit, table, services().features.fields(permit.edition, table), found.title, address, is_queryables=is_queryables)
    rows = [(None, [field, kind.get("type") or kind.get("format"), kind.get("format", "")]) for field, kind in content["properties"].items()]
    return _told(content, Sheet(title=f"{found.title}: {words(last, tongue)}", head=[words("name", tongue), "type", "format"], rows=rows), SCHEMA)


def _open(caller: Caller, asked: FeatureTypeName) -> tuple[Permit, FeatureClass, Collection]:
    """Raises Refused where the layer is unknown or not shared, 404 where it has no such table."""
    (permit,) = services().gate.permits(caller, [Asked(layer=asked.layer, operation=Operation.GET_FEATURE, is_in_full=True)])
    table = table_named(permit.edition, asked)
    if table is not None:
        for one in services().gate.open_for(caller, Operation.GET_FEATURE):
            if one.edition.edition_id == permit.edition.edition_id:
                return permit, table, collection(one, table, asked.layer, language())
    return flask.abort(404)


def _described(caller: Caller, one: Collection) -> dict:
    path, tongue = f"/features/collections/{one.name}", language()
    links = [
        _link(caller, path, "self", JSON), _link(caller, path, "alternate", "text/html", query=AS_PAGE),
        _link(caller, f"{path}/items", "items", GEOJSON, words("items", tongue)), _link(caller, f"{path}/items", "items", "text/html", "HTML", AS_PAGE),
        _link(caller, f"{path}/queryables", "http://www.opengis.net/def/rel/ogc/1.0/queryables", SCHEMA, words("queryables", tongue)),
        _link(caller, f"{path}/schema", "http://www.opengis.net/def/rel/ogc/1.0/schema", SCHEMA, words("schema", tongue)),
    ]
    start, end = one.currency
    extent = {"spatial": {"bbox": [list(one.bounds)], "crs": crs_uri("CRS:84")}}
    if start or end:
        extent["temporal"] = {"interval": [[start and f"{start}T00:00:00Z", end and f"{end}T23:59:59Z"]]}
    return {
        "id": one.name, "title": one.title, "description": one.description, "links": links, "extent": extent, "itemType": "feature",
        "crs": [crs_uri(crs) for crs in one.crs], **({"storageCrs": crs_uri(one.storage_crs)} if one.storage_crs in one.crs else {}),
        **({"attribution": "; ".join(one.credits)} if one.credits else {}),
    }


# -- features themselves

@bp.get("/features/collections/<name>/items")
@governed("GetFeature")
def items(name: str):
    caller = caller_of("GetFeature")
    asked = parse_items(name, pairs_of(raw_query()), flask.request.headers.get("Accept", ""), limits())
    return _with_headers(served(caller, [_question(asked)], lambda permits: _items(caller, permits[0], asked)), asked.crs, asked.media_type)


@bp.get("/features/collections/<name>/items/<feature>")
@governed("GetFeature")
def item(name: str, feature: str):
    caller = caller_of("GetFeature")
    asked = parse_item(name, pairs_of(raw_query()), flask.request.headers.get("Accept", ""), limits())
    return _with_headers(served(caller, [_question(asked)], lambda permits: _item(caller, permits[0], asked, feature)), asked.crs, asked.media_type)


def _question(asked: AskedItems | AskedItem) -> Asked:
    """The gate is told every attribute that is named, by its table: it refuses those that are hidden, and those that do not exist alike."""
    return Asked(
        layer=asked.name.layer, operation=Operation.GET_FEATURE, format=asked.media_type, crs=asked.crs, is_in_full=True,
        attributes=frozenset(_qualified(name, asked.name.table) for name in asked.attributes),
    )


def _qualified(name: str, table: str) -> str:
    return name if not table or name.startswith(f"{table}.") else f"{table}.{name}"


def _items(caller: Caller, permit: Permit, asked: AskedItems) -> Drawn:
    table, fields = _table(permit, asked)
    after = None if asked.after is None else services().feature_ids.key_of(permit.edition.layer, table.name, asked.after)
    if asked.after is not None and after is None:
        raise fault("InvalidParameterValue", "after", "page-token")
    found = page(permit, services().features, table, asked.condition, limit=asked.limit, after=after, fields=fields)
    names = [name for some in found.told for name in _names(permit, table, some)]
    links = _page_links(caller, asked, found, names)
    tally = _tally(permit, found.told)
    if asked.media_type != GEOJSON:
        return _drawn(rendered(_as_sheet(caller, asked, found, names, links, permit), language()), HTML, tally)
    starts = _starts(found.told)
    content = [one for some, start in starts for one in features(some, names[start : start + len(some)], permit.edition.crs, asked.crs)]
    head = {"type": "FeatureCollection"} | ({"credits": list(permit.credits)} if permit.credits else {})
    tail = {"links": links} | ({"numberMatched": found.count} if asked.after is None and not found.has_more else {}) | {"numberReturned": found.count}
    return _drawn(b"".join([orjson.dumps(head)[:-1], b',"features":[', ",".join(content).encode(), b"],", orjson.dumps(tail)[1:]]), GEOJSON, tally)


def _item(caller: Caller, permit: Permit, asked: AskedItem, feature: str) -> Drawn:
    table, fields = _table(permit, asked)
    known = services().feature_ids.key_of(permit.edition.layer, table.name, feature)
    found = [] if known is None else list(told_where(permit, services().features, table, None, key=known[0], fields=fields))
    wanted = _part(found[0], known[1]) if found else None
    if wanted is None:
        flask.abort(404)
    (name,) = _names(permit, table, wanted)
    path = f"/features/collections/{asked.name}"
    links = [
        _link(caller, f"{path}/items/{name}", "self", GEOJSON), _link(caller, f"{path}/items/{name}", "alternate", "text/html", "HTML", AS_PAGE),
        _link(caller, path, "collection", JSON, words("collection", language())),
    ]
    tally = _tally(permit, [wanted])
    if asked.media_type != GEOJSON:
        facts = [(field, "" if value is None else str(value)) for field, value in _rows(wanted)[0].items()]
        shape = spelt(in_crs(wanted.shapes, permit.edition.crs, asked.crs), asked.crs)[0].decode()
        facts.append((words("shape", language()), shape if len(shape) < 400 else f"{shape[:400]} ..."))
        return _drawn(rendered(Sheet(title=f"{asked.name} / {name}", facts=facts, links=of_links(links[2:]), credits=permit.credits), language()), HTML, tally)
    credit = {"credits": list(permit.credits)} if permit.credits else {}
    (content,) = features(wanted, [name], permit.edition.crs, asked.crs)
    return _drawn(content[:-1].encode() + b"," + orjson.dumps(credit | {"links": links})[1:], GEOJSON, tally)


def _table(permit: Permit, asked: AskedItems | AskedItem) -> tuple[FeatureClass, tuple[str, ...] | None]:
    """The table, and the fields that are wanted. Asked after the gate: an attribute that is named and that no grant tells never comes so far."""
    table = table_named(permit.edition, asked.name)
    if table is None:
        flask.abort(404)
    telling = told_fields(permit, table)
    for name in sorted(asked.attributes):
        if name not in telling and name.removeprefix(f"{table.name}.") not in telling:
            raise fault("InvalidParameterValue", "", "no-such-property", value=name)
    fields = asked.properties and tuple(name.removeprefix(f"{table.name}.") if name not in telling else name for name in asked.properties)
    return table, fields


def _part(some: Told, part: int) -> Told | None:
    """The thing of that part; the first, where the feature was told whole to who was given the name."""
    wanted = some.parts == part
    if not wanted.any():
        if part:
            return None
        wanted[0] = True
    return some.only(wanted)


def _starts(told: tuple[Told, ...]) -> list[tuple[Told, int]]:
    starts, count = [], 0
    for some in told:
        starts.append((some, count))
        count += len(some)
    return starts


def _names(permit: Permit, table: FeatureClass, some: Told) -> list[str]:
    return services().feature_ids.of(permit.edition.layer, table.name, some.keys, some.parts)


def _tally(permit: Permit, told) -> Tally | None:
    """Each thing told counts, on the ground on which it lies; nothing counts where nothing is told."""
    points = tuple(place for some in told for place in places(some.shapes, permit.edition.crs)) if permit.bookings else ()
    return Tally(points=points) if points else None


def _drawn(body: bytes, content_type: str, tally: Tally | None) -> Drawn:
    return Drawn(body=body, content_type=content_type, tallies=(tally,))


# -- links and headers

def _page_links(caller: Caller, asked: AskedItems, found: Page, names: list[str]) -> list[dict]:
    path, query = f"/features/collections/{asked.name}/items", _repeatable()
    links = [
        _link(caller, path, "self", asked.media_type, query=query), _link(caller, f"/features/collections/{asked.name}", "collection", JSON, words("collection", language())),
        _link(caller, path, "alternate", "text/html" if asked.media_type == GEOJSON else GEOJSON, query=query | {"f": "html" if asked.media_type == GEOJSON else "json"}),
    ]
    if found.has_more:
        links.append(_link(caller, path, "next", asked.media_type, words("next", language()), query | {"after": names[-1]}))
    return links


def _repeatable() -> dict[str, str]:
    """The caller's own question, without his key: `Caller.address` puts that back where he had it."""
    return {name: value for name, value in pairs_of(raw_query()) if name not in ("key", "tk")}


def _address(caller: Caller, path: str, query: dict[str, str] | None = None) -> str:
    address = caller.address(path)
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}" if query else address


def _link(caller: Caller, path: str, relation: str, media_type: str, title: str = "", query: dict[str, str] | None = None) -> dict[str, str]:
    link = {"href": _address(caller, path, query), "rel": relation, "type": media_type}
    return link | ({"title": title} if title else {})


def _with_headers(answer: flask.Response, crs: str, media_type: str) -> flask.Response:
    answer.headers["Content-Crs"] = f"<{crs_uri(crs)}>"
    answer.headers["Vary"] = VARY
    return answer


def _told(content: dict, sheet: Sheet, media_type: str = JSON) -> flask.Response:
    """A document, as JSON or as a page."""
    is_page = parse_format(pairs_of(raw_query()), flask.request.headers.get("Accept", ""), limits()) != GEOJSON
    body, kind = (rendered(sheet, language()), HTML) if is_page else (orjson.dumps(content), media_type)
    return flask.Response(body, content_type=kind, headers={"Vary": VARY})


def _rows(some: Told) -> list[dict]:
    """Attributes of each thing, by name."""
    names = list(some.columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*some.columns.values(), strict=True)] if names else [{}] * len(some)


def _as_sheet(caller: Caller, asked: AskedItems, found: Page, names: list[str], links: list[dict], permit: Permit) -> Sheet:
    values = [row for some in found.told for row in _rows(some)]
    fields = list(values[0]) if values else []
    rows = [
        (_address(caller, f"/features/collections/{asked.name}/items/{name}", AS_PAGE), [name[:8], *row.values()])
        for name, row in zip(names, values, strict=True)
    ]
    return Sheet(
        title=str(asked.name), links=[(link["href"], link.get("title") or link["type"]) for link in links if link["rel"] != "self"],
        head=["id", *fields], rows=rows, credits=permit.credits,
    )
