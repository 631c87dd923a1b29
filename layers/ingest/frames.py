"""Where the frame of a numbered sheet runs through its pixels: what is delivered beyond it belongs to the neighbours.

Production delivers a sheet as an axis-parallel rectangle with a margin, so that neighbours overlap (GB/T 13989 frames are trapezoids in a
Gauss-Krueger grid). Cut to their frames they meet instead; a collar of two pixels is left, so that no hairline shows between them.
"""

from dataclasses import dataclass

import numpy as np

from layers import crs as reference
from layers.model import Bounds
from layers.sheets import numbers as sheets

COLLAR = 2
"""Pixels beyond the frame that stay."""

LONGEST_STEP = 0.01
"""Degrees between the points that an edge is drawn through: a parallel bends by 2 cm between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCut:
    """The pixels whose centres lie within a frame and its collar.

    Of each row the first column that stays and the one behind the last; of each column, the same for rows.
    """

    first_column: np.ndarray
    end_column: np.ndarray
    first_row: np.ndarray
    end_row: np.ndarray

    @property
    def hides_nothing(self) -> bool:
        height, width = len(self.first_column), len(self.first_row)
        return not (self.first_column.any() or self.first_row.any() or (self.end_column < width).any() or (self.end_row < height).any())

    def within(self, top: int, rows: int) -> np.ndarray:
        """(rows, columns) uint8 of the rows from `top`: 255 where a pixel stays, 0 where it is hidden."""
        mask = np.zeros((rows, len(self.first_row)), np.uint8)
        for line, first, end in zip(mask, self.first_column[top:top + rows], self.end_column[top:top + rows], strict=True):
            line[first:end] = 255
        if self.first_row.max() > top or self.end_row.min() < top + rows:
            row = np.arange(top, top + rows)[:, None]
            mask[(row < self.first_row) | (row >= self.end_row)] = 0
        return mask


def frame_cut(number: str, bounds: Bounds, width: int, height: int, crs: str) -> FrameCut:
    """How the frame of sheet `number` cuts a raster.

    Parameters
    ----------
    bounds : Bounds
        Of the raster's outer edges, in units of `crs`; its frame must be known to lie there (`layers.ingest.sources.check_frame`).
    """
    across, along = (bounds.right - bounds.left) / width, (bounds.top - bounds.bottom) / height
    west, south, east, north = _edges(number, crs)
    y = bounds.top - (np.arange(height) + 0.5) * along
    x = bounds.left + (np.arange(width) + 0.5) * across
    left, right = (np.interp(y, *_rising(edge[1], edge[0])) for edge in (west, east))
    low, high = (np.interp(x, *_rising(edge[0], edge[1])) for edge in (south, north))
    return FrameCut(
        first_column=_index((left - bounds.left) / across - COLLAR, width), end_column=_index((right - bounds.left) / across + COLLAR, width),
        first_row=_index((bounds.top - high) / along - COLLAR, height), end_row=_index((bounds.top - low) / along + COLLAR, height),
    )


def _index(position: np.ndarray, size: int) -> np.ndarray:
    """The first pixel whose centre does not lie before `position`, which is given in pixels from the outer edge."""
    return np.clip(np.ceil(position - 0.5), 0, size).astype(np.intp)


def _edges(number: str, crs: str) -> tuple[np.ndarray, ...]:
    """West, south, east and north edge as (x, y) in `crs`."""
    frame = sheets.sheet_bounds(number)
    lon, lat = (
        np.linspace(low, high, max(2, int(np.ceil((high - low) / LONGEST_STEP)) + 1))
        for low, high in ((frame.left, frame.right), (frame.bottom, frame.top))
    )
    place = reference.transformer("CRS:84", crs).transform
    return tuple(np.array(place(*edge)) for edge in (
        (np.full_like(lat, frame.left), lat), (lon, np.full_like(lon, frame.bottom)),
        (np.full_like(lat, frame.right), lat), (lon, np.full_like(lon, frame.top)),
    ))


def _rising(along: np.ndarray, across: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(along)
    return along[order], across[order]
