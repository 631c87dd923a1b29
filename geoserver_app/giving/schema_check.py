"""A contributed table against what is declared of it: fields, types, lists of values, keys, and codes at the day they are of."""

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime

from geoserver_app.giving.codes import DivisionCodes, is_organisation_code
from geoserver_app.giving.contents import Contents
from geoserver_app.giving.declared import DeclaredField, DeclaredTable, FieldKind, Meaning
from geoserver_app.giving.findings import Finding, Severity, finding

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
DAY = re.compile(r"([0-9]{4})[-/.年]?([0-9]{1,2})[-/.月]?([0-9]{1,2})日?([T ].*)?")

BaseValues = Callable[[DeclaredField], Collection[str] | None]
"""Values of the field of a layer that another rests on; None where that layer is not there."""


def check_schema(contents: Contents, declared: DeclaredTable, day: date, divisions: DivisionCodes, base_values: BaseValues) -> Iterator[Finding]:
    """What is wrong with the attributes of a table that is of `day`."""
    if not declared.layer:
        yield Finding(code="given-not-declared", severity=NOTE, table=contents.name)
    if declared.geometry and contents.kind != declared.geometry:
        yield Finding(code="given-geometry", table=contents.name, detail={"is": contents.kind, "wanted": declared.geometry}, count=len(contents))
    known = {one.name.casefold(): one for one in declared.fields}
    for field in declared.fields:
        column = column_of(contents, field.name)
        if column is not None:
            yield from _field(contents, declared, field, column, day, divisions, base_values)
        elif field.required or field.meaning is Meaning.KEY:
            yield Finding(code="given-field-missing", table=contents.name, detail={"field": field.name})
    more = [name for name in contents.columns if name.casefold() not in known]
    if declared.layer and more:
        yield Finding(code="given-fields-more", severity=NOTE, table=contents.name, detail={"fields": ", ".join(more)[:200]}, count=len(more))


def column_of(contents: Contents, name: str) -> list | None:
    """A field, however its letters are cased."""
    return next((values for one, values in contents.columns.items() if one.casefold() == name.casefold()), None)


def _field(
    contents: Contents, declared: DeclaredTable, field: DeclaredField, column: list, day: date, divisions: DivisionCodes, base_values: BaseValues,
) -> Iterator[Finding]:
    def told(name: str, positions: Sequence[int], severity: Severity = ERROR, /, **detail: object) -> Iterator[Finding]:
        if positions:
            key = declared.key if field.name != declared.key else None
            names = contents.names_of(positions, key)
            yield finding(name, severity, contents.name, names, contents.in_degrees[list(positions[:400])], field=field.name, **detail)

    empty = [at for at, value in enumerate(column) if value is None or (isinstance(value, str) and not value.strip())]
    is_empty = set(empty)
    filled = [(at, value) for at, value in enumerate(column) if at not in is_empty]
    if field.required or field.meaning is Meaning.KEY:
        yield from told("given-empty", empty)
    wrong = [at for at, value in filled if not _is_kind(value, field.kind)]
    yield from told("given-kind", wrong, kind=field.kind.value, example=column[wrong[0]] if wrong else "")
    if field.at_most is not None:
        yield from told("given-long", [at for at, value in filled if len(str(value)) > field.at_most], most=field.at_most)
    if field.codes:
        strange = [at for at, value in filled if str(value) not in field.codes]
        yield from told("given-code-list", strange, value=column[strange[0]] if strange else "", codes=", ".join(field.codes))
    if field.unique or field.meaning is Meaning.KEY:
        counts = Counter(str(value) for _, value in filled)
        repeated = [at for at, value in filled if counts[str(value)] > 1]
        if repeated:
            places = contents.in_degrees[repeated[:400]]
            yield finding("given-repeated", ERROR, contents.name, [str(column[at]) for at in repeated], places, field=field.name, value=column[repeated[0]])
    if field.base is not None:
        yield from _in_base(field, filled, base_values, contents.name, told)
    match field.meaning:
        case Meaning.ORGANISATION:
            bad = [at for at, value in filled if not is_organisation_code(str(value))]
            yield from told("given-organisation", bad, value=column[bad[0]] if bad else "")
        case Meaning.DIVISION:
            yield from _divisions(contents, declared, filled, day, divisions, told)
        case Meaning.AS_OF:
            late = [at for at, value in filled if (one := day_of(value)) is not None and one > day]
            yield from told("given-after-its-day", late, day=day.isoformat())


def _in_base(field: DeclaredField, filled: Sequence, base_values: BaseValues, table: str, told: Callable) -> Iterator[Finding]:
    known, base = base_values(field), field.base
    where = f"{base.layer}.{base.table}.{base.field}"
    if known is None:
        yield Finding(code="given-base-absent", severity=WARNING, table=table, detail={"field": field.name, "base": where})
        return
    lost = [(at, value) for at, value in filled if _as_code(value) not in known]
    yield from told("given-not-in-base", [at for at, _ in lost], base=where, value=lost[0][1] if lost else "")


def _divisions(
    contents: Contents, declared: DeclaredTable, filled: Sequence, day: date, divisions: DivisionCodes, told: Callable,
) -> Iterator[Finding]:
    """A row that says of which day it is, is judged at that day."""
    as_of = next((column_of(contents, one.name) for one in declared.fields if one.meaning is Meaning.AS_OF), None)
    found: dict[tuple[str, str, str], list[int]] = {}
    for at, value in filled:
        moment = (day_of(as_of[at]) if as_of else None) or day
        code = _as_code(value)
        validity = divisions.at(code, moment)
        if validity.fault:
            found.setdefault((validity.fault, code, " ".join(validity.successors)), []).append(at)
    for (fault, code, successors), positions in sorted(found.items()):
        row = divisions.at(code, day).row
        detail = {"code": code, "day": day.isoformat(), "name": row.name if row else "-"}
        if fault == "over":
            yield from told("given-division-over", positions, **detail, successors=successors or "-", ended=row.valid_to if row else "-")
        else:
            yield from told(f"given-division-{fault}", positions, WARNING if fault == "unknown" and not code.startswith("32") else ERROR, **detail)


def _as_code(value: object) -> str:
    """Codes that a spreadsheet has made numbers of.

    >>> _as_code(320104.0), _as_code(" 320104 ")
    ('320104', '320104')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _is_kind(value: object, kind: FieldKind) -> bool:
    match kind:
        case FieldKind.TEXT:
            return isinstance(value, str)
        case FieldKind.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool) or (isinstance(value, float) and value.is_integer())
        case FieldKind.NUMBER:
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        case FieldKind.DATE:
            return day_of(value) is not None


def day_of(value: object) -> date | None:
    """
    >>> day_of("2026年3月5日"), day_of("20260305"), day_of("2026-13-01"), day_of(None)
    (datetime.date(2026, 3, 5), datetime.date(2026, 3, 5), None, None)
    """
    match = DAY.fullmatch(str(value).strip()) if value is not None else None
    if match is None:
        return None
    try:
        return datetime(*map(int, match.groups()[:3])).date()
    except ValueError:
        return None


def newest_day(contents: Contents, fields: Mapping[str, DeclaredField] | Sequence[DeclaredField]) -> date | None:
    """The latest day that the rows of a table name."""
    for field in fields:
        column = column_of(contents, field.name) if field.meaning is Meaning.AS_OF else None
        if column:
            return max((one for one in map(day_of, column) if one), default=None)
    return None
