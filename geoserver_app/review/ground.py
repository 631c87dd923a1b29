"""The ground that was looked at: a heat map over a grid of map sheets, drawn as SVG over the outlines of divisions.

Cells are frames of 1:10,000 sheets (GB/T 13989: 3'45" by 2'30") or equal parts of them, so that what lights up can be named and ordered by its
sheet. A request weighs 1, spread evenly over the cells that its extent touches; overviews are left out: whoever looks at the whole province
lights nothing up.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, cos, floor, radians

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geoserver_app.review.charts import FONT, INK, QUIET, WIDTH, number, text_width
from layers.crs import SERVED, transformer
from tiles.grids import TILE_MATRIX_SETS

SHEET_LON, SHEET_LAT = 0.0625, 1 / 24
"""Degrees of a 1:10,000 sheet."""

FINEST, COARSEST = 16, -4
"""Cells along the side of a sheet at most; sheets along the side of a cell at most."""

MOST_CELLS = 64
"""Along a side of the grid."""

MOST_TOUCHED = 100
"""Cells that an extent touches at most: a larger one is an overview, in which nothing was looked at."""

TALLEST = 460.0
TONES = ("#e3ecf4", "#b5cde2", "#7fa7c9", "#46779f", "#173f63")
UNTOUCHED, OUTLINE = "#ffffff", "#8a8a8a"

METRES_A_DEGREE = 111_320.0


@dataclass(frozen=True, slots=True)
class Place:
    """An extent in CRS84 degrees and how many requests looked at it."""

    west: float
    south: float
    east: float
    north: float
    requests: int


def places_of(rows: Iterable[Mapping]) -> list[Place]:
    """Rows of the question `places` - tiles of a tile matrix set, or bounds in a CRS - as extents in CRS84; those that have none are left out."""
    by_crs: dict[str, list[tuple[float, float, float, float, int]]] = {}
    for row in rows:
        if row["tms"] in TILE_MATRIX_SETS and row["zoom"] is not None:
            tms = TILE_MATRIX_SETS[row["tms"]]
            by_crs.setdefault(tms.crs, []).append((*tms.bounds(row["zoom"], row["tile_row"], row["tile_column"]), row["requests"]))
        elif row["crs"] in SERVED and row["bounds"] is not None and len(row["bounds"]) == 4:
            by_crs.setdefault(row["crs"], []).append((*row["bounds"], row["requests"]))
    return [place for crs, boxes in by_crs.items() for place in _in_degrees(crs, boxes)]


def _in_degrees(crs: str, boxes: Sequence[tuple]) -> Iterator[Place]:
    """By the corners: what a view is bent between them is far less than a cell."""
    left, bottom, right, top, requests = np.array(boxes, dtype=float).T
    x, y = np.stack([left, right, left, right]), np.stack([bottom, bottom, top, top])
    longitude, latitude = transformer(crs, "CRS:84").transform(x, y)
    edges = np.stack([longitude.min(axis=0), latitude.min(axis=0), longitude.max(axis=0), latitude.max(axis=0)])
    is_somewhere = np.isfinite(edges).all(axis=0)
    for edge, count in zip(edges[:, is_somewhere].T, requests[is_somewhere], strict=True):
        yield Place(*(float(one) for one in edge), int(count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Columns from the west, rows from the south; cells lie in whole numbers from longitude 0 and latitude 0."""

    first_column: int
    first_row: int
    columns: int
    rows: int
    parts: float                              # cells along the side of a sheet: 4, or 0.5 where a cell is two by two sheets

    @property
    def cell(self) -> tuple[float, float]:
        """Degrees of longitude and latitude."""
        return SHEET_LON / self.parts, SHEET_LAT / self.parts

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        wide, tall = self.cell
        return (
            self.first_column * wide, self.first_row * tall, (self.first_column + self.columns) * wide, (self.first_row + self.rows) * tall,
        )

    def box(self, row: int, column: int) -> BaseGeometry:
        wide, tall = self.cell
        west, south = (self.first_column + column) * wide, (self.first_row + row) * tall
        return shapely.box(west, south, west + wide, south + tall)


def grid_over(ground: BaseGeometry) -> Grid:
    """The finest grid over `ground` (CRS84) with at most 64 cells along a side.

    >>> grid_over(shapely.box(118.0, 32.0, 118.25, 32.125)).parts
    16
    """
    west, south, east, north = ground.bounds
    for power in range(FINEST.bit_length() - 1, COARSEST - 1, -1):
        parts = 2 ** power
        wide, tall = SHEET_LON / parts, SHEET_LAT / parts
        first_column, first_row = floor(west / wide + 1e-9), floor(south / tall + 1e-9)
        columns, rows = ceil(east / wide - 1e-9) - first_column, ceil(north / tall - 1e-9) - first_row
        if max(columns, rows) <= MOST_CELLS:
            break
    return Grid(first_column=first_column, first_row=first_row, columns=max(columns, 1), rows=max(rows, 1), parts=parts)


def heat(grid: Grid, places: Iterable[Place]) -> tuple[np.ndarray, int]:
    """Requests a cell, by row from the south and column from the west, and how many requests were overviews, which are left out.

    What of an extent lies off the grid takes its share with it.
    """
    places = list(places)
    if not places:
        return np.zeros((grid.rows, grid.columns)), 0
    west, south, east, north, requests = np.array([[p.west, p.south, p.east, p.north, p.requests] for p in places], dtype=float).T
    wide, tall = grid.cell
    left, right = _cells(west, east, wide, grid.first_column)
    low, high = _cells(south, north, tall, grid.first_row)
    touched = (right - left + 1) * (high - low + 1)
    share, is_close = requests / touched, touched <= MOST_TOUCHED
    steps = np.zeros((grid.rows + 1, grid.columns + 1))
    is_seen = is_close & (right >= 0) & (left < grid.columns) & (high >= 0) & (low < grid.rows)
    left, right = left[is_seen].clip(0), right[is_seen].clip(max=grid.columns - 1) + 1
    low, high, share = low[is_seen].clip(0), high[is_seen].clip(max=grid.rows - 1) + 1, share[is_seen]
    for rows, columns, sign in ((low, left, 1), (high, left, -1), (low, right, -1), (high, right, 1)):
        np.add.at(steps, (rows, columns), sign * share)
    return steps.cumsum(axis=0).cumsum(axis=1)[:-1, :-1], int(requests[~is_close].sum())


def _cells(start: np.ndarray, end: np.ndarray, size: float, first: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last cell that an extent touches with more than its edge."""
    low = np.floor(start / size + 1e-6).astype(np.int64)
    return low - first, np.maximum(np.ceil(end / size - 1e-6).astype(np.int64) - 1, low) - first


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """`looked_at` and `cells` count the cells that touch the ground; `overviews` the requests that are not drawn."""

    svg: str
    grid: Grid
    looked_at: int
    cells: int
    overviews: int
    busiest: tuple[tuple[float, float, float], ...]        # longitude, latitude of the centre, requests: the five with most


@dataclass(frozen=True, slots=True)
class HeatWords:
    """What the legend says."""

    requests: str
    untouched: str
    cell: str


def draw(ground: BaseGeometry, places: Iterable[Place], outlines: Sequence[tuple[str, BaseGeometry]], words: HeatWords) -> HeatMap:
    """Heat over `ground` (CRS84, the part of it where there is anything to see), which alone is shown."""
    grid = grid_over(ground)
    warm, overviews = heat(grid, places)
    shapely.prepare(ground)
    inside = np.array([[ground.intersects(grid.box(row, column)) for column in range(grid.columns)] for row in range(grid.rows)])
    warm = np.where(inside, warm, 0.0)
    busiest = sorted(((warm[at], at) for at in zip(*np.nonzero(warm > 1e-9), strict=True)), key=lambda one: (-round(one[0], 6), one[1]))
    centres = tuple((*grid.box(*at).centroid.coords[0], float(requests)) for requests, at in busiest[:5])
    return HeatMap(
        svg=_svg(grid, warm, inside, ground, outlines, words), grid=grid, looked_at=len(busiest), cells=int(inside.sum()), overviews=overviews,
        busiest=centres,
    )


def classes(most: float) -> list[float]:
    """Upper ends of at most five classes, in even steps of the logarithm, the last of them `most` in whole requests.

    >>> classes(3125)
    [5, 25, 120, 630, 3125]
    """
    most = ceil(most - 1e-9)
    if most <= 5:
        return [float(end) for end in range(1, most + 1)]
    ends = [_two_digits(most ** (step / 5)) for step in range(1, 5)]
    return [*dict.fromkeys(end for end in ends if end < most), most]


def _two_digits(value: float) -> int:
    power = 10 ** max(len(str(int(value))) - 2, 0)
    return max(round(value / power) * power, 1)


def _svg(
    grid: Grid, warm: np.ndarray, inside: np.ndarray, ground: BaseGeometry, outlines: Sequence[tuple[str, BaseGeometry]], words: HeatWords,
) -> str:
    frame = _Frame(grid)
    ends = classes(float(warm.max())) if warm.max() > 1e-9 else []
    tones = [TONES[round(position * (len(TONES) - 1) / max(len(ends) - 1, 1))] for position in range(len(ends))]
    clip = f'<clipPath id="ground"><path d="{frame.path(ground)}"/></clipPath>'
    parts = [f"<defs>{clip}</defs>", f'<path d="{frame.path(ground)}" fill="{UNTOUCHED}"/>', '<g clip-path="url(#ground)">']
    for row, column in zip(*np.nonzero(warm > 1e-9), strict=True):
        level = next((position for position, end in enumerate(ends) if warm[row, column] <= end * (1 + 1e-9)), len(ends) - 1)
        parts.append(frame.cell(row, column, tones[level]))
    parts.append("</g>")
    window = shapely.box(*grid.bounds)
    for _, outline in outlines:
        seen = outline.intersection(window)
        if not seen.is_empty:
            parts.append(f'<path d="{frame.path(seen)}" fill="none" stroke="{OUTLINE}" stroke-width="0.7" stroke-linejoin="round"/>')
    parts.append(f'<path d="{frame.path(ground)}" fill="none" stroke="{INK}" stroke-width="1.3" stroke-linejoin="round"/>')
    parts += [_name(frame, name, outline.intersection(window)) for name, outline in outlines]
    parts += _legend(frame, ends, tones, words)
    height = frame.height + 44
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" role="img" '
        f'font-family="{FONT}, sans-serif">{"".join(parts)}</svg>'
    )


class _Frame:
    """Degrees to user units: plate carrée, true to scale in the middle."""

    def __init__(self, grid: Grid):
        self.grid = grid
        west, south, east, north = grid.bounds
        self.west, self.north = west, north
        self.squeeze = cos(radians((south + north) / 2))
        self.scale = min((WIDTH - 4) / ((east - west) * self.squeeze), TALLEST / (north - south))
        self.height = (north - south) * self.scale
        self.left = (WIDTH - (east - west) * self.squeeze * self.scale) / 2

    def x(self, longitude: float) -> float:
        return self.left + (longitude - self.west) * self.squeeze * self.scale

    def y(self, latitude: float) -> float:
        return 2 + (self.north - latitude) * self.scale

    def path(self, geometry: BaseGeometry) -> str:
        """Polygons, with no more vertices than can be seen."""
        simple = shapely.simplify(geometry, 0.35 / self.scale)
        rings = [ring for part in _polygons(simple) for ring in (part.exterior, *part.interiors)]
        return " ".join("M" + "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in ring.coords[:-1]) + "Z" for ring in rings)

    def cell(self, row: int, column: int, tone: str) -> str:
        west, south, east, north = self.grid.box(row, column).bounds
        left, top = self.x(west), self.y(north)
        wide, tall = self.x(east) - left, self.y(south) - top
        return f'<rect x="{left:.2f}" y="{top:.2f}" width="{wide + 0.15:.2f}" height="{tall + 0.15:.2f}" fill="{tone}"/>'


def _polygons(geometry: BaseGeometry) -> list[BaseGeometry]:
    parts = list(getattr(geometry, "geoms", (geometry,)))
    return [part for part in parts if part.geom_type == "Polygon" and not part.is_empty]


def _name(frame: _Frame, name: str, outline: BaseGeometry) -> str:
    """Where it has room."""
    polygons = _polygons(outline)
    if not polygons or not name:
        return ""
    largest = max(polygons, key=lambda part: part.area)
    west, south, east, north = largest.bounds
    if frame.x(east) - frame.x(west) < text_width(name, 10) or frame.y(south) - frame.y(north) < 12:
        return ""
    place = shapely.maximum_inscribed_circle(largest, tolerance=(north - south) / 40).coords[0]
    style = f'font-size="10" text-anchor="middle" fill="{INK}" stroke="#ffffff" stroke-width="2.4" stroke-linejoin="round"'
    plain = f'font-size="10" text-anchor="middle" fill="{INK}"'
    x, y = f"{frame.x(place[0]):.1f}", f"{frame.y(place[1]) + 3.5:.1f}"
    text = escape(name, quote=False)
    return f'<text x="{x}" y="{y}" {style}>{text}</text><text x="{x}" y="{y}" {plain}>{text}</text>'


def _legend(frame: _Frame, ends: Sequence[float], tones: Sequence[str], words: HeatWords) -> list[str]:
    y, x, parts = frame.height + 14, 4.0, []
    for tone, text in [(UNTOUCHED, words.untouched), *zip(tones, _ranges(ends), strict=True)]:
        parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="16" height="11" fill="{tone}" stroke="{OUTLINE}" stroke-width="0.6"/>')
        parts.append(f'<text x="{x + 21:.1f}" y="{y + 9.5:.1f}" font-size="10" fill="{INK}">{escape(text, quote=False)}</text>')
        x += 21 + text_width(text, 10) + 16
    parts.append(f'<text x="4" y="{y + 26:.1f}" font-size="10" fill="{QUIET}">{escape(f"{words.requests} · {words.cell}", quote=False)}</text>')
    return [*parts, *_scale_bar(frame, y)]


def _ranges(ends: Sequence[float]) -> list[str]:
    starts = [0, *ends][:len(ends)]
    return [f"≤ {number(end)}" if start == 0 else f"{number(start)}–{number(end)}" for start, end in zip(starts, ends, strict=True)]


def _scale_bar(frame: _Frame, y: float) -> list[str]:
    """A round number of kilometres, about a sixth of the width."""
    a_kilometre = frame.scale * 1000 / METRES_A_DEGREE
    kilometres = next((k for k in (200, 100, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1) if k * a_kilometre <= WIDTH / 6), 0.1)
    right, left = WIDTH - 6.0, WIDTH - 6.0 - kilometres * a_kilometre
    return [
        f'<path d="M{left:.1f} {y + 4:.1f}v6H{right:.1f}v-6" fill="none" stroke="{INK}" stroke-width="1.2"/>',
        f'<text x="{(left + right) / 2:.1f}" y="{y + 22:.1f}" font-size="10" text-anchor="middle" fill="{INK}">{kilometres:g} km</text>',
    ]
