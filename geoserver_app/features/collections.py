"""Collections of features as a caller may see them: one a table, described by his grants alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from agreements.model import Operation
from geoserver_app.gate import Visible
from geoserver_app.messages import CHINESE
from layers.crs import SERVED
from layers.features import NEVER_TOLD, FieldType
from layers.model import Bounds, Edition, FeatureClass, LayerName
from tiles.permits import Permit
from tiles.requests.features import FeatureTypeName
from tiles.vector.granted import told_fields

GEOMETRIES = {"point": "geometry-point-or-multipoint", "line": "geometry-linestring-or-multilinestring", "area": "geometry-polygon-or-multipolygon"}
"""Of JSON Schema for features (OGC 23-058): a cut may make several of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """One table of one edition. `bounds` west, south, east, north of what is granted of the layer; `crs` the systems in which it may be had."""

    name: str
    title: str
    description: str
    bounds: Bounds
    crs: tuple[str, ...]
    storage_crs: str | None
    currency: tuple[str | None, str | None]
    credits: tuple[str, ...]


def tables_of(edition: Edition) -> tuple[FeatureClass, ...]:
    """Those of which anything is ever told."""
    return tuple(table for table in edition.classes if table.kind not in NEVER_TOLD) if edition.vectors is not None else ()


def table_named(edition: Edition, name: FeatureTypeName) -> FeatureClass | None:
    """The table that is meant; the only one where none is named."""
    tables = tables_of(edition)
    if not name.table:
        return tables[0] if len(tables) == 1 else None
    return next((table for table in tables if table.name == name.table), None)


def collections(visible: Sequence[Visible], language: str) -> list[Collection]:
    """All that is open, the bare name of a layer for its latest edition, and every edition by its own name where there are several."""
    found = []
    for one in visible:
        if Operation.GET_FEATURE not in one.operations:
            continue
        names = [LayerName(one.layer.name)] if one.is_latest else []
        names += [] if one.is_only else [LayerName(one.layer.name, one.edition.name)]
        found += [collection(one, table, name, language) for name in names for table in tables_of(one.edition)]
    return found


def collection(one: Visible, table: FeatureClass, name: LayerName, language: str) -> Collection:
    is_chinese, layer, (start, end) = language == CHINESE, one.layer, one.edition.currency
    title = table.title_zh if is_chinese else table.title_en
    of_layer = layer.title_zh if is_chinese else layer.title_en
    return Collection(
        name=str(FeatureTypeName(name, table.name)), title=f"{of_layer} {one.edition.name} / {title}", description=layer.abstract,
        bounds=one.bounds.rounded(7), crs=tuple(crs for crs in SERVED if one.crs is None or crs in one.crs),
        storage_crs=one.edition.crs if one.edition.crs in SERVED else None, credits=one.permit.credits,
        currency=(start.isoformat() if start else None, end.isoformat() if end else None),
    )


def crs_uri(crs: str) -> str:
    """As OGC writes it on the web.

    >>> crs_uri("EPSG:4549"), crs_uri("CRS:84")
    ('http://www.opengis.net/def/crs/EPSG/0/4549', 'http://www.opengis.net/def/crs/OGC/1.3/CRS84')
    """
    return "http://www.opengis.net/def/crs/OGC/1.3/CRS84" if crs == "CRS:84" else f"http://www.opengis.net/def/crs/EPSG/0/{crs.removeprefix('EPSG:')}"


def schema(permit: Permit, table: FeatureClass, types: dict[str, FieldType], title: str, address: str, *, is_queryables: bool) -> dict:
    """JSON Schema of what may be asked of, or is told of, a feature: of the fields that are granted, and no others."""
    properties: dict[str, dict] = {} if is_queryables else {"id": {"type": "string", "x-ogc-role": "id"}}
    properties["geometry"] = {"x-ogc-role": "primary-geometry", "format": GEOMETRIES[table.geometry]}
    for name in told_fields(permit, table):
        kind = types[name]
        properties[name] = {"type": "string", "format": kind.value} if kind in (FieldType.DATE, FieldType.DATE_TIME) else {"type": kind.value}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "$id": address, "type": "object", "title": title, "properties": properties,
        "additionalProperties": False,
    }
