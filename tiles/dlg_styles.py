"""Style files and the fields a table has -> one Mapnik map. How the files are written: config/styles/README.md.

Pure but for reading the files: no Mapnik, no data. The map and its legend are made from the same `StyleBook`, so they can't disagree.
"""

import ast
import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from lxml import etree

from layers.feature_classes import FeatureClassTable
from layers.model import Edition, FeatureClass
from tiles.palettes import LABELS, UNLABELLED, Palette, has_labels, palette_of

ROLE = re.compile(r"\[([A-Z_]+)\]")
KIND = re.compile(r"\$\{([a-z]+)\}")
PARAMETER = re.compile(r"\$\{([a-z_]+)\}")
COMPARISON = re.compile(r"\[[^\]]+\]\s*(?:!=|<=|>=|=|<|>)\s*(?:'[^']*'|[-\w.]+)")

__all__ = ["LABELS", "UNLABELLED", "Parameters", "StyleBook", "TableStyles", "has_labels", "map_xml"]

OVERLAY_ORDER = 20
"""Drawing order of the areas of an overlay; its lines and points say theirs in the style."""

FONTSETS = {"sans": "Noto Sans SC Regular", "serif": "Noto Serif SC Regular"}

SAFE_FIELD = re.compile(r"[^\[\]{}]+")
"""Names that can stand in a Mapnik expression; a field called otherwise is not used for drawing."""

NOTHING, ALL = "false", "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """One way to tell a kind. Exactly one of `fields`, `table` and `always` counts."""

    fields: tuple[str, ...]     # roles or field names
    pattern: str                # regular expression over the whole value
    step: str                   # or: the value is a multiple of this
    table: str                  # regular expression over the table's name
    always: bool
    sample: str                 # a value that fits, for the legend
    is_fallback: bool = False   # only for features without a GB/T 13923 code

    def expression(self, fields: "Fields") -> str:
        """As Mapnik writes it, "true" or "false" where the table decides."""
        if self.always:
            return ALL
        if self.table:
            return ALL if re.fullmatch(self.table, fields.table.lower()) else NOTHING
        found = [name for wanted in self.fields if (name := fields.find(wanted))]
        test = (lambda name: f"[{name}] % {self.step} = 0") if self.step else (lambda name: f"[{name}].match('{self.pattern}')")
        fits = " or ".join(test(name) for name in dict.fromkeys(found)) or NOTHING
        code = fields.find("GB")
        is_second = self.is_fallback or self.step        # a round height makes an index contour only where no code says what it is
        return f"(not ([{code}].match('.+')) and ({fits}))" if is_second and code and fits != NOTHING else fits

    def sample_values(self, fields: "Fields") -> dict[str, object] | None:
        """Attributes that make a feature this kind; None where this way does not apply to the table."""
        if self.expression(fields) == NOTHING:
            return None
        if self.step:
            return {name: 0 for wanted in self.fields if (name := fields.find(wanted))}
        return next(({name: self.sample} for wanted in self.fields if (name := fields.find(wanted))), {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Features that look alike: national roads, index contours. `other`, without ways, is what is of no kind."""

    name: str
    title_zh: str
    title_en: str
    ways: tuple[When, ...]
    in_legend: bool = True
    sample_zh: str = ""         # a name to show in the legend, where the name is all there is to see
    sample_en: str = ""


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one table, asked by the part they play. Case does not count; the first name of `fields.csv` that is there wins."""

    table: str
    names: tuple[str, ...]
    roles: Mapping[str, tuple[str, ...]]

    def find(self, wanted: str) -> str | None:
        """The field that plays the part `wanted`, or that is called so; None where the table has none."""
        by_lower = {name.lower(): name for name in self.names if SAFE_FIELD.fullmatch(name)}
        return next((by_lower[c.lower()] for c in self.roles.get(wanted, (wanted,)) if c.lower() in by_lower), None)


@dataclass(frozen=True, slots=True)
class StyleFile:
    """One file of config/styles, as written."""

    kinds: tuple[Kind, ...]
    styles: tuple[etree._Element, ...]
    palette: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path) -> "StyleFile":
        root = etree.parse(path, etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)).getroot()
        return cls(tuple(map(_kind_of, root.iterfind("Kind"))), tuple(root.iterfind("Style")), tuple(root.get("palette", "").split()))

    def filters(self, fields: Fields) -> dict[str, str]:
        """Kind -> Mapnik expression. The first kind that fits wins; `other` is none of them."""
        filters, earlier = {}, []
        for kind in (kind for kind in self.kinds if kind.ways):
            ways = [way.expression(fields) for way in kind.ways]
            own = ALL if ALL in ways else " or ".join(w for w in ways if w != NOTHING) or NOTHING
            filters[kind.name] = _without(own, earlier)
            if own != NOTHING:
                earlier.append(own)
        return filters | {"other": _without(ALL, earlier)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedStyle:
    """A Mapnik <Style> for one table: no part of it speaks of a field the table lacks."""

    order: int
    element: etree._Element


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStyles:
    """All that is drawn of one table."""

    feature_class: FeatureClass
    fields: Fields
    kinds: tuple[Kind, ...]     # those that can occur in it
    styles: tuple[FittedStyle, ...]
    null_flags: tuple[str, ...] = ()    # fields that the filters ask for NULL, which Mapnik reads as 0 or "": see `null_flag`


def null_flag(field: str) -> str:
    """The column, computed by the datasource, that is 1 where `field` is NULL."""
    return f"gs_null_{field}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What the data, not the style, decides. Units: metres and scale denominators."""

    index_step: float = 5.0
    contours_to: float = 25_000
    index_to: float = 100_000

    @classmethod
    def for_interval(cls, interval: float | None) -> "Parameters":
        """Every fifth contour is an index contour; the wider the interval, the smaller the scales that bear it."""
        if not interval:
            return cls()
        return cls(index_step=5 * interval, contours_to=max(25_000, 5_000 * interval), index_to=max(100_000, 20_000 * interval))


@dataclass(frozen=True, slots=True)
class StyleBook:
    """Every style file, read once.

    Parameters
    ----------
    folder : Path
        config/styles; the class table lies beside it.
    palette : Palette, optional
        What becomes of the colours; as written where there is none.
    """

    folder: Path
    classes: FeatureClassTable
    overlay: StyleFile
    files: Mapping[str, StyleFile]
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    palette: Palette | None = None
    palettes: Mapping[str, Palette] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> "StyleBook":
        files = {path.stem: StyleFile.load(path) for path in sorted((folder / "dlg").glob("*.xml"))}
        with (folder / "fields.csv").open(encoding="utf-8", newline="") as rows:
            roles = {row["role"]: tuple(row["fields"].split()) for row in csv.DictReader(rows)}
        return cls(
            folder, FeatureClassTable.load(folder.parent / "dlg_classes.csv"), StyleFile.load(folder / "overlay.xml"), files, roles,
            palettes=Palette.load(folder / "palettes.csv"),
        )

    def in_style(self, style: str) -> "StyleBook":
        """The same files in the colours of `style`: one of `layers.model.STYLES`, or "" for the colours as written."""
        return replace(self, palette=self.palettes.get(palette_of(style)))

    def fit(self, edition: Edition, parameters: Mapping[str, Parameters] | None = None, *, kinds_in: str = "") -> list[TableStyles]:
        """Styles of every table of `edition` that is drawn, by name of the table where the class leaves it open; an overlay may have rules of its own.

        With `kinds_in` filters look for the name of a kind in that attribute, where whoever made the data has written it, not for what tells it.
        """
        if edition.symbols is not None:
            from tiles.symbols import fitted  # which is made of what this module holds

            return fitted(edition, str(self.folder / "symbols"))
        present = {table.kind for table in edition.classes}
        return [
            self._fit_table(table, rank, plain, present, (parameters or {}).get(table.name, Parameters()), kinds_in)
            for rank, (table, plain) in enumerate(self._drawn(edition))
        ]

    def names_written(self, edition: Edition) -> frozenset[str]:
        """`CLASS.FIELD` of every attribute whose values the labels of `edition` spell out as names; of an overlay with rules: `tiles.symbols`."""
        found = ((table.name, self.fields(table).find("NAME")) for table, _ in self._drawn(edition))
        return frozenset(f"{table}.{field}" for table, field in found if field)

    def fields(self, table: FeatureClass) -> Fields:
        return Fields(table.name, table.fields, self.roles)

    def _drawn(self, edition: Edition) -> list[tuple[FeatureClass, bool]]:
        tables = sorted((t for t in edition.classes if self.classes.is_drawn(t.kind)), key=lambda t: t.name)
        return [(t, t.kind not in self.files) for t in tables]

    def _fit_table(
        self, table: FeatureClass, rank: int, is_plain: bool, present: set[str], parameters: Parameters, kinds_in: str = "",
    ) -> TableStyles:
        file = self.overlay if is_plain else self.files[table.kind]
        fields = self.fields(table)
        written = {
            "symbols": str(self.folder / "symbols"),
            "colour": file.palette[rank % len(file.palette)] if file.palette else "#000000",
            "index_step": f"{parameters.index_step:g}",
            "contours_to": f"{parameters.contours_to:.0f}",
            "index_to": f"{parameters.index_to:.0f}",
        }
        filters = {name: _fill(filter_, written) for name, filter_ in file.filters(fields).items()}
        if kinds_in:
            filters = {name: text if text in (ALL, NOTHING) else f"[{kinds_in}] = '{name}'" for name, text in filters.items()}
        order = OVERLAY_ORDER if is_plain else self.classes.drawing_order(table.kind)
        styles = []
        for style in file.styles:
            if style.get("geometry", table.geometry) != table.geometry or style.get("unless") in present:
                continue
            fitted = _fit_style(style, fields, filters, written)
            if self.palette is not None:
                self.palette.paint(fitted)
            if len(fitted):
                styles.append(FittedStyle(order=int(style.get("order", order)), element=fitted))
        kinds = tuple(k for k in file.kinds if k.in_legend and _constant(filters[k.name]) is not False)
        return TableStyles(feature_class=table, fields=fields, kinds=kinds, styles=tuple(styles))


MAPNIKS_HAIR = 1e-6
"""By which Mapnik widens the window of a layer at both ends."""


class MapLayer(NamedTuple):
    """One layer of a Mapnik map: drawn between two scale denominators, `finest` among them and `coarsest` not. Without a datasource it waits for one."""

    name: str
    srs: str
    datasource: Mapping[str, str]
    styles: Sequence[etree._Element]
    finest: float = 0.0
    coarsest: float = math.inf


def map_xml(layers: Iterable[MapLayer | tuple], buffer_size: int, *, labels: bool = True, whole_names: bool = True) -> str:
    """A whole Mapnik map.

    Parameters
    ----------
    layers : iterable of MapLayer, or of tuples like it
        In drawing order; no two of one name. Those that share a style (the very element) share it in the map.
    buffer_size : int
        Pixels around the picture in which features are still drawn.
    labels : bool
        False leaves out every symbol that writes.
    whole_names : bool
        Names and numbers stand wholly in the picture or are not there: none is cut by its edge, and so none by a seam between pictures.
    """
    root = etree.Element("Map", {"buffer-size": str(buffer_size)})
    for name, face in FONTSETS.items():
        etree.SubElement(etree.SubElement(root, "FontSet", name=name), "Font", {"face-name": face})
    layers, names = [MapLayer(*layer) for layer in layers], {}
    for layer in layers:
        for number, style in enumerate(layer.styles):
            if id(style) not in names:
                names[id(style)] = f"{layer.name} {number}"
                named = deepcopy(style)
                named.set("name", names[id(style)])
                root.append(named)
    for symbolizer in [] if labels else list(root.iter(*LABELS)):
        symbolizer.getparent().remove(symbolizer)
    for symbolizer in root.iter(*LABELS):
        symbolizer.set("halo-rasterizer", symbolizer.get("halo-rasterizer", "fast"))
        if whole_names:
            symbolizer.set("avoid-edges", "true")
    for one in layers:
        layer = etree.SubElement(root, "Layer", {"name": one.name, "srs": one.srs, "cache-features": "true" if len(one.styles) > 1 else "false"})
        if one.finest:
            layer.set("minimum-scale-denominator", repr(one.finest))
        if one.coarsest < math.inf:
            layer.set("maximum-scale-denominator", repr(one.coarsest - 2 * MAPNIKS_HAIR))
        for style in one.styles:
            etree.SubElement(layer, "StyleName").text = names[id(style)]
        source = etree.SubElement(layer, "Datasource") if one.datasource else None
        for key, value in one.datasource.items():
            etree.SubElement(source, "Parameter", name=key).text = value
    return etree.tostring(root, encoding="unicode")


def _fit_style(style: etree._Element, fields: Fields, filters: Mapping[str, str], written: Mapping[str, str]) -> etree._Element:
    fitted = deepcopy(style)
    for ours in ("order", "geometry", "unless"):
        fitted.attrib.pop(ours, None)
    for rule in list(fitted):
        if not _fit_rule(rule, fields, filters, written):
            fitted.remove(rule)
    fitted.tail = None
    return fitted


def _fit_rule(rule: etree._Element, fields: Fields, filters: Mapping[str, str], written: Mapping[str, str]) -> bool:
    """Fills in fields, kinds and parameters in place; False where nothing of the rule is left."""
    has_symbol = False
    for part in list(rule):
        part.text = _fill(part.text or "", written)
        for key, value in part.attrib.items():
            part.set(key, _fill(value, written))
        absent = [role for role in ROLE.findall(part.text) if fields.find(role) is None]
        if part.tag == "Filter":
            if absent or not _fit_filter(rule, part, fields, filters):
                return False
        elif absent:
            rule.remove(part)
        else:
            part.text = _with_fields(part.text, fields)
            has_symbol = has_symbol or part.tag.endswith("Symbolizer")
    return has_symbol


def _fit_filter(rule: etree._Element, part: etree._Element, fields: Fields, filters: Mapping[str, str]) -> bool:
    decided = _constant(part.text, filters)
    if decided is False:
        return False
    if decided is True:
        rule.remove(part)
    else:
        part.text = KIND.sub(lambda m: f"({filters[m[1]]})", _with_fields(part.text, fields))
    return True


def _with_fields(text: str, fields: Fields) -> str:
    return ROLE.sub(lambda m: f"[{fields.find(m[1])}]", text)


def _fill(text: str, written: Mapping[str, str]) -> str:
    """Parameters filled in; kinds, written alike, are left for the filters."""
    return PARAMETER.sub(lambda m: written.get(m[1], m[0]), text)


def _without(own: str, earlier: Sequence[str]) -> str:
    if own == NOTHING or ALL in earlier:
        return NOTHING
    if not earlier:
        return own
    rest = f"not ({' or '.join(earlier)})"
    return rest if own == ALL else f"({own}) and {rest}"


def _constant(text: str, filters: Mapping[str, str] | None = None) -> bool | None:
    """What a filter says whatever the feature: True, False, or None where it depends. `and`, `or`, `not`, kinds and comparisons."""
    known = {ALL: "T", NOTHING: "F"}
    plain = KIND.sub(lambda m: known.get((filters or {})[m[1]], "U"), text)
    if plain in known:
        return plain == ALL
    plain = re.sub(r"\[[^\]]+\]\.match\('[^']*'\)|" + COMPARISON.pattern, "U", plain)
    plain = re.sub(r"\[[^\]]+\] % [-\w.]+ = 0", "U", plain)
    return _kleene(ast.parse(plain.strip(), mode="eval").body)


def _kleene(node: ast.expr) -> bool | None:
    """Three-valued logic: None is unknown."""
    match node:
        case ast.Name(id=name):
            return {"T": True, "F": False, "U": None}[name]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            value = _kleene(operand)
            return None if value is None else not value
        case ast.BoolOp(op=operator, values=values):
            decisive = isinstance(operator, ast.Or)
            found = [_kleene(value) for value in values]
            if decisive in found:
                return decisive
            return None if None in found else not decisive
    raise ValueError(f"`{ast.unparse(node)}` can't stand in a filter of a style: use and, or, not, kinds and comparisons with a field")


def _kind_of(element: etree._Element) -> Kind:
    return Kind(
        name=element.get("name"), title_zh=element.get("zh"), title_en=element.get("en"),
        ways=tuple(map(_when_of, element.iterfind("When"))),
        in_legend=element.get("legend") != "no",
        sample_zh=element.get("sample_zh", ""), sample_en=element.get("sample_en", ""),
    )


def _when_of(element: etree._Element) -> When:
    pattern = (element.text or "").strip()
    if "\\" in pattern or "'" in pattern:
        raise ValueError(f"`{pattern}` can't stand in a style: Mapnik eats backslashes and quotes; write [0-9] for a digit")
    return When(
        fields=tuple(element.get("field", "").split()), pattern=pattern, step=element.get("step", ""),
        table=element.get("table", ""), always=element.get("always") == "yes", sample=element.get("sample", ""),
        is_fallback=element.get("fallback") == "yes",
    )
