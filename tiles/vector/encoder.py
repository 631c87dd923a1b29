"""Features on the grid of a tile -> Mapbox Vector Tile 2.1, whole layers at a time.

A tile is a protocol buffer, and all of a feature - tags, lengths, identifiers, commands and coordinates - is varints: so the features of a layer
are laid out as one long row of numbers, whose lengths in bytes are known by sums, and which is written in one go. No loop runs over features.

Source: Vector Tile Specification 2.1; Protocol Buffers encoding.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

VERSION, EXTENT = 2, 4096
"""Of the specification, and units to a side of a tile."""

POINT, LINE, POLYGON = 1, 2, 3
MOVE_TO, LINE_TO, CLOSE_PATH = 1, 2, 7

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Shapes on the grid, one row after another: y grows downward, rings are not closed and turn as the specification wants them.

    `points` (m, 2) int64; `path_sizes` how many of them each path (line, ring, or all points of a feature) has; `paths_of` how many paths each
    feature has, at least one.
    """

    geometry: int               # POINT, LINE or POLYGON
    points: np.ndarray
    path_sizes: np.ndarray
    paths_of: np.ndarray

    @property
    def count(self) -> int:
        return len(self.paths_of)

    def part(self, first: int, last: int) -> "Drawing":
        """The features from `first` up to `last`."""
        if (first, last) == (0, self.count):
            return self
        paths = slice(int(self.paths_of[:first].sum()), int(self.paths_of[:last].sum()))
        points = slice(int(self.path_sizes[:paths.start].sum()), int(self.path_sizes[:paths.stop].sum()))
        return Drawing(geometry=self.geometry, points=self.points[points], path_sizes=self.path_sizes[paths], paths_of=self.paths_of[first:last])


@dataclass(frozen=True, slots=True, kw_only=True)
class TileLayer:
    """One layer of a tile. `ids` (n,) uint64; `columns` hold n values each, None is left out of its feature."""

    name: str
    drawing: Drawing
    ids: np.ndarray
    columns: Mapping[str, Sequence[Value]]


def encode_tile(layers: Iterable[TileLayer], extent: int = EXTENT) -> bytes:
    """The tile: areas before lines before points; layers without features are left out, and of none at all it is empty."""
    layers = sorted((layer for layer in layers if layer.drawing.count), key=lambda layer: -layer.drawing.geometry)
    if not layers:
        return b""
    tags = [_tags(layer.columns, layer.drawing.count) for layer in layers]
    features, ends = _features(layers, [numbers for _, _, numbers in tags])
    found, start = [], 0
    for layer, (keys, values, _), end in zip(layers, tags, ends, strict=True):
        found.append(field(3, b"".join([
            bytes([15 << 3, VERSION]), field(1, layer.name.encode()), features[start:end], *(field(3, key.encode()) for key in keys),
            *(field(4, value) for value in values), bytes([5 << 3]), varint(extent),
        ])))
        start = end
    return b"".join(found)


def count_features(tile: bytes) -> int:
    """How many features a tile holds."""
    count = 0
    for number, layer in _messages(tile):
        if number == 3:
            count += sum(1 for inner, _ in _messages(layer) if inner == 2)
    return count


# Attributes

def _tags(columns: Mapping[str, Sequence[Value]], count: int) -> tuple[list[str], list[bytes], tuple[np.ndarray, np.ndarray]]:
    """Keys, encoded values, and the pairs of their numbers: how many numbers each feature has, and all of them in a row. Equal values are written once.

    Values of one layer are told apart by type too: 1, 1.0 and true are equal in Python.
    """
    keys, places, matrix = [], {}, []
    for name, column in columns.items():
        numbers = np.fromiter(_numbered(column, places), dtype=np.int64, count=count)
        if (numbers >= 0).any():
            matrix.append(numbers)
            keys.append(name)
    if not keys:
        return [], [], (np.zeros(count, dtype=np.int64), np.empty(0, dtype=np.uint64))
    table = np.column_stack(matrix)
    there = table >= 0
    pairs = np.empty((*table.shape, 2), dtype=np.uint64)
    pairs[..., 0] = np.arange(len(keys))
    pairs[..., 1] = np.where(there, table, 0)
    return keys, [_value(value) for _, value in places], (2 * there.sum(axis=1), pairs[there].ravel())


def _numbered(column: Sequence[Value], places: dict[tuple[type, Value], int]) -> Iterator[int]:
    """The number of each value among all of the layer, -1 where there is none; new ones are added to `places`."""
    if len(set(map(type, column)) - {str, type(None)}) < 2:      # of one type numbers that are equal are the same
        numbers = {value: -1 if value is None else places.setdefault((type(value), value), len(places)) for value in dict.fromkeys(column)}
        return map(numbers.__getitem__, column)
    return (-1 if value is None else places.setdefault((type(value), value), len(places)) for value in column)


def _value(value: Value) -> bytes:
    match value:
        case bool():
            return bytes([7 << 3, value])
        case str():
            return field(1, value.encode("utf-8", "replace"))
        case int() if 0 <= value < 1 << 63:
            return bytes([5 << 3]) + varint(value)
        case int() if -(1 << 63) <= value < 0:
            return bytes([6 << 3]) + varint((-value << 1) - 1)
    return bytes([3 << 3 | 1]) + struct.pack("<d", value)


# Features

def _features(layers: Sequence[TileLayer], tags: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[bytes, list[int]]:
    """All features of all layers - (2) { id (1), tags (2), type (3), geometry (4) } - as one row of varints, and where in the bytes each layer ends."""
    drawings = [layer.drawing for layer in layers]
    tag_counts, tag_numbers = (np.concatenate(part) for part in zip(*tags, strict=True))
    by_geometry = [_commands(_joined([one for one in drawings if one.geometry == geometry])) for geometry in (POLYGON, LINE, POINT)]
    commands, command_counts = (np.concatenate(part) for part in zip(*by_geometry, strict=True))
    counts = [one.count for one in drawings]
    tag_heads = np.where(tag_counts > 0, 2, 0)                   # a feature without attributes has no such field
    sizes = 2 + 2 + tag_heads + tag_counts + 2 + 2 + command_counts
    ends = np.cumsum(sizes)
    starts = ends - sizes
    row = np.zeros(int(ends[-1]), dtype=np.uint64)
    row[starts], row[starts + 2] = 2 << 3 | 2, 1 << 3
    row[starts + 3] = np.concatenate([layer.ids for layer in layers])
    tags_at = starts + 4
    tagged = tag_counts > 0
    row[tags_at[tagged]] = 2 << 3 | 2
    row[run_of(tags_at + tag_heads, tag_counts)] = tag_numbers
    kind_at = tags_at + tag_heads + tag_counts
    row[kind_at], row[kind_at + 2] = 3 << 3, 4 << 3 | 2
    row[kind_at + 1] = np.repeat([one.geometry for one in drawings], counts)
    row[run_of(kind_at + 4, command_counts)] = commands

    widths = _widths(row)
    until = np.concatenate([[0], np.cumsum(widths)])
    tag_bytes = until[tags_at + tag_heads + tag_counts] - until[tags_at + tag_heads]
    command_bytes = until[ends] - until[kind_at + 4]
    row[tags_at[tagged] + 1], row[kind_at + 3] = tag_bytes[tagged], command_bytes
    widths[tags_at[tagged] + 1], widths[kind_at + 3] = _widths(row[tags_at[tagged] + 1]), _widths(row[kind_at + 3])
    bodies = np.add.reduceat(widths, starts) - widths[starts] - widths[starts + 1]
    row[starts + 1] = bodies
    widths[starts + 1] = _widths(row[starts + 1])
    last = np.cumsum(counts) - 1
    return _varints(row, widths), np.cumsum(widths)[ends[last] - 1].tolist()


def _joined(drawings: Sequence[Drawing]) -> Drawing | None:
    if len(drawings) < 2:
        return drawings[0] if drawings else None
    return Drawing(
        geometry=drawings[0].geometry, points=np.concatenate([one.points for one in drawings]),
        path_sizes=np.concatenate([one.path_sizes for one in drawings]), paths_of=np.concatenate([one.paths_of for one in drawings]),
    )


NOTHING = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)


def _commands(drawing: Drawing | None) -> tuple[np.ndarray, np.ndarray]:
    """The commands of all features in a row, coordinates as zigzag differences from the cursor, and how many numbers each feature has of them."""
    if drawing is None:
        return NOTHING
    sizes, paths_of = drawing.path_sizes, drawing.paths_of
    first_path = np.cumsum(paths_of) - paths_of
    first_point = np.cumsum(sizes) - sizes
    steps = np.diff(drawing.points, axis=0, prepend=np.zeros((1, 2), dtype=drawing.points.dtype)).astype(np.int64)
    at = first_point[first_path]
    steps[at] = drawing.points[at]                                # the cursor begins at 0, 0 in each feature
    coordinates = ((steps << 1) ^ (steps >> 63)).astype(np.uint64)
    if drawing.geometry == POINT:
        lengths = 1 + 2 * sizes
        row = np.empty(int(lengths.sum()), dtype=np.uint64)
        at = np.cumsum(lengths) - lengths
        row[at] = sizes << 3 | MOVE_TO
        row[run_of(at + 1, 2 * sizes)] = coordinates.ravel()
        return row, np.add.reduceat(lengths, first_path)
    is_closed = drawing.geometry == POLYGON
    lengths = 2 + 2 * sizes + is_closed
    row = np.empty(int(lengths.sum()), dtype=np.uint64)
    ends = np.cumsum(lengths)
    at = ends - lengths
    row[at], row[at + 3] = 1 << 3 | MOVE_TO, (sizes - 1) << 3 | LINE_TO
    row[at + 1], row[at + 2] = coordinates[first_point].T
    rest = np.ones(len(coordinates), dtype=bool)
    rest[first_point] = False
    row[run_of(at + 4, 2 * (sizes - 1))] = coordinates[rest].ravel()
    if is_closed:
        row[ends - 1] = 1 << 3 | CLOSE_PATH
    return row, np.add.reduceat(lengths, first_path)


def run_of(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The numbers start, start + 1, ... of every run, one run after another."""
    before = np.cumsum(counts) - counts
    return np.arange(int(counts.sum())) + np.repeat(starts - before, counts)


# Varints

LIMITS = np.array([1 << 7 * more for more in range(1, 9)], dtype=np.uint64)


def _widths(row: np.ndarray) -> np.ndarray:
    """Bytes that each number takes."""
    widths = np.ones(len(row), dtype=np.int64)
    most = row.max(initial=0)
    for limit in LIMITS[most >= LIMITS]:
        widths += row >= limit
    return widths


def _varints(row: np.ndarray, widths: np.ndarray) -> bytes:
    ends = np.cumsum(widths)
    out = np.empty(int(ends[-1]), dtype=np.uint8)
    at, more = ends - widths, widths > 1
    out[at] = row & 127 | more.astype(np.uint64) << 7
    step = 0
    while more.any():
        row, at, widths = row[more], at[more], widths[more]
        step += 1
        row = row >> 7
        more = widths > step + 1
        out[at + step] = row & 127 | more.astype(np.uint64) << 7
    return out.tobytes()


def varint(value: int) -> bytes:
    """A number as protocol buffers write it."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def field(number: int, content: bytes) -> bytes:
    """A field that holds bytes."""
    return b"".join((varint(number << 3 | 2), varint(len(content)), content))


def _messages(message: bytes) -> Iterable[tuple[int, memoryview]]:
    """Number and content of the fields of a message that hold bytes; content of the others is passed over."""
    view, at = memoryview(message), 0
    while at < len(view):
        tag, at = _read(view, at)
        match tag & 7:
            case 2:
                length, at = _read(view, at)
                yield tag >> 3, view[at:at + length]
                at += length
            case 0:
                _, at = _read(view, at)
            case 1:
                at += 8
            case 5:
                at += 4


def _read(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
