"""What agencies give back: the book of deliveries, and notices by mail."""

from geoserver_app.contributions.book import (
    ContributionBook,
    ContributionInvalid,
    contribution_tasks,
    file_facts,
    metadata,
)

__all__ = (
    "ContributionBook",
    "ContributionInvalid",
    "contribution_tasks",
    "file_facts",
    "metadata",
)
