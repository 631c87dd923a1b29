"""What the police of the model county brings: stations and their districts, incidents of a week, the same by the square kilometre, beats of patrol cars.

Made by rule, like all of the county; no person, number plate or case stands behind any of it. Geometries are in EPSG:4549.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from math import floor

import numpy as np
import shapely
import shapely.affinity
from shapely.geometry import LineString, Point
from shapely.geometry.base import BaseGeometry

from geoserver_app.model_county import plan
from geoserver_app.model_county.features import County

NOTE = "SYNTHETIC 样例"
WEEK = datetime(2011, 6, 6, tzinfo=timezone(timedelta(hours=8)))
DAYS, PER_DAY = 7, 220

SEATS = (("城东", "Chengdong", 0.62, 0.35), ("城西", "Chengxi", -0.62, 0.10), ("城南", "Chengnan", 0.10, -0.78))
"""Stations of the county seat, beside that of the town itself: name, where they stand from its middle in radii of the town."""

KINDS = (("traffic", "交通", 0.38), ("dispute", "纠纷", 0.24), ("help", "求助", 0.22), ("crime", "治安案件", 0.12), ("fire", "火警", 0.04))
"""Kind, its Chinese name, and its share of all incidents."""

SQUARE = 1000
FEWEST = 3
"""Of a square with fewer incidents the number is not told: it might be known whose they were."""

CARS_EACH, BEAT = 3, 6000.0
"""Cars of every station, and the metres that each of them drives before it turns round."""

Rows = list[tuple[BaseGeometry, dict]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    code: str
    name_zh: str
    name_en: str
    town: str                   # code of the division
    place: Point
    district: BaseGeometry


def stations(county: County) -> list[Station]:
    """One in every town, four in the county seat, each with the ground for which it answers: together they are the county, without gap or overlap."""
    divisions = {code: shape for code, _, _, shape in county.divisions[1:]}
    sites, grounds = [], []
    for town in plan.TOWNS:
        middle = Point(county.terrain.frame.place(town.x, town.y))
        here = [(town.name_zh.removesuffix("镇"), town.name_en, middle)]
        if town.code == plan.TOWNS[0].code:
            here += [(zh, en, shapely.affinity.translate(middle, x * 1000 * town.radius, y * 1000 * town.radius)) for zh, en, x, y in SEATS]
        sites += [(town.code, *site) for site in here]
        grounds += _shared_out(divisions[town.code], [place for _, _, place in here])
    return [
        Station(code=f"{town}{number:03d}", name_zh=f"{zh}派出所", name_en=f"{en} Police Station", town=town, place=place, district=district)
        for number, ((town, zh, en, place), district) in enumerate(zip(sites, _noded(grounds), strict=True), 1)
    ]


def _shared_out(ground: BaseGeometry, places: list[Point]) -> list[BaseGeometry]:
    """`ground`, each part of it to the nearest of the places."""
    if len(places) == 1:
        return [ground]
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.MultiPoint(places), extend_to=ground))
    return [shapely.intersection(next(cell for cell in cells if cell.contains(place)), ground) for place in places]


def _noded(grounds: list[BaseGeometry]) -> list[BaseGeometry]:
    """The same, such that neighbours share every vertex of their border: then no place falls between them."""
    edges = shapely.union_all(shapely.set_precision(shapely.boundary(grounds), 0.01))
    faces = shapely.get_parts(shapely.polygonize([edges]))
    whose = [int(np.argmin(shapely.distance(grounds, face.representative_point()))) for face in faces]
    return [shapely.coverage_union_all(faces[np.array(whose) == number]) for number in range(len(grounds))]


def districts(county: County) -> dict[str, Rows]:
    """The tables STATION (points) and DISTRICT (areas): one code joins them."""
    found = stations(county)
    common = [{"CODE": one.code, "NAME": one.name_zh, "NAME_EN": one.name_en, "PAC": one.town, "NOTE": NOTE} for one in found]
    rng = np.random.default_rng((plan.SEED, 901))
    strength = rng.integers(8, 46, len(found)).tolist()
    return {
        "STATION": [(one.place, row | {"STRENGTH": men}) for one, row, men in zip(found, common, strength, strict=True)],
        "DISTRICT": [(one.district, row) for one, row in zip(found, common, strict=True)],
    }


def incidents(county: County) -> dict[str, Rows]:
    """The table INCIDENT: a week of calls, where people live and along the roads, more of them towards evening."""
    rng = np.random.default_rng((plan.SEED, 902))
    found, roads = stations(county), _roads(county)
    lengths = np.array([road.length for road in roads])
    blocks = [block for block in county.blocks if block.kind != "农村"] + [block for block in county.blocks if block.kind == "农村"][::3]
    rows = []
    for number in range(DAYS * PER_DAY):
        kind, name, _ = KINDS[rng.choice(len(KINDS), p=[share for _, _, share in KINDS])]
        if kind == "traffic" or not blocks:
            place = roads[rng.choice(len(roads), p=lengths / lengths.sum())].interpolate(rng.uniform(0, 1), normalized=True)
        else:
            place = _within(blocks[rng.integers(len(blocks))].shape, rng)
        station = next((one for one in found if one.district.intersects(place)), None)
        if station is None:
            continue
        hour = float(np.clip(rng.normal(17, 5), 0, 23.9))
        at = WEEK + timedelta(days=int(rng.integers(DAYS)), hours=hour)
        rows.append((place, {
            "NO": f"J{number + 1:05d}", "KIND": kind, "KIND_ZH": name, "GRADE": int(rng.choice((1, 2, 3), p=(0.08, 0.3, 0.62))), "AT": at.isoformat(timespec="minutes"),
            "STATION": station.code, "STATE": "closed" if rng.random() < 0.9 else "open", "NOTE": NOTE,
        }))
    return {"INCIDENT": rows}


def grid(rows: Rows) -> dict[str, Rows]:
    """The table GRID: incidents by the square kilometre, without those of which the number would tell too much."""
    squares: dict[tuple[int, int], list[dict]] = {}
    for place, row in rows:
        squares.setdefault((floor(place.x / SQUARE), floor(place.y / SQUARE)), []).append(row)
    found = []
    for (column, up), inside in sorted(squares.items()):
        counts = {kind.upper(): sum(row["KIND"] == kind for row in inside) for kind, _, _ in KINDS}
        told = {name: count if count == 0 or count >= FEWEST else None for name, count in counts.items()}
        shape = shapely.box(column * SQUARE, up * SQUARE, (column + 1) * SQUARE, (up + 1) * SQUARE)
        total = len(inside) if len(inside) >= FEWEST else None
        found.append((shape, {"CELL": f"{column:05d}{up:05d}", "TOTAL": total, **told, "DAYS": DAYS, "NOTE": NOTE}))
    return {"GRID": found}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A road that a car drives to and fro."""

    unit: str
    station: str
    line: LineString


def beats(county: County) -> list[Beat]:
    """Some of every station: a way over the roads and streets of its district."""
    rng, found = np.random.default_rng((plan.SEED, 903)), []
    roads = shapely.union_all([line for line, row in county.tables["LRDL"] if row.get("TYPE") in ("公路", "街道")])
    for station in stations(county):
        edges = [part for part in shapely.get_parts(shapely.intersection(roads, station.district)) if part.length > 1]
        found += [
            Beat(unit=f"{station.code[-3:]}-{number}", station=station.code, line=_walk(edges, station.place, rng)) for number in range(1, CARS_EACH + 1)
        ]
    return found


def _walk(edges: list[LineString], start: Point, rng: np.random.Generator) -> LineString:
    """Along edges from the one nearest to a place, where it can over such as were driven least, until the way is long enough."""
    ends = [((round(e.coords[0][0], 1), round(e.coords[0][1], 1)), (round(e.coords[-1][0], 1), round(e.coords[-1][1], 1))) for e in edges]
    at: dict[tuple, list[int]] = {}
    for number, (a, b) in enumerate(ends):
        at.setdefault(a, []).append(number)
        at.setdefault(b, []).append(number)
    driven, here = np.zeros(len(edges)), ends[int(np.argmin(shapely.distance(edges, start)))][int(rng.integers(2))]
    points, length = [here], 0.0
    while length < BEAT:
        choices = at[here]
        edge = min(choices, key=lambda number: driven[number] + rng.uniform(0, 0.9))
        line = edges[edge].coords[:] if ends[edge][0] == here else edges[edge].coords[::-1]
        here = ends[edge][1] if ends[edge][0] == here else ends[edge][0]
        points += line[1:]
        length += edges[edge].length
        driven[edge] += 1
    return LineString(points)


def _roads(county: County) -> list[LineString]:
    """Those that cars drive between towns: tracks between fields are for tractors."""
    return [line for line, row in county.tables["LRDL"] if row.get("TYPE") == "公路"]


def _within(shape: BaseGeometry, rng: np.random.Generator) -> Point:
    left, bottom, right, top = shape.bounds
    for _ in range(50):
        place = Point(rng.uniform(left, right), rng.uniform(bottom, top))
        if shape.contains(place):
            return place
    return shape.representative_point()
