"""A day is sealed once and for good; an agency can see that its own rows are part of it, without seeing anybody else's."""

import hashlib
import json
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_record import MONDAY, Kept, lines_of, tile_event, write_rows

from geoserver_app.audit.merkle import Tree, inclusion_path, leaf_hash, node_hash, root_from_path
from geoserver_app.audit.roots import DayRoot, Proof, agency_of, doubts, prove, read_beside, root_path
from geoserver_app.audit.sealing import DayNotOver, check, own_rows, seal_days
from geoserver_app.audit.store import AuditStore
from geoserver_app.audit.verify import Kind
from geoserver_app.clock import SHANGHAI
from geoserver_app.database import connect, migrate
from geoserver_app.decision_log import DecisionLog
from geoserver_app.settings import Settings

DAY = MONDAY.date()
TUESDAY = datetime(2026, 11, 24, 0, 5, tzinfo=SHANGHAI)
FRIDAY = datetime(2026, 11, 27, 0, 5, tzinfo=SHANGHAI)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "decisions"


@pytest.fixture
def store(tmp_path):
    settings = Settings.at(tmp_path / "var")
    migrate(settings)
    database = connect(settings.database_url)
    yield AuditStore(database)
    database.dispose()


@pytest.fixture
def sealed(folder, store):
    """Monday and Wednesday with two segments each, sealed on Friday with the days between."""
    for at in (MONDAY, MONDAY + timedelta(hours=1), MONDAY + timedelta(days=2), MONDAY + timedelta(days=2, hours=1)):
        write_rows(folder, 9, at, store)
    return seal_days(folder, store, FRIDAY)


# -- trees

def naive_root(leaves):
    """As RFC 9162, 2.1.1 says it."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


@given(st.integers(1, 70), st.data())
def test_trees_are_those_of_the_standard_and_every_path_leads_to_the_root(size, data):
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    root = Tree(leaves).root()
    assert root == naive_root(leaves)
    at = data.draw(st.integers(0, size - 1))
    path = inclusion_path(leaves, at)
    assert root_from_path(leaves[at], at, size, path) == root
    other = data.draw(st.integers(0, size - 1))
    if other != at:
        assert root_from_path(leaves[at], other, size, path) != root
    if path:
        assert root_from_path(leaves[at], at, size, path[:-1]) != root


# -- sealing

def test_every_day_that_is_over_is_sealed_and_follows_from_the_one_before(folder, store, sealed):
    assert [root.day.day for root in sealed] == [23, 24, 25, 26]
    assert [root.rows for root in sealed] == [20, 0, 20, 0]
    assert sealed[0].previous == "0" * 64 and [root.previous for root in sealed[1:]] == [root.digest for root in sealed[:-1]]
    assert [root.agency for root in sealed[0].agencies] == ["-", "police", "water"]
    assert sealed == store.roots() and check(folder, store) == []
    assert read_beside(folder) == {root.day: root.document() for root in sealed}


def test_sealing_again_changes_nothing_and_brings_back_a_file_that_is_gone(folder, store, sealed):
    root_path(folder, DAY).unlink()
    assert [one.sentence for one in check(folder, store)] == ["the file is gone: `geoshare audit seal` writes it again"]
    assert seal_days(folder, store, FRIDAY) == [] and check(folder, store) == []


def test_a_day_that_is_not_over_can_t_be_sealed(folder, store):
    write_rows(folder, 3, MONDAY, store)
    for now in (MONDAY, MONDAY.replace(hour=23, minute=59), datetime(2026, 11, 24, 0, 0, 59, tzinfo=SHANGHAI)):
        with pytest.raises(DayNotOver, match="2026-11-23 is not over"):
            seal_days(folder, store, now, until=DAY)
        assert seal_days(folder, store, now) == []
    assert [root.day for root in seal_days(folder, store, datetime(2026, 11, 24, 0, 1, tzinfo=SHANGHAI))] == [DAY]


def test_the_digest_of_a_day_is_that_of_five_lines_that_anybody_can_write(sealed):
    root = sealed[2]
    leaves = [hashlib.sha256(b"\0" + f"{one.agency} {one.rows} {one.root}".encode()).digest() for one in root.agencies]
    agencies = hashlib.sha256(b"\1" + hashlib.sha256(b"\1" + leaves[0] + leaves[1]).digest() + leaves[2]).hexdigest()
    text = f"geoshare-audit-day 1\n2026-11-25\nprevious {sealed[1].digest}\nagencies {agencies}\ncontents {root.contents}\n"
    assert hashlib.sha256(text.encode()).hexdigest() == root.digest


def test_the_seal_of_a_day_names_where_the_history_of_the_register_stood(folder, store):
    write_rows(folder, 3, MONDAY, store)
    (root,) = seal_days(folder, store, TUESDAY, register=(7, "ab"))
    assert store.roots()[0].register == (7, "ab") == root.register
    assert check(folder, store, history={7: "ab"}) == []
    (finding,) = check(folder, store, history={7: "cd"})
    assert finding.kind is Kind.ROOT and "event 7 is another one" in finding.sentence


def test_what_was_wrong_with_a_day_is_sealed_with_it_and_stops_no_later_day(folder, store):
    segment = write_rows(folder, 6, MONDAY, store)
    lines = lines_of(segment)
    segment.write_bytes(b"".join([*lines[:3], *lines[4:]]))
    write_rows(folder, 2, MONDAY + timedelta(days=1), store)
    first, second = seal_days(folder, store, MONDAY + timedelta(days=2))
    assert "record 4 is missing" in first.findings[0] and second.findings == ()
    assert "deleted" in [one.kind for one in check(folder, store)]


@pytest.mark.parametrize("harm", ("row", "segment gone", "segment put in", "rewritten", "file", "database", "day gone"))
def test_no_change_of_a_sealed_day_escapes(folder, store, sealed, harm):
    segment = sorted(folder.glob("2026-11-25/*.jsonl"))[0]
    lines = lines_of(segment)
    if harm == "row":
        segment.write_bytes(b"".join([*lines[:4], lines[4].replace(b'"tile":[14', b'"tile":[15'), *lines[5:]]))
    elif harm == "segment gone":
        segment.unlink()
    elif harm == "segment put in":
        write_rows(folder, 2, MONDAY + timedelta(days=2, hours=3), store)
    elif harm == "rewritten":
        segment.unlink()
        write_rows(folder, 9, MONDAY + timedelta(days=2), Kept(), agencies=("water",)).rename(segment)
    elif harm == "file":
        root_path(folder, DAY).write_text(root_path(folder, DAY).read_text().replace("water", "waters"))
    elif harm == "database":
        from sqlalchemy import text

        with store.database.begin() as connection:
            connection.execute(text("UPDATE audit_roots SET document = replace(document, '\"rows\"', '')"))
            connection.execute(text("UPDATE audit_roots SET document = replace(document, 'police', 'Police') WHERE day = '2026-11-25'"))
    else:
        from sqlalchemy import text

        with store.database.begin() as connection:
            connection.execute(text("DELETE FROM audit_roots WHERE day = '2026-11-24'"))
    found = check(folder, store)
    assert found and any(one.is_tampering for one in found)
    wanted = {"row": "altered", "segment gone": "missing", "segment put in": "inserted", "rewritten": "rewritten"}.get(harm, "root")
    assert wanted in [one.kind.value for one in found]


def test_the_rows_of_an_agency_are_compared_with_its_root_too(folder, store, sealed):
    segment = sorted(folder.glob("2026-11-23/*.jsonl"))[0]
    segment.write_bytes(segment.read_bytes().replace(b'"agency":"police"', b'"agency":"water"', 1))
    sentences = [one.sentence for one in check(folder, store, days=[DAY])]
    assert any("the rows of `police`" in one for one in sentences) and any("the rows of `water`" in one for one in sentences)


# -- one agency alone

def given_to(folder, root, agency) -> tuple[list[bytes], Proof]:
    """As it reaches the agency: rows as lines of a file, the proof as JSON."""
    return [row.rstrip(b"\n") for row in own_rows(folder, root.day, agency)], Proof.parse(prove(root, agency).document())


@pytest.mark.parametrize("agency", ("water", "police", "-"))
def test_an_agency_verifies_its_own_rows_and_sees_no_one_else_s(folder, sealed, agency):
    rows, proof = given_to(folder, sealed[0], agency)
    assert len(rows) == proof.rows and list(doubts(rows, proof)) == [] == list(doubts(rows, proof, sealed[0].digest))
    others = {"water", "police"} - {agency}
    assert not any(other in row.decode() for row in rows for other in others) and not any(other in proof.document() for other in others)


@pytest.mark.parametrize("harm, told", [
    ("drop", "5 rows where 6 were sealed"), ("add", "7 rows where 6 were sealed"), ("alter", "not those that were sealed"),
    ("swap", "not those that were sealed"), ("stranger", "rows of police are among them"), ("root", "not lead to the day root"),
    ("path", "not lead to the day root"), ("held", "not the one you hold"),
])
def test_an_agency_notices(folder, sealed, harm, told):
    rows, proof = given_to(folder, sealed[0], "water")
    proof, held = json.loads(proof.document()), None
    if harm == "drop":
        del rows[2]
    elif harm == "add":
        rows.append(rows[0])
    elif harm == "alter":
        rows[1] = rows[1].replace(b'"permit"', b'"clip"')
    elif harm == "swap":
        rows[1], rows[2] = rows[2], rows[1]
    elif harm == "stranger":
        rows.append(next(own_rows(folder, DAY, "police")).rstrip(b"\n"))
    elif harm == "root":
        rows = [row.replace(b"dom", b"dem") for row in rows]
        proof["root"] = Tree(leaf_hash(row) for row in rows).root().hex()
    elif harm == "path":
        proof["path"] = proof["path"][::-1] + ["zz"]
    else:
        held = "ab" * 32
    assert any(told in one for one in doubts(rows, Proof.parse(json.dumps(proof)), held))


def test_an_agency_without_rows_has_no_proof(sealed):
    with pytest.raises(LookupError, match="`land` has no row on 2026-11-23"):
        prove(sealed[0], "land")
    with pytest.raises(ValueError, match="the file that `geoshare audit own` wrote"):
        Proof.parse("{}")


def test_whose_a_row_is_can_t_be_forged_by_what_a_client_sends(tmp_path):
    log = DecisionLog(tmp_path)
    log.write(tile_event("water", 1) | {"style": '","agency":"police","x":"', "layer": '{"agency":"police"}', "nested": {"agency": "police"}})
    log.write({"layer": "dom", "event": '","agency":"police', "agency": "water"})
    log.write({"layer": '"agency":"police"'})
    (path,) = tmp_path.rglob("*.jsonl")
    assert [agency_of(line.rstrip(b"\n")) for line in lines_of(path)] == ["-", "water", "water", "-"]


def test_a_seal_is_read_as_it_was_written():
    root = DayRoot(day=date(2026, 1, 1), previous="0" * 64)
    assert DayRoot.parse(root.document()) == root
    for broken in ("", "{}", "[]", root.document().replace("2026", "2027")):
        with pytest.raises(ValueError):
            DayRoot.parse(broken)
