"""An overlay's editions: published from clean files, drawn by other rules, withdrawn. Whatever is done, nothing of it is seen half."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from geoserver_app.ingesting import ingest, remove
from geoserver_app.overlays.faults import Finding, OverlayInvalid
from geoserver_app.wiring import Services
from layers.catalogue import Catalogue
from layers.errors import AboveCeiling, EditionOutpaced, IngestBusy, IngestFailed, LayerNotDefined, LayersError
from layers.model import Classification, Edition, Layer, LayerName, ProductType
from tiles import symbols as drawing_rules
from tiles.symbols import SymbolsInvalid


def published(
    services: Services, *, owner: str, name: str, edition: str, paths: Sequence[Path], title_zh: str, title_en: str, abstract: str = "",
    classification: str = "internal", attribution: str = "", symbols: str | None = None, remote: str | None = None,
) -> Edition:
    """Clean GeoPackages as an edition of an agency's overlay. Rules that are not given are those of its newest edition, where they still fit; `remote`
    is where a snapshot came from.

    Raises
    ------
    OverlayInvalid
        Nothing is published then.
    """
    before = services.catalogue.snapshot().layers.get(name)
    try:
        made = ingest(
            services.settings, product=ProductType.OVERLAY.value, name=name, edition=edition, paths=tuple(paths), owner=owner, title_zh=title_zh or name,
            title_en=title_en or name, abstract=abstract, classification=classification, attribution=attribution, keep_delivered=False, workers=0,
        )
    except IngestFailed as error:
        raise OverlayInvalid.by(Finding.rejected(error.rejected[0])) from None
    except AboveCeiling:
        raise OverlayInvalid("overlay-classification", ceiling=services.settings.ceiling) from None
    except IngestBusy:
        raise OverlayInvalid("overlay-busy") from None
    except LayersError as error:
        raise OverlayInvalid("overlay-rejected", name=name, fault=str(error)[:300], mend="see the data") from None
    rules = fitting(symbols, made) or (fitting(before.editions[0].symbols, made) if before else None)
    return changed(services, name, edition, symbols=rules, remote=remote) if rules or remote else made


def fitting(text: str | None, edition: Edition) -> str | None:
    """The rules, where the edition can be drawn by them."""
    if text is None:
        return None
    try:
        found = drawing_rules.read(text)
        drawing_rules.check(found, edition.classes)
    except SymbolsInvalid:
        return None
    return found.text()


def restyled(services: Services, name: str, edition: str, text: str | None, *, generation: int | None = None) -> Edition:
    """The edition drawn by other rules, or by none of its own.

    Raises
    ------
    OverlayInvalid
        It was changed meanwhile, or since `generation`.
    LayerNotDefined
    """
    return changed(services, name, edition, generation=generation, symbols=text)


def changed(services: Services, name: str, edition: str, *, generation: int | None = None, **changes: object) -> Edition:
    """The edition with other members. Tiles of what it was are gone before the new one counts. Raises as `restyled`."""
    catalogue: Catalogue = services.catalogue
    found = catalogue.snapshot().find(LayerName(name, edition))
    if found is None:
        raise LayerNotDefined(name)
    layer, before = found
    if generation is not None and before.generation != generation:
        raise OverlayInvalid("overlay-busy")
    after = replace(before, **changes)
    if after == before:
        return before
    after = replace(after, generation=before.generation + 1)
    services.engine.expire(after, after.extent)                     # nothing drawn of what it was comes to the disk from here on
    try:
        return catalogue.publish(layer, after, catalogue.sheets(before.edition_id))
    except EditionOutpaced:
        raise OverlayInvalid("overlay-busy") from None


def published_remote(services: Services, layer: Layer, edition: Edition) -> Edition:
    """An edition that has no files: of a service elsewhere."""
    if layer.classification > Classification[services.settings.ceiling.upper().replace("-", "_")]:
        raise OverlayInvalid("overlay-classification", ceiling=services.settings.ceiling)
    try:
        return services.catalogue.publish(layer, edition, ())
    except EditionOutpaced:
        raise OverlayInvalid("overlay-edition-there", edition=f"{layer.name}@{edition.name}") from None


def withdrawn(services: Services, name: str, edition: str) -> None:
    """Out of the catalogue, and so of every answer; then its files and tiles are deleted, and what it was asked with. Raises OverlayInvalid, LayerNotDefined."""
    found = services.catalogue.snapshot().find(LayerName(name, edition))
    if found is not None and found[1].remote is not None and (credential := json.loads(found[1].remote).get("credential")):
        others = [one for layer in services.catalogue.snapshot().layers.values() for one in layer.editions if one.remote and one.edition_id != found[1].edition_id]
        if not any(json.loads(one.remote).get("credential") == credential for one in others):
            services.door.credentials.forget(credential)
    try:
        remove(services.settings, f"{name}@{edition}")
    except IngestBusy:
        raise OverlayInvalid("overlay-busy") from None


def rules_of(text: str, edition: Edition) -> str:
    """Rules that were sent, checked against the tables of the edition, as they are kept. Raises SymbolsInvalid."""
    found = drawing_rules.read(text)
    drawing_rules.check(found, edition.classes)
    return found.text()


def as_rules(text: str | None) -> dict:
    """Rules as they are told."""
    return {"tables": {}} if text is None else json.loads(text)
