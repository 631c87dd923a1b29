"""Routes and gauges that the demo brings: every stake and event leads to its place, as the service reads them."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
import shapely

from geoserver_app.model_county import gauges, plan
from geoserver_app.model_county.routes import BREAKS, EVENTS, STARTS, tables
from layers.crs import transform_geometry
from layers.geodesy import ELLIPSOID
from layers.routes import route_of
from layers.stakes import Post, Stake, reading, written

CRS = "EPSG:4549"


def lonlat(shape):
    return transform_geometry(shape, CRS, "CRS:84").coords[0]


@pytest.fixture(scope="module")
def brought():
    """Roads with the gaps that towns leave, some of them drawn the other way."""
    rng, lines = np.random.default_rng(1), []
    for number, name in enumerate(STARTS):
        x = np.arange(0, 22_000, 150.0)
        y = 6000 + 3000 * number + np.cumsum(rng.uniform(-60, 60, len(x)))
        for at, (first, last) in enumerate(((0, 25), (34, 80), (90, len(x)))):
            part = shapely.LineString(np.column_stack([382_000 + x[first:last], 3_546_000 + y[first:last]]))
            lines.append((part.reverse() if at == 1 else part, {"RN": name}))
    return tables(SimpleNamespace(lines=lambda table: lines if table == "LRDL" else []))


def route(brought, name):
    lines = [shape for shape, told in brought["ROUTE"] if told["ROUTE"] == name]
    posts = [Post(lonlat(shape), *reading(told["STAKE"])) for shape, told in brought["STAKE"] if told["ROUTE"] == name]
    return route_of(name, lines, posts, CRS)


@pytest.mark.parametrize("name", STARTS)
def test_stakes_count_on_through_towns_and_over_broken_chains(brought, name):
    found = route(brought, name)
    assert len(found.runs) == 3 and all(0.99 < reach.scale < 1.01 for run in found.runs for reach in run.reaches)
    broken = [chain for run in found.runs for chain in run.breaks]
    assert sorted(round(chain.ahead - chain.back, 1) for chain in broken) == sorted(jump for _, jump in BREAKS.get(name, ()))
    assert found.runs[0].reaches[0].stakes[0] == STARTS[name]


def test_every_event_begins_at_its_stake(brought):
    assert len(brought["EVENT"]) == len(EVENTS)
    for shape, told in brought["EVENT"]:
        found, start = route(brought, told["ROUTE"]), Stake.parse(told["FROM_STAKE"])
        place = found.place(found.one(start))
        assert ELLIPSOID.inv(*place, *lonlat(shape))[2] < 6, told
        if told["TO_STAKE"]:
            assert found.known_part(start, Stake.parse(told["TO_STAKE"])).length > 200, told


def test_posts_stand_on_the_right_of_the_road(brought):
    asides = [
        route(brought, told["ROUTE"]).nearest(lonlat(shape), 20)[1] for shape, told in brought["STAKE"][3:20] if Stake.parse(told["STAKE"].split("=")[0]).metres % 1000 == 0
    ]
    assert asides == pytest.approx([5.0] * len(asides), abs=0.6) and len(asides) > 8


def test_no_stake_of_the_plan_has_more_digits_than_a_post_has_room_for(brought):
    assert all(part == written(reading(part)[0]) for _, told in brought["STAKE"] for part in told["STAKE"].split("="))
    assert {one.number for one in plan.ROUTES} >= STARTS.keys()


def test_levels_rise_above_warning_and_fall_again_and_are_the_same_for_the_same_moment():
    ring = shapely.Point(389_000, 3_551_000).buffer(900)
    dam = SimpleNamespace(name="龙泉水库", level=33.1, dam=shapely.Point(397_000, 3_551_000))
    frame = SimpleNamespace(place=lambda x, y: (381_320 + 1000 * x, 3_546_300 + 1000 * y))
    county = SimpleNamespace(terrain=SimpleNamespace(frame=frame, lake=ring, reservoirs=[dam]))
    start = datetime(2026, 5, 1, tzinfo=UTC)
    states: dict[str, set] = {}
    for minutes in range(0, 370, 10):
        rows = gauges.objects(county, start + timedelta(minutes=minutes))
        assert rows == gauges.objects(county, start + timedelta(minutes=minutes))
        for row in rows:
            told = row["properties"]
            assert set(told) == set(gauges.TEXTS) | set(gauges.NUMBERS) and gauges.PLAN.bounds.left < row["x"] < gauges.PLAN.bounds.right
            states.setdefault(row["id"], set()).add(told["Z"] >= told["WRZ"])
    assert all(states[f"9990000{number}"] == {True, False} for number in range(1, 7))
    assert {row["properties"]["DTMNM"] for row in rows} >= {None, gauges.OF_ITS_OWN, "吴淞"}
