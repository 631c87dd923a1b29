"""Overlays and saved maps on the portal: what a form does, and what a page keeps from everybody whose it is not."""

import html
import json
import re

import numpy as np
import pytest
from api_office import Office
from overlaying import edition_of, geojson, published, sent, taken_in, told, worker

from geoserver_app.overlays.asking import ORIGINS
from geoserver_app.overlays.book import UploadState
from geoserver_app.overlays.thematic import RAMPS, Method
from geoserver_app.settings import CLASSIFICATIONS
from tiles.symbols import ICONS

PICKED = '{"tables": {"stations": {"symbol": {"colour": "#C92A2A", "icon": "gauge"}, "label": {"field": "STNM"}}}}'


@pytest.fixture(scope="module")
def office(lasting_house) -> Office:
    office = Office(lasting_house)
    lasting_house.raster("dom", np.full((3, 64, 64), 90, dtype=np.uint8), 379_000, 3_546_000, 100.0, title_zh="影像", title_en="Imagery")
    lasting_house.grant("water", "dom")
    published(lasting_house, "water", edition="2026-07", title_zh="水位站", title_en="Gauges")
    return office


def page(office: Office, path: str, login: str = "member", language: str = "zh"):
    visitors = office.__dict__.setdefault("visitors", {})
    visitor = visitors[login] = visitors.get(login) or office.visitor(login)
    return visitor.client.get(f"{path}?lang={language}")


def post(office: Office, path: str, do: str, login: str = "member", language: str = "zh", **form):
    visitor = office.visitor(login)
    answer = visitor.client.post(f"{path}?lang={language}", data={"csrf": visitor.csrf, "do": do} | form)
    office.house.look_again()
    return answer


def maps_of(office: Office, login: str = "member") -> list[dict]:
    return office.visitor(login).ask("GET /maps").json["items"]


# Overlays

@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_shows_its_own_overlays_and_the_other_agency_none_of_them(office, language):
    own, other = (page(office, "/portal/overlays", login, language).text for login in ("member", "stranger"))
    assert "water-stations" in own and {"zh": "水位站", "en": "Gauges"}[language] in own
    for word in ("water-stations", "水位站", "Gauges", "stations.geojson", "2026-07"):
        assert word not in other
    for name in ("overlay", "map"):
        path = {"overlay": "/portal/overlays/water-stations/2026-07", "map": "/portal/maps/nothing"}[name]
        unknown = {"overlay": "/portal/overlays/water-nothing/2026-07", "map": "/portal/maps/other"}[name]
        answers = [page(office, one, "stranger", language) for one in (path, unknown)]
        assert [one.status_code for one in answers] == [404, 404]
        texts = [re.sub(r"water-\w+|maps/\w+|[A-Z0-9]{4}(-[A-Z0-9]{4})+|\w{20,}", "", one.text) for one in answers]
        assert texts[0] == texts[1]


def test_every_state_step_and_choice_of_a_form_has_words(office):
    from geoserver_app.console import portal_overlays as words

    assert set(words.STATES) == {one.value for one in UploadState}
    assert set(words.ORIGIN_WORDS) == set(map(str, ORIGINS)) and set(words.METHODS) == {str(one) for one in Method}
    assert set(words.RAMP_WORDS) == set(RAMPS) and set(words.ICON_WORDS) == set(ICONS) and set(words.CLASSIFICATION_WORDS) == set(CLASSIFICATIONS)


def test_rules_are_kept_and_faulty_ones_come_back_as_typed_with_the_place_of_the_fault(office):
    path = "/portal/overlays/water-stations/2026-07"
    generation = edition_of(office.house, "water", "water-stations", "2026-07")["generation"]
    answer = post(office, path, "draw", symbols=PICKED, generation=generation)
    assert answer.status_code == 303, answer.text
    assert edition_of(office.house, "water", "water-stations", "2026-07")["symbols"]["tables"]["stations"]["symbol"]["icon"] == "gauge"
    faulty = PICKED.replace("gauge", "no such icon")
    for wrong, said in ((faulty, "icon"), ("{", "JSON")):
        answer = post(office, path, "draw", symbols=wrong, generation=generation + 1, language="en")
        assert answer.status_code == 422 and said in answer.text and html.escape(wrong, quote=False) in html.unescape(answer.text).replace("&", "&amp;")
    old = post(office, path, "draw", symbols=PICKED, generation=generation)
    assert old.status_code == 409, "somebody else changed them meanwhile"
    assert post(office, path, "draw", "stranger", symbols=PICKED, generation=generation + 1).status_code == 404


def test_an_edition_that_is_not_there_is_answered_as_nothing(office):
    assert page(office, "/portal/overlays/water-stations/1999").status_code == 404


def test_data_that_were_held_back_show_why_and_are_decided_on_by_a_member(office):
    found = taken_in(office.house, "water", geojson(), name="shifted", coord_origin="internet-map")
    text = page(office, "/portal/overlays").text
    if found["state"] != "held":
        pytest.fail(f"expected to be held back: {found}")
    assert "已隔离" in text and found["findings"][0]["sentence"] in html.unescape(page(office, "/portal/overlays", language="en").text)
    assert post(office, "/portal/overlays", "decide", "stranger", upload=found["upload"], publish="yes", reason="x").status_code == 404
    assert post(office, "/portal/overlays", "decide", upload=found["upload"], publish="no", reason="坐标确有偏移").status_code == 303
    assert told(office.house, "water", found["upload"])["state"] in ("cancelled", "failed")


def test_a_registration_is_called_off_and_an_edition_withdrawn_by_their_agency_alone(office):
    upload = sent(office.house, "water", geojson(), name="brief")
    assert post(office, "/portal/overlays", "cancel", "stranger", upload=upload).status_code == 404
    assert post(office, "/portal/overlays", "cancel", upload=upload).status_code == 303
    while worker(office.house).work():
        pass
    assert told(office.house, "water", upload)["state"] == "cancelled"
    published(office.house, "water", name="passing", edition="1")
    assert post(office, "/portal/overlays", "withdraw", "stranger", layer="water-passing", edition="1").status_code == 404
    assert "water-passing" in page(office, "/portal/overlays").text
    assert post(office, "/portal/overlays", "withdraw", layer="water-passing", edition="1").status_code == 303
    assert "/portal/overlays/water-passing/1" not in page(office, "/portal/overlays").text
    assert office.house.get("/api/v1/overlays/layers/water-passing", "water").status_code == 404


def test_a_service_on_a_host_that_is_not_listed_is_refused_and_its_credential_never_shown_again(office):
    form = {"kind": "wms", "url": "https://maps.example.org/wms", "layers": "a, b", "name": "elsewhere", "credential": "basic", "user": "u", "password": "hunter2-secret"}
    answer = post(office, "/portal/overlays", "connect", language="en", **form)
    assert answer.status_code in (403, 422) and "maps.example.org" in answer.text and "hunter2-secret" not in answer.text
    assert "hunter2-secret" not in json.dumps(office.records(), ensure_ascii=False)


# Maps

def test_a_map_is_put_together_opened_and_deleted(office):
    form = {"title": "汛情 <b>", "layer": ["dom", "water-stations", ""], "opacity": ["80", "100", "100"], "sharing": "everyone"}
    answer = post(office, "/portal/maps", "save", **form)
    assert answer.status_code == 303, answer.text
    (saved,) = maps_of(office)
    assert [(one["layer"], one["opacity"]) for one in saved["layers"]] == [("dom", 0.8), ("water-stations", 1.0)]
    text = page(office, f"/portal/maps/{saved['map']}").text
    assert "汛情 &lt;b&gt;" in text and "汛情 <b>" not in text and "water-stations" in text and "80 %" in text
    other = page(office, f"/portal/maps/{saved['map']}", "stranger").text
    assert "water-stations" not in other and "水位站" not in other and "dom" not in re.findall(r"<code>(.*?)</code>", other)
    assert "2 个图层" in other
    assert post(office, "/portal/maps", "delete", "stranger", map=saved["map"]).status_code in (403, 404)
    assert maps_of(office)
    assert post(office, "/portal/maps", "delete", map=saved["map"]).status_code == 303 and maps_of(office) == []


def test_a_map_with_a_faulty_field_is_not_saved_and_what_was_typed_stays(office):
    answer = post(office, "/portal/maps", "save", language="en", title="Flood", layer=["dom"], opacity=["dense"], sharing="agency")
    assert answer.status_code == 422 and "Flood" in answer.text and "dense" in answer.text
    assert post(office, "/portal/maps", "save", title="空", sharing="agency").status_code == 422
    assert maps_of(office) == []


