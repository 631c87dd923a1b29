"""What the pages for analysts and app developers say in numbers is what the service does."""

import re
from pathlib import Path

import pytest

from geoserver_app.lane import TILE_HEADERS
from geoserver_app.settings import Settings
from layers.crs import SERVED, is_north_first
from layers.model import STYLES
from tiles.grids import TILE_MATRIX_SETS
from tiles.requests import MOST_PARAMETERS, Limits
from tiles.requests.wcs import COMPRESSIONS, COVERAGE_FORMATS, KNOWN

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def analyst() -> str:
    return (DOCS / "analyst.md").read_text("utf-8")


@pytest.fixture(scope="module")
def developer() -> str:
    return (DOCS / "agency-app.md").read_text("utf-8")


def test_the_table_of_axes_names_every_served_system_on_its_side(analyst):
    (row,) = re.findall(r"^\| WMS 1\.3\.0 .*$", analyst, re.M)
    east_first, north_first = row.split("|")[2:4]
    assert {crs for crs in SERVED if is_north_first(crs)} == named(north_first)
    assert {crs for crs in SERVED if not is_north_first(crs)} == named(east_first)


def named(cell: str) -> set[str]:
    """`EPSG:4547`-`4550` stands for four."""
    found = set()
    for authority, first, last in re.findall(r"`(EPSG|CRS):(\d+)`(?:-`(\d+)`)?", cell):
        found |= {f"{authority}:{code}" for code in range(int(first), int(last or first) + 1)}
    return found


def test_every_style_is_told(analyst):
    for product, styles in STYLES.items():
        (row,) = re.findall(rf"^\| {product} .*$", analyst, re.M)
        assert [style for style in re.findall(r"`([a-z-]+)`", row) if style in styles] == list(styles)


def test_the_levels_of_each_tile_matrix_set_are_told(developer):
    for tms in TILE_MATRIX_SETS.values():
        (row,) = re.findall(rf"^\| `{tms.id}` .*$", developer, re.M)
        assert row.rstrip(" |").endswith(f"| {min(tms.zooms)}-{max(tms.zooms)}") and tms.crs in row


def test_the_limits_are_those_that_are_kept(developer):
    settings, limits = Settings(), Limits()
    numbers = {int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", developer.partition("## Limits")[2].partition("##")[0])}
    assert {settings.max_pixels, limits.max_side, settings.max_layers, limits.max_features, limits.max_value, MOST_PARAMETERS} <= numbers


def test_the_caching_header_is_quoted(developer):
    assert f"`Cache-Control: {dict(TILE_HEADERS)['Cache-Control']}`" in developer


def test_what_is_told_of_coverages_is_what_is_read(analyst):
    chapter = analyst.partition("## Values, not pictures")[2].partition("\n## ")[0]
    asked = chapter.partition("**What can be asked.**")[2].partition("**Limits.**")[0]
    told = {name.partition("=")[0] for name in re.findall(r"`([A-Z_]+(?::[A-Z]+)?(?:=[A-Za-z]+)?)`", asked)}
    assert {"SUBSET", "SCALESIZE", "GEOTIFF:COMPRESSION"} <= told <= KNOWN | {"SUBSET", *COMPRESSIONS}
    assert set(COVERAGE_FORMATS) <= set(re.findall(r"`([a-z]+/[a-z]+)`", asked))
    assert f"{Settings().max_pixels:,}" in chapter and f"{Limits().max_side:,}" in chapter
