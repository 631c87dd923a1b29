"""Vectors may be stored, live or remote; overlays carry their symbols"""

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('editions', schema=None) as batch_op:
        batch_op.add_column(sa.Column('source', sa.String(length=10), server_default='stored', nullable=False))
        batch_op.add_column(sa.Column('remote', sa.Text(), nullable=True))
        batch_op.add_column(sa.Column('symbols', sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('editions', schema=None) as batch_op:
        batch_op.drop_column('symbols')
        batch_op.drop_column('remote')
        batch_op.drop_column('source')
