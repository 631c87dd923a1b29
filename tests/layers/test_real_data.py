"""Real files, taken in as a bureau would: each is served, or gets the sentence that mends it."""

import pytest
import rasterio
import shapely

from layers.delivery.parcel import received
from layers.divisions import import_divisions
from layers.model import ProductType

pytestmark = pytest.mark.real_data


def test_two_adjoining_sheets_of_swellendam_make_one_mosaic(add, memory, store, shared_data):
    edition = add("DOM", *sorted((shared_data / "swellendam").glob("ortho_*.tif")))
    assert (edition.sheet_count, edition.crs, len(edition.mosaics)) == (2, "EPSG:4326", 1)
    assert edition.resolution == pytest.approx(2.3, abs=0.2)
    for sheet in memory.sheets(edition.edition_id):
        assert "the alpha band became the mask" in sheet.lineage
        with rasterio.open(store / edition.folder / sheet.path) as source:
            assert source.count == 3 and source.read(1).std() > 10


def test_swellendams_elevation_and_vectors_are_taken(add, shared_data):
    folder = shared_data / "swellendam"
    assert add("DEM", folder / "srtm_dem_3s_4326.tif", name="dem").height_range[1] > 1000
    lines = add("DLG", folder / "swellendam_osm_4326.gpkg", name="dlg")
    assert {"HYDL", "LRDL", "RESA"} <= {each.kind for each in lines.classes}
    cadastre = add("OVERLAY", folder / "swellendam_cadastre_utm33s.gpkg", name="cadastre")
    assert cadastre.crs == "EPSG:32733" and {each.kind for each in cadastre.classes} == {""}


def test_utahs_elevation_needs_its_nodata_said(add, refusal, shared_data):
    path = shared_data / "utah" / "provo_dem_30m_26912.tif"
    assert "say `--nodata -32767`" in refusal("DEM", path)
    edition = add("DEM", path, nodata=-32767)
    assert edition.height_range[0] > 1400 and edition.crs == "EPSG:26912"
    assert add("DOM", shared_data / "utah" / "provo_ortho_2m_rgba_26912.tif", name="ortho").resolution == 2.0
    assert len(add("DLG", shared_data / "utah" / "utah_saltlake_provo_26912.gpkg", name="lines").classes) > 8


def test_bangkok_is_taken_with_its_nodata(add, memory, shared_data):
    folder = shared_data / "bangkok"
    assert add("DEM", folder / "khlongtoei_dem_1s.tif", name="dem").height_range[1] < 50
    imagery = add("DOM", folder / "khlongtoei_sentinel2_rgb_10m_32647.tif", name="dom")
    assert any("nodata 0 in every band were hidden" in sentence for sentence in memory.sheets(imagery.edition_id)[0].lineage)
    water = add("DLG", folder / "khlongtoei_water_overture.geojson", name="water")
    assert [each.kind for each in water.classes] == ["HYDP", "HYDL", "HYDA"]


def test_washingtons_surfaces_keep_their_heights(add, shared_data):
    surface = add("DEM", shared_data / "dc_lidar" / "dsm.tif", name="dsm")
    ground = add("DEM", shared_data / "dc_lidar" / "dtm.tif", name="dtm")
    assert ground.height_range[1] < surface.height_range[1]
    assert add("OVERLAY", shared_data / "dc_lidar" / "buildings.geojson", name="buildings").classes[0].count == 84


def test_itascas_scan_is_refused_without_a_crs_and_taken_with_one(add, refusal, memory, shared_data):
    path = shared_data / "itasca" / "usgs_drg_1926.tif"
    assert refusal("DOM", path) == "usgs_drg_1926.tif: it does not say in which CRS it is: say so with `--crs EPSG:n`"
    edition = add("DOM", path, crs="EPSG:26915")
    assert edition.crs == "EPSG:26915"
    assert "the palette was expanded to red, green and blue" in memory.sheets(edition.edition_id)[0].lineage


def test_jiangsus_elevation_and_rivers_are_taken(add, shared_data):
    heights = add("DEM", shared_data / "jiangsu" / "dem" / "jiangsu_dem_30arcsec.tif", name="dem")
    assert heights.height_range[0] <= 0 and 600 < heights.resolution < 930
    rivers = add("DLG", shared_data / "jiangsu" / "hydro" / "jiangsu_hydro_ngcc_1to4m.gpkg", name="hydro")
    assert {each.kind for each in rivers.classes} == {"HYDL", "HYDA"}


def test_an_echarts_map_of_jiangsu_is_refused(refusal, shared_data):
    assert "ECharts map" in refusal("OVERLAY", shared_data / "jiangsu" / "admin" / "jiangsu_city_echarts_encoded_raw.json")


def test_every_division_of_jiangsu_has_its_code_name_and_boundary(catalogue, shared_data):
    path = shared_data / "jiangsu" / "admin" / "jiangsu_admin_tianditu_cgcs2000.gpkg"
    assert import_divisions(catalogue, path, "2023") == 109
    gulou = catalogue.division("320106")
    assert gulou.name == "鼓楼区" and gulou.geometry.contains(shapely.Point(118.77, 32.06))
    assert catalogue.division("320000").name == "江苏省"
    levels = [level for _, _, level, _ in catalogue.divisions()]
    assert {level: levels.count(level) for level in set(levels)} == {"province": 1, "city": 13, "county": 95}


def test_a_folder_of_shapefiles_is_taken_table_by_table(add, shared_data):
    folder = shared_data / "cite_wms13" / "shapefile"
    edition = add("DLG", folder)
    assert edition.sheet_count == len(received([folder], ProductType.DLG, folder).files)
    assert {"Autos", "Lakes", "Streams"} <= {each.name for each in edition.classes}
