"""Line maps near a border: whether a picture may come from what is drawn for everybody, or must be drawn from cut features alone (design R3).

Near is what a name, a symbol or the width of a line may reach across, and all that shows a shape which itself reaches across (`tiles.crossing`); a tile is
as near as the tiles that are drawn with it, since names make room for one another among them. Of classified layers, whose pixels are shown by the strict rule, everything is near: there not even a dash tells how a line
goes on beyond. What is drawn here is kept in the memory of this process alone, and only with the area it was drawn for.
"""

import threading
from collections import OrderedDict

from PIL import Image

from layers import crs as crs_room
from layers.errors import OutsideAreaOfUse
from layers.model import Bounds, Edition, Source, View
from tiles.area import ServedArea
from tiles.crossing import Crossing
from tiles.engine import Engine, Turns
from tiles.grids import TileMatrixSet
from tiles.mapproxy_config import META_SIZE
from tiles.permits import Permit, PermitPart
from tiles.vector.ground import Ground

REACH = 32
"""Pixels around a picture from which anything is drawn into it (`tiles.dlg.BUFFER`, which Mapnik would come with)."""

METAS_KEPT = 8
"""Pictures of 1,024 x 1,024 pixels: 4 MB each."""

GROUNDS_KEPT = 256
ANSWERS_KEPT = 50_000
CROSSINGS_KEPT = 64


class Borders:
    """Pictures of one part of a permit, whichever way they are to be drawn. Unclipped: what of a pixel is shown is decided after it, as ever.

    May be shared by threads.
    """

    def __init__(self, engine: Engine, patience: float = 30.0):
        self._engine, self._patience = engine, patience
        self._grounds: OrderedDict[tuple[str, str], Ground] = OrderedDict()
        self._answers: dict[tuple, bool] = {}
        self._crossings: OrderedDict[tuple, Crossing] = OrderedDict()
        self._metas: OrderedDict[tuple, Image.Image] = OrderedDict()
        self._turns = Turns()
        self._lock = threading.Lock()

    # -- questions

    def concerns(self, edition: Edition, part: PermitPart) -> bool:
        """Whether there is anything to ask: features that end somewhere."""
        return not (edition.product.is_raster or edition.source is Source.REMOTE or part.area is None or part.area.is_world)

    def is_near(self, edition: Edition, part: PermitPart, view: View, symbol_scale: float = 1.0) -> bool:
        """Whether something beyond the border could be seen in a picture of all."""
        if not self.concerns(edition, part):
            return False
        if part.area.has_all(edition.extent):
            return part.footprint is None and not _covers(part.area, view, REACH * max(1.0, symbol_scale))
        reach = REACH * max(1.0, symbol_scale)
        return part.footprint is not None or not _covers(part.area, view, reach) or self._shows_a_crossing(edition, part.area, view, reach)

    def is_tile_near(self, edition: Edition, part: PermitPart, tms: TileMatrixSet, z: int, row: int, col: int) -> bool:
        """`is_near` of what the tile is drawn with; remembered."""
        if not self.concerns(edition, part):
            return False
        whole = (edition.edition_id, edition.generation) if part.footprint is not None else None
        key = (part.area.digest, whole, tms.id, z, row // META_SIZE, col // META_SIZE)
        answer = self._answers.get(key)
        if answer is None:
            if len(self._answers) >= ANSWERS_KEPT:
                self._answers = {}
            answer = self._answers[key] = self.is_near(edition, part, meta_view(tms, z, row, col))
        return answer

    # -- pictures

    def map(self, edition: Edition, style: str, view: View, part: PermitPart, permit: Permit, symbol_scale: float = 1.0) -> Image.Image:
        """As `Engine.map`, but that nothing from beyond the border is in it. Raises PermitMissing, RenderFailed."""
        if not self.is_near(edition, part, view, symbol_scale):
            return self._engine.map(edition, style, view, permit, symbol_scale, part.variant)
        return self._engine.cut_map(edition, style, view, self._ground(part.area, edition.crs), permit, symbol_scale, part.variant)

    def tile(self, edition: Edition, style: str, tms: TileMatrixSet, z: int, row: int, col: int, part: PermitPart, permit: Permit) -> Image.Image:
        """A tile near the border, cut out of what is drawn with it. Raises PermitMissing, RenderFailed."""
        key = (edition.edition_id, edition.generation, style, part.variant, part.area.digest, tms.id, z, row // META_SIZE, col // META_SIZE)
        with self._turns.of(key, self._patience):
            with self._lock:
                meta = self._metas.get(key)
                if meta is not None:
                    self._metas.move_to_end(key)
            if meta is None:
                view = meta_view(tms, z, row, col)
                meta = self._engine.cut_map(edition, style, view, self._ground(part.area, edition.crs), permit, 1.0, part.variant)
                if Engine.is_kept(edition):
                    with self._lock:
                        self._metas[key] = meta
                        while len(self._metas) > METAS_KEPT:
                            self._metas.popitem(last=False)
        left, top = col % META_SIZE * tms.tile_size, row % META_SIZE * tms.tile_size
        return meta.crop((left, top, left + tms.tile_size, top + tms.tile_size))

    def _shows_a_crossing(self, edition: Edition, area: ServedArea, view: View, reach: float) -> bool:
        """Whether a shape that reaches across the border is drawn in the view; True where that can't be told."""
        try:
            box = crs_room.transform_bounds(_around(view, reach), view.crs, edition.crs)
        except OutsideAreaOfUse:
            return True
        key = edition.edition_id, edition.generation, area.digest
        with self._turns.of(key, self._patience):
            crossing = self._crossings.get(key)
            if crossing is None:
                ground = self._ground(area, edition.crs)
                crossing = self._engine.crossing(edition, ground.geometry, ground.hair)
                with self._lock:
                    self._crossings[key] = crossing
                    while len(self._crossings) > CROSSINGS_KEPT:
                        self._crossings.popitem(last=False)
        return crossing.reaches(box)

    def _ground(self, area: ServedArea, crs: str) -> Ground:
        key = area.digest, crs
        with self._lock:
            ground = self._grounds.get(key)
            if ground is not None:
                self._grounds.move_to_end(key)
                return ground
        ground = Ground(area, None, crs)
        with self._lock:
            self._grounds[key] = ground
            while len(self._grounds) > GROUNDS_KEPT:
                self._grounds.popitem(last=False)
        return ground


def meta_view(tms: TileMatrixSet, z: int, row: int, col: int) -> View:
    """The tiles that are drawn together with one, as one view; at the matrix's end there are fewer, and the rest is empty ground."""
    cols, rows = tms.size(z)
    first_row, first_col = row // META_SIZE * META_SIZE, col // META_SIZE * META_SIZE
    last_row, last_col = min(first_row + META_SIZE, rows) - 1, min(first_col + META_SIZE, cols) - 1
    bounds = tms.bounds(z, first_row, first_col).union(tms.bounds(z, last_row, last_col))
    return View(
        crs=tms.crs, bounds=bounds, width=(last_col - first_col + 1) * tms.tile_size, height=(last_row - first_row + 1) * tms.tile_size,
    )


def _covers(area: ServedArea, view: View, reach: float) -> bool:
    """Whether everything within `reach` pixels of the view lies in the area."""
    around = _around(view, reach)
    try:
        crs_room.transform_bounds(around, view.crs, "CRS:84")
    except OutsideAreaOfUse:
        return False
    return area.has_box(view.crs, around)


def _around(view: View, reach: float) -> Bounds:
    (left, bottom, right, top), (step_x, step_y) = view.bounds, view.resolution
    return Bounds(left - reach * step_x, bottom - reach * step_y, right + reach * step_x, top + reach * step_y)
