"""The line map's own style files as passes for `qgis_project.py`, for one scale: the same kinds, colours and widths, so that QGIS Server draws the same
map. As for MapServer, the kind of every feature stands in a column of its tables, and patterns of plants are left out.
"""

import ast
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from harness import CannotMeasure
from lxml import etree
from mapserver_style import FACES, HEX, RGBA

from tiles.dlg import width_factor
from tiles.dlg_styles import TableStyles
from tiles.maplibre import _worked_out as worked_out

PYTHON = "/usr/bin/python3"
"""The one that Debian's QGIS is made for."""


def write_project(path: Path, tables: list[TableStyles], crs: str, scale: float, files: Mapping[str, Path]) -> None:
    passes = sorted(((style.order, table.feature_class.name, number, table, style.element) for table in tables for number, style in enumerate(table.styles)), key=lambda one: one[:3])
    wish = {"project": str(path), "crs": crs, "fonts": {name: str(face()) for name, face in FACES.items()}, "passes": [
        {"name": f"p{number}", "file": str(files[name]), "geometry": table.feature_class.geometry, "rules": rules}
        for number, (_, name, _, table, style) in enumerate(passes) if (rules := _rules(style, scale, table.feature_class.geometry))
    ]}
    done = subprocess.run([PYTHON, Path(__file__).with_name("qgis_project.py")], input=json.dumps(wish), capture_output=True, text=True)
    if done.returncode or not path.exists():
        raise CannotMeasure(f"QGIS can't write its project: {' '.join(done.stderr.split())[-300:]}")


def _rules(style: etree._Element, scale: float, geometry: str) -> list[dict]:
    found = []
    for rule in style.iterfind("Rule"):
        if float(rule.findtext("MinScaleDenominator", "0")) > scale or float(rule.findtext("MaxScaleDenominator", "inf")) <= scale:
            continue
        symbols = [one for part in rule if (one := _symbol(part, width_factor(scale), geometry))]
        labels = [_label(part, geometry) for part in rule if part.tag in ("TextSymbolizer", "ShieldSymbolizer")]
        if symbols or labels:
            found.append({"filter": re.sub(r"\[([^\]]+)\]", r'"\1"', rule.findtext("Filter") or "").replace("!=", "<>"), "symbols": symbols, "labels": labels})
    return found


def _symbol(part: etree._Element, w: float, geometry: str) -> dict | None:
    def number(name: str, default: float) -> str:
        return f"{float(worked_out(ast.parse(part.get(name).replace('@w', 'w').strip(), mode='eval').body, w)) if part.get(name) else default:.2f}"

    match part.tag:
        case "LineSymbolizer" if geometry == "area":
            return {"style": "no", "outline_color": _colour(part.get("stroke")), "outline_width": number("stroke-width", 1), "outline_width_unit": "Pixel"}
        case "LineSymbolizer":
            dash = part.get("stroke-dasharray")
            caps = {"butt": "flat", "round": "round", "square": "square"}[part.get("stroke-linecap", "butt")]
            more = {"use_custom_dash": "1", "customdash": dash.replace(",", ";"), "customdash_unit": "Pixel"} if dash else {}
            return {"line_color": _colour(part.get("stroke")), "line_width": number("stroke-width", 1), "line_width_unit": "Pixel", "capstyle": caps, "joinstyle": part.get("stroke-linejoin", "miter")} | more
        case "PolygonSymbolizer":
            return {"color": _colour(part.get("fill")), "outline_style": "no"}
        case "MarkersSymbolizer" if part.get("placement") != "line":
            return {"name": "circle", "size": number("width", 5), "size_unit": "Pixel", "color": _colour(part.get("fill")), "outline_color": _colour(part.get("stroke", "#000000"))}
    return None


def _label(part: etree._Element, geometry: str) -> dict:
    return {
        "field": re.search(r"\[([^\]]+)\]", part.text)[1], "font": part.get("fontset-name"), "size": float(part.get("size")), "colour": part.get("fill"),
        "halo": float(part.get("halo-radius", 0)), "plate": "#C8281E" if part.tag == "ShieldSymbolizer" else "", "placement": geometry,
        "spacing": float(part.get("spacing", 0)),
    }


def _colour(text: str) -> str:
    if found := HEX.fullmatch(text):
        return ",".join(str(value) for value in bytes.fromhex(found[1])) + ",255"
    return ",".join(RGBA.match(text).groups()) + ",255"
