"""Pixels from one grid to another: coordinates exact, PROJ asked for a handful of points, the pixels moved by one remap.

A map between two smooth projections is very nearly a polynomial over any view that people look at. So PROJ transforms a small square of
Chebyshev nodes, the polynomial through them is evaluated for every pixel by two small matrix products in float64, and it is checked against
PROJ between the nodes; where it isn't good enough the nodes double, and in the last resort every pixel is transformed. No warper, no
approximation that a test could see (measured: 1e-6 pixels for a view of 20 km, 1e-3 for a whole province).

Conventions: position (col, row) = (0, 0) is the outer corner of the first source pixel, so that its centre is (0.5, 0.5).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from layers.model import View

cv2.setNumThreads(1)        # requests are what runs side by side here: OpenCV's own threads would only wait for one another

NODE_COUNTS = (5, 9, 17, 33)

WORST_ERROR = 0.002
"""Source pixels by which an interpolated position may be off."""

TIE = 1e-6
"""Source pixels by which a place may lie short of an edge and still belong to the pixel to the right of it, or below."""

NOWHERE = -1000.0
"""Place of a pixel that PROJ has no answer for."""

ALIGNED = 0.01
"""Pixels by which two grids may differ and still be called the same."""

LARGEST_SIDE = 32_000
"""Pixels: OpenCV addresses the pixels of a remap with 16-bit integers."""

Transform = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""x, y of the view's CRS to col, row of a source grid; not finite where there is no answer."""


@dataclass(frozen=True, slots=True)
class Part:
    """The rows and columns of a view that are asked for: half-open, row 0 at the top."""

    first_row: int
    last_row: int
    first_col: int
    last_col: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.last_row - self.first_row, self.last_col - self.first_col


class PixelMap:
    """Where the centre of each pixel of a part of a view lies in a source grid.

    Parameters
    ----------
    view : View
    part : Part
        The pixels that are wanted; never empty.
    to_source : Transform
        From the view's CRS to (col, row) of the source grid at its native resolution.

    `step` is how many native source pixels one pixel of the view spans, in its finer direction.
    """

    def __init__(self, view: View, part: Part, to_source: Transform):
        self.view, self.part, self._to_source = view, part, to_source
        self._count, self._cols, self._rows, self._off = 0, np.empty(0), np.empty(0), np.inf
        self._refine(NODE_COUNTS[0])
        self.step = self._step()

    def positions(self, factor: float) -> "Positions":
        """Positions in the grid whose pixels are `factor` native ones wide.

        Raises
        ------
        ValueError
            No pixel of the part has a finite position.
        """
        rows, cols = self.part.shape
        for count in NODE_COUNTS:
            if count > self._count:
                self._refine(count)
            if self._off <= WORST_ERROR * factor:
                return Positions(self._cols / factor, self._rows / factor, _basis(self._count, rows), _basis(self._count, cols))
        return Positions.exact(*self._exact(factor))

    def _refine(self, count: int) -> None:
        self._cols, self._rows = self._nodes(count)
        self._count, self._off = count, self._error(count)

    def _places(self, along_rows: np.ndarray, along_cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(col, row) in the source for pixel positions of the part, where 0.5 is the centre of its first pixel."""
        step_x, step_y = self.view.resolution
        x = self.view.bounds.left + (self.part.first_col + along_cols) * step_x
        y = self.view.bounds.top - (self.part.first_row + along_rows) * step_y
        x, y = np.meshgrid(x, y)
        cols, rows = self._to_source(x.ravel(), y.ravel())
        return np.asarray(cols).reshape(x.shape), np.asarray(rows).reshape(x.shape)

    def _nodes(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        rows, cols = self.part.shape
        return self._places(0.5 + _chebyshev(count) * (rows - 1), 0.5 + _chebyshev(count) * (cols - 1))

    def _error(self, count: int) -> float:
        """Native pixels between polynomial and PROJ, at worst, half way between the nodes."""
        rows, cols = self.part.shape
        between = _between(count)
        true_cols, true_rows = self._places(0.5 + between * (rows - 1), 0.5 + between * (cols - 1))
        if not all(np.isfinite(places).all() for places in (self._cols, self._rows, true_cols, true_rows)):
            return np.inf
        basis = _lagrange(count, between)
        off = np.maximum(np.abs(basis @ self._cols @ basis.T - true_cols), np.abs(basis @ self._rows @ basis.T - true_rows))
        return float(off.max())

    def _step(self) -> float:
        rows, cols = self.part.shape
        around = np.array([-0.5, 0.5])
        there_cols, there_rows = self._places(rows / 2 + around, cols / 2 + around)
        along_x = np.hypot(there_cols[0, 1] - there_cols[0, 0], there_rows[0, 1] - there_rows[0, 0])
        along_y = np.hypot(there_cols[1, 0] - there_cols[0, 0], there_rows[1, 0] - there_rows[0, 0])
        step = float(min(along_x, along_y))
        return step if np.isfinite(step) and step > 0 else 1.0

    def _exact(self, factor: float) -> tuple[np.ndarray, np.ndarray]:
        rows, cols = self.part.shape
        there_cols, there_rows = self._places(0.5 + np.arange(rows), 0.5 + np.arange(cols))
        return there_cols / factor, there_rows / factor


class Positions:
    """Positions of a part's pixel centres in one grid, as a polynomial or pixel by pixel."""

    def __init__(self, cols: np.ndarray, rows: np.ndarray, basis_rows: np.ndarray | None, basis_cols: np.ndarray | None):
        self._cols, self._rows, self._basis_rows, self._basis_cols = cols, rows, basis_rows, basis_cols
        edge_cols, edge_rows = self._edges()
        self.extent = float(edge_cols.min()), float(edge_rows.min()), float(edge_cols.max()), float(edge_rows.max())

    @classmethod
    def exact(cls, cols: np.ndarray, rows: np.ndarray) -> "Positions":
        finite = np.isfinite(cols) & np.isfinite(rows)
        if not finite.any():
            raise ValueError("no pixel of the view has a finite position in the source grid")
        return cls(np.where(finite, cols, np.nan), np.where(finite, rows, np.nan), None, None)

    def lie_within(self, width: int, height: int, col_offset: float, row_offset: float) -> bool:
        """Whether every place lies in the window of this size that begins at the offsets."""
        left, top, right, bottom = self.extent
        finite = self._basis_rows is not None or bool(np.isfinite(self._cols).all())
        return finite and left >= col_offset and top >= row_offset and right < col_offset + width and bottom < row_offset + height

    def places(self, col_offset: float, row_offset: float, shrink: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """(col, row) of every pixel of the part in a window that begins at the offsets, float64; `NOWHERE` where there is none.

        `shrink` is how many pixels of the grid one pixel of the window stands for.
        """
        cols, rows = (self._cols - col_offset) / shrink, (self._rows - row_offset) / shrink
        if self._basis_rows is None:
            return tuple(np.where(np.isfinite(places), places, NOWHERE) for places in (cols, rows))
        return tuple(_product(self._basis_rows, nodes @ self._basis_cols.T) for nodes in (cols, rows))

    def maps(self, col_offset: float, row_offset: float, shrink: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """As `places`, for `mix`: in float32, where the centre of the first pixel is 0 (1e-4 pixels)."""
        if self._basis_rows is None:
            return tuple((places - 0.5).astype(np.float32) for places in self.places(col_offset, row_offset, shrink))
        nodes = (self._cols - col_offset) / shrink - 0.5, (self._rows - row_offset) / shrink - 0.5
        along_rows = self._basis_rows.astype(np.float32)
        return tuple(_product(along_rows, (at @ self._basis_cols.T).astype(np.float32)) for at in nodes)

    def shift(self) -> tuple[int, int] | None:
        """col and row of the part's first pixel, where every pixel of the part is exactly one pixel of the grid; else None."""
        if self._basis_rows is None:
            return None
        height, width = self._basis_rows.shape[0] - 1, self._basis_cols.shape[0] - 1
        nodes = _chebyshev(len(self._cols))
        from_cols, from_rows = self._cols - 0.5 - nodes * width, self._rows - 0.5 - nodes[:, None] * height
        first_col, first_row = round(float(from_cols[0, 0])), round(float(from_rows[0, 0]))
        off = max(np.abs(from_cols - first_col).max(), np.abs(from_rows - first_row).max())
        return (first_col, first_row) if off < ALIGNED else None

    def _edges(self) -> tuple[np.ndarray, np.ndarray]:
        """All positions along the four sides: the map is one to one, so what lies inside them lies inside their box."""
        if self._basis_rows is None:
            finite = np.isfinite(self._cols)
            return self._cols[finite], self._rows[finite]
        top_bottom, left_right = self._basis_rows[[0, -1]], self._basis_cols[[0, -1]]
        return tuple(
            np.concatenate([(top_bottom @ nodes @ self._basis_cols.T).ravel(), (self._basis_rows @ nodes @ left_right.T).ravel()])
            for nodes in (self._cols, self._rows)
        )


def _product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """`left` @ `right`, on this thread: NumPy's BLAS would start as many as there are cores, and on a busy machine waits 20 ms for them."""
    return np.einsum("ik,kj->ij", left, right)


def resample(
    values: np.ndarray, valid: np.ndarray | None, cols: np.ndarray, rows: np.ndarray, *, nearest: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Values and validity (uint8, 255 where there is data) at places of a window.

    Parameters
    ----------
    values : np.ndarray
        (row, col) or (row, col, band), uint8 or float32.
    valid : np.ndarray or None
        (row, col) of uint8, 255 where there is data; None where there is data everywhere.
    cols, rows : np.ndarray
        As `Positions.places` gives them.

    A place is valid when the pixel that holds it is. Colours are mixed from valid neighbours only, so no fringe of nodata shows.
    """
    cells = _cells(cols, rows)
    inside = np.full(values.shape[:2], 255, np.uint8) if valid is None else valid
    kept = cv2.remap(inside, cells, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    if nearest:
        return cv2.remap(values, cells, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE), kept
    map_x, map_y = (cols - 0.5).astype(np.float32), (rows - 0.5).astype(np.float32)
    mixed = mix(values, map_x, map_y)
    if valid is not None:
        share = mix((valid > 0).astype(np.float32), map_x, map_y)
        beside_a_gap = (share < 1) & (kept > 0)
        if beside_a_gap.any():
            mixed[beside_a_gap] = _mixed_of_valid(values, valid, cols[beside_a_gap] - 0.5, rows[beside_a_gap] - 0.5)
    return mixed, kept


def mix(values: np.ndarray, map_x: np.ndarray, map_y: np.ndarray) -> np.ndarray:
    """Values at places given by `Positions.maps`, all of which lie within the window, which is valid everywhere."""
    return cv2.remap(values, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _cells(cols: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The pixels that hold the places, whole numbers, in OpenCV's packed form; -1 is outside."""
    return cv2.merge([np.clip(np.floor(places + TIE), -1, 32_767).astype(np.int16) for places in (cols, rows)])


def _mixed_of_valid(values: np.ndarray, valid: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values at the places (x, y), the centre of the first pixel being 0, mixed from those of the four neighbours that are valid."""
    left, above = np.floor(x).astype(int), np.floor(y).astype(int)
    right_share, lower_share = x - left, y - above
    total, weight = 0.0, np.zeros(len(x))
    for down, across in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row, col = np.clip(above + down, 0, valid.shape[0] - 1), np.clip(left + across, 0, valid.shape[1] - 1)
        share = (lower_share if down else 1 - lower_share) * (right_share if across else 1 - right_share) * (valid[row, col] > 0)
        total = total + values[row, col] * (share if values.ndim == 2 else share[:, None])
        weight += share
    mean = total / (weight if values.ndim == 2 else weight[:, None])
    return np.rint(mean).astype(np.uint8) if values.dtype == np.uint8 else mean.astype(values.dtype)


def shrunk(values: np.ndarray, valid: np.ndarray | None, by: int, *, least: float = 0.499) -> tuple[np.ndarray, np.ndarray | None]:
    """Means over squares of `by` x `by` pixels; what doesn't fill the last squares counts as if its edge went on.

    A square is valid where at least the share `least` of its pixels is: half of them, if not told otherwise.
    """
    rows, cols = values.shape[:2]
    pad = (-rows) % by, (-cols) % by
    size = (cols + pad[1]) // by, (rows + pad[0]) // by
    if valid is None:
        padded = cv2.copyMakeBorder(values, 0, pad[0], 0, pad[1], cv2.BORDER_REPLICATE)
        return cv2.resize(padded, size, interpolation=cv2.INTER_AREA), None
    weight = cv2.copyMakeBorder((valid > 0).astype(np.float32), 0, pad[0], 0, pad[1], cv2.BORDER_CONSTANT, value=0)
    padded = cv2.copyMakeBorder(values.astype(np.float32), 0, pad[0], 0, pad[1], cv2.BORDER_REPLICATE)
    padded[weight == 0] = 0
    total, share = cv2.resize(padded, size, interpolation=cv2.INTER_AREA), cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    mean = total / np.maximum(share if values.ndim == 2 else share[..., None], np.float32(1e-6))
    kept = np.where(share >= least, 255, 0).astype(np.uint8)
    return (np.rint(mean).astype(np.uint8) if values.dtype == np.uint8 else mean), kept


@lru_cache(maxsize=16)
def _chebyshev(count: int) -> np.ndarray:
    """Chebyshev points of the second kind between 0 and 1, ends included."""
    return 0.5 - 0.5 * np.cos(np.pi * np.arange(count) / (count - 1))


@lru_cache(maxsize=16)
def _between(count: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(np.pi * (np.arange(count - 1) + 0.5) / (count - 1))


@lru_cache(maxsize=128)
def _basis(count: int, length: int) -> np.ndarray:
    """(length, count): what each node weighs at each of `length` equally spaced places from the first node to the last."""
    return _lagrange(count, np.linspace(0.0, 1.0, length) if length > 1 else np.zeros(1))


def _lagrange(count: int, places: np.ndarray) -> np.ndarray:
    """Barycentric form; Berrut and Trefethen, Barycentric Lagrange Interpolation, SIAM Review 46 (2004), 5.4."""
    nodes = _chebyshev(count)
    weights = (-1.0) ** np.arange(count)
    weights[[0, -1]] *= 0.5
    apart = places[:, None] - nodes
    exact = apart == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = weights / apart
        basis = terms / terms.sum(axis=1, keepdims=True)
    return np.where(exact.any(axis=1, keepdims=True), exact, basis).astype(np.float64)
