"""All operations of the API: importing a resource declares its own. The order is that of the OpenAPI document."""

from geoserver_app.api import agencies, agreements, keys, people, session
from geoserver_app.api.operation import OPERATIONS

RESOURCES = (session, people, agencies, keys, agreements)

__all__ = ["OPERATIONS", "RESOURCES"]
