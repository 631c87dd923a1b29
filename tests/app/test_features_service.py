"""OGC API Features over HTTP: what a client gets, and what nobody gets however he asks."""

import json
import random
from urllib.parse import quote

import geopandas
import numpy as np
import pytest
import shapely
from houses import build_house

from agreements.model import Operation
from agreements.quota import Limit, Measure, Quota, Window
from layers.crs import transform_geometry

CRS = "EPSG:4549"
WEST, SOUTH = 384_000.0, 3_548_000.0
COUNT = 60
BORDER = WEST + 1000
ROADS = "/features/collections/dlg.LRDL"


def ground(left, bottom, right, top):
    return transform_geometry(shapely.segmentize(shapely.box(WEST + left, SOUTH + bottom, WEST + right, SOUTH + top), 50), CRS, "CRS:84")


def world(seed: int) -> geopandas.GeoDataFrame:
    """Roads within and across the border that are the same for every seed; what lies beyond, and every hidden value, is the seed's own."""
    inside, outside = random.Random(1), random.Random(seed)
    rows = []
    for number in range(COUNT):
        x, y = inside.uniform(10, 900), inside.uniform(10, 900)
        shape = shapely.LineString([(WEST + x, SOUTH + y), (WEST + x + inside.uniform(5, 60), SOUTH + y + inside.uniform(-5, 60))])
        if number % 6 == 0:                                 # runs across, straight on for a bit, then wherever the seed leads it
            far = [(BORDER + 50, SOUTH + y), *((BORDER + outside.uniform(60, 900), SOUTH + outside.uniform(0, 1000)) for _ in range(outside.randint(1, 4)))]
            shape = shapely.LineString([(WEST + x, SOUTH + y), *far])
        elif number % 6 == 1:
            beyond = [shapely.LineString([(BORDER + 100, SOUTH + b), (BORDER + 200, SOUTH + b)]) for b in outside.sample(range(1000), outside.randint(1, 3))]
            shape = shapely.MultiLineString([shape, *beyond])
        rows.append({
            "FID": number + 1, "NAME": inside.choice(("长江路", "中山路", None)), "GB": inside.choice((1, 2, 3)),
            "NOTE": f"hidden-{outside.random()}", "WIDTH": outside.uniform(3, 40), "geometry": shape,
        })
    for number in range(outside.randint(5, 40)):
        x, y = outside.uniform(1100, 3000), outside.uniform(0, 1000)
        rows.append({"FID": 1000 + number, "NAME": f"beyond-{outside.random()}", "GB": outside.choice((1, 2, 9)), "NOTE": "n", "WIDTH": 1.0,
                     "geometry": shapely.LineString([(WEST + x, SOUTH + y), (WEST + x + 30, SOUTH + y)])})
    north, south = outside.uniform(1010, 1490), outside.uniform(-490, -10)      # the box of all ends beside the grant, farther than what lies in it
    rows.append({"FID": 9999, "NAME": None, "GB": 9, "NOTE": "n", "WIDTH": 1.0,
                 "geometry": shapely.LineString([(WEST + 1200, SOUTH + south), (WEST + 1200, SOUTH + north)])})
    return geopandas.GeoDataFrame(rows, crs=CRS)


def house_of(folder, seed: int, **settings):
    house = build_house(folder, **settings)
    path = folder / "LRDL.gpkg"
    world(seed).drop(columns="FID").to_file(path, layer="LRDL", driver="GPKG")
    house.layer("dlg", path, product="DLG")
    for name in ("water", "all", "nobody", "rows", "maps"):
        house.agency(name)
    house.grant("water", "dlg", area=ground(-500, -500, 1000, 1500), attributes=frozenset({"NAME", "GB"}))
    house.grant("all", "dlg", attributes=None)
    house.grant("rows", "dlg", area=ground(-500, -500, 1000, 1500), attributes=frozenset({"NAME"}), rows="GB = 1")
    house.grant("maps", "dlg", operations=frozenset({Operation.GET_MAP}))
    return house


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return house_of(tmp_path_factory.mktemp("one"), 1)


@pytest.fixture(scope="module")
def twins(tmp_path_factory, house):
    other = house_of(tmp_path_factory.mktemp("other"), 2)
    other.services.feature_ids._secret = house.services.feature_ids._secret       # names are by the secret of an instance
    return house, other


def items(house, agency="water", **query):
    path = f"{ROADS}/items?" + "&".join(f"{name.replace('_', '-')}={quote(str(value))}" for name, value in query.items())
    return house.get(path, agency)


def every_page(house, agency="water", **query):
    found, answer = [], items(house, agency, **query).json
    while True:
        found += answer["features"]
        following = next((link["href"] for link in answer["links"] if link["rel"] == "next"), None)
        if following is None:
            return found
        answer = house.get(following.removeprefix("http://maps.test"), agency).json


# -- what a client gets

def test_a_client_finds_its_way_from_the_landing_page_to_a_feature(house):
    landing = house.get("/features", "water").json
    data = next(link["href"] for link in landing["links"] if link["rel"] == "data")
    (roads,) = house.get(data.removeprefix("http://maps.test"), "water").json["collections"]
    assert roads["id"] == "dlg.LRDL" and "http://www.opengis.net/def/crs/EPSG/0/4549" in roads["crs"]
    path = next(link["href"] for link in roads["links"] if link["rel"] == "items" and link["type"] == "application/geo+json")
    (first, *_) = house.get(path.removeprefix("http://maps.test"), "water").json["features"]
    again = house.get(f"{ROADS}/items/{first['id']}", "water").json
    assert {name: again[name] for name in first} == first
    assert house.get("/features/conformance").status_code == 200 and house.get("/features/api").json["openapi"].startswith("3.0")


def test_every_document_is_a_page_for_people_too_in_both_languages(house):
    one = items(house).json["features"][0]["id"]
    for path in ("/features", "/features/conformance", "/features/collections", ROADS, f"{ROADS}/queryables", f"{ROADS}/schema", f"{ROADS}/items",
                 f"{ROADS}/items/{one}"):
        page = house.get(path, "water", Accept="text/html,*/*;q=0.8", **{"Accept-Language": "zh-CN"})
        assert page.status_code == 200 and page.content_type.startswith("text/html") and b'lang="zh-CN"' in page.data, path
        assert b'lang="en"' in house.get(f"{path}?f=html", "water").data


@pytest.mark.parametrize("limit", (1, 7, 59, 60, 61, 10_000))
def test_pages_of_any_size_tell_the_same(house, limit):
    assert every_page(house, limit=limit) == items(house, limit=10_000).json["features"]


def test_numbers_count_what_is_told(house):
    answer = items(house, limit=1000).json
    assert answer["numberMatched"] == answer["numberReturned"] == len(answer["features"]) == COUNT
    assert "numberMatched" not in items(house, limit=5).json
    assert items(house, limit=1000, GB=9).json["numberMatched"] == 0, "there are some, beyond"


def test_a_reference_system_is_answered_in_the_order_of_its_axes(house):
    plain, metres = items(house, limit=1).json, items(house, limit=1, crs="http://www.opengis.net/def/crs/EPSG/0/4549")
    assert metres.headers["Content-Crs"] == "<http://www.opengis.net/def/crs/EPSG/0/4549>"
    north, east = metres.json["features"][0]["geometry"]["coordinates"][0]
    assert (int(north / 1e6), int(east / 1e5)) == (3, 3)
    there = transform_geometry(shapely.geometry.shape(plain["features"][0]["geometry"]), "CRS:84", CRS)
    assert shapely.Point(east, north).distance(shapely.Point(there.coords[0])) < 0.01


def test_a_box_is_the_same_in_every_system(house):
    metres = items(house, limit=1000, bbox=f"{SOUTH},{WEST},{SOUTH + 400},{WEST + 500}", bbox_crs="EPSG:4549").json
    square = shapely.box(WEST, SOUTH, WEST + 500, SOUTH + 400)
    ring = transform_geometry(shapely.segmentize(square, 20), CRS, "CRS:84")
    by_filter = items(house, limit=1000, filter=f"S_INTERSECTS(geometry, {shapely.to_wkt(ring, rounding_precision=12)})").json
    assert 0 < len(metres["features"]) < COUNT
    assert [one["id"] for one in metres["features"]] == [one["id"] for one in by_filter["features"]]
    inverted = items(house, limit=1000, filter=f"NOT S_INTERSECTS(geometry, {shapely.to_wkt(ring, rounding_precision=12)})").json
    assert len(inverted["features"]) == COUNT - len(metres["features"])


def test_conditions_in_text_and_in_json_say_the_same(house):
    text = items(house, limit=1000, filter="GB >= 2 AND (NAME = '长江路' OR NAME IS NULL)").json
    tree = {"op": "and", "args": [{"op": ">=", "args": [{"property": "GB"}, 2]}, {"op": "or", "args": [
        {"op": "=", "args": [{"property": "NAME"}, "长江路"]}, {"op": "isNull", "args": [{"property": "NAME"}]},
    ]}]}
    assert text["features"] and text["features"] == items(house, limit=1000, filter=json.dumps(tree), filter_lang="cql2-json").json["features"]
    assert all(one["properties"]["GB"] >= 2 and one["properties"]["NAME"] in ("长江路", None) for one in text["features"])
    mixed = items(house, limit=1000, filter="GB = 9 OR S_DISJOINT(geometry, POINT(100 0))").json
    assert len(mixed["features"]) == COUNT


@pytest.mark.parametrize("query", (
    "bbox=1,2,3", "bbox=a,b,c,d", "bbox=9,9,1,1", "bbox-crs=EPSG:4549", "crs=EPSG:1234", "limit=0", "limit=x", "after=1", "sortby=NAME", "filter=NAME",
    "filter=CASEI(NAME)='x'", "filter=S_INTERSECTS(geometry,POINT(1 2)) AND", "filter=S_NEAR(geometry,POINT(1 2))", "filter={}&filter-lang=cql2-json",
    "filter=NAME='a'&filter-lang=sql", "filter=" + "(" * 300 + "NAME='a'" + ")" * 300, "datetime=yesterday", "f=xml", "limit=1&limit=2",
    "filter=S_INTERSECTS(geometry,POLYGON((0 0,1 1,1 0,0 1,0 0)))", "filter={\"op\":\"and\",\"args\":3}&filter-lang=cql2-json",
    "filter={\"op\":\"like\",\"args\":[]}&filter-lang=cql2-json",
))
def test_what_makes_no_sense_is_told_so_in_both_languages(house, query):
    for language in ("zh", "en"):
        answer = house.get(f"{ROADS}/items?{quote(query, safe='=&')}&lang={language}", "water")
        assert answer.status_code in (400, 413) and answer.content_type.startswith("application/problem+json"), (query, answer.data)
        assert answer.json["detail"]


def test_features_count_on_the_quota_one_by_one(house):
    house.agency("counted")
    house.agree("counted", house.clause("dlg", area=ground(-500, -500, 1000, 1500)), quota=Quota(limits=(Limit(measure=Measure.FEATURES, window=Window.DAY, most=50),)))
    answer = house.get(f"{ROADS}/items?limit=20", "counted")
    assert answer.status_code == 200 and '"features-day";r=30' in answer.headers["RateLimit"]
    assert house.get(f"{ROADS}/items?limit=40", "counted").status_code == 429
    assert '"features-day";r=20' in house.get(f"{ROADS}/items?limit=10", "counted").headers["RateLimit"]
    one = house.get(f"{ROADS}/items?limit=1", "counted").json["features"][0]["id"]
    assert house.get(f"{ROADS}/items/{one}", "counted").status_code == 200


def test_features_kept_in_postgis_are_told_alike(house, tmp_path, postgresql_url):
    import sqlalchemy as sa
    engine = sa.create_engine(postgresql_url)
    with engine.connect() as connection:
        if not connection.exec_driver_sql("SELECT count(*) FROM pg_available_extensions WHERE name = 'postgis'").scalar():
            pytest.skip("PostGIS is not installed for this PostgreSQL")
    engine.dispose()
    other = house_of(tmp_path, 1, features_url=postgresql_url)
    other.services.feature_ids._secret = house.services.feature_ids._secret
    for query in ({"limit": 7}, {"GB": 2, "limit": 500}, {"filter": "NAME LIKE '%路' OR GB = 1", "limit": 500}, {"bbox": "118.77,32.05,118.785,32.06", "crs": "EPSG:4549"}):
        assert items(other, **query).data == items(house, **query).data
    with other.services.features.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT name FROM feature_tables").fetchall() == [("LRDL",)]
    other.services.features.engine.dispose()


# -- what nobody gets

HIDING = ("{name}=x", "filter={name}=1", "filter={name} IS NULL", "filter=NOT ({name} > 3 OR GB = 1)", "filter=GB=1 AND {name} LIKE 'h%'",
          "properties=NAME,{name}", "filter=S_INTERSECTS(geometry,POINT(118 32)) OR {name}=1", "filter=LRDL.{name}=1")


def without_record(answer) -> str:
    """All that a refusal tells but for the number of its own record."""
    return json.dumps({name: value for name, value in answer.json.items() if name != "instance"}, ensure_ascii=False, sort_keys=True)


@pytest.mark.parametrize("asked", HIDING)
def test_a_hidden_attribute_is_answered_like_one_that_does_not_exist(house, asked):
    hidden, unknown = (house.get(f"{ROADS}/items?{quote(asked.format(name=name), safe='=&')}", "water") for name in ("WIDTH", "NOPES"))
    assert hidden.status_code == unknown.status_code == 403
    assert without_record(hidden).replace("WIDTH", "NOPES") == without_record(unknown)
    assert items(house, "all", filter="WIDTH > 0").status_code == 200


def test_no_hidden_value_is_found_by_halving(house):
    """Whatever is asked, every question about a hidden value gets one answer, whichever half the value is in."""
    low, high, answers = 0.0, 100.0, set()
    for _ in range(20):
        middle = (low + high) / 2
        answer = items(house, filter=f"GB = 1 AND WIDTH > {middle}")
        answers.add((answer.status_code, without_record(answer)))
        low = middle
    assert len(answers) == 1 and next(iter(answers))[0] == 403


def test_schemas_name_what_is_granted_and_nothing_else(house):
    for last in ("queryables", "schema"):
        text = house.get(f"{ROADS}/{last}", "water").data
        assert b"NAME" in text and b"GB" in text and b"WIDTH" not in text and b"NOTE" not in text
    assert set(items(house, limit=1).json["features"][0]["properties"]) == {"NAME", "GB"}


def test_nothing_leaves_the_border(house):
    metres = every_page(house, crs="EPSG:3857")
    border = transform_geometry(shapely.segmentize(shapely.box(WEST - 500, SOUTH - 500, BORDER, SOUTH + 1500), 50), CRS, "EPSG:3857").buffer(0.05)
    shapes = [shapely.geometry.shape(one["geometry"]) for one in metres]
    assert len(shapes) == COUNT and all(border.covers(shape) for shape in shapes)
    assert b"beyond" not in items(house, limit=1000).data and b"hidden" not in items(house, limit=1000).data


def test_the_names_of_features_beyond_lead_nowhere(house):
    mine = {one["id"] for one in every_page(house)}
    theirs = {one["id"] for one in every_page(house, "all")} - mine
    made_up = house.get(f"{ROADS}/items/{'0' * 32}", "water")
    assert theirs and all(house.get(f"{ROADS}/items/{name}", "water").data == made_up.data for name in theirs)
    assert made_up.status_code == 404
    assert len({name[:4] for name in mine}) > COUNT // 2, "no order can be read from them"


def test_rows_that_are_not_granted_are_not_told_nor_counted(house):
    answer = items(house, "rows", limit=1000).json
    granted = [one for one in every_page(house) if one["properties"]["GB"] == 1]
    assert [one["id"] for one in answer["features"]] == [one["id"] for one in granted] and answer["numberMatched"] == len(granted)
    assert items(house, "rows", filter="GB = 1").status_code == 403


def test_who_is_granted_pictures_gets_no_features(house):
    assert items(house, "maps").status_code == 403
    assert house.get("/features/collections", "maps").json["collections"] == []


def test_an_answer_is_for_one_caller_alone(house):
    headers = items(house).headers
    assert "private" in headers["Cache-Control"] and "ETag" not in headers and "X-API-Key" in headers["Vary"]
    by_query = house.client().get(f"{ROADS}/items?limit=1&key={house.keys['water']}").json
    assert all(house.keys["water"] in link["href"] for link in by_query["links"])
    assert house.keys["water"] not in items(house, limit=1).text


# -- non-interference

def some_question(rng: random.Random) -> str:
    x, y = rng.uniform(-200, 2500), rng.uniform(-200, 1200)
    left, bottom, right, top = transform_geometry(
        shapely.box(WEST + x, SOUTH + y, WEST + x + rng.uniform(1, 1500), SOUTH + y + rng.uniform(1, 900)), CRS, "CRS:84").bounds
    ring = shapely.to_wkt(shapely.box(left, bottom, right, top), rounding_precision=7)
    predicate = rng.choice(("S_INTERSECTS", "S_WITHIN", "S_DISJOINT", "S_CROSSES", "NOT S_INTERSECTS"))
    parts = rng.sample([
        f"bbox={left},{bottom},{right},{top}", f"limit={rng.choice((1, 3, 20, 500))}", f"crs={rng.choice(('EPSG:4549', 'EPSG:3857', 'CRS84', 'EPSG:4490'))}",
        "filter=" + quote(rng.choice((
            f"GB {rng.choice(('=', '<', '>='))} {rng.randint(0, 9)}", "NAME LIKE '%路'", "NAME IS NULL OR GB = 2", f"{predicate}(geometry, {ring})",
            f"GB > 1 AND {predicate}(geometry, {ring})", f"GB = 1 OR {predicate}(geometry, {ring})", f"WIDTH > {rng.uniform(0, 40)}", "NOTE LIKE 'h%'",
        ))),
        rng.choice(("properties=NAME", "properties=NOTE", "NAME=%E4%B8%AD%E5%B1%B1%E8%B7%AF", "GB=2", "WIDTH=3", "f=html", "lang=zh")),
    ], rng.randint(0, 4))
    return f"{ROADS}/items?" + "&".join(parts)


def test_two_line_maps_that_differ_beyond_the_grant_are_answered_alike(twins, request):
    rng, ids = random.Random(7), [one["id"] for one in every_page(twins[0])]
    paths = ["/features", "/features/collections", ROADS, f"{ROADS}/queryables", f"{ROADS}/schema", f"{ROADS}?f=html"]
    paths += [f"{ROADS}/items/{name}" for name in ids]
    count = int(request.config.getoption("--fuzz-requests", default=None) or 1000)
    paths += [some_question(rng) for _ in range(count)]
    paths += [f"{ROADS}/items?limit={rng.randint(1, 9)}&after={rng.choice(ids)}" for _ in range(count // 10)]
    clients = [house.client() for house in twins]
    telling = 0
    for path in paths:
        for agency in ("water", "rows"):
            one, other = (client.get(path, headers={"X-API-Key": house.keys[agency]}) for client, house in zip(clients, twins, strict=True))
            assert (one.status_code, one.data, dict(one.headers)) == (other.status_code, other.data, dict(other.headers)), (agency, path)
            telling += one.status_code == 200 and len(one.data) > 500
    assert telling > len(paths) // 2
    assert np.any([items(twins[0], "all", limit=1000).data != items(twins[1], "all", limit=1000).data]), "they do differ"
