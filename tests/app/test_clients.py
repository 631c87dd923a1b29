"""Real clients over real HTTP: GDAL's WMS and WMTS drivers, OWSLib, and plain arithmetic.

The one layer is a picture whose colours tell row and column, so that whatever a client downloads says where it came from; the agency may see
its western half. Every picture is judged by PROJ alone.
"""

import json
import os
import shutil
import subprocess
from base64 import b64encode
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import numpy as np
import pyproj
import pytest
import rasterio
from coded_picture import AROUND, house, judge, rgba  # noqa: F401
from owslib.wms import WebMapService
from owslib.wmts import WebMapTileService
from served import PATIENCE, fetch, serving

from layers.crs import SERVED, is_north_first, transform_bounds
from layers.model import Bounds

pytestmark = pytest.mark.client

NANJING = (118.7781, 32.0436)                   # degrees; on the sheet, in its western half
NANJING_TILES = [(10, 849, 164), (15, 27195, 5275), (17, 108781, 21101), (18, 217563, 42202)]       # level, column, row of Tianditu's `c`

gdal = pytest.mark.skipif(shutil.which("gdal_translate") is None, reason="GDAL's tools are not installed: apt-get install gdal-bin")


@pytest.fixture(scope="module")
def base(house):
    with serving(house) as address:
        yield address


@pytest.fixture(scope="module")
def key(house):
    return house.keys["water"]


# -- GDAL

def run(*command: str, folder) -> str:
    """What a tool of GDAL prints, with nothing of this process's own GDAL in its way."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GDAL_", "PROJ_", "CPL_"))}
    environ |= {"GDAL_HTTP_TIMEOUT": "20", "GDAL_DEFAULT_WMS_CACHE_PATH": str(folder / "wms-cache"), "HOME": str(folder)}
    done = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def downloaded(path) -> tuple[np.ndarray, Bounds]:
    with rasterio.open(path) as picture:
        return np.moveaxis(picture.read([1, 2, 3, 4]), 0, -1), Bounds(*picture.bounds)


@gdal
def test_gdal_lists_what_is_granted_from_the_address_that_an_analyst_pastes(base, key, tmp_path):
    found = json.loads(run("gdalinfo", "-json", f"WMS:{base}/ows?key={key}", folder=tmp_path))["metadata"]["SUBDATASETS"]
    names = [value for name, value in found.items() if name.endswith("_NAME")]
    assert len(names) == 1 and "LAYERS=coded" in names[0] and f"key={key}" in names[0]
    assert json.loads(run("gdalinfo", "-json", names[0], folder=tmp_path))["bands"]


@gdal
@pytest.mark.parametrize("version", ["1.1.1", "1.3.0"])
@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:4490", "EPSG:4549"])
def test_gdals_wms_driver_downloads_the_granted_half_to_its_place(base, key, tmp_path, crs, version):
    box = transform_bounds(AROUND, "EPSG:4549", crs)
    order = "yxYX" if version == "1.3.0" and is_north_first(crs) else "xyXY"
    reference = "CRS" if version == "1.3.0" else "SRS"
    (tmp_path / "wms.xml").write_text(f"""<GDAL_WMS>
          <Service name="WMS">
            <Version>{version}</Version><ServerUrl>{escape(f"{base}/ows?key={key}&")}</ServerUrl><Layers>coded</Layers>
            <{reference}>{crs}</{reference}><ImageFormat>image/png</ImageFormat><Transparent>TRUE</Transparent><BBoxOrder>{order}</BBoxOrder>
          </Service>
          <DataWindow>
            <UpperLeftX>{box.left!r}</UpperLeftX><UpperLeftY>{box.top!r}</UpperLeftY>
            <LowerRightX>{box.right!r}</LowerRightX><LowerRightY>{box.bottom!r}</LowerRightY><SizeX>280</SizeX><SizeY>240</SizeY>
          </DataWindow>
          <Projection>{crs}</Projection><BandsCount>4</BandsCount><BlockSizeX>128</BlockSizeX><BlockSizeY>128</BlockSizeY>
          <Timeout>20</Timeout>
        </GDAL_WMS>""", "utf-8")
    run("gdal_translate", "-q", "wms.xml", "picture.tif", folder=tmp_path)
    judge(downloaded(tmp_path / "picture.tif")[0], crs, box)


@gdal
@pytest.mark.parametrize(("tms", "crs", "level"), [
    ("WebMercatorQuad", "EPSG:3857", 15), ("tdt_c", "EPSG:4490", 15), ("jiangsu_gk120", "EPSG:4549", 7), ("jiangsu_gk120", "EPSG:4549", 9),
])
@pytest.mark.parametrize("address", ["/wmts?key={key}", "/k/{key}/wmts/1.0.0/WMTSCapabilities.xml"])
def test_gdals_wmts_driver_downloads_the_granted_half_to_its_place(base, key, tmp_path, tms, crs, level, address):
    source = f"WMTS:{base}{address.format(key=key)},layer=coded,tilematrixset={tms}"
    run("gdal_translate", "-q", "-oo", f"ZOOM_LEVEL={level}", source, "picture.tif", folder=tmp_path)
    judge(downloaded(tmp_path / "picture.tif")[0], crs, downloaded(tmp_path / "picture.tif")[1])


# -- OWSLib

WAYS = {
    "query": lambda base, key, path: (f"{base}{path}?key={key}", {}),
    "path": lambda base, key, path: (f"{base}/k/{key}{path}", {}),
    "basic": lambda base, key, path: (f"{base}{path}", {"username": "water", "password": key}),
}


@pytest.mark.parametrize("version", ["1.1.1", "1.3.0"])
@pytest.mark.parametrize("way", WAYS)
def test_owslib_finds_and_draws_the_layer_whichever_way_the_key_travels(base, key, way, version):
    address, credentials = WAYS[way](base, key, "/ows")
    service = WebMapService(address, version=version, timeout=20, **credentials)
    assert list(service.contents) == ["coded"]
    layer = service["coded"]
    west, south, east, north = layer.boundingBoxWGS84
    assert west < NANJING[0] < east and south < NANJING[1] < north
    assert set(SERVED) <= set(layer.crsOptions)
    answer = service.getmap(
        layers=["coded"], styles=[""], srs="EPSG:4549", bbox=tuple(AROUND), size=(280, 240), format="image/png", transparent=True, timeout=20,
    )
    judge(rgba(answer.read()), "EPSG:4549", AROUND)


@pytest.mark.parametrize("way", WAYS)
def test_owslib_fetches_a_tile_whichever_way_the_key_travels(base, key, way):
    address, credentials = WAYS[way](base, key, "/wmts")
    service = WebMapTileService(address, timeout=20, **credentials)
    assert list(service.contents) == ["coded"]
    level, col, row = NANJING_TILES[1]
    answer = service.gettile(layer="coded", tilematrixset="tdt_c", tilematrix=str(level), row=row, column=col, format="image/png")
    judge(rgba(answer.read()), "EPSG:4490", tianditu_bounds(level, col, row))


@pytest.mark.parametrize("path", ["/ows?SERVICE=WMS&REQUEST=GetCapabilities", "/wmts", "/api/v1/layers", "/tiles/coded.json"])
def test_a_key_that_came_in_a_header_is_printed_nowhere(base, key, path):
    basic = b64encode(f"water:{key}".encode()).decode()
    for headers in ({"Authorization": f"Basic {basic}"}, {"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
        status, told, body = fetch(base + path, **headers)
        assert status == 200
        assert key not in body.decode() and key not in str(told)


# -- places and numbers

@pytest.mark.parametrize("crs", SERVED)
def test_both_versions_of_wms_show_the_same_place_in_every_reference_system(base, key, crs):
    box = transform_bounds(AROUND, "EPSG:4549", crs)
    pictures = []
    for version, reference in (("1.1.1", "SRS"), ("1.3.0", "CRS")):
        turned = version == "1.3.0" and is_north_first(crs)
        values = (box.bottom, box.left, box.top, box.right) if turned else tuple(box)
        query = {
            "SERVICE": "WMS", "VERSION": version, "REQUEST": "GetMap", "LAYERS": "coded", "STYLES": "", reference: crs, "key": key,
            "BBOX": ",".join(map(repr, map(float, values))), "WIDTH": 280, "HEIGHT": 240, "FORMAT": "image/png", "TRANSPARENT": "TRUE",
        }
        status, _, body = fetch(f"{base}/ows?{urlencode(query)}")
        assert status == 200, body
        pictures.append(rgba(body))
        judge(pictures[-1], crs, box)
    assert np.array_equal(*pictures)


def tianditu_bounds(level: int, col: int, row: int) -> Bounds:
    """Degrees; 360 degrees lie in 2**level columns of 256 pixels, counted from 180 W and 90 N (GB/T 35634-2017)."""
    span = 360 / 2**level
    return Bounds(col * span - 180, 90 - (row + 1) * span, (col + 1) * span - 180, 90 - row * span)


@pytest.mark.parametrize(("level", "col", "row"), NANJING_TILES)
def test_tiles_are_numbered_as_tianditu_numbers_them(base, key, level, col, row):
    as_tianditu = {
        "SERVICE": "WMTS", "REQUEST": "GetTile", "VERSION": "1.0.0", "LAYER": "coded", "STYLE": "default", "TILEMATRIXSET": "tdt_c",
        "FORMAT": "tiles", "TILEMATRIX": level, "TILEROW": row, "TILECOL": col, "tk": key,
    }
    answers = [
        fetch(f"{base}/wmts?{urlencode(as_tianditu)}"), fetch(f"{base}/tiles/coded/tdt_c/{level}/{col}/{row}.png?key={key}"),
        fetch(f"{base}/k/{key}/wmts/1.0.0/coded/default/tdt_c/{level}/{row}/{col}.png"),
    ]
    assert [status for status, _, _ in answers] == [200] * 3
    assert len({body for _, _, body in answers}) == 1
    bounds = tianditu_bounds(level, col, row)
    assert bounds.left <= NANJING[0] < bounds.right and bounds.bottom <= NANJING[1] < bounds.top
    judge(rgba(answers[0][2]), "EPSG:4490", bounds)


def test_tile_json_says_all_that_a_map_library_needs(base, key):
    status, headers, body = fetch(f"{base}/tiles/coded.json?key={key}")
    document = json.loads(body)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert (document["tilejson"], document["scheme"]) == ("3.0.0", "xyz")
    west, south, east, north = document["bounds"]
    assert west < NANJING[0] < east and south < NANJING[1] < north
    level = 16
    assert document["minzoom"] <= level <= document["maxzoom"]
    assert 360 / 2 ** document["center"][2] < 8 * (east - west)         # opens where there is something to see
    x, y = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:3857", always_xy=True).transform(*NANJING)
    edge, span = 20037508.342789244, 2 * 20037508.342789244 / 2**level
    col, row = int((x + edge) // span), int((edge - y) // span)
    address = document["tiles"][0].replace("{z}", str(level)).replace("{x}", str(col)).replace("{y}", str(row))
    status, headers, tile = fetch(address)
    assert (status, headers["content-type"]) == (200, "image/png")
    judge(rgba(tile), "EPSG:3857", Bounds(col * span - edge, edge - (row + 1) * span, (col + 1) * span - edge, edge - row * span))


def test_a_known_tile_is_not_sent_again(base, key):
    address = f"{base}/tiles/coded/tdt_c/15/27195/5275.png?key={key}"
    _, headers, _ = fetch(address)
    status, again, body = fetch(address, **{"If-None-Match": headers["etag"]})
    assert (status, body) == (304, b"")
    assert headers["cache-control"] == again["cache-control"] == "private, max-age=1, must-revalidate"


def test_a_hidden_layer_is_refused_over_every_road(base, key):
    tile = "tdt_c/15/27195/5275.png"
    for path in (f"/tiles/hidden/{tile}", "/tiles/hidden.json", f"/wmts/1.0.0/hidden/default/{tile.replace('27195/5275', '5275/27195')}"):
        assert fetch(f"{base}{path}?key={key}")[0] == 403
        assert fetch(f"{base}{path}")[0] == 401
