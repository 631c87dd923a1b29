"""How lines of neighbouring sheets meet: each line that ends at a shared edge of two sheets should go on in the other (接边).

All is done in CRS84, where the edges of sheets are straight, and measured in metres on the ground around the edge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, radians
from pathlib import Path

import numpy as np
import pyogrio
import shapely

from layers import crs as reference
from layers.ingest.keys import numbers_in_file
from layers.model import Bounds, Sheet
from layers.sheets import numbers as sheets

TOLERANCE_ON_THE_MAP = 0.0001
"""Metres of paper within which two ends meet, and within which a line ends at the edge: 1 m at 1:10,000."""

FARTHEST_PARTNER = 30
"""Tolerances within which the nearest end beyond the edge is told of as meant."""

MOST_ENDS = 20
METRES_PER_DEGREE = 111_320.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LooseEnd:
    """An end at the edge without a partner: whose, the feature's id in the sheet's table, where (degrees), and how far the nearest end beyond is (metres)."""

    sheet: str
    key: int
    lon: float
    lat: float
    nearest: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeChecked:
    """One table along the edge that two sheets share. `ends` of both sheets lie at it, `loose` of them have no partner; the first are in `shown`."""

    first: str
    second: str
    table: str
    ends: int
    loose: int
    tolerance: float
    shown: tuple[LooseEnd, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What two sheets share, in degrees: a piece of a meridian (`is_meridian`) or of a parallel."""

    at: float
    begin: float
    end: float
    is_meridian: bool


def shared_edges(new: Sequence[Sheet], kept: Sequence[Sheet]) -> Iterator[tuple[Sheet, Sheet]]:
    """Pairs of numbered sheets whose frames have an edge in common, at least one of each pair new."""
    parts = [sheet for sheet in (*new, *kept) if sheet.number]
    fresh = {sheet.path for sheet in new}
    if len(parts) < 2:
        return
    frames = [sheets.sheet_bounds(sheet.number) for sheet in parts]
    tree = shapely.STRtree([shapely.box(*frame) for frame in frames])
    for number, sheet in enumerate(parts):
        for other in sorted(tree.query(shapely.box(*frames[number]).buffer(1e-7))):
            if other > number and {sheet.path, parts[other].path} & fresh and edge_of(frames[number], frames[other]) is not None:
                yield sheet, parts[other]


def edge_of(a: Bounds, b: Bounds) -> Edge | None:
    """The edge between two frames, in degrees; None where they share none."""
    for at, other in ((a.right, b.left), (a.left, b.right)):
        low, high = max(a.bottom, b.bottom), min(a.top, b.top)
        if abs(at - other) < 1e-9 and high - low > 1e-9:
            return Edge(at=at, begin=low, end=high, is_meridian=True)
    for at, other in ((a.top, b.bottom), (a.bottom, b.top)):
        low, high = max(a.left, b.left), min(a.right, b.right)
        if abs(at - other) < 1e-9 and high - low > 1e-9:
            return Edge(at=at, begin=low, end=high, is_meridian=False)
    return None


def check_edge(first: Sheet, first_path: Path, second: Sheet, second_path: Path) -> list[EdgeChecked]:
    """Every table of lines along the edge of two sheets of this store, where any line ends at it. Runs in a worker."""
    edge = edge_of(sheets.sheet_bounds(first.number), sheets.sheet_bounds(second.number))
    if edge is None:
        return []
    tolerance = TOLERANCE_ON_THE_MAP * max(sheets.scale_of(sheet.number).denominator for sheet in (first, second))
    tables = [_tables_of_lines(path) for path in (first_path, second_path)]
    found = []
    for name in sorted({*tables[0], *tables[1]}):
        ends = [_ends_at(path, known.get(name), sheet.crs, edge, tolerance)
                for path, known, sheet in ((first_path, tables[0], first), (second_path, tables[1], second))]
        count = sum(len(keys) for keys, _, _ in ends)
        if count:
            loose = [*_loose(first.source_name, ends[0], ends[1], tolerance), *_loose(second.source_name, ends[1], ends[0], tolerance)]
            found.append(EdgeChecked(first=first.source_name, second=second.source_name, table=name.upper() if name.isascii() and len(name) == 4 else name,
                                     ends=count, loose=len(loose), tolerance=tolerance, shown=tuple(loose[:MOST_ENDS])))
    return found


def _tables_of_lines(path: Path) -> dict[str, str]:
    """Names of the tables of a stored sheet that hold lines, by their name in one case."""
    return {str(name).casefold(): str(name) for name, geometry in pyogrio.list_layers(path) if geometry and "LineString" in geometry}


def _ends_at(path: Path, table: str | None, crs: str, edge: Edge, tolerance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys, places (lon, lat) and places in metres along and across the edge, of the ends of lines that lie at it but not at its corners."""
    nothing = np.empty(0, np.int64), np.empty((0, 2)), np.empty((0, 2))
    if table is None:
        return nothing
    reach = 3 * tolerance / METRES_PER_DEGREE
    box = Bounds(edge.at - reach, edge.begin, edge.at + reach, edge.end) if edge.is_meridian else Bounds(edge.begin, edge.at - reach, edge.end, edge.at + reach)
    frame = pyogrio.read_dataframe(path, layer=table, bbox=tuple(reference.transform_bounds(box, "CRS:84", crs)), columns=[], fid_as_index=True)
    if frame.empty:
        return nothing
    lines, owners = shapely.get_parts(shapely.force_2d(np.asarray(frame.geometry.values)), return_index=True)
    open_ones = ~shapely.is_closed(lines)
    lines, owners = lines[open_ones], owners[open_ones]
    ends = np.concatenate([shapely.get_point(lines, 0), shapely.get_point(lines, -1)])
    keys = np.tile(numbers_in_file(frame.index)[owners], 2)
    if not len(ends):
        return nothing
    places = shapely.get_coordinates(reference.transform_shapes(ends, crs, "CRS:84"))
    across, along = (0, 1) if edge.is_meridian else (1, 0)
    shrink = cos(radians((edge.begin + edge.end) / 2 if edge.is_meridian else edge.at))
    metres = np.column_stack([places[:, along] - edge.begin, places[:, across] - edge.at]) * METRES_PER_DEGREE
    metres[:, 1 if edge.is_meridian else 0] *= shrink
    margin = tolerance / METRES_PER_DEGREE / (1.0 if edge.is_meridian else shrink)
    here = (np.abs(metres[:, 1]) <= tolerance) & (places[:, along] > edge.begin + margin) & (places[:, along] < edge.end - margin)
    return keys[here], places[here], metres[here]


def _loose(sheet: str, own: tuple, others: tuple, tolerance: float) -> list[LooseEnd]:
    keys, places, metres = own
    if not len(keys):
        return []
    nearest = np.full(len(keys), np.inf)
    if len(others[0]):
        tree = shapely.STRtree(shapely.points(others[2]))
        (_, _), distances = tree.query_nearest(shapely.points(metres), all_matches=False, return_distance=True)
        nearest = distances
    return [
        LooseEnd(sheet=sheet, key=int(key), lon=round(float(lon), 7), lat=round(float(lat), 7),
                 nearest=round(float(distance), 2) if distance <= FARTHEST_PARTNER * tolerance else None)
        for key, (lon, lat), distance in zip(keys, places, nearest, strict=True) if distance > tolerance
    ]
