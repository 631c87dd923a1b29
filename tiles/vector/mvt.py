"""Vector tiles as a permit lets them be seen: the shared cache's own bytes inside, cut from the features at the border, nothing beyond it.

A tile is *inside* where the ground of the grant holds it with its buffer, and everything that is told there is told by one set of rows and
attributes: then it is the whole tile of that set. A tile that touches the grant in any other way is made anew from what `granted.told` gives:
features that end on the border in the edition's CRS, before anything is projected, simplified or rounded. So nothing that lies outside, or is
hidden, has a part in any byte.
"""

from dataclasses import dataclass
from functools import lru_cache

from layers.features import NEVER_TOLD
from layers.model import Edition, View
from tiles.area import ServedArea
from tiles.permits import Permit, PermitPiece
from tiles.vector.granted import EXTENT_DERIVED, told
from tiles.vector.grid import TileGrid
from tiles.vector.making import MOST_AT_ONCE
from tiles.vector.shelf import Shown, TileShelf

VARIANTS_KEPT = 2048


@dataclass(frozen=True, slots=True)
class Buffered:
    """What a tile speaks for beyond its own edge, in the place of the footprint of pixels (`tiles.clip.Footprint`): its buffer."""

    share: float                # of the tile's side

    def half_sides(self, view: View) -> tuple[float, float]:
        step_x, step_y = view.resolution
        return step_x / 2 + self.share * view.bounds.width, step_y / 2 + self.share * view.bounds.height


def variant_of(edition: Edition, piece: PermitPiece) -> Shown:
    """What a piece of a grant shows. Attributes that describe a whole shape are in no tile: every shape in one may be cut."""
    return _variant(_tables(edition), piece.attributes, piece.rows)


def _tables(edition: Edition) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(sorted((table.name, table.fields) for table in edition.classes if table.kind not in NEVER_TOLD))


@lru_cache(maxsize=VARIANTS_KEPT)
def _variant(tables: tuple[tuple[str, tuple[str, ...]], ...], attributes: frozenset[str] | None, rows: str | None) -> Shown:
    piece = PermitPiece(area=None, attributes=attributes)
    return Shown(rows, tuple((table, tuple(f for f in fields if piece.tells(table, f) and not EXTENT_DERIVED.fullmatch(f))) for table, fields in tables))


def told_in_tiles(permit: Permit) -> dict[str, tuple[str, ...]]:
    """The attributes of each table that some piece of the permit tells in tiles."""
    variants = [variant_of(permit.edition, piece) for piece in permit.pieces]
    found = {}
    for name, fields in _tables(permit.edition):
        known = {field for variant in variants for field in dict(variant.told)[name]}
        found[name] = tuple(field for field in fields if field in known)
    return found


def replaces(one: Shown, other: Shown) -> bool:
    """Whether everything that `other` shows of a place is shown by `one` too."""
    if one.rows is not None and one.rows != other.rows:
        return False
    mine = dict(one.told)
    return all(set(fields) <= set(mine[table]) for table, fields in other.told)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tile lies for a permit. `inside`: what the whole tile shows that may leave as it is; None where the tile is cut.

    `key` names what such a tile depends on, beside the edition and the tile's own place; None where nothing of it is granted.
    """

    inside: Shown | None
    key: tuple | None


OUTSIDE = Place(None, None)


@dataclass(frozen=True, slots=True)
class Plan:
    """A permit as tiles need it: made once, asked for every tile."""

    permit: Permit
    pieces: tuple[tuple[ServedArea | None, Shown], ...]
    is_uniform: bool            # whether all pieces show the same

    @classmethod
    def of(cls, permit: Permit) -> "Plan":
        pieces = tuple((piece.area, variant_of(permit.edition, piece)) for piece in permit.pieces)
        return cls(permit, pieces, len({shown for _, shown in pieces}) == 1)

    def place(self, grid: TileGrid) -> Place:
        """Inside, on the edge, or outside."""
        buffered, area = Buffered(grid.buffer / grid.extent), self.permit.area
        whole = _class(area, grid, buffered)
        if whole == "outside" or not self.pieces:
            return OUTSIDE
        if whole == "inside" and self.is_uniform:
            return Place(self.pieces[0][1], self.pieces[0][1:])     # pieces side by side too: nothing tells them apart at their seam
        there = [(area, shown, where) for area, shown in self.pieces if (where := _class(area, grid, buffered)) != "outside"]
        if not there:
            return OUTSIDE
        if whole == "inside":
            for _, shown, where in there:
                if where == "inside" and all(replaces(shown, other) for _, other, _ in there):
                    return Place(shown, (shown,))
        return Place(None, (area and area.digest, *((ground and ground.digest, shown) for ground, shown, _ in there)))

    def cut(self, shelf: TileShelf, grid: TileGrid) -> bytes:
        """The tile made of what may be told: every shape ends on the border of the grant, and there is no buffer beyond that."""
        edition, box = self.permit.edition, grid.box_in(self.permit.edition.crs)
        if box is None:
            return b""
        by_name = {table.name: table for table in edition.classes}

        def read(table, condition):
            return told(self.permit, shelf.maker.store, by_name[table.table.name], box=box, where=condition, fields=table.fields, size=MOST_AT_ONCE)

        with shelf.slot():
            return shelf.maker.tile(edition, shelf.maker.contents(edition, told_in_tiles(self.permit)), grid, read)

    def tile(self, shelf: TileShelf, grid: TileGrid) -> bytes:
        """The tile that the permit lets be seen, not deflated; empty where that is nothing.

        Raises
        ------
        FeaturesUnavailable, RenderFailed
            The data can't be read now, or too much is being made.
        """
        place = self.place(grid)
        if place.key is None:
            return b""
        return self.cut(shelf, grid) if place.inside is None else shelf.inflated(shelf.tile(self.permit.edition, place.inside, grid))


def _class(area: ServedArea | None, grid: TileGrid, buffered: Buffered) -> str:
    return "inside" if area is None else area.classify(grid.tms, grid.z, grid.row, grid.col, buffered)
