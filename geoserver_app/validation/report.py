"""A validation report as files: `report.json` for machines, `report.html` for people, in Chinese and English, without script or anything from elsewhere."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from math import cos, isfinite, radians
from pathlib import Path

import shapely
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from geoserver_app.validation.vector_words import reason_in_chinese, table_finding_in_words
from geoserver_app.validation.words import STATES, finding_in_words, in_chinese, told_in_chinese
from layers import crs as reference
from layers.ingest.sources import sync
from layers.ingest.table_findings import TableChecked
from layers.ingest.validation import Report, SheetChecked, State

SCHEMA = Path(__file__).parents[1] / "templates" / "reports" / "validation.schema.json"
MAP_WIDTH, MAP_HEIGHT = 640, 480
MAP_DIGITS = 1
MOST_SEAMS_SHOWN = 200


def write_report(report: Report, folder: Path, *, now: datetime | None = None) -> tuple[Path, Path]:
    """Writes `report.json` and `report.html` into `folder`, each whole or not at all, and says where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    document = as_document(report, now or datetime.now(UTC))
    texts = {"report.json": json.dumps(document, ensure_ascii=False, indent=1), "report.html": as_page(report, document)}
    for name, text in texts.items():
        part = folder / f"{name}.{os.getpid()}.part"
        part.write_text(text, encoding="utf-8")
        sync(part)
        part.replace(folder / name)
    return folder / "report.json", folder / "report.html"


def as_document(report: Report, now: datetime) -> dict:
    """What the schema beside the page describes."""
    return {
        "report": "geoshare-validation-1", "job": report.job, "layer": report.layer, "edition": report.edition, "product": report.product,
        "written": now.isoformat(timespec="seconds"),
        "counts": {state.value: report.count(state) for state in State} | {
            "seams": len(report.seams), "steps": sum(seam.rms > report.seam_threshold for seam in report.seams),
            "missing_sheets": sum(gap.number is not None for gap in report.gaps), "slivers": sum(gap.number is None for gap in report.gaps),
            "overlaps": len(report.overlaps), "loose_ends": sum(edge.loose for edge in report.edges),
        },
        "seam_threshold_m": report.seam_threshold,
        "sheets": [_sheet(sheet) for sheet in report.sheets],
        "seams": [asdict(seam) | {"is_step": seam.rms > report.seam_threshold} for seam in report.seams],
        "gaps": [{"number": gap.number, "km2": round(gap.km2, 4), "shape": _geojson(gap.shape)} for gap in report.gaps],
        "overlaps": [asdict(overlap) for overlap in report.overlaps],
        "edges": [asdict(edge) for edge in report.edges],
        "told": list(report.told), "told_zh": [told_in_chinese(sentence) for sentence in report.told],
    }


def _sheet(sheet: SheetChecked) -> dict:
    values = {name: getattr(sheet, name) for name in SheetChecked.__slots__ if name not in ("thumbnail", "footprint", "findings", "state", "tables")}
    findings = []
    for finding in sheet.findings:
        chinese, english = finding_in_words(finding.code, finding.values)
        findings.append({"code": finding.code, "is_warning": finding.is_warning, "values": finding.values, "zh": chinese, "en": english})
    if values["nodata"] is not None and not isfinite(values["nodata"]):
        values["nodata"] = None                             # JSON has no NaN; such cells count as hidden
    return values | {
        "state": sheet.state.value, "fault_zh": in_chinese(sheet.fault) if sheet.fault else None,
        "mend_zh": in_chinese(sheet.mend) if sheet.mend else None, "findings": findings, "tables": [_table(table) for table in sheet.tables],
        "footprint": _geojson(sheet.footprint) if sheet.footprint is not None else None,
    }


def _table(checked: TableChecked) -> dict:
    """What was found in one table, in both languages; `places` beside `keys` are x, y in the file's CRS, and why."""
    found = []
    for one in checked.findings:
        chinese, english = table_finding_in_words(one.code, one.count, one.values)
        places = [{"key": key, "x": x, "y": y, "why": why, "why_zh": reason_in_chinese(why)} for key, (x, y, why) in zip(one.keys, one.places, strict=False)]
        found.append({"code": one.code, "count": one.count, "is_warning": one.is_warning, "keys": list(one.keys), "places": places, "values": one.values,
                      "zh": chinese, "en": english})
    return {"table": checked.table, "features": checked.features, "findings": found}


def _geojson(shape: shapely.Geometry) -> dict:
    return json.loads(shapely.to_geojson(shapely.set_precision(shape, 1e-7)))


def as_page(report: Report, document: dict) -> str:
    """One HTML page; it can be read on a telephone and printed."""
    return _template().render(
        report=report, document=document, states=STATES, chart=_map(report), in_words=finding_in_words, in_chinese=in_chinese, box=_box,
        seams=report.seams[:MOST_SEAMS_SHOWN], edges=report.edges[:MOST_SEAMS_SHOWN], tables={sheet["name"]: sheet["tables"] for sheet in document["sheets"]},
    )


@cache
def _template() -> Template:
    rooms = Environment(
        loader=PackageLoader("geoserver_app", "templates/reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )
    return rooms.get_template("validation.html")


def _box(bounds: Iterable[float], crs: str) -> str:
    digits = 6 if reference.is_geographic(crs) else 2
    return " ".join(f"{value:.{digits}f}" for value in bounds)


def _map(report: Report) -> dict | None:
    """Paths of an SVG: what is served, what came (by state), holes and where they are, north up."""
    new = [(sheet.state.value, sheet) for sheet in report.sheets if sheet.footprint is not None]
    shapes = [sheet.footprint for _, sheet in new] + list(report.served) + [gap.shape for gap in report.gaps]
    if not shapes:
        return None
    west, south, east, north = shapely.total_bounds(shapes)
    shrink = max(0.2, cos(radians((south + north) / 2)))
    width, height = max((east - west) * shrink, 1e-9), max(north - south, 1e-9)
    scale = min(MAP_WIDTH / width, MAP_HEIGHT / height) * 0.96
    left, top = (MAP_WIDTH - width * scale) / 2, (MAP_HEIGHT - height * scale) / 2

    def path(shape: shapely.Geometry) -> str:
        rings = [ring for part in shapely.get_parts(shape) if part.geom_type == "Polygon" for ring in (part.exterior, *part.interiors)]
        places = ([f"{left + (x - west) * shrink * scale:.{MAP_DIGITS}f} {top + (north - y) * scale:.{MAP_DIGITS}f}" for x, y in _simple(ring, scale)]
                  for ring in rings)
        return "".join("M" + "L".join(points) + "Z" for points in places)
    return {
        "width": MAP_WIDTH, "height": MAP_HEIGHT, "served": "".join(map(path, report.served)),
        "sheets": [(state, path(sheet.footprint), sheet.number or sheet.name) for state, sheet in new],
        "gaps": [(path(gap.shape), gap.number or "") for gap in report.gaps],
    }


def _simple(ring: shapely.LinearRing, scale: float) -> Iterable[tuple[float, float]]:
    return shapely.get_coordinates(shapely.simplify(ring, 0.3 / scale))[:-1]
