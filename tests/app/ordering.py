"""Ordering, making and fetching packages as an agency's program does."""

import io
import json
import zipfile
from datetime import timedelta

import rasterio
from houses import House

from geoserver_app.decision_log import read_segment
from geoserver_app.packages.items import files_folder
from geoserver_app.packages.jobs import PackageBook, PackageState, package_folder
from geoserver_app.packages.worker import Worker


def book_of(house: House, **others) -> PackageBook:
    return PackageBook(house.services.database, house.services.gate.clock, **others)


def post(house: House, agency: str | None, headers=None, **wanted):
    headers = ({"X-API-Key": house.keys[agency]} if agency else {}) | (headers or {})
    return house.client().post("/api/v1/packages", json=wanted, headers=headers)


def order(house: House, agency: str, **wanted) -> dict:
    answer = post(house, agency, **wanted)
    assert answer.status_code == 201, answer.text
    return answer.json


def told(house: House, agency: str, package: dict) -> dict:
    return house.get(f"/api/v1/packages/{package['package']}", agency).json


def make(house: House, **others) -> None:
    """What is waiting, in this process."""
    while Worker(house.services, book_of(house, **others)).work():
        pass


def made(house: House, agency: str, **wanted) -> dict:
    package = order(house, agency, **wanted)
    make(house)
    package = told(house, agency, package)
    assert package["state"] == PackageState.READY, package
    return package


def path_of(package: dict, name: str) -> str:
    assert name in [one["name"] for one in package["files"]], package["files"]
    return f"/packages/{package['package']}/{name}"


def fetch(house: House, agency: str, package: dict, name: str) -> bytes:
    answer = house.get(path_of(package, name), agency)
    assert answer.status_code == 200, answer.text
    return answer.data


def raster(house: House, agency: str, package: dict, folder) -> rasterio.DatasetReader:
    """The only GeoTIFF of it, opened."""
    (name,) = (one["name"] for one in package["files"] if one["name"].endswith(".tif"))
    place = folder / f"{package['package']}-{name}"
    place.write_bytes(fetch(house, agency, package, name))
    return rasterio.open(place)


def manifest(house: House, agency: str, package: dict) -> dict:
    return json.loads(fetch(house, agency, package, "manifest.json"))


def archive(house: House, agency: str, package: dict) -> zipfile.ZipFile:
    held = zipfile.ZipFile(io.BytesIO(fetch(house, agency, package, "package.zip")))
    assert held.testzip() is None
    return held


def folder_of(house: House, package: dict):
    return package_folder(house.services.settings, book_of(house).get(package["package"]).folder)


def files_of(house: House, package: dict):
    return files_folder(house.services.settings, book_of(house).get(package["package"]))


def events(house: House, kind: str) -> list[dict]:
    return [event for one in sorted(house.services.settings.decisions.rglob("*.jsonl")) for event in read_segment(one) if event.get("event") == kind]


SHORT = timedelta(seconds=1)
