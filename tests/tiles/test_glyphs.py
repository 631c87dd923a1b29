"""Letters and symbols as clients of MapLibre read them."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from read_tiles import _fields

from tiles.glyphs import BORDER, SIZE, font_files, glyph_range
from tiles.sprites import sprite

SYMBOLS = Path(__file__).resolve().parents[2] / "config" / "styles" / "symbols"
OUTLINE = 192


def glyphs(font: str, start: int) -> tuple[dict, dict[str, dict]]:
    """The stack's own fields, and glyphs by letter."""
    ((_, _, stack),) = list(_fields(glyph_range(font, start)))
    own, found = {}, {}
    for number, _, content in _fields(stack):
        if number == 3:
            one = {inner: value for inner, _, value in _fields(content)}
            found[chr(one[1])] = {
                "bitmap": one.get(2), "width": one[3], "height": one[4], "left": one[5] >> 1 ^ -(one[5] & 1), "top": one[6] >> 1 ^ -(one[6] & 1),
                "advance": one[7],
            }
        else:
            own[number] = content.decode()
    return own, found


@pytest.mark.parametrize("font", font_files())
def test_a_chinese_character_fills_its_square(font):
    own, found = glyphs(font, 0x9700)
    assert own == {1: font, 2: "38656-38911"}
    one = found["青"]
    assert one["advance"] == SIZE and 18 <= one["width"] <= SIZE and 18 <= one["height"] <= SIZE + 1
    field = np.frombuffer(one["bitmap"], np.uint8).reshape(one["height"] + 2 * BORDER, one["width"] + 2 * BORDER)
    assert field.max() > OUTLINE + 15 and field[0].max() < OUTLINE - 60         # ink within, none at the rim
    middle = one["top"] - one["height"] / 2 + 17                                # above the middle of a line, as MapLibre counts
    assert abs(middle) <= 2


def test_letters_stand_on_one_line_and_blanks_have_a_width():
    _, found = glyphs("Noto Sans SC Regular", 0)
    assert found["H"]["top"] - found["H"]["height"] == found["x"]["top"] - found["x"]["height"]
    assert found["g"]["top"] - found["g"]["height"] < found["x"]["top"] - found["x"]["height"]
    assert found[" "]["advance"] > 3 and found[" "]["bitmap"] is None and "\n" not in found


def test_a_letter_that_the_font_lacks_is_left_out():
    assert glyphs("Noto Sans SC Regular", 0xE000)[1] == {}
    with pytest.raises(KeyError):
        glyph_range("Comic Sans", 0)


@pytest.mark.parametrize("ratio", [1, 2])
def test_every_symbol_is_in_the_sprite_as_it_is_and_in_any_colour(ratio):
    found = sprite(SYMBOLS, ratio)
    index, sheet = json.loads(found.index), np.array(Image.open(io.BytesIO(found.png)))
    for path in SYMBOLS.glob("*.svg"):
        plain, free = index[path.stem], index[f"overlay-{path.stem}"]
        assert plain["pixelRatio"] == free["pixelRatio"] == ratio and free["sdf"] and "sdf" not in plain
        assert free["height"] == 32 * ratio + 2 * BORDER
        for one in (plain, free):
            assert sheet[one["y"]:one["y"] + one["height"], one["x"]:one["x"] + one["width"], 3].any(), path.stem
    red = index["shield-red"]
    assert tuple(sheet[red["y"] + red["height"] // 2, red["x"] + red["width"] // 2][:3]) == (200, 40, 30)
