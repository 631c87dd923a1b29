"""Sheets as a map: one SVG that needs nothing beside itself, each sheet in the colour of its class, holes hatched.

A province of thousands of sheets is drawn as one shape a colour; its links then lead to the sheets of 1:100,000, each a map of its own.
North is up; a degree of longitude is as long as it is in the middle of the map.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import shapely
from shapely.geometry.base import BaseGeometry

from layers.sheets.holes import polygons

WIDE, TALLEST = 640.0, 560.0
MARGIN = 8.0
MOST_LINKED = 700
"""Sheets that have a link each."""

ROOM_FOR_A_NUMBER = 62.0
"""Units that a sheet must be wide to have its number written in it."""

NONE, LINE, HOLE, INK = "#c3ccce", "#ffffff", "#b3261e", "#1c2b33"
OLDEST, NEWEST = (0xE3, 0xC5, 0x7A), (0x0F, 0x5C, 0x63)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A sheet on the map: its ground (CRS84), the class it is coloured by, and what it is called."""

    ground: BaseGeometry
    kind: str
    name: str
    href: str


@dataclass(frozen=True, slots=True)
class Swatch:
    """A line of the legend: how many cells there are of the kind."""

    kind: str
    colour: str
    count: int


def colours(kinds: Sequence[str]) -> dict[str, str]:
    """A colour for each kind: from sand (the first, oldest) to deep green (the last); grey for "", what is not known.

    >>> colours(["", "2006", "2011"])
    {'': '#c3ccce', '2006': '#e3c57a', '2011': '#0f5c63'}
    """
    known = sorted(kind for kind in set(kinds) if kind)
    painted = {"": NONE} if "" in kinds else {}
    for place, kind in enumerate(known):
        part = place / (len(known) - 1) if len(known) > 1 else 1.0
        painted[kind] = "#" + "".join(f"{round(old + (new - old) * part):02x}" for old, new in zip(OLDEST, NEWEST, strict=True))
    return painted


def legend(cells: Sequence[Cell], painted: dict[str, str]) -> list[Swatch]:
    """The newest first, what is not known last."""
    counts = {kind: sum(cell.kind == kind for cell in cells) for kind in painted}
    return [Swatch(kind, painted[kind], counts[kind]) for kind in sorted(painted, reverse=True) if counts[kind]]


def sheet_map(
    cells: Sequence[Cell], holes: BaseGeometry, painted: dict[str, str], *, label: str, around: Sequence[Cell] = (), frame: BaseGeometry | None = None,
) -> str:
    """Cells over one another, the last on top; `around` are coarser cells to go on to where there are too many for a link each.

    Parameters
    ----------
    holes : BaseGeometry
        CRS84: ground to be hatched.
    label : str
        What the picture shows, for who does not see it.
    frame : BaseGeometry, optional
        What the map is fitted to; all that is drawn, unless given.
    """
    place = _Place([frame] if frame is not None else [*(cell.ground for cell in cells), *([] if holes.is_empty else [holes])])
    hatch = "h" + hashlib.sha256(f"{label}{place.wide}{place.tall}{len(cells)}".encode()).hexdigest()[:8]
    parts = [_hatching(hatch)]
    is_linked = len(cells) <= MOST_LINKED
    if is_linked:
        parts += [_linked(place, cell, painted[cell.kind]) for cell in cells]
    else:
        thin = max(min(0.6, 18 / math.sqrt(len(cells))), 0.15)
        for kind, colour in painted.items():
            drawn = "".join(place.path(cell.ground) for cell in cells if cell.kind == kind)
            if drawn:
                parts.append(f'<path d="{drawn}" fill="{colour}" stroke="{LINE}" stroke-width="{thin:.2f}"/>')
    if not holes.is_empty:
        parts.append(f'<path class="hole" d="{place.path(holes)}" fill="url(#{hatch})" fill-rule="evenodd" stroke="{HOLE}" stroke-width="1.2" pointer-events="none"/>')
    if not is_linked:
        parts += [_linked(place, cell, "none", way_in=True) for cell in around]
    return (
        f'<svg class="sheets" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {place.wide:.0f} {place.tall:.0f}" role="img" aria-label="{escape(label)}">'
        f'{"".join(parts)}</svg>'
    )


def _hatching(name: str) -> str:
    return (
        f'<defs><pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="#fdecee"/>'
        f'<path d="M-1 7L7 -1M-1 1L1 -1M5 7L7 5" stroke="{HOLE}" stroke-width="1.3"/></pattern></defs>'
    )


def _linked(place: "_Place", cell: Cell, colour: str, *, way_in: bool = False) -> str:
    line, width = ("rgba(28,43,51,.55)", 0.8) if way_in else (LINE, 0.8)
    fill = 'fill="#fff" fill-opacity="0"' if way_in else f'fill="{colour}"'
    shape = f'<path d="{place.path(cell.ground)}" {fill} stroke="{line}" stroke-width="{width}"/>'
    return f'<a href="{escape(cell.href)}" aria-label="{escape(cell.name)}"><title>{escape(cell.name)}</title>{shape}{place.written(cell, colour)}</a>'


class _Place:
    """Where CRS84 lies on the picture."""

    def __init__(self, shapes: Sequence[BaseGeometry]):
        west, south, east, north = shapely.total_bounds(shapes) if shapes else (0.0, 0.0, 1.0, 1.0)
        across, up = max(east - west, 1e-6), max(north - south, 1e-6)
        self.narrow = max(math.cos(math.radians((south + north) / 2)), 0.05)
        self.scale = min((WIDE - 2 * MARGIN) / (across * self.narrow), (TALLEST - 2 * MARGIN) / up)
        self.west, self.north = west, north
        self.wide, self.tall = across * self.narrow * self.scale + 2 * MARGIN, up * self.scale + 2 * MARGIN

    def x(self, longitude: float) -> float:
        return MARGIN + (longitude - self.west) * self.narrow * self.scale

    def y(self, latitude: float) -> float:
        return MARGIN + (self.north - latitude) * self.scale

    def path(self, ground: BaseGeometry) -> str:
        simple = shapely.simplify(ground, 0.4 / self.scale)
        rings = [ring for part in polygons(simple) for ring in (part.exterior, *part.interiors)]
        return "".join("M" + "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in ring.coords[:-1]) + "Z" for ring in rings)

    def written(self, cell: Cell, colour: str) -> str:
        """The number in the middle of a sheet that has the room."""
        west, south, east, north = cell.ground.bounds
        name = cell.name.partition(" ")[0]
        if (east - west) * self.narrow * self.scale < max(ROOM_FOR_A_NUMBER, 6.4 * len(name)) or (north - south) * self.scale < 16:
            return ""
        is_dark = colour.startswith("#") and sum(int(colour[place:place + 2], 16) for place in (1, 3, 5)) < 330
        halo = "" if colour.startswith("#") else 'stroke="#fff" stroke-opacity="0.8" stroke-width="2.6" stroke-linejoin="round" paint-order="stroke" '
        return (
            f'<text x="{self.x((west + east) / 2):.1f}" y="{self.y((south + north) / 2) + 3.5:.1f}" font-size="10" text-anchor="middle" '
            f'fill="{"#fff" if is_dark else INK}" {halo}pointer-events="none">{escape(name)}</text>'
        )
