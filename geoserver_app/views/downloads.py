"""`/download/{layer}.zip`: pictures of a layer to keep, for who is granted `Download`."""

import flask

from geoserver_app.downloads import Archive, ground_of, question
from geoserver_app.routes import governed
from geoserver_app.views.access import caller_of, limits, raw_query
from geoserver_app.wiring import services
from tiles.requests import pairs_of, parse_download

bp = flask.Blueprint("downloads", __name__)


@bp.get("/download/<layer>.zip")
@governed("Download")
def download(layer: str):
    """CRS, BBOX (x before y), RESOLUTION (units of the CRS a pixel), FORMAT, STYLE."""
    caller = caller_of("Download")
    asked, gate = parse_download(layer, pairs_of(raw_query()), limits()), services().gate
    ground = ground_of(asked.view)
    headers = {"Content-Disposition": f'attachment; filename="{asked.layer.layer}.zip"'}
    if flask.request.method == "HEAD":
        gate.permits(caller, [question(asked, asked.view)])
        return flask.Response(content_type="application/zip", headers=headers)
    reserved = gate.reserve(caller, question(asked, asked.view), ground)
    archive = Archive(gate, caller, asked, reserved)
    return flask.Response(flask.stream_with_context(archive.chunks()), content_type="application/zip", headers=headers)
