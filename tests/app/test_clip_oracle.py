"""The clip oracle: a raster whose colours tell row and column, asked through every service and CRS by an agency that may see a part.

Every delivered pixel is decoded. It must be visible exactly when its centre, carried to degrees by PROJ alone, lies inside the area as PROJ alone
draws it; and the source pixel that it shows must be the one under that centre, so that no pixel from beyond the border arrives by another way.
"""

import io

import numpy as np
import pyproj
import pytest
import shapely
from PIL import Image

from layers.model import Bounds, View
from tiles.grids import TILE_MATRIX_SETS

LEFT, TOP, STEP, COLS, ROWS = 350_000.0, 3_690_000.0, 100.0, 3000, 1900
CRS_ASKED = ("EPSG:4326", "EPSG:4490", "EPSG:3857", "EPSG:4549", "EPSG:4548")
BORDER = 2e-7
"""Degrees, some 2 cm: centres so near the border may fall on either side (the sagitta of an edge of 0.01 degree, and rounding)."""


def coded() -> np.ndarray:
    number = np.arange(ROWS * COLS, dtype=np.uint32).reshape(ROWS, COLS)
    return np.stack([number >> 16 & 255, number >> 8 & 255, number & 255]).astype(np.uint8)


def star(points: int) -> shapely.Polygon:
    rng = np.random.default_rng(50)
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    reach = 0.45 + 0.05 * np.sin(angles * 9) + rng.normal(0, 0.0004, points)
    return shapely.make_valid(shapely.Polygon(np.c_[119.9 + reach * np.cos(angles), 32.4 + reach * np.sin(angles)]))


def islands() -> shapely.Geometry:
    sea = shapely.Point(119.8, 32.5).buffer(0.6)
    lake = shapely.Point(119.8, 32.5).buffer(0.35)
    island = shapely.box(119.65, 32.4, 119.95, 32.6)
    pond = shapely.box(119.75, 32.45, 119.85, 32.55)
    return shapely.union_all([sea.difference(lake), island.difference(pond), shapely.box(120.8, 32.0, 120.9, 32.3)])


AREAS = {
    "half-degree": shapely.box(119.6, 32.2, 120.1, 32.7),
    "degree-and-half": shapely.box(119.0, 32.1, 120.5, 32.6),
    "three-degrees": shapely.box(118.5, 32.0, 121.5, 32.9),
    "islands": islands(),
    "fifty-thousand": star(50_000),
}


@pytest.fixture(scope="module")
def coded_house(lasting_house):
    lasting_house.raster("coded", coded(), LEFT, TOP, STEP, lossless=True, nearest=True)
    for name, area in AREAS.items():
        lasting_house.agency(name)
        lasting_house.grant(name, "coded", area=area)
    return lasting_house


class Oracle:
    """What PROJ and a point-in-polygon test say, apart from any code of the product."""

    def __init__(self, area: shapely.Geometry):
        self.area = shapely.segmentize(area, 0.01)
        self.border = shapely.boundary(self.area)
        shapely.prepare(self.area)
        self.pixels = self.violations = self.wrongly_hidden = self.misplaced = self.shown = 0

    def judge(self, picture: Image.Image, view: View) -> None:
        pixels = np.asarray(picture.convert("RGBA")).astype(np.int64)
        lon, lat, east, north = centres(view)
        column, row = (east - LEFT) / STEP, (TOP - north) / STEP
        on_sheet = (column > 0.05) & (column < COLS - 0.05) & (row > 0.05) & (row < ROWS - 0.05)
        beside = (column < -0.05) | (column > COLS + 0.05) | (row < -0.05) | (row > ROWS + 0.05)
        inside = shapely.contains_xy(self.area, lon, lat)
        visible = pixels[..., 3] > 0
        self.pixels += visible.size
        self.shown += int(visible.sum())
        self.violations += self._certain(visible & (~inside | beside), lon, lat)
        self.wrongly_hidden += self._certain(~visible & inside & on_sheet, lon, lat)
        number = (pixels[..., 0] << 16) + (pixels[..., 1] << 8) + pixels[..., 2]
        off_col, off_row = number % COLS + 0.5 - column, number // COLS + 0.5 - row
        self.misplaced += int((visible & ((abs(off_col) > 0.56) | (abs(off_row) > 0.56))).sum())
        assert not pixels[~visible].any(), "colour under full transparency"
        assert set(np.unique(pixels[..., 3])) <= {0, 255}

    def _certain(self, wrong: np.ndarray, lon: np.ndarray, lat: np.ndarray) -> int:
        """How many pixels are wrong, those left out whose centre lies upon the border."""
        return int((shapely.distance(self.border, shapely.points(lon[wrong], lat[wrong])) > BORDER).sum())


def centres(view: View):
    """Pixel centres in degrees and in the source's CRS."""
    x = view.bounds.left + (np.arange(view.width) + 0.5) * view.resolution[0]
    y = view.bounds.top - (np.arange(view.height) + 0.5) * view.resolution[1]
    xs, ys = np.meshgrid(x, y)
    lon, lat = pyproj.Transformer.from_crs(view.crs, "OGC:CRS84", always_xy=True).transform(xs, ys)
    east, north = pyproj.Transformer.from_crs(view.crs, "EPSG:4549", always_xy=True).transform(xs, ys)
    return lon, lat, east, north


def around(area: shapely.Geometry) -> tuple[float, float, float, float]:
    west, south, east, north = area.bounds
    return west - 0.05, south - 0.05, east + 0.05, north + 0.05


def views_of(area: shapely.Geometry, crs: str) -> list[View]:
    """The whole of it, and windows upon its border."""
    to = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
    whole = to.transform_bounds(*around(area), densify_pts=51)
    corners = shapely.get_coordinates(shapely.boundary(area))[:: max(1, len(shapely.get_coordinates(area)) // 3)][:3]
    windows = [to.transform_bounds(lon - 0.02, lat - 0.015, lon + 0.02, lat + 0.015, densify_pts=21) for lon, lat in corners]
    return [View(crs=crs, bounds=Bounds(*box), width=211, height=173) for box in (whole, *windows)]


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("crs", CRS_ASKED)
def test_every_pixel_of_a_map_is_of_the_area_and_none_of_it_is_missing(coded_house, area, crs):
    oracle = Oracle(AREAS[area])
    for view in views_of(AREAS[area], crs):
        bounds = view.bounds
        answer = coded_house.get(
            f"/ows?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetMap&LAYERS=coded&STYLES=&SRS={crs}&FORMAT=image/png&TRANSPARENT=TRUE"
            f"&BBOX={','.join(map(repr, bounds))}&WIDTH={view.width}&HEIGHT={view.height}", area,
        )
        assert answer.status_code == 200, answer.text
        oracle.judge(Image.open(io.BytesIO(answer.data)), view)
    assert (oracle.violations, oracle.wrongly_hidden, oracle.misplaced) == (0, 0, 0)
    assert oracle.pixels > 40_000 * 3 and 0 < oracle.shown < oracle.pixels


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("tms_id", TILE_MATRIX_SETS)
def test_every_pixel_of_a_tile_is_of_the_area_and_none_of_it_is_missing(coded_house, area, tms_id):
    oracle, tms = Oracle(AREAS[area]), TILE_MATRIX_SETS[tms_id]
    to = pyproj.Transformer.from_crs("OGC:CRS84", tms.crs, always_xy=True)
    z = next(z for z in tms.zooms if tms.resolutions[z] * (111_320 if tms.crs == "EPSG:4490" else 1) < 250)
    first_row, last_row, first_col, last_col = tms.limits(z, Bounds(*to.transform_bounds(*around(AREAS[area]), densify_pts=51)))
    addresses = [(row, col) for row in range(first_row, last_row + 1) for col in range(first_col, last_col + 1)][:16]
    for row, col in addresses:
        answer = coded_house.get(f"/tiles/coded/{tms_id}/{z}/{col}/{row}.png", area)
        assert answer.status_code == 200, answer.text
        oracle.judge(Image.open(io.BytesIO(answer.data)), tms.view(z, row, col))
    assert (oracle.violations, oracle.wrongly_hidden, oracle.misplaced) == (0, 0, 0)
    assert oracle.shown > 0


def test_the_oracle_would_notice_a_border_moved_by_a_pixel(coded_house):
    """The same picture, judged against an area a pixel smaller, shows violations: the oracle is not blind."""
    view = views_of(AREAS["half-degree"], "EPSG:4549")[0]
    answer = coded_house.get(
        f"/ows?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetMap&LAYERS=coded&STYLES=&SRS={view.crs}&FORMAT=image/png&TRANSPARENT=TRUE"
        f"&BBOX={','.join(map(repr, view.bounds))}&WIDTH={view.width}&HEIGHT={view.height}", "half-degree",
    )
    oracle = Oracle(AREAS["half-degree"].buffer(-0.003))
    oracle.judge(Image.open(io.BytesIO(answer.data)), view)
    assert oracle.violations > 100
