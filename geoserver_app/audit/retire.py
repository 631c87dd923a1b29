"""What is old goes to one Parquet file, and leaves the folder once that file is shown to hold every line; the seals of its days stay.

The file holds each line as it was, beside the columns of the `audit` view: from it the roots of its days can be worked out at any time.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import file_digest
from pathlib import Path

import duckdb

from geoserver_app.audit.roots import DayRoot, Retirement, SealedSegment, agency_roots, root_path, seal_of, segments_of
from geoserver_app.audit.sql import COLUMNS_FOLDER, opened, quoted, recorded_days, typed
from geoserver_app.audit.store import AuditStore


class RetirementRefused(ValueError):
    """These days can't go; one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    days: tuple[date, ...]
    rows: int
    sha256: str


def retire(
    folder: Path, store: AuditStore, path: Path, *, before: date, keep_days: int, now: datetime,
) -> Retired:
    """Moves the rows of all sealed days before `before` into a Parquet file at `path`.

    Parameters
    ----------
    keep_days : int
        How many days, counted back from today, must stay; 0 is for ever.

    Raises
    ------
    RetirementRefused
        Records are to be kept; a day is not sealed; a day is not what was sealed any more; there is nothing to retire.
    FileExistsError
        There is such a file.
    """
    roots = {root.day: root for root in store.roots()}
    days = _due(folder, roots, before, keep_days, now)
    if path.exists():
        raise FileExistsError(17, "there is such a file already", str(path))
    segments = [str(one) for day in days for one in segments_of(folder, day)]
    try:
        with opened() as connection:
            connection.execute(f"COPY ({_rows()}) TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd)", [segments])
        if faults := [*export_faults(path, [roots[day] for day in days])]:
            raise RetirementRefused(f"the rows are not what was sealed, and stay: {faults[0]}; see `geoshare audit verify --all`")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    digest = _flushed_digest(path)
    retirements = {day: Retirement(at=now, file=path.name, sha256=digest) for day in days}
    for day, one in retirements.items():
        _note(folder, roots[day], one)
    store.retire(retirements)
    for day in days:
        shutil.rmtree(folder / day.isoformat())
        for columns in (folder / COLUMNS_FOLDER).glob(f"{day.isoformat()}-*.parquet"):
            columns.unlink(missing_ok=True)
    return Retired(days=tuple(days), rows=sum(roots[day].rows for day in days), sha256=digest)


def _due(folder: Path, roots: Mapping[date, DayRoot], before: date, keep_days: int, now: datetime) -> list[date]:
    if not keep_days:
        raise RetirementRefused("records are kept for ever: set `audit_keep_days` in config/service.yaml to what the law and the agreements allow")
    if before > (oldest := now.date() - timedelta(days=keep_days)):
        raise RetirementRefused(f"`audit_keep_days` keeps the records of {keep_days} days: nothing from {oldest} on can go, so give that day or an earlier one")
    present = [day for day in recorded_days(folder) if day < before and segments_of(folder, day)]
    if unsealed := [day for day in present if day not in roots]:
        raise RetirementRefused(f"{unsealed[0]} is not sealed: `geoshare audit seal` first")
    if not present:
        raise RetirementRefused(f"there are no records before {before}")
    return present


def _rows() -> str:
    """Every line of the segments that are its parameter, headers too, in their order."""
    return f"""
        SELECT regexp_extract(id, '^(.*)-', 1) AS segment, try_cast(regexp_extract(id, '-(\\d+)$', 1) AS BIGINT) AS line, *
        FROM ({typed(True, headers=True)})
    """


def export_faults(path: Path, roots: Sequence[DayRoot]) -> Iterator[str]:
    """Where the lines of a retired file do not have the roots that were sealed: a sentence a day."""
    with opened() as connection:
        for root in roots:
            segments: list[SealedSegment] = []
            try:
                agencies = agency_roots(_lines(connection, path, root.day, segments))
            except duckdb.Error:
                yield "the file can't be read: it is no Parquet file of retired records"
                return
            sealed = [(one.segment, one.lines, one.seal) for one in root.segments if one.lines]
            if agencies != root.agencies or [(one.segment, one.lines, one.seal) for one in segments] != sealed:
                yield f"the rows of {root.day} do not have the root that was sealed"


def retired_days(path: Path) -> list[date]:
    """The days whose rows a file holds."""
    with opened() as connection:
        found = connection.execute(f"SELECT DISTINCT segment[:8] FROM read_parquet({quoted(path)}) ORDER BY 1").fetchall()
    return [date.fromisoformat(name) for name, in found]


def _lines(connection: duckdb.DuckDBPyConnection, path: Path, day: date, segments: list[SealedSegment]) -> Iterator[bytes]:
    """The lines of one day as they lie in the file, which must be their order; counts them segment by segment."""
    found = connection.execute(f"SELECT segment, text FROM read_parquet({quoted(path)}) WHERE segment[:8] = ?", [f"{day:%Y%m%d}"])
    name, count, row = None, 0, b""
    while rows := found.fetchmany(20_000):
        for segment, text in rows:
            if segment != name:
                if name is not None:
                    segments.append(SealedSegment(segment=name, lines=count, seal=seal_of(row)))
                name, count = segment, 0
            count, row = count + 1, text.encode()
            yield row
    if name is not None:
        segments.append(SealedSegment(segment=name, lines=count, seal=seal_of(row)))


def _flushed_digest(path: Path) -> str:
    """SHA-256 of the file, once the disk holds it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return file_digest(file, "sha256").hexdigest()


def _note(folder: Path, root: DayRoot, retirement: Retirement) -> None:
    """Where the rows of a day went, for whoever has the folder alone."""
    said = {"day": root.day.isoformat(), "digest": root.digest, "rows": root.rows, "at": retirement.at.isoformat(), "file": retirement.file,
            "sha256": retirement.sha256}
    root_path(folder, root.day).with_suffix(".retired").write_text(json.dumps(said) + "\n", "utf-8")
