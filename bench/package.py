"""A polygon cut of an orthophoto, moved to another reference system, as a cloud-optimised GeoTIFF with JPEG: the worker that makes packages, and gdalwarp.

    .venv/bin/python bench/package.py [--quick] [--json]

Both read the same stored COG and write the same pixels of the same polygon. The peer is the faster of two: `gdalwarp -of COG -cutline
-crop_to_cutline` in one go, and gdalwarp with all that makes it faster (-multi, threads, memory, no compression) into a GeoTIFF, then
`gdal_translate -of COG`; each with as many threads as there are cores. Ours is the whole of a package: its order, the decision for every strip with
its record, the cut, its digest and its manifest. Taken round by round, one after the other; `package_vs_gdalwarp` is their time over ours.
"""

import argparse
import os
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import harness
import numpy as np
import rasterio
import shapely
from harness import CannotMeasure, Yard, require, say, table
from instance import CRS, LEFT, TOP, Instance, _photograph
from rasterio.transform import from_origin

TARGET = "EPSG:4490"
FULL, QUICK = 10_000, 3_000
ROUNDS = {True: 3, False: 3}
LEAST_ALIKE = 0.98
"""Share of the pixels of the two files that show the same within what JPEG loses."""


def measure(chosen: argparse.Namespace) -> dict[str, float]:
    require("gdalwarp", "gdal_translate")
    side = QUICK if chosen.quick else FULL
    say(harness.machine())
    with Yard() as yard:
        job = _prepared(yard, side)
        ways = {"geoshare": job.ours, "gdalwarp -of COG": job.in_one_go, "gdalwarp tuned, then COG": job.tuned}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        processor: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(ROUNDS[chosen.quick]):
            for name in list(ways) if number % 2 == 0 else list(ways)[::-1]:
                began, worked = time.perf_counter(), _processor()
                ways[name]()
                seconds[name].append(time.perf_counter() - began)
                processor[name].append(_processor() - worked)
        alike, sizes = job.alike(), {name: job.size(name) for name in ways}
    say(f"{job.width} x {job.height} px, {side} px polygon of {job.vertices} vertices, EPSG:4549 -> {TARGET}, JPEG 90; {alike:.1%} of the pixels alike")
    table(["", "s", "processor s", "MB"], [[name, median(seconds[name]), median(processor[name]), sizes[name] / 1e6] for name in ways])
    if alike < LEAST_ALIKE:
        raise CannotMeasure(f"only {alike:.1%} of the pixels are alike: these are not the same work")
    ratios = [min(one, tuned) / ours for ours, one, tuned in zip(*seconds.values(), strict=True)]
    say(f"package_vs_gdalwarp {median(ratios):.2f}")
    return {"package_vs_gdalwarp": median(ratios)}


def _processor() -> float:
    """Seconds of processors, of this process and of those it waited for."""
    return sum(sum(resource.getrusage(whose)[:2]) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


@dataclass(slots=True)
class Job:
    """The same cut in three ways."""

    folder: Path
    source: Path
    services: object
    worker: object
    caller: object
    order: object
    vertices: int
    width: int = 0
    height: int = 0
    bounds: tuple = ()
    made: Path | None = None

    def ours(self) -> None:
        from geoserver_app.packages.items import files_folder
        from geoserver_app.packages.jobs import PackageState
        from geoserver_app.packages.ordering import place

        services, book = self.services, self.worker.book
        asker = {"key": "", "login": ""}
        package = place(services.gate, services.catalogue, book, services.settings, self.caller, self.order, asker, {"format": "cog"})
        self.worker.work()
        package = book.get(package.package_id)
        if package.state is not PackageState.READY:
            raise CannotMeasure(f"the package is {package.state}: {package.fault}")
        self.made = files_folder(services.settings, package) / "dom-2011.tif"
        view = package.items[0]["view"]
        self.width, self.height, self.bounds = view["width"], view["height"], tuple(view["bounds"])

    def in_one_go(self) -> None:
        target = self.folder / "one.tif"
        target.unlink(missing_ok=True)
        self._run(
            ["gdalwarp", "-q", "-of", "COG", *self._cut(), "-multi", "-wo", "NUM_THREADS=ALL_CPUS", "-dstalpha", *COG_OPTIONS, self.source, target],
        )

    def tuned(self) -> None:
        draft, target = self.folder / "draft.tif", self.folder / "tuned.tif"
        for one in (draft, target):
            one.unlink(missing_ok=True)
        self._run([
            "gdalwarp", "-q", *self._cut(), "-multi", "-wo", "NUM_THREADS=ALL_CPUS", "-wm", "1024", "-dstalpha", "-co", "TILED=YES", "-co", "BIGTIFF=YES",
            "-co", "NUM_THREADS=ALL_CPUS", self.source, draft,
        ])
        self._run(["gdal_translate", "-q", "-of", "COG", "-b", "1", "-b", "2", "-b", "3", "-mask", "4", *COG_OPTIONS, draft, target])
        draft.unlink()

    def _cut(self) -> list:
        left, bottom, right, top = self.bounds
        return [
            "-t_srs", TARGET, "-r", "bilinear", "-cutline", self.folder / "polygon.geojson", "-te", repr(left), repr(bottom), repr(right), repr(top),
            "-ts", self.width, self.height,
        ]

    @staticmethod
    def _run(command: list) -> None:
        ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=os.environ | {"GDAL_CACHEMAX": "512"})
        if ended.returncode:
            raise CannotMeasure(f"{command[0]}: {ended.stderr.strip()[:300]}")

    def size(self, name: str) -> int:
        return {"geoshare": self.made, "gdalwarp -of COG": self.folder / "one.tif", "gdalwarp tuned, then COG": self.folder / "tuned.tif"}[name].stat().st_size

    def alike(self) -> float:
        """Of the two files, at a coarse level: the same place in the same colour, or in neither."""
        found = []
        for path in (self.made, self.folder / "tuned.tif"):
            with rasterio.open(path) as held:
                shape = held.height // 8, held.width // 8
                found.append((held.read(out_shape=(3, *shape)).astype(int), held.read_masks(1, out_shape=shape) > 0))
        (ours, seen), (theirs, known) = found
        same = np.where(seen & known, np.abs(ours - theirs).max(axis=0) < 24, seen == known)
        return float(same.mean())


COG_OPTIONS = ["-co", "COMPRESS=JPEG", "-co", "QUALITY=90", "-co", "NUM_THREADS=ALL_CPUS", "-co", "BIGTIFF=IF_SAFER"]


def _prepared(yard: Yard, side: int) -> Job:
    """A layer of one stored COG, an agency that may download it, and a polygon of about `side` pixels across."""
    from agreements.areas import area_of
    from agreements.model import Operation
    from geoserver_app.packages.jobs import PackageBook
    from geoserver_app.packages.orders import Form, Order
    from geoserver_app.packages.worker import Worker
    from geoserver_app.registering import CatalogueGazetteer
    from geoserver_app.wiring import wire
    from layers.crs import densify, transform_geometry
    from layers.model import LayerName

    instance = Instance(yard)
    edition = instance.add_layer("dom", "DOM", [_sheet(yard.folder, side + 500)])
    (sheet,) = instance.catalogue.sheets(edition.edition_id)
    middle = LEFT + (side + 500) / 2, TOP - (side + 500) / 2
    turns = np.linspace(0, 2 * np.pi, 2_000, endpoint=False)
    reach = side * (0.47 + 0.02 * np.sin(9 * turns))
    polygon = shapely.Polygon(np.c_[middle[0] + reach * np.cos(turns), middle[1] + reach * np.sin(turns)])
    area = transform_geometry(densify(polygon, CRS), CRS, "CRS:84")
    (yard.folder / "polygon.geojson").write_text(shapely.to_geojson(area))
    instance.add_agency("water", area, operations=frozenset({Operation.DOWNLOAD}))
    services = wire(instance.settings)
    yard.callback(services.log.close)
    words = {"everywhere": True}
    order = Order(layers=(LayerName("dom"),), area=area_of(words, CatalogueGazetteer(instance.catalogue)), form=Form.COG, crs=TARGET)
    job = Job(
        folder=yard.folder, source=instance.settings.store / edition.folder / sheet.path, services=services, order=order, caller=_caller(services),
        worker=Worker(services, PackageBook(services.database, services.gate.clock)), vertices=len(turns),
    )
    job.ours()                                                       # the grid for all, and nothing is cold
    return job


def _caller(services):
    from geoserver_app.identity import Caller, Carriage, Presented

    agency = services.gate.standing().register.agencies["water"]
    return Caller(agency=agency, key_id="", presented=Presented(secret="", carriage=Carriage.HEADER), base_url="http://bench.test")


def _sheet(folder: Path, side: int) -> Path:
    texture, path = _photograph(2048, seed=11).astype(np.uint8), folder / "sheet.tif"
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "crs": CRS, "photometric": "RGB", "tiled": True}
    with rasterio.open(path, "w", transform=from_origin(LEFT, TOP, 1, 1), **profile) as sheet:
        for row in range(0, side, 512):
            rows = np.arange(row, min(row + 512, side)) % len(texture)
            pixels = texture[rows[:, None], np.arange(side) % len(texture)]
            sheet.write(np.moveaxis(pixels, 2, 0), window=rasterio.windows.Window(0, row, side, len(rows)))
    return path


if __name__ == "__main__":
    harness.main(measure, __doc__)
