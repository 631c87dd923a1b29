"""`/api/v1/layers`: what the caller may see, as JSON; built from the grants like every other description."""

import flask

from agreements.model import Operation
from geoserver_app.capabilities import EXTENSIONS, LayerEntry, describe, kvp, tile_format
from geoserver_app.gate import Visible
from geoserver_app.identity import Caller
from geoserver_app.lane import has_vectors
from geoserver_app.messages import CHINESE, ENGLISH, style_title
from geoserver_app.routes import governed
from geoserver_app.views.access import caller_of, language
from geoserver_app.wiring import services
from layers.crs import is_north_first
from layers.features import NEVER_TOLD
from layers.model import ENCODINGS, VECTOR_TILE, Bounds
from tiles.grids import TILE_MATRIX_SETS

bp = flask.Blueprint("catalogue", __name__)


@bp.get("/api/v1/layers")
@governed("DescribeLayer")
def layers():
    caller = caller_of("DescribeLayer")
    visible = services().gate.visible(caller)
    entries = describe(visible, language(), caller.address)
    return flask.jsonify(
        agency={"id": caller.agency.agency_id, "name_zh": caller.agency.name_zh, "name_en": caller.agency.name_en},
        addresses={
            "wms": kvp(caller.address("/ows")), "wmts": caller.address("/wmts/1.0.0/WMTSCapabilities.xml"), "wcs": kvp(caller.address("/wcs")),
        },
        tile_matrix_sets={tms.id: {"crs": tms.crs, "title": tms.title} for tms in TILE_MATRIX_SETS.values()},
        layers=[_described(one, entry, caller) for one, entry in zip(visible, entries, strict=True)],
    )


def _described(one: Visible, entry: LayerEntry, caller: Caller) -> dict:
    layer, edition = one.layer, one.edition
    start, end = edition.currency
    attributes = _attributes(one)
    return {
        "name": entry.name, "layer": layer.name, "title": {CHINESE: layer.title_zh, ENGLISH: layer.title_en}, "abstract": entry.abstract,
        "product": entry.product, "edition": edition.name, "currency": [start and start.isoformat(), end and end.isoformat()],
        "classification": layer.classification.name.lower(), "synthetic": layer.synthetic, "credit": entry.credit,
        "bounds": list(entry.bounds), "crs": [_crs(crs, bounds) for crs, bounds in entry.crs_bounds],
        "operations": sorted(entry.operations), "formats": list(entry.formats),
        "styles": [
            {"name": s.name, "title": {t: style_title(s.name, t) for t in (CHINESE, ENGLISH)}, "default": s.is_default, "legend": s.legend}
            for s in entry.styles
        ],
        "scale": {"min_denominator": entry.finest, "max_denominator": entry.coarsest},
        "tile_matrix_sets": [{"id": t.tms.id, "crs": t.tms.crs, "min_zoom": t.min_zoom, "max_zoom": t.max_zoom} for t in entry.tile_sets],
        "resolution_m": _finest(one), "attributes": attributes,
        "classes": {c.name: {CHINESE: c.title_zh, ENGLISH: c.title_en} for c in edition.classes if c.name in attributes},
        "addresses": _addresses(entry, caller) | _of_vectors(one, entry, caller),
    }


def _finest(one: Visible) -> float | None:
    """Metres on the ground of the pixels or cells that are granted; the finest where several are."""
    resolution = one.edition.resolution
    return None if resolution is None else min(part.variant.degrade or resolution for part in one.permit.parts)


def _crs(crs: str, bounds: Bounds) -> dict:
    return {"name": crs, "bounds": list(bounds), "north_first_in_wms_1_3_0": is_north_first(crs)}


def _attributes(one: Visible) -> dict[str, list[str]]:
    """Names of the attributes that some piece of the grant tells, by class; never a value, never the name of a hidden one or a secret class."""
    told = {
        c.name: [name for name in c.fields if any(piece.tells(c.name, name) for piece in one.permit.pieces)]
        for c in one.edition.classes if c.kind not in NEVER_TOLD
    }
    return {name: fields for name, fields in told.items() if fields}


def _of_elevation(entry: LayerEntry, caller: Caller) -> dict:
    """Where heights are told as numbers: of places, along lines, and as tiles for terrain."""
    found: dict = {}
    if Operation.GET_FEATURE_INFO in entry.operations:
        found["height"] = kvp(caller.address("/height", layer=entry.name))
    if Operation.GET_COVERAGE in entry.operations:
        found["profile"] = kvp(caller.address("/profile", layer=entry.name))
        found["terrain"] = {style: caller.address(f"/tiles/{entry.name}.json", style=style) for style in ENCODINGS}
    return found


def _of_vectors(one: Visible, entry: LayerEntry, caller: Caller) -> dict:
    """Where vector tiles begin, and the style that draws them as the pictures are drawn."""
    is_told = Operation.GET_FEATURE in entry.operations and (one.formats is None or VECTOR_TILE in one.formats)
    if not is_told or not has_vectors(one.edition):
        return {}
    return {
        "vector_tiles": caller.address(f"/tiles/{entry.name}/vector.json"), "vector_style": caller.address(f"/styles/{entry.name}.json"),
    }


def _addresses(entry: LayerEntry, caller: Caller) -> dict:
    addresses: dict = {"wms": kvp(caller.address("/ows")), "wmts": caller.address("/wmts/1.0.0/WMTSCapabilities.xml")}
    extension = EXTENSIONS[tile_format(entry)]
    addresses["tiles"] = {
        link.tms.id: caller.address(f"/tiles/{entry.name}/{link.tms.id}/{{z}}/{{x}}/{{y}}.{extension}") for link in entry.tile_sets
    }
    addresses["tilejson"] = {link.tms.id: caller.address(f"/tiles/{entry.name}/{link.tms.id}.json") for link in entry.tile_sets}
    if Operation.DOWNLOAD in entry.operations:
        addresses["download"] = kvp(caller.address(f"/download/{entry.name}.zip"))
    if entry.product == "DEM":
        addresses |= _of_elevation(entry, caller)
    addresses["legend"] = {style.name: style.legend for style in entry.styles}
    return addresses
