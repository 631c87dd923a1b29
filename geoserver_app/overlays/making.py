"""Rows of a table -> a GeoPackage: points by coordinates, or areas by division codes, with the rules of a thematic map."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import shapely

from geoserver_app.overlays.columns import Columns, plain_code, recognised, short_code
from geoserver_app.overlays.faults import Finding, OverlayInvalid
from geoserver_app.overlays.thematic import USUAL_CLASSES, Method, rules
from layers import crs as reference
from layers.catalogue import Catalogue
from layers.errors import CrsNotServed, DatumShiftRefused, DivisionNotDefined, LayerRejected
from layers.ingest.sources import approved_crs

GENERALISED = 0.001
"""Degrees, some 100 m: boundaries that are joined to a table are those of a thematic map, not the bureau's own."""

MOST_TOLD = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """`symbols` are rules as JSON text, where the table asked for any."""

    path: Path
    findings: tuple[Finding, ...]
    symbols: str | None = None


def made_of_table(catalogue: Catalogue, table: Mapping[str, list], wanted: Mapping, target: Path) -> Made:
    """Writes `target`. Raises OverlayInvalid."""
    columns = _columns(table, wanted)
    return _points(table, columns, wanted, target) if columns.code is None else _areas(catalogue, table, columns.code, wanted, target)


def _columns(table: Mapping[str, list], wanted: Mapping) -> Columns:
    try:
        found = recognised(list(table), wanted.get("columns") or {})
    except KeyError as error:
        raise OverlayInvalid("table-no-column", column=str(error.args[0])[:60], choices=", ".join(table)[:300]) from None
    if found is None:
        raise OverlayInvalid("table-kind")
    return found


def _points(table: Mapping[str, list], columns: Columns, wanted: Mapping, target: Path) -> Made:
    crs = wanted.get("crs")
    if not crs:
        raise OverlayInvalid("table-crs", x=columns.x, y=columns.y)
    try:
        crs = approved_crs(None, crs, wanted["file"])
    except (LayerRejected, CrsNotServed, DatumShiftRefused) as error:
        fault = error if isinstance(error, LayerRejected) else LayerRejected(wanted["file"], str(error), "give one that is served, such as EPSG:4490")
        raise OverlayInvalid.by(Finding.rejected(fault)) from None
    points, rows = [], []
    for number, (x, y) in enumerate(zip(table[columns.x], table[columns.y], strict=True), start=2):
        if x is None and y is None:
            continue
        points.append([_number(number, name, value) for name, value in ((columns.x, x), (columns.y, y))])
        rows.append(number - 2)
    if not points:
        raise OverlayInvalid("table-empty")
    outside = np.flatnonzero(~_within(crs, np.asarray(points)))
    if len(outside):
        first = int(outside[0])
        raise OverlayInvalid("table-axes", row=rows[first] + 2, x=f"{points[first][0]:.8g}", y=f"{points[first][1]:.8g}", crs=crs)
    kept = {name: [values[row] for row in rows] for name, values in table.items()}
    frame = geopandas.GeoDataFrame(kept, geometry=shapely.points(points), crs=crs)
    _write(frame, target)
    note = Finding(code="table-points", detail={"x": columns.x, "y": columns.y, "count": str(len(points)), "crs": crs})
    return Made(path=target, findings=(note,))


BESIDE = 3.0
"""Degrees around where a CRS is used in which its coordinates may lie."""


def _within(crs: str, places: np.ndarray) -> np.ndarray:
    """(n,) whether each place (x, y) can be meant in `crs`: where it means something, and on the side of the earth where it is used."""
    reach, area = reference.reach(crs), reference.to_pyproj(crs).area_of_use
    with np.errstate(invalid="ignore"):
        lon, lat = reference.transformer(crs, "CRS:84").transform(places[:, 0], places[:, 1])
        found = np.isfinite(lon) & np.isfinite(lat) & (lon >= reach.left) & (lon <= reach.right) & (lat >= reach.bottom) & (lat <= reach.top)
        if reference.is_geographic(crs):
            found &= (np.abs(places[:, 0]) <= 180) & (np.abs(places[:, 1]) <= 90)
        if area is not None:
            found &= (lon >= area.west - BESIDE) & (lon <= area.east + BESIDE) & (lat >= area.south - BESIDE) & (lat <= area.north + BESIDE)
    return found


def _number(row: int, column: str, value: object) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise OverlayInvalid("table-coordinate", row=row, column=column, value=str(value)[:40]) from None
    if not math.isfinite(number):
        raise OverlayInvalid("table-coordinate", row=row, column=column, value=str(value)[:40])
    return number


def _areas(catalogue: Catalogue, table: Mapping[str, list], column: str, wanted: Mapping, target: Path) -> Made:
    vintage = _vintage(catalogue, wanted.get("vintage"))
    known = {short_code(code): code for code, *_ in catalogue.divisions(vintage)}
    codes, unknown, rows, seen = [], [], [], set()
    for number, value in enumerate(table[column], start=2):
        if value is None:
            continue
        code = plain_code(value)
        if code is None:
            raise OverlayInvalid("table-code", row=number, value=str(value)[:40])
        short = short_code(code)
        if short in seen:
            raise OverlayInvalid("table-code-twice", row=number, value=code)
        seen.add(short)
        if short in known:
            codes.append(known[short])
            rows.append(number - 2)
        else:
            unknown.append(code)
    if not codes:
        raise OverlayInvalid("table-codes-unknown", vintage=vintage)
    kept = {name: [values[row] for row in rows] for name, values in table.items()}
    kept[column] = [str(value) for value in kept[column]]
    divisions = [_division(catalogue, code, vintage) for code in codes]
    kept |= {name: [getattr(one, part) for one in divisions] for name, part in (("division_name", "name"), ("division_vintage", "vintage")) if name not in kept}
    shapes = shapely.coverage_simplify([shapely.make_valid(one.geometry) for one in divisions], GENERALISED)
    frame = geopandas.GeoDataFrame(kept, geometry=_whole(shapes, divisions), crs="EPSG:4490")
    _write(frame, target)
    joined = Finding(code="table-joined", detail={"vintage": vintage, "metres": "100", "count": str(len(codes))})
    findings = [joined]
    if unknown:
        shown = ", ".join(unknown[:MOST_TOLD]) + (" ..." if len(unknown) > MOST_TOLD else "")
        findings.append(Finding(code="table-some-codes-unknown", detail={"count": str(len(unknown)), "vintage": vintage, "codes": shown}))
    return Made(path=target, findings=tuple(findings), symbols=_symbols(kept, column, wanted, target.stem))


def _whole(shapes: Sequence, divisions: Sequence) -> list:
    """One that simplifying made nothing of stays as a box of its ground."""
    return [shape if not shape.is_empty else shapely.box(*one.geometry.bounds) for shape, one in zip(shapes, divisions, strict=True)]


def _vintage(catalogue: Catalogue, asked: str | None) -> str:
    known = catalogue.vintages()
    if not known or (asked and asked not in known):
        raise OverlayInvalid("table-vintage", vintage=str(asked or "")[:31], choices=", ".join(known) or "-")
    return asked or known[-1]


def _division(catalogue: Catalogue, code: str, vintage: str):
    try:
        return catalogue.division(code, vintage)
    except DivisionNotDefined:
        raise OverlayInvalid("table-codes-unknown", vintage=vintage) from None


def _symbols(table: Mapping[str, list], code: str, wanted: Mapping, name: str) -> str | None:
    """By the column that was named, else the first of numbers."""
    column = wanted.get("value") or next(
        (one for one, values in table.items() if one != code and any(isinstance(value, int | float) for value in values)), None,
    )
    if column is None:
        return None
    if column not in table:
        raise OverlayInvalid("table-no-column", column=column[:60], choices=", ".join(table)[:300])
    drawn = rules(
        name, column, table[column], Method(wanted.get("method") or Method.NATURAL), int(wanted.get("classes") or USUAL_CLASSES), wanted.get("ramp") or "blue",
    )
    return json.dumps(drawn, ensure_ascii=False)


def _write(frame: geopandas.GeoDataFrame, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    pyogrio.write_dataframe(frame, target, layer=target.stem, driver="GPKG")
