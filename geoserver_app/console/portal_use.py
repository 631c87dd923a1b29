"""What an agency asked for and was refused in the last month, day by day, counted from its own rows of the record."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape

from markupsafe import Markup

from geoserver_app.audit.sql import connect
from geoserver_app.clock import SHANGHAI
from geoserver_app.console import charts
from geoserver_app.console.portal import PortalFrame

WEEK, MONTH = 7, 30

BY_DAY = """
    SELECT day, effect, count(*) FROM audit WHERE event = 'overlay.decided' AND effect IS NOT NULL AND agency = ? GROUP BY ALL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Of some days: what was served, whole or clipped, and what was refused."""

    days: int
    served: int
    refused: int
    picture: Markup
    refusals: Markup


def use_of(frame: PortalFrame) -> tuple[Use, Use]:
    """Of the last 7 and the last 30 days, today among them."""
    today = frame.at.astimezone(SHANGHAI).date()
    counts = _counted(frame, today)
    return _use(frame, counts, today, WEEK), _use(frame, counts, today, MONTH)


def _use(frame: PortalFrame, counts: Mapping[tuple[date, str], int], today: date, number: int) -> Use:
    days = [today - timedelta(days=back) for back in reversed(range(number))]
    whole, part, refused = ([counts.get((one, effect), 0) for one in days] for effect in ("permit", "clip", "deny"))
    drawn = charts.week if number == WEEK else month
    labels = [f"{one:%m-%d}" for one in days]
    served = [(frame.say("全部", "whole"), charts.WHOLE, whole), (frame.say("裁切", "clipped"), charts.PART, part)]
    return Use(
        days=number, served=sum(whole) + sum(part), refused=sum(refused), picture=Markup(drawn(labels, served, frame.say("每日提供", "served a day"))),
        refusals=Markup(drawn(labels, [(frame.say("拒绝", "refused"), charts.REFUSED, refused)], frame.say("每日拒绝", "refused a day"))),
    )


EVERY = 7
"""Days between two that are named under a month."""


def month(days: Sequence[str], series: Sequence[charts.Series], title: str) -> str:
    """Columns of many days, the series stacked from below; the highest is told, and every seventh day named.

    >>> picture = month([f"09-{day:02}" for day in range(1, 31)], [("permit", charts.WHOLE, [0] * 29 + [5])], "a <month>")
    >>> picture.count("<rect"), ">5</text>" in picture, ">09-30</text>" in picture, "a &lt;month&gt;" in picture
    (1, True, True, True)
    """
    sums = [sum(values[position] for _, _, values in series) for position in range(len(days))]
    most, step = max([*sums, 1]), (charts.WIDE - 2 * charts.LEFT) / max(len(days), 1)
    parts = [f'<line x1="{charts.LEFT}" y1="{charts.BOTTOM}" x2="{charts.WIDE - charts.LEFT}" y2="{charts.BOTTOM}" stroke="{charts.LINE}"/>']
    for position, label in enumerate(days):
        middle, y = charts.LEFT + step * (position + 0.5), float(charts.BOTTOM)
        for name, colour, values in series:
            tall = (charts.BOTTOM - charts.TOP) * values[position] / most
            y -= tall
            if tall:
                told = f"<title>{escape(f'{label} {name}: {values[position]:,}')}</title>"
                parts.append(f'<rect x="{middle - step * 0.38:.1f}" y="{y:.1f}" width="{step * 0.76:.1f}" height="{tall:.1f}" fill="{colour}">{told}</rect>')
        if (len(days) - 1 - position) % EVERY == 0:
            parts.append(_text(min(middle, charts.WIDE - 20), charts.BOTTOM + 16, label))
    if any(sums):
        parts.append(_text(min(max(charts.LEFT + step * (sums.index(max(sums)) + 0.5), 20), charts.WIDE - 20), charts.TOP - 5, f"{max(sums):,}"))
    told = escape(f"{title}: {sum(sums):,}, {days[0]} - {days[-1]}" if days else title)
    return (
        f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {charts.WIDE} {charts.TALL}" role="img" aria-label="{told}">'
        f'{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{charts.FONT}" text-anchor="middle" fill="{charts.QUIET}">{escape(text)}</text>'


KEPT_SECONDS = 60.0
_kept: dict[tuple, tuple[float, Mapping]] = {}
"""What was counted a moment ago, by record folder, agency and day."""


def _counted(frame: PortalFrame, today: date) -> Mapping[tuple[date, str], int]:
    folder, moment = frame.visit.services.settings.decisions, time.monotonic()
    name = (folder, frame.agency, today)
    kept = _kept.get(name)
    if kept is None or moment - kept[0] > KEPT_SECONDS:
        with connect(folder, first=today - timedelta(days=MONTH - 1), last=today) as connection:
            counts = {(day, effect): times for day, effect, times in connection.execute(BY_DAY, [frame.agency]).fetchall()}
        for old in [one for one in _kept if one[2] != today]:
            _kept.pop(old, None)
        kept = _kept[name] = (moment, counts)
    return kept[1]
