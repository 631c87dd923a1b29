"""Nothing is reached but through the gate: every route is listed here, and an agency with nothing gets nothing from any of them."""

import json

import numpy as np
import pytest

from geoserver_app.decision_log import read_segment
from geoserver_app.routes import GOVERNED, PUBLIC

WMS = "/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST="
BOX = "CRS=EPSG:4549&BBOX=3540000,380000,3541000,381000&WIDTH=64&HEIGHT=64"
OPERATIONS = {
    "WMS GetCapabilities": f"{WMS}GetCapabilities",
    "WMS 1.1.1 GetCapabilities": "/wms?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetCapabilities",
    "WMS GetMap": f"{WMS}GetMap&LAYERS={{layer}}&STYLES=&{BOX}&FORMAT=image/png",
    "WMS GetFeatureInfo": f"{WMS}GetFeatureInfo&LAYERS={{layer}}&QUERY_LAYERS={{layer}}&STYLES=&{BOX}&FORMAT=image/png&I=1&J=1&INFO_FORMAT=application/json",
    "WMS GetLegendGraphic": f"{WMS}GetLegendGraphic&LAYER={{layer}}&FORMAT=image/png&SLD_VERSION=1.1.0",
    "WMTS GetCapabilities": "/wmts?SERVICE=WMTS&REQUEST=GetCapabilities",
    "WMTS REST capabilities": "/wmts/1.0.0/WMTSCapabilities.xml",
    "WMTS GetTile": "/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER={layer}&STYLE=&TILEMATRIXSET=WebMercatorQuad&TILEMATRIX=14"
                    "&TILEROW=6645&TILECOL=13596&FORMAT=image/png",
    "WMTS through /ows": "/ows?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER={layer}&STYLE=&TILEMATRIXSET=WebMercatorQuad&TILEMATRIX=14"
                         "&TILEROW=6645&TILECOL=13596&FORMAT=image/png",
    "WMTS REST tile": "/wmts/1.0.0/{layer}/default/WebMercatorQuad/14/6645/13596.png",
    "XYZ tile": "/tiles/{layer}/WebMercatorQuad/14/13596/6645.png",
    "TileJSON": "/tiles/{layer}.json",
    "TileJSON of a set": "/tiles/{layer}/tdt_c.json",
    "vector tile": "/tiles/{layer}/WebMercatorQuad/14/13596/6645.mvt",
    "WMTS REST vector tile": "/wmts/1.0.0/{layer}/default/WebMercatorQuad/14/6645/13596.pbf",
    "vector TileJSON": "/tiles/{layer}/vector.json",
    "vector TileJSON of a set": "/tiles/{layer}/tdt_c/vector.json",
    "style of vector tiles": "/styles/{layer}.json",
    "Download": "/download/{layer}.zip?CRS=EPSG:4549&BBOX=380000,3540000,381000,3541000&RESOLUTION=10",
    "WCS GetCapabilities": "/wcs?SERVICE=WCS&REQUEST=GetCapabilities",
    "WCS 1.0.0 GetCapabilities through /ows": "/ows?SERVICE=WCS&VERSION=1.0.0&REQUEST=GetCapabilities",
    "WCS 1.0.0 descriptions of all, as capabilities": "/wcs?SERVICE=WCS&VERSION=1.0.0&REQUEST=DescribeCoverage",
    "WCS DescribeCoverage": "/wcs?SERVICE=WCS&VERSION=2.0.1&REQUEST=DescribeCoverage&COVERAGEID={layer}",
    "WCS 1.0.0 DescribeCoverage": "/wcs?SERVICE=WCS&VERSION=1.0.0&REQUEST=DescribeCoverage&COVERAGE={layer}",
    "WCS GetCoverage": "/wcs?SERVICE=WCS&VERSION=2.0.1&REQUEST=GetCoverage&COVERAGEID={layer}&SUBSET=X(3540000,3541000)&SUBSET=Y(380000,381000)",
    "WCS 1.0.0 GetCoverage": "/wcs?SERVICE=WCS&VERSION=1.0.0&REQUEST=GetCoverage&COVERAGE={layer}&CRS=EPSG:4549&BBOX=380000,3540000,381000,3541000"
                             "&WIDTH=64&HEIGHT=64&FORMAT=image/tiff",
    "WCS through /ows": "/ows?SERVICE=WCS&VERSION=2.0.1&REQUEST=GetCoverage&COVERAGEID={layer}&SUBSET=X(3540000,3541000)&SUBSET=Y(380000,381000)",
    "water level": f"{WMS}GetMap&LAYERS={{layer}}&STYLES=water-level&WATER_LEVEL=3.8&WATER_DATUM=wusong&{BOX}&FORMAT=image/png",
    "height": "/height?layer={layer}&lon=118.75&lat=32.0",
    "heights": "/height?layer={layer}&points=118.75,32.0;118.76,32.0",
    "profile": "/profile?layer={layer}&line=118.75,32.0;118.76,32.0&samples=5",
    "terrain tile": "/tiles/{layer}/WebMercatorQuad/14/13596/6645.png?style=terrain-rgb",
    "terrain TileJSON": "/tiles/{layer}.json?style=terrarium",
    "catalogue": "/api/v1/layers",
    "sheets of the standard": "/sheets?q=I50G095077",
    "a sheet of the standard": "/sheets/I50G095077",
    "sheets of a layer": "/layers/{layer}/sheets",
    "live events": "/live/{layer}/events",
    "features landing page": "/features",
    "features collections": "/features/collections",
    "features collection": "/features/collections/{layer}.HYDL",
    "features queryables": "/features/collections/{layer}.HYDL/queryables",
    "features schema": "/features/collections/{layer}.HYDL/schema",
    "features items": "/features/collections/{layer}.HYDL/items?bbox=118,32,119,33&limit=10",
    "features item": "/features/collections/{layer}.HYDL/items/00000000000000000000000000000000",
    "nearest features": "/features/collections/{layer}.HYDL/nearest?lon=118.75&lat=32.0",
    "containing features": "/features/collections/{layer}.HYDL/containing?lon=118.75&lat=32.0",
    "routes": "/routes/{layer}",
    "place of a stake": "/routes/{layer}/point?route=G104&stake=K12%2B300",
    "stretch of a route": "/routes/{layer}/stretch?route=G104&from=K12&to=K13",
    "stake of a place": "/routes/{layer}/stake?lon=118.75&lat=32.0",
    "events of a route": "/routes/{layer}/events?route=G104",
    "gauges": "/gauges/{layer}?over=warning",
    "level of a gauge": "/gauges/{layer}.levels/level?gauge=99900001",
    "ground below a gauge": "/gauges/{layer}/inundation?gauge=99900001&dem={layer}&crs=EPSG:4549&bbox=380000,3540000,381000,3541000",
    "WFS GetCapabilities": "/wfs?SERVICE=WFS&REQUEST=GetCapabilities",
    "WFS capabilities through /ows": "/ows?SERVICE=WFS&REQUEST=GetCapabilities",
    "WFS schemas of all, as capabilities": "/wfs?SERVICE=WFS&VERSION=2.0.0&REQUEST=DescribeFeatureType",
    "WFS stored queries, beside the capabilities": "/wfs?SERVICE=WFS&VERSION=2.0.0&REQUEST=ListStoredQueries",
    "WFS DescribeFeatureType": "/wfs?SERVICE=WFS&VERSION=2.0.0&REQUEST=DescribeFeatureType&TYPENAMES=gs:{layer}.HYDL",
    "WFS GetFeature": "/wfs?SERVICE=WFS&VERSION=2.0.0&REQUEST=GetFeature&TYPENAMES=gs:{layer}.HYDL&COUNT=10",
    "WFS hits": "/ows?SERVICE=WFS&VERSION=2.0.0&REQUEST=GetFeature&TYPENAMES=gs:{layer}.HYDL&RESULTTYPE=hits",
    "lineage": "/lineage?layer={layer}&bbox=118.7,32,118.9,32.1",
}
DESCRIBING = ("GetCapabilities", "capabilities", "catalogue", "of the standard", "landing page", "features collections")


@pytest.fixture(scope="module")
def county(lasting_house):
    rng = np.random.default_rng(1)
    lasting_house.raster("secret-dom", rng.integers(0, 255, (3, 400, 400), dtype=np.uint8), 379_000, 3_542_000, 10.0)
    lasting_house.agency("nobody")
    lasting_house.agency("somebody")
    lasting_house.grant("somebody", "secret-dom")
    return lasting_house


def views(house):
    return {rule.endpoint: house.app.view_functions[rule.endpoint] for rule in house.app.url_map.iter_rules()}


def records(house):
    return [event for path in sorted(house.services.settings.decisions.rglob("*.jsonl")) for event in read_segment(path)]


def test_every_route_says_whether_it_is_governed_or_why_it_is_open(county):
    for endpoint, view in views(county).items():
        if endpoint != "static":
            assert hasattr(view, GOVERNED) != hasattr(view, PUBLIC), f"{endpoint} must be marked @governed or @public"


def test_no_route_of_the_tile_engine_is_mounted(county):
    rules = {rule.rule for rule in county.app.url_map.iter_rules()}
    assert not [rule for rule in rules if any(word in rule for word in ("demo/", "kml", "ogcapi", "service", "tms/"))]
    for path in ("/service", "/demo/", "/kml/secret-dom/EPSG3857/0/0/0.png", "/ogcapi", "/tms/1.0.0/", "/cache/", "/store/"):
        assert county.get(path, "somebody").status_code == 404


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_agency_with_nothing_gets_a_refusal_or_an_empty_description(county, name):
    answer = county.get(OPERATIONS[name].format(layer="secret-dom"), "nobody")
    if any(word in name for word in DESCRIBING):
        assert answer.status_code == 200 and b"secret" not in answer.data
        if name == "catalogue":
            assert answer.json["layers"] == []
    else:
        assert answer.status_code == 403
        assert not answer.data.startswith((b"\x89PNG", b"\xff\xd8", b"II*"))


@pytest.mark.parametrize("name", OPERATIONS)
def test_nobody_at_all_gets_401(county, name):
    assert county.get(OPERATIONS[name].format(layer="secret-dom")).status_code == 401
    path, place = OPERATIONS[name].format(layer="secret-dom"), f"192.0.2.{list(OPERATIONS).index(name) % 250 + 1}"       # one address guesses but so often
    assert county.client().get(path, headers={"X-API-Key": "gsk_not_a_key"}, environ_overrides={"REMOTE_ADDR": place}).status_code == 401


@pytest.mark.parametrize("name", [name for name in OPERATIONS if not any(word in name for word in DESCRIBING)])
def test_an_unknown_layer_and_an_unshared_one_are_answered_alike(county, name):
    unshared, unknown = (county.get(OPERATIONS[name].format(layer=layer), "nobody") for layer in ("secret-dom", "absent-dom"))
    assert unshared.status_code == unknown.status_code
    assert steady(unshared.data).replace(b"secret-dom", b"absent-dom") == steady(unknown.data)
    assert dict(unshared.headers) | {"Content-Length": ""} == dict(unknown.headers) | {"Content-Length": ""}


def steady(body: bytes) -> bytes:
    """The answer without the number of its own record."""
    try:
        content = json.loads(body)
    except ValueError:
        return body
    content.pop("instance", None)
    return json.dumps(content).encode()


@pytest.mark.parametrize("agency", ("nobody", "somebody", None))
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_leaves_a_decision_record(county, name, agency):
    before = len(records(county))
    county.get(OPERATIONS[name].format(layer="secret-dom"), agency)
    new = records(county)[before:]
    assert len(new) >= 1
    assert all(county.keys["somebody"] not in json.dumps(event) and county.keys["nobody"] not in json.dumps(event) for event in new)
    assert {event.get("agency") for event in new} == {agency}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("method", ("POST", "PUT", "DELETE", "PATCH"))
def test_only_reading_methods_are_answered(county, name, method):
    answer = county.client().open(OPERATIONS[name].format(layer="secret-dom"), method=method, headers={"X-API-Key": county.keys["somebody"]})
    if method == "POST" and OPERATIONS[name].startswith("/wfs"):        # where a question may be an XML document, and nothing is none
        assert answer.status_code == 400 and b"OperationParsingFailed" in answer.data
    else:
        assert answer.status_code == 405


@pytest.mark.parametrize("name", OPERATIONS)
def test_head_is_decided_like_get_and_sends_no_body(county, name):
    for agency in ("somebody", "nobody"):
        path, headers = OPERATIONS[name].format(layer="secret-dom"), {"X-API-Key": county.keys[agency]}
        got, head = county.client().get(path, headers=headers), county.client().head(path, headers=headers)
        assert (head.status_code, head.data) == (got.status_code, b"")


@pytest.mark.parametrize("name", [name for name in OPERATIONS if not any(word in name for word in DESCRIBING)])
def test_the_record_of_an_unshared_layer_holds_what_that_of_an_unknown_one_holds(county, name):
    """An agency may have its own rows of the record."""
    lines = []
    for layer in ("secret-dom", "absent-dom"):
        before = len(records(county))
        county.get(OPERATIONS[name].format(layer=layer), "nobody")
        lines.append([{k: v for k, v in event.items() if k not in ("id", "at", "seal")} for event in records(county)[before:]])
    assert json.dumps(lines[0]).replace("secret-dom", "absent-dom") == json.dumps(lines[1])


@pytest.mark.parametrize("override", ("X-HTTP-Method-Override", "X-Forwarded-Host", "X-Original-URL", "X-Rewrite-URL"))
def test_headers_that_rewrite_requests_change_nothing(county, override):
    answer = county.get(OPERATIONS["WMS GetMap"].format(layer="secret-dom"), "nobody", **{override: "evil.test"})
    assert answer.status_code == 403 and b"evil.test" not in answer.data
    capabilities = county.get(OPERATIONS["WMS GetCapabilities"], "somebody", **{override: "evil.test"})
    assert b"evil.test" not in capabilities.data and b"http://maps.test/" in capabilities.data


@pytest.mark.parametrize("path", (
    "/tiles/../ows", "/tiles/secret-dom/WebMercatorQuad/14/13596/../13596/6645.png", "/tiles//secret-dom/WebMercatorQuad/14/13596/6645.png",
    "/tiles/secret-dom/WebMercatorQuad/14/13596/6645.png/", "/TILES/secret-dom/WebMercatorQuad/14/13596/6645.png",
    "/tiles/secret%2Ddom/WebMercatorQuad/14/13596/6645.png", "/tiles/secret-dom;x=1/WebMercatorQuad/14/13596/6645.png",
    "/wmts/1.0.0/secret-dom/default/WebMercatorQuad/14/6645/13596.png%00", "/tiles/secret-dom/WebMercatorQuad/14/13596/6645.png.jpg",
))
def test_no_spelling_of_a_path_passes_the_gate(county, path):
    answer = county.get(path, "nobody")
    assert answer.status_code in (400, 401, 403, 404, 308)
    assert not answer.data.startswith((b"\x89PNG", b"\xff\xd8", b"RIFF"))
