"""The clip oracle over heights, profiles, terrain tiles and every style: heights tell row and column, and PROJ alone says what may be told."""

import io

import numpy as np
import pytest
import shapely
from coded_heights import AREAS, COLS, LEFT, ROWS, STEP, TOP, Places, cell_of, cells, coded, number_of, transformer
from PIL import Image

from agreements.model import Operation
from layers.model import ENCODINGS, Bounds, View, picture_styles
from tiles.grids import TILE_MATRIX_SETS

CELL = 5000.0


@pytest.fixture(scope="module")
def house(lasting_house):
    heights = coded()
    lasting_house.raster("coded", heights, LEFT, TOP, STEP, product="DEM", nearest=True, vertical_datum="1985")
    lasting_house.raster("classified", heights, LEFT, TOP, STEP, product="DEM", nearest=True, classification="secret", vertical_datum="1985")
    rows, cols = np.mgrid[0:ROWS, 0:COLS]
    hilly = (300 + 250 * np.sin(cols / 9) * np.cos(rows / 7)).astype(np.float32)
    lasting_house.raster("hills", hilly[None], LEFT, TOP, STEP, product="DEM", vertical_datum="1985")
    for name, area in AREAS.items():
        lasting_house.agency(name)
        lasting_house.agree(
            name, lasting_house.clause("coded", "hills", area=area), lasting_house.clause("classified", clause="3.2", area=area),
        )
    lasting_house.agency("all")
    lasting_house.grant("all", "coded", "hills", "classified")
    lasting_house.agency("coarse")
    lasting_house.grant("coarse", "hills", area=AREAS["box"], degrade=CELL)
    return lasting_house


def tiles_of(area: shapely.Geometry, tms_id: str):
    tms = TILE_MATRIX_SETS[tms_id]
    z = next(z for z in tms.zooms if tms.resolutions[z] * (111_320 if tms.crs == "EPSG:4490" else 1) < 700)
    west, south, east, north = area.bounds
    box = transformer("OGC:CRS84", tms.crs).transform_bounds(west - 0.05, south - 0.05, east + 0.05, north + 0.05, densify_pts=21)
    first_row, last_row, first_col, last_col = tms.limits(z, Bounds(*box))
    for row, col in [(row, col) for row in range(first_row, last_row + 1) for col in range(first_col, last_col + 1)][:9:2]:
        yield f"{tms_id}/{z}/{col}/{row}.png", tms.view(z, row, col)


# Terrain tiles

@pytest.mark.parametrize("layer", ["coded", "classified"])
@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("tms_id", TILE_MATRIX_SETS)
def test_every_height_of_a_terrain_tile_is_of_the_area_and_of_its_own_cell(house, tms_id, area, layer):
    places, told = Places(AREAS[area]), 0
    for number, (address, view) in enumerate(tiles_of(AREAS[area], tms_id)):
        style = ENCODINGS[number % 2]
        answer = house.get(f"/tiles/{layer}/{address}?style={style}", area)
        assert answer.status_code == 200, answer.text
        told += places.judge_tile(answer.data, view, style, is_strict=layer == "classified")
    assert told > 300


def test_the_oracle_would_notice_a_border_moved_by_a_pixel(house):
    places = Places(AREAS["box"].buffer(-0.01))
    with pytest.raises(AssertionError, match="beyond the border"):
        for address, view in tiles_of(AREAS["box"], "WebMercatorQuad"):
            places.judge_tile(house.get(f"/tiles/coded/{address}?style=terrarium", "box").data, view, "terrarium")


# Places and lines

def near_the_border(area: shapely.Geometry, count: int) -> np.ndarray:
    rng = np.random.default_rng(4)
    border = shapely.get_coordinates(shapely.segmentize(shapely.boundary(area), 0.02))
    return border[rng.integers(0, len(border), count)] + rng.normal(0, 0.01, (count, 2))


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("layer", ["coded", "classified"])
def test_a_height_is_told_exactly_where_it_is_granted(house, area, layer):
    points, places = near_the_border(AREAS[area], 100), Places(AREAS[area])
    answer = house.get(f"/height?layer={layer}&points={';'.join(f'{lon!r},{lat!r}' for lon, lat in points.tolist())}", area)
    assert answer.status_code == 200, answer.text
    found = np.array([np.nan if one["height"] is None else one["height"] for one in answer.json["places"]])
    told, inside, certain = np.isfinite(found), places.inside(*points.T), places.certain(*points.T)
    assert not (told & ~inside & certain).any() and 3 < told.sum() < 90
    assert (number_of(found[told]) == cell_of(*points[told].T)).all()
    if layer == "coded":
        assert not (~told & inside & certain & (cell_of(*points.T) >= 0)).any()
    else:
        assert shapely.covers(places.area, cells(number_of(found[told]))).all()


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("layer", ["coded", "classified"])
def test_along_a_line_heights_are_told_exactly_where_they_are_granted(house, area, layer):
    west, south, east, north = AREAS[area].bounds
    line = f"{west - 0.1},{south + 0.07};{east + 0.1},{north - 0.03};{west - 0.1},{north - 0.2}"
    answer = house.get(f"/profile?layer={layer}&line={line}&samples=400", area)
    assert answer.status_code == 200, answer.text
    samples, places = answer.json["samples"], Places(AREAS[area])
    points = np.array([[one["lon"], one["lat"]] for one in samples])
    found = np.array([np.nan if one["height"] is None else one["height"] for one in samples])
    told, inside = np.isfinite(found), places.inside(*points.T)
    certain = shapely.distance(places.border, shapely.points(points)) > 1e-6                 # what is told of the place is rounded
    assert not (told & ~inside & certain).any() and 0 < told.sum() < 400
    assert (number_of(found[told]) == cell_of(*points[told].T)).mean() > 0.99
    if layer == "coded":
        assert not (~told & inside & certain & (cell_of(*points.T) >= 0)).any()
    else:
        assert shapely.covers(places.area, cells(number_of(found[told]))).all()
    assert answer.json["lowest"] == found[told].min() and answer.json["highest"] == found[told].max() and answer.json["told"] == told.sum()


def test_what_is_not_granted_and_what_has_no_data_are_told_alike(house):
    """A place beyond the border, one beyond the sheet within a grant, and one that is nowhere."""
    beyond = house.get("/height?layer=coded&lon=119.0&lat=32.0", "box").json
    without = house.get("/height?layer=coded&lon=100.0&lat=20.0", "all").json
    nowhere = house.get("/height?layer=coded&lon=200&lat=95", "all").json
    strip = {"x", "y"}
    assert {k: v for k, v in beyond.items() if k not in strip} == {k: v for k, v in without.items() if k not in strip}
    assert {k: v for k, v in nowhere.items() if k not in strip} == {k: v for k, v in without.items() if k not in strip}
    outside, empty = (house.get(f"/profile?layer=coded&samples=5&line={line}", agency).json for line, agency in (
        ("118.9,32.0;119.0,32.0", "box"), ("100.0,20.0;100.1,20.0", "all"),
    ))
    for told in (outside, empty):
        assert [one["height"] for one in told["samples"]] == [None] * 5
        assert (told["lowest"], told["highest"], told["climb"], told["descent"], told["told"], told["resolution"]) == (None, None, 0, 0, 0, None)


# Styles

VIEW = View(crs="EPSG:4549", bounds=Bounds(440_000, 3_560_000, 500_000, 3_630_000), width=240, height=280)


def picture(house, layer: str, style: str, agency: str, more: str = "") -> np.ndarray:
    answer = house.get(
        f"/ows?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetMap&LAYERS={layer}&STYLES={style}&SRS={VIEW.crs}&FORMAT=image/png&TRANSPARENT=TRUE"
        f"&BBOX={','.join(map(repr, VIEW.bounds))}&WIDTH={VIEW.width}&HEIGHT={VIEW.height}{more}", agency,
    )
    assert answer.status_code == 200, answer.text
    return np.array(Image.open(io.BytesIO(answer.data)).convert("RGBA"))


@pytest.mark.parametrize("style", [*picture_styles("DEM"), "water-level"])
def test_every_style_is_cut_alike_and_shows_within_the_area_what_others_see(house, style):
    more = "&WATER_LEVEL=210&WATER_DATUM=1985" if style == "water-level" else ""
    x = VIEW.bounds.left + (np.arange(VIEW.width) + 0.5) * VIEW.resolution[0]
    y = VIEW.bounds.top - (np.arange(VIEW.height) + 0.5) * VIEW.resolution[1]
    lon, lat = transformer(VIEW.crs, "OGC:CRS84").transform(*np.meshgrid(x, y))
    places = Places(AREAS["islands"])
    inside, certain = places.inside(lon, lat), places.certain(lon, lat)
    cut, whole = picture(house, "hills", style, "islands", more), picture(house, "hills", style, "all", more)
    assert not cut[~inside & certain].any()
    assert (cut[inside & certain] == whole[inside & certain]).all()
    assert cut[..., 3].any() and 0.2 < inside.mean() < 0.95


@pytest.mark.parametrize("style", [*picture_styles("DEM"), "water-level"])
def test_of_a_classified_model_no_style_shows_a_pixel_whose_cell_reaches_beyond_the_border(house, style):
    more = "&WATER_LEVEL=6000&WATER_DATUM=1985" if style == "water-level" else ""
    shown = picture(house, "classified", style, "box", more)[..., 3] > 0
    rows, cols = np.nonzero(shown)
    x, y = VIEW.bounds.left + (cols + 0.5) * VIEW.resolution[0], VIEW.bounds.top - (rows + 0.5) * VIEW.resolution[1]
    lon, lat = transformer(VIEW.crs, "OGC:CRS84").transform(x, y)
    places = Places(AREAS["box"])
    assert shown.any() and places.inside(lon, lat).all() and shapely.covers(places.area, cells(np.unique(cell_of(lon, lat)))).all()


# Degraded

def test_a_degraded_grant_tells_one_height_a_cell_by_every_way(house):
    rng = np.random.default_rng(8)
    x, y = 480_000 + 5 * rng.uniform(1, 999, 40), 3_600_000 + 5 * rng.uniform(1, 999, 40)              # one cell of 5 km
    places = ";".join(f"{a:.3f},{b:.3f}" for a, b in zip(x, y, strict=True))
    told = house.get(f"/height?layer=hills&crs=EPSG:4549&points={places}", "coarse").json["places"]
    assert len({one["height"] for one in told}) == 1 and told[0]["resolution"] == CELL
    exact = house.get(f"/height?layer=hills&crs=EPSG:4549&points={places}", "all").json["places"]
    assert len({one["height"] for one in exact}) > 10 and exact[0]["resolution"] == STEP
    line = "480010,3600010;484990,3604990"
    profile = house.get(f"/profile?layer=hills&crs=EPSG:4549&line={line}&samples=60", "coarse").json
    assert {one["height"] for one in profile["samples"]} == {told[0]["height"]} and (profile["climb"], profile["descent"]) == (0, 0)


def test_a_degraded_terrain_tile_is_not_the_finer_one(house):
    address, view = next(iter(tiles_of(AREAS["box"].buffer(-0.15), "WebMercatorQuad")))
    coarse, fine = (
        np.array(Image.open(io.BytesIO(house.get(f"/tiles/hills/{address}?style=terrarium", agency).data)).convert("RGBA")) for agency in ("coarse", "all")
    )
    both = (coarse[..., 3] > 0) & (fine[..., 3] > 0)
    assert both.sum() > 500 and (coarse[both] != fine[both]).any(axis=1).mean() > 0.9


def test_operations_are_what_opens_each_way(house):
    """Numbers by GetCoverage, places by GetFeatureInfo, pictures by neither."""
    ways = {
        "/height?layer=hills&lon=119.8&lat=32.4": Operation.GET_FEATURE_INFO, "/profile?layer=hills&line=119.8,32.4;119.9,32.4": Operation.GET_COVERAGE,
        "/tiles/hills/WebMercatorQuad/8/213/103.png?style=terrain-rgb": Operation.GET_COVERAGE,
        "/tiles/hills.json?style=terrarium": Operation.GET_COVERAGE, "/tiles/hills/WebMercatorQuad/8/213/103.png": Operation.GET_TILE,
    }
    for number, operation in enumerate((Operation.GET_MAP, Operation.GET_TILE, Operation.GET_FEATURE_INFO, Operation.GET_COVERAGE, Operation.DOWNLOAD)):
        agency = f"only-{number}"
        house.agency(agency)
        house.grant(agency, "hills", operations=frozenset({operation}))
        for path, needed in ways.items():
            assert house.get(path, agency).status_code == (200 if operation is needed else 403), (operation, path)
