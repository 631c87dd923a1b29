"""Other colours for the same style files: a palette says what becomes of a colour or of a symbol, so that no style is written twice.

`config/styles/palettes.csv` has a line for each exception and three numbers for all the rest. Pure: text to text.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

COLOURED = ("fill", "stroke", "halo-fill")
LABELS = ("TextSymbolizer", "ShieldSymbolizer")
"""Symbolizers that write."""

HEX = re.compile(r"#([0-9A-Fa-f]{6})")
RGBA = re.compile(r"rgba\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*([\d.]+)\s*\)")
LEFT_OUT = "-"
NUMBERS = ("saturation", "contrast", "text")

UNLABELLED = "unlabelled"
"""The style without any text: what is shared under it tells no name, number or height, whatever its attributes hold."""


def has_labels(style: str) -> bool:
    """Whether anything is written in the style.

    >>> has_labels("topographic"), has_labels("grey"), has_labels("grey-unlabelled")
    (True, True, False)
    """
    return style.rpartition("-")[2] != UNLABELLED


def palette_of(style: str) -> str:
    """The palette of `palettes.csv` that a style is painted with; "" or a name that the file lacks: none.

    >>> palette_of("grey"), palette_of("grey-unlabelled"), palette_of("unlabelled")
    ('grey', 'grey', '')
    """
    return style.removesuffix(UNLABELLED).removesuffix("-")


def without_labels(style: str) -> str:
    """The same style without text.

    >>> without_labels("topographic"), without_labels("grey"), without_labels("grey-unlabelled"), without_labels("default")
    ('unlabelled', 'grey-unlabelled', 'grey-unlabelled', 'unlabelled')
    """
    return f"{style}-{UNLABELLED}" if has_labels(style) and style not in ("topographic", "default") else UNLABELLED if has_labels(style) else style


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """One set of colours.

    Parameters
    ----------
    saturation : float
        How much of a colour's distance from grey stays: 0 none, 1 all.
    contrast, text : float
        How much of a colour's distance from white stays, of what is drawn and of letters.
    exact : mapping
        Colours (`#RRGGBB`, capitals) that become another, and files of symbols that become another, or `-`: not drawn at all.
    """

    saturation: float = 1.0
    contrast: float = 1.0
    text: float = 1.0
    exact: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> dict[str, "Palette"]:
        """All palettes of a file, by name."""
        said: dict[str, dict[str, str]] = {}
        with path.open(encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows):
                said.setdefault(row["palette"], {})[row["written"]] = row["becomes"]
        return {
            name: cls(**{one: float(lines.pop(one)) for one in NUMBERS if one in lines}, exact={key.upper() if key[0] == "#" else key: lines[key] for key in lines})
            for name, lines in said.items()
        }

    def paint(self, style: etree._Element) -> None:
        """Changes a <Style> in place."""
        for symbolizer in [one for one in style.iter() if isinstance(one.tag, str) and one.tag.endswith("Symbolizer")]:
            file = symbolizer.get("file", "")
            instead = self.exact.get(file.rpartition("/")[2])
            if instead == LEFT_OUT:
                symbolizer.getparent().remove(symbolizer)
                continue
            if instead:
                symbolizer.set("file", file.rpartition("/")[0] + "/" + instead)
            for name in COLOURED:
                if name in symbolizer.attrib:
                    symbolizer.set(name, self.colour(symbolizer.get(name), is_text=symbolizer.tag in LABELS))

    def colour(self, text: str, *, is_text: bool = False) -> str:
        """What is drawn instead of `text`.

        >>> Palette(saturation=0, contrast=0.5).colour("#000000"), Palette(saturation=0, contrast=0.5).colour("#FFFFFF")
        ('#808080', '#FFFFFF')
        >>> Palette(saturation=0, contrast=0.5).colour("rgba(0,0,0,0.5)")
        'rgba(128,128,128,0.5)'
        """
        if instead := self.exact.get(text.upper()):
            return instead
        if found := HEX.fullmatch(text):
            return "#" + "".join(f"{value:02X}" for value in self._mixed(tuple(bytes.fromhex(found[1])), is_text))
        if found := RGBA.fullmatch(text):
            return f"rgba({','.join(map(str, self._mixed(tuple(map(int, found.groups()[:3])), is_text)))},{found[4]})"
        return text

    def _mixed(self, colour: tuple[int, int, int], is_text: bool) -> list[int]:
        grey = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
        paler = 255 - (255 - grey) * (self.text if is_text else self.contrast)
        return [min(255, max(0, round(paler + (value - grey) * self.saturation))) for value in colour]
