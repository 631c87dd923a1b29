"""KVP or path of a request -> one small typed value. Axis order ends here; so does everything a client may spell in two ways.

    WMS   GetCapabilities GetMap GetFeatureInfo GetLegendGraphic     `parse_wms`
    WMTS  GetCapabilities GetTile                                   `parse_wmts_kvp`, `parse_tile_path`
    XYZ   GetTile                                                   `parse_tile_path`
    files Download                                                  `parse_download`

Parameter names are read in any case, a known one at most once. What we don't know is ignored and goes no further; what would let a client
style, filter or choose attributes is refused by name. Nothing here raises anything but RequestInvalid.

Source: OGC 06-042 (WMS 1.3.0), OGC 01-068r3 (WMS 1.1.1), OGC 05-078r4 (GetLegendGraphic), OGC 07-057r7 (WMTS 1.0.0).
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import parse_qsl

from layers.crs import SERVED, is_geographic, is_north_first, parse_crs, reach, transform_bounds, world_bounds
from layers.errors import CrsNotServed
from layers.model import EDITION, ENCODINGS, MEASURED, NAME, VECTOR_TILE, WATER_LEVEL, Bounds, LayerName, View
from layers.periods import TimeAsked, read_time
from tiles.encode import EXTENSIONS, JPEG, PNG, WEBP, WHITE
from tiles.errors import RequestInvalid, RequestTooLarge
from tiles.grids import TILE_MATRIX_SETS, TileMatrixSet

Pairs = Sequence[tuple[str, str]]
"""Names and values of a query, decoded, in the order in which they came."""


MOST_PARAMETERS = 200


def pairs_of(query: str) -> list[tuple[str, str]]:
    """A raw query string as pairs; a `;` is part of a value, as in `image/png; mode=8bit`."""
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise fault("InvalidParameterValue", "", "too-many-parameters", RequestTooLarge, most=MOST_PARAMETERS) from None


# -- what is asked

@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that one request may ask for."""

    max_pixels: int = 4096 * 4096
    max_side: int = 16384
    max_layers: int = 20
    max_features: int = 100
    max_value: int = 4096       # characters of one parameter we read
    max_download: int = 400_000_000     # pixels of one download


class Exceptions(StrEnum):
    """How a WMS client wants to be told of an error."""

    XML = "XML"
    INIMAGE = "INIMAGE"
    BLANK = "BLANK"


@dataclass(frozen=True, slots=True, kw_only=True)
class GetCapabilities:
    service: str                            # WMS | WMTS
    version: str                            # already negotiated


@dataclass(frozen=True, slots=True, kw_only=True)
class GetMap:
    """`styles` is as long as `layers`; None is the layer's first style. `dpi` is for drawing alone and never for a decision of scale."""

    version: str
    layers: tuple[LayerName, ...]
    styles: tuple[str | None, ...]
    view: View
    media_type: str
    transparent: bool = False
    background: tuple[int, int, int] = WHITE
    dpi: float = 90.714                     # 0.28 mm a pixel
    time: TimeAsked | None = None           # which edition of a bare name is meant; None is its default
    water: "WaterAsked | None" = None       # where a style is `water-level`


@dataclass(frozen=True, slots=True)
class WaterAsked:
    """A level of water, metres in the vertical datum of that code."""

    level: float
    datum: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GetFeatureInfo:
    """`layers` is the map that was clicked on, `query_layers` those asked of, each one of `layers`.

    `column` and `row` count from 0 at the top left.
    """

    version: str
    layers: tuple[LayerName, ...]
    styles: tuple[str | None, ...]
    query_layers: tuple[LayerName, ...]
    view: View
    column: int
    row: int
    media_type: str
    feature_count: int = 1
    time: TimeAsked | None = None

    @property
    def point(self) -> tuple[float, float]:
        """x and y of the centre of the pixel, in the view's CRS."""
        step_x, step_y = self.view.resolution
        return self.view.bounds.left + (self.column + 0.5) * step_x, self.view.bounds.top - (self.row + 0.5) * step_y


@dataclass(frozen=True, slots=True, kw_only=True)
class GetLegendGraphic:
    version: str
    layer: LayerName
    style: str | None
    media_type: str
    time: TimeAsked | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTile:
    """A tile that exists in its matrix set; `row` counts from the top. `style` None is the layer's first."""

    layer: LayerName
    style: str | None
    tms: TileMatrixSet
    z: int
    row: int
    col: int
    media_type: str

    @property
    def is_vector(self) -> bool:
        return self.media_type == VECTOR_TILE

    @property
    def view(self) -> View:
        """What the tile shows: one of vectors stands for a picture of 512 pixels to a side."""
        view = self.tms.view(self.z, self.row, self.col)
        return replace(view, width=2 * view.width, height=2 * view.height) if self.is_vector else view


DOWNLOAD_BLOCK = 1024
"""Pixels: side of one picture of a download."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """Pictures of one layer to keep, side by side. `view` is all of them: its left and top are whole multiples of `resolution`, so that
    what is fetched twice lies on the same pixels."""

    layer: LayerName
    style: str | None
    view: View
    resolution: float                       # units of the CRS a pixel
    media_type: str

    def blocks(self) -> Iterator[tuple[int, int, View]]:
        """Row, column and view of each picture, from the top left."""
        view, step = self.view, self.resolution
        for row, top in enumerate(range(0, view.height, DOWNLOAD_BLOCK)):
            for col, left in enumerate(range(0, view.width, DOWNLOAD_BLOCK)):
                width, height = min(DOWNLOAD_BLOCK, view.width - left), min(DOWNLOAD_BLOCK, view.height - top)
                west, north = view.bounds.left + left * step, view.bounds.top - top * step
                yield row, col, View(crs=view.crs, bounds=Bounds(west, north - height * step, west + width * step, north), width=width, height=height)


WmsRequest = GetCapabilities | GetMap | GetFeatureInfo | GetLegendGraphic


# -- what can be wrong

FAULTS = MappingProxyType({
    "repeated": "`{name}` is given {count} times: give it once",
    "too-many-parameters": "the query has more than {most} parameters: leave out those that this service does not know",
    "missing": "`{name}` is missing: {mend}",
    "too-long": "`{name}` has {count} characters: at most {most} are read",
    "not-one-of": "`{name}` is `{value}`: it must be one of {choices}",
    "not-a-number": "`{name}` holds `{value}`: it must be a plain decimal number such as 120.5",
    "not-a-whole-number": "`{name}` is `{value}`: it must be a whole number from {least} to {most}",
    "bbox-not-four": "`BBOX` holds {count} values: it must be four numbers between commas, {order}",
    "bbox-order": "`BBOX` is empty or turned round: in {crs} and this version it is {order}, each minimum below its maximum",
    "bbox-far": "`BBOX` lies beyond what {crs} can express: in this version it is {order}; check the order of the axes",
    "bbox-fine": "`BBOX` is too small for `WIDTH` x `HEIGHT`: a pixel would be below what coordinates can tell apart",
    "crs-not-served": "CRS `{value}` is not served: ask for one of {choices}",
    "crs-spelling": "`{wrong}` is not a parameter of WMS {version}: give the reference system as `{name}`",
    "crs-ambiguous": "`SRS` and `CRS` differ: give only `{name}`, as WMS {version} has it",
    "layer-name": "`{value}` is not a layer name: lower-case letters, digits, `-` and `_`, then `@edition` if you want one",
    "style-name": "`{value}` is not the name of a style: see the styles of each layer in the capabilities",
    "styles-count": "`STYLES` names {count} styles for {layers} layers: name one for each, or leave it empty",
    "not-in-layers": "`{value}` is asked in `QUERY_LAYERS` but is not in `LAYERS`: name it in both",
    "colour": "`BGCOLOR` is `{value}`: it must be 0xRRGGBB, such as 0xFFFFFF",
    "refused-parameter": "`{name}` is not taken: this service has no styles, filters or attribute lists of the client's; leave it out",
    "time": "`TIME` is `{value}`: give a year, month, day or instant such as 2011-06-30, a span such as 2006/2011, or `current`; one at a time",
    "no-dimension": "`{name}` is not taken: an edition is part of the layer's name, such as `dom@2011`",
    "not-offered": "`{value}` is not offered: ask for one of {choices}",
    "version": "version `{value}` of {service} is not offered: ask for {choices}",
    "too-many-pixels": "{width} x {height} pixels are more than this service draws at once: ask for at most {most} pixels, {side} a side",
    "too-many-layers": "{count} layers are more than this service draws at once: ask for at most {most}",
    "no-such-matrix": "`{value}` is not a tile matrix of {tms}: it has {least} to {most}",
    "no-such-tile":
        "row {row}, column {col} is not in tile matrix {z} of {tms}: it has {rows} rows and {cols} columns, counted from 0 at the top left",
    "numbers-as-png": "tiles of style `{value}` hold heights as numbers: ask for them as png, which keeps every bit",
    "style-of-values": "style `{value}` shows values, not a picture to keep: fetch the values themselves, as a coverage or as terrain tiles",
    "datum-name": "`{name}` is `{value}`: it must be the code of a vertical datum, such as 1985 or wusong",
    "too-many-places": "`{name}` holds {count} places: at most {most} are told at once",
    "places-spelling": "`{name}` must be {least} or more places, x,y each, with `;` between them, such as 118.7,32.0;118.8,32.1",
    "line-of-no-length": "`LINE` has no length: give at least two different places",
    "line-off-earth": "`LINE` leaves the earth, or what {crs} can express: check the order of x and y",
    "water-level-far": "`WATER_LEVEL` is `{value}`: it must be metres from -1000 to 10000",
    "place-off-earth": "the place leaves the earth, or what {crs} can express: check the order of x and y",
    "place-not-areas": "`{value}` holds no areas, so no place lies in one: ask for the nearest, or of a table of areas",
    "sheet-number": "`{value}` is no sheet number, or can be read in several ways: write one like I50G095077, or an old one like I-50-142-(53)",
    "sheet-scale": "`{value}` is no scale of the standard: give 1000000, 500000, 250000, 100000, 50000, 25000, 10000, 5000, 2000, 1000 or 500",
    "no-sheet-there": "no sheet is numbered there: give 0 to 88 degrees north, 180 west to 180 east",
    "too-many-sheets": "{count} sheets of that scale are more than are told at once, or than may be told: ask for 1:10,000 or coarser, or for less ground",
    "no-division": "`{value}` is no division, or no vintage of its boundaries: give a code such as 320106",
    "no-sheets": "layer `{value}` is no raster: only rasters are listed by sheets",
    "edition-name": "`{value}` is not the edition that the layer's name says, or no name of an edition: give one of both",
    "moment": "`NEWER_THAN` is `{value}`: give a moment such as 2024-03-01T00:00:00Z",
    "held": "`{value}` does not say what you have: give sheet number, colon, and 8 or more hexadecimal digits of the checksum",
    "too-many-held": "more than {most} sheets are named: ask for a part at a time, by `bbox`",
    "collection-name": "`{value}` is not a collection: layer, a dot, and a table, such as `dlg.HYDL` or `dlg@2011.HYDL`",
    "no-parameter": "`{value}` is not a parameter here: leave it out",
    "not-sorted": "`{value}` is not taken: features come in one order, that of their storage, and are paged by following `next`",
    "datetime": "`datetime` is `{value}`: give an instant such as 2011-05-01T00:00:00Z, or two with `/` between them, `..` for an open end",
    "filter": "`filter` can't be answered: {what}: {mend}",
    "page-token": "`after` is not the name of a feature of this collection: follow the `next` link as it is",
    "no-such-property": "`{value}` is not an attribute of this collection: see its queryables",
    "tile-address": "`{value}` is no tile: give matrix set/z/x/y, such as WebMercatorQuad/14/13596/6645",
    "too-much-to-download":
        "{width} x {height} pixels are more than one download holds: ask for at most {most}, a part at a time or at a coarser RESOLUTION",
})
"""Every sentence this module can say, by name; the values between braces are `RequestInvalid.detail`."""

SHOWN = 80
"""Characters of the client's own words that a message repeats."""


def quotable(value: object) -> str:
    text = str(value)
    kept = "".join(c if c.isprintable() and c != "`" else "?" for c in text[:SHOWN])
    return f"{kept}..." if len(text) > SHOWN else kept


def fault(code: str, locator: str, fault: str, kind: type[RequestInvalid] = RequestInvalid, **detail: object) -> RequestInvalid:
    shown = {name: quotable(value) if name == "value" else str(value) for name, value in detail.items()}
    return kind(code, locator, FAULTS[fault].format(**shown), fault=fault, detail=MappingProxyType(shown))


# -- parameters

NUMBER = re.compile(r"-?(?:[0-9]{1,15}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?")
WHOLE = re.compile(r"0|[1-9][0-9]{0,8}")
COLOUR = re.compile(r"0[xX]([0-9A-Fa-f]{6})")

DIMENSIONS = frozenset({"TIME", "ELEVATION"})
REFUSED = frozenset({
    "SLD", "SLD_BODY", "REMOTE_OWS_TYPE", "REMOTE_OWS_URL", "WFS", "FILTER", "CQL_FILTER", "EXP_FILTER", "FILTER_GEOM", "FEATUREID",
    "FEATURE_ID",
    "PROPERTYNAME", "SORTBY", "SELECTION", "VIEWPARAMS", "ENV", "STYLE_BODY",
})
"""Client styles, filters and attribute lists (leaks of other services): refused by name where they hold anything."""

WMS_PARAMETERS = frozenset({
    "SERVICE", "REQUEST", "VERSION", "WMTVER", "LAYERS", "STYLES", "CRS", "SRS", "BBOX", "WIDTH", "HEIGHT", "FORMAT", "TRANSPARENT",
    "BGCOLOR", "EXCEPTIONS",
    "QUERY_LAYERS", "INFO_FORMAT", "FEATURE_COUNT", "I", "J", "X", "Y", "LAYER", "STYLE", "DPI", "MAP_RESOLUTION", "FORMAT_OPTIONS", "LANG",
    "WATER_LEVEL", "WATER_DATUM",
}) | REFUSED | DIMENSIONS
WMTS_PARAMETERS = frozenset({
    "SERVICE", "REQUEST", "VERSION", "ACCEPTVERSIONS", "LAYER", "STYLE", "FORMAT", "TILEMATRIXSET", "TILEMATRIX", "TILEROW", "TILECOL",
    "LANG",
}) | REFUSED | DIMENSIONS
XYZ_PARAMETERS = frozenset({"STYLE", "LANG"}) | REFUSED | DIMENSIONS
DOWNLOAD_PARAMETERS = frozenset({"CRS", "BBOX", "RESOLUTION", "FORMAT", "STYLE", "LANG"}) | REFUSED | DIMENSIONS


class Parameters:
    """The known parameters of a request by upper-case name. An empty value counts as none."""

    def __init__(self, pairs: Pairs, known: frozenset[str], limits: Limits):
        self._values: dict[str, str] = {}
        counts: dict[str, int] = {}
        for name, value in pairs:
            name = name.upper() if name.isascii() else name
            if name not in known and not name.startswith("DIM_"):
                continue
            counts[name] = counts.get(name, 0) + 1
            self._values[name] = value.strip(" ")
        for name, count in counts.items():
            if count > 1:
                raise fault("InvalidParameterValue", quotable(name), "repeated", name=quotable(name), count=count)
            if len(self._values[name]) > limits.max_value:
                raise fault("InvalidParameterValue", quotable(name), "too-long", RequestTooLarge, name=quotable(name),
                             count=len(self._values[name]), most=limits.max_value)

    def refuse_what_clients_may_not_choose(self, but: frozenset[str] = frozenset()) -> None:
        for name, value in self._values.items():
            if not value or name in but:
                continue
            if name in DIMENSIONS or name.startswith("DIM_"):
                raise fault("InvalidDimensionValue", quotable(name), "no-dimension", name=quotable(name))
            if name in REFUSED:
                raise fault("InvalidParameterValue", name, "refused-parameter", name=name)

    @property
    def is_bare(self) -> bool:
        """Whether nothing is asked: no parameter but the service and the language."""
        return not self._values.keys() - {"SERVICE", "LANG"}

    def text(self, name: str) -> str:
        return self._values.get(name, "")

    def required(self, name: str, mend: str) -> str:
        if value := self.text(name):
            return value
        raise fault("MissingParameterValue", name, "missing", name=name, mend=mend)

    def whole(self, name: str, least: int, most: int, *, default: int | None = None, code: str = "InvalidParameterValue") -> int:
        value = self.text(name)
        if not value and default is not None:
            return default
        if not value:
            raise fault("MissingParameterValue", name, "missing", name=name, mend=f"give a whole number from {least} to {most}")
        if not WHOLE.fullmatch(value) or not least <= int(value) <= most:
            raise fault(code, name, "not-a-whole-number", name=name, value=value, least=least, most=most)
        return int(value)

    def one_of(self, name: str, choices: Mapping[str, object], default: object):
        value = self.text(name)
        if not value:
            return default
        if value.upper() not in choices:
            raise fault("InvalidParameterValue", name, "not-one-of", name=name, value=value, choices=", ".join(choices))
        return choices[value.upper()]


def decimal(name: str, value: str) -> float:
    if not NUMBER.fullmatch(value) or not math.isfinite(float(value)):
        raise fault("InvalidParameterValue", name, "not-a-number", name=name, value=value)
    return float(value)


# -- WMS

WMS_VERSIONS = ("1.1.1", "1.3.0")
INFO_FORMATS = ("application/json", "application/geo+json", "text/html", "text/plain", "application/vnd.ogc.gml")
MAP_FORMATS = (PNG, JPEG, WEBP)
EXCEPTION_FORMS = MappingProxyType({
    "XML": Exceptions.XML, "INIMAGE": Exceptions.INIMAGE, "BLANK": Exceptions.BLANK,
    "APPLICATION/VND.OGC.SE_XML": Exceptions.XML, "APPLICATION/VND.OGC.SE_INIMAGE": Exceptions.INIMAGE,
    "APPLICATION/VND.OGC.SE_BLANK": Exceptions.BLANK,
    "TEXT/XML": Exceptions.XML,
})
TRUTH = MappingProxyType({"TRUE": True, "FALSE": False})
STYLE = re.compile(r"[a-z][a-z0-9_-]{0,62}")
DATUM = re.compile(r"[a-z0-9][a-z0-9-]{0,38}")
PNG_MODE = re.compile(r"image/png; ?mode=(?:8bit|16bit|24bit|32bit)")

DPI_LEAST, DPI_MOST, DPI_STANDARD = 72.0, 400.0, 90.714


def service_of(pairs: Pairs) -> str:
    """WMS, WMTS, WCS or WFS: what `SERVICE` says, WMS where it says nothing. Raises RequestInvalid for another one."""
    parameters = Parameters([(n, v) for n, v in pairs if n.upper() == "SERVICE"], WMS_PARAMETERS, Limits())
    return parameters.one_of("SERVICE", {"WMS": "WMS", "WMTS": "WMTS", "WCS": "WCS", "WFS": "WFS"}, "WMS")


def parse_wms(pairs: Pairs, limits: Limits = Limits()) -> WmsRequest:
    """The WMS request that `pairs` spell.

    Without VERSION it is 1.3.0. GetCapabilities negotiates the version (OGC 06-042, 6.2.4); the others take 1.1.1 and 1.3.0 only, since the
    order of the axes depends on it.

    >>> one = parse_wms([("REQUEST", "GetMap"), ("VERSION", "1.3.0"), ("LAYERS", "dom"), ("CRS", "EPSG:4490"), ("BBOX", "32,118,33,119"),
    ...                  ("WIDTH", "256"), ("HEIGHT", "256"), ("FORMAT", "image/png")])
    >>> one.view.bounds
    Bounds(left=118.0, bottom=32.0, right=119.0, top=33.0)
    """
    parameters = Parameters(pairs, WMS_PARAMETERS, limits)
    parameters.one_of("SERVICE", {"WMS": "WMS"}, "WMS")
    parameters.refuse_what_clients_may_not_choose(but=frozenset({"TIME"}))
    operation = parameters.required("REQUEST", "give GetCapabilities, GetMap, GetFeatureInfo or GetLegendGraphic")
    parse = WMS_OPERATIONS.get(operation.upper())
    if parse is None:
        choices = "GetCapabilities, GetMap, GetFeatureInfo, GetLegendGraphic"
        raise fault("OperationNotSupported", "REQUEST", "not-one-of", name="REQUEST", value=operation, choices=choices)
    return parse(parameters, limits)


def _wms_capabilities(parameters: Parameters, limits: Limits) -> GetCapabilities:
    return GetCapabilities(service="WMS", version=negotiated(parameters.text("VERSION") or parameters.text("WMTVER")))


def negotiated(version: str) -> str:
    """The version answered to one who asks for `version` in GetCapabilities: that one, else the next lower, else our lowest.

    >>> [negotiated(v) for v in ("", "1.1.1", "1.0.0", "1.2.0", "1.3.0", "9.9.9")]
    ['1.3.0', '1.1.1', '1.1.1', '1.1.1', '1.3.0', '1.3.0']
    """
    if not version:
        return WMS_VERSIONS[-1]
    if not re.fullmatch(r"[0-9]{1,2}(?:\.[0-9]{1,2}){0,2}", version):
        raise fault("InvalidParameterValue", "VERSION", "version", value=version, service="WMS", choices=", ".join(WMS_VERSIONS))
    asked = _version_key(version)
    return max((v for v in WMS_VERSIONS if _version_key(v) <= asked), key=_version_key, default=WMS_VERSIONS[0])


def _version_key(version: str) -> tuple[int, ...]:
    parts = [int(part) for part in version.split(".")]
    return tuple(parts + [0] * (3 - len(parts)))


def _exact_version(parameters: Parameters) -> str:
    version = parameters.text("VERSION") or WMS_VERSIONS[-1]
    if version not in WMS_VERSIONS:
        raise fault("InvalidParameterValue", "VERSION", "version", value=version, service="WMS", choices=", ".join(WMS_VERSIONS))
    return version


def _get_map(parameters: Parameters, limits: Limits) -> GetMap:
    version = _exact_version(parameters)
    parameters.one_of("EXCEPTIONS", EXCEPTION_FORMS, Exceptions.XML)
    layers = _layers(parameters, "LAYERS", limits)
    styles = _styles(parameters, layers)
    return GetMap(
        version=version, layers=layers, styles=styles, view=_view(parameters, version, limits),
        media_type=map_format(parameters.required("FORMAT", f"give one of {', '.join(MAP_FORMATS)}")),
        transparent=parameters.one_of("TRANSPARENT", TRUTH, False), background=_background(parameters), dpi=_dpi(parameters),
        time=_time(parameters), water=_water(parameters) if WATER_LEVEL in styles else None,
    )


def _water(parameters: Parameters) -> WaterAsked:
    """WATER_LEVEL and WATER_DATUM, our own parameters: both are needed, since a level without a datum means nothing."""
    text = parameters.required("WATER_LEVEL", "style `water-level` needs the level in metres")
    level = decimal("WATER_LEVEL", text)
    if not -1000 <= level <= 10_000:
        raise fault("InvalidParameterValue", "WATER_LEVEL", "water-level-far", value=text)
    datum = parameters.required("WATER_DATUM", "style `water-level` needs the vertical datum of the level, such as 1985 or wusong").lower()
    if not DATUM.fullmatch(datum):
        raise fault("InvalidParameterValue", "WATER_DATUM", "datum-name", name="WATER_DATUM", value=datum)
    return WaterAsked(level, datum)


def _get_feature_info(parameters: Parameters, limits: Limits) -> GetFeatureInfo:
    version = _exact_version(parameters)
    parameters.one_of("EXCEPTIONS", EXCEPTION_FORMS, Exceptions.XML)
    layers = _layers(parameters, "LAYERS", limits)
    query_layers = _layers(parameters, "QUERY_LAYERS", limits)
    for name in query_layers:
        if name not in layers:
            raise fault("LayerNotDefined", "QUERY_LAYERS", "not-in-layers", value=name)
    if parameters.text("FORMAT"):
        map_format(parameters.text("FORMAT"))
    view = _view(parameters, version, limits)
    column, row = ("I", "J") if version == "1.3.0" else ("X", "Y")
    return GetFeatureInfo(
        version=version, layers=layers, styles=_styles(parameters, layers), query_layers=tuple(dict.fromkeys(query_layers)), view=view,
        column=parameters.whole(column, 0, view.width - 1, code="InvalidPoint"),
        row=parameters.whole(row, 0, view.height - 1, code="InvalidPoint"),
        media_type=_info_format(parameters),
        feature_count=min(parameters.whole("FEATURE_COUNT", 1, 10**9 - 1, default=1), limits.max_features), time=_time(parameters),
    )


def _get_legend_graphic(parameters: Parameters, limits: Limits) -> GetLegendGraphic:
    version = _exact_version(parameters)
    parameters.one_of("EXCEPTIONS", EXCEPTION_FORMS, Exceptions.XML)
    return GetLegendGraphic(
        version=version, layer=layer_name(parameters.required("LAYER", "name one layer"), "LAYER"),
        style=style_name(parameters.text("STYLE"), "STYLE"), media_type=map_format(parameters.text("FORMAT") or PNG), time=_time(parameters),
    )


WMS_OPERATIONS = MappingProxyType({
    "GETCAPABILITIES": _wms_capabilities, "GETMAP": _get_map, "GETFEATUREINFO": _get_feature_info, "GETLEGENDGRAPHIC": _get_legend_graphic,
})


def layer_name(text: str, locator: str) -> LayerName:
    name, at, edition = text.partition("@")
    if not NAME.fullmatch(name) or (at and not EDITION.fullmatch(edition)):
        raise fault("LayerNotDefined", locator, "layer-name", value=text)
    return LayerName(name, edition if at else None)


def style_name(text: str, locator: str) -> str | None:
    """None for the layer's first style: asked for as nothing at all, or as `default`."""
    if text in ("", "default"):
        return None
    if not STYLE.fullmatch(text):
        raise fault("StyleNotDefined", locator, "style-name", value=text)
    return text


def _layers(parameters: Parameters, name: str, limits: Limits) -> tuple[LayerName, ...]:
    names = parameters.required(name, "name one layer or more, between commas").split(",")
    if len(names) > limits.max_layers:
        raise fault("InvalidParameterValue", name, "too-many-layers", RequestTooLarge, count=len(names), most=limits.max_layers)
    return tuple(layer_name(one.strip(" "), name) for one in names)


def _styles(parameters: Parameters, layers: Sequence[LayerName]) -> tuple[str | None, ...]:
    if not parameters.text("STYLES"):
        return (None,) * len(layers)
    names = parameters.text("STYLES").split(",")
    if len(names) > len(layers) or (len(names) < len(layers) and any(names)):
        raise fault("StyleNotDefined", "STYLES", "styles-count", count=len(names), layers=len(layers))
    styles = [style_name(one.strip(" "), "STYLES") for one in names]
    return tuple(styles + [None] * (len(layers) - len(styles)))


def map_format(text: str, locator: str = "FORMAT") -> str:
    """Media type of a picture. QGIS may ask for `image/png; mode=8bit`: that is PNG.

    >>> map_format("image/png; mode=8bit")
    'image/png'
    """
    text = text.lower()
    if text in MAP_FORMATS:
        return text
    if PNG_MODE.fullmatch(text):
        return PNG
    raise fault("InvalidFormat", locator, "not-offered", value=text, choices=", ".join(MAP_FORMATS))


def _time(parameters: Parameters) -> TimeAsked | None:
    if not (text := parameters.text("TIME")):
        return None
    if (asked := read_time(text)) is None:
        raise fault("InvalidDimensionValue", "TIME", "time", value=text)
    return asked


def _info_format(parameters: Parameters) -> str:
    text = parameters.text("INFO_FORMAT").lower() or "text/plain"
    if text not in INFO_FORMATS:
        raise fault("InvalidFormat", "INFO_FORMAT", "not-offered", value=text, choices=", ".join(INFO_FORMATS))
    return text


def _background(parameters: Parameters) -> tuple[int, int, int]:
    text = parameters.text("BGCOLOR")
    if not text:
        return WHITE
    if not (match := COLOUR.fullmatch(text)):
        raise fault("InvalidParameterValue", "BGCOLOR", "colour", value=text)
    red, green, blue = bytes.fromhex(match.group(1))
    return red, green, blue


def _dpi(parameters: Parameters) -> float:
    """Pixels per inch for drawing, within 72 and 400: what QGIS says in three ways at once."""
    options = dict(part.split(":", 1) for part in parameters.text("FORMAT_OPTIONS").split(";") if ":" in part)
    given = [(name, text) for name, text in (
        ("DPI", parameters.text("DPI")), ("MAP_RESOLUTION", parameters.text("MAP_RESOLUTION")), ("FORMAT_OPTIONS", options.get("dpi", "")),
    ) if text]
    numbers = [decimal(name, text) for name, text in given]
    return min(max(numbers[0], DPI_LEAST), DPI_MOST) if numbers else DPI_STANDARD


def _view(parameters: Parameters, version: str, limits: Limits) -> View:
    crs = _crs(parameters, version)
    width = parameters.whole("WIDTH", 1, 10**9 - 1)
    height = parameters.whole("HEIGHT", 1, 10**9 - 1)
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        raise fault("InvalidParameterValue", "WIDTH", "too-many-pixels", RequestTooLarge,
                     width=width, height=height, most=limits.max_pixels, side=limits.max_side)
    bounds = _bounds(parameters, crs, north_first=version == "1.3.0" and is_north_first(crs))
    finest = 1e-9 if is_geographic(crs) else 1e-4
    if bounds.width / width < finest or bounds.height / height < finest:
        raise fault("InvalidParameterValue", "BBOX", "bbox-fine")
    return View(crs=crs, bounds=bounds, width=width, height=height)


def _crs(parameters: Parameters, version: str) -> str:
    name, other = ("CRS", "SRS") if version == "1.3.0" else ("SRS", "CRS")
    text, misplaced = parameters.text(name), parameters.text(other)
    if misplaced and not text:
        raise fault("MissingParameterValue", name, "crs-spelling", wrong=other, version=version, name=name)
    if misplaced and misplaced != text:
        raise fault("InvalidParameterValue", name, "crs-ambiguous", name=name, version=version)
    text = parameters.required(name, f"give one of {', '.join(SERVED)}")
    try:
        return parse_crs(text)
    except CrsNotServed:
        raise fault("InvalidCRS" if name == "CRS" else "InvalidSRS", name, "crs-not-served", value=text,
                     choices=", ".join(SERVED)) from None


def _bounds(parameters: Parameters, crs: str, *, north_first: bool) -> Bounds:
    order = "N_min,E_min,N_max,E_max" if north_first else "x_min,y_min,x_max,y_max"
    texts = parameters.required("BBOX", f"give four numbers between commas, {order}").split(",")
    if len(texts) != 4:
        raise fault("InvalidParameterValue", "BBOX", "bbox-not-four", count=len(texts), order=order)
    numbers = [decimal("BBOX", text.strip(" ")) for text in texts]
    left, bottom, right, top = (numbers[i] for i in ((1, 0, 3, 2) if north_first else (0, 1, 2, 3)))
    if left >= right or bottom >= top:
        raise fault("InvalidParameterValue", "BBOX", "bbox-order", crs=crs, order=order)
    bounds = Bounds(left, bottom, right, top)
    if not may_be_shown(crs, bounds):
        raise fault("InvalidParameterValue", "BBOX", "bbox-far", crs=crs, order=order)
    return bounds


@lru_cache(maxsize=len(SERVED))
def expressible_bounds(crs: str) -> Bounds:
    """Where coordinates of `crs` mean something, in its own units: globe, Mercator square, 6 degrees beside a meridian."""
    if is_geographic(crs) or crs == "EPSG:3857":
        return world_bounds(crs)
    return transform_bounds(reach(crs), "CRS:84", crs)


def may_be_shown(crs: str, bounds: Bounds) -> bool:
    """Whether `bounds` touches the world of `crs` and overhangs it by no more than that world's own size: clients zoom out and round."""
    world = expressible_bounds(crs)
    return (
        bounds.intersects(world)
        and bounds.left >= world.left - world.width and bounds.right <= world.right + world.width
        and bounds.bottom >= world.bottom - world.height and bounds.top <= world.top + world.height
    )


# -- how an error is to be told

@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionForm:
    """How a client that asks for a picture wants to hear of an error: read apart, since the request itself may be what is wrong."""

    version: str = "1.3.0"
    exceptions: Exceptions = Exceptions.XML
    width: int = 0
    height: int = 0
    media_type: str = PNG
    transparent: bool = False
    background: tuple[int, int, int] = WHITE


def exception_form(pairs: Pairs, limits: Limits = Limits()) -> ExceptionForm:
    """Never raises: what can't be read is told as XML of the version that can be."""
    first = {}
    for name, value in pairs:
        first.setdefault(name.upper(), value)
    version = first.get("VERSION", "")
    version = version if version in WMS_VERSIONS else WMS_VERSIONS[-1]
    wanted = EXCEPTION_FORMS.get(first.get("EXCEPTIONS", "").upper(), Exceptions.XML)
    plain = ExceptionForm(version=version)
    if wanted is Exceptions.XML or first.get("REQUEST", "").upper() != "GETMAP":
        return plain
    try:
        parameters = Parameters(pairs, frozenset({"WIDTH", "HEIGHT", "FORMAT", "TRANSPARENT", "BGCOLOR"}), limits)
        width, height = parameters.whole("WIDTH", 1, limits.max_side), parameters.whole("HEIGHT", 1, limits.max_side)
        if width * height > limits.max_pixels:
            return plain
        return ExceptionForm(
            version=version, exceptions=wanted, width=width, height=height, media_type=map_format(parameters.text("FORMAT")),
            transparent=parameters.one_of("TRANSPARENT", TRUTH, False), background=_background(parameters),
        )
    except RequestInvalid:
        return plain


# -- tiles

WMTS_VERSION = "1.0.0"
TIANDITU_FORMAT = "TILES"
"""What clients of Tianditu send as FORMAT; PNG is the answer, as it is there for line maps."""

TILE_EXTENSIONS = MappingProxyType({**EXTENSIONS, "mvt": VECTOR_TILE, "pbf": VECTOR_TILE})

XYZ_PATH = re.compile(r"/tiles/([^/]{1,200})/([^/]{1,64})/([^/]{1,64})/([^/]{1,64})/([^/.]{1,64})\.([a-z]{3,4})")
REST_PATH = re.compile(r"/wmts/1\.0\.0/([^/]{1,200})/([^/]{1,64})/([^/]{1,64})/([^/]{1,64})/([^/]{1,64})/([^/.]{1,64})\.([a-z]{3,4})")


def parse_wmts_kvp(pairs: Pairs, limits: Limits = Limits()) -> GetCapabilities | GetTile:
    """The WMTS request that `pairs` spell. STYLE may be left out for the layer's first.

    The bare address is answered with the capabilities, since GDAL adds nothing to what is pasted; and GetCapabilities may say SERVICE=WMS,
    since QGIS adds that to every address and reads whichever document comes.
    """
    parameters = Parameters(pairs, WMTS_PARAMETERS, limits)
    asks_what_there_is = parameters.text("REQUEST").upper() == "GETCAPABILITIES" or parameters.is_bare
    parameters.one_of("SERVICE", {"WMTS": "WMTS", "WMS": "WMS"} if asks_what_there_is else {"WMTS": "WMTS"}, "WMTS")
    parameters.refuse_what_clients_may_not_choose()
    if asks_what_there_is:
        return _wmts_capabilities(parameters)
    operation = parameters.required("REQUEST", "give GetCapabilities or GetTile")
    if operation.upper() != "GETTILE":
        raise fault("OperationNotSupported", "REQUEST", "not-one-of", name="REQUEST", value=operation, choices="GetCapabilities, GetTile")
    if parameters.text("VERSION") not in ("", WMTS_VERSION):
        raise fault("InvalidParameterValue", "VERSION", "version", value=parameters.text("VERSION"), service="WMTS", choices=WMTS_VERSION)
    text = parameters.required("FORMAT", f"give one of {', '.join(MAP_FORMATS)}")
    return _tile(
        layer=parameters.required("LAYER", "name one layer"), style=parameters.text("STYLE"),
        tms=parameters.required("TILEMATRIXSET", f"give one of {', '.join(TILE_MATRIX_SETS)}"),
        z=parameters.required("TILEMATRIX", "give the identifier of a tile matrix"),
        row=parameters.required("TILEROW", "give the row, counted from 0 at the top"),
        col=parameters.required("TILECOL", "give the column, counted from 0 at the left"),
        media_type=PNG if text.upper() == TIANDITU_FORMAT else VECTOR_TILE if text.lower() == VECTOR_TILE else map_format(text),
    )


def _wmts_capabilities(parameters: Parameters) -> GetCapabilities:
    accepted = parameters.text("ACCEPTVERSIONS")
    if accepted and WMTS_VERSION not in [one.strip(" ") for one in accepted.split(",")]:
        raise fault("VersionNegotiationFailed", "AcceptVersions", "version", value=accepted, service="WMTS", choices=WMTS_VERSION)
    return GetCapabilities(service="WMTS", version=WMTS_VERSION)


def parse_tile_path(path: str, pairs: Pairs = (), limits: Limits = Limits()) -> GetTile | None:
    """The tile that an XYZ or WMTS REST address asks for; None where `path` is no address of a tile.

        /tiles/{layer}/{tile matrix set}/{z}/{x}/{y}.{png|jpg|webp|mvt|pbf}    style in ?style=
        /wmts/1.0.0/{layer}/{style}/{tile matrix set}/{z}/{row}/{col}.{png|jpg|webp|mvt|pbf}

    y counts from the top. `path` is decoded and holds no key; `pairs` are those of its query.

    >>> tile = parse_tile_path("/tiles/dom/tdt_c/10/849/164.png")
    >>> tile.z, tile.row, tile.col
    (10, 164, 849)
    """
    if match := XYZ_PATH.fullmatch(path):
        layer, tms, z, col, row, extension = match.groups()
        style = _xyz_style(pairs, limits) if pairs else ""
    elif match := REST_PATH.fullmatch(path):
        layer, style, tms, z, row, col, extension = match.groups()
        if pairs:
            _xyz_style([(name, value) for name, value in pairs if name.upper() != "STYLE"], limits)
    else:
        return None
    if extension not in TILE_EXTENSIONS:
        raise fault("InvalidFormat", "FORMAT", "not-offered", value=extension, choices="png, jpg, webp, mvt")
    return _tile(layer=layer, style=style, tms=tms, z=z, row=row, col=col, media_type=TILE_EXTENSIONS[extension])


def _xyz_style(pairs: Pairs, limits: Limits) -> str:
    parameters = Parameters(pairs, XYZ_PARAMETERS, limits)
    parameters.refuse_what_clients_may_not_choose()
    return parameters.text("STYLE")


def _tile(*, layer: str, style: str, tms: str, z: str, row: str, col: str, media_type: str) -> GetTile:
    matrix_set = tile_matrix_set(tms)
    level = int(z) if WHOLE.fullmatch(z) else -1
    if not matrix_set.min_zoom <= level <= matrix_set.max_zoom:
        raise fault("InvalidParameterValue", "TileMatrix", "no-such-matrix",
                     value=z, tms=matrix_set.id, least=matrix_set.min_zoom, most=matrix_set.max_zoom)
    at = _tile_index(row, "TileRow"), _tile_index(col, "TileCol")
    if not matrix_set.holds(level, *at):
        cols, rows = matrix_set.size(level)
        locator = "TileRow" if at[0] >= rows else "TileCol"
        raise fault("TileOutOfRange", locator, "no-such-tile", row=at[0], col=at[1], z=level, tms=matrix_set.id, rows=rows, cols=cols)
    name = style_name(style, "Style")
    if name is not None and media_type == VECTOR_TILE:
        raise fault("StyleNotDefined", "Style", "not-offered", value=name, choices="default")
    if name in ENCODINGS and media_type != PNG:
        raise fault("InvalidFormat", "FORMAT", "numbers-as-png", value=name)
    return GetTile(layer=layer_name(layer, "Layer"), style=name, tms=matrix_set, z=level, row=at[0], col=at[1], media_type=media_type)


def tile_matrix_set(name: str) -> TileMatrixSet:
    if name not in TILE_MATRIX_SETS:
        raise fault("InvalidParameterValue", "TileMatrixSet", "not-offered", value=name, choices=", ".join(TILE_MATRIX_SETS))
    return TILE_MATRIX_SETS[name]


def _tile_index(text: str, locator: str) -> int:
    if not WHOLE.fullmatch(text):
        raise fault("InvalidParameterValue", locator, "not-a-whole-number", name=locator, value=text, least=0, most=10**9 - 1)
    return int(text)


def parse_tile_json_style(pairs: Pairs, limits: Limits = Limits()) -> str | None:
    """The style asked of a TileJSON document; None is the layer's first."""
    return style_name(_xyz_style(pairs, limits), "style")


# -- files

def parse_download(layer: str, pairs: Pairs, limits: Limits = Limits()) -> Download:
    """What `/download/{layer}.zip?CRS=&BBOX=&RESOLUTION=&FORMAT=&STYLE=` asks for.

    BBOX is x before y in every CRS (left, bottom, right, top); RESOLUTION in units of the CRS a pixel. The box grows outward to whole pixels.

    >>> asked = parse_download("dom", [("CRS", "EPSG:4549"), ("BBOX", "380000.4,3540000,382000,3541500"), ("RESOLUTION", "1")])
    >>> asked.view.width, asked.view.height, sum(1 for _ in asked.blocks())
    (2000, 1500, 4)
    """
    parameters = Parameters(pairs, DOWNLOAD_PARAMETERS, limits)
    parameters.refuse_what_clients_may_not_choose()
    crs = _crs(parameters, "1.3.0")
    bounds, step = _bounds(parameters, crs, north_first=False), decimal("RESOLUTION", parameters.required("RESOLUTION", "give units of the CRS a pixel"))
    if step < (1e-9 if is_geographic(crs) else 1e-4):
        raise fault("InvalidParameterValue", "RESOLUTION", "bbox-fine")
    left, bottom, right, top = (round_(value / step) for value, round_ in zip(bounds, (math.floor, math.floor, math.ceil, math.ceil), strict=True))
    width, height = right - left, top - bottom
    if width * height > limits.max_download:
        raise fault("InvalidParameterValue", "RESOLUTION", "too-much-to-download", RequestTooLarge, width=width, height=height, most=limits.max_download)
    view = View(crs=crs, bounds=Bounds(left * step, bottom * step, right * step, top * step), width=width, height=height)
    if parameters.text("STYLE") in MEASURED:
        raise fault("StyleNotDefined", "STYLE", "style-of-values", value=parameters.text("STYLE"))
    return Download(
        layer=layer_name(layer, "Layer"), style=style_name(parameters.text("STYLE"), "STYLE"), view=view, resolution=step,
        media_type=map_format(parameters.text("FORMAT") or PNG),
    )
