"""Divisions for the maps of the console: outlines as GeoJSON, simplified."""

import json
from typing import Annotated

import flask
import shapely
from pydantic import Field

from geoserver_app.api.operation import STAFF
from geoserver_app.api.reading import Sent
from geoserver_app.area_drawings import drawings
from geoserver_app.console.editor_pages import MOST_AT_ONCE
from geoserver_app.console.frame import Frame, asked, page

HIDDEN = 1 / 2000
"""Of the height of what is shown: a shape is simplified by so much, which is half a pixel on a large screen."""

FIGURES = 6
"""Of degrees."""


class Outlines(Sent):
    """`within` is the beginning of the codes."""

    level: Annotated[str, Field(max_length=50)]
    within: Annotated[str, Field(max_length=12, pattern=r"^\d*$")] = ""


@page("console.divisions", "/divisions.geojson", roles=STAFF)
def divisions(frame: Frame) -> flask.Response:
    """A collection of divisions of one level, in their latest vintage; none where there are too many to be shown at once."""
    query = asked(Outlines)
    codes = [
        code for code, _, level, _ in frame.visit.services.catalogue.divisions() if level == query.level and code.startswith(query.within)
    ]
    found = [drawings().simplified(code) for code in codes] if len(codes) <= MOST_AT_ONCE else []
    bounds = shapely.total_bounds([one.geometry for one in found]) if found else (0, 0, 0, 0)
    by = max((bounds[3] - bounds[1]) * HIDDEN, 1e-6)
    features = [
        {
            "type": "Feature", "id": one.code, "properties": {"code": one.code, "name": one.name, "level": one.level, "vintage": one.vintage},
            "geometry": json.loads(shapely.to_geojson(shapely.set_precision(shapely.simplify(one.geometry, by), 10 ** -FIGURES))),
        } for one in found
    ]
    body = json.dumps({"type": "FeatureCollection", "features": features, "matched": len(codes)}, ensure_ascii=False, separators=(",", ":"))
    return flask.Response(body.replace("<", "\\u003c"), content_type="application/geo+json; charset=utf-8")
