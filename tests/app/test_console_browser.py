"""The console in a real browser: an agreement from a few fields to a map that appears and goes; every page wide and narrow, legible, without a fault."""

import io
import shutil
import time

import numpy as np
import pytest
import shapely
from api_office import PASSWORD, SQUARE, Office
from held_layers import running
from PIL import Image
from served import fetch, serving

from layers.catalogue import Division, JobState

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test does it")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.client, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")]

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage",
]
PATIENCE = 20_000                               # milliseconds

MAP = "/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&LAYERS=dom&STYLES=&CRS=CRS:84&BBOX=118.71,32.01,118.74,32.04&WIDTH=64&HEIGHT=64" \
      "&FORMAT=image/png&TRANSPARENT=TRUE"


@pytest.fixture(scope="module")
def office(lasting_house) -> Office:
    lasting_house.raster("dom", np.full((3, 900, 900), 90, dtype=np.uint8), 376_000, 3_550_000, 10.0)
    lasting_house.services.catalogue.put_divisions(
        [Division(vintage="2020", code="320104", name="秦淮区", level="county", geometry=shapely.geometry.shape(SQUARE))],
    )
    return Office(lasting_house)


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


class Seat:
    """Somebody at a browser of his own, with everything that went wrong there."""

    def __init__(self, browser, base: str, width: int = 1280):
        self.base, self.faults = base, []
        self.context = browser.new_context(viewport={"width": width, "height": 900})
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("requestfailed", lambda request: None if "ERR_ABORTED" in request.failure else self.faults.append(f"{request.url}: {request.failure}"))
        self.page.on("request", lambda request: None if request.url.startswith((base, "data:", "blob:")) else self.faults.append(f"elsewhere: {request.url}"))

    def _hear(self, message) -> None:
        """OpenLayers reads its canvas where one clicks, of which Chromium warns; a document with faults is answered 422, as it should be."""
        if message.type in ("error", "warning") and "willReadFrequently" not in message.text and "status of 422" not in message.text:
            self.faults.append(message.text)

    def sign_in(self, login: str) -> "Seat":
        """By the form, as people do."""
        self.page.goto(f"{self.base}/console?lang=zh")
        self.page.fill("#login", login)
        self.page.fill("#password", PASSWORD)
        self.page.click("button[type=submit]")
        self.page.wait_for_url("**/console*")
        return self

    def let_in(self, office: Office, login: str) -> "Seat":
        """Without the detour of the password."""
        self.context.add_cookies([{"name": "geoshare", "value": office.accounts.open_session(login)[0], "url": self.base}])
        return self

    def open(self, path: str) -> None:
        """A page with a map goes on fetching after it is loaded; the others are whole then."""
        self.page.goto(f"{self.base}{path}")
        if self.page.locator(".map").count():
            self.page.wait_for_load_state("networkidle")

    def act(self, action: str, **fields: str) -> None:
        """Open the button of a move, fill in what it asks, and confirm."""
        form = self.page.locator(f'form:has(input[name="action"][value="{action}"])')
        form.locator("xpath=..").locator("summary").click()
        for name, value in fields.items():
            field = form.locator(f'[name="{name}"]')
            field.select_option(value) if name == "party" else field.fill(value)
        form.locator("button[type=submit]").click()
        self.page.locator('[role="status"]').first.wait_for()


@pytest.fixture
def seat(browser, base):
    seats = []

    def take(width: int = 1280) -> Seat:
        seats.append(Seat(browser, base, width))
        return seats[-1]

    yield take
    for one in seats:
        one.context.close()


def shows(base: str, key: str) -> bool:
    status, _, body = fetch(f"{base}{MAP}", **{"X-API-Key": key})
    return status == 200 and bool(np.array(Image.open(io.BytesIO(body)).convert("RGBA"))[..., 3].any())


def within_two_seconds(base: str, key: str, expected: bool) -> bool:
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        if shows(base, key) is expected:
            return True
        time.sleep(0.1)
    return False


def test_from_a_few_fields_to_a_map_that_appears_and_is_stopped_again(office, base, seat):
    key = office.house.keys["water"]
    manager = seat().sign_in("data_manager")
    page = manager.page
    page.get_by_role("link", name="起草协议").click()
    for name, value in {"number": "AG-STORY-1", "title": "防汛影像共享", "contact": "data@bureau.test", "purpose": "防汛"}.items():
        page.fill(f"input[name={name}]", value)
    page.select_option("select[name=grantee]", "water")
    page.check("input[name=layer][value=dom]")
    page.get_by_role("button", name="生成").click()

    text = page.locator("#text")
    page.locator("#verdict.good-text").wait_for()                               # checked as it is written
    good = text.input_value()
    text.fill(good.replace("GetMap", "GetMop"))
    page.locator("#verdict.bad-text").wait_for()
    line = page.locator("#faults button.line").first
    assert "did you mean `GetMap`" in page.locator("#faults").inner_text() and page.locator("#lines .faulty").count() == 1
    line.click()
    assert "GetMop" in page.evaluate("() => { const t = document.getElementById('text'); return t.value.slice(t.selectionStart, t.selectionEnd); }")
    text.fill(good)
    page.locator("#verdict.good-text").wait_for()

    page.locator("#area-map canvas").first.wait_for()
    page.wait_for_timeout(300)
    box = page.locator("#area-map").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("#chosen", has_text="秦淮区 320104").wait_for()
    page.locator("#area-told", has_text="km²").wait_for()
    page.select_option("#target", "3.1")
    page.click("#insert")
    assert 'area: {"divisions":["320104"]}' in text.input_value() and "everywhere" not in text.input_value()
    page.locator("#verdict.good-text").wait_for()
    page.get_by_role("button", name="保存草案").click()
    page.wait_for_url("**/agreements/AG-STORY-1/1*")
    manager.act("submit")
    assert not shows(base, key)

    approver = seat().sign_in("approver")
    approver.page.get_by_role("link", name="去办理").first.click()
    approver.act("conformity-check")
    approver.act("approve", comment="同意")
    digest = approver.page.locator("dd.mono").first.inner_text()

    administrator = seat().sign_in("administrator")
    administrator.open("/console/agreements/AG-STORY-1/1?lang=zh")
    for party in ("bureau", "water"):
        administrator.act("sign", party=party, signatory="某人", date="2026-03-01", document=digest[:10])
    administrator.act("activate")
    assert within_two_seconds(base, key, expected=True)

    page = administrator.page
    page.locator("summary", has_text="暂停…").click()
    page.locator('form:has(button[value="look"]) textarea[name=reason]').fill("汛期核查")
    page.select_option("select[name=division]", "320104")
    page.get_by_role("button", name="先看影响").click()
    page.locator("#effect svg").wait_for()
    assert "看不到本协议授予的全部图层" in page.locator("#effect .effect").inner_text() and shows(base, key)
    page.get_by_role("button", name="现在暂停").click()
    page.locator('[role="status"]').first.wait_for()
    assert within_two_seconds(base, key, expected=False)
    assert manager.faults == approver.faults == administrator.faults == []


def test_ground_is_chosen_by_name_by_sheet_and_by_drawing_and_written_at_its_clause(office, seat):
    one = seat().let_in(office, "data_manager")
    one.open("/console/agreements/new?lang=en&sample=03-water")
    page = one.page
    page.fill("#sheet", "I50G095077")
    page.click("#add-sheet")
    page.locator("#area-told", has_text="km²").wait_for()
    page.fill("#find", "秦淮区 320104")
    page.locator("#chosen", has_text="320104").wait_for()
    page.click("#draw")
    page.locator("#area-map").scroll_into_view_if_needed()
    box = page.locator("#area-map").bounding_box()
    for x, y in ((0.3, 0.3), (0.6, 0.3), (0.6, 0.6)):
        page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
        page.wait_for_timeout(350)
    page.mouse.dblclick(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.6)
    page.locator("#chosen", has_text="a drawn area").wait_for()
    page.select_option("#target", "4.2")
    page.click("#insert")
    lines = page.locator("#text").input_value().splitlines()
    (place,) = [number for number, line in enumerate(lines) if '"I50G095077"' in line]
    assert lines[place].startswith('    area: {"divisions":["320104"],"sheets":["I50G095077"],"geojson":{"type":"Polygon"')
    assert 'clause: "4.2"' in lines[place - 3] and lines[place + 1].strip() == "scale: {finest: 2000}"
    assert one.faults == []


def test_a_place_is_asked_about_by_a_click_on_the_map(office, seat):
    one = seat().let_in(office, "auditor")
    one.open("/console/explain?lang=en")
    page = one.page
    page.locator("#place-map canvas").first.wait_for()
    page.wait_for_timeout(300)
    page.locator("#place-map").click()
    page.wait_for_function("() => document.getElementById('bounds').value")
    west, south, east, north = (float(value) for value in page.input_value("#bounds").split(","))
    assert 118.70 < west < east < 118.80 and 32.00 < south < north < 32.10
    page.select_option("select[name=agency]", "water")
    page.fill("input[name=layer]", "dom")
    page.get_by_role("button", name="Explain").click()
    page.locator("#verdict-now").wait_for()
    assert one.faults == []


PAGES = (
    "", "/agreements", "/agreements/{agreement}/1", "/agreements/{agreement}/1/preview", "/agreements/{agreement}/diff/1/2", "/agreements/new",
    "/agreements/{agreement}/amend", "/explain?agency=water&layer=dom&operation=GetMap", "/audit", "/agencies", "/agencies/water", "/people",
    "/people/auditor", "/contributions", "/review?year=2026", "/boundaries", "/data", "/data/dom", "/data/dom/2011", "/data/dom/2011/1",
    "/data/dom/2011/withdraw", "/jobs", "/jobs/1", "/absent",
)


@pytest.fixture(scope="module")
def furnished(office) -> dict[str, str]:
    """An agreement with all that pages show, and its amendment."""
    texts = {
        "contributions": [{"dataset": "水系变化", "cadence": "P1M", "first_due": "2026-01-15"}], "quota": {"requests": {"day": 1000}},
        "mark": {"text": "防汛专用"}, "basis": ["共建共享管理办法"],
    }
    places = office.active(agreement="AG-A-RATHER-LONG-NUMBER-2026-0001", **texts)
    answer = office.visitor("data_manager").ask("POST /agreements", json=office.document(places["agreement"], version=2, term={"from": "2027-01-01"}))
    assert answer.status_code == 201, answer.text
    return places


SPILLING = """() => document.documentElement.scrollWidth > innerWidth ? [...document.querySelectorAll("body *")]
    .filter((one) => one.getClientRects().length && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 90)) : []"""

FAINT = """() => {
  const parse = (said) => { const [r, g, b, a = 1] = said.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = ([r, g, b, a], under) => [r, g, b].map((value, at) => value * a + under[at] * (1 - a));
  const light = (rgb) => rgb.map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) layers.unshift(parse(getComputedStyle(one).backgroundColor));
    return layers.reduce((under, layer) => over(layer, under), [255, 255, 255]);
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement, style = getComputedStyle(element);
    if (!walk.currentNode.data.trim() || !element.getClientRects().length || style.visibility === "hidden" || element.closest("svg, canvas, .map, option, .skip")) continue;
    const under = ground(element), ink = over(parse(style.color), under), [a, b] = [light(ink), light(under)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05), size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)} ${element.className} ${walk.currentNode.data.trim().slice(0, 30)}`);
  }
  return found;
}"""


@pytest.mark.parametrize("language", ("zh", "en"))
@pytest.mark.parametrize("width", (1280, 390))
def test_every_page_fits_its_window_and_can_be_read_and_nothing_fails_on_it(office, furnished, seat, width, language):
    one = seat(width).let_in(office, "administrator")
    for path in PAGES:
        address = f"/console{path.format(**furnished)}"
        one.open(f"{address}{'&' if '?' in address else '?'}lang={language}")
        assert one.page.evaluate(SPILLING) == [], path
        assert one.page.evaluate(FAINT) == [], path
        assert one.page.locator("html").get_attribute("lang") == ("zh-CN" if language == "zh" else "en")
        faults, one.faults[:] = list(one.faults), []
        assert faults == ([] if path != "/absent" else faults[:1]), path


def test_the_bar_of_a_running_job_goes_on_by_itself_and_the_page_is_read_again_when_it_is_over(office, seat):
    catalogue, one = office.house.services.catalogue, seat().let_in(office, "data_manager")
    with running(office.house, "dom", "2026", 200) as job:
        one.page.clock.install()
        one.open(f"/console/jobs/{job}?lang=en")
        bar = one.page.locator("progress")
        assert bar.evaluate("(bar) => [bar.value, bar.max]") == [0, 200]
        catalogue.report_job(job, 150)
        one.page.clock.fast_forward(3100)
        one.page.wait_for_function("() => document.querySelector('progress').value === 150")
        assert one.page.locator(".figures").inner_text() == "150 / 200"
        catalogue.end_job(job, JobState.FAILED, ["a.tif: states no CRS"])
    one.page.clock.fast_forward(3100)
    one.page.locator("h2", has_text="What was wrong").wait_for()
    assert one.faults == []


def test_everything_can_be_reached_and_done_with_the_keyboard_alone(office, furnished, seat):
    one = seat().let_in(office, "administrator")
    one.open(f"/console/agreements/{furnished['agreement']}/1?lang=en")
    page = one.page
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("() => location.hash") == "#content"
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.textContent").strip() == "Terminate":
            break
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("no longer needed")
    assert page.evaluate("() => document.activeElement.value") == "no longer needed"
    outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_a_page_prints_without_its_buttons(office, furnished, seat):
    one = seat().let_in(office, "auditor")
    one.open(f"/console/agreements/{furnished['agreement']}/1?lang=zh")
    one.page.emulate_media(media="print")
    shown = "() => [...document.querySelectorAll('nav, form, button, .foot')].filter((one) => one.getClientRects().length).map((one) => one.tagName)"
    assert one.page.evaluate(shown) == []
    assert one.page.locator(".clause").first.is_visible() and one.page.locator(".timeline").is_visible()
