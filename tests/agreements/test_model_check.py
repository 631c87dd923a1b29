"""The model check: in a toy world every combination of grants shows what the prose says, cell by cell, and nothing else.

Two or three grants, in every combination, under every question; then every further dimension of a grant crossed with area and attributes; then
agreements under agreements; then worlds at random with everything at once: 806,808 cells compared. The rules are told a second time, without
geometry, in toy_world.py.
"""

import itertools
import random

import pytest
from toy_world import earnest_question, in_earnest, question, shown, shown_in_earnest, toy_agreement, toy_grant
from worlds import CELLS

from agreements.decision import decide
from agreements.model import BUREAU, Effect

A, B = (0, 0), (1, 0)
TWO = (A, B)
GROUNDS = ({A}, {B}, {A, B})
ATTRIBUTES = (set(), {"a"}, {"b"}, {"a", "b"})
ASKED = (set(), {"a"}, {"b"}, {"a", "b"})
ZOOMS = ((1, 10_000), (10_001, 10**6), (1, 10**6))
OPERATIONS = ({"GetMap"}, {"GetTile"}, {"GetMap", "GetTile"})
LAYERS = ({"dom"}, {"dem"}, {"dom", "dem"})


def every(**dimensions) -> list[dict]:
    """All combinations of values, each as a mapping of names."""
    return [dict(zip(dimensions, values, strict=True)) for values in itertools.product(*dimensions.values())]


def check(worlds, questions, cells=TWO) -> int:
    """How many cells were compared; fails at the first that differs."""
    asked_in_earnest = [(asked, earnest_question(asked)) for asked in questions]
    compared = 0
    for world in worlds:
        held = [in_earnest(one) for one in world]
        for asked, earnest in asked_in_earnest:
            decision = decide(earnest, held)
            found = shown_in_earnest(decision, cells)
            for cell in cells:
                assert found[cell] == shown(cell, asked, world), (world, asked, cell)
            assert (decision.effect is Effect.DENY) == (not any(found.values()))
            compared += len(cells)
    return compared


def combined(grants, number):
    """Worlds of one agreement with every combination of `number` grants, the same one twice among them."""
    return ([toy_agreement(*chosen)] for chosen in itertools.combinations_with_replacement(grants, number))


# Area x attributes x zoom x operation x layer: all combinations

def test_all_pairs_of_grants_over_area_attributes_zoom_and_operation():
    grants = [toy_grant(**terms) for terms in every(cells=GROUNDS, attributes=ATTRIBUTES, scales=ZOOMS, operations=OPERATIONS)]
    questions = [question(**terms) for terms in every(attributes=ASKED, scale=(5000, 50_000), operation=("GetMap", "GetTile"))]
    assert check(combined(grants, 2), questions) == (108 * 109 // 2) * 16 * 2


def test_all_threes_of_grants_over_area_attributes_and_zoom():
    grants = [toy_grant(**terms) for terms in every(cells=GROUNDS, attributes=ATTRIBUTES, scales=ZOOMS)]
    questions = [question(**terms) for terms in every(attributes=ASKED, scale=(5000, 50_000))]
    assert check(combined(grants, 3), questions) == (36 * 37 * 38 // 6) * 8 * 2


def test_all_pairs_of_grants_over_layer_area_and_attributes():
    grants = [toy_grant(**terms) for terms in every(layers=LAYERS, cells=GROUNDS, attributes=ATTRIBUTES)]
    questions = [question(**terms) for terms in every(layer=("dom", "dem"), attributes=ASKED)]
    assert check(combined(grants, 2), questions) == (36 * 37 // 2) * 8 * 2


def test_it_does_not_matter_whether_grants_stand_in_one_agreement_or_in_two():
    grants = [toy_grant(**terms) for terms in every(cells=GROUNDS, attributes=ATTRIBUTES, scales=ZOOMS)]
    questions = [question(**terms) for terms in every(attributes=ASKED, scale=(5000, 50_000))]
    worlds = ([toy_agreement(one), toy_agreement(other, name="AG-2")] for one, other in itertools.combinations(grants, 2))
    assert check(worlds, questions) == (36 * 35 // 2) * 8 * 2


# Every further dimension, crossed with area and attributes

HIGH, LOW = 10**12, 0
FURTHER = {
    "editions": ([None, {"2006"}, {"latest"}], [{"edition": "2006", "latest": False}, {"edition": "2011", "latest": True}]),
    "layers": ([{"dom"}, {"dom@2006"}, {"dom@latest"}], [{"edition": "2006", "latest": False}, {"edition": "2006", "latest": True}, {"edition": "2011"}]),
    "products": (
        [set(), {"DOM"}, {"DEM"}],
        [{"layer": "dom"}, {"layer": "photo"}, {"layer": "dem", "product": "DEM"}, {"layer": "photo", "owner": "police"}],
    ),
    "pixels": ([(LOW, HIGH), (2.0, HIGH), (LOW, 1.0)], [{"scale": 1_000}, {"scale": 5_000}, {"scale": 50_000}]),
    "networks": ([None, {"10.0.0.0/8"}, {"10.1.0.0/16"}], [{}, {"networks": {"10.0.0.0/8"}}, {"networks": {"10.0.0.0/8", "10.1.0.0/16"}}]),
    "purposes": ([None, {"flood"}, {"flood", "planning"}], [{}, {"purpose": "flood"}, {"purpose": "planning"}]),
    "apps": ([None, {"desk"}, {"field"}], [{}, {"app": "desk"}, {"app": "field"}]),
    "ceiling": ([0, 1, 4], [{"secrecy": 0}, {"secrecy": 1}, {"secrecy": 2}]),
    "rows": ([None, "CC = 1", "KIND = 'a'"], [{"product": "DLG"}, {"product": "DOM"}]),
    "grid": ([None, 10.0, 25.0], [{"product": "DEM"}, {"product": "DLG"}]),
    "days": ([(-1, 1), (0, 1), (-1, 0)], [{}]),
    "formats": ([None, {"image/png"}, {"image/jpeg"}], [{}, {"format": "image/jpeg"}]),
    "crs": ([None, {"EPSG:4549"}, {"EPSG:3857"}], [{}, {"crs": "EPSG:3857"}]),
    "styles": ([None, {"default"}, {"relief"}], [{}, {"style": "relief"}]),
}


@pytest.mark.parametrize("name", FURTHER)
def test_all_pairs_of_grants_over_one_more_dimension_with_area_and_attributes(name):
    values, asked = FURTHER[name]
    grants = [toy_grant(**terms) for terms in every(**{name: values}, cells=GROUNDS, attributes=ATTRIBUTES)]
    questions = [question(attributes=attributes, **terms) for attributes in ASKED for terms in asked]
    assert check(combined(grants, 2), questions) == (36 * 37 // 2) * 4 * len(asked) * 2


# The cross product

def test_the_cross_product_of_two_grants_is_never_granted():
    """GeoFence's case: area A with attributes a, area B with attributes b; merged by dimension they would be both areas with both attributes."""
    held = [in_earnest(toy_agreement(toy_grant(cells={A}, attributes={"a"}), toy_grant(cells={B}, attributes={"b"})))]
    seen = {
        "".join(sorted(attributes)): [cell for cell in TWO if shown_in_earnest(decide(earnest_question(question(attributes=attributes)), held), TWO)[cell]]
        for attributes in ASKED
    }
    assert seen == {"": [A, B], "a": [A], "b": [B], "ab": []}


TWO_VALUES = {
    "attributes": ({"a"}, {"b"}, {"attributes": {"a"}}, {"attributes": {"b"}}),
    "scales": ((1, 10_000), (10_001, 10**6), {"scale": 5000}, {"scale": 50_000}),
    "operations": ({"GetMap"}, {"GetTile"}, {"operation": "GetMap"}, {"operation": "GetTile"}),
    "layers": ({"dom"}, {"dem"}, {"layer": "dom"}, {"layer": "dem", "product": "DEM"}),
    "editions": ({"2006"}, {"2011"}, {"edition": "2006"}, {"edition": "2011"}),
    "networks": ({"10.0.0.0/8"}, {"11.0.0.0/8"}, {"networks": {"10.0.0.0/8"}}, {"networks": {"11.0.0.0/8"}}),
    "purposes": ({"flood"}, {"planning"}, {"purpose": "flood"}, {"purpose": "planning"}),
    "apps": ({"desk"}, {"field"}, {"app": "desk"}, {"app": "field"}),
    "formats": ({"image/png"}, {"image/jpeg"}, {"format": "image/png"}, {"format": "image/jpeg"}),
    "crs": ({"EPSG:4549"}, {"EPSG:3857"}, {"crs": "EPSG:4549"}, {"crs": "EPSG:3857"}),
    "styles": ({"default"}, {"relief"}, {"style": "default"}, {"style": "relief"}),
}


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(TWO_VALUES, 2)))
def test_no_two_dimensions_of_two_grants_are_ever_mixed(first, second):
    (f1, f2, ask_f1, ask_f2), (s1, s2, ask_s1, ask_s2) = TWO_VALUES[first], TWO_VALUES[second]
    world = [toy_agreement(toy_grant(**{first: f1, second: s1}), toy_grant(**{first: f2, second: s2}))]
    held = [in_earnest(one) for one in world]
    seen = [
        decide(earnest_question(question(**f, **s)), held).effect is not Effect.DENY for f, s in itertools.product((ask_f1, ask_f2), (ask_s1, ask_s2))
    ]
    assert seen == [True, False, False, True]


# Agreements under agreements

def test_every_child_under_every_pair_of_grants_of_its_parent():
    above = [toy_grant(**terms) for terms in every(cells=GROUNDS, attributes=ATTRIBUTES)]
    below = [toy_grant(**terms) for terms in every(cells=GROUNDS, attributes=ATTRIBUTES, scales=ZOOMS)]
    worlds = (
        [toy_agreement(*pair), toy_agreement(one, name="AG-2", giver="water", taker="contractor", parent="AG-1")]
        for pair in itertools.combinations_with_replacement(above, 2) for one in below
    )
    questions = [question(taker="contractor", **terms) for terms in every(attributes=ASKED, scale=(5000,))]
    assert check(worlds, questions) == (12 * 13 // 2) * 36 * 4 * 2


@pytest.mark.parametrize("name", FURTHER)
def test_every_child_under_its_parent_over_one_more_dimension(name):
    values, asked = FURTHER[name]
    grants = [toy_grant(**terms) for terms in every(**{name: values}, cells=GROUNDS, attributes=ATTRIBUTES[1:])]
    worlds = (
        [toy_agreement(above), toy_agreement(below, name="AG-2", giver="water", taker="contractor", parent="AG-1")]
        for above, below in itertools.product(grants, grants)
    )
    questions = [question(taker="contractor", attributes=attributes, **terms) for attributes in ASKED for terms in asked]
    assert check(worlds, questions) == 27 * 27 * 4 * len(asked) * 2


# Everything at once

def some(chance, values, most=2):
    return set(chance.sample(values, chance.randint(1, most)))


def chosen(chance, often, *seldom):
    """The first nine times in ten."""
    return often if chance.random() < 0.9 else chance.choice(seldom)


def random_grant(chance) -> dict:
    return toy_grant(
        layers=chosen(chance, {"dom", "dem"}, {"dom"}, {"dom@2006"}, {"dem@latest"}, set()), products=chosen(chance, set(), {"DOM"}, {"DEM"}),
        editions=chosen(chance, None, {"2006"}, {"latest"}), operations=some(chance, ["GetMap", "GetTile", "GetFeatureInfo"], 3),
        cells=some(chance, CELLS, 8), scales=chosen(chance, (1, 10**7), (1, 10_000), (10_001, 10**7)),
        pixels=chosen(chance, (LOW, HIGH), (2.0, HIGH), (LOW, 2.0)), days=chosen(chance, (-9, 9), (1, 9), (-9, 0)),
        attributes=chance.choice([None, set(), {"a"}, {"b"}, {"a", "HYDL.b"}]), rows=chosen(chance, None, "CC = 1", "KIND = 'a'"),
        grid=chosen(chance, None, 10.0, 25.0), networks=chosen(chance, None, {"10.0.0.0/8"}, {"10.1.0.0/16"}),
        purposes=chosen(chance, None, {"flood"}, {"planning"}), apps=chosen(chance, None, {"desk"}), ceiling=chosen(chance, 4, 0, 1),
        formats=chosen(chance, None, {"image/png"}), crs=chosen(chance, None, {"EPSG:4549"}), styles=chosen(chance, None, {"default"}),
    )


def random_agreement(chance, number) -> dict:
    giver, taker, parent = chance.choice([
        (BUREAU, "water", None), (BUREAU, "water", None), (BUREAU, "contractor", None), ("police", "water", None),
        ("water", "contractor", "AG-0"), ("water", "contractor", "AG-1"), ("contractor", "helper", "AG-2"), ("contractor", "water", "AG-3"),
    ])
    stops = [
        {"layers": chance.choice([None, {"dom"}, {"dem@2006"}]), "cells": chance.choice([None, some(chance, CELLS, 4), some(chance, CELLS, 4)])}
    ] if chance.random() < 0.2 else []
    return toy_agreement(
        *(random_grant(chance) for _ in range(chance.randint(1, 3))), name=f"AG-{number}", giver=giver, taker=taker, parent=parent,
        state=chosen(chance, "active", "suspended", "expired", "draft"), stops=stops,
    )


def random_question(chance) -> dict:
    return question(
        taker=chance.choice(["water", "contractor", "contractor", "helper"]), layer=chance.choice(["dom", "dem", "photo"]),
        product=chance.choice(["DOM", "DEM", "DLG"]), edition=chance.choice(["2006", "2011"]), latest=chance.random() < 0.5,
        owner=chosen(chance, BUREAU, "police"), secrecy=chosen(chance, 0, 1), operation=chance.choice(["GetMap", "GetTile", "GetFeatureInfo"]),
        scale=chance.choice([1000, 5000, 50_000]), attributes=chance.choice([set(), set(), {"a"}, {"b"}, {"HYDL.b"}, {"a", "HYDL.b"}]),
        networks=chosen(chance, {"10.0.0.0/8", "10.1.0.0/16"}, {"10.0.0.0/8"}, set()), purpose=chosen(chance, "flood", "planning", ""),
        app=chosen(chance, "desk", ""), format=chosen(chance, "image/png", "image/jpeg"), crs=chosen(chance, "EPSG:4549", "EPSG:3857"),
        style=chosen(chance, "default", "relief"), spent=chosen(chance, set(), {"AG-0"}, {"AG-2"}),
    )


def test_random_worlds_with_everything_at_once_equal_brute_force():
    chance, seen = random.Random(13989), 0
    for _ in range(500):
        world = [random_agreement(chance, number) for number in range(chance.randint(2, 6))]
        questions = [random_question(chance) for _ in range(12)]
        assert check([world], questions, CELLS) == 12 * len(CELLS)
        seen += sum(any(shown(cell, asked, world) for cell in CELLS) for asked in questions)
    assert seen > 500          # not a world in which nothing is ever seen
