"""The picture of a difference: one SVG that needs nothing beside itself, shows each ground where it lies, and is legible in print."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import shapely
import typst
from PIL import Image

from agreements.areas import area_on_the_ground
from agreements.compare.difference import Ground
from geoserver_app.area_picture import _sheet, picture
from geoserver_app.papers.svg import safe_svg
from layers.crs import geodesic_km2

WEST, MIDDLE, EAST = (area_on_the_ground(shapely.box(118 + n, 32, 119 + n, 33), "").geometry for n in range(3))


def ground(geometry):
    return Ground(geometry, geodesic_km2(geometry))


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_it_refers_to_nothing_beside_itself_and_may_stand_in_a_paper():
    svg = picture(ground(EAST), ground(WEST), ground(MIDDLE), [("江宁区", WEST)])
    assert not re.findall(r"(?:href|src)=|https?://(?!www\.w3\.org/2000/svg)|<script|<style|style=", svg)
    assert "path" in safe_svg(svg)


def test_names_amounts_and_a_scale_bar_are_written_in_both_languages():
    svg = picture(ground(EAST), ground(WEST), ground(MIDDLE), [("江宁区 <1>", WEST)], language="zh")
    assert "江宁区 <1>" in texts(svg)
    km2 = f"{geodesic_km2(EAST):,.1f}"
    assert {f"增加 {km2} 平方千米", f"减少 {km2} 平方千米", f"不变 {km2} 平方千米"} <= set(texts(svg))
    english = texts(picture(ground(EAST), ground(WEST), language="en"))
    assert f"gained {km2} km²" in english and any(re.fullmatch(r"\d+ km", text) for text in english)


def test_two_pictures_in_one_page_do_not_share_their_hatches():
    one, other = picture(ground(EAST), ground(WEST)), picture(ground(MIDDLE), ground(WEST))
    ids = [set(re.findall(r'id="([^"]+)"', svg)) for svg in (one, other)]
    assert len(ids[0]) == 2 and not ids[0] & ids[1]
    assert picture(ground(EAST), ground(WEST)) == one


def test_nothing_that_changes_is_still_a_picture_of_what_there_is():
    svg = picture(Ground(), Ground(), ground(WEST))
    assert f"范围 {geodesic_km2(WEST):,.1f} 平方千米" in texts(svg)
    assert ElementTree.fromstring(picture(Ground(), Ground())).tag.endswith("svg")


def test_a_boundary_of_fifty_thousand_vertices_is_drawn_with_those_that_can_be_seen():
    ragged = shapely.Point(119, 32).buffer(0.4, quad_segs=12_500)
    svg = picture(ground(ragged - WEST), ground(ragged & WEST), ground(ragged), [("x", ragged)])
    assert len(svg) < 40_000


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """West lost, the middle unchanged, east gained, as pixels."""
    folder = tmp_path_factory.mktemp("picture")
    svg = picture(ground(EAST), ground(WEST), ground(MIDDLE), [("", WEST)])
    (folder / "picture.svg").write_text(svg, "utf-8")
    (folder / "page.typ").write_text('#set page(width: auto, height: auto, margin: 0pt)\n#image("picture.svg")')
    typst.compile(str(folder / "page.typ"), output=str(folder / "page.png"), format="png", ppi=192)
    root = ElementTree.fromstring(svg)
    return Image.open(folder / "page.png").convert("RGB"), [float(v) for v in root.get("viewBox").split()]


def mean_colour(drawn, lon, lat):
    """Around a place, over some lines of the hatch."""
    image, (_, _, width, _) = drawn
    x, y = (round(value * image.width / width) for value in _sheet(shapely.union(WEST, EAST)).at(lon, lat))
    return np.asarray(image)[y - 28:y + 28, x - 28:x + 28].reshape(-1, 3).mean(axis=0)


def test_each_ground_lies_where_it_is_in_its_colour(drawn):
    lost, kept, gained, outside = (mean_colour(drawn, lon, 32.5) for lon in (118.5, 119.5, 120.5, 117.6))
    assert lost[0] > lost[1] + 40 and lost[0] > lost[2] + 40
    assert gained[1] > gained[0] + 15 and gained[1] > gained[2] + 10
    assert max(kept) - min(kept) < 3 and 200 < kept[0] < 230
    assert min(outside) > 250


def test_grounds_are_told_apart_without_colours(drawn):
    """In grey, a hatch varies and what is unchanged does not; lost is darker than gained."""
    image, _ = drawn
    grey = (image.convert("L").convert("RGB"), drawn[1])
    lost, gained = (mean_colour(grey, lon, 32.5)[0] for lon in (118.5, 120.5))
    assert lost + 8 < gained
