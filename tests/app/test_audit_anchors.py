"""Where a segment stands is known outside its folder, soon, and without any request waiting for it."""

import os
import threading
import time
from datetime import timedelta

import pytest
from made_record import MONDAY, Kept, lines_of, tile_event, write_rows

from geoserver_app.audit.store import AuditStore
from geoserver_app.audit.verify import Kind, verify
from geoserver_app.database import connect, migrate
from geoserver_app.decision_log import DecisionLog, DecisionLogUnavailable, Head, day_of, last_root, read_segment
from geoserver_app.settings import Settings


@pytest.fixture
def store(tmp_path):
    settings = Settings.at(tmp_path / "var")
    migrate(settings)
    database = connect(settings.database_url)
    yield AuditStore(database)
    database.dispose()


def eventually(is_so) -> bool:
    until = time.monotonic() + 10
    while not is_so() and time.monotonic() < until:
        time.sleep(0.01)
    return is_so()


def test_a_segment_is_anchored_when_it_begins_and_again_while_it_grows(tmp_path, store):
    log = DecisionLog(tmp_path / "d", store, anchor_seconds=0.02)
    log.write({"event": "overlay.decided"})
    assert eventually(lambda: [head.line for head in store.anchors().values()] in ([1], [2]))
    for number in range(5):
        log.write({"event": "overlay.decided", "number": number})
    assert eventually(lambda: [head.line for head in store.anchors().values()] == [7])
    assert verify(tmp_path / "d", store.anchors(), ()) == []
    log.close()
    assert [head.is_closed for head in store.anchors().values()] == [True]


def test_an_anchor_never_goes_back_and_an_end_is_final(store):
    for line, is_closed in ((5, False), (4, False), (9, True), (12, False)):
        store.anchor([Head(segment="20261123T090000000000-1", line=line, seal=str(line), is_closed=is_closed)])
    assert [(head.line, head.is_closed) for head in store.anchors().values()] == [(9, True)]


def test_a_database_that_is_gone_stops_no_record_and_is_told(tmp_path, caplog):
    class Gone:
        def anchor(self, heads):
            raise ConnectionError("the database is gone")

    log = DecisionLog(tmp_path, Gone(), anchor_seconds=0.01)
    ids = [log.write({"event": "overlay.decided"}) for _ in range(20)]
    assert eventually(lambda: log.anchors_late > 0)
    assert len(ids) == 20 and "can't be anchored (ConnectionError)" in caplog.text and caplog.text.count("anchored") == 1
    log._anchors = kept = Kept()
    assert eventually(lambda: kept.anchors and log.anchors_late == 0)
    assert verify(tmp_path, kept.anchors, ()) == []


def test_writing_never_waits_for_an_anchor(tmp_path):
    stuck, entered = threading.Event(), threading.Event()

    class Slow:
        def anchor(self, heads):
            entered.set()
            stuck.wait(30)

    log = DecisionLog(tmp_path, Slow(), anchor_seconds=0.01)
    log.write({"event": "overlay.decided"})
    assert entered.wait(10)
    began = time.monotonic()
    for _ in range(100):
        log.write({"event": "overlay.decided"})
    assert time.monotonic() - began < 5
    stuck.set()


def test_the_next_day_has_a_segment_of_its_own_which_names_the_end_of_the_last(tmp_path):
    kept, log = Kept(), None
    log = DecisionLog(tmp_path, kept, anchor_seconds=3600)
    log.write({"event": "one"}, MONDAY.replace(hour=23, minute=59, second=59).timestamp())
    log.write({"event": "two"}, (MONDAY.replace(hour=0) + timedelta(days=1)).timestamp())
    log.write({"event": "late"}, MONDAY.replace(hour=23, minute=59, second=59).timestamp())
    log.close()
    first, second = sorted(tmp_path.rglob("*.jsonl"))
    assert (first.parent.name, second.parent.name) == ("2026-11-23", "2026-11-24")
    assert [event["event"] for event in read_segment(second)] == ["two", "late"]
    assert f'"after":["{first.stem}",2,"' in lines_of(second)[0].decode()
    assert kept.anchors[first.stem].is_closed and verify(tmp_path, kept.anchors, ()) == []


def test_an_idle_worker_closes_yesterday_s_segment_so_that_the_day_can_be_sealed(tmp_path, monkeypatch):
    kept = Kept()
    log = DecisionLog(tmp_path, kept, anchor_seconds=3600)
    last = MONDAY.replace(hour=23, minute=59, second=50).timestamp()
    log.write({"event": "one"}, last)
    now = time.monotonic()
    monkeypatch.setattr("geoserver_app.decision_log.time.monotonic", lambda: now + 60)
    log.anchor()
    assert eventually(lambda: [head.is_closed for head in kept.anchors.values()] == [True])
    log.write({"event": "drawn for a minute"}, last)
    log.close()
    assert sorted(day_of(segment).isoformat() for segment in kept.anchors) == ["2026-11-23", "2026-11-24"]


def test_a_header_names_the_newest_seal_of_a_day(tmp_path):
    assert last_root(tmp_path) is None
    (tmp_path / "roots").mkdir()
    (tmp_path / "roots" / "2026-11-21.json").write_text('{"digest": "ab"}')
    (tmp_path / "roots" / "2026-11-22.retired").write_text("{}")
    assert last_root(tmp_path) == ["2026-11-21", "ab"]
    segment = write_rows(tmp_path, 1)
    assert b'"root":["2026-11-21","ab"]' in lines_of(segment)[0]
    (finding,) = (one for one in verify(tmp_path, None, ()) if one.place.endswith(".jsonl"))
    assert finding.kind is Kind.ROOT and "the seal of 2026-11-21" in finding.sentence


def full_after(monkeypatch, writes: int, *, tears: bool = False):
    """The disk is full from the n-th write on."""
    left, write = [writes], os.write

    def limited(descriptor: int, data: bytes) -> int:
        left[0] -= 1
        if left[0] >= 0:
            return write(descriptor, data)
        if tears and left[0] == -1:
            return write(descriptor, data[:40])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("geoserver_app.decision_log.os.write", limited)
    return left


def test_a_full_disk_leaves_the_chain_as_it_was_and_it_goes_on_when_there_is_room(tmp_path, monkeypatch):
    kept = Kept()
    log = DecisionLog(tmp_path, kept, anchor_seconds=3600)
    log.write(tile_event("water", 1))
    left = full_after(monkeypatch, 1)
    log.write(tile_event("water", 2))
    for _ in range(3):
        with pytest.raises(DecisionLogUnavailable):
            log.write(tile_event("water", 3))
    left[0] = 100
    log.write(tile_event("water", 4))
    log.close()
    (segment,) = tmp_path.rglob("*.jsonl")
    assert [event["tile"][1] for event in read_segment(segment)] == [1, 2, 4] and verify(tmp_path, kept.anchors, ()) == []


def test_a_line_that_a_full_disk_tore_ends_its_segment_and_is_told(tmp_path, monkeypatch):
    kept = Kept()
    log = DecisionLog(tmp_path, kept, anchor_seconds=3600)
    log.write(tile_event("water", 1))
    left = full_after(monkeypatch, 0, tears=True)
    for _ in range(2):
        with pytest.raises(DecisionLogUnavailable):
            log.write(tile_event("water", 2))
    left[0] = 100
    log.write(tile_event("water", 3))
    log.close()
    assert [one.kind for one in verify(tmp_path, kept.anchors, ())] == [Kind.TORN]
    assert len(list(tmp_path.rglob("*.jsonl"))) == 2


def test_a_full_disk_fills_no_folder_with_beginnings(tmp_path, monkeypatch):
    log = DecisionLog(tmp_path)
    full_after(monkeypatch, 0)
    for _ in range(5):
        with pytest.raises(DecisionLogUnavailable):
            log.write(tile_event("water", 1))
    assert list(tmp_path.rglob("*.jsonl")) == []
