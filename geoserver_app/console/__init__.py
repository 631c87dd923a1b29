"""The console: pages where people of the bureau, and members of agencies for what is theirs, look at agreements and move them through their life."""

from geoserver_app.console import (
    agency_pages,
    agreement_pages,
    audit_pages,
    boundary_pages,
    contribution_pages,
    correction_pages,
    data_acts,
    data_pages,
    difference_pages,
    editor_pages,
    explain_pages,
    map_pages,
    overview,
    people_pages,
    preview_pages,
    register_pages,
    review_pages,
    submission_pages,
)
from geoserver_app.console.frame import bp

PAGES = (
    overview, register_pages, agreement_pages, difference_pages, editor_pages, preview_pages, map_pages, explain_pages, audit_pages, agency_pages,
    people_pages, contribution_pages, correction_pages, submission_pages, review_pages, boundary_pages, data_pages, data_acts,
)
"""Importing a module declares its pages."""

__all__ = ["PAGES", "bp"]
