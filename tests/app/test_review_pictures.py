"""Charts and the heat map: to scale, readable in grey, and holding no text that is not text."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geoserver_app.papers.svg import safe_svg
from geoserver_app.review.charts import DARK, HATCHED, WIDTH, Series, bars, columns, text_width
from geoserver_app.review.ground import HeatWords, Place, classes, draw, grid_over, heat, places_of
from layers.crs import transform_bounds
from layers.model import Bounds
from layers.sheets import sheet_frame
from tiles.grids import TILE_MATRIX_SETS

SVG = "{http://www.w3.org/2000/svg}"
WORDS = HeatWords("requests a cell", "none", "a cell")
HOSTILE = '"><script>alert(1)</script>&amp;\u202e'


def rects(svg: str) -> list[dict]:
    return [one.attrib for one in ElementTree.fromstring(svg).iter(f"{SVG}rect")]


def texts(svg: str) -> list[str]:
    return [one.text for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]


# Charts

def test_bars_are_as_long_as_their_values():
    widths = [float(one["width"]) for one in rects(bars([("dom", 100), ("dlg", 50), ("dem", 0)]))]
    assert widths[0] == pytest.approx(2 * widths[1], rel=0.01) and widths[2] == 0


def test_columns_stand_on_one_another_and_reach_as_high_as_their_sum():
    svg = columns(["4-01", "4-02"], [Series(name="answered", values=[30, 0], tone=DARK), Series(name="refused", values=[10, 20], tone=HATCHED)])
    marks = [one for one in rects(svg) if one["fill"] in (DARK.fill, "url(#hatch)") and float(one["height"]) != 10]
    lower, upper, alone = sorted(marks, key=lambda one: (float(one["x"]), -float(one["y"])))
    assert float(upper["y"]) + float(upper["height"]) == pytest.approx(float(lower["y"]), abs=0.2)
    assert float(lower["height"]) == pytest.approx(3 * float(upper["height"]), rel=0.02)
    assert float(alone["height"]) == pytest.approx(2 * float(upper["height"]), rel=0.02)


def test_what_was_refused_is_told_from_what_was_answered_without_colour():
    svg = columns(["1"], [Series(name="answered", values=[1], tone=DARK), Series(name="refused", values=[1], tone=HATCHED)])
    assert "url(#hatch)" in svg and {"answered", "refused"} <= set(texts(svg))


@pytest.mark.parametrize("svg", [
    bars([(HOSTILE, 3), ("水利" * 40, 2)]), columns([HOSTILE], [Series(name=HOSTILE, values=[1]), Series(name="b", values=[2], tone=HATCHED)]),
    bars([]), columns([], [Series(name="", values=[])]), columns(["1"], [Series(name="", values=[0])], title=HOSTILE),
])
def test_a_chart_is_a_picture_of_the_closed_list_whatever_its_labels_hold(svg):
    assert "script" not in re.sub(r"&lt;.*?&gt;", "", safe_svg(svg))


@given(st.lists(st.tuples(st.text(max_size=60), st.integers(0, 10**9)), max_size=30))
def test_no_bar_leaves_the_page(rows):
    rows = [("".join(one for one in label if one.isprintable()), value) for label, value in rows]
    for one in rects(bars(rows)):
        assert 0 <= float(one["x"]) and float(one["x"]) + float(one["width"]) <= WIDTH


def test_a_chinese_character_takes_its_whole_width():
    assert text_width("水利", 10) == 20 < text_width("水利a", 10)


# The ground

COUNTY = shapely.box(118.70, 32.02, 118.95, 32.14)


def test_cells_are_sheets_of_1_to_10_000_or_equal_parts_of_them():
    frame = sheet_frame("I50G095077")
    inside = shapely.box(118.6, 31.5, 119.9, 32.4)
    grid = grid_over(inside)
    cells = [grid.box(row, column) for row in range(grid.rows) for column in range(grid.columns)]
    assert grid.parts == 2
    assert shapely.union_all([cell for cell in cells if frame.buffer(1e-9).contains(cell)]).symmetric_difference(frame).area < 1e-9


@given(
    west=st.floats(73, 130), south=st.floats(3, 50), wide=st.floats(0.01, 20), tall=st.floats(0.01, 10),
)
def test_a_grid_covers_its_ground_with_at_most_64_cells_a_side(west, south, wide, tall):
    grid = grid_over(shapely.box(west, south, west + wide, south + tall))
    left, bottom, right, top = grid.bounds
    assert left <= west + 1e-6 and right >= west + wide - 1e-6 and bottom <= south + 1e-6 and top >= south + tall - 1e-6
    assert max(grid.rows, grid.columns) <= 64


PLACES = st.lists(
    st.builds(
        lambda x, y, wide, tall, count: Place(x, y, x + wide, y + tall, count),
        st.floats(118.72, 118.9), st.floats(32.03, 32.1), st.floats(0.0005, 0.02), st.floats(0.0005, 0.01), st.integers(1, 50),
    ), max_size=20,
)


@given(PLACES)
def test_every_request_weighs_one_wherever_it_looks_within_the_grid(places):
    grid = grid_over(COUNTY.buffer(0.05))
    warm, overviews = heat(grid, places)
    assert warm.sum() + overviews == pytest.approx(sum(one.requests for one in places))
    assert (warm >= -1e-9).all()


GRID = grid_over(COUNTY)
AROUND = [(row, column) for row in range(-12, GRID.rows + 12) for column in range(-12, GRID.columns + 12)]
BOXES = np.array([GRID.box(row, column) for row, column in AROUND])


@settings(deadline=None, max_examples=40)
@given(PLACES)
def test_a_cell_is_as_warm_as_brute_force_makes_it(places):
    warm, _ = heat(GRID, places)
    expected = np.zeros_like(warm)
    for place in places:
        shared = shapely.area(shapely.intersection(BOXES, shapely.box(place.west, place.south, place.east, place.north)))
        touched = [at for at, area in zip(AROUND, shared, strict=True) if area > 1e-12]
        if len(touched) <= 100:
            for row, column in touched:
                if 0 <= row < GRID.rows and 0 <= column < GRID.columns:
                    expected[row, column] += place.requests / len(touched)
    assert np.allclose(warm, expected, atol=0.02 * max(expected.max(initial=0), 1))


def test_who_looks_at_the_whole_county_at_once_lights_nothing_up():
    warm, overviews = heat(grid_over(COUNTY), [Place(118, 31, 120, 33, 7)])
    assert warm.sum() == 0 and overviews == 7


def test_tiles_of_every_grid_and_maps_in_every_crs_lie_where_they_were_looked_at():
    place = Bounds(118.80, 32.05, 118.8000001, 32.0500001)
    rows = []
    for tms in TILE_MATRIX_SETS.values():
        z = tms.max_zoom - 3
        row, _, column, _ = tms.limits(z, transform_bounds(place, "CRS:84", tms.crs))
        rows.append({"tms": tms.id, "zoom": z, "tile_row": row, "tile_column": column, "crs": None, "bounds": None, "requests": 1})
    for crs in ("EPSG:4490", "EPSG:3857", "EPSG:4549", "CRS:84"):
        around = transform_bounds(Bounds(118.79, 32.04, 118.81, 32.06), "CRS:84", crs)
        rows.append({"tms": None, "zoom": None, "tile_row": None, "tile_column": None, "crs": crs, "bounds": list(around), "requests": 1})
    found = places_of(rows)
    assert len(found) == len(rows)
    for one in found:
        assert one.west <= 118.80 <= one.east and one.south <= 32.05 <= one.north and one.east - one.west < 0.2


def test_a_place_that_is_none_is_left_out():
    empty = {"tms": None, "zoom": None, "tile_row": None, "tile_column": None, "crs": None, "bounds": None, "requests": 1}
    assert places_of([empty, empty | {"tms": "unknown", "zoom": 3, "tile_row": 1, "tile_column": 1}, empty | {"crs": "EPSG:9999", "bounds": [1, 2, 3, 4]}]) == []


def test_the_map_shows_the_granted_ground_alone_over_the_divisions_with_a_legend():
    outlines = [("城关镇", shapely.box(118.7, 32.02, 118.83, 32.14)), (HOSTILE, shapely.box(118.83, 32.02, 118.95, 32.14))]
    drawn = draw(COUNTY, [Place(118.80, 32.05, 118.801, 32.051, 40), Place(121, 30, 121.001, 30.001, 9)], outlines, WORDS)
    assert drawn.looked_at == 1 and drawn.busiest[0][2] == 40
    assert "城关镇" in drawn.svg and "none" in drawn.svg and "km" in drawn.svg
    safe_svg(drawn.svg)


def test_ground_that_nobody_looked_at_is_drawn_empty():
    drawn = draw(COUNTY, [], [], WORDS)
    assert drawn.looked_at == 0 < drawn.cells and drawn.busiest == ()
    safe_svg(drawn.svg)


@given(st.floats(0.01, 1e7))
def test_classes_grow_and_end_with_the_most(most):
    ends = classes(most)
    assert ends == sorted(set(ends)) and 1 <= len(ends) <= 5 and ends[-1] >= most
