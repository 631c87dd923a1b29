"""Two houses that differ only where nothing is granted answer alike to whatever WFS is asked, and so do their files."""

import re
from urllib.parse import quote

import geopandas
import numpy as np
import pytest
import shapely
from houses import House, build_house
from test_wfs import BASE, BOTTOM, GRANTED, HIDDEN, LEFT, compare

from agreements.model import Operation

STAMP = re.compile(rb'timeStamp="[^"]*"')
EAST = LEFT + 500


def world(is_other: bool) -> geopandas.GeoDataFrame:
    """The same west of the border; east of it other shapes, attributes and numbers of features."""
    rng, rows = np.random.default_rng(5), []
    for number in range(60):
        x, y = LEFT + rng.uniform(0, 480), BOTTOM + rng.uniform(0, 1000)
        shape = shapely.LineString([(x, y), (EAST - 1, y + 3)])
        if number % 2:
            end = (EAST + 300, y - 200) if is_other else (EAST + 50, y + 3)
            shape = shapely.LineString([(x, y), (EAST + 1, y + 3), end])
        rows.append({"NAME": f"河{number % 7}", "GRADE": number % 4, "WIDTH": number / 4, "SECRET": f"{'b' if is_other else 'a'}{number}", "geometry": shape})
    for number in range(25 if is_other else 3):
        rows.append({"NAME": "河1", "GRADE": 2, "WIDTH": 5.0, "SECRET": "x", "geometry": shapely.LineString([(EAST + 5, BOTTOM + number), (EAST + 90, BOTTOM + number)])})
    # both reach equally far, and west of the border no bend lies beside it
    rows.append({"NAME": "端", "GRADE": 1, "WIDTH": 1.0, "SECRET": "", "geometry": shapely.LineString([(EAST + 10, BOTTOM - 300), (EAST + 900, BOTTOM + 1300)])})
    return geopandas.GeoDataFrame(rows, crs="EPSG:4549")


def furnished(house: House, is_other: bool) -> House:
    path = house.folder / "lines.gpkg"
    world(is_other).to_file(path, layer="HYDL", engine="pyogrio")
    house.layer("dlg", path, product="DLG")
    house.agency("water")
    house.grant("water", "dlg", area=GRANTED, operations=frozenset({Operation.GET_FEATURE}), attributes=HIDDEN)
    return house


@pytest.fixture(scope="module")
def houses(lasting_house, tmp_path_factory):
    first, folder = furnished(lasting_house, False), tmp_path_factory.mktemp("other")
    secret = first.services.settings.data / "instance-secret"
    (folder / "var").mkdir()
    (folder / "var" / secret.name).write_bytes(secret.read_bytes())
    (folder / "var" / secret.name).chmod(0o600)
    return first, furnished(build_house(folder), True)


def asked(rng: np.random.Generator) -> str:
    """One question, of those that a searcher would ask."""
    query = f"{BASE}GetFeature&TYPENAMES=gs:dlg.HYDL"
    if rng.random() < 0.4:
        left, bottom = EAST + rng.normal(0, 150), BOTTOM + rng.uniform(-100, 900)
        query += f"&BBOX={left:.3f},{bottom:.3f},{left + rng.exponential(100):.3f},{bottom + rng.exponential(200):.3f},EPSG:4549"
    elif rng.random() < 0.8:
        name = rng.choice(["NAME", "GRADE", "WIDTH", "SECRET", "ABSENT", "geometry"])
        operator = rng.choice(["PropertyIsEqualTo", "PropertyIsLessThan", "PropertyIsGreaterThan", "PropertyIsNotEqualTo"])
        inner = compare(operator, name, rng.choice(["1", "2", "河1", "a7", "b7", "5.0"]))
        inner = f"<Not>{inner}</Not>" if rng.random() < 0.3 else inner
        query += "&FILTER=" + quote(f'<Filter xmlns="http://www.opengis.net/fes/2.0">{inner}</Filter>')
    query += str(rng.choice(["", "&RESULTTYPE=hits", "&OUTPUTFORMAT=json", "&PROPERTYNAME=NAME", "&PROPERTYNAME=SECRET", "&SRSNAME=EPSG:3857"]))
    return query + str(rng.choice(["", "&COUNT=3", "&COUNT=7&STARTINDEX=20", "&STARTINDEX=58", "&COUNT=0"]))


def test_no_answer_says_anything_of_what_is_not_granted(houses):
    rng = np.random.default_rng(11)
    paths = [f"{BASE}GetCapabilities", f"{BASE}DescribeFeatureType", *(asked(rng) for _ in range(400))]
    told = 0
    for path in paths:
        first, second = (house.get(path, "water") for house in houses)
        assert first.status_code == second.status_code, path
        assert STAMP.sub(b"", first.data) == STAMP.sub(b"", second.data), path
        told += first.status_code == 200
    assert told > 200
