"""A line map drawn from features that were cut to the ground of a grant before Mapnik sees them.

A picture that is drawn whole and cut afterwards tells of what lies beyond the border: a name that reaches over it, half of a road's casing, the gap
that a name out there has made among those in here. What is drawn here knows nothing of it: no feature beyond, and of those across the border the part
within. It is the way of pictures near a border, and of classified layers everywhere (`tiles.border`); all others come from the shared cache.

Shapes of the drawing copy (`tiles.drawing_copy`) have fewer vertices, which ones hangs on the whole shape; so of those that come near the border the
copy's finest step is taken, cut, and only then made coarser.
"""

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyogrio
import shapely
from lxml import etree
from PIL import Image
from pyogrio.errors import DataLayerError, DataSourceError

from layers import crs as crs_room
from layers.errors import FeaturesUnavailable, OutsideAreaOfUse
from layers.features import FeatureQuery, FeatureStore
from layers.ingest.generalising import generalised
from layers.model import Bounds, FeatureClass, Source, View
from tiles.dlg import BUFFER, Prepared, denominator_of, draw, enlarged, load_map, mapnik_srs, passes_of, register_fonts
from tiles.dlg_styles import MAPNIKS_HAIR, MapLayer, TableStyles, map_xml, null_flag
from tiles.drawing_copy import FROM, KIND, NAMED, PIXEL, Step, TableCopy, too_small
from tiles.errors import RenderFailed
from tiles.mapnik_runtime import mapnik

OUTSIDE, WHOLE, CUT = 0, 1, 2
"""As `tiles.vector.ground` has them."""

WRITTEN = ("TextSymbolizer", "ShieldSymbolizer", "MarkersSymbolizer", "PointSymbolizer")

NEAR = 1.0
"""Pixels of the finest picture of a step: by less than this a shape of fewer vertices departs from its whole."""


class Blade(Protocol):
    """Cuts shapes in the edition's CRS (`tiles.vector.ground.Ground`)."""

    geometry: shapely.Geometry

    def cut(self, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...


class _Everywhere:
    """The blade that cuts nothing."""

    geometry = shapely.GeometryCollection()

    def cut(self, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return shapes, np.full(len(shapes), WHOLE, np.int8)


EVERYWHERE: Blade = _Everywhere()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Features:
    """Some of a table, as Mapnik is given them."""

    shapes: np.ndarray                      # of geometries
    columns: Mapping[str, list]             # attribute -> values: text or numbers, none missing

    def datasource(self) -> mapnik.MemoryDatasource:
        source, context = mapnik.MemoryDatasource(), mapnik.Context()
        for name in self.columns:
            context.push(name)
        rows = zip(*self.columns.values(), strict=True) if self.columns else (() for _ in self.shapes)
        for number, (shape, row) in enumerate(zip(shapely.to_wkb(shapely.force_2d(self.shapes)), rows, strict=True)):
            feature = mapnik.Feature(context, number)
            for name, value in zip(self.columns, row, strict=True):
                feature[name] = value
            feature.geometry = mapnik.Geometry.from_wkb(shape)
            source.add_feature(feature)
        return source


class CutLineMap:
    """Draws one edition in one style, at one generation, within whatever ground it is told. Safe to share by threads.

    Parameters
    ----------
    prepared : Prepared
        What `tiles.dlg.LineMapRenderer` draws the whole of.
    store : FeatureStore, optional
        Reads what is live: of a file that is written all the time GDAL and Mapnik, each with an SQLite of its own, would take away the locks of ours.
    labels : bool
        False draws no text at all.
    """

    def __init__(self, prepared: Prepared, store: FeatureStore | None = None, *, labels: bool = True):
        self._edition, self._source, self._rows, self._store = prepared.edition, prepared.source, prepared.rows, store
        self._tables: list[tuple[TableStyles, list[etree._Element], TableCopy | None]] = []
        layers = []
        for name, order, table, elements in passes_of(prepared.tables):
            copy = prepared.copies.get(name)
            if copy is not None:
                for element in elements:
                    copy.rewritten(element)
            self._tables.append((table, elements, copy))
            layers.append(MapLayer(f"{name} {order}", mapnik_srs(self._edition.crs), {}, elements))
        self._xml = map_xml(layers, BUFFER, labels=labels)
        self._idle: deque[mapnik.Map] = deque()
        self._building = threading.Lock()

    @property
    def drawn(self) -> list[tuple[FeatureClass, bool]]:
        """The tables that are drawn, and whether names or symbols are written into what is drawn of them."""
        return [
            (table.feature_class, any(part.tag in WRITTEN for style in table.styles for part in style.element.iter())) for table in {id(one): one for one, _, _ in self._tables}.values()
        ]

    def render(self, view: View, blade: Blade, scale_factor: float = 1.0) -> Image.Image:
        """What of the layer lies on the ground of `blade`, in `view`; else as `LineMapRenderer.render`.

        Raises
        ------
        RenderFailed
            The data can't be read now.
        """
        placed = enlarged(view)
        map_ = self._take()
        try:
            map_.srs = mapnik_srs(placed.crs)
            map_.resize(placed.width, placed.height)
            map_.zoom_to_box(mapnik.Box2d(*placed.bounds))
            known: dict[str, mapnik.MemoryDatasource | None] = {}
            box, denominator = self._box(placed, scale_factor), denominator_of(placed) * scale_factor
            for layer, (table, _, copy) in zip(map_.layers, self._tables, strict=True):
                name = table.feature_class.name
                if name not in known:
                    together = [element for one, elements, _ in self._tables if one is table for element in elements]
                    found = self._read(table, together, copy, box, denominator, blade) if box is not None else None
                    known[name] = found.datasource() if found is not None and len(found.shapes) else None
                layer.datasource = known[name]
            picture = draw(map_, placed, scale_factor)
        except (DataSourceError, DataLayerError, FeaturesUnavailable, RuntimeError) as fault:
            raise RenderFailed("the line map can't be drawn now: try again later") from fault
        for layer in map_.layers:
            layer.datasource = None
        self._idle.append(map_)
        return picture if placed is view else picture.crop((0, 0, view.width, view.height))

    def _take(self) -> mapnik.Map:
        try:
            return self._idle.pop()
        except IndexError:
            with self._building:
                register_fonts()
                return load_map(self._xml)

    def _box(self, view: View, scale_factor: float) -> Bounds | None:
        """Where features may be seen from, in the edition's CRS; None of a view that it can't express."""
        step_x, step_y = view.resolution
        spare = BUFFER * max(1.0, scale_factor)
        left, bottom, right, top = view.bounds
        seen = Bounds(left - spare * step_x, bottom - spare * step_y, right + spare * step_x, top + spare * step_y)
        for one in (seen, view.bounds):
            try:
                return crs_room.transform_bounds(one, view.crs, self._edition.crs)
            except OutsideAreaOfUse:
                continue
        return None

    # -- reading

    def _read(
        self, table: TableStyles, elements: Sequence[etree._Element], copy: TableCopy | None, box: Bounds, denominator: float, blade: Blade,
    ) -> _Features | None:
        if copy is None:
            return self._from_edition(table, elements, box, blade) if _is_drawn_at(elements, denominator) else None
        step = next((one for one in copy.steps if one.finest <= denominator + MAPNIKS_HAIR and denominator < one.coarsest - MAPNIKS_HAIR), None)
        return None if step is None else self._from_copy(copy, step, box, blade)

    def _from_edition(self, table: TableStyles, elements: Sequence[etree._Element], box: Bounds, blade: Blade) -> _Features | None:
        feature_class = table.feature_class
        condition = None if self._rows is None else self._rows.where(feature_class.name, feature_class.fields)
        if self._rows is not None and not condition:
            return None
        wanted = {name for element in elements for name in _named(element)} | set(table.null_flags)
        fields = [name for name in feature_class.fields if name in wanted]
        if self._edition.source is Source.LIVE:
            shapes, columns = self._live(feature_class, fields, box)
        else:
            shapes, columns = _table(self._source, feature_class.name, fields, bbox=tuple(box), where=None if condition in (None, "1") else condition)
        if not len(shapes):
            return None
        cut, states = blade.cut(shapes)
        kept = states != OUTSIDE
        flags = {null_flag(name): _is_null(columns[name][kept]).astype(int).tolist() for name in table.null_flags if name in columns}
        return _Features(shapes=cut[kept], columns={name: _plain(columns[name][kept]) for name in fields} | flags)

    def _live(self, table: FeatureClass, fields: Sequence[str], box: Bounds) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """As `_table`, of what is live."""
        query = FeatureQuery(table=table, box=box, where=self._rows, fields=tuple(fields))
        batches = list(self._store.batches(self._edition, query, 10_000))
        if not batches:
            return np.empty(0, dtype=object), {}
        columns = {name: _column([value for batch in batches for value in batch.columns[name]]) for name in fields}
        return np.concatenate([batch.shapes for batch in batches]), columns

    def _from_copy(self, copy: TableCopy, step: Step, box: Bounds, blade: Blade) -> _Features:
        texts, pixel = list(copy.texts.values()), step.finest * PIXEL * copy.unit
        shapes, columns = _indexed(step.shapes, [KIND, *texts, FROM], box)
        if not len(shapes):
            return _Features(shapes=shapes, columns={})
        cut, states = blade.cut(shapes)
        if pixel:
            near = np.flatnonzero(_near(shapes, blade.geometry, NEAR * pixel))
            if len(near):
                cut[near], states[near] = self._made_again(copy.steps[0], columns, near, pixel, blade, texts)
        kept = states != OUTSIDE
        return _Features(shapes=cut[kept], columns={name: _plain(columns[name][kept]) for name in (KIND, *texts)})

    @staticmethod
    def _made_again(
        whole: Step, columns: dict[str, np.ndarray], near: np.ndarray, pixel: float, blade: Blade, texts: Sequence[str],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Shapes near the border: cut as they are, made coarser after it. Their texts are written into `columns`, without those too small for a name."""
        order = np.argsort(columns[FROM][near], kind="stable")
        near = near[order]
        shapes, found = _table(whole.shapes.with_suffix(".shp"), None, list(texts), fids=columns[FROM][near])
        cut, states = blade.cut(shapes)
        within = np.flatnonzero(states != OUTSIDE)
        coarser, kept = generalised(cut[within], pixel)
        states[:] = OUTSIDE
        states[within[kept]] = CUT
        cut[within[kept]] = coarser
        bare = np.zeros(len(near), bool)
        bare[within[kept]] = too_small(coarser, pixel)
        for name in texts:
            columns[name][near] = np.where(bare, "", found[name])
        back = np.empty(len(order), np.intp)
        back[order] = np.arange(len(order))
        return cut[back], states[back]


def _near(shapes: np.ndarray, ground: shapely.Geometry, distance: float) -> np.ndarray:
    """Which shapes come near the border of the ground, be it far from the picture: which vertices a shape has left here, and where its dashes fall, hangs
    on all of it."""
    left, bottom, right, top = shapely.total_bounds(shapes)
    around = Bounds(left - distance, bottom - distance, right + distance, top + distance)
    border = shapely.clip_by_rect(shapely.boundary(ground), *around)
    if border.is_empty:
        return np.zeros(len(shapes), bool)
    shapely.prepare(border)
    return shapely.dwithin(border, shapes, distance)


def _indexed(shapes: Path, fields: Sequence[str], box: Bounds) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """As `_table`, of a shapefile: by Mapnik's own index, which GDAL can't use."""
    source = mapnik.Datasource(type="shape", file=str(shapes), encoding="utf-8")
    query = mapnik.Query(mapnik.Box2d(*box), (1.0, 1.0), 1.0)
    for name in fields:
        query.add_property_name(name)
    found = sorted(source.features(query), key=lambda feature: feature.id())
    rows = shapely.from_wkb(np.array([feature.geometry.to_wkb(mapnik.wkbByteOrder.NDR) for feature in found], dtype=object))
    sound = np.flatnonzero(~(shapely.is_missing(rows) | shapely.is_empty(rows)))
    values = {name: np.array([feature[name] for feature in found], dtype=np.int64 if name == FROM else object)[sound] for name in fields}
    return rows[sound], values


def _table(path: Path, layer: str | None, fields: Sequence[str], **asked) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Features in the order of their numbers, whatever the order of an index; those without a shape left out."""
    meta, numbers, shapes, columns = pyogrio.raw.read(path, layer=layer, columns=list(fields), return_fids=True, **asked)
    shapes = shapely.from_wkb(shapes)
    order = np.argsort(numbers, kind="stable")
    order = order[~(shapely.is_missing(shapes[order]) | shapely.is_empty(shapes[order]))]
    return shapes[order], {name: values[order] for name, values in zip(meta["fields"], columns, strict=True)}


def _named(element: etree._Element) -> Iterator[str]:
    """The attributes that a style speaks of."""
    for part in element.iter():
        if isinstance(part.tag, str):
            for text in (part.text or "", *part.attrib.values()):
                yield from NAMED.findall(text)


def _is_drawn_at(elements: Sequence[etree._Element], denominator: float) -> bool:
    return any(
        float(rule.findtext("MinScaleDenominator") or 0) <= denominator + MAPNIKS_HAIR
        and denominator - MAPNIKS_HAIR < float(rule.findtext("MaxScaleDenominator") or "inf")
        for element in elements for rule in element.iterfind("Rule")
    )


def _column(values: list) -> np.ndarray:
    is_number = all(value is None or isinstance(value, int | float) for value in values) and any(value is not None for value in values)
    return np.array(values, dtype=float if is_number else object)


def _is_null(values: np.ndarray) -> np.ndarray:
    return np.array([value is None or value != value for value in values.tolist()], bool)


def _plain(values: np.ndarray) -> list:
    """As Mapnik's own readers give them: what is missing is an empty text, or 0."""
    missing = 0 if values.dtype.kind in "iuf" else ""
    found = (missing if value is None or value != value else value for value in values.tolist())
    return [int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value for value in found]
