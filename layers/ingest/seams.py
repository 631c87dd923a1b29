"""How far neighbouring elevation sheets differ where both have cells: a step there shows in every hillshade and in every contour."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import shapely
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window
from rasterio.windows import transform as window_transform

from layers.model import Bounds, Sheet

MOST_CELLS = 1_000_000
REACH_PIXELS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """Two sheets and the cells they share: how many, root mean square and largest of the differences, and their mean (second less first), metres."""

    first: str
    second: str
    cells: int
    rms: float
    most: float
    mean: float


def neighbours_of(new: Sequence[Sheet], kept: Sequence[Sheet]) -> Iterator[tuple[Sheet, Sheet]]:
    """Pairs that touch or overlap, at least one of each pair new."""
    parts = [*new, *kept]
    if len(parts) < 2:
        return
    size = max(max(sheet.resolution) for sheet in parts)
    degrees = REACH_PIXELS * (size if size < 0.1 else size / 111_320)
    tree = shapely.STRtree([sheet.footprint for sheet in parts])
    for number, sheet in enumerate(new):
        for other in sorted(tree.query(sheet.footprint.buffer(degrees))):
            if other > number:
                yield sheet, parts[other]


def seam_of(first: str, first_path: Path, second: str, second_path: Path) -> Seam | None:
    """The differences of two sheets of this store over the cells both hold; None where they share none. Runs in a worker."""
    with rasterio.open(first_path) as a, rasterio.open(second_path) as b, \
            WarpedVRT(b, crs=a.crs, resampling=Resampling.nearest) as bounds_of_b:
        shared = Bounds(*a.bounds)
        if not shared.intersects(Bounds(*bounds_of_b.bounds)):
            return None
        shared = shared.intersection(Bounds(*bounds_of_b.bounds))
        window = _window(a, shared)
        if window is None:
            return None
        factor = max(1, int(np.ceil(np.sqrt(window.width * window.height / MOST_CELLS))))
        shape = max(1, int(window.height) // factor), max(1, int(window.width) // factor)
        one = a.read(1, window=window, out_shape=shape, masked=True, resampling=Resampling.nearest)
        other = _on_the_grid_of(a, b, window, shape)
    both = ~np.ma.getmaskarray(one) & ~np.ma.getmaskarray(other)
    if not both.any():
        return None
    difference = other.data[both].astype(np.float64) - one.data[both]
    return Seam(first=first, second=second, cells=int(both.sum()), rms=float(np.sqrt(np.mean(difference ** 2))),
                most=float(np.abs(difference).max()), mean=float(difference.mean()))


def _window(source: rasterio.DatasetReader, shared: Bounds) -> Window | None:
    grid = source.transform
    left, right = (round((x - grid.c) / grid.a) for x in (shared.left, shared.right))
    top, bottom = (round((y - grid.f) / grid.e) for y in (shared.top, shared.bottom))
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, source.width), min(bottom, source.height)
    return Window(left, top, right - left, bottom - top) if right > left and bottom > top else None


def _on_the_grid_of(a: rasterio.DatasetReader, b: rasterio.DatasetReader, window: Window, shape: tuple[int, int]) -> np.ma.MaskedArray:
    """Cells of `b` where those of `a` lie: between its own if the grids differ."""
    begin = window_transform(window, a.transform)
    grid = Affine(begin.a * window.width / shape[1], 0, begin.c, 0, begin.e * window.height / shape[0], begin.f)
    is_same = a.crs == b.crs and _is_shared(a.transform, b.transform)
    resampling = Resampling.nearest if is_same else Resampling.bilinear
    with WarpedVRT(b, crs=a.crs, transform=grid, width=shape[1], height=shape[0], resampling=resampling) as warped:
        return warped.read(1, masked=True)


def _is_shared(a: Affine, b: Affine) -> bool:
    return abs(a.a - b.a) < 1e-9 and abs((a.c - b.c) / a.a % 1) < 1e-6 and abs((a.f - b.f) / a.e % 1) < 1e-6
