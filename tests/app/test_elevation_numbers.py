"""Elevation as data through the service: true numbers, datums, levels of water, quotas, marks; and what each grant does not open."""

import io
import json
import re

import numpy as np
import pyproj
import pytest
import shapely
from PIL import Image

from agreements.model import Mark, Operation
from agreements.quota import Limit, Measure, Quota, Window
from geoserver_app.decision_log import read_segment
from geoserver_app.elevation import sampled, summed_up
from geoserver_app.messages import SENTENCES
from layers.crs import transformer
from layers.heights import FAULTS
from layers.model import ENCODINGS
from tiles.terrain import ENCODERS

LEFT, TOP, STEP, SIDE = 380_000.0, 3_550_000.0, 10.0, 400
PICTURES = frozenset({Operation.GET_MAP, Operation.GET_TILE, Operation.DOWNLOAD})
NUMBERS = frozenset({Operation.GET_COVERAGE, Operation.GET_FEATURE_INFO})
WMS = "/ows?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetMap&SRS=EPSG:4549&FORMAT=image/png&TRANSPARENT=TRUE"
WHOLE = f"&BBOX={LEFT!r},{TOP - SIDE * STEP!r},{LEFT + SIDE * STEP!r},{TOP!r}&WIDTH={SIDE}&HEIGHT={SIDE}"
NANJING = "lon=118.75&lat=32.05"
TILE = "WebMercatorQuad/12/3399/1662.png"


def ground() -> np.ndarray:
    rows, cols = np.mgrid[0:SIDE, 0:SIDE]
    return (8 + 6 * np.sin(cols / 25) + 4 * np.cos(rows / 19)).astype(np.float32)


def on_earth(x: float, y: float) -> tuple[float, float]:
    return transformer("EPSG:4549", "CRS:84").transform(x, y)


@pytest.fixture(scope="module")
def house(lasting_house):
    holed = ground()
    holed[100:120, 100:120] = -9999
    lasting_house.raster("dem", holed[None], LEFT, TOP, STEP, product="DEM", nodata=-9999, vertical_datum="1985", classification="internal")
    lasting_house.raster("old", ground()[None], LEFT, TOP, STEP, product="DEM", vertical_datum="1956")
    lasting_house.raster("unstated", ground()[None], LEFT, TOP, STEP, product="DEM")
    lasting_house.raster("dom", np.full((3, 50, 50), 90, np.uint8), LEFT, TOP, 50.0)
    for name, operations in (("pictures", PICTURES), ("numbers", NUMBERS)):
        lasting_house.agency(name)
        lasting_house.grant(name, "dem", "dom", operations=operations)
    lasting_house.agency("all")
    lasting_house.grant("all", "dem", "old", "unstated", "dom")
    return lasting_house


def records(house):
    return [event for path in sorted(house.services.settings.decisions.rglob("*.jsonl")) for event in read_segment(path)]


# -- heights

def test_a_height_is_that_of_the_pixel_that_holds_the_place_with_all_that_makes_it_a_number(house):
    lon, lat = on_earth(LEFT + 1234.0, TOP - 777.0)
    answer = house.get(f"/height?layer=dem&lon={lon!r}&lat={lat!r}&lang=zh", "all")
    assert answer.status_code == 200 and answer.headers["Cache-Control"].startswith("private")
    told = answer.json
    assert told["height"] == pytest.approx(float(ground()[77, 123]), abs=6e-4)
    assert told["vertical_datum"] == {"code": "1985", "name": "1985国家高程基准", "accuracy": 0.0}
    assert (told["layer"], told["edition"], told["unit"], told["resolution"]) == ("dem", "2011", "m", 10.0)
    assert told["sheet"] is None and "currency" in told
    for same in (f"/height?layer=dem&x={LEFT + 1234.0}&y={TOP - 777.0}&crs=EPSG:4549", f"/height?layer=dem@2011&LON={lon!r}&LAT={lat!r}"):
        assert house.get(same, "all").json["height"] == told["height"]


def test_a_hundred_places_are_told_at_once_and_no_more(house):
    rng = np.random.default_rng(2)
    x, y = LEFT + rng.uniform(0, SIDE * STEP, 100), TOP - rng.uniform(0, SIDE * STEP, 100)
    places = [f"{a:.2f},{b:.2f}" for a, b in zip(x, y, strict=True)]
    told = house.get(f"/height?layer=old&crs=EPSG:4549&points={';'.join(places)}", "all").json["places"]
    truth = ground()[((TOP - y) // STEP).astype(int), ((x - LEFT) // STEP).astype(int)]
    assert np.abs(np.array([one["height"] for one in told]) - truth).max() < 1e-3
    assert house.get(f"/height?layer=old&crs=EPSG:4549&points={';'.join([*places, places[0]])}", "all").status_code == 413


def test_heights_come_in_another_datum_with_the_accuracy_of_the_way_there(house):
    place = f"crs=EPSG:4549&x={LEFT + 55}&y={TOP - 55}"
    own, other = (house.get(f"/height?layer=old&{place}{more}", "all").json for more in ("", "&datum=1985"))
    assert other["height"] == pytest.approx(own["height"] - 0.029, abs=1e-9)
    assert (own["vertical_datum"]["code"], other["vertical_datum"]) == (
        "1956", {"code": "1985", "name": "1985 national height datum", "accuracy": 0.1},
    )


@pytest.mark.parametrize(("layer", "datum", "slug"), [
    ("dem", "wusong", "datum-of-gauges"), ("dem", "ellipsoidal", "datum-ellipsoidal"), ("dem", "navd88", "datum-no-way"),
    ("dem", "atlantis", "datum-not-known"), ("unstated", "1985", "datum-not-stated"),
])
@pytest.mark.parametrize("way", ["/height?lon=118.75&lat=32.05", "/profile?line=118.75,32.05;118.76,32.05"])
def test_what_no_constant_leads_to_is_refused_in_both_languages(house, layer, datum, slug, way):
    english, chinese = (house.get(f"{way}&layer={layer}&datum={datum}&lang={language}", "all") for language in ("en", "zh"))
    assert english.status_code == chinese.status_code == 400
    assert english.json["type"] == chinese.json["type"] == f"/docs/errors#{slug}"
    assert re.search("[\u4e00-\u9fff]", chinese.json["detail"]) and english.json["detail"].isascii()


def test_the_sentences_of_refused_datums_are_the_same_wherever_they_are_told():
    for fault, english in FAULTS.items():
        assert SENTENCES[fault][1] == english


@pytest.mark.parametrize(("query", "words"), [
    ("layer=dem", "`LON` is missing"), ("layer=dem&lon=118&lat=x", "plain decimal number"), ("lon=1&lat=1", "`LAYER` is missing"),
    ("layer=dem&points=1,2,3", "places"), ("layer=dem&points=1;2", "places"), ("layer=dem&lon=1&lat=1&crs=EPSG:2364", "not served"),
    ("layer=dem&lon=1&lon=2&lat=1", "2 times"), ("layer=dem&lon=1&lat=1&datum=../x", "code of a vertical datum"), ("layer=DEM%00&lon=1&lat=1", "layer name"),
    ("layer=dem&lon=1e999&lat=1", "plain decimal"), ("layer=dem&lon=1&lat=1&time=2011", "not taken"), ("layer=dom&lon=118.75&lat=32.05", "no elevation model"),
])
def test_a_question_that_can_not_be_read_is_told_what_is_wrong(house, query, words):
    answer = house.get(f"/height?{query}", "all")
    assert answer.status_code == 400 and words in answer.json["detail"]


# -- profiles

def test_a_profile_is_spaced_by_the_geodesic_and_summed_up_as_numpy_does(house):
    (west, south), (east, north), last = on_earth(LEFT + 500, TOP - 3500), on_earth(LEFT + 3500, TOP - 2500), on_earth(LEFT + 3000, TOP - 300)
    answer = house.get(f"/profile?layer=old&line={west!r},{south!r};{east!r},{north!r};{last[0]!r},{last[1]!r}&samples=300", "all").json
    geod = pyproj.Geod(ellps="WGS84")
    assert answer["length"] == pytest.approx(geod.line_length([west, east, last[0]], [south, north, last[1]]), abs=0.01)
    distances, heights = (np.array([one[name] for one in answer["samples"]]) for name in ("distance", "height"))
    assert np.diff(distances) == pytest.approx(answer["length"] / 299, abs=0.002) and distances[0] == 0
    x, y = transformer("CRS:84", "EPSG:4549").transform(*(np.array([one[name] for one in answer["samples"]]) for name in ("lon", "lat")))
    truth = ground()[((TOP - y) // STEP).astype(int), ((x - LEFT) // STEP).astype(int)]
    assert (np.abs(heights - truth) < 1e-3).mean() > 0.98                                     # places are rounded: a few lie on the edge of a pixel
    steps = np.diff(heights)
    assert answer["climb"] == pytest.approx(steps[steps > 0].sum(), abs=1e-3) and answer["descent"] == pytest.approx(-steps[steps < 0].sum(), abs=1e-3)
    assert (answer["lowest"], answer["highest"], answer["told"]) == (heights.min(), heights.max(), 300)


def test_a_profile_as_geojson_is_a_line_of_three_dimensions_broken_at_the_gap(house):
    (west, south), (east, north) = on_earth(LEFT + 505, TOP - 1105), on_earth(LEFT + 1705, TOP - 1105)
    answer = house.get(f"/profile?layer=dem&line={west!r},{south!r};{east!r},{north!r}&samples=121&format=geojson", "all")
    assert answer.content_type.startswith("application/geo+json")
    shape, told = shapely.from_geojson(json.dumps(answer.json["geometry"])), answer.json["properties"]
    assert shape.geom_type == "MultiLineString" and len(shape.geoms) == 2 and shape.has_z
    assert told["told"] == sum(len(run.coords) for run in shape.geoms) < 121


def test_samples_lie_on_the_line_and_climbs_are_not_counted_across_gaps():
    line = [(118.0, 32.0), (118.0, 32.0), (119.0, 32.5), (118.5, 33.0)]
    found = sampled(line, 57)
    assert found[0].place == line[0] and found[-1].place == pytest.approx(line[-1]) and len(found) == 57
    vertex = min(found, key=lambda one: np.hypot(one.place[0] - 119.0, one.place[1] - 32.5))
    assert np.hypot(vertex.place[0] - 119.0, vertex.place[1] - 32.5) < 0.03
    assert (summed_up([1.0, 3.0, None, 10.0, 9.0]).climb, summed_up([1.0, 3.0, None, 10.0, 9.0]).descent) == (2.0, 1.0)
    assert summed_up([None, None]).lowest is None


@pytest.mark.parametrize(("query", "words"), [
    ("layer=dem&line=118,32", "2 or more places"), ("layer=dem&line=118,32;118,32", "no length"), ("layer=dem&line=118,32;500,32", "leaves the earth"),
    ("layer=dem&line=118,32;119,32&samples=1001", "whole number from 2 to 1000"), ("layer=dem&line=118,32;119,32&format=kml", "JSON, GEOJSON"),
    ("layer=dem&line=" + ";".join(["118,32"] * 201), "at most 200"), ("layer=dom&line=118,32;119,32", "no elevation model"),
])
def test_a_line_that_can_not_be_read_is_told_what_is_wrong(house, query, words):
    answer = house.get(f"/profile?{query}", "all")
    assert answer.status_code in (400, 413) and words in answer.json["detail"]


# -- water

def wet(house, layer: str, level, datum: str, agency: str = "all"):
    return house.get(f"{WMS}&LAYERS={layer}&STYLES=water-level&WATER_LEVEL={level}&WATER_DATUM={datum}{WHOLE}", agency)


def wet_cells(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.array(Image.open(io.BytesIO(answer.data)).convert("RGBA"))[..., 3] > 0


@pytest.mark.parametrize(("level", "datum", "shift"), [(7.5, "1985", 0.0), (9.453, "wusong", -1.953), (7.69, "feihuanghe", -0.190), (7.529, "1956", -0.029)])
def test_water_stands_on_the_cells_below_the_level_once_it_is_in_the_datum_of_the_model(house, level, datum, shift):
    shown = wet_cells(wet(house, "dem", level, datum))
    expected = ground() < level + shift
    expected[100:120, 100:120] = False
    assert (shown == expected).mean() > 0.9999 and 0.2 < shown.mean() < 0.8


def test_a_level_is_carried_to_a_model_in_the_old_datum(house):
    assert (wet_cells(wet(house, "old", 9.0, "wusong")) == (ground() < 9.0 - 1.924)).mean() > 0.9999


@pytest.mark.parametrize(("layer", "more", "words"), [
    ("dem", "", "`WATER_LEVEL` is missing"), ("dem", "&WATER_LEVEL=3", "`WATER_DATUM` is missing"), ("dem", "&WATER_LEVEL=3m&WATER_DATUM=1985", "plain decimal"),
    ("dem", "&WATER_LEVEL=1e5&WATER_DATUM=1985", "from -1000 to 10000"), ("dem", "&WATER_LEVEL=3&WATER_DATUM=x';--", "code of a vertical datum"),
    ("dem", "&WATER_LEVEL=3&WATER_DATUM=moon", "is not known"), ("dem", "&WATER_LEVEL=3&WATER_DATUM=ellipsoidal", "above the ellipsoid"),
    ("dem", "&WATER_LEVEL=3&WATER_DATUM=navd88", "no approved constant"), ("unstated", "&WATER_LEVEL=3&WATER_DATUM=1985", "is not known, so"),
])
def test_without_a_level_and_a_datum_that_can_be_compared_there_is_no_water(house, layer, more, words):
    answer = house.get(f"{WMS}&LAYERS={layer}&STYLES=water-level{WHOLE}{more}", "all")
    assert answer.status_code == 400 and words in answer.text and b"<" in answer.data[:1]


def test_water_is_never_kept(house):
    before = sorted(house.services.settings.cache.rglob("*water*"))
    wet_cells(wet(house, "dem", 3.14, "1985"))
    assert before == sorted(house.services.settings.cache.rglob("*water*")) == []


# -- what each grant opens

@pytest.mark.parametrize("style", [*ENCODINGS, "water-level"])
def test_numbers_are_not_had_under_a_grant_of_pictures_by_any_way(house, style):
    ways = [
        f"{WMS}&LAYERS=dem&STYLES={style}&WATER_LEVEL=5&WATER_DATUM=1985{WHOLE}", f"/tiles/dem/{TILE}?style={style}", f"/tiles/dem.json?style={style}",
        f"/wmts/1.0.0/dem/{style}/WebMercatorQuad/12/1662/3399.png",
        f"/wmts?SERVICE=WMTS&REQUEST=GetTile&LAYER=dem&STYLE={style}&TILEMATRIXSET=WebMercatorQuad&TILEMATRIX=12&TILEROW=1662&TILECOL=3399&FORMAT=image/png",
        f"/ows?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetMap&SRS=EPSG:4549&FORMAT=image/png&LAYERS=dom,dem&STYLES=,{style}&WATER_LEVEL=5&WATER_DATUM=1985{WHOLE}",
    ]
    for way in ways:
        refused = house.get(way, "pictures")
        assert refused.status_code == 403 and not refused.data.startswith(b"\x89PNG"), way
    last = records(house)[-1]
    assert [layer["operation"] for layer in last["layers"]][-1] == "GetCoverage"
    kept = house.get(f"/download/dem.zip?CRS=EPSG:4549&BBOX=380000,3548000,381000,3549000&RESOLUTION=10&STYLE={style}", "pictures")
    assert kept.status_code == 400 and "shows values" in kept.json["detail"]


@pytest.mark.parametrize("style", ENCODINGS)
def test_numbers_have_no_map_no_legend_and_no_lossy_form(house, style):
    legend = house.get(f"/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetLegendGraphic&LAYER=dem&STYLE={style}&FORMAT=image/png", "all")
    assert legend.status_code == 400 and "StyleNotDefined" in legend.text
    assert house.get(f"{WMS}&LAYERS=dem&STYLES={style}{WHOLE}", "all").status_code == 400
    for extension in ("jpg", "webp"):
        assert house.get(f"/tiles/dem/{TILE.replace('png', extension)}?style={style}", "all").json["type"] == "/docs/errors#numbers-as-png"
    assert house.get(f"/tiles/dom/{TILE}?style={style}", "all").status_code == 400


def test_a_grant_of_numbers_shows_no_picture_and_one_of_pictures_tells_no_height(house):
    assert house.get(f"/tiles/dem/{TILE}", "numbers").status_code == 403 and house.get(f"{WMS}&LAYERS=dem&STYLES={WHOLE}", "numbers").status_code == 403
    assert house.get(f"/tiles/dem/{TILE}?style=terrain-rgb", "numbers").status_code == 200
    assert house.get(f"/height?layer=dem&{NANJING}", "pictures").status_code == 403
    assert house.get("/profile?layer=dem&line=118.75,32.05;118.76,32.05", "pictures").status_code == 403


def test_styles_of_a_grant_limit_its_pictures_and_not_how_numbers_are_spelt(house):
    house.agency("shaded")
    house.grant("shaded", "dem", styles=frozenset({"hillshade"}))
    assert house.get(f"/tiles/dem/{TILE}?style=terrarium", "shaded").status_code == 200
    assert house.get(f"/tiles/dem/{TILE}?style=slope", "shaded").status_code == 403
    assert wet(house, "dem", 5, "1985", "shaded").status_code == 403


def test_no_way_of_asking_finds_water_by_naming_no_style(house):
    house.agency("only-water")
    house.grant("only-water", "dem", operations=frozenset({Operation.GET_MAP}), styles=frozenset({"water-level"}))
    for more in ("", "&WATER_LEVEL=5&WATER_DATUM=1985"):
        assert house.get(f"{WMS}&LAYERS=dem&STYLES={WHOLE}{more}", "only-water").status_code == 403


def test_capabilities_offer_water_to_who_may_have_numbers_and_tiles_never(house):
    maps, tiles = (f"/ows?SERVICE={service}&REQUEST=GetCapabilities" for service in ("WMS", "WMTS"))
    assert b"<Name>water-level</Name>" in house.get(maps, "all").data and b"water-level" not in house.get(maps, "pictures").data
    for agency in ("all", "pictures"):
        found = house.get(tiles, agency).data
        assert b"water-level" not in found and b"terrain-rgb" not in found and b"contours" in found


@pytest.mark.parametrize(("style", "encoding"), [("terrain-rgb", "mapbox"), ("terrarium", "terrarium")])
def test_tilejson_of_terrain_says_how_it_is_encoded_and_leads_to_the_tiles(house, style, encoding):
    found = house.get(f"/tiles/dem.json?style={style}", "numbers").json
    assert (found["encoding"], found["format"], found["tileSize"]) == (encoding, "png", 256) and "legend" not in found
    path = found["tiles"][0].removeprefix("http://maps.test").format(z=12, x=3399, y=1662)
    answer = house.get(path, "numbers")
    heights = ENCODERS[style].decode(np.array(Image.open(io.BytesIO(answer.data)).convert("RGBA")))
    assert np.isfinite(heights).any() and -3 < np.nanmin(heights) and np.nanmax(heights) < 19


def test_a_mark_is_on_the_pictures_of_a_grant_and_not_in_its_numbers(house):
    house.agency("marked")
    house.agree("marked", house.clause("dem"), mark=Mark(text="water department", opacity=0.6, place="tiled"))
    plain, marked = (house.get(f"/tiles/dem/{TILE}?style=terrain-rgb", agency).data for agency in ("all", "marked"))
    assert plain == marked
    assert house.get(f"/tiles/dem/{TILE}", "all").data != house.get(f"/tiles/dem/{TILE}", "marked").data


def test_the_catalogue_says_where_heights_are_told(house):
    def addresses(agency):
        return next(one for one in house.get("/api/v1/layers", agency).json["layers"] if one["name"] == "dem")["addresses"]

    assert set(addresses("numbers")["terrain"]) == set(ENCODINGS) and "height" in addresses("numbers") and "profile" in addresses("numbers")
    assert not {"terrain", "height", "profile"} & addresses("pictures").keys()


# -- quotas

def test_places_told_are_things_told_and_what_is_not_told_costs_nothing(house):
    house.agency("counted")
    half = shapely.box(*on_earth(LEFT, TOP - SIDE * STEP), *on_earth(LEFT + SIDE * STEP / 2, TOP))
    house.agree("counted", house.clause("dem", area=half), quota=Quota(limits=(Limit(measure=Measure.FEATURES, window=Window.DAY, most=50),)))

    def charged():
        layer = records(house)[-1]["layers"][0]
        return next(iter(layer.get("charged", {}).values()), {}).get("features", 0)

    inside, outside = (f"{x!r},{TOP - 2000!r}" for x in (LEFT + 300, LEFT + SIDE * STEP - 300))
    assert house.get(f"/height?layer=dem&crs=EPSG:4549&points={inside};{outside};{inside}", "counted").status_code == 200
    assert charged() == 1
    west, south = on_earth(LEFT + 1000, TOP - 3000)
    east, north = on_earth(LEFT + 3000, TOP - 3000)
    told = house.get(f"/profile?layer=dem&line={west!r},{south!r};{east!r},{north!r}&samples=60", "counted").json["told"]
    assert 25 <= told <= 35 and charged() == told
    assert house.get(f"/height?layer=dem&crs=EPSG:4549&points={outside}", "counted").json["places"][0]["height"] is None and charged() == 0
    spent = house.get(f"/profile?layer=dem&line={west!r},{south!r};{east!r},{north!r}&samples=60", "counted")
    assert spent.status_code == 429 and b"height" not in spent.data.replace(b"heights", b"")


def test_a_resolution_that_is_granted_no_finer_than_a_pixel_tells_no_pixel(house):
    from agreements.model import ResolutionWindow

    house.agency("rough")
    house.grant("rough", "dem", resolution=ResolutionWindow(finest=25.0))
    refused = house.get(f"/height?layer=dem&{NANJING}", "rough")
    assert refused.status_code == 403 and refused.json["reasons"][0]["code"] == "outside-resolution"
    house.agency("celled")
    house.grant("celled", "dem", degrade=25.0)
    assert house.get(f"/height?layer=dem&{NANJING}", "celled").json["resolution"] == 25.0
