"""What lies beyond the frame of a numbered sheet is hidden, but for a collar of two pixels; neighbours meet without a gap."""

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers import crs as reference
from layers.ingest.frames import COLLAR, frame_cut
from layers.model import Bounds
from layers.sheets import numbers as sheets

NUMBER = "I50G095077"
AROUND = Bounds(381_660, 3_546_900, 388_140, 3_552_060)
WIDTH, HEIGHT = 324, 258


def visible(number, bounds, width, height, crs):
    return frame_cut(number, bounds, width, height, crs).within(0, height) > 0


def frame_in(crs, number=NUMBER):
    return reference.transform_geometry(reference.densify(sheets.sheet_frame(number), "CRS:84"), "CRS:84", crs)


def centres(bounds, width, height):
    x = bounds.left + (np.arange(width) + 0.5) * (bounds.right - bounds.left) / width
    y = bounds.top - (np.arange(height) + 0.5) * (bounds.top - bounds.bottom) / height
    return np.meshgrid(x, y)


@pytest.mark.parametrize("cell", [10, 20, 40])
def test_pixels_whose_centre_is_on_the_sheet_stay_and_two_more_around_it(cell):
    width, height = int((AROUND.right - AROUND.left) / cell), int((AROUND.top - AROUND.bottom) / cell)
    shown = visible(NUMBER, AROUND, width, height, "EPSG:4549")
    x, y = centres(AROUND, width, height)
    inside = shapely.contains_xy(frame_in("EPSG:4549"), x, y)
    with_collar = shapely.contains_xy(shapely.buffer(frame_in("EPSG:4549"), COLLAR * cell, join_style="mitre"), x, y)
    assert shown[inside].all()
    differ = shown != with_collar                  # measured along the rows and columns, not across a slanted edge: a pixel of the rim
    assert np.count_nonzero(differ) <= 0.02 * np.count_nonzero(shown & ~inside) + 4


@pytest.mark.parametrize("crs", ["EPSG:4490", "EPSG:4528", "EPSG:4509", "EPSG:3857", "EPSG:32650"])
def test_the_frame_is_found_in_any_grid(crs):
    frame = frame_in(crs)
    left, bottom, right, top = frame.bounds
    across, along = (right - left) / 200, (top - bottom) / 160
    bounds = Bounds(left - 20 * across, bottom - 20 * along, right + 20 * across, top + 20 * along)
    shown = visible(NUMBER, bounds, 240, 200, crs)
    x, y = centres(bounds, 240, 200)
    inside = shapely.contains_xy(frame, x, y)
    assert shown[inside].all() and not shown[:17].any() and not shown[:, :17].any() and not shown[-17:].any() and not shown[:, -17:].any()


@settings(max_examples=40, deadline=None)
@given(lon=st.floats(116.4, 121.9), lat=st.floats(30.8, 35.1), cell=st.sampled_from([7.3, 31.0, 120.0]))
def test_neighbours_leave_no_pixel_between_them(lon, lat, cell):
    """Whatever the place: of pixels on the common edge of two sheets, each is shown by one of them at least."""
    number = sheets.encode(lon, lat, "G")
    east = sheets.encode(*(low + high for low, high in zip(sheets.sheet_bounds(number)[2:], (1e-4, -1e-4), strict=True)), "G")
    crs = f"EPSG:{4548 + round((lon - 117) / 3)}"
    both = frame_in(crs, number).union(frame_in(crs, east))
    edge = frame_in(crs, number).bounds
    bounds = Bounds(edge[2] - 60 * cell, (edge[1] + edge[3]) / 2 - 60 * cell, edge[2] + 60 * cell, (edge[1] + edge[3]) / 2 + 60 * cell)
    shown = visible(number, bounds, 120, 120, crs) | visible(east, bounds, 120, 120, crs)
    assert shown[shapely.contains_xy(both, *centres(bounds, 120, 120))].all()


def test_a_strip_is_cut_as_the_whole_is():
    cut = frame_cut(NUMBER, AROUND, WIDTH, HEIGHT, "EPSG:4549")
    whole = cut.within(0, HEIGHT)
    assert (np.concatenate([cut.within(top, min(64, HEIGHT - top)) for top in range(0, HEIGHT, 64)]) == whole).all() and not cut.hides_nothing


@pytest.fixture
def delivered(write_raster):
    """A sheet with its margin, as production delivers it: 20 m cells."""
    def write(values, name=f"{NUMBER}.tif"):
        return write_raster(name, values, left=AROUND.left, top=AROUND.top, cell=20.0)
    return write


def test_a_picture_is_cut_to_its_frame_and_its_lineage_says_so(taken, delivered):
    sheet, written = taken("DOM", delivered(np.full((3, HEIGHT, WIDTH), 90, np.uint8)))
    with rasterio.open(written) as source:
        mask = source.read_masks(1)
    expected = visible(NUMBER, AROUND, WIDTH, HEIGHT, "EPSG:4549")
    assert ((mask > 0) == expected).all()
    hidden = expected.size - np.count_nonzero(expected)
    assert f"{hidden} cells beyond the frame of sheet `{NUMBER}` were hidden, but for a collar of 2 cells" in sheet.lineage
    assert sheet.footprint.symmetric_difference(sheets.sheet_frame(NUMBER)).area < 1e-12 and sheet.bounds == AROUND


def test_a_picture_keeps_its_colour_up_to_the_rim(taken, delivered):
    """No dark fringe: JPEG would smear an edge of black over the last pixels."""
    _, written = taken("DOM", delivered(np.full((3, HEIGHT, WIDTH), 200, np.uint8)))
    with rasterio.open(written) as source:
        values, mask = source.read(), source.read_masks(1)
    assert np.abs(values[:, mask > 0].astype(int) - 200).max() <= 2


def test_a_lossless_picture_holds_nothing_beyond_its_frame(taken, delivered):
    _, written = taken("DOM", delivered(np.full((3, HEIGHT, WIDTH), 200, np.uint8)), lossless=True)
    with rasterio.open(written) as source:
        values, mask = source.read(), source.read_masks(1)
    assert (values[:, mask == 0] == 0).all() and (values[:, mask > 0] == 200).all()


def test_heights_beyond_the_frame_become_nodata(taken, delivered):
    _, written = taken("DEM", delivered(np.full((1, HEIGHT, WIDTH), 12.5, np.float32)))
    with rasterio.open(written) as source:
        heights = source.read(1)
    expected = visible(NUMBER, AROUND, WIDTH, HEIGHT, "EPSG:4549")
    assert (heights[expected] == 12.5).all() and (heights[~expected] == -9999).all()


def test_a_sheet_without_a_number_is_not_cut(taken, delivered):
    sheet, written = taken("DOM", delivered(np.full((3, HEIGHT, WIDTH), 90, np.uint8), name="town.tif"))
    with rasterio.open(written) as source:
        assert (source.read_masks(1) == 255).all()
    assert not any("frame" in told for told in sheet.lineage)
