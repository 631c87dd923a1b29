"""A store of features that is a list, and editions over it: the plainest that a store can be, for tests to compare others with."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import shapely

from layers.features import FeatureBatch, FeatureQuery, FieldType
from layers.model import Bounds, Edition, FeatureClass, ProductType

CRS = "EPSG:4549"


@dataclass
class ListedStore:
    """table -> rows of (key, geometry, attributes)."""

    rows: dict[str, list[tuple[int, shapely.Geometry, dict]]] = field(default_factory=dict)
    read: int = 0

    def batches(self, edition: Edition, query: FeatureQuery, size: int = 1000) -> Iterator[FeatureBatch]:
        found = [row for row in sorted(self.rows[query.table.name], key=lambda row: row[0]) if self._is_asked(row, query)]
        for first in range(0, len(found), size):
            some = found[first : first + size]
            self.read += len(some)
            yield FeatureBatch(
                keys=np.array([key for key, _, _ in some], np.int64), shapes=np.array([shape for _, shape, _ in some], dtype=object),
                columns={name: [values[name] for _, _, values in some] for name in query.fields},
            )

    @staticmethod
    def _is_asked(row: tuple, query: FeatureQuery) -> bool:
        key, shape, values = row
        left, bottom, right, top = shape.bounds
        box = query.box
        return (
            (query.key is None or key == query.key) and (query.after is None or key > query.after)
            and (box is None or (left <= box.right and right >= box.left and bottom <= box.top and top >= box.bottom))
            and (query.where is None or query.where.matches(query.table.name, values))
        )

    def fields(self, edition: Edition, table: FeatureClass) -> dict[str, FieldType]:
        kinds = {str: FieldType.TEXT, int: FieldType.INTEGER, float: FieldType.NUMBER, bool: FieldType.BOOLEAN}
        found = {}
        for name in table.fields:
            value = next((values[name] for _, _, values in self.rows[table.name] if values[name] is not None), "")
            found[name] = kinds[type(value)]
        return found

    def text_fields(self, edition: Edition, table: FeatureClass) -> frozenset[str]:
        return frozenset(name for name, kind in self.fields(edition, table).items() if kind.is_text)


def table_of(name: str, rows: list[tuple[int, shapely.Geometry, dict]], *, kind: str | None = None) -> FeatureClass:
    dimension = max(int(shapely.get_dimensions(shape)) for _, shape, _ in rows)
    return FeatureClass(
        name=name, kind=name if kind is None else kind, title_zh=name, title_en=name, geometry=("point", "line", "area")[dimension],
        fields=tuple(rows[0][2]), count=len(rows), bounds=Bounds(*shapely.total_bounds([shape for _, shape, _ in rows])),
    )


def edition_over(store: ListedStore, *, crs: str = CRS, kinds: dict[str, str] | None = None) -> Edition:
    """A line map over all tables of the store."""
    return Edition(
        edition_id=1, name="2011", layer="dlg", product=ProductType.DLG, currency=(None, None), generation=1, folder="dlg", crs=crs,
        extent=shapely.box(118.0, 31.0, 120.0, 33.0), resolution=None, vectors="v.gpkg",
        classes=tuple(table_of(name, rows, kind=(kinds or {}).get(name)) for name, rows in store.rows.items()),
    )
