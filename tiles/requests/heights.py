"""What `/height` and `/profile` ask for: one small typed value each.

    /height?layer=dem&lon=118.7781&lat=32.0436            one place
    /height?layer=dem&points=118.77,32.04;118.78,32.05    up to 100 of them
    /profile?layer=dem&line=118.7,32.0;118.8,32.1&samples=200&format=geojson

`crs` says in which reference system x and y are (x before y in every one), longitude and latitude where it is left out; `x` and `y` are other names of
`lon` and `lat`. `datum` is the vertical datum in which heights are wanted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from layers.crs import SERVED, parse_crs
from layers.errors import CrsNotServed
from layers.model import LayerName
from tiles.errors import RequestInvalid, RequestTooLarge
from tiles.requests.ogc import DATUM, DIMENSIONS, FAULTS, REFUSED, Limits, Pairs, Parameters, decimal, layer_name, quotable

Position = tuple[float, float]
"""x and y in the CRS that is asked in."""

MOST_POINTS = 100
MOST_VERTICES = 200
MOST_SAMPLES, USUAL_SAMPLES = 1000, 200

JSON, GEOJSON = "application/json", "application/geo+json"
FORMS: Mapping[str, str] = MappingProxyType({"JSON": JSON, "GEOJSON": GEOJSON})

COMMON = frozenset({"LAYER", "CRS", "DATUM", "LANG"}) | REFUSED | DIMENSIONS
HEIGHT_PARAMETERS = COMMON | {"LON", "LAT", "X", "Y", "POINTS"}
PROFILE_PARAMETERS = COMMON | {"LINE", "SAMPLES", "FORMAT"}

PAIR = re.compile(r"([^,;]{1,40}),([^,;]{1,40})")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeightAsked:
    layer: LayerName
    crs: str
    points: tuple[Position, ...]
    is_batch: bool
    datum: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileAsked:
    layer: LayerName
    crs: str
    line: tuple[Position, ...]              # at least two vertices
    samples: int
    media_type: str
    datum: str | None


def parse_height(pairs: Pairs, limits: Limits) -> HeightAsked:
    """Raises RequestInvalid.

    >>> parse_height([("layer", "dem"), ("lon", "118.7781"), ("lat", "32.0436")], Limits()).points
    ((118.7781, 32.0436),)
    """
    parameters = Parameters(pairs, HEIGHT_PARAMETERS, limits)
    parameters.refuse_what_clients_may_not_choose()
    layer, crs, datum = _common(parameters)
    if parameters.text("POINTS"):
        points = _positions(parameters, "POINTS", 1, MOST_POINTS)
    else:
        points = ((_coordinate(parameters, "LON", "X"), _coordinate(parameters, "LAT", "Y")),)
    return HeightAsked(layer=layer, crs=crs, points=points, is_batch=bool(parameters.text("POINTS")), datum=datum)


def parse_profile(pairs: Pairs, limits: Limits) -> ProfileAsked:
    """Raises RequestInvalid."""
    parameters = Parameters(pairs, PROFILE_PARAMETERS, limits)
    parameters.refuse_what_clients_may_not_choose()
    layer, crs, datum = _common(parameters)
    line = _positions(parameters, "LINE", 2, MOST_VERTICES)
    if len(set(line)) < 2:
        raise _fault("LINE", "line-of-no-length")
    return ProfileAsked(
        layer=layer, crs=crs, line=line, samples=parameters.whole("SAMPLES", 2, MOST_SAMPLES, default=USUAL_SAMPLES),
        media_type=parameters.one_of("FORMAT", FORMS, JSON), datum=datum,
    )


def _common(parameters: Parameters) -> tuple[LayerName, str, str | None]:
    layer = layer_name(parameters.required("LAYER", "name one elevation layer"), "LAYER")
    crs, datum = parameters.text("CRS") or "CRS:84", parameters.text("DATUM").lower() or None
    try:
        crs = parse_crs(crs)
    except CrsNotServed:
        raise _fault("CRS", "crs-not-served", code="InvalidCRS", value=quotable(crs), choices=", ".join(SERVED)) from None
    if datum is not None and not DATUM.fullmatch(datum):
        raise _fault("DATUM", "datum-name", name="DATUM", value=quotable(datum))
    return layer, crs, datum


def _coordinate(parameters: Parameters, name: str, other: str) -> float:
    used = other if parameters.text(other) and not parameters.text(name) else name
    return decimal(used, parameters.required(used, "give a place as `lon` and `lat`, or several as `points=lon,lat;lon,lat`"))


def _positions(parameters: Parameters, name: str, least: int, most: int) -> tuple[Position, ...]:
    texts = parameters.required(name, "give x,y of each place, with `;` between places").split(";")
    if len(texts) > most:
        raise _fault(name, "too-many-places", RequestTooLarge, name=name, count=len(texts), most=most)
    pairs = [PAIR.fullmatch(text.strip(" ")) for text in texts]
    if len(texts) < least or None in pairs:
        raise _fault(name, "places-spelling", name=name, least=least)
    return tuple((decimal(name, pair.group(1).strip(" ")), decimal(name, pair.group(2).strip(" "))) for pair in pairs)


def _fault(locator: str, fault: str, kind: type[RequestInvalid] = RequestInvalid, code: str = "InvalidParameterValue", **detail: object) -> RequestInvalid:
    shown = {name: str(value) for name, value in detail.items()}
    return kind(code, locator, FAULTS[fault].format(**shown), fault=fault, detail=MappingProxyType(shown))
