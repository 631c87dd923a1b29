"""A member's story in a real browser: signed in, on the map of one's own ground, connected to QGIS, a delivery handed in, more asked for."""

import hashlib
import shutil
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import shapely
from api_office import PASSWORD, Office
from served import serving

from agreements.record import Contribution, Record

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test does it")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.client, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")]

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync", "--disable-dev-shm-usage"]
PATIENCE = 20_000                               # milliseconds
PATHS = ("/portal", "/portal/area", "/portal/connect", "/portal/explain?layer=dom", "/portal/audit", "/portal/contributions", "/portal/requests", "/portal/packages")


@pytest.fixture(scope="module")
def office(lasting_house) -> Office:
    lasting_house.raster("dom", np.full((3, 400, 400), 90, dtype=np.uint8), 379_000, 3_542_000, 10.0)
    office = Office(lasting_house)
    record = Record(contributions=tuple(Contribution(dataset=f"水位站 {number}", cadence="P3M") for number in range(4)))
    clause = lasting_house.clause("dom", area=shapely.box(118.72, 31.99, 118.75, 32.01))
    lasting_house.agree("water", clause, agreement_id="AG-WATER-1", title="水利共享", record=record)
    return office


@pytest.fixture(scope="module")
def base(office):
    with serving(office.house) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture(params=(("zh-CN", 1280), ("en", 1280), ("zh-CN", 390), ("en", 390)), ids=lambda how: f"{how[0]}-{how[1]}")
def page(browser, base, request):
    language, wide = request.param
    context = browser.new_context(locale=language, viewport={"width": wide, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.faults, page.asked = [], []
    page.on("console", lambda message: page.faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("request", lambda request: page.asked.append(f"{request.url} {request.headers} {request.post_data or ''}"))
    page.goto(f"{base}/login")
    page.fill("#login", "member")
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url(f"{base}/portal")
    yield page
    context.close()


def test_every_page_fits_and_runs_without_a_fault(page, base):
    for path in PATHS:
        page.goto(f"{base}{path}")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.inner_text("h1") and page.locator("nav [aria-current=page]").count() == 1
    assert page.faults == []
    assert all(request.startswith(base) for request in page.asked), "nothing is asked of anybody else"


def test_one_s_own_ground_is_drawn_on_the_map(page, base):
    page.goto(f"{base}/portal/area?layer=dom")
    page.locator(".map canvas").first.wait_for()
    page.wait_for_timeout(400)
    drawn = page.evaluate("""() => [...document.querySelectorAll(".map canvas")].some((canvas) => {
        const { data } = canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1);
        return data[3] > 0;
    })""")
    assert drawn and page.faults == []


@pytest.mark.parametrize("how", ("basic", "header", "url"))
def test_a_pasted_key_goes_into_the_file_and_nowhere_else(page, base, how):
    page.goto(f"{base}/portal/connect")
    page.click("#with-key summary")
    page.fill("#key", "gsk_pasted&key")
    page.check(f"[name=how][value={how}]")
    shown = page.locator("code[data-address]").first.inner_text()
    assert shown == (f"{base}/ows?key=gsk_pasted%26key&" if how == "url" else f"{base}/ows?")
    for form in ("connections", "qlr"):
        with page.expect_download() as saved:
            page.locator(f"[data-file={form}]").first.click()
        text = saved.value.path().read_text("utf-8")
        if how == "header" and form == "connections":
            assert 'http-header:X-API-Key="gsk_pasted&amp;key"' in text          # QGIS writes such names itself, and declares no prefix
            continue
        root = ET.fromstring(text)
        if form == "connections":
            assert [one.get("password") for one in root] == ["gsk_pasted&key" if how == "basic" else ""] * 2
            assert all(("key=gsk_pasted%26key" in one.get("url")) == (how == "url") for one in root)
        else:
            source = root.findtext("maplayers/maplayer/datasource")
            assert {"basic": "username=water&password=gsk_pasted%26key", "header": "http-header:X-API-Key=gsk_pasted%26key",
                    "url": "key%3Dgsk_pasted%2526key"}[how] in source
            assert root.find(".//layer-tree-layer").get("source") == source
    assert not any("gsk_pasted" in request for request in page.asked) and page.faults == []


def test_a_delivery_is_handed_in_with_the_digest_of_a_file_that_stays_here(page, base, office):
    content = b"gauges " * 1000
    page.goto(f"{base}/portal/contributions")
    page.locator("details summary").first.click()
    page.locator("[data-digest]").first.set_input_files({"name": "gauges.csv", "mimeType": "text/csv", "buffer": content})
    page.wait_for_function("document.querySelector('[name=sha256]').value.length === 64")
    page.locator("details[open] button[type=submit]").click()
    page.locator(".note.good").wait_for()
    page.goto(f"{base}/portal/contributions?show=all")
    assert hashlib.sha256(content).hexdigest() in page.content() and "gauges.csv" in page.content()
    assert not any("gauges gauges" in request for request in page.asked) and page.faults == []


def test_more_is_asked_for(page, base):
    page.goto(f"{base}/portal/requests?layer=dem")
    assert page.input_value("[name=layers]") == "dem"
    page.fill("[name=reason]", "flood maps of the river")
    page.locator("main form button[type=submit]").click()
    page.locator(".note.good").wait_for()
    assert "flood maps of the river" in page.inner_text("main") and page.faults == []
