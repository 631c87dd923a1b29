"""The windows in which counts go on: days and months of Asia/Shanghai, numbered so that a later one has a greater number."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from geoserver_app.clock import SHANGHAI


@dataclass(frozen=True, slots=True)
class Windows:
    """The day and the month of one moment. Ends and lengths in POSIX seconds; both windows are half-open."""

    day: int                    # proleptic Gregorian ordinal
    month: int                  # 12 * year + month
    day_starts: float
    day_ends: float
    month_starts: float
    month_ends: float


def windows_at(moment: float) -> Windows:
    """Those of a moment in POSIX seconds."""
    return _of_hour(moment // 3600)          # Asia/Shanghai has kept whole hours since 1901, so an hour never holds two days


@lru_cache(maxsize=64)
def _of_hour(hour: float) -> Windows:
    at = datetime.fromtimestamp(hour * 3600, SHANGHAI)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return Windows(
        day=midnight.toordinal(), month=12 * at.year + at.month, day_starts=midnight.timestamp(),
        day_ends=(midnight + timedelta(days=1)).timestamp(), month_starts=first.timestamp(), month_ends=following.timestamp(),
    )
