"""Imagery and elevation on the way in: what is handled, what is refused and in which words."""

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import Compression, MaskFlags
from rasterio.transform import Affine

from layers import crs
from layers.sheets import numbers as sheets


def noise(bands=3, dtype=np.uint8, rows=80, columns=100, high=255):
    return np.random.default_rng(7).integers(1, high, (bands, rows, columns)).astype(dtype)


# Refused

def test_a_text_file_called_tif_is_no_geotiff(tmp_path, refusal):
    path = tmp_path / "notes.tif"
    path.write_text("this is not a raster\n" * 10)
    assert refusal("DOM", path) == "notes.tif: it is not a GeoTIFF: give a GeoTIFF, for instance by `gdal_translate -of GTiff`"


def test_an_empty_file_is_told_so(tmp_path, refusal):
    (tmp_path / "a.tif").touch()
    assert refusal("DOM", tmp_path / "a.tif") == "a.tif: the file is empty: deliver it again"


@pytest.mark.parametrize("magic, word", [("NSDTF-DEM\n1.0\nM\n", "NSDTF-DEM"), ("HeadBegin\nDataMark: CNSDTF-VCT\n", "VCT")])
def test_chinese_text_formats_get_their_own_sentence(tmp_path, refusal, magic, word):
    (tmp_path / "a.tif").write_text(magic)
    assert word in refusal("DEM", tmp_path / "a.tif")


def test_a_vrt_that_points_elsewhere_is_not_followed(tmp_path, refusal, write_raster):
    inner = write_raster("inner.tif")
    path = tmp_path / "a.tif"
    path.write_text(f'<VRTDataset rasterXSize="100" rasterYSize="80"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
                    f"<SourceFilename>{inner}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>")
    assert "not a GeoTIFF" in refusal("DOM", path)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("compress", [None, "deflate", "jpeg"])
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path, refusal, write_raster, share, compress, store):
    values = noise(rows=600, columns=600)
    options = {"compress": compress} if compress else {}
    path = write_raster("cut.tif", values, tiled=True, blockxsize=256, blockysize=256, **options)
    whole = path.read_bytes()
    path.write_bytes(whole[:int(len(whole) * share)])
    sentence = refusal("DOM", path)
    assert "truncated or damaged: deliver it again" in sentence and str(tmp_path) not in sentence
    assert not list(store.rglob("*.tif"))


def test_a_file_without_a_crs_asks_for_one(refusal, write_raster):
    assert refusal("DOM", write_raster("a.tif", crs=None)) == "a.tif: it does not say in which CRS it is: say so with `--crs EPSG:n`"


def test_a_declared_crs_is_taken_and_recorded(taken, write_raster):
    sheet, _ = taken("DOM", write_raster("a.tif", crs=None), crs="EPSG:4549")
    assert sheet.crs == "EPSG:4549"
    assert "the file states no CRS; EPSG:4549 was declared" in sheet.lineage


def test_a_declared_crs_never_overrules_the_file(refusal, write_raster):
    assert refusal("DOM", write_raster("a.tif"), crs="EPSG:4548") == (
        "a.tif: it says that it is in `EPSG:4549`, you say `EPSG:4548`: leave `--crs` out, or correct the file")


def bare_tiff(path):
    """A TIFF that knows nothing of the earth."""
    Image.fromarray(np.full((80, 100, 3), 90, np.uint8)).save(path)
    return path


def test_a_world_file_and_a_declared_crs_place_a_bare_tiff(taken, tmp_path):
    path = bare_tiff(tmp_path / "bare.tif")
    path.with_suffix(".tfw").write_text("10\n0\n0\n-10\n382005\n3550995\n")
    sheet, _ = taken("DOM", path, crs="EPSG:4549")
    assert sheet.bounds == (382000, 3550200, 383000, 3551000)
    path.with_suffix(".tfw").write_text("10\n0\n0\n-10\n383005\n3550995\n")
    assert taken("DOM", path, crs="EPSG:4549")[0].bounds == (383000, 3550200, 384000, 3551000)


def test_a_bare_tiff_without_a_world_file_has_no_place(refusal, tmp_path):
    assert "it has no georeferencing" in refusal("DOM", bare_tiff(tmp_path / "bare.tif"), crs="EPSG:4549")


@pytest.mark.parametrize("code, datum", [("EPSG:4610", "Xian 1980"), ("EPSG:2437", "Beijing 1954"), ("EPSG:2385", "Xian 1980"),
                                         ("EPSG:4555", "New Beijing")])
def test_chinas_old_datums_are_refused_with_the_way_out(refusal, write_raster, code, datum):
    left, top, cell = (118.75, 32.08, 0.0001) if code in ("EPSG:4610", "EPSG:4555") else (382000.0, 3551000.0, 10.0)
    sentence = refusal("DOM", write_raster("old.tif", crs=code, left=left, top=top, cell=cell))
    assert datum in sentence
    assert sentence.endswith("register an approved transformation, or deliver the data in CGCS2000")


def test_a_rotated_grid_is_refused(refusal, write_raster):
    path = write_raster("turned.tif", transform=Affine.translation(382000, 3551000) * Affine.rotation(10) * Affine.scale(10, -10))
    assert refusal("DOM", path) == "turned.tif: its grid is rotated: make it north-up, for instance by `gdalwarp`"


def test_a_grid_upside_down_is_refused(refusal, write_raster):
    assert "northernmost" in refusal("DOM", write_raster("flipped.tif", transform=Affine(10, 0, 382000, 0, 10, 3550000)))


@pytest.mark.parametrize("bands", [2, 5])
def test_an_image_of_two_or_five_bands_is_refused(refusal, write_raster, bands):
    assert f"this file has {bands}" in refusal("DOM", write_raster("a.tif", noise(bands)))


def test_imagery_given_as_elevation_is_refused_and_the_other_way_round(refusal, write_raster, heights):
    assert "a DEM has 1 band, this file has 3: give `--product DOM`" in refusal("DEM", write_raster("a.tif"))
    assert "give `--product DEM` if it holds heights" in refusal("DOM", write_raster("b.tif", heights))


def test_a_zone_prefix_that_the_crs_does_not_have_is_refused(refusal, write_raster):
    sentence = refusal("DOM", write_raster("a.tif", left=40382000.0))
    assert "lies outside where `EPSG:4549` is used" in sentence and "zone prefix" in sentence


def test_undeclared_nodata_in_a_dem_is_refused_with_the_very_option(refusal, taken, write_raster, heights):
    heights[0, :20, :20] = -32767
    path = write_raster("dem.tif", heights)
    sentence = refusal("DEM", path)
    assert "400 of 8000 cells are no heights (-32767 to 79 m)" in sentence and "`--nodata -32767`" in sentence
    sheet, written = taken("DEM", path, nodata=-32767)
    with rasterio.open(written) as source:
        assert source.nodata == -9999
        assert (source.read(1)[:20, :20] == -9999).all() and source.read(1, masked=True).min() == 0


def test_unusual_heights_may_be_meant_but_a_usual_nodata_never_is(taken, refusal, write_raster, heights):
    path = write_raster("sea.tif", heights - 3000)
    assert "--unusual-heights" in refusal("DEM", path)
    assert taken("DEM", path, unusual_heights=True)[0].lineage[-3].startswith("heights from -3000 to -2921 m")
    heights[0, :20, :20] = -9999
    assert "--nodata -9999" in refusal("DEM", write_raster("sea2.tif", heights - 0), unusual_heights=True)


def test_heights_in_feet_are_refused(refusal, write_raster, heights):
    path = write_raster("feet.tif", heights)
    with rasterio.open(path, "r+") as source:
        source.units = ("ft",)
    assert "its heights are in `ft`: convert them to metres" in refusal("DEM", path)


def test_a_sheet_that_is_not_where_its_number_says_is_refused_with_both_extents(refusal, write_raster):
    sentence = refusal("DOM", write_raster("I50G095078DOM.tif"))
    assert "its name says sheet `I50G095078`, but its centre is not on that sheet" in sentence
    assert "file 382000.00 3550200.00 383000.00 3551000.00" in sentence and "sheet 387836.63" in sentence


def test_a_sheet_that_reaches_far_beyond_its_frame_is_refused(refusal, write_raster):
    path = write_raster("I50G095077.tif", left=379000.0, top=3554000.0, cell=100.0, values=noise(rows=95, columns=120))
    assert "it reaches far beyond that sheet" in refusal("DOM", path)


def test_a_sheet_with_its_usual_margin_is_taken_under_its_number(taken, write_raster):
    left, bottom, right, top = crs.transform_bounds(sheets.sheet_bounds("I50G095077"), "CRS:84", "EPSG:4549")
    path = write_raster("I50G095077DOM.tif", noise(rows=490, columns=616), left=left - 100, top=top + 100, cell=10)
    assert taken("DOM", path)[0].number == "I50G095077"


def test_a_file_without_one_valid_cell_is_refused(refusal, write_raster):
    assert "not one of its cells is valid" in refusal("DOM", write_raster("a.tif", np.zeros((3, 80, 100), np.uint8), nodata=0))


# Taken

def read(path):
    with rasterio.open(path) as source:
        return source.read(), source.dataset_mask(), source.profile


def test_imagery_becomes_a_cloud_optimised_jpeg_with_a_mask_and_overviews(taken, write_raster):
    sheet, path = taken("DOM", write_raster("a.tif", np.full((3, 1500, 1200), 90, np.uint8), cell=1.0))
    with rasterio.open(path) as source:
        assert source.compression is Compression.jpeg and source.photometric.name == "ycbcr" and source.block_shapes[0] == (256, 256)
        assert source.overviews(1) == [2, 4, 8]
        assert source.mask_flag_enums[0] == [MaskFlags.per_dataset] and (source.dataset_mask() == 255).all()
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG" and source.crs.to_epsg() == 4549
        assert abs(source.read().astype(int) - 90).max() <= 2
    assert (sheet.band_count, sheet.dtype, sheet.nodata, sheet.resolution) == (3, "uint8", None, (1.0, 1.0))
    assert len(sheet.checksum) == 64 and sheet.lineage[0].startswith("taken from `a.tif`: 3 x uint8, 1200 x 1500, sha256 ")


def test_lossless_imagery_keeps_every_value(taken, write_raster):
    values = noise()
    _, path = taken("DOM", write_raster("a.tif", values), lossless=True)
    assert (read(path)[0] == values).all()


def test_nearest_imagery_is_lossless_and_its_overviews_hold_no_mixed_colour(taken, write_raster):
    values = np.where(np.random.default_rng(1).random((1, 1200, 1200)) < 0.5, 10, 200).astype(np.uint8)
    _, path = taken("DOM", write_raster("a.tif", np.repeat(values, 3, axis=0), cell=1.0), nearest=True)
    with rasterio.open(path, overview_level=0) as source:
        assert set(np.unique(source.read(1))) == {10, 200}


def test_alpha_becomes_the_mask_and_hidden_colour_is_gone(taken, write_raster):
    values = noise(4)
    values[3] = 255
    values[3, :, :40] = 0
    sheet, path = taken("DOM", write_raster("a.tif", values, colorinterp=("red", "green", "blue", "alpha")), lossless=True)
    pixels, mask, profile = read(path)
    assert profile["count"] == 3 and (mask[:, :40] == 0).all() and (mask[:, 40:] == 255).all()
    assert (pixels[:, :, :40] == 0).all() and (pixels[:, :, 40:] == values[:3, :, 40:]).all()
    assert "the alpha band became the mask" in sheet.lineage and "3200 of 8000 cells hold no data" in sheet.lineage


def test_the_footprint_is_the_box_of_valid_cells(taken, write_raster):
    values = noise(4)
    values[3] = 255
    values[3, :, :40] = 0
    sheet, _ = taken("DOM", write_raster("a.tif", values, colorinterp=("red", "green", "blue", "alpha")))
    box = crs.transform_geometry(sheet.footprint, "CRS:84", "EPSG:4549").bounds
    assert box == pytest.approx((382400, 3550200, 383000, 3551000), abs=0.01)
    assert sheet.bounds == (382000, 3550200, 383000, 3551000)


def test_near_infrared_is_dropped_and_said_so(taken, write_raster):
    values = noise(4)
    sheet, path = taken("DOM", write_raster("a.tif", values, photometric="RGB", alpha="NO"), lossless=True)
    pixels, mask, _ = read(path)
    assert (pixels == values[:3]).all() and (mask == 255).all()
    assert "the fourth band (not alpha) was dropped" in sheet.lineage


def test_grey_becomes_red_green_and_blue(taken, write_raster):
    values = noise(1)
    _, path = taken("DOM", write_raster("a.tif", values), lossless=True)
    assert (read(path)[0] == np.repeat(values, 3, axis=0)).all()


def test_a_palette_is_expanded_and_its_transparent_colour_hidden(taken, write_raster):
    values = noise(1, high=3) - 1
    path = write_raster("a.tif", values, colormap={0: (255, 0, 0, 255), 1: (0, 0, 255, 255)})
    _, written = taken("DOM", path, lossless=True)
    pixels, _, _ = read(written)
    assert (pixels[:, values[0] == 0].T == (255, 0, 0)).all() and (pixels[:, values[0] == 1].T == (0, 0, 255)).all()


def test_a_white_frame_that_the_file_declares_is_hidden(taken, write_raster):
    values = noise(high=200)
    values[:, :10] = 255
    _, path = taken("DOM", write_raster("a.tif", values, nodata=255))
    assert (read(path)[1][:10] == 0).all() and (read(path)[1][10:] == 255).all()


def test_a_white_frame_that_nobody_declared_is_hidden_on_demand(taken, write_raster):
    values = noise(high=200)
    values[:, :10] = 255
    path = write_raster("a.tif", values)
    assert (read(taken("DOM", path)[1])[1] == 255).all()
    assert (read(taken("DOM", path, nodata=255)[1])[1][:10] == 0).all()


def test_a_mask_inside_the_file_is_kept(taken, write_raster):
    hidden = np.full((80, 100), 255, np.uint8)
    hidden[50:] = 0
    assert (read(taken("DOM", write_raster("a.tif", mask=hidden))[1])[1] == hidden).all()


def test_a_declared_nodata_that_never_occurs_beside_a_frame_of_zeros_is_warned_of(taken, write_raster):
    values = noise(high=200)
    values[:, :5], values[:, -5:], values[:, :, :5], values[:, :, -5:] = 0, 0, 0, 0
    sheet, _ = taken("DOM", write_raster("a.tif", values, nodata=255))
    assert any("never occurs, but a frame of 0 does" in sentence for sentence in sheet.lineage)


def test_sixteen_bits_are_stretched_by_the_rule_that_was_given(taken, write_raster):
    values = np.linspace(0, 4000, 8000).reshape(1, 80, 100).astype(np.uint16).repeat(3, axis=0)
    sheet, path = taken("DOM", write_raster("a.tif", values), stretch=(1000, 3000), lossless=True)
    pixels, mask, _ = read(path)
    assert (mask == 255).all()
    assert abs(pixels - np.clip(np.rint((values.astype(float) - 1000) / 2000 * 255), 0, 255)).max() <= 1
    assert "16-bit values were stretched linearly: 1000 became 0, 3000 became 255" in sheet.lineage


def test_neighbours_of_sixteen_bits_are_stretched_alike(add, memory, write_raster):
    dark = np.random.default_rng(1).integers(100, 500, (3, 80, 100)).astype(np.uint16)
    bright = np.random.default_rng(2).integers(3000, 4000, (3, 80, 100)).astype(np.uint16)
    paths = [write_raster("a.tif", dark), write_raster("b.tif", bright, left=383000.0)]
    edition = add("DOM", *paths)
    stretches = {[s for s in sheet.lineage if s.startswith("16-bit")][0] for sheet in memory.sheets(edition.edition_id)}
    assert len(stretches) == 1
    later = add("DOM", write_raster("c.tif", bright + 5000, left=384000.0))
    assert {[s for s in sheet.lineage if s.startswith("16-bit")][0] for sheet in memory.sheets(later.edition_id)} == stretches


def test_elevation_becomes_float32_with_one_nodata_and_exact_heights(taken, write_raster, heights):
    heights[0, 5, 5] = np.nan
    heights[0, 6, 6] = -32768
    sheet, path = taken("DEM", write_raster("a.tif", heights, nodata=-32768))
    pixels, _, profile = read(path)
    assert (profile["dtype"], profile["nodata"], profile["count"]) == ("float32", -9999, 1)
    assert pixels[0, 5, 5] == pixels[0, 6, 6] == -9999
    kept = heights[0] != -32768
    kept[5, 5] = False
    assert (pixels[0][kept] == heights[0][kept]).all()
    assert (sheet.dtype, sheet.nodata, sheet.band_count) == ("float32", -9999.0, 1)


def test_heights_below_the_sea_are_heights(add, write_raster, heights):
    edition = add("DEM", write_raster("coast.tif", heights - 5))
    assert edition.height_range[0] < 0


def test_scaled_heights_are_brought_to_metres(taken, write_raster, heights):
    path = write_raster("a.tif", (heights * 100).astype(np.int32))
    with rasterio.open(path, "r+") as source:
        source.scales, source.offsets = (0.01,), (2.0,)
    sheet, written = taken("DEM", path)
    assert np.allclose(read(written)[0], heights + 2, atol=1e-4)
    assert "heights are 0.01 x the stored value + 2" in sheet.lineage


def test_a_dem_in_the_crs_of_another_country_keeps_it(taken, write_raster, heights):
    sheet, path = taken("DEM", write_raster("a.tif", heights, crs="EPSG:26912", left=446591.0, top=4441815.0, cell=30))
    assert sheet.crs == "EPSG:26912" and read(path)[2]["crs"].to_epsg() == 26912
    assert sheet.footprint.bounds[0] == pytest.approx(-111.63, abs=0.01)


def test_no_tag_of_the_delivered_file_reaches_the_store(taken, write_raster):
    path = write_raster("a.tif")
    with rasterio.open(path, "r+") as source:
        source.update_tags(TIFFTAG_ARTIST="somebody", SECRET="yes")
    with rasterio.open(taken("DOM", path)[1]) as source:
        assert "SECRET" not in source.tags() and "TIFFTAG_ARTIST" not in source.tags()
