"""What clients of vector tiles begin with, built from the grants alone: TileJSON 3.0.0 with its layers, and a style of MapLibre.

Neither names a table that is never told, nor an attribute that is not: the agency that has no right to it can't read of it here either.
"""

from collections.abc import Sequence
from dataclasses import replace

from geoserver_app.capabilities import Address, LayerEntry, TileSetEntry, tile_json, tile_sets_of
from geoserver_app.gate import Visible
from layers.features import FieldType
from layers.model import Edition
from tiles.dlg_styles import UNLABELLED, has_labels
from tiles.maplibre import layers_of, plainly
from tiles.permits import Permit
from tiles.symbols import names_told
from tiles.vector.contents import PIXELS, TableContents, as_told, scale_of
from tiles.vector.filters import KIND
from tiles.vector.making import TileMaker
from tiles.vector.mvt import told_in_tiles

FINEST_TILES = 2000.0
"""Scale denominator of the finest tiles that are announced: clients enlarge them. Coordinates are exact to some centimetres there."""

SPRITE = "line-map"
BACKGROUND = "#FFFFFF"
TYPES = {FieldType.INTEGER: "Number", FieldType.NUMBER: "Number", FieldType.BOOLEAN: "Boolean"}


def vector_sets(one: Visible) -> tuple[TileSetEntry, ...]:
    """The sets in which a layer has vector tiles. Such a tile is seen at twice the scale of a picture, so the window of scales is twice as wide."""
    doubled = replace(one, finest=one.finest and 2 * one.finest, coarsest=one.coarsest and 2 * one.coarsest)
    return tuple(_announced(link) for link in tile_sets_of(doubled))


def _announced(link: TileSetEntry) -> TileSetEntry:
    limits = tuple(one for one in link.limits if scale_of(link.tms, one[0]) >= FINEST_TILES)
    return replace(link, limits=limits or link.limits[:1])


def vector_json(entry: LayerEntry, link: TileSetEntry, permit: Permit, maker: TileMaker, language: str, address: Address) -> dict:
    """TileJSON: `vector_layers` are the tables of which something is told, with the attributes that are."""
    contents = maker.contents(permit.edition, told_in_tiles(permit))
    document = tile_json(entry, link, None, address) | {
        "tiles": [address(f"/tiles/{entry.name}/{link.tms.id}/{{z}}/{{x}}/{{y}}.mvt")], "format": "pbf", "tileSize": PIXELS,
        "vector_layers": [_layer(table, link, permit.edition, maker, language) for table in contents.values()],
    }
    document.pop("legend")
    return document


def _layer(table: TableContents, link: TileSetEntry, edition: Edition, maker: TileMaker, language: str) -> dict:
    types = maker.store.fields(edition, table.table)
    fields = {name: TYPES.get(types.get(name, FieldType.TEXT), "String") for name in table.fields}
    zooms = [z for z, _ in link.limits if scale_of(link.tms, z) < table.coarsest]
    return {
        "id": table.table.name, "description": table.table.title_zh if language == "zh" else table.table.title_en,
        "minzoom": min(zooms, default=link.max_zoom), "maxzoom": link.max_zoom, "fields": fields | ({KIND: "String"} if table.has_kinds else {}),
    }


def style_json(entry: LayerEntry, permit: Permit, maker: TileMaker, address: Address, base_url: str, *, style: str) -> dict:
    """A style of MapLibre that draws the layer as its pictures are drawn, of what is told.

    The rules of an overlay are their owner's; whoever may not have every attribute that they tell gets a plain style.
    """
    told = told_in_tiles(permit)
    edition = as_told(permit.edition, told)
    if edition.symbols is not None and not _all_told(names_told(permit.edition, "default" if has_labels(style) else UNLABELLED), told):
        edition = plainly(edition)
    layers = layers_of(edition, entry.name, maker.book.in_style(style), maker.parameters(permit.edition), labels=has_labels(style))
    background = [] if permit.edition.product.value == "OVERLAY" else [{"id": "ground", "type": "background", "paint": {"background-color": BACKGROUND}}]
    return {
        "version": 8, "name": entry.title, "metadata": {"geoshare:abstract": entry.abstract},
        "sources": {entry.name: {"type": "vector", "url": address(f"/tiles/{entry.name}/vector.json")}},
        "sprite": f"{base_url}/sprites/{SPRITE}", "glyphs": f"{base_url}/glyphs/{{fontstack}}/{{range}}.pbf",
        "layers": [*background, *layers],
    }


def _all_told(names: frozenset[str], told: dict[str, Sequence[str]]) -> bool:
    return all(field in told.get(table, ()) for table, _, field in (name.partition(".") for name in names))
