"""Pictures for reviewers: where findings lie, and what a delivery changes. SVG without script, link or font, north up, the same bytes for the same data."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import cos, radians

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

WIDTH, HEIGHT, MARGIN, LEGEND = 720, 520, 14, 60
MOST_DRAWN = 6000
"""Shapes of one kind."""

COLOURS = {
    "kept": ("#9aa7ab", "#e3e8e9"), "added": ("#1d8a3b", "#9fd9ae"), "removed": ("#c4212f", "#f2a9ae"), "moved": ("#1f5fbf", "#a9c7f2"),
    "retold": ("#b57a00", "#f3d894"), "error": ("#c4212f", "#f2a9ae"), "warning": ("#b57a00", "#f3d894"), "note": ("#1f5fbf", "#a9c7f2"),
    "agreed": ("#7d8b8d", "none"),
}
"""Line and fill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Shapes of one kind, in CRS84; `label` stands in the legend."""

    kind: str
    label: str
    shapes: Sequence[BaseGeometry]


def draw(layers: Iterable[Drawn], title: str, *, frame: Sequence[BaseGeometry] = ()) -> str:
    """An SVG of `layers`, the lowest first. `frame` are shapes that fit into it, all of them where there are none."""
    layers = [one for one in layers if len(one.shapes)]
    shapes = [one for one in frame or [shape for layer in layers for shape in layer.shapes] if not one.is_empty]
    if not shapes:
        return _svg(title, ["<text x='50%' y='50%' text-anchor='middle' class='t'>—</text>"])
    west, south, east, north = shapely.total_bounds(np.asarray(shapes, dtype=object))
    pad = max(east - west, north - south, 1e-4) * 0.04
    west, south, east, north = west - pad, south - pad, east + pad, north + pad
    shrink = max(0.05, cos(radians((south + north) / 2)))
    scale = min((WIDTH - 2 * MARGIN) / ((east - west) * shrink), (HEIGHT - LEGEND - 2 * MARGIN) / (north - south))
    left, top = (WIDTH - (east - west) * shrink * scale) / 2, MARGIN + ((HEIGHT - LEGEND - 2 * MARGIN) - (north - south) * scale) / 2

    def place(points: np.ndarray) -> np.ndarray:
        return np.column_stack([left + (points[:, 0] - west) * shrink * scale, top + (north - points[:, 1]) * scale])

    body = []
    for layer in layers:
        drawn = shapely.simplify(np.asarray(layer.shapes[:MOST_DRAWN], dtype=object), 0.3 / scale, preserve_topology=True)
        line, fill = COLOURS[layer.kind]
        body.append(f"<g stroke='{line}' fill='{fill}' fill-opacity='.75' stroke-width='{1 if layer.kind in ('kept', 'agreed') else 1.8}'>")
        body += [_element(one, place) for shape in drawn for one in _simple_parts(shape)]
        body.append("</g>")
    body += _legend(layers)
    body.append(_scale_bar(scale))
    return _svg(title, body)


def _simple_parts(shape: BaseGeometry) -> Iterator[BaseGeometry]:
    for part in shapely.get_parts(shape):
        if hasattr(part, "geoms"):
            yield from _simple_parts(part)
        elif not part.is_empty:
            yield part


def _element(shape: BaseGeometry, place) -> str:
    if shape.geom_type == "Point":
        (x, y), = place(shapely.get_coordinates(shape))
        return f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3.4'/>"
    rings = [shape.exterior, *shape.interiors] if shape.geom_type == "Polygon" else [shape]
    if shape.geom_type == "Polygon" and max(np.ptp(place(shapely.get_coordinates(shape.exterior)), axis=0)) < 4:
        (x, y), = place(shapely.get_coordinates(shape.centroid))                # too small to be seen: a mark where it is
        return f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4.5'/>"
    path = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in place(shapely.get_coordinates(ring))) + ("Z" if shape.geom_type == "Polygon" else "")
                   for ring in rings)
    is_area = shape.geom_type == "Polygon"
    return f"<path d='{path}' fill-rule='evenodd'/>" if is_area else f"<path d='{path}' fill='none'/>"


def _legend(layers: Sequence[Drawn]) -> list[str]:
    """Below the map, the uppermost first, in two rows where one is too short."""
    found, x, y = [], MARGIN, HEIGHT - LEGEND + 16
    for one in reversed(layers):
        line, fill = COLOURS[one.kind]
        wide = 34 + sum(13 if ord(character) > 0x2e80 else 7 for character in one.label)
        if x + wide > WIDTH - MARGIN and x > MARGIN:
            x, y = MARGIN, y + 20
        found.append(f"<rect x='{x}' y='{y}' width='14' height='14' fill='{fill}' stroke='{line}' stroke-width='1.6'/>")
        found.append(f"<text x='{x + 19}' y='{y + 12}' class='t'>{escape(one.label)}</text>")
        x += wide
    return found


def _scale_bar(scale: float) -> str:
    """Of a round length; a degree of latitude is 110.9 km here."""
    metres = 110_900 / scale * 120
    length = next(size for size in (n * 10**e for e in range(6, -2, -1) for n in (5, 2, 1)) if size <= metres or size <= 0.1)
    wide = length / 110_900 * scale
    told = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    x, y = WIDTH - MARGIN - wide, HEIGHT - LEGEND + 6
    return (
        f"<path d='M{x:.1f} {y - 4}V{y}H{WIDTH - MARGIN}V{y - 4}' fill='none' stroke='#1c2b33' stroke-width='1.4'/>"
        f"<text x='{x - 6:.1f}' y='{y + 2}' text-anchor='end' class='t'>{told}</text>"
    )


def _svg(title: str, body: Sequence[str]) -> str:
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' height='{HEIGHT}' role='img'><title>{escape(title)}</title>"
        "<style>.t{font:12px system-ui,'Noto Sans CJK SC',sans-serif;fill:#1c2b33}</style>"
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='#fbfbf8'/>{''.join(body)}</svg>"
    )
