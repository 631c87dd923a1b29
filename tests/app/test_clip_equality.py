"""One border, however it is asked: by WFS, OGC API, download, vector tile and map, in five reference systems, it lies in the same place."""

import io
import json
import math

import geopandas
import numpy as np
import pytest
import shapely
from ordering import fetch, made
from PIL import Image
from read_tiles import read_tile

from agreements.model import Operation
from geoserver_app.features.collections import crs_uri
from layers.crs import densify, is_north_first, transform_geometry
from tiles.grids import TILE_MATRIX_SETS

CRS = "EPSG:4549"
LEFT, BOTTOM = 380_000.0, 3_540_000.0
GRANT = shapely.Polygon([(LEFT + 150, BOTTOM + 80), (LEFT + 820, BOTTOM + 230), (LEFT + 700, BOTTOM + 910), (LEFT + 240, BOTTOM + 700)])
"""No side of it runs along an axis."""
SYSTEMS = ("EPSG:4549", "EPSG:4490", "EPSG:4326", "EPSG:3857", "EPSG:4548")
ALL = frozenset({Operation.GET_FEATURE, Operation.DOWNLOAD, Operation.GET_MAP, Operation.GET_TILE})
UNITS = 4096


@pytest.fixture(scope="module")
def county(lasting_house):
    house = lasting_house
    path = house.folder / "lake.gpkg"
    geopandas.GeoDataFrame({"NAME": ["湖"]}, geometry=[shapely.box(LEFT, BOTTOM, LEFT + 1000, BOTTOM + 1000)], crs=CRS).to_file(path, layer="HYDA")
    house.layer("dlg", path, product="DLG")
    house.agency("water")
    house.grant("water", "dlg", area=transform_geometry(GRANT, CRS, "CRS:84"), operations=ALL, attributes=None)
    return house


def metres_off(found: shapely.Geometry, crs: str) -> float:
    """How far the border that was found lies from the one that was granted."""
    there = transform_geometry(densify(found, crs), crs, CRS) if crs != CRS else found
    return shapely.hausdorff_distance(there.boundary, GRANT.boundary, densify=0.05)


def swapped(shape: shapely.Geometry, crs: str) -> shapely.Geometry:
    return shapely.transform(shape, lambda points: points[:, ::-1]) if is_north_first(crs) else shape


@pytest.mark.parametrize("crs", SYSTEMS)
def test_features_lie_within_a_centimetre_by_every_way(county, tmp_path, crs):
    wfs = county.get(f"/wfs?SERVICE=WFS&REQUEST=GetFeature&TYPENAMES=dlg.HYDA&OUTPUTFORMAT=json&SRSNAME={crs}", "water").json
    api = county.get(f"/features/collections/dlg.HYDA/items?f=json&crs={crs_uri(crs)}", "water").json
    by_wfs, by_api = (shapely.from_geojson(json.dumps(one["features"][0]["geometry"])) for one in (wfs, api))
    area = {"bounds": list(transform_geometry(GRANT.buffer(300), CRS, "CRS:84").bounds)}
    package = made(county, "water", layers=["dlg"], area=area, format="gpkg", crs=crs)
    name = next(one["name"] for one in package["files"] if one["name"].endswith(".gpkg"))
    (tmp_path / name).write_bytes(fetch(county, "water", package, name))
    by_file = geopandas.read_file(tmp_path / name).geometry[0]
    for found in (by_wfs, swapped(by_api, crs), by_file):
        assert metres_off(found, crs) <= 0.01


@pytest.mark.parametrize("crs", SYSTEMS)
def test_a_map_shows_it_to_half_a_pixel(county, crs):
    border = transform_geometry(densify(shapely.segmentize(GRANT, 10), CRS), CRS, crs)
    left, bottom, right, top = border.buffer((border.bounds[2] - border.bounds[0]) / 10).bounds
    box = f"{bottom},{left},{top},{right}" if is_north_first(crs) else f"{left},{bottom},{right},{top}"
    answer = county.get(f"/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&LAYERS=dlg&STYLES=&CRS={crs}&BBOX={box}&WIDTH=400&HEIGHT=400&FORMAT=image/png"
                        "&TRANSPARENT=TRUE", "water")
    assert answer.status_code == 200, answer.text
    shown = np.asarray(Image.open(io.BytesIO(answer.data)).convert("RGBA"))[:, :, 3] > 0
    on_pixels = shapely.transform(border, lambda points: np.column_stack([(points[:, 0] - left) / (right - left) * 400, (top - points[:, 1]) / (top - bottom) * 400]))
    rows, cols = np.mgrid[0:400, 0:400] + 0.5
    off = shapely.distance(shapely.points(cols, rows), on_pixels.boundary)
    inside = shapely.contains_xy(on_pixels, cols, rows)
    assert not (shown != inside)[off > 0.5].any()


def test_a_tile_shows_it_to_one_unit(county):
    tms, z = TILE_MATRIX_SETS["WebMercatorQuad"], 14
    border = transform_geometry(densify(shapely.segmentize(GRANT, 10), CRS), CRS, tms.crs)
    first_row, last_row, first_col, last_col = tms.limits(z, type(tms.bounds(z, 0, 0))(*border.bounds))
    looked = 0
    for row in range(first_row, last_row + 1):
        for col in range(first_col, last_col + 1):
            bounds = tms.bounds(z, row, col)
            answer = county.get(f"/tiles/dlg/WebMercatorQuad/{z}/{col}/{row}.mvt", "water")
            if answer.status_code == 204 or not answer.data:
                continue
            expected = shapely.transform(border, lambda points, b=bounds: np.column_stack([
                (points[:, 0] - b.left) / b.width * UNITS, (b.top - points[:, 1]) / b.height * UNITS,
            ])) & shapely.box(0, 0, UNITS, UNITS)
            for one in read_tile(answer.data)["HYDA"]:
                looked += 1
                points = np.concatenate(one.paths)
                assert shapely.distance(shapely.points(points), expected.boundary).max() <= math.sqrt(2)
    assert looked
