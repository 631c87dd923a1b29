"""What people do on the pages of the console: an agreement from its draft to its end, keys, people, contributions, boundaries, questions."""

import html
import io
import json
import re
from datetime import timedelta

import numpy as np
import pytest
import shapely
from api_office import PASSWORD, TO_APPROVAL, TO_FORCE, Office
from PIL import Image

from agreements.document import read_document
from agreements.document.writing import write_document
from geoserver_app.audit.sealing import seal_days
from geoserver_app.audit.store import AuditStore
from geoserver_app.clock import now
from geoserver_app.registering import CatalogueGazetteer
from layers.catalogue import Division

TOWNS = {"320104": (118.70, 32.00, 118.75, 32.10), "320105": (118.75, 32.00, 118.80, 32.10)}


@pytest.fixture(scope="module")
def office(lasting_house) -> Office:
    lasting_house.raster("dom", np.full((3, 900, 900), 90, dtype=np.uint8), 376_000, 3_550_000, 10.0)
    lasting_house.services.catalogue.put_divisions(
        Division(vintage="2020", code=code, name=f"区{code[-1]}", level="county", geometry=shapely.box(*box)) for code, box in TOWNS.items()
    )
    return Office(lasting_house)


def send(office: Office, by: str, path: str, **fields):
    """A form of a page, as the browser of `by` sends it."""
    visitor = office.visitor(by)
    return visitor.client.post(f"/console{path}", data={"csrf": visitor.csrf, **fields})


def look(office: Office, login: str, path: str) -> str:
    answer = office.visitor(login).client.get(f"/console{path}")
    assert answer.status_code == 200, answer.text[-300:]
    return html.unescape(answer.text)


def document(office: Office, **changes) -> str:
    """YAML, as one would type it."""
    said = json.dumps(office.document(**changes))
    return write_document(read_document(said, "document", CatalogueGazetteer(office.house.services.catalogue)))


def sees(office: Office) -> bool:
    """Whether a map of water's shows anything of a place in the first division."""
    office.house.look_again()
    answer = office.house.get(
        "/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&LAYERS=dom&STYLES=&CRS=CRS:84&BBOX=118.71,32.01,118.74,32.04&WIDTH=64&HEIGHT=64"
        "&FORMAT=image/png&TRANSPARENT=TRUE", "water",
    )
    return answer.status_code == 200 and bool(np.array(Image.open(io.BytesIO(answer.data)).convert("RGBA"))[..., 3].any())


def test_an_agreement_from_its_draft_to_its_end(office):
    text = document(office, agreement="AG/2026/7")                # the bureau's numbers may hold a slash, and end with what looks like a version
    drafted = send(office, "data_manager", "/agreements/new", do="save", text=text)
    assert (drafted.status_code, drafted.headers["Location"]) == (303, "/console/agreements/AG/2026/7/1?done=drafted")
    page = "/agreements/AG/2026/7/1"
    assert "The draft is kept." in look(office, "data_manager", f"{page}?done=drafted")
    for login, action in TO_APPROVAL:
        assert send(office, login, page, do="move", action=action).status_code == 303, action
    assert not sees(office)
    digest = office.house.services.register.document_hash("AG/2026/7", 1)
    assert digest in look(office, "approver", page)
    signed = {"do": "move", "action": "sign", "signatory": "Somebody", "date": "2026-03-01", "duty": "处长"}
    other = send(office, "administrator", page, **signed, party="bureau", document="0123456789")
    assert other.status_code == 409 and "0123456789" in other.text
    assert send(office, "administrator", page, **signed, party="bureau", document=digest[:4]).status_code == 409
    assert send(office, "administrator", page, **signed, party="bureau", document=f"{digest[:8].upper()} {digest[8:12]}").status_code == 303
    assert send(office, "member", page, **signed, party="water", document=digest[:8]).status_code == 303
    assert send(office, "administrator", page, do="move", action="activate").status_code == 303
    assert sees(office)
    shown = look(office, "auditor", page)
    assert all(word in shown for word in ("Put in force", "signed by Somebody", "office 处长", "approver", "data_manager"))

    stopped = send(office, "approver", page, do="suspend", reason="汛期核查", division=["320104"], until="2099-01-01T08:00")
    assert stopped.headers["Location"].endswith("?done=suspended") and not sees(office)
    assert "汛期核查" in look(office, "member", page) and "2099-01-01 08:00" in look(office, "member", page)
    assert send(office, "administrator", page, do="resume").status_code == 303 and sees(office)
    assert send(office, "administrator", page, do="move", action="terminate").status_code == 409 and sees(office)      # without a reason
    assert send(office, "administrator", page, do="move", action="terminate", comment="不再需要").status_code == 303
    assert not sees(office) and "不再需要" in look(office, "member", page)
    done = [act["operation"] for act in office.acts() if act["object"] in ("AG/2026/7/1", "AG/2026/7") and act["outcome"] == "done"]
    assert done == ["agreements.draft", *["agreements.move"] * 6, "agreements.suspend", "agreements.resume", "agreements.move"]


def test_what_one_person_wrote_another_must_approve_and_the_page_says_why(office):
    office.person("both", "administrator", "approver", "data_manager")
    office.person("second", "administrator", "approver")
    draft = office.document(agreement="AG-TWO-1")
    assert office.visitor("both").ask("POST /agreements", json=draft).status_code == 201
    page = "/agreements/AG-TWO-1/1"
    assert 'value="submit"' in look(office, "both", page) and send(office, "both", page, do="move", action="submit").status_code == 303
    own = look(office, "both", page)
    assert 'value="approve"' not in own and 'value="conformity-check"' not in own
    assert own.count("Two-person rule") == 3 and "so another person must do `approve`" in own
    assert send(office, "both", page, do="move", action="approve").status_code == 409
    other = look(office, "second", page)
    assert 'value="conformity-check"' in other and "Two-person rule" not in other
    assert "the conformity check since the last submission is missing" in other           # what is still to be done first
    assert "`both` did `submit`" in look(office, "both", "") or "`both` did `draft`" in look(office, "both", "")        # nor is it his task


def test_only_what_may_be_done_now_and_by_whom_it_may_be_done_has_a_button(office):
    places = office.drafted(agreement="AG-BUTTONS-1")
    page = f"/agreements/{places['agreement']}/1"

    def buttons(login: str) -> set[str]:
        return set(re.findall(r'name="action" value="([\w-]+)"', look(office, login, page)))

    assert buttons("data_manager") == {"submit", "withdraw"} and buttons("auditor") == set() and buttons("approver") == set()
    office.moved(places, *TO_APPROVAL)
    assert buttons("administrator") == {"request-changes", "sign", "withdraw"} and buttons("member") == {"sign"}
    office.moved(places, *TO_FORCE)
    assert buttons("administrator") == {"terminate"} and buttons("data_manager") == set() and buttons("member") == set()
    assert 'value="suspend"' in look(office, "approver", page) and 'value="suspend"' not in look(office, "data_manager", page)
    office.moved(places, ("administrator", "terminate"))


def test_what_a_suspension_would_do_is_told_before_it_is_done(office):
    places = office.active(agreement="AG-LOOK-1")
    page = f"/agreements/{places['agreement']}/1"
    looked = send(office, "administrator", f"{page}?lang=en", do="look", reason="checked", layer=["dom"], division=["320104"])
    told = html.unescape(looked.text)
    assert looked.status_code == 200 and "sees nothing of the layers dom, in 区4 (320104)" in told and "until it is resumed" in told
    assert "<svg" in told[told.index('id="effect"'):told.index("Clauses")]
    assert sees(office)
    zh = html.unescape(send(office, "administrator", f"{page}?lang=zh", do="look", reason="checked").text)
    assert "在任何地方看不到本协议授予的全部图层，直到恢复为止" in zh
    faulty = send(office, "administrator", page, do="look", reason="checked", division=["999999"])
    assert faulty.status_code == 422 and "999999" in faulty.text
    office.moved(places, ("administrator", "terminate"))


def test_a_draft_is_checked_with_every_fault_at_its_line_and_kept_when_it_has_none(office):
    text = document(office, agreement="AG-EDIT-1").replace("GetMap", "GetMop").replace("contact: data@bureau.test\n", "")
    checked = send(office, "data_manager", "/agreements/new?lang=en", do="check", text=text)
    line = next(number for number, one in enumerate(text.splitlines(), 1) if "GetMop" in one)
    assert checked.status_code == 422 and f'data-line="{line}"' in checked.text and "did you mean `GetMap`" in html.unescape(checked.text)
    assert "contact" in checked.text and html.unescape(checked.text).count("GetMop") >= 2             # what was typed is still there
    assert send(office, "data_manager", "/agreements/new", do="save", text=text).status_code == 422
    good = document(office, agreement="AG-EDIT-1")
    assert "no fault: 1 clauses" in send(office, "data_manager", "/agreements/new?lang=en", do="check", text=good).text
    assert send(office, "data_manager", "/agreements/new", do="save", text=good).status_code == 303
    page = look(office, "data_manager", "/agreements/AG-EDIT-1/1/edit")
    digest = re.search(r'name="replacing" value="(\w{64})"', page).group(1)
    changed = good.replace("共享协议", "另一名称")
    assert send(office, "administrator", "/agreements/AG-EDIT-1/1/edit", do="save", text=changed, replacing=digest).status_code == 303
    assert "另一名称" in look(office, "auditor", "/agreements/AG-EDIT-1/1")
    stale = send(office, "data_manager", "/agreements/AG-EDIT-1/1/edit", do="save", text=good, replacing=digest)
    assert stale.status_code == 412 and "另一名称" in look(office, "auditor", "/agreements/AG-EDIT-1/1")


def test_an_agreement_is_begun_with_a_few_fields_whatever_they_hold(office):
    odd = "名称: [x]\n#'\"{}"
    begun = send(
        office, "administrator", "/agreements/new", do="blank", number="AG-BLANK-1", title=odd, grantor="bureau", grantee="water", contact="a: b",
        layer=["dom"], operation=["GetMap", "GetTile"], division=["320104"], **{"from": "2026-01-01", "until": "2027-12-31"},
    )
    text = html.unescape(re.search(r"<textarea[^>]*>(.*?)</textarea>", begun.text, re.S).group(1))
    agreement = read_document(text, "document", CatalogueGazetteer(office.house.services.catalogue))
    assert " ".join(agreement.title.split()) == " ".join(odd.split()) and agreement.contact == "a: b"
    assert agreement.grants[0].layers == {"dom"} and agreement.term.end.isoformat() == "2028-01-01T00:00:00+08:00"
    assert send(office, "administrator", "/agreements/new", do="save", text=text).status_code == 303


def test_samples_are_there_to_begin_with_and_nothing_else_of_the_machine_is(office):
    assert "agreement: AG-2011-003" in look(office, "data_manager", "/agreements/new?sample=03-water")
    for name in ("../agencies", "/etc/passwd", "03-water.yaml", ".."):
        assert office.visitor("administrator").client.get("/console/agreements/new", query_string={"sample": name}).status_code == 404


def test_an_amendment_begins_with_the_text_that_counts_and_is_compared_with_it(office):
    places = office.active(agreement="AG-AMEND-1", grants=[
        {"clause": "3.1", "layers": ["dom"], "operations": ["GetMap"], "area": {"divisions": ["320104"]}},
    ])
    page = look(office, "data_manager", f"/agreements/{places['agreement']}/amend")
    text = re.search(r"<textarea[^>]*>(.*?)</textarea>", page, re.S).group(1)
    assert '"version": 2' in text or "version: 2" in text
    amended = text.replace("320104", "320105").replace("2020-01-01", "2026-01-01")
    compared = html.unescape(send(office, "data_manager", f"/agreements/{places['agreement']}/amend?lang=en", do="compare", text=amended).text)
    assert "km2 of ground more" in compared and "km2 of ground less" in compared and "<svg" in compared[compared.index("compared-part"):]
    saved = send(office, "data_manager", f"/agreements/{places['agreement']}/amend", do="save", text=amended)
    assert saved.headers["Location"].endswith("/AG-AMEND-1/2?done=drafted")
    difference = look(office, "auditor", "/agreements/AG-AMEND-1/diff/1/2?lang=en")
    assert "km2 of ground more" in difference and "km2 of ground less" in difference and "<svg" in difference
    assert "/diff/1/2" in look(office, "approver", "/agreements/AG-AMEND-1/2")
    office.moved(places, ("administrator", "terminate"))


def test_what_they_would_see_is_shown_before_anybody_signs(office):
    places = office.drafted(agreement="AG-PREVIEW-1", grants=[
        {"clause": "3.1", "layers": ["dom"], "operations": ["GetMap"], "area": {"divisions": ["320104"]}, "scale": {"finest": 5000}, "purposes": ["flood-control"]},
    ])
    page = f"/agreements/{places['agreement']}/1/preview?lang=en&layer=dom&alone=true"
    assert "Nothing" in look(office, "approver", page) and "purpose" in look(office, "approver", page)
    seen = look(office, "approver", f"{page}&purpose=flood-control")
    assert "A part" in seen and '"clause": "3.1"' in seen
    assert "Nothing" in look(office, "approver", f"{page}&purpose=flood-control&scale=1000")
    assert "Nothing" in look(office, "approver", f"{page}&purpose=flood-control&operation=Download")
    assert not sees(office)                                          # and nothing of it is in force


def test_a_key_is_shown_once_and_revoked_for_good(office):
    issued = send(
        office, "administrator", "/agencies/water", do="issue", label="QGIS", app="flood-office", purpose="flood-control",
        networks="10.0.0.0/8\n2001:db8::/32", referers="https://maps.example.gov", origins="https://maps.example.gov", expires="2099-12-31T00:00",
    )
    secret = re.search(r'value="(gsk_\w+)" id="new-key"', issued.text).group(1)
    assert issued.headers["Cache-Control"] == "private, no-store"
    page = look(office, "administrator", "/agencies/water")
    assert secret not in page and "flood-office" in page and "10.0.0.0/8" in page and "2099-12-31" in page
    assert secret not in str(office.records())
    key_id = re.search(r'name="key_id" value="(k_\w+)"', page[page.index("QGIS"):]).group(1)
    assert send(office, "auditor", "/agencies/water", do="revoke", key_id=key_id).status_code == 403
    assert send(office, "stranger", "/agencies/water", do="revoke", key_id=key_id).status_code == 404
    assert send(office, "member", "/agencies/water", do="revoke", key_id=key_id).status_code == 303
    assert office.house.services.register.snapshot().keys
    assert next(key for key in office.house.services.register.snapshot().keys.values() if key.key_id == key_id).revoked
    for field, value in (("networks", "everywhere"), ("origins", "https://maps.example.gov/path"), ("expires", "2001-01-01T00:00"), ("purpose", "fun")):
        assert send(office, "administrator", "/agencies/water", do="issue", label="bad", **{field: value}).status_code == 422


def test_agencies_are_registered_renamed_closed_and_opened(office):
    assert send(office, "administrator", "/agencies", do="add", agency="Bad Id", name_zh="x", name_en="x", is_active="1").status_code == 422
    assert send(office, "administrator", "/agencies", do="add", agency="forestry", name_zh="林业局", name_en="Forestry", is_active="1").status_code == 303
    assert send(office, "administrator", "/agencies/forestry", do="put", name_zh="林业和草原局", name_en="Forestry").status_code == 303
    page = look(office, "auditor", "/agencies/forestry?lang=en")
    assert "林业和草原局" in page and "closed" in page and 'value="issue"' not in page


def test_people_are_added_changed_and_given_other_passwords(office):
    added = send(office, "administrator", "/people", do="add", login="newcomer", name="Newcomer", role=["auditor"], agency="bureau", password=PASSWORD)
    assert added.headers["Location"] == "/console/people/newcomer?done=person-added"
    assert office.visitor("newcomer").client.get("/console").headers["Location"].startswith("/password")
    mixed = send(office, "administrator", "/people", do="add", login="mixed", name="x", role=["auditor", "member"], agency="bureau", password=PASSWORD)
    assert mixed.status_code == 422 and PASSWORD not in mixed.text
    short = send(office, "administrator", "/people/newcomer", do="password", password="short")
    assert short.status_code == 422 and send(office, "administrator", "/people/newcomer", do="password", password="another good one").status_code == 303
    assert send(office, "administrator", "/people/newcomer", do="change", name="Renamed", role=["approver"]).status_code == 303
    person = office.accounts.person("newcomer")
    assert (person.name, sorted(person.roles), person.is_active) == ("Renamed", ["approver"], False)
    assert send(office, "auditor", "/people/newcomer", do="change", name="x").status_code == 403
    assert PASSWORD not in str(office.records()) and "another good one" not in str(office.records())


def test_what_comes_in_is_entered_checked_and_returned_with_reasons(office):
    places = office.active(agreement="AG-GIVES-1", contributions=[{"dataset": "水系变化", "cadence": "P1M", "first_due": "2026-01-15"}, {"dataset": "灾情"}])
    page = f"/contributions?agreement={places['agreement']}&lang=en"
    form = {"agreement": places["agreement"], "dataset": "水系变化"}
    first = re.search(r'name="due" value="([\d-]+)"', look(office, "data_manager", page)).group(1)
    assert send(office, "stranger", "/contributions", do="receive", **form, due=first).status_code == 404
    assert send(office, "member", "/contributions", do="receive", **form, due=first, features="12", file_name="rivers.gpkg").status_code == 303
    number = re.search(r'name="delivery" value="(\d+)"', look(office, "data_manager", page)).group(1)
    assert 'name="delivery"' not in look(office, "member", page)
    assert send(office, "data_manager", "/contributions", do="check", delivery=number, result="returned").status_code == 409      # without findings
    assert send(office, "data_manager", "/contributions", do="check", delivery=number, result="returned", findings="缺少属性").status_code == 303
    assert "缺少属性" in look(office, "member", page) and "缺少属性" in look(office, "member", f"/agreements/{places['agreement']}/1")
    stated = send(office, "member", "/contributions", do="state", **form, due=first, statement="本月无变化")
    assert stated.status_code == 303 and "本月无变化" in look(office, "auditor", f"{page}&show=all")
    noted = send(office, "data_manager", "/contributions", do="happen", agreement=places["agreement"], dataset="灾情", day=now().date().isoformat(), note="洪水")
    assert noted.status_code == 303 and "灾情" in look(office, "auditor", page)
    office.moved(places, ("administrator", "terminate"))


def test_a_question_is_answered_with_agreement_and_clause_and_a_record_is_decided_again(office):
    places = office.active(agreement="AG-WHY-1")
    asked = "/explain?lang=en&agency=water&layer=dom&operation=GetMap"
    inside = look(office, "auditor", f"{asked}&bounds=118.71,32.01,118.72,32.02&scale=10000")
    assert "Permitted" in inside and f"/agreements/{places['agreement']}/1?lang=en#clause-3.1" in inside
    outside = look(office, "auditor", f"{asked}&bounds=120.0,33.0,120.1,33.1")
    assert "Denied" in outside and "outside-area" in outside
    assert "Denied" in look(office, "auditor", "/explain?lang=en&agency=water&layer=dom&operation=Download")
    assert "2099-01-01 08:00" in look(office, "auditor", f"{asked}&at=2099-01-01T08:00")
    for wrong in ("agency=water&layer=nope", "agency=absent&layer=dom", "agency=water&layer=dom&bounds=1,2,3", "agency=water&layer=dom&scale=-1"):
        assert office.visitor("auditor").client.get(f"/console/explain?{wrong}").status_code == 422
    assert sees(office)
    record = next(one["id"] for one in reversed(office.records()) if one["event"] == "overlay.decided" and one["agency"] == "water")
    again = look(office, "auditor", f"/explain?lang=en&record={record}")
    assert "decided again by the register as it was: the same" in again and "clause 3.1 of agreement `AG-WHY-1`" in again
    assert office.visitor("stranger").client.get(f"/console/explain?record={record}").status_code == 404
    office.moved(places, ("administrator", "terminate"))


def test_the_record_is_searched_by_reason_and_checked_for_what_was_altered(office):
    assert not sees(office)
    rows = look(office, "auditor", "/audit?lang=en&agency=water&effect=deny&code=not-active&layer=dom")
    assert rows.count("effect-mark is-deny") >= 1 and "effect-mark is-permit" not in rows
    assert "effect-mark" not in look(office, "auditor", "/audit?lang=en&agency=water&code=over-quota")
    assert "console.audit" in look(office, "auditor", "/audit?event=admin.acted") and "console.audit" not in look(office, "auditor", "/audit")
    services = office.house.services
    seal_days(services.settings.decisions, AuditStore(services.database), now() + timedelta(days=2), until=now().date())
    checked = html.unescape(send(office, "auditor", "/audit?lang=en", do="verify", day=now().date().isoformat()).text)
    assert "Check" in checked and "auditor" in look(office, "administrator", "/audit?lang=en")      # who checked last
    assert now().date().isoformat() in look(office, "member", "/audit?lang=en")


def test_a_member_can_t_find_out_by_searching_what_a_refusal_would_not_tell(office):
    """Whether a layer exists that is not shared: both are no more than not shared, whatever reason is searched for."""
    office.house.get("/tiles/absent/WebMercatorQuad/14/13596/6645.png", "police")
    office.house.get("/tiles/dom/WebMercatorQuad/14/13596/6645.png", "police")
    for code in ("layer-not-granted", "no-agreement", "superseded", "granted"):
        text = look(office, "stranger", f"/audit?code={code}&effect=deny")
        assert ("absent" in text) == (">dom<" in text), code


def test_a_boundary_that_was_issued_anew_waits_until_somebody_decides(office):
    places = office.active(agreement="AG-BOUND-1", grants=[
        {"clause": "3.1", "layers": ["dom"], "operations": ["GetMap"], "area": {"divisions": ["320104"]}},
    ])
    office.house.services.catalogue.put_divisions([
        Division(vintage="2026", code="320104", name="区4", level="county", geometry=shapely.box(118.70, 32.00, 118.76, 32.10)),
    ])
    page = look(office, "data_manager", "/boundaries?lang=en")
    assert places["agreement"] in page and "<svg" in page and "2020 → 2026" in page
    kept = {"do": "keep", "agreement": places["agreement"], "code": "320104"}
    assert send(office, "auditor", "/boundaries", **kept, comment="x").status_code == 403
    assert send(office, "administrator", "/boundaries", **kept).status_code == 422                  # without a reason
    assert send(office, "administrator", "/boundaries", **kept, comment="仅为勘误").status_code == 303
    assert places["agreement"] not in look(office, "data_manager", "/boundaries?lang=en")
    assert "仅为勘误" in look(office, "auditor", f"/agreements/{places['agreement']}/1")
    office.moved(places, ("administrator", "terminate"))


def test_an_agreement_under_another_shows_whether_it_keeps_within_it(office):
    above = office.active(agreement="AG-ABOVE-1", use={"third_party": True})
    wide = {"type": "Polygon", "coordinates": [[[118.60, 32.00], [118.80, 32.00], [118.80, 32.10], [118.60, 32.10], [118.60, 32.00]]]}
    office.drafted(agreement="AG-BELOW-1", parent="AG-ABOVE-1", parties={"grantor": "water", "grantee": "police"})
    office.drafted(agreement="AG-BELOW-2", parent="AG-ABOVE-1", parties={"grantor": "water", "grantee": "police"}, grants=[
        {"clause": "3.1", "layers": ["dom"], "operations": ["GetMap", "Download"], "area": {"geojson": wide}},
    ])
    assert "Proven to be within the agreement above" in look(office, "auditor", "/agreements/AG-BELOW-1/1?lang=en")
    beyond = look(office, "auditor", "/agreements/AG-BELOW-2/1?lang=en")
    assert "Beyond the agreement above" in beyond and "Download" in beyond and "km2" in beyond
    children = look(office, "auditor", "/agreements/AG-ABOVE-1/1?lang=en")
    assert "AG-BELOW-1" in children and "AG-BELOW-2" in children and "proven to be within this one" in children
    office.moved(above, ("administrator", "terminate"))


def test_the_first_page_tells_what_waits_and_how_things_stand(office):
    office.drafted(agreement="AG-FIRST-1")
    send(office, "data_manager", "/agreements/AG-FIRST-1/1", do="move", action="submit")
    page = look(office, "approver", "?lang=en")
    mine = page[page.index('id="mine"'):page.index('id="week"')]
    assert "AG-FIRST-1" in mine and "working days left" in mine and "/console/agreements/AG-FIRST-1/1" in mine
    assert page.count("<svg") == 2 and "Refused" in page and re.search(r"<b>\d+</b><span class=\"state is-submitted\">", page)
    assert "AG-FIRST-1" not in look(office, "member", "?lang=en")
