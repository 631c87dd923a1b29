"""What is given back: datasets under review, corrections"""

import sqlalchemy as sa
from alembic import op

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('correction_moves',
    sa.Column('number', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('correction_id', sa.String(length=20), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sa.String(length=20), nullable=False),
    sa.Column('actor', sa.String(length=100), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('number'),
    sqlite_autoincrement=True
    )
    with op.batch_alter_table('correction_moves', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_correction_moves_correction_id'), ['correction_id'], unique=False)

    op.create_table('corrections',
    sa.Column('correction_id', sa.String(length=20), nullable=False),
    sa.Column('agency', sa.String(length=63), nullable=False),
    sa.Column('made', sa.DateTime(timezone=True), nullable=False),
    sa.Column('made_by', sa.String(length=100), nullable=False),
    sa.Column('layer', sa.String(length=63), nullable=False),
    sa.Column('edition', sa.String(length=31), nullable=False),
    sa.Column('feature', sa.String(length=100), nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('place', sa.JSON(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('picture', sa.String(length=64), nullable=False),
    sa.Column('state', sa.String(length=20), nullable=False),
    sa.Column('due', sa.Date(), nullable=False),
    sa.Column('fixed_in', sa.String(length=31), nullable=False),
    sa.Column('reasons', sa.Text(), nullable=False),
    sa.Column('answered', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended', sa.DateTime(timezone=True), nullable=True),
    sa.Column('reminded', sa.Date(), nullable=True),
    sa.PrimaryKeyConstraint('correction_id')
    )
    with op.batch_alter_table('corrections', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_corrections_agency'), ['agency'], unique=False)
        batch_op.create_index(batch_op.f('ix_corrections_layer'), ['layer'], unique=False)
        batch_op.create_index(batch_op.f('ix_corrections_made'), ['made'], unique=False)
        batch_op.create_index(batch_op.f('ix_corrections_state'), ['state'], unique=False)

    op.create_table('giving_letters',
    sa.Column('letter_id', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('agency', sa.String(length=63), nullable=False),
    sa.Column('code', sa.String(length=40), nullable=False),
    sa.Column('detail', sa.JSON(), nullable=False),
    sa.Column('recipients', sa.JSON(), nullable=False),
    sa.Column('written', sa.DateTime(timezone=True), nullable=False),
    sa.Column('taken', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('letter_id'),
    sqlite_autoincrement=True
    )
    with op.batch_alter_table('giving_letters', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_giving_letters_taken'), ['taken'], unique=False)

    op.create_table('submission_acts',
    sa.Column('number', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('submission_id', sa.String(length=40), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('act', sa.String(length=20), nullable=False),
    sa.Column('actor', sa.String(length=100), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('number'),
    sqlite_autoincrement=True
    )
    with op.batch_alter_table('submission_acts', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_submission_acts_submission_id'), ['submission_id'], unique=False)

    op.create_table('submissions',
    sa.Column('submission_id', sa.String(length=40), nullable=False),
    sa.Column('agreement_id', sa.String(length=100), nullable=False),
    sa.Column('agency', sa.String(length=63), nullable=False),
    sa.Column('dataset', sa.Text(), nullable=False),
    sa.Column('due', sa.Date(), nullable=True),
    sa.Column('happened', sa.Date(), nullable=True),
    sa.Column('wanted', sa.JSON(), nullable=False),
    sa.Column('state', sa.String(length=20), nullable=False),
    sa.Column('made', sa.DateTime(timezone=True), nullable=False),
    sa.Column('made_by', sa.String(length=100), nullable=False),
    sa.Column('replaces', sa.String(length=40), nullable=False),
    sa.Column('file_name', sa.Text(), nullable=False),
    sa.Column('bytes', sa.BigInteger(), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.Column('received', sa.DateTime(timezone=True), nullable=True),
    sa.Column('delivery_id', sa.Integer(), nullable=True),
    sa.Column('step', sa.String(length=20), nullable=False),
    sa.Column('claim', sa.String(length=100), nullable=False),
    sa.Column('lease', sa.DateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('features', sa.BigInteger(), nullable=True),
    sa.Column('errors', sa.Integer(), nullable=True),
    sa.Column('warnings', sa.Integer(), nullable=True),
    sa.Column('reviewed_by', sa.String(length=100), nullable=False),
    sa.Column('approved_by', sa.String(length=100), nullable=False),
    sa.Column('reasons', sa.Text(), nullable=False),
    sa.Column('ended', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('submission_id')
    )
    with op.batch_alter_table('submissions', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_submissions_agency'), ['agency'], unique=False)
        batch_op.create_index(batch_op.f('ix_submissions_agreement_id'), ['agreement_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_submissions_state'), ['state'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('submissions', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_submissions_state'))
        batch_op.drop_index(batch_op.f('ix_submissions_agreement_id'))
        batch_op.drop_index(batch_op.f('ix_submissions_agency'))

    op.drop_table('submissions')
    with op.batch_alter_table('submission_acts', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_submission_acts_submission_id'))

    op.drop_table('submission_acts')
    with op.batch_alter_table('giving_letters', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_giving_letters_taken'))

    op.drop_table('giving_letters')
    with op.batch_alter_table('corrections', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_corrections_state'))
        batch_op.drop_index(batch_op.f('ix_corrections_made'))
        batch_op.drop_index(batch_op.f('ix_corrections_layer'))
        batch_op.drop_index(batch_op.f('ix_corrections_agency'))

    op.drop_table('corrections')
    with op.batch_alter_table('correction_moves', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_correction_moves_correction_id'))

    op.drop_table('correction_moves')
