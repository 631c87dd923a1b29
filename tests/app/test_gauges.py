"""Gauges: levels in the datum that they state, water where the ground lies below it, and nothing of either that is not granted."""

import io
import json
import random
from datetime import UTC, datetime
from urllib.parse import quote

import geopandas
import numpy as np
import pytest
import shapely
from houses import build_house
from PIL import Image

from agreements.model import Operation
from agreements.quota import Limit, Measure, Quota, Window
from geoserver_app.decision_log import read_segment
from layers.crs import transform_geometry

CRS = "EPSG:4549"
LEFT, TOP, STEP, SIDE = 384_000.0, 3_550_000.0, 10.0, 200
DIKE, BORDER = 100, 150
"""Columns: the ground is 3 m high up to a dike of 20 m, 2 m behind it; nothing is granted from the border on."""

HILL = slice(140, 200), slice(40, 100)
LOW = DIKE * SIDE - 60 * 60 - 100
"""Cells before the dike, but for the hill and for those without a height."""

BOX = f"crs={CRS}&bbox={LEFT},{TOP - SIDE * STEP},{LEFT + SIDE * STEP},{TOP}&width={SIDE}&height={SIDE}"
ROWS = (
    ("g1", "吴淞", None, 5.953, 5.0, 7.0, 20), ("none", None, None, 4.0, 3.0, 5.0, 30), ("own", "冻结基面", 1.5, 2.5, 2.0, 2.4, 40), ("alone", "冻结基面", None, 2.5, 9, 9, 50),
    ("torn", "吴淞", 0.5, 5.0, None, None, 60), ("dry", "1985", None, None, 3.0, 4.0, 70), ("h85", "1985 国家高程基准", None, 4.0, 4.5, 5.0, 120),
    ("huai", "废黄河", None, 4.19, 9.0, None, 25), ("hill", "1985", None, 4.0, 9.0, None, 75),
)


def ground(seed: int) -> np.ndarray:
    heights = np.full((SIDE, SIDE), 3.0, np.float32)
    heights[:, DIKE:] = 2.0
    heights[:, DIKE : DIKE + 2] = 20.0
    heights[HILL] = 20.0
    heights[:, BORDER:] += np.random.default_rng(seed).uniform(-2, 2, (SIDE, SIDE - BORDER)).astype(np.float32)
    heights[:10, :10] = -9999
    return heights


def world(seed: int) -> list[dict]:
    other = random.Random(seed)
    rows = [
        {"STCD": code, "STNM": f"{code}站", "DTMNM": datum, "DTPR": correction, "Z": level, "WRZ": warning, "GRZ": guaranteed, "SECRET": other.random(),
         "geometry": shapely.Point(LEFT + column * STEP, TOP - (175 if code == "hill" else 100) * STEP)} for code, datum, correction, level, warning, guaranteed, column in ROWS
    ]
    return rows + [
        {"STCD": f"x{seed}", "STNM": "x", "DTMNM": "1985", "DTPR": None, "Z": other.uniform(0, 9), "WRZ": 1.0, "GRZ": 2.0, "SECRET": 1.0,
         "geometry": shapely.Point(LEFT + (BORDER + 20) * STEP, TOP - 500)} for _ in range(other.randint(1, 3))
    ]


def house_of(folder, seed):
    house = build_house(folder)
    house.raster("dem", ground(seed)[None], LEFT, TOP, STEP, product="DEM", nodata=-9999, vertical_datum="1985", classification="internal")
    house.raster("strict", ground(seed)[None], LEFT, TOP, STEP, product="DEM", nodata=-9999, vertical_datum="1985", classification="secret")
    house.raster("doubtful", ground(seed)[None], LEFT, TOP, STEP, product="DEM", classification="internal")
    house.raster("photo", np.zeros((3, 50, 50), np.uint8), LEFT, TOP, 40.0)
    path = folder / "gauges.gpkg"
    geopandas.GeoDataFrame(world(seed), crs=CRS).to_file(path, layer="levels", driver="GPKG")
    geopandas.GeoDataFrame([{"STCD": "a", "geometry": shapely.Point(LEFT, TOP)}], crs=CRS).to_file(folder / "plain.gpkg", layer="plain", driver="GPKG")
    house.layer("gauges", path, product="OVERLAY")
    house.layer("plain", folder / "plain.gpkg", product="OVERLAY")
    for name in ("all", "some", "coarse", "blind", "heightless", "pictures", "metred", "nobody"):
        house.agency(name)
    west = transform_geometry(shapely.segmentize(shapely.box(LEFT - 500, TOP - 3000, LEFT + BORDER * STEP, TOP + 500), 50), CRS, "CRS:84")
    shown = frozenset({"STCD", "STNM", "DTMNM", "DTPR", "Z"})
    house.grant("all", "gauges", "dem", "doubtful", "photo", "plain", attributes=None)
    house.grant("some", "gauges", "dem", "strict", area=west, attributes=shown)
    house.grant("coarse", "gauges", attributes=shown)
    house.grant("coarse", "dem", area=west, degrade=25.0)
    house.grant("blind", "gauges", "dem", attributes=shown - {"Z"})
    house.grant("heightless", "gauges", attributes=shown)
    house.grant("pictures", "gauges", "dem", operations=frozenset({Operation.GET_MAP, Operation.GET_FEATURE}), attributes=shown)
    house.agree("metred", house.clause("gauges", attributes=None), quota=Quota(limits=(Limit(measure=Measure.FEATURES, most=10, window=Window.DAY),)))
    return house


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return house_of(tmp_path_factory.mktemp("one"), 1)


@pytest.fixture(scope="module")
def twins(tmp_path_factory, house):
    other = house_of(tmp_path_factory.mktemp("other"), 2)
    other.services.feature_ids._secret = house.services.feature_ids._secret
    return house, other


def get(house, rest, agency="all", layer="gauges"):
    return house.get(f"/gauges/{layer}{rest}", agency)


def level(house, gauge, agency="all", more=""):
    answer = get(house, f"/level?gauge={quote(gauge)}{more}", agency)
    assert answer.status_code == 200, answer.text
    return answer.json["level"]


def water(house, gauge, agency="all", more="", dem="dem"):
    return get(house, f"/inundation?gauge={gauge}&dem={dem}&{BOX}{more}", agency)


def numbers(house, gauge, agency="all", more=""):
    answer = water(house, gauge, agency, f"&f=json{more}")
    assert answer.status_code == 200, answer.text
    return answer.json


def wet(answer) -> np.ndarray:
    assert answer.status_code == 200 and answer.content_type == "image/png", answer.text
    return np.array(Image.open(io.BytesIO(answer.data)).convert("RGBA"))[..., 3] > 0


def refused(answer, slug, status=400):
    return answer.status_code == status and answer.json["type"].endswith(slug)


# -- levels

@pytest.mark.parametrize(("gauge", "height", "accuracy", "state", "over"), [
    ("g1", 4.0, 0.15, "warning", 0.953), ("h85", 4.0, 0.0, "normal", -0.5), ("own", 4.0, None, "guaranteed", 0.5), ("huai", 4.0, 0.15, "normal", -4.81),
])
def test_a_level_is_told_in_the_national_datum_with_the_accuracy_of_the_way(house, gauge, height, accuracy, state, over):
    assert level(house, gauge) == {"state": state, "over_warning": over, "height": height, "datum": "1985", "accuracy": accuracy}


@pytest.mark.parametrize(("gauge", "reason"), [
    ("none", "gauge-no-datum"), ("alone", "gauge-datum-own"), ("torn", "gauge-datum-contradiction"), ("dry", "gauge-no-level"),
])
def test_where_nothing_leads_from_its_datum_the_reason_is_told_and_no_water_drawn(house, gauge, reason):
    assert level(house, gauge) | {"state": "", "over_warning": 0} == {"state": "", "over_warning": 0, "height": None, "reason": reason}
    for language in ("zh", "en"):
        answer = water(house, gauge, more=f"&lang={language}")
        assert refused(answer, reason) and gauge in answer.json["detail"]


def test_levels_may_be_asked_in_another_datum(house):
    assert level(house, "h85", more="&datum=wusong")["height"] == pytest.approx(5.953)
    assert level(house, "g1", more="&datum=wusong") | {"state": ""} == {"state": "", "over_warning": 0.953, "height": 5.953, "datum": "wusong", "accuracy": 0.0}
    assert level(house, "h85", more="&datum=egm96")["reason"] == "datum-no-way"
    assert refused(get(house, "/level?gauge=g1&datum=moon"), "datum-not-known")


def test_gauges_over_warning_are_those_whose_level_is(house):
    codes = lambda over: [one["properties"]["STCD"] for one in get(house, f"?over={over}").json["features"]]          # noqa: E731
    assert codes("warning")[:3] == ["g1", "none", "own"] and codes("guaranteed")[0] == "own"
    everything = get(house, "?crs=EPSG:4549")
    assert everything.json["numberReturned"] >= 10 and everything.headers["Content-Crs"].endswith("/4549>")
    one = get(house, "/level?gauge=g1", layer="gauges.levels")
    assert one.json["geometry"] == get(house, "/level?gauge=g1").json["geometry"] and one.json["properties"]["SECRET"]


def test_codes_may_be_numbers_as_spreadsheets_make_them(house):
    for name, kind in (("counted", int), ("floated", float)):
        rows = [{"STCD": kind(99900001 + at), "DTMNM": "1985", "Z": 4.0 + at, "geometry": shapely.Point(LEFT + 100, TOP - 100)} for at in range(3)]
        path = house.folder / f"{name}.gpkg"
        geopandas.GeoDataFrame(rows, crs=CRS).to_file(path, layer="levels", driver="GPKG")
        house.layer(name, path, product="OVERLAY")
        house.grant("all", name, attributes=None)
        assert get(house, "/level?gauge=99900002", layer=name).json["level"]["height"] == 5.0
        assert refused(get(house, "/level?gauge=99900009", layer=name), "gauge-none")


# -- water

def test_water_stands_below_the_level_and_behind_a_dike_only_where_it_may_be_anywhere(house):
    both, one = wet(water(house, "g1", more="&connected=false")), wet(water(house, "g1"))
    expected = (ground(1) < 4.0) & (ground(1) > -9999)
    assert (both == expected).all()
    expected[:, DIKE:] = False
    assert (one == expected).all()
    behind = wet(water(house, "h85"))
    assert not behind[:, :DIKE].any() and behind[50, 120]


def test_numbers_are_of_the_ground(house):
    told = numbers(house, "g1")
    area = LOW * STEP**2
    assert told["area"] == pytest.approx(area, rel=2e-3) and told["volume"] == pytest.approx(area, rel=2e-3)
    assert (told["deepest"], told["mean_depth"], told["height"], told["datum"], told["accuracy"]) == (1.0, 1.0, 4.0, "1985", 0.15)
    assert told["asked"] - told["told"] == pytest.approx(100 * STEP**2, rel=2e-3)
    in_degrees = transform_geometry(shapely.box(LEFT, TOP - 2000, LEFT + 2000, TOP), CRS, "CRS:84").bounds
    box = f"&f=json&crs=EPSG:3857&bbox={','.join(map(str, transform_geometry(shapely.box(*in_degrees), 'CRS:84', 'EPSG:3857').bounds))}&width=400&height=400"
    assert get(house, f"/inundation?gauge=g1&dem=dem{box}").json["area"] == pytest.approx(area, rel=0.02), "not what the projection measures, 39 % more"


def test_a_level_is_compared_in_the_datum_of_the_model_and_with_no_other(house):
    assert refused(water(house, "g1", dem="doubtful"), "datum-not-stated")
    assert refused(water(house, "g1", dem="photo"), "not-elevation")
    assert refused(get(house, f"/inundation?gauge=g1&dem=dem&crs={CRS}&bbox={LEFT + 900},{TOP - 900},{LEFT + 1000},{TOP}"), "gauge-water-not-there")


def test_no_water_comes_from_a_gauge_far_from_any(house):
    told = numbers(house, "hill")
    assert (told["area"], told["deepest"], told["mean_depth"], told["connected"]) == (0.0, None, None, True) and told["told"] > 0
    assert numbers(house, "hill", more="&connected=false")["area"] > LOW * STEP**2 and not wet(water(house, "hill")).any()


@pytest.mark.parametrize("box", [
    "crs=CRS:84&bbox=-180,-90,180,90&width=4&height=2", "crs=EPSG:3857&bbox=-20037508,-20037508,20037508,20037508&width=1&height=1",
    f"crs={CRS}&bbox={LEFT},{TOP - 2000},{LEFT + 2000},{TOP}&width=1&height=1", f"crs={CRS}&bbox={LEFT + 199.9},{TOP - 1000.1},{LEFT + 200.1},{TOP - 999.9}&width=90&height=90",
    "crs=EPSG:4490&bbox=100,0,130,60&width=7&height=900",
])
def test_pictures_of_any_size_are_answered(house, box):
    for more in ("", "&f=json", "&connected=false"):
        assert get(house, f"/inundation?gauge=g1&dem=dem&{box}{more}").status_code == 200


# -- what is told

def test_both_layers_are_decided_and_both_decisions_kept(house):
    records = lambda: [event for path in sorted(house.services.settings.decisions.rglob("*.jsonl")) for event in read_segment(path)]          # noqa: E731
    before = len(records())
    assert water(house, "g1", "some").status_code == 200
    kept = json.dumps(records()[before:])
    assert '"gauges"' in kept and '"dem"' in kept and "GetFeature" in kept and "GetCoverage" in kept
    for agency in ("heightless", "blind", "pictures", "nobody"):
        assert water(house, "g1", agency).status_code == 403
    assert water(house, "g1", "heightless").json["detail"].replace("dem", "absent") == water(house, "g1", "heightless", dem="absent").json["detail"]


@pytest.mark.parametrize(("agency", "dem"), [("all", "dem"), ("some", "dem"), ("coarse", "dem"), ("some", "strict")])
def test_the_picture_is_that_of_the_map_of_the_same_level(house, agency, dem):
    box = f"{LEFT + 203},{TOP - 1777},{LEFT + 1903},{TOP - 77}&WIDTH=170&HEIGHT=170"
    mine = get(house, f"/inundation?gauge=g1&dem={dem}&crs={CRS}&bbox={box}&connected=false", agency)
    wms = f"/ows?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetMap&SRS={CRS}&BBOX={box}&FORMAT=image/png&TRANSPARENT=TRUE&LAYERS={dem}&STYLES=water-level"
    level_in_map = house.get(f"{wms}&WATER_LEVEL=5.953&WATER_DATUM=wusong", agency)
    one, other = (np.array(Image.open(io.BytesIO(answer.data)).convert("RGBA")) for answer in (mine, level_in_map))
    assert (one == other).all() and one.any()


def test_beyond_the_border_no_water_is_drawn_and_no_gauge_told(house):
    assert not wet(water(house, "g1", "some", "&connected=false"))[:, BORDER + 1 :].any()
    assert wet(water(house, "g1", "some", "&connected=false"))[50, BORDER - 2]
    assert refused(get(house, "/level?gauge=x1", "some"), "gauge-none") and level(house, "x1")
    assert get(house, "/level?gauge=x1", "some").data.replace(b"x1", b"y7") == get(house, "/level?gauge=y7", "some").data
    assert numbers(house, "g1", "some", "&connected=false")["told"] == pytest.approx(BORDER * SIDE * STEP**2 - 100 * STEP**2, rel=3e-3)


def test_a_hidden_level_answers_nothing_and_a_hidden_warning_is_not_asked(house):
    for rest in ("", "/level?gauge=g1", "?over=warning"):
        answer = get(house, rest, "blind")
        assert answer.status_code == 403 and answer.json["reasons"][0]["code"] == "attribute-not-granted"
        unshared, unknown = get(house, rest, "nobody"), get(house, rest, "nobody", layer="absent")
        assert unshared.status_code == unknown.status_code == 403
    assert get(house, "?over=warning", "some").json["reasons"][0]["code"] == "attribute-not-granted"
    assert level(house, "g1", "some") == {"state": None, "over_warning": None, "height": 4.0, "datum": "1985", "accuracy": 0.15}
    assert "SECRET" not in get(house, "", "some").text


def test_what_is_told_counts(house):
    assert get(house, "/level?gauge=g1", "metred").status_code == 200
    assert get(house, "?over=guaranteed", "metred").status_code == 200
    assert get(house, "", "metred").status_code == 429


def test_data_that_differ_only_beyond_the_grant_give_the_same_answers_to_the_byte(request, twins):
    rng, (one, other) = random.Random(2), twins
    for _ in range(request.config.getoption("--fuzz-requests", default=None) or 60):
        gauge = rng.choice(("g1", "none", "own", "h85", "huai", "x1", "x2"))
        x, y, size = LEFT + rng.uniform(-200, 1800), TOP - rng.uniform(0, 1800), rng.uniform(100, 2500)
        box = f"crs={CRS}&bbox={x:.2f},{y - size:.2f},{x + size:.2f},{y:.2f}&width={rng.randint(8, 90)}&height={rng.randint(8, 90)}"
        rest = rng.choice((
            "", f"/level?gauge={gauge}", f"/inundation?gauge={gauge}&dem=dem&{box}&connected=false", f"/inundation?gauge={gauge}&dem=dem&{BOX}",
            f"/inundation?gauge={gauge}&dem=dem&{BOX}&f=json", f"/inundation?gauge=g1&dem=dem&{box}&f=json&connected=false",
        ))
        if "inundation" in rest and box in rest and x + size > LEFT + (BORDER - 20) * STEP:
            rest = rest.replace("dem=dem", "dem=strict")        # where heights are mixed at the border it is the strict rule that keeps others out of them
        first, second = get(one, rest, "some"), get(other, rest, "some")
        assert (first.status_code, first.data) == (second.status_code, second.data), rest


# -- live

def test_levels_of_a_live_table_are_those_of_the_moment(house):
    fields = [{"name": name} for name in ("STCD", "DTMNM")] + [{"name": name, "type": "number"} for name in ("Z", "WRZ")]
    key = {"X-API-Key": house.keys["all"]}
    made = house.client().post("/api/v1/live", json={
        "name": "all-levels", "title_zh": "水位", "title_en": "Levels", "table": "levels", "fields": fields, "bounds": [118, 31, 120, 33],
    }, headers=key)
    assert made.status_code == 201, made.text
    house.look_again()
    lon, lat = transform_geometry(shapely.Point(LEFT + 200, TOP - 1000), CRS, "CRS:84").coords[0]
    for z in (4.5, 3.5):
        row = {"id": "g", "lon": lon, "lat": lat, "moment": datetime.now(UTC).isoformat(), "properties": {"STCD": "g", "DTMNM": "85高程", "Z": z, "WRZ": 4.0}}
        assert house.client().patch("/api/v1/live/all-levels", json={"objects": [row]}, headers=key).status_code == 200
        told = house.get("/gauges/all-levels/level?gauge=g", "all").json
        assert told["level"]["height"] == z and told["level"]["state"] == ("warning" if z > 4 else "normal") and told["properties"]["moment"]
        flooded = house.get(f"/gauges/all-levels/inundation?gauge=g&dem=dem&f=json&{BOX}", "all").json
        assert flooded["deepest"] == pytest.approx(z - 3.0)


# -- what is asked wrongly

@pytest.mark.parametrize(("rest", "slug"), [
    ("/level", "gauge-name"), (f"/level?gauge={'x' * 41}", "gauge-name"), ("/level?gauge=zz", "gauge-none"), ("?over=much", "not-one-of"), ("?Z=1", "no-parameter"),
    ("/level?gauge=g1&datum=a'b", "datum-name"), ("?crs=EPSG:1", "crs-not-served"), ("/inundation?gauge=g1&dem=dem", "missing"),
    (f"/inundation?dem=dem&{BOX}", "gauge-name"), (f"/inundation?gauge=g1&{BOX}", "missing"), (f"/inundation?gauge=g1&dem=dem,dem&{BOX}", "gauge-one-elevation"),
    ("/inundation?gauge=g1&dem=dem&bbox=1,2,3", "bbox-not-four"), (f"/inundation?gauge=g1&dem=dem&{BOX.replace('width=200', 'width=9999')}", "not-a-whole-number"),
    (f"/inundation?gauge=g1&dem=De%20m&{BOX}", "layer-name"), (f"/inundation?gauge=g1&dem=dem&connected=no&{BOX}", "not-one-of"),
])
def test_what_is_wrong_is_said_in_both_languages(house, rest, slug):
    for language in ("zh", "en"):
        answer = get(house, f"{rest}{'&' if '?' in rest else '?'}lang={language}")
        assert refused(answer, slug), answer.text
    assert refused(get(house, "", layer="plain"), "gauge-tables") and refused(get(house, "?lang=zh", layer="gauges.none"), "gauge-tables")


def test_of_a_classified_model_water_is_told_too_but_nothing_that_is_mixed_with_what_lies_beyond(house):
    box = f"crs={CRS}&bbox={LEFT + 3},{TOP - 1497},{LEFT + 1803},{TOP - 1}&width=170&height=140&connected=false"
    seen = wet(get(house, f"/inundation?gauge=g1&dem=strict&{box}", "some"))
    plain = wet(get(house, f"/inundation?gauge=g1&dem=dem&{box}", "some"))
    assert seen.any() and not (seen & ~plain).any() and seen.sum() < plain.sum()
