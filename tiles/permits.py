"""What the gate hands to a renderer. No permit, no pixels."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from layers.model import Edition, View
from layers.mosaic.cells import influence, reach_of_told
from layers.rows import parse_rows
from tiles.area import ServedArea, TileClass
from tiles.clip import Footprint
from tiles.grids import TileMatrixSet
from tiles.variants import MASTER, Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureMark:
    """`place`: "tiled" over all of the picture, or once in its "corner". `opacity` 0 to 1."""

    text: str
    opacity: float
    place: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.place}\n{self.opacity!r}\n{self.text}".encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitPiece:
    """A piece of ground, and what may be seen of it: one whole grant.

    `attributes` are names as `FIELD` or `CLASS.FIELD`, None is all; `rows` is CQL2 text that a feature must meet, None is all; `degrade` is
    the cell (metres) of the fixed grid from which it is shown, None is as it is; `mark` is written over its pictures.
    """

    area: ServedArea | None
    attributes: frozenset[str] | None
    rows: str | None = None
    degrade: float | None = None
    mark: PictureMark | None = None

    def tells(self, feature_class: str, field: str) -> bool:
        return self.attributes is None or field in self.attributes or f"{feature_class}.{field}" in self.attributes

    def shows(self, feature_class: str, attributes: dict) -> bool:
        """Whether a feature of the class with these attributes, all of them, meets the row filter."""
        return self.rows is None or parse_rows(self.rows).matches(feature_class, attributes)


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitPart:
    """Pieces that show the same: one variant of the master, the ground on which it may be seen, and what is written over it.

    `footprint` is that of the strict rule, for classified layers; None where the centre of a pixel decides. `told_within` goes with it: metres around
    a place within which lies what its value is made of.
    """

    area: ServedArea | None
    variant: Variant = MASTER
    mark: PictureMark | None = None
    footprint: Footprint | None = None
    told_within: float = 0.0
    inside: str | None = field(init=False)       # names what a picture wholly inside shows; None is the master itself
    edge: str = field(init=False)                # ... and one that is cut

    def __post_init__(self):
        shows = "/".join(one for one in (self.variant.name, self.mark.digest if self.mark else "") if one)
        object.__setattr__(self, "inside", shows or None)
        rule = "strict" if self.footprint else "centre"
        object.__setattr__(self, "edge", f"{self.area.digest if self.area else ''}/{rule}/{shows}")

    def place_of(self, tms: TileMatrixSet, z: int, row: int, col: int) -> TileClass:
        return "inside" if self.area is None else self.area.classify(tms, z, row, col, self.footprint)

    def visible(self, view: View) -> np.ndarray | bool:
        """True or False where all of the view is alike, else (row, col) of bool."""
        return True if self.area is None else self.area.mask(view, self.footprint)

    def holds(self, lon: float, lat: float) -> bool:
        """Whether the value at the place may be told: the place lies inside or, where the strict rule holds, all that the value is made of."""
        if self.area is None:
            return True
        if self.footprint is None or not self.told_within:
            return self.area.has_point(lon, lat)
        return self.area.has_around(lon, lat, self.told_within)

    def replaces(self, other: "PermitPart") -> bool:
        """Whether everything that `other` shows of a place is shown by this too, and no coarser."""
        is_as_fine = (self.variant.degrade or 0.0) <= (other.variant.degrade or 0.0)
        return is_as_fine and self.variant.rows in (None, other.variant.rows)

    def order(self) -> tuple:
        """From the bottom up: the coarsest first, filtered below whole, marked below unmarked."""
        rows, mark = self.variant.rows, self.mark
        return -(self.variant.degrade or 0.0), rows is None, rows or "", mark is None, mark.digest if mark else ""


def parts_of(
    edition: Edition, area: ServedArea | None, pieces: Sequence[PermitPiece], *, is_strict: bool = False,
    unite: Callable[[Sequence[ServedArea]], ServedArea] | None = None,
) -> tuple[PermitPart, ...]:
    """The pieces by what they show, in drawing order. Where all show the same there is one part, and it lies on all of `area`.

    Parameters
    ----------
    is_strict : bool
        Whether the strict rule holds, that of classified layers.
    unite : Callable, optional
        Makes one area of several; needed where pieces differ.

    Raises
    ------
    ValueError
        Pieces differ, and there is no way to unite their areas.
    """
    by_show: dict[tuple[Variant, PictureMark | None], list[PermitPiece]] = {}
    for piece in pieces:
        by_show.setdefault((Variant.of(edition, piece.rows, piece.degrade), piece.mark), []).append(piece)
    if len(by_show) > 1 and unite is None:
        raise ValueError("pieces that show different things need their areas united")
    return tuple(sorted(
        (
            PermitPart(
                area=area if len(by_show) == 1 else unite([piece.area for piece in alike]), variant=variant, mark=mark,
                footprint=Footprint(*influence(edition, variant.degrade)) if is_strict and area is not None else None,
                told_within=reach_of_told(edition, variant.degrade) if is_strict and area is not None else 0.0,
            )
            for (variant, mark), alike in by_show.items()
        ),
        key=PermitPart.order,
    )) or (PermitPart(area=area),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What of a permit counts on one account: the ground of the pieces that are charged to it, None everywhere. Who counts knows what an
    account is; renderers only carry it."""

    account: Any
    area: ServedArea | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """One edition of one layer, where it may be seen. `area` None is without limit (the owner's own data).

    The shared cache never sees a permit's area: it is applied to what comes out of the cache.
    """

    edition: Edition
    area: ServedArea | None
    pieces: tuple[PermitPiece, ...]
    style: str | None = None         # the one asked, or the first of the product's that is granted; None where the operation draws nothing
    mark: str                        # "<agency>:<register epoch>:<area digest>": what two answers must share to be the same
    credits: tuple[str, ...] = ()
    bookings: tuple[Booking, ...] = ()   # on whose quota what is shown counts
    parts: tuple[PermitPart, ...] = ()   # the pieces as they are drawn; worked out of them where they all show the same

    def __post_init__(self):
        if not self.parts:
            object.__setattr__(self, "parts", parts_of(self.edition, self.area, self.pieces))

    @property
    def is_strict(self) -> bool:
        """Whether the strict rule holds in some part."""
        return any(part.footprint is not None for part in self.parts)

    def without_marks(self) -> "Permit":
        """The same for numbers: a mark is written over pictures, and in numbers it would be wrong heights."""
        if all(part.mark is None for part in self.parts):
            return self
        return replace(self, parts=tuple(replace(part, mark=None) for part in self.parts))

    def covers(self, edition: Edition, variant: Variant = MASTER) -> bool:
        """Whether some of this may be seen of the edition."""
        return self.edition.edition_id == edition.edition_id and any(part.variant == variant for part in self.parts)
