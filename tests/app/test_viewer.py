"""The first page in a real browser: what an agency sees there is its own, cut to its area, in both languages, without an error."""

import io
import shutil

import numpy as np
import pytest
from ows_county import LEFT, SIDE, STEP, TOP, WHOLE, county  # noqa: F401
from PIL import Image
from served import serving

from geoserver_app.demo_keys import keep_demo_keys
from layers.crs import transformer

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test does it")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.client, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")]

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage",
]
PATIENCE = 20_000                               # milliseconds
WEST = (LEFT + SIDE * STEP / 4, TOP - SIDE * STEP / 2)          # within what the water department may see of the imagery
EAST = (LEFT + SIDE * STEP * 3 / 4, TOP - SIDE * STEP / 2)      # beyond it


@pytest.fixture(scope="module")
def base(county):
    keep_demo_keys(county.services.settings.data, {name: county.keys[name] for name in ("water", "tiler", "nobody")})
    with serving(county, demo="true") as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=PATIENCE)
        yield browser
        browser.close()


class Visit:
    """A page with everything that went wrong on it, and its pixels by place."""

    def __init__(self, page, base: str):
        self.page, self.base, self.faults, self.tiles = page, base, [], []
        page.on("console", lambda message: self.faults.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("requestfailed", lambda request: self.faults.append(f"{request.url}: {request.failure}"))
        page.on("response", self._look)

    def _look(self, response) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status} {response.url}")
        if "/tiles/" in response.url:
            self.tiles.append(response)

    def open(self, agency: str, language: str = "zh") -> None:
        self.page.goto(f"{self.base}/#agency={agency}&lang={language}")
        self.settle()

    def settle(self) -> None:
        """Until nothing is asked any more and the map is drawn."""
        self.page.wait_for_load_state("networkidle")
        self.page.evaluate("() => new Promise((done) => { map.once('rendercomplete', done); map.render(); setTimeout(done, 15000); })")

    def spot(self, place: tuple[float, float]) -> tuple[float, float]:
        """Where on the page a place of the county lies."""
        x, y = transformer("EPSG:4549", "EPSG:3857").transform(*place)
        at_x, at_y = self.page.evaluate("(place) => map.getPixelFromCoordinate(place)", [x, y])
        box = self.page.locator("#map").bounding_box()
        return box["x"] + at_x, box["y"] + at_y

    def colour(self, place: tuple[float, float]) -> tuple[int, int, int]:
        x, y = self.spot(place)
        shot = self.page.screenshot(clip={"x": x - 3, "y": y - 3, "width": 7, "height": 7})
        return tuple(np.median(np.array(Image.open(io.BytesIO(shot)).convert("RGB")).reshape(-1, 3), axis=0).astype(int).tolist())

    def only(self, product: str) -> None:
        """Leave the layers of one product on."""
        for row in self.page.locator("#layers .layer").all():
            if product not in row.inner_text():
                row.locator("input[type=checkbox]").uncheck()
        self.settle()


@pytest.fixture
def visit(browser, base):
    context = browser.new_context(viewport={"width": 1100, "height": 760})
    context.set_default_timeout(PATIENCE)
    yield Visit(context.new_page(), base)
    context.close()


def is_red(colour) -> bool:
    red, _, blue = colour
    return red > 140 > blue


def is_blue(colour) -> bool:
    red, _, blue = colour
    return blue > 140 > red


def is_ground(colour) -> bool:
    """The page's own background, where no tile is drawn."""
    return min(colour) > 200 and max(colour) - min(colour) < 15


def test_an_agency_sees_the_imagery_of_its_half_and_nothing_of_the_other(visit):
    visit.open("water")
    visit.only("DOM")
    assert is_red(visit.colour(WEST))
    assert is_ground(visit.colour(EAST))
    assert visit.faults == []


def test_another_agency_sees_both_halves_of_the_same_tiles(visit):
    visit.open("tiler")
    assert is_red(visit.colour(WEST)) and is_blue(visit.colour(EAST))
    assert visit.faults == []


def test_the_page_works_by_another_name_of_the_host_too(visit):
    visit.base = visit.base.replace("127.0.0.1", "localhost")
    visit.open("tiler")
    assert is_red(visit.colour(WEST)) and is_blue(visit.colour(EAST))
    assert visit.faults == []


def test_the_tiles_themselves_are_cut_not_just_the_picture_of_them(visit):
    visit.open("water")
    imagery = [np.array(Image.open(io.BytesIO(tile.body())).convert("RGBA")) for tile in visit.tiles if "/tiles/dom/" in tile.url]
    assert any(picture[..., 3].any() for picture in imagery)
    for picture in imagery:
        visible = picture[..., 3] > 0
        assert not picture[~visible].any()
        assert not (picture[visible][:, 2] > 140).any()          # the east is blue


def test_an_agency_is_changed_at_a_click_and_nothing_of_the_one_before_stays(visit):
    visit.open("tiler")
    visit.page.locator('[data-agency="nobody"]').click()
    visit.page.locator("#message").wait_for()
    visit.settle()
    assert visit.page.locator("#layers .layer").count() == 0
    assert is_ground(visit.colour(WEST)) and is_ground(visit.colour(EAST))
    assert visit.faults == []


def test_a_click_tells_what_is_there(visit):
    visit.open("water", "en")
    visit.page.mouse.click(*visit.spot((WHOLE.left + 400, TOP - 301)))
    visit.page.locator("#popup-content table").first.wait_for()
    told = visit.page.locator("#popup-content").inner_text()
    assert "秦淮河 <b>" in told                                 # shown as it is written, never as markup
    assert "Height (m)" in told and "200" in told               # the colour of the imagery
    assert "canary" not in told
    visit.page.keyboard.press("Escape")
    assert visit.page.locator("#popup").is_hidden()
    assert visit.faults == []


def test_the_page_speaks_chinese_and_english(visit):
    visit.open("water", "zh")
    assert visit.page.locator("html").get_attribute("lang") == "zh-CN"
    assert "可用图层" in visit.page.locator("#panel").inner_text() and "影像" in visit.page.locator("#layers").inner_text()
    visit.page.locator("#language").click()
    visit.settle()
    panel = visit.page.locator("#panel").inner_text()
    assert "Your layers" in panel and "Imagery" in panel and "图层" not in panel
    assert visit.page.locator("html").get_attribute("lang") == "en"
    assert visit.faults == []


def test_the_addresses_for_qgis_work_as_they_are_copied(visit, county):
    visit.open("water")
    wms, wmts = (visit.page.locator(f"#address-{kind}").input_value() for kind in ("wms", "wmts"))
    assert all(address.startswith(visit.base) and county.keys["water"] in address for address in (wms, wmts))
    for address in (f"{wms}SERVICE=WMS&REQUEST=GetCapabilities", wmts):
        answer = visit.page.request.get(address, timeout=PATIENCE)
        assert answer.status == 200 and "xml" in answer.headers["content-type"] and "<" in answer.text()


def test_a_wrong_key_is_refused_in_words_and_no_password_is_asked_for(visit):
    visit.open("water", "en")
    visit.page.locator("#own-key summary").click()
    visit.page.locator("#key").fill("gsk_wrong")
    visit.page.locator("#key-form button").click()
    visit.page.locator("#message").wait_for()
    assert "not accepted" in visit.page.locator("#message").inner_text()
    assert visit.page.locator("#layers .layer").count() == 0
    assert all("401" in fault for fault in visit.faults)


def test_nothing_spills_over_in_a_narrow_window(visit):
    visit.page.set_viewport_size({"width": 360, "height": 640})
    visit.open("water", "en")
    visit.page.locator("#panel-switch").click()
    wide = visit.page.evaluate("""() => [...document.querySelectorAll("body, #panel, #panel *")]
        .filter((one) => one.getClientRects().length && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.id || one.tagName)""")
    assert wide == []
    assert visit.faults == []


def test_everything_the_page_loads_comes_from_this_server(visit):
    visited = []
    visit.page.on("request", lambda request: visited.append(request.url))
    visit.open("water")
    assert visited and all(url.startswith((visit.base, "data:", "blob:")) for url in visited)
