"""Feature types as the caller's grants describe them, and the capabilities of WFS made of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from geoserver_app.capabilities import ServiceEntry
from geoserver_app.features.collections import tables_of
from geoserver_app.gate import Visible
from geoserver_app.messages import CHINESE
from geoserver_app.ows_documents import document
from geoserver_app.wfs.gml import NAMESPACE
from layers.crs import SERVED
from layers.model import Bounds, FeatureClass, LayerName
from tiles.requests.features import FeatureTypeName
from tiles.requests.fes import COMPARED, SHAPES, SPATIAL, urn
from tiles.requests.wfs import DEFAULT_COUNT, GML_TYPE, OPERATIONS, xml_name

FORMATS = (GML_TYPE, "application/json")
FULL = {"ImplementsBasicWFS": True, "ImplementsTransactionalWFS": False, "ImplementsLockingWFS": False, "KVPEncoding": True, "XMLEncoding": True,
        "SOAPEncoding": False, "ImplementsInheritance": False, "ImplementsRemoteResolve": False, "ImplementsResultPaging": True,
        "ImplementsStandardJoins": False, "ImplementsSpatialJoins": False, "ImplementsTemporalJoins": False, "ImplementsFeatureVersioning": False,
        "ManageStoredQueries": False}
CONFORMANCE = {"ImplementsQuery": True, "ImplementsAdHocQuery": True, "ImplementsFunctions": False, "ImplementsResourceId": True,
               "ImplementsMinStandardFilter": True, "ImplementsStandardFilter": True, "ImplementsMinSpatialFilter": True,
               "ImplementsSpatialFilter": True, "ImplementsMinTemporalFilter": False, "ImplementsTemporalFilter": False,
               "ImplementsVersionNav": False, "ImplementsSorting": False, "ImplementsExtendedOperators": False, "ImplementsMinimumXPath": True,
               "ImplementsSchemaElementFunc": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureType:
    """`crs` in which it may be had, the one by default first."""

    name: str
    asked: FeatureTypeName
    title: str
    abstract: str
    table: FeatureClass
    crs: tuple[str, ...]
    bounds: Bounds
    visible: Visible


def feature_types(visible: Sequence[Visible], language: str) -> list[FeatureType]:
    """By the bare name of a layer its latest edition, and every edition by its own name where there are several."""
    found = []
    for one in visible:
        names = [LayerName(one.layer.name)] if one.is_latest else []
        names += [] if one.is_only else [LayerName(one.layer.name, one.edition.name)]
        found += [_type(one, table, FeatureTypeName(name, table.name), language) for name in names for table in tables_of(one.edition)]
    return [one for one in found if one.crs]


def _type(one: Visible, table: FeatureClass, name: FeatureTypeName, language: str) -> FeatureType:
    is_chinese = language == CHINESE
    of_layer, title = (one.layer.title_zh, table.title_zh) if is_chinese else (one.layer.title_en, table.title_en)
    return FeatureType(
        name=xml_name(name), asked=name, title=f"{of_layer} {one.edition.name} / {title or table.name}", abstract=one.layer.abstract, table=table,
        crs=offered_crs(one), bounds=one.bounds.rounded(7), visible=one,
    )


def offered_crs(one: Visible) -> tuple[str, ...]:
    """The edition's own first, then the rest of those that are granted."""
    granted = [crs for crs in SERVED if one.crs is None or crs in one.crs]
    return tuple(sorted(granted, key=lambda crs: crs != one.edition.crs))


def wfs_capabilities(types: Sequence[FeatureType], service: ServiceEntry, address: Callable[[str], str]) -> str:
    limits = [*((name, str(value).upper()) for name, value in FULL.items()), ("CountDefault", str(DEFAULT_COUNT)), ("PagingIsTransactionSafe", "FALSE")]
    return document(
        "capabilities_wfs.xml", types=types, service=service, here=address("/wfs"), namespace=NAMESPACE, operations=OPERATIONS, formats=FORMATS,
        constraints=limits, conformance=[(name, str(value).upper()) for name, value in CONFORMANCE.items()],
        comparisons=[*COMPARED, "PropertyIsLike", "PropertyIsNull", "PropertyIsNil", "PropertyIsBetween"], spatial=["BBOX", *SPATIAL], shapes=SHAPES,
        urn=urn,
    )
