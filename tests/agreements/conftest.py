"""Fixtures of this room; what they are made of is in small_world.py and, for databases, in tests/databases.py."""

import pytest
from databases import engine_for
from small_world import SmallGazetteer

from agreements.register import metadata


@pytest.fixture
def gazetteer() -> SmallGazetteer:
    return SmallGazetteer()


@pytest.fixture
def sqlite_database(tmp_path):
    """Call it for an engine over one new database with the tables of the register."""
    yield from _engines(f"sqlite:///{tmp_path / 'register.sqlite'}")


@pytest.fixture
def postgresql_database(postgresql_url):
    """The same in PostgreSQL, where it is installed."""
    yield from _engines(postgresql_url)


def _engines(url: str):
    engines = []

    def connect():
        engines.append(engine_for(url))
        return engines[-1]

    metadata.create_all(connect())
    yield connect
    metadata.drop_all(engines[0])
    for engine in engines:
        engine.dispose()
