"""The line map of the model county: everything that a surveyor would draw, laid over the terrain.

Through roads follow the ground by cheapest path; farm land is cut by ditches and tracks into a pattern that the orthophoto repeats.
"""

import heapq
from dataclasses import dataclass, field

import cv2
import numpy as np
import shapely
from rasterio import features as burn
from shapely.geometry import LineString, MultiPoint, Point, Polygon
from shapely.geometry.base import BaseGeometry

from geoserver_app.model_county import names, plan
from geoserver_app.model_county.contours import contours
from geoserver_app.model_county.terrain import COARSE, Frame, Terrain, chaikin, noise, rounded, smooth_line, smoothstep

ROAD_CELL = 2 * COARSE
FOREST_CELL = 10

ROADS = {
    "G": ("420101", "一级", 24.0, 4),
    "S": ("420201", "二级", 15.0, 2),
    "X": ("420301", "三级", 9.0, 2),
    "Y": ("420400", "四级", 5.5, 1),
}
"""Initial of the route number -> GB code, technical grade, width in metres, lanes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """A village or town: where it stands, how its houses are turned."""

    name: names.Name
    centre: tuple[float, float]
    shape: BaseGeometry
    angle: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Ground between streets: `kind` is 住宅, 商业, 学校, 公园, 工业 or 农村."""

    shape: Polygon
    angle: float
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class County:
    """Everything of the model county. `tables`: DLG class -> rows of (geometry in EPSG:4549, attributes)."""

    terrain: Terrain
    boundary: Polygon
    divisions: tuple[tuple[str, str, str, BaseGeometry], ...]  # code, name, English name, geometry
    farms: np.ndarray  # x, y, angle, strip width of each farm quarter
    forest: np.ndarray  # 0..1 on FOREST_CELL
    blocks: tuple[Block, ...]
    villages: tuple[Settlement, ...]
    tables: dict[str, list[tuple[BaseGeometry, dict]]] = field(default_factory=dict)

    def add(self, table: str, geometry: BaseGeometry, **attributes) -> None:
        self.tables.setdefault(table, []).extend((part, attributes) for part in getattr(geometry, "geoms", [geometry]) if not part.is_empty)

    def lines(self, table: str) -> list[tuple[BaseGeometry, dict]]:
        return self.tables.get(table, [])


def build_county(terrain: Terrain, boundary: Polygon) -> County:
    """The county within `boundary` (EPSG:4549)."""
    farms = _farms(terrain)
    county = County(
        terrain=terrain,
        boundary=boundary,
        divisions=_divisions(terrain, boundary),
        farms=farms,
        forest=_forest(terrain),
        blocks=(),
        villages=(),
    )
    waters = shapely.union_all([terrain.river, terrain.lake, *(r.shape for r in terrain.reservoirs)])
    towns, blocks = _towns(county, waters)
    network = _through_roads(county, towns)
    villages, more = _villages(county, waters, network, towns)
    county = County(
        terrain=terrain,
        boundary=boundary,
        divisions=county.divisions,
        farms=farms,
        forest=county.forest,
        blocks=(*blocks, *more),
        villages=villages,
        tables=county.tables,
    )
    _village_roads(county, network)
    _waters(county)
    _farm_lines(county, waters)
    _railway_and_power(county)
    _settled(county, towns)
    _vegetation(county, waters)
    _relief(county)
    _boundaries(county)
    _cut_to(county, boundary)
    return county


def division_of(county: County, x: float, y: float) -> str:
    return next((code for code, _, _, shape in county.divisions[1:] if shape.intersects(Point(x, y))), plan.COUNTY_CODE)


def _divisions(terrain: Terrain, boundary: Polygon) -> tuple[tuple[str, str, str, BaseGeometry], ...]:
    """The county and its towns: each cell to the nearest town on its own side of the river, limits wandering with the terrain."""
    frame, cell = terrain.frame, 30
    rows, cols = frame.shape(cell)
    x, y = np.meshgrid(frame.left + (np.arange(cols) + 0.5) * cell, frame.top - (np.arange(rows) + 0.5) * cell)
    x, y = x + 700 * noise((rows, cols), 60, 41, 4), y + 700 * noise((rows, cols), 60, 42, 4)
    middle = np.interp(x, *np.array(terrain.river_line.coords).T)
    north = frame.top - (np.arange(rows)[:, None] + 0.5) * cell > middle
    reach = []
    for town in plan.TOWNS:
        tx, ty = frame.place(town.x, town.y)
        across = north != (town.code == "329901106")
        reach.append(np.hypot(x - tx, y - ty) - 700 * town.radius + 1e6 * across)
    nearest = _without_exclaves(np.argmin(reach, axis=0).astype(np.uint8))
    pieces = {i: [] for i in range(len(plan.TOWNS))}
    for geometry, value in burn.shapes(nearest, transform=frame.transform(cell)):
        pieces[int(value)].append(shapely.geometry.shape(geometry))
    whole = shapely.coverage_simplify([shapely.union_all(pieces[i]) for i in pieces], 45)
    towns = [(t.code, t.name_zh, f"{t.name_en} Town", shape.intersection(boundary)) for t, shape in zip(plan.TOWNS, whole)]
    return ((plan.COUNTY_CODE, plan.COUNTY_ZH, plan.COUNTY_EN, boundary), *towns)


def _without_exclaves(labels: np.ndarray) -> np.ndarray:
    """`labels` with every part but the largest of each value given to what lies around it."""
    for value in np.unique(labels):
        _, parts, stats, _ = cv2.connectedComponentsWithStats((labels == value).astype(np.uint8), connectivity=4)
        for part in np.argsort(stats[1:, cv2.CC_STAT_AREA])[:-1] + 1:
            mask = (parts == part).astype(np.uint8)
            around = labels[(cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0) & (mask == 0) & (labels != value)]
            labels[mask > 0] = np.bincount(around).argmax()
    return labels


def _farms(terrain: Terrain) -> np.ndarray:
    """Quarters of farm land about 900 m across, each ploughed its own way."""
    frame, rng = terrain.frame, np.random.default_rng((plan.SEED, 51))
    left, bottom, right, top = frame.bounds
    step = 880
    x, y = np.meshgrid(np.arange(left - step, right + step, step), np.arange(bottom - step, top + step, step))
    x = x + np.where(np.arange(x.shape[0]) % 2, step / 2, 0)[:, None]
    points = np.column_stack([x.ravel(), y.ravel()]) + rng.uniform(-0.36, 0.36, (x.size, 2)) * step
    lean = 0.35 * np.sin(points[:, 0] / 5200) + 0.3 * np.cos(points[:, 1] / 4100)
    angle = lean + rng.choice([0, np.pi / 2], len(points)) + rng.normal(0, 0.10, len(points))
    return np.column_stack([points, angle, rng.uniform(11, 24, len(points))])


def _forest(terrain: Terrain) -> np.ndarray:
    frame = terrain.frame
    shape = frame.shape(FOREST_CELL)
    height = cv2.resize(terrain.heights, shape[::-1], interpolation=cv2.INTER_AREA)
    slope = cv2.GaussianBlur(cv2.resize(terrain.slope, shape[::-1], interpolation=cv2.INTER_LINEAR), (0, 0), 4)
    density = smoothstep(12, 30, height) * (0.35 + smoothstep(0.03, 0.16, slope)) + 0.45 * noise(shape, 45, 52, 5) - 0.12
    clearing = noise(shape, 30, 53, 4)
    density -= 1.2 * smoothstep(0.75, 1.1, clearing) * (height < 110)
    wet = frame.burn([terrain.river, terrain.lake, *(r.shape for r in terrain.reservoirs)], FOREST_CELL)
    return np.where(wet | (height < 11), 0, np.clip(density, 0, 1)).astype(np.float32)


def _towns(county: County, waters: BaseGeometry) -> tuple[dict[str, Settlement], list[Block]]:
    """Streets and blocks of the county seat and the towns."""
    towns, blocks = {}, []
    street_names = iter(names.STREETS)
    for number, town in enumerate(plan.TOWNS):
        centre = county.terrain.frame.place(town.x, town.y)
        rng = np.random.default_rng((plan.SEED, 60, number))
        angle = float(rng.uniform(-0.16, 0.16))
        t = np.linspace(0, 2 * np.pi, 90, endpoint=False)
        radius = 1000 * town.radius * (1 + sum(rng.uniform(0.02, 0.09) * np.sin(k * t + rng.uniform(0, 6)) for k in (2, 3, 5, 7)))
        outline = Polygon(np.column_stack([centre[0] + 1.12 * radius * np.cos(t), centre[1] + 0.92 * radius * np.sin(t)])).difference(
            waters.buffer(160)
        )
        outline = max(getattr(outline, "geoms", [outline]), key=lambda p: p.area)
        is_seat = number == 0
        towns[town.name_zh] = Settlement(name=names.Name(town.name_zh, town.pinyin), centre=centre, shape=outline, angle=angle)
        streets = _street_grid(centre, 1000 * town.radius * 1.4, angle, rng, (230, 180) if is_seat else (140, 110))
        for line, is_main in streets:
            width = (34.0 if is_main else 14.0) if is_seat else (15.0 if is_main else 8.0)
            inside = line.intersection(outline.buffer(4))
            title = next(street_names, None) if is_seat and is_main else None
            for part in getattr(inside, "geoms", [inside]):
                if part.length > 60:
                    county.add(
                        "LRDL",
                        part,
                        GB="430501" if is_main else "430503",
                        NAME=title[0] if title else None,
                        PINYIN=title[1] if title else None,
                        RN=None,
                        RTEG=None,
                        LANE=6 if width > 30 else 2,
                        MATRL="沥青",
                        WIDTH=width,
                        TYPE="街道",
                    )
        bands = [
            line.buffer(((34.0 if main else 14.0) if is_seat else (15.0 if main else 8.0)) / 2 + 4, cap_style="flat")
            for line, main in streets
        ]
        ground = outline.difference(shapely.union_all(bands))
        for shape in getattr(ground, "geoms", [ground]):
            if shape.area > 2500:
                away = shape.centroid.distance(Point(centre)) / (1000 * town.radius)
                blocks.append(Block(shape=shape.buffer(-2).simplify(1), angle=angle, kind=_kind(rng, away, is_seat)))
    return towns, blocks


def _kind(rng: np.random.Generator, away: float, is_seat: bool) -> str:
    if not is_seat:
        return str(rng.choice(["住宅", "商业", "工业", "学校"], p=[0.66, 0.12, 0.14, 0.08]))
    if away < 0.3:
        return str(rng.choice(["商业", "住宅", "公园"], p=[0.6, 0.28, 0.12]))
    return str(
        rng.choice(
            ["住宅", "商业", "学校", "公园", "工业"], p=[0.68, 0.06, 0.08, 0.06, 0.12] if away < 0.8 else [0.42, 0.03, 0.05, 0.05, 0.45]
        )
    )


def _street_grid(centre, reach: float, angle: float, rng: np.random.Generator, spacing: tuple[int, int]) -> list[tuple[LineString, bool]]:
    """Two families of nearly parallel streets, every third a main one."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    lines = []
    for axis, step in enumerate(spacing):
        count = int(reach // step)
        for i in range(-count, count + 1):
            offset = i * step + (rng.uniform(-0.12, 0.12) * step if i else 0)
            ends = np.array([[-reach, offset], [reach, offset]] if axis else [[offset, -reach], [offset, reach]])
            lines.append((LineString(ends @ turn.T + centre), i % 3 == 0))
    return lines


@dataclass(slots=True)
class Network:
    """Cells that carry a road already; a new road that follows them costs little."""

    frame: Frame
    cost: np.ndarray
    used: np.ndarray
    built: list[LineString] = field(default_factory=list)

    def cell(self, x: float, y: float) -> tuple[int, int]:
        rows, cols = self.cost.shape
        return int(np.clip((self.frame.top - y) // ROAD_CELL, 0, rows - 1)), int(np.clip((x - self.frame.left) // ROAD_CELL, 0, cols - 1))

    def point(self, cell: tuple[int, int]) -> tuple[float, float]:
        return self.frame.left + (cell[1] + 0.5) * ROAD_CELL, self.frame.top - (cell[0] + 0.5) * ROAD_CELL

    def path(self, starts: list[tuple[int, int]], goal: tuple[int, int], follow: float = 0.55) -> list[tuple[int, int]]:
        """Cheapest cells from any of `starts` to `goal` (Dijkstra)."""
        rows, cols = self.cost.shape
        price = np.where(self.used, self.cost * follow, self.cost).tolist()
        best, before, queue = dict.fromkeys(starts, 0.0), {}, [(0.0, s) for s in starts]
        heapq.heapify(queue)
        while queue:
            spent, here = heapq.heappop(queue)
            if here == goal:
                break
            if spent > best[here]:
                continue
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    y, x = here[0] + dy, here[1] + dx
                    if (dy or dx) and 0 <= y < rows and 0 <= x < cols:
                        total = spent + price[y][x] * (1.414 if dy and dx else 1)
                        if total < best.get((y, x), np.inf):
                            best[y, x], before[y, x] = total, here
                            heapq.heappush(queue, (total, (y, x)))
        path = [goal]
        while path[-1] in before:
            path.append(before[path[-1]])
        return path[::-1]

    def use(self, path: list[tuple[int, int]]) -> None:
        for cell in path:
            self.used[cell] = True


def _through_roads(county: County, towns: dict[str, Settlement]) -> Network:
    terrain, frame = county.terrain, county.terrain.frame
    shape = frame.shape(ROAD_CELL)
    slope = cv2.resize(terrain.slope, shape[::-1], interpolation=cv2.INTER_AREA)
    cost = 1 + 14 * np.minimum(slope, 0.8) ** 1.1 + 0.5 * np.abs(noise(shape, 10, 61, 3))
    cost += 30 * frame.burn([terrain.lake.buffer(90), *(r.shape.buffer(60) for r in terrain.reservoirs)], ROAD_CELL)
    cost += 4 * frame.burn([terrain.river.buffer(60)], ROAD_CELL)
    network = Network(frame=frame, cost=cost, used=np.zeros(shape, bool))
    inside = shapely.union_all([t.shape for t in towns.values()])
    for route in plan.ROUTES:
        code, grade, width, lanes = ROADS[route.number[0]]
        places = [towns[stop].centre if isinstance(stop, str) else frame.place(*stop) for stop in route.stops]
        for a, b in zip(places, places[1:]):
            cells = network.path([network.cell(*a)], network.cell(*b), 0.8)
            fresh = _unshared(network, cells)
            network.use(cells)
            for run in fresh:
                points = [network.point(c) for c in run]
                points[0] = a if run[0] == cells[0] else points[0]
                points[-1] = b if run[-1] == cells[-1] else points[-1]
                line = LineString(chaikin(LineString(points).simplify(110).coords, 4))
                outside = line.difference(inside)
                network.built.append(line)
                for part in getattr(outside, "geoms", [outside]):
                    if part.length > 30:
                        county.add(
                            "LRDL",
                            part,
                            GB=code,
                            NAME=route.name_zh,
                            PINYIN=None,
                            RN=route.number,
                            RTEG=grade,
                            LANE=lanes,
                            MATRL="沥青",
                            WIDTH=width,
                            TYPE="公路",
                        )
    return network


def _unshared(network: Network, cells: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Runs of `cells` that carry no road yet, each with the cell it branches from."""
    runs, run = [], []
    for previous, here in zip([None, *cells], cells):
        if network.used[here] and (previous is None or network.used[previous]):
            if len(run) > 1:
                runs.append(run)
            run = [here]
        else:
            run.append(here)
    return [*runs, run] if len(run) > 1 else runs


def _villages(
    county: County, waters: BaseGeometry, network: Network, towns: dict[str, Settlement]
) -> tuple[tuple[Settlement, ...], list[Block]]:
    terrain, frame = county.terrain, county.terrain.frame
    rng = np.random.default_rng((plan.SEED, 62))
    keep_off = shapely.union_all(
        [waters.buffer(170), *(t.shape.buffer(260) for t in towns.values()), *(line.buffer(25) for line in network.built)]
    )
    shapely.prepare(keep_off)
    left, bottom, right, top = frame.bounds
    chosen, villages, blocks, title = [], [], [], names.village_names()
    for x, y in rng.uniform((left + 300, bottom + 300), (right - 300, top - 300), (2600, 2)):
        if len(villages) >= 150:
            break
        height, slope = float(frame.at(terrain.heights, x, y, 5)), float(frame.at(terrain.slope, x, y, 20))
        if height > 90 or slope > 0.08 or (height > 24 and rng.random() < 0.55):
            continue
        if any((x - a) ** 2 + (y - b) ** 2 < 780**2 for a, b in chosen) or not county.boundary.contains(Point(x, y)):
            continue
        farm = county.farms[np.argmin((county.farms[:, 0] - x) ** 2 + (county.farms[:, 1] - y) ** 2)]
        angle = float((farm[2] + np.pi / 4) % (np.pi / 2) - np.pi / 4)
        shape = _village_shape(rng, x, y, angle).difference(keep_off)
        shape = max(getattr(shape, "geoms", [shape]), key=lambda p: p.area)
        if shape.area < 9000:
            continue
        chosen.append((x, y))
        centre = shape.representative_point()
        villages.append(Settlement(name=next(title), centre=(centre.x, centre.y), shape=shape, angle=angle))
        blocks.append(Block(shape=shape, angle=angle, kind="农村"))
    return tuple(villages), blocks


def _village_shape(rng: np.random.Generator, x: float, y: float, angle: float) -> Polygon:
    """Two or three overlapping strips of houses, corners cut."""
    parts = []
    for _ in range(rng.integers(2, 4)):
        length, depth = rng.uniform(90, 230), rng.uniform(45, 90)
        box = shapely.box(-length / 2, -depth / 2, length / 2, depth / 2)
        parts.append(
            shapely.affinity.translate(shapely.affinity.rotate(box, float(rng.choice([0, 0, 90])), origin=(0, 0)), *rng.uniform(-70, 70, 2))
        )
    whole = shapely.union_all(parts).buffer(12).buffer(-12)
    whole = max(getattr(whole, "geoms", [whole]), key=lambda p: p.area)
    return shapely.affinity.translate(shapely.affinity.rotate(Polygon(whole.exterior), angle, origin=(0, 0), use_radians=True), x, y)


def _village_roads(county: County, network: Network) -> None:
    """Each village to the nearest road, over what was built before it."""
    code, grade, width, lanes = ROADS["Y"]
    by_distance = sorted(county.villages, key=lambda v: min((line.distance(Point(v.centre)) for line in network.built), default=0))
    number = 0
    for village in by_distance:
        goal = network.cell(*village.centre)
        starts = _cells_near(network, goal)
        cells = network.path(starts, goal)
        if len(cells) < 2:
            continue
        network.use(cells)
        points = [network.point(c) for c in cells[:-1]] + [village.centre]
        hub = min(network.built, key=lambda line: line.distance(Point(points[0])))
        points[0] = tuple(hub.interpolate(hub.project(Point(points[0]))).coords[0])
        line = LineString(chaikin(LineString(points).simplify(70).coords, 3)) if len(points) > 1 else None
        if line is None or line.length < 40:
            continue
        number += 1
        network.built.append(line)
        county.add(
            "LRDL",
            line,
            GB=code,
            NAME=village.name.zh.rstrip("村庄") + "路",
            PINYIN=None,
            RN=f"Y{number:03d}",
            RTEG=grade,
            LANE=lanes,
            MATRL="水泥",
            WIDTH=width,
            TYPE="公路",
        )


def _cells_near(network: Network, goal: tuple[int, int]) -> list[tuple[int, int]]:
    rows, cols = np.nonzero(network.used)
    away = np.hypot(rows - goal[0], cols - goal[1])
    return [(int(rows[i]), int(cols[i])) for i in np.argsort(away)[:25] if away[i] > 0]


def _waters(county: County) -> None:
    terrain = county.terrain
    title = names.stream_names()
    county.add(
        "HYDA", terrain.river, GB="210101", NAME="青澜江", PINYIN="Qīnglán Jiāng", HYDC="SA001", TYPE="河流", PERIOD="常年", CAPACITY=None
    )
    county.add("HYDA", terrain.lake, GB="230101", NAME="镜湖", PINYIN="Jìng Hú", HYDC="SA101", TYPE="湖泊", PERIOD="常年", CAPACITY=None)
    for number, r in enumerate(terrain.reservoirs, 1):
        capacity = round(r.shape.area * r.depth * 0.4 / 1e4, 1)
        county.add(
            "HYDA",
            r.shape,
            GB="240101",
            NAME=r.name,
            PINYIN=r.pinyin,
            HYDC=f"SA2{number:02d}",
            TYPE="水库",
            PERIOD="常年",
            CAPACITY=capacity,
        )
        county.add("HFCL", r.dam, GB="270600", NAME=f"{r.name}大坝", TYPE="拦水坝")
    for pond in _ponds(county):
        county.add("HYDA", pond, GB="230102", NAME=None, PINYIN=None, HYDC=None, TYPE="池塘", PERIOD="常年", CAPACITY=None)
    towns = shapely.union_all([b.shape.buffer(20) for b in county.blocks])      # streams run in pipes under streets
    for line, catchment in terrain.streams:
        name = next(title) if catchment > 4 or line.length > 1800 else None
        county.add(
            "HYDL",
            line.difference(towns),
            GB="210101" if catchment > 2 else "210200",
            NAME=name and name.zh,
            PINYIN=name and name.pinyin,
            HYDC=None,
            TYPE="河流",
            PERIOD="常年" if catchment > 2 else "时令",
            WIDTH=round(3 + 1.6 * catchment**0.7, 1),
        )
    canal = LineString(smooth_line([terrain.frame.place(*p) for p in plan.CANAL], 60)).difference(
        shapely.union_all([terrain.river, terrain.lake])
    )
    county.add("HYDL", canal, GB="220100", NAME="通济渠", PINYIN="Tōngjì Qú", HYDC="SA301", TYPE="运河", PERIOD="常年", WIDTH=22.0)
    dike = terrain.river.buffer(70).boundary.intersection(shapely.box(*terrain.frame.bounds).buffer(-30))
    county.add("HFCL", dike.simplify(4), GB="270101", NAME="青澜江大堤", TYPE="干堤")


def _ponds(county: County) -> list[Polygon]:
    """Fish ponds in rows by the lake and here and there in the plain."""
    terrain, rng, ponds = county.terrain, np.random.default_rng((plan.SEED, 63)), []
    around = terrain.lake.buffer(900).difference(terrain.lake.buffer(70))
    busy = shapely.union_all(
        [b.shape.buffer(25) for b in county.blocks]
        + [g.buffer(a["WIDTH"] / 2 + 9) for g, a in county.lines("LRDL")]
        + [g.buffer(18) for g, _ in terrain.streams]
    )
    shapely.prepare(busy)
    for farm_x, farm_y, angle, _ in county.farms:
        by_lake = around.contains(Point(farm_x, farm_y))
        if not by_lake and (rng.random() > 0.07 or float(terrain.frame.at(terrain.heights, farm_x, farm_y, 5)) > 10):
            continue
        for i in range(-3, 4) if by_lake else range(-1, 2):
            for j in range(-2, 3) if by_lake else range(-1, 1):
                box = shapely.box(i * 92 - 41, j * 66 - 28, i * 92 + 41, j * 66 + 28)
                pond = (
                    shapely.affinity.translate(shapely.affinity.rotate(box, angle, origin=(0, 0), use_radians=True), farm_x, farm_y)
                    .buffer(-4)
                    .buffer(4)
                )
                if (
                    rng.random() < 0.86
                    and not busy.intersects(pond)
                    and not terrain.lake.buffer(40).intersects(pond)
                    and not terrain.river.buffer(130).intersects(pond)
                ):
                    ponds.append(pond)
    return ponds


def _farm_lines(county: County, waters: BaseGeometry) -> None:
    """Ditches and tracks along the limits of the farm quarters."""
    terrain, frame = county.terrain, county.terrain.frame
    cells = shapely.voronoi_polygons(MultiPoint(county.farms[:, :2]), only_edges=True)
    plain = frame.burn([shapely.box(*frame.bounds)], 60) & (
        cv2.resize(terrain.heights, frame.shape(60)[::-1], interpolation=cv2.INTER_AREA) < 11
    )
    flat = shapely.union_all(
        [shapely.geometry.shape(g) for g, _ in burn.shapes(plain.astype(np.uint8), mask=plain, transform=frame.transform(60))]
    )
    keep_off = shapely.union_all(
        [
            waters.buffer(115),
            *(b.shape.buffer(8) for b in county.blocks),
            *(g.buffer(6) for g, a in county.lines("HYDA") if a["TYPE"] == "池塘"),
        ]
    )
    shapely.prepare(keep_off)
    rng = np.random.default_rng((plan.SEED, 64))
    number = 0
    for edge in getattr(cells, "geoms", [cells]):
        edge = edge.intersection(flat)
        if edge.is_empty or edge.length < 120:
            continue
        kind = rng.random()
        edge = edge.difference(keep_off)
        if kind < 0.55:
            number += 1
            county.add("HYDL", edge, GB="220301", NAME=None, PINYIN=None, HYDC=None, TYPE="支渠", PERIOD="常年", WIDTH=4.0)
        elif kind < 0.9:
            county.add("LRDL", edge, GB="440100", NAME=None, PINYIN=None, RN=None, RTEG=None, LANE=1, MATRL="土", WIDTH=3.5, TYPE="机耕路")


def _railway_and_power(county: County) -> None:
    frame = county.terrain.frame
    rail = LineString(smooth_line([frame.place(*p) for p in plan.RAILWAY], 60))
    county.add("LRRL", rail, GB="410102", NAME="样例铁路", TYPE="复线", RN="YL")
    station = rail.interpolate(rail.project(Point(frame.place(10.7, 8.0))))
    county.add("LFCP", station, GB="450101", NAME="样例站", TYPE="火车站")
    county.add(
        "PIPL", LineString([frame.place(*p) for p in plan.POWER_LINE]), GB="510100", NAME="样镜线", TYPE="高压输电线", VOLTAGE="220kV"
    )
    for geometry, attributes in county.lines("LRDL"):
        bridge = geometry.intersection(county.terrain.river)
        if attributes["TYPE"] == "公路" and bridge.length > 300:
            county.add(
                "LFCL",
                bridge,
                GB="450306",
                NAME="青澜江大桥" if attributes["RN"] == "S391" else None,
                TYPE="车行桥",
                WIDTH=attributes["WIDTH"],
            )
    county.add("LFCL", rail.intersection(county.terrain.river), GB="450306", NAME=None, TYPE="铁路桥", WIDTH=12.0)


def _settled(county: County, towns: dict[str, Settlement]) -> None:
    for block in county.blocks:
        if block.kind == "公园":
            county.add("BRGA", block.shape, GB="340200", NAME=None, TYPE="公园")
        else:
            county.add("RESA", block.shape, GB="310200", NAME=None, TYPE=block.kind)
    for number, village in enumerate(county.villages, 1):
        pac = division_of(county, *village.centre)
        county.add("RESP", Point(village.centre), GB="310300", NAME=village.name.zh, TYPE="村庄")
        county.add(
            "AGNP",
            Point(village.centre),
            GB=None,
            NAME=village.name.zh,
            PINYIN=village.name.pinyin,
            NAME_EN=village.name.en,
            CLASS="BB",
            GNID=f"{pac}{number:04d}",
            PAC=pac,
        )
    for number, town in enumerate(plan.TOWNS, 1):
        centre = Point(towns[town.name_zh].centre)
        is_seat = number == 1
        county.add(
            "AGNP",
            centre,
            GB=None,
            NAME=plan.COUNTY_ZH if is_seat else town.name_zh,
            PINYIN="Yànglì Xiàn" if is_seat else town.pinyin,
            NAME_EN=plan.COUNTY_EN if is_seat else town.name_en,
            CLASS="AE" if is_seat else "AF",
            GNID=f"{town.code}0000",
            PAC=plan.COUNTY_CODE if is_seat else town.code,
        )


def _vegetation(county: County, waters: BaseGeometry) -> None:
    frame = county.terrain.frame
    coarse = cv2.resize(county.forest, frame.shape(20)[::-1], interpolation=cv2.INTER_AREA)
    wooded = cv2.morphologyEx((coarse > 0.5).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    for geometry, _ in burn.shapes(wooded, mask=wooded.astype(bool), transform=frame.transform(20)):
        wood = shapely.geometry.shape(geometry)
        if wood.area > 12000:
            wood = Polygon(wood.exterior, [r for r in wood.interiors if Polygon(r).area > 6000])
            county.add("VEGA", rounded(wood.simplify(18), 1), GB="810500", NAME=None, TYPE="林地")


def _relief(county: County) -> None:
    terrain, frame = county.terrain, county.terrain.frame
    wet = shapely.union_all([terrain.river.buffer(120), *(r.shape.buffer(2) for r in terrain.reservoirs)])
    shapely.prepare(wet)
    for level, line in contours(
        cv2.GaussianBlur(terrain.heights, (0, 0), 1.0)[::2, ::2], frame.left + 2.5, frame.top - 2.5, 10, 5.0, lowest=10.0
    ):
        if not wet.contains(line):
            county.add(
                "TERL", line, GB="710102" if level % 25 == 0 else "710101", ELEV=level, TYPE="计曲线" if level % 25 == 0 else "首曲线"
            )
    coarse = cv2.resize(terrain.heights, frame.shape(20)[::-1], interpolation=cv2.INTER_AREA)
    tops = (coarse == cv2.dilate(coarse, np.ones((41, 41), np.uint8))) & (coarse > 45)
    title = names.hill_names()
    for row, col in np.argwhere(tops):
        x, y = frame.left + (col + 0.5) * 20, frame.top - (row + 0.5) * 20
        name = next(title)
        county.add("TERP", Point(x, y), GB="720100", ELEV=round(float(frame.at(terrain.heights, x, y, 5)), 1))
        county.add("AANP", Point(x, y), GB=None, NAME=name.zh, PINYIN=name.pinyin, CLASS="山")
    rng = np.random.default_rng((plan.SEED, 65))
    left, bottom, right, top = frame.bounds
    for x, y in rng.uniform((left, bottom), (right, top), (700, 2)):
        if not wet.contains(Point(x, y)) and not terrain.lake.contains(Point(x, y)):
            county.add("TERP", Point(x, y), GB="720100", ELEV=round(float(frame.at(terrain.heights, x, y, 5)), 1))


def _boundaries(county: County) -> None:
    for code, name, english, shape in county.divisions:
        county.add("BOUA", shape, GB="650200" if code == plan.COUNTY_CODE else "660200", NAME=name, NAME_EN=english, PAC=code)
    edge = county.boundary.boundary
    county.add("BOUL", edge, GB="650201", NAME="县级界", TYPE="县级")
    inner = shapely.line_merge(shapely.union_all([d[3].boundary for d in county.divisions[1:]]).difference(edge.buffer(1)))
    county.add("BOUL", inner, GB="660201", NAME="乡级界", TYPE="乡级")


def _cut_to(county: County, boundary: Polygon) -> None:
    """The map ends at the county's boundary, as a line map delivered by county does."""
    shapely.prepare(boundary)
    for table, rows in county.tables.items():
        if table in ("BOUA", "BOUL"):
            continue
        kept = []
        for geometry, attributes in rows:
            if boundary.contains(geometry):
                kept.append((geometry, attributes))
            elif boundary.intersects(geometry):
                cut = geometry.intersection(boundary)
                kept += [(part, attributes) for part in getattr(cut, "geoms", [cut]) if part.geom_type == geometry.geom_type]
        county.tables[table] = kept
