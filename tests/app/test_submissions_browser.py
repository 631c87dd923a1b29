"""Data handed in with a real browser, and looked at by the bureau: sent, checked, reviewed with its pictures, approved, published."""

import shutil

import pytest
from api_office import Office
from giving import DATASET, ROWS, Desk, as_geojson, owing
from served import serving

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test does it")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.client, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")]

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync", "--disable-dev-shm-usage"]
PATIENCE = 20_000                               # milliseconds


@pytest.fixture(scope="module")
def desk(lasting_house) -> Desk:
    desk = Desk(Office(lasting_house))
    for number in range(3):
        owing(lasting_house, agreement=f"AG-GIVE-{number}")
    return desk


@pytest.fixture(scope="module")
def base(desk):
    with serving(desk.house) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=PATIENCE)
        yield browser
        browser.close()


def visit(browser, desk: Desk, base: str, login: str, language: str, wide: int = 1280):
    """A page of somebody who is signed in."""
    context = browser.new_context(locale=language, viewport={"width": wide, "height": 900})
    token, _ = desk.office.accounts.open_session(login)
    context.add_cookies([{"name": "geoshare", "value": token, "url": base}])
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.faults = []
    page.on("console", lambda message: page.faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    return page


def fits(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_file_is_sent_and_decided_on_pages(browser, desk, base, tmp_path):
    desk.accepted(as_geojson([{**ROWS[0], "名称": "旧名"}, ROWS[1]]), edition="first", agreement="AG-GIVE-0")
    path = tmp_path / "districts.geojson"
    path.write_bytes(as_geojson([ROWS[0], {**ROWS[1], "级别": "分局"}]))
    page = visit(browser, desk, base, "member", "zh-CN")
    page.goto(f"{base}/portal/contributions?show=all")
    page.get_by_role("link", name="在线提交", exact=True).click()
    page.set_input_files("input[type=file]", str(path))
    page.fill("[name=edition]", "by-page")
    page.fill("[name=terms]", "只用于行政管理")
    assert fits(page)
    page.locator("form[data-send] button[type=submit]").click()
    page.wait_for_url("**/portal/submissions/*")
    desk.submission = page.url.partition("?")[0].rpartition("/")[2]
    assert page.locator("h1").inner_text() == DATASET
    desk.work()
    page.locator("#found").wait_for()                       # the page looks again by itself
    assert fits(page)
    staff, approver = (visit(browser, desk, base, login, "zh-CN") for login in ("data_manager", "approver"))
    staff.goto(f"{base}/console/submissions")
    staff.get_by_role("link", name=DATASET).first.click()
    staff.locator("#difference").wait_for()
    for picture in staff.locator(".picture img").all():
        picture.scroll_into_view_if_needed()
        picture.evaluate("image => image.decode()")
        assert picture.evaluate("image => image.naturalWidth") > 300
    staff.fill("[name=note]", "核对无误")
    staff.locator("button[value=review]").click()
    staff.locator("[role=status]").wait_for()
    assert staff.locator("button[value=approve]").count() == 0 and desk.row(desk.submission).reviewed_by == "data_manager"
    approver.goto(f"{base}/console/submissions/{desk.submission}")
    approver.locator("button[value=approve]").click()
    approver.locator("[role=status]").wait_for()
    desk.work()
    assert desk.row(desk.submission).state == "accepted"
    for one in (page, staff, approver):
        assert one.faults == []
        one.context.close()


def test_pages_fit_a_telephone(browser, desk, base, tmp_path):
    for login, house in (("member", "portal"), ("auditor", "console")):
        page = visit(browser, desk, base, login, "en", 390)
        for path in ("submissions?show=all" if house == "console" else "submissions", f"submissions/{desk.submission}"):
            page.goto(f"{base}/{house}/{path}")
            assert fits(page) and page.locator("h1").count() == 1, path
            page.screenshot(path=str(tmp_path / f"{house}-{len(path)}.png"), full_page=True)
        assert page.faults == []
        page.context.close()


def test_what_can_t_be_sent_is_told_and_leaves_nothing_open(browser, desk, base, tmp_path):
    path = tmp_path / "districts.geojson"
    path.write_bytes(as_geojson())
    page = visit(browser, desk, base, "member", "en")
    page.goto(f"{base}/portal/submissions")
    page.set_input_files("input[type=file]", str(path))
    page.fill("[name=edition]", "not an edition")
    before = desk.book.open_count("water")
    page.locator("form[data-send] button[type=submit]").click()
    page.locator("form[data-send] [role=alert]").wait_for()
    assert "can't be an edition" in page.locator("form[data-send] [role=alert]").inner_text() and desk.book.open_count("water") == before
    page.context.close()
