"""Small maps of areas for cards, as SVG over the outlines of divisions; and what is drawn again and again, kept."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from math import cos, radians

import flask
import shapely
from shapely.geometry.base import BaseGeometry

from agreements.areas import EVERYWHERE_DIGEST
from agreements.compare.difference import Ground
from agreements.model import Area
from geoserver_app.area_picture import picture
from geoserver_app.wiring import services
from layers.catalogue import Catalogue, Division
from layers.crs import geodesic_km2

WIDE, TALLEST = 300.0, 240.0
MARGIN = 6.0
OUTLINE, INK, FILL, EDGE = "#a3b1b3", "#1c2b33", "#8fc4bd", "#0f5c63"
HAIR = 0.35
"""User units that can't be seen: shapes are simplified by so much."""


def thumbnail(area: BaseGeometry, outlines: Sequence[tuple[str, BaseGeometry]], label: str) -> str:
    """An area (CRS84) over outlines, framed by both. `label` says it to who does not see it."""
    frame, outlines = _Frame([area, *(outline for _, outline in outlines)]), list(outlines)
    shape = frame.path(area)
    parts = [f'<path d="{frame.path(outline)}" fill="#fff" stroke="{OUTLINE}" stroke-width="0.7"/>' for _, outline in outlines]
    parts.append(f'<path d="{shape}" fill="{FILL}" fill-opacity="0.85" fill-rule="evenodd" stroke="{EDGE}" stroke-width="1.1"/>')
    parts += [f'<path d="{frame.path(outline)}" fill="none" stroke="{OUTLINE}" stroke-width="0.5"/>' for _, outline in outlines]
    parts += [frame.name(name, outline) for name, outline in outlines]
    return (
        f'<svg class="area" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE:.0f} {frame.tall:.0f}" role="img" aria-label="{escape(label)}">'
        f'{"".join(parts)}</svg>'
    )


class _Frame:
    """Degrees to user units: plate carrée, true to scale in the middle."""

    def __init__(self, shapes: Sequence[BaseGeometry]):
        west, south, east, north = shapely.total_bounds(shapes) if shapes else (0.0, 0.0, 1.0, 1.0)
        wide, tall = max(east - west, 1e-6), max(north - south, 1e-6)
        self.squeeze = max(cos(radians((south + north) / 2)), 0.05)
        self.scale = min((WIDE - 2 * MARGIN) / (wide * self.squeeze), (TALLEST - 2 * MARGIN) / tall)
        self.west, self.north = west, north
        self.left, self.tall = (WIDE - wide * self.squeeze * self.scale) / 2, tall * self.scale + 2 * MARGIN

    def x(self, longitude: float) -> float:
        return self.left + (longitude - self.west) * self.squeeze * self.scale

    def y(self, latitude: float) -> float:
        return MARGIN + (self.north - latitude) * self.scale

    def path(self, geometry: BaseGeometry) -> str:
        simple = shapely.simplify(geometry, HAIR / self.scale)
        rings = [ring for part in _polygons(simple) for ring in (part.exterior, *part.interiors)]
        return " ".join("M" + "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in ring.coords[:-1]) + "Z" for ring in rings)

    def name(self, name: str, outline: BaseGeometry) -> str:
        """Where it has room."""
        polygons = _polygons(outline)
        if not name or not polygons:
            return ""
        largest = max(polygons, key=lambda part: part.area)
        west, south, east, north = largest.bounds
        if (east - west) * self.squeeze * self.scale < 10 * len(name) or (north - south) * self.scale < 14:
            return ""
        x, y = largest.representative_point().coords[0]
        halo = 'stroke="#fff" stroke-width="2.4" stroke-linejoin="round" paint-order="stroke"'
        return f'<text x="{self.x(x):.1f}" y="{self.y(y) + 3:.1f}" font-size="9.5" text-anchor="middle" fill="{INK}" {halo}>{escape(name)}</text>'


def _polygons(geometry: BaseGeometry) -> list[BaseGeometry]:
    return [part for part in shapely.get_parts(shapely.get_parts(geometry)) if part.geom_type == "Polygon" and not part.is_empty]


# -- what is drawn again and again

KEPT_MOST = 400

MOST_OUTLINES, MOST_OF_A_LEVEL = 40, 400
"""Divisions in one picture; of a level with more of them no outlines are kept."""

FINE = 0.0001
"""Degrees, some 10 m: outlines are kept no finer, and are drawn under the area itself."""


class Drawings:
    """Pictures and sizes of areas, made once: areas never change, outlines with the catalogue alone. May be shared by threads."""

    def __init__(self, catalogue: Catalogue):
        self._catalogue, self._lock = catalogue, threading.Lock()
        self._kept: OrderedDict[tuple, object] = OrderedDict()

    def of_area(self, area: Area, label: str) -> str:
        """"" for the whole world, of which there is nothing to see."""
        if area.digest == EVERYWHERE_DIGEST:
            return ""
        return self._once(
            ("area", area.digest, label, self._catalogue.epoch()), lambda: thumbnail(area.geometry, self.outlines(area.geometry), label),
        )

    def of_change(self, gained: Ground, lost: Ground, unchanged: Ground, language: str) -> str:
        """Of what is compared at the moment, drawn anew; "" where there is none."""
        ground = shapely.union_all([one.geometry for one in (gained, lost, unchanged)])
        return "" if ground.is_empty else picture(gained, lost, unchanged, self.outlines(ground), language=language)

    def km2(self, area: Area) -> float:
        return self._once(("km2", area.digest), lambda: geodesic_km2(area.geometry))

    def outlines(self, ground: BaseGeometry) -> list[tuple[str, BaseGeometry]]:
        """Names and outlines of the divisions on that ground: of the finest level that has at most 40 there."""
        best: list[tuple[str, BaseGeometry]] = []
        shapely.prepare(ground)
        for level in self._levels():
            there = [(one.name, one.geometry) for one in level if ground.intersects(one.geometry)]
            if len(best) < len(there) <= MOST_OUTLINES:
                best = there
        return best

    def _levels(self) -> list[list[Division]]:
        """Divisions in their latest vintage, simplified, level by level, the one with the fewest first."""
        return self._once(("levels", self._catalogue.epoch()), self._read_levels)

    def _read_levels(self) -> list[list[Division]]:
        codes: dict[str, list[str]] = {}
        for code, _, level, _ in self._catalogue.divisions():
            codes.setdefault(level, []).append(code)
        levels = [held for held in sorted(codes.values(), key=len) if len(held) <= MOST_OF_A_LEVEL]
        return [[self.simplified(code) for code in held] for held in levels]

    def simplified(self, code: str, vintage: str | None = None) -> Division:
        """Raises DivisionNotDefined."""
        found = self._catalogue.division(code, vintage)
        return replace(found, geometry=shapely.simplify(found.geometry, FINE))

    def _once(self, name: tuple, make):
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        made = make()
        with self._lock:
            self._kept[name] = made
            while len(self._kept) > KEPT_MOST:
                self._kept.popitem(last=False)
        return made


def drawings() -> Drawings:
    """Those of the application that answers the current request."""
    kept = flask.current_app.extensions
    return kept.setdefault("console-drawings", Drawings(services().catalogue))
