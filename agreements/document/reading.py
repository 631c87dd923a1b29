"""What documents are read with: mappings by table, single values, days and moments. Every fault is told at its line and field, with the mend.

A reader takes a node at a dotted field and gives the value, or None where it told a fault. Tables of fields are in `agreements.document.form`.
"""

import difflib
import ipaddress
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from agreements.areas import area_of
from agreements.document import marked
from agreements.document.marked import Node, Scalar
from agreements.errors import AreaInvalid, Fault
from agreements.model import Area, Gazetteer

SHANGHAI = ZoneInfo("Asia/Shanghai")

DAY = re.compile(r"(\d{4})(?:-|年)(\d{1,2})(?:-|月)(\d{1,2})日?")
MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)\s*(Z|[+-]\d{2}:\d{2})?")
DURATION = re.compile(r"P(?=\d)(\d{1,3}Y)?(\d{1,3}M)?(\d{1,3}W)?(\d{1,4}D)?")
"""ISO 8601, of days and longer."""

LONGEST_TEXT = 4000
MOST_FAULTS = 200


class Reading:
    """One pass over one document: collects faults, and remembers areas that are named twice."""

    def __init__(self, gazetteer: Gazetteer):
        self.gazetteer, self.faults = gazetteer, []
        self._areas: dict[str, Area | AreaInvalid] = {}

    def fault(self, line: int | None, field: str, message: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(line, field, message))

    def area(self, spec: dict | list) -> Area:
        words = json.dumps(spec, sort_keys=True)
        if words not in self._areas:
            try:
                self._areas[words] = area_of(spec, self.gazetteer)
            except AreaInvalid as error:
                self._areas[words] = error
        found = self._areas[words]
        if isinstance(found, AreaInvalid):
            raise found
        return found


# Mappings and lists

Reader = Callable[[Reading, Node, str], object]
"""Reads a node at a dotted field: the value, or None where it told a fault."""


@dataclass(frozen=True, slots=True)
class Field:
    read: Reader
    is_required: bool = False


Table = Mapping[str, Field]


def fields(reading: Reading, node: Node, path: str, table: Table) -> dict | None:
    """What a mapping says, by field; None where it is no mapping. A field with a fault, or absent, is not in the answer."""
    if not isinstance(node, marked.Mapping):
        reading.fault(node.line, path or "document", f"must be fields ({', '.join(table)}), each on its own line as `field: value`")
        return None
    for key in node.entries:
        if key not in table:
            reading.fault(node.lines[key], join(path, key), f"there is no such field{meant(key, table)}")
    values = {}
    for key, field in table.items():
        if key not in node.entries:
            if field.is_required:
                reading.fault(node.line, join(path, key), "missing: add it")
        elif is_empty(node.entries[key]):
            reading.fault(node.lines[key], join(path, key), "is empty: fill it in" + ("" if field.is_required else ", or leave it out"))
        elif (value := field.read(reading, node.entries[key], join(path, key))) is not None:
            values[key] = value
    return values


def whole(said: dict | None, table: Table) -> bool:
    """Whether every required field was read without fault."""
    return said is not None and all(name in said for name, field in table.items() if field.is_required)


def built(kind: type, table: Table) -> Reader:
    """Reads a mapping into a value whose fields bear the names of the table."""
    def read(reading: Reading, node: Node, path: str) -> object | None:
        said = fields(reading, node, path, table)
        return kind(**said) if whole(said, table) else None
    return read


def join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def meant(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f": did you mean `{close[0]}`?" if close else f": use {', '.join(known)}"


def is_empty(node: Node) -> bool:
    return isinstance(node, Scalar) and node.is_plain and node.text in ("", "~", "null")


def listed(read: Reader, *, may_be_empty: bool = False) -> Reader:
    """Reads a list, or one value that stands for a list of one. None where any of it has a fault."""
    def read_list(reading: Reading, node: Node, path: str) -> tuple | None:
        if not isinstance(node, marked.Sequence):
            value = read(reading, node, path)
            return None if value is None else (value,)
        if not node.items and not may_be_empty:
            reading.fault(node.line, path, "the list is empty: name at least one")
            return None
        values = tuple(read(reading, item, f"{path}[{position}]") for position, item in enumerate(node.items))
        return None if any(value is None for value in values) else values
    return read_list


def set_of(read: Reader) -> Reader:
    def read_set(reading: Reading, node: Node, path: str) -> frozenset | None:
        values = listed(read)(reading, node, path)
        return None if values is None else frozenset(values)
    return read_set


def line_of(node: Node, field: str) -> int:
    """The line of the place `field` ("[0].divisions[1]") within `node`, as near as it goes."""
    line = node.line
    for part in re.findall(r"[^.\[\]]+", field):
        if isinstance(node, marked.Mapping) and part in node.entries:
            line, node = node.lines[part], node.entries[part]
        elif isinstance(node, marked.Sequence) and part.isdigit() and int(part) < len(node.items):
            node = node.items[int(part)]
            line = node.line
        else:
            break
    return line


def plain_value(node: Node) -> object:
    """Plain values, by the core schema of YAML 1.2; dates stay text."""
    if isinstance(node, marked.Mapping):
        return {key: plain_value(value) for key, value in node.entries.items()}
    if isinstance(node, marked.Sequence):
        return [plain_value(item) for item in node.items]
    if not node.is_plain:
        return node.text
    if node.text in ("true", "false"):
        return node.text == "true"
    if node.text in ("", "~", "null"):
        return None
    if re.fullmatch(r"-?(0|[1-9]\d{0,99})", node.text):
        return int(node.text)
    return float(node.text) if re.fullmatch(r"[-+]?(\.\d+|\d+\.\d*)([eE][-+]?\d{1,3})?|-?\d+[eE][-+]?\d{1,3}", node.text) else node.text


# Single values

def scalar(reading: Reading, node: Node, path: str) -> str | None:
    """One line of text, full-width letters and digits made plain."""
    read = text(reading, node, path)
    return None if read is None else unicodedata.normalize("NFKC", read)


def text(reading: Reading, node: Node, path: str) -> str | None:
    """Text for people: white space is one space, everything else as it stands."""
    if not isinstance(node, Scalar):
        reading.fault(node.line, path, "must be a single value, not a list or fields")
        return None
    read = " ".join(node.text.split())
    if not read or len(read) > LONGEST_TEXT:
        reading.fault(node.line, path, "is empty: fill it in" if not read else f"is longer than {LONGEST_TEXT} characters: shorten it")
        return None
    return read


def matching(pattern: re.Pattern, message: str) -> Reader:
    def read(reading: Reading, node: Node, path: str) -> str | None:
        said = scalar(reading, node, path)
        if said is not None and not pattern.fullmatch(said):
            reading.fault(node.line, path, f"`{said[:60]}` {message}")
            return None
        return said
    return read


def word(kind: type[StrEnum], what: str, other_words: Mapping[str, str] | None = None) -> Reader:
    """Reads one of a closed list; `other_words` maps what people also say (lower case) to a value of the list."""
    names, others = [one.value for one in kind], other_words or {}

    def read(reading: Reading, node: Node, path: str) -> StrEnum | None:
        said = scalar(reading, node, path)
        if said is None:
            return None
        folded = said.casefold()
        if folded in names or folded in others:
            return kind(others.get(folded, folded))
        reading.fault(node.line, path, f"`{said[:60]}` is not {what}{meant(folded, names)}")
        return None
    return read


def yes_or_no(reading: Reading, node: Node, path: str) -> bool | None:
    said = scalar(reading, node, path)
    if said is not None and said not in ("true", "false"):
        reading.fault(node.line, path, f"`{said[:60]}` is neither yes nor no: write true or false")
        return None
    return said and said == "true"


def number(what: str, *, least: float, most: float, units: Mapping[str, float] | None = None, is_whole: bool = False) -> Reader:
    """Reads a number in [least, most], with `,` between thousands if one likes, and one of `units` (a factor each) after it.

    Parameters
    ----------
    what : str
        What is told of anything else: "a number of metres, such as 10".
    """
    shape = re.compile(r"(\d{1,3}(?:,\d{3})+|\d{1,18})(\.\d{1,18})?\s*([^\W\d]*)")

    def read(reading: Reading, node: Node, path: str) -> float | int | None:
        said = scalar(reading, node, path)
        match = said and shape.fullmatch(said)
        factor = None
        if match:
            factor = 1 if not match.group(3) else {name.casefold(): value for name, value in (units or {}).items()}.get(match.group(3).casefold())
        if factor is None or (is_whole and match.group(2)):
            if said is not None:
                reading.fault(node.line, path, f"`{said[:60]}` is not {what}")
            return None
        value = (int if is_whole else float)(match.group(1).replace(",", "") + (match.group(2) or "")) * factor
        if not least <= value <= most:
            reading.fault(node.line, path, f"`{said[:60]}` is out of range: give {what}, from {least:,g} to {most:,g}")
            return None
        return value
    return read


def network(reading: Reading, node: Node, path: str) -> str | None:
    """A CIDR block in its normal form; one address is the block of that address."""
    said = scalar(reading, node, path)
    if said is None:
        return None
    try:
        block = ipaddress.ip_interface(said).network
    except ValueError:
        reading.fault(node.line, path, f"`{said[:60]}` is not a block of addresses: give one such as 10.32.0.0/16 or 2001:db8::/32")
        return None
    if "/" in said and ipaddress.ip_interface(said).ip != block.network_address:
        reading.fault(node.line, path, f"`{said[:60]}` has bits set beyond its prefix: write `{block}` for the block, or the address alone")
        return None
    if block.version == 6 and block.network_address.ipv4_mapped is not None:
        reading.fault(node.line, path, f"`{said[:60]}` is an IPv4 block in the dress of IPv6: write it as IPv4")
        return None
    if block.prefixlen == 0:
        reading.fault(node.line, path, f"`{said[:60]}` is every address: leave `networks` out, or name the blocks")
        return None
    return str(block)


def looked_up(find: str, pattern: re.Pattern, message: str) -> Reader:
    """Reads a code that the gazetteer's method `find` must know; what it raises is told."""
    read_code = matching(pattern, message)

    def read(reading: Reading, node: Node, path: str) -> str | None:
        code = read_code(reading, node, path)
        return code if code is not None and is_known(reading, node, path, find, code) else None
    return read


def is_known(reading: Reading, node: Node, path: str, find: str, code: str) -> bool:
    try:
        getattr(reading.gazetteer, find)(code)
    except LookupError as error:
        reading.fault(node.line, path, " ".join(str(error.args[0] if error.args else error).split()))
        return False
    return True


# Time

def day(reading: Reading, node: Node, path: str) -> date | None:
    said = scalar(reading, node, path)
    try:
        if said and (match := DAY.fullmatch(said)):
            return _usual(date(*(int(part) for part in match.groups())))
    except ValueError:
        pass
    if said is not None:
        reading.fault(node.line, path, f"`{said[:60]}` is not a day: give one such as 2026-12-31")
    return None


def beginning(reading: Reading, node: Node, path: str) -> datetime | None:
    return _moment(reading, node, path, is_end=False)


def end(reading: Reading, node: Node, path: str) -> datetime | None:
    return _moment(reading, node, path, is_end=True)


def _moment(reading: Reading, node: Node, path: str, *, is_end: bool) -> datetime | None:
    """A day stands for its first moment, or for the first after it; a moment without offset is of Asia/Shanghai."""
    said = scalar(reading, node, path)
    try:
        if said and (match := DAY.fullmatch(said)):
            start = datetime.combine(_usual(date(*(int(part) for part in match.groups()))), time(), SHANGHAI)
            return start + timedelta(days=1) if is_end else start
        if said and (match := MOMENT.fullmatch(said)):
            on, clock, offset = match.groups()
            found = datetime.fromisoformat(f"{on}T{clock}{offset or ''}")
            _usual(found.date())
            return found.astimezone(SHANGHAI) if offset else found.replace(tzinfo=SHANGHAI)
    except ValueError:
        said = said or ""
    if said is not None:
        reading.fault(node.line, path, f"`{said[:60]}` is not a date: give a day such as 2026-12-31, or a moment such as 2026-12-31T18:00")
    return None


def _usual(day: date) -> date:
    if not 1949 <= day.year <= 2199:
        raise ValueError("no year of an agreement")
    return day


RHYTHMS = {
    "daily": "P1D", "每日": "P1D", "weekly": "P1W", "每周": "P1W", "每旬": "P10D", "monthly": "P1M", "每月": "P1M", "quarterly": "P3M", "每季度": "P3M",
    "half-yearly": "P6M", "每半年": "P6M", "yearly": "P1Y", "每年": "P1Y",
}
"""What people say, as ISO 8601 durations."""


def duration(reading: Reading, node: Node, path: str) -> str | None:
    said = scalar(reading, node, path)
    if said is None:
        return None
    if said.casefold() in RHYTHMS:
        return RHYTHMS[said.casefold()]
    if DURATION.fullmatch(said) and re.search(r"[1-9]", said):
        return said
    reading.fault(node.line, path, f"`{said[:60]}` is not a duration: give one of ISO 8601 in days or longer, such as P3M, or a word such as quarterly")
    return None


def mapping_lines(node: Node, path: str, of: Sequence) -> Iterable[tuple[str, marked.Mapping]]:
    """Each of the values `of` a list that was read from `node`: its path, and its own mapping."""
    nodes = node.items if isinstance(node, marked.Sequence) else [node]
    return ((f"{path}[{position}]", one) for position, (_, one) in enumerate(zip(of, nodes, strict=True)))
