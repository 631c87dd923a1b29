"""Services elsewhere as overlays: only hosts that an administrator listed, only at addresses that may be asked, with the owner's own credential, nothing kept."""

import io
import json

import numpy as np
import pytest
import shapely
from api_office import Office
from overlaying import headers, told, worker
from PIL import Image
from remote_server import serving

from geoserver_app.clock import now
from geoserver_app.overlays.faults import OverlayInvalid
from geoserver_app.overlays.fetching import CredentialBook, Fetcher, Host, HostBook, address_of, base_url, may_be_asked
from tiles.remote import Unreachable

VIEW = "CRS=EPSG:3857&BBOX=13214000,3765000,13216000,3767000&WIDTH=64&HEIGHT=64"
WMS = f"/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&STYLES=&{VIEW}&FORMAT=image/png&LAYERS="
SECRET = "s3cr3t-of-the-water-agency"


@pytest.fixture(scope="module")
def remote():
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def office(lasting_house, remote):
    office = Office(lasting_house)
    lasting_house.raster("dom", np.full((3, 64, 64), 90, dtype=np.uint8), 379_000, 3_553_000, 200.0)
    lasting_house.grant("water", "dom")
    answer = office.visitor("administrator").ask("PUT /remote-hosts/127.0.0.1", json={"port": remote.port, "is_inside": True, "note": "radar"})
    assert answer.status_code == 200, answer.text
    return office


@pytest.fixture
def house(office, remote):
    remote.mood = ""
    remote.asked.clear()
    return office.house


def ask_for(house, agency: str, remote, **others):
    body = {"kind": "wms", "url": f"http://127.0.0.1:{remote.port}/wms?map=a", "layers": ["rain"], "name": "rain", "edition": "1"} | others
    answer = house.client().post("/api/v1/overlays/remote", json=body, headers=headers(house, agency))
    house.look_again()
    return answer


@pytest.fixture(scope="module")
def radar(office, remote):
    """With a credential of water's."""
    answer = ask_for(office.house, "water", remote, credential={"kind": "header", "name": "X-Api-Key", "value": SECRET})
    assert answer.status_code == 201, answer.text
    return "water-rain"


def files_with(house, text: str) -> list:
    found = []
    for path in house.folder.rglob("*"):
        if path.is_file() and text.encode() in path.read_bytes():
            found.append(path)
    return found


# WMS

def test_it_is_drawn_by_the_other_service_with_its_owners_credential(house, remote, radar):
    answer = house.get(WMS + radar, "water")
    assert answer.status_code == 200 and Image.open(io.BytesIO(answer.data)).convert("RGB").getpixel((32, 32)) == (200, 30, 30)
    assert remote.last["layers"] == "rain" and remote.last["map"] == "a" and remote.asked[-1][1]["X-Api-Key"] == SECRET
    other = house.get(WMS.replace("EPSG:3857&BBOX=13214000,3765000,13216000,3767000", "EPSG:4549&BBOX=3540000,380000,3541000,381000") + radar, "water")
    assert other.status_code == 200 and remote.last["crs"] in ("EPSG:3857", "EPSG:4326")


def test_the_secret_is_in_no_address_file_log_or_answer(house, remote, radar):
    told_of = [house.get(path, "water").text for path in ("/api/v1/overlays", f"/api/v1/overlays/layers/{radar}", "/api/v1/layers", f"/tiles/{radar}.json")]
    assert all(SECRET not in text and "127.0.0.1" not in text for text in told_of)
    assert SECRET not in "".join(path for path, _ in remote.asked)
    assert files_with(house, SECRET) == []


def test_nothing_of_it_is_ever_kept_and_every_picture_is_asked_for_anew(house, remote, radar):
    before = len(remote.asked)
    for _ in range(2):
        assert house.get(f"/tiles/{radar}/WebMercatorQuad/14/13596/6645.png", "water").status_code == 200
    assert len(remote.asked) == before + 2
    edition = house.services.catalogue.snapshot().layers[radar].editions[0]
    assert not list((house.services.settings.cache / str(edition.edition_id)).rglob("*.png"))


def test_it_is_private_shared_by_its_owner_and_cut_like_any_other(house, radar):
    assert house.get(WMS + radar, "police").status_code == 403
    house.grant("police", radar, grantor="water", area=shapely.box(118.0, 31.0, 118.715, 33.0), attributes=None)
    answer = house.get(WMS.replace("image/png", "image/png&TRANSPARENT=TRUE") + radar, "police")
    alpha = np.asarray(Image.open(io.BytesIO(answer.data)).convert("RGBA"))[..., 3]
    assert answer.status_code == 200 and alpha[:, 0].all() and not alpha[:, -1].any()


def test_who_is_granted_some_attributes_or_rows_of_it_gets_no_picture(house, radar):
    for number, terms in enumerate(({"attributes": frozenset({"NAME"})}, {"attributes": None, "rows": "n = 1"})):
        house.agency(f"some-{number}")
        house.grant(f"some-{number}", radar, grantor="water", **terms)
        answer = house.get(WMS + radar, f"some-{number}")
        assert answer.status_code in (403, 503) and not answer.data.startswith(b"\x89PNG") and "remote" not in answer.text.partition("attribute")[2][:40]


def test_one_map_shows_the_base_and_what_is_drawn_elsewhere(house, radar):
    answer = house.get(WMS + f"dom,{radar}", "water")
    assert answer.status_code == 200 and Image.open(io.BytesIO(answer.data)).convert("RGB").getpixel((32, 32)) == (200, 30, 30)


@pytest.mark.parametrize("mood", ["redirect", "broken", "not a picture", "huge picture", "endless"])
def test_a_service_that_misbehaves_is_a_503_that_tells_nothing_of_it(house, remote, radar, mood):
    remote.mood = mood
    answer = house.get(WMS + radar, "water")
    assert answer.status_code == 503 and "Retry-After" in answer.headers
    assert "127.0.0.1" not in answer.text and "169.254" not in answer.text and SECRET not in answer.text
    assert all("169.254" not in path for path, _ in remote.asked)


def test_a_host_that_is_struck_from_the_list_is_asked_no_more(office, house, remote, radar):
    struck = office.visitor("administrator").ask(f"DELETE /remote-hosts/127.0.0.1?port={remote.port}")
    assert struck.status_code == 204
    assert house.get(WMS + radar, "water").status_code == 503 and remote.asked == []
    office.visitor("administrator").ask("PUT /remote-hosts/127.0.0.1", json={"port": remote.port, "is_inside": True})
    assert house.get(WMS + radar, "water").status_code == 200


def test_what_its_description_holds_is_read_without_entities(house, remote):
    remote.mood = "bomb"
    answer = ask_for(house, "water", remote, name="bomb")
    assert answer.status_code == 422 and "root:" not in answer.text and "aaaa" not in answer.text


FAULTS = [
    ({"url": "http://169.254.169.254/latest"}, "remote-host"), ({"url": "http://localhost:22/"}, "remote-host"), ({"url": "file:///etc/passwd"}, "remote-url"),
    ({"url": "http://user:pw@127.0.0.1/"}, "remote-url"), ({"url": "http://127.0.0.1/#x"}, "remote-url"), ({"url": "gopher://127.0.0.1/"}, "remote-url"),
    ({"layers": ["absent"]}, "remote-no-layer"), ({"credential": {"kind": "header", "name": "Host", "value": "x"}}, "remote-header"),
    ({"credential": {"kind": "header", "name": "X-A", "value": "a\r\nHost: evil"}}, "remote-header"), ({"kind": "wfs", "layers": ["w:none"]}, "remote-no-layer"),
]


@pytest.mark.parametrize(("others", "code"), FAULTS)
def test_what_can_t_be_asked_is_told_and_leaves_no_credential(house, remote, others, code):
    sealed = credentials(house)
    answer = ask_for(house, "water", remote, name="other", **others)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, code)
    assert credentials(house) == sealed


def credentials(house) -> int:
    with house.services.database.connect() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM remote_credentials").scalar()


def test_a_secret_in_the_address_is_refused(house, remote):
    for name in ("key", "token", "apikey", "tk", "password"):
        answer = ask_for(house, "water", remote, name="other", url=f"http://127.0.0.1:{remote.port}/wms?{name}=abc")
        assert answer.json["errors"][0]["code"] == "remote-url-secret" and "abc" not in answer.text


def test_a_credential_goes_with_the_overlay_that_is_withdrawn(house, remote):
    before = credentials(house)
    assert ask_for(house, "water", remote, name="brief", credential={"kind": "bearer", "token": "t"}).status_code == 201
    assert credentials(house) == before + 1
    assert house.client().delete("/api/v1/overlays/layers/water-brief/editions/1", headers=headers(house, "water")).status_code == 204
    assert credentials(house) == before


# WFS

def test_features_are_taken_in_as_a_snapshot_and_refreshed_as_another_edition(house, remote):
    remote.features = 5_003
    answer = ask_for(house, "water", remote, kind="wfs", layers=["w:gauges"], name="gauges", credential={"kind": "basic", "user": "u", "password": SECRET})
    assert answer.status_code == 201, answer.text
    worker(house).work()
    assert told(house, "water", answer.json["upload"]["upload"])["state"] == "published"
    layer = house.services.catalogue.snapshot().layers["water-gauges"]
    assert layer.editions[0].classes[0].count == 5_003 and layer.editions[0].source.value == "stored"
    assert SECRET not in json.dumps(layer.editions[0].remote) and remote.asked[-1][1]["Authorization"].startswith("Basic ")
    remote.features = 2
    refreshed = house.client().post("/api/v1/overlays/layers/water-gauges/refresh", headers=headers(house, "water"))
    assert refreshed.status_code == 202
    worker(house).work()
    editions = house.services.catalogue.snapshot().layers["water-gauges"].editions
    assert sorted(one.classes[0].count for one in editions) == [2, 5_003]
    assert house.client().post("/api/v1/overlays/layers/water-gauges/refresh", headers=headers(house, "police")).status_code == 404


def test_only_administrators_see_and_change_the_list(office):
    for login in ("member", "data_manager", "auditor"):
        assert office.visitor(login).ask("GET /remote-hosts").status_code == 403
        assert office.visitor(login).ask("PUT /remote-hosts/evil.test", json={}).status_code == 403


# Addresses

INSIDE = ("10.0.0.1", "172.16.5.4", "192.168.1.1", "fd00::1", "100.64.0.1")
NEVER = ("169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "fe80::1", "ff02::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "not an address")
HERE = ("127.0.0.1", "::1", "127.9.9.9", "::ffff:127.0.0.1", "64:ff9b::7f00:1")


def test_which_addresses_may_be_asked():
    assert may_be_asked("93.184.216.34", is_inside=False) and may_be_asked("2606:2800:220:1::1", is_inside=False)
    for address in INSIDE:
        assert not may_be_asked(address, is_inside=False) and may_be_asked(address, is_inside=True)
    for address in NEVER:
        assert not may_be_asked(address, is_inside=True, is_here=True)
    for address in HERE:
        assert not may_be_asked(address, is_inside=True) and may_be_asked(address, is_inside=True, is_here=True)


@pytest.mark.parametrize("answers", [["93.184.216.34", "127.0.0.1"], ["10.0.0.1"], ["127.0.0.1"], ["::ffff:127.0.0.1"], []])
def test_a_listed_name_that_stands_for_an_address_inside_is_not_asked(house, answers):
    """Also where only one of its addresses is: a name may answer otherwise the next time, but is not asked a second time."""
    hosts = HostBook(house.services.database, now)
    hosts.put(Host(host="rebound.test", port=80, is_inside=False))
    asked = []

    def resolve(host, port):
        asked.append(host)
        return answers

    door = Fetcher(hosts, CredentialBook(house.services.database, b"x", now), resolve)
    with pytest.raises(Unreachable, match="may not be asked"):
        door.fetch("http://rebound.test/", credential=None, most_bytes=100)
    assert asked == ["rebound.test"]
    hosts.remove("rebound.test", 80)


def test_the_connection_goes_to_the_address_that_was_looked_at(house, remote):
    hosts = HostBook(house.services.database, now)
    hosts.put(Host(host="localhost", port=remote.port, is_inside=True))
    calls = []
    door = Fetcher(hosts, CredentialBook(house.services.database, b"x", now), lambda host, port: calls.append(host) or ["127.0.0.1"])
    fetched = door.fetch(f"http://localhost:{remote.port}/?SERVICE=WFS&REQUEST=GetCapabilities", credential=None, most_bytes=10_000)
    assert fetched.media_type == "text/xml" and calls == ["localhost"] and remote.asked[-1][1]["Host"] == f"localhost:{remote.port}"
    with pytest.raises(Unreachable, match="more than"):
        door.fetch(f"http://localhost:{remote.port}/?SERVICE=WFS&REQUEST=GetCapabilities", credential=None, most_bytes=100)


def test_a_slow_service_is_left(house, remote):
    hosts = HostBook(house.services.database, now)
    hosts.put(Host(host="localhost", port=remote.port, is_inside=True))
    remote.mood = "slow"
    door = Fetcher(hosts, CredentialBook(house.services.database, b"x", now), lambda host, port: ["127.0.0.1"])
    with pytest.raises(Unreachable, match="too long"):
        door.fetch(f"http://localhost:{remote.port}/?SERVICE=WFS&REQUEST=GetCapabilities", credential=None, most_bytes=10_000, seconds=0.3)


def test_a_credential_is_sent_to_its_own_host_alone_and_opened_by_its_own_instance_alone(house):
    book = CredentialBook(house.services.database, b"one", now)
    found = book.keep("water", "a.test:443", "Authorization", "Bearer x")
    assert book.header_for(found, "a.test:443") == ("Authorization", "Bearer x")
    for other, host in ((book, "b.test:443"), (book, "a.test:80"), (CredentialBook(house.services.database, b"two", now), "a.test:443")):
        with pytest.raises(Unreachable):
            other.header_for(found, host)
    book.forget(found)


@pytest.mark.parametrize("url", [
    "http://a.test\\@b.test/", "http://a.test /", "http://a.test/\n", "http://", "//a.test/", "http://a_b/", "http://a.test:99999/", "http://[::1%25lo]/", "http://测试/",
])
def test_urls_that_two_readers_might_read_differently_are_none(url):
    with pytest.raises(OverlayInvalid):
        address_of(url)


def test_an_address_with_a_port_and_a_query_is_taken_apart_once():
    found = address_of("https://Maps.Example.gov:8443/a/b?x=1")
    assert (found.name, found.target, found.scheme) == ("maps.example.gov:8443", "/a/b?x=1", "https")
    assert base_url("https://maps.example.gov/wms?map=/a") == "https://maps.example.gov/wms?map=/a"
