"""Alembic's entry: the tables are those of the catalogue and the register, which know nothing of each other."""

from alembic import context

from agreements.register import metadata as register_tables
from geoserver_app.database import connect
from layers.catalogue import metadata as catalogue_tables

engine = connect(context.config.attributes["url"])
with engine.begin() as connection:
    context.configure(connection=connection, target_metadata=[catalogue_tables, register_tables], render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
