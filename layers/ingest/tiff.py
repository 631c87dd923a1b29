"""The bytes of a tiled TIFF whose directories lie before all blocks: what makes a GeoTIFF a cloud-optimised one.

Little-endian; BigTIFF where offsets need it. Directories come first, finest level first and each followed by its mask; blocks follow,
coarsest level first. A block is preceded by its size and followed by its last four bytes, and a block of the mask follows its block of
pixels, as the structural note after the header promises to readers over a network.

Source: TIFF 6.0; OGC 21-026 (Cloud Optimized GeoTIFF), GDAL's COG driver for the structural note.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import rasterio
from rasterio.io import MemoryFile

ASCII, SHORT, LONG, RATIONAL, UNDEFINED, DOUBLE, LONG8 = 2, 3, 4, 5, 7, 12, 16
FORMATS = {ASCII: "B", SHORT: "H", LONG: "I", RATIONAL: "2I", UNDEFINED: "B", DOUBLE: "d", LONG8: "Q"}
SIZES = {kind: struct.calcsize("<" + code) for kind, code in FORMATS.items()}

TILE_OFFSETS, TILE_BYTE_COUNTS = 324, 325
GEO_KEYS, GEO_DOUBLES, GEO_TEXTS = 34735, 34736, 34737
LAST_OF_CLASSIC = 2**32 - 2**16

Value = tuple[int, Sequence]
"""Type of a tag, and its values."""

_LINES = (
    "LAYOUT=IFDS_BEFORE_DATA", "BLOCK_ORDER=ROW_MAJOR", "BLOCK_LEADER=SIZE_AS_UINT4", "BLOCK_TRAILER=LAST_4_BYTES_REPEATED",
    "KNOWN_INCOMPATIBLE_EDITION=NO",
)


@dataclass(slots=True, kw_only=True)
class Directory:
    """One image of the file: its tags but for where its blocks are, and where each of them begins in the run of its level."""

    tags: dict[int, Value]
    starts: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The blocks of one level, in the order in which they lie in the file: `length` bytes, of `directories` (pixels, then perhaps mask)."""

    directories: tuple[Directory, ...]
    length: int


def header(runs: Sequence[Run], *, note: bool) -> bytes:
    """All that precedes the blocks of `runs` (finest level first; their bytes follow coarsest first), with the structural note or without."""
    for is_big in (False, True):
        ghost = _note(any(len(run.directories) > 1 for run in runs)) if note else b""
        directories = [directory for run in runs for directory in run.directories]
        length = len(_header(directories, [0] * len(directories), ghost, is_big))
        if is_big or length + sum(run.length for run in runs) < LAST_OF_CLASSIC:
            break
    begins, at = [], length
    for run in reversed(runs):
        begins = [at] * len(run.directories) + begins
        at += run.length
    return _header(directories, begins, ghost, is_big)


def _note(has_mask: bool) -> bytes:
    lines = [*_LINES, "MASK_INTERLEAVED_WITH_IMAGERY=YES"] if has_mask else _LINES
    text = "".join(f"{line}\n" for line in lines) + " "        # room for a later editor to say YES
    return f"GDAL_STRUCTURAL_METADATA_SIZE={len(text):06d} bytes\n{text}".encode()


def _header(directories: Sequence[Directory], begins: Sequence[int], ghost: bytes, is_big: bool) -> bytes:
    first = struct.pack("<2sHHH", b"II", 43, 8, 0) if is_big else struct.pack("<2sH", b"II", 42)
    pointer = "<Q" if is_big else "<I"
    length = len(first) + struct.calcsize(pointer) + len(ghost)
    length += length % 2
    written = bytearray(first + struct.pack(pointer, length) + ghost)
    for number, (directory, begin) in enumerate(zip(directories, begins, strict=True)):
        written += b"\0" * (len(written) % 2)
        written += _directory(_located(directory, begin, is_big), len(written), is_big, is_last=number == len(directories) - 1)
    return bytes(written)


def _located(directory: Directory, begin: int, is_big: bool) -> dict[int, Value]:
    return {
        **directory.tags, TILE_OFFSETS: (LONG8 if is_big else LONG, [begin + start for start in directory.starts]),
        TILE_BYTE_COUNTS: (LONG, directory.counts),
    }


def _directory(tags: Mapping[int, Value], at: int, is_big: bool, *, is_last: bool) -> bytes:
    """One directory that begins at `at`, its long values behind it, pointing to the one that follows at once."""
    number, entry, room, pointer = ("<Q", "<HHQ", 8, "<Q") if is_big else ("<H", "<HHI", 4, "<I")
    start = struct.calcsize(number) + len(tags) * (struct.calcsize(entry) + room) + struct.calcsize(pointer)
    entries, beyond = bytearray(), bytearray()
    for tag, (kind, values) in sorted(tags.items()):
        packed = _rationals(values) if kind == RATIONAL else struct.pack(f"<{len(values)}{FORMATS[kind]}", *values)
        if len(packed) > room:
            beyond += b"\0" * (len(beyond) % 2)
            place = struct.pack(pointer, at + start + len(beyond))
            beyond += packed
        else:
            place = packed.ljust(room, b"\0")
        entries += struct.pack(entry, tag, kind, len(values)) + place
    beyond += b"\0" * (len(beyond) % 2)
    following = 0 if is_last else at + start + len(beyond)
    return struct.pack(number, len(tags)) + bytes(entries) + struct.pack(pointer, following) + bytes(beyond)


def _rationals(values: Iterable[int]) -> bytes:
    return b"".join(struct.pack("<2I", value, 1) for value in values)


@lru_cache(maxsize=64)
def geo_tags(crs: str) -> Mapping[int, Value]:
    """The tags that say in which CRS a file is (pixels are areas), as GDAL writes them."""
    with MemoryFile() as memory:
        profile = {"driver": "GTiff", "width": 1, "height": 1, "count": 1, "dtype": "uint8", "transform": rasterio.Affine(1, 0, 0, 0, -1, 1)}
        with memory.open(**profile, crs=rasterio.crs.CRS.from_user_input(crs)):
            pass
        tags = _read_tags(memory.read())
    return {tag: tags[tag] for tag in (GEO_KEYS, GEO_DOUBLES, GEO_TEXTS) if tag in tags}


def _read_tags(data: bytes) -> dict[int, Value]:
    """Of the first directory of a classic little-endian TIFF."""
    (at,) = struct.unpack_from("<I", data, 4)
    (number,) = struct.unpack_from("<H", data, at)
    tags = {}
    for entry in range(at + 2, at + 2 + 12 * number, 12):
        tag, kind, count = struct.unpack_from("<HHI", data, entry)
        if kind not in FORMATS or kind == RATIONAL:
            continue
        begin = entry + 8 if count * SIZES[kind] <= 4 else struct.unpack_from("<I", data, entry + 8)[0]
        tags[tag] = kind, struct.unpack_from(f"<{count}{FORMATS[kind]}", data, begin)
    return tags
