"""Packages of features: cut, masked, in every form, with what was done to them told."""


import geopandas
import pytest
import shapely
from ordering import archive, book_of, fetch, made, manifest, order, post, told

from agreements.model import Operation
from geoserver_app.packages.worker import Worker
from layers.crs import transform_geometry

LEFT, BOTTOM = 380_000.0, 3_540_000.0
GRANTED = transform_geometry(shapely.box(LEFT, BOTTOM, LEFT + 500, BOTTOM + 1000), "EPSG:4549", "CRS:84")
AREA = {"bounds": list(transform_geometry(shapely.box(LEFT - 100, BOTTOM - 100, LEFT + 1000, BOTTOM + 1000), "EPSG:4549", "CRS:84").bounds)}
BOTH = frozenset({Operation.DOWNLOAD, Operation.GET_FEATURE})
FIELDS = frozenset({"HYDL.NAME", "HYDL.STRAHLER_ORDER"})


def deliver(house, name: str, text: str) -> None:
    lines = [shapely.LineString([(LEFT + 100, BOTTOM + 20 * number + 5), (LEFT + 900, BOTTOM + 20 * number + 5)]) for number in range(30)]
    lines.append(shapely.LineString([(LEFT + 600, BOTTOM + 5), (LEFT + 900, BOTTOM + 5)]))
    frame = geopandas.GeoDataFrame(
        {"NAME": [text] * 30 + ["canary"], "STRAHLER_ORDER": list(range(31)), "SECRET": ["canary"] * 31}, geometry=lines, crs="EPSG:4549",
    )
    path = house.folder / f"{name}.gpkg"
    frame.to_file(path, layer="HYDL", engine="pyogrio")
    house.layer(name, path, product="DLG")


@pytest.fixture(scope="module")
def office(lasting_house):
    house = lasting_house
    deliver(house, "dlg", "秦淮河")
    deliver(house, "rare", "㐂𠮷河")
    for agency in ("water", "files", "narrow", "nobody"):
        house.agency(agency)
    house.grant("water", "dlg", "rare", area=GRANTED, operations=BOTH, attributes=FIELDS)
    house.grant("files", "dlg", area=GRANTED, operations=frozenset({Operation.DOWNLOAD}), attributes=FIELDS)
    house.grant("narrow", "dlg", area=GRANTED, operations=frozenset({Operation.DOWNLOAD}), attributes=None)
    house.grant("narrow", "dlg", area=GRANTED, operations=frozenset({Operation.GET_FEATURE}), attributes=FIELDS)
    return house


def opened(office, package: dict, form: str, folder) -> geopandas.GeoDataFrame:
    if form == "shapefile":
        archive(office, "water", package).extractall(folder)
        return geopandas.read_file(next(folder.glob("*.shp")))
    name = next(one["name"] for one in package["files"] if not one["name"].startswith("manifest"))
    (folder / name).write_bytes(fetch(office, "water", package, name))
    return geopandas.read_file(folder / name)


@pytest.mark.parametrize("form", ["gpkg", "geojson", "flatgeobuf", "shapefile"])
@pytest.mark.parametrize("crs", [None, "EPSG:4490"])
def test_what_is_granted_and_nothing_else_is_in_the_files(office, tmp_path, form, crs):
    package = made(office, "water", layers=["dlg"], area=AREA, format=form, **({"crs": crs} if crs else {}))
    found = opened(office, package, form, tmp_path)
    assert len(found) == 30 and set(found["NAME"]) == {"秦淮河"} and not [name for name in found.columns if name.startswith("SEC")]
    assert found.crs.to_epsg() == int((crs or "EPSG:4549").removeprefix("EPSG:"))
    metres = found.to_crs("EPSG:4549").geometry
    expected = [shapely.LineString([(LEFT + 100, BOTTOM + 20 * n + 5), (LEFT + 500, BOTTOM + 20 * n + 5)]) for n in range(30)]
    assert shapely.hausdorff_distance(shapely.union_all(metres.to_numpy()), shapely.union_all(expected)) < 0.01
    for path in tmp_path.iterdir():
        assert b"canary" not in path.read_bytes()


def test_where_the_files_lie_is_told_by_the_grant_and_the_order_not_by_how_far_others_reach(office):
    """The box of all features ends at 900 m, beyond the border: nothing of it is in the manifest, nor where it ends to the north."""
    item = manifest(office, "water", made(office, "water", layers=["dlg"], area=AREA, format="gpkg"))["items"][0]
    asked = shapely.intersection(GRANTED, shapely.box(*AREA["bounds"]))
    expected = transform_geometry(shapely.segmentize(asked, 0.001), "CRS:84", "EPSG:4549").bounds
    assert item["bounds"] == pytest.approx(expected, abs=0.05)
    apart = {"bounds": list(transform_geometry(shapely.box(LEFT, BOTTOM + 700, LEFT + 400, BOTTOM + 900), "EPSG:4549", "CRS:84").bounds)}
    empty = made(office, "water", layers=["dlg"], area=apart, format="gpkg")
    assert manifest(office, "water", empty)["items"][0]["tables"] == [], "granted ground without features is no refusal: that would tell of the box"


def test_a_shapefile_is_in_gbk_and_tells_which_names_were_cut(office, tmp_path):
    package = made(office, "water", layers=["dlg"], area=AREA, format="shapefile")
    with archive(office, "water", package) as files:
        assert next(files.read(name) for name in files.namelist() if name.endswith(".cpg")) == b"GBK"
        assert "秦淮河".encode("gbk") in next(files.read(name) for name in files.namelist() if name.endswith(".dbf"))
    steps = [one["en"] for one in manifest(office, "water", package)["items"][0]["lineage"]["steps"]]
    assert any("STRAHLER_ORDER -> STRAHLER_O" in one for one in steps)
    assert manifest(office, "water", package)["items"][0]["tables"] == [{"table": "HYDL", "features": 30}]


def test_characters_outside_gbk_are_kept_in_utf_8_and_told(office, tmp_path):
    package = made(office, "water", layers=["rare"], area=AREA, format="shapefile")
    found = opened(office, package, "shapefile", tmp_path)
    assert set(found["NAME"]) == {"㐂𠮷河"} and next(tmp_path.glob("*.cpg")).read_bytes() == b"UTF-8"
    assert any("outside GBK" in one["en"] for one in manifest(office, "water", package)["items"][0]["lineage"]["steps"])


@pytest.mark.parametrize("agency", ["files", "narrow", "nobody"])
def test_files_of_features_need_the_features_themselves(office, agency):
    assert post(office, agency, layers=["dlg"], area=AREA, format="gpkg").status_code == 403


def test_unknown_and_unshared_layers_are_refused_alike(office):
    unshared, unknown = (post(office, "nobody", layers=[name], area=AREA, format="gpkg").text for name in ("dlg", "abc"))
    assert unshared.replace("dlg", "abc") == unknown


def test_a_form_that_a_layer_can_not_have_is_told(office):
    for wanted in ({"format": "cog"}, {"format": "gpkg", "resolution": 5.0, "crs": "EPSG:4549"}):
        assert post(office, "water", layers=["dlg"], area=AREA, **wanted).status_code == 422


def test_a_package_is_taken_back_where_fewer_attributes_are_granted_now(office):
    office.agency("brief")
    agreement = office.grant("brief", "dlg", area=GRANTED, operations=BOTH, attributes=FIELDS)
    package = order(office, "brief", layers=["dlg"], area=AREA, format="gpkg")
    office.services.register.suspend(agreement.agreement_id, "test")
    office.look_again()
    while Worker(office.services, book_of(office)).work():
        pass
    assert told(office, "brief", package)["state"] == "taken-back"
