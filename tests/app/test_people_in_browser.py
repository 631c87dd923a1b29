"""Signing in, the API's page and pages of other origins in a real browser: what its rules on cookies, forms, policies and origins make of ours."""

import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from api_office import PASSWORD, Office
from served import serving

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test does it")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.client, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")]

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync", "--disable-dev-shm-usage"]
PATIENCE = 20_000                               # milliseconds
TILE = "/tiles/dom/WebMercatorQuad/14/13596/6645.png"


class Elsewhere(BaseHTTPRequestHandler):
    """An empty page of another site."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title><body></body>")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def elsewhere():
    """The address of a page of another origin, and of another site: localhost is not 127.0.0.1 to a browser."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def office(lasting_house, elsewhere) -> Office:
    lasting_house.raster("dom", np.full((3, 400, 400), 90, dtype=np.uint8), 379_000, 3_542_000, 10.0)
    office = Office(lasting_house)
    office.person("newcomer", "administrator", must_change=True)
    lasting_house.grant("water", "dom")
    named = frozenset({elsewhere})
    for name, terms in {"open": {"origins": named, "referers": named}, "plain": {}, "pages": {"referers": named}}.items():
        lasting_house.keys[name] = lasting_house.services.register.issue_key("water", name, **terms)[1]
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


@pytest.fixture
def page(browser):
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.faults = []
    page.on("console", lambda message: page.faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    yield page
    context.close()


def sign_in(page, base, login="administrator", password=PASSWORD, onward="/api/v1/docs"):
    page.goto(f"{base}/login?next={onward}")
    page.fill("#login", login)
    page.fill("#password", password)
    page.click("button[type=submit]")
    page.wait_for_load_state("networkidle")


def operation(page, method: str, path: str):
    """The box of an operation on the API's page, opened."""
    box = page.locator("details", has=page.locator("summary", has_text=method)).filter(has=page.locator("summary code", has_text=path)).first
    box.locator("summary").click()
    return box


def test_somebody_signs_in_and_does_something_on_the_api_s_page(page, base):
    sign_in(page, base)
    assert page.url == f"{base}/api/v1/docs" and "administrator" in page.inner_text("#who")
    box = operation(page, "GET", "/people")
    box.locator("button").click()
    box.locator("pre:not([hidden])").wait_for()
    assert box.locator("pre").inner_text().startswith("200") and "data_manager" in box.locator("pre").inner_text()
    box = operation(page, "POST", "/keys")
    box.locator("textarea").fill('{"agency": "water", "label": "from the page"}')
    box.locator("button").click()
    box.locator("pre:not([hidden])").wait_for()
    assert box.locator("pre").inner_text().startswith("201"), "the form token and the origin are those of the page"
    assert page.faults == []


def test_a_wrong_password_is_told_in_the_visitor_s_language_and_the_other_is_a_click_away(page, base):
    sign_in(page, base, login="nobody", password="wrong and wrong again")
    assert "登录名或密码不正确" in page.inner_text("[role=alert]") and page.input_value("#login") == "nobody"
    page.click("nav a")
    assert page.inner_text("h1") == "Sign in"


def test_a_password_that_somebody_else_set_is_changed_first(page, base):
    sign_in(page, base, login="newcomer")
    assert page.url.startswith(f"{base}/password") and "由他人设定" in page.inner_text("main")
    page.fill("#current", PASSWORD)
    page.fill("#new", "staple under the moon")
    page.click("form[action^='/password'] button")
    page.wait_for_url(f"{base}/api/v1/docs")
    page.wait_for_load_state("networkidle")
    assert "newcomer" in page.inner_text("#who") and page.faults == []


def test_another_site_can_neither_sign_anybody_out_nor_change_anything(page, base, elsewhere):
    sign_in(page, base)
    page.goto(elsewhere)
    with page.expect_navigation(url=f"{base}/logout"):
        page.evaluate("""(base) => {
            const form = document.createElement("form");
            form.method = "post"; form.action = `${base}/logout`;
            document.body.append(form); form.submit();
        }""", base)
    page.goto(elsewhere)
    told = page.evaluate("""async (base) => {
        const tries = [];
        for (const [path, init] of [
            ["/session", { method: "DELETE", credentials: "include" }],
            ["/session", { credentials: "include" }],
            ["/keys", { method: "POST", mode: "no-cors", credentials: "include", body: '{"agency": "water"}', headers: { "Content-Type": "text/plain" } }],
            ["/openapi.json", {}],
        ]) {
            try { const answer = await fetch(`${base}/api/v1${path}`, init); tries.push(answer.type === "opaque" ? "opaque" : answer.status); }
            catch { tries.push("blocked"); }
        }
        return tries;
    }""", base)
    assert told[:2] == ["blocked", "blocked"] and told[2] in ("opaque", "blocked") and told[3] == "blocked"
    page.goto(f"{base}/api/v1/docs")
    page.locator("#who", has_text="administrator").wait_for()                     # still signed in


ASK = """async ([address, headers]) => {
    try { const answer = await fetch(address, { headers }); return [answer.status, (await answer.arrayBuffer()).byteLength > 0]; }
    catch { return "blocked"; }
}"""
SHOW = """(address) => new Promise((done) => {
    const picture = new Image();
    picture.onload = () => done("shown"); picture.onerror = () => done("blocked");
    picture.src = address;
})"""


def test_a_page_elsewhere_reads_tiles_with_a_key_that_names_it_and_with_no_other(page, base, office, elsewhere):
    page.goto(elsewhere)
    keys = office.house.keys
    assert page.evaluate(ASK, [f"{base}{TILE}", {"X-API-Key": keys["open"]}]) == [200, True]
    assert page.evaluate(ASK, [f"{base}/tiles/absent.json", {"X-API-Key": keys["open"]}])[0] == 403, "a refusal can be read, too"
    assert page.evaluate(ASK, [f"{base}{TILE}?key={keys['open']}", {}]) == [200, True]
    assert page.evaluate(ASK, [f"{base}{TILE}", {"X-API-Key": keys["plain"]}]) == "blocked"
    assert page.evaluate(ASK, [f"{base}{TILE}?key={keys['pages']}", {}]) == "blocked", "shown, not read"


def test_a_page_elsewhere_shows_tiles_with_a_key_that_names_it_and_with_no_other(page, base, office, elsewhere):
    page.goto(elsewhere)
    keys = office.house.keys
    for name, told in (("open", "shown"), ("pages", "shown"), ("plain", "blocked")):
        assert page.evaluate(SHOW, f"{base}{TILE}?key={keys[name]}") == told, name
    page.goto(elsewhere.replace("localhost", "127.0.0.1"))
    assert page.evaluate(SHOW, f"{base}{TILE}?key={keys['pages']}") == "blocked", "that origin is not named"
