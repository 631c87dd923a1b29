"""Anchors and roots in the database: out of reach of who can write the files of the record."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime

import sqlalchemy as sa

from geoserver_app.audit.roots import DayRoot, Retirement
from geoserver_app.audit.tables import anchors_table, roots_table
from geoserver_app.clock import SHANGHAI, now
from geoserver_app.decision_log import DecisionLog, Head, day_of
from geoserver_app.settings import Settings


def anchored_log(settings: Settings, database: sa.Engine) -> DecisionLog:
    """The decision record of this instance, its segments anchored in the database."""
    return DecisionLog(settings.decisions, AuditStore(database), instance=settings.public_base_url)


class AuditStore:
    """Raises SQLAlchemyError where the database can't be reached."""

    def __init__(self, database: sa.Engine, clock: Callable[[], datetime] = now):
        self.database, self.clock = database, clock

    def anchor(self, heads: Sequence[Head]) -> None:
        """Keeps where segments stand: `decision_log.Anchors`. An anchor never goes back, nor on once its segment is closed."""
        columns, moment = anchors_table.c, self.clock().astimezone(UTC)
        with self.database.begin() as connection:
            for head in heads:
                values = {"line": head.line, "seal": head.seal, "is_closed": head.is_closed, "anchored": moment}
                named = columns.segment == head.segment
                forward = columns.line <= head.line, columns.is_closed.is_(False)
                if connection.execute(sa.update(anchors_table).where(named, *forward).values(values)).rowcount:
                    continue
                if connection.execute(sa.select(columns.line).where(named)).first() is None:
                    connection.execute(sa.insert(anchors_table).values(segment=head.segment, **values))

    def anchors(self) -> dict[str, Head]:
        """By segment."""
        columns = anchors_table.c
        query = sa.select(columns.segment, columns.line, columns.seal, columns.is_closed)
        with self.database.connect() as connection:
            return {
                row.segment: Head(segment=row.segment, line=row.line, seal=row.seal, is_closed=row.is_closed) for row in connection.execute(query)
            }

    def add_root(self, root: DayRoot) -> None:
        """Keeps what was sealed of a day, for ever: a day is sealed once."""
        with self.database.begin() as connection:
            connection.execute(sa.insert(roots_table).values(
                day=root.day, digest=root.digest, document=root.document(), sealed=self.clock().astimezone(UTC),
            ))

    def documents(self) -> dict[date, tuple[str, Retirement | None]]:
        """What was sealed of every day and, of those whose rows are gone, where they went."""
        columns = roots_table.c
        query = sa.select(columns.day, columns.document, columns.retired, columns.retired_to, columns.retired_sha256).order_by(columns.day)
        with self.database.connect() as connection:
            return {row.day: (row.document, _retirement(row)) for row in connection.execute(query)}

    def roots(self) -> list[DayRoot]:
        """Every day sealed, in order. Raises ValueError where one was altered."""
        return [DayRoot.parse(document, retirement) for document, retirement in self.documents().values()]

    def retire(self, retirements: Mapping[date, Retirement]) -> None:
        """Says where the rows of days went; the anchors of their segments are not needed any more."""
        columns = roots_table.c
        with self.database.begin() as connection:
            for day, one in retirements.items():
                values = {"retired": one.at.astimezone(UTC), "retired_to": one.file, "retired_sha256": one.sha256}
                connection.execute(sa.update(roots_table).where(columns.day == day).values(values))
            gone = [row.segment for row in connection.execute(sa.select(anchors_table.c.segment)) if day_of(row.segment) in retirements]
            for segment in gone:
                connection.execute(sa.delete(anchors_table).where(anchors_table.c.segment == segment))


def _retirement(row: sa.Row) -> Retirement | None:
    if row.retired is None:
        return None
    at = row.retired if row.retired.tzinfo else row.retired.replace(tzinfo=UTC)
    return Retirement(at=at.astimezone(SHANGHAI), file=row.retired_to, sha256=row.retired_sha256)
