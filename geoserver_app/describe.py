"""What is known of a layer, of a file before it becomes one, and of an agreement as it stands: for people at the bureau."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from agreements.model import Agreement, State, Suspension
from geoserver_app.settings import CLASSIFICATIONS
from layers.catalogue import Catalogue
from layers.delivery import formats
from layers.errors import LayerNotDefined
from layers.info import raster_info, vector_info
from layers.model import Edition, Layer, LayerName, Sheet


def describe_layer(catalogue: Catalogue, name: str) -> dict:
    """The layer with its editions, or the one edition that `name` tells, each with its sheets or classes and their lineage.

    Raises
    ------
    LayerNotDefined
        Nothing of that name.
    """
    wanted = LayerName.parse(name)
    found = catalogue.snapshot().find(wanted)
    if found is None:
        raise LayerNotDefined(name)
    layer, edition = found
    editions = (edition,) if wanted.edition else layer.editions
    return {
        "name": layer.name, "title": {"zh": layer.title_zh, "en": layer.title_en}, "abstract": layer.abstract, "product": layer.product.value,
        "owner": layer.owner, "classification": secrecy(layer), "attribution": layer.attribution,
        "editions": [_edition(catalogue, one) for one in editions],
    }


def describe_file(path: Path) -> dict:
    """What a file says of itself, as gdalinfo or ogrinfo would tell it. Raises LayerRejected where it is none that is taken."""
    return asdict(raster_info(path) if path.suffix.lower() in formats.SUFFIXES else vector_info(path))


def secrecy(layer: Layer) -> str:
    """A layer's classification by the word that settings and commands use."""
    return CLASSIFICATIONS[layer.classification]


def standing_of(agreement: Agreement, at: datetime) -> tuple[str, str]:
    """How an agreement stands at a moment: its state in a word, and what of it is suspended until when ("" if nothing).

    The state of the document stays what it is while the agreement is suspended, outlived or replaced; people ask what counts.
    """
    stopped = [one for one in agreement.suspensions if one.since <= at and (one.until is None or at < one.until)]
    whole = any(one.layers is None and one.area is None for one in stopped)
    return _state(agreement, at, "suspended" if whole else "partly suspended" if stopped else ""), "; ".join(_stop(one) for one in stopped)


def _state(agreement: Agreement, at: datetime, suspended: str) -> str:
    if agreement.state is not State.ACTIVE:
        return agreement.state.value
    if agreement.replaced is not None and agreement.replaced <= at:
        return "replaced"
    if agreement.term.end is not None and agreement.term.end <= at:
        return "expired"
    if agreement.term.start is not None and at < agreement.term.start:
        return "not yet begun"
    return suspended or "active"


def _stop(suspension: Suspension) -> str:
    layers = "all layers" if suspension.layers is None else ", ".join(sorted(suspension.layers))
    place = f" in {suspension.area.title}" if suspension.area else ""
    until = f" until {suspension.until:%Y-%m-%d %H:%M}" if suspension.until else ""
    return f"{layers}{place}{until}: {suspension.reason}"


def _edition(catalogue: Catalogue, edition: Edition) -> dict:
    return {
        "name": edition.name, "currency": [str(d) if d else None for d in edition.currency], "generation": edition.generation, "crs": edition.crs,
        "bounds": [round(v, 7) for v in edition.extent.bounds], "resolution_m": edition.resolution, "heights_m": edition.height_range,
        "sheets": [_sheet(sheet) for sheet in catalogue.sheets(edition.edition_id)],
        "classes": [
            {"name": c.name, "kind": c.kind, "title": c.title_zh, "geometry": c.geometry, "features": c.count, "fields": c.fields} for c in edition.classes
        ],
    }


def _sheet(sheet: Sheet) -> dict:
    return {
        "number": sheet.number, "file": sheet.source_name, "sha256": sheet.checksum, "crs": sheet.crs, "bounds": sheet.bounds,
        "size": [sheet.width, sheet.height], "resolution": sheet.resolution, "bands": sheet.band_count, "type": sheet.dtype, "nodata": sheet.nodata,
        "lineage": sheet.lineage,
    }
