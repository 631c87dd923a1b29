"""Registering overlays as an agency's program does."""

import io
import json
import zipfile
from pathlib import Path

import geopandas
import shapely
from houses import House

from geoserver_app.overlays.book import UploadBook
from geoserver_app.overlays.uploads import UploadWorker

POINTS = [
    {"STNM": "甲站", "LEVEL": 2.5, "SECRET": "red", "geometry": shapely.Point(118.72, 32.02)},
    {"STNM": "乙站", "LEVEL": 3.5, "SECRET": "blue", "geometry": shapely.Point(118.78, 32.08)},
    {"STNM": "丙站", "LEVEL": None, "SECRET": "red", "geometry": shapely.Point(118.74, 32.05)},
]


def geojson(rows=POINTS) -> bytes:
    return geopandas.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4326").to_json(drop_id=True).encode()


def headers(house: House, agency: str | None) -> dict:
    return {"X-API-Key": house.keys[agency]} if agency else {}


def register(house: House, agency: str | None, **wanted):
    return house.client().post("/api/v1/overlays/uploads", json=wanted, headers=headers(house, agency))


def put(house: House, agency: str | None, upload: str, data: bytes, **others):
    return house.client().put(f"/overlays/uploads/{upload}/file", data=data, headers=headers(house, agency) | others)


def sent(house: House, agency: str, data: bytes, **wanted) -> str:
    """An upload whose file is there."""
    answer = register(house, agency, **{"file": "stations.geojson", "name": "stations"} | wanted)
    assert answer.status_code == 201, answer.text
    assert put(house, agency, answer.json["upload"], data).status_code == 202
    return answer.json["upload"]


def worker(house: House) -> UploadWorker:
    return UploadWorker(house.services, UploadBook(house.services.database, house.services.gate.clock))


def taken_in(house: House, agency: str, data: bytes, **wanted) -> dict:
    """What came of it."""
    upload = sent(house, agency, data, **wanted)
    while worker(house).work():
        pass
    house.look_again()
    return told(house, agency, upload)


def told(house: House, agency: str, upload: str, language: str = "en") -> dict:
    return house.get(f"/api/v1/overlays/uploads/{upload}?lang={language}", agency).json


def published(house: House, agency: str, data: bytes | None = None, **wanted) -> dict:
    found = taken_in(house, agency, geojson() if data is None else data, **wanted)
    assert found["state"] == "published", found
    return found


def zipped(folder: Path) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return out.getvalue()


def put_symbols(house: House, agency: str, layer: str, edition: str, symbols: dict | None):
    generation = edition_of(house, agency, layer, edition)["generation"]
    path = f"/api/v1/overlays/layers/{layer}/editions/{edition}/symbols"
    answer = house.client().put(path, data=json.dumps({"generation": generation, "symbols": symbols}), content_type="application/json", headers=headers(house, agency))
    house.look_again()
    return answer


def edition_of(house: House, agency: str, layer: str, edition: str) -> dict:
    editions = house.get(f"/api/v1/overlays/layers/{layer}", agency).json["editions"]
    return next(one for one in editions if one["edition"] == edition)
