"""Letters for MapLibre: the fonts of the line map as signed distance fields, 256 code points at a time.

A glyph is drawn at some times its size, and the distance of every pixel of 1/24 em from its outline is measured there: 192 on the outline, less
outside, nothing from six pixels on. The message is that of `glyphs.proto` of Mapbox's font server, which every such client reads.
"""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pylopdf_fonts_zh_cn as fonts
from PIL import Image, ImageDraw, ImageFont

from tiles.dlg_styles import FONTSETS
from tiles.vector.encoder import field, varint

SIZE, BORDER = 24, 3
"""Pixels of an em, and pixels around each glyph."""

FINER = 4
RADIUS, CUTOFF = 8.0, 0.25
ASCENDER = 26
"""Pixels above the line of writing from which clients count, whatever the font: then Chinese characters stand in the middle of their line."""

RANGE = 256
MOST = 0xFFFF


def font_files() -> dict[str, Path]:
    """The fonts there are, by the name that a style calls them."""
    return {FONTSETS["sans"]: Path(fonts.sans_path()), FONTSETS["serif"]: Path(fonts.serif_path())}


@lru_cache(maxsize=128)
def glyph_range(font: str, start: int) -> bytes:
    """The glyphs of 256 code points from `start` on that the font has. Raises KeyError where there is no such font."""
    face = _face(font_files()[font])
    missing = _bitmap(face, chr(0xFFFF))
    glyphs = []
    for code in range(start, start + RANGE):
        letter = chr(code)
        if letter.isprintable() and not 0xD800 <= code <= 0xDFFF:
            bitmap = _bitmap(face, letter)
            if bitmap is None or missing is None or not _same(bitmap, missing):
                glyphs.append(field(3, _glyph(face, letter, code, bitmap)))
    name = field(1, font.encode()) + field(2, f"{start}-{start + RANGE - 1}".encode())
    return field(1, name + b"".join(glyphs))


@lru_cache(maxsize=4)
def _face(path: Path) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), SIZE * FINER, layout_engine=ImageFont.Layout.BASIC)


def _bitmap(face: ImageFont.FreeTypeFont, letter: str) -> np.ndarray | None:
    """(row, col) of uint8 in the box of what is drawn; None where that is nothing."""
    left, top, right, bottom = face.getbbox(letter, anchor="ls")
    if left >= right or top >= bottom:
        return None
    image = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), letter, fill=255, font=face, anchor="ls")
    return np.asarray(image)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.array_equal(one, other)


def _glyph(face: ImageFont.FreeTypeFont, letter: str, code: int, bitmap: np.ndarray | None) -> bytes:
    advance = varint(7 << 3) + varint(round(face.getlength(letter) / FINER))
    if bitmap is None:
        return varint(1 << 3) + varint(code) + b"".join(varint(number << 3) + varint(0) for number in (3, 4, 5, 6)) + advance
    left, top, _, _ = face.getbbox(letter, anchor="ls")
    before, above = left // FINER, top // FINER                       # whole pixels to the left of and above what is drawn
    width, height = -(-(left + bitmap.shape[1]) // FINER) - before, -(-(top + bitmap.shape[0]) // FINER) - above
    room = np.zeros((height * FINER, width * FINER), dtype=np.uint8)
    down, right = top - above * FINER, left - before * FINER
    room[down:down + bitmap.shape[0], right:right + bitmap.shape[1]] = bitmap
    return b"".join([
        varint(1 << 3), varint(code), field(2, distance_field(room > 127, FINER, BORDER).tobytes()), varint(3 << 3), varint(width),
        varint(4 << 3), varint(height), varint(5 << 3), _signed(before), varint(6 << 3), _signed(-above - ASCENDER), advance,
    ])


def _signed(value: int) -> bytes:
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


def distance_field(inside: np.ndarray, finer: int, border: int) -> np.ndarray:
    """(row, col) of uint8: how far each pixel's centre is from the outline of a shape that was drawn `finer` times as large."""
    room = np.pad(inside, border * finer).astype(np.uint8)
    beyond, within = (cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for part in (1 - room, room))
    signed = (np.maximum(beyond - 0.5, 0) - np.maximum(within - 0.5, 0)) / finer
    at = finer // 2
    centres = (signed[at::finer, at::finer] + signed[at - 1::finer, at - 1::finer]) / 2
    return np.clip(np.round(255 - 255 * (centres / RADIUS + CUTOFF)), 0, 255).astype(np.uint8)
