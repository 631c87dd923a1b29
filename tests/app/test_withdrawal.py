"""An edition that is withdrawn while it is served is gone everywhere within five seconds, in every worker, and stays gone."""

import io
import time
from datetime import date

import numpy as np
import pytest
from numbered_sheets import SQUARE, deliver, publish
from ordering import made
from PIL import Image

from geoserver_app import create_app
from geoserver_app.downloads import BrokenOff
from geoserver_app.ingesting import remove
from geoserver_app.sheets.indexing import make_index
from geoserver_app.wiring import wire
from layers.sheets import sheet_bounds

NUMBER = SQUARE[0]
WITHIN = 5.0
GREEN, RED, BLUE = (20, 200, 20), (200, 20, 20), (20, 20, 200)
WEST, SOUTH, EAST, NORTH = sheet_bounds(NUMBER)
BOX = "CRS=EPSG:4549&BBOX=3548000,383000,3551000,387000&WIDTH=40&HEIGHT=30&FORMAT=image/png&STYLES="
WMS = "/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST="
TILES = ("/tiles/dom@2011/WebMercatorQuad/14/13597/6650.png", "/wmts/1.0.0/dom@2011/default/WebMercatorQuad/14/6650/13597.png")

NAMED = (
    f"{WMS}GetMap&{BOX}&LAYERS=dom@2011", f"/wms?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&{BOX}&LAYERS=dom@2011&TIME=2011",
    f"{WMS}GetFeatureInfo&{BOX}&LAYERS=dom@2011&QUERY_LAYERS=dom@2011&I=9&J=9&INFO_FORMAT=application/json",
    f"{WMS}GetLegendGraphic&LAYER=dom@2011&FORMAT=image/png", *TILES,
    "/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=dom@2011&STYLE=&TILEMATRIXSET=WebMercatorQuad&TILEMATRIX=14&TILEROW=6650&TILECOL=13597&FORMAT=image/png",
    "/tiles/dom@2011.json", "/layers/dom@2011/sheets", "/layers/dom/sheets?edition=2011", f"/lineage?layer=dom@2011&bbox={WEST},{SOUTH},{EAST},{NORTH}",
    "/download/dom@2011.zip?CRS=EPSG:4549&BBOX=383000,3548000,384000,3549000&RESOLUTION=50",
    "/wcs?SERVICE=WCS&VERSION=1.0.0&REQUEST=GetCoverage&COVERAGE=dom@2011&CRS=EPSG:4549&BBOX=383000,3548000,384000,3549000&WIDTH=20&HEIGHT=20&FORMAT=GeoTIFF",
)
"""Each is about the edition by its name: refused once it is gone."""

TOLD = {
    f"{WMS}GetCapabilities": b"2011-05-01", "/ows?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetCapabilities": b"2011-05-01", "/api/v1/layers": b'"edition":"2011"',
    "/layers/dom/sheets": b'"edition":"2011"', f"/sheets/{NUMBER}": b'"edition":"2011"', f"/lineage?layer=dom&bbox={WEST},{SOUTH},{EAST},{NORTH}": b'"edition":"2011"',
    f"{WMS}GetFeatureInfo&{BOX}&LAYERS=dom-sheets&QUERY_LAYERS=dom-sheets&I=9&J=9&INFO_FORMAT=application/json&FEATURE_COUNT=9": b'"EDITION": "2011"',
}
"""Each tells of the edition among others: no word of it once it is gone."""


@pytest.fixture(scope="module")
def office(lasting_house):
    house = lasting_house
    publish(house, "dom", deliver(house.folder / "old", NUMBER, RED), product="DOM", edition="2006", currency=(date(2006, 5, 1), date(2006, 9, 1)), lossless=True)
    house.agency("reader")
    house.grant("reader", "dom", "dom-sheets", attributes=None)
    return house


@pytest.fixture
def workers(office):
    """Three workers over one database, store and cache, each with what it remembers itself; the edition of 2011 in green, and the index of all."""
    publish(office, "dom", deliver(office.folder / "new", NUMBER, GREEN), product="DOM", edition="2011", currency=(date(2011, 5, 1), date(2011, 9, 1)), lossless=True)
    make_index(office.services.settings, "dom")
    office.look_again()
    settings = office.services.settings
    others = [wire(settings), wire(settings)]
    yield [office.app, *(create_app(settings, one) for one in others)]
    for one in others:
        one.log.close()
        one.database.dispose()
    for name in ("dom@2011",):
        if office.services.catalogue.snapshot().layers["dom"].edition(name.split("@")[1]):
            remove(settings, name)


def get(office, worker, path: str, **headers):
    return worker.test_client().get(path, headers={"X-API-Key": office.keys["reader"], **headers})


def colour(answer) -> tuple[int, int, int]:
    assert answer.status_code == 200, answer.text
    pixels = np.asarray(Image.open(io.BytesIO(answer.data)).convert("RGB"))
    return tuple(int(value) for value in pixels[pixels.shape[0] // 2, pixels.shape[1] // 2])


def plain(body: bytes) -> bytes:
    return body.replace(b'": "', b'":"')


def test_everything_of_a_withdrawn_edition_is_gone_from_every_worker_within_five_seconds(office, workers):
    etags = {}
    for worker in workers:
        for path in NAMED:
            answer = get(office, worker, path)
            assert answer.status_code == 200, f"{path}: {answer.text[:300]}"
            if path in TILES:
                etags[path] = answer.headers["ETag"]
                assert get(office, worker, path, **{"If-None-Match": etags[path]}).status_code == 304
        for path, word in TOLD.items():
            assert plain(word) in plain(get(office, worker, path).data), path
        assert colour(get(office, worker, f"{WMS}GetMap&{BOX}&LAYERS=dom")) == GREEN

    begun = time.monotonic()
    remove(office.services.settings, "dom@2011")
    waiting = [(worker, path) for worker in workers for path in (*NAMED, *TOLD)]
    while waiting and time.monotonic() - begun < WITHIN:
        waiting = [(worker, path) for worker, path in waiting if not is_gone(get(office, worker, path), path)]
    assert not waiting, f"still there after {WITHIN} s: {sorted({path for _, path in waiting})}"

    for worker in workers:
        for path, etag in etags.items():
            assert get(office, worker, path, **{"If-None-Match": etag, "If-Modified-Since": "Fri, 31 Dec 2099 23:59:59 GMT"}).status_code == 403
        assert colour(get(office, worker, f"{WMS}GetMap&{BOX}&LAYERS=dom")) == RED
        assert colour(get(office, worker, f"{WMS}GetMap&{BOX}&LAYERS=dom&TIME=2011")) == RED       # the last that was true before
        unknown, gone = (get(office, worker, f"{WMS}GetMap&{BOX}&LAYERS=dom@{edition}") for edition in ("1066", "2011"))
        assert gone.data == unknown.data.replace(b"1066", b"2011")


def is_gone(answer, path: str) -> bool:
    if path in NAMED:
        return answer.status_code == 403
    return answer.status_code == 200 and plain(TOLD[path]) not in plain(answer.data)


def test_an_edition_that_comes_again_under_its_name_finds_nothing_of_the_old_one(office, workers):
    """Its tiles lie under an id that is never given twice: neither the shared cache nor what a client kept answers for it."""
    (path, *_) = TILES
    etags = [get(office, worker, path).headers["ETag"] for worker in workers]
    cache, old = office.services.settings.cache, office.services.catalogue.snapshot().layers["dom"].edition("2011")
    assert (cache / str(old.edition_id)).exists()
    remove(office.services.settings, "dom@2011")
    assert not any(file.is_file() for file in (cache / str(old.edition_id)).rglob("*"))
    again = publish(office, "dom", deliver(office.folder / "again", NUMBER, BLUE), product="DOM", edition="2011", lossless=True)
    assert again.edition_id != old.edition_id
    time.sleep(office.services.settings.recheck_seconds + 0.1)
    for worker, etag in zip(workers, etags, strict=True):
        answer = get(office, worker, path, **{"If-None-Match": etag})
        assert colour(answer) == BLUE and answer.headers["ETag"] != etag
        assert colour(get(office, worker, f"{WMS}GetMap&{BOX}&LAYERS=dom@2011")) == BLUE


def test_a_download_that_is_under_way_ends_where_its_edition_is_withdrawn(office, workers):
    """Blocks of 1024 pixels, a few of them: what was sent is sent, and nothing comes after it."""
    path = "/download/dom@2011.zip?CRS=EPSG:4549&BBOX=382500,3547500,387500,3551500&RESOLUTION=1&FORMAT=image/png"
    answer = workers[1].test_client().get(path, headers={"X-API-Key": office.keys["reader"]}, buffered=False)
    chunks = answer.iter_encoded()
    assert next(chunks)
    remove(office.services.settings, "dom@2011")
    time.sleep(office.services.settings.recheck_seconds + 0.1)
    with pytest.raises(BrokenOff):
        for _ in chunks:
            pass


def test_a_layer_that_is_withdrawn_whole_answers_like_none(office, workers):
    publish(office, "dem", deliver(office.folder / "dem", NUMBER, 12.5), product="DEM")
    office.grant("reader", "dem")
    asks = ("/layers/{0}/sheets", f"{WMS}GetMap&{BOX}&LAYERS={{0}}", "/tiles/{0}/WebMercatorQuad/14/13597/6650.png", f"/lineage?layer={{0}}&bbox={WEST},{SOUTH},{EAST},{NORTH}")
    time.sleep(office.services.settings.recheck_seconds + 0.1)
    assert [get(office, worker, path.format("dem")).status_code for worker in workers for path in asks] == [200] * 12
    remove(office.services.settings, "dem")
    time.sleep(office.services.settings.recheck_seconds + 0.1)
    for worker in workers:
        assert [get(office, worker, path.format("dem")).status_code for path in asks] == [403] * 4
        assert b'"dem"' not in get(office, worker, "/api/v1/layers").data and b"dem@" not in get(office, worker, f"/sheets/{NUMBER}").data


def test_a_package_that_is_ready_is_not_shipped_any_more_by_any_worker(office, workers):
    package = made(office, "reader", layers=["dom@2011"], area={"bounds": [383_000, 3_548_000, 384_000, 3_549_000], "crs": "EPSG:4549"}, crs="EPSG:4549", resolution=50)
    paths = [f"/packages/{package['package']}/{one['name']}" for one in package["files"] if one["name"].endswith((".tif", ".zip"))]
    assert paths and {get(office, worker, path).status_code for worker in workers for path in paths} == {200}
    begun = time.monotonic()
    remove(office.services.settings, "dom@2011")
    waiting = [(worker, path) for worker in workers for path in paths]
    while waiting and time.monotonic() - begun < WITHIN:
        waiting = [(worker, path) for worker, path in waiting if get(office, worker, path, Range="bytes=0-9").status_code in (200, 206)]
    assert not waiting
