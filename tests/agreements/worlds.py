"""Strategies for small worlds of agreements, on ground of unit cells: what properties are tried on."""

import shapely
from hypothesis import settings
from hypothesis import strategies as st
from small_world import NOON, agreement, at, grant, request

from agreements.areas import area_on_the_ground
from agreements.model import BUREAU, Area, Operation, ResolutionWindow, ScaleWindow, State, Suspension, Term

FEW = settings(max_examples=100, deadline=None)

CELLS = [(column, row) for column in range(4) for row in range(3)]


def ground(cells, title: str = "cells") -> Area:
    return area_on_the_ground(shapely.union_all([shapely.box(118 + c, 32 + r, 119 + c, 33 + r) for c, r in cells]), title)


def seen(decision) -> shapely.Geometry:
    return decision.area.geometry if decision.area else shapely.Polygon()


def suspension(**terms) -> Suspension:
    return Suspension(**{"reason": "a reservoir is being rebuilt", "since": at(2026, 6, 1), **terms})


areas = st.sets(st.sampled_from(CELLS), min_size=1, max_size=8).map(ground)
windows = st.sampled_from([ScaleWindow(), ScaleWindow(), ScaleWindow(finest=10_000), ScaleWindow(coarsest=10_000)])
attribute_sets = st.sampled_from([frozenset(), frozenset({"a"}), frozenset({"b"}), frozenset({"a", "b"}), None])
terms = st.sampled_from([Term(), Term(), Term(start=NOON), Term(end=NOON)])
layers = st.sampled_from([
    frozenset({"dom", "dem"}), frozenset({"dom", "dem"}), frozenset({"dom"}), frozenset({"dem"}), frozenset({"dom@2006"}), frozenset({"dom@latest"}),
])
operations = st.sets(st.sampled_from([Operation.GET_MAP, Operation.GET_TILE]), min_size=1).map(frozenset)

FURTHER = {
    "products": [frozenset({"DEM"})], "editions": [frozenset({"2006"}), frozenset({"latest"})],
    "resolution": [ResolutionWindow(finest=2.0), ResolutionWindow(coarsest=10.0)],
    "rows": ["CC = 1", "KIND = 'a'"], "degrade": [10.0, 25.0], "networks": [frozenset({"10.0.0.0/8"}), frozenset({"10.1.0.0/16"})],
    "purposes": [frozenset({"flood"}), frozenset({"planning"})], "apps": [frozenset({"desk"})], "ceiling": [0, 1],
}
further = st.lists(st.sampled_from([(name, value) for name, values in FURTHER.items() for value in values]), max_size=2).map(dict)
"""A few terms more: a grant with all of them meets no request that was not made for it."""

grants = st.builds(
    lambda more, **said: grant(**said, **more), more=further, clause=st.sampled_from(["1", "2", "3.10", "3.2"]), layers=layers,
    operations=operations, area=areas, scale=windows, term=terms, attributes=attribute_sets,
)
suspensions = st.builds(
    lambda **said: suspension(**said), layers=st.none() | layers, area=st.none() | areas, until=st.sampled_from([None, NOON, at(2027, 1, 1)]),
)
few_suspensions = st.sampled_from([False, False, True]).flatmap(lambda is_stopped: st.tuples(suspensions) if is_stopped else st.just(()))


def agreements_of(**said):
    """Agreements with one to three grants; `said` are strategies of other fields."""
    return st.builds(lambda grants, **fields: agreement(*grants, **fields), grants=st.lists(grants, min_size=1, max_size=3), **said)


agreements = agreements_of(
    agreement_id=st.sampled_from(["AG-1", "AG-2", "AG-3"]),
    state=st.sampled_from([State.ACTIVE, State.ACTIVE, State.ACTIVE, State.SUSPENDED, State.DRAFT]),
    grantor=st.sampled_from([BUREAU, BUREAU, BUREAU, "police"]), grantee=st.sampled_from(["water", "water", "water", "transport"]),
    suspensions=few_suspensions,
)
parents = agreements_of(
    agreement_id=st.just("AG-UP"), grantee=st.just("water"), suspensions=few_suspensions,
    state=st.sampled_from([State.ACTIVE, State.ACTIVE, State.ACTIVE, State.SUSPENDED]),
)
children = agreements_of(
    agreement_id=st.just("AG-DOWN"), grantor=st.just("water"), grantee=st.just("contractor"), parent=st.just("AG-UP"),
    suspensions=few_suspensions,
)
requests = st.builds(
    lambda **said: request(**said), layer=st.sampled_from(["dom", "dem"]), product=st.sampled_from(["", "DEM"]),
    operation=st.sampled_from([Operation.GET_MAP, Operation.GET_TILE]),
    scale_denominator=st.sampled_from([None, 5000, 20_000]),
    attributes=st.sampled_from([frozenset(), frozenset(), frozenset({"a"}), frozenset({"b"})]), extent=st.none() | areas.map(lambda area: area.geometry), edition=st.sampled_from(["2006", "2011"]), is_latest=st.booleans(),
    networks=st.sampled_from([frozenset({"10.0.0.0/8", "10.1.0.0/16"}), frozenset({"10.0.0.0/8", "10.1.0.0/16"}), frozenset({"10.0.0.0/8"})]),
    purpose=st.sampled_from(["flood", "flood", "planning", ""]), app=st.sampled_from(["desk", "desk", ""]),
    classification=st.sampled_from([0, 0, 1]),
)
