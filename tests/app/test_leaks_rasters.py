"""Hostile agencies among coverages, packages, heights, sheets and lineage: what they tell, what they count, and what they let through."""

import io
import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import shapely
from api_office import Office
from numbered_sheets import SQUARE, deliver, publish
from ordering import archive, fetch, made, make, manifest, path_of, post
from PIL import Image
from rasterio.transform import from_origin

from agreements.model import Operation, ScaleWindow
from agreements.quota import Limit, Measure, Quota, Window
from geoserver_app.clock import now
from geoserver_app.gate import COMMON_KEPT
from geoserver_app.packages import making, shipping
from layers.crs import densify, transform_geometry
from layers.sheets import numbers as sheets

CRS = "EPSG:4549"
LEFT, TOP, STEP, SIDE = 384_000.0, 3_548_000.0, 5.0, 200
MIDDLE = LEFT + SIDE * STEP / 2
WALL = 7777.0
"""Height beyond the border: no number that an answer holds by chance."""

DOWNLOAD = frozenset({Operation.DOWNLOAD})
NUMBERS = frozenset({Operation.DOWNLOAD, Operation.GET_COVERAGE})
ALL = {"bounds": [LEFT, TOP - SIDE * STEP, LEFT + SIDE * STEP, TOP], "crs": CRS}


def ground(left: float, right: float) -> shapely.Geometry:
    return transform_geometry(densify(shapely.box(left, TOP - SIDE * STEP - 500, right, TOP + 500), CRS), CRS, "CRS:84")


WEST = ground(LEFT - 500, MIDDLE)


def delivered(folder, name: str, bands: np.ndarray, *, crs: str = CRS, left: float = LEFT, top: float = TOP, step: float = STEP, nodata=None):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2], dtype=bands.dtype, crs=crs,
        transform=from_origin(left, top, step, step), nodata=nodata,
    ) as out:
        out.write(bands)
    return path


def hills(beyond: float) -> np.ndarray:
    rows, cols = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    heights = 100 + 60 * np.sin(cols / 17) * np.cos(rows / 13)
    heights[:, SIDE // 2:] += np.float32(beyond)
    return heights.astype(np.float32)[None]


@pytest.fixture(scope="module")
def people(lasting_house) -> Office:
    return Office(lasting_house)


@pytest.fixture(scope="module")
def office(people):
    house, folder = people.house, people.house.folder / "twins"
    for name, beyond in (("low", 0.0), ("high", WALL)):
        publish(house, name, delivered(folder, name, hills(beyond), nodata=-9999.0), product="DEM")
        publish(house, f"{name}-secret", delivered(folder, f"{name}-secret", hills(beyond), nodata=-9999.0), product="DEM", classification="secret")
    noise = np.random.default_rng(3).integers(1, 255, (3, SIDE, SIDE), dtype=np.uint8)
    for name in ("dom", "other"):
        publish(house, name, delivered(folder, name, noise), product="DOM", lossless=True)
    house.agency("nobody")
    house.agency("viewer")
    house.grant("viewer", "low", "high", "low-secret", "high-secret", area=WEST, operations={Operation.GET_MAP})
    house.grant("water", "low", "high", "low-secret", "high-secret", area=WEST)
    return house


_sharers = iter(range(1, 1000))


def sharer(office, *layers: str, **terms):
    """An agency with an agreement of its own; `quota` is the agreement's."""
    name, quota = f"sharer-{next(_sharers)}", terms.pop("quota", None)
    office.agency(name)
    agreement = office.agree(name, office.clause(*layers, operations=terms.pop("operations", DOWNLOAD), **terms), quota=quota)
    return name, agreement


def used(office, agreement) -> dict[str, float]:
    return {one.name: one.used for one in office.services.meter.usage(agreement, now())}


def get(office, path: str, agency: str | None, **query):
    return office.client().get(path, query_string=query, headers={"X-API-Key": office.keys[agency]} if agency else {})


# Lineage

@pytest.mark.parametrize("kind", ["", "-secret"])
@pytest.mark.parametrize("agency", ["viewer", "water"])
def test_lineage_tells_nothing_of_what_the_file_holds_beyond_the_border(office, agency, kind):
    """... neither heights, which are values, nor how many cells there are of which kind."""
    asked = {"crs": CRS, "bbox": f"{LEFT},{TOP - 1000},{LEFT + 1000},{TOP}"}
    told = [get(office, "/lineage", agency, layer=f"{name}{kind}", **asked) for name in ("low", "high")]
    steps = [one.json["sheets"][0]["steps"] for one in told]
    digests = [one.json["sheets"][0]["checksum"] for one in told]
    steps = [[step.replace(digest, "") for step in these] for these, digest in zip(steps, digests, strict=True)]
    assert steps[0] == steps[1] and steps[0], steps
    assert "heights from" not in told[0].text and f"{SIDE} x {SIDE}" not in told[0].text


# Contours

@pytest.mark.parametrize(("crs", "box", "size"), [
    ("EPSG:4548", "667567.3139909722,3547902.546615892,667910.5906067858,3548245.823231669", (83, 148)),
    ("CRS:84", "118.77072281353625,32.04478106207126,118.78065490816732,32.05324058182811", (132, 46)),
    ("EPSG:4548", "666736.3939498174,3547672.0806392506,668870.0795494218,3549805.766238629", (89, 102)),
])
def test_in_which_order_lines_are_drawn_tells_nothing_of_ground_beyond_the_border(office, crs, box, size):
    """Where pieces of lines meet, opacities are mixed by rounded numbers; where a line begins depends on the whole of it."""
    asked = {"SERVICE": "WMS", "VERSION": "1.1.1", "REQUEST": "GetMap", "STYLES": "contours", "SRS": crs, "BBOX": box, "FORMAT": "image/png",
             "WIDTH": str(size[0]), "HEIGHT": str(size[1]), "TRANSPARENT": "TRUE"}
    pictures = [get(office, "/ows", "water", LAYERS=layer, **asked) for layer in ("low-secret", "high-secret")]
    assert pictures[0].status_code == 200 and pictures[0].data == pictures[1].data


# Packages: what is in them

def test_contours_of_a_classified_model_are_drawn_in_packages_as_maps_draw_them(office):
    name, _ = sharer(office, "low-secret", "high-secret", area=WEST)
    pictures = []
    for layer in ("low-secret", "high-secret"):
        package = made(office, name, layers=[layer], area=ALL, format="png", style="contours")
        held = archive(office, name, package)
        (file,) = [one for one in held.namelist() if one.endswith(".png")]
        pictures.append(np.array(Image.open(io.BytesIO(held.read(file))).convert("RGBA")))
    assert (pictures[0] == pictures[1]).all()
    view = json.loads(held.read("manifest.json"))["items"][0]
    office.agency(f"{name}-maps")
    office.grant(f"{name}-maps", "high-secret", area=WEST)
    shown = get(office, "/ows", f"{name}-maps", SERVICE="WMS", VERSION="1.3.0", REQUEST="GetMap", LAYERS="high-secret", STYLES="contours", CRS=CRS,
                BBOX="{1},{0},{3},{2}".format(*view["bounds"]), WIDTH=str(view["size"][0]), HEIGHT=str(view["size"][1]), FORMAT="image/png", TRANSPARENT="TRUE")
    assert shown.status_code == 200, shown.text
    shown, well_within = np.array(Image.open(io.BytesIO(shown.data)).convert("RGBA")), (slice(20, -20), slice(20, 60))       # no border there
    assert (shown[well_within] == pictures[1][well_within]).all() and shown[well_within][..., 3].any()


def test_a_manifest_names_no_sheet_beside_the_area_and_no_change_elsewhere(office):
    paths = [deliver(office.folder / "square", number, (9, 9, 9)) for number in SQUARE]
    publish(office, "square", *paths, product="DOM", lossless=True)
    frame = shapely.box(*sheets.sheet_bounds(SQUARE[0]))
    for area, wanted in ((frame, {"sheets": [SQUARE[0]]}), (None, {"sheets": [SQUARE[0]]}), (frame, {"everywhere": True})):
        name, _ = sharer(office, "square", area=area)
        told = manifest(office, name, made(office, name, layers=["square"], area=wanted))
        assert [one["number"] for one in told["items"][0]["lineage"]["sheets"]] == [SQUARE[0]], wanted
        assert "generation" not in told["items"][0]


def test_layers_whose_names_run_together_are_two_files(office):
    folder = office.folder / "twice"
    for number, (layer, edition) in enumerate((("a", "b-c"), ("a-b", "c")), 1):
        publish(office, layer, delivered(folder, f"n{number}", np.full((3, 20, 20), number * 60, np.uint8)), product="DOM", edition=edition, lossless=True)
    name, _ = sharer(office, "a", "a-b")
    held = archive(office, name, made(office, name, layers=["a", "a-b"], area=ALL))
    tiffs = [one for one in held.namelist() if one.endswith(".tif")]
    assert len(set(tiffs)) == 2
    found = set()
    for one in tiffs:
        with rasterio.MemoryFile(held.read(one)) as memory, memory.open() as source:
            found.add(int(source.read(1).max()))
    assert found == {60, 120}


def test_one_layer_by_two_of_its_names_is_one_file_or_none(office):
    name, _ = sharer(office, "dom")
    answer = post(office, name, layers=["dom", "dom@2011"], area=ALL)
    if answer.status_code == 201:
        make(office)
        held = archive(office, name, office.get(f"/api/v1/packages/{answer.json['package']}", name).json)
        assert len(set(held.namelist())) == len(held.namelist())
    else:
        assert answer.status_code == 422


# Packages: what they count

def test_bytes_of_a_package_are_counted_on_every_agreement_whose_layers_are_in_it(office):
    quota = Quota(limits=(Limit(measure=Measure.BYTES, window=Window.TERM, most=10**9),))
    name, metered = sharer(office, "dom", quota=quota)
    office.grant(name, "other", operations=DOWNLOAD)
    counts = []
    for layers in (["dom", "other"], ["other", "dom"]):
        package = made(office, name, layers=layers, area=ALL)
        before = sum(used(office, metered).values())
        size = len(fetch(office, name, package, "package.zip"))
        counts.append((sum(used(office, metered).values()) - before) / size)
    assert counts == [1.0, 1.0]


def test_a_file_in_small_pieces_is_counted_like_one_in_large_ones(office):
    quota = Quota(limits=(Limit(measure=Measure.MEGAPIXELS, window=Window.TERM, most=10**6),))
    name, metered = sharer(office, "dom", quota=quota)
    package = made(office, name, layers=["dom"], area=ALL)
    (file,) = [one for one in package["files"] if one["name"].endswith(".tif")]
    for start in range(40):
        assert office.get(path_of(package, file["name"]), name, Range=f"bytes={start}-{start}").status_code == 206
    assert sum(used(office, metered).values()) * 1e6 > 0.99 * 40 * SIDE * SIDE / file["bytes"]


def test_an_order_of_ground_without_data_reserves_nothing(office):
    name, metered = sharer(office, "dom", quota=Quota(export_km2=25.0))
    beside = {"bounds": [LEFT + 20_000, TOP - 1000, LEFT + 21_000, TOP], "crs": CRS}
    assert post(office, name, layers=["dom"], area=beside).status_code == 422
    assert used(office, metered) in ({}, {"export": 0.0})


def test_what_is_called_off_while_it_is_fetched_stays_counted_or_stays_here(office, monkeypatch):
    name, metered = sharer(office, "dom", quota=Quota(export_km2=25.0))
    package = made(office, name, layers=["dom"], area=ALL)
    piece = shipping.Shipment._piece

    def called_off_meanwhile(self, *args, **more):
        data = piece(self, *args, **more)
        answer = office.client().delete(f"/api/v1/packages/{package['package']}", headers={"X-API-Key": office.keys[name]})
        assert answer.status_code == 200, answer.text
        return data

    monkeypatch.setattr(shipping.Shipment, "_piece", called_off_meanwhile)
    (file,) = [one["name"] for one in package["files"] if one["name"].endswith(".tif")]
    answer = office.get(path_of(package, file), name)
    assert answer.status_code != 200 or used(office, metered)["export"] > 0


def test_a_running_download_ends_where_the_package_is_called_off_or_the_person_is_signed_out(office, people, monkeypatch):
    monkeypatch.setattr(shipping, "PIECE", 20_000)
    office.grant("water", "dom", operations=DOWNLOAD)
    for stop in ("call off", "sign out"):
        member = people.visitor("member")
        package = made(office, "water", layers=["dom"], area=ALL)
        (file,) = [one for one in package["files"] if one["name"].endswith(".tif")]
        parts = member.client.get(path_of(package, file["name"]), buffered=False).iter_encoded()
        sent = len(next(parts))
        if stop == "call off":
            assert office.client().delete(f"/api/v1/packages/{package['package']}", headers={"X-API-Key": office.keys["water"]}).status_code == 200
        else:
            office.services.accounts.end_session(member.client.get_cookie("geoshare").value)
        with pytest.raises(Exception, match="the download ends here"):
            sent += sum(map(len, parts))
        assert sent < file["bytes"]


def test_packages_leave_room_for_the_record_and_orders_leave_areas_in_memory(office, monkeypatch):
    name, metered = sharer(office, "dom", quota=Quota(export_km2=25.0))
    served = set(office.services.gate._areas._served)
    monkeypatch.setattr(making.shutil, "disk_usage", lambda _: SimpleNamespace(free=making.LEAST_FREE - 1))
    package = post(office, name, layers=["dom"], area=ALL).json
    make(office)
    told = office.get(f"/api/v1/packages/{package['package']}", name).json
    assert told["state"] == "failed" and "disk" in told["reason"], told
    assert used(office, metered) == {"export": 0.0} and served <= set(office.services.gate._areas._served)
    assert len(office.services.gate._areas._common) <= COMMON_KEPT


# Packages: sheets as they were delivered

def test_a_sheet_as_delivered_is_no_finer_and_in_no_other_system_than_granted(office):
    folder = office.folder / "zones"
    coarse = delivered(folder, "coarse", np.full((3, 40, 40), 60, np.uint8), step=20.0)
    (left, top), = shapely.get_coordinates(transform_geometry(shapely.Point(LEFT + 2_000, TOP), CRS, "EPSG:4550"))
    fine = delivered(folder, "fine", np.full((3, 400, 400), 90, np.uint8), crs="EPSG:4550", left=round(left), top=round(top), step=1.0)
    edition = publish(office, "zones", coarse, fine, product="DOM", lossless=True)
    everything = {"bounds": [LEFT - 500, TOP - 2_000, LEFT + 4_000, TOP + 500], "crs": CRS}
    own = int(edition.crs.removeprefix("EPSG:"))
    for terms in ({"scale": ScaleWindow(finest=10 / 0.00028)}, {"crs": frozenset({edition.crs})}):
        name, _ = sharer(office, "zones", **terms)
        answer = post(office, name, layers=["zones"], area=everything, format="delivered")
        if answer.status_code == 403:
            continue
        make(office)
        package = office.get(f"/api/v1/packages/{answer.json['package']}", name).json
        held = [one["name"] for one in package["files"]]
        tiffs = {one: fetch(office, name, package, one) for one in held if one.endswith(".tif")}
        if "package.zip" in held:
            archived = zipfile.ZipFile(io.BytesIO(fetch(office, name, package, "package.zip")))
            tiffs |= {one: archived.read(one) for one in archived.namelist() if one.endswith(".tif")}
        for file, data in tiffs.items():
            with rasterio.MemoryFile(data) as memory, memory.open() as source:
                if "scale" in terms:
                    assert source.res[0] >= 10, file
                else:
                    assert source.crs.to_epsg() == own, file


# Coverages

@pytest.mark.parametrize("step", ["1e-300", "1e-308", "5e-324", "1e-20"])
def test_a_step_too_fine_for_any_number_of_pixels_is_refused_in_a_sentence(office, step):
    answer = get(office, "/wcs", "water", SERVICE="WCS", VERSION="1.0.0", REQUEST="GetCoverage", COVERAGE="low", CRS=CRS,
                 BBOX=f"{LEFT},{TOP - 1000},{LEFT + 1000},{TOP}", RESX=step, RESY=step, FORMAT="image/tiff")
    assert answer.status_code in (400, 413) and b"pixels" in answer.data
