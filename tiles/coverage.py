"""The numbers of an edition of rasters, cut as its pictures are: what coverages, packages, terrain tiles and profiles are made of.

Nothing here is cached, and nothing is drawn: heights are metres as they are in the sheets, imagery its own colours.
"""

from typing import Literal

import numpy as np

from layers.model import Patch, ProductType, View
from tiles.compose import Visible, shown
from tiles.engine import Engine
from tiles.marks import marked
from tiles.permits import Permit, PermitPart
from tiles.requests.expressible import expressible
from tiles.sources import picture_of

Resampling = Literal["bilinear", "nearest"]


def cut_values(engine: Engine, permit: Permit, view: View, *, resampling: Resampling = "bilinear") -> Patch | None:
    """What the permit lets be had of its edition in `view`.

    Parameters
    ----------
    engine : Engine
    permit : Permit
        Of an edition of rasters. Its parts decide as they do for pictures: each cut by its own area, by the rule of centres or, for classified
        layers, the strict one; read through cells where the part is degraded; the finer above the coarser.
    view : View
        Where its pixels are those of the sheets the values come as they are, not resampled; so do those of cells where it lies on theirs.
    resampling : "bilinear" or "nearest"
        Elsewhere: whether values are mixed or picked. Cells of a degraded part are always mixed, and an edition whose pixels may not be
        mixed (`Edition.nearest`) never is.

    Returns
    -------
    Patch or None
        Elevation: float32 (1, row, col), metres. Imagery: uint8 (3, row, col), with the marks of its parts written on it; heights bear none.
        `valid` is True where there is data that may be had; all other values are 0. None where that is nowhere.

    Raises
    ------
    PermitMissing
        `permit` does not cover what is read: a fault of ours.
    RenderFailed
        The data can't be read now, or too much is being drawn.
    """
    placed = expressible(view)
    if placed is None:
        return None
    inner, corner = placed
    result: Patch | None = None
    for part, visible in shown(permit.parts, inner):
        whole = engine.values(permit.edition, inner, permit, part.variant, nearest=resampling == "nearest")
        if whole is not None:
            result = _laid(result, _cut(whole, visible, part, permit.edition.product, inner))
    if result is None or not result.valid.any():
        return None
    return result if inner == view else _placed(result, view, corner)


def _cut(whole: Patch, visible: Visible, part: PermitPart, product: ProductType, view: View) -> Patch:
    """The part's own: nothing is left of the values where it may not be seen."""
    valid = whole.valid if visible is True else whole.valid & visible
    values = whole.values if visible is True else np.where(valid, whole.values, np.zeros((), whole.values.dtype))
    cut = Patch(values=values, valid=valid, bounds=whole.bounds, crs=whole.crs)
    return cut if part.mark is None or product is not ProductType.DOM else _marked(cut, part, view)


def _marked(patch: Patch, part: PermitPart, view: View) -> Patch:
    """After the cut, as maps are: nothing is written where nothing may be seen."""
    pixels = np.asarray(marked(picture_of(patch, view), part.mark, view))[..., :3]
    return Patch(values=np.ascontiguousarray(np.moveaxis(pixels, 2, 0)), valid=patch.valid, bounds=patch.bounds, crs=patch.crs)


def _placed(patch: Patch, view: View, corner: tuple[int, int]) -> Patch:
    """The pixels that mean something, in their place among those that don't."""
    (first_col, first_row), (rows, cols) = corner, patch.valid.shape
    place = slice(first_row, first_row + rows), slice(first_col, first_col + cols)
    values = np.zeros((len(patch.values), view.height, view.width), patch.values.dtype)
    valid = np.zeros((view.height, view.width), bool)
    values[:, *place], valid[place] = patch.values, patch.valid
    return Patch(values=values, valid=valid, bounds=view.bounds, crs=view.crs)


def _laid(below: Patch | None, above: Patch) -> Patch:
    """The one over the other; parts of rasters never mix, since a finer one hides what lies below it."""
    if below is None:
        return above
    values = np.where(above.valid, above.values, below.values)
    return Patch(values=values, valid=above.valid | below.valid, bounds=above.bounds, crs=above.crs)
