"""Audit: anchors and daily roots"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('audit_anchors',
    sa.Column('segment', sa.String(length=60), nullable=False),
    sa.Column('line', sa.BigInteger(), nullable=False),
    sa.Column('seal', sa.String(length=64), nullable=False),
    sa.Column('is_closed', sa.Boolean(), nullable=False),
    sa.Column('anchored', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('segment')
    )
    op.create_table('audit_roots',
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('document', sa.Text(), nullable=False),
    sa.Column('sealed', sa.DateTime(timezone=True), nullable=False),
    sa.Column('retired', sa.DateTime(timezone=True), nullable=True),
    sa.Column('retired_to', sa.Text(), nullable=True),
    sa.Column('retired_sha256', sa.String(length=64), nullable=True),
    sa.PrimaryKeyConstraint('day')
    )


def downgrade() -> None:
    op.drop_table('audit_roots')
    op.drop_table('audit_anchors')
