"""What of a job is finished, as it lies in an edition's folder: sheets with their records, delivered files, checksums once reckoned.

    sheets/<content>-<how>.tif|.gpkg     a finished sheet, named by the checksum of its file and by what it was made with
    sheets/<content>-<how>.json          its record: only with it does a sheet count as finished
    delivered/<content>-<how>/           the file as it was delivered, with what lay beside it
    checksums.txt                        of files that were read once: a job that goes on need not read them again

Everything gets its name when it is whole, and what a record speaks of is on the disk before it, so that a process, or the power, may go at
any moment; a record that is torn is none.
"""

import json
import os
import shutil
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import shapely

from layers.ingest.sources import copy_and_sum
from layers.ingest.table_findings import TableChecked
from layers.model import Bounds, Edition, Sheet

LOCK = ".lock"
CHECKSUMS = "checksums.txt"
DELIVERED = "delivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A file that was taken in: the sheet, the 2nd and 98th percentile of a DEM's heights in metres, and what was found in the tables of vectors."""

    sheet: Sheet
    heights: tuple[float, float] | None = None
    tables: tuple[TableChecked, ...] = ()


# Records

def write_record(folder: Path, finished: Finished) -> None:
    """Says, beside the finished file, what it is; only then does it count as finished."""
    sheet = finished.sheet
    values = {name: getattr(sheet, name) for name in Sheet.__slots__} | {
        "footprint": shapely.to_wkb(sheet.footprint, hex=True), "heights": finished.heights, "size": (folder / sheet.path).stat().st_size,
        "currency": sheet.currency and sheet.currency.isoformat(), "taken_in": sheet.taken_in and sheet.taken_in.isoformat(), "tables": [table.as_json() for table in finished.tables],
    }
    record = record_path(folder, sheet.path)
    unfinished = record.with_suffix(f".{part_mark()}.part.json")
    unfinished.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
    os.replace(unfinished, record)


def read_record(folder: Path, relative: str) -> Finished | None:
    """What was finished under that name, or None."""
    record, target = record_path(folder, relative), folder / relative
    if not (record.is_file() and target.is_file()):
        return None
    try:
        values = json.loads(record.read_text(encoding="utf-8"))
    except ValueError:
        return None
    heights, size, tables = values.pop("heights"), values.pop("size"), values.pop("tables", [])
    if target.stat().st_size != size:
        return None
    sheet = Sheet(**{
        **values, "bounds": Bounds(*values["bounds"]), "footprint": shapely.from_wkb(values["footprint"]),
        "resolution": tuple(values["resolution"]), "lineage": tuple(values["lineage"]),
        "currency": date.fromisoformat(values["currency"]) if values.get("currency") else None,
        "taken_in": datetime.fromisoformat(values["taken_in"]) if values.get("taken_in") else None,
    })
    return Finished(sheet=sheet, heights=tuple(heights) if heights else None, tables=tuple(map(TableChecked.from_json, tables)))


def heights_of(folder: Path, relative: str) -> tuple[float, float] | None:
    """The 2nd and 98th percentile of a finished DEM, in metres."""
    record = record_path(folder, relative)
    heights = json.loads(record.read_bytes())["heights"] if record.is_file() else None
    return tuple(heights) if heights else None


def record_path(folder: Path, relative: str) -> Path:
    return (folder / relative).with_suffix(".json")


def finished_in(folder: Path) -> set[str]:
    """The sheets that have a record, relative to the edition's folder."""
    sheets = (path for path in folder.glob("sheets/*") if path.suffix != ".json" and path.with_suffix(".json").is_file())
    return {path.relative_to(folder).as_posix() for path in sheets}


def part_mark() -> str:
    """What tells the unfinished files of one worker from those of another."""
    return f"{os.getpid()}-{threading.get_ident()}"


# Delivered files

def keep(folder: Path, parts: Sequence[Path], beside: Sequence[Path], name_of) -> tuple[str, str]:
    """Copies a delivered file, and what lies beside it, while its checksum is reckoned.

    Parameters
    ----------
    name_of : callable
        The path of the sheet that will be made of it, relative to the edition's folder, by its checksum.

    Returns
    -------
    (checksum, delivered)
        The second is where the first of `parts` now lies, relative to the edition's folder.
    """
    unfinished = folder / DELIVERED / f"{part_mark()}.part"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        checksum = copy_and_sum(parts, unfinished)
        copy_and_sum(beside, unfinished)
        kept = _delivered_folder(folder, name_of(checksum))
        name = _kept_before(kept, parts[0].suffix)          # perhaps under another name: the content is the same
        if name is None:
            os.replace(unfinished, kept)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return checksum, f"{DELIVERED}/{kept.name}/{name or parts[0].name}"


def _kept_before(kept: Path, suffix: str) -> str | None:
    return next((path.name for path in kept.iterdir() if path.suffix.lower() == suffix.lower()), None) if kept.is_dir() else None


def forget_delivered(folder: Path, relative: str) -> None:
    """Of a file that turned out to be no good."""
    shutil.rmtree(_delivered_folder(folder, relative), ignore_errors=True)


def _delivered_folder(folder: Path, relative: str) -> Path:
    return folder / DELIVERED / Path(relative).stem


# Checksums

FileMark = tuple[str, int, int, int]
"""Name, size in bytes, number in its file system and time of change in nanoseconds: what a file is known again by."""


def mark_of(path: Path) -> FileMark:
    about = path.stat()
    if path.is_dir():                                       # a geodatabase: of all its files
        files = [file.stat() for file in path.iterdir() if file.is_file()]
        return path.name, sum(file.st_size for file in files), about.st_ino, max((file.st_mtime_ns for file in files), default=about.st_mtime_ns)
    return path.name, about.st_size, about.st_ino, about.st_mtime_ns


class Checksums:
    """Those of files that were read once. Lines are only ever added, by the one process that holds the folder; a torn one is no line."""

    def __init__(self, folder: Path):
        self._path = folder / CHECKSUMS
        self._known: dict[FileMark, str] = {}
        if self._path.is_file():
            for line in self._path.read_text(encoding="utf-8", errors="replace").split("\n"):
                try:
                    name, *numbers, checksum = json.loads(line)
                    self._known[name, *numbers] = checksum
                except (ValueError, TypeError):
                    continue

    def of(self, mark: FileMark) -> str | None:
        return self._known.get(mark)

    def add(self, mark: FileMark, checksum: str) -> None:
        if self._known.get(mark) == checksum:
            return
        self._known[mark] = checksum
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"\n{json.dumps([*mark, checksum])}\n")


# What is of no use any more

def sweep(folder: Path, published: Edition | None, live: Sequence[Sheet], keep_also: Iterable[str]) -> None:
    """Deletes what dead jobs and earlier generations left, but for what this job can use.

    Files of the generation before the published one go here too, not when it was published: a reader may still have held them then.
    """
    sheets = {*keep_also, *(sheet.path for sheet in live)}
    wanted = {LOCK, CHECKSUMS, *sheets, *(str(Path(relative).with_suffix(".json")) for relative in sheets)}
    delivered = {f"{DELIVERED}/{Path(relative).stem}" for relative in sheets}
    if published and published.vectors:
        wanted.add(published.vectors)
    for path in sorted(folder.rglob("*"), reverse=True):
        relative = path.relative_to(folder).as_posix()
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif relative not in wanted and path.parent.relative_to(folder).as_posix() not in delivered \
                and not (published and _is_of_mosaic(relative, published)):
            path.unlink()


def _is_of_mosaic(relative: str, published: Edition) -> bool:
    """A mosaic is a handle, an index and an overview; their names begin alike."""
    stems = {name.rsplit(".", 1)[0] for mosaic in published.mosaics for name in (mosaic.index, mosaic.overview) if name}
    return any(relative.startswith(stem) for stem in stems)
