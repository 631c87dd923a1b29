"""What is known of a layer, for people at the bureau: `geoshare layer info`."""

from layers.catalogue import Catalogue
from layers.errors import LayerNotDefined
from layers.model import Edition, LayerName, Sheet


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
        "owner": layer.owner, "classification": layer.classification.name.lower(), "attribution": layer.attribution,
        "editions": [_edition(catalogue, one) for one in editions],
    }


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
