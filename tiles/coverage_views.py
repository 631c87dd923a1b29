"""Which pixels a GetCoverage means, of a coverage whose grid is known: axes by name, subsets trimmed, sizes and scales worked out."""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeVar

from layers.crs import is_geographic, is_north_first, to_pyproj
from layers.model import Bounds, View
from tiles.coverage_grids import CoverageGrid, moved
from tiles.errors import RequestTooLarge
from tiles.requests import Limits, may_be_shown
from tiles.requests.wcs import OLD, GetCoverage, Trim
from tiles.requests.wcs_faults import invalid

Value = TypeVar("Value")

MOST_COUNTED = 1e15
"""Pixels to a side: a step may be so small that no number says how many they are."""

EAST, NORTH = "x", "y"
"""What an axis runs along, whatever its CRS calls it."""

OTHER_NAMES = {EAST: ("E", "EAST", "EASTING", "LONG", "LON", "LONGITUDE"), NORTH: ("N", "NORTH", "NORTHING", "LAT", "LATITUDE")}
ON_THE_GRID = {"I": EAST, "J": NORTH}
"""Columns and rows, as the grid of a description calls its axes: of sizes and scales alone."""

GEOGRAPHIC = {EAST: "Long", NORTH: "Lat"}


@lru_cache(maxsize=64)
def axis_labels(crs: str) -> tuple[str, str]:
    """The names of the axes of a CRS in its own order, as the register abbreviates them: in Gauss-Krueger X is the northing.

    >>> axis_labels("EPSG:4490"), axis_labels("EPSG:4549"), axis_labels("EPSG:3857"), axis_labels("CRS:84")
    (('Lat', 'Long'), ('X', 'Y'), ('X', 'Y'), ('Long', 'Lat'))
    """
    if is_geographic(crs):
        return (GEOGRAPHIC[NORTH], GEOGRAPHIC[EAST]) if is_north_first(crs) else (GEOGRAPHIC[EAST], GEOGRAPHIC[NORTH])
    first, second = (axis.abbrev for axis in to_pyproj(crs).axis_info)
    return first, second


@lru_cache(maxsize=64)
def _axes(crs: str) -> Mapping[str, str]:
    """What the axis of each name runs along."""
    along = (NORTH, EAST) if is_north_first(crs) else (EAST, NORTH)
    known = {name: way for way, names in OTHER_NAMES.items() for name in names}
    return known | {label.upper(): way for label, way in zip(axis_labels(crs), along, strict=True)}


def view_of(asked: GetCoverage, grid: CoverageGrid, limits: Limits) -> View:
    """The view that `asked` means.

    Raises
    ------
    RequestInvalid
        An axis, limit or scale makes no sense for this coverage.
    RequestTooLarge
        More pixels than one answer may hold.
    OutsideAreaOfUse
        The CRS asked for can't express the coverage.
    """
    view = _view_1(asked, grid) if asked.version == OLD else _view_2(asked, grid)
    if view.width * view.height > limits.max_pixels or max(view.width, view.height) > limits.max_side:
        raise invalid(
            "InvalidParameterValue", "width" if asked.version == OLD else "scalesize", "wcs-too-large", RequestTooLarge,
            width=view.width, height=view.height, most=limits.max_pixels, side=limits.max_side,
        )
    if min(view.resolution) < (1e-9 if is_geographic(view.crs) else 1e-4):
        raise invalid("InvalidParameterValue", "bbox" if asked.version == OLD else "subset", "wcs-fine")
    return view


# -- 1.0.0

def _view_1(asked: GetCoverage, grid: CoverageGrid) -> View:
    """The box as it is asked for: what lies beside the coverage holds no data."""
    target = grid.in_crs(asked.output_crs or grid.crs)
    bounds = target.bounds
    if asked.bounds is not None:
        there = asked.bounds if asked.crs == target.crs else moved(asked.bounds, asked.crs, target.crs)
        if not may_be_shown(asked.crs, asked.bounds) or there is None:
            raise invalid("InvalidParameterValue", "bbox", "wcs-far", name="BBOX", crs=asked.crs)
        bounds = there
    if asked.size:
        width, height = asked.size
        return View(crs=target.crs, bounds=bounds, width=width, height=height)
    step_x, step_y = asked.step or (target.step, target.step)
    width, height = (max(1, math.ceil(min(span / step, MOST_COUNTED) - 1e-6)) for span, step in ((bounds.width, step_x), (bounds.height, step_y)))
    return View(crs=target.crs, bounds=Bounds(bounds.left, bounds.top - height * step_y, bounds.left + width * step_x, bounds.top), width=width, height=height)


# -- 2.0.1

def _view_2(asked: GetCoverage, grid: CoverageGrid) -> View:
    """The pixels of the coverage within the subset, then as many as are asked for over the same ground."""
    target = grid.in_crs(asked.output_crs or grid.crs)
    subset_crs = asked.crs or grid.crs
    view = target.trimmed(_trimmed(asked.trims, grid, subset_crs, target))
    if view is None:
        raise _beside(grid, subset_crs)
    sizes, factors = _of_axes(asked.sizes, "SCALESIZE", target.crs), _of_axes(asked.factors, "SCALEAXES", target.crs)
    width, height = (
        sizes.get(way) or max(1, math.floor(count * factors.get(way, 1.0) + 0.5)) for way, count in ((EAST, view.width), (NORTH, view.height))
    )
    return View(crs=view.crs, bounds=view.bounds, width=width, height=height)


def _trimmed(trims: tuple[Trim, ...], grid: CoverageGrid, crs: str, target: CoverageGrid) -> Bounds:
    """The box of the subset in the CRS of the answer."""
    if not trims:
        return target.bounds
    whole = target.bounds if crs == target.crs else grid.in_crs(crs).bounds
    limits = _of_axes(tuple((trim.axis, trim) for trim in trims), "SUBSET", crs)
    (left, right), (bottom, top) = (_limits(limits.get(way), *span) for way, span in (
        (EAST, (whole.left, whole.right)), (NORTH, (whole.bottom, whole.top)),
    ))
    box = Bounds(left, bottom, right, top).intersection(whole)
    if box.left > box.right or box.bottom > box.top:
        raise _beside(grid, crs)
    return box if crs == target.crs else (moved(box, crs, target.crs) or target.bounds)


def _limits(trim: Trim | None, first: float, last: float) -> tuple[float, float]:
    if trim is None:
        return first, last
    return first if trim.low is None else trim.low, last if trim.high is None else trim.high


def _of_axes(pairs: tuple[tuple[str, Value], ...], name: str, crs: str) -> dict[str, Value]:
    """Values by what the axis runs along; one without a name holds for both."""
    found: dict[str, Value] = {}
    for label, value in pairs:
        if not label:
            return {EAST: value, NORTH: value}
        way = _axes(crs).get(label.upper()) or (ON_THE_GRID.get(label.upper()) if name != "SUBSET" else None)
        if way is None:
            raise invalid("InvalidAxisLabel", name.lower(), "wcs-axis", value=label, crs=crs, choices=_told(crs))
        if way in found:
            raise invalid("InvalidAxisLabel", name.lower(), "wcs-axis-twice", value=label, name=name)
        found[way] = value
    return found


def _told(crs: str) -> str:
    """`X (north), Y (east)`."""
    return ", ".join(f"{label} ({'north' if _axes(crs)[label.upper()] == NORTH else 'east'})" for label in axis_labels(crs))


def _beside(grid: CoverageGrid, crs: str) -> Exception:
    bounds, ways = grid.in_crs(crs).bounds, _axes(crs)
    spans = {EAST: (bounds.left, bounds.right), NORTH: (bounds.bottom, bounds.top)}
    reach = ", ".join("{}({:.9g},{:.9g})".format(label, *spans[ways[label.upper()]]) for label in axis_labels(crs))
    return invalid("InvalidSubsetting", "subset", "wcs-beside", crs=crs, reach=reach)
