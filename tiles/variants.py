"""How a picture departs from the master of its edition and style: some of the rows, or a coarser grid. Never by whom it is for.

A variant has tiles of its own in the shared cache, beside those of the master: two agreements that grant the same rows share them.
"""

import hashlib
from dataclasses import dataclass, field

from layers.model import Edition

ROWS_MARK, GRID_MARK, JOINT = "rows-", "m", "+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """`rows` is CQL2 text that a feature must meet, None is all of them; `degrade` the cell (metres) of the fixed grid that is shown, None is the
    source itself."""

    rows: str | None = None
    degrade: float | None = None
    name: str = field(init=False, compare=False)     # "" of the master; else fit for a folder, and telling nothing of the filter's words

    def __post_init__(self):
        parts = [f"{self.degrade!r}{GRID_MARK}"] if self.degrade is not None else []
        if self.rows is not None:
            parts.append(f"{ROWS_MARK}{hashlib.sha256(self.rows.encode()).hexdigest()[:24]}")
        object.__setattr__(self, "name", JOINT.join(parts))

    @classmethod
    def of(cls, edition: Edition, rows: str | None, degrade: float | None) -> "Variant":
        """The variant that shows this of `edition`: a grid that is no coarser than the edition's own pixels changes nothing."""
        if degrade is not None and edition.resolution is not None and degrade <= edition.resolution:
            degrade = None
        return cls(rows=rows, degrade=None if degrade is None else float(degrade)) if rows is not None or degrade is not None else MASTER

    @property
    def is_master(self) -> bool:
        return not self.name


MASTER = Variant()

CONTOURS, CONTOUR_LINES = "contours", "contour-lines"
CONTOURED = frozenset({CONTOURS, CONTOUR_LINES})


def drawn_style(style: str, *, is_strict: bool) -> str:
    """The style that tiles and maps are drawn in where `style` is asked.

    Contours under the strict rule bear no labels and are not smoothed: which stretch of a line bears its label depends on ground some hundred pixels
    away, which may lie beyond the border.
    """
    return CONTOUR_LINES if style == CONTOURS and is_strict else style


def folder_of(style: str, variant: Variant) -> str:
    """The folder of a style's tiles within those of an edition.

    >>> folder_of("hillshade", MASTER), folder_of("hillshade", Variant(degrade=10.0))
    ('hillshade', 'hillshade+10.0m')
    """
    return style if variant.is_master else f"{style}{JOINT}{variant.name}"


def grid_of(folder: str) -> float | None:
    """The cell (metres) of the variant whose folder this is; None where it has no grid of its own.

    >>> grid_of("hillshade+10.0m"), grid_of("topographic+rows-3fa9"), grid_of("slope")
    (10.0, None, None)
    """
    _, *parts = folder.split(JOINT)
    return next((float(part.removesuffix(GRID_MARK)) for part in parts if not part.startswith(ROWS_MARK)), None)
