"""What is asked of routes, as small frozen values. Closed grammars; nothing raises but RequestInvalid.

    /routes/transport-routes/point?route=G104&stake=K12+300
    /routes/transport-routes/stretch?route=G104&from=K12+300&to=K15&crs=EPSG:4549
    /routes/transport-routes/stake?lon=118.78&lat=32.04&within=50
    /routes/transport-routes/events?route=G104&table=EVENT
"""

from collections.abc import Sequence
from dataclasses import dataclass

from geoserver_app.messages import ENGLISH, sentence
from layers.crs import SERVED, parse_crs
from layers.errors import CrsNotServed, StakeRefused
from layers.model import LayerName
from layers.routes import OFF_THE_ROAD
from layers.stakes import Stake
from tiles.errors import RequestInvalid
from tiles.requests import Limits
from tiles.requests.features import TABLE
from tiles.requests.ogc import Pairs, Parameters, decimal, fault, quotable

LONGEST_NAME = 40
FARTHEST = 500
"""Metres from a place within which a route is looked for."""

OF_ALL = frozenset({"CRS", "F", "LANG", "KEY", "TK"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutesAsked:
    layer: LayerName


@dataclass(frozen=True, slots=True, kw_only=True)
class PointAsked:
    layer: LayerName
    route: str
    stake: Stake
    crs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StretchAsked:
    layer: LayerName
    route: str
    start: Stake
    end: Stake
    crs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StakeAsked:
    """`place` is x and y of `crs`; `route` "" is whichever is nearest; `within` is metres."""

    layer: LayerName
    place: tuple[float, float]
    route: str
    within: int
    crs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsAsked:
    """`after` is the name of the last event seen."""

    layer: LayerName
    route: str
    table: str
    after: str | None
    crs: str


def parse_routes(layer: str, pairs: Pairs, limits: Limits) -> RoutesAsked:
    _parameters(pairs, (), limits)
    return RoutesAsked(layer=_layer(layer))


def parse_point(layer: str, pairs: Pairs, limits: Limits) -> PointAsked:
    asked = _parameters(pairs, ("ROUTE", "STAKE"), limits)
    return PointAsked(layer=_layer(layer), route=_route(asked), stake=_stake(asked, "STAKE"), crs=_crs(asked))


def parse_stretch(layer: str, pairs: Pairs, limits: Limits) -> StretchAsked:
    asked = _parameters(pairs, ("ROUTE", "FROM", "TO"), limits)
    return StretchAsked(layer=_layer(layer), route=_route(asked), start=_stake(asked, "FROM"), end=_stake(asked, "TO"), crs=_crs(asked))


def parse_stake(layer: str, pairs: Pairs, limits: Limits) -> StakeAsked:
    asked = _parameters(pairs, ("LON", "LAT", "X", "Y", "ROUTE", "WITHIN"), limits)
    return StakeAsked(
        layer=_layer(layer), place=(_coordinate(asked, "LON", "X"), _coordinate(asked, "LAT", "Y")), route=_route(asked) if asked.text("ROUTE") else "",
        within=asked.whole("WITHIN", 1, FARTHEST, default=int(OFF_THE_ROAD)), crs=_crs(asked),
    )


def parse_events(layer: str, pairs: Pairs, limits: Limits) -> EventsAsked:
    asked = _parameters(pairs, ("ROUTE", "TABLE", "AFTER"), limits)
    table = asked.text("TABLE") or "EVENT"
    if not TABLE.fullmatch(table):
        raise fault("InvalidParameterValue", "table", "collection-name", value=table)
    return EventsAsked(layer=_layer(layer), route=_route(asked), table=table, after=asked.text("AFTER") or None, crs=_crs(asked))


def _parameters(pairs: Pairs, known: Sequence[str], limits: Limits) -> Parameters:
    known = OF_ALL.union(known)
    for name, _ in pairs:
        if name.upper() not in known:               # what is misspelt must not be left out in silence
            raise fault("InvalidParameterValue", "", "no-parameter", value=name)
    return Parameters(pairs, known, limits)


def _layer(text: str) -> LayerName:
    try:
        return LayerName.parse(text)
    except ValueError:
        raise fault("InvalidParameterValue", "layer", "layer-name", value=text) from None


def _route(asked: Parameters) -> str:
    text = asked.text("ROUTE")
    if not 0 < len(text) <= LONGEST_NAME or not text.isprintable():
        raise refused("route-name", "route", most=str(LONGEST_NAME))
    return text


def _stake(asked: Parameters, name: str) -> Stake:
    text = asked.required(name, "give a stake such as K123+456")
    try:
        return Stake.parse(text)
    except StakeRefused as error:
        raise of_stakes(error, name.lower()) from None


def _crs(asked: Parameters) -> str:
    text = asked.text("CRS") or "CRS:84"
    try:
        return parse_crs(text.removeprefix("[").removesuffix("]"))
    except CrsNotServed:
        raise fault("InvalidCRS", "crs", "crs-not-served", value=text, choices=", ".join(SERVED)) from None


def _coordinate(asked: Parameters, name: str, other: str) -> float:
    used = other if asked.text(other) and not asked.text(name) else name
    return decimal(used.lower(), asked.required(used, "give a place as `lon` and `lat`, or as `x` and `y` with its `crs`"))


def refused(name: str, locator: str, **detail: str) -> RequestInvalid:
    """One of our own sentences as a fault of the request."""
    shown = {key: quotable(value) for key, value in detail.items()}
    return RequestInvalid("InvalidParameterValue", locator, sentence(name, shown, ENGLISH), fault=name, detail=shown)


def of_stakes(error: StakeRefused, locator: str) -> RequestInvalid:
    return refused(error.fault, locator, **error.detail)
