"""Finished sheets -> an edition of the catalogue, in one transaction: readers see all of a change or nothing of it."""

import os
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import shapely
from shapely.geometry.base import BaseGeometry

from layers import crs as reference
from layers.catalogue import Catalogue
from layers.feature_classes import FeatureClassTable
from layers.ingest import vectors
from layers.ingest.adding import AddLayer
from layers.ingest.records import Finished, heights_of
from layers.model import Edition, Layer, Mosaic, ProductType, Sheet, View
from layers.mosaic.stacking import Told, build_mosaics


def publish(
    catalogue: Catalogue, request: AddLayer, folder: Path, published: Edition | None, live: Sequence[Sheet], finished: Sequence[Finished],
    config: Path, pool: Executor, told: Told | None = None,
) -> Edition:
    """The edition with what was finished, in place of its like; the same edition where nothing is new."""
    here = {sheet.path: sheet for sheet in live}
    now = datetime.now(UTC).replace(microsecond=0)
    new = [replace(each.sheet, taken_in=now) for each in finished if each.sheet.path not in here]
    said = _told_anew(here, finished)
    layer = _layer(catalogue, request)
    if published and not new and not said and _is_unchanged(catalogue, layer, published, request):
        return published
    names, numbers = {sheet.source_name for sheet in new}, {sheet.number for sheet in new if sheet.number}
    staying = [said.get(sheet.path, sheet) for sheet in live if sheet.source_name not in names and sheet.number not in numbers]
    sheets = _numbered([*staying, *new])
    generation = max(published.generation if published else 0, catalogue.epoch()) + 1
    edition = _edition(_as_it_was(request, published), folder, sheets, generation, config, published.mosaics if published else (), pool, told)
    os.sync()           # names and records of all that is about to be seen
    return catalogue.publish(layer, edition, [sheet if sheet.path in here else replace(sheet, sheet_id=0) for sheet in sheets])


def publish_without(
    catalogue: Catalogue, layer: Layer, published: Edition, folder: Path, staying: Sequence[Sheet], config: Path, pool: Executor,
) -> Edition:
    """The edition with no more than the sheets that stay, else as it was."""
    request = AddLayer(
        product=layer.product, name=layer.name, edition=published.name, paths=(), owner=layer.owner, classification=layer.classification,
        currency=published.currency, nearest=published.nearest, lossless=published.lossless, vertical_datum=published.vertical_datum,
    )
    generation = max(published.generation, catalogue.epoch()) + 1
    edition = _edition(request, folder, list(staying), generation, config, published.mosaics, pool)
    os.sync()
    return catalogue.publish(replace(layer, editions=()), edition, staying)


def _told_anew(here: dict[str, Sheet], finished: Sequence[Finished]) -> dict[str, Sheet]:
    """Sheets that are published, of which this delivery says more: another currency, or the delivered file itself."""
    told = {}
    for each in finished:
        old, new = here.get(each.sheet.path), each.sheet
        if old is None:
            continue
        said = replace(old, currency=new.currency or old.currency, delivered=new.delivered or old.delivered)
        if said != old:
            told[old.path] = said
    return told


def _as_it_was(request: AddLayer, published: Edition | None) -> AddLayer:
    """What the request does not say of the edition stays."""
    if published is None:
        return request
    return replace(
        request, currency=published.currency if request.currency == (None, None) else request.currency,
        vertical_datum=request.vertical_datum or published.vertical_datum,
    )


def _layer(catalogue: Catalogue, request: AddLayer) -> Layer:
    """The layer as it will be: what the request leaves empty stays as it was."""
    known = catalogue.snapshot().layers.get(request.name)
    return Layer(
        name=request.name, product=request.product, owner=request.owner, classification=request.classification, synthetic=request.synthetic,
        title_zh=request.title_zh or (known.title_zh if known else request.name),
        title_en=request.title_en or (known.title_en if known else request.name),
        abstract=request.abstract or (known.abstract if known else ""),
        attribution=request.attribution or (known.attribution if known else ""),
        editions=(),
    )


def _is_unchanged(catalogue: Catalogue, layer: Layer, published: Edition, request: AddLayer) -> bool:
    known = catalogue.snapshot().layers.get(layer.name)
    return (
        known is not None and replace(known, editions=()) == layer and request.currency in ((None, None), published.currency)
        and request.vertical_datum in (None, published.vertical_datum)
    )


def _numbered(sheets: Sequence[Sheet]) -> list[Sheet]:
    """New sheets get the ids that the catalogue would give at the earliest: where sheets overlap, the latest lies on top."""
    last = max((sheet.sheet_id for sheet in sheets), default=0)
    numbered = []
    for sheet in sheets:
        last += not sheet.sheet_id
        numbered.append(sheet if sheet.sheet_id else replace(sheet, sheet_id=last))
    return numbered


def _edition(
    request: AddLayer, folder: Path, sheets: list[Sheet], generation: int, config: Path, previous: Sequence[Mosaic], pool: Executor,
    told: Told | None = None,
) -> Edition:
    plain = Edition(
        edition_id=0, name=request.edition, layer=request.name, product=request.product, currency=request.currency, generation=generation,
        folder=request.folder, crs=sheets[0].crs, extent=_extent(sheets), resolution=None, sheet_count=len(sheets), nearest=request.nearest,
        lossless=request.lossless, vertical_datum=request.vertical_datum,
    )
    if not request.product.is_raster:
        return _with_vectors(plain, folder, sheets, config)
    mosaics = build_mosaics(
        folder, sheets, request.product, nearest=request.nearest, lossless=request.lossless, generation=generation, previous=previous,
        executor=pool, told=told,
    )
    return replace(
        plain, crs=mosaics[0].crs, mosaics=mosaics, resolution=min(ground_resolution(sheet) for sheet in sheets),
        height_range=_height_range(folder, sheets) if request.product is ProductType.DEM else None,
    )


def _with_vectors(plain: Edition, folder: Path, sheets: list[Sheet], config: Path) -> Edition:
    name = sheets[0].path
    if len(sheets) > 1:
        name = f"features-{plain.generation}.gpkg"
        vectors.merge(sheets, folder, plain.crs, folder / name)
    known = FeatureClassTable.load(config / "dlg_classes.csv")
    return replace(plain, vectors=name, classes=vectors.classes_of(folder / name, plain.product, known))


def _extent(sheets: Sequence[Sheet]) -> BaseGeometry:
    """Union of the sheets' footprints, in CRS84."""
    return shapely.union_all([sheet.footprint for sheet in sheets])


def ground_resolution(sheet: Sheet) -> float:
    """Metres on the ground per pixel."""
    return reference.ground_resolution(View(crs=sheet.crs, bounds=sheet.bounds, width=sheet.width, height=sheet.height))


def _height_range(folder: Path, sheets: Sequence[Sheet]) -> tuple[float, float]:
    """From the lowest 2nd to the highest 98th percentile of the sheets, in metres."""
    ranges = [heights for heights in (heights_of(folder, sheet.path) for sheet in sheets) if heights]
    return min(low for low, _ in ranges), max(high for _, high in ranges)
