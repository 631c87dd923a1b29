"""Every bad file gets its own sentence, whatever it is called; and what a header names elsewhere is never followed."""

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine

from layers.delivery import companions, formats
from layers.errors import LayerRejected

GRID = {"width": 100, "height": 80, "count": 1, "dtype": "uint8", "crs": "EPSG:4549", "transform": Affine(10, 0, 382000, 0, -10, 3551000)}
CELLS = np.random.default_rng(4).integers(1, 255, (1, 80, 100)).astype(np.uint8)


def written(path, driver, values=CELLS, **options):
    profile = GRID | {"count": values.shape[0], "height": values.shape[1], "width": values.shape[2], "dtype": values.dtype} | options
    with rasterio.open(path, "w", driver=driver, **profile) as target:
        target.write(values)
    return path


def read(path):
    with formats.opened(path) as source:
        return source.read(), source.crs, tuple(source.bounds), formats.remarks(source)


def fault(path):
    with pytest.raises(LayerRejected) as caught:
        read(path)
    assert str(path.parent) not in str(caught.value)
    return str(caught.value).removeprefix(f"{path.name}: ")


# Good ones

@pytest.mark.parametrize("name, driver, options, said", [
    ("a.tif", "GTiff", {}, ()), ("a.TIF", "GTiff", {}, ()), ("a.tiff", "GTiff", {"bigtiff": "YES"}, ()), ("a.btf", "GTiff", {"bigtiff": "YES"}, ()),
    ("a.img", "HFA", {}, ("read as ERDAS IMAGINE",)), ("a.img", "HFA", {"USE_SPILL": "YES"}, ("read as ERDAS IMAGINE",)),
    ("a.jp2", "JP2OpenJPEG", {"QUALITY": "100", "REVERSIBLE": "YES"}, ("read as JPEG2000",)),
])
def test_each_format_that_is_taken_reads_as_it_was_written(tmp_path, name, driver, options, said):
    values, crs, bounds, told = read(written(tmp_path / name, driver, **options))
    assert (values == CELLS).all() and crs.to_epsg() == 4549 and bounds == (382000, 3550200, 383000, 3551000) and told == said


def test_a_jpeg_is_placed_by_its_world_file_and_a_prj(tmp_path):
    Image.fromarray(np.full((80, 100, 3), 90, np.uint8)).save(tmp_path / "图.jpg")
    (tmp_path / "图.JGW").write_text("10\r\n0\r\n0\r\n-10\r\n382005\r\n3550995\r\n")
    (tmp_path / "图.prj").write_text(rasterio.crs.CRS.from_epsg(4549).to_wkt())
    _, crs, bounds, told = read(tmp_path / "图.jpg")
    assert crs.to_epsg() == 4549 and bounds == (382000, 3550200, 383000, 3551000)
    assert told == ("read as JPEG", "its CRS is that of the .prj beside it", "its world file `图.JGW` was there")


@pytest.mark.parametrize("product, name, driver, values", [
    ("DOM", "a.img", "HFA", np.repeat(CELLS, 3, axis=0)), ("DEM", "a.img", "HFA", CELLS.astype(np.float32)), ("DOM", "a.jp2", "JP2OpenJPEG", np.repeat(CELLS, 3, axis=0)),
])
def test_img_and_jpeg2000_become_sheets(taken, tmp_path, product, name, driver, values):
    sheet, target = taken(product, written(tmp_path / name, driver, values))
    with rasterio.open(target) as source:
        assert source.driver == "GTiff" and source.crs.to_epsg() == 4549
    assert any(told.startswith("read as ") for told in sheet.lineage)


# Bad ones: how they begin

WHAT = {
    "empty": (b"", "the file is empty: deliver it again"),
    "zeros": (b"\0" * 5000, "it begins with nothing but zeros"),
    "pdf": (b"%PDF-1.7\n", "it is a PDF, not what its name says: export the picture as GeoTIFF"),
    "zip": (b"PK\x03\x04", "it is a zip archive"), "rar": (b"Rar!\x1a", "it is a RAR archive"), "7z": (b"7z\xbc\xaf\x27", "it is a 7-Zip archive"),
    "gz": (b"\x1f\x8b\x08", "it is packed by gzip"), "jpeg": (b"\xff\xd8\xff\xe0", "it is a JPEG, not what its name says: name it `.jpg`"),
    "png": (b"\x89PNG\r\n", "it is a PNG"), "bmp": (b"BM6\0", "it is a bitmap"), "gif": (b"GIF89a", "it is a GIF"),
    "ecw": (b"ecw\0\0", "it is an ECW"), "sid": (b"msid\1", "it is a MrSID"), "img": (b"EHFA_HEADER_TAG\0", "it is an ERDAS IMAGINE file, not what its name says: name it `.img`"),
    "jp2": (b"\0\0\0\x0cjP  \r\n\x87\n", "it is a JPEG2000, not what its name says: name it `.jp2`"),
    "ige": (b"ERDAS_IMG_EXTERNAL_RASTER\0", "it is the pixel file of an IMG"),
    "html": (b"<!DOCTYPE html><html><body>login", "it is a web page, perhaps that of a login"), "html2": (b"\xef\xbb\xbf\n<HTML>", "it is a web page"),
    "vrt": (b'<VRTDataset rasterXSize="1">', "it is a VRT, which only points at other files, not a GeoTIFF: deliver those files"),
    "xml": (b"<?xml version='1.0'?><GDAL_WMS/>", "it is XML"), "json": (b'{"type": "FeatureCollection"}', "it is a JSON"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid", "it is the pointer to a file, not the file: fetch the file itself"),
    "gpkg": (b"SQLite format 3\0", "it is a database"), "shp": (b"\0\0\x27\x0a\0\0", "it is a Shapefile"), "nc": (b"CDF\1", "it is a netCDF"),
    "hdf": (b"\x89HDF\r\n", "it is an HDF5"), "surfer": (b"DSAA\n", "it is a Surfer grid"), "grid": (b"NSDTF-DEM\n1.0\n", "it is a text grid (NSDTF-DEM), not what its name says: name it `.dem`"),
    "asc": (b"ncols 4\nnrows 3\n", "it is a text grid (ESRI ASCII grid)"), "vct": (b"HeadBegin\nDataMark:LANDUSE-VCT\nVersion:2.0\n", "it is a VCT file (GB/T 17798; LANDUSE-VCT 2.0)"),
    "text": (b"this is not a raster\n", "it is not a GeoTIFF: give a GeoTIFF"),
    "cut tiff": (b"II*\0\x08\0\0\0", "it begins like a TIFF but can't be opened: it is truncated or damaged"),
}


@pytest.mark.parametrize("what", sorted(WHAT))
def test_whatever_is_called_tif_is_called_by_its_name(tmp_path, what):
    content, sentence = WHAT[what]
    (tmp_path / "a.tif").write_bytes(content)
    assert fault(tmp_path / "a.tif").startswith(sentence)


@pytest.mark.parametrize("name, content, sentence", [
    ("a.img", b"II*\0\x08\0\0\0", "it is a TIFF, not what its name says: name it `.tif`"), ("a.img", b"EHFA_HEADER_TAG\0", "it begins like an ERDAS IMAGINE file"),
    ("a.jp2", b"\0\0\0\x0cjP  \r\n\x87\n", "it begins like a JPEG2000 but can't be opened"), ("a.jp2", b"hello", "it is not a JPEG2000"),
    ("a.jpg", b"\xff\xd8\xff\xe0", "it begins like a JPEG but can't be opened"), ("a.dem", b"hello", "it is not a text grid"),
    ("a.grd", b"DSBB\0", "it is a Surfer grid"), ("a.asc", b"x,y,z\n1,2,3\n", "it is not a text grid"), ("a.ecw", b"ecw\0", "it is an ECW"), ("a.png", b"\x89PNG", "it is a PNG"),
    ("a.vrt", b"<VRTDataset>", "it is a VRT"), ("a.pix", b"PCIDSK  ", "it is not a GeoTIFF"),
])
def test_other_suffixes_have_their_sentences_too(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    assert fault(tmp_path / name).startswith(sentence)


# Bad ones: what they hold

@pytest.mark.parametrize("product, changed, sentence", [
    ("DOM", {"values": np.repeat(CELLS, 2, axis=0)}, "a DOM has 1, 3 or 4 bands, this file has 2"),
    ("DEM", {"values": np.repeat(CELLS, 3, axis=0)}, "a DEM has 1 band, this file has 3"),
    ("DEM", {"values": CELLS.astype(np.complex64)}, "its cells are complex numbers (complex64)"),
    ("DOM", {"values": CELLS.astype(np.float32)}, "a DOM has cells of 8 or 16 bits, this file has float32"),
    ("DEM", {"transform": Affine(10, 2, 382000, 2, -10, 3551000)}, "its grid is rotated"),
    ("DEM", {"transform": Affine(10, 0, 382000, 0, 10, 3550000)}, "its first row is not the northernmost"),
    ("DEM", {"crs": None}, "it does not say in which CRS it is: say so with `--crs EPSG:n`"),
    ("DEM", {"crs": "EPSG:2385"}, "Xian 1980"), ("DEM", {"transform": Affine(10, 0, 40382000, 0, -10, 3551000)}, "lies outside where `EPSG:4549` is used"),
    ("DEM", {"values": np.full((1, 80, 100), np.nan, np.float32)}, "not one of its cells is valid"),
])
def test_a_file_that_can_be_opened_but_not_used_is_told_why(refusal, tmp_path, product, changed, sentence):
    values = changed.pop("values", CELLS)
    assert sentence in refusal(product, written(tmp_path / "a.tif", "GTiff", values, **changed))


def test_a_name_of_another_sheet_is_told_with_both_extents(refusal, tmp_path):
    sentence = refusal("DEM", written(tmp_path / "I50G095079DEM.tif", "GTiff"))
    assert "its name says sheet `I50G095079`" in sentence and "file 382000.00 3550200.00 383000.00 3551000.00, sheet 3" in sentence


def test_control_points_alone_feet_and_a_palette_are_refused(refusal, tmp_path):
    points = [GroundControlPoint(row=r, col=c, x=382000 + 10 * c, y=3551000 - 10 * r) for r, c in ((0, 0), (0, 99), (79, 0), (79, 99))]
    gcps = tmp_path / "gcps.tif"
    with rasterio.open(gcps, "w", driver="GTiff", width=100, height=80, count=1, dtype="uint8", gcps=points, crs="EPSG:4549") as target:
        target.write(CELLS)
    assert "it is placed by ground control points" in refusal("DEM", gcps)
    feet = written(tmp_path / "feet.tif", "GTiff", CELLS.astype(np.float32))
    with rasterio.open(feet, "r+") as target:
        target.units = ("ft",)
    assert "its heights are in `ft`: convert them to metres" in refusal("DEM", feet)
    palette = written(tmp_path / "palette.tif", "GTiff")
    with rasterio.open(palette, "r+") as target:
        target.write_colormap(1, {1: (255, 0, 0, 255)})
    assert "it is a picture with a palette, not a DEM" in refusal("DEM", palette)


@pytest.mark.parametrize("name, driver", [("a.img", "HFA"), ("a.jp2", "JP2OpenJPEG")])
def test_a_truncated_img_or_jpeg2000_is_refused(refusal, tmp_path, name, driver):
    path = written(tmp_path / name, driver, np.random.default_rng(1).integers(1, 255, (1, 600, 600)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    assert "truncated or damaged" in refusal("DEM", path)


def test_an_img_without_its_pixels_names_the_file_that_is_missing(tmp_path):
    path = written(tmp_path / "a.img", "HFA", USE_SPILL="YES")
    (tmp_path / "a.ige").unlink()
    assert fault(path) == "its pixels lie in `a.ige`, which is missing: deliver that file beside it"


# Bombs

def test_dimensions_are_looked_at_before_anything_is_unpacked(tmp_path):
    bomb = tmp_path / "bomb.tif"
    for side, word in ((70_000, "more than the 4,000,000,000 that a sheet may have"), (30_000, "bytes can't hold so many")):
        with rasterio.open(bomb, "w", driver="GTiff", **(GRID | {"width": side, "height": side}), sparse_ok=True, tiled=True, compress="deflate"):
            pass
        assert word in fault(bomb)


def test_a_block_too_large_for_memory_is_refused(tmp_path):
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", **(GRID | {"width": 30_000, "height": 20_000}), sparse_ok=True, compress="deflate",
                       tiled=True, blockxsize=29_984, blockysize=20_000):
        pass
    assert "its blocks of 29,984 x 20,000 cells are too large" in fault(tmp_path / "a.tif")


# World files and what else lies beside

def bare(path):
    Image.fromarray(np.full((80, 100, 3), 90, np.uint8)).save(path)
    return path


@pytest.mark.parametrize("text, sentence", [
    ("10\n0\n0\n-10\n382005\n", "its world file `a.tfw` is not six numbers"), ("10,0\n0\n0\n-10\n1\n2\n", "has decimal commas"),
    ("<html>", "is not six numbers"), ("0\n0\n0\n0\n1\n2\n", "gives cells of size 0"), ("10\n0\n0\n-10\n382005\n3550995\n" * 100_000, "too large for what its name says"),
])
def test_a_world_file_that_is_none_is_told_by_its_name(tmp_path, text, sentence):
    (tmp_path / "a.tfw").write_text(text)
    assert sentence in fault(bare(tmp_path / "a.tif"))


def test_the_world_file_of_another_sheet_is_refused_with_both_places(tmp_path):
    path = written(tmp_path / "a.tif", "GTiff")
    path.with_suffix(".tfw").write_text("10\n0\n0\n-10\n392005\n3550995\n")
    assert fault(path) == ("its own grid begins at 382000.00 3551000.00 with cells of 10, its world file `a.tfw` at 392000.00 3551000.00 with cells of 10: "
                           "remove the one that is wrong")
    path.with_suffix(".tfw").write_text("10\n0\n0\n-10\n382000\n3551000\n")
    assert any("differ by half a cell: its own was taken" in told for told in read(path)[3])


@pytest.mark.parametrize("text, sentence", [
    ("<PAMDataset>", "is not XML"), ('<!DOCTYPE x [<!ENTITY a "b">]><PAMDataset/>', "defines entities")])
def test_an_aux_file_that_is_broken_or_defines_entities_is_refused(tmp_path, text, sentence):
    path = written(tmp_path / "a.tif", "GTiff")
    (tmp_path / "a.tif.aux.xml").write_text(text)
    assert sentence in fault(path)


def test_what_an_aux_file_says_of_place_and_meaning_counts(tmp_path):
    path = written(tmp_path / "a.tif", "GTiff", crs=None)
    srs = rasterio.crs.CRS.from_epsg(4549).to_wkt().replace('"', "&quot;")
    (tmp_path / "a.tif.aux.xml").write_text(f'<PAMDataset><SRS>{srs}</SRS><PAMRasterBand band="1"><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>')
    with formats.opened(path) as source:
        assert source.crs.to_epsg() == 4549 and source.nodata == 7


# Nothing is read from elsewhere

@pytest.fixture
def secret(tmp_path):
    """A raster that another file must not reach."""
    (tmp_path / "vault").mkdir()
    return written(tmp_path / "vault" / "secret.tif", "GTiff", np.full((1, 80, 100), 200, np.uint8))


def test_a_file_that_names_another_as_its_overviews_is_refused(tmp_path, secret):
    path = written(tmp_path / "a.tif", "GTiff")
    with rasterio.open(path, "r+") as target:
        target.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(secret))
    with rasterio.open(path) as source:                     # what would happen
        assert source.read(1, out_shape=(40, 50)).min() == 200
    assert fault(path).startswith("it names another file as its overviews")


def test_overviews_that_lie_beside_or_are_named_there_are_not_seen(tmp_path, secret):
    path = written(tmp_path / "a.tif", "GTiff")
    (tmp_path / "a.tif.aux.xml").write_text(f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{secret}</MDI></Metadata></PAMDataset>')
    (tmp_path / "a.tif.ovr").write_bytes(secret.read_bytes())
    with formats.opened(path) as source:
        assert source.overviews(1) == [] and (source.read(1, out_shape=(40, 50)) != 200).any() and len(source.files) <= 2


def test_an_img_whose_pixels_are_another_file_is_refused(tmp_path, secret):
    path = written(tmp_path / "aaaaaaaaaaaaaaaaaaaaaaaaaaaa.img", "HFA", USE_SPILL="YES")
    name = b"aaaaaaaaaaaaaaaaaaaaaaaaaaaa.ige"
    elsewhere = b"../" + b"b" * (len(name) - 7) + b".ige"
    (tmp_path / "sub").mkdir()
    moved = tmp_path / "sub" / path.name
    moved.write_bytes(path.read_bytes().replace(name, elsewhere))
    path.with_suffix(".ige").rename(tmp_path / elsewhere.decode()[3:])
    assert fault(moved).startswith(("it points at a file that does not lie beside it", "its pixels lie in"))


def test_a_mask_beside_must_be_a_plain_tiff(tmp_path, secret):
    path = written(tmp_path / "a.tif", "GTiff")
    mask = tmp_path / "a.tif.msk"
    mask.write_text(f'<VRTDataset rasterXSize="100" rasterYSize="80"><VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename>{secret}'
                    "</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>")
    assert fault(path).startswith("its mask `a.tif.msk` is not a plain TIFF")
    mask.unlink()
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as target:
        target.write_mask(np.zeros((80, 100), np.uint8))
    assert mask.exists()
    with formats.opened(path) as source:
        assert source.dataset_mask().max() == 0


def test_what_lies_beside_a_file_is_found_whatever_the_case_of_its_suffix(tmp_path):
    path = bare(tmp_path / "A.tif")
    for name in ("A.TFW", "A.PRJ", "A.tif.aux.xml", "A.tif.ovr", "B.tfw"):
        (tmp_path / name).touch()
    assert [each.name for each in companions.beside(path)] == ["A.TFW", "A.PRJ", "A.tif.aux.xml"]


def test_a_link_to_elsewhere_is_no_companion(tmp_path, secret):
    path = bare(tmp_path / "a.tif")
    (tmp_path / "vault" / "a.tfw").write_text("10\n0\n0\n-10\n382005\n3550995\n")
    (tmp_path / "a.tfw").symlink_to(tmp_path / "vault" / "a.tfw")
    assert companions.beside(path) == []
