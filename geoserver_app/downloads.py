"""Pictures of a layer to keep: one ZIP that is written while it is sent, each picture decided, counted and recorded on its own.

An archive holds pictures side by side, each with its place beside it (world file, and `.aux.xml` with CRS for GDAL and QGIS), and at its end
`manifest.json`: under which agreements and clauses it left, what it is, and the digest of every picture. Nothing in it is of the files that
it was made from. A grant that is taken back while it is being sent ends it there: no picture after that, and no manifest.
"""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

import shapely
from shapely.geometry.base import BaseGeometry

from agreements.model import Operation
from geoserver_app.charging import Tally
from geoserver_app.drawing import drawn, style_of
from geoserver_app.gate import Asked, Drawn, Gate, OverQuota, Refused, Reserved
from geoserver_app.identity import Caller
from geoserver_app.metering.ledger import MeteringUnavailable
from layers.crs import is_north_first, transform_geometry, wkt
from layers.errors import OutsideAreaOfUse
from layers.model import View
from tiles.encode import JPEG, PNG, WEBP, encode
from tiles.permits import Permit
from tiles.requests import Download, expressible_bounds

EXTENSIONS = {PNG: ("png", "pgw"), JPEG: ("jpg", "jgw"), WEBP: ("webp", "wpw")}

PATIENCE = 30.0
"""Seconds that a download waits for the rate of its agreement before it is given up."""

MOMENT = (1980, 1, 1, 0, 0, 0)
"""Of every member: an archive of the same pictures is the same to the byte, whenever it is fetched."""


class BrokenOff(Exception):
    """What was being sent may not be sent any further; its client sees an archive that ends too early."""


def ground_of(view: View) -> BaseGeometry:
    """CRS84: the ground of a view as far as its CRS means something, edges densified. Raises OutsideAreaOfUse where that is nowhere."""
    bounds = view.bounds.intersection(expressible_bounds(view.crs))
    if bounds.width <= 0 or bounds.height <= 0:
        raise OutsideAreaOfUse(view.crs)
    edge = max(bounds.width, bounds.height) / 64
    return transform_geometry(shapely.segmentize(shapely.box(*bounds), edge), view.crs, "CRS:84")


def question(asked: Download, view: View) -> Asked:
    return Asked(layer=asked.layer, operation=Operation.DOWNLOAD, view=view, style=asked.style, format=asked.media_type)


@dataclass(slots=True)
class Archive:
    """A download on its way. `reserved` let it begin; `gate` is asked again for every picture."""

    gate: Gate
    caller: Caller
    asked: Download
    reserved: Reserved
    _sink: "_Sink" = field(default_factory=lambda: _Sink())
    _members: list[dict] = field(default_factory=list)

    def chunks(self) -> Iterator[bytes]:
        """The bytes of the archive. Whoever stops asking has broken it off; how it ended is recorded."""
        outcome = "broken-off"
        try:
            with zipfile.ZipFile(self._sink, "w", zipfile.ZIP_STORED) as archive:
                for row, col, view in self.asked.blocks():
                    if (picture := self._picture(view)) is not None:
                        self._add_picture(archive, row, col, view, picture)
                        yield self._sink.taken()
                self._add(archive, "manifest.json", json.dumps(self._manifest(), ensure_ascii=False, indent=1).encode())
            outcome = "whole"
            yield self._sink.taken()
        except (Refused, MeteringUnavailable) as error:
            outcome = "taken-back" if isinstance(error, Refused) else outcome
            raise BrokenOff(f"the download ends here: {error}") from error
        finally:
            self._end(outcome)

    def _picture(self, view: View) -> bytes | None:
        """One picture, decided and counted now; None where nothing may be seen. Raises Refused, OverQuota."""
        deadline, asked = time.monotonic() + PATIENCE, [question(self.asked, view)]
        while True:
            try:
                answer = self.gate.serve(self.caller, asked, lambda permits: self._draw(permits[0], view), without=self.reserved.spent)
                return answer.drawn.body or None
            except OverQuota as error:
                if time.monotonic() + error.opens > deadline:
                    raise
                time.sleep(max(error.opens, 0.05))

    def _draw(self, permit: Permit, view: View) -> Drawn:
        tallies: list[Tally | None] = []
        picture = drawn(permit, style_of(permit, "STYLE"), view, tallies)
        data = b"" if picture is None else encode(picture, self.asked.media_type, lossless=permit.edition.lossless)
        return Drawn(body=data, content_type=self.asked.media_type, tallies=tuple(tallies))

    def _add_picture(self, archive: zipfile.ZipFile, row: int, col: int, view: View, data: bytes) -> None:
        extension, world = EXTENSIONS[self.asked.media_type]
        name = f"{self.asked.layer.layer}_r{row:03}_c{col:03}"
        self._add(archive, f"{name}.{extension}", data)
        self._add(archive, f"{name}.{world}", world_file(view).encode())
        self._add(archive, f"{name}.{extension}.aux.xml", auxiliary_file(view).encode())
        self._members.append({"name": f"{name}.{extension}", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "bounds": list(view.bounds)})

    @staticmethod
    def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
        archive.writestr(zipfile.ZipInfo(name, MOMENT), data)

    def _manifest(self) -> dict:
        permit, asked = self.reserved.permit, self.asked
        return {
            "layer": asked.layer.layer, "edition": permit.edition.name, "style": permit.style, "crs": asked.view.crs, "resolution": asked.resolution,
            "bounds": list(asked.view.bounds), "agency": self.caller.agency.agency_id, "record": self.reserved.record_id,
            "granted_by": [
                {"agreement": piece.agreement_id, "version": piece.version, "clause": piece.clause} for piece in self.reserved.pieces
            ],
            "credits": list(permit.credits), "use": [USE_ZH, USE_EN], "pictures": self._members,
        }

    def _end(self, outcome: str) -> None:
        reservation = self.reserved.reservation
        if not self._members and reservation is not None:
            self.gate.meter.release_export(reservation, self.gate.clock())
        self.gate.log.write({
            "event": "download.ended", "agency": self.caller.agency.agency_id, "key": self.caller.key_id, "operation": str(Operation.DOWNLOAD),
            "begun": self.reserved.record_id, "outcome": outcome, "pictures": len(self._members), "bytes": sum(one["bytes"] for one in self._members),
        })


USE_ZH = "仅限协议约定的单位与用途；格式转换后的数据视同原始数据"
USE_EN = "Only for the parties and purposes of the agreements named here; data converted to another format is the data itself"


class _Sink(io.RawIOBase):
    """Where the archive is written: it can't be sought in, so members are described after their data."""

    def __init__(self):
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self._waiting += data
        return len(data)

    def taken(self) -> bytes:
        """What was written since this was last asked."""
        data = bytes(self._waiting)
        self._waiting.clear()
        return data


# Where a picture lies

def world_file(view: View) -> str:
    """Six lines (ESRI): the step along x and y, and the centre of the pixel at the top left."""
    step_x, step_y = view.resolution
    values = (step_x, 0.0, 0.0, -step_y, view.bounds.left + step_x / 2, view.bounds.top - step_y / 2)
    return "".join(f"{value:.12g}\n" for value in values)


def auxiliary_file(view: View) -> str:
    """GDAL's persistent auxiliary metadata: CRS and place, nothing else. x before y whatever the CRS says of its axes."""
    step_x, step_y = view.resolution
    place = ", ".join(f"{value:.16e}" for value in (view.bounds.left, step_x, 0.0, view.bounds.top, 0.0, -step_y))
    return f'<PAMDataset>\n  <SRS dataAxisToSRSAxisMapping="{_axes(view.crs)}">{escape(wkt(view.crs))}</SRS>\n  <GeoTransform>{place}</GeoTransform>\n</PAMDataset>\n'


def _axes(crs: str) -> str:
    return "2,1" if is_north_first(crs) else "1,2"

