"""Ground below a level of water: where it lies, how much it is, and whether the water can come there from the gauge.

Cells are compared as they are told: cut, degraded, the coarser below the finer. Water comes from the cells next to the gauge, from side to side, never
across a corner; dikes hold it where the elevation model shows them. What lies outside the view, or outside the grant, is no way for it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from layers.crs import transformer
from layers.geodesy import ELLIPSOID, Place
from layers.model import Edition, Patch, View
from tiles.compose import Visible, composed, shown
from tiles.permits import Permit, PermitPart
from tiles.requests.expressible import expressible
from tiles.variants import Variant
from tiles.water import OPACITY, depth_colours

BESIDE = 200.0
"""Metres from a gauge within which its water is looked for: gauges stand on the bank."""

LEAST_CELL = 0.05
"""Metres: finer cells are looked for within fewer of them."""

ROWS_MEASURED = 9

ValuesOf = Callable[[Edition, View, Permit, Variant], Patch | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Water:
    """`depths` (row, col) in metres, 0 where it is dry, NaN where no height is told. `view` is what of the picture can be expressed, `parts` what of it
    is seen; both of them say where the water is drawn."""

    view: View
    parts: list[tuple[PermitPart, Visible]]
    depths: np.ndarray

    def picture(self) -> Image.Image | None:
        """RGBA, marked as the grants say; None where nothing is seen, whatever there is."""
        pixels = np.zeros((*self.depths.shape, 4), np.uint8)
        wet = np.nan_to_num(self.depths) > 0
        pixels[wet, :3] = depth_colours(self.depths[wet])
        pixels[wet, 3] = OPACITY
        return composed(self.parts, self.view, lambda variant: Image.fromarray(pixels))

    def numbers(self) -> dict:
        """Areas in square metres of ground, depths in metres, the volume in cubic metres."""
        cells = np.broadcast_to(_cell_areas(self.view)[:, None], self.depths.shape)
        known = ~np.isnan(self.depths)
        wet = known & (np.nan_to_num(self.depths) > 0)
        area, volume = float(cells[wet].sum()), float((cells[wet] * self.depths[wet]).sum())
        return {
            "area": round(area, 1), "volume": round(volume, 1), "deepest": round(float(self.depths[wet].max()), 3) if wet.any() else None,
            "mean_depth": round(volume / area, 3) if area else None, "told": round(float(cells[known].sum()), 1), "asked": round(float(cells.sum()), 1),
        }


def water_below(permit: Permit, view: View, level: float, values_of: ValuesOf, source: Place | None) -> Water | None:
    """What lies below `level`, metres in the datum of the edition, as the permit lets it be known; None where nothing of the view is seen.

    Parameters
    ----------
    values_of : callable
        Heights of a whole variant in a view, unclipped (`Engine.values`).
    source : (longitude, latitude), optional
        Where the water comes from; None lets it be anywhere.
    """
    placed = expressible(view)
    parts = shown(permit.parts, placed[0]) if placed is not None else []
    if not parts:
        return None
    inner = placed[0]
    heights = np.full((inner.height, inner.width), np.nan)
    for part, visible in parts:                     # from the bottom up
        patch = values_of(permit.edition, inner, permit, part.variant)
        if patch is not None:
            here = patch.valid & visible
            heights[here] = patch.values[0].astype(np.float64)[here]
    depths = np.where(np.isnan(heights), np.nan, np.maximum(level - heights, 0.0))
    if source is not None:
        depths[(depths > 0) & ~_connected(depths > 0, _near(inner, source))] = 0.0
    return Water(view=inner, parts=parts, depths=depths)


def _connected(wet: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Wet cells to which wet cells lead from one that is near."""
    _, labels = cv2.connectedComponents(wet.astype(np.uint8), connectivity=4)
    begun = np.unique(labels[wet & near])
    return np.isin(labels, begun[begun > 0])


def _near(view: View, place: Place) -> np.ndarray:
    """(row, col) of bool: cells whose middles lie so near to a place as water may be of a gauge, at the least those around it."""
    step_x, step_y = view.resolution
    x, y = transformer("CRS:84", view.crs).transform(*place)
    col, row = (x - view.bounds.left) / step_x, (view.bounds.top - y) / step_y
    to_earth = transformer(view.crs, "CRS:84").transform
    ends = (to_earth(x + east, y + north) for east, north in ((step_x, 0.0), (0.0, step_y)))
    beside = [ELLIPSOID.inv(*place, *end)[2] if np.isfinite(end).all() and abs(end[1]) <= 90 else BESIDE for end in ends]       # metres of a cell, each way
    beside = [max(metres, LEAST_CELL) for metres in beside]
    reach = max(BESIDE, 2 * max(beside))
    width, height = (int(reach / metres) + 2 for metres in beside)
    left, top = max(int(col) - width, 0), max(int(row) - height, 0)
    cols, rows = np.arange(left, min(int(col) + width + 1, view.width)), np.arange(top, min(int(row) + height + 1, view.height))
    near = np.zeros((view.height, view.width), bool)
    if len(cols) and len(rows):
        lons, lats = to_earth(*np.meshgrid(view.bounds.left + (cols + 0.5) * step_x, view.bounds.top - (rows + 0.5) * step_y))
        _, _, metres = ELLIPSOID.inv(np.full(lons.shape, place[0]), np.full(lons.shape, place[1]), lons, lats)
        near[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1] = metres <= reach
    return near


def _cell_areas(view: View) -> np.ndarray:
    """(row,) square metres on the ellipsoid of one cell of each row, as in the middle of the row."""
    step_x, step_y = view.resolution
    rows = np.unique(np.linspace(0, view.height - 1, ROWS_MEASURED).round())
    x, way = (view.bounds.left + view.bounds.right) / 2, transformer(view.crs, "CRS:84")
    areas = []
    for row in rows.tolist():
        top = view.bounds.top - row * step_y
        lons, lats = way.transform([x - step_x / 2, x + step_x / 2, x + step_x / 2, x - step_x / 2], [top - step_y, top - step_y, top, top])
        areas.append(abs(ELLIPSOID.polygon_area_perimeter(lons, lats)[0]))
    return np.interp(np.arange(view.height), rows, areas)
