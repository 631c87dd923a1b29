"""YAML or JSON text -> nodes that know their line, and nothing a document could be surprised by.

Every scalar stays the text it is in the document: what it means is for the field to say. So `320104`, `3.10` and `no` are not turned into a
number, another number and a truth value. Aliases, tags and a second document are refused, keys given twice are told, and depth and number
of values are bounded, so that a small text can't become a large value.

Nearly all JSON is YAML, but tabs, `\\ud83d\\ude00` and keys of a thousand characters are not, and a reader of JSON alone is forty times as fast:
drawn areas with their coordinates in fields are read in a second. So what is JSON is read as JSON.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

MOST_BYTES = 4 * 1024 * 1024
MOST_VALUES = 50_000
MOST_JSON_VALUES = 700_000
DEEPEST = 32

Tell = Callable[[int | None, str, str], None]
"""Called with line (1-based), field and sentence of a fault."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """`is_plain` where it stands without quotes."""

    line: int
    text: str
    is_plain: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    line: int
    items: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mapping:
    line: int
    entries: dict[str, "Node"] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)      # of the keys


Node = Scalar | Sequence | Mapping


class _Unreadable(Exception):
    """Nothing after this place can be read."""

    def __init__(self, line: int | None, message: str):
        super().__init__(message)
        self.line, self.message = line, message


def parse(text: str, tell: Tell) -> Node | None:
    """The one node of a YAML document, or None where it can't be read; every fault goes to `tell`."""
    text = text.removeprefix("\ufeff")
    if len(text) > MOST_BYTES or len(text.encode("utf-8", "replace")) > MOST_BYTES:
        tell(None, "document", f"more than {MOST_BYTES // 1024 // 1024} MiB: name divisions or sheets instead of drawing large areas")
        return None
    try:
        if re.match(r"\s*\{\s*[\"}]", text) and (read := _JsonReader(text).document()) is not None:
            for fault in read.faults:
                tell(*fault)
            return read.node
        return _Builder(YAML(typ="safe", pure=True).parse(text), tell).document()
    except _Unreadable as error:
        tell(error.line, "document", error.message)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        tell(line, "document", f"not YAML: {error.problem or 'it ends too early'}{_hint(text, line)}")
    except YAMLError as error:
        position = getattr(error, "position", None)
        line = text[:position].count("\n") + 1 if isinstance(position, int) else None
        tell(line, "document", "not YAML: a character that can't be printed: save the document as plain UTF-8 text")
    return None


def _hint(text: str, line: int | None) -> str:
    lines = text.splitlines()
    near = "\n".join(lines[max(0, line - 3):line]) if line else ""
    if "：" in near:
        return ": a full-width colon `：` stands where YAML wants `: `, a colon and a space"
    if "\t" in near:
        return ": indent with spaces, never with a tab"
    return ": check indentation, quotes and brackets here and on the line before"


class _Builder:
    def __init__(self, events: Iterator[Event], tell: Tell):
        self.events, self.tell, self.count = events, tell, 0

    def document(self) -> Node | None:
        self._expect(StreamStartEvent)
        event = next(self.events)
        if isinstance(event, StreamEndEvent):
            raise _Unreadable(None, "the document is empty: docs/agreement-document.md shows one to begin with")
        node = self._node(next(self.events), 0, "")
        self._expect(DocumentEndEvent)
        event = next(self.events)
        if isinstance(event, DocumentStartEvent):
            raise _Unreadable(_line(event), "a second document begins: keep one agreement in a file")
        return node

    def _expect(self, kind: type[Event]) -> None:
        event = next(self.events)
        if not isinstance(event, kind):
            raise _Unreadable(_line(event), "not YAML: check indentation, quotes and brackets here and on the line before")

    def _node(self, event: Event, depth: int, path: str) -> Node:
        self._check(event, depth)
        if isinstance(event, ScalarEvent):
            return Scalar(_line(event), event.value, event.style in (None, ""))
        if isinstance(event, SequenceStartEvent):
            return self._sequence(event, depth, path)
        return self._mapping(event, depth, path)

    def _check(self, event: Event, depth: int) -> None:
        self.count += 1
        line = _line(event)
        if isinstance(event, AliasEvent):
            raise _Unreadable(line, f"alias `*{event.anchor}`: write the value again, aliases are not accepted")
        if getattr(event, "tag", None) is not None:
            raise _Unreadable(line, f"tag `{event.tag}`: leave it out, tags are not accepted")
        if depth > DEEPEST:
            raise _Unreadable(line, f"nested more than {DEEPEST} deep: check the indentation")
        if self.count > MOST_VALUES:
            raise _Unreadable(line, f"more than {MOST_VALUES} values: write large GeoJSON as JSON text, or name divisions or sheets")

    def _sequence(self, start: Event, depth: int, path: str) -> Sequence:
        sequence = Sequence(_line(start))
        while not isinstance(event := next(self.events), SequenceEndEvent):
            sequence.items.append(self._node(event, depth + 1, f"{path}[{len(sequence.items)}]"))
        return sequence

    def _mapping(self, start: Event, depth: int, path: str) -> Mapping:
        mapping = Mapping(_line(start))
        while not isinstance(event := next(self.events), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                raise _Unreadable(_line(event), "a key that is no plain word: write `field: value`")
            self._check(event, depth)
            key, line = event.value, _line(event)
            place = f"{path}.{key}" if path else key
            value = self._node(next(self.events), depth + 1, place)
            if key in mapping.entries:
                self.tell(line, place, f"given twice, first on line {mapping.lines[key]}: keep one")
            else:
                mapping.entries[key], mapping.lines[key] = value, line
        return mapping


class _NotJson(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Json:
    node: Node
    faults: list[tuple[int, str, str]]


SPACE = re.compile(r"[ \t\r\n]*")
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
LITERAL = re.compile(r"true|false|null")


class _JsonReader:
    """RFC 8259, by descent. Numbers, true, false and null are plain scalars; strings are not."""

    def __init__(self, text: str):
        self.text, self.count, self.faults = text, 0, []
        self.breaks = [match.start() for match in re.finditer("\n", text)]
        self.line = 1

    def document(self) -> _Json | None:
        """None where it is no JSON: perhaps it is YAML. Raises _Unreadable where it is, but too deep or too much."""
        try:
            node, end = self._node(self._skip(0), 0, "")
            return _Json(node, self.faults) if self._skip(end) == len(self.text) else None
        except (_NotJson, IndexError, json.JSONDecodeError):
            return None

    def _skip(self, at: int) -> int:
        return SPACE.match(self.text, at).end()

    def _line_at(self, at: int) -> int:
        """Places come in order, so the line is never searched for."""
        while self.line <= len(self.breaks) and self.breaks[self.line - 1] < at:
            self.line += 1
        return self.line

    def _node(self, at: int, depth: int, path: str) -> tuple[Node, int]:
        self.count += 1
        line = self._line_at(at)
        if depth > DEEPEST:
            raise _Unreadable(line, f"nested more than {DEEPEST} deep: check the brackets")
        if self.count > MOST_JSON_VALUES:
            raise _Unreadable(line, f"more than {MOST_JSON_VALUES} values: name divisions or sheets instead of drawing large areas")
        first = self.text[at]
        if first == '"':
            text, end = self._string(at + 1)
            return Scalar(line, text, False), end
        if first == "{":
            return self._mapping(at + 1, line, depth, path)
        if first == "[":
            return self._sequence(at + 1, line, depth, path)
        match = NUMBER.match(self.text, at) or LITERAL.match(self.text, at)
        if match is None:
            raise _NotJson
        return Scalar(line, match.group(), True), match.end()

    def _sequence(self, at: int, line: int, depth: int, path: str) -> tuple[Sequence, int]:
        sequence, at = Sequence(line), self._skip(at)
        if self.text[at] == "]":
            return sequence, at + 1
        while True:
            item, at = self._node(at, depth + 1, f"{path}[{len(sequence.items)}]")
            sequence.items.append(item)
            at = self._skip(at)
            if self.text[at] == "]":
                return sequence, at + 1
            at = self._skip(self._past(at, ","))

    def _mapping(self, at: int, line: int, depth: int, path: str) -> tuple[Mapping, int]:
        mapping, at = Mapping(line), self._skip(at)
        if self.text[at] == "}":
            return mapping, at + 1
        while True:
            start = self._line_at(at)
            key, at = self._string(self._past(at, '"'))
            place = f"{path}.{key}" if path else key
            value, at = self._node(self._skip(self._past(self._skip(at), ":")), depth + 1, place)
            if key in mapping.entries:
                self.faults.append((start, place, f"given twice, first on line {mapping.lines[key]}: keep one"))
            else:
                mapping.entries[key], mapping.lines[key] = value, start
            at = self._skip(at)
            if self.text[at] == "}":
                return mapping, at + 1
            at = self._skip(self._past(at, ","))

    def _string(self, at: int) -> tuple[str, int]:
        """Half of a surrogate pair is no character: it becomes a question mark."""
        text, end = json.decoder.scanstring(self.text, at)
        return text.encode("utf-8", "replace").decode(), end

    def _past(self, at: int, wanted: str) -> int:
        if self.text[at] != wanted:
            raise _NotJson
        return at + 1


def _line(event: Event) -> int:
    return event.start_mark.line + 1
