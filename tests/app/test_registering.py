"""What an agreement's words about places become on the ground; shapes that are none are refused in a sentence, at once."""

import math
import time

import pytest
import shapely

from agreements.areas import area_of
from agreements.errors import AreaInvalid
from geoserver_app.registering import CatalogueGazetteer
from layers.catalogue import Division, InMemoryCatalogue
from layers.crs import geodesic_km2

GAZETTEER = CatalogueGazetteer(InMemoryCatalogue())


def polygon(*corners: tuple[float, float]) -> dict:
    return {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}


def test_a_drawn_shape_comes_to_the_globe_with_its_edges_densified():
    area = GAZETTEER.geometry(polygon((380_000, 3_540_000), (390_000, 3_540_000), (390_000, 3_550_000), (380_000, 3_550_000)), "EPSG:4549")
    assert area.is_valid and len(shapely.get_coordinates(area)) > 40
    assert 118.7 < area.bounds[0] < area.bounds[2] < 118.9 and 31.9 < area.bounds[1] < area.bounds[3] < 32.1


@pytest.mark.parametrize("crs, corners, told", [
    ("CRS:84", [(400_000, 3_500_000), (900_000, 3_500_000), (900_000, 9_900_000)], "are no degrees of `CRS:84`"),
    ("CRS:84", [(1e300, 1e300), (2e300, 1e300), (2e300, 3e300)], "are no degrees of `CRS:84`"),
    ("EPSG:4549", [(1e300, 1e300), (2e300, 1e300), (2e300, 3e300)], "are no metres of `EPSG:4549`"),
    ("EPSG:3857", [(1e9, 1e9), (2e9, 1e9), (2e9, 3e9)], "are no metres of `EPSG:3857`"),
    ("EPSG:4549", [(118.7, 32.0), (118.8, 32.0), (118.8, 32.1)], "look like degrees, but `EPSG:4549` is in metres"),
    ("EPSG:2384", [(118.7, 32.0), (118.8, 32.0), (118.8, 32.1)], "`EPSG:2384` is not served"),
    ("CRS:84", [(118.7, 32.0)], "can't be read as an area"),
])
def test_coordinates_that_can_t_be_meant_are_refused_at_once(crs, corners, told):
    began = time.process_time()
    with pytest.raises(LookupError, match=told):
        GAZETTEER.geometry(polygon(*corners), crs)
    assert time.process_time() - began < 2


def test_a_sheet_stands_for_its_frame_and_what_is_no_number_is_told():
    assert GAZETTEER.sheet("i50g095077").bounds == GAZETTEER.sheet("I50G095077").bounds
    assert GAZETTEER.sheet("I-50-142-（53）").equals(GAZETTEER.sheet("I50G095077"))
    assert GAZETTEER.sheet("I-50-(35)").covers(GAZETTEER.sheet("I50D012010"))              # of 1:200,000, which only the old numbering has
    listed = area_of({"sheets": ["I-50-142-(53)", "i50 g 095 078"]}, GAZETTEER)
    assert listed.digest == area_of({"sheets": ["I50G095077", "I50G095078"]}, GAZETTEER).digest
    with pytest.raises(LookupError, match="`I50Q`"):
        GAZETTEER.sheet("I50Q")
    with pytest.raises(LookupError, match="`999999`"):
        GAZETTEER.division("999999")


def test_what_surrounds_a_line_in_gauss_kruger_is_measured_in_metres():
    line = {"type": "LineString", "coordinates": [[380_000, 3_540_000], [390_000, 3_540_000]]}
    area = area_of({"buffer": {"of": line, "metres": 500, "crs": "EPSG:4549"}}, GAZETTEER)
    assert geodesic_km2(area.geometry) == pytest.approx(10 * 1 + math.pi * 0.25, rel=0.003)
    with pytest.raises(AreaInvalid, match="look like degrees"):
        area_of({"buffer": {"of": {"type": "Point", "coordinates": [118.7, 32.0]}, "metres": 500, "crs": "EPSG:4549"}}, GAZETTEER)
    with pytest.raises(AreaInvalid, match="antimeridian"):
        area_of({"buffer": {"of": {"type": "Point", "coordinates": [179.999, 32.0]}, "metres": 500}}, GAZETTEER)


def test_a_division_comes_with_the_vintage_of_its_boundary():
    catalogue = InMemoryCatalogue()
    old, new = shapely.box(118, 32, 119, 33), shapely.box(118, 32, 118.5, 33)
    catalogue.put_divisions(Division(vintage=v, code="320106", name="鼓楼区", level="county", geometry=g) for v, g in (("2012", old), ("2013", new)))
    gazetteer = CatalogueGazetteer(catalogue)
    assert gazetteer.division("320106")[2] == "2013"
    assert area_of({"divisions": "320106", "vintage": "2012"}, gazetteer).geometry.area == pytest.approx(1.0)
    with pytest.raises(AreaInvalid, match="boundaries of `1999`"):
        area_of({"divisions": "320106", "vintage": "1999"}, gazetteer)
