"""A new GIS analyst's first minutes in QGIS: paste the address, see the map in its place, click on it, read the legend.

QGIS runs in a process of its own, with the Python that it came with, and is given all wishes at once, since it takes seconds to start.
"""

import json
import os
import subprocess
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from coded_picture import AROUND, LEFT, SHEET, STEP, TOP, WEST_HALF, house, judge, rgba  # noqa: F401
from served import serving

from layers.crs import transform_bounds, transform_geometry
from layers.model import Bounds

PYTHON = Path("/usr/bin/python3")
QGIS = Path("/usr/lib/python3/dist-packages/qgis")
pytestmark = [
    pytest.mark.client,
    pytest.mark.skipif(not (PYTHON.exists() and QGIS.is_dir()), reason="QGIS is not installed: apt-get install python3-qgis"),
]
WMS_CRS = ("EPSG:3857", "EPSG:4490", "EPSG:4549", "EPSG:4326")
TILE_SETS = {"WebMercatorQuad": "EPSG:3857", "tdt_c": "EPSG:4490", "jiangsu_gk120": "EPSG:4549"}
SIZE = {"width": 280, "height": 240}
CLICK = {"place": [LEFT + 200, TOP - 300], "bounds": list(AROUND), **SIZE}
ALIGNED = Bounds(LEFT - 96, TOP - 24 - 240 * 4, LEFT - 96 + 280 * 4, TOP - 24)        # on the 4 m grid of jiangsu_gk120, level 7


@pytest.fixture(scope="module")
def answers(house, tmp_path_factory):
    """What QGIS says to every wish, by its name."""
    _add_rivers_and_heights(house)
    folder = tmp_path_factory.mktemp("qgis")
    with serving(house) as base:
        wishes = wishes_of(base, house.keys["water"], folder)
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("GDAL_", "PROJ_", "PYTHON", "VIRTUAL_ENV"))}
        environ |= {"QT_QPA_PLATFORM": "offscreen", "HOME": str(folder), "QGIS_AUTH_DB_DIR_PATH": str(folder), "LANG": "C.UTF-8"}
        done = subprocess.run(
            [PYTHON, Path(__file__).with_name("qgis_session.py")], input=json.dumps(list(wishes.values())), env=environ, cwd=folder,
            capture_output=True, text=True, timeout=120,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    return {name: answer | {"to": wish.get("to")} for (name, wish), answer in zip(wishes.items(), told, strict=True)}


def picture(answer: dict) -> np.ndarray:
    return rgba(Path(answer["to"]).read_bytes())


def _add_rivers_and_heights(house) -> None:
    heights = np.tile(np.arange(200, dtype=np.float32), (240, 1)).T[None]
    house.raster("dem", np.ascontiguousarray(heights), LEFT, TOP, STEP, product="DEM", nodata=-9999)
    river = geopandas.GeoDataFrame(
        {"NAME": ["秦淮河"], "HIDDEN": ["canary-7f3a"]}, geometry=[shapely.LineString([(LEFT + 100, TOP - 300), (LEFT + 900, TOP - 300)])],
        crs="EPSG:4549",
    )
    path = house.folder / "delivered" / "rivers.gpkg"
    river.to_file(path, layer="HYDL", driver="GPKG")
    house.layer("rivers", path, product="DLG")
    area = transform_geometry(WEST_HALF, "EPSG:4549", "CRS:84")
    house.grant("water", "rivers", area=area, attributes=frozenset({"NAME"}))
    house.grant("water", "dem", area=area)


def wishes_of(base: str, key: str, folder: Path) -> dict[str, dict]:
    wms, wmts, rest = f"{base}/ows?key={key}", f"{base}/wmts?key={key}", f"{base}/wmts/1.0.0/WMTSCapabilities.xml?key={key}"
    wishes: dict[str, dict] = {}

    def wish(name: str, do: str, address: str = wms, layer: str = "coded", crs: str = "EPSG:4549", **how) -> None:
        wishes[name] = {"do": do, "address": address, "layer": layer, "crs": crs, **how}

    def draw(name: str, bounds: Bounds = AROUND, **how) -> None:
        wish(name, "draw", bounds=list(bounds), to=str(folder / f"{len(wishes)}.png"), **SIZE, **how)

    for crs in WMS_CRS:
        wish(f"wms {crs}", "describe", crs=crs)
        draw(f"draw {crs}", transform_bounds(AROUND, "EPSG:4549", crs), crs=crs)
    for way, address in {"query": wmts, "path": f"{base}/k/{key}/wmts", "document": rest}.items():
        for tms, crs in TILE_SETS.items():
            wish(f"wmts {tms} {way}", "describe", address, crs=crs, style="default", tms=tms)
    draw("draw tiles", ALIGNED, address=wmts, style="default", tms="jiangsu_gk120")
    for layer in ("coded", "dem", "rivers"):
        wish(f"click {layer}", "identify", layer=layer, **CLICK)
        wish(f"legend {layer}", "legend", layer=layer)
    wish("click beyond", "identify", layer="rivers", **CLICK | {"place": [LEFT + 800, TOP - 300]})
    draw("draw by password", address=f"{base}/ows", user="water", password=key)
    draw("tiles by password", ALIGNED, address=f"{base}/wmts", style="default", tms="jiangsu_gk120", user="water", password=key)
    for crs in ("EPSG:4549", "EPSG:4490"):
        for layer in ("coded", "dem"):
            wish(f"values {layer} {crs}", "values", f"{base}/wcs?key={key}", layer=layer, crs=crs)
    wish("hidden values", "values", f"{base}/wcs?key={key}", layer="hidden")
    wish("wrong key", "describe", f"{base}/ows?key=gsk_wrong")
    wish("hidden", "describe", layer="hidden")
    draw("draw hidden", layer="hidden")
    return wishes


@pytest.mark.parametrize("crs", WMS_CRS)
def test_a_pasted_address_gives_a_layer_at_its_place_in_every_reference_system(answers, crs):
    layer = answers[f"wms {crs}"]
    assert layer["valid"] and layer["crs"] == crs and layer["can_identify"]
    west_half = transform_bounds(Bounds(SHEET.left, SHEET.bottom, (SHEET.left + SHEET.right) / 2, SHEET.top), "EPSG:4549", crs)
    assert np.allclose(layer["extent"], west_half, atol=0.02 * (west_half.right - west_half.left))        # a box of degrees, turned a little
    assert layer["messages"] == []


@pytest.mark.parametrize("crs", WMS_CRS)
def test_the_map_is_drawn_where_it_lies_and_cut(answers, crs):
    assert answers[f"draw {crs}"]["errors"] == answers[f"draw {crs}"]["messages"] == []
    bounds = Bounds(*answers[f"draw {crs}"]["bounds"])
    judge(picture(answers[f"draw {crs}"]), crs, bounds, within=1.5)         # QGIS asks for the part that the layer covers, in whole pixels


@pytest.mark.parametrize("way", ["query", "path", "document"])
@pytest.mark.parametrize("tms", TILE_SETS)
def test_a_pasted_wmts_address_gives_its_tile_sets(answers, tms, way):
    layer = answers[f"wmts {tms} {way}"]
    assert layer["valid"] and layer["crs"] == TILE_SETS[tms] and layer["messages"] == []


def test_tiles_are_drawn_where_they_lie_and_cut(answers):
    assert answers["draw tiles"]["errors"] == answers["draw tiles"]["messages"] == []
    judge(picture(answers["draw tiles"]), "EPSG:4549", Bounds(*answers["draw tiles"]["bounds"]))


def test_a_click_tells_heights_and_granted_attributes_in_every_form(answers):
    height, river = answers["click dem"], answers["click rivers"]
    assert "= 60" in height["text"] and ">60.0<" in height["html"]
    assert float(height["features"][0]["attributes"]["height"]) == 60
    (feature,) = river["features"]
    assert feature["attributes"] == {"NAME": "秦淮河"} and "秦淮河" in river["text"] and "秦淮河" in river["html"]
    assert feature["crs"] == "EPSG:4549"
    on_the_map = shapely.from_wkt(feature["geometry"])
    assert shapely.hausdorff_distance(on_the_map, shapely.LineString([(LEFT + 100, TOP - 300), (LEFT + 600, TOP - 300)])) < 0.5
    assert "canary" not in json.dumps(river, ensure_ascii=False)


def test_a_click_beyond_the_area_tells_nothing(answers):
    assert answers["click beyond"]["features"] == []
    assert "秦淮河" not in json.dumps(answers["click beyond"], ensure_ascii=False)


def test_each_layer_has_a_legend(answers):
    for layer in ("coded", "dem", "rivers"):
        width, height = answers[f"legend {layer}"]["size"]
        assert width >= 60 and height >= 30


@pytest.mark.parametrize("crs", ["EPSG:4549", "EPSG:4490"])
def test_values_by_wcs_lie_where_they_belong_and_end_with_the_area(answers, crs):
    coded, heights = (answers[f"values {layer} {crs}"] for layer in ("coded", "dem"))
    assert coded["valid"] and heights["valid"] and coded["crs"] == heights["crs"] == crs and heights["nodata"] == -9999
    bands = np.array(coded["bands"], float)
    seen = np.where(bands[2] == 200, 255, 0)
    judge(np.moveaxis(np.concatenate([bands, seen[None]]), 0, -1).astype(int), crs, Bounds(*coded["extent"]), within=1.5)
    told = np.array(heights["bands"][0], float)
    assert 0 <= np.nanmin(told) and np.nanmax(told) <= 199 and (np.isnan(told).any() or crs == "EPSG:4549")
    if crs == "EPSG:4549":
        assert (told == np.arange(told.shape[0])[:, None]).all() or (np.diff(told, axis=0) == 1).all()


def test_values_that_are_not_granted_are_no_layer(answers):
    assert not answers["hidden values"]["valid"]


def test_a_stored_password_draws_the_same_map(answers):
    assert answers["draw by password"]["messages"] == []
    assert np.array_equal(picture(answers["draw by password"]), picture(answers["draw EPSG:4549"]))
    assert answers["tiles by password"]["messages"] == []
    assert np.array_equal(picture(answers["tiles by password"]), picture(answers["draw tiles"]))


def test_a_wrong_key_and_a_hidden_layer_give_no_layer(answers):
    assert not answers["wrong key"]["valid"] and "authentication" in " ".join(answers["wrong key"]["messages"])
    assert not answers["hidden"]["valid"] and not picture(answers["draw hidden"]).any()
