"""Numbers between pixels, at the very place that is asked."""

import numpy as np
import pytest

from layers.mosaic.warp import mix, resample


@pytest.fixture(scope="module")
def places():
    across, down = np.meshgrid(np.linspace(10.013, 50.77, 200), np.linspace(9.4, 49.9, 180))
    return (across + 0.013 * down).astype(np.float32), (down - 0.007 * across).astype(np.float32)


def test_a_plane_stays_a_plane(places):
    x, y = places
    row, col = np.mgrid[0:64, 0:64].astype(np.float32)
    plane = 7.0 * col - 3.0 * row
    assert np.abs(mix(plane, x, y) - (7.0 * x - 3.0 * y)).max() < 2e-4


def test_a_gap_beside_a_place_does_not_pull_its_height_down():
    heights, valid = np.full((8, 8), 3000, np.float32), np.full((8, 8), 255, np.uint8)
    heights[:, 5:], valid[:, 5:] = 0, 0
    near = np.full((4, 4), 4.5 + 2e-4)                    # a ten-thousandth of the gap would be 60 cm
    mixed, kept = resample(heights, valid, near, np.full((4, 4), 3.5), nearest=False)
    assert kept.all() and np.abs(mixed - 3000).max() < 1e-3
