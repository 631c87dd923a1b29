"""`/boundaries`: divisions that were bounded anew, and the agreements that name them; and the decision that an old boundary stays."""

from typing import Annotated, Any

from pydantic import Field

from agreements.life.lifecycle import MOVES, Action
from geoserver_app.api.areas import geojson
from geoserver_app.api.differences import Form
from geoserver_app.api.faults import NothingThere
from geoserver_app.api.operation import JSON, STAFF, Answer, Visit, operation
from geoserver_app.api.reading import Sent, Told
from geoserver_app.area_picture import picture
from geoserver_app.boundaries import BoundaryChange, boundary_changes, keeping, outlines, told
from geoserver_app.people.accounts import PEOPLES_ROLES


class DivisionNamed(Told):
    code: str
    name: str


class BoundaryTold(Told):
    """What the newer boundary of one division would change of one agreement. Nothing changes by itself."""

    agreement: str
    version: int
    clauses: list[str]
    code: str
    name: str
    vintage: str
    newer: str
    is_gone: bool
    successors: list[DivisionNamed]
    gained_km2: float
    lost_km2: float
    sentence: str
    gained: dict[str, Any] | None = None
    lost: dict[str, Any] | None = None


class Boundaries(Told):
    items: list[BoundaryTold]


class KeepSent(Sent):
    comment: Annotated[str, Field(min_length=1, max_length=2000, description="Why; it stays in the history of the agreement.")]


class BoundaryKept(Told):
    agreement: str
    version: int
    code: str
    vintage: str
    instead_of: str


@operation(
    "boundaries.list", "GET /boundaries", "界线已更新、尚待处理的协议", "Agreements that name a division with a newer boundary, and what each would gain and lose",
    roles=STAFF, answer=Boundaries,
)
def list_boundaries(visit: Visit) -> dict:
    found = boundary_changes(visit.services.catalogue, visit.services.register, visit.at)
    return {"items": [_told(visit, change) for change in found]}


@operation(
    "boundaries.get", "GET /boundaries/{agreement}/{code}", "一条界线更新带来的增减（数值、图形或示意图）", "One of them, in figures, shapes or as a picture", roles=STAFF,
    query=Form, answer=BoundaryTold, media_types=(JSON, "image/svg+xml"),
)
def get_boundary(visit: Visit, agreement: str, code: str, query: Form) -> Answer:
    change = _waiting(visit, agreement, code)
    name = f"{agreement}/{code}"
    if query.form == "json":
        return Answer(content=_told(visit, change, query.shapes), object_id=name)
    drawn = picture(
        change.gained, change.lost, change.unchanged, outlines(visit.services.catalogue, change), language=visit.language,
        title=told(change, visit.language),
    )
    return Answer(content=drawn, media_type="image/svg+xml", object_id=name)


@operation(
    "boundaries.keep", "POST /boundaries/{agreement}/{code}/kept", "决定维持原界线并写入协议历史", "Decide that an agreement keeps the old boundary of a division",
    roles=MOVES[Action.KEEP_BOUNDARY].roles & PEOPLES_ROLES, body=KeepSent, answer=BoundaryKept, refusals=(409,),
)
def keep_boundary(visit: Visit, agreement: str, code: str, body: KeepSent) -> BoundaryKept:
    change = _waiting(visit, agreement, code)
    visit.services.register.move(
        change.agreement_id, change.version, Action.KEEP_BOUNDARY, visit.actor, comment=body.comment, detail=keeping(change),
    )
    return BoundaryKept(agreement=change.agreement_id, version=change.version, code=change.code, vintage=change.vintage, instead_of=change.newer)


def _waiting(visit: Visit, agreement: str, code: str) -> BoundaryChange:
    """Of a division that is named at several vintages, the oldest first. Raises NothingThere."""
    for change in boundary_changes(visit.services.catalogue, visit.services.register, visit.at):
        if (change.agreement_id, change.code) == (agreement, code):
            return change
    raise NothingThere(code)


def _told(visit: Visit, change: BoundaryChange, with_shapes: bool = False) -> BoundaryTold:
    return BoundaryTold(
        agreement=change.agreement_id, version=change.version, clauses=list(change.clauses), code=change.code, name=change.name, vintage=change.vintage,
        newer=change.newer, is_gone=change.is_gone, successors=[DivisionNamed(code=code, name=name) for code, name in change.successors],
        gained_km2=round(change.gained.km2, 6), lost_km2=round(change.lost.km2, 6), sentence=told(change, visit.language),
        gained=geojson(change.gained.geometry) if with_shapes else None, lost=geojson(change.lost.geometry) if with_shapes else None,
    )
