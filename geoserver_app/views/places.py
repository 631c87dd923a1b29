"""`/features/collections/{name}/nearest` and `.../containing`: features by where one stands, for who is granted GetFeature.

Both tell what `items` would tell, in another order or of one place: the same cut, the same attributes, counted in the same way.
"""

from collections.abc import Iterable, Sequence

import flask
import numpy as np
import orjson
import shapely

from agreements.model import Operation
from geoserver_app.charging import Tally
from geoserver_app.elevation import to_earth
from geoserver_app.features.collections import crs_uri, table_named
from geoserver_app.features.geojson import features, in_crs, places, spelt
from geoserver_app.gate import Asked, Drawn
from geoserver_app.places.containing import containing
from geoserver_app.places.nearest import Near, nearest
from geoserver_app.routes import governed
from geoserver_app.views.access import caller_of, limits, raw_query, served
from geoserver_app.wiring import services
from layers.crs import transform_geometry
from layers.errors import OutsideAreaOfUse
from layers.model import FeatureClass
from tiles.permits import Permit
from tiles.requests import fault, pairs_of
from tiles.requests.features import GEOJSON
from tiles.requests.places import ContainingAsked, NearestAsked, parse_containing, parse_nearest
from tiles.vector.granted import Told, told_fields

bp = flask.Blueprint("places", __name__)

MILLIMETRES, TENTHS = 3, 1
"""Digits of metres, and of degrees of direction."""


@bp.get("/features/collections/<name>/nearest")
@governed("GetFeature")
def nearest_features(name: str):
    """The nearest features, with the metres and the direction to each, and its nearest point."""
    caller = caller_of("GetFeature")
    asked = parse_nearest(name, pairs_of(raw_query()), limits())
    place = _on_earth(asked)
    return _headed(served(caller, [_question(asked)], lambda permits: _nearest(permits[0], asked, place)), asked)


@bp.get("/features/collections/<name>/containing")
@governed("GetFeature")
def containing_features(name: str):
    """The areas in which the place lies."""
    caller = caller_of("GetFeature")
    asked = parse_containing(name, pairs_of(raw_query()), limits())
    _on_earth(asked)
    return _headed(served(caller, [_question(asked)], lambda permits: _containing(permits[0], asked)), asked)


def _on_earth(asked: ContainingAsked) -> tuple[float, float]:
    """The place in CRS84. Raises RequestInvalid."""
    (place,) = to_earth((asked.place,), asked.crs)
    if place is None or abs(place[0]) > 180 or abs(place[1]) > 90:
        raise fault("InvalidParameterValue", "", "place-off-earth", crs=asked.crs)
    return place


def _question(asked: ContainingAsked) -> Asked:
    table = asked.name.table
    named = frozenset(name if not table or name.startswith(f"{table}.") else f"{table}.{name}" for name in asked.attributes)
    return Asked(layer=asked.name.layer, operation=Operation.GET_FEATURE, format=GEOJSON, crs=asked.crs, is_in_full=True, attributes=named)


def _nearest(permit: Permit, asked: NearestAsked, place: tuple[float, float]) -> Drawn:
    table, fields = _table(permit, asked)
    found = nearest(
        permit, services().features, table, place, count=asked.count, within=asked.within, condition=asked.condition, fields=fields,
    )
    points = spelt(in_crs(shapely.points(found.points), "CRS:84", asked.crs), asked.crs) if len(found.points) else []
    return _answer(permit, table, asked, found.told, [_distance(found, at, points) for at in range(len(found.metres))])


def _distance(found: Near, at: int, points: Sequence[bytes]) -> dict:
    return {
        "distance": round(float(found.metres[at]), MILLIMETRES), "azimuth": round(float(found.azimuths[at]), TENTHS) % 360.0,
        "nearest": orjson.loads(points[at])["coordinates"],
    }


def _containing(permit: Permit, asked: ContainingAsked) -> Drawn:
    table, fields = _table(permit, asked)
    if table.geometry != "area":
        raise fault("InvalidParameterValue", "", "place-not-areas", value=str(asked.name))
    try:
        here = transform_geometry(shapely.Point(asked.place), asked.crs, permit.edition.crs)
    except OutsideAreaOfUse:                        # so no area of it reaches there
        return _answer(permit, table, asked, (), ())
    found = containing(permit, services().features, table, here, condition=asked.condition, fields=fields)
    borders = np.concatenate([one.on_border for one in found]).tolist() if found else []
    return _answer(permit, table, asked, [one.told for one in found], [{"border": is_border} for is_border in borders])


def _table(permit: Permit, asked: ContainingAsked) -> tuple[FeatureClass, tuple[str, ...] | None]:
    """The table, and the fields that are wanted; asked after the gate, which refuses names that no grant tells."""
    table = table_named(permit.edition, asked.name)
    if table is None:
        flask.abort(404)
    telling = told_fields(permit, table)
    plain = {name: name if name in telling else name.removeprefix(f"{table.name}.") for name in sorted(asked.attributes)}
    for name, field in plain.items():
        if field not in telling:
            raise fault("InvalidParameterValue", "", "no-such-property", value=name)
    return table, asked.properties and tuple(plain[name] for name in asked.properties)


def _answer(permit: Permit, table: FeatureClass, asked: ContainingAsked, told: Iterable[Told], beside: Sequence[dict]) -> Drawn:
    """GeoJSON in the order in which things were found; what was measured of each stands beside its attributes, not among them."""
    content, points, ids = [], [], services().feature_ids
    for some in told:
        names = ids.of(permit.edition.layer, table.name, some.keys, some.parts)
        content += features(some, names, permit.edition.crs, asked.crs)
        points += places(some.shapes, permit.edition.crs) if permit.bookings else ()
    written = [text[:-1].encode() + b"," + orjson.dumps(extra)[1:] for text, extra in zip(content, beside, strict=True)]
    head = {"type": "FeatureCollection"} | ({"credits": list(permit.credits)} if permit.credits else {})
    body = b"".join([orjson.dumps(head)[:-1], b',"features":[', b",".join(written), b"],", orjson.dumps({"numberReturned": len(written)})[1:]])
    return Drawn(body=body, content_type=GEOJSON, tallies=(Tally(points=tuple(points)) if points else None,))


def _headed(answer: flask.Response, asked: ContainingAsked) -> flask.Response:
    answer.headers["Content-Crs"] = f"<{crs_uri(asked.crs)}>"
    return answer
