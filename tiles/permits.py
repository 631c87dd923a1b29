"""What the gate hands to a renderer. No permit, no pixels."""

from dataclasses import dataclass

from layers.model import Edition
from tiles.area import ServedArea


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureMark:
    """`place`: "tiled" over all of the picture, or once in its "corner". `opacity` 0 to 1."""

    text: str
    opacity: float
    place: str


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

    def covers(self, edition: Edition) -> bool:
        return self.edition.edition_id == edition.edition_id
