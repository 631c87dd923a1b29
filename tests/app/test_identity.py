"""Who asks: five ways to carry a key, one answer."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from agreements.model import Agency, Key, RegisterSnapshot
from geoserver_app.identity import Carriage, Unidentified, identify, presented_key, strip_path_key

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
