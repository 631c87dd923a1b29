"""What an amendment changes, held against asking point by point."""

import dataclasses
import itertools
import random
from dataclasses import replace
from datetime import timedelta

import pytest
import shapely
from small_world import BOTH, EAST, NOON, TERM, WEST, agreement, at, box, grant
from test_model_check import random_agreement
from toy_world import in_earnest, toy_agreement, toy_grant
from worlds import CELLS, suspension

from agreements.areas import area_of
from agreements.compare.cells import OTHER, LayerFacts, Span
from agreements.compare.difference import ENFORCED, Turn, amendment, difference
from agreements.compare.difference_words import SPOKEN, sentences
from agreements.decision import decide
from agreements.model import BUREAU, Agreement, Mark, Operation, OverlayRequest, ResolutionWindow, ScaleWindow, State, Term
from agreements.quota import Limit, Measure, Quota, Rate, Window
from agreements.record import Contact, Party, Record

DOM = LayerFacts(name="dom", edition="2011", owner=BUREAU, product="DOM")
DEM = LayerFacts(name="dem", edition="2011", owner=BUREAU, product="DEM")
DLG = LayerFacts(name="dlg", edition="2011", owner=BUREAU, product="DLG")


def km2(geometry):
    """A toy: a degree is 100 km whatever way."""
    return geometry.area * 10_000


def compare(old, new, *above, layers=(DOM, DEM, DLG), **helpers):
    return amendment(old, new, above, km2=km2, layers=layers, **helpers)


def amended(*grants, **terms):
    return agreement(*grants, version=2, **terms)


def ground_of(found):
    """(layer, operation) -> square kilometres gained and lost."""
    return {
        (layer, one.operation.value): (round(one.gained.km2), round(one.lost.km2))
        for each in found.layers for layer in each.layers for one in each.operations
    }


def values_of(found, dimension):
    return {(one.turn.value, one.value): round(one.ground.km2) for each in found.layers for one in each.values if one.dimension == dimension}


# Brute force: at any point, by any request, gained is what the new agreements show and the old do not

OPERATIONS = [Operation.GET_MAP, Operation.GET_TILE, Operation.GET_FEATURE_INFO, Operation.DOWNLOAD]


def questions(chance, facts, grantee, attributes):
    """Requests of every layer, operation, scale and set of attributes, with the rest at random."""
    for one, operation, scale, named in itertools.product(facts, OPERATIONS, (999.0, 7142.9, 10_000.0, 10_000.5, 60_000.0), attributes):
        yield OverlayRequest(
            agency=grantee, layer=one.name, edition=one.edition, owner=one.owner, product=one.product, is_latest=one.is_latest,
            classification=one.classification, operation=operation, scale_denominator=scale, attributes=named,
            at=NOON + timedelta(days=chance.choice([0, 0, 0, 5, 20])), networks=chance.choice(NETWORKS), purpose=chance.choice(["flood", "planning", "else"]),
            app=chance.choice(["desk", "else"]), format=chance.choice(["image/png", "else"]), crs=chance.choice(["EPSG:4549", "else"]),
            style=chance.choice(["default", "else"]),
        )


NETWORKS = [frozenset({"10.0.0.0/8", "10.1.0.0/16"}), frozenset({"10.0.0.0/8", "10.1.0.0/16"}), frozenset({"10.0.0.0/8"}), frozenset()]


def inside(geometry, points):
    return [bool(found) for found in shapely.contains_xy(geometry, points)]


def check_by_points(before, after, facts, grantee, points, chance, attributes):
    """Compares, and returns how many were compared and how many of them were gained or lost."""
    found = difference(before, after, grantee=grantee, km2=km2, layers=facts)
    by_layer = {fact: one for one in found.layers for fact in one.facts}
    compared = differing = 0
    for request in questions(chance, facts, grantee, attributes):
        seen_before, seen_after = (decide(request, side) for side in (before, after))
        old, new = (inside(one.area.geometry, points) if one.area else [False] * len(points) for one in (seen_before, seen_after))
        fact = next(one for one in facts if (one.name, one.edition) == (request.layer, request.edition))
        change = by_layer[fact].change_for(request) if fact in by_layer else None
        gained = inside(change.gained.geometry, points) if change else [False] * len(points)
        lost = inside(change.lost.geometry, points) if change else [False] * len(points)
        assert gained == [n and not o for o, n in zip(old, new, strict=True)], request
        assert lost == [o and not n for o, n in zip(old, new, strict=True)], request
        compared, differing = compared + len(points), differing + sum(gained) + sum(lost)
    return compared, differing, found


ATTRIBUTES = [frozenset(), frozenset({"a"}), frozenset({"b"}), frozenset({"a", "HYDL.b"})]
FACTS = (
    DOM, DEM, LayerFacts(name="dom", edition="2006", owner=BUREAU, product="DOM", is_latest=False),
    LayerFacts(name="photo", edition="1", owner=BUREAU, product="DOM", classification=1),
)


def random_world(chance, number=4):
    return tuple(in_earnest(random_agreement(chance, n)) for n in range(number))


def test_gained_and_lost_equal_brute_force_on_ten_thousand_points():
    """One amendment of several grants: 10,000 points x layers x operations x scales x attributes."""
    chance = random.Random(4549)
    old = in_earnest(toy_agreement(
        toy_grant(cells=set(CELLS[:6]), operations={"GetMap", "GetTile"}, scales=(1, 10_000), attributes={"a"}),
        toy_grant(cells=set(CELLS[4:9]), operations={"GetMap"}, layers={"dom", "dem"}, attributes={"b"}),
        toy_grant(cells={CELLS[11]}, layers={"dem@2011"}, pixels=(2.0, 10**9), attributes=None),
    ))
    new = replace(in_earnest(toy_agreement(
        toy_grant(cells=set(CELLS[2:7]), operations={"GetMap", "GetTile", "GetFeatureInfo"}, scales=(10_000, 10**6), attributes={"a", "b"}),
        toy_grant(cells=set(CELLS[4:8]), operations={"GetMap"}, layers={"dom"}, products={"DEM"}, attributes={"b"}, ceiling=0),
        toy_grant(cells={CELLS[11], CELLS[10]}, layers={"dem@latest"}, attributes={"a"}),
    )), version=2)
    points = [(chance.uniform(117.5, 122.5), chance.uniform(31.5, 35.5)) for _ in range(10_000)]
    compared, differing, found = check_by_points((old,), (new,), FACTS, "water", points, chance, ATTRIBUTES)
    assert compared == 10_000 * len(FACTS) * len(OPERATIONS) * 5 * len(ATTRIBUTES)
    assert differing > 100_000
    for one in found.layers:
        ever = {turn: shapely.union_all([getattr(change, turn).geometry for change in one.changes]) for turn in ("gained", "lost")}
        assert (one.gained.geometry - ever["gained"]).area == 0 and (one.lost.geometry - ever["lost"]).area == 0


def test_random_worlds_differ_as_brute_force_says():
    """Everything at once: suspensions, agreements under agreements, states, editions, products, networks ..."""
    differing = 0
    for seed in range(24):
        chance = random.Random(seed)
        before = random_world(chance)
        changed = [in_earnest(random_agreement(chance, n)) for n in range(4)]
        after = tuple(chance.choice([old, new]) for old, new in zip(before, changed, strict=True))
        points = [(118.5 + c, 32.5 + r) for c, r in CELLS]
        for grantee in ("water", "contractor", "helper"):
            differing += check_by_points(before, after, FACTS, grantee, points, chance, ATTRIBUTES)[1]
    assert differing > 2000


# What is no change

SAME = {
    "nothing": ([grant(area=BOTH)], [grant(area=BOTH)]),
    "another clause": ([grant()], [grant(clause="4.7")]),
    "ground that moves to another grant with the same terms": ([grant(area=BOTH)], [grant(), grant(clause="3.2", area=EAST)]),
    "ground that is granted twice": ([grant(area=BOTH)], [grant(area=BOTH), grant(clause="3.2", area=EAST)]),
    "a window in two": (
        [grant(scale=ScaleWindow(finest=1000, coarsest=50_000))],
        [grant(scale=ScaleWindow(finest=1000, coarsest=10_000)), grant(clause="3.2", scale=ScaleWindow(finest=10_000, coarsest=50_000))],
    ),
    "a scale said as metres a pixel": ([grant(scale=ScaleWindow(finest=10_000))], [grant(resolution=ResolutionWindow(finest=2.8))]),
    "operations in two": (
        [grant(operations=frozenset({Operation.GET_MAP, Operation.GET_TILE}))],
        [grant(operations=frozenset({Operation.GET_MAP})), grant(clause="3.2", operations=frozenset({Operation.GET_TILE}))],
    ),
    "a network in two halves": ([grant(networks=frozenset({"10.0.0.0/8"}))], [grant(networks=frozenset({"10.0.0.0/9", "10.128.0.0/9"}))]),
    "a network within another": ([grant(networks=frozenset({"10.0.0.0/8"}))], [grant(networks=frozenset({"10.0.0.0/8", "10.1.0.0/16"}))]),
    "an attribute of every class said again for one": (
        [grant(attributes=frozenset({"NAME"}))], [grant(attributes=frozenset({"NAME", "HYDL.NAME"}))],
    ),
    "a term that lies within the agreement's": ([grant()], [grant(term=Term(start=TERM.start, end=TERM.end))]),
    "a grant that is suspended": (
        [grant(area=BOTH, layers=frozenset({"dom"}))],
        [grant(area=BOTH, layers=frozenset({"dom"})), grant(clause="9", term=Term(start=TERM.start - timedelta(days=9), end=TERM.start))],
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_what_shows_the_same_is_no_change_however_it_is_written(name):
    old, new = SAME[name]
    assert compare(agreement(*old), amended(*new)).is_nothing
    assert compare(agreement(*new), amended(*old)).is_nothing


def test_a_network_in_two_halves_and_a_bit_is_a_change():
    found = compare(agreement(grant(networks=frozenset({"10.0.0.0/8"}))), amended(grant(networks=frozenset({"10.0.0.0/9", "11.0.0.0/8"}))))
    assert set(values_of(found, "network")) == {("gained", "11.0.0.0/8"), ("lost", "10.0.0.0/8")}


# What is a change

def test_ground_is_told_by_operation_with_its_square_kilometres():
    found = compare(agreement(grant(area=WEST)), amended(grant(area=EAST, operations=frozenset({Operation.GET_MAP, Operation.GET_TILE}))))
    assert ground_of(found) == {("dom", "GetMap"): (2500, 2500), ("dom", "GetTile"): (2500, 0)}
    assert (found.gained.geometry - EAST.geometry).area == 0 and (found.lost.geometry - WEST.geometry).area == 0
    assert not found.unchanged
    (one,) = found.layers
    assert (round(one.before_km2), round(one.after_km2), one.layers, one.turn) == (2500, 2500, ("dom",), Turn.CHANGED)


def test_layers_come_and_go():
    found = compare(agreement(grant()), amended(grant(layers=frozenset({"dem", "roads"}))))
    assert {one.layers: one.turn for one in found.layers} == {("dem", "roads"): Turn.GAINED, ("dom",): Turn.LOST}


def test_an_edition_is_told_apart_from_the_layer():
    known = (DOM, replace(DOM, edition="2006", is_latest=False))
    found = compare(agreement(grant()), amended(grant(layers=frozenset({"dom@2011"}))), layers=known)
    assert [one.layers for one in found.layers] == [("dom@*", "dom@2006", "dom@latest")]
    found = compare(agreement(grant(layers=frozenset({"dom@2011"}))), amended(grant(layers=frozenset({"dom@latest"}))), layers=known)
    assert {one.layers: one.turn for one in found.layers} == {("dom@latest",): Turn.GAINED}


def test_a_product_stands_for_the_layers_there_are_and_for_those_to_come():
    found = compare(agreement(grant()), amended(grant(layers=frozenset(), products=frozenset({"DOM", "DEM"}))))
    assert sorted(name for one in found.layers for name in one.layers) == ["DEM", "DOM", "dem"]


DIMENSIONS = {
    "operation": ({"operations": frozenset({Operation.GET_MAP})}, {"operations": frozenset({Operation.GET_MAP, Operation.DOWNLOAD})}, ["Download"]),
    "attribute": ({"attributes": frozenset({"NAME"})}, {"attributes": frozenset({"NAME", "HYDL.WIDTH"})}, ["HYDL.WIDTH"]),
    "format": ({"formats": frozenset({"image/png"})}, {"formats": None}, [OTHER]),
    "crs": ({"crs": frozenset({"EPSG:4549"})}, {"crs": frozenset({"EPSG:4549", "EPSG:3857"})}, ["EPSG:3857"]),
    "style": ({"styles": frozenset({"default"})}, {"styles": frozenset({"default", "relief"})}, ["relief"]),
    "purpose": ({"purposes": frozenset({"flood"})}, {"purposes": frozenset({"flood", "planning"})}, ["planning"]),
    "app": ({"apps": frozenset({"desk"})}, {"apps": None}, [OTHER]),
    "network": ({"networks": frozenset({"10.0.0.0/8"})}, {"networks": frozenset({"10.0.0.0/8", "2001:db8::/32"})}, ["2001:db8::/32"]),
}


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_what_is_possible_on_the_same_ground_is_gained_and_lost_by_its_own_name(dimension):
    narrow, wide, words = DIMENSIONS[dimension]
    found = compare(agreement(grant(**narrow)), amended(grant(**wide)))
    assert values_of(found, dimension) == {("gained", word): 2500 for word in words}
    assert not found.gained and not found.lost
    assert values_of(compare(agreement(grant(**wide)), amended(grant(**narrow))), dimension) == {("lost", word): 2500 for word in words}
    assert {one.dimension for each in found.layers for one in each.values} == {dimension}


def test_a_scale_window_is_widened_at_one_end_and_narrowed_at_the_other():
    found = compare(
        agreement(grant(scale=ScaleWindow(finest=5000, coarsest=50_000))), amended(grant(scale=ScaleWindow(finest=10_000, coarsest=100_000))),
    )
    assert values_of(found, "scale") == {
        ("gained", Span(50_000, 100_000, has_low=False)): 2500, ("lost", Span(5000, 10_000, has_high=False)): 2500,
    }


def test_a_longer_term_is_time_gained_and_no_ground():
    found = compare(agreement(grant()), amended(grant(), term=Term(start=TERM.start, end=at(2030, 1, 1))))
    assert values_of(found, "at") == {("gained", Span(at(2029, 1, 1), at(2030, 1, 1), has_high=False)): 2500}


def test_an_amendment_for_next_year_leaves_this_year_as_it_is():
    found = compare(agreement(grant(area=WEST)), amended(grant(area=EAST), term=Term(start=at(2027, 1, 1), end=TERM.end)))
    (change,) = found.layers[0].changes
    assert change.at == (Span(at(2027, 1, 1), at(2029, 1, 1), has_high=False),)
    assert ground_of(found) == {("dom", "GetMap"): (2500, 2500)}


def test_attributes_that_can_no_longer_be_asked_together_are_a_loss_although_each_is_still_told():
    together, apart = grant(attributes=frozenset({"a", "b"})), [grant(attributes=frozenset({"a"})), grant(clause="3.2", attributes=frozenset({"b"}))]
    found = compare(agreement(together), amended(*apart))
    (change,) = found.layers[0].changes
    assert (change.attributes.values, round(change.lost.km2)) == (frozenset({frozenset({"a", "b"})}), 2500)
    assert not found.layers[0].values
    assert [line.text for line in sentences(found, "en")] == [
        "`dom`: GetMap; 2026-01-01 to 2028-12-31; attribute `a`+`b`: no longer possible on 2,500.0 km2",
    ]


OBLIGATIONS = {
    "degrade": ({"degrade": 10.0}, {"degrade": 25.0}, (("10",), ("25",)), Turn.LOST),
    "degrade from nothing": ({}, {"degrade": 25.0}, (None, ("25",)), Turn.LOST),
    "rows": ({"rows": "CC = 1"}, {}, (("CC = 1",), None), Turn.GAINED),
    "rows of another kind": ({"rows": "CC = 1"}, {"rows": "CC = 2"}, (("CC = 1",), ("CC = 2",)), Turn.CHANGED),
}


@pytest.mark.parametrize("name", OBLIGATIONS)
def test_what_goes_with_the_data_is_told_on_the_ground_that_stays(name):
    before, after, words, turn = OBLIGATIONS[name]
    layers = frozenset({"dlg" if name.startswith("rows") else "dem"})
    found = compare(agreement(grant(area=WEST, layers=layers, **before)), amended(grant(area=BOTH, layers=layers, **after)))
    (one,) = found.layers[0].obligations
    assert (one.name, one.before, one.after, one.turn, round(one.ground.km2)) == (name.split()[0], *words, turn, 2500)


def test_a_mark_is_told_and_is_neither_gain_nor_loss():
    found = compare(agreement(), amended(mark=Mark(text="water only")))
    (one,) = found.layers[0].obligations
    assert (one.before, one.after, one.turn) == (None, ("water only (tiled, 0.25)",), Turn.CHANGED)


def test_coarser_cells_on_a_part_are_told_for_that_part_alone():
    old = agreement(grant(area=BOTH, degrade=10.0))
    new = amended(grant(area=WEST, degrade=10.0), grant(clause="3.2", area=EAST, degrade=25.0))
    (one,) = compare(old, new).layers[0].obligations
    assert (one.ground.geometry - EAST.geometry).area == 0 and round(one.ground.km2) == 2500


def test_a_finer_grant_over_a_coarser_one_is_what_counts():
    old = agreement(grant(area=BOTH, degrade=25.0), grant(clause="3.2", area=WEST, degrade=10.0))
    assert compare(old, amended(grant(area=EAST, degrade=25.0), grant(clause="3.2", area=WEST, degrade=10.0))).is_nothing


def test_quota_and_rate_are_told_by_amount():
    def quota(requests, rate=None, **others):
        return Quota(limits=(Limit(measure=Measure.REQUESTS, window=Window.DAY, most=requests),), rate=rate, **others)

    found = compare(agreement(quota=quota(5000, Rate(per_second=20))), amended(quota=quota(10_000, export_km2=25.0)))
    assert {(one.name, one.window): (one.before, one.after, one.turn) for one in found.amounts} == {
        ("requests", "day"): (5000, 10_000, Turn.GAINED), ("rate", ""): (20, None, Turn.GAINED), ("burst", ""): (200, None, Turn.GAINED),
        ("export_km2", ""): (None, 25.0, Turn.LOST),
    }


def test_what_no_request_depends_on_is_named():
    party = Party(agency="water", role="user", contacts=(Contact(name="the desk"),))
    found = compare(agreement(), amended(contact="another office", record=Record(parties=(party,))))
    assert (found.texts, found.layers) == (("contact", "record.parties"), ())


def test_map_sheets_are_named_where_their_ground_is_gained_or_lost(gazetteer):
    old, new = (area_of({"sheets": numbers}, gazetteer) for numbers in (["I50G095077"], ["I50G095078"]))
    helpers = {"frame": gazetteer.sheet, "touching": lambda geometry: [n for n, frame in gazetteer.sheets.items() if (frame & geometry).area > 0]}
    (one,) = compare(agreement(grant(area=old)), amended(grant(area=new)), **helpers).layers
    assert (one.sheets_gained, one.sheets_lost, one.sheets_touched) == (("I50G095078",), ("I50G095077",), ("I50G095077", "I50G095078"))
    wide = agreement(grant(area=WEST))
    (one,) = compare(wide, amended(grant(area=new)), **helpers).layers
    assert (one.sheets_gained, one.sheets_lost) == ((), ())          # its ground was seen before


def test_a_child_loses_what_its_parent_loses():
    child = agreement(grant(area=BOTH), agreement_id="AG-2", grantor="water", grantee="contractor", parent="AG-1")
    before, after = (agreement(grant(area=BOTH)), child), (agreement(grant(area=WEST)), child)
    found = difference(before, after, grantee="contractor", km2=km2, layers=(DOM,))
    assert ground_of(found) == {("dom", "GetMap"): (0, 2500)}


def test_ground_that_is_suspended_is_lost_for_as_long():
    stopped = amended(suspensions=(suspension(until=at(2026, 7, 1), area=WEST),))
    (change,) = compare(agreement(), stopped).layers[0].changes
    assert change.at == (Span(at(2026, 6, 1), at(2026, 7, 1), has_high=False),)


def test_a_new_agreement_gains_all_and_one_that_is_taken_back_loses_all():
    assert ground_of(compare(None, agreement())) == {("dom", "GetMap"): (2500, 0)}
    found = compare(agreement(), None)
    assert (ground_of(found), found.agreements_lost) == ({("dom", "GetMap"): (0, 2500)}, ("AG-1",))


def test_only_ground_where_a_layer_has_data_is_counted():
    everywhere = area_of({"everywhere": True}, None)
    small = (replace(DOM, extent=WEST.geometry),)
    found = compare(agreement(grant(area=box(118.0, 32.0, 118.25, 32.5))), amended(grant(area=everywhere)), layers=small)
    assert {one.layers: round(one.gained.km2) for one in found.layers} == {("dom",): 1250}


def test_an_agency_s_own_layers_are_no_part_of_it():
    assert compare(None, agreement(grantee="police"), layers=(replace(DOM, owner="police"),)).layers == ()


def test_two_hundred_layers_that_are_granted_alike_are_asked_once():
    many = tuple(replace(DOM, name=f"layer-{n}") for n in range(200))
    names = frozenset(one.name for one in many)
    (one,) = compare(agreement(grant(layers=names)), amended(grant(layers=names, area=BOTH)), layers=many).layers
    assert len(one.layers) == 200 and round(one.gained.km2) == 2500


# In words

def rich():
    old = agreement(
        grant(area=WEST, scale=ScaleWindow(finest=5000), attributes=frozenset({"NAME"}), degrade=10.0),
        grant(clause="3.2", layers=frozenset({"dem", "dlg"})),
        quota=Quota(limits=(Limit(measure=Measure.GROUND, window=Window.MONTH, most=100, resolution=2.0),)),
    )
    new = amended(
        grant(area=BOTH, scale=ScaleWindow(finest=10_000), attributes=None, degrade=25.0),
        grant(clause="3.4", layers=frozenset({"dlg"}), rows="CC = 1"),
        grant(clause="3.3", layers=frozenset({"roads"}), operations=frozenset({Operation.GET_MAP, Operation.GET_TILE})), contact="another office",
        mark=Mark(text="water"), term=Term(start=TERM.start, end=at(2030, 1, 1)),
    )
    return compare(old, new)


def test_a_difference_is_told_in_plain_sentences():
    assert [(line.turn.value, line.text) for line in sentences(rich(), "en")] == [
        ("lost", "`dem` can no longer be seen: 2,500.0 km2, by GetMap"),
        ("gained", "`dlg`: time 2029-01-01 to 2029-12-31 on 2,500.0 km2, not possible before"),
        ("changed", "`dlg`: the mark water (tiled, 0.25) instead of no mark, on 2,500.0 km2"),
        ("lost", "`dlg`: only rows where CC = 1 instead of all rows, on 2,500.0 km2"),
        ("gained", "`dom`: 2,500.0 km2 of ground more"),
        ("gained", "`dom`: time 2029-01-01 to 2029-12-31 on 2,500.0 km2, not possible before"),
        ("lost", "`dom`: scale 1:5,000 to 1:10,000 on 2,500.0 km2, no longer possible"),
        ("gained", "`dom`: attribute any other on 2,500.0 km2, not possible before"),
        ("lost", "`dom`: cells no finer than 25 m instead of cells no finer than 10 m, on 2,500.0 km2"),
        ("changed", "`dom`: the mark water (tiled, 0.25) instead of no mark, on 2,500.0 km2"),
        ("gained", "`roads` can be seen: 2,500.0 km2, by GetMap, GetTile"),
        ("gained", "agreement `AG-1`: km2 of ground a month (pixels of 2 m or finer) without limit, was 100"),
        ("changed", "otherwise worded, and no request depends on it: contact"),
    ]


def test_the_same_is_told_in_chinese():
    told = sentences(rich(), "zh")
    assert [line.turn for line in told] == [line.turn for line in sentences(rich(), "en")]
    assert told[4].text == "`dom`：范围增加 2,500.0 平方千米"
    assert told[-1].text == "仅文字变更，不影响任何请求：联系方式"
    assert not any("{" in line.text for line in told)


def test_nothing_is_said_in_one_sentence():
    assert [line.text for line in sentences(compare(agreement(), amended()), "en")] == ["nothing changes: every request is answered as before"]


def test_both_languages_know_the_same_words():
    english, chinese = SPOKEN["en"], SPOKEN["zh"]
    assert english.keys() == chinese.keys()
    for name in ("dimensions", "amounts", "windows"):
        assert english[name].keys() == chinese[name].keys()
    assert set(english["amounts"]) == {"rate", "burst", "export_km2", *(measure.value for measure in Measure)}
    record = {f"record.{one.name}" for one in dataclasses.fields(Record)}
    plain = {one.name for one in dataclasses.fields(Agreement)} - ENFORCED
    assert set(chinese["fields"]) >= record | plain


def test_a_state_that_does_not_count_shows_nothing():
    before, after = (agreement(),), (agreement(state=State.TERMINATED),)
    assert ground_of(difference(before, after, grantee="water", km2=km2, layers=(DOM,))) == {("dom", "GetMap"): (0, 2500)}
