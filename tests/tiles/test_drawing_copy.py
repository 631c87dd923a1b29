"""The copy that a line map is drawn from fastest shows what the edition shows, never more, and is used only while it fits."""

import shutil
from dataclasses import replace

import numpy as np
import pyogrio
import pytest
import shapely
from county import CRS, EAST, NORTH, SOUTH, WEST, write_county

from layers.ingest.generalising import generalised
from layers.model import Bounds, ProductType, View
from layers.rows import parse_rows
from tiles import drawing_copy
from tiles.dlg import LineMapRenderer
from tiles.drawing_copy_making import STEPS, write


@pytest.fixture(scope="module")
def made(tmp_path_factory, config_folder):
    """A county whose folder is the store, and the cache with its copy."""
    store = tmp_path_factory.mktemp("store")
    (store / "county").mkdir()
    county = write_county(store / "county", config_folder)
    edition = replace(county.edition, folder="county")
    cache = tmp_path_factory.mktemp("cache")
    write(store, edition, cache, config_folder)
    return replace(county, edition=edition), cache, store


def view(resolution: float, size: int = 500, crs: str = CRS) -> View:
    x, y, half = (WEST + EAST) / 2, (SOUTH + NORTH) / 2, resolution * size / 2
    return View(crs=crs, bounds=Bounds(x - half, y - half, x + half, y + half), width=size, height=size)


def drawn(renderer: LineMapRenderer, where: View) -> np.ndarray:
    picture = np.asarray(renderer.render(where)).astype(float)
    return picture[..., :3] * picture[..., 3:] / 255 + 255 - picture[..., 3:]


@pytest.mark.parametrize("resolution", [1.0, 2.8, 7.0, 13.0])
def test_at_scales_of_sheets_the_copy_and_the_edition_are_one_picture(made, config_folder, resolution):
    county, cache, _ = made
    plain, copied = (
        drawn(LineMapRenderer(county.folder, county.edition, config_folder / "styles", cache=one), view(resolution)) for one in (None, cache)
    )
    assert (plain < 250).any()
    apart = np.abs(plain - copied).max(axis=2)
    assert (apart > 2).mean() < 0.001 and (apart > 45).sum() <= 3, "names, their places, kinds, colours; which of two touching streets comes first shows at some corners"


@pytest.mark.parametrize("resolution", [20.0, 60.0, 300.0])
def test_at_small_scales_the_copy_shows_the_same_within_a_pixel(made, config_folder, resolution):
    county, cache, _ = made
    plain, copied = (
        drawn(LineMapRenderer(county.folder, county.edition, config_folder / "styles", labels=False, cache=one), view(resolution, 300)).min(axis=2) < 200
        for one in (None, cache)
    )
    near = np.zeros_like(plain)
    for by_row in (-1, 0, 1):
        for by_col in (-1, 0, 1):
            near |= np.roll(copied, (by_row, by_col), (0, 1))
    assert not plain.any() or (plain & near).sum() >= 0.97 * plain.sum()


def test_small_scales_read_fewer_features_and_vertices(made, config_folder):
    county, cache, _ = made
    copies = drawing_copy.find(cache, county.edition, config_folder / "styles")
    whole, *coarser = [pyogrio.read_dataframe(step.shapes.with_suffix(".shp")) for step in copies["RESA"].steps]
    assert len(whole) > 300 and all(len(one) < 100 for one in coarser), "houses stay behind"
    rivers = [pyogrio.read_dataframe(step.shapes.with_suffix(".shp")).geometry for step in copies["HYDL"].steps]
    assert [step.finest for step in copies["HYDL"].steps] == list(STEPS)
    assert sum(map(shapely.get_num_coordinates, rivers[-1])) < sum(map(shapely.get_num_coordinates, rivers[0]))


def test_the_copy_holds_no_attribute_but_what_is_written_and_no_secret_table(made, config_folder):
    county, cache, _ = made
    copies = drawing_copy.find(cache, county.edition, config_folder / "styles")
    assert "CPTP" not in copies
    assert copies["LRDL"].texts.keys() == {"NAME", "RN"} and copies["BOUL"].texts == {}


def test_rows_that_are_left_out_are_drawn_from_the_edition(made, config_folder):
    county, cache, _ = made
    rows = parse_rows("GB <= 4202000")
    plain, copied = (
        drawn(LineMapRenderer(county.folder, county.edition, config_folder / "styles", rows=rows, cache=one), view(7.0)) for one in (None, cache)
    )
    assert (plain == copied).all()


def test_a_copy_of_another_generation_or_of_other_styles_is_not_used(made, config_folder, tmp_path):
    county, cache, store = made
    assert drawing_copy.find(cache, replace(county.edition, generation=99), config_folder / "styles") == {}
    shutil.copytree(config_folder, tmp_path / "config")
    roads = tmp_path / "config" / "styles" / "dlg" / "LRDL.xml"
    roads.write_text(roads.read_text("utf-8").replace("4202.*", "4203.*"), "utf-8")
    assert drawing_copy.find(cache, county.edition, tmp_path / "config" / "styles") == {}
    again = write(store, county.edition, cache, tmp_path / "config")
    assert drawing_copy.find(cache, county.edition, tmp_path / "config" / "styles") and again.exists()
    assert drawing_copy.find(cache, county.edition, config_folder / "styles"), "whoever still draws with it keeps it"


def test_overlays_have_no_copy(made, config_folder, tmp_path):
    county, _, store = made
    assert write(store, replace(county.edition, product=ProductType.OVERLAY), tmp_path, config_folder) is None
    assert not list(tmp_path.iterdir())


def test_no_line_is_left_out_however_short_and_no_area_that_shows():
    lines = shapely.from_wkt(["LINESTRING (0 0, 0.1 0)", "LINESTRING (0 0, 50 0.2, 100 0)"])
    found, kept = generalised(lines, 10.0)
    assert kept.tolist() == [0, 1] and shapely.get_num_coordinates(found).tolist() == [2, 2]
    areas = shapely.box(0, 0, [2.0, 8.0, 1000.0], [2.0, 8.0, 0.1])
    found, kept = generalised(areas, 10.0)
    assert kept.tolist() == [1, 2] and not shapely.is_empty(found).any()
