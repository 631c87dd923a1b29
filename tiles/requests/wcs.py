"""KVP of WCS 1.0.0 and 2.0.1 -> one small typed value; and, once it is known what is granted, the view that it means.

What may be said in two ways ends here: 1.0.0 has x before y in every CRS, 2.0.1 names the axes of the CRS, in any order. A subset without a
scale holds the pixels of the coverage itself. Nothing here raises anything but RequestInvalid.

Source: OGC 03-065r6 (WCS 1.0.0); OGC 09-110r4 (WCS 2.0.1), 09-147r3 (KVP), 11-053r1 (CRS), 12-039 (scaling), 12-049 (interpolation),
12-040 (range subsetting), 12-100r1 (GeoTIFF).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from layers.crs import SERVED, parse_crs
from layers.errors import CrsNotServed
from layers.model import Bounds, LayerName
from layers.periods import TimeAsked, read_time
from tiles.coverage import Resampling
from tiles.encode import JPEG, PNG
from tiles.errors import RequestTooLarge
from tiles.requests.ogc import GetCapabilities, Limits, Pairs, Parameters, decimal, layer_name
from tiles.requests.wcs_faults import invalid

TIFF = "image/tiff"
COVERAGE_FORMATS = (TIFF, PNG, JPEG)
FORMAT_NAMES = MappingProxyType({
    TIFF: TIFF, PNG: PNG, JPEG: JPEG, "GEOTIFF": TIFF, "GTIFF": TIFF, "TIFF": TIFF, "IMAGE/GEOTIFF": TIFF, "IMAGE/X-GEOTIFF": TIFF, "PNG": PNG,
    "JPEG": JPEG, "JPG": JPEG, **{media_type.upper(): media_type for media_type in (TIFF, PNG, JPEG)},
})
COMPRESSIONS = MappingProxyType({"DEFLATE": "DEFLATE", "LZW": "LZW", "NONE": "NONE"})

WCS_VERSIONS = ("1.0.0", "2.0.1")
OLD, NEW = WCS_VERSIONS

INTERPOLATIONS = MappingProxyType({
    "NEAREST": "nearest", "NEAREST NEIGHBOR": "nearest", "NEAREST-NEIGHBOR": "nearest", "NEAREST NEIGHBOUR": "nearest", "NONE": "nearest",
    "BILINEAR": "bilinear", "LINEAR": "bilinear",
})
INTERPOLATION_URI = "http://www.opengis.net/def/interpolation/OGC/1/"


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeCoverage:
    """`coverages` is empty where all are asked for."""

    version: str
    coverages: tuple[LayerName, ...]
    time: TimeAsked | None = None


@dataclass(frozen=True, slots=True)
class Trim:
    """SUBSET of one axis, as it is named; None is as far as the coverage goes."""

    axis: str
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetCoverage:
    """What is asked, as far as it can be read without knowing the coverage.

    `crs` is that of `bounds` (x before y) or `trims`, `output_crs` that of the answer; None is the coverage's own. `size` is columns and rows,
    `step` units of `output_crs` a pixel along x and y. `sizes` and `factors` are by the name of an axis, "" for both. `bands` are names, or in 1.0.0
    numbers from 1 on; none for all.
    """

    version: str
    coverage: LayerName
    media_type: str
    compression: str = "DEFLATE"
    resampling: Resampling = "bilinear"
    time: TimeAsked | None = None
    crs: str | None = None
    output_crs: str | None = None
    bounds: Bounds | None = None
    size: tuple[int, int] | None = None
    step: tuple[float, float] | None = None
    trims: tuple[Trim, ...] = ()
    sizes: tuple[tuple[str, int], ...] = ()
    factors: tuple[tuple[str, float], ...] = ()
    bands: tuple[str, ...] = field(default=())


WcsRequest = GetCapabilities | DescribeCoverage | GetCoverage


# -- names

def coverage_id(name: LayerName) -> str:
    """The name as an NCName, which may hold no `@`: no layer's name holds a dot, so the first one stands for it.

    >>> coverage_id(LayerName("dom", "2011.1")), coverage_id(LayerName("dom"))
    ('dom.2011.1', 'dom')
    """
    return str(name).replace("@", ".", 1)


def coverage_name(text: str, locator: str) -> LayerName:
    """The layer of a name (`dom@2011`) or an identifier (`dom.2011`).

    >>> coverage_name("dom.2011.1", "") == coverage_name("dom@2011.1", "")
    True
    """
    return layer_name(text if "@" in text else text.replace(".", "@", 1), locator)


# -- what is asked

KNOWN = frozenset({
    "SERVICE", "REQUEST", "VERSION", "ACCEPTVERSIONS", "COVERAGE", "COVERAGEID", "CRS", "RESPONSE_CRS", "BBOX", "TIME", "WIDTH", "HEIGHT", "RESX", "RESY",
    "INTERPOLATION", "FORMAT", "EXCEPTIONS", "SUBSETTINGCRS", "OUTPUTCRS", "SCALEFACTOR", "SCALEAXES", "SCALESIZE", "SCALEEXTENT", "RANGESUBSET",
    "MEDIATYPE", "BAND", "GEOTIFF:COMPRESSION", "COMPRESSION", "LANG", "FILTER", "CQL_FILTER",
})
NOT_TAKEN = MappingProxyType({
    "FILTER": "values are not filtered", "CQL_FILTER": "values are not filtered", "SCALEEXTENT": "give SCALESIZE or SCALEFACTOR",
    "MEDIATYPE": "the answer is the file alone",
})
SUBSET = re.compile(r"\s*([A-Za-z]{1,20})\s*(?:,\s*([^()\s]{1,200}?)\s*)?\(\s*([^(),]{1,40}?)\s*(?:,\s*([^(),]{1,40}?)\s*)?\)\s*")
SCALE = re.compile(r"([A-Za-z]{1,20})\(([^()]{1,40})\)")
LARGEST_FACTOR = 1000.0


def parse_wcs(pairs: Pairs, limits: Limits) -> WcsRequest:
    """The WCS request that `pairs` spell.

    GetCapabilities negotiates the version; the others take 1.0.0 and 2.0.1 only. Without VERSION a request is 2.0.1, but one that names a
    `COVERAGE` is 1.0.0.

    >>> parse_wcs([("REQUEST", "GetCoverage"), ("VERSION", "2.0.1"), ("COVERAGEID", "dem.2011"), ("SUBSET", "Lat(32,33)")], Limits()).trims
    (Trim(axis='Lat', low=32.0, high=33.0),)
    """
    subsets = [value for name, value in pairs if _is_subset(name)]
    if len(subsets) > limits.max_layers or any(len(value) > limits.max_value for value in subsets):
        raise invalid("InvalidSubsetting", "subset", "wcs-subset", value=max(subsets, key=len))
    parameters = Parameters([pair for pair in pairs if not _is_subset(pair[0])], KNOWN, limits)
    parameters.one_of("SERVICE", {"WCS": "WCS"}, "WCS")
    for name, mend in NOT_TAKEN.items():
        if parameters.text(name):
            raise invalid("InvalidParameterValue", name.lower(), "wcs-not-taken", name=name, mend=mend)
    operation = _required(parameters, "REQUEST", "give GetCapabilities, DescribeCoverage or GetCoverage").upper()
    if operation == "GETCAPABILITIES":
        return GetCapabilities(service="WCS", version=_negotiated(parameters))
    if operation not in ("DESCRIBECOVERAGE", "GETCOVERAGE"):
        choices = "GetCapabilities, DescribeCoverage, GetCoverage"
        raise invalid("OperationNotSupported", "request", "not-one-of", name="REQUEST", value=parameters.text("REQUEST"), choices=choices)
    version = wcs_version(parameters.text("VERSION"), has_coverage=bool(parameters.text("COVERAGE")))
    if operation == "DESCRIBECOVERAGE":
        return _describe(parameters, version, limits)
    return _get_1(parameters) if version == OLD else _get_2(parameters, subsets)


def _is_subset(name: str) -> bool:
    """SUBSET, or SUBSETX, SUBSET1 ... : KVP of the first 2.0 wanted every name once, and clients still write so."""
    return name.isascii() and name.upper().startswith("SUBSET") and name.upper() != "SUBSETTINGCRS"


def _required(parameters: Parameters, name: str, mend: str) -> str:
    if value := parameters.text(name):
        return value
    raise invalid("MissingParameterValue", name.lower(), "missing", name=name, mend=mend)


def _negotiated(parameters: Parameters) -> str:
    """ACCEPTVERSIONS: the first that we have; VERSION: that one or the next lower, else our lowest; nothing: the newest (OGC 06-121r3, 7.3.2)."""
    if accepted := parameters.text("ACCEPTVERSIONS"):
        for one in (text.strip(" ") for text in accepted.split(",")):
            if one in ("2.0.0", *WCS_VERSIONS):
                return NEW if one.startswith("2") else one
        raise invalid("VersionNegotiationFailed", "acceptVersions", "version", value=accepted, service="WCS", choices=", ".join(WCS_VERSIONS))
    version = parameters.text("VERSION")
    return OLD if version.startswith(("0", "1")) else NEW


def wcs_version(text: str, *, has_coverage: bool = False) -> str:
    if not text:
        return OLD if has_coverage else NEW
    if text not in ("2.0.0", *WCS_VERSIONS):
        raise invalid("InvalidParameterValue", "version", "version", value=text, service="WCS", choices=", ".join(WCS_VERSIONS))
    return OLD if text == OLD else NEW


def _describe(parameters: Parameters, version: str, limits: Limits) -> DescribeCoverage:
    name = "COVERAGE" if version == OLD else "COVERAGEID"
    text = parameters.text(name) if version == OLD else _required(parameters, name, "name one coverage or more, between commas")
    names = [one.strip(" ") for one in text.split(",")] if text else []
    if len(names) > limits.max_layers:
        raise invalid("InvalidParameterValue", name.lower(), "not-one-of", RequestTooLarge, name=name, value=text, choices=f"1-{limits.max_layers}")
    return DescribeCoverage(version=version, coverages=tuple(coverage_name(one, name) for one in dict.fromkeys(names)))


def _crs(parameters: Parameters, name: str, code: str) -> str | None:
    if not (text := parameters.text(name)):
        return None
    return _parsed_crs(text, name, code)


def _parsed_crs(text: str, name: str, code: str) -> str:
    try:
        return parse_crs(text)
    except CrsNotServed:
        raise invalid(code, name.lower(), "crs-not-served", value=text, choices=", ".join(SERVED)) from None


def _format(parameters: Parameters, default: str) -> str:
    text = parameters.text("FORMAT") or default
    if text.upper() not in FORMAT_NAMES:
        raise invalid("InvalidFormat", "format", "not-one-of", name="FORMAT", value=text, choices=", ".join(COVERAGE_FORMATS))
    return FORMAT_NAMES[text.upper()]


def _compression(parameters: Parameters) -> str:
    text = parameters.text("GEOTIFF:COMPRESSION") or parameters.text("COMPRESSION") or "DEFLATE"
    if text.upper() not in COMPRESSIONS:
        raise invalid("CompressionNotSupported", "geotiff:compression", "wcs-compression", value=text, choices=", ".join(COMPRESSIONS))
    return COMPRESSIONS[text.upper()]


def _resampling(parameters: Parameters) -> Resampling:
    text = parameters.text("INTERPOLATION")
    name = text.removeprefix(INTERPOLATION_URI).upper()
    if name and name not in INTERPOLATIONS:
        choices = "nearest neighbor, bilinear"
        raise invalid("InterpolationMethodNotSupported", "interpolation", "not-one-of", name="INTERPOLATION", value=text, choices=choices)
    return INTERPOLATIONS.get(name, "bilinear")


def _time(parameters: Parameters) -> TimeAsked | None:
    if not (text := parameters.text("TIME")):
        return None
    if (asked := read_time(text)) is None:
        raise invalid("InvalidParameterValue", "time", "time", value=text)
    return asked


# -- 1.0.0

def _get_1(parameters: Parameters) -> GetCoverage:
    coverage = coverage_name(_required(parameters, "COVERAGE", "name one coverage"), "COVERAGE")
    crs = _crs(parameters, "CRS", "InvalidParameterValue")
    bounds = _box(parameters)
    if bounds is not None and crs is None:
        raise invalid("MissingParameterValue", "crs", "missing", name="CRS", mend=f"give one of {', '.join(SERVED)}")
    size, step = _pair(parameters, "WIDTH", "HEIGHT"), _pair(parameters, "RESX", "RESY")
    if size and step:
        raise invalid("InvalidParameterValue", "width", "wcs-both-sizes")
    return GetCoverage(
        version=OLD, coverage=coverage, media_type=_format(parameters, TIFF), compression=_compression(parameters), resampling=_resampling(parameters),
        time=_time(parameters), crs=crs, output_crs=_crs(parameters, "RESPONSE_CRS", "InvalidParameterValue") or crs, bounds=bounds,
        size=size and (parameters.whole("WIDTH", 1, 10**9 - 1), parameters.whole("HEIGHT", 1, 10**9 - 1)),
        step=step and (_positive("RESX", step[0]), _positive("RESY", step[1])), bands=_names(parameters.text("BAND")),
    )


def _pair(parameters: Parameters, one: str, other: str) -> tuple[str, str] | None:
    values = parameters.text(one), parameters.text(other)
    if not any(values):
        return None
    if not all(values):
        raise invalid("MissingParameterValue", (other if values[0] else one).lower(), "wcs-both-sizes")
    return values


def _positive(name: str, text: str) -> float:
    value = decimal(name, text)
    if value <= 0:
        raise invalid("InvalidParameterValue", name.lower(), "wcs-scale", name=name, value=text, mend="a number above 0")
    return value


def _box(parameters: Parameters) -> Bounds | None:
    if not parameters.text("BBOX"):
        return None
    numbers = [decimal("BBOX", text.strip(" ")) for text in parameters.text("BBOX").split(",")]
    if len(numbers) != 4 or numbers[0] >= numbers[2] or numbers[1] >= numbers[3]:
        raise invalid("InvalidParameterValue", "bbox", "wcs-box")
    return Bounds(*numbers)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip(" ") for name in text.split(",") if name.strip(" "))


# -- 2.0.1

def _get_2(parameters: Parameters, subsets: Sequence[str]) -> GetCoverage:
    coverage = coverage_name(_required(parameters, "COVERAGEID", "name one coverage"), "COVERAGEID")
    found = [_trim(text) for text in subsets]
    named = {_parsed_crs(crs, "SUBSET", "SubsettingCrs-NotSupported") for _, crs in found if crs}
    named |= {crs for crs in (_crs(parameters, "SUBSETTINGCRS", "SubsettingCrs-NotSupported"),) if crs}
    if len(named) > 1:
        raise invalid("InvalidSubsetting", "subset", "wcs-two-crs")
    sizes, factors = _scales(parameters)
    return GetCoverage(
        version=NEW, coverage=coverage, media_type=_format(parameters, TIFF), compression=_compression(parameters), resampling=_resampling(parameters),
        time=_time(parameters), crs=next(iter(named), None), output_crs=_crs(parameters, "OUTPUTCRS", "OutputCrs-NotSupported"),
        trims=tuple(trim for trim, _ in found), sizes=sizes, factors=factors,
        bands=_names(parameters.text("RANGESUBSET")),
    )


def _trim(text: str) -> tuple[Trim, str | None]:
    """`Lat(32,33)`, or as it was written before SUBSETTINGCRS: `Lat,EPSG:4326(32,33)`."""
    match = SUBSET.fullmatch(text)
    if match is None:
        raise invalid("InvalidSubsetting", "subset", "wcs-subset", value=text)
    axis, crs, low, high = match.groups()
    if high is None:
        raise invalid("InvalidSubsetting", "subset", "wcs-slice", value=text)
    limits = [None if one in ("*", '"*"') else decimal("SUBSET", one) for one in (low, high)]
    if None not in limits and limits[0] >= limits[1]:
        raise invalid("InvalidSubsetting", "subset", "wcs-subset", value=text)
    return Trim(axis, *limits), crs


def _scales(parameters: Parameters) -> tuple[tuple[tuple[str, int], ...], tuple[tuple[str, float], ...]]:
    given = [name for name in ("SCALEFACTOR", "SCALEAXES", "SCALESIZE") if parameters.text(name)]
    if len(given) > 1:
        raise invalid("InvalidParameterValue", given[1].lower(), "wcs-one-scale")
    if not given:
        return (), ()
    (name,) = given
    if name == "SCALEFACTOR":
        return (), (("", _factor(name, parameters.text(name))),)
    pairs = _by_axis(name, parameters.text(name))
    if name == "SCALEAXES":
        return (), tuple((axis, _factor(name, text)) for axis, text in pairs)
    return tuple((axis, _count(name, text)) for axis, text in pairs), ()


def _by_axis(name: str, text: str) -> list[tuple[str, str]]:
    pairs = SCALE.findall(text)
    if not pairs or ",".join(f"{axis}({value})" for axis, value in pairs) != text.replace(" ", ""):
        raise invalid("InvalidParameterValue", name.lower(), "wcs-scale", name=name, value=text, mend=f"{name}=axis(number),axis(number)")
    return pairs


def _factor(name: str, text: str) -> float:
    value = decimal(name, text)
    if not 0 < value <= LARGEST_FACTOR or not math.isfinite(value):
        raise invalid("InvalidScaleFactor", name.lower(), "wcs-scale", name=name, value=text, mend=f"a number above 0, at most {LARGEST_FACTOR:g}")
    return value


def _count(name: str, text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise invalid("InvalidExtent", name.lower(), "wcs-scale", name=name, value=text, mend="a whole number of pixels, at least 1")
    return int(text)
