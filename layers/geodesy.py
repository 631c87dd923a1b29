"""Distances on the ellipsoid, seen from one place: how far things are, which way, and what lies within so many metres.

Shapes and places are longitude and latitude (CRS84), x before y. Whatever is measured is measured along geodesics of GRS 80, never in a projection.
"""

import math

import numpy as np
import pyproj
import shapely

from layers.crs import EARTH_RADIUS
from layers.model import Bounds

ELLIPSOID = pyproj.Geod(ellps="GRS80")
"""Of CGCS2000, and to 0.1 mm that of WGS 84."""

Place = tuple[float, float]


def seen_from(place: Place, shapes: np.ndarray) -> np.ndarray:
    """(n,) shapes laid out around a place: metres east and north of it, such that every vertex has its true distance and direction.

    It is the azimuthal equidistant plane of the place. Edges are straight in it: divide those that are long before.

    >>> north = seen_from((118.8, 32.0), np.array([shapely.Point(118.8, 32.01)]))[0]
    >>> round(north.x, 3), round(north.y, 3)
    (0.0, 1108.869)
    """
    lon, lat = place

    def laid(points: np.ndarray) -> np.ndarray:
        azimuth, _, metres = ELLIPSOID.inv(np.full(len(points), lon), np.full(len(points), lat), points[:, 0], points[:, 1])
        turned = np.radians(azimuth)
        return np.column_stack([metres * np.sin(turned), metres * np.cos(turned)])

    return shapely.transform(shapely.force_2d(shapes), laid)


def gone_from(place: Place, points: np.ndarray) -> np.ndarray:
    """(n, 2) longitudes and latitudes of what lies so many metres east and north of a place, in its plane."""
    east, north = points[:, 0], points[:, 1]
    lon, lat, _ = ELLIPSOID.fwd(
        np.full(len(points), place[0]), np.full(len(points), place[1]), np.degrees(np.arctan2(east, north)), np.hypot(east, north),
    )
    return np.column_stack([lon, lat])


def azimuths(points: np.ndarray) -> np.ndarray:
    """Degrees clockwise from north, 0 to 360, of (n, 2) metres east and north."""
    return np.degrees(np.arctan2(points[:, 0], points[:, 1])) % 360.0


def box_around(place: Place, metres: float) -> Bounds:
    """A box in which everything within so many metres lies, and a little more. It ends at the poles and at the antimeridian.

    >>> box_around((118.8, 32.0), 1000).rounded(3)
    Bounds(left=118.789, bottom=31.991, right=118.811, top=32.009)
    """
    lon, lat = place
    height = math.degrees(metres / EARTH_RADIUS) * 1.01
    highest = abs(lat) + height
    width = height / math.cos(math.radians(highest)) if highest < 89 else 360.0
    return Bounds(max(lon - width, -180.0), max(lat - height, -90.0), min(lon + width, 180.0), min(lat + height, 90.0))
