"""What exists: layers, their editions and sheets, administrative divisions. One contract, kept in memory or in a database.

An edition becomes visible in one transaction that also raises the epoch; what is still being taken in is in no table but `ingest_jobs`.
Whatever goes wrong while reading is CatalogueUnavailable: a catalogue that can't be trusted answers nothing (design R1).
"""

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from itertools import count
from typing import Protocol

import shapely
import sqlalchemy as sa
from shapely.geometry.base import BaseGeometry
from sqlalchemy.exc import SQLAlchemyError

from layers.errors import CatalogueUnavailable, DivisionNotDefined, EditionOutpaced, LayerNotDefined
from layers.model import Bounds, CatalogueSnapshot, Classification, Edition, FeatureClass, Layer, Mosaic, ProductType, Sheet, Source

metadata = sa.MetaData()

layers_table = sa.Table(
    "layers", metadata,
    sa.Column("name", sa.String(63), primary_key=True),
    sa.Column("title_zh", sa.Text, nullable=False),
    sa.Column("title_en", sa.Text, nullable=False),
    sa.Column("abstract", sa.Text, nullable=False),
    sa.Column("product", sa.String(10), nullable=False),
    sa.Column("owner", sa.String(100), nullable=False),
    sa.Column("classification", sa.Integer, nullable=False),
    sa.Column("attribution", sa.Text, nullable=False),
    sa.Column("synthetic", sa.Boolean, nullable=False),
)

editions_table = sa.Table(
    "editions", metadata,
    sa.Column("edition_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("layer", sa.String(63), sa.ForeignKey("layers.name", name="fk_editions_layer"), nullable=False),
    sa.Column("name", sa.String(31), nullable=False),
    sa.Column("product", sa.String(10), nullable=False),
    sa.Column("currency_from", sa.Date),
    sa.Column("currency_to", sa.Date),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("crs", sa.Text, nullable=False),
    sa.Column("extent", sa.LargeBinary, nullable=False),
    sa.Column("resolution", sa.Float),
    sa.Column("mosaics", sa.JSON, nullable=False),
    sa.Column("classes", sa.JSON, nullable=False),
    sa.Column("vectors", sa.Text),
    sa.Column("height_low", sa.Float),
    sa.Column("height_high", sa.Float),
    sa.Column("vertical_datum", sa.String(40)),
    sa.Column("sheet_count", sa.Integer, nullable=False),
    sa.Column("nearest", sa.Boolean, nullable=False),
    sa.Column("lossless", sa.Boolean, nullable=False),
    sa.Column("source", sa.String(10), nullable=False, server_default="stored"),
    sa.Column("remote", sa.Text),
    sa.Column("symbols", sa.Text),
    sa.UniqueConstraint("layer", "name", name="uq_editions_layer_name"),
    sqlite_autoincrement=True,      # an id that was withdrawn is never given again: cache keys and records hold it
)

sheets_table = sa.Table(
    "sheets", metadata,
    sa.Column("sheet_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("edition_id", sa.Integer, sa.ForeignKey("editions.edition_id", name="fk_sheets_edition"), nullable=False, index=True),
    sa.Column("number", sa.String(20), index=True),
    sa.Column("source_name", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("crs", sa.Text, nullable=False),
    sa.Column("bounds", sa.JSON, nullable=False),
    sa.Column("footprint", sa.LargeBinary, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("resolution", sa.JSON, nullable=False),
    sa.Column("band_count", sa.Integer, nullable=False),
    sa.Column("dtype", sa.String(20), nullable=False),
    sa.Column("nodata", sa.Float),
    sa.Column("checksum", sa.String(64), nullable=False),
    sa.Column("lineage", sa.JSON, nullable=False),
    sa.Column("currency", sa.Date),
    sa.Column("taken_in", sa.DateTime(timezone=True)),
    sa.Column("delivered", sa.Text),
    sqlite_autoincrement=True,
)

divisions_table = sa.Table(
    "divisions", metadata,
    sa.Column("vintage", sa.String(31), primary_key=True),
    sa.Column("code", sa.String(12), primary_key=True, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("level", sa.String(20), nullable=False),
    sa.Column("geometry", sa.LargeBinary, nullable=False),
)

epoch_table = sa.Table(
    "catalogue_epoch", metadata,
    sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.Integer, nullable=False),
)

jobs_table = sa.Table(
    "ingest_jobs", metadata,
    sa.Column("job_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("layer", sa.String(63), nullable=False),
    sa.Column("edition", sa.String(31), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("done", sa.Integer, nullable=False),
    sa.Column("faults", sa.JSON, nullable=False),
    sa.Column("started", sa.DateTime(timezone=True), nullable=False),
    sa.Column("ended", sa.DateTime(timezone=True)),
    sqlite_autoincrement=True,
)


class JobState(StrEnum):
    RUNNING = "running"
    PUBLISHED = "published"
    FAILED = "failed"               # files were rejected, or publishing was refused
    INTERRUPTED = "interrupted"     # found running by the next job of the same edition, or stopped by the user


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestJob:
    """One run of `add_layer`: what the command line and the web pages show of it."""

    job_id: int
    layer: str
    edition: str
    state: JobState
    total: int
    done: int
    faults: tuple[str, ...] = ()
    started: datetime
    ended: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """One administrative division at one vintage; `geometry` in CRS84."""

    vintage: str                # "2023"
    code: str                   # 6 digits, or 2 to 12
    name: str
    level: str                  # province | city | county | town, or the table it came from
    geometry: BaseGeometry


class Catalogue(Protocol):
    """What exists. Readers raise CatalogueUnavailable where the answer can't be trusted."""

    def epoch(self) -> int:
        """Grows with every change that a reader can see."""

    def snapshot(self) -> CatalogueSnapshot:
        """Everything servable, read at one moment."""

    def sheets(self, edition_id: int) -> tuple[Sheet, ...]:
        """The sheets of one edition, in the order of their ids; none for an edition that is not there."""

    def publish(self, layer: Layer, edition: Edition, sheets: Iterable[Sheet]) -> Edition:
        """Makes `edition` with exactly these sheets visible, in one transaction, and gives it its id where it has none (0).

        `layer.editions` is not looked at. A sheet with an id keeps it; one with 0 is given one.
        Raises EditionOutpaced where somebody else published that edition meanwhile.
        """

    def withdraw(self, layer: str, edition: str | None = None) -> tuple[Edition, ...]:
        """Takes one edition, or all, out of the catalogue in one transaction; returns what was taken. Raises LayerNotDefined."""

    def begin_job(self, layer: str, edition: str, total: int) -> int:
        """Notes that an ingest runs; one of the same edition that was still noted as running is interrupted."""

    def report_job(self, job_id: int, done: int) -> None: ...

    def end_job(self, job_id: int, state: JobState, faults: Sequence[str] = ()) -> None: ...

    def jobs(self) -> tuple[IngestJob, ...]:
        """Newest first."""

    def put_divisions(self, divisions: Iterable[Division]) -> int:
        """Adds or replaces divisions by vintage and code; returns how many."""

    def division(self, code: str, vintage: str | None = None) -> Division:
        """The division at that vintage, or at the latest that holds `code`. Raises DivisionNotDefined."""

    def divisions(self, vintage: str | None = None) -> tuple[tuple[str, str, str, str], ...]:
        """(code, name, level, vintage) of every division of that vintage, or of each at its latest; by code."""

    def vintages(self, code: str | None = None) -> tuple[str, ...]:
        """Vintages of boundaries, the oldest first: all, or those that hold `code`."""


class SqlCatalogue:
    """The catalogue in a database: SQLite (WAL) or PostgreSQL, behind an engine that somebody else made and migrated."""

    def __init__(self, engine: sa.Engine):
        self._engine = engine

    def epoch(self) -> int:
        with self._reading() as connection:
            return _epoch(connection)

    def snapshot(self) -> CatalogueSnapshot:
        with self._reading() as connection:
            epoch = _epoch(connection)
            layer_rows = connection.execute(sa.select(layers_table)).mappings().all()
            editions = [_edition_of(row) for row in connection.execute(sa.select(editions_table)).mappings()]
            layers = (_layer_of(row, [e for e in editions if e.layer == row["name"]]) for row in layer_rows)
            return CatalogueSnapshot(epoch=epoch, layers={layer.name: layer for layer in layers if layer.editions})

    def sheets(self, edition_id: int) -> tuple[Sheet, ...]:
        query = sa.select(sheets_table).where(sheets_table.c.edition_id == edition_id).order_by(sheets_table.c.sheet_id)
        with self._reading() as connection:
            return tuple(_sheet_of(row) for row in connection.execute(query).mappings())

    def publish(self, layer: Layer, edition: Edition, sheets: Iterable[Sheet]) -> Edition:
        with self._writing() as connection:
            return self.publish_within(connection, layer, edition, sheets)

    @staticmethod
    def publish_within(connection: sa.Connection, layer: Layer, edition: Edition, sheets: Iterable[Sheet]) -> Edition:
        """`publish` as part of a transaction in which more is written: seen with all of it, or not at all. Raises EditionOutpaced."""
        sheets = tuple(sheets)
        _put(connection, layers_table, {"name": layer.name}, _layer_row(layer))
        edition_id = _put_edition(connection, edition)
        connection.execute(sa.delete(sheets_table).where(sheets_table.c.edition_id == edition_id))
        for known in (True, False):         # an id of 0 is left to the database
            rows = [_sheet_row(sheet, edition_id) for sheet in sheets if bool(sheet.sheet_id) is known]
            if rows:
                connection.execute(sa.insert(sheets_table), rows)
        _raise_epoch(connection)
        return replace(edition, edition_id=edition_id)

    def withdraw(self, layer: str, edition: str | None = None) -> tuple[Edition, ...]:
        chosen = sa.select(editions_table).where(editions_table.c.layer == layer)
        if edition is not None:
            chosen = chosen.where(editions_table.c.name == edition)
        with self._writing() as connection:
            gone = tuple(_edition_of(row) for row in connection.execute(chosen).mappings())
            if not gone:
                raise LayerNotDefined(f"{layer}@{edition}" if edition else layer)
            ids = [e.edition_id for e in gone]
            connection.execute(sa.delete(sheets_table).where(sheets_table.c.edition_id.in_(ids)))
            connection.execute(sa.delete(editions_table).where(editions_table.c.edition_id.in_(ids)))
            left = connection.scalar(sa.select(sa.func.count()).select_from(editions_table).where(editions_table.c.layer == layer))
            if not left:
                connection.execute(sa.delete(layers_table).where(layers_table.c.name == layer))
            _raise_epoch(connection)
        return gone

    def begin_job(self, layer: str, edition: str, total: int) -> int:
        table, now = jobs_table, datetime.now(UTC)
        dead = (table.c.layer == layer) & (table.c.edition == edition) & (table.c.state == JobState.RUNNING.value)
        with self._writing() as connection:
            connection.execute(sa.update(table).where(dead).values(state=JobState.INTERRUPTED.value, ended=now))
            return connection.execute(sa.insert(table).values(
                layer=layer, edition=edition, state=JobState.RUNNING.value, total=total, done=0, faults=[], started=now,
            )).inserted_primary_key[0]

    def report_job(self, job_id: int, done: int) -> None:
        with self._writing() as connection:
            connection.execute(sa.update(jobs_table).where(jobs_table.c.job_id == job_id).values(done=done))

    def end_job(self, job_id: int, state: JobState, faults: Sequence[str] = ()) -> None:
        values = {"state": state.value, "faults": list(faults), "ended": datetime.now(UTC)}
        with self._writing() as connection:
            connection.execute(sa.update(jobs_table).where(jobs_table.c.job_id == job_id).values(values))

    def jobs(self) -> tuple[IngestJob, ...]:
        with self._reading() as connection:
            rows = connection.execute(sa.select(jobs_table).order_by(jobs_table.c.job_id.desc())).mappings()
            return tuple(
                IngestJob(**{**row, "state": JobState(row["state"]), "faults": tuple(row["faults"]),
                             "started": _in_utc(row["started"]), "ended": _in_utc(row["ended"])})
                for row in rows
            )

    def put_divisions(self, divisions: Iterable[Division]) -> int:
        number = 0
        with self._writing() as connection:
            for division in divisions:
                key = {"vintage": division.vintage, "code": division.code}
                _put(connection, divisions_table, key, {
                    **key, "name": division.name, "level": division.level, "geometry": shapely.to_wkb(division.geometry),
                })
                number += 1
            _raise_epoch(connection)
        return number

    def division(self, code: str, vintage: str | None = None) -> Division:
        query = sa.select(divisions_table).where(divisions_table.c.code == code).order_by(divisions_table.c.vintage.desc()).limit(1)
        if vintage is not None:
            query = query.where(divisions_table.c.vintage == vintage)
        with self._reading() as connection:
            row = connection.execute(query).mappings().first()
            found = Division(**{**row, "geometry": shapely.from_wkb(row["geometry"])}) if row else None
        if found is None:
            raise DivisionNotDefined(code[:40], vintage and vintage[:40])
        return found

    def divisions(self, vintage: str | None = None) -> tuple[tuple[str, str, str, str], ...]:
        columns = divisions_table.c
        query = sa.select(columns.code, columns.name, columns.level, columns.vintage).order_by(columns.code, columns.vintage)
        if vintage is not None:
            query = query.where(columns.vintage == vintage)
        with self._reading() as connection:
            latest = {row.code: tuple(row) for row in connection.execute(query)}
        return tuple(latest.values())

    def vintages(self, code: str | None = None) -> tuple[str, ...]:
        query = sa.select(divisions_table.c.vintage).distinct().order_by(divisions_table.c.vintage)
        if code is not None:
            query = query.where(divisions_table.c.code == code)
        with self._reading() as connection:
            return tuple(connection.scalars(query))

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        """One transaction in which everything read is of one moment."""
        try:
            with self._engine.connect() as connection:
                if connection.dialect.name == "postgresql":
                    connection = connection.execution_options(isolation_level="REPEATABLE READ")
                with connection.begin():
                    _begin_sqlite(connection, "BEGIN")
                    yield connection
        except (SQLAlchemyError, shapely.errors.ShapelyError, KeyError, ValueError, TypeError) as error:
            raise CatalogueUnavailable(
                f"the catalogue can't be read ({type(error).__name__}): see that its database is there and migrated"
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                _begin_sqlite(connection, "BEGIN IMMEDIATE")
                yield connection
        except SQLAlchemyError as error:
            raise CatalogueUnavailable(
                f"the catalogue can't be written ({type(error).__name__}): see that its database is there and migrated"
            ) from error


class InMemoryCatalogue:
    """The same contract in memory: for tests, and for a demo without a database."""

    def __init__(self):
        self._lock = threading.RLock()
        self._epoch = 0
        self._layers: dict[str, Layer] = {}
        self._editions: dict[int, Edition] = {}
        self._sheets: dict[int, tuple[Sheet, ...]] = {}
        self._jobs: dict[int, IngestJob] = {}
        self._divisions: dict[tuple[str, str], Division] = {}
        self._edition_ids, self._sheet_ids, self._job_ids = count(1), count(1), count(1)

    def epoch(self) -> int:
        return self._epoch

    def snapshot(self) -> CatalogueSnapshot:
        with self._lock:
            layers = {
                name: replace(layer, editions=newest_first(e for e in self._editions.values() if e.layer == name))
                for name, layer in self._layers.items()
            }
            return CatalogueSnapshot(epoch=self._epoch, layers=layers)

    def sheets(self, edition_id: int) -> tuple[Sheet, ...]:
        return self._sheets.get(edition_id, ())

    def publish(self, layer: Layer, edition: Edition, sheets: Iterable[Sheet]) -> Edition:
        with self._lock:
            known = next((e for e in self._editions.values() if (e.layer, e.name) == (edition.layer, edition.name)), None)
            _check_generation(edition, known.generation if known else None)
            published = replace(edition, edition_id=known.edition_id if known else next(self._edition_ids))
            numbered = (sheet if sheet.sheet_id else replace(sheet, sheet_id=next(self._sheet_ids)) for sheet in sheets)
            self._sheets[published.edition_id] = tuple(sorted(numbered, key=lambda sheet: sheet.sheet_id))
            self._layers[layer.name] = replace(layer, editions=())
            self._editions[published.edition_id] = published
            self._epoch += 1
            return published

    def withdraw(self, layer: str, edition: str | None = None) -> tuple[Edition, ...]:
        with self._lock:
            gone = tuple(e for e in self._editions.values() if e.layer == layer and edition in (None, e.name))
            if not gone:
                raise LayerNotDefined(f"{layer}@{edition}" if edition else layer)
            for each in gone:
                del self._editions[each.edition_id], self._sheets[each.edition_id]
            if not any(e.layer == layer for e in self._editions.values()):
                del self._layers[layer]
            self._epoch += 1
            return gone

    def begin_job(self, layer: str, edition: str, total: int) -> int:
        with self._lock:
            now, job_id = datetime.now(UTC), next(self._job_ids)
            for job in self._jobs.values():
                if (job.layer, job.edition, job.state) == (layer, edition, JobState.RUNNING):
                    self._jobs[job.job_id] = replace(job, state=JobState.INTERRUPTED, ended=now)
            self._jobs[job_id] = IngestJob(
                job_id=job_id, layer=layer, edition=edition, state=JobState.RUNNING, total=total, done=0, started=now,
            )
            return job_id

    def report_job(self, job_id: int, done: int) -> None:
        with self._lock:
            self._jobs[job_id] = replace(self._jobs[job_id], done=done)

    def end_job(self, job_id: int, state: JobState, faults: Sequence[str] = ()) -> None:
        with self._lock:
            self._jobs[job_id] = replace(self._jobs[job_id], state=state, faults=tuple(faults), ended=datetime.now(UTC))

    def jobs(self) -> tuple[IngestJob, ...]:
        with self._lock:
            return tuple(reversed(self._jobs.values()))

    def put_divisions(self, divisions: Iterable[Division]) -> int:
        with self._lock:
            new = {(division.vintage, division.code): division for division in divisions}
            self._divisions.update(new)
            self._epoch += 1
            return len(new)

    def division(self, code: str, vintage: str | None = None) -> Division:
        with self._lock:
            found = [each for each in self._divisions.values() if each.code == code and vintage in (None, each.vintage)]
        if not found:
            raise DivisionNotDefined(code[:40], vintage and vintage[:40])
        return max(found, key=lambda division: division.vintage)

    def divisions(self, vintage: str | None = None) -> tuple[tuple[str, str, str, str], ...]:
        with self._lock:
            chosen = sorted((d for d in self._divisions.values() if vintage in (None, d.vintage)), key=lambda d: d.vintage)
        latest = {d.code: (d.code, d.name, d.level, d.vintage) for d in chosen}
        return tuple(latest[code] for code in sorted(latest))

    def vintages(self, code: str | None = None) -> tuple[str, ...]:
        with self._lock:
            return tuple(sorted({vintage for vintage, known in self._divisions if code in (None, known)}))


def newest_first(editions: Iterable[Edition]) -> tuple[Edition, ...]:
    """By the end of their currency range where every edition states one, else by name, numbers in it read as numbers."""
    editions = tuple(editions)
    if all(edition.currency[1] for edition in editions):
        return tuple(sorted(editions, key=lambda e: (e.currency[1], _natural(e.name)), reverse=True))
    return tuple(sorted(editions, key=lambda e: _natural(e.name), reverse=True))


def _natural(name: str) -> tuple:
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.findall(r"[0-9]+|[^0-9]+", name))


def _check_generation(edition: Edition, published: int | None) -> None:
    if published is not None and edition.generation <= published:
        raise EditionOutpaced(f"{edition.layer}@{edition.name}")


# Rows

def _begin_sqlite(connection: sa.Connection, statement: str) -> None:
    """Python's sqlite3 begins no transaction for a SELECT, and begins one for a write too late to wait for its turn."""
    if connection.dialect.name == "sqlite" and not connection.connection.dbapi_connection.in_transaction:
        connection.exec_driver_sql(statement)


def _epoch(connection: sa.Connection) -> int:
    return connection.scalar(sa.select(epoch_table.c.epoch)) or 0


def _raise_epoch(connection: sa.Connection) -> None:
    if not connection.execute(sa.update(epoch_table).values(epoch=epoch_table.c.epoch + 1)).rowcount:
        connection.execute(sa.insert(epoch_table).values(only=1, epoch=1))


def _put(connection: sa.Connection, table: sa.Table, key: dict, values: dict) -> None:
    matching = sa.and_(*(table.c[name] == value for name, value in key.items()))
    if not connection.execute(sa.update(table).where(matching).values(values)).rowcount:
        connection.execute(sa.insert(table).values(values))


def _put_edition(connection: sa.Connection, edition: Edition) -> int:
    columns = editions_table.c
    same = (columns.layer == edition.layer) & (columns.name == edition.name)
    known = connection.execute(sa.select(columns.edition_id, columns.generation).where(same).with_for_update()).first()
    _check_generation(edition, known.generation if known else None)
    if known:
        connection.execute(sa.update(editions_table).where(same).values(_edition_row(edition)))
        return known.edition_id
    return connection.execute(sa.insert(editions_table).values(_edition_row(edition))).inserted_primary_key[0]


def _layer_row(layer: Layer) -> dict:
    names = ("name", "title_zh", "title_en", "abstract", "owner", "attribution", "synthetic")
    return {name: getattr(layer, name) for name in names} | {
        "product": layer.product.value, "classification": int(layer.classification),
    }


def _layer_of(row: sa.RowMapping, editions: list[Edition]) -> Layer:
    return Layer(**{
        **row, "product": ProductType(row["product"]), "classification": Classification(row["classification"]),
        "editions": newest_first(editions),
    })


def _edition_row(edition: Edition) -> dict:
    names = ("layer", "name", "generation", "folder", "crs", "resolution", "vectors", "sheet_count", "nearest", "lossless", "vertical_datum", "remote", "symbols")
    low, high = edition.height_range or (None, None)
    return {name: getattr(edition, name) for name in names} | {
        "product": edition.product.value, "source": edition.source.value,
        "currency_from": edition.currency[0], "currency_to": edition.currency[1],
        "extent": shapely.to_wkb(edition.extent), "height_low": low, "height_high": high,
        "mosaics": [_plain(mosaic) for mosaic in edition.mosaics], "classes": [_plain(c) for c in edition.classes],
    }


def _edition_of(row: sa.RowMapping) -> Edition:
    row = dict(row)
    heights = (row.pop("height_low"), row.pop("height_high"))
    currency: tuple[date | None, date | None] = (row.pop("currency_from"), row.pop("currency_to"))
    return Edition(**{
        **row, "product": ProductType(row["product"]), "source": Source(row["source"]), "currency": currency, "extent": shapely.from_wkb(row["extent"]),
        "height_range": None if None in heights else heights,
        "mosaics": tuple(Mosaic(**{**m, "bounds": Bounds(*m["bounds"]), "factors": tuple(m["factors"])}) for m in row["mosaics"]),
        "classes": tuple(FeatureClass(**{**c, "bounds": Bounds(*c["bounds"]), "fields": tuple(c["fields"])}) for c in row["classes"]),
    })


def _plain(value: Mosaic | FeatureClass) -> dict:
    fields = {name: getattr(value, name) for name in value.__slots__}
    return {name: list(field) if isinstance(field, tuple) else field for name, field in fields.items()}


def _sheet_row(sheet: Sheet, edition_id: int) -> dict:
    row = {name: getattr(sheet, name) for name in sheet.__slots__} | {
        "edition_id": edition_id, "bounds": list(sheet.bounds), "resolution": list(sheet.resolution), "lineage": list(sheet.lineage),
        "footprint": shapely.to_wkb(sheet.footprint),
    }
    if not row["sheet_id"]:
        del row["sheet_id"]
    return row


def _sheet_of(row: sa.RowMapping) -> Sheet:
    row = dict(row)
    del row["edition_id"]
    return Sheet(**{
        **row, "bounds": Bounds(*row["bounds"]), "resolution": tuple(row["resolution"]), "lineage": tuple(row["lineage"]),
        "footprint": shapely.from_wkb(row["footprint"]), "taken_in": _in_utc(row["taken_in"]),
    })


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment
