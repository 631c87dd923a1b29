"""Days and moments as agreements mean them: Asia/Shanghai, half-open."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


def now() -> datetime:
    return datetime.now(SHANGHAI)


def end_of_day(day: date) -> datetime:
    """The first moment after `day` in Asia/Shanghai.

    >>> end_of_day(date(2026, 12, 31)).isoformat()
    '2027-01-01T00:00:00+08:00'
    """
    return datetime.combine(day + timedelta(days=1), time(), SHANGHAI)


def in_shanghai(moment: datetime) -> datetime:
    """A moment typed without a zone, read as Asia/Shanghai."""
    return moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)
