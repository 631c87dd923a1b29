"""Names of features last: sheets come, grow and go, and every other feature is still called what it was."""

import geopandas
import pytest
import shapely
from houses import build_house

from geoserver_app.ingesting import withdraw_sheet
from layers.sheets.numbers import sheet_bounds

SHEETS = ("I50G095077", "I50G095078", "I50G096077")
ROADS = "/features/collections/dlg.LRDL"


def deliver(folder, number: str, names, *, stem: str = "LRDL", **fields):
    """A file of roads within one sheet, the first of them first in the file."""
    box = sheet_bounds(number)
    lines = [shapely.LineString([(box.left + 0.005, box.bottom + 0.002 * (at + 1)), (box.left + 0.03, box.bottom + 0.002 * (at + 1))]) for at in range(len(names))]
    path = folder / f"{number}_{stem}.gpkg"
    path.unlink(missing_ok=True)
    geopandas.GeoDataFrame({"NAME": list(names), **fields}, geometry=lines, crs="EPSG:4490").to_file(path, layer="LRDL", driver="GPKG")
    return path


@pytest.fixture
def house(tmp_path):
    house = build_house(tmp_path)
    house.agency("water")
    house.grant("water", "dlg", attributes=None)
    return house


def named(house) -> dict[str, str]:
    """Name of the road to the feature's id."""
    return {one["properties"]["NAME"]: one["id"] for one in house.get(f"{ROADS}/items?limit=100", "water").json["features"]}


def test_a_sheet_that_grows_or_goes_renames_nothing_elsewhere_and_pages_go_on(house, tmp_path):
    files = [deliver(tmp_path, number, [f"{number}-{at}" for at in range(4)]) for number in SHEETS]
    house.layer("dlg", *files[1:], product="DLG")
    before = named(house)
    house.layer("dlg", files[0], product="DLG")
    assert len(before) == 8 and named(house).items() >= before.items()
    first = house.get(f"{ROADS}/items?limit=6", "water").json
    following = next(link["href"] for link in first["links"] if link["rel"] == "next").removeprefix("http://maps.test")
    rest = house.get(following, "water").json["features"]
    grown = deliver(tmp_path, SHEETS[0], [f"{SHEETS[0]}-{at}" for at in range(9)])
    house.layer("dlg", grown, product="DLG")
    after = named(house)
    assert len(after) == 17 and after.items() >= before.items()
    assert house.get(following, "water").json["features"] == rest, "a page that was promised before still begins where it did"
    kept = before[f"{SHEETS[2]}-3"]
    house.look_again()
    withdraw_sheet(house.services.settings, "dlg@2011", SHEETS[1], workers=1)
    house.look_again()
    left = named(house)
    assert {name[:10] for name in left} == {SHEETS[0], SHEETS[2]} and left.items() <= after.items()
    assert house.get(f"{ROADS}/items/{kept}", "water").json["properties"]["NAME"] == f"{SHEETS[2]}-3"


def test_a_field_names_features_for_ever_whatever_their_order(house, tmp_path):
    house.layer("dlg", deliver(tmp_path, SHEETS[0], ["a", "b", "c"], CODE=["x1", "x2", "x3"]), product="DLG", key="code")
    before = named(house)
    house.layer("dlg", deliver(tmp_path, SHEETS[0], ["new", "c", "b", "a"], CODE=["x9", "x3", "x2", "x1"]), product="DLG", key="code")
    after = named(house)
    assert len(after) == 4 and after.items() >= before.items()
