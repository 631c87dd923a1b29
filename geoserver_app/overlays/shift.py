"""How far coordinates lie off what is known: measured by laying them over known lines, one trial shift after the other.

Data captured on an internet map are shifted by some 450 to 560 m towards the east-south-east (GCJ-02). Nothing here knows or undoes that
transformation: what is measured is one vector between two sets of shapes, and a person decides what it means.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

FARTHEST, STEP, NEAR = 720.0, 30.0, 21.0
"""Metres: of the longest trial shift, between trials (two neighbours reach what lies between them), and within which a place lies on a known line."""

FINE_STEP, FINE_NEAR = 5.0, 6.0
MOST_PLACES = 120
FEWEST_PLACES = 8
AGREEING, BETTER = 0.5, 0.3
"""Share of the places that must lie on known lines under a shift, and by how much more than without one."""

SHORTEST, LONGEST = 300.0, 700.0
FIRST_AZIMUTH, LAST_AZIMUTH = 85.0, 145.0
"""What a shift must be like to be suspected: metres, and degrees from north."""

METRES_A_DEGREE = 111_195.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """By how much the places lie off the known lines. `agreeing` of `places` lie on one when that is taken back; `at_rest` as they are."""

    metres: float
    azimuth: float              # degrees from north, clockwise: in which direction they are off
    agreeing: int
    at_rest: int
    places: int

    @property
    def is_seen(self) -> bool:
        """Whether it is known at all."""
        return self.agreeing >= max(FEWEST_PLACES, AGREEING * self.places)

    @property
    def is_suspect(self) -> bool:
        return (
            self.is_seen and self.agreeing >= self.at_rest + BETTER * self.places
            and SHORTEST <= self.metres <= LONGEST and FIRST_AZIMUTH <= self.azimuth <= LAST_AZIMUTH
        )


def measured(shapes: Sequence[BaseGeometry], known: Sequence[BaseGeometry]) -> Offset | None:
    """The shift under which most places of `shapes` lie on lines of `known`; both in CRS84. None where there is too little of either."""
    places = _places(shapes)
    if len(places) < FEWEST_PLACES or not len(known):
        return None
    origin = places.mean(axis=0)
    scale = np.array([METRES_A_DEGREE * math.cos(math.radians(origin[1])), METRES_A_DEGREE])
    metres = (places - origin) * scale
    lines = [shapely.transform(line, lambda at: (at - origin) * scale) for line in map(_as_lines, known) if not line.is_empty]
    tree = shapely.STRtree(lines)
    trials = _disc(FARTHEST, STEP)
    scores = _agreeing(metres, tree, trials, NEAR)
    at_rest = int(_agreeing(metres, tree, np.zeros((1, 2)), NEAR)[0])
    best = trials[_first_best(scores, trials)]
    finer = best + _disc(STEP, FINE_STEP)
    fine = _agreeing(metres, tree, finer, FINE_NEAR)
    vector = finer[fine == fine.max()].mean(axis=0)
    agreeing = int(max(scores.max(), fine.max()))
    return Offset(
        metres=round(float(np.hypot(*vector)), 1), azimuth=round(math.degrees(math.atan2(vector[0], vector[1])) % 360, 1), agreeing=agreeing,
        at_rest=at_rest, places=len(metres),
    )


def _places(shapes: Sequence[BaseGeometry]) -> np.ndarray:
    """Vertices, spread evenly over all of them."""
    vertices = shapely.get_coordinates(shapes)
    vertices = np.unique(vertices, axis=0)
    if len(vertices) > MOST_PLACES:
        vertices = np.random.default_rng(0).permutation(vertices)[:MOST_PLACES]
    return vertices


def _as_lines(shape: BaseGeometry) -> BaseGeometry:
    return shape.boundary if shape.geom_type in ("Polygon", "MultiPolygon") else shape


def _disc(radius: float, step: float) -> np.ndarray:
    """Vectors (x, y) on a grid within a radius, the shortest first."""
    ticks = np.arange(-math.floor(radius / step), math.floor(radius / step) + 1) * step
    x, y = (part.ravel() for part in np.meshgrid(ticks, ticks))
    lengths = np.hypot(x, y)
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] <= radius]
    return np.stack([x[order], y[order]], axis=1)


def _agreeing(places: np.ndarray, tree: shapely.STRtree, shifts: np.ndarray, near: float) -> np.ndarray:
    """For each shift, how many places lie near a line once it is taken back."""
    moved = shapely.points((places[None] - shifts[:, None]).reshape(-1, 2))
    hits = np.unique(tree.query(moved, predicate="dwithin", distance=near)[0])
    return np.bincount(hits // len(places), minlength=len(shifts))


def _first_best(scores: np.ndarray, trials: np.ndarray) -> int:
    """The shortest of the best."""
    return int(np.flatnonzero(scores == scores.max())[0])
