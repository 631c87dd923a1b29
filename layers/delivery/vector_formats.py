"""Vector files that are taken in, known by their first bytes: an allow-list, since GDAL would follow a file that points at others."""

import sqlite3
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


def check_parts(path: Path) -> None:
    """Raises LayerRejected for a shapefile without its index: GDAL would make one up, and read what a truncated file still has as all of it."""
    if path.suffix.lower() == ".shp" and ".shx" not in {part.suffix.lower() for part in parts_of(path)}:
        raise LayerRejected(path.name, "its index (.shx) is missing", "deliver all of its parts: .shp, .shx, .dbf, .prj and, if there is one, .cpg")


def _check_database(path: Path) -> None:
    """An SQLite file is a GeoPackage by its tables; SpatiaLite and MBTiles are others."""
    try:
        with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
        database.close()
    except sqlite3.Error:
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
