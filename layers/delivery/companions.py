"""What may lie beside a delivered raster: its world file, its .prj, its .aux.xml, its mask, the pixels of an IMG. All else is not seen.

GDAL would follow any of them anywhere. So a file is opened in a folder of its own, where a link to it stands beside those companions that
were looked at: world files and .aux.xml are written anew with what they say of place and meaning, and with nothing else.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import rasterio
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.transform import Affine

from layers.delivery.text_grids import text_of
from layers.errors import LayerRejected

WORLD = {
    ".tif": (".tfw", ".tfwx", ".tifw", ".wld"), ".tiff": (".tfw", ".tfwx", ".tiffw", ".wld"), ".btf": (".tfw", ".wld"),
    ".jpg": (".jgw", ".jpgw", ".wld"), ".jpeg": (".jgw", ".jpegw", ".wld"), ".jp2": (".j2w", ".jgw", ".wld"), ".j2k": (".j2w", ".wld"),
    ".img": (".igw", ".wld"),
}
MOST_BYTES = 2**20
PAM_OF_DATASET = ("SRS", "GeoTransform", "GCPList")
PAM_OF_BAND = ("NoDataValue", "UnitType", "Offset", "Scale", "ColorInterp", "ColorTable")
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Companions:
    """What was found beside a file and admitted: the world file's name and grid, the CRS of the .prj."""

    world: str | None
    grid: Affine | None
    crs: str | None

    def check(self, source: rasterio.DatasetReader, name: str) -> tuple[str, ...]:
        """Sentences on how the file was placed. Raises LayerRejected where its own grid and its world file differ by more than half a cell."""
        told = (["its CRS is that of the .prj beside it"] if self.crs and source.crs else [])
        if self.grid is None:
            return tuple(told)
        own = source.transform
        if own.is_identity:
            return tuple(told)
        across, along = abs(own.c - self.grid.c) / abs(own.a or 1), abs(own.f - self.grid.f) / abs(own.e or 1)
        sizes = abs(own.a - self.grid.a) * source.width / abs(own.a or 1), abs(own.e - self.grid.e) * source.height / abs(own.e or 1)
        if max(across, along) < 0.01 and max(sizes) < 0.5:
            return (*told, f"its world file `{self.world}` was there")
        if max(across, along) < 0.6 and max(sizes) < 0.5:
            return (*told, f"warning: its own grid and the world file `{self.world}` differ by half a cell: its own was taken")
        raise LayerRejected(
            name, f"its own grid begins at {own.c:.2f} {own.f:.2f} with cells of {own.a:g}, its world file `{self.world}` "
            f"at {self.grid.c:.2f} {self.grid.f:.2f} with cells of {self.grid.a:g}", "remove the one that is wrong")


def beside(path: Path) -> list[Path]:
    """The companions that lie beside a raster, whatever the case of their suffix: what else than the file itself decides what it says."""
    suffixes = (*WORLD.get(path.suffix.lower(), ()), ".prj", ".aux.xml")
    names = [path.stem + suffix for suffix in suffixes] + [path.name + ".aux.xml", path.name + ".msk"]
    if path.suffix.lower() == ".img":
        names.append(path.stem + ".ige")
    found, folder = [], path.parent.resolve()
    for name in names:
        stem = name[:len(path.stem)]
        for spelled in dict.fromkeys((name, stem + name[len(stem):].lower(), stem + name[len(stem):].upper())):
            candidate = path.parent / spelled
            if candidate.is_file() and candidate.resolve().parent == folder:        # no link to elsewhere
                found.append(candidate)
                break
    return list(dict.fromkeys(found))


def is_world_file(path: Path) -> bool:
    return any(path.suffix.lower() in suffixes for suffixes in WORLD.values())


def admitted(path: Path, folder: Path) -> Companions:
    """Puts a link to a raster into an empty folder, and what may lie beside it.

    Raises
    ------
    LayerRejected
        A companion is not what it should be, or would lead elsewhere.
    """
    (folder / path.name).symlink_to(path.resolve())
    world, grid, crs = None, None, None
    for each in beside(path):
        suffix = each.suffix.lower()
        if suffix == ".ige":
            (folder / each.name).symlink_to(each.resolve())
        elif suffix == ".msk":
            _admit_mask(path.name, each, folder)
        elif suffix == ".prj":
            crs = crs or _prj(path.name, each)
        elif suffix == ".xml":
            (folder / f"{path.name}.aux.xml").write_bytes(_said_by_pam(path.name, each))
        elif grid is None:
            world, grid = each.name, _world_grid(path.name, each)
            numbers = (grid.a, grid.d, grid.b, grid.e, grid.c + grid.a / 2 + grid.b / 2, grid.f + grid.d / 2 + grid.e / 2)
            (folder / f"{path.stem}.wld").write_text("".join(f"{number!r}\n" for number in numbers))
    return Companions(world=world, grid=grid, crs=crs)


def crs_beside(path: Path) -> str | None:
    """The CRS of the .prj beside a file, as code or WKT. Raises LayerRejected where it is none."""
    return next((_prj(path.name, each) for each in beside(path) if each.suffix.lower() == ".prj"), None)


def state_crs(alone: Path, crs: str) -> None:
    """Says, where GDAL looks for it, what the .prj of an admitted file says."""
    aux = alone.with_name(alone.name + ".aux.xml")
    root = ElementTree.fromstring(aux.read_bytes()) if aux.exists() else ElementTree.Element("PAMDataset")
    ElementTree.SubElement(root, "SRS").text = crs
    aux.write_bytes(ElementTree.tostring(root, encoding="utf-8"))


def _small(name: str, path: Path) -> bytes:
    if path.stat().st_size > MOST_BYTES:
        raise LayerRejected(name, f"`{path.name}` beside it is too large for what its name says", "remove it, or deliver the right one")
    return path.read_bytes()


def _world_grid(name: str, path: Path) -> Affine:
    """The grid of a world file: its six numbers place the centre of the first cell."""
    words = text_of(_small(name, path)).split()
    if any("," in word for word in words):
        raise LayerRejected(name, f"its world file `{path.name}` has decimal commas", "write it with decimal points")
    try:
        a, d, b, e, x, y = (float(word) for word in words)
    except ValueError:
        raise LayerRejected(name, f"its world file `{path.name}` is not six numbers", "write it anew: cell width, two turns, minus cell height, x and y of the first cell's centre") from None
    if not a or not e:
        raise LayerRejected(name, f"its world file `{path.name}` gives cells of size 0", "write it anew")
    return Affine(a, b, x - a / 2 - b / 2, d, e, y - d / 2 - e / 2)


def _prj(name: str, path: Path) -> str:
    """The CRS of a .prj: its code where the register knows it, since ESRI's spelling has other axes than the register's own."""
    try:
        crs = CRS.from_wkt(text_of(_small(name, path)).strip())
    except CRSError:
        raise LayerRejected(name, f"`{path.name}` beside it names no CRS that is known", "remove it and say `--crs EPSG:n`") from None
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else crs.to_wkt("WKT1_GDAL")


def _said_by_pam(name: str, path: Path) -> bytes:
    """An .aux.xml with what it says of place and of the meaning of values; it could name other files besides."""
    text = _small(name, path)
    if re.search(rb"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise LayerRejected(name, f"`{path.name}` beside it defines entities", "remove it")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        raise LayerRejected(name, f"`{path.name}` beside it is not XML", "remove it, or deliver the right one") from None
    kept = ElementTree.Element("PAMDataset")
    kept.extend(child for child in root if child.tag in PAM_OF_DATASET)
    for band in root.iter("PAMRasterBand"):
        clean = ElementTree.SubElement(kept, "PAMRasterBand", {key: value for key, value in band.attrib.items() if key == "band"})
        clean.extend(child for child in band if child.tag in PAM_OF_BAND)
    return ElementTree.tostring(kept, encoding="utf-8")


def _admit_mask(name: str, mask: Path, folder: Path) -> None:
    """A mask of its own is opened by whatever driver likes it: it must be a TIFF that points nowhere."""
    with mask.open("rb") as file:
        is_tiff = file.read(4) in TIFF_MAGIC
    if is_tiff:
        with rasterio.open(mask, driver="GTiff") as source:
            is_tiff = not source.tags(ns="OVERVIEWS")
    if not is_tiff:
        raise LayerRejected(name, f"its mask `{mask.name}` is not a plain TIFF", "remove it, or deliver the right one")
    (folder / f"{name}.msk").symlink_to(mask.resolve())
