"""What is told of features, spelt as GeoJSON: all shapes of a page at once, since one by one they cost more than reading them does."""

from collections.abc import Sequence

import numpy as np
import orjson
import shapely

from layers.crs import LONGEST_EDGE_DEGREES, LONGEST_EDGE_METRES, densify, is_geographic, is_north_first, transform_shapes
from tiles.vector.granted import Told

DIGITS_OF_DEGREES, DIGITS_OF_METRES, DIGITS_OF_HEIGHT = 8, 3, 3
"""About a millimetre."""


def in_crs(shapes: np.ndarray, source: str, target: str) -> np.ndarray:
    """Shapes in another CRS, x before y, rounded to a millimetre; long edges are divided first, so that they bend as the ground does.

    Raises
    ------
    OutsideAreaOfUse
        `target` can't express a vertex.
    """
    if source == target:
        return rounded(shapes, target)
    shapes = transform_shapes(_bendable(shapes, source), source, target, digits=_digits(target))
    return rounded(shapes, target) if shapely.has_z(shapes).any() else shapes


def _digits(crs: str) -> int:
    return DIGITS_OF_DEGREES if is_geographic(crs) else DIGITS_OF_METRES


def _bendable(shapes: np.ndarray, crs: str) -> np.ndarray:
    """With long edges divided: only a shape as large as such an edge can have one."""
    left, bottom, right, top = shapely.bounds(shapes).T
    large = np.hypot(right - left, top - bottom) > (LONGEST_EDGE_DEGREES if is_geographic(crs) else LONGEST_EDGE_METRES)
    if not large.any():
        return shapes
    found = shapes.copy()
    found[large] = densify(shapes[large], crs)
    return found


def rounded(shapes: np.ndarray, crs: str) -> np.ndarray:
    digits, has_z = _digits(crs), shapely.has_z(shapes)
    if not has_z.any():
        return shapely.transform(shapes, lambda points: points.round(digits))
    found = shapes.copy()
    found[~has_z] = shapely.transform(shapes[~has_z], lambda points: points.round(digits))
    found[has_z] = shapely.transform(
        shapes[has_z], lambda points: np.column_stack([points[:, :2].round(digits), np.nan_to_num(points[:, 2]).round(DIGITS_OF_HEIGHT)]), include_z=True,
    )
    return found


def spelt(shapes: np.ndarray, crs: str) -> list[bytes]:
    """Each shape as GeoJSON, rings turned as RFC 7946 wants them, axes in the order of the CRS."""
    return [text.encode() for text in _texts(shapes, crs)]


def _texts(shapes: np.ndarray, crs: str) -> list[str]:
    shapes = _turned(shapes)
    if is_north_first(crs):
        has_z = shapely.has_z(shapes)
        shapes = shapes.copy()
        shapes[~has_z] = shapely.transform(shapes[~has_z], lambda points: points[:, ::-1])
        shapes[has_z] = shapely.transform(shapes[has_z], lambda points: points[:, [1, 0, 2]], include_z=True)
    return shapely.to_geojson(shapes).tolist()


POLYGON = 3


def _turned(shapes: np.ndarray) -> np.ndarray:
    """Outer rings counter-clockwise, inner ones clockwise. Most polygons are plain and turned one way, which is quickly seen."""
    areas = np.flatnonzero(shapely.get_dimensions(shapes) == 2)
    if not len(areas):
        return shapes
    found = shapes.copy()
    plain = (shapely.get_type_id(found[areas]) == POLYGON) & (shapely.get_num_interior_rings(found[areas]) == 0)
    single, others = areas[plain], areas[~plain]
    wrong = single[~shapely.is_ccw(shapely.get_exterior_ring(found[single]))]
    found[wrong] = shapely.reverse(found[wrong])
    found[others] = shapely.orient_polygons(found[others])
    return found


def features(some: Told, ids: Sequence[str], source: str, target: str) -> list[str]:
    """Features as they are written, each in one piece: objects that live only to be written cost as much again."""
    shapes = _texts(in_crs(some.shapes, source, target), target)
    names = list(some.columns)
    rows = zip(*some.columns.values(), strict=True) if names else [()] * len(some)
    spell = orjson.dumps
    return [
        f'{{"type":"Feature","id":"{name}","geometry":{shape},"properties":{spell(dict(zip(names, row, strict=True))).decode()}}}'
        for name, shape, row in zip(ids, shapes, rows, strict=True)
    ]


def places(shapes: np.ndarray, crs: str) -> tuple[tuple[float, float], ...]:
    """One place on each shape, CRS84: the ground on which it counts."""
    dimensions = shapely.get_dimensions(shapes)
    found = shapely.point_on_surface(shapes)
    lines = dimensions == 1
    found[lines] = shapely.line_interpolate_point(shapely.get_geometry(shapes[lines], 0), 0.5, normalized=True)
    return tuple(map(tuple, shapely.get_coordinates(transform_shapes(found, crs, "CRS:84")).tolist()))
