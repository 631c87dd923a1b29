"""How clients reach what an agency may see: addresses, files for QGIS, and the keys it has. No page and no file holds a key."""

from collections.abc import Sequence
from dataclasses import dataclass

import flask

from agreements.model import Operation
from geoserver_app.api.faults import NothingThere
from geoserver_app.api.keys import KeyQuery, KeyTold
from geoserver_app.capabilities import EXTENSIONS, LayerEntry, kvp, tile_format
from geoserver_app.console.frame import field, tried
from geoserver_app.console.portal import PortalFrame, page
from geoserver_app.console.portal_layers import callers_of, own_layers
from geoserver_app.console.portal_qgis import ROOTS, Connection, connections_file, definition_file, map_source
from geoserver_app.purposes import load_purposes
from layers.model import LayerName, ProductType
from tiles.requests.wcs import coverage_id

WEB = "WebMercatorQuad"
RASTERS = frozenset(str(product) for product in ProductType if product.is_raster)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    wms: str
    wmts: str
    wcs: str                             # empty where no values of rasters are granted
    catalogue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connectable:
    name: str
    title: str
    addresses: Sequence[tuple[str, str]]
    others: Sequence[tuple[str, str]]    # in other tile matrix sets than that of the web


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyShown:
    told: KeyTold
    state: str                           # counts, revoked, expired


@page("portal.connect", "/connect", takes_forms=True)
def connect(frame: PortalFrame) -> flask.Response:
    answer, problem = tried(frame, {"revoke": lambda: _revoke(frame)})
    if answer:
        return answer
    purposes = load_purposes(frame.visit.services.settings.config)
    return frame.shown(
        "connect.html", problem=problem, services=_services(frame), layers=[_connectable(frame, one.entry) for one in own_layers(frame)], agency=frame.agency,
        keys=[KeyShown(told=one, state=_state(frame, one)) for one in frame.ask("keys.list", query=KeyQuery(limit=500))["items"]],
        purposes={code: frame.say(one.zh, one.en) for code, one in purposes.items()},
    )


def _revoke(frame: PortalFrame) -> flask.Response:
    frame.act("keys.revoke", {"key_id": field("key_id")})
    return frame.on("connect", "revoked")


def _state(frame: PortalFrame, key: KeyTold) -> str:
    if key.revoked is not None and key.revoked <= frame.at:
        return "revoked"
    return "expired" if key.expires is not None and key.expires <= frame.at else "counts"


def _address(frame: PortalFrame, path: str) -> str:
    return callers_of(frame)[0].address(path)


def _services(frame: PortalFrame) -> Services:
    return Services(
        wms=kvp(_address(frame, "/ows")), wmts=_address(frame, "/wmts/1.0.0/WMTSCapabilities.xml"),
        wcs=kvp(_address(frame, "/wcs")) if any(is_coverage(one.entry) for one in own_layers(frame)) else "", catalogue=_address(frame, "/api/v1/layers"),
    )


def is_coverage(entry: LayerEntry) -> bool:
    return Operation.GET_COVERAGE in entry.operations and entry.product in RASTERS


def _connectable(frame: PortalFrame, entry: LayerEntry) -> Connectable:
    extension, addresses, others = EXTENSIONS[tile_format(entry)], [], []
    for link in entry.tile_sets:
        tiles = _address(frame, f"/tiles/{entry.name}/{link.tms.id}/{{z}}/{{x}}/{{y}}.{extension}")
        (addresses if link.tms.id == WEB else others).extend([(f"XYZ {link.tms.id}", tiles), (f"TileJSON {link.tms.id}", _address(frame, f"/tiles/{entry.name}/{link.tms.id}.json"))])
    if Operation.GET_MAP in entry.operations:
        addresses.insert(0, ("WMS LAYERS", entry.name))
    if is_coverage(entry):
        addresses.append(("WCS 1.0.0 / 2.0.1", f"{entry.name} / {coverage_id(LayerName.parse(entry.name))}"))
    if Operation.GET_FEATURE in entry.operations and entry.product not in RASTERS:
        addresses.append((frame.say("矢量瓦片 TileJSON", "Vector tiles, TileJSON"), _address(frame, f"/tiles/{entry.name}/vector.json")))
        addresses.append((frame.say("矢量瓦片样式（MapLibre）", "Style of vector tiles (MapLibre)"), _address(frame, f"/styles/{entry.name}.json")))
    if Operation.DOWNLOAD in entry.operations:
        addresses.append((frame.say("下载", "Download"), kvp(_address(frame, f"/download/{entry.name}.zip"))))
    return Connectable(name=entry.name, title=entry.title, addresses=addresses, others=others)


# -- files for QGIS

@page("portal.connections", "/qgis-<kind>.xml")
def connections(frame: PortalFrame, kind: str) -> flask.Response:
    if kind not in ROOTS:
        raise NothingThere(kind)
    service = frame.say("共享平台", "Geoshare")
    if kind == "wms":
        named = _services(frame)
        found = [Connection(name=f"{service} WMS", address=named.wms), Connection(name=f"{service} WMTS", address=named.wmts)]
    elif kind == "wcs":
        found = [Connection(name=f"{service} WCS", address=address) for address in (_services(frame).wcs,) if address]
    else:
        found = [
            Connection(
                name=f"{service} {one.entry.title} {one.name}", min_zoom=link.min_zoom, max_zoom=link.max_zoom,
                address=_address(frame, f"/tiles/{one.name}/{link.tms.id}/{{z}}/{{x}}/{{y}}.{EXTENSIONS[tile_format(one.entry)]}"),
            ) for one in own_layers(frame) for link in one.entry.tile_sets if link.tms.id == WEB
        ]
    return _file(connections_file(kind, found), f"geoshare-{kind}.xml")


@page("portal.definition", "/geoshare.qlr")
def definition(frame: PortalFrame) -> flask.Response:
    """Every layer that may be drawn, by WMS."""
    address = kvp(_address(frame, "/ows"))
    sources = [map_source(one.entry, address) for one in own_layers(frame) if Operation.GET_MAP in one.entry.operations and one.entry.crs_bounds]
    return _file(definition_file(frame.say("共享平台", "Geoshare"), sources), "geoshare.qlr")


def _file(text: str, name: str) -> flask.Response:
    answer = flask.Response(text, content_type="application/xml; charset=utf-8")
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer
