"""The symbols of config/styles/symbols as one image with its index: the sprite of a style of MapLibre.

Every symbol is there twice: as it is, and as `overlay-...` as a signed distance field, which takes any colour.
"""

import io
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from lxml import etree
from PIL import Image

from layers.model import Bounds, View
from tiles.dlg import draw, load_map, register_fonts
from tiles.dlg_styles import map_xml
from tiles.glyphs import BORDER, distance_field
from tiles.symbols import ICON_PREFIX, ICON_SIZE

FINER = 8
SIZE = re.compile(r'<svg[^>]*\bwidth="([\d.]+)"[^>]*\bheight="([\d.]+)"')
RATIOS = (1, 2)


@dataclass(frozen=True, slots=True)
class Sprite:
    png: bytes
    index: str                  # JSON


@lru_cache(maxsize=8)
def sprite(folder: Path, ratio: int) -> Sprite:
    """All symbols of a folder side by side, at `ratio` pixels for one of a screen of old."""
    images, index, left = {}, {}, 0
    for path in sorted(folder.glob("*.svg")):
        images[path.stem] = _as_it_is(path, ratio), False
        images[ICON_PREFIX + path.stem] = _any_colour(path, ratio), True
    images[ICON_PREFIX + "circle"] = _disc(ratio), True
    sheet = Image.new("RGBA", (sum(image.width for image, _ in images.values()), max(image.height for image, _ in images.values())))
    for name, (image, is_field) in images.items():
        sheet.paste(image, (left, 0))
        index[name] = {"x": left, "y": 0, "width": image.width, "height": image.height, "pixelRatio": ratio} | ({"sdf": True} if is_field else {})
        left += image.width
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return Sprite(out.getvalue(), json.dumps(index))


def _as_it_is(path: Path, ratio: int) -> Image.Image:
    width, height = _size(path)
    return _drawn(path, round(width * ratio), round(height * ratio))


def _any_colour(path: Path, ratio: int) -> Image.Image:
    width, height = _size(path)
    scale = ICON_SIZE * ratio / height
    drawn = _drawn(path, round(width * scale) * FINER, ICON_SIZE * ratio * FINER, fill="#000000")
    return _as_alpha(np.asarray(drawn.getchannel("A")) > 127)


def _disc(ratio: int) -> Image.Image:
    side = ICON_SIZE * ratio * FINER
    y, x = np.ogrid[:side, :side]
    return _as_alpha((x - side / 2 + 0.5) ** 2 + (y - side / 2 + 0.5) ** 2 <= (side / 2) ** 2)


def _as_alpha(inside: np.ndarray) -> Image.Image:
    distances = distance_field(inside, FINER, BORDER)
    pixels = np.zeros((*distances.shape, 4), dtype=np.uint8)
    pixels[..., 3] = distances
    return Image.fromarray(pixels)


def _size(path: Path) -> tuple[float, float]:
    width, height = SIZE.search(path.read_text("utf-8")).groups()
    return float(width), float(height)


def _drawn(path: Path, width: int, height: int, **attributes: str) -> Image.Image:
    """A symbol at so many pixels, by Mapnik, as everywhere else."""
    register_fonts()
    style = etree.Element("Style")
    rule = etree.SubElement(style, "Rule")
    etree.SubElement(rule, "MarkersSymbolizer", file=str(path), width=str(width), height=str(height), **{"allow-overlap": "true"}, **attributes)
    place = {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [width / 2, height / 2]}}
    source = {"type": "geojson", "inline": json.dumps({"type": "FeatureCollection", "features": [place]})}
    view = View(crs="EPSG:3857", bounds=Bounds(0, 0, width, height), width=width, height=height)
    return draw(load_map(map_xml([("symbol", "epsg:3857", source, [style])], max(width, height))), view, 1.0)
