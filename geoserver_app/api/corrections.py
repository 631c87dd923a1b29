"""`/corrections`: what agencies mark as wrong on the maps that they see (纠错), and what the bureau makes of it. One is seen by its agency and the bureau alone."""

from datetime import date
from typing import Annotated, Any

from pydantic import Field

from agreements.life.lifecycle import Role
from geoserver_app.api.faults import FieldFault, InConflict, InputFaulty, NothingThere
from geoserver_app.api.operation import EVERYBODY, Answer, Visit, operation
from geoserver_app.api.packages import agency_of, asking
from geoserver_app.api.reading import AgencyId, Moment, PageQuery, Sent, Told
from geoserver_app.clock import SHANGHAI
from geoserver_app.corrections.book import CorrectionBook, Figures, Wanted, figures
from geoserver_app.corrections.marking import check_feature, check_place, keep, map_of, picture_of, picture_path, plain_of, read_place, seen
from geoserver_app.corrections.tickets import (
    BY_AGENCY,
    BY_BUREAU,
    LONGEST_TEXT,
    CorrectionInvalid,
    Kind,
    Move,
    NoSuchCorrection,
    State,
    Ticket,
    closing_day,
)
from geoserver_app.gate import Refused
from geoserver_app.messages import sentence
from geoserver_app.tasks import calendar
from layers import crs as reference
from layers.errors import CrsNotServed
from layers.model import Bounds, LayerName, View
from tiles.encode import PNG

MEMBERS, MOVERS = frozenset({Role.MEMBER}), frozenset({Role.ADMINISTRATOR, Role.DATA_MANAGER, Role.MEMBER})
GEOJSON = "application/geo+json"
LARGEST = 256 << 10

POINTERS = {"correction-shape": "/place", "correction-outside": "/place", "correction-feature": "/feature", "correction-text": "/text", "correction-not-bureau": "/layer"}
"""What of a report each fault is about."""

BOX = Annotated[str, Field(max_length=120, pattern=r"^-?[\d.]+(,-?[\d.]+){3}$", examples=["118.7,31.9,118.9,32.1"])]


class ReportSent(Sent):
    """`layer` or `layer@edition`. `place` is a GeoJSON point, line or polygon in `crs`, x before y. `feature`: its table and its name, as features are told."""

    layer: Annotated[str, Field(min_length=1, max_length=100, examples=["dlg@2011"])]
    kind: Kind
    place: Annotated[dict[str, Any], Field(examples=[{"type": "Point", "coordinates": [118.75, 32.0]}])]
    crs: Annotated[str, Field(max_length=60)] = "CRS:84"
    text: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
    feature: Annotated[str, Field(max_length=100, examples=["HYDL/0f1e2d3c4b5a69788796a5b4c3d2e1f0"])] = ""


class MoveSent(Sent):
    """The bureau takes up, answers, mends or refuses; the agency closes, opens again or withdraws. `fixed_in`: the edition in which it is mended."""

    to: State
    text: Annotated[str, Field(max_length=LONGEST_TEXT)] = ""
    fixed_in: Annotated[str, Field(max_length=31)] = ""


class CorrectionQuery(PageQuery):
    """`agency` counts for the bureau; an agency is told of its own alone. `bounds`: west,south,east,north in degrees."""

    agency: AgencyId | None = None
    layer: Annotated[str | None, Field(max_length=63)] = None
    state: State | None = None
    open: Annotated[bool | None, Field(description="Only those that are not over, or only those that are.")] = None
    overdue: bool = False
    bounds: BOX | None = None


class FigureQuery(Sent):
    """Of corrections reported from `since` to `until`, both included."""

    agency: AgencyId | None = None
    since: date | None = None
    until: date | None = None


class CanvasQuery(Sent):
    """`bounds`: left,bottom,right,top in `crs`, x before y."""

    layer: Annotated[str, Field(min_length=1, max_length=100)]
    bounds: BOX
    crs: Annotated[str, Field(max_length=60)] = "EPSG:3857"
    width: Annotated[int, Field(ge=1, le=2048)] = 512
    height: Annotated[int, Field(ge=1, le=2048)] = 512


class MoveTold(Told):
    """Who of the bureau did it is told to the bureau alone."""

    at: Moment
    state: State
    actor: str | None
    text: str


class CorrectionTold(Told):
    """`due` is the last day on which it is to be answered; `closes` that on which an outcome counts as accepted. `fixed_in` is null where the agency may not
    see that edition. `moves` lists the states into which the asker may bring it."""

    correction: str
    agency: str
    made: Moment
    made_by: str
    layer: str
    edition: str
    feature: str
    kind: Kind
    place: dict[str, Any]
    text: str
    state: State
    due: date
    working_days: int
    is_overdue: bool
    closes: date | None
    answer: str
    fixed_in: str | None
    answered: Moment | None
    ended: Moment | None
    has_picture: bool
    moves: list[State]
    history: list[MoveTold]


class Corrections(Told):
    items: list[CorrectionTold]
    next: str | None


class FiguresTold(Told):
    """`in_time` of the `answered` ones were answered by their due day; `days`: median of working days until then. `by_agency` is told to the bureau alone."""

    count: int
    open: int
    overdue: int
    answered: int
    in_time: int
    days: float | None
    by_state: dict[str, int]
    by_kind: dict[str, int]
    by_layer: dict[str, int]
    by_agency: dict[str, int] | None


@operation(
    "corrections.list", "GET /corrections", "纠错单", "Corrections, the newest first", roles=EVERYBODY, by_key=True, query=CorrectionQuery, answer=Corrections,
)
def list_corrections(visit: Visit, query: CorrectionQuery) -> dict:
    book = book_of(visit)
    found = book.list(_wanted(visit, query))
    start = next((place + 1 for place, one in enumerate(found) if one.correction_id == query.after), 0 if not query.after else len(found))
    items = found[start : start + query.limit]
    more = start + query.limit < len(found)
    return {"items": [told(visit, book, one, has_history=False) for one in items], "next": items[-1].correction_id if more else None}


@operation("corrections.map", "GET /corrections/map", "纠错单的位置（GeoJSON）", "Where corrections were marked, as GeoJSON", roles=EVERYBODY, by_key=True, query=CorrectionQuery,
           media_types=(GEOJSON,))
def map_corrections(visit: Visit, query: CorrectionQuery) -> Answer:
    at = visit.at
    features = [
        {
            "type": "Feature", "id": one.correction_id, "geometry": dict(one.place),
            "properties": {
                "correction": one.correction_id, "agency": one.agency, "layer": one.layer, "edition": one.edition, "kind": one.kind.value, "state": one.state.value,
                "due": one.due.isoformat(), "is_overdue": one.is_overdue(at), "text": one.text[:200],
            },
        } for one in book_of(visit).list(_wanted(visit, query))
    ]
    return Answer(content={"type": "FeatureCollection", "features": features}, media_type=GEOJSON)


@operation(
    "corrections.statistics", "GET /corrections/statistics", "纠错统计", "How corrections stand, in figures", roles=EVERYBODY, by_key=True, query=FigureQuery,
    answer=FiguresTold,
)
def get_statistics(visit: Visit, query: FigureQuery) -> FiguresTold:
    book, own = book_of(visit), _own_agency(visit)
    found = [
        one for one in book.list(Wanted(agency=own or query.agency))
        if (query.since is None or one.made.astimezone(SHANGHAI).date() >= query.since) and (query.until is None or one.made.astimezone(SHANGHAI).date() <= query.until)
    ]
    told_of: Figures = figures(found, book.working, visit.at)
    by_agency: dict[str, int] | None = None
    if own is None:
        by_agency = {}
        for one in found:
            by_agency[one.agency] = by_agency.get(one.agency, 0) + 1
    return FiguresTold(
        count=told_of.count, open=told_of.open, overdue=told_of.overdue, answered=told_of.answered, in_time=told_of.in_time, days=told_of.days,
        by_state=dict(told_of.by_state), by_kind=dict(told_of.by_kind), by_layer=dict(told_of.by_layer), by_agency=by_agency,
    )


@operation(
    "corrections.canvas", "GET /corrections/canvas", "供标注的地图画面", "A picture of a layer to mark on", roles=MEMBERS, by_key=True, query=CanvasQuery,
    media_types=(PNG,), refusals=(429,),
)
def get_canvas(visit: Visit, query: CanvasQuery) -> Answer:
    """Decided, counted and recorded as a GetMap of the layer."""
    try:
        bounds, crs = Bounds(*map(float, query.bounds.split(","))), reference.parse_crs(query.crs)
    except (ValueError, CrsNotServed):
        raise InputFaulty(FieldFault(parameter="bounds", code="overlay-view")) from None
    if not (bounds.left < bounds.right and bounds.bottom < bounds.top) or max(map(abs, bounds)) > 1e9:
        raise InputFaulty(FieldFault(parameter="bounds", code="overlay-view"))
    view = View(crs=crs, bounds=bounds, width=query.width, height=query.height)
    return Answer(content=map_of(visit.services, asking(visit), _layer(query.layer, visit, parameter="layer"), view).body, media_type=PNG)


@operation(
    "corrections.report", "POST /corrections", "提交纠错", "Report an error on the map", roles=MEMBERS, by_key=True, body=ReportSent, answer=CorrectionTold, status=201,
    largest=LARGEST, refusals=(409, 429),
)
def report(visit: Visit, body: ReportSent) -> Answer:
    services, caller, book = visit.services, asking(visit), book_of(visit)
    try:
        book.check_room(agency_of(visit))
        visible = seen(services, caller, _layer(body.layer, visit))
        place = read_place(body.place, body.crs)
        check_place(visible, place)
        if not body.text.strip():
            raise CorrectionInvalid("correction-text")
        if body.feature:
            check_feature(services, caller, visible, body.feature)
    except CrsNotServed:
        raise InputFaulty(FieldFault(pointer="/crs", code="crs-not-served", detail={"value": body.crs[:60], "choices": ", ".join(reference.SERVED)})) from None
    except CorrectionInvalid as error:
        if error.code in POINTERS:
            raise InputFaulty(FieldFault(pointer=POINTERS[error.code], code=error.code, detail=error.detail)) from None
        raise InConflict(error.told(visit.language), error.code) from None
    made = book.report(
        agency=agency_of(visit), by=_actor(visit), layer=visible.layer.name, edition=visible.edition.name, kind=body.kind, place=plain_of(place), text=body.text,
        feature=body.feature, picture=keep(services.settings, picture_of(services, caller, visible, place)),
    )
    return Answer(content=told(visit, book, made), object_id=made.correction_id)


@operation("corrections.get", "GET /corrections/{correction}", "一张纠错单及其经过", "A correction and its history", roles=EVERYBODY, by_key=True, answer=CorrectionTold)
def get_correction(visit: Visit, correction: str) -> CorrectionTold:
    return told(visit, book_of(visit), _found(visit, correction))


@operation(
    "corrections.picture", "GET /corrections/{correction}/picture", "纠错单的附图", "The map around a correction", roles=EVERYBODY, by_key=True, media_types=(PNG,),
    refusals=(429,),
)
def get_picture(visit: Visit, correction: str) -> Answer:
    """The bureau is shown what the agency saw when it reported. The agency is shown the map as its grants let it see it now: decided, counted, recorded."""
    ticket, services = _found(visit, correction), visit.services
    if _own_agency(visit) is None:
        path = picture_path(services.settings, ticket.picture)
        if not ticket.picture or not path.is_file():
            raise NothingThere(correction)
        return Answer(content=path.read_bytes(), media_type=PNG)
    caller = asking(visit)
    visible = seen(services, caller, LayerName(ticket.layer, ticket.edition))
    picture = picture_of(services, caller, visible, read_place(ticket.place, "CRS:84"))
    if not picture:
        raise NothingThere(correction)
    return Answer(content=picture, media_type=PNG)


@operation(
    "corrections.move", "POST /corrections/{correction}/moves", "办理纠错单", "Move a correction on", roles=MOVERS, by_key=True, body=MoveSent, answer=CorrectionTold,
    refusals=(409,),
)
def move_correction(visit: Visit, correction: str, body: MoveSent) -> CorrectionTold:
    book, catalogue = book_of(visit), visit.services.catalogue
    _found(visit, correction)

    def has_edition(layer: str, edition: str) -> bool:
        found = catalogue.snapshot().layers.get(layer)
        return bool(edition) and found is not None and any(one.name == edition for one in found.editions)

    try:
        moved = book.move(
            correction, body.to, by=_actor(visit), text=body.text, fixed_in=body.fixed_in, agency=_own_agency(visit), has_edition=has_edition,
        )
    except NoSuchCorrection:
        raise NothingThere(correction) from None
    except CorrectionInvalid as error:
        if error.code == "correction-move":
            raise InConflict(error.told(visit.language), error.code) from None
        pointer = "/fixed_in" if error.code == "correction-fixed-in" else "/text"
        raise InputFaulty(FieldFault(pointer=pointer, code=error.code, detail=error.detail)) from None
    return told(visit, book, moved)


def book_of(visit: Visit) -> CorrectionBook:
    services = visit.services
    return CorrectionBook(
        services.database, services.register, services.gate.clock, calendar(services.settings.config), services.settings.correction_days,
    )


def _own_agency(visit: Visit) -> str | None:
    """None for the bureau's people, who see all."""
    return agency_of(visit) if visit.caller is not None or visit.person.is_member else None


def _actor(visit: Visit) -> str:
    return visit.person.login if visit.signed_in else f"key {visit.caller.key_id}"


def _found(visit: Visit, correction_id: str) -> Ticket:
    """Raises NothingThere, for another agency's as for one that is none."""
    try:
        return book_of(visit).get(correction_id, _own_agency(visit))
    except NoSuchCorrection:
        raise NothingThere(correction_id) from None


def _wanted(visit: Visit, query: CorrectionQuery) -> Wanted:
    try:
        bounds = tuple(map(float, query.bounds.split(","))) if query.bounds else None
    except ValueError:
        raise InputFaulty(FieldFault(parameter="bounds", code="overlay-view")) from None
    return Wanted(
        agency=_own_agency(visit) or query.agency, layer=query.layer, state=query.state, is_open=query.open, is_overdue=query.overdue, bounds=bounds,
    )


def _layer(text: str, visit: Visit, parameter: str | None = None) -> LayerName:
    """Raises InputFaulty."""
    try:
        return LayerName.parse(text)
    except ValueError:
        place = {"parameter": parameter} if parameter else {"pointer": "/layer"}
        raise InputFaulty(FieldFault(code="map-layer", detail={"layer": text[:80]}, **place)) from None


def told(visit: Visit, book: CorrectionBook, one: Ticket, *, has_history: bool = True) -> CorrectionTold:
    own = _own_agency(visit)
    ways = (BY_BUREAU if own is None else BY_AGENCY).get(one.state, ())
    may_move = visit.caller is not None or bool(visit.person.roles & MOVERS)
    moves = [_move(move, one, own) for move in book.moves(one.correction_id)] if has_history else []
    fixed_in, answer = one.fixed_in or None, one.reasons
    if own is not None and fixed_in is not None and not _sees(visit, one.layer, fixed_in):
        fixed_in, answer = None, answer or sentence("correction-edition-untold", {}, visit.language)
    return CorrectionTold(
        correction=one.correction_id, agency=one.agency, made=one.made, made_by=one.made_by, layer=one.layer, edition=one.edition, feature=one.feature, kind=one.kind,
        place=dict(one.place), text=one.text, state=one.state, due=one.due,
        working_days=book.working.working_days_between(visit.at.astimezone(SHANGHAI).date(), one.due), is_overdue=one.is_overdue(visit.at),
        closes=closing_day(one, book.working) if one.state.has_outcome else None, answer=answer, fixed_in=fixed_in, answered=one.answered, ended=one.ended,
        has_picture=bool(one.picture), moves=list(ways) if may_move else [], history=moves,
    )


def _move(move: Move, ticket: Ticket, own: str | None) -> MoveTold:
    is_bureaus = move.state in (State.TAKEN, State.ANSWERED, State.MENDED, State.REFUSED)
    return MoveTold(at=move.at, state=move.state, actor=None if own is not None and is_bureaus else move.actor, text=move.text)


def _sees(visit: Visit, layer: str, edition: str) -> bool:
    try:
        visible = visit.services.gate.visible(asking(visit), record=None)
    except (NothingThere, Refused):
        return False
    return any(one.layer.name == layer and one.edition.name == edition for one in visible)
