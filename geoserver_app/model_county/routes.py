"""What the transport department of the model county brings: through roads with their kilometre posts, broken chains, and what happens along them.

Made by rule, like all of the county. Geometries are in EPSG:4549. Within towns a road belongs to the town: the department has no line there, but its stakes
count on.
"""

import numpy as np
import shapely
from shapely.geometry import LineString, Point
from shapely.geometry.base import BaseGeometry

from geoserver_app.model_county import plan
from geoserver_app.model_county.features import County
from layers.stakes import written

NOTE = "SYNTHETIC 样例"
CHINESE_TIME = "+08:00"

STARTS = {"G397": 212_000, "S391": 36_400, "S392": 0, "X905": 0}
"""Routes, and the stakes at which they enter the county, metres."""

BREAKS = {"G397": ((0.55, -180), (0.86, 240)), "S391": ((0.40, -65),), "X905": ((0.30, 410),)}
"""Where roads were straightened or led around: share of the length, and metres by which the number jumps there; back where below 0 (a long chain)."""

WAY_ROUND = 1.12
"""Metres of a road through a town to a metre as the crow flies."""

EVENTS = (
    ("G397", 0.06, 0.17, "maintenance", "路面养护", "沥青罩面，单幅双向通行", "2011-06-01", "2011-07-20"),
    ("G397", 0.47, 0.53, "closure", "封闭施工", "桥梁加固，绕行 S391", "2011-06-10", "2011-06-25"),
    ("G397", 0.80, None, "accident", "事故多发点", "平交路口", "2011-01-01", None),
    ("G397", 0.84, 0.90, "maintenance", "护栏更换", "夜间 22 时至次日 5 时", "2011-06-05", "2011-06-30"),
    ("S391", 0.20, 0.46, "limit", "限载路段", "总重不超过 20 吨", "2010-11-01", None),
    ("S391", 0.70, None, "flooding", "易积水点", "暴雨时注意积水", "2011-05-01", "2011-09-30"),
    ("S392", 0.35, 0.62, "maintenance", "边坡防护", "占用行车道 1.5 米", "2011-06-08", "2011-08-31"),
    ("X905", 0.25, 0.41, "survey", "路况检测", "自动检测车作业", "2011-06-12", "2011-06-14"),
)
"""Route, share of its length from and to, kind, title, words, since and until."""

Rows = list[tuple[BaseGeometry, dict]]


def tables(county: County) -> dict[str, Rows]:
    """ROUTE (lines), STAKE (posts) and EVENT (each at the stake where it begins)."""
    routes: Rows = []
    stakes: Rows = []
    events: Rows = []
    for name in STARTS:
        runs = _runs(county, name)
        title = next(route.name_zh for route in plan.ROUTES if route.number == name)
        routes += [(run, {"ROUTE": name, "NAME": title, "SECTION": number, "NOTE": NOTE}) for number, run in enumerate(runs, 1)]
        road = _Road(name, runs)
        stakes += [(place, {"ROUTE": name, "STAKE": text, "NOTE": NOTE}) for place, text in road.posts()]
        events += [_event(road, *told) for route, *told in EVENTS if route == name]
    return {"ROUTE": routes, "STAKE": stakes, "EVENT": events}


def _runs(county: County, name: str) -> list[LineString]:
    """The parts of a road between towns, in the order and direction in which its stakes count: from west to east, or from north to south."""
    lines = [shape for shape, attributes in county.lines("LRDL") if attributes["RN"] == name]
    parts = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(lines))).tolist()
    left, bottom, right, top = shapely.total_bounds(lines)
    forth = (lambda point: point[0]) if right - left > top - bottom else (lambda point: -point[1])
    turned = [part if forth(part.coords[0]) <= forth(part.coords[-1]) else part.reverse() for part in parts if part.length > 200]
    return sorted(turned, key=lambda part: forth(part.coords[0]))


class _Road:
    """A road of several runs: metres on the ground from its start, counted on through towns, and what the stakes make of them."""

    def __init__(self, name: str, runs: list[LineString]):
        self.name, self.runs, self.starts = name, runs, [0.0]
        for run, following in zip(runs, runs[1:], strict=False):
            gap = WAY_ROUND * Point(run.coords[-1]).distance(Point(following.coords[0]))
            self.starts.append(self.starts[-1] + run.length + gap)
        self.length = self.starts[-1] + runs[-1].length
        self.breaks = sorted((self._on_a_run(share * self.length), jump) for share, jump in BREAKS.get(name, ()))

    def _on_a_run(self, ground: float) -> float:
        """The nearest metre, a little from the ends, at which there is a line."""
        ways = [min(max(ground, start + 60), start + run.length - 60) for start, run in zip(self.starts, self.runs, strict=True)]
        return min(ways, key=lambda way: abs(way - ground))

    def stake(self, ground: float) -> float:
        return STARTS[self.name] + ground + sum(jump for at, jump in self.breaks if at <= ground)

    def place(self, ground: float) -> Point:
        number = max(at for at, start in enumerate(self.starts) if start <= ground + 1e-9)
        return self.runs[number].interpolate(ground - self.starts[number])

    def posts(self) -> list[tuple[Point, str]]:
        """One at each end of a run, at each kilometre, and at each broken chain."""
        grounds = dict.fromkeys(self.starts) | {start + run.length: None for start, run in zip(self.starts, self.runs, strict=True)}
        texts = {ground: written(round(self.stake(ground), 1)) for ground in grounds}
        edges = [0.0, *(at for at, _ in self.breaks), self.length]
        for begin, end in zip(edges, edges[1:], strict=False):
            first = self.stake(begin)
            for stake in range(int(first // 1000 + 1) * 1000, int(first + end - begin), 1000):
                ground = begin + stake - first
                if any(start + 30 < ground < start + run.length - 30 for start, run in zip(self.starts, self.runs, strict=True)):
                    texts[ground] = written(stake)
        for at, jump in self.breaks:
            texts[at] = f"{written(round(self.stake(at) - jump, 1))}={written(round(self.stake(at), 1))}"
        return [(self._beside(ground), texts[ground]) for ground in sorted(texts)]

    def _beside(self, ground: float) -> Point:
        """Posts stand on the right, five metres from the middle of the road."""
        place, ahead = self.place(max(ground - 1, 0.0)), self.place(ground)
        east, north = ahead.x - place.x, ahead.y - place.y
        long = np.hypot(east, north)
        return Point(ahead.x + 5 * north / long, ahead.y - 5 * east / long) if 0 < long < 2 else ahead


def _event(road: _Road, start: float, end: float | None, kind: str, title: str, words: str, since: str, until: str | None) -> tuple[Point, dict]:
    first, last = (None if share is None else road._on_a_run(share * road.length) for share in (start, end))
    return road.place(first), {
        "ROUTE": road.name, "FROM_STAKE": _named(road, first), "TO_STAKE": None if last is None else _named(road, last), "KIND": kind, "TITLE": title, "TEXT": words,
        "SINCE": f"{since}T00:00:00{CHINESE_TIME}", "UNTIL": until and f"{until}T00:00:00{CHINESE_TIME}", "NOTE": NOTE,
    }


def _named(road: _Road, ground: float) -> str:
    """A stake to ten metres; with the number of the place where it comes twice."""
    stake = round(road.stake(ground), -1)
    twice = [at for at, jump in road.breaks if jump < 0 and road.stake(at) <= stake <= road.stake(at) - jump]
    return written(stake) + (f"/{2 if ground >= twice[0] else 1}" if twice else "")
