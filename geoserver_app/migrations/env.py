"""Alembic's entry: every part's own tables, which know nothing of each other."""

from alembic import context

from agreements.register import metadata as register_tables
from geoserver_app.asking import metadata as request_tables
from geoserver_app.audit.tables import metadata as audit_tables
from geoserver_app.contributions import metadata as contribution_tables
from geoserver_app.database import connect
from geoserver_app.giving.tables import metadata as giving_tables
from geoserver_app.metering.tables import metadata as quota_tables
from geoserver_app.overlays.tables import metadata as overlay_tables
from geoserver_app.packages.jobs import metadata as package_tables
from geoserver_app.people.accounts import metadata as people_tables
from geoserver_app.people.guessing import metadata as guesses_tables
from geoserver_app.quarantine import metadata as quarantine_tables
from layers.catalogue import metadata as catalogue_tables

TABLES = [
    catalogue_tables, register_tables, people_tables, guesses_tables, audit_tables, contribution_tables, quota_tables, request_tables,
    package_tables, overlay_tables, giving_tables, quarantine_tables,
]

engine = connect(context.config.attributes["url"])
try:
    with engine.begin() as connection:
        context.configure(connection=connection, target_metadata=TABLES, render_as_batch=True, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
finally:
    engine.dispose()
