"""What is asked of features from one place: the nearest ones, and those in which the place lies.

    /features/collections/police-cars/nearest?lon=118.78&lat=32.04&count=5&within=3000&filter=STATUS='free'
    /features/collections/police-stations.JURISDICTION/containing?x=380210.5&y=3541877&crs=EPSG:4549&properties=NAME

`crs` is that of the place, x before y in every one, and that of the answer, whose axes come in the order of the CRS as everywhere in OGC API.
"""

from dataclasses import dataclass

from layers.crs import SERVED, parse_crs
from layers.errors import CrsNotServed
from tiles.requests.features import FeatureTypeName, collection_name, parse_filter
from tiles.requests.ogc import Limits, Pairs, Parameters, decimal, fault
from tiles.vector.conditions import Condition, attributes_of

FARTHEST, USUALLY_WITHIN = 100_000, 10_000
"""Metres."""

MOST, USUAL = 100, 5

OF_BOTH = frozenset({"LON", "LAT", "X", "Y", "CRS", "FILTER", "FILTER-LANG", "FILTER-CRS", "PROPERTIES", "F", "LANG", "KEY", "TK"})
OF_NEAREST = OF_BOTH | {"COUNT", "WITHIN"}

Position = tuple[float, float]
"""x and y in the CRS that is asked in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainingAsked:
    """Features in which a place lies. `properties` None is all; `attributes` every attribute that is named, anywhere."""

    name: FeatureTypeName
    place: Position
    crs: str
    condition: Condition | None
    properties: tuple[str, ...] | None
    attributes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestAsked(ContainingAsked):
    """The `count` features nearest to a place, of those within so many metres."""

    count: int
    within: int


def parse_containing(name: str, pairs: Pairs, limits: Limits) -> ContainingAsked:
    """Raises RequestInvalid."""
    return ContainingAsked(**_common(name, _parameters(pairs, OF_BOTH, limits)))


def parse_nearest(name: str, pairs: Pairs, limits: Limits) -> NearestAsked:
    """Raises RequestInvalid.

    >>> asked = parse_nearest("police-cars", [("lon", "118.78"), ("lat", "32.04"), ("filter", "STATUS = 'free'")], Limits())
    >>> asked.place, asked.count, asked.within, sorted(asked.attributes)
    ((118.78, 32.04), 5, 10000, ['STATUS'])
    """
    parameters = _parameters(pairs, OF_NEAREST, limits)
    return NearestAsked(
        **_common(name, parameters), count=parameters.whole("COUNT", 1, MOST, default=USUAL),
        within=parameters.whole("WITHIN", 1, FARTHEST, default=USUALLY_WITHIN),
    )


def _parameters(pairs: Pairs, known: frozenset[str], limits: Limits) -> Parameters:
    for name, _ in pairs:
        if name.upper() not in known:               # a condition that is misspelt must not be left out in silence
            raise fault("InvalidParameterValue", "", "no-parameter", value=name)
    return Parameters(pairs, known, limits)


def _common(name: str, parameters: Parameters) -> dict:
    condition = None
    if text := parameters.text("FILTER"):
        condition = parse_filter(text, parameters.text("FILTER-LANG") or "cql2-text", _crs(parameters, "FILTER-CRS"))
    properties = tuple(dict.fromkeys(one for text in parameters.text("PROPERTIES").split(",") if (one := text.strip(" ")))) or None
    return {
        "name": collection_name(name), "place": (_coordinate(parameters, "LON", "X"), _coordinate(parameters, "LAT", "Y")),
        "crs": _crs(parameters, "CRS"), "condition": condition, "properties": properties,
        "attributes": attributes_of(condition) | frozenset(properties or ()),
    }


def _crs(parameters: Parameters, name: str) -> str:
    text = parameters.text(name) or "CRS:84"
    try:
        return parse_crs(text.removeprefix("[").removesuffix("]"))          # a safe CURIE, [EPSG:4549]
    except CrsNotServed:
        raise fault("InvalidCRS", name.lower(), "crs-not-served", value=text, choices=", ".join(SERVED)) from None


def _coordinate(parameters: Parameters, name: str, other: str) -> float:
    used = other if parameters.text(other) and not parameters.text(name) else name
    return decimal(used.lower(), parameters.required(used, "give a place as `lon` and `lat`, or as `x` and `y` with its `crs`"))
