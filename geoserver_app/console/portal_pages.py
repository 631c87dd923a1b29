"""All pages of the portal."""

from geoserver_app.console import (
    correction_pages,
    portal_area,
    portal_audit,
    portal_connect,
    portal_explain,
    portal_giving,
    portal_home,
    portal_maps,
    portal_overlays,
    portal_packages,
    portal_requests,
    portal_submissions,
)
from geoserver_app.console.portal import bp

PAGES = (portal_home, portal_area, portal_connect, portal_explain, portal_audit, portal_giving, portal_submissions, portal_requests, correction_pages, portal_packages, portal_overlays, portal_maps)
"""Importing a module declares its pages."""

__all__ = ["PAGES", "bp"]
