"""What agencies of the demo lay over its maps: made as the demo says, shared as the police's own agreement says, and seen on the pages."""

import json
import re
from datetime import datetime, timedelta

import geopandas
import pytest
import shapely
from houses import build_house
from rich.console import Console
from ruamel.yaml import YAML

from agreements.model import BUREAU
from geoserver_app.clock import SHANGHAI
from geoserver_app.demo_moving import CARS, LEVELS, Moving, cars, water_levels
from geoserver_app.demo_overlays import add_live_layer, add_overlay, missing_overlays
from geoserver_app.model_county import gauges
from geoserver_app.model_county.plan import COUNTY_CODE, COUNTY_ZH, TOWNS
from geoserver_app.patrols import SPEEDS, cars_at, read_beats
from geoserver_app.samples import load_samples
from geoserver_app.settings import ROOT
from geoserver_app.views.worked import PAGES
from layers.catalogue import Division

DEMO = YAML(typ="safe").load((ROOT / "config" / "demo" / "demo.yaml").read_text("utf-8"))
WEST, SOUTH, EAST, NORTH = 118.75, 32.03, 119.0, 32.17
FILES = {
    "police_districts": {
        "STATION": [{"CODE": "1", "NAME": "甲派出所", "NAME_EN": "A", "PAC": "329901100", "STRENGTH": 30, "NOTE": "n", "geometry": shapely.Point(118.8, 32.1)}],
        "DISTRICT": [{"CODE": "1", "NAME": "甲派出所", "NAME_EN": "A", "PAC": "329901100", "NOTE": "n", "geometry": shapely.box(118.76, 32.05, 118.9, 32.15)}],
    },
    "police_incidents": {"INCIDENT": [{"NO": "J1", "KIND": "fire", "GRADE": 1, "geometry": shapely.Point(118.8, 32.1)}]},
    "police_incident_grid": {
        "GRID": [{"CELL": "1", "TOTAL": 9, "TRAFFIC": 4, "FIRE": 5, "HELP": None, "CRIME": 3, "DAYS": 7, "geometry": shapely.box(118.8, 32.1, 118.81, 32.11)}],
    },
}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    house = build_house(folder, demo=True)
    catalogue, settings = house.services.catalogue, house.services.settings
    width = (EAST - WEST) / len(TOWNS)
    strips = [shapely.box(WEST + i * width, SOUTH, WEST + (i + 1) * width, NORTH) for i in range(len(TOWNS))]
    catalogue.put_divisions([
        Division(vintage="2011", code=COUNTY_CODE, name=COUNTY_ZH, level="county", geometry=shapely.box(WEST, SOUTH, EAST, NORTH)),
        *(Division(vintage="2011", code=town.code, name=town.name_zh, level="town", geometry=s) for town, s in zip(TOWNS, strips, strict=True)),
    ])
    for wanted in [one for one in DEMO["overlays"] if one["files"] in FILES]:
        path = folder / f"{wanted['files']}.gpkg"
        for table, rows in FILES[wanted["files"]].items():
            geopandas.GeoDataFrame(rows, crs="EPSG:4490").to_crs("EPSG:4549").to_file(path, layer=table, driver="GPKG")
        add_overlay(settings, catalogue, (path,), wanted, Console(quiet=True))
    for wanted in DEMO["live"]:
        assert add_live_layer(settings, catalogue, wanted) and add_live_layer(settings, catalogue, wanted) is None
    load_samples(catalogue, house.services.register, ROOT / "config")
    for agency in ("police", "fire", "civil", "water"):
        house.keys[agency] = house.services.register.issue_key(agency, label="test")[1]
    house.look_again()
    return house


@pytest.fixture(scope="module")
def beats(house):
    path = house.folder / "beats.geojson"
    lines = [[[118.76 + 0.004 * number, 32.05], [118.76 + 0.004 * number, 32.08]] for number in range(30)]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"UNIT": f"u{number}", "STATION": "1"}, "geometry": {"type": "LineString", "coordinates": line}}
        for number, line in enumerate(lines)
    ]}), "utf-8")
    return path


def test_overlays_are_drawn_by_the_rules_that_the_demo_gives_them(house):
    known = house.services.catalogue.snapshot()
    for wanted in DEMO["overlays"] + DEMO["live"]:
        if wanted.get("files", "police_districts") in FILES and wanted["owner"] == "police":
            layer = known.layers[wanted["name"]]
            assert layer.owner == "police" and layer.synthetic and layer.editions[0].symbols
    assert not missing_overlays(house.services.catalogue, [one for one in DEMO["overlays"] if one["files"] in FILES])


def test_cars_drive_to_and_fro_on_their_beats_and_hang_on_the_clock_alone(beats):
    found, noon = read_beats(beats, "EPSG:4549"), datetime(2026, 5, 1, 12, tzinfo=SHANGHAI)
    lines = {beat.unit: beat.line for beat in found}
    before = None
    for step in range(40):
        cars = cars_at(found, noon + timedelta(seconds=30 * step))
        assert cars == cars_at(read_beats(beats, "EPSG:4549"), noon + timedelta(seconds=30 * step))
        assert all(lines[car.object_id].distance(shapely.Point(car.place)) < 1e-6 for car in cars)
        if before:
            assert all(shapely.Point(a.place).distance(shapely.Point(b.place)) <= SPEEDS[1] * 30 + 1e-6 for a, b in zip(before, cars, strict=True))
        before = cars
    assert {car.values["STATUS"] for car in before} == {"free", "busy", "rescue"}


def test_the_fire_brigade_sees_cars_that_help_in_a_rescue_and_nothing_else_of_them(house, beats):
    assert Moving(house.services.catalogue, house.services.settings.store, CARS, cars(beats), 2.0).move() == 30
    everything = house.get("/features/collections/police-cars.CARS/items?limit=100", "police").json["features"]
    seen = house.get("/features/collections/police-cars.CARS/items?limit=100", "fire").json["features"]
    rescuing = {one["id"] for one in everything if one["properties"]["STATUS"] == "rescue"}
    assert len(everything) == 30 and 0 < len(seen) and {one["id"] for one in seen} <= rescuing
    assert all(set(one["properties"]) == {"UNIT", "STATUS", "moment"} for one in seen)
    near = house.get("/features/collections/police-cars.CARS/nearest?lon=118.8&lat=32.06&count=100&within=100000", "fire").json["features"]
    assert {one["id"] for one in near} == {one["id"] for one in seen}
    assert house.get("/features/collections/police-cars.CARS/nearest?lon=118.8&lat=32.06&filter=CREW=2", "fire").status_code == 403


def test_levels_rise_and_fall_in_the_table_that_the_water_department_has(house):
    wanted = next(one for one in DEMO["live"] if one["name"] == LEVELS)
    assert (wanted["table"], list(wanted["fields"])) == (gauges.PLAN.table, [one.name for one in gauges.PLAN.fields])
    path = house.folder / "gauges.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [{
        "type": "Feature", "geometry": {"type": "Point", "coordinates": [118.8, 32.1]},
        "properties": {"STCD": "99900001", "STNM": "甲站", "RVNM": "江", "STTP": "ZQ", "DTMNM": "吴淞", "WRZ": 8.7, "GRZ": 10.2, "NOTE": "n"},
    }]}), "utf-8")
    moments = iter(datetime(2026, 11, 25, hour, tzinfo=SHANGHAI) for hour in (6, 7, 8))
    moving = Moving(house.services.catalogue, house.services.settings.store, LEVELS, water_levels(path), 10.0, lambda: next(moments))
    seen = set()
    for _ in range(3):
        assert moving.move() == 1
        (one,) = house.get("/features/collections/water-levels.levels/items", "water").json["features"]
        seen.add(one["properties"]["Z"])
    assert len(seen) == 3 and all(7.5 < level < 9.6 for level in seen)


def test_the_police_shares_by_an_agreement_of_its_own_and_nobody_else_sees_anything(house):
    (station,) = house.get("/features/collections/police-districts.DISTRICT/containing?lon=118.8&lat=32.1", "fire").json["features"]
    assert station["properties"] == {"CODE": "1", "NAME": "甲派出所", "NAME_EN": "A"}
    (cell,) = house.get("/features/collections/police-incident-grid.GRID/items", "fire").json["features"]
    assert cell["properties"] == {"CELL": "1", "TOTAL": 9, "FIRE": 5, "HELP": None, "DAYS": 7}
    for agency, name in (("fire", "police-incidents.INCIDENT"), ("civil", "police-districts.DISTRICT"), ("civil", "police-cars.CARS"), (BUREAU, "police-incidents.INCIDENT")):
        refused = house.get(f"/features/collections/{name}/nearest?lon=118.8&lat=32.1", agency)
        unknown = house.get(f"/features/collections/{name.replace('police', 'absent')}/nearest?lon=118.8&lat=32.1", agency)
        assert refused.status_code == unknown.status_code == 403, (agency, name)
    assert house.get("/tiles/police-incident-grid/WebMercatorQuad/14/13599/6642.png", "fire").status_code == 200
    assert house.get("/live/police-incidents/events", "fire").status_code == 403


# -- pages

@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_there_where_the_demo_is_served_and_says_everything_in_both_languages(house, page):
    answer = house.get(f"/worked/{page}")
    assert answer.status_code == 200 and b"gsk_" not in answer.data
    static = ROOT / "geoserver_app" / "static"
    common, own = ((static / name).read_text("utf-8") for name in ("worked.js", f"worked-{page}.js"))
    for text in (common, own):
        blocks = re.search(r"const WORDS = \{\n  zh: \{(.*?)\n  \},\n  en: \{(.*?)\n  \},\n\};", text, re.DOTALL)
        chinese, english = (set(re.findall(r'(?:^|, |\n\s+)"?([\w-]+)"?: "', block)) for block in blocks.groups())
        assert chinese == english and len(chinese) > 5
        assert not re.search(r"[\u3400-\u9fff]", re.sub(r'(lang|synthetic): "[^"]*"', "", blocks.group(2)))
    spoken = set(re.findall(r'data-say="([\w-]+)"', answer.text))
    assert all(f'{name}: "' in common + own or f'"{name}": "' in common + own for name in spoken)


def test_elsewhere_the_pages_are_not_there(house, tmp_path):
    assert house.get("/worked/others").status_code == 404
    assert build_house(tmp_path).get("/worked/police").status_code == 404
