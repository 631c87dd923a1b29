"""A map service elsewhere as an overlay: a WMS is asked picture by picture, a WFS is taken in as a snapshot that can be refreshed.

What is asked is read from the service's own description, through the one door (`fetching`). XML is read without entities, without a network, and of no
more than a few megabytes.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import shapely
from lxml import etree

from geoserver_app.overlays.faults import OverlayInvalid
from geoserver_app.overlays.fetching import Fetcher
from layers.crs import SERVED, world_bounds
from layers.model import Bounds
from tiles.remote import RemoteMap, Unreachable, chosen_format

MOST_DESCRIPTION = 8 << 20
PAGE = 5_000
PAGES_SECONDS = 60.0
JSON_FORMATS = ("application/geo+json", "application/json", "application/vnd.geo+json", "json", "geojson", "application/json; subtype=geojson")
GEOGRAPHIC = "urn:ogc:def:crs:OGC:1.3:CRS84"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMap:
    """What a WMS offers of the layers that are wanted; `bounds` in longitude and latitude."""

    remote: RemoteMap
    title: str
    bounds: Bounds


def url_with(base: str, **parameters: object) -> str:
    """The address with its own parameters, less those of the same name in any case, and these."""
    parts = urlsplit(base)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name.upper() not in {one.upper() for one in parameters}]
    return urlunsplit(parts._replace(query=urlencode([*kept, *((name, str(value)) for name, value in parameters.items())], safe=":,/")))


def bare(base: str) -> str:
    """The address as MapProxy wants it: with what is the service's own alone."""
    parts = urlsplit(base)
    ours = {"SERVICE", "REQUEST", "VERSION", "LAYERS", "STYLES", "CRS", "SRS", "BBOX", "WIDTH", "HEIGHT", "FORMAT", "TRANSPARENT"}
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name.upper() not in ours]
    return urlunsplit(parts._replace(query=urlencode(kept)))


def described(door: Fetcher, url: str, credential: str | None) -> etree._Element:
    """Raises OverlayInvalid."""
    try:
        fetched = door.fetch(url, credential=credential, most_bytes=MOST_DESCRIPTION)
    except Unreachable as error:
        raise OverlayInvalid("remote-failed", reason=str(error)) from None
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        return etree.fromstring(fetched.body, parser)
    except etree.XMLSyntaxError:
        raise OverlayInvalid("remote-no-capabilities") from None


# WMS

def find_map(door: Fetcher, url: str, layers: Sequence[str], credential: str | None) -> FoundMap:
    """Raises OverlayInvalid."""
    root = described(door, url_with(url, SERVICE="WMS", REQUEST="GetCapabilities", VERSION="1.3.0"), credential)
    version = root.get("version", "")
    if etree.QName(root).localname not in ("WMS_Capabilities", "WMT_MS_Capabilities") or version not in ("1.1.1", "1.3.0"):
        raise OverlayInvalid("remote-no-capabilities")
    offered = {name: layer for layer in _all(root, "Layer") if (name := _text(layer, "Name"))}
    for name in layers:
        if name not in offered or "," in name:
            raise OverlayInvalid("remote-no-layer", name=name[:60], choices=", ".join(sorted(offered))[:300])
    spelt = [crs for crs in SERVED if crs != "CRS:84" and all(crs in _systems(offered[name]) for name in layers)]
    if not spelt:
        raise OverlayInvalid("remote-no-crs")
    formats = [one.text for request in _all(root, "GetMap") for one in _all(request, "Format")]
    media_type = chosen_format([one for one in formats if one])
    if media_type is None:
        raise OverlayInvalid("remote-no-capabilities")
    boxes = [_bounds(offered[name]) for name in layers]
    known = [box for box in boxes if box is not None]
    bounds = known[0] if known and len(known) == len(boxes) else world_bounds("CRS:84")
    for box in known[1:]:
        bounds = bounds.union(box)
    remote = RemoteMap(
        url=bare(url), version=version, layers=",".join(layers), styles=",".join("" for _ in layers), format=media_type, crs=tuple(spelt), credential=credential,
    )
    return FoundMap(remote=remote, title=_text(offered[layers[0]], "Title") or layers[0], bounds=bounds)


def _systems(layer: etree._Element) -> set[str]:
    """Of a layer, and of those above it."""
    found, at = set(), layer
    while at is not None and etree.QName(at).localname == "Layer":
        found |= {part for one in at if etree.QName(one).localname in ("CRS", "SRS") for part in (one.text or "").split()}
        at = at.getparent()
    return found


def _bounds(layer: etree._Element) -> Bounds | None:
    at = layer
    while at is not None and etree.QName(at).localname == "Layer":
        for one in at:
            try:
                match etree.QName(one).localname:
                    case "EX_GeographicBoundingBox":
                        names = ("westBoundLongitude", "southBoundLatitude", "eastBoundLongitude", "northBoundLatitude")
                        return _checked(float(_text(one, name)) for name in names)
                    case "LatLonBoundingBox":
                        return _checked(float(one.get(name)) for name in ("minx", "miny", "maxx", "maxy"))
            except (TypeError, ValueError):
                return None
        at = at.getparent()
    return None


def _checked(numbers) -> Bounds | None:
    box = Bounds(*numbers)
    if not all(map(math.isfinite, box)) or box.width <= 0 or box.height <= 0:
        return None
    return box.intersection(world_bounds("CRS:84"))


# WFS

@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFeatures:
    """What is asked of a WFS, each time anew."""

    url: str
    version: str
    type_name: str
    format: str
    credential: str | None = None

    def plain(self) -> dict:
        return {"kind": "wfs"} | {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of(cls, plain: Mapping) -> "RemoteFeatures":
        return cls(**{name: plain[name] for name in cls.__slots__})


def find_features(door: Fetcher, url: str, type_name: str, credential: str | None) -> RemoteFeatures:
    """Raises OverlayInvalid."""
    root = described(door, url_with(url, SERVICE="WFS", REQUEST="GetCapabilities", VERSION="2.0.0"), credential)
    version = root.get("version", "")
    if etree.QName(root).localname != "WFS_Capabilities" or not version.startswith("2."):
        raise OverlayInvalid("remote-no-capabilities")
    offered = [name for one in _all(root, "FeatureType") if (name := _text(one, "Name"))]
    if type_name not in offered:
        raise OverlayInvalid("remote-no-layer", name=type_name[:60], choices=", ".join(sorted(offered))[:300])
    formats = {one.text.strip() for one in root.iter() if isinstance(one.tag, str) and etree.QName(one).localname in ("Value", "Format") and one.text}
    media_type = next((one for one in formats for wanted in JSON_FORMATS if one.lower() == wanted), None)
    if media_type is None:
        raise OverlayInvalid("remote-no-json")
    return RemoteFeatures(url=bare(url), version=version, type_name=type_name, format=media_type, credential=credential)


def take_features(
    door: Fetcher, remote: RemoteFeatures, target: Path, *, most_features: int, most_bytes: int, is_wanted: Callable[[], bool] = lambda: True,
) -> int:
    """Writes all features as GeoJSON, page by page; how many they are. Raises OverlayInvalid."""
    count, got, seen = 0, 0, set()
    with target.open("w", encoding="utf-8") as file:
        file.write('{"type":"FeatureCollection","features":[')
        while True:
            page = _page(door, remote, count, most_bytes - got)
            features = page.get("features")
            if not isinstance(features, list) or not is_wanted():
                raise OverlayInvalid("remote-failed", reason="it answers with something else than features")
            texts = [json.dumps(_plain(one), ensure_ascii=False, separators=(",", ":")) for one in features]
            mark = hash(tuple(texts))
            if not texts or (count and mark in seen):                # a service that knows no pages answers with the same again
                break
            seen.add(mark)
            file.write(("," if count else "") + ",".join(texts))
            count, got = count + len(texts), got + sum(map(len, texts))
            if count > most_features:
                raise OverlayInvalid("overlay-too-many", count=count, most=most_features)
            if len(texts) < PAGE or len(texts) > PAGE:
                break
        file.write("]}")
    return count


def _page(door: Fetcher, remote: RemoteFeatures, start: int, most_bytes: int) -> dict:
    url = url_with(
        remote.url, SERVICE="WFS", VERSION=remote.version, REQUEST="GetFeature", TYPENAMES=remote.type_name, OUTPUTFORMAT=remote.format, SRSNAME=GEOGRAPHIC,
        COUNT=PAGE, STARTINDEX=start,
    )
    try:
        fetched = door.fetch(url, credential=remote.credential, most_bytes=max(most_bytes, 1), seconds=PAGES_SECONDS)
        page = json.loads(fetched.body)
    except Unreachable as error:
        raise OverlayInvalid("remote-failed", reason=str(error)) from None
    except (ValueError, RecursionError):
        raise OverlayInvalid("remote-failed", reason="it answers with something else than GeoJSON") from None
    if not isinstance(page, dict):
        raise OverlayInvalid("remote-failed", reason="it answers with something else than GeoJSON")
    return page


def _plain(feature: object) -> dict:
    """A feature with nothing but what makes one: no links, no boxes, no systems of its own."""
    if not isinstance(feature, dict):
        raise OverlayInvalid("remote-failed", reason="it answers with something else than features")
    return {"type": "Feature", "properties": feature.get("properties") or {}, "geometry": feature.get("geometry")}


# XML

def _all(element: etree._Element, name: str) -> list[etree._Element]:
    return [one for one in element.iter() if isinstance(one.tag, str) and etree.QName(one).localname == name]


def _text(element: etree._Element, name: str) -> str:
    return next(((one.text or "").strip() for one in element if isinstance(one.tag, str) and etree.QName(one).localname == name), "")


def ground_of(bounds: Bounds) -> shapely.Polygon:
    return shapely.box(*bounds)
