"""The one database of catalogue and register, and its migrations (Alembic)."""

from pathlib import Path

import sqlalchemy
from alembic import command
from alembic.config import Config

from geoserver_app.settings import Settings

BUSY_SECONDS = 10


def connect(url: str) -> sqlalchemy.Engine:
    """An engine for `url`; SQLite in WAL mode, so that readers never wait for a writer, with foreign keys kept."""
    engine = sqlalchemy.create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":
        sqlalchemy.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection, _record) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", f"busy_timeout = {BUSY_SECONDS * 1000}"):
        connection.execute(f"PRAGMA {pragma}")


def migrate(settings: Settings) -> None:
    """Bring the database to the newest shape; does nothing where it has it."""
    settings.data.mkdir(parents=True, exist_ok=True)
    command.upgrade(alembic_config(settings.database_url), "head")


def alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = url
    return config
