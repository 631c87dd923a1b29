"""Vector files that are taken in, known by their first bytes: an allow-list, since GDAL would follow a file that points at others."""

import json
import sqlite3
import struct
from pathlib import Path

from layers.delivery import geodatabases
from layers.delivery.refused_vectors import refusal_of
from layers.errors import LayerRejected

GEOPACKAGE, SHAPEFILE, GEOJSON, FLATGEOBUF, GEODATABASE = "GPKG", "ESRI Shapefile", "GeoJSON", "FlatGeobuf", "OpenFileGDB"

SUFFIXES = (".gpkg", ".shp", ".geojson", ".json", ".fgb", geodatabases.SUFFIX)
NAMES_ITS_TABLES = (GEOPACKAGE, GEODATABASE)
"""Tables of others are called like their file."""

SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
HEAD_BYTES = 65_536
SHAPE_HEAD = 100
MOST_JSON_BYTES = 32 * 2**20
"""Beyond it a GeoJSON is not parsed a second time to count its members."""
TAKEN = "a GeoPackage, Shapefile, file geodatabase, FlatGeobuf or GeoJSON"


def driver_of(path: Path) -> str:
    """GDAL's driver for a delivered file or geodatabase. Raises LayerRejected, which says what it is instead and the way out."""
    if path.is_dir():
        if not geodatabases.is_geodatabase(path):
            raise LayerRejected(path.name, "it is a folder, not a file", "name the right folder")
        geodatabases.members(path)
        return GEODATABASE
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(b"SQLite format 3\0"):
        _check_database(path)
        return GEOPACKAGE
    if head.startswith(b"\0\0\x27\x0a"):
        return SHAPEFILE
    if head.startswith(b"fgb\x03fgb"):
        return FLATGEOBUF
    if head.startswith(b"fgb"):
        raise LayerRejected(path.name, "it is a FlatGeobuf of an old version", "write it again with version 3, for instance by `ogr2ogr`")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        _check_json(path, head)
        return GEOJSON
    raise refusal_of(path) or LayerRejected(path.name, f"it is not {TAKEN}", "convert it, for instance by `ogr2ogr -f GPKG`")


def parts_of(path: Path) -> tuple[Path, ...]:
    """The files that make up one data set: a shapefile and a geodatabase have several."""
    if geodatabases.is_geodatabase(path):
        return geodatabases.members(path)
    if path.suffix.lower() != ".shp":
        return (path,)
    siblings = {sibling.suffix.lower(): sibling for sibling in path.parent.iterdir() if sibling.stem.lower() == path.stem.lower()}
    return tuple(siblings[suffix] for suffix in SHAPEFILE_PARTS if suffix in siblings)


def members_of_json(path: Path) -> int | None:
    """How many members a GeoJSON's collection has, whatever they are: GDAL passes over what is no feature. None where it is no collection or very large."""
    if path.stat().st_size > MOST_JSON_BYTES:
        return None
    try:
        whole = json.loads(path.read_bytes().decode("utf-8-sig", "replace"), strict=False)
    except (ValueError, RecursionError):
        return None
    members = whole.get("features") if isinstance(whole, dict) else None
    return len(members) if isinstance(members, list) else None


def check_parts(path: Path) -> None:
    """Whether the parts of a shapefile are there and whole, and speak of as many features: GDAL reads what there is as all of it.

    Raises LayerRejected. Source: ESRI shapefile technical description (1998), main file and index header; dBASE III+ file structure.
    """
    if path.suffix.lower() != ".shp":
        return
    parts = {part.suffix.lower(): part for part in parts_of(path)}
    if ".shx" not in parts:
        raise LayerRejected(path.name, "its index (.shx) is missing", "deliver all of its parts: .shp, .shx, .dbf, .prj and, if there is one, .cpg")
    for suffix in (".shp", ".shx"):
        words = struct.unpack(">i", _head(parts[suffix])[24:28])[0]
        if 2 * words > parts[suffix].stat().st_size:
            raise _truncated(path, parts[suffix])
    shapes = (parts[".shx"].stat().st_size - SHAPE_HEAD) // 8
    if ".dbf" not in parts:
        return
    records, head_size, record_size = struct.unpack("<IHH", _head(parts[".dbf"])[4:12])
    if head_size + records * record_size > parts[".dbf"].stat().st_size:
        raise _truncated(path, parts[".dbf"])
    if records != shapes:
        raise LayerRejected(path.name, f"it has {shapes:,} shapes, but {records:,} rows of attributes", "deliver all of its parts as they were written together")


def _head(part: Path) -> bytes:
    with part.open("rb") as file:
        return file.read(SHAPE_HEAD).ljust(SHAPE_HEAD, b"\0")


def _truncated(path: Path, part: Path) -> LayerRejected:
    return LayerRejected(path.name, f"its part `{part.suffix}` is shorter than its head says: it is truncated", "deliver it again")


def _check_database(path: Path) -> None:
    """An SQLite file is a GeoPackage by its tables; SpatiaLite and MBTiles are others."""
    try:
        with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True) as database:
            database.text_factory = lambda name: name.decode(errors="replace")
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
        database.close()
    except (sqlite3.Error, UnicodeDecodeError):
        return                                      # damaged: told by who reads it
    if "gpkg_contents" not in tables:
        what = "tiles (MBTiles)" if "tiles" in tables else "a SpatiaLite database" if "spatial_ref_sys" in tables else "a database (SQLite)"
        raise LayerRejected(path.name, f"it is {what}, not a GeoPackage", "convert it, for instance by `ogr2ogr -f GPKG`")


def _check_json(path: Path, head: bytes) -> None:
    if b'"UTF8Encoding"' in head or b'"encodeOffsets"' in head:
        raise LayerRejected(
            path.name, "it is an ECharts map, not GeoJSON: its coordinates are packed text (encodeOffsets), and shifted (GCJ-02)",
            "take the boundaries from a source in CGCS2000",
        )
    if b'"Topology"' in head[:2000]:
        raise LayerRejected(path.name, "it is TopoJSON, not GeoJSON", "convert it, for instance by `ogr2ogr -f GPKG`")
    if b'"esriGeometry' in head[:2000] or b'"geometryType"' in head[:2000]:
        raise LayerRejected(path.name, "it is the JSON of an ArcGIS service, not GeoJSON", "ask the service for `f=geojson`, or convert it by `ogr2ogr -f GPKG`")
