"""How an overlay is drawn, by its owner's own rules: one JSON text, from which Mapnik's styles, the legend and the layers of MapLibre are made.

    {"tables": {"stations": {
        "symbol": {"colour": "#1971C2", "size": 9, "icon": "gauge"},
        "classes": {"by": "LEVEL", "kind": "range", "entries": [
            {"from": null, "to": 3.5, "title": {"zh": "正常", "en": "normal"}, "symbol": {"colour": "#2B8A3E"}},
            {"from": 3.5, "to": null, "title": {"zh": "超警", "en": "above the warning level"}, "symbol": {"colour": "#E03131"}}]},
        "label": {"field": "STNM", "to_scale": 100000}}}}

A class holds the features whose attribute is `value`, or lies in `[from, to)`; the first that fits wins. `other` is the symbol of what is in no
class: `null` leaves it out. What a symbol does not say it has from the one above: class, table, house. A table that is not named is drawn plainly.

A picture by these rules tells the values that its classes and labels are made of: `names_told` are its attributes, and who may not have them may
not have the picture, its legend, or the rules.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

from lxml import etree
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationError, model_validator

from layers.model import Edition, FeatureClass
from tiles.dlg_styles import OVERLAY_ORDER, SAFE_FIELD, UNLABELLED, Fields, FittedStyle, Kind, TableStyles, When, null_flag

LONGEST_RULES = 64 << 10
"""Characters of the rules of one overlay."""

MOST_CLASSES, MOST_TABLES = 64, 32
LINE_ORDER, POINT_ORDER, LABEL_ORDER = 70, 100, 300
AREA_LABELS, LINE_LABELS, POINT_LABELS = LABEL_ORDER, LABEL_ORDER + 1, LABEL_ORDER + 2

ICONS = ("circle", "square", "triangle", "diamond", "star", "cross", "pin", "car", "gauge", "dam", "works", "warning", "camera", "flag")
"""A closed set: `circle` is Mapnik's own, the others are files of config/styles/symbols. No rule names a file."""

PLAIN = {"colour": "#1971C2", "opacity": 0.65, "outline": "#FFFFFF", "width": None, "size": 9.0, "icon": "circle", "dash": "solid"}
WIDTHS = {"area": 1.0, "line": 2.4, "point": 1.2}
"""Pixels (0.28 mm) of a line, or of an outline, where the rules say none."""

DASHES = {"solid": None, "dashed": (8, 5), "dotted": (2, 4)}
CASING = 2.0
"""Pixels that the light edge of a line adds to its width, so that it stands out on imagery and line map alike."""


class SymbolsInvalid(ValueError):
    """Rules that can't be drawn by. `faults` pairs the place (a JSON pointer) with a code and its details; sentences are the service's."""

    def __init__(self, *faults: tuple[str, str, Mapping[str, str]]):
        super().__init__("; ".join(f"{place or '/'}: {code}" for place, code, _ in faults))
        self.faults = faults


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Colour = Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")]
Title = Annotated[str, Field(max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Titles(_Rule):
    zh: Title = ""
    en: Title = ""


def _both_languages(value: object) -> object:
    return {"zh": value, "en": value} if isinstance(value, str) else value


Told = Annotated[Titles, BeforeValidator(_both_languages)]


class Symbol(_Rule):
    """`size` and `width` in pixels of 0.28 mm; `opacity` of the fill of areas, 0 to 1. None: as the symbol above says."""

    colour: Colour | None = None
    opacity: Annotated[float, Field(ge=0, le=1)] | None = None
    outline: Colour | None = None
    width: Annotated[float, Field(ge=0, le=20)] | None = None
    size: Annotated[float, Field(ge=2, le=64)] | None = None
    icon: Literal[ICONS] | None = None
    dash: Literal["solid", "dashed", "dotted"] | None = None


Value = StrictBool | StrictInt | StrictFloat | Annotated[StrictStr, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f\\]*$")] | None


class ClassOfValue(_Rule):
    value: Value
    title: Told = Titles()
    symbol: Symbol = Symbol()

    @model_validator(mode="after")
    def _quotable(self) -> "ClassOfValue":
        if isinstance(self.value, str) and "'" in self.value and '"' in self.value:
            raise ValueError("symbols-quotes")
        return self


class ClassOfRange(_Rule):
    """`[from, to)`; None is open."""

    low: Annotated[float | None, Field(alias="from")] = None
    high: Annotated[float | None, Field(alias="to")] = None
    title: Told = Titles()
    symbol: Symbol = Symbol()

    @model_validator(mode="after")
    def _not_empty(self) -> "ClassOfRange":
        if self.low is None and self.high is None:
            raise ValueError("symbols-range-open")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("symbols-range-empty")
        return self


class ByValue(_Rule):
    by: Annotated[str, Field(min_length=1, max_length=100)]
    kind: Literal["value"]
    entries: Annotated[tuple[ClassOfValue, ...], Field(min_length=1, max_length=MOST_CLASSES)]
    other: Symbol | None = Symbol()


class ByRange(_Rule):
    by: Annotated[str, Field(min_length=1, max_length=100)]
    kind: Literal["range"]
    entries: Annotated[tuple[ClassOfRange, ...], Field(min_length=1, max_length=MOST_CLASSES)]
    other: Symbol | None = Symbol()


class Label(_Rule):
    """Written up to the scale 1:`to_scale`; `size` in pixels."""

    field: Annotated[str, Field(min_length=1, max_length=100)]
    size: Annotated[float, Field(ge=8, le=32)] = 11
    colour: Colour | None = None
    halo: Colour = "#FFFFFF"
    to_scale: Annotated[float, Field(ge=100, le=1e9)] = 100_000


class TableRules(_Rule):
    """`to_scale`: shown up to the scale 1:`to_scale`; None at every scale."""

    symbol: Symbol = Symbol()
    classes: Annotated[ByValue | ByRange, Field(discriminator="kind")] | None = None
    label: Label | None = None
    to_scale: Annotated[float, Field(ge=100, le=1e9)] | None = None


class Symbols(_Rule):
    """The rules of an overlay, checked."""

    tables: Annotated[dict[str, TableRules], Field(max_length=MOST_TABLES)]

    def text(self) -> str:
        """What `Edition.symbols` holds: the same rules give the same text."""
        return json.dumps(self.model_dump(by_alias=True, exclude_defaults=True), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


# Reading

@lru_cache(maxsize=256)
def read(text: str) -> Symbols:
    """The rules that `text` holds.

    Raises
    ------
    SymbolsInvalid
        It is not JSON, or not the rules described above; every fault with its place.
    """
    if len(text) > LONGEST_RULES:
        raise SymbolsInvalid(("", "symbols-too-long", {"most": str(LONGEST_RULES)}))
    try:
        return Symbols.model_validate(json.loads(text, parse_constant=_no_constant))
    except ValidationError as error:
        raise SymbolsInvalid(*(_fault(one) for one in error.errors(include_url=False))) from None
    except (ValueError, RecursionError):
        raise SymbolsInvalid(("", "symbols-not-json", {})) from None


def _no_constant(name: str) -> None:
    raise ValueError(name)


UNION_TAGS = frozenset({"str", "float", "int", "bool", "none", "constrained-str"})
"""Words that pydantic adds to a place; what follows `classes` is its kind."""


def _fault(error: Mapping) -> tuple[str, str, Mapping[str, str]]:
    parts = [part for before, part in zip(("", *error["loc"]), error["loc"], strict=False) if before != "classes" and part not in UNION_TAGS]
    place = "".join(f"/{part}" for part in parts)
    if error["type"] == "value_error":
        return place, str(error["ctx"]["error"]), {}
    return place, "symbols-invalid", {"problem": error["msg"][:200]}


def check(symbols: Symbols, classes: Collection[FeatureClass]) -> None:
    """That the rules speak of tables and attributes that are there. Only their owner asks: the answer tells what there is.

    Raises
    ------
    SymbolsInvalid
    """
    known, faults = {one.name: one for one in classes}, []
    for name, rules in symbols.tables.items():
        table = known.get(name)
        if table is None:
            faults.append((f"/tables/{name[:60]}", "symbols-no-table", {"choices": ", ".join(sorted(known))[:300]}))
            continue
        for place, field in _fields_named(rules):
            if field not in table.fields:
                faults.append((f"/tables/{name}/{place}", "symbols-no-field", {"field": field, "choices": ", ".join(table.fields)[:300]}))
            elif not SAFE_FIELD.fullmatch(field):
                faults.append((f"/tables/{name}/{place}", "symbols-field-name", {"field": field}))
    if faults:
        raise SymbolsInvalid(*faults)


def _fields_named(rules: TableRules) -> Iterator[tuple[str, str]]:
    if rules.classes is not None:
        yield "classes/by", rules.classes.by
    if rules.label is not None:
        yield "label/field", rules.label.field


def names_told(edition: Edition, style: str) -> frozenset[str]:
    """`TABLE.FIELD` of the attributes whose values a picture by the edition's rules tells: those that its classes are made of, and in a style with
    names those that are written. Nothing of an edition without rules."""
    if edition.symbols is None:
        return frozenset()
    found, present = set(), {table.name for table in edition.classes}
    for name, rules in read(edition.symbols).tables.items():
        if name in present:
            found |= {f"{name}.{field}" for place, field in _fields_named(rules) if place != "label/field" or style != UNLABELLED}
    return frozenset(found)


# One symbol

@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A symbol with everything said, for one kind of geometry."""

    colour: str
    opacity: float
    outline: str
    width: float
    size: float
    icon: str
    dash: str

    @classmethod
    def of(cls, geometry: str, *symbols: Symbol) -> "Look":
        """From the outermost to the innermost."""
        said: dict[str, object] = dict(PLAIN, width=WIDTHS[geometry])
        for symbol in symbols:
            said |= symbol.model_dump(exclude_none=True)
        return cls(**said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """What is drawn alike: a condition for Mapnik and one for MapLibre (None: everything), a sample, the words, the look."""

    name: str
    titles: Titles
    look: Look
    condition: str | None
    expression: list | None
    sample: Mapping[str, object]


def classes_of(name: str, rules: TableRules, geometry: str) -> tuple[Class, ...]:
    """In the order in which they are tried."""
    if rules.classes is None:
        look = Look.of(geometry, rules.symbol)
        return (Class(name=f"{name}:all", titles=Titles(), look=look, condition=None, expression=None, sample={}),)
    by, found, earlier = rules.classes.by, [], []
    for number, entry in enumerate(rules.classes.entries):
        condition, expression, sample, words = (_of_value if isinstance(entry, ClassOfValue) else _of_range)(by, entry)
        whole = condition if not earlier else f"({condition}) and not ({_any_of(earlier)})"
        every = expression if not earlier else ["all", expression, ["!", ["any", *(one for _, one in earlier)]]]
        titles = Titles(zh=entry.title.zh or entry.title.en or words[0], en=entry.title.en or entry.title.zh or words[1])
        found.append(Class(
            name=f"{name}:{number}", titles=titles, look=Look.of(geometry, rules.symbol, entry.symbol), condition=whole, expression=every,
            sample={by: sample},
        ))
        earlier.append((condition, expression))
    if rules.classes.other is not None:
        found.append(Class(
            name=f"{name}:other", titles=Titles(zh="其他", en="other"), look=Look.of(geometry, rules.symbol, rules.classes.other),
            condition=f"not ({_any_of(earlier)})", expression=["!", ["any", *(one for _, one in earlier)]],
            sample={by: _no_class(rules.classes)},
        ))
    return tuple(found)


def _is_null(by: str) -> str:
    """Whether the attribute has no value, by whichever datasource."""
    return f"[{by}] = null or [{null_flag(by)}] = 1"


def _any_of(earlier: list[tuple[str, list]]) -> str:
    return " or ".join(f"({condition})" for condition, _ in earlier)


def _of_value(by: str, entry: ClassOfValue) -> tuple[str, list, object, tuple[str, str]]:
    value = entry.value
    expression = ["==", ["get", by], value]
    if value is None:
        return _is_null(by), ["==", ["typeof", ["get", by]], "null"], None, ("无值", "no value")
    if isinstance(value, bool):
        word = "true" if value else "false"
        return f"not ({_is_null(by)}) and ([{by}] = {word} or [{by}] = {int(value)})", ["any", expression, ["==", ["get", by], int(value)]], value, (word, word)
    if isinstance(value, str):
        quote = '"' if "'" in value else "'"
        return f"not ({_is_null(by)}) and [{by}] = {quote}{value}{quote}", expression, value, (value[:80], value[:80])
    return f"not ({_is_null(by)}) and [{by}] = {value!r}", expression, value, (f"{value:g}", f"{value:g}")


def _of_range(by: str, entry: ClassOfRange) -> tuple[str, list, object, tuple[str, str]]:
    conditions, expressions = [], []
    for sign, limit in ((">=", entry.low), ("<", entry.high)):
        if limit is not None:
            conditions.append(f"[{by}] {sign} {_number(limit)}")
            expressions.append([sign, ["get", by], limit])
    is_number = ["==", ["typeof", ["get", by]], "number"]
    if entry.high is None:
        sample, words = entry.low, (f"{entry.low:,g} 及以上", f"{entry.low:,g} and more")
    elif entry.low is None:
        sample, words = entry.high - max(1.0, abs(entry.high)), (f"小于 {entry.high:,g}", f"less than {entry.high:,g}")
    else:
        sample, words = (entry.low + entry.high) / 2, (f"{entry.low:,g}–{entry.high:,g}",) * 2
    return " and ".join([f"not ({_is_null(by)})", *conditions]), ["all", is_number, *expressions], sample, words


def _number(value: float) -> str:
    """As Mapnik reads it."""
    return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _no_class(classes: ByValue | ByRange) -> object:
    """A value of no class, for the sample of `other`."""
    if isinstance(classes, ByRange):
        return None
    taken = {entry.value for entry in classes.entries}
    return next(word for word in (f"other{number or ''}" for number in range(MOST_CLASSES + 1)) if word not in taken)


# Mapnik, and the legend that is drawn from the same elements

def fitted(edition: Edition, folder: str) -> list[TableStyles]:
    """Styles of every table of an overlay with rules, in the form of those of a line map. `folder` is that of the icons' files."""
    tables = read(edition.symbols).tables
    return [_fit(table, tables.get(table.name, TableRules()), folder) for table in sorted(edition.classes, key=lambda one: one.name)]


def _fit(table: FeatureClass, rules: TableRules, folder: str) -> TableStyles:
    fields = Fields(table.name, table.fields, {})
    found = classes_of(table.name, rules, table.geometry)
    order = {"area": OVERLAY_ORDER, "line": LINE_ORDER, "point": POINT_ORDER}[table.geometry]
    style = etree.Element("Style", name=table.name)
    for one in found:
        rule = _rule_element(style, one.condition, rules.to_scale)
        _draw(rule, table.geometry, one.look, folder)
    styles = [FittedStyle(order=order, element=style)]
    if rules.label is not None:
        labels = etree.Element("Style", name=f"{table.name} names")
        for one in found:                                           # what is not drawn is not written either
            _write(_rule_element(labels, one.condition, min(rules.label.to_scale, rules.to_scale or 1e9)), table.geometry, rules.label, one.look)
        styles.append(FittedStyle(order={"area": AREA_LABELS, "line": LINE_LABELS, "point": POINT_LABELS}[table.geometry], element=labels))
    kinds = () if rules.classes is None else tuple(_kind(one) for one in found)
    flags = (rules.classes.by,) if rules.classes is not None else ()
    return TableStyles(feature_class=table, fields=fields, kinds=kinds, styles=tuple(styles), null_flags=flags)


def _kind(one: Class) -> Kind:
    ((field, sample),) = one.sample.items()
    way = When(fields=(field,), pattern="sample", step="", table="", always=False, sample=sample)
    return Kind(name=one.name, title_zh=one.titles.zh, title_en=one.titles.en, ways=(way,))


def _rule_element(style: etree._Element, condition: str | None, to_scale: float | None) -> etree._Element:
    rule = etree.SubElement(style, "Rule")
    if condition is not None:
        etree.SubElement(rule, "Filter").text = condition
    if to_scale is not None:
        etree.SubElement(rule, "MaxScaleDenominator").text = f"{to_scale:.0f}"
    return rule


def _draw(rule: etree._Element, geometry: str, look: Look, folder: str) -> None:
    if geometry == "area":
        etree.SubElement(rule, "PolygonSymbolizer", fill=look.colour, **{"fill-opacity": f"{look.opacity:g}"})
        if look.width > 0:
            _line(rule, look.outline, look.width, look.dash)
    elif geometry == "line":
        if look.width > 0:
            _line(rule, look.outline, look.width + CASING, "solid", opacity="0.75")
            _line(rule, look.colour, look.width, look.dash)
    else:
        file = "shape://ellipse" if look.icon == "circle" else f"{folder}/{look.icon}.svg"
        etree.SubElement(rule, "MarkersSymbolizer", file=file, fill=look.colour, stroke=look.outline, **{
            "width": f"{look.size:g}", "height": f"{look.size:g}", "stroke-width": f"{look.width:g}", "allow-overlap": "true",
        })


def _line(rule: etree._Element, colour: str, width: float, dash: str, opacity: str = "1") -> None:
    line = etree.SubElement(rule, "LineSymbolizer", stroke=colour, **{
        "stroke-width": f"{width:g}", "stroke-opacity": opacity, "stroke-linejoin": "round", "stroke-linecap": "round" if dash == "solid" else "butt",
    })
    if DASHES[dash]:
        line.set("stroke-dasharray", ",".join(map(str, DASHES[dash])))


def _write(rule: etree._Element, geometry: str, label: Label, look: Look) -> None:
    shared = {
        "fontset-name": "sans", "size": f"{label.size:g}", "fill": label.colour or look.colour, "halo-radius": "1.6", "halo-fill": label.halo,
    }
    placed = {
        "area": {"placement": "interior", "wrap-width": "90"},
        "line": {"placement": "line", "spacing": "400", "repeat-distance": "260", "max-char-angle-delta": "25", "dy": "8"},
        "point": {"dy": f"{-(look.size / 2 + 4):g}", "placement-type": "simple", "placements": "N,S,E,W"},
    }
    etree.SubElement(rule, "TextSymbolizer", **shared, **placed[geometry]).text = f"[{label.field}]"


# MapLibre

METRES_AT_ZOOM_0 = 559_082_264.0287178 / 2
"""Scale denominator of a vector tile of 512 pixels at zoom 0 (OGC 17-083r4, 0.28 mm a pixel)."""


def zoom_of(to_scale: float) -> float:
    """The zoom of MapLibre from which something that is shown up to 1:`to_scale` is shown."""
    return round(min(max(math.log2(METRES_AT_ZOOM_0 / to_scale), 0), 24), 2)


def maplibre_layers(edition: Edition, source: str, *, labels: bool = True, font: str = "Noto Sans Regular") -> list[dict]:
    """Layers of a style of MapLibre GL that draw the tables of an overlay as Mapnik does, from the bottom up.

    Parameters
    ----------
    edition : Edition
        With its rules, or None: then each table is drawn plainly.
    source : str
        Id of the vector source; its layers are called as the tables.
    labels : bool
        False for the style without names.
    """
    rules = read(edition.symbols).tables if edition.symbols else {}
    drawn: list[tuple[int, dict]] = []
    for table in sorted(edition.classes, key=lambda one: one.name):
        ruled = rules.get(table.name, TableRules())
        for one in classes_of(table.name, ruled, table.geometry):
            base = {"source": source, "source-layer": table.name}
            if one.expression is not None:
                base["filter"] = one.expression
            zoomed = base | ({"minzoom": zoom_of(ruled.to_scale)} if ruled.to_scale else {})
            drawn += _maplibre_shapes(one, table.geometry, zoomed)
            if ruled.label is not None and labels:
                to_scale = min(ruled.label.to_scale, ruled.to_scale or 1e9)
                drawn.append(_maplibre_label(one, table.geometry, ruled.label, base | {"minzoom": zoom_of(to_scale)}, font))
    return [layer for _, layer in sorted(drawn, key=lambda pair: pair[0])]


def _maplibre_shapes(one: Class, geometry: str, base: dict) -> Iterator[tuple[int, dict]]:
    look = one.look
    dash = {"line-dasharray": [part / max(look.width, 0.1) for part in DASHES[look.dash]]} if DASHES[look.dash] else {}
    rounded = {"line-join": "round", "line-cap": "butt" if dash else "round"}
    if geometry == "area":
        yield OVERLAY_ORDER, {"id": one.name, "type": "fill", **base, "paint": {"fill-color": look.colour, "fill-opacity": look.opacity}}
        if look.width > 0:
            paint = {"line-color": look.outline, "line-width": look.width, **dash}
            yield OVERLAY_ORDER + 1, {"id": f"{one.name}:outline", "type": "line", **base, "layout": rounded, "paint": paint}
    elif geometry == "line":
        casing = {"line-color": look.outline, "line-width": look.width + CASING, "line-opacity": 0.75}
        round_cap = {"line-join": "round", "line-cap": "round"}
        yield LINE_ORDER, {"id": f"{one.name}:casing", "type": "line", **base, "layout": round_cap, "paint": casing}
        yield LINE_ORDER + 1, {"id": one.name, "type": "line", **base, "layout": rounded, "paint": {"line-color": look.colour, "line-width": look.width, **dash}}
    elif look.icon == "circle":
        yield POINT_ORDER, {"id": one.name, "type": "circle", **base, "paint": {
            "circle-radius": look.size / 2, "circle-color": look.colour, "circle-stroke-color": look.outline, "circle-stroke-width": look.width,
        }}
    else:
        yield POINT_ORDER, {
            "id": one.name, "type": "symbol", **base,
            "layout": {"icon-image": f"{ICON_PREFIX}{look.icon}", "icon-size": look.size / ICON_SIZE, "icon-allow-overlap": True, "icon-ignore-placement": True},
            "paint": {"icon-color": look.colour, "icon-halo-color": look.outline, "icon-halo-width": look.width},
        }


ICON_PREFIX, ICON_SIZE = "overlay-", 32
"""Of the images of the icons (signed distance fields, so that they take any colour), and their pixels across."""


def _maplibre_label(one: Class, geometry: str, label: Label, base: dict, font: str) -> tuple[int, dict]:
    layout = {"text-field": ["to-string", ["get", label.field]], "text-font": [font], "text-size": label.size}
    if geometry == "line":
        layout |= {"symbol-placement": "line", "symbol-spacing": 400}
    elif geometry == "point":
        layout |= {"text-variable-anchor": ["bottom", "top", "left", "right"], "text-radial-offset": round((one.look.size / 2 + 3) / label.size, 2)}
    else:
        layout |= {"text-max-width": 8}
    paint = {"text-color": label.colour or one.look.colour, "text-halo-color": label.halo, "text-halo-width": 1.6}
    order = {"area": AREA_LABELS, "line": LINE_LABELS, "point": POINT_LABELS}[geometry]
    return order, {"id": f"{one.name}:name", "type": "symbol", **base, "layout": layout, "paint": paint}
