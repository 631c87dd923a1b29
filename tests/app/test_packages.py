"""Packages: ordered with every fault told, cut to what is granted and nothing else in them, made once whatever happens, fetched piece by piece under
what is agreed at that moment."""

import hashlib
import json
import zipfile
from dataclasses import replace

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from ordering import archive, book_of, events, fetch, folder_of, made, make, manifest, order, path_of, post, raster, told

from agreements.model import Mark, Operation, ScaleWindow
from agreements.quota import Limit, Measure, Quota, Window
from geoserver_app.cli import main
from geoserver_app.packages.jobs import PackageState
from geoserver_app.packages.keeping import expire
from layers.catalogue import Division
from layers.crs import transform_geometry
from layers.sheets import numbers as sheets

LEFT, TOP, STEP, COLS, ROWS = 384_000.0, 3_548_000.0, 10.0, 550, 350
DOWNLOAD = frozenset({Operation.DOWNLOAD})
NUMBERS = frozenset({Operation.DOWNLOAD, Operation.GET_COVERAGE})


def coded() -> np.ndarray:
    """Red, green and blue tell the number of a pixel."""
    number = np.arange(1, ROWS * COLS + 1, dtype=np.uint32).reshape(ROWS, COLS)
    return np.stack([number >> 16 & 255, number >> 8 & 255, number & 255]).astype(np.uint8)


def heights() -> np.ndarray:
    row, col = np.mgrid[0:ROWS, 0:COLS]
    return (100 + col * 0.5 + row * 0.25).astype(np.float32)[None]


def on_earth(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    """CRS84: a box of metres east and south of the corner of the layers."""
    return transform_geometry(shapely.segmentize(shapely.box(LEFT + west, TOP - south, LEFT + east, TOP - north), 100), "EPSG:4549", "CRS:84")


GRANTED = shapely.union_all([on_earth(500, 3_000, 3_000, 300), on_earth(3_500, 3_300, 5_000, 1_800)]) - on_earth(1_500, 2_000, 2_000, 1_500)
"""Two islands, one with a lake."""


@pytest.fixture(scope="module")
def office(lasting_house):
    lasting_house.raster("coded", coded(), LEFT, TOP, STEP, lossless=True, nearest=True)
    lasting_house.raster("photo", coded(), LEFT, TOP, STEP)
    lasting_house.raster("secret", coded(), LEFT, TOP, STEP, nearest=True, classification="secret")
    lasting_house.raster("dem", heights(), LEFT, TOP, STEP, product="DEM")
    for name in ("nobody", "others"):
        lasting_house.agency(name)
    lasting_house.agency("water")
    lasting_house.grant("water", "coded", "photo", "secret", "dem", area=GRANTED, operations=NUMBERS)
    lasting_house.grant("others", "coded", operations=DOWNLOAD)
    return lasting_house


def agency(office, name: str, *layers: str, quota: Quota | None = None, mark: Mark | None = None, **terms):
    office.agency(name)
    clause = office.clause(*layers, operations=terms.pop("operations", DOWNLOAD), **terms)
    agreement = office.agree(name, clause)
    if quota or mark:
        agreement = replace(agreement, version=2, quota=quota, mark=mark)
        office.services.register.register(agreement, f"# {name} with more\n")
        office.look_again()
    return agreement


BOX = {"geojson": {"type": "Polygon", "coordinates": [[[LEFT + 700, TOP - 3_200], [LEFT + 4_700, TOP - 3_200], [LEFT + 4_700, TOP - 600], [LEFT + 700, TOP - 600],
                                                       [LEFT + 700, TOP - 3_200]]]}, "crs": "EPSG:4549"}
SMALL = {"bounds": [LEFT + 600, TOP - 900, LEFT + 1_100, TOP - 400], "crs": "EPSG:4549"}
ASKED = on_earth(700, 3_200, 4_700, 600)


# What is in it

def judge(pixels: np.ndarray, valid: np.ndarray, transform, crs: str, *, strict: bool = False) -> int:
    """Every pixel that is valid has its centre in what is granted and asked, as PROJ alone says, and shows the source pixel under that centre; and every
    one that should be there is."""
    rows, cols = np.mgrid[0:pixels.shape[1], 0:pixels.shape[2]]
    x, y = transform * (cols.ravel() + 0.5, rows.ravel() + 0.5)
    to_earth = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    to_sheet = pyproj.Transformer.from_crs(crs, "EPSG:4549", always_xy=True)
    lon, lat = to_earth.transform(x, y)
    east, north = to_sheet.transform(x, y)
    area = shapely.intersection(GRANTED, ASKED)
    inside = shapely.contains_xy(area, lon, lat)
    col, row = (east - LEFT) / STEP, (TOP - north) / STEP
    near_border = shapely.dwithin(shapely.boundary(area), shapely.points(lon, lat), 2e-7)
    shown = valid.ravel() > 0
    assert not (shown & ~inside & ~near_border).any(), "beyond the border"
    if not strict:
        assert not (~shown & inside & ~near_border & (col > 0.1) & (row > 0.1) & (col < COLS - 0.1) & (row < ROWS - 0.1)).any(), "wrongly hidden"
    flat = pixels.reshape(3, -1).astype(np.int64)
    number = (flat[0] << 16) + (flat[1] << 8) + flat[2] - 1
    off = np.maximum(abs(number % COLS + 0.5 - col), abs(number // COLS + 0.5 - row))
    assert shown.any() and off[shown].max() <= 0.51, "another place's pixel"
    assert not flat[:, ~shown].any(), "something is left under nodata"
    return int(shown.sum())


@pytest.mark.parametrize("crs", ("EPSG:4549", "EPSG:4490", "EPSG:3857"))
def test_a_cut_holds_what_is_granted_of_what_was_asked_and_nothing_else(office, tmp_path, crs):
    package = made(office, "water", layers=["coded"], area=BOX, crs=crs)
    with raster(office, "water", package, tmp_path) as held:
        assert held.crs.to_epsg() == int(crs[5:]) and held.overviews(1)
        seen = judge(held.read(), held.read_masks(1), held.transform, crs)
    (item,) = manifest(office, "water", package)["items"]
    assert item["pixels"] == seen and item["size"] == package["size"][0]
    with rasterio.open(held.name, overview_level=0) as coarse:
        valid, pixels = coarse.read_masks(1), coarse.read()
        assert not pixels[:, valid == 0].any()


def test_of_a_classified_layer_no_pixel_is_shown_that_something_beyond_the_border_went_into(office, tmp_path):
    package = made(office, "water", layers=["secret"], area=BOX, crs="EPSG:4490")
    with raster(office, "water", package, tmp_path) as held:
        judge(held.read(), held.read_masks(1), held.transform, "EPSG:4490", strict=True)
        lon, lat = held.transform * tuple(np.nonzero(held.read_masks(1))[::-1] + np.array([[0.5], [0.5]]))
    border = transform_geometry(shapely.boundary(shapely.intersection(GRANTED, ASKED)), "CRS:84", "EPSG:4549")
    east, north = pyproj.Transformer.from_crs("EPSG:4490", "EPSG:4549", always_xy=True).transform(lon, lat)
    assert shapely.distance(shapely.points(east, north), border).min() >= STEP / 2


def test_heights_are_numbers_with_nodata_outside_and_no_mark_on_them(office, tmp_path):
    agency(office, "diggers", "dem", area=GRANTED, operations=NUMBERS, mark=Mark(text="水利", opacity=0.5, place="tiled"))
    package = made(office, "diggers", layers=["dem"], area=BOX)
    with raster(office, "diggers", package, tmp_path) as held:
        assert held.dtypes == ("float32",) and held.nodata == -9999
        values = held.read(1)
        rows, cols = np.nonzero(values != -9999)
        x, y = held.transform * (cols + 0.5, rows + 0.5)
        assert np.abs(values[rows, cols] - (100 + (x - LEFT - 5) / STEP * 0.5 + (TOP - 5 - y) / STEP * 0.25)).max() < 0.01


def test_pictures_lie_beside_their_world_files_in_one_archive(office, tmp_path):
    package = made(office, "water", layers=["dem"], area=BOX, format="png", crs="EPSG:3857", resolution=2.0)
    held = archive(office, "water", package)
    told_files = json.loads(held.read("manifest.json"))["files"]
    assert {one["name"] for one in told_files} == set(held.namelist()) - {"manifest.json", "manifest.html"} and len(told_files) >= 6
    assert all(hashlib.sha256(held.read(one["name"])).hexdigest() == one["sha256"] for one in told_files)
    held.extractall(tmp_path)
    for name in [one for one in held.namelist() if one.endswith(".png")]:
        with rasterio.open(tmp_path / name) as picture:
            assert picture.crs.to_epsg() == 3857 and picture.transform.a == 2.0
            pixels = picture.read()
            assert not pixels[:3, pixels[3] == 0].any()
    assert all(one.compress_type == zipfile.ZIP_STORED for one in held.infolist())


def test_a_degraded_grant_ships_cells_and_a_mark_is_written_on_imagery(office, tmp_path):
    agency(office, "coarse", "photo", degrade=100.0)
    agency(office, "marked", "photo", mark=Mark(text="水利专用", opacity=0.9, place="tiled"))
    with raster(office, "coarse", made(office, "coarse", layers=["photo"], area=SMALL, format="geotiff"), tmp_path) as held:
        detail = np.abs(np.diff(held.read()[1].astype(int), axis=1)).max()
    with raster(office, "marked", made(office, "marked", layers=["photo"], area=SMALL), tmp_path) as held:
        with raster(office, "water", made(office, "water", layers=["photo"], area=SMALL), tmp_path) as plain:
            assert held.shape == plain.shape and np.abs(held.read().astype(int) - plain.read()).max() > 60
            assert np.abs(np.diff(plain.read()[1].astype(int), axis=1)).max() > 2 * detail


CANARIES = (b"delivered", b".tif\0", b"coded.tif", b"TIFFTAG", b"GDAL_METADATA", b"Software", b"water-key", b"/var/")


def test_nothing_is_told_of_the_file_that_it_was_cut_from(office, tmp_path):
    package = made(office, "water", layers=["coded", "photo"], area=SMALL)
    held = archive(office, "water", package)
    assert sorted(one for one in held.namelist() if one.endswith(".tif")) == ["coded-2011.tif", "photo-2011.tif"]
    for name in held.namelist():
        data = held.read(name)
        assert not [word for word in CANARIES if word in data], name
        assert office.keys["water"].encode() not in data and str(office.folder).encode() not in data
    held.extractall(tmp_path)
    with rasterio.open(tmp_path / "coded-2011.tif") as one:
        assert one.tags().keys() <= {"AREA_OR_POINT"} and not one.tags(1) and one.width < COLS / 4
        assert all(max(one.shape) // factor <= 60 for factor in one.overviews(1))


def test_the_manifest_names_agreement_clause_and_digests_and_can_be_read_by_people(office):
    package = made(office, "water", layers=["coded@2011"], area=SMALL, crs="EPSG:4490")
    told_of = manifest(office, "water", package)
    assert [one["clause"] for one in told_of["agreements"]] == ["3.1"] and told_of["agency"] == "water" and len(told_of["licence"]["text"]) == 5
    (item,) = told_of["items"]
    assert item["edition"] == "2011" and item["lineage"]["sheets"] and "other way round" in item["axes"]["en"] and item["granted_by"]
    digest = told_of.pop("digest")
    assert digest == hashlib.sha256(json.dumps(told_of, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    for one in told_of["files"]:
        assert hashlib.sha256(fetch(office, "water", package, one["name"])).hexdigest() == one["sha256"]
    page = fetch(office, "water", package, "manifest.html").decode()
    assert "使用条件" in page and "Licence" in page and told_of["files"][0]["sha256"] in page and "<script" not in page


def test_the_same_order_is_the_same_file(office):
    one, other = (made(office, "water", layers=["coded"], area=SMALL) for _ in range(2))
    assert [f["sha256"] for f in one["files"] if f["name"].endswith(".tif")] == [f["sha256"] for f in other["files"] if f["name"].endswith(".tif")]


# What can be ordered

def test_every_fault_of_an_order_is_told_at_once(office):
    answer = post(office, "water", layers=["coded", "coded", "No Layer"], area={"divisions": ["999999"], "sheets": ["X"]}, crs="EPSG:1", resolution=5)
    assert answer.status_code == 422
    found = {one["pointer"] for one in answer.json["errors"]}
    assert found == {"#/layers/1", "#/layers/2", "#/area/divisions/0", "#/area/sheets/0", "#/crs"}


@pytest.mark.parametrize(("wanted", "pointer"), [
    ({"format": "shp"}, "#/format"), ({"format": "delivered", "crs": "EPSG:4490"}, "#/crs"), ({"resolution": 1.0}, "#/resolution"),
    ({"style": "default"}, "#/style"), ({"area": {"bounds": [3, 2, 1, 4]}}, "#/area/bounds"), ({"crs": "EPSG:4549", "resolution": 0.001}, "#/resolution"),
    ({"area": {}}, "#/area"), ({"colour": "red"}, "#/colour"), ({"style": "no", "format": "png"}, "#/style"),
])
def test_what_can_t_be_made_is_told_at_its_field_in_both_languages(office, wanted, pointer):
    for language in ("zh", "en"):
        answer = post(office, "water", {"Accept-Language": language}, **({"layers": ["coded"], "area": BOX} | wanted))
        assert answer.status_code == 422 and [one["pointer"] for one in answer.json["errors"]] == [pointer], answer.text
        assert answer.headers["Content-Language"] == language


def test_a_division_and_a_map_sheet_name_an_area_and_ground_without_data_is_told(office):
    number = sheets.encode(*map(float, on_earth(2_000, 2_000, 2_100, 1_900).centroid.coords[0]), "G")
    package = made(office, "others", layers=["coded"], area={"sheets": [number]}, crs="EPSG:4490")
    assert package["size"][0][0] > 100
    office.services.catalogue.put_divisions([Division(code="320104", vintage="2020", name="秦淮区", level="county", geometry=on_earth(100, 900, 900, 100))])
    assert made(office, "others", layers=["coded"], area={"divisions": ["320104"]})["size"] == [[80, 80]]
    answer = post(office, "others", layers=["coded"], area={"sheets": ["J50G001001"]})
    assert answer.status_code == 422 and answer.json["type"].endswith("package-no-data")


# Who may

def test_an_unshared_layer_and_an_unknown_one_are_refused_alike_and_nobody_is_told_more(office):
    unshared, unknown = (post(office, "others", layers=[name], area=BOX) for name in ("secret", "absent"))
    assert unshared.status_code == unknown.status_code == 403
    assert unshared.data.replace(b"secret", b"absent").split(b"instance")[0] == unknown.data.split(b"instance")[0]
    for name in ("secret", "absent"):
        assert post(office, "others", layers=["coded", name], area=BOX).status_code == post(office, "nobody", layers=[name], area=BOX).status_code == 403
    assert not book_of(office).list("nobody")


def test_ground_outside_another_operation_a_scale_and_a_crs_that_are_not_granted_are_refused(office):
    agency(office, "lookers", "coded", operations=frozenset({Operation.GET_MAP, Operation.GET_COVERAGE}))
    agency(office, "far", "coded", area=on_earth(0, 100, 100, 0))
    agency(office, "small-scale", "coded", scale=ScaleWindow(finest=50_000))
    agency(office, "one-crs", "coded", crs=frozenset({"EPSG:4490"}))
    agency(office, "drawn", "dem", styles=frozenset({"hillshade"}), operations=NUMBERS)
    codes = {name: post(office, name, layers=["dem" if name == "drawn" else "coded"], area=BOX) for name in ("lookers", "far", "small-scale", "one-crs", "drawn")}
    assert {name: answer.status_code for name, answer in codes.items()} == dict.fromkeys(codes, 403)
    assert codes["small-scale"].json["reasons"][0]["code"] == "outside-scale" and codes["far"].json["reasons"][0]["code"] == "outside-area"
    assert order(office, "small-scale", layers=["coded"], area=BOX, crs="EPSG:4549", resolution=20)
    assert order(office, "drawn", layers=["dem"], area=BOX, format="png")
    make(office)


def test_heights_need_their_values_granted_too_on_all_of_the_ground(office, tmp_path):
    agency(office, "painters", "dem")
    assert post(office, "painters", layers=["dem"], area=BOX).json["reasons"][0]["code"] == "operation-not-granted"
    assert made(office, "painters", layers=["dem"], area=SMALL, format="png")
    office.agency("halves")
    west, both = on_earth(0, 3_500, 2_000, 0), on_earth(0, 3_500, 5_500, 0)
    office.agree("halves", office.clause("dom", "dem", area=both, operations=DOWNLOAD), office.clause("dem", clause="3.2", area=west, operations={Operation.GET_COVERAGE}))
    answer = post(office, "halves", layers=["dem"], area=BOX)
    assert answer.status_code == 403 and answer.json["type"].endswith("package-numbers")
    assert made(office, "halves", layers=["dem"], area=SMALL)


def test_without_a_key_or_a_session_there_is_nothing(office):
    package = made(office, "water", layers=["coded"], area=SMALL)
    for method, path in (("GET", "/api/v1/packages"), ("POST", "/api/v1/packages"), ("GET", f"/api/v1/packages/{package['package']}"),
                         ("DELETE", f"/api/v1/packages/{package['package']}"), ("GET", path_of(package, "coded-2011.tif"))):
        assert office.client().open(path, method=method, json={} if method == "POST" else None).status_code == 401
        assert office.client().open(path, method=method, headers={"X-API-Key": "gsk_none"}).status_code == 401


def test_another_agency_s_package_is_answered_like_one_that_is_none(office):
    package = made(office, "water", layers=["coded"], area=SMALL)
    unknown = "0" * len(package["package"])
    for method, path in (("GET", "/api/v1/packages/{}"), ("DELETE", "/api/v1/packages/{}"), ("GET", "/packages/{}/coded-2011.tif"), ("HEAD", "/packages/{}/x")):
        for name in ("others", "nobody"):
            answers = [office.client().open(path.format(one), method=method, headers={"X-API-Key": office.keys[name]}) for one in (package["package"], unknown)]
            assert [one.status_code for one in answers] == [404, 404]
            assert answers[0].data.replace(package["package"].encode(), unknown.encode()) == answers[1].data
    assert told(office, "water", package)["state"] == "ready"
    assert package["package"] not in office.get("/api/v1/packages", "others").text


@pytest.mark.parametrize("name", ("ground-0.json", "../ground-0.json", "..%2fground-0.json", "notes/coded-2011.tif", "/etc/passwd", "%00", "coded-2011.tif/"))
def test_no_other_file_is_fetched_by_any_spelling(office, name):
    package = made(office, "water", layers=["coded"], area=SMALL)
    assert office.get(f"/packages/{package['package']}/{name}", "water").status_code in (400, 404)


# Until when

def test_a_package_that_is_called_off_leaves_nothing_and_can_t_be_fetched(office):
    package = order(office, "water", layers=["coded"], area=SMALL)
    path, folder = f"/api/v1/packages/{package['package']}", folder_of(office, package)
    assert folder.exists()
    assert office.client().delete(path, headers={"X-API-Key": office.keys["water"]}).json["state"] == "cancelled"
    make(office)
    assert told(office, "water", package)["state"] == "cancelled" and not folder.exists()
    assert office.get(f"/packages/{package['package']}/coded-2011.tif", "water").status_code == 410
    done = made(office, "water", layers=["coded"], area=SMALL)
    path, folder = f"/api/v1/packages/{done['package']}", folder_of(office, done)
    assert office.client().delete(path, headers={"X-API-Key": office.keys["water"]}).json["files"] == []
    assert not folder.exists() and office.get(path_of(done, "coded-2011.tif"), "water").status_code == 410


def test_a_package_that_is_not_ready_says_so(office):
    package = order(office, "water", layers=["coded"], area=SMALL)
    answer = office.get(f"/packages/{package['package']}/coded-2011.tif", "water")
    assert answer.status_code == 409 and answer.headers["Retry-After"]
    make(office)


def test_the_clock_deletes_what_is_over(office):
    package = made(office, "water", layers=["coded"], area=SMALL)
    held, services = book_of(office).get(package["package"]), office.services
    assert [*expire(services.settings, book_of(office), services.meter, held.expires.replace(year=held.expires.year - 1))] == []
    assert any(package["package"] in one for one in expire(services.settings, book_of(office), services.meter, held.expires))
    assert told(office, "water", package)["state"] == PackageState.EXPIRED and not folder_of(office, package).exists()
    assert office.get(path_of(package, "coded-2011.tif"), "water").status_code == 410


# For the operator

def test_an_operator_makes_lists_shows_and_cancels(office):
    package = order(office, "water", layers=["coded"], area=SMALL)
    environment = {"GEOSHARE_DATA": str(office.services.settings.data), "COLUMNS": "200"}

    def types(*words: str):
        return CliRunner().invoke(main, words, env=environment)

    assert types("work", "--once").exit_code == 0
    (row,) = (one for one in json.loads(types("package", "list", "--state", "ready", "--json").stdout) if one["package"] == package["package"])
    assert row["agency"] == "water" and row["done"] == "1/1"
    shown = types("package", "show", package["package"]).stdout
    assert "coded-2011.tif" in shown and "3.1" in shown
    assert types("package", "cancel", package["package"]).exit_code == 0 and told(office, "water", package)["state"] == "cancelled"
    assert types("package", "cancel", package["package"]).exit_code == types("package", "show", "none").exit_code == types("package", "list", "--state", "x").exit_code == 3
    assert "expired" not in types("tick").stdout


# What it costs

def test_an_order_is_counted_as_an_export_and_given_back_where_nothing_left(office):
    agency(office, "planners", "coded", quota=Quota(export_km2=3.0))
    first, second = ({"bounds": [LEFT + west, TOP - 1_500, LEFT + west + 1_400, TOP - 100], "crs": "EPSG:4549"} for west in (100, 2_000))
    package = made(office, "planners", layers=["coded"], area=first)
    refused = post(office, "planners", layers=["coded"], area=second)
    assert refused.status_code == 429 and refused.json["reasons"][0]["code"] == "over-quota"
    office.client().delete(f"/api/v1/packages/{package['package']}", headers={"X-API-Key": office.keys["planners"]})
    package = made(office, "planners", layers=["coded"], area=second)
    fetch(office, "planners", package, "coded-2011.tif")
    office.client().delete(f"/api/v1/packages/{package['package']}", headers={"X-API-Key": office.keys["planners"]})
    assert post(office, "planners", layers=["coded"], area=first).status_code == 429


def test_what_is_shipped_is_counted_in_bytes_and_pixels_and_recorded_and_a_spent_quota_lets_nothing_out(office):
    agency(office, "counted", "coded", quota=Quota(limits=(
        Limit(measure=Measure.BYTES, window=Window.DAY, most=10**9), Limit(measure=Measure.REQUESTS, window=Window.DAY, most=3),
    )))
    package = made(office, "counted", layers=["coded"], area=SMALL)
    size = package["files"][0]["bytes"]
    assert fetch(office, "counted", package, "coded-2011.tif") and office.get(path_of(package, "coded-2011.tif"), "counted", Range="bytes=0-99").status_code == 206
    mine = [one for event in events(office, "overlay.decided") if event["agency"] == "counted" for one in event["layers"] if one.get("charged")]
    charged = [next(iter(one["charged"].values())) for one in mine]
    assert [one["bytes"] for one in charged] == [size, 100] and charged[0]["pixels"] == manifest(office, "counted", package)["items"][0]["pixels"]
    spent = office.get(path_of(package, "coded-2011.tif"), "counted")
    assert spent.status_code == 429 and spent.headers["Retry-After"]
    assert told(office, "counted", package)["state"] == "ready"
