"""Ledgers in the review: their periods as rows that a question can be asked about."""

from collections.abc import Iterable
from types import MappingProxyType

from agreements.life.ledger import Entry
from geoserver_app.review.figures import values
from geoserver_app.review.questions import whole

COLUMNS = (
    ("agreement", "VARCHAR"), ("agency", "VARCHAR"), ("dataset", "VARCHAR"), ("due", "DATE"), ("last_day", "DATE"), ("standing", "VARCHAR"),
    ("overdue_since", "DATE"), ("in_time", "BOOLEAN"), ("deliveries", "INTEGER"),
)


def owed(entries: Iterable[Entry]) -> str:
    """A SELECT that holds the periods of ledgers as they stand."""
    return values(COLUMNS, [
        (
            one.period.agreement_id, one.period.grantee, one.period.dataset, one.period.due, one.period.last_day, one.standing.value,
            one.overdue_since, one.is_on_time, len(one.deliveries),
        ) for one in entries
    ])


_PARTS = {
    "<sums>": """\
count(*) FILTER (<decided>) AS decided, count(*) FILTER (<in time>) AS on_time,
       round(100.0 * count(*) FILTER (<in time>)
             / nullif(count(*) FILTER (<decided>), 0), 1) AS on_time_percent,
       count(*) FILTER (standing IN ('awaited', 'due', 'overdue', 'returned')) AS open,
       count(*) FILTER (overdue_since IS NOT NULL) AS overdue, count(*) FILTER (standing = 'returned') AS returned""",
    "<decided>": "in_time IS NOT NULL AND last_day BETWEEN from_day AND to_day",
    "<in time>": "in_time AND last_day BETWEEN from_day AND to_day",
}

QUESTIONS = MappingProxyType({name: whole(body, _PARTS) for name, body in {
    "owed-total": """
        SELECT <sums>
        FROM owed, asked
    """,
    "owed-by-agreement": """
        SELECT coalesce(agreement, '*') AS agreement, agency,
               <sums>
        FROM owed, asked GROUP BY GROUPING SETS ((agreement, agency), ()) ORDER BY agreement
    """,
}.items()})
"""Over `owed`. The agreement `*` is all of them."""
