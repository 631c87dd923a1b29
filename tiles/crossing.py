"""Shapes that reach across a border. A picture of all that shows one tells how it goes on beyond: which vertices it has left where it is drawn coarser,
where its dashes fall and its name stands hang on the whole of it. So near is not only what is drawn of ground beyond, but what any of these is drawn in.
The plain fill of an area hangs on nothing: where no name is written into it, its outline alone counts.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from layers.model import Bounds, FeatureClass
from tiles.errors import RenderFailed

FEATURES_A_PIECE, MOST_PIECES = 2_000, 64
"""A table is asked along the border, in as many boxes as its size is worth."""


class Crossing:
    """Lines and areas of an edition that reach across the border of a ground. May be shared by threads.

    Parameters
    ----------
    source : Path
        The edition's vectors.
    tables : sequence of (FeatureClass, bool)
        What is drawn, and whether names or symbols are written into it.
    ground : shapely geometry
        In the edition's CRS.
    hair : float
        By less than this a shape does not reach across: two lines that follow one border are never quite one.

    Raises
    ------
    RenderFailed
        The data can't be read now.
    """

    def __init__(self, source: Path, tables: Sequence[tuple[FeatureClass, bool]], ground: shapely.Geometry, hair: float):
        border, grown = shapely.boundary(ground), shapely.buffer(ground, hair, quad_segs=1)
        shapely.prepare(border)
        shapely.prepare(grown)
        found = []
        try:
            for table, is_written in tables:
                if table.geometry == "point" or border.is_empty:
                    continue
                for box in _boxes_along(border, table):
                    shapes = _touching(source, table, border, box)
                    shapes = shapes[~shapely.covers(grown, shapes)]
                    found.append(shapes if is_written or table.geometry == "line" else shapely.boundary(shapes))
        except (DataSourceError, DataLayerError, RuntimeError) as fault:
            raise RenderFailed("the line map can't be drawn now: try again later") from fault
        self._tree = shapely.STRtree(np.concatenate(found) if found else [])

    def reaches(self, box: Bounds) -> bool:
        """Whether any of them comes into a box of the edition's CRS."""
        return len(self._tree.query(shapely.box(*box), predicate="intersects")) > 0


def _touching(source: Path, table: FeatureClass, border: shapely.Geometry, box: Bounds) -> np.ndarray:
    shapes = shapely.from_wkb(pyogrio.raw.read(source, layer=table.name, columns=[], bbox=tuple(box), force_2d=True)[2])
    shapes = shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    return shapes[shapely.intersects(border, shapes)]


def _boxes_along(border: shapely.Geometry, table: FeatureClass) -> Iterator[Bounds]:
    """Boxes that hold all of a border as far as the table reaches; a shape may lie in several."""
    many = min(MOST_PIECES, math.ceil(table.count / FEATURES_A_PIECE)) or 1
    for line in shapely.get_parts(shapely.segmentize(border, max(border.length / many / 4, 1e-9)) if many > 1 else border):
        places = shapely.get_coordinates(line)
        pieces = max(1, round(many * line.length / border.length)) if border.length else 1
        for first in range(0, len(places) - 1, step := math.ceil(len(places) / pieces)):
            held = places[first : first + step + 1]
            box = Bounds(*held.min(axis=0), *held.max(axis=0))
            if box.intersects(table.bounds):
                yield box
