"""The counters of one agreement: a row of whole numbers, and how they are read, checked and added to.

    magic, whose          what the numbers are, and of which agreement
    day, month            the windows that are counted in (windows.py)
    4 counts              of this day: requests, pixels, features, bytes
    4 counts              of this month before this day
    4 counts              of the term before this month
    full                  when the bucket of the rate will be full again: POSIX microseconds (the generic cell rate algorithm's TAT)
    2 numbers             of exports: bytes of their log that count, square metres of their union
    6 numbers a limit of ground: generation of its log (0: no limit is here), window, resolution (micrometres), number of the window, bytes of the
                          log that count, cells
    check                 CRC-32 of all before

The functions take any row of numbers that can be changed: a list, or the memory that all workers share.
"""

import hashlib
import zlib
from collections.abc import MutableSequence

from geoserver_app.metering.terms import DAY, MONTH, TERM, Added, Amounts, Ground, Terms
from geoserver_app.metering.windows import Windows

MAGIC = int.from_bytes(b"GSQUOTA1", "little")

WHOSE = 1
OF_DAY, OF_MONTH = 2, 3
TODAY, EARLIER_DAYS, EARLIER_MONTHS = 4, 8, 12
FULL, EXPORT_LENGTH, EXPORT_M2 = 16, 17, 18
GROUND = 19

GROUND_NUMBERS, MOST_GROUND = 6, 16
GENERATION, WINDOW, RESOLUTION, WINDOW_NUMBER, LENGTH, CELLS = range(GROUND_NUMBERS)

CHECK = GROUND + GROUND_NUMBERS * MOST_GROUND
NUMBERS = CHECK + 1
BLOCK = 8 * NUMBERS
"""Bytes of all of them, little-endian."""

SKEW = 5_000_000
"""Microseconds by which clocks of workers may differ."""

Counts = MutableSequence[int]


class CountsDamaged(ValueError):
    """Numbers that are no counters, not this agreement's, or not as they were written."""


def first_block(agreement_id: str) -> bytes:
    """Of an agreement on which nothing was counted yet."""
    numbers = [MAGIC, _whose(agreement_id), *[0] * (NUMBERS - 2)]
    block = b"".join(number.to_bytes(8, "little") for number in numbers[:CHECK])
    return block + check_of(block).to_bytes(8, "little")


def check_of(block: bytes | memoryview) -> int:
    """Of the bytes before the check."""
    return zlib.crc32(block)


def verify(counts: Counts, block: bytes | memoryview, agreement_id: str) -> None:
    """`block` holds the bytes of `counts` before the check. Raises CountsDamaged."""
    if counts[0] != MAGIC:
        raise CountsDamaged("not a file of counters")
    if check_of(block) != counts[CHECK]:
        raise CountsDamaged("not as it was written")
    if counts[WHOSE] != _whose(agreement_id):
        raise CountsDamaged("of another agreement")


def _whose(agreement_id: str) -> int:
    return int.from_bytes(hashlib.sha256(agreement_id.encode()).digest()[:7], "little")


# Windows

def roll(counts: Counts, windows: Windows) -> None:
    """Begin the day and the month anew where they are over. A clock that goes back begins nothing anew."""
    if windows.day <= counts[OF_DAY]:
        return
    for place in range(4):
        counts[EARLIER_DAYS + place] += counts[TODAY + place]
        counts[TODAY + place] = 0
    counts[OF_DAY] = windows.day
    if windows.month > counts[OF_MONTH]:
        for place in range(4):
            counts[EARLIER_MONTHS + place] += counts[EARLIER_DAYS + place]
            counts[EARLIER_DAYS + place] = 0
        counts[OF_MONTH] = windows.month


def number_of(window: int, windows: Windows) -> int:
    """Of the window that is counted in: the term is one window for ever."""
    return windows.day if window == DAY else windows.month if window == MONTH else 1


def end_of(window: int, windows: Windows) -> float | None:
    """POSIX seconds at which the window is over; None for the term, which an amendment alone makes longer."""
    return windows.day_ends if window == DAY else windows.month_ends if window == MONTH else None


# Questions

def used(counts: Counts, added: Added) -> int:
    place = added.measure
    count = counts[TODAY + place]
    if added.window != DAY:
        count += counts[EARLIER_DAYS + place]
        if added.window == TERM:
            count += counts[EARLIER_MONTHS + place]
    return count


def tokens(counts: Counts, terms: Terms, now: int) -> int:
    """How many the bucket would give at once."""
    return max((terms.burst * terms.interval - until_full(counts, terms, now)) // terms.interval, 0)


def until_full(counts: Counts, terms: Terms, now: int) -> int:
    """Microseconds. An empty bucket says most: where it is far more, a clock was ahead for a while, and the bucket is taken to hold one token."""
    behind, most = max(counts[FULL] - now, 0), terms.burst * terms.interval
    return behind if behind <= most + SKEW else most - terms.interval


# Changes

def take_token(counts: Counts, terms: Terms, now: int) -> int:
    """A token of the bucket, or how many microseconds it will be until there is one: then nothing is taken."""
    behind = until_full(counts, terms, now) + terms.interval
    early = behind - terms.burst * terms.interval
    if early > 0:
        return early
    counts[FULL] = now + behind
    return 0


def add(counts: Counts, amounts: Amounts) -> None:
    requests, pixels, features, content = amounts
    if requests:
        counts[TODAY] += requests
    if pixels:
        counts[TODAY + 1] += pixels
    if features:
        counts[TODAY + 2] += features
    if content:
        counts[TODAY + 3] += content


# Ground

def ground_at(counts: Counts, ground: Ground) -> int | None:
    """Where the numbers of a limit begin; None where nothing was counted for it yet."""
    for place in range(GROUND, CHECK, GROUND_NUMBERS):
        if counts[place] == 0:
            return None
        if counts[place + RESOLUTION] == ground.resolution and counts[place + WINDOW] == ground.window:
            return place
    return None


def begin_ground(counts: Counts, ground: Ground, kept: Terms) -> int:
    """A place for the numbers of a limit. Where there is no room, what was counted for limits that are no more goes.

    Raises
    ------
    CountsDamaged
        The agreement has more limits of ground than can be counted.
    """
    places = range(GROUND, CHECK, GROUND_NUMBERS)
    if counts[places[-1]] != 0:
        wanted = {(one.window, one.resolution) for one in kept.ground}
        rows = [list(counts[place:place + GROUND_NUMBERS]) for place in places]
        rows = [row for row in rows if (row[WINDOW], row[RESOLUTION]) in wanted]
        numbers = [number for row in rows for number in row]
        for place in range(GROUND, CHECK):
            counts[place] = numbers[place - GROUND] if place - GROUND < len(numbers) else 0
    for place in places:
        if counts[place] == 0:
            counts[place + WINDOW], counts[place + RESOLUTION] = ground.window, ground.resolution
            return place
    raise CountsDamaged(f"more than {MOST_GROUND} limits of ground")
