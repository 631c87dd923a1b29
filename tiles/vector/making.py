"""Features of an edition -> the bytes of one tile. Whose features they are, and whether they were cut, is for whoever reads them to say."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from layers.features import FeatureStore, interval
from layers.model import Edition
from layers.rows import RowFilter, Value
from tiles.dlg_styles import Parameters, StyleBook
from tiles.vector.contents import Overrides, TableContents, contents_of, scale_of
from tiles.vector.encoder import TileLayer, encode_tile
from tiles.vector.filters import KIND
from tiles.vector.grid import GEOMETRIES, TileGrid

Ids = Callable[[str, str, np.ndarray], np.ndarray]
"""Layer, table and keys (n,) -> what features are called in tiles: (n,) uint64 below 2^53, telling nothing of the keys."""

MOST_AT_ONCE = 50_000
"""Features read at once."""

CONTENTS_KEPT = 256


class Batch(Protocol):
    """Features of one table by ascending key, in the edition's CRS."""

    keys: np.ndarray
    shapes: np.ndarray
    columns: Mapping[str, Sequence[Value]]


Read = Callable[[TableContents, RowFilter | None], Iterable[Batch]]


class TileMaker:
    """Makes tiles of what it is given to read.

    Parameters
    ----------
    store : FeatureStore
        Asked here for nothing but the types of fields.
    root : Path
        Folder of the editions' folders.
    config : Path
        Folder of vector_tiles.csv and styles/.
    ids : Ids
    """

    def __init__(self, store: FeatureStore, root: Path, config: Path, ids: Ids):
        self.store, self._root, self._config, self._ids = store, Path(root), Path(config), ids
        self._contents: dict[tuple, dict[str, TableContents]] = {}

    @cached_property
    def book(self) -> StyleBook:
        """The styles of pictures."""
        return StyleBook.load(self._config / "styles")

    @cached_property
    def _overrides(self) -> Overrides:
        return Overrides.load(self._config / "vector_tiles.csv")

    def contents(self, edition: Edition, told: Mapping[str, tuple[str, ...]]) -> dict[str, TableContents]:
        """What tiles of the edition hold where these attributes of its tables may be told; in drawing order."""
        key = edition.edition_id, edition.generation, tuple(sorted(told.items()))
        found = self._contents.get(key)
        if found is None:
            if len(self._contents) >= CONTENTS_KEPT:
                self._contents = {}
            found = self._contents[key] = contents_of(edition, told, self.book, self._overrides, self.parameters(edition))
        return found

    def parameters(self, edition: Edition) -> dict[str, Parameters]:
        """The interval of contours, as the line map's own picture has it: a fact of the edition, not of what is granted of it."""
        found = {}
        for table in edition.classes:
            height = self.book.fields(table).find("ELEV")
            if table.kind == "TERL" and height and edition.vectors:
                path = self._root / edition.folder / edition.vectors
                found[table.name] = Parameters.for_interval(interval(path, table.name, height) if path.exists() else None)
        return found

    def tile(self, edition: Edition, contents: Mapping[str, TableContents], grid: TileGrid, read: Read) -> bytes:
        """The tile of what `read` finds of each table that meets a condition; empty where that shows nothing."""
        scale = scale_of(grid.tms, grid.z)
        found = [
            _Found(table, *some) for table in contents.values() if scale < table.coarsest
            for some in [_together(self._shown(table, scale, batch) for batch in read(table, table.condition(scale)))] if len(some[0])
        ]
        layers = []
        for geometry in ("area", "line", "point"):
            layers += self._layers(edition, grid, GEOMETRIES[geometry], [one for one in found if one.table.table.geometry == geometry])
        return encode_tile(layers, grid.extent)

    def _layers(self, edition: Edition, grid: TileGrid, geometry: int, found: Sequence["_Found"]) -> Iterator[TileLayer]:
        """Tables of one geometry are put onto the grid together: what it takes is less a matter of how much there is than of how often it is done."""
        if not found:
            return
        kept, drawing = grid.placed(np.concatenate([one.shapes for one in found]), geometry, edition.crs)
        ends = np.cumsum([len(one.keys) for one in found])
        lasts = np.searchsorted(kept, ends).tolist()
        for one, start, first, last in zip(found, [0, *ends[:-1].tolist()], [0, *lasts[:-1]], lasts, strict=True):
            if first < last:
                places = kept[first:last] - start
                columns = one.columns if len(places) == len(one.keys) else {
                    name: [values[at] for at in places.tolist()] for name, values in one.columns.items()
                }
                name = one.table.table.name
                yield TileLayer(name=name, drawing=drawing.part(first, last), ids=self._ids(edition.layer, name, one.keys[places]), columns=columns)

    @staticmethod
    def _shown(table: TableContents, scale: float, batch: Batch) -> tuple[np.ndarray, np.ndarray, dict[str, list[Value]]]:
        """Those of a batch that are in tiles of this scale, with their kinds."""
        columns = {name: list(values) for name, values in batch.columns.items()}
        if not table.has_kinds:
            return batch.keys, batch.shapes, columns
        kinds, shown = table.kinds_of(columns, len(batch.keys)), table.shown(scale)
        columns[KIND] = kinds
        if len(shown) == len(table.kinds):
            return batch.keys, batch.shapes, columns
        fit = np.fromiter((kind in shown for kind in kinds), dtype=bool, count=len(kinds))
        places = np.flatnonzero(fit).tolist()
        return batch.keys[fit], batch.shapes[fit], {name: [values[at] for at in places] for name, values in columns.items()}


class _Found(NamedTuple):
    """What was read of a table and is in the tile's scale."""

    table: TableContents
    keys: np.ndarray
    shapes: np.ndarray
    columns: dict[str, list[Value]]


def _together(batches: Iterable[tuple[np.ndarray, np.ndarray, dict[str, list[Value]]]]) -> tuple[np.ndarray, np.ndarray, dict[str, list[Value]]]:
    found = list(batches)
    if len(found) == 1:
        return found[0]
    if not found:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=object), {}
    keys, shapes, columns = zip(*found, strict=True)
    return np.concatenate(keys), np.concatenate(shapes), {name: [value for one in columns for value in one[name]] for name in columns[0]}
