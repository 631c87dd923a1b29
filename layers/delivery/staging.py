"""Copies of delivered files under names of our own, whole or absent, and a list of them by which an interrupted copy goes on."""

import hashlib
import json
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from layers.delivery import companions, formats, geodatabases, refused_vectors, vector_formats
from layers.delivery.sheet_facts import FACTS_FILE
from layers.errors import LayerRejected
from layers.ingest.sources import sync

LIST = "staged.jsonl"
BLOCK = 1 << 20
ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz")
SHAPEFILE_PARTS = (".shx", ".dbf", ".cpg", ".prj", ".qix", ".sbn", ".sbx")
WANTED = frozenset({
    *formats.DRIVERS, *vector_formats.SUFFIXES, *SHAPEFILE_PARTS, ".prj", ".xml", ".msk", ".ige", *refused_vectors.SUFFIXES,
    *(suffix for world in companions.WORLD.values() for suffix in world),
})
LONGEST_NAME = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a delivery may hold. Bytes are those of the files themselves, unpacked."""

    entries: int = 100_000
    file_bytes: int = 200 * 2**30
    all_bytes: int = 20 * 2**40
    ratio: int = 250                # unpacked to packed, of a zip
    ratio_counts_from: int = 256 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """The files of one place, what was left out, and what could not be read."""

    name: str
    files: tuple[Path, ...]
    told: tuple[str, ...]
    faults: tuple[LayerRejected, ...]


def staging_folder(work: Path, place: Path | str) -> Path:
    """The folder for one place: the same for the same zip as long as it does not change, and for the same prefix."""
    if isinstance(place, Path):
        known = place.stat()
        place = f"{place.resolve()} {known.st_size} {known.st_mtime_ns}"
    folder = work / f"staged-{hashlib.sha256(place.encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a delivery. `mark` is what its content is known by: a CRC, an ETag."""

    name: str           # as delivered, with its folders
    size: int
    mark: str

    @property
    def base(self) -> str:
        """Its own name, without folders and whatever a file system could stumble over."""
        last = unicodedata.normalize("NFC", self.name.replace("\\", "/")).rsplit("/", 1)[-1]
        return "".join("_" if ord(c) < 32 or c in '<>:"|?*\x7f' else c for c in last).strip(" .")

    @property
    def geodatabase(self) -> str:
        """The name of the file geodatabase that it is a part of; empty for any other file."""
        folder = PurePosixPath(unicodedata.normalize("NFC", self.name.replace("\\", "/"))).parent.name
        is_part = folder.lower().endswith(geodatabases.SUFFIX) and geodatabases.MEMBER.fullmatch(self.base)
        return Entry(name=folder, size=0, mark="").base if is_part else ""

    @property
    def group(self) -> str:
        """What it shares with the files that belong to it: folder and stem, in one case."""
        folder = str(PurePosixPath(self.name.replace("\\", "/")).parent)
        if self.geodatabase:
            return unicodedata.normalize("NFKC", folder).casefold()
        stem = self.base.split(".", 1)[0] if self.base.lower().endswith((".xml", ".msk")) else Path(self.base).stem
        return unicodedata.normalize("NFKC", f"{folder}/{stem}").casefold()


def is_wanted(entry: Entry) -> bool:
    """A raster, a vector file, what lies beside one or makes up a geodatabase, or the table of sheets; no hidden file, none of a Macintosh's shadows."""
    parts = entry.name.replace("\\", "/").split("/")
    if any(part.startswith((".", "__MACOSX")) for part in parts if part not in ("..", ".")):
        return False
    return bool(entry.geodatabase) or entry.base.lower() == FACTS_FILE or Path(entry.base).suffix.lower() in WANTED


def checked(entries: Iterable[Entry], place: str, limits: Limits, free: int) -> tuple[list[Entry], list[str], list[LayerRejected]]:
    """Those to stage, what is left out, and the faults: names that would fall on one another, and sizes beyond the limits."""
    wanted, told, faults, names, others = [], [], [], {}, 0
    for count, entry in enumerate(entries, start=1):
        if count > limits.entries:
            raise LayerRejected(place, f"it holds more than {limits.entries:,} files", "deliver it in parts")
        if Path(entry.base).suffix.lower() in ARCHIVES:
            told.append(f"{entry.base}: an archive within the delivery is not opened, and was left out: unpack it first")
        elif not is_wanted(entry):
            others += 1
        elif len(entry.base.encode()) > LONGEST_NAME:
            faults.append(LayerRejected(entry.base[:40], "its name is too long", f"shorten it to {LONGEST_NAME} bytes"))
        elif entry.size > limits.file_bytes:
            faults.append(LayerRejected(entry.base, f"it has {entry.size:,} bytes, more than the {limits.file_bytes:,} that a file may have", "cut it into sheets"))
        elif (key := (entry.group, unicodedata.normalize("NFKC", entry.base).casefold())) in names:
            faults.append(LayerRejected(entry.base, f"there are two files of that name in one folder (`{names[key]}`)", "keep one of them"))
        else:
            names[key] = entry.base
            wanted.append(entry)
    total = sum(entry.size for entry in wanted)
    if total > limits.all_bytes:
        raise LayerRejected(place, f"it holds {total:,} bytes, more than the {limits.all_bytes:,} that a delivery may", "deliver it in parts")
    if total > free:
        raise LayerRejected(place, f"it holds {total:,} bytes, but the disk has room for {free:,}", "make room, or deliver it in parts")
    if others:
        told.append(f"{place}: {others} files are of no kind that is taken in, and were left out")
    return wanted, told, faults


class StagedList:
    """Which entries lie where in a staging folder; each line is written once its file is whole and on the disk."""

    def __init__(self, folder: Path):
        self.folder, self._path = folder, folder / LIST
        self._done: dict[str, dict] = {}
        self._salt = self._random_salt()
        lines = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        if lines and not lines.endswith("\n"):
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n")
        for line in lines.splitlines():
            try:
                known = json.loads(line)
            except ValueError:                              # the last line of a job that was killed
                continue
            self._done[known["name"]] = known

    def _random_salt(self) -> bytes:
        """What makes the names of this staging folder unforeseeable, and the same when it is gone on with."""
        salt = self.folder / "salt"
        if not salt.exists():
            part = self.folder / "salt.part"
            part.write_bytes(secrets.token_bytes(16))
            part.replace(salt)
        return salt.read_bytes()

    def found(self, entry: Entry) -> Path | None:
        """Where an entry lies already, whole and unchanged; None where it must be copied."""
        known = self._done.get(entry.name)
        if known is None or (known["size"], known["mark"]) != (entry.size, entry.mark):
            return None
        path = self.folder / known["folder"] / entry.geodatabase / entry.base
        return path if path.is_file() and path.stat().st_size == entry.size else None

    def place(self, entry: Entry) -> Path:
        """Where an entry shall lie: a folder of a random name, shared with the files that belong to it."""
        folder = self._folder_of(entry) / entry.geodatabase
        folder.mkdir(parents=True, exist_ok=True)
        return folder / entry.base

    def _folder_of(self, entry: Entry) -> Path:
        return self.folder / hashlib.sha256(self._salt + entry.group.encode()).hexdigest()[:16]

    def finished(self, entry: Entry, part: Path) -> Path:
        """Gives a whole copy its name and remembers it."""
        target = self.place(entry)
        sync(part)
        part.replace(target)
        line = {"name": entry.name, "size": entry.size, "mark": entry.mark, "folder": self._folder_of(entry).name}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        return target
