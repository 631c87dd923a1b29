"""Asking the audit: figures with the question that gave them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from geoserver_app.audit.sql import connect, select
from geoserver_app.review.questions import Scope, question_sql, quoted, with_scope


@dataclass(frozen=True, slots=True)
class Counted:
    """What a question was answered: `sql` is the whole of it."""

    name: str
    sql: str
    columns: tuple[str, ...]
    rows: tuple[tuple, ...]

    def __iter__(self) -> Iterator[dict]:
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)

    @property
    def row(self) -> dict:
        """Of a question that has one."""
        (row,) = self
        return row

    def column(self, name: str) -> list:
        place = self.columns.index(name)
        return [row[place] for row in self.rows]


class Figures:
    """The figures of one scope. What was asked before is remembered."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, scope: Scope):
        self._connection, self.scope = connection, scope
        self._known: dict[str, Counted] = {}

    def __getitem__(self, name: str) -> Counted:
        """The answer to the question of that name. Raises KeyError where there is none."""
        if name not in self._known:
            self._known[name] = self._ask(name, question_sql(name, self.scope))
        return self._known[name]

    def ask(self, name: str, body: str, **parts: str) -> Counted:
        """The answer to a SELECT over the parts of `questions`, and over others that are given as SELECTs of their own."""
        return self._ask(name, with_scope(body, self.scope, **parts))

    def about(self, scope: Scope) -> "Figures":
        """The same record, asked about something else within the same days."""
        return Figures(self._connection, scope)

    def _ask(self, name: str, sql: str) -> Counted:
        columns, rows = select(self._connection, sql)
        return Counted(name, sql, tuple(columns), tuple(rows))


@contextmanager
def figures(folder: Path, scope: Scope, grantees: Iterable[str] = ()) -> Iterator[Figures]:
    """The figures of `scope` over the decision record in `folder`.

    The rows it is about are read once, into tables that stand before the views under the same names: a printed question is answered by the views
    as it is here by the tables. Of one agreement with its `grantees` they are what those asked, what counted on its quota, and acts of people.
    """
    whose = ", ".join(quoted(one) for one in grantees)
    is_narrow = bool(whose) and scope.agreement is not None
    layers = f" WHERE agency IN ({whose}) OR list_contains(json_keys(charged), {quoted(scope.agreement)})" if is_narrow else ""
    records = f" WHERE agency IN ({whose}) OR effect IS NULL" if is_narrow else ""
    connection = connect(folder, first=scope.first, last=scope.last)
    try:
        connection.execute(f"CREATE TEMP TABLE audit_layers AS SELECT * FROM main.audit_layers{layers}")       # first: that view reads `audit`
        connection.execute(f"CREATE TEMP TABLE audit AS SELECT * EXCLUDE (layers) FROM main.audit{records}")
        yield Figures(connection, scope)
    finally:
        connection.close()


def values(columns: Iterable[tuple[str, str]], rows: Iterable[tuple]) -> str:
    """Rows that are not of the audit, as a SELECT that holds them: a question over them is complete as well.

    >>> print(values([("dataset", "VARCHAR"), ("due", "DATE")], [("dikes", date(2026, 3, 31)), ("roads", None)]))
    SELECT CAST(dataset AS VARCHAR) AS dataset, CAST(due AS DATE) AS due
    FROM (VALUES ('dikes', '2026-03-31'), ('roads', NULL)) AS held(dataset, due)
    """
    columns, rows = list(columns), list(rows)
    names = ", ".join(name for name, _ in columns)
    cells = [f"({', '.join(_literal(value) for value in row)})" for row in rows] or [f"({', '.join('NULL' for _ in columns)})"]
    where = "" if rows else " WHERE false"
    casts = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in columns)
    held = (",\n" + " " * 13).join(_lines(cells))
    return f"SELECT {casts}\nFROM (VALUES {held}) AS held({names}){where}"


WIDE = 120
"""Characters of a line of rows."""


def _lines(cells: list[str]) -> Iterator[str]:
    """As many rows on a line as go on it."""
    line = cells[0]
    for cell in cells[1:]:
        if len(line) + len(cell) > WIDE:
            yield line
            line = cell
        else:
            line += f", {cell}"
    yield line


def _literal(value) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = value.isoformat() if isinstance(value, date) else str(value)
    return quoted(text)
