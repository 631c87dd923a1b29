"""Shapes for small scales: fewer vertices, and no areas that are too small to be seen. Pure: arrays in, arrays out.

What is left out by its class is for whoever knows the styles to say (`tiles.drawing_copy`). Lines are never left out, however short: a road of a thousand
pieces is still a road.
"""

import numpy as np
import shapely

TOLERANCE = 0.35
"""Pixels by which a simplified line may run beside the real one."""

LEAST_AREA = 0.25
"""Square pixels below which an area is left out."""


def generalised(shapes: np.ndarray, pixel: float) -> tuple[np.ndarray, np.ndarray]:
    """Shapes as they need to be where a pixel is so wide, and which of the given ones they are.

    Parameters
    ----------
    shapes : array (n,) of shapely geometries
        All points, all lines or all areas; None and empty ones are left out.
    pixel : float
        Side of the finest pixel that will be drawn of them, in units of the shapes' CRS.

    Returns
    -------
    shapes : array (m,) of shapely geometries, without Z
    kept : array (m,) of int
        Positions among the given ones, ascending.

    Source: Douglas and Peucker 1973, by GEOS; neighbours may part by twice the tolerance, less than a pixel.

    >>> shapes, kept = generalised(shapely.from_wkt(["LINESTRING (0 0, 5 0.1, 10 0)", "LINESTRING (0 0, 5 40, 10 0)"]), 10.0)
    >>> shapely.to_wkt(shapes).tolist(), kept.tolist()
    (['LINESTRING (0 0, 10 0)', 'LINESTRING (0 0, 5 40, 10 0)'], [0, 1])
    """
    kept = np.flatnonzero(~(shapely.is_missing(shapes) | shapely.is_empty(shapes)))
    found = shapely.force_2d(shapes[kept])
    if not len(found) or shapely.get_dimensions(found[0]) == 0:
        return found, kept
    if shapely.get_dimensions(found[0]) == 2:
        seen = shapely.area(found) >= LEAST_AREA * pixel * pixel
        found, kept = found[seen], kept[seen]
    simple = shapely.simplify(found, TOLERANCE * pixel, preserve_topology=False)
    lost = shapely.is_empty(simple)                      # an area hardly wider than the tolerance stays as it is
    return np.where(lost, found, simple), kept
