"""The visible mark of an agreement, written over its pictures: after the cache, after the cut, on a copy.

A tiled mark is a pattern on the ground: where its letters stand follows from coordinates, and from the level that the picture's resolution is
nearest to, never from where a picture begins. So pictures of one place that are shifted, enlarged a little, or averaged, bear the same letters in
the same place; at the resolutions of tiles, tiles and maps agree. Letters are dark within and light without, so that both light and dark
ground show them. Nothing is ever written where a picture is transparent.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import pylopdf_fonts_zh_cn as fonts
from PIL import Image, ImageDraw, ImageFont

from layers.crs import is_geographic
from layers.model import View
from tiles.grids import TILE_MATRIX_SETS
from tiles.permits import PictureMark

TILED, CORNER = "tiled", "corner"

LETTER, OUTLINE = 22, 2
"""Pixels: height of the letters, and of the light line around them."""

GAP, SHORTEST, APART = 64, 200, 110
"""Pixels between two texts of a line, from one to the next at least, and about from line to line."""

LARGEST_LETTER, SMALLEST_LETTER, MARGIN, WIDEST = 18, 9, 6, 0.92
"""Of a mark in the corner: pixels, and share of the picture's width."""

LEAST_WRITTEN = 0.5
"""Share of a corner's letters that must fall on the picture; where less does, the mark is tiled."""

ROWS_AT_ONCE = 512

ROOT_5 = math.sqrt(5.0)


def marked(picture: Image.Image, mark: PictureMark | None, view: View) -> Image.Image:
    """`picture` of `view` with the mark on it; RGB stays RGB, and transparency stays as it is."""
    if mark is None or not mark.text.strip() or mark.opacity <= 0:
        return picture
    pixels = np.array(picture if picture.mode in ("RGB", "RGBA") else picture.convert("RGBA"))
    seen = None if pixels.shape[2] == 3 else pixels[..., 3] > 0
    if seen is not None and not seen.any():
        return picture
    corner = _in_corner(mark.text, pixels.shape[:2], seen) if mark.place == CORNER else None
    for first in range(0, pixels.shape[0], ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        ink, cover = (one[rows] for one in corner) if corner else _pattern(mark.text).over(view, first, pixels[rows].shape[0])
        _blend(pixels[rows], ink, cover, min(mark.opacity, 1.0), None if seen is None else seen[rows])
    return Image.fromarray(pixels)


def _blend(pixels: np.ndarray, ink: np.ndarray, cover: np.ndarray, opacity: float, seen: np.ndarray | None) -> None:
    """In place. `ink` is grey times `cover`, both 0 to 1."""
    share = (cover * np.float32(opacity))[..., None]
    colours = pixels[..., :3] * (1 - share) + (ink * np.float32(255 * opacity))[..., None] + np.float32(0.5)
    if seen is None:
        pixels[..., :3] = colours
    else:
        pixels[..., :3][seen] = colours[seen]


# Over all of the picture

@dataclass(frozen=True, slots=True, eq=False)
class _Pattern:
    """Lines of one text, rising by one pixel in two, in squares that repeat without a seam.

    `strip` (row, col, [ink, cover]) of float32 is one text with the gap around it; `lines` of them, one above the other and each shifted by half a
    text, are as high as one is long, which makes the pattern repeat after sqrt(5) times that length along x and y.
    """

    strip: np.ndarray
    lines: int

    @property
    def length(self) -> int:
        return self.strip.shape[1]

    @property
    def height(self) -> float:
        return self.length / self.lines

    def over(self, view: View, first_row: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Ink and cover of some rows of a view."""
        x0, y0, base = _anchor(view.crs)
        step_x, step_y = view.resolution
        resolution = base / 2 ** round(math.log2(base / math.sqrt(step_x * step_y)))
        period = ROOT_5 * self.length
        along = ((view.bounds.left - x0) / resolution) % period + (np.arange(view.width) + 0.5) * (step_x / resolution)
        down = ((y0 - view.bounds.top) / resolution) % period + (first_row + np.arange(rows) + 0.5) * (step_y / resolution)
        across, below = np.meshgrid(along.astype(np.float32), down.astype(np.float32))
        line, at_row = np.divmod((across + 2 * below) / np.float32(ROOT_5), np.float32(self.height))
        at_col = np.mod((2 * across - below) / np.float32(ROOT_5) + line * np.float32(self.length / 2), np.float32(self.length))
        found = cv2.remap(self.strip, at_col - np.float32(0.5), at_row - np.float32(0.5), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return found[..., 0], found[..., 1]


@lru_cache(maxsize=64)
def _pattern(text: str) -> _Pattern:
    font = _font(LETTER)
    length = max(SHORTEST, math.ceil(font.getlength(_on_one_line(text))) + GAP)
    lines = 2 * max(1, round(length / (2 * APART)))
    height = math.ceil(length / lines)
    letters, outlined = (_drawn(_on_one_line(text), font, (length, height), stroke) for stroke in (0, OUTLINE))
    return _Pattern(np.dstack(_ink_and_cover(letters, outlined)), lines)


@lru_cache(maxsize=64)
def _anchor(crs: str) -> tuple[float, float, float]:
    """A point of `crs` and a resolution from which patterns are counted: those of the tile matrix set where there is one."""
    own = next((tms for tms in TILE_MATRIX_SETS.values() if tms.crs == crs), None)
    if own is None and is_geographic(crs):
        own = TILE_MATRIX_SETS["tdt_c"]
    return (*own.origin, own.resolutions[0]) if own else (0.0, 0.0, 512.0)


# Once, in a corner

def _in_corner(text: str, shape: tuple[int, int], seen: np.ndarray | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Ink and cover of the text at the lower right of what is seen; None where too little of it would be."""
    top, bottom, left, right = 0, shape[0], 0, shape[1]
    if seen is not None:
        rows, cols = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        top, bottom, left, right = rows[0], rows[-1] + 1, cols[0], cols[-1] + 1
    lines, font = _fitted(_on_one_line(text), WIDEST * (right - left) - 2 * MARGIN)
    if not lines:
        return None
    size = max(math.ceil(font.getlength(line)) for line in lines) + 2 * MARGIN, round(1.25 * font.size * len(lines)) + 2 * MARGIN
    if size[1] > bottom - top or size[0] > right - left:
        return None
    letters, outlined = (_drawn("\n".join(lines), font, size, stroke) for stroke in (0, OUTLINE))
    place = slice(bottom - size[1], bottom), slice(right - size[0], right)
    if seen is not None and outlined[seen[place]].sum() < LEAST_WRITTEN * outlined.sum():
        return None
    whole = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for one, small in zip(whole, _ink_and_cover(letters, outlined), strict=True):
        one[place] = small
    return whole


def _fitted(text: str, width: float) -> tuple[list[str], ImageFont.FreeTypeFont]:
    """The text on one line in the largest letters that fit, or on several in the smallest; no lines where not even a letter fits."""
    for size in range(LARGEST_LETTER, SMALLEST_LETTER - 1, -1):
        font = _font(size)
        if font.getlength(text) <= width:
            return [text], font
    lines, rest = [], text
    while rest:
        count = next((n for n in range(len(rest), 0, -1) if font.getlength(rest[:n]) <= width), 0)
        if count == 0:
            return [], font
        lines.append(rest[:count].strip())
        rest = rest[count:]
    return lines, font


# Letters

def _on_one_line(text: str) -> str:
    return " ".join(text.split())


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(fonts.sans_path()), size)


def _drawn(text: str, font: ImageFont.FreeTypeFont, size: tuple[int, int], stroke: int) -> np.ndarray:
    """(row, col) of 0 to 1: the text in the middle of a picture of this size, with a line of `stroke` pixels around each letter."""
    canvas = Image.new("L", size)
    ImageDraw.Draw(canvas).text((size[0] / 2, size[1] / 2), text, fill=255, font=font, anchor="mm", align="right", stroke_width=stroke, stroke_fill=255)
    return np.asarray(canvas, np.float32) / 255


def _ink_and_cover(letters: np.ndarray, outlined: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dark letters, a light line around them: grey times cover, and cover."""
    cover = np.maximum(letters, outlined)
    return cover - letters, cover
