"""Each term of a grant by itself, and what is said when one is not met."""

import dataclasses
import string
from datetime import timedelta

import pytest
from hypothesis import given, settings
from small_world import EAST, NOON, agreement, at, grant, request
from worlds import grants, requests

from agreements.decision import decide
from agreements.model import (
    BUREAU,
    FOLLOWS_FROM,
    GRANTABLE,
    METRES_AT_ONE,
    Effect,
    Operation,
    Reason,
    ResolutionWindow,
    ScaleWindow,
    State,
    Term,
)
from agreements.reasons import SENTENCES
from agreements.terms import DETAILS, REASON_CODES, TERMS, binding_terms, first_unmet_term, sentence

UNMET = {
    "layer-not-granted": (grant(layers=frozenset({"dem", "dom@2006"})), {}, {}),
    "superseded": (grant(), {"replaced": NOON}, {}),
    "grantor-not-owner": (grant(), {}, {"owner": "police"}),
    "suspended": (grant(), {"state": State.SUSPENDED}, {}),
    "not-active": (grant(), {"state": State.DRAFT}, {}),
    "not-in-force": (grant(term=Term(end=NOON)), {}, {}),
    "network-not-granted": (grant(networks=frozenset({"10.1.0.0/16"})), {}, {"networks": frozenset({"10.2.0.0/16"})}),
    "purpose-not-granted": (grant(purposes=frozenset({"flood-control"})), {}, {"purpose": "land-use"}),
    "app-not-granted": (grant(apps=frozenset({"flood-desk"})), {}, {"app": "planning-desk"}),
    "above-ceiling": (grant(ceiling=1), {}, {"classification": 2}),
    "operation-not-granted": (grant(), {}, {"operation": Operation.GET_TILE}),
    "outside-scale": (grant(scale=ScaleWindow(finest=5000)), {}, {"scale_denominator": 4999.9}),
    "outside-resolution": (grant(resolution=ResolutionWindow(finest=2.0)), {}, {"scale_denominator": 1.99 / METRES_AT_ONE}),
    "format-not-granted": (grant(formats=frozenset({"image/png"})), {}, {"format": "image/jpeg"}),
    "crs-not-granted": (grant(crs=frozenset({"EPSG:4549"})), {}, {"crs": "EPSG:3857"}),
    "style-not-granted": (grant(styles=frozenset({"hillshade"})), {}, {"style": "relief"}),
    "attribute-not-granted": (grant(attributes=frozenset({"NAME"})), {}, {"attributes": frozenset({"NAME", "WIDTH"})}),
    "not-evaluable": (grant(degrade=10.0), {}, {"product": "DLG"}),
    "over-quota": (grant(), {}, {"exhausted": frozenset({"AG-1"})}),
}


def unmet(one, terms=(), asked=()):
    return first_unmet_term(agreement(one, **dict(terms)), one, request(**dict(asked)))


@pytest.mark.parametrize("code", UNMET)
def test_a_grant_with_one_unmet_term_says_which(code):
    assert unmet(*UNMET[code]) == code


def test_every_term_has_a_case_above():
    assert len(TERMS) == len(UNMET) - 1       # the state of an agreement gives two codes


@pytest.mark.parametrize("code", UNMET)
def test_one_unmet_term_denies_however_well_the_others_are_met(code):
    one, terms, asked = UNMET[code]
    assert decide(request(**asked), [agreement(one, **terms)]).effect is Effect.DENY


def test_a_grant_of_an_edition_is_not_a_grant_of_another():
    one = grant(layers=frozenset({"dom@2011"}))
    assert unmet(one) is None
    assert unmet(one, (), {"edition": "2006"}) == "layer-not-granted"


EDITIONS = [("2006", False), ("2011", False), ("2016", True)]


def editions_granted(one):
    """Which of three editions of the layer, of which 2016 is the newest."""
    return [edition for edition, is_latest in EDITIONS if unmet(one, (), {"edition": edition, "is_latest": is_latest}) is None]


def test_a_grant_of_the_latest_edition_follows_the_newest():
    assert editions_granted(grant(layers=frozenset({"dom@latest"}))) == ["2016"]
    assert editions_granted(grant(editions=frozenset({"latest", "2006"}))) == ["2006", "2016"]
    assert editions_granted(grant(editions=frozenset({"2011"}))) == ["2011"]
    assert editions_granted(grant()) == ["2006", "2011", "2016"]


@settings(max_examples=300, deadline=None)
@given(one=grants, asked=requests)
def test_terms_that_are_left_out_as_open_are_met_by_every_request(one, asked):
    held = agreement(one)
    assert first_unmet_term(held, one, asked, binding_terms(one)) == first_unmet_term(held, one, asked)


def test_an_edition_that_is_named_twice_must_be_granted_twice():
    assert editions_granted(grant(layers=frozenset({"dom@2011"}), editions=frozenset({"latest"}))) == []


def test_a_product_stands_for_every_layer_of_it_that_belongs_to_the_grantor():
    one = grant(layers=frozenset(), products=frozenset({"DOM"}))
    assert unmet(one, (), {"product": "DOM", "layer": "any-photo"}) is None
    assert unmet(one, (), {"product": "DEM"}) == "layer-not-granted"
    assert unmet(one, (), {"product": "DOM", "owner": "police"}) == "layer-not-granted"
    assert unmet(one, (), {"product": ""}) == "layer-not-granted"


def test_a_layer_by_name_stands_beside_the_products():
    one = grant(layers=frozenset({"dem"}), products=frozenset({"DOM"}))
    assert [unmet(one, (), {"layer": layer, "product": product}) for layer, product in (("dem", "DEM"), ("x", "DOM"), ("x", "DEM"))] == [
        None, None, "layer-not-granted",
    ]


def test_both_ends_of_a_resolution_window_belong_to_it():
    one = grant(resolution=ResolutionWindow(finest=1.0, coarsest=10.0))
    metres = {0.99: False, 1.0: True, 5.0: True, 10.0: True, 10.01: False}
    assert {each: unmet(one, (), {"scale_denominator": each / METRES_AT_ONE}) is None for each in metres} == metres


@pytest.mark.parametrize("term", [{"networks": frozenset({"10.1.0.0/16"})}, {"purposes": frozenset({"a"})}, {"apps": frozenset({"a"})}])
def test_a_request_that_does_not_say_from_where_for_what_or_by_what_meets_only_what_is_open(term):
    assert unmet(grant(**term)) is not None
    assert unmet(grant()) is None


def test_one_network_of_those_a_request_comes_from_is_enough():
    one = grant(networks=frozenset({"10.1.0.0/16", "2001:db8::/32"}))
    assert unmet(one, (), {"networks": frozenset({"10.0.0.0/8", "10.1.0.0/16"})}) is None


def test_the_ceiling_itself_is_covered():
    assert [unmet(grant(ceiling=1), (), {"classification": each}) for each in range(3)] == [None, None, "above-ceiling"]


def test_the_quota_of_another_agreement_does_not_matter():
    assert unmet(grant(), (), {"exhausted": frozenset({"AG-2"})}) is None


def test_what_no_agreement_above_grants_is_not_passed_on():
    parent = agreement(agreement_id="AG-UP", grantee="water")
    child = agreement(grant(area=EAST), agreement_id="AG-DOWN", grantor="water", grantee="contractor", parent="AG-UP")
    (reason,) = decide(request(agency="contractor"), [parent, child]).reasons
    assert (reason.code, reason.agreement_id, reason.detail) == ("parent-not-granting", "AG-DOWN", {"parent": "AG-UP"})


def test_rows_that_are_no_whole_expression_grant_nothing():
    for rows in ("CC = 1) OR (1 = 1", "(CC = 1", "CC = 'a", ""):
        (reason,) = decide(request(), [agreement(grant(rows=rows))]).reasons
        assert (reason.code, reason.detail["case"]) == ("not-evaluable", "rows")


@pytest.mark.parametrize("terms, product, counts", [
    ({"rows": "GRADE = 1"}, "DLG", True), ({"rows": "GRADE = 1"}, "OVERLAY", True), ({"rows": "GRADE = 1"}, "DOM", False),
    ({"rows": "GRADE = 1"}, "DEM", False), ({"degrade": 10.0}, "DEM", True), ({"degrade": 10.0}, "DOM", True), ({"degrade": 10.0}, "DLG", False),
    ({"degrade": 10.0}, "OVERLAY", False),
])
def test_what_can_not_be_done_to_a_layer_of_its_kind_grants_nothing_of_it(terms, product, counts):
    decision = decide(request(product=product), [agreement(grant(**terms))])
    assert (decision.effect is not Effect.DENY) is counts
    assert counts or [(r.code, r.detail) for r in decision.reasons] == [("not-evaluable", {"case": "kind"})]


@pytest.mark.parametrize("operation", sorted(GRANTABLE))
@pytest.mark.parametrize("follower", FOLLOWS_FROM)
def test_legends_and_descriptions_follow_from_what_is_granted(operation, follower):
    one = grant(operations=frozenset({operation}))
    follows = operation in FOLLOWS_FROM[follower]
    assert unmet(one, (), {"operation": follower}) == (None if follows else "operation-not-granted")


@pytest.mark.parametrize("operation", sorted(GRANTABLE))
def test_no_operation_follows_from_a_legend(operation):
    assert unmet(grant(operations=frozenset({Operation.GET_LEGEND_GRAPHIC})), (), {"operation": operation}) == "operation-not-granted"


def test_both_ends_of_a_scale_window_belong_to_it():
    one = grant(scale=ScaleWindow(finest=5000, coarsest=50_000))
    scales = {4999.999: False, 5000: True, 20_000: True, 50_000: True, 50_000.001: False}
    assert {scale: unmet(one, (), {"scale_denominator": scale}) is None for scale in scales} == scales


def test_an_attribute_of_one_class_is_not_granted_in_another():
    one = grant(attributes=frozenset({"HYDL.WIDTH", "NAME"}))
    asked = {"HYDL.WIDTH": True, "LRDL.WIDTH": False, "WIDTH": False, "NAME": True, "LRDL.NAME": True, "name": False}
    assert {name: unmet(one, (), {"attributes": frozenset({name})}) is None for name in asked} == asked


def test_all_attributes_are_granted_where_the_grant_says_all():
    assert unmet(grant(attributes=None), (), {"attributes": frozenset({"ANYTHING"})}) is None


MILLISECOND = timedelta(milliseconds=1)
LAST_MOMENT = at(2027, 1, 1)      # what `until: 2026-12-31` means


@pytest.mark.parametrize(
    ("moment", "counts"), [(LAST_MOMENT - MILLISECOND, True), (LAST_MOMENT, False), (LAST_MOMENT + MILLISECOND, False)],
)
@pytest.mark.parametrize("of", ["agreement", "grant"])
def test_a_term_ends_with_its_last_day_to_the_millisecond(moment, counts, of):
    term = Term(start=at(2026, 1, 1), end=LAST_MOMENT)
    held = agreement(grant(), term=term) if of == "agreement" else agreement(grant(term=term))
    for zone in (moment.tzinfo, None):
        asked = request(at=moment.astimezone(zone))
        assert (decide(asked, [held]).effect is not Effect.DENY) is counts


@pytest.mark.parametrize(("moment", "counts"), [(at(2026, 1, 1) - MILLISECOND, False), (at(2026, 1, 1), True)])
def test_a_term_begins_with_its_first_moment(moment, counts):
    assert (decide(request(at=moment), [agreement()]).effect is not Effect.DENY) is counts


def test_not_in_force_tells_before_from_after():
    early, late = decide(request(at=at(2025, 1, 1)), [agreement()]), decide(request(at=at(2030, 1, 1)), [agreement()])
    assert "not in force before 2026-01-01 00:00:00+08:00" in sentence(early.reasons[0], "en")
    assert "ended at 2029-01-01 00:00:00+08:00" in sentence(late.reasons[0], "en")


# Sentences

def reasons_of_every_kind():
    for code, (one, terms, asked) in UNMET.items():
        if code not in ("layer-not-granted", "superseded"):
            yield from decide(request(**asked), [agreement(one, **terms)]).reasons
    yield from decide(request(), []).reasons
    yield from decide(request(agency=BUREAU), []).reasons
    yield from decide(request(), [agreement()]).reasons
    yield from decide(request(extent=EAST.geometry), [agreement()]).reasons
    yield from decide(request(), [agreement(grant(rows="("))]).reasons
    yield from decide(request(agency="contractor"), [agreement(grantor="water", grantee="contractor", parent="AG-UP")]).reasons
    yield from decide(request(scale_denominator=1.0), [agreement(grant(resolution=ResolutionWindow(finest=2.0)))]).reasons
    yield from decide(request(scale_denominator=1e6), [agreement(grant(resolution=ResolutionWindow(coarsest=2.0)))]).reasons


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_refusal_names_agreement_clause_and_whom_to_contact(language):
    for reason in reasons_of_every_kind():
        said = sentence(reason, language)
        assert "{" not in said
        if reason.agreement_id and reason.code != "granted":
            assert all(part in said for part in ("`AG-1`", "3.1", "the sharing office")), said


def test_a_refusal_without_a_contact_names_the_grantor():
    reason = decide(request(at=at(2030, 1, 1)), [agreement(contact="")]).reasons[0]
    assert sentence(reason, "en").endswith("ask the party that grants it to renew it")
    assert "授予方" in sentence(reason, "zh")


def test_every_code_has_a_sentence_in_both_languages_with_the_same_places():
    for name, languages in SENTENCES.items():
        assert set(languages) == {"zh", "en"}, name
        places = [{field for _, field, _, _ in string.Formatter().parse(text) if field} for text in languages.values()]
        assert places[0] == places[1], name


def test_every_code_that_a_term_gives_is_in_the_list():
    assert set(UNMET) | set(DETAILS) <= set(REASON_CODES)


def test_words_of_an_agreement_are_never_taken_for_places_in_a_sentence():
    reason = Reason(agreement_id="AG-{0}", version=1, clause="{x}", code="granted", detail={"area": "{clause}"}, contact="{detail}")
    assert sentence(reason, "en") == "granted by clause {x} of agreement `AG-{0}` (version 1) ({clause})"


def test_an_unmet_layer_is_spoken_of_only_to_those_who_ask_about_the_agreement():
    one = grant(layers=frozenset({"secret-layer"}))
    decision = decide(request(), [agreement(one)])
    assert [dataclasses.astuple(reason)[:4] for reason in decision.reasons] == [(None, None, None, "no-agreement")]
