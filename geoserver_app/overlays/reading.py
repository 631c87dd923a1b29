"""Reads what was uploaded, in the program of `opening`: vectors into one clean GeoPackage a file, tables into columns."""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from itertools import zip_longest
from pathlib import Path

MOST_TABLES = 32
ENCODINGS = ("utf-8-sig", "gb18030")
DELIMITERS = ",;\t|"
WHOLE = re.compile(r"[-+]?(0|[1-9]\d{0,14})")
NUMBER = re.compile(r"[-+]?(\d{1,15}(\.\d*)?|\.\d+)([eE][-+]?\d{1,3})?")
LONGEST_CELL = 10_000


class Unfit(Exception):
    """It can't be taken in: `code` names the sentence."""

    def __init__(self, code: str, **detail: object):
        super().__init__(code)
        self.code, self.detail = code, {name: str(value)[:300] for name, value in detail.items()}

    @classmethod
    def rejected(cls, error) -> "Unfit":
        return cls("overlay-rejected", name=error.source, fault=error.fault, mend=error.mend)


# Vectors

def read_vectors(source: Path, folder: Path, job: Mapping) -> dict:
    """What was made of them: paths relative to `folder`, notes, and how many features each table has. Raises Unfit."""
    from layers.errors import LayerRejected, LayersError
    from layers.ingest.vectors import VectorOptions, take_in
    from layers.model import ProductType

    options = VectorOptions(product=ProductType.OVERLAY, crs=job.get("crs"), encoding=job.get("encoding"))
    clean = folder / "clean"
    clean.mkdir(exist_ok=True)
    files, notes, count = [], [], 0
    try:
        for path in _vector_files(source, folder, job):
            count += _counted(path, job)
            if count > job["most_features"]:
                raise Unfit("overlay-too-many", count=count, most=job["most_features"])
            target = clean / f"{path.stem}.gpkg"
            sheet = take_in(path, options, _checksum(path), target, target.name)
            files.append(str(target.relative_to(folder)))
            notes += [step for step in sheet.lineage if not step.startswith("taken from")]
    except LayerRejected as error:
        raise Unfit.rejected(error) from None
    except LayersError as error:
        raise Unfit("overlay-rejected", name=source.name, fault=str(error)[:300], mend="see the data") from None
    return {"files": files, "notes": notes[:200]}


def _vector_files(source: Path, folder: Path, job: Mapping) -> list[Path]:
    """The data sets of an upload: itself, or what a zip holds."""
    from layers.delivery.geodatabases import folded
    from layers.delivery.staging import Limits
    from layers.delivery.zips import stage_zip
    from layers.ingest import vectors

    if source.suffix.lower() != ".zip":
        return [source]
    limits = Limits(
        entries=job["most_entries"], file_bytes=job["file_bytes"], all_bytes=job["file_bytes"], ratio=job["ratio"], ratio_counts_from=16 << 20,
    )
    unpacked = folder / "unpacked"
    unpacked.mkdir(exist_ok=True)
    staged = stage_zip(source, unpacked, limits)
    if staged.faults:
        raise Unfit.rejected(staged.faults[0])
    found = [path for path in folded(staged.files) if path.suffix.lower() in vectors.SUFFIXES]
    if not found:
        raise Unfit("overlay-zip-holds")
    if len(found) > MOST_TABLES:
        raise Unfit("overlay-too-many", count=len(found), most=MOST_TABLES)
    return sorted(found)


def _counted(path: Path, job: Mapping) -> int:
    """Features of all tables of a file; what can't be told here is told by who reads it."""
    import pyogrio
    from pyogrio.errors import DataSourceError

    from layers.delivery.geodatabases import readable
    from layers.ingest.vectors import driver_of

    driver_of(path)
    total = 0
    try:
        with readable(path) as source:
            for name, _ in pyogrio.list_layers(source)[:MOST_TABLES]:
                info = pyogrio.read_info(source, layer=str(name), force_feature_count=True)
                if len(info["fields"]) > job["most_fields"]:
                    raise Unfit("overlay-too-many-fields", table=str(name)[:60], count=len(info["fields"]), most=job["most_fields"])
                total += max(int(info["features"]), 0)
    except (DataSourceError, UnicodeDecodeError):
        return 0
    return total


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    if path.is_file():
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


# Tables

def read_table(source: Path, job: Mapping) -> dict[str, list]:
    """Columns of a CSV file or of the first sheet of a workbook, by name: whole numbers, numbers, texts; None where a cell is empty. Raises Unfit."""
    rows = _xlsx_rows(source, job) if source.suffix.lower() == ".xlsx" else _csv_rows(source)
    heading = next(rows, None)
    if heading is None:
        raise Unfit("table-empty")
    names = _names(heading, job)
    columns: list[list] = [[] for _ in names]
    count = 0
    for number, row in enumerate(rows, start=2):
        cells = [_cell(value) for value in row]
        while len(cells) > len(names) and cells[-1] is None:
            cells.pop()
        if all(cell is None for cell in cells):
            continue
        if len(cells) > len(names):
            raise Unfit("table-ragged", row=number, count=len(cells), wanted=len(names))
        count += 1
        if count > job["most_features"]:
            raise Unfit("table-rows", count=f"> {job['most_features']}", most=job["most_features"])
        for column, cell in zip_longest(columns, cells):
            column.append(cell)
    if not count:
        raise Unfit("table-empty")
    return {name: _typed(column) for name, column in zip(names, columns, strict=True)}


def _names(heading: Sequence, job: Mapping) -> list[str]:
    cells = [_cell(value) for value in heading]
    while cells and cells[-1] is None:
        cells.pop()
    if len(cells) > job["most_fields"]:
        raise Unfit("table-columns", count=len(cells), most=job["most_fields"])
    names = [re.sub(r"[\x00-\x1f\x7f\[\]{}\"]", "_", str(cell)).strip()[:60] if cell is not None else "" for cell in cells]
    seen: set[str] = set()
    for number, name in enumerate(names, start=1):
        if not name or name.casefold() in seen:
            raise Unfit("table-header", column=number, name=name)
        seen.add(name.casefold())
    if not names:
        raise Unfit("table-empty")
    return names


def _csv_rows(source: Path) -> Iterator[list[str]]:
    text = _decoded(source.read_bytes())
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    csv.field_size_limit(1 << 20)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error:
        raise Unfit("overlay-unreadable") from None


def _decoded(data: bytes) -> str:
    for encoding in ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Unfit("table-encoding")


def _xlsx_rows(source: Path, job: Mapping) -> Iterator[list]:
    """Of the first sheet. The parts of the archive are looked at before any of them is unpacked."""
    import zipfile

    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with zipfile.ZipFile(source) as archive:
            infos = archive.infolist()
        unpacked = sum(info.file_size for info in infos)
        if len(infos) > job["most_entries"] or unpacked > job["file_bytes"] or (unpacked > 16 << 20 and unpacked > job["ratio"] * source.stat().st_size):
            raise Unfit(
                "overlay-rejected", name=source.name, fault=f"it claims {unpacked:,} bytes unpacked from {source.stat().st_size:,}",
                mend="deliver it unpacked if that is meant",
            )
        book = CalamineWorkbook.from_path(str(source))
        sheet = book.get_sheet_by_index(0)
        if sheet.total_width > 16_384 or sheet.total_height > job["most_features"] + 1:
            raise Unfit("table-rows", count=sheet.total_height, most=job["most_features"])
        yield from sheet.iter_rows()
    except (zipfile.BadZipFile, CalamineError, OSError, ValueError, IndexError):
        raise Unfit("overlay-unreadable") from None


def _cell(value: object) -> str | int | float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value if isinstance(value, int | float) else str(value).strip()[:LONGEST_CELL]


def _typed(column: list) -> list:
    """All of one kind: what can be read as a number is one only where every cell of the column can."""
    filled = [cell for cell in column if cell is not None]
    if filled and all(isinstance(cell, int | float) or NUMBER.fullmatch(cell) for cell in filled):
        if all(isinstance(cell, int) or (isinstance(cell, str) and WHOLE.fullmatch(cell)) for cell in filled):
            return [None if cell is None else int(cell) for cell in column]
        if not any(isinstance(cell, str) and cell.lstrip("-+").startswith("0") and cell.lstrip("-+")[1:2].isdigit() for cell in filled):
            return [None if cell is None else float(cell) for cell in column]
    return [None if cell is None else str(cell) for cell in column]
