"""`/worked/...`: pages of the demo that show what agencies lay over the base maps, live: police, transport, water."""

import flask

from geoserver_app.routes import public
from geoserver_app.wiring import services

bp = flask.Blueprint("worked", __name__)

PAGES = ("police", "transport", "water")


@bp.get("/worked/<page>")
@public("the page holds no data; what it shows is asked for with the key of an agency of the demo")
def worked(page: str):
    """There only where the demo is served: the pages speak of its layers."""
    if page not in PAGES or not services().settings.demo:
        flask.abort(404)
    return flask.render_template("worked.html", page=page, pages=PAGES)
