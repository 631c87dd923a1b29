"""Stakes and places: both ways, over broken chains, beside gaps and borders, and never measured in a projection."""

import numpy as np
import pyproj
import pytest
import shapely

from layers.crs import transform_geometry
from layers.errors import StakeRefused
from layers.routes import route_of
from layers.stakes import Post, Stake, reading, written

CRS = "EPSG:4549"
WEST, SOUTH = 384_000.0, 3_548_000.0
GEOD = pyproj.Geod(ellps="GRS80")


def lonlat(x, y):
    return transform_geometry(shapely.Point(WEST + x, SOUTH + y), CRS, "CRS:84").coords[0]


def line(*places):
    return shapely.LineString([(WEST + x, SOUTH + y) for x, y in places])


def post(text, x, y):
    return Post(lonlat(x, y), *reading(text))


def metres(place, x, y):
    return GEOD.inv(*place, *lonlat(x, y))[2]


def straight(*, reverse=False, posts=((0, "K10"), (1000, "K11"), (2000, "K12"), (3000, "K13"))):
    road = line((0, 0), (3000, 0))
    return route_of("G104", [road.reverse() if reverse else road], [post(text, x, 5) for x, text in posts], CRS)


def place_of(route, text):
    return route.place(route.one(Stake.parse(text)))


@pytest.mark.parametrize("text", ["K12+300", "k12 300", "Ｋ１２＋３００", "K12+300.0", " K12+300 "])
def test_a_stake_may_be_spelt_as_people_spell_it(text):
    assert Stake.parse(text) == Stake(12_300.0)


@pytest.mark.parametrize("text", ["", "12+300", "K", "K12+3000", "K12+", "K-1+000", "K12+300.1234", "KK1", "K1+2/0", "K12+300=K13", "K99999", "K1;K2"])
def test_what_is_no_stake_is_refused_by_name(text):
    with pytest.raises(StakeRefused) as refused:
        Stake.parse(text)
    assert refused.value.fault == "stake-spelling"


def test_stakes_are_written_as_they_are_read():
    for metres_ in np.random.default_rng(1).uniform(0, 9_999_999, 500).round(3):
        assert Stake.parse(written(float(metres_))).metres == pytest.approx(metres_, abs=1e-6)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_stake_lies_between_its_posts_whichever_way_the_line_was_drawn(reverse):
    route = straight(reverse=reverse)
    for stake, x in (("K10", 0), ("K10+250", 250), ("K11+999.5", 1999.5), ("K13", 3000)):
        assert metres(place_of(route, stake), x, 0) < 0.5
    assert route.runs[0].heading(1.0) == pytest.approx(90, abs=2)


def test_posts_rule_over_what_was_measured():
    route = straight(posts=((0, "K10"), (900, "K11"), (2100, "K12")))
    assert metres(place_of(route, "K10+500"), 450, 0) < 0.01 and metres(place_of(route, "K11+500"), 1500, 0) < 0.01
    position, _ = route.nearest(lonlat(450, 20), 50)
    assert position.reach.stake_at(position.ground) == pytest.approx(10_500, abs=0.01) and position.reach.scale == pytest.approx(1 / 0.9, rel=1e-3)


def test_a_place_and_its_stake_lead_to_each_other_in_any_shape():
    rng = np.random.default_rng(3)
    bends = np.column_stack([np.arange(0, 8001, 200), np.cumsum(rng.uniform(-120, 120, 41))])
    road = line(*bends)
    at = [(road.interpolate(m).x - WEST, road.interpolate(m).y - SOUTH) for m in np.linspace(0, road.length, 9)]
    route = route_of("S391", [road], [post(f"K{40 + number}+{number * 13:03d}", x, y) for number, (x, y) in enumerate(at)], CRS)
    for stake in rng.uniform(40_000, 48_100, 200):
        place = place_of(route, written(stake))
        position, aside = route.nearest(place, 10)
        assert position.reach.stake_at(position.ground) == pytest.approx(round(stake, 3), abs=0.01) and abs(aside) < 1e-3


def test_right_and_left_are_those_of_who_goes_with_the_stakes():
    for reverse in (False, True):
        route = straight(reverse=reverse)
        assert route.nearest(lonlat(500, -30), 50)[1] == pytest.approx(30, abs=0.05)
        assert route.nearest(lonlat(500, 30), 50)[1] == pytest.approx(-30, abs=0.05)
        assert route.nearest(lonlat(500, 60), 50) is None


def test_a_short_chain_leaves_numbers_out():
    route = straight(posts=((0, "K10"), (1000, "K11=K11+220"), (2000, "K12+220")))
    assert [(one.back, one.ahead, one.is_long) for run in route.runs for one in run.breaks] == [(11_000, 11_220, False)]
    with pytest.raises(StakeRefused) as refused:
        route.one(Stake.parse("K11+100"))
    assert refused.value.fault == "stake-none" and refused.value.detail == {"route": "G104", "stake": "K11+100"}
    for stake in ("K11", "K11+220"):
        assert metres(place_of(route, stake), 1000, 0) < 0.5
    across = route.stretch(Stake.parse("K10+900"), Stake.parse("K11+320"))
    assert across.length == pytest.approx(200, abs=0.1) and across.staked == pytest.approx(200, abs=0.1) and across.is_whole


def test_a_long_chain_has_stakes_twice_and_one_says_which_is_meant():
    route = straight(posts=((0, "K10"), (1000, "K11=K10+700"), (2000, "K11+700"), (3000, "K12+700")))
    assert route.runs[0].breaks[0].is_long
    with pytest.raises(StakeRefused) as refused:
        route.one(Stake.parse("K10+800"))
    assert refused.value.fault == "stake-twice" and refused.value.detail["count"] == "2"
    assert metres(place_of(route, "K10+800/1"), 800, 0) < 0.5 and metres(place_of(route, "K10+800/2"), 1100, 0) < 0.5
    with pytest.raises(StakeRefused, match="stake-none"):
        route.one(Stake.parse("K10+800/3"))
    assert route.stretch(Stake.parse("K10+800/1"), Stake.parse("K10+800/2")).length == pytest.approx(300, abs=0.1)
    with pytest.raises(StakeRefused, match="stakes-order"):
        route.stretch(Stake.parse("K10+800/2"), Stake.parse("K10+800/1"))
    assert metres(place_of(route, "K10+100"), 100, 0) < 0.5 and metres(place_of(route, "K12"), 2300, 0) < 0.5


def test_nothing_is_told_across_a_gap_and_nothing_of_a_run_that_has_one_post():
    road = [line((0, 0), (1500, 0)), line((2500, 0), (4000, 0)), line((6000, 0), (6400, 0))]
    posts = [post(f"K{10 + x // 1000}+{x % 1000:03d}", x, 0) for x in (0, 1000, 3000, 4000, 6200)]
    route = route_of("G104", road, posts, CRS)
    assert len(route.runs) == 2
    assert metres(place_of(route, "K11+400"), 1400, 0) < 1 and not route.one(Stake.parse("K11+400")).reach.is_between
    for stake in ("K11+600", "K12+400", "K16+200", "K15"):
        with pytest.raises(StakeRefused, match="stake-none"):
            route.one(Stake.parse(stake))
    across = route.stretch(Stake.parse("K11"), Stake.parse("K13"))
    assert not across.is_whole and len(across.lines) == 2 and across.length == pytest.approx(1000, abs=0.5)
    beyond = route.known_part(Stake.parse("K13+500"), Stake.parse("K15+500"))
    assert not beyond.is_whole and beyond.length == pytest.approx(500, abs=0.3)
    with pytest.raises(StakeRefused, match="stake-none"):
        route.known_part(Stake.parse("K20"), Stake.parse("K21"))


def test_pieces_of_a_line_that_was_cut_are_one_run_and_their_order_is_nothing():
    whole = line((0, 0), (700, 90), (1500, -40), (3000, 0))
    pieces = [shapely.intersection(whole, shapely.box(WEST + left, SOUTH - 500, WEST + right, SOUTH + 500)) for left, right in ((0, 333.3), (333.3, 2100.7), (2100.7, 3000))]
    posts = [post("K1", 0, 0), post("K4", 3000, 0)]
    routes = [route_of("G1", some, order, CRS) for some, order in (([whole], posts), (pieces, posts), ([pieces[2], pieces[0].reverse(), pieces[1]], posts[::-1]))]
    for stake in ("K1+050", "K1+333", "K2+900", "K3+999"):
        first = place_of(routes[0], stake)
        assert all(GEOD.inv(*first, *place_of(route, stake))[2] < 0.001 for route in routes[1:])


def test_a_ring_begins_where_its_stakes_do():
    ring = [line((0, 0), (2000, 0), (2000, 2000), (0, 2000), (0, 0))]
    posts = [post(f"K{number}", x, y) for number, (x, y) in enumerate(((1000, 0), (2000, 0), (2000, 1000), (2000, 2000), (1000, 2000), (0, 2000), (0, 1000), (0, 0)))]
    route = route_of("R1", ring, posts, CRS)
    for stake, x, y in (("K0", 1000, 0), ("K0+500", 1500, 0), ("K6+500", 0, 500), ("K7+500", 500, 0)):
        assert metres(place_of(route, stake), x, y) < 1


def test_stakes_that_contradict_the_ground_tell_no_place():
    route = straight(posts=((0, "K10"), (1000, "K11"), (2000, "K19"), (3000, "K20")))
    with pytest.raises(StakeRefused, match="stake-none"):
        route.one(Stake.parse("K15"))
    assert metres(place_of(route, "K19+500"), 2500, 0) < 0.5
    backwards = straight(posts=((0, "K10"), (1000, "K11"), (2000, "K10+500"), (3000, "K12"), (3000, "K12")))
    assert metres(place_of(backwards, "K10+250"), 250, 0) < 0.5


def test_posts_far_from_the_line_and_lines_of_no_length_are_left_out():
    road = line((0, 0), (3000, 0))
    posts = [post("K10", 0, 0), post("K13", 3000, 0), post("K90", 1500, 80)]
    route = route_of("G104", [road, shapely.Point(WEST, SOUTH), shapely.LineString([(WEST, SOUTH)] * 2)], posts, CRS)
    assert metres(place_of(route, "K11+500"), 1500, 0) < 0.5
    assert route_of("G104", [], posts, CRS).runs == () and route_of("G104", [road], [], CRS).runs == ()


def test_the_length_is_that_of_the_ground_whatever_the_reference_system():
    places = [lonlat(0, 0), lonlat(5000, 3000)]
    posts = [post("K0", 0, 0), post("K6", 5000, 3000)]
    truth = GEOD.inv(*places[0], *places[1])[2]
    for crs in ("EPSG:4549", "EPSG:4490", "CRS:84", "EPSG:3857"):
        ends = [transform_geometry(shapely.Point(place), "CRS:84", crs).coords[0] for place in places]
        route = route_of("G104", [shapely.LineString(ends)], posts, crs)
        assert route.runs[0].length == pytest.approx(truth, abs=0.01)            # in EPSG:3857 it measures 18 % more
