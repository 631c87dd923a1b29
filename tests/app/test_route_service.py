"""Routes by their stakes over the wire: there and back, events where they lie, and no stake beyond the border of a grant."""

import random
from urllib.parse import quote

import geopandas
import pyproj
import pytest
import shapely
from houses import build_house

from agreements.model import Operation
from agreements.quota import Limit, Measure, Quota, Window
from layers.crs import transform_geometry

CRS = "EPSG:4549"
WEST, SOUTH = 384_000.0, 3_548_000.0
BORDER = 4000
GEOD = pyproj.Geod(ellps="GRS80")


def ground(left, bottom, right, top):
    return transform_geometry(shapely.segmentize(shapely.box(WEST + left, SOUTH + bottom, WEST + right, SOUTH + top), 50), CRS, "CRS:84")


def at(x, y):
    return shapely.Point(WEST + x, SOUTH + y)


def degrees(x, y):
    return transform_geometry(at(x, y), CRS, "CRS:84").coords[0]


def world(seed: int) -> dict[str, list[dict]]:
    """G104 runs east with a long chain at 2000 m, S1 crosses it northwards with a short one: the same up to the border, beyond it the seed's own."""
    other = random.Random(seed)
    bend = other.uniform(-45, 45)
    lines = [
        {"ROUTE": "G104", "NAME": "national", "OWNER": f"secret-{seed}",
         "geometry": shapely.LineString([(WEST + x, SOUTH + y) for x, y in ((0, 0), (2000, 0), (4500, 0), (6000, bend), (8000, 0))])},
        {"ROUTE": "S1", "NAME": "province", "OWNER": "x", "geometry": shapely.LineString([(WEST + 1000, SOUTH - 2000), (WEST + 1000, SOUTH + 2000)])},
        {"ROUTE": f"X{seed}", "NAME": "beyond", "OWNER": "x", "geometry": shapely.LineString([(WEST + 5000, SOUTH + 500), (WEST + 9000, SOUTH + 500)])},
    ]
    stakes = [("G104", text, x, 4) for text, x in (("K10", 0), ("K11", 1000), ("K12=K11+700", 2000), ("K12+700", 3000), ("K13+700", 4000 - 1))]
    stakes += [("G104", f"K{14 + number}+{other.randint(300, 700)}", 5000 + 1000 * number, other.uniform(-4, 4)) for number in range(3)]
    stakes += [("S1", text, 1000, y) for text, y in (("K0", -2000), ("K1=K1+250", -1000), ("K2+250", 0), ("K4+250", 2000))]
    stakes += [(f"X{seed}", f"K{number}", 5000 + 1000 * number, 500) for number in range(5)]
    events = [("G104", "K10+200", "K10+900", "paving", 200, 0), ("G104", "K11+100", None, "lamp", 1100, 0), ("G104", "K11+800", "K12+100", "long", 1800, 0),
              ("G104", "K13+200", "K15+400", "across", 3500, 0), ("G104", "nonsense", None, "bad", 100, 0), ("S1", "K0+500", "K1+500", "other", 1000, -1500)]
    events += [("G104", "K14+900", "K16", f"secret-{seed}", 6000 + other.uniform(0, 99), 0) for _ in range(other.randint(1, 4))]
    return {
        "ROUTE": lines,
        "STAKE": [{"ROUTE": route, "STAKE": text, "geometry": at(x, y)} for route, text, x, y in stakes],
        "EVENT": [{"ROUTE": route, "FROM_STAKE": a, "TO_STAKE": b, "KIND": kind, "COST": other.randint(1, 9), "geometry": at(x, y)}
                  for route, a, b, kind, x, y in events],
    }


def house_of(folder, seed):
    house = build_house(folder)
    for name in ("roads", "plain"):
        path = folder / f"{name}.gpkg"
        for table, rows in world(seed).items():
            if name == "roads" or table == "EVENT":
                geopandas.GeoDataFrame(rows, crs=CRS).to_file(path, layer=table, driver="GPKG")
        house.layer(name, path, product="OVERLAY")
    for name in ("all", "fire", "blind", "rows", "maps", "metred", "nobody"):
        house.agency(name)
    inside = ground(-500, -2500, BORDER, 2500)
    house.grant("all", "roads", "plain", attributes=None)
    shown = frozenset({"ROUTE", "STAKE", "NAME", "FROM_STAKE", "TO_STAKE", "KIND"})
    house.grant("fire", "roads", area=inside, attributes=shown)
    house.grant("blind", "roads", attributes=shown - {"STAKE"})
    house.grant("rows", "roads", area=inside, attributes=shown, rows="ROUTE = 'S1'")
    house.grant("maps", "roads", operations=frozenset({Operation.GET_MAP}))
    house.agree("metred", house.clause("roads", attributes=None), quota=Quota(limits=(Limit(measure=Measure.FEATURES, most=3, window=Window.DAY),)))
    return house


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return house_of(tmp_path_factory.mktemp("one"), 1)


@pytest.fixture(scope="module")
def twins(tmp_path_factory, house):
    other = house_of(tmp_path_factory.mktemp("other"), 2)
    other.services.feature_ids._secret = house.services.feature_ids._secret
    return house, other


def ask(house, what, agency="all", layer="roads", **query):
    return house.get(f"/routes/{layer}{what}?" + "&".join(f"{name.rstrip('_')}={quote(str(value))}" for name, value in query.items()), agency)


def told(house, what, agency="all", **query):
    answer = ask(house, what, agency, **query)
    assert answer.status_code == 200, answer.text
    return answer.json


def refused(answer, slug, status=400):
    return answer.status_code == status and answer.json["type"].endswith(slug)


def metres(coordinates, x, y):
    return GEOD.inv(*coordinates, *degrees(x, y))[2]


def test_routes_are_listed_with_their_broken_chains(house):
    routes = {one["route"]: one for one in told(house, "")["routes"]}
    assert list(routes) == ["G104", "S1", "X1"]
    assert routes["S1"] == {
        "route": "S1", "from": "K0+000", "to": "K4+250", "posts": 4, "unreadable": 0,
        "breaks": [{"back": "K1+000", "ahead": "K1+250", "kind": "short", "metres": 250.0}],
    }
    assert routes["G104"]["breaks"] == [{"back": "K12+000", "ahead": "K11+700", "kind": "long", "metres": 300.0}]


@pytest.mark.parametrize(("route", "stake", "x", "y"), [
    ("G104", "K10+250", 250, 0), ("G104", "K11+800/1", 1800, 0), ("G104", "K11+800/2", 2100, 0), ("G104", "K13", 3300, 0), ("S1", "K0+999", 1000, -1001),
    ("S1", "K1+260", 1000, -990), ("S1", "K3+250", 1000, 1000),
])
def test_a_stake_leads_to_its_place_and_back(house, route, stake, x, y):
    there = told(house, "/point", route=route, stake=stake)
    assert metres(there["geometry"]["coordinates"], x, y) < 0.5
    lon, lat = there["geometry"]["coordinates"]
    back = told(house, "/stake", lon=repr(lon), lat=repr(lat), route=route)
    assert back["properties"]["route"] == route and back["properties"]["offset"] < 0.002
    whole = there["properties"]["stake"]
    number = lambda text: [float(part) for part in text[1:].split("/")[0].split("+")]          # noqa: E731
    assert number(back["properties"]["stake"]) == pytest.approx(number(whole), abs=0.003)
    assert back["properties"]["stake"].partition("/")[2] == whole.partition("/")[2]


def test_a_plus_that_an_address_has_lost_is_understood(house):
    plain = house.get("/routes/roads/point?route=G104&stake=K10+250", "all")
    assert plain.status_code == 200 and plain.data == ask(house, "/point", route="G104", stake="K10+250").data


def test_places_are_asked_and_told_in_any_system(house):
    one = ask(house, "/stake", x=WEST + 600, y=SOUTH - 20, crs=CRS)
    assert one.json["properties"] | {"stake": "", "heading": 0} == {
        "route": "G104", "stake": "", "heading": 0, "offset": pytest.approx(20, abs=0.01), "side": "right", "scale": pytest.approx(1, abs=1e-3),
        "between": ["K10+000", "K11+000"],
    }
    north, east = one.json["geometry"]["coordinates"]
    assert (east, north) == pytest.approx((WEST + 600, SOUTH), abs=0.05) and one.headers["Content-Crs"].endswith("/4549>")
    assert told(house, "/stake", x=WEST + 1000 + 15, y=SOUTH + 400, crs=CRS)["properties"]["route"] == "S1", "the nearest one of those near"
    assert refused(ask(house, "/stake", x=WEST + 600, y=SOUTH - 60, crs=CRS), "route-far")
    assert told(house, "/stake", x=WEST + 600, y=SOUTH - 60, crs=CRS, within=100)["properties"]["offset"] == pytest.approx(60, abs=0.05)


def test_a_stretch_is_a_line_of_the_length_that_the_ground_has(house):
    one = told(house, "/stretch", route="G104", from_="K11+900/1", to="K12+100")
    assert one["properties"]["length"] == pytest.approx(500, abs=0.3) and one["properties"]["whole"] is True
    assert metres(one["geometry"]["coordinates"][0], 1900, 0) < 0.5 and metres(one["geometry"]["coordinates"][-1], 2400, 0) < 0.5
    assert refused(ask(house, "/stretch", route="G104", from_="K13", to="K12+100"), "stakes-order")
    assert refused(ask(house, "/stretch", route="G104", from_="K11+900", to="K12+100"), "stake-twice")


def test_events_lie_at_their_stake_or_along_their_stretch(house):
    found = {one["properties"]["KIND"]: one for one in told(house, "/events", route="G104")["features"]}
    assert found["paving"]["geometry"]["type"] == "LineString" and found["paving"]["placed"]["length"] == pytest.approx(700, abs=0.3)
    assert metres(found["lamp"]["geometry"]["coordinates"], 1100, 0) < 0.5 and found["lamp"]["placed"] == {"whole": True}
    assert found["long"]["geometry"] is None and found["long"]["placed"] == {"reason": "stake-twice"}
    assert found["bad"]["placed"] == {"reason": "stake-spelling"} and "other" not in found
    (one,) = told(house, "/events", route="S1")["features"]
    assert one["placed"]["length"] == pytest.approx(750, abs=0.3), "a short chain has left 250 m of numbers out"


def test_numbers_of_routes_may_be_numbers(house):
    path = house.folder / "numbered.gpkg"
    road = [{"ROUTE": 104, "geometry": shapely.LineString([(WEST, SOUTH), (WEST + 2000, SOUTH)])}]
    geopandas.GeoDataFrame(road, crs=CRS).to_file(path, layer="ROUTE", driver="GPKG")
    posts = [{"ROUTE": 104.0, "STAKE": text, "geometry": at(x, 0)} for text, x in (("K1", 0), ("K3", 2000))]
    geopandas.GeoDataFrame(posts, crs=CRS).to_file(path, layer="STAKE", driver="GPKG")
    house.layer("numbered", path, product="OVERLAY")
    house.grant("all", "numbered", attributes=None)
    assert metres(told(house, "/point", layer="numbered", route="104", stake="K2")["geometry"]["coordinates"], 1000, 0) < 0.5
    assert [one["route"] for one in told(house, "", layer="numbered")["routes"]] == ["104"]
    assert told(house, "/stake", layer="numbered", x=WEST + 500, y=SOUTH + 3, crs=CRS)["properties"]["side"] == "left"


# -- what is told

def test_beyond_the_border_there_are_no_stakes_no_routes_and_no_events(house):
    assert [one["route"] for one in told(house, "", "fire")["routes"]] == ["G104", "S1"]
    assert refused(ask(house, "/point", "fire", route="G104", stake="K15"), "stake-none")
    assert told(house, "/point", route="G104", stake="K15")
    assert refused(ask(house, "/point", "fire", route="X1", stake="K1"), "route-none")
    assert ask(house, "/point", "fire", route="X1", stake="K1").data.replace(b"X1", b"Y7") == ask(house, "/point", "fire", route="Y7", stake="K1").data
    assert refused(ask(house, "/stake", "fire", x=WEST + 4010, y=SOUTH, crs=CRS, within=5), "route-far")
    found = {one["properties"]["KIND"]: one for one in told(house, "/events", "fire", route="G104")["features"]}
    assert set(found) == {"paving", "lamp", "long", "across", "bad"} and all("COST" not in one["properties"] for one in found.values())
    assert found["across"]["placed"]["whole"] is False and found["across"]["placed"]["length"] == pytest.approx(500, abs=1.5)


def test_a_grant_that_hides_the_stakes_answers_no_question_about_them(house):
    for what, query in (("", {}), ("/point", {"route": "G104", "stake": "K10"}), ("/stake", {"lon": 118, "lat": 32}), ("/events", {"route": "G104"}),
                        ("/stretch", {"route": "G104", "from_": "K10", "to": "K11"})):
        answer = ask(house, what, "blind", **query)
        assert answer.status_code == 403 and answer.json["reasons"][0]["code"] == "attribute-not-granted"
        unshared, unknown = ask(house, what, "nobody", **query), ask(house, what, "nobody", layer="absent", **query)
        assert unshared.status_code == unknown.status_code == ask(house, what, "maps", **query).status_code == 403
    assert refused(ask(house, "/events", "fire", route="G104", table="SECRET"), "route-tables")


def test_rows_that_are_not_granted_are_no_routes(house):
    assert [one["route"] for one in told(house, "", "rows")["routes"]] == ["S1"]
    assert refused(ask(house, "/point", "rows", route="G104", stake="K10"), "route-none") and told(house, "/point", "rows", route="S1", stake="K1")


def test_ground_on_which_stakes_are_hidden_has_none(house):
    house.agency("mixed")
    shown = frozenset({"ROUTE", "STAKE"})
    house.agree(
        "mixed", house.clause("roads", area=ground(-500, -2500, 1500, 2500), attributes=shown),
        house.clause("roads", area=ground(1500, -2500, 9000, 2500), attributes=shown - {"STAKE"}, clause="3.2"),
    )
    assert told(house, "/point", "mixed", route="G104", stake="K11+450")["properties"]["between"] is None, "the post at K12 stands where none is told"
    assert refused(ask(house, "/point", "mixed", route="G104", stake="K11+550"), "stake-none") and refused(ask(house, "/point", "mixed", route="G104", stake="K13"), "stake-none")
    assert told(house, "", "mixed")["routes"][0] | {"posts": 0} == {"route": "G104", "from": "K10+000", "to": "K11+000", "posts": 0, "unreadable": 0, "breaks": []}


def test_layers_without_routes_say_so_after_the_gate(house):
    for what, query in (("", {}), ("/point", {"route": "G104", "stake": "K10"}), ("/events", {"route": "G104"})):
        assert refused(ask(house, what, layer="plain", **query), "route-tables")
    assert refused(ask(house, "/events", route="G104", table="STAKE"), "route-tables")


def test_what_is_told_counts(house):
    for _ in range(3):
        assert ask(house, "/point", "metred", route="G104", stake="K10").status_code == 200
    assert ask(house, "/point", "metred", route="G104", stake="K10").status_code == 429


def test_data_that_differ_only_beyond_the_grant_give_the_same_answers_to_the_byte(request, twins):
    rng, (one, other) = random.Random(4), twins
    for _ in range(request.config.getoption("--fuzz-requests", default=None) or 150):
        route, stake = rng.choice(("G104", "S1", "X9")), f"K{rng.randint(0, 17)}+{rng.randint(0, 999):03d}"
        what, query = rng.choice((
            ("/point", {"route": route, "stake": stake}), ("/stretch", {"route": route, "from_": "K10+500", "to": stake, "crs": CRS}),
            ("/stake", {"x": WEST + rng.uniform(0, 4600), "y": SOUTH + rng.uniform(-40, 40), "crs": CRS, "within": rng.choice((10, 50, 500))}),
            ("/events", {"route": route}), ("", {}),
        ))
        agency = rng.choice(("fire", "rows"))
        first, second = ask(one, what, agency, **query), ask(other, what, agency, **query)
        assert (first.status_code, first.data) == (second.status_code, second.data), (what, query)


# -- what is asked wrongly

@pytest.mark.parametrize(("what", "query", "slug"), [
    ("/point", "route=G104", "missing"), ("/point", "stake=K1", "route-name"), ("/point", "route=G104&stake=1", "stake-spelling"),
    ("/point", "route=G104&stake=K1&crs=EPSG:1", "crs-not-served"), ("/point", "route=G104&stake=K1&STATUS=1", "no-parameter"),
    ("/point", f"route={'x' * 41}&stake=K1", "route-name"), ("/stretch", "route=G104&from=K1", "missing"), ("/stretch", "route=G104&from=K1&to=zz", "stake-spelling"),
    ("/stake", "lon=118", "missing"), ("/stake", "lon=118&lat=95", "place-off-earth"), ("/stake", "lon=118&lat=32&within=501", "not-a-whole-number"),
    ("/events", "route=G104&table=a'b", "collection-name"), ("/events", "route=G104&after=zz", "page-token"), ("", "route=G104", "no-parameter"),
    ("/stake", "x=1e12&y=1&crs=EPSG:4549", "place-off-earth"), ("/point", "route=G104&route=S1&stake=K1", "repeated"),
])
def test_what_is_wrong_is_said_in_both_languages(house, what, query, slug):
    for language in ("zh", "en"):
        answer = house.get(f"/routes/roads{what}?{query}&lang={language}", "all")
        assert refused(answer, slug), answer.text
    assert refused(house.get("/routes/Ro%20ads/point?route=G1&stake=K1", "all"), "layer-name")
