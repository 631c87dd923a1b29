"""Two instances that differ only beyond the border answer every report of a correction alike, to the byte of its picture."""

import json
import random

import geopandas
import numpy as np
import pytest
import shapely
from houses import build_house

from layers.crs import transform_geometry

CRS, WEST, SOUTH = "EPSG:4549", 384_000.0, 3_540_000.0
BORDER = 1000.0
REPORTS = 80


def ground(left, bottom, right, top):
    return transform_geometry(shapely.segmentize(shapely.box(WEST + left, SOUTH + bottom, WEST + right, SOUTH + top), 50), CRS, "CRS:84")


def house_of(folder, seed: int):
    house, inside, outside = build_house(folder), random.Random(1), random.Random(seed)
    shapes = []
    for number in range(30):
        x, y = inside.uniform(10, 900), inside.uniform(10, 900)
        shapes.append(shapely.LineString([(WEST + x, SOUTH + y), (WEST + x + 40, SOUTH + y + 40)]))
        if number % 5 == 0:
            shapes[-1] = shapely.LineString([(WEST + x, SOUTH + y), (WEST + BORDER + 30, SOUTH + y), (WEST + BORDER + outside.uniform(40, 900), SOUTH + outside.uniform(0, 1000))])
    beyond = [
        shapely.LineString([(WEST + BORDER + x, SOUTH + y), (WEST + BORDER + x + 50, SOUTH + y)])
        for x, y in ((outside.uniform(60, 2000), outside.uniform(-400, 1400)) for _ in range(outside.randint(5, 30)))
    ]
    frame = geopandas.GeoDataFrame({"NAME": [str(number) for number in range(len(shapes) + len(beyond))]}, geometry=shapes + beyond, crs=CRS)
    frame.to_file(folder / "LRDL.gpkg", layer="LRDL")
    house.layer("dlg", folder / "LRDL.gpkg", product="DLG")
    picture = np.full((3, 100, 100), 90, dtype=np.uint8)
    picture[:, :, 66:] = outside.randrange(256)                   # in no block of JPEG that reaches across the border (ADR 18)
    house.raster("dom", picture, WEST, SOUTH + 2000, 20.0)
    house.agency("water")
    house.grant("water", "dlg", "dom", area=ground(0, 0, BORDER, 1000), attributes=frozenset({"NAME"}))
    return house


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    one, other = (house_of(tmp_path_factory.mktemp(name), seed) for name, seed in (("one", 1), ("other", 2)))
    other.services.feature_ids._secret, other.services.feature_ids._ciphers = one.services.feature_ids._secret, type(one.services.feature_ids._ciphers)()
    return one, other


def place(chance: random.Random) -> dict:
    x, y = WEST + chance.uniform(-100, 2500), SOUTH + chance.uniform(-100, 1100)
    match chance.randrange(4):
        case 0:
            return {"type": "LineString", "coordinates": [[x, y], [x + chance.uniform(1, 200), y + chance.uniform(1, 200)]]}
        case 1:
            side = chance.uniform(1, 150)
            return {"type": "Polygon", "coordinates": [[[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]]}
    return {"type": "Point", "coordinates": [x if chance.random() < 0.5 else WEST + chance.uniform(0, 990), y]}


def steady(told: dict) -> str:
    own = str(told.get("correction", ""))
    hidden = {"correction", "made", "made_by", "instance", "at"}
    plain = {name: value for name, value in told.items() if name not in hidden | {"history"}}
    return json.dumps(plain, sort_keys=True).replace(own or "\0", "")


def test_reports_are_answered_alike_wherever_they_reach(twins):
    chance, taken, refused = random.Random(7), 0, 0
    ids = twins[0].services.feature_ids
    for _ in range(REPORTS):
        body = {"layer": chance.choice(("dlg", "dom", "dlg@2011")), "kind": "other", "place": place(chance), "crs": CRS, "text": "t"}
        if chance.random() < 0.3:
            body["feature"] = f"LRDL/{ids.of('dlg', 'LRDL', [chance.randrange(1, 70)], [chance.randrange(2)])[0]}"
        answers = [house.client().post("/api/v1/corrections", json=body, headers={"X-API-Key": house.keys["water"]}) for house in twins]
        assert answers[0].status_code == answers[1].status_code and steady(answers[0].json) == steady(answers[1].json), body
        if answers[0].status_code != 201:
            refused += 1
            continue
        taken += 1
        pictures = [
            house.get(f"/api/v1/corrections/{answer.json['correction']}/picture", "water") for house, answer in zip(twins, answers, strict=True)
        ]
        assert pictures[0].status_code == 200 and pictures[0].data == pictures[1].data
    assert taken > REPORTS / 6 and refused > REPORTS / 6
    lists = [house.get("/api/v1/corrections/statistics", "water").json for house in twins]
    assert lists[0] == lists[1]
