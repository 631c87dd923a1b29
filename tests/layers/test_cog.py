"""Rows of pixels become a GeoTIFF that every reader takes for a cloud-optimised one, with overviews that are means of what is valid."""

import struct
from itertools import pairwise

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers.ingest import cog, tiff
from layers.ingest.cog import STRIP_ROWS, Packing, write_raster
from layers.model import Bounds

JPEG, DEFLATE, NEAREST = Packing(compression="JPEG"), Packing(), Packing(nearest=True)


def strips_of(values, valid=None):
    for top in range(0, len(values), STRIP_ROWS):
        yield values[top:top + STRIP_ROWS], None if valid is None else valid[top:top + STRIP_ROWS]


def write(path, values, valid=None, *, packing=DEFLATE, nodata=None, crs="EPSG:4549"):
    height, width, *bands = values.shape
    write_raster(
        path, crs=crs, bounds=Bounds(400_000, 3_500_000, 400_000 + 2 * width, 3_500_000 + 2 * height), width=width, height=height,
        bands=bands[0] if bands else 1, dtype=values.dtype.name, nodata=nodata, strips=strips_of(values, valid), packing=packing,
    )
    return path


def level(path, number):
    """Values (band, row, column) and validity of the overview of that number, -1 for the file itself."""
    with rasterio.open(path, **({"overview_level": number} if number >= 0 else {})) as file:
        return file.read(), file.read_masks(1)


def noise(height, width, bands=3, dtype=np.uint8):
    values = np.random.default_rng(7).integers(0, 255, (height, width, bands) if bands > 1 else (height, width))
    return values.astype(dtype)


@pytest.mark.parametrize(("dtype", "bands"), [
    ("uint8", 3), ("uint8", 1), ("uint8", 4), ("uint16", 1), ("int16", 1), ("float32", 1), ("float32", 2), ("float64", 1),
])
@pytest.mark.parametrize("compression", ["DEFLATE", "NONE"])
def test_lossless_packings_give_back_every_pixel(tmp_path, dtype, bands, compression):
    values = noise(300, 515, bands, dtype)
    path = write(tmp_path / "a.tif", values, packing=Packing(compression=compression))
    read, valid = level(path, -1)
    assert (read == (np.moveaxis(values, -1, 0) if bands > 1 else values[None])).all()
    assert (valid == 255).all() and read.dtype == dtype


def test_a_picture_survives_jpeg_nearly(tmp_path):
    y, x = np.mgrid[0:700, 0:900]
    values = np.stack([x / 4, y / 3, 128 + 100 * np.sin(x / 60)], axis=-1).astype(np.uint8)
    path = write(tmp_path / "a.tif", values, packing=JPEG)
    with rasterio.open(path) as file:
        assert file.profile["photometric"] == "ycbcr" and file.tags(ns="IMAGE_STRUCTURE")["JPEG_QUALITY"] == "90"
        assert np.abs(file.read().astype(int) - np.moveaxis(values, -1, 0)).mean() < 1.5
    grey, _ = level(write(tmp_path / "grey.tif", values[..., 0], packing=JPEG), -1)
    assert np.abs(grey[0].astype(int) - values[..., 0]).mean() < 1.5


def test_webp_keeps_pictures_too(tmp_path):
    values = np.full((300, 300, 3), (200, 40, 90), np.uint8)
    read, _ = level(write(tmp_path / "a.tif", values, packing=Packing(compression="WEBP")), -1)
    assert np.abs(read.astype(int) - np.array([200, 40, 90])[:, None, None]).max() <= 4


def test_the_file_says_where_it_lies_and_nothing_else(tmp_path):
    path = write(tmp_path / "a.tif", np.zeros((300, 400), np.float32), nodata=-9999.0)
    with rasterio.open(path) as file:
        assert file.crs.to_epsg() == 4549 and file.bounds == (400_000, 3_500_000, 400_800, 3_500_600)
        assert file.nodata == -9999 and file.tags() == {"AREA_OR_POINT": "Area"} and file.overviews(1) == [2]
        assert set(file.tags(ns="IMAGE_STRUCTURE")) == {"LAYOUT", "COMPRESSION", "INTERLEAVE", "PREDICTOR"}
    assert [each.name for each in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize("crs", ["EPSG:4490", "EPSG:4527", "EPSG:26912"])
def test_any_reference_system_comes_back(tmp_path, crs):
    with rasterio.open(write(tmp_path / "a.tif", noise(20, 20, 1), crs=crs)) as file:
        assert file.crs == rasterio.crs.CRS.from_user_input(crs)


def directories(path):
    """(offset of the directory, first tile's offset) of each, as they are chained."""
    data = path.read_bytes()
    big = data[2] == 43
    at = struct.unpack_from("<Q" if big else "<I", data, 8 if big else 4)[0]
    while at:
        number, entry, room = (8, 20, 8) if big else (2, 12, 4)
        count = int.from_bytes(data[at:at + number], "little")
        place = {}
        for start in range(at + number, at + number + count * entry, entry):
            tag, kind = struct.unpack_from("<HH", data, start)
            values = int.from_bytes(data[start + 4:start + 4 + room], "little")
            where = start + 4 + room
            if values * tiff.SIZES[kind] > room:
                where = int.from_bytes(data[where:where + room], "little")
            place[tag] = int.from_bytes(data[where:where + tiff.SIZES[kind]], "little")
        yield at, place[tiff.TILE_OFFSETS], place[tiff.TILE_BYTE_COUNTS]
        at = int.from_bytes(data[at + number + count * entry:at + number + count * entry + room], "little")


@pytest.mark.parametrize("is_big", [False, True])
def test_it_is_laid_out_as_a_cloud_optimised_file(tmp_path, is_big, monkeypatch):
    """Directories in the order of levels, then blocks of the coarsest level first; each block is framed as the note says."""
    if is_big:
        monkeypatch.setattr(tiff, "LAST_OF_CLASSIC", 0)
    values = noise(900, 1300)
    path = write(tmp_path / "a.tif", values)
    found = list(directories(path))
    places, blocks = [at for at, _, _ in found], [first for _, first, _ in found]
    assert len(found) == 8                                            # three overviews, each level with its mask
    assert places == sorted(places) and max(places) < min(blocks)
    assert all(finer > coarser for finer, coarser in pairwise(blocks[::2]))
    data = path.read_bytes()
    for _, first, count in found:
        assert int.from_bytes(data[first - 4:first], "little") == count and data[first + count:first + count + 4] == data[first + count - 4:first + count]
    with rasterio.open(path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG" and (file.read() == np.moveaxis(values, -1, 0)).all()


def test_a_plain_geotiff_has_no_overviews(tmp_path):
    with rasterio.open(write(tmp_path / "a.tif", noise(900, 1300), packing=Packing(cog=False))) as file:
        assert not file.overviews(1) and "LAYOUT" not in file.tags(ns="IMAGE_STRUCTURE")


def test_an_overview_is_the_mean_of_four_pixels(tmp_path):
    values = noise(1536, 1024, 1, np.float32)
    path = write(tmp_path / "a.tif", values, nodata=-9999.0)
    expected = values
    for number in range(3):
        expected = expected.reshape(expected.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3))
        assert level(path, number)[0][0] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("height", "width"), [(1193, 940), (940, 1193), (1601, 1601), (513, 257)])
def test_an_odd_number_of_pixels_makes_no_level_drift(tmp_path, height, width):
    """A slope is the same slope at every level: GDAL stretches each overview over the whole extent."""
    y, x = np.mgrid[0:height, 0:width]
    path = write(tmp_path / "a.tif", (3.0 * (x + 0.5) + 5.0 * (y + 0.5)).astype(np.float32), nodata=-9999.0)
    with rasterio.open(path) as file:
        factors = file.overviews(1)
    for number in range(len(factors)):
        read = level(path, number)[0][0]
        rows, columns = read.shape
        y, x = np.mgrid[0:rows, 0:columns]
        slope = 3.0 * (x + 0.5) * width / columns + 5.0 * (y + 0.5) * height / rows
        assert np.abs(read - slope)[:-1, :-1].max() < 0.1


def test_hidden_pixels_take_no_part_in_means_and_hide_nothing(tmp_path):
    """Valid where any pixel below is; the mean of the valid ones."""
    values = np.full((600, 520), 100, np.float32)
    valid = np.full((600, 520), 255, np.uint8)
    valid[:301, :] = valid[:, 400:] = 0
    values[valid == 0] = np.nan
    path = write(tmp_path / "a.tif", values, valid, nodata=-9999.0)
    for number in range(2):
        read, seen = level(path, number)
        factor = 2 ** (number + 1)
        assert set(np.unique(read)) == {-9999, 100}
        assert (seen[301 // factor:, :400 // factor] > 0).all() and (seen[:300 // factor, :] == 0).all() and (seen[:, 400 // factor:] == 0).all()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(height=st.integers(1, 1100), width=st.integers(1, 700), seed=st.integers(0, 99), nearest=st.booleans())
def test_every_overview_keeps_what_is_valid_and_stays_within_it(tmp_path, height, width, seed, nearest):
    random = np.random.default_rng(seed)
    values = random.integers(50, 90, (height, width)).astype(np.uint8)
    valid = np.where(random.random((height, width)) < 0.02, 255, 0).astype(np.uint8)
    values[valid == 0] = 255
    path = write(tmp_path / "a.tif", values, valid, packing=NEAREST if nearest else DEFLATE)
    for number in range(99):
        try:
            read, seen = level(path, number)
        except rasterio.errors.RasterioIOError:
            break
        assert (read[0][seen > 0] <= 90).all() and (read[0][seen > 0] >= 50).all()
        assert seen.any() == valid.any()
        rows, columns = (np.repeat(np.arange(n), 2 ** (number + 1)) for n in seen.shape)
        if height % 2 ** (number + 1) == 0 and width % 2 ** (number + 1) == 0:
            assert (seen[rows][:, columns][valid > 0] == 255).all()


def test_nearest_overviews_hold_only_values_that_occur(tmp_path):
    values = np.where(noise(700, 900, 1) > 127, 10, 200).astype(np.uint8)
    read, _ = level(write(tmp_path / "a.tif", values, packing=NEAREST), 1)
    assert set(np.unique(read)) == {10, 200}


def test_a_file_that_fails_leaves_nothing(tmp_path):
    def broken():
        yield np.zeros((STRIP_ROWS, 600), np.uint8), None
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        write_raster(tmp_path / "a.tif", crs="EPSG:4549", bounds=Bounds(0, 0, 600, 600), width=600, height=600, bands=1, dtype="uint8",
                     nodata=None, strips=broken(), packing=DEFLATE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("strips", [
    [np.zeros((100, 600), np.uint8)], [np.zeros((600, 600), np.uint8)], [np.zeros((512, 500), np.uint8)],
])
def test_strips_that_do_not_make_the_raster_are_refused(tmp_path, strips):
    with pytest.raises(ValueError, match="rows"):
        write_raster(tmp_path / "a.tif", crs="EPSG:4549", bounds=Bounds(0, 0, 600, 600), width=600, height=600, bands=1, dtype="uint8",
                     nodata=None, strips=[(each, None) for each in strips], packing=DEFLATE)


def test_jpeg_refuses_heights(tmp_path):
    with pytest.raises(ValueError, match="JPEG"):
        write(tmp_path / "a.tif", np.zeros((10, 10), np.float32), packing=JPEG)


def test_equal_rows_make_equal_files(tmp_path):
    values = noise(600, 700)
    one, two = (write(tmp_path / name, values, packing=JPEG).read_bytes() for name in ("a.tif", "b.tif"))
    assert one == two and cog.BLOCK == 256
