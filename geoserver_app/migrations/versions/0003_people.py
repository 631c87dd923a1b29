"""People: accounts, sessions, guesses"""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('people',
    sa.Column('login', sa.String(length=63), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('agency_id', sa.String(length=63), nullable=False),
    sa.Column('roles', sa.JSON(), nullable=False),
    sa.Column('password', sa.Text(), nullable=False),
    sa.Column('is_active', sa.Boolean(), nullable=False),
    sa.Column('must_change', sa.Boolean(), nullable=False),
    sa.Column('created', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('login')
    )
    with op.batch_alter_table('people', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_people_agency_id'), ['agency_id'], unique=False)

    op.create_table('sessions',
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('login', sa.String(length=63), nullable=False),
    sa.Column('opened', sa.DateTime(timezone=True), nullable=False),
    sa.Column('seen', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ends', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['login'], ['people.login'], name='fk_sessions_person'),
    sa.PrimaryKeyConstraint('digest')
    )
    with op.batch_alter_table('sessions', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_sessions_login'), ['login'], unique=False)

    op.create_table('person_tokens',
    sa.Column('token_id', sa.String(length=20), nullable=False),
    sa.Column('login', sa.String(length=63), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('label', sa.Text(), nullable=False),
    sa.Column('roles', sa.JSON(), nullable=False),
    sa.Column('issued', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires', sa.DateTime(timezone=True), nullable=False),
    sa.Column('revoked', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['login'], ['people.login'], name='fk_person_tokens_person'),
    sa.PrimaryKeyConstraint('token_id'),
    sa.UniqueConstraint('digest')
    )
    with op.batch_alter_table('person_tokens', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_person_tokens_login'), ['login'], unique=False)

    op.create_table('guesses',
    sa.Column('subject', sa.String(length=64), nullable=False),
    sa.Column('failures', sa.Integer(), nullable=False),
    sa.Column('last', sa.DateTime(timezone=True), nullable=False),
    sa.Column('until', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('subject')
    )
    op.create_table('known_addresses',
    sa.Column('subject', sa.String(length=64), nullable=False),
    sa.Column('last', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('subject')
    )


def downgrade() -> None:
    op.drop_table('known_addresses')
    op.drop_table('guesses')
    with op.batch_alter_table('person_tokens', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_person_tokens_login'))

    op.drop_table('person_tokens')
    with op.batch_alter_table('sessions', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_sessions_login'))

    op.drop_table('sessions')
    with op.batch_alter_table('people', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_people_agency_id'))

    op.drop_table('people')
