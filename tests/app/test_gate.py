"""The gate: what a change of the register does, how soon, and what happens when nothing can be trusted."""

import time
from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy

from agreements.model import GRANTABLE, Operation, ScaleWindow, Term
from geoserver_app.clock import now
from geoserver_app.gate import Asked, NotTrusted, Refused
from geoserver_app.identity import Carriage, Presented
from layers.model import LayerName

TILE = "/tiles/dom/WebMercatorQuad/14/13600/6643.png"


@pytest.fixture(scope="module")
def county(lasting_house):
    rng = np.random.default_rng(1)
    lasting_house.raster("dom", rng.integers(0, 255, (3, 300, 300), dtype=np.uint8), 379_000, 3_560_000, 30.0)
    lasting_house.agency("water")
    return lasting_house


def caller(house, agency):
    return house.services.gate.identify(Presented(secret=house.keys[agency], carriage=Carriage.HEADER))


def asks(house, agency, **terms):
    return house.services.gate.permits(caller(house, agency), [Asked(layer=LayerName("dom"), operation=Operation.GET_MAP, **terms)])


def test_a_registered_agreement_holds_within_the_time_of_one_look(county):
    county.agency("police")
    with pytest.raises(Refused):
        asks(county, "police")
    county.grant("police", "dom", patient=True)
    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline:
        try:
            asks(county, "police")
            break
        except Refused:
            time.sleep(0.05)
    else:
        pytest.fail("two seconds after it was registered the agreement does not hold")


def test_a_suspension_stops_tiles_that_were_already_answered_within_two_seconds(county):
    county.agency("transport")
    agreement = county.grant("transport", "dom")
    first = county.get(TILE, "transport")
    assert first.status_code == 200
    county.services.register.suspend(agreement.agreement_id, reason="leak", layers=None, until=None)
    deadline = time.monotonic() + 2.0
    while (answer := county.get(TILE, "transport", **{"If-None-Match": first.headers["ETag"]})).status_code != 403:
        assert time.monotonic() < deadline, "still answered two seconds after the suspension"
        time.sleep(0.05)
    assert b"leak" in answer.data
    assert county.get(TILE, "transport", **{"If-None-Match": first.headers["ETag"]}).status_code == 403


def test_a_revoked_key_counts_for_nothing_within_two_seconds(county):
    county.agency("land")
    county.grant("land", "dom")
    assert county.get(TILE, "land").status_code == 200
    county.services.register.revoke_key(caller(county, "land").key_id)
    time.sleep(county.services.gate.recheck + 0.05)
    assert county.get(TILE, "land").status_code == 401


@pytest.mark.parametrize("offset,answered", ((timedelta(milliseconds=-1), True), (timedelta(0), False), (timedelta(milliseconds=1), False)))
def test_a_grant_ends_at_its_last_moment_also_for_tiles_remembered(county, offset, answered, monkeypatch):
    agency = f"agency{int(answered)}{abs(offset.microseconds)}"
    county.agency(agency)
    end = now() + timedelta(hours=1)
    county.agree(agency, county.clause("dom", term=Term(end=end)))
    assert county.get(TILE, agency).status_code == 200
    monkeypatch.setattr(county.services.gate, "clock", lambda: end + offset)
    assert (county.get(TILE, agency).status_code == 200) is answered


def test_a_register_that_cannot_be_read_answers_503_and_no_pixels(county, monkeypatch):
    county.agency("forestry")
    county.grant("forestry", "dom")
    assert county.get(TILE, "forestry").status_code == 200

    def broken(*_):
        raise sqlalchemy.exc.OperationalError("SELECT", {}, Exception("disk gone"))

    monkeypatch.setattr("sqlalchemy.engine.Engine.connect", broken)
    county.services.gate._standing.looked -= 10
    answer = county.get(TILE, "forestry")
    assert answer.status_code == 503 and "Retry-After" in answer.headers
    assert not answer.data.startswith((b"\x89PNG", b"\xff\xd8")) and b"disk gone" not in answer.data
    with pytest.raises(NotTrusted):
        county.services.gate.standing()


def test_for_a_moment_the_gate_lives_on_what_it_knows(county, monkeypatch):
    county.services.gate.standing()
    monkeypatch.setattr("sqlalchemy.engine.Engine.connect", lambda *_: (_ for _ in ()).throw(sqlalchemy.exc.OperationalError("", {}, Exception())))
    county.services.gate._standing.looked -= county.services.gate.recheck + 0.1
    assert county.services.gate.standing()


def test_a_decision_record_that_cannot_be_written_means_no_answer(county, monkeypatch, tmp_path):
    county.agency("health")
    county.grant("health", "dom")
    assert county.get(TILE, "health").status_code == 200
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr(county.services.log, "folder", blocked)
    county.services.log.close()                                          # the next write begins a segment
    for path in (TILE, "/api/v1/layers", "/ows?SERVICE=WMS&REQUEST=GetCapabilities"):
        assert county.get(path, "health").status_code == 503


def test_the_default_style_is_the_first_that_is_granted(county):
    heights = np.linspace(0, 300, 90_000, dtype=np.float32).reshape(1, 300, 300)
    county.raster("dem", heights, 379_000, 3_560_000, 30.0, product="DEM", nodata=-9999)
    county.agency("survey")
    county.agree("survey", county.clause("dem", styles=frozenset({"slope"})))
    gate = county.services.gate
    (permit,) = gate.permits(caller(county, "survey"), [Asked(layer=LayerName("dem"), operation=Operation.GET_MAP)])
    assert permit.style == "slope"
    with pytest.raises(Refused):
        gate.permits(caller(county, "survey"), [Asked(layer=LayerName("dem"), operation=Operation.GET_MAP, style="hillshade")])


def test_what_is_described_is_what_the_grants_say_and_nothing_of_a_suspended_one(county):
    county.agency("culture")
    county.agree(
        "culture", county.clause("dom", formats=frozenset({"image/png"}), scale=ScaleWindow(finest=5000), operations={Operation.GET_MAP}),
    )
    wide = county.agree("culture", county.clause("dom", formats=frozenset({"image/jpeg"}), scale=ScaleWindow(finest=1000)))
    (entry,) = county.services.gate.visible(caller(county, "culture"))
    assert entry.formats == {"image/png", "image/jpeg"} and entry.finest == 1000 and entry.operations >= GRANTABLE
    county.services.register.suspend(wide.agreement_id, reason="review", layers=None, until=None)
    county.look_again()
    assert county.services.gate.visible(caller(county, "culture")) == ()


def test_a_bare_name_follows_a_grant_that_begins_later_also_for_tiles_remembered(county, monkeypatch):
    pixels = np.full((3, 300, 300), 90, np.uint8)
    for edition in ("2006", "2011"):
        county.raster("both", pixels, 379_000, 3_560_000, 30.0, edition=edition)
    county.agency("statistics")
    begin = now() + timedelta(hours=1)
    county.agree("statistics", county.clause("both@2006", term=Term(start=begin)))
    tile = TILE.replace("dom", "both")
    assert county.get(tile, "statistics").status_code == 403
    monkeypatch.setattr(county.services.gate, "clock", lambda: begin)
    assert county.get(tile, "statistics").status_code == 200
