"""An overlay is registered, drawn and laid over the base map in a real browser."""

import os
import shutil
from pathlib import Path

import geopandas
import pytest
import shapely
from api_office import Office
from overlaying import POINTS, geojson, worker
from served import serving

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test does it")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.client, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")]

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync", "--disable-dev-shm-usage"]
PATIENCE = 20_000                               # milliseconds


@pytest.fixture(scope="module")
def office(lasting_house) -> Office:
    office = Office(lasting_house)
    roads = [shapely.LineString([(118.70 + x, 32.0), (118.72 + x, 32.1)]) for x in (0, 0.02, 0.04, 0.06)] + [shapely.LineString([(118.70, 32.03), (118.80, 32.06)])]
    frame = geopandas.GeoDataFrame({"NAME": [f"{number}号路" for number in range(5)], "GB": 420100}, geometry=roads, crs="EPSG:4326")
    frame.to_crs("EPSG:4549").to_file(lasting_house.folder / "LRDL.gpkg", layer="LRDL")
    lasting_house.layer("dlg", lasting_house.folder / "LRDL.gpkg", product="DLG", title_zh="线划图", title_en="Line map")
    lasting_house.grant("water", "dlg")
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


def shot(page, name: str) -> None:
    """Where somebody wants to look at it: the folder that SHOTS names."""
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def fits(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("language", "wide"), [("zh-CN", 1280), ("en", 390)])
def test_a_file_becomes_a_layer_of_a_map(browser, base, office, language, wide):
    token, _ = office.accounts.open_session("member")
    context = browser.new_context(locale=language, viewport={"width": wide, "height": 1000})
    context.add_cookies([{"name": "geoshare", "value": token, "url": base}])
    page, faults = context.new_page(), []
    page.set_default_timeout(PATIENCE)
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    name = f"gauges-{wide}"

    page.goto(f"{base}/portal/overlays")
    page.set_input_files("[data-upload] [name=file]", {"name": "水位站.geojson", "mimeType": "application/geo+json", "buffer": geojson(POINTS)})
    page.fill("[data-upload] [name=name]", name)
    page.fill("[data-upload] [name=title_zh]", "水位站")
    page.fill("[data-upload] [name=title_en]", "Gauges")
    page.fill("[data-upload] [name=edition]", "2026")
    with page.expect_navigation():
        page.click("[data-upload] button[type=submit]")
    page.locator(f"article:has-text('{name}') [data-step], article:has-text('{name}') progress").first.wait_for()
    shot(page, f"overlay-waiting-{wide}")
    while worker(office.house).work():
        pass
    office.house.look_again()
    page.locator(f"article[data-state=published]:has-text('water-{name}@2026')").wait_for()       # the page looks by itself
    shot(page, f"overlays-{wide}")
    assert fits(page)

    with page.expect_response(lambda answer: answer.url.split("?")[0].endswith("/picture")) as drawn:
        page.click(f"a[href*='/portal/overlays/water-{name}/2026']")
    assert drawn.value.status == 200
    with page.expect_response(lambda answer: answer.url.split("?")[0].endswith("/classes")) as reckoned:
        page.select_option("[data-of=by]", "LEVEL")
    assert reckoned.value.status == 200
    page.select_option("[data-of=icon]", "gauge")
    with page.expect_response(lambda answer: answer.url.split("?")[0].endswith("/legend")) as legend:
        page.select_option("[data-of=label]", "STNM")
    assert legend.value.status == 200
    page.wait_for_function("() => [...document.querySelectorAll('.drawing img')].every((image) => image.naturalWidth > 0)")
    shot(page, f"overlay-drawn-{wide}")
    assert fits(page)
    page.click(".drawing button[type=submit]")
    page.locator(".note.good").wait_for()
    rules = office.visitor("member").ask(f"GET /overlays/layers/water-{name}").json["editions"][0]["symbols"]["tables"]
    (rule,) = rules.values()
    assert rule["symbol"]["icon"] == "gauge" and rule["label"]["field"] == "STNM" and rule["classes"]["by"] == "LEVEL"

    office.house.look_again()
    page.goto(f"{base}/portal/maps")
    page.fill("form.form [name=title]", "水位一张图")
    page.locator("select[name=layer]").nth(0).select_option("dlg")
    page.locator("select[name=layer]").nth(1).select_option(f"water-{name}")
    shot(page, f"maps-{wide}")
    assert fits(page)
    with page.expect_response(lambda answer: "/api/v1/maps/" in answer.url and "/picture" in answer.url) as picture:
        page.click("form.form button[type=submit]")
    assert picture.value.status == 200 and picture.value.headers["content-type"] == "image/png"
    page.wait_for_load_state("networkidle")
    shot(page, f"map-{wide}")
    assert fits(page) and faults == []
    context.close()
