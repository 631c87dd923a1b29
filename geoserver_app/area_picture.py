"""Ground that is gained, lost and unchanged, as one SVG for pages and papers: it needs nothing beside itself and is told apart in black and white.

What is gained is hatched green one way, what is lost red the other way, what stays is grey; boundaries of divisions lie over them with their
names. The map is cut to the surroundings of what changes. North is up; a degree of longitude is as long as it is in the middle of the map.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import shapely
from shapely.geometry.base import BaseGeometry

from agreements.compare.difference import Ground

WIDTH, TALLEST = 640.0, 640.0
"""Units of the picture: 1/96 inch where nobody says otherwise."""

MARGIN, LEGEND = 12.0, 54.0
KM_PER_DEGREE = 111.2
"""Of latitude, in the middle of a province; the scale bar is right to half a percent."""

ROOM = 1.35
"""The map is so many times as wide and tall as what changes."""

NARROWEST = 0.03
"""Degrees of latitude across: some 3 km, so that a single field does not fill the picture."""

FAINTEST = 0.4
"""Units: what is smaller than this can't be seen, and is left out of the outlines."""

SMALLEST_NAMED = 900.0
"""Square units of a division whose name is written."""

WORDS = {
    "zh": {"gained": "增加", "lost": "减少", "unchanged": "不变", "granted": "范围", "km2": "{} 平方千米", "km": "{:g} 千米", "nothing": "范围无变化"},
    "en": {"gained": "gained", "lost": "lost", "unchanged": "unchanged", "granted": "area", "km2": "{} km²", "km": "{:g} km", "nothing": "no ground changes"},
}


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Where CRS84 lies on the picture."""

    west: float
    north: float
    stretch: float                                   # units a degree of latitude
    narrow: float                                    # of a degree of longitude to one of latitude
    width: float
    height: float

    def path(self, geometry: BaseGeometry) -> str:
        """SVG path data of polygons, holes among them: to be filled by the even-odd rule."""
        rings = [ring for part in shapely.get_parts(geometry) for ring in (part.exterior, *part.interiors)]
        return "".join(f"M{'L'.join(self._point(x, y) for x, y in ring.coords[:-1])}Z" for ring in rings)

    def _point(self, lon: float, lat: float) -> str:
        x, y = self.at(lon, lat)
        return f"{x:.1f} {y:.1f}"

    def at(self, lon: float, lat: float) -> tuple[float, float]:
        return MARGIN + (lon - self.west) * self.narrow * self.stretch, MARGIN + (self.north - lat) * self.stretch

    @property
    def window(self) -> tuple[float, float, float, float]:
        return self.west, self.north - self.height / self.stretch, self.west + self.width / self.stretch / self.narrow, self.north

    def seen(self, geometry: BaseGeometry) -> BaseGeometry:
        """Polygons within the window, without what is too small to be seen."""
        part = shapely.clip_by_rect(geometry, *self.window)
        plain = shapely.simplify(part, FAINTEST / self.stretch, preserve_topology=False)
        return shapely.MultiPolygon([
            one for one in shapely.get_parts(shapely.get_parts(shapely.make_valid(plain))) if one.geom_type == "Polygon" and not one.is_empty
        ])


NO_GROUND = Ground()


def picture(
    gained: Ground, lost: Ground, unchanged: Ground = NO_GROUND, boundaries: Iterable[tuple[str, BaseGeometry]] = (), *, language: str = "zh",
    title: str = "",
) -> str:
    """An SVG document of areas in CRS84. `boundaries` are divisions with their names; `title` is read to those who can't see it.

    With nothing gained or lost it shows what there is, which is then the ground that an agreement grants.
    """
    changes = [ground.geometry for ground in (gained, lost) if ground]
    sheet = _sheet(shapely.union_all(changes) if changes else unchanged.geometry)
    divisions = [(name, shape) for name, geometry in boundaries if not (shape := sheet.seen(geometry)).is_empty]
    name = "p" + hashlib.sha256(b"".join(map(shapely.to_wkb, [gained.geometry, lost.geometry, unchanged.geometry]))).hexdigest()[:10]
    words = WORDS[language]
    told = title or ", ".join(f"{words[part]} {words['km2'].format(_km2(ground))}" for part, ground in _parts(gained, lost, unchanged))
    body = [
        *(_area(sheet, f"{name}-{part}", part, ground) for part, ground in _parts(unchanged=unchanged, gained=gained, lost=lost)),
        *(f'<path d="{sheet.path(shape)}" fill="none" stroke="#333" stroke-width="0.8" stroke-dasharray="5 2 1 2"/>' for _, shape in divisions),
        *_names(sheet, divisions),
        f'<rect x="{MARGIN}" y="{MARGIN}" width="{sheet.width:.1f}" height="{sheet.height:.1f}" fill="none" stroke="#333" stroke-width="1"/>',
        *_legend(sheet, name, words, gained, lost, unchanged),
        *_scale_bar(sheet, words),
    ]
    width, height = sheet.width + 2 * MARGIN, sheet.height + 2 * MARGIN + LEGEND
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {height:.1f}" width="{width:.0f}" height="{height:.0f}" role="img" '
        f'font-family="sans-serif" font-size="11"><title>{escape(told or words["nothing"])}</title>'
        f'{_hatches(name)}<rect width="{width:.1f}" height="{height:.1f}" fill="#fff"/>{"".join(body)}</svg>'
    )


def _sheet(around: BaseGeometry) -> _Sheet:
    """What changes with some room around it; no wider than the picture, no taller than its share of a page."""
    west, south, east, north = around.bounds if not around.is_empty else (118.0, 32.0, 119.0, 33.0)
    middle = (south + north) / 2
    narrow = max(math.cos(math.radians(middle)), 0.05)
    across, up = max((east - west) * narrow, NARROWEST) * ROOM, max(north - south, NARROWEST) * ROOM
    up = max(up, across / 3)
    width = WIDTH - 2 * MARGIN
    stretch = min(width / across, TALLEST / up)
    across = max(across, width / stretch / 1.5)
    return _Sheet(
        west=(west + east) / 2 - across / narrow / 2, north=middle + up / 2, stretch=stretch, narrow=narrow, width=across * stretch, height=up * stretch,
    )


def _parts(gained: Ground, lost: Ground, unchanged: Ground) -> list[tuple[str, Ground]]:
    return [(name, ground) for name, ground in (("unchanged", unchanged), ("gained", gained), ("lost", lost)) if ground]


PAINT = {"unchanged": ("#d9d9d9", "#8c8c8c"), "gained": ("#1a7f37", "#116329"), "lost": ("#cf222e", "#a40e26")}
"""Fill or hatch, and outline."""


def _hatches(name: str) -> str:
    gained, lost = PAINT["gained"][0], PAINT["lost"][0]
    return (
        f'<defs><pattern id="{name}-gained" width="7" height="7" patternUnits="userSpaceOnUse"><rect width="7" height="7" fill="#e6f4ea"/>'
        f'<path d="M-1 8L8 -1M-1 1L1 -1M6 8L8 6" stroke="{gained}" stroke-width="1.4"/></pattern>'
        f'<pattern id="{name}-lost" width="7" height="7" patternUnits="userSpaceOnUse"><rect width="7" height="7" fill="#fde8e8"/>'
        f'<path d="M-1 -1L8 8M-1 6L1 8M6 -1L8 1" stroke="{lost}" stroke-width="2.2"/></pattern></defs>'
    )


def _area(sheet: _Sheet, hatch: str, part: str, ground: Ground) -> str:
    fill, line = PAINT[part]
    paint = fill if part == "unchanged" else f"url(#{hatch})"
    return f'<path d="{sheet.path(sheet.seen(ground.geometry))}" fill="{paint}" fill-rule="evenodd" stroke="{line}" stroke-width="1"/>'


def _names(sheet: _Sheet, divisions: Sequence[tuple[str, BaseGeometry]]) -> Iterable[str]:
    for name, shape in divisions:
        if shape.area * sheet.stretch**2 * sheet.narrow > SMALLEST_NAMED:
            x, y = sheet.at(*shapely.get_coordinates(shapely.point_on_surface(shape))[0])
            at = f'x="{x:.1f}" y="{y:.1f}" text-anchor="middle"'
            yield f'<text {at} stroke="#fff" stroke-width="3" stroke-linejoin="round">{escape(name)}</text><text {at} fill="#111">{escape(name)}</text>'


def _legend(sheet: _Sheet, name: str, words: dict[str, str], gained: Ground, lost: Ground, unchanged: Ground) -> Iterable[str]:
    x, y = MARGIN, sheet.height + 2 * MARGIN + 4
    is_change = gained or lost
    for part, ground in (("gained", gained), ("lost", lost), ("unchanged", unchanged)) if is_change else (("unchanged", unchanged),):
        fill, line = PAINT[part]
        paint = fill if part == "unchanged" else f"url(#{name}-{part})"
        text = f"{words[part if is_change else 'granted']} {words['km2'].format(_km2(ground))}"
        yield f'<rect x="{x:.1f}" y="{y:.1f}" width="22" height="13" fill="{paint}" stroke="{line}"/>'
        yield f'<text x="{x + 28:.1f}" y="{y + 11:.1f}" fill="#111">{escape(text)}</text>'
        x += 44 + 7.2 * sum(2 if ord(letter) > 0x2E80 else 1 for letter in text)


def _scale_bar(sheet: _Sheet, words: dict[str, str]) -> Iterable[str]:
    """At most a quarter of the map, in a round number of kilometres."""
    units_a_km = sheet.stretch / KM_PER_DEGREE
    most = sheet.width / 4 / units_a_km
    power = 10 ** math.floor(math.log10(most))
    length = next(step * power for step in (5, 2, 1) if step * power <= most)
    x, y = MARGIN, sheet.height + 2 * MARGIN + 36
    end = x + length * units_a_km
    yield f'<path d="M{x:.1f} {y - 4:.1f}V{y:.1f}H{end:.1f}V{y - 4:.1f}" fill="none" stroke="#111" stroke-width="1.2"/>'
    yield f'<text x="{end + 6:.1f}" y="{y + 2:.1f}" fill="#111">{escape(words["km"].format(length))}</text>'


def _km2(ground: Ground) -> str:
    return f"{ground.km2:,.2f}" if ground.km2 < 100 else f"{ground.km2:,.1f}"
