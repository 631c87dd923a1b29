"""A boundary layer -> administrative divisions with a vintage: what the areas of agreements are named by."""

import re
from collections.abc import Sequence
from pathlib import Path

import geopandas
import pyogrio
import shapely

from layers import crs as reference
from layers.catalogue import Catalogue, Division
from layers.errors import LayerRejected, OutsideAreaOfUse
from layers.ingest.sources import approved_crs, check_place
from layers.ingest.vectors import driver_of, read_faults
from layers.model import Bounds

PREFIXES = {"province": ("province",), "city": ("city",), "county": ("county", "district"), "town": ("town", "street")}
"""A table of counties may hold the codes of their cities and provinces too: `district_adcode` comes before `city_adcode`."""

CODE_FIELDS = ("code", "adcode", "pac", "xzqdm", "ad_code", "region_code", "行政区划代码", "行政区代码", "代码")
NAME_FIELDS = ("name", "xzqmc", "ad_name", "region_name", "行政区名称", "名称")
CODE = re.compile(r"\d{2,12}")


def import_divisions(
    catalogue: Catalogue, path: Path, vintage: str, code_field: str | None = None, name_field: str | None = None, crs: str | None = None,
) -> int:
    """Adds every division of a boundary file at one vintage, replacing those of the same vintage and code; returns how many.

    Parameters
    ----------
    path : Path
        GeoPackage (all its tables), Shapefile or GeoJSON of polygons with a code (GB/T 2260, 2 to 12 digits) and a name.
    vintage : str
        The year or date of the codes: divisions are renamed and merged, and an agreement keeps meaning what it meant.
    code_field, name_field : str, optional
        Where they are not called as usual (code, adcode, PAC; name).

    Raises
    ------
    LayerRejected
        Not a vector file that is taken, no CRS or a refused datum, no polygons, no such fields, codes that are none.
    """
    driver_of(path)
    divisions: dict[str, Division] = {}
    for table in _tables(path):
        with read_faults(path.name):
            frame = pyogrio.read_dataframe(path, layer=table)
        if isinstance(frame, geopandas.GeoDataFrame) and len(frame):
            for division in _divisions_of(path.name, table, frame, vintage, code_field, name_field, crs):
                known = divisions.get(division.code)
                divisions[division.code] = _joined(known, division) if known else division
    if not divisions:
        raise LayerRejected(path.name, "it holds no division with a boundary", "give a layer of polygons with their codes and names")
    return catalogue.put_divisions(divisions.values())


def _tables(path: Path) -> list[str]:
    with read_faults(path.name):
        return [str(name) for name, geometry in pyogrio.list_layers(path) if geometry is not None]


def _divisions_of(
    source: str, table: str, frame: geopandas.GeoDataFrame, vintage: str, code_field: str | None, name_field: str | None,
    declared: str | None,
) -> list[Division]:
    code_column = _field(source, table, frame, code_field, CODE_FIELDS, "--code-field")
    name_column = _field(source, table, frame, name_field, NAME_FIELDS, "--name-field")
    crs = approved_crs(frame.crs.to_wkt() if frame.crs else None, declared, source)
    check_place(source, Bounds(*map(float, frame.total_bounds)), crs)
    return [
        Division(vintage=vintage, code=code, name=str(name), level=_level(table, code), geometry=_area(source, geometry, crs))
        for code, name, geometry in zip(_codes(source, frame[code_column]), frame[name_column], frame.geometry, strict=True)
        if geometry is not None and not geometry.is_empty
    ]


def _field(source: str, table: str, frame: geopandas.GeoDataFrame, asked: str | None, usual: Sequence[str], option: str) -> str:
    by_name = {str(column).casefold(): str(column) for column in frame.columns if column != frame.geometry.name}
    own = [f"{prefix}_{name}" for prefix in PREFIXES.get(table.casefold(), ()) for name in usual]
    for name in (asked,) if asked else (*own, *usual):
        if name.casefold() in by_name:
            return by_name[name.casefold()]
    raise LayerRejected(source, f"table `{table}` has no field `{asked or ' or '.join(usual[:3])}`, only {', '.join(by_name.values())}",
                        f"say which with `{option}`")


def _codes(source: str, values: Sequence) -> list[str]:
    codes = [str(int(value)) if isinstance(value, float) and value == value else str(value).strip() for value in values]
    wrong = next((code for code in codes if not CODE.fullmatch(code)), None)
    if wrong is not None:
        raise LayerRejected(source, f"`{wrong[:40]}` is not a division code of 2 to 12 digits",
                            "say which field holds the codes with `--code-field`")
    return codes


def _level(table: str, code: str) -> str:
    """By the table's name, else by the zeros that end a code of six digits."""
    if table.casefold() in PREFIXES:
        return table.casefold()
    if len(code) > 6:
        return "town"
    padded = code.ljust(6, "0")
    return "province" if padded.endswith("0000") else "city" if padded.endswith("00") else "county"


def _area(source: str, geometry: shapely.Geometry, crs: str) -> shapely.Geometry:
    """Valid polygons in CRS84: what lies between the given vertices stays straight in the CRS of the file."""
    whole = geometry if geometry.is_valid else shapely.make_valid(geometry)
    polygons = [part for part in shapely.get_parts(shapely.get_parts(whole)) if part.geom_type == "Polygon"]
    if not polygons:
        raise LayerRejected(source, f"it holds a {geometry.geom_type.lower()} where a boundary is an area", "give a layer of polygons")
    area = shapely.union_all(polygons)
    if reference.is_geographic(crs) and reference.accuracy(crs, "CRS:84") <= 1.0:
        return area
    try:
        return reference.transform_geometry(reference.densify(area, crs), crs, "CRS:84")
    except OutsideAreaOfUse as error:
        raise LayerRejected(source, "a boundary reaches beyond what its CRS can express", "correct the stray coordinates") from error


def _joined(known: Division, more: Division) -> Division:
    return Division(vintage=known.vintage, code=known.code, name=known.name, level=known.level,
                    geometry=shapely.union_all([known.geometry, more.geometry]))
