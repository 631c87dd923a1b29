"""What the exact mask and the decision cost in process: the mask beside `rasterio.features.geometry_mask` on the clipped polygon, decisions,
tile hits and capabilities beside the bars of the design.

    .venv/bin/python bench/mask.py [--quick] [--json]
"""

import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import shapely
from harness import CannotMeasure, machine, main, say, table
from rasterio.features import geometry_mask
from rasterio.transform import from_bounds
from shapes import county

from layers.model import View
from tiles.area import ServedArea
from tiles.clip import Rings
from tiles.grids import TILE_MATRIX_SETS

VERTICES = (500, 5_000, 50_000)
BARS = {500: 1.5, 5_000: 1.5, 50_000: 3.0}               # ms at the 95th percentile, encoding excluded
ZOOMS = (9, 11, 13, 15, 17)
GRID = TILE_MATRIX_SETS["WebMercatorQuad"]
CENTRE, RADIUS = (119.0, 32.0), 0.25                      # degrees: a county of some 50 km


def edge_tiles(area: ServedArea, zooms: tuple[int, ...], wanted: int) -> list[tuple[int, int, int]]:
    """Tiles through which the border goes, some of each zoom, spread along the border."""
    border = shapely.get_exterior_ring(area.geometry_in(GRID.crs))
    found = []
    for z in zooms:
        points = shapely.get_coordinates(shapely.line_interpolate_point(border, np.linspace(0, 1, 4 * wanted, endpoint=False), normalized=True))
        span = GRID.resolutions[z] * GRID.tile_size
        left, top = GRID.origin
        tiles = dict.fromkeys((z, int((top - y) // span), int((x - left) // span)) for x, y in points)
        on_edge = [tile for tile in tiles if area.classify(GRID, *tile) == "edge"]
        found += on_edge[:: max(1, len(on_edge) // wanted)][:wanted]
    return found


def milliseconds(work: Callable[[View], np.ndarray], views: list[View]) -> np.ndarray:
    """Of each view, the better of two tries: a busy neighbour is not the mask's fault."""
    return np.array([min(_timed(work, view), _timed(work, view)) for view in views])


def _timed(work: Callable[[View], np.ndarray], view: View) -> float:
    began = time.perf_counter()
    work(view)
    return 1000 * (time.perf_counter() - began)


def by_rasterio(geometry: shapely.Geometry) -> Callable[[View], np.ndarray]:
    """The usual way, at its best: geometry kept and prepared, cut to the tile before it is burnt."""
    def mask(view: View) -> np.ndarray:
        part = shapely.clip_by_rect(geometry, *view.bounds)
        transform = from_bounds(*view.bounds, view.width, view.height)
        if part.is_empty:
            return np.zeros((view.height, view.width), bool)
        return geometry_mask([part], (view.height, view.width), transform, invert=True)
    return mask


def wrong_pixels(work: Callable[[View], np.ndarray], geometry: shapely.Geometry, view: View) -> int:
    """Pixels that disagree with asking GEOS about the centre of each."""
    step_x, step_y = view.resolution
    x = view.bounds.left + (np.arange(view.width) + 0.5) * step_x
    y = view.bounds.top - (np.arange(view.height) + 0.5) * step_y
    truth = shapely.contains_xy(geometry, *(grid.ravel() for grid in np.meshgrid(x, y))).reshape(view.height, view.width)
    return int((work(view) != truth).sum())


def measure_masks(quick: bool) -> dict[str, float]:
    wanted = 30 if quick else 120
    ratios, rows = {}, []
    for vertices in VERTICES:
        area = ServedArea(county(CENTRE, RADIUS, vertices), f"bench-{vertices}")
        geometry = area.geometry_in(GRID.crs)
        views = [GRID.view(*tile) for tile in edge_tiles(area, ZOOMS, wanted)]
        rings = Rings(geometry)
        ours, theirs = milliseconds(rings.mask, views), milliseconds(by_rasterio(geometry), views)
        whole = milliseconds(area.mask, views)
        checked = views[:: max(1, len(views) // 20)]
        wrong = sum(wrong_pixels(rings.mask, geometry, view) for view in checked)
        if wrong:
            raise CannotMeasure(f"the mask is wrong in {wrong} pixels: its speed means nothing")
        ratios[f"mask_{vertices}_vs_geometry_mask"] = float(np.median(theirs) / np.median(ours))
        ratios[f"mask_{vertices}_p95_bar"] = BARS[vertices] / float(np.percentile(ours, 95))
        ratios[f"mask_{vertices}_p95_vs_geometry_mask"] = float(np.percentile(theirs, 95) / np.percentile(ours, 95))
        wrong_theirs = sum(wrong_pixels(by_rasterio(geometry), geometry, view) for view in checked)
        rows.append([
            f"{vertices} vertices", len(views), *np.percentile(ours, (50, 95, 99)), np.percentile(whole, 95), *np.percentile(theirs, (50, 95, 99)),
            wrong, wrong_theirs,
        ])
    say("mask of one 256 px edge tile, ms (z 9 to 17)")
    table(
        ["border", "tiles", "ours p50", "p95", "p99", "with classify p95", "geometry_mask p50", "p95", "p99", "wrong px ours", "theirs"], rows,
    )
    return ratios


def measure_office(quick: bool) -> dict[str, float]:
    """The bars of design 8 that are times in process, as bar / measured: 1 or more is within the bar."""
    from office import GRANTS, LAYERS, Office

    times = 2_000 if quick else 10_000
    with tempfile.TemporaryDirectory(prefix="geoshare-bench-") as folder:
        office = Office(Path(folder))
        cold = office.capabilities()
        warm = median(office.capabilities() for _ in range(5))
        changed = []
        for _ in range(3):
            office.change_the_agreement()
            changed.append(office.capabilities())
        decisions = office.decisions(times)
        first, _ = office.tile_hits(times)
        hits, reads = office.tile_hits(times)
    say(f"\nin process, ms: {LAYERS} layers x {GRANTS} grants of 5000 vertices")
    table(["what", "p50", "p95", "p99"], [
        ["decision of a map, key to permit and record", *np.percentile(decisions, (50, 95, 99))],
        ["inside tile through the lane, first time", *np.percentile(first, (50, 95, 99))],
        ["inside tile through the lane", *np.percentile(hits, (50, 95, 99))],
        ["reading the tile's file alone", *np.percentile(reads, (50, 95, 99))],
    ])
    table(["GetCapabilities", "ms"], [["first of a process", cold], ["after a change of the agreement", median(changed)], ["again", warm]])
    overhead = float(np.percentile(first, 50) - np.percentile(reads, 50))
    return {
        "decision_p99_bar": 1.0 / float(np.percentile(decisions, 99)), "inside_overhead_bar": 0.3 / max(overhead, 1e-3),
        "capabilities_bar": 150 / median(changed), "capabilities_first_bar": 150 / cold,
    }


def measure(chosen: Namespace) -> dict[str, float]:
    say(machine())
    return measure_masks(chosen.quick) | measure_office(chosen.quick)


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0])
