"""Decisions over several agreements: whole grants OR-ed, suspensions above all, order never mattering."""

from dataclasses import replace
from datetime import timedelta

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from small_world import BOTH, EAST, NOON, TERM, WEST, agreement, at, box, grant, request
from worlds import FEW, agreements, children, grants, parents, requests, seen, suspension, suspensions

from agreements.areas import area_of
from agreements.decision import _Geometries, decide
from agreements.model import BUREAU, Area, Effect, Mark, Operation, ScaleWindow, State, Term
from agreements.terms import sentence, would_allow

EVERYWHERE = area_of({"everywhere": True}, None)


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


def shows_no_more(after, before):
    """Whether every piece of one decision lies within a piece of the other that shows as much: ground, attributes, rows, fineness."""
    return all(any(is_within(piece, other) for other in before.pieces) for piece in after.pieces)


def is_within(piece, other):
    attributes = other.attributes is None or (piece.attributes is not None and piece.attributes <= other.attributes)
    fineness = other.degrade is None or (piece.degrade is not None and piece.degrade >= other.degrade)
    return (piece.area.geometry - other.area.geometry).area == 0 and attributes and fineness and other.rows in (None, piece.rows)


@FEW
@given(asked=requests, held=st.lists(agreements, min_size=1, max_size=3), stop=suspensions, which=st.integers(0, 2))
def test_a_suspension_never_widens_what_an_agency_sees(asked, held, stop, which):
    stopped = list(held)
    one = stopped[which % len(held)]
    stopped[which % len(held)] = replace(one, suspensions=(*one.suspensions, stop))
    after, before = decide(asked, stopped), decide(replace(asked, extent=None), held)
    assert (seen(after) - seen(before)).area == 0
    assert shows_no_more(after, before)


@FEW
@given(asked=requests, parent=parents, child=children, stop=suspensions, of_parent=st.booleans())
def test_a_suspension_above_or_below_never_widens_what_is_passed_on(asked, parent, child, stop, of_parent):
    asked = replace(asked, agency="contractor", extent=None)
    before = decide(asked, [parent, child])
    one = parent if of_parent else child
    suspended = replace(one, suspensions=(*one.suspensions, stop))
    assert shows_no_more(decide(asked, [suspended, child] if of_parent else [parent, suspended]), before)


@FEW
@given(asked=requests, held=st.lists(agreements, max_size=3), more=grants)
def test_another_grant_never_narrows_what_an_agency_sees(asked, held, more):
    asked = replace(asked, extent=None)
    before, after = decide(asked, held), decide(asked, [*held, agreement(more, agreement_id="AG-9")])
    assert (seen(before) - seen(after)).area == 0
    assert set(before.pieces) <= set(after.pieces)


@FEW
@given(asked=requests, held=st.lists(agreements, max_size=4))
def test_what_is_seen_is_what_the_pieces_hold_and_never_nothing(asked, held):
    decision = decide(asked, held)
    assert (decision.effect is Effect.DENY) == (decision.area is None) == (not decision.pieces)
    assert all(not piece.area.geometry.is_empty for piece in decision.pieces)
    union = shapely.union_all([piece.area.geometry for piece in decision.pieces])
    assert (union - seen(decision)).area == 0 and (seen(decision) - union).area == 0
    assert decision.reasons


@FEW
@given(asked=requests, held=st.lists(agreements, min_size=1, max_size=3))
def test_an_empty_area_is_no_area(asked, held):
    nowhere = Area(geometry=shapely.Polygon(), digest="nowhere", title="nowhere")
    emptied = [replace(one, grants=tuple(replace(g, area=nowhere) for g in one.grants)) for one in held]
    assert decide(asked, emptied).effect is Effect.DENY


@FEW
@given(asked=requests, held=st.lists(agreements, max_size=4), spent=st.sets(st.sampled_from(["AG-1", "AG-2", "AG-3"])))
def test_agreements_whose_quota_is_spent_count_for_nothing(asked, held, spent):
    left = [replace(one, grants=()) if one.agreement_id in spent else one for one in held]      # what they suspend stays suspended
    with_stops = [replace(one, suspensions=tuple(replace(s, layers=s.layers or frozenset({"dom"})) for s in one.suspensions)) for one in held]
    left = [replace(one, suspensions=other.suspensions) for one, other in zip(left, with_stops, strict=True)]
    one, other = decide(replace(asked, exhausted=frozenset(spent)), with_stops), decide(asked, left)
    assert (one.effect, one.pieces) == (other.effect, other.pieces)
    assert not any(set(piece.charged) & spent for piece in one.pieces)


# Agreements under agreements

CHILD = {"agreement_id": "AG-DOWN", "grantor": "water", "grantee": "contractor", "parent": "AG-UP"}


@FEW
@given(asked=requests, parent=parents, others=st.lists(agreements, max_size=2), child=children)
def test_a_child_passes_on_nothing_that_its_parent_does_not_show_its_grantee_now(asked, parent, others, child):
    asked = replace(asked, extent=None)
    held = [*others, parent, child]
    below, above = decide(replace(asked, agency="contractor"), held), decide(asked, held)
    from_parent = [piece for piece in above.pieces if piece.agreement_id == "AG-UP"]
    for piece in below.pieces:
        own, top = piece.grants
        shown, *_ = [one for one in from_parent if one.grants == (top,) and (piece.area.geometry - one.area.geometry).area == 0]
        assert (piece.area.geometry - own.area.geometry).area == 0
        for wider in (own, top):
            assert wider.attributes is None or (piece.attributes is not None and piece.attributes <= wider.attributes)
            assert wider.degrade is None or piece.degrade >= wider.degrade
            assert wider.rows is None or wider.rows in piece.rows
        assert piece.charged == ("AG-DOWN", "AG-UP") and shown.charged == ("AG-UP",)


@FEW
@given(asked=requests, parent=parents, child=children)
def test_a_child_stays_within_its_own_grants_too(asked, parent, child):
    asked = replace(asked, agency="contractor", extent=None)
    alone = replace(child, grantor=BUREAU, parent=None)
    below, alone = decide(asked, [parent, child]), decide(asked, [alone])
    assert shows_no_more(below, alone)


@FEW
@given(asked=requests, child=children, parent=parents)
def test_a_child_without_its_parent_shows_nothing(asked, child, parent):
    asked = replace(asked, agency="contractor")
    for others in ([], [replace(parent, agreement_id="AG-OTHER")], [replace(parent, grantee="police")], [replace(parent, state=State.EXPIRED)]):
        assert decide(asked, [child, *others]).effect is Effect.DENY
    assert decide(replace(asked, exhausted=frozenset({"AG-UP"})), [child, parent]).effect is Effect.DENY


@FEW
@given(asked=requests, first=children, second=children)
def test_agreements_that_stand_above_one_another_in_a_circle_show_nothing(asked, first, second):
    first = replace(first, agreement_id="AG-A", parent="AG-B", grantor="transport", grantee="water")
    second = replace(second, agreement_id="AG-B", parent="AG-A", grantor="water", grantee="transport")
    itself = replace(first, agreement_id="AG-C", parent="AG-C", grantor="water", grantee="water")
    for agency in ("water", "transport"):
        assert decide(replace(asked, agency=agency), [first, second, itself]).effect is Effect.DENY


def test_a_chain_is_charged_to_every_agreement_in_it_and_narrows_at_each():
    chain = [
        agreement(grant(area=BOTH, attributes=None, degrade=10.0, rows="A = 1"), agreement_id="AG-UP", mark=Mark(text="bureau", place="corner")),
        agreement(grant(area=EAST, attributes=frozenset({"NAME"}), rows="B = 2"), **CHILD, mark=Mark(text="water", opacity=0.5)),
        agreement(grant(area=BOTH, attributes=frozenset({"HYDL.NAME", "WIDTH"}), degrade=25.0), agreement_id="AG-DEEP", grantor="contractor",
                  grantee="helper", parent="AG-DOWN"),
    ]
    (piece,) = decide(request(agency="helper"), chain).pieces
    assert (piece.charged, piece.attributes, piece.degrade) == (("AG-DEEP", "AG-DOWN", "AG-UP"), frozenset({"HYDL.NAME"}), 25.0)
    assert piece.rows == "(B = 2) AND (A = 1)"
    assert (piece.mark.text, piece.mark.opacity, piece.mark.place) == ("bureau · water", 0.5, "tiled")
    assert (piece.area.geometry ^ EAST.geometry).area == 0
    assert decide(request(agency="helper"), chain[1:]).effect is Effect.DENY


def test_who_passes_something_on_can_stop_all_that_he_passes_on_and_nothing_that_he_does_not():
    parent = agreement(grant(area=BOTH), agreement_id="AG-UP")
    stopping = agreement(**CHILD, suspensions=(suspension(),))
    other = agreement(**{**CHILD, "agreement_id": "AG-DOWN-2"})
    direct = agreement(grant(area=EAST), agreement_id="AG-3", grantee="contractor")
    decision = decide(request(agency="contractor"), [parent, stopping, other, direct])
    assert (decision.area, {piece.agreement_id for piece in decision.pieces}) == (EAST, {"AG-3"})


def test_what_the_owner_stops_is_stopped_for_who_was_passed_it_on_too():
    parent = agreement(agreement_id="AG-UP", suspensions=(suspension(),))
    assert decide(request(agency="contractor"), [parent, agreement(**CHILD)]).effect is Effect.DENY
    stopping = agreement(grant(layers=frozenset({"dem"})), agreement_id="AG-4", grantee="contractor", suspensions=(suspension(layers=frozenset({"dom"})),))
    held = [agreement(agreement_id="AG-UP"), agreement(**CHILD)]
    assert decide(request(agency="contractor"), held).effect is Effect.CLIP
    assert decide(request(agency="contractor"), [*held, stopping]).effect is Effect.DENY


def test_a_child_holds_until_anything_above_it_changes():
    parent = agreement(agreement_id="AG-UP", suspensions=(suspension(since=at(2026, 12, 24)),))
    assert decide(request(agency="contractor"), [parent, agreement(**CHILD)]).holds_until == at(2026, 12, 24)


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


# What may be done with a layer that is described

@FEW
@given(
    asked=requests, held=st.lists(agreements, min_size=1, max_size=4), below=st.lists(children, max_size=2),
    operation=st.sampled_from([Operation.GET_MAP, Operation.GET_TILE, Operation.GET_LEGEND_GRAPHIC, Operation.DOWNLOAD]),
    style=st.sampled_from([None, "hillshade", "slope"]), names=st.sampled_from([frozenset(), frozenset({"a"}), frozenset({"b"})]),
)
def test_one_decision_of_the_description_tells_what_a_decision_for_each_operation_would(asked, held, below, operation, style, names):
    asked = replace(asked, extent=None, scale_denominator=None, attributes=frozenset(), style=None)
    described = decide(replace(asked, operation=Operation.DESCRIBE_LAYER), [*held, *below])
    further = replace(asked, operation=operation, style=style, attributes=names)
    in_full = decide(further, [*held, *below]).effect is not Effect.DENY
    assert any(would_allow(piece, further) for piece in described.pieces) == in_full
