"""Layers of many sheets that are in the catalogue alone: what pages and the API tell of them needs no pixels."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

import shapely

from layers.catalogue import Catalogue
from layers.ingest.records import LOCK
from layers.model import Bounds, Classification, Edition, Layer, ProductType, Sheet
from layers.sheets import encode, sheet_bounds, sheet_frame

TAKEN_IN = datetime(2026, 3, 5, 8, 30, tzinfo=UTC)


def block(rows: int, columns: int, *, lon: float = 118.72, lat: float = 32.15, scale: str = "G") -> list[list[str]]:
    """Numbers of sheets beside one another, from north to south and west to east; the first holds the point."""
    west, south, east, north = sheet_bounds(encode(lon, lat, scale))
    x, y = (west + east) / 2, (south + north) / 2
    return [[encode(x + column * (east - west), y - row * (north - south), scale) for column in range(columns)] for row in range(rows)]


def hold(catalogue: Catalogue, name: str, edition: str, numbers: dict[str, date | None], *, title: str = "正射影像", generation: int = 1, **fields) -> Edition:
    """An edition with a sheet for each number, and the day its content was true."""
    sheets = [_sheet(number, edition, day) for number, day in numbers.items()]
    whole = shapely.union_all([sheet.footprint for sheet in sheets])
    layer = Layer(
        name=name, title_zh=title, title_en=fields.pop("title_en", "Orthophoto"), abstract="", product=ProductType.DOM, owner="bureau",
        classification=fields.pop("classification", Classification.INTERNAL), attribution="", editions=(),
    )
    return catalogue.publish(layer, Edition(
        edition_id=0, name=edition, layer=name, product=ProductType.DOM, currency=(None, None), generation=generation, folder=f"{name}/{edition}",
        crs="EPSG:4490", extent=whole, resolution=1.0, sheet_count=len(sheets), **fields,
    ), sheets)


@contextmanager
def running(house, layer: str, edition: str, total: int) -> Iterator[int]:
    """A job as long as its process lives: what it notes, and the folder that it holds."""
    folder = house.services.settings.store / layer / edition
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield house.services.catalogue.begin_job(layer, edition, total)


def _sheet(number: str, edition: str, day: date | None) -> Sheet:
    return Sheet(
        sheet_id=0, number=number, source_name=f"{number}DOM_{edition}.tif", path=f"sheets/{number}.tif", crs="EPSG:4490",
        bounds=Bounds(*sheet_bounds(number)), footprint=sheet_frame(number), width=6250, height=4630, resolution=(1e-5, 9e-6), band_count=3,
        dtype="uint8", nodata=None, checksum=f"{number:0>64}".lower(), lineage=("taken as delivered", f"warning: {number} has a white collar"),
        currency=day, taken_in=TAKEN_IN, delivered=None,
    )
