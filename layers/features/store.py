"""What is asked of a store of features, and what it answers: whole features, known to nobody but the holder of a permit."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from layers.model import Bounds, Edition, FeatureClass
from layers.rows import RowFilter, Value

NEVER_TOLD = frozenset({"CPTP"})
"""Kinds whose features are secret (survey control points): read only where a caller names their table, told never."""


class FieldType(StrEnum):
    """What the values of a field are, by the words of JSON Schema where it has them."""

    TEXT = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"               # text: 2011-05-01
    DATE_TIME = "date-time"     # text: 2011-05-01T08:00:00Z

    @property
    def is_text(self) -> bool:
        """Whether a filter compares the values with texts."""
        return self in (FieldType.TEXT, FieldType.DATE, FieldType.DATE_TIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureQuery:
    """Some features of one table, always by ascending key.

    `box` is in the edition's CRS, x before y: features whose own box touches it. `where` is asked of the whole feature, with the logic of
    `RowFilter.matches`. `fields` are attributes to read, in the order of the answer. `after` is the key of the last feature seen, `key` that of
    one that is wanted alone.
    """

    table: FeatureClass
    box: Bounds | None = None
    where: RowFilter | None = None
    fields: tuple[str, ...] = ()
    after: int | None = None
    key: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureBatch:
    """Neighbours in the order of keys. Features without a geometry are left out."""

    keys: np.ndarray                    # (n,) int64, ascending
    shapes: np.ndarray                  # (n,) of shapely geometries in the edition's CRS, x before y
    columns: dict[str, list[Value]]     # field -> (n,) values as JSON has them

    def __len__(self) -> int:
        return len(self.keys)


class FeatureStore(Protocol):
    """Where the features of editions are kept. Safe to share by threads."""

    def batches(self, edition: Edition, query: FeatureQuery, size: int = 1000) -> Iterator[FeatureBatch]:
        """The features that are asked, some `size` at a time; lazily, so that who wants a page reads no province.

        Raises
        ------
        FeaturesUnavailable
            The store can't be read now.
        """

    def fields(self, edition: Edition, table: FeatureClass) -> dict[str, FieldType]:
        """The type of every field of the table, in the order of the catalogue. Raises FeaturesUnavailable."""

    def text_fields(self, edition: Edition, table: FeatureClass) -> frozenset[str]:
        """Names of those that hold text, dates among them. Raises FeaturesUnavailable."""


def as_json(value: object) -> Value:
    """A value as JSON has it: no number that is none, no bytes.

    >>> as_json(float("inf")), as_json(b"x"), as_json(2.0)
    (None, None, 2.0)
    """
    if isinstance(value, float):
        return value if -LARGEST <= value <= LARGEST else None
    return value if isinstance(value, str | int) else None


LARGEST = 1.7976931348623157e308
