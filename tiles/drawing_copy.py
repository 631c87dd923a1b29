"""A copy of a line map that is made for drawing, beside the edition itself: what its pictures need and no more, told by kind, in steps of scale.

What it is for: telling kinds by regular expressions again for every picture, and reading GeoPackages through OGR, cost as much as drawing; and a picture
of a province would read every house. So each table is written once more as shapefiles with an index: the kind of each feature by name, its texts, and for
small scales only the kinds that are drawn there, with fewer vertices. Features keep their order.

The copy lies in the cache: it can be made again (`tiles.drawing_copy_making`), and without it, or after a change of the style files, which it is tied to,
pictures are drawn from the edition itself, only slower. Overlays and rows that a term leaves out are always drawn from the edition.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from lxml import etree

from layers.model import Edition
from tiles.palettes import LABELS

KIND, FROM = "gs_kind", "gs_from"
"""Fields of the copy: the kind, and the feature's number in the finest step."""

FORM = 2
"""Of the copy: one of another form is not used."""

PIXEL = 0.00028
"""Metres on paper: with a scale denominator, metres on the ground."""

SHORTEST_NAME = 20
"""Pixels: two letters of the smallest size."""

FOLDER, MANIFEST = "drawing", "manifest.json"
NAMED = re.compile(r"\[([^\[\]]+)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One table between two scale denominators. `shapes` is the shapefile without its suffix."""

    shapes: Path
    finest: float
    coarsest: float             # infinite of the last one


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCopy:
    """`unit` is how many units of the edition's CRS make a metre. The first step is the finest, and holds every feature that any of them holds."""

    steps: tuple[Step, ...]
    texts: Mapping[str, str]    # field of the edition -> field of the copy
    unit: float

    def rewritten(self, style: etree._Element) -> None:
        """Changes a <Style> in place, so that it asks for the fields of the copy, and passes by what has nothing to write."""
        for part in style.iter():
            if isinstance(part.tag, str) and part.text:
                part.text = NAMED.sub(lambda found: f"[{self.texts.get(found[1], found[1])}]", part.text)
        for rule in style.iterfind("Rule"):
            symbolizers = [part for part in rule if str(part.tag).endswith("Symbolizer")]
            if len(symbolizers) == 1 and symbolizers[0].tag in LABELS and (written := NAMED.search(symbolizers[0].text or "")):
                _also(rule, f"[{written[1]}] != ''")


def _also(rule: etree._Element, condition: str) -> None:
    filter_ = rule.find("Filter")
    if filter_ is None:
        filter_ = etree.Element("Filter")
        rule.insert(0, filter_)
    filter_.text = f"({filter_.text}) and {condition}" if filter_.text else condition


def find(cache: Path, edition: Edition, styles: Path) -> dict[str, TableCopy]:
    """The copies of tables by name; none where there is no copy of this generation for these style files."""
    folder = folder_of(cache, edition, styles)
    try:
        said = json.loads((folder / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return {
        name: TableCopy(
            texts=one["texts"], unit=one["unit"],
            steps=tuple(Step(shapes=folder / file, finest=finest, coarsest=coarsest or float("inf")) for file, finest, coarsest in one["steps"]),
        )
        for name, one in said.items()
    }


def digest_of(styles: Path) -> str:
    """Of all that decides which kind a feature is and where kinds are drawn."""
    files = sorted([*(styles / "dlg").glob("*.xml"), styles / "overlay.xml", styles / "fields.csv", styles.parent / "dlg_classes.csv"])
    return hashlib.sha256(b"%d" % FORM + b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()[:12]


def folder_of(cache: Path, edition: Edition, styles: Path) -> Path:
    return cache / str(edition.edition_id) / FOLDER / f"{edition.generation}-{digest_of(styles)}"


def too_small(shapes: np.ndarray, pixel: float) -> np.ndarray:
    """(n,) of bool: lines and areas that are nowhere so large that the shortest name has room. Looking for its place costs more than drawing them."""
    if not len(shapes) or shapely.get_dimensions(shapes[0]) == 0:
        return np.zeros(len(shapes), bool)
    left, bottom, right, top = shapely.bounds(shapes).T
    size = shapely.length(shapes) if shapely.get_dimensions(shapes[0]) == 1 else np.maximum(right - left, top - bottom)
    return size < SHORTEST_NAME * pixel
