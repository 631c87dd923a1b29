"""What a caller may see, as documents: WMS 1.1.1 and 1.3.0, WMTS 1.0.0, TileJSON. Built from the grants alone (design R8).

Pure functions of values: `describe` turns what the gate calls visible into `LayerEntry` values, once for all documents; the rest is
spelling. Boxes are those of the granted part of a layer, never of the layer. Scale denominators are true ground scale at 0.28 mm a pixel.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import groupby

from markupsafe import Markup

from agreements.model import Operation
from geoserver_app.gate import Visible
from geoserver_app.messages import LANGUAGES, sentence, style_title
from geoserver_app.ows_documents import document, plain_number
from geoserver_app.sheets.editions_in_time import TimeEntry, time_entry
from layers.crs import SERVED, is_geographic, is_north_first, reach, scale_denominator, transform_bounds
from layers.model import MEASURED, STYLES, Bounds, LayerName
from tiles.encode import JPEG, PNG, WEBP
from tiles.grids import TILE_MATRIX_SETS, TileMatrixSet
from tiles.requests import INFO_FORMATS, MAP_FORMATS
from tiles.terrain import ENCODERS

Address = Callable[..., str]
"""`Caller.address`: path and query -> absolute address that carries the caller's key on where it came in the address."""

EXTENSIONS = {PNG: "png", JPEG: "jpg", WEBP: "webp"}
WELL_KNOWN_SCALE_SETS = {"WebMercatorQuad": "urn:ogc:def:wkss:OGC:1.0:GoogleMapsCompatible"}


# -- one layer

@dataclass(frozen=True, slots=True, kw_only=True)
class StyleEntry:
    name: str
    title: str
    legend: str                                 # address of its legend
    is_default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSetEntry:
    """The levels of a tile matrix set at which a layer may be seen, each with min_row, max_row, min_col, max_col."""

    tms: TileMatrixSet
    limits: tuple[tuple[int, tuple[int, int, int, int]], ...]

    @property
    def min_zoom(self) -> int:
        return self.limits[0][0]

    @property
    def max_zoom(self) -> int:
        return self.limits[-1][0]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerEntry:
    """A layer in one language, as far as one caller may see it. `bounds` west south east north; `finest`, `coarsest` None where open."""

    name: str
    title: str
    abstract: str
    product: str
    bounds: Bounds
    crs_bounds: tuple[tuple[str, Bounds], ...]  # x before y
    styles: tuple[StyleEntry, ...]
    formats: tuple[str, ...]
    info_formats: tuple[str, ...]
    operations: frozenset[Operation]
    finest: float | None
    coarsest: float | None
    credit: str
    tile_sets: tuple[TileSetEntry, ...]
    time: TimeEntry | None = None               # of the bare name of a layer alone: which of its editions are shared

    @property
    def is_queryable(self) -> bool:
        return Operation.GET_FEATURE_INFO in self.operations

    @property
    def tile_styles(self) -> tuple[StyleEntry, ...]:
        """Those that a tile can be drawn in."""
        return tuple(style for style in self.styles if style.name not in MEASURED)


def describe(visible: Iterable[Visible], language: str, address: Address) -> list[LayerEntry]:
    visible = tuple(visible)
    times = {
        name: time_entry([one.edition for one in entries])
        for name, entries in groupby(visible, key=lambda one: one.layer.name) for entries in [tuple(entries)]
    }
    return [replace(_entry(one, language, address), time=times[one.layer.name] if one.is_latest else None) for one in visible]


def public_name(one: Visible) -> str:
    """`dom` for the latest edition that the caller may see of a layer, `dom@2006` for an older one: what LAYERS must say to get it."""
    return str(LayerName(one.layer.name, None if one.is_latest else one.edition.name))


def _entry(one: Visible, language: str, address: Address) -> LayerEntry:
    name, bounds = public_name(one), one.bounds
    return LayerEntry(
        name=name, title=_title(one, language), abstract=_abstract(one, language), product=str(one.layer.product),
        bounds=_outward(bounds, 7),
        crs_bounds=tuple((crs, box) for crs in SERVED if (one.crs is None or crs in one.crs) and (box := bounds_in(bounds, crs))),
        styles=_styles(one, name, language, address), formats=tuple(f for f in MAP_FORMATS if one.formats is None or f in one.formats),
        info_formats=tuple(f for f in INFO_FORMATS if one.formats is None or f in one.formats),
        operations=one.operations, finest=one.finest, coarsest=one.coarsest,
        credit="; ".join(one.permit.credits) or one.layer.attribution,
        tile_sets=tile_sets_of(one) if Operation.GET_TILE in one.operations else (),
    )


def _title(one: Visible, language: str) -> str:
    title = (one.layer.title_zh, one.layer.title_en)[LANGUAGES.index(language)] or one.layer.name
    if one.is_only:
        return title
    return sentence("edition", {"title": title, "edition": one.edition.name}, language)


def _abstract(one: Visible, language: str) -> str:
    notes = [one.layer.abstract, sentence("synthetic", {}, language) if one.layer.synthetic else ""]
    return " ".join(note for note in notes if note)


def _styles(one: Visible, name: str, language: str, address: Address) -> tuple[StyleEntry, ...]:
    """Those granted; the first of them is what an empty STYLES asks for."""
    granted = [style for style in STYLES[one.layer.product] if one.styles is None or style in one.styles]
    return tuple(
        StyleEntry(
            name=style, title=style_title(style, language), is_default=style == granted[0],
            legend=address("/ows", service="WMS", version="1.3.0", request="GetLegendGraphic", layer=name, style=style, format=PNG),
        )
        for style in granted
    )


@lru_cache(maxsize=20_000)
def bounds_in(bounds: Bounds, crs: str) -> Bounds | None:
    """`bounds` (lon lat degrees) in `crs`, x before y, rounded outward; None where they lie beyond what `crs` expresses."""
    within = bounds.intersection(reach(crs))
    if within.left >= within.right or within.bottom >= within.top:
        return None
    return _outward(transform_bounds(within, "CRS:84", crs), 7 if is_geographic(crs) else 2)


def _outward(bounds: Bounds, digits: int) -> Bounds:
    unit = 10**digits
    return Bounds(*(math.floor(round(v * unit, 3)) / unit for v in bounds[:2]), *(math.ceil(round(v * unit, 3)) / unit for v in bounds[2:]))


def tile_sets_of(one: Visible) -> tuple[TileSetEntry, ...]:
    """The sets in which a layer has tiles, of pictures or of numbers, within the scales of its grants."""
    sets = (
        TileSetEntry(tms=tms, limits=_limits(one.bounds, tms.id, one.finest, one.coarsest))
        for tms in TILE_MATRIX_SETS.values() if one.crs is None or tms.crs in one.crs
    )
    return tuple(entry for entry in sets if entry.limits)


@lru_cache(maxsize=20_000)
def _limits(bounds: Bounds, tms_id: str, finest: float | None, coarsest: float | None) -> tuple[tuple[int, tuple[int, int, int, int]], ...]:
    """Level and limits of every level of which some row lies within the scale window."""
    tms = TILE_MATRIX_SETS[tms_id]
    box = bounds_in(bounds, tms.crs)
    if box is None:
        return ()
    found = ((z, tms.limits(z, box)) for z in tms.zooms)
    return tuple((z, limits) for z, limits in found if limits and _shows(tms, z, limits, finest, coarsest))


def _shows(tms: TileMatrixSet, z: int, limits: tuple[int, int, int, int], finest: float | None, coarsest: float | None) -> bool:
    """Whether a tile of these rows is within the scale window: the ground scale of a level varies with latitude."""
    min_row, max_row, min_col, _ = limits
    scales = [scale_denominator(tms.view(z, row, min_col)) for row in (min_row, max_row)]
    return (finest is None or max(scales) >= finest) and (coarsest is None or min(scales) <= coarsest)


# -- the service as a whole

@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEntry:
    """Who serves: the head of every document."""

    title: str
    abstract: str
    constraints: str
    contact_name: str
    contact_email: str
    language: str
    max_width: int
    max_height: int
    max_layers: int


def kvp(address: str) -> str:
    """An address to which a client can append parameters.

    >>> kvp("http://host/ows"), kvp("http://host/ows?key=1")
    ('http://host/ows?', 'http://host/ows?key=1&')
    """
    return f"{address}{'&' if '?' in address else '?'}"


# -- WMS

def wms_capabilities(version: str, entries: Sequence[LayerEntry], service: ServiceEntry, address: Address) -> str:
    """Capabilities of WMS 1.1.1 (OGC 01-068r3, the DTD's order of elements) or 1.3.0 (OGC 06-042, the schema's)."""
    shown = [entry for entry in entries if Operation.GET_MAP in entry.operations]
    return document(
        f"capabilities_wms_{version.replace('.', '_')}.xml", service=service, layers=shown, here=kvp(address("/ows")),
        formats=_offered(shown), info_formats=_offered_info(shown), ordered=_ordered, scale_hint=_scale_hint,
    )


def _offered(entries: Sequence[LayerEntry]) -> list[str]:
    return [f for f in MAP_FORMATS if not entries or any(f in entry.formats for entry in entries)]


def _offered_info(entries: Sequence[LayerEntry]) -> Sequence[str]:
    """Forms of feature info that some layer is told in; all of them where there is none, since the document must name one."""
    return [f for f in INFO_FORMATS if any(f in entry.info_formats for entry in entries if entry.is_queryable)] or INFO_FORMATS


@lru_cache(maxsize=20_000)
def _ordered(crs: str, bounds: Bounds) -> tuple[str, str, str, str]:
    """minx, miny, maxx, maxy of a BoundingBox in WMS 1.3.0: in the order of the CRS's own axes."""
    left, bottom, right, top = (plain_number(value) for value in bounds)
    return (bottom, left, top, right) if is_north_first(crs) else (left, bottom, right, top)


def _scale_hint(denominator: float | None, default: str) -> str:
    """Diagonal of a pixel in metres (OGC 01-068r3, 7.1.4.5.9)."""
    return default if denominator is None else plain_number(round(denominator * 0.00028 * math.sqrt(2), 6))


# -- WMTS

def wmts_capabilities(entries: Sequence[LayerEntry], service: ServiceEntry, address: Address) -> str:
    """Capabilities of WMTS 1.0.0 (OGC 07-057r7), KVP and REST, with the limits of what is granted in every tile matrix set."""
    shown = [entry for entry in entries if entry.tile_sets]
    used = {link.tms.id for entry in shown for link in entry.tile_sets}
    return document(
        "capabilities_wmts.xml", service=service, layers=shown, here=kvp(address("/wmts")),
        document_address=address("/wmts/1.0.0/WMTSCapabilities.xml"),
        rest=address("/wmts/1.0.0/"), template=lambda entry, media_type: _rest_template(entry, media_type, address),
        limits=lambda link: _limits_document(link.limits),
        matrix_sets=[_matrix_set(tms) for tms in TILE_MATRIX_SETS.values() if tms.id in used],
    )


@lru_cache(maxsize=2_000)
def _limits_document(limits: tuple[tuple[int, tuple[int, int, int, int]], ...]) -> Markup:
    """The long part of the document, numbers only: kept, since layers of one agreement share it."""
    return Markup("\n").join(
        Markup(
            "<TileMatrixLimits><TileMatrix>%d</TileMatrix><MinTileRow>%d</MinTileRow><MaxTileRow>%d</MaxTileRow>"
            "<MinTileCol>%d</MinTileCol><MaxTileCol>%d</MaxTileCol></TileMatrixLimits>" % (z, *rows_and_cols)
        )
        for z, rows_and_cols in limits
    )


def _rest_template(entry: LayerEntry, media_type: str, address: Address) -> str:
    return address(f"/wmts/1.0.0/{entry.name}/{{Style}}/{{TileMatrixSet}}/{{TileMatrix}}/{{TileRow}}/{{TileCol}}.{EXTENSIONS[media_type]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixSetEntry:
    """A tile matrix set as WMTS spells it: the corner in the CRS's own order of axes."""

    id: str
    title: str
    crs: str                                    # urn
    well_known: str
    matrices: tuple[tuple[str, str, str, int, int, int], ...]   # identifier, scale denominator, corner, tile size, columns, rows


@cache
def _matrix_set(tms: TileMatrixSet) -> MatrixSetEntry:
    x, y = (plain_number(value) for value in tms.origin)
    if is_geographic(tms.crs):
        x, y = f"{float(x):.1f}", f"{float(y):.1f}"
    corner = f"{y} {x}" if is_north_first(tms.crs) else f"{x} {y}"
    return MatrixSetEntry(
        id=tms.id, title=tms.title, crs=f"urn:ogc:def:crs:EPSG::{tms.crs.removeprefix('EPSG:')}",
        well_known=WELL_KNOWN_SCALE_SETS.get(tms.id, ""),
        matrices=tuple((tms.identifier(z), plain_number(tms.scale_denominator(z)), corner, tms.tile_size, *tms.size(z)) for z in tms.zooms),
    )


# -- TileJSON

def tile_json(entry: LayerEntry, link: TileSetEntry, style: str | None, address: Address) -> dict:
    """TileJSON 3.0.0. Outside WebMercatorQuad `tileMatrixSet` and `crs` say what the numbers mean, which plain TileJSON can't."""
    extension = EXTENSIONS[tile_format(entry)]
    query = {"style": style} if style else {}
    west, south, east, north = entry.bounds
    return {
        "tilejson": "3.0.0", "name": entry.title, "description": entry.abstract, "attribution": entry.credit, "scheme": "xyz",
        "tiles": [address(f"/tiles/{entry.name}/{link.tms.id}/{{z}}/{{x}}/{{y}}.{extension}", **query)],
        "minzoom": link.min_zoom, "maxzoom": link.max_zoom, "bounds": list(entry.bounds),
        "center": [round((west + east) / 2, 7), round((south + north) / 2, 7), _opening_zoom(link)],
        "legend": next((s.legend for s in entry.styles if s.name == style or (style is None and s.is_default)), ""),
        "tileMatrixSet": link.tms.id, "crs": link.tms.crs, "format": extension,
    }


def terrain_json(entry: LayerEntry, link: TileSetEntry, style: str, address: Address) -> dict:
    """TileJSON of tiles whose colours are heights: `encoding` as MapLibre has it. They have no legend."""
    document = tile_json(entry, link, style, address) | {
        "tiles": [address(f"/tiles/{entry.name}/{link.tms.id}/{{z}}/{{x}}/{{y}}.png", style=style)], "format": "png",
        "encoding": ENCODERS[style].name, "tileSize": link.tms.tile_size,
    }
    document.pop("legend")
    return document


def _opening_zoom(link: TileSetEntry) -> int:
    """The finest level at which what is granted still fits a screen of four by four tiles."""
    fitting = [z for z, (top, bottom, left, right) in link.limits if bottom - top < 4 and right - left < 4]
    return max(fitting, default=link.min_zoom)


def tile_format(entry: LayerEntry) -> str:
    """PNG where it is granted: areas end within tiles, and what lies beyond must be transparent."""
    return next((f for f in (PNG, WEBP, JPEG) if f in entry.formats), PNG)
