"""Live layers as the catalogue knows them: made, found and taken away."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import shapely

from layers.catalogue import Catalogue
from layers.crs import densify, transform_geometry
from layers.live import LivePlan, create_table, describe_table, expire
from layers.model import CatalogueSnapshot, Classification, Edition, FeatureClass, Layer, ProductType, Source

EDITION = "live"
"""A live layer has one edition, and it is called so."""

FILE = "live.gpkg"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLayer:
    """What is said of a live layer when it is made. `symbols` is the JSON text of its rules of drawing (tiles.symbols)."""

    name: str
    owner: str
    title_zh: str
    title_en: str
    abstract: str = ""
    classification: Classification = Classification.INTERNAL
    attribution: str = ""
    symbols: str | None = None
    synthetic: bool = False


def make(catalogue: Catalogue, store: Path, layer: LiveLayer, plan: LivePlan) -> Edition:
    """A new live layer, with nothing in it.

    Raises
    ------
    FileExistsError
        There is one of that name, or there was, and it is not cleared away yet.
    """
    if layer.name in catalogue.snapshot().layers:
        raise FileExistsError(layer.name)
    folder = f"{layer.name}/{EDITION}-{datetime.now(UTC):%Y%m%d%H%M%S%f}"
    create_table(store / folder / FILE, plan)
    edition = Edition(
        edition_id=0, name=EDITION, layer=layer.name, product=ProductType.OVERLAY, currency=(None, None), generation=catalogue.epoch() + 1, folder=folder,
        crs=plan.crs, extent=transform_geometry(densify(shapely.box(*plan.bounds), plan.crs), plan.crs, "CRS:84"), resolution=None, vectors=FILE,
        classes=(table_of(plan, layer),), source=Source.LIVE, symbols=layer.symbols,
    )
    return catalogue.publish(Layer(
        name=layer.name, title_zh=layer.title_zh, title_en=layer.title_en, abstract=layer.abstract, product=ProductType.OVERLAY, owner=layer.owner,
        classification=layer.classification, attribution=layer.attribution, editions=(), synthetic=layer.synthetic,
    ), edition, ())


def table_of(plan: LivePlan, layer: LiveLayer) -> FeatureClass:
    return FeatureClass(
        name=plan.table, kind="", title_zh=layer.title_zh, title_en=layer.title_en, geometry="point", fields=plan.names, count=0, bounds=plan.bounds,
    )


def drop(catalogue: Catalogue, store: Path, name: str) -> None:
    """Takes a live layer out of the catalogue, then its file. Raises LayerNotDefined."""
    for edition in catalogue.withdraw(name):
        shutil.rmtree(store / edition.folder, ignore_errors=True)


def plan_of(store: Path, edition: Edition) -> LivePlan:
    """What the table of a live edition is. Raises FeaturesUnavailable."""
    return _plan(store / edition.folder / edition.vectors, edition.classes[0].name)


@lru_cache(maxsize=1024)
def _plan(path: Path, table: str) -> LivePlan:
    return describe_table(path, table)


def path_of(store: Path, edition: Edition) -> Path:
    return store / edition.folder / edition.vectors


def sweep(catalogue: CatalogueSnapshot, store: Path, now: datetime) -> int:
    """Takes what was not heard of for too long out of every live table; returns how many things."""
    gone = 0
    for layer in catalogue.layers.values():
        for edition in layer.editions:
            if edition.source is Source.LIVE:
                gone += expire(path_of(store, edition), plan_of(store, edition), now=now)
    return gone
