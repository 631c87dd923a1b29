"""What an answer carries of its quota: `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11, structured fields (RFC 9651).

Each limit is a policy of its own; the agreement is the partition. The draft registers the units `requests` and `content-bytes`; the others
(`megapixels`, `features`, `km2`) are ours. Remaining amounts are rounded down: what is told is there.
"""

import base64
from functools import lru_cache

from geoserver_app.metering import counts as c
from geoserver_app.metering.book import Account
from geoserver_app.metering.counts import Counts
from geoserver_app.metering.ground import CELL_KM2
from geoserver_app.metering.terms import ADDED, BYTES, MICRO, PIXELS, RATE, REQUESTS, Added, Ground, Terms
from geoserver_app.metering.windows import Windows

LARGEST = 999_999_999_999_999
"""The largest Integer of a structured field."""

SECONDS_A_DAY = 86_400

Headers = list[tuple[str, str]]


def rate_limit(account: Account, counts: Counts, now: float, windows: Windows) -> Headers:
    """Policies and what remains of them; nothing of a quota that limits exports alone."""
    terms, agreement_id = account.terms, account.agreement_id
    tails = _tails(agreement_id, int(now), windows.day_ends, windows.month_ends, account.ends)
    items = []
    if terms.interval:
        behind = c.until_full(counts, terms, int(now * MICRO))
        left = terms.burst - -(-behind // terms.interval)
        items.append(f'"{RATE}";r={left if left > 0 else 0};t={-(-behind // MICRO)}{tails[-1]}')
    for one in terms.added:
        left = one.most - c.used(counts, one)
        if one.measure == PIXELS:
            left //= MICRO
        items.append(f'"{one.name}";r={left if left > 0 else 0}{tails[one.window]}')
    for one in terms.ground:
        place = c.ground_at(counts, one)
        is_counted = place is not None and counts[place + c.WINDOW_NUMBER] >= c.number_of(one.window, windows)
        left = int((one.most - (counts[place + c.CELLS] if is_counted else 0)) * CELL_KM2 + 1e-9)
        items.append(f'"{one.name}";r={left if left > 0 else 0}{tails[one.window]}')
    if not items:
        return []
    policies = _policies(agreement_id, terms, account.starts, account.ends, windows.month_ends - windows.month_starts)
    return [("RateLimit-Policy", policies), ("RateLimit", ", ".join(items))]


@lru_cache(maxsize=4096)
def _tails(agreement_id: str, now: int, day: float, month: float, term: float | None) -> tuple[str, str, str, str]:
    """What is left of each window, in seconds, and the partition; the last is the partition alone."""
    partition = f";pk={_partition(agreement_id)}"
    ends = (f";t={int(day) - now}", f";t={int(month) - now}", "" if term is None else f";t={max(int(term) - now, 0)}", "")
    return tuple(end + partition for end in ends)


@lru_cache(maxsize=4096)
def _partition(agreement_id: str) -> str:
    return f":{base64.b64encode(agreement_id.encode()).decode()}:"


@lru_cache(maxsize=4096)
def _policies(agreement_id: str, terms: Terms, starts: float | None, ends: float | None, month: float) -> str:
    """`month` is the length of the present one, in seconds."""
    partition, items = _partition(agreement_id), []
    if terms.interval:
        items.append(f'"{RATE}";q={terms.burst};w={max(-(-terms.burst * terms.interval // MICRO), 1)};pk={partition}')
    term = "" if starts is None or ends is None else f";w={max(int(ends - starts), 1)}"
    lengths = (f";w={SECONDS_A_DAY}", f";w={int(month)}", term)
    for one in (*terms.added, *terms.ground):
        items.append(f'"{one.name}";q={min(int(one.limit.most), LARGEST)}{_unit(one)}{lengths[one.window]};pk={partition}')
    return ", ".join(items)


def _unit(one: Added | Ground) -> str:
    if isinstance(one, Ground):
        return ';qu="km2"'
    return "" if one.measure == REQUESTS else ';qu="content-bytes"' if one.measure == BYTES else f';qu="{ADDED[one.measure]}"'
