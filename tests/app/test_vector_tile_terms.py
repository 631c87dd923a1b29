"""Terms of agreements over vector tiles: what counts on quotas, when grants end, classified layers, new data, and an overlay's own rules."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import geopandas
import numpy as np
import pytest
import shapely
from houses import build_house
from ows_county import CRS, MIDDLE, WEST_HALF
from read_tiles import read_tile
from test_vector_tiles import TMS, VECTORS, ask, deliver, everywhere, on_the_ground, place, tile_at, world

from agreements.model import Operation, Term
from agreements.quota import Limit, Measure, Quota, Window
from geoserver_app.clock import SHANGHAI
from geoserver_app.decision_log import read_segment
from layers.model import Source
from tiles.vector.encoder import count_features
from tiles.vector.grid import TileGrid
from tiles.vector.shelf import Shown


@pytest.fixture(scope="module")
def county(lasting_house):
    house = lasting_house
    deliver(house, "lines", world())
    deliver(house, "guarded", world(), classification="secret")
    for agency in ("all", "guarded", "owner", "guest", "stranger"):
        house.agency(agency)
    house.grant("all", "lines", operations=VECTORS, attributes=None)
    house.grant("guarded", "guarded", area=WEST_HALF, operations=VECTORS, attributes=None)
    return house


def limits(**most: float) -> Quota:
    return Quota(limits=tuple(
        Limit(measure=Measure(name.split("_")[0]), window=Window(name.split("_")[1]), most=value) for name, value in most.items()
    ))


def party(house, name: str, quota: Quota, **terms):
    house.agency(name)
    return house.agree(name, house.clause("lines", operations=VECTORS, attributes=None, **terms), quota=quota)


def used(house, agreement) -> dict[str, float]:
    return {one.name: one.used for one in house.services.meter.usage(agreement, house.services.gate.clock())}


def records(house) -> list[dict]:
    return [event for path in sorted(house.services.settings.decisions.rglob("*.jsonl")) for event in read_segment(path)]


@pytest.mark.parametrize("area", [None, WEST_HALF], ids=["inside", "cut"])
def test_a_tile_counts_with_its_features_and_the_bytes_that_leave(county, area):
    name = f"counted-{'cut' if area else 'whole'}"
    agreement = party(county, name, limits(requests_day=100, features_day=1000, bytes_day=1e9), area=area)
    at = tile_at(14)
    plain, deflated = ask(county, name, 14, *at), ask(county, name, 14, *at, **{"Accept-Encoding": "gzip"})
    count = count_features(plain.data)
    assert count > 1 and deflated.headers["Content-Encoding"] == "gzip"
    assert used(county, agreement) == {"requests-day": 2, "features-day": 2 * count, "bytes-day": len(plain.data) + len(deflated.data)}
    event = records(county)[-1]
    assert event["charged"] == {agreement.agreement_id: {"requests": 1, "features": count, "bytes": len(deflated.data)}}
    assert event["layers" if "layers" in event else "operation"] and event["tile"] == [14, *at]


def test_an_empty_tile_counts_nowhere(county):
    agreement = party(county, "empty", limits(requests_day=100, features_day=1000), area=WEST_HALF)
    assert ask(county, "empty", 17, *tile_at(17, 990, 500)).status_code == 204
    assert used(county, agreement) == {"requests-day": 0, "features-day": 0}


def test_a_tile_is_refused_when_the_features_of_a_quota_are_used_up(county):
    party(county, "spent", limits(features_day=8))
    answers = [ask(county, "spent", 13, *tile_at(13)) for _ in range(4)]
    assert answers[0].status_code == 200 and answers[-1].status_code == 429
    assert "Retry-After" in answers[-1].headers


def test_a_grant_that_has_ended_shows_nothing_more_from_any_cache(county):
    end = datetime(2031, 1, 1, tzinfo=SHANGHAI)
    county.agency("ending")
    county.agree("ending", county.clause("lines", operations=VECTORS, attributes=None), term=Term(start=datetime(2020, 1, 1, tzinfo=SHANGHAI), end=end))
    gate, kept, tag = county.services.gate, county.services.gate.clock, ""
    try:
        gate.clock = lambda: end - timedelta(milliseconds=1)
        before = ask(county, "ending", 14, *tile_at(14))
        tag = before.headers["ETag"]
        gate.clock = lambda: end
        after = ask(county, "ending", 14, *tile_at(14), **{"If-None-Match": tag})
        documents = [county.get(path, "ending").status_code for path in ("/tiles/lines/vector.json", "/styles/lines.json")]
    finally:
        gate.clock = kept
    assert (before.status_code, after.status_code, documents) == (200, 403, [403, 403])


def test_a_classified_layer_is_cut_at_its_border_like_any_other(county):
    for layer in ("LRDL", "HYDA"):
        found = on_the_ground_of(county, "guarded", layer)
        assert found and max(points[:, 0].max() for points in found) <= 500 + 0.6


def on_the_ground_of(house, agency: str, layer: str) -> list[np.ndarray]:
    return on_the_ground(house, agency, layer, 14, name="guarded")


def test_new_data_are_in_the_tiles_at_once_and_old_tiles_are_gone(county):
    at = tile_at(14, 700, 400)
    before = ask(county, "all", 14, *at)
    assert ask(county, "all", 14, *at).headers["ETag"] == before.headers["ETag"]
    added = geopandas.GeoDataFrame({"NAME": ["新村"], "CLASS": ["AE"]}, geometry=[shapely.Point(place(700, 400))], crs=CRS)
    deliver(county, "lines", {"AGNP": added}, file="more")
    after = ask(county, "all", 14, *at)
    assert after.headers["ETag"] != before.headers["ETag"]
    assert "新村" in {one.properties.get("NAME") for one in read_tile(after.data)["AGNP"]}


def test_what_is_live_is_never_kept(county):
    shelf = county.services.tiles.shelf
    edition = replace(county.services.catalogue.snapshot().layers["lines"].editions[0], source=Source.LIVE)
    shown = Shown(None, tuple(sorted((table.name, table.fields[:1]) for table in edition.classes if table.name != "CPTP")))
    grid = TileGrid(TMS, 14, *tile_at(14))
    assert shelf.inflated(shelf.tile(edition, shown, grid)) and shelf.stored(edition, shown, grid) is None
    assert not list(county.services.settings.cache.glob(f"*/{shown.folder}"))


RULES = {"tables": {"AGNP": {"classes": {"by": "CLASS", "kind": "value", "entries": [{"value": "AE", "symbol": {"colour": "#ABCDEF"}}]}}}}


@pytest.fixture(scope="module")
def overlay(county):
    path = county.folder / "delivered" / "villages.gpkg"
    world()["AGNP"].to_file(path, layer="AGNP", driver="GPKG")
    county.layer("villages", path, product="OVERLAY", owner="owner")
    catalogue = county.services.catalogue
    layer = catalogue.snapshot().layers["villages"]
    edition = layer.editions[0]
    catalogue.publish(layer, replace(edition, symbols=json.dumps(RULES), generation=edition.generation + 1), catalogue.sheets(edition.edition_id))
    county.agree("guest", county.clause("villages", operations=VECTORS, attributes=frozenset({"NAME"})), grantor="owner")
    county.look_again()
    return county


def test_an_owner_has_the_tiles_and_the_style_of_its_overlay_and_nobody_else(overlay):
    assert {one.properties["NAME"] for one in everywhere(overlay, "owner", 14, name="villages")["AGNP"]} == {"西村", "东村", "界村"}
    assert "#ABCDEF" in overlay.get("/styles/villages.json", "owner").text
    for path in ("/tiles/villages/vector.json", "/styles/villages.json"):
        assert overlay.get(path, "stranger").status_code == 403
    assert ask(overlay, "stranger", 14, *tile_at(14), layer="villages").status_code == 403


def test_who_may_not_have_the_attribute_of_a_rule_is_not_told_the_rule(overlay):
    text = overlay.get("/styles/villages.json", "guest").text
    assert "#ABCDEF" not in text and "CLASS" not in text and "AE" not in text
    assert {tuple(one.properties) for one in everywhere(overlay, "guest", 14, name="villages")["AGNP"]} == {("NAME",)}


def test_the_border_is_the_same_as_that_of_pictures(county):
    """Vectors and pixels end within half a pixel of each other."""
    house = county
    house.agency("both")
    house.grant("both", "lines", area=WEST_HALF, operations=VECTORS | {Operation.GET_MAP, Operation.GET_TILE}, attributes=None)
    ends = max(points[:, 0].max() for points in on_the_ground(house, "both", "LRDL", 16))
    assert ends == pytest.approx(MIDDLE - place(0, 0)[0], abs=0.2)


# Another house, in which whatever is not granted is another

@pytest.fixture(scope="module")
def other_house(county, tmp_path_factory):
    """Same names, same secret; beyond the border, and in the attribute that is hidden, nothing is the same."""
    folder = tmp_path_factory.mktemp("other-house")
    (folder / "var").mkdir()
    secret = county.services.settings.data / "instance-secret"
    (folder / "var" / secret.name).write_bytes(secret.read_bytes())
    (folder / "var" / secret.name).chmod(0o600)
    house = build_house(folder)
    tables = world()
    east = shapely.box(MIDDLE + 5, 0, MIDDLE + 1e6, 1e8)
    for name, frame in tables.items():
        shapes = [shape.difference(east) if shape.intersects(east) and not shape.within(east) else shape for shape in frame.geometry]
        frame["geometry"] = [shapely.affinity.translate(shape, 40, -30) if shape.within(east) else shape for shape in shapes]
        if "SECRET" in frame:
            frame["SECRET"] = [f"other-{number}" for number in range(len(frame))]
        tables[name] = geopandas.GeoDataFrame(frame, geometry="geometry", crs=CRS)
    deliver(house, "lines", tables)
    return house


@pytest.fixture(scope="module")
def first_house(tmp_path_factory, county):
    """The first again, without what its tests have added."""
    folder = tmp_path_factory.mktemp("first-house")
    (folder / "var").mkdir()
    secret = county.services.settings.data / "instance-secret"
    (folder / "var" / secret.name).write_bytes(secret.read_bytes())
    (folder / "var" / secret.name).chmod(0o600)
    house = build_house(folder)
    deliver(house, "lines", world())
    return house


def test_no_answer_says_anything_of_what_is_not_granted(first_house, other_house):
    rng, houses = np.random.default_rng(12), (first_house, other_house)
    for house in houses:
        house.agency("reader")
        house.grant("reader", "lines", area=WEST_HALF, operations=VECTORS, attributes=frozenset({"NAME", "LRDL.GB"}))
    paths = ["/tiles/lines/vector.json", "/tiles/lines/tdt_c/vector.json", "/styles/lines.json", "/styles/lines.json?style=unlabelled"]
    for _ in range(250):
        z, x = int(rng.integers(6, 20)), rng.uniform(0, 1000) if rng.random() < 0.4 else 500 + rng.normal(0, 40)
        row, col = tile_at(z, x, rng.uniform(0, 1000))
        paths.append(f"/tiles/lines/WebMercatorQuad/{z}/{col}/{row}.mvt")
    full = 0
    for path in paths:
        one, other = (house.get(path, "reader", **{"Accept-Encoding": "gzip"}) for house in houses)
        assert (one.status_code, one.data, dict(one.headers)) == (other.status_code, other.data, dict(other.headers)), path
        full += one.status_code == 200
    assert full > 80
