"""The published JSON Schema says what the reader reads: the same fields, and the same faults where a schema can tell them."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from small_world import SmallGazetteer
from test_agreement_document import DOCUMENT, FAULTY, FIELDS_READ, TABLES, any_agreements, with_grant_field

from agreements.areas import BUFFER_WORDS, WORDS
from agreements.document import form as document
from agreements.document import marked, record_fields, schema
from agreements.document.reading import plain_value
from agreements.errors import DocumentInvalid

ROOT = Path(__file__).parents[2]
SCHEMA = schema.agreement_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
DEFINED = SCHEMA["$defs"]


def values(text):
    return plain_value(marked.parse(text, lambda *fault: pytest.fail(str(fault))))


def faults(text):
    return [error.message for error in VALIDATOR.iter_errors(values(text))]


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


PLACES = {
    "agreement": (document.AGREEMENT, SCHEMA),
    "term": (document.TERM, DEFINED["term"]),
    "grant": (document.GRANT, DEFINED["grant"]),
    "scale": (document.SCALE, DEFINED["scale"]),
    "resolution": (document.RESOLUTION, DEFINED["resolution"]),
    "quota": (document.QUOTA, DEFINED["quota"]),
    "rate": (document.RATE, DEFINED["quota"]["properties"]["rate"]),
    "counts": (document.COUNTS, DEFINED["counts"]),
    "bytes": (document.BYTES, DEFINED["byteCounts"]),
    "ground": (document.GROUND, DEFINED["ground"]),
    "mark": (document.MARK, SCHEMA["properties"]["mark"]["anyOf"][1]),
    "suspension": (document.SUSPENSION, DEFINED["suspension"]),
    "parties": (record_fields.PARTIES, SCHEMA["properties"]["parties"]),
    "party": (record_fields.PARTY, DEFINED["party"]),
    "contact": (record_fields.CONTACT, DEFINED["contact"]),
    "renewal": (record_fields.RENEWAL, SCHEMA["properties"]["renewal"]),
    "contribution": (record_fields.CONTRIBUTION, DEFINED["contribution"]),
    "use": (record_fields.USE, DEFINED["use"]),
    "contractor": (record_fields.CONTRACTOR, DEFINED["contractor"]),
    "security": (record_fields.SECURITY, DEFINED["security"]),
    "coordination": (record_fields.COORDINATION, DEFINED["coordination"]),
    "review": (record_fields.REVIEW, DEFINED["review"]),
    "attachment": (record_fields.ATTACHMENT, DEFINED["attachment"]),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_schema_has_the_fields_of_the_table_and_asks_for_the_same(place):
    table, said = PLACES[place]
    assert set(table) == set(said["properties"])
    assert {name for name, field in table.items() if field.is_required} == set(said.get("required", ()))
    assert said["additionalProperties"] is False


def test_every_table_has_its_place_in_the_schema():
    assert {id(table) for table, _ in PLACES.values()} == {id(table) for table in TABLES}
    assert set(DEFINED["place"]["properties"]) == set(WORDS)
    assert set(DEFINED["place"]["properties"]["buffer"]["properties"]) == set(BUFFER_WORDS)


def test_every_field_has_a_title_in_chinese_and_english():
    untitled = [
        f"{place}.{name}" for place, (_, said) in PLACES.items() for name, one in said["properties"].items()
        if not re.search(r"[\u4e00-\u9fff].* / .*[a-z]", _title(one)) and _title(one) not in ("SHA-256", "坐标系 / CRS")
    ]
    assert untitled == []


def _title(said):
    return said.get("title") or DEFINED.get(said.get("$ref", "").rpartition("/")[2], {}).get("title", "")


DOCUMENTS = sorted([*(ROOT / "config" / "agreements").glob("*.yaml"), *(ROOT / "config" / "demo").rglob("agreements/*.yaml")])


@pytest.mark.parametrize("path", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_every_sample_agreement_keeps_to_the_schema(path):
    assert faults(path.read_text("utf-8")) == []


def test_the_example_of_the_page_keeps_to_the_schema():
    page = (ROOT / "docs" / "agreement-document.md").read_text("utf-8")
    assert faults(re.search(r"```yaml\n(.*?)```", page, re.DOTALL).group(1)) == []


@pytest.mark.parametrize("line", FIELDS_READ)
def test_what_the_reader_reads_keeps_to_the_schema(line):
    assert faults(with_grant_field(line)) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(any_agreements)
def test_whatever_is_written_keeps_to_the_schema(held):
    said = document.document_of(held)
    assert [error.message for error in VALIDATOR.iter_errors(json.loads(json.dumps(said)))] == []


BOTH_REFUSE = [
    "versoin: 1", "parties: {grantor: Bureau, grantee: water}", "parties: {grantor: bureau}", "parties: {grantor: bureau, grantee: water, other: x}",
    "version: 0", "version: 1.5", "version: one", "term: {until: 2028-12-31}", "term: {from: next year}", "emergency: perhaps", "grants: []",
    "quota: {}", "quota: {rate: {burst: 5}}", "quota: {requests: {week: 5}}", "quota: {requests: {day: many}}", "quota: {bytes: {day: 5 XB}}",
    "quota: {km2: {most: 5}}", "quota: {km2: {most: 5, window: year}}", "quota: {export_km2: -3}", "mark: {opacity: 0.5}", "mark: {text: a, opacity: 2}",
    "mark: {text: a, place: middle}", f"mark: {'长' * 101}", "renewal: {mode: perhaps}", "renewal: {period: PT5M}", "renewal: {notice_days: 1.5}",
    "contributions: [roads]", "contributions: [{cadence: P1M}]", "contributions: [{dataset: a, channel: pigeon}]", "contributions: [{dataset: a, due: 2026-01-01}]",
    "contributions: [{dataset: a, on_overdue: cut}]", "use: {unit_scope: everybody}", "use: {internet: maybe}", "use: {contractors: [{undertaking: x}]}",
    "security: {classification: cosmic}", "security: {guards: 3}", "coordination: {meeting: sometimes}", "review: {month: 13}", "review: {indicators: [A B]}",
    "attachments: [{name: a}]", "attachments: [{name: a, sha256: abc}]", "parties: {grantor: bureau, grantee: water, details: [{role: user}]}",
    "parties: {grantor: bureau, grantee: water, details: [{agency: water, role: owner}]}",
    "parties: {grantor: bureau, grantee: water, details: [{agency: water, contacts: [{name: a, email: nobody}]}]}",
    "suspensions: [{since: 2026-01-01}]", "suspensions: [{reason: a, since: 2026-01-01, layers: [A]}]",
]

BOTH_REFUSE_OF_A_GRANT = [
    "operations: [GetMpa]", "layers: [../dom]", "layers: []", "products: [DTM]", "editions: ['a b']", "area: {}", "area: here", "area: {place: x}",
    "area: {everywhere: false}", "scale: {finest: -5}", "scale: fine", "resolution: {finest: 0}", "resolution: {finest: 3 ft}", "degrade: much",
    "formats: ['../png']", "crs: [Beijing]", "styles: ['a b']", "attributes: ['NAME; DROP']", "rows: [a]", "networks: [the office]", "purposes: [Planning]",
    "apps: ['a b']", "ceiling: cosmic", "term: {until: never}", "quota: 5",
]


def _replaced(line):
    """DOCUMENT with `line` in the place of the field that it names."""
    field = line.partition(":")[0]
    kept = [one for one in DOCUMENT.splitlines() if not one.startswith(f"{field}:")]
    if field == "grants":
        kept = kept[:kept.index("grants:")] if "grants:" in kept else [one for one in kept if not one.startswith(" ")]
    return "\n".join([*kept, line]) + "\n"


def _replaced_in_grant(line):
    field = line.partition(":")[0]
    return "\n".join([*(one for one in DOCUMENT.splitlines() if not one.startswith(f"    {field}:")), f"    {line}"]) + "\n"


@pytest.mark.parametrize("text", [
    *(pytest.param(_replaced(line), id=line) for line in BOTH_REFUSE),
    *(pytest.param(_replaced_in_grant(line), id=line) for line in BOTH_REFUSE_OF_A_GRANT),
])
def test_what_is_wrong_is_wrong_for_the_reader_and_for_the_schema(text):
    assert faults(text) != []
    with pytest.raises(DocumentInvalid):
        document.read_document(text, "faulty.yaml", SmallGazetteer())


BEYOND_A_SCHEMA = {
    # of places, purposes and filters that there are
    "is not known", "`Q9` is not", "covers no ground", "is not JSON", "names nothing", "is not a purpose: use planning", "is not CQL2 text",
    # of days and addresses
    "is not a date", "is not a duration", "is not a block of addresses", "write `10.32.0.0/16` for the block", "write it as IPv4", "leave `networks` out",
    # of one field beside another
    "is the grantor itself", "is this agreement itself", "ends before it begins", "is also on line 8", "reaches beyond the term of the agreement",
    "5 m is coarser than 2.5 m", "keep one", "is described twice", "say provider, user or manager", "write `unit_scope: named`", "write `third_party: true`",
    # and 1.0 is a whole number in JSON
    "is not a version",
}


def test_what_keeps_to_the_schema_can_be_read_but_for_what_no_schema_sees():
    passed = {told[2] for text, told in FAULTY.items() if _is_readable(text) and not faults(text)}
    assert passed <= BEYOND_A_SCHEMA


def _is_readable(text):
    told = []
    node = marked.parse(text, lambda *fault: told.append(fault))
    return node is not None and not told
