"""Vector files on the way in: text in its true encoding, sound geometry, one table a class."""

import json

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely

from layers.ingest.vectors import parts_of, table_names

HERE = (118.76, 32.05)


def frame(geometries=None, crs="EPSG:4490", **fields):
    geometries = [shapely.Point(118.76, 32.05), shapely.Point(118.77, 32.06)] if geometries is None else geometries
    return geopandas.GeoDataFrame(fields or {"NAME": [f"n{i}" for i in range(len(geometries))]}, geometry=geometries, crs=crs)


@pytest.fixture
def write(tmp_path):
    def run(name, features, **options):
        path = tmp_path / name
        pyogrio.write_dataframe(features, path, **options)
        return path
    return run


def square(x=118.7, y=32.0, side=0.01):
    return shapely.box(x, y, x + side, y + side)


def read(path, table):
    return pyogrio.read_dataframe(path, layer=table)


# Shapefiles of China

@pytest.fixture
def gbk_shapefile(write):
    def run(name="rivers.shp", texts=("南京市鼓楼区", "秦淮河"), encoding="GB18030"):
        path = write(name, frame(NAME=list(texts)), encoding=encoding)
        path.with_suffix(".cpg").unlink()
        return path
    return run


def test_a_gbk_shapefile_without_cpg_is_read_right(taken, gbk_shapefile):
    sheet, path = taken("DLG", gbk_shapefile())
    assert list(read(path, "rivers").NAME) == ["南京市鼓楼区", "秦淮河"]
    assert "attribute text was read as GB18030: the file does not say, its bytes do" in sheet.lineage


def test_bare_gdal_would_have_garbled_it(gbk_shapefile):
    assert pyogrio.read_dataframe(gbk_shapefile()).NAME[0] != "南京市鼓楼区"


def test_a_utf8_shapefile_without_cpg_is_read_right(taken, gbk_shapefile):
    _, path = taken("DLG", gbk_shapefile(encoding="UTF-8"))
    assert list(read(path, "rivers").NAME) == ["南京市鼓楼区", "秦淮河"]


def test_a_chinese_field_name_survives(taken, write):
    path = write("rivers.shp", frame(名称=["长江", "淮河"]), encoding="GB18030")
    path.with_suffix(".cpg").unlink()
    _, written = taken("DLG", path)
    assert list(read(written, "rivers").名称) == ["长江", "淮河"]


def test_a_language_byte_is_enough(taken, gbk_shapefile):
    path = gbk_shapefile()
    table = bytearray(path.with_suffix(".dbf").read_bytes())
    table[29] = 0x4D
    path.with_suffix(".dbf").write_bytes(table)
    assert read(taken("DLG", path)[1], "rivers").NAME[0] == "南京市鼓楼区"


def test_a_text_cut_in_the_middle_of_a_character_does_not_hide_its_encoding(taken, gbk_shapefile):
    path = gbk_shapefile(texts=("长" * 126 + "xx", "秦淮河"))
    table = path.with_suffix(".dbf")
    text = ("长" * 126 + "xx").encode("GB18030")
    assert table.read_bytes().count(text) == 1
    table.write_bytes(table.read_bytes().replace(text, ("x" + "长" * 127).encode("GB18030")[:254]))
    _, written = taken("DLG", path)
    assert list(read(written, "rivers").NAME)[1] == "秦淮河"


def test_text_that_is_neither_utf8_nor_chinese_asks_for_its_encoding(refusal, taken, gbk_shapefile):
    path = gbk_shapefile(texts=("Köln", "Düren"), encoding="ISO-8859-1")
    assert refusal("DLG", path).endswith("neither UTF-8 nor GB18030, and it has no .cpg: say which with `--encoding`")
    assert list(read(taken("DLG", path, encoding="ISO-8859-1")[1], "rivers").NAME) == ["Köln", "Düren"]


@pytest.mark.parametrize("encoding, words", [("klingon", "encoding `klingon` is not known"), ("UTF-8", "its attribute text is not UTF-8")])
def test_a_wrong_encoding_is_refused_not_garbled(refusal, gbk_shapefile, encoding, words):
    assert words in refusal("DLG", gbk_shapefile(), encoding=encoding)


def test_a_cpg_that_lies_is_found_out(refusal, gbk_shapefile):
    path = gbk_shapefile()
    path.with_suffix(".cpg").write_text("UTF-8")
    assert "--encoding" in refusal("DLG", path)


def test_a_shapefile_without_prj_asks_for_its_crs(refusal, taken, gbk_shapefile):
    path = gbk_shapefile()
    path.with_suffix(".prj").unlink()
    assert refusal("DLG", path) == "rivers.shp: it does not say in which CRS it is: say so with `--crs EPSG:n`"
    assert taken("DLG", path, crs="EPSG:4490")[0].crs == "EPSG:4490"


def test_every_part_of_a_shapefile_counts_for_its_checksum(gbk_shapefile, add, memory):
    path = gbk_shapefile()
    first = add("DLG", path)
    assert [part.suffix for part in parts_of(path)] == [".shp", ".shx", ".dbf", ".prj"]
    other = gbk_shapefile(texts=("扬州市邗江区", "秦淮河"))
    assert add("DLG", other).generation > first.generation


# Other files

def test_every_table_of_a_geopackage_becomes_a_class(add, write, store):
    path = write("lines.gpkg", frame([shapely.LineString([(118.7, 32), (118.8, 32.1)])], NAME=["长江"], GB=["210101"]), layer="HYDL")
    write("lines.gpkg", frame([square()], NAME=["玄武湖"]), layer="HYDA")
    edition = add("DLG", path)
    rivers, lakes = edition.classes
    assert (rivers.name, rivers.kind, rivers.geometry, rivers.fields, rivers.count) == ("HYDL", "HYDL", "line", ("NAME", "GB"), 1)
    assert (lakes.kind, lakes.geometry) == ("HYDA", "area") and rivers.title_zh and rivers.title_en
    assert rivers.bounds == pytest.approx((118.7, 32, 118.8, 32.1)) and edition.crs == "EPSG:4490"
    assert edition.extent.bounds == pytest.approx((118.7, 32, 118.8, 32.1))
    assert table_names(store / edition.folder / edition.vectors) == ["HYDL", "HYDA"]
    assert list(read(store / edition.folder / edition.vectors, "HYDL").GB) == ["210101"]


def test_an_overlay_is_drawn_plainly_whatever_its_tables_are_called(add, write):
    assert add("OVERLAY", write("a.gpkg", frame(), layer="HYDL")).classes[0].kind == ""


def test_tables_have_a_spatial_index(taken, write):
    import sqlite3
    _, path = taken("DLG", write("a.gpkg", frame(), layer="points"))
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM gpkg_extensions WHERE extension_name = 'gpkg_rtree_index'").fetchone() == (1,)
    database.close()


def test_sheets_of_one_class_meet_in_one_table(add, memory, store, write):
    west = write("I50G095077_HYDL.gpkg", frame([shapely.LineString([(118.76, 32.05), (118.80, 32.06)])], NAME=["a"]), layer="HYDL")
    east = write("I50G095078_HYDL.gpkg", frame([shapely.LineString([(118.82, 32.05), (118.86, 32.06)])], NAME=["b"]), layer="HYDL")
    edition = add("DLG", west, east)
    assert [(c.name, c.count) for c in edition.classes] == [("HYDL", 2)]
    assert [sheet.number for sheet in memory.sheets(edition.edition_id)] == ["I50G095077", "I50G095078"]
    assert set(read(store / edition.folder / edition.vectors, "HYDL").NAME) == {"a", "b"}


def test_a_sheet_number_in_a_shapefile_name_is_not_part_of_the_class(add, write):
    assert add("DLG", write("I50G095077_HYDP.shp", frame(), encoding="UTF-8")).classes[0].name == "HYDP"


def test_lines_that_are_not_where_their_sheet_number_says_are_refused(refusal, write):
    assert "its name says sheet `I50G095090`" in refusal("DLG", write("I50G095090_HYDP.gpkg", frame(), layer="HYDP"))


def test_files_of_two_crs_meet_in_the_first(add, store, write):
    line = shapely.LineString([(118.76, 32.05), (118.80, 32.06)])
    first = write("one.gpkg", frame([line]), layer="HYDL")
    second = write("two.gpkg", frame([line], NAME=["x"]).to_crs("EPSG:4549"), layer="HYDL")
    edition = add("DLG", first, second)
    both = read(store / edition.folder / edition.vectors, "HYDL")
    assert edition.crs == "EPSG:4490" and len(both) == 2
    assert both.geometry[0].hausdorff_distance(both.geometry[1]) < 1e-9


def test_mixed_geometries_are_split_by_kind_and_said_so(taken, add, write):
    sheet, path = taken("DLG", write("a.geojson", frame([shapely.Point(*HERE), square(), square(118.8)])))
    assert table_names(path) == ["a_point", "a_area"]
    assert "`a` mixes geometries and was split: 1 point, 2 area" in sheet.lineage


def test_collections_are_taken_apart(taken, write):
    both = shapely.GeometryCollection([shapely.Point(*HERE), square()])
    sheet, path = taken("DLG", write("a.gpkg", frame([both, square(118.9)], NAME=["x", "y"]), layer="a", geometry_type="Unknown"))
    assert list(read(path, "a_point").NAME) == ["x"] and list(read(path, "a_area").NAME) == ["x", "y"]
    assert any("geometry collections taken apart, their attributes repeated: 1" in sentence for sentence in sheet.lineage)


def test_invalid_polygons_are_repaired_and_counted(taken, write):
    bow = shapely.Polygon([(118.7, 32), (118.8, 32.1), (118.8, 32), (118.7, 32.1)])
    sheet, path = taken("DLG", write("a.gpkg", frame([bow, square()]), layer="a"))
    stored = read(path, "a")
    assert stored.geometry.is_valid.all() and len(stored) == 2
    assert "`a`: invalid geometries repaired: 1" in sheet.lineage


def test_features_without_geometry_are_dropped_and_counted(taken, write):
    sheet, path = taken("DLG", write("a.gpkg", frame([None, square(), shapely.Polygon()]), layer="a", geometry_type="Polygon"))
    assert len(read(path, "a")) == 1
    assert "`a`: features without geometry dropped: 2" in sheet.lineage


def test_an_empty_file_of_features_is_refused(refusal, write):
    path = write("empty.gpkg", frame([]), layer="a", geometry_type="Point")
    assert refusal("DLG", path) == "empty.gpkg: it holds no feature with a geometry: see that the right file was given"


def test_an_empty_table_among_others_is_left_out_and_said_so(taken, write):
    write("a.gpkg", frame([], NAME=[]), layer="nothing", geometry_type="Point")
    sheet, path = taken("DLG", write("a.gpkg", frame(), layer="points"))
    assert table_names(path) == ["points"] and "table `nothing` is empty and was left out" in sheet.lineage


def test_heights_of_vertices_are_kept(taken, write):
    line = shapely.LineString([(118.7, 32, 5.5), (118.8, 32.1, 7.25)])
    _, path = taken("DLG", write("a.gpkg", frame([line]), layer="a"))
    assert [z for _, _, z in read(path, "a").geometry[0].coords] == [5.5, 7.25]


def test_text_stays_text_and_loses_its_control_characters(taken, write):
    sheet, path = taken("DLG", write("a.geojson", frame(PAC=["007", "320106"], NOTE=["a\x01b\x1b", "新\n行"])))
    stored = read(path, "a")
    assert list(stored.PAC) == ["007", "320106"] and list(stored.NOTE) == ["ab", "新\n行"]
    assert any("texts from which control characters were stripped: 1" in sentence for sentence in sheet.lineage)


def test_fields_called_like_the_tables_own_columns_are_kept(taken, tmp_path):
    features = [{"type": "Feature", "properties": {"fid": "A1", "geom": "x", "Name": "n", "name": "m", "tags": ["a", "b"]},
                 "geometry": {"type": "Point", "coordinates": HERE}}]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    _, path = taken("OVERLAY", tmp_path / "a.geojson")
    row = read(path, "a").iloc[0]
    assert (row.fid, row.geom_2, row.Name, row.name_2, row.tags) == ("A1", "x", "n", "m", '["a", "b"]')


def test_numbers_and_missing_values_stay_what_they_are(taken, write):
    _, path = taken("DLG", write("a.gpkg", frame(LANES=[2, 4], WIDTH=[7.5, np.nan], NAME=["x", None]), layer="a"))
    stored = read(path, "a")
    assert list(stored.LANES) == [2, 4] and stored.WIDTH[0] == 7.5 and stored.WIDTH.isna()[1] and stored.NAME.isna()[1]


@pytest.mark.parametrize("crs", ["EPSG:4610", "EPSG:4214"])
def test_lines_in_chinas_old_datums_are_refused(refusal, write, crs):
    assert "deliver the data in CGCS2000" in refusal("DLG", write("old.gpkg", frame(crs=crs), layer="a"))


def test_a_layer_that_would_be_torn_apart_is_refused(refusal, write):
    across = frame([shapely.Point(118.8, 32.05), shapely.Point(120.3, 31.6)], crs="EPSG:4214")
    assert "Beijing 1954" in refusal("DLG", write("torn.gpkg", across, layer="a"))


def test_an_echarts_map_is_not_geojson(refusal, tmp_path):
    (tmp_path / "js.json").write_text('{"type":"FeatureCollection","UTF8Encoding":true,"features":[{"geometry":{"type":"Polygon",'
                                      '"coordinates":["@@ABC"],"encodeOffsets":[[1,2]]}}]}')
    assert "ECharts map, not GeoJSON" in refusal("OVERLAY", tmp_path / "js.json")


def test_geojson_is_in_degrees_unless_it_says_otherwise(refusal, taken, tmp_path):
    point = {"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [384589.6, 3547340.1]}}]}
    path = tmp_path / "metres.geojson"
    path.write_text(json.dumps(point))
    assert "lies outside where `EPSG:4326` is used" in refusal("OVERLAY", path)
    sheet, _ = taken("OVERLAY", path, crs="EPSG:4549")
    assert sheet.crs == "EPSG:4549" and sheet.footprint.centroid.x == pytest.approx(118.778, abs=0.001)


@pytest.mark.parametrize("content, words", [
    ("", "the file is empty"), ("just text", "it is not a GeoPackage, Shapefile, file geodatabase, FlatGeobuf or GeoJSON"),
    ('{"type": "FeatureCollection", "feat', "truncated"),
    ("HeadBegin\nDataMark: LANDUSE-VCT", "VCT"), ("<OGRVRTDataSource/>", "a project that only points at data"), ('{"type": "Topology"}', "TopoJSON"),
])
def test_what_is_no_vector_file_is_told_so(refusal, tmp_path, content, words):
    (tmp_path / "a.json").write_text(content)
    assert words in refusal("OVERLAY", tmp_path / "a.json")


def test_a_truncated_geopackage_is_refused(refusal, write):
    path = write("a.gpkg", frame([square(118 + n / 1000) for n in range(2000)]), layer="a")
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    assert "truncated or damaged" in refusal("DLG", path)


def test_taking_a_file_in_twice_is_asked_only_once(add, write, memory):
    path = write("a.gpkg", frame(), layer="a")
    first = add("DLG", path)
    assert add("DLG", path) == first and memory.epoch() == 1
