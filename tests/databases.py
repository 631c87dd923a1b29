"""Databases for tests: SQLite as the service opens it, and a PostgreSQL server of our own where its programs are installed."""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

GIVEN = "GEOSHARE_TEST_DATABASE_URL"
"""In the environment: an empty PostgreSQL database to use instead of a server that is started here."""


def engine_for(url: str) -> sa.Engine:
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection, _record):
    for pragma in ("journal_mode = WAL", "busy_timeout = 10000", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _program(name: str) -> str | None:
    """On the path, or where Debian keeps it."""
    return shutil.which(name) or next(iter(sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None)


def _as_whom() -> dict:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        return {"user": pwd.getpwnam("postgres").pw_uid, "group": pwd.getpwnam("postgres").pw_gid, "extra_groups": []}
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of an empty database; skips, with the reason, where there is none."""
    if given := os.environ.get(GIVEN):
        yield given
        return
    initdb, server = _program("initdb"), _program("postgres")
    if not (initdb and server):
        pytest.skip(f"PostgreSQL is not installed here, and {GIVEN} names no database")
    whom, folder = _as_whom(), Path(tempfile.mkdtemp(prefix="geoshare-postgresql-"))
    if whom:
        shutil.chown(folder, whom["user"], whom["group"])
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **whom}
    subprocess.run([initdb, "-D", folder / "data", "-U", "geoshare", "-A", "trust", "-E", "UTF8", "--no-sync"], check=True, **quiet)
    process = subprocess.Popen([server, "-D", folder / "data", "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"], **quiet)
    url = f"postgresql+psycopg://geoshare@/postgres?host={folder}"
    try:
        _wait_for(url)
        yield url
    finally:
        process.send_signal(signal.SIGINT)                        # without waiting for whoever is still connected
        process.wait(20)
        shutil.rmtree(folder)


def _wait_for(url: str) -> None:
    engine = sa.create_engine(url, connect_args={"connect_timeout": 20})
    for attempt in range(100):
        try:
            with engine.connect():
                break
        except sa.exc.OperationalError:
            if attempt == 99:
                raise
            time.sleep(0.1)
    engine.dispose()


def emptied(url: str) -> None:
    """Drop all that is in a PostgreSQL database."""
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(sa.text("DROP SCHEMA public CASCADE"))
            connection.execute(sa.text("CREATE SCHEMA public"))
    finally:
        engine.dispose()
