"""A vector tile, read byte by byte as the specification says, and held to it: an independent way back from what the encoder writes."""

import struct
from dataclasses import dataclass

import numpy as np

EXTENT = 4096


@dataclass
class Feature:
    id: int
    geometry: int               # 1 points, 2 lines, 3 polygons
    properties: dict
    paths: list[np.ndarray]     # (k, 2) each: rings are not closed


def read_tile(tile: bytes) -> dict[str, list[Feature]]:
    """Layers by name; asserts what the specification demands."""
    layers = {}
    for field, wire, content in _fields(tile):
        assert (field, wire) == (3, 2)
        name, features = _layer(content)
        assert name not in layers and features
        layers[name] = features
    return layers


def _layer(message: bytes) -> tuple[str, list[Feature]]:
    found = {number: [] for number in (1, 2, 3, 4, 5, 15)}
    for field, _, content in _fields(message):
        found[field].append(content)
    assert found[15] == [2] and found[5] == [EXTENT] and len(found[1]) == 1
    keys, values = [one.decode() for one in found[3]], [_value(one) for one in found[4]]
    assert len(set(keys)) == len(keys) and len({(type(v), v) for v in values}) == len(values)
    features = [_feature(one, keys, values) for one in found[2]]
    used = {name for one in features for name in one.properties}
    assert used == set(keys)
    return found[1][0].decode(), features


def _feature(message: bytes, keys: list, values: list) -> Feature:
    one = {field: content for field, _, content in _fields(message)}
    tags = list(_numbers(one.get(2, b"")))
    assert len(tags) % 2 == 0
    geometry = one[3]
    feature = Feature(one.get(1), geometry, {keys[k]: values[v] for k, v in zip(tags[::2], tags[1::2], strict=True)}, _paths(list(_numbers(one[4])), geometry))
    assert feature.paths
    if geometry == 3:
        areas = [_area(path) for path in feature.paths]
        assert areas[0] > 0 and all(areas)                 # the first ring is a shell; no ring is without area
    return feature


def _paths(numbers: list[int], geometry: int) -> list[np.ndarray]:
    at, x, y, paths, path = 0, 0, 0, [], []
    while at < len(numbers):
        command, count = numbers[at] & 7, numbers[at] >> 3
        at += 1
        assert count > 0
        if command == 7:
            assert geometry == 3 and count == 1 and len(path) >= 3
            continue
        if command == 1:
            assert geometry == 1 or count == 1
            if path:
                paths.append(np.array(path))
            path = []
        else:
            assert command == 2 and path and geometry != 1
        for _ in range(count):
            dx, dy = (numbers[at + i] >> 1 ^ -(numbers[at + i] & 1) for i in (0, 1))
            assert command == 1 or (dx, dy) != (0, 0)
            at, x, y = at + 2, x + dx, y + dy
            path.append((x, y))
    paths.append(np.array(path))
    assert geometry == 1 or all(len(one) >= (2 if geometry == 2 else 3) for one in paths)
    return paths


def _area(ring: np.ndarray) -> int:
    x, y = ring.T
    return int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


def _value(message: bytes):
    ((field, _, content),) = list(_fields(message))
    match field:
        case 1:
            return content.decode()
        case 3:
            return struct.unpack("<d", content)[0]
        case 5:
            return content
        case 6:
            return content >> 1 ^ -(content & 1)
        case 7:
            return bool(content)
    raise AssertionError(field)


def _fields(message: bytes):
    at = 0
    while at < len(message):
        tag, at = _number(message, at)
        match tag & 7:
            case 0:
                content, at = _number(message, at)
            case 1:
                content, at = message[at:at + 8], at + 8
            case 2:
                size, at = _number(message, at)
                assert at + size <= len(message)
                content, at = message[at:at + size], at + size
            case _:
                raise AssertionError(tag)
        yield tag >> 3, tag & 7, content


def _numbers(message: bytes):
    at = 0
    while at < len(message):
        number, at = _number(message, at)
        yield number


def _number(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
