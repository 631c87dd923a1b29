"""A week in columns, as SVG: small enough for a telephone, told apart by tone and by the numbers on top. No script, no outside reference."""

from collections.abc import Sequence
from html import escape

WIDE, TALL = 340, 132
LEFT, TOP, BOTTOM = 8, 22, 108
FONT = 11
INK, QUIET, LINE = "#1c2b33", "#5a6b73", "#d9e0e0"
WHOLE, PART, REFUSED = "#0f5c63", "#8fbab8", "#8d1f2d"

Series = tuple[str, str, Sequence[int]]
"""Its name, its colour, and a value a day."""


def week(days: Sequence[str], series: Sequence[Series], title: str) -> str:
    """Columns of each day, the series stacked from below; the sum stands over each column.

    >>> picture = week(["09-01", "09-02"], [("permit", WHOLE, [3, 0]), ("deny", REFUSED, [1, 0])], "a <week>")
    >>> picture.count("<rect"), ">4</text>" in picture, "a &lt;week&gt;" in picture
    (2, True, True)
    """
    sums = [sum(values[position] for _, _, values in series) for position in range(len(days))]
    most, step = max([*sums, 1]), (WIDE - 2 * LEFT) / max(len(days), 1)
    wide, parts = step * 0.62, [f'<line x1="{LEFT}" y1="{BOTTOM}" x2="{WIDE - LEFT}" y2="{BOTTOM}" stroke="{LINE}"/>']
    for position, label in enumerate(days):
        middle, y = LEFT + step * (position + 0.5), float(BOTTOM)
        for name, colour, values in series:
            tall = (BOTTOM - TOP) * values[position] / most
            y -= tall
            if tall:
                told = f"<title>{escape(f'{label} {name}: {values[position]:,}')}</title>"
                parts.append(f'<rect x="{middle - wide / 2:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" fill="{colour}">{told}</rect>')
        parts.append(_text(middle, y - 5, _short(sums[position]), INK if sums[position] else QUIET))
        parts.append(_text(middle, BOTTOM + 16, label, QUIET))
    label = escape(f"{title}: " + ", ".join(f"{day} {total:,}" for day, total in zip(days, sums, strict=True)))
    return f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {TALL}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _text(x: float, y: float, text: str, colour: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{FONT}" text-anchor="middle" fill="{colour}">{escape(text)}</text>'


def _short(number: int) -> str:
    """
    >>> [_short(number) for number in (0, 999, 1234, 45_678, 2_345_678)]
    ['0', '999', '1.2k', '46k', '2.3M']
    """
    for least, sign in ((1_000_000, "M"), (1000, "k")):
        if number >= least:
            return f"{number / least:.1f}{sign}" if number < 10 * least else f"{number / least:.0f}{sign}"
    return str(number)
