"""Decisions over several agreements: whole grants OR-ed, suspensions above all, order never mattering."""

import itertools
import random
from dataclasses import replace
from datetime import timedelta

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from small_world import BOTH, EAST, NOON, TERM, WEST, agreement, at, box, grant, request

from agreements.areas import area_of, area_on_the_ground
from agreements.decision import _Geometries, decide
from agreements.model import BUREAU, Area, Effect, Operation, ScaleWindow, State, Suspension, Term
from agreements.terms import sentence

EVERYWHERE = area_of({"everywhere": True}, None)


def suspension(**terms):
    return Suspension(**{"reason": "a reservoir is being rebuilt", "since": at(2026, 6, 1), **terms})


def codes(decision):
    return [reason.code for reason in decision.reasons]


def is_same_ground(decision, expected):
    seen = decision.area.geometry if decision.area else shapely.Polygon()
    return (seen - expected).area == 0 and (expected - seen).area == 0


# Default deny

@pytest.mark.parametrize("operation", Operation)
def test_an_agency_with_nothing_sees_nothing(operation):
    decision = decide(request(operation=operation), [])
    assert (decision.effect, decision.area, decision.pieces, codes(decision)) == (Effect.DENY, None, (), ["no-agreement"])


def test_agreements_of_others_count_for_nothing_and_are_not_spoken_of():
    assert codes(decide(request(), [agreement(grantee="police")])) == ["no-agreement"]


@pytest.mark.parametrize("operation", Operation)
def test_the_owner_of_a_layer_needs_no_agreement(operation):
    decision = decide(request(agency=BUREAU, operation=operation), [])
    assert (decision.effect, decision.area, codes(decision)) == (Effect.PERMIT, None, ["own-layer"])


def test_nobody_can_share_what_belongs_to_another():
    decision = decide(request(), [agreement(grantor="police")])
    assert (decision.effect, codes(decision)) == (Effect.DENY, ["grantor-not-owner"])


def test_an_agency_shares_its_own_layer():
    decision = decide(request(owner="police"), [agreement(grantor="police")])
    assert is_same_ground(decision, WEST.geometry)


# Area and effect

EXTENTS = {
    "inside": (shapely.box(118.1, 32.1, 118.2, 32.2), Effect.PERMIT),
    "the very area": (WEST.geometry, Effect.PERMIT),
    "half inside": (shapely.box(118.4, 32.1, 118.6, 32.2), Effect.CLIP),
    "around": (shapely.box(117, 31, 120, 33), Effect.CLIP),
    "outside": (shapely.box(118.6, 32.1, 118.7, 32.2), Effect.DENY),
    "touching along an edge": (shapely.box(118.5, 32.1, 118.6, 32.2), Effect.DENY),
    "a point inside": (shapely.Point(118.2, 32.2), Effect.PERMIT),
    "a point outside": (shapely.Point(118.6, 32.2), Effect.DENY),
    "a line across the edge": (shapely.LineString([(118.4, 32.2), (118.6, 32.2)]), Effect.CLIP),
}


@pytest.mark.parametrize("name", EXTENTS)
def test_the_effect_tells_whether_all_a_part_or_nothing_of_an_extent_is_granted(name):
    extent, effect = EXTENTS[name]
    decision = decide(request(extent=extent), [agreement()])
    assert decision.effect is effect
    assert decision.area == (None if effect is Effect.DENY else WEST)
    assert codes(decision) == (["outside-area"] if effect is Effect.DENY else ["granted"])


@pytest.mark.parametrize("extent", [shapely.Polygon(), shapely.Polygon([(118, 32), (119, 33), (119, 32), (118, 33), (118, 32)])])
def test_an_extent_that_is_empty_or_crosses_itself_sees_nothing(extent):
    decision = decide(request(extent=extent), [agreement()])
    assert (decision.effect, codes(decision)) == (Effect.DENY, ["extent-not-evaluable"])


def test_without_an_extent_a_part_is_a_clip_and_everywhere_is_all():
    assert decide(request(), [agreement()]).effect is Effect.CLIP
    decision = decide(request(), [agreement(grant(area=EVERYWHERE), grant(clause="3.2", area=WEST))])
    assert (decision.effect, decision.area) == (Effect.PERMIT, EVERYWHERE)


def test_the_area_is_that_of_all_grants_whatever_extent_was_asked():
    held = [agreement(grant(), grant(clause="3.2", area=EAST))]
    here, everywhere = decide(request(extent=shapely.box(118.1, 32.1, 118.2, 32.2)), held), decide(request(), held)
    assert here.area.digest == everywhere.area.digest
    assert is_same_ground(here, BOTH.geometry)


def test_a_single_area_keeps_its_digest_and_a_union_has_one_of_its_own_in_any_order():
    assert decide(request(), [agreement()]).area.digest == WEST.digest
    one = decide(request(), [agreement(grant(), grant(clause="3.2", area=EAST))])
    other = decide(request(), [agreement(grant(area=EAST)), agreement(grant(area=WEST), agreement_id="AG-0")])
    assert one.area.digest == other.area.digest not in (WEST.digest, EAST.digest)


def test_only_grants_that_meet_every_term_bring_their_area():
    near = grant(area=EAST, scale=ScaleWindow(finest=1000))
    far = grant(clause="3.2", scale=ScaleWindow(finest=10_000))
    decision = decide(request(scale_denominator=5000), [agreement(near, far)])
    assert decision.area == EAST
    assert codes(decision) == ["granted", "outside-scale"]


def test_attributes_stay_with_their_piece_of_ground():
    held = [agreement(grant(attributes=frozenset({"NAME"})), grant(clause="3.2", area=EAST, attributes=frozenset({"WIDTH"})))]
    pieces = {piece.clause: (piece.area, piece.attributes) for piece in decide(request(), held).pieces}
    assert pieces == {"3.1": (WEST, frozenset({"NAME"})), "3.2": (EAST, frozenset({"WIDTH"}))}


def test_the_attributes_of_one_grant_are_never_seen_in_the_area_of_another():
    held = [agreement(grant(attributes=frozenset({"NAME"})), grant(clause="3.2", area=EAST, attributes=frozenset({"WIDTH"})))]
    assert decide(request(attributes=frozenset({"WIDTH"})), held).area == EAST
    assert decide(request(attributes=frozenset({"WIDTH"}), extent=shapely.Point(118.2, 32.2)), held).effect is Effect.DENY
    assert decide(request(attributes=frozenset({"WIDTH", "NAME"})), held).effect is Effect.DENY


def test_a_grant_that_cannot_be_evaluated_denies_and_says_so():
    bow_tie = shapely.Polygon([(118, 32), (119, 33), (119, 32), (118, 33), (118, 32)])
    for number, broken in enumerate((bow_tie, shapely.Polygon(), shapely.Point(118.2, 32.2))):
        held = [agreement(grant(area=Area(geometry=broken, digest=f"broken {number}", title="a broken area")))]
        decision = decide(request(), held)
        assert (decision.effect, codes(decision)) == (Effect.DENY, ["not-evaluable"])
        assert decide(request(), [*held, agreement(agreement_id="AG-2")]).area == WEST


def test_credits_are_those_of_the_agreements_that_granted():
    held = [
        agreement(credit="Bureau 2026"), agreement(agreement_id="AG-2", credit="City 2026"),
        agreement(grant(layers=frozenset({"dem"})), agreement_id="AG-3", credit="unseen"),
    ]
    assert decide(request(), held).credits == ("Bureau 2026", "City 2026")


# Suspensions

def test_a_suspension_of_a_layer_stops_it_whatever_other_agreements_grant():
    stopping = agreement(suspensions=(suspension(),))
    other = agreement(grant(area=BOTH), agreement_id="AG-2")
    decision = decide(request(), [stopping, other])
    assert decision.effect is Effect.DENY
    assert {(reason.agreement_id, reason.clause, reason.code) for reason in decision.reasons} == {
        ("AG-1", None, "suspended"), ("AG-1", "3.1", "suspended"), ("AG-2", "3.1", "suspended"),
    }


@pytest.mark.parametrize("state", State)
def test_a_suspension_holds_whatever_the_state_of_its_agreement(state):
    stopping = agreement(suspensions=(suspension(),), state=state, term=Term(end=at(2026, 2, 1)))
    assert decide(request(), [stopping, agreement(agreement_id="AG-2")]).effect is Effect.DENY


def test_a_suspended_agreement_takes_its_own_grants_and_no_others():
    held = [agreement(state=State.SUSPENDED), agreement(grant(area=EAST), agreement_id="AG-2")]
    decision = decide(request(), held)
    assert decision.area == EAST
    assert codes(decision) == ["granted", "suspended"]


def test_a_suspension_of_an_area_cuts_it_out_of_every_grant():
    hole = box(118.4, 32.1, 118.6, 32.2)
    decision = decide(request(), [agreement(grant(area=BOTH), suspensions=(suspension(area=hole),)), agreement(agreement_id="AG-2")])
    assert decision.effect is Effect.CLIP
    assert is_same_ground(decision, BOTH.geometry - hole.geometry)
    assert all((piece.area.geometry & hole.geometry).area == 0 for piece in decision.pieces)
    told = [sentence(reason, "en") for reason in decision.reasons if reason.code == "suspended"]
    assert told == [
        "agreement `AG-1` (version 1) is suspended in 118.4,32.1,118.6,32.2: a reservoir is being rebuilt; ask the sharing office",
    ]


def test_an_area_that_is_wholly_suspended_denies():
    decision = decide(request(), [agreement(suspensions=(suspension(area=BOTH),))])
    assert (decision.effect, decision.area) == (Effect.DENY, None)


def test_a_suspension_of_one_edition_leaves_the_others():
    held = [agreement(suspensions=(suspension(layers=frozenset({"dom@2006"})),))]
    assert decide(request(), held).effect is Effect.CLIP
    assert decide(request(edition="2006"), held).effect is Effect.DENY


def test_a_suspension_without_layers_stops_those_that_its_agreement_grants():
    stopping = agreement(grant(layers=frozenset({"dem"})), suspensions=(suspension(),), agreement_id="AG-2")
    assert decide(request(), [agreement(), stopping]).area == WEST


def test_a_suspension_whose_area_cannot_be_evaluated_stops_everything():
    broken = Area(geometry=shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1), (0, 0)]), digest="broken stop", title="broken")
    assert decide(request(), [agreement(suspensions=(suspension(area=broken),))]).effect is Effect.DENY


def test_a_suspension_counts_from_its_first_moment_until_its_last():
    held = [agreement(suspensions=(suspension(since=at(2026, 6, 1), until=at(2026, 7, 1)),))]
    instant = timedelta(milliseconds=1)
    moments = {at(2026, 6, 1) - instant: True, at(2026, 6, 1): False, at(2026, 7, 1) - instant: False, at(2026, 7, 1): True}
    assert {moment: decide(request(at=moment), held).effect is Effect.CLIP for moment in moments} == moments


# Versions

def test_a_newer_version_stands_in_the_place_of_the_older_from_its_beginning():
    old = agreement(grant(area=BOTH), replaced=at(2027, 1, 1), suspensions=(suspension(since=at(2027, 2, 1)),))
    new = agreement(version=2, term=Term(start=at(2027, 1, 1)))
    assert decide(request(), [old, new]).area == BOTH
    later = decide(request(at=at(2027, 3, 1)), [old, new])
    assert later.area == WEST
    assert [(reason.version, reason.code) for reason in later.reasons] == [(2, "granted")]


# Time

def test_an_answer_holds_until_the_next_moment_at_which_it_could_be_another():
    held = [
        agreement(grant(term=Term(end=at(2027, 6, 1)))),
        agreement(grant(term=Term(start=at(2026, 12, 1))), agreement_id="AG-2"),
        agreement(agreement_id="AG-3", suspensions=(suspension(since=at(2026, 11, 30), until=at(2026, 12, 2)),)),
        agreement(grant(layers=frozenset({"dem"}), term=Term(end=at(2026, 11, 24))), agreement_id="AG-4"),
    ]
    boundaries, moment = [], NOON
    while moment := decide(request(at=moment), held).holds_until:
        boundaries.append(moment)
    assert boundaries == [at(2026, 11, 30), at(2026, 12, 1), at(2026, 12, 2), at(2027, 6, 1), TERM.end]


def test_an_answer_about_a_layer_that_no_agreement_names_holds_for_ever():
    assert decide(request(layer="roads"), [agreement()]).holds_until is None


# Properties

CELLS = [(column, row) for column in range(4) for row in range(3)]


def ground(cells) -> Area:
    return area_on_the_ground(shapely.union_all([shapely.box(118 + c, 32 + r, 119 + c, 33 + r) for c, r in cells]), "cells")


areas = st.sets(st.sampled_from(CELLS), min_size=1, max_size=5).map(ground)
windows = st.sampled_from([ScaleWindow(), ScaleWindow(finest=10_000), ScaleWindow(coarsest=10_000)])
attribute_sets = st.sampled_from([frozenset(), frozenset({"a"}), frozenset({"b"}), None])
terms = st.sampled_from([Term(), Term(start=NOON), Term(end=NOON)])
layers = st.sampled_from([frozenset({"dom"}), frozenset({"dem"}), frozenset({"dom", "dem"}), frozenset({"dom@2006"})])
operations = st.sets(st.sampled_from([Operation.GET_MAP, Operation.GET_TILE]), min_size=1).map(frozenset)
grants = st.builds(
    lambda **terms: grant(**terms), clause=st.sampled_from(["1", "2", "3.10", "3.2"]), layers=layers, operations=operations, area=areas,
    scale=windows, term=terms, attributes=attribute_sets,
)
suspensions = st.builds(
    lambda **terms: suspension(**terms), layers=st.none() | layers, area=st.none() | areas,
    until=st.sampled_from([None, NOON, at(2027, 1, 1)]),
)
agreements = st.builds(
    lambda grants, **terms: agreement(*grants, **terms), grants=st.lists(grants, min_size=1, max_size=3),
    agreement_id=st.sampled_from(["AG-1", "AG-2", "AG-3"]),
    state=st.sampled_from([State.ACTIVE, State.ACTIVE, State.SUSPENDED, State.DRAFT]),
    grantor=st.sampled_from([BUREAU, BUREAU, "police"]), grantee=st.sampled_from(["water", "water", "water", "transport"]),
    suspensions=st.lists(suspensions, max_size=1).map(tuple),
)
requests = st.builds(
    lambda **terms: request(**terms), layer=st.sampled_from(["dom", "dem"]),
    operation=st.sampled_from([Operation.GET_MAP, Operation.GET_TILE]),
    scale_denominator=st.sampled_from([None, 5000, 50_000]), attributes=st.sampled_from([frozenset(), frozenset({"a"}), frozenset({"b"})]),
    extent=st.none() | areas.map(lambda area: area.geometry), edition=st.sampled_from(["2006", "2011"]),
)
FEW = settings(max_examples=60, deadline=None)


def seen(decision):
    return decision.area.geometry if decision.area else shapely.Polygon()


@FEW
@given(asked=requests, held=st.lists(agreements, max_size=4), chance=st.randoms(use_true_random=False))
def test_the_order_of_agreements_and_grants_never_matters(asked, held, chance):
    shuffled = [replace(one, grants=tuple(chance.sample(one.grants, len(one.grants)))) for one in held]
    chance.shuffle(shuffled)
    first, second = decide(asked, held), decide(asked, shuffled)
    assert (first.effect, first.reasons, first.credits) == (second.effect, second.reasons, second.credits)
    assert first.holds_until == second.holds_until
    assert (first.area and first.area.digest) == (second.area and second.area.digest)
    assert sorted(map(repr, first.pieces)) == sorted(map(repr, second.pieces))


@FEW
@given(asked=requests, held=st.lists(agreements, min_size=1, max_size=3), stop=suspensions, which=st.integers(0, 2))
def test_a_suspension_never_widens_what_an_agency_sees(asked, held, stop, which):
    stopped = list(held)
    one = stopped[which % len(held)]
    stopped[which % len(held)] = replace(one, suspensions=(*one.suspensions, stop))
    assert (seen(decide(asked, stopped)) - seen(decide(replace(asked, extent=None), held))).area == 0


@FEW
@given(asked=requests, held=st.lists(agreements, max_size=3), more=grants)
def test_another_grant_never_narrows_what_an_agency_sees(asked, held, more):
    wider = [*held, agreement(more, agreement_id="AG-9")]
    assert (seen(decide(asked, held)) - seen(decide(asked, wider))).area == 0


@FEW
@given(asked=requests, held=st.lists(agreements, max_size=4))
def test_what_is_seen_is_what_the_pieces_hold_and_never_nothing(asked, held):
    decision = decide(asked, held)
    assert (decision.effect is Effect.DENY) == (decision.area is None) == (not decision.pieces)
    assert all(not piece.area.geometry.is_empty for piece in decision.pieces)
    union = shapely.union_all([piece.area.geometry for piece in decision.pieces])
    assert (union - seen(decision)).area == 0 and (seen(decision) - union).area == 0
    assert decision.reasons


# Brute force: every cell by itself, by a program that is too simple to be wrong

def is_seen(cell, asked, held):
    """Cells are the ground; each is looked at alone, grant by grant, without any geometry."""
    def stops(one, stop):
        names = stop["layers"] if stop["layers"] is not None else set().union(*(g["layers"] for g in one["grants"]))
        return asked["layer"] in names and (stop["cells"] is None or cell in stop["cells"])

    if any(stops(one, stop) for one in held for stop in one["suspensions"]):
        return False
    return any(
        one["active"] and asked["layer"] in g["layers"] and asked["operation"] in g["operations"] and cell in g["cells"]
        and g["finest"] <= asked["scale"] <= g["coarsest"] and asked["attributes"] <= g["attributes"]
        for one in held for g in one["grants"]
    )


def toy_grant(chance):
    finest = chance.choice([1, 1000, 10_000])
    return {
        "layers": set(chance.sample(["dom", "dem"], chance.randint(1, 2))),
        "operations": set(chance.sample(["GetMap", "GetTile"], chance.randint(1, 2))),
        "cells": set(chance.sample(CELLS, chance.randint(1, 6))), "finest": finest, "coarsest": finest * chance.choice([1, 10, 1000]),
        "attributes": set(chance.sample(["a", "b"], chance.randint(0, 2))),
    }


def toy_agreement(chance):
    stops = [{
        "layers": chance.choice([None, {"dom"}, {"dem"}]),
        "cells": chance.choice([None, set(chance.sample(CELLS, 3)), set(chance.sample(CELLS, 3))]),
    }] if chance.random() < 0.25 else []
    return {"active": chance.random() < 0.8, "suspensions": stops, "grants": [toy_grant(chance) for _ in range(chance.randint(1, 2))]}


def in_earnest(number, toy):
    made = [
        grant(
            clause=str(position), layers=frozenset(g["layers"]), operations=frozenset(map(Operation, g["operations"])),
            area=ground(g["cells"]),
            scale=ScaleWindow(finest=g["finest"], coarsest=g["coarsest"]), attributes=frozenset(g["attributes"]),
        )
        for position, g in enumerate(toy["grants"])
    ]
    stops = tuple(
        suspension(layers=s["layers"] and frozenset(s["layers"]), area=s["cells"] and ground(s["cells"])) for s in toy["suspensions"]
    )
    return agreement(*made, agreement_id=f"AG-{number}", state=State.ACTIVE if toy["active"] else State.EXPIRED, suspensions=stops)


def test_every_combination_on_a_toy_world_equals_brute_force():
    chance, compared = random.Random(13989), 0
    for _ in range(60):
        toys = [toy_agreement(chance) for _ in range(chance.randint(1, 3))]
        held = [in_earnest(number, toy) for number, toy in enumerate(toys)]
        questions = itertools.product(["dom", "dem"], ["GetMap", "GetTile"], [1, 1000, 10_000, 10**6], [set(), {"a"}, {"a", "b"}])
        for layer, operation, scale, attributes in questions:
            toy = {"layer": layer, "operation": operation, "scale": scale, "attributes": attributes}
            decision = decide(request(
                layer=layer, operation=Operation(operation), scale_denominator=scale, attributes=frozenset(attributes),
            ), held)
            expected = {cell for cell in CELLS if is_seen(cell, toy, toys)}
            found = {cell for cell in CELLS if shapely.contains_xy(seen(decision), 118.5 + cell[0], 32.5 + cell[1])}
            assert found == expected
            assert seen(decision).area == pytest.approx(len(expected))
            compared += len(CELLS)
    assert compared == 60 * 48 * 12


# What is remembered

def test_geometries_are_forgotten_when_their_vertices_are_too_many():
    memory, made = _Geometries(most=500), []

    def make():
        made.append(1)
        return shapely.Point(0, 0).buffer(1, quad_segs=25)      # 101 vertices

    for name in "abcdeff":
        memory.kept(name, make)
    assert len(made) == 6 and memory.vertices <= 500
    memory.kept("a", make)
    assert len(made) == 7
