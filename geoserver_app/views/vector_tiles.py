"""What leads to vector tiles: TileJSON, the style, and the letters and symbols that it is written with. The tiles themselves: `views.tiles`."""

import re

import flask

from agreements.model import Operation
from geoserver_app.capabilities import LayerEntry, describe
from geoserver_app.gate import Asked, Visible
from geoserver_app.lane import has_vectors
from geoserver_app.routes import governed, public
from geoserver_app.vector_documents import SPRITE, style_json, vector_json, vector_sets
from geoserver_app.views.access import caller_of, language, limits, raw_query
from geoserver_app.wiring import services
from layers.model import STYLES, VECTOR_TILE
from tiles.glyphs import MOST, RANGE, font_files, glyph_range
from tiles.permits import Permit
from tiles.requests import fault, layer_name, pairs_of, parse_tile_json_style, tile_matrix_set
from tiles.sprites import RATIOS, sprite

bp = flask.Blueprint("vector_tiles", __name__)

DEFAULT_MATRIX_SET = "WebMercatorQuad"
GLYPHS = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")
SYMBOLS = re.compile(rf"{SPRITE}(?:@([0-9])x)?\.(png|json)")
OPEN = {"Cache-Control": "public, max-age=86400", "Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}


@bp.get("/tiles/<layer>/vector.json")
@bp.get("/tiles/<layer>/<tms>/vector.json")
@governed("GetFeature")
def tile_json_of_vectors(layer: str, tms: str = DEFAULT_MATRIX_SET):
    """TileJSON for who may have vector tiles of the layer in that set; everybody else is refused as for a tile."""
    caller, matrix_set = caller_of("TileJSON"), tile_matrix_set(tms)
    _no_style()
    permit, one, entry = _offered(caller, layer, matrix_set.crs)
    links = vector_sets(one)
    link = next((found for found in links if found.tms.id == matrix_set.id), None)
    if link is None:
        raise fault("InvalidParameterValue", "TileMatrixSet", "not-offered", value=tms, choices=", ".join(found.tms.id for found in links))
    return flask.jsonify(vector_json(entry, link, permit, services().tiles.shelf.maker, language(), caller.address))


@bp.get("/styles/<layer>.json")
@governed("GetFeature")
def style(layer: str):
    """The style of MapLibre that looks like the pictures in the style asked, the first of the product's where none is."""
    caller = caller_of("Style")
    asked = parse_tile_json_style(pairs_of(raw_query()), limits())
    permit, _, entry = _offered(caller, layer, tile_matrix_set(DEFAULT_MATRIX_SET).crs)
    offered = STYLES[permit.edition.product]
    if asked is not None and asked not in offered:
        raise fault("StyleNotDefined", "style", "not-offered", value=asked, choices=", ".join(offered))
    document = style_json(
        entry, permit, services().tiles.shelf.maker, caller.address, services().settings.public_base_url, style=asked or offered[0],
    )
    return flask.jsonify(document)


def _no_style() -> None:
    if (asked := parse_tile_json_style(pairs_of(raw_query()), limits())) is not None:
        raise fault("StyleNotDefined", "style", "not-offered", value=asked, choices="default")


def _offered(caller, layer: str, crs: str) -> tuple[Permit, Visible, LayerEntry]:
    """The permit for vector tiles, and the layer as the grants of features describe it."""
    gate, name = services().gate, layer_name(layer, "Layer")
    (permit,) = gate.permits(caller, [Asked(layer=name, operation=Operation.GET_TILE, format=VECTOR_TILE, crs=crs)])
    if not has_vectors(permit.edition):
        raise fault("InvalidFormat", "FORMAT", "not-offered", value=VECTOR_TILE, choices="image/png, image/jpeg, image/webp")
    for one in gate.open_for(caller, Operation.GET_FEATURE):
        if one.edition.edition_id == permit.edition.edition_id:
            (entry,) = describe([one], language(), caller.address)
            return permit, one, entry
    flask.abort(404)


@bp.get("/glyphs/<stack>/<name>.pbf")
@public("letters of the fonts of the line map, which are free")
def glyphs(stack: str, name: str):
    """Glyphs of one range of code points in the first font of the stack that there is."""
    font, match = next((one for one in stack.split(",") if one in font_files()), None), GLYPHS.fullmatch(name)
    if font is None or match is None or int(match[1]) % RANGE or int(match[2]) != int(match[1]) + RANGE - 1 or int(match[2]) > MOST:
        flask.abort(404)
    return flask.Response(_kept_glyphs(font, int(match[1])), content_type="application/x-protobuf", headers=OPEN)


def _kept_glyphs(font: str, start: int) -> bytes:
    """Drawn once for all workers: a screen of Chinese names wants some dozens of ranges."""
    path = services().settings.cache / "glyphs" / font.replace(" ", "-") / f"{start}.pbf"
    try:
        return path.read_bytes()
    except OSError:
        drawn = glyph_range(font, start)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{id(drawn)}")
        unfinished.write_bytes(drawn)
        unfinished.replace(path)
    except OSError:
        pass                                        # it is drawn again the next time
    return drawn


@bp.get("/sprites/<name>")
@public("symbols of the line map, which are no data")
def symbols(name: str):
    """The image of all symbols, or its index."""
    match = SYMBOLS.fullmatch(name)
    ratio = int(match[1] or 1) if match else 0
    if ratio not in RATIOS:
        flask.abort(404)
    found = sprite(services().settings.config.absolute() / "styles" / "symbols", ratio)
    if match[2] == "json":
        return flask.Response(found.index, content_type="application/json", headers=OPEN)
    return flask.Response(found.png, content_type="image/png", headers=OPEN)
