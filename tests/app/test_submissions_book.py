"""Rows of submissions on both databases: no two workers have one, acts stand beside the state that they led to, and a claim ends with its lease."""

import threading
from datetime import timedelta

import pytest
from databases import emptied, engine_for, postgresql

from geoserver_app.clock import now
from geoserver_app.giving.book import ClaimLost, NoSuchSubmission, SubmissionBook
from geoserver_app.giving.submissions import OPEN, Move, SubmissionState
from geoserver_app.giving.tables import metadata


@pytest.fixture(params=("sqlite", "postgresql"))
def book(request, tmp_path):
    if request.param == "sqlite":
        engine = engine_for(f"sqlite:///{tmp_path / 'giving.sqlite'}")
        metadata.create_all(engine)
        yield SubmissionBook(engine, now)
        engine.dispose()
        return
    with postgresql() as url:
        emptied(url)
        engine = engine_for(url)
        metadata.create_all(engine)
        yield SubmissionBook(engine, now)
        engine.dispose()


def added(book: SubmissionBook, agency: str = "water") -> str:
    made = book.add(
        agreement_id="AG-1", agency=agency, dataset="districts", due=None, happened=None, wanted={"layer": f"{agency}-x", "edition": "1"}, file_name="a.gpkg",
        made_by="member",
    )
    return made.submission_id


def queued(book: SubmissionBook) -> str:
    submission = added(book)
    assert book.move(submission, Move(state=SubmissionState.QUEUED, among=[SubmissionState.AWAITING], act="received", actor="member"))
    return submission


def test_no_submission_is_taken_by_two_workers(book):
    ids, taken, lock = {queued(book) for _ in range(6)}, [], threading.Lock()

    def work(name: str) -> None:
        while (one := book.take(name)) is not None:
            with lock:
                taken.append(one.submission_id)

    workers = [threading.Thread(target=work, args=(f"worker-{number}",)) for number in range(3)]
    for one in workers:
        one.start()
    for one in workers:
        one.join(30)
    assert sorted(taken) == sorted(ids) and not book.has_work()


def test_a_claim_ends_with_its_lease_and_with_every_move(book, monkeypatch):
    submission = queued(book)
    monkeypatch.setattr("geoserver_app.giving.book.LEASE", timedelta(seconds=-1))
    first = book.take("first")
    second = book.take("second")
    assert (first.submission_id, second.submission_id, second.attempts) == (submission, submission, 2)
    with pytest.raises(ClaimLost):
        book.report(first, "first", "schema")
    book.report(second, "second", "schema")
    assert book.get(submission).step == "schema"
    assert book.move(submission, Move(state=SubmissionState.WITHDRAWN, among=OPEN, act="withdrawn", actor="member"))
    for gone in (lambda: book.report(second, "second"), lambda: book.hand_back(second, "second")):
        with pytest.raises(ClaimLost):
            gone()
    assert not book.has_work() and book.get(submission).ended is not None


def test_what_is_handed_back_is_nobody_s_fault(book):
    submission = queued(book)
    book.hand_back(book.take("one"), "one")
    found = book.get(submission)
    assert (found.state, found.attempts, found.claim) == ("queued", 0, "")


def test_a_move_is_made_once_and_stands_with_its_act(book):
    submission = queued(book)
    move = Move(state=SubmissionState.CHECKED, among=[SubmissionState.QUEUED], act="checked", actor="(system)", values={"errors": 2})
    assert book.move(submission, move) and not book.move(submission, move)
    assert [one.act for one in book.acts(submission)] == ["announced", "received", "checked"]
    assert book.get(submission).errors == 2


def test_what_a_transaction_began_is_undone_with_it(book):
    submission = queued(book)
    with pytest.raises(ZeroDivisionError), book.writing() as connection:
        book.move(submission, Move(state=SubmissionState.CHECKED, among=OPEN, act="checked", actor="x"), connection)
        raise ZeroDivisionError
    assert book.get(submission).state == "queued" and [one.act for one in book.acts(submission)] == ["announced", "received"]


def test_lists_are_of_one_agency_where_they_are_asked_so(book):
    mine, theirs = added(book), added(book, "police")
    assert [one.submission_id for one in book.list("water")] == [mine] and {one.submission_id for one in book.list()} == {mine, theirs}
    assert book.open_count("police") == 1 and book.list(states=[SubmissionState.CHECKED]) == [] and book.of_delivery("7") is None
    with pytest.raises(NoSuchSubmission):
        book.get(theirs, "water")
