"""Line maps and overlays drawn by Mapnik: vectors in a GeoPackage + style files -> transparent picture."""

import math
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pylopdf_fonts_zh_cn as fonts
from PIL import Image
from pyogrio.errors import DataSourceError

from layers.crs import is_geographic
from layers.features import interval
from layers.model import Bounds, Edition, View
from layers.rows import RowFilter
from tiles import drawing_copy
from tiles.dlg_styles import MapLayer, Parameters, StyleBook, TableStyles, map_xml, null_flag
from tiles.errors import RenderFailed
from tiles.mapnik_runtime import mapnik

BUFFER = 32
"""Pixels around the picture from which lines and symbols may stand into it: half of the widest line. Names never cross the edge, so they need none."""

MOST_MAPS = 4
"""Mapnik maps kept for one edition; each holds open handles of its tables. Further threads wait."""

SMALLEST = 16
"""Pixels: Mapnik silently refuses to make a map smaller than this (MIN_MAPSIZE)."""

PIXEL = 0.00028
METRES_IN_DEGREE = 6_378_137.0 * math.pi / 180

REFERENCE_DENOMINATOR = 10_000
"""Scale at which widths are as written in the styles."""

_fonts = threading.Lock()


def register_fonts() -> None:
    """Makes the Noto faces known to Mapnik; once is enough, more does no harm."""
    with _fonts:
        for path in (fonts.sans_path(), fonts.serif_path()):
            if not mapnik.FontEngine.register_font(str(path)):
                raise RenderFailed("the font of the line map can't be read: install the package `pylopdf-fonts-zh-cn` anew")


def mapnik_srs(crs: str) -> str:
    """As Mapnik spells a CRS. Inside Mapnik x is always east, so CRS:84 and EPSG:4326 are one.

    >>> mapnik_srs("EPSG:4549"), mapnik_srs("CRS:84")
    ('epsg:4549', 'epsg:4326')
    """
    if crs == "CRS:84":
        return "epsg:4326"
    return crs.lower() if crs.upper().startswith("EPSG:") else crs


def width_factor(denominator: float) -> float:
    """What `@w` in the styles stands for: 1 at 1:10,000; lines thin out slowly on smaller scales (fourth root) and widen towards
    the width of a real road on larger ones (square root).

    >>> width_factor(10_000), round(width_factor(1_000_000), 2), width_factor(2_500)
    (1.0, 0.32, 2.0)
    """
    enlargement = REFERENCE_DENOMINATOR / max(denominator, 1.0)
    return enlargement ** (0.5 if enlargement > 1 else 0.25)


def denominator_of(view: View) -> float:
    """As `Map.scale_denominator`, which makes a projection for it each time (a millisecond): 0.28 mm a pixel, degrees as at the equator.

    >>> round(denominator_of(View(crs="EPSG:4549", bounds=Bounds(0, 0, 2800, 2800), width=1000, height=1000)))
    10000
    """
    metres = METRES_IN_DEGREE if is_geographic(view.crs) else 1.0
    return view.resolution[0] * metres / PIXEL


def draw(map_: mapnik.Map, view: View, scale_factor: float) -> Image.Image:
    """`view` of a loaded map as RGBA, straight alpha. The caller owns `map_` while it draws: two threads in one Mapnik map crash."""
    if min(view.width, view.height) < SMALLEST:
        return draw(map_, enlarged(view), scale_factor).crop((0, 0, view.width, view.height))
    map_.srs = mapnik_srs(view.crs)
    map_.resize(view.width, view.height)
    map_.zoom_to_box(mapnik.Box2d(*view.bounds))
    canvas = mapnik.Image(view.width, view.height)
    mapnik.render_with_vars(map_, canvas, {"w": width_factor(denominator_of(view) * scale_factor)}, scale_factor)
    canvas.demultiply()
    return Image.frombuffer("RGBA", (view.width, view.height), canvas.to_string(), "raw", "RGBA", 0, 1)     # not copied again until somebody writes


def enlarged(view: View) -> View:
    """More of the same to the right and below, up to the smallest size; the very view where it has that."""
    if min(view.width, view.height) >= SMALLEST:
        return view
    width, height = max(view.width, SMALLEST), max(view.height, SMALLEST)
    step_x, step_y = view.resolution
    bounds = Bounds(view.bounds.left, view.bounds.top - height * step_y, view.bounds.left + width * step_x, view.bounds.top)
    return View(crs=view.crs, bounds=bounds, width=width, height=height)


def load_map(xml: str) -> mapnik.Map:
    """A Mapnik map; strict, so that a slip of the pen in a style is told.

    Raises
    ------
    RenderFailed
        The style or the data can't be read.
    """
    map_ = mapnik.Map(1, 1)
    map_.aspect_fix_mode = mapnik.aspect_fix_mode.RESPECT
    try:
        mapnik.load_map_from_string(map_, xml, True, "")
    except RuntimeError as fault:
        raise RenderFailed("the line map can't be opened: see the server's log") from fault
    return map_


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What it takes to draw an edition: its tables with their styles, where they lie, and which rows of them are meant (None: all)."""

    edition: Edition
    source: Path | None
    tables: list[TableStyles]
    copies: Mapping[str, drawing_copy.TableCopy]
    rows: RowFilter | None


def prepared(folder: Path, edition: Edition, styles: Path, *, style: str = "", rows: RowFilter | None = None, cache: Path | None = None) -> Prepared:
    """See `LineMapRenderer`."""
    book = StyleBook.load(styles).in_style(style)
    source = folder / edition.vectors if edition.vectors else None
    parameters = contour_parameters(book, source, edition)
    tables = book.fit(edition, parameters)
    copies = drawing_copy.find(cache, edition, styles) if cache and rows is None and edition.symbols is None else {}
    if copies:
        by_kind = {one.feature_class.name: one for one in book.fit(edition, parameters, kinds_in=drawing_copy.KIND)}
        tables = [by_kind[one.feature_class.name] if one.feature_class.name in copies else one for one in tables]
    return Prepared(edition=edition, source=source, tables=tables, copies=copies, rows=rows)


class LineMapRenderer:
    """Draws one edition, at one generation: after a change make a new renderer, the handles of this one see the old files.

    Parameters
    ----------
    folder : Path
        The edition's folder in the store.
    edition : Edition
        With `vectors` and `classes`.
    styles : Path
        config/styles
    labels : bool
        False draws no text at all.
    style : str
        One of `layers.model.STYLES`, for its colours; "" for those of the files.
    rows : RowFilter, optional
        Draws the features that meet it, and no others.
    cache : Path, optional
        The engine's: where a copy of the edition for drawing may be (`tiles.drawing_copy`).

    Scale: widths and what is shown follow Mapnik's denominator (0.28 mm a pixel; degrees and Web Mercator metres as at the equator), so
    that all tiles of one zoom level agree, and a 2x picture shows what the plain one shows.
    """

    def __init__(self, folder: Path, edition: Edition, styles: Path, *, labels: bool = True, style: str = "", rows: RowFilter | None = None, cache: Path | None = None):
        self._xml = map_xml(_layers(prepared(folder, edition, styles, style=style, rows=rows, cache=cache)), BUFFER, labels=labels)
        self._idle: deque[mapnik.Map] = deque()
        self._turns = threading.BoundedSemaphore(MOST_MAPS)
        self._building = threading.Lock()

    def render(self, view: View, scale_factor: float = 1.0) -> Image.Image:
        """The whole layer in `view`, RGBA on transparent ground; colour is zero where nothing is drawn.

        Parameters
        ----------
        view : View
            In any served CRS.
        scale_factor : float
            2.0 for pictures with twice the pixels of the same map (line widths, letters and scale follow).

        Raises
        ------
        RenderFailed
            The data can't be read now.
        """
        with self._turns:
            map_ = self._take()
            try:
                picture = draw(map_, view, scale_factor)
            except RuntimeError as fault:
                raise RenderFailed("the line map can't be drawn now: try again later") from fault
            self._idle.append(map_)
        return picture

    def _take(self) -> mapnik.Map:
        """The map used last, warm; a new one where all are busy. A map that failed is not put back."""
        try:
            return self._idle.pop()
        except IndexError:
            with self._building:
                register_fonts()
                return load_map(self._xml)


def passes_of(tables: list[TableStyles]) -> Iterator[tuple[str, int, TableStyles, list]]:
    """Table by name, drawing order and styles: one Mapnik layer each, those styles together that follow one another, since each layer asks its table once
    for every picture."""
    passes = sorted(((style.order, table.feature_class.name, table, style.element) for table in tables for style in table.styles), key=lambda one: one[:2])
    for name, together in groupby(passes, key=lambda one: one[1]):
        (order, _, table, first), *others = together
        yield name, order, table, [first, *(element for *_, element in others)]


def _layers(one: Prepared) -> Iterator[MapLayer]:
    """Those of `passes_of`; of a table that has a copy, as many of each as that has steps of scale."""
    srs = mapnik_srs(one.edition.crs)
    for name, order, table, elements in passes_of(one.tables):
        copy = one.copies.get(name)
        if copy is None:
            if datasource := _datasource(one.source, table, one.rows):
                yield MapLayer(f"{name} {order}", srs, datasource, elements)
            continue
        for element in elements:
            copy.rewritten(element)
        for step in copy.steps:
            datasource = {"type": "shape", "file": str(step.shapes), "encoding": "utf-8"}
            yield MapLayer(f"{name} {order} from {step.finest:.0f}", srs, datasource, elements, step.finest, step.coarsest)


def _datasource(source: Path | None, table: TableStyles, rows: RowFilter | None) -> Mapping[str, str] | None:
    """With its extent, which spares Mapnik a scan; a little wider, since what it asks for is cut to it and a lone point has none.

    None where no feature of the table can meet the row filter. SQLite answers that, by the spatial index too.
    """
    left, bottom, right, top = table.feature_class.bounds
    spare = 1e-6 * max(1.0, *map(abs, table.feature_class.bounds))
    extent = f"{left - spare!r},{bottom - spare!r},{right + spare!r},{top + spare!r}"
    name = table.feature_class.name
    if rows is None and not table.null_flags:
        return {"type": "ogr", "file": str(source), "layer": name, "extent": extent}
    condition = "1" if rows is None else rows.where(name, table.feature_class.fields)
    flags = "".join(f", {_quoted(field)} IS NULL AS {_quoted(null_flag(field))}" for field in table.null_flags)
    sql = f"SELECT *{flags} FROM {_quoted(name)} WHERE {condition}"
    return condition and {"type": "ogr", "file": str(source), "layer_by_sql": sql, "extent": extent}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def contour_parameters(book: StyleBook, source: Path | None, edition: Edition) -> dict[str, Parameters]:
    """Of every table of contours: the interval found in the data. Raises RenderFailed."""
    found = {}
    for table in edition.classes:
        height = book.fields(table).find("ELEV")
        if table.kind == "TERL" and height and source:
            found[table.name] = Parameters.for_interval(_interval(source, table.name, height))
    return found


def _interval(source: Path, table: str, height: str) -> float | None:
    try:
        return interval(source, table, height)
    except DataSourceError as fault:
        raise RenderFailed("the line map can't be opened: see the server's log") from fault
