"""Pictures cut by their areas, then laid over one another. Runs after the shared cache, on copies, never before it."""

from collections.abc import Iterable

import numpy as np
from PIL import Image

from layers.model import View
from tiles.area import ServedArea


def cut(picture: Image.Image, area: ServedArea | None, view: View) -> Image.Image:
    """`picture` where `area` lets it be seen; an `area` of None is without limit."""
    return cut_to(picture, visible_part(area, view))


def visible_part(area: ServedArea | None, view: View) -> np.ndarray | bool:
    """True or False where all of the view is alike, else (row, col) of bool."""
    return True if area is None else area.mask(view)


def cut_to(picture: Image.Image, visible: np.ndarray | bool) -> Image.Image:
    """`picture` where it is `visible`; elsewhere transparent, with nothing left under the transparency.

    A picture wholly visible comes back as it is; one wholly hidden as an empty one of its size.
    """
    if visible is True:
        return picture
    if visible is False:
        return Image.new("RGBA", picture.size)
    pixels = np.array(picture.convert("RGBA"))
    pixels[~visible] = 0
    return Image.fromarray(pixels)


def lay_over(pictures: Iterable[Image.Image], size: tuple[int, int]) -> Image.Image:
    """The pictures over one another, the first at the bottom. One opaque picture comes back untouched."""
    result = None
    for picture in pictures:
        if result is None or picture.mode == "RGB":
            result = picture
        else:
            result = Image.alpha_composite(result.convert("RGBA"), picture.convert("RGBA"))
    return result if result is not None else Image.new("RGBA", size)
