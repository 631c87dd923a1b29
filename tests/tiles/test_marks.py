"""Visible marks: the same letters at the same place of the ground, legible on any ground, and nothing where nothing is seen."""

import numpy as np
import pytest
from PIL import Image

from layers.model import Bounds, View
from tiles.grids import TILE_MATRIX_SETS
from tiles.marks import marked
from tiles.permits import PictureMark

TEXT = "仅供省水利厅使用 AG-2026-001"
TILED = PictureMark(text=TEXT, opacity=0.25, place="tiled")
CORNER = PictureMark(text=TEXT, opacity=0.8, place="corner")
MERCATOR = TILE_MATRIX_SETS["WebMercatorQuad"]


def plain(view: View, grey: int = 128, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (view.width, view.height), (grey,) * 3 + ((255,) if mode == "RGBA" else ()))


def written(view: View, mark: PictureMark = TILED, grey: int = 128) -> np.ndarray:
    """How the mark changes a grey picture: (row, col) of signed steps."""
    return np.asarray(marked(plain(view, grey), mark, view)).astype(int)[..., 0] - grey


def window(left: float, top: float, step: float, width: int, height: int, crs: str = "EPSG:3857") -> View:
    return View(crs=crs, bounds=Bounds(left, top - height * step, left + width * step, top), width=width, height=height)


@pytest.mark.parametrize("tms", TILE_MATRIX_SETS.values(), ids=lambda tms: tms.id)
def test_neighbouring_tiles_bear_one_pattern_without_a_seam(tms):
    z = tms.max_zoom - 3
    row, col = tms.size(z)[1] // 3, tms.size(z)[0] // 2
    (left, _, _, top), step = tms.bounds(z, row, col), tms.resolutions[z]
    together = written(window(left, top, step, 512, 512, tms.crs))
    for down in (0, 1):
        for across in (0, 1):
            tile = written(tms.view(z, row + down, col + across))
            part = together[256 * down : 256 * (down + 1), 256 * across : 256 * (across + 1)]
            assert np.abs(tile - part).max() <= 1
            assert (np.abs(tile) > 5).mean() > 0.05, "a whole tile without a letter"


def test_wherever_a_map_begins_the_same_ground_bears_the_same_letters():
    step, left, top = 2.3, 13_200_000.0, 3_800_000.0
    whole = written(window(left, top, step, 600, 500))
    for cols, rows in ((1, 0), (37, 211), (300, 250)):
        part = written(window(left + cols * step, top - rows * step, step, 200, 180))
        assert np.abs(part - whole[rows : rows + 180, cols : cols + 200]).max() <= 1


def test_a_hundred_shifted_maps_laid_on_one_another_still_bear_the_mark():
    """Averaged over the ground, letters stay; noise that changed from request to request would be a tenth of itself."""
    step, left, top = 1.0, 13_200_000.0, 3_800_000.0
    rng = np.random.default_rng(2)
    one = written(window(left, top, step, 400, 300))
    total = np.zeros((300, 400))
    for _ in range(100):
        off_x, off_y = rng.integers(-90, 90, 2)
        view = window(left + (off_x - 100) * step, top + (100 - off_y) * step, step, 600, 500)
        total += written(view)[100 - off_y : 400 - off_y, 100 - off_x : 500 - off_x]
    assert np.corrcoef(total.ravel(), one.ravel())[0, 1] > 0.99
    assert (total / 100).std() > 0.95 * one.std()


def test_parts_of_a_pixel_and_slight_enlargements_move_the_letters_along_with_the_ground():
    left, top = 13_200_000.0, 3_800_000.0
    for step in (1.0, 1.03, 0.9, 1.19):
        view = window(left + 0.37, top - 0.61, step, 500, 500)
        other = window(left - 11.2, top + 7.9, step * 1.02, 520, 520)
        rows, cols = np.mgrid[60:440, 60:440]
        x, y = view.bounds.left + (cols + 0.5) * step, view.bounds.top - (rows + 0.5) * step
        there = np.floor((other.bounds.top - y) / (step * 1.02)).astype(int), np.floor((x - other.bounds.left) / (step * 1.02)).astype(int)
        assert np.corrcoef(written(view)[60:440, 60:440].ravel(), written(other)[there].ravel())[0, 1] > 0.8, step


@pytest.mark.parametrize("grey", [0, 30, 90, 128, 170, 225, 255])
@pytest.mark.parametrize("mark", [TILED, CORNER])
def test_letters_stand_out_on_light_and_on_dark_ground(grey, mark):
    steps = written(MERCATOR.view(15, 13_300, 27_200), mark, grey)
    most = max(abs(steps.min()), steps.max())
    assert most >= round(0.48 * 255 * mark.opacity)
    assert (np.abs(steps) > 0.4 * 255 * mark.opacity).mean() > (0.03 if mark is TILED else 0.005)


def test_letters_are_as_strong_as_agreed():
    view = MERCATOR.view(15, 13_300, 27_200)
    for opacity in (0.1, 0.25, 0.6, 1.0):
        assert written(view, PictureMark(text=TEXT, opacity=opacity, place="tiled"), 255).min() == pytest.approx(-255 * opacity, abs=0.06 * 255 * opacity + 1)
    assert not written(view, PictureMark(text=TEXT, opacity=0.0, place="tiled")).any()
    assert not written(view, PictureMark(text="  ", opacity=1.0, place="tiled")).any()


@pytest.mark.parametrize("mark", [TILED, CORNER])
def test_transparency_stays_as_it_is_and_what_is_not_seen_stays_nothing(mark):
    view = MERCATOR.view(15, 13_300, 27_200)
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (256, 256, 4), np.uint8)
    pixels[..., 3] = rng.choice([0, 40, 255], (256, 256))
    pixels[pixels[..., 3] == 0] = 0
    after = np.asarray(marked(Image.fromarray(pixels), mark, view))
    assert (after[..., 3] == pixels[..., 3]).all() and not after[pixels[..., 3] == 0].any()
    assert (after != pixels).any()


def test_a_picture_of_nothing_and_one_without_a_mark_come_back_as_they_are():
    view = MERCATOR.view(15, 13_300, 27_200)
    nothing, photo = Image.new("RGBA", (256, 256)), plain(view)
    assert marked(nothing, TILED, view) is nothing and marked(photo, None, view) is photo
    assert marked(photo, TILED, view).mode == "RGB" and photo.getextrema() == ((128, 128),) * 3, "on a copy"


def test_a_mark_in_the_corner_stands_once_at_the_lower_right_of_what_is_seen():
    view = window(13_200_000.0, 3_800_000.0, 1.0, 500, 400)
    rows, cols = np.nonzero(np.abs(written(view, CORNER)) > 5)
    assert rows.min() > 360 and cols.min() > 150 and cols.max() < 500
    pixels = np.full((400, 500, 4), 128, np.uint8)
    pixels[..., 3] = 255
    pixels[:, 330:] = 0
    pixels[250:] = 0
    after = np.asarray(marked(Image.fromarray(pixels), CORNER, view)).astype(int)
    rows, cols = np.nonzero((after != pixels).any(axis=2))
    assert 210 < rows.min() and rows.max() < 250 and cols.max() < 330


@pytest.mark.parametrize("size, text", [((256, 256), "长" * 60), ((90, 60), TEXT), ((40, 30), TEXT), ((6, 4), TEXT), ((1, 1), TEXT)])
def test_a_corner_too_small_for_the_text_is_written_on_in_smaller_letters_or_all_over(size, text):
    view = window(13_200_000.0, 3_800_000.0, 1.0, *size)
    after = written(view, PictureMark(text=text, opacity=1.0, place="corner"))
    assert after.shape == size[::-1] and (size[0] < 90 or (np.abs(after) > 5).mean() > 0.02)


def test_a_corner_that_is_cut_away_leaves_the_mark_all_over():
    view = MERCATOR.view(15, 13_300, 27_200)
    pixels = np.full((256, 256, 4), 128, np.uint8)
    pixels[..., 3] = 255
    pixels[np.add.outer(np.arange(256), np.arange(256)) > 300] = 0
    after = np.asarray(marked(Image.fromarray(pixels), CORNER, view)).astype(int)
    rows, _ = np.nonzero((after != pixels).any(axis=2))
    assert rows.min() < 60


def test_very_large_pictures_are_written_strip_by_strip_alike():
    view = window(13_200_000.0, 3_800_000.0, 1.0, 300, 1300)
    assert np.abs(written(view)[600:700] - written(window(13_200_000.0, 3_799_400.0, 1.0, 300, 100))).max() <= 2, "steps of 1 in 32 of a pixel"


def test_marks_that_differ_in_anything_have_other_names():
    marks = [TILED, CORNER, PictureMark(text=TEXT, opacity=0.26, place="tiled"), PictureMark(text="x", opacity=0.25, place="tiled")]
    assert len({one.digest for one in marks}) == len(marks)
