"""Vertical datums, and the few ways that lead from one to another: by a constant whose accuracy is stated, else not at all.

A constant holds for an area and for a kind of height. That of a `gauge` datum holds for the water levels of stations that say they are on it, never
for a surface: it varies from place to place by more than a flood forgives. Heights above an ellipsoid are not heights above the sea: refused.
The table is config/vertical_datums.csv; its `standing` says whether a row was computed, read in a source, or remembered.
"""

import csv
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from layers.errors import VerticalDatumRefused
from layers.model import Bounds

FAULTS = MappingProxyType({
    "datum-not-known": "vertical datum `{value}` is not known: it must be one of {choices}",
    "datum-not-stated": "the vertical datum of layer `{layer}` is not known, so its heights can't be compared with others: ask its owner to state it",
    "datum-ellipsoidal": "heights above the ellipsoid are not heights above the sea and can't be converted here: give a levelled height",
    "datum-of-gauges":
        "`{value}` is a datum of gauges, and its constant holds for their water levels alone: heights of a surface are not converted to it or from it",
    "datum-no-way": "no approved constant leads from `{source}` to `{target}`: ask for heights in `{source}`",
    "datum-elsewhere": "the constant of `{value}` holds from {west} to {east} E and from {south} to {north} N: this place lies outside",
})
"""English sentences by name."""


class Kind(StrEnum):
    SURFACE = "surface"             # of terrain and of levels alike
    GAUGE = "gauge"                 # of stations that say so
    FOREIGN = "foreign"             # known by name; nothing leads from it to another
    ELLIPSOIDAL = "ellipsoidal"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerticalDatum:
    """`to_1985` metres are added to a height in this datum to get one in the 1985 national height datum, give or take `accuracy` metres;
    both None where there is no such constant. `area` (west, south, east, north in degrees) is where it holds, None everywhere. `also_called` are names
    by which gauges state it."""

    code: str
    name_zh: str
    name_en: str
    kind: Kind
    to_1985: float | None
    accuracy: float | None
    area: Bounds | None
    note: str
    source: str
    standing: str
    also_called: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VerticalDatums:
    """The table. Codes are as in it, in lower case."""

    by_code: MappingProxyType

    @classmethod
    def load(cls, path: Path) -> "VerticalDatums":
        """Reads config/vertical_datums.csv. Raises ValueError where a row can't be used."""
        with path.open(encoding="utf-8", newline="") as lines:
            rows = [_datum(row, path.name) for row in csv.DictReader(lines)]
        return cls(MappingProxyType({one.code: one for one in rows}))

    def find(self, code: str) -> VerticalDatum:
        """Raises VerticalDatumRefused where there is none."""
        found = self.by_code.get(code.strip().lower())
        if found is None:
            raise refused("datum-not-known", value=code[:40], choices=", ".join(self.by_code))
        return found

    def stated(self, text: str) -> VerticalDatum | None:
        """The datum that somebody states by its code or by any of its names; None where it is none of these."""
        said = "".join(text.split()).casefold()
        return next((one for one in self.by_code.values() if said in {
            "".join(name.split()).casefold() for name in (one.code, one.name_zh, one.name_en, *one.also_called)
        }), None)

    def to(
        self, height: float, from_code: str, to_code: str, *, is_of_gauge: bool = False, place: tuple[float, float] | None = None,
    ) -> tuple[float, float]:
        """A height in another datum, and how accurate the way there is.

        Parameters
        ----------
        height : float
            Metres in the datum `from_code`.
        from_code, to_code : str
            Codes of the table.
        is_of_gauge : bool
            Whether it is the water level of a station that states its datum: only such are taken from and to datums of gauges.
        place : (longitude, latitude), optional
            Degrees: where it is, for constants that hold in an area only. None does not look.

        Returns
        -------
        (height, accuracy)
            Metres; the accuracies of the constants on the way added up, 0 where nothing was to be done.

        Raises
        ------
        VerticalDatumRefused
            No constant leads there.
        """
        source, target = self.find(from_code), self.find(to_code)
        if Kind.ELLIPSOIDAL in (source.kind, target.kind):
            raise refused("datum-ellipsoidal")
        if source.code == target.code:
            return height, 0.0
        for datum in (source, target):
            if datum.to_1985 is None:
                raise refused("datum-no-way", source=source.code, target=target.code)
            if datum.kind is Kind.GAUGE and not is_of_gauge:
                raise refused("datum-of-gauges", value=datum.code)
            if datum.area is not None and place is not None and not _holds(datum.area, place):
                raise refused("datum-elsewhere", value=datum.code, **{side: f"{value:g}" for side, value in zip(SIDES, datum.area, strict=True)})
        return height + source.to_1985 - target.to_1985, source.accuracy + target.accuracy


SIDES = ("west", "south", "east", "north")


def refused(fault: str, **detail: str) -> VerticalDatumRefused:
    return VerticalDatumRefused(FAULTS[fault].format(**detail), fault, detail)


def _holds(area: Bounds, place: tuple[float, float]) -> bool:
    return area.left <= place[0] <= area.right and area.bottom <= place[1] <= area.top


def _datum(row: dict[str, str], name: str) -> VerticalDatum:
    try:
        sides = [row[side] for side in SIDES]
        datum = VerticalDatum(
            code=row["code"], name_zh=row["name_zh"], name_en=row["name_en"], kind=Kind(row["kind"]),
            to_1985=float(row["to_1985_m"]) if row["to_1985_m"] else None, accuracy=float(row["accuracy_m"]) if row["accuracy_m"] else None,
            area=Bounds(*map(float, sides)) if any(sides) else None, note=row["note"], source=row["source"], standing=row["standing"],
            also_called=tuple(one for one in row["also_called"].split(";") if one),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{name}: the row of `{row.get('code', '')}` can't be read: {error}") from error
    if (datum.to_1985 is None) != (datum.accuracy is None):
        raise ValueError(f"{name}: `{datum.code}` needs a constant and its accuracy, or neither")
    if datum.standing not in ("computed", "source", "memory"):
        raise ValueError(f"{name}: the standing of `{datum.code}` is `{datum.standing}`: it must be computed, source or memory")
    return datum
