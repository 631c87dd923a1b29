"""The canonical form: one digest for one meaning, another for every other."""

import dataclasses
import hashlib
import json
import random
from dataclasses import fields, is_dataclass, replace
from datetime import date, datetime, timedelta
from enum import Enum

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from small_world import EAST, WEST, SmallGazetteer, agreement, at, grant
from test_agreement_document import DOCUMENT, any_agreements

from agreements.canonical import canonical_digest, canonical_form
from agreements.document import document_of, read_document, write_document
from agreements.model import Agreement, Area, Grant, Mark, Operation, ResolutionWindow, ScaleWindow, State, Suspension, Term
from agreements.quota import Limit, Measure, Quota, Rate, Window
from agreements.record import (
    Attachment,
    Channel,
    Contact,
    Contractor,
    Contribution,
    Coordination,
    OnOverdue,
    Party,
    Record,
    Renewal,
    RenewalMode,
    Review,
    Role,
    Security,
    UnitScope,
    UseLimits,
)


def read(text):
    return read_document(text, "water.yaml", SmallGazetteer())


RICH = Agreement(
    agreement_id="苏测共享〔2026〕003号", version=2, title="与省水利厅地理信息共建共享协议", grantor="bureau", grantee="water", parent="AG-ABOVE",
    term=Term(start=at(2026, 1, 1), end=at(2029, 1, 1)), contact="共享处", purpose="防汛", credit="© 省测绘局", basis=("测绘法", "办法"),
    is_emergency=True, mark=Mark(text="内部使用", opacity=0.3, place="corner"),
    quota=Quota(rate=Rate(per_second=50.0, burst=400), export_km2=25.0, limits=(
        Limit(measure=Measure.REQUESTS, window=Window.DAY, most=1e5), Limit(measure=Measure.GROUND, window=Window.TERM, most=2000.5, resolution=1.0),
    )),
    grants=(
        Grant(
            clause="3.1", layers=frozenset({"dom", "dem@2011"}), operations=frozenset({Operation.GET_MAP, Operation.GET_TILE}), area=WEST,
            scale=ScaleWindow(finest=5000.0, coarsest=250000.0), resolution=ResolutionWindow(finest=0.5, coarsest=10.0), degrade=25.0,
            term=Term(start=at(2026, 6, 1), end=at(2026, 12, 31, 18)), formats=frozenset({"image/png"}), crs=frozenset({"EPSG:4549", "CRS:84"}),
            styles=frozenset({"plain"}), attributes=frozenset({"NAME"}), products=frozenset({"DOM"}), editions=frozenset({"2011", "latest"}),
            rows="GB = 230101", networks=frozenset({"10.0.0.0/8", "2001:db8::/32"}), purposes=frozenset({"planning"}), apps=frozenset({"pgis"}),
            ceiling=2,
        ),
        grant(clause="3.2", area=EAST, attributes=None),
    ),
    suspensions=(Suspension(reason="核查", since=at(2026, 7, 1), until=at(2026, 8, 1), layers=frozenset({"dom"}), area=EAST),),
    record=Record(
        parties=(Party(
            agency="water", role=Role.USER, legal_name="省水利厅", legal_person="厅长", signed=date(2025, 12, 20),
            contacts=(Contact(name="信息中心", duty="联络员", phone="025", email="a@example.org"),),
        ),),
        principle="互利", delivery=("字典",), renewal=Renewal(mode=RenewalMode.AUTO, period="P3Y", notice_days=30),
        contributions=(Contribution(
            dataset="水闸", cadence="P1Y", first_due=date(2026, 11, 30), grace_days=10, channel=Channel.UPLOAD, format="GPKG", spec="GB", geometry="point",
            join_key="ID", no_change_statement=False, on_overdue=OnOverdue.ESCALATE, free=False, note="另报",
        ),),
        use=UseLimits(
            purposes=("planning",), unit_scope=UnitScope.NAMED, sub_units=("站",), third_party=True, internet=True, onward="无", derived="双方",
            conversion_report=False, device_serials=("SN1",), contractors=(Contractor(name="院", undertaking="1号", destroy_by=date(2026, 12, 1)),),
        ),
        security=Security(classification=1, network="专网", undertaking="2号", incident_contact="处", destruction_certificate=True),
        coordination=Coordination(group="小组", leads=("甲",), members=("乙",), meeting="P6M", dispute=("联络员", "小组")),
        review=Review(month=10, indicators=("calls",)), fees=("无偿",), liability="现状", breach="暂停", attachments=(Attachment(name="目录", sha256="0a" * 32),),
    ),
)


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
    assert canonical_digest(rich) == "62ac01d37f840e89b10c2a70cf25b78968356f0034c233f77cc6a1c1883437f1"


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

def _others(value, path=""):
    """Every value that differs from `value` in one place, with the path of the place."""
    if isinstance(value, Area):
        yield path, EAST if value.digest != EAST.digest else WEST
    elif is_dataclass(value):
        for one in fields(value):
            if not (isinstance(value, Agreement) and one.name in ("state", "replaced")):
                for place, other in _others(getattr(value, one.name), f"{path}.{one.name}"):
                    yield place, replace(value, **{one.name: other})
    elif isinstance(value, tuple):
        yield f"{path}[]", ()
        for position, inner in enumerate(value):
            for place, other in _others(inner, f"{path}[{position}]"):
                yield place, (*value[:position], other, *value[position + 1:])
    elif isinstance(value, frozenset):
        if value:
            yield f"{path}{{}}", frozenset()
        yield f"{path}+", value | {Operation.DOWNLOAD if Operation.GET_MAP in value else "another"}
    elif isinstance(value, Enum):
        yield path, next(one for one in type(value) if one is not value)
    elif isinstance(value, bool):
        yield path, not value
    elif isinstance(value, (int, float)):
        yield path, value + 1
    elif isinstance(value, datetime):
        yield path, value + timedelta(milliseconds=1)
    elif isinstance(value, date):
        yield path, value + timedelta(days=1)
    elif isinstance(value, str):
        yield path, value + "x"
    else:
        yield path, "something"


OTHERS = list(_others(RICH))


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
