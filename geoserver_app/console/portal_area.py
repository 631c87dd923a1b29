"""Where an agency may see which layer, clause by clause, on a map and in words."""

import json
from collections.abc import Sequence
from typing import Annotated

import flask
import shapely
from pydantic import Field
from shapely.geometry.base import BaseGeometry

from geoserver_app.api.areas import geojson
from geoserver_app.api.faults import NothingThere
from geoserver_app.api.reading import Sent
from geoserver_app.area_drawings import drawings
from geoserver_app.console.frame import asked
from geoserver_app.console.portal import PortalFrame, page
from geoserver_app.console.portal_layers import OwnLayer, own_layers

HIDDEN = 1 / 4000
"""Of the height of what is shown: a shape is simplified by so much."""

FIGURES = 6
"""Of degrees."""


class Choice(Sent):
    layer: Annotated[str, Field(max_length=200)] = ""


@page("portal.area", "/area")
def area(frame: PortalFrame) -> flask.Response:
    layers = own_layers(frame)
    chosen = _chosen(layers, asked(Choice).layer) if layers else None
    return frame.shown("area.html", layers=layers, chosen=chosen, shapes=shapes_of(chosen) if chosen else "")


@page("portal.ground", "/area.geojson")
def ground(frame: PortalFrame) -> flask.Response:
    """The same shapes as a file: simplified for display, so that nobody takes it for the boundary that was agreed."""
    chosen = _chosen(own_layers(frame), asked(Choice).layer)
    answer = flask.Response(shapes_of(chosen, has_outlines=False), content_type="application/geo+json; charset=utf-8")
    answer.headers.set("Content-Disposition", "attachment", filename=f"{chosen.name}.geojson")
    return answer


def _chosen(layers: Sequence[OwnLayer], name: str) -> OwnLayer:
    """The first, where none is named. Raises NothingThere for what is not shared as for what is not there."""
    found = next((one for one in layers if name in ("", one.name)), None)
    if found is None:
        raise NothingThere(name)
    return found


def shapes_of(layer: OwnLayer, *, has_outlines: bool = True) -> str:
    """A collection of GeoJSON features: divisions there, and the pieces with their clauses."""
    bounds = layer.ground.bounds
    by = max((bounds[3] - bounds[1]) * HIDDEN, 1e-7)
    outlines = drawings().outlines(layer.ground) if has_outlines else []
    features = [_feature(outline, by, kind="outline", name=name) for name, outline in outlines]
    features += [
        _feature(piece.ground, by, kind="piece", agreement=piece.agreement_id, clause=piece.clause or "", degrade=piece.degrade) for piece in layer.pieces
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False, separators=(",", ":"))


def _feature(shape: BaseGeometry, by: float, **properties) -> dict:
    simple = shapely.set_precision(shapely.simplify(shape, by), 10 ** -FIGURES)
    return {"type": "Feature", "properties": properties, "geometry": geojson(simple)}
