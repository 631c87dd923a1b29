"""YAML text -> nodes that know their line, and nothing a document could be surprised by.

Every scalar stays the text it is in the document: what it means is for the field to say. So `320104`, `3.10` and `no` are not turned into a
number, another number and a truth value. Aliases, tags and a second document are refused, keys given twice are told, and depth and number
of values are bounded, so that a small text can't become a large value.
"""

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
    events = YAML(typ="safe", pure=True).parse(text)
    try:
        return _Builder(events, tell).document()
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


def _line(event: Event) -> int:
    return event.start_mark.line + 1
