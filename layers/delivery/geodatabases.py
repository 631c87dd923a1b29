"""File geodatabases (`name.gdb`): a folder of files that belong together, read by GDAL's own driver (OpenFileGDB).

GDAL would open a folder by whatever it finds in it. So it is shown another one, where links stand for the files that a geodatabase has and for no others.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from layers.errors import LayerRejected

SUFFIX = ".gdb"
MEMBER = re.compile(r"gdb|timestamps|a[0-9a-f]{8}\.[0-9a-z_]{2,40}", re.IGNORECASE)
FIRST_TABLE = "a00000001.gdbtable"
"""The list of all tables: without it there is nothing to read."""

TABLE = ".gdbtable"
HEAD_BYTES = 40
MOST_FILES = 20_000
MOST_DEFINITION_BYTES = 2**22


def folder_of(path: Path) -> Path | None:
    """The geodatabase in which a file lies; None for any other file."""
    return next((parent for parent in path.parents if parent.suffix.lower() == SUFFIX), None)


def is_geodatabase(path: Path) -> bool:
    return path.suffix.lower() == SUFFIX and path.is_dir()


def folded(paths: Iterable[Path]) -> list[Path]:
    """The same files, with a geodatabase in the place of those that it is made of."""
    return list(dict.fromkeys(folder_of(path) or path for path in paths))


def members(folder: Path) -> tuple[Path, ...]:
    """The files of a geodatabase, in the order of their names; no links, nothing that does not belong.

    Raises
    ------
    LayerRejected
        It is not whole, or is packed in a way that only its maker reads.
    """
    found = sorted(path for path in folder.iterdir() if MEMBER.fullmatch(path.name) and path.is_file() and not path.is_symlink())
    names = {path.name.lower() for path in found}
    if any(name.endswith((".cdf", ".sdc")) for name in names):
        raise LayerRejected(folder.name, "it is a file geodatabase that was compressed (CDF), which only ArcGIS reads", "uncompress it in ArcGIS, and deliver it again")
    if FIRST_TABLE not in names or "gdb" not in names:
        raise LayerRejected(folder.name, "it is not a whole file geodatabase: its list of tables is missing", "deliver the folder with all its files")
    if len(found) > MOST_FILES:
        raise LayerRejected(folder.name, f"it holds more than {MOST_FILES:,} files", "deliver it in parts")
    for path in found:
        if path.suffix.lower() == TABLE and not _is_whole(path):
            raise LayerRejected(folder.name, f"its file `{path.name}` is truncated or damaged", "deliver the folder with all its files")
    return tuple(found)


def _is_whole(table: Path) -> bool:
    """Whether a table has the bytes that its head claims: GDAL shows a damaged one as empty. Source: public notes on the format, table header."""
    with table.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        return False
    version, size = struct.unpack("<i", head[:4])[0], struct.unpack("<q", head[24:32])[0]
    return version in (3, 4) and size <= table.stat().st_size


@contextmanager
def readable(path: Path) -> Iterator[Path]:
    """Where GDAL may open a delivered data set: itself, or a folder of links to the files of a geodatabase. Raises LayerRejected."""
    if not is_geodatabase(path):
        yield path
        return
    with TemporaryDirectory(prefix="geoshare-") as work:
        alone = Path(work) / path.name
        alone.mkdir()
        for member in members(path):
            (alone / member.name).symlink_to(member.resolve())
        yield alone


def has_measures(definition: str) -> bool:
    """Whether a table's definition, as the geodatabase holds it (XML), says that its vertices have M."""
    if len(definition) > MOST_DEFINITION_BYTES or "<!" in definition:
        return False
    try:
        root = ElementTree.fromstring(definition)
    except (ElementTree.ParseError, ValueError):
        return False
    return any(node.text == "true" for node in root.iter("HasM"))
