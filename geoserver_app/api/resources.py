"""All operations of the API: importing a resource declares its own. The order is that of the OpenAPI document."""

from geoserver_app.api import (
    agencies,
    agreements,
    areas,
    audit,
    boundaries,
    contributions,
    corrections,
    differences,
    explanations,
    ingest_jobs,
    keys,
    layers,
    live,
    overlays,
    packages,
    papers,
    people,
    remote_overlays,
    requests,
    saved_maps,
    session,
    submissions,
    tasks,
)
from geoserver_app.api.operation import OPERATIONS

RESOURCES = (
    session, people, agencies, keys, agreements, differences, areas, boundaries, explanations, audit, contributions, submissions, requests, tasks, papers, layers,
    ingest_jobs, packages, overlays, remote_overlays, saved_maps, live, corrections,
)

__all__ = ["OPERATIONS", "RESOURCES"]
