"""Tiles drawn before anybody asks for them: all that an area needs, through the same engine and cache as every request.

A job works through meta tiles (4 x 4), which are what is drawn at once. What is there already is not drawn again, so a job that was stopped or
killed goes on where it was: the cache itself says how far it came. At the end a manifest counts, level by level, what the area needs and
what the cache holds, with a digest over the bytes, so that completeness can be proved later, and a change of the edition told.

Tiles of vectors go the same way: they lie beside the pictures, one set of them for each set of rows and attributes that grants tell.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import asdict, dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Protocol

import shapely
from shapely.geometry.base import BaseGeometry

from layers import crs as crs_room
from layers.model import Bounds, Edition
from tiles.encode import decode
from tiles.engine import Engine
from tiles.errors import SeedInvalid
from tiles.grids import TILE_MATRIX_SETS
from tiles.mapproxy_config import META_SIZE
from tiles.permits import PermitPiece
from tiles.variants import MASTER
from tiles.vector.grid import TileGrid
from tiles.vector.mvt import variant_of
from tiles.vector.shelf import TileShelf

FORM = 1
"""Of the manifest."""

MOST_NAMED = 20
"""Missing tiles that are named in a report; all are counted."""

METAS_AT_ONCE, IN_FLIGHT = 8, 64
"""Meta tiles that a worker is given together, and how many such pieces are out at once."""

LARGEST_BLANK = 4096
"""Bytes: a larger tile shows something."""

BLOCK = 16
"""Meta tiles to a side that are looked at together, against the area, before each is."""

Told = Callable[[int, int, str], None]
"""Meta tiles that are done, of how many, and the level."""


VECTORS = "vector"
"""In the place of a style: tiles of vectors, which have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedTask:
    """What is to be there: tiles of one edition in one style and set, at some levels, wherever they touch `area` (CRS84; None is the edition's).

    Of vectors (`style` is `VECTORS`) those that show `rows` (CQL2 text) and `attributes` (`FIELD` or `CLASS.FIELD`), as a grant names them; None is all.
    """

    edition: Edition
    style: str
    tms_id: str
    zooms: tuple[int, ...]
    area: BaseGeometry | None = None
    attributes: tuple[str, ...] | None = None
    rows: str | None = None

    def __post_init__(self):
        served = TILE_MATRIX_SETS[self.tms_id].zooms
        if wrong := [z for z in self.zooms if z not in served]:
            raise SeedInvalid(f"{self.tms_id} has no level {wrong[0]}: its levels are {served[0]} to {served[-1]}")
        if not self.zooms:
            raise SeedInvalid("no level is asked for: give some, such as 6-14")
        if self.is_vector and self.edition.product.is_raster:
            raise SeedInvalid(f"`{self.edition.layer}` is imagery or heights: it has no features to make tiles of")
        if not self.is_vector and (self.attributes, self.rows) != (None, None):
            raise SeedInvalid("attributes and rows are those of tiles of vectors: pictures are seeded whole")

    @property
    def is_vector(self) -> bool:
        return self.style == VECTORS

    @property
    def ground(self) -> BaseGeometry:
        return self.edition.extent if self.area is None else shapely.intersection(self.edition.extent, self.area)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """`expected` tiles touch the area; `present` of them are in the cache, `blank` of these show nothing. `digest` is over place and bytes of each."""

    z: int
    expected: int
    present: int
    blank: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the cache held of a task, and of which generation of the edition."""

    form: int
    layer: str
    edition: str
    edition_id: int
    generation: int
    style: str
    tms: str
    area: str | None            # WKT in CRS84; None is all of the edition
    levels: tuple[Level, ...]
    attributes: tuple[str, ...] | None = None
    rows: str | None = None

    @property
    def is_complete(self) -> bool:
        return all(level.present == level.expected for level in self.levels)

    def written(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Raises SeedInvalid where the file is no manifest."""
        try:
            values = json.loads(path.read_text("utf-8"))
            attributes = values.get("attributes")
            more = {"levels": tuple(Level(**level) for level in values["levels"]), "attributes": None if attributes is None else tuple(attributes)}
            manifest = cls(**{**values, **more})
            if manifest.form != FORM or manifest.tms not in TILE_MATRIX_SETS:
                raise ValueError("another form")
        except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
            raise SeedInvalid(f"`{path.name}` is no manifest of tiles: name a file that `tiles seed --manifest` wrote") from error
        return manifest

    def task(self, edition: Edition) -> SeedTask:
        area = None if self.area is None else shapely.from_wkt(self.area)
        return SeedTask(
            edition=edition, style=self.style, tms_id=self.tms, zooms=tuple(level.z for level in self.levels), area=area,
            attributes=self.attributes, rows=self.rows,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a manifest says, beside what the cache holds now. `missing` names some of the tiles that are not there, as set/z/row/col."""

    is_stale: bool              # the edition has changed since
    missing_count: int
    missing: tuple[str, ...]
    altered: tuple[int, ...]    # levels that are whole but hold other bytes

    @property
    def is_good(self) -> bool:
        return not (self.is_stale or self.missing_count or self.altered)


class Anything:
    """A permit for all of one edition: seeding delivers nothing to anybody."""

    def __init__(self, edition_id: int):
        self._edition_id = edition_id

    def covers(self, edition: Edition, _variant=MASTER) -> bool:
        return edition.edition_id == self._edition_id


# Places

class Ground:
    """The tiles of a task: found block by block, so that nothing is compared with a border far away."""

    def __init__(self, task: SeedTask):
        self.tms = TILE_MATRIX_SETS[task.tms_id]
        within = shapely.intersection(task.ground, shapely.box(*crs_room.reach(self.tms.crs)))
        densified = crs_room.densify(within, "CRS:84") if not within.is_empty else within
        self.shape = crs_room.transform_geometry(densified, "CRS:84", self.tms.crs) if not within.is_empty else within
        shapely.prepare(self.shape)

    def meta_tiles(self, z: int) -> Iterator[tuple[tuple[int, int], ...]]:
        """The tiles (row, col) of each meta tile of level `z` that the ground touches; neighbours follow one another."""
        side = META_SIZE * BLOCK
        for first_row, first_col, is_inside in self._blocks(z, side):
            for row in range(first_row, first_row + side, META_SIZE):
                for col in range(first_col, first_col + side, META_SIZE):
                    if found := tuple(self._tiles(z, row, col, is_inside)):
                        yield found

    def _blocks(self, z: int, side: int) -> Iterator[tuple[int, int, bool]]:
        """First row and column of the blocks of tiles that the ground touches, and whether they lie wholly within it."""
        limits = None if self.shape.is_empty else self.tms.limits(z, Bounds(*self.shape.bounds))
        if limits is None:
            return
        first_row, last_row, first_col, last_col = limits
        for row in range(first_row // side * side, last_row + 1, side):
            for col in range(first_col // side * side, last_col + 1, side):
                box = shapely.box(*self.tms.bounds(z, row, col).union(self.tms.bounds(z, row + side - 1, col + side - 1)))
                if self.shape.intersects(box):
                    yield row, col, self.shape.contains(box)

    def _tiles(self, z: int, first_row: int, first_col: int, is_inside: bool) -> Iterator[tuple[int, int]]:
        cols, rows = self.tms.size(z)
        for row in range(first_row, min(first_row + META_SIZE, rows)):
            for col in range(first_col, min(first_col + META_SIZE, cols)):
                if is_inside or self.shape.intersects(shapely.box(*self.tms.bounds(z, row, col))):
                    yield row, col


# The job

@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The folders of an engine (`tiles.engine.Engine`), for a worker to make its own; and what makes the shelf of vectors beside it."""

    store: Path
    cache: Path
    config: Path
    shelf: Callable[[Engine], TileShelf] | None = None      # can be pickled and compared


def seed(house: House, task: SeedTask, executor: Executor, told: Told | None = None) -> Manifest:
    """Draws all tiles of `task` that are not there, and says what there is then.

    Parameters
    ----------
    executor : Executor
        Of processes that see the folders; each has an engine of its own.
    told : callable, optional
        Told after each few meta tiles.

    Raises
    ------
    SeedInvalid
        The area holds nothing of the edition, or nothing of it may be kept.
    RenderFailed
        A sheet can't be read; what was drawn before is kept.
    """
    if not Engine.is_kept(task.edition):
        raise SeedInvalid("nothing of this edition is ever kept: it is live, or drawn by another service")
    ground = Ground(task)
    total = sum(1 for z in task.zooms for _ in ground.meta_tiles(z))
    if not total:
        raise SeedInvalid("the area holds nothing of this edition: see `layer info`")
    done, waiting = 0, {}
    pieces = _pieces(ground, task.zooms)
    try:
        while True:
            for z, metas in islice(pieces, IN_FLIGHT - len(waiting)):
                waiting[executor.submit(draw, house, task, z, metas)] = z, len(metas)
            if not waiting:
                break
            done = _gather(waiting, done, total, told)
    finally:
        for future in waiting:
            future.cancel()
    return manifest_of(_engine(house), task, _shelf(house) if task.is_vector else None)


def _gather(waiting: dict[Future, tuple[int, int]], done: int, total: int, told: Told | None) -> int:
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        z, count = waiting.pop(future)
        future.result()
        done += count
        if told:
            told(done, total, f"level {z}")
    return done


def _pieces(ground: Ground, zooms: Iterable[int]) -> Iterator[tuple[int, list[tuple[tuple[int, int], ...]]]]:
    for z in zooms:
        metas = ground.meta_tiles(z)
        while piece := list(islice(metas, METAS_AT_ONCE)):
            yield z, piece


def draw(house: House, task: SeedTask, z: int, metas: Sequence[Sequence[tuple[int, int]]]) -> None:
    """The tiles of some meta tiles, where the cache has none. Runs in a worker."""
    tray = _tray(_engine(house), task, _shelf(house) if task.is_vector else None)
    for places in metas:
        for row, col in places:
            if not _is_there(tray.path(z, row, col)):
                tray.make(z, row, col)


class Tray(Protocol):
    """Where the tiles of a task are, and how one is made."""

    def path(self, z: int, row: int, col: int) -> str | Path: ...

    def make(self, z: int, row: int, col: int) -> None: ...

    def stored(self, z: int, row: int, col: int) -> bytes | None: ...

    def is_blank(self, tile: bytes) -> bool: ...


def _tray(engine: Engine, task: SeedTask, shelf: TileShelf | None) -> Tray:
    if not task.is_vector:
        return _Pictures(engine, task)
    if shelf is None:
        raise SeedInvalid("tiles of vectors can't be made here: name the store of features")
    return _Vectors(shelf, task)


class _Pictures:
    def __init__(self, engine: Engine, task: SeedTask):
        self._engine, self._what, self._permit = engine, (task.edition, task.style, task.tms_id), Anything(task.edition.edition_id)

    def path(self, z: int, row: int, col: int) -> str:
        return self._engine.tile_path(*self._what, z, row, col)

    def make(self, z: int, row: int, col: int) -> None:
        self._engine.tile(*self._what, z, row, col, self._permit)

    def stored(self, z: int, row: int, col: int) -> bytes | None:
        found = self._engine.stored_tile(*self._what, z, row, col, self._permit)
        return None if found is None else found.data

    def is_blank(self, tile: bytes) -> bool:
        return len(tile) < LARGEST_BLANK and is_blank(tile)


class _Vectors:
    def __init__(self, shelf: TileShelf, task: SeedTask):
        attributes = None if task.attributes is None else frozenset(task.attributes)
        self._shelf, self._edition, self._tms = shelf, task.edition, TILE_MATRIX_SETS[task.tms_id]
        self._shown = variant_of(task.edition, PermitPiece(area=None, attributes=attributes, rows=task.rows))

    def path(self, z: int, row: int, col: int) -> Path:
        return self._shelf.path(self._edition, self._shown, TileGrid(self._tms, z, row, col))

    def make(self, z: int, row: int, col: int) -> None:
        self._shelf.tile(self._edition, self._shown, TileGrid(self._tms, z, row, col))

    def stored(self, z: int, row: int, col: int) -> bytes | None:
        return self._shelf.stored(self._edition, self._shown, TileGrid(self._tms, z, row, col))

    def is_blank(self, tile: bytes) -> bool:
        return not self._shelf.inflated(tile)


@cache
def _shelf(house: House) -> TileShelf | None:
    return None if house.shelf is None else house.shelf(_engine(house))


@cache
def _engine(house: House) -> Engine:
    return Engine(house.store, house.cache, house.config)


def _is_there(path: str | Path) -> bool:
    try:
        return os.stat(path).st_size > 0
    except FileNotFoundError:
        return False


# What there is

def manifest_of(engine: Engine, task: SeedTask, shelf: TileShelf | None = None) -> Manifest:
    """What the cache holds of `task` now; of one of vectors `shelf` holds it."""
    edition, tray = task.edition, _tray(engine, task, shelf)
    return Manifest(
        form=FORM, layer=edition.layer, edition=edition.name, edition_id=edition.edition_id, generation=edition.generation, style=task.style,
        tms=task.tms_id, area=None if task.area is None else shapely.to_wkt(task.area, rounding_precision=-1),
        levels=tuple(_level(tray, Ground(task), z)[0] for z in task.zooms), attributes=task.attributes, rows=task.rows,
    )


def verify(engine: Engine, manifest: Manifest, edition: Edition, shelf: TileShelf | None = None) -> Finding:
    """Compares the cache with a manifest: everything that the area needs of the edition as it is now, and the bytes where nothing is missing."""
    task = manifest.task(edition)
    ground, tray, missing, count, altered = Ground(task), _tray(engine, task, shelf), [], 0, []
    is_stale = (edition.edition_id, edition.generation) != (manifest.edition_id, manifest.generation)
    for told in manifest.levels:
        level, absent = _level(tray, ground, told.z)
        count += len(absent)
        missing += [f"{manifest.tms}/{told.z}/{row}/{col}" for row, col in absent[: MOST_NAMED - len(missing)]]
        if not absent and not is_stale and level.digest != told.digest:
            altered.append(told.z)
    return Finding(is_stale=is_stale, missing_count=count, missing=tuple(missing), altered=tuple(altered))


def _level(tray: Tray, ground: Ground, z: int) -> tuple[Level, list[tuple[int, int]]]:
    """What there is of a level, and the tiles (row, col) that are missing."""
    expected, blank, digest, missing = 0, 0, hashlib.sha256(), []
    for row, col in (place for places in ground.meta_tiles(z) for place in places):
        expected += 1
        stored = tray.stored(z, row, col)
        if stored is None:
            missing.append((row, col))
            continue
        blank += tray.is_blank(stored)
        digest.update(f"{row}/{col} {hashlib.sha256(stored).hexdigest()}\n".encode())
    return Level(z=z, expected=expected, present=expected - len(missing), blank=blank, digest=digest.hexdigest()), missing


def is_blank(picture: bytes) -> bool:
    """Whether nothing is to be seen in it."""
    image = decode(picture)
    return image.mode != "RGB" and image.convert("RGBA").getextrema()[3][1] == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Tiles in the cache: how many, and bytes."""

    style: str                  # with its variant: the name of the folder
    tms: str
    z: int
    tiles: int
    size: int


def status(cache_folder: Path, edition_id: int) -> tuple[Kept, ...]:
    """What the cache holds of an edition, level by level."""
    found = []
    for level in sorted((cache_folder / str(edition_id)).glob("*/*/*"), key=lambda path: (path.parts[-3:-1], int(path.name) if path.name.isdecimal() else 0)):
        if level.is_dir() and level.name.isdecimal():
            sizes = [tile.stat().st_size for column in os.scandir(level) for tile in os.scandir(column.path)]
            found.append(Kept(style=level.parts[-3], tms=level.parts[-2], z=int(level.name), tiles=len(sizes), size=sum(sizes)))
    return tuple(found)
