"""What was delivered: a folder, a zip, or all objects under a prefix of an object store, as files that can be checked and taken in.

A folder is read where it lies. A zip and an object store are staged first: each set of files that belong together (a raster and what lies
beside it) goes into a folder of its own under a random name, so that no name in the delivery decides where anything is written. Staging
that was interrupted goes on where it stopped.
"""

import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from layers.delivery import formats, geodatabases, refused_vectors, vector_formats
from layers.delivery.object_stores import stage_objects
from layers.delivery.sheet_facts import FACTS_FILE, SheetFacts, named_product
from layers.delivery.staging import Limits, Staged, staging_folder
from layers.delivery.zips import stage_zip
from layers.errors import LayerRejected
from layers.model import ProductType

STORE_URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?", re.IGNORECASE)

Progress = Callable[[int, int, str], None]
"""Told after each staged file: how many are there, of how many, the file's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What one job is given.

    `files` are to be taken in; `told` says, a sentence each, what was left out; `faults` are what could not be read at all. `staged` holds
    copies that are of no use once the job is done. `unreadable` are files that are worth a note although they can't be taken in: VCT.
    """

    files: tuple[Path, ...]
    facts: SheetFacts
    told: tuple[str, ...] = ()
    faults: tuple[LayerRejected, ...] = ()
    staged: tuple[Path, ...] = ()
    unreadable: tuple[Path, ...] = ()

    def discard(self) -> None:
        """Deletes what was staged; never what was delivered."""
        for folder in self.staged:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):                         # others are still there
                folder.parent.rmdir()


def received(
    places: Iterable[Path | str], product: ProductType, work: Path, *, limits: Limits | None = None, progress: Progress | None = None,
) -> Delivery:
    """The files of a delivery that are of the product asked for.

    Parameters
    ----------
    places : iterable of path or str
        Files, folders, zips, and `s3://bucket/prefix`.
    work : Path
        A folder with room for what must be staged; the same place is staged into the same folder again.

    Raises
    ------
    LayerRejected
        An object store can't be reached, or `sheets.csv` is faulty.
    """
    limits = limits or Limits()
    found, told, faults, staged, tables, seen = [], [], [], [], [], []
    for place in places:
        text = _store_url(str(place))
        if is_store_url(text):
            folder = staging_folder(work, text)
            staged_files = stage_objects(text, folder, limits, progress)
            seen += staged_files.files
            _add(staged_files, product, found, told, faults)
            staged.append(folder)
            tables += _tables(folder)
            continue
        path = Path(place)
        if geodatabases.is_geodatabase(path):
            found.append(path)
        elif path.is_dir():
            held = _files_in(path)
            seen += held.files
            _add(held, product, found, told, faults)
            tables += _tables(path)
        elif path.is_file() and path.suffix.lower() == ".zip":
            folder = staging_folder(work, path)
            unpacked = stage_zip(path, folder, limits, progress)
            seen += unpacked.files
            _add(unpacked, product, found, told, faults)
            staged.append(folder)
            tables += _tables(folder)
        elif path.is_file():
            found.append(path)
            seen.append(path)
        else:
            faults.append(LayerRejected(path.name, "there is no such file", "see its name and folder"))
    return Delivery(
        files=tuple(dict.fromkeys(found)), facts=SheetFacts.load(tables), told=tuple(told), faults=tuple(faults), staged=tuple(staged),
        unreadable=tuple(dict.fromkeys(path for path in seen if path.suffix.lower() == ".vct")),
    )


def is_store_url(text: str) -> bool:
    """Whether it names an object store. A Path has one slash of it: `s3:/bucket`."""
    return bool(STORE_URL.fullmatch(_store_url(text)))


def _store_url(text: str) -> str:
    return re.sub(r"^s3:/(?!/)", "s3://", text, flags=re.IGNORECASE)


def _files_in(folder: Path) -> Staged:
    """Every file of a folder, but for hidden ones and for links that lead out of it."""
    root, files, told = folder.resolve(), [], []
    for path in sorted(folder.rglob("*")):
        if any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts):
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            told.append(f"{path.name}: it is a link that leads out of the folder, and was left out")
        elif path.is_file():
            files.append(path)
    return Staged(name=folder.name, files=tuple(files), told=tuple(told), faults=())


def _add(staged: Staged, product: ProductType, found: list[Path], told: list[str], faults: list[LayerRejected]) -> None:
    files = list(staged.files) if product.is_raster else geodatabases.folded(staged.files)
    wanted = [path for path in files if _is_wanted(path, product)]
    refused = [] if product.is_raster else [(path, why) for path in files if path not in wanted and (why := _refusal(path))]
    unread = [path for path in files if path.suffix.lower() == ".vct"] if product.is_raster else []
    other = [path for path in wanted if named_product(path.name) not in (None, product.value)]
    if other and len(other) < len(wanted):                  # DOM and DEM in one folder; a folder of one kind is taken at its word
        told.append(f"{staged.name}: {len(other)} files are called something else than {product.value} (`{other[0].name}`), and were left out")
        wanted = [path for path in wanted if path not in set(other)]
    if not wanted and not staged.faults:
        kinds = ", ".join(formats.SUFFIXES if product.is_raster else vector_formats.SUFFIXES)
        faults += [why for _, why in refused] or [formats.unreadable(unread[0]) if unread else LayerRejected(
            staged.name, f"the folder holds no file of the kind {kinds}", "name the right folder")]
    else:
        told += [str(why) for _, why in refused]
        told += [str(formats.unreadable(path)) for path in unread]
    found += wanted
    told += staged.told
    faults += staged.faults


def _is_wanted(path: Path, product: ProductType) -> bool:
    return formats.is_raster(path) if product.is_raster else path.suffix.lower() in vector_formats.SUFFIXES


def _refusal(path: Path) -> LayerRejected | None:
    """Why a file that looks like vectors is left out; None for one that is meant for something else."""
    if path.suffix.lower() not in refused_vectors.SUFFIXES or path.name.lower() == FACTS_FILE:
        return None
    return refused_vectors.refusal_of(path)


def _tables(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.rglob("*") if path.name.lower() == FACTS_FILE and path.is_file())


__all__ = ["Delivery", "Limits", "SheetFacts", "is_store_url", "received"]
