"""What the colours and lines of a layer mean, as a picture.

A line map's legend is drawn by Mapnik with the styles of the map itself, one sample a kind, so the two can't disagree. Elevation takes its
colours from the functions that paint the map. Nothing here is read from the data: no values, no counts, no range of heights; of the
edition only which classes it has, and which of the fields that tell a kind.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pylopdf_fonts_zh_cn as fonts
from PIL import Image, ImageDraw, ImageFont

from layers.model import STYLES, WATER_LEVEL, Bounds, Edition, FeatureClass, ProductType, View
from tiles.contours import sample_of
from tiles.dlg import draw, load_map, register_fonts
from tiles.dlg_styles import Kind, StyleBook, TableStyles, has_labels, map_xml
from tiles.elevation import STEEPEST, VIVID_FROM, Ramp, aspect_colours, slope_grey
from tiles.errors import RequestInvalid
from tiles.water import DEEPEST, OPACITY, STOPS, depth_colours

ROW, SWATCH, GAP, MARGIN = 28, 76, 12, 12
"""Pixels: height of a row, width of the sample, space between it and its title, space around all."""

LETTERS, HEADING = 13, 14

RESOLUTION = 2.8
"""Metres a pixel at which samples are drawn: 1:10,000, where every kind is shown."""

DIRECTIONS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")

WORDS = {
    ProductType.DOM: ("正射影像", "Orthophoto"),
    "height": ("高程（米）", "Height (metres)"),
    "hillshade": ("地貌晕渲", "Hillshade"),
    "shadow": ("背光", "away from the light"),
    "lit": ("向光", "towards the light"),
    "slope": ("坡度（度）", "Slope (degrees)"),
    "multidirectional-hillshade": ("多方向晕渲", "Hillshade lit from several sides"),
    "away": ("背光", "away from all lights"),
    "all round": ("光自西南、西、西北、北", "light from SW, W, NW and N"),
    WATER_LEVEL: ("水深（米）", "Depth of water (metres)"),
    "by cells": ("低于水位的格网，未计堤防与连通", "cells below the level; dikes and connection are not looked at"),
    "aspect": ("坡向", "Aspect: where a slope faces"),
    "north": ("北", "north"), "north-east": ("东北", "north-east"), "east": ("东", "east"), "south-east": ("东南", "south-east"),
    "south": ("南", "south"), "south-west": ("西南", "south-west"), "west": ("西", "west"), "north-west": ("西北", "north-west"),
    "level": ("平地", "level ground"),
    "contours": ("等高线", "Contours"),
    "index": ("计曲线：每五条一条", "index contour: every fifth"),
    "basic": ("首曲线", "contour"),
    "supplementary": ("间曲线、助曲线：只在平缓处", "supplementary: on gentle ground only"),
    "shaded": ("叠加地貌晕渲：背光处较暗", "with hillshade: darker away from the light"),
    "empty": ("无可显示的要素类", "Nothing is drawn"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a line map's legend; a heading has no sample."""

    title: str
    table: TableStyles | None = None
    kind: Kind | None = None


def legend(edition: Edition, style: str, *, config: Path, language: str) -> Image.Image:
    """The legend of one edition in one style: RGB on white.

    Parameters
    ----------
    edition : Edition
    style : str
        One of `layers.model.STYLES`; empty for the product's first.
    config : Path
        The project's config/.
    language : str
        "zh" or "en"; anything that does not begin with zh is English.

    Raises
    ------
    RequestInvalid
        `StyleNotDefined`: the product has no such style.
    """
    styles = STYLES[edition.product]
    style = style or styles[0]
    if style not in styles:
        raise RequestInvalid("StyleNotDefined", "STYLE", f"style `{style[:60]}` is not defined here: ask for one of {', '.join(styles)}")
    chinese = language.lower().startswith("zh")
    if not edition.product.is_raster:
        return _line_map(edition, StyleBook.load(config / "styles").in_style(style), chinese, labels=has_labels(style))
    if edition.product is ProductType.DOM:
        return _bar(_word(ProductType.DOM, chinese), np.full((1, 1, 3), 150, np.uint8), [])
    return _elevation(style, Ramp.load(config / "relief.csv"), chinese)


def _line_map(edition: Edition, book: StyleBook, chinese: bool, labels: bool) -> Image.Image:
    rows = list(_rows(book.fit(edition), chinese)) or [Row(title=_word("empty", chinese))]
    letters = _letters(LETTERS)
    width = 2 * MARGIN + SWATCH + GAP + math.ceil(max(letters.getlength(row.title) for row in rows))
    canvas = Image.new("RGB", (width, 2 * MARGIN + ROW * len(rows)), "white")
    samples = _samples(rows, chinese, labels)
    canvas.paste(samples, (MARGIN, MARGIN), samples)
    pen = ImageDraw.Draw(canvas)
    for number, row in enumerate(rows):
        x = MARGIN + (SWATCH + GAP if row.table else 0)
        pen.text((x, MARGIN + ROW * (number + 0.5)), row.title, fill="#1A1A1A" if row.table else "#5A5A5A", font=letters, anchor="lm")
    return canvas


def _rows(tables: list[TableStyles], chinese: bool) -> Iterator[Row]:
    """Top of the map first. Tables drawn alike (two of rivers, say) share their rows."""
    seen = set()
    for table in sorted(tables, key=lambda t: -max((s.order for s in t.styles if s.order < 200), default=200)):
        if not table.styles:
            continue
        kinds = [kind for kind in table.kinds if (table.feature_class.kind, kind.name) not in seen]
        seen |= {(table.feature_class.kind, kind.name) for kind in kinds}
        title = _title(table.feature_class, chinese)
        if len(kinds) > 1:
            yield Row(title=title)
        if table.kinds:
            yield from (Row(title=kind.title_zh if chinese else kind.title_en, table=table, kind=kind) for kind in kinds)
        elif (table.feature_class.kind or table.feature_class.name, "") not in seen:
            seen.add((table.feature_class.kind or table.feature_class.name, ""))
            yield Row(title=title, table=table)


def _title(table: FeatureClass, chinese: bool) -> str:
    return (table.title_zh if chinese else table.title_en) or table.name


def _samples(rows: list[Row], chinese: bool, labels: bool) -> Image.Image:
    """All samples in one Mapnik map, a strip as wide as a sample: row 0 on top."""
    layers = []
    for number, row in enumerate(rows):
        if row.table:
            shape = _shape(row.table.feature_class.geometry, number)
            feature = {"type": "Feature", "properties": _attributes(row, chinese), "geometry": shape}
            source = {"type": "geojson", "inline": json.dumps({"type": "FeatureCollection", "features": [feature]}, ensure_ascii=False)}
            for order in sorted({style.order for style in row.table.styles}):
                elements = [style.element for style in row.table.styles if style.order == order]
                layers.append((order, (f"{number} {order}", "epsg:3857", source, elements)))
    register_fonts()
    height = ROW * len(rows)
    view = View(crs="EPSG:3857", bounds=Bounds(0, -height * RESOLUTION, SWATCH * RESOLUTION, 0), width=SWATCH, height=height)
    xml = map_xml([layer for _, layer in sorted(layers, key=lambda pair: pair[0])], 0, labels=labels, whole_names=False)
    return draw(load_map(xml), view, 1.0)


def _attributes(row: Row, chinese: bool) -> Mapping[str, object]:
    """Every field empty but those that make the sample its kind, and a made-up name where the name is all there is to see."""
    fields = row.table.fields
    values: dict[str, object] = dict.fromkeys(fields.names)
    if row.kind:
        ways = (way.sample_values(fields) for way in row.kind.ways)
        values |= next((found for found in ways if found is not None), {})
        name = fields.find("NAME")
        if name and (row.kind.sample_zh or row.kind.sample_en):
            values[name] = row.kind.sample_zh if chinese else row.kind.sample_en
    return values


def _shape(geometry: str, number: int) -> dict:
    """A sample that fills its cell of the strip, in metres; a line is slightly bent, as lines are."""
    top, left, right = -number * ROW, 4, SWATCH - 4
    middle = top - ROW / 2
    shapes = {
        "point": ("Point", (SWATCH / 2, middle)),
        "line": ("LineString", [(left, middle - 3), (SWATCH * 0.35, middle + 3), (SWATCH * 0.65, middle - 3), (right, middle + 3)]),
        "area": ("Polygon", [[(left, top - 5), (right, top - 5), (right, top - ROW + 5), (left, top - ROW + 5), (left, top - 5)]]),
    }
    kind, coordinates = shapes[geometry]
    return {"type": kind, "coordinates": (np.array(coordinates, float) * RESOLUTION).tolist()}


def _elevation(style: str, ramp: Ramp, chinese: bool) -> Image.Image:
    if style in SAMPLES:
        return _list_of(SAMPLES[style](), chinese, heading=style)
    if style == "multidirectional-hillshade":
        shades = np.linspace(0, 255, 200).astype(np.uint8)
        marks = [(0.0, _word("away", chinese)), (1.0, _word("lit", chinese))]
        return _bar(_word(style, chinese), np.repeat(shades[:, None, None], 3, axis=2), marks, note=_word("all round", chinese))
    if style == WATER_LEVEL:
        depths = np.interp(np.linspace(0, len(STOPS) - 1, 200), np.arange(len(STOPS)), [depth for depth, _ in STOPS])
        colours = OPACITY / 255 * depth_colours(depths) + (255 - OPACITY)                      # as over white
        marks = [(n / (len(STOPS) - 1), f"{depth:g}" + ("+" if depth == DEEPEST else "")) for n, (depth, _) in enumerate(STOPS)]
        return _bar(_word(style, chinese), colours[:, None].astype(np.uint8), marks, note=_word("by cells", chinese))
    if style == "hillshade":
        shades = np.linspace(0, 255, 200).astype(np.uint8)
        marks = [(0.0, _word("shadow", chinese)), (1.0, _word("lit", chinese))]
        return _bar(_word("hillshade", chinese), np.repeat(shades[:, None, None], 3, axis=2), marks)
    if style == "slope":
        degrees = np.linspace(0, STEEPEST, 200)
        greys = slope_grey(degrees.astype(np.float32)).astype(np.uint8)
        marks = [(share, f"{share * STEEPEST:g}°" + ("+" if share == 1 else "")) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
        return _bar(_word("slope", chinese), np.repeat(greys[:, None, None], 3, axis=2), marks)
    return _relief(ramp, _word("height", chinese), _word("shaded", chinese) if style == "shaded-relief" else "")


def _aspects() -> list[tuple[str, np.ndarray]]:
    """A swatch for each of eight directions, steep at its left and gentle at its right, and one of level ground."""
    slopes = np.broadcast_to(np.linspace(VIVID_FROM, 3, SWATCH), (ROW - 8, SWATCH))
    found = [(name, aspect_colours(np.full(slopes.shape, 45.0 * number), slopes)) for number, name in enumerate(DIRECTIONS)]
    return [*found, ("level", aspect_colours(np.zeros(slopes.shape), np.zeros(slopes.shape)))]


def _contours() -> list[tuple[str, np.ndarray]]:
    """The lines of the map itself, over a slope made for it."""
    return [(name, sample_of(name, SWATCH, ROW - 8)) for name in ("index", "basic", "supplementary")]


SAMPLES = {"aspect": _aspects, "contours": _contours}


def _list_of(rows: list[tuple[str, np.ndarray]], chinese: bool, *, heading: str) -> Image.Image:
    """Samples below one another, each with its title."""
    letters, bold = _letters(LETTERS), _letters(HEADING)
    width = max([SWATCH + GAP + letters.getlength(_word(name, chinese)) for name, _ in rows] + [bold.getlength(_word(heading, chinese))])
    canvas = Image.new("RGB", (2 * MARGIN + math.ceil(width), 2 * MARGIN + ROW * (len(rows) + 1)), "white")
    pen = ImageDraw.Draw(canvas)
    pen.text((MARGIN, MARGIN + ROW / 2 - 4), _word(heading, chinese), fill="#1A1A1A", font=bold, anchor="lm")
    for number, (name, pixels) in enumerate(rows, 1):
        sample = Image.fromarray(np.ascontiguousarray(pixels))
        canvas.paste(sample, (MARGIN, MARGIN + number * ROW + 4), sample if sample.mode == "RGBA" else None)
        pen.text((MARGIN + SWATCH + GAP, MARGIN + (number + 0.5) * ROW), _word(name, chinese), fill="#1A1A1A", font=letters, anchor="lm")
    return canvas


def _relief(ramp: Ramp, title: str, note: str) -> Image.Image:
    """Stops evenly spaced, highest on top, the colours between them as in the map."""
    stops = len(ramp.heights)
    heights = np.interp(np.linspace(0, stops - 1, (stops - 1) * ROW), np.arange(stops), ramp.heights)
    colours = ramp.paint(heights[:, None].astype(np.float32))
    marks = [(number / (stops - 1), f"{height:g}") for number, height in enumerate(ramp.heights)]
    return _bar(title, colours, marks, length=(stops - 1) * ROW, note=note)


def _bar(title: str, colours: np.ndarray, marks: list[tuple[float, str]], *, length: int = 5 * ROW, note: str = "") -> Image.Image:
    """A standing bar, its title above, marks beside it. `colours` is (n, 1, 3) from the foot up; a mark stands at its share."""
    letters, heading = _letters(LETTERS), _letters(HEADING)
    if not marks:
        length = ROW
    texts = [letters.getlength(text) + SWATCH // 2 + GAP for _, text in marks] + [heading.getlength(title), letters.getlength(note), SWATCH]
    top = MARGIN + ROW
    canvas = Image.new("RGB", (2 * MARGIN + math.ceil(max(texts)), top + length + MARGIN + (ROW if note else 0)), "white")
    bar = Image.fromarray(np.ascontiguousarray(colours[::-1])).resize((SWATCH // 2 if marks else SWATCH, length), Image.Resampling.NEAREST)
    canvas.paste(bar, (MARGIN, top))
    pen = ImageDraw.Draw(canvas)
    pen.rectangle((MARGIN, top, MARGIN + bar.width - 1, top + length - 1), outline="#666666")
    pen.text((MARGIN, MARGIN + ROW / 2 - 4), title, fill="#1A1A1A", font=heading, anchor="lm")
    for share, text in marks:
        y = min(max(top + (1 - share) * (length - 1), top + LETTERS / 2), top + length - LETTERS / 2)
        pen.text((MARGIN + bar.width + GAP, y), text, fill="#1A1A1A", font=letters, anchor="lm")
    if note:
        pen.text((MARGIN, top + length + ROW / 2), note, fill="#5A5A5A", font=letters, anchor="lm")
    return canvas


def _letters(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(fonts.sans_path()), size)


def _word(key: object, chinese: bool) -> str:
    zh, en = WORDS[key]
    return zh if chinese else en
