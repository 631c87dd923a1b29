"""Working days of China: weekdays less the holidays that the State Council announces each year, and the weekend days worked in their place.

The table is config/holidays.csv. Of a year that is not announced yet only what the table knows of it is kept free, and every answer that
touches it says so: the days of make-up work can't be known before.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

from agreements.errors import DocumentInvalid, Fault

SHANGHAI = ZoneInfo("Asia/Shanghai")

COLUMNS = ("date", "kind", "name_zh", "status", "source")
KINDS = ("holiday", "working")
STATUSES = ("announced", "provisional")
"""Announced by the State Council, or taken from the law that names the holidays, before it said how they are arranged."""

FARTHEST = 3660
"""Working days that are counted at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    day: date
    kind: str
    name_zh: str
    status: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """The end of a working day in Asia/Shanghai: `moment` is the first that is too late. `assumed` are years whose arrangement is not known."""

    day: date
    moment: datetime
    assumed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCalendar:
    holidays: frozenset[date] = frozenset()
    makeup_days: frozenset[date] = frozenset()           # days of a weekend on which is worked
    announced: frozenset[int] = frozenset()              # years of which all is known

    def is_working_day(self, day: date) -> bool:
        return day in self.makeup_days or (day.weekday() < 5 and day not in self.holidays)

    def add_working_days(self, day: date, number: int) -> date:
        """The `number`-th working day after `day`; `day` itself with 0, or where it is none, the next.

        >>> national_day = WorkCalendar(
        ...     holidays=frozenset(date(2026, 10, day) for day in range(1, 8)), makeup_days=frozenset({date(2026, 10, 10)}))
        >>> [str(national_day.add_working_days(date(2026, 9, 30), number)) for number in (0, 1, 2, 3, 4)]
        ['2026-09-30', '2026-10-08', '2026-10-09', '2026-10-10', '2026-10-12']
        """
        if not 0 <= number <= FARTHEST:
            raise ValueError(f"must be 0 to {FARTHEST} working days, got `{number}`")
        while number > 0 or not self.is_working_day(day):
            day += timedelta(days=1)
            number -= self.is_working_day(day) and number > 0
        return day

    def working_days_between(self, first: date, last: date) -> int:
        """Working days after `first` up to and with `last`; less than none where `last` comes before."""
        if last < first:
            return -self.working_days_between(last, first)
        return sum(self.is_working_day(first + timedelta(days=number)) for number in range(1, (last - first).days + 1))

    def due(self, since: datetime, number: int) -> Due:
        """What is to be done within `number` working days after the day of `since`: until the end of the last of them."""
        first = since.astimezone(SHANGHAI).date()
        day = self.add_working_days(first, number)
        return Due(
            day=day, moment=datetime.combine(day + timedelta(days=1), time(), SHANGHAI), assumed=self.assumed_between(first, day),
        )

    def assumed_between(self, first: date, last: date) -> tuple[int, ...]:
        """Years from `first` to `last` whose arrangement is not known."""
        return tuple(year for year in range(first.year, last.year + 1) if year not in self.announced)


# The table

def read_calendar(text: str, name: str) -> WorkCalendar:
    """The calendar that a table says. Raises DocumentInvalid with every bad row, by its line."""
    return calendar_of(read_rows(text, name))


def calendar_of(rows: Iterable[Row]) -> WorkCalendar:
    rows = tuple(rows)
    return WorkCalendar(
        holidays=frozenset(row.day for row in rows if row.kind == "holiday"), makeup_days=frozenset(row.day for row in rows if row.kind == "working"),
        announced=frozenset(row.day.year for row in rows) - frozenset(row.day.year for row in rows if row.status == "provisional"),
    )


def read_rows(text: str, name: str) -> tuple[Row, ...]:
    """The rows of a table in CSV, whose first line names the columns. Raises DocumentInvalid with every bad row, by its line."""
    reader, rows, faults = csv.reader(StringIO(text.removeprefix("\ufeff"))), {}, []
    header = [cell.strip() for cell in next(reader, [])]
    if sorted(header) != sorted(COLUMNS):
        raise DocumentInvalid(name, (Fault(1, "columns", f"must be {', '.join(COLUMNS)}, got {', '.join(header) or 'none'}"),))
    for cells in reader:
        line = reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        said = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        found = _faults(said, len(cells), {row.day: line for line, row in rows.items()})
        faults += [Fault(line, column, message) for column, message in found]
        if not found:
            rows[line] = Row(
                day=date.fromisoformat(said["date"]), kind=said["kind"], name_zh=said["name_zh"], status=said["status"], source=said["source"],
            )
    if faults:
        raise DocumentInvalid(name, tuple(faults))
    return tuple(rows.values())


def _faults(said: dict, cells: int, known: dict[date, int]) -> list[tuple[str, str]]:
    if cells != len(COLUMNS):
        return [("row", f"has {cells} cells instead of {len(COLUMNS)}: quote a cell that holds a comma")]
    faults = [(column, f"`{said[column]}` is none of {', '.join(values)}") for column, values in (("kind", KINDS), ("status", STATUSES))
              if said[column] not in values]
    faults += [(column, "is empty: fill it in") for column in ("name_zh", "source") if not said[column]]
    try:
        day = date.fromisoformat(said["date"])
    except ValueError:
        return [("date", f"`{said['date'][:30]}` is not a day: write it as 2026-10-01"), *faults]
    if day in known:
        faults.append(("date", f"{day} stands in line {known[day]} already: keep one of them"))
    if said["kind"] == "working" and day.weekday() < 5:
        faults.append(("kind", f"{day} is a weekday, and worked anyway: only days of a weekend are made up"))
    return faults


def write_rows(rows: Iterable[Row]) -> str:
    """The table as text, by day."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((row.day, row.kind, row.name_zh, row.status, row.source) for row in sorted(rows, key=lambda row: row.day))
    return out.getvalue()


def merged(known: Iterable[Row], new: Iterable[Row]) -> tuple[Row, ...]:
    """`new` in the place of all that was known of its years."""
    new = tuple(new)
    years = {row.day.year for row in new}
    return tuple(sorted((*(row for row in known if row.day.year not in years), *new), key=lambda row: row.day))
