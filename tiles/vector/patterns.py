"""The regular expressions by which styles tell kinds, as conditions of row filters: so that the store reads no more than a tile shows.

Codes are whole numbers in one delivery and texts in the next, so each condition is made for both: ranges for numbers, LIKE for texts. A pattern
that can't be said so is None, and then everything is read.
"""

import itertools
import re
from dataclasses import dataclass
from functools import lru_cache

from layers.rows import Compare, IsNull, Joined, Like, Node, Not

DIGITS_OF_CODES = 9
"""Numbers with more are no codes of GB/T 13923."""

MOST_ALTERNATIVES = 200
ALTERNATIVE = re.compile(r"(?:[^\W_]|[ :/-]|\[[0-9]+(?:-[0-9])?\]|\.[*+])+")
PIECE = re.compile(r"\[([0-9]+)(?:-([0-9]))?\]|(\.[*+])|(.)")

LOWEST = -1e15


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a value must be: a number in one of the ranges (from, to; apart, ascending), or a text like one of these."""

    ranges: tuple[tuple[float, float], ...]
    likes: tuple[tuple[str | None, ...], ...]

    @staticmethod
    @lru_cache(maxsize=2048)
    def read(text: str) -> "Pattern | None":
        """A regular expression over the whole value.

        >>> Pattern.read("310[34].*").likes, Pattern.read("(a)?")
        ((('3', '1', '0', '3', None), ('3', '1', '0', '4', None)), None)
        """
        ranges, likes = [], []
        for alternative in text.split("|"):
            if not ALTERNATIVE.fullmatch(alternative):
                return None
            for pieces in itertools.product(*map(_choices, PIECE.finditer(alternative))):
                like = tuple(one for piece in pieces for one in piece)
                found = _ranges(like)
                if found is None or len(likes) >= MOST_ALTERNATIVES:
                    return None
                ranges += found
                likes.append(like)
        return Pattern(_merged(ranges), tuple(likes))

    def met(self, name: str) -> Node:
        """True of values that fit."""
        return Joined(False, (*(_within(name, *one) for one in self.ranges), *(Like(name, like) for like in self.likes)))

    def unmet(self, name: str) -> Node:
        """True of values that don't, and where there is none."""
        edges = [LOWEST, *(edge for one in self.ranges for edge in one)]
        gaps = [_within(name, low, high) for low, high in zip(edges[::2], [*edges[1::2], None], strict=True)]
        return Joined(False, (IsNull(name), *gaps, Joined(True, tuple(Not(Like(name, like)) for like in self.likes))))


def _choices(match: re.Match) -> list[tuple[str | None, ...]]:
    some, last, anything, letter = match.groups()
    if some is not None:
        return [(str(digit),) for digit in range(int(some), int(last) + 1)] if last else [(digit,) for digit in some]
    return [("", None) if anything == ".+" else (None,)] if anything else [(letter,)]


def _ranges(like: tuple[str | None, ...]) -> list[tuple[float, float]] | None:
    """Numbers that are written like this; None where that is no few ranges."""
    letters = "".join(one for one in like if one)
    is_open = like[-1] is None
    if letters.isascii() and letters.isdigit() and letters[0] != "0" and "" not in like and like.count(None) == is_open:
        first = int(letters)
        steps = [10**more for more in range(DIGITS_OF_CODES - len(letters) + 1)] if is_open else [1]
        return [(float(first * step), float((first + 1) * step)) for step in steps]
    return None if re.fullmatch(r"[-0-9.e]*", letters) else []


def _merged(ranges: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    found: list[tuple[float, float]] = []
    for low, high in sorted(set(ranges)):
        if found and low <= found[-1][1]:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return tuple(found)


def _within(name: str, low: float, high: float | None) -> Node:
    above = Compare(name, ">=", low)
    return above if high is None else Joined(True, (above, Compare(name, "<", high)))
