"""The quality check of a contributed dataset: schema, shapes, currency, joins, codes; and what it changes of the edition that is in force.

All that it needs is handed in, so that the same can be asked at the shell before anything is handed in.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from shapely.geometry.base import BaseGeometry

from geoserver_app.giving.codes import DivisionCodes
from geoserver_app.giving.comparing import TableDifference, compare
from geoserver_app.giving.contents import Contents
from geoserver_app.giving.declared import DeclaredTable
from geoserver_app.giving.findings import Finding, Severity
from geoserver_app.giving.schema_check import BaseValues, check_schema, newest_day
from geoserver_app.giving.topology_check import check_topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a delivery is checked against. `start` is the first day of the period that is owed, `due` its due day; None for an event."""

    declared: DeclaredTable
    currency: tuple[date | None, date]
    received: date
    start: date | None
    due: date | None
    agreed: BaseGeometry | None              # CRS84; None is everywhere
    divisions: DivisionCodes
    base_values: BaseValues = field(default=lambda _field: None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    findings: tuple[Finding, ...]
    differences: tuple[TableDifference, ...]
    features: int
    agreed: BaseGeometry | None = None

    @property
    def errors(self) -> int:
        return sum(one.severity is Severity.ERROR for one in self.findings)

    @property
    def warnings(self) -> int:
        return sum(one.severity is Severity.WARNING for one in self.findings)


RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


def check(
    tables: Sequence[Contents], terms: Terms, notes: Sequence[str] = (), in_force: Mapping[str, Contents] | None = None,
    step: Callable[[str], None] = lambda name: None,
) -> Checked:
    """Everything that can be said of a delivery. `notes` are what was done on the way in; `in_force` the tables of the edition that counts now, by name;
    `step` is told what is being looked at."""
    findings: list[Finding] = [Finding(code="given-taken-in", severity=Severity.WARNING, detail={"step": one[:300]}) for one in notes if _matters(one)]
    step("currency")
    findings += check_currency(tables, terms)
    differences = []
    for contents in tables:
        step("schema")
        findings += check_schema(contents, terms.declared, terms.currency[1], terms.divisions, terms.base_values)
        step("topology")
        findings += check_topology(contents, terms.declared, terms.agreed)
        step("difference")
        differences.append(compare(contents, _like(contents, in_force or {}), terms.declared.key))
    findings.sort(key=lambda one: RANK[one.severity])
    return Checked(findings=tuple(findings), differences=tuple(differences), features=sum(map(len, tables)), agreed=terms.agreed)


HARMLESS = ("written as GeoPackage", "taken from", "attribute text was read as")


def _matters(note: str) -> bool:
    return not note.startswith(HARMLESS)


def _like(contents: Contents, in_force: Mapping[str, Contents]) -> Contents | None:
    """The table that it takes the place of: of the same name, or the only one of its kind of shapes, whatever file it came in."""
    if contents.name in in_force:
        return in_force[contents.name]
    alike = [one for one in in_force.values() if one.kind == contents.kind]
    return alike[0] if len(alike) == 1 else None


def check_currency(tables: Sequence[Contents], terms: Terms) -> Iterator[Finding]:
    """Of the period that is owed, by what is said of the delivery and by the days in its rows."""
    _, until = terms.currency
    if until > terms.received:
        yield Finding(code="given-currency-ahead", detail={"currency": until.isoformat(), "received": terms.received.isoformat()})
    if terms.start is None or terms.due is None:
        return
    if until < terms.start:
        yield Finding(code="given-old", detail={"currency": until.isoformat(), "start": terms.start.isoformat(), "due": terms.due.isoformat()})
    for contents in tables:
        newest = newest_day(contents, terms.declared.fields)
        if newest is not None and newest < terms.start:
            yield Finding(
                code="given-day-old", severity=Severity.WARNING, table=contents.name, detail={"newest": newest.isoformat(), "start": terms.start.isoformat()},
            )
