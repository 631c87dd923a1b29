"""Legends say what the map shows, and nothing of what the data hold."""

from dataclasses import replace

import geopandas
import numpy as np
import pyogrio
import pytest
from county import CRS, County, edition_of, write_county
from PIL import Image
from shapely.geometry import LineString

from layers.model import STYLES, Bounds, ProductType, View
from tiles.dlg import LineMapRenderer
from tiles.elevation import Ramp
from tiles.errors import RequestInvalid
from tiles.legends import legend


@pytest.fixture(scope="module")
def county(tmp_path_factory, config_folder) -> County:
    return write_county(tmp_path_factory.mktemp("county"), config_folder)


def drawn(edition, config, style="", language="zh") -> np.ndarray:
    return np.asarray(legend(edition, style, config=config, language=language).convert("RGB")).astype(int)


def colours(picture: np.ndarray) -> set[tuple[int, ...]]:
    values, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    return {tuple(v) for v, n in zip(values.tolist(), counts, strict=True) if n > 25}


def only(county: County, *tables: str):
    return replace(county.edition, classes=tuple(c for c in county.edition.classes if c.name in tables))


@pytest.mark.parametrize(("table", "most"), [("HYDA", 1), ("HYDL", 1), ("LRDL", 4), ("RESA", 2), ("VEGA", 3), ("BOUL", 1), ("LRRL", 2)])
def test_the_commonest_colours_of_the_map_are_in_its_legend(county, config_folder, table, most):
    edition = only(county, table)
    bounds = edition.classes[0].bounds
    fields = tuple(f for f in edition.classes[0].fields if f not in ("NAME", "RN"))
    plain = replace(edition, classes=(replace(edition.classes[0], fields=fields),))
    side = max(bounds.width, bounds.height)
    view = View(crs=CRS, bounds=Bounds(bounds.left, bounds.bottom, bounds.left + side, bounds.bottom + side), width=2500, height=2500)
    picture = np.asarray(LineMapRenderer(county.folder, plain, config_folder / "styles").render(view))
    values, counts = np.unique(picture[picture[..., 3] == 255][:, :3], axis=0, return_counts=True)
    commonest = {tuple(v) for v in values[np.argsort(-counts)][:most].tolist()}
    assert len(commonest) == most
    assert commonest <= {tuple(v) for v in drawn(plain, config_folder).reshape(-1, 3).tolist()}


def test_only_classes_of_the_edition_are_in_the_legend(county, config_folder):
    water, all_ = drawn(only(county, "HYDL"), config_folder), drawn(county.edition, config_folder)
    assert all_.shape[0] > 4 * water.shape[0]
    assert (224, 64, 48) in colours(all_) and (224, 64, 48) not in colours(water)


def test_survey_control_points_are_not_in_the_legend(county, config_folder):
    without = replace(county.edition, classes=tuple(c for c in county.edition.classes if c.name != "CPTP"))
    assert (drawn(county.edition, config_folder) == drawn(without, config_folder)).all()


def test_titles_are_chinese_or_english(county, config_folder):
    zh, zh_cn, en = (drawn(county.edition, config_folder, language=language) for language in ("zh", "zh-CN", "en"))
    assert (zh == zh_cn).all()
    assert zh.shape[0] == en.shape[0] and zh.shape[1] < en.shape[1]
    letters = (zh[:, 100:].max(axis=2) < 120)
    assert len({column.tobytes() for column in letters.T if column.any()}) > 40, "real characters, not boxes"


def test_two_tables_drawn_alike_share_their_rows(tmp_path, config_folder):
    frame = geopandas.GeoDataFrame({"gbcode": [21011]}, geometry=[LineString([(0, 0), (1, 1)])], crs="EPSG:4490")
    for name in ("rivers_main", "rivers_all"):
        pyogrio.write_dataframe(frame, tmp_path / "rivers.gpkg", layer=name, append=(tmp_path / "rivers.gpkg").exists())
    edition = edition_of(tmp_path / "rivers.gpkg", config_folder)
    once = replace(edition, classes=edition.classes[:1])
    assert drawn(edition, config_folder).shape == drawn(once, config_folder).shape


def test_the_legend_is_the_same_whatever_the_data_hold(county, config_folder):
    other = replace(
        county.edition, height_range=(-5.0, 1234.0), generation=99,
        classes=tuple(replace(c, count=c.count * 7, bounds=Bounds(0, 0, 1, 1)) for c in county.edition.classes),
    )
    assert (drawn(county.edition, config_folder) == drawn(other, config_folder)).all()
    for style in STYLES[ProductType.DEM]:
        flat, high = (replace(county.edition, product=ProductType.DEM, height_range=r) for r in ((0.0, 3.0), (0.0, 3000.0)))
        assert (drawn(flat, config_folder, style) == drawn(high, config_folder, style)).all()


def test_relief_shows_every_stop_of_the_ramp_in_its_colour(county, config_folder):
    picture = drawn(replace(county.edition, product=ProductType.DEM), config_folder, "relief")
    ramp = Ramp.load(config_folder / "relief.csv")
    bar = picture[:, 30]
    for colour in ramp.colours[1:-1]:
        assert np.abs(bar - colour).max(axis=1).min() <= 6


def test_slope_grows_darker_upwards_as_on_the_map(county, config_folder):
    picture = drawn(replace(county.edition, product=ProductType.DEM), config_folder, "slope")
    bar = picture[44:176, 30, 0]
    assert bar[0] < 60 and bar[-1] > 240 and (np.diff(bar) >= 0).all()


@pytest.mark.parametrize("product", list(ProductType))
def test_every_style_of_every_product_has_a_legend(county, config_folder, product):
    for style in ("", *STYLES[product]):
        picture = legend(replace(county.edition, product=product), style, config=config_folder, language="en")
        assert isinstance(picture, Image.Image) and picture.mode == "RGB"
        assert picture.width > 60 and np.asarray(picture).std() > 5


def test_an_unknown_style_is_told_with_those_there_are(county, config_folder):
    with pytest.raises(RequestInvalid, match="style `night` is not defined here: ask for one of topographic, unlabelled") as told:
        legend(county.edition, "night", config=config_folder, language="en")
    assert (told.value.code, told.value.locator) == ("StyleNotDefined", "STYLE")


def test_an_overlay_has_one_row_a_class_in_the_colour_of_the_map(tmp_path, config_folder):
    frame = geopandas.GeoDataFrame({"name": ["a"]}, geometry=[LineString([(119, 32), (119.1, 32.1)])], crs="EPSG:4490")
    for name in ("beats", "closures"):
        pyogrio.write_dataframe(frame, tmp_path / "o.gpkg", layer=name, append=(tmp_path / "o.gpkg").exists())
    edition = edition_of(tmp_path / "o.gpkg", config_folder, ProductType.OVERLAY)
    assert {(214, 51, 108), (25, 113, 194)} <= colours(drawn(edition, config_folder))
