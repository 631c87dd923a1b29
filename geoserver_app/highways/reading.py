"""Routes and posts out of what a permit lets be told of the tables of a layer."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import shapely

from geoserver_app.features.paging import Page, page
from geoserver_app.highways.asking import refused
from layers.crs import reach, transform_bounds, transform_shapes
from layers.errors import StakeRefused
from layers.features import FeatureStore
from layers.geodesy import Place, box_around
from layers.model import FeatureClass
from layers.routes import Route, route_of
from layers.stakes import Post, reading
from tiles.permits import Permit
from tiles.requests.features import equals, name_of
from tiles.vector.conditions import Rows
from tiles.vector.granted import Told, told

LINES, POSTS, EVENTS = "ROUTE", "STAKE", "EVENT"
NAME, READS, START, END = "ROUTE", "STAKE", "FROM_STAKE", "TO_STAKE"

OF_LINES = frozenset({f"{LINES}.{NAME}"})
OF_POSTS = frozenset({f"{POSTS}.{NAME}", f"{POSTS}.{READS}"})
OF_ROUTES = OF_LINES | OF_POSTS
"""Attributes that every question about stakes names, whether it says so or not: a grant that hides one answers none."""


def of_events(table: str) -> frozenset[str]:
    return frozenset(f"{table}.{field}" for field in (NAME, START, END))


class MadeRoutes:
    """Routes last asked of, by all that they are made of: a road of 400 km with a post every 100 m is measured once, not for every stake. Whoever is told the
    same lines and posts is answered by the same route, and nobody else."""

    def __init__(self, most: int):
        self._most, self._routes, self._lock = most, OrderedDict(), threading.Lock()

    def route(self, name: str, lines: Sequence[shapely.Geometry], posts: Sequence[Post], crs: str) -> Route:
        told_ = hashlib.sha256(repr((name, crs, posts)).encode())
        for blob in shapely.to_wkb(lines):
            told_.update(blob)
        key = told_.digest()
        with self._lock:
            if key in self._routes:
                self._routes.move_to_end(key)
                return self._routes[key]
        route = route_of(name, lines, posts, crs)
        with self._lock:
            self._routes[key] = route
            while len(self._routes) > self._most:
                self._routes.popitem(last=False)
        return route


MADE = MadeRoutes(64)


@dataclass(frozen=True, slots=True)
class Routes:
    """The routes of a layer, as a permit tells them. Raises RequestInvalid where the layer holds none."""

    permit: Permit
    store: FeatureStore

    def route(self, name: str) -> Route:
        """Raises RequestInvalid where nothing of it is told, FeaturesUnavailable."""
        lines = [shape for some in self._of_route(self.table(LINES, NAME), name, (NAME,)) for shape in some.shapes]
        if not lines:
            raise refused("route-none", "route", layer=self.permit.edition.layer, route=name)
        posts = [post for some in self._of_route(self.table(POSTS, NAME, READS), name, (READS,)) for post in self._posts(some)]
        return MADE.route(name, lines, posts, self.permit.edition.crs)

    def names_near(self, place: Place, within: float) -> list[str]:
        """Routes whose lines come so near to a place (CRS84), or not much farther."""
        box = box_around(place, within).intersection(reach(self.permit.edition.crs))
        if not (box.left < box.right and box.bottom < box.top):
            return []
        box = transform_bounds(box, "CRS:84", self.permit.edition.crs)
        found = told(self.permit, self.store, self.table(LINES, NAME), box=box, fields=(NAME,))
        return sorted({name_of(name) for some in found for name in some.columns[NAME] if name is not None})

    def posts(self) -> Iterator[tuple[Told, list[tuple[str, tuple[float, float] | None]]]]:
        """Every post that is told: of which route it is and what it reads, None where that can't be read."""
        for some in told(self.permit, self.store, self.table(POSTS, NAME, READS), fields=(NAME, READS)):
            yield some, [(name_of(name), _read(text)) for name, text in zip(some.columns[NAME], some.columns[READS], strict=True)]

    def events(self, table: str, name: str, after: tuple[int, int] | None, limit: int) -> Page:
        known = self.table(table, NAME, START, END)
        return page(self.permit, self.store, known, Rows(equals(NAME, name)), limit=limit, after=after)

    def table(self, name: str, *fields: str) -> FeatureClass:
        """Raises RequestInvalid where there is none with these fields."""
        for table in self.permit.edition.classes:
            if table.name == name and set(fields) <= set(table.fields):
                return table
        raise refused("route-tables", "layer", layer=self.permit.edition.layer)

    def _of_route(self, table: FeatureClass, name: str, fields: Sequence[str]) -> Iterator[Told]:
        return told(self.permit, self.store, table, where=equals(NAME, name), fields=fields)

    def _posts(self, some: Told) -> list[Post]:
        places = shapely.get_coordinates(shapely.centroid(transform_shapes(some.shapes, self.permit.edition.crs, "CRS:84"))).tolist()
        read = [_read(text) for text in some.columns[READS]]
        return [Post((x, y), *said) for (x, y), said in zip(places, read, strict=True) if said is not None]


def _read(text: object) -> tuple[float, float] | None:
    try:
        return reading(str(text))
    except StakeRefused:
        return None
