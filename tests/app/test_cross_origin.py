"""Pages of other origins: what their scripts may read, by key, from Flask and from the lane alike."""

import re
from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np
import pytest

from geoserver_app.routes import GOVERNED

PAGE, OTHER_PAGE = "https://maps.example.gov", "https://other.example.gov"
TILE = "/tiles/dom/WebMercatorQuad/14/13596/6645.png"
PATHS = {
    "tile": TILE, "wmts tile": "/wmts/1.0.0/dom/default/WebMercatorQuad/14/6645/13596.png", "tilejson": "/tiles/dom.json",
    "capabilities": "/ows?SERVICE=WMS&REQUEST=GetCapabilities", "wmts": "/wmts?SERVICE=WMTS&REQUEST=GetCapabilities", "catalogue": "/api/v1/layers",
    "refused": "/tiles/absent/WebMercatorQuad/14/13596/6645.png", "misspelt": "/ows?SERVICE=WMS&REQUEST=GetMap",
    "height": "/height?layer=dom&lon=118.75&lat=32.0", "profile": "/profile?layer=dom&line=118.75,32;118.76,32",
    "stake": "/routes/dom/point?route=G1&stake=K1", "gauges": "/gauges/dom",
}


@pytest.fixture(scope="module")
def county(lasting_house):
    house = lasting_house
    rng = np.random.default_rng(1)
    house.raster("dom", rng.integers(0, 255, (3, 400, 400), dtype=np.uint8), 379_000, 3_542_000, 10.0)
    house.agency("water")
    house.grant("water", "dom")
    for name, terms in {
        "plain": {}, "scripts": {"origins": frozenset({PAGE})}, "pages": {"referers": frozenset({PAGE})},
        "both": {"origins": frozenset({PAGE}), "referers": frozenset({PAGE})}, "elsewhere": {"origins": frozenset({OTHER_PAGE})},
    }.items():
        house.keys[name] = house.services.register.issue_key("water", name, **terms)[1]
    house.look_again()
    minutes = count()
    house.services.bad_keys.clock = lambda: datetime(2026, 11, 23, tzinfo=UTC) + timedelta(minutes=next(minutes))   # or there would be too many bad ones
    assert house.get(TILE, "water").status_code == 200                       # from now on it is at hand: the lane answers
    return house


def with_key(path: str, key: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}key={key}"


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("key, origin, allowed", [
    ("plain", PAGE, None), ("scripts", PAGE, PAGE), ("scripts", OTHER_PAGE, None), ("scripts", "null", None), ("elsewhere", PAGE, None), ("scripts", None, None),
])
def test_an_answer_may_be_read_by_the_origins_of_its_own_key(county, path, key, origin, allowed):
    answer = county.get(path, key, **({"Origin": origin} if origin else {}))
    assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    assert "Origin" in answer.headers["Vary"] and "Access-Control-Allow-Credentials" not in answer.headers
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_picture_may_be_shown_elsewhere_with_a_key_in_its_address_that_names_pages(county, path):
    for key, referer, policy in (("plain", PAGE, "same-origin"), ("pages", PAGE, "cross-origin"), ("scripts", None, "cross-origin")):
        answer = county.get(with_key(path, county.keys[key]), **({"Referer": f"{referer}/app"} if referer else {}))
        assert answer.headers.getlist("Cross-Origin-Resource-Policy") == [policy]


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("headers", ({}, {"Referer": "https://evil.test/"}, {"Origin": "https://evil.test", "Referer": f"{PAGE}/"}, {"Origin": "null"}))
def test_a_key_found_in_an_address_is_worth_nothing_to_another_page(county, path, headers):
    for key in ("pages", "both"):
        answer = county.get(with_key(path, county.keys[key]), **headers)
        assert answer.status_code == 401 and "Access-Control-Allow-Origin" not in answer.headers
        assert county.get(path, key, **headers).status_code != 401, "in a header it is a program's own"


def test_the_lane_and_flask_send_the_same_headers_to_pages_elsewhere(county):
    for key in ("plain", "scripts"):
        lane, flask = (county.get(path, key, Origin=PAGE) for path in (TILE, f"{TILE}?style=default&lang=en"))
        assert county.services.tiles is not None and {**lane.headers} == {**flask.headers}


def test_nobody_known_is_told_nothing_that_a_script_could_read(county):
    county.keys["wrong"] = "gsk_wrong"
    for agency in ("wrong", None):
        assert "Access-Control-Allow-Origin" not in county.get(TILE, agency, Origin=PAGE).headers


def test_not_modified_may_be_read_as_well(county):
    etag = county.get(TILE, "scripts").headers["ETag"]
    answer = county.get(TILE, "scripts", Origin=PAGE, **{"If-None-Match": etag})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (304, PAGE)


@pytest.mark.parametrize("path", (TILE, f"{TILE}?style=default&lang=en"))
def test_a_page_that_the_key_does_not_name_is_not_told_that_it_has_the_tile_already(county, path):
    """A browser would go on with what it kept from another key's answer, permission to read it and all."""
    etag = county.get(path, "scripts").headers["ETag"]
    for key, origin, status in (("scripts", PAGE, 304), ("scripts", "", 304), ("plain", "", 304), ("plain", PAGE, 200), ("scripts", OTHER_PAGE, 200)):
        answer = county.get(path, key, **{"If-None-Match": etag} | ({"Origin": origin} if origin else {}))
        assert answer.status_code == status, (key, origin)


def ask_before(county, path, origin=PAGE, method="GET", headers="x-api-key"):
    given = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return county.client().options(path, headers={name: value for name, value in given.items() if value})


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_browser_may_ask_beforehand_for_an_origin_that_some_key_names(county, path):
    answer = ask_before(county, path)
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Access-Control-Allow-Headers"] == "Authorization, X-API-Key" and answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    for refused in (ask_before(county, path, origin="https://evil.test"), ask_before(county, path, method="POST"), ask_before(county, path, origin="")):
        assert refused.status_code == 405 and "Access-Control-Allow-Origin" not in refused.headers


@pytest.mark.parametrize("path", ("/api/v1/keys", "/api/v1/session", "/api/v1/people", "/login", "/", "/healthz", "/api/v1/openapi.json", "/absent"))
def test_nothing_that_people_sign_in_for_is_open_to_pages_elsewhere(county, path):
    answer = ask_before(county, path)
    assert answer.status_code in (404, 405) and "Access-Control-Allow-Origin" not in answer.headers
    assert "Access-Control-Allow-Origin" not in county.get(path, Origin=PAGE).headers


def test_whatever_takes_keys_may_be_asked_for_by_pages_elsewhere_and_nothing_else(county):
    """Operations on maps have OGC's names; those of people are called `noun.verb`."""
    for rule in county.app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        operations = getattr(county.app.view_functions[rule.endpoint], GOVERNED, ())
        takes_keys = bool(operations) and not any("." in one for one in operations)
        assert (ask_before(county, path).status_code == 204) == takes_keys, rule.rule


def test_a_revoked_key_takes_its_origin_with_it(county):
    key, secret = county.services.register.issue_key("water", "brief", origins=frozenset({"https://brief.test"}))
    county.keys["brief"] = secret
    county.look_again()
    assert ask_before(county, TILE, origin="https://brief.test").status_code == 204
    county.services.register.revoke_key(key.key_id)
    county.look_again()
    assert ask_before(county, TILE, origin="https://brief.test").status_code == 405
    assert county.get(TILE, "brief", Origin="https://brief.test").status_code == 401
