"""An agreement under another: proven to pass on nothing more, or told what; held against deciding."""

import random
from dataclasses import replace
from datetime import date, timedelta

import pytest
import shapely
from small_world import BOTH, EAST, TERM, WEST, agreement, at, box, grant
from test_difference import FACTS, questions
from test_model_check import random_grant
from toy_world import earnest_grant

from agreements.areas import area_of
from agreements.compare.cells import LayerFacts
from agreements.compare.subset import GapCode, are_rows_within, conjuncts, gaps
from agreements.compare.subset_words import SENTENCES, sentence
from agreements.decision import decide
from agreements.model import BUREAU, Operation, ResolutionWindow, ScaleWindow, State, Term
from agreements.quota import Limit, Measure, Quota, Rate, Window
from agreements.record import Contractor, Party, Record, UnitScope, UseLimits

LETS_ANYBODY = Record(use=UseLimits(third_party=True))


def km2(geometry):
    return geometry.area * 10_000


def parent(*grants, **terms):
    return agreement(*grants, **{"agreement_id": "AG-UP", "record": LETS_ANYBODY, **terms})


def child(*grants, **terms):
    return agreement(*grants, **{"agreement_id": "AG-DOWN", "grantor": "water", "grantee": "contractor", "parent": "AG-UP", **terms})


def codes(*args, **others):
    return [gap.code.value for gap in gaps(*args, km2=km2, **others)]


# Proven

WITHIN = {
    "the same": ([grant()], [grant()]),
    "less ground": ([grant(area=BOTH)], [grant(area=WEST)]),
    "ground of two grants together": ([grant(area=WEST), grant(clause="3.2", area=EAST)], [grant(area=BOTH)]),
    "layers of two grants": (
        [grant(layers=frozenset({"dom"})), grant(clause="3.2", layers=frozenset({"dem"}))], [grant(layers=frozenset({"dom", "dem"}))],
    ),
    "scales of two grants": (
        [grant(scale=ScaleWindow(coarsest=10_000)), grant(clause="3.2", scale=ScaleWindow(finest=10_000))],
        [grant(scale=ScaleWindow(finest=5000, coarsest=50_000))],
    ),
    "one edition of all": ([grant()], [grant(layers=frozenset({"dom@2011"}))]),
    "one edition said otherwise": ([grant(layers=frozenset({"dom@2011"}))], [grant(editions=frozenset({"2011"}))]),
    "a product": ([grant(layers=frozenset(), products=frozenset({"DOM"}))], [grant(layers=frozenset(), products=frozenset({"DOM"}))]),
    "fewer attributes": ([grant(attributes=frozenset({"NAME"}))], [grant(attributes=frozenset({"HYDL.NAME"}))]),
    "a network within": ([grant(networks=frozenset({"10.0.0.0/8"}))], [grant(networks=frozenset({"10.1.0.0/16"}))]),
    "a purpose of several": ([grant(purposes=frozenset({"flood", "planning"}))], [grant(purposes=frozenset({"flood"}))]),
    "an application of any": ([grant()], [grant(apps=frozenset({"desk"}))]),
    "coarser cells": ([grant(degrade=10.0)], [grant(degrade=25.0)]),
    "fewer rows": ([grant(rows="CC = 1")], [grant(rows="CC = 1 AND KIND = 'a'")]),
    "a lower ceiling": ([grant(ceiling=2)], [grant(ceiling=1)]),
    "a shorter term": ([grant()], [grant(term=Term(end=at(2027, 1, 1)))]),
    "pixels for scales": ([grant(scale=ScaleWindow(finest=10_000))], [grant(resolution=ResolutionWindow(finest=2.8))]),
    "nothing at all": ([grant()], [grant(term=Term(start=at(2020, 1, 1), end=at(2020, 1, 1)))]),
}


@pytest.mark.parametrize("name", WITHIN)
def test_what_the_parent_grants_can_be_passed_on(name):
    above, below = WITHIN[name]
    assert gaps(child(*below), [parent(*above)]) == ()


# Not proven

BEYOND = {
    "more ground": ([grant(area=WEST)], [grant(area=BOTH)], "outside-area"),
    "other ground": ([grant(area=WEST)], [grant(area=EAST)], "outside-area"),
    "another layer": ([grant()], [grant(layers=frozenset({"dom", "dem"}))], "layer-not-granted"),
    "all editions of one": ([grant(layers=frozenset({"dom@2011"}))], [grant()], "layer-not-granted"),
    "the latest of one": ([grant(layers=frozenset({"dom@2011"}))], [grant(layers=frozenset({"dom@latest"}))], "layer-not-granted"),
    "another product": ([grant(layers=frozenset(), products=frozenset({"DOM"}))], [grant(layers=frozenset(), products=frozenset({"DEM"}))],
                        "layer-not-granted"),
    "a product for a layer": ([grant()], [grant(layers=frozenset(), products=frozenset({"DOM"}))], "layer-not-granted"),
    "a higher ceiling": ([grant(ceiling=1)], [grant(ceiling=2)], "above-ceiling"),
    "no ceiling": ([grant(ceiling=1)], [grant()], "above-ceiling"),
    "another operation": ([grant()], [grant(operations=frozenset({Operation.GET_MAP, Operation.DOWNLOAD}))], "operation-not-granted"),
    "finer scales": ([grant(scale=ScaleWindow(finest=10_000))], [grant(scale=ScaleWindow(finest=5000))], "outside-scale"),
    "coarser scales": ([grant(scale=ScaleWindow(coarsest=10_000))], [grant()], "outside-scale"),
    "finer pixels": ([grant(resolution=ResolutionWindow(finest=2.0))], [grant(resolution=ResolutionWindow(finest=1.0))], "outside-resolution"),
    "a wider network": ([grant(networks=frozenset({"10.1.0.0/16"}))], [grant(networks=frozenset({"10.0.0.0/8"}))], "network-not-granted"),
    "any network": ([grant(networks=frozenset({"10.1.0.0/16"}))], [grant()], "network-not-granted"),
    "another purpose": ([grant(purposes=frozenset({"flood"}))], [grant(purposes=frozenset({"planning"}))], "purpose-not-granted"),
    "another application": ([grant(apps=frozenset({"desk"}))], [grant()], "app-not-granted"),
    "another format": ([grant(formats=frozenset({"image/png"}))], [grant()], "format-not-granted"),
    "another CRS": ([grant(crs=frozenset({"EPSG:4549"}))], [grant(crs=frozenset({"EPSG:3857"}))], "crs-not-granted"),
    "another style": ([grant(styles=frozenset({"default"}))], [grant(styles=frozenset({"relief"}))], "style-not-granted"),
    "more attributes": ([grant(attributes=frozenset({"NAME"}))], [grant(attributes=frozenset({"NAME", "WIDTH"}))], "attribute-not-granted"),
    "an attribute of every class": ([grant(attributes=frozenset({"HYDL.NAME"}))], [grant(attributes=frozenset({"NAME"}))], "attribute-not-granted"),
    "all attributes": ([grant(attributes=frozenset({"NAME"}))], [grant(attributes=None)], "attribute-not-granted"),
    "other rows": ([grant(rows="CC = 1")], [grant(rows="CC = 2")], "rows-not-within"),
    "all rows": ([grant(rows="CC = 1")], [grant()], "rows-not-within"),
    "finer cells": ([grant(degrade=25.0)], [grant(degrade=10.0)], "finer-than-granted"),
    "cells as they are": ([grant(degrade=25.0)], [grant()], "finer-than-granted"),
    "a longer term": ([grant()], [grant()], "not-in-force"),
    "the cross product": (
        [grant(area=WEST, attributes=frozenset({"a"})), grant(clause="3.2", area=EAST, attributes=frozenset({"b"}))],
        [grant(area=BOTH, attributes=frozenset({"a", "b"}))], "attribute-not-granted",
    ),
    "attributes that no clause grants together": (
        [grant(attributes=frozenset({"a"})), grant(clause="3.2", attributes=frozenset({"b"}))], [grant(attributes=frozenset({"a", "b"}))],
        "attribute-not-granted",
    ),
    "the cross product of scale and layer": (
        [grant(scale=ScaleWindow(finest=10_000)), grant(clause="3.2", layers=frozenset({"dem"}), scale=ScaleWindow(finest=5000))],
        [grant(layers=frozenset({"dom", "dem"}), scale=ScaleWindow(finest=5000))], "outside-scale",
    ),
}


@pytest.mark.parametrize("name", BEYOND)
def test_what_the_parent_does_not_grant_is_told(name):
    above, below, code = BEYOND[name]
    term = Term(start=TERM.start, end=TERM.end + timedelta(days=1)) if name == "a longer term" else TERM
    assert codes(child(*below, term=term), [parent(*above)]) == [code]


def test_ground_that_is_left_over_is_told_with_its_square_kilometres():
    (gap,) = gaps(child(grant(area=box(118.0, 32.0, 118.75, 32.5))), [parent(grant(area=WEST))], km2=km2)
    assert (gap.clause, gap.layers, round(gap.km2)) == ("3.1", ("dom",), 1250)
    assert (gap.geometry - EAST.geometry).area == 0
    assert sentence(gap, "en") == "clause 3.1 grants ground of `dom` that the agreement above does not: 1,250.0 km2"
    assert sentence(gap, "zh") == "第 3.1 条授予 `dom` 的范围超出上级协议：1,250.0 平方千米"


def test_values_are_told_as_they_would_be_written():
    above = parent(grant(attributes=frozenset({"a"}), scale=ScaleWindow(finest=10_000), networks=frozenset({"10.1.0.0/16"})))
    below = child(grant(attributes=frozenset({"a", "b"}), scale=ScaleWindow(finest=5000), networks=frozenset({"10.0.0.0/8"})))
    told = [sentence(gap, "en") for gap in gaps(below, [above])]
    assert told == [
        "clause 3.1 grants the scales 1:5,000 to 1:10,000 of `dom`, which the agreement above does not",
        "clause 3.1 counts from networks from which the agreement above does not: `10.0.0.0/8` (`dom`)",
        "clause 3.1 grants the attributes `b` of `dom`, which no clause above grants together there",
    ]


def test_a_longer_term_is_told_by_its_days():
    (gap,) = gaps(child(term=Term(start=TERM.start, end=at(2030, 1, 1))), [parent()])
    assert sentence(gap, "en") == "clause 3.1 counts when the agreement above does not: 2029-01-01 to 2029-12-31 (`dom`)"


def test_an_amended_parent_counts_version_by_version():
    old, new = parent(replaced=at(2027, 1, 1)), parent(grant(area=BOTH), version=2, term=Term(start=at(2027, 1, 1), end=TERM.end))
    assert gaps(child(), [old, new]) == ()
    assert codes(child(grant(area=BOTH)), [old, new]) == ["not-in-force"]      # what would cover the east begins in 2027
    assert gaps(child(grant(area=BOTH, term=Term(start=at(2027, 1, 1)))), [old, new]) == ()


def test_layers_of_the_grantor_himself_need_no_parent():
    known = (LayerFacts(name="gauges", edition="1", owner="water"),)
    both = child(grant(layers=frozenset({"dom", "gauges"})))
    assert codes(both, [parent()]) == ["layer-not-granted"]
    assert gaps(both, [parent()], layers=known) == ()


def test_a_layer_of_the_catalogue_is_known_by_its_product():
    photos = parent(grant(layers=frozenset(), products=frozenset({"DOM"})))
    assert codes(child(), [photos]) == ["layer-not-granted"]
    assert gaps(child(), [photos], layers=FACTS) == ()
    assert codes(child(grant(layers=frozenset({"dem"}))), [photos], layers=FACTS) == ["layer-not-granted"]


def test_what_the_parent_passes_on_itself_can_be_passed_on():
    middle = parent(grantor="province", grantee="water", parent="AG-TOP")
    assert gaps(child(), [middle], layers=FACTS) == ()


def test_a_parent_shares_only_what_it_owns():
    assert codes(child(), [parent(grantor="police")], layers=FACTS) == ["layer-not-granted"]


# Parties

def test_without_the_parent_nothing_is_proven():
    assert codes(child(), []) == codes(child(), [parent(agreement_id="AG-OTHER")]) == codes(child(parent=None), [parent()]) == ["no-parent"]


def test_only_the_grantee_of_the_parent_can_pass_it_on():
    assert codes(child(grantor="police"), [parent()]) == ["not-its-grantee"]


RECIPIENTS = {
    "nobody": (UseLimits(), False),
    "anybody": (UseLimits(third_party=True), True),
    "another contractor": (UseLimits(contractors=(Contractor(name="somebody"),)), False),
    "the contractor by its id": (UseLimits(contractors=(Contractor(name="contractor"),)), True),
    "the contractor by its name": (UseLimits(contractors=(Contractor(name="某测绘有限公司"),)), True),
    "a subordinate unit": (UseLimits(unit_scope=UnitScope.NAMED, sub_units=("contractor",)), True),
    "a subordinate unit where the unit alone is licensed": (UseLimits(sub_units=("contractor",)), False),
}


@pytest.mark.parametrize("name", RECIPIENTS)
def test_it_is_passed_on_only_to_whom_the_parent_names(name):
    use, is_allowed = RECIPIENTS[name]
    named = Record(parties=(Party(agency="contractor", role="user", legal_name="某测绘有限公司"),))
    assert codes(child(record=named), [parent(record=Record(use=use))]) == ([] if is_allowed else ["recipient-not-named"])


def test_a_contractor_has_nothing_after_the_day_by_which_he_destroys_it():
    use = UseLimits(contractors=(Contractor(name="contractor", destroy_by=date(2027, 6, 30)),))
    above = parent(record=Record(use=use))
    assert codes(child(), [above]) == ["after-destruction"]
    assert gaps(child(term=Term(start=TERM.start, end=at(2027, 7, 1))), [above]) == ()


# Quota

def quota(most, window=Window.DAY, measure=Measure.REQUESTS, resolution=None, **others):
    return Quota(limits=(Limit(measure=measure, window=window, most=most, resolution=resolution),), **others)


QUOTAS = {
    "as much": (quota(100), quota(100), True), "less": (quota(100), quota(50), True), "more": (quota(100), quota(101), False),
    "without limit": (quota(100), None, False), "limited below a parent without limit": (None, quota(100), True),
    "a month for a day": (quota(100), quota(100, Window.MONTH), True), "a day for a month": (quota(100, Window.MONTH), quota(100), False),
    "another measure": (quota(100), quota(100, measure=Measure.BYTES), False),
    "ground at any resolution": (quota(9, measure=Measure.GROUND, resolution=2.0), quota(9, measure=Measure.GROUND), True),
    "ground at a coarser resolution": (quota(9, measure=Measure.GROUND, resolution=2.0), quota(9, measure=Measure.GROUND, resolution=5.0), True),
    "ground at a finer resolution": (quota(9, measure=Measure.GROUND, resolution=2.0), quota(9, measure=Measure.GROUND, resolution=1.0), False),
    "slower": (Quota(rate=Rate(per_second=10)), Quota(rate=Rate(per_second=5)), True),
    "faster": (Quota(rate=Rate(per_second=10)), Quota(rate=Rate(per_second=11)), False),
    "a larger burst": (Quota(rate=Rate(per_second=10)), Quota(rate=Rate(per_second=10, burst=201)), False),
    "more exports": (Quota(export_km2=25.0), Quota(export_km2=26.0), False), "as many exports": (Quota(export_km2=25.0), Quota(export_km2=25.0), True),
}


@pytest.mark.parametrize("name", QUOTAS)
def test_the_quota_is_no_larger_than_the_parent_s(name):
    above, below, is_within = QUOTAS[name]
    assert codes(child(quota=below), [parent(quota=above)]) == ([] if is_within else ["quota"])


def test_a_quota_that_is_too_large_is_told():
    told = [sentence(gap, "en") for gap in gaps(child(), [parent(quota=quota(10_000))])]
    assert told == ["more than the quota above: requests a day, at most 10,000 there"]


# Rows

ROWS = {
    ("A = 1", "A = 1"): True, ("A  =  1", "A = 1"): True, ("(A = 1)", "A = 1"): True, ("A = 1 AND B = 2", "B = 2"): True,
    ("A = 1 and B = 2", "A = 1"): True, ("(A = 1 OR B = 2) AND C = 3", "A = 1 OR B = 2"): True, ("A = 1 AND (B = 2 AND C = 3)", "C = 3"): True,
    ("A = 1 AND B = 2 AND C = 3", "C = 3 AND A = 1"): True, ("A BETWEEN 1 AND 2 AND B = 3", "A BETWEEN 1 AND 2"): True,
    ("A = 1 OR B = 2", "A = 1"): False, ("A = 1 AND B = 2 OR C = 3", "A = 1"): False, ("A = 1", "A = 1 AND B = 2"): False,
    ("A BETWEEN 1 AND B = 3", "B = 3"): False, ("A = 'x AND B = 2'", "B = 2"): False, ("NOT (A = 1 AND B = 2)", "A = 1"): False,
    ("A = 'it''s' AND B = 2", "A = 'it''s'"): True, ("(A = 1) OR (B = 2)", "A = 1) OR (B = 2"): False, ('"AND" = 1 AND B = 2', '"AND" = 1'): True,
    ("NOT A = 1 AND B = 2", "A = 1"): False,
}


@pytest.mark.parametrize(("own", "above"), ROWS)
def test_rows_are_within_where_the_text_says_the_same_and_something_more(own, above):
    assert are_rows_within(own, above) is ROWS[own, above]


def test_a_text_that_is_no_conjunction_is_one_part():
    assert conjuncts("A = 1 OR B = 2 AND C = 3") == ["A = 1 OR B = 2 AND C = 3"]


# Proof against deciding

def alone(one, agency):
    """An agreement as if the bureau had made it with `agency`: what it would show if nothing stood above it."""
    return replace(one, grantor=BUREAU, grantee=agency, parent=None, state=State.ACTIVE)


def shows_more(below, above):
    """Whether a piece of one decision shows anything that no piece of the other, or several together, show of the same ground."""
    for piece in below.pieces:
        fitting = [
            other.area.geometry for other in above.pieces
            if (other.attributes is None or (piece.attributes is not None and piece.attributes <= other.attributes))
            and (other.degrade is None or (piece.degrade is not None and piece.degrade >= other.degrade)) and are_rows_within(piece.rows, other.rows)
        ]
        left = shapely.difference(piece.area.geometry, shapely.union_all(fitting)) if fitting else piece.area.geometry
        if left.area > 1e-9:
            return True
    return False


def narrower(chance, one):
    """A random grant within `one`, or nearly."""
    other = earnest_grant(0, random_grant(chance))
    picked = {name: getattr(other, name) for name in chance.sample(GRANT_TERMS, chance.choice([0, 1, 1, 2]))}
    return replace(one, clause=f"{chance.random():.6f}", **picked)


GRANT_TERMS = ["layers", "operations", "area", "scale", "attributes", "rows", "degrade", "networks", "purposes", "apps", "ceiling", "resolution", "editions"]
ATTRIBUTES = [frozenset(), frozenset({"a"}), frozenset({"b"}), frozenset({"a", "HYDL.b"})]


def test_what_is_proven_shows_nothing_more_and_what_is_not_shows_more_somewhere():
    """Random pairs: where nothing is told, no question of thousands shows the child anything that its parent does not show its own grantee."""
    chance, proven, refused, shown = random.Random(4490), 0, 0, 0
    for _ in range(160):
        above = parent(*(earnest_grant(n, random_grant(chance)) for n in range(chance.randint(1, 3))))
        below = child(*(narrower(chance, chance.choice(above.grants)) for _ in range(chance.randint(1, 2))))
        is_proven = not gaps(below, [above], layers=FACTS)
        more = 0
        for asked in chance.sample(list(questions(chance, FACTS, "x", ATTRIBUTES)), 50):
            own, theirs = decide(asked, [alone(below, "x")]), decide(asked, [alone(above, "x")])
            more += shows_more(own, theirs)
            shown += bool(own.pieces)
            if is_proven:
                assert not more, (asked, below.grants, above.grants)
        proven, refused = proven + is_proven, refused + (not is_proven and more > 0)
    assert proven > 40 and refused > 15 and shown > 300


def test_exact_gaps_are_found_where_a_question_shows_more():
    """The other way round: where some question shows more than the parent, a gap is told."""
    chance, found = random.Random(4549), 0
    for _ in range(150):
        above = parent(*(earnest_grant(n, random_grant(chance)) for n in range(2)))
        below = child(narrower(chance, above.grants[0]))
        asked = chance.sample(list(questions(chance, FACTS, "x", ATTRIBUTES)), 40)
        if any(shows_more(decide(one, [alone(below, "x")]), decide(one, [alone(above, "x")])) for one in asked):
            found += 1
            assert gaps(below, [above], layers=FACTS)
    assert found > 15


def test_every_gap_has_a_sentence_in_both_languages():
    assert set(SENTENCES["en"]) == set(SENTENCES["zh"]) == {*GapCode, "on"}
    for above, below, _ in BEYOND.values():
        for gap in gaps(child(*below, term=Term()), [parent(*above, quota=quota(5), record=Record())], km2=km2):
            assert all("{" not in sentence(gap, language) for language in ("zh", "en"))


def test_everywhere_is_within_everywhere_alone():
    everywhere = area_of({"everywhere": True}, None)
    assert gaps(child(grant(area=everywhere)), [parent(grant(area=everywhere))]) == ()
    assert codes(child(grant(area=everywhere)), [parent(grant(area=WEST))]) == ["outside-area"]
