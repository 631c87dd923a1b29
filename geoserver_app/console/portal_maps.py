"""Saved maps on the portal: put together, looked at, shared by a link."""

import json

import flask

from geoserver_app.api.saved_maps import MapSent
from geoserver_app.console.frame import field, fields, sent, tried
from geoserver_app.console.portal import PortalFrame, page
from geoserver_app.console.portal_layers import own_layers
from geoserver_app.overlays.maps import MOST_LAYERS, Sharing

SHARING = {
    Sharing.AGENCY: ("本单位", "our agency"), Sharing.PERSON: ("仅我自己", "me alone"), Sharing.EVERYONE: ("所有单位（各自只看到自己有权看的图层）", "every agency, each seeing its own share"),
}
ROWS = 6
"""Layers that the form has room for at first."""


@page("portal.maps", "/maps", takes_forms=True)
def maps(frame: PortalFrame) -> flask.Response:
    answer, problem = tried(frame, {"save": lambda: _save(frame), "delete": lambda: _delete(frame)})
    if answer:
        return answer
    return frame.shown(
        "maps.html", problem=problem, rows=frame.ask("maps.list")["items"], layers=[(one.name, one.entry.title) for one in own_layers(frame)],
        sharing={one.value: frame.say(*words) for one, words in SHARING.items()}, slots=range(min(ROWS, MOST_LAYERS)),
    )


@page("portal.map", "/maps/<map>")
def show_map(frame: PortalFrame, map: str) -> flask.Response:
    told = frame.ask("maps.get", map=map)
    titles = {one.name: one.entry.title for one in own_layers(frame)}
    return frame.shown(
        "map.html", one=told, titles=titles, place=json.dumps(told.view), sharing={one.value: frame.say(*words) for one, words in SHARING.items()},
    )


def _save(frame: PortalFrame) -> flask.Response:
    chosen = [
        {"layer": layer, "opacity": _share(opacity)}
        for layer, opacity in zip(flask.request.form.getlist("layer"), flask.request.form.getlist("opacity"), strict=False) if layer
    ]
    saved = frame.act("maps.save", body=sent(MapSent, title=field("title"), layers=chosen, sharing=field("sharing")))
    return frame.on("show_map", "map-saved", map=saved.object_id)


def _share(text: str) -> float | str:
    """Per cent -> 0 to 1; what is no number is told as such by what reads it."""
    try:
        return float(text) / 100
    except ValueError:
        return text


def _delete(frame: PortalFrame) -> flask.Response:
    for one in fields("map"):
        frame.act("maps.delete", {"map": one})
    return frame.on("maps", "map-deleted")
