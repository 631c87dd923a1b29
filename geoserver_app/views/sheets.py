"""Map sheets for programs: what the standard says of one, which of a layer's sheets a caller may see, and of which a picture is made.

What exists is told from the grants alone: a sheet counts where it shares ground with what is granted, and no file is named.
"""

import flask
import shapely

from agreements.model import Operation
from geoserver_app.downloads import ground_of
from geoserver_app.gate import Asked, Visible
from geoserver_app.routes import governed
from geoserver_app.sheets.granted import GrantedSheet, GrantedSheets, shared_editions, steps_told, superseded, told
from geoserver_app.sheets.lineage import contributions
from geoserver_app.sheets.search import brief, facts, found
from geoserver_app.views.access import caller_of, limits, raw_query
from geoserver_app.wiring import services
from layers.model import Edition
from layers.sheets.shelf import SheetShelf, polygons_within
from tiles.requests import fault, pairs_of
from tiles.requests.sheets import FindSheets, ListSheets, parse_find, parse_lineage, parse_list, sheet_numbers

bp = flask.Blueprint("sheets", __name__)

GEOJSON = "application/geo+json"
DIGITS = 9
"""Of a degree: a tenth of a millimetre."""


# -- the standard, and what of it is here

@bp.get("/sheets")
@governed("DescribeLayer")
def find_sheets():
    """`q`, or `lon` and `lat`, or `division`; `scale` with the last two."""
    visible = services().gate.visible(caller_of("DescribeLayer"))
    return _answered(found(parse_find(pairs_of(raw_query()), limits()), services().catalogue), visible)


@bp.get("/sheets/<number>")
@governed("DescribeLayer")
def sheet(number: str):
    visible = services().gate.visible(caller_of("DescribeLayer"))
    return _answered(found(FindSheets(numbers=sheet_numbers(number)), services().catalogue), visible)


MOST_IN_FULL = 16
"""Sheets of which everything is told that the standard says; of more, where they lie."""


def _answered(numbers, visible: tuple[Visible, ...]) -> flask.Response:
    tell, held = facts if len(numbers) <= MOST_IN_FULL else brief, _held(set(numbers), visible)
    return flask.jsonify(count=len(numbers), sheets=[tell(number) | {"held": held.get(number, [])} for number in numbers])


def _held(numbers: set[str], visible: tuple[Visible, ...]) -> dict[str, list[dict]]:
    """Layers and editions that hold each sheet, of what the caller may see."""
    holdings: dict[str, list[dict]] = {}
    for one in visible:
        for each in granted_sheets().of(one.edition, one.permit.area):
            if each.sheet.number in numbers:
                holdings.setdefault(each.sheet.number, []).append(told(each, one.permit))
    return holdings


# -- the sheets of a layer

@bp.get("/layers/<layer>/sheets")
@governed("DescribeLayer")
def list_sheets(layer: str):
    """GeoJSON; `bbox`, `edition`, `newer_than`, `have`."""
    caller = caller_of("DescribeLayer")
    return _listed(caller, parse_list(layer, pairs_of(raw_query()), limits=limits()))


@bp.post("/layers/<layer>/sheets/newer")
@governed("DescribeLayer")
def newer_sheets(layer: str):
    """The same, with `{"have": {number: checksum}}` in the body: more than fits an address."""
    caller = caller_of("DescribeLayer")
    have = _sent()
    if have is None:
        raise fault("MissingParameterValue", "have", "missing", name="have", mend='send JSON such as {"have": {"I50G095077": "9f86d081"}}')
    return _listed(caller, parse_list(layer, pairs_of(raw_query()), have, limits()))


def _sent() -> dict | None:
    """`have` of the body; None where it is not JSON of that form."""
    try:
        body = flask.request.get_json(silent=True)
    except RecursionError:
        return None
    have = body.get("have") if isinstance(body, dict) else None
    return have if isinstance(have, dict) else None


def _listed(caller, asked: ListSheets) -> flask.Response:
    gate = services().gate
    (permit,) = gate.permits(caller, [Asked(layer=asked.layer, operation=Operation.DESCRIBE_LAYER)])
    _check_is_raster(permit.edition, str(asked.layer))
    shared = [
        (one, granted_sheets().of(one.edition, one.permit.area))
        for one in shared_editions(gate.visible(caller, record=None), asked.layer.layer) if asked.layer.edition in (None, one.edition.name)
    ]
    replaced = superseded([(one.edition, sheets) for one, sheets in shared])
    asks_news = asked.newer_than is not None or asked.have is not None
    features, absent = [], set(asked.have or ())
    for one, sheets in shared:
        for each in sheets:
            newer = replaced.get((one.edition.edition_id, each.sheet.sheet_id))
            absent.discard(each.sheet.number)
            if _is_wanted(each, asked) and not (asks_news and newer):
                features.append(_feature(each, one, newer))
    answer = flask.jsonify(
        type="FeatureCollection", layer=asked.layer.layer, editions=[one.edition.name for one, _ in shared], count=len(features),
        **({"absent": sorted(absent)} if asked.have is not None else {}), credits=sorted({line for one, _ in shared for line in one.permit.credits}),
        features=features,
    )
    answer.content_type = GEOJSON
    return answer


def _is_wanted(one: GrantedSheet, asked: ListSheets) -> bool:
    sheet = one.sheet
    if asked.bounds is not None and polygons_within(shapely.intersection(one.ground, shapely.box(*asked.bounds))).is_empty:
        return False
    if asked.newer_than is not None and sheet.taken_in is not None and sheet.taken_in <= asked.newer_than:
        return False
    if asked.have is None:
        return True
    if sheet.number is None:
        return not any(sheet.checksum.startswith(digest) for digest in asked.loose)
    return sheet.number not in asked.have or not sheet.checksum.startswith(asked.have[sheet.number])


def _feature(one: GrantedSheet, shared: Visible, newer: str | None) -> dict:
    name = one.sheet.number or one.sheet.checksum[:16]
    return {
        "type": "Feature", "id": f"{shared.layer.name}@{shared.edition.name}/{name}", "geometry": _geometry(one.ground),
        "properties": told(one, shared.permit) | {"status": "superseded" if newer else "current", "superseded_by": newer},
    }


def _geometry(ground) -> dict:
    return shapely.geometry.mapping(shapely.transform(ground, lambda points: points.round(DIGITS)))


# -- of which sheets a picture is made

@bp.get("/lineage")
@governed("DescribeLayer")
def lineage():
    """`layer`, and `bbox` with `crs`, or `tile`."""
    caller = caller_of("DescribeLayer")
    asked = parse_lineage(pairs_of(raw_query()), limits())
    ground = ground_of(asked.view)
    (permit,) = services().gate.permits(caller, [Asked(layer=asked.layer, operation=Operation.DESCRIBE_LAYER)])
    edition = permit.edition
    _check_is_raster(edition, str(asked.layer))
    shown = contributions(granted_sheets().of(edition, permit.area), ground)
    return flask.jsonify(
        layer=edition.layer, edition=edition.name, crs=asked.view.crs, bounds=list(asked.view.bounds), credits=list(permit.credits),
        sheets=[told(each.one, permit) | {"steps": steps_told(each.one.sheet), "share": round(each.share, 6)} for each in shown],
    )


def _check_is_raster(edition: Edition, name: str) -> None:
    """Asked only after the gate, so it tells nothing of layers that are not shared. Raises RequestInvalid."""
    if not edition.product.is_raster:
        raise fault("OperationNotSupported", "layer", "no-sheets", value=name)


def granted_sheets() -> GrantedSheets:
    """Of this application, which remembers what it has cut."""
    extensions = flask.current_app.extensions
    if "geoshare-sheets" not in extensions:
        extensions.setdefault("geoshare-sheets", GrantedSheets(SheetShelf(services().catalogue)))
    return extensions["geoshare-sheets"]
