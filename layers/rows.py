"""Row filters: which features of a line map an agreement shares, said in CQL2 text (OGC 21-065r2).

The text is parsed by a library, and of what that understands only a closed list of nodes is let through: comparisons, BETWEEN, IN, LIKE,
IS NULL of a field with literals, joined by AND, OR and NOT. No functions, no geometries, no arithmetic, no field beside a field.

A filter is answered twice: by `matches`, for a feature that is told, and by `where`, as a condition of SQLite for what is drawn. Both follow
one three-valued logic, and a test holds them together. What they share:

- A number is compared with numbers, a text with texts, by code points and case by case; any other pair is unknown. Booleans are the
  numbers 1 and 0, dates the text in which a GeoPackage keeps them ("2011-05-01T00:00:00").
- `FIELD` is asked of every class that has the field, `CLASS.FIELD` of that class alone. Whatever is asked of a field that a class lacks is
  unknown, IS NULL too.
- A feature is shown where the whole is true: neither where it is false, nor where it is unknown.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

import cql2

from layers.errors import RowsInvalid

LONGEST, DEEPEST = 10_000, 48
"""Characters and nested brackets of a filter that is evaluated: of one that several agreements, one under the other, make together."""

LONGEST_WRITTEN, DEEPEST_WRITTEN = 1_000, 24
"""Of one that an agreement may write down. The parser's own stack ends at some thousand brackets, and the process with it."""

MOST_WILDCARDS = 8
"""`%` of one pattern: each may cost another look at every character."""

LARGEST_NUMBER = 2.0**53
"""Numbers from here on are not told apart by doubles, and columns with gaps are read as doubles."""

Value = str | int | float | bool | None

Answer = bool | None
"""None is unknown."""


@dataclass(frozen=True, slots=True)
class Compare:
    field: str
    operator: str               # = <> < <= > >=
    literal: str | float


@dataclass(frozen=True, slots=True)
class Like:
    field: str
    pieces: tuple[str | None, ...]     # characters that must be there, "" for any one, None for any number of them


@dataclass(frozen=True, slots=True)
class IsNull:
    field: str


@dataclass(frozen=True, slots=True)
class Not:
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Joined:
    is_and: bool
    operands: tuple["Node", ...]


Node = Compare | Like | IsNull | Not | Joined


@dataclass(frozen=True, slots=True)
class RowFilter:
    """A filter ready to be asked. `text` is what it was parsed from, `attributes` the fields as it names them."""

    text: str
    node: Node
    attributes: frozenset[str]

    @property
    def compared(self) -> frozenset[tuple[str, bool]]:
        """Fields as the filter names them, each with whether it is compared with a text (True) or a number (False)."""
        return frozenset(_compared(self.node))

    def named_in(self, feature_class: str, fields: Collection[str], name: str) -> str | None:
        """The field of the class that the filter calls `name`; None where the class lacks it."""
        return _Asked(feature_class, fields).field(name)

    def matches(self, feature_class: str, properties: Mapping[str, Value]) -> bool:
        """Whether a feature of the class is shown; `properties` holds every field of the class, absent values as None."""
        return self.answer(feature_class, properties) is True

    def answer(self, feature_class: str, properties: Mapping[str, Value]) -> Answer:
        """The answer itself: None is unknown, and the opposite of unknown is unknown too."""
        return _answer(self.node, _Asked(feature_class, properties), properties)

    def where(self, feature_class: str, fields: Collection[str]) -> str | None:
        """The same as a condition of SQLite over the class's table, its literals quoted; None where it is true of no feature, whatever its values."""
        return _where(self.node, feature_class, tuple(fields))


def parse_rows(text: str) -> RowFilter:
    """The filter that `text` says, as agreements one under the other may have made it.

    Raises
    ------
    RowsInvalid
        It isn't CQL2 text, or says more than comparisons of fields with literals.

    >>> rows = parse_rows("HYDL.GRADE <= 2 AND NAME LIKE '长%'")
    >>> rows.matches("HYDL", {"GRADE": 2, "NAME": "长江"}), rows.matches("LRDL", {"GRADE": 2, "NAME": "长江路"})
    (True, False)
    >>> sorted(rows.attributes)
    ['HYDL.GRADE', 'NAME']
    """
    return _parsed(text, LONGEST, DEEPEST)


def parse_written(text: str) -> RowFilter:
    """As `parse_rows`, for what one agreement writes down: shorter and flatter. Raises RowsInvalid."""
    return _parsed(text, LONGEST_WRITTEN, DEEPEST_WRITTEN)


@lru_cache(maxsize=1024)
def _parsed(text: str, longest: int, deepest: int) -> RowFilter:
    return filter_of(tree_of(text, longest, deepest), text)


def tree_of(text: str, longest: int = LONGEST, deepest: int = DEEPEST) -> object:
    """CQL2 text as the standard spells it in JSON, with whatever it says. Raises RowsInvalid where it is not CQL2."""
    _check_shape(text, longest, deepest)
    try:
        return cql2.parse_text(CONTROL.sub(" ", text)).to_json()
    except cql2.ParseError as error:
        place = re.search(r"--> 1:(\d+)", str(error))
        where = f" at character {place[1]}" if place else ""
        raise RowsInvalid(text, f"it is not CQL2 text{where}", "write conditions such as `GB = 230101 AND NAME IS NOT NULL`") from error


def filter_of(tree: object, text: str = "") -> RowFilter:
    """The filter that CQL2 as JSON says, `text` being how it was written. Raises RowsInvalid where it says more than is taken here."""
    node = _Reading(text).node(tree)
    return RowFilter(text, node, frozenset(_fields(node)))


def all_of(filters: Collection[RowFilter]) -> RowFilter:
    """The filter that is true where all of these are; at least one."""
    return _joined(True, tuple(filters))


def any_of(filters: Collection[RowFilter]) -> RowFilter:
    """The filter that is true where one of these is; at least one."""
    return _joined(False, tuple(filters))


def _joined(is_and: bool, filters: tuple[RowFilter, ...]) -> RowFilter:
    if len(filters) == 1:
        return filters[0]
    text = (" AND " if is_and else " OR ").join(f"({one.text})" for one in filters)
    return RowFilter(text, Joined(is_and, tuple(one.node for one in filters)), frozenset().union(*(one.attributes for one in filters)))


# Reading

QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
SIGNS = re.compile(r"[-+]\s*[-+]")


def _check_shape(text: str, longest: int, deepest: int) -> None:
    """What must be known before the parser sees the text: its stack is not ours."""
    if len(text) > longest:
        raise RowsInvalid(text, f"it has {len(text)} characters", f"use no more than {longest}, or name fewer values")
    if any(CONTROL.search(part) for part in QUOTED.findall(text)):
        raise RowsInvalid(text, "it holds a control character between quotes", "take it out")
    bare = QUOTED.sub("''", text)
    depth = most = 0
    for character in bare:
        depth += {"(": 1, ")": -1}.get(character, 0)
        most = max(most, depth)
    if most > deepest:
        raise RowsInvalid(text, f"its brackets are nested {most} deep", f"write it with no more than {deepest}")
    if SIGNS.search(bare):
        raise RowsInvalid(text, "two signs follow one another", "write one")


OPERATORS = {"=": "=", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
MIRRORED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
IN_WORDS = {"between": "BETWEEN", "in": "IN", "like": "LIKE"}


@dataclass(frozen=True, slots=True)
class _Reading:
    """CQL2 as JSON -> our nodes; nothing else passes."""

    text: str

    def node(self, tree: object, depth: int = 0) -> Node:
        if not isinstance(tree, dict) or "op" not in tree:
            raise self._fault("a field or a value stands where a condition should", "compare it with something")
        if depth > 2 * DEEPEST:
            raise self._fault("its conditions are nested too deep", "write it flatter")
        arguments = tree["args"]
        match tree["op"]:
            case "and" | "or" as operator:
                return Joined(operator == "and", tuple(self.node(one, depth + 1) for one in arguments))
            case "not":
                return Not(self.node(arguments[0], depth + 1))
            case "isNull":
                return IsNull(self._field(arguments[0], "IS NULL"))
            case "like":
                return self._like(*arguments)
            case "between":
                field = self._field(arguments[0], "BETWEEN")
                low, high = (self._literal(one) for one in arguments[1:])
                return Joined(True, (Compare(field, ">=", low), Compare(field, "<=", high)))
            case "in":
                field = self._field(arguments[0], "IN")
                return Joined(False, tuple(Compare(field, "=", self._literal(one)) for one in arguments[1]))
            case operator if operator in OPERATORS:
                return self._compare(operator, *arguments)
        raise self._fault(f"`{str(tree['op'])[:30]}` is not among what may be asked", "use =, <>, <, <=, >, >=, BETWEEN, IN, LIKE, IS NULL, AND, OR, NOT")

    def _compare(self, operator: str, left: object, right: object) -> Compare:
        if _is_field(left) == _is_field(right):
            raise self._fault(f"`{operator}` must compare one field with one value", "put the name of a field on one side")
        if _is_field(right):
            left, right, operator = right, left, MIRRORED[operator]
        if isinstance(right, bool) and operator not in ("=", "<>"):
            raise self._fault("TRUE and FALSE have no order", "compare them with = or <>")
        return Compare(self._field(left, operator), OPERATORS[operator], self._literal(right))

    def _like(self, field: object, pattern: object) -> Like:
        name = self._field(field, "LIKE")
        if not isinstance(pattern, str):
            raise self._fault("LIKE needs a pattern in quotes", "write one such as '长%'")
        pieces = self._pieces(pattern)
        if pieces.count(None) > MOST_WILDCARDS:
            raise self._fault(f"its pattern has more than {MOST_WILDCARDS} `%`", "use fewer")
        return Like(name, pieces)

    def _pieces(self, pattern: str) -> tuple[str | None, ...]:
        pieces: list[str | None] = []
        escaped = False
        for character in pattern:
            if escaped and character not in "%_\\":
                raise self._fault("a backslash in its pattern stands before an ordinary character", r"write \\ for a backslash, \% for a percent sign, \_ for a line")
            if escaped or character not in "%_\\":
                pieces.append(character)
            elif character == "_":
                pieces.append("")
            elif character == "%" and pieces[-1:] != [None]:
                pieces.append(None)
            escaped = not escaped and character == "\\"
        if escaped:
            raise self._fault("its pattern ends in a backslash", r"write \\ for a backslash")
        return tuple(pieces)

    def _field(self, tree: object, operator: str) -> str:
        if not _is_field(tree):
            raise self._fault(f"{operator} must ask of a field", "put the name of a field before it")
        return tree["property"]

    def _literal(self, tree: object) -> str | float:
        if isinstance(tree, bool):
            return 1.0 if tree else 0.0
        if isinstance(tree, int | float):
            if not math.isfinite(tree) or abs(tree) >= LARGEST_NUMBER:
                raise self._fault("a number has more than 15 digits", "name a smaller one, or put it in quotes where the field holds text")
            return float(tree)
        if isinstance(tree, str):
            return tree
        if tree is None:
            raise self._fault("nothing equals NULL", "write IS NULL or IS NOT NULL")
        raise self._fault("it compares with something that is neither a number nor a text", "name the values themselves; dates are text, such as '2011-05-01'")

    def _fault(self, fault: str, mend: str) -> RowsInvalid:
        return RowsInvalid(self.text, fault, mend)


def _is_field(tree: object) -> bool:
    return isinstance(tree, dict) and "property" in tree


def _fields(node: Node) -> set[str]:
    match node:
        case Joined(operands=operands):
            return set().union(*map(_fields, operands))
        case Not(operand=operand):
            return _fields(operand)
    return {node.field}


def _compared(node: Node) -> set[tuple[str, bool]]:
    match node:
        case Joined(operands=operands):
            return set().union(*map(_compared, operands))
        case Not(operand=operand):
            return _compared(operand)
        case Compare(field=field, literal=literal):
            return {(field, isinstance(literal, str))}
        case Like(field=field):
            return {(field, True)}
    return set()


# Which field is meant

@dataclass(frozen=True, slots=True)
class _Asked:
    """One class and the fields it has."""

    feature_class: str
    fields: Collection[str]

    def field(self, name: str) -> str | None:
        """The class's own field that the filter calls `name`; None where it has none."""
        if name in self.fields:
            return name
        own = name.removeprefix(f"{self.feature_class}.")
        return own if own != name and own in self.fields else None


# Three-valued logic

def _and(answers: Collection[Answer]) -> Answer:
    return False if False in answers else None if None in answers else True


def _or(answers: Collection[Answer]) -> Answer:
    return True if True in answers else None if None in answers else False


def _not(answer: Answer) -> Answer:
    return None if answer is None else not answer


def _answer(node: Node, asked: _Asked, properties: Mapping[str, Value]) -> Answer:
    match node:
        case Joined(is_and=is_and, operands=operands):
            return (_and if is_and else _or)([_answer(one, asked, properties) for one in operands])
        case Not(operand=operand):
            return _not(_answer(operand, asked, properties))
    field = asked.field(node.field)
    if field is None:
        return None
    value = properties[field]
    match node:
        case IsNull():
            return value is None
        case Like(pieces=pieces):
            return _expression(pieces).fullmatch(value) is not None if isinstance(value, str) else None
        case Compare(operator=operator, literal=literal):
            return COMPARED[operator](value, literal) if _are_alike(value, literal) else None


def _possible(node: Node, asked: _Asked) -> frozenset[Answer]:
    """The answers that some feature of the class could give."""
    match node:
        case Joined(is_and=is_and, operands=operands):
            join, found = (_and if is_and else _or), frozenset({is_and})
            for operand in operands:
                found = frozenset(join((one, other)) for one in found for other in _possible(operand, asked))
            return found
        case Not(operand=operand):
            return frozenset(_not(one) for one in _possible(operand, asked))
    return frozenset({None}) if asked.field(node.field) is None else frozenset({True, False, None})


COMPARED: dict[str, Callable[[Value, Value], bool]] = {
    "=": lambda value, literal: value == literal, "<>": lambda value, literal: value != literal,
    "<": lambda value, literal: value < literal, "<=": lambda value, literal: value <= literal,
    ">": lambda value, literal: value > literal, ">=": lambda value, literal: value >= literal,
}


def _are_alike(value: Value, literal: str | float) -> bool:
    return isinstance(value, str) if isinstance(literal, str) else isinstance(value, int | float)


@lru_cache(maxsize=256)
def _expression(pieces: tuple[str | None, ...]) -> re.Pattern:
    return re.compile("".join(".*" if piece is None else re.escape(piece) or "." for piece in pieces), re.DOTALL)


# SQLite

UNKNOWN = "NULL"


@lru_cache(maxsize=1024)
def _where(node: Node, feature_class: str, fields: tuple[str, ...]) -> str | None:
    asked = _Asked(feature_class, fields)
    return _condition(node, asked) if True in _possible(node, asked) else None


def _condition(node: Node, asked: _Asked) -> str:
    match node:
        case Joined(is_and=is_and, operands=operands):
            return f"({(' AND ' if is_and else ' OR ').join(_condition(one, asked) for one in operands)})"
        case Not(operand=operand):
            return f"(NOT {_condition(operand, asked)})"
    field = asked.field(node.field)
    if field is None:
        return UNKNOWN
    column = '"' + field.replace('"', '""') + '"'
    match node:
        case IsNull():
            return f"({column} IS NULL)"
        case Like(pieces=pieces):
            return f"(CASE WHEN typeof({column}) = 'text' THEN {column} GLOB {_quoted(_glob(pieces))} END)"
        case Compare(operator=operator, literal=literal):
            # the sign takes the column's affinity away, by which SQLite would turn numbers into text or text into numbers
            if isinstance(literal, str):
                return f"(CASE WHEN typeof({column}) = 'text' THEN +{column} {operator} {_quoted(literal)} END)"
            return f"(CASE WHEN typeof({column}) IN ('integer', 'real') THEN +{column} {operator} {literal!r} END)"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _glob(pieces: tuple[str | None, ...]) -> str:
    """SQLite's LIKE ignores the case of ASCII letters; GLOB does not."""
    return "".join("*" if piece is None else f"[{piece}]" if piece in ("*", "?", "[") else piece or "?" for piece in pieces)
