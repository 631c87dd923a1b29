"""Line maps: what is drawn, where, in which colour, by many threads at once."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pandas
import pyogrio
import pytest
from county import CRS, EAST, NORTH, SOUTH, WEST, County, edition_of, write_county
from shapely.geometry import LineString, Point, box

from layers import crs as crs_room
from layers.model import Bounds, ProductType, View
from layers.rows import parse_rows
from tiles import dlg
from tiles.dlg import LineMapRenderer, width_factor
from tiles.errors import RenderFailed
from tiles.mapnik_runtime import mapnik

RIVER_BLUE, WATER, NATIONAL_RED, WOOD = (0, 146, 221), (191, 230, 255), (224, 64, 48), (200, 230, 176)


@pytest.fixture(scope="module")
def county(tmp_path_factory, config_folder) -> County:
    return write_county(tmp_path_factory.mktemp("county"), config_folder)


@pytest.fixture(scope="module")
def renderer(county, config_folder) -> LineMapRenderer:
    return LineMapRenderer(county.folder, county.edition, config_folder / "styles")


def view(x: float, y: float, resolution: float, *, crs: str = CRS, size: int = 256) -> View:
    half = resolution * size / 2
    return View(crs=crs, bounds=Bounds(x - half, y - half, x + half, y + half), width=size, height=size)


def place(a: float, b: float) -> tuple[float, float]:
    """Metres at fractions of the county."""
    return WEST + a * (EAST - WEST), SOUTH + b * (NORTH - SOUTH)


def pixels(renderer: LineMapRenderer, where: View, scale_factor: float = 1.0) -> np.ndarray:
    return np.asarray(renderer.render(where, scale_factor)).astype(int)


def has_colour(picture: np.ndarray, colour: tuple[int, int, int], tolerance: int = 12) -> bool:
    return bool(((np.abs(picture[..., :3] - colour).max(axis=2) <= tolerance) & (picture[..., 3] > 250)).any())


def only(county: County, *tables: str):
    return replace(county.edition, classes=tuple(c for c in county.edition.classes if c.name in tables))


def overlay(folder: Path, config: Path, rows: list[dict], crs: str = "EPSG:4490", name: str = "incidents"):
    pyogrio.write_dataframe(geopandas.GeoDataFrame(rows, geometry="geometry", crs=crs), folder / "overlay.gpkg", layer=name)
    return edition_of(folder / "overlay.gpkg", config, ProductType.OVERLAY)


def test_without_labels_nothing_depends_on_a_name(county, config_folder):
    """The picture of the unlabelled style is the same when every name is another; that of the labelled one is not."""
    renamed = rename_everything(county)
    where = view(*place(0.5, 0.5), 4.0, size=512)
    for labels, alike in ((False, True), (True, False)):
        pictures = [
            pixels(LineMapRenderer(folder, county.edition, config_folder / "styles", labels=labels), where) for folder in (county.folder, renamed)
        ]
        assert (pictures[0] == pictures[1]).all() == alike
        assert pictures[0][..., 3].any()


def rename_everything(county: County) -> Path:
    folder = county.folder.parent / "renamed"
    folder.mkdir()
    for table in county.edition.classes:
        frame = pyogrio.read_dataframe(county.folder / county.edition.vectors, layer=table.name)
        if "NAME" in frame:
            frame["NAME"] = frame["NAME"].map(lambda name: f"另名{len(name)}", na_action="ignore")
        pyogrio.write_dataframe(frame, folder / county.edition.vectors, layer=table.name)
    return folder


def test_the_ground_between_features_is_transparent_and_without_colour(renderer):
    picture = pixels(renderer, view(WEST - 20_000, SOUTH, 2))
    assert picture.max() == 0
    picture = pixels(renderer, view(*place(0.5, 0.5), 4))
    assert (picture[..., :3][picture[..., 3] == 0] == 0).all()
    assert 0 < (picture[..., 3] > 0).mean() < 0.7


def test_a_lake_is_pale_blue_inside_with_a_blue_shore(county, config_folder):
    water = LineMapRenderer(county.folder, only(county, "HYDA"), config_folder / "styles")
    assert tuple(pixels(water, view(*place(0.2, 0.66), 1))[128, 128]) == (*WATER, 255)
    lake = geopandas.read_file(county.folder / "county.gpkg", layer="HYDA").set_index("NAME").loc["青石湖"].geometry
    shore = lake.exterior.interpolate(0.3, normalized=True)
    assert has_colour(pixels(water, view(shore.x, shore.y, 1, size=32)), RIVER_BLUE, 60)


def test_a_brook_is_drawn_blue_where_it_runs_and_nothing_beside_it(county, config_folder):
    rivers = LineMapRenderer(county.folder, only(county, "HYDL"), config_folder / "styles")
    line = geopandas.read_file(county.folder / "county.gpkg", layer="HYDL").set_index("NAME").loc["柳叶河"].geometry
    at = line.interpolate(0.28, normalized=True)
    assert np.abs(pixels(rivers, view(at.x, at.y, 1, size=255))[127, 127, :3] - RIVER_BLUE).max() <= 3
    assert pixels(rivers, view(at.x + 400, at.y, 1, size=255))[..., 3].max() == 0


def test_the_middle_line_of_a_wide_river_is_hidden_by_its_water(renderer, county):
    bed = geopandas.read_file(county.folder / "county.gpkg", layer="HYDL").set_index("NAME").loc["清溪河"].geometry
    at = bed.interpolate(0.62, normalized=True)
    picture = pixels(renderer, view(at.x, at.y, 0.5, size=101))
    assert not has_colour(picture, RIVER_BLUE, 3)
    assert has_colour(picture, WATER, 3)


def test_roads_are_told_by_the_first_six_digits_of_their_code(county, config_folder):
    roads = LineMapRenderer(county.folder, only(county, "LRDL"), config_folder / "styles")
    lines = geopandas.read_file(county.folder / "county.gpkg", layer="LRDL").set_index("RN").geometry
    for number, colour in (("G312", NATIONAL_RED), ("S122", (242, 194, 48)), ("G42", (240, 160, 48))):
        at = lines[number].interpolate(0.1, normalized=True)
        assert has_colour(pixels(roads, view(at.x, at.y, 0.5, size=64)), colour), number


@pytest.mark.parametrize(
    ("field", "value"), [("highway", "trunk"), ("fclass", "trunk_link"), ("GBCODE", "420101"), ("gb", 420101), ("TYPE", "trunk")],
)
def test_a_national_road_is_red_whatever_its_field_is_called(tmp_path, config_folder, field, value):
    rows = [{field: value, "geometry": LineString([place(0, 0.5), place(1, 0.5)])}]
    pyogrio.write_dataframe(geopandas.GeoDataFrame(rows, geometry="geometry", crs=CRS), tmp_path / "roads.gpkg", layer="roads")
    roads = LineMapRenderer(tmp_path, edition_of(tmp_path / "roads.gpkg", config_folder), config_folder / "styles")
    assert has_colour(pixels(roads, view(*place(0.5, 0.5), 2)), NATIONAL_RED)


@pytest.mark.parametrize(
    ("code", "grade", "colour"),
    [("420301", "二级", (255, 255, 255)), ("420201", "三级", (242, 194, 48)), (None, "二级", (242, 194, 48)), ("420101", "高速", (240, 160, 48))],
)
def test_the_technical_grade_of_a_road_counts_where_it_has_no_code_or_is_a_motorway(tmp_path, config_folder, code, grade, colour):
    line, other = LineString([place(0, 0.5), place(1, 0.5)]), LineString([place(0, 0.1), place(1, 0.1)])
    rows = [{"GB": code, "RTEG": grade, "geometry": line}, {"GB": "420101", "RTEG": "", "geometry": other}]
    pyogrio.write_dataframe(geopandas.GeoDataFrame(rows, geometry="geometry", crs=CRS), tmp_path / "roads.gpkg", layer="LRDL")
    roads = LineMapRenderer(tmp_path, edition_of(tmp_path / "roads.gpkg", config_folder), config_folder / "styles")
    seen = pixels(roads, view(*place(0.5, 0.5), 2))
    assert has_colour(seen, colour, 4)
    assert not any(has_colour(seen, other, 4) for other in ((242, 194, 48), (240, 160, 48), NATIONAL_RED) if other != colour)


def test_every_class_is_drawn_without_a_single_attribute(tmp_path, config_folder):
    shapes = {
        "point": Point(place(0.5, 0.5)), "line": LineString([place(0.49, 0.5), place(0.51, 0.5)]),
        "area": box(*place(0.49, 0.49), *place(0.51, 0.51)),
    }
    edition = None
    for path in sorted((config_folder / "styles" / "dlg").glob("*.xml")):
        geometry = {"P": "point", "L": "line", "A": "area"}[path.stem[-1]]
        frame = geopandas.GeoDataFrame({"geometry": [shapes[geometry]]}, crs=CRS)
        pyogrio.write_dataframe(frame, tmp_path / "bare.gpkg", layer=path.stem, append=(tmp_path / "bare.gpkg").exists())
    edition = edition_of(tmp_path / "bare.gpkg", config_folder)
    names_only = {"AGNP", "AANP"}
    for table in edition.classes:
        picture = pixels(LineMapRenderer(tmp_path, replace(edition, classes=(table,)), config_folder / "styles"), view(*place(0.5, 0.5), 2))
        assert (picture[..., 3].max() > 0) == (table.name not in names_only | {"CPTP"}), table.name


def test_survey_control_points_are_not_in_the_picture(county, config_folder):
    assert any(c.name == "CPTP" for c in county.edition.classes)
    secret = LineMapRenderer(county.folder, only(county, "CPTP"), config_folder / "styles")
    assert pixels(secret, view(*place(0.125, 0.925), 1)).max() == 0


@pytest.mark.parametrize("stored", ["EPSG:4490", "EPSG:4326", "EPSG:4549", "EPSG:4528", "EPSG:32650"])
@pytest.mark.parametrize("asked", crs_room.SERVED)
def test_a_known_point_is_drawn_at_its_pixel_in_every_served_crs(tmp_path, config_folder, stored, asked):
    lon, lat = 119.4321, 32.3456
    frame = geopandas.GeoSeries([Point(lon, lat)], crs="OGC:CRS84").to_crs(stored)
    points = LineMapRenderer(tmp_path, overlay(tmp_path, config_folder, [{"geometry": frame.iloc[0]}], stored), config_folder / "styles")
    x, y = crs_room.transformer("CRS:84", asked).transform(lon, lat)
    resolution = 2e-5 if crs_room.is_geographic(asked) else 2.0
    bounds = Bounds(x - 40 * resolution, y - 90 * resolution, x + 160 * resolution, y + 30 * resolution)
    where = View(crs=asked, bounds=bounds, width=200, height=120)
    rows, cols = np.nonzero(pixels(points, where)[..., 3] > 128)
    assert len(rows) > 20
    assert abs(cols.mean() + 0.5 - 40) < 1 and abs(rows.mean() + 0.5 - 30) < 1


def test_the_whole_province_lies_right_in_one_zone(tmp_path, config_folder):
    edges = [(116.4, 34.6), (121.9, 31.7), (118.9, 31.0), (119.3, 35.1)]
    points = LineMapRenderer(tmp_path, overlay(tmp_path, config_folder, [{"geometry": Point(p)} for p in edges]), config_folder / "styles")
    for lon, lat in edges:
        for asked in ("EPSG:4549", "EPSG:3857"):
            x, y = crs_room.transformer("CRS:84", asked).transform(lon, lat)
            rows, cols = np.nonzero(pixels(points, view(x, y, 1.0, crs=asked, size=40))[..., 3] > 128)
            assert abs(cols.mean() + 0.5 - 20) < 1 and abs(rows.mean() + 0.5 - 20) < 1


def test_names_are_drawn_in_chinese_and_not_as_empty_boxes(tmp_path, config_folder):
    def drawn(name: str) -> np.ndarray:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        rows = [{"NAME": name, "CLASS": "AF", "geometry": Point(place(0.5, 0.5))}]
        pyogrio.write_dataframe(geopandas.GeoDataFrame(rows, geometry="geometry", crs=CRS), folder / "names.gpkg", layer="AGNP")
        edition = edition_of(folder / "names.gpkg", config_folder)
        return pixels(LineMapRenderer(folder, edition, config_folder / "styles"), view(*place(0.5, 0.5), 2, size=128))

    chinese, other, missing = drawn("青龙镇"), drawn("凤凰岭"), drawn("\U000f0000" * 3)
    ink = (chinese[..., 3] > 200) & (chinese[..., :3].max(axis=2) < 90)
    assert len({column.tobytes() for column in ink.T if column.any()}) > 20, "columns of real characters differ"
    assert np.abs(chinese - other).max() > 200 and np.abs(chinese - missing).max() > 200


def test_a_river_bears_its_name_in_blue_along_the_line(county, config_folder):
    table = next(c for c in county.edition.classes if c.name == "HYDL")
    nameless = replace(table, fields=tuple(f for f in table.fields if f != "NAME"))
    where = view(*place(0.5, 0.3), 4, size=900)
    named_picture, nameless_picture = (
        pixels(LineMapRenderer(county.folder, replace(county.edition, classes=(t,)), config_folder / "styles"), where)
        for t in (table, nameless)
    )
    letters = np.abs(named_picture - nameless_picture).max(axis=2) > 60
    assert letters.sum() > 400
    blue = named_picture[letters][:, 2] - named_picture[letters][:, 0]
    assert (blue > 70).sum() > 200


def brightness(picture: np.ndarray) -> np.ndarray:
    """As over white paper."""
    return (picture[..., :3].mean(axis=2) * picture[..., 3] + 255 * (255 - picture[..., 3])) / 255


@pytest.mark.parametrize("resolution", [1.2, 2.4, 4.8, 19.0])
def test_no_name_is_cut_by_a_seam_of_what_is_drawn_together(renderer, county, config_folder, resolution):
    """Along the seams of four pictures side by side there is no ink that is not there without names; and there is elsewhere."""
    nameless = LineMapRenderer(county.folder, county.edition, config_folder / "styles", labels=False)
    (x, y), size, names = place(0.45, 0.55), 512, 0
    for left, bottom in ((-1, -1), (-1, 0), (0, -1), (0, 0)):
        west, south = x + left * size * resolution, y + bottom * size * resolution
        where = View(crs=CRS, bounds=Bounds(west, south, west + size * resolution, south + size * resolution), width=size, height=size)
        lettered = (brightness(pixels(nameless, where)) - brightness(pixels(renderer, where))) > 30
        assert not np.concatenate([lettered[0], lettered[-1], lettered[:, 0], lettered[:, -1]]).any(), "of a halo the edge may keep a pixel"
        names += lettered.sum()
    assert names > 1_000


def test_a_name_that_the_edge_would_cut_stands_beside_its_place(tmp_path, config_folder):
    """A village whose name does not fit around its place moves it to a side where it does."""
    x, y = place(0.5, 0.5)
    rows = [{"NAME": "青石桥村", "CLASS": "BB", "geometry": Point(x, y)}]
    pyogrio.write_dataframe(geopandas.GeoDataFrame(rows, geometry="geometry", crs=CRS), tmp_path / "names.gpkg", layer="AGNP")
    names = LineMapRenderer(tmp_path, edition_of(tmp_path / "names.gpkg", config_folder), config_folder / "styles")
    near_the_edge = View(crs=CRS, bounds=Bounds(x - 8, y - 500, x + 992, y + 500), width=500, height=500)
    ink = np.nonzero(pixels(names, near_the_edge)[..., 3].max(axis=0))[0]
    assert len(ink) > 30 and ink.min() > 0


def test_small_scales_leave_out_what_large_ones_show(county, config_folder):
    houses = LineMapRenderer(county.folder, only(county, "RESA"), config_folder / "styles")
    contours = LineMapRenderer(county.folder, only(county, "TERL"), config_folder / "styles")
    village = place(0.34, 0.58)
    assert pixels(houses, view(*village, 4))[..., 3].max() == 255
    assert pixels(houses, view(*village, 100))[100:120, 100:120, 3].max() == 0
    hill = place(0.13, 0.92)
    shown = [(pixels(contours, view(*hill, r, size=200))[..., 3] > 40).mean() for r in (4.0, 14.0, 100.0)]
    assert shown[0] > 0 and shown[2] == 0


def test_every_fifth_contour_is_an_index_contour_without_any_code(tmp_path, config_folder):
    rows = [{"ELEV": float(h), "geometry": LineString([place(0.4, 0.5 + h / 1000), place(0.6, 0.5 + h / 1000)])} for h in range(0, 55, 5)]
    pyogrio.write_dataframe(geopandas.GeoDataFrame(rows, geometry="geometry", crs=CRS), tmp_path / "contours.gpkg", layer="contours")
    lines = LineMapRenderer(tmp_path, edition_of(tmp_path / "contours.gpkg", config_folder), config_folder / "styles")
    ink = {}
    for h in range(0, 55, 5):
        x, y = place(0.435, 0.5 + h / 1000)
        ink[h] = pixels(lines, view(x, y, 2, size=14))[:, 7, 3].sum()
    thick, thin = [ink[h] for h in (0, 25, 50)], [ink[h] for h in ink if h % 25]
    assert min(thick) > 1.4 * max(thin)


def test_the_same_zoom_level_looks_alike_in_degrees_and_metres(county, config_folder):
    """A level of tdt_c and the same one of WebMercatorQuad show the same things: scale counts as at the equator in both."""
    houses = LineMapRenderer(county.folder, only(county, "RESA"), config_folder / "styles")
    lon, lat = crs_room.transformer(CRS, "CRS:84").transform(*place(0.34, 0.58))
    x, y = crs_room.transformer(CRS, "EPSG:3857").transform(*place(0.34, 0.58))
    for level in (12, 13, 15):
        degrees = pixels(houses, view(lon, lat, 1.40625 / 2**level, crs="EPSG:4490"))[..., 3].max() > 0
        mercator = pixels(houses, view(x, y, 156543.03392804097 / 2**level, crs="EPSG:3857"))[..., 3].max() > 0
        assert degrees == mercator, level


def test_a_picture_of_twice_the_pixels_shows_the_same_map(renderer):
    x, y = place(0.55, 0.5)
    plain = pixels(renderer, view(x, y, 4))
    double = pixels(renderer, view(x, y, 2, size=512), 2.0)
    shrunk = double.reshape(256, 2, 256, 2, 4).mean(axis=(1, 3))
    assert np.abs(plain[..., 3] - shrunk[..., 3]).mean() < 8


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 40), (40, 3), (15, 15)])
def test_a_picture_of_a_few_pixels_is_a_cutting_of_the_large_one(county, config_folder, width, height):
    water = LineMapRenderer(county.folder, only(county, "HYDA"), config_folder / "styles")
    whole = view(*place(0.2, 0.66), 4)
    left, _, _, top = whole.bounds
    part = View(crs=CRS, bounds=Bounds(left, top - height * 4, left + width * 4, top), width=width, height=height)
    assert (pixels(water, part) == pixels(water, whole)[:height, :width]).all()


def test_eight_threads_draw_at_once_and_the_pool_stays_small(renderer):
    views = [view(*place(a / 8, b / 6), 3) for a in range(8) for b in range(6)]
    alone = [renderer.render(v).tobytes() for v in views]
    with ThreadPoolExecutor(8) as threads:
        together = [picture.tobytes() for picture in threads.map(renderer.render, views)]
    assert together == alone
    assert len(renderer._idle) <= dlg.MOST_MAPS


def test_overlays_have_one_colour_a_class_and_names(tmp_path, config_folder):
    rows = [{"名称": "派出所", "geometry": Point(119.0, 32.0)}]
    edition = overlay(tmp_path, config_folder, rows)
    named = LineMapRenderer(tmp_path, edition, config_folder / "styles")
    nameless = LineMapRenderer(tmp_path, replace(edition, classes=(replace(edition.classes[0], fields=()),)), config_folder / "styles")
    where = view(119.0, 32.0, 2e-5, crs="EPSG:4490")
    assert has_colour(pixels(named, where), (214, 51, 108))
    assert (pixels(named, where)[..., 3] > 0).sum() > (pixels(nameless, where)[..., 3] > 0).sum() + 200


def test_tables_that_are_no_class_are_drawn_plainly(tmp_path, config_folder):
    rows = [{"geometry": LineString([place(0.4, 0.5), place(0.6, 0.5)])}]
    pyogrio.write_dataframe(geopandas.GeoDataFrame(rows, geometry="geometry", crs=CRS), tmp_path / "x.gpkg", layer="patrol_beats")
    edition = edition_of(tmp_path / "x.gpkg", config_folder)
    assert edition.classes[0].kind == ""
    assert has_colour(pixels(LineMapRenderer(tmp_path, edition, config_folder / "styles"), view(*place(0.5, 0.5), 2)), (214, 51, 108))


def test_names_with_markup_and_brackets_break_nothing(tmp_path, config_folder):
    rows = [{"a]b": 1, "NAME": "<b>&'\"石塘'][", "geometry": Point(119.0, 32.0)}]
    edition = overlay(tmp_path, config_folder, rows, name="a'b <c> & [d]")
    picture = pixels(LineMapRenderer(tmp_path, edition, config_folder / "styles"), view(119.0, 32.0, 2e-5, crs="EPSG:4490"))
    assert picture[..., 3].max() == 255


def test_a_missing_file_is_told_in_one_sentence_without_a_path(county, config_folder, tmp_path):
    with pytest.raises(RenderFailed) as told:
        LineMapRenderer(tmp_path, county.edition, config_folder / "styles").render(view(*place(0.5, 0.5), 2))
    assert str(tmp_path) not in str(told.value)


def test_mapnik_leaves_no_mark_on_the_environment():
    assert not any("mapnik" in os.environ.get(name, "") for name in ("PROJ_LIB", "GDAL_DATA"))


@pytest.mark.parametrize("crs", [CRS, "EPSG:3857", "EPSG:4490", "CRS:84"])
def test_the_scale_is_the_one_that_mapnik_goes_by(crs):
    where = View(crs=crs, bounds=crs_room.transform_bounds(Bounds(WEST, SOUTH, EAST, NORTH), CRS, crs), width=640, height=400)
    map_ = mapnik.Map(where.width, where.height)
    map_.srs = dlg.mapnik_srs(crs)
    map_.aspect_fix_mode = mapnik.aspect_fix_mode.RESPECT
    map_.zoom_to_box(mapnik.Box2d(*where.bounds))
    assert dlg.denominator_of(where) == pytest.approx(map_.scale_denominator(), rel=1e-9)


def test_widths_shrink_slowly_and_grow_towards_real_roads():
    assert width_factor(10_000) == 1
    assert width_factor(2_500) == 2
    assert 0.3 < width_factor(1_000_000) < 0.4


@pytest.mark.real_data
def test_real_rivers_and_lakes_of_jiangsu_are_blue(shared_data, tmp_path, config_folder):
    source = shared_data / "jiangsu/hydro/jiangsu_hydro_ngcc_1to4m.gpkg"
    edition = edition_of(source, config_folder, tables=("rivers_all", "lakes_all"))
    rivers = LineMapRenderer(source.parent, edition, config_folder / "styles")
    taihu = pixels(rivers, view(120.2, 31.2, 1.40625 / 2**9, crs="EPSG:4490"))
    assert has_colour(taihu, WATER, 2) and has_colour(taihu, RIVER_BLUE, 90)


@pytest.mark.real_data
def test_real_roads_and_houses_of_swellendam_are_drawn(shared_data, config_folder):
    source = shared_data / "swellendam/swellendam_osm_4326.gpkg"
    town = LineMapRenderer(source.parent, edition_of(source, config_folder), config_folder / "styles")
    picture = pixels(town, view(20.44, -34.025, 1e-5, crs="CRS:84", size=512))
    assert has_colour(picture, (217, 201, 176), 4)
    assert has_colour(pixels(town, view(20.45, -34.03, 1e-4, crs="CRS:84", size=512)), NATIONAL_RED, 6)


# Rows

@pytest.mark.parametrize("rows", ["GB = 4201012", "GB BETWEEN 4201000 AND 4202999 OR HYDL.NAME LIKE '%河'", "NAME IS NULL", "LRDL.RN = 'S122'", "ABSENT = 1"])
def test_the_rows_of_a_filter_are_drawn_as_if_there_were_no_others(tmp_path, county, config_folder, rows):
    rule = parse_rows(rows)
    for table in county.edition.classes:
        frame = pyogrio.read_dataframe(county.folder / county.edition.vectors, layer=table.name)
        kept = [rule.matches(table.name, {k: None if pandas.isna(v) else v for k, v in row.items()}) for row in frame.drop(columns="geometry").to_dict("records")]
        if any(kept):
            pyogrio.write_dataframe(frame[kept], tmp_path / "kept.gpkg", layer=table.name, append=(tmp_path / "kept.gpkg").exists())
    where = view(*place(0.5, 0.5), 8.0, size=700)
    filtered = pixels(LineMapRenderer(county.folder, county.edition, config_folder / "styles", rows=rule), where)
    if not (tmp_path / "kept.gpkg").exists():
        assert not filtered.any()
        return
    others = {table.name: table for table in edition_of(tmp_path / "kept.gpkg", config_folder).classes}
    kept = replace(county.edition, vectors="kept.gpkg", classes=tuple(t for t in county.edition.classes if t.name in others))
    alone = pixels(LineMapRenderer(tmp_path, kept, config_folder / "styles"), where)
    assert np.abs(filtered - alone).max() <= 4 and filtered[..., 3].any(), "the index of a table decides which of two that touch comes first"
