"""Line maps and overlays: one delivered vector file, checked and rewritten as a GeoPackage with a table per class.

The CRS stays the file's own. What is repaired, dropped or split is counted in the lineage; text stays text. Chinese shapefiles without a
.cpg are read by what their bytes can be, never by hope.
"""

import hashlib
import json
import os
import re
import sqlite3
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import geopandas
import numpy as np
import pandas
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError
from pyproj.exceptions import CRSError

from layers import crs as reference
from layers.delivery.dimensions import STEP_DEGREES, Beyond, beyond_of, fine_arcs
from layers.delivery.geodatabases import readable
from layers.delivery.vector_formats import GEOJSON, NAMES_ITS_TABLES, check_parts, driver_of, members_of_json
from layers.delivery.vector_formats import SUFFIXES as SUFFIXES
from layers.delivery.vector_formats import parts_of as parts_of
from layers.errors import LayerRejected, OutsideAreaOfUse
from layers.feature_classes import SHEET_INDEX, FeatureClassTable
from layers.ingest.keys import are_plain, keys_by_field, keys_of, set_apart
from layers.ingest.shapefile_texts import encoding_of
from layers.ingest.sources import approved_crs, check_frame, check_place, footprint_of, settle
from layers.ingest.table_findings import KnownCodes, TableChecked, known_codes, look_at
from layers.model import Bounds, FeatureClass, ProductType, Sheet
from layers.sheets import numbers as sheets

KINDS = ("point", "line", "area")
"""By dimension of the geometry."""

CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
NOT_IN_A_NAME = re.compile(r"[^0-9A-Za-z_\u3400-\u9fff-]+")
LONGEST_NAME = 60
SURFACES = ("TIN", "PolyhedralSurface", "Triangle")
ROW_ID = "ogc_fid"
"""Of our tables: `fid` is a name that delivered fields have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorOptions:
    """How the files of one job are taken in; with the file's checksum it names the result."""

    product: ProductType
    crs: str | None = None          # for files that state none
    encoding: str | None = None     # of a shapefile's attributes
    key: str | None = None          # field whose values are the features' keys

    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Features of one class and one kind of geometry, on their way from a file to the store."""

    name: str
    kind: str                       # point | line | area
    features: geopandas.GeoDataFrame            # indexed by number in the file, or key


def take_in(
    path: Path, options: VectorOptions, checksum: str, target: Path, relative: str, *, checked: list[TableChecked] | None = None, config: Path | None = None,
) -> Sheet:
    """Rewrites one delivered file as the GeoPackage `target`: under a temporary name first, so that `target` is whole or absent.

    Parameters
    ----------
    checked : list, optional
        Gets what was found in each table, as it was delivered.
    config : Path, optional
        The folder of the tables by which codes of a line map are looked up.

    Raises
    ------
    LayerRejected
        Not a vector file that is taken, damaged, no or refused CRS, no features, text in an unknown encoding, not where its sheet
        number says.
    """
    driver = driver_of(path)
    check_parts(path)
    lineage: list[str] = [f"taken from `{path.name}`: {driver}, sha256 {checksum}"]
    crs, tables, number = None, [], sheets.find_number(path.name)
    codes = known_codes(config) if config and options.product is ProductType.DLG else None
    with readable(path) as source, fine_arcs():
        for layer, geometry in _layers_of(source, path.name):
            own, frame = _read(source, driver, layer, options, lineage)
            if frame is None:
                continue
            table_crs = approved_crs(own, options.crs, path.name)
            if own is None:
                lineage.append(f"`{layer}` states no CRS; {table_crs} was declared")
            crs = crs or table_crs
            name = _table_name(path, driver, layer)
            beyond = beyond_of(source, driver, layer, geometry)
            _tell_of(beyond, name, lineage)
            if checked is not None:
                checked.append(_looked_at(name, frame, table_crs, number, codes, beyond))
            cleaned = _cleaned(name, _into(frame, table_crs, crs, layer, lineage), lineage)
            tables += [_keyed(table, number or "", path.name, options.key, lineage) for table in cleaned]
    if not tables:
        raise LayerRejected(path.name, "it holds no feature with a geometry", "see that the right file was given")
    bounds = _bounds_of(tables)
    check_place(path.name, bounds, crs)
    if number:
        check_frame(path.name, number, bounds, crs, fills=False)
    write_tables(tables, crs, target)
    return Sheet(
        sheet_id=0, number=number, source_name=path.name, path=relative, crs=crs, bounds=bounds,
        footprint=_box_in_crs84(path.name, bounds, crs), width=0, height=0, resolution=(0.0, 0.0), band_count=0, dtype="vector", nodata=None, checksum=checksum,
        lineage=(*lineage, "written as GeoPackage, a table per class, with a spatial index"),
    )


def merge(taken: Sequence[Sheet], folder: Path, crs: str, target: Path) -> None:
    """One GeoPackage of several sheets that were taken in, to `folder`: tables of one name and one kind of geometry become one, in `crs`.

    Raises
    ------
    LayerRejected
        Two sheets have features of the same key, which a field gave them.
    """
    tables: dict[tuple[str, str], list[tuple[Sheet, Table]]] = {}
    for sheet in taken:
        for name in table_names(folder / sheet.path):
            table = _stored_table(folder / sheet.path, name, crs)
            tables.setdefault((name.casefold(), table.kind), []).append((sheet, table))
    write_tables([_joined(parts) for parts in tables.values()], crs, target)


def _keyed(table: Table, number: str, file_name: str, field: str | None, lineage: list[str]) -> Table:
    """The table with its features by key, in their order."""
    features = table.features
    column = next((column for column in features.columns.drop("geometry") if field and column.casefold() == field.casefold()), None)
    if field and column is None:
        lineage.append(f"`{table.name}` has no field `{field}`: its features are known by their numbers in the file")
    keys = keys_of(features.index, number, file_name) if column is None else keys_by_field(features[column], file_name=file_name, table=table.name)
    return replace(table, features=features.set_index(keys).sort_index())


def _stored_table(path: Path, name: str, crs: str) -> Table:
    kind = _kind_of_type(pyogrio.read_info(path, layer=name)["geometry_type"])
    frame = pyogrio.read_dataframe(path, layer=name, fid_as_index=True)
    features = _into(frame, reference.crs_name(frame.crs.to_wkt()), crs, name, [])
    return Table(name=name, kind=kind, features=features.set_crs(None, allow_override=True))


def _joined(parts: Sequence[tuple[Sheet, Table]]) -> Table:
    """The same table of several sheets, by key."""
    if sum(bool(are_plain(table.features.index).any()) for _, table in parts) > 1:
        parts = [(sheet, replace(table, features=table.features.set_index(set_apart(table.features.index, sheet.source_name)))) for sheet, table in parts]
    rows = pandas.concat([table.features for _, table in parts]).sort_index()
    twice = rows.index[rows.index.duplicated()]
    if len(twice):
        first, second, *_ = (sheet.source_name for sheet, table in parts if twice[0] in table.features.index)
        name = parts[0][1].name
        raise LayerRejected(
            second, f"{len(twice)} features of table `{name}` have the same key as one of `{first}`",
            "name a field whose values are different in all files, or leave `--key` out",
        )
    return replace(parts[0][1], features=geopandas.GeoDataFrame(rows, geometry="geometry"))


def classes_of(path: Path, product: ProductType, known: FeatureClassTable) -> tuple[FeatureClass, ...]:
    """The tables of a GeoPackage of the store, as the catalogue shows them. Overlays are drawn plainly: their kind is ""."""
    return tuple(_class_of(path, name, product, known) for name in table_names(path))


def table_names(path: Path) -> list[str]:
    """Names of the feature tables of a GeoPackage, in their order."""
    return [str(name) for name, geometry in pyogrio.list_layers(path) if geometry is not None]


def _class_of(path: Path, name: str, product: ProductType, known: FeatureClassTable) -> FeatureClass:
    info = pyogrio.read_info(path, layer=name, force_total_bounds=True, force_feature_count=True)
    geometry = _kind_of_type(info["geometry_type"])
    kind = known.kind_of(name, geometry) if product is ProductType.DLG or name == SHEET_INDEX else ""
    title_zh, title_en = known.titles(kind) if kind else (name, name)
    return FeatureClass(
        name=name, kind=kind, title_zh=title_zh, title_en=title_en, geometry=geometry, fields=tuple(str(f) for f in info["fields"]),
        count=int(info["features"]), bounds=Bounds(*map(float, info["total_bounds"])),
    )


def _kind_of_type(geometry_type: str) -> str:
    plain = geometry_type.removeprefix("Multi").removeprefix("2.5D ").removeprefix("Multi").split()[0]
    return {"Point": "point", "LineString": "line", "Polygon": "area"}[plain]


# Reading

@contextmanager
def read_faults(name: str) -> Iterator[None]:
    """GDAL's errors in a sentence; its warnings are facts that we count ourselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except UnicodeDecodeError as error:
            raise LayerRejected(name, "its attribute text is not in the encoding that it states",
                                "say which with `--encoding`, for instance GB18030") from error
        except GeometryError as error:
            raise LayerRejected(name, "a table of it holds a kind of geometry that is not taken in, such as mixed kinds with M",
                                "deliver points, lines and areas in tables of their own, without M") from error
        except (CRSError, UnboundLocalError) as error:          # the latter is pyogrio's, where GDAL can't export a CRS
            raise LayerRejected(name, "its CRS can't be read", "say its CRS with `--crs EPSG:n`, or correct the .prj") from error
        except (DataSourceError, DataLayerError, FeatureError, FieldError, shapely.errors.ShapelyError, sqlite3.Error) as error:
            raise LayerRejected(name, "it can't be read: it is truncated or damaged", "deliver it again") from error


def _layers_of(path: Path, name: str) -> list[tuple[str, str]]:
    """Tables and their types of geometry, "" where a table has none."""
    with read_faults(name):
        found = [(str(layer), str(geometry or "")) for layer, geometry in pyogrio.list_layers(path)]
    if not found and path.suffix.lower() == ".fgb":
        raise LayerRejected(name, "it can't be read: it is truncated or damaged", "deliver it again")
    surfaces = next((layer for layer, geometry in found if any(kind in geometry for kind in SURFACES)), None)
    if surfaces is not None:
        raise LayerRejected(name, f"its table `{surfaces[:40]}` holds bodies in space (multipatch), which no map shows", "deliver their footprints as polygons")
    return found


def _tell_of(beyond: Beyond, name: str, lineage: list[str]) -> None:
    if beyond.curved:
        lineage.append(f"`{name}`: features with arcs, made of straight pieces of {STEP_DEGREES:g} degrees (off by 0.001 % of the radius at most): {len(beyond.curved)}")
    if beyond.has_measures:
        lineage.append(f"`{name}`: M of its vertices was left out; X, Y and Z are kept")


def _looked_at(
    name: str, frame: geopandas.GeoDataFrame, crs: str, number: str | None, codes: KnownCodes | None, beyond: Beyond,
) -> TableChecked:
    return look_at(name, frame, crs, number=number, codes=codes, curved=beyond.curved, has_measures=beyond.has_measures)


def _read(
    path: Path, driver: str, layer: str, options: VectorOptions, lineage: list[str],
) -> tuple[str | None, geopandas.GeoDataFrame | None]:
    """The CRS that the table states, and its features; None for a table without geometry or features."""
    encoding = options.encoding
    if driver == "ESRI Shapefile":
        encoding = encoding_of(path, options.encoding, lineage)
    with read_faults(path.name):
        frame = pyogrio.read_dataframe(path, layer=layer, encoding=encoding if driver == "ESRI Shapefile" else None, fid_as_index=True)
    if not isinstance(frame, geopandas.GeoDataFrame):
        lineage.append(f"table `{layer}` has no geometry and was left out")
        return None, None
    if frame.empty:
        lineage.append(f"table `{layer}` is empty and was left out")
        return None, None
    if driver == GEOJSON and (said := members_of_json(path)) is not None and said > len(frame):
        lineage.append(f"warning: `{layer}`: members that are no features by GeoJSON were not read: {said - len(frame)}")
    stated = frame.crs.to_wkt() if frame.crs else None
    if driver == "GeoJSON" and options.crs is not None and not _names_a_crs(path):
        stated = None
    return stated, frame.set_crs(None, allow_override=True)


def _names_a_crs(path: Path) -> bool:
    """Whether a GeoJSON has the `crs` member of the 2008 specification; without it, it is in CRS84 by RFC 7946."""
    with path.open("rb") as file:
        return b'"crs"' in file.read(65536)


def _table_name(path: Path, driver: str, layer: str) -> str:
    """As delivered, without the sheet number, so that the tables of neighbouring sheets meet."""
    name = layer if driver in NAMES_ITS_TABLES else path.stem
    number = sheets.find_number(name)
    if number:
        name = re.sub(number, "", name, flags=re.IGNORECASE).strip("_- .")
    return NOT_IN_A_NAME.sub("_", name).strip("_")[:LONGEST_NAME] or "features"


# Cleaning

def _cleaned(name: str, frame: geopandas.GeoDataFrame, lineage: list[str]) -> list[Table]:
    """Features with sound geometry and plain text, split by kind of geometry; everything done is told in `lineage`."""
    frame = _plain_fields(name, frame, lineage)
    frame = _sound_geometry(name, frame, lineage)
    kinds = shapely.get_dimensions(frame.geometry.values)
    present = [kind for kind in range(3) if (kinds == kind).any()]
    if len(present) > 1:
        counts = ", ".join(f"{np.count_nonzero(kinds == kind)} {KINDS[kind]}" for kind in present)
        lineage.append(f"`{name}` mixes geometries and was split: {counts}")
    return [
        Table(name=name if len(present) == 1 else f"{name}_{KINDS[kind]}", kind=KINDS[kind],
              features=frame[kinds == kind])
        for kind in present
    ]


def _sound_geometry(name: str, frame: geopandas.GeoDataFrame, lineage: list[str]) -> geopandas.GeoDataFrame:
    geometry = frame.geometry.values
    missing = shapely.is_missing(geometry) | shapely.is_empty(geometry)
    if missing.any():
        lineage.append(f"`{name}`: features without geometry dropped: {np.count_nonzero(missing)}")
    frame = _exploded_collections(name, frame[~missing], lineage)
    geometry = frame.geometry.values
    finite = np.isfinite(shapely.bounds(geometry)).all(axis=1) if len(frame) else np.ones(0, bool)
    if not finite.all():
        lineage.append(f"`{name}`: features whose coordinates are no numbers dropped: {np.count_nonzero(~finite)}")
    frame = frame[finite]
    return _repaired(name, frame, lineage)


def _repaired(name: str, frame: geopandas.GeoDataFrame, lineage: list[str]) -> geopandas.GeoDataFrame:
    geometry = np.array(frame.geometry.values)
    invalid = ~shapely.is_valid(geometry)
    if not invalid.any():
        return frame
    whole = np.array([_of_dimension(shapely.make_valid(g), shapely.get_dimensions(g)) for g in geometry[invalid]], dtype=object)
    geometry[invalid] = whole
    lost = shapely.is_empty(geometry)
    lineage.append(f"`{name}`: invalid geometries repaired: {np.count_nonzero(invalid) - np.count_nonzero(lost)}")
    if lost.any():
        lineage.append(f"`{name}`: geometries without length or area dropped: {np.count_nonzero(lost)}")
    return frame.set_geometry(geopandas.GeoSeries(geometry, index=frame.index))[~lost]


def _of_dimension(geometry: shapely.Geometry, dimension: int) -> shapely.Geometry:
    parts = [part for part in shapely.get_parts(_flat([geometry])) if shapely.get_dimensions(part) == dimension]
    if not parts:
        return shapely.Polygon()
    makers = (shapely.multipoints, shapely.multilinestrings, shapely.multipolygons)
    return parts[0] if len(parts) == 1 else makers[dimension](parts)


def _flat(geometries: Iterable[shapely.Geometry]) -> np.ndarray:
    """Geometries with collections, nested ones too, taken apart."""
    parts = shapely.get_parts(list(geometries))
    while (shapely.get_type_id(parts) == 7).any():
        parts = shapely.get_parts(parts)
    return parts


def _exploded_collections(name: str, frame: geopandas.GeoDataFrame, lineage: list[str]) -> geopandas.GeoDataFrame:
    mixed = shapely.get_type_id(frame.geometry.values) == 7
    if not mixed.any():
        return frame
    lineage.append(f"`{name}`: geometry collections taken apart, their attributes repeated: {np.count_nonzero(mixed)}")
    loose = [frame[~mixed]]
    for dimension in range(3):
        part = frame[mixed]
        part = part.set_geometry(geopandas.GeoSeries([_of_dimension(g, dimension) for g in part.geometry], index=part.index))
        loose.append(part[~part.geometry.is_empty])
    return geopandas.GeoDataFrame(pandas.concat([part for part in loose if len(part)]), geometry="geometry")


def _plain_fields(name: str, frame: geopandas.GeoDataFrame, lineage: list[str]) -> geopandas.GeoDataFrame:
    frame = frame.rename(columns=_field_names(name, frame, lineage))
    stripped = 0
    for column in frame.columns.drop("geometry"):
        values = frame[column]
        if not (values.dtype == object or isinstance(values.dtype, pandas.StringDtype)):
            continue
        plain = [_plain_text(value) for value in values]
        stripped += sum(1 for before, after in zip(values, plain, strict=True) if isinstance(before, str) and before != after)
        frame[column] = pandas.Series(plain, index=frame.index, dtype=object)
    if stripped:
        lineage.append(f"`{name}`: texts from which control characters were stripped: {stripped}")
    return frame


def _plain_text(value: object) -> str | None:
    if value is None or value is pandas.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, tuple, dict, np.ndarray)):
        return json.dumps(value.tolist() if isinstance(value, np.ndarray) else value, ensure_ascii=False, default=str)
    return CONTROL_CHARACTERS.sub("", str(value))


def _field_names(name: str, frame: geopandas.GeoDataFrame, lineage: list[str]) -> dict[str, str]:
    """New names for fields that SQLite would not tell apart or that name its own columns."""
    taken, renamed = {ROW_ID, "geom", "geometry"}, {}
    for column in frame.columns.drop("geometry"):
        plain = CONTROL_CHARACTERS.sub("", str(column)) or "field"
        fresh, number = plain, 1
        while fresh.casefold() in taken:
            number += 1
            fresh = f"{plain}_{number}"
        taken.add(fresh.casefold())
        if fresh != column:
            renamed[column] = fresh
    if renamed:
        lineage.append(f"`{name}`: fields were renamed: " + ", ".join(f"{old} -> {new}" for old, new in renamed.items()))
    return renamed


def _into(frame: geopandas.GeoDataFrame, source: str, target: str, name: str, lineage: list[str]) -> geopandas.GeoDataFrame:
    if source == target:
        return frame
    moved = [g if g is None or g.is_empty else reference.transform_geometry(g, source, target) for g in frame.geometry]
    lineage.append(f"`{name}` was brought from {source[:30]} to {target[:30]} (accuracy {reference.accuracy(source, target):g} m)")
    return frame.set_geometry(geopandas.GeoSeries(moved, index=frame.index)).set_crs(None, allow_override=True)


# Writing

def write_tables(tables: Sequence[Table], crs: str, target: Path) -> None:
    """A GeoPackage of these tables with spatial indexes: under a temporary name first, so that `target` is whole or absent."""
    unfinished = target.with_suffix(f".{os.getpid()}.part.gpkg")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        for table in _distinct(tables):
            features = table.features.set_crs(reference.to_pyproj(crs), allow_override=True).assign(**{ROW_ID: table.features.index.to_numpy(np.int64)})
            several = bool((shapely.get_type_id(features.geometry.values) > 3).any())
            pyogrio.write_dataframe(
                features, unfinished, layer=table.name, driver="GPKG", promote_to_multi=several,
                geometry_type=_geometry_type(features, table.kind, several),
                layer_options={"SPATIAL_INDEX": "YES", "GEOMETRY_NAME": "geom", "FID": ROW_ID},
            )
        settle(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def _geometry_type(features: geopandas.GeoDataFrame, kind: str, several: bool) -> str:
    plain = {"point": "Point", "line": "LineString", "area": "Polygon"}[kind]
    height = " Z" if shapely.has_z(features.geometry.values).any() else ""
    return f"{'Multi' if several else ''}{plain}{height}"


def _distinct(tables: Sequence[Table]) -> list[Table]:
    """The same tables under names that SQLite can tell apart."""
    taken, distinct = set(), []
    for table in tables:
        name, number = table.name, 1
        while name.casefold() in taken:
            number += 1
            name = f"{table.name}_{number}"
        taken.add(name.casefold())
        distinct.append(replace(table, name=name))
    return distinct


def _bounds_of(tables: Sequence[Table]) -> Bounds:
    every = np.array([table.features.total_bounds for table in tables])
    return Bounds(*map(float, (every[:, 0].min(), every[:, 1].min(), every[:, 2].max(), every[:, 3].max())))


def _box_in_crs84(name: str, bounds: Bounds, crs: str) -> shapely.Geometry:
    """The box of the features in CRS84; a hair wider where they lie on one line or point, so that it has an area."""
    hair = 1e-6 if reference.is_geographic(crs) else 0.1
    if 0 in (bounds.width, bounds.height):
        bounds = Bounds(bounds.left - hair, bounds.bottom - hair, bounds.right + hair, bounds.top + hair)
    try:
        return footprint_of(bounds, crs)
    except OutsideAreaOfUse as error:
        raise LayerRejected(name, "its features reach beyond what its CRS can express", "correct the stray coordinates") from error
