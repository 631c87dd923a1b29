"""The decision record is on disk before anything leaves, and shows every later change of it."""

import json
import os
import subprocess
import sys

import pytest

from geoserver_app.decision_log import DecisionLog, DecisionLogUnavailable, read_segment


def segment_of(folder):
    (path,) = folder.rglob("*.jsonl")
    return path


def test_an_event_is_on_disk_when_write_returns(tmp_path):
    log = DecisionLog(tmp_path)
    record_id = log.write({"event": "overlay.decided", "agency": "水利"})
    (event,) = read_segment(segment_of(tmp_path))
    assert event["id"] == record_id and event["agency"] == "水利"


@pytest.mark.parametrize("harm", ("altered", "dropped", "swapped"))
def test_a_record_that_was_tampered_with_is_named(tmp_path, harm):
    log = DecisionLog(tmp_path)
    for number in range(5):
        log.write({"event": "overlay.decided", "number": number})
    path = segment_of(tmp_path)
    lines = path.read_text("utf-8").splitlines(keepends=True)
    if harm == "altered":
        lines[2] = lines[2].replace('"number":1', '"number":9')
    elif harm == "dropped":
        del lines[2]
    else:
        lines[2], lines[3] = lines[3], lines[2]
    path.write_text("".join(lines), "utf-8")
    with pytest.raises(ValueError, match="line 3"):
        list(read_segment(path))


def test_what_was_written_outlives_a_worker_that_is_killed(tmp_path):
    program = (
        "import sys, os, signal, pathlib; from geoserver_app.decision_log import DecisionLog\n"
        "log = DecisionLog(pathlib.Path(sys.argv[1]))\n"
        "for n in range(50): print(log.write({'n': n}), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60)
    told = run.stdout.split()
    assert len(told) == 50
    assert [event["id"] for event in read_segment(segment_of(tmp_path))] == told


def test_where_the_record_cannot_be_written_that_is_said(tmp_path):
    blocked = tmp_path / "decisions"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(DecisionLogUnavailable):
        DecisionLog(blocked).write({"event": "overlay.decided"})


def test_whether_a_record_could_be_written_is_told_without_writing_one(tmp_path):
    DecisionLog(tmp_path / "decisions").check()
    assert not list(tmp_path.rglob("*.jsonl"))
    (tmp_path / "file").write_text("")
    with pytest.raises(DecisionLogUnavailable):
        DecisionLog(tmp_path / "file").check()


def test_a_forked_worker_begins_a_segment_of_its_own(tmp_path):
    log = DecisionLog(tmp_path)
    log.write({"from": "parent"})
    child = os.fork()
    if child == 0:
        log.write({"from": "child"})
        os._exit(0)
    os.waitpid(child, 0)
    log.write({"from": "parent"})
    told = sorted([[event["from"] for event in read_segment(path)] for path in tmp_path.rglob("*.jsonl")])
    assert told == [["child"], ["parent", "parent"]]


def test_line_breaks_in_what_a_client_sends_cannot_forge_a_line(tmp_path):
    log = DecisionLog(tmp_path)
    log.write({"layer": 'x"}\n{"id":"forged"}\r\n'})
    header, line = segment_of(tmp_path).read_text("utf-8").splitlines()
    assert json.loads(header)["event"] == "segment.begun" and json.loads(line)["layer"].startswith("x")
