"""Shapes of a contributed table: repeated, beyond the agreed ground, overlapping, with holes among them, with ends that nearly meet.

All is measured in metres (`Contents.in_metres`) and told in CRS84. What was repaired on the way in is told by who did it.
"""

from collections.abc import Iterator

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geoserver_app.giving.contents import Contents
from geoserver_app.giving.declared import DeclaredTable
from geoserver_app.giving.findings import Finding, Severity, finding

ERROR, WARNING = Severity.ERROR, Severity.WARNING

WIDEST_HOLE = 100.0
"""A hole of so many tolerances across at most is a fault of drawing; a wider one is left out on purpose, and only told."""

SAME_PLACE = 1e-4
"""Metres: ends nearer than this meet."""


def check_topology(contents: Contents, declared: DeclaredTable, agreed: BaseGeometry | None) -> Iterator[Finding]:
    """`agreed` is the ground of the agreement in CRS84; None is everywhere."""
    if not len(contents):
        return
    key = declared.key
    yield from _repeated(contents, key)
    if agreed is not None:
        yield from _outside(contents, key, agreed)
    if contents.kind == "area" and declared.topology.covers:
        yield from _overlaps(contents, key, declared.topology.tolerance)
        yield from _holes(contents, declared.topology.tolerance)
    if contents.kind == "line" and declared.topology.network:
        yield from _dangles(contents, key, declared.topology.tolerance)


def _repeated(contents: Contents, key: str | None) -> Iterator[Finding]:
    """The same shape twice, from whichever point it was drawn."""
    plain = shapely.to_wkb(shapely.normalize(shapely.set_precision(contents.in_metres, 0.001, mode="pointwise")))
    _, which, counts = np.unique(plain, return_inverse=True, return_counts=True)
    positions = np.flatnonzero(counts[which.ravel()] > 1)
    if len(positions):
        yield finding("given-same-shape", ERROR, contents.name, contents.names_of(positions, key), contents.in_degrees[positions[:400]])


def _outside(contents: Contents, key: str | None, agreed: BaseGeometry) -> Iterator[Finding]:
    shapely.prepare(agreed)
    shapes = contents.in_degrees
    touches = shapely.intersects(agreed, shapes)
    within = np.zeros(len(shapes), bool)
    within[touches] = shapely.covers(agreed, shapes[touches])
    for code, severity, chosen in (("given-outside", ERROR, ~touches), ("given-partly-outside", WARNING, touches & ~within)):
        positions = np.flatnonzero(chosen)
        if len(positions):
            yield finding(code, severity, contents.name, contents.names_of(positions, key), shapes[positions[:400]])


def _overlaps(contents: Contents, key: str | None, tolerance: float) -> Iterator[Finding]:
    """Wider than the tolerance: neighbours whose common border was drawn twice overlap by slivers of less."""
    shapes = contents.in_metres
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pairs = first < second
    first, second = first[pairs], second[pairs]
    if not len(first):
        return
    common = shapely.intersection(shapes[first], shapes[second])
    wide = shapely.area(common) > tolerance * tolerance
    wide[wide] = ~shapely.is_empty(shapely.buffer(common[wide], -tolerance / 2, quad_segs=1))        # something is left without its seam
    if wide.any():
        names, others = contents.names_of(first[wide], key), contents.names_of(second[wide], key)
        told = [f"{one} / {other}" for one, other in zip(names, others, strict=True)]
        area = float(shapely.area(common[wide]).sum())
        yield finding("given-overlap", ERROR, contents.name, told, _areas(contents.to_degrees(common[wide][:400])), area=f"{area:,.1f}", tolerance=f"{tolerance:g}")


def _holes(contents: Contents, tolerance: float) -> Iterator[Finding]:
    whole = shapely.union_all(contents.in_metres)
    holes = [shapely.polygons(ring) for part in shapely.get_parts(whole) for ring in part.interiors]
    slivers, wide = [], []
    for hole in holes:
        if shapely.area(hole) <= tolerance * tolerance:
            continue
        (slivers if shapely.is_empty(shapely.buffer(hole, -tolerance * WIDEST_HOLE / 2, quad_segs=1)) else wide).append(hole)
    for code, severity, found in (("given-gap", ERROR, slivers), ("given-hole", WARNING, wide)):
        if found:
            area = float(sum(shapely.area(one) for one in found))
            yield Finding(
                code=code, severity=severity, table=contents.name, count=len(found), detail={"area": f"{area:,.1f}", "tolerance": f"{tolerance:g}"},
                shapes=tuple(contents.to_degrees(found[:400])),
            )


def _dangles(contents: Contents, key: str | None, tolerance: float) -> Iterator[Finding]:
    """Ends of lines that come as near as the tolerance to another line and do not reach it."""
    parts, owners = shapely.get_parts(contents.in_metres, return_index=True)
    ends = np.concatenate([shapely.get_point(parts, 0), shapely.get_point(parts, -1)])
    whose = np.concatenate([np.arange(len(parts)), np.arange(len(parts))])
    tree = shapely.STRtree(parts)
    end, near = tree.query(ends, predicate="dwithin", distance=tolerance)
    others = near != whose[end]
    end, near = end[others], near[others]
    apart = shapely.distance(ends[end], parts[near])
    meets = np.zeros(len(ends), bool)
    meets[end[apart <= SAME_PLACE]] = True
    loose = np.unique(end[(apart > SAME_PLACE) & ~meets[end]])
    if len(loose):
        positions = owners[whose[loose]]
        shapes = contents.to_degrees(ends[loose][:400])
        yield finding("given-dangle", ERROR, contents.name, contents.names_of(positions, key), shapes, tolerance=f"{tolerance:g}")


def _areas(shapes: np.ndarray) -> list[BaseGeometry]:
    """Of intersections, what has an area: borders that meet elsewhere are no overlap."""
    return [shapely.union_all([part for part in shapely.get_parts(one) if part.geom_type == "Polygon"]) for one in shapes]
