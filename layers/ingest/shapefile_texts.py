"""The encoding of a shapefile's attribute texts: found by what their bytes can be, never by hope."""

import re
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from layers.delivery.vector_formats import parts_of
from layers.errors import LayerRejected

CJK = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")
DBF_LANGUAGE_UNKNOWN = (0x00, 0x57)     # "not stated" and "whatever the machine has"


def encoding_of(path: Path, declared: str | None, lineage: list[str]) -> str | None:
    """None where GDAL knows it by the .cpg or the language byte; else what strict decoding says: UTF-8, then GB18030, then ask."""
    table = next((part for part in parts_of(path) if part.suffix.lower() == ".dbf"), None)
    if table is None:
        lineage.append("warning: the shapefile has no .dbf, so its features have no attributes")
        return None
    if declared is not None:
        _check_text(path.name, table, declared)
        return declared
    if any(part.suffix.lower() == ".cpg" for part in parts_of(path)) or _language_byte(table) not in DBF_LANGUAGE_UNKNOWN:
        return None
    found = next((encoding for encoding in ("UTF-8", "GB18030") if _reads_as(table, encoding)), None)
    if found is None:
        raise LayerRejected(path.name, "its attribute text is neither UTF-8 nor GB18030, and it has no .cpg", "say which with `--encoding`")
    if not all(text.isascii() for text in _dbf_texts(table)):
        lineage.append(f"attribute text was read as {found}: the file does not say, its bytes do")
    return found


def _check_text(name: str, table: Path, encoding: str) -> None:
    try:
        readable = _reads_as(table, encoding, needs_chinese=False)
    except LookupError:
        raise LayerRejected(name, f"encoding `{encoding[:40]}` is not known", "give one like GB18030 or UTF-8") from None
    if not readable:
        raise LayerRejected(name, f"its attribute text is not {encoding}", "say which it is with `--encoding`")


def _language_byte(table: Path) -> int:
    with table.open("rb") as file:
        header = file.read(32)
    return header[29] if len(header) == 32 else 0


def _reads_as(table: Path, encoding: str, *, needs_chinese: bool = True) -> bool:
    """Whether every text of a .dbf decodes strictly. GB18030 takes nearly any bytes, so that what it gives must also look Chinese: mostly
    of characters that GB 2312 has, since two letters of Latin-1 make one of the rare others."""
    common = rare = 0
    for text in _dbf_texts(table):
        try:
            chinese = CJK.findall(_decoded(text, encoding))
        except UnicodeDecodeError:
            return False
        for character in chinese:
            if _is_common(character):
                common += 1
            else:
                rare += 1
    return encoding == "UTF-8" or not needs_chinese or common > rare


@lru_cache(maxsize=50_000)
def _is_common(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def _decoded(text: bytes, encoding: str) -> str:
    """Strictly, but for a character that the end of the field cut in two."""
    try:
        return text.rstrip(b" \0").decode(encoding)
    except UnicodeDecodeError as error:
        if error.start > 0 and len(text) - error.start <= 3 and not text.endswith((b" ", b"\0")):
            return text[:error.start].decode(encoding)
        raise


def _dbf_texts(table: Path) -> Iterator[bytes]:
    """Field names and the bytes of every text field. Source: dBASE III+ file structure."""
    with table.open("rb") as file:
        header = file.read(32)
        if len(header) < 32:
            return
        count, header_size, record_size = struct.unpack("<IHH", header[4:12])
        fields, offset = [], 1
        while (descriptor := file.read(32))[:1] not in (b"\r", b"") and len(descriptor) == 32:
            yield descriptor[:11].split(b"\0")[0]
            if descriptor[11:12] == b"C":
                fields.append((offset, offset + descriptor[16]))
            offset += descriptor[16]
        file.seek(header_size)
        for _ in range(count):
            record = file.read(record_size)
            if len(record) < record_size:
                return
            for start, end in fields:
                yield record[start:end]
