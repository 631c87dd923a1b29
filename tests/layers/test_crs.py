"""Names, axis order, datum policy and scale of coordinate reference systems."""

import csv
import math
import threading

import pyproj
import pytest
import shapely

from layers import crs
from layers.errors import CrsNotServed, DatumShiftRefused, OutsideAreaOfUse
from layers.model import Bounds, View

REFUSED = ["EPSG:4610", "EPSG:2384", "EPSG:2364", "EPSG:4214", "EPSG:2437", "EPSG:2416", "EPSG:21420", "EPSG:4555", "EPSG:4796"]

NANJING = (118.7781, 32.0436)
KNOWN_POINTS = [        # lon, lat, CRS, easting, northing: domain facts, checked against an independent series
    (118.7781, 32.0436, "EPSG:4549", 384589.648, 3547340.106),
    (118.7781, 32.0436, "EPSG:4528", 40384589.648, 3547340.106),
    (118.7781, 32.0436, "EPSG:4527", 39667950.572, 3548070.074),
    (118.7781, 32.0436, "EPSG:4548", 667950.572, 3548070.074),
    (117.2857, 34.2044, "EPSG:4549", 249807.477, 3789667.265),
    (120.5853, 31.2989, "EPSG:4549", 555723.980, 3464261.840),
    (121.6574, 31.8081, "EPSG:4549", 656948.045, 3521770.259),
]


@pytest.mark.parametrize("spelling, name", [
    ("EPSG:4326", "EPSG:4326"), ("epsg:3857", "EPSG:3857"), ("CRS:84", "CRS:84"), ("crs:84", "CRS:84"), ("OGC:CRS84", "CRS:84"),
    ("urn:ogc:def:crs:EPSG::4490", "EPSG:4490"), ("urn:ogc:def:crs:EPSG:9.9:4549", "EPSG:4549"),
    ("urn:ogc:def:crs:OGC:1.3:CRS84", "CRS:84"), ("urn:ogc:def:crs:OGC::CRS84", "CRS:84"),
    ("http://www.opengis.net/def/crs/EPSG/0/4528", "EPSG:4528"), ("http://www.opengis.net/def/crs/OGC/1.3/CRS84", "CRS:84"),
])
def test_every_spelling_of_a_served_crs_is_understood(spelling, name):
    assert crs.parse_crs(spelling) == name


@pytest.mark.parametrize("text", ["", "EPSG:4610", "EPSG:900913", "4326", "EPSG:4326 ", "EPSG:04326", "AUTO:42001", "EPSG:４３２６",
                                  "<script>"])
def test_a_crs_outside_the_closed_list_is_not_served(text):
    with pytest.raises(CrsNotServed):
        crs.parse_crs(text)


def test_axis_order_is_that_of_the_register():
    north_first = {name for name in crs.SERVED if crs.is_north_first(name)}
    assert north_first == set(crs.SERVED) - {"CRS:84", "EPSG:3857"}


@pytest.mark.parametrize("lon, lat, name, easting, northing", KNOWN_POINTS)
@pytest.mark.parametrize("source", ["EPSG:4490", "EPSG:4326", "CRS:84"])
def test_known_points_come_out_east_before_north_whatever_the_source(source, lon, lat, name, easting, northing):
    x, y = crs.transformer(source, name).transform(lon, lat)
    assert x == pytest.approx(easting, abs=0.001) and y == pytest.approx(northing, abs=0.001)


def test_cgcs2000_and_wgs84_are_taken_as_identical_within_a_metre():
    assert crs.transformer("EPSG:4490", "EPSG:4326").transform(*NANJING) == NANJING
    assert crs.accuracy("EPSG:4549", "EPSG:3857") == 1.0
    assert crs.accuracy("EPSG:4549", "EPSG:4528") == 0.0


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("other", ["EPSG:4490", "EPSG:4326", "EPSG:3857", "EPSG:4549"])
def test_chinas_old_datums_are_refused_in_both_directions(name, other):
    with pytest.raises(DatumShiftRefused, match="deliver the data in CGCS2000"):
        crs.transformer(name, other)
    with pytest.raises(DatumShiftRefused):
        crs.transformer(other, name)


def test_one_old_datum_is_never_turned_into_another():
    with pytest.raises(DatumShiftRefused):
        crs.transformer("EPSG:4214", "EPSG:4610")
    with pytest.raises(DatumShiftRefused):
        crs.accuracy("EPSG:4214", "EPSG:4610")


def test_an_old_datum_may_change_its_zone():
    x, y = crs.transformer("EPSG:2384", "EPSG:2385").transform(667950.0, 3548070.0)
    back = crs.transformer("EPSG:2385", "EPSG:2384").transform(x, y)
    assert back == pytest.approx((667950.0, 3548070.0), abs=1e-6)


def test_bare_pyproj_tears_beijing_1954_apart_and_we_refuse_it():
    lon, _ = pyproj.Transformer.from_crs("EPSG:4214", "EPSG:4326", always_xy=True).transform([118.8, 120.3], [32.05, 31.6])
    assert lon[0] == 118.8
    assert (lon[1] - 120.3) * 111_319 * math.cos(math.radians(31.6)) > 60
    with pytest.raises(DatumShiftRefused, match="Beijing 1954"):
        crs.check_datum("EPSG:4214")


@pytest.mark.parametrize("wkt", [
    'LOCAL_CS["Nanjing 92",UNIT["m",1]]',
    'GEOGCS["city",DATUM["D_Suzhou_Independent",SPHEROID["IAG_1975",6378140,298.257]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433]]',
    "+proj=tmerc +lat_0=0 +lon_0=118.83 +k=1 +x_0=500000 +ellps=GRS80 +units=m",
])
def test_a_datum_that_nobody_knows_is_refused(wkt):
    assert crs.datum_of(wkt) == "unknown"
    with pytest.raises(DatumShiftRefused):
        crs.check_datum(wkt)


@pytest.mark.parametrize("code", [4549, 4528, 2385, 2437, 26912, 32650])
def test_an_esri_prj_is_known_by_its_register_name(code):
    prj = pyproj.CRS.from_epsg(code).to_wkt("WKT1_ESRI")
    assert crs.crs_name(prj) == f"EPSG:{code}"
    assert crs.datum_of(prj) == crs.datum_of(f"EPSG:{code}")


def test_a_bound_or_compound_crs_counts_as_its_horizontal_part():
    assert crs.crs_name("EPSG:4549+5737") == "EPSG:4549"
    with_hint = pyproj.CRS("EPSG:4610").to_wkt("WKT1_GDAL").replace(
        'AUTHORITY["EPSG","6610"]', 'TOWGS84[24,-123,-94,0,0,0,0],AUTHORITY["EPSG","6610"]')
    with pytest.raises(DatumShiftRefused):
        crs.check_datum(with_hint)


@pytest.mark.parametrize("name, lon, lat", [("EPSG:26912", -111.6, 40.2), ("EPSG:25832", 9.0, 50.0), ("EPSG:2048", 19.0, -34.0)])
def test_another_nations_datum_goes_one_pinned_way_and_back(name, lon, lat):
    assert 0 < crs.accuracy(name, "EPSG:4326") <= 10
    x, y = crs.transformer("EPSG:4326", name).transform(lon, lat)
    assert crs.transformer(name, "EPSG:4326").transform(x, y) == pytest.approx((lon, lat), abs=1e-9)


def test_nad83_reaches_cgcs2000_by_way_of_wgs84():
    by_wgs84 = crs.transformer("EPSG:26912", "EPSG:4326").transform(446591.9, 4441815.0)
    assert crs.transformer("EPSG:26912", "EPSG:4490").transform(446591.9, 4441815.0) == pytest.approx(by_wgs84, abs=1e-12)
    assert crs.accuracy("EPSG:26912", "EPSG:4490") == crs.accuracy("EPSG:26912", "EPSG:4326") + 1.0


def test_one_transformer_serves_many_threads():
    way = crs.transformer("EPSG:4490", "EPSG:4549")
    found = []
    threads = [threading.Thread(target=lambda: found.append(way.transform(*NANJING))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


def test_bounds_keep_the_bulge_that_four_corners_lose():
    band = Bounds(117.0, 31.0, 123.0, 35.0)
    box = crs.transform_bounds(band, "CRS:84", "EPSG:4549")
    corners = [crs.transformer("CRS:84", "EPSG:4549").transform(x, y) for x in (117.0, 123.0) for y in (31.0, 35.0)]
    middle = crs.transformer("CRS:84", "EPSG:4549").transform(120.0, 31.0)
    assert box.bottom == pytest.approx(middle[1], abs=0.01)
    assert min(y for _, y in corners) - box.bottom > 2000


def test_bounds_that_leave_the_crs_are_refused_not_infinite():
    with pytest.raises(OutsideAreaOfUse):
        crs.transform_bounds(Bounds(-180, -60, 180, 60), "CRS:84", "EPSG:4549")
    with pytest.raises(OutsideAreaOfUse):
        crs.transform_bounds(Bounds(-180, -90, 180, 90), "CRS:84", "EPSG:3857")
    with pytest.raises(OutsideAreaOfUse):
        crs.transform_geometry(shapely.Point(-60, 0), "CRS:84", "EPSG:4549")


def test_geometry_is_transformed_with_its_height_untouched():
    line = shapely.LineString([(118.7, 32.0, 5.0), (118.8, 32.1, 7.5)])
    there = crs.transform_geometry(line, "EPSG:4490", "EPSG:4549")
    assert [round(z, 6) for _, _, z in there.coords] == [5.0, 7.5]
    back = crs.transform_geometry(there, "EPSG:4549", "EPSG:4490")
    assert shapely.hausdorff_distance(back, line) < 1e-9


def test_a_densified_edge_is_short_in_degrees_and_in_metres():
    line = shapely.LineString([(118.0, 32.0), (119.0, 32.0)])
    assert len(crs.densify(line, "CRS:84").coords) >= 101
    assert len(crs.densify(shapely.LineString([(0, 0), (10_000, 0)]), "EPSG:4549").coords) == 11


@pytest.mark.parametrize("name, meridian", [("EPSG:4547", 114), ("EPSG:4548", 117), ("EPSG:4549", 120), ("EPSG:4550", 123),
                                            ("EPSG:4527", 117), ("EPSG:4528", 120), ("EPSG:4529", 123)])
def test_one_zone_reaches_six_degrees_to_each_side(name, meridian):
    assert crs.reach(name) == (meridian - 6, 0, meridian + 6, 60)
    world = crs.world_bounds(name)
    assert world.width > 200_000 and world.bottom > 2_000_000


def test_ground_resolution_is_true_metres_at_the_far_edge():
    square = View(crs="EPSG:3857", bounds=Bounds(13220000, 3760000, 13221000, 3761000), width=1000, height=500)
    latitude = crs.transformer("EPSG:3857", "CRS:84").transform(13221000, 3761000)[1]
    assert crs.ground_resolution(square) == pytest.approx(math.cos(math.radians(latitude)), rel=1e-9)
    degrees = View(crs="EPSG:4490", bounds=Bounds(118, 31, 119, 32), width=1000, height=1000)
    assert crs.ground_resolution(degrees) == pytest.approx(111.319 * math.cos(math.radians(32)), rel=1e-4)
    metres = View(crs="EPSG:4549", bounds=Bounds(380000, 3540000, 381000, 3541000), width=500, height=1000)
    assert crs.ground_resolution(metres) == 1.0
    assert crs.scale_denominator(metres) == pytest.approx(3571.43, abs=0.01)


def test_a_world_view_has_a_scale_although_it_touches_the_pole():
    world = View(crs="CRS:84", bounds=Bounds(-180, -90, 180, 90), width=800, height=400)
    assert crs.ground_resolution(world) > 4000


# Surroundings and square kilometres

ELLIPSOID = pyproj.Geod(ellps="WGS84")
SHAPES = {
    "a point": shapely.Point(118.78, 32.04),
    "a line across three zones": shapely.segmentize(shapely.LineString([(116.4, 31.0), (118.8, 33.2), (121.9, 34.9)]), 0.01),
    "a line in the far north": shapely.segmentize(shapely.LineString([(110.0, 70.0), (119.0, 72.0)]), 0.01),
    "a line on the equator": shapely.segmentize(shapely.LineString([(100.0, -0.5), (107.0, 0.5)]), 0.01),
    "a polygon with a hole": shapely.segmentize(shapely.box(118.0, 32.0, 121.5, 33.0) - shapely.box(119.0, 32.3, 120.0, 32.7), 0.01),
    "polygons that overlap": shapely.segmentize(
        shapely.GeometryCollection([shapely.box(118.0, 32.0, 118.1, 32.1), shapely.box(118.05, 32.05, 118.2, 32.2)]), 0.01,
    ),
}


def metres_away(shape, x, y):
    """Metres on the ellipsoid from a point to the nearest of a shape, which is found where degrees are as long in both directions."""
    stretch = math.cos(math.radians(y))
    flat = shapely.transform(shape, lambda points: points * (stretch, 1))
    nearest = shapely.shortest_line(flat, shapely.Point(x * stretch, y)).coords[0]
    return ELLIPSOID.inv(nearest[0] / stretch, nearest[1], x, y)[2]


@pytest.mark.parametrize("metres", [5.0, 500.0, 20_000.0])
@pytest.mark.parametrize("name", SHAPES)
def test_the_surroundings_of_a_shape_reach_as_far_as_is_said_on_the_ground(name, metres):
    shape = SHAPES[name]
    around = crs.buffer(shape, metres)
    assert around.is_valid and (shape - around).length == 0
    edge = shapely.get_coordinates(around)
    for x, y in edge[:: max(1, len(edge) // 25)]:
        assert metres_away(shape, x, y) == pytest.approx(metres, rel=0.002, abs=0.02)      # an edge of 0.01 degree bends by a centimetre or two


@pytest.mark.parametrize("shape, metres", [
    (shapely.Point(179.999, 30), 500), (shapely.Point(-179.999, 30), 500), (shapely.Point(118, 88.9), 20_000), (shapely.Point(118, 89.9), 1),
])
def test_surroundings_that_reach_round_the_world_are_refused(shape, metres):
    with pytest.raises(OutsideAreaOfUse, match="antimeridian"):
        crs.buffer(shape, metres)


def test_square_kilometres_are_those_of_the_ellipsoid_whatever_way_a_ring_is_drawn():
    square = shapely.segmentize(shapely.box(118, 32, 119, 33), 0.01)
    truth = abs(ELLIPSOID.geometry_area_perimeter(square)[0]) / 1e6
    for shape in (square, square.reverse(), shapely.GeometryCollection([square, shapely.Point(0, 0)])):
        assert crs.geodesic_km2(shape) == pytest.approx(truth, rel=1e-9)
    hole = shapely.segmentize(shapely.box(118.2, 32.2, 118.4, 32.4), 0.01)
    parts = crs.geodesic_km2(square - hole) + crs.geodesic_km2(hole)
    assert parts == pytest.approx(truth, rel=1e-9)
    assert crs.geodesic_km2(shapely.Polygon()) == crs.geodesic_km2(shapely.LineString([(118, 32), (119, 32)])) == 0


def test_every_rule_of_the_policy_table_names_its_source(config_folder):
    with (config_folder / "datums.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows and all(row["source"] for row in rows)
    assert {row["rule"] for row in rows} == {"identity", "refuse", "operation"}


@pytest.mark.real_data
def test_the_gauss_kruger_vectors_hold_to_a_tenth_of_a_millimetre(shared_data):
    with (shared_data / "crs" / "gauss_kruger_test_vectors.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 270
    for row in rows:
        name = f"EPSG:{row['projected_epsg']}"
        x, y = crs.transformer(f"EPSG:{row['geographic_epsg']}", name).transform(float(row["lon_deg"]), float(row["lat_deg"]))
        assert (x, y) == pytest.approx((float(row["easting_m"]), float(row["northing_m"])), abs=1.01e-4), row
        assert crs.is_north_first(name) == row["official_axis_order"].startswith("north")
