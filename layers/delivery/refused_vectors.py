"""Vector files that are not taken in: what each is, why not, and the way out. Known by how they begin, or, where that says nothing, by their suffix.

A file of these is never opened by GDAL: most name other files, or run to formats without a CRS, without attributes, or without a public description.
"""

from dataclasses import dataclass
from pathlib import Path

from layers.delivery.vct import is_vct, vct_refusal
from layers.errors import LayerRejected

HEAD_BYTES = 65_536
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""Of old Office files, and of DGN V8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a file is, and how to come to one that is taken: as words of a sentence, `it is {what}`."""

    what: str
    mend: str

    def of(self, name: str) -> LayerRejected:
        return LayerRejected(name, f"it is {self.what}", self.mend)


CAD = "export each class with its attributes as GeoPackage from the drawing program, and say its CRS"
CONVERT = "convert it with its CRS and encoding, for instance by `ogr2ogr -f GPKG`"

DXF = Refusal(what="a DXF drawing: it states no CRS and its features have no attributes", mend=CAD)
DWG = Refusal(what="a DWG drawing: a closed format without CRS and attributes", mend=CAD)
DGN = Refusal(what="a DGN drawing: it states no CRS and its features have no attributes", mend=CAD)
KML = Refusal(what="a KML: untyped texts for a globe viewer, often shifted (GCJ-02)", mend="deliver the data that it was made of, in CGCS2000")
KMZ = Refusal(what="a KMZ, a packed KML: untyped texts for a globe viewer, often shifted (GCJ-02)", mend="deliver the data that it was made of, in CGCS2000")
MIF = Refusal(what="a MapInfo MIF: its datum is spelled by numbers that no register holds", mend=CONVERT)
TAB = Refusal(what="a MapInfo TAB: its datum is spelled by numbers that no register holds", mend=CONVERT)
MDB = Refusal(what="a personal geodatabase (Access)", mend="export it as file geodatabase (.gdb) or GeoPackage")
GML = Refusal(what="a GML: its schema lies elsewhere, and is not fetched", mend=CONVERT)
E00 = Refusal(what="an ArcInfo export (E00)", mend=CONVERT)
GPX = Refusal(what="a GPX: tracks in WGS 84, not a surveyed map", mend="register it as an overlay after converting it to GeoPackage")
OSM = Refusal(what="an OpenStreetMap extract: its classes are in tags", mend="sort it into classes and deliver them as GeoPackage")
PARQUET = Refusal(what="a GeoParquet", mend=CONVERT)
MAPGIS = Refusal(what="a MapGIS file: a closed format", mend="export it as Shapefile or GeoPackage from MapGIS")
SUPERMAP = Refusal(what="a SuperMap data source: a closed format", mend="export it as Shapefile or GeoPackage from SuperMap")
LAS = Refusal(what="a cloud of points (LAS)", mend="deliver the DEM that is made of it, as `--product DEM`")
IFC = Refusal(what="a building model (IFC)", mend="deliver the footprints of buildings as GeoPackage")
TABLE = Refusal(what="a table alone, without geometry", mend="register it as an overlay by its columns of coordinates or division codes, or deliver the features with these attributes")
GZIPPED = Refusal(what="packed by gzip", mend="unpack it")
PICTURE = Refusal(what="a raster, not vectors", mend="give `--product DOM` or `--product DEM`")
PDF = Refusal(what="a PDF: a picture of a map, not its features", mend="deliver the features as GeoPackage")
OLD_OFFICE = Refusal(what="a file of old Office or a DGN V8 drawing", mend=CAD)
ARCHIVE = Refusal(what="an archive", mend="deliver it as `.zip`, or unpack it")
LFS = Refusal(what="the pointer to a file, not the file", mend="fetch the file itself")
WEB_PAGE = Refusal(what="a web page, perhaps that of a login or an error", mend="fetch the file again")
PROJECT = Refusal(what="a project that only points at data", mend="deliver those files")
LOOSE_PART = Refusal(what="a part of a shapefile whose .shp is missing", mend="deliver all of its parts: .shp, .shx, .dbf, .prj and, if there is one, .cpg")

BY_HEAD = (
    (b"AC10", DWG), (b"AutoCAD Binary DXF", DXF), (b"\x08\x09\xfe\x02", DGN), (b"\xc8\x09\xfe\x02", DGN),
    (b"\x00\x01\x00\x00Standard Jet DB", MDB), (b"\x00\x01\x00\x00Standard ACE DB", MDB), (b"EXP  0", E00), (b"EXP  1", E00),
    (b"PAR1", PARQUET), (b"WMAP", MAPGIS), (b"LASF", LAS), (b"ISO-10303-21", IFC), (b"!table", TAB), (b"%PDF", PDF), (b"\x1f\x8b", GZIPPED),
    (b"7z\xbc\xaf", ARCHIVE), (b"Rar!", ARCHIVE), (b"II*\0", PICTURE), (b"MM\0*", PICTURE), (b"II+\0", PICTURE), (b"\xff\xd8\xff", PICTURE), (b"\x89PNG", PICTURE),
    (b"version https://git-lfs", LFS),
)
BY_MARKUP = (
    (b"<kml", KML), (b"<gpx", GPX), (b"<osm", OSM), (b"<qgis", PROJECT), (b"<ogrvrtdatasource", PROJECT), (b"<html", WEB_PAGE), (b"<!doctype html", WEB_PAGE),
    (b"gml", GML), (b"featurecollection", GML),
)
BY_SUFFIX = {
    ".dxf": DXF, ".dwg": DWG, ".dgn": DGN, ".kml": KML, ".kmz": KMZ, ".mif": MIF, ".tab": TAB, ".mdb": MDB, ".accdb": MDB, ".gml": GML, ".e00": E00,
    ".gpx": GPX, ".osm": OSM, ".pbf": OSM, ".parquet": PARQUET, ".wl": MAPGIS, ".wp": MAPGIS, ".wt": MAPGIS, ".udb": SUPERMAP, ".udbx": SUPERMAP,
    ".las": LAS, ".laz": LAS, ".ifc": IFC, ".csv": TABLE, ".xlsx": TABLE, ".xls": TABLE, ".mxd": PROJECT, ".qgz": PROJECT, ".qgs": PROJECT,
}
"""Whatever they hold; a `.dbf` or `.shx` is one only where its `.shp` is missing."""

SUFFIXES = (*BY_SUFFIX, ".vct", ".dbf")


def refusal_of(path: Path) -> LayerRejected | None:
    """Why a file is not taken in; None where nothing is known against it."""
    suffix = path.suffix.lower()
    if suffix in (".dbf", ".shx"):
        has_shape = any(beside.suffix.lower() == ".shp" and beside.stem.lower() == path.stem.lower() for beside in path.parent.iterdir())
        return None if has_shape else LOOSE_PART.of(path.name)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        return LayerRejected(path.name, "the file is empty", "deliver it again")
    if not head.strip(b"\0"):
        return LayerRejected(path.name, "it begins with nothing but zeros: it was never written whole", "deliver it again")
    if is_vct(head):
        return vct_refusal(path)
    found = _by_head(head) or BY_SUFFIX.get(suffix) or _by_text(head)
    return found.of(path.name) if found else None


def _by_head(head: bytes) -> Refusal | None:
    return next((refusal for begin, refusal in BY_HEAD if head.startswith(begin)), None)


def _by_text(head: bytes) -> Refusal | None:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:2000].lower()
    if text.startswith(b"<"):
        return next((refusal for tag, refusal in BY_MARKUP if tag in text), None)
    if text.split()[:2] == [b"0", b"section"]:
        return DXF
    if head.startswith(OLE):
        return OLD_OFFICE
    if text.startswith(b"version") and b"columns" in text:
        return MIF
    return None
