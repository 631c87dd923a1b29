"""Whatever is done to the files of the record is named: which file, which line, and what was done."""

import hashlib
import json
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_record import MONDAY, Kept, lines_of, write_rows

from geoserver_app.audit import verify as room
from geoserver_app.audit.verify import Kind, verify
from geoserver_app.decision_log import FIRST_SEAL, DecisionLog, Head

ROWS = 12


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def segment(tmp_path, kept) -> Path:
    return write_rows(tmp_path, ROWS, kept=kept)


def told(folder: Path, kept: Kept | None = None, **others) -> list[tuple[str, int | None]]:
    return [(finding.kind.value, finding.line) for finding in verify(folder, kept and kept.anchors, (), **others)]


def sealed_anew(lines: list[bytes], seal: str = FIRST_SEAL) -> list[bytes]:
    """What a forger writes who knows how seals are made."""
    made = []
    for line in lines:
        body = line[:-76]
        seal = hashlib.sha256(seal.encode() + body + b"}").hexdigest()
        made.append(body + f',"seal":"{seal}"}}\n'.encode())
    return made


def test_a_record_that_nobody_touched_has_no_finding(tmp_path, segment, kept):
    write_rows(tmp_path, 3, MONDAY + timedelta(days=1), kept)
    assert verify(tmp_path, kept.anchors, ()) == []
    assert verify(tmp_path, None, ()) == []


@pytest.mark.parametrize("line", (1, 2, 7, ROWS + 1))
def test_an_altered_row_is_named(tmp_path, segment, kept, line):
    lines = lines_of(segment)
    lines[line - 1] = lines[line - 1].replace(b'"2026-11-23T', b'"2026-11-22T')
    segment.write_bytes(b"".join(lines))
    (finding,) = verify(tmp_path, kept.anchors, ())
    assert (finding.kind, finding.line, finding.place) == (Kind.ALTERED, line, f"2026-11-23/{segment.name}")
    assert finding.is_tampering and segment.name in str(finding) and f"line {line}" in str(finding)


def test_a_deleted_row_is_named_by_its_number(tmp_path, segment, kept):
    lines = lines_of(segment)
    del lines[4:6]
    segment.write_bytes(b"".join(lines))
    (finding,) = verify(tmp_path, kept.anchors, ())
    assert (finding.kind, finding.line) == (Kind.DELETED, 5) and "records 5 to 6 are missing" in finding.sentence


def test_the_header_can_t_be_deleted(tmp_path, segment, kept):
    segment.write_bytes(b"".join(lines_of(segment)[1:]))
    assert set(told(tmp_path, kept)) == {("altered", 1), ("deleted", 1)}


def test_rows_that_changed_places_are_named(tmp_path, segment, kept):
    lines = lines_of(segment)
    lines[3], lines[4] = lines[4], lines[3]
    segment.write_bytes(b"".join(lines))
    assert told(tmp_path, kept) == [("moved", 4)]
    lines[3], lines[4] = lines[4], lines[3]
    lines.insert(9, lines.pop(2))
    segment.write_bytes(b"".join(lines))
    assert [kind for kind, _ in told(tmp_path, kept)] == ["moved"]


def test_an_inserted_row_is_named(tmp_path, segment, kept):
    lines = lines_of(segment)
    forged = lines[5].replace(b'"police"', b'"water"')
    segment.write_bytes(b"".join([*lines[:8], forged, *lines[8:]]))
    assert told(tmp_path, kept) == [("inserted", 9)]
    segment.write_bytes(b"".join([*lines[:8], b"rubbish\n", *lines[8:]]))
    assert told(tmp_path, kept) == [("inserted", 9)]


def test_a_row_replaced_by_rubbish_is_named(tmp_path, segment, kept):
    lines = lines_of(segment)
    lines[6] = b"\x00\xff rubbish\n"
    segment.write_bytes(b"".join(lines))
    assert [one for one in told(tmp_path, kept) if one[1] == 7]


def test_a_tail_that_is_cut_off_is_found_by_its_anchor_and_by_nothing_else(tmp_path, segment, kept):
    segment.write_bytes(b"".join(lines_of(segment)[:-3]))
    assert told(tmp_path) == []
    (finding,) = verify(tmp_path, kept.anchors, ())
    assert finding.kind is Kind.TRUNCATED and f"there were {ROWS + 1} at least" in finding.sentence


def test_what_is_cut_off_beyond_the_last_anchor_is_not_known(tmp_path, segment, kept):
    lines = lines_of(segment)
    kept.anchors[segment.stem] = Head(segment=segment.stem, line=9, seal=lines[8][-67:-3].decode())
    segment.write_bytes(b"".join(lines[:10]))
    assert told(tmp_path, kept) == []
    segment.write_bytes(b"".join(lines[:8]))
    assert told(tmp_path, kept) == [("truncated", 8)]


def test_a_segment_that_is_gone_is_named(tmp_path, segment, kept):
    segment.unlink()
    (finding,) = verify(tmp_path, kept.anchors, ())
    assert finding.kind is Kind.MISSING and segment.name in finding.place


def test_a_segment_that_is_gone_is_known_to_the_one_that_followed_it(tmp_path):
    log = DecisionLog(tmp_path)
    log.write({"event": "overlay.decided"}, MONDAY.timestamp())
    first = next(tmp_path.rglob("*.jsonl"))
    log.write({"event": "overlay.decided"}, (MONDAY + timedelta(days=1)).timestamp())
    assert verify(tmp_path, None, ()) == []
    first.write_bytes(first.read_bytes() + lines_of(first)[-1])
    assert {kind for kind, _ in told(tmp_path)} == {"inserted"}
    first.unlink()
    assert told(tmp_path) == [("missing", None)]


def test_a_segment_that_was_put_in_is_named(tmp_path, segment, kept):
    forged = write_rows(tmp_path, 3, MONDAY + timedelta(hours=2))
    (finding,) = verify(tmp_path, kept.anchors, ())
    assert finding.kind is Kind.UNANCHORED and not finding.is_tampering and finding.is_harmful and forged.name in finding.place


@pytest.mark.parametrize("to", ("2026-11-23/20261123T100000000000-1.jsonl", "2026-11-24/20261123T090000000000-1.jsonl", "2026-11-23/copy.jsonl"))
def test_a_segment_under_another_name_is_named(tmp_path, segment, kept, to):
    copy = tmp_path / to
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(segment.read_bytes())
    assert "inserted" in {kind for kind, _ in told(tmp_path, kept)}


def test_a_chain_that_is_made_anew_is_found_by_its_anchor(tmp_path, segment, kept):
    lines = lines_of(segment)
    lines[6] = lines[6].replace(b'"police"', b'"water"').replace(b'"water"', b'"police"', 0)
    segment.write_bytes(b"".join(sealed_anew(lines)))
    assert told(tmp_path) == []
    assert told(tmp_path, kept) == [("rewritten", ROWS + 1)] or lines == lines_of(segment)


def test_rows_added_after_the_end_of_a_segment_are_found(tmp_path, segment, kept):
    lines = lines_of(segment)
    more = lines[-1].replace(f"-{ROWS + 1}".encode(), f"-{ROWS + 2}".encode(), 1)
    segment.write_bytes(b"".join([*lines, *sealed_anew([more], lines[-1][-67:-3].decode())]))
    assert told(tmp_path) == []
    assert told(tmp_path, kept) == [("inserted", ROWS + 2)]


def test_a_torn_last_line_is_told_as_such_and_is_no_sign_of_tampering(tmp_path, segment, kept):
    del kept.anchors[segment.stem]
    segment.write_bytes(segment.read_bytes() + b'{"id":"2026')
    (finding,) = verify(tmp_path, None, ())
    assert (finding.kind, finding.line) == (Kind.TORN, ROWS + 2) and not finding.is_tampering and not finding.is_harmful


def test_line_breaks_and_control_characters_in_what_clients_send_break_no_line(tmp_path, kept):
    log = DecisionLog(tmp_path, kept, anchor_seconds=3600)
    for value in ("\r\n", "\n", "\x00", "\x1b[2J", "\x85", "\u2028", "\u202e", "\x9b31m", "\ud800", '"},"seal":"x', "\\", "\ufeff"):
        log.write({"event": "overlay.decided", "agency": "water", "style": f"a{value}b", value: value})
    log.write({"event": "overlay.decided", "agency": "water", "scale_denominator": float("inf"), "bounds": [float("nan"), 1.0]})
    log.close()
    assert verify(tmp_path, kept.anchors, ()) == []
    (path,) = tmp_path.rglob("*.jsonl")
    assert len(path.read_text("utf-8").splitlines()) == 14
    for line in path.read_text("utf-8").splitlines():
        assert json.loads(line)["event"] in ("overlay.decided", "segment.begun") and line.isprintable()


def test_pieces_of_a_long_segment_are_read_side_by_side_and_give_the_same(tmp_path, kept, monkeypatch):
    segment = write_rows(tmp_path, 300, kept=kept)
    lines = lines_of(segment)
    for size in (100, 997, 5000):
        monkeypatch.setattr(room, "PIECE_BYTES", size)
        assert verify(tmp_path, kept.anchors, ()) == []
    segment.write_bytes(b"".join([*lines[:200], *lines[201:]]))
    assert told(tmp_path, kept) == [("deleted", 201)]


def test_processes_of_their_own_give_the_same(tmp_path, kept, monkeypatch):
    segment = write_rows(tmp_path, 60, kept=kept)
    monkeypatch.setattr(room, "ALONE_BYTES", 1)
    assert verify(tmp_path, kept.anchors, (), processes=2) == []
    lines = lines_of(segment)
    segment.write_bytes(b"".join([*lines[:20], *lines[22:]]))
    assert told(tmp_path, kept, processes=2) == [("deleted", 21)]


def test_findings_of_one_segment_are_counted_where_they_are_too_many(tmp_path, kept):
    segment = write_rows(tmp_path, 400, kept=kept)
    segment.write_bytes(b"".join(line.replace(b'"GetTile"', b'"GetTale"') for line in lines_of(segment)))
    found = verify(tmp_path, kept.anchors, ())
    assert len(found) == room.MOST_FINDINGS + 1 and "300 more lines" in found[-1].sentence


def harmed(lines: list[bytes], harm: str, at: int, to: int) -> list[bytes]:
    made = list(lines)
    match harm:
        case "alter":
            body = bytearray(made[at])
            body[30] ^= 1
            made[at] = bytes(body)
        case "delete":
            del made[at]
        case "move":
            made.insert(to, made.pop(at))
        case "copy":
            made.insert(to, made[at])
        case "alter and seal":
            seal = made[at - 1][-67:-3].decode() if at else FIRST_SEAL
            made[at] = sealed_anew([made[at].replace(b"GetTile", b"GetMap").replace(b"segment.begun", b"segment.began")], seal)[0]
    return made


@settings(max_examples=100, deadline=None)
@given(
    harm=st.sampled_from(("alter", "delete", "move", "copy", "alter and seal")), at=st.integers(0, ROWS), to=st.integers(0, ROWS),
)
def test_no_single_change_escapes_and_the_place_is_told_to_the_line(harm, at, to):
    with tempfile.TemporaryDirectory() as folder:
        kept = Kept()
        segment = write_rows(Path(folder), ROWS, kept=kept)
        lines = lines_of(segment)
        made = harmed(lines, harm, at, to)
        segment.write_bytes(b"".join(made))
        found = verify(Path(folder), kept.anchors, ())
        if made == lines:
            assert found == []
            return
        assert found and all(finding.place.endswith(segment.name) for finding in found)
        first = next(number for number, (one, other) in enumerate(zip([*lines, b""], [*made, b""], strict=False), 1) if one != other)
        places = [finding.line for finding in found if finding.line]
        last = {"alter": first, "alter and seal": first + 1, "delete": first, "move": max(at, to) + 1, "copy": to + 2}[harm]
        assert any(first <= place <= last for place in places) or [one.kind for one in found] == [Kind.TRUNCATED]
