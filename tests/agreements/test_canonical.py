"""The canonical form: one digest for one meaning, another for every other."""

import dataclasses
import hashlib
import json
import random
from dataclasses import fields, is_dataclass, replace

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from rich_agreement import OTHERS, RICH
from small_world import EAST, WEST, SmallGazetteer, agreement, at, grant
from test_agreement_document import DOCUMENT, any_agreements

from agreements.document import document_of, read_document, write_document
from agreements.document.canonical import canonical_digest, canonical_form
from agreements.model import Area, State


def read(text):
    return read_document(text, "water.yaml", SmallGazetteer())


# Vectors: whoever writes the form anew, in any language, must come to the same bytes

def test_the_form_of_a_small_agreement():
    assert canonical_form(agreement(grant(area=WEST, attributes=frozenset()))).decode() == (
        '{"agreement":{"agreement_id":"AG-1","contact":"the sharing office","grantee":"water","grantor":"bureau","grants":[{"area":{"sha256":'
        f'"{WEST.digest}"'
        '},"clause":"3.1","layers":["dom"],"operations":["GetMap"]}],"term":{"end":"2029-01-01T00:00:00+08:00","start":"2026-01-01T00:00:00+08:00"},'
        '"title":"sharing with water","version":1},"form":"geoshare-agreement-1"}'
    )


def test_the_digest_of_a_square_is_that_of_its_little_endian_wkb():
    square = shapely.from_wkt("POLYGON ((118 32, 118 32.5, 118.5 32.5, 118.5 32, 118 32))")
    assert hashlib.sha256(shapely.to_wkb(shapely.normalize(square), byte_order=1, flavor="iso", output_dimension=2)).hexdigest() == (
        "ff2598ad48cab34d698b654c1a5b119f2ec97799b72805629667bf24057753ba"
    )


def test_the_digests_of_two_agreements():
    square = Area(geometry=WEST.geometry, digest="ab" * 32, title="")
    other = Area(geometry=EAST.geometry, digest="cd" * 32, title="")
    small = agreement(grant(area=square))
    rich = replace(
        RICH, grants=(replace(RICH.grants[0], area=square), replace(RICH.grants[1], area=other)),
        suspensions=(replace(RICH.suspensions[0], area=other),),
    )
    assert canonical_digest(small) == "d18137defe07df96a0c66b35ca54849ae55cd85cc7e342ccdc52913239fcebae"
    assert canonical_digest(rich) == "c08e277a141fd00319cf19af9b3ba027b29b47cc0e295f6f34d4ea3798296082"


# One meaning, one digest

def test_comments_layout_and_order_of_a_document_change_nothing():
    held = read(DOCUMENT)
    other = """\
# the same, said otherwise
{"term": {"until": "2028年12月31日", "from": "2026-01-01T00:00"}, "version": 1, "contact": "省测绘局共享处",
 "grants": [{"area": {"divisions": "320104"}, "operations": ["GetTile", "GetMap"], "clause": "3.10", "layers": ["dem@2011", "dom", "dom"]}],
 "parties": {"grantee": "water", "grantor": "bureau"}, "title": "与省水利厅地理信息共建共享协议", "agreement": "苏测共享〔2026〕003号"}
"""
    assert canonical_form(read(other)) == canonical_form(held)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(any_agreements)
def test_a_document_and_what_is_written_of_it_have_one_digest(held):
    again = read(json.dumps(document_of(held)))
    assert canonical_digest(again) == canonical_digest(held) == canonical_digest(read(write_document(held)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(any_agreements)
def test_the_order_of_grants_contributions_and_parties_changes_nothing(held):
    def shuffled(values):
        return tuple(random.Random(7).sample(values, len(values)))

    record = replace(held.record, contributions=shuffled(held.record.contributions), parties=shuffled(held.record.parties))
    assert canonical_form(replace(held, grants=shuffled(held.grants), record=record)) == canonical_form(held)


def test_what_becomes_of_an_agreement_is_no_part_of_it():
    later = replace(RICH, state=State.TERMINATED, replaced=at(2027, 1, 1))
    assert canonical_digest(later) == canonical_digest(RICH)


def test_the_words_of_an_area_change_nothing_its_ground_does():
    first = RICH.grants[0]
    renamed = replace(first, area=replace(first.area, title="又名", words='{"divisions": ["320104"]}'))
    assert canonical_digest(replace(RICH, grants=(renamed, RICH.grants[1]))) == canonical_digest(RICH)
    moved = replace(first, area=EAST)
    assert canonical_digest(replace(RICH, grants=(moved, RICH.grants[1]))) != canonical_digest(RICH)


# Another meaning, another digest

@pytest.mark.parametrize("place", range(len(OTHERS)), ids=[place for place, _ in OTHERS])
def test_a_change_anywhere_changes_the_digest(place):
    assert canonical_digest(OTHERS[place][1]) != canonical_digest(RICH)


def test_the_rich_agreement_says_something_of_every_field():
    """So that the changes above touch all of them: a field at its default would not be seen."""
    def at_default(value, path=""):
        if is_dataclass(value) and not isinstance(value, Area):
            for one in fields(value):
                said = getattr(value, one.name)
                if one.default is not dataclasses.MISSING and said == one.default:
                    yield f"{path}.{one.name}"
                yield from at_default(said, f"{path}.{one.name}")
        elif isinstance(value, tuple):
            for inner in value[:1]:
                yield from at_default(inner, f"{path}[]")

    assert set(at_default(RICH)) <= {".state", ".replaced", ".quota.limits[].resolution"}


def test_all_and_none_are_told_apart():
    held = [replace(RICH, grants=(replace(RICH.grants[0], attributes=said),)) for said in (None, frozenset(), frozenset({"NAME"}))]
    assert len({canonical_digest(one) for one in held}) == 3
