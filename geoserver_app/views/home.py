"""The first page with its viewer, and the libraries it uses, served from the packages they came in."""

from importlib.resources import files

import flask

from agreements.model import BUREAU
from geoserver_app.demo_keys import demo_keys
from geoserver_app.routes import public
from geoserver_app.wiring import services

bp = flask.Blueprint("home", __name__)

VENDOR = {"ol.js": "text/javascript", "ol.css": "text/css", "proj4.js": "text/javascript"}
IN_PACKAGE = {"proj4.js": "proj4.min.js"}


@bp.get("/")
@public("the page holds no data; what it shows is asked for with the visitor's key")
def home():
    return flask.render_template("home.html", demo=services().settings.demo)


@bp.get("/static/vendor/<name>")
@public("libraries of the page")
def vendor(name: str):
    """OpenLayers and proj4 as they come in MapProxy's package."""
    if name not in VENDOR:
        flask.abort(404)
    content = files("mapproxy.service.templates.demo.static").joinpath(IN_PACKAGE.get(name, name)).read_bytes()
    return flask.Response(content, content_type=f"{VENDOR[name]}; charset=utf-8", headers={"Cache-Control": "public, max-age=86400"})


@bp.get("/api/v1/demo")
@public("the demo's own keys, to data that is made up; not there on a real instance")
def demo():
    if not services().settings.demo:
        flask.abort(404)
    agencies = services().gate.standing().register.agencies
    keys = demo_keys(services().settings.data)
    return flask.jsonify(agencies=[
        {"id": name, "name_zh": agencies[name].name_zh, "name_en": agencies[name].name_en, "key": key}
        for name, key in keys.items() if name in agencies and name != BUREAU
    ])
