"""`/healthz`: the process answers. `/readyz`: it could serve now - the register, the catalogue and the decision log are at hand."""

import flask

from geoserver_app.decision_log import DecisionLogUnavailable
from geoserver_app.gate import NotTrusted
from geoserver_app.routes import public
from geoserver_app.wiring import services

bp = flask.Blueprint("health", __name__)


@bp.get("/healthz")
@public("says only that a process answers")
def healthz():
    return flask.jsonify(status="ok")


@bp.get("/readyz")
@public("says only whether the service could serve")
def readyz():
    try:
        services().gate.standing()
        services().log.check()
    except (NotTrusted, DecisionLogUnavailable):
        return flask.jsonify(status="not ready"), 503
    return flask.jsonify(status="ready")
