"""What rasters and vectors have in common on the way in: checksums, an approved CRS, the right place, files that are whole or absent."""

import hashlib
import os
from collections.abc import Sequence
from math import cos, radians
from pathlib import Path

import shapely

from layers import crs as reference
from layers.errors import CrsNotServed, DatumShiftRefused, LayerRejected, OutsideAreaOfUse
from layers.model import Bounds
from layers.sheets import numbers as sheets

MARGIN_ON_THE_MAP = 0.03
"""Metres of paper that a file may reach beyond its sheet frame: three times the usual margin of 10 mm."""

STRAY_DEGREES = 3.0
"""How far beyond its reach a CRS may still be meant."""


def checksum_of(paths: Sequence[Path]) -> str:
    """SHA-256, in hex, of a file, or of the files of one data set one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def copy_and_sum(paths: Sequence[Path], folder: Path) -> str:
    """Copies files into a folder, each read once and on the disk when this returns, and gives what `checksum_of` gives."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as source, (folder / path.name).open("wb") as target:
            while block := source.read(1 << 20):
                digest.update(block)
                target.write(block)
            target.flush()
            os.fsync(target.fileno())
    return digest.hexdigest()


def approved_crs(stated: str | None, declared: str | None, name: str) -> str:
    """The register's name of the CRS that a file states, or that the user declares where the file says nothing of use.

    Raises
    ------
    LayerRejected
        Neither says anything, both say different things, PROJ does not know the CRS, or its datum is refused (config/datums.csv).
    """
    if stated is not None and _says_nothing(stated, declared):
        stated = None
    if stated is None and declared is None:
        raise LayerRejected(name, "it does not say in which CRS it is", "say so with `--crs EPSG:n`")
    try:
        found = reference.crs_name(stated or declared)
        if stated and declared and reference.crs_name(declared) != found:
            raise LayerRejected(name, f"it says that it is in `{short(found)}`, you say `{declared}`",
                                "leave `--crs` out, or correct the file")
        reference.check_datum(found)
    except (CrsNotServed, DatumShiftRefused) as error:
        fault, _, mend = str(error).rpartition(": ")
        raise LayerRejected(name, fault or mend, mend if fault else "name it by its code with `--crs EPSG:n`") from error
    return found


def _says_nothing(stated: str, declared: str | None) -> bool:
    if "Undefined" in stated or stated.startswith(('LOCAL_CS["Unknown', 'ENGCRS["Unknown')):
        return True
    return declared is not None and reference.datum_of(stated) == reference.UNKNOWN


def short(crs: str) -> str:
    """How a CRS is called in a sentence."""
    return crs if len(crs) < 30 else reference.to_pyproj(crs).name


def check_place(name: str, bounds: Bounds, crs: str) -> None:
    """Raises LayerRejected for coordinates that `crs` can't mean: a forgotten zone prefix, degrees taken for metres, a wrong meridian."""
    try:
        west, south, east, north = reference.transform_bounds(bounds, crs, "CRS:84")
        reach = reference.reach(crs)
    except OutsideAreaOfUse:
        raise _astray(name, bounds, crs) from None
    lon, lat = (west + east) / 2, (south + north) / 2
    if not (reach.left - STRAY_DEGREES <= lon <= reach.right + STRAY_DEGREES
            and reach.bottom - STRAY_DEGREES <= lat <= reach.top + STRAY_DEGREES):
        raise _astray(name, bounds, crs)


def _astray(name: str, bounds: Bounds, crs: str) -> LayerRejected:
    x, y = (bounds.left + bounds.right) / 2, (bounds.bottom + bounds.top) / 2
    return LayerRejected(name, f"its centre ({x:.2f}, {y:.2f}) lies outside where `{short(crs)}` is used",
                         "say its true CRS with `--crs EPSG:n`, minding the zone prefix")


def check_frame(name: str, number: str, bounds: Bounds, crs: str, *, fills: bool) -> None:
    """Raises LayerRejected, with both extents, for a file that is not where its sheet number says: the commonest delivery error.

    Parameters
    ----------
    bounds : Bounds
        Of the file, in `crs`.
    fills : bool
        A raster fills its sheet, so that its centre must lie on it; lines and points need not.
    """
    inside = sheets.sheet_bounds(number)
    try:
        frame = reference.transform_bounds(inside, "CRS:84", crs)
        centre = reference.transformer(crs, "CRS:84").transform((bounds.left + bounds.right) / 2, (bounds.bottom + bounds.top) / 2)
    except OutsideAreaOfUse:
        raise _off_frame(name, number, bounds, None, crs, "it lies elsewhere") from None
    if fills and not (inside.left <= centre[0] <= inside.right and inside.bottom <= centre[1] <= inside.top):
        raise _off_frame(name, number, bounds, frame, crs, "its centre is not on that sheet")
    across, along = _margin(number, inside, crs)
    if (bounds.left < frame.left - across or bounds.right > frame.right + across
            or bounds.bottom < frame.bottom - along or bounds.top > frame.top + along):
        raise _off_frame(name, number, bounds, frame, crs, "it reaches far beyond that sheet")


def _margin(number: str, inside: Bounds, crs: str) -> tuple[float, float]:
    """Along x and y, in units of the CRS."""
    metres = MARGIN_ON_THE_MAP * sheets.scale_of(number).denominator
    if not reference.is_geographic(crs):
        return metres, metres
    degrees = metres / 111_320
    return degrees / cos(radians(inside.bottom)), degrees


def _off_frame(name: str, number: str, bounds: Bounds, frame: Bounds | None, crs: str, how: str) -> LayerRejected:
    digits = 6 if reference.is_geographic(crs) else 2
    where = f"sheet {_box(frame, digits)}" if frame else "the sheet beyond what the CRS can express"
    return LayerRejected(name, f"its name says sheet `{number}`, but {how} (file {_box(bounds, digits)}, {where}, in {short(crs)})",
                         "correct the name or the coordinates")


def _box(bounds: Bounds, digits: int) -> str:
    return " ".join(f"{value:.{digits}f}" for value in bounds)


def footprint_of(box: Bounds, crs: str) -> shapely.Polygon:
    """A box of `crs`, densified, in CRS84."""
    return reference.transform_geometry(reference.densify(shapely.box(*box), crs), crs, "CRS:84")


def settle(finished: Path, target: Path) -> None:
    """Gives a finished file its name, once it is on the disk: `target` is whole or absent, whatever happens."""
    sync(finished)
    os.replace(finished, target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
