"""Classes of a line map: four letters, three for the theme and one for the geometry (HYDL: watercourses as lines).

Both tables are data that a bureau edits: `config/dlg_classes.csv` (classes, titles, drawing order, other names) and `config/gb_codes.csv`
(GB/T 13923 codes). Their `source` column says what stands behind each row.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

GEOMETRY_LETTERS = {"point": "P", "line": "L", "area": "A"}

WORD = re.compile(r"[a-z]+|[\u3400-\u9fff]+")

FARTHEST_BACK = 0
"""Drawing order of a class that is not in the table: beneath everything that is known."""


SHEET_INDEX = "SHTA"
"""Class and table of a sheet index: drawn as one though it is an overlay, so that who is granted all line maps is not granted it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DlgClass:
    """One row of the table."""

    code: str                   # HYDL
    geometry: str               # point | line | area
    order: int                  # drawn from low to high
    is_drawn: bool              # False: secret, never in the default picture
    title_zh: str
    title_en: str
    aliases: tuple[tuple[str, ...], ...]   # each one or more words, lower case

    @property
    def theme(self) -> str:
        return self.code[:3]


class FeatureClassTable:
    """Tells which class a delivered table is, whatever it is called.

    Parameters
    ----------
    classes : iterable of DlgClass
    """

    def __init__(self, classes):
        self._classes = {c.code: c for c in classes}
        self._themes = {c.theme for c in self._classes.values()}

    @classmethod
    def load(cls, path: Path) -> "FeatureClassTable":
        """Reads `config/dlg_classes.csv`.

        Raises
        ------
        ValueError
            A row does not read: which line, what is wrong, how to mend it.
        """
        with Path(path).open(encoding="utf-8-sig", newline="") as rows:
            return cls([_class_of(row, line) for line, row in enumerate(csv.DictReader(rows), start=2)])

    def __iter__(self):
        return iter(self._classes.values())

    def kind_of(self, table_name: str, geometry: str) -> str:
        """Class code of a delivered table, "" where its name says nothing.

        The code itself is looked for first (`HYDL`, `I50G095077_HYDL`, `lrdl_2011`), with the geometry that the data really have: a table
        `HYDL` of polygons is `HYDA`. Then a regular word: the last one counts, as in English (`river_bridges` are bridges).

        Parameters
        ----------
        table_name : str
            As delivered, in any case.
        geometry : str
            point | line | area
        """
        words = WORD.findall(table_name.lower())
        return self._by_code(words, geometry) or self._by_alias(words, geometry)

    def titles(self, kind: str) -> tuple[str, str]:
        """Chinese and English title; two empty strings for a class that is not in the table."""
        known = self._classes.get(kind)
        return (known.title_zh, known.title_en) if known else ("", "")

    def drawing_order(self, kind: str) -> int:
        """Drawn from low to high: areas, then lines, then points and names."""
        known = self._classes.get(kind)
        return known.order if known else FARTHEST_BACK

    def is_drawn(self, kind: str) -> bool:
        """False for what is secret and has no place in the default picture (survey control points)."""
        known = self._classes.get(kind)
        return known.is_drawn if known else True

    def _by_code(self, words: list[str], geometry: str) -> str:
        for word in reversed(words):
            code = word.upper()
            if code in self._classes or (len(code) == 3 and code in self._themes):
                return self._with_geometry(code, geometry)
        return ""

    def _with_geometry(self, code: str, geometry: str) -> str:
        if code in self._classes and self._classes[code].geometry == geometry:
            return code
        right = code[:3] + GEOMETRY_LETTERS[geometry]
        return right if right in self._classes else ""

    def _by_alias(self, words: list[str], geometry: str) -> str:
        best, found = (0, 0), ""
        for known in self._classes.values():
            if known.geometry != geometry:
                continue
            for alias in known.aliases:
                end = _ends_at(words, alias)
                if end and (end, len(alias)) > best:
                    best, found = (end, len(alias)), known.code
        return found


def _ends_at(words: list[str], alias: tuple[str, ...]) -> int:
    """Number of words up to the end of the last place where `alias` stands in `words`; 0 where it does not."""
    for end in range(len(words), len(alias) - 1, -1):
        if tuple(words[end - len(alias):end]) == alias or (len(alias) == 1 and _is_chinese_end(words[end - 1], alias[0])):
            return end
    return 0


def _is_chinese_end(word: str, alias: str) -> bool:
    """Chinese names run together: 江苏省河流 ends in 河流."""
    return len(alias) > 1 and not alias.isascii() and word.endswith(alias)


def _class_of(row: dict[str, str], line: int) -> DlgClass:
    geometry = row.get("geometry", "")
    if geometry not in GEOMETRY_LETTERS:
        raise ValueError(f"dlg_classes.csv line {line}: geometry `{geometry}` is not known: write point, line or area")
    if not row["order"].isdigit():
        raise ValueError(f"dlg_classes.csv line {line}: order `{row['order']}` is not a whole number: give one, low is drawn first")
    return DlgClass(
        code=row["code"], geometry=geometry, order=int(row["order"]), is_drawn=row["drawn"] != "no", title_zh=row["title_zh"],
        title_en=row["title_en"], aliases=tuple(tuple(WORD.findall(alias.lower())) for alias in row["aliases"].split()),
    )
