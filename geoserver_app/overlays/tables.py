"""What is kept of overlays beside the catalogue: uploads under way, saved maps, hosts that may be asked, credentials under lock."""

import sqlalchemy as sa

metadata = sa.MetaData()

uploads_table = sa.Table(
    "overlay_uploads", metadata,
    sa.Column("upload_id", sa.String(40), primary_key=True),
    sa.Column("agency", sa.String(63), nullable=False, index=True),
    sa.Column("asker", sa.JSON, nullable=False),
    sa.Column("wanted", sa.JSON, nullable=False),
    sa.Column("state", sa.String(20), nullable=False, index=True),
    sa.Column("step", sa.String(20), nullable=False),
    sa.Column("done", sa.Integer, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("began", sa.DateTime(timezone=True), nullable=False),
    sa.Column("ended", sa.DateTime(timezone=True)),
    sa.Column("claim", sa.String(100), nullable=False),
    sa.Column("lease", sa.DateTime(timezone=True)),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("findings", sa.JSON, nullable=False),
    sa.Column("offset_metres", sa.Float),
    sa.Column("decided", sa.JSON),
)

maps_table = sa.Table(
    "saved_maps", metadata,
    sa.Column("map_id", sa.String(40), primary_key=True),
    sa.Column("agency", sa.String(63), nullable=False, index=True),
    sa.Column("login", sa.String(63), nullable=False),
    sa.Column("title", sa.String(200), nullable=False),
    sa.Column("sharing", sa.String(10), nullable=False),
    sa.Column("layers", sa.JSON, nullable=False),
    sa.Column("view", sa.JSON, nullable=False),
    sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
)

hosts_table = sa.Table(
    "remote_hosts", metadata,
    sa.Column("host", sa.String(253), primary_key=True),
    sa.Column("port", sa.Integer, primary_key=True),
    sa.Column("is_inside", sa.Boolean, nullable=False),
    sa.Column("note", sa.String(300), nullable=False),
    sa.Column("listed", sa.DateTime(timezone=True), nullable=False),
    sa.Column("listed_by", sa.String(63), nullable=False),
)

credentials_table = sa.Table(
    "remote_credentials", metadata,
    sa.Column("credential_id", sa.String(40), primary_key=True),
    sa.Column("agency", sa.String(63), nullable=False, index=True),
    sa.Column("host", sa.String(260), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("kept", sa.DateTime(timezone=True), nullable=False),
)
