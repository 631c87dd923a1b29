"""The clip oracle: a raster whose colours tell row and column, asked through every service and CRS by an agency that may see a part.

Every delivered pixel is decoded. It must be visible exactly when its centre, carried to degrees by PROJ alone, lies inside the area as PROJ alone
draws it; and the source pixel that it shows must be the one under that centre, so that no pixel from beyond the border arrives by another way.
"""

import io
from functools import lru_cache

import cv2
import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from PIL import Image
from rasterio.io import MemoryFile

from layers.model import Bounds, View
from tiles.grids import TILE_MATRIX_SETS

LEFT, TOP, STEP, COLS, ROWS = 350_000.0, 3_690_000.0, 100.0, 3000, 1900
CRS_ASKED = ("EPSG:4326", "EPSG:4490", "EPSG:3857", "EPSG:4549", "EPSG:4548")
BORDER = 2e-7
"""Degrees, some 2 cm: centres so near the border may fall on either side (the sagitta of an edge of 0.01 degree, and rounding)."""


@lru_cache
def transformer(source: str, target: str) -> pyproj.Transformer:
    """PROJ's own: making one of CGCS2000 takes a third of a second."""
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


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


STRICT_AREAS = ("degree-and-half", "islands", "fifty-thousand")

CELL = 700.0
"""Metres: of the degraded part of an agency that has a finer one too."""

FINE, COARSE = shapely.box(119.6, 32.2, 119.9, 32.5), shapely.Point(119.9, 32.4).buffer(0.3)


@pytest.fixture(scope="module")
def coded_house(lasting_house):
    lasting_house.raster("coded", coded(), LEFT, TOP, STEP, lossless=True, nearest=True)
    lasting_house.raster("classified", coded(), LEFT, TOP, STEP, nearest=True, classification="secret")
    for name, area in AREAS.items():
        lasting_house.agency(name)
        lasting_house.agree(
            name, lasting_house.clause("coded", area=area), *([lasting_house.clause("classified", clause="3.2", area=area)] if name in STRICT_AREAS else []),
        )
    lasting_house.agency("parts")
    lasting_house.agree(
        "parts", lasting_house.clause("coded", area=FINE), lasting_house.clause("coded", clause="3.2", area=COARSE, degrade=CELL),
    )
    return lasting_house


def map_of(house, layer: str, agency: str, view: View) -> Image.Image:
    answer = house.get(
        f"/ows?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetMap&LAYERS={layer}&STYLES=&SRS={view.crs}&FORMAT=image/png&TRANSPARENT=TRUE"
        f"&BBOX={','.join(map(repr, view.bounds))}&WIDTH={view.width}&HEIGHT={view.height}", agency,
    )
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.data))


def tiles_of(area: shapely.Geometry, tms_id: str):
    """Some tiles upon an area, at a level about as fine as the source."""
    tms = TILE_MATRIX_SETS[tms_id]
    to = transformer("OGC:CRS84", tms.crs)
    z = next(z for z in tms.zooms if tms.resolutions[z] * (111_320 if tms.crs == "EPSG:4490" else 1) < 250)
    first_row, last_row, first_col, last_col = tms.limits(z, Bounds(*to.transform_bounds(*around(area), densify_pts=51)))
    for row, col in [(row, col) for row in range(first_row, last_row + 1) for col in range(first_col, last_col + 1)][:16]:
        yield f"{tms_id}/{z}/{col}/{row}.png", tms.view(z, row, col)


class Oracle:
    """What PROJ and a point-in-polygon test say, apart from any code of the product."""

    def __init__(self, area: shapely.Geometry):
        self.area = shapely.segmentize(area, 0.01)
        self.border = shapely.boundary(self.area)
        shapely.prepare([self.area, self.border])
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
    lon, lat = transformer(view.crs, "OGC:CRS84").transform(xs, ys)
    east, north = transformer(view.crs, "EPSG:4549").transform(xs, ys)
    return lon, lat, east, north


def around(area: shapely.Geometry) -> tuple[float, float, float, float]:
    west, south, east, north = area.bounds
    return west - 0.05, south - 0.05, east + 0.05, north + 0.05


def views_of(area: shapely.Geometry, crs: str) -> list[View]:
    """The whole of it, and windows upon its border."""
    to = transformer("OGC:CRS84", crs)
    whole = to.transform_bounds(*around(area), densify_pts=51)
    corners = shapely.get_coordinates(shapely.boundary(area))[:: max(1, len(shapely.get_coordinates(area)) // 3)][:3]
    windows = [to.transform_bounds(lon - 0.02, lat - 0.015, lon + 0.02, lat + 0.015, densify_pts=21) for lon, lat in corners]
    return [View(crs=crs, bounds=Bounds(*box), width=211, height=173) for box in (whole, *windows)]


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("crs", CRS_ASKED)
def test_every_pixel_of_a_map_is_of_the_area_and_none_of_it_is_missing(coded_house, area, crs):
    oracle = Oracle(AREAS[area])
    for view in views_of(AREAS[area], crs):
        oracle.judge(map_of(coded_house, "coded", area, view), view)
    assert (oracle.violations, oracle.wrongly_hidden, oracle.misplaced) == (0, 0, 0)
    assert oracle.pixels > 40_000 * 3 and 0 < oracle.shown < oracle.pixels


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("tms_id", TILE_MATRIX_SETS)
def test_every_pixel_of_a_tile_is_of_the_area_and_none_of_it_is_missing(coded_house, area, tms_id):
    oracle = Oracle(AREAS[area])
    for address, view in tiles_of(AREAS[area], tms_id):
        answer = coded_house.get(f"/tiles/coded/{address}", area)
        assert answer.status_code == 200, answer.text
        oracle.judge(Image.open(io.BytesIO(answer.data)), view)
    assert (oracle.violations, oracle.wrongly_hidden, oracle.misplaced) == (0, 0, 0)
    assert oracle.shown > 0


def test_the_oracle_would_notice_a_border_moved_by_a_pixel(coded_house):
    """The same picture, judged against an area a pixel smaller, shows violations: the oracle is not blind."""
    view = views_of(AREAS["half-degree"], "EPSG:4549")[0]
    oracle = Oracle(AREAS["half-degree"].buffer(-0.003))
    oracle.judge(map_of(coded_house, "coded", "half-degree", view), view)
    assert oracle.violations > 100


# Coverages

def coverage_of(house, layer: str, agency: str, view: View, version: str) -> tuple[Image.Image, View]:
    """The ground of `view` by WCS as (row, col, RGBA), and the view that the file itself says it is."""
    left, bottom, right, top = map(repr, view.bounds)
    if version == "1.0.0":
        query = f"COVERAGE={layer}&CRS={view.crs}&BBOX={left},{bottom},{right},{top}&WIDTH={view.width}&HEIGHT={view.height}"
    else:
        query = (
            f"COVERAGEID={layer}&SUBSETTINGCRS={view.crs}&OUTPUTCRS={view.crs}&SUBSET=E({left},{right})&SUBSET=N({bottom},{top})"
            f"&SCALESIZE=i({view.width}),j({view.height})"
        )
    answer = house.get(f"/wcs?SERVICE=WCS&VERSION={version}&REQUEST=GetCoverage&FORMAT=image/tiff&{query}", agency)
    assert answer.status_code == 200, answer.text
    with MemoryFile(answer.data) as memory, memory.open() as found:
        assert found.crs == rasterio.crs.CRS.from_string(view.crs)
        pixels = np.dstack([*found.read(), found.read_masks(1)])
        return Image.fromarray(pixels), View(crs=view.crs, bounds=Bounds(*found.bounds), width=found.width, height=found.height)


COVERED = ("islands", "fifty-thousand")


@pytest.mark.parametrize("version", ("1.0.0", "2.0.1"))
@pytest.mark.parametrize("crs", CRS_ASKED)
def test_every_pixel_of_a_coverage_is_of_the_area_and_none_of_it_is_missing(coded_house, crs, version):
    for area in COVERED:
        oracle = Oracle(AREAS[area])
        for view in views_of(AREAS[area], crs):
            oracle.judge(*coverage_of(coded_house, "coded", area, view, version))
        assert (oracle.violations, oracle.wrongly_hidden, oracle.misplaced) == (0, 0, 0)
        assert oracle.pixels > 40_000 * 3 and 0 < oracle.shown <= oracle.pixels


# Classified layers

class StrictOracle(Oracle):
    """Of a classified layer: all of a pixel, and all of the source pixel that it shows, must lie inside; and a pixel is hidden only if something
    within its footprint lies outside: a square around its centre, each way sqrt(2) of the source's pixels, or of a pixel and a quarter."""

    def judge(self, picture: Image.Image, view: View) -> None:
        pixels = np.asarray(picture.convert("RGBA")).astype(np.int64)
        lon, lat, east, north = centres(view)
        column, row = (east - LEFT) / STEP, (TOP - north) / STEP
        visible, inside = pixels[..., 3] > 0, shapely.contains_xy(self.area, lon, lat)
        on_sheet = (column > 1.5) & (column < COLS - 1.5) & (row > 1.5) & (row < ROWS - 1.5)
        reach = self.reach(view)
        pixels_around = int(1.6 * max(reach) / min(view.resolution)) + 2
        near = cv2.dilate((~inside).astype(np.uint8), np.ones((2 * pixels_around + 1,) * 2, np.uint8)) > 0
        self.pixels += visible.size
        self.shown += int(visible.sum())
        self.violations += int((visible & ~inside).sum())
        number = (pixels[..., 0] << 16) + (pixels[..., 1] << 8) + pixels[..., 2]
        self.misplaced += int((visible & (abs(number % COLS + 0.5 - column) > 0.56)).sum())
        at = visible & near
        own = self.rectangles(*np.argwhere(at).T, view, (view.resolution[0] / 2, view.resolution[1] / 2))
        source = sources(number[at])
        self.violations += int((~shapely.covers(self.area, own)).sum() + (~shapely.covers(self.area, source)).sum())
        hidden = ~visible & inside & on_sheet
        wide = self.rectangles(*np.argwhere(hidden).T, view, reach)
        within = shapely.covers(self.area, wide)
        self.wrongly_hidden += int((shapely.distance(self.border, wide[within]) > BORDER).sum())
        assert not pixels[~visible].any(), "colour under full transparency"

    @staticmethod
    def reach(view: View) -> tuple[float, float]:
        south, north = view.bounds.bottom, view.bounds.top
        if view.crs == "EPSG:3857":
            south, north = (np.degrees(np.arctan(np.sinh(v / 6378137))) for v in (south, north))
        metres = {"EPSG:3857": np.cos(np.radians(north)), "EPSG:4549": 1.0, "EPSG:4548": 1.0}.get(
            view.crs, np.radians(1) * 6378137 * np.cos(np.radians(max(abs(south), abs(north)))),
        )
        half = np.sqrt(2) * max(STEP / metres, 1.25 * max(view.resolution))
        return half, half

    @staticmethod
    def rectangles(rows: np.ndarray, cols: np.ndarray, view: View, half: tuple[float, float]) -> np.ndarray:
        """In degrees, each side of four points."""
        x = view.bounds.left + (cols + 0.5) * view.resolution[0]
        y = view.bounds.top - (rows + 0.5) * view.resolution[1]
        return squares(x, y, half[0] * (1 - 1e-6), half[1] * (1 - 1e-6), view.crs)


def squares(x: np.ndarray, y: np.ndarray, half_x: float, half_y: float, crs: str) -> np.ndarray:
    side = np.linspace(-1, 1, 4)[:-1]
    across = np.concatenate([side, np.ones(3), -side, -np.ones(3)]) * half_x
    down = np.concatenate([-np.ones(3), side, np.ones(3), -side]) * half_y
    to = transformer(crs, "OGC:CRS84")
    lon, lat = to.transform(x[:, None] + across, y[:, None] + down)
    return shapely.polygons(np.dstack([lon, lat])) if len(x) else np.empty(0, object)


def sources(number: np.ndarray) -> np.ndarray:
    """The ground of source pixels, some 2 cm smaller: the width of what can't be told."""
    return squares(LEFT + (number % COLS + 0.5) * STEP, TOP - (number // COLS + 0.5) * STEP, STEP / 2 - 0.03, STEP / 2 - 0.03, "EPSG:4549")


@pytest.mark.parametrize("area", STRICT_AREAS)
@pytest.mark.parametrize("crs", CRS_ASKED)
def test_of_a_classified_layer_no_part_of_a_pixel_lies_beyond_the_border(coded_house, area, crs):
    oracle = StrictOracle(AREAS[area])
    for view in views_of(AREAS[area], crs):
        oracle.judge(map_of(coded_house, "classified", area, view), view)
    assert (oracle.violations, oracle.wrongly_hidden, oracle.misplaced) == (0, 0, 0)
    assert 0 < oracle.shown < oracle.pixels


@pytest.mark.parametrize("area", STRICT_AREAS)
@pytest.mark.parametrize("tms_id", TILE_MATRIX_SETS)
def test_of_a_classified_layer_tiles_are_cut_as_maps_are(coded_house, area, tms_id):
    oracle = StrictOracle(AREAS[area])
    for address, view in list(tiles_of(AREAS[area], tms_id))[::4]:
        answer = coded_house.get(f"/tiles/classified/{address}", area)
        assert answer.status_code == 200, answer.text
        oracle.judge(Image.open(io.BytesIO(answer.data)), view)
    assert (oracle.violations, oracle.wrongly_hidden, oracle.misplaced) == (0, 0, 0)
    assert oracle.shown > 0


@pytest.mark.parametrize("version", ("1.0.0", "2.0.1"))
@pytest.mark.parametrize("crs", CRS_ASKED)
def test_of_a_classified_layer_coverages_are_cut_as_maps_are(coded_house, crs, version):
    oracle = StrictOracle(AREAS["islands"])
    for view in views_of(AREAS["islands"], crs):
        oracle.judge(*coverage_of(coded_house, "classified", "islands", view, version))
    assert (oracle.violations, oracle.wrongly_hidden, oracle.misplaced) == (0, 0, 0)
    assert 0 < oracle.shown < oracle.pixels


def test_the_strict_oracle_would_notice_the_rule_of_centres(coded_house):
    oracle = StrictOracle(AREAS["islands"])
    for view in views_of(AREAS["islands"], "EPSG:4549"):
        oracle.judge(map_of(coded_house, "coded", "islands", view), view)
    assert oracle.violations > 100 and oracle.wrongly_hidden == 0


def test_of_a_classified_layer_no_source_pixel_is_told_that_reaches_beyond_the_border(coded_house):
    """Clicks along the border: who gets a value, gets that of a pixel wholly inside."""
    area = shapely.segmentize(AREAS["islands"], 0.01)
    shapely.prepare(area)
    border = shapely.get_coordinates(shapely.boundary(area))[::9]
    rng = np.random.default_rng(6)
    told = 0
    for lon, lat in (border[:40] + rng.normal(0, 0.002, (min(40, len(border)), 2))).tolist():
        box = f"{lon - 1e-4!r},{lat - 1e-4!r},{lon + 1e-4!r},{lat + 1e-4!r}"
        answer = coded_house.get(
            "/ows?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetFeatureInfo&LAYERS=classified&QUERY_LAYERS=classified&STYLES=&SRS=EPSG:4326"
            f"&BBOX={box}&WIDTH=3&HEIGHT=3&X=1&Y=1&INFO_FORMAT=application/json", "islands",
        )
        for found in answer.get_json()["features"]:
            red, green, blue = (found["properties"][name] for name in ("red", "green", "blue"))
            assert shapely.covers(area, sources(np.array([(red << 16) + (green << 8) + blue]))[0])
            told += 1
    assert told > 3


# Parts

class PartsOracle(Oracle):
    """Within the fine area the pixel's own source pixel, within the coarse one some source pixel of the same cell, nowhere else anything."""

    def __init__(self):
        super().__init__(shapely.union_all([FINE, COARSE]))
        self.fine = shapely.segmentize(FINE, 0.01)
        self.coarse_shown = 0

    def judge(self, picture: Image.Image, view: View) -> None:
        pixels = np.asarray(picture.convert("RGBA")).astype(np.int64)
        lon, lat, east, north = centres(view)
        visible, inside = pixels[..., 3] > 0, shapely.contains_xy(self.area, lon, lat)
        self.pixels += visible.size
        self.shown += int(visible.sum())
        self.violations += self._certain(visible & ~inside, lon, lat)
        self.wrongly_hidden += self._certain(~visible & inside, lon, lat)
        number = (pixels[..., 0] << 16) + (pixels[..., 1] << 8) + pixels[..., 2]
        shown_east, shown_north = LEFT + (number % COLS + 0.5) * STEP, TOP - (number // COLS + 0.5) * STEP
        is_fine = shapely.contains_xy(self.fine, lon, lat)
        off = np.maximum(abs(shown_east - east), abs(shown_north - north))
        certain = ~shapely.dwithin(shapely.boundary(self.fine), shapely.points(lon, lat), BORDER)
        self.misplaced += int((visible & is_fine & certain & (off > 0.56 * STEP)).sum())
        # the pixel in the middle of the cell that holds the centre, of whichever doubling of the grid is shown
        cell = CELL * 2 ** max(0, int(np.floor(np.log2(1.3 * max(view.resolution) / self.degrees_to_metres(view) / CELL))))
        beside = np.maximum(abs(shown_east - (np.floor(east / cell) + 0.5) * cell), abs(shown_north - (np.floor(north / cell) + 0.5) * cell))
        near_edge = np.minimum(abs(east / cell - np.round(east / cell)), abs(north / cell - np.round(north / cell))) * cell < 1.0
        self.misplaced += int((visible & ~is_fine & certain & ~near_edge & (beside > 0.75 * STEP * max(1, cell / CELL))).sum())
        self.coarse_shown += int((visible & ~is_fine).sum())
        assert not pixels[~visible].any()

    @staticmethod
    def degrees_to_metres(view: View) -> float:
        return 1 / 111_320 if view.crs in ("EPSG:4326", "EPSG:4490") else 1.0


@pytest.mark.parametrize("crs", CRS_ASKED)
def test_every_pixel_shows_the_finest_that_is_granted_of_its_place(coded_house, crs):
    oracle = PartsOracle()
    for view in views_of(shapely.union_all([FINE, COARSE]), crs)[1:]:
        oracle.judge(map_of(coded_house, "coded", "parts", view), view)
        oracle.judge(*coverage_of(coded_house, "coded", "parts", view, "1.0.0"))
    assert (oracle.violations, oracle.wrongly_hidden, oracle.misplaced) == (0, 0, 0)
    assert oracle.shown and oracle.coarse_shown
