"""All operations of the API: importing a resource declares its own. The order is that of the OpenAPI document."""

from geoserver_app.api import (
    agencies,
    agreements,
    areas,
    audit,
    boundaries,
    contributions,
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
    tasks,
)
from geoserver_app.api.operation import OPERATIONS

RESOURCES = (
    session, people, agencies, keys, agreements, differences, areas, boundaries, explanations, audit, contributions, requests, tasks, papers, layers,
    ingest_jobs, packages, overlays, remote_overlays, saved_maps, live,
)

__all__ = ["OPERATIONS", "RESOURCES"]
