"""Small charts as SVG, drawn by hand: told apart by tone and hatching, so that they can be read in a grey print. No script, no outside reference.

Lengths are in SVG user units; a chart is `WIDTH` of them wide, which is the width of a printed page between its margins.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10
from unicodedata import east_asian_width

WIDTH = 680
FONT = "Noto Sans SC"
INK, QUIET, GRID = "#1a1a1a", "#5c5c5c", "#d9d9d9"


@dataclass(frozen=True, slots=True)
class Tone:
    """How the marks of a series look: a fill, or white with hatching."""

    fill: str
    is_hatched: bool = False


DARK, HATCHED = Tone("#2f5d86"), Tone("#ffffff", is_hatched=True)

HATCH = (
    '<defs><pattern id="hatch" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    f'<rect width="4" height="4" fill="#ffffff"/><line x1="0" y1="0" x2="0" y2="4" stroke="{INK}" stroke-width="1.4"/></pattern></defs>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    name: str
    values: Sequence[float]
    tone: Tone = DARK


def bars(rows: Iterable[tuple[str, float]], *, unit: str = "", title: str = "") -> str:
    """Horizontal bars, one a row, longest values to scale; the value stands at the end of its bar."""
    rows = list(rows)
    labels = [_shortened(label, 46) for label, _ in rows]
    left = min(300, max((text_width(label, 11) for label in labels), default=0) + 10)
    room, most = WIDTH - left - 84, max((value for _, value in rows), default=0) or 1
    parts = []
    for position, (label, (_, value)) in enumerate(zip(labels, rows, strict=True)):
        y, length = position * 20, max(room * value / most, 0.5 if value else 0)
        parts.append(_text(left - 8, y + 14, label, anchor="end"))
        parts.append(f'<rect x="{left:.1f}" y="{y + 4}" width="{length:.1f}" height="13" fill="{DARK.fill}"/>')
        parts.append(_text(left + length + 6, y + 14, number(value) + unit))
    return _svg(max(20 * len(rows), 20), parts, title)


def columns(labels: Sequence[str], series: Sequence[Series], *, height: int = 150, title: str = "") -> str:
    """Columns over time, the series stacked."""
    totals = [sum(one.values[position] for one in series) for position in range(len(labels))]
    scale = _Scale(max(totals, default=0), height)
    left = max(text_width(number(tick), 10) for tick in scale.ticks) + 12
    step = (WIDTH - left - 6) / max(len(labels), 1)
    wide = max(min(step * 0.78, 34), 0.8)
    parts = [HATCH, *_legend(series, left), *scale.lines(left)]
    for position in range(len(labels)):
        x, y = left + step * position + (step - wide) / 2, scale.bottom
        for one in series:
            tall = scale.length(one.values[position])
            y -= tall
            if tall:
                parts.append(_mark(x, y, wide, tall, one.tone))
    parts += _dates(labels, left, step, scale.bottom)
    return _svg(scale.bottom + 22, parts, title)


def number(value: float) -> str:
    """As people write it.

    >>> number(1234567), number(0.25), number(12.5), number(3.0)
    ('1,234,567', '0.25', '12.5', '3')
    """
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def text_width(text: str, size: float) -> float:
    """Nearly, and rather too much: a Chinese character is as wide as it is high."""
    return size * sum(1.0 if east_asian_width(one) in "WF" else 0.95 if one in "@mwMW%" else 0.6 for one in text)


# Parts

class _Scale:
    """A vertical axis from 0, ticks at round numbers."""

    top = 26

    def __init__(self, most: float, height: int):
        step = _round_step((most or 1) / 4)
        self.ticks = [step * times for times in range(int((most or 1) / step - 1e-9) + 2)]
        self.most, self.height, self.bottom = self.ticks[-1], height, self.top + height

    def length(self, value: float) -> float:
        return self.height * value / self.most

    def y(self, value: float) -> float:
        return self.bottom - self.length(value)

    def lines(self, left: float) -> list[str]:
        parts = []
        for tick in self.ticks:
            y = self.y(tick)
            colour = INK if tick == 0 else GRID
            parts.append(f'<line x1="{left:.1f}" y1="{y:.1f}" x2="{WIDTH - 6}" y2="{y:.1f}" stroke="{colour}" stroke-width="0.8"/>')
            parts.append(_text(left - 6, y + 3.5, number(tick), size=10, anchor="end", colour=QUIET))
        return parts


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, and not below 1: what is counted is whole.

    >>> _round_step(0.2), _round_step(37), _round_step(2600)
    (1, 50, 5000)
    """
    if least <= 1:
        return 1
    power = 10 ** floor(log10(least))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= least)


def _legend(series: Sequence[Series], left: float) -> list[str]:
    parts, x = [], left
    for one in series if len(series) > 1 else ():
        parts.append(_mark(x, 4, 12, 10, one.tone))
        parts.append(_text(x + 17, 13, one.name))
        x += 17 + text_width(one.name, 11) + 18
    return parts


def _dates(labels: Sequence[str], left: float, step: float, bottom: float) -> list[str]:
    """As many labels as have room, the first always."""
    widest = max((text_width(label, 10) for label in labels), default=0) + 10
    every = max(int(-(-widest // step)), 1) if step else 1
    return [
        _text(left + step * (position + 0.5), bottom + 15, label, size=10, anchor="middle", colour=QUIET)
        for position, label in enumerate(labels) if position % every == 0
    ]


def _mark(x: float, y: float, width: float, height: float, tone: Tone) -> str:
    fill, line = ("url(#hatch)", f' stroke="{INK}" stroke-width="0.6"') if tone.is_hatched else (tone.fill, "")
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"{line}/>'


def _text(x: float, y: float, text: str, *, size: int = 11, anchor: str = "start", colour: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{escape(text, quote=False)}</text>'


def _svg(height: float, parts: Iterable[str], title: str) -> str:
    label = f' aria-label="{escape(title)}"' if title else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" role="img"{label} '
        f'font-family="{FONT}, sans-serif">{"".join(parts)}</svg>'
    )


def _shortened(text: str, most: int) -> str:
    width, kept = 0.0, ""
    for character in text:
        width += 2 if east_asian_width(character) in "WF" else 1
        if width > most:
            return kept[:-1] + "…"
        kept += character
    return text
