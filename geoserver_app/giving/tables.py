"""What is kept of datasets on their way and of corrections: rows that change with every act, rows of acts that never change, and letters."""

import sqlalchemy as sa

metadata = sa.MetaData()

submissions_table = sa.Table(
    "submissions", metadata,
    sa.Column("submission_id", sa.String(40), primary_key=True),
    sa.Column("agreement_id", sa.String(100), nullable=False, index=True),
    sa.Column("agency", sa.String(63), nullable=False, index=True),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("due", sa.Date),
    sa.Column("happened", sa.Date),
    sa.Column("wanted", sa.JSON, nullable=False),
    sa.Column("state", sa.String(20), nullable=False, index=True),
    sa.Column("made", sa.DateTime(timezone=True), nullable=False),
    sa.Column("made_by", sa.String(100), nullable=False),
    sa.Column("replaces", sa.String(40), nullable=False),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("received", sa.DateTime(timezone=True)),
    sa.Column("delivery_id", sa.Integer),
    sa.Column("step", sa.String(20), nullable=False),
    sa.Column("claim", sa.String(100), nullable=False),
    sa.Column("lease", sa.DateTime(timezone=True)),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("features", sa.BigInteger),
    sa.Column("errors", sa.Integer),
    sa.Column("warnings", sa.Integer),
    sa.Column("reviewed_by", sa.String(100), nullable=False),
    sa.Column("approved_by", sa.String(100), nullable=False),
    sa.Column("reasons", sa.Text, nullable=False),
    sa.Column("ended", sa.DateTime(timezone=True)),
)
"""`wanted` is what the agency said of it: layer, edition, titles, its own terms, credit, classification, currency, CRS, encoding, note."""

acts_table = sa.Table(
    "submission_acts", metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("submission_id", sa.String(40), nullable=False, index=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("act", sa.String(20), nullable=False),
    sa.Column("actor", sa.String(100), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

corrections_table = sa.Table(
    "corrections", metadata,
    sa.Column("correction_id", sa.String(20), primary_key=True),
    sa.Column("agency", sa.String(63), nullable=False, index=True),
    sa.Column("made", sa.DateTime(timezone=True), nullable=False, index=True),
    sa.Column("made_by", sa.String(100), nullable=False),
    sa.Column("layer", sa.String(63), nullable=False, index=True),
    sa.Column("edition", sa.String(31), nullable=False),
    sa.Column("feature", sa.String(100), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("place", sa.JSON, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("picture", sa.String(64), nullable=False),
    sa.Column("state", sa.String(20), nullable=False, index=True),
    sa.Column("due", sa.Date, nullable=False),
    sa.Column("fixed_in", sa.String(31), nullable=False),
    sa.Column("reasons", sa.Text, nullable=False),
    sa.Column("answered", sa.DateTime(timezone=True)),
    sa.Column("ended", sa.DateTime(timezone=True)),
    sa.Column("reminded", sa.Date),
)
"""The id is drawn by lot: from running numbers an agency could read how much others report. `place` is GeoJSON geometry in CRS84, `feature` a table and the
name of a feature as it is known outside, `picture` the SHA-256 of the map as the reporter saw it, "" for none; `reminded` the last day on which the bureau
was told that it is late."""

moves_table = sa.Table(
    "correction_moves", metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("correction_id", sa.String(20), nullable=False, index=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("actor", sa.String(100), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

letters_table = sa.Table(
    "giving_letters", metadata,
    sa.Column("letter_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("agency", sa.String(63), nullable=False),
    sa.Column("code", sa.String(40), nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("recipients", sa.JSON, nullable=False),
    sa.Column("written", sa.DateTime(timezone=True), nullable=False),
    sa.Column("taken", sa.DateTime(timezone=True), index=True),
    sqlite_autoincrement=True,
)
