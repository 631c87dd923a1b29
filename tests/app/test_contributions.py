"""The book of contributions: what came, how it was checked, who was told - once - and that nobody loses anything by it."""

import json
import multiprocessing
import threading
from datetime import date, datetime, timedelta

import pytest

from agreements.errors import AgreementNotDefined, RegisterUnavailable
from agreements.life.ledger import Audience, Check, Standing
from agreements.record import OnOverdue
from geoserver_app.clock import SHANGHAI
from geoserver_app.contributions import ContributionInvalid, contribution_tasks, file_facts
from geoserver_app.database import connect
from geoserver_app.decision_log import HEADER, DecisionLog, DecisionLogUnavailable
from tests.agreements.small_world import at
from tests.app.reciprocity import open_office


@pytest.fixture
def office(tmp_path):
    office = open_office(tmp_path)
    yield office
    office.database.dispose()


def standings(office, agreement_id: str, dataset: str) -> list[tuple[str, str]]:
    return [(str(e.period.due), e.standing.value) for e in office.book().ledger(agreement_id) if e.period.dataset == dataset]


def events(office) -> list[dict]:
    """Every record on disk of what was done."""
    lines = [line for path in office.settings.decisions.rglob("*.jsonl") for line in path.read_text("utf-8").splitlines()]
    return [event for event in map(json.loads, lines) if event["event"] != HEADER]


def test_a_delivery_without_a_period_is_for_the_oldest_open_one(office):
    office.now = at(2026, 7, 2)
    entered = office.book().receive("AG-W", "dikes", by="水利信息中心", edition="2026-1", features=412, sha256="ab" * 32, file_name="dikes.gpkg")
    assert (entered.due, entered.check, entered.features) == (date(2026, 3, 31), Check.WAITING, 412)
    assert office.book().receive("AG-W", "dikes", by="水利信息中心").due == date(2026, 6, 30)
    assert standings(office, "AG-W", "dikes") == [("2026-03-31", "received"), ("2026-06-30", "received"), ("2026-09-30", "awaited")]


def test_a_delivery_is_checked_and_returned_with_findings_until_it_passes(office):
    office.now, book = at(2026, 3, 20), office.book()
    first = book.receive("AG-W", "dikes", by="water")
    book.check(first.delivery_id, Check.PENDING, by="inspector")
    assert standings(office, "AG-W", "dikes")[0] == ("2026-03-31", "in-check")
    returned = book.check(first.delivery_id, Check.RETURNED, "高程基准未注明", by="inspector")
    assert (returned.findings, returned.checked_by, returned.checked) == ("高程基准未注明", "inspector", office.now)
    second = book.receive("AG-W", "dikes", by="water")
    assert second.due == first.due
    book.check(second.delivery_id, Check.PASSED, by="inspector")
    assert standings(office, "AG-W", "dikes")[0] == ("2026-03-31", "accepted")


@pytest.mark.parametrize("result", [Check.PENDING, Check.PASSED, Check.RETURNED])
def test_a_check_that_is_over_stays_so(office, result):
    office.now, book = at(2026, 3, 20), office.book()
    delivery = book.receive("AG-W", "dikes", by="water")
    book.check(delivery.delivery_id, Check.PASSED)
    with pytest.raises(ContributionInvalid, match="is over"):
        book.check(delivery.delivery_id, result, "too late")
    assert book.delivery(delivery.delivery_id).check is Check.PASSED


def test_a_statement_at_the_end_of_the_year_answers_for_the_quarters_that_were_overdue(office):
    office.now = at(2026, 12, 20)
    assert [one for _, one in standings(office, "AG-W", "dikes")] == ["overdue"] * 3 + ["awaited"] * 2
    office.book().state_no_change("AG-W", "dikes", statement="2026 年堤防无变化", by="水利厅", since=date(2026, 3, 31), due=date(2026, 12, 31))
    assert [one for _, one in standings(office, "AG-W", "dikes")] == ["no-change"] * 4 + ["awaited"]
    assert all(entry.is_on_time for entry in office.book().ledger("AG-W") if entry.standing is Standing.NO_CHANGE)


def test_an_event_begins_a_period_of_its_own_and_a_delivery_for_it_notes_it(office):
    office.now, book = at(2026, 5, 1), office.book()
    book.happen("AG-W", "boundaries", date(2026, 5, 1), "新设街道")
    book.happen("AG-W", "boundaries", date(2026, 5, 1), "again")
    assert standings(office, "AG-W", "boundaries") == [("2026-05-11", "awaited")]
    office.now = at(2026, 6, 3)
    assert book.receive("AG-W", "boundaries", happened=date(2026, 6, 1), by="water").due == date(2026, 6, 11)
    assert standings(office, "AG-W", "boundaries") == [("2026-05-11", "overdue"), ("2026-06-11", "received")]


@pytest.mark.parametrize("say, code", [
    (lambda book: book.receive("AG-W", "roads", by="x"), "contribution-not-owed"),
    (lambda book: book.receive("AG-W", "dikes", by="x", due=date(2026, 4, 1)), "contribution-no-period"),
    (lambda book: book.receive("AG-W", "dikes", by="x", due=date(2026, 6, 30), since=date(2026, 4, 1)), "contribution-no-period"),
    (lambda book: book.receive("AG-W", "dikes", by="x", due=date(2026, 3, 31), since=date(2026, 6, 30)), "contribution-span"),
    (lambda book: book.receive("AG-W", "dikes", by="x", due=date(2027, 9, 30), since=date(2026, 3, 31)), "contribution-span"),
    (lambda book: book.receive("AG-W", "dikes", by="x", happened=date(2026, 4, 1)), "contribution-has-cadence"),
    (lambda book: book.receive("AG-W", "boundaries", by="x"), "contribution-nothing-open"),
    (lambda book: book.happen("AG-W", "dikes", date(2026, 4, 1)), "contribution-has-cadence"),
    (lambda book: book.state_no_change("AG-W", "boundaries", statement="none", by="x"), "contribution-no-statement"),
    (lambda book: book.state_no_change("AG-W", "dikes", statement=" ", by="x"), "contribution-statement-empty"),
    (lambda book: book.check("77", Check.PASSED), "contribution-no-delivery"),
    (lambda book: book.check("7'; --", Check.PASSED), "contribution-no-delivery"),
    (lambda book: book.check("1", Check.RETURNED), "contribution-findings-missing"),
    (lambda book: book.check("1", Check.WAITING), "contribution-check-back"),
])
def test_what_can_t_be_meant_is_told_in_both_languages_and_leaves_nothing(office, say, code):
    with pytest.raises(ContributionInvalid) as caught:
        say(office.book())
    assert caught.value.code == code and caught.value.told("zh") != caught.value.told("en") == str(caught.value)
    assert events(office) == [] and not any(entry.deliveries for entry in office.book().ledger("AG-W"))


def test_an_agreement_that_is_not_there_is_told(office):
    with pytest.raises(AgreementNotDefined):
        office.book().receive("AG-X", "dikes", by="x")


def test_every_act_has_its_record_and_one_that_can_t_be_recorded_does_not_happen(office, tmp_path):
    office.now, book = at(2026, 3, 20), office.book()
    delivery = book.receive("AG-W", "dikes", by="水利信息中心", actor="manager", sha256="ab" * 32)
    book.check(delivery.delivery_id, Check.PASSED, by="inspector")
    received, checked = events(office)
    assert (received["event"], received["agency"], received["agreement"], received["due"]) == ("contribution.received", "water", "AG-W", "2026-03-31")
    assert (received["actor"], checked["event"], checked["result"]) == ("manager", "contribution.checked", "passed")
    (tmp_path / "blocked").write_text("a file where the folder should be")
    deaf = office.book(DecisionLog(tmp_path / "blocked"))
    with pytest.raises(DecisionLogUnavailable):
        deaf.receive("AG-T", "roads", by="transport")
    office.now = at(2026, 6, 1)
    with pytest.raises(DecisionLogUnavailable):
        deaf.give_notices()
    assert not any(entry.deliveries for entry in book.ledger("AG-T")) and book.notices() == ()


def test_an_agency_s_ledgers_are_those_of_the_agreements_it_is_a_party_to(office):
    assert set(office.book().agreements("water")) == {"AG-W"}
    assert set(office.book().agreements()) == {"AG-W", "AG-T"}


def given_by_day(office, days: int) -> list:
    given = []
    for _ in range(days):
        given += office.book().give_notices()
        office.now += timedelta(days=1)
    return given


def test_over_a_quarter_each_stage_is_told_once_on_its_day(office):
    told = [(n.stage, str(n.given.date())) for n in given_by_day(office, 130) if n.agreement_id == "AG-W" and n.due == date(2026, 3, 31)]
    assert told == [(-7, "2026-03-24"), (0, "2026-03-31"), (7, "2026-04-07"), (30, "2026-04-30")]


def test_after_a_week_in_which_nobody_asked_each_hears_the_last_word_alone(office):
    office.now = at(2026, 5, 4)
    (to_liaison, to_group) = [n for n in office.book().give_notices() if n.agreement_id == "AG-W"]
    assert (to_liaison.stage, to_liaison.contacts[0].email) == (7, "liaison@water.test")
    assert (to_group.stage, to_group.audience, to_group.contacts[0].email) == (30, Audience.GROUP, "office@bureau.test")
    assert sorted(n.stage for n in office.book().notices("AG-W") if n.is_overtaken) == [-7, 0]
    assert office.book().give_notices() == ()


def test_a_smaller_quota_is_at_most_proposed_and_nothing_that_decides_has_changed(office):
    before = (office.register.epoch(), office.register.snapshot())
    notices = given_by_day(office, 400)
    proposals = [n for n in notices if n.proposal]
    assert proposals and {(n.proposal, n.agreement_id, n.stage) for n in proposals} == {(OnOverdue.REDUCE_QUOTA, "AG-W", 30)}
    assert "额度不变" in proposals[0].told("zh") and "quota stays" in proposals[0].told("en")
    assert (office.register.epoch(), office.register.snapshot()) == before


def test_what_is_to_be_delivered_checked_and_decided_is_a_task_for_whom_it_is(office):
    office.now, book = at(2026, 3, 23), office.book()
    assert contribution_tasks(book.ledger("AG-W"), office.now) == ()
    office.now = at(2026, 3, 24)
    (due,) = contribution_tasks(book.ledger("AG-W"), office.now)
    assert (due.kind, due.agencies, due.due) == ("contribution-due", frozenset({"water"}), at(2026, 4, 1))
    book.receive("AG-W", "dikes", by="water")
    (check,) = contribution_tasks(book.ledger("AG-W"), office.now)
    assert check.kind == "contribution-check" and not check.agencies
    office.now = at(2026, 4, 5)
    book.check(check_of(book), Check.RETURNED, "no datum")
    assert [task.kind for task in contribution_tasks(book.ledger("AG-W"), office.now)] == ["contribution-due"]
    assert {task.kind for task in contribution_tasks(book.ledger("AG-W"), at(2026, 4, 30))} == {"contribution-due", "contribution-quota"}


def check_of(book) -> str:
    return next(entry.deliveries[-1].delivery_id for entry in book.ledger("AG-W") if entry.deliveries)


def _give(address: str, folder, barrier, answers) -> None:
    from tests.app.reciprocity import Office

    office = Office(folder, connect(address), at(2026, 6, 1))
    book = office.book()
    barrier.wait(60)
    answers.put([notice.as_json()["id"] for notice in book.give_notices()])


def test_two_processes_that_give_notices_at_once_give_each_of_them_once(office):
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    both = [context.Process(target=_give, args=(office.settings.database_url, office.settings, barrier, answers)) for _ in range(2)]
    for one in both:
        one.start()
    given = [notice for _ in both for notice in answers.get(timeout=100)]
    for one in both:
        one.join(30)
    assert len(given) == len(set(given)) > 4
    assert len([e for e in events(office) if e["event"] == "contribution.notice"]) == len(office.book().notices())


def test_a_database_server_gives_each_notice_once_as_well(tmp_path, postgresql_url):
    """Its register goes by its own clock, so that what is owed begins today."""
    office, given, ready = open_office(tmp_path, database_url=postgresql_url), [], threading.Barrier(4)
    office.now = datetime.now(SHANGHAI) + timedelta(days=200)

    def give():
        book = office.book()
        ready.wait(60)
        given.extend(notice.as_json()["id"] for notice in book.give_notices())

    threads = [threading.Thread(target=give) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert len(given) == len(set(given)) > 4
    book = office.book()
    waiting = book.notices(untaken=True)
    assert len(book.take(waiting)) == len(waiting) and book.take(waiting) == () == book.notices(untaken=True)
    entered = book.receive("AG-T", "roads", by="transport", features=7)
    assert book.check(entered.delivery_id, Check.PASSED).checked == office.now and book.delivery(entered.delivery_id).received == office.now
    office.database.dispose()


def test_notices_are_taken_once_by_however_many_mailers(office):
    office.now = at(2026, 6, 1)
    office.book().give_notices()
    waiting, taken, ready = office.book().notices(untaken=True), [], threading.Barrier(4)

    def mailer():
        ready.wait(30)
        taken.extend(office.book().take(waiting))

    threads = [threading.Thread(target=mailer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(n.as_json()["id"] for n in taken) == sorted(n.as_json()["id"] for n in waiting)
    assert office.book().notices(untaken=True) == ()
    office.book().give_back(taken[:1])
    assert len(office.book().notices(untaken=True)) == 1


def test_a_notice_that_names_a_returned_delivery_says_why(office):
    office.now, book = at(2026, 3, 10), office.book()
    book.check(book.receive("AG-W", "dikes", by="water").delivery_id, Check.RETURNED, "no datum")
    office.now = at(2026, 3, 26)
    (notice,) = [n for n in book.give_notices() if n.agreement_id == "AG-W"]
    assert "no datum" in notice.told("zh") and "no datum" in notice.told("en")
    assert notice.as_json()["to"][0]["email"] == "liaison@water.test"


def test_a_database_that_is_gone_is_told_in_a_sentence(office):
    with office.database.begin() as connection:
        connection.exec_driver_sql("DROP TABLE contribution_deliveries")
    with pytest.raises(RegisterUnavailable, match="book of contributions"):
        office.book().ledger("AG-W")


def test_of_a_delivered_file_the_book_keeps_name_checksum_and_features(tmp_path):
    (tmp_path / "roads.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [118 + n, 32]}} for n in range(3)
    ]}))
    facts = file_facts(tmp_path / "roads.geojson")
    assert facts["features"] == 3 and facts["file_name"] == "roads.geojson" and len(facts["sha256"]) == 64
