"""What waits to be done: opened by a move or by the clock, closed by the next, with the right deadline."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from small_world import NOON, agreement, at
from test_history import ANNA, CARL, DORA, OTIS, WATER, Clock, sign

from agreements.life.lifecycle import Action, Deadlines, Role
from agreements.life.tasks import SENTENCES, Desk, open_tasks
from agreements.life.workdays import WorkCalendar, read_calendar
from agreements.model import BUREAU, Term
from agreements.record import Contractor, Record, Renewal, RenewalMode, Security, UseLimits
from agreements.register import InMemoryRegister


@pytest.fixture(scope="module")
def china(config_folder) -> WorkCalendar:
    return read_calendar((config_folder / "holidays.csv").read_text("utf-8"), "holidays.csv")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def office(china, clock):
    """A register, and what waits in it now: kind -> due."""
    register = InMemoryRegister(clock)
    register.add_agency(WATER)

    class Office:
        def __getattr__(self, name):
            return getattr(register, name)

        def tasks(self, **desk):
            return open_tasks(register.cases(), Desk(at=clock.moment, calendar=china, **desk))

        def waiting(self, **desk):
            return {task.kind: task.due for task in self.tasks(**desk)}

    return Office()


def until_checked(office, one=None):
    office.add_draft(one or agreement(), "text", DORA)
    office.move("AG-1", 1, Action.SUBMIT, DORA)
    office.move("AG-1", 1, Action.CHECK, CARL)


def until_active(office, one=None):
    until_checked(office, one)
    office.move("AG-1", 1, Action.APPROVE, ANNA)
    sign(office, "AG-1", 1, BUREAU)
    sign(office, "AG-1", 1, "water")
    office.move("AG-1", 1, Action.ACTIVATE, OTIS)


def test_each_step_to_the_agreement_waits_for_the_next(office):
    office.add_draft(agreement(), "text", DORA)
    assert office.waiting() == {}
    office.move("AG-1", 1, Action.SUBMIT, DORA)                                       # a Monday
    assert office.waiting() == {"conformity-check": at(2026, 11, 26)}
    office.move("AG-1", 1, Action.CHECK, CARL)
    assert office.waiting() == {"answer": at(2026, 12, 1)}
    assert office.waiting(is_published=lambda agreement: False) == {"answer": at(2026, 12, 8)}
    office.move("AG-1", 1, Action.APPROVE, ANNA)
    assert [(task.kind, task.detail["party"], task.agencies) for task in office.tasks()] == [("sign", BUREAU, set()), ("sign", "water", {"water"})]
    sign(office, "AG-1", 1, "water")
    assert [task.detail["party"] for task in office.tasks()] == [BUREAU]
    sign(office, "AG-1", 1, BUREAU)
    assert office.waiting() == {"activate": at(2026, 1, 1)}
    office.move("AG-1", 1, Action.ACTIVATE, OTIS)
    assert office.waiting() == {}


def test_what_went_back_is_checked_again_with_days_of_its_own(office, clock):
    until_checked(office)
    office.move("AG-1", 1, Action.REQUEST_CHANGES, ANNA, comment="clause 3")
    assert office.waiting() == {}
    clock.moment = at(2026, 12, 4, 16)
    office.move("AG-1", 1, Action.SUBMIT, DORA)
    assert office.waiting() == {"conformity-check": at(2026, 12, 9)}


def test_a_deadline_is_over_with_its_last_moment(office):
    office.add_draft(agreement(), "text", DORA)
    office.move("AG-1", 1, Action.SUBMIT, DORA)
    (task,) = office.tasks()
    assert not task.is_overdue(at(2026, 11, 26) - timedelta(milliseconds=1)) and task.is_overdue(at(2026, 11, 26))


def test_an_answer_into_a_year_that_is_not_announced_says_so(office, clock):
    clock.moment = at(2026, 12, 29, 10)
    until_checked(office)
    (task,) = office.tasks(deadlines=Deadlines(answer_published=3))
    assert task.due == at(2027, 1, 5) and task.assumed == (2027,)


def test_an_emergency_stays_flagged_until_it_is_ratified_even_when_it_is_over(office, clock):
    office.add_draft(agreement(is_emergency=True, term=Term(start=NOON, end=NOON + timedelta(hours=24))), "text", OTIS)
    office.move("AG-1", 1, Action.ACTIVATE_EMERGENCY, OTIS, comment="flood")
    assert office.waiting() == {"ratify": at(2026, 12, 1)}
    clock.moment = at(2026, 12, 24)
    (task,) = office.tasks()
    assert task.is_overdue(clock.moment) and task.roles == {Role.APPROVER} and "`otis` alone" in task.en
    office.move("AG-1", 1, Action.RATIFY, ANNA)
    assert office.waiting() == {}


RENEWING = agreement(term=Term(start=at(2026, 1, 1), end=at(2027, 1, 1)), record=Record(renewal=Renewal(notice_days=30)))


@pytest.mark.parametrize("moment, is_waiting", [
    (at(2026, 12, 1, 23, 59), False), (at(2026, 12, 2), True), (at(2026, 12, 31, 23, 59), True), (at(2027, 1, 1), False),
])
def test_a_renewal_waits_from_its_notice_to_the_end(office, clock, moment, is_waiting):
    until_active(office, RENEWING)
    clock.moment = moment
    assert office.waiting() == ({"renew": at(2027, 1, 1)} if is_waiting else {})
    if is_waiting:
        assert "ends with 2026-12-31" in office.tasks()[0].en


def test_a_renewal_that_is_being_prepared_or_that_nobody_wants_does_not_wait(office, clock):
    until_active(office, RENEWING)
    clock.moment = at(2026, 12, 10)
    office.add_draft(replace(RENEWING, version=2, term=Term(start=at(2027, 1, 1), end=at(2028, 1, 1))), "second", DORA)
    assert office.waiting() == {}
    office.move("AG-1", 2, Action.WITHDRAW, DORA, comment="no")
    assert set(office.waiting()) == {"renew"}


def test_an_agreement_that_is_not_to_be_renewed_ends_without_a_word(office, clock):
    until_active(office, replace(RENEWING, record=Record(renewal=Renewal(mode=RenewalMode.NONE))))
    clock.moment = at(2026, 12, 20)
    assert office.waiting() == {}


def test_the_certificate_of_destruction_waits_from_the_end_until_it_came_in(office, clock):
    until_active(office, agreement(record=Record(security=Security(destruction_certificate=True))))
    assert office.waiting() == {}
    office.move("AG-1", 1, Action.TERMINATE, OTIS, comment="breach")
    assert office.waiting() == {"destruction": at(2026, 12, 8)}
    office.move("AG-1", 1, Action.CERTIFY, DORA, comment="certificate 12", detail={"of": ""})
    assert office.waiting() == {}
    office.move("AG-1", 1, Action.ARCHIVE, DORA)


def test_it_waits_after_an_end_by_the_clock_too(office, clock):
    until_active(office, replace(RENEWING, record=Record(security=Security(destruction_certificate=True), renewal=Renewal(mode=RenewalMode.NONE))))
    clock.moment = at(2027, 1, 4)
    assert office.waiting() == {"destruction": at(2027, 1, 16)}


def test_a_contractor_certifies_at_his_own_day(office, clock):
    contractors = (Contractor(name="某测绘公司", destroy_by=date(2026, 12, 10)), Contractor(name="另一公司"))
    until_active(office, agreement(record=Record(use=UseLimits(contractors=contractors))))
    clock.moment = at(2026, 12, 9)
    assert office.waiting() == {}
    clock.moment = at(2026, 12, 10)
    assert office.waiting() == {"contractor-destruction": at(2026, 12, 11)}
    office.move("AG-1", 1, Action.CERTIFY, DORA, comment="certificate 13", detail={"of": "某测绘公司"})
    assert office.waiting() == {}


def test_the_most_pressing_comes_first(office, clock):
    until_checked(office)
    clock.moment = at(2026, 11, 24)
    office.add_draft(agreement(agreement_id="AG-2"), "text", DORA)
    office.move("AG-2", 1, Action.SUBMIT, DORA)
    assert [(task.agreement_id, task.kind) for task in office.tasks()] == [("AG-2", "conformity-check"), ("AG-1", "answer")]


def test_every_task_is_told_in_both_languages(office):
    until_checked(office)
    (task,) = office.tasks()
    assert task.told("zh") == "答复协议 `AG-1`（第 1 版）：批准、退回修改，或说明理由不予批准"
    assert task.told("en") == "approve agreement `AG-1` (version 1), ask for changes, or refuse it with reasons"
    assert all(sentences.keys() == {"en", "zh"} for sentences in SENTENCES.values())
