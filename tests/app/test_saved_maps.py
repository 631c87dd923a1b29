"""A saved map shows to whoever opens it what he may see anyway, in its order, styles and opacities: it widens no view, and tells nobody what there is."""

import io

import geopandas
import numpy as np
import pytest
import shapely
from api_office import Office
from overlaying import headers
from PIL import Image

from geoserver_app.decision_log import read_segment
from layers.crs import transform_geometry

WMS = "/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap"
VIEW = "CRS=EPSG:4549&BBOX=3540000,380000,3541000,381000&WIDTH=64&HEIGHT=64"
WEST, EAST = (16, 32), (48, 32)


@pytest.fixture(scope="module")
def office(lasting_house):
    """A grey base; `water` has an overlay of blue ground in the east, `police` a red one in the west. Each has the base, `nobody` nothing."""
    office = Office(lasting_house)
    house = office.house
    house.agency("nobody")
    house.raster("dom", np.full((3, 64, 64), 90, dtype=np.uint8), 379_000, 3_542_000, 50.0)
    for agency, left in (("water", 380_500), ("police", 380_000)):
        frame = geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.box(left, 3_540_000, left + 500, 3_541_000)], crs="EPSG:4549")
        frame.to_file(house.folder / f"{agency}.gpkg", layer="ground")
        house.layer(f"{agency}-ground", house.folder / f"{agency}.gpkg", product="OVERLAY", edition="1", owner=agency)
        house.grant(agency, "dom")
    return office


@pytest.fixture
def house(office):
    return office.house


def save(house, agency: str, *layers, status: int = 201, **others) -> dict:
    body = {"title": "汛情图", "layers": [{"layer": one} if isinstance(one, str) else one for one in layers], "sharing": "everyone"} | others
    answer = house.client().post("/api/v1/maps", json=body, headers=headers(house, agency))
    assert answer.status_code == status, answer.text
    return answer.json


def look(house, agency: str, layers: str, styles: str = ""):
    return house.get(f"{WMS}&LAYERS={layers}&STYLES={styles}&{VIEW}&FORMAT=image/png&TRANSPARENT=TRUE", agency)


def pixel(answer, at) -> tuple:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.data)).convert("RGBA").getpixel(at)


def left_out(answer) -> list[str]:
    return [one for one in answer.headers.getlist("Warning") if "left out" in one]


def test_one_getmap_shows_a_base_and_overlays_each_by_its_own_decision(house):
    assert look(house, "water", "dom,water-ground").status_code == 200
    assert pixel(look(house, "water", "dom,water-ground"), EAST) != pixel(look(house, "water", "dom"), EAST)
    assert look(house, "water", "dom,police-ground").status_code == 403


def test_a_saved_map_is_a_layer_of_wms_and_the_same_to_its_pixels_as_its_layers(house):
    saved = save(house, "water", "dom", "water-ground")
    assert look(house, "water", saved["name"]).data == look(house, "water", "dom,water-ground").data
    upside_down = save(house, "water", "water-ground", "dom")
    assert look(house, "water", upside_down["name"]).data == look(house, "water", "dom").data


def test_opacity_fades_a_layer_and_leaves_the_one_below(house):
    base, over = (np.array(pixel(look(house, "water", layers), EAST)[:3]) for layers in ("dom", "dom,water-ground"))
    half = save(house, "water", "dom", {"layer": "water-ground", "opacity": 0.5})
    seen = np.array(pixel(look(house, "water", half["name"]), EAST)[:3])
    assert np.abs(seen - (base + over) / 2).max() <= 2
    none = save(house, "water", "dom", {"layer": "water-ground", "opacity": 0})
    assert tuple(pixel(look(house, "water", none["name"]), EAST)[:3]) == tuple(base)


def test_who_opens_it_sees_what_he_may_see_anyway_and_how_many_layers_are_left_out(house):
    saved = save(house, "water", "dom", "water-ground")
    theirs = look(house, "police", saved["name"])
    assert theirs.data == look(house, "police", "dom").data and left_out(theirs) == ['299 - "1 layers of the saved map are left out"']
    assert left_out(look(house, "water", saved["name"])) == []
    told = house.get(f"/api/v1/maps/{saved['map']}", "police").json
    assert ([one["layer"] for one in told["layers"]], told["left_out"], told["is_own"]) == (["dom"], 1, False)
    assert "water-ground" not in house.get(f"/api/v1/maps/{saved['map']}", "police").text


def test_a_map_of_which_nothing_may_be_seen_is_answered_as_one_that_is_none(house):
    saved = save(house, "water", "dom", "water-ground")
    theirs, none = look(house, "nobody", saved["name"]), look(house, "nobody", "map-" + "0" * 24)
    assert theirs.status_code == none.status_code == 403
    assert theirs.text.replace(saved["name"], "map-" + "0" * 24) == none.text


def test_a_layer_that_is_withdrawn_and_one_that_is_not_shared_are_left_out_alike(house):
    frame = geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.box(380_000, 3_540_000, 380_500, 3_541_000)], crs="EPSG:4549")
    frame.to_file(house.folder / "passing.gpkg", layer="ground")
    house.layer("water-passing", house.folder / "passing.gpkg", product="OVERLAY", edition="1", owner="water")
    saved = save(house, "water", "dom", "water-passing")
    before = look(house, "police", saved["name"])
    assert house.client().delete("/api/v1/overlays/layers/water-passing/editions/1", headers=headers(house, "water")).status_code == 204
    house.look_again()
    after = look(house, "police", saved["name"])
    assert (before.data, list(before.headers)) == (after.data, list(after.headers)) and left_out(after)
    assert left_out(look(house, "water", saved["name"])) == left_out(after)


def test_a_grant_shows_the_layer_in_the_map_and_its_area_holds_there(house):
    house.agency("fire")
    house.grant("fire", "dom")
    saved = save(house, "water", "dom", "water-ground")
    assert look(house, "fire", saved["name"]).data == look(house, "fire", "dom").data
    north = transform_geometry(shapely.box(379_000, 3_540_500, 382_000, 3_542_000), "EPSG:4549", "CRS:84")
    house.grant("fire", "water-ground", grantor="water", area=north)
    seen = look(house, "fire", saved["name"])
    assert seen.data == look(house, "fire", "dom,water-ground").data and not left_out(seen)
    assert pixel(seen, (48, 50)) == pixel(look(house, "fire", "dom"), (48, 50)) and pixel(seen, (48, 10)) != pixel(look(house, "fire", "dom"), (48, 10))


def test_only_what_its_maker_may_see_is_saved_and_what_is_not_shared_is_as_what_is_none(house):
    theirs, none = (save(house, "water", "dom", name, status=422)["errors"][0] for name in ("police-ground", "police-absent"))
    assert str(theirs).replace("police-ground", "police-absent") == str(none)
    assert save(house, "water", {"layer": "dom", "style": "water-level"}, status=422)["errors"][0]["code"] == "style-not-defined"


@pytest.mark.parametrize(("sharing", "opened"), [("everyone", (True, True)), ("agency", (True, False)), ("person", (False, False))])
def test_who_may_open_it(office, sharing, opened):
    saved = office.visitor("member").ask("POST /maps", json={"title": "t", "layers": [{"layer": "dom"}], "sharing": sharing}).json
    assert tuple(look(office.house, agency, saved["name"]).status_code == 200 for agency in ("water", "police")) == opened
    assert office.visitor("member").ask(f"GET /maps/{saved['map']}").status_code == 200
    assert (office.visitor("stranger").ask(f"GET /maps/{saved['map']}").status_code == 200) is opened[1]
    assert office.visitor("stranger").ask(f"DELETE /maps/{saved['map']}").status_code == 404
    office.person(f"colleague-{sharing}", "member", agency="water")
    assert (office.visitor(f"colleague-{sharing}").ask(f"GET /maps/{saved['map']}").status_code == 200) is (sharing != "person")


def test_a_picture_of_it_is_decided_and_recorded_like_a_map(office):
    saved = office.visitor("member").ask("POST /maps", json={"title": "t", "layers": [{"layer": "dom"}, {"layer": "water-ground"}], "sharing": "everyone"}).json
    path = f"GET /maps/{saved['map']}/picture?bounds=380000,3540000,381000,3541000&crs=EPSG:4549&width=64&height=64"
    own, theirs = office.visitor("member").ask(path), office.visitor("stranger").ask(path)
    assert own.data == look(office.house, "water", "dom,water-ground").data and theirs.data == look(office.house, "police", "dom").data
    folder = office.house.services.settings.decisions
    decided = [event for part in sorted(folder.rglob("*.jsonl")) for event in read_segment(part) if event["event"] == "overlay.decided"]
    assert [one["layer"] for one in decided[-1]["layers"]] == ["dom"]
    assert office.visitor("member").ask(path.replace("380000,3540000", "nan,3540000")).status_code == 422


def test_a_map_s_name_is_a_map_alone(house):
    saved = save(house, "water", "dom")
    for query in ("REQUEST=GetFeatureInfo", "REQUEST=GetLegendGraphic&LAYER={0}&FORMAT=image/png&SLD_VERSION=1.1.0"):
        path = f"/ows?SERVICE=WMS&VERSION=1.3.0&{query.format(saved['name'])}&LAYERS={saved['name']}&QUERY_LAYERS={saved['name']}&STYLES=&{VIEW}" \
               "&FORMAT=image/png&I=1&J=1&INFO_FORMAT=application/json"
        assert house.get(path, "water").status_code in (400, 403)
    assert house.get(f"/tiles/{saved['name']}/WebMercatorQuad/14/13596/6645.png", "water").status_code == 403
    assert look(house, "water", saved["name"], styles="unlabelled").status_code == 403
