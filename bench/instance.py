"""A throwaway instance of the product: a made-up square of ground near Nanjing, taken in through the product itself, served by `geoshare serve`.

The pictures are noise with the spectrum of a photograph, so that JPEG works as hard on them as on real ground; the same for every run.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
import shapely
from harness import BIN, ROOT, THREADS, WORKERS, Server, Yard, free_port
from rasterio.transform import from_origin

CRS = "EPSG:4549"
LEFT, TOP = 380_000.0, 3_560_000.0                 # metres, x before y: 118.7 E, 32.1 N
SIZE = 2_500                                       # metres and pixels of a DOM sheet
DEM_STEP = 5.0                                     # metres


@dataclass(slots=True)
class Ground:
    """`side` x `side` DOM sheets of 1 m, and one DEM of 5 m over a square twice as wide, as delivered: plain GeoTIFFs."""

    folder: Path
    side: int
    bounds: tuple[float, float, float, float] = field(init=False)

    def __post_init__(self):
        self.bounds = (LEFT, TOP - self.side * SIZE, LEFT + self.side * SIZE, TOP)

    @property
    def dem_bounds(self) -> tuple[float, float, float, float]:
        return (LEFT, TOP - 2 * self.side * SIZE, LEFT + 2 * self.side * SIZE, TOP)

    @property
    def centre(self) -> tuple[float, float]:
        return (self.bounds[0] + self.bounds[2]) / 2, (self.bounds[1] + self.bounds[3]) / 2

    def write_dom(self) -> list[Path]:
        self.folder.mkdir(parents=True, exist_ok=True)
        texture = _photograph(1280, seed=7)
        places = [(row, col) for row in range(self.side) for col in range(self.side)]
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda place: self._write_sheet(texture, *place), places))

    def _write_sheet(self, texture: np.ndarray, row: int, col: int) -> Path:
        rng = np.random.default_rng([row, col])
        rows, cols = (np.arange(SIZE) + start for start in rng.integers(0, len(texture), 2))
        pixels = texture[(rows % len(texture))[:, None], cols % len(texture)] + rng.integers(-18, 18, 3, dtype=np.int16)
        pixels = np.clip(pixels, 1, 255).astype(np.uint8)
        path = self.folder / f"dom-{row:02d}-{col:02d}.tif"
        profile = {"driver": "GTiff", "width": SIZE, "height": SIZE, "count": 3, "dtype": "uint8", "crs": CRS, "photometric": "RGB", "tiled": True}
        with rasterio.open(path, "w", transform=from_origin(LEFT + col * SIZE, TOP - row * SIZE, 1, 1), **profile) as sheet:
            sheet.write(np.moveaxis(pixels, 2, 0))
        return path

    def write_dem(self) -> list[Path]:
        self.folder.mkdir(parents=True, exist_ok=True)
        cells = int(2 * self.side * SIZE / DEM_STEP)
        relief = _fractal(2048, 2.0, 3)
        place = np.arange(cells) % len(relief)
        heights = relief[place[:, None], place] * np.float32(60) + np.float32(180)
        path = self.folder / "dem.tif"
        profile = {"driver": "GTiff", "width": cells, "height": cells, "count": 1, "dtype": "float32", "crs": CRS, "nodata": -9999, "tiled": True}
        with rasterio.open(path, "w", transform=from_origin(LEFT, TOP, DEM_STEP, DEM_STEP), **profile) as dem:
            dem.write(heights, 1)
        return [path]


def _fractal(size: int, steepness: float, seed: int) -> np.ndarray:
    """Noise of mean 0 and deviation 1 whose amplitude falls with frequency ** -steepness; tiles seamlessly."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size), dtype=np.float32)) * frequency**-steepness, (size, size))
    return ((noise - noise.mean()) / noise.std()).astype(np.float32)


def _photograph(size: int, seed: int) -> np.ndarray:
    """(row, col, 3) of int16: fields and woods of muted colours under fine detail."""
    light, ground, detail = _fractal(size, 1.35, seed), _fractal(size, 1.9, seed + 1), _fractal(size, 0.7, seed + 2)
    fields = np.floor(ground * 2.5) / 2.5
    bands = (108 + 26 * light + 14 * fields + 6 * detail, 118 + 26 * light - 6 * fields + 6 * detail, 92 + 22 * light + 4 * fields + 6 * detail)
    return np.clip(np.dstack(bands), 0, 255).astype(np.int16)


class Instance:
    """One data folder, its catalogue and register, and the server over it."""

    def __init__(self, yard: Yard):
        from agreements.register import SqlRegister
        from geoserver_app.database import connect, migrate
        from geoserver_app.settings import Settings
        from layers.catalogue import SqlCatalogue

        self.yard = yard
        self.settings = Settings.at(yard.folder / "data", port=free_port(), workers=WORKERS, threads=THREADS)
        migrate(self.settings)
        database = connect(self.settings.database_url)
        yard.callback(database.dispose)
        self.catalogue, self.register = SqlCatalogue(database), SqlRegister(database)
        self.owner_key = self.add_agency("bureau")

    def add_layer(self, name: str, product: str, paths: Sequence[Path]):
        """Take files in as layer `name`, edition 2011; returns the Edition."""
        from layers.ingest.job import AddLayer, add_layer
        from layers.model import Classification, ProductType

        request = AddLayer(
            product=ProductType(product), name=name, edition="2011", paths=tuple(paths), title_zh=name, title_en=name,
            classification=Classification.INTERNAL, synthetic=True,
        )
        return add_layer(self.catalogue, self.settings.store, request, config=self.settings.config)

    def add_agency(
        self, agency_id: str, area: shapely.Geometry | None = None, layers: Sequence[str] = ("dom",), operations: frozenset[str] = frozenset(),
        **terms,
    ) -> str:
        """An agency with a key, which is returned, and with an agreement over `area` (CRS84) where there is one."""
        from agreements.areas import area_on_the_ground
        from agreements.model import Agency, Agreement, Grant, Operation, Term

        self.register.add_agency(Agency(agency_id=agency_id, name_zh=agency_id, name_en=agency_id))
        if area is not None:
            grant = Grant(
                clause="1", layers=frozenset(layers), operations=operations or frozenset({Operation.GET_MAP, Operation.GET_TILE}),
                area=area_on_the_ground(area, "bench"), **terms,
            )
            agreement = Agreement(
                agreement_id=f"AG-BENCH-{agency_id}", version=1, title="bench", grantor="bureau", grantee=agency_id, term=Term(), grants=(grant,),
            )
            self.register.register(agreement, f"# made by the bench for {agency_id}\n")
        return self.register.issue_key(agency_id, label="bench")[1]

    def serve(self, environ: dict[str, str] | None = None, workers: int = WORKERS) -> Server:
        environ = (environ or {}) | {
            "GEOSHARE_DATA": str(self.settings.data), "GEOSHARE_PORT": str(self.settings.port), "GEOSHARE_WORKERS": str(workers),
            "GEOSHARE_THREADS": str(THREADS),
        }
        return self.yard.start("geoshare", self.settings.port, [[BIN / "geoshare", "serve"]], ready="/healthz", environ=environ, cwd=ROOT)
