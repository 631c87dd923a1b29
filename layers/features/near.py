"""Single features of a line map or an overlay, read from the edition's GeoPackage."""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
import shapely
from shapely.geometry.base import BaseGeometry

from layers.crs import densify, transform_geometry
from layers.features.store import NEVER_TOLD
from layers.model import Edition, FeatureClass

TOP_FIRST = {"point": 0, "line": 1, "area": 2}

MOST_CONTOURS = 2_000
"""Different heights looked at to find the interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One feature, whole: neither cut to an area nor stripped of attributes; that is for the holder of a permit to do."""

    feature_class: str          # name of the table
    geometry: BaseGeometry      # CRS84, lon lat degrees; Z in metres where the data have it
    attributes: dict[str, str | int | float | bool | None]


def features_near(
    folder: Path, edition: Edition, x: float, y: float, crs: str, tolerance: float, limit: int, *, classes: Collection[str] | None = None,
) -> list[Feature]:
    """Features within `tolerance` of a place: points before lines before areas, then by name of the table and feature id.

    Parameters
    ----------
    folder : Path
        The edition's folder in the store.
    x, y : float
        In `crs`, x (east) first.
    crs : str
        One of the served names.
    tolerance : float
        Radius in units of `crs`; 0 finds the areas that hold the place.
    limit : int
        Most features returned, of all tables together. Who cuts them to an area afterwards asks for more than it needs.
    classes : collection of str, optional
        Names of the tables to look in; all but the secret ones where absent.

    Returns
    -------
    list of Feature
        Edges longer than what a change of CRS would bend are divided first, so the shapes are true in CRS84.

    Raises
    ------
    OutsideAreaOfUse
        The place can't be expressed in the edition's CRS.
    """
    place = shapely.Point(x, y).buffer(tolerance) if tolerance > 0 else shapely.Point(x, y)
    place = transform_geometry(place, crs, edition.crs)
    found: list[Feature] = []
    for table in sorted(_tables(edition, classes), key=lambda t: (TOP_FIRST[t.geometry], t.name)):
        for feature in _read(folder / edition.vectors, table, edition.crs, place):
            if len(found) >= limit:
                return found
            found.append(feature)
    return found


def text_fields(geopackage: Path, table: str) -> frozenset[str]:
    """Names of the fields that hold text, dates among them; the others hold numbers."""
    info = pyogrio.read_info(geopackage, layer=table)
    return frozenset(
        str(name) for name, kind in zip(info["fields"], info["ogr_types"], strict=True) if not kind.startswith(("OFTInteger", "OFTReal"))
    )


def interval(geopackage: Path, table: str, height_field: str) -> float | None:
    """Height between neighbouring contours in metres, the commonest step between the heights that occur; None where there are no two."""
    quoted, source = height_field.replace('"', '""'), table.replace('"', '""')
    _, _, _, (heights,) = pyogrio.raw.read(
        geopackage, read_geometry=False,
        sql=f'SELECT DISTINCT "{quoted}" AS height FROM "{source}" WHERE "{quoted}" IS NOT NULL ORDER BY 1 LIMIT {MOST_CONTOURS}',
    )
    steps = np.diff(np.sort(_numbers(heights)))
    steps = np.round(steps[steps > 0], 3)
    if not len(steps):
        return None
    sizes, counts = np.unique(steps, return_counts=True)
    return float(sizes[counts.argmax()])


def _tables(edition: Edition, wanted: Collection[str] | None) -> Iterator[FeatureClass]:
    if edition.vectors is None:
        return iter(())
    return (t for t in edition.classes if (t.name in wanted if wanted is not None else t.kind not in NEVER_TOLD))


def _read(geopackage: Path, table: FeatureClass, crs: str, place: BaseGeometry) -> Iterator[Feature]:
    """Features of one table that touch `place` (in `crs`), by feature id."""
    meta, ids, shapes, columns = pyogrio.raw.read(
        geopackage, layer=table.name, columns=list(table.fields), bbox=place.bounds, return_fids=True, datetime_as_string=True,
    )
    for row in np.argsort(ids, kind="stable"):
        geometry = shapely.from_wkb(shapes[row])
        if geometry is None or geometry.is_empty or not geometry.intersects(place):
            continue
        values = {
            str(name): _plain(column[row], ogr_type)
            for name, column, ogr_type in zip(meta["fields"], columns, meta["ogr_types"], strict=True)
        }
        in_order = {name: values[name] for name in table.fields if name in values}
        yield Feature(
            feature_class=table.name, geometry=transform_geometry(densify(geometry, crs), crs, "CRS:84"), attributes=in_order,
        )


def _plain(value: object, ogr_type: str) -> str | int | float | bool | None:
    """As JSON has it: no NaN, whole numbers whole although a column with gaps is read as float, bytes left out."""
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(value)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bytes):
        return None
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if ogr_type.startswith("OFTInteger") and value.is_integer() else value
    return value if isinstance(value, str | int | bool) else str(value)


def _numbers(values: np.ndarray) -> np.ndarray:
    """Heights as numbers, also where they were delivered as text; what is no number is left out."""
    if values.dtype.kind in "if":
        return values[np.isfinite(values.astype(float))].astype(float)
    return np.array([float(text) for text in values if text is not None and text.strip().replace(".", "", 1).lstrip("-").isdigit()])
