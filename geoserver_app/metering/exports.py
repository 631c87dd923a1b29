"""The union of all ground that was ever downloaded under an agreement: many small exports are one large one.

Each export is a record of its own: a number, the moment, and its ground as WKB in CRS84. One of which nothing ever left is taken back by a second
record. The union is exact geometry; its km2 are those of the equal-area plane.
"""

import struct
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import shapely
from shapely.geometry.base import BaseGeometry

from geoserver_app.metering.footprints import LONGEST_EDGE
from geoserver_app.metering.ground import CELL, to_plane

HEAD = struct.Struct("<B16sdI")                 # kind, number, POSIX seconds, bytes of WKB
CHECK = struct.Struct("<I")
TAKEN, GIVEN_BACK = 0, 1


class ExportsDamaged(ValueError):
    """Bytes that are no record of exports, or not as they were written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """`ground` None takes back the export of that number."""

    number: uuid.UUID
    at: float
    ground: BaseGeometry | None


class Exports:
    """What was downloaded, and its union. Not for several threads at once."""

    def __init__(self) -> None:
        self.length = 0                         # bytes of the log that are in it
        self.union: BaseGeometry = shapely.MultiPolygon()
        self.taken: dict[uuid.UUID, BaseGeometry] = {}

    def read(self, data: bytes) -> None:
        """The next records of the log. Raises ExportsDamaged."""
        for export in from_records(data):
            self.add(export)
        self.length += len(data)

    def add(self, export: Export) -> None:
        if export.ground is None:
            self.taken.pop(export.number, None)
            self.union = shapely.union_all(list(self.taken.values()))
        else:
            self.taken[export.number] = export.ground
            self.union = self.with_(export.ground)

    def with_(self, ground: BaseGeometry) -> BaseGeometry:
        return shapely.union(self.union, ground)


def square_metres(ground: BaseGeometry) -> float:
    """Of polygons in CRS84, on the ellipsoid.

    >>> round(square_metres(shapely.box(119.0, 32.0, 119.1, 32.1)))
    104724342
    """
    return float(shapely.area(shapely.transform(shapely.segmentize(ground, LONGEST_EDGE), to_plane))) * CELL * CELL


def polygons_of(ground: BaseGeometry) -> BaseGeometry:
    """The valid polygons of a geometry; empty where it has none."""
    parts = shapely.get_parts(shapely.force_2d(shapely.make_valid(ground)))
    return shapely.union_all([part for part in shapely.get_parts(parts) if part.geom_type in ("Polygon", "MultiPolygon")])


def to_record(export: Export) -> bytes:
    shape = b"" if export.ground is None else shapely.to_wkb(export.ground, output_dimension=2)
    body = HEAD.pack(GIVEN_BACK if export.ground is None else TAKEN, export.number.bytes, export.at, len(shape)) + shape
    return body + CHECK.pack(zlib.crc32(body))


def from_records(data: bytes) -> Iterator[Export]:
    """Raises ExportsDamaged."""
    position = 0
    while position < len(data):
        try:
            kind, number, at, length = HEAD.unpack_from(data, position)
            end = position + HEAD.size + length
            if zlib.crc32(data[position:end]) != CHECK.unpack_from(data, end)[0]:
                raise ExportsDamaged("the record of exports is damaged")
            ground = None if kind == GIVEN_BACK else shapely.from_wkb(data[position + HEAD.size:end])
        except (struct.error, shapely.errors.ShapelyError) as error:
            raise ExportsDamaged("the record of exports is damaged") from error
        yield Export(number=uuid.UUID(bytes=number), at=at, ground=ground)
        position = end + CHECK.size
