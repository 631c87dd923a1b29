"""Administrative divisions with a vintage, from whatever a boundary layer calls its fields."""

import geopandas
import pyogrio
import pytest
import shapely

from layers.divisions import import_divisions
from layers.errors import DivisionNotDefined, LayerRejected


@pytest.fixture
def boundaries(tmp_path):
    def write(fields, geometries, crs="EPSG:4490", name="b.gpkg", layer="county"):
        path = tmp_path / name
        pyogrio.write_dataframe(geopandas.GeoDataFrame(fields, geometry=geometries, crs=crs), path, layer=layer)
        return path
    return write


WEST, EAST = shapely.box(118, 32, 119, 33), shapely.box(119, 32, 120, 33)


def test_divisions_are_found_by_code_at_their_vintage(catalogue, boundaries):
    path = boundaries({"code": ["320106", "320107"], "name": ["鼓楼区", "下关区"]}, [WEST, EAST])
    assert import_divisions(catalogue, path, "2012") == 2
    found = catalogue.division("320106")
    assert (found.name, found.vintage) == ("鼓楼区", "2012") and found.geometry.equals(WEST)
    merged = boundaries({"code": ["320106"], "name": ["鼓楼区"]}, [shapely.union(WEST, EAST)], name="c.gpkg")
    import_divisions(catalogue, merged, "2013")
    assert catalogue.division("320106").geometry.area == pytest.approx(2.0)
    assert catalogue.division("320107").name == "下关区"


def test_a_table_of_counties_is_not_read_by_the_codes_of_its_cities(catalogue, boundaries):
    fields = {"city_adcode": [320100], "city_name": ["南京市"], "district_adcode": [320106], "district_name": ["鼓楼区"]}
    import_divisions(catalogue, boundaries(fields, [WEST]), "2023")
    assert catalogue.divisions() == (("320106", "鼓楼区", "county", "2023"),)


def test_the_level_of_a_plain_table_is_told_by_the_code(catalogue, boundaries):
    fields = {"PAC": ["320000", "320100", "320106", "320106001"], "NAME": ["a", "b", "c", "d"]}
    import_divisions(catalogue, boundaries(fields, [WEST] * 4, layer="bou"), "2023")
    assert [level for _, _, level, _ in catalogue.divisions()] == ["province", "city", "county", "town"]


def test_the_parts_of_one_division_become_one(catalogue, boundaries):
    import_divisions(catalogue, boundaries({"code": ["320106", "320106"], "name": ["x", "x"]}, [WEST, EAST]), "2023")
    assert catalogue.division("320106").geometry.area == pytest.approx(2.0)


def test_boundaries_in_gauss_kruger_are_kept_in_crs84(catalogue, boundaries):
    area = geopandas.GeoSeries([shapely.box(118.7, 32, 118.8, 32.1)], crs="EPSG:4490").to_crs("EPSG:4549")[0]
    import_divisions(catalogue, boundaries({"code": ["320106"], "name": ["x"]}, [area], crs="EPSG:4549"), "2023")
    found = catalogue.division("320106").geometry
    assert found.bounds == pytest.approx((118.7, 32, 118.8, 32.1), abs=2e-5)
    assert len(found.exterior.coords) > 40, "an edge that is straight in Gauss-Krueger is no straight line in degrees"


@pytest.mark.parametrize("fields, geometry, crs, words", [
    ({"id": ["320106"], "name": ["x"]}, WEST, "EPSG:4490", "say which with `--code-field`"),
    ({"code": ["320106"], "label": ["x"]}, WEST, "EPSG:4490", "say which with `--name-field`"),
    ({"code": ["Gulou"], "name": ["x"]}, WEST, "EPSG:4490", "`Gulou` is not a division code"),
    ({"code": ["320106"], "name": ["x"]}, shapely.Point(118, 32), "EPSG:4490", "give a layer of polygons"),
    ({"code": ["320106"], "name": ["x"]}, WEST, "EPSG:4610", "deliver the data in CGCS2000"),
])
def test_a_boundary_layer_that_cant_be_used_says_why(memory, boundaries, fields, geometry, crs, words):
    with pytest.raises(LayerRejected, match=words):
        import_divisions(memory, boundaries(fields, [geometry], crs=crs), "2023")
    with pytest.raises(DivisionNotDefined):
        memory.division("320106")


def test_fields_may_be_named(memory, boundaries):
    path = boundaries({"id": ["320106"], "label": ["鼓楼区"]}, [WEST])
    assert import_divisions(memory, path, "2023", code_field="ID", name_field="label") == 1
