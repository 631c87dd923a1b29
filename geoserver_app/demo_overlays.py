"""What agencies of the demo lay over its base maps: overlays from files and live layers, each owned by its agency and drawn by its own rules."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from geoserver_app.ingesting import classified, ingest
from geoserver_app.live.tables import LiveLayer, make
from geoserver_app.settings import Settings
from layers.catalogue import Catalogue
from layers.features.store import FieldType
from layers.live import LiveField, LivePlan
from layers.model import Bounds, Edition, LayerName, ProductType
from tiles import symbols

SYNTHETIC_ABSTRACT = "合成样例数据，不是任何地方的真实情况 / Synthetic data that shows nothing real"


def missing_overlays(catalogue: Catalogue, wanted: Iterable[Mapping]) -> list[Mapping]:
    known = catalogue.snapshot()
    return [one for one in wanted if known.find(LayerName(one["name"], one["edition"])) is None]


def add_overlay(settings: Settings, catalogue: Catalogue, paths: tuple[Path, ...], wanted: Mapping, console: Console) -> Edition:
    """An overlay of `wanted` (demo.yaml, `overlays`) from clean files. Raises LayersError, SymbolsInvalid."""
    options = {key: value for key, value in wanted.items() if key not in ("files", "symbols")}
    edition = ingest(
        settings, paths=paths, console=console, product=ProductType.OVERLAY.value, classification="internal", abstract=SYNTHETIC_ABSTRACT, synthetic=True, **options,
    )
    rules = symbols.read(json.dumps(wanted["symbols"]))
    symbols.check(rules, edition.classes)
    layer, edition = catalogue.snapshot().find(LayerName(wanted["name"], wanted["edition"]))
    return catalogue.publish(layer, replace(edition, symbols=rules.text(), generation=edition.generation + 1), catalogue.sheets(edition.edition_id))


def add_live_layer(settings: Settings, catalogue: Catalogue, wanted: Mapping) -> Edition | None:
    """A live layer of `wanted` (demo.yaml, `live`), with nothing in it; None where it is there. Raises SymbolsInvalid."""
    if wanted["name"] in catalogue.snapshot().layers:
        return None
    fields = tuple(LiveField(name=name, kind=FieldType(kind)) for name, kind in wanted["fields"].items())
    plan = LivePlan(table=wanted["table"], fields=fields, crs=wanted["crs"], bounds=Bounds(*map(float, wanted["bounds"])), expiry=wanted["expiry_seconds"])
    return make(catalogue, settings.store, LiveLayer(
        name=wanted["name"], owner=wanted["owner"], title_zh=wanted["title_zh"], title_en=wanted["title_en"], abstract=SYNTHETIC_ABSTRACT,
        attribution=wanted["attribution"], symbols=symbols.read(json.dumps(wanted["symbols"])).text(), synthetic=True, classification=classified("internal"),
    ), plan)
