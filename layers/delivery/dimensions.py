"""What the store can't hold of a delivered table's geometry: arcs, which are made of straight pieces, and M, which is left out. Z is kept.

GDAL does both without a word when it hands geometries over, so that the file is asked before.
"""

import sqlite3
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from layers.delivery import geodatabases
from layers.delivery.vector_formats import FLATGEOBUF, GEODATABASE, GEOPACKAGE, SHAPEFILE

STEP_DEGREES = 0.5
"""Of an arc between two vertices: a chord lies within 1e-5 of the radius then, 1 cm on an arc of 1 km."""

CURVES = ("CIRCULARSTRING", "COMPOUNDCURVE", "CURVEPOLYGON", "MULTICURVE", "MULTISURFACE", "CURVE", "SURFACE")
STRAIGHT = ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon")
NO_VALUE = -1e38
"""Measures below it are none (ESRI)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """Delivered ids of the features that have arcs, and whether vertices have M."""

    curved: tuple[int, ...]
    has_measures: bool


@contextmanager
def fine_arcs() -> Iterator[None]:
    """While it lasts, GDAL makes arcs of straight pieces of `STEP_DEGREES`; four degrees else."""
    before = pyogrio.get_gdal_config_option("OGR_ARC_STEPSIZE")
    pyogrio.set_gdal_config_options({"OGR_ARC_STEPSIZE": str(STEP_DEGREES)})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_ARC_STEPSIZE": before})


def beyond_of(path: Path, driver: str, layer: str, geometry_type: str) -> Beyond:
    """What reading a table will lose.

    Parameters
    ----------
    path : Path
        Where GDAL may open it.
    geometry_type : str
        As pyogrio lists it: arcs are looked for where the type leaves room for them, and in every geodatabase, whose types never tell.
    """
    plain = geometry_type.removeprefix("2.5D ").removesuffix(" Z")
    may_curve = driver in (GEOPACKAGE, GEODATABASE, FLATGEOBUF) and (plain not in STRAIGHT or driver == GEODATABASE) and "Point" not in plain
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Beyond(curved=_curved(path, layer) if may_curve else (), has_measures=_has_measures(path, driver, layer))


def _curved(path: Path, layer: str) -> tuple[int, ...]:
    names = ", ".join(f"'{name}'" for name in CURVES)
    quoted = layer.replace('"', '\\"')
    try:
        found = pyogrio.read_dataframe(path, sql=f'SELECT FID AS found FROM "{quoted}" WHERE OGR_GEOMETRY IN ({names})', sql_dialect="OGRSQL", read_geometry=False)
    except (DataSourceError, DataLayerError):
        return ()                                   # damaged: told by who reads it
    return tuple(int(number) for number in found["found"])


def _has_measures(path: Path, driver: str, layer: str) -> bool:
    if driver == GEOPACKAGE:
        return _in_a_geopackage(path, layer)
    if driver == SHAPEFILE:
        return _in_a_shapefile(path)
    if driver == FLATGEOBUF:
        return _in_a_flatgeobuf(path)
    return driver == GEODATABASE and _in_a_geodatabase(path, layer)


def _in_a_geopackage(path: Path, layer: str) -> bool:
    try:
        with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True) as database:
            found = database.execute("SELECT m FROM gpkg_geometry_columns WHERE table_name = ?", (layer,)).fetchone()
        database.close()
    except (sqlite3.Error, UnicodeDecodeError):
        return False
    return found is not None and found[0] == 1      # 2 (may have) says nothing


def _in_a_shapefile(path: Path) -> bool:
    """By the kind of shapes, or, of shapes with Z, by the range of M. Source: ESRI shapefile technical description (1998)."""
    with path.open("rb") as file:
        head = file.read(100)
    if len(head) < 100:
        return False
    kind, (low, high) = struct.unpack("<i", head[32:36])[0], struct.unpack("<2d", head[84:100])
    return kind in (21, 23, 25, 28) or (kind in (11, 13, 15, 18) and NO_VALUE < low < high)


def _in_a_flatgeobuf(path: Path) -> bool:
    """The fifth field of the header, a table of FlatBuffers. Source: flatgeobuf header.fbs, version 3."""
    with path.open("rb") as file:
        head = file.read(4096)
    try:
        table = 12 + struct.unpack_from("<I", head, 12)[0]
        fields = table - struct.unpack_from("<i", head, table)[0]
        size, place = struct.unpack_from("<H", head, fields)[0], 4 + 2 * 4
        offset = struct.unpack_from("<H", head, fields + place)[0] if place < size else 0
        return bool(offset) and head[table + offset] == 1
    except (struct.error, IndexError):
        return False


def _in_a_geodatabase(path: Path, layer: str) -> bool:
    try:
        found = pyogrio.read_dataframe(path, sql=f"GetLayerDefinition {layer}", read_geometry=False)
    except (DataSourceError, DataLayerError):
        return False
    return bool(len(found)) and geodatabases.has_measures(str(found.iloc[0, 0]))
