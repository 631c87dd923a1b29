"""Every page of the console by everybody: who sees it, who is told that there is nothing, and that nobody else's form does anything."""

import re
from html.parser import HTMLParser
from urllib.parse import quote

import numpy as np
import pytest
import shapely
from api_office import EVERYBODY, SQUARE, Office

from geoserver_app.console.frame import bp
from geoserver_app.giving.book import SubmissionBook
from geoserver_app.giving.checking import Checked
from geoserver_app.giving.findings import Finding
from geoserver_app.giving.report import Head, write_report
from geoserver_app.giving.submissions import OPEN, Move, SubmissionState, report_folder
from layers.catalogue import Division, JobState

MARKUP = "<img src=x onerror=alert(1)>\"'&<b>"

#                                                        anonymous administrator approver auditor data_manager member stranger
PAGES = {
    "":                                                   "303 200 200 200 200 200 200",
    "/agreements":                                        "303 200 200 200 200 200 200",
    "/agreements/{agreement}":                            "303 200 200 200 200 200 404",
    "/agreements/{agreement}/1":                          "303 200 200 200 200 200 404",
    "/agreements/{agreement}/diff/1/1":                   "303 200 200 200 200 404 404",
    "/agreements/{agreement}/1/preview":                  "303 200 200 200 200 404 404",
    "/agreements/{agreement}/amend":                      "303 200 404 404 200 404 404",
    "/agreements/{draft}/1/edit":                         "303 200 404 404 200 404 404",
    "/agreements/new":                                    "303 200 404 404 200 404 404",
    "/agreements/new?sample=03-water":                    "303 200 404 404 200 404 404",
    "/divisions.geojson?level=county":                    "303 200 200 200 200 404 404",
    "/explain":                                           "303 200 200 200 200 200 200",
    "/explain?agency=water&layer=dom&operation=GetMap":   "303 200 200 200 200 200 404",
    "/audit":                                             "303 200 404 200 404 200 200",
    "/agencies":                                          "303 200 200 200 200 200 200",
    "/agencies/water":                                    "303 200 200 200 200 200 404",
    "/people":                                            "303 200 404 200 404 404 404",
    "/people/auditor":                                    "303 200 404 200 404 404 404",
    "/contributions":                                     "303 200 200 200 200 200 200",
    "/contributions?agreement={agreement}":               "303 200 200 200 200 200 404",
    "/submissions":                                       "303 200 200 200 200 404 404",
    "/submissions?show=all&agency=water":                 "303 200 200 200 200 404 404",
    "/submissions/{submission}":                          "303 200 200 200 200 404 404",
    "/corrections":                                       "303 200 200 200 200 404 404",
    "/corrections?show=all":                              "303 200 200 200 200 404 404",
    "/corrections/{correction}":                          "303 200 200 200 200 404 404",
    "/review":                                            "303 200 200 200 200 404 404",
    "/review?year=2026":                                  "303 200 200 200 200 404 404",
    "/boundaries":                                        "303 200 200 200 200 404 404",
    "/requests":                                          "303 200 200 200 200 404 404",
    "/data":                                              "303 200 200 200 200 404 404",
    "/data/dom":                                          "303 200 200 200 200 404 404",
    "/data/dom/2011":                                     "303 200 200 200 200 404 404",
    "/data/dom/2011?text={sheet}":                        "303 200 200 200 200 404 404",
    "/data/dom/2011/{sheet}":                             "303 200 200 200 200 404 404",
    "/data/dom/2011/withdraw":                            "303 200 404 404 404 404 404",
    "/jobs":                                              "303 200 200 200 200 404 404",
    "/jobs/{job}":                                        "303 200 200 200 200 404 404",
    "/no/such/page":                                      "303 404 404 404 404 404 404",
}

TAKE_FORMS = {
    "/agreements/{agreement}/1": ("move", "suspend", "resume", "look"), "/agreements/new": ("blank", "check", "compare", "save"),
    "/agreements/{agreement}/amend": ("check", "compare", "save"), "/agreements/{draft}/1/edit": ("check", "compare", "save"),
    "/audit": ("verify",), "/agencies": ("add",), "/agencies/water": ("put", "issue", "revoke"), "/people": ("add",),
    "/people/auditor": ("change", "password", "revoke"), "/contributions": ("receive", "state", "check", "happen"), "/boundaries": ("keep",), "/submissions/{submission}": ("review", "approve", "return"), "/corrections/{correction}": ("move",),
    "/requests": ("answer",), "/data/dom/2011/withdraw": ("withdraw",),
    "/no/such/page": ("anything",),
}


@pytest.fixture(scope="module")
def office(lasting_house) -> Office:
    """With an agreement in force whose every text holds markup, its amendment as a draft, a division, and a delivery with findings."""
    lasting_house.raster("dom", np.full((3, 64, 64), 90, dtype=np.uint8), 379_000, 3_543_500, 10.0)
    square = shapely.geometry.shape(SQUARE)
    lasting_house.services.catalogue.put_divisions([Division(vintage="2024", code="320104", name=f"区{MARKUP}", level="county", geometry=square)])
    office = Office(lasting_house)
    office.texts = {
        "title": f"协议{MARKUP}", "purpose": MARKUP, "credit": MARKUP, "contact": MARKUP, "basis": [MARKUP],
        "contributions": [{"dataset": f"数据{MARKUP}", "cadence": "P1M", "first_due": "2026-01-15"}, {"dataset": f"事件{MARKUP}"}],
        "mark": {"text": MARKUP}, "quota": {"rate": {"per_second": 10, "burst": 300}, "requests": {"day": 1000}},
        "grants": [{"clause": "3.1", "layers": ["dom"], "operations": ["GetMap", "GetTile"], "area": {"divisions": ["320104"]}}],
    }
    office.places = {"agreement": office.active(agreement="AG-CONSOLE-1", **office.texts)["agreement"]}
    catalogue = lasting_house.services.catalogue
    catalogue.end_job(marked := catalogue.begin_job("dom", "2012", 3), JobState.FAILED, [f"{MARKUP}.tif has no CRS", MARKUP])
    (sheet,) = catalogue.sheets(catalogue.snapshot().layers["dom"].editions[0].edition_id)
    office.places |= {"job": str(marked), "sheet": str(sheet.sheet_id)}
    office.places["draft"] = office.drafted(agreement="AG-CONSOLE-2", **office.texts)["agreement"]
    administrator, member = office.visitor("administrator"), office.visitor("member")
    assert administrator.ask("PUT /agencies/water", json={"name_zh": f"水利厅{MARKUP}", "name_en": MARKUP}).status_code == 200
    assert administrator.ask("POST /keys", json={"agency": "water", "label": MARKUP, "app": MARKUP}).status_code == 201
    assert administrator.ask("POST /people", json={"login": "marked", "name": MARKUP, "roles": ["auditor"], "password": "long enough for all"}).status_code == 201
    path = f"/agreements/{office.places['agreement']}"
    answer = member.ask(f"POST {path}/deliveries", json={"dataset": f"数据{MARKUP}", "by": MARKUP, "edition": MARKUP, "file_name": MARKUP})
    check = {"result": "returned", "findings": MARKUP}
    assert administrator.ask(f"POST /deliveries/{answer.json['delivery_id']}/checks", json=check).status_code == 200
    wrong = {"layer": "dom", "kind": "missing", "place": {"type": "Point", "coordinates": [379_300, 3_543_300]}, "crs": "EPSG:4549", "text": MARKUP}
    answer = member.ask("POST /corrections", json=wrong)
    assert answer.status_code == 201, answer.text
    office.places["correction"] = answer.json["correction"]
    assert administrator.ask(f"POST {path}/suspensions", json={"reason": MARKUP, "area": {"geojson": SQUARE}}).status_code == 201
    office.places["submission"] = a_submission(office, path.rpartition("/")[2])
    assert member.ask("POST /requests", json={"layers": MARKUP, "reason": MARKUP}).status_code == 201
    assert administrator.ask(f"POST {path}/resumption", json={"comment": MARKUP}).status_code == 200
    return office


def a_submission(office: Office, agreement: str) -> str:
    """Checked, with a report; every text of it holds markup."""
    words = dict.fromkeys(("terms", "note", "attribution", "title_zh", "abstract"), MARKUP)
    sent = {"agreement": agreement, "dataset": f"数据{MARKUP}", "file": f"{MARKUP}.geojson", "currency_to": "2026-01-10", **words}
    answer = office.visitor("member").ask("POST /submissions", json=sent)
    assert answer.status_code == 201, answer.text
    services, submission = office.house.services, answer.json["submission"]
    head = Head(**{name: MARKUP for name in Head.__slots__ if name != "written"}, written=services.gate.clock())
    found = Finding(code="given-empty", table=MARKUP, detail={"field": MARKUP}, keys=(MARKUP,))
    write_report(Checked(findings=(found,), differences=(), features=1), head, report_folder(services.settings, submission))
    book = SubmissionBook(services.database, services.gate.clock)
    assert book.move(submission, Move(state=SubmissionState.CHECKED, among=OPEN, act="checked", actor=MARKUP, text=MARKUP, values={"errors": 1, "warnings": 0}))
    return submission


def address(office: Office, path: str) -> str:
    return f"/console{path.format(**office.places)}"


def answers(office: Office, path: str, login: str):
    return office.visitor(login).client.get(address(office, path))


def expected(path: str) -> dict[str, int]:
    return dict(zip(EVERYBODY, map(int, PAGES[path].split()), strict=True))


def test_the_table_has_every_page_there_is(office):
    rules = {rule.rule for rule in office.house.app.url_map.iter_rules() if rule.endpoint.startswith(f"{bp.name}.")}
    adapter = office.house.app.url_map.bind("localhost")
    asked = {adapter.match(address(office, path).partition("?")[0], return_rule=True)[0].rule for path in PAGES}
    assert rules - {"/console/"} == asked


@pytest.mark.parametrize("login", EVERYBODY)
@pytest.mark.parametrize("path", PAGES)
def test_everybody_sees_what_the_table_says_and_leaves_a_record_of_it(office, path, login):
    before = len(office.acts())
    answer = answers(office, path, login)
    assert answer.status_code == expected(path)[login], answer.text[-400:]
    act = office.acts()[before:][-1]
    assert act["operation"].startswith("console.") and act["actor"] == (None if login == "anonymous" else login)
    outcomes = {200: {"shown"}, 404: {"refused", "invalid"}, 303: {"refused"}}
    assert act["outcome"] in outcomes[answer.status_code]
    if login == "anonymous":
        assert answer.headers["Location"].startswith("/login?next=/console")


class Tags(HTMLParser):
    """Every element of a page with its attributes, as a browser reads them."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def check_harmless(text: str) -> None:
    """Nothing of a page runs but scripts of ours, and nothing is fetched from elsewhere."""
    for tag, attributes in Tags(text).found:
        assert tag not in ("iframe", "object", "embed", "base") and not any(name.startswith("on") for name in attributes)
        assert tag != "script" or (re.fullmatch(r"/static/[\w./-]+", attributes["src"]) and "defer" in attributes)
        assert tag != "img" or re.fullmatch(r"/static/mark\.svg|/api/v1/data/layers/[\w-]+/editions/[\w.-]+/sheets/\d+/picture|/api/v1/submissions/\w+/pictures/\w+|/api/v1/corrections/[\w-]+/picture", attributes["src"])
        for name in ("src", "href", "action", "formaction"):
            assert not re.match(r"(?i)\s*(//|https?:|javascript:|data:)", attributes.get(name) or "")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_private_and_runs_nothing_but_our_own_scripts(office, path):
    answer = answers(office, path, "administrator")
    assert answer.headers["Cache-Control"] == "private, no-store" and answer.headers["Referrer-Policy"] == "same-origin"
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    check_harmless(answer.text)


@pytest.mark.parametrize("language", ("zh", "en"))
@pytest.mark.parametrize("path", PAGES)
def test_no_text_of_anybody_s_is_ever_markup(office, path, language):
    """Names, titles, reasons, findings: whatever people wrote is shown as they wrote it."""
    for login in ("administrator", "member"):
        separator = "&" if "?" in path else "?"
        text = office.visitor(login).client.get(f"{address(office, path)}{separator}lang={language}").text
        check_harmless(text)
        assert "<img src=x" not in text


def test_what_is_asked_for_in_an_address_is_shown_as_text_too(office):
    visitor = office.visitor("administrator")
    for path in ("/agreements?text={0}", "/agreements?layer={0}", "/explain?layer={0}&agency=water", "/explain?record={0}", "/audit?layer={0}", "/audit?code={0}",
                 "/contributions?agreement={0}", "/no/{0}", "/agencies/{0}", "?done={0}", "/agreements/AG-CONSOLE-1/1/preview?layer={0}&app={0}"):
        text = visitor.client.get("/console" + path.format(quote(MARKUP, safe=""))).text
        check_harmless(text)
        assert "<img src=x" not in text, path


@pytest.mark.parametrize("login", ("approver", "member", "stranger"))
def test_a_page_that_is_not_one_s_own_is_answered_like_one_that_does_not_exist(office, login):
    client = office.visitor(login).client
    for path in [path for path in PAGES if expected(path)[login] == 404 and "?" not in path]:
        theirs, none = (client.get(one) for one in (address(office, path), "/console/absent"))
        assert theirs.text == none.text, path
        assert dict(theirs.headers) == dict(none.headers)


@pytest.mark.parametrize("path", TAKE_FORMS)
def test_no_other_site_makes_a_browser_send_a_form(office, path):
    visitor, other = office.visitor("administrator"), office.visitor("administrator")
    for doing in TAKE_FORMS[path]:
        for csrf, headers in (
            ("", {}), ("0" * 64, {}), (other.csrf, {}), (visitor.csrf, {"Origin": "https://evil.test"}), (visitor.csrf, {"Sec-Fetch-Site": "cross-site"}),
        ):
            before = office.house.services.register.epoch()
            answer = visitor.client.post(address(office, path), data={"csrf": csrf, "do": doing}, headers=headers)
            assert answer.status_code == 403
            assert office.house.services.register.epoch() == before


@pytest.mark.parametrize("path", TAKE_FORMS)
def test_a_form_of_somebody_without_the_right_changes_nothing(office, path):
    for login in ("auditor", "stranger", "anonymous"):
        visitor = office.visitor(login)
        for doing in TAKE_FORMS[path]:
            if (doing, login) in {("verify", "auditor"), ("look", "auditor")}:
                continue
            before = office.house.services.register.epoch(), len(office.accounts.people())
            answer = visitor.client.post(address(office, path), data={"csrf": visitor.csrf, "do": doing, "action": "withdraw", "reason": "x", "comment": "x"})
            assert answer.status_code in ((303,) if login == "anonymous" else (403, 404, 409, 422)), (login, doing, answer.status_code)
            assert (office.house.services.register.epoch(), len(office.accounts.people())) == before


def test_a_form_that_no_page_has_is_answered_like_a_page_that_is_not_there(office):
    visitor = office.visitor("administrator")
    for path in TAKE_FORMS:
        assert visitor.client.post(address(office, path), data={"csrf": visitor.csrf, "do": "absent"}).status_code == 404


def test_pages_speak_the_language_that_was_chosen_and_keep_it_from_page_to_page(office):
    client = office.visitor("auditor").client
    chinese = client.get("/console?lang=zh", headers={"Accept-Language": "en"})
    assert '<html lang="zh-CN">' in chinese.text and "待我办理" in chinese.text and chinese.headers["Content-Language"] == "zh"
    assert '/console/agreements?lang=zh"' in chinese.text and 'href="?lang=en"' in chinese.text
    english = client.get("/console", headers={"Accept-Language": "en-GB,en"})
    assert '<html lang="en">' in english.text and "Waiting for me" in english.text and "?lang=en" not in english.text.replace('href="?lang=', "")


def test_what_a_page_says_after_something_was_done_are_words_of_its_own(office):
    client = office.visitor("auditor").client
    assert "put into the history" in client.get("/console?done=moved&lang=en").text
    assert 'role="status"' not in client.get("/console?done=anything&lang=en").text


def test_a_member_is_not_shown_what_the_bureau_keeps_to_itself(office):
    text = answers(office, "/agreements/{agreement}", "member").text
    assert "data_manager" not in text and "approver" not in text              # who did what
    assert "areas.compile" not in text and "/preview" not in text and "/diff/" not in text
    assert answers(office, "/agreements/{draft}", "member").status_code == 404
    assert office.places["draft"] not in answers(office, "/agreements", "member").text


def test_every_page_has_one_title_a_way_past_the_navigation_and_a_label_for_every_field(office):
    for path in PAGES:
        text = answers(office, path, "administrator").text
        if path.startswith("/divisions"):
            continue
        assert text.count("<h1") == 1 and text.count('<main id="content"') == 1 and 'class="skip" href="#content"' in text
        for field in re.findall(r"<(?:input|select|textarea)\b[^>]*>", re.sub(r"<label\b.*?</label>", "", text, flags=re.S)):
            assert 'type="hidden"' in field or "aria-label" in field, (path, field)
