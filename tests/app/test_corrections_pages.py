"""Corrections on pages: marked by a member, moved on by the bureau, shown to nobody else."""

import json
import re

import numpy as np
import pytest
import shapely
from api_office import EVERYBODY, Office

from geoserver_app.corrections.book import new_id

MARKUP = "<img src=x onerror=alert(1)>\"'&<b>"
MARK = json.dumps({"type": "Point", "coordinates": [118.735, 31.993]})


@pytest.fixture(scope="module")
def office(lasting_house) -> Office:
    office = Office(lasting_house)
    lasting_house.raster("dom", np.full((3, 200, 200), 90, dtype=np.uint8), 379_000, 3_542_000, 20.0, title_zh="影像", title_en="Imagery")
    lasting_house.raster("secret", np.full((3, 200, 200), 90, dtype=np.uint8), 379_000, 3_542_000, 20.0, title_en="Secret")
    lasting_house.grant("water", "dom", area=shapely.box(118.72, 31.99, 118.75, 32.01))
    return office


def send(office, login, path, **fields):
    visitor = office.visitor(login)
    return visitor.client.post(path, data={"csrf": visitor.csrf, **fields})


def look(office, login, path, language="en"):
    return office.visitor(login).client.get(f"{path}{'&' if '?' in path else '?'}lang={language}")


def reported(office, text="a road is missing", **fields) -> str:
    answer = send(office, "member", "/portal/corrections", **{"do": "report", "layer": "dom@2011", "kind": "missing", "text": text, "place": MARK} | fields)
    assert answer.status_code == 303, re.findall(r"<li>(.*?)</li>", answer.text)
    return re.search(r"/portal/corrections/([\w-]+)", answer.headers["Location"]).group(1)


def test_a_member_marks_an_error_and_sees_what_becomes_of_it(office):
    ticket = reported(office)
    page = look(office, "member", f"/portal/corrections/{ticket}")
    assert page.status_code == 200 and "a road is missing" in page.text and "something is missing" in page.text
    assert ticket in look(office, "member", "/portal/corrections").text
    for to, fields in (("taken", {}), ("answered", {"text": "mended next spring"})):
        assert send(office, "data_manager", f"/console/corrections/{ticket}", do="move", to=to, **fields).status_code == 303
    page = look(office, "member", f"/portal/corrections/{ticket}")
    assert "mended next spring" in page.text and "data_manager" not in page.text
    assert send(office, "member", f"/portal/corrections/{ticket}", do="move", to="closed").status_code == 303
    assert ticket not in look(office, "member", "/portal/corrections").text and ticket in look(office, "member", "/portal/corrections?show=all").text


def test_a_place_may_be_typed(office):
    ticket = reported(office, place="", point="118.735, 31.993")
    assert office.visitor("member").ask(f"GET /corrections/{ticket}").json["place"] == json.loads(MARK)


@pytest.mark.parametrize(("fields", "told"), [
    ({"place": "", "point": ""}, "no place is marked"), ({"place": "{", "point": ""}, "no place is marked"), ({"place": "[1]"}, "no place is marked"),
    ({"text": ""}, "text"), ({"place": json.dumps({"type": "Point", "coordinates": [118.8, 32.0]})}, "does not lie within what your agency may see"),
])
def test_what_is_wrong_with_a_form_is_told_on_the_page_and_what_was_typed_stays(office, fields, told):
    sent = {"do": "report", "layer": "dom@2011", "kind": "name", "text": "it is called otherwise", "place": MARK} | fields
    answer = send(office, "member", "/portal/corrections?lang=en", **sent)
    assert answer.status_code == 422 and told in answer.text
    assert (sent["text"] or "name") in answer.text


def test_only_layers_that_are_seen_can_be_chosen(office):
    page = look(office, "member", "/portal/corrections").text
    assert 'value="dom@2011"' in page and "secret" not in page.lower()
    assert 'value="dom@2011"' not in look(office, "stranger", "/portal/corrections").text
    answer = send(office, "member", "/portal/corrections?lang=en", do="report", layer="secret", kind="name", text="t", place=MARK)
    assert answer.status_code == 403


def test_who_may_open_which_page(office):
    ticket = reported(office)
    pages = {
        "/portal/corrections": "303 404 404 404 404 200 200", f"/portal/corrections/{ticket}": "303 404 404 404 404 200 404",
        f"/portal/corrections/{new_id()}": "303 404 404 404 404 404 404",
        "/console/corrections": "303 200 200 200 200 404 404", f"/console/corrections/{ticket}": "303 200 200 200 200 404 404",
        f"/console/corrections/{new_id()}": "303 404 404 404 404 404 404",
    }
    for path, statuses in pages.items():
        for login, status in zip(EVERYBODY, map(int, statuses.split()), strict=True):
            assert look(office, login, path).status_code == status, (login, path)


@pytest.mark.parametrize("language", ("zh", "en"))
def test_what_was_written_stays_text_and_pages_are_in_both_languages(office, language):
    ticket = reported(office, text=MARKUP)
    send(office, "data_manager", f"/console/corrections/{ticket}", do="move", to="taken", text=MARKUP)
    for login, path in (("member", "/portal/corrections"), ("member", f"/portal/corrections/{ticket}"), ("auditor", "/console/corrections?show=all"),
                        ("administrator", f"/console/corrections/{ticket}")):
        text = look(office, login, path, language).text
        assert "<img src=x" not in text and ("纠错" in text) == (language == "zh"), path


def test_nobody_else_s_form_does_anything(office):
    ticket = reported(office)
    for login, path in (("member", "/portal/corrections"), ("member", f"/portal/corrections/{ticket}"), ("data_manager", f"/console/corrections/{ticket}")):
        visitor = office.visitor(login)
        assert visitor.client.post(path, data={"csrf": "forged", "do": "move", "to": "taken"}).status_code == 403
    assert send(office, "auditor", f"/console/corrections/{ticket}", do="move", to="taken").status_code == 403
    assert office.visitor("auditor").ask(f"GET /corrections/{ticket}").json["state"] == "reported"


def test_the_bureau_names_the_edition_in_which_it_is_mended(office):
    ticket = reported(office)
    send(office, "data_manager", f"/console/corrections/{ticket}", do="move", to="taken")
    assert '<option>2011</option>' in look(office, "data_manager", f"/console/corrections/{ticket}").text
    assert send(office, "data_manager", f"/console/corrections/{ticket}?lang=en", do="move", to="mended").status_code == 422
    assert send(office, "data_manager", f"/console/corrections/{ticket}", do="move", to="mended", fixed_in="2011").status_code == 303
    assert "Mended in edition 2011." in look(office, "member", f"/portal/corrections/{ticket}").text


def test_pages_of_the_bureau_are_narrowed(office):
    ticket = reported(office)
    for query, is_there in (("", True), ("?show=late", False), ("?agency=water&layer=dom", True), ("?agency=police", False), ("?layer=dlg", False)):
        assert (ticket in look(office, "auditor", f"/console/corrections{query}").text) is is_there, query
