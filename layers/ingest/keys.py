"""Keys of features: what their names outside, pages and tiles rest on. A key stays a feature's own when its edition is published again, however
many features other files then bring or lose.

A key is one number of 63 bits, and where it is from stands in its first two:

- 00: the number (FID) that the feature has in its file, of files that name no map sheet;
- 01: that number in the range of its sheet, which follows from the sheet's number alone;
- 10: the value of the field that `--key` names, itself or hashed, wherever the feature lies;
- 11: hashes: numbers too long for a range, and the ranges of several files without a sheet number that bring the same table.

Source of the sheets' numbers: GB/T 13989-2012.
"""

from hashlib import sha256

import numpy as np
import pandas

from layers.errors import LayerRejected
from layers.sheets import numbers as sheets

OF_SHEET, OF_FIELD, HASHED = 1 << 61, 2 << 61, 3 << 61
VALUES = 1 << 61
"""Keys of one origin."""

PLACES_IN_SHEET = 1 << 22
"""Features of one table in one sheet that have keys in the sheet's range."""

SHOWN = 3


def keys_of(fids: np.ndarray, number: str, source: str) -> np.ndarray:
    """Keys (n,) int64 of features by their numbers in the file `source`; `number` is its sheet's, "" where it has none."""
    fids = np.asarray(fids, np.int64)
    if not number:
        return _or_hashed(fids, (fids >= 0) & (fids < VALUES), source)
    is_short = (fids >= 0) & (fids < PLACES_IN_SHEET)
    return _or_hashed(OF_SHEET | sheets.ordinal(number) * PLACES_IN_SHEET | np.where(is_short, fids, 0), is_short, number, fids)


def keys_by_field(values: pandas.Series, *, file_name: str, table: str) -> np.ndarray:
    """Keys (n,) int64 by a field of which every feature has a value of its own.

    Raises
    ------
    LayerRejected
        A value is missing or comes twice; the sentence shows some.
    """
    if values.isna().any():
        raise LayerRejected(
            file_name, f"`{values.name}` of table `{table}` has no value in {int(values.isna().sum())} features, so it can't be their key",
            "give each feature a value, or leave `--key` out",
        )
    twice = values[values.duplicated()]
    if len(twice):
        shown = ", ".join(str(value)[:40] for value in twice.unique()[:SHOWN])
        raise LayerRejected(
            file_name, f"`{values.name}` of table `{table}` has the same value in several features: {shown}", "name a field whose values are all different, or leave `--key` out",
        )
    return np.array([OF_FIELD | (int(value) if _is_whole(value) else _hash(str(value))) for value in values], np.int64)


def set_apart(keys: np.ndarray, source: str) -> np.ndarray:
    """Keys of a file without a sheet number, where others bring the same table: those that are plain numbers move into a range of the file's name."""
    keys = np.asarray(keys, np.int64)
    is_short = (keys >= 0) & (keys < PLACES_IN_SHEET)
    moved = _or_hashed(HASHED | _hash(source) // PLACES_IN_SHEET * PLACES_IN_SHEET | np.where(is_short, keys, 0), is_short, source, keys)
    return np.where(are_plain(keys), moved, keys)


def are_plain(keys: np.ndarray) -> np.ndarray:
    """Which are numbers of their file alone: they may come in another file too."""
    return np.asarray(keys, np.int64) < OF_SHEET


def numbers_in_file(keys: np.ndarray) -> np.ndarray:
    """The numbers that features have in the file that they came in, where their keys tell them; else the keys."""
    keys = np.asarray(keys, np.int64)
    return np.where(keys >> 61 == 1, keys % PLACES_IN_SHEET, keys)


def _or_hashed(keys: np.ndarray, are_good: np.ndarray, *parts: object) -> np.ndarray:
    """`keys`, and hashes where they are not good; the last of `parts` holds what is hashed with the others, else the keys themselves."""
    if are_good.all():
        return keys
    numbers = parts[-1] if isinstance(parts[-1], np.ndarray) else keys
    named = "\0".join(str(part) for part in parts if not isinstance(part, np.ndarray))
    return np.array([key if good else HASHED | _hash(f"{named}\0{number}") for key, good, number in zip(keys.tolist(), are_good, numbers.tolist(), strict=True)], np.int64)


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and 0 <= value < VALUES


def _hash(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") % VALUES
