"""Features of line maps and overlays: where they are kept, and how they are read."""

from layers.features.facts import interval, text_fields
from layers.features.geopackage import GeoPackageStore
from layers.features.postgis import PostgisStore
from layers.features.store import NEVER_TOLD, FeatureBatch, FeatureQuery, FeatureStore, FieldType

__all__ = (
    "NEVER_TOLD",
    "FeatureBatch",
    "FeatureQuery",
    "FeatureStore",
    "FieldType",
    "GeoPackageStore",
    "PostgisStore",
    "interval",
    "text_fields",
)
