"""Catalogue and register"""

import sqlalchemy as sa
from alembic import op


revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('catalogue_epoch',
    sa.Column('only', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('epoch', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('only')
    )
    op.create_table('divisions',
    sa.Column('vintage', sa.String(length=31), nullable=False),
    sa.Column('code', sa.String(length=12), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('level', sa.String(length=20), nullable=False),
    sa.Column('geometry', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('vintage', 'code')
    )
    with op.batch_alter_table('divisions', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_divisions_code'), ['code'], unique=False)

    op.create_table('ingest_jobs',
    sa.Column('job_id', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('layer', sa.String(length=63), nullable=False),
    sa.Column('edition', sa.String(length=31), nullable=False),
    sa.Column('state', sa.String(length=20), nullable=False),
    sa.Column('total', sa.Integer(), nullable=False),
    sa.Column('done', sa.Integer(), nullable=False),
    sa.Column('faults', sa.JSON(), nullable=False),
    sa.Column('started', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('job_id'),
    sqlite_autoincrement=True
    )
    op.create_table('layers',
    sa.Column('name', sa.String(length=63), nullable=False),
    sa.Column('title_zh', sa.Text(), nullable=False),
    sa.Column('title_en', sa.Text(), nullable=False),
    sa.Column('abstract', sa.Text(), nullable=False),
    sa.Column('product', sa.String(length=10), nullable=False),
    sa.Column('owner', sa.String(length=100), nullable=False),
    sa.Column('classification', sa.Integer(), nullable=False),
    sa.Column('attribution', sa.Text(), nullable=False),
    sa.Column('synthetic', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('name')
    )
    op.create_table('editions',
    sa.Column('edition_id', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('layer', sa.String(length=63), nullable=False),
    sa.Column('name', sa.String(length=31), nullable=False),
    sa.Column('product', sa.String(length=10), nullable=False),
    sa.Column('currency_from', sa.Date(), nullable=True),
    sa.Column('currency_to', sa.Date(), nullable=True),
    sa.Column('generation', sa.Integer(), nullable=False),
    sa.Column('folder', sa.Text(), nullable=False),
    sa.Column('crs', sa.Text(), nullable=False),
    sa.Column('extent', sa.LargeBinary(), nullable=False),
    sa.Column('resolution', sa.Float(), nullable=True),
    sa.Column('mosaics', sa.JSON(), nullable=False),
    sa.Column('classes', sa.JSON(), nullable=False),
    sa.Column('vectors', sa.Text(), nullable=True),
    sa.Column('height_low', sa.Float(), nullable=True),
    sa.Column('height_high', sa.Float(), nullable=True),
    sa.Column('sheet_count', sa.Integer(), nullable=False),
    sa.Column('nearest', sa.Boolean(), nullable=False),
    sa.Column('lossless', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['layer'], ['layers.name'], name='fk_editions_layer'),
    sa.PrimaryKeyConstraint('edition_id'),
    sa.UniqueConstraint('layer', 'name', name='uq_editions_layer_name'),
    sqlite_autoincrement=True
    )
    op.create_table('sheets',
    sa.Column('sheet_id', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('edition_id', sa.Integer(), nullable=False),
    sa.Column('number', sa.String(length=20), nullable=True),
    sa.Column('source_name', sa.Text(), nullable=False),
    sa.Column('path', sa.Text(), nullable=False),
    sa.Column('crs', sa.Text(), nullable=False),
    sa.Column('bounds', sa.JSON(), nullable=False),
    sa.Column('footprint', sa.LargeBinary(), nullable=False),
    sa.Column('width', sa.Integer(), nullable=False),
    sa.Column('height', sa.Integer(), nullable=False),
    sa.Column('resolution', sa.JSON(), nullable=False),
    sa.Column('band_count', sa.Integer(), nullable=False),
    sa.Column('dtype', sa.String(length=20), nullable=False),
    sa.Column('nodata', sa.Float(), nullable=True),
    sa.Column('checksum', sa.String(length=64), nullable=False),
    sa.Column('lineage', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['edition_id'], ['editions.edition_id'], name='fk_sheets_edition'),
    sa.PrimaryKeyConstraint('sheet_id'),
    sqlite_autoincrement=True
    )
    with op.batch_alter_table('sheets', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_sheets_edition_id'), ['edition_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_sheets_number'), ['number'], unique=False)

    op.create_table('agencies',
    sa.Column('agency_id', sa.String(length=63), nullable=False),
    sa.Column('name_zh', sa.Text(), nullable=False),
    sa.Column('name_en', sa.Text(), nullable=False),
    sa.Column('is_active', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('agency_id')
    )
    op.create_table('agreement_areas',
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('geometry', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('digest')
    )
    op.create_table('agreements',
    sa.Column('agreement_id', sa.String(length=100), nullable=False),
    sa.Column('version', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('state', sa.String(length=20), nullable=False),
    sa.Column('grantor', sa.String(length=63), nullable=False),
    sa.Column('grantee', sa.String(length=63), nullable=False),
    sa.Column('document', sa.Text(), nullable=False),
    sa.Column('compiled', sa.JSON(), nullable=False),
    sa.Column('registered', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('agreement_id', 'version')
    )
    with op.batch_alter_table('agreements', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_agreements_grantee'), ['grantee'], unique=False)

    op.create_table('register_epoch',
    sa.Column('only', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('epoch', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('only')
    )
    op.create_table('suspensions',
    sa.Column('suspension_id', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('agreement_id', sa.String(length=100), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('since', sa.DateTime(timezone=True), nullable=False),
    sa.Column('until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('lifted', sa.DateTime(timezone=True), nullable=True),
    sa.Column('layers', sa.JSON(), nullable=True),
    sa.Column('area', sa.JSON(), nullable=True),
    sa.PrimaryKeyConstraint('suspension_id'),
    sqlite_autoincrement=True
    )
    with op.batch_alter_table('suspensions', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_suspensions_agreement_id'), ['agreement_id'], unique=False)

    op.create_table('agency_keys',
    sa.Column('key_id', sa.String(length=20), nullable=False),
    sa.Column('agency_id', sa.String(length=63), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('label', sa.Text(), nullable=False),
    sa.Column('issued', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires', sa.DateTime(timezone=True), nullable=True),
    sa.Column('revoked', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['agency_id'], ['agencies.agency_id'], name='fk_agency_keys_agency'),
    sa.PrimaryKeyConstraint('key_id'),
    sa.UniqueConstraint('digest')
    )
    with op.batch_alter_table('agency_keys', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_agency_keys_agency_id'), ['agency_id'], unique=False)



def downgrade() -> None:
    with op.batch_alter_table('agency_keys', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_agency_keys_agency_id'))

    op.drop_table('agency_keys')
    with op.batch_alter_table('suspensions', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_suspensions_agreement_id'))

    op.drop_table('suspensions')
    op.drop_table('register_epoch')
    with op.batch_alter_table('agreements', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_agreements_grantee'))

    op.drop_table('agreements')
    op.drop_table('agreement_areas')
    op.drop_table('agencies')
    with op.batch_alter_table('sheets', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_sheets_number'))
        batch_op.drop_index(batch_op.f('ix_sheets_edition_id'))

    op.drop_table('sheets')
    op.drop_table('editions')
    op.drop_table('layers')
    op.drop_table('ingest_jobs')
    with op.batch_alter_table('divisions', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_divisions_code'))

    op.drop_table('divisions')
    op.drop_table('catalogue_epoch')
