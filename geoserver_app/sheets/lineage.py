"""Of which sheets a picture of some ground is made: what lies uppermost there, of what may be seen of it.

A sheet counts with the ground of its frame where it bears a number; where sheets without one overlap, the newer currency lies on top, then the
later sheet. A sheet that others hide wholly has no part in the picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import shapely
from shapely.geometry.base import BaseGeometry

from geoserver_app.sheets.granted import GrantedSheet
from layers.sheets import sheet_bounds
from layers.sheets.shelf import polygons_within, precedence

SMALLEST_SHARE = 1e-9
"""Of the ground that is asked: less is the noise of edges that meet."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """A sheet and the ground (CRS84) that it shows; `share` is the part of all that is shown."""

    one: GrantedSheet
    ground: BaseGeometry
    share: float


def contributions(granted: Sequence[GrantedSheet], ground: BaseGeometry) -> list[Contribution]:
    """Which of the granted sheets show what of `ground` (CRS84, polygons), the largest share first."""
    if not granted or ground.is_empty:
        return []
    tree = shapely.STRtree([one.ground for one in granted])
    near = sorted((granted[position] for position in tree.query(ground)), key=lambda one: precedence(one.sheet), reverse=True)
    shapes = [_within_frame(one, ground) for one in near]
    placed = shapely.STRtree(shapes)
    shown = []
    for rank, (one, shape) in enumerate(zip(near, shapes, strict=True)):
        above = [shapes[other] for other in placed.query(shape) if other < rank]
        visible = polygons_within(shapely.difference(shape, shapely.union_all(above)) if above else shape)
        if visible.area > SMALLEST_SHARE * ground.area:
            shown.append((one, visible))
    total = sum(visible.area for _, visible in shown)
    return sorted((Contribution(one, visible, visible.area / total) for one, visible in shown), key=lambda each: (-each.share, each.one.sheet.sheet_id))


def _within_frame(one: GrantedSheet, ground: BaseGeometry) -> BaseGeometry:
    shape = shapely.intersection(one.ground, ground)
    return shapely.intersection(shape, _frame(one.sheet.number)) if one.sheet.number else shape


@lru_cache(maxsize=20_000)
def _frame(number: str) -> BaseGeometry:
    return shapely.box(*sheet_bounds(number))
