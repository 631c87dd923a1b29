"""Saved maps: a base and overlays in their order, each with a style and an opacity, under one name - and for whoever looks, no more than he may see.

A map holds names, never data. Each of its layers is asked for as if he who looks had named it himself: what he may not see is left out, and only how many
are left out is told, be they another's, withdrawn or none at all. So to open a map widens nobody's view and tells nobody what there is.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from PIL import Image
from sqlalchemy.exc import SQLAlchemyError

from agreements.errors import RegisterUnavailable
from agreements.model import Operation
from geoserver_app.charging import Tally
from geoserver_app.database import from_database, utc, writing
from geoserver_app.drawing import drawn, style_of
from geoserver_app.gate import Asked, Drawn, Gate
from geoserver_app.identity import Caller
from geoserver_app.overlays.tables import maps_table
from layers.model import LayerName, View
from tiles.compose import lay_over
from tiles.encode import encode
from tiles.permits import Permit
from tiles.requests import GetMap

PREFIX = "map-"
"""Of the name under which a saved map is asked for in WMS: `map-<id>`. No overlay begins so unless an agency is called `map`."""

MOST_LAYERS, MOST_MAPS = 12, 200
WHITE = (255, 255, 255)


class Sharing(StrEnum):
    """Who may open it; what he sees in it is another matter."""

    PERSON = "person"           # who made it, signed in
    AGENCY = "agency"           # his agency, its keys too
    EVERYONE = "everyone"       # every agency


@dataclass(frozen=True, slots=True, kw_only=True)
class MapLayer:
    """`style` None is the first that may be had; `opacity` 0 to 1."""

    layer: LayerName
    style: str | None = None
    opacity: float = 1.0

    def plain(self) -> dict:
        return {"layer": str(self.layer), "style": self.style, "opacity": self.opacity}

    @classmethod
    def of(cls, plain: Mapping) -> "MapLayer":
        return cls(layer=LayerName.parse(plain["layer"]), style=plain["style"], opacity=plain["opacity"])


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedMap:
    """`layers` from the bottom up; `view` is where it opens: `{"lon", "lat", "zoom"}`. `login` is empty where a program made it."""

    map_id: str
    agency: str
    login: str
    title: str
    sharing: Sharing
    layers: tuple[MapLayer, ...]
    view: Mapping = field(default_factory=dict)
    changed: datetime

    @property
    def name(self) -> str:
        """As a layer of WMS."""
        return PREFIX + self.map_id

    def is_open_to(self, agency: str, login: str | None) -> bool:
        """`login` is None for a program, which has its agency's key."""
        if self.sharing is Sharing.EVERYONE:
            return True
        return agency == self.agency and (self.sharing is Sharing.AGENCY or (login is not None and login == self.login))


class NoSuchMap(Exception):
    """None of that id, or none that may be opened."""


class MapBook:
    def __init__(self, database: sa.Engine, clock: Callable[[], datetime]):
        self.database, self.clock = database, clock

    def put(self, saved: SavedMap) -> SavedMap:
        """New, or in the place of the one of its id."""
        saved = replace(saved, map_id=saved.map_id or secrets.token_hex(12), changed=self.clock())
        row = {
            "map_id": saved.map_id, "agency": saved.agency, "login": saved.login, "title": saved.title, "sharing": saved.sharing.value,
            "layers": [one.plain() for one in saved.layers], "view": dict(saved.view), "changed": utc(saved.changed),
        }
        with self._told(), writing(self.database) as connection:
            if not connection.execute(maps_table.update().where(maps_table.c.map_id == saved.map_id).values(**row)).rowcount:
                connection.execute(maps_table.insert().values(**row))
        return saved

    def find(self, map_id: str, agency: str, login: str | None = None) -> SavedMap:
        """Raises NoSuchMap, for one that may not be opened as for one that is none."""
        with self._told(), self.database.connect() as connection:
            row = connection.execute(sa.select(maps_table).where(maps_table.c.map_id == map_id)).first()
        if row is None or not (found := _saved(row)).is_open_to(agency, login):
            raise NoSuchMap(map_id)
        return found

    def list(self, agency: str, login: str | None = None) -> list[SavedMap]:
        """Of an agency, what may be opened; the newest first."""
        query = sa.select(maps_table).where(maps_table.c.agency == agency).order_by(maps_table.c.changed.desc(), maps_table.c.map_id)
        with self._told(), self.database.connect() as connection:
            return [one for one in map(_saved, connection.execute(query)) if one.is_open_to(agency, login)]

    def delete(self, map_id: str) -> None:
        with self._told(), writing(self.database) as connection:
            connection.execute(maps_table.delete().where(maps_table.c.map_id == map_id))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise RegisterUnavailable("the saved maps can't be read or written") from error


def _saved(row: sa.Row) -> SavedMap:
    return SavedMap(
        map_id=row.map_id, agency=row.agency, login=row.login, title=row.title, sharing=Sharing(row.sharing),
        layers=tuple(map(MapLayer.of, row.layers)), view=row.view, changed=from_database(row.changed),
    )


# For whoever looks

@dataclass(frozen=True, slots=True, kw_only=True)
class ForLooker:
    """Of a map what one caller may see at one view; `left_out` counts the rest."""

    layers: tuple[MapLayer, ...]
    left_out: int


def for_looker(gate: Gate, caller: Caller, saved: SavedMap, view: View | None, media_type: str | None) -> ForLooker:
    """Each layer decided as a map of it would be; without a view, as its description would be. Nothing is recorded: what is drawn is, when it is drawn."""
    standing, at, kept = gate.standing(), gate.clock(), []
    for one in saved.layers:
        asked = Asked(layer=one.layer, operation=Operation.DESCRIBE_LAYER)
        if view is not None:
            asked = Asked(layer=one.layer, operation=Operation.GET_MAP, view=view, style=one.style, format=media_type)
        if not gate.decide(standing, caller, asked, at).is_denied:
            kept.append(one)
    return ForLooker(layers=tuple(kept), left_out=len(saved.layers) - len(kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A GetMap with the layers of saved maps in the place of the maps' names; `opacities` of its layers."""

    request: GetMap
    opacities: tuple[float, ...]
    left_out: int

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Of the answer: that something was left out, and how much."""
        return [("Warning", f'299 - "{self.left_out} layers of the saved map are left out"')] if self.left_out else []


def opened(gate: Gate, book: MapBook, caller: Caller, request: GetMap, most_layers: int) -> Opened:
    """Saved maps among the layers of a GetMap, opened. A map that may not be opened, or of which nothing may be seen, stays as it was named: the gate
    refuses it as it refuses any name that it does not know."""
    layers, styles, opacities, left_out = [], [], [], 0
    for layer, style in zip(request.layers, request.styles, strict=True):
        found = _opened(gate, book, caller, layer, style, request) if layer.layer.startswith(PREFIX) else None
        if found is None or not found.layers or len(layers) + len(found.layers) > most_layers:
            layers.append(layer)
            styles.append(style)
            opacities.append(1.0)
            continue
        left_out += found.left_out
        layers += [one.layer for one in found.layers]
        styles += [one.style for one in found.layers]
        opacities += [one.opacity for one in found.layers]
    return Opened(request=replace(request, layers=tuple(layers), styles=tuple(styles)), opacities=tuple(opacities), left_out=left_out)


def _opened(gate: Gate, book: MapBook, caller: Caller, layer: LayerName, style: str | None, request: GetMap) -> ForLooker | None:
    if layer.edition is not None or style is not None:
        return None
    try:
        saved = book.find(layer.layer.removeprefix(PREFIX), caller.agency.agency_id)
    except NoSuchMap:
        return None
    return for_looker(gate, caller, saved, request.view, request.media_type)


# Drawing

def faded(picture: Image.Image | None, opacity: float) -> Image.Image | None:
    if picture is None or opacity >= 1:
        return picture
    picture = picture.convert("RGBA")
    picture.putalpha(picture.getchannel("A").point([round(value * opacity) for value in range(256)]))
    return picture


def asked_of(found: ForLooker, view: View, media_type: str) -> list[Asked]:
    return [Asked(layer=one.layer, operation=Operation.GET_MAP, view=view, style=one.style, format=media_type) for one in found.layers]


def drawn_map(found: ForLooker, permits: Sequence[Permit], view: View, media_type: str) -> Drawn:
    """What `for_looker` found, each layer cut by its own permit."""
    tallies: list[Tally | None] = []
    pictures = (
        faded(drawn(permit, style_of(permit, "STYLES"), view, tallies), one.opacity) for one, permit in zip(found.layers, permits, strict=True)
    )
    picture = lay_over((one for one in pictures if one is not None), (view.width, view.height))
    return Drawn(body=encode(picture, media_type, transparent=True, background=WHITE), content_type=media_type, tallies=tuple(tallies))
