"""Pictures cut by their areas, marked, and laid over one another. Runs after the shared cache, on copies, never before it."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image

from layers.model import View
from tiles.marks import marked
from tiles.permits import PermitPart
from tiles.variants import Variant

Visible = np.ndarray | bool
"""True or False where all of a view is alike, else (row, col) of bool."""


def shown(parts: Sequence[PermitPart], view: View) -> list[tuple[PermitPart, Visible]]:
    """The parts of which something is seen in `view`, and where, from the bottom up: nothing is seen of a part where one above it shows as much."""
    found: list[tuple[PermitPart, Visible]] = []
    for part in reversed(parts):
        visible = part.visible(view)
        for above, seen in found:
            if visible is not False and above.replaces(part):
                visible = _without(visible, seen)
        if visible is not False:
            found.append((part, visible))
    return found[::-1]


def composed(parts: Sequence[tuple[PermitPart, Visible]], view: View, draw: Callable[[Variant], Image.Image]) -> Image.Image | None:
    """What `shown` found as one picture, each part cut and bearing its own mark; None where nothing is seen.

    `draw` gives the whole picture of a variant, unclipped. A single part that is wholly visible and bears no mark comes back as it was drawn.
    """
    return composed_parts(parts, view, lambda part: draw(part.variant))


def composed_parts(parts: Sequence[tuple[PermitPart, Visible]], view: View, draw: Callable[[PermitPart], Image.Image]) -> Image.Image | None:
    """As `composed`, where what is drawn hangs on more of a part than its variant (`tiles.border`)."""
    pictures = [marked(cut_to(draw(part), visible), part.mark, view) for part, visible in parts]
    return lay_over(pictures, (view.width, view.height)) if pictures else None


def _without(visible: Visible, seen: Visible) -> Visible:
    if seen is True:
        return False
    left = ~seen if visible is True else visible & ~seen
    return left if left.any() else False


def cut_to(picture: Image.Image, visible: Visible) -> Image.Image:
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
