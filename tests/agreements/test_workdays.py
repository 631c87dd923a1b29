"""Working days: holidays, make-up days, deadlines across National Day, and a table whose bad rows are told by line."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_world import at

from agreements.errors import DocumentInvalid
from agreements.life.workdays import WorkCalendar, calendar_of, merged, read_calendar, read_rows, write_rows

HEADER = "date,kind,name_zh,status,source\n"


@pytest.fixture(scope="module")
def china(config_folder) -> WorkCalendar:
    return read_calendar((config_folder / "holidays.csv").read_text("utf-8"), "holidays.csv")


days = st.dates(date(2024, 1, 1), date(2026, 12, 31))


def test_national_day_of_2026_with_its_make_up_saturday(china):
    """国庆节: 1 to 7 October are free, Sunday 20 September and Saturday 10 October are worked."""
    assert [china.is_working_day(date(2026, 9, day)) for day in (19, 20, 30)] == [False, True, True]
    assert [china.is_working_day(date(2026, 10, day)) for day in range(1, 13)] == [False] * 7 + [True, True, True, False, True]


@pytest.mark.parametrize("submitted, days, last", [
    (at(2026, 9, 30, 9), 2, date(2026, 10, 9)),            # Thursday 8, Friday 9
    (at(2026, 9, 30, 9), 3, date(2026, 10, 10)),           # the make-up Saturday counts
    (at(2026, 9, 29, 23, 59, 59), 5, date(2026, 10, 12)),  # 30, 8, 9, 10, 12: the Sunday does not
    (at(2026, 10, 3, 12), 1, date(2026, 10, 8)),           # submitted on a holiday
    (at(2026, 9, 18, 12), 1, date(2026, 9, 20)),           # a Friday; the Sunday after it is worked
])
def test_a_deadline_across_national_day_ends_with_the_right_day(china, submitted, days, last):
    due = china.due(submitted, days)
    assert (due.day, due.assumed) == (last, ())
    next_day = last + timedelta(days=1)
    assert due.moment == at(next_day.year, next_day.month, next_day.day)


def test_the_day_of_submission_is_that_of_shanghai_wherever_the_clock_stands(china):
    late_in_utc = datetime(2026, 9, 29, 16, 30, tzinfo=UTC)                      # half past midnight of the 30th
    assert china.due(late_in_utc, 1).day == date(2026, 10, 8)


def test_a_year_that_is_not_announced_is_assumed_and_said_so(china):
    assert china.due(at(2026, 12, 30), 2) == china.due(at(2026, 12, 30, 23), 2)
    due = china.due(at(2026, 12, 30), 2)
    assert due.day == date(2027, 1, 4) and due.assumed == (2027,)                # the law keeps 1 January free
    assert china.due(at(2026, 12, 28), 2).assumed == ()
    assert china.due(at(2031, 3, 3), 1).assumed == (2031,) and china.due(at(2031, 3, 3), 1).day == date(2031, 3, 4)
    assert {2024, 2025, 2026} == china.announced


@given(day=days, number=st.integers(0, 60))
def test_counting_forward_and_back_agree(china, day, number):
    last = china.add_working_days(day, number)
    assert china.is_working_day(last)
    if number:
        assert china.working_days_between(day, last) == number
        assert china.working_days_between(day, last - timedelta(days=1)) == number - 1
        assert china.working_days_between(last, day) == -number


@given(day=days, one=st.integers(1, 20), other=st.integers(1, 20))
def test_deadlines_add_up(china, day, one, other):
    assert china.add_working_days(china.add_working_days(day, one), other) == china.add_working_days(day, one + other)


def test_a_year_has_the_days_that_weekends_and_the_holidays_of_the_law_leave(china):
    """366 - 104 - 11 in 2024; 365 - 104 - 13 since: what is moved is made up."""
    counted = {year: china.working_days_between(date(year - 1, 12, 31), date(year, 12, 31)) for year in (2024, 2025, 2026)}
    assert counted == {2024: 251, 2025: 248, 2026: 248}


@pytest.mark.parametrize("number", [-1, 10_000])
def test_a_number_of_days_that_nobody_means_is_refused(china, number):
    with pytest.raises(ValueError, match="must be 0 to"):
        china.add_working_days(date(2026, 1, 1), number)


# The table

def test_every_bad_row_is_told_with_its_line():
    text = HEADER + "\n".join([
        "2027-10-01,holiday,国庆节,announced,notice",
        "2027-10-32,holiday,国庆节,announced,notice",
        "2027-10-01,holiday,国庆节,announced,notice",
        "2027-10-08,working,国庆节调休,announced,notice",
        "2027-10-09,free,国庆节调休,maybe,",
        "",
        "2027-10-05,holiday,国庆节,announced,notice,more",
    ])
    with pytest.raises(DocumentInvalid) as told:
        read_calendar(text, "2027.csv")
    assert [(fault.line, fault.field) for fault in told.value.faults] == [
        (3, "date"), (4, "date"), (5, "kind"), (6, "kind"), (6, "status"), (6, "source"), (8, "row"),
    ]
    assert "line 4: date: 2027-10-01 stands in line 2 already" in str(told.value)
    assert "2027-10-08 is a weekday, and worked anyway" in str(told.value)


@pytest.mark.parametrize("text", ["", "date,kind\n", "日期,类型\n2027-10-01,放假\n"])
def test_a_table_of_other_columns_is_no_calendar(text):
    with pytest.raises(DocumentInvalid, match="line 1: columns: must be date, kind, name_zh, status, source"):
        read_calendar(text, "x.csv")


def test_a_table_saved_by_a_spreadsheet_is_read():
    text = "\ufeffkind,date,name_zh,source,status\r\nholiday,2027-10-01,国庆节,\"通知，见公报\",announced\r\n"
    (row,) = read_rows(text, "x.csv")
    assert (row.day, row.source) == (date(2027, 10, 1), "通知，见公报")


def test_the_table_of_a_year_takes_the_place_of_what_was_known_of_it(config_folder):
    text = (config_folder / "holidays.csv").read_text("utf-8")
    known = read_rows(text, "holidays.csv")
    assert write_rows(known) == text
    new = read_rows(HEADER + "2027-10-01,holiday,国庆节,announced,notice\n2027-10-09,working,国庆节调休,announced,notice\n", "2027.csv")
    calendar = calendar_of(merged(known, new))
    assert 2027 in calendar.announced and calendar.is_working_day(date(2027, 10, 9)) and calendar.is_working_day(date(2027, 2, 5))
    assert calendar_of(merged(known, ())) == calendar_of(known)
