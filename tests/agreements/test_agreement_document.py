"""Documents: read as they were meant, refused with every fault at its line, written so that they read the same."""

import json
import re
import unicodedata
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_world import BOTH, EAST, SHANGHAI, WEST, SmallGazetteer, agreement, at, box, grant

from agreements.areas import WORDS, area_of
from agreements.document import AGREEMENT, GRANT, SUSPENSION, document_of, marked, read_document, record_fields, write_document
from agreements.document import form as document
from agreements.document.marked import MOST_BYTES
from agreements.document.reading import plain_value
from agreements.errors import DocumentInvalid
from agreements.model import GRANTABLE, Agreement, Grant, Mark, Operation, ResolutionWindow, ScaleWindow, Suspension, Term
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
from agreements.terms import REASON_CODES

DOCUMENT = """\
agreement: 苏测共享〔2026〕003号
version: 1
title: 与省水利厅地理信息共建共享协议
parties: {grantor: bureau, grantee: water}
term: {from: 2026-01-01, until: 2028-12-31}
contact: 省测绘局共享处
grants:
  - clause: 3.10
    layers: [dom, dem@2011]
    operations: [GetMap, GetTile]
    area: {divisions: [320104]}
"""


def read(text):
    return read_document(text, "water.yaml", SmallGazetteer())


def faults_of(text):
    with pytest.raises(DocumentInvalid) as caught:
        read(text)
    return caught.value.faults


def with_grant_field(line):
    return f"{DOCUMENT}    {line}\n"


# Reading

def test_a_short_document_is_read_as_it_was_meant():
    read_one = read(DOCUMENT)
    assert (read_one.agreement_id, read_one.version, read_one.grantor, read_one.grantee) == ("苏测共享〔2026〕003号", 1, "bureau", "water")
    assert read_one.term == Term(start=at(2026, 1, 1), end=at(2029, 1, 1))
    one = read_one.grants[0]
    assert (one.clause, one.layers, one.operations) == ("3.10", {"dom", "dem@2011"}, {Operation.GET_MAP, Operation.GET_TILE})
    assert (one.area.digest, one.scale, one.formats, one.crs, one.styles, one.attributes) == (
        area_of({"divisions": ["320104"]}, SmallGazetteer()).digest, ScaleWindow(), None, None, None, frozenset(),
    )


MOMENTS = {
    "2026-12-31": at(2027, 1, 1), "2026年12月31日": at(2027, 1, 1), "2026-12-31T18:00": at(2026, 12, 31, 18),
    "2026-12-31 18:00:30": at(2026, 12, 31, 18, 0, 30),
    "２０２６-12-31": at(2027, 1, 1), "2026-12-31T10:00:00Z": at(2026, 12, 31, 18), "2026-12-31T10:00+00:00": at(2026, 12, 31, 18),
    "2026-12-31T23:59:59.999": at(2026, 12, 31, 23, 59, 59, 999_000),
}


@pytest.mark.parametrize("said", MOMENTS)
def test_a_day_ends_with_its_end_and_a_moment_without_offset_is_of_shanghai(said):
    assert read(DOCUMENT.replace("2028-12-31", said)).term.end == MOMENTS[said]


FIELDS_READ = {
    "formats: [png, JPG, image/webp]": ("formats", {"image/png", "image/jpeg", "image/webp"}),
    "formats: png": ("formats", {"image/png"}),
    "crs: [epsg:4549, 4490, CRS:84, OGC:CRS84]": ("crs", {"EPSG:4549", "EPSG:4490", "CRS:84"}),
    "styles: [hillshade]": ("styles", {"hillshade"}),
    "attributes: all": ("attributes", None),
    "attributes: none": ("attributes", frozenset()),
    "attributes: []": ("attributes", frozenset()),
    "attributes: [NAME, HYDL.WIDTH, 名称]": ("attributes", {"NAME", "HYDL.WIDTH", "名称"}),
    "scale: {finest: '1:5,000', coarsest: 250000}": ("scale", ScaleWindow(finest=5000, coarsest=250_000)),
    "scale: {finest: 1：5000}": ("scale", ScaleWindow(finest=5000)),
    "term: {until: 2027-06-30}": ("term", Term(end=at(2027, 7, 1))),
    "products: [dlg, DOM]": ("products", {"DLG", "DOM"}),
    "editions: [2011, latest]": ("editions", {"2011", "latest"}),
    "resolution: {finest: 0.5 m, coarsest: 100米}": ("resolution", ResolutionWindow(finest=0.5, coarsest=100)),
    "degrade: 25": ("degrade", 25.0),
    "rows: \"NAME = 'a  b'\"": ("rows", "NAME = 'a  b'"),
    "networks: [10.32.0.0/16, 10.32.7.9, '2001:DB8:0::/32', '::1']":
        ("networks", {"10.32.0.0/16", "10.32.7.9/32", "2001:db8::/32", "::1/128"}),
    "purposes: flood-control": ("purposes", {"flood-control"}),
    "apps: [pgis, App.2]": ("apps", {"pgis", "App.2"}),
    "ceiling: 秘密": ("ceiling", 2),
    "ceiling: top-secret": ("ceiling", 4),
}


@pytest.mark.parametrize("line", FIELDS_READ)
def test_a_field_of_a_grant_is_read_as_it_was_meant(line):
    name, expected = FIELDS_READ[line]
    assert getattr(read(with_grant_field(line)).grants[0], name) == expected


def test_values_stay_the_text_they_are():
    text = DOCUMENT.replace("320104", "0320104").replace("title: 与省水利厅地理信息共建共享协议", "title: no").replace("3.10", "0x10")
    assert [fault.message for fault in faults_of(text)] == ["division `0320104` is not known: see `geoshare division list`"]
    held = read(text.replace("0320104", "320104"))
    assert (held.title, held.grants[0].clause) == ("no", "0x10")


def test_contributions_are_read_with_their_rhythm_and_first_day():
    said = "{dataset: 水闸, cadence: 每季度, first_due: 2026-11-30, grace_days: 10 天, channel: 上传, free: false, on_overdue: reduce_quota}"
    assert read(f"{DOCUMENT}contributions: [{said}, {{dataset: 泵站}}]\n").record.contributions == (
        Contribution(
            dataset="水闸", cadence="P3M", first_due=date(2026, 11, 30), grace_days=10, channel=Channel.UPLOAD, free=False,
            on_overdue=OnOverdue.REDUCE_QUOTA,
        ),
        Contribution(dataset="泵站"),
    )


def test_a_party_provides_or_uses_unless_another_role_is_said():
    details = "details: [{agency: water, legal_name: 省水利厅}, {agency: bureau, signed: 2025-12-20}, {agency: centre, role: 管理方}]"
    held = read(DOCUMENT.replace("grantee: water}", f"grantee: water, {details}}}"))
    assert [(party.agency, party.role, party.legal_name, party.signed) for party in held.record.parties] == [
        ("water", Role.USER, "省水利厅", None), ("bureau", Role.PROVIDER, "", date(2025, 12, 20)), ("centre", Role.MANAGER, "", None),
    ]


def test_a_quota_is_read_in_one_order_whatever_its_document_s():
    said = "quota: {km2: [{most: 9, window: term, resolution: 5}, {most: 3, window: term, resolution: 1}], bytes: {month: 2 GB}, requests: {term: 5万, day: '1,000'}}"
    assert read(f"{DOCUMENT}{said}\n").quota == Quota(limits=(
        Limit(measure=Measure.REQUESTS, window=Window.DAY, most=1000), Limit(measure=Measure.REQUESTS, window=Window.TERM, most=50_000),
        Limit(measure=Measure.BYTES, window=Window.MONTH, most=2e9), Limit(measure=Measure.GROUND, window=Window.TERM, most=3, resolution=1),
        Limit(measure=Measure.GROUND, window=Window.TERM, most=9, resolution=5),
    ))


def test_a_mark_may_be_its_text_alone():
    assert read(DOCUMENT + "mark: 内部使用\n").mark == Mark(text="内部使用")


def test_a_document_of_json_is_told_its_faults_by_line():
    held = document_of(read(DOCUMENT))
    text = json.dumps({**held, "version": 0}, ensure_ascii=False, indent="\t").replace('"version"', '"version": 1,\n\t"versoin": 0,\n\t"version"')
    assert [(fault.line, fault.field) for fault in faults_of(text)] == [(4, "versoin"), (5, "version")]
    assert "given twice, first on line 3" in faults_of(text)[1].message
    assert read(json.dumps({**held, "title": "\ud83d\ude00 \ud83d"})).title == "😀 ?"
    assert "nested more than 32 deep" in faults_of('{"a":' * 100_000)[0].message
    assert "more than 700000 values" in faults_of('{"a": [' + "1," * 700_001 + "1]}")[0].message
    assert read("{agreement: AG-1, version: 1, title: a, parties: {grantor: bureau, grantee: water}, term: {from: 2026-01-01}, contact: b, "
                "grants: {clause: 1, layers: dom, operations: GetMap, area: everywhere}}").title == "a"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-10**15, 10**15) | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=4), max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), json_values, min_size=1), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_json_of_any_values_is_read_as_a_reader_of_json_reads_it(value, indent, is_ascii):
    told = []
    node = marked.parse(json.dumps(value, indent=indent, ensure_ascii=is_ascii), lambda *fault: told.append(fault))
    assert not told and plain_value(node) == value


def test_geojson_is_read_as_fields_and_as_json_text():
    ring = [[118.1, 32.1], [118.4, 32.1], [118.4, 32.4], [118.1, 32.1]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    as_text, as_fields = (
        read(DOCUMENT.replace("{divisions: [320104]}", said)) for said in
        (f"\n      geojson: |\n        {json.dumps(shape)}", f"{{geojson: {{type: Polygon, coordinates: {json.dumps([ring])}}}}}")
    )
    assert as_text.grants[0].area.digest == as_fields.grants[0].area.digest
    assert as_text.grants[0].area.geometry.area == pytest.approx(0.045)


# Faults

def test_every_fault_is_told_at_once_in_the_order_of_lines():
    text = """\
agreement: AG-1
versoin: 1
title:
parties: {grantor: bureau, grantee: Water Department}
term: {from: 2026-13-01, until: 2028-12-31}
grants:
  - clause: 3.1
    layers: []
    operations: [GetMap, getmap, GetLegendGraphic, GetEverything]
    area: {divisions: ["320104", "999999"]}
    scale: {finest: 50000, coarsest: 5000}
  - clause: 3.2
    layers: [DOM]
    operations: [GetMap]
    area: {division: ["320104"]}
    formats: [pgn]
    crs: [Beijing]
    attributes: [all, NAME]
"""
    assert [(fault.line, fault.field) for fault in faults_of(text)] == [
        (1, "version"), (1, "contact"), (2, "versoin"), (3, "title"), (4, "parties.grantee"), (5, "term.from"),
        (8, "grants[0].layers"), (9, "grants[0].operations[1]"), (9, "grants[0].operations[2]"), (9, "grants[0].operations[3]"),
        (10, "grants[0].area.divisions[1]"), (11, "grants[0].scale"), (13, "grants[1].layers[0]"), (15, "grants[1].area.division"),
        (16, "grants[1].formats[0]"), (17, "grants[1].crs[0]"), (18, "grants[1].attributes"),
    ]


FAULTY = {
    "": (None, "document", "the document is empty"),
    "- a\n": (1, "document", "must be fields"),
    "just words": (1, "document", "must be fields"),
    DOCUMENT.replace("version: 1", "versoin: 1\nversion: 1"): (2, "versoin", "did you mean `version`?"),
    DOCUMENT.replace("version: 1", "version: 1\nversion: 2"): (3, "version", "given twice, first on line 2"),
    DOCUMENT.replace("version: 1", "version: 1.0"): (2, "version", "is not a version"),
    DOCUMENT.replace("version: 1", "version: [1]"): (2, "version", "must be a single value"),
    DOCUMENT.replace("contact: 省测绘局共享处", "contact: ~"): (6, "contact", "is empty: fill it in"),
    DOCUMENT.replace("grantee: water", "grantee: bureau"): (4, "parties.grantee", "is the grantor itself"),
    DOCUMENT.replace(", grantee: water", ""): (4, "parties.grantee", "missing"),
    DOCUMENT.replace("from: 2026-01-01, ", ""): (5, "term.from", "missing"),
    DOCUMENT.replace("2028-12-31", "2025-12-30"): (5, "term.until", "ends before it begins"),
    DOCUMENT.replace("2028-12-31", "2028-02-30"): (5, "term.until", "is not a date"),
    DOCUMENT.replace("2028-12-31", "end of 2028"): (5, "term.until", "is not a date"),
    DOCUMENT.replace("2028-12-31", "20281-12-31"): (5, "term.until", "is not a date"),
    DOCUMENT.replace("2028-12-31", "9999-12-31"): (5, "term.until", "is not a date"),
    DOCUMENT.replace("2028-12-31", "2028-12-31T25:00"): (5, "term.until", "is not a date"),
    DOCUMENT.replace("[GetMap, GetTile]", "[GetMpa]"): (10, "grants[0].operations[0]", "did you mean `GetMap`?"),
    DOCUMENT.replace("[GetMap, GetTile]", "[]"): (10, "grants[0].operations", "the list is empty"),
    DOCUMENT.replace("[dom, dem@2011]", "[../dom]"): (9, "grants[0].layers[0]", "is not the name of a layer"),
    DOCUMENT.replace("{divisions: [320104]}", "{}"): (11, "grants[0].area", "names nothing"),
    DOCUMENT.replace("{divisions: [320104]}", "here"): (11, "grants[0].area", "an area is fields"),
    DOCUMENT.replace("{divisions: [320104]}", "{geojson: '{'}"): (11, "grants[0].area.geojson", "is not JSON"),
    DOCUMENT.replace("{divisions: [320104]}", "{geojson: {type: Point, coordinates: [1, 2]}}"):
        (11, "grants[0].area.geojson", "covers no ground"),
    DOCUMENT.replace("{divisions: [320104]}", "[{sheets: I50G095077}, {sheets: [Q9]}]"): (11, "grants[0].area[1].sheets[0]", "`Q9` is not"),
    with_grant_field("term: {from: 2025-01-01}"): (12, "grants[0].term", "reaches beyond the term of the agreement"),
    with_grant_field("scale: {finest: -5}"): (12, "grants[0].scale.finest", "is not a scale"),
    with_grant_field("scale: fine"): (12, "grants[0].scale", "must be fields (finest, coarsest)"),
    with_grant_field("resolution: {finest: 5, coarsest: 2.5}"): (12, "grants[0].resolution", "5 m is coarser than 2.5 m"),
    with_grant_field("degrade: 0"): (12, "grants[0].degrade", "out of range"),
    with_grant_field("degrade: 1e999"): (12, "grants[0].degrade", "is not a number of metres"),
    with_grant_field("products: [DTM]"): (12, "grants[0].products[0]", "did you mean `DOM`?"),
    with_grant_field("ceiling: secrt"): (12, "grants[0].ceiling", "did you mean `secret`?"),
    with_grant_field("networks: [10.32.7.9/16]"): (12, "grants[0].networks[0]", "write `10.32.0.0/16` for the block"),
    with_grant_field("networks: [10.32.0.0/33]"): (12, "grants[0].networks[0]", "is not a block of addresses"),
    with_grant_field("networks: ['::ffff:10.0.0.0/104']"): (12, "grants[0].networks[0]", "write it as IPv4"),
    with_grant_field("networks: [0.0.0.0/0]"): (12, "grants[0].networks[0]", "leave `networks` out"),
    with_grant_field("networks: [the office]"): (12, "grants[0].networks[0]", "is not a block of addresses"),
    with_grant_field("purposes: [leisure]"): (12, "grants[0].purposes[0]", "is not a purpose: use planning"),
    with_grant_field("rows: everything"): (12, "grants[0].rows", "is not CQL2 text"),
    DOCUMENT.replace("    layers: [dom, dem@2011]\n", ""): (8, "grants[0].layers", "or `products` of the grantor"),
    DOCUMENT + "parent: 苏测共享〔2026〕003号\n": (12, "parent", "is this agreement itself"),
    DOCUMENT + "emergency: perhaps\n": (12, "emergency", "write true or false"),
    DOCUMENT + "quota: {}\n": (12, "quota", "limits nothing"),
    DOCUMENT + "quota: {requests: {}}\n": (12, "quota.requests", "limits nothing"),
    DOCUMENT + "quota: {requests: {week: 5}}\n": (12, "quota.requests.week", "use day, month, term"),
    DOCUMENT + "quota: {rate: {burst: 5}}\n": (12, "quota.rate.per_second", "missing"),
    DOCUMENT + "quota: {bytes: {day: 5 XB}}\n": (12, "quota.bytes.day", "is not a number of bytes, such as 50 GB"),
    DOCUMENT + "quota:\n  km2:\n    - {most: 5, window: day}\n    - {most: 6, window: day}\n": (15, "quota.km2[1]", "keep one"),
    DOCUMENT + "quota: {km2: {most: 5, window: week}}\n": (12, "quota.km2.window", "is not a window"),
    DOCUMENT + "mark: {text: a, opacity: 2}\n": (12, "mark.opacity", "out of range"),
    DOCUMENT + "mark: {text: a, place: tile}\n": (12, "mark.place", "did you mean `tiled`?"),
    DOCUMENT + f"mark: {'长' * 101}\n": (12, "mark", "longer than 100 characters"),
    DOCUMENT.replace("grantee: water}", "grantee: water, details: [{agency: water}, {agency: water}]}"):
        (4, "parties.details[1].agency", "is described twice"),
    DOCUMENT.replace("grantee: water}", "grantee: water, details: [{agency: centre}]}"): (4, "parties.details[0].role", "say provider, user or manager"),
    DOCUMENT.replace("grantee: water}", "grantee: water, details: {agency: water, role: owner}}"): (4, "parties.details.role", "is not a role"),
    DOCUMENT.replace("grantee: water}", "grantee: water, details: {agency: water, contacts: {name: a, email: nobody}}}"):
        (4, "parties.details.contacts.email", "is not an e-mail address"),
    DOCUMENT + "renewal: {period: PT5M}\n": (12, "renewal.period", "is not a duration"),
    DOCUMENT + "renewal: {period: P0D}\n": (12, "renewal.period", "is not a duration"),
    DOCUMENT + "contributions: [{dataset: a, cadence: yearly, due: 2026-01-01}]\n": (12, "contributions[0].due", "there is no such field"),
    DOCUMENT + "contributions: [{dataset: a, first_due: soon}]\n": (12, "contributions[0].first_due", "is not a day"),
    DOCUMENT + "contributions: [{dataset: a, on_overdue: remnd}]\n": (12, "contributions[0].on_overdue", "did you mean `remind`?"),
    DOCUMENT + "use: {sub_units: [a]}\n": (12, "use.sub_units", "write `unit_scope: named`"),
    DOCUMENT + "use: {contractors: [{name: a}]}\n": (12, "use.contractors", "write `third_party: true`"),
    DOCUMENT + "review: {month: 13}\n": (12, "review.month", "out of range"),
    DOCUMENT + "attachments: {name: a, sha256: abc}\n": (12, "attachments.sha256", "is not a SHA-256"),
    with_grant_field("quota: 5"): (12, "grants[0].quota", "there is no such field"),
    with_grant_field("attributes: ['NAME; DROP']"): (12, "grants[0].attributes[0]", "is not an attribute"),
    DOCUMENT.replace("grants:\n", "grants:\n  - {clause: 3.10, layers: dlg, operations: GetMap, area: everywhere}\n"):
        (9, "grants[1].clause", "is also on line 8"),
    DOCUMENT + "suspensions: [{reason: flood, since: 2026-06-01, until: 2026-05-01}]\n":
        (12, "suspensions[0].until", "ends before it begins"),
    DOCUMENT + "suspensions: [{reason: flood}]\n": (12, "suspensions[0].since", "missing"),
    DOCUMENT + "contributions: [roads]\n": (12, "contributions[0]", "must be fields"),
    DOCUMENT.replace("version: 1", "version：1"): (3, "document", "a full-width colon"),
    DOCUMENT.replace("    layers", "\tlayers"): (9, "document", "never with a tab"),
    DOCUMENT + "basis: &a [x]\npurpose: *a\n": (13, "document", "aliases are not accepted"),
    DOCUMENT + "purpose: !!python/object:os.system x\n": (12, "document", "tags are not accepted"),
    DOCUMENT + "---\nversion: 2\n": (12, "document", "a second document begins"),
    DOCUMENT + "? [a, b]\n: c\n": (12, "document", "no plain word"),
    DOCUMENT + "purpose: \x07\n": (12, "document", "can't be printed"),
    DOCUMENT + "purpose: 'open\n": (13, "document", "not YAML"),
    DOCUMENT + f"purpose: {'x' * 5000}\n": (12, "purpose", "longer than 4000"),
}


@pytest.mark.parametrize("text", FAULTY, ids=[f"{told[1]}: {told[2]}" for told in FAULTY.values()])
def test_a_fault_is_told_with_its_line_its_field_and_the_mend(text):
    line, field, message = FAULTY[text]
    faults = faults_of(text)
    assert [(fault.line, fault.field) for fault in faults] == [(line, field)], faults
    assert message in faults[0].message
    assert "\n" not in faults[0].message


def test_a_document_that_would_grow_when_read_is_refused_before_it_does():
    laughs = "a: &a [x, x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20))
    deep, many, twice = "[" * 100_000, "a: [" + "1," * 60_000 + "1]", "a: 1\n" * 2000
    assert "aliases" in faults_of(laughs)[-1].message
    assert "nested more than 32 deep" in faults_of(deep)[0].message
    assert "more than 50000 values" in faults_of(many)[0].message
    assert len(faults_of(twice)) <= 200
    assert "more than 4 MiB" in faults_of("#" * (MOST_BYTES + 1))[0].message
    assert "more than 4 MiB" in faults_of("#" + "水" * (MOST_BYTES // 3 + 1))[0].message


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_document_with_any_damage_is_read_or_refused_but_never_breaks_the_reader(data):
    start = data.draw(st.integers(0, len(DOCUMENT)))
    end = data.draw(st.integers(start, min(len(DOCUMENT), start + 20)))
    damage = data.draw(st.text(alphabet=" :-{}[]\"'&*!|>%@`\n\t#a1：null,", max_size=8))
    text = DOCUMENT[:start] + damage + DOCUMENT[end:]
    try:
        read(text)
    except DocumentInvalid as error:
        assert error.faults and all(fault.line is None or 1 <= fault.line <= text.count("\n") + 1 for fault in error.faults)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm():
    assert read("\ufeff" + DOCUMENT.replace("\n", "\r\n")) == read(DOCUMENT)


# Writing

texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)
or_empty = st.just("") | texts
many_texts = st.lists(texts, max_size=2).map(tuple)
words = st.sampled_from([
    {"divisions": ["320104"]}, {"sheets": ["I50G095077"]}, {"everywhere": True}, [{"divisions": ["320104"]}, {"divisions": ["320105"]}],
])
areas = words.map(lambda spec: area_of(spec, SmallGazetteer()))
moments = st.datetimes(datetime(2026, 1, 2), datetime(2028, 1, 1), timezones=st.just(SHANGHAI))
days = st.none() | st.dates(date(2026, 1, 1), date(2036, 1, 1))
amounts = st.integers(1, 10**9).map(float) | st.sampled_from([0.5, 2.25, 1e12])
rhythms = st.sampled_from(["P1D", "P3M", "P1Y6M", "P2W"])


def some(*values):
    return st.sets(st.sampled_from(values), min_size=1).map(frozenset)


def dressed(kind, **strategies):
    """Values of `kind` in which each field is its default or drawn."""
    return st.fixed_dictionaries({}, optional=strategies).map(lambda fields: kind(**fields))


def window(kind):
    return st.builds(kind, finest=st.none() | st.just(5000.0) | st.just(0.5), coarsest=st.none() | st.just(1e6))


grants = st.builds(
    Grant, clause=texts.filter(lambda said: unicodedata.is_normalized("NFKC", said)), layers=some("dom", "dlg@2011", "dem@latest"), area=areas, term=moments.map(lambda end: Term(end=end)),
    operations=some(*sorted(GRANTABLE)), scale=window(ScaleWindow), resolution=window(ResolutionWindow), degrade=st.none() | amounts.filter(lambda m: m <= 1e6),
    formats=st.none() | some("image/png", "application/json"), crs=st.none() | some("EPSG:4549", "CRS:84"), styles=st.none() | some("a", "b-1", "x.y"),
    attributes=st.none() | st.just(frozenset()) | some("NAME", "HYDL.NAME", "名称"), products=st.just(frozenset()) | some("DOM", "DLG"),
    editions=st.none() | some("2011", "latest"), rows=st.none() | st.sampled_from(["GB = 230101", "NAME = 'a  #: b'\n AND GB = 1"]),
    networks=st.none() | some("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"), purposes=st.none() | some("planning", "flood-control"),
    apps=st.none() | some("pgis", "App.2"), ceiling=st.none() | st.integers(0, 4),
)
limits = st.sets(st.tuples(st.sampled_from(Measure), st.sampled_from(Window), st.none() | st.sampled_from([0.5, 2.0, 10.0]), amounts), min_size=1).map(
    lambda drawn: tuple(
        Limit(measure=measure, window=window, resolution=resolution, most=most)
        for (measure, window, resolution), most in sorted(
            {(m, w, r if m is Measure.GROUND else None): most for m, w, r, most in drawn}.items(),
            key=lambda one: (list(Measure).index(one[0][0]), list(Window).index(one[0][1]), one[0][2] or 1e9),
        )
    ),
).filter(lambda made: all(limit.most <= 1e9 for limit in made if limit.measure is Measure.GROUND))
quotas = st.builds(
    Quota, limits=limits, rate=st.none() | st.builds(Rate, per_second=st.sampled_from([0.5, 50.0]), burst=st.integers(1, 1000)),
    export_km2=st.none() | st.just(25.0),
)
contacts = st.builds(
    Contact, name=texts, duty=or_empty, phone=or_empty, email=st.sampled_from(["", "a@example.org"]),
)
parties = st.lists(st.builds(
    Party, agency=st.sampled_from(["bureau", "water", "centre"]), role=st.sampled_from(Role), legal_name=or_empty, legal_person=or_empty,
    contacts=st.lists(contacts, max_size=2).map(tuple), signed=days,
), max_size=3, unique_by=lambda party: party.agency).map(tuple)
contributions = st.builds(
    Contribution, dataset=texts, cadence=st.just("") | rhythms, first_due=days, grace_days=st.integers(0, 60), channel=st.none() | st.sampled_from(Channel),
    format=or_empty, spec=or_empty, geometry=or_empty, join_key=or_empty, no_change_statement=st.booleans(), on_overdue=st.sampled_from(OnOverdue),
    free=st.booleans(), note=or_empty,
)
uses = st.builds(
    UseLimits, purposes=st.lists(st.sampled_from(["planning", "flood-control"]), max_size=2).map(tuple), internet=st.booleans(), onward=or_empty, derived=or_empty,
    conversion_report=st.booleans(), device_serials=many_texts,
) | st.builds(
    UseLimits, unit_scope=st.just(UnitScope.NAMED), sub_units=many_texts, third_party=st.just(True),
    contractors=st.lists(st.builds(Contractor, name=texts, undertaking=or_empty, destroy_by=days), max_size=2).map(tuple),
)
records = dressed(
    Record, parties=parties, principle=texts, delivery=many_texts, contributions=st.lists(contributions, max_size=2).map(tuple), use=uses, fees=many_texts,
    renewal=st.builds(Renewal, mode=st.sampled_from(RenewalMode), period=rhythms, notice_days=st.integers(0, 90)),
    security=st.builds(
        Security, classification=st.none() | st.integers(0, 4), network=or_empty, undertaking=or_empty, incident_contact=or_empty,
        destruction_certificate=st.booleans(),
    ),
    coordination=st.builds(
        Coordination, group=or_empty, leads=many_texts, members=many_texts, meeting=st.just("") | rhythms, dispute=many_texts,
    ),
    review=st.builds(
        Review, month=st.none() | st.integers(1, 12), indicators=st.lists(st.sampled_from(["calls", "on-time"]), max_size=2).map(tuple),
    ),
    liability=texts, breach=texts, attachments=st.lists(st.builds(Attachment, name=texts, sha256=st.just("0a" * 32)), max_size=2).map(tuple),
)
suspensions = st.builds(
    Suspension, reason=texts, since=moments, until=st.none() | st.just(at(2029, 1, 1)), layers=st.none() | some("dom", "dlg"), area=st.none() | areas,
)
any_agreements = st.builds(
    Agreement, agreement_id=texts, version=st.integers(1, 999_999), title=texts, grantor=st.just("bureau"), grantee=st.just("water"),
    term=st.sampled_from([Term(start=at(2026, 1, 1)), Term(start=at(2026, 1, 1, 8, 30), end=at(2029, 1, 1, 0, 0, 1))]), contact=texts,
    purpose=or_empty, credit=or_empty, basis=many_texts, grants=st.lists(grants, min_size=1, max_size=3, unique_by=lambda one: one.clause).map(tuple),
    suspensions=st.lists(suspensions, max_size=2).map(tuple), parent=st.none() | st.just("AG-ABOVE"), quota=st.none() | quotas,
    mark=st.none() | st.builds(Mark, text=texts, opacity=st.sampled_from([0.05, 0.3, 1.0]), place=st.sampled_from(["tiled", "corner"])),
    is_emergency=st.booleans(), record=records,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(any_agreements)
def test_a_document_that_was_written_reads_as_the_same_agreement(held):
    assert read(write_document(held)) == held


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(any_agreements, st.sampled_from([None, 2, "\t"]), st.booleans())
def test_a_document_of_json_reads_as_the_same_agreement(held, indent, is_ascii):
    assert read(json.dumps(document_of(held), indent=indent, ensure_ascii=is_ascii)) == held


def test_an_area_without_words_is_written_as_its_shape():
    held = agreement(grant(area=replace(box(118.123456789, 32.1, 118.3, 32.4), words="")))
    again = read(write_document(held))
    assert again.grants[0].area.digest == held.grants[0].area.digest


# The page that describes it

TABLES = (
    AGREEMENT, GRANT, SUSPENSION, document.TERM, document.SCALE, document.RESOLUTION, document.QUOTA, document.RATE, document.COUNTS, document.BYTES,
    document.GROUND, document.MARK, record_fields.PARTIES, record_fields.PARTY, record_fields.CONTACT, record_fields.RENEWAL,
    record_fields.CONTRIBUTION, record_fields.USE, record_fields.CONTRACTOR, record_fields.SECURITY, record_fields.COORDINATION,
    record_fields.REVIEW, record_fields.ATTACHMENT,
)

PAGE = Path(__file__).parents[2] / "docs" / "agreement-document.md"


def test_the_example_of_the_page_is_a_document_without_faults():
    example = re.search(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL).group(1)
    held = read(example)
    assert [one.clause for one in held.grants] == ["3.1", "3.2"]
    first, second = (one.area.geometry for one in held.grants)
    assert (first ^ BOTH.geometry).area == 0
    assert shapely.contains_xy(second, 118.15, 32.15) and shapely.contains_xy(second, 118.79, 32.01)
    assert set(AGREEMENT) - {"parent", "emergency"} <= {line.split(":")[0] for line in example.splitlines()}


def test_the_page_has_a_row_for_every_field_and_every_code():
    rows = set(re.findall(r"^\| `([a-z0-9_-]+)`", PAGE.read_text("utf-8"), re.MULTILINE))
    fields = {field for table in TABLES for field in table}
    assert {*fields, *WORDS, *REASON_CODES} - {"from", "finest", "coarsest"} == rows


def test_the_small_world_is_what_these_tests_take_it_for():
    assert (WEST.geometry | EAST.geometry).equals(BOTH.geometry)
