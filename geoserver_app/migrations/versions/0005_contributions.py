"""Contributions: deliveries, events, notices"""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('contribution_deliveries',
    sa.Column('delivery_id', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('agreement_id', sa.String(length=100), nullable=False),
    sa.Column('dataset', sa.Text(), nullable=False),
    sa.Column('since', sa.Date(), nullable=False),
    sa.Column('due', sa.Date(), nullable=False),
    sa.Column('received', sa.DateTime(timezone=True), nullable=False),
    sa.Column('handed_over_by', sa.Text(), nullable=False),
    sa.Column('statement', sa.Text(), nullable=False),
    sa.Column('edition', sa.Text(), nullable=False),
    sa.Column('features', sa.BigInteger(), nullable=True),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.Column('file_name', sa.Text(), nullable=False),
    sa.Column('quality', sa.String(length=10), nullable=False),
    sa.Column('findings', sa.Text(), nullable=False),
    sa.Column('checked', sa.DateTime(timezone=True), nullable=True),
    sa.Column('checked_by', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('delivery_id'),
    sqlite_autoincrement=True
    )
    with op.batch_alter_table('contribution_deliveries', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_contribution_deliveries_agreement_id'), ['agreement_id'], unique=False)

    op.create_table('contribution_happenings',
    sa.Column('agreement_id', sa.String(length=100), nullable=False),
    sa.Column('dataset', sa.String(length=200), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('agreement_id', 'dataset', 'day')
    )
    op.create_table('contribution_notices',
    sa.Column('agreement_id', sa.String(length=100), nullable=False),
    sa.Column('dataset', sa.String(length=200), nullable=False),
    sa.Column('due', sa.Date(), nullable=False),
    sa.Column('stage', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('given', sa.DateTime(timezone=True), nullable=False),
    sa.Column('grantee', sa.String(length=63), nullable=False),
    sa.Column('audience', sa.String(length=10), nullable=False),
    sa.Column('standing', sa.String(length=10), nullable=False),
    sa.Column('last_day', sa.Date(), nullable=False),
    sa.Column('findings', sa.Text(), nullable=False),
    sa.Column('contacts', sa.JSON(), nullable=False),
    sa.Column('coordination_group', sa.Text(), nullable=False),
    sa.Column('proposal', sa.String(length=20), nullable=False),
    sa.Column('is_overtaken', sa.Boolean(), nullable=False),
    sa.Column('taken', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('agreement_id', 'dataset', 'due', 'stage')
    )
    with op.batch_alter_table('contribution_notices', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_contribution_notices_grantee'), ['grantee'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('contribution_notices', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_contribution_notices_grantee'))

    op.drop_table('contribution_notices')
    op.drop_table('contribution_happenings')
    with op.batch_alter_table('contribution_deliveries', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_contribution_deliveries_agreement_id'))

    op.drop_table('contribution_deliveries')
