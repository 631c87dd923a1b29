"""What an agency keeps here is its own: seen by nobody, the bureau included, unless an agreement that it grants says so, and gone when it withdraws it."""

import itertools
import json
import re
import time

import numpy as np
import pytest
import shapely
from api_office import Office
from overlaying import edition_of, geojson, headers, published, put_symbols

from agreements.model import BUREAU, Operation
from geoserver_app.overlays.reading import read_table, read_vectors

WMS = "/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST="
VIEW = "CRS=CRS:84&BBOX=118.70,32.00,118.80,32.10&WIDTH=128&HEIGHT=128"
LAYER = "water-stations"
HIDDEN = "SECRET"
RULES = {"tables": {"stations": {
    "symbol": {"size": 14},
    "classes": {"by": HIDDEN, "kind": "value", "entries": [{"value": "red", "symbol": {"colour": "#E03131"}}, {"value": "blue", "symbol": {"colour": "#1971C2"}}]},
    "label": {"field": "STNM", "to_scale": 10_000_000},
}}}


def ways(layer: str) -> dict[str, str]:
    """Every way in which something of an overlay leaves the service."""
    return {
        "map": f"{WMS}GetMap&LAYERS={layer}&STYLES=&{VIEW}&FORMAT=image/png",
        "map without names": f"{WMS}GetMap&LAYERS={layer}&STYLES=unlabelled&{VIEW}&FORMAT=image/png",
        "map with others": f"{WMS}GetMap&LAYERS=dom,{layer}&STYLES=,&{VIEW}&FORMAT=image/png",
        "info": f"{WMS}GetFeatureInfo&LAYERS={layer}&QUERY_LAYERS={layer}&STYLES=&{VIEW}&FORMAT=image/png&I=25&J=102&INFO_FORMAT=application/json",
        "legend": f"{WMS}GetLegendGraphic&LAYER={layer}&FORMAT=image/png&SLD_VERSION=1.1.0",
        "tile": f"/tiles/{layer}/WebMercatorQuad/10/849/415.png",
        "vector tile": f"/tiles/{layer}/WebMercatorQuad/10/849/415.mvt",
        "TileJSON": f"/tiles/{layer}.json",
        "style": f"/styles/{layer}.json",
        "features": f"/features/collections/{layer}.stations/items",
        "collection": f"/features/collections/{layer}.stations",
        "queryables": f"/features/collections/{layer}.stations/queryables",
        "download": f"/download/{layer}.zip?CRS=CRS:84&BBOX=118.7,32.0,118.8,32.1&RESOLUTION=0.001",
    }


DESCRIPTIONS = (f"{WMS}GetCapabilities", "/wmts?SERVICE=WMTS&REQUEST=GetCapabilities", "/api/v1/layers", "/wfs?SERVICE=WFS&REQUEST=GetCapabilities")


@pytest.fixture(scope="module")
def office(lasting_house, module_patch):
    """`water` has an overlay; `police` is granted some of it, `nobody` nothing."""
    office = Office(lasting_house)
    house = office.house
    house.agency("nobody")
    house.raster("dom", np.full((3, 64, 64), 90, dtype=np.uint8), 379_000, 3_553_000, 200.0)
    for agency in ("water", "police", BUREAU, "nobody"):
        house.grant(agency, "dom")
    published(house, "water", edition="1")
    return office


@pytest.fixture(scope="module")
def module_patch():
    """Uploads are opened in this process: what the other program has part in, its own tests hold."""

    def read(source, folder, kind, caps, *, crs=None, encoding=None, is_wanted=None):
        job = {"crs": crs, "encoding": encoding, **{name: getattr(caps, name) for name in caps.__slots__}}
        return {"table": read_table(source, job)} if kind == "table" else read_vectors(source, folder, job)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("geoserver_app.overlays.uploads.opened", read)
        yield


@pytest.fixture
def house(office):
    return office.house


def shared(house, agency: str, grantor: str = "water", **terms):
    return house.grant(agency, LAYER, grantor=grantor, **terms)


_newcomers = itertools.count(1)


def newcomer(house) -> str:
    """An agency with the base map and nothing else."""
    name = f"newcomer-{next(_newcomers)}"
    house.agency(name)
    house.grant(name, "dom")
    return name


def knock(house, name: str, agency: str | None, layer: str = LAYER):
    return house.get(ways(layer)[name], agency)


# Private by default

@pytest.mark.parametrize("agency", (BUREAU, "police", "nobody"))
@pytest.mark.parametrize("name", ways(LAYER))
def test_nobody_but_the_owner_sees_any_of_it_by_any_way_the_bureau_included(house, name, agency):
    own, other, unknown = knock(house, name, "water"), knock(house, name, agency), knock(house, name, agency, "water-absent")
    assert own.status_code == 200, (name, own.text[:300])
    assert other.status_code in (403, 404) and other.status_code == unknown.status_code
    steady = [json.dumps({key: value for key, value in json.loads(one.data).items() if key != "instance"}) if one.is_json else one.text for one in (other, unknown)]
    assert steady[0].replace(LAYER, "water-absent") == steady[1]


@pytest.mark.parametrize("path", DESCRIPTIONS)
@pytest.mark.parametrize("agency", (BUREAU, "police", "nobody"))
def test_no_document_tells_others_that_it_is_there(house, path, agency):
    assert LAYER in house.get(path, "water").text
    answer = house.get(path, agency)
    assert answer.status_code in (200, 403) and LAYER not in answer.text and "STNM" not in answer.text


@pytest.mark.parametrize("login", ("administrator", "approver", "auditor", "data_manager"))
def test_the_bureaus_own_people_see_neither_its_facts_nor_its_pixels(office, login):
    visitor = office.visitor(login)
    assert LAYER not in visitor.ask("GET /data/layers").text and LAYER not in visitor.ask("GET /data/jobs").text
    for path in (f"/data/layers/{LAYER}", f"/data/layers/{LAYER}/editions/1", f"/data/layers/{LAYER}/editions/1/sheets"):
        theirs, absent = visitor.ask(f"GET {path}"), visitor.ask(f"GET {path.replace(LAYER, 'water-absent')}")
        assert (theirs.status_code, absent.status_code) == (404, 404)
    jobs = [one for one in office.house.services.catalogue.jobs() if one.layer == LAYER]
    assert jobs
    for job in jobs:
        for path in (f"/data/jobs/{job.job_id}", f"/data/jobs/{job.job_id}/report?form=json"):
            assert visitor.ask(f"GET {path}").status_code == 404
    for path in ("/console/data", f"/console/data/{LAYER}", "/console/jobs"):
        page = visitor.client.get(path)
        assert page.status_code == 404 or LAYER not in page.text
    assert visitor.ask("GET /overlays").status_code == 403


def test_other_members_get_of_it_what_they_get_of_one_that_is_none(office):
    for path in ("layers/{}", "layers/{}/editions/1/picture", "layers/{}/editions/1/classes"):
        method = "GET" if path == "layers/{}" else "POST"
        body = {} if method == "GET" else {"json": {"table": "stations", "field": "LEVEL"} if "classes" in path else {}}
        theirs, absent = (office.visitor("stranger").ask(f"{method} /overlays/{path.format(name)}", **body) for name in (LAYER, "water-absent"))
        assert theirs.status_code == absent.status_code == 404
    assert office.visitor("stranger").ask("GET /overlays").json == {"items": []}
    refused = office.visitor("stranger").ask(f"DELETE /overlays/layers/{LAYER}/editions/1")
    assert refused.status_code == 404 and knock(office.house, "map", "water").status_code == 200


# Shared by its owner

def test_only_an_agreement_that_the_owner_grants_shares_it(house):
    fire = newcomer(house)
    shared(house, fire, grantor=BUREAU)
    assert knock(house, "map", fire).status_code == 403
    agreement = shared(house, fire)
    for name in ("map", "info", "legend", "tile", "TileJSON", "features", "vector tile"):
        assert knock(house, name, fire).status_code == 200, name
    assert knock(house, "map", "nobody").status_code == 403 and knock(house, "map", BUREAU).status_code == 403
    house.services.register.suspend(agreement.agreement_id, "over")
    house.look_again()
    assert knock(house, "map", fire).status_code == 403


def test_the_bureau_sees_it_where_the_owner_shares_it_with_the_bureau(office):
    """In a layer of its own, so that what others test of the bureau holds."""
    house = office.house
    published(house, "water", geojson(), name="given", edition="1")
    view = ways("water-given")["map"]
    assert house.get(view, BUREAU).status_code == 403
    house.grant(BUREAU, "water-given", grantor="water")
    assert house.get(view, BUREAU).status_code == 200


def test_a_grant_of_all_that_the_bureau_has_is_none_of_it(house):
    house.agree("nobody", house.clause("dom", products=frozenset({"OVERLAY", "DLG", "DOM"})))
    assert knock(house, "map", "nobody").status_code == 403


def test_it_is_shared_where_and_with_the_rows_that_are_granted(house):
    west = shapely.box(118.70, 32.00, 118.73, 32.10)
    for terms, expected in (({"area": west}, "甲站"), ({"rows": "SECRET = 'blue'"}, "乙站")):
        fire = newcomer(house)
        shared(house, fire, attributes=None, **terms)
        told = knock(house, "features", fire).json["features"]
        assert [one["properties"]["STNM"] for one in told] == [expected], told


# Rules of drawing

@pytest.fixture
def ruled(house):
    assert put_symbols(house, "water", LAYER, "1", RULES).status_code == 200
    yield house
    assert put_symbols(house, "water", LAYER, "1", None).status_code == 200


def test_a_style_that_classes_by_a_hidden_attribute_tells_it_to_nobody_who_may_not_have_it(ruled):
    fire = newcomer(ruled)
    shared(ruled, fire, attributes=frozenset({"STNM", "LEVEL"}))
    for name in ("map", "map without names", "map with others", "legend", "tile", "download"):
        answer = knock(ruled, name, fire)
        assert answer.status_code == 403 and not answer.data.startswith(b"\x89PNG"), (name, answer.status_code)
        assert HIDDEN not in answer.text and "red" not in re.findall(r"[a-z]+", answer.text.lower()), answer.text
    for name in ("style", "features", "TileJSON", "queryables", "collection"):
        text = knock(ruled, name, fire).text
        assert HIDDEN not in text and "#E03131" not in text, name
    capabilities = ruled.get(DESCRIPTIONS[0], fire).text.partition(f"<Name>{LAYER}</Name>")[2].partition("</Layer>")[0]
    assert "<Style>" not in capabilities and HIDDEN not in capabilities


def test_labels_are_names_too_and_the_style_without_them_needs_less(ruled):
    fire = newcomer(ruled)
    shared(ruled, fire, attributes=frozenset({HIDDEN}))
    assert knock(ruled, "map without names", fire).status_code == 200 and knock(ruled, "legend", fire).status_code == 200
    labelled = ruled.get(ways(LAYER)["map"].replace("STYLES=&", "STYLES=default&"), fire)
    assert labelled.data == knock(ruled, "map without names", fire).data
    assert knock(ruled, "map", fire).data == knock(ruled, "map without names", fire).data      # what no style is named for is drawn in one that may be had


def test_a_change_of_rules_is_seen_at_once_and_no_old_tile_is_served(house):
    before = knock(house, "tile", "water").data
    assert put_symbols(house, "water", LAYER, "1", RULES).status_code == 200
    after = knock(house, "tile", "water").data
    assert after != before
    assert put_symbols(house, "water", LAYER, "1", None).status_code == 200
    assert knock(house, "tile", "water").data == before


def test_rules_are_told_with_the_place_of_every_fault_and_changed_by_one_at_a_time(house):
    answer = put_symbols(house, "water", LAYER, "1", {"tables": {"stations": {"symbol": {"icon": "/etc/passwd"}}, "absent": {}}})
    assert answer.status_code == 422 and answer.json["errors"][0]["pointer"] == "#/symbols/tables/stations/symbol/icon"
    generation = edition_of(house, "water", LAYER, "1")["generation"]
    path = f"/api/v1/overlays/layers/{LAYER}/editions/1/symbols"
    late = house.client().put(path, json={"generation": generation - 1, "symbols": RULES}, headers=headers(house, "water"))
    assert late.status_code == 409


def test_the_owner_looks_at_rules_that_are_not_kept(house):
    path, body = f"/api/v1/overlays/layers/{LAYER}/editions/1", {"symbols": RULES, "width": 200, "height": 150}
    drawn = [house.client().post(f"{path}/{what}", json=body, headers=headers(house, "water")) for what in ("picture", "legend")]
    assert all(one.status_code == 200 and one.data.startswith(b"\x89PNG") for one in drawn)
    assert edition_of(house, "water", LAYER, "1")["symbols"] == {"tables": {}}
    proposed = house.client().post(f"{path}/classes", json={"table": "stations", "field": "LEVEL", "classes": 2}, headers=headers(house, "water")).json
    assert proposed["symbols"]["tables"]["stations"]["classes"]["by"] == "LEVEL"


# Withdrawn

def test_what_its_owner_withdraws_is_gone_everywhere_within_five_seconds(house):
    published(house, "water", geojson(), name="passing", edition="1")
    layer = "water-passing"
    house.grant("police", layer, grantor="water")
    way = {name: path for name, path in ways(layer).items() if "stations" in path or name in ("map", "tile", "legend", "info", "vector tile")}
    for agency in ("police", "water"):
        assert all(house.get(path, agency).status_code == 200 for path in way.values())
    assert house.client().delete(f"/api/v1/overlays/layers/{layer}/editions/1", headers=headers(house, "water")).status_code == 204
    until = time.monotonic() + 5
    left = dict(way)
    while left and time.monotonic() < until:
        left = {name: path for name, path in left.items() for agency in ("police", "water") if house.get(path, agency).status_code == 200}
    assert not left
    assert not list((house.services.settings.store).glob(f"{layer}/*/*.gpkg"))
    assert layer not in house.get("/api/v1/layers", "police").text


def test_an_agreement_that_names_nothing_of_what_is_left_shows_nothing(house):
    assert house.get(f"{WMS}GetMap&LAYERS={LAYER}@2&STYLES=&{VIEW}&FORMAT=image/png", "water").status_code == 403


def test_operations_are_granted_one_by_one(house):
    fire = newcomer(house)
    shared(house, fire, operations={Operation.GET_MAP})
    others = ("info", "tile", "features", "download", "vector tile")
    assert knock(house, "map", fire).status_code == 200
    assert {name: knock(house, name, fire).status_code for name in others} == dict.fromkeys(others, 403)
