"""The layers that an agency may see something of, with the clauses that say what: the gate's own decision, whichever of its keys asks."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import shapely
from markupsafe import Markup
from shapely.geometry.base import BaseGeometry

from agreements.model import Agency, Area, Grant, Operation, Piece
from geoserver_app.area_drawings import drawings
from geoserver_app.capabilities import LayerEntry, describe
from geoserver_app.console.agreement_pages import names_of
from geoserver_app.console.clauses import OPERATIONS, restrictions
from geoserver_app.console.portal import PortalFrame
from geoserver_app.gate import Asked, Standing, Visible
from geoserver_app.identity import Caller, Carriage, Presented, counts
from layers.crs import geodesic_km2
from layers.model import LayerName


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPiece:
    """A clause, and where it holds now: what is suspended is not in `ground` (CRS84). No clause where the layer is the agency's own."""

    agreement_id: str | None
    version: int | None
    clause: str | None
    ground: BaseGeometry
    km2: float
    rules: Sequence[tuple[str, str]]
    attributes: frozenset[str] | None
    degrade: float | None
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLayer:
    """A layer in one edition; `entry` describes it as capabilities do, `ground` (CRS84) is where some key of the agency may see some of it."""

    entry: LayerEntry
    edition: str
    km2: float
    ground: BaseGeometry
    pieces: Sequence[OwnPiece]
    operations: Sequence[str]

    @property
    def name(self) -> str:
        return self.entry.name


def own_layers(frame: PortalFrame) -> list[OwnLayer]:
    """In the order of the catalogue, the newest edition first. Raises NotTrusted."""
    gate = frame.visit.services.gate
    standing, found = gate.standing(), {}
    for caller in callers_of(frame):
        for one in gate.visible(caller, record=None):
            found.setdefault((one.layer.name, one.edition.name), []).append((caller, one))
    layers, before = [], ""
    for sightings in found.values():
        _, best = max(sightings, key=lambda sighting: (len(sighting[1].operations), sighting[1].extent.area))
        name = best.layer.name
        editions = sum(layer == name for layer, _ in found)
        best = replace(best, is_latest=name != before, is_only=editions == 1)
        before = name
        layers.append(_layer(frame, standing, best, sightings))
    return layers


def callers_of(frame: PortalFrame) -> list[Caller]:
    """The agency with each of the applications and purposes that its keys are for, from wherever agreements let it ask. No key is presented."""
    standing, at = frame.visit.services.gate.standing(), frame.visit.at
    held = standing.register
    keys = [key for key in held.keys.values() if key.agency_id == frame.agency and counts(key, at)]
    agency = held.agencies.get(frame.agency) or Agency(agency_id=frame.agency, name_zh="", name_en="")
    return [
        Caller(
            agency=agency, key_id="", base_url=frame.visit.services.settings.public_base_url, app=app, purpose=purpose,
            presented=Presented(secret="", carriage=Carriage.HEADER), networks=held.networks.get(frame.agency, frozenset()),
        ) for app, purpose in sorted({("", ""), *((key.app, key.purpose) for key in keys)})
    ]


def _layer(frame: PortalFrame, standing: Standing, one: Visible, sightings: Sequence[tuple[Caller, Visible]]) -> OwnLayer:
    caller, ground = sightings[0][0], shapely.union_all([seen.extent for _, seen in sightings])
    operations = frozenset().union(*(seen.operations for _, seen in sightings))
    entry = describe([replace(one, operations=operations, extent=ground)], frame.language, caller.address)[0]
    return OwnLayer(
        entry=entry, edition=one.edition.name, ground=ground, km2=geodesic_km2(ground), pieces=tuple(_pieces(frame, standing, one, [who for who, _ in sightings])),
        operations=[frame.say(*words) for operation, words in OPERATIONS.items() if operation in operations],
    )


def _pieces(frame: PortalFrame, standing: Standing, one: Visible, callers: Sequence[Caller]) -> Iterator[OwnPiece]:
    """Each clause once, whichever caller it holds for."""
    name, seen = LayerName(one.layer.name, one.edition.name), set()
    for caller in callers:
        ruling = frame.visit.services.gate.decide(standing, caller, Asked(layer=name, operation=Operation.DESCRIBE_LAYER), frame.visit.at)
        if not ruling.decision.pieces and ("own",) not in seen:
            seen.add(("own",))
            yield OwnPiece(
                agreement_id=None, version=None, clause=None, ground=one.edition.extent, km2=geodesic_km2(one.edition.extent), rules=(), attributes=None,
                degrade=None, mark="",
            )
        for piece in ruling.decision.pieces:
            if (place := (piece.agreement_id, piece.version, piece.clause)) not in seen:
                seen.add(place)
                if not (ground := shapely.intersection(piece.area.geometry, one.edition.extent)).is_empty:
                    yield _piece(frame, piece, ground)


def _piece(frame: PortalFrame, piece: Piece, ground: BaseGeometry) -> OwnPiece:
    names, rules = names_of(frame), []
    for grant in piece.grants[:1]:
        rules += restrictions(_as_it_counts(grant, piece), frame.language, frame.say, names)
    return OwnPiece(
        agreement_id=piece.agreement_id, version=piece.version, clause=piece.clause, ground=ground, km2=geodesic_km2(ground), rules=rules,
        attributes=piece.attributes, degrade=piece.degrade, mark=piece.mark.text if piece.mark else "",
    )


def _as_it_counts(grant: Grant, piece: Piece) -> Grant:
    """With what agreements above it leave of the clause."""
    return replace(grant, attributes=piece.attributes, rows=piece.rows, degrade=piece.degrade)


# -- pictures

def picture_of(frame: PortalFrame, layer: OwnLayer) -> Markup:
    """The ground of a layer over the outlines of divisions. No pixel of the layer itself: to look at it is to ask for it, with a key."""
    digest = hashlib.sha256(shapely.to_wkb(layer.ground)).hexdigest()
    label = frame.say(f"{layer.entry.title}：可以看到的范围", f"{layer.entry.title}: the ground that may be seen")
    return Markup(drawings().of_area(Area(geometry=layer.ground, digest=digest, title=layer.name), label))


