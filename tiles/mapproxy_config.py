"""An edition in one style, as MapProxy's configuration: values to a dict, nothing else.

No service is ever configured: MapProxy renders and stores, and is reached through `tiles.engine` alone. One cache a tile matrix set, in
files that a web server could send: <cache>/<edition>/<style>/<set>/<z>/<column>/<row>.<extension>, rows counted from the top. The tiles of a
variant lie in a folder of their own beside the style's: <style>+<variant>.
"""

from pathlib import Path

from layers.model import Edition, ProductType
from tiles.grids import TILE_MATRIX_SETS, TileMatrixSet
from tiles.variants import MASTER, Variant, folder_of

RASTER_SOURCE, VECTOR_SOURCE = "geoshare_raster", "geoshare_vector"

META_SIZE = 4
"""Tiles to a side that are drawn at once."""

LABEL_BUFFER = 64
"""Pixels by which what a line map draws of a feature may stand out over it. Nothing is drawn around the tiles to be thrown away: names stand wholly in
those that are drawn together, or not at all."""

LOCK_SECONDS = 300
"""Longest time one waits for another to draw the same tiles; MapProxy calls it `http.client_timeout`."""

JPEG_QUALITY = 90

SOURCE = "edition"


def configuration(edition: Edition, style: str, variant: Variant = MASTER, *, cache: Path, locks: Path) -> dict:
    """MapProxy's configuration of one edition in one style. Both folders are absolute; `locks` lies on a local disk."""
    return {
        "services": {},
        "globals": {
            "cache": {
                "base_dir": str(cache), "tile_lock_dir": str(locks), "meta_size": [META_SIZE, META_SIZE],
                "meta_buffer": 0, "concurrent_tile_creators": 1,
            },
            "http": {"client_timeout": LOCK_SECONDS},
            "image": {"paletted": False},
        },
        "grids": {tms.id: grid(tms) for tms in TILE_MATRIX_SETS.values()},
        "caches": {tms_id: _cache(edition, tms_id, tile_folder(cache, edition.edition_id, style, tms_id, variant)) for tms_id in TILE_MATRIX_SETS},
        "sources": {
            SOURCE: {
                "type": RASTER_SOURCE if edition.product.is_raster else VECTOR_SOURCE,
                "edition": edition.edition_id, "generation": edition.generation, "style": style,
                "rows": variant.rows or "", "degrade": variant.degrade or 0.0,
            },
        },
    }


def grid(tms: TileMatrixSet) -> dict:
    """A tile matrix set as a grid of MapProxy, with the same level, row and column for every tile."""
    return {
        "srs": tms.crs, "bbox": list(tms.extent), "bbox_srs": tms.crs, "origin": "nw", "res": list(tms.resolutions),
        "tile_size": [tms.tile_size, tms.tile_size],
    }


def tile_folder(cache: Path, edition_id: int, style: str, tms_id: str, variant: Variant = MASTER) -> str:
    """Where the tiles of one set lie."""
    return f"{cache}/{edition_id}/{folder_of(style, variant)}/{tms_id}"


def extension(edition: Edition) -> str:
    """`mixed`: JPEG where a tile is full of photograph, PNG where it is not; else `png`."""
    return "mixed" if edition.product is ProductType.DOM and not (edition.lossless or edition.nearest) else "png"


def _cache(edition: Edition, tms_id: str, folder: str) -> dict:
    is_mixed = extension(edition) == "mixed"
    colours = 0 if edition.product.is_raster else 256
    return {
        "sources": [SOURCE], "grids": [tms_id], "format": "mixed" if is_mixed else "image/png", "request_format": "image/png",
        "image": {"transparent": True, "colors": colours, "encoding_options": {"jpeg_quality": JPEG_QUALITY}},
        "cache": {"type": "file", "directory_layout": "tms", "directory": folder},
    }
