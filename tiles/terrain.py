"""Tiles whose colours are heights, as maps in a browser read them: Terrain-RGB and Terrarium.

    terrain-rgb   height = -10000 + (red * 65536 + green * 256 + blue) / 10          to 0.05 m
    terrarium     height = red * 256 + green + blue / 256 - 32768                    to 0.002 m

Heights are resampled, then encoded; colours are never mixed, nor marked, nor compressed with loss. Where there is no height, or none is granted, all
four channels are 0.
"""

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """`step` is the metres of one count of the blue channel, `zero` the height of colour 0."""

    name: str                   # as MapLibre calls it
    step: float
    zero: float

    @property
    def accuracy(self) -> float:
        """Metres by which what is decoded may be off from what was encoded."""
        return self.step / 2

    def encode(self, heights: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """(row, col) of metres to (row, col, 4) of uint8; what can't be expressed comes out as the nearest that can."""
        counts = np.clip(np.rint((heights.astype(np.float64) - self.zero) / self.step), 0, (1 << 24) - 1).astype(np.uint32)
        pixels = np.stack([counts >> 16, counts >> 8 & 255, counts & 255, np.full_like(counts, 255)], axis=-1).astype(np.uint8)
        pixels[~valid] = 0
        return pixels

    def decode(self, pixels: np.ndarray) -> np.ndarray:
        """(row, col, 4) of uint8 to (row, col) of metres, NaN where there is no height."""
        counts = pixels[..., :3].astype(np.int64) @ np.array([65536, 256, 1])
        return np.where(pixels[..., 3] > 0, counts * self.step + self.zero, np.nan)


ENCODERS = MappingProxyType({
    "terrain-rgb": Encoding(name="mapbox", step=0.1, zero=-10000.0),
    "terrarium": Encoding(name="terrarium", step=1 / 256, zero=-32768.0),
})
"""By style (`layers.model.ENCODINGS`)."""
