"""Ledgers in a PostgreSQL database: for services of several hosts, which share no disk.

An agreement is a row, locked by `SELECT ... FOR UPDATE` for as long as it is counted on; what is written is there when the transaction is. Costs
four round trips a charge, where a file costs microseconds: see docs/adr/0013-quota.md.
"""

import struct
import threading
import time

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError

from geoserver_app.metering.counts import BLOCK, CHECK, NUMBERS, Counts, CountsDamaged, check_of, first_block, verify
from geoserver_app.metering.files import EXPORTS, PATIENCE
from geoserver_app.metering.ledger import MeteringUnavailable

metadata = sa.MetaData()

counts_table = sa.Table(
    "quota_counts", metadata,
    sa.Column("agreement_id", sa.Text, primary_key=True),
    sa.Column("block", sa.LargeBinary, nullable=False),
)

logs_table = sa.Table(
    "quota_logs", metadata,
    sa.Column("agreement_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
"""A log is its pieces, by the byte at which each begins."""

ROW = struct.Struct(f"<{NUMBERS}q")


class SqlLedger:
    """One agreement's. May be shared by threads: each waits for its turn."""

    def __init__(self, database: sa.Engine, agreement_id: str):
        self._database, self._agreement_id = database, agreement_id
        self._turn = threading.Lock()
        self._connection: sa.Connection | None = None
        self._counts: list[int] = []
        self._copy: list[int] = []

    def __enter__(self) -> "SqlLedger":
        if not self._turn.acquire(timeout=PATIENCE):
            raise MeteringUnavailable(f"the counters of agreement `{self._agreement_id}` are busy")
        try:
            self._connection = self._database.connect()
            self._connection.begin()
            self._counts = self._locked()
        except BaseException as error:
            self._end(is_done=False)
            if isinstance(error, SQLAlchemyError):
                raise self._unavailable(error) from error
            raise
        return self

    def __exit__(self, kind, *_) -> None:
        self._end(is_done=kind is None)

    def read(self) -> Counts:
        self._copy = list(self._counts)
        return self._copy

    def write(self) -> None:
        counts, table = self._copy, counts_table
        counts[CHECK] = check_of(ROW.pack(*counts)[:BLOCK - 8])
        self._ask(sa.update(table).where(table.c.agreement_id == self._agreement_id).values(block=ROW.pack(*counts)))
        self._counts = counts

    def read_log(self, name: str, start: int, end: int) -> bytes:
        columns = logs_table.c
        pieces = self._ask(
            sa.select(columns.start, columns.data).where(self._is(name), columns.start < end, columns.start + sa.func.length(columns.data) > start)
            .order_by(columns.start)
        ).all()
        first = pieces[0].start if pieces else start
        data = b"".join(bytes(piece.data) for piece in pieces)[start - first:end - first]
        if len(data) != end - start:
            raise MeteringUnavailable(f"the log `{name}` of agreement `{self._agreement_id}` is cut short: see `geoshare quota restart`")
        return data

    def length_of_log(self, name: str) -> int:
        columns = logs_table.c
        return self._ask(sa.select(sa.func.max(columns.start + sa.func.length(columns.data))).where(self._is(name))).scalar() or 0

    def write_log(self, name: str, start: int, data: bytes) -> None:
        self._ask(sa.delete(logs_table).where(self._is(name), logs_table.c.start >= start))
        self._ask(sa.insert(logs_table).values(agreement_id=self._agreement_id, name=name, start=start, data=data))

    def remove_log(self, name: str) -> None:
        self._ask(sa.delete(logs_table).where(self._is(name)))

    # -- inside

    def _locked(self) -> list[int]:
        """The numbers, nobody else's until the transaction ends; the row is made where the agreement never had one."""
        columns = counts_table.c
        self._ask(sa.text(f"SET LOCAL lock_timeout = {int(1000 * PATIENCE)}"))
        query = sa.select(columns.block).where(columns.agreement_id == self._agreement_id).with_for_update()
        block = self._ask(query).scalar()
        if block is None:
            row = {"agreement_id": self._agreement_id, "block": first_block(self._agreement_id)}
            self._ask(postgresql.insert(counts_table).values(row).on_conflict_do_nothing())
            block = self._ask(query).scalar_one()
        try:
            if len(block) != BLOCK:
                raise CountsDamaged("of another size")
            counts = list(ROW.unpack(block))
            verify(counts, bytes(block)[:BLOCK - 8], self._agreement_id)
        except CountsDamaged as error:
            raise MeteringUnavailable(
                f"the counters of agreement `{self._agreement_id}` are damaged ({error}): see `geoshare quota restart`"
            ) from error
        return counts

    def _ask(self, statement: sa.Executable) -> sa.CursorResult:
        try:
            return self._connection.execute(statement)
        except SQLAlchemyError as error:
            raise self._unavailable(error) from error

    def _is(self, name: str) -> sa.ColumnElement[bool]:
        return (logs_table.c.agreement_id == self._agreement_id) & (logs_table.c.name == name)

    def _end(self, *, is_done: bool) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                with connection:                                # what is not committed is undone
                    if is_done:
                        connection.commit()
        except SQLAlchemyError as error:
            raise self._unavailable(error) from error
        finally:
            self._turn.release()

    def _unavailable(self, error: SQLAlchemyError) -> MeteringUnavailable:
        return MeteringUnavailable(f"the counters of agreement `{self._agreement_id}` can't be read or written ({type(error).__name__})")


class SqlLedgers:
    """Ledgers in a database that was migrated."""

    def __init__(self, database: sa.Engine):
        self._database = database
        self._ledgers: dict[str, SqlLedger] = {}

    def of(self, agreement_id: str) -> SqlLedger:
        ledger = self._ledgers.get(agreement_id)
        return ledger if ledger is not None else self._ledgers.setdefault(agreement_id, SqlLedger(self._database, agreement_id))

    def set_aside(self, agreement_id: str) -> None:
        aside = f"{agreement_id} (aside {time.time_ns()})"
        counts, logs = counts_table.c, logs_table.c
        try:
            with self._database.begin() as connection:
                connection.execute(sa.update(counts_table).where(counts.agreement_id == agreement_id).values(agreement_id=aside))
                connection.execute(sa.update(logs_table).where(logs.agreement_id == agreement_id, logs.name != EXPORTS).values(agreement_id=aside))
        except SQLAlchemyError as error:
            raise MeteringUnavailable(f"the counters of agreement `{agreement_id}` can't be set aside ({type(error).__name__})") from error
