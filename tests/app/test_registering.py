"""What an agreement's words about places become on the ground; shapes that are none are refused in a sentence, at once."""

import time

import pytest
import shapely

from geoserver_app.registering import CatalogueGazetteer
from layers.catalogue import InMemoryCatalogue

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
    began = time.monotonic()
    with pytest.raises(LookupError, match=told):
        GAZETTEER.geometry(polygon(*corners), crs)
    assert time.monotonic() - began < 2


def test_a_sheet_stands_for_its_frame_and_what_is_no_number_is_told():
    assert GAZETTEER.sheet("i50g095077").bounds == GAZETTEER.sheet("I50G095077").bounds
    with pytest.raises(LookupError, match="`I50Q`"):
        GAZETTEER.sheet("I50Q")
    with pytest.raises(LookupError, match="`999999`"):
        GAZETTEER.division("999999")
