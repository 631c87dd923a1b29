"""MapProxy behind one door: one edition in one style, one rebuilt request, whole pixels. No permit, no pixels.

What comes out is the same for every agency, and so is the cache: cutting comes after it, elsewhere, never before.
"""

import fcntl
import io
import math
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import shapely
from mapproxy.cache.base import TileLocker
from mapproxy.cache.file import FileCache
from mapproxy.cache.tile import Tile
from mapproxy.cache.tile_manager import TileManager
from mapproxy.image import ImageResult
from mapproxy.layer.direct_map_layer import DirectMapLayer
from mapproxy.query import MapQuery
from mapproxy.source import SourceError
from mapproxy.srs import SRS
from mapproxy.util.lock import FileLock, LockTimeout
from PIL import Image
from rasterio.errors import RasterioError
from shapely.geometry.base import BaseGeometry

from layers import crs as crs_room
from layers.errors import OutsideAreaOfUse
from layers.model import Bounds, Edition, Patch, ProductType, Source, View, tile_styles
from layers.mosaic.reader import MosaicReader
from tiles.contours import MARGIN as CONTOUR_MARGIN
from tiles.crossing import Crossing
from tiles.dlg_styles import StyleBook, has_labels
from tiles.encode import decode
from tiles.errors import PermitMissing, RenderFailed, RequestInvalid
from tiles.grids import TILE_MATRIX_SETS, TileMatrixSet
from tiles.mapproxy_config import JPEG_QUALITY, LABEL_BUFFER, META_SIZE, SOURCE, configuration, extension, tile_folder
from tiles.remote import WHOLE, Door
from tiles.sources import SYMBOL_SCALE, EditionConfiguration, EditionRegistry, register_sources
from tiles.symbols import names_told
from tiles.variants import CONTOURED, JOINT, MASTER, Variant, grid_of

MOST_RENDERERS = 256
MOST_REMOTE = 4
"""Pictures that services elsewhere may be asked for at the same time: a slow one holds up nobody who asks for something of ours."""
PATIENCE = 30.0
"""Seconds a request waits for its turn to draw before it is told to come back."""

ALIGNED = 0.01
"""Pixels by which a view may differ from a tile matrix and still be pasted from tiles."""

KERNEL_MARGIN = 6
"""Pixels beyond a changed sheet that mixing and averaging may carry its colours: to the pixel of a level that holds them, one more where sheets of
different grids meet, one for slopes, one for mixing; each of them up to 1.25 pixels of a tile."""

BLOCK_MARGIN = 42
"""Pixels more where a low-resolution copy is kept as JPEG: a block of 16 that holds a change changes all over, and so does the next level's."""

CELL_MARGIN, BLOCK_CELLS = 14, 18
"""Cells of a degraded grid that they may (a colour is mixed of four to each side, and their slopes of heights made of six), and blocks; the widest ones that are shown are hardly wider than a pixel."""

UNREADABLE = "the data of this layer can't be read at this moment: ask again later, or tell the bureau"

PNG_LEVEL = 3
PNG_MAGIC, JPEG_MAGIC = b"\x89PNG", b"\xff\xd8"

register_sources()


@dataclass(frozen=True, slots=True)
class StoredTile:
    """A tile as the cache holds it."""

    data: bytes
    media_type: str


class Permit(Protocol):
    """All that is looked at of a permit (`tiles.permits.Permit`) on this side of the cache: never its area."""

    def covers(self, edition: Edition, variant: Variant = MASTER) -> bool: ...


class Blade(Protocol):
    """What cuts features (`tiles.vector.ground.Ground`): handed through, never looked into."""

    def cut(self, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...


class Engine:
    """Draws editions and keeps their tiles. May be shared by threads; processes share the cache folder.

    Parameters
    ----------
    store : Path
        Folder of the editions' folders.
    cache : Path
        Folder of the tiles. Nothing in it depends on who asks.
    config : Path
        Folder of relief.csv and styles/.
    most_at_once : int, optional
        How many pictures may be drawn at the same time; others wait up to `patience` seconds.
    door : Door, optional
        The way to services elsewhere, for editions that they draw.
    """

    def __init__(self, store: Path, cache: Path, config: Path, *, most_at_once: int | None = None, patience: float = PATIENCE, door: Door | None = None):
        self._cache = cache.absolute()
        self._locks = _lock_folder(self._cache)
        self._registry = EditionRegistry(store.absolute(), config.absolute(), self._cache, door)
        self._generations = _Generations(self._cache)
        self._renderers: OrderedDict[tuple[int, int, str, Variant], _Renderer] = OrderedDict()
        self._config, self._names = config.absolute(), {}
        self._coverages: dict[tuple[int, int, str], tuple] = {}
        self._building = threading.Lock()
        self._patience = patience
        self._slots = threading.BoundedSemaphore(most_at_once or 2 * (os.cpu_count() or 1))
        self._remote_slots = threading.BoundedSemaphore(MOST_REMOTE)
        self._turns = Turns()

    # Questions

    def style(self, edition: Edition, asked: str | None) -> str:
        """The style of tiles that `asked` names; the product's first where it names none.

        Raises
        ------
        RequestInvalid
            The product has no such style.
        """
        styles = tile_styles(edition.product)
        if not asked or asked == "default":
            return styles[0]
        if asked not in styles:
            detail = {"layer": edition.layer, "style": asked[:40], "choices": ", ".join(styles)}
            message = "layer `{layer}` has no style `{style}`: ask for {choices}".format(**detail)
            raise RequestInvalid("StyleNotDefined", "STYLES", message, fault="style-not-defined", detail=detail)
        return asked

    def names_written(self, edition: Edition, style: str) -> frozenset[str]:
        """`CLASS.FIELD` of the attributes that the picture tells: writes as names, or classes an overlay by. None for rasters, and of a line map for
        the style without labels."""
        if edition.source is Source.REMOTE:
            return frozenset({WHOLE})
        if edition.symbols is not None:
            return names_told(edition, style)
        if edition.product.is_raster or not has_labels(style):
            return frozenset()
        key = edition.edition_id, edition.generation
        if key not in self._names:
            self._names[key] = StyleBook.load(self._config / "styles").names_written(edition)
        return self._names[key]

    def is_beyond(self, edition: Edition, tms_id: str, z: int, row: int, col: int) -> bool:
        """Whether the tile lies wholly outside the box of the edition's data: a comparison of integers."""
        limits = self._coverage(edition, tms_id)[z]
        return limits is None or not (limits[0] <= row <= limits[1] and limits[2] <= col <= limits[3])

    @staticmethod
    def is_kept(edition: Edition) -> bool:
        """Whether anything drawn of the edition may be kept at all: not of a live table, nor of what another service draws."""
        return edition.source is Source.STORED

    def tile_path(self, edition: Edition, style: str, tms_id: str, z: int, row: int, col: int, variant: Variant = MASTER) -> str:
        """Where the tile is in the cache, or would be."""
        return f"{tile_folder(self._cache, edition.edition_id, style, tms_id, variant)}/{z}/{col}/{row}.{extension(edition)}"

    def reader(self, edition: Edition, degrade: float | None = None) -> MosaicReader:
        """Reads pixels and heights of an edition of rasters, or cells of `degrade` metres of them; kept open from one request to the next."""
        self._registry.enrol(edition)
        return self._registry.reader(edition.edition_id, edition.generation, degrade)

    # Pictures

    def map(
        self, edition: Edition, style: str, view: View, permit: Permit, symbol_scale: float = 1.0, variant: Variant = MASTER,
    ) -> Image.Image:
        """The whole layer in `view`, unclipped: RGB where it is opaque, else RGBA.

        Drawn for the view, so it is sharp in every CRS; pasted from tiles where they are at hand and lie exactly on its pixels.
        `symbol_scale` enlarges lines, symbols and text of a line map, for prints of many dots per inch; never what may be seen.

        Raises
        ------
        PermitMissing
            `permit` is for another edition, or not for this variant of it.
        RenderFailed
            The data can't be read now, or too much is being drawn.
        """
        _check(edition, permit, variant)
        pasted = self._pasted(edition, style, view, variant) if symbol_scale == 1.0 and self.is_kept(edition) else None
        if pasted is not None:
            return pasted
        with self._slot(self._remote_slots if edition.source is Source.REMOTE else self._slots):
            return self._renderer(edition, style, variant).map(view, symbol_scale)

    def cut_map(
        self, edition: Edition, style: str, view: View, blade: Blade, permit: Permit, symbol_scale: float = 1.0, variant: Variant = MASTER,
    ) -> Image.Image:
        """A line map in `view`, drawn from features that `blade` has cut before anything is drawn, and of nothing else. Nothing of it is kept here.

        Raises
        ------
        PermitMissing, RenderFailed
            As `map`.
        """
        _check(edition, permit, variant)
        with self._slot(self._slots):
            self._registry.enrol(edition)
            return self._registry.cut_line_map(edition.edition_id, edition.generation, style, variant).render(view, blade, symbol_scale)

    def crossing(self, edition: Edition, ground: shapely.Geometry, hair: float) -> Crossing:
        """Shapes of a line map that reach across the border of `ground`, in the edition's CRS, by `hair` of its units or more. Raises RenderFailed."""
        return self._registry.crossing(edition, ground, hair)

    def values(self, edition: Edition, view: View, permit: Permit, variant: Variant = MASTER, *, nearest: bool = False) -> Patch | None:
        """The numbers of the whole edition (rasters only) in `view`, unclipped; None where it has none. Nothing of them is ever cached.

        Where the view's pixels are those of the sheets they come as they are; elsewhere they are mixed, or with `nearest` picked.

        Raises
        ------
        PermitMissing, RenderFailed
            As `map`.
        """
        _check(edition, permit, variant)
        with self._slot(self._slots):
            try:
                return self.reader(edition, variant.degrade).read(view, nearest=nearest)
            except (RasterioError, OSError) as error:
                raise RenderFailed(UNREADABLE) from error

    def tile(
        self, edition: Edition, style: str, tms_id: str, z: int, row: int, col: int, permit: Permit, variant: Variant = MASTER,
    ) -> StoredTile:
        """The whole tile, unclipped: from the cache, or drawn (with its neighbours) and stored there; of what may not be kept, drawn by itself.

        Raises
        ------
        PermitMissing, RenderFailed
            As `map`.
        """
        stored = self.stored_tile(edition, style, tms_id, z, row, col, permit, variant)
        if stored is not None:
            return stored
        if self.is_beyond(edition, tms_id, z, row, col):
            return _blank()
        if not self.is_kept(edition):
            tms = TILE_MATRIX_SETS[tms_id]
            view = View(crs=tms.crs, bounds=tms.bounds(z, row, col), width=tms.tile_size, height=tms.tile_size)
            return StoredTile(_encode(self.map(edition, style, view, permit, variant=variant), may_be_jpeg=False), "image/png")
        meta_tile = edition.edition_id, edition.generation, style, variant, tms_id, z, row // META_SIZE, col // META_SIZE
        with self._turns.of(meta_tile, self._patience):
            stored = self.stored_tile(edition, style, tms_id, z, row, col, permit, variant)
            if stored is not None:
                return stored
            with self._slot(self._slots):
                return self._renderer(edition, style, variant).tile(tms_id, z, row, col)

    def stored_tile(
        self, edition: Edition, style: str, tms_id: str, z: int, row: int, col: int, permit: Permit, variant: Variant = MASTER,
    ) -> StoredTile | None:
        """The tile if the cache has it, which it never has of what may not be kept. Raises PermitMissing."""
        _check(edition, permit, variant)
        if not self.is_kept(edition):
            return None
        return _read(self.tile_path(edition, style, tms_id, z, row, col, variant))

    # Changes

    def storing(self, edition: Edition) -> AbstractContextManager[bool]:
        """Whether a tile of this generation may be stored beside those of pictures, for as long as it takes: for tiles of another making."""
        return self._generations.storing(edition)

    def expire(self, edition: Edition, extent: BaseGeometry) -> int:
        """Delete the tiles that a change within `extent` touches, at every level, in every set, style and variant; how many they were.

        Parameters
        ----------
        edition : Edition
            As it is after the change: what is being drawn of an earlier generation will not be stored any more.
        extent : BaseGeometry
            What changed, in CRS84.
        """
        self._generations.advance(edition)
        count = 0
        for style in [one for one in (self._cache / str(edition.edition_id)).iterdir() if one.is_dir()]:
            for tms in TILE_MATRIX_SETS.values():
                folder = style / tms.id
                count += sum(_remove(path) for path in _touched(folder, tms, extent, edition, style.name)) if folder.is_dir() else 0
        return count

    def forget(self, edition_id: int) -> None:
        """Delete all tiles of an edition that is no more."""
        shutil.rmtree(self._cache / str(edition_id), ignore_errors=True)

    # Inside

    def _renderer(self, edition: Edition, style: str, variant: Variant = MASTER) -> "_Renderer":
        key = edition.edition_id, edition.generation, style, variant
        with self._building:
            renderer = self._renderers.get(key)
            if renderer is None:
                self._registry.enrol(edition)
                conf = configuration(edition, style, variant, cache=self._cache, locks=self._locks)
                renderer = _Renderer(EditionConfiguration(conf, self._registry, self._cache), edition, self._generations)
                self._renderers[key] = renderer
                if len(self._renderers) > MOST_RENDERERS:
                    self._renderers.popitem(last=False)
            self._renderers.move_to_end(key)
            return renderer

    def _coverage(self, edition: Edition, tms_id: str) -> tuple[tuple[int, int, int, int] | None, ...]:
        key = edition.edition_id, edition.generation, tms_id
        limits = self._coverages.get(key)
        if limits is None:
            if len(self._coverages) > 4 * MOST_RENDERERS:
                self._coverages = {}
            limits = self._coverages[key] = _limits(edition, TILE_MATRIX_SETS[tms_id])
        return limits

    @contextmanager
    def _slot(self, slots: threading.BoundedSemaphore) -> Iterator[None]:
        if not slots.acquire(timeout=self._patience):
            raise RenderFailed("too many maps are being drawn at this moment: ask again in a few seconds")
        try:
            yield
        finally:
            slots.release()

    def _pasted(self, edition: Edition, style: str, view: View, variant: Variant) -> Image.Image | None:
        """`view` put together from tiles, where all of them are in the cache and lie on its pixels."""
        for tms in TILE_MATRIX_SETS.values():
            offset = _offset_in(tms, view)
            if offset is not None:
                return self._paste(edition, style, variant, tms, *offset, view)
        return None

    def _paste(
        self, edition: Edition, style: str, variant: Variant, tms: TileMatrixSet, z: int, left: int, top: int, view: View,
    ) -> Image.Image | None:
        size = tms.tile_size
        rows, cols = range(top // size, (top + view.height - 1) // size + 1), range(left // size, (left + view.width - 1) // size + 1)
        places = [
            (self.tile_path(edition, style, tms.id, z, row, col, variant), (col * size - left, row * size - top))
            for row in rows for col in cols if not self.is_beyond(edition, tms.id, z, row, col)
        ]
        if not all(os.path.exists(path) for path, _ in places):
            return None
        tiles = [_read(path) for path, _ in places]
        if None in tiles:
            return None
        return _laid_out([(decode(tile.data), place) for tile, (_, place) in zip(tiles, places, strict=True)], (view.width, view.height))


def _laid_out(pictures: list[tuple[Image.Image, tuple[int, int]]], size: tuple[int, int]) -> Image.Image:
    """Pictures side by side; RGB where they are opaque and fill the whole."""
    covered = sum(
        max(0, min(left + picture.width, size[0]) - max(left, 0)) * max(0, min(top + picture.height, size[1]) - max(top, 0))
        for picture, (left, top) in pictures
    )
    is_opaque = covered == size[0] * size[1] and all(picture.mode == "RGB" for picture, _ in pictures)
    whole = Image.new("RGB" if is_opaque else "RGBA", size)
    for picture, place in pictures:
        whole.paste(picture if picture.mode == whole.mode else picture.convert(whole.mode), place)
    return whole


class _Renderer:
    """One edition in one style: MapProxy's tile managers, one a set, and its source."""

    def __init__(self, conf: EditionConfiguration, edition: Edition, generations: "_Generations"):
        self._conf = conf
        with conf:
            self._source = conf.sources[SOURCE].source()
            self._managers = {tms_id: conf.caches[tms_id].caches()[0][2] for tms_id in TILE_MATRIX_SETS}
        for manager in self._managers.values():
            manager.pre_store_filter = [_Finish(manager, edition)]
            manager.cache.store_tile = partial(_store, generations, edition, manager.cache)
            manager.locker = _TidyLocker(manager.locker.lock_dir, manager.locker.lock_timeout, manager.locker.lock_cache_id)

    def tile(self, tms_id: str, z: int, row: int, col: int) -> StoredTile:
        with self._conf, _told_as_render_failed():
            result = self._managers[tms_id].load_tile_coord((col, row, z)).image_result
            if result is None:
                return _blank()
            buffer = result.as_buffer(seekable=True)
            buffer.seek(0)
            return _stored(buffer.read())

    def map(self, view: View, symbol_scale: float = 1.0) -> Image.Image:
        with self._conf, _told_as_render_failed():
            query = MapQuery(
                tuple(view.bounds), (view.width, view.height), SRS(_mapproxy_name(view.crs)), "image/png", dimensions={SYMBOL_SCALE: symbol_scale},
            )
            return DirectMapLayer(self._source, self._source.extent).get_map(query).as_image()


class _TidyLocker(TileLocker):
    """MapProxy's lock files, closed when they are removed: its own leaves that to the garbage collector."""

    def lock(self, tile: Tile) -> FileLock:
        return _TidyLock(self.lock_filename(tile), timeout=self.lock_timeout)


class _TidyLock(FileLock):
    def unlock(self) -> None:
        if self._locked:
            self._locked = False
            Path(self.lock_file).unlink(missing_ok=True)     # who waits for it finds the tile, whichever file it then locks
            self._lock.close()


def _store(generations: "_Generations", edition: Edition, cache: FileCache, tile: Tile, dimensions: dict | None = None) -> bool:
    """What MapProxy does with a tile that it has drawn, unless the tile is out of date by now.

    A tile that is there stays as it is: it was only drawn because others of its meta tile were missing.
    """
    with generations.storing(edition) as is_current:
        if not is_current or _is_whole(cache.tile_location(tile, create_dir=False)):
            return True
        return FileCache.store_tile(cache, tile, dimensions=dimensions)


def _is_whole(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0
    except FileNotFoundError:
        return False


class _Finish:
    """What happens to a tile between MapProxy's drawing and storing it: it is encoded."""

    def __init__(self, manager: TileManager, edition: Edition):
        self._image_opts, self._edition = manager.image_opts, edition
        self._may_be_jpeg = extension(edition) == "mixed"

    def __call__(self, tile: Tile) -> Tile:
        if self._edition.product.is_raster:
            data = _encode(tile.image_result.as_image(), self._may_be_jpeg)
            tile.image_result = ImageResult(io.BytesIO(data), image_opts=self._image_opts)
        else:
            tile.image_result.as_buffer(self._image_opts)
        return tile


class _Generations:
    """The newest generation of each edition, told from process to process by a file in the cache.

    Who stores a tile holds a lock that many may hold, who makes the generation newer one that nobody else may: so no tile of an earlier generation
    comes to the disk after `advance`. The system lets go of a lock when its process dies.
    """

    def __init__(self, cache: Path):
        self._cache = cache

    def advance(self, edition: Edition) -> None:
        """From now on tiles of earlier generations are not stored."""
        with self._locked(edition, fcntl.LOCK_EX) as folder:
            if self._newest(folder) < edition.generation:
                unfinished = folder / f"generation-{os.getpid()}-{threading.get_ident()}"
                unfinished.write_text(str(edition.generation), encoding="ascii")
                os.replace(unfinished, folder / "generation")

    @contextmanager
    def storing(self, edition: Edition) -> Iterator[bool]:
        """Whether a tile of this generation may be stored, for as long as it takes."""
        with self._locked(edition, fcntl.LOCK_SH) as folder:
            yield self._newest(folder) <= edition.generation

    @contextmanager
    def _locked(self, edition: Edition, how: int) -> Iterator[Path]:
        folder = self._cache / str(edition.edition_id)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "storing").open("ab") as lock:
            fcntl.flock(lock, how)
            yield folder

    @staticmethod
    def _newest(folder: Path) -> int:
        try:
            return int((folder / "generation").read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0


class Turns:
    """One thread at a time for each thing; MapProxy's lock files do the same among processes, by polling."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[tuple, tuple[threading.Lock, int]] = {}

    @contextmanager
    def of(self, thing: tuple, patience: float) -> Iterator[None]:
        with self._guard:
            lock, waiting = self._locks.get(thing, (threading.Lock(), 0))
            self._locks[thing] = lock, waiting + 1
        taken = lock.acquire(timeout=patience)
        try:
            if not taken:
                raise RenderFailed("this part of the map is still being drawn: ask again in a few seconds")
            yield
        finally:
            if taken:
                lock.release()
            with self._guard:
                lock, waiting = self._locks[thing]
                if waiting == 1:
                    del self._locks[thing]
                else:
                    self._locks[thing] = lock, waiting - 1


def _check(edition: Edition, permit: Permit, variant: Variant) -> None:
    if permit is None or not permit.covers(edition, variant):
        raise PermitMissing(f"a picture of `{edition.layer}` was asked for without a permit")


@contextmanager
def _told_as_render_failed() -> Iterator[None]:
    try:
        yield
    except SourceError as error:
        raise RenderFailed(UNREADABLE) from error
    except LockTimeout as error:
        raise RenderFailed("this part of the map is still being drawn: ask again in a few seconds") from error


def _lock_folder(cache: Path) -> Path:
    """Beside the tiles, so that nothing of ours lies anywhere else; the cache is a folder of this machine."""
    return cache / "locks"


# Bytes

def _read(path: str) -> StoredTile | None:
    try:
        with open(path, "rb", buffering=0) as file:
            data = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RenderFailed("the cache can't be read: see the rights and the disk of its folder") from error
    return _stored(data) if data else None


def _stored(data: bytes) -> StoredTile:
    return StoredTile(data, "image/jpeg" if data.startswith(JPEG_MAGIC) else "image/png")


def _encode(picture: Image.Image, may_be_jpeg: bool) -> bytes:
    """JPEG where that is allowed and nothing is transparent, else PNG in true colour; nothing is left under transparency."""
    if picture.mode == "RGBA" and picture.getextrema()[3] == (255, 255):
        picture = picture.convert("RGB")
    out = io.BytesIO()
    if may_be_jpeg and picture.mode == "RGB":
        picture.save(out, "JPEG", quality=JPEG_QUALITY)
    else:
        picture.save(out, "PNG", compress_level=PNG_LEVEL)
    return out.getvalue()


def _blank() -> StoredTile:
    return StoredTile(_encode(Image.new("RGBA", (256, 256)), False), "image/png")


# Places

def _mapproxy_name(crs: str) -> str:
    """x before y either way; MapProxy's own CRS:84 is a PROJ string without a code."""
    return "EPSG:4326" if crs == "CRS:84" else crs


def _box_in(extent: BaseGeometry, crs: str) -> Bounds | None:
    """The box of `extent` (CRS84) in `crs`, as far as `crs` can express it; None where it can't express any of it."""
    reach, bounds = crs_room.reach(crs), Bounds(*extent.bounds)
    if not bounds.intersects(reach):
        return None
    try:
        return crs_room.transform_bounds(bounds.intersection(reach), "CRS:84", crs)
    except OutsideAreaOfUse:
        return None


def _reach_of_symbols(edition: Edition) -> int:
    """Pixels by which what is drawn may stand out over its data."""
    return KERNEL_MARGIN if edition.product.is_raster else LABEL_BUFFER


def _grown(bounds: Bounds, by: float) -> Bounds:
    return Bounds(bounds.left - by, bounds.bottom - by, bounds.right + by, bounds.top + by)


def _limits(edition: Edition, tms: TileMatrixSet) -> tuple[tuple[int, int, int, int] | None, ...]:
    """Per level, min_row, max_row, min_col, max_col of the tiles that may show something of the edition."""
    box = _box_in(edition.extent, tms.crs)
    if box is None:
        return (None,) * len(tms.resolutions)
    margin = _reach_of_symbols(edition)
    return tuple(tms.limits(z, _grown(box, margin * resolution)) for z, resolution in enumerate(tms.resolutions))


def _offset_in(tms: TileMatrixSet, view: View) -> tuple[int, int, int] | None:
    """Level, and column and row in it of the view's first pixel, where the view's pixels are pixels of the set; else None."""
    if view.crs != tms.crs:
        return None
    step_x, step_y = view.resolution
    z = tms.level_of(step_x)
    if z is None or not math.isclose(step_x, step_y, rel_tol=1e-6):
        return None
    left, top = (view.bounds.left - tms.origin[0]) / tms.resolutions[z], (tms.origin[1] - view.bounds.top) / tms.resolutions[z]
    if max(abs(left - round(left)), abs(top - round(top))) > ALIGNED or left < -ALIGNED or top < -ALIGNED:
        return None
    return z, round(left), round(top)


def _touched(folder: Path, tms: TileMatrixSet, extent: BaseGeometry, edition: Edition, style: str) -> Iterator[Path]:
    """The tiles in `folder` that a change within `extent` touches: what is there is listed, not what might be.

    A label may stand anywhere in the tiles that are drawn together, so of line maps all of those go. `style` is the name of the style's folder.
    """
    box = _box_in(extent, tms.crs)
    if box is None:
        return
    shape = _shape_in(extent, tms.crs)
    unit = 1 if edition.product.is_raster else META_SIZE
    reach = _Reach(edition, style, crs_room.finest_unit(box, tms.crs))
    for z in tms.zooms:
        margin = reach.at(tms.resolutions[z])
        limits = tms.limits(z, _grown(box, margin))
        if limits is not None and (folder / str(z)).is_dir():
            for row, col, path in _stored_within(folder / str(z), limits, unit):
                if shapely.dwithin(shape, shapely.box(*_block(tms, z, row, col, unit)), margin):
                    yield path


class _Reach:
    """How far beyond a change a tile may show it. `metres` on the ground, at least, is one unit of the tiles' CRS."""

    def __init__(self, edition: Edition, style: str, metres: float):
        self._pixels = _reach_of_symbols(edition)
        if edition.product is ProductType.DEM and style.split(JOINT)[0] in CONTOURED:
            self._pixels += CONTOUR_MARGIN
        self._cell = (grid_of(style) or 0.0) / metres
        copies = [
            mosaic.resolution * mosaic.overview_factor * crs_room.finest_unit(mosaic.bounds, mosaic.crs) for mosaic in edition.mosaics if mosaic.overview
        ]
        is_lossy = edition.product is ProductType.DOM and not (edition.lossless or edition.nearest)
        self._finest_copy = min(copies) / metres if copies and is_lossy else math.inf

    def at(self, resolution: float) -> float:
        """In units of the tiles' CRS, of which a pixel has `resolution`."""
        has_blocks = 2 * max(resolution, self._cell) >= self._finest_copy
        margin = (self._pixels + (BLOCK_MARGIN if has_blocks else 0)) * resolution
        if self._cell:
            margin = max(margin, (CELL_MARGIN + (BLOCK_CELLS if has_blocks else 0)) * max(self._cell, resolution))
        return margin


def _shape_in(extent: BaseGeometry, crs: str) -> BaseGeometry:
    reach = shapely.box(*crs_room.reach(crs))
    shape = crs_room.transform_geometry(crs_room.densify(shapely.intersection(extent, reach), "CRS:84"), "CRS:84", crs)
    shapely.prepare(shape)
    return shape


def _block(tms: TileMatrixSet, z: int, row: int, col: int, unit: int) -> Bounds:
    """The box of the `unit` x `unit` tiles that hold this one."""
    row, col = row // unit * unit, col // unit * unit
    return tms.bounds(z, row, col).union(tms.bounds(z, row + unit - 1, col + unit - 1))


def _stored_within(level: Path, limits: tuple[int, int, int, int], unit: int) -> Iterator[tuple[int, int, Path]]:
    """row, col and path of the stored tiles within `limits`, these widened to whole blocks of `unit` tiles."""
    first_row, last_row, first_col, last_col = limits
    rows = range(first_row // unit * unit, (last_row // unit + 1) * unit)
    cols = range(first_col // unit * unit, (last_col // unit + 1) * unit)
    for column in os.scandir(level):
        if column.name.isdecimal() and int(column.name) in cols:
            for tile in os.scandir(column.path):
                row = tile.name.partition(".")[0]
                if row.isdecimal() and int(row) in rows:
                    yield int(row), int(column.name), Path(tile.path)


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
