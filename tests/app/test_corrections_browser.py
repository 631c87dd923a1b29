"""An error marked on the map in a real browser, and what the bureau sees of it."""

import os
import shutil
from pathlib import Path

import geopandas
import pytest
import shapely
from api_office import Office
from served import serving

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test does it")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.client, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")]

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync", "--disable-dev-shm-usage"]
PATIENCE = 20_000                               # milliseconds
CRS, WEST, SOUTH = "EPSG:4549", 380_000.0, 3_540_000.0


@pytest.fixture(scope="module")
def office(lasting_house) -> Office:
    office, folder = Office(lasting_house), lasting_house.folder
    roads = [shapely.LineString([(WEST + x, SOUTH), (WEST + x + 300, SOUTH + 2000)]) for x in range(0, 2000, 250)]
    roads += [shapely.LineString([(WEST, SOUTH + y), (WEST + 2300, SOUTH + y + 200)]) for y in range(0, 2000, 300)]
    geopandas.GeoDataFrame({"NAME": [f"{number}号路" for number in range(len(roads))], "GB": 420100}, geometry=roads, crs=CRS).to_file(folder / "LRDL.gpkg", layer="LRDL")
    lasting_house.layer("dlg", folder / "LRDL.gpkg", product="DLG", title_zh="线划图", title_en="Line map")
    west = geopandas.GeoSeries([shapely.box(WEST, SOUTH, WEST + 1400, SOUTH + 2000)], crs=CRS).to_crs("EPSG:4326")[0]
    lasting_house.grant("water", "dlg", area=west)
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


def enter(browser, base, office, login: str, language: str, wide: int):
    token, _ = office.accounts.open_session(login)
    context = browser.new_context(locale=language, viewport={"width": wide, "height": 1000})
    context.add_cookies([{"name": "geoshare", "value": token, "url": base}])
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.faults = []
    page.on("console", lambda message: page.faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    return page


def shot(page, name: str) -> None:
    """Where somebody wants to look at it: the folder that SHOTS names."""
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


@pytest.mark.parametrize(("language", "wide", "tool"), [("zh-CN", 1280, "Polygon"), ("en", 390, "Point")])
def test_an_error_is_marked_on_the_map_and_moved_on_by_the_bureau(browser, base, office, language, wide, tool):
    page = enter(browser, base, office, "member", language, wide)
    with page.expect_response(lambda answer: "/corrections/canvas" in answer.url) as drawn:
        page.goto(f"{base}/portal/corrections")
    assert drawn.value.status == 200 and drawn.value.headers["content-type"] == "image/png"
    page.wait_for_function("() => document.querySelector('#canvas').dataset.ready === 'yes'")
    page.wait_for_load_state("networkidle")
    page.click(f"[data-draw={tool}]")
    box = page.locator("#canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    if tool == "Point":
        page.mouse.click(x, y)
    else:
        for place in ((x, y), (x + 60, y), (x + 60, y + 50)):
            page.mouse.click(*place)
            page.wait_for_timeout(400)
        page.mouse.dblclick(x, y + 50)
    page.wait_for_function("() => document.forms.length && document.querySelector('[name=place]').value.length > 10")
    page.fill("[name=text]", "这里新建了一条路" if language == "zh-CN" else "There is a new road here")
    shot(page, f"portal-mark-{language}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.click("form.marking button[type=submit]")
    page.locator(".note.good").wait_for()
    ticket = page.url.split("/corrections/")[1].split("?")[0]
    assert office.visitor("member").ask(f"GET /corrections/{ticket}").json["place"]["type"] == tool
    page.locator("details summary").click()
    page.wait_for_function("() => [...document.images].every((image) => !image.src.includes('/picture') || image.naturalWidth === 512)")
    shot(page, f"portal-ticket-{language}")
    assert page.faults == [] and page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto(f"{base}/portal/corrections")
    page.wait_for_load_state("networkidle")
    shot(page, f"portal-list-{language}")

    desk = enter(browser, base, office, "data_manager", language, wide)
    desk.goto(f"{base}/console/corrections")
    desk.wait_for_load_state("networkidle")
    shot(desk, f"console-list-{language}")
    assert desk.evaluate("document.documentElement.scrollWidth <= innerWidth")
    desk.click(f"a[href*='{ticket}']")
    desk.wait_for_function("() => [...document.images].some((image) => image.src.includes('/picture') && image.naturalWidth === 512)")
    desk.click("button[value=taken]")
    desk.locator(".note.good").wait_for()
    desk.fill("textarea[name=text]", "已列入补测" if language == "zh-CN" else "It will be surveyed")
    shot(desk, f"console-ticket-{language}")
    desk.click("button[value=answered]")
    desk.locator(".note.good").first.wait_for()
    assert desk.faults == [] and desk.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.context.close()
    desk.context.close()
