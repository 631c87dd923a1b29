"""What a file or a layer says of itself."""

import geopandas
import pyogrio
import pytest
import shapely

from layers.errors import LayerNotDefined, LayerRejected
from layers.info import file_info, layer_info
from layers.model import LayerName


def test_a_raster_tells_what_gdalinfo_would(write_raster):
    info = file_info(write_raster("a.tif", compress="deflate", nodata=0))
    assert (info.driver, info.crs, info.width, info.height, info.compression) == ("GTiff", "EPSG:4549", 100, 80, "DEFLATE")
    assert info.bounds == (382000, 3550200, 383000, 3551000) and info.resolution == (10.0, 10.0)
    assert [band.interpretation for band in info.bands] == ["red", "green", "blue"] and info.bands[0].nodata == 0
    assert len(info.checksum) == 64 and info.has_mask and not info.is_rotated


def test_a_raster_that_could_never_be_a_layer_still_tells(write_raster):
    assert file_info(write_raster("a.tif", crs=None)).crs is None
    assert file_info(write_raster("b.tif", crs="EPSG:2437")).crs == "EPSG:2437"


def test_a_vector_file_tells_of_its_tables(tmp_path):
    pyogrio.write_dataframe(geopandas.GeoDataFrame({"NAME": ["长江"]}, geometry=[shapely.Point(118, 32)], crs="EPSG:4490"),
                            tmp_path / "a.gpkg", layer="HYDP")
    (table,) = file_info(tmp_path / "a.gpkg").tables
    assert (table.name, table.crs, table.geometry, table.count) == ("HYDP", "EPSG:4490", "Point", 1)
    assert table.fields == (("NAME", "OFTString"),)


def test_what_is_neither_is_told_so(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(LayerRejected):
        file_info(tmp_path / "a.txt")
    (tmp_path / "b.tif").write_bytes(b"II*\0" + b"\0" * 20)
    with pytest.raises(LayerRejected, match="truncated or damaged"):
        file_info(tmp_path / "b.tif")


def test_a_layer_tells_its_edition_and_sheets(add, memory, write_raster):
    edition = add("DOM", write_raster("a.tif"), name="dom")
    info = layer_info(memory, LayerName.parse("dom"))
    assert info.edition == edition and [sheet.source_name for sheet in info.sheets] == ["a.tif"]
    with pytest.raises(LayerNotDefined, match="dom@1999"):
        layer_info(memory, LayerName.parse("dom@1999"))
