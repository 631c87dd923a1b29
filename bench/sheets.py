"""A province of small sheets for the benches: frames of GB/T 13989 at 1:10,000 in three 3-degree zones, as ingest leaves them in the store."""

import hashlib
import math
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import shapely
from rasterio.transform import from_origin

from layers import crs as crs_room
from layers.model import Bounds, Edition, ProductType, Sheet
from layers.mosaic.reader import build_mosaics
from layers.sheets import encode

WIDTH, HEIGHT = 0.0625, 1 / 24
"""Degrees of a frame at 1:10,000: 3'45" x 2'30"."""

WEST, NORTH = 116.25, 34.5
ACROSS = 91
"""Frames from west to east: from 116.25 to 121.94 E, about as wide as Jiangsu."""

ZONES = ((118.5, "EPSG:4548"), (121.5, "EPSG:4549"), (180.0, "EPSG:4550"))
"""East edge of each 3-degree zone, and its CRS."""

BLOCK = 128
"""Pixels: small sheets in small blocks, so that a tile touches about as many of them as it does of a real sheet of 5,840 px."""

COLLAR = 2
"""Pixels shown beyond a frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Ground that one sheet shows, in CRS84, and the CRS it is delivered in."""

    name: str
    bounds: Bounds
    crs: str


def small_frames(count: int) -> list[Frame]:
    """`count` frames at 1:10,000, row by row from the north-west."""
    return [_frame(number // ACROSS, number % ACROSS) for number in range(count)]


def large_frames(count: int) -> list[Frame]:
    """The ground of `count` small frames in about a dozen: what lies in one zone and one half (north, south) in two or three pieces."""
    rows = math.ceil(count / ACROSS)
    halves = ((0, rows // 2), (rows // 2, rows))
    frames, west = [], 0
    for zone, (edge, crs) in enumerate(ZONES):
        east = min(ACROSS, round((edge - WEST) / WIDTH))
        pieces = (2, 3, 1)[zone] if east > west else 0
        for first, last in ((west + (east - west) * n // pieces, west + (east - west) * (n + 1) // pieces) for n in range(pieces)):
            frames += [
                Frame(name=f"large-{zone}-{first}-{top}", crs=crs, bounds=Bounds(
                    WEST + first * WIDTH, NORTH - bottom * HEIGHT, WEST + last * WIDTH, NORTH - top * HEIGHT))
                for top, bottom in halves if bottom > top
            ]
        west = east
    return frames


def _frame(row: int, col: int) -> Frame:
    west, north = WEST + col * WIDTH, NORTH - row * HEIGHT
    name = encode(west + WIDTH / 2, north - HEIGHT / 2, "G")
    crs = next(crs for edge, crs in ZONES if west < edge)
    return Frame(name=name, crs=crs, bounds=Bounds(west, north - HEIGHT, west + WIDTH, north))


def write_all(folder: Path, frames: Sequence[Frame], resolution: float, workers: int = 2) -> list[Sheet]:
    """The sheets in `folder`/sheets, numbered from 1 on."""
    (folder / "sheets").mkdir(parents=True)
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(write_stored, [folder] * len(frames), frames, range(1, len(frames) + 1), [resolution] * len(frames), chunksize=32))


def write_stored(folder: Path, frame: Frame, sheet_id: int, resolution: float) -> Sheet:
    """One sheet as ingest leaves it: JPEG with a mask, blocks, overviews; nothing but a collar beyond its frame."""
    box, shape = _outline(frame, resolution)
    pixels, inside = photograph(box, resolution), _inside(shape, box, resolution)
    path = f"sheets/{frame.name}.tif"
    rows, cols = inside.shape
    profile = {
        "driver": "GTiff", "width": cols, "height": rows, "count": 3, "dtype": "uint8", "crs": crs_room.to_pyproj(frame.crs), "tiled": True,
        "transform": from_origin(box.left, box.top, resolution, resolution), "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "JPEG",
        "photometric": "YCBCR", "jpeg_quality": 90,
    }
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(folder / path, "w", **profile) as out:
        out.write(pixels)
        out.write_mask(inside)
    factors = [2**n for n in range(1, 12) if max(rows, cols) >> n >= 256]
    if factors:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(folder / path, "r+") as out:
            out.build_overviews(factors, rasterio.enums.Resampling.average)
    return Sheet(
        sheet_id=sheet_id, number=frame.name if len(frame.name) == 10 else None, source_name=f"{frame.name}.tif", path=path, crs=frame.crs,
        bounds=box, footprint=shapely.box(*frame.bounds), width=cols, height=rows, resolution=(resolution, resolution), band_count=3,
        dtype="uint8", nodata=None, checksum=hashlib.sha256(frame.name.encode()).hexdigest(), lineage=(),
    )


def write_delivered(folder: Path, frame: Frame, resolution: float, *, year: int = 2011, shade: int = 0) -> Path:
    """One sheet as a bureau delivers it: a GeoTIFF of the frame's bounding box, named by number and year. `shade` tells one delivery from another."""
    box, _ = _outline(frame, resolution)
    pixels = photograph(box, resolution, shade)
    path = folder / f"{frame.name}DOM_{year}.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=pixels.shape[2], height=pixels.shape[1], count=3, dtype="uint8", crs=crs_room.to_pyproj(frame.crs),
        transform=from_origin(box.left, box.top, resolution, resolution), compress="NONE",
    ) as out:
        out.write(pixels)
    return path


def photograph(box: Bounds, resolution: float, shade: int = 0) -> np.ndarray:
    """(3, row, col) of colours that follow from the place alone: fields, and grain that JPEG has to work for."""
    cols, rows = (math.floor(span / resolution + 0.5) for span in (box.width, box.height))
    x, y = (box.left + np.arange(cols) * resolution) / resolution, (box.top - np.arange(rows) * resolution)[:, None] / resolution
    fields = np.sin(x / 37.0) * np.cos(y / 23.0)
    grain = (((x.astype(np.int64) * 73_856_093) ^ (y.astype(np.int64) * 19_349_663)) >> 3) & 31
    base = 100 + 50 * fields + grain + shade
    return np.clip(np.stack([base, base * 0.9 + 10, base * 0.7]), 1, 254).astype(np.uint8)


def _outline(frame: Frame, resolution: float) -> tuple[Bounds, shapely.Geometry]:
    """The pixels' box on a lattice that all sheets of a zone share, and the frame in the zone's CRS."""
    shape = crs_room.transform_geometry(crs_room.densify(shapely.box(*frame.bounds), "CRS:84"), "CRS:84", frame.crs)
    left, bottom, right, top = shapely.buffer(shape, COLLAR * resolution, join_style="mitre").bounds
    return Bounds(*(
        snap(edge / resolution) * resolution for edge, snap in ((left, math.floor), (bottom, math.floor), (right, math.ceil), (top, math.ceil))
    )), shape


def _inside(shape: shapely.Geometry, box: Bounds, resolution: float) -> np.ndarray:
    from rasterio.features import geometry_mask

    rows, cols = (math.floor(span / resolution + 0.5) for span in (box.height, box.width))
    grown = shapely.buffer(shape, COLLAR * resolution, join_style="mitre")
    outside = geometry_mask([grown], (rows, cols), from_origin(box.left, box.top, resolution, resolution))
    return np.where(outside, 0, 255).astype(np.uint8)


def edition_of(folder: Path, sheets: Sequence[Sheet], edition_id: int, workers: int = 2) -> Edition:
    """The sheets in `folder` as an edition of a store that is its parent."""
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        mosaics = build_mosaics(folder, sheets, ProductType.DOM, nearest=False, lossless=False, generation=1, executor=pool)
    return Edition(
        edition_id=edition_id, name="2011", layer=folder.name, product=ProductType.DOM, currency=(None, None), generation=1, folder=folder.name,
        crs=mosaics[0].crs, extent=shapely.union_all([sheet.footprint for sheet in sheets]), resolution=mosaics[0].resolution, mosaics=mosaics,
        sheet_count=len(sheets),
    )

