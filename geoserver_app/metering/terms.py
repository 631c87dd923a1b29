"""A quota made ready for counting: whole numbers, places among the counters, and a name for each limit."""

from dataclasses import dataclass
from functools import lru_cache

from agreements.quota import Limit, Measure, Quota, Window
from geoserver_app.metering.ground import CELL_KM2

ADDED = (Measure.REQUESTS, Measure.MEGAPIXELS, Measure.FEATURES, Measure.BYTES)
"""Measures that add up. A megapixel is counted as its pixels."""

REQUESTS, PIXELS, FEATURES, BYTES = range(len(ADDED))

WINDOWS = (Window.DAY, Window.MONTH, Window.TERM)
DAY, MONTH, TERM = range(len(WINDOWS))

RATE, EXPORT = "rate", "export"
"""What is limited beside the measures."""

MICRO = 1_000_000

Amounts = tuple[int, int, int, int]
"""Requests, pixels, features, bytes."""

NOTHING: Amounts = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Added:
    """At most `most` of the measure with this place in ADDED, in the window with this place in WINDOWS."""

    measure: int
    window: int
    most: int
    name: str
    limit: Limit


@dataclass(frozen=True, slots=True)
class Ground:
    """At most `most` cells seen with pixels of `resolution` micrometres or finer; 0 is with any."""

    window: int
    resolution: int
    most: int
    name: str
    limit: Limit


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """All limits of a quota; `terms_of` makes one for each, so that it is itself alone. A token of the bucket comes every `interval` microseconds,
    0 where there is no rate; it holds `burst`."""

    interval: int
    burst: int
    added: tuple[Added, ...]
    ground: tuple[Ground, ...]
    export_km2: float | None


@lru_cache(maxsize=4096)
def terms_of(quota: Quota) -> Terms:
    ground = [limit for limit in quota.limits if limit.measure is Measure.GROUND]
    return Terms(
        interval=max(round(MICRO / quota.rate.per_second), 1) if quota.rate else 0, burst=max(int(quota.rate.burst), 1) if quota.rate else 0,
        added=tuple(
            Added(ADDED.index(limit.measure), WINDOWS.index(limit.window), _whole(limit), name_of(limit), limit)
            for limit in quota.limits if limit not in ground
        ),
        ground=tuple(
            Ground(WINDOWS.index(limit.window), micrometres(limit.resolution), int(limit.most / CELL_KM2 + 1e-6), name_of(limit), limit)
            for limit in ground
        ),
        export_km2=quota.export_km2,
    )


def _whole(limit: Limit) -> int:
    return int(limit.most * MICRO if limit.measure is Measure.MEGAPIXELS else limit.most)


def micrometres(resolution: float | None) -> int:
    return 0 if resolution is None else max(round(resolution * MICRO), 1)


def name_of(limit: Limit) -> str:
    """What a limit is called in headers and reports.

    >>> name_of(Limit(measure=Measure.GROUND, window=Window.MONTH, most=25.0, resolution=0.5))
    'km2-month-0.5m'
    """
    finer = "" if limit.resolution is None else f"-{limit.resolution:.10g}m"
    return f"{limit.measure}-{limit.window}{finer}"
