"""Numbers between pixels, at the very place that is asked."""

import cv2
import numpy as np
import pytest

from layers.mosaic.warp import interpolate, mix, resample


@pytest.fixture(scope="module")
def places():
    across, down = np.meshgrid(np.linspace(10.013, 50.77, 200), np.linspace(9.4, 49.9, 180))
    return (across + 0.013 * down).astype(np.float32), (down - 0.007 * across).astype(np.float32)


def test_a_plane_stays_a_plane(places):
    x, y = places
    row, col = np.mgrid[0:64, 0:64].astype(np.float32)
    plane = 7.0 * col - 3.0 * row
    assert np.abs(mix(plane, x, y) - (7.0 * x - 3.0 * y)).max() < 2e-4


def test_lanczos_is_that_of_the_place_and_not_of_the_nearest_step(places):
    x, y = places
    heights = np.random.default_rng(0).normal(0, 40, (64, 64)).astype(np.float32)
    off = interpolate(heights, x, y) - _lanczos(heights.astype(float), x.astype(float), y.astype(float))
    plain = cv2.remap(heights, x, y, cv2.INTER_LANCZOS4) - _lanczos(heights.astype(float), x.astype(float), y.astype(float))
    assert off.std() < 0.03 < plain.std() / 10


def test_a_gap_beside_a_place_does_not_pull_its_height_down():
    heights, valid = np.full((8, 8), 3000, np.float32), np.full((8, 8), 255, np.uint8)
    heights[:, 5:], valid[:, 5:] = 0, 0
    near = np.full((4, 4), 4.5 + 2e-4)                    # a ten-thousandth of the gap would be 60 cm
    mixed, kept = resample(heights, valid, near, np.full((4, 4), 3.5), nearest=False)
    assert kept.all() and np.abs(mixed - 3000).max() < 1e-3


def _lanczos(values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """By the formula: eight pixels each way, weights that come to one."""
    left, above = np.floor(x).astype(int), np.floor(y).astype(int)

    def weights(at: np.ndarray, first: np.ndarray) -> np.ndarray:
        away = np.stack([at - (first + k) for k in range(-3, 5)])
        found = np.sinc(away) * np.sinc(away / 4)
        return found / found.sum(axis=0)

    along_x, along_y = weights(x, left), weights(y, above)
    return sum(along_y[j] * along_x[i] * values[above + j - 3, left + i - 3] for j in range(8) for i in range(8))
