"""What a delivery says of single sheets: `sheets.csv` beside them, else their names (CH/T 9012 and what is done in the field)."""

import csv
import io
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from layers.errors import LayerRejected, SheetNumberInvalid
from layers.model import Classification
from layers.sheets import numbers as sheets

FACTS_FILE = "sheets.csv"
COLUMNS = ("file", "number", "currency", "classification", "crs", "note")
MOST_BYTES = 32 * 2**20

CLASSIFICATIONS = {
    "public": Classification.PUBLIC, "公开": Classification.PUBLIC, "internal": Classification.INTERNAL, "内部": Classification.INTERNAL,
    "secret": Classification.SECRET, "秘密": Classification.SECRET, "confidential": Classification.CONFIDENTIAL,
    "机密": Classification.CONFIDENTIAL, "top-secret": Classification.TOP_SECRET, "绝密": Classification.TOP_SECRET,
}

YEAR = re.compile(r"(?:^|[_\-. ])((?:19|20)\d{2})(\d{2})?(\d{2})?(?=$|[_\-. ]|[^\d])")
PRODUCT = re.compile(r"(?:^|[^A-Z])(DOM|DEM|DLG|DRG)(?=$|[^A-Z])|(?<=\d)(DOM|DEM|DLG|DRG)(?=$|[^A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetFact:
    """What is said of one sheet; None and "" where nothing is."""

    currency: date | None = None
    classification: Classification | None = None
    crs: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetFacts:
    """What is said of every sheet of a delivery, by file name and by sheet number."""

    by_file: dict[str, SheetFact] = field(default_factory=dict)
    by_number: dict[str, SheetFact] = field(default_factory=dict)

    @classmethod
    def load(cls, tables: Sequence[Path]) -> "SheetFacts":
        """Reads every `sheets.csv` of a delivery: UTF-8 or GB18030, a heading with `file` or `number`, and what else of COLUMNS is known.

        Raises
        ------
        LayerRejected
            A line says something that can't be meant, told with its number.
        """
        facts = cls()
        for table in tables:
            _read(table, facts)
        return facts

    def of(self, file_name: str) -> SheetFact:
        """What is known of a file: by its name, else by its sheet number; its currency, where nobody says it, by the year in its name."""
        number = sheets.find_number(file_name)
        said = self.by_file.get(_key(file_name)) or self.by_file.get(_key(Path(file_name).stem)) or self.by_number.get(number or "") or SheetFact()
        if said.currency is not None:
            return said
        return SheetFact(currency=named_currency(file_name), classification=said.classification, crs=said.crs, note=said.note)


def named_currency(file_name: str) -> date | None:
    """The date or year in a file name; a year alone counts from its first day.

    >>> named_currency("I50G095077DOM_2011.tif"), named_currency("I50G095077_20110601.tif"), named_currency("I50G095077DOM.tif")
    (datetime.date(2011, 1, 1), datetime.date(2011, 6, 1), None)
    """
    found = list(YEAR.finditer(unicodedata.normalize("NFKC", Path(file_name).stem)))
    if not found:
        return None
    year, month, day = (int(part or 1) for part in found[-1].groups())
    try:
        return date(year, month, day)
    except ValueError:
        return date(year, 1, 1)


def named_product(file_name: str) -> str | None:
    """DOM, DEM, DLG or DRG where a file name says so.

    >>> named_product("I50G095077DOM_2011.tif"), named_product("dem_i50g095077.tif"), named_product("freedom.tif")
    ('DOM', 'DEM', None)
    """
    match = PRODUCT.search(unicodedata.normalize("NFKC", Path(file_name).stem).upper())
    return (match[1] or match[2]) if match else None


def _key(file_name: str) -> str:
    return unicodedata.normalize("NFKC", file_name).strip().casefold()


def _read(table: Path, facts: SheetFacts) -> None:
    if table.stat().st_size > MOST_BYTES:
        raise LayerRejected(table.name, "it is too large for a table of sheets", "give the right file")
    text = _decoded(table)
    reader = csv.DictReader(io.StringIO(text), delimiter="\t" if "\t" in text.partition("\n")[0] else ",")
    heading = [unicodedata.normalize("NFKC", name or "").strip().lower() for name in reader.fieldnames or []]
    if not {"file", "number"} & set(heading):
        raise LayerRejected(table.name, "its first line has neither a column `file` nor `number`", f"begin it with {','.join(COLUMNS)}")
    strange = [name for name in heading if name and name not in COLUMNS]
    if strange:
        raise LayerRejected(table.name, f"it has a column `{strange[0][:30]}`", f"its columns are {', '.join(COLUMNS)}")
    reader.fieldnames = heading
    for row in reader:
        if any((value or "").strip() for key, value in row.items() if key):
            _add(table.name, reader.line_num, {key: unicodedata.normalize("NFKC", value or "").strip() for key, value in row.items() if key}, facts)


def _decoded(table: Path) -> str:
    content = table.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise LayerRejected(table.name, "it is neither UTF-8 nor GB18030", "save it as UTF-8")


def _add(name: str, line: int, row: dict[str, str], facts: SheetFacts) -> None:
    fact = SheetFact(
        currency=_currency(name, line, row.get("currency", "")), classification=_classification(name, line, row.get("classification", "")),
        crs=row.get("crs") or None, note=row.get("note", "")[:500],
    )
    if row.get("file"):
        facts.by_file[_key(Path(row["file"].replace("\\", "/")).name)] = fact
    if row.get("number"):
        try:
            facts.by_number[sheets.any_number(row["number"])] = fact
        except SheetNumberInvalid as error:
            raise LayerRejected(name, f"line {line}: `{row['number'][:40]}` is not a sheet number", "write one like I50G095077") from error
    if not row.get("file") and not row.get("number"):
        raise LayerRejected(name, f"line {line} names neither a file nor a sheet number", "complete it")


def _currency(name: str, line: int, text: str) -> date | None:
    if not text:
        return None
    match = re.fullmatch(r"(\d{4})(?:[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?)?", text)
    try:
        return date(*(int(part or 1) for part in match.groups())) if match else date.fromisoformat(text)
    except ValueError:
        raise LayerRejected(name, f"line {line}: `{text[:40]}` is not a date", "write it like 2011-06-01") from None


def _classification(name: str, line: int, text: str) -> Classification | None:
    if not text:
        return None
    found = CLASSIFICATIONS.get(text.lower())
    if found is None:
        raise LayerRejected(name, f"line {line}: `{text[:40]}` is no classification", "write one of public, internal, secret, confidential, top-secret")
    return found
