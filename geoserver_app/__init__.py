"""The service: the only package that knows HTTP, and the only one that sees all the others."""

import secrets

import flask

from geoserver_app.identity import cross_origin_headers
from geoserver_app.settings import Settings

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; connect-src 'self'; font-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def create_app(settings: Settings, services=None) -> flask.Flask:
    """The whole application on one screen. A test may hand in services of its own."""
    from geoserver_app import console
    from geoserver_app.api import door, openapi
    from geoserver_app.console import portal_pages
    from geoserver_app.errors import register_errors
    from geoserver_app.lane import Lane
    from geoserver_app.views import (
        catalogue,
        downloads,
        elevation,
        features,
        gauges,
        health,
        home,
        live,
        overlays,
        ows,
        packages,
        places,
        routes,
        session,
        sheets,
        submissions,
        tiles,
        vector_tiles,
        wcs,
        wfs,
        worked,
    )
    from geoserver_app.wiring import wire

    app = flask.Flask(__name__)
    app.config.update(SECRET_KEY=secrets.token_bytes(32), MAX_CONTENT_LENGTH=1 << 20, PROVIDE_AUTOMATIC_OPTIONS=False)
    app.json.ensure_ascii = False
    app.url_map.strict_slashes, app.url_map.merge_slashes = True, False      # `//host/ows` must not become a redirect, key and all
    app.extensions["geoshare"] = services or wire(settings)
    for view in (home, health, catalogue, ows, tiles, vector_tiles, downloads, packages, live, overlays, elevation, wcs, wfs, features, places, routes, gauges, worked, sheets, submissions, session, openapi):
        app.register_blueprint(view.bp)
    app.register_blueprint(door.blueprint())
    app.register_blueprint(console.bp)
    app.register_blueprint(portal_pages.bp)
    register_errors(app)
    app.after_request(_harden)
    app.wsgi_app = Lane(app.wsgi_app, app.extensions["geoshare"].tiles)
    return app


def _harden(response: flask.Response) -> flask.Response:
    """Headers for every answer of Flask's: private, unsniffed, unframed, and no key in a Referer."""
    headers = response.headers
    headers.setdefault("Cache-Control", "private, no-store")
    headers.setdefault("Vary", "Authorization, X-API-Key, Origin, Accept-Language")
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    if caller := flask.g.get("caller"):
        headers.update(cross_origin_headers(caller, flask.request.headers.get("Origin", "")))
    return response
