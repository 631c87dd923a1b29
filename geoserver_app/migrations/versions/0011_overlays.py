"""Overlays: uploads under way, saved maps, hosts that may be asked, credentials under lock"""

import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'overlay_uploads',
        sa.Column('upload_id', sa.String(length=40), nullable=False),
        sa.Column('agency', sa.String(length=63), nullable=False),
        sa.Column('asker', sa.JSON(), nullable=False),
        sa.Column('wanted', sa.JSON(), nullable=False),
        sa.Column('state', sa.String(length=20), nullable=False),
        sa.Column('step', sa.String(length=20), nullable=False),
        sa.Column('done', sa.Integer(), nullable=False),
        sa.Column('total', sa.Integer(), nullable=False),
        sa.Column('began', sa.DateTime(timezone=True), nullable=False),
        sa.Column('ended', sa.DateTime(timezone=True), nullable=True),
        sa.Column('claim', sa.String(length=100), nullable=False),
        sa.Column('lease', sa.DateTime(timezone=True), nullable=True),
        sa.Column('attempts', sa.Integer(), nullable=False),
        sa.Column('findings', sa.JSON(), nullable=False),
        sa.Column('offset_metres', sa.Float(), nullable=True),
        sa.Column('decided', sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint('upload_id'),
    )
    op.create_index('ix_overlay_uploads_agency', 'overlay_uploads', ['agency'], unique=False)
    op.create_index('ix_overlay_uploads_state', 'overlay_uploads', ['state'], unique=False)
    op.create_table(
        'saved_maps',
        sa.Column('map_id', sa.String(length=40), nullable=False),
        sa.Column('agency', sa.String(length=63), nullable=False),
        sa.Column('login', sa.String(length=63), nullable=False),
        sa.Column('title', sa.String(length=200), nullable=False),
        sa.Column('sharing', sa.String(length=10), nullable=False),
        sa.Column('layers', sa.JSON(), nullable=False),
        sa.Column('view', sa.JSON(), nullable=False),
        sa.Column('changed', sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint('map_id'),
    )
    op.create_index('ix_saved_maps_agency', 'saved_maps', ['agency'], unique=False)
    op.create_table(
        'remote_hosts',
        sa.Column('host', sa.String(length=253), nullable=False),
        sa.Column('port', sa.Integer(), nullable=False),
        sa.Column('is_inside', sa.Boolean(), nullable=False),
        sa.Column('note', sa.String(length=300), nullable=False),
        sa.Column('listed', sa.DateTime(timezone=True), nullable=False),
        sa.Column('listed_by', sa.String(length=63), nullable=False),
        sa.PrimaryKeyConstraint('host', 'port'),
    )
    op.create_table(
        'remote_credentials',
        sa.Column('credential_id', sa.String(length=40), nullable=False),
        sa.Column('agency', sa.String(length=63), nullable=False),
        sa.Column('host', sa.String(length=260), nullable=False),
        sa.Column('sealed', sa.LargeBinary(), nullable=False),
        sa.Column('kept', sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint('credential_id'),
    )
    op.create_index('ix_remote_credentials_agency', 'remote_credentials', ['agency'], unique=False)


def downgrade() -> None:
    op.drop_index('ix_remote_credentials_agency', table_name='remote_credentials')
    op.drop_table('remote_credentials')
    op.drop_table('remote_hosts')
    op.drop_index('ix_saved_maps_agency', table_name='saved_maps')
    op.drop_table('saved_maps')
    op.drop_index('ix_overlay_uploads_state', table_name='overlay_uploads')
    op.drop_index('ix_overlay_uploads_agency', table_name='overlay_uploads')
    op.drop_table('overlay_uploads')
