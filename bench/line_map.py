"""A made-up line map for benches: roads, water, fields, houses, contours, boundaries and names of some hundred square kilometres, the same in every run.

Sorted by place, as sheets are delivered. Written as the product's GeoPackage, and from there into PostGIS by whoever wants to compare.
"""

from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import shapely

CRS = "EPSG:4549"
LEFT, TOP = 380_000.0, 3_560_000.0                  # metres, x before y: 118.7 E, 32.1 N

ROADS = ((420901, 0.002), (420101, 0.01), (420201, 0.03), (420301, 0.06), (420401, 0.25), (430503, 0.35), (440101, 0.2), (440301, 0.098))
STREAMS = ((210101, 0.15), (220100, 0.1), (220201, 0.3), (220301, 0.45))
FIELDS = ((810500, 0.3), (810301, 0.4), (810300, 0.2), (810400, 0.1))
PLACES = (("AE", 0.01), ("AF", 0.09), ("BB", 0.9))


def write_line_map(path: Path, side_km: float, *, seed: int = 11) -> dict[str, int]:
    """Writes the tables into a new GeoPackage; how many features each has."""
    tables = line_map(side_km, seed=seed)
    for name, frame in tables.items():
        pyogrio.write_dataframe(frame, path, layer=name, append=path.exists())
    return {name: len(frame) for name, frame in tables.items()}


def line_map(side_km: float, *, seed: int = 11) -> dict[str, geopandas.GeoDataFrame]:
    rng, side, ground = np.random.default_rng(seed), side_km * 1000, side_km * side_km
    return {
        "VEGA": _frame(_blobs(rng, int(6 * ground), side, (60, 300), 40), GB=_codes(rng, FIELDS, int(6 * ground))),
        "RESA": _frame(_houses(rng, int(60 * ground), side), GB=np.full(int(60 * ground), 310300)),
        "TERL": _frame(_wanderings(rng, int(3 * ground), side, 150, 25), GB=_codes(rng, ((710101, 0.8), (710102, 0.2)), int(3 * ground)),
                       ELEV=rng.integers(1, 400, int(3 * ground)) * 2.5),
        "HYDA": _frame(_blobs(rng, int(3 * ground), side, (20, 200), 60), GB=np.full(int(3 * ground), 230101), NAME=_names(rng, int(3 * ground), "湖", 0.3)),
        "HYDL": _frame(_wanderings(rng, int(5 * ground), side, 30, 40), GB=_codes(rng, STREAMS, int(5 * ground)), NAME=_names(rng, int(5 * ground), "河", 0.5)),
        "BOUL": _frame(_wanderings(rng, max(int(0.02 * ground), 4), side, 1500, 20), GB=_codes(rng, ((640201, 0.3), (650201, 0.7)), max(int(0.02 * ground), 4))),
        "LRDL": _frame(_wanderings(rng, int(15 * ground), side, 14, 45), GB=_codes(rng, ROADS, int(15 * ground)), NAME=_names(rng, int(15 * ground), "路", 0.4),
                       RN=_names(rng, int(15 * ground), "", 0.05)),
        "AGNP": _frame(shapely.points(*_spots(rng, int(ground), side).T), NAME=_names(rng, int(ground), "村", 1.0), CLASS=_codes(rng, PLACES, int(ground))),
    }


def _frame(shapes: np.ndarray, **columns) -> geopandas.GeoDataFrame:
    """Sorted by squares of 2 km, as sheets are."""
    x, y = shapely.get_coordinates(shapely.point_on_surface(shapes)).T if shapely.get_type_id(shapes[0]) else shapely.get_coordinates(shapes).T
    order = np.lexsort((x // 2000, y // 2000))
    return geopandas.GeoDataFrame({name: np.asarray(values)[order] for name, values in columns.items()}, geometry=shapes[order], crs=CRS)


def _codes(rng: np.random.Generator, shares, count: int) -> np.ndarray:
    return rng.choice(np.array([code for code, _ in shares]), count, p=[share for _, share in shares])


def _names(rng: np.random.Generator, count: int, ending: str, share: float) -> np.ndarray:
    syllables = np.array(list("青石柳塘丰河上下东西永新安和平山水林田园宁江"))
    picked = syllables[rng.integers(0, len(syllables), (count, 2))]
    names = np.char.add(np.char.add(picked[:, 0], picked[:, 1]), ending).astype(object)
    names[rng.random(count) >= share] = None
    return names


def _spots(rng: np.random.Generator, count: int, side: float) -> np.ndarray:
    return np.column_stack([LEFT + rng.random(count) * side, TOP - rng.random(count) * side])


def _wanderings(rng: np.random.Generator, count: int, side: float, vertices: int, step: float) -> np.ndarray:
    """Lines that turn a little at every vertex; half to twice as many of these."""
    sizes = rng.integers(vertices // 2, 2 * vertices, count)
    ends = np.cumsum(sizes)
    owner = np.repeat(np.arange(count), sizes)
    turning = rng.normal(0, 0.18, len(owner))
    turning[ends - sizes] = rng.random(count) * 2 * np.pi
    heading = np.cumsum(turning)
    heading -= (np.repeat(heading[ends - sizes] - turning[ends - sizes], sizes))
    walk = np.column_stack([np.cos(heading), np.sin(heading)]) * step
    walk[ends - sizes] = _spots(rng, count, side)
    places = np.cumsum(walk, axis=0)
    places -= np.repeat(places[ends - sizes] - walk[ends - sizes], sizes, axis=0)
    return shapely.linestrings(places.round(2), indices=owner)


def _blobs(rng: np.random.Generator, count: int, side: float, radius: tuple[float, float], vertices: int) -> np.ndarray:
    middle, size = _spots(rng, count, side), rng.uniform(*radius, count)
    turn = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    wobble = 1 + 0.25 * np.sin(3 * turn[None] + rng.random((count, 1)) * 6) + 0.06 * rng.normal(size=(count, vertices))
    x = middle[:, :1] + size[:, None] * wobble * np.cos(turn)
    y = middle[:, 1:] + size[:, None] * wobble * np.sin(turn)
    return shapely.polygons(np.stack([x, y], axis=2).round(2))


def _houses(rng: np.random.Generator, count: int, side: float) -> np.ndarray:
    villages = _spots(rng, max(count // 80, 1), side)
    middle = villages[rng.integers(0, len(villages), count)] + rng.normal(0, 140, (count, 2))
    half, turn = rng.uniform(4, 12, (count, 2)), rng.uniform(-0.3, 0.3, count)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])[None] * half[:, None]
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    x, y = corners[..., 0] * cos - corners[..., 1] * sin, corners[..., 0] * sin + corners[..., 1] * cos
    return shapely.polygons(np.stack([x + middle[:, :1], y + middle[:, 1:]], axis=2).round(2))
