"""Delivered files that can't be taken in but are worth knowing of: VCT, by what its head says. Nothing of them is ever served; only the bureau sees the list.

The file itself stays where it was delivered; an entry is known by its checksum, so that the same file is listed once a layer and edition.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from layers.delivery.vct import read_vct_head
from layers.errors import LayerRejected
from layers.ingest.sources import checksum_of

metadata = sa.MetaData()

quarantined_table = sa.Table(
    "quarantined_files", metadata,
    sa.Column("checksum", sa.String(64), primary_key=True),
    sa.Column("layer", sa.String(63), primary_key=True),
    sa.Column("edition", sa.String(31), primary_key=True),
    sa.Column("file_name", sa.String(300), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("format", sa.String(80), nullable=False),
    sa.Column("scale", sa.String(80), nullable=False),
    sa.Column("extent", sa.String(400), nullable=False),
    sa.Column("projection", sa.String(80), nullable=False),
    sa.Column("dated", sa.String(80), nullable=False),
    sa.Column("job", sa.Integer),
    sa.Column("found", sa.DateTime(timezone=True), nullable=False),
)

MOST_LISTED = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedFile:
    """`format`, `scale`, `extent`, `projection` and `dated` are texts of the file's own head, empty where it is silent. `bytes` of the file, `found` in UTC."""

    checksum: str
    layer: str
    edition: str
    file_name: str
    bytes: int
    format: str
    scale: str
    extent: str
    projection: str
    dated: str
    job: int | None
    found: datetime


def quarantine(
    database: sa.Engine, paths: Iterable[Path], *, layer: str, edition: str, job: int | None, at: datetime,
) -> tuple[QuarantinedFile, ...]:
    """Lists what the heads of VCT files say, each file once; those whose head can't be read have said so already."""
    listed = []
    for path in paths:
        try:
            head = read_vct_head(path)
        except LayerRejected:
            continue
        listed.append(QuarantinedFile(
            checksum=checksum_of([path]), layer=layer, edition=edition, file_name=path.name[:300], bytes=path.stat().st_size,
            format=f"{head.mark or 'VCT'} {head.version}".strip()[:80], scale=f"1:{head.scale}" if head.scale else "", extent=" ".join(head.extent),
            projection=head.projection, dated=head.date, job=job, found=at,
        ))
    with database.begin() as connection:
        for one in listed:
            connection.execute(quarantined_table.delete().where(
                quarantined_table.c.checksum == one.checksum, quarantined_table.c.layer == layer, quarantined_table.c.edition == edition))
            connection.execute(quarantined_table.insert().values(asdict(one)))
    return tuple(listed)


def quarantined(database: sa.Engine) -> tuple[QuarantinedFile, ...]:
    """The newest first, at most `MOST_LISTED`."""
    order = (quarantined_table.c.found.desc(), quarantined_table.c.file_name)
    with database.connect() as connection:
        return tuple(QuarantinedFile(**row._mapping) for row in connection.execute(quarantined_table.select().order_by(*order).limit(MOST_LISTED)))
