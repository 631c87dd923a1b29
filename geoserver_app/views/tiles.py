"""Tiles by address: WMTS REST, XYZ, and the TileJSON that leads to them. Every form of tile request ends in `answer_tile`."""

import flask

from agreements.model import Operation
from geoserver_app.capabilities import terrain_json, tile_json, tile_sets_of, wmts_capabilities
from geoserver_app.gate import Asked
from geoserver_app.identity import Caller, may_revalidate
from geoserver_app.lane import takes_gzip
from geoserver_app.routes import governed
from geoserver_app.views.access import caller_of, described, limits, raw_query, service_entry
from geoserver_app.wiring import services
from layers.model import ENCODINGS, tile_styles
from tiles.errors import RequestInvalid
from tiles.requests import FAULTS, GetTile, layer_name, pairs_of, parse_tile_json_style, parse_tile_path, tile_matrix_set

bp = flask.Blueprint("tiles", __name__)

DEFAULT_MATRIX_SET = "WebMercatorQuad"


def answer_tile(caller: Caller, tile: GetTile) -> flask.Response:
    """The tile as the fast lane answers it: the same decision, clip, headers and record."""
    is_read, headers = flask.request.method != "HEAD", flask.request.headers
    known = headers.get("If-None-Match", "") if may_revalidate(caller, headers.get("Origin", "")) else ""
    answer = services().tiles.answer(caller, tile, known, sends_body=is_read, deflates=takes_gzip(headers.get("Accept-Encoding", "")))
    return flask.Response(answer.body, status=answer.status, headers=answer.headers)


@bp.get("/wmts/1.0.0/<path:address>")
@bp.get("/tiles/<layer>/<tms>/<z>/<x>/<name>")
@governed("GetTile", "GetCoverage", "GetFeature")
def tile(**_):
    caller = caller_of("GetTile")
    asked = parse_tile_path(flask.request.path, pairs_of(raw_query()), limits())
    if asked is None:
        flask.abort(404)
    return answer_tile(caller, asked)


def wmts_document(caller: Caller) -> flask.Response:
    entries = described(caller, services().gate.visible(caller))
    return flask.Response(wmts_capabilities(entries, service_entry(caller), caller.address), content_type="text/xml; charset=utf-8")


@bp.get("/wmts/1.0.0/WMTSCapabilities.xml")
@governed("GetCapabilities")
def rest_capabilities():
    return wmts_document(caller_of("GetCapabilities"))


@bp.get("/tiles/<layer>.json")
@bp.get("/tiles/<layer>/<tms>.json")
@governed("GetTile", "GetCoverage")
def tile_json_document(layer: str, tms: str = DEFAULT_MATRIX_SET):
    """TileJSON for who may have tiles of the layer in that set, of pictures or of heights; everybody else is refused as for a tile."""
    caller = caller_of("TileJSON")
    name, matrix_set, style = layer_name(layer, "Layer"), tile_matrix_set(tms), parse_tile_json_style(pairs_of(raw_query()), limits())
    (permit,) = services().gate.permits(caller, [Asked(layer=name, operation=Operation.GET_TILE, style=style, crs=matrix_set.crs)])
    gate, is_terrain = services().gate, style in ENCODINGS
    seen = gate.open_for(caller, Operation.GET_COVERAGE) if is_terrain else gate.visible(caller, record=None)
    visible = tuple(one for one in seen if one.edition.edition_id == permit.edition.edition_id)
    for one, entry in zip(visible, described(caller, visible), strict=True):
        links = tile_sets_of(one) if is_terrain else entry.tile_sets
        link = next((found for found in links if found.tms.id == matrix_set.id), None)
        if link and (style is None or style in tile_styles(permit.edition.product)):
            return flask.jsonify((terrain_json if is_terrain else tile_json)(entry, link, style, caller.address))
        choices = [found.tms.id for found in links] if link is None else [found.name for found in entry.tile_styles]
        raise _not_offered(tms if link is None else style, choices, "TileMatrixSet" if link is None else "Style")
    flask.abort(404)


def _not_offered(value: str, choices: list[str], locator: str) -> RequestInvalid:
    detail = {"value": value, "choices": ", ".join(choices)}
    return RequestInvalid("InvalidParameterValue", locator, FAULTS["not-offered"].format(**detail), fault="not-offered", detail=detail)
