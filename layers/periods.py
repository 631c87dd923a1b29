"""When the content of an edition was true, and which edition a moment or a span of time means.

Days are all that is known of a currency, so days are compared, as they are written: a time of day is read and not used, whatever its zone.

    2011   2011-06   2011-06-30   2011-06-30T08:00:00Z      a year, a month, a day, the day of that instant
    2006/2011   2006/current                                a span, both ends with it
    current   latest                                        the newest edition

Source: the subset of ISO 8601 in OGC 06-042 (WMS 1.3.0), annex D; what answers to a value, annex C.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from layers.model import Edition

LONGEST = 64
"""Characters of a time that are read at all."""

CURRENT = ("current", "latest")

_MOMENT = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})(?:T[0-2][0-9](?::?[0-5][0-9](?::?[0-6][0-9](?:\.[0-9]{1,6})?)?)?(?:Z|[+-][0-2][0-9]:?[0-5][0-9])?)?)?)?")
_DATED_NAME = re.compile(r"(?:19|20)[0-9]{2}(?:-[0-9]{2}(?:-[0-9]{2})?)?")


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """From the first day to the last, both with it."""

    first: date
    last: date

    def overlaps(self, other: "Period") -> bool:
        return self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        return self.first.isoformat() if self.first == self.last else f"{self.first.isoformat()}/{self.last.isoformat()}"


@dataclass(frozen=True, slots=True)
class TimeAsked:
    """What TIME says; `period` None is the newest edition."""

    text: str
    period: Period | None


def read_time(text: str) -> TimeAsked | None:
    """The time that `text` names; None where it is not written as above, or no such day exists.

    >>> read_time("2011-02").period, read_time("2006/2011-06-30").period.last, read_time("latest").period
    (Period(first=datetime.date(2011, 2, 1), last=datetime.date(2011, 2, 28)), datetime.date(2011, 6, 30), None)
    >>> read_time("2011-02-30"), read_time("2011/2006"), read_time("../2011"), read_time("2011,2006")
    (None, None, None, None)
    """
    if len(text) > LONGEST:
        return None
    if text.lower() in CURRENT:
        return TimeAsked(text.lower(), None)
    start, slash, end = text.partition("/")
    first = _moment(start)
    last = Period(date.min, date.max) if slash and end.lower() in CURRENT else _moment(end if slash else start)
    if first is None or last is None or first.first > last.last:
        return None
    return TimeAsked(text, Period(first.first, last.last))


def period_of(edition: Edition) -> Period | None:
    """When its content was true: its currency, else the year, month or day that its name is; None where neither says.

    Of a currency with one end only that day is known.
    """
    first, last = edition.currency
    if first or last:
        return Period(first or last, max(first or last, last or first))
    return _moment(edition.name) if _DATED_NAME.fullmatch(edition.name) else None


def edition_at(editions: Sequence[Edition], asked: TimeAsked) -> Edition | None:
    """The edition that a time means, of `editions` (the newest first): the newest one that was true then, or at any time in the span; else the
    one that ceased to be true last before it. None where all are later, or none says when it was true."""
    if asked.period is None:
        return editions[0] if editions else None
    dated = [(period, edition) for edition in editions if (period := period_of(edition)) is not None]
    found = next((edition for period, edition in dated if period.overlaps(asked.period)), None)
    if found is not None:
        return found
    earlier = [(period, edition) for period, edition in dated if period.last < asked.period.first]
    return max(earlier, key=lambda one: one[0].last)[1] if earlier else None


def values_of(editions: Sequence[Edition]) -> list[tuple[date, Edition]]:
    """The day by which each edition can be asked for, the oldest first: its first, where no other edition answers to that.

    An edition that lies within the time of a newer one has none: it is asked for by its name.
    """
    days = [(period.first, edition) for edition in editions if (period := period_of(edition)) is not None]
    return sorted(
        ((day, edition) for day, edition in days if edition_at(editions, TimeAsked("", Period(day, day))) is edition), key=lambda one: one[0],
    )


def _moment(text: str) -> Period | None:
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    year, month, day = (part and int(part) for part in match.groups())
    try:
        first = date(year, month or 1, day or 1)
        if day:
            return Period(first, first)
        following = date(year, month + 1, 1) if month and month < 12 else date(year + 1, 1, 1)
    except ValueError:                                      # no such day; or of the year 9999, beyond which nothing is counted
        return None
    return Period(first, following - timedelta(days=1))
