"""Codes by which other systems are joined: organisations by their check digits, administrative divisions by the day on which they were valid.

Divisions are renumbered, renamed and merged (吴江市 320584 became 吴江区 320509 in 2012): a code counts at a day, and one that is over names the code
that came after it. The table is config/division_codes.csv.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

FILE = "division_codes.csv"
COLUMNS = ("code", "name_zh", "valid_from", "valid_to", "successors", "source")

ORGANISATION = re.compile(r"([0-9A-Z]{8})-?([0-9X])")
ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)

CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
CREDIT = re.compile(rf"[{CREDIT_ALPHABET}]{{2}}[0-9]{{6}}[{CREDIT_ALPHABET}]{{10}}")

DIVISION = re.compile(r"[0-9]{6}([0-9]{3}([0-9]{3})?)?")


# Organisations

def is_organisation_code(text: str) -> bool:
    """Whether it is a code of 9 places (GB 11714) or of 18 (GB 32100) whose check digits are right. The shorter one is within the longer.

    >>> is_organisation_code("D2143569-X"), is_organisation_code("D21435690"), is_organisation_code("91350100M000100Y43")
    (True, False, True)
    """
    text = text.strip().upper()
    return _is_unified(text) if len(text) == 18 else _is_of_nine(text)


def _is_of_nine(text: str) -> bool:
    match = ORGANISATION.fullmatch(text)
    return match is not None and match[2] == organisation_check(match[1])


def organisation_check(body: str) -> str:
    """The ninth place of a code (GB 11714): weighted sum modulo 11.

    >>> organisation_check("D2143569")
    'X'
    """
    rest = 11 - sum(int(character, 36) * weight for character, weight in zip(body, ORGANISATION_WEIGHTS, strict=True)) % 11
    return {10: "X", 11: "0"}.get(rest, str(rest))


def _is_unified(text: str) -> bool:
    return CREDIT.fullmatch(text) is not None and text[17] == unified_check(text[:17])


def unified_check(body: str) -> str:
    """The eighteenth place of a unified social credit code (GB 32100): powers of 3 modulo 31.

    >>> unified_check("91350100M000100Y4")
    '3'
    """
    total = sum(CREDIT_ALPHABET.index(character) * pow(3, place, 31) for place, character in enumerate(body))
    return CREDIT_ALPHABET[-total % 31]


# Divisions

@dataclass(frozen=True, slots=True, kw_only=True)
class DivisionRow:
    """A code with the days on which it was valid, `[valid_from, valid_to)`; None where there is no end on that side."""

    code: str
    name: str
    valid_from: date | None
    valid_to: date | None
    successors: tuple[str, ...]
    source: str

    def is_valid(self, day: date) -> bool:
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """Of a code at a day: `fault` is "" where it is valid, else `spelling`, `unknown`, `over` or `ahead`. `row` is the one that was asked."""

    fault: str = ""
    row: DivisionRow | None = None
    successors: tuple[str, ...] = ()


class DivisionCodesInvalid(ValueError):
    """The table holds faults; one sentence each."""


class DivisionCodes:
    """The dated table. Codes below the county (9 or 12 places) are judged by their first six, which alone are in it."""

    def __init__(self, rows: Sequence[DivisionRow]):
        self._rows: dict[str, list[DivisionRow]] = {}
        for row in rows:
            self._rows.setdefault(row.code, []).append(row)

    def __len__(self) -> int:
        return len(self._rows)

    def at(self, code: str, day: date) -> Validity:
        """What a code was at a day."""
        code = code.strip()
        if not DIVISION.fullmatch(code):
            return Validity(fault="spelling")
        rows = self._rows.get(code[:6], [])
        for row in rows:
            if row.is_valid(day):
                return Validity(row=row)
        past = [row for row in rows if row.valid_to is not None and row.valid_to <= day]
        if past:
            return Validity(fault="over", row=past[-1], successors=self._standing(past[-1], day))
        return Validity(fault="ahead", row=rows[0]) if rows else Validity(fault="unknown")

    def _standing(self, row: DivisionRow, day: date) -> tuple[str, ...]:
        """The codes that came after it and are valid at the day, along the chain."""
        found, waiting, seen = [], list(row.successors), {row.code}
        while waiting:
            code = waiting.pop(0)
            rows = self._rows.get(code, []) if code not in seen else []
            seen.add(code)
            if any(one.is_valid(day) for one in rows):
                found.append(code)
            else:
                waiting += [later for one in rows for later in one.successors]
        return tuple(found)

    @staticmethod
    def load(config: Path) -> "DivisionCodes":
        """Raises DivisionCodesInvalid with every bad row, by its line; OSError."""
        return _loaded(config / FILE)


@cache
def _loaded(path: Path) -> DivisionCodes:
    rows, faults = [], []
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise DivisionCodesInvalid(f"{FILE}: line 1: must have the columns {', '.join(COLUMNS)}")
        for row in reader:
            try:
                rows.append(_row(row))
            except ValueError as error:
                faults.append(f"line {reader.line_num}: {error}")
    known = {row.code for row in rows}
    faults += [f"`{row.code}`: its successor `{one}` is not in the table" for row in rows for one in row.successors if one not in known]
    if faults:
        raise DivisionCodesInvalid(f"{FILE}: " + "; ".join(faults))
    return DivisionCodes(rows)


def _row(row: Mapping[str, str | None]) -> DivisionRow:
    if None in row.values() or None in row:
        raise ValueError("has another number of cells than there are columns: quote a cell that holds a comma")
    if not DIVISION.fullmatch(row["code"]) or len(row["code"]) != 6:
        raise ValueError(f"`{row['code'][:20]}` is no code of six digits")
    if not row["source"].strip() or not row["name_zh"].strip():
        raise ValueError("name_zh and source must be filled in")
    start, end = _day(row["valid_from"]), _day(row["valid_to"])
    if start and end and end <= start:
        raise ValueError("valid_to comes before valid_from")
    return DivisionRow(
        code=row["code"], name=row["name_zh"], valid_from=start, valid_to=end, successors=tuple(row["successors"].split()), source=row["source"],
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise ValueError(f"`{text[:20]}` is not a day: write it as 2012-09-01") from None
