"""Row filters as conditions of PostgreSQL: the logic of `layers.rows`, over columns that have types. Every value is a parameter, never text."""

from dataclasses import dataclass, field

from layers.features.store import FieldType
from layers.model import FeatureClass
from layers.rows import Compare, IsNull, Joined, Like, Node, Not, RowFilter, Value

UNKNOWN = "NULL::boolean"


@dataclass(slots=True)
class Parameters:
    """Values in the order of their places."""

    values: list[Value] = field(default_factory=list)

    def place(self, value: Value) -> str:
        self.values.append(value)
        return "%s"


def condition_in_postgresql(rows: RowFilter, table: FeatureClass, columns: dict[str, tuple[str, FieldType]], parameters: Parameters) -> str | None:
    """The filter over columns; None where it is true of no feature, whatever its values."""
    if rows.where(table.name, table.fields) is None:
        return None
    return _condition(rows.node, rows, table, columns, parameters)


def _condition(node: Node, rows: RowFilter, table: FeatureClass, columns: dict[str, tuple[str, FieldType]], parameters: Parameters) -> str:
    match node:
        case Joined(is_and=is_and, operands=operands):
            return f"({(' AND ' if is_and else ' OR ').join(_condition(one, rows, table, columns, parameters) for one in operands)})"
        case Not(operand=operand):
            return f"(NOT {_condition(operand, rows, table, columns, parameters)})"
    name = rows.named_in(table.name, table.fields, node.field)
    if name is None:
        return UNKNOWN
    column, kind = columns[name]
    match node:
        case IsNull():
            return f"({column} IS NULL)"
        case Like(pieces=pieces):
            return f"({column} LIKE {parameters.place(_pattern(pieces))})" if kind.is_text else UNKNOWN
        case Compare(operator=operator, literal=literal):
            if isinstance(literal, str) != kind.is_text:
                return UNKNOWN
            if kind.is_text:
                return f'({column} COLLATE "C" {operator} {parameters.place(literal)}::text)'
            return f"({column}{'::int' if kind is FieldType.BOOLEAN else ''} {operator} {parameters.place(float(literal))}::double precision)"
    raise TypeError(node)


def _pattern(pieces: tuple[str | None, ...]) -> str:
    """Pieces of a pattern as LIKE spells it, which tells letters apart by their case."""
    return "".join("%" if piece is None else "_" if piece == "" else f"\\{piece}" if piece in ("%", "_", "\\") else piece for piece in pieces)
