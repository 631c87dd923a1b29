"""Ground below a level of water: deeper is darker, and nothing is drawn elsewhere. Cells are compared one by one: dikes and connection count for nothing."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from layers.model import Patch, View

DEEPEST = 8.0
"""Metres at which water is drawn darkest."""

STOPS = ((0.0, (183, 222, 244)), (0.5, (136, 196, 232)), (1.0, (92, 166, 215)), (2.0, (52, 130, 191)), (4.0, (22, 90, 156)), (DEEPEST, (8, 48, 107)))
"""Depth in metres and colour, linear between them."""

OPACITY = 200
"""Of 255: the map below still shows."""

STEPS = 1024


@dataclass(frozen=True, slots=True)
class WaterLevel:
    """`height` is in metres of the edition's own vertical datum, however it was asked."""

    height: float


def depth_colours(depths: np.ndarray) -> np.ndarray:
    """Metres to (..., 3) of uint8."""
    steps = np.clip(np.sqrt(np.clip(depths, 0, DEEPEST) / DEEPEST) * (STEPS - 1), 0, STEPS - 1)         # finest where it is shallow
    return _table()[np.rint(steps).astype(np.intp)]


@lru_cache(maxsize=1)
def _table() -> np.ndarray:
    depths = (np.arange(STEPS) / (STEPS - 1)) ** 2 * DEEPEST
    stops, colours = np.array([depth for depth, _ in STOPS]), np.array([colour for _, colour in STOPS])
    return np.stack([np.rint(np.interp(depths, stops, band)) for band in colours.T], axis=-1).astype(np.uint8)


def water_picture(patch: Patch | None, view: View, level: WaterLevel) -> Image.Image:
    """RGBA: cells with data that lie below `level`."""
    pixels = np.zeros((view.height, view.width, 4), np.uint8)
    if patch is not None:
        depths = level.height - patch.values[0].astype(np.float64)
        wet = patch.valid & (depths > 0)
        pixels[wet, :3] = depth_colours(depths[wet])
        pixels[wet, 3] = OPACITY
    return Image.fromarray(pixels)
