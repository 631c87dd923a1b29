"""Whole tiles of vectors and the shared cache of them: unclipped, the same for every agency that is told the same rows and attributes.

Nothing here knows a permit or an area. What is cut is cut elsewhere, from the features themselves, and never comes here.
"""

import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from isal import igzip

from layers.features import FeatureQuery
from layers.model import Edition, Source
from layers.rows import all_of, parse_rows
from tiles.engine import Turns
from tiles.errors import RenderFailed
from tiles.variants import JOINT, ROWS_MARK
from tiles.vector.grid import TileGrid
from tiles.vector.making import MOST_AT_ONCE, TileMaker

FOLDER = "vector"
"""Of the tiles within those of an edition, beside the styles of its pictures."""

LEVEL = 2
"""Of igzip: about the size of zlib's 6 at a tenth of its time."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the features of a tile show: rows (CQL2 text, None is all of them) and the attributes of each table, nothing of tables that are not named."""

    rows: str | None
    told: tuple[tuple[str, tuple[str, ...]], ...]
    folder: str = field(init=False, compare=False)

    def __post_init__(self):
        digest = hashlib.sha256(repr((self.rows, self.told)).encode()).hexdigest()[:24]
        object.__setattr__(self, "folder", f"{FOLDER}{JOINT}{ROWS_MARK}{digest}")


class TileShelf:
    """Whole tiles, kept in files: <cache>/<edition>/vector+rows-<what is shown>/<set>/<z>/<column>/<row>.mvt, deflated.

    Parameters
    ----------
    maker : TileMaker
    cache : Path
        Folder of the editions' tiles, the engine's own: what expires pictures expires these.
    storing : Callable
        Of an edition, whether a tile of its generation may be stored, for as long as it takes (`Engine.storing`).
    most_at_once : int
        How many tiles are made at the same time; others wait for up to `patience` seconds.
    """

    def __init__(
        self, maker: TileMaker, cache: Path, storing: Callable[[Edition], AbstractContextManager[bool]], *, most_at_once: int = 0, patience: float = 30.0,
    ):
        self.maker, self._cache, self._storing, self._patience = maker, Path(cache).absolute(), storing, patience
        self._turns = Turns()
        self._slots = threading.BoundedSemaphore(most_at_once or 2 * (os.cpu_count() or 1))

    def stored(self, edition: Edition, shown: Shown, grid: TileGrid) -> bytes | None:
        """The deflated tile, where the cache has it."""
        if edition.source is not Source.STORED:
            return None
        try:
            return self.path(edition, shown, grid).read_bytes() or None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RenderFailed("the cache can't be read: see the rights and the disk of its folder") from error

    def tile(self, edition: Edition, shown: Shown, grid: TileGrid) -> bytes:
        """The deflated tile, from the cache or made and stored there."""
        found = self.stored(edition, shown, grid)
        if found is not None:
            return found
        with self._turns.of((edition.generation, self.path(edition, shown, grid)), self._patience):
            found = self.stored(edition, shown, grid)              # who waited for another finds it there
            return self._new(edition, shown, grid) if found is None else found

    def _new(self, edition: Edition, shown: Shown, grid: TileGrid) -> bytes:
        with self.slot():
            made = self.deflated(self.made(edition, shown, grid))
        if edition.source is Source.STORED:
            with self._storing(edition) as is_current:
                if is_current:
                    _write(self.path(edition, shown, grid), made)
        return made

    def made(self, edition: Edition, shown: Shown, grid: TileGrid) -> bytes:
        """The tile, of all features of the edition that show something on it, whoever asks."""
        box = grid.box_in(edition.crs)
        if box is None:
            return b""
        rows = None if shown.rows is None else parse_rows(shown.rows)

        def read(table, condition):
            both = [one for one in (rows, condition) if one is not None]
            query = FeatureQuery(table=by_name[table.table.name], box=box, where=all_of(both) if both else None, fields=table.fields)
            return self.maker.store.batches(edition, query, MOST_AT_ONCE)

        by_name = {table.name: table for table in edition.classes}
        return self.maker.tile(edition, self.maker.contents(edition, dict(shown.told)), grid, read)

    def slot(self) -> "_Slot":
        return _Slot(self._slots, self._patience)

    @staticmethod
    def deflated(tile: bytes) -> bytes:
        return igzip.compress(tile, LEVEL, mtime=0)

    @staticmethod
    def inflated(tile: bytes) -> bytes:
        return igzip.decompress(tile)

    def path(self, edition: Edition, shown: Shown, grid: TileGrid) -> Path:
        """Where the tile is in the cache, or would be."""
        return self._cache / str(edition.edition_id) / shown.folder / grid.tms.id / str(grid.z) / str(grid.col) / f"{grid.row}.mvt"


class _Slot:
    def __init__(self, slots: threading.BoundedSemaphore, patience: float):
        self._slots, self._patience = slots, patience

    def __enter__(self) -> None:
        if not self._slots.acquire(timeout=self._patience):
            raise RenderFailed("too many maps are being drawn at this moment: ask again in a few seconds")

    def __exit__(self, *_) -> None:
        self._slots.release()


def _write(path: Path, content: bytes) -> None:
    """At once or not at all. A cache that can't be written to is no reason to refuse a tile."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
