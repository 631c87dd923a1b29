"""The sheet index as a layer: what it holds, that it follows its layer, and that it is shared like any other."""

import json
from datetime import date
from io import BytesIO

import numpy as np
import pyogrio
import pytest
import shapely
from click.testing import CliRunner
from numbered_sheets import SQUARE, deliver, publish
from PIL import Image

from geoserver_app.cli import main
from geoserver_app.ingesting import remove
from geoserver_app.sheets.indexing import has_index, make_index, remove_index
from layers.catalogue import Division
from layers.errors import LayerMismatch, LayerNotDefined
from layers.model import Bounds, Edition, ProductType, Sheet
from layers.sheets import any_number, children, neighbours, sheet_bounds, sheet_frame
from layers.sheets.index import index_of

NORTH_WEST, NORTH_EAST, SOUTH_WEST, SOUTH_EAST = SQUARE
BOX = "CRS=EPSG:4549&BBOX=3541000,381000,3553000,395000&WIDTH=280&HEIGHT=240&FORMAT=image/png&STYLES=&VERSION=1.3.0&SERVICE=WMS"


# -- what it holds

def edition(name: str, numbers) -> tuple[Edition, list[Sheet]]:
    sheets = [
        Sheet(sheet_id=position, number=number, source_name=f"{number}.tif", path="", crs="EPSG:4549", bounds=Bounds(381000, 3541000, 387000, 3546000), footprint=sheet_frame(number),
              width=100, height=100, resolution=(60, 50), band_count=3, dtype="uint8", nodata=None, checksum="a" * 64, lineage=())
        for position, number in enumerate(numbers, 1)
    ]
    extent = shapely.union_all([one.footprint for one in sheets])
    return Edition(edition_id=int(name), name=name, layer="dom", product=ProductType.DOM, currency=(None, None), generation=1, folder="", crs="EPSG:4549",
                   extent=extent, resolution=60.0), sheets


def standing(entries) -> dict[str, tuple[str, str, str]]:
    return {f"{one.number}@{one.edition}": (one.status, one.superseded_by, one.currency) for one in entries}


def test_each_sheet_of_each_edition_has_its_standing():
    told = standing(index_of([edition("2011", SQUARE[:2]), edition("2006", SQUARE[:3]), edition("2001", SQUARE[:1])]))
    assert told == {
        f"{NORTH_WEST}@2011": ("current", "", "2011-12-31"), f"{NORTH_EAST}@2011": ("current", "", "2011-12-31"),
        f"{NORTH_WEST}@2006": ("superseded", "2011", "2006-12-31"), f"{NORTH_EAST}@2006": ("superseded", "2011", "2006-12-31"),
        f"{SOUTH_WEST}@2006": ("older", "", "2006-12-31"), f"{NORTH_WEST}@2001": ("superseded", "2011", "2001-12-31"),
    }


def test_a_sheet_that_all_others_surround_is_a_hole():
    around = [*neighbours("I50G090080").values()]
    assert standing(index_of([edition("2011", around)]))["I50G090080@"] == ("hole", "", "")
    assert not any(one.status == "hole" for one in index_of([edition("2011", [*around, "I50G090080"])]))
    assert not any(one.status == "hole" for one in index_of([edition("2011", around), edition("2006", ["I50G090080"])]))


def test_within_a_division_every_sheet_that_is_missing_is_a_hole():
    ground = sheet_frame("I50E024020").buffer(-0.001)
    holes = {one.number for one in index_of([edition("2011", SQUARE)], ground) if one.status == "hole"}
    assert holes == set(children("I50E024020", "G")) - set(SQUARE)


def test_sheets_without_numbers_are_drawn_by_their_footprints():
    whole, sheets = edition("2011", SQUARE[:1])
    bare = [Sheet(**{name: getattr(sheets[0], name) for name in Sheet.__slots__} | {"number": None})]
    (one,) = index_of([(whole, bare)])
    assert one.number is None and one.status == "current" and one.ground.equals(sheets[0].footprint)
    assert {each.status for each in index_of([edition("2016", SQUARE[:1]), (whole, bare)])} == {"current", "superseded"}


# -- as a layer

@pytest.fixture(scope="module")
def office(lasting_house):
    house = lasting_house
    publish(house, "dom", *(deliver(house.folder / "old", number, (9, 9, 9)) for number in SQUARE[:3]), product="DOM", edition="2006", lossless=True)
    publish(house, "dom", deliver(house.folder / "new", NORTH_WEST, (9, 9, 9)), product="DOM", edition="2011", lossless=True, title_zh="影像", title_en="Imagery",
                currency=(date(2011, 5, 1), date(2011, 8, 1)))
    frame = sheet_frame("I50F048039").buffer(-0.001)
    house.services.catalogue.put_divisions([Division(vintage="2020", code="320199", name="试验区", level="county", geometry=frame)])
    made = CliRunner().invoke(main, ["sheet", "index", "dom", "--within", "320199"], obj=house.services.settings, env=_environment(house))
    assert made.exit_code == 0, made.output
    for agency in ("all", "part", "pictures", "nobody"):
        house.agency(agency)
    house.grant("all", "dom-sheets", attributes=None)
    house.grant("part", "dom-sheets", area=sheet_frame(NORTH_WEST).buffer(-0.001))
    house.grant("pictures", "dom")
    return house


def _environment(house) -> dict[str, str]:
    return {"GEOSHARE_DATA": str(house.services.settings.data)}


def rows(house) -> dict[str, dict]:
    house.look_again()
    found = house.services.catalogue.snapshot().layers["dom-sheets"].editions[0]
    frame = pyogrio.read_dataframe(house.services.settings.store / found.folder / found.vectors, layer="SHTA")
    return {f"{row['NUMBER']}@{row['EDITION']}": dict(row) for _, row in frame.iterrows()}


def test_the_index_tells_of_each_sheet_what_a_surveyor_asks(office):
    told = rows(office)
    assert {name: row["STATUS"] for name, row in told.items()} == {
        f"{NORTH_WEST}@2011": "current", f"{NORTH_WEST}@2006": "superseded", f"{NORTH_EAST}@2006": "older", f"{SOUTH_WEST}@2006": "older", f"{SOUTH_EAST}@": "hole",
    }
    one = told[f"{NORTH_WEST}@2011"]
    assert one["OLD_NUMBER"] == "I-50-142-(53)" and one["SCALE"] == 10_000 and len(one["CHECKSUM"]) == 64 and one["RESOLUTION_M"] == pytest.approx(50, rel=0.01)
    assert told[f"{NORTH_WEST}@2006"]["SUPERSEDED_BY"] == "2011" and one["CURRENCY"] == "2011-08-01" and one["CRS"] == "EPSG:4549"
    assert Bounds(*one["geometry"].bounds) == pytest.approx(sheet_bounds(NORTH_WEST), abs=1e-9)
    layer = office.services.catalogue.snapshot().layers["dom-sheets"]
    assert layer.title_zh == "影像图幅接合表" and layer.owner == "bureau" and layer.classification == office.services.catalogue.snapshot().layers["dom"].classification


def picture(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(BytesIO(answer.data)).convert("RGB")).astype(int)


def colour_at(pixels: np.ndarray, number: str) -> str:
    """What the middle of a sheet's lower half looks like, beside its name."""
    left, bottom, right, top = 381_000, 3_541_000, 395_000, 3_553_000
    from layers.crs import transformer
    west, south, east, north = sheet_bounds(number)
    x, y = transformer("CRS:84", "EPSG:4549").transform(west + (east - west) * 0.5, south + (north - south) * 0.25)
    row, column = int((top - y) / (top - bottom) * 240), int((x - left) / (right - left) * 280)
    red, green, blue = pixels[row, column]
    return "white" if min(red, green, blue) > 250 else "green" if green > red else "red" if green < blue + 8 else "amber"


def test_a_map_of_the_index_tells_by_colour(office):
    pixels = picture(office.get(f"/ows?{BOX}&REQUEST=GetMap&LAYERS=dom-sheets", "all"))
    assert {number: colour_at(pixels, number) for number in SQUARE} == {NORTH_WEST: "green", NORTH_EAST: "amber", SOUTH_WEST: "amber", SOUTH_EAST: "red"}


def test_the_index_is_shared_with_nobody_by_itself_and_cut_like_any_layer(office):
    for agency in ("nobody", "pictures"):
        assert office.get(f"/ows?{BOX}&REQUEST=GetMap&LAYERS=dom-sheets", agency).status_code == 403
        assert b"dom-sheets" not in office.get("/api/v1/layers", agency).data
    pixels = picture(office.get(f"/ows?{BOX}&REQUEST=GetMap&LAYERS=dom-sheets", "part"))
    assert {number: colour_at(pixels, number) for number in SQUARE} == {NORTH_WEST: "green", NORTH_EAST: "white", SOUTH_WEST: "white", SOUTH_EAST: "white"}


def test_what_is_told_of_a_place_is_the_sheet_there(office):
    ask = f"/ows?{BOX}&REQUEST=GetFeatureInfo&LAYERS=dom-sheets&QUERY_LAYERS=dom-sheets&INFO_FORMAT=application/json&FEATURE_COUNT=9&I=80&J=80"
    told = [one["properties"] for one in office.get(ask, "all").json["features"]]
    assert {(one["NUMBER"], one["STATUS"]) for one in told} == {(NORTH_WEST, "current"), (NORTH_WEST, "superseded")}


def test_legend_and_tiles_of_the_index_are_served(office):
    assert office.get("/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetLegendGraphic&LAYER=dom-sheets&FORMAT=image/png", "all").status_code == 200
    assert office.get("/tiles/dom-sheets/WebMercatorQuad/12/3399/1661.png", "all").status_code == 200


def test_only_rasters_have_an_index(office):
    with pytest.raises(LayerMismatch, match="no raster"):
        make_index(office.services.settings, "dom-sheets")
    with pytest.raises(LayerNotDefined):
        make_index(office.services.settings, "absent")


# -- it follows its layer

def test_the_index_follows_every_change_of_its_layer(office):
    publish(office, "dom", deliver(office.folder / "more", SOUTH_EAST, (9, 9, 9)), product="DOM", edition="2011", lossless=True)
    assert rows(office)[f"{SOUTH_EAST}@2011"]["STATUS"] == "current" and f"{SOUTH_EAST}@" not in rows(office)
    remove(office.services.settings, "dom@2011")
    told = rows(office)
    assert {name: row["STATUS"] for name, row in told.items()} == {
        f"{NORTH_WEST}@2006": "current", f"{NORTH_EAST}@2006": "current", f"{SOUTH_WEST}@2006": "current", f"{SOUTH_EAST}@": "hole",
    }
    assert {row["WITHIN"] for row in told.values()} == {"320199"}
    assert colour_at(picture(office.get(f"/ows?{BOX}&REQUEST=GetMap&LAYERS=dom-sheets", "all")), NORTH_EAST) == "green"


def test_the_index_goes_with_its_layer(office):
    catalogue = office.services.catalogue
    remove(office.services.settings, "dom")
    assert "dom-sheets" not in catalogue.snapshot().layers and not has_index(catalogue, "dom")
    office.look_again()
    assert office.get(f"/ows?{BOX}&REQUEST=GetMap&LAYERS=dom-sheets", "all").status_code == 403


def test_a_layer_that_only_bears_the_name_is_left_alone(house):
    points = house.folder / "my.geojson"
    points.write_text(json.dumps({"type": "Feature", "properties": {"NAME": "x"}, "geometry": {"type": "Point", "coordinates": [118.8, 32.05]}}), "utf-8")
    publish(house, "dem", deliver(house.folder, NORTH_WEST, 5.0), product="DEM")
    publish(house, "dem-sheets", points, product="OVERLAY", edition="current")
    publish(house, "dem", deliver(house.folder / "b", NORTH_EAST, 5.0), product="DEM")
    remove_index(house.services.settings, house.services.catalogue, "dem")
    assert house.services.catalogue.snapshot().layers["dem-sheets"].product is ProductType.OVERLAY
    with pytest.raises(LayerMismatch):
        make_index(house.services.settings, "dem")


# -- at the shell

def run(house, *words) -> str:
    done = CliRunner().invoke(main, list(words), env=_environment(house))
    assert done.exit_code == 0, done.output
    return done.output


def test_the_shell_shows_finds_and_traces_sheets(house):
    publish(house, "dem", deliver(house.folder, NORTH_WEST, 5.0), product="DEM")
    (shown,) = json.loads(run(house, "sheet", "show", "I-50-142-（53）", "--json"))
    assert shown["number"] == NORTH_WEST and shown["held"][0]["file"] == f"{NORTH_WEST}.tif"
    assert "I-50-142-(53)" in run(house, "sheet", "show", "i50g095077") and "dem@2011" in run(house, "sheet", "find", "i50g095077")
    assert [one["number"] for one in json.loads(run(house, "sheet", "find", "--lon", "118.7781", "--lat", "32.0436", "--scale", "5万", "--json"))] == ["I50E024020"]
    assert len(json.loads(run(house, "sheet", "neighbours", NORTH_WEST, "--json"))) == 8
    west, south, east, north = sheet_bounds(NORTH_WEST)
    (traced,) = json.loads(run(house, "lineage", "dem", "--bbox", f"{west + .01},{south + .01},{east - .01},{north - .01}", "--json"))
    assert traced["file"] == f"{NORTH_WEST}.tif" and traced["share"] == 1.0 and traced["steps"]
    assert f"{NORTH_WEST}.tif" in run(house, "lineage", "dem", "--tile", "WebMercatorQuad/13/6798/3325")
    wrong = CliRunner().invoke(main, ["sheet", "show", "zzz"], env=_environment(house))
    assert wrong.exit_code == 3 and any_number("I-50-142-(53)") == NORTH_WEST
