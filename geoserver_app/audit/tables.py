"""Tables of the audit: where segments stood, and what was sealed of each day."""

import sqlalchemy as sa

metadata = sa.MetaData()

anchors_table = sa.Table(
    "audit_anchors", metadata,
    sa.Column("segment", sa.String(60), primary_key=True),
    sa.Column("line", sa.BigInteger, nullable=False),
    sa.Column("seal", sa.String(64), nullable=False),
    sa.Column("is_closed", sa.Boolean, nullable=False),
    sa.Column("anchored", sa.DateTime(timezone=True), nullable=False),
)

roots_table = sa.Table(
    "audit_roots", metadata,
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("sealed", sa.DateTime(timezone=True), nullable=False),
    sa.Column("retired", sa.DateTime(timezone=True)),
    sa.Column("retired_to", sa.Text),
    sa.Column("retired_sha256", sa.String(64)),
)
