"""Sheets know their currency and the file that was delivered; elevation its vertical datum"""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('editions', schema=None) as batch_op:
        batch_op.add_column(sa.Column('vertical_datum', sa.String(length=40), nullable=True))
    with op.batch_alter_table('sheets', schema=None) as batch_op:
        batch_op.add_column(sa.Column('currency', sa.Date(), nullable=True))
        batch_op.add_column(sa.Column('taken_in', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('delivered', sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('sheets', schema=None) as batch_op:
        batch_op.drop_column('delivered')
        batch_op.drop_column('taken_in')
        batch_op.drop_column('currency')
    with op.batch_alter_table('editions', schema=None) as batch_op:
        batch_op.drop_column('vertical_datum')
