"""Pages of what is told: each begins after the last thing of the one before, found by its key, so a page a million features deep costs what the
first one does, and nobody's insertion moves what others see."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from layers.features import FeatureStore
from layers.model import FeatureClass
from tiles.permits import Permit
from tiles.vector.conditions import Condition, told_where
from tiles.vector.granted import Told

LARGEST_READ = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of what is told, and whether more follows."""

    told: tuple[Told, ...]
    has_more: bool

    @property
    def count(self) -> int:
        return sum(map(len, self.told))

    @property
    def last(self) -> tuple[int, int]:
        """Key and part of the last thing; of a page that holds one."""
        return int(self.told[-1].keys[-1]), int(self.told[-1].parts[-1])


def page(
    permit: Permit, store: FeatureStore, table: FeatureClass, condition: Condition | None, *, limit: int, after: tuple[int, int] | None = None,
    fields: Collection[str] | None = None,
) -> Page:
    """At most `limit` things, after the one of key and part `after`. Raises FeaturesUnavailable, OutsideAreaOfUse."""
    start = None if after is None else after[0] - 1           # the feature itself again: of its parts some may be left
    found, count = [], 0
    for some in told_where(permit, store, table, condition, after=start, fields=fields, size=min(limit + 2, LARGEST_READ)):
        if after is not None:
            some = some.only((some.keys > after[0]) | (some.parts > after[1]))
        room = limit - count
        if len(some) > room:
            if room:
                found.append(some.only(np.arange(len(some)) < room))
            return Page(told=tuple(found), has_more=True)
        if len(some):
            found.append(some)
            count += len(some)
    return Page(told=tuple(found), has_more=False)
