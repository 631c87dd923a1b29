"""`/healthz`: the process answers. `/readyz`: it could serve now - the register, the catalogue and the decision log are at hand.

That the record can't be anchored is told with it, and stops nothing: it is written all the same.
"""

import flask

from geoserver_app.decision_log import DecisionLogUnavailable
from geoserver_app.gate import NotTrusted
from geoserver_app.routes import public
from geoserver_app.wiring import services

bp = flask.Blueprint("health", __name__)

ANCHORS_PATIENCE = 10.0
"""Seconds."""


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
    late = services().log.anchors_late
    return flask.jsonify(status="ready", **({"anchors_late_seconds": round(late)} if late > ANCHORS_PATIENCE else {}))
