"""Signing in and out, by the API and by the form; cookies; passwords that others set; guessing; nothing secret in any log."""

import logging
import re
from datetime import timedelta

import pytest
from api_office import PASSWORD, Office
from houses import build_house

from geoserver_app.people.accounts import Accounts
from geoserver_app.people.guessing import FREE_BY_LOGIN, MOST_BAD_KEYS
from geoserver_app.wiring import wire

OTHER = "staple under the moon"
WRONG = "wrong and wrong again"


@pytest.fixture
def office(house) -> Office:
    return Office(house)


def sign_in(office, visitor=None, login="administrator", password=PASSWORD, **others):
    return (visitor or office.visitor()).ask("POST /session", json={"login": login, "password": password}, **others)


def by_cookie(office, token, name="geoshare"):
    return office.house.app.test_client(use_cookies=False).get("/api/v1/session", headers={"Cookie": f"{name}={token}"})


def form_of(page) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))


def post_login(client, login="administrator", password=PASSWORD, headers=None, **changes):
    form = form_of(client.get("/login"))
    return client.post("/login", data=form | {"login": login, "password": password} | changes, headers=headers or {})


# Cookies

def test_the_cookie_can_t_be_read_by_scripts_nor_sent_by_other_sites(office):
    cookie = sign_in(office).headers["Set-Cookie"]
    assert re.fullmatch(r"geoshare=[\w-]{43}; HttpOnly; Path=/; SameSite=Strict", cookie)


def test_over_https_the_cookie_is_secure_and_bound_to_the_host(tmp_path):
    house = build_house(tmp_path)
    house.services = wire(house.services.settings.replaced(public_base_url="https://maps.test"))
    office = Office(house)
    answer = sign_in(office)
    assert re.fullmatch(r"__Host-geoshare=[\w-]{43}; Secure; HttpOnly; Path=/; SameSite=Strict", answer.headers["Set-Cookie"])
    token = answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    for name, status in (("__Host-geoshare", 200), ("geoshare", 401)):
        assert by_cookie(office, token, name).status_code == status, "a plain cookie can be planted"
    for origin, status in (("https://maps.test", 201), ("http://maps.test", 403), ("http://localhost", 403), ("https://localhost", 403)):
        assert sign_in(office, headers={"Origin": origin}).status_code == status
    page = house.client().get("/login")
    assert "__Host-geoshare-visitor=" in page.headers["Set-Cookie"] and "Secure" in page.headers["Set-Cookie"]


def test_signing_out_ends_the_session_and_forgets_the_cookie(office):
    visitor = office.visitor()
    visitor.csrf = sign_in(office, visitor).json["csrf"]
    stolen = visitor.client.get_cookie("geoshare").value
    assert by_cookie(office, stolen).status_code == 200
    answer = visitor.ask("DELETE /session")
    assert answer.status_code == 204 and "Max-Age=0" in answer.headers["Set-Cookie"]
    assert visitor.client.get_cookie("geoshare") is None
    assert by_cookie(office, stolen).status_code == 401


def test_a_session_is_never_one_that_came_from_outside(office):
    """Fixation: what an attacker planted, or used before, is worth nothing once somebody signs in."""
    for planted in ("planted-by-somebody", office.accounts.open_session("auditor")[0]):
        visitor = office.visitor()
        visitor.client.set_cookie("geoshare", planted, domain="localhost")
        assert sign_in(office, visitor).status_code == 201
        assert visitor.client.get_cookie("geoshare").value != planted
        assert office.accounts.session(planted) is None
        assert visitor.ask("GET /session").json["person"]["login"] == "administrator"


def test_a_session_does_not_slip_into_an_address_or_an_answer(office):
    answer = sign_in(office)
    token = answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    assert token not in answer.text
    assert office.house.client().get(f"/api/v1/session?geoshare={token}").status_code == 401


def test_a_cookie_beside_a_token_changes_nothing(office):
    visitor = office.visitor("administrator")
    assert visitor.ask("GET /people", headers=office.token("member")).status_code == 403
    assert visitor.ask("GET /people", headers={"Authorization": "Bearer gsu_nonsense"}).status_code == 401
    assert visitor.ask("GET /people", headers={"Authorization": "Basic YWxpY2U6eA=="}).status_code == 401


def test_an_answer_is_kept_by_nobody_and_depends_on_who_asks(office):
    answer = office.visitor("administrator").ask("GET /session")
    assert answer.headers["Cache-Control"] == "private, no-store" and "Cookie" in answer.headers["Vary"]
    assert not [name for name in answer.headers.keys() if name.startswith("Access-Control")]


# Passwords

def test_who_has_a_password_of_somebody_else_must_change_it_first(office):
    office.person("newcomer", "auditor", must_change=True)
    visitor = office.visitor()
    visitor.csrf = sign_in(office, visitor, "newcomer").json["csrf"]
    assert visitor.ask("GET /session").json["person"]["must_change"]
    assert visitor.ask("GET /people").json["title"] == "password must change"
    changed = visitor.ask("PUT /session/password", json={"current": PASSWORD, "new": OTHER})
    assert changed.status_code == 200 and not changed.json["person"]["must_change"]
    assert visitor.ask("GET /people").status_code == 200
    assert sign_in(office, login="newcomer").status_code == 401 and sign_in(office, login="newcomer", password=OTHER).status_code == 201


def test_a_changed_password_ends_every_other_session_and_renews_this_one(office):
    here, elsewhere = office.visitor("auditor"), office.visitor("auditor")
    before = here.client.get_cookie("geoshare").value
    assert here.ask("PUT /session/password", json={"current": PASSWORD, "new": OTHER}).status_code == 200
    assert elsewhere.ask("GET /session").status_code == 401
    assert here.client.get_cookie("geoshare").value != before and here.ask("GET /session").status_code == 200


def test_the_present_password_is_needed_and_guesses_at_it_are_slowed_down(office):
    visitor = office.visitor("auditor")
    for _ in range(FREE_BY_LOGIN):
        assert visitor.ask("PUT /session/password", json={"current": WRONG, "new": OTHER}).status_code == 401
    assert visitor.ask("PUT /session/password", json={"current": PASSWORD, "new": OTHER}).status_code == 429


def test_a_weak_password_is_told_where_it_stands(office):
    answer = office.visitor("auditor").ask("PUT /session/password", json={"current": PASSWORD, "new": "auditorauditor"}, headers={"Accept-Language": "zh"})
    assert answer.status_code == 422
    assert answer.json["errors"] == [{"pointer": "#/new", "code": "password-login", "detail": "密码不能由登录名凑成：去掉登录名后仍须足够长"}]


def test_an_administrator_resets_a_password_and_sessions_and_tokens_end(office):
    auditor, headers = office.visitor("auditor"), office.token("auditor")
    assert office.visitor("administrator").ask("PUT /people/auditor/password", json={"password": OTHER}).status_code == 204
    assert auditor.ask("GET /session").status_code == 401
    assert office.visitor().ask("GET /session", headers=headers).status_code == 401
    assert sign_in(office, login="auditor", password=OTHER).json["person"]["must_change"]


# Guessing

def test_guessing_is_answered_alike_whether_there_is_such_a_person_or_not(office, monkeypatch):
    told = {}
    for login in ("administrator", "nobody"):
        clock = office.accounts.clock
        answers = [sign_in(office, login=login, password=WRONG) for _ in range(FREE_BY_LOGIN)] + [sign_in(office, login=login)]
        told[login] = [(one.status_code, one.text, one.headers.get("Retry-After"), one.headers.get("WWW-Authenticate")) for one in answers]
        monkeypatch.setattr(office.accounts, "clock", clock)
    assert told["administrator"] == told["nobody"]
    assert [status for status, *_ in told["nobody"]] == [401] * FREE_BY_LOGIN + [429]
    assert "Basic" not in str(told), "a browser must not ask for it in a window of its own"


def test_the_form_and_the_api_count_together(office):
    client = office.house.client()
    for _ in range(FREE_BY_LOGIN):
        assert post_login(client, password=WRONG).status_code == 401
    locked = post_login(client)
    assert locked.status_code == 429 and locked.headers["Retry-After"] == "1" and "geoshare=" not in str(locked.headers.getlist("Set-Cookie"))
    assert sign_in(office).status_code == 429


def test_an_address_is_taken_from_proxies_that_are_trusted_alone(office):
    for number in range(FREE_BY_LOGIN):
        assert sign_in(office, password=WRONG, headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code == 401
    assert sign_in(office, headers={"X-Forwarded-For": "192.0.2.99"}).status_code == 429


def test_bad_keys_are_told_to_wait_after_many_and_a_good_one_from_there_is_still_answered(office):
    client = office.house.client()

    def ask(key):
        return client.get("/api/v1/layers", headers={"X-API-Key": key})

    assert [ask(f"gsk_{number}").status_code for number in range(MOST_BAD_KEYS)] == [401] * MOST_BAD_KEYS
    waiting = ask("gsk_wrong")
    assert waiting.status_code == 429 and 0 < int(waiting.headers["Retry-After"]) <= 60
    assert ask(office.house.keys["water"]).status_code == 200
    assert office.visitor().ask("GET /session", headers={"Authorization": "Bearer gsu_wrong"}).status_code == 429
    assert office.visitor("auditor").ask("GET /session").status_code == 200


def test_no_key_at_all_is_no_guess(office):
    for _ in range(MOST_BAD_KEYS + 5):
        assert office.house.client().get("/api/v1/layers").status_code == 401


# The form

def test_the_form_signs_in_without_a_script_and_leads_on(office):
    client = office.house.client()
    page = client.get("/login?next=/api/v1/docs")
    assert "<script" not in page.text and page.headers["Referrer-Policy"] == "same-origin", "with no-referrer a browser sends the Origin `null`"
    answer = client.post("/login", data=form_of(page) | {"login": "administrator", "password": PASSWORD}, headers={"Origin": "http://localhost"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/api/v1/docs")
    assert client.get("/api/v1/session").json["person"]["login"] == "administrator"


@pytest.mark.parametrize("place", (
    "https://evil.test/", "//evil.test/", "/\\evil.test", "/\t/evil.test", "javascript:alert(1)", "evil", "", "/ok\r\nX-Evil: 1", "http:evil.test",
))
def test_the_form_leads_nowhere_else(office, place):
    assert post_login(office.house.client(), next=place).headers["Location"] == "/"


@pytest.mark.parametrize("language, word", [("zh", "登录名或密码不正确"), ("en", "login or password is wrong")])
def test_the_form_tells_what_is_wrong_in_the_visitor_s_language_and_keeps_the_login(office, language, word):
    client = office.house.client()
    answer = client.post(f"/login?lang={language}", data=form_of(client.get("/login")) | {"login": "administrator", "password": WRONG})
    assert answer.status_code == 401 and word in answer.text and 'value="administrator"' in answer.text and WRONG not in answer.text


def test_what_is_typed_as_a_login_is_shown_as_text(office):
    answer = post_login(office.house.client(), login='"><script>alert(1)</script>')
    assert "<script" not in answer.text


@pytest.mark.parametrize("trick", ("no token", "another visitor's token", "another origin", "another site", "no cookie"))
def test_nobody_is_signed_in_by_another_site(office, trick):
    """Else a visitor would work in an account of the attacker's."""
    client = office.house.client()
    form = form_of(client.get("/login")) | {"login": "administrator", "password": PASSWORD}
    headers = {}
    match trick:
        case "no token":
            form["csrf"] = ""
        case "another visitor's token":
            form["csrf"] = form_of(office.house.client().get("/login"))["csrf"]
        case "another origin":
            headers["Origin"] = "https://evil.test"
        case "another site":
            headers["Sec-Fetch-Site"] = "cross-site"
        case "no cookie":
            client.delete_cookie("geoshare-visitor", domain="localhost")
    answer = client.post("/login", data=form, headers=headers)
    assert answer.status_code == 403 and client.get_cookie("geoshare") is None


def test_signing_out_by_the_form_takes_its_token(office):
    visitor = office.visitor("auditor")
    page = visitor.client.get("/password")
    assert visitor.client.post("/logout", data={"csrf": "0" * 64}).status_code == 403
    assert visitor.ask("GET /session").status_code == 200
    answer = visitor.client.post("/logout", data={"csrf": form_of(page)["csrf"]})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert visitor.ask("GET /session").status_code == 401


@pytest.mark.parametrize("headers", ({"Origin": "https://evil.test"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {}))
def test_another_site_does_not_make_a_browser_forget_its_session(office, headers):
    """The cookie does not come with such a request; an answer that ends it would all the same."""
    answer = office.house.client().post("/logout", headers=headers)
    assert answer.status_code == (403 if headers else 303) and "Set-Cookie" not in answer.headers


def test_a_first_sign_in_leads_to_the_form_for_another_password_and_then_on(office):
    office.person("newcomer", "auditor", must_change=True)
    client = office.house.client()
    assert post_login(client, "newcomer", next="/api/v1/docs").headers["Location"] == "/password?next=/api/v1/docs"
    page = client.get("/password?next=/api/v1/docs&lang=zh")
    assert "你的密码由他人设定" in page.text
    form = form_of(page)
    weak = client.post("/password?lang=zh", data=form | {"current": PASSWORD, "new": "short"})
    assert weak.status_code == 422 and "密码须有 12 至 256 个字符" in weak.text
    answer = client.post("/password", data=form | {"current": PASSWORD, "new": OTHER})
    assert answer.headers["Location"] == "/api/v1/docs"
    assert client.get("/api/v1/people").status_code == 200


def test_pages_for_people_send_others_to_the_form(office):
    for method in ("get", "post"):
        answer = getattr(office.house.client(), method)("/password")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/login?next=/password")


# Logs and records

def test_no_secret_is_in_any_log_or_record(office, caplog):
    caplog.set_level(logging.DEBUG)
    visitor = office.visitor()
    session = sign_in(office, visitor)
    visitor.csrf = session.json["csrf"]
    token = visitor.client.get_cookie("geoshare").value
    expires = (office.accounts.clock() + timedelta(days=1)).isoformat()
    issued = visitor.ask("POST /session/tokens", json={"label": "x", "roles": ["administrator"], "expires": expires}).json
    key = visitor.ask("POST /keys", json={"agency": "water"}).json
    sign_in(office, login="wrongly-typed-password", password=WRONG)
    visitor.ask("POST /people", json={"login": "x1", "name": "x", "roles": ["auditor"], "password": OTHER})
    visitor.ask("POST /people", json={"login": "x1", "name": "x", "roles": ["auditor"], "password": OTHER, "extra": OTHER})
    post_login(office.house.client(), password=WRONG)
    office.visitor().ask("GET /session", headers={"Authorization": "Bearer gsu_stolen"})
    written = caplog.text + "".join(path.read_text() for path in office.house.folder.rglob("*.jsonl"))
    for secret in (PASSWORD, WRONG, OTHER, token, visitor.csrf, issued["secret"], key["secret"], "gsu_stolen", "wrongly-typed-password"):
        assert secret not in written
    assert issued["token_id"] in written and key["key_id"] in written


def test_a_fault_in_the_middle_of_things_tells_nothing_of_what_was_sent(office, caplog, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("broken")

    office.house.app.testing = False
    monkeypatch.setattr(Accounts, "sign_in", broken)
    answer = sign_in(office)
    assert answer.status_code == 500 and answer.json["title"] == "unexpected"
    assert PASSWORD not in caplog.text + answer.text
    assert office.acts()[-1] | {"id": "", "at": "", "seal": ""} == {
        "id": "", "at": "", "seal": "", "event": "admin.acted", "agency": None, "operation": "session.open", "actor": None, "proof": None, "object": None,
        "outcome": "failed", "status": 500,
    }


def test_where_no_record_can_be_written_nothing_is_done(office):
    visitor, before = office.visitor("administrator"), len(office.accounts.people())
    office.house.services.settings.decisions.write_text("not a folder")
    answer = visitor.ask("POST /people", json={"login": "bob", "name": "Bob", "roles": ["auditor"], "password": OTHER})
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    assert len(office.accounts.people()) == before
    assert post_login(office.house.client()).status_code == 503
