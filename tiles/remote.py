"""Overlays that another map service draws: MapProxy asks it for the picture, through a door of ours and never by itself.

`Edition.remote` says what is asked, as JSON text: `{"kind": "wms", "url", "version", "layers", "styles", "format", "crs", "credential"}`. There is never a
secret in it; `credential` is the number under which the service keeps one. Which hosts may be asked, at which address and with what is the door's to say
(`geoserver_app.overlays.fetching`).
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mapproxy.client.http import HTTPClientError
from mapproxy.client.wms import WMSClient
from mapproxy.image.opts import ImageOptions
from mapproxy.query import MapQuery
from mapproxy.request.wms import create_request
from mapproxy.source import SourceError
from mapproxy.source.wms import WMSSource
from mapproxy.srs import SRS, SupportedSRS
from PIL import Image

from layers.model import View
from tiles.errors import RenderFailed

MOST_BYTES = 32 << 20
MOST_PIXELS = 4096 * 4096
FORMATS = ("image/png", "image/png; mode=8bit", "image/png8", "image/jpeg", "image/gif", "image/webp")
"""Media types that are asked for, the best first."""

PILLOWS = ("PNG", "JPEG", "GIF", "WEBP")
WHOLE = "remote.*"
"""The attribute that a picture drawn elsewhere tells: nobody knows what it writes, so who may not have all of them may not have the picture."""


class Door(Protocol):
    """The only way out."""

    def fetch(self, url: str, *, credential: str | None, most_bytes: int) -> "Fetched":
        """Raises Unreachable."""


class Unreachable(Exception):
    """The host is not listed, or does not answer as it should. The message tells nothing of addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    body: bytes
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteMap:
    """What is asked of a WMS. `crs` as it spells them."""

    url: str
    version: str
    layers: str
    styles: str
    format: str
    crs: tuple[str, ...]
    credential: str | None = None

    @classmethod
    def read(cls, text: str) -> "RemoteMap":
        plain = json.loads(text)
        return cls(**{name: plain[name] for name in ("url", "version", "layers", "styles", "format")}, crs=tuple(plain["crs"]), credential=plain.get("credential"))

    def text(self) -> str:
        plain = {name: getattr(self, name) for name in ("url", "version", "layers", "styles", "format", "credential")}
        return json.dumps({"kind": "wms", **plain, "crs": list(self.crs)}, ensure_ascii=False, sort_keys=True)


def kind_of(text: str | None) -> str | None:
    return json.loads(text)["kind"] if text else None


def chosen_format(offered: Sequence[str]) -> str | None:
    """The best that a service offers."""
    return next((one for one in FORMATS if one in offered), None)


class RemoteRenderer:
    """Draws views of one remote edition. Keeps nothing."""

    def __init__(self, remote: RemoteMap, door: Door):
        request = create_request(
            {"url": remote.url, "layers": remote.layers, "styles": remote.styles, "transparent": True}, {"format": remote.format}, version=remote.version,
        )
        client = WMSClient(request, http_client=_Client(door, remote.credential), http_method="GET")
        self._source = WMSSource(
            client, image_opts=ImageOptions(format=remote.format, transparent=True, resampling="bilinear"), supported_srs=SupportedSRS([SRS(code) for code in remote.crs]),
        )

    def render(self, view: View, _symbol_scale: float = 1.0) -> Image.Image:
        """RGBA of the view. Raises RenderFailed."""
        crs = "EPSG:4326" if view.crs == "CRS:84" else view.crs
        query = MapQuery(tuple(view.bounds), (view.width, view.height), SRS(crs), "image/png")
        try:
            picture = self._source.get_map(query).as_image()
        except (SourceError, HTTPClientError, OSError, ValueError, Image.DecompressionBombError) as error:
            raise RenderFailed("the map service that draws this layer does not answer as it should: ask again later") from error
        if picture.size != (view.width, view.height):
            picture = picture.resize((view.width, view.height))
        return picture.convert("RGBA")


class _Client:
    """What MapProxy takes for its HTTP client."""

    def __init__(self, door: Door, credential: str | None):
        self._door, self._credential = door, credential

    def open(self, url: str, data: bytes | None = None, method: str | None = None) -> "_Answer":
        if data is not None or method not in (None, "GET"):
            raise HTTPClientError("only GET is asked of a remote service")
        try:
            fetched = self._door.fetch(url, credential=self._credential, most_bytes=MOST_BYTES)
        except Unreachable as error:
            raise HTTPClientError(str(error)) from None
        if not fetched.media_type.startswith("image/"):
            raise HTTPClientError("it answered with something else than a picture")
        _check_picture(fetched.body)
        return _Answer(fetched.body, {"Content-type": fetched.media_type})


class _Answer(io.BytesIO):
    def __init__(self, body: bytes, headers: Mapping[str, str]):
        super().__init__(body)
        self.headers, self.code = headers, 200


def _check_picture(body: bytes) -> None:
    """Its head says what it is and how large, before anything is decoded. Raises HTTPClientError."""
    try:
        with Image.open(io.BytesIO(body), formats=PILLOWS) as picture:
            width, height = picture.size
    except (OSError, ValueError, Image.DecompressionBombError):
        raise HTTPClientError("it answered with a picture that can't be read") from None
    if width * height > MOST_PIXELS:
        raise HTTPClientError("it answered with a picture that is too large")
