"""WMS 1.1.1 and 1.3.0 at /ows and /wms; WMTS 1.0.0 by KVP at /wmts, and at /ows with SERVICE=WMTS; WCS there with SERVICE=WCS.

Reading order of a map: who asks, what is asked, one permit for each layer, each layer drawn whole and cut by its own area, then laid over
the one below. No permit, no pixels; a layer whose area the view doesn't touch is not even drawn.
"""

from collections.abc import Sequence

import flask

from agreements.model import Operation
from geoserver_app.capabilities import wms_capabilities
from geoserver_app.charging import Tally
from geoserver_app.drawing import drawn, style_of
from geoserver_app.elevation import water_over
from geoserver_app.feature_info import find, place_of, render
from geoserver_app.gate import Asked, Drawn
from geoserver_app.identity import Caller
from geoserver_app.overlays.maps import MapBook, faded, opened
from geoserver_app.routes import governed
from geoserver_app.sheets.editions_in_time import at_its_time, default_used
from geoserver_app.views.access import caller_of, described, language, limits, raw_query, served, service_entry
from geoserver_app.views.tiles import answer_tile, wmts_document
from geoserver_app.views.wcs import answer_wcs
from geoserver_app.views.wfs import answer_wfs
from geoserver_app.wiring import services
from layers.model import WATER_LEVEL, LayerName
from tiles.compose import lay_over
from tiles.encode import encode
from tiles.legends import legend
from tiles.permits import Permit
from tiles.requests import (
    GetCapabilities,
    GetFeatureInfo,
    GetLegendGraphic,
    GetMap,
    GetTile,
    pairs_of,
    parse_wms,
    parse_wmts_kvp,
    service_of,
)

bp = flask.Blueprint("ows", __name__)

SCREEN_DPI = 96.0
"""Above this many dots per inch a map is a print: its symbols grow with it."""

WMS_CONTENT_TYPE = {"1.1.1": "application/vnd.ogc.wms_xml; charset=utf-8", "1.3.0": "text/xml; charset=utf-8"}


@bp.get("/ows")
@bp.get("/wms")
@governed("GetCapabilities", "GetMap", "GetFeatureInfo", "GetLegendGraphic", "GetTile", "DescribeCoverage", "GetCoverage", "DescribeLayer", "GetFeature")
def ows():
    caller = caller_of("WMS")
    pairs = pairs_of(raw_query())
    match service_of(pairs) if flask.request.path == "/ows" else "WMS":
        case "WMTS":
            return _answer(caller, parse_wmts_kvp(pairs, limits()))
        case "WCS":
            return answer_wcs(caller, pairs)
        case "WFS":
            return answer_wfs(caller, pairs)
    return _answer(caller, parse_wms(pairs, limits()))


@bp.get("/wmts")
@governed("GetCapabilities", "GetTile")
def wmts():
    caller = caller_of("WMTS")
    return _answer(caller, parse_wmts_kvp(pairs_of(raw_query()), limits()))


def _answer(caller: Caller, request) -> flask.Response:
    match request:
        case GetCapabilities(service="WMTS"):
            return wmts_document(caller)
        case GetCapabilities():
            return _wms_document(caller, request)
        case GetMap():
            return _map(caller, request)
        case GetFeatureInfo():
            return _feature_info(caller, request)
        case GetLegendGraphic():
            return _legend(caller, request)
        case GetTile():
            return answer_tile(caller, request)


# -- documents

def _wms_document(caller: Caller, request: GetCapabilities) -> flask.Response:
    entries = described(caller, services().gate.visible(caller))
    text = wms_capabilities(request.version, entries, service_entry(caller), caller.address)
    return flask.Response(text, content_type=WMS_CONTENT_TYPE[request.version])


# -- maps

def _map(caller: Caller, request: GetMap) -> flask.Response:
    gate, book = services().gate, MapBook(services().database, services().gate.clock)
    maps = opened(gate, book, caller, request, limits().max_layers)
    request = maps.request
    meant, headers = at_its_time(services().gate, caller, request, _asked_of_map(request))

    def draw(permits: list[Permit]) -> Drawn:
        headers[:] = headers if request.time else default_used(meant.layers, permits)
        return _draw(permits, meant, maps.opacities)

    return _warned(served(caller, _asked_of_map(meant), draw), [*headers, *maps.headers])


def _asked_of_map(request: GetMap) -> list[Asked]:
    return [
        Asked(layer=layer, operation=Operation.GET_MAP, view=request.view, style=style, format=request.media_type)
        for layer, style in zip(request.layers, request.styles, strict=True)
    ]


def _warned(answer: flask.Response, headers: list[tuple[str, str]]) -> flask.Response:
    answer.headers.extend(headers)
    return answer


def _draw(permits: list[Permit], request: GetMap, opacities: Sequence[float]) -> Drawn:
    styles = [style_of(permit, "STYLES") for permit in permits]
    symbol_scale = request.dpi / SCREEN_DPI if request.dpi > SCREEN_DPI else 1.0
    tallies: list[Tally | None] = []
    waters = [water_over(permit, request) if style == WATER_LEVEL else None for permit, style in zip(permits, styles, strict=True)]
    pictures = (
        faded(drawn(permit, style, request.view, tallies, symbol_scale, water), opacity)
        for permit, style, water, opacity in zip(permits, styles, waters, opacities, strict=True)
    )
    picture = lay_over((one for one in pictures if one is not None), (request.view.width, request.view.height))   # one at a time in memory
    data = encode(
        picture, request.media_type, transparent=request.transparent, background=request.background,
        lossless=any(p.edition.lossless for p in permits),
    )
    return Drawn(body=data, content_type=request.media_type, tallies=tuple(tallies))


# -- what is there, and how it is drawn

def _feature_info(caller: Caller, request: GetFeatureInfo) -> flask.Response:
    """LAYERS and QUERY_LAYERS are decided together: what is only shown needs GetMap, what is queried GetFeatureInfo."""
    request, headers = at_its_time(services().gate, caller, request, list(_asked_of_info(request).values()))
    asked, point = _asked_of_info(request), place_of(request)
    answer = served(caller, list(asked.values()), lambda permits: _tell(dict(zip(asked, permits, strict=True)), request, point))
    return _warned(answer, headers)


def _asked_of_info(request: GetFeatureInfo) -> dict[LayerName, Asked]:
    operations = {layer: Operation.GET_FEATURE_INFO if layer in request.query_layers else Operation.GET_MAP for layer in request.layers}
    styles, point = dict(zip(request.layers, request.styles, strict=True)), place_of(request)
    return {
        layer: Asked(
            layer=layer, operation=operation, view=request.view, style=styles[layer], format=_form_of(operation, request),
            point=point, is_counted=point is not None and operation is Operation.GET_FEATURE_INFO,
        )
        for layer, operation in operations.items()
    }


def _tell(permits: dict[LayerName, Permit], request: GetFeatureInfo, point: tuple[float, float] | None) -> Drawn:
    for permit in permits.values():
        style_of(permit, "STYLES")
    engine, store = services().engine, services().features
    found = {layer: find(request, str(layer), permits[layer], store=store, reader_of=engine.reader) for layer in request.query_layers}
    text, content_type = render([one for layer in request.query_layers for one in found[layer]], request, language())
    tallies = tuple(Tally(point=point, features=len(found[layer])) if point is not None and layer in found else None for layer in permits)
    return Drawn(body=text.encode(), content_type=content_type, tallies=tallies)


def _form_of(operation: Operation, request: GetFeatureInfo) -> str | None:
    """The media type in which something of a layer is told; none of a layer that is only shown, since no picture leaves."""
    return request.media_type if operation is Operation.GET_FEATURE_INFO else None


def _legend(caller: Caller, request: GetLegendGraphic) -> flask.Response:
    request, _ = at_its_time(services().gate, caller, request, [_asked_of_legend(request)])
    asked = _asked_of_legend(request)
    (permit,) = services().gate.permits(caller, [asked])
    picture = legend(permit.edition, style_of(permit, "STYLE"), config=services().settings.config, language=language())
    return flask.Response(encode(picture, request.media_type), content_type=request.media_type)


def _asked_of_legend(request: GetLegendGraphic) -> Asked:
    return Asked(layer=request.layer, operation=Operation.GET_LEGEND_GRAPHIC, style=request.style, format=request.media_type)
