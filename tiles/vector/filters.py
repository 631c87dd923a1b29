"""Filters of fitted styles, read: what they say of a kind, and how MapLibre spells them.

Only what such filters are made of: `and`, `or`, `not`, brackets, `true`, `false`, and comparisons of an attribute with a text or a number.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

KIND = "_kind"
"""The attribute that holds the kind of a feature (`national`, `river`): styles of clients ask for it."""

TOKEN = re.compile(r"\s*(?:(?P<word>and|or|not|true|false)\b|(?P<bracket>[()])|\[(?P<name>[^\]]+)\]\s*(?P<sign>!=|<=|>=|=|<|>)\s*"
                   r"(?:'(?P<text>[^']*)'|(?P<number>[-+]?[0-9.]+)))")


@dataclass(frozen=True, slots=True)
class Constant:
    value: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    name: str
    sign: str                   # = != < <= > >=
    literal: str | float


@dataclass(frozen=True, slots=True)
class Not:
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Joined:
    is_and: bool
    operands: tuple["Node", ...]


Node = Constant | Comparison | Not | Joined


@lru_cache(maxsize=4096)
def parse(text: str) -> Node:
    """The filter that `text` spells. Raises ValueError where it says more than those that are described above."""
    tokens, at = [], 0
    while at < len(text.rstrip()):
        match = TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"`{text[at:at + 60]}` can't stand in a filter of a style that is also one of vector tiles")
        tokens.append(match)
        at = match.end()
    node, rest = _alternatives(tokens)
    if rest:
        raise ValueError(f"`{text[:60]}` does not read as a filter: its brackets don't match")
    return node


def _alternatives(tokens: Sequence[re.Match]) -> tuple[Node, Sequence[re.Match]]:
    return _joined(tokens, "or", lambda rest: _joined(rest, "and", _single))


def _joined(tokens: Sequence[re.Match], word: str, read) -> tuple[Node, Sequence[re.Match]]:
    node, tokens = read(tokens)
    found = [node]
    while tokens and tokens[0]["word"] == word:
        node, tokens = read(tokens[1:])
        found.append(node)
    return (found[0] if len(found) == 1 else Joined(word == "and", tuple(found))), tokens


def _single(tokens: Sequence[re.Match]) -> tuple[Node, Sequence[re.Match]]:
    if not tokens:
        raise ValueError("a filter ends where a comparison should stand")
    first, rest = tokens[0], tokens[1:]
    if first["word"] == "not":
        node, rest = _single(rest)
        return Not(node), rest
    if first["word"] in ("true", "false"):
        return Constant(first["word"] == "true"), rest
    if first["bracket"] == "(":
        node, rest = _alternatives(rest)
        if not rest or rest[0]["bracket"] != ")":
            raise ValueError("a bracket of a filter is not closed")
        return node, rest[1:]
    if first["name"] is None:
        raise ValueError(f"`{first[0]}` stands where a comparison should")
    return Comparison(first["name"], first["sign"], float(first["number"]) if first["text"] is None else first["text"]), rest


def can_be_read(text: str) -> bool:
    """Whether a filter is one of those that are described above."""
    try:
        parse(text)
    except ValueError:
        return False
    return True


def truth(text: str, kind: str) -> bool | None:
    """What a filter says of features of this kind; None where it depends on their other attributes, or can't be read.

    >>> truth("[_kind] = 'river' and [NAME] != ''", "canal"), truth("[_kind] = 'river' and [NAME] != ''", "river")
    (False, None)
    """
    return _truth(parse(text), kind) if can_be_read(text) else None


def _truth(node: Node, kind: str) -> bool | None:
    match node:
        case Constant(value=value):
            return value
        case Comparison(name=name, sign=sign, literal=literal):
            return None if name != KIND else (literal == kind) == (sign == "=")
        case Not(operand=operand):
            found = _truth(operand, kind)
            return None if found is None else not found
        case Joined(is_and=is_and, operands=operands):
            found = [_truth(one, kind) for one in operands]
            if (not is_and) in found:
                return not is_and
            return None if None in found else is_and


def as_expression(text: str) -> list | bool:
    """As MapLibre spells it. A missing value is an empty text, as it is to Mapnik.

    >>> as_expression("([_kind] = 'river' or [_kind] = 'canal') and [NAME] != ''")
    ['all', ['in', ['get', '_kind'], ['literal', ['river', 'canal']]], ['!=', ['to-string', ['get', 'NAME']], '']]
    """
    return _expression(parse(text))


def _expression(node: Node) -> list | bool:
    match node:
        case Constant(value=value):
            return value
        case Comparison(name=name, sign=sign, literal=literal):
            sign = {"=": "=="}.get(sign, sign)
            if name == KIND:
                return [sign, ["get", KIND], literal]
            return [sign, ["to-string" if isinstance(literal, str) else "to-number", ["get", name]], literal]
        case Not(operand=operand):
            return ["!", _expression(operand)]
        case Joined(is_and=is_and, operands=operands):
            kinds = [one.literal for one in operands if isinstance(one, Comparison) and one.name == KIND and one.sign == "="]
            if not is_and and len(kinds) == len(operands):
                return ["in", ["get", KIND], ["literal", kinds]]
            return ["all" if is_and else "any", *map(_expression, operands)]
