"""`/gauges/{layer}`: gauges and their levels, for who is granted GetFeature of them; `.../inundation`: ground below a level, for who is granted the heights too.

A level is a number of a datum. It is told in others by the table of datums, with the accuracy of the way; where nothing leads there, the reason is told, and
no water is drawn.
"""

import flask
import numpy as np
import orjson
from PIL import Image

from agreements.model import Operation
from geoserver_app.charging import Tally
from geoserver_app.elevation import datums, elevation_only
from geoserver_app.features.collections import crs_uri
from geoserver_app.features.geojson import features, places
from geoserver_app.gate import Asked, Drawn
from geoserver_app.gauging.asking import GaugesAsked, InundationAsked, parse_gauges, parse_inundation, parse_level, refused
from geoserver_app.gauging.inundation import Water, water_below
from geoserver_app.gauging.levels import GUARANTEED, WARNING, Gauge, attributes_of, gauges, height_of, one_gauge, told_height
from geoserver_app.identity import Caller
from geoserver_app.routes import governed
from geoserver_app.views.access import caller_of, limits, raw_query, served
from geoserver_app.wiring import services
from layers.crs import transformer
from layers.heights import refused as datum_refused
from layers.model import WATER_LEVEL
from tiles.encode import PNG, encode
from tiles.permits import Permit
from tiles.requests import pairs_of
from tiles.requests.expressible import expressible
from tiles.requests.features import GEOJSON, JSON, FeatureTypeName
from tiles.vector.granted import Told

bp = flask.Blueprint("gauges", __name__)

MILLIMETRES = 3
OVER = {"warning": ("warning", "guaranteed"), "guaranteed": ("guaranteed",)}
NAMED = {"": (), "warning": (WARNING,), "guaranteed": (GUARANTEED,)}


@bp.get("/gauges/<name>")
@governed("GetFeature")
def list_gauges(name: str):
    """Gauges with their levels; `over` those alone that stand above warning, or above what is guaranteed."""
    caller = caller_of("GetFeature")
    return _told(caller, parse_gauges(name, pairs_of(raw_query()), limits()))


@bp.get("/gauges/<name>/level")
@governed("GetFeature")
def level(name: str):
    """One gauge."""
    caller = caller_of("GetFeature")
    return _told(caller, parse_level(name, pairs_of(raw_query()), limits()))


@bp.get("/gauges/<name>/inundation")
@governed("GetFeature", "GetCoverage")
def inundation(name: str):
    """Ground below the level of a gauge, as a picture or in numbers."""
    caller = caller_of("GetFeature")
    asked = parse_inundation(name, pairs_of(raw_query()), limits())
    questions = [
        _question(asked.name, attributes_of(asked.name), None, JSON),
        Asked(layer=asked.elevation, operation=Operation.GET_MAP, view=asked.view, style=WATER_LEVEL, format=asked.media_type),
    ]
    return served(caller, questions, lambda permits: _inundation(*permits, asked))


def _question(name: FeatureTypeName, attributes: frozenset[str], crs: str | None, media_type: str) -> Asked:
    return Asked(layer=name.layer, operation=Operation.GET_FEATURE, format=media_type, crs=crs, is_in_full=True, attributes=attributes)


# -- levels

def _told(caller: Caller, asked: GaugesAsked) -> flask.Response:
    datums().find(asked.datum)
    question = _question(asked.name, attributes_of(asked.name, *NAMED[asked.over]), asked.crs, GEOJSON)
    answer = served(caller, [question], lambda permits: _levels(permits[0], asked))
    answer.headers["Content-Crs"] = f"<{crs_uri(asked.crs)}>"
    return answer


def _levels(permit: Permit, asked: GaugesAsked) -> Drawn:
    store = services().features
    if asked.gauge:
        some, gauge = one_gauge(permit, store, asked.name, asked.gauge)
        found = [(some, [gauge])]
    else:
        found = [_over(some, each, asked.over) for some, each in gauges(permit, store, asked.name)]
    written, grounds = [], []
    for some, each in found:
        written += _written(permit, asked, some, each)
        grounds += places(some.shapes, permit.edition.crs) if permit.bookings else ()
    head = {"type": "FeatureCollection"} | ({"credits": list(permit.credits)} if permit.credits else {})
    tail = orjson.dumps({"numberReturned": len(written)})[1:]
    body = written[0] if asked.gauge else b"".join([orjson.dumps(head)[:-1], b',"features":[', b",".join(written), b"],", tail])
    return Drawn(body=body, content_type=GEOJSON, tallies=(Tally(points=tuple(grounds)) if grounds else None,))


def _over(some: Told, each: list[Gauge], over: str) -> tuple[Told, list[Gauge]]:
    if not over:
        return some, each
    wanted = np.array([gauge.state in OVER[over] for gauge in each], bool)
    return some.only(wanted), [gauge for gauge, is_in in zip(each, wanted.tolist(), strict=True) if is_in]


def _written(permit: Permit, asked: GaugesAsked, some: Told, each: list[Gauge]) -> list[bytes]:
    """What was worked out of a level stands beside the attributes of the gauge, not among them."""
    names = services().feature_ids.of(permit.edition.layer, _table_name(permit, asked), some.keys, some.parts)
    texts = features(some, names, permit.edition.crs, asked.crs)
    return [text[:-1].encode() + b"," + orjson.dumps({"level": _level(gauge, asked.datum)})[1:] for text, gauge in zip(texts, each, strict=True)]


def _table_name(permit: Permit, asked: GaugesAsked) -> str:
    return asked.name.table or permit.edition.classes[0].name


def _level(gauge: Gauge, datum: str) -> dict:
    over = None if gauge.level is None or gauge.warning is None else round(gauge.level - gauge.warning, MILLIMETRES)
    return {"state": gauge.state, "over_warning": over} | told_height(gauge, datum, datums())


# -- the ground below

def _inundation(of_gauges: Permit, of_heights: Permit, asked: InundationAsked) -> Drawn:
    elevation_only(of_heights)
    some, gauge = one_gauge(of_gauges, services().features, asked.name, asked.gauge)
    own = of_heights.edition.vertical_datum
    if own is None:
        raise datum_refused("datum-not-stated", layer=of_heights.edition.layer)
    height = height_of(gauge, own, datums())
    if asked.is_connected and not _is_within(gauge, asked):
        raise refused("gauge-water-not-there", "bbox", gauge=gauge.code)
    water = water_below(of_heights, asked.view, height.metres, services().engine.values, gauge.place if asked.is_connected else None)
    tallies = (
        Tally(points=places(some.shapes, of_gauges.edition.crs)) if of_gauges.bookings else None,
        Tally(view=water.view) if water is not None and of_heights.bookings else None,       # what it does not show tells heights too
    )
    if asked.media_type == PNG:
        return Drawn(body=encode(_picture(water, asked), PNG, lossless=True), content_type=PNG, tallies=tallies)
    content = {
        "gauge": gauge.code, "level": gauge.level, "stated_datum": gauge.datum, "height": round(height.metres, MILLIMETRES), "datum": height.datum,
        "accuracy": height.accuracy, "connected": asked.is_connected,
    } | (water.numbers() if water is not None else NOTHING)
    credits = tuple(dict.fromkeys((*of_gauges.credits, *of_heights.credits)))
    return Drawn(body=orjson.dumps(content | ({"credits": list(credits)} if credits else {})), content_type=JSON, tallies=tallies)


NOTHING = {"area": 0.0, "volume": 0.0, "deepest": None, "mean_depth": None, "told": 0.0, "asked": None}


def _is_within(gauge: Gauge, asked: InundationAsked) -> bool:
    x, y = transformer("CRS:84", asked.view.crs).transform(*gauge.place)
    bounds = asked.view.bounds
    return bounds.left <= x <= bounds.right and bounds.bottom <= y <= bounds.top


def _picture(water: Water | None, asked: InundationAsked) -> Image.Image:
    whole = Image.new("RGBA", (asked.view.width, asked.view.height))
    picture = water and water.picture()
    if picture is not None:
        whole.paste(picture, expressible(asked.view)[1])
    return whole
