"""How much an agreement lets out: values alone. Counting is `geoserver_app.metering`."""

from dataclasses import dataclass
from enum import StrEnum


class Measure(StrEnum):
    """What is counted."""

    REQUESTS = "requests"
    MEGAPIXELS = "megapixels"            # of pixels that are not transparent
    FEATURES = "features"
    BYTES = "bytes"                      # of bodies
    GROUND = "km2"                       # distinct ground, at one class of resolution


class Window(StrEnum):
    """Until when a count goes on: calendar day and month of Asia/Shanghai, or the term of the agreement."""

    DAY = "day"
    MONTH = "month"
    TERM = "term"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `most` of `measure` in one window.

    A limit of ground counts what was looked at with pixels of `resolution` metres or finer; None is at any resolution.
    """

    measure: Measure
    window: Window
    most: float
    resolution: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A steady rate with a burst: tokens of a bucket that holds `burst` and is filled by `per_second` (design R10: burst >= 200)."""

    per_second: float
    burst: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """All limits hold at once, over all keys of the agreement and all workers.

    `export_km2` bounds the union of all ground that was ever downloaded in the term, so that many small exports are one large one.
    """

    rate: Rate | None = None
    limits: tuple[Limit, ...] = ()
    export_km2: float | None = None
