"""Vector tiles in real clients: GDAL's driver, MapLibre GL and OpenLayers in Chromium draw what is granted and nothing else, without a fault."""

import io
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyogrio
import pytest
from ows_county import LEFT, TOP
from PIL import Image
from served import serving
from test_vector_tiles import MIDDLE, TMS, ask, county, tiles_of  # noqa: F401

from layers.crs import transformer

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test does it")

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MAPLIBRE = ROOT / "var" / "clients" / "node_modules" / "maplibre-gl" / "dist"
OPENLAYERS = files("mapproxy.service.templates.demo.static")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")
needs_maplibre = pytest.mark.skipif(not (MAPLIBRE / "maplibre-gl.mjs").exists(), reason="MapLibre GL is not installed: make system does it where npm is")
pytestmark = pytest.mark.client

ARGUMENTS = [
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-quic",
]
PATIENCE = 30_000                               # milliseconds
SIZE = 512

MAPLIBRE_PAGE = """<!doctype html><meta charset="utf-8"><style>html, body, #map { margin: 0; width: 512px; height: 512px }</style><div id="map"></div>
<script type="module">
import * as maplibregl from "/__client/maplibre-gl.mjs";
maplibregl.setWorkerUrl("/__client/maplibre-gl-worker.mjs");
const asked = new URLSearchParams(location.search);
window.faults = [];
window.map = new maplibregl.Map({
  container: "map", style: asked.get("style"), center: [Number(asked.get("lon")), Number(asked.get("lat"))], zoom: Number(asked.get("zoom")),
  attributionControl: false, fadeDuration: 0, localIdeographFontFamily: false, canvasContextAttributes: { preserveDrawingBuffer: true },
});
map.on("error", (event) => faults.push(String(event.error && event.error.message || event)));
map.once("idle", () => { window.done = true; });
</script>"""

OPENLAYERS_PAGE = """<!doctype html><meta charset="utf-8"><style>html, body, #map { margin: 0; width: 512px; height: 512px }</style><div id="map"></div>
<script src="/__client/ol.js"></script><script>
const asked = new URLSearchParams(location.search);
window.faults = [];
const source = new ol.source.VectorTile({
  format: new ol.format.MVT(), url: asked.get("tiles"), tileGrid: ol.tilegrid.createXYZ({ tileSize: 512, maxZoom: 16 }),
});
source.on("tileloaderror", (event) => faults.push("a tile could not be loaded"));
const red = new ol.style.Style({ stroke: new ol.style.Stroke({ color: "#ff0000", width: 5 }), fill: new ol.style.Fill({ color: "#0000ff" }) });
window.map = new ol.Map({
  target: "map", controls: [], layers: [new ol.layer.VectorTile({ source, style: red })],
  view: new ol.View({ center: ol.proj.fromLonLat([Number(asked.get("lon")), Number(asked.get("lat"))]), zoom: Number(asked.get("zoom")) }),
});
map.once("rendercomplete", () => { window.done = true; });
</script>"""


def test_gdal_reads_tiles_and_finds_the_road_where_it_is(county, tmp_path):  # noqa: F811
    z = 14
    for row, col in tiles_of(z):
        path = tmp_path / str(z) / str(col) / f"{row}.mvt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(ask(county, "west", z, row, col).data)
    frame = pyogrio.read_dataframe(f"MVT:{tmp_path}/{z}", layer="LRDL", TILE_EXTENSION="mvt", METADATA_FILE="")
    assert set(frame["NAME"]) == {"国道一", "县道二"} and "canary-east" not in set(frame["SECRET"])
    road = frame[frame["NAME"] == "国道一"].to_crs("EPSG:4549")
    assert frame.crs == "EPSG:3857"
    assert road.total_bounds[0] == pytest.approx(LEFT + 50, abs=1.0) and road.total_bounds[2] == pytest.approx(MIDDLE, abs=1.0)
    assert road.total_bounds[[1, 3]] == pytest.approx([TOP - 500, TOP - 500], abs=1.0)


@pytest.fixture(scope="module")
def base(county):  # noqa: F811
    with serving(county) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=PATIENCE)
        yield browser
        browser.close()


class Visit:
    """A page of ours among the server's own, with everything that went wrong on it."""

    def __init__(self, page, base: str, key: str):
        self.page, self.base, self.key, self.faults, self.statuses = page, base, key, [], []
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: self.faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("response", lambda response: self.statuses.append(response.status) if "/tiles/" in response.url else None)
        page.route(lambda url: "/__client/" in url, self._library)

    @staticmethod
    def _library(route) -> None:
        name = route.request.url.rsplit("/", 1)[1]
        content = OPENLAYERS.joinpath(name).read_bytes() if name.startswith("ol.") else (MAPLIBRE / name).read_bytes()
        route.fulfill(body=content, content_type="text/javascript")

    def open(self, page: str, zoom: float, x: float, y: float, **query: str) -> np.ndarray:
        """The map around a place of the county (metres east and south of its corner) once it is drawn: (row, col, 3)."""
        self.page.route(lambda url: "/__page?" in url, lambda route: route.fulfill(body=page, content_type="text/html"))
        lon, lat = transformer("EPSG:4549", "CRS:84").transform(LEFT + x, TOP - y)
        words = "&".join(f"{name}={value}" for name, value in {"lon": lon, "lat": lat, "zoom": zoom, **query}.items())
        self.page.goto(f"{self.base}/__page?{words}")
        self.page.wait_for_function("window.done === true")
        self.faults += self.page.evaluate("window.faults")
        return np.array(Image.open(io.BytesIO(self.page.screenshot(clip={"x": 0, "y": 0, "width": SIZE, "height": SIZE}))).convert("RGB")).astype(int)


@pytest.fixture
def visit(browser, base, county):  # noqa: F811
    context = browser.new_context(viewport={"width": SIZE, "height": SIZE})
    yield lambda agency: Visit(context.new_page(), base, county.keys[agency])
    context.close()


def columns_of(picture: np.ndarray, is_it) -> tuple[int, int]:
    found = np.flatnonzero(is_it(picture).any(axis=0))
    return int(found[0]), int(found[-1])


def red(picture: np.ndarray) -> np.ndarray:
    return (picture[..., 0] > 180) & (picture[..., 1] < 100) & (picture[..., 2] < 100)


@needs_browser
@needs_maplibre
@pytest.mark.parametrize("agency, ends_in_the_middle", [("all", False), ("west", True)])
def test_maplibre_draws_by_our_style_what_is_granted(visit, agency, ends_in_the_middle):
    one = visit(agency)
    picture = one.open(MAPLIBRE_PAGE, 14.5, 500, 500, style=f"{one.base}/styles/lines.json%3Fkey={one.key}")
    assert one.faults == [] and set(one.statuses) <= {200, 204}
    first, last = columns_of(picture, red)                      # the national road, from 450 m west of the middle to 450 m east of it
    assert first < 150 and (abs(last - SIZE / 2) <= 8 if ends_in_the_middle else last > SIZE - 150)
    names = one.page.evaluate("[...new Set(map.queryRenderedFeatures().map((feature) => feature.properties.NAME))]")
    assert "国道一" in names
    assert ("东村" in names) is not ends_in_the_middle
    shown = one.page.evaluate("JSON.stringify(map.querySourceFeatures('lines', {sourceLayer: 'LRDL'}).map((feature) => feature.properties))")
    assert ("canary-east" in shown) is not ends_in_the_middle


@needs_browser
@needs_maplibre
def test_maplibre_draws_nothing_of_hidden_attributes(visit):
    one = visit("hidden")
    picture = one.open(MAPLIBRE_PAGE, 14.5, 500, 500, style=f"{one.base}/styles/lines.json%3Fkey={one.key}")
    assert one.faults == [] and not red(picture).any()          # what a road is can't be told, so it isn't drawn as a national one
    assert (picture.min(axis=2) < 200).any()


@needs_browser
@pytest.mark.parametrize("agency, ends_in_the_middle", [("all", False), ("west", True)])
def test_openlayers_draws_what_is_granted(visit, agency, ends_in_the_middle):
    one = visit(agency)
    tiles = f"{one.base}/tiles/lines/WebMercatorQuad/{{z}}/{{x}}/{{y}}.mvt%3Fkey={one.key}"
    picture = one.open(OPENLAYERS_PAGE, 15.5, 500, 500, tiles=tiles)
    assert one.faults == [] and set(one.statuses) <= {200, 204} and 200 in one.statuses
    first, last = columns_of(picture, red)
    assert first < 150 and (abs(last - SIZE / 2) <= 8 if ends_in_the_middle else last > SIZE - 150)


@needs_browser
def test_openlayers_takes_an_empty_answer_for_an_empty_tile(visit):
    one = visit("west")
    tiles = f"{one.base}/tiles/lines/WebMercatorQuad/{{z}}/{{x}}/{{y}}.mvt%3Fkey={one.key}"
    picture = one.open(OPENLAYERS_PAGE, 16.5, 900, 500, tiles=tiles)
    assert one.faults == [] and 204 in one.statuses and picture.min() > 250
