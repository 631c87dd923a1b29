"""Rows of pixels -> those of the next coarser level: means of what is valid, or pixels picked."""

from dataclasses import dataclass

import cv2
import numpy as np

SMALLEST_WEIGHT = 1e-6


@dataclass(frozen=True, slots=True)
class Taps:
    """Of each pixel of a coarser row (or column): the two finer ones its centre lies between, and the share of the second."""

    near: np.ndarray
    far: np.ndarray
    share: np.ndarray

    def moved(self, by: int) -> "Taps":
        return Taps(self.near + by, self.far + by, self.share)


def taps_of(first: int, last: int, fine: int, coarse: int) -> Taps:
    """For an even number of finer pixels simply each pair; for an odd one a little between them, so that the level does not drift."""
    centre = (np.arange(first, last) + 0.5) * (fine / coarse) - 0.5
    near = np.floor(centre).astype(np.intp)
    return Taps(near, np.minimum(near + 1, fine - 1), (centre - near).astype(np.float32))


def halved(
    values: np.ndarray, valid: np.ndarray | None, rows: Taps, columns: Taps, *, nearest: bool,
) -> tuple[np.ndarray, np.ndarray | None]:
    if nearest:
        y, x = (np.where(taps.share > 0.5, taps.far, taps.near) for taps in (rows, columns))
        chosen, some = values[y][:, x], None if valid is None else _reduced(np.bitwise_or, valid, rows, columns)
        if valid is not None:
            _mend(chosen, values, valid, rows, columns, (some > 0) & (valid[y][:, x] == 0), nearest=True)
        return chosen, some
    means = _means(values, rows, columns)
    if valid is None:
        return means, None
    some, every = (_reduced(rule, valid, rows, columns) for rule in (np.bitwise_or, np.bitwise_and))
    _mend(means, values, valid, rows, columns, some != every, nearest=False)
    return means, some


def _means(values: np.ndarray, rows: Taps, columns: Taps) -> np.ndarray:
    size = len(columns.near), len(rows.near)
    if all((taps.share == 0.5).all() for taps in (rows, columns)) and values.shape[:2] == (2 * size[1], 2 * size[0]):
        return cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    blended = np.empty((size[1], *values.shape[1:]), values.dtype)
    flat, lines = values.reshape(len(values), 1, -1), blended.reshape(size[1], 1, -1)
    for line, near, far, share in zip(lines, rows.near, rows.far, rows.share.tolist(), strict=True):
        cv2.addWeighted(flat[near], 1 - share, flat[far], share, 0, dst=line)
    return cv2.resize(blended, size, interpolation=cv2.INTER_LINEAR)


def _reduced(rule: np.ufunc, valid: np.ndarray, rows: Taps, columns: Taps) -> np.ndarray:
    lines = rule(valid[rows.near], valid[rows.far])
    return rule(lines[:, columns.near], lines[:, columns.far])


def _mend(
    means: np.ndarray, values: np.ndarray, valid: np.ndarray, rows: Taps, columns: Taps, mixed: np.ndarray, *, nearest: bool,
) -> None:
    """Gives the pixels that are valid in part the mean of what is valid below them, or (nearest) one of it."""
    y, x = np.nonzero(mixed)
    if not y.size:
        return
    corners = [(rows.near[y], columns.near[x]), (rows.near[y], columns.far[x]), (rows.far[y], columns.near[x]), (rows.far[y], columns.far[x])]
    down, right = rows.share[y], columns.share[x]
    weights = np.stack([(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right])
    good = np.stack([valid[corner] > 0 for corner in corners])
    below = np.stack([values[corner] for corner in corners])
    if nearest:
        means[y, x] = below[good.argmax(axis=0), np.arange(y.size)]
        return
    weights = np.where(good, np.maximum(weights, SMALLEST_WEIGHT), 0.0)
    if values.ndim == 3:
        weights, good = weights[..., None], good[..., None]
    mean = (np.where(good, below, 0) * weights).sum(axis=0) / weights.sum(axis=0)
    means[y, x] = np.rint(mean) if values.dtype.kind in "iu" else mean
