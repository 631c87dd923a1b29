"""Files that were delivered and can't be taken in"""

import sqlalchemy as sa
from alembic import op

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('quarantined_files',
    sa.Column('checksum', sa.String(length=64), nullable=False),
    sa.Column('layer', sa.String(length=63), nullable=False),
    sa.Column('edition', sa.String(length=31), nullable=False),
    sa.Column('file_name', sa.String(length=300), nullable=False),
    sa.Column('bytes', sa.BigInteger(), nullable=False),
    sa.Column('format', sa.String(length=80), nullable=False),
    sa.Column('scale', sa.String(length=80), nullable=False),
    sa.Column('extent', sa.String(length=400), nullable=False),
    sa.Column('projection', sa.String(length=80), nullable=False),
    sa.Column('dated', sa.String(length=80), nullable=False),
    sa.Column('job', sa.Integer(), nullable=True),
    sa.Column('found', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('checksum', 'layer', 'edition')
    )


def downgrade() -> None:
    op.drop_table('quarantined_files')
