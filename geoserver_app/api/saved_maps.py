"""`/maps`: saved maps - base and overlays in their order. Who opens one sees of it what he may see anyway; how many layers are left out is told."""

from typing import Annotated

from pydantic import Field

from geoserver_app.api.faults import FieldFault, InConflict, InputFaulty, NothingThere
from geoserver_app.api.operation import Answer, Visit, operation
from geoserver_app.api.overlays import MEMBERS
from geoserver_app.api.packages import agency_of, asking
from geoserver_app.api.reading import Moment, Sent, Told
from geoserver_app.overlays.faults import Finding
from geoserver_app.overlays.maps import MOST_LAYERS, MOST_MAPS, MapBook, MapLayer, NoSuchMap, SavedMap, Sharing, asked_of, drawn_map, for_looker
from layers import crs as reference
from layers.errors import CrsNotServed
from layers.model import Bounds, LayerName, View, picture_styles
from tiles.encode import PNG


class MapLayerSent(Sent):
    """`layer` or `layer@edition`; the first style that may be had where none is named."""

    layer: Annotated[str, Field(min_length=1, max_length=100, examples=["dlg@2011"])]
    style: Annotated[str | None, Field(max_length=63)] = None
    opacity: Annotated[float, Field(ge=0, le=1)] = 1.0


class PlaceSent(Sent):
    lon: Annotated[float, Field(ge=-180, le=180)]
    lat: Annotated[float, Field(ge=-85, le=85)]
    zoom: Annotated[float, Field(ge=0, le=22)]


class MapSent(Sent):
    """`layers` from the bottom up. `sharing`: who may open it; what he sees in it his own agreements say."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    layers: Annotated[list[MapLayerSent], Field(min_length=1, max_length=MOST_LAYERS)]
    sharing: Sharing = Sharing.AGENCY
    view: PlaceSent | None = None


class MapLayerTold(Told):
    layer: str
    style: str | None
    opacity: float


class MapTold(Told):
    """`layers` are those that the asker may see; `left_out` counts the others. `name` is that of a layer of WMS, `link` a page."""

    map: str
    name: str
    link: str
    title: str
    agency: str
    is_own: bool
    sharing: Sharing
    layers: list[MapLayerTold]
    left_out: int
    view: dict[str, float]
    changed: Moment


class Maps(Told):
    items: list[MapTold]


class ViewQuery(Sent):
    """`bounds`: left,bottom,right,top in `crs`, x before y."""

    bounds: Annotated[str, Field(max_length=200, examples=["118.7,32.0,118.8,32.1"])]
    crs: Annotated[str, Field(max_length=60)] = "EPSG:3857"
    width: Annotated[int, Field(ge=1, le=2048)] = 512
    height: Annotated[int, Field(ge=1, le=2048)] = 512


@operation("maps.list", "GET /maps", "本单位保存的地图", "The agency's saved maps", roles=MEMBERS, by_key=True, answer=Maps)
def list_maps(visit: Visit) -> dict:
    return {"items": [told(visit, one) for one in book_of(visit).list(agency_of(visit), login_of(visit))]}


@operation("maps.save", "POST /maps", "保存一幅地图", "Save a map", roles=MEMBERS, by_key=True, body=MapSent, answer=MapTold, status=201, refusals=(409,))
def save_map(visit: Visit, body: MapSent) -> Answer:
    book = book_of(visit)
    if len(book.list(agency_of(visit), login_of(visit))) >= MOST_MAPS:
        raise InConflict(Finding(code="map-many", detail={"most": str(MOST_MAPS)}).told(visit.language), "map-many")
    saved = book.put(_read(visit, body, SavedMap(
        map_id="", agency=agency_of(visit), login=login_of(visit) or "", title="", sharing=body.sharing, layers=(), changed=visit.at,
    )))
    return Answer(content=told(visit, saved), object_id=saved.map_id)


@operation("maps.get", "GET /maps/{map}", "一幅保存的地图", "A saved map", roles=MEMBERS, by_key=True, answer=MapTold)
def get_map(visit: Visit, map: str) -> MapTold:
    return told(visit, open_map(visit, map))


@operation("maps.change", "PUT /maps/{map}", "更改一幅地图", "Change a map", roles=MEMBERS, by_key=True, body=MapSent, answer=MapTold)
def change_map(visit: Visit, map: str, body: MapSent) -> MapTold:
    return told(visit, book_of(visit).put(_read(visit, body, _own(visit, map))))


@operation("maps.delete", "DELETE /maps/{map}", "删除一幅地图", "Delete a map", roles=MEMBERS, by_key=True, status=204)
def delete_map(visit: Visit, map: str) -> None:
    book_of(visit).delete(_own(visit, map).map_id)


@operation("maps.picture", "GET /maps/{map}/picture", "一幅地图的画面", "A picture of a map", roles=MEMBERS, by_key=True, query=ViewQuery, media_types=(PNG,), refusals=(429,))
def get_picture(visit: Visit, map: str, query: ViewQuery) -> Answer:
    """Decided, counted and recorded as a GetMap of its layers; where nothing of it may be seen, there is nothing."""
    saved, view, services = open_map(visit, map), _view(query), visit.services
    caller = asking(visit)
    found = for_looker(services.gate, caller, saved, view, PNG)
    if not found.layers:
        raise NothingThere(map)
    answer = services.gate.serve(caller, asked_of(found, view, PNG), lambda permits: drawn_map(found, permits, view, PNG))
    return Answer(content=answer.drawn.body, media_type=PNG)


def book_of(visit: Visit) -> MapBook:
    return MapBook(visit.services.database, visit.services.gate.clock)


def login_of(visit: Visit) -> str | None:
    return visit.person.login if visit.signed_in else None


def open_map(visit: Visit, map_id: str) -> SavedMap:
    """Raises NothingThere, for one that may not be opened as for one that is none."""
    try:
        return book_of(visit).find(map_id, agency_of(visit), login_of(visit))
    except NoSuchMap:
        raise NothingThere(map_id) from None


def _own(visit: Visit, map_id: str) -> SavedMap:
    """Raises NothingThere, for another agency's that may be opened too."""
    found = open_map(visit, map_id)
    if found.agency != agency_of(visit):
        raise NothingThere(map_id)
    return found


def _read(visit: Visit, body: MapSent, saved: SavedMap) -> SavedMap:
    """Raises InputFaulty for a layer that the agency may not see: alike for one that is not shared and one that is none."""
    visible = {one.layer.name: one for one in visit.services.gate.visible(asking(visit), record=None)}
    layers, faults = [], []
    for number, one in enumerate(body.layers):
        try:
            name = LayerName.parse(one.layer)
        except ValueError:
            name = None
        known = visible.get(name.layer) if name else None
        if known is None:
            faults.append(FieldFault(pointer=f"/layers/{number}/layer", code="map-layer", detail={"layer": one.layer[:80]}))
        elif one.style is not None and one.style not in picture_styles(known.layer.product):
            choices = ", ".join(picture_styles(known.layer.product))
            faults.append(FieldFault(pointer=f"/layers/{number}/style", code="style-not-defined", detail={"layer": one.layer, "style": one.style, "choices": choices}))
        else:
            layers.append(MapLayer(layer=name, style=one.style, opacity=one.opacity))
    if body.sharing is Sharing.PERSON and visit.signed_in is None:
        faults.append(FieldFault(pointer="/sharing", code="map-person"))
    if faults:
        raise InputFaulty(*faults)
    view = body.view.model_dump() if body.view else {}
    return SavedMap(
        map_id=saved.map_id, agency=saved.agency, login=saved.login, title=body.title, sharing=body.sharing, layers=tuple(layers), view=view, changed=visit.at,
    )


def _view(query: ViewQuery) -> View:
    """Raises InputFaulty."""
    try:
        bounds = Bounds(*(float(part) for part in query.bounds.split(",")))
        crs = reference.parse_crs(query.crs)
    except (ValueError, TypeError, CrsNotServed):
        raise InputFaulty(FieldFault(parameter="bounds", code="overlay-view")) from None
    if not (bounds.left < bounds.right and bounds.bottom < bounds.top) or max(map(abs, bounds)) > 1e9:
        raise InputFaulty(FieldFault(parameter="bounds", code="overlay-view"))
    return View(crs=crs, bounds=bounds, width=query.width, height=query.height)


def told(visit: Visit, saved: SavedMap) -> MapTold:
    found = for_looker(visit.services.gate, asking(visit), saved, None, None)
    return MapTold(
        map=saved.map_id, name=saved.name, link=f"{visit.services.settings.public_base_url}/portal/maps/{saved.map_id}", title=saved.title,
        agency=saved.agency, is_own=saved.agency == agency_of(visit), sharing=saved.sharing, left_out=found.left_out,
        layers=[MapLayerTold(**one.plain()) for one in found.layers], view=dict(saved.view), changed=saved.changed,
    )
