"""The one database of catalogue and register, and its migrations (Alembic)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError

from geoserver_app.clock import SHANGHAI
from geoserver_app.settings import Settings

BUSY_SECONDS = 10


class DatabaseUnavailable(Exception):
    """The database can't be reached, or is of a shape that this version does not know."""


def connect(url: str) -> sqlalchemy.Engine:
    """An engine for `url`; SQLite in WAL mode, so that readers never wait for a writer, with foreign keys kept."""
    engine = sqlalchemy.create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":
        sqlalchemy.event.listen(engine, "connect", _prepare_sqlite)
        sqlalchemy.event.listen(engine, "checkout", _check_file)
    return engine


def _prepare_sqlite(connection, record) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", f"busy_timeout = {BUSY_SECONDS * 1000}"):
        connection.execute(f"PRAGMA {pragma}")
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    record.info["path"], record.info["file"] = path, _file_at(path)


def _check_file(_connection, record, _proxy) -> None:
    """A file that was moved away or replaced lives on behind an open connection: what others write to the new one would never be seen."""
    if record.info["file"] != _file_at(record.info["path"]):
        raise DisconnectionError("the file of the database is another one now")


def _file_at(path: str) -> tuple[int, int] | None:
    """Device and inode of the file; None where there is none, as for a database in memory."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


@contextmanager
def writing(engine: sqlalchemy.Engine) -> Iterator[sqlalchemy.Connection]:
    """One transaction, its reads included; writers of SQLite take turns from its beginning, as Python's sqlite3 would not have them do."""
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite" and not connection.connection.dbapi_connection.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


def utc(moment: datetime | None) -> datetime | None:
    """A moment as it is stored: SQLite keeps no zone."""
    return None if moment is None else moment.astimezone(UTC)


def from_database(moment: datetime | None) -> datetime | None:
    """A stored moment, in Asia/Shanghai."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(SHANGHAI)


def migrate(settings: Settings) -> None:
    """Bring the database to the newest shape; does nothing where it has it. Raises DatabaseUnavailable."""
    settings.data.mkdir(parents=True, exist_ok=True)
    try:
        command.upgrade(alembic_config(settings.database_url), "head")
    except (SQLAlchemyError, CommandError) as error:
        why = str(getattr(error, "orig", None) or error).splitlines()[0]
        mend = "see `database_url`, or the folder `data`, in config/service.yaml"
        raise DatabaseUnavailable(f"the database can't be opened: {why}: {mend}") from error
    except ModuleNotFoundError as error:
        raise DatabaseUnavailable(f"the driver `{error.name}` of the database is not installed: `pip install {error.name}`") from error


def alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = url
    return config
