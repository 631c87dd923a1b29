"""From the words of an area to its ground."""

import json
import math

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from small_world import BOTH, EAST, WEST, SmallGazetteer

from agreements.areas import EVERYWHERE_DIGEST, LONGEST_EDGE, area_of, area_on_the_ground, digest_of, divisions_named, sheets_named
from agreements.errors import AreaInvalid


def polygon(*rings):
    return {"type": "Polygon", "coordinates": [list(map(list, ring)) for ring in rings]}


LINE = {"type": "LineString", "coordinates": [[118.1, 32.1], [118.3, 32.1]]}
SQUARE = [(118.1, 32.1), (118.4, 32.1), (118.4, 32.4), (118.1, 32.4), (118.1, 32.1)]
HOLE = [(118.2, 32.2), (118.3, 32.2), (118.3, 32.3), (118.2, 32.3), (118.2, 32.2)]


def is_same_ground(area, geometry):
    return (area.geometry - geometry).area == 0 and (geometry - area.geometry).area == 0


def longest_edge(geometry):
    rings = [ring for part in shapely.get_parts(geometry) for ring in (part.exterior, *part.interiors)]
    return max(math.dist(a, b) for ring in rings for a, b in zip(ring.coords, ring.coords[1:], strict=False))


def fault_of(spec):
    with pytest.raises(AreaInvalid) as caught:
        area_of(spec, SmallGazetteer())
    return str(caught.value)


def test_a_division_is_named_by_its_code(gazetteer):
    area = area_of({"divisions": ["320104"]}, gazetteer)
    assert is_same_ground(area, WEST.geometry)
    assert area.title == "秦淮区 (320104)"
    assert json.loads(area.words) == {"divisions": ["320104"], "vintage": "2020"}


def test_a_division_of_an_older_vintage_is_what_it_was(gazetteer):
    old, new = area_of({"divisions": ["320105"], "vintage": "2011"}, gazetteer), area_of({"divisions": ["320105"]}, gazetteer)
    assert old.digest != new.digest and is_same_ground(new, EAST.geometry)
    assert (divisions_named(old), divisions_named(new)) == ((("320105", "2011"),), (("320105", "2020"),))


def test_the_words_of_an_area_name_the_same_ground_after_boundaries_are_issued_anew():
    gazetteer = SmallGazetteer()
    area = area_of([{"divisions": ["320104", "320105"], "sheets": ["I50G095077"]}, {"geojson": polygon(SQUARE)}], gazetteer)
    gazetteer.divisions = {code: {**known, "2024": ("x", shapely.box(0, 0, 1, 1))} for code, known in gazetteer.divisions.items()}
    again = area_of(json.loads(area.words), gazetteer)
    assert (again.digest, again.words) == (area.digest, area.words)
    assert sheets_named(area) == ("I50G095077",)


def test_divisions_whose_latest_vintages_differ_are_named_one_vintage_at_a_time():
    gazetteer = SmallGazetteer()
    gazetteer.divisions = {**gazetteer.divisions, "320104": {"2011": ("秦淮区", WEST.geometry)}}
    area = area_of({"divisions": ["320104", "320105"], "sheets": "I50G095077"}, gazetteer)
    assert json.loads(area.words) == [
        {"sheets": "I50G095077"}, {"divisions": ["320104"], "vintage": "2011"}, {"divisions": ["320105"], "vintage": "2020"},
    ]
    assert area_of(json.loads(area.words), gazetteer).digest == area.digest


def test_a_corridor_is_all_ground_within_a_distance_of_a_line(gazetteer):
    area = area_of({"buffer": {"of": LINE, "metres": 1000}}, gazetteer)
    assert is_same_ground(area, area_on_the_ground(shapely.LineString(LINE["coordinates"]).buffer(0.01), "").geometry)
    assert area.title == "within 1000 m of a drawn shape"
    assert area_of({"buffer": {"of": json.dumps(LINE), "metres": 1000.0, "crs": "EPSG:4490"}}, gazetteer).digest == area.digest
    assert area_of({"buffer": {"of": LINE, "metres": "1,000"}}, gazetteer).digest == area.digest
    both = area_of({"buffer": {"of": LINE, "metres": 1000}, "divisions": ["320105"]}, gazetteer)
    assert is_same_ground(both, shapely.union(area.geometry, EAST.geometry))


@pytest.mark.parametrize("shape", [
    {"type": "Point", "coordinates": [118.1, 32.1]}, {"type": "MultiPoint", "coordinates": [[118.1, 32.1], [118.2, 32.1]]},
    {"type": "MultiLineString", "coordinates": [[[118.1, 32.1], [118.2, 32.1]]]}, polygon(SQUARE),
    {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": LINE}]},
])
def test_anything_drawn_has_surroundings(shape, gazetteer):
    area = area_of({"buffer": {"of": shape, "metres": 200}}, gazetteer)
    assert area.geometry.is_valid and area.geometry.area > 0


def test_everything_that_is_named_is_one_area(gazetteer):
    area = area_of({"divisions": ["320105"], "sheets": ["I50G095077", "I50G095078"], "geojson": polygon(SQUARE)}, gazetteer)
    drawn, sheets = shapely.box(118.1, 32.1, 118.4, 32.4), shapely.box(118.1, 32.1, 118.3, 32.2)
    assert is_same_ground(area, shapely.union_all([EAST.geometry, drawn, sheets]))
    assert area.title == "建邺区 (320105), sheet I50G095077, sheet I50G095078, a drawn area"


def test_a_list_of_areas_is_their_union_each_in_its_own_crs(gazetteer):
    drawn = {"geojson": polygon(SQUARE), "crs": "EPSG:4490"}
    area = area_of([{"divisions": ["320104"]}, drawn, {"divisions": ["320105"]}], gazetteer)
    assert is_same_ground(area, BOTH.geometry)


def test_everywhere_swallows_what_else_is_named(gazetteer):
    for spec in ({"everywhere": True}, {"everywhere": True, "divisions": ["320104"]}, [{"divisions": ["320104"]}, {"everywhere": True}]):
        assert area_of(spec, gazetteer).digest == EVERYWHERE_DIGEST


def test_edges_are_cut_to_a_hundredth_of_a_degree(gazetteer):
    area = area_of({"geojson": polygon([(116, 31), (122, 31), (122, 35), (116, 31)])}, gazetteer)
    assert longest_edge(area.geometry) <= LONGEST_EDGE * 1.000001
    assert shapely.get_num_coordinates(area.geometry) > 1500


def test_holes_stay_holes(gazetteer):
    area = area_of({"geojson": polygon(SQUARE, HOLE)}, gazetteer)
    assert not shapely.contains_xy(area.geometry, 118.25, 32.25)
    assert area.geometry.area == pytest.approx(0.09 - 0.01)


def test_equal_ground_has_equal_digests_however_it_was_drawn(gazetteer):
    backwards, turned = SQUARE[::-1], [*SQUARE[2:], *SQUARE[1:3]]
    digests = {area_of({"geojson": polygon(ring)}, gazetteer).digest for ring in (SQUARE, backwards, turned)}
    assert len(digests) == 1
    assert area_of({"geojson": polygon(SQUARE, HOLE)}, gazetteer).digest not in digests


@settings(max_examples=40, deadline=None)
@given(corners=st.lists(st.tuples(st.floats(116, 122), st.floats(31, 35)), min_size=3, max_size=7))
def test_compiling_an_area_again_changes_nothing(corners):
    try:
        area = area_of({"geojson": polygon([*corners, corners[0]])}, SmallGazetteer())
    except AreaInvalid:
        return
    again = area_on_the_ground(area.geometry, area.title)
    assert area.geometry.is_valid and area.geometry.geom_type in ("Polygon", "MultiPolygon")
    assert again.digest == area.digest == digest_of(area.geometry)


def test_every_fault_is_told_at_once():
    with pytest.raises(AreaInvalid) as caught:
        area_of({"divisions": ["320104", "999999", "888888"], "sheets": ["Z99"], "colour": "red"}, SmallGazetteer())
    assert [field for field, _ in caught.value.faults] == ["colour", "divisions[1]", "divisions[2]", "sheets[0]"]


def test_a_shape_that_would_need_too_many_vertices_is_refused():
    comb = [(118 + i * 1e-5, 0.0 if i % 2 else 80.0) for i in range(2000)]
    assert "simplify it" in fault_of({"geojson": polygon([*comb, (118, -1), comb[0]])})


NAN, INFINITY = float("nan"), float("inf")

DEGENERATE = {
    "nothing at all": ({}, "names nothing"),
    "an empty list": ([], "names nothing"),
    "a word": (["west"], "an area is a mapping"),
    "no divisions": ({"divisions": []}, "give a division code"),
    "a division written as a number": ({"divisions": [320104]}, "write it in quotes"),
    "an unknown division": ({"divisions": ["999999"]}, "`999999` is not known"),
    "an unknown sheet": ({"sheets": ["Q99"]}, "not a GB/T 13989"),
    "everywhere but not": ({"everywhere": False}, "can only be true"),
    "a CRS of nothing": ({"divisions": ["320104"], "crs": "EPSG:4490"}, "belongs to `geojson`"),
    "a vintage of nothing": ({"sheets": ["I50G095077"], "vintage": "2020"}, "belongs to `divisions`"),
    "an unknown vintage": ({"divisions": ["320104"], "vintage": "1999"}, "`320104` is not known"),
    "a vintage written as a number": ({"divisions": ["320104"], "vintage": 2020}, "write it in quotes"),
    "a buffer of a word": ({"buffer": "river"}, "a buffer is a mapping"),
    "a buffer without a width": ({"buffer": {"of": LINE}}, "no width of a buffer"),
    "a buffer of no width": ({"buffer": {"of": LINE, "metres": 0}}, "no width of a buffer"),
    "a buffer inwards": ({"buffer": {"of": LINE, "metres": -5}}, "no width of a buffer"),
    "a buffer of not a number": ({"buffer": {"of": LINE, "metres": NAN}}, "no width of a buffer"),
    "a buffer wider than a province": ({"buffer": {"of": LINE, "metres": 100_001}}, "a number up to 100000"),
    "a buffer in miles": ({"buffer": {"of": LINE, "miles": 5}}, "a buffer has no `miles`"),
    "a buffer of nothing": ({"buffer": {"metres": 5}}, "not a GeoJSON type"),
    "a buffer of words": ({"buffer": {"of": "the river", "metres": 5}}, "not JSON"),
    "a buffer of a line of one position": ({"buffer": {"of": {"type": "LineString", "coordinates": [[118, 32]]}, "metres": 5}}, "at least two"),
    "a buffer in an unknown CRS": ({"buffer": {"of": LINE, "metres": 5, "crs": "EPSG:2384"}}, "`EPSG:2384` is not known"),
    "a buffer of a line round the world": (
        {"buffer": {"of": {"type": "LineString", "coordinates": [[-180, y / 10] for y in range(2)] + [[180, 0], [-180, 1]] * 3}, "metres": 5}},
        "simplify it",
    ),
    "an unknown CRS": ({"geojson": polygon(SQUARE), "crs": "EPSG:2384"}, "`EPSG:2384` is not known"),
    "an unknown word": ({"region": "320104"}, "not a way to name an area"),
    "GeoJSON that is a word": ({"geojson": "Polygon"}, "not a GeoJSON type"),
    "GeoJSON without a type": ({"geojson": {"coordinates": [SQUARE]}}, "not a GeoJSON type"),
    "a point": ({"geojson": {"type": "Point", "coordinates": [118, 32]}}, "covers no ground"),
    "points": ({"geojson": {"type": "MultiPoint", "coordinates": [[118, 32]]}}, "covers no ground"),
    "a line": ({"geojson": {"type": "LineString", "coordinates": SQUARE}}, "covers no ground"),
    "lines": ({"geojson": {"type": "MultiLineString", "coordinates": [SQUARE]}}, "covers no ground"),
    "a feature without geometry": ({"geojson": {"type": "Feature", "geometry": None}}, "not a GeoJSON type"),
    "an empty collection": ({"geojson": {"type": "FeatureCollection", "features": []}}, "holds nothing"),
    "a point among polygons": (
        {"geojson": {"type": "GeometryCollection", "geometries": [polygon(SQUARE), {"type": "Point", "coordinates": [0, 0]}]}},
        "covers no ground",
    ),
    "no rings": ({"geojson": {"type": "Polygon", "coordinates": []}}, "has no coordinates"),
    "an empty ring": ({"geojson": {"type": "Polygon", "coordinates": [[]]}}, "has no coordinates"),
    "a ring of two": ({"geojson": polygon(SQUARE[:2])}, "encloses nothing"),
    "a ring that is open": ({"geojson": polygon(SQUARE[:-1])}, "not closed"),
    "a polygon nested too little": ({"geojson": {"type": "Polygon", "coordinates": SQUARE}}, "has no coordinates"),
    "a position of one": ({"geojson": polygon([(118,), (119, 32), (119, 33), (118,)])}, "not a position"),
    "a position of words": ({"geojson": polygon([("118", "32"), (119, 32), (119, 33), ("118", "32")])}, "not a position"),
    "a position that is true": ({"geojson": polygon([(True, 32), (119, 32), (119, 33), (True, 32)])}, "not a position"),
    "not a number": ({"geojson": polygon([(NAN, 32), (119, 32), (119, 33), (NAN, 32)])}, "not a position"),
    "infinity": ({"geojson": polygon([(INFINITY, 32), (119, 32), (119, 33), (INFINITY, 32)])}, "not a position"),
    "a ring of one place": ({"geojson": polygon([(118, 32)] * 4)}, "without breadth"),
    "a ring there and back": ({"geojson": polygon([(118, 32), (119, 32), (118, 32), (118, 32)])}, "without breadth"),
    "a sliver": ({"geojson": polygon([(118, 32), (119, 32), (119, 32 + 1e-12), (118, 32)])}, "without breadth"),
    "latitude before longitude": ({"geojson": polygon([(y, x) for x, y in SQUARE])}, "give x (longitude, easting) before y"),
    "metres called degrees": ({"geojson": polygon([(x * 1000, y * 1000) for x, y in SQUARE])}, "off the globe"),
    "millimetres": ({"geojson": polygon([(x * 1e6, y * 1e6) for x, y in SQUARE]), "crs": "EPSG:4549"}, "beyond 50000000"),
    "metres in a CRS of degrees": (
        {"geojson": polygon([(x * 1e5, y * 1e5) for x, y in SQUARE]), "crs": "urn:ogc:def:crs:EPSG::4490"}, "off the globe",
    ),
    "zigzags across a country": (
        {"geojson": polygon([(i, 4e6 * (i % 2)) for i in range(1000)] + [(0, -1), (0, 0)]), "crs": "EPSG:4549"}, "simplify it",
    ),
    "beyond the antimeridian": ({"geojson": polygon([(179, 32), (181, 32), (181, 33), (179, 32)])}, "off the globe"),
    "beyond the pole": ({"geojson": polygon([(118, 89), (119, 91), (119, 89), (118, 89)])}, "off the globe"),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_an_area_that_is_none_is_refused_with_its_reason(name):
    spec, told = DEGENERATE[name]
    said = fault_of(spec)
    assert told in said
    assert "\n" not in said


MENDED = {
    "a bow tie": polygon([(118, 32), (119, 33), (119, 32), (118, 33), (118, 32)]),
    "a ring with a spike": polygon([(118, 32), (119, 32), (119, 33), (119, 34), (119, 33), (118, 33), (118, 32)]),
    "a ring that visits a place twice": polygon([(118, 32), (119, 32), (119, 32), (119, 33), (118, 33), (118, 32)]),
    "a hole outside": polygon(SQUARE, [(120, 32), (120.1, 32), (120.1, 32.1), (120, 32)]),
    "polygons that overlap": {"type": "MultiPolygon", "coordinates": [[SQUARE], [[(x + 0.1, y) for x, y in SQUARE]]]},
    "heights": polygon([(*position, 12.5) for position in SQUARE]),
    "a collection of features": {
        "type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": polygon(SQUARE)}],
    },
}


@pytest.mark.parametrize("name", MENDED)
def test_a_shape_that_can_be_mended_becomes_flat_valid_polygons(name, gazetteer):
    area = area_of({"geojson": MENDED[name]}, gazetteer)
    assert area.geometry.is_valid and not area.geometry.has_z
    assert area.geometry.geom_type in ("Polygon", "MultiPolygon") and area.geometry.area > 0
