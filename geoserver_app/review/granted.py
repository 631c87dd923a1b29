"""What agreements grant, and where it lies: the layers, the ground on which anything can be seen, the divisions there."""

from collections.abc import Iterable

import shapely
from shapely.geometry.base import BaseGeometry

from agreements.model import LATEST, Agreement, Grant
from layers.catalogue import Catalogue
from layers.errors import DivisionNotDefined
from layers.model import CatalogueSnapshot, Layer

MOST_OUTLINES = 40


def ground_of(versions: Iterable[Agreement], catalogue: Catalogue) -> BaseGeometry:
    """Where anything can be seen under the grants of these versions: CRS84."""
    held = catalogue.snapshot()
    pieces = [
        piece for version in versions for grant in version.grants
        if not (piece := shapely.intersection(grant.area.geometry, _extent_of(grant, version, held))).is_empty
    ]
    return shapely.union_all(pieces) if pieces else shapely.Polygon()


def _extent_of(grant: Grant, agreement: Agreement, held: CatalogueSnapshot) -> BaseGeometry:
    extents = [
        edition.extent for layer in held.layers.values() for position, edition in enumerate(layer.editions)
        if _is_granted(grant, agreement, layer, edition.name, is_latest=position == 0)
    ]
    return shapely.union_all(extents) if extents else shapely.Polygon()


def granted_layers(agreement: Agreement, held: CatalogueSnapshot) -> set[str]:
    """Names of the layers of which an agreement grants any edition."""
    return {
        layer.name for grant in agreement.grants for layer in held.layers.values() for position, edition in enumerate(layer.editions)
        if _is_granted(grant, agreement, layer, edition.name, is_latest=position == 0)
    }


def _is_granted(grant: Grant, agreement: Agreement, layer: Layer, edition: str, *, is_latest: bool) -> bool:
    names = {layer.name, f"{layer.name}@{edition}", *((f"{layer.name}@{LATEST}",) if is_latest else ())}
    is_named = bool(names & grant.layers) or (layer.product.value in grant.products and layer.owner == agreement.grantor)
    editions = grant.editions
    return is_named and (editions is None or edition in editions or (is_latest and LATEST in editions))


def outlines_of(catalogue: Catalogue, ground_seen: BaseGeometry) -> list[tuple[str, BaseGeometry]]:
    """Names and outlines of divisions on that ground: of the finest level that has at most 40 there."""
    by_level: dict[str, list[tuple[str, str]]] = {}
    for code, name, level, _ in catalogue.divisions():
        by_level.setdefault(level, []).append((code, name))
    best: list[tuple[str, BaseGeometry]] = []
    shapely.prepare(ground_seen)
    for held in sorted(by_level.values(), key=len):
        if len(held) > 400:
            break
        outlines = []
        for code, name in held:
            try:
                outline = catalogue.division(code).geometry
            except DivisionNotDefined:
                continue
            if ground_seen.intersects(outline):
                outlines.append((name, outline))
        if len(best) < len(outlines) <= MOST_OUTLINES:
            best = outlines
    return best
