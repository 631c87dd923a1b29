"""What a delivered raster may be, and how it is opened: by the drivers named here, alone in a folder with what may lie beside it.

A header can name other files of this machine: a VRT its sources, a TIFF its overviews, an IMG the file of its pixels. So a driver is
allowed by suffix, whatever lies beside a file is looked at before GDAL sees it, and what a file still points at must lie beside it.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from weakref import WeakKeyDictionary

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from layers.delivery import companions, text_grids, text_values
from layers.delivery.text_grids import CORNER, NODE, REGISTRATIONS, TextGrid
from layers.delivery.vct import is_vct, vct_refusal
from layers.errors import LayerRejected

TIFF, IMAGINE, JPEG2000, JPEG, TEXT = "GTiff", "HFA", "JP2OpenJPEG", "JPEG", "text"

DRIVERS = {
    ".tif": TIFF, ".tiff": TIFF, ".btf": TIFF, ".img": IMAGINE, ".jp2": JPEG2000, ".j2k": JPEG2000, ".asc": TEXT, ".dem": TEXT, ".grd": TEXT,
    ".txt": TEXT, ".jpg": JPEG, ".jpeg": JPEG,
}
"""The only driver that opens a file of a suffix."""

SUFFIXES = (".tif", ".tiff", ".btf", ".img", ".jp2", ".j2k", ".asc", ".dem", ".grd")
"""What is looked for in a folder; others of `DRIVERS` are where `is_raster` says so."""

NAMES = {TIFF: "GeoTIFF", IMAGINE: "ERDAS IMAGINE", JPEG2000: "JPEG2000", JPEG: "JPEG", TEXT: "text grid"}
KINDS = "GeoTIFF, IMG, JPEG2000, NSDTF-DEM, CNSDTF-DEM or ASCII grid"

MOST_CELLS = text_grids.MOST_CELLS
MOST_BLOCK_BYTES = 512 * 2**20
"""What must be unpacked at once to read one cell."""
MOST_RATIO, RATIO_COUNTS_FROM = 2000, 256 * 2**20
"""Bytes of cells to bytes of file: deflate packs a thousand to one at its very best."""

GDAL_SETTINGS = {
    "GDAL_CACHEMAX": 64 * 2**20,                # bytes: a smaller number would be megabytes
    "GDAL_TIFF_INTERNAL_MASK": True,
    "GDAL_ERROR_ON_LIBJPEG_WARNING": True,      # else a truncated JPEG block reads as grey
    "GDAL_DISABLE_READDIR_ON_OPEN": "FALSE",    # the world file and .aux.xml lie beside the file
    "GDAL_PAM_ENABLED": True,
}

MAGIC = (
    (b"%PDF", "a PDF", "export the picture as GeoTIFF"),
    (b"PK\x03\x04", "a zip archive", "deliver it as `.zip`, or unpack it"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack it"), (b"Rar!", "a RAR archive", "unpack it"), (b"\x1f\x8b", "packed by gzip", "unpack it"),
    (b"\xff\xd8\xff", "a JPEG", "name it `.jpg` and put its world file (.jgw) beside it, or deliver a GeoTIFF"),
    (b"\x89PNG", "a PNG", "convert it to GeoTIFF, with its place"), (b"GIF8", "a GIF", "convert it to GeoTIFF, with its place"),
    (b"BM", "a bitmap (BMP)", "convert it to GeoTIFF, with its place"),
    (b"\0\0\0\x0cjP  ", "a JPEG2000", "name it `.jp2`"), (b"\xff\x4f\xff\x51", "a JPEG2000 codestream", "name it `.j2k`"),
    (b"EHFA_HEADER_TAG", "an ERDAS IMAGINE file", "name it `.img`"), (b"ERDAS_IMG_EXTERNAL", "the pixel file of an IMG", "name it `.ige` and deliver the `.img`"),
    (b"II*\0", "a TIFF", "name it `.tif`"), (b"MM\0*", "a TIFF", "name it `.tif`"), (b"II+\0", "a BigTIFF", "name it `.tif`"), (b"MM\0+", "a BigTIFF", "name it `.tif`"),
    (b"ecw", "an ECW", "convert it to GeoTIFF or JPEG2000 where its licence lies"), (b"msid", "a MrSID", "convert it to GeoTIFF or JPEG2000"),
    (b"SQLite format 3", "a database (GeoPackage or the like)", "give `--product DLG` if it holds vectors"),
    (b"\0\0\x27\x0a", "a Shapefile", "give `--product DLG`, or `--product OVERLAY`"),
    (b"CDF", "a netCDF", "convert it to GeoTIFF"), (b"\x89HDF", "an HDF5", "convert it to GeoTIFF"), (b"GRIB", "a GRIB", "convert it to GeoTIFF"),
    (b"DSAA", "a Surfer grid", "convert it to GeoTIFF"), (b"DSBB", "a Surfer grid", "convert it to GeoTIFF"), (b"DSRB", "a Surfer grid", "convert it to GeoTIFF"),
    (b"version https://git-lfs", "the pointer to a file, not the file", "fetch the file itself"),
    (b"{", "a JSON", "give the raster itself"),
)
"""How files begin that are something else than their suffix says."""

_REMARKS: WeakKeyDictionary = WeakKeyDictionary()
_TEXT_GRIDS: WeakKeyDictionary = WeakKeyDictionary()


def is_raster(path: Path) -> bool:
    """Whether a file of a folder is meant as a raster: a picture only with its world file, a text only where it begins as a grid."""
    suffix = path.suffix.lower()
    if suffix in (".jpg", ".jpeg"):
        return any(companions.is_world_file(beside) for beside in companions.beside(path))
    if suffix == ".txt":
        with path.open("rb") as file:
            return text_grids.mark_of(file.read(4096)) is not None
    return suffix in SUFFIXES


def is_tiff(path: Path) -> bool:
    with path.open("rb") as file:
        return _begins_as(TIFF, file.read(4))


@contextmanager
def opened(path: Path, *, registration: str = NODE, values: bool = True, work: Path | None = None) -> Iterator[rasterio.DatasetReader]:
    """A delivered raster, open for reading.

    Parameters
    ----------
    registration : str
        `node` or `corner`: what X0, Y0 of a text grid names.
    values : bool
        False where only the header will be asked: a text grid is not parsed then.
    work : Path, optional
        A folder on a disk with room for a text grid written as GeoTIFF; the system's folder for temporary files otherwise.

    Raises
    ------
    LayerRejected
        It is not what its suffix says or none of the kinds taken in, is damaged, points at other files, or would unpack to more than is allowed.
    """
    driver = _driver_of(path)
    with TemporaryDirectory(prefix="geoshare-", dir=work) as folder, rasterio.Env(**GDAL_SETTINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)        # told in a sentence of ours
        if driver == TEXT:
            with _opened_text(path, Path(folder), registration, values) as source:
                yield source
            return
        beside = companions.admitted(path, Path(folder))
        with _opened_alone(path, Path(folder) / path.name, driver, beside) as source:
            yield source


def remarks(source: rasterio.DatasetReader) -> tuple[str, ...]:
    """How an opened file was read, a sentence each, for its lineage."""
    return _REMARKS.get(source, ())


def kind_of(source: rasterio.DatasetReader) -> str:
    """Its driver, or the kind of its text grid."""
    grid: TextGrid | None = _TEXT_GRIDS.get(source)
    return grid.kind if grid else source.driver


def check_zone(source: rasterio.DatasetReader, declared: str | None, name: str) -> None:
    """Raises LayerRejected where a text grid's datum is not known, or its eastings belong to another zone than the CRS."""
    grid: TextGrid | None = _TEXT_GRIDS.get(source)
    if grid is None or (grid.kind == text_grids.ESRI and grid.zone is None):
        return
    text_grids.check_zone(name, grid.zone, source.crs.to_wkt() if source.crs else declared)


def unreadable(path: Path) -> LayerRejected:
    """Why a file can't be opened, by how it begins."""
    with path.open("rb") as file:
        head = file.read(4096)
    return _not_taken(path, head) or LayerRejected(path.name, f"it is not a {NAMES[_expected(path)]}", f"give a {KINDS}")


def _expected(path: Path) -> str:
    return DRIVERS.get(path.suffix.lower(), TIFF)


def _driver_of(path: Path) -> str:
    """The driver that its suffix and its first bytes agree on."""
    with path.open("rb") as file:
        head = file.read(65_536)
    driver = _expected(path)
    if path.suffix.lower() in DRIVERS and _begins_as(driver, head):
        return driver
    raise _not_taken(path, head) or LayerRejected(path.name, *_nothing_known(path, driver))


def _nothing_known(path: Path, driver: str) -> tuple[str, str]:
    if driver == TIFF:
        return "it is not a GeoTIFF", "give a GeoTIFF, for instance by `gdal_translate -of GTiff`"
    if driver == TEXT:
        return "it is not a text grid", "give NSDTF-DEM, CNSDTF-DEM or an ESRI ASCII grid"
    return f"it is not a {NAMES[driver]}", f"give a {KINDS}"


def _begins_as(driver: str, head: bytes) -> bool:
    if driver == TIFF:
        return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    if driver == IMAGINE:
        return head.startswith(b"EHFA_HEADER_TAG")
    if driver == JPEG2000:
        return head.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"))
    if driver == JPEG:
        return head.startswith(b"\xff\xd8\xff")
    return text_grids.mark_of(head) is not None


def _not_taken(path: Path, head: bytes) -> LayerRejected | None:
    """What a file is instead, or None where nothing is known of it."""
    name = path.name
    if not head:
        return LayerRejected(name, "the file is empty", "deliver it again")
    if not head.strip(b"\0"):
        return LayerRejected(name, "it begins with nothing but zeros: it was never written whole", "deliver it again")
    driver = _expected(path)
    if _begins_as(driver, head) and driver != TEXT:
        return LayerRejected(name, f"it begins like {_short(driver)} but can't be opened: it is truncated or damaged", "deliver it again")
    if is_vct(head):
        return vct_refusal(path)
    if grid := text_grids.mark_of(head):
        return LayerRejected(name, f"it is a text grid ({grid}), not what its name says", "name it `.dem`, or `.asc` if it is an ASCII grid")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] == b"<":
        return _markup(name, text)
    for magic, what, mend in MAGIC:
        if head.startswith(magic) or (magic == b"{" and text.startswith(magic)):
            is_misnamed = path.suffix.lower() in DRIVERS and "," not in what
            return LayerRejected(name, f"it is {what}{', not what its name says' if is_misnamed else ''}", mend)
    return None


def _short(driver: str) -> str:
    return "a TIFF" if driver == TIFF else f"an {NAMES[driver]} file" if driver == IMAGINE else f"a {NAMES[driver]}"


def _markup(name: str, text: bytes) -> LayerRejected:
    begin = text[:200].lower()
    if b"vrtdataset" in begin:
        return LayerRejected(name, "it is a VRT, which only points at other files, not a GeoTIFF", "deliver those files")
    if b"<html" in begin or b"<!doctype html" in begin:
        return LayerRejected(name, "it is a web page, perhaps that of a login or an error, not a GeoTIFF", "fetch the file again")
    return LayerRejected(name, "it is XML, not a GeoTIFF", "give the raster itself")


# Opening

@contextmanager
def _opened_text(path: Path, folder: Path, registration: str, values: bool) -> Iterator[rasterio.DatasetReader]:
    grid = text_grids.read_head(path, registration)
    if grid.rows * grid.columns > MOST_CELLS:
        raise _too_large(path.name, grid.columns, grid.rows)
    crs, target = companions.crs_beside(path), folder / "grid.tif"
    if values:
        text_values.write_values(path, grid, target, crs)
    else:
        text_values.write_head(grid, target, crs)
    with rasterio.open(target, driver=TIFF) as source:
        _REMARKS[source] = grid.remarks
        _TEXT_GRIDS[source] = grid
        yield source


@contextmanager
def _opened_alone(path: Path, alone: Path, driver: str, beside: "companions.Companions") -> Iterator[rasterio.DatasetReader]:
    try:
        source = rasterio.open(alone, driver=driver)
        if source.crs is None and beside.crs:
            source.close()
            companions.state_crs(alone, beside.crs)
            source = rasterio.open(alone, driver=driver)
    except RasterioError as error:
        raise unreadable(path) from error
    with source:
        _check_links(source, path.name, alone.parent)
        _check_size(source, path)
        told = beside.check(source, path.name)
        _REMARKS[source] = (*([] if driver == TIFF else [f"read as {NAMES[driver]}"]), *told)
        yield source


def _check_links(source: rasterio.DatasetReader, name: str, folder: Path) -> None:
    """Nothing may be read but the file and what was admitted beside it."""
    if source.tags(ns="OVERVIEWS"):
        raise LayerRejected(name, "it names another file as its overviews", "write it again without them, for instance by `gdal_translate`")
    for each in map(Path, source.files):
        if each.parent != folder:
            raise LayerRejected(name, "it points at a file that does not lie beside it", "deliver it in one file, for instance by `gdal_translate -of GTiff`")
        if not each.exists():
            raise LayerRejected(name, f"its pixels lie in `{each.name}`, which is missing", "deliver that file beside it")


def _check_size(source: rasterio.DatasetReader, path: Path) -> None:
    if source.width * source.height > MOST_CELLS:
        raise _too_large(path.name, source.width, source.height)
    if not source.count:
        return
    cell = sum(_bytes_of(dtype) for dtype in source.dtypes)
    rows, columns = max(source.block_shapes)
    if rows * columns * cell > MOST_BLOCK_BYTES:
        raise LayerRejected(path.name, f"its blocks of {columns:,} x {rows:,} cells are too large to be read one at a time",
                            "write it again with tiles, for instance by `gdal_translate -co TILED=YES`")
    unpacked, packed = source.width * source.height * cell, sum(Path(file).stat().st_size for file in source.files)
    if unpacked > RATIO_COUNTS_FROM and unpacked > MOST_RATIO * packed:
        raise LayerRejected(path.name, f"it says {source.width:,} x {source.height:,} cells, but its {packed:,} bytes can't hold so many", "deliver it again")


def _bytes_of(dtype: str) -> int:
    digits = "".join(filter(str.isdigit, dtype))
    return max(1, int(digits or 8) // 8)


def _too_large(name: str, width: int, height: int) -> LayerRejected:
    return LayerRejected(name, f"it has {width:,} x {height:,} cells, more than the {MOST_CELLS:,} that a sheet may have", "cut it into sheets")


__all__ = ["CORNER", "NODE", "REGISTRATIONS", "SUFFIXES", "check_zone", "is_raster", "is_tiff", "kind_of", "opened", "remarks", "unreadable"]
