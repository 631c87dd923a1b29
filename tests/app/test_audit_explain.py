"""What was decided is decided again, years later, the same: by what the record holds and the register as it was."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import shapely
from click.testing import CliRunner

from agreements.model import Mark, Operation, ScaleWindow, Term
from agreements.quota import Limit, Measure, Quota, Window
from geoserver_app.audit.sealing import RecordAltered, RecordNotFound
from geoserver_app.cli import main
from geoserver_app.clock import now
from geoserver_app.decision_log import read_segment
from geoserver_app.explaining import explain, explain_record

TILE = "/tiles/{layer}/WebMercatorQuad/14/13596/6654.png"
MAP = (
    "/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&LAYERS={layer}&STYLES=&CRS=EPSG:4549&BBOX=3540000,380000,3541000,381000&WIDTH=64&HEIGHT=64"
    "&FORMAT=image/png"
)
INFO = (
    "/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetFeatureInfo&LAYERS=dom,dem&QUERY_LAYERS=dem&STYLES=,&CRS=EPSG:4549&BBOX=3540000,380000,3541000,381000"
    "&WIDTH=64&HEIGHT=64&FORMAT=image/png&I=1&J=1&INFO_FORMAT=application/json"
)
AREA = shapely.box(118.0, 31.0, 119.0, 32.02)


@pytest.fixture(scope="module")
def county(lasting_house):
    house, rng = lasting_house, np.random.default_rng(1)
    house.raster("dom", rng.integers(0, 255, (3, 400, 400), dtype=np.uint8), 379_000, 3_542_000, 10.0)
    heights = np.linspace(5, 60, 400 * 400, dtype="float32").reshape(1, 400, 400)
    house.raster("dem", heights, 379_000, 3_542_000, 10.0, product="DEM", nodata=-9999.0)
    return house


def events(house) -> list[dict]:
    return [event for path in sorted(house.services.settings.decisions.rglob("*.jsonl")) for event in read_segment(path)]


def asked(house, path: str, agency: str) -> list[dict]:
    """The records that a request leaves."""
    known = {event["id"] for event in events(house)}
    house.get(path, agency)
    return [event for event in events(house) if event["id"] not in known]


def explained(house, record: dict):
    services = house.services
    return explain_record(services.settings.decisions, services.register, record["id"])


def assert_explained(house, record: dict, effect: str, code: str) -> None:
    told = explained(house, record)
    assert told.agrees, told.as_text()
    assert told.effect.value == effect
    assert code in {reason.code for layer in told.layers for reason in layer.decision.reasons}
    recorded = [one["reasons"] for one in record.get("layers", [record])]
    again = [[[r.agreement_id, r.version, r.clause, r.code] for r in layer.decision.reasons] for layer in told.layers]
    assert again == recorded


def test_maps_and_tiles_by_flask_and_by_the_lane_are_explained_as_they_were_decided(county):
    county.agency("water")
    county.grant("water", "dom", area=AREA)
    records = [*asked(county, MAP.format(layer="dom"), "water"), *asked(county, TILE.format(layer="dom"), "water"), *asked(county, TILE.format(layer="dom"), "water")]
    assert ["tile" in record for record in records] == [False, True, True]
    for record in records:
        assert_explained(county, record, "clip", "granted")


def test_every_layer_of_a_request_is_explained(county):
    county.agency("air")
    county.grant("air", "dom", area=AREA)
    county.grant("air", "dem", operations=(Operation.GET_FEATURE_INFO,), attributes=None)
    (record,) = asked(county, INFO, "air")
    told = explained(county, record)
    assert told.agrees and [layer.layer for layer in told.layers] == ["dom@2011", "dem@2011"]
    assert {layer["operation"] for layer in record["layers"]} == {"GetMap", "GetFeatureInfo"}


def test_what_has_been_taken_back_since_is_explained_as_it_was(county):
    county.agency("land")
    agreement = county.grant("land", "dom")
    register = county.services.register
    (before,) = asked(county, TILE.format(layer="dom"), "land")
    register.suspend(agreement.agreement_id, reason="checked")
    county.look_again()
    (during,) = asked(county, TILE.format(layer="dom"), "land")
    register.resume(agreement.agreement_id)
    register.register(replace(agreement, version=2, grants=(county.clause("dom", scale=ScaleWindow(coarsest=5000)),)), "second")
    county.look_again()
    (after,) = asked(county, TILE.format(layer="dom"), "land")
    assert_explained(county, before, "permit", "granted")
    assert_explained(county, during, "deny", "suspended")
    assert_explained(county, after, "deny", "outside-scale")
    assert [reason[1] for reason in before["reasons"]] == [1] and [reason[1] for reason in after["reasons"]] == [2]


def test_a_worker_that_had_not_yet_seen_a_change_is_explained_by_what_it_had_seen(county):
    county.agency("late")
    agreement = county.grant("late", "dom")
    county.services.gate.standing()
    county.services.register.suspend(agreement.agreement_id, reason="at once")
    (record,) = asked(county, TILE.format(layer="dom"), "late")
    assert record["effect"] == "permit"
    assert_explained(county, record, "permit", "granted")


def test_to_the_millisecond_of_a_term(county):
    end = now() + timedelta(hours=1)
    county.agency("brief")
    county.grant("brief", "dom", term=Term(end=end))
    gate = county.services.gate
    for offset, effect, code in ((-1, "permit", "granted"), (0, "deny", "not-in-force"), (1, "deny", "not-in-force")):
        was = gate.clock
        gate.clock = lambda offset=offset: end + timedelta(milliseconds=offset)
        try:
            (record,) = asked(county, TILE.format(layer="dom"), "brief")
        finally:
            gate.clock = was
        assert_explained(county, record, effect, code)


@pytest.mark.parametrize("terms, code", [
    ({"purposes": frozenset({"flood-control"})}, "purpose-not-granted"), ({"apps": frozenset({"office"})}, "app-not-granted"),
    ({"networks": frozenset({"10.0.0.0/8"})}, "network-not-granted"), ({"networks": frozenset({"127.0.0.0/8"})}, "granted"),
    ({"ceiling": 0}, "above-ceiling"), ({"formats": frozenset({"image/jpeg"})}, "format-not-granted"), ({"crs": frozenset({"EPSG:4490"})}, "crs-not-granted"),
    ({"editions": frozenset({"latest"})}, "granted"), ({"operations": (Operation.GET_MAP,)}, "operation-not-granted"),
])
def test_everything_that_a_decision_depends_on_stands_in_the_record(county, terms, code):
    agency = "a-" + "-".join(terms) + "-" + code[:8]
    county.agency(agency)
    county.grant(agency, "dom", **terms)
    (record,) = asked(county, TILE.format(layer="dom"), agency)
    assert_explained(county, record, "permit" if code == "granted" else "deny", code)


def test_a_grant_by_product_and_a_mark_are_explained(county):
    county.agency("forest")
    county.agree("forest", county.clause(products=frozenset({"DEM"})), mark=Mark(text="forest"))
    (record,) = asked(county, MAP.format(layer="dem"), "forest")
    assert_explained(county, record, "permit", "granted")


def test_a_quota_that_was_spent_is_explained_from_the_record(county):
    county.agency("thirsty")
    limit = Limit(measure=Measure.REQUESTS, window=Window.DAY, most=1)
    county.agree("thirsty", county.clause("dom"), quota=Quota(limits=(limit,)))
    assert county.get(MAP.format(layer="dom"), "thirsty").status_code == 200
    (record,) = asked(county, MAP.format(layer="dom"), "thirsty")
    assert record["layers"][0]["exhausted"]
    assert_explained(county, record, "deny", "over-quota")
    first, second = (asked(county, TILE.format(layer="dom"), "thirsty") for _ in range(2))
    for record in (*first, *second):
        assert_explained(county, record, "deny", "over-quota")


def test_a_layer_that_did_not_exist_is_explained_as_one_that_is_not_shared(county):
    county.agency("curious")
    (absent,) = asked(county, MAP.format(layer="absent"), "curious")
    (unshared,) = asked(county, MAP.format(layer="dom"), "curious")
    for record in (absent, unshared):
        assert_explained(county, record, "deny", "no-agreement")


def test_records_of_no_layer_are_told_as_they_are(county):
    (listed,) = asked(county, "/api/v1/layers", "water")
    (unknown,) = asked(county, "/api/v1/layers", None)
    for record in (listed, unknown):
        told = explained(county, record)
        assert told.agrees and told.layers == () and told.effect is None and "nothing was decided" in told.as_text()


def test_where_the_register_says_otherwise_now_that_is_said(county, monkeypatch):
    county.agency("doubt")
    agreement = county.grant("doubt", "dom")
    (record,) = asked(county, TILE.format(layer="dom"), "doubt")
    snapshot = county.services.register.as_of(epoch=record["epoch"])
    other = replace(snapshot, agreements={"doubt": (replace(agreement, version=3, grants=(county.clause("dem"),)),)})
    monkeypatch.setattr(county.services.register, "as_of", lambda moment=None, *, epoch=None: other)
    told = explained(county, record)
    assert not told.agrees and "permit was recorded, and it is deny" in told.as_text()
    assert told.as_json()["layers"][0]["differences"]


def test_a_record_that_was_altered_is_not_explained(county, tmp_path):
    county.agency("honest")
    county.grant("honest", "dom")
    (record,) = asked(county, TILE.format(layer="dom"), "honest")
    folder = county.services.settings.decisions
    path = next(path for path in folder.rglob("*.jsonl") if record["id"].startswith(path.stem))
    copy = tmp_path / path.relative_to(folder)
    copy.parent.mkdir(parents=True)
    copy.write_bytes(path.read_bytes().replace(b'"agency":"honest"', b'"agency":"others"'))
    with pytest.raises(RecordAltered, match="is not what was written"):
        explain_record(tmp_path, county.services.register, record["id"])
    with pytest.raises(RecordNotFound):
        explain_record(tmp_path, county.services.register, record["id"] + "9")


# -- now

def test_explain_takes_the_decision_of_the_gate(county):
    county.agency("post")
    county.grant("post", "dom", purposes=frozenset({"mail"}), apps=frozenset({"van"}), networks=frozenset({"10.0.0.0/8"}))
    services = county.services

    def told(**question):
        return explain(services.catalogue, services.register, agency="post", layer="dom", operation=Operation.GET_MAP, **question)

    right = {"purpose": "mail", "app": "van", "address": "10.1.2.3"}
    assert told(**right).effect.value == "permit"
    for name, code in {"purpose": "purpose-not-granted", "app": "app-not-granted", "address": "network-not-granted"}.items():
        answer = told(**right | {name: ""})
        assert [reason.code for reason in answer.decision.reasons] == [code]
    request = told(**right).request
    assert (request.product, request.classification, request.is_latest, request.style) == ("DOM", 1, True, "default")


def test_of_the_past_explain_asks_the_register_as_it_was(county):
    county.agency("soon")
    before = now()
    county.grant("soon", "dom")
    services = county.services

    def codes(at):
        told = explain(services.catalogue, services.register, agency="soon", layer="dom", operation=Operation.GET_MAP, at=at)
        return [reason.code for reason in told.decision.reasons]

    assert codes(before) == ["no-agreement"] and codes(None) == ["granted"] == codes(now() + timedelta(days=1))


def test_the_command_explains_records(county):
    environment = {"GEOSHARE_DATA": str(county.services.settings.data)}

    def types(*words):
        return CliRunner().invoke(main, ["explain", *words], env=environment)

    county.agency("shell")
    county.grant("shell", "dom")
    (good,) = asked(county, TILE.format(layer="dom"), "shell")
    (bad,) = asked(county, TILE.format(layer="absent"), "shell")
    assert (result := types("--record", good["id"])).exit_code == 0 and "PERMIT" in result.output and "as recorded" in result.output
    assert "授予" in types("--record", good["id"], "--language", "zh").output
    assert types("--record", bad["id"]).exit_code == 2
    assert json.loads(types("--record", good["id"], "--json").stdout)["agrees"] is True
    assert types("--record", "nonsense").exit_code == 3 and types().exit_code == 3
    assert types("--agency", "shell", "--layer", "dom", "--purpose", "x", "--app", "y", "--address", "10.0.0.1").exit_code == 0
