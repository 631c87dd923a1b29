"""What the grantee would see on the ground if a version were in force now: the very decision of the gate, over a register in which it is."""

import json
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import flask
import shapely
from pydantic import Field
from shapely.geometry.base import BaseGeometry

from agreements.model import Agreement, Effect, Operation, Piece, RegisterSnapshot, State
from agreements.terms import sentence
from geoserver_app.api.areas import geojson
from geoserver_app.api.operation import STAFF
from geoserver_app.api.reading import Sent
from geoserver_app.console.agreement_pages import found
from geoserver_app.console.clauses import OPERATIONS
from geoserver_app.console.frame import Frame, asked, page
from geoserver_app.console.register_pages import agency_names
from geoserver_app.console.stopping import layer_choices
from geoserver_app.explaining import explain
from geoserver_app.purposes import load_purposes
from layers.crs import geodesic_km2
from layers.errors import LayerNotDefined
from layers.model import LayerName

HIDDEN = 1 / 4000


class Supposing(Sent):
    layer: Annotated[str, Field(max_length=200)] = ""
    operation: Literal["GetMap", "GetTile", "GetFeatureInfo", "GetFeature", "GetCoverage", "Download"] = "GetMap"
    scale: Annotated[float | None, Field(gt=0)] = None
    purpose: Annotated[str, Field(max_length=100)] = ""
    app: Annotated[str, Field(max_length=100)] = ""
    address: Annotated[str, Field(max_length=50)] = ""
    alone: bool = False


@page("console.preview", "/agreements/<path:agreement>/<int:version>/preview", roles=STAFF)
def preview(frame: Frame, agreement: str, version: int) -> flask.Response:
    one, _ = found(frame, agreement, version)
    query, layers = asked(Supposing), layer_choices(frame, one)
    layer = query.layer or (layers[0] if layers else "")
    seen = _seen(frame, one, layer, query) if layer else None
    return frame.shown(
        "preview.html", one=one, query=query, layer=layer, layers=layers, seen=seen, grantee=agency_names(frame).get(one.grantee, one.grantee),
        operations=[(operation.value, frame.say(*words)) for operation, words in OPERATIONS.items()],
        purposes=[(code, frame.say(purpose.zh, purpose.en)) for code, purpose in load_purposes(frame.visit.services.settings.config).items()],
        apps=sorted({name for grant in one.grants for name in grant.apps or ()}),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """`shapes` are GeoJSON features of the pieces, for the map; `km2` of what is seen, and of the layer altogether."""

    effect: Effect
    km2: float
    whole_km2: float
    pieces: list[tuple[Piece, float]]
    reasons: list[tuple[str, str | None, str | None]]
    shapes: str


def _seen(frame: Frame, one: Agreement, layer: str, query: Supposing) -> Seen | None:
    """None where there is no such layer."""
    services, at = frame.visit.services, max([frame.at, *([one.term.start] if one.term.start else [])])
    try:
        told = explain(
            services.catalogue, Supposed(services.register.snapshot(), one, is_alone=query.alone), agency=one.grantee, layer=layer,
            operation=Operation(query.operation), scale=query.scale, app=query.app, purpose=query.purpose, address=query.address, at=at,
            language=frame.language, names_written=services.engine.names_written,
        )
        extent = services.catalogue.snapshot().find(LayerName.parse(layer))[1].extent
    except (LayerNotDefined, ValueError):
        return None
    pieces = [(piece, shapely.intersection(piece.area.geometry, extent)) for piece in told.decision.pieces]
    seen = shapely.union_all([shape for _, shape in pieces])
    return Seen(
        effect=told.effect, km2=geodesic_km2(seen), whole_km2=geodesic_km2(extent),
        pieces=[(piece, geodesic_km2(shape)) for piece, shape in pieces if not shape.is_empty],
        reasons=[(sentence(reason, frame.language), reason.agreement_id, reason.clause) for reason in told.decision.reasons],
        shapes=_collection([("extent", "", extent), *(("piece", piece.clause or "", shape) for piece, shape in pieces)]),
    )


def _collection(shapes: list[tuple[str, str, BaseGeometry]]) -> str:
    whole = shapely.total_bounds([shape for _, _, shape in shapes])
    by = max((whole[3] - whole[1]) * HIDDEN, 1e-7)
    return json.dumps({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"kind": kind, "clause": clause}, "geometry": geojson(shapely.simplify(shape, by))}
        for kind, clause, shape in shapes if not shape.is_empty
    ]})


class Supposed:
    """The register as it would be with a version in force in the place of the others of its agreement; `is_alone`, without all other agreements
    of the grantee."""

    def __init__(self, held: RegisterSnapshot, one: Agreement, *, is_alone: bool):
        above = held.agreements.get(one.grantor, ()) if one.parent is not None else ()
        others = [other for other in held.agreements.get(one.grantee, ()) if other.agreement_id != one.agreement_id]
        if is_alone:
            others = [other for other in others if other.grantee != one.grantee]
        deciding = tuple({(a.agreement_id, a.version): a for a in (*others, *above, replace(one, state=State.ACTIVE, replaced=None))}.values())
        networks = frozenset(block for agreement in deciding for grant in agreement.grants for block in grant.networks or ())
        self._held = replace(
            held, agreements={**held.agreements, one.grantee: deciding}, networks={**held.networks, one.grantee: networks},
        )

    def snapshot(self) -> RegisterSnapshot:
        return self._held

    def as_of(self, _moment=None, *, epoch: int | None = None) -> RegisterSnapshot:
        return self._held
