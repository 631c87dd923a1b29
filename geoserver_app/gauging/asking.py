"""What is asked of gauges, as small frozen values. Closed grammars; nothing raises but RequestInvalid.

    /gauges/water-levels?over=warning
    /gauges/water-levels/level?gauge=99900002&datum=1985
    /gauges/water-levels/inundation?gauge=99900002&dem=dem&crs=EPSG:4549&bbox=390000,3553000,394000,3557000&width=512&height=512
"""

from collections.abc import Sequence
from dataclasses import dataclass

from geoserver_app.messages import ENGLISH, sentence
from layers.crs import SERVED, parse_crs
from layers.errors import CrsNotServed
from layers.model import LayerName, View
from tiles.encode import PNG
from tiles.errors import RequestInvalid
from tiles.requests import Limits, parse_wms
from tiles.requests.features import JSON, FeatureTypeName, collection_name
from tiles.requests.ogc import DATUM, TRUTH, Pairs, Parameters, fault, quotable

NATIONAL = "1985"
LONGEST_CODE = 40
MOST_SIDE = 2048
"""Pixels: ground is compared for each request anew."""

OF_ALL = frozenset({"F", "LANG", "KEY", "TK"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugesAsked:
    """`over` is "warning" or "guaranteed", "" for all gauges; `gauge` "" likewise. Levels are told in `datum` beside their own."""

    name: FeatureTypeName
    over: str
    gauge: str
    datum: str
    crs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InundationAsked:
    """Ground of `elevation` in `view` below the level of a gauge; `is_connected`: only where water comes from the gauge without crossing higher ground."""

    name: FeatureTypeName
    gauge: str
    elevation: LayerName
    view: View
    media_type: str
    is_connected: bool


def parse_gauges(name: str, pairs: Pairs, limits: Limits) -> GaugesAsked:
    asked = _parameters(pairs, ("OVER", "DATUM", "CRS"), limits)
    over = asked.one_of("OVER", {"WARNING": "warning", "GUARANTEED": "guaranteed"}, "")
    return GaugesAsked(name=collection_name(name), over=over, gauge="", datum=_datum(asked), crs=_crs(asked))


def parse_level(name: str, pairs: Pairs, limits: Limits) -> GaugesAsked:
    asked = _parameters(pairs, ("GAUGE", "DATUM", "CRS"), limits)
    return GaugesAsked(name=collection_name(name), over="", gauge=_gauge(asked), datum=_datum(asked), crs=_crs(asked))


def parse_inundation(name: str, pairs: Pairs, limits: Limits) -> InundationAsked:
    asked = _parameters(pairs, ("GAUGE", "DEM", "CRS", "BBOX", "WIDTH", "HEIGHT", "CONNECTED"), limits)
    media_type = asked.one_of("F", {"PNG": PNG, "JSON": JSON}, PNG)
    picture = parse_wms([            # x before y in every CRS, as in WMS 1.1.1
        ("REQUEST", "GetMap"), ("VERSION", "1.1.1"), ("LAYERS", asked.required("DEM", "name a layer of elevation")), ("STYLES", ""), ("FORMAT", PNG),
        ("SRS", _crs(asked)), ("BBOX", asked.required("BBOX", "give x_min,y_min,x_max,y_max in `crs`")),
        ("WIDTH", str(asked.whole("WIDTH", 1, MOST_SIDE, default=512))), ("HEIGHT", str(asked.whole("HEIGHT", 1, MOST_SIDE, default=512))),
    ], limits)
    if len(picture.layers) != 1:
        raise refused("gauge-one-elevation", "dem")
    return InundationAsked(
        name=collection_name(name), gauge=_gauge(asked), elevation=picture.layers[0], view=picture.view, media_type=media_type,
        is_connected=asked.one_of("CONNECTED", TRUTH, True),
    )


def _parameters(pairs: Pairs, known: Sequence[str], limits: Limits) -> Parameters:
    known = OF_ALL.union(known)
    for name, _ in pairs:
        if name.upper() not in known:               # what is misspelt must not be left out in silence
            raise fault("InvalidParameterValue", "", "no-parameter", value=name)
    return Parameters(pairs, known, limits)


def _gauge(asked: Parameters) -> str:
    text = asked.text("GAUGE")
    if not 0 < len(text) <= LONGEST_CODE or not text.isprintable():
        raise refused("gauge-name", "gauge", most=str(LONGEST_CODE))
    return text


def _datum(asked: Parameters) -> str:
    text = asked.text("DATUM").lower() or NATIONAL
    if not DATUM.fullmatch(text):
        raise fault("InvalidParameterValue", "datum", "datum-name", name="datum", value=text)
    return text


def _crs(asked: Parameters) -> str:
    text = asked.text("CRS") or "CRS:84"
    try:
        return parse_crs(text.removeprefix("[").removesuffix("]"))
    except CrsNotServed:
        raise fault("InvalidCRS", "crs", "crs-not-served", value=text, choices=", ".join(SERVED)) from None


def refused(name: str, locator: str, **detail: str) -> RequestInvalid:
    """One of our own sentences as a fault of the request."""
    shown = {key: quotable(value) for key, value in detail.items()}
    return RequestInvalid("InvalidParameterValue", locator, sentence(name, shown, ENGLISH), fault=name, detail=shown)
