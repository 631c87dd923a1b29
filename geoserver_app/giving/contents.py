"""Contributed features at hand: one table of the clean GeoPackage that was made of an upload, or of the edition that is in force."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyogrio
import shapely

from layers import crs as reference
from layers.features import FeatureQuery, FeatureStore
from layers.ingest.keys import numbers_in_file
from layers.ingest.vectors import table_names
from layers.model import Edition, FeatureClass

DIMENSIONS = {"point": 0, "line": 1, "area": 2}
CENTRAL_MERIDIANS = (75, 135)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Features of one table: `columns` are plain values as JSON has them, `shapes` in `crs`, x before y."""

    name: str
    kind: str                                # point | line | area
    crs: str
    rows: np.ndarray                         # (n,) numbers of rows
    shapes: np.ndarray
    columns: dict[str, list]

    def __len__(self) -> int:
        return len(self.rows)

    def names_of(self, positions: Sequence[int], key: str | None) -> list[str]:
        """What features are called in a report: by their key, or by the number of the row."""
        held = self.columns.get(key) if key else None
        return [str(held[at]) if held and held[at] not in (None, "") else f"#{self.rows[at]}" for at in positions]

    @cached_property
    def in_metres(self) -> np.ndarray:
        """The shapes in a plane in which lengths and areas are true to a thousandth: the table's own, or the zone of 3 degrees in its middle."""
        return self.shapes if not reference.is_geographic(self.crs) else moved(self.shapes, self.crs, metric_crs(self.shapes))

    @cached_property
    def in_degrees(self) -> np.ndarray:
        """The shapes in CRS84."""
        return moved(self.shapes, self.crs, "CRS:84")

    def to_degrees(self, shapes: Sequence) -> np.ndarray:
        """Shapes that were made of `in_metres`, in CRS84."""
        plane = self.crs if not reference.is_geographic(self.crs) else metric_crs(self.shapes)
        return moved(np.asarray(shapes, dtype=object), plane, "CRS:84")


def metric_crs(shapes: np.ndarray) -> str:
    """CGCS2000 in the zone of 3 degrees (EPSG:4534 to 4554) in which the middle of the shapes, in degrees, lies."""
    left, _, right, _ = shapely.total_bounds(shapes)
    meridian = int(np.clip(round((left + right) / 6) * 3, *CENTRAL_MERIDIANS))
    return f"EPSG:{4534 + (meridian - CENTRAL_MERIDIANS[0]) // 3}"


def moved(shapes: np.ndarray, source: str, target: str) -> np.ndarray:
    """Vertex by vertex, without heights: of features, whose edges are short. A sliver that is sound in one plane may cross itself in another: it is made
    sound again. Raises OutsideAreaOfUse."""
    if source == target or not len(shapes):
        return np.asarray(shapes, dtype=object)
    together = reference.transform_geometry(shapely.GeometryCollection(list(shapely.force_2d(shapes))), source, target)
    found = np.array(list(together.geoms), dtype=object)
    broken = ~shapely.is_valid(found)
    found[broken] = shapely.make_valid(found[broken])
    return found


def read_clean(path: Path) -> Iterator[Contents]:
    """The tables of a GeoPackage of ours."""
    for name in table_names(path):
        info = pyogrio.read_info(path, layer=name)
        frame = pyogrio.read_dataframe(path, layer=name, fid_as_index=True)
        frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
        yield Contents(
            name=name, kind=kind_of(info["geometry_type"]), crs=reference.crs_name(frame.crs.to_wkt()), rows=numbers_in_file(frame.index),
            shapes=frame.geometry.to_numpy(), columns={str(one): _plain(frame[one]) for one in frame.columns if one != frame.geometry.name},
        )


def kind_of(geometry_type: str) -> str:
    """
    >>> kind_of("2.5D MultiPolygon"), kind_of("MultiLineString Z")
    ('area', 'line')
    """
    return next((kind for word, kind in (("Point", "point"), ("LineString", "line"), ("Polygon", "area")) if word in geometry_type), "point")


def _plain(column) -> list:
    """Values as JSON has them; times as text."""
    values = column.astype(object).where(column.notna(), None).tolist()
    return [value if value is None or isinstance(value, str | int | float | bool) else value.isoformat() if hasattr(value, "isoformat") else str(value)
            for value in values]


def read_edition(store: FeatureStore, edition: Edition, table: FeatureClass) -> Contents:
    """A table of an edition that is in force. Raises FeaturesUnavailable."""
    batches = list(store.batches(edition, FeatureQuery(table=table, fields=table.fields), size=5000))
    empty = np.zeros(0, dtype=object)
    return Contents(
        name=table.name, kind=table.geometry, crs=edition.crs, rows=np.concatenate([one.keys for one in batches]) if batches else np.zeros(0, np.int64),
        shapes=np.concatenate([one.shapes for one in batches]) if batches else empty,
        columns={name: [value for one in batches for value in one.columns[name]] for name in table.fields},
    )
