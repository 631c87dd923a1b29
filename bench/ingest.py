"""Sheets taken in as a bureau does it overnight, beside a shell loop of `gdal_translate -of COG` with as many processes.

    .venv/bin/python bench/ingest.py [--quick] [--json]

Ours is a whole job: workers begun, headers checked, checksums, the delivered files kept, JPEG of quality 90 with a mask, records, catalogue and
mosaic. Theirs is the conversion alone, at GDAL's own quality of 75. Sheets are striped and uncompressed, as production delivers them; both read
them from memory of the system, so that the disk decides nothing. Round by round; `ingest_vs_gdal_translate` is their time over ours for imagery,
`ingest_dem_vs_gdal_translate` for heights (DEFLATE with a predictor on both sides).

Without --quick one sheet of 30,000 x 30,000 px is taken in as well, striped and tiled: how much memory a worker needs.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import harness
import numpy as np
import rasterio
from harness import CannotMeasure, Yard, require, say, table
from instance import CRS, LEFT, TOP, _fractal, _photograph
from rasterio.transform import from_origin
from rasterio.windows import Window

TEXTURE = 2048
SHEETS, SIDE, DEM_SIDE = 6, {True: 5_000, False: 10_000}, {True: 3_000, False: 5_000}
ROUNDS = {True: 2, False: 3}
LARGE = 30_000
LARGEST_DIFFERENCE = 4.0
"""Mean difference of two pictures of JPEG, in grey levels: below it they show the same."""

MEMORY_OF_A_WORKER = """
import resource, sys
from pathlib import Path
from layers.model import ProductType
from layers.ingest.rasters import RasterOptions, check_raster, take_in
path, target = map(Path, sys.argv[1:])
options = RasterOptions(product=ProductType.DOM)
take_in(path, check_raster(path, options), options, "0" * 64, target, target.name)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def measure(chosen: argparse.Namespace) -> dict[str, float]:
    require("gdal_translate")
    say(harness.machine())
    with Yard() as yard:
        dom = Case(yard.folder, "DOM", SIDE[chosen.quick], "-co COMPRESS=JPEG")
        dem = Case(yard.folder, "DEM", DEM_SIDE[chosen.quick], "-co COMPRESS=DEFLATE -co PREDICTOR=YES")
        ratios = {"ingest_vs_gdal_translate": dom.ratio(ROUNDS[chosen.quick]), "ingest_dem_vs_gdal_translate": dem.ratio(ROUNDS[chosen.quick])}
        if not chosen.quick:
            for name, layout in (("striped", {}), ("tiled", {"tiled": True, "blockxsize": 512, "blockysize": 512})):
                _measure_memory(yard.folder, name, layout)
    return ratios


@dataclass(slots=True)
class Case:
    """Sheets of one product, and the two ways to take them in."""

    folder: Path
    product: str
    side: int
    options: str

    def ratio(self, rounds: int) -> float:
        sources = self.folder / self.product.lower()
        sources.mkdir()
        for number in range(SHEETS):
            _write(sources / f"sheet{number}.tif", self.product, self.side, number)
        ways = {"geoshare": self.ours, "gdal_translate": self.theirs}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        processor: dict[str, list[float]] = {name: [] for name in ways}
        sizes = {}
        for number in range(rounds):
            for name in list(ways) if number % 2 == 0 else list(ways)[::-1]:
                shutil.rmtree(self.folder / name, ignore_errors=True)
                os.sync()
                began, worked = time.perf_counter(), _processor()
                ways[name](self.folder / name)
                seconds[name].append(time.perf_counter() - began)
                processor[name].append(_processor() - worked)
                sizes[name] = sum(path.stat().st_size for path in self._made(name))
        self._compare()
        megapixels = SHEETS * self.side**2 / 1e6
        say(f"{self.product}: {SHEETS} sheets of {self.side} x {self.side} px, {_cores()} processes")
        table(["", "s", "processor s", "Mpx/s", "MB"],
              [[name, median(seconds[name]), median(processor[name]), megapixels / median(seconds[name]), sizes[name] / 1e6] for name in ways])
        ratio = median(theirs / ours for ours, theirs in zip(seconds["geoshare"], seconds["gdal_translate"], strict=True))
        say(f"ratio {ratio:.2f}\n")
        shutil.rmtree(sources)
        return ratio

    def ours(self, target: Path) -> None:
        import sqlalchemy

        from layers.catalogue import SqlCatalogue, metadata
        from layers.ingest.job import AddLayer, add_layer
        from layers.model import ProductType

        target.mkdir()
        database = sqlalchemy.create_engine(f"sqlite:///{target / 'catalogue.sqlite'}")
        metadata.create_all(database)
        request = AddLayer(product=ProductType(self.product), name="layer", edition="2011", paths=(self.folder / self.product.lower(),))
        edition = add_layer(SqlCatalogue(database), target / "store", request, workers=_cores())
        database.dispose()
        if edition.sheet_count != SHEETS:
            raise CannotMeasure(f"{edition.sheet_count} of {SHEETS} sheets were taken in")

    def theirs(self, target: Path) -> None:
        target.mkdir()
        loop = f"ls {self.folder / self.product.lower()}/*.tif | xargs -P {_cores()} -I@ sh -c 'gdal_translate -q -of COG {self.options} @ {target}/$(basename @)'"
        if subprocess.run(loop, shell=True, check=False).returncode:
            raise CannotMeasure("gdal_translate failed")

    def _made(self, name: str) -> list[Path]:
        found = sorted((self.folder / name).rglob("sheets/*.tif" if name == "geoshare" else "*.tif"))
        if len(found) != SHEETS:
            raise CannotMeasure(f"{name} made {len(found)} of {SHEETS} files")
        return found

    def _compare(self) -> None:
        """Both are cloud-optimised, have overviews, and show the delivered pixels."""
        for name in ("geoshare", "gdal_translate"):
            means = []
            for path in self._made(name):
                with rasterio.open(path) as file:
                    if file.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") != "COG" or not file.overviews(1):
                        raise CannotMeasure(f"{name} made a file that is not cloud-optimised")
                    means.append(file.read(window=Window(900, 900, 700, 700)).astype(np.float64))
            for number in range(SHEETS):
                with rasterio.open(self.folder / self.product.lower() / f"sheet{number}.tif") as file:
                    delivered = file.read(window=Window(900, 900, 700, 700)).astype(np.float64)
                limit = LARGEST_DIFFERENCE if self.product == "DOM" else 0.0
                if min(np.abs(delivered - mean).mean() for mean in means) > limit:
                    raise CannotMeasure(f"{name} changed the pixels of sheet {number}")


def _write(path: Path, product: str, side: int, number: int, **layout) -> None:
    texture = _photograph(TEXTURE, 7).astype(np.uint8) if product == "DOM" else _fractal(TEXTURE, 2.0, 3).astype(np.float32)[..., None] * 60 + 180
    texture = np.roll(texture, (331 * number, 173 * number), axis=(0, 1))
    columns = np.arange(side) % TEXTURE
    profile = {
        "driver": "GTiff", "width": side, "height": side, "count": texture.shape[2], "dtype": texture.dtype, "crs": CRS, "interleave": "pixel",
        "transform": from_origin(LEFT + number * side, TOP, 1, 1), "BIGTIFF": "IF_SAFER",
    } | ({"photometric": "RGB"} if product == "DOM" else {}) | layout
    with rasterio.open(path, "w", **profile) as file:
        for row in range(0, side, TEXTURE):
            rows = np.arange(row, min(row + TEXTURE, side)) % TEXTURE
            pixels = texture[rows[:, None], columns] if product == "DOM" else np.round(texture[rows[:, None], columns], 2)
            file.write(np.moveaxis(pixels, 2, 0), window=Window(0, row, side, len(rows)))


def _measure_memory(folder: Path, name: str, layout: dict) -> None:
    path = folder / f"large-{name}.tif"
    _write(path, "DOM", LARGE, 0, **layout)
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", MEMORY_OF_A_WORKER, str(path), str(folder / f"made-{name}.tif")], cwd=harness.ROOT,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMeasure(f"the large sheet was not taken in: {done.stderr.strip().splitlines()[-1]}")
    say(f"{LARGE} x {LARGE} px, {name}: {int(done.stdout) / 1024:.0f} MiB at most, {time.perf_counter() - began:.0f} s")
    path.unlink()
    (folder / f"made-{name}.tif").unlink()


def _cores() -> int:
    return os.cpu_count() or 1


def _processor() -> float:
    usage: Callable = resource.getrusage
    return sum(each.ru_utime + each.ru_stime for each in (usage(resource.RUSAGE_SELF), usage(resource.RUSAGE_CHILDREN)))


if __name__ == "__main__":
    harness.main(measure, __doc__)
