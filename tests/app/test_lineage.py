"""Lineage: of which sheets a map or a tile is made, no more than of what may be seen of it."""

import json
from datetime import date

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numbered_sheets import SQUARE, deliver, publish

from geoserver_app.sheets.granted import GrantedSheet, steps_told
from geoserver_app.sheets.lineage import contributions
from layers.model import Bounds, Sheet
from layers.sheets import sheet_bounds

NORTH_WEST, NORTH_EAST, SOUTH_WEST, SOUTH_EAST = SQUARE
WEST, SOUTH, EAST, NORTH = sheet_bounds("I50F048039")
MIDDLE = f"{WEST + 0.06},{SOUTH + 0.03},{EAST - 0.06},{NORTH - 0.03}"
"""A box around the corner where all four meet."""


def sheet(sheet_id: int, ground, *, number=None, currency=None, lineage=()) -> Sheet:
    return Sheet(
        sheet_id=sheet_id, number=number, source_name=f"s{sheet_id}.tif", path=f"sheets/{sheet_id}.tif", crs="EPSG:4549", bounds=Bounds(0, 0, 1, 1), footprint=ground,
        width=1, height=1, resolution=(1, 1), band_count=3, dtype="uint8", nodata=None, checksum=f"{sheet_id:064x}", lineage=lineage, currency=currency,
    )


def granted(*sheets: Sheet) -> list[GrantedSheet]:
    return [GrantedSheet(one, one.footprint) for one in sheets]


# -- which sheets show what

small = st.integers(0, 8)
boxes = st.tuples(small, small, st.integers(1, 4), st.integers(1, 4)).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
days = st.one_of(st.none(), st.dates(date(2000, 1, 1), date(2003, 1, 1)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(boxes, days), max_size=6), boxes)
def test_what_lies_uppermost_shows_as_if_all_had_been_painted(placed, view):
    sheets = [sheet(number, shapely.box(*box), currency=day) for number, (box, day) in enumerate(placed, 1)]
    painted = np.zeros((12, 12), int)
    for one in sorted(sheets, key=lambda each: (each.currency or date.min, each.sheet_id)):
        left, bottom, right, top = map(int, one.footprint.bounds)
        painted[bottom:top, left:right] = one.sheet_id
    left, bottom, right, top = view
    seen = painted[bottom:top, left:right]
    expected = {number: int((seen == number).sum()) for number in np.unique(seen) if number}
    shown = contributions(granted(*sheets), shapely.box(*view))
    assert {one.one.sheet.sheet_id: round(one.ground.area) for one in shown} == expected
    assert sum(one.share for one in shown) == pytest.approx(1.0 if expected else 0.0)
    assert [one.share for one in shown] == sorted((one.share for one in shown), reverse=True)


def test_numbered_sheets_count_with_their_frames_whatever_they_overlap():
    frames = [shapely.box(*sheet_bounds(number)) for number in (NORTH_WEST, NORTH_EAST)]
    sheets = granted(*(sheet(position, frame.buffer(0.002), number=number, currency=date(2000 + position, 1, 1))
                       for position, (number, frame) in enumerate(zip((NORTH_WEST, NORTH_EAST), frames, strict=True), 1)))
    shown = contributions(sheets, shapely.union_all(frames))
    assert [one.share for one in shown] == pytest.approx([0.5, 0.5], abs=0.001)


def test_nothing_shows_of_nothing():
    assert contributions([], shapely.box(0, 0, 1, 1)) == [] and contributions(granted(sheet(1, shapely.box(0, 0, 1, 1))), shapely.box(5, 5, 6, 6)) == []


def test_how_a_sheet_was_made_is_told_without_names_of_files():
    steps = ("taken from `secret_I50G095077.tif`: 3 x uint8, 10 x 10, sha256 ab", "georeference from `secret_I50G095077.tfw`", "warning: s7.tif has no CRS", "`s7` was cut")
    told = " ".join(steps_told(sheet(7, shapely.box(0, 0, 1, 1), lineage=steps)))
    assert "secret" not in told and ".tif" not in told and "s7" not in told and "3 x uint8" in told and "sha256 ab" in told


# -- asked of the service

@pytest.fixture(scope="module")
def office(lasting_house):
    house = lasting_house
    publish(house, "dom", *(deliver(house.folder / "old", number, (9, 9, 9), suffix="_theirs") for number in SQUARE), product="DOM", edition="2006", lossless=True)
    publish(house, "dom", *(deliver(house.folder / "new", number, (99, 9, 9), suffix="_theirs") for number in SQUARE[:2]), product="DOM", edition="2011", lossless=True)
    for agency in ("all", "part", "nobody"):
        house.agency(agency)
    house.grant("all", "dom")
    house.grant("part", "dom", area=shapely.box(WEST, SOUTH, (WEST + EAST) / 2 - 0.001, NORTH))
    return house


def lineage(office, agency: str, query: str) -> dict:
    answer = office.get(f"/lineage?{query}", agency)
    assert answer.status_code == 200, answer.text
    return answer.json


def shares(told: dict) -> dict[str, float]:
    return {one["number"]: one["share"] for one in told["sheets"]}


def test_the_four_sheets_of_a_map_are_told_with_their_shares(office):
    told = lineage(office, "all", f"layer=dom@2006&bbox={MIDDLE}")
    assert set(shares(told)) == set(SQUARE) and sum(shares(told).values()) == pytest.approx(1, abs=1e-5)
    (first, *_) = told["sheets"]
    assert told["edition"] == "2006" and first["edition"] == "2006" and len(first["checksum"]) == 64 and first["steps"]
    assert set(shares(lineage(office, "all", f"layer=dom&bbox={MIDDLE}"))) == set(SQUARE[:2])


def test_a_box_in_metres_and_a_tile_are_as_good_as_degrees(office):
    assert set(shares(lineage(office, "all", "layer=dom@2006&crs=EPSG:4549&bbox=387000,3546000,389000,3548000"))) == set(SQUARE)
    assert set(shares(lineage(office, "all", "layer=dom@2006&tile=WebMercatorQuad/14/13599/6645"))) <= set(SQUARE)


def test_only_what_may_be_seen_of_the_view_has_a_lineage(office):
    told = lineage(office, "part", f"layer=dom@2006&bbox={MIDDLE}")
    assert set(shares(told)) == {NORTH_WEST, SOUTH_WEST} and sum(shares(told).values()) == pytest.approx(1, abs=1e-5)
    assert NORTH_EAST not in json.dumps(told) and "_theirs" not in json.dumps(told) and str(office.folder) not in json.dumps(told)
    outside = lineage(office, "part", f"layer=dom@2006&bbox={EAST - 0.03},{SOUTH},{EAST - 0.01},{NORTH}")
    nowhere = lineage(office, "part", f"layer=dom@2006&bbox=100.0,{SOUTH},100.02,{NORTH}")
    assert outside["sheets"] == nowhere["sheets"] == []


def test_names_of_files_are_for_the_bureau_alone(office):
    assert "_theirs" not in office.get(f"/lineage?layer=dom@2006&bbox={MIDDLE}", "all").text


@pytest.mark.parametrize("query", ["", "layer=dom", "bbox=1,2,3,4", "layer=dom&bbox=1,2,3", "layer=dom&tile=x/1/2/3", "layer=dom&tile=WebMercatorQuad/3/9/9",
                                   "layer=dom&tile=../../x", "layer=dom&bbox=118,32,119,33&crs=EPSG:9999", "layer=../dom&bbox=118,32,119,33", "layer=dom&bbox=nan,32,119,33",
                                   "layer=dom&layer=dom&bbox=118,32,119,33", "layer=dom&tile=WebMercatorQuad/99999999999/1/1"])
def test_a_question_that_can_not_be_read_is_told_what_is_wrong(office, query):
    answers = [office.get(f"/lineage?{query}", agency) for agency in ("all", "nobody")]
    assert [answer.status_code for answer in answers] == [400, 400] and len({answer.json["detail"] for answer in answers}) == 1


@pytest.mark.real_data
def test_two_real_editions_of_one_place_answer_by_time_and_tell_their_files(shared_data, house):
    """The same ground in 2009 and 2020, a metre apart and without sheet numbers."""
    for year in ("2009", "2020"):
        publish(house, "naip", next((shared_data / "chips").glob(f"naip_nd_{year}_*.tif")), product="DOM", edition=year)
    house.agency("reader")
    house.grant("reader", "naip")
    (west, south, east, north) = house.services.catalogue.snapshot().layers["naip"].editions[0].extent.bounds
    view = f"CRS=CRS:84&BBOX={west},{south},{east},{north}&WIDTH=60&HEIGHT=50&FORMAT=image/png&STYLES=&LAYERS=naip"
    maps = {time: house.get(f"/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&{view}&TIME={time}", "reader").data for time in ("2009", "2015", "2020", "current")}
    assert maps["2009"] == maps["2015"] != maps["2020"] == maps["current"]
    standing = {f["properties"]["edition"]: f["properties"]["status"] for f in house.get("/layers/naip/sheets", "reader").get_json(force=True)["features"]}
    assert standing == {"2009": "superseded", "2020": "current"}
    (told,) = house.get(f"/lineage?layer=naip@2009&bbox={west},{south},{east},{north}", "reader").json["sheets"]
    assert told["number"] is None and told["share"] == 1.0 and "naip_nd" not in json.dumps(told)
