"""The kinds of requests: every term of a grant has its dimension, and a request of every kind is among the cells."""

import math

import pytest
from small_world import NOON, agreement, at, grant, request

from agreements.compare.cells import DIMENSIONS, OTHER, LayerFacts, Span, cells, joined_spans, layers_named, rules_of, stops_of, top_of
from agreements.model import BUREAU, METRES_AT_ONE, ResolutionWindow, ScaleWindow, Term
from agreements.terms import TERMS, ceiling_term, kind_term, layer_term, owner_term, quota_term, state_term

OF_THE_LAYER_OR_THE_AGREEMENT = {layer_term, owner_term, state_term, ceiling_term, kind_term, quota_term}
"""Terms that do not look at what a request asks of a layer."""


def test_every_term_that_looks_at_a_request_has_a_dimension():
    """A new term without one would be overlooked by differences and proofs."""
    assert {term for dimension in DIMENSIONS for term in dimension.terms} == set(TERMS) - OF_THE_LAYER_OR_THE_AGREEMENT


def kinds(field, *grants, since=None, **terms):
    held = [agreement(*grants, **terms)]
    position = next(at for at, dimension in enumerate(DIMENSIONS) if dimension.field == field)
    found = [kind for cell in cells(rules_of(held), stops_of(held), request(), since) for box in cell.boxes for kind in box[position]]
    return list(dict.fromkeys(found))


def means(field, *grants, **terms):
    return {kind.means for kind in kinds(field, *grants, **terms)}


def test_without_a_term_every_value_is_of_one_kind():
    for field in ("scale_denominator", "format", "crs", "style", "purpose", "app", "networks"):
        assert len(kinds(field, grant())) == 1


def test_the_ends_of_windows_are_kinds_of_their_own():
    found = means("scale_denominator", grant(scale=ScaleWindow(finest=5000)), grant(clause="2", scale=ScaleWindow(coarsest=5000)))
    assert found == {Span(None, 5000, has_high=False), Span(5000, 5000), Span(5000, None, has_low=False, has_high=False)}


@pytest.mark.parametrize("metres", [0.3, 1.0, 2.8, 7.7, 0.1 + 0.2])
def test_the_edge_of_a_resolution_is_exact(metres):
    (finest,) = [span.low for span in means("scale_denominator", grant(resolution=ResolutionWindow(finest=metres))) if span.low == span.high]
    (coarsest,) = [span.low for span in means("scale_denominator", grant(resolution=ResolutionWindow(coarsest=metres))) if span.low == span.high]
    assert finest * METRES_AT_ONE >= metres > math.nextafter(finest, 0) * METRES_AT_ONE
    assert coarsest * METRES_AT_ONE <= metres < math.nextafter(coarsest, math.inf) * METRES_AT_ONE


def test_attributes_are_asked_together_where_fewer_tell_them_together():
    a, b = grant(attributes=frozenset({"a"})), grant(clause="2", attributes=frozenset({"b"}))
    assert means("attributes", a, b) == {frozenset(), frozenset({"a"}), frozenset({"b"})}
    both = grant(clause="3", attributes=frozenset({"a", "b"}))
    assert frozenset({"a", "b"}) in means("attributes", a, b, both)
    assert means("attributes", grant(attributes=None)) == {frozenset(), frozenset({OTHER})}


def test_a_network_is_asked_from_where_no_smaller_one_begins():
    found = {kind.means: kind.value for kind in kinds("networks", grant(networks=frozenset({"10.0.0.0/8", "10.1.0.0/16"})))}
    assert found == {"10.0.0.0/8": frozenset({"10.0.0.0/8"}), "10.1.0.0/16": frozenset({"10.0.0.0/8", "10.1.0.0/16"})}
    assert means("networks", grant(networks=frozenset({"10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9"}))) == {"10.0.0.0/9", "10.128.0.0/9"}
    assert means("networks", grant(networks=frozenset({"not a network"}))) == {"not a network"}


def test_time_is_cut_at_every_beginning_and_end():
    term = Term(start=at(2026, 1, 1), end=at(2027, 1, 1))
    assert means("at", grant(term=Term(end=at(2026, 6, 1))), grant(clause="2"), term=term) == {
        Span(at(2026, 1, 1), at(2026, 6, 1), has_high=False), Span(at(2026, 6, 1), at(2027, 1, 1), has_high=False),
    }
    assert means("at", grant(), term=term, since=NOON) == {Span(NOON, at(2027, 1, 1), has_high=False)}
    assert means("at", grant(), term=Term()) == {Span(None, None)}


def test_spans_that_touch_are_joined_where_the_edge_belongs_to_one_of_them():
    assert joined_spans([Span(1, 2, has_high=False), Span(2, 3)]) == (Span(1, 3),)
    assert joined_spans([Span(1, 2, has_high=False), Span(2, 3, has_low=False)]) == (
        Span(1, 2, has_high=False), Span(2, 3, has_low=False),
    )


def test_no_request_is_in_two_cells():
    grants = [grant(scale=ScaleWindow(finest=5000), attributes=frozenset({"a"})), grant(clause="2", formats=frozenset({"image/png"}), attributes=None)]
    held = [agreement(*grants)]
    every = [
        combination for cell in cells(rules_of(held), (), request()) for box in cell.boxes for combination in _combinations(box)
    ]
    assert len(every) == len(set(every))


def _combinations(box):
    found = [()]
    for some in box:
        found = [(*one, kind) for one in found for kind in some]
    return found


# Layers

def test_layers_that_are_named_and_not_known_are_thought_of_with_editions_to_come():
    held = [agreement(grant(layers=frozenset({"dom@2011", "dem"}), editions=frozenset({"2006", "latest"})))]
    found = {(one.name, one.edition, one.is_latest) for one in layers_named(held)}
    assert found == {(name, edition, latest) for name, editions in (("dom", ("2006", "2011", OTHER)), ("dem", ("2006", OTHER)))
                     for edition in editions for latest in (True, False)}


def test_layers_that_are_known_keep_their_facts():
    known = LayerFacts(name="dom", edition="2011", owner="police", product="DOM", classification=2)
    found = layers_named([agreement(grant())], [known])
    assert known in found
    assert {(one.owner, one.product, one.classification) for one in found} == {("police", "DOM", 2)}


def test_who_shares_in_the_end_is_at_the_top():
    top = agreement(agreement_id="A", grantor=BUREAU, grantee="water")
    middle = agreement(agreement_id="B", grantor="water", grantee="contractor", parent="A")
    low = agreement(agreement_id="C", grantor="contractor", grantee="helper", parent="B")
    assert [top_of(one, (top, middle, low)) for one in (top, middle, low)] == [BUREAU] * 3
    assert top_of(low, ()) == "contractor"
    ring = agreement(agreement_id="A", grantor="x", parent="A")
    assert top_of(ring, (ring,)) == "x"
