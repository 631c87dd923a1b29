"""Lifecycle of agreements, and what a key is for

What a register of the first shape holds gets its history: one event for each row, at the moment at which the row says it came to be. The
digests are made here as `agreements.rows` and `agreements.life.history` made them when this was written.
"""

import hashlib
import json
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('register_events',
    sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('epoch', sa.Integer(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('subject', sa.String(length=120), nullable=False),
    sa.Column('action', sa.String(length=30), nullable=False),
    sa.Column('actor', sa.String(length=100), nullable=False),
    sa.Column('agreement_id', sa.String(length=100), nullable=True),
    sa.Column('version', sa.Integer(), nullable=True),
    sa.Column('state', sa.String(length=20), nullable=True),
    sa.Column('comment', sa.Text(), nullable=False),
    sa.Column('detail', sa.JSON(), nullable=False),
    sa.Column('document_hash', sa.String(length=64), nullable=True),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('seal', sa.String(length=64), nullable=False),
    sa.PrimaryKeyConstraint('number')
    )
    with op.batch_alter_table('register_events', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_register_events_agreement_id'), ['agreement_id'], unique=False)
    with op.batch_alter_table('agency_keys', schema=None) as batch_op:
        batch_op.add_column(sa.Column('app', sa.Text(), nullable=True))
        batch_op.add_column(sa.Column('purpose', sa.String(length=63), nullable=True))
        for name in ('networks', 'referers', 'origins'):
            batch_op.add_column(sa.Column(name, sa.JSON(), nullable=True))
    write_history(op.get_bind())


def downgrade() -> None:
    with op.batch_alter_table('agency_keys', schema=None) as batch_op:
        for name in ('origins', 'referers', 'networks', 'purpose', 'app'):
            batch_op.drop_column(name)
    with op.batch_alter_table('register_events', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_register_events_agreement_id'))
    op.drop_table('register_events')


# History

def write_history(connection) -> None:
    rows = {name: list(rows_of(connection, name)) for name in ('agencies', 'agency_keys', 'agreements', 'suspensions')}
    if not any(rows.values()):
        return
    epoch = connection.scalar(sa.text('SELECT epoch FROM register_epoch')) or 1
    told = sorted((event for events in (
        map(agency_event, rows['agencies']), map(key_event, rows['agency_keys']), map(agreement_event, rows['agreements']),
        map(suspension_event, rows['suspensions']),
    ) for event in events), key=lambda event: (event['at'] or '', ORDER.index(event['kind']), event['subject']))
    first = min((event['at'] for event in told if event['at']), default=plain(datetime.now(UTC)))
    number, seal = 0, '0' * 64
    for event in told:
        number += 1
        event = {**event, 'number': number, 'epoch': epoch, 'at': event['at'] or first, 'actor': '(operator)', 'comment': event.get('comment', '')}
        said = {name: value for name, value in event.items() if value is not None}
        seal = hashlib.sha256(f'{seal}{canonical(said)}'.encode()).hexdigest()
        connection.execute(sa.insert(EVENTS), {
            **dict.fromkeys(EVENTS.c.keys()), **event, 'at': datetime.fromisoformat(event['at']), 'seal': seal,
        })
    if connection.scalar(sa.text('SELECT count(*) FROM register_epoch')) == 0:
        connection.execute(sa.text('INSERT INTO register_epoch (only, epoch) VALUES (1, 1)'))


ORDER = ('agency', 'key', 'agreement', 'suspension')

EVENTS = sa.table('register_events', *(sa.column(name) for name in (
    'number', 'epoch', 'kind', 'subject', 'action', 'actor', 'agreement_id', 'version', 'state', 'comment', 'document_hash', 'digest', 'seal',
)), sa.column('at', sa.DateTime(timezone=True)), sa.column('detail', sa.JSON()))


def rows_of(connection, table: str):
    """Rows as JSON values: what the database gives back of each, without the columns that were just added, which are empty."""
    found = sa.Table(table, sa.MetaData(), autoload_with=connection)
    for row in connection.execute(sa.select(found)).mappings():
        yield {name: plain(value) for name, value in row.items() if value is not None}


def agency_event(row: dict) -> dict:
    detail = {name: row[name] for name in ('agency_id', 'name_zh', 'name_en', 'is_active')}
    return event_of('agency', row['agency_id'], 'add-agency', None, row, detail=detail)


def key_event(row: dict) -> dict:
    """One that was revoked has its end in its row: it is told as of then, since nobody can ask what it was before."""
    action = 'revoke-key' if 'revoked' in row else 'issue-key'
    return event_of('key', row['key_id'], action, row['issued'], row, detail={'agency_id': row['agency_id']})


def agreement_event(row: dict) -> dict:
    name = f"{row['agreement_id']} version {row['version']}"
    return event_of(
        'agreement', name, 'import', row['registered'], row, agreement_id=row['agreement_id'], version=row['version'], state=row['state'],
        document_hash=hashlib.sha256(row['document'].encode()).hexdigest(),
    )


def suspension_event(row: dict) -> dict:
    action = 'resume' if 'lifted' in row else 'suspend'
    return event_of('suspension', str(row['suspension_id']), action, row['since'], row, agreement_id=row['agreement_id'], comment=row['reason'])


def event_of(kind: str, subject: str, action: str, at: str | None, row: dict, *, detail: dict | None = None, **others) -> dict:
    digest = hashlib.sha256(canonical(row).encode()).hexdigest()
    return {'kind': kind, 'subject': subject, 'action': action, 'at': at, 'detail': detail or {}, 'digest': digest, **others}


def canonical(value) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(',', ':'), allow_nan=False)


def plain(value):
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    return value
