"""What the terms cost that change a picture: coarser cells, filtered rows, a mark, the strict rule of classified layers; each beside the same without.

    .venv/bin/python bench/variants.py [--quick] [--json]

In process, in one thread, drawn from the sheets and encoded; every picture of new ground.
"""

import os
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
import shapely

os.environ["GDAL_CACHEMAX"] = "16"                  # megabytes, as in the other benches

from harness import machine, main, say, table
from instance import CRS, LEFT, TOP, Ground
from shapes import county

SIZE = 512
DOM_CELL, DEM_CELL = 10.0, 25.0
DOM_PIXELS, DEM_PIXELS = (1.2, 5.0, 10.0, 20.0), (3.0, 12.0, 25.0, 50.0)
ROADS = 200_000


def measure(chosen: Namespace) -> dict[str, float]:
    say(machine())
    rounds = 7 if chosen.quick else 15
    with tempfile.TemporaryDirectory(prefix="geoshare-bench-") as folder:
        house = House(Path(folder), 2 if chosen.quick else 4)
        ratios, rows = {}, []
        for name, plain, other, pixels in house.pairs():
            views = house.views(pixels)
            took = [(timed(plain, view), timed(other, view)) for view in (next(views) for _ in range(rounds + 1))][1:]
            ratios[name] = median(one / two for one, two in took)
            rows.append([name, median(one for one, _ in took), median(two for _, two in took), ratios[name]])
        say(f"\nmaps of {SIZE} x {SIZE}, ms")
        table(["what", "without", "with", "ratio"], rows)
        rows = []
        for name, plain, other, tiles in house.tile_pairs(20 if chosen.quick else 80):
            took = [(timed(plain, one), timed(other, one)) for one in tiles]
            ratios[name] = median(one / two for one, two in took)
            rows.append([name, median(one for one, _ in took), median(two for _, two in took), ratios[name]])
        say("\ntiles of 256 x 256, ms")
        table(["what", "without", "with", "ratio"], rows)
    return ratios


def timed(work: Callable, asked: object) -> float:
    began = time.thread_time()
    work(asked)
    return 1000 * (time.thread_time() - began)


class House:
    """Imagery of 1 m, heights of 5 m and a line map of many short roads over the same ground."""

    def __init__(self, folder: Path, side: int):
        from layers.catalogue import InMemoryCatalogue
        from layers.ingest.job import AddLayer, add_layer
        from layers.model import Classification, ProductType
        from tiles.engine import Engine

        ground, catalogue, config = Ground(folder / "delivered", side), InMemoryCatalogue(), Path(__file__).resolve().parent.parent / "config"
        files = {"DOM": ground.write_dom(), "DEM": ground.write_dem(), "DLG": [_roads(folder / "delivered", ground)]}
        self.editions = {
            product: add_layer(catalogue, folder / "store", AddLayer(
                product=ProductType(product), name=product.lower(), edition="2011", paths=tuple(paths), classification=Classification.INTERNAL,
            ), config=config)
            for product, paths in files.items()
        }
        self.engine, self.ground, self._chance = Engine(folder / "store", folder / "cache", config), ground, np.random.default_rng(1)

    def views(self, pixel: float) -> Iterator:
        """Somewhere within the imagery, as far as it reaches."""
        from layers.model import Bounds, View

        left, bottom, right, top = self.ground.bounds
        span = min(SIZE * pixel, 0.9 * (right - left))
        while True:
            x, y = self._chance.uniform(left, right - span), self._chance.uniform(bottom + span, top)
            size = round(span / pixel)
            yield View(crs=CRS, bounds=Bounds(x, y - size * pixel, x + size * pixel, y), width=size, height=size)

    def map(self, product: str, style: str, **terms) -> Callable:
        from tiles.compose import composed, shown
        from tiles.encode import encode
        from tiles.permits import Permit, PermitPiece

        edition = self.editions[product]
        permit = Permit(edition=edition, area=None, pieces=(PermitPiece(area=None, attributes=None, **terms),), mark="bench")

        def draw(view) -> bytes:
            picture = composed(shown(permit.parts, view), view, lambda variant: self.engine.map(edition, style, view, permit, variant=variant))
            return encode(picture, "image/jpeg" if product == "DOM" else "image/png")

        return draw

    def pairs(self) -> Iterator[tuple[str, Callable, Callable, float]]:
        from tiles.permits import PictureMark

        mark = PictureMark(text="仅供试验使用 AG-BENCH-001", opacity=0.25, place="tiled")
        for pixel in DOM_PIXELS:
            yield f"dom_cells_at_{pixel:g}m", self.map("DOM", "default"), self.map("DOM", "default", degrade=DOM_CELL), pixel
        for pixel in DEM_PIXELS:
            yield f"dem_cells_at_{pixel:g}m", self.map("DEM", "hillshade"), self.map("DEM", "hillshade", degrade=DEM_CELL), pixel
        for pixel in (1.0, 4.0):
            yield f"rows_at_{pixel:g}m", self.map("DLG", "topographic"), self.map("DLG", "topographic", rows="GB <= 4202000 AND NAME LIKE '%路'"), pixel
        yield "mark_on_a_map", self.map("DOM", "default"), self.map("DOM", "default", mark=mark), 1.2

    def tile_pairs(self, count: int) -> Iterator[tuple[str, Callable, Callable, list]]:
        """Of the imagery's tiles upon a border of 5,000 vertices: cut, and cut and marked; by centres, and by whole footprints."""
        from PIL import Image

        from layers.mosaic.cells import influence
        from tiles.area import ServedArea
        from tiles.clip import Footprint
        from tiles.compose import cut_to
        from tiles.encode import encode
        from tiles.grids import TILE_MATRIX_SETS
        from tiles.marks import marked
        from tiles.permits import PictureMark

        grid, mark = TILE_MATRIX_SETS["WebMercatorQuad"], PictureMark(text="仅供试验使用 AG-BENCH-001", opacity=0.25, place="tiled")
        area = ServedArea(county((118.8, 32.1), 0.1, 5_000), "bench")
        points = shapely.get_coordinates(shapely.line_interpolate_point(shapely.get_exterior_ring(area.geometry_in(grid.crs)), np.linspace(0, 1, count), normalized=True))
        span, (left, top) = grid.resolutions[17] * 256, grid.origin
        tiles = list(dict.fromkeys((17, int((top - y) // span), int((x - left) // span)) for x, y in points))
        views = [grid.view(*tile) for tile in tiles]
        photo = Image.fromarray(np.random.default_rng(2).integers(40, 220, (256, 256, 3), dtype=np.uint8))
        footprint = Footprint(*influence(self.editions["DOM"], None))
        area.mask(views[0])
        yield (
            "mark_on_an_edge_tile", lambda view: encode(cut_to(photo, area.mask(view)), "image/png"),
            lambda view: encode(marked(cut_to(photo, area.mask(view)), mark, view), "image/png"), views,
        )
        yield "strict_mask", area.mask, lambda view: area.mask(view, footprint), views
        yield "strict_edge_tile", lambda view: encode(cut_to(photo, area.mask(view)), "image/png"), lambda view: encode(
            cut_to(photo, area.mask(view, footprint)), "image/png"), views


def _roads(folder: Path, ground: Ground) -> Path:
    import geopandas
    import pyogrio

    rng = np.random.default_rng(4)
    x, y = (rng.uniform(0, ground.side * 2500, ROADS) for _ in range(2))
    turn = rng.uniform(0, 2 * np.pi, ROADS)
    ends = np.stack([np.column_stack([LEFT + x, TOP - y]), np.column_stack([LEFT + x + 60 * np.cos(turn), TOP - y + 60 * np.sin(turn)])], 1)
    frame = geopandas.GeoDataFrame(
        {"GB": rng.choice([4201012, 4202012, 4203012, 4204012], ROADS), "NAME": rng.choice(["青石路", "柳街", None], ROADS)},
        geometry=shapely.linestrings(ends), crs=CRS,
    )
    pyogrio.write_dataframe(frame, folder / "roads.gpkg", layer="LRDL", driver="GPKG")
    return folder / "roads.gpkg"


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0])
