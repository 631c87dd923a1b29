"""A county with imagery, elevation and rivers, three agencies and what each may see; and short words for asking the service about it."""

import io

import geopandas
import numpy as np
import pytest
import shapely
from lxml import etree
from PIL import Image

from agreements.model import Operation
from layers.crs import is_north_first, transform_bounds, transform_geometry
from layers.model import Bounds

CRS = "EPSG:4549"
LEFT, TOP, STEP, SIDE = 384000.0, 3548000.0, 5.0, 200
WHOLE = Bounds(LEFT, TOP - SIDE * STEP, LEFT + SIDE * STEP, TOP)
MIDDLE = LEFT + SIDE * STEP / 2
WEST = shapely.segmentize(shapely.box(LEFT - 500, WHOLE.bottom - 500, MIDDLE, TOP + 500), 50)
WEST_HALF = transform_geometry(WEST, CRS, "CRS:84")
RIVER = shapely.LineString([(LEFT + 100, TOP - 300), (LEFT + 900, TOP - 300)])


def pixels_of(side: int = SIDE) -> np.ndarray:
    """Red in the west, blue in the east; green tells the row."""
    bands = np.zeros((3, side, side), np.uint8)
    bands[0, :, : side // 2], bands[2, :, side // 2:] = 200, 200
    bands[1] = np.linspace(50, 150, side).astype(np.uint8)[:, None]
    return bands


@pytest.fixture(scope="module")
def county(lasting_house):
    house = lasting_house
    house.raster("dom", pixels_of(), LEFT, TOP, STEP, nearest=True, title_zh="影像", title_en="Imagery")
    heights = np.tile(np.arange(SIDE, dtype=np.float32), (SIDE, 1))[None]
    house.raster("dem", heights, LEFT, TOP, STEP, product="DEM", nodata=-9999, title_zh="高程", title_en="Heights")
    house.raster("secret", pixels_of(), LEFT, TOP, STEP)
    rivers = geopandas.GeoDataFrame(
        {"NAME": ["秦淮河 <b>"], "WIDTH": [12.5], "SHAPE_LENGTH": [800.0], "HIDDEN": ["canary-7f3a"]}, geometry=[RIVER], crs=CRS,
    )
    path = house.folder / "delivered" / "rivers.gpkg"
    rivers.to_file(path, layer="HYDL", driver="GPKG")
    house.layer("dlg", path, product="DLG", title_zh="线划图", title_en="Line map")
    house.agency("water")
    house.agency("nobody")
    house.agency("tiler")
    house.grant("water", "dom", area=WEST_HALF)
    house.grant("water", "dem", styles=frozenset({"slope", "hillshade"}))
    house.grant("water", "dlg", area=WEST_HALF, attributes=frozenset({"NAME", "HYDL.SHAPE_LENGTH"}))
    house.grant("tiler", "dom", operations={Operation.GET_TILE})
    return house


def box_in(crs: str, version: str, bounds: Bounds = WHOLE) -> str:
    left, bottom, right, top = transform_bounds(bounds, CRS, crs) if crs != CRS else bounds
    values = (bottom, left, top, right) if version == "1.3.0" and is_north_first(crs) else (left, bottom, right, top)
    return ",".join(map(repr, map(float, values)))


def map_query(layers: str = "dom", crs: str = CRS, version: str = "1.3.0", bounds: Bounds = WHOLE, **changes) -> dict:
    return {
        "SERVICE": "WMS", "VERSION": version, "REQUEST": "GetMap", "LAYERS": layers, "STYLES": "",
        "CRS" if version == "1.3.0" else "SRS": crs,
        "BBOX": box_in(crs, version, bounds), "WIDTH": "100", "HEIGHT": "100", "FORMAT": "image/png", "TRANSPARENT": "TRUE",
    } | changes


def click_query(layers: str, column: int, row: int, info: str = "application/json", version: str = "1.3.0", **changes) -> dict:
    column_name, row_name = ("I", "J") if version == "1.3.0" else ("X", "Y")
    return map_query(layers, version=version) | {
        "REQUEST": "GetFeatureInfo", "QUERY_LAYERS": layers, "INFO_FORMAT": info, column_name: str(column), row_name: str(row),
        "FEATURE_COUNT": "10",
    } | changes


def ask(house, query: dict | str, agency: str | None = "water", path: str = "/ows", **headers):
    if agency:
        headers["X-API-Key"] = house.keys[agency]
    return house.client().get(path, query_string=query, headers=headers)


def picture(response) -> np.ndarray:
    assert response.status_code == 200, response.text
    return np.array(Image.open(io.BytesIO(response.data)).convert("RGBA"))


def exception(response) -> tuple[str, str, str]:
    """Code, locator and text of an exception of WMS or WMTS."""
    root = etree.fromstring(response.data)
    (one,) = [e for e in root.iter() if etree.QName(e).localname in ("ServiceException", "Exception")]
    return one.get("code") or one.get("exceptionCode"), one.get("locator"), " ".join("".join(one.itertext()).split())
