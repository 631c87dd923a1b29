"""The features of a package: told batch by batch, each decided anew, gathered in one GeoPackage and written from it in the form that was ordered.

Shapefiles are in GBK with a .cpg beside them, or in UTF-8 where a text holds characters outside GBK; names of fields are cut to 10 bytes, texts to
254. All of that is told in the manifest.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import geopandas
import numpy as np
import orjson
import pandas
import pyogrio
import pyogrio.raw
import shapely

from geoserver_app.features.collections import tables_of
from geoserver_app.features.geojson import in_crs, spelt
from geoserver_app.features.ids import FeatureIds
from geoserver_app.packages.orders import Form
from layers.features import FeatureStore, FieldType
from layers.model import FeatureClass
from tiles.permits import Permit
from tiles.vector.granted import Told, told, told_fields

BATCH = 2000
LONGEST_NAME, LONGEST_TEXT = 10, 254
"""Bytes of a dBASE file."""
KINDS = {FieldType.INTEGER: "Int64", FieldType.NUMBER: "float64", FieldType.BOOLEAN: "boolean"}
MULTI = {"point": "MultiPoint", "line": "MultiLineString", "area": "MultiPolygon"}
MAKE_MULTI = {"point": shapely.multipoints, "line": shapely.multilinestrings, "area": shapely.multipolygons}
SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")


@dataclass(slots=True)
class FeatureCutter:
    """Writes the tables of one layer. `step` is called before each batch, raises where it may not be, and answers the permit as of now."""

    store: FeatureStore
    ids: FeatureIds
    step: Callable[[], Permit]
    crs: str
    tables: list[dict] = field(default_factory=list, init=False)
    notes: list[tuple[str, dict[str, str]]] = field(default_factory=list, init=False)

    def write(self, folder: Path, base: str, form: Form) -> list[str]:
        """The names of the files. What was begun before is written anew."""
        permit = self.step()
        spool = folder / f"{base}.spool"
        shutil.rmtree(spool, ignore_errors=True)
        spool.mkdir()
        gathered = spool / f"{base}.gpkg"
        names = []
        for table in tables_of(permit.edition):
            if count := self._gather(table, gathered):
                self.tables.append({"table": table.name, "features": count})
                if form is not Form.GPKG:
                    names += self._written(gathered, table, spool, f"{base}-{table.name}", form)
        if form is Form.GPKG and gathered.exists():
            names = [gathered.name]
        for name in names:
            os.replace(spool / name, folder / name)
        shutil.rmtree(spool)
        return names

    def _gather(self, table: FeatureClass, target: Path) -> int:
        """How many things of a table are told."""
        count, permit = 0, self.step()
        types = self.store.fields(permit.edition, table)
        fields = told_fields(permit, table)
        for some in told(permit, self.store, table, size=BATCH):
            frame = self._frame(permit, table, some, {name: types[name] for name in fields})
            has_z = bool(shapely.has_z(frame.geometry.to_numpy()).any()) if not count else False
            kind = f"2.5D {MULTI[table.geometry]}" if has_z else MULTI[table.geometry]
            more = {"append": True} if count else {"append": target.exists(), "geometry_type": kind}
            pyogrio.write_dataframe(frame, target, layer=table.name, driver="GPKG", **more)
            count += len(some)
            self.step()
        return count

    def _frame(self, permit: Permit, table: FeatureClass, some: Told, types: dict[str, FieldType]) -> geopandas.GeoDataFrame:
        columns = {"feature": self.ids.of(permit.edition.layer, table.name, some.keys, some.parts)}
        for name, kind in types.items():
            columns["feature_1" if name.lower() == "feature" else name] = pandas.array(some.columns[name], dtype=KINDS.get(kind, "object"))
        shapes = in_crs(some.shapes, permit.edition.crs, self.crs)
        multi = np.array([one if shapely.get_type_id(one) > 3 else MAKE_MULTI[table.geometry]([one]) for one in shapes], dtype=object)
        return geopandas.GeoDataFrame(columns, geometry=multi, crs="OGC:CRS84" if self.crs == "CRS:84" else self.crs)

    # -- the other forms

    def _written(self, gathered: Path, table: FeatureClass, folder: Path, base: str, form: Form) -> list[str]:
        if form is Form.GEOJSON:
            return [self._geojson(gathered, table, folder / f"{base}.geojson")]
        if form is Form.FLATGEOBUF:
            frame = pyogrio.read_dataframe(gathered, layer=table.name)
            pyogrio.write_dataframe(frame, folder / f"{base}.fgb", driver="FlatGeobuf")
            return [f"{base}.fgb"]
        return self._shapefile(gathered, table, folder, base)

    def _geojson(self, gathered: Path, table: FeatureClass, target: Path) -> str:
        """One feature a line; x before y. In another system than CRS84 that is said, as GDAL says and reads it."""
        with target.open("wb") as file:
            head = {"type": "FeatureCollection", "name": table.name}
            if self.crs not in ("CRS:84", "EPSG:4326"):
                head["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{self.crs.removeprefix('EPSG:')}"}}
            file.write(orjson.dumps(head)[:-1] + b',"features":[\n')
            is_first = True
            for frame in _frames(gathered, table.name):
                shapes = spelt(frame.geometry.to_numpy(), "CRS:84")
                rows = json.loads(frame.drop(columns=frame.geometry.name).to_json(orient="records", force_ascii=False, double_precision=15))
                for shape, row in zip(shapes, rows, strict=True):
                    told_one = {"type": "Feature", "id": row.pop("feature"), "geometry": orjson.Fragment(shape), "properties": row}
                    file.write((b"" if is_first else b",\n") + orjson.dumps(told_one))
                    is_first = False
            file.write(b"\n]}\n")
        return target.name

    def _shapefile(self, gathered: Path, table: FeatureClass, folder: Path, base: str) -> list[str]:
        beyond, longest = False, 0
        for frame in _frames(gathered, table.name):
            for values in (frame[name] for name in frame.columns if name != frame.geometry.name and not pandas.api.types.is_numeric_dtype(frame[name])):
                for text in (one for one in values if isinstance(one, str)):
                    beyond, longest = beyond or not _in_gbk(text), max(longest, len(text.encode()))
        encoding = "UTF-8" if beyond else "GBK"
        if beyond:
            self.notes.append(("package-step-utf8", {"table": table.name}))
        if longest > LONGEST_TEXT:
            self.notes.append(("package-step-long", {"table": table.name}))
        names: dict[str, str] = {}
        for number, frame in enumerate(_frames(gathered, table.name)):
            names = names or short_names([one for one in frame.columns if one != frame.geometry.name], encoding)
            frame = frame.rename(columns=names)
            pyogrio.write_dataframe(frame, folder / f"{base}.shp", driver="ESRI Shapefile", encoding=encoding, append=number > 0)
        cut = {name: short for name, short in names.items() if name != short}
        if cut:
            told_names = ", ".join(f"{name} -> {short}" for name, short in cut.items())
            self.notes.append(("package-step-names", {"table": table.name, "names": told_names}))
        (folder / f"{base}.cpg").write_text(encoding, encoding="ascii")
        return [f"{base}{suffix}" for suffix in SHAPEFILE_PARTS if (folder / f"{base}{suffix}").exists()]


def _frames(path: Path, layer: str) -> Iterator[geopandas.GeoDataFrame]:
    start = 0
    while len(frame := pyogrio.read_dataframe(path, layer=layer, skip_features=start, max_features=BATCH)):
        yield frame
        start += len(frame)


def _in_gbk(text: str) -> bool:
    try:
        text.encode("gbk")
    except UnicodeEncodeError:
        return False
    return True


def short_names(names: list[str], encoding: str) -> dict[str, str]:
    """Names of at most 10 bytes, no two alike in any case.

    >>> short_names(["NAME", "SHAPE_LENGTH", "SHAPE_LENGTH_2", "道路名称与编号"], "GBK")
    {'NAME': 'NAME', 'SHAPE_LENGTH': 'SHAPE_LENG', 'SHAPE_LENGTH_2': 'SHAPE_LE_1', '道路名称与编号': '道路名称与'}
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        short, number = _cut(name, LONGEST_NAME, encoding), 0
        while short.upper() in taken:
            number += 1
            short = _cut(name, LONGEST_NAME - len(f"_{number}"), encoding) + f"_{number}"
        taken.add(short.upper())
        found[name] = short
    return found


def _cut(name: str, most: int, encoding: str) -> str:
    while len(name.encode(encoding, "replace")) > most:
        name = name[:-1]
    return name
