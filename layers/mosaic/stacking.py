"""Sheets -> the mosaics of an edition: who lies on whom, on which grid, and what changes from one generation to the next.

Where sheets overlap the newest currency lies on top, and of equal ones the later sheet; a sheet without currency counts as the oldest. Sheets
of one CRS make one mosaic. Only where sheets of several CRS overlap so that no order of two mosaics could tell who is on top, there are more.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from datetime import date
from pathlib import Path
from statistics import median

import shapely

from layers.model import Bounds, Mosaic, ProductType, Sheet
from layers.mosaic.overviews import Kind, OverviewGrid, make_overview
from layers.mosaic.sheet_table import SheetTable, read_table, write_table

SMALL_SIDE, FEW_SHEETS = 2048, 16
"""A mosaic of no more pixels to a side, and no more sheets, needs no low-resolution copy."""

SHEET_SIDE = 256
"""Pixels: the copy begins at the resolution at which a usual sheet is at least this long, so that a tile of 256 pixels touches few."""

LARGEST_FACTOR = 32
LEAST_OVERLAP = 0.05
"""Share of the smaller of two sheets of different CRS from which they count as overlapping: frames with a collar do not."""

Told = Callable[[int, int, str], None]


def build_mosaics(
    folder: Path, sheets: Sequence[Sheet], product: ProductType, *, nearest: bool, lossless: bool, generation: int,
    previous: Sequence[Mosaic] = (), executor: Executor | None = None, told: Told | None = None,
) -> tuple[Mosaic, ...]:
    """Make the sheets of an edition readable: tables of sheets and, where a mosaic is large, one low-resolution copy of it.

    Parameters
    ----------
    folder : Path
        The edition's folder; the files' names hold `generation`, so that nothing that is being read changes.
    product : ProductType
        DOM or DEM.
    nearest, lossless : bool
        As of the edition: how overviews are sampled, and whether JPEG may touch them.
    previous : Sequence[Mosaic], optional
        Those of the published generation, whose files are still there: of their copies only what changed is made again, where the grid holds.
    executor : Executor, optional
        Of processes that read this store; without one all is done here.
    told : callable, optional
        Told (done, total, of what) while low-resolution copies are made.

    Returns
    -------
    tuple[Mosaic, ...]
        Where mosaics overlap, the earlier one lies on top.

    Raises
    ------
    rasterio.errors.RasterioError
        A sheet can't be read.
    """
    kind = Kind(is_elevation=product is ProductType.DEM, nearest=nearest, lossless=lossless)
    stacks, left = stacked(sheets), list(previous)
    mosaics = []
    for number, stack in enumerate(stacks):
        before = next((one for one in left if one.crs == stack[0].crs), None)
        if before:
            left.remove(before)
        mosaics.append(_Build(folder, stack, kind, f"mosaic-{generation}-{number}", before, executor, told).mosaic())
    return tuple(mosaics)


def stacked(sheets: Sequence[Sheet]) -> list[list[Sheet]]:
    """The sheets of each mosaic from the lowest to the topmost, mosaics from the topmost on.

    From the top down each sheet joins the first mosaic of its CRS that lies below no sheet which must lie below it.
    """
    ordered = sorted(sheets, key=_priority, reverse=True)
    several = len({sheet.crs for sheet in ordered}) > 1
    tree = shapely.STRtree([sheet.footprint for sheet in ordered]) if several else None
    stacks: list[list[Sheet]] = []
    place: dict[int, int] = {}
    for number, sheet in enumerate(ordered):
        lowest = 0
        for other in tree.query(sheet.footprint) if tree else ():
            if other < number and place[other] >= lowest and _overlap(sheet, ordered[other]):
                lowest = place[other]
        at = next((n for n in range(lowest, len(stacks)) if stacks[n][0].crs == sheet.crs), len(stacks))
        if at == len(stacks):
            stacks.append([])
        stacks[at].append(sheet)
        place[number] = at
    return [stack[::-1] for stack in stacks]


def _priority(sheet: Sheet) -> tuple[date, int]:
    return sheet.currency or date.min, sheet.sheet_id


def _overlap(one: Sheet, other: Sheet) -> bool:
    if one.crs == other.crs and not one.footprint.intersects(other.footprint):
        return False
    least = 0.0 if one.crs == other.crs else LEAST_OVERLAP * min(one.footprint.area, other.footprint.area)
    return shapely.intersection(one.footprint, other.footprint).area > least


def disturbed(
    before: Sequence[Sheet], after: Sequence[Sheet], mosaics_before: Sequence[Mosaic], mosaics_after: Sequence[Mosaic],
) -> list[Sheet]:
    """The sheets that are there before and after, and whose pictures change all the same: they lie in another mosaic than they did, or in one whose
    pixels are of another size."""
    stacks = stacked(after)
    old_place, new_place = _places(stacked(before)), _places(stacks)
    found = {path for path, place in new_place.items() if path in old_place and old_place[path] != place}
    for old, new, stack in zip(_paired(mosaics_before, mosaics_after), mosaics_after, stacks, strict=True):
        if old is not None and _pixels_of(old) != _pixels_of(new):
            found |= {sheet.path for sheet in stack}
    return [sheet for sheet in after if sheet.path in found]


def _places(stacks: Sequence[Sequence[Sheet]]) -> dict[str, tuple[str, int]]:
    """Path of a sheet -> CRS of its mosaic, and which of that CRS it is."""
    places, seen = {}, {}
    for stack in stacks:
        crs = stack[0].crs
        places |= {sheet.path: (crs, seen.get(crs, 0)) for sheet in stack}
        seen[crs] = seen.get(crs, 0) + 1
    return places


def _paired(before: Sequence[Mosaic], after: Sequence[Mosaic]) -> list[Mosaic | None]:
    """For each mosaic the one that it follows."""
    left, found = list(before), []
    for mosaic in after:
        old = next((one for one in left if one.crs == mosaic.crs), None)
        if old:
            left.remove(old)
        found.append(old)
    return found


def _pixels_of(mosaic: Mosaic) -> tuple:
    """What the look of all of a mosaic follows from; the corner of its grid by the part of a pixel alone."""
    corner = (mosaic.bounds.left / mosaic.resolution, mosaic.bounds.top / mosaic.resolution)
    return mosaic.resolution, mosaic.factors, mosaic.overview_factor, bool(mosaic.overview), *(round(at - math.floor(at + 1e-6), 4) for at in corner)


class _Build:
    """One mosaic on its way."""

    def __init__(self, folder: Path, stack: list[Sheet], kind: Kind, name: str, before: Mosaic | None, executor: Executor | None, told: Told | None):
        self.folder, self.stack, self.kind, self.name, self.before = folder, stack, kind, name, before
        self.executor, self.told = executor, told
        self.crs = stack[0].crs
        self.resolution = min(min(sheet.resolution) for sheet in stack)
        self.data = stack[0].bounds
        for sheet in stack[1:]:
            self.data = self.data.union(sheet.bounds)

    def mosaic(self) -> Mosaic:
        index = f"{self.name}.sheets.gpkg"
        write_table(self.folder / index, self.stack, self.crs)
        if not self._is_large():
            factors = tuple(2**n for n in range(1, 12) if max(self.stack[0].width, self.stack[0].height) >> n >= SHEET_SIDE // 2)
            return Mosaic(
                crs=self.crs, bounds=self.data, resolution=self.resolution, index=index, factors=factors, overview=None, overview_factor=2,
            )
        grid, factor, goes_on = self._grid()
        overview = f"{self.name}-overview.tif"
        changed = self._changed(self.folder / index) if goes_on else ()
        make_overview(
            self.folder / index, self.folder / overview, grid, self.kind, changed=changed, executor=self.executor, told=self._telling(goes_on),
            previous=self.folder / self.before.overview if goes_on else None,
        )
        return Mosaic(
            crs=self.crs, bounds=grid.bounds, resolution=self.resolution, index=index, overview=overview, overview_factor=factor,
            factors=tuple(2**n for n in range(1, 12) if 2**n < factor),
        )

    def _is_large(self) -> bool:
        if self.before and self.before.overview:
            return True
        return max(self.data.width, self.data.height) > SMALL_SIDE * self.resolution or len(self.stack) > FEW_SHEETS

    def _grid(self) -> tuple[OverviewGrid, int, bool]:
        """The grid of the copy, native pixels to one of its own, and whether it is the grid of the generation before."""
        before = self.before
        if before and before.overview and math.isclose(before.resolution, self.resolution, rel_tol=1e-9):
            pixel = before.resolution * before.overview_factor
            grid = OverviewGrid(crs=self.crs, bounds=before.bounds, pixel=pixel)
            if grid.holds(self.data):
                return grid, before.overview_factor, (self.folder / before.overview).is_file() and (self.folder / before.index).is_file()
            phase = before.bounds.left % pixel, before.bounds.top % pixel
            return OverviewGrid.around(self.data, self.crs, pixel, phase), before.overview_factor, False
        side = median(max(sheet.width * sheet.resolution[0], sheet.height * sheet.resolution[1]) for sheet in self.stack) / self.resolution
        factor = min(LARGEST_FACTOR, 2 ** max(0, math.floor(math.log2(side / SHEET_SIDE)))) if side > SHEET_SIDE else 1
        phase = self.data.left % self.resolution, self.data.top % self.resolution
        return OverviewGrid.around(self.data, self.crs, self.resolution * factor, phase), factor, False

    def _changed(self, index: Path) -> list[Bounds]:
        """Boxes of the sheets that came, went, or changed places with one another."""
        new = read_table(str(index), self.kind.is_elevation, self.kind.nearest)
        old = read_table(str(self.folder / self.before.index), self.kind.is_elevation, self.kind.nearest)
        old_rows, new_rows = _rows(old), _rows(new)
        boxes = [box for key, box in (old_rows | new_rows).items() if (key in old_rows) != (key in new_rows)]
        stayed_old, stayed_new = [key for key in old_rows if key in new_rows], [key for key in new_rows if key in old_rows]
        return boxes + [new_rows[key] for key, was in zip(stayed_new, stayed_old, strict=True) if key != was]

    def _telling(self, goes_on: bool) -> Told | None:
        told = self.told
        if told is None or goes_on or not (self.before and self.before.overview):
            return told
        return lambda done, total, what: told(done, total, f"{what}, all of it: a sheet lies beyond its box, or the finest pixels are of another size")


def _rows(table: SheetTable) -> dict[tuple, Bounds]:
    return {(path, *box.tolist()): Bounds(*box.tolist()) for path, box in zip(table.paths, table.boxes, strict=True)}
