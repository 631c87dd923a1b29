"""The pixels of a package: read, moved and cut strip by strip, each kept until the file is whole, and encoded once.

Strips are made side by side while the writer encodes the one before. What is kept of them is cut already, so that a worker that goes on with
what another one left never meets anything of the layer that may not be seen.
"""

import os
import shutil
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from geoserver_app.packages.items import PICTURE
from layers.ingest.cog import STRIP_ROWS, Packing, write_raster
from layers.model import Bounds, Edition, ProductType, View
from layers.mosaic.reader import NODATA
from tiles.border import Borders
from tiles.compose import composed_parts, shown
from tiles.coverage import cut_values
from tiles.encode import encode
from tiles.engine import Engine
from tiles.permits import Permit
from tiles.variants import drawn_style

Strip = tuple[np.ndarray, np.ndarray]
"""Values (row, col) or (row, col, band), and valid (row, col) of uint8, 0 or 255."""

WIDEST = 12_288
"""Pixels of a strip that are read at once."""

THREADS = max(2, os.cpu_count() or 1)


@dataclass(slots=True)
class Cutter:
    """Cuts one layer. `step` is called before each block is made, and raises where it may not be; `pixels` counts what was shown so far."""

    engine: Engine
    permit: Permit
    style: str | None
    step: Callable[[], None]
    pixels: int = field(default=0, init=False)
    borders: Borders = field(init=False)

    def __post_init__(self):
        self.borders = Borders(self.engine)

    @property
    def edition(self) -> Edition:
        return self.permit.edition

    def write(self, target: Path, view: View, spool: Path, *, is_cog: bool) -> None:
        """All of `view` as one file; strips wait in the folder `spool`, and are gone when it is whole."""
        is_heights = self.edition.product is ProductType.DEM
        spool.mkdir(parents=True, exist_ok=True)
        write_raster(
            target, crs=view.crs, bounds=view.bounds, width=view.width, height=view.height, bands=1 if is_heights else 3,
            dtype="float32" if is_heights else "uint8", nodata=NODATA if is_heights else None, strips=self._strips(view, spool),
            packing=packing_of(self.edition, is_cog=is_cog),
        )
        shutil.rmtree(spool, ignore_errors=True)

    def picture(self, view: View, media_type: str) -> bytes | None:
        """None where nothing of it may be seen."""
        self.step()
        edition, parts = self.edition, shown(self.permit.parts, view)
        style = drawn_style(self.style, is_strict=self.permit.is_strict)
        drawn = composed_parts(parts, view, lambda part: self.borders.map(edition, style, view, part, self.permit)) if parts else None
        if drawn is None:
            return None
        seen = view.width * view.height if drawn.mode == "RGB" else int(np.count_nonzero(np.asarray(drawn.getchannel("A"))))
        self.pixels += seen
        return encode(drawn, media_type, lossless=edition.lossless) if seen else None

    # -- strips

    def _strips(self, view: View, spool: Path) -> Iterator[Strip]:
        count = -(-view.height // STRIP_ROWS)
        with ThreadPoolExecutor(THREADS, thread_name_prefix="cut") as pool:
            ahead: deque = deque()
            for number in range(count + THREADS):
                if number < count:
                    self.step()
                    ahead.append(pool.submit(self._strip, view, number, spool / f"{number:06}.npy"))
                if number >= THREADS:
                    values, valid = ahead.popleft().result()
                    self.pixels += int(np.count_nonzero(valid))
                    yield values, valid

    def _strip(self, view: View, number: int, place: Path) -> Strip:
        if (kept := _kept(place)) is not None:
            return kept
        first, last = number * STRIP_ROWS, min((number + 1) * STRIP_ROWS, view.height)
        runs = [self._run(_window(view, first, last, left, min(left + WIDEST, view.width))) for left in range(0, view.width, WIDEST)]
        strip = runs[0] if len(runs) == 1 else tuple(np.concatenate(one, axis=1) for one in zip(*runs, strict=True))
        _keep(place, strip)
        return strip

    def _run(self, view: View) -> Strip:
        patch = cut_values(self.engine, self.permit, view, resampling="nearest" if self.edition.nearest else "bilinear")
        is_heights, shape = self.edition.product is ProductType.DEM, (view.height, view.width)
        if patch is None:
            values = np.zeros(shape, np.float32) if is_heights else np.zeros((*shape, 3), np.uint8)
            return values, np.zeros(shape, np.uint8)
        values = patch.values[0] if is_heights else np.ascontiguousarray(np.moveaxis(patch.values, 0, 2))
        return values, patch.valid.view(np.uint8) * np.uint8(255)


def packing_of(edition: Edition, *, is_cog: bool) -> Packing:
    """Imagery as it is kept, heights and what may not be changed without loss."""
    is_exact = edition.product is ProductType.DEM or edition.lossless or edition.nearest
    return Packing(compression="DEFLATE" if is_exact else "JPEG", nearest=edition.nearest, cog=is_cog)


def pictures_of(view: View) -> Iterator[tuple[int, int, View]]:
    """Row, column and view of the pictures that lie side by side in `view`, from its upper left corner."""
    for row, top in enumerate(range(0, view.height, PICTURE)):
        for col, left in enumerate(range(0, view.width, PICTURE)):
            yield row, col, _window(view, top, min(top + PICTURE, view.height), left, min(left + PICTURE, view.width))


def _window(view: View, top: int, bottom: int, left: int, right: int) -> View:
    """These rows and columns of it."""
    step_x, step_y = view.resolution
    bounds = Bounds(
        view.bounds.left + left * step_x, view.bounds.top - bottom * step_y, view.bounds.left + right * step_x, view.bounds.top - top * step_y,
    )
    return View(crs=view.crs, bounds=bounds, width=right - left, height=bottom - top)


def _keep(place: Path, strip: Strip) -> None:
    """Whole or not at all. A machine that loses its power may lose it: then it is made again."""
    unfinished = place.with_name(f"{place.name}.{uuid.uuid4().hex}.part")
    with unfinished.open("wb") as file:
        for one in strip:
            np.save(file, one)
    os.replace(unfinished, place)


def _kept(place: Path) -> Strip | None:
    try:
        with place.open("rb") as file:
            return np.load(file), np.load(file)
    except (FileNotFoundError, ValueError, EOFError):
        return None
