"""The part of a view in which its reference system means something: clients zoom out beyond it, and renderers are not asked there."""

from layers.model import Bounds, View
from tiles.requests.ogc import expressible_bounds

HAIR = 1e-6
"""Pixels by which one may stand out over the edge and still count as whole."""


def expressible(view: View) -> tuple[View, tuple[int, int]] | None:
    """The whole pixels of `view` that lie where its CRS means something, and the column and row at which they begin; None where there are none."""
    world, bounds, (step_x, step_y) = expressible_bounds(view.crs), view.bounds, view.resolution
    if bounds.intersection(world) == bounds:
        return view, (0, 0)
    first_col, last_col = _whole_pixels((world.left - bounds.left) / step_x, (world.right - bounds.left) / step_x, view.width)
    first_row, last_row = _whole_pixels((bounds.top - world.top) / step_y, (bounds.top - world.bottom) / step_y, view.height)
    if first_col >= last_col or first_row >= last_row:
        return None
    inner = Bounds(
        max(bounds.left + first_col * step_x, world.left), max(bounds.top - last_row * step_y, world.bottom),
        min(bounds.left + last_col * step_x, world.right), min(bounds.top - first_row * step_y, world.top),
    )
    return View(crs=view.crs, bounds=inner, width=last_col - first_col, height=last_row - first_row), (first_col, first_row)


def _whole_pixels(start: float, end: float, count: int) -> tuple[int, int]:
    """First, and one past the last, of `count` pixels that lie wholly between `start` and `end`; a hair's breadth is forgiven."""
    return max(-int(-(start - HAIR) // 1), 0), min(int((end + HAIR) // 1), count)
