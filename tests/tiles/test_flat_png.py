"""PNG of drawn pictures: written without a filter by another deflate, pixel by pixel what went in, with nothing else in the file."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from tiles.encode import encode


def chunks(data: bytes) -> list[bytes]:
    found, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at:at + 4])
        found.append(data[at + 4:at + 8])
        at += 12 + length
    return found


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 300), (17, 3), (256, 256)])
def test_pixels_come_out_as_they_went_in(mode, size):
    rng = np.random.default_rng(3)
    for share in (0.0, 0.5, 1.0):
        pixels = np.where(rng.random(size[::-1])[..., None] < share, 200, rng.integers(0, 256, (*size[::-1], len(mode)))).astype(np.uint8)
        if mode == "RGBA":
            pixels[pixels[..., 3] == 0] = 0
        data = encode(Image.fromarray(pixels), "image/png")
        back = Image.open(io.BytesIO(data))
        back.load()
        assert (np.asarray(back.convert(mode)) == pixels).all()
        assert set(chunks(data)) == {b"IHDR", b"IDAT", b"IEND"}


def test_a_drawn_picture_is_smaller_without_a_filter():
    pixels = np.full((300, 300, 3), 255, np.uint8)
    pixels[::7, :, :2] = 40
    pixels[:, ::11] = (200, 30, 20)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=2)
    assert len(encode(Image.fromarray(pixels), "image/png")) < 1.5 * len(out.getvalue())
