"""Corrections: marked by who sees the map, within what he sees; moved on by the bureau and the agency in turn; told to nobody else, and telling nothing more."""

import io
import json
from datetime import date, datetime, timedelta
from urllib.parse import quote

import geopandas
import numpy as np
import pytest
import shapely
from api_office import Office
from PIL import Image

from agreements.life.workdays import WorkCalendar
from agreements.model import Operation
from geoserver_app.clock import SHANGHAI, end_of_day
from geoserver_app.corrections.book import MOST_OPEN, CorrectionBook, Wanted, figures, new_id
from geoserver_app.corrections.tickets import BY_AGENCY, BY_BUREAU, State, due_day, tasks_of
from geoserver_app.giving.letters import letters
from geoserver_app.housekeeping import Premises, see_to_corrections
from geoserver_app.tasks import calendar
from layers.crs import transform_geometry

CRS = "EPSG:4549"
WEST, SOUTH = 380_000.0, 3_540_000.0
CANVAS = "/corrections/canvas?layer=dom&bounds=380100,3540100,380400,3540400&crs=EPSG:4549&width=64&height=64"


def ground(left, bottom, right, top):
    return transform_geometry(shapely.box(WEST + left, SOUTH + bottom, WEST + right, SOUTH + top), CRS, "CRS:84")


def point(x: float, y: float) -> dict:
    return {"type": "Point", "coordinates": [WEST + x, SOUTH + y]}


@pytest.fixture(scope="module")
def office(lasting_house):
    """`water` sees the west of a line map and of an image, `police` all of the line map's pictures; there is a second edition that nobody is granted."""
    office, house = Office(lasting_house), lasting_house
    for name, bands in (("dom", 90), ("secret", 200)):
        house.raster(name, np.full((3, 200, 200), bands, dtype=np.uint8), 379_000, 3_542_000, 20.0)
    roads = [shapely.LineString([(WEST + x, SOUTH + 100), (WEST + x + 50, SOUTH + 400)]) for x in (100, 300, 1500)]
    geopandas.GeoDataFrame({"NAME": ["甲路", "乙路", "丙路"]}, geometry=roads, crs=CRS).to_file(house.folder / "LRDL.gpkg", layer="LRDL")
    house.layer("dlg", house.folder / "LRDL.gpkg", product="DLG", edition="2011")
    house.layer("dlg", house.folder / "LRDL.gpkg", product="DLG", edition="2015")
    house.grant("water", "dlg@2011", "dom", area=ground(0, 0, 1000, 1000), attributes=frozenset({"NAME"}))
    house.grant("police", "dlg@2011", operations={Operation.GET_MAP})
    sites = geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(WEST + 100, SOUTH + 100)], crs=CRS)
    sites.to_file(house.folder / "sites.gpkg", layer="sites")
    house.layer("police-sites", house.folder / "sites.gpkg", product="OVERLAY", edition="1", owner="police")
    house.grant("water", "police-sites", grantor="police")
    return office


@pytest.fixture
def house(office):
    return office.house


def ask(office, who: str, request: str, **content):
    return office.visitor(who).ask(request, **content)


def report(office, who="member", *, status: int = 201, **changes):
    body = {"layer": "dlg@2011", "kind": "missing", "place": point(200, 200), "crs": CRS, "text": "这里新建了一条路"} | changes
    answer = ask(office, who, "POST /corrections", json=body)
    assert answer.status_code == status, answer.text
    return answer.json


def move(office, who, ticket, to, *, status: int = 200, **others):
    answer = ask(office, who, f"POST /corrections/{ticket}/moves", json={"to": to} | others)
    assert answer.status_code == status, answer.text
    return answer.json


def fault(answer: dict) -> str:
    return answer["errors"][0]["code"]


def book_at(house, at=None) -> CorrectionBook:
    services = house.services
    clock = services.gate.clock if at is None else lambda: at
    return CorrectionBook(services.database, services.register, clock, calendar(services.settings.config), services.settings.correction_days)


# -- reporting

def test_a_correction_is_marked_with_its_place_and_due_in_ten_working_days(office):
    found = report(office)
    assert (found["state"], found["agency"], found["layer"], found["edition"], found["working_days"]) == ("reported", "water", "dlg", "2011", 10)
    placed = transform_geometry(shapely.Point(WEST + 200, SOUTH + 200), CRS, "CRS:84")
    assert shapely.distance(shapely.geometry.shape(found["place"]), placed) < 1e-7
    assert found["moves"] == ["withdrawn"] and [one["state"] for one in found["history"]] == ["reported"]


@pytest.mark.parametrize("crs", ["CRS:84", "EPSG:4490", "EPSG:4549", "EPSG:3857", "EPSG:4326"])
def test_places_come_in_every_system_that_is_served_and_mean_the_same(office, crs):
    area = shapely.box(WEST + 100, SOUTH + 100, WEST + 300, SOUTH + 300)
    sent = json.loads(shapely.to_geojson(transform_geometry(area, CRS, crs)))
    found = report(office, place=sent, crs=crs)
    wanted = transform_geometry(area, CRS, "CRS:84")
    assert shapely.hausdorff_distance(shapely.geometry.shape(found["place"]), wanted) < 1e-7


@pytest.mark.parametrize("place", [
    {}, {"type": "Point"}, {"type": "Point", "coordinates": []}, {"type": "Point", "coordinates": ["x", "y"]}, {"type": "Point", "coordinates": [1e300, 1e300]},
    {"type": "MultiPoint", "coordinates": [[WEST, SOUTH]]}, {"type": "LineString", "coordinates": [[WEST, SOUTH]]}, {"type": "Point", "coordinates": None},
    {"type": "Polygon", "coordinates": [[[0, 0], [100, 100], [100, 0], [0, 100], [0, 0]]]}, {"type": "Polygon", "coordinates": [[[[[[[1]]]]]]]},
    {"type": "LineString", "coordinates": [[WEST + x, SOUTH] for x in range(3000)]}, {"type": "LineString", "coordinates": [[WEST, SOUTH], [WEST + 90_000, SOUTH]]},
    {"type": "GeometryCollection", "geometries": []}, {"type": ["Point"], "coordinates": [1, 2]}, {"type": "Point", "coordinates": {"x": 1}},
])
def test_a_place_that_is_none_is_told(office, place):
    assert fault(report(office, place=place, status=422)) == "correction-shape"


def test_a_system_that_is_not_served_and_a_kind_that_is_none_are_told(office):
    assert fault(report(office, crs="EPSG:27700", status=422)) == "crs-not-served"
    report(office, kind="ugly", status=422)
    assert fault(report(office, text="   ", status=422)) == "correction-text"


def test_a_place_beyond_the_grant_is_refused_whether_there_is_something_or_not(office):
    beyond, nowhere = (report(office, place=point(x, 200), status=422) for x in (1525, 500_000 - WEST))
    assert fault(beyond) == "correction-outside" and {**beyond, "instance": ""} == {**nowhere, "instance": ""}
    reaching = {"type": "LineString", "coordinates": [[WEST + 900, SOUTH + 10], [WEST + 1100, SOUTH + 10]]}
    assert fault(report(office, place=reaching, status=422)) == "correction-outside"
    assert report(office, place=point(999.995, 200))["state"] == "reported"


def test_an_unknown_layer_and_one_that_is_not_shared_answer_alike(office):
    answers = [report(office, layer=layer, status=403) for layer in ("secret", "absent", "dlg@2015", "dlg@2099")]
    texts = {json.dumps({name: value for name, value in one.items() if name != "instance"}).replace(layer, "it")
             for one, layer in zip(answers[:2], ("secret", "absent"), strict=True)}
    editions = {json.dumps({name: value for name, value in one.items() if name != "instance"}).replace(layer, "it")
                for one, layer in zip(answers[2:], ("dlg@2015", "dlg@2099"), strict=True)}
    assert len(texts) == len(editions) == 1


def test_the_bare_name_is_the_latest_edition_that_is_seen(office):
    assert report(office, layer="dlg")["edition"] == "2011"


def test_what_another_agency_keeps_is_not_for_the_bureau_to_be_shown(office):
    assert fault(report(office, layer="police-sites", place=point(100, 100), status=422)) == "correction-not-bureau"


def test_a_feature_counts_only_if_it_is_told(office, house):
    features = house.get("/features/collections/dlg.LRDL/items", "water").json["features"]
    assert len(features) == 2
    assert report(office, feature=f"LRDL/{features[0]['id']}")["feature"] == f"LRDL/{features[0]['id']}"
    ids = house.services.feature_ids
    beyond, none = ids.of("dlg", "LRDL", [3, 99], [0, 0])
    answers = [report(office, feature=name, status=422) for name in (f"LRDL/{beyond}", f"LRDL/{none}", f"HYDL/{none}", "LRDL", "/", "LRDL/3")]
    assert {fault(one) for one in answers} == {"correction-feature"} and len({json.dumps({**one, "instance": ""}) for one in answers}) == 1
    assert fault(report(office, "stranger", feature=f"LRDL/{features[0]['id']}", status=422)) == "correction-feature"


def test_an_agency_s_programs_report_by_its_key(house, office):
    body = {"layer": "dlg", "kind": "name", "place": point(200, 200), "crs": CRS, "text": "t"}
    answer = house.client().post("/api/v1/corrections", json=body, headers={"X-API-Key": house.keys["water"]})
    assert answer.status_code == 201 and answer.json["made_by"].startswith("key ")
    assert house.get(f"/api/v1/corrections/{answer.json['correction']}", "water").status_code == 200
    assert house.get(f"/api/v1/corrections/{answer.json['correction']}", "police").status_code == 404


# -- who sees it

def test_another_agency_s_correction_is_answered_as_one_that_is_none(office):
    ticket, none = report(office)["correction"], new_id()
    for request in ("GET /corrections/{0}", "GET /corrections/{0}/picture", "POST /corrections/{0}/moves"):
        content = {"json": {"to": "closed"}} if request.startswith("POST") else {}
        theirs, nobodys = (ask(office, "stranger", request.format(one), **content) for one in (ticket, none))
        assert theirs.status_code == nobodys.status_code == 404
        assert {**theirs.json, "instance": ""} == json.loads(json.dumps({**nobodys.json, "instance": ""}).replace(none, ticket))
    for path in ("", "/map", "/statistics"):
        seen = [ask(office, "stranger", f"GET /corrections{path}{query}") for query in ("", "?agency=water")]
        assert all(one.status_code == 200 and ticket not in one.text and "water" not in one.text for one in seen)
        assert seen[0].data == seen[1].data


def test_what_others_report_changes_nothing_for_an_agency(office):
    paths = ("GET /corrections", "GET /corrections/map", "GET /corrections/statistics")
    before = [ask(office, "stranger", path).data for path in paths]
    report(office)
    assert [ask(office, "stranger", path).data for path in paths] == before


def test_the_bureau_sees_all_and_where_they_are(office):
    ticket = report(office)["correction"]
    told = ask(office, "auditor", "GET /corrections?agency=water&limit=500").json["items"]
    assert ticket in {one["correction"] for one in told} and told[0]["moves"] == []
    places = ask(office, "data_manager", "GET /corrections/map?bounds=118,31,119,33")
    assert places.content_type.startswith("application/geo+json") and ticket in {one["id"] for one in places.json["features"]}
    assert ask(office, "data_manager", "GET /corrections/map?bounds=100,31,101,33").json["features"] == []
    assert ask(office, "data_manager", "GET /corrections?state=refused&layer=absent").json["items"] == []


def test_pages_of_a_list_hold_each_one_once(office):
    for _ in range(3):
        report(office)
    whole, page, seen = ask(office, "member", "GET /corrections?limit=500").json["items"], {"next": ""}, []
    while page["next"] is not None:
        page = ask(office, "member", f"GET /corrections?limit=2&after={quote(page['next'])}").json
        seen += page["items"]
    assert [one["correction"] for one in seen] == [one["correction"] for one in whole]


# -- the picture

def picture(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.data)).convert("RGBA"))


def test_the_picture_is_cut_as_the_reporter_s_maps_are_and_shows_the_mark(office):
    ticket = report(office, layer="dom", place=point(990, 500))["correction"]
    kept = picture(ask(office, "data_manager", f"GET /corrections/{ticket}/picture"))
    assert kept.shape == (512, 512, 4)
    assert (kept[:200, 400:, 3] == 0).all() and (kept[:200, :100, 3] == 255).all()
    assert (kept[..., :3] == (200, 16, 46)).all(axis=2).sum() > 100
    assert (picture(ask(office, "member", f"GET /corrections/{ticket}/picture")) == kept).all()


def test_the_picture_is_recorded_as_a_map_that_was_asked_for(office):
    before = len(office.records())
    report(office, layer="dom")
    new = [one for one in office.records()[before:] if one["event"] == "overlay.decided"]
    assert {layer["operation"] for one in new for layer in one.get("layers", [one]) if "operation" in layer} | {one.get("operation") for one in new} >= {"GetMap"}


def test_the_agency_is_shown_no_more_than_it_may_see_now(office, house):
    house.agency("fire")
    agreement = house.grant("fire", "dom", area=ground(0, 0, 1000, 1000))
    body = {"layer": "dom", "kind": "other", "place": point(200, 200), "crs": CRS, "text": "t"}
    made = house.client().post("/api/v1/corrections", json=body, headers={"X-API-Key": house.keys["fire"]}).json
    assert made["has_picture"] and house.get(f"/api/v1/corrections/{made['correction']}/picture", "fire").status_code == 200
    house.services.register.suspend(agreement.agreement_id, reason="test")
    house.look_again()
    assert house.get(f"/api/v1/corrections/{made['correction']}/picture", "fire").status_code == 403
    assert ask(office, "data_manager", f"GET /corrections/{made['correction']}/picture").status_code == 200


def test_the_map_to_mark_on_is_a_map_like_any_other(office):
    own, wms = ask(office, "member", f"GET {CANVAS}"), office.house.get(
        "/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&LAYERS=dom&STYLES=&CRS=EPSG:4549&BBOX=3540100,380100,3540400,380400&WIDTH=64&HEIGHT=64&FORMAT=image/png"
        "&TRANSPARENT=TRUE", "water")
    assert (picture(own) == picture(wms)).all()
    unshared, absent = (ask(office, "member", f"GET {CANVAS.replace('=dom', f'={name}')}") for name in ("secret", "absent"))
    assert unshared.status_code == absent.status_code == 403
    assert json.dumps({**unshared.json, "instance": ""}).replace("secret", "absent") == json.dumps({**absent.json, "instance": ""})
    assert ask(office, "member", f"GET {CANVAS.replace('380100', '390100', 1)}").status_code == 422


# -- its life

def test_the_bureau_takes_it_up_and_mends_it_and_the_agency_closes_it(office):
    ticket = report(office)["correction"]
    assert move(office, "data_manager", ticket, "taken")["moves"] == ["answered", "mended", "refused"]
    assert fault(move(office, "data_manager", ticket, "mended", fixed_in="2099", status=422)) == "correction-fixed-in"
    assert move(office, "data_manager", ticket, "mended", fixed_in="2011", text="已补测")["fixed_in"] == "2011"
    told = ask(office, "member", f"GET /corrections/{ticket}").json
    assert (told["state"], told["fixed_in"], told["answer"], told["moves"]) == ("mended", "2011", "已补测", ["closed", "reopened"]) and told["closes"]
    assert [one["actor"] for one in told["history"]] == ["member", None, None]
    assert move(office, "member", ticket, "closed")["ended"]
    history = ask(office, "auditor", f"GET /corrections/{ticket}").json["history"]
    assert [(one["state"], one["actor"]) for one in history] == [
        ("reported", "member"), ("taken", "data_manager"), ("mended", "data_manager"), ("closed", "member"),
    ]


def test_an_edition_that_the_agency_may_not_see_is_not_named_to_it(office):
    ticket = report(office)["correction"]
    move(office, "data_manager", ticket, "taken")
    assert move(office, "data_manager", ticket, "mended", fixed_in="2015")["fixed_in"] == "2015"
    told = ask(office, "member", f"GET /corrections/{ticket}?lang=en")
    assert told.json["fixed_in"] is None and told.json["answer"] == "it is mended in a later edition" and "2015" not in told.text
    assert "2015" not in json.dumps([one.detail for one in letters(office.house.services.database, agency="water")])


def test_every_way_that_there_is_not_is_refused_and_keeps_it_as_it_is(office):
    for is_bureau, who, ways in ((True, "data_manager", BY_BUREAU), (False, "member", BY_AGENCY)):
        ticket = report(office)["correction"]
        for to in State:
            if to not in ways[State.REPORTED]:
                assert fault(move(office, who, ticket, to.value, text="t", fixed_in="2011", status=409)) == "correction-move", (is_bureau, to)
        assert ask(office, who, f"GET /corrections/{ticket}").json["state"] == "reported"


def test_refusing_and_opening_again_take_words_and_opening_again_sets_another_day(office):
    ticket = report(office)["correction"]
    move(office, "data_manager", ticket, "taken")
    assert fault(move(office, "data_manager", ticket, "refused", status=422)) == "correction-reasons"
    assert move(office, "data_manager", ticket, "refused", text="实地核查无误")["answer"] == "实地核查无误"
    assert fault(move(office, "member", ticket, "reopened", status=422)) == "correction-text"
    again = move(office, "member", ticket, "reopened", text="请看照片")
    assert (again["state"], again["answer"], again["working_days"]) == ("reopened", "", 10)
    assert move(office, "administrator", ticket, "taken")["state"] == "taken"
    assert move(office, "member", ticket, "withdrawn")["moves"] == []


def test_the_agency_is_told_of_every_step_by_letter_and_nobody_else(office):
    ticket = report(office)["correction"]
    move(office, "data_manager", ticket, "taken")
    move(office, "data_manager", ticket, "answered", text="见附件")
    mine = [one for one in letters(office.house.services.database, agency="water") if one.detail["ticket"] == ticket]
    assert [one.code for one in mine] == ["letter-correction-answered", "letter-correction-taken"] and "见附件" in mine[0].told("zh")
    assert not [one for one in letters(office.house.services.database, agency="police") if one.detail.get("ticket") == ticket]


# -- days

def test_what_is_late_is_told_to_the_bureau_once_a_week_on_working_days(office, house):
    ticket = report(office)["correction"]
    due = book_at(house).get(ticket).due
    on_time = end_of_day(due) - timedelta(seconds=1)
    assert ticket not in {one.correction_id for one in book_at(house, on_time).remind()}
    late = next(day for day in (end_of_day(due) + timedelta(days=n, hours=9) for n in range(12)) if calendar(house.services.settings.config).is_working_day(day.date()))
    assert ticket in {one.correction_id for one in book_at(house, late).remind()}
    assert ticket not in {one.correction_id for one in book_at(house, late + timedelta(hours=1)).remind()}
    assert [one.code for one in letters(house.services.database, agency="bureau") if one.detail["ticket"] == ticket] == ["letter-correction-late"]
    weeks_on = next(day for day in (late + timedelta(days=7 + n) for n in range(12)) if calendar(house.services.settings.config).is_working_day(day.date()))
    assert ticket in {one.correction_id for one in book_at(house, weeks_on).remind()}
    saturday = next(day for day in (late + timedelta(days=30 + n) for n in range(12)) if not calendar(house.services.settings.config).is_working_day(day.date()))
    assert not book_at(house, saturday).remind()


def test_an_outcome_against_which_nothing_is_said_is_closed_after_ten_working_days(office, house):
    ticket = report(office)["correction"]
    move(office, "data_manager", ticket, "taken")
    answered = move(office, "data_manager", ticket, "answered", text="t")
    last = date.fromisoformat(answered["closes"])
    assert ticket not in {one.correction_id for one in book_at(house, end_of_day(last) - timedelta(seconds=1)).close_silent()}
    assert ticket in {one.correction_id for one in book_at(house, end_of_day(last)).close_silent()}
    assert not book_at(house, end_of_day(last)).close_silent()
    assert ask(office, "member", f"GET /corrections/{ticket}").json["moves"] == ["reopened"]


def test_ten_working_days_are_counted_past_holidays_and_make_up_days():
    golden_week = WorkCalendar(holidays=frozenset(date(2026, 10, day) for day in range(1, 8)), makeup_days=frozenset({date(2026, 10, 10)}))
    assert due_day(datetime(2026, 9, 30, 15, tzinfo=SHANGHAI), golden_week, 10) == date(2026, 10, 20)


def test_tasks_wait_for_the_bureau_and_then_for_the_agency(office, house):
    ticket = report(office)["correction"]

    def task():
        found = tasks_of(book_at(house).list(Wanted(is_open=True)), calendar(house.services.settings.config))
        return next((one for one in found if one.detail["correction"] == ticket), None)

    assert task().roles and not task().agencies and "受理" in task().zh
    move(office, "data_manager", ticket, "taken")
    assert "答复" in task().zh
    move(office, "data_manager", ticket, "answered", text="t")
    assert task().agencies == {"water"} and not task().roles
    assert any(one["detail"].get("correction") == ticket for one in ask(office, "member", "GET /tasks").json["items"])
    assert not any(one["detail"].get("correction") for one in ask(office, "stranger", "GET /tasks").json["items"])
    move(office, "member", ticket, "closed")
    assert task() is None


def test_figures_tell_what_is_open_late_and_how_long_it_took(office, house):
    before = ask(office, "data_manager", "GET /corrections/statistics").json
    ticket = report(office, kind="height")["correction"]
    move(office, "data_manager", ticket, "taken")
    move(office, "data_manager", ticket, "answered", text="t")
    after = ask(office, "data_manager", "GET /corrections/statistics").json
    assert (after["count"] - before["count"], after["answered"] - before["answered"], after["in_time"] - before["in_time"]) == (1, 1, 1)
    assert after["by_kind"]["height"] == before["by_kind"].get("height", 0) + 1 and set(after["by_agency"]) >= {"water"}
    own = ask(office, "member", "GET /corrections/statistics").json
    assert own["by_agency"] is None and own["count"] == sum(own["by_state"].values())
    at = house.services.gate.clock()
    tomorrow = (at.astimezone(SHANGHAI) + timedelta(days=1)).date()
    assert ask(office, "member", f"GET /corrections/statistics?since={tomorrow}").json["count"] == 0
    assert figures([], calendar(house.services.settings.config), at).days is None


def test_an_agency_has_no_more_open_than_may_be(office, house, monkeypatch):
    monkeypatch.setattr("geoserver_app.corrections.book.MOST_OPEN", 1)
    assert MOST_OPEN > 100 and fault(report(office, status=409)) == "correction-waiting"


def test_a_round_of_the_clock_sees_to_them(house, office):
    ticket = report(office)["correction"]
    services = house.services
    premises = Premises(settings=services.settings, database=services.database, register=services.register, book=services.book)
    told = list(see_to_corrections(premises, services.gate.clock() + timedelta(days=200, hours=1)))
    assert f"correction {ticket} is late: the bureau is reminded" in told or not calendar(services.settings.config).is_working_day(
        (services.gate.clock() + timedelta(days=200, hours=1)).date())
