"""What MapProxy draws from: two source types of ours, registered under the names that the configuration uses.

A source knows an edition by its number and finds it in the registry that its configuration carries; no module holds state for it.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import rasterio.errors
import shapely
from mapproxy.config.configuration.proxy import ProxyConfiguration
from mapproxy.config.configuration.source import SourceConfiguration, register_source_configuration
from mapproxy.config.spec import required
from mapproxy.extent import DefaultMapExtent
from mapproxy.image import ImageResult
from mapproxy.image.opts import ImageOptions
from mapproxy.layer.map_layer import MapLayer
from mapproxy.query import MapQuery
from mapproxy.source import SourceError
from PIL import Image

from layers.features import GeoPackageStore
from layers.model import Bounds, Edition, Patch, ProductType, Source, View
from layers.mosaic.cells import CellReader
from layers.mosaic.reader import MosaicReader
from layers.rows import parse_rows
from tiles.contours import ContourStyle, contour_picture
from tiles.crossing import Crossing
from tiles.elevation import Ramp, painter
from tiles.errors import RenderFailed
from tiles.mapproxy_config import RASTER_SOURCE, VECTOR_SOURCE
from tiles.remote import Door, RemoteMap, RemoteRenderer
from tiles.terrain import ENCODERS
from tiles.variants import CONTOUR_LINES, CONTOURED, MASTER, Variant

Draw = Callable[[View, float], Image.Image]
"""A view, and how much larger than usual symbols and text are wanted, to the whole layer in it, unclipped: RGB where it is opaque, else RGBA."""

SYMBOL_SCALE = "symbol_scale"
"""The dimension of a MapQuery that carries it; tiles have none."""

MOST_READERS = 64


class EditionRegistry:
    """The editions that are drawn now, by number and generation, with what it takes to read them.

    Parameters
    ----------
    store, config : Path
        Folder of the editions' folders; folder of relief.csv and styles/.
    cache : Path, optional
        The engine's, where copies of line maps for drawing may be.
    door : Door, optional
        The way to services elsewhere, for editions that they draw.
    """

    def __init__(self, store: Path, config: Path, cache: Path | None = None, door: Door | None = None):
        self._store, self._config, self._cache, self._door = store, config, cache, door
        self._features = GeoPackageStore(store)
        self._editions: OrderedDict[tuple[int, int], Edition] = OrderedDict()
        self._readers: dict[tuple[int, int], dict[float | None, MosaicReader]] = {}
        self._line_maps: dict[tuple[int, int], dict[tuple[str, str | None, bool], object]] = {}
        self._lock = threading.Lock()

    def enrol(self, edition: Edition) -> None:
        """Make `edition` known; the least recently enrolled of many is forgotten."""
        key = edition.edition_id, edition.generation
        with self._lock:
            self._editions[key] = edition
            self._editions.move_to_end(key)
            while len(self._editions) > MOST_READERS:
                oldest, _ = self._editions.popitem(last=False)
                self._readers.pop(oldest, None)
                self._line_maps.pop(oldest, None)

    def reader(self, edition_id: int, generation: int, degrade: float | None = None) -> MosaicReader:
        """Reads the source, or cells of `degrade` metres of it. Raises KeyError where the edition was not enrolled."""
        key = edition_id, generation
        with self._lock:
            edition, readers = self._editions[key], self._readers.setdefault(key, {})
            if degrade not in readers:
                folder = self._store / edition.folder
                readers[degrade] = MosaicReader(folder, edition) if degrade is None else CellReader(folder, edition, degrade)
            return readers[degrade]

    def drawing(self, edition_id: int, generation: int, style: str, variant: Variant = MASTER) -> Draw:
        """How the edition is drawn in `style`.

        Raises
        ------
        KeyError
            It was not enrolled or has no such style.
        ValueError
            Rows of a raster, or cells of a line map, are asked for: there are none.
        """
        edition = self._editions[edition_id, generation]
        if (variant.rows if edition.product.is_raster else variant.degrade) is not None:
            raise ValueError(f"a {edition.product} has no such variant")
        if edition.source is Source.REMOTE:
            if variant.rows is not None or self._door is None:
                raise RenderFailed("what another service draws can't be filtered here")
            return RemoteRenderer(RemoteMap.read(edition.remote), self._door).render
        if not edition.product.is_raster:
            if edition.source is Source.LIVE:
                from tiles.cut_line_map import EVERYWHERE

                live = self._line_map(edition, style, variant.rows, is_cut=True)
                return lambda view, symbol_scale: live.render(view, EVERYWHERE, symbol_scale)
            return self._line_map(edition, style, variant.rows).render
        reader = self.reader(edition_id, generation, variant.degrade)
        if edition.product is ProductType.DEM and style in ENCODERS:
            return lambda view, _symbol_scale: numbers_of(reader.read(view), view, style)
        if edition.product is ProductType.DEM and style in CONTOURED:
            return lambda view, symbol_scale: contour_picture(reader, view, self._contours, symbol_scale, plain=style == CONTOUR_LINES)
        paint = painter(style, self._ramp) if edition.product is ProductType.DEM else None

        def draw(view: View, _symbol_scale: float) -> Image.Image:
            return picture_of(reader.read(view, paint=paint), view)

        return draw

    @cached_property
    def _contours(self) -> ContourStyle:
        return ContourStyle.load(self._config / "contours.csv")

    @cached_property
    def _ramp(self) -> Ramp:
        return Ramp.load(self._config / "relief.csv")

    def crossing(self, edition: Edition, ground: shapely.Geometry, hair: float) -> Crossing:
        """Raises RenderFailed."""
        self.enrol(edition)
        drawn = self.cut_line_map(edition.edition_id, edition.generation, "").drawn
        return Crossing(self._store / edition.folder / edition.vectors, drawn, ground, hair)

    def cut_line_map(self, edition_id: int, generation: int, style: str, variant: Variant = MASTER):
        """What draws the edition within a ground (`tiles.cut_line_map.CutLineMap`). Raises KeyError where it was not enrolled."""
        return self._line_map(self._editions[edition_id, generation], style, variant.rows, is_cut=True)

    def _line_map(self, edition: Edition, style: str, rows: str | None, *, is_cut: bool = False):
        from tiles.cut_line_map import CutLineMap  # Mapnik is loaded where a line map is first drawn, not with every worker
        from tiles.dlg import LineMapRenderer, prepared
        from tiles.palettes import has_labels

        key = edition.edition_id, edition.generation
        with self._lock:
            renderers = self._line_maps.setdefault(key, {})
            if (style, rows, is_cut) not in renderers:
                place = self._store / edition.folder, edition, self._config / "styles"
                how = {"style": style, "rows": None if rows is None else parse_rows(rows), "cache": self._cache}
                renderers[style, rows, is_cut] = (
                    CutLineMap(prepared(*place, **how), self._features, labels=has_labels(style)) if is_cut
                    else LineMapRenderer(*place, labels=has_labels(style), **how)
                )
            return renderers[style, rows, is_cut]


def picture_of(patch: Patch | None, view: View) -> Image.Image:
    """RGB where all pixels hold data, else RGBA."""
    if patch is None:
        return Image.new("RGBA", (view.width, view.height))
    picture = Image.fromarray(np.ascontiguousarray(np.moveaxis(patch.values, 0, 2)))
    if not patch.valid.all():
        picture.putalpha(Image.fromarray(patch.valid.astype(np.uint8) * np.uint8(255)))
    return picture


def numbers_of(patch: Patch | None, view: View, style: str) -> Image.Image:
    """Heights as colours: RGBA, all 0 where there are none."""
    if patch is None:
        return Image.new("RGBA", (view.width, view.height))
    return Image.fromarray(ENCODERS[style].encode(patch.values[0], patch.valid))


class EditionSource(MapLayer):
    """One edition in one style, for MapProxy."""

    supports_meta_tiles = True

    def __init__(self, draw: Draw, image_opts: ImageOptions):
        super().__init__(image_opts)
        self.extent = DefaultMapExtent()
        self._draw = draw

    def get_map(self, query: MapQuery) -> ImageResult:
        """Raises SourceError where the edition can't be read."""
        view = View(crs=query.srs.srs_code, bounds=Bounds(*query.bbox), width=query.size[0], height=query.size[1])
        try:
            picture = self._draw(view, (query.dimensions or {}).get(SYMBOL_SCALE, 1.0))
        except (rasterio.errors.RasterioError, RenderFailed, OSError) as error:
            raise SourceError(str(error)) from error
        return ImageResult(picture, size=query.size, image_opts=self.image_opts)


class EditionConfiguration(ProxyConfiguration):
    """MapProxy's configuration of one edition in one style, with the registry that its source draws from."""

    def __init__(self, conf: dict, registry: EditionRegistry, base: Path):
        self.registry = registry
        super().__init__(conf, conf_base_dir=str(base))


class _EditionSourceConfiguration(SourceConfiguration):
    def source(self, params: dict | None = None) -> EditionSource:
        variant = Variant(rows=self.conf["rows"] or None, degrade=self.conf["degrade"] or None)
        draw = self.context.registry.drawing(self.conf["edition"], self.conf["generation"], self.conf["style"], variant)
        return EditionSource(draw, self.image_opts())


class RasterSourceConfiguration(_EditionSourceConfiguration):
    source_type = (RASTER_SOURCE,)


class VectorSourceConfiguration(_EditionSourceConfiguration):
    source_type = (VECTOR_SOURCE,)


def register_sources() -> None:
    """Tell MapProxy of our source types. An embedded MapProxy does not look for plugins itself."""
    terms = {required("edition"): int(), required("generation"): int(), required("style"): str(), required("rows"): str(), required("degrade"): float()}
    for configuration in (RasterSourceConfiguration, VectorSourceConfiguration):
        name = configuration.source_type[0]
        register_source_configuration(name, configuration, name, dict(terms))
