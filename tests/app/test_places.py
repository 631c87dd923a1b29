"""What is near a place and what it lies in: true distances, exact borders, and nothing of what is not told."""

import itertools
import math
import random
from urllib.parse import quote

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from houses import build_house

from agreements.model import Operation
from agreements.quota import Limit, Measure, Quota, Window
from layers.crs import transform_geometry

CRS = "EPSG:4549"
WEST, SOUTH = 384_000.0, 3_548_000.0
BORDER = WEST + 1000
CARS, STATIONS, ROADS = (f"/features/collections/force.{table}" for table in ("CARS", "STATION", "ROAD"))
GEOD = pyproj.Geod(ellps="GRS80")


def ground(left, bottom, right, top):
    return transform_geometry(shapely.segmentize(shapely.box(WEST + left, SOUTH + bottom, WEST + right, SOUTH + top), 50), CRS, "CRS:84")


def degrees(x: float, y: float) -> tuple[float, float]:
    return transform_geometry(shapely.Point(WEST + x, SOUTH + y), CRS, "CRS:84").coords[0]


def world(seed: int) -> dict[str, list[dict]]:
    """Cars, station areas and roads: within the border always the same, beyond it, and in hidden columns, the seed's own."""
    same, other = random.Random(1), random.Random(seed)
    cars = [
        {"STATUS": same.choice(("free", "busy")), "UNIT": f"u{number}", "CREW": other.randint(1, 9),
         "geometry": shapely.Point(WEST + same.uniform(0, 990), SOUTH + same.uniform(0, 1000))} for number in range(80)
    ]
    cars += [
        {"STATUS": "free", "UNIT": f"x{number}", "CREW": other.randint(1, 9),
         "geometry": shapely.Point(BORDER + other.uniform(5, 900), SOUTH + other.uniform(0, 1000))} for number in range(other.randint(5, 60))
    ]
    stations = []
    for column, row in itertools.product(range(4), range(3)):
        box = shapely.box(WEST + 300 * column, SOUTH + 300 * row, WEST + 300 * column + 300, SOUTH + 300 * row + 300)
        if column == 3:                         # runs across the border, as far as the seed says
            box = shapely.box(WEST + 900, SOUTH + 300 * row, BORDER + other.uniform(10, 600), SOUTH + 300 * row + 300)
        stations.append({"NAME": f"{column}{row}", "CHIEF": f"secret-{other.random()}", "geometry": box})
    roads = [
        {"NAME": "across", "geometry": shapely.LineString([(WEST + 100, SOUTH + 950), (BORDER + 50, SOUTH + 950), (BORDER + 60, SOUTH + other.uniform(0, 900))])},
        {"NAME": "long", "geometry": shapely.LineString([(WEST, SOUTH + 40), (WEST + 950, SOUTH + 40)])},
    ]
    return {"CARS": cars, "STATION": stations, "ROAD": roads}


def house_of(folder, seed: int):
    house = build_house(folder)
    path = folder / "force.gpkg"
    for table, rows in world(seed).items():
        geopandas.GeoDataFrame(rows, crs=CRS).to_file(path, layer=table, driver="GPKG")
    house.layer("force", path, product="OVERLAY")
    for name in ("all", "fire", "rows", "maps", "metred", "nobody"):
        house.agency(name)
    inside = ground(-500, -500, 1000, 1500)
    house.grant("all", "force", attributes=None)
    house.grant("fire", "force", area=inside, attributes=frozenset({"STATUS", "UNIT", "NAME"}))
    house.grant("rows", "force", area=inside, attributes=frozenset({"UNIT"}), rows="STATUS = 'free'")
    house.grant("maps", "force", operations=frozenset({Operation.GET_MAP}))
    limit = Limit(measure=Measure.FEATURES, most=12, window=Window.DAY)
    house.agree("metred", house.clause("force", attributes=None), quota=Quota(limits=(limit,)))
    return house


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return house_of(tmp_path_factory.mktemp("one"), 1)


@pytest.fixture(scope="module")
def twins(tmp_path_factory, house):
    other = house_of(tmp_path_factory.mktemp("other"), 2)
    other.services.feature_ids._secret = house.services.feature_ids._secret
    return house, other


def ask(house, path: str, agency="all", **query):
    return house.get(f"{path}?" + "&".join(f"{name.replace('_', '-')}={quote(str(value))}" for name, value in query.items()), agency)


def near(house, x, y, agency="all", table=CARS, **query):
    lon, lat = degrees(x, y)
    answer = ask(house, f"{table}/nearest", agency, lon=repr(lon), lat=repr(lat), **query)
    assert answer.status_code == 200, answer.text
    return answer.json["features"]


def inside(house, x, y, agency="all", **query):
    answer = ask(house, f"{STATIONS}/containing", agency, x=WEST + x, y=SOUTH + y, crs=CRS, **query)
    assert answer.status_code == 200, answer.text
    return answer.json["features"]


def names(features, field="NAME"):
    return [one["properties"].get(field) for one in features]


# -- the nearest

def test_the_nearest_are_those_of_the_shortest_geodesics_in_their_order(house):
    rows = world(1)["CARS"]
    for x, y in ((500, 500), (0, 0), (1200, 900)):
        lon, lat = degrees(x, y)
        there = np.array([degrees(one["geometry"].x - WEST, one["geometry"].y - SOUTH) for one in rows])
        azimuths, _, metres = GEOD.inv(np.full(len(rows), lon), np.full(len(rows), lat), there[:, 0], there[:, 1])
        order = np.argsort(metres)[:7]
        found = near(house, x, y, count=7)
        assert names(found, "UNIT") == [rows[at]["UNIT"] for at in order]
        assert [one["distance"] for one in found] == pytest.approx(metres[order].tolist(), abs=2e-3)
        assert [one["azimuth"] for one in found] == pytest.approx((azimuths[order] % 360).tolist(), abs=0.06)


def test_only_so_many_metres_away_and_only_what_meets_the_condition(house):
    rows = world(1)["CARS"]
    free = near(house, 500, 500, count=100, within=200, filter="STATUS = 'free'", properties="UNIT")
    lon, lat = degrees(500, 500)
    wanted = {
        one["UNIT"] for one in rows
        if one["STATUS"] == "free" and GEOD.inv(lon, lat, *degrees(one["geometry"].x - WEST, one["geometry"].y - SOUTH))[2] <= 200
    }
    assert set(names(free, "UNIT")) == wanted and 1 < len(free) and set(free[0]["properties"]) == {"UNIT"}
    assert max(one["distance"] for one in free) <= 200


def test_a_line_is_as_near_as_its_nearest_point_and_an_area_around_the_place_is_here(house):
    (line,) = near(house, 475, 140, table=ROADS, count=1)
    assert line["properties"]["NAME"] == "long" and line["distance"] == pytest.approx(100, abs=0.1) and line["azimuth"] == pytest.approx(180, abs=2)
    assert GEOD.inv(*degrees(475, 140), *line["nearest"])[2] == pytest.approx(line["distance"], abs=2e-3)
    (here, beside) = near(house, 450, 20, table=STATIONS, count=2)
    assert here["distance"] == 0 and here["properties"]["NAME"] == "10" and beside["distance"] == pytest.approx(150, abs=0.2)


def test_the_place_may_be_given_in_any_system_and_the_answer_is_in_it(house):
    lon, lat = degrees(321, 654)
    plain = ask(house, f"{CARS}/nearest", lon=repr(lon), lat=repr(lat)).json["features"]
    metres = ask(house, f"{CARS}/nearest", x=WEST + 321, y=SOUTH + 654, crs=CRS)
    assert [one["id"] for one in plain] == [one["id"] for one in metres.json["features"]]
    assert metres.headers["Content-Crs"] == "<http://www.opengis.net/def/crs/EPSG/0/4549>"
    north, east = metres.json["features"][0]["nearest"]
    assert (east, north) == pytest.approx((WEST + 321, SOUTH + 654), abs=300) and metres.json["features"][0]["geometry"]["coordinates"] == [north, east]


def test_the_search_ends_at_the_antimeridian_the_pole_and_the_end_of_the_data_without_a_fault(house):
    for lon, lat in ((180, 0), (-180, 89.9), (0, 90), (120, -90), (114.001, 32), (10, 10)):
        assert ask(house, f"{CARS}/nearest", lon=lon, lat=lat, within=100_000).json["features"] == []
        assert ask(house, f"{STATIONS}/containing", lon=lon, lat=lat).json["features"] == []


# -- in which

def test_a_place_lies_in_one_area_and_on_a_shared_border_in_both(house):
    (one,) = inside(house, 450, 450)
    assert one["properties"]["NAME"] == "11" and one["border"] is False
    both = inside(house, 300, 450)
    assert names(both) == ["01", "11"] and [one["border"] for one in both] == [True, True]
    assert len(inside(house, 300, 300)) == 4 and inside(house, -0.001, 450) == []
    step = math.ulp(WEST + 300)
    assert names(inside(house, 300 - 2 * step, 450)) == ["01"] and names(inside(house, 300 + 2 * step, 450)) == ["11"]


def test_no_place_of_a_coverage_falls_between_its_areas(house):
    rng = random.Random(5)
    for _ in range(60):
        assert inside(house, rng.uniform(1, 890), rng.uniform(1, 890), properties="NAME")


def test_only_areas_contain_a_place(house):
    answer = ask(house, f"{CARS}/containing", lon=118.8, lat=32)
    assert answer.status_code == 400 and answer.json["type"].endswith("place-not-areas")


# -- what is told

def test_beyond_the_border_nothing_is_near_and_nothing_contains(house):
    assert all(name.startswith("u") for name in names(near(house, 1100, 500, "fire", count=100), "UNIT"))
    assert any(name.startswith("x") for name in names(near(house, 1100, 500, count=100), "UNIT"))
    assert inside(house, 1001, 450, "fire") == [] and len(inside(house, 1001, 450)) == 1
    (across, long) = near(house, 1060, 500, "fire", table=ROADS, count=2)
    assert across["distance"] > 440, "the road comes within a few metres, beyond"
    assert {"CREW", "CHIEF"}.isdisjoint({*near(house, 500, 500, "fire")[0]["properties"], *inside(house, 450, 450, "fire")[0]["properties"]})


def test_rows_that_are_not_granted_are_not_near(house):
    assert all(name for name in names(near(house, 500, 500, "rows", count=100), "UNIT"))
    free = {one["UNIT"] for one in world(1)["CARS"] if one["STATUS"] == "free"}
    assert set(names(near(house, 500, 500, "rows", count=100), "UNIT")) <= free


@pytest.mark.parametrize("query", ("filter=CREW%3E2", "filter=NONE%3E2", "properties=CREW", "properties=NONE", "filter=CARS.CREW=1%20OR%20STATUS='free'"))
def test_a_hidden_attribute_is_refused_like_one_that_does_not_exist(house, query):
    for end in ("nearest", "containing"):
        answer = house.get(f"{CARS}/{end}?lon=118.8&lat=32&{query}", "fire")
        assert answer.status_code == 403 and answer.json["reasons"][0]["code"] == "attribute-not-granted"


def test_without_features_or_without_anything_it_is_refused(house):
    for end in (f"{CARS}/nearest", f"{STATIONS}/containing"):
        assert ask(house, end, "maps", lon=118.8, lat=32).status_code == 403
        unshared = ask(house, end, "nobody", lon=118.8, lat=32)
        unknown = ask(house, end.replace("force", "absent"), "nobody", lon=118.8, lat=32)
        assert unshared.status_code == unknown.status_code == 403
        assert ask(house, end.replace("CARS", "NONE").replace("STATION", "NONE"), lon=118.8, lat=32).status_code == 404


def test_what_is_told_counts(house):
    lon, lat = degrees(500, 500)
    assert ask(house, f"{CARS}/nearest", "metred", lon=lon, lat=lat, count=10).status_code == 200
    assert ask(house, f"{CARS}/nearest", "metred", lon=lon, lat=lat, count=3).status_code == 429
    assert ask(house, f"{CARS}/nearest", "metred", lon=lon, lat=lat, count=2).status_code == 200


def test_data_that_differ_only_beyond_the_grant_give_the_same_answers_to_the_byte(twins):
    rng, one, other = random.Random(9), *twins
    for _ in range(120):
        x, y = rng.uniform(-300, 1600), rng.uniform(-300, 1300)
        agency = rng.choice(("fire", "rows"))
        end = rng.choice((f"{CARS}/nearest", f"{ROADS}/nearest", f"{STATIONS}/nearest", f"{STATIONS}/containing"))
        lon, lat = degrees(x, y)
        query = {"lon": repr(lon), "lat": repr(lat)} if rng.random() < 0.5 else {"x": WEST + x, "y": SOUTH + y, "crs": CRS}
        if end.endswith("nearest"):
            query |= {"count": rng.randint(1, 20), "within": rng.choice((1, 30, 300, 5000))}
        if rng.random() < 0.3:
            query["filter"] = rng.choice(("UNIT LIKE 'u1%'", "UNIT IS NULL", "STATUS = 'free'", "NAME > '1'", "CREW > 3"))
        first, second = ask(one, end, agency, **query), ask(other, end, agency, **query)
        assert first.status_code == second.status_code
        if first.status_code == 200:
            assert first.data == second.data, (end, query)


# -- what is asked wrongly

@pytest.mark.parametrize(("query", "kind"), [
    ("lat=32", "missing"), ("lon=118&lat=x", "not-a-number"), ("lon=118&lat=32&count=0", "not-a-whole-number"), ("lon=118&lat=32&within=1000000", "not-a-whole-number"),
    ("lon=118&lat=32&crs=EPSG:1", "crs-not-served"), ("lon=118&lat=32&STATUS=free", "no-parameter"), ("lon=118&lat=32&filter=(", "filter"),
    ("lon=118&lat=95", "place-off-earth"), ("x=118&y=95&crs=EPSG:4490", "place-off-earth"), ("lon=118&lon=119&lat=32", "repeated"),
    ("x=1e12&y=1&crs=EPSG:4549", "place-off-earth"), ("lon=118&lat=32&filter-crs=EPSG:1&filter=UNIT='a'", "crs-not-served"),
])
def test_what_is_wrong_is_said_in_both_languages(house, query, kind):
    for language in ("zh", "en"):
        answer = house.get(f"{CARS}/nearest?{query}&lang={language}", "all")
        assert answer.status_code == 400 and answer.json["type"].endswith(kind), answer.text
