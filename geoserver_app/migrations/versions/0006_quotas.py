"""Quotas of services of several hosts: counters and their logs"""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('quota_counts',
    sa.Column('agreement_id', sa.Text(), nullable=False),
    sa.Column('block', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('agreement_id')
    )
    op.create_table('quota_logs',
    sa.Column('agreement_id', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('start', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('data', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('agreement_id', 'name', 'start')
    )


def downgrade() -> None:
    op.drop_table('quota_logs')
    op.drop_table('quota_counts')
