"""Sheets over HTTP: what the standard says is told to everybody, what exists to those who may see it, where they may."""

import json
from datetime import date, datetime
from urllib.parse import quote

import pytest
import shapely
from numbered_sheets import SQUARE, deliver, publish

from agreements.model import Term
from geoserver_app.clock import SHANGHAI
from layers.catalogue import Division
from layers.sheets import numbers as sheets
from layers.sheets import sheet_frame

NEW, OLD = (20, 200, 20), (200, 20, 20)
NORTH_WEST, NORTH_EAST, SOUTH_WEST, SOUTH_EAST = SQUARE
PART = shapely.box(*sheets.sheet_bounds(NORTH_WEST)).buffer(-0.01)
"""Ground within one sheet."""


@pytest.fixture(scope="module")
def office(lasting_house):
    house = lasting_house
    new = [deliver(house.folder / "new", number, NEW) for number in SQUARE[:3]]
    old = [deliver(house.folder / "old", number, OLD) for number in SQUARE]
    publish(house, "dom", *old, product="DOM", edition="2006", currency=(date(2006, 5, 1), date(2006, 9, 1)), lossless=True)
    publish(house, "dom", *new, product="DOM", edition="2011", currency=(date(2011, 5, 1), date(2011, 9, 1)), lossless=True, attribution="bureau")
    publish(house, "dem", deliver(house.folder / "dem", SOUTH_EAST, 12.5), product="DEM")
    for agency in ("all", "part", "old", "nobody", "late"):
        house.agency(agency)
    house.grant("all", "dom", "dem")
    house.grant("part", "dom", area=PART)
    house.grant("old", "dom@2006")
    house.agree("late", house.clause("dom"), term=Term(start=datetime(2020, 1, 1, tzinfo=SHANGHAI), end=datetime(2021, 1, 1, tzinfo=SHANGHAI)))
    house.services.catalogue.put_divisions([Division(vintage="2020", code="320199", name="试验区", level="county", geometry=PART.buffer(0.02))])
    house.look_again()
    return house


def ask(office, path: str, agency: str):
    answer = office.get(path, agency)
    assert answer.status_code == 200, answer.text
    return answer.get_json(force=True)


def held(office, agency: str, number: str) -> set[str]:
    (found,) = ask(office, f"/sheets/{number}", agency)["sheets"]
    return {f"{one['layer']}@{one['edition']}" for one in found["held"]}


# -- the standard

@pytest.mark.parametrize("text", ["I50G095077", "i-50-142-(53)", "I-50-142（53）", "I50 G 095077", "I－50－142－53"])
def test_a_sheet_is_found_by_any_spelling_and_the_answer_is_one(office, text):
    by_search, by_path = ask(office, f"/sheets?q={quote(text)}", "nobody"), ask(office, f"/sheets/{quote(text)}", "nobody")
    assert by_search == by_path and by_search["sheets"][0]["number"] == "I50G095077"


def test_what_the_standard_says_is_told_to_everybody(office):
    (told,) = ask(office, "/sheets/I50G095077", "nobody")["sheets"]
    assert told["old_number"] == "I-50-142-(53)" and told["old_1_200000"] == "I-50-(35)" and told["scale_denominator"] == 10_000
    assert told["bounds"] == pytest.approx([118.75, 32.0416666667, 118.8125, 32.0833333333])
    assert told["gauss_kruger"]["crs"] == "EPSG:4549"
    assert told["gauss_kruger"]["corners"][0] == pytest.approx([381932.89, 3547156.08], abs=0.01)
    assert told["parents"]["50000"] == "I50E024020" and told["parents"]["25000"] == "I50F048039" and len(told["children"]) == 4
    assert told["neighbours"]["east"] == "I50G095078" and len(told["neighbours"]) == 8
    assert told["held"] == []


def test_an_old_sheet_of_1_200000_is_answered_by_its_four(office):
    assert [one["number"] for one in ask(office, "/sheets?q=I-50-(35)", "nobody")["sheets"]] == ["I50D011009", "I50D011010", "I50D012009", "I50D012010"]


@pytest.mark.parametrize("scale, number", [("10000", "I50G095077"), ("", "I50G095077"), ("1:50,000", "I50E024020"), ("B", "I50B002002")])
def test_a_place_lies_on_one_sheet_of_each_scale(office, scale, number):
    assert [one["number"] for one in ask(office, f"/sheets?lon=118.7781&lat=32.0436&scale={quote(scale)}", "nobody")["sheets"]] == [number]


def test_a_division_is_covered_by_sheets(office):
    numbers = [one["number"] for one in ask(office, "/sheets?division=320199", "nobody")["sheets"]]
    assert numbers == sheets.sheets_touching(PART.buffer(0.02)) and "I50G095077" in numbers


@pytest.mark.parametrize("query, status", [
    ("", 400), ("q=zzz", 400), ("q=I50524", 400), ("lon=118", 400), ("lon=118&lat=-3", 400), ("lon=nan&lat=3", 400), ("lon=118&lat=32&scale=3", 400),
    ("division=999999", 400), ("division=../x", 400), ("division=320199&vintage=1999", 400), ("division=320199&scale=5000", 400), ("q=" + "9" * 10_000, 413),
    ("q=a&Q=b", 400), ("q=..%2f..%2fetc", 400), ("q=%00", 400),
])
def test_what_can_not_be_found_is_told_in_a_sentence(office, query, status):
    answer = office.get(f"/sheets?{query}", "nobody")
    assert answer.status_code == status and answer.json["detail"] and str(office.folder) not in answer.text and len(answer.data) < 3000


# -- what exists, from the grants alone

def test_who_may_see_a_sheet_is_told_which_editions_hold_it(office):
    assert held(office, "all", NORTH_WEST) == {"dom@2006", "dom@2011"} and held(office, "all", SOUTH_EAST) == {"dom@2006", "dem@2011"}
    assert held(office, "part", NORTH_WEST) == {"dom@2006", "dom@2011"}
    assert held(office, "old", NORTH_WEST) == {"dom@2006"} and held(office, "bureau", SOUTH_EAST) == {"dom@2006", "dem@2011"}


@pytest.mark.parametrize("agency, number", [("nobody", NORTH_WEST), ("part", NORTH_EAST), ("part", SOUTH_WEST), ("late", NORTH_WEST), ("all", "I50G001001")])
def test_a_sheet_that_may_not_be_seen_is_answered_like_one_that_is_not_there(office, agency, number):
    (told,), (elsewhere,) = (ask(office, f"/sheets/{one}", agency)["sheets"] for one in (number, "H51G001001"))
    assert told["held"] == [] and told.keys() == elsewhere.keys()


def listed(office, agency: str, query: str = "", layer: str = "dom") -> dict:
    answer = office.get(f"/layers/{layer}/sheets?{query}", agency)
    assert answer.status_code == 200 and answer.content_type == "application/geo+json", answer.text
    return json.loads(answer.data)


def names(collection: dict) -> set[str]:
    return {feature["id"] for feature in collection["features"]}


def test_the_list_holds_every_edition_that_is_shared_with_its_standing(office):
    told = listed(office, "all")
    assert names(told) == {f"dom@2011/{number}" for number in SQUARE[:3]} | {f"dom@2006/{number}" for number in SQUARE}
    standing = {feature["id"]: feature["properties"]["superseded_by"] for feature in told["features"]}
    assert standing[f"dom@2006/{NORTH_WEST}"] == "2011" and standing[f"dom@2006/{SOUTH_EAST}"] is None and standing[f"dom@2011/{NORTH_WEST}"] is None
    properties = told["features"][0]["properties"]
    assert properties["old_number"] and len(properties["checksum"]) == 64 and properties["crs"] == "EPSG:4549" and properties["resolution_m"] == pytest.approx(50, rel=0.01)
    assert names(listed(office, "all", "edition=2006")) == {f"dom@2006/{number}" for number in SQUARE} == names(listed(office, "all", layer="dom@2006"))


def test_the_list_is_cut_to_what_is_granted(office):
    told = listed(office, "part")
    assert names(told) == {f"dom@2011/{NORTH_WEST}", f"dom@2006/{NORTH_WEST}"}
    for feature in told["features"]:
        ground = shapely.geometry.shape(feature["geometry"])
        assert not ground.is_empty and ground.difference(PART.buffer(1e-8)).is_empty
    assert NORTH_EAST not in json.dumps(told) and ".tif" not in json.dumps(told)


def test_an_edition_that_is_not_shared_supersedes_nothing(office):
    told = listed(office, "old")
    assert told["editions"] == ["2006"] and {feature["properties"]["status"] for feature in told["features"]} == {"current"}


def test_the_list_may_be_of_a_box(office):
    west, south, east, north = sheets.sheet_bounds(SOUTH_EAST)
    inside = f"bbox={west + 0.01},{south + 0.01},{east - 0.01},{north - 0.01}"
    assert names(listed(office, "all", inside)) == {f"dom@2006/{SOUTH_EAST}"}
    assert names(listed(office, "part", inside)) == set()


def test_newer_than_my_copy_by_checksums(office):
    whole = listed(office, "all")
    copy = {f["properties"]["number"]: f["properties"]["checksum"][:12] for f in whole["features"] if f["properties"]["status"] == "current"}
    assert names(listed(office, "all", "have=" + ",".join(f"{number}:{digest}" for number, digest in copy.items()))) == set()
    stale = copy | {NORTH_WEST: "0" * 12}
    del stale[SOUTH_EAST]
    told = listed(office, "all", "have=" + ",".join(f"{sheets.old_number(number)}:{digest}" for number, digest in stale.items()))
    assert names(told) == {f"dom@2011/{NORTH_WEST}", f"dom@2006/{SOUTH_EAST}"} and told["absent"] == []
    sent = office.client().post("/layers/dom/sheets/newer", json={"have": stale | {"H51G001001": "a" * 12}}, headers={"X-API-Key": office.keys["all"]})
    assert names(sent.get_json(force=True)) == names(told) and sent.get_json(force=True)["absent"] == ["H51G001001"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"have": []}', b'{"have": {"I50G095077": 7}}', b'{"have": {"I50G095077": {"a": 1}}}', b"[" * 100_000,
                                  b'{"have": {"../x": "aaaaaaaaaaaa"}}', b'{"have": {"I50G095077": "zzzzzzzzzzzz"}}'])
def test_a_body_that_says_nothing_of_sheets_is_refused(office, body):
    for agency in ("all", "nobody"):
        answer = office.client().post("/layers/dom/sheets/newer", data=body, content_type="application/json", headers={"X-API-Key": office.keys[agency]})
        assert answer.status_code == 400 and "have" in answer.json["detail"].lower() and len(answer.data) < 1500


def test_what_is_newer_is_refused_like_the_list(office):
    def newer(layer: str, agency: str):
        return office.client().post(f"/layers/{layer}/sheets/newer", json={"have": {}}, headers={"X-API-Key": office.keys[agency]} if agency else {})

    assert newer("dom", "").status_code == 401
    unshared, unknown = newer("dem", "nobody"), newer("abc", "nobody")
    assert unshared.status_code == unknown.status_code == 403 and unshared.json["detail"].replace("dem", "abc") == unknown.json["detail"]
    assert names(newer("dom", "part").get_json(force=True)) == {f"dom@2011/{NORTH_WEST}"}


def test_newer_than_a_moment(office):
    moments = [f["properties"]["taken_in"] for f in listed(office, "all")["features"]]
    assert None not in moments
    assert names(listed(office, "all", f"newer_than={quote(min(moments)[:4])}-01-01")) != set()
    assert names(listed(office, "all", "newer_than=2999-01-01T00:00:00Z")) == set()


@pytest.mark.parametrize("query", ["bbox=1,2,3", "bbox=9,9,1,1", "bbox=a,b,c,d", "edition=../x", "newer_than=yesterday", "newer_than=2011-13-01", "have=x", "have=I50G095077:zz",
                                   "have=nope:" + "a" * 12, "edition=" + "9" * 9000])
def test_a_question_that_can_not_be_read_is_refused_before_anything_is_told(office, query):
    answers = [office.get(f"/layers/{layer}/sheets?{query}", agency) for layer, agency in (("dom", "all"), ("dom", "nobody"), ("absent", "nobody"))]
    assert {answer.status_code for answer in answers} <= {400, 413} and len({answer.json["detail"] for answer in answers}) == 1


@pytest.mark.parametrize("path", ["/layers/{0}/sheets", "/layers/{0}@2006/sheets", "/layers/{0}/sheets?edition=2006", "/lineage?layer={0}&bbox=118.7,32,118.9,32.1",
                                  "/lineage?layer={0}&tile=WebMercatorQuad/12/3399/1661"])
@pytest.mark.parametrize("agency", ["nobody", "late"])
def test_unknown_and_unshared_layers_have_no_sheets_alike(office, path, agency):
    unshared, unknown = (office.get(path.format(layer), agency) for layer in ("dem", "abc"))
    assert unshared.status_code == unknown.status_code == 403

    def steady(answer) -> dict:
        return {name: value for name, value in answer.json.items() if name != "instance"}

    assert json.dumps(steady(unshared)).replace("dem", "abc") == json.dumps(steady(unknown))
    assert list(unshared.headers.keys()) == list(unknown.headers.keys())


def test_an_edition_that_is_not_shared_is_refused_like_one_that_is_not_there(office):
    one, other = (office.get(f"/layers/dom@{edition}/sheets", "old") for edition in ("2011", "1066"))
    assert one.status_code == other.status_code == 403
    assert one.json["detail"].replace("2011", "1066") == other.json["detail"]


def test_a_grant_in_degraded_form_tells_no_finer_resolution(office):
    office.agency("coarse")
    office.grant("coarse", "dem", degrade=100.0)
    (feature,) = listed(office, "coarse", layer="dem")["features"]
    assert feature["properties"]["resolution_m"] == 100.0


def test_sheets_of_what_was_added_outside_change_nothing(office):
    """What lies beyond a grant leaves no trace in its answers: neither a sheet, nor its count."""
    before = [office.get(path, "part").data for path in ("/layers/dom/sheets", f"/sheets/{NORTH_WEST}", f"/sheets/{SOUTH_EAST}")]
    publish(office, "dom", deliver(office.folder / "more", SOUTH_EAST, NEW), product="DOM", edition="2011", lossless=True)
    assert [office.get(path, "part").data for path in ("/layers/dom/sheets", f"/sheets/{NORTH_WEST}", f"/sheets/{SOUTH_EAST}")] == before
    assert f"dom@2011/{SOUTH_EAST}" in names(listed(office, "all"))


def test_frames_are_what_the_standard_says(office):
    for feature in listed(office, "all")["features"]:
        ground, frame = shapely.geometry.shape(feature["geometry"]), sheet_frame(feature["properties"]["number"])
        assert ground.intersection(frame).area > 0.98 * frame.area
