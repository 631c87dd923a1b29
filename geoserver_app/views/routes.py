"""`/routes/{layer}`: routes by their stakes, for who is granted GetFeature of a layer of routes: a stake's place, a place's stake, stretches and events.

Everything is worked out from lines and posts as they are told to who asks: beyond the border of a grant there are no stakes.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence

import flask
import numpy as np
import orjson
import shapely

from agreements.model import Operation
from geoserver_app.charging import Tally
from geoserver_app.elevation import to_earth
from geoserver_app.features.collections import crs_uri
from geoserver_app.features.geojson import in_crs, places, spelt
from geoserver_app.gate import Asked, Drawn
from geoserver_app.highways.asking import (
    EventsAsked,
    PointAsked,
    StakeAsked,
    StretchAsked,
    of_stakes,
    parse_events,
    parse_point,
    parse_routes,
    parse_stake,
    parse_stretch,
    refused,
)
from geoserver_app.highways.reading import END, OF_POSTS, OF_ROUTES, START, Routes, of_events
from geoserver_app.identity import Caller
from geoserver_app.routes import governed
from geoserver_app.views.access import caller_of, limits, raw_query, served
from geoserver_app.wiring import services
from layers.errors import StakeRefused
from layers.model import LayerName
from layers.routes import Position, Route, Stretch
from layers.stakes import Stake, written
from tiles.permits import Permit
from tiles.requests import fault, pairs_of
from tiles.requests.features import GEOJSON, JSON
from tiles.vector.granted import Told

bp = flask.Blueprint("routes", __name__)

MILLIMETRES, TENTHS, SCALE_DIGITS = 3, 1, 5
MOST_EVENTS = 1000


@bp.get("/routes/<layer>")
@governed("GetFeature")
def list_routes(layer: str):
    """The routes of a layer, with their least and greatest stake and their broken chains, as far as their posts are told."""
    caller = caller_of("GetFeature")
    asked = parse_routes(layer, pairs_of(raw_query()), limits())
    return served(caller, [_question(asked.layer, OF_POSTS, "CRS:84", JSON)], lambda permits: _listed(permits[0]))


@bp.get("/routes/<layer>/point")
@governed("GetFeature")
def point(layer: str):
    """The place of a stake."""
    caller = caller_of("GetFeature")
    asked = parse_point(layer, pairs_of(raw_query()), limits())
    return _answered(caller, asked, OF_ROUTES, _point)


@bp.get("/routes/<layer>/stretch")
@governed("GetFeature")
def stretch(layer: str):
    """What lies between two stakes, as a line."""
    caller = caller_of("GetFeature")
    asked = parse_stretch(layer, pairs_of(raw_query()), limits())
    return _answered(caller, asked, OF_ROUTES, _stretch)


@bp.get("/routes/<layer>/stake")
@governed("GetFeature")
def stake(layer: str):
    """The stake of a place: of the nearest route, or of one that is named."""
    caller = caller_of("GetFeature")
    asked = parse_stake(layer, pairs_of(raw_query()), limits())
    (place,) = to_earth((asked.place,), asked.crs)
    if place is None or abs(place[0]) > 180 or abs(place[1]) > 90:
        raise fault("InvalidParameterValue", "", "place-off-earth", crs=asked.crs)
    return _answered(caller, asked, OF_ROUTES, lambda permit, asked: _stake(permit, asked, place))


@bp.get("/routes/<layer>/events")
@governed("GetFeature")
def events(layer: str):
    """The events of a route, each at its stake or along its stretch."""
    caller = caller_of("GetFeature")
    asked = parse_events(layer, pairs_of(raw_query()), limits())
    return _answered(caller, asked, OF_ROUTES | of_events(asked.table), _events)


def _question(layer: LayerName, attributes: Collection[str], crs: str, media_type: str) -> Asked:
    return Asked(layer=layer, operation=Operation.GET_FEATURE, format=media_type, crs=crs, is_in_full=True, attributes=frozenset(attributes))


def _answered(caller: Caller, asked: PointAsked | StretchAsked | StakeAsked | EventsAsked, attributes: Collection[str], draw: Callable) -> flask.Response:
    answer = served(caller, [_question(asked.layer, attributes, asked.crs, GEOJSON)], lambda permits: draw(permits[0], asked))
    answer.headers["Content-Crs"] = f"<{crs_uri(asked.crs)}>"
    return answer


def _listed(permit: Permit) -> Drawn:
    read, grounds = defaultdict(list), {}
    for some, posts in Routes(permit, services().features).posts():
        for (name, said), place in zip(posts, places(some.shapes, permit.edition.crs), strict=True):
            read[name].append(said)
            grounds.setdefault(name, place)
    content = {
        "layer": permit.edition.layer, "edition": permit.edition.name, "routes": [_summary(name, said) for name, said in sorted(read.items())],
    } | _credit(permit)
    return _drawn(permit, content, list(grounds.values()), JSON)


def _summary(name: str, posts: Sequence[tuple[float, float] | None]) -> dict:
    known = [one for one in posts if one is not None]
    stakes = [stake for one in known for stake in one]
    return {
        "route": name, "from": written(min(stakes)) if stakes else None, "to": written(max(stakes)) if stakes else None, "posts": len(posts),
        "unreadable": len(posts) - len(known), "breaks": [_break(*one) for one in sorted(known) if one[0] != one[1]],
    }


def _break(back: float, ahead: float) -> dict:
    return {"back": written(back), "ahead": written(ahead), "kind": "long" if ahead < back else "short", "metres": round(abs(ahead - back), MILLIMETRES)}


def _point(permit: Permit, asked: PointAsked) -> Drawn:
    route = Routes(permit, services().features).route(asked.route)
    try:
        position = route.one(asked.stake)
    except StakeRefused as error:
        raise of_stakes(error, "stake") from None
    place = route.place(position)
    return _drawn(permit, _feature(shapely.Point(place), asked.crs, _facts(route, position, asked.stake)) | _credit(permit), [place])


def _stake(permit: Permit, asked: StakeAsked, place: tuple[float, float]) -> Drawn:
    routes = Routes(permit, services().features)
    best = None
    for name in [asked.route] if asked.route else routes.names_near(place, asked.within):
        route = routes.route(name)
        found = route.nearest(place, asked.within)
        if found is not None and (best is None or abs(found[1]) < abs(best[2])):
            best = route, *found
    if best is None:
        raise refused("route-far", "within", metres=str(asked.within))
    route, position, aside = best
    metres = abs(round(aside, MILLIMETRES))
    facts = _facts(route, position, _stake_at(route, position)) | {"offset": metres, "side": "on" if metres == 0 else "right" if aside > 0 else "left"}
    foot = route.place(position)
    return _drawn(permit, _feature(shapely.Point(foot), asked.crs, facts) | _credit(permit), [foot])


def _stake_at(route: Route, position: Position) -> Stake:
    """The stake of a position, with the number of the place where it has several."""
    stake = Stake(round(position.reach.stake_at(position.ground), MILLIMETRES))
    found = route.find(stake)
    if len(found) < 2:
        return stake
    nearest = min(range(len(found)), key=lambda at: (found[at].run != position.run, abs(found[at].ground - position.ground)))
    return Stake(stake.metres, nearest + 1)


def _facts(route: Route, position: Position, stake: Stake) -> dict:
    first, last = position.reach.stakes
    return {
        "route": route.name, "stake": str(stake), "heading": round(route.runs[position.run].heading(position.ground), TENTHS) % 360.0,
        "scale": round(position.reach.scale, SCALE_DIGITS), "between": [written(first), written(last)] if position.reach.is_between else None,
    }


def _stretch(permit: Permit, asked: StretchAsked) -> Drawn:
    route = Routes(permit, services().features).route(asked.route)
    try:
        found = route.stretch(asked.start, asked.end)
    except StakeRefused as error:
        raise of_stakes(error, "from" if error.detail.get("stake") == str(asked.start) else "to") from None
    facts = {"route": route.name, "from": str(asked.start), "to": str(asked.end)} | _measured(found)
    return _drawn(permit, _feature(_shape(found), asked.crs, facts) | _credit(permit), [line.interpolate(0.5, normalized=True).coords[0] for line in found.lines])


def _measured(found: Stretch) -> dict:
    return {"length": round(found.length, MILLIMETRES), "staked": round(found.staked, MILLIMETRES), "whole": found.is_whole}


def _shape(found: Stretch) -> shapely.Geometry:
    return found.lines[0] if len(found.lines) == 1 else shapely.MultiLineString(found.lines)


def _events(permit: Permit, asked: EventsAsked) -> Drawn:
    """An event whose stakes lead nowhere is told without a shape, and with the reason."""
    routes, ids = Routes(permit, services().features), services().feature_ids
    after = None if asked.after is None else ids.key_of(permit.edition.layer, asked.table, asked.after)
    if asked.after is not None and after is None:
        raise fault("InvalidParameterValue", "after", "page-token")
    found, route = routes.events(asked.table, asked.route, after, MOST_EVENTS), routes.route(asked.route)
    features, grounds = [], []
    for some in found.told:
        names = ids.of(permit.edition.layer, asked.table, some.keys, some.parts)
        for at, name in enumerate(names):
            shape, placed = _placed(route, some, at)
            features.append(_feature(shape, asked.crs, some.properties(at), id=name, placed=placed))
        grounds += places(some.shapes, permit.edition.crs) if permit.bookings else ()
    content = {"type": "FeatureCollection", "features": features, "numberReturned": len(features)} | _credit(permit)
    return _drawn(permit, content | ({"after": features[-1]["id"]} if found.has_more else {}), grounds)


def _placed(route: Route, some: Told, at: int) -> tuple[shapely.Geometry | None, dict]:
    start, end = some.columns[START][at], some.columns[END][at]
    try:
        first = Stake.parse(str(start))
        if end in (None, "") or end == start:
            return shapely.Point(route.place(route.one(first))), {"whole": True}
        found = route.known_part(first, Stake.parse(str(end)))
    except StakeRefused as error:
        return None, {"reason": error.fault}
    return _shape(found), _measured(found)


def _feature(shape: shapely.Geometry | None, crs: str, properties: dict, **beside: object) -> dict:
    geometry = shape and orjson.Fragment(spelt(in_crs(np.array([shape], object), "CRS:84", crs), crs)[0])
    return {"type": "Feature", "geometry": geometry, "properties": properties} | beside


def _credit(permit: Permit) -> dict:
    return {"credits": list(permit.credits)} if permit.credits else {}


def _drawn(permit: Permit, content: dict, grounds: Sequence[tuple[float, float]], media_type: str = GEOJSON) -> Drawn:
    """Each place and each part of a line that leaves counts as a thing told, on the ground on which it lies."""
    tally = Tally(points=tuple(map(tuple, grounds))) if permit.bookings and grounds else None
    return Drawn(body=orjson.dumps(content), content_type=media_type, tallies=(tally,))
