"""Whether an upload's coordinates are shifted: laid over the boundaries of divisions, and over what its owner may see of other layers - nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
import shapely
from shapely.geometry.base import BaseGeometry

from agreements.model import Operation
from geoserver_app.gate import Asked
from geoserver_app.identity import Caller, Carriage, Presented
from geoserver_app.overlays.book import Upload
from geoserver_app.overlays.faults import DIVISIONS, Finding
from geoserver_app.overlays.shift import Offset, measured
from geoserver_app.wiring import Services
from layers import crs as reference
from layers.errors import LayersError
from layers.model import Bounds, Edition, FeatureClass, Layer, LayerName, ProductType, Source
from tiles.permits import Permit
from tiles.vector.granted import told

AROUND = 0.012
"""Degrees around the upload in which known shapes are looked for: a little more than the longest shift."""

KINDS = ("LRDL", "LRRL", "BOUL", "HYDL", "HYDA", "RESA", "BOUA", "RESP")
"""Classes of the line map that are laid under it, the best first."""

MOST_SHAPES, MOST_KNOWN = 5_000, 20_000
MOST_REFERENCES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A layer with the permit under which its features are looked at."""

    layer: Layer
    edition: Edition
    permit: Permit


def compared(services: Services, upload: Upload, paths: Sequence[Path]) -> tuple[Finding, float | None]:
    """What is to be said of its coordinates, and the measured offset in metres, where there is one."""
    shapes, offset, against = _shapes(paths), None, ""
    if len(shapes):
        for name, known in _references(services, upload, Bounds(*shapely.total_bounds(shapes))):
            found = measured(shapes, known)
            if found is not None and found.is_seen and (offset is None or found.agreeing > offset.agreeing):
                offset, against = found, name
    metres = offset.metres if offset else None
    if upload.wanted.get("coord_origin") == "internet-map":
        return Finding(code="shift-declared", detail={"metres": f"{metres:.0f}" if metres is not None else "-"}), metres
    if offset is None:
        return Finding(code="shift-unknown"), None
    return _finding(offset, against), metres


def _finding(offset: Offset, against: str) -> Finding:
    detail = {"reference": against, "metres": f"{offset.metres:.0f}"}
    if offset.is_suspect:
        return Finding(code="shift-suspected", detail=detail | {"azimuth": f"{offset.azimuth:.0f}", "matches": str(offset.agreeing)})
    return Finding(code="shift-none", detail=detail)


def _shapes(paths: Sequence[Path]) -> np.ndarray:
    """Some of the upload's, in CRS84."""
    found = []
    for path in paths:
        for table, geometry in pyogrio.list_layers(path):
            if geometry is not None:
                frame = pyogrio.read_dataframe(path, layer=str(table), max_features=MOST_SHAPES, columns=[])
                crs = reference.crs_name(frame.crs.to_wkt())
                found += [reference.transform_geometry(shapely.force_2d(one), crs, "CRS:84") for one in frame.geometry if one is not None and not one.is_empty]
    return np.asarray(found, dtype=object)


def _references(services: Services, upload: Upload, box: Bounds) -> Iterator[tuple[str, list[BaseGeometry]]]:
    """Known shapes in CRS84 around the upload, by the name under which they are told."""
    around = shapely.box(box.left - AROUND, box.bottom - AROUND, box.right + AROUND, box.top + AROUND)
    vintage, divisions = _divisions(services, around)
    if divisions:
        yield f"{DIVISIONS}{vintage}", divisions
    count = 0
    for one in _visible(services, upload):
        for table in sorted((table for table in one.edition.classes if table.kind in KINDS), key=lambda table: KINDS.index(table.kind)):
            if count >= MOST_REFERENCES:
                return
            known = _told(services, one, table, Bounds(*around.bounds))
            if known:
                count += 1
                yield f"{one.layer.name}.{table.name}", known


def _divisions(services: Services, around: BaseGeometry) -> tuple[str, list[BaseGeometry]]:
    """Boundaries of the newest vintage; large areas have few of them, so all are looked at."""
    catalogue = services.catalogue
    vintages = catalogue.vintages()
    if not vintages:
        return "", []
    shapes = [catalogue.division(code, vintages[-1]).geometry for code, _, _, vintage in catalogue.divisions(vintages[-1]) if vintage == vintages[-1]]
    lines = [shapely.intersection(shape.boundary, around) for shape in shapes if shape.intersects(around)]
    return vintages[-1], [line for line in lines if not line.is_empty]


def _visible(services: Services, upload: Upload) -> list[Seen]:
    """Stored vectors of others of which its owner may have the features themselves, or be told them."""
    gate, register = services.gate, services.gate.standing().register
    agency = register.agencies.get(upload.agency)
    if agency is None:
        return []
    # nobody is there any more who asks from somewhere, for something: grants that want to know count for nothing
    caller = Caller(agency=agency, key_id="", presented=Presented(secret="", carriage=Carriage.HEADER), base_url=gate.base_url)
    found = []
    for one in gate.visible(caller, record=None):
        if one.edition.product is ProductType.DLG and one.edition.source is Source.STORED:
            name = LayerName(one.layer.name, one.edition.name)
            for operation in (Operation.GET_FEATURE, Operation.GET_FEATURE_INFO):
                ruling = gate.decide(gate.standing(), caller, Asked(layer=name, operation=operation, is_in_full=True), gate.clock())
                if not ruling.is_denied:
                    found.append(Seen(layer=one.layer, edition=one.edition, permit=gate.permit(caller, ruling)))
                    break
    return found


def _told(services: Services, one: Seen, table: FeatureClass, around: Bounds) -> list[BaseGeometry]:
    """Features that touch the ground around, in CRS84: cut to what is granted."""
    try:
        box = reference.transform_bounds(around, "CRS:84", one.edition.crs)
    except LayersError:
        return []
    found: list[BaseGeometry] = []
    for batch in told(one.permit, services.features, table, box=box, fields=()):
        found += [reference.transform_geometry(shapely.force_2d(shape), one.edition.crs, "CRS:84") for shape in batch.shapes]
        if len(found) >= MOST_KNOWN:
            break
    return found
