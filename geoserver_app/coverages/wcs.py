"""Coverages as documents: WCS 1.0.0 and 2.0.1, built from the grants of GetCoverage alone (design R8). Pure functions of values.

A coverage is offered over the box of what is granted, in pixels no finer than granted: those of the sheets, or the cells of a grant that is
degraded. Every edition is a coverage of its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from geoserver_app.capabilities import Address, LayerEntry, ServiceEntry, bounds_in, describe, kvp, public_name
from geoserver_app.coverages.files import BANDS
from geoserver_app.gate import Visible
from geoserver_app.messages import sentence
from geoserver_app.ows_documents import document, plain_number
from layers.crs import SERVED, is_geographic, is_north_first
from layers.model import LayerName, ProductType
from layers.mosaic.reader import NODATA
from tiles.coverage_grids import CoverageGrid, grid_of
from tiles.coverage_views import axis_labels
from tiles.requests.wcs import COVERAGE_FORMATS, OLD, TIFF, coverage_id

OGC = "http://www.opengis.net/def/crs/"
FORMATS = {ProductType.DEM: (TIFF,), ProductType.DOM: COVERAGE_FORMATS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One band: `uom` is a code of UCUM."""

    name: str
    title: str
    uom: str
    least: str
    most: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageEntry:
    """A coverage in one language, as far as one caller may have it. `grid` is the one that is described; `formats` are media types."""

    name: str
    id: str
    layer: LayerEntry
    product: ProductType
    grid: CoverageGrid
    crs: tuple[str, ...]
    formats: tuple[str, ...]
    fields: tuple[Field, ...]
    nodata: str
    interpolations: tuple[str, ...]
    kinds: tuple[str, ...]               # formats that a coverage of its product can have, granted or not
    notes: str


def coverages(open_ones: Iterable[Visible], language: str, address: Address) -> list[CoverageEntry]:
    """Of what may be had by GetCoverage, all that are rasters, and of which there is some in a format and a CRS that are granted."""
    return [entry for one in open_ones if one.edition.product.is_raster and (entry := _entry(one, language, address)) is not None]


def _entry(one: Visible, language: str, address: Address) -> CoverageEntry | None:
    edition, product = one.edition, one.edition.product
    boxes = {crs: box for crs in SERVED if (one.crs is None or crs in one.crs) and (box := bounds_in(one.bounds, crs)) is not None}
    formats = tuple(media_type for media_type in FORMATS[product] if one.formats is None or media_type in one.formats)
    grid = grid_of(edition, one.extent, boxes, cell=_finest_cell(one), finest=one.finest)
    if grid is None or not formats:
        return None
    name = public_name(one)
    (layer,) = describe([one], language, address)
    return CoverageEntry(
        name=name, id=coverage_id(LayerName.parse(name)), layer=layer, product=product, grid=grid, crs=tuple(boxes), formats=formats,
        fields=_fields(one, language), nodata=plain_number(NODATA) if product is ProductType.DEM else "",
        interpolations=("nearest neighbor",) if edition.nearest else ("bilinear", "nearest neighbor"),
        kinds=FORMATS[product], notes=_notes(one, layer, language),
    )


def _finest_cell(one: Visible) -> float | None:
    """Metres of the cells, where all that is granted is seen through some; the smallest of them."""
    cells = [part.variant.degrade for part in one.permit.parts]
    return None if None in cells else min(cells)


def _fields(one: Visible, language: str) -> tuple[Field, ...]:
    if one.edition.product is ProductType.DEM:
        return (Field(name="height", title=sentence("height", {}, language), uom="m", least="-12000", most="9000"),)
    return tuple(Field(name=name, title=sentence(f"band-{name}", {}, language), uom="10^0", least="0", most="255") for name in BANDS[ProductType.DOM])


def _notes(one: Visible, layer: LayerEntry, language: str) -> str:
    datum = one.edition.vertical_datum if one.edition.product is ProductType.DEM else None
    notes = [layer.abstract, sentence("vertical-datum", {"datum": datum}, language) if datum else "", f"© {layer.credit}" if layer.credit else ""]
    return " ".join(note for note in notes if note)


# -- spelling

def crs_uri(crs: str) -> str:
    """
    >>> crs_uri("EPSG:4549"), crs_uri("CRS:84")
    ('http://www.opengis.net/def/crs/EPSG/0/4549', 'http://www.opengis.net/def/crs/OGC/1.3/CRS84')
    """
    return f"{OGC}OGC/1.3/CRS84" if crs == "CRS:84" else f"{OGC}EPSG/0/{crs.removeprefix('EPSG:')}"


def in_order(crs: str, x: float, y: float) -> str:
    """A position in the order of the axes of its CRS."""
    return " ".join(plain_number(value) for value in ((y, x) if is_north_first(crs) else (x, y)))


def wcs_capabilities(version: str, entries: Sequence[CoverageEntry], service: ServiceEntry, address: Address) -> str:
    offered = [crs for crs in SERVED if any(crs in entry.crs for entry in entries)]
    return document(
        f"wcs_{_name_of(version)}_capabilities.xml", service=service, coverages=entries, here=kvp(address("/wcs")), crs=offered, crs_uri=crs_uri,
        formats=[one for one in COVERAGE_FORMATS if not entries or any(one in entry.formats for entry in entries)],
    )


def coverage_descriptions(version: str, entries: Sequence[CoverageEntry]) -> str:
    return document(
        f"wcs_{_name_of(version)}_description.xml", coverages=entries, crs_uri=crs_uri, in_order=in_order, labels=axis_labels, is_geographic=is_geographic,
        north_first=is_north_first,
    )


def _name_of(version: str) -> str:
    return "1_0_0" if version == OLD else "2_0_1"
