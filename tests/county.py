"""A synthetic county for tests and for looking at: 8 x 6 km in EPSG:4549, every DLG class with GB/T 13923 codes and invented Chinese names.

Nothing of it is real. The same seed gives the same county.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import cv2
import geopandas
import numpy as np
import pyogrio
import shapely
from shapely.geometry import LineString, Point, Polygon, box

from layers.feature_classes import FeatureClassTable
from layers.model import Bounds, Edition, FeatureClass, ProductType

CRS = "EPSG:4549"
WEST, SOUTH, EAST, NORTH = 384_000.0, 3_548_000.0, 392_000.0, 3_554_000.0
GEOMETRIES = {"Point": "point", "LineString": "line", "MultiLineString": "line", "Polygon": "area", "MultiPolygon": "area"}


@dataclass(frozen=True)
class County:
    folder: Path
    edition: Edition


def write_county(folder: Path, config: Path) -> County:
    """Writes `county.gpkg` into `folder`; the edition describes it as the catalogue would."""
    tables = _tables()
    for name, frame in tables.items():
        pyogrio.write_dataframe(frame, folder / "county.gpkg", layer=name, append=(folder / "county.gpkg").exists())
    return County(folder, edition_of(folder / "county.gpkg", config))


def edition_of(geopackage: Path, config: Path, product: ProductType = ProductType.DLG, tables: tuple[str, ...] = ()) -> Edition:
    """An edition of the tables of a GeoPackage that lies alone in its folder."""
    known = FeatureClassTable.load(config / "dlg_classes.csv")
    classes = []
    for name, geometry_type in pyogrio.list_layers(geopackage):
        geometry = GEOMETRIES.get(str(geometry_type).removesuffix(" Z"))
        if geometry is None or (tables and name not in tables):
            continue
        info = pyogrio.read_info(geopackage, layer=name, force_total_bounds=True, force_feature_count=True)
        kind = known.kind_of(name, geometry)
        title_zh, title_en = known.titles(kind)
        classes.append(FeatureClass(
            name=name, kind=kind, title_zh=title_zh or name, title_en=title_en or name, geometry=geometry, fields=tuple(info["fields"]),
            count=info["features"], bounds=Bounds(*info["total_bounds"]),
        ))
    crs = info["crs"]
    extent = geopandas.GeoSeries([box(*classes[0].bounds)], crs=crs).to_crs("OGC:CRS84").iloc[0]
    return Edition(
        edition_id=1, name="2011", layer="dlg", product=product, currency=(date(2010, 1, 1), date(2011, 12, 31)), generation=1, folder=".",
        crs=crs, extent=extent, resolution=None, classes=tuple(classes), vectors=geopackage.name,
    )


def make_other_beyond(geopackage: Path, grant: shapely.Geometry) -> None:
    """Everything that lies wholly beyond `grant` (in the CRS of the tables) becomes other: elsewhere, and of another name. Keys and order stay, and so does
    all that is within."""
    target = geopackage.with_name("other.gpkg")
    for name, _ in pyogrio.list_layers(geopackage):
        frame = pyogrio.read_dataframe(geopackage, layer=name)
        shapes = frame.geometry.to_numpy()
        beyond = ~shapely.intersects(grant, shapes)
        if "NAME" in frame:
            frame.loc[beyond, "NAME"] = "界外"
        moved = shapely.transform(shapes, lambda xy: xy + (137.0, -61.0))
        frame.geometry = np.where(beyond & ~shapely.intersects(grant, moved), moved, shapes)
        pyogrio.write_dataframe(frame, target, layer=name, append=target.exists())
    target.replace(geopackage)


def _frame(rows: list[dict]) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame(rows, geometry="geometry", crs=CRS)


def _along(*points: tuple[float, float], steps: int = 24) -> LineString:
    """A smooth line through fractions of the county."""
    t = np.linspace(0, 1, len(points))
    x, y = (np.interp(np.linspace(0, 1, steps), t, values) for values in zip(*points, strict=True))
    kernel = np.ones(5) / 5
    smooth = [np.concatenate([v[:2], np.convolve(v, kernel, mode="valid"), v[-2:]]) for v in (x, y)]
    return LineString([(WEST + a * (EAST - WEST), SOUTH + b * (NORTH - SOUTH)) for a, b in zip(*smooth, strict=True)])


def _place(a: float, b: float) -> Point:
    return Point(WEST + a * (EAST - WEST), SOUTH + b * (NORTH - SOUTH))


def _tables() -> dict[str, geopandas.GeoDataFrame]:
    river = _along((0, 0.30), (0.15, 0.34), (0.32, 0.26), (0.5, 0.33), (0.68, 0.22), (0.85, 0.27), (1, 0.2), steps=60)
    brook = _along((0.36, 1.0), (0.4, 0.85), (0.37, 0.7), (0.44, 0.55), (0.41, 0.42), (0.43, 0.3), steps=50)
    canal = _along((0.78, 1.0), (0.78, 0.7), (0.76, 0.45), (0.75, 0.24), steps=30)
    lake = Polygon(_along((0.10, 0.58), (0.14, 0.68), (0.22, 0.7), (0.27, 0.62), (0.22, 0.54), (0.14, 0.52), (0.10, 0.58), steps=48))
    bed = river.buffer(85).difference(Polygon())
    motorway = _along((0, 0.86), (0.3, 0.8), (0.6, 0.84), (1, 0.72), steps=40)
    national = _along((0.0, 0.47), (0.25, 0.45), (0.5, 0.5), (0.75, 0.46), (1, 0.52), steps=40)
    provincial = _along((0.55, 0), (0.57, 0.3), (0.54, 0.5), (0.6, 0.75), (0.58, 1), steps=40)
    county = _along((0.30, 0.0), (0.33, 0.22), (0.30, 0.45), (0.28, 0.8), steps=40)
    railway = _along((0.0, 0.12), (0.4, 0.14), (0.7, 0.1), (1, 0.06), steps=40)
    villages = _villages()
    return {
        "VEGA": _frame(_vegetation()),
        "RESA": _frame(_houses(villages)),
        "TERL": _frame(_contours()),
        "HYDA": _frame([
            {"GB": 2101013, "NAME": None, "geometry": bed},
            {"GB": 2301013, "NAME": "青石湖", "geometry": lake},
            {"GB": 2301023, "NAME": None, "geometry": _place(0.64, 0.4).buffer(70)},
        ]),
        "HYDL": _frame([
            {"GB": 2101012, "NAME": "清溪河", "geometry": river},
            {"GB": 2101012, "NAME": "柳叶河", "geometry": brook},
            {"GB": 2201002, "NAME": "永丰运河", "geometry": canal},
            {"GB": 2202012, "NAME": None, "geometry": _along((0.78, 0.6), (0.9, 0.62), (1, 0.6))},
            *({"GB": 2203012, "NAME": None, "geometry": _along((0.8 + 0.045 * i, 0.61), (0.8 + 0.045 * i, 0.47))} for i in range(5)),
        ]),
        "HFCL": _frame([
            {"GB": 2701022, "NAME": "清溪堤", "geometry": _along((0, 0.335), (0.15, 0.375), (0.32, 0.295), (0.5, 0.365), steps=50)},
            {"GB": 2706002, "NAME": "柳叶坝", "geometry": LineString([_place(0.40, 0.42), _place(0.42, 0.42)])},
        ]),
        "BOUL": _frame([
            {"GB": 630201, "geometry": _along((0.9, 0), (0.93, 0.3), (0.9, 0.6), (0.95, 1), steps=50)},
            {"GB": 650201, "geometry": _along((0, 0.74), (0.3, 0.74), (0.48, 0.66), (0.7, 0.7), (0.91, 0.62), steps=50)},
        ]),
        "LRDL": _frame([
            {"GB": 4209012, "NAME": "宁丰高速公路", "RN": "G42", "geometry": motorway},
            {"GB": 4201012, "NAME": "青丰线", "RN": "G312", "geometry": national},
            {"GB": 4202012, "NAME": "柳青公路", "RN": "S122", "geometry": provincial},
            {"GB": 4203012, "NAME": "石塘路", "RN": None, "geometry": county},
            *({"GB": code, "NAME": name, "RN": None, "geometry": line} for code, name, line in _small_roads(villages)),
        ]),
        "LRRL": _frame([{"GB": 4101012, "NAME": "宁芜铁路（示意）", "geometry": railway}]),
        "LFCL": _frame([
            {"GB": 4503062, "NAME": "清溪大桥", "geometry": _crossing(provincial, river, 130)},
            {"GB": 4503062, "NAME": "石塘桥", "geometry": _crossing(county, river, 130)},
        ]),
        "PIPL": _frame([{"GB": 510100, "geometry": _along((0, 0.95), (0.5, 0.93), (1, 0.97))}]),
        "TERP": _frame([
            {"ELEV": round(_height(a, b), 1), "geometry": _place(a, b)}
            for a, b in [(0.12, 0.92), (0.5, 0.15), (0.7, 0.6), (0.86, 0.4), (0.22, 0.2)]
        ]),
        "RFCP": _frame([{"NAME": "青石小学", "geometry": _place(0.62, 0.58)}]),
        "AANP": _frame([
            {"NAME": "凤凰山", "CLASS": "山", "geometry": _place(0.13, 0.9)}, {"NAME": "卧牛岭", "CLASS": "山", "geometry": _place(0.66, 0.93)},
        ]),
        "AGNP": _frame([
            {"NAME": "青石县", "CLASS": "AE", "geometry": _place(0.6, 0.57)},
            {"NAME": "柳塘镇", "CLASS": "AF", "geometry": _place(0.25, 0.42)},
            *({"NAME": name, "CLASS": "BB", "geometry": centre} for name, centre in villages),
        ]),
        "CPTP": _frame([{"NAME": "凤凰山三角点", "GRADE": "二等", "geometry": _place(0.125, 0.925)}]),
    }


def _crossing(road: LineString, river: LineString, half: float) -> LineString:
    at = road.project(road.intersection(river))
    return shapely.ops.substring(road, at - half, at + half)


def _villages() -> list[tuple[str, Point]]:
    names = "石塘 王家村 李家庄 上柳 下柳 东埂 西埂 河湾 前庄 后庄 新丰 永和".split()
    spots = [
        (0.34, 0.58), (0.48, 0.6), (0.68, 0.34), (0.2, 0.38), (0.12, 0.2), (0.85, 0.55),
        (0.86, 0.32), (0.4, 0.2), (0.66, 0.14), (0.25, 0.08), (0.45, 0.75), (0.86, 0.86),
    ]
    return [(name, _place(*spot)) for name, spot in zip(names, spots, strict=True)]


def _houses(villages: list[tuple[str, Point]]) -> list[dict]:
    random = np.random.default_rng(7)
    rows = []
    for a, b, columns, lines in [(0.57, 0.52, 8, 6), (0.22, 0.4, 4, 3)]:
        corner = _place(a, b)
        for i in range(columns):
            for j in range(lines):
                x, y = corner.x + i * 105, corner.y + j * 95
                rows.append({"GB": 3102003, "NAME": None, "geometry": box(x, y, x + 84, y + 74)})
    for _, centre in villages:
        for _ in range(26):
            x, y = centre.x + random.normal(0, 110), centre.y + random.normal(0, 80)
            house = box(x, y, x + random.uniform(9, 22), y + random.uniform(8, 13))
            rows.append({"GB": 3103003, "NAME": None, "geometry": shapely.affinity.rotate(house, random.uniform(-12, 12))})
    return rows


def _small_roads(villages: list[tuple[str, Point]]) -> list[tuple[int, str | None, LineString]]:
    roads: list[tuple[int, str | None, LineString]] = []
    for (name, here), (_, there) in zip(villages, villages[1:], strict=False):
        bend = ((here.x + there.x) / 2 + 140, (here.y + there.y) / 2 - 90)
        roads.append((4204002, f"{name}路", LineString([here, bend, there])))
    for _, centre in villages:
        roads.append((4401002, None, LineString([centre, (centre.x + 420, centre.y + 260)])))
        roads.append((4403002, None, LineString([centre, (centre.x - 300, centre.y + 340)])))
    town = _place(0.57, 0.52)
    across = [LineString([(town.x - 20, town.y - 10 + 95 * j), (town.x + 830, town.y - 10 + 95 * j)]) for j in range(7) if j != 3]
    along = [LineString([(town.x - 10 + 105 * i, town.y - 20), (town.x - 10 + 105 * i, town.y + 570)]) for i in range(9) if i != 4]
    roads += [(4305032, None, street) for street in across + along]
    roads.append((4305012, "人民路", LineString([(town.x - 60, town.y + 275), (town.x + 900, town.y + 275)])))
    roads.append((4305012, "中山路", LineString([(town.x + 410, town.y - 60), (town.x + 410, town.y + 640)])))
    return roads


def _vegetation() -> list[dict]:
    wood = Polygon(_along((0.02, 0.8), (0.06, 0.97), (0.2, 0.98), (0.24, 0.86), (0.14, 0.78), (0.02, 0.8), steps=40))
    ridge = Polygon(_along((0.56, 0.88), (0.62, 0.98), (0.75, 0.97), (0.74, 0.89), (0.56, 0.88), steps=40))
    paddies = [box(*_place(0.79 + 0.045 * i, 0.48).coords[0], *_place(0.825 + 0.045 * i, 0.595).coords[0]) for i in range(4)]
    orchard = box(*_place(0.44, 0.08).coords[0], *_place(0.52, 0.2).coords[0])
    return [
        {"GB": 810500, "NAME": "凤凰山林场", "geometry": wood}, {"GB": 810500, "NAME": None, "geometry": ridge},
        *({"GB": 810301, "NAME": None, "geometry": field} for field in paddies), {"GB": 810400, "NAME": None, "geometry": orchard},
    ]


def _height(a, b):
    """Metres at fractions of the county: two hills on a plain that slopes to the river."""
    west_hill = 78 * np.exp(-(((a - 0.13) / 0.09) ** 2 + ((b - 0.92) / 0.12) ** 2))
    north_ridge = 52 * np.exp(-(((a - 0.66) / 0.12) ** 2 + ((b - 0.96) / 0.1) ** 2))
    return 6 + 8 * b + west_hill + north_ridge + 1.2 * np.sin(9 * a) * np.cos(7 * b)


def _contours() -> list[dict]:
    columns, lines = 401, 301
    heights = _height(np.linspace(0, 1, columns)[None, :], np.linspace(0, 1, lines)[:, None])
    rows = []
    for level in np.arange(10.0, 90.0, 2.5):
        rings, _ = cv2.findContours((heights >= level).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        for ring in rings:
            if len(ring) < 12:
                continue
            x, y = _smoothed(ring[:, 0, :].astype(float))
            line = LineString(np.column_stack([WEST + x / (columns - 1) * (EAST - WEST), SOUTH + y / (lines - 1) * (NORTH - SOUTH)]))
            inside = line.intersection(box(WEST, SOUTH, EAST, NORTH).buffer(-25))
            code = 7101022 if level % 12.5 == 0 else 7101012
            rows += [{"GB": code, "ELEV": level, "geometry": part} for part in getattr(inside, "geoms", [inside]) if part.length > 100]
    return rows


def _smoothed(ring: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    width = 9
    around = np.vstack([ring[-width:], ring, ring[:width + 1]])
    kernel = np.ones(2 * width + 1) / (2 * width + 1)
    return tuple(np.convolve(around[:, i], kernel, mode="valid") for i in (0, 1))
