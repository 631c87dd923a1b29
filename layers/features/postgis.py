"""Features in PostGIS: copies of the tables of editions, loaded when an edition is published. What is not loaded is read from its GeoPackage.

An edition of one generation never changes, so its copy is made once, whole or not at all, under a name that only the list `feature_tables` knows.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from layers.errors import FeaturesUnavailable
from layers.features.conditions import Parameters, condition_in_postgresql
from layers.features.geopackage import GeoPackageStore, touching
from layers.features.store import NEVER_TOLD, FeatureBatch, FeatureQuery, FieldType
from layers.model import Edition, FeatureClass, Source

LOADED_AT_ONCE = 5_000
COLUMN_TYPES = {
    FieldType.TEXT: "text", FieldType.DATE: "text", FieldType.DATE_TIME: "text", FieldType.INTEGER: "bigint", FieldType.NUMBER: "double precision",
    FieldType.BOOLEAN: "boolean",
}
FITTING = {"text": str, "bigint": int, "double precision": (int, float), "boolean": bool}
LIST = (
    "CREATE TABLE IF NOT EXISTS feature_tables (edition_id bigint, generation bigint, name text, relation text NOT NULL, stamp text NOT NULL, "
    "PRIMARY KEY (edition_id, generation, name))"
)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A table in the database: its relation, quoted, and for each field the column (`c0`, `c1` ...) and its type."""

    relation: str
    columns: dict[str, tuple[str, FieldType]]


class PostgisStore:
    """Features of editions in a database of PostgreSQL with PostGIS.

    Parameters
    ----------
    url : str
        `postgresql+psycopg://...`; the extension must be there, or creatable.
    files : GeoPackageStore
        What editions are loaded from, and answered from as long as they are not.
    """

    def __init__(self, url: str, files: GeoPackageStore):
        self.files = files
        self.engine = sqlalchemy.create_engine(url, pool_pre_ping=True, isolation_level="AUTOCOMMIT")
        self._known: dict[tuple, _Loaded] = {}

    def batches(self, edition: Edition, query: FeatureQuery, size: int = 1000) -> Iterator[FeatureBatch]:
        loaded = self._loaded(edition, query.table)
        if loaded is None:
            yield from self.files.batches(edition, query, size)
            return
        where, values = self._where(loaded, query)
        if where is None:
            return
        columns = "".join(f", {loaded.columns[name][0]}" for name in query.fields)
        after = -(2**63) if query.after is None else query.after
        statement = f"SELECT key, ST_AsEWKB(geom){columns} FROM {loaded.relation} WHERE {where} AND key > %s ORDER BY key LIMIT {int(size)}"
        try:
            with self.engine.connect() as connection:
                while rows := connection.exec_driver_sql(statement, (*values, after)).fetchall():
                    after = rows[-1][0]
                    yield from _batch(rows, query)
                    if len(rows) < size:
                        return
        except SQLAlchemyError as error:
            raise _unreadable() from error

    def fields(self, edition: Edition, table: FeatureClass) -> dict[str, FieldType]:
        loaded = self._loaded(edition, table)
        return self.files.fields(edition, table) if loaded is None else {name: loaded.columns[name][1] for name in table.fields}

    def text_fields(self, edition: Edition, table: FeatureClass) -> frozenset[str]:
        return frozenset(name for name, kind in self.fields(edition, table).items() if kind.is_text)

    # -- loading

    def load(self, edition: Edition) -> list[str]:
        """Copies the tables of an edition; names of those whose values do not fit a column of their type, which stay in the GeoPackage.

        Older generations of the edition are dropped. Raises FeaturesUnavailable.
        """
        if edition.vectors is None or edition.source is not Source.STORED:
            return []
        left = []
        try:
            with self.engine.connect() as connection:
                connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS postgis")
                connection.exec_driver_sql(LIST)
            for table in edition.classes:
                if table.kind not in NEVER_TOLD and not self._load_table(edition, table):
                    left.append(table.name)
            self._drop_older(edition)
        except SQLAlchemyError as error:
            raise _unreadable() from error
        return left

    def _load_table(self, edition: Edition, table: FeatureClass) -> bool:
        types = self.files.fields(edition, table)
        kinds = [COLUMN_TYPES[types[name]] for name in table.fields]
        relation = f"f_{edition.edition_id}_{edition.generation}_{hashlib.sha256(table.name.encode()).hexdigest()[:12]}"
        columns = "".join(f", c{number} {kind}" for number, kind in enumerate(kinds))
        engine = self.engine.execution_options(isolation_level="READ COMMITTED")
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {relation}")
            connection.exec_driver_sql(f"CREATE TABLE {relation} (key bigint PRIMARY KEY, geom geometry NOT NULL{columns})")
            with connection.connection.cursor().copy(f"COPY {relation} FROM STDIN") as copy:
                query = FeatureQuery(table=table, fields=table.fields)
                for batch in self.files.batches(edition, query, LOADED_AT_ONCE):
                    if not all(_fits(batch.columns[name], kind) for name, kind in zip(table.fields, kinds, strict=True)):
                        break
                    texts = shapely.to_wkb(batch.shapes, hex=True, output_dimension=4, flavor="extended")
                    for row in zip(batch.keys.tolist(), texts.tolist(), *batch.columns.values(), strict=True):
                        copy.write_row(row)
                else:
                    query = None
            if query is not None:
                connection.exec_driver_sql(f"DROP TABLE {relation}")
                return False
            connection.exec_driver_sql(f"CREATE INDEX ON {relation} USING gist (geom)")
            connection.exec_driver_sql(f"ANALYZE {relation}")
            connection.exec_driver_sql(
                "INSERT INTO feature_tables VALUES (%s, %s, %s, %s, %s) ON CONFLICT (edition_id, generation, name) "
                "DO UPDATE SET relation = EXCLUDED.relation, stamp = EXCLUDED.stamp",
                (edition.edition_id, edition.generation, table.name, relation, self._stamp(edition)),
            )
        return True

    def _drop_older(self, edition: Edition) -> None:
        with self.engine.connect() as connection:
            older = connection.exec_driver_sql(
                "DELETE FROM feature_tables WHERE edition_id = %s AND generation < %s RETURNING relation", (edition.edition_id, edition.generation),
            ).fetchall()
            for (relation,) in older:
                connection.exec_driver_sql(f"DROP TABLE IF EXISTS {relation}")

    # -- reading

    def _loaded(self, edition: Edition, table: FeatureClass) -> _Loaded | None:
        if edition.source is not Source.STORED or edition.vectors is None:
            return None
        name = (edition.edition_id, edition.generation, table.name)
        if name in self._known:
            return self._known[name]
        try:
            with self.engine.connect() as connection:
                if connection.exec_driver_sql("SELECT to_regclass('feature_tables')").scalar() is None:
                    return None
                relation = connection.exec_driver_sql(
                    "SELECT relation FROM feature_tables WHERE edition_id = %s AND generation = %s AND name = %s AND stamp = %s", (*name, self._stamp(edition)),
                ).scalar()
        except SQLAlchemyError as error:
            raise _unreadable() from error
        if relation is None:
            return None
        types = self.files.fields(edition, table)
        found = _Loaded(relation, {one: (f"c{number}", types[one]) for number, one in enumerate(table.fields)})
        return self._known.setdefault(name, found)

    def _stamp(self, edition: Edition) -> str:
        """Names the file that was copied: numbers of editions begin anew with every catalogue, and a copy of another's is none of ours."""
        try:
            found = (self.files.root / edition.folder / edition.vectors).stat()
        except OSError as error:
            raise _unreadable() from error
        return f"{edition.layer}@{edition.name}/{edition.vectors}/{found.st_size}/{found.st_mtime_ns}"

    @staticmethod
    def _where(loaded: _Loaded, query: FeatureQuery) -> tuple[str | None, list]:
        parts, parameters = ["true"], Parameters()
        if query.where is not None:
            condition = condition_in_postgresql(query.where, query.table, loaded.columns, parameters)
            if condition is None:
                return None, []
            parts.append(condition)
        if query.key is not None:
            parts.append(f"key = {parameters.place(query.key)}")
        if query.box is not None:
            parts.append(f"geom && ST_MakeEnvelope({', '.join(parameters.place(float(value)) for value in query.box)})")
        return " AND ".join(parts), parameters.values


def _fits(values: Sequence, kind: str) -> bool:
    """SQLite keeps values of any type in any column, and texts with a NUL; PostgreSQL does not."""
    fitting = FITTING[kind]
    return all(
        value is None or (isinstance(value, fitting) and isinstance(value, bool) == (kind == "boolean") and not (kind == "text" and "\0" in value)
                          and not (kind == "bigint" and not -(2**63) <= value < 2**63))
        for value in values
    )


def _batch(rows: Sequence, query: FeatureQuery) -> Iterator[FeatureBatch]:
    keys, blobs, *columns = zip(*rows, strict=True)
    keys, shapes = np.array(keys, np.int64), shapely.from_wkb([bytes(blob) for blob in blobs])
    found = {name: [None if isinstance(value, float) and not math.isfinite(value) else value for value in values]
             for name, values in zip(query.fields, columns, strict=True)}
    fit = touching(shapes, query.box) if query.box is not None else np.ones(len(keys), bool)
    if not fit.all():
        keys, shapes = keys[fit], shapes[fit]
        found = {name: [value for value, is_fit in zip(values, fit, strict=True) if is_fit] for name, values in found.items()}
    if len(keys):
        yield FeatureBatch(keys=keys, shapes=shapes, columns=found)


def _unreadable() -> FeaturesUnavailable:
    return FeaturesUnavailable("the features can't be read now: try again later")
