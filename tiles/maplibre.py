"""The style of the line map as MapLibre GL has it, from the very files that Mapnik draws by: one source of colours, widths and scales for both.

Every rule and symbolizer becomes a layer. Widths that hang on the scale (`@w`) become stops at whole zooms. What is named is named first in Mapnik
and last in MapLibre, which places the names of its topmost layers first: so layers of names come in reverse.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePosixPath

from lxml import etree

from layers.model import Edition
from tiles.dlg import width_factor
from tiles.dlg_styles import FONTSETS, LABELS, Parameters, StyleBook
from tiles.symbols import ICON_PREFIX, ICON_SIZE, METRES_AT_ZOOM_0, maplibre_layers, zoom_of
from tiles.vector.filters import KIND, as_expression, can_be_read

LAST_ZOOM = 20
SHIELD_TEXT = ("center", [0, 0.1])
ROLE = re.compile(r"\[([^\]]+)\]")


def layers_of(
    edition: Edition, source: str, book: StyleBook, parameters: Mapping[str, Parameters] | None = None, *, labels: bool = True,
) -> list[dict]:
    """Layers of a style, from the bottom up.

    Parameters
    ----------
    edition : Edition
        As it is told (`tiles.vector.contents.as_told`): no layer asks for an attribute that its tables lack.
    source : str
        Id of the vector source in the style; its layers are called as the tables.
    labels : bool
        False leaves out every layer that writes.
    """
    if edition.symbols is not None:
        return maplibre_layers(edition, source, labels=labels, font=FONTSETS["sans"])
    drawn, written = [], []
    for table in book.fit(edition, parameters, kinds_in=KIND):
        name = table.feature_class.name
        for number, style in enumerate(table.styles):
            for place, symbolizer, base in _rules(style.element, source, name):
                key = (style.order, name, number, *place)
                for layer in _layers(symbolizer, table.feature_class.geometry, base):
                    (written if symbolizer.tag in LABELS else drawn).append((key, layer))
    found = [layer for _, layer in sorted(drawn, key=lambda one: one[0])]
    if labels:
        found += [layer for _, layer in sorted(written, key=lambda one: one[0], reverse=True)]
    return _numbered(found)


def _numbered(layers: list[dict]) -> list[dict]:
    """With ids: the table and a number."""
    counts: dict[str, int] = {}
    for layer in layers:
        name = layer["source-layer"]
        counts[name] = counts.get(name, 0) + 1
        layer["id"] = f"{name}:{counts[name]}"
    return layers


def _rules(style: etree._Element, source: str, table: str) -> Iterator[tuple[tuple[int, int], etree._Element, dict]]:
    """Rule by rule and symbolizer by symbolizer: place, symbolizer, and what its layers share."""
    for at, rule in enumerate(style.iterfind("Rule")):
        base = {"id": "", "source": source, "source-layer": table}
        if (to_scale := rule.findtext("MaxScaleDenominator")) and (least := zoom_of(float(to_scale))) > 0:
            base["minzoom"] = least
        if from_scale := rule.findtext("MinScaleDenominator"):
            base["maxzoom"] = zoom_of(float(from_scale))
        if base.get("maxzoom", math.inf) <= base.get("minzoom", 0):
            continue
        text = rule.findtext("Filter") or "true"
        if not can_be_read(text):
            continue                                              # a test holds the styles that are shipped to those that can
        if (expression := as_expression(text)) is not True:
            base["filter"] = expression
        for number, part in enumerate(rule):
            if isinstance(part.tag, str) and part.tag.endswith("Symbolizer"):
                yield (at, number), part, base


def _layers(symbolizer: etree._Element, geometry: str, base: dict) -> Iterator[dict]:
    make = MAKERS.get(symbolizer.tag)
    if make is not None:
        said = _Said(symbolizer.attrib, base.get("minzoom", 0.0), base.get("maxzoom", float(LAST_ZOOM)), geometry, (symbolizer.text or "").strip())
        yield from (base | layer for layer in make(said))


# Values that hang on the scale

@dataclass(frozen=True, slots=True)
class _Said:
    """The attributes of a symbolizer, and between which zooms it counts."""

    attributes: Mapping[str, str]
    least: float
    most: float
    geometry: str
    text: str

    def get(self, name: str, default: str | None = None) -> str | None:
        return self.attributes.get(name, default)

    def fixed(self, name: str, default: float = 0.0) -> float:
        """In the middle of the zooms where it counts, where it hangs on the scale."""
        return round(self.at(name, (self.least + min(self.most, LAST_ZOOM)) / 2, default), 3)

    def at(self, name: str, zoom: float, default: float = 0.0) -> float:
        text = self.attributes.get(name)
        return default if text is None else _formula(text)(width_factor(METRES_AT_ZOOM_0 / 2**zoom))

    def scaled(self, name: str, default: float = 0.0, factor: float = 1.0) -> float | list:
        """A number, or stops at whole zooms between which MapLibre goes straight."""
        if "@w" not in self.attributes.get(name, ""):
            return round(self.at(name, 0, default) * factor, 3)
        stops = [(zoom, round(self.at(name, zoom) * factor, 3)) for zoom in self.zooms]
        needed = [
            (zoom, value) for at, (zoom, value) in enumerate(stops)
            if at in (0, len(stops) - 1) or not math.isclose(2 * value, stops[at - 1][1] + stops[at + 1][1], abs_tol=2e-3)
        ]
        if len({value for _, value in needed}) == 1:
            return needed[0][1]
        return ["interpolate", ["linear"], ["zoom"], *(part for stop in needed for part in stop)]

    @property
    def zooms(self) -> range:
        return range(math.floor(self.least), min(math.ceil(self.most), LAST_ZOOM) + 1)


@lru_cache(maxsize=1024)
def _formula(text: str) -> Callable[[float], float]:
    """A formula of numbers, `@w`, `min` and `max`."""
    tree = ast.parse(text.replace("@w", "w").strip(), mode="eval").body
    return lambda w: float(_worked_out(tree, w))


OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def _worked_out(node: ast.expr, w: float) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Name(id="w"):
            return w
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_worked_out(operand, w)
        case ast.BinOp(left=left, op=sign, right=right):
            return OPERATORS[type(sign)](_worked_out(left, w), _worked_out(right, w))
        case ast.Call(func=ast.Name(id="min" | "max" as name), args=args):
            return (min if name == "min" else max)(_worked_out(one, w) for one in args)
    raise ValueError(f"`{ast.unparse(node)}` can't stand in a width of a style that is also one of MapLibre: use numbers, @w, min and max")


# Symbolizers

def _line(said: _Said) -> Iterator[dict]:
    paint = {"line-color": said.get("stroke", "#000000"), "line-width": said.scaled("stroke-width", 1.0)}
    if said.get("stroke-opacity"):
        paint["line-opacity"] = said.fixed("stroke-opacity", 1.0)
    if said.get("offset"):
        paint["line-offset"] = said.scaled("offset", factor=-1.0)       # Mapnik's positive side is the left one
    if dash := said.get("stroke-dasharray"):
        paint["line-dasharray"] = _dashes(said, [float(part) for part in dash.split(",")])
    layout = {"line-join": said.get("stroke-linejoin", "miter"), "line-cap": said.get("stroke-linecap", "butt")}
    yield {"type": "line", "layout": layout, "paint": paint}


def _dashes(said: _Said, pixels: list[float]) -> list:
    """MapLibre measures dashes by the width of their line."""
    if "@w" not in said.get("stroke-width", ""):
        return [round(part / max(said.at("stroke-width", 0, 1.0), 0.1), 2) for part in pixels]
    steps = [(zoom, ["literal", [round(part / max(said.at("stroke-width", zoom + 0.5), 0.1), 2) for part in pixels]]) for zoom in said.zooms]
    return ["step", ["zoom"], steps[0][1], *(part for step in steps[1:] for part in step)] if len(steps) > 1 else steps[0][1][1]


def _fill(said: _Said) -> Iterator[dict]:
    paint = {"fill-color": said.get("fill", "#808080"), "fill-antialias": False}
    if said.get("fill-opacity"):
        paint["fill-opacity"] = said.fixed("fill-opacity", 1.0)
    yield {"type": "fill", "paint": paint}


def _pattern(said: _Said) -> Iterator[dict]:
    yield {"type": "fill", "paint": {"fill-pattern": image_name(said.get("file", ""))}}


def _marker(said: _Said) -> Iterator[dict]:
    fill, stroke, edge = said.get("fill", "#0000FF"), said.get("stroke", "#000000"), said.fixed("stroke-width", 0.5)
    if said.get("file", "shape://ellipse").startswith("shape://") and said.get("placement") != "line":
        yield {"type": "circle", "paint": {
            "circle-radius": said.scaled("width", 10.0, 0.5), "circle-color": fill, "circle-stroke-color": stroke, "circle-stroke-width": edge,
        }}
        return
    layout = {
        "icon-image": ICON_PREFIX + (image_name(said.get("file", "")) or "circle"), "icon-size": said.scaled("height", 10.0, 1 / ICON_SIZE),
        "icon-allow-overlap": said.get("allow-overlap") == "true", "icon-ignore-placement": said.get("ignore-placement") == "true",
    }
    if said.get("placement") == "line":
        layout |= {"symbol-placement": "line", "symbol-spacing": max(said.fixed("spacing", 100.0), 1.0)}
    yield {"type": "symbol", "layout": layout, "paint": {"icon-color": fill, "icon-halo-color": stroke, "icon-halo-width": edge}}


def _text(said: _Said) -> Iterator[dict]:
    layout, paint = _lettering(said)
    size, dx, dy = said.fixed("size", 10.0), said.fixed("dx"), said.fixed("dy")
    if said.get("placement") == "line":
        layout |= {"symbol-placement": "line", "text-max-angle": said.fixed("max-char-angle-delta", 30.0), "text-offset": [0, round(dy / size, 2)]}
        layout |= {"symbol-spacing": said.fixed("spacing", 250.0)} if said.get("spacing") else {}
    elif said.get("placement-type") == "simple":
        layout |= {"text-variable-anchor": ["bottom", "top", "left", "right"], "text-radial-offset": round(max(abs(dx), abs(dy)) / size, 2)}
    else:
        side = {"right": "left", "left": "right"}.get(said.get("horizontal-alignment", ""), "")
        layout["text-anchor"] = side or ("bottom" if dy < 0 else "top" if dy > 0 else "center")
        layout["text-offset"] = [round(dx / size, 2), round(dy / size, 2)]
    layout["text-max-width"] = round(said.fixed("wrap-width") / size, 1) if said.get("wrap-width") else 60
    yield {"type": "symbol", "layout": layout, "paint": paint}


def _shield(said: _Said) -> Iterator[dict]:
    layout, paint = _lettering(said)
    scale = re.search(r"scale\(([\d.]+)", said.get("transform", ""))
    anchor, offset = SHIELD_TEXT
    layout |= {
        "icon-image": image_name(said.get("file", "")), "icon-size": float(scale[1]) if scale else 1.0, "icon-rotation-alignment": "viewport",
        "text-rotation-alignment": "viewport", "text-anchor": anchor, "text-offset": offset,
        "symbol-placement": said.get("placement", "point"), "symbol-spacing": said.fixed("spacing", 250.0),
    }
    yield {"type": "symbol", "layout": layout, "paint": paint}


def _lettering(said: _Said) -> tuple[dict, dict]:
    size = said.fixed("size", 10.0)
    layout = {"text-field": _words(said.text), "text-font": [FONTSETS.get(said.get("fontset-name", ""), FONTSETS["sans"])], "text-size": size}
    if said.get("character-spacing"):
        layout["text-letter-spacing"] = round(said.fixed("character-spacing") / size, 2)
    if said.get("margin"):
        layout["text-padding"] = said.fixed("margin")
    paint = {"text-color": said.get("fill", "#000000")}
    if said.get("halo-radius"):
        paint |= {"text-halo-color": said.get("halo-fill", "#FFFFFF"), "text-halo-width": said.fixed("halo-radius")}
    return layout, paint


def _words(text: str) -> list:
    """`[NAME]`, or several such with words between them. A missing value is an empty text."""
    parts = [["to-string", ["get", part]] if number % 2 else part.strip("' +") for number, part in enumerate(ROLE.split(text))]
    parts = [part for part in parts if part]
    return parts[0] if len(parts) == 1 else ["concat", *parts]


MAKERS: dict[str, Callable[[_Said], Iterator[dict]]] = {
    "LineSymbolizer": _line, "PolygonSymbolizer": _fill, "PolygonPatternSymbolizer": _pattern, "MarkersSymbolizer": _marker,
    "TextSymbolizer": _text, "ShieldSymbolizer": _shield,
}


def image_name(file: str) -> str:
    """What the image of a symbol file is called in the sprite; "" of no file."""
    return "" if file.startswith("shape://") else PurePosixPath(file).stem


def plainly(edition: Edition) -> Edition:
    """The edition without its owner's rules of drawing, for whoever may not have the attributes that they tell."""
    return replace(edition, symbols=None)
