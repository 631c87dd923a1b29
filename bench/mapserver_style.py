"""The line map's own style files as a map file of MapServer, for one scale: the same passes, kinds, colours and widths, so that both draw the same map.

What MapServer gets for nothing: the kind of every feature stands in a column of its tables (`KIND`), and patterns of plants are left out.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pylopdf_fonts_zh_cn as fonts
from harness import CannotMeasure
from lxml import etree

from tiles.dlg import width_factor
from tiles.dlg_styles import StyleBook, TableStyles
from tiles.maplibre import _worked_out as worked_out

KIND = "KIND"
FACES = {"sans": fonts.sans_path, "serif": fonts.serif_path}
HEX = re.compile(r"#([0-9A-Fa-f]{6})")
RGBA = re.compile(r"rgba\((\d+),\s*(\d+),\s*(\d+)")


def mapfile(folder: Path, tables: list[TableStyles], crs: str, scale: float, data: Mapping[str, str], output: str) -> str:
    """The whole map file.

    Parameters
    ----------
    folder : Path
        Where it may write its list of fonts.
    tables : list of TableStyles
        Fitted with `kinds_in=KIND`.
    scale : float
        Scale denominator, 0.28 mm a pixel: widths and what is drawn are those of this scale.
    data : mapping
        Table -> the lines of a LAYER that say where its features are.
    output : str
        Lines of the OUTPUTFORMAT.
    """
    (folder / "fonts.list").write_text("".join(f"{name} {path()}\n" for name, path in FACES.items()))
    passes = sorted(((style.order, table.feature_class.name, number, table, style.element) for table in tables for number, style in enumerate(table.styles)), key=lambda one: one[:3])
    layers = [text for number, (_, name, _, table, style) in enumerate(passes) for text in layer_of(f"p{number}", table, style, crs, scale, data[name])]
    return f"""MAP
  NAME "bench" SIZE 512 512 MAXSIZE 4096 EXTENT 0 0 1 1 UNITS METERS IMAGECOLOR 255 255 255
  FONTSET "{folder / 'fonts.list'}" RESOLUTION 90.714 DEFRESOLUTION 90.714
  PROJECTION "init={crs.lower()}" END
  OUTPUTFORMAT NAME "png" MIMETYPE "image/png" EXTENSION "png" {output} END
  SYMBOL NAME "circle" TYPE ELLIPSE FILLED TRUE POINTS 1 1 END END
  WEB METADATA "wms_title" "bench" "wms_onlineresource" "http://127.0.0.1/?" "wms_srs" "{crs}" "wms_enable_request" "*" "ows_layerlimit" "1000" END END
{chr(10).join(layers)}
END
"""


def layer_of(name: str, table: TableStyles, style: etree._Element, crs: str, scale: float, data: str) -> Iterator[str]:
    classes = [text for rule in style.iterfind("Rule") if (text := _class(rule, scale, table.feature_class.geometry))]
    if not classes:
        return
    kind = {"line": "LINE", "area": "POLYGON", "point": "POINT"}[table.feature_class.geometry]
    yield f"""  LAYER NAME "{name}" GROUP "line-map" TYPE {kind} STATUS OFF
    {data}
    PROJECTION "init={crs.lower()}" END
    PROCESSING "CLOSE_CONNECTION=DEFER"
{chr(10).join(classes)}
  END"""


def _class(rule: etree._Element, scale: float, geometry: str) -> str:
    if float(rule.findtext("MinScaleDenominator", "0")) > scale or float(rule.findtext("MaxScaleDenominator", "inf")) <= scale:
        return ""
    parts = [text for symbolizer in rule if (text := _drawn(symbolizer, width_factor(scale), geometry))]
    expression = f"    EXPRESSION ({_expression(rule.findtext('Filter'))})\n" if rule.findtext("Filter") else ""
    return f"   CLASS\n{expression}" + "\n".join(parts) + "\n   END" if parts else ""


def _expression(text: str) -> str:
    return re.sub(r"\[([^\]]+)\]", r'"[\1]"', text).replace("!= ''", '!= ""')


def _drawn(part: etree._Element, w: float, geometry: str) -> str:
    def number(name: str, default: float) -> float:
        return float(worked_out(ast.parse(part.get(name).replace("@w", "w").strip(), mode="eval").body, w)) if part.get(name) else default

    match part.tag:
        case "LineSymbolizer":
            dash = f"PATTERN {part.get('stroke-dasharray').replace(',', ' ')} END" if part.get("stroke-dasharray") else ""
            caps = {"butt": "BUTT", "round": "ROUND", "square": "SQUARE"}[part.get("stroke-linecap", "butt")]
            return f"    STYLE {'OUTLINE' if geometry == 'area' else ''}{_colour(part.get('stroke'))} WIDTH {number('stroke-width', 1):.2f} LINECAP {caps} LINEJOIN {part.get('stroke-linejoin', 'miter').upper()} {dash} END"
        case "PolygonSymbolizer":
            return f"    STYLE {_colour(part.get('fill'))} END"
        case "MarkersSymbolizer" if part.get("placement") != "line":
            return f'    STYLE SYMBOL "circle" SIZE {number("width", 5):.2f} {_colour(part.get("fill"))} OUTLINE{_colour(part.get("stroke", "#000000"))} END'
        case "TextSymbolizer" | "ShieldSymbolizer":
            return _label(part, is_shield=part.tag == "ShieldSymbolizer")
        case "Filter" | "MinScaleDenominator" | "MaxScaleDenominator" | "PolygonPatternSymbolizer":
            return ""
    raise CannotMeasure(f"the map file can't say {part.tag}")


def _label(part: etree._Element, *, is_shield: bool) -> str:
    field = re.search(r"\[([^\]]+)\]", part.text)[1]
    along = part.get("placement") == "line"
    angle = "ANGLE FOLLOW MAXOVERLAPANGLE 30" if along and not is_shield else ""
    repeated = f"REPEATDISTANCE {part.get('spacing')} MINDISTANCE {part.get('repeat-distance', '200')}" if along and part.get("spacing") else ""
    plate = f'STYLE GEOMTRANSFORM "labelpoly" {_colour("#C8281E")} END' if is_shield else ""
    halo = f"OUTLINE{_colour(part.get('halo-fill'))} OUTLINEWIDTH {2 * float(part.get('halo-radius', '0')):.1f}" if part.get("halo-radius") else ""
    return (
        f'    TEXT "[{field}]"\n    LABEL TYPE TRUETYPE FONT "{part.get("fontset-name")}" SIZE {float(part.get("size")) * 0.79:.1f} {_colour(part.get("fill"))} {halo} '
        f"ENCODING \"UTF-8\" PARTIALS TRUE BUFFER 1 MINFEATURESIZE AUTO {angle} {repeated} {plate} END"
    )


def _colour(text: str) -> str:
    if found := HEX.fullmatch(text):
        return f"COLOR {' '.join(str(value) for value in bytes.fromhex(found[1]))}"
    return f"COLOR {' '.join(RGBA.match(text).groups())}"


def fitted(book: StyleBook, edition) -> list[TableStyles]:
    return book.fit(edition, kinds_in=KIND)
