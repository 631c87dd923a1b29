"""Who asks: five ways to carry a key, one answer."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from agreements.model import Agency, Key, RegisterSnapshot
from geoserver_app.identity import (
    Carriage,
    Unidentified,
    client_address,
    cross_origin_headers,
    identify,
    preflight,
    presented_key,
    strip_path_key,
)

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SECRET = "gsk_example"


def basic(user, password):
    return {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


WAYS = {
    "bearer": ({"HTTP_AUTHORIZATION": f"Bearer {SECRET}"}, Carriage.HEADER),
    "x-api-key": ({"HTTP_X_API_KEY": SECRET}, Carriage.HEADER),
    "basic with the agency": (basic("water", SECRET), Carriage.HEADER),
    "basic with the key as user": (basic(SECRET, ""), Carriage.HEADER),
    "query key": ({"QUERY_STRING": f"SERVICE=WMS&KEY={SECRET}"}, Carriage.QUERY),
    "query tk": ({"QUERY_STRING": f"tk={SECRET}"}, Carriage.QUERY),
    "path": ({"PATH_INFO": f"/k/{SECRET}/ows"}, Carriage.PATH),
}


def register(**key_terms):
    key = Key(key_id="k_1", agency_id="water", digest=hashlib.sha256(SECRET.encode()).hexdigest(), **key_terms)
    return RegisterSnapshot(epoch=1, agencies={"water": Agency(agency_id="water", name_zh="水利", name_en="Water")}, keys={key.digest: key})


def caller(environ, known=None):
    return identify(presented_key(strip_path_key(environ)), known or register(), NOW, "http://maps.test")


@pytest.mark.parametrize("way", WAYS)
def test_a_key_is_known_however_it_is_carried(way):
    environ, carriage = WAYS[way]
    found = caller(environ)
    assert (found.agency.agency_id, found.key_id, found.presented.carriage) == ("water", "k_1", carriage)


@pytest.mark.parametrize("way", WAYS)
def test_an_address_we_build_carries_on_a_query_or_path_key_and_never_one_of_a_header(way):
    environ, carriage = WAYS[way]
    address = caller(environ).address("/ows", SERVICE="WMS")
    assert (SECRET in address) == (carriage is not Carriage.HEADER)
    assert address.startswith("http://maps.test/")


def test_a_path_key_is_out_of_the_path_before_anything_is_routed_or_logged():
    assert strip_path_key({"PATH_INFO": f"/k/{SECRET}/wmts/1.0.0/x"})["PATH_INFO"] == "/wmts/1.0.0/x"


def test_two_different_keys_are_refused_and_the_same_twice_is_not():
    with pytest.raises(Unidentified, match="key-ambiguous"):
        caller({"HTTP_X_API_KEY": SECRET, "QUERY_STRING": "key=another"})
    assert caller({"HTTP_X_API_KEY": SECRET, "QUERY_STRING": f"key={SECRET}"}).key_id == "k_1"


@pytest.mark.parametrize("terms", ({"revoked": NOW}, {"expires": NOW}, {"revoked": NOW - timedelta(days=1)}))
def test_a_key_that_was_revoked_or_has_ended_counts_as_unknown(terms):
    with pytest.raises(Unidentified, match="key-unknown"):
        caller({"HTTP_X_API_KEY": SECRET}, register(**terms))


@pytest.mark.parametrize("environ", (
    {}, {"QUERY_STRING": "key="}, {"HTTP_AUTHORIZATION": "Bearer "}, {"HTTP_AUTHORIZATION": "Basic %%%"}, {"HTTP_X_API_KEY": "gsk_wrong"},
    {"HTTP_AUTHORIZATION": "Digest abc"}, {"PATH_INFO": "/k//ows"},
))
def test_no_key_or_a_wrong_one_names_no_agency(environ):
    with pytest.raises(Unidentified):
        caller(environ)


def test_a_caller_never_shows_its_key():
    found = caller({"HTTP_X_API_KEY": SECRET})
    assert SECRET not in repr(found) and SECRET not in repr(found.presented)


# From where a key counts

def trusting(*proxies: str):
    return frozenset(proxies)


PROXIES = trusting("10.0.0.0/24", "fd00::/64")


@pytest.mark.parametrize("remote, forwarded, trusted, address", [
    ("203.0.113.9", "", PROXIES, "203.0.113.9"),
    ("203.0.113.9", "10.0.0.7", PROXIES, "203.0.113.9"),                                # who is no proxy of ours is not believed
    ("203.0.113.9", "198.51.100.1", trusting(), "203.0.113.9"),
    ("10.0.0.2", "198.51.100.1", PROXIES, "198.51.100.1"),
    ("10.0.0.2", "6.6.6.6, 198.51.100.1", PROXIES, "198.51.100.1"),                     # what the client wrote itself comes first
    ("10.0.0.2", "6.6.6.6, 198.51.100.1, 10.0.0.3", PROXIES, "198.51.100.1"),           # two proxies of ours
    ("10.0.0.2", "10.0.0.9, 198.51.100.1", PROXIES, "198.51.100.1"),
    ("10.0.0.2", "10.0.0.9", PROXIES, "10.0.0.9"),
    ("10.0.0.2", "", PROXIES, "10.0.0.2"),
    ("10.0.0.2", " , ", PROXIES, "10.0.0.2"),
    ("10.0.0.2", "6.6.6.6,", PROXIES, "10.0.0.2"),                                      # a hop that says nothing ends the chain
    ("10.0.0.2", "not-an-address", PROXIES, "not-an-address"),                          # and lies in no block
    ("::ffff:10.0.0.2", "198.51.100.1", PROXIES, "198.51.100.1"),                       # IPv4 as a socket for both hands it over
    ("10.0.0.2", "::ffff:198.51.100.1", PROXIES, "::ffff:198.51.100.1"),
    ("fd00::2", "2001:db8::1", PROXIES, "2001:db8::1"),
    ("fd00::2", "2001:db8::1, ::ffff:10.0.0.3", PROXIES, "2001:db8::1"),
    ("fd01::2", "2001:db8::1", PROXIES, "fd01::2"),
])
def test_only_proxies_that_are_trusted_are_believed_about_the_address(remote, forwarded, trusted, address):
    assert client_address({"REMOTE_ADDR": remote, "HTTP_X_FORWARDED_FOR": forwarded}, trusted) == address


@pytest.mark.parametrize("header", ("HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_CLIENT_IP", "HTTP_X_CLIENT_IP", "HTTP_TRUE_CLIENT_IP"))
def test_no_other_header_tells_an_address(header):
    assert client_address({"REMOTE_ADDR": "10.0.0.2", header: "198.51.100.1"}, PROXIES) == "10.0.0.2"


@pytest.mark.parametrize("address, counts", [
    ("198.51.100.1", True), ("::ffff:198.51.100.1", True), ("198.51.101.1", False), ("2001:db8::1", True), ("2001:db9::1", False), ("", False),
    ("not-an-address", False), ("198.51.100.1:443", False),
])
def test_a_key_bound_to_networks_counts_from_them_alone(address, counts):
    known = register(networks=frozenset({"198.51.100.0/24", "2001:db8::/32"}))
    presented = presented_key({"HTTP_X_API_KEY": SECRET})
    if counts:
        assert identify(presented, known, NOW, "http://maps.test", address).key_id == "k_1"
    else:
        with pytest.raises(Unidentified, match="key-unknown"):
            identify(presented, known, NOW, "http://maps.test", address)


PAGE = "https://maps.example.gov"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("headers, is_named", [
    ({"HTTP_REFERER": f"{PAGE}/app/index.html?x=1"}, True),
    ({"HTTP_REFERER": PAGE}, True),
    ({"HTTP_REFERER": "https://MAPS.example.gov:443/"}, True),
    ({"HTTP_ORIGIN": PAGE}, True),
    ({"HTTP_ORIGIN": PAGE, "HTTP_REFERER": "https://evil.test/"}, True),           # a browser tells the origin of the script itself
    ({"HTTP_ORIGIN": "https://evil.test", "HTTP_REFERER": PAGE}, False),
    ({"HTTP_ORIGIN": "null", "HTTP_REFERER": PAGE}, False),
    ({}, False),
    ({"HTTP_REFERER": ""}, False),
    ({"HTTP_REFERER": "http://maps.example.gov/"}, False),
    ({"HTTP_REFERER": "https://maps.example.gov:8443/"}, False),
    ({"HTTP_REFERER": "https://maps.example.gov.evil.test/"}, False),
    ({"HTTP_REFERER": "https://evil.test/https://maps.example.gov"}, False),
    ({"HTTP_REFERER": "https://maps.example.gov@evil.test/"}, False),
    ({"HTTP_REFERER": "javascript://maps.example.gov"}, False),
    ({"HTTP_REFERER": "//maps.example.gov"}, False),
])
def test_a_key_in_an_address_is_taken_from_the_pages_it_names_alone(way, headers, is_named):
    environ, carriage = WAYS[way]
    known = register(referers=frozenset({PAGE}))
    if is_named or carriage is Carriage.HEADER:
        assert caller(environ | headers, known).key_id == "k_1"
    else:
        with pytest.raises(Unidentified, match="key-unknown"):
            caller(environ | headers, known)


# Pages of other origins

@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("origin, is_named", [
    (PAGE, True), ("https://evil.test", False), ("null", False), ("", False), ("*", False), ("https://MAPS.example.gov", False), (f"{PAGE}/", False),
])
def test_a_script_may_read_an_answer_where_its_very_origin_is_named_by_the_key(way, origin, is_named):
    headers = cross_origin_headers(caller(WAYS[way][0], register(origins=frozenset({PAGE}))), origin)
    assert headers.get("Access-Control-Allow-Origin") == (PAGE if is_named else None)
    assert "Access-Control-Allow-Credentials" not in headers


def test_a_page_elsewhere_may_show_pictures_of_a_key_in_the_address_that_names_pages_and_of_no_other():
    embeddable = {"Cross-Origin-Resource-Policy": "cross-origin"}
    for terms, expected in (({}, {}), ({"origins": frozenset({PAGE})}, embeddable), ({"referers": frozenset({PAGE})}, embeddable)):
        assert cross_origin_headers(caller({"QUERY_STRING": f"key={SECRET}", "HTTP_REFERER": PAGE}, register(**terms)), "") == expected
        assert cross_origin_headers(caller({"HTTP_X_API_KEY": SECRET}, register(**terms)), "") == {}


def asking(origin=PAGE, method="GET", headers="x-api-key"):
    return {"HTTP_ORIGIN": origin, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": method, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": headers}


@pytest.mark.parametrize("environ, is_answered", [
    (asking(), True), (asking(headers="authorization, X-API-Key"), True), (asking(headers=""), True), (asking(method="HEAD"), True),
    (asking(method="POST"), False), (asking(method="DELETE"), False), (asking(headers="x-csrf-token"), False), (asking(headers="cookie"), False),
    (asking(origin="https://evil.test"), False), (asking(origin="null"), False), (asking(origin=""), False), ({}, False),
])
def test_a_preflight_is_answered_for_reading_with_a_key_where_some_key_names_the_origin(environ, is_answered):
    headers = preflight(environ, register(origins=frozenset({PAGE})), NOW)
    assert (headers is not None) == is_answered
    if is_answered:
        assert headers["Access-Control-Allow-Origin"] == PAGE and "Origin" in headers["Vary"]
        assert headers["Access-Control-Allow-Methods"] == "GET, HEAD" and "*" not in str(headers)


@pytest.mark.parametrize("terms", ({"revoked": NOW}, {"expires": NOW}))
def test_a_key_that_does_not_count_opens_no_origin(terms):
    assert preflight(asking(), register(origins=frozenset({PAGE}), **terms), NOW) is None


def test_the_keys_of_an_agency_that_is_closed_open_no_origin():
    known = register(origins=frozenset({PAGE}))
    closed = RegisterSnapshot(epoch=2, agencies={"water": Agency(agency_id="water", name_zh="", name_en="", is_active=False)}, keys=known.keys)
    assert preflight(asking(), closed, NOW) is None
