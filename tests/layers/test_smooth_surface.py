"""The smooth surface through cells: what its weights give, and that cells without data count for nothing."""

import numpy as np
import pytest

from layers.mosaic.smooth_surface import REACH_OF_CENTRE, REACH_OF_COEFFICIENT, REACH_OF_PLACE, at_centres, at_places, coefficients

EVERYWHERE = np.full((40, 40), 255, np.uint8)


def test_what_alternates_from_cell_to_cell_is_gone():
    row, col = np.mgrid[0:40, 0:40]
    board = 100 + 30.0 * (-1.0) ** (row + col)
    assert np.abs(at_centres(coefficients(board, EVERYWHERE), EVERYWHERE)[8:-8, 8:-8] - 100).max() < 1e-3


def test_a_place_in_the_middle_of_a_cell_has_the_height_of_the_cell():
    means = np.random.default_rng(4).normal(0, 40, (40, 40))
    valid = np.where(np.random.default_rng(5).random((40, 40)) < 0.8, 255, 0).astype(np.uint8)
    middles = np.arange(40) + 0.5
    weights = coefficients(means, valid)
    spread = at_places(weights, valid, *np.meshgrid(middles, middles))
    assert np.abs(spread - at_centres(weights, valid))[valid > 0].max() < 2e-3


def test_an_even_height_stays_even_beside_any_gap():
    valid = np.where(np.random.default_rng(6).random((40, 40)) < 0.5, 255, 0).astype(np.uint8)
    weights = coefficients(np.where(valid > 0, 3000.0, 0.0), valid)
    rng = np.random.default_rng(7)
    cols, rows = rng.uniform(0, 40, (2, 60, 60))
    kept = valid[rows.astype(int), cols.astype(int)] > 0
    assert np.abs(at_places(weights, valid, cols, rows)[kept] - 3000).max() < 1e-3
    assert not at_centres(weights, valid)[valid == 0].any()


@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_nothing_farther_than_the_reaches_say_counts(gaps):
    valid = np.where(np.random.default_rng(8).random((41, 41)) < gaps, 0, 255).astype(np.uint8)
    valid[20, 20] = 255
    flat, spiked = np.full((41, 41), 100.0), np.full((41, 41), 100.0)
    spiked[20, 20] = 1e6
    before, after = (coefficients(np.where(valid > 0, one, 0), valid) for one in (flat, spiked))
    at = np.linspace(0.01, 40.99, 410)
    cols, rows = np.meshgrid(at, at)

    def farthest(changed: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
        return np.maximum(np.abs(np.floor(x) - 20), np.abs(np.floor(y) - 20))[changed].max()

    cells = np.meshgrid(np.arange(41) + 0.5, np.arange(41) + 0.5)
    assert farthest(before != after, *cells) == REACH_OF_COEFFICIENT
    assert farthest(at_centres(before, valid) != at_centres(after, valid), *cells) == REACH_OF_COEFFICIENT + REACH_OF_CENTRE
    kept = valid[rows.astype(int), cols.astype(int)] > 0
    changed = kept & (at_places(before, valid, cols, rows) != at_places(after, valid, cols, rows))
    assert farthest(changed, cols, rows) == REACH_OF_COEFFICIENT + REACH_OF_PLACE
