"""Routes by their stakes: a stake to its place, a place to its stake, and what lies between two of them.

A stake such as `K123+456.7` counts metres along a route. Lines are measured on the ellipsoid, never in a projection, and what was measured is stretched
between the stakes that stand beside the road: they rule, since roads are straightened and stakes stay. At a broken chain one place has two stakes: the
post reads `K45+300=K45+520`, up to here and from here on. In a short chain (ahead is more) numbers are left out, in a long one they come twice.

A route may come in several runs, where it is interrupted or where only parts of it are known. Nothing is told across a gap, and nothing of a run on which
fewer than two posts stand: which way its stakes count would be a guess.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from layers.crs import is_geographic, transform_shapes
from layers.errors import StakeRefused
from layers.geodesy import ELLIPSOID, Place, box_around
from layers.model import Bounds
from layers.stakes import Post, Stake

FINE_METRES, FINE_DEGREES = 100.0, 0.001
"""Edges are divided so far before they are measured: within such a piece a chord, a geodesic and a straight edge of the data differ by less than a millimetre."""

OFF_THE_ROAD = 50.0
"""Metres from the line beyond which a post is not of it."""

BEYOND = 1000.0
"""Metres by which stakes are counted on beyond the last post of a run."""

TOUCHING = 0.005
"""Metres between ends that are one place: pieces of one line, cut along a border that they share."""

LEAST_SCALE, MOST_SCALE = 0.5, 2.0
"""Metres by stakes to a metre on the ground: what is not between them is an error of the stakes, and no place is told there."""

SAME = 1e-3
"""Metres within which two places of one stake are one."""


# -- what a route is made of

SetOut = tuple[float, Post]
"""A post, and the metres on the ground at which it stands."""


@dataclass(frozen=True, slots=True)
class Reach:
    """A part of a run on which stakes count without a break: metres on the ground from and to, and metres by stakes; whether posts stand at both ends."""

    ground: tuple[float, float]
    stakes: tuple[float, float]
    is_between: bool

    @property
    def scale(self) -> float:
        """Metres by stakes to a metre on the ground."""
        return (self.stakes[1] - self.stakes[0]) / (self.ground[1] - self.ground[0])

    def ground_at(self, stake: float) -> float:
        return self.ground[0] + (stake - self.stakes[0]) / self.scale

    def stake_at(self, ground: float) -> float:
        return self.stakes[0] + (ground - self.ground[0]) * self.scale


@dataclass(frozen=True, slots=True)
class Break:
    """A broken chain: long where numbers come twice, short where some are left out, by so many metres."""

    place: Place
    back: float
    ahead: float

    @property
    def is_long(self) -> bool:
        return self.ahead < self.back


@dataclass(frozen=True, slots=True)
class Foot:
    """Where on a run a place is nearest: metres on the ground along it; metres aside, to the right of the way that stakes count where above 0."""

    ground: float
    aside: float


class Run:
    """A line without a gap, in the way that its stakes count. `places` (n, 2) are longitude and latitude, `reached` (n,) metres from its start."""

    def __init__(self, places: np.ndarray, reaches: Sequence[Reach] = (), breaks: Sequence[Break] = ()):
        self.places, self.reaches, self.breaks = places, tuple(reaches), tuple(breaks)
        _, _, lengths = ELLIPSOID.inv(places[:-1, 0], places[:-1, 1], places[1:, 0], places[1:, 1])
        self.reached = np.r_[0.0, np.cumsum(lengths)]
        self.bounds = Bounds(*places.min(axis=0).tolist(), *places.max(axis=0).tolist())
        self._tree: shapely.STRtree | None = None

    @property
    def length(self) -> float:
        return float(self.reached[-1])

    def at(self, ground: float) -> Place:
        return float(np.interp(ground, self.reached, self.places[:, 0])), float(np.interp(ground, self.reached, self.places[:, 1]))

    def heading(self, ground: float) -> float:
        """Degrees clockwise from north in which stakes count there."""
        leg = int(np.clip(np.searchsorted(self.reached, ground, side="right") - 1, 0, len(self.places) - 2))
        (lon, lat), (to_lon, to_lat) = self.places[leg : leg + 2].tolist()
        return ELLIPSOID.inv(lon, lat, to_lon, to_lat)[0] % 360.0

    def between(self, start: float, end: float) -> shapely.LineString:
        """The line from so many metres to so many, CRS84."""
        inner = self.places[(self.reached > start) & (self.reached < end)]
        return shapely.LineString(np.vstack([self.at(start), inner, self.at(end)]))

    def foot(self, place: Place, within: float) -> Foot | None:
        """The nearest place of the line, where that is within so many metres."""
        box = box_around(place, within)
        meet = self.bounds.intersection(box)
        if meet.left > meet.right or meet.bottom > meet.top:
            return None
        if self._tree is None:
            self._tree = shapely.STRtree(shapely.linestrings(np.stack([self.places[:-1], self.places[1:]], axis=1)))
        legs = np.sort(self._tree.query(shapely.box(*box)))
        if not len(legs):
            return None
        start, end = _around(place, self.places[legs]), _around(place, self.places[legs + 1])
        along = end - start
        squares = (along**2).sum(axis=1)
        shares = np.clip(-(start * along).sum(axis=1) / np.where(squares > 0, squares, 1.0), 0.0, 1.0)
        nearest = start + shares[:, None] * along
        metres = np.hypot(*nearest.T)
        best = int(np.argmin(metres.round(6)))              # of legs that meet there, the first
        if metres[best] > within:
            return None
        leg = int(legs[best])
        is_right = along[best, 0] * nearest[best, 1] - along[best, 1] * nearest[best, 0] > 0       # the line lies to the left of the place
        ground = self.reached[leg] + shares[best] * (self.reached[leg + 1] - self.reached[leg])
        return Foot(float(ground), float(metres[best] if is_right else -metres[best]))


def _around(place: Place, places: np.ndarray) -> np.ndarray:
    """Metres east and north of a place, for what lies near it: true to 1 in 10,000 within a kilometre."""
    sine = math.sin(math.radians(place[1]))
    bend = 1 - ELLIPSOID.es * sine * sine
    north, east = ELLIPSOID.a * (1 - ELLIPSOID.es) / bend**1.5, ELLIPSOID.a / math.sqrt(bend) * math.cos(math.radians(place[1]))
    return np.radians(places - place) * (east, north)


@dataclass(frozen=True, slots=True)
class Position:
    """A place on a route: of which run, how many metres on the ground from its start, on which reach."""

    run: int
    ground: float
    reach: Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What lies between two stakes: lines (CRS84) in the order of the stakes, metres on the ground, metres as the stakes count, and whether all of it is
    here."""

    lines: tuple[shapely.LineString, ...]
    length: float
    staked: float
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Route:
    """Runs in the order of their stakes; those without stakes are not among them."""

    name: str
    runs: tuple[Run, ...]

    def find(self, stake: Stake) -> list[Position]:
        """Every place that is called so, in the order in which one comes by; only the one that is meant, where the stake says which."""
        found: list[Position] = []
        for number, run in enumerate(self.runs):
            for reach in run.reaches:
                if reach.stakes[0] - 1e-6 <= stake.metres <= reach.stakes[1] + 1e-6:
                    ground = min(max(reach.ground_at(stake.metres), reach.ground[0]), reach.ground[1])
                    if not found or found[-1].run != number or ground - found[-1].ground > SAME:
                        found.append(Position(number, ground, reach))
        return found if stake.which is None else found[stake.which - 1 : stake.which]

    def one(self, stake: Stake) -> Position:
        """The place that is called so. Raises StakeRefused where there is none, or where there are several."""
        found = self.find(stake)
        if not found:
            raise StakeRefused("stake-none", route=self.name, stake=str(stake))
        if len(found) > 1:
            raise StakeRefused("stake-twice", route=self.name, stake=str(stake), count=str(len(found)))
        return found[0]

    def place(self, position: Position) -> Place:
        return self.runs[position.run].at(position.ground)

    def nearest(self, place: Place, within: float) -> tuple[Position, float] | None:
        """The position nearest to a place, and metres aside of it (right above 0); None where no stakes are counted so near."""
        best = None
        for number, run in enumerate(self.runs):
            foot = run.foot(place, within)
            reach = foot and next((one for one in run.reaches if one.ground[0] - SAME <= foot.ground <= one.ground[1] + SAME), None)
            if reach and (best is None or abs(foot.aside) < abs(best[1])):
                best = Position(number, foot.ground, reach), foot.aside
        return best

    def stretch(self, start: Stake, end: Stake) -> Stretch:
        """From one stake to another further on. Raises StakeRefused."""
        first, last = self.one(start), self.one(end)
        if (first.run, first.ground) >= (last.run, last.ground):
            raise StakeRefused("stakes-order")
        return self._joined((first.run, first.ground), (last.run, last.ground), is_whole=first.run == last.run)

    def known_part(self, start: Stake, end: Stake) -> Stretch:
        """What is known of a stretch whose ends may lie elsewhere. Raises StakeRefused where a stake has several places, or none of it is known."""
        if start.which is None and end.which is None and start.metres >= end.metres:
            raise StakeRefused("stakes-order")
        found = [self.find(stake) for stake in (start, end)]
        for stake, places in zip((start, end), found, strict=True):
            if len(places) > 1:
                raise StakeRefused("stake-twice", route=self.name, stake=str(stake), count=str(len(places)))
        if all(found):
            return self.stretch(start, end)
        inside = [
            (number, ground) for number, run in enumerate(self.runs) for reach in run.reaches
            if reach.stakes[0] < end.metres and reach.stakes[1] > start.metres
            for ground in (reach.ground_at(max(reach.stakes[0], start.metres)), reach.ground_at(min(reach.stakes[1], end.metres)))
        ]
        if not inside:
            raise StakeRefused("stake-none", route=self.name, stake=str(start))
        return self._joined(min(inside), max(inside), is_whole=False)

    def _joined(self, first: tuple[int, float], last: tuple[int, float], *, is_whole: bool) -> Stretch:
        lines, length, staked = [], 0.0, 0.0
        for number in range(first[0], last[0] + 1):
            run = self.runs[number]
            start = first[1] if number == first[0] else run.reaches[0].ground[0]
            end = last[1] if number == last[0] else run.reaches[-1].ground[1]
            if end > start:
                lines.append(run.between(start, end))
                length += end - start
                staked += sum(max(0.0, min(end, one.ground[1]) - max(start, one.ground[0])) * one.scale for one in run.reaches)
        return Stretch(lines=tuple(lines), length=length, staked=staked, is_whole=is_whole)


# -- how it is made

def route_of(name: str, lines: Iterable[shapely.Geometry], posts: Sequence[Post], crs: str) -> Route:
    """A route of lines in `crs`, in any order and direction, and of the posts beside it.

    Raises
    ------
    OutsideAreaOfUse
        A vertex is nowhere on earth.
    """
    runs = [Run(places) for places in _runs(lines, crs)]
    beside: list[list[SetOut]] = [[] for _ in runs]
    tree = shapely.STRtree([shapely.box(*run.bounds) for run in runs])
    for post in posts:
        near = tree.query(shapely.box(*box_around(post.place, OFF_THE_ROAD))).tolist()
        feet = [(abs(foot.aside), number, foot.ground) for number in near if (foot := runs[number].foot(post.place, OFF_THE_ROAD)) is not None]
        if feet:
            _, number, ground = min(feet)
            beside[number].append((ground, post))
    staked = [_staked(run, some) for run, some in zip(runs, beside, strict=True) if len(some) > 1]
    return Route(name, tuple(sorted((run for run in staked if run.reaches), key=lambda run: (run.reaches[0].stakes[0], *run.places[0].tolist()))))


def _runs(lines: Iterable[shapely.Geometry], crs: str) -> Iterator[np.ndarray]:
    parts = shapely.get_parts(shapely.force_2d(np.array(list(lines), object)))
    parts = parts[(shapely.get_dimensions(parts) == 1) & (shapely.length(parts) > 0)]
    if not len(parts):
        return
    fine = shapely.segmentize(_joined_ends(parts, crs), FINE_DEGREES if is_geographic(crs) else FINE_METRES)
    merged = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(list(transform_shapes(fine, crs, "CRS:84")))))
    for line in merged[np.lexsort(shapely.bounds(merged).T)]:
        places = shapely.get_coordinates(line)
        yield places[np.r_[True, (np.diff(places, axis=0) != 0).any(axis=1)]]


def _joined_ends(parts: np.ndarray, crs: str) -> np.ndarray:
    """Ends that all but touch, in one place."""
    ends = shapely.get_coordinates(np.concatenate([shapely.get_point(parts, 0), shapely.get_point(parts, -1)]))
    reach = math.degrees(TOUCHING / ELLIPSOID.a) if is_geographic(crs) else TOUCHING
    tree = shapely.STRtree(shapely.points(ends))
    first = np.arange(len(ends))
    one, other = tree.query(shapely.points(ends), predicate="dwithin", distance=reach)
    np.minimum.at(first, one, other)
    moved = []
    for number, line in enumerate(parts):
        points = shapely.get_coordinates(line)
        points[0], points[-1] = ends[first[number]], ends[first[number + len(parts)]]
        moved.append(shapely.LineString(points))
    return np.array(moved, object)


def _staked(run: Run, set_out: Sequence[SetOut]) -> Run:
    """A run with what its posts say, turned to the way in which they count."""
    run, set_out = _opened(run, sorted(set_out, key=_order))
    steps = [ahead.back - before.ahead for (_, before), (_, ahead) in zip(set_out, set_out[1:], strict=False)]
    if sum(step < 0 for step in steps) > sum(step > 0 for step in steps):
        length, run = run.length, Run(run.places[::-1])
        set_out = sorted(((length - ground, post) for ground, post in set_out), key=_order)
    reaches = [
        Reach((before, ahead), (one.ahead, other.back), True) for (before, one), (ahead, other) in zip(set_out, set_out[1:], strict=False)
        if ahead - before > SAME and LEAST_SCALE <= (other.back - one.ahead) / (ahead - before) <= MOST_SCALE
    ]
    if not reaches:
        return Run(run.places)
    (start, first), (end, last) = set_out[0], set_out[-1]
    before, behind = min(start, BEYOND, first.back), min(run.length - end, BEYOND)
    if before > SAME:
        reaches.insert(0, Reach((start - before, start), (first.back - before, first.back), False))
    if behind > SAME:
        reaches.append(Reach((end, end + behind), (last.ahead, last.ahead + behind), False))
    return Run(run.places, reaches, [Break(run.at(ground), post.back, post.ahead) for ground, post in set_out if post.back != post.ahead])


def _order(one: SetOut) -> tuple[float, float]:
    return one[0], one[1].back


def _opened(run: Run, set_out: list[SetOut]) -> tuple[Run, list[SetOut]]:
    """A ring begins where its stakes do."""
    start = min(set_out, key=lambda one: one[1].ahead)[0]
    if (run.places[0] != run.places[-1]).any() or not SAME < start < run.length - SAME:
        return run, set_out
    rest, begun = run.places[run.reached > start], run.places[(run.reached < start)][1:]
    opened = Run(np.vstack([run.at(start), rest, begun, run.at(start)]))
    return opened, sorted((((ground - start) % run.length, post) for ground, post in set_out), key=_order)
