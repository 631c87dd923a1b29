"""Tables of points that change all the time: written in batches, read by everything that reads features, with a journal of what changed."""

from layers.live.journal import Change, JournalTooShort, Window, changes_since, snapshot
from layers.live.table import LiveField, LivePlan, create_table, describe_table
from layers.live.writing import LiveRow, Written, expire, write

__all__ = (
    "Change",
    "JournalTooShort",
    "LiveField",
    "LivePlan",
    "LiveRow",
    "Window",
    "Written",
    "changes_since",
    "create_table",
    "describe_table",
    "expire",
    "snapshot",
    "write",
)
