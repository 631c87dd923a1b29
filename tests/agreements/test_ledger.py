"""What an agency owes back: due days, where each period stands, and that everybody is told once."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.life.ledger import (
    OPEN,
    Audience,
    Cadence,
    Check,
    Delivery,
    Happening,
    OnTime,
    Standing,
    cadence_of,
    entry_of,
    ledger,
    liaison,
    notices_owed,
    on_time,
    periods,
)
from agreements.model import State, Term
from agreements.record import Contact, Contribution, Coordination, OnOverdue, Party, Record, Role
from tests.agreements.small_world import SHANGHAI, agreement, at

PARTIES = (
    Party(agency="water", role=Role.USER, contacts=(Contact(name="head", duty="处长"), Contact(name="liaison", duty="联络员", email="l@water.test"))),
    Party(agency="bureau", role=Role.PROVIDER, contacts=(Contact(name="office", duty="sharing office"),)),
)


def owing(*contributions: Contribution, **terms):
    record = Record(parties=PARTIES, contributions=contributions, coordination=Coordination(group="the coordination group"))
    return agreement(record=record, **terms)


def dikes(**terms) -> Contribution:
    return Contribution(**{"dataset": "dikes", "cadence": "P3M", "first_due": date(2026, 3, 31), "on_overdue": OnOverdue.ESCALATE, **terms})


def delivery(due: date, received: datetime, **terms) -> Delivery:
    return Delivery(**{"delivery_id": "1", "agreement_id": "AG-1", "dataset": "dikes", "due": due, "received": received, **terms})


def due_days(contribution: Contribution, until: date, **terms) -> list[str]:
    return [str(period.due) for period in periods([owing(contribution, **terms)], [], until)]


def standing(*deliveries: Delivery, when: datetime, contribution: Contribution | None = None):
    return entry_of(periods([owing(contribution or dikes())], [], date(2026, 1, 1))[0], deliveries, when)


# Due days

def test_a_contribution_falls_due_once_a_cadence_counted_from_the_first():
    assert due_days(dikes(), date(2026, 12, 31)) == ["2026-03-31", "2026-06-30", "2026-09-30", "2026-12-31", "2027-03-31"]


def test_the_end_of_a_month_stays_the_end_of_the_month_after_a_short_one():
    days = due_days(dikes(cadence="P1M", first_due=date(2028, 1, 31)), date(2028, 5, 1))
    assert days == ["2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30", "2028-05-31"]
    assert due_days(dikes(cadence="P1M", first_due=date(2027, 1, 31)), date(2027, 2, 1))[1] == "2027-02-28"


def test_what_is_due_yearly_on_a_leap_day_falls_due_on_the_last_of_february():
    days = due_days(dikes(cadence="P1Y", first_due=date(2028, 2, 29)), date(2032, 2, 28), term=Term(start=at(2028, 1, 1), end=at(2034, 1, 1)))
    assert days == ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]


def test_without_a_first_day_it_is_due_one_cadence_after_the_beginning_of_the_term():
    assert due_days(dikes(first_due=None), date(2026, 5, 1)) == ["2026-04-01", "2026-07-01"]


def test_what_was_gathered_in_the_last_quarter_of_the_term_is_owed_as_well():
    days = due_days(dikes(first_due=None), date(2040, 1, 1))
    assert days[-1] == "2029-01-01" and len(days) == 12


@pytest.mark.parametrize("text", ["", "P", "P0D", "3M", "PT6H", "P1.5M", "quarterly", "P-1M", "P3M "])
def test_a_cadence_that_is_none_is_told(text):
    with pytest.raises(ValueError, match="P3M"):
        cadence_of(text)


def test_a_contribution_by_event_is_due_its_grace_after_each_event():
    by_event = dikes(dataset="boundaries", cadence="", first_due=None, grace_days=10)
    happened = [Happening(agreement_id="AG-1", dataset="boundaries", day=date(2026, 5, 1)), Happening(agreement_id="AG-2", dataset="boundaries", day=date(2026, 5, 2))]
    (period,) = periods([owing(by_event)], happened, date(2027, 1, 1))
    assert period.due == period.last_day == date(2026, 5, 11)
    assert periods([owing(by_event)], [], date(2027, 1, 1)) == ()


def test_an_amendment_for_another_reason_moves_no_due_day():
    first = owing(dikes(first_due=None), replaced=at(2026, 5, 15))
    second = owing(dikes(first_due=None), version=2, term=Term(start=at(2026, 5, 15), end=at(2029, 1, 1)))
    found = periods([second, first], [], date(2026, 12, 31))
    assert [(str(one.due), one.version) for one in found] == [
        ("2026-04-01", 1), ("2026-07-01", 2), ("2026-10-01", 2), ("2027-01-01", 2),
    ]


def test_an_amendment_that_ends_a_contribution_leaves_what_fell_due_before():
    versions = [owing(dikes(), replaced=at(2026, 7, 1)), owing(version=2, term=Term(start=at(2026, 7, 1)))]
    assert [str(one.due) for one in periods(versions, [], date(2027, 1, 1))] == ["2026-03-31", "2026-06-30"]


@pytest.mark.parametrize("state", [State.DRAFT, State.SUBMITTED, State.APPROVED, State.SIGNED])
def test_what_was_never_in_force_owes_nothing(state):
    assert periods([owing(dikes(), state=state)], [], date(2027, 1, 1)) == ()


@given(
    months=st.integers(0, 24), days=st.integers(0, 60), times=st.integers(0, 60), first=st.dates(date(2000, 1, 1), date(2060, 1, 1)),
)
def test_due_days_always_go_forward_and_never_drift(months, days, times, first):
    cadence = Cadence(months=months, days=days)
    one, next_one = cadence.after(first, times), cadence.after(first, times + 1)
    assert next_one > one or cadence == Cadence()
    if not days:
        assert one.day <= first.day
        assert (one.year * 12 + one.month) - (first.year * 12 + first.month) == months * times
        assert one.day == first.day or (one + timedelta(days=1)).day == 1


# Where a period stands

@pytest.mark.parametrize("when, wanted", [
    (at(2026, 3, 30, 23, 59), Standing.AWAITED), (at(2026, 3, 31), Standing.DUE), (at(2026, 3, 31, 23, 59, 59), Standing.DUE),
    (at(2026, 4, 1), Standing.OVERDUE),
])
def test_a_period_without_a_delivery_is_awaited_due_and_overdue_to_the_second(when, wanted):
    entry = standing(when=when)
    assert entry.standing is wanted
    assert entry.overdue_since == (date(2026, 4, 1) if wanted is Standing.OVERDUE else None)


def test_the_day_is_that_of_shanghai():
    last_second_in_utc = datetime.fromisoformat("2026-03-31T15:59:59+00:00")
    assert standing(when=last_second_in_utc).standing is Standing.DUE
    assert standing(when=last_second_in_utc + timedelta(seconds=1)).standing is Standing.OVERDUE


def test_grace_puts_off_when_it_is_overdue():
    late = dikes(grace_days=10)
    assert standing(when=at(2026, 4, 10, 23), contribution=late).standing is Standing.DUE
    assert standing(when=at(2026, 4, 11), contribution=late).overdue_since == date(2026, 4, 11)


@pytest.mark.parametrize("check, wanted", [
    (Check.WAITING, Standing.RECEIVED), (Check.PENDING, Standing.IN_CHECK), (Check.PASSED, Standing.ACCEPTED), (Check.RETURNED, Standing.RETURNED),
])
def test_a_delivery_stands_as_its_check_does(check, wanted):
    entry = standing(delivery(date(2026, 3, 31), at(2026, 3, 20), check=check, findings="no datum"), when=at(2026, 3, 25))
    assert entry.standing is wanted and entry.is_open is (check is Check.RETURNED)
    assert entry.findings == ("no datum" if check is Check.RETURNED else "")


def test_a_returned_delivery_is_overdue_once_its_day_is_over_and_a_second_one_mends_it():
    returned = delivery(date(2026, 3, 31), at(2026, 3, 20), check=Check.RETURNED, findings="no datum")
    assert standing(returned, when=at(2026, 3, 31)).overdue_since is None
    assert standing(returned, when=at(2026, 4, 2)).overdue_since == date(2026, 4, 1)
    again = delivery(date(2026, 3, 31), at(2026, 4, 3), delivery_id="2", check=Check.PASSED)
    entry = standing(again, returned, when=at(2026, 4, 5))
    assert entry.standing is Standing.ACCEPTED and entry.overdue_since is None and entry.is_on_time is False


def test_what_passed_its_check_counts_whatever_comes_after_it():
    passed = delivery(date(2026, 3, 31), at(2026, 3, 20), check=Check.PASSED)
    more = delivery(date(2026, 3, 31), at(2026, 5, 20), delivery_id="2", check=Check.RETURNED, findings="worse than before")
    entry = standing(passed, more, when=at(2026, 6, 1))
    assert entry.standing is Standing.ACCEPTED and entry.is_on_time


def test_what_comes_later_is_not_yet_here():
    assert standing(delivery(date(2026, 3, 31), at(2026, 4, 20), check=Check.PASSED), when=at(2026, 4, 19)).standing is Standing.OVERDUE


def test_a_statement_at_the_end_of_the_year_answers_for_its_quarters_and_is_in_time_for_each():
    stated = delivery(date(2026, 12, 31), at(2026, 12, 28), since=date(2026, 3, 31), statement="本年度无变化")
    entries = ledger([owing(dikes())], [stated], [], at(2026, 12, 29))
    assert [entry.standing for entry in entries] == [Standing.NO_CHANGE] * 4 + [Standing.AWAITED]
    assert on_time(entries, date(2026, 1, 1), date(2026, 12, 31)) == OnTime(4, 4)


def test_data_that_comes_for_several_quarters_at_once_is_late_for_the_first():
    data = delivery(date(2026, 12, 31), at(2026, 12, 28), since=date(2026, 9, 30))
    entries = ledger([owing(dikes(first_due=date(2026, 9, 30)))], [data], [], at(2026, 12, 29))
    assert [entry.is_on_time for entry in entries] == [False, True, None]
    assert on_time(entries, date(2026, 1, 1), date(2026, 12, 31)).rate == 0.5


def test_what_was_to_come_before_the_agreement_came_into_force_here_is_in_it_only_where_something_came():
    late = delivery(date(2026, 6, 30), at(2026, 11, 1))
    entries = ledger([owing(dikes())], [late], [], at(2026, 11, 2), begins=date(2026, 9, 30))
    assert [str(entry.period.due) for entry in entries] == ["2026-06-30", "2026-09-30", "2026-12-31"]


def test_a_statement_counts_only_where_the_agreement_takes_one():
    stated = delivery(date(2026, 3, 31), at(2026, 3, 28), statement="nothing has changed")
    assert standing(stated, when=at(2026, 3, 29), contribution=dikes(no_change_statement=False)).standing is Standing.AWAITED


MOMENTS = st.datetimes(datetime(2026, 3, 1), datetime(2026, 6, 1)).map(lambda moment: moment.replace(tzinfo=SHANGHAI))
DELIVERIES = st.lists(
    st.builds(
        lambda number, received, check, statement: delivery(date(2026, 3, 31), received, delivery_id=str(number), check=check, statement=statement),
        st.integers(0, 99), MOMENTS, st.sampled_from(Check), st.sampled_from(["", "nothing has changed"]),
    ), max_size=5, unique_by=lambda one: one.delivery_id,
)


@given(DELIVERIES, MOMENTS, st.randoms())
def test_the_order_of_deliveries_never_matters(deliveries, when, random):
    before = standing(*deliveries, when=when)
    shuffled = list(deliveries)
    random.shuffle(shuffled)
    assert standing(*shuffled, when=when) == before


@given(DELIVERIES, MOMENTS)
def test_a_period_is_overdue_exactly_where_nothing_that_counts_is_there_and_its_last_day_is_over(deliveries, when):
    entry = standing(*deliveries, when=when)
    here = [one for one in deliveries if one.received <= when]
    is_answered = any(one.check is not Check.RETURNED for one in here)
    assert (entry.overdue_since is not None) == (not is_answered and when >= at(2026, 4, 1))
    assert entry.is_open == (not is_answered) == (entry.standing in OPEN)
    assert (entry.standing is Standing.RETURNED) == (bool(here) and not is_answered)


# Who is told

def owed(*deliveries: Delivery, given=(), when: datetime, contribution: Contribution | None = None, registered: date = date(2026, 1, 1), happenings=()):
    one = owing(contribution or dikes())
    return notices_owed(ledger([one], deliveries, happenings, when), {1: one}, given, when, registered)


def days_told(**asked) -> list[int]:
    return [notice.stage.days for notice in owed(**asked) if not notice.is_overtaken]


@pytest.mark.parametrize("when, told", [
    (at(2026, 3, 23, 23, 59), []), (at(2026, 3, 24), [-7]), (at(2026, 3, 31), [0]), (at(2026, 4, 6, 23), [0]), (at(2026, 4, 7), [7]),
    (at(2026, 4, 29, 23), [7]), (at(2026, 4, 30), [7, 30]),
])
def test_the_liaison_is_told_a_week_before_on_the_day_and_a_week_after_and_the_group_after_thirty_days(when, told):
    assert days_told(when=when) == told


def test_the_liaison_is_a_contact_of_the_agency_and_the_group_is_reached_over_the_bureau():
    by_stage = {notice.stage.days: notice for notice in owed(when=at(2026, 4, 30))}
    assert [one.name for one in by_stage[7].contacts] == ["liaison"] and by_stage[7].stage.audience is Audience.LIAISON
    assert by_stage[30].group == "the coordination group" and [one.name for one in by_stage[30].contacts] == ["office"]


def test_where_nobody_is_named_liaison_every_contact_is_told():
    parties = (Party(agency="water", role=Role.USER, contacts=(Contact(name="a"), Contact(name="b"))),)
    assert [one.name for one in liaison(agreement(record=Record(parties=parties)), "water")] == ["a", "b"]


def test_nobody_is_told_what_was_delivered_and_everybody_again_when_it_is_returned():
    received = delivery(date(2026, 3, 31), at(2026, 3, 20), check=Check.PENDING)
    assert not owed(received, when=at(2026, 5, 20))
    returned = delivery(date(2026, 3, 31), at(2026, 3, 20), check=Check.RETURNED, findings="no datum")
    assert [one.stage.days for one in owed(returned, when=at(2026, 5, 20)) if not one.is_overtaken] == [7, 30]


@pytest.mark.parametrize("on_overdue, told, proposed", [
    (OnOverdue.NONE, {-7, 0}, None), (OnOverdue.REMIND, {-7, 0, 7}, None), (OnOverdue.ESCALATE, {-7, 0, 7, 30}, None),
    (OnOverdue.REDUCE_QUOTA, {-7, 0, 7, 30}, OnOverdue.REDUCE_QUOTA),
])
def test_what_follows_from_being_late_is_what_was_agreed_and_is_at_most_a_proposal(on_overdue, told, proposed):
    notices = owed(when=at(2026, 6, 1), contribution=dikes(on_overdue=on_overdue))
    assert {notice.stage.days for notice in notices} == told
    assert {notice.proposal for notice in notices if notice.stage.audience is Audience.GROUP} == ({proposed} if 30 in told else set())


def test_what_fell_due_before_the_agreement_came_into_the_register_alarms_nobody():
    assert days_told(when=at(2026, 4, 30), registered=date(2026, 4, 15)) == [30]
    assert days_told(when=at(2026, 4, 30), registered=date(2026, 5, 1)) == []


def test_nobody_is_reminded_of_an_event_before_it_happened():
    by_event = dikes(cadence="", first_due=None, grace_days=3)
    happened = [Happening(agreement_id="AG-1", dataset="dikes", day=date(2026, 5, 1))]
    assert days_told(when=at(2026, 5, 2), contribution=by_event, happenings=happened) == []
    assert days_told(when=at(2026, 5, 4), contribution=by_event, happenings=happened) == [0]


@given(
    asked=st.lists(st.integers(0, 120), min_size=1, max_size=30), on_overdue=st.sampled_from(OnOverdue), grace=st.integers(0, 20),
    cadence=st.sampled_from(["P1M", "P3M", "P1W", ""]), arrives=st.none() | st.integers(0, 120),
)
def test_every_notice_is_given_exactly_once_however_often_it_is_asked_for(asked, on_overdue, grace, cadence, arrives):
    """Whoever asks, and whenever: what was given or overtaken is never given again, nothing owed is forgotten, and each person hears the last word."""
    contribution = dikes(cadence=cadence, first_due=date(2026, 3, 31) if cadence else None, grace_days=grace, on_overdue=on_overdue)
    happenings = [Happening(agreement_id="AG-1", dataset="dikes", day=date(2026, 3, 20))]
    start = at(2026, 3, 1)
    deliveries = [] if arrives is None else [delivery(date(2026, 12, 31), start + timedelta(days=arrives), since=date(2026, 3, 1))]
    given_ones, told = set(), {}
    for days in sorted(asked):
        when = start + timedelta(days=days)
        notices = owed(*deliveries, given=given_ones, when=when, contribution=contribution, happenings=happenings)
        assert not owed(*deliveries, given=given_ones | {one.name for one in notices}, when=when, contribution=contribution, happenings=happenings)
        for notice in notices:
            assert notice.name not in given_ones and notice.owed_since <= when.date() and notice.entry.is_open
            told[notice.name] = notice
        said = [(one.entry.period.name, one.stage.audience) for one in notices if not one.is_overtaken]
        assert len(said) == len(set(said)), "one word a person and period at a time"
        given_ones |= {one.name for one in notices}
    last = start + timedelta(days=max(asked))
    in_full = owed(*deliveries, when=last, contribution=contribution, happenings=happenings)
    assert {one.name for one in in_full} <= set(told), "whatever is owed at last was given"
    for notice in in_full:
        if not notice.is_overtaken:
            assert not told[notice.name].is_overtaken, "the last word to each person was given, not overtaken"
