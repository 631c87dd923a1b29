"""Formats of vectors: what is taken in whole, what is told of what is lost, and the sentence of each that is not taken."""

import os
import random
import shutil
import sqlite3
import struct
import warnings
import zipfile

import geopandas
import pyogrio
import pytest
import shapely

from layers.delivery.parcel import received
from layers.delivery.refused_vectors import BY_SUFFIX, refusal_of
from layers.errors import LayersError
from layers.ingest.job import AddLayer, add_layer
from layers.ingest.vectors import VectorOptions, table_names, take_in
from layers.model import ProductType

ROAD, NAME = shapely.LineString([(118.76, 32.05, 10), (118.80, 32.06, 12)]), "秦淮河"
DLG = ProductType.DLG


def frame(shapes=(ROAD,), crs="EPSG:4490", **fields):
    return geopandas.GeoDataFrame(fields or {"NAME": [NAME] * len(shapes)}, geometry=list(shapes), crs=crs)


def write(path, features, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyogrio.write_dataframe(features, path, **options)
    return path


@pytest.fixture
def geodatabase(tmp_path):
    """A file geodatabase of two tables."""
    path = write(tmp_path / "水系.gdb", frame(), driver="OpenFileGDB", layer="HYDL")
    return write(path, frame([shapely.Polygon([(118.7, 32), (118.72, 32), (118.72, 32.02)])]), driver="OpenFileGDB", layer="HYDA")


def crafted(path, *blobs, kind="GEOMETRY", z=2, m=2):
    """A GeoPackage whose second and later lines are what GDAL's writer would not write: WKB as it stands."""
    write(path, frame([shapely.LineString([(118.7, 32), (118.71, 32)])]), layer="LRDL", geometry_type="LineString")
    with sqlite3.connect(path) as database:
        for number, name in enumerate(("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY")):
            database.create_function(name, 1, lambda _, value=(0, 118.7, 118.72, 32.0, 32.01)[number]: value)
        database.execute("UPDATE gpkg_geometry_columns SET geometry_type_name = ?, z = ?, m = ?", (kind, z, m))
        database.executemany("INSERT INTO LRDL (geom, NAME) VALUES (?, 'x')", [(b"GP\x00\x01" + struct.pack("<i", 4490) + blob,) for blob in blobs])
    database.close()
    return path


ARC = struct.pack("<BII6d", 1, 8, 3, 118.70, 32.0, 118.71, 32.01, 118.72, 32.0)
MEASURED = struct.pack("<BII8d", 1, 3002, 2, 118.70, 32.0, 5, 1, 118.71, 32.01, 6, 2)


# What is taken

def test_a_geodatabase_is_taken_with_a_table_for_each_of_its_own(add, memory, store, geodatabase):
    edition = add("DLG", geodatabase)
    assert [(one.name, one.kind, one.fields[0]) for one in edition.classes] == [("HYDL", "HYDL", "NAME"), ("HYDA", "HYDA", "NAME")]
    (sheet,) = memory.sheets(edition.edition_id)
    stored = pyogrio.read_dataframe(store / edition.folder / sheet.path, layer="HYDL")
    assert stored.NAME[0] == NAME and stored.geometry[0].has_z and sheet.source_name == "水系.gdb" and "OpenFileGDB" in sheet.lineage[0]
    kept = store / edition.folder / sheet.delivered
    assert {path.name for path in kept.parent.iterdir()} == {path.name for path in geodatabase.iterdir()}


def test_a_changed_geodatabase_is_another_and_the_same_one_changes_nothing(add, geodatabase):
    first = add("DLG", geodatabase)
    assert add("DLG", geodatabase).generation == first.generation
    write(geodatabase, frame([ROAD, ROAD]), driver="OpenFileGDB", layer="LRDL")
    assert len(add("DLG", geodatabase).classes) == 3


@pytest.mark.parametrize("flag", [0x800, 0])
def test_a_zipped_geodatabase_is_one_data_set_in_a_folder_of_a_random_name(add, geodatabase, tmp_path, flag):
    archive = tmp_path / "delivery.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for path in sorted(geodatabase.iterdir()):
            target.writestr(f"成果/水系.gdb/{path.name}", path.read_bytes())
        target.writestr("成果/水系.gdb/notes.txt", "no part of it")
    work = tmp_path / "work"
    work.mkdir()
    delivery = received([archive], DLG, work)
    (found,) = delivery.files
    assert found.name == "水系.gdb" and found.parent.parent.parent == work and not (found / "notes.txt").exists()
    assert received([archive], DLG, work).files == (found,)
    assert [one.name for one in add("DLG", archive).classes] == ["HYDL", "HYDA"]


def test_a_folder_that_holds_a_geodatabase_is_that_geodatabase(tmp_path, geodatabase):
    assert received([tmp_path], DLG, tmp_path / "work").files == (geodatabase,)


def test_only_what_makes_up_a_geodatabase_is_read(taken, geodatabase, tmp_path):
    (tmp_path / "secret").write_text("x")
    (geodatabase / "a00000099.gdbtable").symlink_to(tmp_path / "secret")
    (geodatabase / "other.shp").write_bytes(b"\0\0\x27\x0a")
    assert table_names(taken("DLG", geodatabase)[1]) == ["HYDL", "HYDA"]


def test_a_flatgeobuf_is_taken(taken, tmp_path):
    sheet, path = taken("DLG", write(tmp_path / "HYDL.fgb", frame(), driver="FlatGeobuf"))
    stored = pyogrio.read_dataframe(path, layer="HYDL")
    assert stored.NAME[0] == NAME and shapely.get_coordinates(stored.geometry[0], include_z=True)[1, 2] == 12 and "FlatGeobuf" in sheet.lineage[0]


def test_arcs_become_straight_pieces_within_a_hundred_thousandth_of_their_radius(taken, tmp_path):
    sheet, path = taken("DLG", crafted(tmp_path / "roads.gpkg", ARC))
    arc = pyogrio.read_dataframe(path, layer="LRDL").geometry[1]
    places = shapely.get_coordinates(arc)
    middles = (places[1:] + places[:-1]) / 2
    radii = shapely.distance(shapely.points(middles), shapely.Point(118.71, 32.0))
    assert len(places) > 300 and abs(radii - 0.01).max() < 0.01 * 1e-5
    assert "`LRDL`: features with arcs, made of straight pieces of 0.5 degrees (off by 0.001 % of the radius at most): 1" in sheet.lineage


def test_arcs_of_a_geodatabase_are_told_though_its_types_do_not(tmp_path, taken):
    if not shutil.which("ogr2ogr"):
        pytest.skip("needs ogr2ogr")
    table, path = tmp_path / "c.csv", tmp_path / "c.gdb"
    table.write_text('id,w\n1,"COMPOUNDCURVE((118.7 32,118.71 32),CIRCULARSTRING(118.71 32,118.72 32.01,118.73 32))"\n2,"LINESTRING(118.7 32,118.8 32.1)"\n')
    os.system(f"ogr2ogr -f OpenFileGDB {path} {table} -oo GEOM_POSSIBLE_NAMES=w -a_srs EPSG:4490 -nln LRDL -nlt MULTICURVE 2>/dev/null")
    assert any("features with arcs" in told and told.endswith(": 1") for told in taken("DLG", path)[0].lineage)


def test_m_is_left_out_and_told_so_while_z_stays(taken, tmp_path):
    sheet, path = taken("DLG", crafted(tmp_path / "roads.gpkg", MEASURED, kind="LINESTRING", m=1))
    assert "`LRDL`: M of its vertices was left out; X, Y and Z are kept" in sheet.lineage
    assert shapely.get_coordinates(pyogrio.read_dataframe(path, layer="LRDL").geometry[1], include_z=True)[:, 2].tolist() == [5, 6]


def test_mixed_kinds_with_m_are_refused_in_words(refusal, tmp_path):
    assert "mixed kinds with M: deliver points, lines and areas in tables of their own" in refusal("DLG", crafted(tmp_path / "a.gpkg", MEASURED, m=1))


@pytest.mark.parametrize("name, driver, kind", [
    ("m.shp", "ESRI Shapefile", "LINESTRINGM"), ("zm.shp", "ESRI Shapefile", "LINESTRINGZM"), ("m.fgb", "FlatGeobuf", "LINESTRINGM"),
    ("m.gdb", "OpenFileGDB", "LINESTRINGM"), ("zm.gpkg", "GPKG", "LINESTRINGZM"),
])
def test_m_is_found_in_every_format_that_has_it(tmp_path, taken, name, driver, kind):
    if not shutil.which("ogr2ogr"):
        pytest.skip("needs ogr2ogr")
    table, path = tmp_path / "t.csv", tmp_path / name
    table.write_text('id,w\n1,"LINESTRING M (118.7 32 5,118.8 32.1 6)"\n2,"LINESTRING M (118.7 32 5,118.8 32.1 7)"\n')
    os.system(f'ogr2ogr -f "{driver}" {path} {table} -oo GEOM_POSSIBLE_NAMES=w -a_srs EPSG:4490 -nlt {kind} 2>/dev/null')
    assert any("M of its vertices was left out" in told for told in taken("DLG", path)[0].lineage)


def test_what_has_no_m_says_nothing_of_it(taken, tmp_path):
    assert not any("vertices" in told or "arcs" in told for told in taken("DLG", write(tmp_path / "a.shp", frame(), encoding="UTF-8"))[0].lineage)


# What is not taken, and why

HEADS = {
    "a.dxf": b"  0\r\nSECTION\r\n  2\r\nHEADER\r\n", "b.dxf": b"AutoCAD Binary DXF\r\n\x1a\0", "a.dwg": b"AC1032\0\0\0", "a.dgn": b"\x08\x09\xfe\x02\0\0",
    "b.dgn": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 90, "a.kml": b'<?xml version="1.0"?><kml xmlns="x"/>', "a.kmz": b"PK\x03\x04xxxx",
    "a.mif": b'Version 300\nCharset "WindowsSimpChinese"\nDelimiter ","\nColumns 1\n', "a.tab": b"!table\n!version 300\n", "a.mdb": b"\0\1\0\0Standard Jet DB\0",
    "a.gml": b'<gml:FeatureCollection xmlns:gml="x"/>', "a.e00": b"EXP  0 A.E00", "a.csv": b"name,x,y\n", "a.xlsx": b"PK\x03\x04xxxx", "a.gpx": b"<gpx/>",
    "a.osm": b"<osm/>", "a.parquet": b"PAR1", "a.wl": b"WMAP`D22", "a.udbx": b"SQLite-like", "a.las": b"LASF", "a.ifc": b"ISO-10303-21;", "a.qgs": b"<qgis/>",
}


@pytest.mark.parametrize("name", sorted(HEADS))
def test_each_format_that_is_not_taken_says_why_and_the_way_out(tmp_path, refusal, memory, name):
    (tmp_path / name).write_bytes(HEADS[name])
    said = refusal("DLG", tmp_path / name)
    assert said.startswith(f"{name}: it is ") and said.count(": ") >= 2 and not memory.snapshot().layers
    assert str(refusal_of(tmp_path / name)) == said


@pytest.mark.parametrize("name", sorted(HEADS))
def test_the_same_is_said_where_it_lies_in_a_folder_alone(tmp_path, name):
    folder = tmp_path / "delivered"
    folder.mkdir()
    (folder / name).write_bytes(HEADS[name])
    delivery = received([folder], DLG, tmp_path / "work")
    assert not delivery.files and [str(fault) for fault in delivery.faults] == [str(refusal_of(folder / name))]


def test_what_is_left_out_beside_good_files_is_told_and_the_good_ones_are_taken(tmp_path):
    write(tmp_path / "HYDL.gpkg", frame())
    for name in ("a.dwg", "a.kml", "a.csv"):
        (tmp_path / name).write_bytes(HEADS[name])
    (tmp_path / "readme.txt").write_text("x")
    (tmp_path / "sheets.csv").write_text("file,currency\nHYDL.gpkg,2011-06-01\n")
    delivery = received([tmp_path], DLG, tmp_path / "work")
    assert [path.name for path in delivery.files] == ["HYDL.gpkg"] and not delivery.faults
    assert sorted(told.split(":")[0] for told in delivery.told) == ["a.csv", "a.dwg", "a.kml"]


def test_a_suffix_alone_is_enough_where_bytes_say_nothing(tmp_path):
    for suffix in BY_SUFFIX:
        path = tmp_path / f"a{suffix}"
        path.write_bytes(b"\x01\x02nothing known")
        assert str(refusal_of(path)).startswith(f"a{suffix}: it is ")


@pytest.mark.parametrize("missing, words", [
    (".shx", "its index (.shx) is missing: deliver all of its parts"), (".prj", "it does not say in which CRS it is"), (".shp", "a part of a shapefile whose .shp is missing"),
])
def test_a_shapefile_without_one_of_its_parts_says_which(tmp_path, missing, words):
    folder = tmp_path / "delivered"
    folder.mkdir()
    path = write(folder / "HYDL.shp", frame(), encoding="UTF-8")
    path.with_suffix(missing).unlink()
    delivery = received([folder], DLG, tmp_path / "work")
    said = [str(fault) for fault in delivery.faults]
    if delivery.files:
        with pytest.raises(Exception) as caught:
            add_layer(_memory(), tmp_path / "store", AddLayer(product=DLG, name="a", edition="1", paths=(folder,)), workers=0)
        said = [str(each) for each in caught.value.rejected]
    assert len(said) == 1 and words in said[0]


def _memory():
    from layers.catalogue import InMemoryCatalogue
    return InMemoryCatalogue()


@pytest.mark.parametrize("spoil, words", [
    (lambda folder: (folder / "a00000001.gdbtable").unlink(), "it is not a whole file geodatabase"),
    (lambda folder: (folder / "gdb").unlink(), "it is not a whole file geodatabase"),
    (lambda folder: (folder / "a0000000a.cdf").write_bytes(b"x"), "compressed (CDF)"),
    (lambda folder: (folder / "a00000009.gdbtable").write_bytes(b"\x03\0\0\0garbage"), "truncated or damaged"),
    (lambda folder: (folder / "a00000001.gdbtable").write_bytes(b""), "truncated or damaged"),
])
def test_a_spoiled_geodatabase_is_refused_in_a_sentence(refusal, geodatabase, spoil, words):
    spoil(geodatabase)
    assert words in refusal("DLG", geodatabase)


@pytest.mark.parametrize("name, content, words", [
    ("a.fgb", b"fgb\x02fgb\0" + b"\0" * 40, "a FlatGeobuf of an old version"), ("b.fgb", b"fgb\x03fgb\1" + b"\xff" * 40, "truncated or damaged"),
    ("a.gpkg", b"\0" * 5000, "nothing but zeros"), ("b.gpkg", b"", "the file is empty"), ("c.gpkg", b"SQLite format 3\0" + b"\xff" * 2000, "truncated or damaged"),
    ("a.geojson", b'{"displayFieldName": "", "geometryType": "esriGeometryPoint"}', "the JSON of an ArcGIS service"), ("d.gpkg", b"<!doctype html><html>login", "a web page"),
    ("e.gpkg", b"version https://git-lfs.github.com/spec/v1", "the pointer to a file"), ("f.gpkg", b"II*\0", "a raster, not vectors"),
])
def test_each_bad_file_has_its_sentence(refusal, tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    assert words in refusal("DLG", tmp_path / name)


@pytest.mark.parametrize("table, words", [("tiles", "tiles (MBTiles)"), ("spatial_ref_sys", "a SpatiaLite database"), ("notes", "a database (SQLite)")])
def test_another_database_is_not_a_geopackage(refusal, tmp_path, table, words):
    with sqlite3.connect(tmp_path / "a.gpkg") as database:
        database.execute(f"CREATE TABLE {table} (x)")
    database.close()
    assert words in refusal("DLG", tmp_path / "a.gpkg")


def test_a_truncated_flatgeobuf_is_refused_and_not_half_taken(refusal, tmp_path):
    path = write(tmp_path / "a.fgb", frame([shapely.Point(118.7 + n / 1000, 32) for n in range(500)]), driver="FlatGeobuf")
    path.write_bytes(path.read_bytes()[:-5000])
    assert "truncated or damaged" in refusal("DLG", path)


@pytest.mark.parametrize("suffix, spoil, words", [
    (".dbf", lambda data: data[:-20], "its part `.dbf` is shorter than its head says"), (".shp", lambda data: data[:-20], "its part `.shp` is shorter than its head says"),
    (".shx", lambda data: data[:-8], "its part `.shx` is shorter"), (".dbf", lambda data: data[:4] + struct.pack("<I", 3) + data[8:], "it has 5 shapes, but 3 rows of attributes"),
    (".shp", lambda data: data[:20], "it is truncated"), (".prj", lambda data: b"nonsense", "it does not say in which CRS"),
])
def test_parts_of_a_shapefile_that_were_cut_off_or_do_not_belong_together_are_refused(refusal, tmp_path, suffix, spoil, words):
    path = write(tmp_path / "HYDL.shp", frame([ROAD] * 5, NAME=list("abcde")), encoding="UTF-8").with_suffix(suffix)
    path.write_bytes(spoil(path.read_bytes()))
    assert words in refusal("DLG", path.with_suffix(".shp"))


@pytest.mark.parametrize("name, driver", [("a.gpkg", "GPKG"), ("a.shp", "ESRI Shapefile"), ("a.fgb", "FlatGeobuf"), ("a.geojson", "GeoJSON"), ("a.gdb", "OpenFileGDB")])
def test_whatever_bytes_are_wrong_it_is_a_sentence_or_taken_with_every_loss_told(tmp_path, name, driver):
    whole = write(tmp_path / name, frame([ROAD] * 20, NAME=[NAME] * 20), driver=driver)
    files = sorted(path for path in (whole.iterdir() if whole.is_dir() else tmp_path.iterdir()) if path.is_file() and path.stat().st_size)
    kept, rolls, clean = {path: path.read_bytes() for path in files}, random.Random(name), tmp_path / "clean.gpkg"
    for _ in range(25):
        victim = rolls.choice(files)
        data = bytearray(kept[victim])
        if rolls.random() < 0.3:
            data = data[:rolls.randrange(len(data))]
        for _ in range(rolls.choice((1, 5, 40)) if data else 0):
            data[rolls.randrange(len(data))] = rolls.randrange(256)
        victim.write_bytes(data)
        try:
            sheet = take_in(whole, VectorOptions(product=DLG), "0" * 64, clean, "clean.gpkg", checked=[])
        except LayersError as error:
            assert str(tmp_path) not in str(error) and ": " in str(error)
        else:
            count = sum(pyogrio.read_info(clean, layer=table, force_feature_count=True)["features"] for table in table_names(clean))
            assert count == 20 or any("dropped" in told or "not read" in told for told in sheet.lineage), sheet.lineage
        victim.write_bytes(kept[victim])


def test_members_of_a_geojson_that_are_no_features_are_told(taken, tmp_path):
    path = write(tmp_path / "a.geojson", frame([ROAD] * 3, NAME=list("abc")), driver="GeoJSON")
    path.write_text(path.read_text("utf-8").replace('"Feature"', '"Featuse"', 1), "utf-8")
    sheet, clean = taken("DLG", path)
    assert "warning: `a`: members that are no features by GeoJSON were not read: 1" in sheet.lineage and len(pyogrio.read_dataframe(clean, layer="a")) == 2
