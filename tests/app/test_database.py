"""The migrations make exactly the tables that the parts read and write."""

import pytest
import shapely
import sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from agreements.model import Agency
from agreements.register import SqlRegister
from agreements.register import metadata as register_tables
from geoserver_app.asking import metadata as request_tables
from geoserver_app.audit.tables import metadata as audit_tables
from geoserver_app.contributions import metadata as contribution_tables
from geoserver_app.database import DatabaseUnavailable, alembic_config, connect, migrate
from geoserver_app.giving.tables import metadata as giving_tables
from geoserver_app.metering.tables import metadata as quota_tables
from geoserver_app.overlays.tables import metadata as overlay_tables
from geoserver_app.packages.jobs import metadata as package_tables
from geoserver_app.people.accounts import metadata as people_tables
from geoserver_app.people.guessing import metadata as guesses_tables
from geoserver_app.quarantine import metadata as quarantine_tables
from geoserver_app.settings import Settings
from layers.catalogue import Division, SqlCatalogue
from layers.catalogue import metadata as catalogue_tables

PARTS = (
    catalogue_tables, register_tables, people_tables, guesses_tables, audit_tables, contribution_tables, quota_tables, request_tables, package_tables,
    overlay_tables, giving_tables, quarantine_tables,
)


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings.at(tmp_path / "var")


@pytest.fixture
def database(settings):
    migrate(settings)
    engine = connect(settings.database_url)
    yield engine
    engine.dispose()


def tables(engine: sqlalchemy.Engine) -> set[str]:
    return set(sqlalchemy.inspect(engine).get_table_names()) - {"alembic_version"}


def test_a_migrated_database_has_the_tables_of_every_part_and_no_others(database):
    both = sqlalchemy.MetaData()
    for part in PARTS:
        for table in part.tables.values():
            table.to_metadata(both)
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, both) == []
    assert tables(database) == set(both.tables)


def test_ids_are_never_given_twice_in_a_migrated_database(database):
    """Cache folders and decision records hold them."""
    with database.connect() as connection:
        made = dict(connection.execute(sqlalchemy.text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")).all())
    for part in PARTS:
        for table in part.tables.values():
            wanted = table.dialect_options["sqlite"]["autoincrement"]
            assert ("AUTOINCREMENT" in made[table.name]) == bool(wanted), table.name


def test_going_back_leaves_nothing_and_coming_again_leaves_all(settings, database):
    before = tables(database)
    config = alembic_config(settings.database_url)
    command.downgrade(config, "base")
    assert tables(database) == set()
    command.upgrade(config, "head")
    assert tables(database) == before


def test_migrating_again_changes_nothing(settings, database):
    SqlRegister(database).add_agency(Agency(agency_id="water", name_zh="水利厅", name_en="Water"))
    migrate(settings)
    assert [agency.agency_id for agency in SqlRegister(database).agencies()] == ["water"]


def test_catalogue_and_register_work_over_a_migrated_database(database):
    catalogue, register = SqlCatalogue(database), SqlRegister(database)
    square = shapely.box(118, 32, 119, 33)
    division = Division(vintage="2024", code="320104", name="秦淮区", level="county", geometry=square)
    catalogue.put_divisions([division])
    assert catalogue.division("320104") == division and catalogue.snapshot().layers == {}
    register.add_agency(Agency(agency_id="water", name_zh="水利厅", name_en="Water"))
    _, secret = register.issue_key("water")
    assert register.snapshot().keys and secret not in str(register.snapshot())
    with database.connect() as connection:
        assert connection.scalar(sqlalchemy.text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(sqlalchemy.text("PRAGMA foreign_keys")) == 1


@pytest.mark.parametrize("url, told", [
    ("nonsense", "can't be opened"),
    ("sqlite:////proc/nowhere/geoshare.sqlite", "unable to open database file"),
])
def test_a_database_that_can_t_be_opened_is_told_in_a_sentence(settings, url, told):
    with pytest.raises(DatabaseUnavailable, match=told):
        migrate(settings.replaced(database_url=url))


def test_a_database_of_a_newer_version_is_left_alone(settings, database):
    with database.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseUnavailable, match="9999"):
        migrate(settings)
