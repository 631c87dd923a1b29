"""A delivered zip, unpacked with caps on everything it claims: a small archive can hold a disk full of nothing."""

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from layers.delivery.staging import BLOCK, Entry, Limits, Staged, StagedList, checked, is_wanted
from layers.errors import LayerRejected

UTF8_NAMES, ENCRYPTED = 0x800, 0x1
PACKINGS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)


def stage_zip(path: Path, folder: Path, limits: Limits, progress: Callable[[int, int, str], None] | None = None) -> Staged:
    """Unpacks what is of use into a staging folder; what was unpacked by an earlier try is not unpacked again.

    Raises
    ------
    LayerRejected
        It is no zip, or holds more than the limits or the disk allow.
    """
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGED as error:
        raise LayerRejected(path.name, "it is not a zip archive, or is truncated", "deliver it again") from error
    with archive:
        infos = {}
        told, faults = [], []
        for info in archive.infolist():
            entry = Entry(name=_name_of(info), size=info.file_size, mark=f"{info.CRC:08x}")
            if info.is_dir():
                continue
            if fault := _fault(info, entry, limits):
                if is_wanted(entry):
                    faults.append(fault)
                continue
            infos[entry] = info
        _check_whole(path, infos.values(), limits)
        wanted, more_told, more_faults = checked(infos, path.name, limits, shutil.disk_usage(folder).free)
        staged, files = StagedList(folder), []
        for count, entry in enumerate(wanted, start=1):
            try:
                files.append(staged.found(entry) or staged.finished(entry, _unpacked(archive, infos[entry], entry, staged.place(entry))))
            except DAMAGED as error:
                if isinstance(error, OSError) and error.errno:          # the disk's fault, not the archive's
                    raise
                faults.append(LayerRejected(entry.base, "it can't be unpacked: the archive is damaged there", "deliver it again"))
            if progress:
                progress(count, len(wanted), entry.base)
    return Staged(name=path.name, files=tuple(files), told=(*told, *more_told), faults=(*faults, *more_faults))


def _name_of(info: zipfile.ZipInfo) -> str:
    """Chinese archives without the mark of UTF-8 hold GB18030, which Python reads as the code page of an IBM PC."""
    if info.flag_bits & UTF8_NAMES:
        return info.filename
    try:
        return info.orig_filename.encode("cp437").decode("gb18030")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return info.filename


def _fault(info: zipfile.ZipInfo, entry: Entry, limits: Limits) -> LayerRejected | None:
    if stat.S_ISLNK(info.external_attr >> 16):
        return LayerRejected(entry.base, "it is a link, not a file", "put the file itself into the archive")
    if any(part == ".." for part in entry.name.replace("\\", "/").split("/")) or entry.name.startswith(("/", "\\")) or entry.name[1:2] == ":":
        return LayerRejected(entry.base, "its name in the archive leads out of it", "pack the folder anew")
    if info.flag_bits & ENCRYPTED:
        return LayerRejected(entry.base, "it is encrypted", "deliver the archive without a password")
    if info.compress_type not in PACKINGS:
        return LayerRejected(entry.base, f"it is packed by a method that can't be unpacked here (number {info.compress_type}; 9 is Deflate64)",
                             "pack it anew with plain Deflate, or without compression")
    if info.file_size > limits.ratio_counts_from and info.file_size > limits.ratio * max(info.compress_size, 1):
        return LayerRejected(entry.base, f"it claims {info.file_size:,} bytes unpacked from {info.compress_size:,}", "deliver it unpacked if that is meant")
    return None


def _check_whole(path: Path, infos, limits: Limits) -> None:
    """Entries that share their packed bytes claim, together, more than the archive can hold."""
    total = sum(info.file_size for info in infos)
    if total > limits.ratio_counts_from and total > limits.ratio * path.stat().st_size:
        raise LayerRejected(path.name, f"it claims {total:,} bytes unpacked from {path.stat().st_size:,}", "deliver it unpacked if that is meant")


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, entry: Entry, target: Path) -> Path:
    """A part file with exactly the bytes the entry claims."""
    part = target.with_name(f"{target.name}.part")
    written = 0
    with archive.open(info) as packed, part.open("wb") as file:
        while block := packed.read(BLOCK):
            written += len(block)
            if written > entry.size:
                raise zipfile.BadZipFile("more than was claimed")
            file.write(block)
    if written != entry.size:
        raise zipfile.BadZipFile("less than was claimed")
    return part
