"""Pictures to keep: placed, cut, counted as exports, and ended where the grant is taken back."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import shapely

from agreements.model import Mark, Operation
from agreements.quota import Quota
from geoserver_app.decision_log import read_segment
from layers.crs import geodesic_km2, transform_geometry

LEFT, TOP, SIZE, STEP = 379_000.0, 3_545_000.0, 1200, 10.0
DOWNLOAD = frozenset({Operation.DOWNLOAD})
WHOLE = f"BBOX={LEFT},{TOP - SIZE * STEP},{LEFT + SIZE * STEP},{TOP}"


def on_earth(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    """CRS84: a box of metres east and south of the corner of the layer."""
    return transform_geometry(shapely.segmentize(shapely.box(LEFT + west, TOP - south, LEFT + east, TOP - north), 500), "EPSG:4549", "CRS:84")


@pytest.fixture(scope="module")
def office(lasting_house):
    """A layer whose red and green tell the column and row of a pixel, by hundreds of metres."""
    rows, cols = np.mgrid[0:SIZE, 0:SIZE]
    lasting_house.raster("dom", np.stack([cols // 10, rows // 10, np.full_like(rows, 77)]).astype(np.uint8), LEFT, TOP, STEP, lossless=True)
    lasting_house.agency("nobody")
    return lasting_house


def agency(office, name: str, *, quota: Quota | None = None, mark: Mark | None = None, **terms) -> None:
    office.agency(name)
    clause = office.clause("dom", operations=terms.pop("operations", DOWNLOAD), **terms)
    agreement = office.agree(name, clause, patient=True)
    if quota or mark:
        agreement = replace(agreement, version=2, quota=quota, mark=mark)
        office.services.register.register(agreement, f"# {name} with more\n")
    office.look_again()


def path(query: str = WHOLE, resolution: float = STEP, **others: str) -> str:
    more = "".join(f"&{name}={value}" for name, value in others.items())
    return f"/download/dom.zip?CRS=EPSG:4549&{query}&RESOLUTION={resolution}{more}"


def archive_of(answer) -> zipfile.ZipFile:
    assert answer.status_code == 200, answer.data[:400]
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    assert archive.testzip() is None
    return archive


def pictures(archive: zipfile.ZipFile, folder) -> list[rasterio.DatasetReader]:
    archive.extractall(folder)
    return [rasterio.open(folder / one["name"]) for one in json.loads(archive.read("manifest.json"))["pictures"]]


def events(office, kind: str) -> list[dict]:
    return [event for one in sorted(office.services.settings.decisions.rglob("*.jsonl")) for event in read_segment(one) if event.get("event") == kind]


def test_pictures_lie_where_their_files_say_and_tell_the_pixels_of_the_layer(office, tmp_path):
    agency(office, "surveyors")
    archive = archive_of(office.get(path(), "surveyors"))
    opened = pictures(archive, tmp_path)
    assert len(opened) == 4
    for picture in opened:
        with picture:
            assert picture.crs.to_epsg() == 4549
            assert (picture.transform.a, picture.transform.e) == (STEP, -STEP)
            pixels = picture.read()
            cols, rows = np.meshgrid(np.arange(picture.width), np.arange(picture.height))
            x, y = picture.transform * (cols + 0.5, rows + 0.5)
            assert np.abs(pixels[0].astype(int) - ((x - LEFT) // 100)).max() <= 2 and np.abs(pixels[1].astype(int) - ((TOP - y) // 100)).max() <= 2


def test_the_manifest_names_agreement_clause_and_the_digest_of_every_picture_and_nothing_of_the_files_behind(office):
    agency(office, "archivists")
    archive = archive_of(office.get(path(), "archivists"))
    manifest = json.loads(archive.read("manifest.json"))
    assert [one["clause"] for one in manifest["granted_by"]] == ["3.1"] and manifest["edition"] == "2011" and manifest["agency"] == "archivists"
    for one in manifest["pictures"]:
        assert hashlib.sha256(archive.read(one["name"])).hexdigest() == one["sha256"]
    assert not any(word in archive.read(name) for name in archive.namelist() for word in (b".tif", b"TIFFTAG", b"AREA_OR_POINT", office.keys["archivists"].encode()))


def test_what_is_kept_is_cut_like_every_picture(office, tmp_path):
    area = on_earth(2_000, 9_000, 7_000, 1_000)
    agency(office, "partners", area=area)
    seen = 0
    for picture in pictures(archive_of(office.get(path(), "partners")), tmp_path):
        with picture:
            pixels = picture.read()
            cols, rows = np.meshgrid(np.arange(picture.width), np.arange(picture.height))
            x, y = picture.transform * (cols + 0.5, rows + 0.5)
            inside = shapely.contains_xy(transform_geometry(area, "CRS:84", "EPSG:4549"), x.ravel(), y.ravel()).reshape(x.shape)
            shown = pixels[3] > 0 if picture.count == 4 else np.ones_like(inside)
            assert (shown == inside).all() and not pixels[:3, ~inside].any()
            seen += int(shown.sum())
    assert seen == pytest.approx(shapely.area(transform_geometry(area, "CRS:84", "EPSG:4549")) / STEP**2, rel=0.001)


def test_who_is_granted_maps_alone_keeps_nothing_and_ground_outside_is_refused(office):
    agency(office, "viewers", operations=frozenset({Operation.GET_MAP, Operation.GET_TILE}))
    agency(office, "neighbours", area=on_earth(100, 900, 900, 100))
    assert office.get(path(), "viewers").status_code == 403
    elsewhere = f"BBOX={LEFT + 5000},{TOP - 6000},{LEFT + 6000},{TOP - 5000}"
    answer = office.get(path(elsewhere), "neighbours")
    assert answer.status_code == 403 and answer.json["reasons"][0]["code"] == "outside-area"
    for asked in ("GET", "HEAD"):
        denied = office.client().open(path(), method=asked, headers={"X-API-Key": office.keys["nobody"]})
        unknown = office.client().open(path().replace("dom.zip", "absent.zip"), method=asked, headers={"X-API-Key": office.keys["nobody"]})
        assert denied.status_code == unknown.status_code == 403
        assert denied.data.replace(b"`dom`", b"`absent`").replace(b'"dom"', b'"absent"') == unknown.data


def test_two_adjacent_exports_of_13_km2_are_one_of_26_and_the_second_is_refused(office):
    agency(office, "planners", quota=Quota(export_km2=25.0))
    strips = [f"BBOX={LEFT + at * 3_600},{TOP - 3_600},{LEFT + (at + 1) * 3_600},{TOP}" for at in (0, 1)]
    assert 12.5 < geodesic_km2(on_earth(0, 3_600, 3_600, 0)) < 13.5
    assert len(archive_of(office.get(path(strips[0]), "planners")).namelist()) > 1
    refused = office.get(path(strips[1]), "planners")
    assert refused.status_code == 429 and refused.json["reasons"][0]["code"] == "over-quota" and "25" in refused.json["detail"]
    assert office.get(path(strips[0]), "planners").status_code == 200                    # the same ground again is no more ground


def test_a_download_ends_where_its_agreement_is_suspended_meanwhile(office):
    agency(office, "builders")
    (agreement,) = (one for one in office.services.register.list() if one.grantee == "builders")
    answer = office.client().get(path(), headers={"X-API-Key": office.keys["builders"]}, buffered=False)
    parts = answer.iter_encoded()
    received = [next(parts)]
    office.services.register.suspend(agreement.agreement_id, "found to be wrong")
    office.look_again()
    with pytest.raises(Exception, match="the download ends here"):
        received += list(parts)
    assert len(received) == 1
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(b"".join(received)))
    ended = events(office, "download.ended")[-1]
    assert (ended["agency"], ended["outcome"], ended["pictures"]) == ("builders", "taken-back", 1)


def test_a_client_that_goes_away_is_noted(office):
    agency(office, "impatient")
    answer = office.client().get(path(), headers={"X-API-Key": office.keys["impatient"]}, buffered=False)
    next(answer.iter_encoded())
    answer.close()
    assert events(office, "download.ended")[-1]["outcome"] == "broken-off"


def test_an_archive_of_the_same_pictures_is_the_same_but_for_its_record(office):
    agency(office, "twins")
    one, other = (archive_of(office.get(path(), "twins")) for _ in range(2))
    names = [name for name in one.namelist() if name != "manifest.json"]
    assert all(one.read(name) == other.read(name) for name in names)
    first, second = (json.loads(archive.read("manifest.json")) for archive in (one, other))
    assert first.pop("record") != second.pop("record") and first == second


def test_every_picture_leaves_its_own_record(office):
    agency(office, "recorded")
    archive_of(office.get(path(), "recorded"))
    mine = [event for event in events(office, "overlay.decided") if event["agency"] == "recorded"]
    assert [event["operation"] for event in mine] == ["Download"] * 5                     # one that lets it begin, four pictures


@pytest.mark.parametrize("media_type", ("image/png", "image/jpeg", "image/webp"))
def test_every_format_is_placed(office, tmp_path, media_type):
    agency(office, f"format-{media_type[6:]}")
    small = f"BBOX={LEFT},{TOP - 2000},{LEFT + 2000},{TOP}"
    (picture,) = pictures(archive_of(office.get(path(small, FORMAT=media_type), f"format-{media_type[6:]}")), tmp_path)
    with picture:
        assert picture.bounds == (LEFT, TOP - 2000, LEFT + 2000, TOP) and picture.crs.to_epsg() == 4549
