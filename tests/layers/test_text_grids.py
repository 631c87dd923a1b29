"""Text grids: what their heads may say, where their cells come to lie, and the sentence for each fault."""

import numpy as np
import pytest
import rasterio

from layers.delivery import formats, text_grids, text_values
from layers.delivery.vct import read_vct_head, vct_refusal
from layers.errors import LayerRejected

LINES = ["NSDTF-DEM", "1.0", "M", "0.000000", "0.000000", "39512435.000000", "3547120.000000", "5.000000", "5.000000", "3", "4", "100"]
KEYS = {"DataMark": "CNSDTF-DEM", "Version": "1.0", "Unit": "M", "Alpha": "0", "Compress": "0", "X0": "39512435", "Y0": "3547120", "DX": "5",
        "DY": "5", "Row": "3", "Col": "4", "ValueType": "Integer", "HZoom": "100"}
VALUES = "1000 1010 1020 1030\n-250 0 -99999 40\n1 2 3 4\n"


@pytest.fixture
def old(tmp_path):
    """Writes an NSDTF-DEM; lines are changed by their place, 1 to 12."""
    def write(name="a.dem", values=VALUES, newline="\n", **changed):
        lines = list(LINES)
        for place, text in changed.items():
            lines[int(place[1:]) - 1] = text
        path = tmp_path / name
        path.write_bytes(("\n".join(lines) + "\n" + values).replace("\n", newline).encode("gb18030"))
        return path
    return write


@pytest.fixture
def keyed(tmp_path):
    """Writes a CNSDTF-DEM; a key given as None is left out."""
    def write(name="k.dem", values=VALUES, colon=":", comment="", **changed):
        fields = {key: value for key, value in (KEYS | changed).items() if value is not None}
        path = tmp_path / name
        path.write_bytes((comment + "".join(f"{key}{colon}{value}\n" for key, value in fields.items()) + values).encode("gb18030"))
        return path
    return write


@pytest.fixture
def ascii_grid(tmp_path):
    def write(head="ncols 4\nnrows 3\nxllcorner 512435\nyllcorner 3547100\ncellsize 5\nNODATA_value -9999\n", values="1.5 2 3 4\n5 6 -9999 8\n9 10 11 12\n"):
        path = tmp_path / "a.asc"
        path.write_text(head + values)
        return path
    return write


def read(path, **options):
    with formats.opened(path, **options) as source:
        return source.read(1, masked=True), source.bounds, formats.remarks(source)


def fault(path, **options):
    with pytest.raises(LayerRejected) as caught:
        read(path, **options)
    return str(caught.value)


# Where cells lie

def test_heights_are_divided_by_hzoom_and_99999_is_nodata(old):
    values, _, told = read(old())
    assert values[0].tolist() == [10.0, pytest.approx(10.1), pytest.approx(10.2), pytest.approx(10.3)]
    assert values[1].tolist() == [-2.5, 0.0, None, pytest.approx(0.4)]
    assert "heights are the stored numbers divided by HZoom 100" in told


def test_x0_y0_is_the_first_node_unless_the_corner_is_declared(old):
    _, bounds, told = read(old())
    assert (bounds.left, bounds.top, bounds.right, bounds.bottom) == (39512432.5, 3547122.5, 39512452.5, 3547107.5)
    assert any("first node" in sentence for sentence in told)
    _, bounds, told = read(old(), registration="corner")
    assert (bounds.left, bounds.top) == (39512435.0, 3547120.0)
    assert "X0, Y0 were taken for the corner of the first cell, as declared" in told


@pytest.mark.parametrize("form", [{}, {"newline": "\r\n"}, {"values": VALUES + "\x1a"}, {"values": VALUES.replace(" ", "\t")},
                                  {"values": VALUES.rstrip()}, {"L3": "M  米"}])
def test_how_lines_end_and_what_is_remarked_makes_no_difference(old, form):
    assert np.array_equal(read(old(**form))[0].filled(7), read(old("plain.dem"))[0].filled(7))


def test_a_keyed_head_means_the_same_with_full_width_colons_comments_and_its_other_name(old, keyed):
    plain = read(old())
    for path in (keyed(), keyed(colon="："), keyed(DataMark="CSDTF-DEM"), keyed(HZoom=None, Hzoom="100"), keyed(MinV="-2.5", MaxV="10.3", ZUnit="M"),
                 keyed(NODATA_value="-99999"), keyed(Version="GB/T 17798-2007", comment="// 江苏省 1:10000 高程\n")):
        values, bounds, told = read(path)
        assert np.array_equal(values.filled(7), plain[0].filled(7)) and bounds == plain[1]
        assert told[0] == "read as CNSDTF-DEM (GB/T 17798)"


def test_a_declared_nodata_is_the_one_that_counts(keyed):
    values, _, _ = read(keyed(NODATA_value="1030"))
    assert values.mask.tolist()[0] == [False, False, False, True] and not values.mask[1, 2]


def test_swapped_axes_are_put_right_and_told(old):
    _, bounds, told = read(old(L6="3547120", L7="39512435"))
    assert bounds == read(old("right.dem"))[1]
    assert "warning: X0 and Y0 were swapped: X0 held the northing" in told
    assert read(old("bare.dem", L6="3547120", L7="512435"))[1].left == 512432.5


@pytest.mark.parametrize("unit, x, y, d, left, top, size", [
    ("D", "118.75", "32.08", "0.001", 118.7495, 32.0805, 0.001), ("S", "1184500.0", "320448.0", "3.6", 118.7495, 32.0805, 0.001),
    ("K", "39512.435", "3547.120", "0.005", 39512432.5, 3547122.5, 5.0)])
def test_every_unit_of_the_standard_is_understood(old, unit, x, y, d, left, top, size):
    _, bounds, _ = read(old(L3=unit, L6=x, L7=y, L8=d, L9=d))
    assert (bounds.left, bounds.top, bounds.right - bounds.left) == (pytest.approx(left, abs=1e-9), pytest.approx(top, abs=1e-9), pytest.approx(4 * size))


def test_codes_of_a_cnsdtf_ras_become_bytes_with_a_mask(keyed):
    values, _, _ = read(keyed(DataMark="CNSDTF-RAS", ValueType="Char", HZoom=None, values="1 2 3 4\n5 6 -99999 8\n9 10 11 255\n"))
    assert values.dtype == np.uint8 and values.mask.sum() == 1 and values[2, 3] == 255
    assert "a cell holds 256" in fault(keyed(DataMark="CNSDTF-RAS", values="1 2 3 4\n5 6 7 8\n9 10 11 256\n"))


def test_an_ascii_grid_is_placed_by_corner_or_centre_as_it_says(ascii_grid):
    values, bounds, _ = read(ascii_grid())
    assert tuple(bounds) == (512435, 3547100, 512455, 3547115) and values[1, 2] is np.ma.masked and values[0, 0] == 1.5
    centre = ascii_grid(head="NCOLS 4\nNROWS 3\nXLLCENTER 512437.5\nYLLCENTER 3547102.5\nDX 5\nDY 5\n")
    assert read(centre)[1] == bounds


def test_a_prj_beside_an_ascii_grid_is_its_crs(ascii_grid):
    path = ascii_grid()
    path.with_suffix(".prj").write_text(rasterio.crs.CRS.from_epsg(4549).to_wkt())
    with formats.opened(path) as source:
        assert source.crs.to_epsg() == 4549
    path.with_suffix(".prj").write_text("somewhere")
    assert "`a.prj` beside it names no CRS" in fault(path)


# Zones

@pytest.mark.parametrize("zone, declared, word", [
    (39, None, "`--crs EPSG:4527`"), (20, None, "`--crs EPSG:4498`"), (39, "EPSG:4528", "not a CRS of that zone"), (39, "EPSG:4548", "not a CRS of that zone"),
    (20, "EPSG:4509", "of 6 degrees"), (None, None, "no zone prefix")])
def test_a_grid_that_names_no_datum_asks_for_it_and_a_wrong_zone_is_refused(zone, declared, word):
    with pytest.raises(LayerRejected, match="zone|datum") as caught:
        text_grids.check_zone("a.dem", zone, declared)
    assert word in str(caught.value)


@pytest.mark.parametrize("zone, declared", [(39, "EPSG:4527"), (39, "EPSG:2363"), (20, "EPSG:4498"), (None, "EPSG:4548")])
def test_a_crs_that_fits_the_zone_is_left_to_the_datum_rules(zone, declared):
    text_grids.check_zone("a.dem", zone, declared)


# Refused

@pytest.mark.parametrize("changed, sentence", [
    ({"L4": "0.5"}, "its grid is turned by Alpha 0.5: make it north-up"),
    ({"L5": "1"}, "its values are packed (Compress 1"),
    ({"L3": "F"}, "its unit `F` is none of M, K, D and S"),
    ({"L8": "0"}, "its `DX` is 0"), ({"L9": "-5"}, "its `DY` is -5"),
    ({"L10": "3.5"}, "its `Row` is 3.5"), ({"L11": "0"}, "its `Col` is 0"), ({"L10": "many"}, "its `Row` is `many`, which is no number"),
    ({"L6": "nan"}, "its `X0` is `nan`, which is no number"),
    ({"values": "1 2 3\n"}, "its head says 3 rows of 4 columns, which is 12 values, but it holds 3"),
    ({"values": VALUES + "5"}, "which is 12 values, but it holds more"),
    ({"values": ""}, "but it holds 0"),
    ({"values": VALUES.replace("40", "4O")}, "`4O` in row 2, column 4 is no number"),
    ({"values": VALUES.replace("40", "4,0")}, "decimals with points"),
    ({"values": "9" * 200}, "in row 1, column 1 is no number"),
    ({"L12": "-100"}, "its HZoom is -100"),
    ({"L3": "S", "L6": "1187500.0", "L7": "320448.0"}, "is no DDDMMSS"),
    ({"L10": "70000", "L11": "70000"}, "more than the 4,000,000,000"),
])
def test_each_fault_of_a_text_grid_has_its_sentence(old, changed, sentence):
    assert sentence in fault(old(**changed))


def test_a_head_that_is_cut_or_lacks_a_key_is_told(tmp_path, keyed):
    (tmp_path / "cut.dem").write_text("\n".join(LINES[:8]) + "\n")
    assert "its head ends after 8 lines: an NSDTF-DEM has 12" in fault(tmp_path / "cut.dem")
    assert "its head has no `X0`" in fault(keyed(X0=None))
    assert "its heights are in `feet`" in fault(keyed(ZUnit="feet"))


@pytest.mark.parametrize("head, sentence", [
    ("ncols 4\nnrows 3\nxllcorner 0\nyllcorner 0\ncellsize -5\n", "its cellsize is -5"),
    ("ncols 4\nnrows 3\nxllcorner 512435,5\nyllcorner 0\ncellsize 5\n", "a decimal comma"),
    ("ncols 4\nxllcorner 0\nyllcorner 0\ncellsize 5\n", "its head has no `nrows`"),
    ("ncols 4\nnrows 3\nxllcorner 0\nyllcorner 0\n", "its head has no `cellsize`"),
    ("ncols 4\nnrows 3\nxllcorner 0\nyllcorner 0\ncellsize 5\nrotation 3\n", "a line `rotation`"),
    ("ncols 5\nnrows 3\nxllcorner 0\nyllcorner 0\ncellsize 5\n", "15 values, but it holds 12"),
])
def test_each_fault_of_an_ascii_grid_has_its_sentence(ascii_grid, head, sentence):
    assert sentence in fault(ascii_grid(head=head))


def test_a_head_alone_is_asked_for_without_reading_the_values(old):
    with formats.opened(old(values="nothing of use"), values=False) as source:
        assert source.shape == (3, 4)


def test_values_are_read_in_blocks_and_strips_of_any_size(old, monkeypatch):
    rows, columns = 60, 70
    values = np.random.default_rng(3).integers(-300, 60_000, (rows, columns))
    path = old(values="\n".join(" ".join(map(str, values.ravel()[at:at + 10])) for at in range(0, values.size, 10)), L10=str(rows), L11=str(columns))
    for block, strip in ((7, 1), (64, 500), (1 << 20, 1000)):
        monkeypatch.setattr(text_values, "BLOCK_BYTES", block)
        monkeypatch.setattr(text_values, "STRIP_CELLS", strip)
        assert np.allclose(read(path)[0], values / 100)


def test_a_text_grid_comes_in_by_its_prefix_and_declared_crs(taken, tmp_path, old):
    path = old(L6="39667950", L7="3548070")
    sheet, written = taken("DEM", path, crs="EPSG:4527")
    assert sheet.crs == "EPSG:4527"
    with rasterio.open(written) as source:
        assert source.read(1, masked=True).count() == 11


# VCT

def test_the_head_of_a_vct_is_told_in_its_refusal(tmp_path):
    path = tmp_path / "a.vct"
    path.write_bytes("HeadBegin\nDataMark:LANDUSE-VCT\nVersion:3.0\nProjection：高斯-克吕格\nExtentMin:39500000.0,3540000.0\nExtentMax:39510000.0,3550000.0\n"
                     "MapScale:10000\nDate:20110601\nHeadEnd\n".encode("gb18030"))
    head = read_vct_head(path)
    assert (head.mark, head.version, head.scale, head.projection) == ("LANDUSE-VCT", "3.0", "10000", "高斯-克吕格")
    assert head.extent == ("39500000.0", "3540000.0", "39510000.0", "3550000.0")
    assert "LANDUSE-VCT 3.0, scale 1:10000, extent 39500000.0 3540000.0 39510000.0 3550000.0, of 20110601" in str(vct_refusal(path))


def test_a_vct_of_version_2_spells_its_head_otherwise(tmp_path):
    (tmp_path / "a.vct").write_text("HeadBegin\nDataMark:CNSDTF-VCT\nVersion:2.0\nMinX:1\nMinY:2\nMaxX:3\nMaxY:4\nScaleM:10000\nHeadEnd\n")
    head = read_vct_head(tmp_path / "a.vct")
    assert head.extent == ("1", "2", "3", "4") and head.scale == "10000"
